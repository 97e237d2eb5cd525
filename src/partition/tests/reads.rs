use super::*;

async fn code(bench: &Bench, from: i64, isolation: Isolation) -> Result<usize, ErrorCode> {
    match bench.partition.read(from, 1000, isolation).await {
        Ok(outcome) => Ok(outcome.chunk.len()),
        Err(error) => Err(error.error_code()),
    }
}

#[tokio::test]
async fn a_read_returns_whole_batches_and_the_first_whatever_its_size() {
    let bench = Bench::new().await;
    let size = bench.append(&plain(3)).map(|_| bench.partition.size_bytes() as usize).unwrap();
    bench.append(&plain(3)).unwrap();
    bench.append(&plain(3)).unwrap();
    let bases =
        |read: Vec<BatchHeader>| read.iter().map(|batch| batch.base_offset).collect::<Vec<_>>();
    assert_eq!(bases(bench.read(0, 0).await), [0]);
    assert_eq!(bases(bench.read(4, 2 * size).await), [3, 6]);
}

#[tokio::test]
async fn offsets_outside_the_log_are_out_of_range_and_those_above_the_limit_empty() {
    let bench = Bench::with(Commit::Pending, TopicConfig::default()).await;
    bench.append(&plain(5)).unwrap();
    bench.flush().await;
    bench.append(&plain(5)).unwrap();
    bench.partition.log.delete_before(2).unwrap();
    let out_of_range = Err(ErrorCode::OffsetOutOfRange);
    for isolation in [Isolation::ReadUncommitted, Isolation::ReadCommitted, Isolation::LogEnd] {
        assert_eq!(code(&bench, 1, isolation).await, out_of_range);
        assert_ne!(code(&bench, 2, isolation).await, Ok(0));
        assert_eq!(code(&bench, 10, isolation).await, Ok(0));
        assert_eq!(code(&bench, 11, isolation).await, out_of_range);
        assert_eq!(code(&bench, -1, isolation).await, out_of_range);
    }
    assert_eq!(code(&bench, 7, Isolation::ReadUncommitted).await, Ok(0));
    assert_ne!(code(&bench, 7, Isolation::LogEnd).await, Ok(0));
}

#[tokio::test]
async fn read_committed_stops_at_the_last_stable_offset() {
    let bench = Bench::new().await;
    bench.append(&plain(2)).unwrap();
    bench.append_internal(|base_offset| transactional_at(base_offset, (5, 0), 0, 2));
    let read = bench.partition.read(0, 1000, Isolation::ReadCommitted).await.unwrap();
    assert_eq!(headers(&read.chunk.into_bytes().unwrap()).len(), 1);
    assert_eq!((read.bounds.last_stable_offset, read.bounds.high_watermark), (2, 4));
    assert_eq!(code(&bench, 2, Isolation::ReadCommitted).await, Ok(0));
}

#[tokio::test]
async fn a_stopped_partition_is_not_read() {
    let bench = Bench::new().await;
    bench.partition.stop();
    let refused = code(&bench, 0, Isolation::LogEnd).await;
    assert_eq!(refused, Err(ErrorCode::NotLeaderOrFollower));
    let refused = bench.partition.offset_for_timestamp(-1, Isolation::LogEnd).await;
    assert_eq!(refused.unwrap_err().error_code(), ErrorCode::NotLeaderOrFollower);
}

#[tokio::test]
async fn a_leader_epoch_is_compared_with_ours() {
    let bench = Bench::new().await;
    assert_eq!(bench.partition.check_epoch(-1), Ok(()));
    assert_eq!(bench.partition.check_epoch(3), Ok(()));
    assert_eq!(bench.partition.check_epoch(2), Err(ErrorCode::FencedLeaderEpoch));
    assert_eq!(bench.partition.check_epoch(4), Err(ErrorCode::UnknownLeaderEpoch));
}

/// Epoch 3 for offsets 0 to 4, epoch 6 from 5 to 7.
async fn of_two_epochs() -> Bench {
    let bench = Bench::new().await;
    bench.append(&plain(5)).unwrap();
    bench.partition.raise_leader_epoch(6).unwrap();
    bench.partition.raise_leader_epoch(4).unwrap();
    bench.append(&plain(3)).unwrap();
    bench
}

#[tokio::test]
async fn epochs_end_where_the_next_one_begins() {
    let bench = of_two_epochs().await;
    assert_eq!(bench.partition.leader_epoch(), 6);
    assert_eq!(bench.read(5, 0).await[0].leader_epoch, 6);
    let ends = [(-1, (-1, -1)), (2, (2, 0)), (3, (3, 5)), (5, (3, 5)), (6, (6, 8)), (7, (-1, -1))];
    for (asked, expected) in ends {
        assert_eq!(bench.partition.epoch_end_offset(asked), expected, "epoch {asked}");
    }
}

#[tokio::test]
async fn a_fetcher_that_read_what_we_do_not_have_hears_where_we_part() {
    let bench = of_two_epochs().await;
    let divergence = |epoch, offset| {
        let found = bench.partition.divergence(epoch, offset);
        found.map_err(|error| error.error_code())
    };
    assert_eq!(divergence(-1, 99), Ok(None));
    assert_eq!(divergence(3, 5), Ok(None));
    assert_eq!(divergence(3, 6), Ok(Some((3, 5))));
    assert_eq!(divergence(4, 5), Ok(Some((3, 5))));
    assert_eq!(divergence(6, 8), Ok(None));
    assert_eq!(divergence(6, 9), Ok(Some((6, 8))));
    assert_eq!(divergence(7, 8), Err(ErrorCode::OffsetOutOfRange));
    bench.partition.log.delete_before(2).unwrap();
    assert_eq!(divergence(3, 1), Err(ErrorCode::OffsetOutOfRange));
}
