//! Starting: load, begin an epoch, register, elect, open, publish.

use std::io;
use std::sync::{Arc, PoisonError};

use arc_swap::ArcSwap;
use tokio::sync::Mutex;

use crate::config::TopicConfig;
use crate::env::Env;
use crate::log::{AppendError, LogId, OpenError};
use crate::partition::{Partition, Registry};
use crate::shard::{CallError, LoadError, Shard};

use super::Settings;
use super::directory::{Directory, DirectoryError};
use super::features::bootstrap_features;
use super::handle::Metadata;
use super::host::MetadataHost;
use super::image::{CLUSTER_METADATA_TOPIC, CLUSTER_METADATA_TOPIC_ID, MetadataImage};
use super::machine::{Command, MetadataMachine, Process, Reply};
use super::state::ReplayError;

/// Why cluster metadata could not be started.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The data directory cannot be used.
    #[error(transparent)]
    Directory(#[from] DirectoryError),
    /// The metadata log or a topic cannot be opened.
    #[error(transparent)]
    Open(#[from] OpenError),
    /// What stands in the directories cannot be listed.
    #[error("log.dirs: {0}")]
    Places(io::Error),
    /// The metadata log cannot be replayed.
    #[error("__cluster_metadata-0: {0}")]
    Load(#[from] LoadError<ReplayError>),
    /// The new epoch cannot be noted.
    #[error("__cluster_metadata-0: {0}")]
    Epoch(#[from] AppendError),
    /// The first records cannot be written.
    #[error("__cluster_metadata-0: {0}")]
    Write(#[from] CallError),
}

/// The broker's parts that metadata works with.
pub struct Parts {
    /// Time, chance, files.
    pub env: Env,
    /// Where topics are opened; its directories keep the metadata log too.
    pub registry: Arc<Registry>,
    /// The directory of the metadata log; None for a broker in memory.
    pub directory: Option<Directory>,
}

/// Starts cluster metadata. When this returns every topic is open and the image published.
pub async fn start(parts: Parts, settings: Settings) -> Result<Metadata, StartError> {
    let Parts { env, registry, directory } = parts;
    let directory = directory.map(Arc::new);
    let settings = Arc::new(settings);
    let epoch = match &directory {
        Some(directory) => directory.begin_epoch(settings.node_id, 0)?,
        None => 1,
    };
    let partition = open_log(&env, &registry, epoch).await?;
    let random_id = || super::base64(env.random.uuid());
    let cluster_id: Arc<str> = match &directory {
        Some(directory) => directory.cluster_id().into(),
        None => settings.cluster_id.clone().unwrap_or_else(random_id).into(),
    };
    let searched = registry.clone();
    let places = env.offload.run(move || searched.directories().places()).await;
    let process = Process {
        settings: settings.clone(),
        random: env.random.clone(),
        directories: registry.directories().ids(),
        lacks_directories: registry.directories().lacks_any(),
        places: Arc::new(places.map_err(StartError::Places)?),
        incarnation_id: env.random.uuid(),
        clean_shutdown_epoch: registry.directories().clean_shutdown_epoch(),
    };
    let empty = MetadataImage::empty(cluster_id.clone(), settings.node_id);
    let image = Arc::new(ArcSwap::from_pointee(empty));
    let host = Arc::new(MetadataHost {
        env: env.clone(),
        process,
        cluster_id,
        directory: directory.clone(),
        registry,
        partition: partition.clone(),
        image: image.clone(),
        unopened: std::sync::Mutex::default(),
    });
    let first = match &directory {
        Some(directory) => directory.bootstrap_records()?,
        None => bootstrap_features().map(Into::into).collect(),
    };
    let shard = Shard::<MetadataMachine>::start(env, partition.clone(), host.clone()).await?;
    while let Reply::EpochTaken(taken) = shard.call(Command::BeginEpoch).await? {
        // quorum-state was lost or is older than the log.
        let epoch = taken.saturating_add(1);
        if let Some(directory) = &directory {
            directory.begin_epoch(settings.node_id, epoch)?;
        }
        partition.raise_leader_epoch(epoch)?;
    }
    for command in [Command::Bootstrap(first), Command::Register] {
        shard.call(command).await?;
    }
    while !matches!(shard.call(Command::Elect).await?, Reply::Done(0)) {}
    shard.call(Command::Unfence).await?;
    if let Some(error) = host.unopened.lock().unwrap_or_else(PoisonError::into_inner).take() {
        return Err(error.into());
    }
    Ok(Metadata { shard, image, partition, producer_ids: Arc::new(Mutex::new(0..0)) })
}

async fn open_log(
    env: &Env,
    registry: &Registry,
    epoch: i32,
) -> Result<Arc<Partition>, StartError> {
    let id = LogId {
        topic: CLUSTER_METADATA_TOPIC.into(),
        topic_id: CLUSTER_METADATA_TOPIC_ID,
        partition: 0,
    };
    let config = Arc::new(TopicConfig::default());
    let engine = &**registry.directories().metadata();
    Ok(Partition::open(env, engine, id, epoch, config).await?)
}
