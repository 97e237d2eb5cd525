//! A consumer (Kafka: `KafkaConsumer`): which partitions it has, where it stands in each, what it has read.
//!
//! It fetches from every leader at once, from each again when all that came of it is taken. Whatever is lost (a broker, the
//! coordinator, the membership) is sought again for as long as it takes, as Kafka's consumers do.

mod batches;
mod positions;

use std::collections::{BTreeMap, HashMap, HashSet, VecDeque};
use std::time::Duration;

use regex::Regex;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, sleep_until};
use uuid::Uuid;

use batches::Data;
pub(crate) use batches::Taken;
use positions::Position;
pub(crate) use positions::Reset;

use super::member::{Member, Membership};
use super::offsets::Committed;
use super::{ClientError, Cluster, Connection, TopicPartition, refused};
use crate::wire::ErrorCode;
use crate::wire::messages::fetch::FetchResponse;
use crate::wire::messages::metadata::{MetadataRequest, MetadataRequestTopic};

/// Kafka's `retry.backoff.max.ms`: how long something is waited for before it is asked for again.
const BACKOFF: Duration = Duration::from_secs(1);
/// The same while a topic or a leader is only about to be there.
const SHORT_BACKOFF: Duration = Duration::from_millis(100);
/// As good as never.
const NEVER: Duration = Duration::from_hours(24);
/// How long the end may take.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(5);

/// What is read.
#[derive(Clone, Debug)]
pub(crate) enum Subscription {
    /// A topic; its partitions are shared out in the group.
    Topic(String),
    /// All topics but internal ones whose whole name matches, likewise.
    Pattern(Regex),
    /// One partition, from there on.
    Partition(TopicPartition, Reset),
}

/// How to read.
#[derive(Clone, Debug)]
pub(crate) struct ConsumerConfig {
    pub(crate) subscription: Subscription,
    pub(crate) membership: Membership,
    pub(crate) heartbeat_interval: Duration,
    /// `auto.offset.reset`; None is an error.
    pub(crate) reset: Option<Reset>,
    /// Of commits, if there are any.
    pub(crate) commit_interval: Option<Duration>,
    pub(crate) isolation_level: i8,
    pub(crate) max_wait_ms: i32,
    pub(crate) min_bytes: i32,
    pub(crate) max_bytes: i32,
    pub(crate) partition_max_bytes: i32,
    pub(crate) checks_crc: bool,
    pub(crate) metadata_max_age: Duration,
    /// Hears of every failure after which it tries again.
    pub(crate) warn: fn(&ClientError),
}

/// A topic as the brokers describe it.
#[derive(Clone, Debug, Default)]
struct Topic {
    id: Uuid,
    /// The broker that leads each partition, -1 if there is none.
    leaders: BTreeMap<i32, i32>,
}

/// What a fetch that was under way brought.
#[derive(Debug)]
struct Fetched {
    node_id: i32,
    /// Of the assignment for which it was sent.
    round: u64,
    outcome: Result<(Connection, FetchResponse), ClientError>,
}

/// A consumer.
#[derive(Debug)]
pub(crate) struct Consumer {
    config: ConsumerConfig,
    cluster: Cluster,
    member: Member,
    topics: BTreeMap<String, Topic>,
    /// The topics that it asks the group for.
    subscribed: Vec<String>,
    positions: BTreeMap<TopicPartition, Position>,
    /// Counts assignments.
    round: u64,
    is_joined: bool,
    /// Connections without a fetch under way.
    idle: HashMap<i32, Connection>,
    busy: HashSet<i32>,
    fetching: JoinSet<Fetched>,
    ready: VecDeque<Data>,
    next_metadata: Instant,
    next_heartbeat: Instant,
    next_commit: Instant,
    next_positions: Instant,
    /// Not before: what was fetched last was refused.
    next_fetch: Instant,
}

