//! What every engine must do: one suite over the traits, instantiated once for each engine by
//! [`conformance_suite`].

mod aborted;
mod rewrite;
mod segments;

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

use uuid::Uuid;

pub(crate) use self::aborted::*;
pub(crate) use self::rewrite::*;
pub(crate) use self::segments::*;
use super::test_batch::{TestBatch, aborted_by, split_batches};
use super::*;
use crate::env::read_all;

/// Starts an engine over one storage: the first time an empty one, later what the last one left,
/// which was closed or just dropped.
pub(crate) trait Storage: Send + Sync {
    fn start(&self) -> BoxFuture<'_, Arc<dyn Engine>>;
}

pub(crate) const CONFIG: LogConfig = LogConfig {
    segment_bytes: 1 << 20,
    segment_ms: i64::MAX,
    segment_jitter_ms: 0,
    segment_index_bytes: 10 << 20,
    index_interval_bytes: 100,
    flush_messages: i64::MAX,
    flush_ms: i64::MAX,
    preallocate: false,
    file_delete_delay_ms: 60_000,
};

/// Hears of commits and checks that they go up.
#[derive(Default)]
pub(crate) struct Observer {
    pub(crate) committed: Mutex<i64>,
    pub(crate) failed: AtomicBool,
}

impl CommitObserver for Observer {
    fn committed(&self, end_offset: i64) {
        let mut committed = self.committed.lock().unwrap();
        assert!(*committed <= end_offset, "commits go up");
        *committed = end_offset;
    }

    fn failed(&self) {
        self.failed.store(true, Ordering::SeqCst);
    }
}

/// What a log told while it opened.
#[derive(Default)]
pub(crate) struct Replayed {
    /// How many snapshots to refuse.
    refuse: usize,
    offered: Vec<(i64, Vec<u8>)>,
    batches: Vec<(i64, i64)>,
    controls: Vec<Vec<u8>>,
}

impl Replay for Replayed {
    fn snapshot(&mut self, offset: i64, bytes: &[u8]) -> bool {
        self.offered.push((offset, bytes.to_vec()));
        let is_usable = self.offered.len() > self.refuse;
        if is_usable {
            (self.batches, self.controls) = (Vec::new(), Vec::new());
        }
        is_usable
    }

    fn batch(
        &mut self,
        header: &BatchHeader,
        control: Option<&[u8]>,
    ) -> Option<AbortedTransaction> {
        self.batches.push((header.base_offset, header.last_offset() + 1));
        assert_eq!(header.is_control(), control.is_some());
        self.controls.extend(control.map(<[u8]>::to_vec));
        listed(aborted_by(header.is_control(), header.producer_id, header.base_offset))
    }
}

pub(crate) fn listed(fields: Option<[i64; 4]>) -> Option<AbortedTransaction> {
    let [producer_id, first_offset, last_offset, last_stable_offset] = fields?;
    Some(AbortedTransaction { producer_id, first_offset, last_offset, last_stable_offset })
}

fn id(topic: &str, partition: i32) -> LogId {
    LogId {
        topic: topic.into(),
        topic_id: Uuid::from_u128(0x1234_5678_9abc_4def_8123_4567_89ab_cdef),
        partition,
    }
}

async fn open_with(
    engine: &Arc<dyn Engine>,
    config: LogConfig,
    refuse: usize,
) -> (Arc<dyn Log>, Replayed) {
    let mut replayed = Replayed { refuse, ..Replayed::default() };
    let observer = Arc::new(Observer::default());
    let id = id("orders", 3);
    let log = engine.open(&id, config, observer, &mut replayed).await.unwrap();
    (log, replayed)
}

async fn open(engine: &Arc<dyn Engine>) -> Arc<dyn Log> {
    open_with(engine, CONFIG, 0).await.0
}

fn append(log: &dyn Log, batch: &TestBatch) {
    try_append(log, batch, b"").unwrap();
}

