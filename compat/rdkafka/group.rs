//! Members come and go.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};

use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::message::Message;

use crate::broker::{Broker, POLL, new_name, until};
use crate::member::{CONSUMER, Ledger, Member, Moves};

const PARTITIONS: i32 = 6;

/// A topic, a group and what its members know.
struct Stage<'a> {
    broker: &'a Broker,
    topic: String,
    group: String,
    ledger: Arc<Mutex<Ledger>>,
    /// Records by partition.
    written: usize,
}

impl<'a> Stage<'a> {
    fn new(broker: &'a Broker) -> Self {
        let (topic, group) = (broker.create_topic(PARTITIONS, &[]), new_name());
        Self { broker, topic, group, ledger: Arc::default(), written: 0 }
    }

    fn join(&self, name: &str, settings: &[(&str, &str)]) -> Member {
        Member::join(self.broker, (&self.topic, &self.group), name, &self.ledger, settings)
    }

    fn write(&mut self, by_partition: usize) {
        let values = self.written..self.written + by_partition;
        let values: Vec<String> = values.map(|number| number.to_string()).collect();
        (0..PARTITIONS).for_each(|partition| self.broker.write(&self.topic, partition, &values));
        self.written += by_partition;
    }

    /// Until these members own so many partitions each, and all that was written is read and committed.
    fn settle(&self, members: &[(&str, &Member, usize)]) {
        until(&format!("all of {} records by partition", self.written), || {
            for (_, member, _) in members {
                member.work();
            }
            let ledger = self.ledger.lock().unwrap();
            let shares = members.iter().all(|(name, _, share)| ledger.owned(name).len() == *share);
            let end = self.written as i64;
            let committed = ledger.committed.values().filter(|offset| **offset == end).count();
            (shares && committed == PARTITIONS as usize).then_some(())
        });
    }

    /// Every value of every partition was read, at its offset.
    fn check_all_read(&self) {
        let ledger = self.ledger.lock().unwrap();
        let read: BTreeSet<(i32, i64, String)> = ledger.read.iter().cloned().collect();
        let expected = (0..PARTITIONS).flat_map(|partition| {
            (0..self.written).map(move |n| (partition, n as i64, n.to_string()))
        });
        assert!(read.into_iter().eq(expected), "records are missing or wrong");
    }
}

pub(crate) fn share(broker: &Broker, settings: &[(&str, &str)]) {
    let mut stage = Stage::new(broker);
    stage.write(30);
    let [a, b, c] = ["a", "b", "c"].map(|name| stage.join(name, settings));
    stage.settle(&[("a", &a, 2), ("b", &b, 2), ("c", &c, 2)]);
    // All was committed before the first move, so it was read once.
    stage.ledger.lock().unwrap().read_once();

    drop(c);
    stage.write(30);
    stage.settle(&[("a", &a, 3), ("b", &b, 3)]);

    let d = stage.join("d", settings);
    stage.write(40);
    stage.settle(&[("a", &a, 2), ("b", &b, 2), ("d", &d, 2)]);
    stage.check_all_read();
}

pub(crate) fn come_back(broker: &Broker, settings: &[(&str, &str)]) {
    let mut stage = Stage::new(broker);
    stage.write(10);
    let join = |stage: &Stage<'_>, name| {
        stage.join(name, &[&[("group.instance.id", name)], settings].concat())
    };
    let [a, b, c] = ["a", "b", "c"].map(|name| join(&stage, name));
    stage.settle(&[("a", &a, 2), ("b", &b, 2), ("c", &c, 2)]);
    // Not the last list it was given: in the consumer protocol an assignment may come in steps, and one of them may be empty.
    let before = stage.ledger.lock().unwrap().owned("c");
    a.take_moves();
    b.take_moves();

    drop(c);
    stage.write(10);
    let c = join(&stage, "c");
    stage.settle(&[("a", &a, 2), ("b", &b, 2), ("c", &c, 2)]);
    assert_eq!(stage.ledger.lock().unwrap().owned("c"), before, "the partitions of who came back");
    assert!(c.moves().revoked.iter().all(BTreeSet::is_empty), "{:?}", c.moves());
    for member in [&a, &b] {
        let Moves { assigned, revoked } = member.moves();
        let is_still = assigned.iter().chain(&revoked).all(BTreeSet::is_empty);
        assert!(is_still, "{assigned:?} {revoked:?}");
    }
    stage.ledger.lock().unwrap().read_once();
    stage.check_all_read();
}