impl Consumer {
    /// A consumer that has asked for nothing yet.
    pub(crate) fn new(cluster: Cluster, config: ConsumerConfig) -> Self {
        let now = Instant::now();
        let mut consumer = Self {
            member: Member::new(config.membership.clone()),
            cluster,
            topics: BTreeMap::new(),
            subscribed: Vec::new(),
            positions: BTreeMap::new(),
            round: 0,
            is_joined: false,
            idle: HashMap::new(),
            busy: HashSet::new(),
            fetching: JoinSet::new(),
            ready: VecDeque::new(),
            next_metadata: now,
            next_heartbeat: now,
            next_commit: now + config.commit_interval.unwrap_or(NEVER),
            next_positions: now,
            next_fetch: now,
            config,
        };
        if let Subscription::Partition(partition, reset) = &consumer.config.subscription {
            consumer.positions.insert(partition.clone(), Position::from(*reset));
        }
        consumer
    }

    fn is_member(&self) -> bool {
        !matches!(self.config.subscription, Subscription::Partition(..))
    }

    /// Waits until there is something to [`Consumer::take`]. It may be dropped, but then only [`Consumer::close`] may follow.
    pub(crate) async fn wait(&mut self) -> Result<(), ClientError> {
        while self.ready.is_empty() {
            match self.upkeep().await {
                Err(error) if error.is_passing() => {
                    self.recover(&error).await;
                    continue;
                }
                done => done?,
            }
            self.send_fetches();
            let wake = self.next_due();
            tokio::select! {
                Some(fetched) = self.fetching.join_next() => {
                    // A task that panicked or was aborted has nothing to say.
                    if let Ok(fetched) = fetched {
                        self.fetched(fetched)?;
                    }
                }
                () = sleep_until(wake) => {}
            }
        }
        Ok(())
    }

    /// Lives on as a member while `work` lasts.
    pub(crate) async fn alive<T>(&mut self, work: impl Future<Output = T>) -> T {
        tokio::pin!(work);
        loop {
            let wake = if self.is_joined { self.next_heartbeat } else { Instant::now() + BACKOFF };
            tokio::select! {
                done = &mut work => return done,
                () = sleep_until(wake) => {
                    if let Err(error) = self.heartbeat().await {
                        self.recover(&error).await;
                    }
                }
            }
        }
    }

    async fn recover(&mut self, error: &ClientError) {
        (self.config.warn)(error);
        self.member.forget_coordinator();
        self.next_metadata = Instant::now();
        if let Err(error) = self.cluster.renew().await {
            (self.config.warn)(&error);
            sleep(BACKOFF).await;
        }
    }

    fn next_due(&self) -> Instant {
        let mut wake = self.next_metadata.min(self.next_positions);
        if self.is_joined {
            wake = wake.min(self.next_heartbeat);
        }
        if self.config.commit_interval.is_some() { wake.min(self.next_commit) } else { wake }
    }

    /// Does what is due.
    async fn upkeep(&mut self) -> Result<(), ClientError> {
        if Instant::now() >= self.next_metadata {
            self.refresh().await?;
        }
        self.heartbeat().await?;
        if Instant::now() >= self.next_commit {
            self.commit().await?;
        }
        if self.is_member() && !self.is_joined && !self.subscribed.is_empty() {
            self.join().await?;
        }
        if Instant::now() >= self.next_positions {
            self.find_positions().await?;
        }
        Ok(())
    }

    async fn heartbeat(&mut self) -> Result<(), ClientError> {
        if self.is_joined && Instant::now() >= self.next_heartbeat {
            self.next_heartbeat = Instant::now() + self.config.heartbeat_interval;
            let rejoins = self.member.heartbeat(&mut self.cluster).await?;
            self.is_joined = !rejoins;
        }
        Ok(())
    }

    /// Gives its partitions back, joins and takes what it is given.
    async fn join(&mut self) -> Result<(), ClientError> {
        self.commit().await?;
        self.round += 1;
        self.ready.clear();
        self.positions.clear();
        let share = self.member.join(&mut self.cluster, &self.subscribed).await?;
        self.positions = share.into_iter().map(|one| (one, Position::Unknown)).collect();
        self.is_joined = true;
        let now = Instant::now();
        self.next_heartbeat = now + self.config.heartbeat_interval;
        self.next_positions = now;
        Ok(())
    }

