//! Metadata (key 3): brokers, topics and partitions, and the creation of topics on first use.
//!
//! Behavior:
//! - A topic that is created by the request is answered with UNKNOWN_TOPIC_OR_PARTITION, as Kafka
//!   does, but only once it serves: the client's next request succeeds.
//! - A coordinator's topic is created as the coordinator needs it, also before there is one.
//! - A partition whose directory is offline has no leader: LEADER_NOT_AVAILABLE.
//! - A null name or a topic id at version 10 or 11 fails the whole request with INVALID_REQUEST.
//!
//! Version notes: version 0 asks for all topics with an empty list, later ones with null; versions
//! below 4 always allow creation; ids may be asked for from version 12 (KIP-516); authorized
//! operations (KIP-430) of the cluster moved to DescribeCluster after version 10.

use std::collections::BTreeSet;

use uuid::Uuid;

use super::{Api, Context, Reply};
use crate::coordinator::on_first_use;
use crate::metadata::{
    MetadataImage, PartitionImage, TopicImage, is_internal_topic, validate_topic_name,
};
use crate::wire::ErrorCode;
use crate::wire::messages::metadata::{
    MetadataRequest, MetadataRequestTopic, MetadataResponse, MetadataResponseBroker,
    MetadataResponsePartition, MetadataResponseTopic,
};

/// Every operation on a topic (`AclEntry.supportedOperations`), as bits: without an authorizer all
/// are allowed.
pub(super) const TOPIC_OPERATIONS: i32 = 3576;
/// Every operation on the cluster.
pub(super) const CLUSTER_OPERATIONS: i32 = 8096;

pub(super) struct Metadata;

impl Api for Metadata {
    type Request = MetadataRequest;

    async fn handle(
        context: Context<'_>,
        request: MetadataRequest,
        version: i16,
    ) -> Reply<MetadataResponse> {
        let asked = request.topics.as_deref().filter(|topics| version > 0 || !topics.is_empty());
        if let Some(topics) = asked
            && let Some(error) = refused(topics, version)
        {
            return Reply::Ready(failed(topics, error));
        }
        let mut topics = match asked {
            None => all_topics(&context.shared.metadata.image()),
            Some(asked) if asked.iter().any(|topic| !topic.topic_id.is_nil()) => {
                topics_by_id(&context.shared.metadata.image(), asked)
            }
            Some(asked) => topics_by_name(context, asked, request.allow_auto_topic_creation).await,
        };
        if request.include_topic_authorized_operations && version >= 8 {
            for topic in topics.iter_mut().filter(|topic| topic.name.is_some()) {
                topic.topic_authorized_operations = TOPIC_OPERATIONS;
            }
        }
        let image = context.shared.metadata.image();
        let advertised = context.advertised();
        let cluster_operations = request.include_cluster_authorized_operations;
        Reply::Ready(MetadataResponse {
            brokers: vec![MetadataResponseBroker {
                node_id: image.node_id,
                host: advertised.host,
                port: advertised.port,
                rack: None,
            }],
            cluster_id: Some(image.cluster_id.to_string()),
            controller_id: image.node_id,
            topics,
            cluster_authorized_operations: if cluster_operations {
                CLUSTER_OPERATIONS
            } else {
                i32::MIN
            },
            ..Default::default()
        })
    }
}

/// `MetadataRequest` can name by null and by id only from version 12 on.
fn refused(topics: &[MetadataRequestTopic], version: i16) -> Option<ErrorCode> {
    if version < 12 {
        let bad = topics.iter().any(|topic| topic.name.is_none() || !topic.topic_id.is_nil());
        return bad.then_some(ErrorCode::InvalidRequest);
    }
    let nameless = topics.iter().all(|topic| topic.topic_id.is_nil())
        && topics.iter().any(|topic| topic.name.is_none());
    nameless.then_some(ErrorCode::UnknownServerError)
}

