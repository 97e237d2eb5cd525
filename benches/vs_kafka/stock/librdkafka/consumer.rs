//! One consumer that reads as fast as it may.

use std::time::{Duration, Instant};

use rdkafka::consumer::{BaseConsumer, Consumer};
use serde_json::{Value, json};

use super::super::client::Consuming;
use super::consumer_config;

pub(super) const MB_PER_S: &str = "mb_per_s";

const TIMEOUT: Duration = Duration::from_mins(1);
const POLLS: usize = 10;

/// Reads as many records as it was told to. The clock starts with the first one.
pub(super) fn run(task: &Consuming<'_>) -> Value {
    let mut config = consumer_config(task.address);
    config.set("fetch.queue.backoff.ms", task.backoff_ms);
    let consumer: BaseConsumer = config.create().unwrap();
    consumer.subscribe(&[task.topic]).unwrap();
    next_bytes(&consumer);
    let started = Instant::now();
    let bytes: usize = (1..task.records).map(|_| next_bytes(&consumer)).sum();
    json!({ MB_PER_S: bytes as f64 / 1e6 / started.elapsed().as_secs_f64() })
}

/// Length of the next record's value.
fn next_bytes(consumer: &BaseConsumer) -> usize {
    // A poll also ends, without a record, when partitions were assigned.
    let polled = (0..POLLS).find_map(|_| consumer.poll(TIMEOUT));
    polled.expect("a record in time").unwrap().payload_len()
}
