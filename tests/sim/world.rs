//! One log of the local engine on a simulated disk, and what it must hold.
//!
//! [`World::step`] does one thing to the log and to a log in memory, then compares what both show.
//! After a crash the log may have lost what was not promised: the checks are that the rest is a
//! prefix, that nothing promised is gone and that nothing refused is there.

use std::fmt::Write as _;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::time::Duration;

use ottla::env::{CrashMode, Env, Fault, Offload, Random, SimClock, SimDisk, read_all};
use ottla::log::local::{EngineSettings, LocalEngine};
use ottla::log::{
    AppendError, BatchBytes, Commit, CommitObserver, Engine, Log, LogConfig, LogId, MemoryEngine,
    ReadError, Replay,
};
use ottla::records::BatchHeader;
use ottla::wire::Chunk;
use uuid::Uuid;

use crate::test_batch::{TestBatch, split_batches};

/// One thing that is done to the log.
#[derive(Clone, Debug)]
pub(crate) enum Op {
    Append(Append),
    BeginEpoch {
        by: i32,
    },
    Roll,
    DeleteBefore {
        percent: i64,
    },
    Read {
        from_percent: i64,
        until_percent: i64,
        max_bytes: usize,
    },
    Times {
        ahead_ms: i64,
    },
    Flush,
    Wait {
        ms: u64,
    },
    Configure {
        segment_bytes: u64,
    },
    /// Clean stop and start.
    Reopen,
    Crash(CrashMode),
    /// Deletes the log and creates it with another topic id, perhaps with a crash between.
    Recreate(Option<CrashMode>),
    FaultAfter {
        operations: u64,
        fault: Fault,
    },
    /// Lets the disk take only this many bytes more.
    Capacity {
        spare_bytes: u64,
    },
    FailSyncs,
    ClearFaults,
}

#[derive(Clone, Debug)]
pub(crate) struct Append {
    pub(crate) count: i32,
    pub(crate) payload_bytes: usize,
    pub(crate) ahead_ms: i64,
    pub(crate) gap: i64,
    pub(crate) control: bool,
}

/// What has become of the wish to delete the log.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Deletion {
    None,
    /// Under way: the next start asks again, as the owner of the metadata would.
    Asked,
    /// Answered: the log must not come back.
    Done,
}

/// Broker epoch in the clean-shutdown marker.
const MARKER: i64 = 42;

struct Running {
    engine: Arc<dyn Engine>,
    log: Arc<dyn Log>,
    observer: Arc<Observer>,
    /// Something answered that the log is offline.
    offline: bool,
    /// End of what was committed by the answer to an append.
    done_end: i64,
}

#[derive(Default)]
struct Observer {
    committed: AtomicI64,
    failed: AtomicBool,
}

impl CommitObserver for Observer {
    fn committed(&self, end_offset: i64) {
        let before = self.committed.swap(end_offset, Ordering::SeqCst);
        assert!(before <= end_offset, "commits went back from {before} to {end_offset}");
        assert!(!self.failed.load(Ordering::SeqCst), "a commit after the failure");
    }

    fn failed(&self) {
        self.failed.store(true, Ordering::SeqCst);
    }
}

/// What was accepted and what of it was promised.
#[derive(Default)]
struct History {
    batches: Vec<TestBatch>,
    /// Epochs and the offsets where they began.
    epochs: Vec<(i32, i64)>,
    /// The batch whose append ended in "offline": it may be there or not.
    in_doubt: Option<TestBatch>,
    /// The epoch whose beginning failed.
    epoch_in_doubt: Option<i32>,
    start_offset: i64,
    end_offset: i64,
    /// Where the log began, or began anew when a crash had left nothing.
    begun_at: i64,
    /// A loss of power leaves the end at or above this.
    durable_end: i64,
    /// A loss of power leaves the start at or above this.
    durable_start: i64,
    /// A crash leaves the start at or below this.
    start_in_doubt: i64,
}

#[derive(Default)]
struct Replayed {
    snapshot: Option<(i64, Vec<u8>)>,
    batches: Vec<(i64, i64)>,
    controls: Vec<Vec<u8>>,
}

