//! Members of both protocols in one group: a group changes its kind with them.

use ottla::wire::messages::consumer_group_describe::ConsumerGroupDescribeRequest;
use ottla::wire::messages::describe_groups::DescribeGroupsRequest;
use ottla::wire::messages::heartbeat::HeartbeatRequest;
use ottla::wire::messages::join_group::{JoinGroupRequest, JoinGroupRequestProtocol};
use ottla::wire::messages::leave_group::LeaveGroupRequest;
use ottla::wire::messages::list_groups::ListGroupsRequest;
use ottla::wire::messages::sync_group::{SyncGroupRequest, SyncGroupRequestAssignment};

use super::{Group, joining};
use crate::groups::{beating, join, leaving_of, stable, syncing};
use crate::raw_client::Body;
use crate::script::Script;
use crate::side::Side;

const TOPIC: &str = "consumer-groups";

pub(super) fn run(script: &mut Script) {
    for version in 0..=9 {
        into_consumer_group(script, version);
        into_classic_group(script, version);
    }
    refused(script);
    strangers(script);
    empty(script);
}

/// A consumer's subscription to the topic, as it is in a join.
fn subscription(partitions: &[i32]) -> Vec<u8> {
    let owned = Body::default().i32(1).string(TOPIC).i32(partitions.len() as i32);
    let owned = partitions.iter().fold(owned, |body, partition| body.i32(*partition));
    Body::default().i16(1).i32(1).string(TOPIC).i32(-1).raw(&owned.0).0
}

/// A consumer's assignment of partitions of the topic, as its leader gives it.
fn assignment(partitions: &[i32]) -> Vec<u8> {
    let body = Body::default().i16(1).i32(1).string(TOPIC).i32(partitions.len() as i32);
    partitions.iter().fold(body, |body, partition| body.i32(*partition)).i32(-1).0
}

/// A classic member that owns partitions joins.
fn classic(side: &Side, group: &str, member: &str, owned: &[i32]) -> JoinGroupRequest {
    let metadata = subscription(owned).into();
    JoinGroupRequest {
        protocols: vec![JoinGroupRequestProtocol { name: "range".into(), metadata }],
        ..crate::groups::joining(side, group, member)
    }
}

fn described(script: &mut Script, group: &str, step: &str) {
    script.ask(step, 1, |_| ConsumerGroupDescribeRequest {
        group_ids: vec![group.into()],
        ..Default::default()
    });
    script.ask(step, 6, |_| DescribeGroupsRequest {
        groups: vec![group.into()],
        ..Default::default()
    });
}

/// Classic heartbeats until one is answered with this.
fn beats_until(script: &mut Script, step: &str, group: &str, member: &str, error_code: i16) {
    script.settle(
        step,
        4,
        |side| beating(side, group, member),
        |answer| answer.error_code == error_code,
    );
}

