use super::*;

fn begin(bench: &Bench, producer: (i64, i16), sequence: i32) -> Appended {
    bench.append_internal(|base_offset| transactional_at(base_offset, producer, sequence, 2))
}

#[tokio::test]
async fn without_transactions_the_last_stable_offset_is_the_high_watermark() {
    let bench = Bench::with(Commit::Pending, TopicConfig::default()).await;
    bench.append(&plain(3)).unwrap();
    let bounds = bench.partition.bounds();
    assert_eq!((bounds.last_stable_offset, bounds.high_watermark, bounds.end_offset), (0, 0, 3));
    bench.flush().await;
    let bounds = bench.partition.bounds();
    assert_eq!((bounds.last_stable_offset, bounds.high_watermark, bounds.end_offset), (3, 3, 3));
}

#[tokio::test]
async fn the_oldest_open_transaction_holds_the_last_stable_offset() {
    let bench = Bench::new().await;
    bench.append(&plain(1)).unwrap();
    begin(&bench, (5, 0), 0);
    begin(&bench, (6, 0), 0);
    begin(&bench, (5, 0), 2);
    assert_eq!(bench.last_stable_offset(), 1);
    bench.mark(5, 0, true);
    assert_eq!(bench.last_stable_offset(), 3);
    bench.mark(6, 0, false);
    assert_eq!(bench.last_stable_offset(), 9);
}

#[tokio::test]
async fn a_marker_counts_only_once_it_is_committed() {
    let bench = Bench::with(Commit::Pending, TopicConfig::default()).await;
    begin(&bench, (5, 0), 0);
    bench.flush().await;
    assert_eq!(bench.last_stable_offset(), 0);
    bench.mark(5, 0, true);
    assert_eq!(bench.last_stable_offset(), 0);
    begin(&bench, (5, 0), 2);
    bench.flush().await;
    assert_eq!(bench.last_stable_offset(), 3);
}

#[tokio::test]
async fn a_transaction_that_is_not_committed_holds_nothing_yet() {
    let bench = Bench::with(Commit::Pending, TopicConfig::default()).await;
    bench.append(&plain(2)).unwrap();
    bench.flush().await;
    begin(&bench, (5, 0), 0);
    assert_eq!(bench.last_stable_offset(), 2);
    bench.flush().await;
    let bounds = bench.partition.bounds();
    assert_eq!((bounds.last_stable_offset, bounds.high_watermark), (2, 4));
}

#[tokio::test]
async fn an_open_transaction_is_found_again_after_a_crash_and_in_a_snapshot() {
    let mut bench = Bench::new().await;
    bench.append(&plain(2)).unwrap();
    begin(&bench, (5, 0), 0);
    bench.append(&plain(1)).unwrap();
    bench.crash().await;
    assert_eq!(bench.last_stable_offset(), 2);
    bench.restart().await;
    assert_eq!(bench.last_stable_offset(), 2);
    bench.mark(5, 0, false);
    assert_eq!(bench.last_stable_offset(), 6);
    bench.restart().await;
    assert_eq!(bench.last_stable_offset(), 6);
}

#[tokio::test]
async fn an_open_transaction_is_not_forgotten_however_old() {
    let mut bench = Bench::new().await;
    begin(&bench, (5, 0), 0);
    bench.partition.close().await.unwrap();
    bench.clock.advance(1_000_000_000);
    bench.crash().await;
    bench.clock.advance(1_000_000_000);
    bench.append(&plain(1)).unwrap();
    assert_eq!(bench.last_stable_offset(), 0);
}

#[tokio::test]
async fn a_log_start_inside_an_open_transaction_lifts_the_last_stable_offset() {
    let bench = Bench::new().await;
    begin(&bench, (5, 0), 0);
    begin(&bench, (5, 0), 2);
    bench.partition.log.delete_before(2).unwrap();
    assert_eq!(bench.last_stable_offset(), 2);
}

