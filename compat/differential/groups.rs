//! Coordinators, and the life of classic groups.

use ottla::wire::messages::describe_groups::DescribeGroupsRequest;
use ottla::wire::messages::heartbeat::HeartbeatRequest;
use ottla::wire::messages::join_group::{JoinGroupRequest, JoinGroupRequestProtocol};
use ottla::wire::messages::leave_group::{LeaveGroupRequest, MemberIdentity};
use ottla::wire::messages::sync_group::{SyncGroupRequest, SyncGroupRequestAssignment};

use crate::script::Script;
use crate::side::Side;

mod coordinators;
mod refused;
mod statics;

pub(crate) use coordinators::coordinator;

pub(crate) const APIS: &[&str] =
    &["FindCoordinator", "JoinGroup", "SyncGroup", "Heartbeat", "LeaveGroup"];

/// A consumer's subscription to no topics.
pub(crate) const SUBSCRIPTION: &[u8] = b"\0\0\0\0\0\0\xff\xff\xff\xff";
/// From here on a new member is given its id before it may join.
const ID_FIRST: i16 = 4;
const STATIC: i16 = 5;

pub(crate) fn run(script: &mut Script) {
    coordinator(script);
    coordinators::find(script);
    for version in 0..=9 {
        refused::joins(script, version);
        life(script, version);
    }
    for version in STATIC..=9 {
        statics::life(script, version);
    }
    refused::outsiders(script);
    protocols(script);
    leaving(script);
}

fn protocol(name: &str, metadata: &[u8]) -> JoinGroupRequestProtocol {
    JoinGroupRequestProtocol { name: name.into(), metadata: metadata.to_vec().into() }
}

/// Joins as a member of this name, with its id if it has one.
pub(crate) fn joining(side: &Side, group: &str, member: &str) -> JoinGroupRequest {
    JoinGroupRequest {
        group_id: group.into(),
        session_timeout_ms: 30_000,
        rebalance_timeout_ms: 60_000,
        member_id: id(side, group, member),
        protocol_type: "consumer".into(),
        protocols: vec![protocol("range", SUBSCRIPTION)],
        ..Default::default()
    }
}

fn identity(member_id: &str, instance: Option<&str>) -> MemberIdentity {
    MemberIdentity {
        member_id: member_id.into(),
        group_instance_id: instance.map(Into::into),
        reason: Some("testing".into()),
    }
}

fn key(group: &str, member: &str) -> String {
    format!("{group}/{member}")
}

fn id(side: &Side, group: &str, member: &str) -> String {
    side.text(&key(group, member))
}

fn generation(side: &Side, group: &str) -> i32 {
    side.number(group)
}

pub(crate) fn syncing(side: &Side, group: &str, member: &str, of: &[&str]) -> SyncGroupRequest {
    let assignment = |other: &&str| SyncGroupRequestAssignment {
        member_id: id(side, group, other),
        assignment: format!("for {other}").into_bytes().into(),
    };
    SyncGroupRequest {
        group_id: group.into(),
        generation_id: generation(side, group),
        member_id: id(side, group, member),
        group_instance_id: None,
        protocol_type: Some("consumer".into()),
        protocol_name: Some("range".into()),
        assignments: of.iter().map(assignment).collect(),
    }
}

pub(crate) fn beating(side: &Side, group: &str, member: &str) -> HeartbeatRequest {
    HeartbeatRequest {
        group_id: group.into(),
        generation_id: generation(side, group),
        member_id: id(side, group, member),
        group_instance_id: None,
    }
}

pub(crate) fn leaving_of(side: &Side, group: &str, members: &[&str]) -> LeaveGroupRequest {
    let identity =
        |member: &&str| MemberIdentity { member_id: id(side, group, member), ..Default::default() };
    LeaveGroupRequest {
        group_id: group.into(),
        member_id: members.first().map(|member| id(side, group, member)).unwrap_or_default(),
        members: members.iter().map(identity).collect(),
    }
}

/// Reads the answer to a join and keeps what it gives.
fn joined(script: &mut Script, step: &str, version: i16, group: &str, member: &str) {
    let answers = script.receive::<JoinGroupRequest>(member, step, version);
    script.learn(&key(group, member), &answers, |answer| answer.member_id.clone());
    let generation = |answer: &ottla::wire::messages::join_group::JoinGroupResponse| {
        answer.generation_id.to_string()
    };
    script.learn(group, &answers, generation);
}

/// A new member takes its id, if the version has it so.
fn take_id(script: &mut Script, version: i16, group: &str, member: &str) {
    take_id_with(script, version, group, member, |_| {});
}

fn take_id_with(
    script: &mut Script,
    version: i16,
    group: &str,
    member: &str,
    change: impl Fn(&mut JoinGroupRequest),
) {
    if version >= ID_FIRST {
        script.send(member, version, |side| {
            let mut request = joining(side, group, member);
            change(&mut request);
            request
        });
        let answers = script.receive::<JoinGroupRequest>(member, "a new member", version);
        script.learn(&key(group, member), &answers, |answer| answer.member_id.clone());
    }
}

/// A new member takes its id if it needs one, and joins; what it is told is kept.
pub(crate) fn join(
    script: &mut Script,
    version: i16,
    group: &str,
    member: &str,
    make: impl Fn(&Side) -> JoinGroupRequest,
) {
    if version >= ID_FIRST && script.sides[0].text(&key(group, member)).is_empty() {
        let answers = script.ask("a new member", version, &make);
        script.learn(&key(group, member), &answers, |answer| answer.member_id.clone());
    }
    script.send(member, version, &make);
    joined(script, "a member", version, group, member);
}

