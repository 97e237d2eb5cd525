//! A worker on librdkafka; `../../java/Worker.java` is its twin.
//!
//! It reads, writes what it read to another topic, and commits both in a transaction. What its client calls abortable
//! it aborts, and goes back to what is committed; after a fatal error it goes on with new clients of the same
//! transactional id, unless the error says that somebody else has that id: then it ends.

use std::collections::BTreeMap;
use std::mem;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

use clap::Args;
use fastrand::Rng;
use rdkafka::client::ClientContext;
use rdkafka::config::ClientConfig;
use rdkafka::consumer::{
    BaseConsumer, Consumer, ConsumerContext, ConsumerGroupMetadata, Rebalance,
};
use rdkafka::error::{KafkaError, KafkaResult, RDKafkaErrorCode};
use rdkafka::message::{Message, OwnedMessage};
use rdkafka::producer::{BaseRecord, DeliveryResult, Producer, ProducerContext, ThreadedProducer};
use rdkafka::topic_partition_list::{Offset, TopicPartitionList, TopicPartitionListElem};

use super::line::{Line, Product};
use crate::journal::{Entry, Offsets, Record, Writer, now_ns};
use crate::member::leave_when_input_closes;
use crate::{Failure, Protocol, committed};

/// Of one try; what times out is tried again where the client says so.
const TIMEOUT: Duration = Duration::from_secs(5);
/// librdkafka 2.12 may wait for an answer to its offsets for ever when the broker has been killed.
const HUNG_AFTER_S: u32 = 30;
const POLL: Duration = Duration::from_millis(50);
const NEW_CLIENTS_AFTER: Duration = Duration::from_millis(500);
const SEEK_TRIES: usize = 20;
const BATCH_MAX: usize = 100;

/// What a worker needs to know; the workers of all clients take the same.
#[derive(Clone, Debug, Args)]
pub(crate) struct WorkerOptions {
    #[arg(long)]
    pub(crate) bootstrap: String,
    #[arg(long)]
    pub(crate) input: String,
    /// As many partitions as the input has
    #[arg(long)]
    pub(crate) output: String,
    #[arg(long)]
    pub(crate) partitions: i32,
    #[arg(long)]
    pub(crate) group: String,
    #[arg(long)]
    pub(crate) journal: std::path::PathBuf,
    /// Of this process, in the values it writes
    #[arg(long)]
    pub(crate) name: String,
    #[arg(long)]
    pub(crate) transactional_id: String,
    #[arg(long)]
    pub(crate) transaction_timeout_ms: u32,
    #[arg(long, value_enum)]
    pub(crate) protocol: Protocol,
    #[arg(long)]
    pub(crate) session_ms: u32,
    #[arg(long)]
    pub(crate) seed: u64,
}

#[derive(Clone)]
struct Journal(Arc<Mutex<Writer>>);

impl Journal {
    fn append(&self, entry: &Entry<'_>) {
        lock(&self.0).append(entry);
    }

    fn line(&self, line: Line<'_>) {
        self.append(&Entry::Eos(line));
    }

