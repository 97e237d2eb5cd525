//! Fetch (key 1): reads record batches, waiting for new ones if asked to.
//!
//! Behavior:
//! - The first batch of the answer is whole whatever the limits say; later partitions are cut to
//!   what is left, and a partition whose first batch does not fit is answered empty.
//! - A fetch that finds less than `min_bytes` registers with its partitions and sleeps until they
//!   wake it, its time is over or its peer closes. Errors and divergence do not wait.
//! - In a session (KIP-227) only what changed is answered; see `fetch_session`.
//! - Aborted transactions are listed for readers of committed records, null for all others.
//! - Replica ids of 0 and more are refused: there are no followers.
//!
//! Version notes: names up to version 12, topic ids from 13 (KIP-516); divergence from 12
//! (KIP-595); the replica id moved to a tagged field in 15.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use tokio::time::Instant;

use super::fetch_session::{PartitionKey, Wanted};
use super::{Api, Context, Reply};
use crate::log;
use crate::partition::{Bounds, FetchWait, Isolation, NotOpen, Partition};
use crate::wire::messages::fetch::{
    AbortedTransaction, EpochEndOffset, FetchRequest, FetchResponse, FetchTopic,
    FetchableTopicResponse, LeaderIdAndEpoch, PartitionData,
};
use crate::wire::{Chunk, ErrorCode};

/// First version that names topics by id.
const TOPIC_ID_VERSION: i16 = 13;
/// From here on an answer names the leader.
const LEADER_VERSION: i16 = 16;

pub(super) struct Fetch;

impl Api for Fetch {
    type Request = FetchRequest;

    async fn handle(
        context: Context<'_>,
        request: FetchRequest,
        version: i16,
    ) -> Reply<FetchResponse> {
        let isolation = match request.isolation_level {
            0 => Isolation::ReadUncommitted,
            1 => Isolation::ReadCommitted,
            _ => return Reply::Ready(failed(&request, ErrorCode::UnknownServerError, version)),
        };
        let shared = context.shared;
        let uses_topic_ids = version >= TOPIC_ID_VERSION;
        let begun = shared.fetch_sessions.begin(
            (request.session_id, request.session_epoch),
            uses_topic_ids,
            wanted(&request.topics),
            &forgotten(&request),
            shared.env.clock.now_ms(),
        );
        let (session, wanted) = match begun {
            Ok(begun) => begun,
            Err(error) => {
                return Reply::Ready(FetchResponse {
                    error_code: error.code(),
                    ..Default::default()
                });
            }
        };
        let most = i32::try_from(shared.config.fetch_max_bytes).unwrap_or(i32::MAX);
        let max_bytes = request.max_bytes.min(most);
        let reader = Reader {
            isolation,
            from_replica: request.replica_id.max(request.replica_state.replica_id) >= 0,
            max_bytes: usize::try_from(max_bytes).ok(),
            leader_id: (version >= LEADER_VERSION).then_some(shared.config.node_id),
            min_bytes: i64::from(request.min_bytes.min(max_bytes)),
        };
        let targets = resolve(context, wanted, uses_topic_ids);
        let mut answers = reader.fetch(context, targets, request.max_wait_ms).await;
        let session_id = shared.fetch_sessions.finish(
            &session,
            uses_topic_ids,
            &mut answers,
            &shared.env.random,
            shared.env.clock.now_ms(),
        );
        let responses = by_topic(answers);
        Reply::Ready(FetchResponse { session_id, responses, ..Default::default() })
    }
}

/// Each partition once; a later mention replaces what the first one asked.
fn wanted(topics: &[FetchTopic]) -> Vec<Wanted> {
    let mut seen = HashSet::new();
    let mut all: Vec<Wanted> = Vec::new();
    for topic in topics {
        let name: Arc<str> = topic.topic.as_str().into();
        for partition in &topic.partitions {
            let key = PartitionKey {
                topic: name.clone(),
                topic_id: topic.topic_id,
                partition: partition.partition,
            };
            let wanted = Wanted {
                key: key.clone(),
                known_name: None,
                fetch_offset: partition.fetch_offset,
                max_bytes: partition.partition_max_bytes,
                current_leader_epoch: partition.current_leader_epoch,
                last_fetched_epoch: partition.last_fetched_epoch,
            };
            if seen.insert(key) {
                all.push(wanted);
            } else if let Some(earlier) = all.iter_mut().find(|earlier| earlier.key == wanted.key) {
                *earlier = wanted;
            }
        }
    }
    all
}

