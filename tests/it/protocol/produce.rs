//! Produce: what is appended, and what is refused before a batch is looked at.

use std::time::{SystemTime, UNIX_EPOCH};

use ottla::wire::messages::metadata::{MetadataRequest, MetadataRequestTopic};
use ottla::wire::messages::produce::{
    PartitionProduceData, PartitionProduceResponse, ProduceRequest, TopicProduceData,
};
use uuid::Uuid;

use super::client::{Client, Target, Topic, soon};
use super::errors::{
    INVALID_REQUIRED_ACKS, INVALID_TOPIC, TRANSACTIONAL_ID_AUTHORIZATION_FAILED, UNKNOWN_TOPIC_ID,
    UNKNOWN_TOPIC_OR_PARTITION, UNSUPPORTED_COMPRESSION_TYPE,
};
use super::fetch::read_all;
use crate::raw_client::Batch;

checks![
    every_version_appends,
    a_topic_that_is_not_there,
    an_unknown_number_of_acks_is_refused,
    a_topic_of_append_times_takes_the_brokers_clock,
    the_bit_of_append_times_is_accepted_on_a_topic_without,
    more_in_sync_replicas_than_there_are_do_not_fail,
    a_transactional_id_needs_no_transactional_batch,
    a_transactional_batch_needs_a_transactional_id,
    internal_topics_are_refused,
    a_partition_named_twice_is_answered_once,
    a_topic_without_partitions_is_not_answered,
    many_partitions_are_answered_each,
    zstd_needs_version_7,
];

/// Attribute bit of a batch whose times are the broker's.
const LOG_APPEND_TIME: i16 = 0x08;
const ZSTD: i16 = 4;
const TRANSACTIONAL: i16 = 0x10;
pub(super) const CONTROL: i16 = 0x20;

/// A well-formed batch of so many records.
pub(super) fn batch(records: usize) -> Vec<u8> {
    batch_of(records).encode()
}

/// As [`batch`], to be changed before it is encoded.
pub(super) fn batch_of(records: usize) -> Batch {
    Batch::of(Some(b"key"), &vec![&b"value"[..]; records])
}

/// Asks to append to partition 0; the request names the topic by name and by id, as each version needs.
pub(super) fn produce(topic: &Topic, batch: &[u8]) -> ProduceRequest {
    let data = PartitionProduceData { index: 0, records: Some(batch.to_vec().into()) };
    produce_partitions(topic, vec![data])
}

pub(super) fn produce_without_records(topic: &Topic) -> ProduceRequest {
    produce_partitions(topic, vec![PartitionProduceData { index: 0, records: None }])
}

fn produce_partitions(topic: &Topic, data: Vec<PartitionProduceData>) -> ProduceRequest {
    ProduceRequest {
        acks: -1,
        timeout_ms: 30_000,
        topic_data: vec![TopicProduceData {
            name: topic.name.clone(),
            topic_id: topic.id,
            partition_data: data,
        }],
        ..Default::default()
    }
}

/// The answer for the one partition of a request.
pub(super) fn answer(
    client: &mut Client,
    request: &ProduceRequest,
    version: i16,
) -> PartitionProduceResponse {
    let mut response = client.call(request, version);
    assert_eq!(response.responses.len(), 1, "{response:?}");
    let mut partitions = response.responses.remove(0).partition_responses;
    assert_eq!(partitions.len(), 1, "{partitions:?}");
    partitions.remove(0)
}

/// Appends to partition 0 and gives the base offset.
pub(super) fn append(target: &Target, topic: &Topic, batch: &[u8]) -> i64 {
    let answer = answer(&mut target.client(), &produce(topic, batch), 9);
    assert_eq!(answer.error_code, 0, "{answer:?}");
    answer.base_offset
}

pub(super) fn now_ms() -> i64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_millis() as i64
}

fn every_version_appends(target: &Target) {
    let topic = target.topic(1);
    let mut end = 0;
    for version in 3..=13 {
        for acks in [1, -1] {
            let request = ProduceRequest { acks, ..produce(&topic, &batch(3)) };
            let response = target.call(&request, version);
            let answered = &response.responses[0];
            let (name, id) = match version {
                13 => ("", topic.id),
                _ => (topic.name.as_str(), Uuid::nil()),
            };
            assert_eq!((answered.name.as_str(), answered.topic_id), (name, id));
            let expected = PartitionProduceResponse {
                base_offset: end,
                log_start_offset: if version >= 5 { 0 } else { -1 },
                ..Default::default()
            };
            assert_eq!(answered.partition_responses, [expected], "version {version}");
            end += 3;
        }
    }
    assert_eq!(target.end_offset(&topic, 0).offset, end);
}

