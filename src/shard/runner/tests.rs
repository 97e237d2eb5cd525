use std::convert::Infallible;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use bytes::Bytes;
use tokio::task::JoinHandle;
use uuid::Uuid;

use super::*;
use crate::config::TopicConfig;
use crate::env::{Offload, Random, SimClock, SimDisk};
use crate::log::{BoxFuture, Commit, LogId, MemoryEngine};
use crate::partition::{Admission, Guard, ProducerBatch};
use crate::records::{BatchBuilder, BatchHeader};
use crate::shard::Transaction;
use crate::wire::ErrorCode;

/// Adds numbers; each record is one number, a tombstone takes all away.
#[derive(Default)]
struct Sum {
    total: u64,
    applied: Vec<u64>,
    waiting: Vec<Ticket>,
    deadline_ms: Option<i64>,
}

#[derive(Debug)]
enum Ask {
    Add(u64),
    Clear,
    Get,
    /// Answered by the tick at this time.
    Wait(i64),
    /// A record that fits no segment.
    TooLarge,
    /// Adds in a transaction, and answers also those who wait.
    Within(Transaction, u64),
}

impl Machine for Sum {
    type Command = Ask;
    type Reply = u64;
    type Record = Option<u64>;
    type Effect = u64;
    type ReplayError = Infallible;

    const BASE_SEQUENCE: i32 = -1;

    fn handle(&mut self, ticket: Ticket, command: Ask, _now: Moment) -> Outcome<Option<u64>, u64> {
        match command {
            Ask::Add(number) => Outcome::new(vec![Some(number)], ticket, self.total + number),
            Ask::Clear => Outcome::new(vec![None], ticket, 0),
            Ask::Get => Outcome::new(Vec::new(), ticket, self.total),
            Ask::Wait(deadline_ms) => {
                self.waiting.push(ticket);
                self.deadline_ms = Some(deadline_ms);
                Outcome::nothing()
            }
            Ask::TooLarge => Outcome::new(vec![Some(u64::MAX)], ticket, 0),
            Ask::Within(transaction, number) => {
                let transaction = Some(transaction);
                let batch = Batch { records: vec![Some(number)], control: false, transaction };
                let answered = self.waiting.drain(..).chain([ticket]);
                let replies = answered.map(|ticket| (ticket, self.total + number)).collect();
                Outcome { batch: Some(batch), replies }
            }
        }
    }

    fn tick(&mut self, _now: Moment) -> Outcome<Option<u64>, u64> {
        self.deadline_ms = None;
        let replies = self.waiting.drain(..).map(|ticket| (ticket, self.total)).collect();
        Outcome { batch: None, replies }
    }

    fn next_deadline(&self) -> Option<i64> {
        self.deadline_ms
    }

    fn apply(&mut self, record: &Option<u64>, _at: Position) -> Result<(), Infallible> {
        self.total = record.map_or(0, |number| self.total.wrapping_add(number));
        self.applied.push(self.total);
        Ok(())
    }

    fn effects(&mut self) -> Vec<u64> {
        std::mem::take(&mut self.applied)
    }

    fn loaded(&mut self, _now_ms: i64) -> Result<Vec<u64>, Infallible> {
        self.applied.clear();
        Ok(vec![self.total])
    }

    fn encode(record: &Option<u64>) -> KeyValue {
        let text = |number: u64| match number {
            u64::MAX => Bytes::from(vec![b'9'; 4_096]),
            number => number.to_string().into(),
        };
        KeyValue { key: Some(Bytes::from_static(b"sum")), value: record.map(text) }
    }

    fn decode(raw: KeyValue, _control: bool) -> Result<Option<Option<u64>>, Infallible> {
        let text = raw.value.map(|value| String::from_utf8(value.to_vec()).unwrap());
        Ok(Some(text.map(|text| text.parse().unwrap())))
    }
}

#[derive(Default)]
struct Effects {
    seen: Mutex<Vec<u64>>,
    loads: AtomicUsize,
    /// Held by a test that wants a load to take its time.
    gate: tokio::sync::Mutex<()>,
}

impl Host<Sum> for Effects {
    fn load(&self) -> BoxFuture<'_, Loaded<Sum>> {
        self.loads.fetch_add(1, Ordering::SeqCst);
        Box::pin(async {
            let _open = self.gate.lock().await;
            Ok((Sum::default(), 0))
        })
    }

    fn run(&self, effect: u64) -> BoxFuture<'_, ()> {
        self.seen.lock().unwrap().push(effect);
        Box::pin(async {})
    }
}

struct Rig {
    clock: Arc<SimClock>,
    partition: Arc<Partition>,
    effects: Arc<Effects>,
    env: Env,
}

