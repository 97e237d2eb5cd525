//! The rules by which a directory is brought into order.

use super::*;

/// Segments of three batches at offsets 0, 3, 6.
const SMALL: LogConfig = LogConfig { segment_bytes: 500, ..CONFIG };

fn file(base: i64, suffix: &str) -> String {
    format!("{base:020}{suffix}")
}

/// A log of eight batches after a kill of the process.
async fn killed() -> Bench {
    let bench = Bench::new(SMALL);
    bench.restart(async |log| append_some(&*log, 8)).await;
    bench
}

async fn assert_recovers(bench: &Bench, expected: std::ops::Range<i64>, what: &str) {
    let ((), replayed) = bench
        .restart(async |log| {
            let found = offsets(&*log).await;
            assert_eq!(found, expected.clone().collect::<Vec<_>>(), "{what}");
            assert_eq!(log.end_offset(), expected.end, "{what}");
            append_some(&*log, 1);
        })
        .await;
    assert!(replayed.offsets.iter().all(|offset| *offset < expected.end));
}

#[tokio::test]
async fn a_torn_last_batch_goes_whatever_is_left_of_it() {
    for kept in 0..161 {
        let bench = killed().await;
        bench.edit(&file(6, ".log"), |bytes| bytes.truncate(161 + kept));
        assert_recovers(&bench, 0..7, &format!("{kept} bytes of the last batch")).await;
    }
}

#[tokio::test]
async fn the_log_ends_at_its_first_bad_byte_and_later_segments_go() {
    for (segment, byte, end) in [(6, 170, 7), (3, 300, 4), (3, 0, 3), (0, 482, 2)] {
        let bench = killed().await;
        bench.edit(&file(segment, ".log"), |bytes| bytes[byte] ^= 1);
        assert_recovers(&bench, 0..end, &format!("byte {byte} of {segment}")).await;
        let kept = |base: &i64| bench.names().contains(&file(*base, ".log"));
        let expected: Vec<_> = [0, 3, 6].into_iter().filter(|base| *base <= segment).collect();
        assert_eq!([0, 3, 6].into_iter().filter(kept).collect::<Vec<_>>(), expected);
    }
}

#[tokio::test]
async fn tails_of_zeros_and_of_garbage_go() {
    let old = TestBatch::new(2, 1, 100).bytes();
    for tail in [vec![0; 4096], vec![0xa5; 100], vec![0xa5; 5000], old] {
        let bench = killed().await;
        bench.edit(&file(6, ".log"), |bytes| bytes.extend(tail));
        assert_recovers(&bench, 0..8, "a tail").await;
    }
}

#[tokio::test]
async fn below_the_recovery_point_nothing_is_checked() {
    let bench = Bench::new(SMALL);
    bench.clean_run(async |log| append_some(&**log, 8)).await;
    bench.remove("/data/.kafka_cleanshutdown");
    bench.edit(&file(0, ".log"), |bytes| bytes[100] ^= 1);
    bench.edit(&file(6, ".log"), |bytes| bytes[200] ^= 1);
    assert_recovers(&bench, 0..7, "recovery point 8").await;

    bench.write("/data/recovery-point-offset-checkpoint", b"damaged");
    assert_recovers(&bench, 0..0, "no recovery point").await;
}

#[tokio::test]
async fn a_marker_that_the_disk_has_changed_decides_nothing() {
    for (byte, damaged) in [(0, false), (100, true)] {
        let bench = Bench::new(CONFIG);
        bench
            .clean_run(async |log| {
                append_some(&**log, 2);
                let marker =
                    TestBatch { control: true, producer_id: 7, ..TestBatch::new(2, 1, 100) };
                append(&**log, &marker).unwrap();
                append_some(&**log, 1);
            })
            .await;
        // Without the snapshot of the stop the synced batches are replayed.
        bench.remove(&format!("{LOG}/{}", file(4, ".snapshot")));
        bench.edit(&file(0, ".log"), |bytes| bytes[2 * 161 + byte] ^= u8::from(damaged));
        let ((), replayed) = bench.restart(async |_| {}).await;
        let expected: &[i64] = if damaged { &[0, 1, 3] } else { &[0, 1, 2, 3] };
        assert_eq!(replayed.offsets, expected);
    }
}

#[tokio::test]
async fn after_a_clean_stop_the_marker_goes_and_nothing_is_checked() {
    let bench = Bench::new(SMALL);
    bench.clean_run(async |log| append_some(&**log, 8)).await;
    bench.edit(&file(6, ".log"), |bytes| bytes[300] ^= 1);
    let engine = bench.start();
    assert_eq!(engine.clean_shutdown_epoch(), Some(5));
    let marker = Path::new("/data/.kafka_cleanshutdown");
    assert_eq!(bench.disk.kind(marker).unwrap(), None);
    let (log, replayed) = bench.open(&engine).await;
    assert_eq!(log.end_offset(), 8);
    assert_eq!(replayed.snapshots, [(8, b"state".to_vec())]);
    assert!(replayed.offsets.is_empty());
    drop((log, engine));
    assert_recovers(&bench, 0..7, "the marker counted once").await;
}

