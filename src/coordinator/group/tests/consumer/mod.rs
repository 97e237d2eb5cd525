//! Consumer groups: what is asked, what is written, what is answered.

mod classic_members;
mod heartbeat;
mod invariants;
mod migration;
mod offsets;
mod random;
mod reconciliation;
mod regexes;
mod statics;
mod timers;

use std::sync::Arc;

use uuid::Uuid;

use super::*;
use crate::coordinator::group::consumer::{ConsumerGroup, ConsumerRecord};
use crate::coordinator::group::{Caller, heartbeat_refused};
use crate::wire::messages::consumer_group_heartbeat::{
    ConsumerGroupHeartbeatRequest, ConsumerGroupHeartbeatResponse, TopicPartitions,
};
use crate::wire::records::{
    ConsumerGroupCurrentMemberAssignmentValue, ConsumerGroupMemberMetadataValue,
    ConsumerGroupMetadataValue, ConsumerGroupTargetAssignmentMemberValue,
    ConsumerGroupTargetAssignmentMetadataValue, TopicPartition, TopicPartitions as OwnedPartitions,
};

pub(super) use invariants::check;

/// Longer than the interval between two assignments.
const INTERVAL_MS: i64 = 1_000;
const CONSUMER_SESSION_MS: i64 = 45_000;
const REVOCATION_MS: i64 = 30_000;

/// Two topics: `orders` with four partitions, `payments` with two.
fn topics() -> Arc<MetadataImage> {
    Arc::new(MetadataImage::of_topics(10, &[("orders", 4), ("payments", 2)]))
}

fn bench() -> Bench {
    bench_with(settings())
}

fn bench_with(settings: GroupConfig) -> Bench {
    let mut bench = Bench::with(settings);
    bench.image = topics();
    bench
}

fn topic_id(name: &str) -> Uuid {
    topics().topic(name).unwrap().id
}

fn owned(topics: &[(&str, &[i32])]) -> Vec<TopicPartitions> {
    let topics = topics.iter().map(|(topic, partitions)| TopicPartitions {
        topic_id: topic_id(topic),
        partitions: partitions.to_vec(),
    });
    topics.collect()
}

/// A member says that it is there.
fn says(member_id: &str, member_epoch: i32) -> ConsumerGroupHeartbeatRequest {
    let (group_id, member_id) = (GROUP.to_owned(), member_id.to_owned());
    ConsumerGroupHeartbeatRequest { group_id, member_id, member_epoch, ..Default::default() }
}

/// A member joins that reads these topics.
fn joins_with(member_id: &str, topics: &[&str]) -> ConsumerGroupHeartbeatRequest {
    ConsumerGroupHeartbeatRequest {
        rebalance_timeout_ms: REVOCATION_MS as i32,
        subscribed_topic_names: Some(topics.iter().map(|topic| (*topic).to_owned()).collect()),
        topic_partitions: Some(vec![]),
        ..says(member_id, 0)
    }
}

fn caller(version: i16) -> Caller {
    let (client_id, client_host) = ("client".to_owned(), "/127.0.0.1".to_owned());
    Caller { client_id, client_host, version }
}

fn ask(request: ConsumerGroupHeartbeatRequest) -> Command {
    Command::ConsumerHeartbeat(caller(1), request)
}

/// The answer to a member that stays, with its assignment if it is told.
fn told(member_id: &str, epoch: i32, assignment: Option<&[(&str, &[i32])]>) -> Reply {
    use crate::wire::messages::consumer_group_heartbeat::Assignment;
    let mut assignment = assignment.map(|it| Assignment { topic_partitions: owned(it) });
    if let Some(assignment) = &mut assignment {
        assignment.topic_partitions.sort_by_key(|topic| topic.topic_id);
    }
    Reply::ConsumerHeartbeat(ConsumerGroupHeartbeatResponse {
        member_id: Some(member_id.to_owned()),
        member_epoch: epoch,
        heartbeat_interval_ms: 5_000,
        assignment,
        ..Default::default()
    })
}

/// The answer to a member that leaves.
fn gone(member_id: &str, epoch: i32) -> Reply {
    Reply::ConsumerHeartbeat(ConsumerGroupHeartbeatResponse {
        member_id: Some(member_id.to_owned()),
        member_epoch: epoch,
        ..Default::default()
    })
}

fn refusal(error: ErrorCode, message: &str) -> Reply {
    Reply::ConsumerHeartbeat(heartbeat_refused(error, Some(message.to_owned())))
}

impl Bench {
    fn consumer(&self) -> &ConsumerGroup {
        match &self.machine.groups[GROUP] {
            AnyGroup::Consumer(group) => group,
            other => panic!("not a consumer group: {other:?}"),
        }
    }

    /// The answer alone.
    fn heartbeat(&mut self, request: ConsumerGroupHeartbeatRequest) -> Reply {
        let step = self.call(ask(request));
        step.answer.expect("heartbeats are answered at once")
    }

