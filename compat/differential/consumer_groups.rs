//! Consumer groups, in which the coordinator assigns (KIP-848), and groups that change their kind.

use std::thread;
use std::time::Duration;

use ottla::wire::messages::consumer_group_describe::ConsumerGroupDescribeRequest;
use ottla::wire::messages::consumer_group_heartbeat::{
    ConsumerGroupHeartbeatRequest, TopicPartitions,
};
use ottla::wire::messages::delete_groups::DeleteGroupsRequest;
use ottla::wire::messages::describe_groups::DescribeGroupsRequest;
use ottla::wire::messages::heartbeat::HeartbeatRequest;
use ottla::wire::messages::join_group::{JoinGroupRequest, JoinGroupRequestProtocol};
use ottla::wire::messages::leave_group::{LeaveGroupRequest, MemberIdentity};
use ottla::wire::messages::list_groups::ListGroupsRequest;
use ottla::wire::messages::offset_commit::{
    OffsetCommitRequest, OffsetCommitRequestPartition, OffsetCommitRequestTopic,
};
use ottla::wire::messages::offset_delete::{
    OffsetDeleteRequest, OffsetDeleteRequestPartition, OffsetDeleteRequestTopic,
};
use ottla::wire::messages::offset_fetch::{
    OffsetFetchRequest, OffsetFetchRequestGroup, OffsetFetchRequestTopics,
};
use ottla::wire::messages::sync_group::SyncGroupRequest;

use crate::groups;
use crate::script::Script;
use crate::side::Side;

pub(crate) const APIS: &[&str] = &["ConsumerGroupHeartbeat", "ConsumerGroupDescribe"];

const TOPIC: &str = "consumer-groups";
const OTHER: &str = "consumer-groups-2";
/// A little longer than the time between two assignments of a group.
const INTERVAL: Duration = Duration::from_millis(1_100);
/// A consumer's subscription to the topic in version 3, without partitions.
const SUBSCRIPTION: &[u8] =
    b"\0\x03\0\0\0\x01\0\x0fconsumer-groups\xff\xff\xff\xff\0\0\0\0\xff\xff\xff\xff\xff\xff";

type Owned<'a> = &'a [(&'a str, &'a [i32])];

pub(crate) fn run(script: &mut Script) {
    groups::coordinator(script);
    script.topic(TOPIC, 4, &[]);
    script.topic(OTHER, 2, &[]);
    invalid(script);
    life(script);
    offsets(script);
    statics(script);
    regexes(script);
    classic_members(script);
    migration(script);
}

/// A member says that it is there.
fn says(group: &str, member: &str, member_epoch: i32) -> ConsumerGroupHeartbeatRequest {
    let (group_id, member_id) = (group.to_owned(), member.to_owned());
    ConsumerGroupHeartbeatRequest { group_id, member_id, member_epoch, ..Default::default() }
}

/// A member joins that reads some topics.
fn joins(group: &str, member: &str, topics: &[&str]) -> ConsumerGroupHeartbeatRequest {
    ConsumerGroupHeartbeatRequest {
        rebalance_timeout_ms: 30_000,
        subscribed_topic_names: Some(topics.iter().map(ToString::to_string).collect()),
        topic_partitions: Some(vec![]),
        ..says(group, member, 0)
    }
}

fn owned(side: &Side, topics: Owned<'_>) -> Vec<TopicPartitions> {
    let topics = topics.iter().map(|(topic, partitions)| TopicPartitions {
        topic_id: side.topic_id(topic),
        partitions: partitions.to_vec(),
    });
    topics.collect()
}

/// One heartbeat in the newest version.
fn beat(script: &mut Script, step: &str, request: &ConsumerGroupHeartbeatRequest) {
    script.ask(step, 1, |_| request.clone());
}

fn beat_owning(
    script: &mut Script,
    step: &str,
    request: &ConsumerGroupHeartbeatRequest,
    topics: Owned<'_>,
) {
    script.ask(step, 1, |side| ConsumerGroupHeartbeatRequest {
        topic_partitions: Some(owned(side, topics)),
        ..request.clone()
    });
}

fn described(script: &mut Script, groups: &[&str]) {
    for include_authorized_operations in [false, true] {
        script.each("groups", |_, _| ConsumerGroupDescribeRequest {
            group_ids: groups.iter().map(ToString::to_string).collect(),
            include_authorized_operations,
        });
    }
}

