//! The folders of clients: those of `compat` with a `run`.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::{COMPAT, Failure};

/// Folders that need not be installed, one a line with its reason: a machine may lack what they need. No file is an
/// empty one.
const NOT_INSTALLED: &str = "not-installed";

#[derive(Debug)]
pub(crate) struct Client {
    pub(crate) name: String,
    pub(crate) version: String,
    pub(crate) folder: PathBuf,
}

/// What was found and could be installed.
#[derive(Debug, Default)]
pub(crate) struct Found {
    pub(crate) clients: Vec<Client>,
    /// Folders that could not be installed, with the reason that excuses them.
    pub(crate) excused: Vec<String>,
    /// Folders that could not be installed without an excuse.
    pub(crate) troubles: Vec<String>,
}

/// Installs the named clients, or all without names.
pub(crate) fn install(names: &[String]) -> Result<Found, Failure> {
    let mut found = Found::default();
    for folder in folders()? {
        match install_folder(&folder, names) {
            Ok(clients) => found.clients.extend(clients),
            Err(error) => match excuse(&folder) {
                Some(reason) => found.excused.push(format!("{}: {reason}", name_of(&folder))),
                None => found.troubles.push(format!("{}: {error}", name_of(&folder))),
            },
        }
    }
    let is_found = |name: &String| found.clients.iter().any(|client| client.name == *name);
    if names.is_empty() {
        return Ok(found);
    }
    if let Some(unknown) = names.iter().find(|name| !is_found(name)) {
        let troubles = found.troubles.join("\n");
        return Err(format!("there is no client {unknown}\n{troubles}").trim_end().into());
    }
    // All that was asked for is there; the troubles are those of others.
    found.troubles.clear();
    Ok(found)
}

fn folders() -> Result<Vec<PathBuf>, Failure> {
    let mut folders = Vec::new();
    for entry in fs::read_dir(COMPAT)? {
        let folder = entry?.path();
        if folder.join("run").is_file() {
            folders.push(folder);
        }
    }
    folders.sort();
    Ok(folders)
}

fn install_folder(folder: &Path, names: &[String]) -> Result<Vec<Client>, Failure> {
    let versions = ask(folder, "versions")?;
    let client = |line: &str| {
        let (name, version) = line.split_once(' ')?;
        Some(Client {
            name: name.to_owned(),
            version: version.trim().to_owned(),
            folder: folder.to_owned(),
        })
    };
    let clients: Option<Vec<Client>> = versions.lines().map(client).collect();
    let mut clients = clients.ok_or_else(|| format!("not a client and its version: {versions}"))?;
    clients.retain(|client| names.is_empty() || names.contains(&client.name));
    if !clients.is_empty() {
        ask(folder, "install")?;
    }
    Ok(clients)
}

/// The folder's `run`, in the environment of a user: cargo's would have kcat load the librdkafka that this repository
/// builds, not its own.
pub(crate) fn program(folder: &Path) -> Command {
    let mut command = Command::new(folder.join("run"));
    command.env_remove("LD_LIBRARY_PATH");
    command
}

fn ask(folder: &Path, command: &str) -> Result<String, Failure> {
    let output = program(folder).arg(command).output()?;
    if output.status.success() {
        return Ok(String::from_utf8(output.stdout)?);
    }
    let errors = String::from_utf8_lossy(&output.stderr);
    Err(format!("run {command}: {}\n{}", output.status, errors.trim_end()).into())
}

fn excuse(folder: &Path) -> Option<String> {
    let list = fs::read_to_string(Path::new(COMPAT).join(NOT_INSTALLED)).unwrap_or_default();
    let mut reasons = list.lines().filter_map(|line| line.split_once(' '));
    let (_, reason) = reasons.find(|(name, _)| *name == name_of(folder))?;
    Some(reason.trim().to_owned())
}

fn name_of(folder: &Path) -> String {
    folder.file_name().unwrap_or_default().to_string_lossy().into_owned()
}
