//! A machine as a shard runs it. Beside it a second one replays what the first writes; after every
//! step both are in the same state.

mod begin;
mod end;
mod failures;
mod random;
mod timeouts;

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use super::command::{Add, Command, End, Filters, Init, Reply};
use super::machine::{ProducerIds, TransactionMachine};
use super::markers::Markers;
use super::record::Record;
use super::state::{LAST_EPOCH, Producer, State, TopicPartition, Transaction};
use crate::config::{ServerConfig, TransactionConfig};
use crate::shard::{Batch, KeyValue, Machine, Moment, Outcome, Position, Ticket};
use crate::wire::ErrorCode;

/// Where the clock stands at first; a multiple of every interval.
const NOW_MS: i64 = 1_800_000_000_000;
const ID: &str = "payments";
const TIMEOUT_MS: i32 = 60_000;

/// Producer ids from 1,000 on, as many as there are.
struct Ids {
    next: AtomicI64,
    left: AtomicI64,
}

impl ProducerIds for Ids {
    fn take(&self) -> Option<i64> {
        let left = self.left.fetch_sub(1, Ordering::Relaxed);
        (left > 0).then(|| self.next.fetch_add(1, Ordering::Relaxed))
    }
}

struct Bench {
    machine: TransactionMachine,
    replayed: TransactionMachine,
    settings: TransactionConfig,
    version: i16,
    ids: Arc<Ids>,
    log: Vec<KeyValue>,
    now_ms: i64,
    next_ticket: u64,
    /// Effects that were not carried out.
    markers: Vec<Markers>,
    /// Answers that nobody has asked for yet.
    replies: Vec<(Ticket, Reply)>,
}

impl Bench {
    fn new() -> Self {
        Self::of_version(2)
    }

    fn of_version(version: i16) -> Self {
        let settings = ServerConfig::default().transactions;
        let ids = Arc::new(Ids { next: AtomicI64::new(1_000), left: AtomicI64::new(i64::MAX) });
        let machine = || TransactionMachine::new(settings, version, ids.clone(), 1 << 20);
        Self {
            machine: machine(),
            replayed: machine(),
            settings,
            version,
            ids: ids.clone(),
            log: Vec::new(),
            now_ms: NOW_MS,
            next_ticket: 0,
            markers: Vec::new(),
            replies: Vec::new(),
        }
    }

    fn now(&self) -> Moment {
        Moment { now_ms: self.now_ms, next_offset: self.log.len() as i64, epoch: 0 }
    }

    /// Asks; the ticket of the answer.
    fn send(&mut self, command: Command) -> Ticket {
        let ticket = Ticket(self.next_ticket);
        self.next_ticket += 1;
        let outcome = self.machine.handle(ticket, command, self.now());
        self.settle(outcome);
        self.tick_what_is_due();
        ticket
    }

    /// The answer, if there is one.
    fn answer(&mut self, ticket: Ticket) -> Option<Reply> {
        let place = self.replies.iter().position(|(answered, _)| *answered == ticket)?;
        Some(self.replies.remove(place).1)
    }

    fn ask(&mut self, command: Command) -> Reply {
        let ticket = self.send(command);
        self.answer(ticket).expect("the answer waits for markers")
    }

    fn tick_what_is_due(&mut self) {
        while self.machine.next_deadline().is_some_and(|due_ms| due_ms <= self.now_ms) {
            let outcome = self.machine.tick(self.now());
            self.settle(outcome);
        }
    }

    fn settle(&mut self, outcome: Outcome<Record, Reply>) {
        for record in outcome.batch.into_iter().flat_map(|batch| batch.records) {
            let raw = record.encode();
            let at = self.position();
            self.machine.apply(&record, at).unwrap();
            let decoded = Record::decode(raw.clone()).unwrap().expect("a kind that is known");
            self.replayed.apply(&decoded, at).unwrap();
            self.log.push(raw);
        }
        self.markers.extend(self.machine.effects());
        self.replies.extend(outcome.replies);
        assert_eq!(states(&self.machine), states(&self.replayed));
    }