impl Rig {
    async fn new(engine: &MemoryEngine) -> Self {
        let clock = Arc::new(SimClock::new(0));
        let env = Env {
            clock: clock.clone(),
            random: Arc::new(Random::seeded(1)),
            disk: Arc::new(SimDisk::new(1)),
            offload: Offload::inline(),
        };
        let id = LogId { topic: "sums".into(), topic_id: Uuid::from_u128(3), partition: 0 };
        let config = Arc::new(TopicConfig { segment_bytes: 1_024, ..TopicConfig::default() });
        let partition = Partition::open(&env, engine, id, 0, config).await.unwrap();
        Self { clock, partition, effects: Arc::default(), env }
    }

    async fn shard(&self) -> Shard<Sum> {
        let host = self.effects.clone();
        Shard::start(self.env.clone(), self.partition.clone(), host).await.unwrap()
    }

    /// Says that the coordinator of producer 7 was asked.
    fn asks(&self) -> Option<Guard> {
        let batch = ProducerBatch { producer_id: 7, producer_epoch: 1, base_sequence: -1 };
        self.partition.begin_verification(&batch, true).unwrap()
    }

    fn seen(&self) -> Vec<u64> {
        self.effects.seen.lock().unwrap().clone()
    }
}

#[tokio::test]
async fn what_is_answered_is_found_again_by_a_replay() {
    let engine = MemoryEngine::default();
    let rig = Rig::new(&engine).await;
    let shard = rig.shard().await;
    assert_eq!(shard.call(Ask::Add(2)).await, Ok(2));
    assert_eq!(shard.call(Ask::Add(3)).await, Ok(5));
    assert_eq!(rig.seen(), [0, 2, 5]);
    shard.close().await;
    assert_eq!(shard.call(Ask::Get).await, Err(CallError::Closed));

    let again = Rig::new(&engine.restart()).await;
    let shard = again.shard().await;
    assert_eq!(shard.call(Ask::Get).await, Ok(5));
    assert_eq!(shard.call(Ask::Clear).await, Ok(0));
    assert_eq!(shard.call(Ask::Get).await, Ok(0));
    assert_eq!(again.seen(), [5, 0], "the replay has no effects but the last state's");
}

/// Asks, and waits for the answer in a task.
fn asking(shard: &Shard<Sum>, ask: Ask) -> JoinHandle<Answer<Sum>> {
    let shard = shard.clone();
    tokio::spawn(async move { shard.call(ask).await })
}