fn try_append(log: &dyn Log, batch: &TestBatch, snapshot: &[u8]) -> Result<Commit, AppendError> {
    let bytes = BatchBytes { header: batch.header(), records: &batch.payload };
    log.append(bytes, listed(batch.aborts()), &mut || snapshot.to_vec())
}

/// Batches of two offsets each, appended.
fn append_pairs(log: &dyn Log, count: usize, payload_bytes: usize) -> Vec<TestBatch> {
    let append_pair = |_| {
        let batch = TestBatch::new(log.end_offset(), 2, payload_bytes);
        append(log, &batch);
        batch
    };
    (0..count).map(append_pair).collect()
}

fn chunk_bytes(chunk: &Chunk) -> Vec<u8> {
    match chunk {
        Chunk::Bytes(bytes) => bytes.to_vec(),
        Chunk::File { file, position, length } => {
            let mut bytes = vec![0; *length];
            let read = read_all(&**file, &mut bytes, *position).unwrap();
            assert_eq!(read, *length, "a chunk promises only bytes that are there");
            bytes
        }
    }
}

async fn read(log: &dyn Log, from: i64, until: i64, max_bytes: usize) -> Vec<u8> {
    chunk_bytes(&log.read(from, until, max_bytes).await.unwrap().chunk)
}

/// Reads `from..until` in steps of at most `max_bytes`.
async fn read_through(log: &dyn Log, mut from: i64, until: i64, max_bytes: usize) -> Vec<u8> {
    let mut whole = Vec::new();
    while from < until {
        let batches = split_batches(&read(log, from, until, max_bytes).await);
        let Some((_, next, _)) = batches.last() else {
            break;
        };
        from = *next;
        whole.extend(batches.iter().flat_map(|(_, _, bytes)| bytes.clone()));
    }
    whole
}

async fn all(log: &dyn Log) -> Vec<u8> {
    read_through(log, log.start_offset(), log.end_offset(), 1000).await
}

fn bytes_of(batches: &[TestBatch]) -> Vec<u8> {
    batches.iter().flat_map(TestBatch::bytes).collect()
}

pub(crate) async fn append_then_read(storage: &dyn Storage) {
    let engine = storage.start().await;
    let log = open(&engine).await;
    assert_eq!((log.start_offset(), log.end_offset(), log.size_bytes()), (0, 0, 0));
    assert_eq!(read(&*log, 0, 0, 1000).await, b"");
    let batches = append_pairs(&*log, 20, 150);
    assert_eq!(log.end_offset(), 40);
    assert_eq!(log.size_bytes(), bytes_of(&batches).len() as u64);
    assert_eq!(read(&*log, 0, 40, 1 << 20).await, bytes_of(&batches));
    assert_eq!(all(&*log).await, bytes_of(&batches));
}

pub(crate) async fn read_gives_the_first_batch_whole_and_cuts_the_rest(storage: &dyn Storage) {
    let engine = storage.start().await;
    let log = open(&engine).await;
    let batches = append_pairs(&*log, 10, 150);
    let whole = bytes_of(&batches);
    for max_bytes in [0, 1, 210, 211, 212, 300, 700] {
        for index in 0..10 {
            // Both offsets of a batch lead to its beginning.
            for from in [index * 2, index * 2 + 1] {
                let bytes = read(&*log, from, 20, max_bytes).await;
                assert!(whole[index as usize * 211..].starts_with(&bytes));
                assert!(bytes.len() >= 211 && bytes.len() <= max_bytes.max(211));
            }
        }
    }
}

pub(crate) async fn read_stops_below_the_bound(storage: &dyn Storage) {
    let engine = storage.start().await;
    let log = open(&engine).await;
    let whole = bytes_of(&append_pairs(&*log, 10, 150));
    for until in (0..=20).step_by(2) {
        for from in 0..until {
            let bytes = read(&*log, from, until, 1 << 20).await;
            assert_eq!(bytes, whole[from as usize / 2 * 211..until as usize / 2 * 211]);
        }
        for from in until..=20 {
            assert_eq!(read(&*log, from, until, 1 << 20).await, b"");
        }
    }
}

