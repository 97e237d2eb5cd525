//! `SyncGroup`: the leader's assignment reaches everyone.

use ottla::wire::Message;
use ottla::wire::messages::sync_group::{SyncGroupRequest, SyncGroupResponse};

use super::client::Target;
use super::errors::{
    ILLEGAL_GENERATION, INCONSISTENT_GROUP_PROTOCOL, INVALID_GROUP_ID, REBALANCE_IN_PROGRESS,
    UNKNOWN_MEMBER_ID, UNKNOWN_SERVER_ERROR,
};
use super::groups::{
    Member, PROTOCOL, SYNC, TYPE, assignments, await_state, completing, describe, group, stable,
};
use crate::broker::against_kafka;

checks![
    every_version_syncs,
    followers_wait_for_the_leader,
    a_follower_brings_no_assignment,
    who_is_not_assigned_anything_gets_nothing,
    the_last_assignment_for_a_member_counts,
    syncing_again_gives_the_same,
    a_stable_group_keeps_its_assignment,
    a_second_sync_takes_the_place_of_a_waiting_one,
    an_assignment_too_large_for_the_log_begins_a_rebalance,
    a_rebalance_ends_the_wait,
    who_leaves_ends_its_own_wait,
    during_a_rebalance_there_is_no_assignment,
    a_wrong_generation_is_refused,
    an_unknown_member_is_refused,
    without_a_group_members_are_unknown,
    a_group_has_a_name,
    protocols_are_compared_from_version_5_on,
];

fn versions() -> impl Iterator<Item = i16> {
    SyncGroupRequest::VERSIONS
}

fn assert_refused(response: &SyncGroupResponse, error: i16, version: i16) {
    let expected = SyncGroupResponse { error_code: error, ..SyncGroupResponse::default() };
    assert_eq!(response, &expected, "version {version}");
}

fn assigned(assignment: &[u8], version: i16) -> SyncGroupResponse {
    SyncGroupResponse {
        protocol_type: (version >= 5).then(|| TYPE.into()),
        protocol_name: (version >= 5).then(|| PROTOCOL.into()),
        assignment: assignment.to_vec().into(),
        ..SyncGroupResponse::default()
    }
}

fn every_version_syncs(target: &Target) {
    for version in versions() {
        let members = completing(target, 1);
        let request = SyncGroupRequest {
            assignments: assignments(&[(members[0].id(), b"all")]),
            ..members[0].syncing()
        };
        assert_eq!(target.call(&request, version), assigned(b"all", version), "version {version}");
        assert_eq!(describe(target, members[0].group(), 0).group_state, "Stable");
    }
}

fn followers_wait_for_the_leader(target: &Target) {
    for version in versions() {
        let mut members = completing(target, 2);
        let mut follower = target.client();
        follower.send(&members[1].syncing(), version);
        assert!(follower.is_silent(), "version {version}");
        let id = members[1].id().clone();
        assert_eq!(members[0].assign(&[(&id, b"half")]), assigned(b"", SYNC));
        let response = follower.receive::<SyncGroupRequest>(version).1;
        assert_eq!(response, assigned(b"half", version), "version {version}");
    }
}

fn a_follower_brings_no_assignment(target: &Target) {
    let mut members = completing(target, 2);
    let id = members[1].id().clone();
    let mut follower = target.client();
    let greedy =
        SyncGroupRequest { assignments: assignments(&[(&id, b"all")]), ..members[1].syncing() };
    follower.send(&greedy, SYNC);
    assert!(follower.is_silent());
    let _ = members[0].assign(&[(&id, b"some")]);
    assert_eq!(follower.receive::<SyncGroupRequest>(SYNC).1, assigned(b"some", SYNC));
}

fn who_is_not_assigned_anything_gets_nothing(target: &Target) {
    let mut members = completing(target, 2);
    members[1].send_sync();
    // Nor is it an error to assign to somebody unknown.
    assert_eq!(members[0].assign(&[("nobody", b"all")]), assigned(b"", SYNC));
    assert_eq!(members[1].synced(), assigned(b"", SYNC));
}

fn the_last_assignment_for_a_member_counts(target: &Target) {
    let mut members = completing(target, 1);
    let id = members[0].id().clone();
    let response = members[0].assign(&[(&id, b"first"), (&id, b"last")]);
    assert_eq!(response, assigned(b"last", SYNC));
}

fn syncing_again_gives_the_same(target: &Target) {
    let members = stable(target, 2);
    for version in versions() {
        for member in &members {
            let response = target.call(&member.syncing(), version);
            assert_eq!(response, assigned(member.id().as_bytes(), version), "version {version}");
        }
    }
}

fn a_stable_group_keeps_its_assignment(target: &Target) {
    let mut members = stable(target, 1);
    let id = members[0].id().clone();
    assert_eq!(members[0].assign(&[(&id, b"other")]), assigned(id.as_bytes(), SYNC));
}

fn a_second_sync_takes_the_place_of_a_waiting_one(target: &Target) {
    let mut members = completing(target, 2);
    members[1].send_sync();
    assert!(members[1].waits());
    let mut again = target.client();
    again.send(&members[1].syncing(), SYNC);
    assert!(again.is_silent());
    let id = members[1].id().clone();
    let _ = members[0].assign(&[(&id, b"half")]);
    assert_eq!(again.receive::<SyncGroupRequest>(SYNC).1, assigned(b"half", SYNC));
    if against_kafka() {
        // It forgets the first.
        assert!(members[1].waits());
    } else {
        assert_refused(&members[1].synced(), REBALANCE_IN_PROGRESS, SYNC);
    }
}

