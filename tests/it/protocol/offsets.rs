//! `ListOffsets` and `OffsetForLeaderEpoch`.

use std::io::Write;

use flate2::Compression;
use flate2::write::GzEncoder;
use ottla::wire::messages::list_offsets::{
    ListOffsetsPartition, ListOffsetsPartitionResponse, ListOffsetsRequest,
};
use ottla::wire::messages::offset_for_leader_epoch::{
    EpochEndOffset, OffsetForLeaderEpochRequest, OffsetForLeaderPartition, OffsetForLeaderTopic,
};

use super::client::{Target, Topic, list_offsets};
use super::errors::{
    FENCED_LEADER_EPOCH, INVALID_REQUEST, UNKNOWN_LEADER_EPOCH, UNKNOWN_TOPIC_OR_PARTITION,
    UNSUPPORTED_VERSION,
};
use super::produce::{append, batch, batch_of};
use crate::raw_client::{Batch, Body};

checks![
    every_version_finds_start_and_end,
    a_timestamp_finds_the_first_record_at_or_after_it,
    a_timestamp_is_looked_for_inside_batches,
    a_timestamp_after_everything_finds_nothing,
    an_empty_partition_has_no_timestamps,
    the_largest_timestamp_is_found,
    local_and_remote_offsets,
    special_timestamps_need_their_version,
    a_repeated_partition_is_answered_once,
    any_replica_id_is_served,
    what_is_not_there_has_no_offsets,
    a_wrong_leader_epoch_is_refused,
    a_topic_without_partitions_is_not_answered,
    an_unknown_isolation_level_fails_everything,
    every_version_knows_where_an_epoch_ends,
    an_unknown_or_future_epoch_has_no_end,
    offsets_have_no_gaps,
];

const LATEST: i64 = -1;
const EARLIEST: i64 = -2;
const MAX_TIMESTAMP: i64 = -3;
const EARLIEST_LOCAL: i64 = -4;
const LATEST_TIERED: i64 = -5;
const EARLIEST_PENDING_UPLOAD: i64 = -6;
const GZIP: i16 = 1;

/// Timestamp, offset and leader epoch of an answer without error; versions below 4 have no epoch.
fn found(answer: &ListOffsetsPartitionResponse) -> (i64, i64, i32) {
    assert_eq!((answer.error_code, answer.partition_index), (0, 0), "{answer:?}");
    (answer.timestamp, answer.offset, answer.leader_epoch)
}

fn epoch(version: i16) -> i32 {
    if version >= 4 { 0 } else { -1 }
}

/// A batch whose records are so many milliseconds after `base_ms`.
fn timed(base_ms: i64, deltas_ms: &[i64]) -> Vec<u8> {
    timed_batch(base_ms, deltas_ms).1
}

fn timed_batch(base_ms: i64, deltas_ms: &[i64]) -> (Batch, Vec<u8>) {
    let mut batch = batch_of(deltas_ms.len());
    batch.timestamp_ms = base_ms;
    batch.records.clear();
    for (offset_delta, timestamp_delta) in deltas_ms.iter().enumerate() {
        let body = Body::default().i8(0).varint(*timestamp_delta).varint(offset_delta as i64);
        let body = body.varint(-1).varint(1).raw(b"v").varint(0).0;
        let record = Body::default().varint(body.len() as i64).raw(&body).0;
        batch.records.extend(record);
    }
    let bytes = with_max_timestamp(&batch, base_ms + deltas_ms.iter().max().unwrap());
    (batch, bytes)
}

/// The batch with a largest timestamp other than its first.
fn with_max_timestamp(batch: &Batch, max_timestamp_ms: i64) -> Vec<u8> {
    let mut bytes = batch.encode();
    bytes[35..43].copy_from_slice(&max_timestamp_ms.to_be_bytes());
    let checksum = crc32c::crc32c(&bytes[21..]);
    bytes[17..21].copy_from_slice(&checksum.to_be_bytes());
    bytes
}