pub(crate) async fn read_outside_of_the_log_is_refused(storage: &dyn Storage) {
    let engine = storage.start().await;
    let log = open(&engine).await;
    append_pairs(&*log, 10, 150);
    log.delete_before(5).unwrap();
    for offset in [-1, 0, 4, 21, i64::MAX] {
        match log.read(offset, 20, 1000).await {
            Err(ReadError::OutOfRange { offset: asked, start_offset: 5, end_offset: 20 }) => {
                assert_eq!(asked, offset);
            }
            other => panic!("offset {offset}: {other:?}"),
        }
    }
    assert_eq!(read(&*log, 20, 20, 1000).await, b"");
}

pub(crate) async fn segments_change_nothing_a_reader_sees(storage: &dyn Storage) {
    let engine = storage.start().await;
    let config = LogConfig { segment_bytes: 500, ..CONFIG };
    let (log, _) = open_with(&engine, config, 0).await;
    let mut batches = Vec::new();
    for payload_bytes in [0, 10, 439, 300, 100, 439, 1, 1, 1, 200, 0] {
        batches.extend(append_pairs(&*log, 1, payload_bytes));
    }
    let whole = bytes_of(&batches);
    for max_bytes in [1, 100, 500, 5000] {
        assert_eq!(read_through(&*log, 0, 22, max_bytes).await, whole);
    }
    for batch in &batches {
        let bytes = read(&*log, batch.base_offset + 1, 22, 1).await;
        assert_eq!(bytes, batch.bytes());
    }
    assert_eq!(log.size_bytes(), whole.len() as u64);
}

pub(crate) async fn a_batch_larger_than_a_segment_is_refused(storage: &dyn Storage) {
    let engine = storage.start().await;
    let config = LogConfig { segment_bytes: 200, ..CONFIG };
    let (log, _) = open_with(&engine, config, 0).await;
    let first = append_pairs(&*log, 1, 139);
    let batch = TestBatch::new(2, 1, 140);
    match try_append(&*log, &batch, b"") {
        Err(AppendError::LargerThanSegment { size_bytes: 201, segment_bytes: 200 }) => {}
        other => panic!("{other:?}"),
    }
    assert_eq!(log.end_offset(), 2);
    assert_eq!(all(&*log).await, bytes_of(&first));
    log.configure(CONFIG);
    append(&*log, &batch);
    assert_eq!(all(&*log).await, [bytes_of(&first), batch.bytes()].concat());
}

pub(crate) async fn roll_and_delete_before_free_segments(storage: &dyn Storage) {
    let engine = storage.start().await;
    let log = open(&engine).await;
    let mut batches = append_pairs(&*log, 5, 150);
    log.roll(&mut Vec::new).unwrap();
    log.roll(&mut Vec::new).unwrap();
    batches.extend(append_pairs(&*log, 5, 150));
    let reader = log.read(0, 20, 400).await.unwrap();
    log.delete_before(3).unwrap();
    log.delete_before(2).unwrap();
    assert_eq!((log.start_offset(), log.end_offset()), (3, 20));
    // The batch that holds the start is whole.
    assert_eq!(all(&*log).await, bytes_of(&batches[1..]));
    log.delete_before(12).unwrap();
    assert_eq!(all(&*log).await, bytes_of(&batches[6..]));
    assert!(log.size_bytes() <= 5 * 211);
    log.delete_before(20).unwrap();
    assert_eq!((log.start_offset(), log.end_offset()), (20, 20));
    assert_eq!(read(&*log, 20, 20, 1000).await, b"");
    let later = append_pairs(&*log, 2, 50);
    assert_eq!(all(&*log).await, bytes_of(&later));
    // A reader keeps what it was given.
    assert!(bytes_of(&batches).starts_with(&chunk_bytes(&reader.chunk)));
}

