use proptest::prelude::*;

use super::*;
use crate::records::golden::{self, TIME_MS, raw};
use crate::records::{BatchBuilder, Compression, compress};

/// Size 8, attributes 0, deltas 0, key "k", value "v", no headers.
const RECORD: [u8; 9] = [16, 0, 0, 0, 2, b'k', 2, b'v', 0];

/// Reads everything both ways; how many records, or the first error. Both ways must agree.
fn read(batch: &[u8]) -> Result<usize, RecordError> {
    let header = BatchHeader::parse(batch).unwrap();
    let full = || -> Result<usize, RecordError> {
        let mut records = Records::new(&header, batch)?;
        let mut count = 0;
        while let Some(record) = records.next()? {
            assert_eq!(record.headers.clone().count(), record.headers.len());
            count += 1;
        }
        Ok(count)
    };
    let facts = || -> Result<usize, RecordError> {
        let mut records = Records::new(&header, batch)?;
        let mut count = 0;
        while records.next_facts()?.is_some() {
            count += 1;
        }
        Ok(count)
    };
    let (full, facts) = (full(), facts());
    assert_eq!(full.is_ok(), facts.is_ok(), "{full:?} {facts:?}");
    full
}

fn read_plain(count: i32, payload: &[u8]) -> Result<usize, RecordError> {
    let plain = read(&raw(count, Compression::None, payload));
    let packed = compress(Compression::Gzip, None, payload);
    let compressed = read(&raw(count, Compression::Gzip, &packed));
    assert_eq!(plain.is_ok(), compressed.is_ok(), "{plain:?} {compressed:?}");
    plain
}

#[test]
fn records_written_by_kafka_are_read_whatever_the_codec() {
    for codec in Compression::ALL {
        let batch = golden::batch(&format!("codec-{}", codec.name()));
        let header = BatchHeader::parse(&batch).unwrap();
        let mut records = Records::new(&header, &batch).unwrap();
        let mut facts = Records::new(&header, &batch).unwrap();
        for (index, (timestamp_ms, key, value, headers)) in (0..).zip(golden::records()) {
            let record = records.next().unwrap().unwrap();
            assert_eq!((record.offset_delta, record.timestamp_ms), (index, timestamp_ms));
            assert_eq!(record.timestamp_delta, timestamp_ms - TIME_MS);
            assert_eq!((record.key, record.value), (key, value));
            assert_eq!(record.headers.is_empty(), headers.is_empty());
            assert_eq!(record.headers.collect::<Vec<_>>(), headers);
            let length = |part: Option<&[u8]>| part.map_or(-1, |part| part.len() as i32);
            let (key_bytes, value_bytes) = (length(key), length(value));
            let expected =
                RecordFacts { offset_delta: index, timestamp_ms, key_bytes, value_bytes };
            assert_eq!(facts.next_facts().unwrap(), Some(expected));
        }
        assert_eq!(records.next().unwrap(), None);
        assert_eq!(records.next().unwrap(), None);
        assert_eq!(facts.next_facts().unwrap(), None);
    }
    for codec in &Compression::ALL[1..] {
        assert_eq!(read(&golden::batch(&format!("big-{}", codec.name()))).unwrap(), 2);
    }
}

#[test]
fn log_append_time_overrides_the_records_own() {
    let batch = golden::batch("log-append-time");
    let header = BatchHeader::parse(&batch).unwrap();
    let mut records = Records::new(&header, &batch).unwrap();
    records.next().unwrap();
    let second = records.next().unwrap().unwrap();
    assert_eq!((second.timestamp_delta, second.timestamp_ms), (5, TIME_MS + 99_999));
}