impl Replay for Replayed {
    fn snapshot(&mut self, offset: i64, bytes: &[u8]) -> bool {
        assert!(self.batches.is_empty() && self.snapshot.is_none());
        let usable = bytes.len() == 16 && bytes[8..] == digest(&bytes[..8]).to_be_bytes();
        if usable {
            self.snapshot = Some((offset, bytes.to_vec()));
        }
        usable
    }

    fn batch(&mut self, header: &BatchHeader, control: Option<&[u8]>) {
        self.batches.push((header.base_offset, header.last_offset() + 1));
        assert_eq!(header.is_control(), control.is_some());
        self.controls.extend(control.map(<[u8]>::to_vec));
    }
}

fn digest(value: &(impl Hash + ?Sized)) -> u64 {
    let mut hasher = DefaultHasher::new();
    value.hash(&mut hasher);
    hasher.finish()
}

impl History {
    /// What the owner of the log would keep beside a segment that begins at `offset`.
    fn snapshot_at(&self, offset: i64) -> Vec<u8> {
        let mut state = DefaultHasher::new();
        for batch in self.batches.iter().take_while(|batch| batch.end_offset() <= offset) {
            (batch.base_offset, batch.count, &batch.payload).hash(&mut state);
        }
        let state = state.finish().to_be_bytes();
        [state, digest(&state[..]).to_be_bytes()].concat()
    }

    fn latest_epoch(&self) -> Option<i32> {
        self.epochs.last().map(|(epoch, _)| *epoch)
    }

    fn push(&mut self, batch: TestBatch) {
        self.end_offset = batch.end_offset();
        self.batches.push(batch);
    }

    /// Forgets what lies at or above `end_offset`.
    fn truncate(&mut self, end_offset: i64) {
        self.batches.retain(|batch| batch.end_offset() <= end_offset);
        self.epochs.retain(|(_, start)| *start < end_offset);
        self.end_offset = end_offset;
    }
}

#[expect(clippy::struct_excessive_bools, reason = "independent facts of one run")]
pub(crate) struct World {
    disk: SimDisk,
    clock: Arc<SimClock>,
    config: LogConfig,
    topics: u128,
    serial: u8,
    running: Option<Running>,
    model: Arc<dyn Log>,
    history: History,
    /// The engine was started after a sync had failed: the page cache lies about what is durable,
    /// until power is lost.
    tainted: bool,
    /// Failed syncs when power was lost last.
    failed_syncs: u64,
    /// Faults may still come.
    armed: bool,
    /// Faults may have happened since the engine started.
    faulted: bool,
    /// A fault other than lack of room may have happened since the engine started.
    may_go_offline: bool,
    deletion: Deletion,
    trace: String,
}

fn env(disk: &SimDisk, clock: &Arc<SimClock>) -> Env {
    Env {
        clock: Arc::clone(clock) as _,
        random: Arc::new(Random::seeded(disk.operations())),
        disk: Arc::new(disk.clone()),
        offload: Offload::inline(),
    }
}

/// The engine under test on the disk of `env`.
fn start_engine(env: &Env) -> Result<Arc<dyn Engine>, String> {
    let settings = EngineSettings {
        checkpoint_interval_ms: 500,
        open_files_max: 5,
        ..EngineSettings::default()
    };
    match LocalEngine::open(env, Path::new("/data"), settings) {
        Ok(engine) => Ok(engine),
        Err(error) => Err(error.to_string()),
    }
}

async fn memory_log() -> Arc<dyn Log> {
    let unlimited = LogConfig { segment_bytes: u64::MAX, ..config(1) };
    let id = LogId { topic: "model".into(), topic_id: Uuid::nil(), partition: 0 };
    let observer = Arc::new(Observer::default());
    let engine = MemoryEngine::default();
    engine.open(&id, unlimited, observer, &mut Replayed::default()).await.unwrap()
}

/// Moves the end of a log in memory without noting an epoch.
fn skip_to(model: &dyn Log, offset: i64) {
    let end = model.end_offset();
    if end < offset {
        let gap =
            TestBatch { epoch: -1, ..TestBatch::new(end, i32::try_from(offset - end).unwrap(), 0) };
        append(model, &gap, &[]).unwrap();
    }
}

