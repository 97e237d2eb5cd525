use proptest::prelude::*;

use super::*;
use crate::records::golden::{self, TIME_MS, edit, raw};
use crate::records::{BatchBuilder, Batches, Records, compress};

const NOW_MS: i64 = TIME_MS + 1000;
const HOUR_MS: i64 = 3_600_000;

fn validate(
    version: i16,
    config: &ValidationConfig,
    bytes: &[u8],
) -> Result<Validated, ProduceError> {
    let (topic, now_ms, produce_version) = ("t", NOW_MS, version);
    ProduceRecords { bytes, topic, partition: 0, config, now_ms, produce_version }.validate()
}

/// Code, and whether the log start offset is in the answer, under Kafka's default configuration.
fn outcome(bytes: &[u8]) -> (i16, bool) {
    outcome_at(12, bytes)
}

fn outcome_at(version: i16, bytes: &[u8]) -> (i16, bool) {
    match validate(version, &ValidationConfig::default(), bytes) {
        Ok(_) => (0, true),
        Err(error) => (error.code().code(), error.has_log_start_offset()),
    }
}

const BEFORE_LOG: bool = false;
const IN_LOG: bool = true;

fn one(codec: Compression, timestamp_ms: i64, key: Option<&[u8]>) -> Vec<u8> {
    BatchBuilder::new(0, -1).compressed(codec, None).push(timestamp_ms, key, Some(b"v")).build()
}

fn good() -> Vec<u8> {
    one(Compression::None, TIME_MS, Some(b"k"))
}

fn put<const N: usize>(batch: Vec<u8>, at: usize, bytes: [u8; N]) -> Vec<u8> {
    edit(batch, |batch| batch[at..at + N].copy_from_slice(&bytes))
}

/// As `put`, but with neither length nor CRC repaired.
fn break_at<const N: usize>(mut batch: Vec<u8>, at: usize, bytes: [u8; N]) -> Vec<u8> {
    batch[at..at + N].copy_from_slice(&bytes);
    batch
}

fn counted(batch: Vec<u8>, count: i32, last_offset_delta: i32) -> Vec<u8> {
    put(put(batch, 57, count.to_be_bytes()), 23, last_offset_delta.to_be_bytes())
}

#[test]
fn batches_of_kafka_are_taken_unchanged() {
    let config = ValidationConfig::default();
    for (form, codecs) in [("codec", &Compression::ALL[..]), ("big", &Compression::ALL[1..])] {
        for codec in codecs {
            let batch = golden::batch(&format!("{form}-{}", codec.name()));
            let validated = validate(12, &config, &batch).unwrap();
            assert_eq!(validated.header.compression(), Some(*codec));
            assert_eq!(validated.header.size_bytes(), batch.len());
            assert_eq!(validated.max_timestamp_ms, validated.header.max_timestamp);
            assert!(!validated.must_change());
            assert_eq!(validated.log_append_time_ms(), -1);
        }
    }
    let transactional = golden::batch("transactional");
    let header = validate(12, &config, &transactional).unwrap().header;
    assert!(header.is_transactional() && header.base_sequence == 5);
}

#[test]
fn framing_is_judged_as_by_kafka() {
    let cat = |parts: &[&[u8]]| parts.concat();
    let good = good();
    assert_eq!(outcome(&good), (0, IN_LOG));
    for cut in 0..good.len() {
        assert_eq!(outcome(&good[..cut]), (87, BEFORE_LOG), "cut at {cut}");
    }
    assert_eq!(outcome(&cat(&[&good, &good])), (87, BEFORE_LOG));
    assert_eq!(outcome(&cat(&[&good, &golden::batch("magic1")])), (87, BEFORE_LOG));
    assert_eq!(outcome(&cat(&[&good, &good[..good.len() - 1]])), (0, IN_LOG));
    assert_eq!(outcome(&cat(&[&good, &[0; 3]])), (0, IN_LOG));
    assert_eq!(outcome(&cat(&[&good, &[0; 20]])), (2, BEFORE_LOG));
    let bad_magic = break_at(good.clone(), 16, [9]);
    assert_eq!(outcome(&cat(&[&good, &bad_magic[..30]])), (2, BEFORE_LOG));
    assert_eq!(outcome(&golden::batch("magic0")), (87, BEFORE_LOG));
    assert_eq!(outcome(&golden::batch("magic1")), (87, BEFORE_LOG));
    assert_eq!(outcome_at(3, &golden::batch("magic0")), (87, BEFORE_LOG));
    assert_eq!(outcome(&bad_magic), (2, BEFORE_LOG));
    assert_eq!(outcome(&break_at(good.clone(), 16, [0xff])), (2, BEFORE_LOG));
    for length in [-1, 0, 13, 14, 15, 20, 30, 48, 49] {
        let batch = break_at(good.clone(), 8, i32::to_be_bytes(length));
        assert_eq!(outcome(&batch), (2, BEFORE_LOG), "length {length}");
    }
    assert_eq!(outcome(&edit(good[..60].to_vec(), |_| ())), (2, BEFORE_LOG));
}