pub(crate) async fn offsets_may_have_gaps(storage: &dyn Storage) {
    let engine = storage.start().await;
    let log = open(&engine).await;
    let batches =
        [TestBatch::new(0, 2, 10), TestBatch::new(10, 1, 10), TestBatch::new(100_000, 5, 10)];
    for batch in &batches {
        append(&*log, batch);
    }
    assert_eq!(log.end_offset(), batches[2].end_offset());
    for (from, index) in [(0, 0), (1, 0), (2, 1), (10, 1), (11, 2), (99_999, 2), (100_004, 2)] {
        assert_eq!(read(&*log, from, 100_005, 1).await, batches[index].bytes());
    }
    assert_eq!(all(&*log).await, bytes_of(&batches));
    log.delete_before(5).unwrap();
    assert_eq!(read(&*log, 5, 100_005, 1).await, batches[1].bytes());
    // Further than a segment's relative offsets reach.
    let far = TestBatch::new(1 << 40, 1, 10);
    append(&*log, &far);
    assert_eq!(read(&*log, 100_005, (1 << 40) + 1, 1).await, far.bytes());
}

pub(crate) async fn batches_are_found_by_time(storage: &dyn Storage) {
    let engine = storage.start().await;
    let config = LogConfig { segment_bytes: 500, ..CONFIG };
    let (log, _) = open_with(&engine, config, 0).await;
    assert!(log.batch_of_max_timestamp().await.unwrap().is_none());
    assert!(log.first_batch_at_time(0).await.unwrap().is_none());
    let times = [50, 20, 70, 70, 10, 60, 90, 90, 30, -1];
    for (index, timestamp_ms) in times.into_iter().enumerate() {
        append(&*log, &TestBatch { timestamp_ms, ..TestBatch::new(index as i64, 1, 100) });
    }
    for start in 0..10 {
        log.delete_before(start).unwrap();
        let rest = || (start..10).map(|index| (index, times[index as usize]));
        for time in 0..100 {
            let found = log.first_batch_at_time(time).await.unwrap();
            let expected = rest().find(|(_, timestamp_ms)| *timestamp_ms >= time);
            assert_eq!(
                found.map(|header| (header.base_offset, header.max_timestamp)),
                expected,
                "start {start} time {time}"
            );
        }
        let found = log.batch_of_max_timestamp().await.unwrap();
        let expected = rest().rev().max_by_key(|(_, timestamp_ms)| *timestamp_ms);
        assert_eq!(found.map(|header| (header.base_offset, header.max_timestamp)), expected);
    }
    log.delete_before(10).unwrap();
    assert!(log.batch_of_max_timestamp().await.unwrap().is_none());
}

pub(crate) async fn epochs_end_where_the_next_begins(storage: &dyn Storage) {
    let engine = storage.start().await;
    let log = open(&engine).await;
    assert_eq!((log.latest_epoch(), log.epoch_end_offset(0), log.epoch_of(0)), (None, None, None));
    let append_in = |epoch: i32| {
        log.begin_epoch(epoch).unwrap();
        let batch = TestBatch::new(log.end_offset(), 10, 10);
        append(&*log, &TestBatch { epoch, ..batch });
    };
    append_in(2); // 0..10
    append_in(2); // 10..20
    log.begin_epoch(1).unwrap();
    assert_eq!(log.latest_epoch(), Some(2));
    log.begin_epoch(3).unwrap(); // without a batch: leaves no trace
    append_in(5); // 20..30
    append_in(8); // 30..40
    let check = |log: &dyn Log| {
        assert_eq!(log.latest_epoch(), Some(8));
        let ends: Vec<_> = (-1..10).map(|epoch| log.epoch_end_offset(epoch)).collect();
        let (two, five) = (Some((2, 20)), Some((5, 30)));
        let eight = Some((8, 40));
        // Below the first known epoch Kafka answers the epoch asked for and where the first begins.
        let (zero, one) = (Some((0, 0)), Some((1, 0)));
        assert_eq!(ends, [None, zero, one, two, two, two, five, five, five, eight, None]);
        let of: Vec<_> = [0, 19, 20, 29, 30, 39].map(|offset| log.epoch_of(offset)).into();
        assert_eq!(of, [2, 2, 5, 5, 8, 8].map(Some));
    };
    check(&*log);
    log.close(b"s".to_vec()).await.unwrap();
    drop(log);
    engine.close(7).await.unwrap();
    drop(engine);
    let engine = storage.start().await;
    let log = open(&engine).await;
    check(&*log);
    log.delete_before(25).unwrap();
    assert_eq!((log.epoch_of(24), log.epoch_of(25)), (None, Some(5)));
    assert_eq!(log.epoch_end_offset(2), Some((2, 25)));
    assert_eq!(log.epoch_end_offset(5), Some((5, 30)));
}