/// A configuration that rolls after `segment_bytes` and never flushes by count.
pub(crate) fn config(segment_bytes: u64) -> LogConfig {
    LogConfig {
        segment_bytes,
        segment_ms: i64::MAX,
        segment_index_bytes: 10 << 20,
        index_interval_bytes: 4096,
        flush_messages: i64::MAX,
        flush_ms: i64::MAX,
    }
}

/// Everything a log has, batch by batch.
async fn content(log: &dyn Log) -> Result<Vec<(i64, i64, Vec<u8>)>, ReadError> {
    let (mut from, until) = (log.start_offset(), log.end_offset());
    let mut batches = Vec::new();
    while from < until {
        let read = log.read(from, until, 1 << 16).await;
        let part = split_batches(&chunk_bytes(&read?.chunk));
        let Some((_, next, _)) = part.last() else {
            break;
        };
        assert!(*next > from, "a read from {from} leads back to {next}");
        from = *next;
        batches.extend(part);
    }
    Ok(batches)
}

fn chunk_bytes(chunk: &Chunk) -> Vec<u8> {
    match chunk {
        Chunk::Bytes(bytes) => bytes.to_vec(),
        Chunk::File { file, position, length } => {
            let mut bytes = vec![0; *length];
            let read = read_all(&**file, &mut bytes, *position).expect("an open file is readable");
            assert_eq!(read, *length, "a chunk promises only bytes that are there");
            bytes
        }
    }
}

/// How a run ended, and so whether the next start should find the clean-shutdown marker; None
/// where it may or may not.
#[derive(Clone, Copy, Debug)]
struct Stop {
    crash: Option<CrashMode>,
    marker: Option<bool>,
}

impl Stop {
    fn crash(mode: CrashMode) -> Self {
        Self { crash: Some(mode), marker: Some(false) }
    }
}

impl World {
    pub(crate) async fn new(seed: u64, config: LogConfig) -> Self {
        let mut world = Self {
            disk: SimDisk::new(seed),
            clock: Arc::new(SimClock::new(1_000_000)),
            config,
            topics: 1,
            serial: 0,
            running: None,
            model: memory_log().await,
            history: History::default(),
            tainted: false,
            failed_syncs: 0,
            armed: false,
            faulted: false,
            may_go_offline: false,
            deletion: Deletion::None,
            trace: String::new(),
        };
        world.disk.record();
        world.start(Stop::crash(CrashMode::ProcessKill)).await;
        world
    }

    pub(crate) fn disk(&self) -> &SimDisk {
        &self.disk
    }

    fn id(&self) -> LogId {
        LogId { topic: "orders".into(), topic_id: Uuid::from_u128(self.topics), partition: 0 }
    }

    fn running(&mut self) -> &mut Running {
        self.running.as_mut().expect("the engine runs between steps")
    }

    fn log(&mut self) -> Arc<dyn Log> {
        Arc::clone(&self.running().log)
    }

    /// Lets operation `operation` of the disk meet `fault`.
    pub(crate) fn fault_at(&mut self, operation: u64, fault: Fault) {
        self.disk.fault_at(operation, fault);
        self.armed = true;
        self.faulted = true;
        self.may_go_offline |= fault != Fault::ShortWrite;
    }

    /// Starts the engine and opens the log, again and again if the disk crashes meanwhile.
    async fn start(&mut self, mut stop: Stop) {
        self.running = None;
        let mut has_holes = false;
        loop {
            if let Some(mode) = self.disk.crashed() {
                if stop.crash != Some(CrashMode::PowerLoss) {
                    stop.crash = Some(mode);
                }
                if mode == CrashMode::PowerLoss {
                    has_holes |= std::mem::take(&mut self.tainted);
                    self.failed_syncs = self.disk.failed_syncs();
                }
                self.disk = self.disk.restart();
            }
            self.tainted |= self.disk.failed_syncs() > self.failed_syncs;
            match self.try_start().await {
                Ok((running, replayed)) => {
                    self.faulted = self.armed;
                    self.may_go_offline &= self.armed;
                    if !has_holes {
                        return self.check_recovered(running, &replayed, stop).await;
                    }
                    has_holes = false;
                    self.give_up_log();
                    self.disk.crash(CrashMode::ProcessKill);
                }
                Err(error) => {
                    self.note(&format!("  start: {error}"));
                    assert!(self.faulted, "the log does not open on a sound disk: {error}");
                    if self.disk.crashed().is_none() {
                        self.disk.clear_faults();
                        (self.armed, self.faulted) = (false, false);
                        self.disk.crash(CrashMode::ProcessKill);
                    }
                    stop.marker = None;
                }
            }
        }
    }

