//! What logs say of their segments.

use super::*;

const SMALL: LogConfig = LogConfig { segment_bytes: 500, ..CONFIG };

fn facts(log: &dyn Log) -> Vec<(i64, i64, u64)> {
    let segments = log.segments().into_iter();
    segments.map(|one| (one.base_offset, one.end_offset, one.size_bytes)).collect()
}

pub(crate) async fn segments_are_listed_with_their_sizes(storage: &dyn Storage) {
    let engine = storage.start().await;
    let (log, _) = open_with(&engine, SMALL, 0).await;
    assert_eq!(facts(&*log), [(0, 0, 0)]);
    append_pairs(&*log, 5, 139);
    let listed = [(0, 4, 400), (4, 8, 400), (8, 10, 200)];
    assert_eq!(facts(&*log), listed);
    log.roll(&mut Vec::new).unwrap();
    assert_eq!(facts(&*log)[3], (10, 10, 0));
    log.delete_before(3).unwrap();
    assert_eq!(facts(&*log)[..3], listed);
    log.delete_before(8).unwrap();
    let rest = [(8, 10, 200), (10, 10, 0)];
    assert_eq!(facts(&*log), rest);
    log.close(Vec::new()).await.unwrap();
    engine.close(1).await.unwrap();
    drop((log, engine));
    let engine = storage.start().await;
    let (log, _) = open_with(&engine, SMALL, 0).await;
    assert_eq!(facts(&*log), rest);
    log.delete_before(10).unwrap();
    assert_eq!(facts(&*log), [(10, 10, 0)]);
}

pub(crate) async fn a_segment_has_the_time_of_its_newest_record(storage: &dyn Storage) {
    let engine = storage.start().await;
    let (log, _) = open_with(&engine, SMALL, 0).await;
    for (index, timestamp_ms) in [50, 70, 20, 10, 60, 5].into_iter().enumerate() {
        append(&*log, &TestBatch { timestamp_ms, ..TestBatch::new(index as i64, 1, 100) });
    }
    assert_eq!(log.segment_time_ms(0).unwrap(), Some(70));
    assert_eq!(log.segment_time_ms(3).unwrap(), Some(60));
    assert_eq!(log.segment_time_ms(1).unwrap(), None);
}
