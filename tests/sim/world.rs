//! One log of the local engine on a simulated disk, and what it must hold.
//!
//! [`World::step`] does one thing to the log and to a log in memory, then compares what both show.
//! After a crash the log may have lost what was not promised: the checks are that the rest is a
//! prefix, that nothing promised is gone and that nothing refused is there.

mod history;
mod steps;

use std::fmt::Write as _;
use std::path::Path;
use std::sync::Arc;

use ottla::env::{CrashMode, Env, Fault, Offload, Random, SimClock, SimDisk};
use ottla::log::local::{EngineSettings, LocalEngine};
use ottla::log::{CommitObserver, Engine, Log, LogConfig, LogId};
use uuid::Uuid;

use crate::test_batch::TestBatch;
use history::{History, Observer, Replayed, append, content, memory_log, skip_to};
pub(crate) use steps::{Append, Op};

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

/// A configuration that rolls after `segment_bytes` and never flushes by count.
pub(crate) fn config(segment_bytes: u64) -> LogConfig {
    LogConfig {
        segment_bytes,
        segment_ms: i64::MAX,
        segment_jitter_ms: 0,
        segment_index_bytes: 10 << 20,
        index_interval_bytes: 4096,
        flush_messages: i64::MAX,
        flush_ms: i64::MAX,
        preallocate: false,
        file_delete_delay_ms: 60_000,
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
            engine.delete(&[self.id()]).await.map_err(|error| error.to_string())?;
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
            history.begin_epoch(latest, end);
        }
        history.start_offset = start;
        history.start_in_doubt = start;
        if power_loss {
            history.move_epochs_over_gaps(&*log);
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
            while let Some((epoch, start)) =
                epochs.next_if(|(_, start)| *start <= batch.base_offset)
            {
                if *start <= self.model.end_offset() {
                    self.model.begin_epoch(*epoch).unwrap();
                }
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
        self.history.check_aborted(&*log).await;
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
