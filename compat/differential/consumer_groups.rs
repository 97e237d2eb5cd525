//! Groups of the consumer protocol (KIP-848).
//!
//! The reference makes a new assignment some time after it was due, and members learn of it by asking: a step that
//! depends on it is asked of both brokers until it is so. Members bring their ids, also where they might be given one,
//! so that both brokers assign to the same ids.

mod admin;
mod classic;
mod life;
mod offsets;
mod refused;
mod statics;
mod subscriptions;

use std::thread;
use std::time::Instant;

use ottla::wire::messages::consumer_group_describe::ConsumerGroupDescribeRequest;
use ottla::wire::messages::consumer_group_heartbeat::{
    ConsumerGroupHeartbeatRequest, ConsumerGroupHeartbeatResponse, TopicPartitions,
};

use crate::groups;
use crate::script::{Both, POLL, SETTLE_TIMEOUT, Script};
use crate::side::Side;

pub(crate) const APIS: &[&str] = &[
    "ConsumerGroupHeartbeat",
    "ConsumerGroupDescribe",
    "OffsetCommit",
    "OffsetFetch",
    "OffsetDelete",
    "DescribeGroups",
    "ListGroups",
    "DeleteGroups",
    "FindCoordinator",
    "JoinGroup",
    "SyncGroup",
    "Heartbeat",
    "LeaveGroup",
];

/// The epochs with which a member joins, leaves, and leaves for a while.
const JOIN: i32 = 0;
const LEAVE: i32 = -1;
const LEAVE_FOR_A_WHILE: i32 = -2;

/// Topics and their partitions.
type Partitions<'a> = &'a [(&'a str, &'a [i32])];

pub(crate) fn run(script: &mut Script) {
    groups::coordinator(script);
    script.topic("consumer-groups", 6, &[]);
    script.topic("consumer-groups-2", 3, &[]);
    for version in 0..=1 {
        refused::run(script, version);
        life::run(script, version);
        statics::run(script, version);
        subscriptions::run(script, version);
    }
    offsets::run(script);
    admin::run(script);
    classic::run(script);
}

fn key(group: &str, member: &str) -> String {
    format!("{group}/{member}")
}

/// The epoch that a member was told last.
pub(crate) fn epoch(side: &Side, group: &str, member: &str) -> i32 {
    side.number(&key(group, member))
}

fn topic_partitions(side: &Side, partitions: Partitions<'_>) -> Vec<TopicPartitions> {
    let topic = |(name, partitions): &(&str, &[i32])| TopicPartitions {
        topic_id: side.topic_id(name),
        partitions: partitions.to_vec(),
    };
    partitions.iter().map(topic).collect()
}

/// A group that is spoken to at one version.
pub(crate) struct Group<'a> {
    pub(crate) script: &'a mut Script,
    pub(crate) name: String,
    version: i16,
}

impl<'a> Group<'a> {
    pub(crate) fn new(script: &'a mut Script, name: &str, version: i16) -> Self {
        Self { script, name: format!("consumer-{name}-v{version}"), version }
    }

    /// A heartbeat that changes nothing but what it says.
    fn beat(
        &mut self,
        step: &str,
        member: &str,
        change: impl Fn(&Side, &mut ConsumerGroupHeartbeatRequest),
    ) {
        let make = beating(&self.name, member, change);
        let answers = self.script.ask(step, self.version, make);
        self.learn(member, &answers);
    }

    /// The same heartbeat until the answer is as it should be.
    fn settle(
        &mut self,
        step: &str,
        member: &str,
        change: impl Fn(&Side, &mut ConsumerGroupHeartbeatRequest),
        is_so: impl Fn(&ConsumerGroupHeartbeatResponse) -> bool,
    ) {
        let make = beating(&self.name, member, change);
        let answers = self.script.settle(step, self.version, make, is_so);
        self.learn(member, &answers);
    }

    /// A heartbeat without changes until it brings a new assignment.
    fn until_assigned(&mut self, step: &str, member: &str) {
        self.settle(step, member, |_, _| {}, |answer| answer.assignment.is_some());
    }

    /// A heartbeat without changes until the member has this epoch.
    fn until_epoch(&mut self, step: &str, member: &str, epoch: i32) {
        self.settle(step, member, |_, _| {}, |answer| answer.member_epoch == epoch);
    }

    /// A heartbeat with everything in it until the member has this epoch; the answer has its assignment.
    fn settle_fully(&mut self, step: &str, member: &str, topics: &[&str], epoch: i32) {
        let key = key(&self.name, member);
        let change = |side: &Side, beat: &mut ConsumerGroupHeartbeatRequest| {
            let epoch = beat.member_epoch;
            joining(beat, topics);
            beat.member_epoch = epoch;
            beat.topic_partitions = Some(side.assigned.get(&key).cloned().unwrap_or_default());
        };
        self.settle(step, member, change, |answer| answer.member_epoch == epoch);
    }