fn an_assignment_too_large_for_the_log_begins_a_rebalance(target: &Target) {
    let mut members = completing(target, 2);
    members[1].send_sync();
    assert!(members[1].waits());
    let assignments = assignments(&[(members[1].id(), &vec![0; 1 << 20])]);
    let request = SyncGroupRequest { assignments, ..members[0].syncing() };
    assert_refused(&target.call(&request, SYNC), UNKNOWN_SERVER_ERROR, SYNC);
    assert_refused(&members[1].synced(), UNKNOWN_SERVER_ERROR, SYNC);
    assert_eq!(members[0].heartbeat(), REBALANCE_IN_PROGRESS);
    members[0].begin_rebalance(target);
    assert_eq!(members[1].join().generation_id, 3);
}

fn a_rebalance_ends_the_wait(target: &Target) {
    let mut members = completing(target, 2);
    members[1].send_sync();
    assert!(members[1].waits());
    let mut new = Member::pending(target, members[0].group());
    new.begin_rebalance(target);
    assert_refused(&members[1].synced(), REBALANCE_IN_PROGRESS, SYNC);
}

fn who_leaves_ends_its_own_wait(target: &Target) {
    let mut members = completing(target, 3);
    members[1].send_sync();
    members[2].send_sync();
    assert!(members[1].waits() && members[2].waits());
    members[1].leave(target);
    if against_kafka() {
        // It forgets the request of whoever is gone.
        assert!(members[1].waits());
    } else {
        assert_refused(&members[1].synced(), UNKNOWN_MEMBER_ID, SYNC);
    }
    assert_refused(&members[2].synced(), REBALANCE_IN_PROGRESS, SYNC);
}

fn during_a_rebalance_there_is_no_assignment(target: &Target) {
    let mut members = stable(target, 2);
    members[0].begin_rebalance(target);
    for version in versions() {
        for member in &members {
            let response = target.call(&member.syncing(), version);
            assert_refused(&response, REBALANCE_IN_PROGRESS, version);
        }
    }
}

fn a_wrong_generation_is_refused(target: &Target) {
    for members in [completing(target, 1), stable(target, 1)] {
        for version in versions() {
            for generation_id in [0, 2, -1] {
                let request = SyncGroupRequest { generation_id, ..members[0].syncing() };
                assert_refused(&target.call(&request, version), ILLEGAL_GENERATION, version);
            }
        }
    }
}

fn an_unknown_member_is_refused(target: &Target) {
    let members = stable(target, 1);
    let pending = Member::pending(target, members[0].group());
    for version in versions() {
        for member_id in ["nobody", "", pending.id()] {
            let request = SyncGroupRequest { member_id: member_id.into(), ..members[0].syncing() };
            assert_refused(&target.call(&request, version), UNKNOWN_MEMBER_ID, version);
        }
    }
    members[0].leave(target);
    pending.leave(target);
    await_state(target, members[0].group(), "Empty");
    for version in versions() {
        let response = target.call(&members[0].syncing(), version);
        assert_refused(&response, UNKNOWN_MEMBER_ID, version);
    }
}

fn without_a_group_members_are_unknown(target: &Target) {
    let group_id = group(target);
    for version in versions() {
        let request = SyncGroupRequest {
            group_id: group_id.clone(),
            protocol_type: Some(TYPE.into()),
            protocol_name: Some(PROTOCOL.into()),
            ..SyncGroupRequest::default()
        };
        assert_refused(&target.call(&request, version), UNKNOWN_MEMBER_ID, version);
    }
    assert_eq!(describe(target, &group_id, 0).group_state, "Dead");
}

fn a_group_has_a_name(target: &Target) {
    for version in versions() {
        let request = SyncGroupRequest {
            protocol_type: Some(TYPE.into()),
            protocol_name: Some(PROTOCOL.into()),
            ..SyncGroupRequest::default()
        };
        assert_refused(&target.call(&request, version), INVALID_GROUP_ID, version);
    }
}

fn protocols_are_compared_from_version_5_on(target: &Target) {
    let members = stable(target, 1);
    let with = |protocol_type: Option<&str>, protocol_name: Option<&str>| SyncGroupRequest {
        protocol_type: protocol_type.map(Into::into),
        protocol_name: protocol_name.map(Into::into),
        ..members[0].syncing()
    };
    let wrong = [
        with(Some("connect"), Some(PROTOCOL)),
        with(Some(TYPE), Some("other")),
        with(Some(""), Some("")),
        with(None, Some(PROTOCOL)),
        with(Some(TYPE), None),
        with(None, None),
    ];
    for request in &wrong {
        assert_refused(&target.call(request, 5), INCONSISTENT_GROUP_PROTOCOL, 5);
        for version in 0..5 {
            let response = target.call(request, version);
            assert_eq!(response, assigned(members[0].id().as_bytes(), version));
        }
    }
    // That one is missing is seen before anything else, that one differs after everything else.
    let nowhere = |request: &SyncGroupRequest| SyncGroupRequest {
        group_id: String::new(),
        ..request.clone()
    };
    assert_refused(&target.call(&nowhere(&wrong[5]), 5), INCONSISTENT_GROUP_PROTOCOL, 5);
    assert_refused(&target.call(&nowhere(&wrong[0]), 5), INVALID_GROUP_ID, 5);
    let stale = SyncGroupRequest { generation_id: 7, ..wrong[0].clone() };
    assert_refused(&target.call(&stale, 5), ILLEGAL_GENERATION, 5);
}
