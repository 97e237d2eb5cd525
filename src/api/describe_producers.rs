//! DescribeProducers (key 61): the idempotent producers that a partition remembers (KIP-664).
//!
//! Behavior:
//! - Every partition is answered as often as it is asked for; producers come by their ids.
//! - Partitions behind those that have filled the answer are refused with INVALID_REQUEST, so that its
//!   size does not grow with repetitions.

use super::{Api, Context, Reply};
use crate::metadata::{TopicError, validate_topic_name};
use crate::partition::ActiveProducer;
use crate::wire::ErrorCode;
use crate::wire::messages::describe_producers::{
    DescribeProducersRequest, DescribeProducersResponse, PartitionResponse, ProducerState,
    TopicResponse,
};

/// Producers after which an answer takes no further partition.
const PRODUCERS_MAX: usize = 100_000;

pub(super) struct DescribeProducers;

impl Api for DescribeProducers {
    type Request = DescribeProducersRequest;

    async fn handle(
        context: Context<'_>,
        request: DescribeProducersRequest,
        _version: i16,
    ) -> Reply<DescribeProducersResponse> {
        let mut told = 0;
        let topics = request.topics.into_iter().map(|topic| {
            let partitions = topic.partition_indexes.iter();
            let describe = |&partition_index: &i32| {
                let found = match told {
                    ..PRODUCERS_MAX => describe(context, &topic.name, partition_index),
                    _ => Err(TopicError::new(
                        ErrorCode::InvalidRequest,
                        "The answer holds too many producers, ask for fewer partitions.",
                    )),
                };
                let (error, error_message, active_producers) = match found {
                    Ok(producers) => (ErrorCode::None, None, producers),
                    Err(error) => (error.code, error.message, Vec::new()),
                };
                told += active_producers.len();
                let error_code = error.code();
                PartitionResponse { partition_index, error_code, error_message, active_producers }
            };
            let partitions = partitions.map(describe).collect();
            TopicResponse { name: topic.name, partitions }
        });
        let topics = topics.collect();
        Reply::Ready(DescribeProducersResponse { topics, ..Default::default() })
    }
}

fn describe(
    context: Context<'_>,
    topic: &str,
    partition: i32,
) -> Result<Vec<ProducerState>, TopicError> {
    let silent = |code| TopicError { code, message: None };
    validate_topic_name(topic)
        .map_err(|text| TopicError::new(ErrorCode::InvalidTopicException, text))?;
    let image = context.shared.metadata.image();
    image.topic(topic).ok_or_else(TopicError::unknown_topic)?;
    let partition = context.shared.registry.get(topic, partition);
    let partition = partition.map_err(|reason| silent(reason.error_code()))?;
    let producers = partition.active_producers();
    let producers = producers.map_err(|reason| silent(reason.error_code()))?;
    Ok(producers.into_iter().map(state).collect())
}

fn state(producer: ActiveProducer) -> ProducerState {
    ProducerState {
        producer_id: producer.producer_id,
        producer_epoch: producer.producer_epoch.into(),
        last_sequence: producer.last_sequence,
        last_timestamp: producer.last_timestamp_ms,
        coordinator_epoch: producer.coordinator_epoch,
        current_txn_start_offset: producer.transaction_first_offset.unwrap_or(-1),
    }
}
