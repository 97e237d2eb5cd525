//! Where the transactions of one transactional id stand (Kafka: `TransactionMetadata`).

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// First `transaction.version` in which every end of a transaction raises the epoch (KIP-890).
pub(super) const EPOCH_BUMP: i16 = 2;
/// The last epoch that a client gets: the one above it is left for fencing.
pub(super) const LAST_EPOCH: i16 = i16::MAX - 1;
pub(super) const NO_EPOCH: i16 = -1;
pub(super) const NO_ID: i64 = -1;

/// State of a transactional id's newest transaction (Kafka: `TransactionState`; the numbers are those
/// of the records).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum State {
    /// It has had none with this epoch.
    Empty = 0,
    /// It is open.
    Ongoing = 1,
    /// It is committed, markers are being written.
    PrepareCommit = 2,
    /// It is aborted, markers are being written.
    PrepareAbort = 3,
    /// It is committed, markers are written.
    CompleteCommit = 4,
    /// It is aborted, markers are written.
    CompleteAbort = 5,
}

impl State {
    const ALL: [Self; 6] = [
        Self::Empty,
        Self::Ongoing,
        Self::PrepareCommit,
        Self::PrepareAbort,
        Self::CompleteCommit,
        Self::CompleteAbort,
    ];
    /// States that Kafka knows and that no transaction is ever seen in.
    const UNSEEN: [&str; 2] = ["Dead", "PrepareEpochFence"];

    pub(super) fn from_number(number: i8) -> Option<Self> {
        Self::ALL.into_iter().find(|state| *state as i8 == number)
    }

    /// Kafka's name.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Empty => "Empty",
            Self::Ongoing => "Ongoing",
            Self::PrepareCommit => "PrepareCommit",
            Self::PrepareAbort => "PrepareAbort",
            Self::CompleteCommit => "CompleteCommit",
            Self::CompleteAbort => "CompleteAbort",
        }
    }

    pub(super) fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|state| state.name() == name)
    }

    /// Whether Kafka has a state of this name.
    pub(super) fn is_name(name: &str) -> bool {
        Self::UNSEEN.contains(&name) || Self::from_name(name).is_some()
    }

    /// Its markers are being written: it goes on by itself.
    pub(super) fn is_ending(self) -> bool {
        matches!(self, Self::PrepareCommit | Self::PrepareAbort)
    }
}

/// A partition of a topic.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TopicPartition {
    /// Name of the topic.
    pub topic: Arc<str>,
    /// Number of the partition.
    pub partition: i32,
}

impl TopicPartition {
    /// Partitions of one topic.
    pub fn of_topic(topic: &str, partitions: Vec<i32>) -> impl Iterator<Item = Self> + use<> {
        let topic: Arc<str> = topic.into();
        partitions.into_iter().map(move |partition| Self { topic: topic.clone(), partition })
    }
}

/// What is said of partitions, in a list for each topic, as messages and records have it.
pub fn by_topic<'a, T>(
    said: impl Iterator<Item = (&'a TopicPartition, T)>,
) -> impl Iterator<Item = (String, Vec<T>)> {
    let mut topics: BTreeMap<&str, Vec<T>> = BTreeMap::new();
    for (partition, it) in said {
        topics.entry(&partition.topic).or_default().push(it);
    }
    topics.into_iter().map(|(topic, list)| (topic.to_owned(), list))
}

/// Id and epoch of a producer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Producer {
    /// Its id.
    pub id: i64,
    /// Its epoch.
    pub epoch: i16,
}

/// What the newest record of a transactional id says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Transaction {
    /// The producer that has it now.
    pub(super) producer: Producer,
    /// The producer id before the last change.
    pub(super) previous_producer_id: i64,
    /// The producer id to go on with after the markers; -1 for the same.
    pub(super) next_producer_id: i64,
    /// The epoch before, which a producer that has not heard of the change may still name; -1 if
    /// another one has taken over.
    pub(super) last_epoch: i16,
    pub(super) timeout_ms: i32,
    pub(super) state: State,
    pub(super) partitions: BTreeSet<TopicPartition>,
    /// When the transaction began; -1 before the first one.
    pub(super) start_ms: i64,
    pub(super) last_update_ms: i64,
    /// The `transaction.version` of who has changed it.
    pub(super) client_version: i16,
    /// Its coordinator has aborted it: its producer cannot know.
    pub(super) fenced: bool,
}

impl Transaction {
    /// Of a transactional id that was never used.
    pub(super) fn new(producer_id: i64, timeout_ms: i32, now_ms: i64) -> Self {
        Self {
            producer: Producer { id: producer_id, epoch: NO_EPOCH },
            previous_producer_id: NO_ID,
            next_producer_id: NO_ID,
            last_epoch: NO_EPOCH,
            timeout_ms,
            state: State::Empty,
            partitions: BTreeSet::new(),
            start_ms: -1,
            last_update_ms: now_ms,
            client_version: 0,
            fenced: false,
        }
    }

    /// Its successor, to be changed: everything stays but what a change always does.
    pub(super) fn to(&self, state: State, now_ms: i64) -> Self {
        Self {
            state,
            previous_producer_id: self.producer.id,
            last_update_ms: now_ms,
            fenced: false,
            ..self.clone()
        }
    }

    /// No client gets another epoch of this producer id.
    pub(super) fn is_exhausted(&self) -> bool {
        self.producer.epoch >= LAST_EPOCH
    }

    /// The state once the markers are written (Kafka: `prepareComplete`).
    pub(super) fn completed(&self, now_ms: i64) -> Self {
        let committed = self.state == State::PrepareCommit;
        let state = if committed { State::CompleteCommit } else { State::CompleteAbort };
        let mut next = self.to(state, now_ms);
        if self.client_version >= EPOCH_BUMP && self.next_producer_id != NO_ID {
            next.producer = Producer { id: self.next_producer_id, epoch: 0 };
        }
        next.next_producer_id = NO_ID;
        next.partitions = BTreeSet::new();
        next.fenced = self.fenced;
        next
    }

    /// [`Self::last_epoch`] as the other fields tell it: a change of the epoch at the end of a
    /// transaction needs no word of its own in the log.
    pub(super) fn implied_last_epoch(&self) -> i16 {
        let ended = !matches!(self.state, State::Empty | State::Ongoing);
        if !ended || self.client_version < EPOCH_BUMP {
            return NO_EPOCH;
        }
        let is_new_id = self.producer.epoch == 0 && self.previous_producer_id != self.producer.id;
        if is_new_id { LAST_EPOCH } else { self.producer.epoch.saturating_sub(1) }
    }
}
