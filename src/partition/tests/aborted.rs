//! Aborted transactions: what readers are told, live and after every way to stop.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use super::*;
use crate::env::{CrashMode, Disk, OpenMode, OsDisk, read_all, write_all_at};
use crate::log::AbortedTransaction;
use crate::log::local::{EngineSettings, LocalEngine};
use crate::partition::producers::marker as parse_marker;

const STEPS: usize = 150;
const SEEDS: u64 = 40;

/// A batch as the run remembers it.
#[derive(Clone, Copy)]
struct Written {
    base_offset: i64,
    end_offset: i64,
    producer_id: i64,
    /// A marker that commits or aborts; None for data of a transaction.
    ends: Option<bool>,
}

/// Every abort of a transaction that is not empty, by the definition.
fn aborts(written: &[Written]) -> Vec<AbortedTransaction> {
    let mut open = BTreeMap::new();
    let mut aborted = Vec::new();
    for batch in written.iter().filter(|batch| batch.producer_id >= 0) {
        let Some(commits) = batch.ends else {
            open.entry(batch.producer_id).or_insert(batch.base_offset);
            continue;
        };
        let first = open.remove(&batch.producer_id);
        if let Some(first_offset) = first.filter(|_| !commits) {
            let after = batch.base_offset + 1;
            aborted.push(AbortedTransaction {
                producer_id: batch.producer_id,
                first_offset,
                last_offset: batch.base_offset,
                last_stable_offset: open.values().copied().min().unwrap_or(after),
            });
        }
    }
    aborted
}

/// What a consumer takes of batches with a list (Java's `CompletedFetch`).
fn consumed(bytes: &[u8], aborted: &[AbortedTransaction]) -> Vec<i64> {
    let mut waiting: Vec<_> =
        aborted.iter().map(|one| (one.first_offset, one.producer_id)).collect();
    waiting.sort_unstable();
    let (mut waiting, mut ids) = (waiting.into_iter().peekable(), BTreeSet::new());
    let mut bases = Vec::new();
    // The last one may be cut.
    for (header, batch) in Batches::new(bytes).map_while(Result::ok) {
        while let Some((_, id)) = waiting.next_if(|(first, _)| *first <= header.last_offset()) {
            ids.insert(id);
        }
        if parse_marker(&header, batch).is_some() {
            ids.remove(&header.producer_id);
        } else if !(header.is_transactional() && ids.contains(&header.producer_id)) {
            bases.push(header.base_offset);
        }
    }
    bases
}

/// A partition on a disk that crashes.
struct Run {
    random: fastrand::Rng,
    disk: SimDisk,
    config: Arc<TopicConfig>,
    engine: Arc<LocalEngine>,
    partition: Arc<Partition>,
    written: Vec<Written>,
    /// Power may be lost, and with it snapshots: of a transaction that began in a deleted segment
    /// only the rest may be known then.
    loses_power: bool,
}

async fn start(disk: &SimDisk, config: &Arc<TopicConfig>) -> (Arc<LocalEngine>, Arc<Partition>) {
    let (_, env) = env();
    let env = Env { disk: Arc::new(disk.clone()), ..env };
    let settings = EngineSettings { open_files_max: 5, ..EngineSettings::default() };
    let engine = LocalEngine::open(&env, Path::new("/data"), settings).unwrap();
    let id = LogId { topic: "orders".into(), topic_id: Uuid::from_u128(7), partition: 0 };
    let opened = Partition::open(&env, &*engine, id, 3, Arc::clone(config)).await;
    (engine, opened.unwrap())
}

impl Run {
    async fn new(seed: u64) -> Self {
        let mut random = fastrand::Rng::with_seed(seed);
        let config = TopicConfig {
            segment_bytes: random.u32(600..4_000),
            index_interval_bytes: [1, 300, 4096][random.usize(0..3)],
            flush_messages: [1, i64::MAX][random.usize(0..2)],
            ..TopicConfig::default()
        };
        let (disk, config) = (SimDisk::new(seed), Arc::new(config));
        let (engine, partition) = start(&disk, &config).await;
        let loses_power = random.bool();
        Self { random, disk, config, engine, partition, written: Vec::new(), loses_power }
    }

    fn append(&mut self, producer_id: i64, ends: Option<bool>) {
        let count = self.random.i32(1..4);
        let appended = self.partition.append_internal(None, |base| match ends {
            Some(commits) => marker(base, producer_id, 0, commits),
            None if producer_id >= 0 => transactional_at(base, (producer_id, 0), 0, count),
            None => filled(BatchBuilder::new(base, -1), count),
        });
        let Appended { base_offset, end_offset, .. } = appended.unwrap();
        self.written.push(Written { base_offset, end_offset, producer_id, ends });
    }