fn a_topic_that_is_not_there(target: &Target) {
    let topic = target.topic(1);
    let unknown = Topic { name: target.name(), id: Uuid::from_u128(0x1234_5678) };
    let zero = Topic { id: Uuid::nil(), ..topic.clone() };
    for version in 3..=13 {
        let error = if version == 13 { UNKNOWN_TOPIC_ID } else { UNKNOWN_TOPIC_OR_PARTITION };
        let refused = answer(&mut target.client(), &produce(&unknown, &batch(1)), version);
        assert_eq!((refused.error_code, refused.base_offset), (error, -1), "version {version}");
        assert_eq!((refused.log_append_time_ms, refused.log_start_offset), (-1, -1));
        let mut request = produce(&topic, &batch(1));
        request.topic_data[0].partition_data[0].index = 1;
        let refused = answer(&mut target.client(), &request, version);
        assert_eq!(refused.error_code, UNKNOWN_TOPIC_OR_PARTITION, "version {version}");
    }
    let refused = answer(&mut target.client(), &produce(&zero, &batch(1)), 13);
    assert_eq!(refused.error_code, UNKNOWN_TOPIC_ID);
}

fn an_unknown_number_of_acks_is_refused(target: &Target) {
    let topic = target.topic(1);
    for acks in [2, -2] {
        let request = ProduceRequest { acks, ..produce(&topic, &batch(1)) };
        let refused = answer(&mut target.client(), &request, 9);
        assert_eq!(refused.error_code, INVALID_REQUIRED_ACKS, "{refused:?}");
    }
    assert_eq!(target.end_offset(&topic, 0).offset, 0);
}

fn a_topic_of_append_times_takes_the_brokers_clock(target: &Target) {
    let topic = target.topic_with(1, &[("message.timestamp.type", "LogAppendTime")]);
    let before = now_ms();
    for version in [3, 9, 13] {
        let mut old = batch_of(2);
        old.timestamp_ms = 1_000;
        let answered = answer(&mut target.client(), &produce(&topic, &old.encode()), version);
        assert_eq!(answered.error_code, 0);
        assert!((before..=now_ms()).contains(&answered.log_append_time_ms), "{answered:?}");
        let stored = read_all(target, &topic, answered.base_offset);
        let attributes = i16::from_be_bytes([stored[21], stored[22]]);
        assert_eq!(attributes & LOG_APPEND_TIME, LOG_APPEND_TIME);
        let max_timestamp = i64::from_be_bytes(stored[35..43].try_into().unwrap());
        assert_eq!(max_timestamp, answered.log_append_time_ms);
        let checksum = u32::from_be_bytes(stored[17..21].try_into().unwrap());
        assert_eq!(checksum, crc32c::crc32c(&stored[21..]));
    }
}

fn the_bit_of_append_times_is_accepted_on_a_topic_without(target: &Target) {
    let topic = target.topic(1);
    let mut marked = batch_of(1);
    marked.attributes = LOG_APPEND_TIME;
    let answered = answer(&mut target.client(), &produce(&topic, &marked.encode()), 9);
    assert_eq!((answered.error_code, answered.log_append_time_ms), (0, -1), "{answered:?}");
}

fn more_in_sync_replicas_than_there_are_do_not_fail(target: &Target) {
    let topic = target.topic_with(1, &[("min.insync.replicas", "2")]);
    assert_eq!(append(target, &topic, &batch(1)), 0);
}

fn a_transactional_id_needs_no_transactional_batch(target: &Target) {
    let topic = target.topic(1);
    let transactional_id = Some("protocol".to_owned());
    let request = ProduceRequest { transactional_id, ..produce(&topic, &batch(1)) };
    for version in [3, 9, 13] {
        assert_eq!(answer(&mut target.client(), &request, version).error_code, 0, "{version}");
    }
}

