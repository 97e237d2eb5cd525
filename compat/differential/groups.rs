//! Coordinators, and the life of classic groups.

use ottla::wire::messages::describe_groups::DescribeGroupsRequest;
use ottla::wire::messages::find_coordinator::FindCoordinatorRequest;
use ottla::wire::messages::heartbeat::HeartbeatRequest;
use ottla::wire::messages::join_group::{JoinGroupRequest, JoinGroupRequestProtocol};
use ottla::wire::messages::leave_group::{LeaveGroupRequest, MemberIdentity};
use ottla::wire::messages::sync_group::{SyncGroupRequest, SyncGroupRequestAssignment};

use crate::script::Script;
use crate::side::Side;

pub(crate) const APIS: &[&str] =
    &["FindCoordinator", "JoinGroup", "SyncGroup", "Heartbeat", "LeaveGroup"];

/// A consumer's subscription to no topics.
pub(crate) const SUBSCRIPTION: &[u8] = b"\0\0\0\0\0\0\xff\xff\xff\xff";
/// From here on a new member is given its id before it may join.
const ID_FIRST: i16 = 4;
const STATIC: i16 = 5;

pub(crate) fn run(script: &mut Script) {
    coordinator(script);
    find_coordinator(script);
    for version in 0..=9 {
        refused_joins(script, version);
        life(script, version);
    }
    for version in STATIC..=9 {
        static_life(script, version);
    }
    outsiders(script);
    protocols(script);
    leaving(script);
}

/// Waits until groups have a coordinator.
pub(crate) fn coordinator(script: &mut Script) {
    let asking = FindCoordinatorRequest { key: "groups".into(), ..Default::default() };
    script.until("a coordinator", 3, |_| asking.clone(), |response| response.error_code == 0);
    script.until(
        "the groups",
        0,
        |_| DescribeGroupsRequest { groups: partition_keys(), ..Default::default() },
        |response| response.groups.iter().all(|group| group.error_code == 0),
    );
}

/// Names of groups, so many that each partition of the groups' topic has one.
fn partition_keys() -> Vec<String> {
    (0..400).map(|number| format!("key-{number}")).collect()
}

