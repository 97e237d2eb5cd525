//! `CreateTopics` and `DeleteTopics`.

use ottla::wire::messages::create_topics::{
    CreatableReplicaAssignment, CreatableTopic, CreatableTopicConfig, CreatableTopicResult,
    CreateTopicsRequest,
};
use ottla::wire::messages::delete_topics::{
    DeletableTopicResult, DeleteTopicState, DeleteTopicsRequest,
};
use ottla::wire::messages::metadata::{MetadataRequest, MetadataRequestTopic};
use uuid::Uuid;

use super::client::{Target, Topic, creatable, soon};
use super::errors::{
    INVALID_CONFIG, INVALID_PARTITIONS, INVALID_REPLICA_ASSIGNMENT, INVALID_REPLICATION_FACTOR,
    INVALID_REQUEST, INVALID_TOPIC, REQUEST_TIMED_OUT, TOPIC_ALREADY_EXISTS, UNKNOWN_TOPIC_ID,
    UNKNOWN_TOPIC_OR_PARTITION,
};

checks![
    a_creation_without_time_times_out,
    validating_gives_an_id_and_creates_nothing,
    a_created_topic_is_described_in_the_answer,
    defaults_are_asked_for_with_minus_1,
    refused_topics,
    a_refused_topic_has_no_partitions,
    a_name_that_collides_is_refused,
    a_repeated_name_is_refused_once,
    assignments_say_where_replicas_go,
    topics_are_deleted_at_every_version,
    a_recreated_topic_has_a_new_id,
    deleting_by_name_and_id_or_neither_is_refused,
    deleting_twice_in_one_request_is_refused_once,
    deleting_what_is_not_there,
    a_deletion_without_time_times_out,
];

fn creation(topics: &[CreatableTopic]) -> CreateTopicsRequest {
    CreateTopicsRequest { topics: topics.to_vec(), ..Default::default() }
}

fn exists(target: &Target, name: &str) -> bool {
    let topic = MetadataRequestTopic { name: Some(name.into()), ..Default::default() };
    let request = MetadataRequest {
        topics: Some(vec![topic]),
        allow_auto_topic_creation: false,
        ..Default::default()
    };
    target.call(&request, 4).topics[0].error_code == 0
}

/// Kafka answers a deletion before every broker has heard of it.
fn wait_until_gone(target: &Target, name: &str) {
    soon(&format!("the end of {name}"), || (!exists(target, name)).then_some(()));
}

fn a_creation_without_time_times_out(target: &Target) {
    for version in 2..=7 {
        for timeout_ms in [0, -1] {
            let topic = creatable(&target.name(), 1, &[]);
            let request = CreateTopicsRequest { timeout_ms, ..creation(&[topic]) };
            let response = target.call(&request, version);
            let answer = &response.topics[0];
            assert_eq!(answer.error_code, REQUEST_TIMED_OUT, "{timeout_ms} ms: {answer:?}");
            assert_eq!(answer.error_message, None, "version {version}");
        }
    }
}

fn validating_gives_an_id_and_creates_nothing(target: &Target) {
    for version in 2..=7 {
        let name = target.name();
        let topic = creatable(&name, 3, &[]);
        let request = CreateTopicsRequest { validate_only: true, ..creation(&[topic]) };
        let response = target.call(&request, version);
        let result = &response.topics[0];
        assert_eq!(result.error_code, 0, "version {version}");
        assert_eq!(result.topic_id.is_nil(), version < 7, "version {version}");
        if version >= 5 {
            assert_eq!((result.num_partitions, result.replication_factor), (3, 1));
        }
        assert!(!exists(target, &name), "version {version}");
    }
}

