//! Offsets committed in every way.

use rdkafka::consumer::{BaseConsumer, CommitMode, Consumer};
use rdkafka::message::Message;
use rdkafka::topic_partition_list::{Offset, TopicPartitionList};

use crate::broker::{Broker, POLL, TIMEOUT, new_name, until};

fn member(broker: &Broker, topic: &str, group: &str, auto: bool) -> BaseConsumer {
    let settings = [
        ("group.id", group),
        ("auto.offset.reset", "earliest"),
        ("enable.auto.commit", if auto { "true" } else { "false" }),
        ("auto.commit.interval.ms", "100"),
    ];
    let consumer: BaseConsumer = broker.config(&settings).create().unwrap();
    consumer.subscribe(&[topic]).unwrap();
    consumer
}

/// Reads these offsets and no others.
fn read(consumer: &BaseConsumer, offsets: std::ops::Range<i64>) {
    for expected in offsets {
        let message = until("a record", || consumer.poll(POLL)).unwrap();
        assert_eq!(message.offset(), expected);
        assert_eq!(message.payload().unwrap(), expected.to_string().as_bytes());
    }
}

fn offset(topic: &str, offset: i64, metadata: &str) -> TopicPartitionList {
    let mut list = TopicPartitionList::new();
    list.add_partition_offset(topic, 0, Offset::Offset(offset)).unwrap();
    list.find_partition(topic, 0).unwrap().set_metadata(metadata);
    list
}

/// The committed offset and its metadata, as a client of its own reads them.
fn committed(broker: &Broker, topic: &str, group: &str) -> (Offset, String) {
    let consumer = broker.consumer(group, &[]);
    let mut list = TopicPartitionList::new();
    list.add_partition(topic, 0);
    let list = consumer.committed_offsets(list, TIMEOUT).unwrap();
    let element = &list.elements()[0];
    element.error().unwrap();
    (element.offset(), element.metadata().to_owned())
}

pub(crate) fn commit(broker: &Broker) {
    let topic = broker.create_topic(1, &[]);
    let (group, other) = (new_name(), new_name());
    let values: Vec<String> = (0..30).map(|number| number.to_string()).collect();
    broker.write(&topic, 0, &values);
    let committed = |group: &str| committed(broker, &topic, group);
    let expected = |offset, metadata: &str| (Offset::Offset(offset), metadata.to_owned());
    assert_eq!(committed(&group).0, Offset::Invalid);

    let consumer = member(broker, &topic, &group, false);
    read(&consumer, 0..10);
    consumer.commit(&offset(&topic, 10, "in step"), CommitMode::Sync).unwrap();
    assert_eq!(committed(&group), expected(10, "in step"));
    read(&consumer, 10..15);
    consumer.commit(&offset(&topic, 15, "in passing"), CommitMode::Async).unwrap();
    // librdkafka reports the answer to automatic commits only.
    until("the commit", || (committed(&group) == expected(15, "in passing")).then_some(()));
    drop(consumer);

    let automatic = member(broker, &topic, &group, true);
    read(&automatic, 15..30);
    until("the automatic commit", || {
        assert!(automatic.poll(POLL).is_none_or(|polled| polled.is_ok()));
        (committed(&group) != expected(15, "in passing")).then_some(())
    });
    drop(automatic);
    // Closing commits what was read.
    let goes_on = member(broker, &topic, &group, false);
    assert_eq!(committed(&group).0, Offset::Offset(30));
    broker.write(&topic, 0, &["30".to_owned()]);
    read(&goes_on, 30..31);

    let alone = broker.consumer(&other, &[]);
    alone.commit(&offset(&topic, 7, "alone"), CommitMode::Sync).unwrap();
    assert_eq!(committed(&other), expected(7, "alone"));
    read(&member(broker, &topic, &other, false), 7..31);
}