/// Lets every task run as far as it can.
async fn settle() {
    for _ in 0..32 {
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn replies_and_effects_wait_for_the_commit_also_those_of_reads() {
    let rig = Rig::new(&MemoryEngine::new(Commit::Pending)).await;
    let shard = rig.shard().await;
    let ask = |ask| asking(&shard, ask);
    let (add, get) = (ask(Ask::Add(4)), ask(Ask::Get));
    settle().await;
    assert!(!add.is_finished() && !get.is_finished());
    assert_eq!(rig.seen(), [0]);
    rig.partition.flush().await.unwrap();
    assert_eq!(add.await.unwrap(), Ok(4));
    assert_eq!(get.await.unwrap(), Ok(4));
    assert_eq!(rig.seen(), [0, 4]);
}

#[tokio::test]
async fn a_batch_whose_bytes_have_changed_is_not_replayed() {
    let rig = Rig::new(&MemoryEngine::default()).await;
    let damaged = |base_offset| {
        let mut builder = BatchBuilder::new(base_offset, 0);
        builder.push(0, Some(b"sum"), Some(b"5"));
        let mut bytes = builder.build();
        let value = bytes.iter().rposition(|byte| *byte == b'5').unwrap();
        bytes[value] = b'7';
        bytes
    };
    rig.partition.append_internal(None, damaged).unwrap();
    let refused = Shard::start(rig.env.clone(), rig.partition.clone(), rig.effects.clone()).await;
    assert!(matches!(refused.err(), Some(LoadError::Checksum { offset: 0 })));
}

#[tokio::test(start_paused = true)]
async fn a_failed_write_answers_everyone_and_replays() {
    let rig = Rig::new(&MemoryEngine::default()).await;
    let shard = rig.shard().await;
    assert_eq!(shard.call(Ask::Add(1)).await, Ok(1));
    let waiting = asking(&shard, Ask::Wait(i64::MAX));
    settle().await;
    assert_eq!(shard.call(Ask::TooLarge).await, Err(CallError::Lost));
    assert_eq!(waiting.await.unwrap(), Err(CallError::Lost));
    assert_eq!(shard.call(Ask::Get).await, Err(CallError::Loading));
    tokio::time::sleep(Duration::from_millis(200)).await;
    assert_eq!(shard.call(Ask::Get).await, Ok(1), "nothing of the failed write is left");
    assert_eq!(rig.effects.loads.load(Ordering::SeqCst), 2);
}

#[tokio::test(start_paused = true)]
async fn a_tick_answers_who_waits() {
    let rig = Rig::new(&MemoryEngine::default()).await;
    let shard = rig.shard().await;
    shard.call(Ask::Add(7)).await.unwrap();
    let waiting = asking(&shard, Ask::Wait(1_000));
    settle().await;
    assert!(!waiting.is_finished());
    rig.clock.advance(1_000);
    assert_eq!(waiting.await.unwrap(), Ok(7));
}

#[tokio::test(start_paused = true)]
async fn what_is_due_comes_before_a_command_though_the_timer_is_late() {
    let rig = Rig::new(&MemoryEngine::default()).await;
    let shard = rig.shard().await;
    shard.call(Ask::Add(7)).await.unwrap();
    let waiting = asking(&shard, Ask::Wait(1_000));
    settle().await;
    rig.clock.advance(1_000);
    assert_eq!(shard.call(Ask::Add(1)).await, Ok(8));
    assert_eq!(waiting.await.unwrap(), Ok(7));
}

#[tokio::test]
async fn what_somebody_else_appends_is_taken_over() {
    let rig = Rig::new(&MemoryEngine::default()).await;
    let shard = rig.shard().await;
    assert_eq!(shard.call(Ask::Add(1)).await, Ok(1));
    let foreign = |base_offset| {
        let mut builder = BatchBuilder::new(base_offset, 0);
        builder.push(0, Some(b"sum"), Some(b"5"));
        builder.build()
    };
    rig.partition.append_internal(None, foreign).unwrap();
    assert_eq!(shard.call(Ask::Get).await, Ok(6));
    rig.partition.append_internal(None, foreign).unwrap();
    assert_eq!(shard.call(Ask::Add(2)).await, Ok(13));
    assert_eq!(rig.effects.loads.load(Ordering::SeqCst), 1, "nothing was dropped");
}

#[tokio::test(start_paused = true)]
async fn while_it_loads_callers_are_told_so() {
    let engine = MemoryEngine::default();
    let rig = Rig::new(&engine).await;
    let shard = rig.shard().await;
    assert_eq!(shard.call(Ask::Add(4)).await, Ok(4));
    shard.close().await;
    let again = Rig::new(&engine.restart()).await;
    let closed = again.effects.gate.lock().await;
    let host = again.effects.clone();
    let shard = Shard::start_loading(again.env.clone(), again.partition.clone(), host);
    assert_eq!(shard.call(Ask::Get).await, Err(CallError::Loading));
    drop(closed);
    shard.loaded().await;
    assert_eq!(shard.call(Ask::Get).await, Ok(4));
    again.partition.stop();
    assert_eq!(shard.call(Ask::Add(1)).await, Err(CallError::Lost));
    tokio::time::sleep(Duration::from_millis(200)).await;
    assert_eq!(shard.call(Ask::Get).await, Err(CallError::Closed), "its partition is gone");
}

const REFUSED: Result<u64, CallError> = Err(CallError::Refused(ErrorCode::InvalidTxnState));

/// Producer 7 adds in its transaction.
fn within(guard: Option<Guard>, number: u64) -> Ask {
    let admission = Admission::Data(guard);
    Ask::Within(Transaction { producer_id: 7, producer_epoch: 1, admission }, number)
}

#[tokio::test]
async fn what_the_partition_does_not_admit_has_not_happened() {
    let rig = Rig::new(&MemoryEngine::default()).await;
    let shard = rig.shard().await;
    assert_eq!(shard.call(Ask::Add(1)).await, Ok(1));
    assert_eq!(shard.call(within(None, 2)).await, REFUSED);
    assert_eq!(shard.call(Ask::Get).await, Ok(1));
    assert_eq!(rig.partition.bounds().end_offset, 1);
    assert_eq!(shard.call(within(rig.asks(), 2)).await, Ok(3));
    assert_eq!(shard.call(within(None, 3)).await, Ok(6), "the transaction is open");
    assert_eq!(rig.seen(), [0, 1, 3, 6]);
    assert_eq!(rig.effects.loads.load(Ordering::SeqCst), 1, "the machine lives on");
    let read = rig.partition.read(1, 1, crate::partition::Isolation::LogEnd).await.unwrap();
    let header = BatchHeader::parse(&read.chunk.into_bytes().unwrap()).unwrap();
    assert!(header.is_transactional() && !header.is_control());
    let producer = (header.producer_id, header.producer_epoch, header.base_sequence);
    assert_eq!(producer, (7, 1, Sum::BASE_SEQUENCE));
    assert_eq!(rig.partition.bounds().last_stable_offset, 1);
}

#[tokio::test]
async fn everyone_who_was_to_be_answered_is_refused() {
    let rig = Rig::new(&MemoryEngine::new(Commit::Pending)).await;
    let shard = rig.shard().await;
    let ask = |ask| asking(&shard, ask);
    let waiting = ask(Ask::Wait(i64::MAX));
    settle().await;
    let (add, refused) = (ask(Ask::Add(4)), ask(within(None, 2)));
    settle().await;
    assert!(!refused.is_finished(), "the refusal may rest on what is not committed");
    rig.partition.flush().await.unwrap();
    assert_eq!(add.await.unwrap(), Ok(4));
    assert_eq!(refused.await.unwrap(), REFUSED);
    assert_eq!(waiting.await.unwrap(), REFUSED);
}
