//! `kill -9` in the middle of producing: what was acknowledged is there afterwards, once, where the answer said.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use fastrand::Rng;
use rdkafka::client::ClientContext;
use rdkafka::config::ClientConfig;
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::Message;
use rdkafka::producer::{BaseRecord, DeliveryResult, Producer, ProducerContext, ThreadedProducer};

use crate::broker::Broker;
use crate::clients::consume;
use crate::needs::{report, seed, setting};
use crate::raw_client::Connection;
use crate::wait::until;

const PARTITIONS: i32 = 4;
const RECORDS_BEFORE_KILL_MAX: u64 = 40_000;
const RECORDS_AFTER_KILL: u64 = 2_000;
const TIMEOUT: Duration = Duration::from_mins(2);

/// Partition and offset by record number.
type Places = HashMap<u64, (i32, i64)>;

/// What the broker answered so far.
#[derive(Debug, Default)]
struct Ledger {
    acked: Mutex<Places>,
    failed: Mutex<Vec<String>>,
}

struct Deliveries(Arc<Ledger>);

impl ClientContext for Deliveries {}

impl ProducerContext for Deliveries {
    type DeliveryOpaque = Box<u64>;

    fn delivery(&self, result: &DeliveryResult<'_>, number: Box<u64>) {
        match result {
            Ok(message) => {
                let place = (message.partition(), message.offset());
                self.0.acked.lock().unwrap().insert(*number, place);
            }
            Err((error, _)) => self.0.failed.lock().unwrap().push(format!("{number}: {error}")),
        }
    }
}

fn value(seed: u64, number: u64) -> Vec<u8> {
    let mut random = Rng::with_seed(seed ^ number.wrapping_mul(0x9e37_79b9_7f4a_7c15));
    let length = random.usize(0..500);
    std::iter::repeat_with(|| random.u8(..)).take(length).collect()
}

/// One topic, one idempotent producer that lives through the kill and goes on afterwards.
struct Round {
    seed: u64,
    topic: String,
    ledger: Arc<Ledger>,
    producer: ThreadedProducer<Deliveries>,
    sent: u64,
}

impl Round {
    fn begin(broker: &Broker, seed: u64, topic: String, random: &mut Rng) -> Self {
        let mut client = Connection::open(broker.port(), TIMEOUT).unwrap();
        // The smallest segment Kafka allows, so that segments roll during the run.
        let configs = [("segment.bytes", "1048576"), ("index.interval.bytes", "512")];
        let error = client.create_topics(std::slice::from_ref(&topic), PARTITIONS, &configs);
        assert_eq!(error.unwrap(), 0, "create {topic}");
        let ledger = Arc::new(Ledger::default());
        let codec = ["none", "gzip", "snappy", "lz4", "zstd"][random.usize(0..5)];
        let producer = ClientConfig::new()
            .set("bootstrap.servers", broker.bootstrap_servers())
            .set("enable.idempotence", "true")
            .set("compression.type", codec)
            .set("linger.ms", random.u32(0..4).to_string())
            .set("batch.num.messages", random.u32(1..500).to_string())
            .set("queue.buffering.max.messages", "5000")
            .set("delivery.timeout.ms", "120000")
            .set("reconnect.backoff.ms", "10")
            .set("reconnect.backoff.max.ms", "100")
            .create_with_context(Deliveries(Arc::clone(&ledger)))
            .unwrap();
        Self { seed, topic, ledger, producer, sent: 0 }
    }

    fn send(&mut self) {
        let (key, value) = (self.sent.to_be_bytes(), value(self.seed, self.sent));
        let partition = (self.sent % PARTITIONS as u64) as i32;
        let mut record = BaseRecord::with_opaque_to(&self.topic, Box::new(self.sent))
            .partition(partition)
            .key(key.as_slice())
            .payload(value.as_slice());
        while let Err((error, unsent)) = self.producer.send(record) {
            let full = KafkaError::MessageProduction(RDKafkaErrorCode::QueueFull);
            assert_eq!(error, full, "{}", self.topic);
            record = unsent;
            thread::sleep(Duration::from_millis(1));
        }
        self.sent += 1;
    }