#[test]
fn trailing_bytes_are_not_part_of_the_batch() {
    let bytes = [good(), good()[..20].to_vec()].concat();
    let validated = validate(12, &ValidationConfig::default(), &bytes).unwrap();
    assert_eq!(validated.header.size_bytes(), good().len());
}

#[test]
fn the_header_is_judged_as_by_kafka() {
    let offset = put(good(), 0, 5_i64.to_be_bytes());
    assert_eq!(outcome(&offset), (87, IN_LOG));
    assert_eq!(outcome(&break_at(offset, 20, [0])), (87, IN_LOG), "before the CRC");
    let flipped = good()[20] ^ 1;
    assert_eq!(outcome(&break_at(good(), 20, [flipped])), (2, BEFORE_LOG));
    for (count, delta) in [(2, 0), (2, 1), (0, -1), (0, 0), (-1, 0), (1, 5), (1, -5)] {
        assert_eq!(outcome(&counted(good(), count, delta)), (87, IN_LOG), "{count} {delta}");
    }
    let hostile = counted(good(), i32::MAX, i32::MAX - 1);
    assert_eq!(outcome(&hostile), (87, IN_LOG));
    let overflow = counted(good(), i32::MIN, i32::MAX);
    assert_eq!(outcome(&overflow), (87, IN_LOG));
    for codec in 5..8 {
        let batch = put(good(), 22, [codec]);
        assert_eq!(outcome(&batch), (-1, IN_LOG));
        assert_eq!(outcome_at(6, &batch), (-1, BEFORE_LOG));
    }
    assert_eq!(outcome(&put(good(), 22, [0x20])), (87, IN_LOG), "control");
    assert_eq!(outcome(&put(good(), 21, [0xff, 0x80])), (0, IN_LOG), "unused attributes");
    assert_eq!(outcome(&put(good(), 22, [0x40])), (0, IN_LOG), "delete horizon");
    let producer = put(good(), 43, 77_i64.to_be_bytes());
    assert_eq!(outcome(&producer), (87, IN_LOG), "producer id without sequence");
    assert_eq!(outcome(&put(producer, 53, 0_i32.to_be_bytes())), (0, IN_LOG));
}

#[test]
fn zstd_needs_produce_version_7() {
    let zstd = one(Compression::Zstd, TIME_MS, None);
    assert_eq!(outcome_at(6, &zstd), (76, BEFORE_LOG));
    assert_eq!(outcome_at(7, &zstd), (0, IN_LOG));
}

#[test]
fn the_size_limit_comes_before_the_crc() {
    let batch = break_at(good(), 20, [0]);
    let limit = batch.len() as i32;
    let limited = |max_message_bytes| ValidationConfig { max_message_bytes, ..Default::default() };
    let error = validate(12, &limited(limit - 1), &batch).unwrap_err();
    assert_eq!((error.code(), error.has_log_start_offset()), (ErrorCode::MessageTooLarge, false));
    assert!(error.error_message().is_none());
    let error = validate(12, &limited(limit), &batch).unwrap_err();
    assert_eq!(error.code(), ErrorCode::CorruptMessage);
}

#[test]
fn damaged_compression_and_records_have_kafkas_codes() {
    let record = [16, 0, 0, 0, 2, b'k', 2, b'v', 0];
    assert_eq!(outcome(&raw(1, Compression::None, &record)), (0, IN_LOG));
    assert_eq!(outcome(&raw(1, Compression::None, &record[..8])), (87, IN_LOG));
    for codec in &Compression::ALL[1..] {
        let packed = compress(*codec, None, &record);
        assert_eq!(outcome(&raw(1, *codec, &record)), (-1, IN_LOG), "{codec:?} garbage");
        assert_eq!(
            outcome(&raw(1, *codec, &packed[..packed.len() - 1])),
            (-1, IN_LOG),
            "{codec:?} cut"
        );
        let empty = if *codec == Compression::Zstd { 87 } else { -1 };
        assert_eq!(outcome(&raw(1, *codec, &[])), (empty, IN_LOG), "{codec:?} empty");
        let two = compress(*codec, None, &[record, record].concat());
        assert_eq!(outcome(&raw(1, *codec, &two)), (87, IN_LOG), "{codec:?} one too many");
        assert_eq!(outcome(&raw(3, *codec, &two)), (87, IN_LOG), "{codec:?} one too few");
    }
}

