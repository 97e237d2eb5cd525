//! The files of a data directory that belong to the cluster metadata, apart from the log itself.
//!
//! ```text
//!   meta.properties  bootstrap.checkpoint
//!   __cluster_metadata-0/  quorum-state  <offset>-<epoch>.checkpoint
//! ```
//!
//! A new directory gets the form of `kafka-storage format --standalone`, or with
//! `controller.quorum.voters` that of static voters. `meta.properties` is written last: without it
//! a directory counts as new. All calls block.

use std::io;
use std::path::{Path, PathBuf};

use uuid::Uuid;

use crate::env::{Env, FileKind, OpenMode, read_whole, write_all_at};
use crate::wire::records::MetadataRecord;

use super::Settings;
use super::features::bootstrap_features;
use super::ids::base64;
use super::image::CLUSTER_METADATA_TOPIC;
use super::meta_properties::MetaProperties;
use super::quorum_state::QuorumState;
use super::registration;
use super::snapshot::{Snapshot, SnapshotId};
use super::state::Entry;

const META_PROPERTIES: &str = "meta.properties";
/// None of these files is ever larger.
const FILE_BYTES_MAX: u64 = 1 << 30;

/// Why a directory cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum DirectoryError {
    /// The file system failed.
    #[error("{path}: {source}")]
    Io {
        /// File or directory.
        path: PathBuf,
        /// Cause.
        source: io::Error,
    },
    /// There is data, but nothing that says whose.
    #[error(
        "{path} holds {found} but no meta.properties; restore that file or choose an empty directory"
    )]
    NotFormatted {
        /// The directory.
        path: PathBuf,
        /// An entry that a new directory has not.
        found: String,
    },
    /// The metadata log stands somewhere else.
    #[error(
        "{path} has no cluster metadata, but {other} is of a node that has some; set \
         metadata.log.dir to the directory with {CLUSTER_METADATA_TOPIC}-0"
    )]
    MetadataElsewhere {
        /// The directory that should have it.
        path: PathBuf,
        /// Another one.
        other: PathBuf,
    },
    /// A copy of another directory.
    #[error("{0} has the directory.id of another directory of log.dirs; each has its own")]
    TwiceTheSame(PathBuf),
    /// The content of a file is damaged or that of somebody else.
    #[error("{path}: {source}")]
    File {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        source: FileError,
    },
}

/// Why a file's content cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum FileError {
    /// Cut off or overwritten.
    #[error("it is damaged at {0}; restore it from a backup")]
    Damaged(String),
    /// It says something that this broker cannot serve.
    #[error("{field} is {found}, not {expected}")]
    Refused {
        /// Which part.
        field: &'static str,
        /// What it says.
        found: String,
        /// What it may say.
        expected: String,
    },
}

/// The formatted directory of the metadata log.
pub struct Directory {
    env: Env,
    root: PathBuf,
    log: PathBuf,
    cluster_id: String,
    id: Uuid,
}

impl Directory {
    /// Reads a directory, or makes it one of a new cluster. The engine's lock is held.
    pub fn open(env: &Env, root: &Path, settings: &Settings) -> Result<Self, DirectoryError> {
        let mut directory = Self::unread(env, root);
        let properties = match directory.properties(settings)? {
            Some(properties) => properties,
            None => directory.format(settings)?,
        };
        directory.own(properties)?;
        Ok(directory)
    }

    /// Reads another directory of this node, for logs of topics alone, or makes it one; its id.
    pub fn adopt(&self, root: &Path, settings: &Settings) -> Result<Uuid, DirectoryError> {
        let mut other = Self::unread(&self.env, root);
        let path = root.join(META_PROPERTIES);
        let properties = if let Some(properties) = other.properties(settings)? {
            if properties.cluster_id != self.cluster_id {
                let field = "cluster.id";
                let expected =
                    format!("{}, the cluster of {}", self.cluster_id, self.root.display());
                let source = FileError::Refused { field, found: properties.cluster_id, expected };
                return Err(DirectoryError::File { path, source });
            }
            properties
        } else {
            other.check_new()?;
            let create = self.env.disk.create_dir_all(root);
            create.map_err(|source| failed(root, source))?;
            other.write_bootstrap()?;
            MetaProperties {
                cluster_id: self.cluster_id.clone(),
                node_id: settings.node_id,
                directory_id: None,
            }
        };
        other.own(properties)?;
        Ok(other.id)
    }

    /// The cluster that a directory belongs to; None if it is new.
    pub(super) fn cluster_of(
        env: &Env,
        root: &Path,
        settings: &Settings,
    ) -> Result<Option<String>, DirectoryError> {
        let properties = Self::unread(env, root).properties(settings)?;
        Ok(properties.map(|properties| properties.cluster_id))
    }

