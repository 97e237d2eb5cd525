//! Metadata: which topics are asked for, creation on first use, authorized operations; and `DescribeCluster`.

use ottla::wire::messages::create_topics::CreateTopicsRequest;
use ottla::wire::messages::describe_cluster::{DescribeClusterRequest, DescribeClusterResponse};
use ottla::wire::messages::metadata::{
    MetadataRequest, MetadataRequestTopic, MetadataResponse, MetadataResponseTopic,
};
use ottla::wire::messages::produce::ProduceRequest;
use uuid::Uuid;

use super::client::{Target, Topic, creatable, soon};
use super::configs::own_configs;
use super::errors::{
    INVALID_REQUEST, INVALID_TOPIC, MISMATCHED_ENDPOINT_TYPE, UNKNOWN_TOPIC_ID,
    UNKNOWN_TOPIC_OR_PARTITION, UNSUPPORTED_ENDPOINT_TYPE,
};
use super::produce::{batch, produce};
use crate::broker::against_kafka;

checks![
    a_topic_serves_when_its_creation_is_answered,
    an_empty_list_is_all_topics_in_version_0_only,
    every_version_describes_a_topic,
    versions_below_4_always_create,
    creation_on_first_use_is_asked_for_from_version_4,
    a_topic_created_on_first_use_serves_at_once,
    a_pipelined_producer_needs_no_pause_after_creation,
    a_bad_name_is_not_created,
    an_internal_topic_is_created_as_its_owner_needs_it,
    a_null_name_or_an_id_in_version_10_or_11_fails_everything,
    a_null_name_without_an_id_fails_everything,
    a_topic_is_found_by_its_id,
    an_unknown_id_is_an_error,
    authorized_operations_without_an_authorizer,
    the_cluster_is_described_at_every_version,
    a_cluster_of_controllers_is_refused,
];

const TOPIC_OPERATIONS: i32 = 3576;
const CLUSTER_OPERATIONS: i32 = 8096;

fn named(name: &str) -> MetadataRequest {
    of(MetadataRequestTopic { name: Some(name.into()), ..Default::default() })
}

fn of(topic: MetadataRequestTopic) -> MetadataRequest {
    MetadataRequest {
        topics: Some(vec![topic]),
        allow_auto_topic_creation: false,
        ..Default::default()
    }
}

fn only(response: &MetadataResponse) -> &MetadataResponseTopic {
    assert_eq!(response.topics.len(), 1, "{response:?}");
    &response.topics[0]
}

fn a_topic_serves_when_its_creation_is_answered(target: &Target) {
    for version in 2..=7 {
        let name = target.name();
        let created = target.create(&creatable(&name, 3, &[]), version);
        assert_eq!(created.error_code, 0, "version {version}");
        let topic = Topic { name, id: Uuid::nil() };
        for partition in 0..3 {
            target.wait_until_served(&topic, partition);
        }
        let produced = target.call(&produce(&topic, &batch(1)), 9);
        assert_eq!(produced.responses[0].partition_responses[0].error_code, 0);
        let described = target.call(&named(&topic.name), 7);
        for partition in &only(&described).partitions {
            assert_eq!((partition.error_code, partition.leader_id), (0, 1), "{described:?}");
        }
    }
}

fn an_empty_list_is_all_topics_in_version_0_only(target: &Target) {
    let topics = [target.topic(1), target.topic(2)];
    let ask = |topics, version| {
        let request = MetadataRequest { topics, ..Default::default() };
        target.call(&request, version).topics
    };
    for version in 0..=13 {
        let all = ask(if version == 0 { Some(Vec::new()) } else { None }, version);
        for topic in &topics {
            let found = all.iter().find(|one| one.name.as_deref() == Some(&topic.name));
            assert!(found.is_some(), "{} in version {version}", topic.name);
        }
        if version > 0 {
            assert_eq!(ask(Some(Vec::new()), version), [], "version {version}");
        }
    }
}

