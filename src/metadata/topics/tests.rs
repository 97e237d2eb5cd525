use std::sync::Arc;

use super::*;
use crate::metadata::machine::tests::{DIRECTORY, NODE_ID, Rig, configured, new_topic};
use crate::metadata::machine::{Command, Effect, Reply};
use crate::wire::records::{ConfigRecord, PartitionRecord};

fn assigned(name: &str, assignments: &[(i32, &[i32])]) -> NewTopic {
    let assignments = assignments.iter().map(|(number, nodes)| (*number, nodes.to_vec()));
    NewTopic { assignments: assignments.collect(), ..NewTopic::with_defaults(name) }
}

#[test]
fn a_topic_is_one_batch_of_topic_config_and_partition_records() {
    let mut rig = Rig::started();
    let topic = configured("orders", &[("min.insync.replicas", Some("1"))]);
    let topic = NewTopic { num_partitions: 2, ..topic };
    let (records, reply) =
        rig.call(Command::CreateTopics { topics: vec![topic], validate_only: false });
    let Reply::Created(created) = reply else { panic!() };
    let created = created[0].clone().unwrap();
    let (topic_id, replicas) = (created.topic_id, vec![NODE_ID]);
    let partition = PartitionRecord {
        topic_id,
        replicas: replicas.clone(),
        isr: replicas,
        leader: NODE_ID,
        leader_epoch: 0,
        partition_epoch: 0,
        directories: vec![DIRECTORY],
        ..PartitionRecord::default()
    };
    let name = || "orders".to_owned();
    assert_eq!(
        records,
        [
            TopicRecord { name: name(), topic_id }.into(),
            ConfigRecord {
                resource_type: 2,
                resource_name: name(),
                name: "min.insync.replicas".to_owned(),
                value: Some("1".to_owned()),
            }
            .into(),
            crate::wire::records::ClearElrRecord { topic_name: name() }.into(),
            PartitionRecord { partition_id: 0, ..partition.clone() }.into(),
            PartitionRecord { partition_id: 1, ..partition }.into(),
        ]
    );
    assert_eq!((created.num_partitions, created.replication_factor), (2, 1));
    let image = rig.machine.state.image.clone();
    let topic = image.topic("orders").unwrap().clone();
    assert!(Arc::ptr_eq(&topic, image.topic_by_id(topic_id).unwrap()));
    assert_eq!(topic.overrides, created.overrides);
    assert_eq!(rig.effects, [Effect::Open(vec![topic]), Effect::Publish(image)]);
    rig.check_replay();
}

#[test]
fn defaults_and_internal_topics() {
    let mut rig = Rig::started();
    let created = rig.create_one(NewTopic::with_defaults("__consumer_offsets")).unwrap();
    assert_eq!((created.num_partitions, created.replication_factor), (3, 1));
    assert!(rig.machine.state.image.topic("__consumer_offsets").unwrap().internal);
    rig.create_one(configured("plain", &[("segment.bytes", Some("1048576"))])).unwrap();
    let plain = rig.machine.state.image.topic("plain").unwrap();
    assert!(!plain.internal);
    assert_eq!(plain.config.segment_bytes, 1_048_576);
}

#[test]
fn validate_only_writes_nothing() {
    let mut rig = Rig::started();
    let topics = vec![new_topic("a", 1, 1), new_topic("b", 1, 9)];
    let (records, reply) = rig.call(Command::CreateTopics { topics, validate_only: true });
    let Reply::Created(created) = reply else { panic!() };
    assert!(records.is_empty());
    assert!(!created[0].as_ref().unwrap().topic_id.is_nil());
    assert_eq!(created[1].as_ref().unwrap_err().code, ErrorCode::InvalidReplicationFactor);
}

#[test]
fn one_bad_topic_does_not_stop_the_others() {
    let mut rig = Rig::started();
    let topics = vec![new_topic("a", 1, 1), new_topic("b", 0, 1), new_topic("c", 1, 1)];
    let created: Vec<bool> = rig.create(topics).iter().map(Result::is_ok).collect();
    assert_eq!(created, [true, false, true]);
    assert_eq!(rig.machine.state.image.topics().len(), 2);
}