    async fn try_start(&mut self) -> Result<(Running, Replayed), String> {
        let engine = start_engine(&env(&self.disk, &self.clock))?;
        if self.deletion == Deletion::Asked {
            engine.delete(&self.id()).await.map_err(|error| error.to_string())?;
            self.deletion = Deletion::Done;
        }
        if self.deletion == Deletion::Done {
            let existing = engine.existing().map_err(|error| error.to_string())?;
            assert_eq!(existing, Vec::<String>::new(), "a deleted log came back");
        }
        let mut replayed = Replayed::default();
        let observer = Arc::new(Observer::default());
        let commits = Arc::clone(&observer) as Arc<dyn CommitObserver>;
        if self.deletion == Deletion::Done {
            self.topics += 1;
            self.history = History::default();
            self.deletion = Deletion::None;
        }
        let opened = engine.open(&self.id(), self.config, commits, &mut replayed).await;
        let running = Running {
            log: opened.map_err(|error| error.to_string())?,
            engine,
            observer,
            offline: false,
            done_end: 0,
        };
        Ok((running, replayed))
    }

    /// After a failed sync the page cache showed what the device never got, also to a restarted
    /// broker. When power is lost then, there may be holes. The run goes on with a new log.
    fn give_up_log(&mut self) {
        self.note("  given up");
        self.deletion = Deletion::Asked;
    }

    async fn check_recovered(&mut self, running: Running, replayed: &Replayed, stop: Stop) {
        let log = Arc::clone(&running.log);
        if let Some(expected) = stop.marker {
            let marker = running.engine.clean_shutdown_epoch();
            assert_eq!(marker, expected.then_some(MARKER), "clean-shutdown marker");
        }
        self.running = Some(running);
        let (start, end) = (log.start_offset(), log.end_offset());
        let latest = log.latest_epoch();
        self.note(&format!("  recovered {start}..{end}, epoch {latest:?}, {stop:?}"));
        let power_loss = stop.crash == Some(CrashMode::PowerLoss);
        self.check_bounds(start, end, power_loss);
        let history = &mut self.history;
        let latest_before = history.latest_epoch().max(history.epoch_in_doubt.take());
        history.truncate(end);
        if start == end && latest.is_none() {
            // An empty log may have begun anew.
            history.epochs.clear();
            history.begun_at = start;
        }
        assert!(latest <= latest_before, "epoch {latest:?} never began");
        assert!(latest >= history.latest_epoch(), "epoch {latest:?} lost batches'");
        if let Some(latest) = latest.filter(|_| latest > history.latest_epoch()) {
            history.epochs.push((latest, end));
        }
        history.start_offset = start;
        history.start_in_doubt = start;
        if power_loss {
            history.durable_start = start;
            history.durable_end = end;
        }
        self.rebuild_model().await;
        self.check_replay(replayed, stop);
        self.check_equal().await;
    }

    fn check_bounds(&mut self, start: i64, end: i64, power_loss: bool) {
        let history = &mut self.history;
        let promised = if power_loss {
            (history.durable_start, history.durable_end)
        } else {
            (history.start_offset, history.end_offset)
        };
        let start_max = history.start_offset.max(history.start_in_doubt);
        assert!(
            (promised.0..=start_max).contains(&start),
            "start {start}, should be in {}..={start_max}",
            promised.0
        );
        assert!(end >= promised.1, "end {end}, but {} was promised", promised.1);
        let in_doubt = history.in_doubt.take();
        if let Some(batch) = in_doubt.filter(|batch| batch.end_offset() == end) {
            history.push(batch);
        }
        let boundary = end == 0
            || end == history.end_offset
            || end == start
            || history.batches.iter().any(|batch| batch.end_offset() == end);
        assert!(boundary && end <= history.end_offset, "end {end} is no end of a batch");
    }

