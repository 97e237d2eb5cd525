use super::*;
use crate::records::{BatchBuilder, Compression, set_log_append_time};

fn batch(compression: Compression) -> Vec<u8> {
    let mut builder = BatchBuilder::new(1_000, 4).compressed(compression, None);
    builder = builder.producer(7, 1, 5).transactional();
    for number in 0..100u8 {
        let value = vec![number; usize::from(number) * 10];
        let value = (number % 10 != 3).then_some(&value[..]);
        let headers: &[(&[u8], Option<&[u8]>)] = &[(b"a", Some(b"1")), (b"b", None)];
        let time_ms = 5_000 + i64::from(number % 7) * 100;
        builder.push_with_headers(time_ms, Some(&[number / 2]), value, headers);
    }
    builder.build()
}

/// Offset, time, key, value and headers.
type Content = (i64, i64, Option<Vec<u8>>, Option<Vec<u8>>, Vec<Vec<u8>>);

fn content(batch: &[u8]) -> (BatchHeader, Vec<Content>) {
    let header = BatchHeader::parse(batch).unwrap();
    assert!(header.verify_crc(batch) && header.size_bytes() == batch.len());
    let mut records = Records::new(&header, batch).unwrap();
    let mut all = Vec::new();
    while let Some(record) = records.next().unwrap() {
        let headers = record.headers.clone();
        all.push((
            header.base_offset + i64::from(record.offset_delta),
            record.timestamp_ms,
            record.key.map(<[u8]>::to_vec),
            record.value.map(<[u8]>::to_vec),
            headers.map(|(key, value)| [key, value.unwrap_or(b"-")].concat()).collect(),
        ));
    }
    (header, all)
}

fn filter(batch: &[u8], due: bool, keep: impl FnMut(&Record<'_>) -> bool) -> Filtered {
    let header = BatchHeader::parse(batch).unwrap();
    filter_batch(&header, batch, due, 1_000_000, keep).unwrap()
}

fn rewritten(filtered: Filtered) -> Vec<u8> {
    match filtered {
        Filtered::Rewritten(bytes) => bytes,
        other => panic!("{other:?}"),
    }
}

#[test]
fn kept_records_stay_as_they_are_in_every_codec() {
    for compression in Compression::ALL {
        let came = batch(compression);
        let (before, all) = content(&came);
        let keep = |record: &Record<'_>| record.value.is_some() && record.offset_delta % 4 == 1;
        let (after, kept) = content(&rewritten(filter(&came, false, keep)));
        let expected = |(offset, _, _, value, _): &&Content| value.is_some() && offset % 4 == 1;
        assert_eq!(kept, all.iter().filter(expected).cloned().collect::<Vec<_>>());
        // Of what concerns the producer and the log, everything.
        let same = BatchHeader {
            batch_length: before.batch_length,
            crc: before.crc,
            base_timestamp: before.base_timestamp,
            max_timestamp: before.max_timestamp,
            record_count: before.record_count,
            ..after
        };
        assert_eq!(same, before, "{compression:?}");
        assert_eq!(after.record_count as usize, kept.len());
        assert_eq!(after.base_timestamp, kept[0].1, "the first record's time");
        assert_eq!(Some(after.max_timestamp), kept.iter().map(|record| record.1).max());
    }
}

#[test]
fn a_batch_that_keeps_all_keeps_its_bytes_and_one_that_keeps_none_is_empty() {
    let without_tombstones = {
        let mut builder = BatchBuilder::new(0, 0);
        builder.push(1, Some(b"k"), Some(b"v")).build()
    };
    assert_eq!(filter(&without_tombstones, false, |_| true), Filtered::Whole);
    for compression in Compression::ALL {
        assert_eq!(filter(&batch(compression), true, |_| false), Filtered::Empty);
    }
}

#[test]
fn a_tombstone_that_stays_gives_its_batch_a_delete_horizon_once() {
    for compression in Compression::ALL {
        let came = batch(compression);
        let (_, all) = content(&came);
        let first = rewritten(filter(&came, false, |_| true));
        let (header, kept) = content(&first);
        assert!(header.has_delete_horizon());
        assert_eq!(header.base_timestamp, 1_000_000);
        assert_eq!(kept, all, "times count from the horizon");
        assert_eq!(filter(&first, true, |_| true), Filtered::Whole, "it is never moved");
        // It stays also when the tombstones are gone, as in Kafka.
        let (header, kept) = content(&rewritten(filter(&first, false, |it| it.value.is_some())));
        assert!(header.has_delete_horizon() && header.base_timestamp == 1_000_000);
        assert_eq!(kept.len(), 90);
    }
}

#[test]
fn a_marker_that_is_due_gets_a_delete_horizon() {
    let mut builder = BatchBuilder::new(0, 0).producer(1, 2, -1).transactional().control();
    let marker = builder.push(50, Some(&[0, 0, 0, 1]), Some(&[0; 6])).build();
    assert_eq!(filter(&marker, false, |_| true), Filtered::Whole);
    let (header, kept) = content(&rewritten(filter(&marker, true, |_| true)));
    assert!(header.has_delete_horizon() && header.is_control() && header.is_transactional());
    assert_eq!((header.base_timestamp, kept[0].1), (1_000_000, 50));
}

#[test]
fn the_time_of_append_stays_that_of_the_batch() {
    let mut came = batch(Compression::Lz4);
    set_log_append_time(&mut came, 9_999);
    let (header, kept) = content(&rewritten(filter(&came, false, |it| it.offset_delta < 2)));
    assert_eq!(
        (header.max_timestamp, header.timestamp_type()),
        (9_999, TimestampType::LogAppendTime)
    );
    assert_eq!(kept.iter().map(|record| record.1).collect::<Vec<_>>(), [9_999, 9_999]);
}

#[test]
fn an_empty_batch_still_says_where_its_producer_is() {
    for compression in Compression::ALL {
        let came = batch(compression);
        let before = BatchHeader::parse(&came).unwrap();
        let bytes = empty_batch(&before);
        let (after, records) = content(&bytes);
        assert_eq!((bytes.len(), records.len(), after.record_count), (61, 0, 0));
        assert_eq!(after.compression(), Some(Compression::None));
        assert!(after.is_transactional() && !after.has_delete_horizon());
        assert_eq!((after.base_timestamp, after.max_timestamp), (-1, before.max_timestamp));
        assert_eq!(after.last_sequence(), before.last_sequence());
        assert_eq!((after.base_offset, after.last_offset()), (1_000, 1_099));
        assert_eq!((after.producer_id, after.producer_epoch, after.leader_epoch), (7, 1, 4));
        assert_eq!(filter(&bytes, false, |_| true), Filtered::Empty);
        assert_eq!(empty_batch(&after), bytes);
    }
}

#[test]
fn records_that_cannot_be_read_are_an_error() {
    let mut came = batch(Compression::Zstd);
    let cut = came.len() - 30;
    came.truncate(cut);
    let header = BatchHeader::parse(&came).unwrap();
    filter_batch(&header, &came, false, 0, |_| true).unwrap_err();
}