fn forgotten(request: &FetchRequest) -> Vec<PartitionKey> {
    let keys = request.forgotten_topics_data.iter().flat_map(|topic| {
        topic.partitions.iter().map(|&partition| PartitionKey {
            topic: topic.topic.as_str().into(),
            topic_id: topic.topic_id,
            partition,
        })
    });
    keys.collect()
}

/// A partition to be read, or why it is not.
type Target = (Wanted, Result<Arc<Partition>, ErrorCode>);

fn resolve(context: Context<'_>, wanted: Vec<Wanted>, uses_topic_ids: bool) -> Vec<Target> {
    let registry = &context.shared.registry;
    let target = |mut wanted: Wanted| {
        let PartitionKey { topic, topic_id, partition } = &wanted.key;
        let found = if !uses_topic_ids {
            registry.get(topic, *partition).map_err(NotOpen::error_code)
        } else if let Some(name) = registry.topic_name(*topic_id) {
            wanted.known_name = Some(name);
            registry.get_by_id(*topic_id, *partition).map_err(NotOpen::error_code)
        } else {
            Err(match &wanted.known_name {
                None => ErrorCode::UnknownTopicId,
                Some(name) if registry.get(name, *partition).is_ok() => {
                    ErrorCode::InconsistentTopicId
                }
                Some(_) => ErrorCode::UnknownTopicOrPartition,
            })
        };
        (wanted, found)
    };
    wanted.into_iter().map(target).collect()
}

struct Reader {
    isolation: Isolation,
    from_replica: bool,
    /// None where it is negative.
    max_bytes: Option<usize>,
    /// The leader to name where a request is for another one.
    leader_id: Option<i32>,
    min_bytes: i64,
}

/// What one pass over the partitions found.
struct Pass<'a> {
    answers: Vec<(Wanted, PartitionData)>,
    /// What was read, with the bounds it had.
    seen: Vec<(&'a Arc<Partition>, Bounds)>,
    bytes: i64,
    /// An error or divergence: the answer leaves at once.
    urgent: bool,
}

impl Reader {
    async fn fetch(
        &self,
        context: Context<'_>,
        targets: Vec<Target>,
        max_wait_ms: i32,
    ) -> Vec<(Wanted, PartitionData)> {
        let patience = Duration::from_millis(u64::try_from(max_wait_ms).unwrap_or(0));
        let deadline = Instant::now() + patience;
        loop {
            let pass = self.pass(&targets).await;
            if pass.urgent || pass.bytes >= self.min_bytes || pass.seen.is_empty() {
                return pass.answers;
            }
            let mut wait = FetchWait::new((self.min_bytes - pass.bytes) as u64);
            for (partition, bounds) in &pass.seen {
                wait.watch(partition, bounds, self.isolation);
            }
            tokio::select! {
                biased;
                () = context.peer_closed() => return pass.answers,
                woken = wait.until(deadline) => {
                    if !woken {
                        return pass.answers;
                    }
                }
            }
        }
    }