    /// Makes the model hold what the history says.
    async fn rebuild_model(&mut self) {
        self.model = memory_log().await;
        let history = &self.history;
        skip_to(&*self.model, history.begun_at);
        let mut epochs = history.epochs.iter().peekable();
        let batches = history.batches.iter().filter(|batch| batch.base_offset >= history.begun_at);
        for batch in batches {
            while let Some((epoch, _)) = epochs.next_if(|(_, start)| *start <= batch.base_offset) {
                self.model.begin_epoch(*epoch).unwrap();
            }
            append(&*self.model, batch, &[]).unwrap();
        }
        // Where everything up to the start is gone, only the offsets are left.
        skip_to(&*self.model, history.end_offset);
        for (epoch, _) in epochs {
            self.model.begin_epoch(*epoch).unwrap();
        }
        self.model.delete_before(history.start_offset).unwrap();
        self.model.configure(self.config);
    }

    fn check_replay(&self, replayed: &Replayed, stop: Stop) {
        let history = &self.history;
        let from = replayed.snapshot.as_ref().map_or(0, |(offset, _)| *offset);
        if let Some((offset, bytes)) = &replayed.snapshot {
            assert!(*offset <= history.end_offset, "snapshot {offset} beyond the end");
            let expected = history.snapshot_at(*offset);
            assert_eq!(*bytes, expected, "snapshot at {offset} of another history");
        }
        let start = history.start_offset;
        let later = |batch: &&TestBatch| batch.base_offset >= from && batch.end_offset() > start;
        let later = || history.batches.iter().filter(later);
        let expected: Vec<_> =
            later().map(|batch| (batch.base_offset, batch.end_offset())).collect();
        // Batches below the start that share its segment may come, too.
        let below = replayed.batches.iter().filter(|(_, end)| *end <= start).count();
        assert_eq!(replayed.batches[below..], expected, "replayed batches");
        let controls: Vec<_> =
            later().filter(|batch| batch.control).map(TestBatch::bytes).collect();
        assert!(replayed.controls.ends_with(&controls), "replayed control batches");
        if stop.marker == Some(true) {
            assert!(expected.is_empty(), "a clean stop leaves nothing to replay");
        }
    }

    /// Compares everything the log and the model show.
    async fn check_equal(&mut self) {
        let (log, model) = (self.log(), Arc::clone(&self.model));
        assert_eq!(
            (log.start_offset(), log.end_offset()),
            (model.start_offset(), model.end_offset()),
            "bounds"
        );
        let (found, expected) = (content(&*log).await.unwrap(), content(&*model).await.unwrap());
        let offsets = |batches: &[(i64, i64, Vec<u8>)]| -> Vec<_> {
            batches.iter().map(|(base, end, _)| (*base, *end)).collect()
        };
        assert_eq!(offsets(&found), offsets(&expected), "batches");
        assert!(found == expected, "bytes of batches");
        assert!(log.size_bytes() >= found.iter().map(|(_, _, bytes)| bytes.len() as u64).sum());
        assert_eq!(log.latest_epoch(), model.latest_epoch());
        for epoch in -1..=model.latest_epoch().unwrap_or(0) + 1 {
            let (found, expected) = (log.epoch_end_offset(epoch), model.epoch_end_offset(epoch));
            assert_eq!(found, expected, "end of epoch {epoch}");
        }
        for (base, end, _) in &expected {
            for offset in [(*base).max(log.start_offset()), end - 1] {
                assert_eq!(log.epoch_of(offset), model.epoch_of(offset), "epoch of {offset}");
            }
        }
    }

