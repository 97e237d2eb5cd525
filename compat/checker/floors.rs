//! Below what a partition's committed offset cannot lie, at any time of the run.
//!
//! One sweep over the times of all journals. What is known rises with every confirmed commit and every reading, from
//! the time their answers were read. It falls only when a commit that was sent in full knowledge of a higher one is
//! accepted: that is a fault, counted once, and then what the group has.

use std::collections::{BTreeMap, HashMap, HashSet};

use crate::journal::{Entry, Journal};
use crate::verdict::{Fault, Faults};

/// An assignment: number of the journal, epoch.
pub(crate) type Assignment = (usize, usize);

/// The result of the sweep.
#[derive(Debug, Default)]
pub(crate) struct Floors {
    at_assignment: HashMap<(Assignment, i32), i64>,
    at_end: HashMap<i32, i64>,
}

#[derive(Clone, Copy, Debug)]
enum Step {
    Assigned(Assignment),
    ReadBegan { journal: usize, value: i64 },
    CommitSent { journal: usize, commit: usize, value: i64 },
    Known { commit: Option<usize>, value: i64 },
}

impl Floors {
    pub(crate) fn sweep(journals: &[Journal], faults: &mut Faults) -> Result<Self, String> {
        let mut floors = Self::default();
        for (partition, mut steps) in steps(journals)? {
            // Equal times conclude nothing: what is asked comes before what is known.
            steps.sort_by_key(|(at_ns, step)| (*at_ns, matches!(step, Step::Known { .. })));
            floors.sweep_partition(partition, &steps, journals, faults);
        }
        Ok(floors)
    }

    fn sweep_partition(
        &mut self,
        partition: i32,
        steps: &[(u64, Step)],
        journals: &[Journal],
        faults: &mut Faults,
    ) {
        let mut floor = -1;
        let mut lowering = HashSet::new();
        // A loss is counted when it is first seen, not again by everyone who looks.
        let mut gone_back = false;
        for (_, step) in steps {
            match *step {
                Step::Assigned(assignment) => {
                    self.at_assignment.insert((assignment, partition), floor);
                }
                Step::ReadBegan { journal, value } => {
                    if value < floor && !gone_back {
                        faults.add(Fault::GoneBack, || {
                            let name = &journals[journal].name;
                            format!("partition {partition}: {name} read {value} after {floor} was committed")
                        });
                    }
                    gone_back = value < floor;
                }
                Step::CommitSent { journal, commit, value } => {
                    if value < floor {
                        lowering.insert(commit);
                        faults.add(Fault::GoneBack, || {
                            let name = &journals[journal].name;
                            format!(
                                "partition {partition}: a commit of {value} by {name} was accepted after {floor} was committed"
                            )
                        });
                    }
                }
                Step::Known { commit, value } => {
                    let lowers = commit.is_some_and(|commit| lowering.contains(&commit));
                    floor = if lowers { value } else { floor.max(value) };
                }
            }
        }
        self.at_end.insert(partition, floor);
    }

    /// What was committed for certain when the assignment began; -1 for nothing.
    pub(crate) fn at_assignment(&self, assignment: Assignment, partition: i32) -> i64 {
        self.at_assignment.get(&(assignment, partition)).copied().unwrap_or(-1)
    }

    /// What was committed at last; -1 for nothing.
    pub(crate) fn at_end(&self, partition: i32) -> i64 {
        self.at_end.get(&partition).copied().unwrap_or(-1)
    }
}

fn steps(journals: &[Journal]) -> Result<BTreeMap<i32, Vec<(u64, Step)>>, String> {
    let mut steps: BTreeMap<i32, Vec<(u64, Step)>> = BTreeMap::new();
    let mut commits = 0..;
    for (journal, lines) in journals.iter().enumerate() {
        let mut epoch = 0;
        for entry in lines.entries() {
            match entry? {
                Entry::Assigned { at_ns, partitions } => {
                    epoch += 1;
                    for partition in partitions {
                        let step = Step::Assigned((journal, epoch));
                        steps.entry(partition).or_default().push((at_ns, step));
                    }
                }
                Entry::Read { began_ns, ended_ns, offsets } => {
                    for (partition, value) in offsets {
                        let steps = steps.entry(partition).or_default();
                        steps.push((began_ns, Step::ReadBegan { journal, value }));
                        steps.push((ended_ns, Step::Known { commit: None, value }));
                    }
                }
                Entry::Committed { sent_ns, confirmed_ns, offsets } => {
                    let commit = commits.next();
                    for (partition, value) in offsets {
                        let steps = steps.entry(partition).or_default();
                        if let Some(commit) = commit.filter(|_| sent_ns > 0) {
                            steps.push((sent_ns, Step::CommitSent { journal, commit, value }));
                        }
                        steps.push((confirmed_ns, Step::Known { commit, value }));
                    }
                }
                _ => {}
            }
        }
    }
    Ok(steps)
}
