//! The machine's hard state: what the records of the metadata log add up to.
//!
//! Every kind of record that a default Kafka node writes is applied. Kinds whose feature does not
//! exist yet are kept, so that snapshots hold them again; what this broker could not honour (ACLs,
//! delegation tokens, several replicas, other metadata versions) is refused by name.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use uuid::Uuid;

use crate::config::{BrokerLayers, ConfigMap, TopicConfig, resource};
use crate::shard::Position;
use crate::wire::records::{
    BrokerRegistrationChangeRecord, ConfigRecord, ControlRecord, MetadataRecord,
    PartitionChangeRecord, PartitionRecord, RecordError, RegisterBrokerRecord,
    RegisterControllerRecord, TopicRecord, VotersRecord,
};

use super::features::{
    FEATURES, KRAFT_VERSION_FEATURE, METADATA_VERSION, METADATA_VERSION_FEATURE,
};
use super::image::{MetadataImage, PartitionImage, TopicImage, is_internal_topic};

/// A partition number at or above this in the log is damage.
pub(super) const PARTITIONS_MAX: usize = 1_000_000;

/// A record of the metadata log.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Entry {
    /// Of the log itself: epochs, voters.
    Control(ControlRecord),
    /// Of the cluster.
    Data(MetadataRecord),
}

impl<T: Into<MetadataRecord>> From<T> for Entry {
    fn from(record: T) -> Self {
        Self::Data(record.into())
    }
}

/// Why a record of the metadata log cannot be applied.
#[derive(Debug, thiserror::Error)]
pub enum ReplayError {
    /// It is of a kind, or has bytes, that cannot be read.
    #[error("metadata log: {0}")]
    Unreadable(#[from] RecordError),
    /// It asks for something that this broker does not do.
    #[error("{0}")]
    Refused(String),
    /// Records, log and snapshot do not go together.
    #[error("metadata log: {0}")]
    Inconsistent(String),
}

/// Everything the records add up to.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct State {
    /// The part that is published.
    pub image: Arc<MetadataImage>,
    /// Registrations, by broker.
    pub brokers: BTreeMap<i32, RegisterBrokerRecord>,
    /// Registrations, by controller.
    pub controllers: BTreeMap<i32, RegisterControllerRecord>,
    /// First id of the next block.
    pub next_producer_id: i64,
    /// Quotas and credentials, by what they belong to.
    pub kept: BTreeMap<String, MetadataRecord>,
    /// The voters, unless they are static.
    pub voters: Option<VotersRecord>,
    /// Records since a begin record that has no end yet.
    pub transaction: Option<Vec<MetadataRecord>>,
    /// Time of the last record, in milliseconds.
    pub last_timestamp_ms: i64,
    /// Topics removed since [`State::take_removed`].
    removed: Vec<Arc<TopicImage>>,
    /// Topics created, grown or configured since [`State::settle`].
    stale: BTreeSet<Uuid>,
    all_stale: bool,
}

impl State {
    /// The state before any record.
    pub(super) fn new(cluster_id: Arc<str>, node_id: i32) -> Self {
        Self {
            image: Arc::new(MetadataImage::empty(cluster_id, node_id)),
            brokers: BTreeMap::new(),
            controllers: BTreeMap::new(),
            next_producer_id: 0,
            kept: BTreeMap::new(),
            voters: None,
            transaction: None,
            last_timestamp_ms: 0,
            removed: Vec::new(),
            stale: BTreeSet::new(),
            all_stale: true,
        }
    }

    fn image(&mut self) -> &mut MetadataImage {
        Arc::make_mut(&mut self.image)
    }

    /// Takes over a record that stands at `at`.
    pub(super) fn apply(&mut self, entry: &Entry, at: Position) -> Result<(), ReplayError> {
        let image = self.image();
        image.finalized_features_epoch = at.offset;
        image.controller_epoch = at.epoch;
        self.last_timestamp_ms = at.timestamp_ms;
        match entry {
            Entry::Control(record) => self.control(record),
            Entry::Data(record) => self.framed(record),
        }
    }