    /// Asks for the topics that it reads and, as the leader of its group, for those of the others.
    async fn refresh(&mut self) -> Result<(), ClientError> {
        let wanted: Option<Vec<&String>> = match &self.config.subscription {
            Subscription::Pattern(_) => None,
            Subscription::Topic(topic) | Subscription::Partition((topic, _), _) => {
                Some([topic].into_iter().chain(self.member.assigned().keys()).collect())
            }
        };
        let named =
            |name: &String| MetadataRequestTopic { name: Some(name.clone()), ..Default::default() };
        let wants_all = wanted.is_none();
        let request = MetadataRequest {
            topics: wanted.map(|names| names.into_iter().map(named).collect()),
            allow_auto_topic_creation: true,
            ..Default::default()
        };
        let mut is_complete = true;
        let mut topics = BTreeMap::new();
        let mut matching = Vec::new();
        for topic in self.cluster.describe(&request).await?.topics {
            let name = topic.name.unwrap_or_default();
            if topic.error_code != 0 {
                if wants_all {
                    continue;
                }
                if !super::is_retriable(topic.error_code) {
                    return Err(refused(&format!("topic {name}"), topic.error_code));
                }
                is_complete = false;
                continue;
            }
            let leaders = topic.partitions.iter().map(|one| (one.partition_index, one.leader_id));
            let leaders: BTreeMap<i32, i32> = leaders.collect();
            is_complete &= leaders.values().all(|leader| *leader >= 0);
            match &self.config.subscription {
                Subscription::Pattern(pattern) if !topic.is_internal && pattern.is_match(&name) => {
                    matching.push(name.clone());
                }
                _ => {}
            }
            topics.insert(name, Topic { id: topic.topic_id, leaders });
        }
        if let Subscription::Topic(topic) = &self.config.subscription {
            matching.push(topic.clone());
        }
        matching.sort_unstable();
        let changed = |(name, partitions): (&String, &Vec<i32>)| {
            topics.get(name).is_some_and(|topic| !topic.leaders.keys().eq(partitions))
        };
        // The leader looks after all topics of the group, every member after what a pattern finds.
        if matching != self.subscribed || self.member.assigned().iter().any(changed) {
            self.is_joined = false;
        }
        (self.subscribed, self.topics) = (matching, topics);
        let again = if is_complete { self.config.metadata_max_age } else { SHORT_BACKOFF };
        self.next_metadata = Instant::now() + again;
        Ok(())
    }

    /// Commits where it stands, if it is to.
    async fn commit(&mut self) -> Result<(), ClientError> {
        let Some(interval) = self.config.commit_interval else { return Ok(()) };
        self.next_commit = Instant::now() + interval;
        let known = self.positions.iter().filter_map(|(partition, position)| match position {
            Position::At(committed) => Some((partition.clone(), *committed)),
            _ => None,
        });
        let offsets: BTreeMap<TopicPartition, Committed> = known.collect();
        if offsets.is_empty() {
            return Ok(());
        }
        self.member.commit(&mut self.cluster, &offsets).await
    }

    /// Commits and leaves; what fails of it is left to the coordinator, which misses the member in time.
    pub(crate) async fn close(mut self) {
        self.fetching.abort_all();
        self.member.forget_coordinator();
        let end = async {
            self.cluster.renew().await?;
            self.commit().await?;
            self.member.leave(&mut self.cluster).await
        };
        if let Ok(Err(error)) = tokio::time::timeout(CLOSE_TIMEOUT, end).await {
            (self.config.warn)(&error);
        }
    }

    fn failed(code: i16, (topic, partition): &TopicPartition) -> ClientError {
        refused(&format!("reading {topic}-{partition}"), code)
    }

    /// Asks the brokers again who leads, soon.
    fn misses_leaders(&mut self) {
        self.next_metadata = self.next_metadata.min(Instant::now() + SHORT_BACKOFF);
    }

    /// Fetches no more until then.
    fn was_refused(&mut self) {
        self.misses_leaders();
        self.next_fetch = self.next_metadata;
    }

    fn is_out_of_range(code: i16) -> bool {
        code == ErrorCode::OffsetOutOfRange.code()
    }
}