pub(crate) async fn an_epoch_survives_without_a_batch(storage: &dyn Storage) {
    let engine = storage.start().await;
    let log = open(&engine).await;
    log.begin_epoch(4).unwrap();
    drop((log, engine));
    let engine = storage.start().await;
    let log = open(&engine).await;
    assert_eq!(log.latest_epoch(), Some(4));
    assert_eq!(log.epoch_end_offset(4), Some((4, 0)));
}

pub(crate) async fn an_unclean_stop_replays_every_batch(storage: &dyn Storage) {
    let engine = storage.start().await;
    let (log, replayed) = open_with(&engine, CONFIG, 0).await;
    assert!(replayed.offered.is_empty() && replayed.batches.is_empty());
    let mut batches = append_pairs(&*log, 3, 50);
    let control = TestBatch { control: true, ..TestBatch::new(6, 1, 20) };
    append(&*log, &control);
    batches.push(control.clone());
    drop((log, engine));
    let engine = storage.start().await;
    assert_eq!(engine.clean_shutdown_epoch(), None);
    let (log, replayed) = open_with(&engine, CONFIG, 0).await;
    assert_eq!(replayed.batches, [(0, 2), (2, 4), (4, 6), (6, 7)]);
    assert_eq!(replayed.controls, [control.bytes()]);
    assert_eq!(all(&*log).await, bytes_of(&batches));
}

pub(crate) async fn a_clean_stop_replays_nothing(storage: &dyn Storage) {
    let engine = storage.start().await;
    let log = open(&engine).await;
    let mut batches = append_pairs(&*log, 3, 50);
    log.delete_before(3).unwrap();
    log.close(b"state".to_vec()).await.unwrap();
    drop(log);
    engine.close(7).await.unwrap();
    drop(engine);

    let engine = storage.start().await;
    assert_eq!(engine.clean_shutdown_epoch(), Some(7));
    let (log, replayed) = open_with(&engine, CONFIG, 0).await;
    assert_eq!(replayed.offered, [(6, b"state".to_vec())]);
    assert!(replayed.batches.is_empty());
    assert_eq!((log.start_offset(), log.end_offset()), (3, 6));
    batches.remove(0);
    assert_eq!(all(&*log).await, bytes_of(&batches));
    append_pairs(&*log, 1, 50);
    drop((log, engine));

    // The marker counts for one start; the snapshot stays good.
    let engine = storage.start().await;
    assert_eq!(engine.clean_shutdown_epoch(), None);
    let (_log, replayed) = open_with(&engine, CONFIG, 0).await;
    assert_eq!(replayed.offered, [(6, b"state".to_vec())]);
    assert_eq!(replayed.batches, [(6, 8)]);
}

pub(crate) async fn replay_begins_at_the_newest_usable_snapshot(storage: &dyn Storage) {
    let engine = storage.start().await;
    let log = open(&engine).await;
    append_pairs(&*log, 2, 50);
    log.roll(&mut || b"at 4".to_vec()).unwrap();
    append_pairs(&*log, 2, 50);
    log.roll(&mut || b"at 8".to_vec()).unwrap();
    append_pairs(&*log, 1, 50);
    drop((log, engine));

    let engine = storage.start().await;
    let (log, replayed) = open_with(&engine, CONFIG, 0).await;
    assert_eq!(replayed.offered, [(8, b"at 8".to_vec())]);
    assert_eq!(replayed.batches, [(8, 10)]);
    drop((log, engine));

    let engine = storage.start().await;
    let (log, replayed) = open_with(&engine, CONFIG, 1).await;
    assert_eq!(replayed.offered, [(8, b"at 8".to_vec()), (4, b"at 4".to_vec())]);
    assert_eq!(replayed.batches, [(4, 6), (6, 8), (8, 10)]);
    drop((log, engine));

    // A refused snapshot is gone.
    let engine = storage.start().await;
    let (_log, replayed) = open_with(&engine, CONFIG, 9).await;
    assert_eq!(replayed.offered, [(4, b"at 4".to_vec())]);
    assert_eq!(replayed.batches.len(), 5);
}

