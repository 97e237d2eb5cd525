//! What is checked of the records that a producer sends.

use divan::counter::BytesCount;
use divan::{Bencher, black_box};
use ottla::records::{ProduceRecords, ValidationConfig};

use crate::{PRODUCE_VERSION, RECORDS, TOPIC, batch, env};

#[divan::bench(args = RECORDS)]
fn validate(bencher: Bencher, records: usize) {
    let (batch, config) = (batch(records), ValidationConfig::default());
    let now_ms = env().clock.now_ms();
    bencher.counter(BytesCount::of_slice(&batch)).bench(|| {
        let records = ProduceRecords {
            bytes: black_box(&batch),
            topic: TOPIC,
            partition: 0,
            config: &config,
            now_ms,
            produce_version: PRODUCE_VERSION,
        };
        records.validate().unwrap()
    });
}

/// The part of it that no broker can leave out.
#[divan::bench(args = RECORDS)]
fn crc32c_alone(bencher: Bencher, records: usize) {
    let batch = batch(records);
    let counted = bencher.counter(BytesCount::of_slice(&batch));
    counted.bench(|| crc32c::crc32c(black_box(&batch[21..])));
}