    fn control(&mut self, record: &ControlRecord) -> Result<(), ReplayError> {
        match record {
            ControlRecord::KRaftVersion(record) => {
                self.set_feature(KRAFT_VERSION_FEATURE, record.k_raft_version)?;
            }
            ControlRecord::Voters(record) => {
                let voters: Vec<i32> = record.voters.iter().map(|voter| voter.voter_id).collect();
                if voters != [self.image.node_id] {
                    return Err(ReplayError::Refused(format!(
                        "the metadata quorum has the voters {voters:?}: Ottla serves single-node \
                         directories"
                    )));
                }
                self.voters = Some(record.clone());
            }
            ControlRecord::LeaderChange(_)
            | ControlRecord::SnapshotHeader(_)
            | ControlRecord::SnapshotFooter(_) => {}
        }
        Ok(())
    }

    /// Holds records of a metadata transaction (KIP-868) back until it ends.
    fn framed(&mut self, record: &MetadataRecord) -> Result<(), ReplayError> {
        match (record, &mut self.transaction) {
            (MetadataRecord::BeginTransactionRecord(_), None) => {
                self.transaction = Some(Vec::new());
                Ok(())
            }
            (MetadataRecord::AbortTransactionRecord(_), Some(_)) => {
                self.transaction = None;
                Ok(())
            }
            (MetadataRecord::EndTransactionRecord(_), Some(_)) => {
                let records = self.transaction.take().unwrap_or_default();
                records.iter().try_for_each(|record| self.data(record))
            }
            (
                MetadataRecord::BeginTransactionRecord(_)
                | MetadataRecord::AbortTransactionRecord(_)
                | MetadataRecord::EndTransactionRecord(_),
                _,
            ) => Err(ReplayError::Inconsistent(format!("{} out of place", record.name()))),
            (record, Some(held)) => {
                held.push(record.clone());
                Ok(())
            }
            (record, None) => self.data(record),
        }
    }

    fn data(&mut self, record: &MetadataRecord) -> Result<(), ReplayError> {
        use MetadataRecord as Kind;
        match record {
            Kind::TopicRecord(record) => self.topic(record),
            Kind::PartitionRecord(record) => self.partition(record)?,
            Kind::PartitionChangeRecord(record) => self.partition_change(record)?,
            Kind::ConfigRecord(record) => self.config(record),
            Kind::RemoveTopicRecord(record) => {
                let removed = self.image().remove(record.topic_id);
                self.removed.push(removed.ok_or_else(|| unknown_topic(record.topic_id))?);
            }
            Kind::FeatureLevelRecord(record) => {
                self.set_feature(&record.name, record.feature_level)?;
            }
            Kind::RegisterBrokerRecord(record) => {
                if record.broker_id == self.image.node_id {
                    self.image().broker_epoch = record.broker_epoch;
                }
                self.brokers.insert(record.broker_id, record.clone());
            }
            Kind::UnregisterBrokerRecord(record) => {
                self.brokers.remove(&record.broker_id);
            }
            Kind::BrokerRegistrationChangeRecord(record) => self.registration_change(record)?,
            Kind::FenceBrokerRecord(record) => self.broker(record.id)?.fenced = true,
            Kind::UnfenceBrokerRecord(record) => self.broker(record.id)?.fenced = false,
            Kind::RegisterControllerRecord(record) => {
                self.controllers.insert(record.controller_id, record.clone());
            }
            Kind::ProducerIdsRecord(record) => self.next_producer_id = record.next_producer_id,
            record => return self.keep(record),
        }
        Ok(())
    }

    /// Records of features that do not exist yet.
    fn keep(&mut self, record: &MetadataRecord) -> Result<(), ReplayError> {
        use MetadataRecord as Kind;
        let refuse = |what| {
            let name = record.name();
            let text = format!("{name} found: {what}; remove it with Apache Kafka first");
            Err(ReplayError::Refused(text))
        };
        let scram = |name: &str, mechanism: i8| format!("user {mechanism} {name}");
        match record {
            Kind::ClientQuotaRecord(quota) => {
                let key = format!("quota {} {:?}", quota.key, quota.entity);
                self.kept.remove(&key);
                if !quota.remove {
                    self.kept.insert(key, record.clone());
                }
            }
            Kind::UserScramCredentialRecord(user) => {
                self.kept.insert(scram(&user.name, user.mechanism), record.clone());
            }
            Kind::RemoveUserScramCredentialRecord(user) => {
                self.kept.remove(&scram(&user.name, user.mechanism));
            }
            Kind::AccessControlEntryRecord(_) | Kind::RemoveAccessControlEntryRecord(_) => {
                return refuse("ACLs are not enforced yet");
            }
            Kind::DelegationTokenRecord(_) | Kind::RemoveDelegationTokenRecord(_) => {
                return refuse("delegation tokens are not supported");
            }
            // With one replica there are never eligible leaders outside the in-sync set.
            Kind::ClearElrRecord(_) | Kind::NoOpRecord(_) | Kind::ZkMigrationStateRecord(_) => {}
            record => {
                return Err(ReplayError::Inconsistent(format!("{} out of place", record.name())));
            }
        }
        Ok(())
    }