fn every_version_finds_start_and_end(target: &Target) {
    let topic = target.topic(1);
    append(target, &topic, &batch(4));
    for version in 1..=11 {
        for isolation_level in [0, 1] {
            for (timestamp, offset) in [(LATEST, 4), (EARLIEST, 0)] {
                let mut request = list_offsets(&topic.name, 0, timestamp);
                request.isolation_level = if version >= 2 { isolation_level } else { 0 };
                let response = target.call(&request, version);
                assert_eq!(response.topics.len(), 1);
                assert_eq!(response.topics[0].name, topic.name);
                let answer = &response.topics[0].partitions[0];
                assert_eq!(found(answer), (-1, offset, epoch(version)), "version {version}");
            }
        }
    }
}

fn a_timestamp_finds_the_first_record_at_or_after_it(target: &Target) {
    let topic = target.topic(1);
    for time in [1_000, 2_000, 3_000] {
        append(target, &topic, &timed(time, &[0]));
    }
    for version in 1..=11 {
        for (asked, timestamp, offset) in [
            (0, 1_000, 0),
            (1_000, 1_000, 0),
            (1_001, 2_000, 1),
            (2_000, 2_000, 1),
            (3_000, 3_000, 2),
        ] {
            let answer = target.list_offset(&topic, 0, asked, version);
            assert_eq!(found(&answer), (timestamp, offset, epoch(version)), "{asked}");
        }
    }
}

fn a_timestamp_is_looked_for_inside_batches(target: &Target) {
    let plain = target.topic(1);
    append(target, &plain, &timed(1_000, &[0, 50, 10, 200]));
    let compressed = target.topic(1);
    let (mut batch, _) = timed_batch(1_000, &[0, 50, 10, 200]);
    let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(&batch.records).unwrap();
    batch.records = encoder.finish().unwrap();
    batch.attributes = GZIP;
    append(target, &compressed, &with_max_timestamp(&batch, 1_200));
    for topic in [plain, compressed] {
        for (asked, timestamp, offset) in
            [(1_000, 1_000, 0), (1_005, 1_050, 1), (1_050, 1_050, 1), (1_051, 1_200, 3)]
        {
            let answer = target.list_offset(&topic, 0, asked, 11);
            assert_eq!(found(&answer), (timestamp, offset, 0), "{asked}");
        }
    }
}

fn a_timestamp_after_everything_finds_nothing(target: &Target) {
    let topic = target.topic(1);
    append(target, &topic, &timed(1_000, &[0, 1]));
    for version in 1..=11 {
        let answer = target.list_offset(&topic, 0, 1_002, version);
        assert_eq!(found(&answer), (-1, -1, -1), "version {version}");
    }
}

fn an_empty_partition_has_no_timestamps(target: &Target) {
    let topic = target.topic(1);
    assert_eq!(found(&target.list_offset(&topic, 0, 0, 11)), (-1, -1, -1));
    assert_eq!(found(&target.list_offset(&topic, 0, LATEST, 11)), (-1, 0, 0));
    assert_eq!(found(&target.list_offset(&topic, 0, EARLIEST, 11)), (-1, 0, 0));
    assert_eq!(found(&target.list_offset(&topic, 0, MAX_TIMESTAMP, 11)), (-1, -1, -1));
}

fn the_largest_timestamp_is_found(target: &Target) {
    let topic = target.topic(1);
    append(target, &topic, &timed(1_000, &[0, 900, 100]));
    append(target, &topic, &timed(1_500, &[0]));
    for version in 7..=11 {
        let answer = target.list_offset(&topic, 0, MAX_TIMESTAMP, version);
        assert_eq!(found(&answer), (1_900, 1, 0), "version {version}");
    }
}