    /// Reads every partition once. Those of topics that nobody knows follow, then partitions that
    /// their topics do not have, as in Kafka's answer.
    async fn pass<'a>(&self, targets: &'a [Target]) -> Pass<'a> {
        let answers = Vec::with_capacity(targets.len());
        let mut pass = Pass { answers, seen: Vec::new(), bytes: 0, urgent: false };
        let mut left = self.max_bytes.unwrap_or(0);
        let mut first = true;
        for (wanted, found) in targets {
            let Ok(partition) = found else { continue };
            let data = match self.read(partition, wanted, left, first).await {
                Ok((data, bounds)) => {
                    pass.seen.push((partition, bounds));
                    data
                }
                Err(error) => {
                    pass.urgent = true;
                    PartitionData {
                        aborted_transactions: None,
                        current_leader: self.leader(partition, error),
                        ..refusal(wanted.key.partition, error)
                    }
                }
            };
            let bytes = data.records.as_ref().map_or(0, Chunk::len);
            first &= bytes == 0;
            left = left.saturating_sub(bytes);
            pass.bytes += bytes as i64;
            pass.urgent |= data.diverging_epoch.epoch >= 0;
            pass.answers.push((wanted.clone(), data));
        }
        let missing = |(wanted, found): &'a Target| Some((wanted, *found.as_ref().err()?));
        let mut missing: Vec<_> = targets.iter().filter_map(missing).collect();
        missing.sort_by_key(|(_, error)| *error != ErrorCode::UnknownTopicId);
        for (wanted, error) in missing {
            pass.answers.push((wanted.clone(), refusal(wanted.key.partition, error)));
        }
        pass
    }

    fn leader(&self, partition: &Partition, error: ErrorCode) -> LeaderIdAndEpoch {
        let elsewhere =
            matches!(error, ErrorCode::NotLeaderOrFollower | ErrorCode::FencedLeaderEpoch);
        let leader_id = self.leader_id.filter(|_| elsewhere);
        leader_id.map_or_else(LeaderIdAndEpoch::default, |leader_id| LeaderIdAndEpoch {
            leader_id,
            leader_epoch: partition.leader_epoch(),
        })
    }

    async fn read(
        &self,
        partition: &Partition,
        wanted: &Wanted,
        left: usize,
        first: bool,
    ) -> Result<(PartitionData, Bounds), ErrorCode> {
        let epoch = wanted.current_leader_epoch;
        partition.check_epoch(epoch)?;
        if self.from_replica {
            return Err(if epoch >= 0 {
                ErrorCode::UnknownLeaderEpoch
            } else {
                ErrorCode::NotLeaderOrFollower
            });
        }
        // A negative limit is not read as 0: the reference fails where it makes a range of it.
        let wanted_bytes = self.max_bytes.and(usize::try_from(wanted.max_bytes).ok());
        let wanted_bytes = wanted_bytes.ok_or(ErrorCode::UnknownServerError)?;
        let diverging = partition.divergence(wanted.last_fetched_epoch, wanted.fetch_offset);
        let diverging = diverging.map_err(|error| error.error_code())?;
        let most = left.min(wanted_bytes);
        let nothing = Chunk::Bytes(Bytes::new());
        let (bounds, records, aborted) = if diverging.is_some() {
            (partition.bounds(), nothing, None)
        } else {
            let read = partition.read(wanted.fetch_offset, most, self.isolation).await;
            let read = read.map_err(|error| error.error_code())?;
            if first || read.chunk.len() <= most {
                (read.bounds, read.chunk, read.aborted)
            } else {
                // Without the right to the first batch, one that does not fit is left for later.
                // As in Kafka there is no list then, unless there was no room at all.
                (read.bounds, nothing, read.aborted.filter(|_| most == 0))
            }
        };
        let diverging_epoch =
            diverging.map(|(epoch, end_offset)| EpochEndOffset { epoch, end_offset });
        let data = PartitionData {
            partition_index: wanted.key.partition,
            high_watermark: bounds.high_watermark,
            last_stable_offset: bounds.last_stable_offset,
            log_start_offset: bounds.log_start_offset,
            aborted_transactions: aborted.map(|aborted| aborted.iter().map(listed).collect()),
            records: Some(records),
            diverging_epoch: diverging_epoch.unwrap_or_default(),
            ..Default::default()
        };
        Ok((data, bounds))
    }
}

fn listed(transaction: &log::AbortedTransaction) -> AbortedTransaction {
    AbortedTransaction {
        producer_id: transaction.producer_id,
        first_offset: transaction.first_offset,
    }
}

fn refusal(partition_index: i32, error: ErrorCode) -> PartitionData {
    PartitionData {
        partition_index,
        error_code: error.code(),
        high_watermark: -1,
        records: Some(Chunk::Bytes(Bytes::new())),
        ..Default::default()
    }
}

/// What `FetchRequest.getErrorResponse` gives.
fn failed(request: &FetchRequest, error: ErrorCode, version: i16) -> FetchResponse {
    let topics = request.topics.iter().filter(|_| version < TOPIC_ID_VERSION);
    let responses = topics.map(|topic| FetchableTopicResponse {
        topic: topic.topic.clone(),
        topic_id: topic.topic_id,
        partitions: topic.partitions.iter().map(|part| refusal(part.partition, error)).collect(),
    });
    FetchResponse {
        error_code: error.code(),
        session_id: request.session_id,
        responses: responses.collect(),
        ..Default::default()
    }
}

/// Neighbours of one topic share an element.
fn by_topic(answers: Vec<(Wanted, PartitionData)>) -> Vec<FetchableTopicResponse> {
    let mut responses: Vec<FetchableTopicResponse> = Vec::new();
    for (wanted, data) in answers {
        let PartitionKey { topic, topic_id, .. } = &wanted.key;
        match responses.last_mut() {
            Some(last) if last.topic_id == *topic_id && *last.topic == **topic => {
                last.partitions.push(data);
            }
            _ => responses.push(FetchableTopicResponse {
                topic: topic.to_string(),
                topic_id: *topic_id,
                partitions: vec![data],
            }),
        }
    }
    responses
}
