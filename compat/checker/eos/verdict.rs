//! The verdict on a run, from its journals alone.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::fmt::{self, Display};
use std::path::Path;

use super::line::{Line, Product};
use super::worker::output_partition;
use crate::Failure;
use crate::floors::Floors;
use crate::journal::{Entry, Journal, Record};
use crate::verdict::{Fault, Faults};

/// Partition and offset.
type Place = (i32, i64);

/// A transaction, by the worker and its number.
type Name<'a> = (&'a str, u64);

/// What its worker said of a transaction, and what was read of it.
#[derive(Debug, Default)]
struct Transaction<'a> {
    journal: &'a str,
    count: u64,
    /// When its producer had got the transactional id.
    ready_ns: u64,
    asked_ns: Option<u64>,
    committed: Option<bool>,
    placed: Vec<(u64, Place)>,
    /// The positions that are read committed.
    shown: BTreeSet<u64>,
    /// Its producer had lost the id before the commit was asked for.
    is_superseded: bool,
}

impl Transaction<'_> {
    /// Whether nothing of it may be read committed.
    fn must_not_show(&self) -> bool {
        self.asked_ns.is_none() || self.committed == Some(false) || self.is_superseded
    }

    fn told(&self) -> &'static str {
        match (self.asked_ns, self.committed, self.is_superseded) {
            (_, _, true) => "whose producer had been replaced",
            (None, _, _) => "whose commit was not asked for",
            (_, Some(false), _) => "which aborted",
            (_, Some(true), _) => "which committed",
            (_, None, _) => "whose outcome is unknown",
        }
    }
}

/// Everything that is judged.
#[derive(Debug, Default)]
struct Verdict<'a> {
    run: &'a str,
    /// With the offset of those that were acked with one.
    sent: HashMap<Record, Option<i64>>,
    acked: u64,
    transactions: HashMap<Name<'a>, Transaction<'a>>,
    /// By transactional id, when it was asked for and when it was given.
    owners: HashMap<&'a str, Vec<(u64, u64)>>,
    fenced: BTreeSet<&'a str>,
    hung: u64,
    done: Vec<(&'a str, &'a str)>,
    input: BTreeMap<Place, &'a str>,
    output: BTreeMap<Place, &'a str>,
    /// With what aborted.
    written: BTreeMap<Place, &'a str>,
    seen: BTreeMap<Place, (u64, &'a str)>,
    faults: Faults,
}

/// One journal, as far as it is read.
#[derive(Debug, Default)]
struct Reading<'a> {
    journal: &'a str,
    /// Of a worker, which has the transactional id.
    slot: &'a str,
    worker: &'a str,
    ready_ns: u64,
    // By partition, what was read last.
    seen: HashMap<i32, i64>,
    glimpses: HashMap<i32, i64>,
    bounds: HashMap<i32, (i64, i64)>,
}

impl<'a> Reading<'a> {
    /// A worker's is `worker-SLOT-NUMBER-CLIENT`.
    fn of(journal: &'a str) -> Self {
        let words: Vec<&str> = journal.splitn(4, '-').collect();
        let (slot, worker) = match words[..] {
            [kind @ "worker", slot, number, _] => {
                (slot, &journal[kind.len() + 1..][..slot.len() + 1 + number.len()])
            }
            _ => ("", ""),
        };
        Self { journal, slot, worker, ..Self::default() }
    }
}

/// Judges the journals of a directory and prints the verdict; whether it is clean.
pub(super) fn judge_directory(directory: &Path) -> Result<bool, Failure> {
    let journals = Journal::read_all(directory)?;
    let mut verdict = Verdict::default();
    for journal in &journals {
        verdict.gather(journal)?;
    }
    if verdict.run.is_empty() {
        return Err(format!("no journal of a producer in {}", directory.display()).into());
    }
    verdict.find_superseded();
    verdict.judge_input();
    verdict.judge_written();
    verdict.judge_output();
    verdict.judge_transactions();
    verdict.judge_reader();
    verdict.judge_flow();
    let floors = Floors::sweep(&journals, &mut verdict.faults)?;
    verdict.judge_offsets(&floors);
    println!("{verdict}");
    Ok(verdict.faults.is_empty())
}

