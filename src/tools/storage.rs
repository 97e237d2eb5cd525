//! kafka-storage: `format`, `info` and `random-uuid` (Kafka: `StorageTool`).
//!
//! What a single node on PLAINTEXT has no use for (SCRAM credentials, other initial controllers, other feature levels) is
//! refused rather than passed over.

use std::collections::BTreeMap;
use std::io::Write;
use std::path::{Path, PathBuf};

use clap::{Args, Parser, Subcommand};

use super::Failure;
use crate::config::{ConfigMap, ServerConfig, parse_properties};
use crate::env::{Env, FileKind, read_whole};
use crate::metadata::{self, METADATA_VERSION_NAME};

/// A larger file is not one of properties.
const FILE_BYTES_MAX: u64 = 1 << 24;

/// Works on the directories of log.dirs before a broker does.
#[derive(Debug, Parser)]
#[command(name = "kafka-storage", infer_long_args = true)]
pub(super) struct Options {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Get information about the Kafka log directories on this node.
    Info(Config),
    /// Format the Kafka log directories on this node.
    Format(Format),
    /// Print a random UUID.
    RandomUuid,
}

#[derive(Args, Debug)]
struct Config {
    /// The Kafka configuration file to use.
    #[arg(long, short)]
    config: PathBuf,
}

#[derive(Args, Debug)]
struct Format {
    #[command(flatten)]
    config: Config,
    /// The cluster ID to use.
    #[arg(long, short = 't')]
    cluster_id: String,
    /// Skip over directories that are formatted already.
    #[arg(long, short = 'g')]
    ignore_formatted: bool,
    /// Make this node the only voter of a dynamic quorum; not with controller.quorum.voters.
    #[arg(long, short)]
    standalone: bool,
    /// The release whose metadata is written; 4.3 is.
    #[arg(long, short)]
    release_version: Option<String>,
    /// Not supported: the levels are those of the release.
    #[arg(long, short)]
    feature: Vec<String>,
    /// Not supported: there is no SASL.
    #[arg(long, short = 'S')]
    add_scram: Vec<String>,
    /// Not supported: this node is always the only controller; use --standalone.
    #[arg(long, short = 'I', conflicts_with = "standalone")]
    initial_controllers: Option<String>,
    /// Not supported, likewise.
    #[arg(long, short = 'N', conflicts_with_all = ["standalone", "initial_controllers"])]
    no_initial_controllers: bool,
}

pub(super) fn run(options: &Options, env: &Env, out: &mut dyn Write) -> Result<(), Failure> {
    match &options.command {
        Command::RandomUuid => writeln!(out, "{}", metadata::base64(env.random.uuid()))?,
        Command::Format(format) => {
            let config = read(env, &format.config.config)?;
            format.check(&config)?;
            let (id, ignore_formatted) = (&format.cluster_id, format.ignore_formatted);
            let lines = metadata::format(env, &config, id, ignore_formatted);
            for line in lines.map_err(|error| Failure::err(error.to_string()))? {
                writeln!(out, "{line}")?;
            }
        }
        Command::Info(options) => return info(env, &read(env, &options.config)?, out),
    }
    Ok(())
}

fn read(env: &Env, path: &Path) -> Result<ServerConfig, Failure> {
    let failed =
        |error: &dyn std::fmt::Display| Failure::err(format!("{}: {error}", path.display()));
    let text = text(env, path).map_err(|error| failed(&error))?;
    let text = text.ok_or_else(|| failed(&std::io::Error::from(std::io::ErrorKind::NotFound)))?;
    let (config, _) = ServerConfig::load(&text, []).map_err(|error| failed(&error))?;
    Ok(config)
}

fn text(env: &Env, path: &Path) -> std::io::Result<Option<String>> {
    let bytes = read_whole(&*env.disk, path, FILE_BYTES_MAX)?;
    Ok(bytes.map(|bytes| String::from_utf8_lossy(&bytes).into_owned()))
}