fn every_version_describes_a_topic(target: &Target) {
    let topic = target.topic(2);
    for version in 0..=13 {
        let response = target.call(&named(&topic.name), version);
        assert_eq!(response.brokers.len(), 1, "version {version}");
        let broker = &response.brokers[0];
        assert_eq!((broker.node_id, broker.host.as_str()), (1, "localhost"), "version {version}");
        assert_eq!(broker.port, i32::from(target.port()), "version {version}");
        assert_eq!(response.cluster_id.is_some(), version >= 2, "version {version}");
        assert_eq!(response.controller_id, if version == 0 { -1 } else { 1 }, "version {version}");
        assert_eq!(response.error_code, 0, "version {version}");
        let found = only(&response);
        assert_eq!(found.error_code, 0, "version {version}");
        assert_eq!(found.name.as_deref(), Some(topic.name.as_str()), "version {version}");
        let id = if version >= 10 { topic.id } else { Uuid::nil() };
        assert_eq!((found.topic_id, found.is_internal), (id, false), "version {version}");
        let mut partitions: Vec<_> = found.partitions.iter().collect();
        partitions.sort_by_key(|partition| partition.partition_index);
        let indexes: Vec<_> = partitions.iter().map(|one| one.partition_index).collect();
        assert_eq!(indexes, [0, 1], "version {version}");
        for one in partitions {
            assert_eq!((one.error_code, one.leader_id), (0, 1), "version {version}");
            assert_eq!(one.leader_epoch, if version >= 7 { 0 } else { -1 }, "version {version}");
            assert_eq!((&one.replica_nodes[..], &one.isr_nodes[..]), (&[1][..], &[1][..]));
            assert!(one.offline_replicas.is_empty(), "version {version}");
        }
    }
}

fn exists(target: &Target, name: &str) -> bool {
    only(&target.call(&named(name), 12)).error_code == 0
}

fn versions_below_4_always_create(target: &Target) {
    for version in 0..4 {
        let name = target.name();
        let response = target.call(&named(&name), version);
        assert_eq!(only(&response).error_code, UNKNOWN_TOPIC_OR_PARTITION, "version {version}");
        soon("the topic", || exists(target, &name).then_some(()));
    }
}

fn creation_on_first_use_is_asked_for_from_version_4(target: &Target) {
    for version in 4..=13 {
        for allowed in [false, true] {
            let name = target.name();
            let request = MetadataRequest { allow_auto_topic_creation: allowed, ..named(&name) };
            let response = target.call(&request, version);
            let topic = only(&response);
            assert_eq!(topic.error_code, UNKNOWN_TOPIC_OR_PARTITION, "version {version}");
            assert_eq!(topic.name.as_deref(), Some(name.as_str()), "version {version}");
            assert_eq!(topic.partitions, [], "version {version}");
            if allowed {
                soon("the topic", || exists(target, &name).then_some(()));
            } else {
                assert!(!exists(target, &name), "version {version}");
            }
        }
    }
}

fn a_topic_created_on_first_use_serves_at_once(target: &Target) {
    for _ in 0..5 {
        let name = target.name();
        let mut client = target.client();
        let request = MetadataRequest { allow_auto_topic_creation: true, ..named(&name) };
        client.call(&request, 12);
        let topic = Topic { name, id: Uuid::nil() };
        target.wait_until_served(&topic, 0);
        let produced = client.call(&produce(&topic, &batch(1)), 9);
        assert_eq!(produced.responses[0].partition_responses[0].error_code, 0);
        assert_eq!(only(&client.call(&named(&topic.name), 12)).partitions.len(), 1);
    }
}

/// Kafka may answer with `NOT_LEADER_OR_FOLLOWER` here.
fn a_pipelined_producer_needs_no_pause_after_creation(target: &Target) {
    if against_kafka() {
        return;
    }
    let name = target.name();
    let mut client = target.client();
    let creation =
        CreateTopicsRequest { topics: vec![creatable(&name, 1, &[])], ..Default::default() };
    client.send(&creation, 7);
    let id = Uuid::nil();
    client.send(&produce(&Topic { name, id }, &batch(1)), 9);
    assert_eq!(client.receive::<CreateTopicsRequest>(7).1.topics[0].error_code, 0);
    let (_, produced) = client.receive::<ProduceRequest>(9);
    assert_eq!(produced.responses[0].partition_responses[0].error_code, 0);
}