fn a_transactional_batch_needs_a_transactional_id(target: &Target) {
    let topic = target.topic(1);
    for attributes in [TRANSACTIONAL, TRANSACTIONAL | CONTROL] {
        let mut transactional = batch_of(1);
        transactional.attributes = attributes;
        transactional.producer_id = 1_000_000;
        transactional.producer_epoch = 0;
        transactional.base_sequence = 0;
        let request = produce(&topic, &transactional.encode());
        for version in 3..=13 {
            let refused = answer(&mut target.client(), &request, version).error_code;
            assert_eq!(refused, TRANSACTIONAL_ID_AUTHORIZATION_FAILED, "version {version}");
        }
    }
}

/// A coordinator's topic, which its first mention has made.
pub(super) fn internal_topic(target: &Target) -> Topic {
    let asked =
        MetadataRequestTopic { name: Some("__consumer_offsets".into()), ..Default::default() };
    let request = MetadataRequest { topics: Some(vec![asked]), ..Default::default() };
    target.call(&request, 12);
    let found = soon("the internal topic", || {
        Some(target.call(&request, 12).topics.remove(0)).filter(|topic| topic.error_code == 0)
    });
    let topic = Topic { name: "__consumer_offsets".into(), id: found.topic_id };
    target.wait_until_served(&topic, 0);
    topic
}

fn internal_topics_are_refused(target: &Target) {
    let topic = internal_topic(target);
    for version in [9, 13] {
        let refused = answer(&mut target.client(), &produce(&topic, &batch(1)), version);
        assert_eq!(refused.error_code, INVALID_TOPIC, "{refused:?}");
    }
}

fn a_partition_named_twice_is_answered_once(target: &Target) {
    let topic = target.topic(1);
    let data = |records| PartitionProduceData { index: 0, records: Some(batch(records).into()) };
    let request = produce_partitions(&topic, vec![data(1), data(2)]);
    let answered = answer(&mut target.client(), &request, 9);
    // Only the later data is appended.
    assert_eq!((answered.error_code, answered.base_offset), (0, 0), "{answered:?}");
    assert_eq!(target.end_offset(&topic, 0).offset, 2);
}

fn a_topic_without_partitions_is_not_answered(target: &Target) {
    let topic = target.topic(1);
    for version in [3, 9, 13] {
        let response = target.call(&produce_partitions(&topic, vec![]), version);
        assert_eq!(response.responses, [], "version {version}");
    }
}

fn zstd_needs_version_7(target: &Target) {
    let topic = target.topic(1);
    let mut compressed = batch_of(1);
    compressed.attributes = ZSTD;
    compressed.records = zstd::encode_all(&compressed.records[..], 1).unwrap();
    let request = produce(&topic, &compressed.encode());
    for version in 3..=13 {
        let answered = answer(&mut target.client(), &request, version).error_code;
        let expected = if version < 7 { UNSUPPORTED_COMPRESSION_TYPE } else { 0 };
        assert_eq!(answered, expected, "version {version}");
    }
}

fn many_partitions_are_answered_each(target: &Target) {
    let topics = [target.topic(3), target.topic(2)];
    for version in [3, 9, 13] {
        let mut request = produce(&topics[0], &[]);
        request.topic_data.clear();
        for (topic, partitions) in topics.iter().zip([3, 2]) {
            let data = (0..=partitions)
                .map(|index| PartitionProduceData { index, records: Some(batch(1).into()) });
            request.topic_data.extend(produce_partitions(topic, data.collect()).topic_data);
        }
        let response = target.call(&request, version);
        let mut answered: Vec<_> = response
            .responses
            .iter()
            .flat_map(|topic| {
                let partitions = topic.partition_responses.iter();
                partitions.map(|one| (&topic.name, topic.topic_id, one.index, one.error_code))
            })
            .map(|(name, id, index, error)| {
                let second = name == &topics[1].name || id == topics[1].id;
                (second, index, error)
            })
            .collect();
        answered.sort_unstable();
        let (first, second) = (false, true);
        let expected = [
            (first, 0, 0),
            (first, 1, 0),
            (first, 2, 0),
            (first, 3, UNKNOWN_TOPIC_OR_PARTITION),
            (second, 0, 0),
            (second, 1, 0),
            (second, 2, UNKNOWN_TOPIC_OR_PARTITION),
        ];
        assert_eq!(answered, expected, "version {version}");
    }
}