pub(crate) async fn a_full_segment_asks_for_a_snapshot_before_the_batch(storage: &dyn Storage) {
    let engine = storage.start().await;
    let config = LogConfig { segment_bytes: 500, ..CONFIG };
    let (log, _) = open_with(&engine, config, 0).await;
    for (offset, rolls) in [(0, false), (1, false), (2, true), (3, false), (4, true)] {
        let mut asked = 0;
        let batch = TestBatch::new(offset, 1, 150);
        let bytes = BatchBytes { header: batch.header(), records: &batch.payload };
        let mut snapshot = || {
            asked += 1;
            format!("before {offset}").into_bytes()
        };
        log.append(bytes, None, &mut snapshot).unwrap();
        assert_eq!(asked, i32::from(rolls));
    }
    drop((log, engine));
    let engine = storage.start().await;
    let (_log, replayed) = open_with(&engine, config, 0).await;
    assert_eq!(replayed.offered, [(4, b"before 4".to_vec())]);
    assert_eq!(replayed.batches, [(4, 5)]);
}

pub(crate) async fn a_flush_commits_what_is_pending(storage: &dyn Storage) {
    let engine = storage.start().await;
    let observer = Arc::new(Observer::default());
    let config = LogConfig { flush_messages: 1, ..CONFIG };
    let commits = Arc::clone(&observer) as Arc<dyn CommitObserver>;
    let id = id("orders", 3);
    let log = engine.open(&id, config, commits, &mut Replayed::default()).await.unwrap();
    let mut done = 0;
    for offset in 0..5 {
        let commit = try_append(&*log, &TestBatch::new(offset, 1, 10), b"").unwrap();
        if commit == Commit::Done {
            done = offset + 1;
        }
    }
    log.flush().await.unwrap();
    assert_eq!(done.max(*observer.committed.lock().unwrap()), 5);
    assert!(!observer.failed.load(Ordering::SeqCst));
}

pub(crate) async fn a_deleted_log_is_gone(storage: &dyn Storage) {
    let engine = storage.start().await;
    let log = open(&engine).await;
    let other = id("orders", 4);
    let observer: Arc<dyn CommitObserver> = Arc::new(Observer::default());
    let mut replay = Replayed::default();
    engine.open(&other, CONFIG, Arc::clone(&observer), &mut replay).await.unwrap();
    let batches = append_pairs(&*log, 3, 50);
    let chunk = log.read(0, 6, 1000).await.unwrap().chunk;
    let mut existing = engine.existing().unwrap();
    existing.sort();
    assert_eq!(existing, ["orders-3", "orders-4"]);

    let recreated = LogId { topic_id: Uuid::from_u128(77), ..id("orders", 3) };
    engine.delete(&[id("orders", 3)]).await.unwrap();
    assert_eq!(chunk_bytes(&chunk), bytes_of(&batches));
    assert_eq!(engine.existing().unwrap(), ["orders-4"]);
    assert!(try_append(&*log, &TestBatch::new(6, 1, 10), b"").is_err());
    drop((log, engine));

    let engine = storage.start().await;
    assert_eq!(engine.existing().unwrap(), ["orders-4"]);
    let log = engine.open(&recreated, CONFIG, Arc::clone(&observer), &mut replay).await.unwrap();
    assert_eq!((log.start_offset(), log.end_offset()), (0, 0));
    assert!(replay.batches.is_empty() && replay.offered.is_empty());
    append_pairs(&*log, 1, 10);
    drop((log, engine));

    let engine = storage.start().await;
    let opened = engine.open(&id("orders", 3), CONFIG, observer, &mut replay).await;
    assert!(matches!(opened.err(), Some(OpenError::WrongTopicId { .. })));
}

