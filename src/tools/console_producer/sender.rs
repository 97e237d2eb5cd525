//! Records in batches to the brokers that lead their partitions (Kafka: `KafkaProducer`).
//!
//! One request to a broker at a time, so that records stay in order; an idempotent producer's are not written twice.

use std::collections::{BTreeMap, HashMap};
use std::time::Duration;

use bytes::Bytes;
use tokio::time::{Instant, sleep};
use uuid::Uuid;

use super::lines::Parsed;
use crate::client::{ClientError, Cluster, Exception, is_retriable};
use crate::env::{Clock, OsClock};
use crate::records::{
    BATCH_HEADER_BYTES, BatchBuilder, Compression, increment_sequence, partition_of_key,
};
use crate::tools::reach::warn;
use crate::wire::ErrorCode;
use crate::wire::messages::init_producer_id::InitProducerIdRequest;
use crate::wire::messages::metadata::{MetadataRequest, MetadataRequestTopic};
use crate::wire::messages::produce::{
    PartitionProduceData, PartitionProduceResponse, ProduceRequest, TopicProduceData,
};

/// What a record has beside its fields at most (`DefaultRecord.MAX_RECORD_OVERHEAD`).
const RECORD_OVERHEAD_MAX: usize = 21;

/// How to send; the names are those of Kafka's producer.
#[derive(Clone, Debug)]
pub(super) struct SenderConfig {
    pub(super) servers: String,
    pub(super) client_id: String,
    pub(super) topic: String,
    pub(super) acks: i16,
    pub(super) idempotence: bool,
    pub(super) compression: Compression,
    pub(super) batch_bytes: usize,
    pub(super) request_bytes_max: usize,
    pub(super) retries: u64,
    pub(super) linger: Duration,
    pub(super) max_block: Duration,
    pub(super) request_timeout: Duration,
    pub(super) delivery_timeout: Duration,
    pub(super) retry_backoff: Duration,
    pub(super) retry_backoff_max: Duration,
}

/// Bytes of the key and of the value of a record.
pub(super) type Lengths = (Option<usize>, Option<usize>);

/// Records of one partition that go together.
#[derive(Debug)]
struct Batch {
    partition: i32,
    builder: BatchBuilder,
    /// Once it is on its way.
    bytes: Option<Bytes>,
    records: Vec<Lengths>,
    since: Instant,
    attempts: u64,
}

/// A producer.
#[derive(Debug)]
pub(super) struct Sender {
    config: SenderConfig,
    /// Hears of every record that is given up.
    failed: fn(&str, Lengths, &Exception),
    cluster: Option<Cluster>,
    /// A call on it has failed, or was given up in the middle.
    is_lost: bool,
    topic_id: Uuid,
    /// The broker that leads each partition; empty while the topic is not known.
    leaders: BTreeMap<i32, i32>,
    /// Where records without a key go until a batch is full.
    sticky: i32,
    open: BTreeMap<i32, Batch>,
    pending: Vec<Batch>,
    producer: Option<(i64, i16)>,
    sequences: HashMap<i32, i32>,
    last_failure: Option<Exception>,
}

impl Sender {
    pub(super) fn new(config: SenderConfig, failed: fn(&str, Lengths, &Exception)) -> Self {
        Self {
            config,
            failed,
            cluster: None,
            is_lost: false,
            topic_id: Uuid::nil(),
            leaders: BTreeMap::new(),
            sticky: fastrand::i32(0..i32::MAX),
            open: BTreeMap::new(),
            pending: Vec::new(),
            producer: None,
            sequences: HashMap::new(),
            last_failure: None,
        }
    }

    /// When the oldest batch has waited long enough.
    pub(super) fn next_due(&self) -> Option<Instant> {
        self.open.values().map(|batch| batch.since).min().map(|since| since + self.config.linger)
    }

    /// Puts a record into the batch of its partition, and sends what does not fit into one.
    pub(super) async fn send(&mut self, record: &Parsed) {
        let lengths =
            (record.key.as_ref().map(String::len), record.value.as_ref().map(String::len));
        if let Err(exception) = self.add(record, lengths).await {
            self.fail(&[lengths], exception);
        }
    }

