//! Where reading begins, and how soon it learns of what is new.

use std::time::{Duration, Instant};

use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::Message;
use rdkafka::producer::BaseRecord;
use rdkafka::topic_partition_list::{Offset, TopicPartitionList};

use crate::broker::{Broker, POLL, TIMEOUT, delivered, options, send, until, wait};

/// Offset and value of the next record.
pub(crate) fn next(consumer: &BaseConsumer) -> (i64, String) {
    until("the next record", || match consumer.poll(POLL)? {
        Ok(message) => {
            let value = String::from_utf8(message.payload().unwrap().to_vec()).unwrap();
            Some((message.offset(), value))
        }
        Err(KafkaError::PartitionEOF(_)) => None,
        Err(error) => panic!("{error}"),
    })
}

fn read_to_end(consumer: &BaseConsumer) {
    until("the end of the partition", || match consumer.poll(POLL)? {
        Ok(message) => panic!("a record at {}", message.offset()),
        Err(KafkaError::PartitionEOF(_)) => Some(()),
        Err(error) => panic!("{error}"),
    });
}

pub(crate) fn assign(consumer: &BaseConsumer, topic: &str, offset: Offset) {
    let mut list = TopicPartitionList::new();
    list.add_partition_offset(topic, 0, offset).unwrap();
    consumer.assign(&list).unwrap();
}

fn numbers(range: std::ops::Range<usize>) -> Vec<String> {
    range.map(|number| number.to_string()).collect()
}

pub(crate) fn seek(broker: &Broker) {
    const FIRST_MS: i64 = 1_700_000_000_000;
    const STEP_MS: i64 = 10_000;
    const COUNT: usize = 10;
    let topic = broker.create_topic(1, &[("retention.ms", "-1")]);
    let producer = broker.producer(&[]);
    for number in 0..COUNT {
        let value = number.to_string();
        let record = BaseRecord::with_opaque_to(&topic, number).payload(value.as_bytes());
        send(&producer, record.partition(0).timestamp(FIRST_MS + number as i64 * STEP_MS));
    }
    delivered(&producer, COUNT);

    let consumer = broker.consumer("unused", &[]);
    assert_eq!(consumer.fetch_watermarks(&topic, 0, TIMEOUT).unwrap(), (0, 10));
    assign(&consumer, &topic, Offset::Beginning);
    assert_eq!(next(&consumer), (0, "0".to_owned()));
    consumer.seek(&topic, 0, Offset::Offset(7), TIMEOUT).unwrap();
    assert_eq!(next(&consumer), (7, "7".to_owned()));
    consumer.seek(&topic, 0, Offset::Beginning, TIMEOUT).unwrap();
    assert_eq!(next(&consumer), (0, "0".to_owned()));
    consumer.seek(&topic, 0, Offset::End, TIMEOUT).unwrap();
    read_to_end(&consumer);
    broker.write(&topic, 0, &numbers(10..11));
    assert_eq!(next(&consumer), (10, "10".to_owned()));

    let offset_for = |time_ms: i64| {
        let mut times = TopicPartitionList::new();
        times.add_partition_offset(&topic, 0, Offset::Offset(time_ms)).unwrap();
        let offsets = consumer.offsets_for_times(times, TIMEOUT).unwrap();
        offsets.elements()[0].error().unwrap();
        offsets.elements()[0].offset()
    };
    assert_eq!(offset_for(FIRST_MS - 1), Offset::Offset(0));
    assert_eq!(offset_for(FIRST_MS + 3 * STEP_MS), Offset::Offset(3));
    assert_eq!(offset_for(FIRST_MS + 3 * STEP_MS + 1), Offset::Offset(4));
    // The last record was written now.
    assert_eq!(offset_for(FIRST_MS + 9 * STEP_MS + 1), Offset::Offset(10));
    assert_eq!(offset_for(4_000_000_000_000), Offset::End);
}

pub(crate) fn delete_records(broker: &Broker) {
    let topic = broker.create_topic(1, &[]);
    broker.write(&topic, 0, &numbers(0..20));
    let mut before = TopicPartitionList::new();
    before.add_partition_offset(&topic, 0, Offset::Offset(12)).unwrap();
    let deleted = wait(broker.admin().delete_records(&before, &options())).unwrap();
    deleted.elements()[0].error().unwrap();
    assert_eq!(deleted.elements()[0].offset(), Offset::Offset(12));

    let reader = |reset: &str| {
        let consumer = broker.consumer("unused", &[("auto.offset.reset", reset)]);
        assign(&consumer, &topic, Offset::Offset(0));
        consumer
    };
    let (earliest, latest) = (reader("earliest"), reader("latest"));
    assert_eq!(earliest.fetch_watermarks(&topic, 0, TIMEOUT).unwrap(), (12, 20));
    let read: Vec<(i64, String)> = (12..20).map(|_| next(&earliest)).collect();
    assert_eq!(read, (12..20).map(|n| (n, n.to_string())).collect::<Vec<_>>());
    read_to_end(&latest);
    broker.write(&topic, 0, &numbers(20..21));
    assert_eq!(next(&latest), (20, "20".to_owned()));
    let strict = reader("error");
    let error = until("the refusal", || strict.poll(POLL)).unwrap_err();
    assert_eq!(error, KafkaError::MessageConsumption(RDKafkaErrorCode::AutoOffsetReset));
}

pub(crate) fn long_poll(broker: &Broker) {
    const LIMIT: Duration = Duration::from_secs(1);
    let topic = broker.create_topic(1, &[]);
    let consumer = broker.consumer("unused", &[("fetch.wait.max.ms", "20000")]);
    assign(&consumer, &topic, Offset::End);
    read_to_end(&consumer);
    let producer = broker.producer(&[("linger.ms", "0")]);
    for number in 0..20 {
        let value = number.to_string();
        let record = BaseRecord::with_opaque_to(&topic, number).payload(value.as_bytes());
        send(&producer, record.partition(0));
        let places = delivered(&producer, number + 1);
        let acknowledged = Instant::now();
        assert_eq!(places.last(), Some(&(0, number as i64)));
        assert_eq!(next(&consumer), (number as i64, value));
        let waited = acknowledged.elapsed();
        assert!(waited < LIMIT, "record {number} came {waited:?} after its acknowledgement");
    }
}
