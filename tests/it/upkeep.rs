//! `kill -9` in the middle of producing, compaction, retention and the deletion of topics: of what was acknowledged only
//! that is gone which a later record, or a limit, has superseded; and topics are there or not as was answered.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use fastrand::Rng;
use rdkafka::client::ClientContext;
use rdkafka::config::ClientConfig;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::Message;
use rdkafka::producer::{BaseRecord, DeliveryResult, Producer, ProducerContext, ThreadedProducer};

use crate::broker::Broker;
use crate::compaction::{Survivors, survivors};
use crate::crash::restart;
use crate::needs::{report, seed, setting};
use crate::raw_client::Connection;

const TIMEOUT: Duration = Duration::from_mins(2);
const COMPACTED: &str = "compacted";
const RETAINED: &str = "retained";
const KEYS: u64 = 400;
const VALUE_BYTES_MAX: usize = 3_000;
/// To each topic: more than a segment, so that every round has something to clean and to give up.
const RECORDS_AFTER_KILL: usize = 1_500;
const RETENTION_BYTES: u64 = 2 << 20;
const SEGMENT_BYTES: u64 = 1 << 20;
/// Everything is done as often as can be.
const SETTINGS: [&str; 6] = [
    "log.cleaner.backoff.ms=10",
    "log.retention.check.interval.ms=20",
    "log.initial.task.delay.ms=0",
    "log.segment.delete.delay.ms=50",
    "log.cleaner.min.cleanable.ratio=0",
    "log.cleaner.delete.retention.ms=0",
];

/// Key and value of what was acknowledged, by topic and offset.
#[derive(Debug, Default)]
struct Ledger {
    acked: Mutex<BTreeMap<String, Survivors>>,
    failed: Mutex<Vec<String>>,
}

struct Deliveries(Arc<Ledger>);

impl ClientContext for Deliveries {}

impl ProducerContext for Deliveries {
    type DeliveryOpaque = ();

    fn delivery(&self, result: &DeliveryResult<'_>, (): ()) {
        match result {
            Ok(record) => {
                let kept = (record.key().unwrap().to_vec(), record.payload().map(<[u8]>::to_vec));
                let mut acked = self.0.acked.lock().unwrap();
                acked.entry(record.topic().into()).or_default().insert(record.offset(), kept);
            }
            Err((error, _)) => self.0.failed.lock().unwrap().push(error.to_string()),
        }
    }
}

/// Topics as they were answered: of one whose answer was lost nothing is known.
#[derive(Debug, Default)]
struct Churn {
    there: BTreeSet<String>,
    gone: BTreeSet<String>,
}

impl Churn {
    /// Creates topics and deletes them again, until the broker is gone.
    fn go_on(&mut self, port: u16, prefix: &str, stop: &AtomicBool) -> Option<()> {
        let mut client = Connection::open(port, TIMEOUT).ok()?;
        for number in 0.. {
            if stop.load(Ordering::SeqCst) {
                break;
            }
            let name = format!("{prefix}-{number}");
            let error = client.create_topics(std::slice::from_ref(&name), 2, &[]).ok()?;
            assert_eq!(error, 0, "create {name}");
            self.there.insert(name);
            if number % 3 > 0 {
                let name = self.there.first().unwrap().clone();
                self.there.remove(&name);
                let error = client.delete_topics(std::slice::from_ref(&name)).ok()?;
                assert_eq!(error, 0, "delete {name}");
                self.gone.insert(name);
            }
        }
        Some(())
    }

    fn verify(&self, port: u16) -> Result<(), String> {
        let consumer: BaseConsumer = consumer_config(port).create().unwrap();
        let metadata = consumer.fetch_metadata(None, TIMEOUT).map_err(|error| error.to_string())?;
        let found: BTreeSet<_> = metadata.topics().iter().map(|it| it.name().to_owned()).collect();
        if let Some(lost) = self.there.difference(&found).next() {
            return Err(format!("topic {lost} was created and is not there"));
        }
        match self.gone.intersection(&found).next() {
            Some(kept) => Err(format!("topic {kept} was deleted and is there")),
            None => Ok(()),
        }
    }
}

