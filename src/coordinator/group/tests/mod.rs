//! A machine as a shard runs it. Beside it a second one replays what the first writes; after every
//! step both have the same hard state, and the live one is consistent ([`invariants`]).

mod admin;
mod consumer;
mod expiry;
mod heartbeat_leave;
mod invariants;
mod join;
mod matrix;
mod messages;
mod offsets;
mod random;
mod records;
mod shard;
mod static_members;
mod sync;
mod timers;
mod too_large;
mod transactions;
mod transactions_random;

use std::collections::{BTreeSet, HashMap, HashSet};
use std::sync::Arc;

use bytes::Bytes;
use messages::*;

use super::classic::{Group, NEVER_MS};
use super::command::{Asked, Command, Reply};
use super::machine::{AnyGroup, GroupMachine};
use super::record::Record;
use crate::config::{GroupConfig, ServerConfig};
use crate::env::Random;
use crate::metadata::MetadataImage;
use crate::partition::Admission;
use crate::shard::{KeyValue, Machine, Moment, Outcome, Position, Ticket, Transaction};
use crate::wire::ErrorCode;
use crate::wire::records::GroupMetadataValue;

/// Where the clock stands at first; tests count from here.
const NOW_MS: i64 = 1_800_000_000_000;
const GROUP: &str = "g";
const SESSION_MS: i64 = 10_000;
const REBALANCE_MS: i64 = 60_000;
const DELAY_MS: i64 = 3_000;
/// Generation of the groups that are replayed.
const GENERATION: i32 = 3;

struct Bench {
    machine: GroupMachine,
    replayed: GroupMachine,
    settings: GroupConfig,
    max_batch_bytes: usize,
    /// What commands come with from now on.
    image: Arc<MetadataImage>,
    log: Vec<(KeyValue, bool, Position)>,
    next_offset: i64,
    now_ms: i64,
    next_ticket: u64,
    /// Callers that have no answer.
    waiting: BTreeSet<Ticket>,
    /// The last record of each group.
    written: HashMap<String, GroupMetadataValue>,
}

/// What a command or the passing of time led to.
#[derive(Debug, Default, PartialEq)]
struct Step {
    records: Vec<Record>,
    /// The answer to the caller; None if it is parked.
    answer: Option<Reply>,
    /// Answers to callers that were parked.
    told: Vec<(Ticket, Reply)>,
    /// When something of a group is due next.
    due_ms: Option<i64>,
}

/// The caller is answered at once.
fn answered(reply: Reply) -> Step {
    Step { answer: Some(reply), ..Step::default() }
}

/// The caller waits, or there is none.
fn silent() -> Step {
    Step::default()
}

impl Step {
    fn due(self, at_ms: i64) -> Self {
        Self { due_ms: Some(at_ms), ..self }
    }

    fn tells(mut self, ticket: Ticket, reply: Reply) -> Self {
        self.told.push((ticket, reply));
        self
    }

    fn writes(mut self, record: Record) -> Self {
        self.records.push(record);
        self
    }
}

fn settings() -> GroupConfig {
    GroupConfig {
        min_session_timeout_ms: 6_000,
        max_session_timeout_ms: 1_800_000,
        max_size: 100,
        initial_rebalance_delay_ms: DELAY_MS as i32,
        offset_metadata_max_bytes: 10,
        offsets_retention_ms: 7 * 24 * 3_600_000,
        // Never.
        offsets_retention_check_interval_ms: i64::MAX,
        ..ServerConfig::default().groups
    }
}

impl Bench {
    fn new() -> Self {
        Self::with(settings())
    }

    fn with(settings: GroupConfig) -> Self {
        let max_batch_bytes = 1_048_588;
        Self {
            machine: machine(settings, max_batch_bytes, 1),
            replayed: machine(settings, max_batch_bytes, 2),
            settings,
            max_batch_bytes,
            image: Arc::new(MetadataImage::empty("cluster".into(), 1)),
            log: Vec::new(),
            next_offset: 0,
            now_ms: NOW_MS,
            next_ticket: 0,
            waiting: BTreeSet::new(),
            written: HashMap::new(),
        }
    }

    /// The log takes batches of this size at most.
    fn limited(max_batch_bytes: usize) -> Self {
        let machine = machine(settings(), max_batch_bytes, 1);
        Self { machine, max_batch_bytes, ..Self::new() }
    }

    /// A record that stands in the log before the machine is loaded.
    fn found(mut self, record: &Record) -> Self {
        self.append(GroupMachine::encode(record), false, None);
        self.note(record);
        self
    }

