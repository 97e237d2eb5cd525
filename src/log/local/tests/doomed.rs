//! Files that a log gave up stay for a while under another name.

use super::*;

const SMALL: LogConfig = LogConfig { segment_bytes: 500, file_delete_delay_ms: 1_000, ..CONFIG };

fn inline(disk: &SimDisk) -> Arc<LocalEngine> {
    let env = Env { offload: Offload::inline(), ..env(Arc::new(disk.clone())) };
    LocalEngine::open(&env, ROOT.as_ref(), EngineSettings::default()).unwrap()
}

impl Bench {
    fn deleted(&self) -> Vec<String> {
        let mut names = self.names();
        names.retain(|name| name.ends_with(".deleted"));
        names
    }
}

async fn pass_ms(ms: u64) {
    tokio::time::sleep(std::time::Duration::from_millis(ms)).await;
}

#[tokio::test(start_paused = true)]
async fn a_segments_files_go_after_the_delay() {
    let bench = Bench::new(SMALL);
    let engine = inline(&bench.disk);
    let (log, _) = bench.open(&engine).await;
    append_some(&*log, 4);
    log.delete_before(3).unwrap();
    let files = ["00000000000000000000.index", "00000000000000000000.log"];
    let files = files.iter().chain(&["00000000000000000000.timeindex"]);
    let files: Vec<_> = files.map(|name| format!("{name}.deleted")).collect();
    assert_eq!(bench.deleted(), files);
    pass_ms(999).await;
    assert_eq!(bench.deleted(), files);
    pass_ms(2).await;
    assert_eq!(bench.deleted(), [""; 0]);
    assert_eq!(offsets(&*log).await, [3]);
}

#[tokio::test(start_paused = true)]
async fn what_is_left_goes_with_the_next_start() {
    let bench = Bench::new(SMALL);
    let engine = inline(&bench.disk);
    let (log, _) = bench.open(&engine).await;
    append_some(&*log, 4);
    log.delete_before(3).unwrap();
    log.close(Vec::new()).await.unwrap();
    engine.close(1).await.unwrap();
    assert_eq!(bench.deleted().len(), 3);
    drop((log, engine));
    let engine = inline(&bench.disk);
    bench.open(&engine).await;
    assert_eq!(bench.deleted(), [""; 0]);
}

#[tokio::test(start_paused = true)]
async fn a_deleted_logs_directory_goes_after_the_delay() {
    let bench = Bench::new(SMALL);
    let engine = inline(&bench.disk);
    let _log = bench.open(&engine).await;
    engine.delete(&[id()]).await.unwrap();
    let deleted = || {
        let names = bench.disk.list(ROOT.as_ref()).unwrap();
        names.iter().filter(|name| name.ends_with("-delete")).count()
    };
    assert_eq!((deleted(), engine.existing().unwrap().len()), (1, 0));
    pass_ms(999).await;
    assert_eq!(deleted(), 1);
    pass_ms(2).await;
    assert_eq!(deleted(), 0);
}

#[tokio::test]
async fn a_segment_rolls_earlier_by_chance() {
    let config = LogConfig { segment_ms: 1_000, segment_jitter_ms: 1_000, ..CONFIG };
    let bench = Bench::new(config);
    let engine = bench.start();
    let (log, _) = bench.open(&engine).await;
    for offset in 0..3_000 {
        let timestamp_ms = offset * 10;
        append(&*log, &TestBatch { timestamp_ms, ..TestBatch::new(offset, 1, 0) }).unwrap();
    }
    let segments = log.segments();
    let lengths: Vec<_> = segments.iter().map(|one| one.end_offset - one.base_offset).collect();
    assert!(lengths.iter().all(|length| *length <= 101), "{lengths:?}");
    let (early, late) = (lengths.iter().min().unwrap(), lengths.iter().max().unwrap());
    assert!(early + 20 < *late, "{lengths:?}");
}
