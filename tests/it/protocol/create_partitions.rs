//! `CreatePartitions`.

use ottla::wire::messages::create_partitions::{
    CreatePartitionsAssignment, CreatePartitionsRequest, CreatePartitionsTopic,
    CreatePartitionsTopicResult,
};
use ottla::wire::messages::metadata::{MetadataRequest, MetadataRequestTopic};

use super::client::{Target, Topic};
use super::errors::{
    INVALID_PARTITIONS, INVALID_REPLICA_ASSIGNMENT, INVALID_REQUEST, REQUEST_TIMED_OUT,
    UNKNOWN_TOPIC_OR_PARTITION,
};
use super::produce::{answer, batch, produce};

checks![
    a_topic_grows_at_every_version,
    a_new_partition_takes_records,
    validating_adds_nothing,
    assignments_say_where_new_partitions_go,
    what_is_no_increase_is_refused,
    what_cannot_be_assigned_is_refused,
    a_topic_that_is_not_there,
    a_repeated_name_is_refused_once,
    each_topic_is_decided_by_itself,
    without_time_every_topic_times_out,
];

fn topic(name: &str, count: i32) -> CreatePartitionsTopic {
    CreatePartitionsTopic { name: name.into(), count, assignments: None }
}

fn assigned(name: &str, count: i32, nodes: &[&[i32]]) -> CreatePartitionsTopic {
    let nodes = nodes.iter().map(|nodes| CreatePartitionsAssignment { broker_ids: nodes.to_vec() });
    CreatePartitionsTopic { assignments: Some(nodes.collect()), ..topic(name, count) }
}

fn request(topics: &[CreatePartitionsTopic]) -> CreatePartitionsRequest {
    CreatePartitionsRequest { topics: topics.to_vec(), timeout_ms: 60_000, validate_only: false }
}

fn result(name: &str, error_code: i16, message: Option<&str>) -> CreatePartitionsTopicResult {
    let error_message = message.map(str::to_owned);
    CreatePartitionsTopicResult { name: name.into(), error_code, error_message }
}

/// The answers, by name: their order is that of a hash set.
fn call(
    target: &Target,
    request: &CreatePartitionsRequest,
    version: i16,
) -> Vec<CreatePartitionsTopicResult> {
    let mut results = target.call(request, version).results;
    results.sort_by(|one, other| one.name.cmp(&other.name));
    results
}

/// Asks for more partitions, which must be refused.
fn assert_refused(target: &Target, new: &CreatePartitionsTopic, error: i16, message: Option<&str>) {
    for version in 0..=3 {
        let results = call(target, &request(std::slice::from_ref(new)), version);
        assert_eq!(results, [result(&new.name, error, message)], "{new:?} in version {version}");
    }
}

/// How many partitions the topic has.
fn count(target: &Target, topic: &Topic) -> usize {
    let asked = MetadataRequestTopic { name: Some(topic.name.clone()), ..Default::default() };
    let request = MetadataRequest { topics: Some(vec![asked]), ..Default::default() };
    target.call(&request, 12).topics[0].partitions.len()
}

fn a_topic_grows_at_every_version(target: &Target) {
    let grown = target.topic(1);
    for version in 0..=3 {
        let wanted = i32::from(version) + 3;
        let results = call(target, &request(&[topic(&grown.name, wanted)]), version);
        assert_eq!(results, [result(&grown.name, 0, None)], "version {version}");
        target.wait_until_served(&grown, wanted - 1);
        assert_eq!(count(target, &grown) as i32, wanted, "version {version}");
    }
}

fn a_new_partition_takes_records(target: &Target) {
    let grown = target.topic(1);
    call(target, &request(&[topic(&grown.name, 3)]), 3);
    target.wait_until_served(&grown, 2);
    let mut request = produce(&grown, &batch(4));
    request.topic_data[0].partition_data[0].index = 2;
    assert_eq!(answer(&mut target.client(), &request, 9).error_code, 0);
    assert_eq!(target.end_offset(&grown, 2).offset, 4);
    assert_eq!(target.end_offset(&grown, 0).offset, 0);
}

fn validating_adds_nothing(target: &Target) {
    let kept = target.topic(2);
    let new = [topic(&kept.name, 5)];
    let validating = CreatePartitionsRequest { validate_only: true, ..request(&new) };
    for version in 0..=3 {
        let results = call(target, &validating, version);
        assert_eq!(results, [result(&kept.name, 0, None)], "version {version}");
        assert_eq!(count(target, &kept), 2, "version {version}");
    }
}