/// A classic member joins a consumer group, takes it over when the other leaves, and goes.
fn into_consumer_group(script: &mut Script, version: i16) {
    let mut group = Group::new(script, &format!("classic-{version}"), 1);
    let name = &group.name.clone();
    let sync = version.min(5);
    group.join("new", &[TOPIC], 2);
    group.own_all("new");
    let script = &mut *group.script;
    join(script, version, name, "old", |side| classic(side, name, "old", &[]));
    script.ask("before its partitions are free", sync, |side| syncing(side, name, "old", &[]));
    script.ask("before its partitions are free", 4, |side| beating(side, name, "old"));
    for off in [-1, 1] {
        script.ask(&format!("{off} generations off"), 4, |side| {
            let beat = beating(side, name, "old");
            HeartbeatRequest { generation_id: beat.generation_id + off, ..beat }
        });
        script.ask(&format!("{off} generations off"), sync, |side| {
            let sync = syncing(side, name, "old", &[]);
            SyncGroupRequest { generation_id: sync.generation_id + off, ..sync }
        });
    }
    group.follow("new");
    let script = &mut *group.script;
    beats_until(script, "its partitions are free", name, "old", 27);
    join(script, version, name, "old", |side| classic(side, name, "old", &[]));
    script.ask("with its partitions", sync, |side| syncing(side, name, "old", &[]));
    script.ask("with its partitions", 4, |side| beating(side, name, "old"));
    described(script, name, "members of both protocols");
    script.ask("members of both protocols", 5, |_| ListGroupsRequest::default());
    script.ask("another type", version, |side| JoinGroupRequest {
        protocol_type: "connect".into(),
        member_id: String::new(),
        ..classic(side, name, "old", &[])
    });
    script.ask("no topics that can be read", version, |side| JoinGroupRequest {
        protocols: vec![JoinGroupRequestProtocol {
            name: "range".into(),
            metadata: b"x".to_vec().into(),
        }],
        ..classic(side, name, "old", &[])
    });
    if version % 2 == 0 {
        script.ask("the classic member leaves", 5, |side| leaving_of(side, name, &["old"]));
        described(script, name, "the consumer member is left");
        group.follow("new");
        group.leave("new");
        group.script.leave("old");
        return;
    }
    group.leave("new");
    let script = &mut *group.script;
    described(script, name, "the classic member is left");
    beats_until(script, "the consumer member left", name, "old", 27);
    join(script, version, name, "old", |side| classic(side, name, "old", &[3, 4, 5]));
    script.ask("it leads", sync, |side| SyncGroupRequest {
        assignments: vec![SyncGroupRequestAssignment {
            member_id: side.text(&format!("{name}/old")),
            assignment: assignment(&[0, 1, 2, 3, 4, 5]).into(),
        }],
        ..syncing(side, name, "old", &[])
    });
    described(script, name, "a classic group again");
    script.ask("the classic member leaves", 5, |side| leaving_of(side, name, &["old"]));
    described(script, name, "nobody is left");
    script.leave("old");
}

/// A consumer member joins a classic group, which is a consumer group then.
fn into_classic_group(script: &mut Script, version: i16) {
    let mut group = Group::new(script, &format!("convert-{version}"), 1);
    let name = &group.name.clone();
    let sync = version.min(5);
    let script = &mut *group.script;
    join(script, version, name, "old", |side| classic(side, name, "old", &[]));
    script.ask("it leads", sync, |side| SyncGroupRequest {
        assignments: vec![SyncGroupRequestAssignment {
            member_id: side.text(&format!("{name}/old")),
            assignment: assignment(&[0, 1, 2, 3, 4, 5]).into(),
        }],
        ..syncing(side, name, "old", &[])
    });
    group.beat("a consumer member joins", "new", |_, beat| joining(beat, &[TOPIC]));
    described(group.script, name, "a consumer member joined");
    group.beat("it has to wait", "new", |_, _| {});
    let script = &mut *group.script;
    beats_until(script, "a rebalance", name, "old", 27);
    join(script, version, name, "old", |side| classic(side, name, "old", &[0, 1, 2, 3, 4, 5]));
    script.ask("what is left for it", sync, |side| syncing(side, name, "old", &[]));
    described(script, name, "the classic member is told to give up some");
    script.ask("before it gave up some", 4, |side| beating(side, name, "old"));
    join(script, version, name, "old", |side| classic(side, name, "old", &[0, 1, 2]));
    script.ask("it gave up some", sync, |side| syncing(side, name, "old", &[]));
    group.settle(
        "what was given up",
        "new",
        |_, _| {},
        |answer| answer.assignment.iter().any(|some| !some.topic_partitions.is_empty()),
    );
    group.own_all("new");
    described(group.script, name, "members of both protocols");
    group.script.ask("the classic member leaves", 5, |side| leaving_of(side, name, &["old"]));
    group.follow("new");
    described(group.script, name, "the consumer member is left");
    group.leave("new");
    group.script.leave("old");
}