    fn topic(&mut self, record: &TopicRecord) {
        let name: Arc<str> = record.name.as_str().into();
        let internal = is_internal_topic(&name);
        self.stale.insert(record.topic_id);
        self.image().put(TopicImage {
            name,
            id: record.topic_id,
            partitions: Vec::new(),
            overrides: ConfigMap::new(),
            config: Arc::default(),
            internal,
        });
    }

    fn partition(&mut self, record: &PartitionRecord) -> Result<(), ReplayError> {
        let id = record.topic_id;
        self.check_replicas(id, record.partition_id, &record.replicas)?;
        let number = usize::try_from(record.partition_id).ok();
        let number = number.filter(|number| *number < PARTITIONS_MAX).ok_or_else(|| {
            ReplayError::Inconsistent(format!("partition number {}", record.partition_id))
        })?;
        let partition = PartitionImage {
            leader: record.leader,
            leader_epoch: record.leader_epoch,
            partition_epoch: record.partition_epoch,
            // Records from before Kafka 3.7 name none.
            directory: record.directories.first().copied().unwrap_or_default(),
        };
        self.stale.insert(id);
        let known = self.image().change(id, |topic| {
            let length = topic.partitions.len().max(number + 1);
            topic.partitions.resize(length, PartitionImage::MISSING);
            topic.partitions[number] = partition;
        });
        if known { Ok(()) } else { Err(unknown_topic(id)) }
    }

    fn partition_change(&mut self, record: &PartitionChangeRecord) -> Result<(), ReplayError> {
        if let Some(replicas) = &record.replicas {
            self.check_replicas(record.topic_id, record.partition_id, replicas)?;
        }
        let mut known = false;
        self.image().change(record.topic_id, |topic| {
            let number = usize::try_from(record.partition_id).ok();
            let partition = number.and_then(|number| topic.partitions.get_mut(number));
            let Some(partition) = partition else { return };
            known = true;
            partition.partition_epoch = partition.partition_epoch.saturating_add(1);
            // -2 stands for no change; naming a leader is an election, also of the same one.
            if record.leader != -2 {
                partition.leader = record.leader;
                partition.leader_epoch = partition.leader_epoch.saturating_add(1);
            }
            if let Some([directory]) = record.directories.as_deref() {
                partition.directory = *directory;
            }
        });
        if known { Ok(()) } else { Err(unknown_topic(record.topic_id)) }
    }

    fn check_replicas(
        &self,
        id: Uuid,
        partition: i32,
        replicas: &[i32],
    ) -> Result<(), ReplayError> {
        if replicas == [self.image.node_id] {
            return Ok(());
        }
        let topic = self.image.topic_by_id(id);
        let topic = topic.map_or_else(|| id.to_string(), |topic| topic.name.to_string());
        Err(ReplayError::Refused(format!(
            "topic {topic} partition {partition} has replicas {replicas:?}: Ottla serves \
             single-node directories"
        )))
    }

    fn config(&mut self, record: &ConfigRecord) {
        let set = |map: &mut ConfigMap| match &record.value {
            Some(value) => {
                map.insert(record.name.clone(), value.clone());
            }
            None => {
                map.remove(&record.name);
            }
        };
        if record.resource_type == resource::TOPIC {
            let topic = self.image.topic(&record.resource_name).map(|topic| topic.id);
            if let Some(id) = topic {
                self.image().change(id, |topic| set(&mut topic.overrides));
                self.stale.insert(id);
            }
            return;
        }
        self.all_stale |= record.resource_type == resource::BROKER;
        let key = (record.resource_type, record.resource_name.clone());
        let configs = &mut self.image().configs;
        let map = configs.entry(key.clone()).or_default();
        set(map);
        if map.is_empty() {
            configs.remove(&key);
        }
    }

