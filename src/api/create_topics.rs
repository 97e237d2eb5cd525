//! CreateTopics (key 19).
//!
//! Behavior:
//! - A topic serves when its creation is answered.
//! - Names repeated in one request are refused once, with INVALID_REQUEST; so is the metadata log.
//! - A timeout of 0 or less is REQUEST_TIMED_OUT: the reference's controller gives it no time.
//! - `validate_only` checks and answers with what would be created.
//!
//! Version notes: defaults by -1 from version 4 (KIP-464); partitions, replication factor and
//! configurations in the answer from 5 (KIP-525); the topic id from 7.

use std::collections::HashMap;

use super::{Api, Context, Reply};
use crate::config::Described;
use crate::metadata::{CLUSTER_METADATA_TOPIC, CreatedTopic, NewTopic, TopicError};
use crate::wire::ErrorCode;
use crate::wire::messages::create_topics::{
    CreatableTopic, CreatableTopicConfigs, CreatableTopicResult, CreateTopicsRequest,
    CreateTopicsResponse,
};

pub(super) struct CreateTopics;

impl Api for CreateTopics {
    type Request = CreateTopicsRequest;

    async fn handle(
        context: Context<'_>,
        request: CreateTopicsRequest,
        _version: i16,
    ) -> Reply<CreateTopicsResponse> {
        if request.timeout_ms <= 0 {
            return Reply::Ready(timed_out(&request));
        }
        let mut times: HashMap<&str, usize> = HashMap::new();
        for topic in &request.topics {
            *times.entry(&topic.name).or_default() += 1;
        }
        let creatable = request.topics.iter().filter(|topic| {
            times.get(topic.name.as_str()) == Some(&1) && topic.name != CLUSTER_METADATA_TOPIC
        });
        let new: Vec<NewTopic> = creatable.map(new_topic).collect();
        let names: Vec<String> = new.iter().map(|topic| topic.name.clone()).collect();
        let outcomes = context.shared.metadata.create_topics(new, request.validate_only).await;
        let validate_only = request.validate_only;
        let registry = &context.shared.registry;
        let is_open = |created: &CreatedTopic| registry.topic_name(created.topic_id).is_some();
        let answered = names.into_iter().zip(outcomes).map(|(name, outcome)| match outcome {
            Ok(created) if !validate_only && !is_open(&created) => {
                let TopicError { code, message } = TopicError::no_log();
                refusal(name, code, message)
            }
            Ok(created) => success(context, name, &created),
            Err(error) => refusal(name, error.code, error.message),
        });
        let mut topics: Vec<CreatableTopicResult> = answered.collect();
        let mut refused: Vec<&str> = Vec::new();
        for topic in &request.topics {
            let repeated = times.get(topic.name.as_str()).is_some_and(|&times| times > 1);
            let reason = match () {
                () if refused.contains(&topic.name.as_str()) => continue,
                () if repeated => "Duplicate topic name.".to_owned(),
                () if topic.name == CLUSTER_METADATA_TOPIC => {
                    format!("Creation of internal topic {CLUSTER_METADATA_TOPIC} is prohibited.")
                }
                () => continue,
            };
            refused.push(&topic.name);
            topics.push(refusal(topic.name.clone(), ErrorCode::InvalidRequest, Some(reason)));
        }
        Reply::Ready(CreateTopicsResponse { topics, ..Default::default() })
    }
}

fn new_topic(topic: &CreatableTopic) -> NewTopic {
    let assignments = topic.assignments.iter();
    let configs = topic.configs.iter();
    NewTopic {
        name: topic.name.clone(),
        num_partitions: topic.num_partitions,
        replication_factor: topic.replication_factor,
        assignments: assignments.map(|one| (one.partition_index, one.broker_ids.clone())).collect(),
        configs: configs.map(|config| (config.name.clone(), config.value.clone())).collect(),
    }
}

fn success(context: Context<'_>, name: String, created: &CreatedTopic) -> CreatableTopicResult {
    // Sorted, other than DescribeConfigs answers them.
    let mut described = context.describe_topic(&created.overrides);
    described.sort_by(|one, other| one.name.cmp(&other.name));
    let config = |described: Described| CreatableTopicConfigs {
        name: described.name,
        value: described.value,
        read_only: described.read_only,
        config_source: described.source as i8,
        is_sensitive: described.sensitive,
    };
    CreatableTopicResult {
        name,
        topic_id: created.topic_id,
        error_code: ErrorCode::None.code(),
        error_message: None,
        num_partitions: created.num_partitions,
        replication_factor: created.replication_factor,
        configs: Some(described.into_iter().map(config).collect()),
        topic_config_error_code: 0,
    }
}

fn refusal(name: String, error: ErrorCode, message: Option<String>) -> CreatableTopicResult {
    CreatableTopicResult {
        name,
        error_code: error.code(),
        error_message: message,
        ..Default::default()
    }
}

fn timed_out(request: &CreateTopicsRequest) -> CreateTopicsResponse {
    let late = TopicError::timed_out().code;
    let topics = request.topics.iter();
    CreateTopicsResponse {
        topics: topics.map(|topic| refusal(topic.name.clone(), late, None)).collect(),
        ..Default::default()
    }
}
