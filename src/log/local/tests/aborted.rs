//! `.txnindex` in every state in which a crash, or somebody else, may leave it.

use super::*;
use crate::log::conformance::listed;

/// Segments of about five batches.
const SMALL: LogConfig = LogConfig { segment_bytes: 500, ..CONFIG };

fn file(base: i64) -> String {
    format!("{base:020}.txnindex")
}

/// Data at even offsets, a marker that aborts something at odd ones.
fn append_pairs(log: &dyn Log, count: i64) {
    for _ in 0..count {
        append_some(log, 1);
        let (offset, control) = (log.end_offset(), true);
        let marker = TestBatch { control, producer_id: 7, ..TestBatch::new(offset, 1, 10) };
        append(log, &marker).unwrap();
    }
}

/// Everything in the list, by last offset.
async fn list(log: &dyn Log) -> Vec<AbortedTransaction> {
    let mut all = Vec::new();
    for from in log.start_offset()..log.end_offset() {
        let read = log.read_committed(from, log.end_offset(), 0).await.unwrap();
        let new = |one: &AbortedTransaction| {
            all.last().is_none_or(|last: &AbortedTransaction| last.last_offset < one.last_offset)
        };
        let new: Vec<_> = read.aborted.into_iter().filter(new).collect();
        all.extend(new);
    }
    all
}

/// What [`list`] gives of markers at odd offsets.
fn of_markers(offsets: std::ops::Range<i64>) -> Vec<AbortedTransaction> {
    let odd = offsets.filter(|offset| offset % 2 == 1);
    odd.filter_map(|offset| listed(aborted_by(true, 7, offset))).collect()
}

/// A closed log of markers up to offset 15; segments begin at 0, 4, 8, 12.
async fn closed() -> Bench {
    let bench = Bench::new(SMALL);
    bench.clean_run(async |log| append_pairs(&**log, 8)).await;
    let files: Vec<_> =
        bench.names().into_iter().filter(|name| name.ends_with("txnindex")).collect();
    assert_eq!(files, [0, 4, 8, 12].map(file));
    bench
}

/// After a start and a clean stop the list, and with it the files, are as they have to be.
async fn assert_mended(bench: &Bench, good: &Bench, what: &str) {
    bench
        .clean_run(async |log| {
            assert_eq!(list(&**log).await, of_markers(0..16), "{what}");
        })
        .await;
    for base in [0, 4, 8, 12] {
        assert_eq!(bench.bytes(&file(base)), good.bytes(&file(base)), "{what}");
    }
}

#[tokio::test]
async fn an_index_cut_at_any_byte_is_made_anew() {
    let good = closed().await;
    let whole = good.bytes(&file(12)).len();
    assert_eq!(whole, 2 * 34);
    for kept in 0..whole {
        let bench = closed().await;
        bench.edit(&file(12), |bytes| bytes.truncate(kept));
        if kept % 34 == 0 {
            // Nothing tells, so only a kill makes the next start look.
            bench.remove("/data/.kafka_cleanshutdown");
        }
        assert_mended(&bench, &good, &format!("{kept} bytes")).await;
    }
    for base in [0, 8, 12] {
        let bench = closed().await;
        bench.edit(&file(base), |bytes| bytes.truncate(40));
        assert_mended(&bench, &good, &format!("segment {base}")).await;
    }
}

type Edit = fn(&mut Vec<u8>);

#[tokio::test]
async fn an_index_that_does_not_fit_its_log_is_made_anew() {
    let good = closed().await;
    let edits: [(&str, Edit); 8] = [
        ("version", |bytes| bytes[1] = 1),
        ("out of order", |bytes| bytes.rotate_left(34)),
        ("twice the same", |bytes| bytes.copy_within(..34, 34)),
        ("below the segment", |bytes| bytes[25] = 3),
        ("beyond its end", |bytes| bytes[34 + 25] = 200),
        ("begins after its end", |bytes| bytes[17] = 200),
        ("stable beyond its end", |bytes| bytes[33] = 200),
        ("garbage", |bytes| bytes.fill(0xa5)),
    ];
    for (what, edit) in edits {
        for base in [4, 12] {
            for is_clean in [true, false] {
                let bench = closed().await;
                bench.edit(&file(base), edit);
                if !is_clean {
                    bench.remove("/data/.kafka_cleanshutdown");
                    bench.remove("/data/recovery-point-offset-checkpoint");
                }
                assert_mended(&bench, &good, &format!("{what}, {base}, clean {is_clean}")).await;
            }
        }
    }
}

