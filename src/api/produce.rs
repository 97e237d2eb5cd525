//! Produce (key 0): appends record batches.
//!
//! Behavior:
//! - A batch is checked, given its offset and written before the connection's next request is
//!   read; the answer leaves once the batch is committed, so pipelined requests append in order
//!   without waiting for each other.
//! - acks=0 is not answered; with an error it closes the connection.
//! - Null records, which Apache Kafka never answers, are answered with INVALID_RECORD.
//! - A transactional batch without a transactional id fails the whole request, and so do batches of
//!   several transactional producers.
//! - The first batch of a transaction in a partition is written only if the transaction's coordinator
//!   knows of the partition ([`Admissions`]).
//!
//! Version notes: versions 0 to 2 are advertised and close the connection (KIP-896; librdkafka
//! looks for 0); TRANSACTION_ABORTABLE from 11; from 12 a batch adds its partition to the transaction
//! (KIP-890); topic ids from version 13 (KIP-516).

use std::collections::HashMap;
use std::ops::RangeInclusive;
use std::sync::Arc;

use super::admissions::Admissions;
use super::{Api, Context, Reply};
use crate::metadata::is_internal_topic;
use crate::partition::{Appended, NotOpen, Partition, Refusal};
use crate::records::{BatchHeader, Compression};
use crate::wire::ErrorCode;
use crate::wire::messages::produce::{
    BatchIndexAndErrorMessage, PartitionProduceData, PartitionProduceResponse, ProduceRequest,
    ProduceResponse, TopicProduceData, TopicProduceResponse,
};

/// `AdminUtils.ADMIN_CLIENT_ID`: may write to internal topics.
const ADMIN_CLIENT_ID: &str = "__admin_client";

/// First version that names topics by id.
const TOPIC_ID_VERSION: i16 = 13;

/// Larger compressed batches are validated away from the network threads: to hand over a smaller one, and its answer back,
/// takes longer than to inflate it.
const INFLATED_HERE_BYTES_MAX: usize = 128 * 1024;
/// The same for batches that are compressed anew, which takes several times as long.
const COMPRESSED_HERE_BYTES_MAX: usize = 16 * 1024;

pub(super) struct Produce;

impl Api for Produce {
    type Request = ProduceRequest;
    const ADVERTISED: RangeInclusive<i16> = 0..=13;

    async fn handle(
        context: Context<'_>,
        request: ProduceRequest,
        version: i16,
    ) -> Reply<ProduceResponse> {
        let acks = request.acks;
        if request.transactional_id.is_none() && has_transactional(&request) {
            return failed(request, ErrorCode::TransactionalIdAuthorizationFailed, None);
        }
        let Ok(admissions) = Admissions::ask(context, &request, version).await else {
            let message = "Transactional records contained more than one producer ID";
            return failed(request, ErrorCode::InvalidProducerIdMapping, Some(message));
        };
        let append = Append::new(context, &request, version, admissions);
        let mut uncommitted = Vec::new();
        let mut responses: Vec<TopicProduceResponse> = Vec::with_capacity(request.topic_data.len());
        for topic in request.topic_data.iter().filter(|topic| !topic.partition_data.is_empty()) {
            let mut partition_responses: Vec<PartitionProduceResponse> = Vec::new();
            for data in named_last(&topic.partition_data) {
                let (response, appended) = append.partition(topic, data).await;
                if let Some((partition, end_offset)) = appended {
                    uncommitted.push((responses.len(), partition, end_offset));
                }
                partition_responses.push(response);
            }
            responses.push(TopicProduceResponse {
                name: topic.name.clone(),
                topic_id: topic.topic_id,
                partition_responses,
            });
        }
        let mut response = ProduceResponse { responses, ..Default::default() };
        if acks == 0 {
            let mut all = response.responses.iter().flat_map(|topic| &topic.partition_responses);
            return if all.any(|partition| partition.error_code != 0) {
                Reply::Close
            } else {
                Reply::Silent
            };
        }
        if uncommitted.is_empty() {
            return Reply::Ready(response);
        }
        Reply::Pending(Box::pin(async move {
            for (topic, partition, end_offset) in uncommitted {
                let Err(error) = partition.committed(end_offset).await else {
                    continue;
                };
                let index = partition.id().partition;
                for answer in &mut response.responses[topic].partition_responses {
                    if answer.index == index {
                        *answer = refusal(index, error.error_code());
                    }
                }
            }
            response
        }))
    }
}

/// An accepted batch that is not yet committed: its partition and the end to wait for.
type Uncommitted = Option<(Arc<Partition>, i64)>;

struct Append<'a> {
    context: Context<'a>,
    version: i16,
    /// Fails every partition alike.
    refused: Option<ErrorCode>,
    internal_allowed: bool,
    admissions: Admissions,
}

impl<'a> Append<'a> {
    fn new(
        context: Context<'a>,
        request: &ProduceRequest,
        version: i16,
        admissions: Admissions,
    ) -> Self {
        let refused = (!(-1..=1).contains(&request.acks)).then_some(ErrorCode::InvalidRequiredAcks);
        let internal_allowed = context.client_id == Some(ADMIN_CLIENT_ID);
        Self { context, version, refused, internal_allowed, admissions }
    }

