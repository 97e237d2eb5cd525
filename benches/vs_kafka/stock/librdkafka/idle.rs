//! Consumers that have nothing to read.

use std::io::{self, Read};
use std::mem;
use std::time::{Duration, Instant};

use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::KafkaError;

use super::super::idle::SETTLED;
use super::consumer_config;

const TIMEOUT: Duration = Duration::from_mins(1);
const POLL: Duration = Duration::from_millis(1);

/// Each with its own group and connections. Says so when all have reached the end of the topic, and ends with its input.
pub(super) fn run(address: &str, topic: &str, count: usize) {
    let consumers: Vec<BaseConsumer> = (0..count).map(|_| start(address, topic)).collect();
    let deadline = Instant::now() + TIMEOUT;
    let mut waiting: Vec<&BaseConsumer> = consumers.iter().collect();
    while !waiting.is_empty() {
        assert!(Instant::now() < deadline, "{} consumers have not come to the end", waiting.len());
        waiting.retain(|consumer| !is_at_end(consumer));
    }
    println!("{SETTLED}");
    io::stdin().read_to_end(&mut Vec::new()).unwrap();
    // To leave two hundred groups, one after the other, takes longer than the measurement.
    mem::forget(consumers);
}

fn start(address: &str, topic: &str) -> BaseConsumer {
    let mut config = consumer_config(address);
    // Tells the end; what is sent is the same.
    let consumer: BaseConsumer = config.set("enable.partition.eof", "true").create().unwrap();
    consumer.subscribe(&[topic]).unwrap();
    consumer
}

fn is_at_end(consumer: &BaseConsumer) -> bool {
    match consumer.poll(POLL) {
        Some(Err(KafkaError::PartitionEOF(_))) => true,
        Some(Err(error)) => panic!("{error}"),
        Some(Ok(_)) | None => false,
    }
}
