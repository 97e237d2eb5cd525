//! Batches that Apache Kafka's own client library wrote, as hex in `tests/golden/batches.txt`.

use proptest::test_runner::{Config, RngSeed};

use super::{BatchBuilder, Compression};

const TEXT: &str = include_str!("../../tests/golden/batches.txt");

/// Time of the first record of every golden batch.
pub(super) const TIME_MS: i64 = 1_700_000_000_000;

/// A record as it is given to a builder.
pub(super) type Plain = (i64, Option<&'static [u8]>, Option<&'static [u8]>, Vec<Header>);
pub(super) type Header = (&'static [u8], Option<&'static [u8]>);

pub(super) fn batch(name: &str) -> Vec<u8> {
    let line = TEXT.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' ')).unwrap();
    let digit = |i: usize| u8::from_str_radix(&line[i..i + 2], 16).unwrap();
    (0..line.len()).step_by(2).map(digit).collect()
}

/// The four records of the `codec-*` batches and of the others that hold data.
pub(super) fn records() -> Vec<Plain> {
    let headers: Vec<Header> = vec![(b"h", Some(b"1")), (b"h", None), (b"", Some(b"x"))];
    vec![
        (TIME_MS, Some(b"k1"), Some(b"v1"), vec![]),
        (TIME_MS + 5, None, Some(b"v2"), headers),
        (TIME_MS - 1, Some(b"k3"), None, vec![]),
        (TIME_MS + 1, Some(b""), Some(b""), vec![]),
    ]
}

/// Adds [`records`] to `builder`.
pub(super) fn fill(mut builder: BatchBuilder) -> Vec<u8> {
    for (timestamp_ms, key, value, headers) in records() {
        builder.push_with_headers(timestamp_ms, key, value, &headers);
    }
    builder.build()
}

/// A batch with any count and payload, valid CRC, at [`TIME_MS`].
pub(super) fn raw(record_count: i32, codec: Compression, payload: &[u8]) -> Vec<u8> {
    let mut batch = BatchBuilder::new(0, -1).push(TIME_MS, None, None).build();
    batch.truncate(super::BATCH_HEADER_BYTES);
    batch.extend_from_slice(payload);
    edit(batch, |batch| {
        batch[22] = codec.id();
        batch[23..27].copy_from_slice(&record_count.wrapping_sub(1).to_be_bytes());
        batch[57..61].copy_from_slice(&record_count.to_be_bytes());
    })
}

/// Changes `batch`, then sets its length and CRC right.
pub(super) fn edit(mut batch: Vec<u8>, change: impl FnOnce(&mut Vec<u8>)) -> Vec<u8> {
    change(&mut batch);
    let length = batch.len() as i32 - 12;
    batch[8..12].copy_from_slice(&length.to_be_bytes());
    super::batch::seal(&mut batch);
    batch
}

/// Property tests take the same cases in every run.
pub(super) fn same_cases() -> Config {
    Config { rng_seed: RngSeed::Fixed(2), failure_persistence: None, ..Config::default() }
}
