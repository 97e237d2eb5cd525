//! Produce: batches that are refused, with which error, and what the answer says beside it.

use std::time::Duration;

use ottla::wire::messages::produce::PartitionProduceResponse;

use super::client::{Target, Topic};
use super::errors::{
    CORRUPT_MESSAGE, INVALID_RECORD, INVALID_TIMESTAMP, MESSAGE_TOO_LARGE, UNKNOWN_SERVER_ERROR,
};
use super::produce::{CONTROL, answer, append, batch, batch_of, now_ms, produce};
use crate::raw_client::{Batch, Body, record};

checks![
    old_formats_are_refused,
    broken_batches_are_refused,
    lying_batches_are_refused_inside_the_log,
    a_few_bytes_after_a_batch_are_accepted,
    the_start_of_the_log_is_known_to_errors_inside_it,
    a_timestamp_too_far_ahead_is_refused_with_its_records,
    a_timestamp_an_hour_ahead_is_accepted,
    a_record_without_a_key_is_refused_in_a_compacted_topic,
    a_batch_larger_than_allowed_is_refused,
    a_batch_of_no_records_is_refused,
    nothing_refused_is_appended,
];

fn with(change: impl FnOnce(&mut Batch)) -> Vec<u8> {
    let mut batch = batch_of(3);
    change(&mut batch);
    batch.encode()
}

fn send(target: &Target, topic: &Topic, batch: &[u8]) -> PartitionProduceResponse {
    answer(&mut target.client(), &produce(topic, batch), 9)
}

/// A message of the format before record batches.
fn legacy_message(magic: i8) -> Vec<u8> {
    let mut body = Body::default().i8(magic).i8(0);
    if magic == 1 {
        body = body.i64(0);
    }
    let body = body.i32(-1).bytes(b"old").0;
    let checksum = flate2_crc(&body);
    let head = Body::default().i64(0).i32(body.len() as i32 + 4);
    head.raw(&checksum.to_be_bytes()).raw(&body).0
}

/// CRC-32 as gzip has it.
fn flate2_crc(bytes: &[u8]) -> u32 {
    let mut crc = flate2::Crc::new();
    crc.update(bytes);
    crc.sum()
}

fn old_formats_are_refused(target: &Target) {
    let topic = target.topic(1);
    for magic in [0, 1] {
        let refused = send(target, &topic, &legacy_message(magic));
        assert_eq!(refused.error_code, INVALID_RECORD, "magic {magic}: {refused:?}");
        assert_eq!(refused.error_message, None, "magic {magic}");
        assert_eq!((refused.base_offset, refused.log_start_offset), (-1, -1), "magic {magic}");
    }
    let refused = send(target, &topic, &with(|batch| batch.magic = 9));
    assert_eq!(refused.error_code, CORRUPT_MESSAGE, "{refused:?}");
}

fn broken_batches_are_refused(target: &Target) {
    let topic = target.topic(1);
    let whole = batch(3);
    let mut bad_sum = whole.clone();
    *bad_sum.last_mut().unwrap() ^= 1;
    let cases: [(&str, &[u8], i16); 5] = [
        ("a wrong checksum", &bad_sum, CORRUPT_MESSAGE),
        ("half a batch", &whole[..whole.len() / 2], INVALID_RECORD),
        ("11 bytes", &whole[..11], INVALID_RECORD),
        ("nothing", &[], INVALID_RECORD),
        ("two batches", &[whole.clone(), whole.clone()].concat(), INVALID_RECORD),
    ];
    for (name, bytes, error) in cases {
        let refused = send(target, &topic, bytes);
        assert_eq!(refused.error_code, error, "{name}: {refused:?}");
        assert_eq!((refused.base_offset, refused.log_start_offset), (-1, -1), "{name}");
        assert_eq!(refused.log_append_time_ms, -1, "{name}");
    }
}

fn lying_batches_are_refused_inside_the_log(target: &Target) {
    let topic = target.topic(1);
    let cases: [(&str, Vec<u8>, i16); 6] = [
        ("a base offset", with(|batch| batch.base_offset = 5), INVALID_RECORD),
        ("a count too small", with(|batch| batch.count = 2), INVALID_RECORD),
        ("a count too large", with(|batch| batch.count = 4), INVALID_RECORD),
        ("a last offset delta", with(|batch| batch.last_offset_delta = 7), INVALID_RECORD),
        ("an unknown codec", with(|batch| batch.attributes = 6), UNKNOWN_SERVER_ERROR),
        ("a control batch", with(|batch| batch.attributes = CONTROL), INVALID_RECORD),
    ];
    for (name, bytes, error) in cases {
        let refused = send(target, &topic, &bytes);
        assert_eq!((refused.error_code, refused.base_offset), (error, -1), "{name}: {refused:?}");
    }
}