    /// A record that something else has written.
    fn append(&mut self, raw: KeyValue, control: bool, producer_id: Option<i64>) {
        let at = self.position(&raw, producer_id);
        if let Some(record) = GroupMachine::decode(raw.clone(), control).unwrap() {
            self.machine.apply(&record, at).unwrap();
            self.replayed.apply(&record, at).unwrap();
            if let Record::OtherGroup(id, _) | Record::Consumer(id, _) = &record {
                self.written.remove(id);
            }
        }
        self.log.push((raw, control, at));
    }

    fn position(&mut self, raw: &KeyValue, producer_id: Option<i64>) -> Position {
        self.next_offset += 1;
        Position {
            offset: self.next_offset - 1,
            epoch: 1,
            timestamp_ms: self.now_ms,
            size_bytes: raw.size_bytes(),
            producer_id,
        }
    }

    /// The end of a replay.
    fn loaded(mut self) -> Self {
        self.machine.loaded(self.now_ms).unwrap();
        invariants::check(&self);
        self
    }

    /// The process dies and starts again; nobody is answered.
    fn restart(&mut self) {
        self.replay(&self.log.clone());
    }

    /// As [`Self::restart`], where the log has been compacted as Kafka's cleaner does it: below the
    /// first record of an open transaction what was aborted is gone, and of each key only the last
    /// record is left.
    fn restart_compacted(&mut self) {
        let mut log: Vec<_> = self.log.iter().cloned().zip(self.outcomes()).collect();
        let is_open = |(entry, outcome): &&(_, Option<bool>)| {
            let (_, _, at): &(KeyValue, bool, Position) = entry;
            at.producer_id.is_some() && outcome.is_none()
        };
        let last_stable = log.iter().find(is_open).map_or(i64::MAX, |((_, _, at), _)| at.offset);
        let mut later = HashSet::new();
        log.reverse();
        log.retain(|((raw, control, at), outcome)| {
            *control
                || at.offset >= last_stable
                || *outcome != Some(false) && later.insert(raw.key.clone())
        });
        self.replay(&log.into_iter().rev().map(|(entry, _)| entry).collect::<Vec<_>>());
    }

    /// How the transaction of each record of the log ended; a marker's own end is its own.
    fn outcomes(&self) -> Vec<Option<bool>> {
        let mut ends = HashMap::new();
        let mut outcomes = Vec::new();
        for (raw, control, at) in self.log.iter().rev() {
            if *control
                && let Some(Record::EndTransaction(committed, _)) =
                    GroupMachine::decode(raw.clone(), true).unwrap()
            {
                ends.insert(at.producer_id, committed);
            }
            outcomes.push(at.producer_id.and_then(|_| ends.get(&at.producer_id).copied()));
        }
        outcomes.reverse();
        outcomes
    }

    fn replay(&mut self, log: &[(KeyValue, bool, Position)]) {
        self.machine = machine(self.settings, self.max_batch_bytes, self.log.len() as u64);
        for (raw, control, at) in log {
            if let Some(record) = GroupMachine::decode(raw.clone(), *control).unwrap() {
                self.machine.apply(&record, *at).unwrap();
            }
        }
        self.machine.loaded(self.now_ms).unwrap();
        self.waiting.clear();
        invariants::check(self);
    }

    fn moment(&self) -> Moment {
        Moment { now_ms: self.now_ms, next_offset: self.next_offset, epoch: 1 }
    }

    fn call(&mut self, command: Command) -> Step {
        let ticket = Ticket(self.next_ticket);
        self.next_ticket += 1;
        self.waiting.insert(ticket);
        let asked = Asked { command, image: self.image.clone() };
        let outcome = self.machine.handle(ticket, asked, self.moment());
        let mut step = Step::default();
        self.settle(outcome, &mut step);
        let own = step.told.iter().position(|(told, _)| *told == ticket);
        step.answer = own.map(|index| step.told.remove(index).1);
        step
    }

    /// The caller waits; nobody is told anything and nothing is written.
    fn park(&mut self, command: Command) -> Ticket {
        let step = self.call(command);
        assert_eq!((step.answer, step.told, step.records), (None, vec![], vec![]));
        self.last()
    }

    /// The ticket of the last caller.
    fn last(&self) -> Ticket {
        Ticket(self.next_ticket - 1)
    }

    /// Lets time pass and does what is due until then, each at its time.
    fn pass_to(&mut self, until_ms: i64) -> Step {
        let mut step = Step { due_ms: self.due_ms(), ..Step::default() };
        for turn in 0.. {
            assert!(turn < 10_000, "what is due is never done");
            let due_ms = self.machine.next_deadline().filter(|due| *due <= NOW_MS + until_ms);
            let Some(due_ms) = due_ms else { break };
            self.now_ms = self.now_ms.max(due_ms);
            let outcome = self.machine.tick(self.moment());
            self.settle(outcome, &mut step);
        }
        self.now_ms = NOW_MS + until_ms;
        step
    }

