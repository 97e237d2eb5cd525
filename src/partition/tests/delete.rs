use super::*;

async fn filled_with(policy: (bool, bool)) -> Bench {
    let (compact, delete) = policy;
    let bench =
        Bench::with(Commit::Done, TopicConfig { compact, delete, ..Default::default() }).await;
    let mut batch = BatchBuilder::new(0, -1);
    for _ in 0..10 {
        batch.push(NOW_MS, Some(b"key"), Some(b"value"));
    }
    bench.append(&batch.build()).unwrap();
    bench
}

fn delete(bench: &Bench, offset: i64) -> Result<i64, ErrorCode> {
    bench.partition.delete_records(offset).map_err(|error| error.error_code())
}

#[tokio::test]
async fn the_log_begins_where_it_was_told_and_never_goes_back() {
    let mut bench = filled_with((false, true)).await;
    for (offset, start) in [(0, 0), (3, 3), (2, 3), (0, 3), (10, 10)] {
        assert_eq!(delete(&bench, offset), Ok(start));
        assert_eq!(bench.partition.bounds().log_start_offset, start);
    }
    bench.append(&plain(2)).unwrap();
    assert_eq!(delete(&bench, -1), Ok(12), "all of it");
    bench.crash().await;
    assert_eq!(bench.partition.bounds().log_start_offset, 12);
}

#[tokio::test]
async fn offsets_that_no_reader_has_seen_are_out_of_range() {
    let bench = Bench::with(Commit::Pending, TopicConfig::default()).await;
    bench.append(&plain(5)).unwrap();
    bench.flush().await;
    bench.append(&plain(5)).unwrap();
    for offset in [-2, i64::MIN, 6, 10, i64::MAX] {
        assert_eq!(delete(&bench, offset), Err(ErrorCode::OffsetOutOfRange), "{offset}");
    }
    assert_eq!(delete(&bench, -1), Ok(5));
}

#[tokio::test]
async fn only_a_compacted_log_keeps_everything() {
    for (policy, expected) in [
        ((true, false), Err(ErrorCode::PolicyViolation)),
        ((true, true), Ok(1)),
        ((false, false), Ok(1)),
    ] {
        assert_eq!(delete(&filled_with(policy).await, 1), expected, "{policy:?}");
    }
    let compacted = filled_with((true, false)).await;
    assert_eq!(delete(&compacted, 11), Err(ErrorCode::PolicyViolation), "before the offset");
}

#[tokio::test]
async fn an_open_transaction_goes_on_after_its_beginning_is_deleted() {
    let bench = Bench::new().await;
    bench.append_internal(|base_offset| transactional_at(base_offset, (5, 0), 0, 4));
    assert_eq!(delete(&bench, -1), Ok(4));
    assert_eq!(bench.last_stable_offset(), 4);
    bench.append(&plain(1)).unwrap();
    assert_eq!(bench.last_stable_offset(), 4);
    bench.mark(5, 0, true);
    assert_eq!(bench.last_stable_offset(), 6);
}

#[tokio::test]
async fn a_stopped_partition_deletes_nothing() {
    let bench = filled_with((false, true)).await;
    bench.partition.stop();
    assert_eq!(delete(&bench, 1), Err(ErrorCode::NotLeaderOrFollower));
}
