//! Transactions, and what readers see of them.

use std::time::{Duration, Instant};

use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::{Message, OwnedMessage};
use rdkafka::producer::{BaseRecord, Producer};
use rdkafka::topic_partition_list::Offset;

use crate::broker::{Broker, POLL, Records, TIMEOUT, delivered, new_name, send, until};
use crate::reading::{assign, next};
use crate::records::read_all;

pub(crate) const PARTITIONS: usize = 3;
pub(crate) const COMMITTED: (&str, &str) = ("isolation.level", "read_committed");
pub(crate) const UNCOMMITTED: (&str, &str) = ("isolation.level", "read_uncommitted");

/// Partition, offset and value of a record.
pub(crate) type Place = (i32, i64, String);

/// A producer that may begin a transaction.
pub(crate) fn transactional(broker: &Broker, id: &str, settings: &[(&str, &str)]) -> Records {
    let producer =
        broker.producer(&[&[("transactional.id", id), ("linger.ms", "0")], settings].concat());
    producer.init_transactions(TIMEOUT).unwrap();
    producer
}

/// Sends values to partitions; gives where each was acknowledged.
pub(crate) fn write(producer: &Records, topic: &str, values: &[(i32, String)]) -> Vec<Place> {
    let first = producer.context().count();
    for (number, (partition, value)) in (first..).zip(values) {
        let record = BaseRecord::with_opaque_to(topic, number).payload(value.as_bytes());
        send(producer, record.partition(*partition));
    }
    let places = delivered(producer, first + values.len()).split_off(first);
    let place =
        |((partition, offset), (_, value)): (_, &(i32, String))| (partition, offset, value.clone());
    places.into_iter().zip(values).map(place).collect()
}

pub(crate) fn end(producer: &Records, commits: bool) -> Result<(), KafkaError> {
    if commits { producer.commit_transaction(TIMEOUT) } else { producer.abort_transaction(TIMEOUT) }
}

/// A transaction that is committed, of one record in partition 0.
fn transaction(producer: &Records, topic: &str, value: &str) {
    producer.begin_transaction().unwrap();
    write(producer, topic, &[(0, value.to_owned())]);
    end(producer, true).unwrap();
}

/// What the readers of that isolation find from the beginning to the end, which must be these records.
pub(crate) fn check_read(
    broker: &Broker,
    topic: &str,
    isolation: (&str, &str),
    expected: &[Place],
) {
    let in_partition =
        |partition: usize| expected.iter().filter(move |place| place.0 == partition as i32);
    let counts: Vec<usize> =
        (0..PARTITIONS).map(|partition| in_partition(partition).count()).collect();
    let consumer = broker.consumer("unused", &[isolation, ("fetch.wait.max.ms", "50")]);
    let read = read_all(&consumer, topic, &counts, TIMEOUT);
    for (partition, records) in read.into_iter().enumerate() {
        let place = |record: &OwnedMessage| {
            let value = String::from_utf8(record.payload().unwrap().to_vec()).unwrap();
            (record.partition(), record.offset(), value)
        };
        let read: Vec<Place> = records.iter().map(place).collect();
        let expected: Vec<Place> = in_partition(partition).cloned().collect();
        assert_eq!(read, expected, "{isolation:?}");
    }
}

pub(crate) fn transactions(broker: &Broker) {
    /// Records of transactions that are committed and aborted in turn.
    const SIZES: [usize; 18] = [1, 100, 100, 1, 0, 0, 37, 12, 64, 3, 99, 50, 0, 7, 2, 0, 20, 88];
    let topic = broker.create_topic(PARTITIONS as i32, &[]);
    let producer = transactional(broker, &new_name(), &[]);
    let (mut sent, mut committed) = (Vec::new(), Vec::new());
    let mut ends = [0; PARTITIONS];
    for (number, size) in SIZES.into_iter().enumerate() {
        let commits = number.is_multiple_of(2);
        let value = |n: usize| ((n % PARTITIONS) as i32, format!("{number}: {n}"));
        producer.begin_transaction().unwrap();
        let places = write(&producer, &topic, &(0..size).map(value).collect::<Vec<_>>());
        end(&producer, commits).unwrap();
        for (partition, offset, _) in &places {
            assert_eq!(*offset, ends[*partition as usize]);
            ends[*partition as usize] += 1;
        }
        // The marker that ends a transaction takes an offset in each of its partitions.
        ends.iter_mut().take(size).for_each(|end| *end += 1);
        sent.extend_from_slice(&places);
        if commits {
            committed.extend(places);
        }
    }
    // The end of a transaction is answered before its markers are written.
    for (partition, end) in (0..).zip(ends) {
        let is_end = || end_of(broker, &topic, partition, COMMITTED) == end;
        until("the last markers", || is_end().then_some(()));
    }
    check_read(broker, &topic, UNCOMMITTED, &sent);
    check_read(broker, &topic, COMMITTED, &committed);
    hide(broker, &producer, &topic, true);
    hide(broker, &producer, &topic, false);
}

