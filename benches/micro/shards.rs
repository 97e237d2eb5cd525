//! The loop of a shard: a command that writes a record, answered once that is committed.

use std::convert::Infallible;
use std::sync::Arc;

use bytes::Bytes;
use divan::Bencher;
use ottla::config::TopicConfig;
use ottla::log::{BoxFuture, LogId, MemoryEngine};
use ottla::partition::Partition;
use ottla::shard::{Host, KeyValue, Loaded, Machine, Moment, Outcome, Position, Shard, Ticket};
use uuid::Uuid;

use crate::{env, runtime};

/// Counts its records.
#[derive(Default)]
struct Counting(u64);

impl Machine for Counting {
    type Command = ();
    type Reply = u64;
    type Record = ();
    type Effect = Infallible;
    type ReplayError = Infallible;

    const BASE_SEQUENCE: i32 = 0;

    fn handle(&mut self, ticket: Ticket, (): (), _now: Moment) -> Outcome<(), u64> {
        Outcome::new(vec![()], ticket, self.0 + 1)
    }

    fn tick(&mut self, _now: Moment) -> Outcome<(), u64> {
        Outcome::nothing()
    }

    fn next_deadline(&self) -> Option<i64> {
        None
    }

    fn apply(&mut self, (): &(), _at: Position) -> Result<(), Infallible> {
        self.0 += 1;
        Ok(())
    }

    fn effects(&mut self) -> Vec<Infallible> {
        Vec::new()
    }

    fn loaded(&mut self, _now_ms: i64) -> Result<Vec<Infallible>, Infallible> {
        Ok(Vec::new())
    }

    fn encode((): &()) -> KeyValue {
        let bytes = |bytes| Some(Bytes::from_static(bytes));
        KeyValue { key: bytes(b"key"), value: bytes(b"value") }
    }

    fn decode(_raw: KeyValue, _control: bool) -> Result<Option<()>, Infallible> {
        Ok(Some(()))
    }
}

struct Nowhere;

impl Host<Counting> for Nowhere {
    fn load(&self) -> BoxFuture<'_, Loaded<Counting>> {
        Box::pin(async { Ok((Counting::default(), 0)) })
    }

    fn run(&self, effect: Infallible) -> BoxFuture<'_, ()> {
        match effect {}
    }
}

#[divan::bench]
fn call_with_a_record(bencher: Bencher) {
    let runtime = runtime();
    let shard = runtime.block_on(async {
        let id = LogId { topic: "counted".into(), topic_id: Uuid::from_u128(3), partition: 0 };
        let (env, config) = (env(), Arc::new(TopicConfig::default()));
        let engine = MemoryEngine::default();
        let partition = Partition::open(&env, &engine, id, 0, config).await.unwrap();
        Shard::start(env, partition, Arc::new(Nowhere)).await.unwrap()
    });
    bencher.bench_local(|| runtime.block_on(shard.call(())).unwrap());
}
