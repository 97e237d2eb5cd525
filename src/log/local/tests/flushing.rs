//! When things are synced, and what a failing disk does.

use std::time::Duration;

use super::*;
use crate::env::CrashMode;

const SYNCED: LogConfig = LogConfig { flush_messages: 1, ..CONFIG };

async fn open_observed(
    engine: &LocalEngine,
    partition: i32,
    config: LogConfig,
) -> (Arc<dyn Log>, Arc<Observer>) {
    let observer = Arc::new(Observer::default());
    let commits = Arc::clone(&observer);
    let id = LogId { partition, ..id() };
    let log = engine.open(&id, config, commits, &mut Replayed::default()).await;
    (log.unwrap(), observer)
}

fn inline_engine(disk: &SimDisk, settings: EngineSettings) -> Arc<LocalEngine> {
    let env = Env { offload: Offload::inline(), ..env(Arc::new(disk.clone())) };
    LocalEngine::open(&env, ROOT.as_ref(), settings).unwrap()
}

async fn pass_ms(ms: u64) {
    tokio::time::sleep(Duration::from_millis(ms)).await;
}

#[tokio::test(start_paused = true)]
async fn a_flush_comes_after_the_delay_and_an_idle_engine_does_nothing() {
    let disk = SimDisk::new(1);
    let engine = inline_engine(&disk, EngineSettings::default());
    let (log, _) = open_observed(&engine, 0, CONFIG).await;
    let idle = disk.operations();
    pass_ms(1_000_000).await;
    assert_eq!(disk.operations(), idle);
    append_some(&*log, 3);
    let appended = disk.operations();
    pass_ms(99).await;
    assert_eq!(disk.operations(), appended);
    pass_ms(2).await;
    let flushed = disk.operations();
    assert!(flushed > appended);
    pass_ms(59_000).await;
    assert_eq!(disk.operations(), flushed);
    pass_ms(2_000).await;
    let path = Path::new("/data/recovery-point-offset-checkpoint");
    assert_eq!(read_file(&disk, path), b"0\n1\norders 0 3\n");
    let checkpointed = disk.operations();
    pass_ms(1_000_000).await;
    assert_eq!(disk.operations(), checkpointed);
    disk.crash(CrashMode::PowerLoss);
    let engine = inline_engine(&disk.restart(), EngineSettings::default());
    let (log, _) = open_observed(&engine, 0, CONFIG).await;
    assert_eq!(log.end_offset(), 3);
}

#[tokio::test(start_paused = true)]
async fn what_would_hold_too_many_files_open_is_synced_at_once() {
    let settings = EngineSettings { unsynced_files_max: 2, ..EngineSettings::default() };
    let disk = SimDisk::new(1);
    let engine = inline_engine(&disk, settings);
    let mut logs = Vec::new();
    for partition in 0..5 {
        let (log, _) = open_observed(&engine, partition, CONFIG).await;
        append_some(&*log, 1);
        logs.push(log);
    }
    pass_ms(1_000).await;
    for log in &logs {
        append_some(&**log, 1);
    }
    disk.crash(CrashMode::PowerLoss);
    let engine = inline_engine(&disk.restart(), settings);
    for partition in 0..5 {
        let (log, _) = open_observed(&engine, partition, CONFIG).await;
        assert!(partition < 2 || log.end_offset() == 2, "{partition}");
    }
}

#[tokio::test(start_paused = true)]
async fn flush_ms_and_flush_messages_bring_the_flush_forward_or_put_it_off() {
    let ms = |flush_ms| LogConfig { flush_ms, ..CONFIG };
    let count = LogConfig { flush_messages: 3, ..ms(1_000) };
    for (partition, config, records, waits) in
        [(0, ms(10), 1, 10), (1, ms(5_000), 1, 5_000), (2, count, 3, 0), (3, count, 2, 1_000)]
    {
        let disk = SimDisk::new(1);
        let engine = inline_engine(&disk, EngineSettings::default());
        let (log, _) = open_observed(&engine, partition, config).await;
        append_some(&*log, records);
        let appended = disk.operations();
        if waits > 0 {
            pass_ms(waits - 1).await;
            assert_eq!(disk.operations(), appended, "partition {partition}");
        }
        pass_ms(2).await;
        assert!(disk.operations() > appended, "partition {partition}");
    }
}

#[tokio::test(start_paused = true)]
async fn with_flush_messages_1_a_batch_commits_when_it_is_synced() {
    let disk = SimDisk::new(1);
    let engine = inline_engine(&disk, EngineSettings::default());
    let (log, observer) = open_observed(&engine, 0, SYNCED).await;
    log.begin_epoch(0).unwrap();
    for offset in 0..5 {
        let commit = append(&*log, &TestBatch::new(offset, 1, 10)).unwrap();
        assert_eq!(commit, Commit::Pending);
    }
    assert_eq!(*observer.committed.lock().unwrap(), 0);
    let before = disk.operations();
    pass_ms(1).await;
    assert_eq!(*observer.committed.lock().unwrap(), 5);
    // The five share one sync: of the log, its topic id, its epochs and two directories.
    assert_eq!(disk.operations() - before, 5);
    log.configure(CONFIG);
    let commit = append(&*log, &TestBatch::new(5, 1, 10)).unwrap();
    assert_eq!(commit, Commit::Done);
    disk.crash(CrashMode::PowerLoss);
    let engine = inline_engine(&disk.restart(), EngineSettings::default());
    let (log, _) = open_observed(&engine, 0, CONFIG).await;
    assert!(log.end_offset() >= 5);
}

