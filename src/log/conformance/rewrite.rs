//! Replacing sealed segments.

use super::*;

/// Segments of two batches of 200 bytes, two offsets each: at 0, 4, 8, and so on.
const SMALL: LogConfig = LogConfig { segment_bytes: 500, ..CONFIG };

fn bases(log: &dyn Log) -> Vec<i64> {
    log.segments().iter().map(|segment| segment.base_offset).collect()
}

/// Writes `batches` in the place of what is there.
fn rewrite(log: &dyn Log, from: i64, until: i64, batches: &[TestBatch]) {
    let mut rewrite = log.rewrite(from, until).unwrap();
    for batch in batches {
        rewrite.append(&batch.bytes(), listed(batch.aborts())).unwrap();
    }
    rewrite.finish().unwrap();
}

pub(crate) async fn a_rewrite_shows_all_of_it_or_nothing(storage: &dyn Storage) {
    let engine = storage.start().await;
    let (log, _) = open_with(&engine, SMALL, 0).await;
    let batches = append_pairs(&*log, 7, 139);
    assert_eq!(bases(&*log), [0, 4, 8, 12]);
    let reader = log.read(0, 14, 1 << 20).await.unwrap();
    let mut under_way = log.rewrite(0, 12).unwrap();
    under_way.append(&batches[1].bytes(), None).unwrap();
    drop(under_way);
    assert_eq!(all(&*log).await, bytes_of(&batches));

    let kept = [batches[1].clone(), batches[4].clone()];
    let mut under_way = log.rewrite(0, 12).unwrap();
    for batch in &kept {
        under_way.append(&batch.bytes(), None).unwrap();
        assert_eq!(all(&*log).await, bytes_of(&batches));
    }
    let later = append_pairs(&*log, 3, 139);
    under_way.finish().unwrap();
    let expected = [&kept[..], &batches[6..], &later].concat();
    assert_eq!(all(&*log).await, bytes_of(&expected));
    assert_eq!(bases(&*log), [0, 12, 16]);
    assert_eq!(log.size_bytes(), bytes_of(&expected).len() as u64);
    assert_eq!((log.start_offset(), log.end_offset()), (0, 20));
    for (from, index) in [(0, 0), (3, 0), (4, 1), (7, 1), (9, 1), (10, 2), (12, 2)] {
        assert_eq!(read(&*log, from, 20, 1).await, expected[index].bytes(), "from {from}");
    }
    // Who has read keeps it.
    assert!(bytes_of(&batches).starts_with(&chunk_bytes(&reader.chunk)));
    let found = log.first_batch_at_time(1_005).await.unwrap();
    assert_eq!(found.map(|header| header.base_offset), Some(8));
}

pub(crate) async fn a_rewrite_may_leave_nothing(storage: &dyn Storage) {
    let engine = storage.start().await;
    let (log, _) = open_with(&engine, SMALL, 0).await;
    let batches = append_pairs(&*log, 7, 139);
    rewrite(&*log, 4, 12, &[]);
    assert_eq!(bases(&*log), [0, 4, 12]);
    let expected = [&batches[..2], &batches[6..]].concat();
    assert_eq!(all(&*log).await, bytes_of(&expected));
    assert_eq!(read(&*log, 5, 14, 1).await, batches[6].bytes());
    rewrite(&*log, 0, 12, &batches[..1]);
    assert_eq!(bases(&*log), [0, 12]);
    drop((log, engine));
    let engine = storage.start().await;
    let (log, _) = open_with(&engine, SMALL, 0).await;
    assert_eq!(all(&*log).await, bytes_of(&[&batches[..1], &batches[6..]].concat()));
    assert_eq!(log.end_offset(), 14);
}

pub(crate) async fn a_rewrite_lists_the_aborted_transactions_anew(storage: &dyn Storage) {
    let engine = storage.start().await;
    let (log, _) = open_with(&engine, SMALL, 0).await;
    let marker = |base_offset, producer_id| TestBatch {
        control: true,
        producer_id,
        ..TestBatch::new(base_offset, 1, 139)
    };
    let batches = [marker(0, 1), marker(1, 2), marker(2, 3), marker(3, 4), marker(4, 5)];
    for batch in &batches {
        append(&*log, batch);
    }
    assert_eq!(bases(&*log), [0, 2, 4]);
    let aborted = async |log: &dyn Log| -> Vec<i64> {
        let read = log.read_committed(0, log.end_offset(), 1 << 20).await.unwrap();
        read.aborted.iter().map(|aborted| aborted.producer_id).collect()
    };
    assert_eq!(aborted(&*log).await, [1, 2, 3, 4, 5]);
    let mut under_way = log.rewrite(0, 4).unwrap();
    under_way.append(&batches[1].bytes(), listed(batches[1].aborts())).unwrap();
    under_way.append(&batches[2].bytes(), None).unwrap();
    under_way.finish().unwrap();
    assert_eq!(aborted(&*log).await, [2, 5]);
    log.close(b"state".to_vec()).await.unwrap();
    engine.close(1).await.unwrap();
    drop((log, engine));
    let engine = storage.start().await;
    let (log, _) = open_with(&engine, SMALL, 0).await;
    assert_eq!(aborted(&*log).await, [2, 5]);
}