impl Format {
    /// Kafka's rules for the voters, and what a single node without SASL cannot do.
    fn check(&self, config: &ServerConfig) -> Result<(), Failure> {
        let refuse = |flag: &str, why: &str| Err(Failure::err(format!("{flag}: {why}")));
        let is_static = !config.quorum_voters.is_empty();
        if is_static && (self.standalone || self.initial_controllers.is_some()) {
            return Err(Failure::err(
                "You cannot specify controller.quorum.voters and format the node with \
                 --initial-controllers or --standalone. If you want to use dynamic quorum, please remove \
                 controller.quorum.voters and specify controller.quorum.bootstrap.servers instead.",
            ));
        }
        let only = "this node is always its own and only controller; use --standalone";
        if self.initial_controllers.is_some() {
            return refuse("--initial-controllers", only);
        }
        if self.no_initial_controllers {
            return refuse("--no-initial-controllers", only);
        }
        if !is_static && !self.standalone {
            return Err(Failure::err(
                "Because controller.quorum.voters is not set on this controller, you must specify one of the \
                 following: --standalone, --initial-controllers, or --no-initial-controllers.",
            ));
        }
        if !self.add_scram.is_empty() {
            return refuse("--add-scram", "SASL is not supported yet");
        }
        if !self.feature.is_empty() {
            return refuse("--feature", "the levels are those of the release and cannot be chosen");
        }
        match self.release_version.as_deref() {
            None | Some("4.3" | METADATA_VERSION_NAME) => Ok(()),
            Some(_) => refuse("--release-version", "only metadata of release 4.3 is written"),
        }
    }
}

/// Says what is found and what is wrong; something wrong is an exit code of 1.
fn info(env: &Env, config: &ServerConfig, out: &mut dyn Write) -> Result<(), Failure> {
    let mut roots: Vec<PathBuf> = config.log_dirs.clone();
    roots.extend(config.metadata_log_dir.clone());
    roots.sort();
    roots.dedup();
    let (mut found, mut problems, mut first) = (Vec::new(), Vec::new(), None);
    for root in roots {
        let path = root.display().to_string();
        match env.disk.kind(&root)? {
            None => problems.push(format!("{path} does not exist")),
            Some(FileKind::Directory) => {
                match properties(env, &root) {
                    Ok(Some(properties)) => problems.extend(mismatch(&mut first, properties)),
                    Ok(None) => problems.push(format!("{path} is not formatted.")),
                    Err(why) => {
                        problems.push(format!("Error loading {path}/meta.properties: {why}"));
                    }
                }
                found.push(path);
            }
            Some(_) => problems.push(format!("{path} is not a directory")),
        }
    }
    list(out, "Found log director", ["y:", "ies:"], &found)?;
    if let Some(properties) = first {
        let pairs = properties.iter().map(|(key, value)| format!("{key}={value}"));
        writeln!(out, "Found metadata: {{{}}}\n", pairs.collect::<Vec<_>>().join(", "))?;
    }
    list(out, "Found problem", [":", "s:"], &problems)?;
    if problems.is_empty() { Ok(()) } else { Err(Failure::default()) }
}

/// The `meta.properties` of a directory, if there is one.
fn properties(env: &Env, root: &Path) -> Result<Option<ConfigMap>, String> {
    let text = text(env, &root.join("meta.properties")).map_err(|error| error.to_string())?;
    text.map(|text| parse_properties(&text).map_err(|error| error.to_string())).transpose()
}

/// What of these properties does not go with the first.
fn mismatch(first: &mut Option<ConfigMap>, properties: BTreeMap<String, String>) -> Option<String> {
    let Some(first) = first else {
        *first = Some(properties);
        return None;
    };
    let differs = |key: &str| first.get(key) != properties.get(key);
    let what = if differs("cluster.id") {
        "cluster"
    } else if differs("node.id") {
        "node"
    } else {
        return None;
    };
    Some(format!("Mismatched {what} IDs between storage directories."))
}

/// A heading for one or for several, and what stands under it.
fn list(
    out: &mut dyn Write,
    heading: &str,
    [one, several]: [&str; 2],
    entries: &[String],
) -> std::io::Result<()> {
    if entries.is_empty() {
        return Ok(());
    }
    writeln!(out, "{heading}{}", if entries.len() == 1 { one } else { several })?;
    for entry in entries {
        writeln!(out, "  {entry}")?;
    }
    writeln!(out)
}
