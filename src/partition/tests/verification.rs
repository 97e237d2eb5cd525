//! What may be written of a transaction: guards, markers and epochs.

use super::*;

const NO_TRANSACTION: Result<i64, ErrorCode> = Err(ErrorCode::InvalidTxnState);
const OUT_OF_ORDER: Result<i64, ErrorCode> = Err(ErrorCode::OutOfOrderSequenceNumber);
const FENCED: Result<i64, ErrorCode> = Err(ErrorCode::InvalidProducerEpoch);
const OLD_COORDINATOR: Result<i64, ErrorCode> = Err(ErrorCode::TransactionCoordinatorFenced);

fn of(producer_id: i64, producer_epoch: i16, base_sequence: i32) -> ProducerBatch {
    ProducerBatch { producer_id, producer_epoch, base_sequence }
}

fn abort(producer_epoch: i16, transaction_version: i16) -> TransactionMarker {
    let (producer_id, coordinator_epoch) = (5, 0);
    let committed = false;
    TransactionMarker {
        producer_id,
        producer_epoch,
        coordinator_epoch,
        committed,
        transaction_version,
    }
}

impl Bench {
    /// Producer 5 is about to ask for this epoch and sequence, as a client of this transaction
    /// version.
    fn begin(&self, epoch: i16, sequence: i32, transaction_version: i16) -> Option<Guard> {
        let bumps = transaction_version >= 2;
        self.partition.begin_verification(&of(5, epoch, sequence), bumps).unwrap()
    }

    /// Producer 5 writes one record of its transaction.
    fn writes(&self, epoch: i16, sequence: i32, guard: Option<Guard>) -> Result<i64, ErrorCode> {
        let batch = transactional_at(0, (5, epoch), sequence, 1);
        let appended = self.partition.append(&batch, VERSION, guard);
        appended.map(|it| it.base_offset).map_err(|error| error.refusal().error)
    }

    fn ends(&self, marker: TransactionMarker) -> Result<i64, ErrorCode> {
        let appended = self.partition.append_marker(&marker);
        appended.map(|it| it.base_offset).map_err(|error| error.error_code())
    }
}

#[tokio::test]
async fn the_first_batch_of_a_transaction_needs_a_guard_and_the_next_ones_none() {
    let bench = Bench::new().await;
    assert_eq!(bench.writes(0, 0, None), NO_TRANSACTION);
    let guard = bench.begin(0, 0, 1);
    assert!(guard.is_some());
    assert_eq!(bench.writes(0, 0, guard), Ok(0));
    assert_eq!(bench.begin(0, 1, 1), None, "nobody has to be asked");
    assert_eq!(bench.writes(0, 1, None), Ok(1));
    assert_eq!(bench.writes(0, 2, guard), Ok(2));
    assert_eq!(bench.last_stable_offset(), 0);
}

#[tokio::test]
async fn a_guard_is_good_for_its_producer_only() {
    let bench = Bench::new().await;
    let other = bench.partition.begin_verification(&of(6, 0, 0), false).unwrap();
    assert_eq!(bench.writes(0, 0, other), NO_TRANSACTION);
    let guard = bench.begin(0, 0, 1);
    assert_ne!(guard, other);
    assert_eq!(bench.writes(0, 0, other), NO_TRANSACTION);
    assert_eq!(bench.writes(0, 0, guard), Ok(0));
}

#[tokio::test]
async fn a_verification_that_goes_on_has_one_guard() {
    let bench = Bench::new().await;
    let guard = bench.begin(0, 0, 1);
    assert_eq!(bench.begin(0, 0, 1), guard);
    assert_eq!(bench.begin(1, 0, 1), guard, "also with a new epoch");
}

/// The producer was told of a timeout and gave up; its request was only slow.
#[tokio::test]
async fn hanging_transaction_by_a_late_produce() {
    for (version, next_epoch) in [(1, 0), (2, 1)] {
        let bench = Bench::new().await;
        let guard = bench.begin(0, 0, version);
        assert_eq!(bench.writes(0, 0, guard), Ok(0));
        assert_eq!(bench.ends(abort(next_epoch, version)), Ok(1));
        let late = if version == 1 { NO_TRANSACTION } else { FENCED };
        for guard in [None, guard] {
            assert_eq!(bench.writes(0, 1, guard), late);
        }
        assert_eq!(bench.last_stable_offset(), 2, "nothing hangs");
    }
}

