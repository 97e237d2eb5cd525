//! CreatePartitions (key 37).
//!
//! Behavior:
//! - New partitions serve when the request is answered.
//! - Names repeated in one request are refused once, with INVALID_REQUEST.
//! - A timeout of 0 or less is REQUEST_TIMED_OUT for every topic, unless all names are repeated: the
//!   reference's controller is then not asked.
//! - `validate_only` checks only.
//!
//! Version notes: none; the answer is the same at every version.

use std::collections::HashMap;

use super::{Api, Context, Reply};
use crate::metadata::{NewPartitions, TopicError};
use crate::wire::ErrorCode;
use crate::wire::messages::create_partitions::{
    CreatePartitionsRequest, CreatePartitionsResponse, CreatePartitionsTopic,
    CreatePartitionsTopicResult,
};

pub(super) struct CreatePartitions;

impl Api for CreatePartitions {
    type Request = CreatePartitionsRequest;

    async fn handle(
        context: Context<'_>,
        request: CreatePartitionsRequest,
        _version: i16,
    ) -> Reply<CreatePartitionsResponse> {
        let CreatePartitionsRequest { topics, timeout_ms, validate_only } = request;
        let mut times: HashMap<String, usize> = HashMap::new();
        for topic in &topics {
            *times.entry(topic.name.clone()).or_default() += 1;
        }
        if timeout_ms <= 0 && times.values().any(|&times| times == 1) {
            let late = TopicError { message: None, ..TopicError::timed_out() };
            let results = topics.into_iter().map(|topic| result(topic.name, Err(late.clone())));
            return answer(results.collect());
        }
        let mut results = Vec::new();
        let mut new = Vec::new();
        for topic in topics {
            match times.remove(&topic.name) {
                Some(1) => new.push(new_partitions(topic)),
                Some(_) => {
                    let error = TopicError::new(ErrorCode::InvalidRequest, "Duplicate topic name.");
                    results.push(result(topic.name, Err(error)));
                }
                None => {}
            }
        }
        let asked: Vec<_> = new.iter().map(|new| (new.topic.clone(), new.count)).collect();
        let outcomes = context.shared.metadata.create_partitions(new, validate_only).await;
        let is_open = |name: &str, count| context.shared.registry.get(name, count - 1).is_ok();
        for ((name, count), outcome) in asked.into_iter().zip(outcomes) {
            let is_served = validate_only || outcome.is_err() || is_open(&name, count);
            let outcome = if is_served { outcome } else { Err(TopicError::no_log()) };
            results.push(result(name, outcome));
        }
        answer(results)
    }
}

fn new_partitions(topic: CreatePartitionsTopic) -> NewPartitions {
    let CreatePartitionsTopic { name: topic, count, assignments } = topic;
    let assignments = assignments.map(|all| all.into_iter().map(|one| one.broker_ids).collect());
    NewPartitions { topic, count, assignments }
}

fn result(name: String, outcome: Result<(), TopicError>) -> CreatePartitionsTopicResult {
    let (error, error_message) =
        outcome.map_or_else(|error| (error.code, error.message), |()| (ErrorCode::None, None));
    CreatePartitionsTopicResult { name, error_code: error.code(), error_message }
}

fn answer(results: Vec<CreatePartitionsTopicResult>) -> Reply<CreatePartitionsResponse> {
    Reply::Ready(CreatePartitionsResponse { results, ..Default::default() })
}