#[test]
fn offset_deltas_must_count_up() {
    for delta in [2, 1] {
        let record = [16, 0, 0, delta, 2, b'k', 2, b'v', 0];
        for codec in Compression::ALL {
            let batch = raw(1, codec, &compress(codec, None, &record));
            assert_eq!(outcome(&batch), (87, IN_LOG), "{codec:?} {delta}");
        }
    }
}

fn messages(error: &ProduceError) -> Vec<(i32, &str)> {
    error
        .record_errors()
        .iter()
        .map(|refused| (refused.batch_index, refused.message.as_str()))
        .collect()
}

#[test]
fn timestamps_must_be_near_the_clock() {
    let config = ValidationConfig { before_max_ms: 1000, after_max_ms: 2000, ..Default::default() };
    for codec in Compression::ALL {
        let accepts = |age_ms| validate(12, &config, &one(codec, NOW_MS - age_ms, None)).is_ok();
        assert_eq!([1001, 1000, -2000, -2001].map(accepts), [false, true, true, false]);
        let mut builder = BatchBuilder::new(0, -1).compressed(codec, None);
        builder.push(NOW_MS, None, None).push(NOW_MS + 2 * HOUR_MS, None, None);
        let error = validate(12, &ValidationConfig::default(), &builder.build()).unwrap_err();
        assert_eq!(error.code(), ErrorCode::InvalidTimestamp);
        assert!(error.has_log_start_offset());
        let message = "One or more records have been rejected due to invalid timestamp";
        assert_eq!(error.error_message().unwrap(), message);
        // Kafka's lower bound wraps around as well.
        let message = "Timestamp 1700007201000 of message with offset 1 is out of range. \
                       The timestamp should be within [-9223370336854774807, 1700003601000]";
        assert_eq!(messages(&error), [(1, message)]);
    }
}

#[test]
fn extreme_timestamps_are_judged_as_java_computes() {
    let at = |timestamp_ms: i64| put(good(), 27, timestamp_ms.to_be_bytes());
    assert_eq!(outcome(&at(-1)), (0, IN_LOG));
    assert_eq!(outcome(&at(-5)), (0, IN_LOG));
    assert_eq!(outcome(&at(i64::MIN)), (32, IN_LOG));
    assert_eq!(outcome(&at(i64::MAX)), (32, IN_LOG));
    let validated = validate(12, &ValidationConfig::default(), &at(-5)).unwrap();
    assert_eq!(validated.max_timestamp_ms, -1);
}

#[test]
fn compacted_topics_need_keys() {
    let config = ValidationConfig { compacted: true, ..Default::default() };
    for codec in Compression::ALL {
        let mut builder = BatchBuilder::new(0, -1).compressed(codec, None);
        for key in [None, None, Some(&b"k"[..]), None, None] {
            builder.push(NOW_MS, key, None);
        }
        let error = validate(12, &config, &builder.build()).unwrap_err();
        assert_eq!(error.code(), ErrorCode::InvalidRecord);
        let message = "Compacted topic cannot accept message without key in topic partition t-0";
        assert_eq!(messages(&error), [0, 1, 3, 4].map(|index| (index, message)));
        let expected = format!(
            "One or more records have been rejected due to 4 record errors in total, and only showing \
             the first three errors at most: [RecordError(batchIndex=0, message='{message}'), \
             RecordError(batchIndex=1, message='{message}'), RecordError(batchIndex=3, message='{message}')]"
        );
        assert_eq!(error.error_message().unwrap(), expected);
        assert!(
            validate(12, &config, &one(codec, NOW_MS, Some(b""))).is_ok(),
            "an empty key is one"
        );
    }
    let mut builder = BatchBuilder::new(0, -1);
    builder
        .push(NOW_MS, None, None)
        .push(NOW_MS + 2 * HOUR_MS, Some(b"k"), None)
        .push(NOW_MS, None, None);
    let error = validate(12, &config, &builder.build()).unwrap_err();
    assert_eq!(error.code(), ErrorCode::InvalidTimestamp, "one bad timestamp decides the code");
    assert_eq!(error.record_errors().len(), 3);
}

#[test]
fn refusals_are_bounded() {
    let config = ValidationConfig { compacted: true, ..Default::default() };
    let mut builder = BatchBuilder::new(0, -1).compressed(Compression::Zstd, None);
    (0..2500).for_each(|_| _ = builder.push(NOW_MS, None, None));
    let error = validate(12, &config, &builder.build()).unwrap_err();
    assert_eq!(error.record_errors().len(), RECORD_REFUSALS_MAX);
    assert!(error.error_message().unwrap().contains("due to 2500 record errors in total"));
}