    /// Refuses `root` for the metadata log if that stands in one of `others`, or if they belong to
    /// a node and it does not.
    pub fn check_chosen(env: &Env, root: &Path, others: &[&Path]) -> Result<(), DirectoryError> {
        let has = |root: &Path, name: &str| {
            let path = root.join(name);
            Ok(env.disk.kind(&path).map_err(|source| failed(&path, source))?.is_some())
        };
        let is_new = !has(root, META_PROPERTIES)?;
        for other in others {
            let log = format!("{CLUSTER_METADATA_TOPIC}-0");
            if has(other, &log)? || is_new && has(other, META_PROPERTIES)? {
                let (path, other) = (root.to_owned(), other.to_path_buf());
                return Err(DirectoryError::MetadataElsewhere { path, other });
            }
        }
        Ok(())
    }

    fn unread(env: &Env, root: &Path) -> Self {
        Self {
            env: env.clone(),
            root: root.to_owned(),
            log: root.join(format!("{CLUSTER_METADATA_TOPIC}-0")),
            cluster_id: String::new(),
            id: Uuid::nil(),
        }
    }

    fn properties(&self, settings: &Settings) -> Result<Option<MetaProperties>, DirectoryError> {
        let path = self.root.join(META_PROPERTIES);
        let Some(text) = self.read(&path)? else {
            return Ok(None);
        };
        let text = String::from_utf8_lossy(&text);
        MetaProperties::parse(&text, settings.node_id).map(Some).map_err(of_file(&path))
    }

    /// Takes over what `meta.properties` says, with a new id where there is none.
    fn own(&mut self, mut properties: MetaProperties) -> Result<(), DirectoryError> {
        if properties.directory_id.is_none() {
            properties.directory_id = Some(self.env.random.uuid());
            let path = self.root.join(META_PROPERTIES);
            self.replace(&path, properties.to_text().as_bytes())?;
        }
        self.id = properties.directory_id.unwrap_or_default();
        self.cluster_id = properties.cluster_id;
        Ok(())
    }

    /// Id of the cluster.
    pub fn cluster_id(&self) -> &str {
        &self.cluster_id
    }

    /// Id of the directory.
    pub fn directory_id(&self) -> Uuid {
        self.id
    }

    fn format(&self, settings: &Settings) -> Result<MetaProperties, DirectoryError> {
        self.check_new()?;
        let directory_id = self.env.random.uuid();
        let create = self.env.disk.create_dir_all(&self.log);
        create.map_err(|source| failed(&self.log, source))?;
        let now_ms = self.env.clock.now_ms();
        self.write_bootstrap()?;
        if !settings.static_voters {
            let voters = registration::single_voter(settings, directory_id);
            let entries = registration::quorum_records(voters).map(Entry::Control).collect();
            let id = SnapshotId::BOOTSTRAP;
            self.write_snapshot(id, &Snapshot { last_contained_timestamp_ms: now_ms, entries })?;
        }
        let properties = MetaProperties {
            cluster_id: settings
                .cluster_id
                .clone()
                .unwrap_or_else(|| base64(self.env.random.uuid())),
            node_id: settings.node_id,
            directory_id: Some(directory_id),
        };
        self.replace(&self.root.join(META_PROPERTIES), properties.to_text().as_bytes())?;
        Ok(properties)
    }

    /// Kafka's tool writes it into every directory; that of the metadata log is read.
    fn write_bootstrap(&self) -> Result<(), DirectoryError> {
        let entries = bootstrap_features().map(Entry::from).collect();
        let bootstrap = Snapshot { last_contained_timestamp_ms: 0, entries };
        let file = bootstrap.encode(0, self.env.clock.now_ms());
        self.replace(&self.root.join("bootstrap.checkpoint"), &file)
    }

    /// Refuses a directory with logs of topics, or with a metadata log that has records.
    fn check_new(&self) -> Result<(), DirectoryError> {
        let log_name = format!("{CLUSTER_METADATA_TOPIC}-0");
        let mut found = None;
        for name in self.list(&self.root)? {
            let kind = self.env.disk.kind(&self.root.join(&name));
            let kind = kind.map_err(|source| failed(&self.root, source))?;
            let partition =
                name.rsplit_once('-').is_some_and(|(_, number)| number.parse::<i32>().is_ok());
            if kind == Some(FileKind::Directory) && partition && name != log_name {
                found = Some(name);
            }
        }
        let quorum_state = self.log.join("quorum-state");
        if found.is_none() && self.read(&quorum_state)?.is_some() {
            found = Some(format!("{log_name}/quorum-state"));
        }
        match found {
            Some(found) => Err(DirectoryError::NotFormatted { path: self.root.clone(), found }),
            None => Ok(()),
        }
    }

