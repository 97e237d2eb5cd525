//! Produce, and who produces.

use ottla::records::{BatchBuilder, Compression};
use ottla::wire::messages::describe_producers::{DescribeProducersRequest, TopicRequest};
use ottla::wire::messages::init_producer_id::InitProducerIdRequest;
use ottla::wire::messages::produce::{PartitionProduceData, ProduceRequest, TopicProduceData};
use uuid::Uuid;

use crate::raw_client::{Batch, Body, record};
use crate::script::Script;
use crate::side::Side;
use crate::topics::UNKNOWN_ID;

pub(crate) const APIS: &[&str] = &["Produce", "InitProducerId", "DescribeProducers"];

const VERSIONS: std::ops::RangeInclusive<i16> = 3..=13;
/// From here on topics are named by their ids.
const BY_ID: i16 = 13;
const LOG_APPEND_TIME: i16 = 0x08;
const TRANSACTIONAL: i16 = 0x10;
const CONTROL: i16 = 0x20;

const WRONG_DELTA: &str = "a record with a wrong delta";

pub(crate) fn run(script: &mut Script) {
    init_producer_id(script);
    addresses(script);
    batches(script);
    compressed(script);
    topics_with_settings(script);
    sequences(script);
    describe_producers(script);
}

/// Data for one topic.
pub(crate) fn producing(
    side: &Side,
    topic: &str,
    partitions: &[(i32, Option<Vec<u8>>)],
) -> ProduceRequest {
    let data = |(index, records): &(i32, Option<Vec<u8>>)| PartitionProduceData {
        index: *index,
        records: records.clone().map(Into::into),
    };
    ProduceRequest {
        acks: -1,
        timeout_ms: 30_000,
        topic_data: vec![TopicProduceData {
            name: topic.into(),
            topic_id: side.topic_id(topic),
            partition_data: partitions.iter().map(data).collect(),
        }],
        ..Default::default()
    }
}

/// A batch of three records.
pub(crate) fn three(time_ms: i64) -> Batch {
    Batch { timestamp_ms: time_ms, ..Batch::of(Some(b"key"), &[b"one", b"two", b"three"]) }
}

/// Appends to partition 0.
pub(crate) fn append(script: &mut Script, topic: &str, batch: &[u8]) {
    script.ask("records to use", 9, |side| producing(side, topic, &[(0, Some(batch.to_vec()))]));
}

fn init_producer_id(script: &mut Script) {
    // The reference refuses until it has a block of ids.
    let asking = InitProducerIdRequest { transactional_id: None, ..Default::default() };
    script.until("a producer id", 4, |_| asking.clone(), |response| response.error_code == 0);
    for (timeout_ms, id, epoch) in
        [(60_000, -1, -1), (0, -1, -1), (-1, 5, 3), (i32::MAX, i64::MAX, i16::MAX)]
    {
        let step = format!("no transactional id, timeout {timeout_ms}, producer {id} {epoch}");
        script.each(&step, |_, _| InitProducerIdRequest {
            transactional_id: None,
            transaction_timeout_ms: timeout_ms,
            producer_id: id,
            producer_epoch: epoch,
        });
    }
    script.each("an empty transactional id", |_, _| InitProducerIdRequest {
        transactional_id: Some(String::new()),
        transaction_timeout_ms: 60_000,
        ..Default::default()
    });
}