fn local_and_remote_offsets(target: &Target) {
    let topic = target.topic(1);
    append(target, &topic, &batch(2));
    assert_eq!(found(&target.list_offset(&topic, 0, EARLIEST_LOCAL, 8)), (-1, 0, 0));
    for version in 9..=11 {
        let answer = target.list_offset(&topic, 0, LATEST_TIERED, version);
        assert_eq!(found(&answer), (-1, -1, -1), "version {version}");
    }
    let answer = target.list_offset(&topic, 0, EARLIEST_PENDING_UPLOAD, 11);
    assert_eq!(found(&answer), (-1, -1, -1));
}

fn special_timestamps_need_their_version(target: &Target) {
    let topic = target.topic(1);
    append(target, &topic, &batch(1));
    let first_version = [
        (MAX_TIMESTAMP, 7),
        (EARLIEST_LOCAL, 8),
        (LATEST_TIERED, 9),
        (EARLIEST_PENDING_UPLOAD, 11),
        (-7, i16::MAX),
        (i64::MIN, i16::MAX),
    ];
    for version in 1..=11 {
        for (timestamp, first) in first_version {
            let answer = target.list_offset(&topic, 0, timestamp, version);
            let expected = if version < first { UNSUPPORTED_VERSION } else { 0 };
            assert_eq!(answer.error_code, expected, "{timestamp} in version {version}");
        }
    }
}

fn a_repeated_partition_is_answered_once(target: &Target) {
    let topic = target.topic(1);
    for version in [1, 6, 11] {
        let mut request = list_offsets(&topic.name, 0, LATEST);
        let again = ListOffsetsPartition { timestamp: EARLIEST, ..Default::default() };
        request.topics[0].partitions.push(again);
        let response = target.call(&request, version);
        let answers: Vec<_> = response.topics.iter().flat_map(|topic| &topic.partitions).collect();
        assert_eq!(answers.len(), 1, "version {version}: {answers:?}");
        assert_eq!((answers[0].error_code, answers[0].offset), (INVALID_REQUEST, -1));
    }
}

fn any_replica_id_is_served(target: &Target) {
    let topic = target.topic(1);
    append(target, &topic, &batch(2));
    for replica_id in [-2, -1, 0, 1, 5, i32::MIN] {
        let request = ListOffsetsRequest { replica_id, ..list_offsets(&topic.name, 0, LATEST) };
        let response = target.call(&request, 7);
        assert_eq!(found(&response.topics[0].partitions[0]), (-1, 2, 0), "{replica_id}");
    }
}

fn what_is_not_there_has_no_offsets(target: &Target) {
    let topic = target.topic(1);
    for version in 1..=11 {
        for (name, partition) in
            [(target.name(), 0), (topic.name.clone(), 1), (topic.name.clone(), -1)]
        {
            let response = target.call(&list_offsets(&name, partition, LATEST), version);
            let answer = &response.topics[0].partitions[0];
            assert_eq!(answer.error_code, UNKNOWN_TOPIC_OR_PARTITION, "{name}-{partition}");
            let (timestamp, offset, epoch) = (answer.timestamp, answer.offset, answer.leader_epoch);
            assert_eq!((timestamp, offset, epoch), (-1, -1, -1), "{name}-{partition}");
        }
    }
}

fn a_wrong_leader_epoch_is_refused(target: &Target) {
    let topic = target.topic(1);
    for version in 4..=11 {
        let errors = [(-2, FENCED_LEADER_EPOCH), (-1, 0), (0, 0), (1, UNKNOWN_LEADER_EPOCH)];
        for (epoch, error) in errors {
            let mut request = list_offsets(&topic.name, 0, LATEST);
            request.topics[0].partitions[0].current_leader_epoch = epoch;
            let response = target.call(&request, version);
            let answer = &response.topics[0].partitions[0];
            assert_eq!(answer.error_code, error, "epoch {epoch} in version {version}");
        }
    }
}

fn a_topic_without_partitions_is_not_answered(target: &Target) {
    for version in [1, 6, 11] {
        let mut request = list_offsets(&target.name(), 0, LATEST);
        request.topics[0].partitions.clear();
        assert_eq!(target.call(&request, version).topics, [], "version {version}");
    }
}