#[test]
fn a_topic_with_log_append_time_stamps_the_batch() {
    let config =
        ValidationConfig { timestamp_type: TimestampType::LogAppendTime, ..Default::default() };
    for codec in Compression::ALL {
        let mut batch = one(codec, NOW_MS + 2 * HOUR_MS, None);
        let validated = validate(12, &config, &batch).unwrap();
        assert!(validated.must_change());
        assert_eq!((validated.max_timestamp_ms, validated.log_append_time_ms()), (NOW_MS, NOW_MS));
        validated.apply(&mut batch);
        let header = BatchHeader::parse(&batch).unwrap();
        assert!(header.verify_crc(&batch));
        assert_eq!(header.timestamp_type(), TimestampType::LogAppendTime);
        let mut records = Records::new(&header, &batch).unwrap();
        assert_eq!(records.next().unwrap().unwrap().timestamp_ms, NOW_MS);
    }
}

#[test]
fn producers_do_not_decide_the_timestamp_type() {
    let stamped = put(good(), 22, [8]);
    let config = ValidationConfig::default();
    // On a topic with CreateTime the bit is cleared; the time remains.
    let validated = validate(12, &config, &stamped).unwrap();
    assert!(validated.must_change());
    let mut batch = stamped.clone();
    validated.apply(&mut batch);
    assert_eq!(batch, good());

    let timeless = put(stamped.clone(), 35, (-1_i64).to_be_bytes());
    let error = validate(12, &config, &timeless).unwrap_err();
    let message = "Invalid timestamp type in message DefaultRecord(offset=0, timestamp=-1, key=1 bytes, \
                   value=1 bytes). Producer should not set timestamp type to LogAppendTime.";
    assert_eq!((error.code(), messages(&error)), (ErrorCode::InvalidTimestamp, vec![(0, message)]));

    let config = ValidationConfig { timestamp_type: TimestampType::LogAppendTime, ..config };
    let error = validate(12, &config, &stamped).unwrap_err();
    assert_eq!(error.code(), ErrorCode::InvalidTimestamp);
    let gzip = put(one(Compression::Gzip, TIME_MS, None), 22, [9]);
    let error = validate(12, &config, &gzip).unwrap_err();
    let message = "Invalid timestamp type in message PartialDefaultRecord(offset=0, \
                   timestamp=1700000000000, key=-1 bytes, value=1 bytes). Producer should not set \
                   timestamp type to LogAppendTime.";
    assert_eq!(messages(&error), [(0, message)]);
}

#[test]
fn a_wrong_maximum_timestamp_is_put_right() {
    let mut batch = put(good(), 35, 5_i64.to_be_bytes());
    let validated = validate(12, &ValidationConfig::default(), &batch).unwrap();
    assert_eq!((validated.max_timestamp_ms, validated.must_change()), (TIME_MS, true));
    validated.apply(&mut batch);
    assert_eq!(batch, good());
}

#[test]
fn only_unreadable_bytes_refuse_the_request_and_say_why() {
    let refused = |batch: &[u8]| {
        let error = validate(12, &ValidationConfig::default(), batch).unwrap_err();
        (error.refuses_request(), error.error_message())
    };
    let length = break_at(good(), 8, 13_i32.to_be_bytes());
    let message = "Record size 13 is less than the minimum record overhead (14)";
    assert_eq!(refused(&length), (true, Some(message.into())));
    let magic = break_at(good(), 16, [0xff]);
    assert_eq!(refused(&magic), (true, Some("Invalid magic found in record: -1".into())));
    assert_eq!(refused(&[]), (false, None));
    assert_eq!(refused(&golden::batch("magic1")), (false, None));
    assert_eq!(refused(&counted(good(), 2, 1)), (false, None));
}

proptest! {
    #![proptest_config(golden::same_cases())]

    #[test]
    fn mutated_produce_bytes_never_panic_and_are_only_taken_whole(
        name in prop::sample::select(&["codec-none", "codec-gzip", "codec-snappy", "codec-lz4",
            "codec-zstd", "big-lz4", "log-append-time", "commit-marker", "magic1"][..]),
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..4),
        tail in prop::collection::vec(any::<u8>(), 0..40),
        repair in any::<bool>(),
        version in 0..14_i16,
    ) {
        let mut bytes = golden::batch(name);
        for (at, byte) in changes {
            let at = at.index(bytes.len());
            bytes[at] = byte;
        }
        if repair {
            bytes = edit(bytes, |_| ());
        }
        bytes.extend(tail);
        if let Ok(validated) = validate(version, &ValidationConfig::default(), &bytes) {
            let mut batch = bytes[..validated.header.size_bytes()].to_vec();
            validated.apply(&mut batch);
            let (header, _) = Batches::new(&batch).next().unwrap().unwrap();
            prop_assert!(header.verify_crc(&batch));
            let mut records = Records::new(&header, &batch).unwrap();
            for offset_delta in 0..header.record_count {
                prop_assert_eq!(records.next().unwrap().unwrap().offset_delta, offset_delta);
            }
            prop_assert!(records.next().unwrap().is_none());
        }
    }
}
