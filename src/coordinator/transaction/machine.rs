//! The machine of one partition of `__transaction_state`.
//!
//! - What a transactional id is in is its newest record, to the last field: live state equals its
//!   replay. Decisions are pure functions of it ([`super::begin`], [`super::end`]).
//! - A transaction that is committed or aborted is answered; its markers follow as an effect, and
//!   [`Command::Ended`] completes it. What asks for it meanwhile waits for that a moment, instead of
//!   being told CONCURRENT_TRANSACTIONS and asking again.
//! - Time-outs are looked at when Kafka's periodic tasks would: at multiples of their intervals.

use std::collections::btree_map::OccupiedEntry;
use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};
use std::sync::Arc;

use super::command::{Add, Command, Reply};
use super::decision::{Decision, Refusal};
use super::list::{describe, is_listed, listed};
use super::markers::Markers;
use super::record::Record;
use super::state::{State, Transaction};
use super::{begin, end};
use crate::config::TransactionConfig;
use crate::coordinator::value::ReplayError;
use crate::records::BATCH_HEADER_BYTES;
use crate::shard::{Batch, KeyValue, Machine, Moment, Outcome, Position, Ticket};
use crate::wire::ErrorCode;

/// How long a command waits for the markers of the transaction before.
const WAIT_MS: i64 = 1_000;
/// Until a producer id is at hand that was not.
const NO_ID_PAUSE_MS: i64 = 100;
/// Bytes of a tombstone beside its key, at most.
const TOMBSTONE_BYTES: usize = 32;
/// Transactional ids that are forgotten in one batch, at most.
const AT_ONCE: usize = 1_000;
/// Nothing is due.
const NEVER_MS: i64 = i64::MAX;

/// Gives producer ids that were never used; None while more are being fetched.
pub(super) trait ProducerIds: Send + Sync {
    /// The next one.
    fn take(&self) -> Option<i64>;
}

/// What is known of a transactional id.
#[derive(Clone, Debug)]
pub(super) struct Entry {
    pub(super) transaction: Transaction,
    /// Where its record stands.
    pub(super) offset: i64,
    /// When it is to be aborted or forgotten.
    due_ms: i64,
}

/// The machine.
pub(super) struct TransactionMachine {
    settings: TransactionConfig,
    /// Level of `transaction.version`.
    version: i16,
    ids: Arc<dyn ProducerIds>,
    max_batch_bytes: usize,
    pub(super) entries: HashMap<Arc<str>, Entry>,
    deadlines: BTreeSet<(i64, Arc<str>)>,
    /// Commands that wait for markers, by when they wait no longer.
    waiting: BTreeMap<(i64, Ticket), Command>,
    /// Those whose wait is over.
    ready: VecDeque<(Ticket, Command)>,
    effects: Vec<Markers>,
}

impl TransactionMachine {
    /// A machine without transactions, for a log that takes batches of at most `max_batch_bytes`.
    pub(super) fn new(
        settings: TransactionConfig,
        version: i16,
        ids: Arc<dyn ProducerIds>,
        max_batch_bytes: usize,
    ) -> Self {
        Self {
            settings,
            version,
            ids,
            max_batch_bytes,
            entries: HashMap::new(),
            deadlines: BTreeSet::new(),
            waiting: BTreeMap::new(),
            ready: VecDeque::new(),
            effects: Vec::new(),
        }
    }

    fn known(&self, id: &str) -> Option<&Transaction> {
        self.entries.get(id).map(|entry| &entry.transaction)
    }

    fn decide(&self, command: &Command, now_ms: i64) -> Result<Decision, Refusal> {
        let new_id = &|| self.ids.take();
        match command {
            Command::Init(init) => {
                begin::init(self.known(&init.id), init, now_ms, new_id, self.version)
            }
            Command::Add(add) => begin::add(self.known(&add.id), add, now_ms),
            Command::Verify(add) => begin::verify(self.known(&add.id), add),
            Command::End(asked) => end::end(self.known(&asked.id), asked, now_ms, new_id),
            Command::Ended(id, offset) => Ok(self.complete(id, *offset, now_ms)),
            Command::Describe(id) => {
                let known = self.known(id).ok_or(ErrorCode::TransactionalIdNotFound)?;
                Ok(Decision::reply(Reply::Described(describe(id, known))))
            }
            Command::List(filters) => {
                let passes = |(id, entry): &(&Arc<str>, &Entry)| {
                    is_listed(id, &entry.transaction, filters, now_ms)
                };
                let found = self.entries.iter().filter(passes);
                let found = found.map(|(id, entry)| listed(id, &entry.transaction));
                Ok(Decision::reply(Reply::Listed(found.collect())))
            }
        }
    }

