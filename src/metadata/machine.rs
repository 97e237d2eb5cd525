//! The cluster metadata machine: commands in, `KRaft`'s records out.
//!
//! A start is a series of commands: an epoch begins (control records), a new cluster gets its
//! features, this node registers as controller and broker, partitions get a leader again, and
//! with the record that unfences the broker it serves. That the broker serves is itself derived
//! from the records, so that a replay in the running process comes to the same state.

use std::sync::Arc;

use uuid::Uuid;

use crate::env::Random;
use crate::partition::Places;
use crate::shard::{KeyValue, Machine, Moment, Outcome, Position, Ticket};
use crate::wire::ErrorCode;
use crate::wire::records::{
    AbortTransactionRecord, BrokerRegistrationChangeRecord, ControlRecord, MetadataRecord,
    ProducerIdsRecord, RegisterBrokerRecord, RemoveTopicRecord, VersionedRecord,
};

use super::Settings;
use super::configs::ConfigChange;
use super::features::METADATA_VERSION_FEATURE;
use super::image::{MetadataImage, TopicImage};
use super::partitions::NewPartitions;
use super::registration;
use super::state::{Entry, ReplayError, State};
use super::topics::{CreatedTopic, NewTopic, RECORDS_MAX, TopicError};

/// Producer ids in a block (Kafka: `ProducerIdsBlock.PRODUCER_ID_BLOCK_SIZE`).
pub(super) const PRODUCER_ID_BLOCK: i64 = 1_000;

/// What the machine is asked.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Command {
    /// Begin the partition's new leader epoch.
    BeginEpoch,
    /// Write a new cluster's first records, or end a transaction that a crash has left open.
    Bootstrap(Vec<MetadataRecord>),
    /// Register this process as controller and broker.
    Register,
    /// Give up to 10,000 partitions the leader, the epoch and the directory that they should have,
    /// until none lacks them. Answers how many records were written.
    Elect,
    /// This directory has failed.
    Fail(Uuid),
    /// Serve from now on.
    Unfence,
    /// Serve no longer, so that the next start need not wait for a session to time out.
    Fence,
    /// Create topics, each for itself.
    CreateTopics {
        /// The topics; names do not repeat.
        topics: Vec<NewTopic>,
        /// Only say what would happen.
        validate_only: bool,
    },
    /// Delete topics, each for itself.
    DeleteTopics(Vec<Uuid>),
    /// Add partitions to topics, each for itself.
    CreatePartitions {
        /// The topics; names do not repeat.
        topics: Vec<NewPartitions>,
        /// Only say what would happen.
        validate_only: bool,
    },
    /// Change topics' configurations, each for itself.
    AlterConfigs {
        /// The topics; names do not repeat.
        changes: Vec<ConfigChange>,
        /// Only say what would happen.
        validate_only: bool,
    },
    /// Reserve a block of producer ids.
    AllocateProducerIds,
}

/// What it answers.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Reply {
    /// Done; how many records it took.
    Done(usize),
    /// The log has records of the epoch that was to begin, or of this newer one.
    EpochTaken(i32),
    /// For each topic, in order.
    Created(Vec<Result<CreatedTopic, TopicError>>),
    /// For each topic to be changed or deleted, in order.
    Changed(Vec<Result<(), TopicError>>),
    /// First id of a block.
    ProducerIds(Result<i64, TopicError>),
}

/// What must happen because of records, in this order.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Effect {
    /// Serve these topics.
    Open(Vec<Arc<TopicImage>>),
    /// Show everyone this image.
    Publish(Arc<MetadataImage>),
    /// Remove the logs of these topics.
    Delete(Vec<Arc<TopicImage>>),
    /// Write a snapshot of this state.
    Snapshot(Box<State>),
}

/// What a process gives its machine, the same at every replay.
#[derive(Clone, Debug)]
pub(super) struct Process {
    /// Settings.
    pub settings: Arc<Settings>,
    /// Where topic ids come from.
    pub random: Arc<Random>,
    /// The directories that topics' logs may stand in.
    pub directories: Vec<Uuid>,
    /// There are others, which could not be opened.
    pub lacks_directories: bool,
    /// Where logs stood at the start; says nothing where there is only one directory.
    pub places: Arc<Places>,
    /// Id of this run, which the broker registers with.
    pub incarnation_id: Uuid,
    /// Broker epoch in the clean-shutdown marker.
    pub clean_shutdown_epoch: Option<i64>,
}

/// The machine.
pub(super) struct MetadataMachine {
    pub(super) process: Process,
    pub(super) state: State,
    /// Every partition gets a new epoch at the start, not only those without a leader.
    unclean: bool,
    /// Changes of partitions that are still to be made.
    elections: Option<Vec<Entry>>,
    /// Topics have been opened.
    served: bool,
    bytes_since_snapshot: u64,
}

impl MetadataMachine {
    /// A machine that goes on from `state`: empty, or that of a snapshot.
    pub(super) fn new(process: Process, state: State) -> Self {
        Self {
            process,
            state,
            unclean: false,
            elections: None,
            served: false,
            bytes_since_snapshot: 0,
        }
    }