#[tokio::test]
async fn a_log_without_a_recovery_point_is_checked_after_a_clean_stop_too() {
    let bench = Bench::new(SMALL);
    bench.clean_run(async |log| append_some(&**log, 8)).await;
    bench.remove("/data/recovery-point-offset-checkpoint");
    bench.edit(&file(0, ".log"), |bytes| bytes[200] ^= 1);
    assert_recovers(&bench, 0..1, "as Kafka's metadata log").await;
}

#[tokio::test]
async fn indexes_that_are_missing_behind_ahead_or_wrong_are_rebuilt() {
    let bench = Bench::new(SMALL);
    bench.clean_run(async |log| append_some(&**log, 8)).await;
    let names = [3, 6].map(|base| [".index", ".timeindex"].map(|suffix| file(base, suffix)));
    let good = |bench: &Bench| names.clone().map(|names| names.map(|name| bench.bytes(&name)));
    let expected = good(&bench);
    assert!(expected.iter().flatten().all(|bytes| !bytes.is_empty()));
    let check = async |what: &str| {
        let closed = async |log: Arc<dyn Log>| {
            assert_eq!(offsets(&*log).await, (0..8).collect::<Vec<_>>(), "{what}");
            log.close(b"state".to_vec()).await.unwrap();
        };
        bench.restart(closed).await;
        assert_eq!(good(&bench), expected, "{what}");
    };
    for name in names.clone().as_flattened() {
        bench.remove(&format!("{LOG}/{name}"));
        check("missing").await;
    }
    bench.remove("/data/recovery-point-offset-checkpoint");
    for name in names.clone().as_flattened() {
        bench.edit(name, |bytes| bytes.truncate(bytes.len() - 5));
    }
    check("behind").await;
    for name in names.clone().as_flattened() {
        bench.edit(name, |bytes| {
            bytes.extend([0, 0, 1, 0, 0, 0, 9, 0, 0, 0, 0, 0]);
        });
    }
    check("ahead").await;
}

#[tokio::test]
async fn a_clean_log_with_an_index_newer_than_it_is_checked() {
    let bench = Bench::new(SMALL);
    bench.clean_run(async |log| append_some(&**log, 8)).await;
    let index = bench.bytes(&file(6, ".index"));
    bench.edit(&file(6, ".index"), |bytes| {
        bytes.extend([0, 0, 0, 9, 0, 0, 9, 0]);
    });
    bench.restart(async |log| assert_eq!(log.end_offset(), 8)).await;
    assert_eq!(bench.bytes(&file(6, ".index")), index);
}

#[tokio::test]
async fn half_done_cleanings_go_and_finished_ones_are_put_in_place() {
    let bench = killed().await;
    let merged: Vec<u8> = [0, 2, 4].map(|at| TestBatch::new(at, 1, 50).bytes()).concat();
    bench.write(&file(0, ".log.swap"), &merged);
    bench.write(&file(0, ".index.swap"), b"");
    bench.write(&file(6, ".log.swap"), b"made before the cleaned one");
    bench.write(&file(6, ".log.cleaned"), b"half");
    bench.write(&file(0, ".log.deleted"), b"old");
    bench.write("00000000000000000009-0000000001.checkpoint.deleted", b"not ours");
    bench.write("leader-epoch-checkpoint.tmp", b"half");
    bench.restart(async |log| assert_eq!(offsets(&*log).await, [0, 2, 4, 6, 7])).await;
    let left = |suffix: &str| bench.names().iter().any(|name| name.ends_with(suffix));
    assert!(!left(".swap") && !left(".cleaned") && !left(".log.deleted") && !left(".tmp"));
    assert!(left(".checkpoint.deleted"));
    assert!(!bench.names().contains(&file(3, ".log")));
}

#[tokio::test]
async fn orphans_of_a_log_file_go() {
    let bench = killed().await;
    for suffix in [".index", ".timeindex", ".txnindex"] {
        bench.write(&file(77, suffix), b"");
    }
    assert_recovers(&bench, 0..8, "orphans").await;
    assert!(!bench.names().iter().any(|name| name.starts_with(&format!("{:020}", 77))));
}

#[tokio::test]
async fn snapshots_above_the_end_go_and_unusable_ones_are_passed_over() {
    let bench = killed().await;
    bench.edit(&file(6, ".log"), |bytes| bytes.truncate(10));
    bench.write(&file(7, ".snapshot"), b"above the end");
    bench.write(&file(5, ".snapshot"), b"superseded");
    bench.write(&file(6, ".snapshot"), b"bad");
    let ((), replayed) = bench.restart(async |_| ()).await;
    let (bad, good) = ((6, b"bad".to_vec()), (3, b"at 3".to_vec()));
    assert_eq!(replayed.snapshots, [bad, good]);
    assert_eq!(replayed.offsets, [3, 4, 5]);
    let left: Vec<_> =
        bench.names().into_iter().filter(|name| name.ends_with("snapshot")).collect();
    assert_eq!(left, [file(3, ".snapshot")]);
}

