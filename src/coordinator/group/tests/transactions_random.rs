//! Random commits, with transactions and without, against what the log says: of an offset counts
//! the record that stands last among those that are decided, behind its last tombstone.

use std::collections::BTreeMap;

use super::*;
use crate::wire::messages::offset_commit::OffsetCommitRequest;
use crate::wire::messages::txn_offset_commit::TxnOffsetCommitRequest;

const SEEDS: u64 = 60;
const STEPS: usize = 100;
const PARTITIONS: i32 = 4;
/// Always has an offset, so that the group stays.
const ANCHOR: i32 = 99;

/// Per partition: the offset that counts, and whether a transaction is to decide on it.
type Expected = BTreeMap<i32, (Option<i64>, bool)>;

struct Run {
    random: fastrand::Rng,
    bench: Bench,
    commits: i64,
}

impl Run {
    fn new(seed: u64) -> Self {
        let settings = GroupConfig {
            offsets_retention_ms: 5_000,
            offsets_retention_check_interval_ms: 700,
            ..settings()
        };
        let mut run = Self {
            random: fastrand::Rng::with_seed(seed),
            bench: Bench::with(settings),
            commits: 0,
        };
        run.anchor();
        run
    }

    fn anchor(&mut self) {
        // Without a record of its own it would be as old as the oldest offset that is left.
        let record = created(self.bench.now_ms - NOW_MS);
        self.bench.append(GroupMachine::encode(&record), false, None);
        self.bench.note(&record);
        let request = OffsetCommitRequest {
            retention_time_ms: 1 << 40,
            ..commit_request("", -1, vec![commit_partition(ANCHOR, 0)])
        };
        self.bench.call(Command::Commit(request, 2));
    }

    fn partition(&mut self) -> i32 {
        self.random.i32(0..PARTITIONS)
    }

    fn step(&mut self) {
        let producer_id = self.random.i64(0..4);
        self.commits += 1;
        match self.random.u8(0..20) {
            0..4 => {
                let partition = self.partition();
                let partitions = vec![commit_partition(partition, self.commits)];
                self.bench.call(Command::Commit(commit_request("", -1, partitions), 9));
            }
            4..10 => {
                let offsets: Vec<_> = (0..self.random.usize(1..3))
                    .map(|_| (self.partition(), self.commits))
                    .collect();
                let request = transactional_request("", -1, &offsets);
                let request = TxnOffsetCommitRequest { producer_id, ..request };
                self.bench.call(Command::TransactionalCommit(request, None));
            }
            10..14 => drop(self.bench.call(ends(producer_id, self.random.bool()))),
            14 => {
                let partition = self.partition();
                self.bench.call(deletes("orders", &[partition]));
            }
            15 => match self.random.u8(0..4) {
                0 => {
                    self.bench.call(Command::Delete(vec![GROUP.into()]));
                    self.anchor();
                }
                1 => {
                    self.bench.call(Command::ForgetTopics(vec!["orders".into()]));
                    self.anchor();
                }
                _ => {}
            },
            16 => self.bench.restart(),
            17 => self.bench.restart_compacted(),
            _ => self.wait(),
        }
    }

    /// What is removed meanwhile had its time, and no transaction is to decide on it.
    fn wait(&mut self) {
        let before = self.expected();
        let to_ms = self.bench.now_ms - NOW_MS + self.random.i64(0..4_000);
        for record in self.bench.pass_to(to_ms).records {
            let Record::Offset(key, None) = record else { panic!("the group stays: {record:?}") };
            assert!(matches!(before[&key.partition], (Some(_), false)), "{key:?} in {before:?}");
        }
    }

    /// What the log says.
    fn expected(&self) -> Expected {
        let mut expected = Expected::new();
        for ((raw, control, at), outcome) in self.bench.log.iter().zip(self.bench.outcomes()) {
            let record = GroupMachine::decode(raw.clone(), *control).unwrap();
            let Some(Record::Offset(key, value)) = record else { continue };
            let entry = expected.entry(key.partition).or_default();
            match (value, outcome) {
                (None, _) => *entry = (None, false),
                (Some(_), None) if at.producer_id.is_some() => entry.1 = true,
                (Some(_), Some(false)) => {}
                (Some(value), _) => entry.0 = Some(value.offset),
            }
        }
        expected
    }

    fn check(&mut self) {
        let expected = self.expected();
        let partitions: Vec<i32> = expected.keys().copied().collect();
        for stable in [true, false] {
            let offset = |(partition, (offset, is_open)): (&i32, &(Option<i64>, bool))| {
                let told = offset.unwrap_or(-1);
                match stable && *is_open {
                    true => (*partition, -1, ErrorCode::UnstableOffsetCommit),
                    false => (*partition, told, ErrorCode::None),
                }
            };
            let offsets: Vec<_> = expected.iter().map(offset).collect();
            let step = self.bench.call(fetches(Some(&partitions), stable));
            assert_eq!(step, answered(fetched(&offsets)));
        }
    }
}

#[test]
fn what_the_log_says_of_an_offset_is_told_after_every_step() {
    for seed in 0..SEEDS {
        let mut run = Run::new(seed);
        println!("seed {seed}");
        for _ in 0..STEPS {
            run.step();
            run.check();
        }
    }
}