fn a_bad_name_is_not_created(target: &Target) {
    let long = "n".repeat(250);
    for name in ["", ".", "..", "a b", "a/b", "\u{e4}", &long] {
        let request = MetadataRequest { allow_auto_topic_creation: true, ..named(name) };
        for version in [0, 4, 13] {
            let response = target.call(&request, version);
            let topic = only(&response);
            assert_eq!(topic.error_code, INVALID_TOPIC, "{name:?} version {version}");
            assert_eq!(topic.name.as_deref(), Some(name), "{name:?} version {version}");
        }
    }
}

fn an_internal_topic_is_created_as_its_owner_needs_it(target: &Target) {
    let share = [
        ("cleanup.policy", "delete"),
        ("compression.type", "producer"),
        ("min.insync.replicas", "1"),
        ("retention.ms", "-1"),
        ("segment.bytes", "104857600"),
    ];
    let group = [
        ("cleanup.policy", "compact"),
        ("compression.type", "producer"),
        ("segment.bytes", "104857600"),
    ];
    let transaction = [
        ("cleanup.policy", "compact"),
        ("compression.type", "uncompressed"),
        ("min.insync.replicas", "1"),
        ("segment.bytes", "104857600"),
        ("unclean.leader.election.enable", "false"),
    ];
    let topics: [(&str, &[(&str, &str)]); 3] = [
        ("__consumer_offsets", &group),
        ("__transaction_state", &transaction),
        ("__share_group_state", &share),
    ];
    for (name, configs) in topics {
        let request = MetadataRequest { allow_auto_topic_creation: true, ..named(name) };
        let first = target.call(&request, 12);
        let topic = only(&first);
        assert!(topic.error_code == 0 || topic.error_code == UNKNOWN_TOPIC_OR_PARTITION);
        assert!(topic.is_internal, "{name}");
        let second = soon("the topic", || {
            Some(target.call(&named(name), 12)).filter(|response| only(response).error_code == 0)
        });
        let topic = only(&second);
        assert_eq!((topic.is_internal, topic.partitions.len()), (true, 50), "{name}");
        let own = own_configs(target, name);
        let own: Vec<_> = own.iter().map(|(key, value)| (key.as_str(), value.as_str())).collect();
        assert_eq!(own, configs, "{name}");
    }
}

/// An answer that refuses the request as a whole: `error` for its one topic, and no brokers.
fn assert_refused(response: &MetadataResponse, error: i16) {
    let topic = only(response);
    assert_eq!(topic.error_code, error, "{response:?}");
    assert_eq!(response.brokers, []);
    assert_eq!((response.controller_id, &response.cluster_id), (-1, &None));
}

fn a_null_name_or_an_id_in_version_10_or_11_fails_everything(target: &Target) {
    let topic = target.topic(1);
    let null = MetadataRequestTopic { name: None, topic_id: Uuid::nil() };
    let id = MetadataRequestTopic { name: None, topic_id: topic.id };
    let both = MetadataRequestTopic { name: Some(topic.name), topic_id: topic.id };
    for version in [10, 11] {
        for asked in [&null, &id, &both] {
            let response = target.call(&of(asked.clone()), version);
            assert_refused(&response, INVALID_REQUEST);
            let answered = only(&response);
            assert_eq!(answered.name, Some(asked.name.clone().unwrap_or_default()));
            assert_eq!(answered.topic_id, asked.topic_id);
        }
    }
}

fn a_null_name_without_an_id_fails_everything(target: &Target) {
    for version in [12, 13] {
        let null = MetadataRequestTopic { name: None, topic_id: Uuid::nil() };
        let response = target.call(&of(null), version);
        assert_refused(&response, -1);
        assert_eq!(only(&response).name.as_deref(), Some(""));
        assert_eq!(response.error_code, if version >= 13 { -1 } else { 0 });
    }
}

