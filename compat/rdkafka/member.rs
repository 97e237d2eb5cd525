//! A member of a group, which notes what it owns and what it was given and lost.

use std::cell::Cell;
use std::collections::{BTreeMap, BTreeSet};
use std::mem;
use std::sync::{Arc, Mutex};

use rdkafka::client::ClientContext;
use rdkafka::consumer::{BaseConsumer, CommitMode, Consumer, ConsumerContext, Rebalance};
use rdkafka::message::Message;
use rdkafka::topic_partition_list::{TopicPartitionList, TopicPartitionListElem};

use crate::broker::Broker;
use crate::records::is_lost_connection;

/// What the members of one group know together.
#[derive(Debug, Default)]
pub(crate) struct Ledger {
    pub(crate) owners: BTreeMap<i32, String>,
    /// Of every record read, in the order of reading: partition, offset and value.
    pub(crate) read: Vec<(i32, i64, String)>,
    /// By partition, the offset of the last commit that was answered.
    pub(crate) committed: BTreeMap<i32, i64>,
}

impl Ledger {
    /// The partitions that the member owns.
    pub(crate) fn owned(&self, member: &str) -> BTreeSet<i32> {
        let owned = self.owners.iter().filter(|(_, owner)| *owner == member);
        owned.map(|(partition, _)| *partition).collect()
    }

    /// The partition and value of each record, which must have been read once.
    pub(crate) fn read_once(&self) -> BTreeSet<(i32, i64)> {
        let read: BTreeSet<(i32, i64)> = self.read.iter().map(|(p, o, _)| (*p, *o)).collect();
        assert_eq!(read.len(), self.read.len(), "a record was delivered twice");
        read
    }
}

/// The lists of partitions that a member was given and lost, and what went wrong in a callback.
#[derive(Clone, Debug, Default)]
pub(crate) struct Moves {
    pub(crate) assigned: Vec<BTreeSet<i32>>,
    pub(crate) revoked: Vec<BTreeSet<i32>>,
}

#[derive(Debug)]
pub(crate) struct Watcher {
    name: String,
    ledger: Arc<Mutex<Ledger>>,
    moves: Mutex<Moves>,
}

impl ClientContext for Watcher {}

impl ConsumerContext for Watcher {
    fn pre_rebalance(&self, _: &BaseConsumer<Self>, rebalance: &Rebalance<'_>) {
        let mut ledger = self.ledger.lock().unwrap();
        let mut moves = self.moves.lock().unwrap();
        match rebalance {
            Rebalance::Assign(list) => {
                for partition in partitions(list) {
                    let owner = ledger.owners.insert(partition, self.name.clone());
                    assert!(owner.is_none(), "{partition} has two owners: {} {owner:?}", self.name);
                }
                moves.assigned.push(partitions(list));
            }
            Rebalance::Revoke(list) => {
                for partition in partitions(list) {
                    let owner = ledger.owners.remove(&partition);
                    assert_eq!(owner.as_ref(), Some(&self.name), "the owner of {partition}");
                }
                moves.revoked.push(partitions(list));
            }
            Rebalance::Error(error) => panic!("{}: {error}", self.name),
        }
    }
}

fn partitions(list: &TopicPartitionList) -> BTreeSet<i32> {
    list.elements().iter().map(TopicPartitionListElem::partition).collect()
}

/// Members of the consumer protocol (KIP-848).
pub(crate) const CONSUMER: &[(&str, &str)] = &[("group.protocol", "consumer")];

/// Leaves when dropped; a static member only goes.
pub(crate) struct Member {
    consumer: BaseConsumer<Watcher>,
    /// Something was read since the last commit that was answered.
    owes_commit: Cell<bool>,
}

impl Member {
    pub(crate) fn join(
        broker: &Broker,
        (topic, group): (&str, &str),
        name: &str,
        ledger: &Arc<Mutex<Ledger>>,
        settings: &[(&str, &str)],
    ) -> Self {
        let common = [
            ("group.id", group),
            ("auto.offset.reset", "earliest"),
            ("enable.auto.commit", "false"),
            ("fetch.wait.max.ms", "50"),
        ];
        // Of the consumer protocol, the broker says how often and how long.
        let classic = [("heartbeat.interval.ms", "200"), ("session.timeout.ms", "30000")];
        let classic = if settings.contains(&CONSUMER[0]) { &[][..] } else { &classic };
        let ledger = Arc::clone(ledger);
        let watcher = Watcher { name: name.to_owned(), ledger, moves: Mutex::default() };
        let config = broker.config(&[&common, classic, settings].concat());
        let consumer: BaseConsumer<Watcher> = config.create_with_context(watcher).unwrap();
        consumer.subscribe(&[topic]).unwrap();
        Self { consumer, owes_commit: Cell::new(false) }
    }

    pub(crate) fn moves(&self) -> Moves {
        self.consumer.context().moves.lock().unwrap().clone()
    }

    /// Forgets the moves so far.
    pub(crate) fn take_moves(&self) -> Moves {
        mem::take(&mut self.consumer.context().moves.lock().unwrap())
    }

    /// Reads what has come and commits it; a record below what was committed is a fault.
    pub(crate) fn work(&self) {
        while let Some(polled) = self.consumer.poll(std::time::Duration::from_millis(2)) {
            match polled {
                Ok(message) => self.note(&message),
                Err(error) => assert!(is_lost_connection(&error), "{error}"),
            }
            self.owes_commit.set(true);
        }
        if self.owes_commit.get() {
            self.commit();
        }
    }

    fn note(&self, message: &impl Message) {
        let (partition, offset) = (message.partition(), message.offset());
        let value = String::from_utf8(message.payload().unwrap_or_default().to_vec()).unwrap();
        let mut ledger = self.consumer.context().ledger.lock().unwrap();
        let committed = ledger.committed.get(&partition).copied().unwrap_or(0);
        assert!(offset >= committed, "{partition}: {offset} again, committed was {committed}");
        assert_eq!(ledger.owners.get(&partition), Some(&self.consumer.context().name));
        ledger.read.push((partition, offset, value));
    }

    /// A commit that is refused, or not answered, is made again: the group is moving or the broker away.
    fn commit(&self) {
        let position = self.consumer.position().unwrap();
        if self.consumer.commit_consumer_state(CommitMode::Sync).is_err() {
            return;
        }
        self.owes_commit.set(false);
        let mut ledger = self.consumer.context().ledger.lock().unwrap();
        for element in position.elements() {
            if let Some(offset) = element.offset().to_raw().filter(|offset| *offset >= 0) {
                ledger.committed.insert(element.partition(), offset);
            }
        }
    }
}