    /// Late news of another end of a transaction change nothing.
    fn complete(&self, id: &str, offset: i64, now_ms: i64) -> Decision {
        let entry = self.entries.get(id);
        let ends = |entry: &&Entry| entry.offset == offset && entry.transaction.state.is_ending();
        match entry.filter(ends) {
            Some(entry) => Decision::new(entry.transaction.completed(now_ms), Reply::Done),
            None => Decision::reply(Reply::Done),
        }
    }

    /// Decides, where `until_ms` is the end of the command's patience.
    fn answer(
        &mut self,
        ticket: Ticket,
        command: Command,
        now_ms: i64,
        until_ms: i64,
    ) -> Outcome<Record, Reply> {
        let refused = |error| Outcome::new(Vec::new(), ticket, Reply::Refused(error));
        match self.decide(&command, now_ms) {
            Ok(Decision { next, reply }) => {
                if let Command::Ended(id, _) = &command {
                    self.wake(id);
                }
                let record = next.map(|next| self.record(command.id(), Some(next)));
                Outcome::new(record.into_iter().collect(), ticket, reply)
            }
            Err(Refusal::Error(error)) => refused(error),
            Err(Refusal::NoProducerId) => Outcome::new(Vec::new(), ticket, Reply::NoProducerId),
            Err(Refusal::Ending) if until_ms <= now_ms => {
                refused(ErrorCode::ConcurrentTransactions)
            }
            Err(Refusal::Ending) => {
                self.waiting.insert((until_ms, ticket), command);
                Outcome::nothing()
            }
        }
    }

    fn record(&self, id: &str, transaction: Option<Transaction>) -> Record {
        let id = self.entries.get_key_value(id).map_or_else(|| id.into(), |(id, _)| id.clone());
        Record { id, transaction, version: self.version.min(1) }
    }

    /// The commands that wait for this transaction are next.
    fn wake(&mut self, id: &str) {
        let of_id = self.waiting.extract_if(.., |_, command| command.id() == id);
        self.ready.extend(of_id.map(|((_, ticket), command)| (ticket, command)));
    }

    /// When a transaction is to be aborted, or a transactional id forgotten.
    fn due_ms(&self, transaction: &Transaction) -> i64 {
        let settings = &self.settings;
        let (since_ms, after_ms, interval_ms) = match transaction.state {
            State::PrepareCommit | State::PrepareAbort => return NEVER_MS,
            // Of a transaction in two phases (KIP-939).
            State::Ongoing if transaction.timeout_ms == i32::MAX => return NEVER_MS,
            State::Ongoing => {
                let timeout_ms = i64::from(transaction.timeout_ms) + 1;
                (transaction.start_ms, timeout_ms, settings.abort_interval_ms)
            }
            _ => {
                let interval_ms = settings.id_expiration_interval_ms;
                (transaction.last_update_ms, settings.id_expiration_ms, interval_ms)
            }
        };
        let ends_ms = since_ms.saturating_add(after_ms).max(0);
        // The next multiple of the interval.
        ends_ms.saturating_add((interval_ms - ends_ms % interval_ms) % interval_ms)
    }

    fn put(&mut self, id: &Arc<str>, entry: Option<Entry>) {
        if let Some(old) = self.entries.remove(id) {
            self.deadlines.remove(&(old.due_ms, id.clone()));
        }
        if let Some(entry) = entry {
            if entry.due_ms != NEVER_MS {
                self.deadlines.insert((entry.due_ms, id.clone()));
            }
            self.entries.insert(id.clone(), entry);
        }
    }

    /// Aborts the first transaction that is open for too long, or forgets the transactional ids that
    /// are due before one.
    fn expire(&mut self, now_ms: i64) -> Vec<Record> {
        let mut free_bytes = self.max_batch_bytes.saturating_sub(BATCH_HEADER_BYTES);
        let mut records = Vec::new();
        let due = self.deadlines.iter().take_while(|(due_ms, _)| *due_ms <= now_ms);
        let due: Vec<_> = due.take(AT_ONCE).cloned().collect();
        for (_, id) in due {
            let transaction = &self.entries[&id].transaction;
            if transaction.state == State::Ongoing {
                if records.is_empty() {
                    records.extend(self.abort(&id, now_ms));
                }
                break;
            }
            let size_bytes = id.len() + TOMBSTONE_BYTES;
            if free_bytes < size_bytes {
                break;
            }
            free_bytes -= size_bytes;
            records.push(self.record(&id, None));
        }
        records
    }