/// The coordinator has said yes for a transaction that an abort ended meanwhile, without having
/// told this partition of the next one.
#[tokio::test]
async fn a_guard_from_before_a_marker_is_stale_in_the_next_transaction() {
    let bench = Bench::new().await;
    let stale = bench.begin(0, 0, 1);
    assert_eq!(bench.ends(abort(0, 1)), Ok(0));
    assert_eq!(bench.writes(0, 0, stale), NO_TRANSACTION);
    let guard = bench.begin(0, 0, 1);
    assert_ne!(guard, stale);
    assert_eq!(bench.writes(0, 0, stale), NO_TRANSACTION);
    assert_eq!(bench.writes(0, 0, guard), Ok(1));
}

#[tokio::test]
async fn the_marker_of_the_transaction_before_leaves_the_guard_of_the_next_epoch() {
    let bench = Bench::new().await;
    let guard = bench.begin(0, 0, 2);
    assert_eq!(bench.writes(0, 0, guard), Ok(0));
    // The coordinator has answered EndTxn with epoch 1, and its marker is still on the way.
    let next = bench.begin(1, 0, 2);
    assert!(next.is_some());
    assert_eq!(bench.ends(abort(1, 2)), Ok(1));
    assert_eq!(bench.writes(1, 0, next), Ok(2));
    assert_eq!(bench.last_stable_offset(), 2);

    // Any other marker ends what is verified.
    assert_eq!(bench.ends(abort(2, 2)), Ok(3));
    let stale = bench.begin(2, 0, 2);
    assert_eq!(bench.ends(abort(3, 2)), Ok(4));
    assert_eq!(bench.begin(3, 0, 2).map(|it| Some(it) == stale), Some(false));
}

#[tokio::test]
async fn verification_refuses_a_zombie_before_anybody_is_asked() {
    let bench = Bench::new().await;
    assert_eq!(bench.ends(abort(3, 1)), Ok(0));
    let asked = |epoch| bench.partition.begin_verification(&of(5, epoch, 0), true);
    assert_eq!(asked(2), Err(ProducerError::InvalidEpoch));
    assert!(asked(3).unwrap().is_some());
}

#[tokio::test]
async fn a_zombie_is_fenced_before_its_transaction_is_looked_for() {
    let bench = Bench::new().await;
    let guard = bench.begin(1, 0, 1);
    assert_eq!(bench.ends(abort(2, 1)), Ok(0));
    assert_eq!(bench.writes(1, 0, guard), FENCED);
    assert_eq!(bench.writes(1, 0, None), FENCED);
    assert_eq!(bench.writes(2, 0, None), NO_TRANSACTION);
}

#[tokio::test]
async fn what_follows_a_batch_that_waits_for_its_verification_is_out_of_order() {
    let bench = Bench::new().await;
    // The first batch could not be verified; its retry comes after the second one.
    bench.begin(0, 7, 1);
    let guard = bench.begin(0, 8, 1);
    assert_eq!(bench.writes(0, 8, guard), OUT_OF_ORDER);
    assert_eq!(bench.writes(0, 7, guard), Ok(0));
    assert_eq!(bench.writes(0, 8, None), Ok(1));

    // A lower sequence of the same epoch counts, and any of a newer one.
    let bench = Bench::new().await;
    bench.begin(0, 7, 1);
    bench.begin(0, 5, 1);
    let guard = bench.begin(0, 6, 1);
    assert_eq!(bench.writes(0, 6, guard), OUT_OF_ORDER);
    bench.begin(1, 9, 1);
    bench.begin(0, 1, 1);
    assert_eq!(bench.writes(1, 9, guard), Ok(0), "of an unknown producer any sequence");
}

#[tokio::test]
async fn a_producer_whose_epoch_rises_with_each_transaction_starts_at_zero() {
    let bench = Bench::new().await;
    let guard = bench.begin(0, 3, 2);
    assert_eq!(bench.writes(0, 3, guard), OUT_OF_ORDER);
    // So it is where a marker left nothing but the epoch.
    assert_eq!(bench.ends(abort(1, 2)), Ok(0));
    let guard = bench.begin(1, 3, 2);
    assert_eq!(bench.writes(1, 3, guard), OUT_OF_ORDER);
    bench.begin(1, 0, 2);
    assert_eq!(bench.writes(1, 0, guard), Ok(1));
    assert_eq!(bench.writes(1, 1, None), Ok(2));
}