    /// Takes the next epoch for this run, durably.
    pub(super) fn begin_epoch(&self, node_id: i32, at_least: i32) -> Result<i32, DirectoryError> {
        let path = self.log.join("quorum-state");
        let mut state = if let Some(text) = self.read(&path)? {
            let text = String::from_utf8_lossy(&text);
            QuorumState::parse(&text, node_id).map_err(of_file(&path))?
        } else {
            let bootstrap = self.read(&self.log.join(SnapshotId::BOOTSTRAP.file_name()))?;
            QuorumState { leader_epoch: 0, static_voters: bootstrap.is_none() }
        };
        state.leader_epoch = state.leader_epoch.saturating_add(1).max(at_least);
        self.replace(&path, state.to_text(node_id).as_bytes())?;
        Ok(state.leader_epoch)
    }

    /// The records a new cluster starts with.
    pub(super) fn bootstrap_records(&self) -> Result<Vec<MetadataRecord>, DirectoryError> {
        let path = self.root.join("bootstrap.checkpoint");
        let Some(file) = self.read(&path)? else {
            return Ok(bootstrap_features().map(MetadataRecord::from).collect());
        };
        let snapshot = Snapshot::decode(&file).map_err(of_file(&path))?;
        let data = snapshot.entries.into_iter().filter_map(|entry| match entry {
            Entry::Data(record) => Some(record),
            Entry::Control(_) => None,
        });
        Ok(data.collect())
    }

    /// The newest snapshot that can be read; one that cannot is passed over with a warning.
    pub(super) fn newest_snapshot(&self) -> Result<Option<(SnapshotId, Snapshot)>, DirectoryError> {
        let mut ids = self.snapshots()?;
        ids.sort_unstable();
        for id in ids.into_iter().rev() {
            let path = self.log.join(id.file_name());
            match Snapshot::decode(&self.read(&path)?.unwrap_or_default()) {
                Ok(snapshot) => return Ok(Some((id, snapshot))),
                Err(error) => {
                    let path = path.display().to_string();
                    tracing::warn!(path, %error, "a snapshot cannot be read, an older one is taken");
                }
            }
        }
        Ok(None)
    }

    /// Writes a snapshot.
    pub(super) fn write_snapshot(
        &self,
        id: SnapshotId,
        snapshot: &Snapshot,
    ) -> Result<(), DirectoryError> {
        let file = snapshot.encode(id.epoch, self.env.clock.now_ms());
        self.replace(&self.log.join(id.file_name()), &file)
    }

    /// Removes the snapshots older than `newest`.
    pub(super) fn remove_snapshots_before(&self, newest: SnapshotId) -> Result<(), DirectoryError> {
        for id in self.snapshots()?.into_iter().filter(|id| *id < newest) {
            let path = self.log.join(id.file_name());
            self.env.disk.remove_file(&path).map_err(|source| failed(&path, source))?;
        }
        Ok(())
    }

    fn snapshots(&self) -> Result<Vec<SnapshotId>, DirectoryError> {
        let names = self.list(&self.log)?;
        Ok(names.iter().filter_map(|name| SnapshotId::parse(name)).collect())
    }

    fn list(&self, path: &Path) -> Result<Vec<String>, DirectoryError> {
        let listed = match self.env.disk.kind(path) {
            Ok(Some(_)) => self.env.disk.list(path),
            Ok(None) => Ok(Vec::new()),
            Err(error) => Err(error),
        };
        listed.map_err(|source| failed(path, source))
    }

    /// A file's bytes, None where there is none.
    fn read(&self, path: &Path) -> Result<Option<Vec<u8>>, DirectoryError> {
        read_whole(&*self.env.disk, path, FILE_BYTES_MAX).map_err(|source| failed(path, source))
    }

    /// Writes a file so that a crash leaves the old one or the new one.
    fn replace(&self, path: &Path, bytes: &[u8]) -> Result<(), DirectoryError> {
        let disk = &self.env.disk;
        let write = || {
            let mut temporary = path.as_os_str().to_owned();
            temporary.push(".tmp");
            let temporary = PathBuf::from(temporary);
            let file = disk.open(&temporary, OpenMode::Truncate)?;
            write_all_at(&*file, bytes, 0)?;
            file.sync()?;
            disk.rename(&temporary, path)?;
            disk.sync_dir(path.parent().unwrap_or(&self.root))
        };
        write().map_err(|source| failed(path, source))
    }
}

fn failed(path: &Path, source: io::Error) -> DirectoryError {
    DirectoryError::Io { path: path.to_owned(), source }
}

fn of_file(path: &Path) -> impl FnOnce(FileError) -> DirectoryError {
    let path = path.to_owned();
    |source| DirectoryError::File { path, source }
}

#[cfg(test)]
mod tests;
