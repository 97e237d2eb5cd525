//! What a consumer reads: fetches, and the records in what they bring (Kafka: `CompletedFetch`).

use std::collections::{BTreeMap, HashSet, VecDeque};

use bytes::{Buf, Bytes};
use tokio::time::Instant;
use uuid::Uuid;

use super::{Consumer, Fetched, Position};
use crate::client::offsets::Committed;
use crate::client::{ClientError, READ_COMMITTED, TopicPartition, is_retriable};
use crate::records::{BatchHeader, Batches, Record, Records, TimestampType};
use crate::wire::Chunk;
use crate::wire::messages::fetch::{
    AbortedTransaction, FetchPartition, FetchRequest, FetchTopic, PartitionData,
};

/// The second number in the key of a marker that aborts.
const ABORT: [u8; 2] = [0, 0];

/// Batches of a partition that are not taken yet.
#[derive(Debug)]
pub(super) struct Data {
    partition: TopicPartition,
    records: Bytes,
    /// By their first offset.
    aborted: VecDeque<AbortedTransaction>,
    /// Producers whose transaction, aborted later, has begun.
    aborting: HashSet<i64>,
}

/// A record and where it was.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Taken<'a> {
    pub(crate) partition: &'a TopicPartition,
    pub(crate) offset: i64,
    pub(crate) timestamp_type: TimestampType,
    pub(crate) record: &'a Record<'a>,
}

impl Consumer {
    /// Fetches from every leader of which all is taken and nothing is under way.
    pub(super) fn send_fetches(&mut self) {
        if Instant::now() < self.next_fetch {
            return;
        }
        let mut by_leader: BTreeMap<i32, BTreeMap<&String, Vec<FetchPartition>>> = BTreeMap::new();
        let mut is_led = true;
        for ((topic, partition), position) in &self.positions {
            let Position::At(committed) = position else { continue };
            let leaders = self.topics.get(topic).map(|topic| &topic.leaders);
            let leader = leaders.and_then(|leaders| leaders.get(partition).copied());
            let Some(leader) = leader.filter(|leader| *leader >= 0) else {
                is_led = false;
                continue;
            };
            let fetch = FetchPartition {
                partition: *partition,
                fetch_offset: committed.offset,
                partition_max_bytes: self.config.partition_max_bytes,
                ..Default::default()
            };
            by_leader.entry(leader).or_default().entry(topic).or_default().push(fetch);
        }
        let mut requests = Vec::new();
        for (node_id, topics) in by_leader {
            if !self.busy.contains(&node_id) {
                let topic = |(name, partitions): (&String, _)| FetchTopic {
                    topic: name.clone(),
                    topic_id: self.topics.get(name).map_or(Uuid::nil(), |topic| topic.id),
                    partitions,
                };
                requests.push((node_id, topics.into_iter().map(topic).collect::<Vec<_>>()));
            }
        }
        for (node_id, topics) in requests {
            self.send_fetch(node_id, topics);
        }
        if !is_led {
            self.misses_leaders();
        }
    }

    fn send_fetch(&mut self, node_id: i32, topics: Vec<FetchTopic>) {
        let request = FetchRequest {
            max_wait_ms: self.config.max_wait_ms,
            min_bytes: self.config.min_bytes,
            max_bytes: self.config.max_bytes,
            isolation_level: self.config.isolation_level,
            topics,
            ..Default::default()
        };
        // A broker that knows no ids has none for any topic.
        let id = request.topics.iter().map(|topic| topic.topic_id).min().unwrap_or_default();
        let (idle, opening) = (self.idle.remove(&node_id), self.cluster.open(node_id));
        let round = self.round;
        self.busy.insert(node_id);
        self.fetching.spawn(async move {
            let fetch = async {
                let mut connection = match idle {
                    Some(connection) => connection,
                    None => opening.await?,
                };
                let version = connection.peer().topic_version::<FetchRequest>(id)?;
                let answer = connection.call_at(&request, version).await?;
                Ok((connection, answer))
            };
            Fetched { node_id, round, outcome: fetch.await }
        });
    }

    pub(super) fn fetched(&mut self, fetched: Fetched) -> Result<(), ClientError> {
        self.busy.remove(&fetched.node_id);
        let answer = match fetched.outcome {
            Ok((connection, answer)) => {
                self.idle.insert(fetched.node_id, connection);
                answer
            }
            Err(error) if error.is_passing() => {
                (self.config.warn)(&error);
                self.was_refused();
                return Ok(());
            }
            Err(error) => return Err(error),
        };
        // What was assigned then may be another's by now.
        if fetched.round != self.round {
            return Ok(());
        }
        if answer.error_code != 0 {
            self.was_refused();
        }
        for topic in answer.responses {
            let by_id = |(_, known): &(&String, &super::Topic)| known.id == topic.topic_id;
            let name = match self.topics.iter().find(by_id) {
                Some((name, _)) if !topic.topic_id.is_nil() => name.clone(),
                _ => topic.topic,
            };
            for data in topic.partitions {
                self.arrived((name.clone(), data.partition_index), data)?;
            }
        }
        Ok(())
    }