fn invalid(script: &mut Script) {
    type Change = fn(&mut ConsumerGroupHeartbeatRequest);
    let changes: [(&str, Change); 14] = [
        ("no group", |it| it.group_id.clear()),
        ("a blank group", |it| it.group_id = " ".into()),
        ("a blank instance", |it| it.instance_id = Some(" ".into())),
        ("an empty rack", |it| it.rack_id = Some(String::new())),
        ("no timeout", |it| it.rebalance_timeout_ms = -1),
        ("nothing owned", |it| it.topic_partitions = None),
        ("something owned", |it| it.topic_partitions = Some(vec![TopicPartitions::default()])),
        ("no topics", |it| it.subscribed_topic_names = None),
        ("another assignor", |it| it.server_assignor = Some("sticky".into())),
        ("epoch 1 of no group", |it| it.member_epoch = 1),
        ("epoch -1 of no group", |it| it.member_epoch = -1),
        ("epoch -2 of no group", |it| it.member_epoch = -2),
        ("epoch -2 of no static group", |it| {
            it.member_epoch = -2;
            it.instance_id = Some("i".into());
        }),
        ("epoch -3", |it| it.member_epoch = -3),
    ];
    for (step, change) in changes {
        script.each(step, |_, _| {
            let mut request = joins("consumer-invalid", "a", &[TOPIC]);
            change(&mut request);
            request
        });
    }
    beat(script, "no member id", &joins("consumer-invalid", "", &[TOPIC]));
    for epoch in [1, -1] {
        let request = says("consumer-invalid", "", epoch);
        script.ask("no member id", 0, |_| request.clone());
    }
}

fn life(script: &mut Script) {
    let group = "consumer-life";
    beat(script, "the first member", &joins(group, "a", &[TOPIC]));
    described(script, &[group, "consumer-none", ""]);
    for version in 0..=6 {
        script.ask("a consumer group", version, |_| DescribeGroupsRequest {
            groups: vec![group.into()],
            ..Default::default()
        });
    }
    beat(script, "nothing new", &says(group, "a", 2));
    let all: Owned<'_> = &[(TOPIC, &[0, 1, 2, 3])];
    let says_all = joins(group, "a", &[TOPIC]);
    let says_all = ConsumerGroupHeartbeatRequest { member_epoch: 2, ..says_all };
    beat_owning(script, "everything", &says_all, all);
    for (member, epoch) in [("a", 1), ("a", 3), ("nobody", 2), ("nobody", -1)] {
        beat(script, "the wrong epoch or member", &says(group, member, epoch));
    }
    thread::sleep(INTERVAL);
    beat(script, "the second member", &joins(group, "b", &[TOPIC]));
    described(script, &[group]);
    beat(script, "the first is told", &says(group, "a", 2));
    described(script, &[group]);
    beat_owning(script, "it still has all", &says(group, "a", 2), all);
    beat(script, "the second waits", &says(group, "b", 3));
    beat_owning(script, "it has given back", &says(group, "a", 2), &[(TOPIC, &[0, 1])]);
    beat(script, "the second has it", &says(group, "b", 3));
    beat_owning(script, "it missed the answer", &says(group, "a", 2), &[(TOPIC, &[0])]);
    beat(script, "it is behind", &says(group, "a", 2));
    described(script, &[group]);
    thread::sleep(INTERVAL);
    let subscribed_topic_names = Some(vec![OTHER.to_owned()]);
    let other = ConsumerGroupHeartbeatRequest { subscribed_topic_names, ..says(group, "b", 3) };
    beat(script, "another topic", &other);
    beat_owning(script, "the topic is given back", &says(group, "b", 3), &[]);
    beat(script, "the other gets it", &says(group, "a", 3));
    described(script, &[group]);
    let server_assignor = Some("range".to_owned());
    let range = ConsumerGroupHeartbeatRequest { server_assignor, ..says(group, "a", 4) };
    beat(script, "another assignor", &range);
    described(script, &[group]);
    script.each("with a consumer group", |_, _| ListGroupsRequest {
        types_filter: vec![],
        states_filter: vec![],
    });
    for (state, kind) in [("stable", "consumer"), ("Empty", "Consumer"), ("", "classic")] {
        let states = if state.is_empty() { vec![] } else { vec![state.to_owned()] };
        script.ask("some kinds", 5, |_| ListGroupsRequest {
            types_filter: vec![kind.into()],
            states_filter: states.clone(),
        });
    }
    let deletion = DeleteGroupsRequest { groups_names: vec![group.into()] };
    script.ask("a consumer group with members", 2, |_| deletion.clone());
    beat(script, "one leaves", &says(group, "b", -1));
    described(script, &[group]);
    beat(script, "the last one leaves", &says(group, "a", -1));
    described(script, &[group]);
    script.ask("an empty consumer group", 2, |_| deletion.clone());
    described(script, &[group]);
}