    pub(super) fn settings(&self) -> &Settings {
        &self.process.settings
    }

    /// This run's registration as a broker.
    pub(super) fn registration(&self) -> Option<&RegisterBrokerRecord> {
        let own = self.state.brokers.get(&self.settings().node_id);
        own.filter(|broker| broker.incarnation_id == self.process.incarnation_id)
    }

    fn begin_epoch(&self, now: Moment) -> Vec<Entry> {
        let mut records = vec![registration::leader_change(self.settings().node_id)];
        // The voters of the bootstrap checkpoint go into the log once.
        if let Some(voters) = self.state.voters.clone().filter(|_| now.next_offset == 0) {
            records.extend(registration::quorum_records(voters).map(Entry::Control));
        }
        records
    }

    fn bootstrap(&self, first: Vec<MetadataRecord>) -> Vec<Entry> {
        let mut records = Vec::new();
        if self.state.transaction.is_some() {
            let reason = Some("Controller failover".to_owned());
            records.push(AbortTransactionRecord { reason }.into());
        }
        if !self.state.image.finalized_features.contains_key(METADATA_VERSION_FEATURE) {
            records.extend(registration::first_transaction(first, self.settings()));
        }
        records
    }

    fn register(&self, now: Moment) -> Vec<Entry> {
        let controller = registration::controller(self.settings(), self.process.incarnation_id);
        let mut broker = registration::broker(self.settings(), self.process.incarnation_id);
        broker.log_dirs.clone_from(&self.process.directories);
        // A broker's epoch is the offset of its record, here the second.
        broker.broker_epoch = now.next_offset + 1;
        vec![controller.into(), broker.into()]
    }

    fn change_registration(&self, fenced: i8) -> Vec<Entry> {
        let Some(own) = self.registration() else {
            return Vec::new();
        };
        let (broker_id, broker_epoch) = (own.broker_id, own.broker_epoch);
        let change =
            BrokerRegistrationChangeRecord { broker_id, broker_epoch, ..Default::default() };
        let fence = BrokerRegistrationChangeRecord { fenced, ..change.clone() };
        let cordon =
            BrokerRegistrationChangeRecord { cordoned_log_dirs: Some(Vec::new()), ..change };
        match fenced {
            // What the reference's controller writes once a broker has caught up.
            -1 => vec![fence.into(), cordon.into()],
            _ => vec![fence.into()],
        }
    }

    fn elect(&mut self) -> Vec<Entry> {
        let all = std::mem::take(&mut self.unclean);
        let mut elections = self.elections.take().unwrap_or_else(|| self.elections(all));
        let rest = elections.split_off(elections.len().min(RECORDS_MAX));
        // Nothing left: the next time they are counted anew.
        self.elections = (!elections.is_empty()).then_some(rest);
        elections
    }

    fn fail(&mut self, failed: Uuid) -> Vec<Entry> {
        self.elections = None;
        let Some(own) = self.registration() else {
            return Vec::new();
        };
        let (broker_id, broker_epoch) = (own.broker_id, own.broker_epoch);
        let remain = own.log_dirs.iter().copied().filter(|directory| *directory != failed);
        let log_dirs: Vec<Uuid> = remain.collect();
        // An empty list stands for no change; without directories the process ends.
        if log_dirs.is_empty() || log_dirs.len() == own.log_dirs.len() {
            return Vec::new();
        }
        let change = BrokerRegistrationChangeRecord {
            broker_id,
            broker_epoch,
            log_dirs,
            ..Default::default()
        };
        vec![change.into()]
    }

    fn delete_topics(&self, ids: &[Uuid]) -> (Vec<Entry>, Vec<Result<(), TopicError>>) {
        let known = |id: &&Uuid| self.state.image.topic_by_id(**id).is_some();
        let remove = |id: &Uuid| Entry::from(RemoveTopicRecord { topic_id: *id });
        let answer = |id| {
            if known(&id) { Ok(()) } else { Err(TopicError::unknown_topic_id()) }
        };
        (ids.iter().filter(known).map(remove).collect(), ids.iter().map(answer).collect())
    }

    fn allocate_producer_ids(&self) -> (Vec<Entry>, Result<i64, TopicError>) {
        let first = self.state.next_producer_id;
        let Some(next_producer_id) = first.checked_add(PRODUCER_ID_BLOCK) else {
            let text = "Exhausted all producerIds as the next block's end producerId has exceeded \
                        the int64 type limit";
            return (Vec::new(), Err(TopicError::new(ErrorCode::UnknownServerError, text)));
        };
        let (broker_id, broker_epoch) = (self.settings().node_id, self.state.image.broker_epoch);
        let record = ProducerIdsRecord { broker_id, broker_epoch, next_producer_id };
        (vec![record.into()], Ok(first))
    }
}

impl Machine for MetadataMachine {
    type Command = Command;
    type Reply = Reply;
    type Record = Entry;
    type Effect = Effect;
    type ReplayError = ReplayError;