#[tokio::test]
async fn an_index_ends_with_its_log() {
    for cut_bytes in [1, 71, 72, 240] {
        let bench = closed().await;
        bench.remove("/data/.kafka_cleanshutdown");
        bench.edit(&format!("{:020}.log", 12), |bytes| bytes.truncate(bytes.len() - cut_bytes));
        let ((), _) = bench
            .restart(async |log| {
                let end = log.end_offset();
                assert!(end < 16);
                assert_eq!(list(&*log).await, of_markers(0..end), "{cut_bytes} bytes");
                append_some(&*log, 5);
                assert_eq!(list(&*log).await, of_markers(0..end), "{cut_bytes} bytes");
            })
            .await;
    }
}

#[tokio::test]
async fn a_list_is_made_anew_from_the_snapshot_before_its_segment() {
    let bench = closed().await;
    bench.remove("/data/.kafka_cleanshutdown");
    let ((), replayed) = bench.restart(async |_| ()).await;
    let told = |at: i64| (at, format!("at {at}").into_bytes());
    assert_eq!(replayed.snapshots, [told(12), (16, b"state".to_vec())]);
    assert_eq!(replayed.offsets, [12, 13, 14, 15]);
    bench.write(&format!("{:020}.snapshot", 12), b"bad");
    bench.remove("/data/orders-0/00000000000000000016.snapshot");
    let ((), replayed) = bench.restart(async |_| ()).await;
    assert_eq!(replayed.snapshots, [(12, b"bad".to_vec()), told(8)]);
    assert_eq!(replayed.offsets, (8..16).collect::<Vec<_>>());
}

#[tokio::test]
async fn a_list_is_made_anew_from_a_snapshot_below_a_later_start_too() {
    let bench = closed().await;
    bench.remove("/data/.kafka_cleanshutdown");
    bench.write("/data/log-start-offset-checkpoint", b"0\n1\norders 0 10\n");
    for newer in [12, 16] {
        bench.remove(&format!("{LOG}/{newer:020}.snapshot"));
    }
    let (start, replayed) = bench.restart(async |log| log.start_offset()).await;
    assert_eq!(start, 10);
    assert_eq!(replayed.snapshots, [(8, b"at 8".to_vec())]);
    assert_eq!(replayed.offsets, (8..16).collect::<Vec<_>>());
}

#[tokio::test]
async fn a_segment_has_an_index_only_with_an_entry_and_takes_it_along() {
    let bench = Bench::new(SMALL);
    let has = |base: i64| bench.names().contains(&file(base));
    bench
        .clean_run(async |log| {
            append_some(&**log, 3);
            append_pairs(&**log, 3);
            log.roll(&mut Vec::new).unwrap();
            append_some(&**log, 2);
        })
        .await;
    assert!(!has(0) && has(3) && !has(9));
    bench.restart(async |log| log.delete_before(9).unwrap()).await;
    assert!(!bench.names().iter().any(|name| name.ends_with(".txnindex")));
}

/// The first entry makes a file, and no other append costs more than without transactions.
#[tokio::test(start_paused = true)]
async fn an_append_costs_one_write_but_for_the_first_abort_of_a_segment() {
    let bench = Bench::new(CONFIG);
    bench
        .restart(async |log| {
            append_some(&*log, 1);
            let mut costs = Vec::new();
            for _ in 0..3 {
                let before = bench.disk.operations();
                append_some(&*log, 1);
                let between = bench.disk.operations();
                append_pairs(&*log, 1);
                costs.push((between - before, bench.disk.operations() - between));
            }
            assert_eq!(costs, [(1, 3), (1, 2), (1, 2)]);
        })
        .await;
}

#[tokio::test]
async fn without_room_for_an_index_the_marker_is_refused() {
    let bench = Bench::new(CONFIG);
    bench
        .restart(async |log| {
            append_some(&*log, 1);
            let marker = TestBatch { control: true, producer_id: 7, ..TestBatch::new(1, 1, 10) };
            for spare in [0, 40, 70] {
                bench.disk.set_capacity_bytes(Some(bench.disk.used_bytes() + spare));
                let refused = append(&*log, &marker);
                assert!(matches!(refused, Err(AppendError::NoSpace(_))), "{refused:?}");
                assert_eq!(list(&*log).await, []);
            }
            bench.disk.set_capacity_bytes(None);
            append(&*log, &marker).unwrap();
            assert_eq!(list(&*log).await, of_markers(0..2));
        })
        .await;
    bench.restart(async |log| assert_eq!(list(&*log).await, of_markers(0..2))).await;
}
