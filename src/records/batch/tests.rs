use proptest::prelude::*;

use super::*;
use crate::records::golden::{self, TIME_MS};

fn header(name: &str) -> BatchHeader {
    BatchHeader::parse(&golden::batch(name)).unwrap()
}

#[test]
fn a_header_written_by_kafka_is_read_field_by_field() {
    let batch = golden::batch("idempotent");
    let header = BatchHeader::parse(&batch).unwrap();
    let expected = BatchHeader {
        base_offset: 42,
        batch_length: 95,
        leader_epoch: 7,
        magic: 2,
        crc: 0x0698_3514,
        attributes: 0,
        last_offset_delta: 3,
        base_timestamp: TIME_MS,
        max_timestamp: TIME_MS + 5,
        producer_id: 1000,
        producer_epoch: 3,
        base_sequence: i32::MAX - 1,
        record_count: 4,
    };
    assert_eq!(header, expected);
    assert_eq!(header.size_bytes(), batch.len());
    assert_eq!((header.last_offset(), header.next_offset()), (45, Some(46)));
    assert_eq!(header.last_sequence(), 1, "sequences wrap from i32::MAX to 0");
    assert!(header.has_producer_id());
    let mut written = Vec::new();
    header.write(&mut written);
    assert_eq!(written, batch[..61]);
}

#[test]
fn attributes_are_told_apart() {
    for codec in Compression::ALL {
        let header = header(&format!("codec-{}", codec.name()));
        assert_eq!(header.compression(), Some(codec));
        assert!(!header.is_transactional() && !header.is_control() && !header.has_producer_id());
        assert!(!header.has_delete_horizon());
        assert_eq!(header.timestamp_type(), TimestampType::CreateTime);
    }
    assert!(header("transactional").is_transactional());
    assert!(!header("transactional").is_control());
    let marker = header("commit-marker");
    assert!(marker.is_transactional() && marker.is_control());
    assert_eq!(marker.last_sequence(), -1);
    assert_eq!(header("log-append-time").timestamp_type(), TimestampType::LogAppendTime);
    let horizon = BatchHeader { attributes: 0x40, ..marker };
    assert!(horizon.has_delete_horizon() && !horizon.is_control());
    for unused in 5..8 {
        assert_eq!(BatchHeader { attributes: unused, ..marker }.compression(), None);
    }
}

#[test]
fn sequences_wrap_as_in_kafka() {
    assert_eq!(increment_sequence(0, 1), 1);
    assert_eq!(increment_sequence(i32::MAX, 0), i32::MAX);
    assert_eq!(increment_sequence(i32::MAX, 1), 0);
    assert_eq!(increment_sequence(i32::MAX - 5, 10), 4);
    increment_sequence(i32::MIN, i32::MIN);
}

#[test]
fn offsets_that_overflow_have_no_next() {
    let header = header("codec-none");
    assert_eq!(BatchHeader { base_offset: i64::MAX - 3, ..header }.next_offset(), None);
    assert_eq!(BatchHeader { base_offset: i64::MAX, ..header }.next_offset(), None);
    assert_eq!(BatchHeader { last_offset_delta: -5, ..header }.next_offset(), None);
}

#[test]
fn impossible_headers_are_refused() {
    let good = golden::batch("codec-none");
    let parse_with = |at: usize, bytes: &[u8]| {
        let mut batch = good.clone();
        batch[at..at + bytes.len()].copy_from_slice(bytes);
        BatchHeader::parse(&batch)
    };
    for length in [i32::MIN, -1, 0, 48] {
        let error = BatchError::TooSmall { length, minimum: 49 };
        assert_eq!(parse_with(8, &length.to_be_bytes()), Err(error));
    }
    assert_eq!(parse_with(8, &i32::MAX.to_be_bytes()).unwrap().size_bytes(), 0x8000_000b);
    assert_eq!(parse_with(16, &[1]), Err(BatchError::UnsupportedMagic(1)));
    assert_eq!(parse_with(16, &[3]), Err(BatchError::InvalidMagic(3)));
    assert_eq!(parse_with(16, &[0xff]), Err(BatchError::InvalidMagic(-1)));
    assert_eq!(BatchHeader::parse(&good[..60]), Err(BatchError::Truncated { available: 60 }));
}