impl<'a> Verdict<'a> {
    fn gather(&mut self, journal: &'a Journal) -> Result<(), String> {
        let mut reading = Reading::of(&journal.name);
        for entry in journal.entries() {
            match entry? {
                Entry::Run(id) => self.run = id,
                Entry::Acked { record, offset } => {
                    self.acked += 1;
                    self.sent.insert(record, Some(offset).filter(|offset| *offset >= 0));
                }
                // Perhaps in the log: what stands there will tell.
                Entry::Unknown { record, .. } => {
                    self.sent.insert(record, None);
                }
                Entry::Error(text) => {
                    self.faults.add(Fault::Error, || format!("{}: {text}", journal.name));
                }
                Entry::Eos(line) => self.take(line, &mut reading)?,
                _ => {}
            }
        }
        if journal.name == "conductor" {
            self.judge_end(&reading);
        }
        Ok(())
    }

    fn take(&mut self, line: Line<'a>, reading: &mut Reading<'a>) -> Result<(), String> {
        let Reading { journal, slot, worker, ready_ns, .. } = *reading;
        let mut rises = |last: Option<i64>, offset, fault| {
            if let Some(last) = last.filter(|last| offset < *last) {
                self.faults.add(fault, || format!("{journal}: {last} before {line}"));
            }
        };
        match line {
            Line::Ready { began_ns, ended_ns } => {
                reading.ready_ns = ended_ns;
                self.owners.entry(slot).or_default().push((began_ns, ended_ns));
            }
            Line::Begun { transaction, count } => {
                let begun = Transaction { journal, count, ready_ns, ..Transaction::default() };
                self.transactions.insert((worker, transaction), begun);
            }
            Line::Placed { transaction, position, partition, offset } => {
                self.begun(worker, transaction)?.placed.push((position, (partition, offset)));
            }
            Line::Asked { at_ns, transaction } => {
                self.begun(worker, transaction)?.asked_ns = Some(at_ns);
            }
            Line::Done { transaction } => self.begun(worker, transaction)?.committed = Some(true),
            Line::Aborted { transaction } => {
                self.begun(worker, transaction)?.committed = Some(false);
            }
            Line::Fenced { .. } => {
                self.fenced.insert(journal);
            }
            Line::Hung { .. } => self.hung += 1,
            Line::Seen { at_ns, partition, offset, value } => {
                rises(reading.seen.insert(partition, offset + 1), offset, Fault::Reordered);
                self.seen.insert((partition, offset), (at_ns, value));
            }
            Line::Glimpse { partition, offset } => {
                rises(reading.glimpses.insert(partition, offset), offset, Fault::GoneBack);
            }
            Line::Bounds { partition, last_stable_offset: stable, high_watermark: high } => {
                let last = reading.bounds.insert(partition, (stable, high));
                rises(last.map(|last| last.0), stable, Fault::Bounds);
                rises(last.map(|last| last.1), high, Fault::Bounds);
                rises(Some(stable), high, Fault::Bounds);
            }
            Line::Open { .. } => self.faults.add(Fault::Hanging, || line.to_string()),
            Line::Input { partition, offset, value } => {
                self.input.insert((partition, offset), value);
            }
            Line::Output { partition, offset, value } => {
                self.output.insert((partition, offset), value);
            }
            Line::Written { partition, offset, value } => {
                self.written.insert((partition, offset), value);
            }
            Line::Fault { kind, victim } => self.done.push((kind, victim)),
        }
        Ok(())
    }

    fn judge_end(&mut self, reading: &Reading<'_>) {
        if reading.bounds.is_empty() {
            self.faults.add(Fault::Error, || "conductor: the end was not read".into());
        }
        for (partition, (stable, high)) in reading.bounds.iter().filter(|(_, at)| at.0 != at.1) {
            self.faults.add(Fault::Hanging, || {
                format!("partition {partition} is stable to {stable} of {high} in the end")
            });
        }
    }