    fn abort(&mut self, id: &Arc<str>, now_ms: i64) -> Option<Record> {
        let entry = self.entries.get(id)?.clone();
        let new_id = &|| self.ids.take();
        let Ok(fenced) = end::fence(&entry.transaction, now_ms, new_id, self.version) else {
            let due_ms = now_ms + NO_ID_PAUSE_MS;
            self.put(id, Some(Entry { due_ms, ..entry }));
            return None;
        };
        tracing::info!(
            transactional_id = &**id,
            producer_id = fenced.producer.id,
            "transaction aborted: it was open for longer than its time-out"
        );
        Some(self.record(id, Some(fenced)))
    }

    fn markers_of(id: &Arc<str>, entry: &Entry) -> Markers {
        let transaction = &entry.transaction;
        Markers {
            transactional_id: id.clone(),
            offset: entry.offset,
            producer: transaction.producer,
            committed: transaction.state == State::PrepareCommit,
            transaction_version: transaction.client_version,
            partitions: transaction.partitions.iter().cloned().collect(),
        }
    }
}

impl Command {
    /// The transactional id; empty where it is about many.
    fn id(&self) -> &str {
        match self {
            Self::Init(init) => &init.id,
            Self::End(end) => &end.id,
            Self::Add(Add { id, .. })
            | Self::Verify(Add { id, .. })
            | Self::Ended(id, _)
            | Self::Describe(id) => id,
            Self::List(_) => "",
        }
    }
}

impl Machine for TransactionMachine {
    type Command = Command;
    type Reply = Reply;
    type Record = Record;
    type Effect = Markers;
    type ReplayError = ReplayError;

    const BASE_SEQUENCE: i32 = -1;

    fn handle(&mut self, ticket: Ticket, command: Command, now: Moment) -> Outcome<Record, Reply> {
        self.answer(ticket, command, now.now_ms, now.now_ms + WAIT_MS)
    }

    fn tick(&mut self, now: Moment) -> Outcome<Record, Reply> {
        if let Some((ticket, command)) = self.ready.pop_front() {
            return self.answer(ticket, command, now.now_ms, now.now_ms + WAIT_MS);
        }
        let waits_no_more = self.waiting.first_entry().filter(|first| first.key().0 <= now.now_ms);
        if let Some(((until_ms, ticket), command)) = waits_no_more.map(OccupiedEntry::remove_entry)
        {
            return self.answer(ticket, command, now.now_ms, until_ms);
        }
        let records = self.expire(now.now_ms);
        let batch =
            (!records.is_empty()).then_some(Batch { records, control: false, transaction: None });
        Outcome { batch, replies: Vec::new() }
    }

    fn next_deadline(&self) -> Option<i64> {
        if !self.ready.is_empty() {
            return Some(0);
        }
        let waits_until = self.waiting.first_key_value().map(|((until_ms, _), _)| *until_ms);
        let due = self.deadlines.first().map(|(due_ms, _)| *due_ms);
        waits_until.into_iter().chain(due).min()
    }

    fn apply(&mut self, record: &Record, at: Position) -> Result<(), ReplayError> {
        let Some(transaction) = &record.transaction else {
            self.put(&record.id, None);
            return Ok(());
        };
        let due_ms = self.due_ms(transaction);
        let entry = Entry { transaction: transaction.clone(), offset: at.offset, due_ms };
        if transaction.state.is_ending() {
            self.effects.push(Self::markers_of(&record.id, &entry));
        }
        self.put(&record.id, Some(entry));
        Ok(())
    }

    fn effects(&mut self) -> Vec<Markers> {
        std::mem::take(&mut self.effects)
    }

    /// The markers of every transaction that is not complete: nobody knows which are written.
    fn loaded(&mut self, _now_ms: i64) -> Result<Vec<Markers>, ReplayError> {
        self.effects.clear();
        let ending = self.entries.iter().filter(|(_, entry)| entry.transaction.state.is_ending());
        Ok(ending.map(|(id, entry)| Self::markers_of(id, entry)).collect())
    }

    fn encode(record: &Record) -> KeyValue {
        record.encode()
    }

    /// Markers stand here where a client has added a partition of this topic to its transaction.
    fn decode(raw: KeyValue, control: bool) -> Result<Option<Record>, ReplayError> {
        if control { Ok(None) } else { Record::decode(raw) }
    }
}
