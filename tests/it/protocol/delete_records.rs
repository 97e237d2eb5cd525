//! `DeleteRecords`.

use ottla::wire::messages::delete_records::{
    DeleteRecordsPartition, DeleteRecordsPartitionResult, DeleteRecordsRequest, DeleteRecordsTopic,
};

use super::client::{Target, Topic};
use super::errors::{
    INVALID_TOPIC, OFFSET_OUT_OF_RANGE, POLICY_VIOLATION, UNKNOWN_TOPIC_OR_PARTITION,
};
use super::fetch::{fetch, only, records};
use super::produce::{answer, append, batch, internal_topic, produce};

checks![
    a_partition_begins_where_it_was_told_at_every_version,
    what_was_deleted_is_out_of_range_and_the_rest_is_read,
    minus_1_is_the_high_watermark,
    an_offset_below_the_beginning_changes_nothing,
    an_offset_above_the_high_watermark_is_out_of_range,
    a_batch_goes_on_beginning_where_it_did,
    only_what_may_be_deleted_is,
    internal_topics_are_kept,
    what_is_not_there_has_no_records,
    of_a_partition_named_twice_the_last_offset_counts,
    every_partition_is_answered,
    the_timeout_means_nothing,
    producing_goes_on_after_everything_is_deleted,
];

const EARLIEST: i64 = -2;

fn request(topic: &str, offsets: &[(i32, i64)]) -> DeleteRecordsRequest {
    let partition = |&(partition_index, offset): &(i32, i64)| DeleteRecordsPartition {
        partition_index,
        offset,
    };
    let partitions = offsets.iter().map(partition).collect();
    let topics = vec![DeleteRecordsTopic { name: topic.into(), partitions }];
    DeleteRecordsRequest { topics, timeout_ms: 60_000 }
}

/// First offset and error of partition 0.
fn delete(target: &Target, topic: &str, offset: i64) -> (i64, i16) {
    let mut response = target.call(&request(topic, &[(0, offset)]), 2);
    assert_eq!(response.topics.len(), 1, "{response:?}");
    let answered = response.topics.remove(0);
    assert_eq!(answered.name, topic);
    let [DeleteRecordsPartitionResult { partition_index: 0, low_watermark, error_code }] =
        answered.partitions[..]
    else {
        panic!("{:?}", answered.partitions)
    };
    (low_watermark, error_code)
}

/// Deletes what partition 0 has below `offset`, which must succeed.
pub(super) fn delete_before(target: &Target, topic: &Topic, offset: i64) {
    assert_eq!(delete(target, &topic.name, offset), (offset, 0));
}

/// A topic whose partition 0 has 30 records in three batches.
fn filled(target: &Target) -> Topic {
    let topic = target.topic(1);
    for _ in 0..3 {
        append(target, &topic, &batch(10));
    }
    topic
}

fn start(target: &Target, topic: &Topic) -> i64 {
    target.list_offset(topic, 0, EARLIEST, 7).offset
}

fn a_partition_begins_where_it_was_told_at_every_version(target: &Target) {
    let topic = filled(target);
    for version in 0..=2 {
        let offset = 10 * i64::from(version) + 3;
        let response = target.call(&request(&topic.name, &[(0, offset)]), version);
        let expected = DeleteRecordsPartitionResult {
            partition_index: 0,
            low_watermark: offset,
            error_code: 0,
        };
        assert_eq!(response.topics[0].partitions, [expected], "version {version}");
        assert_eq!(start(target, &topic), offset, "version {version}");
    }
}

fn what_was_deleted_is_out_of_range_and_the_rest_is_read(target: &Target) {
    let topic = filled(target);
    assert_eq!(delete(target, &topic.name, 20), (20, 0));
    for version in [4, 12, 18] {
        let gone = only(target.call(&fetch(&topic, 19), version));
        assert_eq!(gone.error_code, OFFSET_OUT_OF_RANGE, "version {version}");
        let kept = only(target.call(&fetch(&topic, 20), version));
        assert_eq!((kept.error_code, kept.high_watermark), (0, 30), "version {version}");
        assert_eq!(kept.log_start_offset, if version >= 5 { 20 } else { -1 });
        assert_eq!(records(&kept).len(), batch(10).len());
    }
    let appended = answer(&mut target.client(), &produce(&topic, &batch(1)), 9);
    assert_eq!((appended.base_offset, appended.log_start_offset), (30, 20));
}

fn minus_1_is_the_high_watermark(target: &Target) {
    let topic = filled(target);
    assert_eq!(delete(target, &topic.name, -1), (30, 0));
    assert_eq!(delete(target, &topic.name, -1), (30, 0), "once more");
    assert_eq!((start(target, &topic), target.end_offset(&topic, 0).offset), (30, 30));
    let empty = target.topic(1);
    assert_eq!(delete(target, &empty.name, -1), (0, 0));
}

fn an_offset_below_the_beginning_changes_nothing(target: &Target) {
    let topic = filled(target);
    assert_eq!(delete(target, &topic.name, 0), (0, 0));
    assert_eq!(delete(target, &topic.name, 15), (15, 0));
    for offset in [0, 3, 15] {
        assert_eq!(delete(target, &topic.name, offset), (15, 0), "{offset}");
    }
    assert_eq!(start(target, &topic), 15);
}