/// What `MetadataRequest.getErrorResponse` gives: the error for each topic, an empty name for a null
/// one, and no brokers.
fn failed(topics: &[MetadataRequestTopic], error: ErrorCode) -> MetadataResponse {
    let topic = |topic: &MetadataRequestTopic| MetadataResponseTopic {
        error_code: error.code(),
        name: Some(topic.name.clone().unwrap_or_default()),
        topic_id: topic.topic_id,
        ..Default::default()
    };
    MetadataResponse {
        topics: topics.iter().map(topic).collect(),
        error_code: error.code(),
        ..Default::default()
    }
}

fn all_topics(image: &MetadataImage) -> Vec<MetadataResponseTopic> {
    image.topics().map(|topic| described(topic, image.node_id)).collect()
}

fn topics_by_id(
    image: &MetadataImage,
    asked: &[MetadataRequestTopic],
) -> Vec<MetadataResponseTopic> {
    let ids: BTreeSet<Uuid> =
        asked.iter().map(|topic| topic.topic_id).filter(|id| !id.is_nil()).collect();
    let (known, unknown): (Vec<Uuid>, Vec<Uuid>) =
        ids.into_iter().partition(|&id| image.topic_by_id(id).is_some());
    let unknown = unknown.into_iter().map(|topic_id| MetadataResponseTopic {
        error_code: ErrorCode::UnknownTopicId.code(),
        name: None,
        topic_id,
        ..Default::default()
    });
    let known = known.into_iter().filter_map(|id| image.topic_by_id(id));
    unknown.chain(known.map(|topic| described(topic, image.node_id))).collect()
}

async fn topics_by_name(
    context: Context<'_>,
    asked: &[MetadataRequestTopic],
    may_create: bool,
) -> Vec<MetadataResponseTopic> {
    let metadata = &context.shared.metadata;
    let image = metadata.image();
    let names: BTreeSet<&str> = asked.iter().filter_map(|topic| topic.name.as_deref()).collect();
    let (known, missing): (Vec<&str>, Vec<&str>) =
        names.into_iter().partition(|name| image.topic(name).is_some());
    let known = known.into_iter().filter_map(|name| image.topic(name));
    let mut topics: Vec<_> = known.map(|topic| described(topic, image.node_id)).collect();
    let creates = may_create && context.shared.config.auto_create_topics_enable;
    for name in missing {
        let error = match validate_topic_name(name) {
            Err(_) => ErrorCode::InvalidTopicException,
            Ok(()) if creates => create(context, name).await,
            Ok(()) => ErrorCode::UnknownTopicOrPartition,
        };
        topics.push(MetadataResponseTopic {
            error_code: error.code(),
            name: Some(name.to_owned()),
            is_internal: is_internal_topic(name),
            ..Default::default()
        });
    }
    topics
}

/// Creates a topic and gives what the first answer says of it.
async fn create(context: Context<'_>, name: &str) -> ErrorCode {
    let created = context
        .shared
        .metadata
        .create_topics(vec![on_first_use(name, &context.shared.config)], false);
    match created.await.into_iter().next() {
        Some(Err(error)) if error.code != ErrorCode::TopicAlreadyExists => error.code,
        _ => ErrorCode::UnknownTopicOrPartition,
    }
}

fn leader_error(partition: &PartitionImage) -> ErrorCode {
    if partition.is_led() { ErrorCode::None } else { ErrorCode::LeaderNotAvailable }
}

fn described(topic: &TopicImage, node_id: i32) -> MetadataResponseTopic {
    let partitions = topic.partitions.iter().enumerate();
    MetadataResponseTopic {
        error_code: ErrorCode::None.code(),
        name: Some(topic.name.to_string()),
        topic_id: topic.id,
        is_internal: topic.internal,
        partitions: partitions
            .map(|(index, partition)| MetadataResponsePartition {
                error_code: leader_error(partition).code(),
                partition_index: index as i32,
                leader_id: partition.leader,
                leader_epoch: partition.leader_epoch,
                replica_nodes: vec![node_id],
                isr_nodes: partition.in_sync(node_id),
                offline_replicas: partition.offline(node_id),
            })
            .collect(),
        ..Default::default()
    }
}