fn assignments_say_where_new_partitions_go(target: &Target) {
    let grown = target.topic(1);
    let results = call(target, &request(&[assigned(&grown.name, 3, &[&[1], &[1]])]), 3);
    assert_eq!(results, [result(&grown.name, 0, None)]);
    target.wait_until_served(&grown, 2);
}

fn what_is_no_increase_is_refused(target: &Target) {
    let name = target.topic(2).name;
    let same = "Topic already has 2 partition(s).";
    assert_refused(target, &topic(&name, 2), INVALID_PARTITIONS, Some(same));
    assert_refused(target, &assigned(&name, 2, &[&[9]]), INVALID_PARTITIONS, Some(same));
    for count in [1, 0, -1] {
        let fewer = format!(
            "The topic {name} currently has 2 partition(s); {count} would not be an increase."
        );
        assert_refused(target, &topic(&name, count), INVALID_PARTITIONS, Some(&fewer));
    }
}

fn what_cannot_be_assigned_is_refused(target: &Target) {
    let name = target.topic(2).name;
    let number = |number| {
        format!(
            "Attempted to add 2 additional partition(s), but only {number} assignment(s) were \
             specified."
        )
    };
    let includes = |what: &str| format!("The manual partition assignment includes {what}");
    let nobody =
        |node: &str| includes(&format!("broker {node}, but no such broker is registered."));
    for (nodes, message) in [
        (&[][..], number(0)),
        (&[&[1][..]][..], number(1)),
        (&[&[1], &[1], &[1]], number(3)),
        (&[&[1], &[2]], nobody("2")),
        (&[&[2, 1], &[1]], nobody("2")),
        (&[&[1], &[-1]], nobody("-1")),
        (&[&[1], &[]], includes("an empty replica list.")),
        (&[&[1, 1], &[2]], includes("the broker 1 more than once.")),
    ] {
        let new = assigned(&name, 4, nodes);
        assert_refused(target, &new, INVALID_REPLICA_ASSIGNMENT, Some(&message));
    }
}

fn a_topic_that_is_not_there(target: &Target) {
    let unknown = target.name();
    for name in [unknown.as_str(), "", "a b", "__cluster_metadata"] {
        assert_refused(target, &topic(name, 3), UNKNOWN_TOPIC_OR_PARTITION, None);
    }
}

fn a_repeated_name_is_refused_once(target: &Target) {
    let (twice, once) = (target.topic(1), target.topic(1));
    let topics = [topic(&twice.name, 3), topic(&once.name, 3), topic(&twice.name, 2)];
    let twice_refused = result(&twice.name, INVALID_REQUEST, Some("Duplicate topic name."));
    let results = call(target, &request(&topics), 3);
    assert_eq!(results, [twice_refused.clone(), result(&once.name, 0, None)]);
    target.wait_until_served(&once, 2);
    assert_eq!(count(target, &twice), 1);
    // With nothing else to do, there is nothing to be late for.
    let repeated = [topics[0].clone(), topics[2].clone()];
    let late = CreatePartitionsRequest { timeout_ms: 0, ..request(&repeated) };
    assert_eq!(call(target, &late, 3), [twice_refused]);
}

fn each_topic_is_decided_by_itself(target: &Target) {
    let (first, second) = (target.topic(1), target.topic(1));
    let unknown = target.name();
    let topics = [topic(&first.name, 2), topic(&second.name, 1), topic(&unknown, 2)];
    let results = call(target, &request(&topics), 3);
    let expected = [
        result(&first.name, 0, None),
        result(&second.name, INVALID_PARTITIONS, Some("Topic already has 1 partition(s).")),
        result(&unknown, UNKNOWN_TOPIC_OR_PARTITION, None),
    ];
    assert_eq!(results, expected);
    target.wait_until_served(&first, 1);
}

fn without_time_every_topic_times_out(target: &Target) {
    let (twice, once) = (target.topic(1), target.topic(1));
    let topics = [topic(&twice.name, 3), topic(&twice.name, 3), topic(&once.name, 3)];
    for (timeout_ms, version) in [(0, 0), (-1, 1), (0, 2), (-1, 3)] {
        for validate_only in [false, true] {
            let late = CreatePartitionsRequest { timeout_ms, validate_only, ..request(&topics) };
            let timed_out = |name: &str| result(name, REQUEST_TIMED_OUT, None);
            let expected = [&twice.name, &twice.name, &once.name].map(|name| timed_out(name));
            assert_eq!(call(target, &late, version), expected, "version {version}");
        }
    }
}
