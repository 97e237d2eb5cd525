//! One producer that sends as fast as it may.

use std::sync::Mutex;
use std::thread;
use std::time::{Duration, Instant};

use hdrhistogram::Histogram;
use rdkafka::client::ClientContext;
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::producer::{BaseRecord, DeliveryResult, Producer, ProducerContext, ThreadedProducer};
use rdkafka::statistics::Statistics;
use serde_json::{Value, json};

use super::super::client::Producing;
use super::super::produce::{BATCH_BYTES, LINGER_MS};
use super::super::values;
use super::config;

pub(super) const RECORDS_PER_S: &str = "records_per_s";
pub(super) const RECORD_MEAN_MS: &str = "record_mean_ms";
pub(super) const RECORD_P99_MS: &str = "record_p99_ms";
pub(super) const REQUEST_MEAN_MS: &str = "request_mean_ms";

const TIMEOUT: Duration = Duration::from_mins(1);
/// How long to wait when the client's queue, which holds 100,000 records, is full.
const FULL_QUEUE_WAIT: Duration = Duration::from_millis(1);
const STATISTICS_INTERVAL_MS: &str = "250";

/// Requests that were answered, and how long they took in all.
#[derive(Debug, Default)]
struct Requests {
    count: i64,
    sum_us: i64,
}

/// What the client tells while it works.
#[derive(Debug)]
struct Meter {
    started: Instant,
    record_us: Mutex<Histogram<u64>>,
    requests: Mutex<Requests>,
}

impl Meter {
    fn new() -> Self {
        let record_us = Mutex::new(Histogram::new(3).unwrap());
        Self { started: Instant::now(), record_us, requests: Mutex::default() }
    }

    fn elapsed_us(&self) -> usize {
        self.started.elapsed().as_micros() as usize
    }
}

impl ClientContext for Meter {
    fn stats(&self, statistics: Statistics) {
        let requests = &mut *self.requests.lock().unwrap();
        for latency in statistics.brokers.values().filter_map(|broker| broker.rtt.as_ref()) {
            requests.count += latency.cnt;
            requests.sum_us += latency.sum;
        }
    }

    fn error(&self, error: KafkaError, reason: &str) {
        eprintln!("{error}: {reason}");
    }
}

impl ProducerContext for Meter {
    /// When the record was sent, in microseconds since the start.
    type DeliveryOpaque = usize;

    fn delivery(&self, result: &DeliveryResult<'_>, sent_us: usize) {
        if let Err((error, _)) = result {
            panic!("a record is not delivered: {error}");
        }
        let latency_us = self.elapsed_us().saturating_sub(sent_us);
        self.record_us.lock().unwrap().record(latency_us as u64).unwrap();
    }
}

type Records = ThreadedProducer<Meter>;

/// Sends, waiting while the client's own queue is full.
fn send(producer: &Records, topic: &str, value: &[u8]) {
    let mut record = BaseRecord::<(), _, _>::with_opaque_to(topic, producer.context().elapsed_us());
    record = record.payload(value);
    while let Err((error, refused)) = producer.send(record) {
        assert!(
            matches!(error, KafkaError::MessageProduction(RDKafkaErrorCode::QueueFull)),
            "{error}"
        );
        record = refused;
        thread::sleep(FULL_QUEUE_WAIT);
    }
}

/// Sends everything and waits until it is acknowledged. The clock starts when one record was, so that connecting and
/// asking for metadata are not in it.
pub(super) fn run(task: &Producing<'_>) -> Value {
    let values = values::read(task.values);
    let mut config = config(task.address);
    config.set("acks", "all").set("linger.ms", LINGER_MS).set("batch.size", BATCH_BYTES);
    config.set("compression.type", task.compression);
    config.set("statistics.interval.ms", STATISTICS_INTERVAL_MS);
    let producer: Records = config.create_with_context(Meter::new()).unwrap();
    send(&producer, task.topic, &values[0]);
    producer.flush(TIMEOUT).unwrap();
    let meter = producer.context();
    meter.record_us.lock().unwrap().reset();
    let started = Instant::now();
    for _ in 1..task.records {
        send(&producer, task.topic, &values[fastrand::usize(..values.len())]);
    }
    producer.flush(TIMEOUT).unwrap();
    let took_s = started.elapsed().as_secs_f64();
    let record_us = meter.record_us.lock().unwrap();
    assert_eq!(record_us.len(), task.records - 1, "records acknowledged");
    let requests = meter.requests.lock().unwrap();
    let request_ms = requests.sum_us as f64 / requests.count as f64 / 1e3;
    json!({
        RECORDS_PER_S: record_us.len() as f64 / took_s,
        RECORD_MEAN_MS: record_us.mean() / 1e3,
        RECORD_P99_MS: record_us.value_at_quantile(0.99) as f64 / 1e3,
        // Without a request there is no number, and JSON then has null.
        REQUEST_MEAN_MS: request_ms,
    })
}