/// Whom records are for and who asks.
fn addresses(script: &mut Script) {
    let topic = "produce";
    script.topic(topic, 3, &[]);
    let batch = three(script.time_ms).encode();
    let data = |partition| (partition, Some(batch.clone()));
    script.over("acks 1", VERSIONS, |side, _| ProduceRequest {
        acks: 1,
        ..producing(side, topic, &[data(0)])
    });
    script.over("acks all", VERSIONS, |side, _| producing(side, topic, &[data(0)]));
    for acks in [2, -2, i16::MAX] {
        script.over(&format!("acks {acks}"), VERSIONS, |side, _| ProduceRequest {
            acks,
            ..producing(side, topic, &[data(0)])
        });
    }
    for version in VERSIONS {
        script.briefly().ask("acks 0", version, |side| ProduceRequest {
            acks: 0,
            ..producing(side, topic, &[data(1)])
        });
        script.ask("acks 0 with an error", version, |side| ProduceRequest {
            acks: 0,
            ..producing(side, topic, &[data(9)])
        });
    }
    script.over("three partitions", VERSIONS, |side, _| {
        producing(side, topic, &[data(2), data(0), data(1)])
    });
    script.over("known and unknown partitions", VERSIONS, |side, _| {
        producing(side, topic, &[data(0), data(3), data(-1)])
    });
    script
        .over("a partition twice", VERSIONS, |side, _| producing(side, topic, &[data(0), data(0)]));
    script.over("no partitions", VERSIONS, |side, _| producing(side, topic, &[]));
    script.over("no topics", VERSIONS, |side, _| ProduceRequest {
        topic_data: vec![],
        ..producing(side, topic, &[])
    });
    for name in ["produce-none", "", "bad name"] {
        script.over(&format!("the topic '{name}'"), VERSIONS, |side, version| {
            let mut request = producing(side, name, &[data(0)]);
            let is_named = version < BY_ID;
            request.topic_data[0].topic_id = if is_named { Uuid::nil() } else { UNKNOWN_ID };
            request
        });
    }
    script.over("the zero id", BY_ID..=BY_ID, |side, _| producing(side, "", &[data(0)]));
    script.over("a known and an unknown topic", VERSIONS, |side, version| {
        let mut request = producing(side, topic, &[data(0)]);
        let mut unknown = producing(side, "produce-none", &[data(0)]).topic_data.remove(0);
        unknown.topic_id = if version < BY_ID { Uuid::nil() } else { UNKNOWN_ID };
        request.topic_data.push(unknown);
        request
    });
    script.over("a transactional id", VERSIONS, |side, _| ProduceRequest {
        transactional_id: Some("produce".into()),
        ..producing(side, topic, &[data(0)])
    });
    script.over("no time", VERSIONS, |side, _| ProduceRequest {
        timeout_ms: 0,
        ..producing(side, topic, &[data(0)])
    });
    for version in VERSIONS {
        script.briefly().ask("null records", version, |side| producing(side, topic, &[(0, None)]));
    }
}

/// A message of the format before record batches.
fn legacy(magic: i8) -> Vec<u8> {
    let body = Body::default().i8(magic).i8(0);
    let body = if magic == 1 { body.i64(0) } else { body };
    let body = body.i32(-1).bytes(b"old").0;
    let mut checksum = flate2::Crc::new();
    checksum.update(&body);
    let head = Body::default().i64(0).i32(body.len() as i32 + 4);
    head.raw(&checksum.sum().to_be_bytes()).raw(&body).0
}