    /// Does one thing and checks everything.
    pub(crate) async fn step(&mut self, op: &Op) {
        self.note(&format!("{op:?}"));
        let outcome = self.perform(op).await;
        self.note(&format!("  {outcome}"));
        if let Some(mode) = self.disk.crashed() {
            self.start(Stop::crash(mode)).await;
        } else if !self.is_offline() {
            self.note_commits();
            self.check_equal().await;
        }
    }

    fn is_offline(&mut self) -> bool {
        let running = self.running();
        running.offline || running.observer.failed.load(Ordering::SeqCst)
    }

    /// With `flush.messages` 1 what is committed is durable.
    fn note_commits(&mut self) {
        let running = self.running();
        let observed = running.observer.committed.load(Ordering::SeqCst);
        let committed = observed.max(running.done_end);
        assert!(committed <= self.history.end_offset, "committed what was not accepted");
        if self.config.flush_messages == 1 && !self.tainted {
            self.history.durable_end = self.history.durable_end.max(committed);
        }
    }

    async fn perform(&mut self, op: &Op) -> String {
        match op {
            Op::Append(append) => {
                if self.history.latest_epoch().is_none() {
                    self.begin_epoch(0);
                }
                self.append(append)
            }
            Op::BeginEpoch { by } => {
                self.begin_epoch(self.history.latest_epoch().map_or(0, |epoch| epoch + by))
            }
            Op::Roll => {
                let snapshot = self.history.snapshot_at(self.history.end_offset);
                let result = self.log().roll(&mut || snapshot.clone());
                self.answer(result)
            }
            Op::DeleteBefore { percent } => self.delete_before(*percent),
            Op::Read { from_percent, until_percent, max_bytes } => {
                self.read(*from_percent, *until_percent, *max_bytes).await
            }
            Op::Times { ahead_ms } => self.times(*ahead_ms).await,
            Op::Flush => self.flush().await,
            Op::Wait { ms } => {
                self.clock.advance(*ms as i64);
                tokio::time::sleep(Duration::from_millis(*ms)).await;
                String::new()
            }
            Op::Configure { segment_bytes } => {
                self.config.segment_bytes = *segment_bytes;
                self.log().configure(self.config);
                self.model.configure(self.config);
                String::new()
            }
            Op::Reopen => self.reopen().await,
            Op::Crash(mode) => {
                self.disk.crash(*mode);
                String::new()
            }
            Op::Recreate(crash) => self.recreate(*crash).await,
            Op::FaultAfter { operations, fault } => {
                self.fault_at(self.disk.operations() + operations, *fault);
                String::new()
            }
            Op::Capacity { spare_bytes } => {
                self.disk.set_capacity_bytes(Some(self.disk.used_bytes() + spare_bytes));
                (self.armed, self.faulted) = (true, true);
                String::new()
            }
            Op::FailSyncs => {
                self.disk.set_failing_syncs(true);
                (self.armed, self.faulted, self.may_go_offline) = (true, true, true);
                String::new()
            }
            Op::ClearFaults => {
                self.disk.clear_faults();
                self.armed = false;
                String::new()
            }
        }
    }

    /// Notes what an answer says of the log; gives it for the trace.
    fn answer(&mut self, result: Result<(), AppendError>) -> String {
        let was_offline = self.is_offline();
        match result {
            Ok(()) => "done".to_owned(),
            Err(error) => {
                assert!(self.faulted, "{error} on a sound disk");
                if let AppendError::Offline(_) = &error {
                    let down = self.disk.crashed().is_some();
                    assert!(self.may_go_offline || down || was_offline, "{error} for want of room");
                    self.running().offline = true;
                } else {
                    assert!(self.armed || was_offline, "{error} with room again");
                }
                error.to_string()
            }
        }
    }