fn a_created_topic_is_described_in_the_answer(target: &Target) {
    for version in 2..=7 {
        let name = target.name();
        let configs = [("retention.ms", "60000"), ("cleanup.policy", "compact")];
        let result = target.create(&creatable(&name, 4, &configs), version);
        assert_eq!((result.error_code, &result.error_message), (0, &None), "version {version}");
        assert_eq!(result.name, name);
        assert_eq!(result.topic_id.is_nil(), version < 7, "version {version}");
        if version < 5 {
            continue;
        }
        assert_eq!((result.num_partitions, result.replication_factor), (4, 1));
        assert_eq!(result.topic_config_error_code, 0);
        let configs = result.configs.unwrap();
        assert!(configs.is_sorted_by_key(|config| config.name.clone()), "{configs:?}");
        let find = |name: &str| configs.iter().find(|config| config.name == name).unwrap();
        // Sources: 1 is the topic's own, 5 the default.
        let own = find("retention.ms");
        assert_eq!((own.value.as_deref(), own.config_source), (Some("60000"), 1));
        let own = find("cleanup.policy");
        assert_eq!((own.value.as_deref(), own.config_source), (Some("compact"), 1));
        let default = find("max.message.bytes");
        assert_eq!((default.value.as_deref(), default.config_source), (Some("1048588"), 5));
        assert!(!default.read_only && !default.is_sensitive);
    }
}

fn defaults_are_asked_for_with_minus_1(target: &Target) {
    for version in 2..=7 {
        let mut topic = creatable(&target.name(), -1, &[]);
        topic.replication_factor = -1;
        let result = target.create(&topic, version);
        assert_eq!(result.error_code, 0, "version {version}: {result:?}");
        if version >= 5 {
            assert_eq!((result.num_partitions, result.replication_factor), (1, 1));
        }
    }
}

/// Creates `topic` after `change`, which must be refused with `error`.
fn assert_refused(target: &Target, error: i16, change: impl FnOnce(&mut CreatableTopic)) {
    let mut topic = creatable(&target.name(), 1, &[]);
    change(&mut topic);
    let result = target.create(&topic, 7);
    assert_eq!(result.error_code, error, "{topic:?}: {result:?}");
    assert!(result.error_message.is_some(), "{result:?}");
    assert_eq!(result.name, topic.name);
    assert_no_topic(&result);
}

fn assert_no_topic(result: &CreatableTopicResult) {
    assert_eq!((result.num_partitions, result.replication_factor), (-1, -1), "{result:?}");
    assert_eq!((result.configs.as_deref(), result.topic_id), (Some(&[][..]), Uuid::nil()));
}

fn refused_topics(target: &Target) {
    let name = |name: &'static str| move |topic: &mut CreatableTopic| topic.name = name.into();
    let config = |key: &'static str, value: Option<&'static str>| {
        move |topic: &mut CreatableTopic| {
            let (name, value) = (key.into(), value.map(Into::into));
            topic.configs = vec![CreatableTopicConfig { name, value }];
        }
    };
    assert_refused(target, INVALID_REQUEST, name("__cluster_metadata"));
    for bad in ["", ".", "..", "a b", "a/b", "\u{e4}"] {
        assert_refused(target, INVALID_TOPIC, name(bad));
    }
    assert_refused(target, INVALID_TOPIC, |topic| topic.name = "n".repeat(250));
    assert_refused(target, INVALID_PARTITIONS, |topic| topic.num_partitions = 0);
    assert_refused(target, INVALID_PARTITIONS, |topic| topic.num_partitions = -2);
    assert_refused(target, INVALID_REPLICATION_FACTOR, |topic| topic.replication_factor = 0);
    assert_refused(target, INVALID_REPLICATION_FACTOR, |topic| topic.replication_factor = 3);
    assert_refused(target, INVALID_CONFIG, config("retention.ms", None));
    assert_refused(target, INVALID_CONFIG, config("retention.ms", Some("never")));
    assert_refused(target, INVALID_CONFIG, config("no.such.key", Some("1")));
    assert_refused(target, INVALID_CONFIG, config("cleanup.policy", Some("forget")));
    let existing = target.topic(1).name;
    assert_refused(target, TOPIC_ALREADY_EXISTS, |topic| topic.name = existing);
}

fn a_refused_topic_has_no_partitions(target: &Target) {
    let existing = target.topic(1).name;
    for version in 5..=7 {
        let result = target.create(&creatable(&existing, 2, &[]), version);
        assert_eq!(result.error_code, TOPIC_ALREADY_EXISTS, "version {version}");
        assert_no_topic(&result);
    }
}