fn commits(side: &Side, group: &str, (member, epoch): (&str, i32)) -> OffsetCommitRequest {
    OffsetCommitRequest {
        group_id: group.into(),
        generation_id_or_member_epoch: epoch,
        member_id: member.into(),
        topics: vec![OffsetCommitRequestTopic {
            name: TOPIC.into(),
            topic_id: side.topic_id(TOPIC),
            partitions: vec![OffsetCommitRequestPartition::default()],
        }],
        ..Default::default()
    }
}

fn offsets(script: &mut Script) {
    let group = "consumer-offsets";
    beat(script, "a member", &joins(group, "a", &[TOPIC]));
    for by in [("a", 2), ("a", 1), ("a", 3), ("a", -1), ("nobody", 2), ("", -1)] {
        script.over(&format!("by '{}' at {}", by.0, by.1), 2..=10, |side, _| {
            commits(side, group, by)
        });
        script.over(&format!("by '{}' at {}", by.0, by.1), 9..=10, |side, _| OffsetFetchRequest {
            groups: vec![OffsetFetchRequestGroup {
                group_id: group.into(),
                member_id: (!by.0.is_empty()).then(|| by.0.to_owned()),
                member_epoch: by.1,
                topics: Some(vec![OffsetFetchRequestTopics {
                    name: TOPIC.into(),
                    topic_id: side.topic_id(TOPIC),
                    partition_indexes: vec![0, 1],
                }]),
            }],
            ..Default::default()
        });
    }
    for topic in [TOPIC, OTHER] {
        script.ask("of a consumer group", 0, |_| OffsetDeleteRequest {
            group_id: group.into(),
            topics: vec![OffsetDeleteRequestTopic {
                name: topic.into(),
                partitions: vec![OffsetDeleteRequestPartition { partition_index: 0 }],
            }],
        });
    }
}

fn statics(script: &mut Script) {
    let group = "consumer-static";
    let with = |instance: &str, request| ConsumerGroupHeartbeatRequest {
        instance_id: Some(instance.to_owned()),
        ..request
    };
    let join = |member: &str| with("i", joins(group, member, &[TOPIC]));
    beat(script, "a static member", &join("a"));
    beat(script, "another one", &join("b"));
    for epoch in [2, -1, -2] {
        beat(script, "of another", &with("i", says(group, "b", epoch)));
        beat(script, "of nobody", &with("j", says(group, "a", epoch)));
    }
    beat(script, "it leaves for a while", &with("i", says(group, "a", -2)));
    described(script, &[group]);
    beat(script, "while it is away", &with("i", says(group, "a", 2)));
    beat(script, "it comes back", &join("b"));
    described(script, &[group]);
    beat(script, "its former self", &with("i", says(group, "a", 2)));
    beat(script, "it leaves", &with("i", says(group, "b", -1)));
    described(script, &[group]);
}

fn regexes(script: &mut Script) {
    let group = "consumer-regex";
    let join = |member: &str, regex: &str| ConsumerGroupHeartbeatRequest {
        subscribed_topic_names: None,
        subscribed_topic_regex: Some(regex.to_owned()),
        ..joins(group, member, &[])
    };
    for regex in ["a[", "(", "*", "a**", "a{1001}", r"\8", "(?=a)", "[b-a]", r"a\"] {
        beat(script, &format!("the expression {regex}"), &join("a", regex));
    }
    beat(script, "an expression", &join("a", "consumer-groups.*"));
    script.until(
        "the topics",
        1,
        |_| ConsumerGroupDescribeRequest { group_ids: vec![group.into()], ..Default::default() },
        |response| response.groups[0].group_epoch == 2,
    );
    described(script, &[group]);
    beat(script, "its topics", &says(group, "a", 1));
    beat(script, "a known expression", &join("b", "consumer-groups.*"));
    described(script, &[group]);
    for member in ["a", "b"] {
        beat(script, "one leaves", &says(group, member, -1));
    }
    described(script, &[group]);
}