#[tokio::test]
async fn what_ended_below_a_later_start_is_replayed_too() {
    let bench = killed().await;
    bench
        .restart(async |log| {
            append_some(&*log, 1);
            log.delete_before(log.end_offset() - 1).unwrap();
        })
        .await;
    let (start, replayed) = bench.restart(async |log| log.start_offset()).await;
    let (snapshot, _) = replayed.snapshots.last().unwrap();
    assert!(*snapshot < start, "{snapshot} {start}");
    assert_eq!(replayed.offsets.first(), Some(snapshot));
}

#[tokio::test]
async fn epochs_end_with_the_log_and_are_learned_from_batches() {
    let bench = Bench::new(SMALL);
    bench
        .restart(async |log| {
            for epoch in [1, 4] {
                log.begin_epoch(epoch).unwrap();
                let at = log.end_offset();
                append(&*log, &TestBatch { epoch, ..TestBatch::new(at, 1, 100) }).unwrap();
            }
        })
        .await;
    bench.write("leader-epoch-checkpoint", b"0\n3\n1 0\n4 1\n6 9\n");
    bench.restart(async |log| assert_eq!(log.latest_epoch(), Some(4))).await;
    bench.write("leader-epoch-checkpoint", b"\0\0\0");
    let ends = |log: &dyn Log| [1, 4].map(|epoch| log.epoch_end_offset(epoch));
    bench.restart(async |log| assert_eq!(ends(&*log), [Some((1, 1)), Some((4, 2))])).await;
    assert_eq!(bench.bytes("leader-epoch-checkpoint"), b"0\n2\n1 0\n4 1\n");
}

#[tokio::test]
async fn a_log_that_ends_below_its_start_begins_anew_there() {
    let bench = killed().await;
    bench.write("/data/log-start-offset-checkpoint", b"0\n1\norders 0 20\n");
    let bounds = async |log: Arc<dyn Log>| (log.start_offset(), log.end_offset());
    assert_eq!(bench.restart(bounds).await.0, (20, 20));
    assert!(bench.names().contains(&file(20, ".log")));
    assert!(!bench.names().contains(&file(0, ".log")));
}

#[tokio::test]
async fn segments_below_the_start_go() {
    let bench = killed().await;
    bench.write("/data/log-start-offset-checkpoint", b"0\n1\norders 0 4\n");
    bench.restart(async |log| assert_eq!(offsets(&*log).await, [4, 5, 6, 7])).await;
    assert!(!bench.names().contains(&file(0, ".log")));
}

#[tokio::test]
async fn a_message_format_of_the_past_is_refused_and_kept() {
    let bench = killed().await;
    // A message of format 1: CRC-32, magic, attributes, timestamp, no key, value "x".
    let mut message = vec![1, 0];
    message.extend(1_000i64.to_be_bytes());
    message.extend((-1i32).to_be_bytes());
    message.extend([0, 0, 0, 1, b'x']);
    let mut crc = flate2::Crc::new();
    crc.update(&message);
    let mut bytes = 0i64.to_be_bytes().to_vec();
    bytes.extend((message.len() as i32 + 4).to_be_bytes());
    bytes.extend(crc.sum().to_be_bytes());
    bytes.extend(message);
    bytes.resize(200, 0);
    bench.write(&file(0, ".log"), &bytes);
    let engine = bench.start();
    let observer = Arc::new(Observer::default());
    let opened = engine.open(&id(), SMALL, observer, &mut Replayed::default()).await;
    let error = opened.err().unwrap().to_string();
    assert!(error.contains("message format 1"), "{error}");
    assert_eq!(bench.bytes(&file(0, ".log")), bytes);
}

#[tokio::test]
async fn a_directory_has_one_owner_and_sweeps_what_was_deleted() {
    let bench = killed().await;
    bench.disk.create_dir_all("/data/gone-0.0123-delete".as_ref()).unwrap();
    bench.disk.create_dir_all("/data/no-partition".as_ref()).unwrap();
    let engine = bench.start();
    assert_eq!(engine.existing().unwrap(), ["orders-0"]);
    let gone = bench.disk.kind("/data/gone-0.0123-delete".as_ref()).unwrap();
    assert_eq!(gone, None);
    let env = env(Arc::new(bench.disk.clone()));
    let refused = LocalEngine::open(&env, ROOT.as_ref(), EngineSettings::default());
    let message = refused.err().unwrap().to_string();
    assert!(message.contains("/data") && message.contains("log.dirs"), "{message}");
}

#[tokio::test]
async fn checkpoints_of_deleted_logs_are_not_inherited() {
    let bench = Bench::new(SMALL);
    bench
        .clean_run(async |log| {
            append_some(&**log, 8);
            log.delete_before(7).unwrap();
        })
        .await;
    bench.disk.remove_dir_all(LOG.as_ref()).unwrap();
    drop(bench.start());
    bench.restart(async |log| append_some(&*log, 2)).await;
    assert_recovers(&bench, 0..2, "a log of the same name").await;
    let length = bench.disk.kind(&Bench::path(&file(0, ".log"))).unwrap();
    assert_eq!(length, Some(FileKind::File(3 * 161)));
}