pub(crate) async fn a_log_is_recreated_while_the_engine_runs(storage: &dyn Storage) {
    let engine = storage.start().await;
    let log = open(&engine).await;
    append_pairs(&*log, 3, 50);
    engine.delete(&[id("orders", 3)]).await.unwrap();
    let recreated = LogId { topic_id: Uuid::from_u128(77), ..id("orders", 3) };
    let observer: Arc<dyn CommitObserver> = Arc::new(Observer::default());
    let mut replay = Replayed::default();
    let again = engine.open(&recreated, CONFIG, observer, &mut replay).await.unwrap();
    let batches = append_pairs(&*again, 2, 20);
    assert!(try_append(&*log, &TestBatch::new(6, 1, 10), b"").is_err());
    assert_eq!(all(&*again).await, bytes_of(&batches));
}

pub(crate) async fn a_closed_log_takes_no_more(storage: &dyn Storage) {
    let engine = storage.start().await;
    let log = open(&engine).await;
    append_pairs(&*log, 1, 50);
    log.close(Vec::new()).await.unwrap();
    assert!(matches!(
        try_append(&*log, &TestBatch::new(2, 1, 10), b""),
        Err(AppendError::Offline(_))
    ));
}

/// Instantiates the suite; the expression gives a fresh [`Storage`].
macro_rules! conformance_suite {
    ($storage:expr) => {
        $crate::log::conformance::conformance_suite!($storage;
            append_then_read
            read_gives_the_first_batch_whole_and_cuts_the_rest
            read_stops_below_the_bound
            read_outside_of_the_log_is_refused
            segments_change_nothing_a_reader_sees
            a_batch_larger_than_a_segment_is_refused
            roll_and_delete_before_free_segments
            segments_are_listed_with_their_sizes
            a_segment_has_the_time_of_its_newest_record
            a_rewrite_shows_all_of_it_or_nothing
            a_rewrite_may_leave_nothing
            a_rewrite_lists_the_aborted_transactions_anew
            a_rewrite_of_what_has_gone_changes_nothing
            only_sealed_segments_are_rewritten
            a_rewrite_survives_any_stop
            how_far_a_log_is_compacted_is_known_until_it_is_deleted
            offsets_may_have_gaps
            batches_are_found_by_time
            epochs_end_where_the_next_begins
            an_epoch_survives_without_a_batch
            aborted_transactions_are_told_with_what_they_overlap
            aborted_transactions_survive_any_stop
            an_unclean_stop_replays_every_batch
            a_clean_stop_replays_nothing
            replay_begins_at_the_newest_usable_snapshot
            a_full_segment_asks_for_a_snapshot_before_the_batch
            a_flush_commits_what_is_pending
            a_deleted_log_is_gone
            a_log_is_recreated_while_the_engine_runs
            a_closed_log_takes_no_more
        );
    };
    ($storage:expr; $($test:ident)*) => {$(
        #[tokio::test]
        async fn $test() {
            $crate::log::conformance::$test(&$storage).await;
        }
    )*};
}
pub(crate) use conformance_suite;

mod memory {
    use super::*;

    struct MemoryStorage(Mutex<MemoryEngine>);

    impl Storage for MemoryStorage {
        fn start(&self) -> BoxFuture<'_, Arc<dyn Engine>> {
            let mut newest = self.0.lock().unwrap();
            *newest = newest.restart();
            let engine: Arc<dyn Engine> = Arc::new(newest.clone());
            Box::pin(async { engine })
        }
    }

    conformance_suite!(MemoryStorage(Mutex::default()));

    mod pending {
        use super::*;
        conformance_suite!(MemoryStorage(Mutex::new(MemoryEngine::new(Commit::Pending))));
    }
}