pub(crate) fn cooperate(broker: &Broker) {
    const COOPERATIVE: &[(&str, &str)] = &[("partition.assignment.strategy", "cooperative-sticky")];
    let mut stage = Stage::new(broker);
    stage.write(10);
    let (a, b) = (stage.join("a", COOPERATIVE), stage.join("b", COOPERATIVE));
    stage.settle(&[("a", &a, 3), ("b", &b, 3)]);
    a.take_moves();
    b.take_moves();

    let c = stage.join("c", COOPERATIVE);
    stage.write(10);
    stage.settle(&[("a", &a, 2), ("b", &b, 2), ("c", &c, 2)]);
    for member in [&a, &b] {
        let Moves { assigned, revoked } = member.moves();
        let lost: Vec<i32> = revoked.iter().flatten().copied().collect();
        assert_eq!(lost.len(), 1, "only what another gets is revoked: {revoked:?}");
        assert!(assigned.iter().all(BTreeSet::is_empty), "what stayed came again: {assigned:?}");
    }
    let given: BTreeSet<i32> = c.moves().assigned.into_iter().flatten().collect();
    let lost = [&a, &b].into_iter().flat_map(|member| member.moves().revoked).flatten();
    assert_eq!(given, lost.collect(), "what moved");
    stage.check_all_read();
}

/// Two members are replaced by members of the other protocol, one after the other, and back again.
pub(crate) fn migrate(broker: &Broker) {
    let mut stage = Stage::new(broker);
    stage.write(10);
    let mut members = [("a", stage.join("a", &[])), ("b", stage.join("b", &[]))];
    let settle = |stage: &Stage<'_>, [(a, one), (b, other)]: &[(&str, Member); 2]| {
        stage.settle(&[(a, one, 3), (b, other, 3)]);
    };
    settle(&stage, &members);
    for (names, settings) in [(["c", "d"], CONSUMER), (["e", "f"], &[])] {
        for (place, name) in names.into_iter().enumerate() {
            let member = stage.join(name, settings);
            // The one it replaces leaves.
            members[place] = (name, member);
            stage.write(10);
            settle(&stage, &members);
        }
    }
    stage.check_all_read();
}

/// A subscription to a pattern, which the broker reads.
pub(crate) fn match_topics(broker: &Broker) {
    let prefix = new_name();
    let create = |what: &str| {
        let topic = format!("{prefix}-{what}");
        broker.create_named_topic(&topic, 1, &[]);
        broker.write(&topic, 0, &[what.to_owned()]);
        topic
    };
    let first = create("match-first");
    create("other");
    let settings =
        [&[("group.id", prefix.as_str()), ("auto.offset.reset", "earliest")], CONSUMER].concat();
    let consumer: BaseConsumer = broker.config(&settings).create().unwrap();
    consumer.subscribe(&[&format!("^{prefix}-match-.*")]).unwrap();
    let expect = |topics: &[&String]| {
        let record = until(&format!("a record of {topics:?}"), || consumer.poll(POLL)).unwrap();
        assert_eq!(record.topic(), *topics[topics.len() - 1]);
        let assigned = consumer.assignment().unwrap();
        let assigned: BTreeSet<String> =
            assigned.elements().iter().map(|element| element.topic().to_owned()).collect();
        assert!(assigned.iter().eq(topics.iter().copied()), "{assigned:?}, not {topics:?}");
    };
    expect(&[&first]);
    let later = create("match-later");
    expect(&[&first, &later]);
}