fn end_of(broker: &Broker, topic: &str, partition: i32, isolation: (&str, &str)) -> i64 {
    let consumer = broker.consumer("unused", &[isolation]);
    consumer.fetch_watermarks(topic, partition, TIMEOUT).unwrap().1
}

/// What readers at the end see of a transaction and of a record outside that comes after it.
fn hide(broker: &Broker, producer: &Records, topic: &str, commits: bool) {
    const PROMPT: Duration = Duration::from_secs(5);
    let start = end_of(broker, topic, 0, UNCOMMITTED);
    let at_end = |isolation| {
        let consumer = broker.consumer("unused", &[isolation, ("fetch.wait.max.ms", "20000")]);
        assign(&consumer, topic, Offset::Offset(start));
        consumer
    };
    let (all, decided) = (at_end(UNCOMMITTED), at_end(COMMITTED));
    let (inside, outside) = ((start, "inside".to_owned()), (start + 1, "outside".to_owned()));
    producer.begin_transaction().unwrap();
    write(producer, topic, &[(0, inside.1.clone())]);
    broker.write(topic, 0, std::slice::from_ref(&outside.1));
    assert_eq!([next(&all), next(&all)], [inside.clone(), outside.clone()]);
    assert_eq!(end_of(broker, topic, 0, UNCOMMITTED), start + 2);
    assert_eq!(end_of(broker, topic, 0, COMMITTED), start);
    check_silent(&decided);
    let ended = Instant::now();
    end(producer, commits).unwrap();
    if commits {
        assert_eq!(next(&decided), inside);
    }
    assert_eq!(next(&decided), outside);
    assert!(ended.elapsed() < PROMPT, "what was decided came after {:?}", ended.elapsed());
    assert_eq!(end_of(broker, topic, 0, COMMITTED), start + 3);
}

fn check_silent(consumer: &BaseConsumer) {
    let deadline = Instant::now() + Duration::from_millis(300);
    while Instant::now() < deadline {
        match consumer.poll(POLL) {
            None | Some(Err(KafkaError::PartitionEOF(_))) => {}
            Some(Ok(record)) => panic!("a record at {}", record.offset()),
            Some(Err(error)) => panic!("{error}"),
        }
    }
}

fn reader(broker: &Broker, topic: &str) -> BaseConsumer {
    let consumer = broker.consumer("unused", &[COMMITTED]);
    assign(&consumer, topic, Offset::Beginning);
    consumer
}

pub(crate) fn fence(broker: &Broker) {
    let topic = broker.create_topic(1, &[]);
    let reader = reader(broker, &topic);
    let id = new_name();
    for sends in [true, false] {
        let first = transactional(broker, &id, &[]);
        transaction(&first, &topic, "of the first");
        assert_eq!(next(&reader).1, "of the first");
        first.begin_transaction().unwrap();
        write(&first, &topic, &[(0, "left open".to_owned())]);

        let second = transactional(broker, &id, &[]);
        transaction(&second, &topic, "of the second");
        assert_eq!(next(&reader).1, "of the second");
        if sends {
            let number = first.context().count();
            let late = BaseRecord::with_opaque_to(&topic, number).payload(&b"late"[..]);
            send(&first, late.partition(0));
            until("the report", || (first.context().count() > number).then_some(()));
            let refusal = first.context().report(number).unwrap_err();
            assert_eq!(code(&refusal), RDKafkaErrorCode::InvalidProducerEpoch);
        }
        let refusal = end(&first, true).unwrap_err();
        assert_eq!(code(&refusal), RDKafkaErrorCode::Fenced);
        transaction(&second, &topic, "later");
        assert_eq!(next(&reader).1, "later");
    }
}

pub(crate) fn code(error: &KafkaError) -> RDKafkaErrorCode {
    error.rdkafka_error_code().unwrap()
}

pub(crate) fn time_out(broker: &Broker) {
    let topic = broker.create_topic(1, &[]);
    let id = new_name();
    let beyond = [("transactional.id", id.as_str()), ("transaction.timeout.ms", "900001")];
    let refusal = broker.producer(&beyond).init_transactions(TIMEOUT).unwrap_err();
    assert_eq!(code(&refusal), RDKafkaErrorCode::InvalidTransactionTimeout);

    let reader = reader(broker, &topic);
    let slow = transactional(broker, &id, &[("transaction.timeout.ms", "1000")]);
    slow.begin_transaction().unwrap();
    write(&slow, &topic, &[(0, "too late".to_owned())]);
    broker.write(&topic, 0, &["outside".to_owned()]);
    assert_eq!(next(&reader), (1, "outside".to_owned()));
    let refusal = end(&slow, true).unwrap_err();
    assert_eq!(code(&refusal), RDKafkaErrorCode::Fenced);
}
