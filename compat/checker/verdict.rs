//! The verdict on a run, from its journals alone.

use std::collections::{BTreeMap, HashMap};
use std::fmt::{self, Display};
use std::path::Path;

use crate::Failure;
use crate::floors::{Assignment, Floors};
use crate::journal::{Entry, Journal, Record};

/// How many of each fault are told.
const EXAMPLES_MAX: usize = 5;

/// What can be wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Fault {
    /// Acked and never delivered, while a later offset of the partition was.
    Lost,
    /// Acked and never delivered, and nothing behind it either.
    Unseen,
    /// One record at two offsets, or redelivered although its offset was committed before the assignment began.
    Duplicated,
    /// Within one assignment of a partition, offsets or sequences go back or offsets skip.
    Reordered,
    /// A record below the committed offset that the member was assigned with, or of a partition it does not have.
    Stale,
    /// A value that was never sent, or was sent and refused.
    Phantom,
    /// Acked at one offset and delivered at another, or two records delivered at one offset.
    WrongOffset,
    /// A committed offset lower than a commit confirmed before.
    GoneBack,
    /// Acked, and not committed when the run ended.
    Unfinished,
    /// A client gave up: a record without an ack, a member that ended by itself.
    Error,
    /// A record of a transaction that did not commit, or had not yet been asked to, was read as a committed one (G1a).
    AbortedRead,
    /// Some records of a transaction are committed and others are not.
    Torn,
    /// A commit was confirmed, and nothing of the transaction is committed.
    LostTransaction,
    /// A producer whose transactional id had a new owner was told that it committed.
    Zombie,
    /// Committed transactions each of which read what the other one left (G1c).
    Circular,
    /// Read as committed, and not there in the end.
    Disappeared,
    /// In the end a transaction is still open, or what is behind one is not to be read.
    Hanging,
    /// The last stable offset or the high watermark went back, or the former was above the latter.
    Bounds,
}

impl Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Lost => "lost",
            Self::Unseen => "unseen",
            Self::Duplicated => "duplicated",
            Self::Reordered => "reordered",
            Self::Stale => "stale",
            Self::Phantom => "phantom",
            Self::WrongOffset => "wrong offset",
            Self::GoneBack => "group offset gone back",
            Self::Unfinished => "unfinished",
            Self::Error => "errors",
            Self::AbortedRead => "aborted read",
            Self::Torn => "torn transaction",
            Self::LostTransaction => "lost transaction",
            Self::Zombie => "zombie",
            Self::Circular => "circular flow",
            Self::Disappeared => "disappeared",
            Self::Hanging => "hanging",
            Self::Bounds => "bounds",
        })
    }
}

/// Faults found so far: how many of each, and the first examples.
#[derive(Debug, Default)]
pub(crate) struct Faults(BTreeMap<Fault, (u64, Vec<String>)>);

impl Faults {
    pub(crate) fn add(&mut self, fault: Fault, example: impl FnOnce() -> String) {
        let (count, examples) = self.0.entry(fault).or_default();
        *count += 1;
        if examples.len() < EXAMPLES_MAX {
            examples.push(example());
        }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The first examples of each, a line each.
    pub(crate) fn write_examples(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (fault, (count, examples)) in &self.0 {
            for example in examples {
                writeln!(f, "{fault}: {example}")?;
            }
            if *count > examples.len() as u64 {
                writeln!(f, "{fault}: ... {count} in all")?;
            }
        }
        Ok(())
    }
}

/// The end of a closing line: how many there are, and of which kinds.
impl Display for Faults {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let total: u64 = self.0.values().map(|(count, _)| count).sum();
        write!(f, "{total} faults: ")?;
        let mut counts = self.0.iter().map(|(fault, (count, _))| format!("{fault} {count}"));
        match counts.next() {
            None => f.write_str("clean"),
            Some(first) => counts
                .fold(write!(f, "{first}"), |done, next| done.and_then(|()| write!(f, ", {next}"))),
        }
    }
}

/// What became of a record when it was sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Outcome {
    /// The offset is absent where the broker no longer knew it.
    Acked(Option<i64>),
    Refused,
    Unknown,
}

/// A partition: what was sent and what was delivered, by sequence.
#[derive(Debug, Default)]
struct Partition {
    outcomes: HashMap<u64, Outcome>,
    places: HashMap<u64, Place>,
    sequences: HashMap<i64, u64>,
    last_delivered: i64,
}

/// Where a record was delivered.
#[derive(Clone, Copy, Debug)]
struct Place {
    first: i64,
    /// Whether it was delivered where it was acked.
    as_acked: bool,
}

