//! A group transforms records with transactions that also commit its offsets.

use std::collections::BTreeMap;

use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::{Message, OwnedMessage};
use rdkafka::producer::Producer;
use rdkafka::topic_partition_list::{Offset, TopicPartitionList};

use crate::broker::{Broker, POLL, Records, TIMEOUT, new_name, until};
use crate::transactions::{
    COMMITTED, PARTITIONS, Place, UNCOMMITTED, check_read, code, end, transactional, write,
};

const RECORDS: usize = 300;
const AT_ONCE: usize = 50;

struct Transform<'a> {
    broker: &'a Broker,
    /// Its topics, its group and the transactional id.
    input: String,
    output: String,
    group: String,
    /// By partition, the offset that the group has committed.
    committed: BTreeMap<i32, i64>,
    done: Vec<Place>,
}

fn value(number: usize) -> String {
    format!("value {number}")
}

pub(crate) fn exactly_once(broker: &Broker, settings: &[(&str, &str)]) {
    let mut transform = Transform {
        broker,
        input: broker.create_topic(PARTITIONS as i32, &[]),
        output: broker.create_topic(PARTITIONS as i32, &[]),
        group: new_name(),
        committed: BTreeMap::new(),
        done: Vec::new(),
    };
    let place = |number: usize| ((number % PARTITIONS) as i32, value(number));
    let values: Vec<(i32, String)> = (0..RECORDS).map(place).collect();
    write(&broker.producer(&[]), &transform.input, &values);

    let (consumer, producer) = transform.start(settings);
    for commits in [true, true, false] {
        transform.step(&consumer, &producer, commits);
    }
    let former = consumer.group_metadata().unwrap();
    drop(consumer);

    let (consumer, producer) = transform.start(settings);
    producer.begin_transaction().unwrap();
    let offsets = transform.list(&transform.committed);
    let refused = producer.send_offsets_to_transaction(&offsets, &former, TIMEOUT).unwrap_err();
    assert_eq!(code(&refused), RDKafkaErrorCode::UnknownMemberId);
    end(&producer, false).unwrap();
    while transform.done.len() < RECORDS {
        transform.step(&consumer, &producer, true);
    }

    check_read(broker, &transform.output, COMMITTED, &transform.done);
    let mut done: Vec<String> = transform.done.into_iter().map(|(_, _, value)| value).collect();
    let mut expected: Vec<String> =
        (0..RECORDS).map(|number| format!("transformed {}", value(number))).collect();
    done.sort();
    expected.sort();
    assert_eq!(done, expected);
}

impl Transform<'_> {
    fn start(&self, settings: &[(&str, &str)]) -> (BaseConsumer, Records) {
        let common = [("auto.offset.reset", "earliest"), COMMITTED, ("fetch.wait.max.ms", "50")];
        let consumer = self.broker.consumer(&self.group, &[&common, settings].concat());
        consumer.subscribe(&[&self.input]).unwrap();
        (consumer, transactional(self.broker, &self.group, &[]))
    }

    /// The next records, which begin at what was committed, in one transaction.
    fn step(&mut self, consumer: &BaseConsumer, producer: &Records, commits: bool) {
        let mut offsets = self.committed.clone();
        let transform = |record: OwnedMessage| {
            let next = offsets.entry(record.partition()).or_default();
            assert_eq!(record.offset(), *next, "what is read of {}", record.partition());
            *next += 1;
            let value = String::from_utf8(record.payload().unwrap().to_vec()).unwrap();
            (record.partition(), format!("transformed {value}"))
        };
        let transformed: Vec<(i32, String)> = poll(consumer).into_iter().map(transform).collect();
        producer.begin_transaction().unwrap();
        let places = write(producer, &self.output, &transformed);
        let metadata = consumer.group_metadata().unwrap();
        producer.send_offsets_to_transaction(&self.list(&offsets), &metadata, TIMEOUT).unwrap();
        assert_eq!(self.found(), self.committed, "while the transaction is open");
        end(producer, commits).unwrap();
        if commits {
            self.committed = offsets;
            self.done.extend(places);
        }
        // The end is answered before the group's coordinator has heard of it.
        until("the committed offsets", || (self.found() == self.committed).then_some(()));
    }

    fn list(&self, offsets: &BTreeMap<i32, i64>) -> TopicPartitionList {
        let mut list = TopicPartitionList::new();
        for (partition, offset) in offsets {
            list.add_partition_offset(&self.input, *partition, Offset::Offset(*offset)).unwrap();
        }
        list
    }

    /// The offsets that the group has committed, as one reads them who does not wait for transactions.
    fn found(&self) -> BTreeMap<i32, i64> {
        let consumer = self.broker.consumer(&self.group, &[UNCOMMITTED]);
        let mut asked = TopicPartitionList::new();
        asked.add_partition_range(&self.input, 0, PARTITIONS as i32 - 1);
        let found = consumer.committed_offsets(asked, TIMEOUT).unwrap();
        let committed = |(key, offset): ((String, i32), Offset)| match offset {
            Offset::Offset(offset) => Some((key.1, offset)),
            _ => None,
        };
        found.to_topic_map().into_iter().filter_map(committed).collect()
    }
}

/// The next records, at most [`AT_ONCE`].
fn poll(consumer: &BaseConsumer) -> Vec<OwnedMessage> {
    let mut records = Vec::new();
    until("records", || {
        match consumer.poll(POLL) {
            Some(Ok(record)) => records.push(record.detach()),
            // The end of a partition.
            Some(Err(KafkaError::PartitionEOF(_))) => {}
            Some(Err(error)) => panic!("{error}"),
            None if records.is_empty() => {}
            None => return Some(()),
        }
        (records.len() == AT_ONCE).then_some(())
    });
    records
}