    fn arrived(
        &mut self,
        partition: TopicPartition,
        data: PartitionData,
    ) -> Result<(), ClientError> {
        if Self::is_out_of_range(data.error_code) {
            let position = self.begin(&partition)?;
            self.positions.insert(partition, position);
            self.next_positions = Instant::now();
        } else if is_retriable(data.error_code) {
            self.was_refused();
        } else if data.error_code != 0 {
            return Err(Self::failed(data.error_code, &partition));
        } else if let Some(Chunk::Bytes(records)) = data.records.filter(|it| !it.is_empty()) {
            let mut aborted = data.aborted_transactions.unwrap_or_default();
            aborted.sort_unstable_by_key(|transaction| transaction.first_offset);
            let aborted = aborted.into();
            self.ready.push_back(Data { partition, records, aborted, aborting: HashSet::new() });
        }
        Ok(())
    }

    /// Gives the records of the next batch to `takes` until it does not take one, which is then the next to be read. True
    /// if there may be more to take.
    pub(crate) fn take(
        &mut self,
        mut takes: impl FnMut(Taken<'_>) -> bool,
    ) -> Result<bool, ClientError> {
        let Some(mut data) = self.ready.pop_front() else { return Ok(false) };
        let Some(Position::At(from)) = self.positions.get(&data.partition).copied() else {
            return Ok(!self.ready.is_empty());
        };
        let bytes = data.records.clone();
        // What is cut off at the end comes again.
        let Some(batch) = Batches::new(&bytes).next() else { return Ok(!self.ready.is_empty()) };
        let (topic, index) = &data.partition;
        let damaged = |cause: String| {
            ClientError::Argument(format!(
                "Received exception when fetching the next record from {topic}-{index}. If needed, please seek past the \
                 record to continue consumption: {cause}"
            ))
        };
        let (header, batch) = batch.map_err(|error| damaged(error.to_string()))?;
        if self.config.checks_crc && !header.verify_crc(batch) {
            let base = header.base_offset;
            return Err(ClientError::Argument(format!(
                "Record batch for partition {topic}-{index} at offset {base} is invalid, cause: Record is corrupt"
            )));
        }
        let mut next = header.next_offset().ok_or_else(|| damaged("invalid offsets".into()))?;
        let is_hidden = self.config.isolation_level == READ_COMMITTED
            && is_aborted(&header, batch, &mut data.aborted, &mut data.aborting);
        let mut is_refused = false;
        if !is_hidden && !header.is_control() {
            let mut records =
                Records::new(&header, batch).map_err(|error| damaged(error.to_string()))?;
            while let Some(record) = records.next().map_err(|error| damaged(error.to_string()))? {
                let offset = header.base_offset.wrapping_add(record.offset_delta.into());
                let (partition, timestamp_type) = (&data.partition, header.timestamp_type());
                let record = &record;
                if offset >= from.offset
                    && !takes(Taken { partition, offset, timestamp_type, record })
                {
                    (next, is_refused) = (offset, true);
                    break;
                }
            }
        }
        data.records.advance(batch.len());
        // Kafka's tool seeks back to what it did not take, and a sought position has no epoch.
        let epoch = if is_refused { -1 } else { header.leader_epoch };
        let position = Committed { offset: next.max(from.offset), epoch };
        self.positions.insert(data.partition.clone(), Position::At(position));
        if !is_refused && !data.records.is_empty() {
            self.ready.push_front(data);
        }
        Ok(!is_refused && !self.ready.is_empty())
    }
}

/// Whether a batch is of a transaction that was aborted (Kafka: `CompletedFetch.nextFetchedRecord`).
fn is_aborted(
    header: &BatchHeader,
    batch: &[u8],
    aborted: &mut VecDeque<AbortedTransaction>,
    aborting: &mut HashSet<i64>,
) -> bool {
    if !header.has_producer_id() {
        return false;
    }
    while let Some(transaction) =
        aborted.pop_front_if(|transaction| transaction.first_offset <= header.last_offset())
    {
        aborting.insert(transaction.producer_id);
    }
    if header.is_control() && aborts(header, batch) {
        aborting.remove(&header.producer_id);
        return false;
    }
    header.is_transactional() && aborting.contains(&header.producer_id)
}

/// Whether a control batch is the marker of an abort.
fn aborts(header: &BatchHeader, batch: &[u8]) -> bool {
    let Ok(mut records) = Records::new(header, batch) else { return false };
    let first = records.next();
    first.is_ok_and(|first| {
        first.and_then(|marker| marker.key).is_some_and(|key| key.get(2..4) == Some(&ABORT))
    })
}
