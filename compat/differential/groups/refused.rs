//! What members, strangers and those who join must not say.

use ottla::wire::messages::heartbeat::HeartbeatRequest;
use ottla::wire::messages::join_group::JoinGroupRequest;
use ottla::wire::messages::leave_group::{LeaveGroupRequest, MemberIdentity};
use ottla::wire::messages::sync_group::SyncGroupRequest;

use super::{
    ID_FIRST, SUBSCRIPTION, beating, described, identity, joining, leaving_of, protocol, syncing,
};
use crate::script::Script;

/// What a member of a stable group of two must not say.
pub(super) fn of_stable(script: &mut Script, group: &str, version: i16) {
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

pub(super) fn joins(script: &mut Script, version: i16) {
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

/// Who asks about groups that are not there, or have no name.
pub(super) fn outsiders(script: &mut Script) {
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
