//! The engine over the traits, against files of Apache Kafka's, and in all the states in which a
//! crash may leave a directory. Random crashes are the simulation's.

mod aborted;
mod doomed;
mod flushing;
mod golden;
mod preallocate;
mod recovery;
mod rewrite;

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use uuid::Uuid;

use super::*;
use crate::env::{
    Disk, Env, FileKind, Offload, OpenMode, OsDisk, Random, SimClock, SimDisk, Space, read_all,
    write_all_at,
};
use crate::log::conformance::{CONFIG, Observer, Storage, conformance_suite, listed};
use crate::log::test_batch::{TestBatch, aborted_by};
use crate::log::{Engine, LogId, Replay};
use crate::wire::Chunk;

fn env(disk: Arc<dyn Disk>) -> Env {
    Env {
        clock: Arc::new(SimClock::new(1_000_000)),
        random: Arc::new(Random::seeded(1)),
        disk,
        offload: Offload::pool(),
    }
}

fn start(disk: Arc<dyn Disk>, directory: &Path) -> Arc<LocalEngine> {
    LocalEngine::open(&env(disk), directory, EngineSettings::default()).unwrap()
}

struct TemporaryDirectory(tempfile::TempDir);

impl Storage for TemporaryDirectory {
    fn start(&self) -> BoxFuture<'_, Arc<dyn Engine>> {
        Box::pin(async { start(Arc::new(OsDisk), self.0.path()) as Arc<dyn Engine> })
    }
}

mod conformance {
    use super::*;
    conformance_suite!(TemporaryDirectory(tempfile::tempdir().unwrap()));
}

/// What a log told when it opened.
#[derive(Default)]
struct Replayed {
    snapshots: Vec<(i64, Vec<u8>)>,
    offsets: Vec<i64>,
}

impl Replay for Replayed {
    fn snapshot(&mut self, offset: i64, bytes: &[u8]) -> bool {
        self.snapshots.push((offset, bytes.to_vec()));
        bytes != b"bad"
    }

    fn batch(
        &mut self,
        header: &BatchHeader,
        _control: Option<&[u8]>,
    ) -> Option<AbortedTransaction> {
        self.offsets.push(header.base_offset);
        listed(aborted_by(header.is_control(), header.producer_id, header.base_offset))
    }
}

/// A directory of an engine on a simulated disk, with one log.
struct Bench {
    disk: SimDisk,
    config: LogConfig,
}

const ROOT: &str = "/data";
const LOG: &str = "/data/orders-0";

fn id() -> LogId {
    LogId { topic: "orders".into(), topic_id: Uuid::from_u128(7), partition: 0 }
}

impl Bench {
    fn new(config: LogConfig) -> Self {
        let disk = SimDisk::new(0);
        Self { disk, config }
    }

    fn start(&self) -> Arc<LocalEngine> {
        start(Arc::new(self.disk.clone()), ROOT.as_ref())
    }

    async fn open(&self, engine: &LocalEngine) -> (Arc<dyn Log>, Replayed) {
        let mut replayed = Replayed::default();
        let observer = Arc::new(Observer::default());
        let log = engine.open(&id(), self.config, observer, &mut replayed).await;
        (log.unwrap(), replayed)
    }

    /// Starts an engine and opens the log, which ends where `with` does; gives what was replayed.
    async fn restart<T>(&self, with: impl AsyncFnOnce(Arc<dyn Log>) -> T) -> (T, Replayed) {
        let engine = self.start();
        let (log, replayed) = self.open(&engine).await;
        (with(log).await, replayed)
    }

    /// A run that ends cleanly.
    async fn clean_run(&self, with: impl AsyncFnOnce(&Arc<dyn Log>)) {
        let engine = self.start();
        let (log, _) = self.open(&engine).await;
        with(&log).await;
        log.close(b"state".to_vec()).await.unwrap();
        engine.close(5).await.unwrap();
    }

    fn path(name: &str) -> std::path::PathBuf {
        Path::new(LOG).join(name)
    }

    fn bytes(&self, name: &str) -> Vec<u8> {
        read_file(&self.disk, &Self::path(name))
    }

    fn write(&self, name: &str, bytes: &[u8]) {
        let file = self.disk.open(&Self::path(name), OpenMode::Truncate).unwrap();
        write_all_at(file.as_ref(), bytes, 0).unwrap();
    }

    /// Changes a file's bytes.
    fn edit(&self, name: &str, edit: impl FnOnce(&mut Vec<u8>)) {
        let mut bytes = self.bytes(name);
        edit(&mut bytes);
        self.write(name, &bytes);
    }

    fn remove(&self, path: &str) {
        self.disk.remove_file(path.as_ref()).unwrap();
    }

    fn names(&self) -> Vec<String> {
        let mut names = self.disk.list(LOG.as_ref()).unwrap();
        names.sort();
        names
    }
}

fn read_file(disk: &dyn Disk, path: &Path) -> Vec<u8> {
    let file = disk.open(path, OpenMode::Read).unwrap();
    let mut bytes = vec![0; file.len().unwrap() as usize];
    read_all(file.as_ref(), &mut bytes, 0).unwrap();
    bytes
}

fn append(log: &dyn Log, batch: &TestBatch) -> Result<Commit, AppendError> {
    let bytes = BatchBytes { header: batch.header(), records: &batch.payload };
    let aborted = listed(batch.aborts());
    log.append(bytes, aborted, &mut || format!("at {}", batch.base_offset).into_bytes())
}

/// Appends `count` batches of one record in 161 bytes.
fn append_some(log: &dyn Log, count: i64) {
    for _ in 0..count {
        append(log, &TestBatch::new(log.end_offset(), 1, 100)).unwrap();
    }
}

/// Base offsets of all batches.
async fn offsets(log: &dyn Log) -> Vec<i64> {
    let (mut next, mut offsets) = (log.start_offset(), Vec::new());
    while next < log.end_offset() {
        let read = log.read(next, log.end_offset(), 0).await.unwrap();
        let header = BatchHeader::parse(&read.chunk.into_bytes().unwrap()).unwrap();
        offsets.push(header.base_offset);
        next = header.last_offset() + 1;
    }
    offsets
}
