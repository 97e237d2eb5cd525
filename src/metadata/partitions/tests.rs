use super::*;
use crate::metadata::machine::tests::{DIRECTORY, NODE_ID, Rig, new_topic};
use crate::metadata::machine::{Command, Effect, Reply};
use crate::wire::records::PartitionRecord;

fn more(topic: &str, count: i32) -> NewPartitions {
    NewPartitions { topic: topic.to_owned(), count, assignments: None }
}

fn assigned(topic: &str, count: i32, nodes: &[&[i32]]) -> NewPartitions {
    let assignments = nodes.iter().map(|nodes| nodes.to_vec()).collect();
    NewPartitions { assignments: Some(assignments), ..more(topic, count) }
}

fn call(rig: &mut Rig, topics: &[NewPartitions]) -> (Vec<Entry>, Vec<Result<(), TopicError>>) {
    let command = Command::CreatePartitions { topics: topics.to_vec(), validate_only: false };
    match rig.call(command) {
        (records, Reply::Changed(outcomes)) => (records, outcomes),
        other => panic!("{other:?}"),
    }
}

#[test]
fn each_new_partition_is_a_record_and_the_topic_is_opened_again() {
    let mut rig = Rig::started();
    let topic_id = rig.create_one(new_topic("orders", 1, 1)).unwrap().topic_id;
    let (records, outcomes) = call(&mut rig, &[more("orders", 3)]);
    let record = |partition_id| {
        Entry::from(PartitionRecord {
            partition_id,
            topic_id,
            replicas: vec![NODE_ID],
            isr: vec![NODE_ID],
            leader: NODE_ID,
            leader_epoch: 0,
            partition_epoch: 0,
            directories: vec![DIRECTORY],
            ..PartitionRecord::default()
        })
    };
    assert_eq!(records, [record(1), record(2)]);
    assert_eq!(outcomes, [Ok(())]);
    let image = rig.machine.state.image.clone();
    let topic = image.topic("orders").unwrap().clone();
    assert_eq!(topic.partitions.len(), 3);
    assert_eq!(rig.effects, [Effect::Open(vec![topic]), Effect::Publish(image)]);
    rig.check_replay();
}

#[test]
fn assignments_to_this_node_are_fine() {
    let mut rig = Rig::started();
    rig.create_one(new_topic("orders", 1, 1)).unwrap();
    let (records, outcomes) = call(&mut rig, &[assigned("orders", 3, &[&[1], &[1]])]);
    assert_eq!((records.len(), outcomes), (2, vec![Ok(())]));
}

#[test]
fn validate_only_writes_nothing() {
    let mut rig = Rig::started();
    rig.create_one(new_topic("a", 1, 1)).unwrap();
    let topics = vec![more("a", 2), more("b", 2)];
    let (records, reply) = rig.call(Command::CreatePartitions { topics, validate_only: true });
    let Reply::Changed(outcomes) = reply else { panic!() };
    assert!(records.is_empty() && outcomes[0].is_ok() && outcomes[1].is_err());
}

#[test]
fn refusals_have_the_references_codes_and_words() {
    use ErrorCode as Code;
    let mut rig = Rig::started();
    rig.create_one(new_topic("t", 2, 1)).unwrap();
    let cases: [(NewPartitions, Code, Option<&str>); 10] = [
        (more("nope", 3), Code::UnknownTopicOrPartition, None),
        (more("t", 2), Code::InvalidPartitions, Some("Topic already has 2 partition(s).")),
        (
            assigned("t", 2, &[&[9]]),
            Code::InvalidPartitions,
            Some("Topic already has 2 partition(s)."),
        ),
        (
            more("t", 1),
            Code::InvalidPartitions,
            Some("The topic t currently has 2 partition(s); 1 would not be an increase."),
        ),
        (
            more("t", -1),
            Code::InvalidPartitions,
            Some("The topic t currently has 2 partition(s); -1 would not be an increase."),
        ),
        (
            assigned("t", 4, &[&[1]]),
            Code::InvalidReplicaAssignment,
            Some(
                "Attempted to add 2 additional partition(s), but only 1 assignment(s) were specified.",
            ),
        ),
        (
            assigned("t", 3, &[]),
            Code::InvalidReplicaAssignment,
            Some(
                "Attempted to add 1 additional partition(s), but only 0 assignment(s) were specified.",
            ),
        ),
        (
            assigned("t", 4, &[&[1], &[2]]),
            Code::InvalidReplicaAssignment,
            Some(
                "The manual partition assignment includes broker 2, but no such broker is registered.",
            ),
        ),
        (
            assigned("t", 3, &[&[]]),
            Code::InvalidReplicaAssignment,
            Some("The manual partition assignment includes an empty replica list."),
        ),
        (
            assigned("t", 4, &[&[1, 1], &[2]]),
            Code::InvalidReplicaAssignment,
            Some("The manual partition assignment includes the broker 1 more than once."),
        ),
    ];
    for (topic, code, message) in cases {
        let (records, outcomes) = call(&mut rig, std::slice::from_ref(&topic));
        let message = message.map(str::to_owned);
        assert_eq!(outcomes, [Err(TopicError { code, message })], "{topic:?}");
        assert!(records.is_empty());
    }
}

#[test]
fn one_batch_has_room_for_so_many_and_the_others_go_on() {
    let mut rig = Rig::started();
    for name in ["a", "b", "c"] {
        rig.create_one(new_topic(name, 1, 1)).unwrap();
    }
    let (records, outcomes) =
        call(&mut rig, &[more("a", 9_001), more("b", 1_002), more("c", 1_001)]);
    assert_eq!(outcomes, [Ok(()), Err(TopicError::batch_too_large()), Ok(())]);
    assert_eq!(records.len(), RECORDS_MAX);
    let (records, outcomes) = call(&mut rig, &[more("b", i32::MAX)]);
    assert_eq!(outcomes, [Err(TopicError::batch_too_large())]);
    assert!(records.is_empty());
    rig.check_replay();
}
