//! After every step of a random run: what the log replays to is the live state.

use super::*;
use crate::log::Replay;
use crate::partition::producers::Producers;

const STEPS: usize = 120;
const SEEDS: u64 = 60;

fn fresh() -> Producers {
    Producers::new(NOW_MS, 86_400_000)
}

/// Replays `bytes`, all a log holds from some snapshot on.
fn replay(producers: &mut Producers, bytes: &[u8]) {
    for batch in Batches::new(bytes) {
        let (header, batch) = batch.unwrap();
        producers.batch(&header, header.is_control().then_some(batch));
    }
}

async fn log_from(bench: &Bench, from: i64) -> Vec<u8> {
    let read = bench.partition.read(from, usize::MAX, Isolation::LogEnd).await.unwrap();
    read.chunk.into_bytes().unwrap().to_vec()
}

struct Run {
    random: fastrand::Rng,
    bench: Bench,
    /// A snapshot of an earlier step.
    snapshot: (i64, Vec<u8>),
}

impl Run {
    async fn new(seed: u64) -> Self {
        let commits = [Commit::Done, Commit::Pending][(seed % 2) as usize];
        let config = TopicConfig { segment_bytes: 2_000, ..TopicConfig::default() };
        Self {
            random: fastrand::Rng::with_seed(seed),
            bench: Bench::with(commits, config).await,
            snapshot: (0, fresh().snapshot()),
        }
    }

    /// Mostly what follows for some producer, else anything.
    fn batch(&mut self) -> Vec<u8> {
        let producer_id = self.random.i64(0..4);
        let next = self.bench.partition.lock().next_of(producer_id);
        let (mut epoch, mut sequence, transactional) = next;
        match self.random.u8(0..10) {
            0 => sequence = self.random.i32(0..8),
            1 => (epoch, sequence) = (epoch + 1, 0),
            2 => epoch = self.random.i16(0..3),
            _ => {}
        }
        let count = self.random.i32(1..4);
        if transactional {
            return transactional_at(0, (producer_id, epoch), sequence, count);
        }
        sequenced(producer_id, epoch, sequence, count)
    }

    async fn step(&mut self) {
        match self.random.u8(0..20) {
            0 => self.bench.crash().await,
            1 => self.bench.restart().await,
            2..4 => self.bench.flush().await,
            4 => drop(self.bench.append(&plain(2))),
            5..8 => {
                let (producer_id, epoch) = (self.random.i64(0..4), self.random.i16(0..3));
                self.bench.append_internal(|base_offset| {
                    transactional_at(base_offset, (producer_id, epoch), 0, 2)
                });
            }
            8..11 => {
                let (producer_id, epoch) = (self.random.i64(0..4), self.random.i16(0..3));
                let commit = self.random.bool();
                self.bench.mark(producer_id, epoch, commit);
            }
            11 => {
                let end_offset = self.bench.partition.bounds().end_offset;
                self.snapshot = (end_offset, self.bench.partition.lock().snapshot());
            }
            _ => {
                let batch = self.batch();
                let before = self.bench.partition.bounds();
                let again = self.bench.append(&batch).is_ok();
                let after = self.bench.partition.bounds();
                assert!(again || before == after, "a refused batch changes nothing");
            }
        }
    }

    async fn check(&self, seed: u64, step: usize) {
        let told = format!("seed {seed}, step {step}");
        let whole = log_from(&self.bench, 0).await;
        let mut replayed = fresh();
        replay(&mut replayed, &whole);
        self.bench.partition.lock().assert_newest_equal(&replayed, &told);

        let (from, snapshot) = &self.snapshot;
        let mut restored = fresh();
        assert!(Replay::snapshot(&mut restored, *from, snapshot), "{told}");
        replay(&mut restored, &log_from(&self.bench, *from).await);
        restored.assert_newest_equal(&replayed, &told);

        let bounds = self.bench.partition.bounds();
        let mut committed = fresh();
        let batches = Batches::new(&whole).map(|batch| batch.unwrap());
        for (header, batch) in
            batches.filter(|(header, _)| header.last_offset() < bounds.high_watermark)
        {
            committed.batch(&header, header.is_control().then_some(batch));
        }
        let first_open = committed.first_open_transaction().unwrap_or(i64::MAX);
        let expected = first_open.min(bounds.high_watermark);
        assert_eq!(bounds.last_stable_offset, expected, "{told}");
    }
}

impl Producers {
    /// Epoch, next sequence and whether a transaction is open.
    fn next_of(&self, producer_id: i64) -> (i16, i32, bool) {
        let Some(producer) = self.by_id.get(&producer_id) else {
            return (0, 0, false);
        };
        let sequence = producer.batches.back().map_or(0, |batch| batch.last_sequence + 1);
        (producer.epoch, sequence, producer.transaction_first_offset.is_some())
    }

    /// Equal to `whole`, a replay of everything, but for batches that a snapshot leaves out.
    fn assert_newest_equal(&self, whole: &Self, told: &str) {
        assert_eq!(self.first_open_transaction(), whole.first_open_transaction(), "{told}");
        let ids = |producers: &Self| producers.by_id.keys().copied().collect::<Vec<_>>();
        assert_eq!(ids(self), ids(whole), "{told}");
        for (id, expected) in &whole.by_id {
            let mut producer = self.by_id[id].clone();
            let (kept, all) = (producer.batches.len(), expected.batches.len());
            assert!(kept <= all && (kept > 0) == (all > 0), "{told}");
            // Kafka's snapshot has one timestamp for a producer and its newest batch.
            let mut newest = expected.batches.range(all - kept..).copied().collect::<Vec<_>>();
            for (batch, expected) in producer.batches.iter_mut().zip(&mut newest) {
                batch.max_timestamp_ms = expected.max_timestamp_ms;
            }
            assert_eq!(producer.batches, newest, "{told}");
            producer.batches.clone_from(&expected.batches);
            assert_eq!(&producer, expected, "{told}");
        }
    }
}

#[tokio::test]
async fn replayed_state_is_live_state_after_every_step() {
    for seed in 0..SEEDS {
        let mut run = Run::new(seed).await;
        for step in 0..STEPS {
            run.step().await;
            run.check(seed, step).await;
        }
    }
}