    fn begun(&mut self, worker: &'a str, number: u64) -> Result<&mut Transaction<'a>, String> {
        let transaction = self.transactions.get_mut(&(worker, number));
        transaction.ok_or_else(|| format!("{worker}: transaction {number} was not begun"))
    }

    fn find_superseded(&mut self) {
        for ((worker, _), transaction) in &mut self.transactions {
            let slot = worker.split('-').next().unwrap_or_default();
            let owners = self.owners.get(slot).map(Vec::as_slice).unwrap_or_default();
            transaction.is_superseded = owners.iter().any(|(began_ns, ended_ns)| {
                *began_ns > transaction.ready_ns
                    && transaction.asked_ns.is_some_and(|asked_ns| *ended_ns < asked_ns)
            });
        }
    }

    /// What was acked stands where it was, and once; nothing else does.
    fn judge_input(&mut self) {
        let mut places = HashMap::new();
        for (place, value) in &self.input {
            let record = Record::of_value(value, self.run).filter(|at| at.partition == place.0);
            let Some(record) = record.filter(|record| self.sent.contains_key(record)) else {
                self.faults.add(Fault::Phantom, || format!("input {place:?}: {value}"));
                continue;
            };
            if let Some(first) = places.insert(record, *place) {
                let example = || format!("input {record} is at {first:?} and {place:?}");
                self.faults.add(Fault::Duplicated, example);
            }
        }
        for (record, offset) in &self.sent {
            let Some(offset) = offset else { continue };
            match places.get(record) {
                Some((_, at)) if at == offset => {}
                at => {
                    let fault = if at.is_some() { Fault::WrongOffset } else { Fault::Lost };
                    self.faults.add(fault, || {
                        format!("input {record} was acked at {offset}, stands at {at:?}")
                    });
                }
            }
        }
    }

    /// What was placed stands there, also when its transaction aborted.
    fn judge_written(&mut self) {
        for ((worker, number), transaction) in &self.transactions {
            for (position, place) in &transaction.placed {
                let product = self.written.get(place).and_then(|value| Product::of_value(value));
                let is_it = product.is_some_and(|product| {
                    (product.worker, product.transaction, product.position)
                        == (*worker, *number, *position)
                });
                if !is_it {
                    let fault = if product.is_some() { Fault::WrongOffset } else { Fault::Lost };
                    self.faults.add(fault, || {
                        let by = transaction.journal;
                        format!("{by}: record {position} of transaction {number}: acked at {place:?}, {product:?} stands there")
                    });
                }
            }
        }
        for (place, value) in &self.output {
            if self.written.get(place) != Some(value) {
                self.faults.add(Fault::Phantom, || {
                    format!("output {place:?}: {value} is only there read committed")
                });
            }
        }
    }

    /// Every record of the input, once and in order.
    fn judge_output(&mut self) {
        let mut first: HashMap<&str, (Place, &str, u64)> = HashMap::new();
        let mut last: HashMap<(i32, i32), u64> = HashMap::new();
        let partitions = self.input.keys().map(|place| place.0 + 1).max().unwrap_or(1);
        let inputs: BTreeSet<&str> = self.input.values().copied().collect();
        for (&place, value) in &self.output {
            let product = Product::of_value(value).filter(|product| {
                inputs.contains(product.input)
                    && place.0 == output_partition(product.input, partitions)
            });
            let product = product.and_then(|product| {
                let name = (product.worker, product.transaction);
                Some((product, self.transactions.get_mut(&name)?))
            });
            let Some((product, transaction)) = product else {
                self.faults.add(Fault::Phantom, || format!("output {place:?}: {value}"));
                continue;
            };
            transaction.shown.insert(product.position);
            let by = (place, transaction.journal, product.transaction);
            if let Some(before) = first.insert(product.input, by) {
                self.faults.add(Fault::Duplicated, || {
                    format!("{} is in the output by {before:?} and by {by:?}", product.input)
                });
            }
            if let Some(record) = Record::of_value(product.input, self.run) {
                let before = last.insert((record.partition, place.0), record.sequence);
                if before.is_some_and(|before| before >= record.sequence) {
                    self.faults.add(Fault::Reordered, || {
                        format!("output {place:?}: {record} by {} stands after {before:?}", by.1)
                    });
                }
            }
        }
        for input in inputs.into_iter().filter(|input| !first.contains_key(input)) {
            let tried = self.written.values().filter_map(|value| Product::of_value(value));
            let tried = tried.filter(|product| product.input == input);
            self.faults.add(Fault::Lost, || {
                let names = tried.map(|product| (product.worker, product.transaction));
                format!("{input} is not in the output; tried by {:?}", names.collect::<Vec<_>>())
            });
        }
    }

    /// All or nothing, as was told.
    fn judge_transactions(&mut self) {
        for ((_, number), transaction) in &self.transactions {
            let (shown, count) = (transaction.shown.len() as u64, transaction.count);
            let fault = match transaction.committed {
                Some(true) if transaction.is_superseded => Fault::Zombie,
                _ if shown > 0 && transaction.must_not_show() => Fault::AbortedRead,
                Some(true) if shown == 0 => Fault::LostTransaction,
                _ if shown > 0 && shown < count => Fault::Torn,
                _ => continue,
            };
            self.faults.add(fault, || {
                let (by, told) = (transaction.journal, transaction.told());
                format!("{by}: {shown} of {count} of transaction {number}, {told}, are committed")
            });
        }
    }

    /// What was read all the time is what is there in the end, and was not read too early.
    fn judge_reader(&mut self) {
        for (place, (at_ns, value)) in &self.seen {
            let product = Product::of_value(value);
            let name = product.map(|product| (product.worker, product.transaction));
            let transaction = name.and_then(|name| self.transactions.get(&name));
            let asked_ns = transaction.and_then(|transaction| transaction.asked_ns);
            if asked_ns.is_none_or(|asked_ns| *at_ns < asked_ns) {
                self.faults.add(Fault::AbortedRead, || {
                    let by = transaction.map(|transaction| transaction.journal);
                    format!("reader: {place:?}: {value} of {by:?} before its commit was asked for")
                });
            } else if self.output.get(place) != Some(value) {
                self.faults.add(Fault::Disappeared, || format!("reader: {place:?}: {value}"));
            }
        }
        for (place, value) in &self.output {
            if !self.seen.contains_key(place) {
                self.faults.add(Fault::Unseen, || format!("reader: {place:?}: {value}"));
            }
        }
    }

    /// A transaction comes before the one that read on behind it. Such an order has no circles.
    fn judge_flow(&mut self) {
        let mut readers: HashMap<i32, BTreeMap<u64, Name<'a>>> = HashMap::new();
        for product in self.output.values().filter_map(|value| Product::of_value(value)) {
            if let Some(record) = Record::of_value(product.input, self.run) {
                let name = (product.worker, product.transaction);
                readers.entry(record.partition).or_default().insert(record.sequence, name);
            }
        }
        let mut after: BTreeMap<Name<'_>, BTreeSet<Name<'_>>> = BTreeMap::new();
        let mut before: BTreeMap<Name<'_>, usize> = BTreeMap::new();
        for names in readers.values() {
            for (one, next) in names.values().zip(names.values().skip(1)) {
                before.entry(*one).or_default();
                if one != next && after.entry(*one).or_default().insert(*next) {
                    *before.entry(*next).or_default() += 1;
                }
            }
        }
        let is_first = |(_, count): &(&Name<'_>, &usize)| **count == 0;
        let mut free: Vec<Name<'_>> =
            before.iter().filter(is_first).map(|(name, _)| *name).collect();
        while let Some(name) = free.pop() {
            before.remove(&name);
            for next in after.remove(&name).unwrap_or_default() {
                if let Some(count) = before.get_mut(&next) {
                    *count -= 1;
                    if *count == 0 {
                        free.push(next);
                    }
                }
            }
        }
        if !before.is_empty() {
            self.faults.add(Fault::Circular, || {
                let names: Vec<&Name<'_>> = before.keys().take(5).collect();
                format!("{} transactions are in or behind a circle, {names:?}", before.len())
            });
        }
    }

    fn judge_offsets(&mut self, floors: &Floors) {
        let mut ends = BTreeMap::new();
        for (partition, offset) in self.input.keys() {
            ends.insert(*partition, offset + 1);
        }
        for (partition, end) in ends {
            let committed = floors.at_end(partition);
            if committed != end {
                self.faults.add(Fault::Unfinished, || {
                    format!("partition {partition}: {committed} committed, the input ends at {end}")
                });
            }
        }
    }
}

impl Display for Verdict<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.faults.write_examples(f)?;
        let count = |what: fn(&Transaction<'_>) -> bool| {
            self.transactions.values().filter(|transaction| what(transaction)).count()
        };
        let (begun, committed) = (self.transactions.len(), count(|it| it.committed == Some(true)));
        let unknown = count(|it| it.asked_ns.is_some() && it.committed.is_none());
        let came = count(|it| it.committed.is_none() && !it.shown.is_empty());
        let aborted = self.written.len() - self.output.len().min(self.written.len());
        writeln!(
            f,
            "eos: {begun} transactions begun, {committed} committed, {unknown} unknown ({came} of them did), {aborted} aborted records in the output, {} fenced, {} hung",
            self.fenced.len(),
            self.hung
        )?;
        let done = |kind: &str| self.done.iter().filter(|done| done.0 == kind).count();
        let zombies =
            self.done.iter().filter(|(kind, name)| *kind == "zombie" && self.fenced.contains(name));
        write!(
            f,
            "eos: {} inputs, {committed} transactions, {} kills, {} pauses, {} zombies, {}",
            self.acked,
            done("kill"),
            done("pause"),
            zombies.count(),
            self.faults
        )
    }
}
