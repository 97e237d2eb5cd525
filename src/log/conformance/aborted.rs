//! What readers of committed records are told of aborted transactions.

use super::*;

const SMALL: LogConfig = LogConfig { segment_bytes: 1_000, ..CONFIG };

/// Batches of three offsets, each followed by a marker that aborts something.
fn append_with_markers(log: &dyn Log, turns: usize) -> Vec<TestBatch> {
    let append_turn = |_| {
        let data = TestBatch::new(log.end_offset(), 3, 100);
        append(log, &data);
        let marker = TestBatch::new(log.end_offset(), 1, 20);
        let producer_id = marker.base_offset % 3;
        let marker = TestBatch { control: true, producer_id, ..marker };
        append(log, &marker);
        [data, marker]
    };
    (0..turns).flat_map(append_turn).collect()
}

/// From every offset and with several limits, a reader is told what overlaps the bytes it gets.
async fn check(log: &dyn Log, batches: &[TestBatch]) {
    let all: Vec<_> = batches.iter().filter_map(|batch| listed(batch.aborts())).collect();
    let until = log.end_offset();
    for from in log.start_offset()..until {
        for max_bytes in [0, 300, 1_000, 1 << 20] {
            let told = log.read_committed(from, until, max_bytes).await.unwrap();
            let bytes = chunk_bytes(&told.chunk);
            assert_eq!(bytes, read(log, from, until, max_bytes).await);
            // The last batch may be cut, and counts whole.
            let (mut end, mut left) = (from, bytes.len());
            for batch in batches.iter().filter(|batch| batch.end_offset() > from) {
                if left > 0 {
                    (end, left) = (batch.end_offset(), left.saturating_sub(batch.bytes().len()));
                }
            }
            let (overlapping, later): (Vec<&_>, Vec<&_>) =
                told.aborted.iter().partition(|one| one.first_offset < end);
            let expected = all.iter().filter(|one| one.last_offset >= from);
            let expected: Vec<_> = expected.filter(|one| one.first_offset < end).collect();
            assert_eq!(overlapping, expected, "{from}, {max_bytes} bytes");
            assert!(later.iter().all(|told| all.contains(told)), "{from}, {max_bytes} bytes");
            assert!(told.aborted.is_sorted_by_key(|told| told.last_offset));
        }
    }
    let told = log.read(log.start_offset(), until, 1 << 20).await.unwrap().aborted;
    assert_eq!(told, [], "only readers of committed records are told");
}

pub(crate) async fn aborted_transactions_are_told_with_what_they_overlap(storage: &dyn Storage) {
    let engine = storage.start().await;
    let (log, _) = open_with(&engine, SMALL, 0).await;
    assert_eq!(log.read_committed(0, 0, 1_000).await.unwrap().aborted, []);
    let mut batches = append_pairs(&*log, 2, 50);
    check(&*log, &batches).await;
    for turns in [1, 4, 9] {
        batches.extend(append_with_markers(&*log, turns));
        check(&*log, &batches).await;
    }
    log.roll(&mut Vec::new).unwrap();
    check(&*log, &batches).await;
    for start in [5, 20, 41] {
        log.delete_before(start).unwrap();
        check(&*log, &batches).await;
    }
    assert!(log.read_committed(40, 50, 1_000).await.is_err());
}

pub(crate) async fn aborted_transactions_survive_any_stop(storage: &dyn Storage) {
    let mut batches = Vec::new();
    for is_clean in [true, false, false, true] {
        let engine = storage.start().await;
        let (log, _) = open_with(&engine, SMALL, 0).await;
        check(&*log, &batches).await;
        batches.extend(append_with_markers(&*log, 7));
        check(&*log, &batches).await;
        if is_clean {
            log.close(b"state".to_vec()).await.unwrap();
            drop(log);
            engine.close(7).await.unwrap();
        }
    }
}
