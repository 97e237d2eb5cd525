//! Cluster metadata: topics, configurations, features and producer ids.
//!
//! A machine on the log `__cluster_metadata-0` with the records, control batches and snapshots of
//! `KRaft`, so that Apache Kafka can go on where this broker stopped, and the other way round.
//!
//! - Everyone reads a [`MetadataImage`] without a lock. It is published once the records behind it
//!   are committed and what follows from them is done: a topic in it serves.
//! - [`start`] loads snapshot and log, begins a new epoch, registers this run, gives partitions
//!   without a leader (and after an unclean stop all) a higher leader epoch, opens every topic and
//!   only then publishes the first image.
//! - When the log has grown, a snapshot is written beside it and the log below it goes.

mod configs;
mod directory;
mod features;
mod format;
mod handle;
mod host;
mod ids;
mod image;
mod machine;
mod meta_properties;
mod partitions;
mod places;
mod quorum_state;
mod registration;
mod snapshot;
mod start;
mod state;
mod topics;

use crate::config::{BrokerLayers, ConfigMap, ServerConfig};

pub use configs::{ConfigChange, ConfigOperation};
pub use directory::{Directory, DirectoryError, FileError};
pub use features::{FEATURES, Feature};
pub use format::{FormatError, METADATA_VERSION_NAME, format};
pub use handle::Metadata;
pub use ids::{base64, from_base64};
pub use image::{
    CLUSTER_METADATA_TOPIC, CLUSTER_METADATA_TOPIC_ID, ConfigResource, MetadataImage,
    PartitionImage, TopicImage, is_internal_topic,
};
pub use partitions::NewPartitions;
pub use registration::Endpoint;
pub use start::{Parts, StartError, start};
pub use state::ReplayError;
pub use topics::{CreatedTopic, NewTopic, TopicError, validate_topic_name};

/// Port of the controller in the records of a broker that has no controller listener.
const CONTROLLER_PORT: u16 = 9_093;

/// What cluster metadata takes from the broker's configuration.
#[derive(Clone, Debug)]
pub struct Settings {
    /// `node.id`.
    pub node_id: i32,
    /// Id of a new cluster; None for a random one.
    pub cluster_id: Option<String>,
    /// `num.partitions`.
    pub num_partitions: i32,
    /// `default.replication.factor`.
    pub replication_factor: i16,
    /// What the registered broker listens on, with the ports that are bound.
    pub listeners: Vec<Endpoint>,
    /// What the registered controller would listen on.
    pub controller: Endpoint,
    /// `broker.rack`.
    pub rack: Option<String>,
    /// A new directory gets the form of static voters.
    pub static_voters: bool,
    /// Bytes of records after which a snapshot is written.
    pub snapshot_bytes: u64,
    /// Everything set in the file, which topics inherit.
    pub fixed: ConfigMap,
}

impl Settings {
    /// The settings of a broker that is bound to `listeners`.
    pub fn new(config: &ServerConfig, listeners: Vec<Endpoint>) -> Self {
        let controller = config.controller_listener.as_ref();
        let host = controller.and_then(|listener| listener.host.clone());
        let port = controller.map_or(CONTROLLER_PORT, |listener| listener.port);
        let snapshot_bytes = BrokerLayers::fixed(&config.explicit)
            .integer("metadata.log.max.record.bytes.between.snapshots");
        Self {
            node_id: config.node_id,
            cluster_id: None,
            num_partitions: config.num_partitions,
            replication_factor: config.default_replication_factor,
            listeners,
            controller: Endpoint {
                name: controller.map_or("CONTROLLER", |listener| &listener.name).to_owned(),
                host: host.unwrap_or_else(|| "localhost".to_owned()),
                port,
            },
            rack: config.explicit.get("broker.rack").cloned(),
            static_voters: !config.quorum_voters.is_empty(),
            snapshot_bytes: snapshot_bytes.unsigned_abs(),
            fixed: config.explicit.clone(),
        }
    }
}

#[cfg(test)]
mod tests;