fn a_topic_is_found_by_its_id(target: &Target) {
    let topic = target.topic(1);
    for version in [12, 13] {
        for name in [None, Some(topic.name.clone())] {
            let asked = MetadataRequestTopic { name, topic_id: topic.id };
            let response = target.call(&of(asked), version);
            let found = only(&response);
            assert_eq!((found.error_code, found.topic_id), (0, topic.id));
            assert_eq!(found.name.as_ref(), Some(&topic.name));
            assert_eq!(found.partitions.len(), 1);
        }
    }
}

fn an_unknown_id_is_an_error(target: &Target) {
    let id = Uuid::from_u128(0x1234_5678);
    for version in [12, 13] {
        let asked = MetadataRequestTopic { name: None, topic_id: id };
        let response = target.call(&of(asked), version);
        let answered = only(&response);
        assert_eq!((answered.error_code, answered.topic_id), (UNKNOWN_TOPIC_ID, id));
        assert_eq!(answered.name, None);
        assert_eq!(response.brokers.len(), 1);
    }
}

fn authorized_operations_without_an_authorizer(target: &Target) {
    let topic = target.topic(1);
    for version in 8..=13 {
        for asked in [false, true] {
            let request = MetadataRequest {
                include_topic_authorized_operations: asked,
                include_cluster_authorized_operations: asked && version <= 10,
                ..named(&topic.name)
            };
            let response = target.call(&request, version);
            let operations = if asked { TOPIC_OPERATIONS } else { i32::MIN };
            assert_eq!(only(&response).topic_authorized_operations, operations, "{version}");
            let asked = asked && version <= 10;
            let operations = if asked { CLUSTER_OPERATIONS } else { i32::MIN };
            assert_eq!(response.cluster_authorized_operations, operations, "{version}");
        }
    }
}

fn describe_cluster(target: &Target, endpoint_type: i8, version: i16) -> DescribeClusterResponse {
    let request = DescribeClusterRequest { endpoint_type, ..Default::default() };
    target.call(&request, version)
}

fn the_cluster_is_described_at_every_version(target: &Target) {
    let cluster_id = target.call(&named("a"), 12).cluster_id;
    for version in 0..=2 {
        let response = describe_cluster(target, 1, version);
        assert_eq!((response.error_code, &response.error_message), (0, &None));
        assert_eq!(Some(&response.cluster_id), cluster_id.as_ref());
        assert_eq!((response.endpoint_type, response.controller_id), (1, 1));
        assert_eq!(response.brokers.len(), 1, "{response:?}");
        let broker = &response.brokers[0];
        assert_eq!((broker.broker_id, broker.host.as_str()), (1, "localhost"));
        assert_eq!((broker.port, &broker.rack), (i32::from(target.port()), &None));
        assert!(!broker.is_fenced);
        assert_eq!(response.cluster_authorized_operations, i32::MIN);
        let asking = DescribeClusterRequest {
            include_cluster_authorized_operations: true,
            ..Default::default()
        };
        let operations = target.call(&asking, version).cluster_authorized_operations;
        assert_eq!(operations, CLUSTER_OPERATIONS);
    }
}

fn a_cluster_of_controllers_is_refused(target: &Target) {
    for version in [1, 2] {
        for (endpoint_type, error) in [
            (2, MISMATCHED_ENDPOINT_TYPE),
            (0, UNSUPPORTED_ENDPOINT_TYPE),
            (3, UNSUPPORTED_ENDPOINT_TYPE),
            (-1, UNSUPPORTED_ENDPOINT_TYPE),
        ] {
            let response = describe_cluster(target, endpoint_type, version);
            assert_eq!(response.error_code, error, "endpoint type {endpoint_type}");
            assert_eq!((response.brokers.len(), response.controller_id), (0, -1));
            assert_eq!(response.cluster_id, "");
        }
    }
}