    fn append(&mut self, op: &Append) -> String {
        let was_offline = self.is_offline();
        self.serial = self.serial.wrapping_add(1);
        let batch = TestBatch {
            epoch: self.history.latest_epoch().unwrap_or(0),
            timestamp_ms: 1_000_000 + op.ahead_ms,
            control: op.control,
            payload: vec![self.serial; op.payload_bytes],
            ..TestBatch::new(self.history.end_offset + op.gap, op.count, 0)
        };
        let snapshot = self.history.snapshot_at(self.history.end_offset);
        let result = append(&*self.log(), &batch, &snapshot);
        if let Err(AppendError::LargerThanSegment { .. }) = result {
            assert!(batch.bytes().len() as u64 > self.config.segment_bytes);
            return "larger than a segment".to_owned();
        }
        match &result {
            Ok(commit) => {
                assert!(!was_offline, "an offline log accepts a batch");
                append(&*self.model, &batch, &snapshot).expect("the model accepts it, too");
                if self.history.latest_epoch() < Some(batch.epoch) {
                    self.history.epochs.push((batch.epoch, batch.base_offset));
                }
                self.history.push(batch);
                if *commit == Commit::Done {
                    self.running().done_end = self.history.end_offset;
                }
            }
            Err(AppendError::Offline(_)) if !was_offline => self.history.in_doubt = Some(batch),
            Err(_) => {}
        }
        self.answer(result.map(drop))
    }

    fn begin_epoch(&mut self, epoch: i32) -> String {
        let log = self.log();
        let result = log.begin_epoch(epoch);
        let newer = self.history.latest_epoch() < Some(epoch);
        match &result {
            Err(AppendError::Offline(_)) => self.history.epoch_in_doubt = Some(epoch),
            Err(_) if log.latest_epoch() != Some(epoch) => {}
            _ if newer => {
                self.model.begin_epoch(epoch).unwrap();
                self.history.epochs.push((epoch, self.history.end_offset));
            }
            _ => {}
        }
        self.answer(result)
    }

    fn delete_before(&mut self, percent: i64) -> String {
        let log = self.log();
        let (start, end) = (self.history.start_offset, self.history.end_offset);
        let offset = start + (end - start) * percent / 100;
        let result = log.delete_before(offset);
        self.history.start_in_doubt = self.history.start_in_doubt.max(offset);
        let was_done = match &result {
            Ok(()) => true,
            Err(AppendError::Offline(_)) => false,
            Err(_) => log.start_offset() == offset,
        };
        if was_done {
            self.model.delete_before(offset).unwrap();
            self.history.start_offset = offset;
        }
        self.answer(result)
    }

    async fn read(&mut self, from_percent: i64, until_percent: i64, max_bytes: usize) -> String {
        if self.is_offline() {
            return "offline".to_owned();
        }
        let (log, model) = (self.log(), Arc::clone(&self.model));
        let (start, end) = (log.start_offset(), log.end_offset());
        let from = start + (end - start) * from_percent / 100;
        let batches = &self.history.batches;
        let until = batches.get(batches.len() * until_percent as usize / 100);
        let until = until.map_or(end, |batch| batch.base_offset);
        let found = chunk_bytes(&log.read(from, until, max_bytes).await.unwrap().chunk);
        let first = chunk_bytes(&model.read(from, until, 0).await.unwrap().chunk).len();
        let expected = chunk_bytes(&model.read(from, until, usize::MAX).await.unwrap().chunk);
        assert!(expected.starts_with(&found), "read {from}..{until}");
        assert!((first..=max_bytes.max(first)).contains(&found.len()), "length of a read");
        format!("{from}..{until}: {} bytes", found.len())
    }

    async fn times(&mut self, ahead_ms: i64) -> String {
        if self.is_offline() {
            return "offline".to_owned();
        }
        let (log, model) = (self.log(), Arc::clone(&self.model));
        let time = 1_000_000 + ahead_ms;
        let found = log.first_batch_at_time(time).await.unwrap();
        assert_eq!(found, model.first_batch_at_time(time).await.unwrap(), "first at {time}");
        let largest = log.batch_of_max_timestamp().await.unwrap();
        assert_eq!(largest, model.batch_of_max_timestamp().await.unwrap(), "largest timestamp");
        format!("{:?}", found.map(|header| header.base_offset))
    }