/// Members that a group does not take.
fn refused(script: &mut Script) {
    // Its assignment is none that can be read.
    stable(script, 9, "consumer-strange");
    for version in 0..=1 {
        for name in ["consumer-strange", "consumer-connect"] {
            if name == "consumer-connect" {
                let change = |side: &Side| JoinGroupRequest {
                    protocol_type: "connect".into(),
                    ..crate::groups::joining(side, name, "a")
                };
                join(script, 9, name, "a", change);
            }
            script.ask(&format!("a consumer member joins {name}"), version, |side| {
                super::beating(name, "new", |_, beat| joining(beat, &[TOPIC]))(side)
            });
            for epoch in [1, -1, -2] {
                script.ask(&format!("epoch {epoch} in {name}"), version, |side| {
                    super::beating(name, "new", |_, beat| {
                        beat.member_epoch = epoch;
                        beat.instance_id = Some("instance".into());
                    })(side)
                });
            }
            described(script, name, "after a consumer member");
        }
    }
    let mut group = Group::new(script, "unmixed", 1);
    let name = &group.name.clone();
    group.join("new", &[TOPIC], 2);
    for version in 0..=9 {
        let mut refuse = |step: &str, change: &dyn Fn(&mut JoinGroupRequest)| {
            group.script.ask(step, version, |side| {
                let mut request = classic(side, name, "nobody", &[]);
                change(&mut request);
                request
            });
        };
        refuse("another type, into a consumer group", &|request| {
            request.protocol_type = "connect".into();
        });
        refuse("no protocols, into a consumer group", &|request| request.protocols.clear());
        refuse("a subscription that cannot be read", &|request| {
            request.protocols[0].metadata = b"x".to_vec().into();
        });
        refuse("a short session", &|request| request.session_timeout_ms = 1);
        refuse("the id of a consumer member", &|request| request.member_id = "new".into());
    }
    for member in ["new", "nobody", ""] {
        let step = &format!("'{member}' by the classic protocol");
        group.script.each(step, |side, _| HeartbeatRequest {
            member_id: member.into(),
            generation_id: 2,
            ..beating(side, name, "")
        });
        group.script.each(step, |side, _| SyncGroupRequest {
            member_id: member.into(),
            generation_id: 2,
            ..syncing(side, name, "", &[])
        });
        group.script.each(step, |side, _| LeaveGroupRequest {
            member_id: member.into(),
            ..leaving_of(side, name, &[])
        });
    }
    group.describe("after classic requests");
    group.leave("new");
    group.script.leave("a");
}

/// A classic member with an id that a consumer group did not give it.
fn strangers(script: &mut Script) {
    for version in 0..=9 {
        let mut group = Group::new(script, &format!("stranger-{version}"), 1);
        let name = &group.name.clone();
        group.join("new", &[TOPIC], 2);
        let answers = group.script.ask("an id that was not given", version, |side| {
            JoinGroupRequest { member_id: "nobody".into(), ..classic(side, name, "nobody", &[]) }
        });
        group
            .script
            .learn(&super::key(name, "nobody"), &answers, |answer| answer.member_id.clone());
        described(group.script, name, "a stranger");
        group.leave("new");
        group.script.ask("a stranger leaves", 5, |side| leaving_of(side, name, &["nobody"]));
        described(group.script, name, "nobody is left");
    }
}

/// Groups without members change their kind with the first one.
fn empty(script: &mut Script) {
    let classic_first = "consumer-was-classic";
    stable(script, 9, classic_first);
    script.ask("it leaves", 5, |side| leaving_of(side, classic_first, &["a"]));
    script.ask("a consumer member joins an empty classic group", 1, |side| {
        super::beating(classic_first, "new", |_, beat| joining(beat, &[TOPIC]))(side)
    });
    described(script, classic_first, "it was a classic group");
    let offsets = "consumer-was-offsets";
    script.ask("a group of offsets", 9, |side| {
        crate::offsets::committing(side, 9, offsets, &[(TOPIC, &[(0, 1)])])
    });
    script.ask("a consumer member joins a group of offsets", 1, |side| {
        super::beating(offsets, "new", |_, beat| joining(beat, &[TOPIC]))(side)
    });
    described(script, offsets, "it was a group of offsets");
    crate::offsets::fetched(script, offsets);
    let mut group = Group::new(script, "was-consumer", 1);
    let name = &group.name.clone();
    group.join("new", &[TOPIC], 2);
    group.leave("new");
    join(group.script, 9, name, "old", |side| classic(side, name, "old", &[]));
    described(group.script, name, "it was a consumer group");
    for connection in ["a", "old"] {
        group.script.leave(connection);
    }
}
