use super::*;
use crate::records::{Compression, TimestampType};

const OUT_OF_ORDER: Result<Appended, ErrorCode> = Err(ErrorCode::OutOfOrderSequenceNumber);
const OLD_EPOCH: Result<Appended, ErrorCode> = Err(ErrorCode::InvalidProducerEpoch);

#[tokio::test]
async fn a_batch_gets_the_next_offset_and_our_leader_epoch() {
    let bench = Bench::new().await;
    bench.append(&plain(3)).unwrap();
    let appended = bench.append(&plain(2)).unwrap();
    let expected = Appended {
        base_offset: 3,
        last_offset: 4,
        log_append_time_ms: -1,
        log_start_offset: 0,
        end_offset: 5,
    };
    assert_eq!(appended, expected);
    let stored = bench.read(3, 1000).await;
    assert_eq!((stored[0].base_offset, stored[0].leader_epoch), (3, 3));
}

#[tokio::test]
async fn bytes_after_the_batch_are_not_stored() {
    let bench = Bench::new().await;
    let batch = plain(3);
    bench.append(&[&batch[..], &[0; 5]].concat()).unwrap();
    assert_eq!(bench.partition.size_bytes(), batch.len() as u64);
}

#[tokio::test]
async fn log_append_time_is_written_into_the_batch_and_answered() {
    let config = TopicConfig {
        message_timestamp_type: crate::config::TimestampType::LogAppendTime,
        ..TopicConfig::default()
    };
    let bench = Bench::with(Commit::Done, config).await;
    bench.clock.advance(7);
    let appended = bench.append(&plain(3)).unwrap();
    assert_eq!(appended.log_append_time_ms, NOW_MS + 7);
    let read = bench.partition.read(0, 1000, Isolation::LogEnd).await.unwrap();
    let bytes = read.chunk.into_bytes().unwrap();
    let header = headers(&bytes)[0];
    assert_eq!(header.timestamp_type(), TimestampType::LogAppendTime);
    assert_eq!(header.max_timestamp, NOW_MS + 7);
    assert!(header.verify_crc(&bytes));
}

#[tokio::test]
async fn a_batch_is_stored_with_the_codec_of_the_topic() {
    let config = TopicConfig { compression_type: "gzip".into(), ..TopicConfig::default() };
    let bench = Bench::with(Commit::Done, config).await;
    bench.append(&plain(3)).unwrap();
    let stored = bench.read(0, 1000).await;
    assert_eq!(stored[0].compression(), Some(Compression::Gzip));
    assert_eq!(bench.append(&sequenced(5, 0, 0, 3)).unwrap().base_offset, 3);
}

#[tokio::test]
async fn a_batch_that_is_too_large_once_inflated_is_refused() {
    let config = TopicConfig {
        compression_type: "uncompressed".into(),
        max_message_bytes: 1_000,
        ..TopicConfig::default()
    };
    let bench = Bench::with(Commit::Done, config).await;
    let mut builder = BatchBuilder::new(0, -1).compressed(Compression::Gzip, None);
    builder.push(NOW_MS, None, Some(&[0; 2_000]));
    assert_eq!(bench.append(&builder.build()), Err(ErrorCode::MessageTooLarge));
    assert_eq!(bench.partition.bounds().end_offset, 0);
}

#[tokio::test]
async fn a_duplicate_is_answered_with_its_old_place_and_its_max_timestamp() {
    let bench = Bench::new().await;
    let first = bench.append(&sequenced(5, 0, 0, 3)).unwrap();
    bench.append(&sequenced(5, 0, 3, 3)).unwrap();
    let again = bench.append(&sequenced(5, 0, 0, 3)).unwrap();
    let expected = Appended { log_append_time_ms: NOW_MS, ..first };
    assert_eq!(again, expected);
    assert_eq!(bench.partition.bounds().end_offset, 6);
}

#[tokio::test]
async fn five_batches_are_known_again_and_a_sixth_is_out_of_order() {
    let bench = Bench::new().await;
    for sequence in 0..6 {
        bench.append(&sequenced(5, 0, sequence, 1)).unwrap();
    }
    for sequence in 1..6 {
        let again = bench.append(&sequenced(5, 0, sequence, 1)).unwrap();
        assert_eq!(again.base_offset, i64::from(sequence));
    }
    assert_eq!(bench.append(&sequenced(5, 0, 0, 1)), OUT_OF_ORDER);
}

#[tokio::test]
async fn a_duplicate_has_the_same_first_and_last_sequence() {
    let bench = Bench::new().await;
    bench.append(&sequenced(5, 0, 0, 3)).unwrap();
    assert_eq!(bench.append(&sequenced(5, 0, 0, 2)), OUT_OF_ORDER);
    assert_eq!(bench.append(&sequenced(5, 0, 1, 2)), OUT_OF_ORDER);
}