fn a_name_that_collides_is_refused(target: &Target) {
    let base = target.name();
    let created = target.create(&creatable(&format!("{base}.x"), 1, &[]), 7);
    assert_eq!(created.error_code, 0);
    let colliding = target.create(&creatable(&format!("{base}_x"), 1, &[]), 7);
    assert_eq!(colliding.error_code, INVALID_TOPIC);
    assert_no_topic(&colliding);
}

fn a_repeated_name_is_refused_once(target: &Target) {
    for version in 2..=7 {
        let (twice, once) = (target.name(), target.name());
        let topics = [&twice, &once, &twice].map(|name| creatable(name, 1, &[]));
        let mut results = target.call(&creation(&topics), version).topics;
        results.sort_by_key(|result| result.error_code);
        let found: Vec<_> =
            results.iter().map(|result| (&result.name, result.error_code)).collect();
        assert_eq!(found, [(&once, 0), (&twice, INVALID_REQUEST)], "version {version}");
        assert!(!exists(target, &twice));
    }
}

fn assigned(name: &str, replicas: &[(i32, &[i32])]) -> CreatableTopic {
    let assignments = replicas.iter().map(|(index, brokers)| CreatableReplicaAssignment {
        partition_index: *index,
        broker_ids: brokers.to_vec(),
    });
    CreatableTopic {
        num_partitions: -1,
        replication_factor: -1,
        assignments: assignments.collect(),
        ..creatable(name, -1, &[])
    }
}

fn assignments_say_where_replicas_go(target: &Target) {
    let result = target.create(&assigned(&target.name(), &[(1, &[1]), (0, &[1])]), 7);
    assert_eq!(result.error_code, 0, "{result:?}");
    assert_eq!((result.num_partitions, result.replication_factor), (2, 1));
    let bad: [&[(i32, &[i32])]; 5] =
        [&[(1, &[1])], &[(0, &[])], &[(0, &[1, 1])], &[(0, &[1]), (0, &[1])], &[(0, &[2])]];
    for replicas in bad {
        let result = target.create(&assigned(&target.name(), replicas), 7);
        assert_eq!(result.error_code, INVALID_REPLICA_ASSIGNMENT, "{replicas:?}");
    }
    let mut counted = assigned(&target.name(), &[(0, &[1])]);
    counted.num_partitions = 1;
    assert_eq!(target.create(&counted, 7).error_code, INVALID_REQUEST);
}

/// Deletes at the newest version.
fn delete(target: &Target, topics: &[(Option<&str>, Uuid)]) -> Vec<DeletableTopicResult> {
    let state = |&(name, topic_id): &(Option<&str>, Uuid)| DeleteTopicState {
        name: name.map(Into::into),
        topic_id,
    };
    let request = DeleteTopicsRequest {
        topics: topics.iter().map(state).collect(),
        timeout_ms: 60_000,
        ..Default::default()
    };
    target.call(&request, 6).responses
}

fn delete_names(target: &Target, names: &[&str], version: i16) -> Vec<DeletableTopicResult> {
    let request = DeleteTopicsRequest {
        topic_names: names.iter().map(ToString::to_string).collect(),
        timeout_ms: 60_000,
        ..Default::default()
    };
    target.call(&request, version).responses
}

fn topics_are_deleted_at_every_version(target: &Target) {
    for version in 1..=5 {
        let Topic { name, .. } = target.topic(2);
        let results = delete_names(target, &[&name], version);
        assert_eq!(results.len(), 1);
        assert_eq!((results[0].error_code, results[0].name.as_ref()), (0, Some(&name)));
        wait_until_gone(target, &name);
    }
    let (by_name, by_id) = (target.topic(1), target.topic(1));
    let mut results = delete(target, &[(Some(&by_name.name), Uuid::nil()), (None, by_id.id)]);
    results.sort_by_key(|result| result.topic_id != by_name.id);
    for (topic, result) in [by_name, by_id].iter().zip(&results) {
        assert_eq!((result.error_code, &result.error_message), (0, &None));
        assert_eq!((result.name.as_ref(), result.topic_id), (Some(&topic.name), topic.id));
        wait_until_gone(target, &topic.name);
    }
    assert_eq!(results.len(), 2);
}

