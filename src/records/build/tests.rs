use super::*;
use crate::records::golden::{self, TIME_MS, fill};
use crate::records::{Records, set_base_offset};

#[test]
fn batches_equal_the_ones_kafka_writes() {
    let plain = BatchBuilder::new(0, -1);
    assert_eq!(fill(plain.clone()), golden::batch("codec-none"));
    let idempotent = BatchBuilder::new(42, 7).producer(1000, 3, i32::MAX - 1);
    assert_eq!(fill(idempotent), golden::batch("idempotent"));
    let transactional = BatchBuilder::new(0, 7).producer(1000, 3, 5).transactional();
    assert_eq!(fill(transactional), golden::batch("transactional"));
    let log_append_time = plain.log_append_time(TIME_MS + 99_999);
    assert_eq!(fill(log_append_time), golden::batch("log-append-time"));
}

#[test]
fn control_batches_equal_the_ones_kafka_writes() {
    let marker = BatchBuilder::new(9, 4)
        .producer(1000, 3, -1)
        .transactional()
        .control()
        .push(TIME_MS, Some(&[0, 0, 0, 1]), Some(&[0, 0, 0, 0, 0, 2]))
        .build();
    let expected = golden::batch("commit-marker");
    assert_eq!(marker.len(), expected.len());
    assert_eq!(marker, expected);

    let leader_change = golden::batch("leader-change");
    let header = BatchHeader::parse(&leader_change).unwrap();
    let mut records = Records::new(&header, &leader_change).unwrap();
    let record = records.next().unwrap().unwrap();
    let rebuilt = BatchBuilder::new(5, 6).control().push(TIME_MS, record.key, record.value).build();
    assert_eq!(rebuilt, leader_change);
}

#[test]
fn compressed_batches_hold_the_same_records() {
    for codec in Compression::ALL {
        let batch = fill(BatchBuilder::new(0, -1).compressed(codec, None));
        let expected = golden::batch(&format!("codec-{}", codec.name()));
        let header = BatchHeader::parse(&batch).unwrap();
        let golden_header = BatchHeader::parse(&expected).unwrap();
        assert!(header.verify_crc(&batch));
        let BatchHeader { batch_length, crc, .. } = header;
        assert_eq!(header, BatchHeader { batch_length, crc, ..golden_header });
        let mut ours = Records::new(&header, &batch).unwrap();
        let mut theirs = Records::new(&golden_header, &expected).unwrap();
        while let Some(record) = theirs.next().unwrap() {
            assert_eq!(ours.next().unwrap(), Some(record));
        }
        assert_eq!(ours.next().unwrap(), None);
    }
}

#[test]
fn sizes_and_counts_are_known_before_the_end() {
    let mut builder = BatchBuilder::new(0, 0);
    assert_eq!((builder.record_count(), builder.size_bytes()), (0, 61));
    builder.push(TIME_MS, Some(b"k"), None).push(TIME_MS - 1, None, Some(&[0; 100]));
    let mut batch = builder.build();
    assert_eq!((builder.record_count(), builder.size_bytes()), (2, batch.len()));
    set_base_offset(&mut batch, 77);
    let header = BatchHeader::parse(&batch).unwrap();
    assert_eq!((header.base_timestamp, header.max_timestamp), (TIME_MS, TIME_MS));
    assert_eq!((header.last_offset(), header.record_count), (78, 2));
}