fn an_unknown_isolation_level_fails_everything(target: &Target) {
    let topic = target.topic(1);
    let request = ListOffsetsRequest { isolation_level: 9, ..list_offsets(&topic.name, 0, LATEST) };
    for version in [2, 7, 11] {
        let response = target.call(&request, version);
        let answer = &response.topics[0].partitions[0];
        assert_eq!((answer.error_code, answer.offset), (-1, -1), "version {version}");
    }
}

fn epoch_end(
    target: &Target,
    topic: &Topic,
    partition: i32,
    epochs: (i32, i32),
    version: i16,
) -> EpochEndOffset {
    let partition = OffsetForLeaderPartition {
        partition,
        current_leader_epoch: epochs.0,
        leader_epoch: epochs.1,
    };
    let request = OffsetForLeaderEpochRequest {
        replica_id: -1,
        topics: vec![OffsetForLeaderTopic {
            topic: topic.name.clone(),
            partitions: vec![partition],
        }],
    };
    let mut response = target.call(&request, version);
    assert_eq!(response.topics.len(), 1, "{response:?}");
    assert_eq!(response.topics[0].topic, topic.name);
    response.topics[0].partitions.remove(0)
}

fn end(error_code: i16, partition: i32, leader_epoch: i32, end_offset: i64) -> EpochEndOffset {
    EpochEndOffset { error_code, partition, leader_epoch, end_offset }
}

fn every_version_knows_where_an_epoch_ends(target: &Target) {
    let topic = target.topic(2);
    append(target, &topic, &batch(3));
    for version in 2..=4 {
        for current in [-1, 0] {
            let answer = epoch_end(target, &topic, 0, (current, 0), version);
            assert_eq!(answer, end(0, 0, 0, 3), "version {version}");
        }
        // An epoch in which nothing was written.
        let answer = epoch_end(target, &topic, 1, (-1, 0), version);
        assert_eq!(answer, end(0, 1, 0, 0), "version {version}");
    }
}

fn an_unknown_or_future_epoch_has_no_end(target: &Target) {
    let topic = target.topic(1);
    append(target, &topic, &batch(3));
    let unknown = Topic { name: target.name(), ..topic.clone() };
    for version in 2..=4 {
        for epoch in [1, 99, -1] {
            let answer = epoch_end(target, &topic, 0, (-1, epoch), version);
            assert_eq!(answer, end(0, 0, -1, -1), "epoch {epoch}");
        }
        // Older than all, as any other number would be.
        assert_eq!(epoch_end(target, &topic, 0, (-1, -2), version), end(0, 0, -2, 0));
        assert_eq!(
            epoch_end(target, &topic, 0, (-2, 0), version),
            end(FENCED_LEADER_EPOCH, 0, -1, -1)
        );
        let answer = epoch_end(target, &topic, 0, (7, 0), version);
        assert_eq!(answer, end(UNKNOWN_LEADER_EPOCH, 0, -1, -1));
        for (topic, partition) in [(&unknown, 0), (&topic, 9)] {
            let answer = epoch_end(target, topic, partition, (-1, 0), version);
            assert_eq!(answer, end(UNKNOWN_TOPIC_OR_PARTITION, partition, -1, -1));
        }
    }
}

fn offsets_have_no_gaps(target: &Target) {
    let topic = target.topic(1);
    let mut end_offset = 0;
    for records in 1..=5 {
        assert_eq!(append(target, &topic, &batch(records)), end_offset);
        end_offset += records as i64;
        for isolation_level in [0, 1] {
            let request =
                ListOffsetsRequest { isolation_level, ..list_offsets(&topic.name, 0, LATEST) };
            let response = target.call(&request, 7);
            assert_eq!(found(&response.topics[0].partitions[0]), (-1, end_offset, 0));
        }
    }
}