    fn position(&self) -> Position {
        Position {
            offset: self.log.len() as i64,
            epoch: 0,
            timestamp_ms: self.now_ms,
            size_bytes: 0,
            producer_id: None,
        }
    }

    /// Writes all markers that are due.
    fn finish(&mut self) {
        for markers in std::mem::take(&mut self.markers) {
            self.send(Command::Ended(markers.transactional_id.to_string(), markers.offset));
        }
    }

    /// The broker dies and starts: what is not in the log is gone.
    fn restart(&mut self) {
        let ids = self.ids.clone();
        let mut machine = TransactionMachine::new(self.settings, self.version, ids, 1 << 20);
        for (offset, raw) in (0..).zip(&self.log) {
            let record = Record::decode(raw.clone()).unwrap().unwrap();
            machine.apply(&record, Position { offset, ..self.position() }).unwrap();
        }
        self.markers = machine.loaded(self.now_ms).unwrap();
        self.machine = machine;
        self.replies.clear();
    }

    fn advance(&mut self, by_ms: i64) {
        self.now_ms += by_ms;
        self.tick_what_is_due();
    }

    fn transaction(&self) -> &Transaction {
        &self.machine.entries[ID].transaction
    }

    fn state(&self) -> State {
        self.transaction().state
    }

    /// A producer whose next epoch is no client's.
    fn exhausted(&mut self) -> Producer {
        let producer = self.producer();
        let mut last = self.transaction().clone();
        last.producer.epoch = LAST_EPOCH;
        let record = Record { id: ID.into(), transaction: Some(last), version: 1 };
        let records = Some(Batch { records: vec![record], control: false, transaction: None });
        self.settle(Outcome { batch: records, replies: Vec::new() });
        Producer { epoch: LAST_EPOCH, ..producer }
    }

    fn init(&mut self, expected: Option<Producer>) -> Reply {
        self.ask(Command::Init(Init { id: ID.into(), timeout_ms: TIMEOUT_MS, expected }))
    }

    /// A producer that has just got its id.
    fn producer(&mut self) -> Producer {
        match self.init(None) {
            Reply::Producer(producer) => producer,
            other => panic!("{other:?}"),
        }
    }

    fn add(&mut self, producer: Producer, partitions: &[i32], client_version: i16) -> Reply {
        let partitions = partitions.iter().map(|partition| place(*partition)).collect();
        self.ask(Command::Add(Add { id: ID.into(), producer, partitions, client_version }))
    }

    fn verify(&mut self, producer: Producer, partitions: &[i32]) -> Reply {
        let partitions = partitions.iter().map(|partition| place(*partition)).collect();
        self.ask(Command::Verify(Add { id: ID.into(), producer, partitions, client_version: 0 }))
    }

    fn end(&mut self, producer: Producer, committed: bool, client_version: i16) -> Reply {
        self.ask(end(producer, committed, client_version))
    }

    /// A producer of this version whose transaction is open.
    fn open(&mut self, client_version: i16) -> Producer {
        let producer = self.producer();
        assert_eq!(self.add(producer, &[0, 1], client_version), Reply::Done);
        producer
    }
}

fn end(producer: Producer, committed: bool, client_version: i16) -> Command {
    Command::End(End { id: ID.into(), producer, committed, client_version })
}

fn place(partition: i32) -> TopicPartition {
    TopicPartition { topic: "orders".into(), partition }
}

fn places(partitions: &[i32]) -> BTreeSet<TopicPartition> {
    partitions.iter().map(|partition| place(*partition)).collect()
}

fn states(machine: &TransactionMachine) -> Vec<(Arc<str>, Transaction, i64)> {
    let entries = machine.entries.iter();
    let mut states: Vec<_> =
        entries.map(|(id, entry)| (id.clone(), entry.transaction.clone(), entry.offset)).collect();
    states.sort_by(|one, other| one.0.cmp(&other.0));
    states
}

fn refused(error: ErrorCode) -> Reply {
    Reply::Refused(error)
}

/// The same producer with its epoch raised.
fn raised(producer: Producer, by: i16) -> Producer {
    Producer { epoch: producer.epoch + by, ..producer }
}
