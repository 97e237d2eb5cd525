//! What the parts of a request cost, each by itself: `cargo bench --bench micro [NAME]`.
//!
//! A batch has 63 records of 1 KiB (what fits into the 64 KiB of Kafka's producers) or one. Nothing here is compared
//! with another machine or another day: the instructions that a request takes (`cargo bench --bench vs_kafka --
//! --instructions`) are.
#![expect(clippy::unwrap_used, reason = "a measurement that cannot go on has failed")]

use std::sync::Arc;

use bytes::Bytes;
use ottla::env::{Env, Offload, OsClock, OsDisk, Random};
use ottla::records::BatchBuilder;
use ottla::wire::messages::produce::{PartitionProduceData, ProduceRequest, TopicProduceData};
use requests::framed_as;
use tokio::runtime::Runtime;

mod logs;
mod records;
#[expect(dead_code, reason = "the tests use the rest")]
#[path = "../../compat/requests.rs"]
mod requests;
mod shards;
mod whole;
mod wire;

/// Records of a batch.
const RECORDS: [usize; 2] = [63, 1];
const RECORD_BYTES: usize = 1 << 10;
const TOPIC: &str = "measured";
/// The last version that names topics; what the others read and write is the same.
const PRODUCE_VERSION: i16 = 12;

fn main() {
    divan::main();
}

/// A batch as a producer sends it.
fn batch(records: usize) -> Vec<u8> {
    let mut builder = BatchBuilder::new(0, -1);
    let now_ms = env().clock.now_ms();
    for _ in 0..records {
        builder.push(now_ms, None, Some(&[b'v'; RECORD_BYTES]));
    }
    builder.build()
}

/// A Produce request without its length, as a connection hands it over.
fn produce_frame(records: usize) -> Bytes {
    let data = PartitionProduceData { index: 0, records: Some(batch(records).into()) };
    let topic =
        TopicProduceData { name: TOPIC.into(), partition_data: vec![data], ..Default::default() };
    let request = ProduceRequest {
        acks: -1,
        timeout_ms: 30_000,
        topic_data: vec![topic],
        ..Default::default()
    };
    unprefixed(&framed_as(&request, PRODUCE_VERSION, 1, "micro"))
}

fn unprefixed(frame: &Bytes) -> Bytes {
    frame.slice(4..)
}

/// As a broker on this machine has it.
fn env() -> Env {
    Env {
        clock: Arc::new(OsClock),
        random: Arc::new(Random::from_os()),
        disk: Arc::new(OsDisk),
        offload: Offload::pool(),
    }
}

/// One thread, so that a measured call sees no other.
fn runtime() -> Runtime {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap()
}