    async fn partition(
        &self,
        topic: &TopicProduceData,
        data: &PartitionProduceData,
    ) -> (PartitionProduceResponse, Uncommitted) {
        let partition = match find(self.context, topic, data.index, self.version) {
            Ok(partition) => partition,
            Err(error) => return (refusal(data.index, error), None),
        };
        let guard = match self.admissions.of(&partition) {
            Ok(guard) => guard,
            Err(error) => return (refused(data.index, error), None),
        };
        if let Some(error) = self.refused {
            return (refusal(data.index, error), None);
        }
        let Some(records) = &data.records else {
            return (refusal(data.index, ErrorCode::InvalidRecord), None);
        };
        let name = &partition.id().topic;
        if is_internal_topic(name) && !self.internal_allowed {
            return (refusal(data.index, ErrorCode::InvalidTopicException), None);
        }
        let version = self.version;
        let appended = if takes_long(&partition, records) {
            let (partition, records) = (partition.clone(), records.clone());
            let append = move || partition.append(&records, version, guard);
            self.context.shared.env.offload.run(append).await
        } else {
            partition.append(records, version, guard)
        };
        match appended {
            Ok(appended) => {
                let waits = !partition.is_committed(appended.end_offset);
                let uncommitted = waits.then_some((partition, appended.end_offset));
                (accepted(data.index, &appended), uncommitted)
            }
            Err(error) => (refused(data.index, error.refusal()), None),
        }
    }
}

/// The partition that data is for.
pub(super) fn find(
    context: Context<'_>,
    topic: &TopicProduceData,
    index: i32,
    version: i16,
) -> Result<Arc<Partition>, ErrorCode> {
    let registry = &context.shared.registry;
    let partition = if version >= TOPIC_ID_VERSION {
        registry.topic_name(topic.topic_id).ok_or(ErrorCode::UnknownTopicId)?;
        registry.get_by_id(topic.topic_id, index)
    } else {
        registry.get(&topic.name, index)
    };
    partition.map_err(NotOpen::error_code)
}

/// Of a partition named twice the later data counts, and the earlier is not appended.
fn named_last(data: &[PartitionProduceData]) -> impl Iterator<Item = &PartitionProduceData> {
    // Without a map for the usual single one.
    let several = if data.len() > 1 { data } else { &[] };
    let places = several.iter().enumerate().map(|(place, data)| (data.index, place));
    let last: HashMap<i32, usize> = places.collect();
    data.iter()
        .enumerate()
        .filter(move |(place, data)| last.get(&data.index).is_none_or(|last| last == place))
        .map(|(_, data)| data)
}

/// Inflating or compressing much data would hold up the other connections of this thread.
fn takes_long(partition: &Partition, records: &[u8]) -> bool {
    if records.len() <= COMPRESSED_HERE_BYTES_MAX {
        return false;
    }
    let compressed = |header: BatchHeader| header.compression() != Some(Compression::None);
    partition.config().compression_type != "producer"
        || records.len() > INFLATED_HERE_BYTES_MAX
            && BatchHeader::parse(records).is_ok_and(compressed)
}

/// A batch of a transaction without a transactional id fails the whole request.
fn has_transactional(request: &ProduceRequest) -> bool {
    let data = request.topic_data.iter().flat_map(|topic| &topic.partition_data);
    data.filter_map(|data| BatchHeader::parse(data.records.as_deref()?).ok())
        .any(|header| header.is_transactional())
}

/// What `ProduceRequest.getErrorResponse` gives.
fn failed(
    request: ProduceRequest,
    error: ErrorCode,
    message: Option<&str>,
) -> Reply<ProduceResponse> {
    if request.acks == 0 {
        return Reply::Close;
    }
    let answer = |data: &PartitionProduceData| PartitionProduceResponse {
        error_message: message.map(str::to_owned),
        ..refusal(data.index, error)
    };
    let responses = request.topic_data.into_iter().map(|topic| TopicProduceResponse {
        partition_responses: topic.partition_data.iter().map(answer).collect(),
        name: topic.name,
        topic_id: topic.topic_id,
    });
    Reply::Ready(ProduceResponse { responses: responses.collect(), ..Default::default() })
}

/// What a partition has refused.
fn refused(index: i32, refused: Refusal) -> PartitionProduceResponse {
    let record_errors = refused.record_errors.into_iter();
    PartitionProduceResponse {
        log_start_offset: refused.log_start_offset,
        record_errors: record_errors
            .map(|record| BatchIndexAndErrorMessage {
                batch_index: record.batch_index,
                batch_index_error_message: Some(record.message),
            })
            .collect(),
        error_message: refused.message,
        ..refusal(index, refused.error)
    }
}

fn accepted(index: i32, appended: &Appended) -> PartitionProduceResponse {
    PartitionProduceResponse {
        index,
        error_code: ErrorCode::None.code(),
        base_offset: appended.base_offset,
        log_append_time_ms: appended.log_append_time_ms,
        log_start_offset: appended.log_start_offset,
        ..Default::default()
    }
}

fn refusal(index: i32, error: ErrorCode) -> PartitionProduceResponse {
    PartitionProduceResponse {
        index,
        error_code: error.code(),
        base_offset: -1,
        ..Default::default()
    }
}