fn consumer_config(port: u16) -> ClientConfig {
    let mut config = ClientConfig::new();
    config.set("bootstrap.servers", format!("localhost:{port}")).set("group.id", "upkeep");
    config
}

/// A broker and what was answered over all rounds.
struct Run {
    broker: Broker,
    ledger: Arc<Ledger>,
    churn: Churn,
    /// Beginning of the topic with retention.
    start_offset: i64,
    /// Records that are left in the compacted one.
    compacted: usize,
}

impl Run {
    fn begin() -> Self {
        let broker = Broker::start_with(&SETTINGS);
        let mut client = Connection::open(broker.port(), TIMEOUT).unwrap();
        let segments = ("segment.bytes", "1048576");
        let limit = RETENTION_BYTES.to_string();
        for (topic, config) in [
            (COMPACTED, [("cleanup.policy", "compact"), segments]),
            (RETAINED, [("retention.bytes", &limit), segments]),
        ] {
            let error = client.create_topics(&[topic.to_owned()], 1, &config);
            assert_eq!(error.unwrap(), 0, "create {topic}");
        }
        Self {
            broker,
            ledger: Arc::default(),
            churn: Churn::default(),
            start_offset: 0,
            compacted: 0,
        }
    }

    fn round(&mut self, seed: u64, number: u64) -> Result<(), String> {
        let mut random = Rng::with_seed(seed);
        let producer = self.producer(&mut random);
        let (port, stop) = (self.broker.port(), AtomicBool::new(false));
        let kill_after = Duration::from_millis(random.u64(20..900));
        let (churn, broker) = (&mut self.churn, &mut self.broker);
        thread::scope(|scope| {
            scope.spawn(|| churn.go_on(port, &format!("churn-{number}"), &stop));
            scope.spawn(|| {
                thread::sleep(kill_after);
                broker.kill9();
                stop.store(true, Ordering::SeqCst);
            });
            while !stop.load(Ordering::SeqCst) {
                send(&producer, &mut random);
            }
        });
        restart(&mut self.broker, &mut random);
        for _ in 0..RECORDS_AFTER_KILL {
            while producer.in_flight_count() >= 500 {
                thread::sleep(Duration::from_millis(1));
            }
            send(&producer, &mut random);
        }
        producer.flush(TIMEOUT).map_err(|error| format!("flush: {error}"))?;
        self.verify()
    }

    fn producer(&self, random: &mut Rng) -> ThreadedProducer<Deliveries> {
        ClientConfig::new()
            .set("bootstrap.servers", self.broker.bootstrap_servers())
            .set("enable.idempotence", "true")
            .set("compression.type", ["none", "gzip", "snappy", "lz4", "zstd"][random.usize(0..5)])
            .set("linger.ms", random.u32(0..4).to_string())
            .set("batch.num.messages", random.u32(1..100).to_string())
            .set("queue.buffering.max.messages", "1000")
            .set("delivery.timeout.ms", "120000")
            .set("reconnect.backoff.ms", "10")
            .set("reconnect.backoff.max.ms", "100")
            .create_with_context(Deliveries(Arc::clone(&self.ledger)))
            .unwrap()
    }

    fn verify(&mut self) -> Result<(), String> {
        if let Some(first) = self.ledger.failed.lock().unwrap().first() {
            return Err(format!("a delivery failed: {first}"));
        }
        self.churn.verify(self.broker.port())?;
        let acked = self.ledger.acked.lock().unwrap();
        let found = survivors(self.broker.port(), COMPACTED);
        self.compacted = found.len();
        verify_compacted(&acked[COMPACTED], &found)?;
        let found = survivors(self.broker.port(), RETAINED);
        let consumer: BaseConsumer = consumer_config(self.broker.port()).create().unwrap();
        let bounds = consumer.fetch_watermarks(RETAINED, 0, TIMEOUT);
        let (start_offset, _) = bounds.map_err(|error| error.to_string())?;
        if start_offset < self.start_offset {
            return Err(format!(
                "the log began at {} and now at {start_offset}",
                self.start_offset
            ));
        }
        self.start_offset = start_offset;
        verify_retained(&acked[RETAINED], &found, start_offset)
    }
}

