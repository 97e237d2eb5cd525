use super::*;
use crate::records::Compression;

const ANY: Isolation = Isolation::ReadUncommitted;

/// A batch whose records have these times.
fn timed(times_ms: &[i64], compression: Compression) -> Vec<u8> {
    let mut builder = BatchBuilder::new(0, -1).compressed(compression, None);
    for time_ms in times_ms {
        builder.push(*time_ms, None, None);
    }
    builder.build()
}

async fn lookup(bench: &Bench, timestamp_ms: i64, isolation: Isolation) -> Option<(i64, i64, i32)> {
    let found = bench.partition.offset_for_timestamp(timestamp_ms, isolation).await.unwrap();
    found.map(|found| (found.offset, found.timestamp_ms, found.leader_epoch))
}

#[tokio::test]
async fn special_times_of_an_empty_log() {
    let bench = Bench::new().await;
    assert_eq!(lookup(&bench, -1, ANY).await, Some((0, -1, 3)));
    assert_eq!(lookup(&bench, -2, ANY).await, Some((0, -1, 3)));
    assert_eq!(lookup(&bench, -3, ANY).await, None);
    assert_eq!(lookup(&bench, -4, ANY).await, Some((0, -1, 3)));
    assert_eq!(lookup(&bench, 0, ANY).await, None);
}

#[tokio::test]
async fn tiered_times_are_nothing_and_unknown_ones_unsupported() {
    let bench = Bench::new().await;
    assert_eq!(lookup(&bench, -5, ANY).await, Some((-1, -1, -1)));
    assert_eq!(lookup(&bench, -6, ANY).await, Some((-1, -1, -1)));
    for unknown in [-7, i64::MIN] {
        let refused = bench.partition.offset_for_timestamp(unknown, ANY).await.unwrap_err();
        assert_eq!(refused.error_code(), ErrorCode::UnsupportedVersion);
    }
}

#[tokio::test]
async fn earliest_and_latest_follow_the_log() {
    let bench = Bench::new().await;
    bench.append(&plain(5)).unwrap();
    bench.partition.raise_leader_epoch(4).unwrap();
    bench.append(&plain(5)).unwrap();
    bench.partition.log.delete_before(2).unwrap();
    assert_eq!(lookup(&bench, -2, ANY).await, Some((2, -1, 3)));
    assert_eq!(lookup(&bench, -4, ANY).await, Some((2, -1, 3)));
    assert_eq!(lookup(&bench, -1, ANY).await, Some((10, -1, 4)));
}

#[tokio::test]
async fn the_first_record_at_or_after_a_time_is_found_inside_its_batch() {
    for compression in [Compression::None, Compression::Zstd] {
        let bench = Bench::new().await;
        bench.append(&timed(&[10, 30, 20], compression)).unwrap();
        bench.append(&timed(&[40, 25, 60], compression)).unwrap();
        let expected = [
            (0, Some((0, 10, 3))),
            (11, Some((1, 30, 3))),
            (30, Some((1, 30, 3))),
            (31, Some((3, 40, 3))),
            (41, Some((5, 60, 3))),
            (61, None),
        ];
        for (asked, found) in expected {
            assert_eq!(lookup(&bench, asked, ANY).await, found, "time {asked}");
        }
        assert_eq!(lookup(&bench, -3, ANY).await, Some((5, 60, 3)));
    }
}

#[tokio::test]
async fn of_equal_largest_times_the_first_counts() {
    let bench = Bench::new().await;
    bench.append(&timed(&[10, 30], Compression::None)).unwrap();
    bench.append(&timed(&[30, 30], Compression::None)).unwrap();
    assert_eq!(lookup(&bench, -3, ANY).await, Some((1, 30, 3)));
}

#[tokio::test]
async fn records_before_the_log_start_are_not_found() {
    let bench = Bench::new().await;
    bench.append(&timed(&[50, 10, 10], Compression::None)).unwrap();
    bench.append(&timed(&[20], Compression::None)).unwrap();
    bench.append(&timed(&[50, 60], Compression::None)).unwrap();
    bench.partition.log.delete_before(1).unwrap();
    assert_eq!(lookup(&bench, 30, ANY).await, Some((4, 50, 3)));
    assert_eq!(lookup(&bench, 5, ANY).await, Some((1, 10, 3)));
    assert_eq!(lookup(&bench, 61, ANY).await, None);
}

#[tokio::test]
async fn nothing_is_found_at_or_above_the_readers_limit() {
    let bench = Bench::new().await;
    bench.append(&timed(&[10], Compression::None)).unwrap();
    bench.append_internal(|base_offset| transactional_at(base_offset, (5, 0), 0, 2));
    let committed = Isolation::ReadCommitted;
    assert_eq!(lookup(&bench, -1, committed).await, Some((1, -1, 3)));
    assert_eq!(lookup(&bench, 10, committed).await, Some((0, 10, 3)));
    assert_eq!(lookup(&bench, 11, committed).await, None);
    assert_eq!(lookup(&bench, -3, committed).await, None);
    assert_eq!(lookup(&bench, 11, ANY).await, Some((1, NOW_MS, 3)));
}

#[tokio::test]
async fn under_log_append_time_every_record_has_the_batchs_time() {
    let config = TopicConfig {
        message_timestamp_type: crate::config::TimestampType::LogAppendTime,
        ..TopicConfig::default()
    };
    let bench = Bench::with(Commit::Done, config).await;
    bench.append(&timed(&[10, 20], Compression::None)).unwrap();
    assert_eq!(lookup(&bench, 21, ANY).await, Some((0, NOW_MS, 3)));
    assert_eq!(lookup(&bench, -3, ANY).await, Some((0, NOW_MS, 3)));
}
