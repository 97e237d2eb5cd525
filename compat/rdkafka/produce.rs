//! What is written comes back as it was.

use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::{Header, Message, OwnedHeaders};
use rdkafka::producer::BaseRecord;

use crate::broker::{Broker, delivered, outcome, send};
use crate::records::{Fields, fields, fields_of};

const PARTITIONS: usize = 3;
const BYTES_MAX: usize = 10_000;

/// Of every size up to the highest, half of it compressible.
fn value(number: usize) -> Vec<u8> {
    let mut random = fastrand::Rng::with_seed(number as u64);
    // The smallest and the largest come for certain.
    let size = if number.is_multiple_of(100) {
        number / 100 % 2 * BYTES_MAX
    } else {
        random.usize(..BYTES_MAX)
    };
    (0..size).map(|place| if place % 8 < 4 { b'a' } else { random.u8(..) }).collect()
}

pub(crate) fn produce(broker: &Broker, codec: &str) {
    const COUNT: usize = 1_000;
    for acks in ["0", "1", "all"] {
        let topic = broker.create_topic(PARTITIONS as i32, &[]);
        let settings = [("acks", acks), ("compression.type", codec), ("linger.ms", "5")];
        let producer = broker.producer(&settings);
        let values: Vec<Vec<u8>> = (0..COUNT).map(value).collect();
        for (number, value) in values.iter().enumerate() {
            let key = number.to_string();
            let record = BaseRecord::with_opaque_to(&topic, number).key(key.as_bytes());
            send(
                &producer,
                record.payload(value.as_slice()).partition((number % PARTITIONS) as i32),
            );
        }
        let places = delivered(&producer, COUNT);
        let read = broker.read(&topic, &[334, 333, 333]);
        assert_eq!(read.iter().map(Vec::len).sum::<usize>(), COUNT, "acks={acks}");
        for (number, value) in values.iter().enumerate() {
            let (partition, place) = (number % PARTITIONS, number / PARTITIONS);
            let record = &read[partition][place];
            assert_eq!(record.offset(), place as i64, "acks={acks}, record {number}");
            assert_eq!(record.key().unwrap(), number.to_string().as_bytes());
            assert!(record.payload().unwrap() == value, "acks={acks}: the value of {number}");
            if acks != "0" {
                assert_eq!(places[number], (partition as i32, place as i64), "acks={acks}");
            }
        }
    }
}

pub(crate) fn idempotent(broker: &Broker) {
    const COUNT: usize = 2_000;
    let topic = broker.create_topic(PARTITIONS as i32, &[]);
    // Small batches: many requests for the relay to choose from.
    let settings = [
        ("enable.idempotence", "true"),
        ("batch.num.messages", "10"),
        ("linger.ms", "1"),
        ("retry.backoff.ms", "10"),
        ("reconnect.backoff.ms", "10"),
    ];
    let producer = broker.producer(&settings);
    for number in 0..COUNT {
        let value = number.to_string();
        let record = BaseRecord::with_opaque_to(&topic, number).payload(value.as_bytes());
        send(&producer, record.partition((number % PARTITIONS) as i32));
    }
    let places = delivered(&producer, COUNT);
    let read = broker.read(&topic, &[667, 667, 666]);
    assert_eq!(read.iter().map(Vec::len).sum::<usize>(), COUNT);
    for (number, (partition, offset)) in places.into_iter().enumerate() {
        let record = &read[partition as usize][number / PARTITIONS];
        assert_eq!(record.payload().unwrap(), number.to_string().as_bytes());
        assert_eq!(record.offset(), (number / PARTITIONS) as i64);
        // librdkafka may learn from a duplicate's answer only that the record is there.
        assert!(
            offset < 0 || offset == record.offset(),
            "record {number} acknowledged at {offset}"
        );
    }
}

pub(crate) fn headers(broker: &Broker) {
    const COUNT: usize = 216;
    // The timestamps lie in the past: retention must not take the records.
    let topic = broker.create_topic(1, &[("retention.ms", "-1")]);
    let producer = broker.producer(&[("linger.ms", "5")]);
    for number in 0..COUNT {
        let (key, value, headers, timestamp) = fields(number);
        let mut record = BaseRecord::with_opaque_to(&topic, number).timestamp(timestamp);
        record.key = key.as_deref();
        record.payload = value.as_deref();
        let headers = headers.iter().fold(OwnedHeaders::new(), |all, (key, value)| {
            all.insert(Header { key, value: value.as_ref() })
        });
        send(&producer, record.headers(headers).partition(0));
    }
    delivered(&producer, COUNT);
    let read: Vec<Fields> = broker.read(&topic, &[COUNT])[0].iter().map(fields_of).collect();
    assert_eq!(read, (0..COUNT).map(fields).collect::<Vec<_>>());
}

pub(crate) fn large(broker: &Broker) {
    let topic = broker.create_topic(1, &[]);
    let raised = [("message.max.bytes", "2000000"), ("compression.type", "none")];
    let mut random = fastrand::Rng::with_seed(1);
    let mut bytes = |size: usize| (0..size).map(|_| random.u8(..)).collect::<Vec<u8>>();

    let (fits, exceeds) = (bytes(900_000), bytes(1_500_000));
    let sent = |value: &[u8]| {
        let producer = broker.producer(&raised);
        send(&producer, BaseRecord::with_opaque_to(&topic, 0).payload(value).partition(0));
        outcome(&producer)
    };
    assert_eq!(sent(&fits), Ok((0, 0)));
    let refusal = KafkaError::MessageProduction(RDKafkaErrorCode::MessageSizeTooLarge);
    assert_eq!(sent(&exceeds), Err(refusal));
    let read = broker.read(&topic, &[1]).remove(0);
    assert_eq!(read.len(), 1);
    assert!(read[0].payload().unwrap() == fits, "the record is not what was sent");
}