/// Sends a record to each topic, one in eight of the compacted topic's without a value.
fn send(producer: &ThreadedProducer<Deliveries>, random: &mut Rng) {
    for topic in [COMPACTED, RETAINED] {
        let key = random.u64(..KEYS).to_be_bytes();
        let length = random.usize(..VALUE_BYTES_MAX);
        let value: Vec<u8> = std::iter::repeat_with(|| random.u8(..)).take(length).collect();
        let mut record = BaseRecord::to(topic).partition(0).key(key.as_slice());
        if topic == RETAINED || random.u8(..8) > 0 {
            record = record.payload(value.as_slice());
        }
        while let Err((error, unsent)) = producer.send(record) {
            assert_eq!(error, KafkaError::MessageProduction(RDKafkaErrorCode::QueueFull));
            record = unsent;
            thread::sleep(Duration::from_millis(1));
            // The broker may be gone, and come back only when this returns.
            if producer.in_flight_count() >= 1_000 {
                return;
            }
        }
    }
}

/// Nothing is there that was not acknowledged, and of what is not there each has a later record of its key, or is a
/// tombstone.
fn verify_compacted(acked: &Survivors, found: &Survivors) -> Result<(), String> {
    known(acked, found)?;
    let last: BTreeMap<_, _> = acked.iter().map(|(offset, (key, _))| (key, *offset)).collect();
    for (offset, (key, value)) in acked {
        let is_last = last[key] == *offset;
        if is_last && value.is_some() && !found.contains_key(offset) {
            return Err(format!(
                "{COMPACTED}: the last record of {key:?} was at {offset} and is lost"
            ));
        }
    }
    Ok(())
}

/// What was acknowledged is there from the beginning of the log on, which is no further than the limit makes it.
fn verify_retained(acked: &Survivors, found: &Survivors, start: i64) -> Result<(), String> {
    known(acked, found)?;
    if let Some((lost, _)) = acked.range(start..).find(|(offset, _)| !found.contains_key(offset)) {
        return Err(format!("{RETAINED}: the record at {lost} is lost, the log begins at {start}"));
    }
    let value_bytes = |(_, value): &(Vec<u8>, Option<Vec<u8>>)| value.as_ref().map_or(0, Vec::len);
    let kept_bytes: usize = found.values().map(value_bytes).sum();
    let is_enough = kept_bytes as u64 + SEGMENT_BYTES / 2 >= RETENTION_BYTES;
    if start > 0 && !is_enough {
        return Err(format!("{RETAINED}: only {kept_bytes} bytes are left from {start} on"));
    }
    Ok(())
}

fn known(acked: &Survivors, found: &Survivors) -> Result<(), String> {
    match found.iter().find(|(offset, record)| acked.get(offset) != Some(record)) {
        Some((offset, (key, _))) => Err(format!("{key:?} at {offset} was never acknowledged so")),
        None => Ok(()),
    }
}

#[test]
fn acknowledged_records_survive_kill_9_under_compaction_and_retention() {
    let rounds = setting("OTTLA_UPKEEP_ROUNDS", 2_u64);
    let first = seed();
    report(&format!("upkeep kill: {rounds} rounds, the first seed is {first}"));
    let mut run = Run::begin();
    for number in 0..rounds {
        let seed = first.wrapping_add(number);
        if let Err(error) = run.round(seed, number) {
            panic!("round {number}, seed {seed}: {error}");
        }
    }
    let Churn { there, gone } = &run.churn;
    let acked = run.ledger.acked.lock().unwrap();
    let (written, compacted) = (acked[COMPACTED].len(), run.compacted);
    report(&format!(
        "upkeep kill: {rounds} passed; {written} records compacted to {compacted}; {} retained to those from {} on; {} topics \
         kept, {} deleted",
        acked[RETAINED].len(),
        run.start_offset,
        there.len(),
        gone.len()
    ));
    // Something was done: with the counts of any tier more is written than the limits and the keys need.
    assert!(compacted < written && run.start_offset > 0 && !gone.is_empty());
}