#[tokio::test]
async fn a_sequence_must_follow_the_last_one() {
    let bench = Bench::new().await;
    bench.append(&sequenced(5, 0, 0, 3)).unwrap();
    assert_eq!(bench.append(&sequenced(5, 0, 4, 1)), OUT_OF_ORDER);
    bench.append(&sequenced(5, 0, 3, 1)).unwrap();
}

#[tokio::test]
async fn an_unknown_producer_may_start_at_any_sequence() {
    let bench = Bench::new().await;
    bench.append(&sequenced(5, 2, 77, 1)).unwrap();
    assert_eq!(bench.append(&sequenced(5, 2, 79, 1)), OUT_OF_ORDER);
}

#[tokio::test]
async fn a_new_epoch_starts_at_zero_and_ends_the_old_one() {
    let bench = Bench::new().await;
    bench.append(&sequenced(5, 1, 0, 1)).unwrap();
    assert_eq!(bench.append(&sequenced(5, 2, 1, 1)), OUT_OF_ORDER);
    bench.append(&sequenced(5, 2, 0, 1)).unwrap();
    assert_eq!(bench.append(&sequenced(5, 1, 1, 1)), OLD_EPOCH);
    assert_eq!(bench.append(&sequenced(5, 1, 0, 1)), OLD_EPOCH);
}

#[tokio::test]
async fn after_the_largest_sequence_comes_zero() {
    let bench = Bench::new().await;
    bench.append(&sequenced(5, 0, i32::MAX - 1, 4)).unwrap();
    assert_eq!(bench.append(&sequenced(5, 0, 1, 1)), OUT_OF_ORDER);
    bench.append(&sequenced(5, 0, 2, 1)).unwrap();
    let again = bench.append(&sequenced(5, 0, i32::MAX - 1, 4)).unwrap();
    assert_eq!(again.base_offset, 0);
    bench.append(&sequenced(6, 0, i32::MAX, 1)).unwrap();
    bench.append(&sequenced(6, 0, 0, 1)).unwrap();
}

#[tokio::test]
async fn a_silent_producer_is_forgotten_after_its_time() {
    let bench = Bench::new().await;
    bench.append(&sequenced(5, 0, 0, 1)).unwrap();
    bench.clock.advance(86_399_999);
    assert_eq!(bench.append(&sequenced(5, 0, 7, 1)), OUT_OF_ORDER);
    // The search takes place every ten minutes at most.
    bench.clock.advance(600_001);
    bench.append(&sequenced(5, 0, 7, 1)).unwrap();
}

#[tokio::test]
async fn a_start_forgets_silent_producers_of_the_snapshot() {
    let mut bench = Bench::new().await;
    bench.append(&sequenced(5, 0, 0, 1)).unwrap();
    bench.restart().await;
    assert_eq!(bench.append(&sequenced(5, 0, 7, 1)), OUT_OF_ORDER);
    bench.partition.close().await.unwrap();
    bench.clock.advance(86_400_000);
    bench.crash().await;
    bench.append(&sequenced(5, 0, 7, 1)).unwrap();
}

#[tokio::test]
async fn a_crash_keeps_the_window_and_a_clean_restart_its_newest_batch() {
    let mut bench = Bench::new().await;
    for sequence in 0..3 {
        bench.append(&sequenced(5, 0, sequence, 1)).unwrap();
    }
    bench.crash().await;
    assert_eq!(bench.append(&sequenced(5, 0, 0, 1)).unwrap().base_offset, 0);
    bench.restart().await;
    assert_eq!(bench.append(&sequenced(5, 0, 2, 1)).unwrap().base_offset, 2);
    assert_eq!(bench.append(&sequenced(5, 0, 1, 1)), OUT_OF_ORDER);
    bench.append(&sequenced(5, 0, 3, 1)).unwrap();
}

#[tokio::test]
async fn a_duplicate_of_an_uncommitted_batch_waits_for_that_batch() {
    let bench = Bench::with(Commit::Pending, TopicConfig::default()).await;
    bench.append(&sequenced(5, 0, 0, 2)).unwrap();
    bench.append(&plain(3)).unwrap();
    let again = bench.append(&sequenced(5, 0, 0, 2)).unwrap();
    assert_eq!(again.end_offset, 2);
    assert!(!bench.partition.is_committed(again.end_offset));
    bench.flush().await;
    assert!(bench.partition.is_committed(again.end_offset));
}

#[tokio::test]
async fn what_the_log_refuses_is_not_noted_of_the_producer() {
    let config = TopicConfig { segment_bytes: 200, ..TopicConfig::default() };
    let bench = Bench::with(Commit::Done, config).await;
    bench.append(&sequenced(5, 0, 0, 1)).unwrap();
    let refused = bench.append(&sequenced(5, 0, 1, 50));
    assert_eq!(refused, Err(ErrorCode::RecordListTooLarge));
    bench.append(&sequenced(5, 0, 1, 1)).unwrap();
    assert_eq!(bench.partition.bounds().high_watermark, 2);
}