/// Each structure with what Apache Kafka does with it uncompressed (compressed it does not check sizes).
#[test]
fn record_structure_is_checked_as_in_kafka() {
    use RecordError as E;
    assert_eq!(read_plain(1, &RECORD).unwrap(), 1);
    assert_eq!(read_plain(1, &[16, 7, 0, 0, 2, b'k', 2, b'v', 0]).unwrap(), 1, "attributes unused");
    assert_eq!(read_plain(1, &[14, 0, 0, 0, 3, 2, b'v', 0]).unwrap(), 1, "key length -2 is null");
    let refused = |payload: &[u8]| read_plain(1, payload).unwrap_err();
    assert!(matches!(refused(&[18, 0, 0, 0, 2, b'k', 2, b'v', 0]), E::InvalidSize(9)));
    assert!(matches!(refused(&[14, 0, 0, 0, 2, b'k', 2, b'v', 0]), E::InvalidSize(7)));
    assert!(matches!(refused(&[1, 0, 0, 0, 2, b'k', 2, b'v', 0]), E::InvalidSize(-1)));
    assert!(matches!(refused(&[16, 0, 0, 0, 40, b'k', 2, b'v', 0]), E::InvalidSize(20)));
    assert!(matches!(refused(&[]), E::Truncated(1)));
    assert!(matches!(refused(&[16, 0, 0, 0, 2, b'k', 2, b'v', 1]), E::InvalidHeaderCount(-1)));
    let hostile_headers = [24, 0, 0, 0, 2, b'k', 2, b'v', 0xfe, 0xff, 0xff, 0xff, 0x0f];
    assert!(matches!(refused(&hostile_headers), E::InvalidHeaderCount(i32::MAX)));
    assert!(matches!(refused(&[20, 0, 0, 0, 2, b'k', 2, b'v', 2, 1, 1]), E::NullHeaderKey));
    let endless_size = [0xff, 0xff, 0xff, 0xff, 0xff, 1, 0, 0, 0, 2, b'k', 2, b'v', 0];
    assert!(matches!(refused(&endless_size), E::VarintTooLong));
    let mut endless_time = vec![38, 0];
    endless_time.extend([0xff; 11]);
    endless_time.extend([1, 0, 2, b'k', 2, b'v', 0]);
    assert!(matches!(refused(&endless_time), E::VarintTooLong));
    for cut in 0..RECORD.len() {
        assert!(read_plain(1, &RECORD[..cut]).is_err());
    }
}

#[test]
fn the_count_must_be_the_number_of_records() {
    let two = [RECORD, RECORD].concat();
    assert_eq!(read_plain(2, &two).unwrap(), 2);
    assert!(matches!(read_plain(1, &two), Err(RecordError::Trailing(1))));
    assert!(matches!(read_plain(3, &two), Err(RecordError::Truncated(3))));
    assert!(matches!(read_plain(i32::MAX, &two), Err(RecordError::Truncated(i32::MAX))));
    assert!(matches!(read_plain(-1, &two), Err(RecordError::InvalidCount(-1))));
    assert_eq!(read_plain(0, &[]).unwrap(), 0);
}

#[test]
fn unknown_and_damaged_compression_is_an_error() {
    let mut batch = raw(1, Compression::None, &RECORD);
    batch[22] = 6;
    assert!(matches!(read(&batch), Err(RecordError::UnknownCompression(6))));
    for codec in &Compression::ALL[1..] {
        let error = read(&raw(1, *codec, &RECORD)).unwrap_err();
        assert!(matches!(error, RecordError::Decompress(_)), "{codec:?} {error:?}");
    }
}

/// A reader that yields the start of a record of `size` and then zeros, compressed in pieces.
fn bomb(codec: Compression, size: i32, zeros: usize) -> Vec<u8> {
    let mut payload = Vec::new();
    let mut rest = (size as u32) << 1;
    while rest >= 0x80 {
        payload.push(rest as u8 | 0x80);
        rest >>= 7;
    }
    payload.push(rest as u8);
    payload.resize(payload.len() + zeros, 0);
    raw(1, codec, &compress(codec, None, &payload))
}

