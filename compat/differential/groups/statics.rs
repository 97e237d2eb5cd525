//! Members with an instance id.

use ottla::wire::messages::heartbeat::HeartbeatRequest;
use ottla::wire::messages::join_group::JoinGroupRequest;
use ottla::wire::messages::leave_group::LeaveGroupRequest;
use ottla::wire::messages::sync_group::SyncGroupRequest;

use super::{
    beating, described, id, identity, joined, joining, key, leaving_of, protocol, syncing,
};
use crate::script::Script;
use crate::side::Side;

fn fixed(side: &Side, group: &str, member: &str) -> JoinGroupRequest {
    JoinGroupRequest {
        member_id: String::new(),
        group_instance_id: Some(format!("instance-{member}")),
        ..joining(side, group, member)
    }
}

/// A static member comes, comes back and is taken out.
pub(super) fn life(script: &mut Script, version: i16) {
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