/// One member in a stable group.
pub(crate) fn stable(script: &mut Script, version: i16, group: &str) {
    take_id(script, version, group, "a");
    script.send("a", version, |side| joining(side, group, "a"));
    joined(script, "the first member", version, group, "a");
    let sync = version.min(5);
    script.at("a").ask("the first assignment", sync, |side| syncing(side, group, "a", &["a"]));
}

fn described(script: &mut Script, group: &str) {
    script.ask("a group", 6, |_| DescribeGroupsRequest {
        groups: vec![group.into()],
        include_authorized_operations: true,
    });
}

/// Two members come and go, at the versions that belong together.
fn life(script: &mut Script, version: i16) {
    let group = &format!("life-v{version}");
    let (sync, beat, leave) = (version.min(5), version.min(4), version.min(5));
    let connections = ["a", "b"];
    stable(script, version, group);
    described(script, group);
    script.at("a").ask("stable", beat, |side| beating(side, group, "a"));
    script.ask("the same assignment", sync, |side| syncing(side, group, "a", &[]));
    // A second member begins a rebalance and waits for the first.
    take_id(script, version, group, "b");
    script.send("b", version, |side| joining(side, group, "b"));
    script.until_state(group, "PreparingRebalance");
    described(script, group);
    script.waits::<JoinGroupRequest>("b", "it waits for the others", version);
    script.at("a").ask("during a rebalance", beat, |side| beating(side, group, "a"));
    script.at("a").ask("during a rebalance", sync, |side| syncing(side, group, "a", &[]));
    script.send("a", version, |side| joining(side, group, "a"));
    for member in connections {
        joined(script, "both join", version, group, member);
    }
    described(script, group);
    for member in connections {
        script.at(member).ask("before the assignment", beat, |side| beating(side, group, member));
    }
    // The follower waits for the leader's assignment.
    script.send("b", sync, |side| syncing(side, group, "b", &[]));
    script.waits::<SyncGroupRequest>("b", "it waits for the leader", sync);
    script.at("a").ask("the leader", sync, |side| syncing(side, group, "a", &["a", "b"]));
    script.receive::<SyncGroupRequest>("b", "the follower", sync);
    described(script, group);
    refused::of_stable(script, group, version);
    // One leaves, the other is told and stays alone.
    script.at("b").ask("one leaves", leave, |side| leaving_of(side, group, &["b"]));
    script.at("a").ask("one left", beat, |side| beating(side, group, "a"));
    script.at("b").ask("who left", beat, |side| beating(side, group, "b"));
    script.at("b").ask("who left", sync, |side| syncing(side, group, "b", &[]));
    script.at("b").ask("who left leaves", leave, |side| leaving_of(side, group, &["b"]));
    script.at("b").ask("who left", version, |side| joining(side, group, "b"));
    script.send("a", version, |side| joining(side, group, "a"));
    joined(script, "the other joins", version, group, "a");
    script.at("a").ask("alone", sync, |side| syncing(side, group, "a", &["a"]));
    script.send("a", version, |side| joining(side, group, "a"));
    joined(script, "the leader joins again", version, group, "a");
    script.at("a").ask("alone again", sync, |side| syncing(side, group, "a", &["a"]));
    script.at("a").ask("the last one leaves", leave, |side| leaving_of(side, group, &["a"]));
    described(script, group);
    script.at("a").ask("an empty group", beat, |side| beating(side, group, "a"));
    script.at("a").ask("an empty group", sync, |side| syncing(side, group, "a", &[]));
    for connection in connections {
        script.leave(connection);
    }
}

/// Which protocol wins, and what its leader is told.
fn protocols(script: &mut Script) {
    for version in 0..=9 {
        let group = &format!("protocols-v{version}");
        let named = |names: &[&str]| -> Vec<JoinGroupRequestProtocol> {
            names.iter().map(|name| protocol(name, name.as_bytes())).collect()
        };
        let with = |side: &Side, member: &str, names: &[&str]| JoinGroupRequest {
            protocols: named(names),
            ..joining(side, group, member)
        };
        take_id(script, version, group, "a");
        script.send("a", version, |side| with(side, "a", &["x", "y", "z"]));
        joined(script, "it supports three", version, group, "a");
        take_id_with(script, version, group, "b", |request| {
            request.protocols = named(&["w", "z", "y"]);
        });
        script.send("b", version, |side| with(side, "b", &["w", "z", "y"]));
        script.until_state(group, "PreparingRebalance");
        script.send("a", version, |side| with(side, "a", &["x", "z", "y"]));
        joined(script, "what both support", version, group, "a");
        joined(script, "what both support", version, group, "b");
        described(script, group);
        script.leave("a");
        script.leave("b");
    }
}

fn leaving(script: &mut Script) {
    for version in 3..=5 {
        let group = &format!("leaving-v{version}");
        stable(script, 9, group);
        script.ask("several", version, |side| {
            let [a, nobody] = [id(side, group, "a"), "nobody".to_owned()];
            LeaveGroupRequest {
                members: [&nobody, &a, &a].map(|member| identity(member, None)).into(),
                ..leaving_of(side, group, &[])
            }
        });
        described(script, group);
        take_id(script, 9, group, "b");
        script.ask("a pending member", version, |side| leaving_of(side, group, &["b"]));
        script.leave("a");
    }
}
