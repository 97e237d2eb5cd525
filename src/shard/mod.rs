//! Shards: each runs one state machine whose state is the replay of one internal partition.
//!
//! ```text
//!   command -> handle -> apply each record -> append as one batch -> park the replies there
//!                                                                          |
//!                     reply leaves <- effects done <- position committed <-+
//! ```
//!
//! - One task owns the machine. One command is at most one batch, so it happens wholly or not.
//! - A reply leaves once the position it was decided at is committed, also if its command wrote
//!   nothing: it may rest on records of an earlier one. Replies leave in the order of positions.
//! - Effects follow from applied records. They run after the commit and before the replies parked
//!   at the same position; after a replay the machine derives anew those that may be outstanding.
//! - What somebody else has appended (Kafka's own tools may) is replayed before the next command.
//! - If an append or a commit fails, every caller is answered [`CallError::Lost`], the machine is
//!   dropped and replayed, with growing pauses; meanwhile callers get [`CallError::Loading`].

mod journal;
mod runner;

use bytes::Bytes;
use tokio::sync::{mpsc, oneshot, watch};

use crate::log::BoxFuture;
use crate::partition::Admission;
use crate::records::Record;
use crate::wire::ErrorCode;

pub use journal::LoadError;

/// Commands that wait in front of a shard; more make callers wait.
const QUEUE_LENGTH: usize = 1_024;

/// State that changes only by records.
///
/// What survives a restart changes in [`Machine::apply`] alone; [`Machine::handle`] and
/// [`Machine::tick`] may change what a restart forgets, such as waiting callers.
pub trait Machine: Send + 'static {
    /// What is asked of it.
    type Command: Send + 'static;
    /// What it answers.
    type Reply: Send + 'static;
    /// What changes it.
    type Record: Send + 'static;
    /// What must happen outside because of records.
    type Effect: Send + 'static;
    /// Why a record in the log cannot be applied.
    type ReplayError: std::error::Error + Send + Sync + 'static;

    /// The base sequence of its batches but for control ones, which have -1. None needs one: Kafka's
    /// controller writes -1, its coordinators 0 (`CoordinatorRuntime`).
    const BASE_SEQUENCE: i32;

    /// Decides on a command. The answer to `ticket` is in this outcome or a later one.
    fn handle(
        &mut self,
        ticket: Ticket,
        command: Self::Command,
        now: Moment,
    ) -> Outcome<Self::Record, Self::Reply>;
    /// Does what is due at [`Machine::next_deadline`].
    fn tick(&mut self, now: Moment) -> Outcome<Self::Record, Self::Reply>;
    /// Wall-clock time of the next [`Machine::tick`], None for never.
    fn next_deadline(&self) -> Option<i64>;

    /// Takes over a record, just decided or replayed.
    fn apply(&mut self, record: &Self::Record, at: Position) -> Result<(), Self::ReplayError>;
    /// What follows from the batch just applied (not called during a replay).
    fn effects(&mut self) -> Vec<Self::Effect>;
    /// What may be outstanding after a replay that ended at `now_ms`; refuses records that are not
    /// complete.
    fn loaded(&mut self, now_ms: i64) -> Result<Vec<Self::Effect>, Self::ReplayError>;

    /// A record's bytes.
    fn encode(record: &Self::Record) -> KeyValue;
    /// A record from its bytes; `control` marks one of a control batch. None is passed over.
    fn decode(raw: KeyValue, control: bool) -> Result<Option<Self::Record>, Self::ReplayError>;
}

/// A machine and the offset from which its log is replayed.
pub type Loaded<M> = Result<(M, i64), LoadError<<M as Machine>::ReplayError>>;

/// Where machines come from and what effects do.
pub trait Host<M: Machine>: Send + Sync + 'static {
    /// A machine in the state before `offset` of the partition, and that offset.
    fn load(&self) -> BoxFuture<'_, Loaded<M>>;
    /// Carries out an effect. The shard stands still meanwhile, so it must not call the shard.
    fn run(&self, effect: M::Effect) -> BoxFuture<'_, ()>;
}

/// Stands for a caller that awaits a reply.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Ticket(pub(crate) u64);

/// When and where a decision is made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Moment {
    /// Wall-clock time.
    pub now_ms: i64,
    /// Offset that the first record decided now gets.
    pub next_offset: i64,
    /// Leader epoch of the partition.
    pub epoch: i32,
}

