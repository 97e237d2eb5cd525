//! Opening `log.dirs` and `metadata.log.dir`: what is locked, what cannot be used, whose it is.
//!
//! A directory that is in use, or belongs to another cluster or node, ends the start; so does one
//! of the metadata log that cannot be used. Any other that cannot be used is offline.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::config::ServerConfig;
use crate::env::{Env, open_file_limit};
use crate::log::Engine;
use crate::log::local::{EngineError, EngineSettings, LocalEngine};
use crate::metadata::{Directory, DirectoryError, Settings};
use crate::partition::Directories;

use super::StartError;

/// Directories that are locked.
pub(super) struct DataDirectories {
    metadata: (PathBuf, Arc<dyn Engine>),
    /// For topics, in the order of `log.dirs`; that of the metadata among them, or not.
    data: Vec<(PathBuf, Arc<dyn Engine>)>,
    unusable: Vec<String>,
}

impl DataDirectories {
    pub(super) fn open(env: &Env, config: &ServerConfig) -> Result<Self, StartError> {
        let first = config.log_dirs.first().ok_or(StartError::NoLogDir)?;
        let root = config.metadata_log_dir.as_ref().unwrap_or(first);
        let engines = config.log_dirs.len() as u64 + 1;
        let settings = EngineSettings::with_open_files(open_file_limit() / engines);
        let open = |root: &Path| LocalEngine::open(env, root, settings);
        let metadata: (_, Arc<dyn Engine>) = (root.clone(), open(root)?);
        let (mut data, mut unusable) = (Vec::new(), Vec::new());
        for root in &config.log_dirs {
            if absolute(root) == absolute(&metadata.0) {
                data.push(metadata.clone());
                continue;
            }
            match open(root) {
                Ok(engine) => data.push((root.clone(), engine as Arc<dyn Engine>)),
                Err(EngineError::Io { source, .. }) => unusable.push(told(root, &source)),
                Err(error) => return Err(error.into()),
            }
        }
        Ok(Self { metadata, data, unusable })
    }

    /// Reads whose they are, or makes new ones this node's.
    pub(super) fn identify(
        mut self,
        env: &Env,
        settings: &Settings,
    ) -> Result<(Directory, Directories), StartError> {
        let (root, metadata) = self.metadata;
        let is_other = |engine: &Arc<dyn Engine>| !Arc::ptr_eq(engine, &metadata);
        let others = self.data.iter().filter(|(_, engine)| is_other(engine));
        let others: Vec<&Path> = others.map(|(root, _)| root.as_path()).collect();
        Directory::check_chosen(env, &root, &others)?;
        let directory = Directory::open(env, &root, settings)?;
        let mut data = vec![];
        for (root, engine) in self.data {
            let id = if is_other(&engine) {
                directory.adopt(&root, settings)
            } else {
                Ok(directory.directory_id())
            };
            match id {
                Ok(id) if data.iter().any(|(known, _)| *known == id) => {
                    return Err(DirectoryError::TwiceTheSame(root).into());
                }
                Ok(id) => data.push((id, engine)),
                Err(DirectoryError::Io { source, .. }) => self.unusable.push(told(&root, &source)),
                Err(error) => return Err(error.into()),
            }
        }
        if data.is_empty() {
            return Err(StartError::NoLogDir);
        }
        Ok((directory, Directories::new(metadata, data, self.unusable)))
    }
}

fn absolute(path: &Path) -> PathBuf {
    std::path::absolute(path).unwrap_or_else(|_| path.to_owned())
}

/// The path of a directory that cannot be used, after the log has told why.
fn told(root: &Path, error: &std::io::Error) -> String {
    let directory = absolute(root).display().to_string();
    tracing::error!(
        directory,
        %error,
        "log directory cannot be used: its partitions are offline until the broker is restarted"
    );
    directory
}

#[cfg(test)]
mod tests;