    async fn restart(&mut self, crash: Option<CrashMode>) {
        if let Some(mode) = crash {
            self.disk.crash(mode);
        } else {
            self.partition.close().await.unwrap();
            crate::log::Engine::close(&*self.engine, 5).await.unwrap();
            let lose = if self.loses_power { CrashMode::PowerLoss } else { CrashMode::ProcessKill };
            self.disk.crash(lose);
        }
        self.disk = self.disk.restart();
        (self.engine, self.partition) = start(&self.disk, &self.config).await;
        let end_offset = self.partition.bounds().end_offset;
        self.written.retain(|batch| batch.end_offset <= end_offset);
        let last = self.written.last().map_or(0, |batch| batch.end_offset);
        assert_eq!(end_offset, last.max(self.partition.bounds().log_start_offset));
    }

    async fn step(&mut self) {
        let producer_id = self.random.i64(0..4);
        match self.random.u8(0..40) {
            0 => self.restart(None).await,
            1 => self.restart(Some(CrashMode::ProcessKill)).await,
            2 if self.loses_power => self.restart(Some(CrashMode::PowerLoss)).await,
            2 | 3 => self.partition.roll().unwrap(),
            4 => {
                let bounds = self.partition.bounds();
                let (start, end) = (bounds.log_start_offset, bounds.last_stable_offset);
                let offset = self.random.i64(start..=end);
                self.partition.delete_before(offset).unwrap();
            }
            5..8 => self.partition.flush().await.unwrap(),
            8..12 => self.append(-1, None),
            12..25 => self.append(producer_id, None),
            _ => {
                let commits = self.random.bool();
                self.append(producer_id, Some(commits));
            }
        }
    }

    async fn check(&mut self, told: &str) {
        let bounds = self.partition.bounds();
        let all = aborts(&self.written);
        if !self.loses_power {
            self.check_entries(&all, told).await;
        }
        let bases = |aborted: bool| {
            let is_taken = |batch: &&Written| {
                let of_it = |one: &&AbortedTransaction| one.producer_id == batch.producer_id;
                let holds = |one: &AbortedTransaction| {
                    (one.first_offset..=one.last_offset).contains(&batch.base_offset)
                };
                batch.ends.is_none() && (aborted || !all.iter().filter(of_it).any(holds))
            };
            self.written.iter().filter(is_taken).collect::<Vec<_>>()
        };
        let from = self.random.i64(bounds.log_start_offset..=bounds.last_stable_offset);
        let max_bytes = self.random.usize(0..2_000);
        let isolation = Isolation::ReadCommitted;
        let outcome = self.partition.read(from, max_bytes, isolation).await.unwrap();
        let bytes = outcome.chunk.into_bytes().unwrap();
        let taken = consumed(&bytes, &outcome.aborted.unwrap());
        let end = headers_end(&bytes).unwrap_or(from);
        let is_read = |batch: &&&Written| batch.end_offset > from && batch.end_offset <= end;
        let expected: Vec<_> = bases(false).iter().filter(is_read).map(|b| b.base_offset).collect();
        assert_eq!(taken, expected, "{told}, from {from}");
        for isolation in [Isolation::ReadUncommitted, Isolation::LogEnd] {
            let outcome = self.partition.read(from, max_bytes, isolation).await.unwrap();
            assert!(outcome.aborted.is_none(), "{told}");
        }
    }

    /// The log has exactly the entries of the model, the last stable offsets, too.
    async fn check_entries(&self, all: &[AbortedTransaction], told: &str) {
        let log = &self.partition.log;
        let (mut from, mut found) = (log.start_offset(), BTreeMap::new());
        let first = from;
        while from < log.end_offset() {
            let read = log.read_committed(from, log.end_offset(), 1 << 20).await.unwrap();
            let Some(end) = headers_end(&read.chunk.into_bytes().unwrap()) else { break };
            found.extend(read.aborted.iter().map(|one| (one.last_offset, *one)));
            from = end;
        }
        let expected = all.iter().filter(|one| one.last_offset >= first).copied();
        let found: Vec<_> = found.into_values().collect();
        assert_eq!(found, expected.collect::<Vec<_>>(), "{told}");
    }
}

/// The offset after the last whole batch.
fn headers_end(bytes: &[u8]) -> Option<i64> {
    let last = Batches::new(bytes).map_while(Result::ok).last();
    last.map(|(header, _)| header.last_offset() + 1)
}