/// A partition as one member has it, during one assignment.
#[derive(Debug)]
struct Owned {
    /// What was committed for certain before the assignment began.
    floor: i64,
    /// What the member read back before its first delivery.
    committed: Option<i64>,
    /// Offset and, if it was one of ours, sequence of the last delivery.
    last: Option<(i64, Option<u64>)>,
}

/// Everything that is judged.
#[derive(Debug, Default)]
struct Verdict {
    acked: u64,
    deliveries: u64,
    redelivered: u64,
    partitions: BTreeMap<i32, Partition>,
    run: String,
    faults: Faults,
}

/// Judges the journals of a directory and prints the verdict; whether it is clean.
pub(crate) fn judge_directory(directory: &Path) -> Result<bool, Failure> {
    let journals = Journal::read_all(directory)?;
    if journals.is_empty() {
        return Err(format!("no journals in {}", directory.display()).into());
    }
    let mut verdict = Verdict::default();
    for journal in &journals {
        verdict.gather_outcomes(journal)?;
    }
    if verdict.run.is_empty() {
        return Err(format!("no journal of a producer in {}", directory.display()).into());
    }
    let floors = Floors::sweep(&journals, &mut verdict.faults)?;
    for (number, journal) in journals.iter().enumerate() {
        verdict.follow(number, journal, &floors)?;
    }
    verdict.look_for_missing(&floors);
    println!("{verdict}");
    Ok(verdict.faults.is_empty())
}

impl Verdict {
    fn gather_outcomes(&mut self, journal: &Journal) -> Result<(), String> {
        for entry in journal.entries() {
            let (record, outcome) = match entry? {
                Entry::Run(id) => {
                    id.clone_into(&mut self.run);
                    continue;
                }
                Entry::Acked { record, offset } => {
                    self.acked += 1;
                    (record, Outcome::Acked(Some(offset).filter(|offset| *offset >= 0)))
                }
                Entry::Refused { record, reason } => {
                    (self.failed(record, reason), Outcome::Refused)
                }
                Entry::Unknown { record, reason } => {
                    (self.failed(record, reason), Outcome::Unknown)
                }
                Entry::Error(text) => {
                    self.faults.add(Fault::Error, || format!("{}: {text}", journal.name));
                    continue;
                }
                _ => continue,
            };
            let partition = self.partitions.entry(record.partition).or_default();
            partition.outcomes.insert(record.sequence, outcome);
        }
        Ok(())
    }

    fn failed(&mut self, record: Record, reason: &str) -> Record {
        self.faults.add(Fault::Error, || format!("record {record} was not acked: {reason}"));
        record
    }

    /// Goes through one member's journal.
    fn follow(&mut self, number: usize, journal: &Journal, floors: &Floors) -> Result<(), String> {
        let mut assignment: Assignment = (number, 0);
        let mut owned: HashMap<i32, Owned> = HashMap::new();
        for entry in journal.entries() {
            match entry? {
                Entry::Assigned { partitions, .. } => {
                    assignment.1 += 1;
                    for partition in partitions {
                        let floor = floors.at_assignment(assignment, partition);
                        owned.insert(partition, Owned { floor, committed: None, last: None });
                    }
                }
                Entry::Revoked { partitions, .. } => {
                    owned.retain(|partition, _| !partitions.contains(partition));
                }
                Entry::Read { offsets, .. } => {
                    for (partition, offset) in offsets {
                        if let Some(owned) = owned.get_mut(&partition)
                            && owned.last.is_none()
                        {
                            owned.committed = Some(offset);
                        }
                    }
                }
                Entry::Delivered { partition, offset, value } => {
                    self.deliveries += 1;
                    let record = self.identify(partition, offset, value, &journal.name);
                    let at =
                        format_args!("{}: partition {partition} offset {offset}", journal.name);
                    match owned.get_mut(&partition) {
                        Some(owned) => {
                            check_order(owned, offset, record, at, &mut self.faults);
                        }
                        None => self.faults.add(Fault::Stale, || format!("{at} is not assigned")),
                    }
                    if let Some(record) = record {
                        self.place(record, offset);
                    }
                }
                _ => {}
            }
        }
        Ok(())
    }