    const BASE_SEQUENCE: i32 = -1;

    fn handle(&mut self, ticket: Ticket, command: Command, now: Moment) -> Outcome<Entry, Reply> {
        let done = |records: Vec<Entry>| {
            let reply = Reply::Done(records.len());
            Outcome::new(records, ticket, reply)
        };
        match command {
            Command::BeginEpoch if now.epoch <= self.state.image.controller_epoch => {
                let taken = Reply::EpochTaken(self.state.image.controller_epoch);
                Outcome::new(Vec::new(), ticket, taken)
            }
            Command::BeginEpoch => {
                let mut outcome = done(self.begin_epoch(now));
                if let Some(batch) = &mut outcome.batch {
                    batch.control = true;
                }
                outcome
            }
            Command::Bootstrap(first) => done(self.bootstrap(first)),
            Command::Register => done(self.register(now)),
            Command::Elect => done(self.elect()),
            Command::Fail(directory) => done(self.fail(directory)),
            Command::Unfence => done(self.change_registration(-1)),
            Command::Fence => done(self.change_registration(1)),
            Command::CreateTopics { topics, validate_only } => {
                let (records, created) = self.create_topics(&topics);
                let records = if validate_only { Vec::new() } else { records };
                Outcome::new(records, ticket, Reply::Created(created))
            }
            Command::DeleteTopics(ids) => {
                let (records, deleted) = self.delete_topics(&ids);
                Outcome::new(records, ticket, Reply::Changed(deleted))
            }
            Command::CreatePartitions { topics, validate_only } => {
                let (records, created) = self.create_partitions(&topics);
                let records = if validate_only { Vec::new() } else { records };
                Outcome::new(records, ticket, Reply::Changed(created))
            }
            Command::AlterConfigs { changes, validate_only } => {
                let (records, altered) = self.alter_configs(&changes);
                let records = if validate_only { Vec::new() } else { records };
                Outcome::new(records, ticket, Reply::Changed(altered))
            }
            Command::AllocateProducerIds => {
                let (records, first) = self.allocate_producer_ids();
                Outcome::new(records, ticket, Reply::ProducerIds(first))
            }
        }
    }

    fn tick(&mut self, _now: Moment) -> Outcome<Entry, Reply> {
        Outcome::nothing()
    }

    fn next_deadline(&self) -> Option<i64> {
        None
    }

    fn apply(&mut self, record: &Entry, at: Position) -> Result<(), ReplayError> {
        self.bytes_since_snapshot += at.size_bytes as u64;
        self.state.apply(record, at)
    }

    fn effects(&mut self) -> Vec<Effect> {
        if self.registration().is_none_or(|broker| broker.fenced) {
            return Vec::new();
        }
        let changed = self.state.settle(&self.process.settings.fixed);
        let image = &self.state.image;
        let open: Vec<_> = if std::mem::replace(&mut self.served, true) {
            let topic = |id| image.topic_by_id(id).cloned();
            changed.into_iter().filter_map(topic).collect()
        } else {
            image.topics().cloned().collect()
        };
        let image = image.clone();
        let removed = self.state.take_removed();
        let mut effects = Vec::new();
        effects.extend((!open.is_empty()).then_some(Effect::Open(open)));
        effects.push(Effect::Publish(image));
        effects.extend((!removed.is_empty()).then_some(Effect::Delete(removed)));
        if self.bytes_since_snapshot >= self.settings().snapshot_bytes
            && self.state.transaction.is_none()
        {
            self.bytes_since_snapshot = 0;
            effects.push(Effect::Snapshot(Box::new(self.state.clone())));
        }
        effects
    }

    fn loaded(&mut self, _now_ms: i64) -> Result<Vec<Effect>, ReplayError> {
        self.state.check_complete()?;
        // The registration found is that of the run before, unless this run replays.
        let clean = self.process.clean_shutdown_epoch == Some(self.state.image.broker_epoch);
        let is_start = self.registration().is_none();
        self.unclean = is_start && !clean;
        if is_start {
            self.check_places()?;
        }
        Ok(self.effects())
    }

    fn encode(record: &Entry) -> KeyValue {
        match record {
            Entry::Control(record) => {
                let (key, value) = record.encode();
                KeyValue { key: Some(key), value: Some(value) }
            }
            Entry::Data(record) => {
                let value = VersionedRecord::from(record.clone()).encode();
                KeyValue { key: None, value: Some(value) }
            }
        }
    }

    fn decode(raw: KeyValue, control: bool) -> Result<Option<Entry>, ReplayError> {
        let value = raw.value.ok_or(ReplayError::Inconsistent("a record without value".into()))?;
        let entry = if control {
            let key =
                raw.key.ok_or(ReplayError::Inconsistent("a control record without key".into()))?;
            Entry::Control(ControlRecord::decode(key, value)?)
        } else {
            Entry::Data(VersionedRecord::decode(value)?.record)
        };
        Ok(Some(entry))
    }
}

#[cfg(test)]
pub(super) mod tests;