    /// Sends until `kill_after` has passed since the first answer.
    fn send_until_kill(&mut self, kill_after: Duration) {
        self.send();
        let ledger = Arc::clone(&self.ledger);
        until("the first answer", TIMEOUT, || {
            (!ledger.acked.lock().unwrap().is_empty()).then_some(())
        });
        let kill_at = Instant::now() + kill_after;
        while Instant::now() < kill_at {
            if self.sent < RECORDS_BEFORE_KILL_MAX && self.producer.in_flight_count() < 4_000 {
                self.send();
            } else {
                thread::sleep(Duration::from_millis(1));
            }
        }
    }

    /// Everything is answered, and the partitions hold exactly what was sent, where the answers said.
    fn verify(&self, broker: &Broker) -> Result<(), String> {
        self.producer.flush(TIMEOUT).map_err(|error| format!("flush: {error}"))?;
        let failed = self.ledger.failed.lock().unwrap();
        if let Some(first) = failed.first() {
            return Err(format!("{} deliveries failed, the first is {first}", failed.len()));
        }
        let acked = self.ledger.acked.lock().unwrap();
        if acked.len() as u64 != self.sent {
            return Err(format!("{} of {} records were answered", acked.len(), self.sent));
        }
        let found = self.read(broker, &acked)?;
        for (number, place) in acked.iter() {
            if found.get(number) != Some(place) {
                let found = found.get(number);
                return Err(format!("record {number} was acked at {place:?}, found at {found:?}"));
            }
        }
        Ok(())
    }

    fn read(&self, broker: &Broker, acked: &Places) -> Result<Places, String> {
        let mut counts = [0; PARTITIONS as usize];
        for (partition, _) in acked.values() {
            counts[*partition as usize] += 1;
        }
        let mut found = Places::new();
        for message in consume(broker.port(), &self.topic, &counts).into_iter().flatten() {
            let key = message.key().and_then(|key| key.try_into().ok());
            let number = u64::from_be_bytes(key.ok_or("a record has a key that was never sent")?);
            let place = (message.partition(), message.offset());
            if message.payload() != Some(value(self.seed, number).as_slice()) {
                return Err(format!("record {number} at {place:?} has another value"));
            }
            if let Some(first) = found.insert(number, place) {
                return Err(format!("record {number} is twice, at {first:?} and {place:?}"));
            }
        }
        Ok(found)
    }
}

/// Starts a killed broker again, sometimes at the second try.
pub(crate) fn restart(broker: &mut Broker, random: &mut Rng) {
    if random.bool() {
        // A second kill while the first one's recovery may be running.
        broker.spawn();
        thread::sleep(Duration::from_millis(random.u64(0..60)));
        broker.kill9();
    }
    broker.restart();
}

fn run_round(broker: &mut Broker, seed: u64, name: String) -> Result<Round, String> {
    let mut random = Rng::with_seed(seed);
    let mut round = Round::begin(broker, seed, name, &mut random);
    round.send_until_kill(Duration::from_millis(random.u64(10..600)));
    broker.kill9();
    restart(broker, &mut random);
    for _ in 0..RECORDS_AFTER_KILL {
        round.send();
    }
    round.verify(broker).map(|()| round)
}

#[test]
fn acknowledged_records_survive_kill_9() {
    let rounds = setting("OTTLA_KILL_ROUNDS", 2_u64);
    let first = seed();
    report(&format!("kill: {rounds} rounds, the first seed is {first}"));
    let mut broker = Broker::start();
    let (mut done, mut failed) = (Vec::new(), 0);
    for number in 0..rounds {
        let seed = first.wrapping_add(number);
        match run_round(&mut broker, seed, format!("round-{number}")) {
            Ok(round) => done.push(round),
            Err(error) => {
                failed += 1;
                report(&format!(
                    "kill: round {number} failed: {error}
replay: OTTLA_SEED={seed} OTTLA_KILL_ROUNDS=1 cargo test --test it crash"
                ));
            }
        }
    }
    // Earlier rounds' records have been through every later kill.
    for round in &done {
        if let Err(error) = round.verify(&broker) {
            failed += 1;
            report(&format!("kill: {} failed after the last kill: {error}", round.topic));
        }
    }
    report(&format!("kill: {} passed, {failed} failed", rounds.saturating_sub(failed)));
    assert_eq!(failed, 0);
}