/// Batches that are not as they should be.
fn odd_batches(time_ms: i64) -> Vec<(&'static str, Vec<u8>)> {
    let good = three(time_ms).encode();
    let with = |change: fn(&mut Batch)| {
        let mut batch = three(time_ms);
        change(&mut batch);
        batch.encode()
    };
    let bytes = |change: fn(&mut Vec<u8>)| {
        let mut bytes = good.clone();
        change(&mut bytes);
        bytes
    };
    vec![
        ("magic 0", legacy(0)),
        ("magic 1", legacy(1)),
        ("magic 3", with(|batch| batch.magic = 3)),
        ("magic -1", with(|batch| batch.magic = -1)),
        ("a wrong checksum", bytes(|bytes| bytes[20] ^= 1)),
        ("a changed record", bytes(|bytes| *bytes.last_mut().expect("it has bytes") ^= 1)),
        ("half a batch", bytes(|bytes| bytes.truncate(bytes.len() / 2))),
        ("11 bytes", bytes(|bytes| bytes.truncate(11))),
        ("61 bytes", bytes(|bytes| bytes.truncate(61))),
        ("no bytes", Vec::new()),
        ("two batches", good.repeat(2)),
        ("bytes after it", bytes(|bytes| bytes.extend([1, 2, 3]))),
        ("a length of 0", bytes(|bytes| bytes[8..12].fill(0))),
        ("a negative length", bytes(|bytes| bytes[8] = 0xff)),
        ("a length that is too large", bytes(|bytes| bytes[9] = 1)),
        ("a base offset", with(|batch| batch.base_offset = 7)),
        ("a negative base offset", with(|batch| batch.base_offset = -7)),
        ("too many records", with(|batch| batch.count = 4)),
        ("too few records", with(|batch| batch.count = 2)),
        ("no records", with(|batch| batch.count = 0)),
        ("a negative count", with(|batch| batch.count = -1)),
        ("a wrong last delta", with(|batch| batch.last_offset_delta = 3)),
        ("a negative last delta", with(|batch| batch.last_offset_delta = -1)),
        ("codec 5", with(|batch| batch.attributes = 5)),
        ("codec 6", with(|batch| batch.attributes = 6)),
        ("codec 7", with(|batch| batch.attributes = 7)),
        ("a codec that it is not", with(|batch| batch.attributes = 1)),
        ("append time", with(|batch| batch.attributes = LOG_APPEND_TIME)),
        ("a control batch", with(|batch| batch.attributes = CONTROL)),
        ("a transactional batch", with(|batch| batch.attributes = TRANSACTIONAL)),
        ("unused attributes", with(|batch| batch.attributes = 0x0f00)),
        ("a time two hours ahead", with(|batch| batch.timestamp_ms += 10_800_000)),
        ("the time -1", with(|batch| batch.timestamp_ms = -1)),
        ("the time 0", with(|batch| batch.timestamp_ms = 0)),
        (WRONG_DELTA, with(|batch| batch.records = record(5, None, b"x").repeat(3))),
        ("fewer bytes than records", with(|batch| batch.records.truncate(20))),
        ("bytes after the records", with(|batch| batch.records.extend([0, 0]))),
        ("a sequence without a producer", with(|batch| batch.base_sequence = 4)),
        (
            "a producer without a sequence",
            with(|batch| {
                (batch.producer_id, batch.producer_epoch) = (77, 0);
            }),
        ),
        (
            "a producer without an epoch",
            with(|batch| {
                (batch.producer_id, batch.base_sequence) = (78, 0);
            }),
        ),
    ]
}

fn batches(script: &mut Script) {
    let topic = "produce-odd";
    script.topic(topic, 1, &[]);
    script.topic("produce-delta", 1, &[]);
    for (step, batch) in odd_batches(script.time_ms) {
        // What only one of the two takes would move the offsets of all others.
        let topic = if step == WRONG_DELTA { "produce-delta" } else { topic };
        script.over(step, VERSIONS, |side, _| producing(side, topic, &[(0, Some(batch.clone()))]));
    }
    let batch = three(script.time_ms).encode();
    let (_, bad) = odd_batches(script.time_ms).swap_remove(4);
    script.topic("produce-odd-2", 2, &[]);
    script.over("a good and a bad partition", VERSIONS, |side, _| {
        producing(side, "produce-odd-2", &[(0, Some(bad.clone())), (1, Some(batch.clone()))])
    });
}

fn compressed(script: &mut Script) {
    script.topic("produce-codecs", 1, &[]);
    for compression in Compression::ALL {
        let mut builder = BatchBuilder::new(0, -1).compressed(compression, None);
        for number in 0..20 {
            builder.push(script.time_ms + number, Some(b"key"), Some(b"value value value"));
        }
        let batch = builder.build();
        script.over(&format!("codec {}", compression.name()), VERSIONS, |side, _| {
            producing(side, "produce-codecs", &[(0, Some(batch.clone()))])
        });
    }
}

/// Topics that take not everything, or not as it is.
fn topics_with_settings(script: &mut Script) {
    let time_ms = script.time_ms;
    let keyless = Batch { timestamp_ms: time_ms, ..Batch::of(None, &[b"one", b"two"]) };
    let mut compressed = BatchBuilder::new(0, -1).compressed(Compression::Lz4, None);
    compressed.push(time_ms, Some(b"key"), Some(&[7; 500]));
    let batches = [
        ("keyed records", three(time_ms).encode()),
        ("records without keys", keyless.encode()),
        ("a large record", Batch::of(Some(b"key"), &[&[7; 3000]]).encode()),
        ("an old record", three(1000).encode()),
        ("a compressed batch", compressed.build()),
    ];
    let settings = [
        ("cleanup.policy", "compact"),
        ("message.timestamp.type", "LogAppendTime"),
        ("max.message.bytes", "1000"),
        ("min.insync.replicas", "2"),
        ("message.timestamp.before.max.ms", "86400000"),
        ("message.timestamp.after.max.ms", "1"),
        ("compression.type", "gzip"),
        ("compression.type", "uncompressed"),
    ];
    for (key, value) in settings {
        let topic = format!("produce-{key}-{value}");
        script.topic(&topic, 1, &[(key, value)]);
        for (what, batch) in &batches {
            script.over(&format!("{what}, {key}={value}"), VERSIONS, |side, _| {
                producing(side, &topic, &[(0, Some(batch.clone()))])
            });
        }
    }
    script.ask("internal topics", 12, |_| ottla::wire::messages::metadata::MetadataRequest {
        allow_auto_topic_creation: true,
        topics: Some(vec![ottla::wire::messages::metadata::MetadataRequestTopic {
            name: Some("__consumer_offsets".into()),
            ..Default::default()
        }]),
        ..Default::default()
    });
    script.until_served("__consumer_offsets", 1);
    let batch = three(time_ms).encode();
    script.over("an internal topic", VERSIONS, |side, _| {
        producing(side, "__consumer_offsets", &[(0, Some(batch.clone()))])
    });
}

