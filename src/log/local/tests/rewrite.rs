//! Rewriting segments: file names, indexes, and a crash at every step.

use super::*;
use crate::env::{CrashMode, Fault};
use crate::log::RewriteError;

/// Segments of three batches at offsets 0, 3, 6.
const SMALL: LogConfig = LogConfig { segment_bytes: 500, ..CONFIG };

fn inline(disk: &SimDisk) -> Arc<LocalEngine> {
    let env = Env { offload: Offload::inline(), ..env(Arc::new(disk.clone())) };
    LocalEngine::open(&env, ROOT.as_ref(), EngineSettings::default()).unwrap()
}

fn marker(base_offset: i64) -> TestBatch {
    TestBatch { control: true, producer_id: 5, ..TestBatch::new(base_offset, 1, 100) }
}

fn is_of_a_rewrite(name: &str) -> bool {
    name.contains(".swap") || name.contains(".cleaned")
}

/// Batches at 0 to 10, of which 1 and 5 abort something.
fn fill(log: &dyn Log) {
    for offset in 0..11 {
        let batch = match offset {
            1 | 5 => marker(offset),
            _ => TestBatch::new(offset, 1, 100),
        };
        append(log, &batch).unwrap();
    }
}

/// Leaves 2, 4, 5 and 8 of the sealed segments.
fn rewrite(log: &dyn Log) -> Result<(), RewriteError> {
    let mut rewrite = log.rewrite(0, 9)?;
    for offset in [2, 4, 8] {
        rewrite.append(&TestBatch::new(offset, 1, 100).bytes(), None)?;
        if offset == 4 {
            rewrite.append(&marker(5).bytes(), listed(marker(5).aborts()))?;
        }
    }
    rewrite.finish()
}

async fn aborted(log: &dyn Log) -> Vec<i64> {
    let read = log.read_committed(log.start_offset(), log.end_offset(), 1 << 20).await.unwrap();
    read.aborted.iter().map(|aborted| aborted.last_offset).collect()
}

#[tokio::test]
async fn a_rewrite_leaves_kafkas_files_and_the_old_ones_for_later() {
    let bench = Bench::new(SMALL);
    let engine = inline(&bench.disk);
    let (log, _) = bench.open(&engine).await;
    fill(&*log);
    let mut under_way = log.rewrite(0, 9).unwrap();
    under_way.append(&marker(5).bytes(), listed(marker(5).aborts())).unwrap();
    let cleaned = |suffix: &str| format!("{:020}{suffix}.cleaned", 0);
    let suffixes = [".log", ".index", ".timeindex", ".txnindex"];
    assert!(suffixes.iter().all(|suffix| bench.names().contains(&cleaned(suffix))));
    drop(under_way);
    assert!(!bench.names().iter().any(|name| is_of_a_rewrite(name)));

    rewrite(&*log).unwrap();
    let names = bench.names();
    let files = |base: i64, end: &str| -> Vec<String> {
        let all = suffixes.map(|suffix| format!("{base:020}{suffix}{end}"));
        all.into_iter().filter(|name| names.contains(name)).collect()
    };
    assert_eq!(files(0, "").len(), 4);
    assert_eq!((files(3, ""), files(6, "")), (vec![], vec![]));
    assert_eq!([0, 3, 6].map(|base| files(base, ".deleted").len()), [4, 4, 3]);
    assert!(!names.iter().any(|name| is_of_a_rewrite(name)));
    // Of the snapshots, those at the beginning of segments stay, and the newest.
    let snapshots = names.iter().filter(|name| name.ends_with(".snapshot"));
    assert_eq!(snapshots.count(), 1);
}

#[tokio::test]
async fn the_indexes_of_a_rewritten_segment_are_what_recovery_would_make() {
    let bench = Bench::new(SMALL);
    let engine = inline(&bench.disk);
    let (log, _) = bench.open(&engine).await;
    fill(&*log);
    rewrite(&*log).unwrap();
    let names = [".index", ".timeindex"].map(|suffix| format!("{:020}{suffix}", 0));
    let made = names.clone().map(|name| bench.bytes(&name));
    assert!(made.iter().all(|bytes| !bytes.is_empty()));
    drop((log, engine));
    for name in &names {
        bench.remove(&format!("{LOG}/{name}"));
    }
    let ((), _) = bench.restart(async |log| assert_eq!(offsets(&*log).await.len(), 6)).await;
    assert_eq!(names.map(|name| bench.bytes(&name)), made);
}