#[tokio::test]
async fn a_marker_without_a_transaction_changes_no_bound_but_the_epoch() {
    let bench = Bench::new().await;
    bench.append(&sequenced(5, 0, 0, 1)).unwrap();
    bench.mark(5, 1, false);
    assert_eq!(bench.last_stable_offset(), 2);
    let old = bench.append(&sequenced(5, 0, 1, 1));
    assert_eq!(old, Err(ErrorCode::InvalidProducerEpoch));
    let not_zero = bench.append(&sequenced(5, 1, 1, 1));
    assert_eq!(not_zero, Err(ErrorCode::OutOfOrderSequenceNumber));
    bench.append(&sequenced(5, 1, 0, 1)).unwrap();
}

#[tokio::test]
async fn a_marker_of_the_same_epoch_keeps_sequence_and_window() {
    let bench = Bench::new().await;
    begin(&bench, (5, 0), 0);
    bench.mark(5, 0, true);
    let again = bench.append(&transactional_at(0, (5, 0), 0, 2)).unwrap();
    assert_eq!(again.base_offset, 0);
    bench.append(&sequenced(5, 0, 2, 1)).unwrap();
}

#[tokio::test]
async fn control_records_of_other_kinds_are_no_markers() {
    let bench = Bench::new().await;
    begin(&bench, (5, 0), 0);
    bench.append_internal(|base_offset| {
        let mut builder = BatchBuilder::new(base_offset, -1).producer(5, 0, -1).control();
        builder.push(NOW_MS, Some(&[0, 0, 0, 2]), Some(&[0; 10]));
        builder.build()
    });
    assert_eq!(bench.last_stable_offset(), 0);
}

#[tokio::test]
async fn a_transactional_batch_needs_a_transaction_and_a_plain_one_none() {
    let bench = Bench::new().await;
    let batch = transactional_at(0, (5, 0), 2, 2);
    assert_eq!(bench.append(&batch), Err(ErrorCode::InvalidTxnState));
    begin(&bench, (5, 0), 0);
    bench.append(&batch).unwrap();
    assert_eq!(bench.append(&sequenced(5, 0, 4, 1)), Err(ErrorCode::InvalidTxnState));
    let next_epoch = bench.append(&transactional_at(0, (5, 1), 0, 1));
    assert_eq!(next_epoch, Err(ErrorCode::InvalidTxnState));
}

#[tokio::test]
async fn active_producers_tell_of_their_transactions() {
    let mut bench = Bench::new().await;
    assert_eq!(bench.partition.active_producers(), Ok(vec![]));
    bench.append(&plain(1)).unwrap();
    bench.append(&sequenced(7, 2, 0, 3)).unwrap();
    begin(&bench, (5, 1), 0);
    begin(&bench, (5, 1), 2);
    let idempotent = ActiveProducer {
        producer_id: 7,
        producer_epoch: 2,
        last_sequence: 2,
        last_timestamp_ms: NOW_MS,
        coordinator_epoch: -1,
        transaction_first_offset: None,
    };
    let open = ActiveProducer {
        producer_id: 5,
        producer_epoch: 1,
        last_sequence: 3,
        transaction_first_offset: Some(4),
        ..idempotent
    };
    assert_eq!(bench.partition.active_producers(), Ok(vec![open, idempotent]));
    bench.mark(5, 1, true);
    let ended = ActiveProducer { coordinator_epoch: 9, transaction_first_offset: None, ..open };
    assert_eq!(bench.partition.active_producers(), Ok(vec![ended, idempotent]));
    bench.restart().await;
    assert_eq!(bench.partition.active_producers(), Ok(vec![ended, idempotent]));
    bench.mark(5, 2, true);
    let fenced = ActiveProducer { producer_epoch: 2, last_sequence: -1, ..ended };
    assert_eq!(bench.partition.active_producers(), Ok(vec![fenced, idempotent]));
    bench.partition.stop();
    assert_eq!(bench.partition.active_producers(), Err(NotCommitted::Stopped));
}