fn a_few_bytes_after_a_batch_are_accepted(target: &Target) {
    let topic = target.topic(1);
    for count in [1, 5, 11] {
        let followed = [batch(1), vec![0; count]].concat();
        let answered = send(target, &topic, &followed);
        assert_eq!(answered.error_code, 0, "{count} bytes: {answered:?}");
    }
    assert_eq!(target.end_offset(&topic, 0).offset, 3);
}

fn the_start_of_the_log_is_known_to_errors_inside_it(target: &Target) {
    let topic = target.topic(1);
    let ahead = now_ms() + 7_200_000;
    let cases = [
        ("a base offset", with(|batch| batch.base_offset = 5), 0),
        ("a timestamp", with(|batch| batch.timestamp_ms = ahead), 0),
        ("magic 1", legacy_message(1), -1),
        ("half a batch", batch(3)[..30].to_vec(), -1),
    ];
    for (name, bytes, log_start_offset) in cases {
        let refused = send(target, &topic, &bytes);
        assert_ne!(refused.error_code, 0, "{name}");
        assert_eq!(refused.log_start_offset, log_start_offset, "{name}: {refused:?}");
    }
}

fn a_timestamp_too_far_ahead_is_refused_with_its_records(target: &Target) {
    let topic = target.topic(1);
    let far = now_ms() + 2 * 3_600_000;
    let bytes = with(|batch| batch.timestamp_ms = far);
    let refused = send(target, &topic, &bytes);
    assert_eq!(refused.error_code, INVALID_TIMESTAMP, "{refused:?}");
    let indexes: Vec<_> = refused.record_errors.iter().map(|one| one.batch_index).collect();
    assert_eq!(indexes, [0, 1, 2]);
    assert!(refused.error_message.is_some());
    for version in 3..8 {
        let refused = answer(&mut target.client(), &produce(&topic, &bytes), version);
        assert_eq!(refused.error_code, INVALID_TIMESTAMP, "version {version}");
    }
}

fn a_timestamp_an_hour_ahead_is_accepted(target: &Target) {
    let topic = target.topic(1);
    let near = now_ms() + Duration::from_mins(59).as_millis() as i64;
    append(target, &topic, &with(|batch| batch.timestamp_ms = near));
    append(target, &topic, &with(|batch| batch.timestamp_ms = 0));
}

fn a_record_without_a_key_is_refused_in_a_compacted_topic(target: &Target) {
    let topic = target.topic_with(1, &[("cleanup.policy", "compact")]);
    append(target, &topic, &batch(2));
    let mut mixed = batch_of(3);
    mixed.records =
        [record(0, Some(b"key"), b"a"), record(1, None, b"b"), record(2, None, b"c")].concat();
    let refused = send(target, &topic, &mixed.encode());
    assert_eq!(refused.error_code, INVALID_RECORD, "{refused:?}");
    let indexes: Vec<_> = refused.record_errors.iter().map(|one| one.batch_index).collect();
    assert_eq!(indexes, [1, 2], "{refused:?}");
    assert!(refused.error_message.is_some());
}

fn a_batch_of_no_records_is_refused(target: &Target) {
    let topic = target.topic(1);
    for last_offset_delta in [-1, 0] {
        let empty = with(|batch| {
            (batch.count, batch.last_offset_delta) = (0, last_offset_delta);
            batch.records.clear();
        });
        let refused = send(target, &topic, &empty);
        assert_eq!(refused.error_code, INVALID_RECORD, "{last_offset_delta}: {refused:?}");
    }
}

fn a_batch_larger_than_allowed_is_refused(target: &Target) {
    let topic = target.topic_with(1, &[("max.message.bytes", "200")]);
    append(target, &topic, &batch(1));
    let refused = send(target, &topic, &batch(50));
    assert_eq!((refused.error_code, refused.base_offset), (MESSAGE_TOO_LARGE, -1), "{refused:?}");
}

fn nothing_refused_is_appended(target: &Target) {
    let topic = target.topic(1);
    let broken = [
        legacy_message(1),
        with(|batch| batch.base_offset = 5),
        with(|batch| batch.count = 9),
        batch(3)[..40].to_vec(),
    ];
    for bytes in broken {
        assert_ne!(send(target, &topic, &bytes).error_code, 0);
        assert_eq!(target.end_offset(&topic, 0).offset, 0);
    }
    assert_eq!(append(target, &topic, &batch(1)), 0);
}
