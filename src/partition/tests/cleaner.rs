//! The task that cleans: when it looks, what it takes, how it ends. Time is tokio's, paused.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use super::registry::{DIRECTORY, to_open as partition_to_open};
use super::*;
use crate::config::{BrokerLayers, CleanerConfig, ConfigMap};

const BACKOFF_MS: u64 = 15_000;

/// A registry with compacted topics of one partition each, and the task.
struct Run {
    registry: Arc<Registry>,
    cleaner: Cleaner,
    /// How often the task has asked for its configuration, which is once for every look.
    looks: Arc<AtomicU64>,
}

fn compacted() -> TopicConfig {
    TopicConfig { compact: true, delete: false, segment_bytes: 200, ..TopicConfig::default() }
}

impl Run {
    async fn new(topics: &[(&str, TopicConfig)]) -> Self {
        Self::with(topics, |config| config).await
    }

    async fn with(
        topics: &[(&str, TopicConfig)],
        change: impl Fn(CleanerConfig) -> CleanerConfig + Send + Sync + 'static,
    ) -> Self {
        let (_, env) = env();
        let directories = Directories::one(DIRECTORY, Arc::new(MemoryEngine::default()));
        let registry = Arc::new(Registry::new(env.clone(), directories, 1));
        for (number, (name, config)) in topics.iter().enumerate() {
            registry.open_topic(&to_open(name, number, config)).await.unwrap();
        }
        let looks = Arc::new(AtomicU64::new(0));
        let counted = Arc::clone(&looks);
        let settings = Arc::new(move || {
            counted.fetch_add(1, Ordering::SeqCst);
            change(CleanerConfig::read(&BrokerLayers::fixed(&ConfigMap::new())))
        });
        let cleaner = Cleaner::start(&env, &registry, settings);
        pass(1).await;
        Self { registry, cleaner, looks }
    }

    fn partition(&self, topic: &str) -> Arc<Partition> {
        self.registry.get(topic, 0).unwrap()
    }

    /// Appends values of one key until so many segments are sealed.
    fn fill(&self, topic: &str, sealed: usize) {
        let partition = self.partition(topic);
        while partition.log.segments().len() <= sealed {
            let mut builder = BatchBuilder::new(0, -1);
            builder.push(NOW_MS, Some(b"key"), Some(&[7; 30]));
            partition.append(&builder.build(), VERSION, None).unwrap();
        }
    }

    fn cleaned(&self, topic: &str) -> Option<i64> {
        self.partition(topic).log.cleaned_offset()
    }

    fn looks(&self) -> u64 {
        self.looks.load(Ordering::SeqCst)
    }
}

fn to_open(name: &str, number: usize, config: &TopicConfig) -> TopicToOpen {
    TopicToOpen {
        name: name.into(),
        topic_id: Uuid::from_u128(number as u128 + 1),
        partitions: vec![partition_to_open(0, DIRECTORY)],
        config: Arc::new(config.clone()),
    }
}

/// Lets so much time pass, and what is due in it happen.
async fn pass(ms: u64) {
    tokio::time::sleep(Duration::from_millis(ms)).await;
}

#[tokio::test(start_paused = true)]
async fn a_sealed_segment_is_cleaned_after_the_backoff_and_an_idle_cleaner_sleeps() {
    let run = Run::new(&[("a", compacted()), ("b", TopicConfig::default())]).await;
    pass(BACKOFF_MS * 2).await;
    let idle = run.looks();
    pass(BACKOFF_MS * 1_000).await;
    assert_eq!(run.looks(), idle, "nothing is asked while there is nothing to do");
    run.fill("a", 3);
    pass(BACKOFF_MS - 10).await;
    assert_eq!(run.cleaned("a"), None);
    pass(20).await;
    let active = run.partition("a").log.segments().last().unwrap().base_offset;
    assert_eq!(run.cleaned("a"), Some(active));
    let before = run.looks();
    pass(BACKOFF_MS * 1_000).await;
    assert!(run.looks() <= before + 2, "it sleeps again");
    run.cleaner.stop().await;
}

