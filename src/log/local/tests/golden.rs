//! Against a log that Apache Kafka 4.3.0 wrote and closed cleanly: 20 batches of one record, of
//! which the 14th is 200 s later than the first, with `index.interval.bytes` 300 and `segment.ms`
//! 100000.

use super::*;

const CHECKPOINTS: [&str; 2] = ["recovery-point-offset-checkpoint", "log-start-offset-checkpoint"];

fn golden() -> std::path::PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/local")
}

fn golden_id() -> LogId {
    let topic_id = sidecars::read_topic_id(&OsDisk, &golden().join("golden-0")).unwrap();
    LogId { topic: "golden".into(), topic_id: topic_id.unwrap(), partition: 0 }
}

const GOLDEN_CONFIG: LogConfig =
    LogConfig { index_interval_bytes: 300, segment_ms: 100_000, segment_bytes: 1 << 30, ..CONFIG };

/// Files of Kafka's log by name.
fn files(root: &Path) -> Vec<(String, Vec<u8>)> {
    let directory = root.join("golden-0");
    let mut names = OsDisk.list(&directory).unwrap();
    names.sort();
    let read = |name: String| {
        let bytes = read_file(&OsDisk, &directory.join(&name));
        (name, bytes)
    };
    names.into_iter().map(read).collect()
}

fn write(path: &Path, bytes: &[u8]) {
    let file = OsDisk.open(path, OpenMode::Truncate).unwrap();
    write_all_at(file.as_ref(), bytes, 0).unwrap();
}

fn copy(to: &Path) {
    OsDisk.create_dir_all(&to.join("golden-0")).unwrap();
    for (name, bytes) in files(&golden()) {
        write(&to.join("golden-0").join(name), &bytes);
    }
    for name in CHECKPOINTS {
        write(&to.join(name), &read_file(&OsDisk, &golden().join(name)));
    }
    let marker = read_file(&OsDisk, &golden().join("kafka_cleanshutdown"));
    write(&to.join(".kafka_cleanshutdown"), &marker);
}

async fn open(engine: &LocalEngine) -> (Arc<dyn Log>, Replayed) {
    let mut replayed = Replayed::default();
    let observer = Arc::new(Observer::default());
    let log = engine.open(&golden_id(), GOLDEN_CONFIG, observer, &mut replayed).await;
    (log.unwrap(), replayed)
}

/// Batches of Kafka's log.
fn batches() -> Vec<Vec<u8>> {
    let logs = files(&golden()).into_iter();
    let logs = logs.filter(|(name, _)| name.ends_with(segment::LOG_SUFFIX));
    let bytes: Vec<u8> = logs.flat_map(|(_, bytes)| bytes).collect();
    crate::records::Batches::new(&bytes).map(|batch| batch.unwrap().1.to_vec()).collect()
}

#[tokio::test]
async fn kafkas_log_opens_without_replay_and_closes_unchanged() {
    let directory = tempfile::tempdir().unwrap();
    copy(directory.path());
    let engine = start(Arc::new(OsDisk), directory.path());
    let marker = read_file(&OsDisk, &golden().join("kafka_cleanshutdown"));
    let marker = String::from_utf8(marker).unwrap();
    let epoch = engine.clean_shutdown_epoch().unwrap();
    assert_eq!(marker, format!("{{\"version\":0,\"brokerEpoch\":{epoch}}}"));

    let (log, replayed) = open(&engine).await;
    assert!(replayed.offsets.is_empty());
    let snapshot = replayed.snapshots[0].1.clone();
    assert_eq!(replayed.snapshots[0].0, 20);
    assert_eq!(offsets(&*log).await, (0..20).collect::<Vec<_>>());
    assert_eq!(log.latest_epoch(), Some(0));
    let at = log.first_batch_at_time(1_795_000_000_060).await.unwrap();
    assert_eq!(at.unwrap().base_offset, 9);
    let largest = log.batch_of_max_timestamp().await.unwrap();
    assert_eq!(largest.unwrap().base_offset, 19);

    log.close(snapshot).await.unwrap();
    engine.close(epoch).await.unwrap();
    assert_eq!(files(directory.path()), files(&golden()));
    for name in CHECKPOINTS {
        let ours = read_file(&OsDisk, &directory.path().join(name));
        assert_eq!(ours, read_file(&OsDisk, &golden().join(name)), "{name}");
    }
    let ours = read_file(&OsDisk, &directory.path().join(".kafka_cleanshutdown"));
    assert_eq!(ours, marker.as_bytes());
}

#[tokio::test]
async fn the_same_appends_make_the_same_files() {
    let directory = tempfile::tempdir().unwrap();
    let engine = start(Arc::new(OsDisk), directory.path());
    let (log, _) = open(&engine).await;
    log.begin_epoch(0).unwrap();
    let golden_files = files(&golden());
    let snapshot = |offset: i64| {
        let name = format!("{offset:020}.snapshot");
        let found = golden_files.iter().find(|(found, _)| *found == name);
        found.unwrap().1.clone()
    };
    for batch in batches() {
        let (header, records) = batch.split_first_chunk().unwrap();
        let batch = BatchBytes { header: *header, records };
        log.append(batch, None, &mut || snapshot(13)).unwrap();
    }
    log.close(snapshot(20)).await.unwrap();
    assert_eq!(files(directory.path()), golden_files);
}

/// While it runs, Kafka keeps the active segment's index files at `segment.index.bytes`, filled
/// with zeros, and there is no snapshot at the end.
#[tokio::test]
async fn kafkas_log_opens_after_kafka_was_killed() {
    let directory = tempfile::tempdir().unwrap();
    copy(directory.path());
    let log_directory = directory.path().join("golden-0");
    for (suffix, length) in [(".index", 10_485_760), (".timeindex", 10_485_756)] {
        let path = log_directory.join(format!("{:020}{suffix}", 13));
        let file = OsDisk.open(&path, OpenMode::Write).unwrap();
        file.set_len(length).unwrap();
    }
    let end = format!("{:020}.snapshot", 20);
    let snapshot = read_file(&OsDisk, &log_directory.join(&end));
    OsDisk.remove_file(&log_directory.join(&end)).unwrap();
    for name in [".kafka_cleanshutdown", "recovery-point-offset-checkpoint"] {
        OsDisk.remove_file(&directory.path().join(name)).unwrap();
    }
    let engine = start(Arc::new(OsDisk), directory.path());
    let (log, replayed) = open(&engine).await;
    assert_eq!(replayed.snapshots[0].0, 13);
    assert_eq!(replayed.offsets, (13..20).collect::<Vec<_>>());
    assert_eq!(offsets(&*log).await, (0..20).collect::<Vec<_>>());
    log.close(snapshot).await.unwrap();
    assert_eq!(files(directory.path()), files(&golden()));
}