#[tokio::test]
async fn a_new_epoch_goes_on_with_an_open_transaction_once_verified() {
    let bench = Bench::new().await;
    let guard = bench.begin(0, 0, 1);
    assert_eq!(bench.writes(0, 0, guard), Ok(0));
    let next = bench.begin(1, 0, 1);
    assert_eq!(bench.writes(1, 0, None), NO_TRANSACTION);
    assert_eq!(bench.writes(1, 0, next), Ok(1));
    assert_eq!(bench.last_stable_offset(), 0);
    assert_eq!(bench.ends(abort(1, 1)), Ok(2));
    assert_eq!(bench.last_stable_offset(), 3);
}

#[tokio::test]
async fn a_duplicate_is_answered_without_a_guard() {
    let bench = Bench::new().await;
    let guard = bench.begin(0, 0, 1);
    assert_eq!(bench.writes(0, 0, guard), Ok(0));
    assert_eq!(bench.ends(abort(0, 1)), Ok(1));
    assert_eq!(bench.writes(0, 0, None), Ok(0));
    assert_eq!(bench.partition.bounds().end_offset, 2);
}

#[tokio::test]
async fn without_verification_no_guard_is_needed_and_zombies_are_fenced() {
    let config =
        TopicConfig { transaction_partition_verification: false, ..TopicConfig::default() };
    let bench = Bench::with(Commit::Done, config).await;
    assert_eq!(bench.writes(1, 0, None), Ok(0));
    assert_eq!(bench.ends(abort(1, 1)), Ok(1));
    assert_eq!(bench.writes(1, 1, None), Ok(2));
    assert_eq!(bench.writes(0, 0, None), FENCED);
}

#[tokio::test]
async fn guards_end_with_producer_ids_and_with_the_process() {
    let mut bench = Bench::new().await;
    let old = bench.begin(0, 0, 1);
    bench.clock.advance(86_400_000);
    assert_eq!(bench.writes(0, 0, old), NO_TRANSACTION);
    let guard = bench.begin(0, 0, 1);
    assert_ne!(guard, old);
    bench.crash().await;
    assert_eq!(bench.writes(0, 0, guard), NO_TRANSACTION);
    assert_ne!(bench.begin(0, 0, 1), guard);
}

#[tokio::test]
async fn a_batch_that_the_log_refuses_keeps_its_guard() {
    let config = TopicConfig { segment_bytes: 200, ..TopicConfig::default() };
    let bench = Bench::with(Commit::Done, config).await;
    let guard = bench.begin(0, 0, 1);
    let large = transactional_at(0, (5, 0), 0, 50);
    assert!(bench.partition.append(&large, VERSION, guard).is_err());
    assert_eq!(bench.writes(0, 0, guard), Ok(0));
}

#[tokio::test]
async fn a_marker_is_written_without_data_and_fences() {
    let bench = Bench::new().await;
    assert_eq!(bench.ends(abort(4, 1)), Ok(0));
    let stored = bench.read(0, 1000).await[0];
    assert!(stored.is_control() && stored.is_transactional());
    assert_eq!((stored.producer_id, stored.producer_epoch, stored.base_sequence), (5, 4, -1));
    let read = bench.partition.read(0, 1000, Isolation::LogEnd).await.unwrap();
    let expected = marker(0, 5, 4, false);
    let (stored, value) = (read.chunk.into_bytes().unwrap(), expected.len() - 5);
    assert_eq!(stored[61..value], expected[61..value], "but for the coordinator's epoch");
    assert_eq!(bench.writes(3, 0, None), FENCED);
    assert_eq!(bench.partition.active_producers().unwrap()[0].coordinator_epoch, 0);
}

#[tokio::test]
async fn a_marker_carries_the_time_of_the_append_where_the_topic_wants_it() {
    let config = TopicConfig {
        message_timestamp_type: crate::config::TimestampType::LogAppendTime,
        ..TopicConfig::default()
    };
    let bench = Bench::with(Commit::Done, config).await;
    bench.clock.advance(7);
    assert_eq!(bench.ends(abort(0, 1)), Ok(0));
    let stored = bench.read(0, 1000).await[0];
    assert_eq!(stored.timestamp_type(), crate::records::TimestampType::LogAppendTime);
    assert_eq!(stored.max_timestamp, NOW_MS + 7);
}

#[tokio::test]
async fn a_marker_of_version_1_has_the_epoch_of_its_records_or_a_newer_one() {
    let bench = Bench::new().await;
    let guard = bench.begin(2, 0, 1);
    assert_eq!(bench.writes(2, 0, guard), Ok(0));
    assert_eq!(bench.ends(abort(1, 1)), FENCED);
    assert_eq!(bench.ends(abort(2, 1)), Ok(1));
    assert_eq!(bench.ends(abort(2, 1)), Ok(2));
    assert_eq!(bench.ends(abort(3, 0)), Ok(3));
}