fn an_offset_above_the_high_watermark_is_out_of_range(target: &Target) {
    let topic = filled(target);
    for offset in [31, i64::MAX, -2, i64::MIN] {
        assert_eq!(delete(target, &topic.name, offset), (-1, OFFSET_OUT_OF_RANGE), "{offset}");
    }
    assert_eq!(delete(target, &topic.name, 30), (30, 0), "the high watermark itself");
}

fn a_batch_goes_on_beginning_where_it_did(target: &Target) {
    let topic = filled(target);
    assert_eq!(delete(target, &topic.name, 15), (15, 0));
    let data = only(target.call(&fetch(&topic, 15), 12));
    let base_offset = i64::from_be_bytes(records(&data)[..8].try_into().unwrap());
    assert_eq!((base_offset, data.log_start_offset), (10, 15));
}

fn only_what_may_be_deleted_is(target: &Target) {
    for (policy, expected) in [
        ("compact", (-1, POLICY_VIOLATION)),
        ("compact,delete", (2, 0)),
        ("delete", (2, 0)),
        ("", (2, 0)),
    ] {
        let topic = target.topic_with(1, &[("cleanup.policy", policy)]);
        append(target, &topic, &batch(3));
        assert_eq!(delete(target, &topic.name, 2), expected, "{policy}");
    }
    let compacted = target.topic_with(1, &[("cleanup.policy", "compact")]);
    for offset in [-1, 0, 7] {
        assert_eq!(delete(target, &compacted.name, offset), (-1, POLICY_VIOLATION), "{offset}");
    }
}

fn internal_topics_are_kept(target: &Target) {
    let topic = internal_topic(target);
    assert_eq!(delete(target, &topic.name, 0), (-1, INVALID_TOPIC));
    let response = target.call(&request(&topic.name, &[(99, 0)]), 2);
    assert_eq!(response.topics[0].partitions[0].error_code, UNKNOWN_TOPIC_OR_PARTITION);
}

fn what_is_not_there_has_no_records(target: &Target) {
    let unknown = target.name();
    for name in [unknown.as_str(), "", "a b", "__cluster_metadata"] {
        assert_eq!(delete(target, name, 0), (-1, UNKNOWN_TOPIC_OR_PARTITION), "{name}");
    }
    let topic = target.topic(1);
    for partition in [1, -1] {
        let response = target.call(&request(&topic.name, &[(partition, 0)]), 2);
        let expected = DeleteRecordsPartitionResult {
            partition_index: partition,
            low_watermark: -1,
            error_code: UNKNOWN_TOPIC_OR_PARTITION,
        };
        assert_eq!(response.topics[0].partitions, [expected]);
    }
}

fn of_a_partition_named_twice_the_last_offset_counts(target: &Target) {
    let topic = filled(target);
    for (offsets, low_watermark) in [([(0, 3), (0, 5)], 5), ([(0, 8), (0, 6)], 6)] {
        let response = target.call(&request(&topic.name, &offsets), 2);
        let expected =
            DeleteRecordsPartitionResult { partition_index: 0, low_watermark, error_code: 0 };
        assert_eq!(response.topics[0].partitions, [expected]);
    }
}

fn every_partition_is_answered(target: &Target) {
    let (first, second) = (target.topic(2), target.topic(1));
    append(target, &first, &batch(5));
    append(target, &second, &batch(5));
    let mut both = request(&first.name, &[(1, 0), (0, 4), (7, 0)]);
    both.topics.extend(request(&second.name, &[(0, 9)]).topics);
    let response = target.call(&both, 2);
    let mut found: Vec<_> = response
        .topics
        .iter()
        .flat_map(|topic| topic.partitions.iter().map(move |one| (topic.name.as_str(), one)))
        .map(|(name, one)| (name, one.partition_index, one.low_watermark, one.error_code))
        .collect();
    found.sort_unstable();
    let expected = [
        (first.name.as_str(), 0, 4, 0),
        (&first.name, 1, 0, 0),
        (&first.name, 7, -1, UNKNOWN_TOPIC_OR_PARTITION),
        (&second.name, 0, -1, OFFSET_OUT_OF_RANGE),
    ];
    assert_eq!(found, expected);
    let none = target.call(&DeleteRecordsRequest { topics: Vec::new(), timeout_ms: 1 }, 2);
    assert_eq!(none.topics, []);
}

fn the_timeout_means_nothing(target: &Target) {
    let topic = filled(target);
    for (timeout_ms, offset) in [(0, 4), (-1, 5), (i32::MIN, 6)] {
        let request = DeleteRecordsRequest { timeout_ms, ..request(&topic.name, &[(0, offset)]) };
        let response = target.call(&request, 2);
        assert_eq!(response.topics[0].partitions[0].error_code, 0, "{timeout_ms} ms");
    }
    assert_eq!(start(target, &topic), 6);
}

fn producing_goes_on_after_everything_is_deleted(target: &Target) {
    let topic = filled(target);
    assert_eq!(delete(target, &topic.name, -1), (30, 0));
    assert_eq!(append(target, &topic, &batch(2)), 30);
    let data = only(target.call(&fetch(&topic, 30), 12));
    assert_eq!((data.log_start_offset, data.high_watermark), (30, 32));
    assert_eq!(records(&data).len(), batch(2).len());
}
