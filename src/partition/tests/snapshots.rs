use std::collections::BTreeMap;

use crate::partition::producers::{Producer, WrittenBatch};
use crate::partition::snapshot::{decode, encode};

/// Written by Apache Kafka 4.3.0 (`ProducerStateManager.writeSnapshot`).
const KAFKA: &str = "000149befa31000000030000000000000000000000000009000000000000\
                     000900000009000001a1f963e1fb00000000ffffffffffffffff00000000\
                     00000fa0000300000001000000000000000e00000003000001a1f963e240\
                     ffffffff000000000000000b0000000000000fa10001ffffffffffffffff\
                     ffffffff00000000000001a1f963e2a400000005ffffffffffffffff";

fn kafka() -> Vec<u8> {
    let digits = |at: usize| u8::from_str_radix(&KAFKA[at..at + 2], 16).unwrap();
    (0..KAFKA.len()).step_by(2).map(digits).collect()
}

fn producers() -> BTreeMap<i64, Producer> {
    let producer =
        |epoch, coordinator_epoch, last_timestamp_ms, first_offset: Option<i64>| Producer {
            epoch,
            coordinator_epoch,
            last_timestamp_ms,
            transaction_first_offset: first_offset,
            ..Producer::default()
        };
    let batch = |last_sequence, last_offset, offset_delta, max_timestamp_ms| WrittenBatch {
        last_sequence,
        last_offset,
        offset_delta,
        max_timestamp_ms,
    };
    let mut first = producer(0, 0, 1_795_185_435_131, None);
    first.batches.push_back(batch(9, 9, 9, 1_795_185_435_131));
    let mut wrapped = producer(3, -1, 1_795_185_435_200, Some(11));
    wrapped.batches.push_back(batch(1, 14, 3, 1_795_185_435_200));
    let without_batch = producer(1, 5, 1_795_185_435_300, None);
    BTreeMap::from([(0, first), (4000, wrapped), (4001, without_batch)])
}

#[test]
fn snapshots_are_kafkas_byte_for_byte() {
    assert_eq!(encode(&producers()), kafka());
    assert_eq!(decode(&kafka()), Some(producers()));
    let empty = encode(&BTreeMap::new());
    assert_eq!((empty.len(), decode(&empty)), (10, Some(BTreeMap::new())));
}

#[test]
fn of_several_batches_the_newest_is_kept() {
    let mut more = producers();
    let batches = &mut more.get_mut(&0).unwrap().batches;
    batches.push_front(WrittenBatch { last_sequence: 4, ..batches[0] });
    assert_eq!(encode(&more), kafka());
}

#[test]
fn a_damaged_snapshot_is_refused() {
    let good = kafka();
    for at in 0..good.len() {
        let mut damaged = good.clone();
        damaged[at] ^= 0x10;
        assert_eq!(decode(&damaged), None, "byte {at}");
        assert_eq!(decode(&good[..at]), None, "cut at {at}");
    }
    let mut huge = vec![0, 1, 0, 0, 0, 0, 0x7f, 0xff, 0xff, 0xff];
    let crc = crc32c::crc32c(&huge[6..]);
    huge[2..6].copy_from_slice(&crc.to_be_bytes());
    assert_eq!(decode(&huge), None);
}