    async fn add(&mut self, record: &Parsed, lengths: Lengths) -> Result<(), Exception> {
        if self.leaders.is_empty() {
            self.find_topic().await?;
        }
        let (size, most) = (size_bytes_max(record, lengths), self.config.request_bytes_max);
        if size > most {
            return Err(Exception::new(
                "RecordTooLargeException",
                format!(
                    "The message is {size} bytes when serialized which is larger than {most}, which is the value of the \
                     max.request.size configuration."
                ),
            ));
        }
        let count = self.leaders.len() as i32;
        let partition = match &record.key {
            Some(key) => partition_of_key(key.as_bytes(), count),
            None => self.sticky % count,
        };
        let room = self.config.batch_bytes.saturating_sub(size - BATCH_HEADER_BYTES);
        if self.open.get(&partition).is_some_and(|batch| batch.builder.size_bytes() > room) {
            self.flush(|batch| batch.partition == partition).await;
        }
        let codec = self.config.compression;
        let batch = self.open.entry(partition).or_insert_with(|| Batch {
            partition,
            builder: BatchBuilder::new(0, -1).compressed(codec, None),
            bytes: None,
            records: Vec::new(),
            since: Instant::now(),
            attempts: 0,
        });
        let headers = record.headers.iter();
        let headers: Vec<(&[u8], Option<&[u8]>)> = headers
            .map(|(key, value)| (key.as_bytes(), value.as_ref().map(String::as_bytes)))
            .collect();
        let (key, value) = (&record.key, &record.value);
        let [key, value] = [key, value].map(|field| field.as_ref().map(String::as_bytes));
        batch.builder.push_with_headers(OsClock.now_ms(), key, value, &headers);
        batch.records.push(lengths);
        if batch.builder.size_bytes() >= self.config.batch_bytes {
            self.sticky = fastrand::i32(0..i32::MAX);
            self.flush(|batch| batch.partition == partition).await;
        }
        Ok(())
    }

    /// Sends the batches that have waited long enough.
    pub(super) async fn flush_due(&mut self) {
        let linger = self.config.linger;
        self.flush(|batch| batch.since.elapsed() >= linger).await;
    }

    /// Sends everything; why a record was given up since the last call, if one was.
    pub(super) async fn flush_all(&mut self) -> Option<Exception> {
        self.flush(|_| true).await;
        self.last_failure.take()
    }

    /// Sends what is left, when what went before was given up in the middle.
    pub(super) async fn close(&mut self) {
        self.is_lost = true;
        self.flush_all().await;
    }

    async fn flush(&mut self, wanted: impl Fn(&Batch) -> bool) {
        self.pending.extend(self.open.extract_if(.., |_, batch| wanted(batch)).map(|(_, it)| it));
        let mut backoff = self.config.retry_backoff;
        loop {
            self.expire();
            if self.pending.is_empty() {
                return;
            }
            if self.deliver().await {
                backoff = self.config.retry_backoff;
                continue;
            }
            sleep(backoff).await;
            backoff = (2 * backoff).min(self.config.retry_backoff_max);
            if let Err(error) = self.refresh().await {
                self.lost(&error);
            }
        }
    }

    /// Tells of records that are given up.
    fn fail(&mut self, records: &[Lengths], exception: Exception) {
        for record in records {
            (self.failed)(&self.config.topic, *record, &exception);
        }
        self.last_failure = Some(exception);
    }

    fn give_up(&mut self, batch: &Batch, exception: Exception) {
        // Whether it was written is not known, so what comes after it needs other numbers.
        self.producer = None;
        self.fail(&batch.records, exception);
    }

    fn expire(&mut self) {
        let most = self.config.delivery_timeout;
        let late: Vec<Batch> =
            self.pending.extract_if(.., |batch| batch.since.elapsed() >= most).collect();
        for batch in late {
            let (topic, partition) = (&self.config.topic, batch.partition);
            let message = format!(
                "Expiring {} record(s) for {topic}-{partition}:{} ms has passed since batch creation. The request has not \
                 been sent, or no server response has been received yet.",
                batch.records.len(),
                batch.since.elapsed().as_millis(),
            );
            self.give_up(&batch, Exception::new("TimeoutException", message));
        }
    }

    fn lost(&mut self, error: &ClientError) {
        warn(error);
        self.is_lost = true;
    }