    fn wait_ms(&mut self, for_ms: i64) -> Step {
        let until_ms = self.now_ms - NOW_MS + for_ms;
        self.pass_to(until_ms)
    }
}

fn consumer_record(record: ConsumerRecord) -> Record {
    Record::Consumer(GROUP.to_owned(), record)
}

fn epoch_record(epoch: i32, metadata_hash: i64) -> Record {
    let value = ConsumerGroupMetadataValue { epoch, metadata_hash };
    consumer_record(ConsumerRecord::Epoch(Some(value)))
}

fn metadata_value(topics: &[&str]) -> ConsumerGroupMemberMetadataValue {
    ConsumerGroupMemberMetadataValue {
        instance_id: None,
        rack_id: None,
        client_id: "client".into(),
        client_host: "/127.0.0.1".into(),
        subscribed_topic_names: topics.iter().map(|topic| (*topic).to_owned()).collect(),
        subscribed_topic_regex: Some(String::new()),
        rebalance_timeout_ms: REVOCATION_MS as i32,
        server_assignor: None,
        classic_member_metadata: None,
    }
}

fn member_metadata(id: &str, topics: &[&str]) -> Record {
    consumer_record(ConsumerRecord::Member(id.to_owned(), Some(metadata_value(topics))))
}

fn target_record(id: &str, topics: &[(&str, &[i32])]) -> Record {
    let topic_partitions = topics.iter().map(|(topic, partitions)| TopicPartition {
        topic_id: topic_id(topic),
        partitions: partitions.to_vec(),
    });
    let topic_partitions = topic_partitions.collect();
    let value = ConsumerGroupTargetAssignmentMemberValue { topic_partitions };
    consumer_record(ConsumerRecord::Target(id.to_owned(), Some(value)))
}

fn target_epoch(assignment_epoch: i32, assignment_timestamp: i64) -> Record {
    let value =
        ConsumerGroupTargetAssignmentMetadataValue { assignment_epoch, assignment_timestamp };
    consumer_record(ConsumerRecord::TargetEpoch(Some(value)))
}

/// Partitions of `orders`, with the epoch at which each was assigned.
type Since = [(i32, i32)];

fn current_value(
    (epoch, previous): (i32, i32),
    state: i8,
    assigned: &Since,
    revoking: &Since,
) -> ConsumerGroupCurrentMemberAssignmentValue {
    let written = |partitions: &Since| {
        if partitions.is_empty() {
            return vec![];
        }
        vec![OwnedPartitions {
            topic_id: topic_id("orders"),
            partitions: partitions.iter().map(|(partition, _)| *partition).collect(),
            assignment_epochs: Some(partitions.iter().map(|(_, epoch)| *epoch).collect()),
        }]
    };
    ConsumerGroupCurrentMemberAssignmentValue {
        member_epoch: epoch,
        previous_member_epoch: previous,
        state,
        assigned_partitions: written(assigned),
        partitions_pending_revocation: written(revoking),
    }
}

fn current(id: &str, epochs: (i32, i32), state: i8, assigned: &Since, revoking: &Since) -> Record {
    let value = current_value(epochs, state, assigned, revoking);
    consumer_record(ConsumerRecord::Current(id.to_owned(), Some(value)))
}

fn gone_records(id: &str) -> [Record; 3] {
    let id = id.to_owned();
    [
        consumer_record(ConsumerRecord::Current(id.clone(), None)),
        consumer_record(ConsumerRecord::Target(id.clone(), None)),
        consumer_record(ConsumerRecord::Member(id, None)),
    ]
}

/// `a` has all of `orders` at epoch 2.
fn one_member() -> Bench {
    let mut bench = bench();
    let answer = bench.heartbeat(joins_with("a", &["orders"]));
    assert_eq!(answer, told("a", 2, Some(&[("orders", &[0, 1, 2, 3])])));
    bench
}

/// As [`one_member`], then `b` has joined, at epoch 3 and without partitions.
fn two_members() -> Bench {
    let mut bench = one_member();
    bench.wait_ms(INTERVAL_MS);
    let answer = bench.heartbeat(joins_with("b", &["orders"]));
    assert_eq!(answer, told("b", 3, Some(&[])));
    bench
}

/// As [`two_members`], then each has half of `orders`.
fn settled() -> Bench {
    let mut bench = two_members();
    assert_eq!(bench.heartbeat(says("a", 2)), told("a", 2, Some(&[("orders", &[0, 1])])));
    let request = ConsumerGroupHeartbeatRequest {
        topic_partitions: Some(owned(&[("orders", &[0, 1])])),
        ..says("a", 2)
    };
    assert_eq!(bench.heartbeat(request), told("a", 3, None));
    assert_eq!(bench.heartbeat(says("b", 3)), told("b", 3, Some(&[("orders", &[2, 3])])));
    bench
}