#[tokio::test]
async fn errors_inside_the_log_carry_its_start_and_others_do_not() {
    let bench = Bench::new().await;
    bench.append(&sequenced(5, 1, 0, 9)).unwrap();
    bench.partition.log.delete_before(4).unwrap();
    let refusal =
        |batch: &[u8]| bench.partition.append(batch, VERSION, None).unwrap_err().refusal();
    let late = refusal(&sequenced(5, 1, 30, 1));
    assert_eq!(late, Refusal { log_start_offset: 4, ..ErrorCode::OutOfOrderSequenceNumber.into() });
    let old = refusal(&sequenced(5, 0, 9, 1));
    assert_eq!(old, Refusal { log_start_offset: 4, ..ErrorCode::InvalidProducerEpoch.into() });
    let mut damaged = plain(1);
    damaged[40] ^= 1;
    assert_eq!(refusal(&damaged), ErrorCode::CorruptMessage.into());
    assert_eq!(refusal(&[]), ErrorCode::InvalidRecord.into());
}

#[tokio::test]
async fn records_that_break_the_topics_rules_are_named() {
    let config = TopicConfig { compact: true, ..TopicConfig::default() };
    let bench = Bench::with(Commit::Done, config).await;
    let refusal = bench.partition.append(&plain(2), VERSION, None).unwrap_err().refusal();
    assert_eq!((refusal.error, refusal.log_start_offset), (ErrorCode::InvalidRecord, 0));
    assert!(refusal.message.is_some());
    assert_eq!(refusal.record_errors[1].batch_index, 1);
}

#[tokio::test]
async fn a_changed_configuration_counts_from_the_next_batch_on() {
    let bench = Bench::new().await;
    bench.append(&plain(1)).unwrap();
    let config = TopicConfig { max_message_bytes: 60, ..TopicConfig::default() };
    bench.partition.configure(Arc::new(config));
    assert_eq!(bench.append(&plain(1)), Err(ErrorCode::MessageTooLarge));
}

#[tokio::test]
async fn compressed_batches_are_stored_as_they_come() {
    let bench = Bench::new().await;
    let builder = BatchBuilder::new(0, -1).compressed(Compression::Gzip, None);
    let batch = filled(builder, 10);
    bench.append(&batch).unwrap();
    let read = bench.partition.read(0, 1000, Isolation::LogEnd).await.unwrap();
    assert_eq!(read.chunk.into_bytes().unwrap()[16..], batch[16..]);
}

#[tokio::test]
async fn a_stopped_partition_and_an_offline_log_answer_so() {
    let bench = Bench::new().await;
    // Who opens a log takes it away from the one who had it.
    open(&bench.env, &bench.engine.restart(), &bench.config).await;
    assert_eq!(bench.append(&plain(1)), Err(ErrorCode::KafkaStorageError));
    bench.partition.stop();
    assert_eq!(bench.append(&plain(1)), Err(ErrorCode::NotLeaderOrFollower));
    let built = bench.partition.append_internal(None, |base| marker(base, 1, 0, true));
    assert_eq!(built.unwrap_err().error_code(), ErrorCode::NotLeaderOrFollower);
}

#[tokio::test]
async fn our_own_batches_go_where_their_builder_thinks_the_log_ends() {
    let bench = Bench::new().await;
    let build = |base_offset| filled(BatchBuilder::new(base_offset, -1), 2);
    let appended = bench.partition.append_internal(Some(0), build).unwrap();
    assert_eq!((appended.base_offset, appended.end_offset), (0, 2));
    let elsewhere = bench.partition.append_internal(Some(0), build).unwrap_err();
    let expected = InternalAppendError::UnexpectedEnd { expected: 0, end_offset: 2 };
    assert_eq!(elsewhere.to_string(), expected.to_string());
    let two = |base_offset| [build(base_offset), build(base_offset + 2)].concat();
    for wrong in [two(2), build(0), Vec::new()] {
        let refused = bench.partition.append_internal(None, |_| wrong).unwrap_err();
        assert!(matches!(refused, InternalAppendError::NotABatch(2)));
    }
    assert_eq!(bench.partition.bounds().end_offset, 2);
    assert_eq!(bench.read(0, 1000).await[0].leader_epoch, 3);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn appends_from_all_sides_get_offsets_of_their_own() {
    let bench = Bench::new().await;
    let appending = (0..4).map(|producer_id| {
        let partition = Arc::clone(&bench.partition);
        tokio::spawn(async move {
            let mut offsets = Vec::new();
            for sequence in 0..200 {
                let batch = sequenced(producer_id, 0, sequence, 1);
                let appended = partition.append(&batch, VERSION, None).unwrap();
                assert!(partition.is_committed(appended.end_offset));
                offsets.push(appended.base_offset);
            }
            offsets
        })
    });
    let mut offsets = Vec::new();
    for task in appending.collect::<Vec<_>>() {
        offsets.extend(task.await.unwrap());
    }
    offsets.sort_unstable();
    assert_eq!(offsets, (0..800).collect::<Vec<_>>());
    assert_eq!(bench.partition.bounds().last_stable_offset, 800);
}