/// Where a record stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Position {
    /// Its offset.
    pub offset: i64,
    /// Leader epoch of its batch.
    pub epoch: i32,
    /// Its time.
    pub timestamp_ms: i64,
    /// Bytes of key and value.
    pub size_bytes: usize,
    /// The producer whose transaction the record belongs to or ends; None outside of one.
    pub producer_id: Option<i64>,
}

/// A record's bytes; without a value it is a tombstone.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct KeyValue {
    /// Its key.
    pub key: Option<Bytes>,
    /// Its value.
    pub value: Option<Bytes>,
}

impl KeyValue {
    /// A copy of a record's key and value.
    pub fn of(record: &Record<'_>) -> Self {
        let copied = |bytes: Option<&[u8]>| bytes.map(Bytes::copy_from_slice);
        Self { key: copied(record.key), value: copied(record.value) }
    }

    /// Bytes of both.
    pub fn size_bytes(&self) -> usize {
        let length = |bytes: &Option<Bytes>| bytes.as_ref().map_or(0, Bytes::len);
        length(&self.key) + length(&self.value)
    }
}

/// Records that become one batch.
#[derive(Clone, Debug, PartialEq)]
pub struct Batch<R> {
    /// At least one.
    pub records: Vec<R>,
    /// They are control records.
    pub control: bool,
    /// The transaction they belong to or end. What the partition does not admit is not written and
    /// changes nothing: who is answered with this outcome gets [`CallError::Refused`].
    pub transaction: Option<Transaction>,
}

/// A producer's transaction, as one batch sees it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Transaction {
    /// The producer's id.
    pub producer_id: i64,
    /// Its epoch.
    pub producer_epoch: i16,
    /// What the batch is to it.
    pub admission: Admission,
}

/// What [`Machine::handle`] decided.
#[derive(Clone, Debug, PartialEq)]
pub struct Outcome<R, A> {
    /// What to write, if anything.
    pub batch: Option<Batch<R>>,
    /// Answers, to this caller or to waiting ones.
    pub replies: Vec<(Ticket, A)>,
}

impl<R, A> Outcome<R, A> {
    /// Writes `records`, unless there are none, and answers.
    pub fn new(records: Vec<R>, ticket: Ticket, reply: A) -> Self {
        let batch =
            (!records.is_empty()).then_some(Batch { records, control: false, transaction: None });
        Self { batch, replies: vec![(ticket, reply)] }
    }

    /// Nothing to write and nobody to answer.
    pub fn nothing() -> Self {
        Self { batch: None, replies: Vec::new() }
    }
}

/// Why a call has no reply.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CallError {
    /// The machine is being replayed; ask again.
    #[error("the state is being loaded")]
    Loading,
    /// The write failed; it may or may not have happened.
    #[error("the write failed and its result is unknown")]
    Lost,
    /// The partition does not admit the batch to its transaction; nothing has happened.
    #[error("the write was refused: {}", .0.name())]
    Refused(ErrorCode),
    /// The shard has ended.
    #[error("the shard has ended")]
    Closed,
}

type Answer<M> = Result<<M as Machine>::Reply, CallError>;

enum Input<M: Machine> {
    Command(M::Command, oneshot::Sender<Answer<M>>),
    Close(oneshot::Sender<()>),
}

/// Sends commands to a shard's task; cheap to clone.
pub struct Shard<M: Machine> {
    queue: mpsc::Sender<Input<M>>,
    loaded: watch::Receiver<bool>,
}

impl<M: Machine> Clone for Shard<M> {
    fn clone(&self) -> Self {
        Self { queue: self.queue.clone(), loaded: self.loaded.clone() }
    }
}

impl<M: Machine> Shard<M> {
    /// Asks the machine and waits for the reply. Dropping the future forgets the reply, not the
    /// command.
    pub async fn call(&self, command: M::Command) -> Answer<M> {
        let (reply, answer) = oneshot::channel();
        let sent = self.queue.send(Input::Command(command, reply)).await;
        sent.map_err(|_| CallError::Closed)?;
        answer.await.unwrap_or(Err(CallError::Closed))
    }

    /// Waits until the machine is replayed for the first time, or the shard has ended.
    pub async fn loaded(&self) {
        let _ = self.loaded.clone().wait_for(|&loaded| loaded).await;
    }

    /// Ends the task after the commands already sent; waits until it has.
    pub async fn close(&self) {
        let (done, ended) = oneshot::channel();
        if self.queue.send(Input::Close(done)).await.is_ok() {
            let _ = ended.await;
        }
    }
}