/// So no marker of an earlier transaction ends a later one (KIP-890's second part).
#[tokio::test]
async fn a_marker_of_version_2_has_a_newer_epoch_than_its_records() {
    let bench = Bench::new().await;
    let guard = bench.begin(2, 0, 2);
    assert_eq!(bench.writes(2, 0, guard), Ok(0));
    assert_eq!(bench.ends(abort(1, 2)), FENCED);
    assert_eq!(bench.ends(abort(2, 2)), FENCED);
    assert_eq!(bench.last_stable_offset(), 0);
    assert_eq!(bench.ends(abort(3, 2)), Ok(1));
    // Sent again, with nothing open.
    assert_eq!(bench.ends(abort(3, 2)), Ok(2));
    assert_eq!(bench.ends(abort(2, 2)), FENCED);
    assert_eq!(bench.last_stable_offset(), 3);
}

#[tokio::test]
async fn a_transaction_at_the_largest_epoch_can_be_ended() {
    let bench = Bench::new().await;
    let guard = bench.begin(i16::MAX, 0, 2);
    assert_eq!(bench.writes(i16::MAX, 0, guard), Ok(0));
    assert_eq!(bench.ends(abort(i16::MAX, 2)), Ok(1));
    assert_eq!(bench.last_stable_offset(), 2);
}

#[tokio::test]
async fn a_marker_of_an_old_coordinator_is_refused() {
    let bench = Bench::new().await;
    let of_coordinator = |coordinator_epoch| TransactionMarker { coordinator_epoch, ..abort(0, 1) };
    assert_eq!(bench.ends(of_coordinator(4)), Ok(0));
    assert_eq!(bench.ends(of_coordinator(3)), OLD_COORDINATOR);
    assert_eq!(bench.ends(of_coordinator(4)), Ok(1));
    assert_eq!(bench.ends(of_coordinator(5)), Ok(2));
    // The producer's epoch is looked at first.
    let both_old = TransactionMarker { producer_epoch: -2, ..of_coordinator(3) };
    assert_eq!(bench.ends(both_old), FENCED);
}

#[tokio::test]
async fn a_marker_without_a_producer_is_refused() {
    let bench = Bench::new().await;
    let marker = abort(0, 1);
    for wrong in [
        TransactionMarker { producer_id: -1, ..marker },
        TransactionMarker { producer_epoch: -1, ..marker },
    ] {
        assert_eq!(bench.ends(wrong), Err(ErrorCode::UnknownServerError));
    }
    bench.partition.stop();
    assert_eq!(bench.ends(marker), Err(ErrorCode::NotLeaderOrFollower));
}

#[tokio::test]
async fn a_coordinators_batch_is_judged_as_a_clients_but_for_its_sequence() {
    let bench = Bench::new().await;
    let data = |epoch, sequence| transactional_at(0, (5, epoch), sequence, 1);
    let admits = |batch: &[u8], admission| bench.partition.admits(batch, admission);
    assert_eq!(admits(&data(0, 0), Admission::Data(None)), Err(ProducerError::OutsideTransaction));
    let guard = bench.begin(0, -1, 1);
    for _ in 0..2 {
        assert_eq!(admits(&data(0, 0), Admission::Data(guard)), Ok(()), "asking changes nothing");
    }
    bench.append_internal(|base_offset| transactional_at(base_offset, (5, 0), 0, 1));
    assert_eq!(admits(&data(0, 0), Admission::Data(None)), Ok(()));
    assert_eq!(admits(&plain(1), Admission::Data(None)), Ok(()));
    let ends = |epoch| marker(1, 5, epoch, true);
    let version = |transaction_version| Admission::Marker { transaction_version };
    assert_eq!(admits(&ends(0), version(1)), Ok(()));
    assert_eq!(admits(&ends(0), version(2)), Err(ProducerError::InvalidEpoch));
    bench.append_internal(|_| ends(1));
    assert_eq!(admits(&data(0, 0), Admission::Data(guard)), Err(ProducerError::InvalidEpoch));
    let (key, value) = marker_record(false, 8);
    let mut old = BatchBuilder::new(2, -1).producer(5, 1, -1).transactional().control();
    old.push(NOW_MS, Some(&key), Some(&value));
    assert_eq!(admits(&old.build(), version(1)), Err(ProducerError::CoordinatorFenced));
    assert_eq!(admits(&[], version(1)), Ok(()));
}