pub(crate) async fn a_rewrite_of_what_has_gone_changes_nothing(storage: &dyn Storage) {
    let engine = storage.start().await;
    let (log, _) = open_with(&engine, SMALL, 0).await;
    let batches = append_pairs(&*log, 7, 139);
    let under_way = log.rewrite(0, 12).unwrap();
    log.delete_before(5).unwrap();
    assert!(matches!(under_way.finish(), Err(RewriteError::Changed)));
    assert_eq!(all(&*log).await, bytes_of(&batches[2..]));
    // The start may lie in mid-segment.
    rewrite(&*log, 4, 12, &batches[4..5]);
    assert_eq!(all(&*log).await, bytes_of(&[&batches[4..5], &batches[6..]].concat()));
    let under_way = log.rewrite(4, 12).unwrap();
    log.close(Vec::new()).await.unwrap();
    assert!(matches!(under_way.finish(), Err(RewriteError::Log(AppendError::Offline(_)))));
    let deleted = id("orders", 3);
    engine.delete(std::slice::from_ref(&deleted)).await.unwrap();
    drop(log);
    assert_eq!(engine.existing().unwrap(), Vec::<String>::new());
}

pub(crate) async fn only_sealed_segments_are_rewritten(storage: &dyn Storage) {
    let engine = storage.start().await;
    let (log, _) = open_with(&engine, SMALL, 0).await;
    append_pairs(&*log, 7, 139);
    for (from, until) in [(12, 14), (0, 14), (1, 12), (0, 11), (4, 4), (8, 4), (0, 1 << 40)] {
        let refused = log.rewrite(from, until);
        assert!(matches!(refused, Err(RewriteError::Changed)), "{from}..{until}");
    }
}

pub(crate) async fn a_rewrite_survives_any_stop(storage: &dyn Storage) {
    let engine = storage.start().await;
    let (log, _) = open_with(&engine, SMALL, 0).await;
    let batches = append_pairs(&*log, 7, 139);
    rewrite(&*log, 0, 8, &batches[2..3]);
    let unfinished = log.rewrite(8, 12).unwrap();
    std::mem::forget(unfinished);
    let expected = [&batches[2..3], &batches[4..]].concat();
    drop((log, engine));
    let engine = storage.start().await;
    let (log, _) = open_with(&engine, SMALL, 0).await;
    assert_eq!(all(&*log).await, bytes_of(&expected));
    assert_eq!((bases(&*log), log.end_offset()), (vec![0, 8, 12], 14));
    rewrite(&*log, 0, 12, &expected[1..2]);
    let expected = [&expected[1..2], &batches[6..]].concat();
    log.close(Vec::new()).await.unwrap();
    engine.close(1).await.unwrap();
    drop((log, engine));
    let engine = storage.start().await;
    let (log, replayed) = open_with(&engine, SMALL, 0).await;
    assert_eq!(replayed.batches, []);
    assert_eq!(all(&*log).await, bytes_of(&expected));
    assert_eq!((bases(&*log), log.end_offset()), (vec![0, 12], 14));
}

pub(crate) async fn how_far_a_log_is_compacted_is_known_until_it_is_deleted(storage: &dyn Storage) {
    let engine = storage.start().await;
    let log = open(&engine).await;
    assert_eq!(log.cleaned_offset(), None);
    append_pairs(&*log, 3, 10);
    log.set_cleaned_offset(4).unwrap();
    assert_eq!(log.cleaned_offset(), Some(4));
    drop((log, engine));
    let engine = storage.start().await;
    let log = open(&engine).await;
    assert_eq!(log.cleaned_offset(), Some(4));
    engine.delete(&[id("orders", 3)]).await.unwrap();
    log.set_cleaned_offset(5).unwrap_err();
    let log = open(&engine).await;
    assert_eq!(log.cleaned_offset(), None);
}
