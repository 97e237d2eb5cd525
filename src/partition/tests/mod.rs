//! A partition over logs in memory, and batches to put into it.

mod aborted;
mod cleaner;
mod compact;
mod delete;
mod disks;
mod offsets;
mod produce;
mod random;
mod reads;
mod registry;
mod retention;
mod snapshots;
mod transactions;
mod verification;
mod waits;

use uuid::Uuid;

use super::*;
use crate::env::{Offload, Random, SimClock, SimDisk};
use crate::log::{Commit, MemoryEngine};
use crate::records::{BatchBuilder, BatchHeader, Batches};
use crate::wire::ErrorCode;

/// Where the clock stands at first.
const NOW_MS: i64 = 1_800_000_000_000;
const VERSION: i16 = 12;

struct Bench {
    clock: Arc<SimClock>,
    env: Env,
    engine: MemoryEngine,
    config: Arc<TopicConfig>,
    partition: Arc<Partition>,
}

impl Bench {
    async fn new() -> Self {
        Self::with(Commit::Done, TopicConfig::default()).await
    }

    async fn with(commits: Commit, config: TopicConfig) -> Self {
        let (clock, env) = env();
        let (engine, config) = (MemoryEngine::new(commits), Arc::new(config));
        let partition = open(&env, &engine, &config).await;
        Self { clock, env, engine, config, partition }
    }

    /// The process dies and starts again.
    async fn crash(&mut self) {
        self.engine = self.engine.restart();
        self.partition = open(&self.env, &self.engine, &self.config).await;
    }

    async fn restart(&mut self) {
        self.partition.close().await.unwrap();
        self.crash().await;
    }

    fn append(&self, batch: &[u8]) -> Result<Appended, ErrorCode> {
        let appended = self.partition.append(batch, VERSION, None);
        appended.map_err(|error| error.refusal().error)
    }

    /// Appends unseen by the checks, as replication or a coordinator would.
    fn append_internal(&self, build: impl FnOnce(i64) -> Vec<u8>) -> Appended {
        self.partition.append_internal(None, build).unwrap()
    }

    fn mark(&self, producer_id: i64, epoch: i16, commit: bool) -> Appended {
        self.append_internal(|base_offset| marker(base_offset, producer_id, epoch, commit))
    }

    fn last_stable_offset(&self) -> i64 {
        self.partition.bounds().last_stable_offset
    }

    async fn flush(&self) {
        self.partition.log.flush().await.unwrap();
    }

    async fn read(&self, from: i64, max_bytes: usize) -> Vec<BatchHeader> {
        let isolation = Isolation::ReadUncommitted;
        let outcome = self.partition.read(from, max_bytes, isolation).await.unwrap();
        headers(&outcome.chunk.into_bytes().unwrap())
    }
}

fn env() -> (Arc<SimClock>, Env) {
    let clock = Arc::new(SimClock::new(NOW_MS));
    let env = Env {
        clock: clock.clone(),
        random: Arc::new(Random::seeded(1)),
        disk: Arc::new(SimDisk::new(1)),
        offload: Offload::inline(),
    };
    (clock, env)
}

async fn open(env: &Env, engine: &MemoryEngine, config: &Arc<TopicConfig>) -> Arc<Partition> {
    let id = LogId { topic: "orders".into(), topic_id: Uuid::from_u128(7), partition: 0 };
    let opened = Partition::open(env, engine, id, 3, Arc::clone(config));
    opened.await.unwrap()
}

fn headers(bytes: &[u8]) -> Vec<BatchHeader> {
    let parsed = Batches::new(bytes).map(|batch| batch.unwrap());
    parsed.map(|(header, _)| header).collect()
}

/// `count` records of time `NOW_MS`.
fn filled(mut builder: BatchBuilder, count: i32) -> Vec<u8> {
    for _ in 0..count {
        builder.push(NOW_MS, None, Some(b"value"));
    }
    builder.build()
}

fn plain(count: i32) -> Vec<u8> {
    filled(BatchBuilder::new(0, -1), count)
}

/// A batch of an idempotent producer.
fn sequenced(producer_id: i64, epoch: i16, sequence: i32, count: i32) -> Vec<u8> {
    let builder = BatchBuilder::new(0, -1).producer(producer_id, epoch, sequence);
    filled(builder, count)
}

fn transactional_at(
    base_offset: i64,
    (producer_id, epoch): (i64, i16),
    sequence: i32,
    count: i32,
) -> Vec<u8> {
    let builder = BatchBuilder::new(base_offset, -1).producer(producer_id, epoch, sequence);
    filled(builder.transactional(), count)
}

fn marker(base_offset: i64, producer_id: i64, epoch: i16, commit: bool) -> Vec<u8> {
    let mut builder = BatchBuilder::new(base_offset, -1)
        .producer(producer_id, epoch, -1)
        .transactional()
        .control();
    let key = [0, 0, 0, u8::from(commit)];
    builder.push(NOW_MS, Some(&key), Some(&[0, 0, 0, 0, 0, 9]));
    builder.build()
}