    async fn cluster(&mut self) -> Result<&mut Cluster, ClientError> {
        let SenderConfig { client_id, servers, request_timeout, .. } = &self.config;
        if let Some(cluster) = &mut self.cluster
            && self.is_lost
        {
            cluster.renew().await?;
        }
        self.is_lost = false;
        let cluster = match self.cluster.take() {
            Some(cluster) => cluster,
            None => Cluster::connect(servers, *request_timeout).await?.named(client_id),
        };
        Ok(self.cluster.insert(cluster))
    }

    /// Waits for the topic, which may be created only now.
    async fn find_topic(&mut self) -> Result<(), Exception> {
        let end = Instant::now() + self.config.max_block;
        let mut backoff = self.config.retry_backoff;
        loop {
            match self.refresh().await {
                Ok(0) if !self.leaders.is_empty() => return Ok(()),
                Ok(code) if code == ErrorCode::InvalidTopicException.code() => {
                    let message = format!("Invalid topics: [{}]", self.config.topic);
                    return Err(Exception::told(code, Some(message)));
                }
                Ok(code) if code != 0 && !is_retriable(code) => return Err(Exception::of(code)),
                Ok(_) => {}
                Err(error) if error.is_passing() => self.lost(&error),
                Err(error) => return Err(Exception::from(&error)),
            }
            if Instant::now() + backoff >= end {
                let waited_ms = self.config.max_block.as_millis();
                let topic = &self.config.topic;
                let message =
                    format!("Topic {topic} not present in metadata after {waited_ms} ms.");
                return Err(Exception::new("TimeoutException", message));
            }
            sleep(backoff).await;
            backoff = (2 * backoff).min(self.config.retry_backoff_max);
        }
    }

    /// Asks who leads; the error of the topic.
    async fn refresh(&mut self) -> Result<i16, ClientError> {
        let name = Some(self.config.topic.clone());
        let request = MetadataRequest {
            topics: Some(vec![MetadataRequestTopic { name, ..Default::default() }]),
            allow_auto_topic_creation: true,
            ..Default::default()
        };
        let answer = self.cluster().await?.describe(&request).await?;
        let Some(topic) = answer.topics.into_iter().next() else {
            return Ok(ErrorCode::UnknownTopicOrPartition.code());
        };
        if topic.error_code == 0 {
            self.topic_id = topic.topic_id;
            let leaders = topic.partitions.iter().map(|one| (one.partition_index, one.leader_id));
            self.leaders = leaders.collect();
        }
        Ok(topic.error_code)
    }

    /// Sends the first batch of each partition once; false if something has to wait.
    async fn deliver(&mut self) -> bool {
        match self.build().await {
            Ok(true) => {}
            Ok(false) => return false,
            Err(error) => {
                self.lost(&error);
                return false;
            }
        }
        let mut by_leader: BTreeMap<i32, BTreeMap<i32, Bytes>> = BTreeMap::new();
        for batch in &self.pending {
            let leader = self.leaders.get(&batch.partition).copied().unwrap_or(-1);
            let batches = by_leader.entry(leader).or_default();
            batches
                .entry(batch.partition)
                .or_insert_with(|| batch.bytes.clone().unwrap_or_default());
        }
        let mut goes_on = true;
        for (leader, batches) in by_leader {
            let partitions: Vec<i32> = batches.keys().copied().collect();
            let answers =
                if leader < 0 { Ok(Vec::new()) } else { self.produce(leader, batches).await };
            let answers = match answers {
                Ok(answers) => answers,
                Err(error) => {
                    warn(&error);
                    if let Some(cluster) = &mut self.cluster {
                        cluster.forget(leader);
                    }
                    // Nothing was sent without a connection: as for Kafka it is no attempt.
                    let code = match &error {
                        ClientError::Connect { .. } => 0,
                        ClientError::Silent { .. } => ErrorCode::RequestTimedOut.code(),
                        ClientError::Lost { .. } => ErrorCode::NetworkException.code(),
                        _ => ErrorCode::UnsupportedVersion.code(),
                    };
                    let failed = |index: &i32| PartitionProduceResponse {
                        index: *index,
                        error_code: code,
                        ..Default::default()
                    };
                    let partitions = if code == 0 { &[][..] } else { &partitions };
                    partitions.iter().map(failed).collect()
                }
            };
            goes_on &= answers.len() == partitions.len();
            for answer in answers {
                goes_on &= self.answered(answer);
            }
        }
        goes_on
    }