fn find_coordinator(script: &mut Script) {
    for key in ["groups", "", "bad name!", "\u{fc}ber"] {
        script.each(&format!("the group '{key}'"), |_, _| FindCoordinatorRequest {
            key: key.into(),
            coordinator_keys: vec![key.into()],
            ..Default::default()
        });
    }
    for key_type in [2, 3, -1, 99] {
        script.over(&format!("key type {key_type}"), 1..=6, |_, _| FindCoordinatorRequest {
            key: "groups".into(),
            key_type,
            coordinator_keys: vec!["groups".into()],
        });
    }
    for keys in [&[][..], &["one", "two", ""][..], &["one", "one"][..]] {
        script.over(&format!("keys {keys:?}"), 4..=6, |_, _| FindCoordinatorRequest {
            coordinator_keys: keys.iter().map(ToString::to_string).collect(),
            ..Default::default()
        });
    }
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
    wrong(script, group, version);
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

/// What a member of a stable group of two must not say.
fn wrong(script: &mut Script, group: &str, version: i16) {
    let (sync, beat, leave) = (version.min(5), version.min(4), version.min(5));
    for difference in [-1, 1, 1000] {
        script.ask(&format!("{difference} generations off"), beat, |side| {
            let beat = beating(side, group, "a");
            HeartbeatRequest { generation_id: beat.generation_id + difference, ..beat }
        });
        script.ask(&format!("{difference} generations off"), sync, |side| {
            let sync = syncing(side, group, "a", &[]);
            SyncGroupRequest { generation_id: sync.generation_id + difference, ..sync }
        });
    }
    for stranger in ["", "nobody", "differential-x"] {
        let member_id = || stranger.to_owned();
        script.ask(&format!("a member '{stranger}'"), beat, |side| HeartbeatRequest {
            member_id: member_id(),
            ..beating(side, group, "a")
        });
        script.ask(&format!("a member '{stranger}'"), sync, |side| SyncGroupRequest {
            member_id: member_id(),
            ..syncing(side, group, "a", &[])
        });
        script.ask(&format!("a member '{stranger}'"), leave, |side| LeaveGroupRequest {
            member_id: member_id(),
            members: vec![MemberIdentity { member_id: member_id(), ..Default::default() }],
            ..leaving_of(side, group, &[])
        });
    }
    script.ask("an unknown member", version, |side| JoinGroupRequest {
        member_id: "nobody".into(),
        ..joining(side, group, "a")
    });
    script.ask("another type", version, |side| JoinGroupRequest {
        protocol_type: "connect".into(),
        ..joining(side, group, "c")
    });
    script.ask("another protocol", version, |side| JoinGroupRequest {
        protocols: vec![protocol("sticky", SUBSCRIPTION)],
        ..joining(side, group, "c")
    });
    let kinds = [(Some("connect"), Some("range")), (Some("consumer"), Some("x")), (None, None)];
    for (protocol_type, protocol_name) in kinds {
        script.ask(&format!("protocol {protocol_type:?} {protocol_name:?}"), sync, |side| {
            SyncGroupRequest {
                protocol_type: protocol_type.map(Into::into),
                protocol_name: protocol_name.map(Into::into),
                ..syncing(side, group, "a", &[])
            }
        });
    }
    let instance = || Some("not-there".to_owned());
    script.ask("an instance", beat, |side| HeartbeatRequest {
        group_instance_id: instance(),
        ..beating(side, group, "a")
    });
    script.ask("an instance", sync, |side| SyncGroupRequest {
        group_instance_id: instance(),
        ..syncing(side, group, "a", &[])
    });
}

fn refused_joins(script: &mut Script, version: i16) {
    let group = &format!("refused-v{version}");
    let mut join = |step: &str, change: &dyn Fn(&mut JoinGroupRequest)| {
        script.ask(step, version, |side| {
            let mut request = joining(side, group, "");
            change(&mut request);
            request
        });
    };
    join("no group", &|request| request.group_id.clear());
    for timeout_ms in [0, -1, 5999, 1_800_001, i32::MAX] {
        join(&format!("a session of {timeout_ms} ms"), &|request| {
            request.session_timeout_ms = timeout_ms;
        });
    }
    join("no type", &|request| request.protocol_type.clear());
    join("no protocols", &|request| request.protocols.clear());
    join("neither", &|request| {
        request.protocol_type.clear();
        request.protocols.clear();
    });
    join("an unknown member", &|request| request.member_id = "nobody".into());
    join("an unknown member and an instance", &|request| {
        request.member_id = "nobody".into();
        request.group_instance_id = Some("instance".into());
    });
    described(script, group);
    if version < ID_FIRST {
        // The reference keeps the member that it does not answer, so that is a group of its own.
        script.briefly().ask("a protocol twice", version, |side| {
            let mut request = joining(side, &format!("{group}-twice"), "");
            request.protocols.push(protocol("range", b""));
            request
        });
    }
}

fn fixed(side: &Side, group: &str, member: &str) -> JoinGroupRequest {
    JoinGroupRequest {
        member_id: String::new(),
        group_instance_id: Some(format!("instance-{member}")),
        ..joining(side, group, member)
    }
}

fn identity(member_id: &str, instance: Option<&str>) -> MemberIdentity {
    MemberIdentity {
        member_id: member_id.into(),
        group_instance_id: instance.map(Into::into),
        reason: Some("testing".into()),
    }
}

/// A static member comes, comes back and is taken out.
fn static_life(script: &mut Script, version: i16) {
    let group = &format!("static-v{version}");
    let (sync, beat, leave) = (version.min(5), version.min(4), version.min(5));
    script.send("a", version, |side| fixed(side, group, "a"));
    joined(script, "a static member", version, group, "a");
    script.at("a").ask("a static member", sync, |side| SyncGroupRequest {
        group_instance_id: Some("instance-a".into()),
        ..syncing(side, group, "a", &["a"])
    });
    described(script, group);
    let old = "old";
    for side in &mut script.sides {
        let first = side.text(&key(group, "a"));
        side.learn(&key(group, old), &first);
    }
    script.send("a", version, |side| fixed(side, group, "a"));
    joined(script, "it comes back", version, group, "a");
    described(script, group);
    script.at("a").ask("it came back", sync, |side| SyncGroupRequest {
        group_instance_id: Some("instance-a".into()),
        ..syncing(side, group, "a", &[])
    });
    // Its former self is fenced.
    for (member, instance) in
        [(old, Some("instance-a")), (old, None), ("a", Some("instance-a")), ("a", Some("x"))]
    {
        let who = format!("{member} as {instance:?}");
        let instance = || instance.map(str::to_owned);
        script.ask(&who, beat, |side| HeartbeatRequest {
            group_instance_id: instance(),
            ..beating(side, group, member)
        });
        script.ask(&who, sync, |side| SyncGroupRequest {
            group_instance_id: instance(),
            ..syncing(side, group, member, &[])
        });
    }
    script.ask("the former self joins", version, |side| JoinGroupRequest {
        member_id: id(side, group, old),
        ..fixed(side, group, "a")
    });
    script.ask("the former self leaves", leave, |side| LeaveGroupRequest {
        members: vec![
            identity(&id(side, group, old), Some("instance-a")),
            identity("", Some("instance-x")),
            identity("nobody", None),
        ],
        ..leaving_of(side, group, &[old])
    });
    script.at("a").ask("with other protocols", version, |side| JoinGroupRequest {
        protocols: vec![protocol("range", b"other"), protocol("sticky", b"")],
        ..fixed(side, group, "a")
    });
    described(script, group);
    script.ask("an instance leaves", leave, |side| LeaveGroupRequest {
        members: vec![identity("", Some("instance-a")), identity("", Some("instance-a"))],
        ..leaving_of(side, group, &[])
    });
    described(script, group);
    script.leave("a");
}

/// Who asks about groups that are not there, or have no name.
fn outsiders(script: &mut Script) {
    for group in ["outsiders-none", ""] {
        for member in ["", "nobody"] {
            let what = format!("the group '{group}', the member '{member}'");
            script.each(&what, |side, _| HeartbeatRequest {
                member_id: member.into(),
                ..beating(side, group, "")
            });
            script.each(&what, |side, _| SyncGroupRequest {
                member_id: member.into(),
                ..syncing(side, group, "", &[])
            });
            script.each(&what, |side, _| LeaveGroupRequest {
                member_id: member.into(),
                members: vec![identity(member, None)],
                ..leaving_of(side, group, &[])
            });
        }
        script
            .each(&format!("the group '{group}', nobody"), |side, _| leaving_of(side, group, &[]));
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