fn of_producer(time_ms: i64, producer: (i64, i16), sequence: i32) -> Vec<u8> {
    let (producer_id, producer_epoch) = producer;
    Batch { producer_id, producer_epoch, base_sequence: sequence, ..three(time_ms) }.encode()
}

fn sequences(script: &mut Script) {
    let topic = "produce-sequences";
    script.topic(topic, 1, &[]);
    // Epoch and sequence of batches of three records, in the order they are sent.
    let sent = [
        (0, 0),
        (0, 0),
        (0, 3),
        (0, 4),
        (0, 9),
        (0, 6),
        (0, 9),
        (0, 12),
        (0, 15),
        (0, 0),
        (0, 3),
        (0, 15),
        (1, 3),
        (1, 0),
        (0, 18),
        (1, 0),
        (1, -1),
        (-1, 3),
        (3, 1),
        (3, 0),
        (3, i32::MAX),
    ];
    for version in VERSIONS {
        let answers = script.ask("a producer", 4, |_| InitProducerIdRequest {
            transactional_id: None,
            ..Default::default()
        });
        script.learn("producer", &answers, |answer| answer.producer_id.to_string());
        for (place, (epoch, sequence)) in sent.into_iter().enumerate() {
            let time_ms = script.time_ms;
            script.ask(&format!("{place}: epoch {epoch} sequence {sequence}"), version, |side| {
                let batch = of_producer(time_ms, (side.number("producer"), epoch), sequence);
                producing(side, topic, &[(0, Some(batch))])
            });
        }
        let wrapping = [i32::MAX - 2, 0, 3];
        for sequence in wrapping {
            let time_ms = script.time_ms;
            script.ask(&format!("an unknown producer, sequence {sequence}"), version, |side| {
                let batch = of_producer(time_ms, (9000 + i64::from(version), 0), sequence);
                producing(side, topic, &[(0, Some(batch))])
            });
        }
    }
}

fn describe_producers(script: &mut Script) {
    script.topic("producers", 2, &[]);
    let time_ms = script.time_ms;
    for (producer, sequence) in [((5, 0), 0), ((6, 1), 7), ((5, 0), 3), ((6, 2), 0)] {
        append(script, "producers", &of_producer(time_ms, producer, sequence));
    }
    append(script, "producers", &three(time_ms).encode());
    let cases: [(&str, &str, &[i32]); 7] = [
        ("producers", "producers", &[0]),
        ("no producers", "producers", &[1]),
        ("partitions", "producers", &[1, 0]),
        ("a partition twice", "producers", &[0, 0]),
        ("unknown partitions", "producers", &[0, 9, -1]),
        ("an unknown topic", "producers-none", &[0]),
        ("no partitions", "producers", &[]),
    ];
    for (step, topic, partitions) in cases {
        script.ask(step, 0, |_| DescribeProducersRequest {
            topics: vec![TopicRequest {
                name: topic.into(),
                partition_indexes: partitions.to_vec(),
            }],
        });
    }
    for name in ["", "bad name", "__cluster_metadata", "__consumer_offsets"] {
        script.ask(&format!("the topic '{name}'"), 0, |_| DescribeProducersRequest {
            topics: vec![TopicRequest { name: name.into(), partition_indexes: vec![0] }],
        });
    }
    script.ask("no topics", 0, |_| DescribeProducersRequest::default());
}