    /// Applies what was decided as a shard does.
    fn settle(&mut self, outcome: Outcome<Record, Reply>, step: &mut Step) {
        if let Some(batch) = outcome.batch {
            let ends = |transaction: Transaction| {
                matches!(transaction.admission, Admission::Marker { .. })
            };
            assert!(
                !batch.records.is_empty() && batch.transaction.is_some_and(ends) == batch.control
            );
            let producer_id = batch.transaction.map(|transaction| transaction.producer_id);
            for record in batch.records {
                let raw = GroupMachine::encode(&record);
                let at = self.position(&raw, producer_id);
                self.machine.apply(&record, at).unwrap();
                let read = GroupMachine::decode(raw.clone(), batch.control).unwrap().unwrap();
                self.replayed.apply(&read, at).unwrap();
                self.log.push((raw, batch.control, at));
                self.note(&record);
                step.records.push(record);
            }
        }
        for (ticket, reply) in outcome.replies {
            assert!(self.waiting.remove(&ticket), "{ticket:?} is answered twice: {reply:?}");
            step.told.push((ticket, reply));
        }
        step.due_ms = self.due_ms();
        invariants::check(self);
    }

    fn note(&mut self, record: &Record) {
        match record {
            Record::Group(id, Some(value)) => drop(self.written.insert(id.clone(), value.clone())),
            Record::Group(id, None) => drop(self.written.remove(id)),
            _ => {}
        }
    }

    /// The first time at which something of a group is due.
    fn due_ms(&self) -> Option<i64> {
        let due_ms = classic_groups(&self.machine).map(Group::next_deadline).min();
        due_ms.filter(|due| *due != NEVER_MS).map(|due| due - NOW_MS)
    }

    fn group(&self) -> &Group {
        self.machine.classic(GROUP).expect("there is a classic group")
    }

    /// The id that the client, or instance, of this name has been given.
    fn id(&self, name: &str) -> String {
        let group = self.group();
        let ids = group.members.keys().chain(group.pending.keys());
        let mut found = ids.filter(|id| id.rsplitn(6, '-').nth(5) == Some(name));
        let id = found.next().unwrap_or_else(|| panic!("no member is called {name}"));
        assert_eq!(found.next(), None, "several members are called {name}");
        id.clone()
    }
}

fn machine(settings: GroupConfig, max_batch_bytes: usize, seed: u64) -> GroupMachine {
    let image = Arc::new(MetadataImage::empty("cluster".into(), 1));
    GroupMachine::new(Arc::new(settings), Arc::new(Random::seeded(seed)), max_batch_bytes, image)
}

fn classic_groups(machine: &GroupMachine) -> impl Iterator<Item = &Group> {
    machine.groups.values().filter_map(|group| match group {
        AnyGroup::Classic(group) => Some(group),
        AnyGroup::Consumer(_) | AnyGroup::Other => None,
    })
}

/// The groups of a kind that is not coordinated here.
fn other_groups(machine: &GroupMachine) -> BTreeSet<Arc<str>> {
    let groups = machine.groups.iter();
    let others = groups.filter(|(_, group)| matches!(group, AnyGroup::Other));
    others.map(|(id, _)| id.clone()).collect()
}

/// The group is `Empty` in the third generation.
fn empty() -> Bench {
    Bench::new().found(&group_record(GENERATION, 0, vec![])).loaded()
}

/// The group is `Stable` with the members `a`, who leads, and `b`.
fn stable() -> Bench {
    stable_in(Bench::new())
}

fn stable_in(bench: Bench) -> Bench {
    let members = vec![member_record("a", "one"), member_record("b", "two")];
    bench.found(&group_record(GENERATION, 0, members)).loaded()
}

/// As [`stable`], then a new member is parked, who is called `client`.
fn preparing() -> (Bench, Ticket) {
    let mut bench = stable();
    let parked = bench.park(join_old("client"));
    (bench, parked)
}

/// As [`stable`], then both have joined again.
fn completing() -> Bench {
    let mut bench = stable();
    let parked = bench.park(rejoin("a"));
    let step = bench.call(rejoin("b"));
    let expected = answered(Reply::Join(joined(GENERATION + 1, "a", "b")))
        .tells(parked, Reply::Join(leads(GENERATION + 1, "a", &["a", "b"])))
        .due(SESSION_MS);
    assert_eq!(step, expected);
    bench
}