#[test]
fn refused_topics_get_the_references_codes_and_words() {
    use ErrorCode as Code;
    let mut rig = Rig::started();
    rig.create_one(new_topic("a.x", 1, 1)).unwrap();
    let long = "x".repeat(250);
    let cases: Vec<(NewTopic, Code, String)> = vec![
        (new_topic("", 1, 1), Code::InvalidTopicException, "Topic name is invalid: the empty string is not allowed".into()),
        (new_topic(".", 1, 1), Code::InvalidTopicException, "Topic name is invalid: '.' is not allowed".into()),
        (new_topic("..", 1, 1), Code::InvalidTopicException, "Topic name is invalid: '..' is not allowed".into()),
        (new_topic(&long, 1, 1), Code::InvalidTopicException, format!("Topic name is invalid: the length of '{long}' is longer than the max allowed length 249")),
        (new_topic("a b", 1, 1), Code::InvalidTopicException, "Topic name is invalid: 'a b' contains one or more characters other than ASCII alphanumerics, '.', '_' and '-'".into()),
        (new_topic("a_x", 1, 1), Code::InvalidTopicException, "Topic 'a_x' collides with existing topic: a.x".into()),
        (new_topic("a.x", 1, 1), Code::TopicAlreadyExists, "Topic 'a.x' already exists.".into()),
        (new_topic("t", 0, 1), Code::InvalidPartitions, "Number of partitions was set to an invalid non-positive value.".into()),
        (new_topic("t", 1, 0), Code::InvalidReplicationFactor, "Replication factor must be larger than 0, or -1 to use the default value.".into()),
        (new_topic("t", 1, 3), Code::InvalidReplicationFactor, "Unable to replicate the partition 3 time(s): The target replication factor of 3 cannot be reached because only 1 broker(s) are registered or some brokers have all their log directories cordoned.".into()),
        (configured("t", &[("segment.bytes", None), ("flush.ms", None)]), Code::InvalidConfig, "Null value not supported for topic configs: segment.bytes,flush.ms".into()),
        (configured("t", &[("no.such.key", Some("1"))]), Code::InvalidConfig, "Unknown topic config name: no.such.key".into()),
        (NewTopic { num_partitions: 1, ..assigned("t", &[(0, &[1])]) }, Code::InvalidRequest, "A manual partition assignment was specified, but numPartitions was not set to -1.".into()),
        (NewTopic { replication_factor: 1, ..assigned("t", &[(0, &[1])]) }, Code::InvalidRequest, "A manual partition assignment was specified, but replication factor was not set to -1.".into()),
        (assigned("t", &[(0, &[1]), (0, &[1])]), Code::InvalidReplicaAssignment, "Found multiple manual partition assignments for partition 0".into()),
        (assigned("t", &[(1, &[1])]), Code::InvalidReplicaAssignment, "partitions should be a consecutive 0-based integer sequence".into()),
        (assigned("t", &[(0, &[])]), Code::InvalidReplicaAssignment, "The manual partition assignment includes an empty replica list.".into()),
        (assigned("t", &[(0, &[2, 1])]), Code::InvalidReplicaAssignment, "The manual partition assignment includes broker 2, but no such broker is registered.".into()),
        (assigned("t", &[(0, &[1, 1])]), Code::InvalidReplicaAssignment, "The manual partition assignment includes the broker 1 more than once.".into()),
    ];
    for (topic, code, message) in cases {
        let error = rig.create_one(topic.clone()).unwrap_err();
        assert_eq!(error, TopicError::new(code, message), "{topic:?}");
    }
    let value = "x".repeat(32_768);
    let error = rig.create_one(configured("t", &[("compression.type", Some(&value))])).unwrap_err();
    assert_eq!(error.code, Code::InvalidConfig);
    assert!(error.message.unwrap().contains("maximum value size of 32767 bytes"));
    assert_eq!(rig.machine.state.image.topics().len(), 1, "nothing was written");
}

#[test]
fn assignments_to_this_node_are_fine() {
    let mut rig = Rig::started();
    let created = rig.create_one(assigned("t", &[(1, &[1]), (0, &[1])])).unwrap();
    assert_eq!((created.num_partitions, created.replication_factor), (2, 1));
}

#[test]
fn too_many_partitions_refuse_the_whole_request() {
    let mut rig = Rig::started();
    let topics = vec![new_topic("a", 1, 1), new_topic("b", 10_000, 1)];
    for error in rig.create(topics) {
        let text = "Excessively large number of partitions per request.";
        assert_eq!(error.unwrap_err(), TopicError::new(ErrorCode::PolicyViolation, text));
    }
    let error = rig.create_one(new_topic("b", 10_000, 1)).unwrap_err();
    let text = "Unable to perform excessively large batch operation.";
    assert_eq!(error, TopicError::new(ErrorCode::PolicyViolation, text));
}
