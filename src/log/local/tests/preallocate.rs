//! Room that is taken before it is written to.

use std::os::unix::fs::MetadataExt;

use super::*;

const RESERVED: LogConfig = LogConfig { segment_bytes: 1 << 20, preallocate: true, ..CONFIG };

/// Lengths of the log files and the room that they take, in bytes.
fn files(directory: &Path) -> Vec<(u64, u64)> {
    let directory = directory.join("orders-0");
    let mut names = OsDisk.list(&directory).unwrap();
    names.retain(|name| name.strip_suffix(".log").is_some());
    names.sort();
    let sizes = |name| {
        let metadata = std::fs::metadata(directory.join(name)).unwrap();
        (metadata.len(), metadata.blocks() * 512)
    };
    names.iter().map(sizes).collect()
}

async fn open(engine: &LocalEngine) -> Arc<dyn Log> {
    open_with(engine, RESERVED).await
}

async fn open_with(engine: &LocalEngine, config: LogConfig) -> Arc<dyn Log> {
    let observer = Arc::new(Observer::default());
    engine.open(&id(), config, observer, &mut Replayed::default()).await.unwrap()
}

/// Appends `count` batches of a megabyte.
fn append_large(log: &dyn Log, count: i64) {
    for _ in 0..count {
        append(log, &TestBatch::new(log.end_offset(), 1, 1 << 20)).unwrap();
    }
}

#[tokio::test]
async fn a_segment_takes_its_room_at_once_and_gives_back_what_it_does_not_need() {
    let directory = tempfile::tempdir().unwrap();
    let engine = start(Arc::new(OsDisk), directory.path());
    let log = open(&engine).await;
    append_some(&*log, 2);
    let [(322, reserved)] = files(directory.path())[..] else { panic!("one file") };
    assert!(reserved >= 1 << 20, "{reserved}");
    log.roll(&mut Vec::new).unwrap();
    append_some(&*log, 1);
    let [(322, given_back), (161, reserved)] = files(directory.path())[..] else {
        panic!("two files")
    };
    assert!(given_back < 1 << 16 && reserved >= 1 << 20, "{given_back} {reserved}");
    drop((log, engine));

    let engine = start(Arc::new(OsDisk), directory.path());
    let log = open(&engine).await;
    let sizes = files(directory.path());
    assert!(sizes.iter().all(|(_, room)| *room < 1 << 16), "after a kill: {sizes:?}");
    log.close(Vec::new()).await.unwrap();
    engine.close(1).await.unwrap();
    let sizes = files(directory.path());
    assert!(sizes.iter().all(|(_, room)| *room < 1 << 16), "{sizes:?}");
    drop((log, engine));
    let engine = start(Arc::new(OsDisk), directory.path());
    assert_eq!(offsets(&*open(&engine).await).await, [0, 1, 2]);
}

#[tokio::test]
async fn a_large_segment_takes_room_ahead_and_gives_it_back_also_after_a_kill() {
    const LARGE: LogConfig = LogConfig { segment_bytes: 64 << 20, ..CONFIG };
    let is_tight = |(length, room): &(u64, u64)| *room < length + (64 << 10);
    let is_ahead = |(length, room): &(u64, u64)| *room >= length + (2 << 20);
    let directory = tempfile::tempdir().unwrap();
    let engine = start(Arc::new(OsDisk), directory.path());
    let log = open_with(&engine, LARGE).await;
    append_some(&*log, 100);
    assert!(files(directory.path()).iter().all(is_tight), "a small log takes none");
    append_large(&*log, 3);
    assert!(files(directory.path()).iter().all(is_ahead));
    log.roll(&mut Vec::new).unwrap();
    append_large(&*log, 3);
    let [sealed, active] = files(directory.path())[..] else { panic!("two files") };
    assert!(is_tight(&sealed) && is_ahead(&active), "{sealed:?} {active:?}");
    let end_offset = log.end_offset();
    drop((log, engine));

    let engine = start(Arc::new(OsDisk), directory.path());
    let log = open_with(&engine, LARGE).await;
    assert_eq!(log.end_offset(), end_offset);
    assert!(files(directory.path()).iter().all(is_tight), "what a killed broker took ahead");
    append_large(&*log, 3);
    assert!(files(directory.path()).iter().any(is_ahead));
    log.close(Vec::new()).await.unwrap();
    engine.close(1).await.unwrap();
    assert!(files(directory.path()).iter().all(is_tight));
}
