//! Sends the records and journals what became of each.

use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use rdkafka::client::ClientContext;
use rdkafka::config::ClientConfig;
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::Message;
use rdkafka::producer::{
    BaseRecord, DeliveryResult, Producer, ProducerContext, PurgeConfig, ThreadedProducer,
};

use crate::Failure;
use crate::journal::{Entry, Record, Writer};

/// Errors that say the record is not in the log. After any other, it may be.
const REFUSALS: [RDKafkaErrorCode; 5] = [
    RDKafkaErrorCode::PurgeQueue,
    RDKafkaErrorCode::MessageSizeTooLarge,
    RDKafkaErrorCode::InvalidRecord,
    RDKafkaErrorCode::InvalidTimestamp,
    RDKafkaErrorCode::TopicAuthorizationFailed,
];

const PURGE_TIMEOUT: Duration = Duration::from_secs(10);

/// What the producer knows so far.
#[derive(Clone, Debug)]
pub(crate) struct Tally {
    pub(crate) acked: u64,
    pub(crate) failed: u64,
    /// By partition, the offset behind the last acked record.
    pub(crate) ends: Vec<i64>,
}

#[derive(Debug)]
struct Ledger {
    journal: Writer,
    tally: Tally,
}

struct Outcomes(Arc<Mutex<Ledger>>);

impl ClientContext for Outcomes {}

impl ProducerContext for Outcomes {
    /// The number of the record.
    type DeliveryOpaque = usize;

    fn delivery(&self, result: &DeliveryResult<'_>, number: usize) {
        let mut ledger = lock(&self.0);
        let record = record(number as u64, ledger.tally.ends.len() as u64);
        match result {
            Ok(message) => {
                let offset = message.offset();
                ledger.journal.append(&Entry::Acked { record, offset });
                ledger.tally.acked += 1;
                let end = &mut ledger.tally.ends[record.partition as usize];
                *end = (*end).max(offset + 1);
            }
            Err((error, _)) => {
                let reason = error.to_string();
                let entry = match error {
                    KafkaError::MessageProduction(code) if REFUSALS.contains(code) => {
                        Entry::Refused { record, reason: &reason }
                    }
                    _ => Entry::Unknown { record, reason: &reason },
                };
                ledger.journal.append(&entry);
                ledger.tally.failed += 1;
            }
        }
    }
}

fn lock(ledger: &Mutex<Ledger>) -> MutexGuard<'_, Ledger> {
    ledger.lock().unwrap_or_else(PoisonError::into_inner)
}

fn record(number: u64, partitions: u64) -> Record {
    Record { partition: (number % partitions) as i32, sequence: number / partitions }
}

/// One idempotent producer. Record by record, it goes round the partitions.
pub(crate) struct Workload {
    producer: ThreadedProducer<Outcomes>,
    ledger: Arc<Mutex<Ledger>>,
    topic: String,
    run: String,
    partitions: u64,
    rate: Option<u64>,
    began: Instant,
    sent: u64,
}

impl Workload {
    /// A rate limits the records in a second.
    pub(crate) fn begin(
        bootstrap: &str,
        (topic, partitions): (&str, i32),
        run: &str,
        rate: Option<u64>,
        journal: &Path,
    ) -> Result<Self, Failure> {
        let mut journal = Writer::create(journal)?;
        journal.append(&Entry::Run(run));
        let tally = Tally { acked: 0, failed: 0, ends: vec![0; partitions as usize] };
        let ledger = Arc::new(Mutex::new(Ledger { journal, tally }));
        let producer = ClientConfig::new()
            .set("bootstrap.servers", bootstrap)
            .set("enable.idempotence", "true")
            .set("acks", "all")
            .set("linger.ms", "5")
            .set("reconnect.backoff.max.ms", "1000")
            .create_with_context(Outcomes(Arc::clone(&ledger)))?;
        Ok(Self {
            producer,
            ledger,
            topic: topic.to_owned(),
            run: run.to_owned(),
            partitions: partitions as u64,
            rate,
            began: Instant::now(),
            sent: 0,
        })
    }

    pub(crate) fn sent(&self) -> u64 {
        self.sent
    }

    pub(crate) fn tally(&self) -> Tally {
        lock(&self.ledger).tally.clone()
    }

    /// Sends until `limit` records are sent, or as many as the rate and the client's queue allow now.
    pub(crate) fn send_up_to(&mut self, limit: u64) -> Result<(), Failure> {
        let allowed = self
            .rate
            .map_or(u64::MAX, |rate| (self.began.elapsed().as_secs_f64() * rate as f64) as u64);
        while self.sent < limit.min(allowed) {
            let record = record(self.sent, self.partitions);
            let value = record.value(&self.run);
            let message =
                BaseRecord::<str, str, usize>::with_opaque_to(&self.topic, self.sent as usize)
                    .partition(record.partition)
                    .key(&value)
                    .payload(&value);
            match self.producer.send(message) {
                Ok(()) => self.sent += 1,
                Err((KafkaError::MessageProduction(RDKafkaErrorCode::QueueFull), _)) => break,
                Err((error, _)) => return Err(error.into()),
            }
        }
        Ok(())
    }

    /// Gives up what has no answer yet: it gets one now, an unknown one for what was under way.
    pub(crate) fn give_up(&self) {
        self.producer.purge(PurgeConfig::default().queue().inflight());
        // The answers of the purge only; when they do not come, those records count as never sent.
        let _ = self.producer.flush(PURGE_TIMEOUT);
    }
}
