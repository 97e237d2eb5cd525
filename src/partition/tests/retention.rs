//! Which of the oldest segments go.

use super::registry::{DIRECTORY, to_open};
use super::*;

/// Bytes of a batch of one record.
fn batch_bytes() -> u64 {
    plain(1).len() as u64
}

/// Three batches by segment.
fn config(retention_bytes: i64, retention_ms: i64) -> TopicConfig {
    let segment_bytes = u32::try_from(3 * batch_bytes()).unwrap();
    TopicConfig { segment_bytes, retention_bytes, retention_ms, ..TopicConfig::default() }
}

/// A partition with so many batches.
async fn bench(batches: usize, config: TopicConfig) -> Bench {
    let bench = Bench::with(Commit::Done, config).await;
    for _ in 0..batches {
        bench.append(&plain(1)).unwrap();
    }
    bench
}

impl Bench {
    /// First offset after retention was applied `passed_ms` after the records' time.
    fn start_after(&self, passed_ms: i64) -> i64 {
        self.partition.apply_retention(NOW_MS + passed_ms).unwrap();
        self.partition.bounds().log_start_offset
    }
}

#[tokio::test]
async fn by_size_the_oldest_segments_go_while_the_rest_is_large_enough() {
    let segment = i64::try_from(3 * batch_bytes()).unwrap();
    for (limit, start) in [
        (-1, 0),
        (4 * segment, 0),
        (3 * segment + 1, 0),
        (3 * segment, 3),
        (segment + 1, 6),
        (1, 9),
        (0, 12),
    ] {
        let bench = bench(12, config(limit, -1)).await;
        assert_eq!(bench.start_after(0), start, "{limit}");
    }
}

#[tokio::test]
async fn by_time_segments_go_whose_newest_record_is_too_old() {
    let bench = bench(6, config(-1, 1_000)).await;
    bench.clock.advance(500);
    let late = |value: &[u8]| {
        let mut builder = BatchBuilder::new(0, -1);
        builder.push(NOW_MS + 500, None, Some(value));
        builder.build()
    };
    bench.append(&late(b"value")).unwrap();
    assert_eq!(bench.start_after(1_000), 0);
    assert_eq!(bench.start_after(1_001), 6);
    // The active segment is rolled first.
    assert_eq!(bench.start_after(1_501), 7);
    assert_eq!(bench.partition.log.segments().len(), 1);
    assert_eq!(bench.partition.size_bytes(), 0);
    bench.append(&late(b"value")).unwrap();
    assert_eq!(bench.start_after(1_000), 7);
}

#[tokio::test]
async fn limits_take_effect_when_they_are_changed() {
    let bench = bench(6, config(-1, -1)).await;
    assert_eq!(bench.start_after(i64::MAX / 2), 0);
    bench.partition.configure(Arc::new(config(0, -1)));
    assert_eq!(bench.start_after(0), 6);
}

#[tokio::test]
async fn without_delete_in_the_policy_nothing_goes() {
    let config = TopicConfig { delete: false, compact: true, ..config(0, 0) };
    let bench = bench(0, config).await;
    for _ in 0..6 {
        bench.append_internal(|base_offset| filled(BatchBuilder::new(base_offset, -1), 1));
    }
    assert_eq!(bench.start_after(i64::MAX / 2), 0);
}

#[tokio::test]
async fn nothing_goes_at_or_above_the_high_watermark() {
    let bench = Bench::with(Commit::Pending, config(0, 0)).await;
    for _ in 0..4 {
        bench.append(&plain(1)).unwrap();
    }
    assert_eq!(bench.start_after(10), 0);
    bench.flush().await;
    for _ in 0..4 {
        bench.append(&plain(1)).unwrap();
    }
    // The segment of 3 to 5 is committed in part.
    assert_eq!(bench.start_after(10), 3);
    bench.flush().await;
    assert_eq!(bench.start_after(10), 8);
}

#[tokio::test]
async fn records_without_time_stay_where_the_log_does_not_know_when_it_wrote() {
    let bench = Bench::with(Commit::Done, config(-1, 0)).await;
    let mut builder = BatchBuilder::new(0, -1);
    builder.push(-1, None, Some(b"value"));
    bench.append(&builder.build()).unwrap();
    assert_eq!(bench.start_after(i64::MAX / 2), 0);
}

#[tokio::test(start_paused = true)]
async fn every_partition_is_looked_at_from_time_to_time() {
    let (clock, env) = env();
    let registry = Registry::new(
        env.clone(),
        Directories::one(DIRECTORY, Arc::new(MemoryEngine::default())),
        2,
    );
    let registry = Arc::new(registry);
    let topic = TopicToOpen {
        name: "orders".into(),
        topic_id: Uuid::from_u128(7),
        partitions: vec![to_open(0, DIRECTORY), to_open(1, DIRECTORY)],
        config: Arc::new(config(-1, 1_000)),
    };
    registry.open_topic(&topic).await.unwrap();
    for partition in registry.all() {
        partition.append(&plain(1), VERSION, None).unwrap();
    }
    let timing = crate::config::RetentionTiming { initial_delay_ms: 30, interval_ms: 300 };
    let task = tokio::spawn(keep_retention(env, Arc::downgrade(&registry), timing));
    let starts =
        || registry.all().iter().map(|one| one.bounds().log_start_offset).collect::<Vec<_>>();
    let pass_ms = |ms| tokio::time::sleep(std::time::Duration::from_millis(ms));
    pass_ms(31).await;
    assert_eq!(starts(), vec![0, 0]);
    clock.advance(1_001);
    pass_ms(298).await;
    assert_eq!(starts(), vec![0, 0]);
    pass_ms(2).await;
    assert_eq!(starts(), vec![1, 1]);
    drop(registry);
    task.await.unwrap();
}
