//! Making new data directories before a broker starts, as `kafka-storage format` does (Kafka: `Formatter`).

use std::path::{Path, PathBuf};

use crate::config::ServerConfig;
use crate::env::Env;

use super::Settings;
use super::directory::{Directory, DirectoryError};
use super::features::{METADATA_VERSION, bootstrap_features};

/// Kafka's name of the level [`METADATA_VERSION`].
pub const METADATA_VERSION_NAME: &str = "4.3-IV0";

/// Why nothing was formatted. The texts are Kafka's.
#[derive(Debug, thiserror::Error)]
pub enum FormatError {
    /// It belongs to another cluster.
    #[error("Invalid cluster.id in: {}. Expected {expected}, but read {found}", path.display())]
    OtherCluster {
        /// Its `meta.properties`.
        path: PathBuf,
        /// The id that was given.
        expected: String,
        /// The id that stands there.
        found: String,
    },
    /// It is done already.
    #[error(
        "Log directory {} is already formatted. Use --ignore-formatted to ignore this directory \
         and format the others.", .0.display()
    )]
    Formatted(PathBuf),
    /// It cannot be read or written.
    #[error(transparent)]
    Directory(#[from] DirectoryError),
}

/// Formats the directories of a configuration that are new, with `ignore_formatted` also where others are not; the lines
/// that Kafka's tool prints.
pub fn format(
    env: &Env,
    config: &ServerConfig,
    cluster_id: &str,
    ignore_formatted: bool,
) -> Result<Vec<String>, FormatError> {
    let settings =
        Settings { cluster_id: Some(cluster_id.to_owned()), ..Settings::new(config, Vec::new()) };
    let (main, others) = directories(config);
    let mut is_new = Vec::new();
    for root in std::iter::once(&main).chain(&others) {
        let found = Directory::cluster_of(env, root, &settings)?;
        if let Some(found) = found.as_ref().filter(|found| *found != cluster_id) {
            let (path, found) = (root.join("meta.properties"), found.clone());
            return Err(FormatError::OtherCluster { path, expected: cluster_id.to_owned(), found });
        }
        if found.is_some() && !ignore_formatted {
            return Err(FormatError::Formatted(root.clone()));
        }
        is_new.push(found.is_none());
    }
    if !is_new.contains(&true) {
        return Ok(vec!["All of the log directories are already formatted.".to_owned()]);
    }
    let mut lines = vec![bootstrap_metadata()];
    let mut told = |what: &str, root: &Path| {
        let root = root.display();
        lines.push(format!(
            "Formatting {what} {root} with metadata.version {METADATA_VERSION_NAME}."
        ));
    };
    if is_new[0] {
        let form = if settings.static_voters { "" } else { "dynamic " };
        let voter = if settings.static_voters { "" } else { "voter " };
        told(&format!("{form}metadata {voter}directory"), &main);
    }
    let directory = Directory::open(env, &main, &settings)?;
    for (root, _) in others.iter().zip(&is_new[1..]).filter(|(_, is_new)| **is_new) {
        told("data directory", root);
        directory.adopt(root, &settings)?;
    }
    Ok(lines)
}

/// The directory of the metadata log, and the others.
fn directories(config: &ServerConfig) -> (PathBuf, Vec<PathBuf>) {
    let main = config.metadata_log_dir.as_ref().or(config.log_dirs.first());
    let main = main.cloned().unwrap_or_default();
    let mut others: Vec<PathBuf> =
        config.log_dirs.iter().filter(|root| **root != main).cloned().collect();
    others.sort();
    others.dedup();
    (main, others)
}

/// The first records of a new cluster, as Java prints them.
fn bootstrap_metadata() -> String {
    let record = |feature: crate::wire::records::FeatureLevelRecord| {
        format!(
            "ApiMessageAndVersion(FeatureLevelRecord(name='{}', featureLevel={}) at version 0)",
            feature.name, feature.feature_level
        )
    };
    let records: Vec<String> = bootstrap_features().map(record).collect();
    format!(
        "Bootstrap metadata: BootstrapMetadata(records=[{}], metadataVersionLevel={METADATA_VERSION}, \
         source=format command)",
        records.join(", ")
    )
}