/// Runs the script on a disk that meets `fault` at an operation; whether the fault was met.
async fn crashing(operation: u64, fault: Fault, seed: u64) -> bool {
    let disk = SimDisk::new(seed);
    let bench = Bench { disk: disk.clone(), config: SMALL };
    let engine = inline(&disk);
    let (log, _) = bench.open(&engine).await;
    fill(&*log);
    log.flush().await.unwrap();
    let begun = disk.operations();
    disk.fault_at(begun + operation, fault);
    let outcome = rewrite(&*log);
    let noted = log.set_cleaned_offset(9);
    let is_met = disk.operations() > begun + operation;
    drop((log, engine));
    disk.clear_faults();
    if disk.crashed().is_none() {
        disk.crash(CrashMode::PowerLoss);
    }

    let bench = Bench { disk: disk.restart(), config: SMALL };
    let engine = inline(&bench.disk);
    let (log, _) = bench.open(&engine).await;
    let told = format!("{fault:?} at operation {operation}, seed {seed}: {outcome:?}");
    let (before, after) = ((0..11).collect::<Vec<_>>(), vec![2, 4, 5, 8, 9, 10]);
    let found = offsets(&*log).await;
    let listed = aborted(&*log).await;
    if outcome.is_ok() {
        assert_eq!(found, after, "{told}");
    }
    if found == after {
        assert_eq!(listed, [5], "{told}");
    } else {
        assert_eq!((found, listed), (before, vec![1, 5]), "{told}");
    }
    assert!(noted.is_err() || log.cleaned_offset() == Some(9), "{told}");
    // Nothing of it is left over, and it can be done now.
    let is_left = |name: &String| is_of_a_rewrite(name) || name.contains(".deleted");
    assert!(!bench.names().iter().any(is_left), "{told}");
    append(&*log, &TestBatch::new(11, 1, 100)).unwrap();
    if outcome.is_err() && log.segments().len() > 2 {
        rewrite(&*log).unwrap();
        assert_eq!(offsets(&*log).await, [2, 4, 5, 8, 9, 10, 11], "{told}");
    }
    is_met
}

#[tokio::test]
async fn a_crash_at_any_step_leaves_what_was_before_or_what_is_after() {
    for mode in [CrashMode::ProcessKill, CrashMode::PowerLoss] {
        for seed in 0..8 {
            let mut operation = 0;
            while crashing(operation, Fault::Crash(mode), seed).await {
                operation += 1;
            }
            assert!(operation > 30, "only {operation} steps");
        }
    }
}

#[tokio::test]
async fn after_a_failure_at_any_step_a_start_leaves_before_or_after() {
    for fault in [Fault::Io, Fault::NoSpace, Fault::ShortWrite] {
        let mut operation = 0;
        while crashing(operation, fault, 1).await {
            operation += 1;
        }
    }
}

#[tokio::test]
async fn a_full_device_gives_up_the_rewrite_and_not_the_log() {
    let bench = Bench::new(SMALL);
    let engine = inline(&bench.disk);
    let (log, _) = bench.open(&engine).await;
    fill(&*log);
    bench.disk.set_capacity_bytes(Some(bench.disk.used_bytes() + 200));
    assert!(matches!(rewrite(&*log), Err(RewriteError::Log(AppendError::NoSpace(_)))));
    assert!(!bench.names().iter().any(|name| is_of_a_rewrite(name)));
    append(&*log, &TestBatch::new(11, 1, 100)).unwrap();
    assert_eq!(offsets(&*log).await, (0..12).collect::<Vec<_>>());
    bench.disk.set_capacity_bytes(None);
    rewrite(&*log).unwrap();
}

#[tokio::test]
async fn readers_and_appends_go_on_while_segments_are_rewritten() {
    let directory = tempfile::tempdir().unwrap();
    let settings = EngineSettings { open_files_max: 3, ..EngineSettings::default() };
    let env = env(Arc::new(OsDisk));
    let engine = LocalEngine::open(&env, directory.path(), settings).unwrap();
    let observer = Arc::new(Observer::default());
    let config = LogConfig { file_delete_delay_ms: 0, ..SMALL };
    let log = engine.open(&id(), config, observer, &mut Replayed::default()).await.unwrap();
    append_some(&*log, 40);
    let (reader, stop) = (Arc::clone(&log), Arc::new(std::sync::atomic::AtomicBool::new(false)));
    let stopped = Arc::clone(&stop);
    let reading = tokio::spawn(async move {
        let mut rounds = 0;
        while !stopped.load(Ordering::Acquire) || rounds < 20 {
            let found = offsets(&*reader).await;
            let missing = (0..40).filter(|offset| found.binary_search(offset).is_err());
            assert!(missing.clone().all(|offset| offset % 2 == 1), "{found:?}");
            assert!(reader.first_batch_at_time(1_020).await.unwrap().is_some());
            rounds += 1;
        }
    });
    for until in [9, 18, 27, 36] {
        let rewriter = Arc::clone(&log);
        let work = move || {
            let mut rewrite = rewriter.rewrite(0, until).unwrap();
            for offset in (0..until).step_by(2) {
                rewrite.append(&TestBatch::new(offset, 1, 100).bytes(), None).unwrap();
            }
            rewrite.finish().unwrap();
        };
        env.offload.run(work).await;
        append_some(&*log, 1);
    }
    stop.store(true, Ordering::Release);
    reading.await.unwrap();
    assert_eq!(offsets(&*log).await.len(), 40 - 18 + 4);
}

#[tokio::test]
async fn swaps_of_kafkas_are_finished_also_where_nothing_was_left() {
    let bench = Bench::new(SMALL);
    {
        let engine = inline(&bench.disk);
        let (log, _) = bench.open(&engine).await;
        fill(&*log);
        log.flush().await.unwrap();
    }
    for suffix in [".log", ".index", ".timeindex"] {
        bench.write(&format!("{:020}{suffix}.swap", 0), b"");
    }
    let (found, _) = bench.restart(async |log| (offsets(&*log).await, aborted(&*log).await)).await;
    assert_eq!(found, ((3..11).collect(), vec![5]));
    assert!(!bench.names().contains(&format!("{:020}.txnindex", 0)));
}