fn joins_classic(group: &str, member: &str) -> JoinGroupRequest {
    let metadata = SUBSCRIPTION.to_vec().into();
    JoinGroupRequest {
        group_id: group.into(),
        session_timeout_ms: 30_000,
        rebalance_timeout_ms: 30_000,
        member_id: member.into(),
        protocol_type: "consumer".into(),
        protocols: vec![JoinGroupRequestProtocol { name: "range".into(), metadata }],
        ..Default::default()
    }
}

fn syncs(group: &str, member: &str, generation_id: i32) -> SyncGroupRequest {
    SyncGroupRequest {
        group_id: group.into(),
        generation_id,
        member_id: member.into(),
        protocol_type: Some("consumer".into()),
        protocol_name: Some("range".into()),
        ..Default::default()
    }
}

fn beats(group: &str, member: &str, generation_id: i32) -> HeartbeatRequest {
    let (group_id, member_id) = (group.to_owned(), member.to_owned());
    HeartbeatRequest { group_id, generation_id, member_id, group_instance_id: None }
}

fn leaves(group: &str, members: &[&str]) -> LeaveGroupRequest {
    let identity =
        |member: &&str| MemberIdentity { member_id: (*member).to_owned(), ..Default::default() };
    let members = members.iter().map(identity).collect();
    LeaveGroupRequest { group_id: group.into(), members, ..Default::default() }
}

/// A member of the classic protocol in a consumer group.
fn classic_members(script: &mut Script) {
    let group = "consumer-classic";
    beat(script, "a member", &joins(group, "a", &[TOPIC]));
    thread::sleep(INTERVAL);
    let refusals: [(&str, fn(&mut JoinGroupRequest)); 4] = [
        ("another type", |it| it.protocol_type = "connect".into()),
        ("no protocols", |it| it.protocols.clear()),
        ("no subscription", |it| it.protocols[0].metadata = b"x".to_vec().into()),
        ("an unknown instance", |it| it.group_instance_id = Some("i".into())),
    ];
    for (step, change) in refusals {
        script.over(step, 5..=9, |_, _| {
            let mut request = joins_classic(group, "c");
            change(&mut request);
            request
        });
    }
    script.ask("it joins", 9, |_| joins_classic(group, "c"));
    described(script, &[group]);
    for (member, generation) in [("c", 3), ("c", 2), ("a", 2), ("nobody", 3)] {
        script.ask("a classic member", 5, |_| syncs(group, member, generation));
        script.ask("a classic member", 4, |_| beats(group, member, generation));
    }
    script.ask("another protocol", 5, |_| SyncGroupRequest {
        protocol_name: Some("sticky".into()),
        ..syncs(group, "c", 3)
    });
    beat(script, "the other is told", &says(group, "a", 2));
    beat_owning(script, "it has given back", &says(group, "a", 2), &[(TOPIC, &[0, 1])]);
    script.ask("there is more", 4, |_| beats(group, "c", 3));
    script.ask("it joins again", 9, |_| joins_classic(group, "c"));
    script.ask("it has its half", 5, |_| syncs(group, "c", 3));
    described(script, &[group]);
    script.ask("it leaves", 5, |_| leaves(group, &["nobody", "c"]));
    described(script, &[group]);
}

/// A consumer group becomes a classic one, and that a consumer group.
fn migration(script: &mut Script) {
    let group = "consumer-migration";
    beat(script, "a member", &joins(group, "a", &[TOPIC]));
    thread::sleep(INTERVAL);
    script.ask("a classic member", 9, |_| joins_classic(group, "c"));
    beat(script, "the last consumer leaves", &says(group, "a", -1));
    script.until_state(group, "PreparingRebalance");
    described(script, &[group]);
    script.ask("the classic member joins again", 9, |_| joins_classic(group, "c"));
    script.ask("a consumer group again", 1, |_| joins(group, "a", &[TOPIC]));
    described(script, &[group]);
    script.ask("a member of before", 4, |_| beats(group, "c", 4));
    groups::stable(script, 9, "consumer-upgrade");
    beat(script, "of no topics", &joins("consumer-upgrade", "a", &[TOPIC]));
    described(script, &["consumer-upgrade"]);
    beat(script, "it leaves", &says("consumer-upgrade", "a", -1));
    script.ask("a consumer group to be empty", 1, |_| joins("consumer-empty", "a", &[TOPIC]));
    beat(script, "it leaves", &says("consumer-empty", "a", -1));
    script.ask("in the place of a consumer group", 9, |_| joins_classic("consumer-empty", ""));
    described(script, &["consumer-empty"]);
}