#[tokio::test(start_paused = true)]
async fn a_failed_sync_takes_every_log_of_the_directory_offline() {
    let disk = SimDisk::new(1);
    let engine = inline_engine(&disk, EngineSettings::default());
    let (log, observer) = open_observed(&engine, 0, SYNCED).await;
    let (other, other_observer) = open_observed(&engine, 1, CONFIG).await;
    append_some(&*log, 1);
    disk.set_failing_syncs(true);
    pass_ms(1).await;
    disk.set_failing_syncs(false);
    assert_eq!(*observer.committed.lock().unwrap(), 0);
    assert!(observer.failed.load(Ordering::SeqCst));
    assert!(other_observer.failed.load(Ordering::SeqCst));
    for log in [&log, &other] {
        let refused = append(&**log, &TestBatch::new(log.end_offset(), 1, 10));
        assert!(matches!(refused, Err(AppendError::Offline(_))), "{refused:?}");
        assert!(matches!(log.flush().await, Err(AppendError::Offline(_))));
    }
    assert_eq!(offsets(&*log).await, [0], "what is there can still be read");
    assert!(engine.directory().space.is_err());
    assert!(engine.close(1).await.is_err());
}

#[tokio::test]
async fn a_full_device_refuses_and_takes_the_next_batch_when_there_is_room() {
    for config in [CONFIG, LogConfig { segment_bytes: 200, ..CONFIG }] {
        let bench = Bench::new(config);
        let ((), _) = bench
            .restart(async |log| {
                append_some(&*log, 2);
                for spare in [0, 1, 61, 100, 160] {
                    let capacity = bench.disk.used_bytes() + spare;
                    bench.disk.set_capacity_bytes(Some(capacity));
                    let refused = append(&*log, &TestBatch::new(2, 1, 100));
                    assert!(matches!(refused, Err(AppendError::NoSpace(_))), "{refused:?}");
                    assert_eq!(offsets(&*log).await, [0, 1]);
                }
                bench.disk.set_capacity_bytes(None);
                append_some(&*log, 1);
            })
            .await;
        bench.restart(async |log| assert_eq!(offsets(&*log).await, [0, 1, 2])).await;
    }
}

#[tokio::test]
async fn segments_roll_by_time_and_by_full_indexes() {
    let by_time = LogConfig { segment_ms: 1_000, ..CONFIG };
    let by_index = LogConfig { index_interval_bytes: 1, segment_index_bytes: 36, ..CONFIG };
    // Five batches 600 ms apart: the time since the first of a segment counts, as in Kafka. An
    // index of 36 bytes has room for four entries, a time index for two.
    for (config, bases) in [(by_time, vec![0, 2, 4]), (by_index, vec![0, 3])] {
        let bench = Bench::new(config);
        bench
            .restart(async |log| {
                for offset in 0..5 {
                    let timestamp_ms = 600 * offset;
                    let batch = TestBatch::new(offset, 1, 100);
                    append(&*log, &TestBatch { timestamp_ms, ..batch }).unwrap();
                }
            })
            .await;
        let logs = bench.names().into_iter().filter(|name| name.ends_with(segment::LOG_SUFFIX));
        let found: Vec<i64> = logs.map(|name| name[..20].parse().unwrap()).collect();
        assert_eq!(found, bases);
    }
}

#[tokio::test]
async fn readers_outlive_the_cache_of_open_files() {
    let directory = tempfile::tempdir().unwrap();
    let settings = EngineSettings { open_files_max: 2, ..EngineSettings::default() };
    let engine = LocalEngine::open(&env(Arc::new(OsDisk)), directory.path(), settings).unwrap();
    let mut chunks = Vec::new();
    for partition in 0..10 {
        let (log, _) = open_observed(&engine, partition, CONFIG).await;
        append_some(&*log, 1);
        log.flush().await.unwrap();
        chunks.push(log.read(0, 1, 1000).await.unwrap().chunk);
    }
    for chunk in chunks {
        assert!(matches!(chunk, Chunk::File { .. }));
        assert_eq!(chunk.into_bytes().unwrap(), TestBatch::new(0, 1, 100).bytes());
    }
}

#[tokio::test]
async fn the_directory_tells_how_much_room_is_left() {
    let bench = Bench::new(CONFIG);
    bench.disk.set_capacity_bytes(Some(10_000));
    let engine = bench.start();
    let (log, _) = bench.open(&engine).await;
    append_some(&*log, 2);
    let directory = engine.directory();
    let usable_bytes = 10_000 - bench.disk.used_bytes();
    assert_eq!(directory.path, ROOT);
    assert_eq!(directory.space.unwrap(), Some(Space { total_bytes: 10_000, usable_bytes }));
    assert!(usable_bytes < 10_000);
}

/// A kill leaves them to the next process, which knows nothing of what is synced.
#[tokio::test(start_paused = true)]
async fn snapshots_written_before_a_kill_are_synced_by_a_flush() {
    for seed in 0..20 {
        let disk = SimDisk::new(seed);
        let engine = inline_engine(&disk, EngineSettings::default());
        let (log, _) = open_observed(&engine, 0, CONFIG).await;
        append_some(&*log, 2);
        log.roll(&mut || b"at 2".to_vec()).unwrap();
        append_some(&*log, 1);
        disk.crash(CrashMode::ProcessKill);
        let disk = disk.restart();
        let engine = inline_engine(&disk, EngineSettings::default());
        let (log, _) = open_observed(&engine, 0, CONFIG).await;
        log.flush().await.unwrap();
        disk.crash(CrashMode::PowerLoss);
        let snapshot = Path::new("/data/orders-0").join(format!("{:020}.snapshot", 2));
        assert_eq!(read_file(&disk.restart(), &snapshot), b"at 2", "seed {seed}");
    }
}