    /// A member says what it wants and takes what it is given until it has this epoch, in as many answers as each broker
    /// needs; the one to its next heartbeat is compared.
    fn reconcile(
        &mut self,
        step: &str,
        member: &str,
        epoch: i32,
        change: impl Fn(&mut ConsumerGroupHeartbeatRequest),
    ) {
        let deadline = Instant::now() + SETTLE_TIMEOUT;
        let name = self.name.clone();
        let key = key(&name, member);
        let make = beating(&name, member, |side, beat| {
            beat.rebalance_timeout_ms = 60_000;
            beat.topic_partitions = side.assigned.get(&key).cloned();
            change(beat);
        });
        for of in [0, 1] {
            while self::epoch(&self.script.sides[of], &name, member) != epoch
                && Instant::now() < deadline
            {
                let mut answers = [None, None];
                answers[of] = self.script.ask_one(of, self.version, &make);
                self.learn(member, &answers);
                thread::sleep(POLL);
            }
        }
        let answers = self.script.ask(step, self.version, &make);
        self.learn(member, &answers);
    }

    /// An instance joins, which it can do once only: whether its first answer is before the assignment or after it is
    /// not compared.
    fn join_as(&mut self, instance: &str, member: &str, topics: &[&str], epoch: i32) {
        let make = beating(&self.name, member, |_, beat| {
            joining(beat, topics);
            beat.instance_id = Some(instance.into());
        });
        let what = format!("the instance '{instance}' joins as '{member}'");
        let answers = [0, 1].map(|of| self.script.ask_one(of, self.version, &make));
        drop(make);
        self.learn(member, &answers);
        self.settle_fully(&what, member, topics, epoch);
    }

    /// Joins until the target assignment is made for it.
    pub(crate) fn join(&mut self, member: &str, topics: &[&str], epoch: i32) {
        let change = |_: &Side, beat: &mut _| joining(beat, topics);
        let step = format!("'{member}' joins for {topics:?}");
        self.settle(&step, member, change, |answer| answer.member_epoch == epoch);
    }

    /// A member says that it owns what it was assigned.
    pub(crate) fn own_all(&mut self, member: &str) {
        let key = key(&self.name, member);
        self.beat(&format!("'{member}' has what it was assigned"), member, |side, beat| {
            beat.topic_partitions = side.assigned.get(&key).cloned();
        });
    }

    /// A member takes over a new assignment as soon as it comes.
    pub(crate) fn follow(&mut self, member: &str) {
        self.until_assigned(&format!("'{member}' is assigned anew"), member);
        self.own_all(member);
    }

    /// Says what a member owns.
    fn own(&mut self, step: &str, member: &str, partitions: Partitions<'_>) {
        self.beat(step, member, |side, beat| {
            beat.topic_partitions = Some(topic_partitions(side, partitions));
        });
    }

    pub(crate) fn leave(&mut self, member: &str) {
        self.beat(&format!("'{member}' leaves"), member, |_, beat| beat.member_epoch = LEAVE);
    }

    fn describe(&mut self, step: &str) {
        let name = &self.name;
        self.script.ask(step, self.version, |_| ConsumerGroupDescribeRequest {
            group_ids: vec![name.clone()],
            include_authorized_operations: true,
        });
    }

    fn learn(&mut self, member: &str, answers: &Both<ConsumerGroupHeartbeatResponse>) {
        for (side, answer) in self.script.sides.iter_mut().zip(answers) {
            if let Some(answer) = answer.as_ref().filter(|answer| answer.error_code == 0) {
                let key = key(&self.name, member);
                side.learn(&key, &answer.member_epoch.to_string());
                if let Some(assignment) = &answer.assignment {
                    side.assigned.insert(key, assignment.topic_partitions.clone());
                }
            }
        }
    }
}

/// A heartbeat of a member without changes, and then with one.
fn beating(
    group: &str,
    member: &str,
    change: impl Fn(&Side, &mut ConsumerGroupHeartbeatRequest),
) -> impl Fn(&Side) -> ConsumerGroupHeartbeatRequest {
    move |side| {
        let mut beat = ConsumerGroupHeartbeatRequest {
            group_id: group.into(),
            member_id: member.into(),
            member_epoch: epoch(side, group, member),
            ..Default::default()
        };
        change(side, &mut beat);
        beat
    }
}

/// Makes a heartbeat one that joins.
fn joining(beat: &mut ConsumerGroupHeartbeatRequest, topics: &[&str]) {
    beat.member_epoch = JOIN;
    beat.rebalance_timeout_ms = 60_000;
    beat.subscribed_topic_names = Some(topics.iter().map(ToString::to_string).collect());
    beat.topic_partitions = Some(Vec::new());
}