    async fn flush(&mut self) -> String {
        let was_offline = self.is_offline();
        let result = self.log().flush().await;
        if result.is_ok() {
            assert!(!was_offline, "an offline log flushes");
            if !self.tainted {
                self.history.durable_end = self.history.end_offset;
            }
            let running = self.running();
            let observed = running.observer.committed.load(Ordering::SeqCst);
            let committed = observed.max(running.done_end);
            // What was there at the start needs no commit.
            let accepted = self.history.batches.last().filter(|_| committed > 0);
            let accepted = accepted.map_or(0, TestBatch::end_offset);
            assert!(committed >= accepted, "a flush commits {committed} of {accepted}");
        }
        self.answer(result)
    }

    async fn reopen(&mut self) -> String {
        let was_offline = self.is_offline();
        let snapshot = self.history.snapshot_at(self.history.end_offset);
        let closed = self.log().close(snapshot).await;
        assert!(closed.is_err() || !was_offline, "an offline log closes cleanly");
        let marked = self.running().engine.close(MARKER).await;
        let outcome = format!("{closed:?} {marked:?}");
        assert!(self.faulted || closed.is_ok() && marked.is_ok(), "{outcome} on a sound disk");
        let mut stop = Stop::crash(CrashMode::ProcessKill);
        if closed.is_ok() {
            stop.marker = marked.is_ok().then_some(true);
            if !self.tainted {
                self.history.durable_end = self.history.end_offset;
            }
            if marked.is_ok() && !self.tainted {
                stop.crash = None;
                self.history.durable_start = self.history.start_offset;
            }
        }
        if marked.is_err() || closed.is_err() {
            self.disk.crash(CrashMode::ProcessKill);
        }
        if self.disk.crashed() == Some(CrashMode::PowerLoss) {
            stop.crash = Some(CrashMode::PowerLoss);
        }
        self.start(stop).await;
        outcome
    }

    async fn recreate(&mut self, crash: Option<CrashMode>) -> String {
        let id = self.id();
        let deleted = self.running().engine.delete(&id).await;
        let outcome = format!("{deleted:?}");
        assert!(self.faulted || deleted.is_ok(), "{outcome} on a sound disk");
        self.deletion = match deleted {
            Ok(()) => Deletion::Done,
            Err(_) => Deletion::Asked,
        };
        self.disk.crash(crash.unwrap_or(CrashMode::ProcessKill));
        outcome
    }
}

fn append(log: &dyn Log, batch: &TestBatch, snapshot: &[u8]) -> Result<Commit, AppendError> {
    let bytes = BatchBytes { header: batch.header(), records: &batch.payload };
    log.append(bytes, &mut || snapshot.to_vec())
}

impl World {
    /// Ends a run: on a sound disk everything works again, and what is flushed stays.
    pub(crate) async fn settle(&mut self) {
        let one = Append { count: 2, payload_bytes: 30, ahead_ms: 7, gap: 0, control: false };
        let end = [
            Op::ClearFaults,
            Op::Configure { segment_bytes: 400 },
            Op::Crash(CrashMode::PowerLoss),
            Op::Append(one.clone()),
            Op::Flush,
            Op::Crash(CrashMode::PowerLoss),
            Op::Append(one),
            Op::Reopen,
            Op::Crash(CrashMode::PowerLoss),
        ];
        for op in end {
            self.step(&op).await;
        }
    }

    /// Adds what the disk did since the last time, then `line`.
    fn note(&mut self, line: &str) {
        for operation in self.disk.journal() {
            writeln!(self.trace, "    {operation}").unwrap();
        }
        writeln!(self.trace, "{line}").unwrap();
    }

    /// What was done and what became of it, down to the operations of the disk.
    pub(crate) fn trace(&mut self) -> &str {
        self.note("end");
        &self.trace
    }
}

impl Drop for World {
    fn drop(&mut self) {
        if std::thread::panicking() && std::env::var_os("OTTLA_TRACE").is_some() {
            eprintln!("{}", self.trace());
        }
    }
}

/// Runs a simulation: one thread, and time that jumps to the next timer.
pub(crate) fn block_on<T>(simulation: impl Future<Output = T>) -> T {
    let mut builder = tokio::runtime::Builder::new_current_thread();
    let runtime = builder.enable_time().start_paused(true).build();
    runtime.expect("a runtime without threads starts").block_on(simulation)
}