#[tokio::test(start_paused = true)]
async fn only_what_is_dirty_enough_is_cleaned_until_the_configuration_changes() {
    let config = TopicConfig { min_cleanable_dirty_ratio: 0.9, ..compacted() };
    let run = Run::new(&[("a", config.clone())]).await;
    run.fill("a", 8);
    pass(BACKOFF_MS * 2).await;
    // All of it was dirty at first; what is left is one segment.
    let first = run.cleaned("a").unwrap();
    run.fill("a", run.partition("a").log.segments().len());
    pass(BACKOFF_MS * 10).await;
    assert_eq!(run.cleaned("a"), Some(first));
    let config = TopicConfig { min_cleanable_dirty_ratio: 0.1, ..config };
    run.registry.configure("a", &Arc::new(config));
    pass(BACKOFF_MS + 10).await;
    assert!(run.cleaned("a").unwrap() > first);
    run.cleaner.stop().await;
}

#[tokio::test(start_paused = true)]
async fn while_time_may_make_a_log_due_the_cleaner_looks_at_each_backoff() {
    let config = TopicConfig { min_compaction_lag_ms: 60_000, ..compacted() };
    let run = Run::new(&[("a", config)]).await;
    run.fill("a", 3);
    pass(BACKOFF_MS * 10).await;
    assert!((8..14).contains(&run.looks()), "{} looks", run.looks());
    assert_eq!(run.cleaned("a"), None, "the wall clock stands still");
    run.cleaner.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_topic_that_becomes_compacted_is_cleaned_and_without_threads_nothing_is() {
    let plain = TopicConfig { segment_bytes: 200, ..TopicConfig::default() };
    let no_threads = |config| CleanerConfig { threads: 0, ..config };
    let off = Run::with(&[("a", compacted())], no_threads).await;
    off.fill("a", 3);
    pass(BACKOFF_MS * 10).await;
    assert_eq!(off.cleaned("a"), None);
    off.cleaner.stop().await;

    let run = Run::new(&[("a", plain)]).await;
    run.fill("a", 3);
    pass(BACKOFF_MS * 10).await;
    assert_eq!(run.cleaned("a"), None);
    run.registry.configure("a", &Arc::new(compacted()));
    pass(BACKOFF_MS + 10).await;
    assert!(run.cleaned("a").is_some());
    run.cleaner.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_throttled_cleaning_ends_at_once_when_it_is_told_to() {
    let slow = |config| CleanerConfig { io_max_bytes_per_second: 0.01, ..config };
    let run = Run::with(&[("a", compacted())], slow).await;
    run.fill("a", 5);
    pass(BACKOFF_MS + 1_000).await;
    let before = run.partition("a").size_bytes();
    let began = tokio::time::Instant::now();
    run.cleaner.stop().await;
    assert!(began.elapsed() < Duration::from_secs(1));
    assert_eq!(run.registry.get("a", 0).unwrap().size_bytes(), before);
}

#[tokio::test(start_paused = true)]
async fn a_deleted_topic_is_left_alone() {
    let run = Run::new(&[("a", compacted()), ("b", compacted())]).await;
    run.fill("a", 5);
    run.fill("b", 5);
    run.registry.delete_topics(&[Uuid::from_u128(1)]).await.unwrap();
    pass(BACKOFF_MS * 3).await;
    assert!(run.cleaned("b").is_some());
    // Created again, it begins anew.
    run.registry.open_topic(&to_open("a", 5, &compacted())).await.unwrap();
    assert_eq!(run.cleaned("a"), None);
    run.fill("a", 5);
    pass(BACKOFF_MS * 3).await;
    assert!(run.cleaned("a").is_some());
    run.cleaner.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_damaged_log_is_given_up_and_the_others_are_cleaned() {
    let run = Run::new(&[("a", compacted()), ("b", compacted())]).await;
    let partition = run.partition("a");
    let damaged = partition.append_internal(None, |base_offset| {
        let mut builder = BatchBuilder::new(base_offset, -1);
        let mut batch = builder.push(NOW_MS, Some(b"key"), Some(b"value")).build();
        // As if a bit had flipped on the disk.
        let last = batch.len() - 1;
        batch[last] ^= 1;
        batch
    });
    damaged.unwrap();
    run.fill("a", 5);
    run.fill("b", 5);
    let before = partition.size_bytes();
    pass(BACKOFF_MS * 3).await;
    assert_eq!((run.cleaned("a"), partition.size_bytes()), (None, before));
    assert!(run.cleaned("b").is_some());
    let looks = run.looks();
    pass(BACKOFF_MS * 1_000).await;
    assert!(run.looks() <= looks + 2, "it is not tried again");
    run.cleaner.stop().await;
}