#[test]
fn the_crc_covers_everything_after_itself() {
    let good = golden::batch("codec-gzip");
    let header = BatchHeader::parse(&good).unwrap();
    assert!(header.verify_crc(&good));
    assert!(!header.verify_crc(&good[..good.len() - 1]));
    for at in 0..good.len() {
        let mut bad = good.clone();
        bad[at] ^= 1;
        let verified = BatchHeader::parse(&bad).is_ok_and(|header| header.verify_crc(&bad));
        assert_eq!(verified, at < 8 || (12..16).contains(&at), "byte {at}");
    }
}

#[test]
fn offset_and_epoch_are_patched_outside_the_crc() {
    let mut batch = golden::batch("codec-none");
    set_base_offset(&mut batch, 1 << 40);
    set_leader_epoch(&mut batch, 9);
    let header = BatchHeader::parse(&batch).unwrap();
    assert_eq!((header.base_offset, header.leader_epoch), (1 << 40, 9));
    assert!(header.verify_crc(&batch));
}

#[test]
fn log_append_time_is_what_kafka_would_write() {
    let mut batch = golden::batch("codec-none");
    set_log_append_time(&mut batch, TIME_MS + 99_999);
    assert_eq!(batch, golden::batch("log-append-time"));
    let again = batch.clone();
    set_log_append_time(&mut batch, TIME_MS + 99_999);
    assert_eq!(batch, again);
    set_max_timestamp(&mut batch, TimestampType::CreateTime, TIME_MS + 5);
    assert_eq!(batch, golden::batch("codec-none"));
}

#[test]
fn rewriting_the_timestamp_clears_meaningless_attributes_and_keeps_the_others() {
    let mut batch = golden::batch("commit-marker");
    batch[21..23].copy_from_slice(&0xfff4_u16.to_be_bytes());
    set_log_append_time(&mut batch, 1);
    let header = BatchHeader::parse(&batch).unwrap();
    assert_eq!(header.attributes, 0x7c);
    assert!(header.verify_crc(&batch));
}

#[test]
fn batches_of_a_buffer_come_in_order_up_to_an_incomplete_one() {
    let (first, second) = (golden::batch("codec-none"), golden::batch("codec-zstd"));
    for cut in 1..second.len() {
        let bytes = [&first[..], &second, &second[..cut]].concat();
        let mut batches = Batches::new(&bytes);
        assert_eq!(batches.next().unwrap().unwrap().1, first);
        let (header, batch) = batches.next().unwrap().unwrap();
        assert_eq!((header.compression(), batch), (Some(Compression::Zstd), &second[..]));
        assert!(batches.next().is_none(), "cut {cut}");
        assert_eq!(batches.remaining(), &second[..cut]);
    }
}

#[test]
fn a_bad_batch_ends_the_iteration() {
    let good = golden::batch("codec-none");
    let zeros = [&good[..], &[0; 30]].concat();
    let results: Vec<_> = Batches::new(&zeros).map(|batch| batch.map(|_| ())).collect();
    assert_eq!(results, [Ok(()), Err(BatchError::TooSmall { length: 0, minimum: 14 })]);
    let old = [golden::batch("magic1"), good].concat();
    let results: Vec<_> = Batches::new(&old).map(|batch| batch.map(|_| ())).collect();
    assert_eq!(results.len(), 1, "nothing after an old batch is taken for good");
    assert!(results[0].is_err());
}

proptest! {
    #![proptest_config(golden::same_cases())]

    #[test]
    fn any_bytes_are_walked_without_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        let mut total = 0;
        for (header, batch) in Batches::new(&bytes).flatten() {
            total += batch.len();
            header.verify_crc(batch);
            let _ = (header.last_offset(), header.next_offset(), header.last_sequence());
        }
        prop_assert!(total <= bytes.len());
    }

    #[test]
    fn any_header_is_written_as_it_was_read(mut bytes in prop::collection::vec(any::<u8>(), 61)) {
        bytes[8] &= 0x7f;
        bytes[10] |= 1;
        bytes[16] = 2;
        let mut written = Vec::new();
        BatchHeader::parse(&bytes).unwrap().write(&mut written);
        prop_assert_eq!(written, bytes);
    }
}