#[tokio::test(start_paused = true)]
async fn consumers_take_what_was_committed_whatever_stopped_the_broker() {
    for seed in 0..SEEDS {
        let mut run = Run::new(seed).await;
        for step in 0..STEPS {
            run.step().await;
            run.check(&format!("seed {seed}, step {step}")).await;
        }
    }
}

/// What Apache Kafka 4.3.0 wrote and closed: three producers, whose transactions were aborted but
/// for one that committed and one that is open.
fn kafkas(suffix: &str) -> Vec<u8> {
    let directory = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/golden/local/aborted-0");
    read_file(&OsDisk, &Path::new(directory).join(suffix))
}

fn read_file(disk: &dyn Disk, path: &Path) -> Vec<u8> {
    let file = disk.open(path, OpenMode::Read).unwrap();
    let mut bytes = vec![0; file.len().unwrap() as usize];
    read_all(file.as_ref(), &mut bytes, 0).unwrap();
    bytes
}

const LOG: &str = "00000000000000000000.log";
const INDEX: &str = "00000000000000000000.txnindex";
const SNAPSHOT: &str = "00000000000000000017.snapshot";

#[tokio::test]
async fn kafkas_index_is_read_and_made_anew_byte_for_byte() {
    let config = Arc::new(TopicConfig::default());
    for files in [&[LOG, INDEX, SNAPSHOT][..], &[LOG, INDEX], &[LOG]] {
        let disk = SimDisk::new(1);
        disk.create_dir_all(Path::new("/data/orders-0")).unwrap();
        for name in files {
            let path = Path::new("/data/orders-0").join(name);
            let file = disk.open(&path, OpenMode::Truncate).unwrap();
            write_all_at(file.as_ref(), &kafkas(name), 0).unwrap();
        }
        let (_engine, partition) = start(&disk, &config).await;
        let outcome = partition.read(0, 1 << 20, Isolation::ReadCommitted).await.unwrap();
        let told: Vec<_> = outcome.aborted.unwrap();
        let told: Vec<_> = told.iter().map(|one| (one.producer_id, one.first_offset)).collect();
        assert_eq!(told, [(0, 0), (1, 2), (0, 13)]);
        assert_eq!((outcome.bounds.last_stable_offset, outcome.bounds.end_offset), (15, 17));
        partition.close().await.unwrap();
        for name in [LOG, INDEX, SNAPSHOT] {
            let bytes = read_file(&disk, &Path::new("/data/orders-0").join(name));
            assert_eq!(bytes, kafkas(name), "{name} of {files:?}");
        }
    }
}

#[tokio::test]
async fn the_same_appends_make_kafkas_index() {
    let disk = SimDisk::new(1);
    let (_engine, partition) = start(&disk, &Arc::default()).await;
    for batch in Batches::new(&kafkas(LOG)) {
        let (_, batch) = batch.unwrap();
        partition.append_internal(None, |_| batch.to_vec()).unwrap();
    }
    partition.close().await.unwrap();
    assert_eq!(read_file(&disk, &Path::new("/data/orders-0").join(INDEX)), kafkas(INDEX));
    assert_eq!(read_file(&disk, &Path::new("/data/orders-0").join(SNAPSHOT)), kafkas(SNAPSHOT));
}

#[tokio::test]
async fn only_aborts_of_transactions_with_records_are_listed() {
    let bench = Bench::new().await;
    let begin = |producer: i64| {
        bench.append_internal(|base| transactional_at(base, (producer, 0), 0, 2));
    };
    let told = async |from| {
        let read = bench.partition.read(from, 1 << 20, Isolation::ReadCommitted).await.unwrap();
        let aborted = read.aborted.unwrap().into_iter();
        aborted.map(|one| (one.producer_id, one.first_offset)).collect::<Vec<_>>()
    };
    assert_eq!(told(0).await, []);
    bench.mark(5, 0, false); // 0: nothing was open
    begin(5); // 1
    begin(6); // 3
    bench.mark(5, 0, true); // 5
    bench.mark(6, 0, false); // 6
    begin(5); // 7
    bench.mark(5, 1, false); // 9: of a newer epoch
    bench.mark(5, 1, false); // 10: again
    begin(6); // 11: open
    assert_eq!(bench.last_stable_offset(), 11);
    assert_eq!(told(0).await, [(6, 3), (5, 7)]);
    assert_eq!(told(7).await, [(5, 7)]);
    assert_eq!(told(10).await, []);
    assert_eq!(told(12).await, [], "above the last stable offset");
}