    fn note(&self, text: &str) {
        self.append(&Entry::Note(text));
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A record's acks.
struct Acks(Journal);

impl ClientContext for Acks {}

impl ProducerContext for Acks {
    /// Transaction and position.
    type DeliveryOpaque = Box<(u64, u64)>;

    fn delivery(&self, result: &DeliveryResult<'_>, place: Self::DeliveryOpaque) {
        let (transaction, position) = *place;
        match result {
            Ok(message) if message.offset() >= 0 => {
                let (partition, offset) = (message.partition(), message.offset());
                self.0.line(Line::Placed { transaction, position, partition, offset });
            }
            Ok(_) => {}
            Err((error, _)) => self.0.note(&format!("{transaction} {position}: {error}")),
        }
    }
}

#[derive(Default)]
struct Watcher {
    /// Of the classic protocol, as of the assignment that the records are read under. When the membership is lost, what
    /// the client gives is of no member at all until the loss is told, and offsets committed with that are not fenced.
    membership: Mutex<Option<ConsumerGroupMetadata>>,
    /// Something was taken away since it was last asked.
    revoked: AtomicBool,
}

impl ClientContext for Watcher {}

impl ConsumerContext for Watcher {
    fn pre_rebalance(&self, _: &BaseConsumer<Self>, rebalance: &Rebalance<'_>) {
        if matches!(rebalance, Rebalance::Revoke(_)) {
            self.revoked.store(true, Ordering::Relaxed);
            *lock(&self.membership) = None;
        }
    }

    fn post_rebalance(&self, consumer: &BaseConsumer<Self>, rebalance: &Rebalance<'_>) {
        if matches!(rebalance, Rebalance::Assign(_)) {
            *lock(&self.membership) = consumer.group_metadata();
        }
    }
}

/// A worker until standard input closes, or somebody else has its transactional id.
pub(crate) fn run(options: &WorkerOptions) -> Result<(), Failure> {
    let journal = Journal(Arc::new(Mutex::new(Writer::create(&options.journal)?)));
    let leaving = leave_when_input_closes();
    let calls = end_when_hung(&journal);
    let (mut random, mut transaction) = (Rng::with_seed(options.seed), 0);
    while !leaving.load(Ordering::Relaxed) {
        let mut worker = Worker::connect(options, &journal, &calls, &mut random, transaction)?;
        let Err(error) = worker.work(&leaving) else { break };
        transaction = worker.transaction;
        let fatal = worker.producer.client().fatal_error();
        journal.note(&format!("given up: {error}: {fatal:?}"));
        if fatal.is_some_and(|(code, _)| code == RDKafkaErrorCode::Fenced) {
            journal.line(Line::Fenced { at_ns: now_ns() });
            // A fenced producer of librdkafka's was seen to hang when it was closed; it has nothing more to do.
            let Worker { consumer, producer, .. } = worker;
            mem::forget(producer);
            drop(consumer);
            break;
        }
        thread::sleep(NEW_CLIENTS_AFTER);
    }
    Ok(())
}

/// Counts the beginnings and the ends of calls. Time that passes while the process is stopped does not count.
fn end_when_hung(journal: &Journal) -> Arc<AtomicU64> {
    let calls = Arc::new(AtomicU64::new(0));
    let (journal, counter) = (journal.clone(), Arc::clone(&calls));
    thread::spawn(move || {
        let (mut last, mut seconds) = (0, 0);
        while seconds < HUNG_AFTER_S {
            thread::sleep(Duration::from_secs(1));
            let count = counter.load(Ordering::Relaxed);
            seconds = if count == last && count % 2 == 1 { seconds + 1 } else { 0 };
            last = count;
        }
        journal.line(Line::Hung { at_ns: now_ns() });
        std::process::abort();
    });
    calls
}

struct Worker<'a> {
    options: &'a WorkerOptions,
    journal: &'a Journal,
    calls: &'a AtomicU64,
    random: &'a mut Rng,
    consumer: BaseConsumer<Watcher>,
    producer: ThreadedProducer<Acks>,
    /// The number of the last one.
    transaction: u64,
}

impl<'a> Worker<'a> {
    fn connect(
        options: &'a WorkerOptions,
        journal: &'a Journal,
        calls: &'a AtomicU64,
        random: &'a mut Rng,
        transaction: u64,
    ) -> KafkaResult<Self> {
        let mut common = ClientConfig::new();
        common
            .set("bootstrap.servers", &options.bootstrap)
            .set("socket.timeout.ms", "4000")
            .set("reconnect.backoff.max.ms", "1000");
        let mut config = common.clone();
        match options.protocol {
            Protocol::Consumer => config.set("group.protocol", "consumer"),
            Protocol::Classic => config
                .set("session.timeout.ms", options.session_ms.to_string())
                .set("heartbeat.interval.ms", (options.session_ms / 6).to_string()),
        };
        let consumer: BaseConsumer<Watcher> = config
            .set("group.id", &options.group)
            .set("auto.offset.reset", "earliest")
            .set("enable.auto.commit", "false")
            .set("isolation.level", "read_committed")
            .set("fetch.wait.max.ms", "100")
            .create_with_context(Watcher::default())?;
        let producer = common
            .set("transactional.id", &options.transactional_id)
            .set("transaction.timeout.ms", options.transaction_timeout_ms.to_string())
            .set("linger.ms", "2")
            .create_with_context(Acks(journal.clone()))?;
        Ok(Self { options, journal, calls, random, consumer, producer, transaction })
    }