    /// The record that was delivered, if it was sent to this partition.
    fn identify(&mut self, partition: i32, offset: i64, value: &str, by: &str) -> Option<Record> {
        let state = self.partitions.entry(partition).or_default();
        state.last_delivered = state.last_delivered.max(offset);
        let record = Record::of_value(value, &self.run).filter(|it| it.partition == partition);
        let sent = record.filter(|record| state.outcomes.contains_key(&record.sequence));
        let refused = |record: Record| state.outcomes[&record.sequence] == Outcome::Refused;
        match sent {
            None => self.faults.add(Fault::Phantom, || {
                format!("{by}: partition {partition} offset {offset}: {value} was never sent there")
            }),
            Some(record) if refused(record) => self.faults.add(Fault::Phantom, || {
                format!("{by}: partition {partition} offset {offset}: {value} had been refused")
            }),
            Some(_) => {}
        }
        sent
    }

    fn place(&mut self, record: Record, offset: i64) {
        let Some(state) = self.partitions.get_mut(&record.partition) else { return };
        let acked = match state.outcomes.get(&record.sequence) {
            Some(Outcome::Acked(at)) => *at,
            _ => None,
        };
        let as_acked = acked.is_none_or(|acked| acked == offset);
        match state.places.get_mut(&record.sequence) {
            None => {
                state.places.insert(record.sequence, Place { first: offset, as_acked });
            }
            Some(place) if place.first == offset => self.redelivered += 1,
            Some(place) => {
                place.as_acked |= as_acked;
                let first = place.first;
                self.faults.add(Fault::Duplicated, || {
                    format!("record {record} is at offsets {first} and {offset}")
                });
            }
        }
        let other = *state.sequences.entry(offset).or_insert(record.sequence);
        if other != record.sequence {
            self.faults.add(Fault::WrongOffset, || {
                let other = Record { sequence: other, ..record };
                format!("records {other} and {record} are both at offset {offset}")
            });
        }
    }

    fn look_for_missing(&mut self, floors: &Floors) {
        for (&partition, state) in &self.partitions {
            let mut acked: Vec<(u64, i64)> = state
                .outcomes
                .iter()
                .filter_map(|(sequence, outcome)| match outcome {
                    Outcome::Acked(offset) => Some((*sequence, offset.unwrap_or(-1))),
                    _ => None,
                })
                .collect();
            acked.sort_unstable();
            for &(sequence, offset) in &acked {
                let record = Record { partition, sequence };
                match state.places.get(&sequence) {
                    Some(place) if place.as_acked => {}
                    Some(place) => self.faults.add(Fault::WrongOffset, || {
                        format!(
                            "record {record} was acked at {offset}, delivered at {}",
                            place.first
                        )
                    }),
                    None if offset < state.last_delivered => self.faults.add(Fault::Lost, || {
                        let later = state.last_delivered;
                        format!("record {record}, acked at {offset}; offset {later} was delivered")
                    }),
                    None => self
                        .faults
                        .add(Fault::Unseen, || format!("record {record}, acked at {offset}")),
                }
            }
            let end = acked.iter().map(|(_, offset)| offset + 1).max().unwrap_or(0);
            let committed = floors.at_end(partition);
            if committed < end {
                self.faults.add(Fault::Unfinished, || {
                    format!("partition {partition}: {committed} committed of {end}")
                });
            }
        }
    }
}

/// One delivery among those of its assignment.
fn check_order(
    owned: &mut Owned,
    offset: i64,
    record: Option<Record>,
    at: fmt::Arguments<'_>,
    faults: &mut Faults,
) {
    let sequence = record.map(|record| record.sequence);
    if offset < owned.floor {
        let floor = owned.floor;
        let example = || format!("{at} came again, {floor} was committed before the assignment");
        faults.add(Fault::Duplicated, example);
    }
    if let Some(committed) = owned.committed.filter(|committed| offset < *committed) {
        let example = || format!("{at} came, {committed} was committed at the assignment");
        faults.add(Fault::Stale, example);
    }
    match owned.last {
        Some((last, _)) if offset != last + 1 => {
            faults.add(Fault::Reordered, || format!("{at} came after offset {last}"));
        }
        Some((last, Some(before))) if sequence.is_some_and(|sequence| sequence <= before) => {
            faults.add(Fault::Reordered, || {
                format!("{at} has sequence {sequence:?}, offset {last} has {before}")
            });
        }
        Some(_) => {}
        // Nothing committed: the topic's beginning, which is 0.
        None => {
            if let Some(begin) = owned.committed.map(|committed| committed.max(0))
                && offset > begin
            {
                faults.add(Fault::Reordered, || format!("{at} came first, not offset {begin}"));
            }
        }
    }
    owned.last = Some((offset, sequence));
}

impl Display for Record {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.partition, self.sequence)
    }
}

impl Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.faults.write_examples(f)?;
        write!(
            f,
            "checker: {} records, {} deliveries, {} redelivered, {}",
            self.acked, self.deliveries, self.redelivered, self.faults
        )
    }
}