#[test]
fn a_record_that_claims_much_gets_no_memory_for_it() {
    for codec in [Compression::Gzip, Compression::Lz4, Compression::Zstd] {
        let batch = bomb(codec, RECORD_BYTES_MAX as i32, 1000);
        let header = BatchHeader::parse(&batch).unwrap();
        let mut records = Records::new(&header, &batch).unwrap();
        assert!(matches!(records.next(), Err(RecordError::Truncated(1))));
        assert!(records.buffer.capacity() < 8192, "grows by what arrives");
        let batch = bomb(codec, RECORD_BYTES_MAX as i32 + 1, 1000);
        let mut records = Records::new(&header, &batch).unwrap();
        assert!(matches!(records.next(), Err(RecordError::RecordTooLarge(_))));
    }
}

#[test]
fn validation_skips_through_a_large_record_without_holding_it() {
    let value = vec![0; 5 << 20];
    let batch = BatchBuilder::new(0, 0)
        .compressed(Compression::Zstd, None)
        .push(TIME_MS, None, Some(&value))
        .build();
    assert!(batch.len() < 2000);
    let header = BatchHeader::parse(&batch).unwrap();
    let mut records = Records::new(&header, &batch).unwrap();
    assert_eq!(records.next_facts().unwrap().unwrap().value_bytes, 5 << 20);
    assert_eq!(records.buffer.capacity(), 0);
    assert!(records.next_facts().unwrap().is_none());
}

#[test]
fn a_batch_that_inflates_beyond_the_limit_is_refused() {
    // A record of almost 2 GiB whose key takes all of it: attributes, timestamp and offset, then the key's length.
    let mut payload = vec![0xfe, 0xff, 0xff, 0xff, 0x0f, 0, 0, 0, 0xe0, 0xff, 0xff, 0xff, 0x0f];
    payload.resize(2 << 20, 0);
    for codec in &Compression::ALL[1..] {
        let batch = raw(1, *codec, &compress(*codec, None, &payload));
        let header = BatchHeader::parse(&batch).unwrap();
        let facts = |limit| Records::limited(&header, &batch, limit)?.next_facts();
        assert!(matches!(facts(1 << 20), Err(RecordError::InflatedTooLarge)), "{codec:?}");
        assert!(matches!(facts(4 << 20), Err(RecordError::Truncated(1))), "{codec:?}");
    }
}

proptest! {
    #![proptest_config(golden::same_cases())]

    #[test]
    fn mutated_batches_never_panic(
        codec in prop::sample::select(&Compression::ALL[..]),
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..4),
        count in prop_oneof![Just(4), any::<i32>()],
    ) {
        let mut batch = golden::batch(&format!("codec-{}", codec.name()));
        for (at, byte) in changes {
            let at = 21 + at.index(batch.len() - 21);
            batch[at] = byte;
        }
        batch[57..61].copy_from_slice(&count.to_be_bytes());
        let _ = read(&batch);
    }

    #[test]
    fn what_is_built_is_read(
        codec in prop::sample::select(&Compression::ALL[..]),
        parts in prop::collection::vec(
            (any::<i64>(), any::<Option<Vec<u8>>>(), any::<Option<Vec<u8>>>(), any::<Option<Vec<u8>>>()),
            1..5,
        ),
    ) {
        let mut builder = BatchBuilder::new(0, 0).compressed(codec, None);
        for (time, key, value, header) in &parts {
            let headers = [(&b"name"[..], header.as_deref())];
            builder.push_with_headers(*time, key.as_deref(), value.as_deref(), &headers);
        }
        let batch = builder.build();
        let header = BatchHeader::parse(&batch).unwrap();
        let mut records = Records::new(&header, &batch).unwrap();
        for (time, key, value, header) in &parts {
            let record = records.next().unwrap().unwrap();
            prop_assert_eq!(record.timestamp_ms, *time);
            prop_assert_eq!((record.key, record.value), (key.as_deref(), value.as_deref()));
            let headers: Vec<_> = record.headers.collect();
            prop_assert_eq!(headers, [(&b"name"[..], header.as_deref())]);
        }
        prop_assert!(records.next().unwrap().is_none());
    }
}