    /// Gives every batch its final bytes, and the idempotent producer its number; false if that is not to be had yet.
    async fn build(&mut self) -> Result<bool, ClientError> {
        if self.config.idempotence && self.producer.is_none() {
            let request = InitProducerIdRequest {
                transactional_id: None,
                transaction_timeout_ms: i32::MAX,
                ..Default::default()
            };
            let answer = self.cluster().await?.ask(&request).await?;
            if is_retriable(answer.error_code) {
                return Ok(false);
            }
            if answer.error_code != 0 {
                for batch in std::mem::take(&mut self.pending) {
                    self.give_up(&batch, Exception::of(answer.error_code));
                }
                return Ok(true);
            }
            self.producer = Some((answer.producer_id, answer.producer_epoch));
            self.sequences.clear();
        }
        for batch in self.pending.iter_mut().filter(|batch| batch.bytes.is_none()) {
            let mut builder = std::mem::replace(&mut batch.builder, BatchBuilder::new(0, -1));
            if let Some((id, epoch)) = self.producer {
                let next = self.sequences.entry(batch.partition).or_default();
                let count = builder.record_count();
                builder = builder.producer(id, epoch, *next);
                *next = increment_sequence(*next, count);
            }
            batch.bytes = Some(builder.build().into());
        }
        Ok(true)
    }

    async fn produce(
        &mut self,
        leader: i32,
        batches: BTreeMap<i32, Bytes>,
    ) -> Result<Vec<PartitionProduceResponse>, ClientError> {
        let SenderConfig { topic, acks, request_timeout, .. } = self.config.clone();
        let topic_id = self.topic_id;
        let data = |(index, records)| PartitionProduceData { index, records: Some(records) };
        let partitions: Vec<i32> = batches.keys().copied().collect();
        let partition_data = batches.into_iter().map(data).collect();
        let request = ProduceRequest {
            transactional_id: None,
            acks,
            timeout_ms: request_timeout.as_millis() as i32,
            topic_data: vec![TopicProduceData { name: topic, topic_id, partition_data }],
        };
        let connection = self.cluster().await?.broker(leader).await?;
        let version = connection.peer().topic_version::<ProduceRequest>(topic_id)?;
        if acks == 0 {
            connection.send(&request, version).await?;
            let sent = |index| PartitionProduceResponse { index, ..Default::default() };
            return Ok(partitions.into_iter().map(sent).collect());
        }
        let answer = connection.call_at(&request, version).await?;
        Ok(answer.responses.into_iter().flat_map(|topic| topic.partition_responses).collect())
    }

    /// What became of the first batch of a partition; false if it is to be sent again.
    fn answered(&mut self, answer: PartitionProduceResponse) -> bool {
        let code = answer.error_code;
        let Some(place) = self.pending.iter().position(|batch| batch.partition == answer.index)
        else {
            return true;
        };
        if code == 0 || code == ErrorCode::DuplicateSequenceNumber.code() {
            self.pending.remove(place);
            return true;
        }
        self.pending[place].attempts += 1;
        if is_retriable(code) && self.pending[place].attempts <= self.config.retries {
            return false;
        }
        let batch = self.pending.remove(place);
        self.give_up(&batch, Exception::told(code, answer.error_message));
        true
    }
}

/// More than a record takes as the only one of a batch (`DefaultRecordBatch.estimateBatchSizeUpperBound`).
fn size_bytes_max(record: &Parsed, (key, value): Lengths) -> usize {
    let varint =
        |length: usize| (usize::BITS - (length << 1 | 1).leading_zeros()).div_ceil(7) as usize;
    let field = |length: Option<usize>| length.map_or(1, |length| varint(length) + length);
    let headers = record.headers.iter();
    let headers = headers
        .map(|(key, value)| field(Some(key.len())) + field(value.as_ref().map(String::len)))
        .sum::<usize>();
    let fields = field(key) + field(value) + varint(record.headers.len()) + headers;
    BATCH_HEADER_BYTES + RECORD_OVERHEAD_MAX + fields
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_those_of_the_producer() {
        let record = Parsed { value: Some("v".repeat(100)), ..Default::default() };
        // What Kafka's producer says of a line of 100 letters.
        assert_eq!(size_bytes_max(&record, (None, Some(100))), 61 + 21 + 1 + 102 + 1);
    }
}