fn a_recreated_topic_has_a_new_id(target: &Target) {
    let topic = target.topic(1);
    assert_eq!(delete(target, &[(None, topic.id)])[0].error_code, 0);
    let created = target.create(&creatable(&topic.name, 1, &[]), 7);
    assert_eq!(created.error_code, 0);
    assert_ne!(created.topic_id, topic.id);
    target.wait_until_served(&topic, 0);
    assert_eq!(target.end_offset(&topic, 0).offset, 0);
}

fn deleting_by_name_and_id_or_neither_is_refused(target: &Target) {
    let topic = target.topic(1);
    let both = delete(target, &[(Some(&topic.name), topic.id)]);
    assert_eq!((both.len(), both[0].error_code), (1, INVALID_REQUEST));
    assert_eq!((both[0].name.as_ref(), both[0].topic_id), (Some(&topic.name), topic.id));
    let neither = delete(target, &[(None, Uuid::nil())]);
    assert_eq!((neither.len(), neither[0].error_code), (1, INVALID_REQUEST));
    assert_eq!((&neither[0].name, neither[0].topic_id), (&None, Uuid::nil()));
    assert!(exists(target, &topic.name));
}

fn deleting_twice_in_one_request_is_refused_once(target: &Target) {
    let topic = target.topic(1);
    let name = Some(topic.name.as_str());
    let by_name = delete(target, &[(name, Uuid::nil()), (name, Uuid::nil())]);
    assert_eq!((by_name.len(), by_name[0].error_code), (1, INVALID_REQUEST), "{by_name:?}");
    assert_eq!((by_name[0].name.as_deref(), by_name[0].topic_id), (name, Uuid::nil()));
    let by_id = delete(target, &[(None, topic.id), (None, topic.id)]);
    assert_eq!((by_id.len(), by_id[0].error_code), (1, INVALID_REQUEST), "{by_id:?}");
    assert_eq!((&by_id[0].name, by_id[0].topic_id), (&None, topic.id));
    let by_each = delete(target, &[(name, Uuid::nil()), (None, topic.id)]);
    assert_eq!((by_each.len(), by_each[0].error_code), (1, INVALID_REQUEST), "{by_each:?}");
    for version in [1, 5] {
        let twice = delete_names(target, &[&topic.name, &topic.name], version);
        assert_eq!((twice.len(), twice[0].error_code), (1, INVALID_REQUEST), "{twice:?}");
    }
    assert!(exists(target, &topic.name));
}

fn deleting_what_is_not_there(target: &Target) {
    let name = target.name();
    for version in 1..=5 {
        let results = delete_names(target, &[&name], version);
        assert_eq!(results[0].error_code, UNKNOWN_TOPIC_OR_PARTITION, "version {version}");
        assert_eq!(results[0].error_message.is_some(), version >= 5, "version {version}");
    }
    let id = Uuid::from_u128(0x1234_5678);
    let results = delete(target, &[(None, id)]);
    assert_eq!((results[0].error_code, results[0].topic_id), (UNKNOWN_TOPIC_ID, id));
    assert_eq!(results[0].name, None);
    let results = delete(target, &[(Some(&name), Uuid::nil())]);
    assert_eq!(results[0].error_code, UNKNOWN_TOPIC_OR_PARTITION);
    assert_eq!((results[0].name.as_ref(), results[0].topic_id), (Some(&name), Uuid::nil()));
}

fn a_deletion_without_time_times_out(target: &Target) {
    for version in 1..=6 {
        let Topic { name, .. } = target.topic(1);
        let state = DeleteTopicState { name: Some(name.clone()), topic_id: Uuid::nil() };
        let request =
            DeleteTopicsRequest { topics: vec![state], topic_names: vec![name], timeout_ms: 0 };
        let results = target.call(&request, version).responses;
        assert_eq!(results[0].error_code, REQUEST_TIMED_OUT, "version {version}");
    }
}