    /// An error ends the clients.
    fn work(&mut self, leaving: &AtomicBool) -> KafkaResult<()> {
        let began_ns = now_ns();
        self.retried("init", |producer| producer.init_transactions(TIMEOUT))?;
        self.journal.line(Line::Ready { began_ns, ended_ns: now_ns() });
        self.consumer.subscribe(&[&self.options.input])?;
        while !leaving.load(Ordering::Relaxed) {
            let batch = self.gather()?;
            if !batch.is_empty() && !self.commits(&batch)? {
                self.rewind()?;
            }
        }
        Ok(())
    }

    /// The records of the next transaction, fewer than meant when no more come.
    fn gather(&mut self) -> KafkaResult<Vec<OwnedMessage>> {
        let most = if self.random.bool() { 10 } else { BATCH_MAX };
        let count = self.random.usize(1..=most);
        let mut batch = Vec::new();
        while batch.len() < count {
            let polled = self.consumer.poll(POLL);
            let ends = polled.is_none();
            // An error is a lost connection, which is the client's to mend.
            batch.extend(polled.and_then(Result::ok).map(|message| message.detach()));
            if self.consumer.context().revoked.swap(false, Ordering::Relaxed) {
                batch.clear();
                self.rewind()?;
            }
            if ends {
                break;
            }
        }
        Ok(batch)
    }

    /// Whether the transaction committed; otherwise it aborted.
    fn commits(&mut self, batch: &[OwnedMessage]) -> KafkaResult<bool> {
        self.transaction += 1;
        let (transaction, count) = (self.transaction, batch.len() as u64);
        self.journal.line(Line::Begun { transaction, count });
        match self.attempt(batch) {
            Ok(true) => return Ok(true),
            Ok(false) => {}
            Err(error) => self.journal.note(&format!("aborts {transaction}: {error}")),
        }
        self.retried("abort", |producer| producer.abort_transaction(TIMEOUT))?;
        self.journal.line(Line::Aborted { transaction });
        Ok(false)
    }

    /// Up to the commit; false when it is to be aborted on purpose.
    fn attempt(&mut self, batch: &[OwnedMessage]) -> KafkaResult<bool> {
        let aborts = self.random.u8(..10) == 0;
        let last = if aborts { self.random.usize(..batch.len()) } else { batch.len() - 1 };
        let pause = (self.random.u8(..4) == 0)
            .then(|| (self.random.usize(..=last), self.random.u64(..300)));
        self.producer.begin_transaction()?;
        let mut offsets: BTreeMap<i32, i64> = BTreeMap::new();
        for (position, message) in batch[..=last].iter().enumerate() {
            self.send(message, position as u64, batch.len() as u64)?;
            offsets.insert(message.partition(), message.offset() + 1);
            if let Some((at, pause_ms)) = pause
                && at == position
            {
                thread::sleep(Duration::from_millis(pause_ms));
            }
        }
        if aborts && self.random.bool() {
            // What is aborted must have been written.
            self.producer.flush(TIMEOUT)?;
            return Ok(false);
        }
        let offsets: Offsets = offsets.into_iter().collect();
        let mut processed = TopicPartitionList::new();
        for (partition, offset) in &offsets {
            let offset = Offset::Offset(*offset);
            processed.add_partition_offset(&self.options.input, *partition, offset)?;
        }
        let mut membership = lock(&self.consumer.context().membership);
        if self.options.protocol == Protocol::Consumer {
            // Its epoch changes without an assignment, and is never that of no member.
            *membership = self.consumer.group_metadata();
        }
        let Some(membership) = membership.as_ref() else { return Ok(false) };
        self.retried("offsets", |producer| {
            producer.send_offsets_to_transaction(&processed, membership, TIMEOUT)
        })?;
        if aborts {
            self.producer.flush(TIMEOUT)?;
            return Ok(false);
        }
        let (transaction, sent_ns) = (self.transaction, now_ns());
        self.journal.line(Line::Asked { at_ns: sent_ns, transaction });
        self.retried("commit", |producer| producer.commit_transaction(TIMEOUT))?;
        let confirmed_ns = now_ns();
        self.journal.line(Line::Done { transaction });
        self.journal.append(&Entry::Committed { sent_ns, confirmed_ns, offsets });
        Ok(true)
    }