    fn set_feature(&mut self, name: &str, level: i16) -> Result<(), ReplayError> {
        let supported = FEATURES.iter().find(|feature| feature.name == name);
        let (min, max) = match supported {
            Some(feature) if feature.name == METADATA_VERSION_FEATURE => {
                (METADATA_VERSION, METADATA_VERSION)
            }
            Some(feature) => (feature.min_level, feature.max_level),
            None => (0, 0),
        };
        if !(min..=max).contains(&level) {
            return Err(ReplayError::Refused(format!(
                "feature {name} is at level {level}, this broker serves {min} to {max}; change it \
                 with kafka-features of Apache Kafka 4.3"
            )));
        }
        match level {
            0 => self.image().finalized_features.remove(name),
            level => self.image().finalized_features.insert(name.to_owned(), level),
        };
        Ok(())
    }

    fn broker(&mut self, id: i32) -> Result<&mut RegisterBrokerRecord, ReplayError> {
        let unknown = || ReplayError::Inconsistent(format!("broker {id} is not registered"));
        self.brokers.get_mut(&id).ok_or_else(unknown)
    }

    fn registration_change(
        &mut self,
        record: &BrokerRegistrationChangeRecord,
    ) -> Result<(), ReplayError> {
        let broker = self.broker(record.broker_id)?;
        match record.fenced {
            0 => {}
            change => broker.fenced = change > 0,
        }
        if record.in_controlled_shutdown != 0 {
            broker.in_controlled_shutdown = record.in_controlled_shutdown > 0;
        }
        if !record.log_dirs.is_empty() {
            broker.log_dirs.clone_from(&record.log_dirs);
        }
        if record.cordoned_log_dirs.is_some() {
            broker.cordoned_log_dirs.clone_from(&record.cordoned_log_dirs);
        }
        Ok(())
    }

    /// Reads anew the configuration of topics for which it may have changed, and names these topics.
    /// Apart from `apply`, so that a replay does it once.
    pub(super) fn settle(&mut self, fixed: &ConfigMap) -> Vec<Uuid> {
        let stale: Vec<Uuid> = if std::mem::take(&mut self.all_stale) {
            self.image.topics().map(|topic| topic.id).collect()
        } else {
            self.stale.iter().copied().collect()
        };
        self.stale.clear();
        if stale.is_empty() {
            return stale;
        }
        let image = self.image.clone();
        let layers = image.broker_layers(fixed);
        let shared = Arc::new(resolve(&ConfigMap::new(), &layers));
        let config = |id: &Uuid| {
            let own = image.topic_by_id(*id).map(|topic| &topic.overrides);
            match own.filter(|own| !own.is_empty()) {
                Some(own) => Arc::new(resolve(own, &layers)),
                None => shared.clone(),
            }
        };
        let configs: Vec<_> = stale.iter().map(config).collect();
        drop(image);
        for (id, config) in stale.iter().zip(configs) {
            self.image().change(*id, |topic| topic.config = config);
        }
        stale
    }

    /// Topics removed since the last call.
    pub(super) fn take_removed(&mut self) -> Vec<Arc<TopicImage>> {
        std::mem::take(&mut self.removed)
    }

    /// Refuses a topic of which a partition was named only by a higher number.
    pub(super) fn check_complete(&self) -> Result<(), ReplayError> {
        let lacking =
            |topic: &&Arc<TopicImage>| topic.partitions.contains(&PartitionImage::MISSING);
        let text = |topic: &Arc<TopicImage>| format!("topic {} lacks a partition", topic.name);
        let lacking = self.image.topics().find(lacking).map(text);
        lacking.map_or(Ok(()), |text| Err(ReplayError::Inconsistent(text)))
    }
}

fn unknown_topic(id: Uuid) -> ReplayError {
    ReplayError::Inconsistent(format!("topic id {} is unknown", super::ids::base64(id)))
}

/// A topic's configuration. What stands in the log was valid when it was written; if this broker
/// cannot read it, the defaults serve and the value stays.
fn resolve(overrides: &ConfigMap, layers: &BrokerLayers<'_>) -> TopicConfig {
    TopicConfig::resolve(overrides, layers).unwrap_or_else(|error| {
        tracing::warn!(%error, "a topic's configuration cannot be read, the defaults are used");
        TopicConfig::default()
    })
}