    fn send(&self, message: &OwnedMessage, position: u64, count: u64) -> KafkaResult<()> {
        let input = String::from_utf8_lossy(message.payload().unwrap_or_default());
        let transaction = self.transaction;
        let product =
            Product { input: &input, worker: &self.options.name, transaction, position, count };
        let value = product.to_string();
        let partition = output_partition(&input, self.options.partitions);
        let place = Box::new((transaction, position));
        let record = BaseRecord::<[u8], str, _>::with_opaque_to(&self.options.output, place)
            .partition(partition)
            .key(message.key().unwrap_or_default())
            .payload(&value);
        self.producer.send(record).map_err(|(error, _)| error)
    }

    /// Again while the client says that it may be tried again.
    fn retried(
        &self,
        what: &str,
        ask: impl Fn(&ThreadedProducer<Acks>) -> KafkaResult<()>,
    ) -> KafkaResult<()> {
        loop {
            self.calls.fetch_add(1, Ordering::Relaxed);
            let result = ask(&self.producer);
            self.calls.fetch_add(1, Ordering::Relaxed);
            match result {
                Err(KafkaError::Transaction(error)) if error.is_retriable() => {
                    self.journal.note(&format!("{what} again: {error}"));
                }
                // Of a commit, which waits for the acks first.
                Err(KafkaError::Flush(RDKafkaErrorCode::OperationTimedOut)) => {}
                end => return end,
            }
        }
    }

    /// Back to what is committed, in all partitions.
    fn rewind(&self) -> KafkaResult<()> {
        let input = &self.options.input;
        let mut result = Err(KafkaError::Seek("the committed offsets are not told".into()));
        for _ in 0..SEEK_TRIES {
            let assigned = self.consumer.assignment()?;
            let assigned: Vec<i32> =
                assigned.elements().iter().map(TopicPartitionListElem::partition).collect();
            if assigned.is_empty() {
                return Ok(());
            }
            let read = committed::read(&self.consumer, input, assigned.iter().copied());
            let Some(entry) = read else { continue };
            self.journal.append(&entry);
            let mut list = TopicPartitionList::new();
            if let Entry::Read { offsets, .. } = entry {
                for (partition, offset) in offsets {
                    list.add_partition_offset(input, partition, Offset::Offset(offset.max(0)))?;
                }
            }
            if list.count() == assigned.len() {
                result = self.consumer.seek_partitions(list, TIMEOUT).and_then(|list| {
                    list.elements().iter().try_for_each(TopicPartitionListElem::error)
                });
                if result.is_ok() {
                    break;
                }
            }
            thread::sleep(POLL);
        }
        result
    }
}

/// Where a record of the input goes: those of one partition to all of them, in turn.
pub(super) fn output_partition(input: &str, partitions: i32) -> i32 {
    let run = input.split('.').next().unwrap_or_default();
    let record = Record::of_value(input, run).unwrap_or(Record { partition: 0, sequence: 0 });
    ((record.partition as u64 + record.sequence) % partitions as u64) as i32
}
