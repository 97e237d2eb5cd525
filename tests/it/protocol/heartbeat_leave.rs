//! `Heartbeat` and `LeaveGroup`.

use ottla::wire::Message;
use ottla::wire::messages::heartbeat::{HeartbeatRequest, HeartbeatResponse};
use ottla::wire::messages::leave_group::{
    LeaveGroupRequest, LeaveGroupResponse, MemberIdentity, MemberResponse,
};

use super::client::Target;
use super::errors::{
    ILLEGAL_GENERATION, INVALID_GROUP_ID, REBALANCE_IN_PROGRESS, UNKNOWN_MEMBER_ID,
};
use super::groups::{Member, await_state, completing, describe, group, leave, stable};

checks![
    heartbeats_are_answered_by_the_state_of_the_group,
    a_heartbeat_names_its_generation,
    a_heartbeat_of_nobody_is_refused,
    a_heartbeat_names_a_group,
    one_member_leaves_at_the_top_until_version_2,
    an_unknown_member_cannot_leave_at_the_top,
    several_members_leave_from_version_3_on,
    each_member_that_leaves_has_an_error_of_its_own,
    leaving_twice_in_one_request_is_once_too_often,
    nobody_may_leave,
    a_pending_member_leaves,
    the_last_member_leaves_an_empty_group,
    leaving_a_group_that_is_not_there,
    leaving_names_a_group,
];

fn assert_answers(target: &Target, request: &HeartbeatRequest, error_code: i16) {
    for version in HeartbeatRequest::VERSIONS {
        let response = target.call(request, version);
        let expected = HeartbeatResponse { error_code, ..HeartbeatResponse::default() };
        assert_eq!(response, expected, "version {version}");
    }
}

fn heartbeats_are_answered_by_the_state_of_the_group(target: &Target) {
    let mut members = completing(target, 2);
    // Members may send them before they have asked for their assignment.
    for member in &members {
        assert_answers(target, &member.beat(), 0);
    }
    let _ = members[0].assign(&[]);
    for member in &members {
        assert_answers(target, &member.beat(), 0);
    }
    members[0].begin_rebalance(target);
    for member in &members {
        assert_answers(target, &member.beat(), REBALANCE_IN_PROGRESS);
    }
    for member in &members {
        member.leave(target);
    }
    await_state(target, members[0].group(), "Empty");
    assert_answers(target, &members[0].beat(), UNKNOWN_MEMBER_ID);
}

fn a_heartbeat_names_its_generation(target: &Target) {
    let mut members = stable(target, 1);
    for generation_id in [0, 2, -1] {
        let request = HeartbeatRequest { generation_id, ..members[0].beat() };
        assert_answers(target, &request, ILLEGAL_GENERATION);
    }
    // Also while members join anew: the generation is the old one.
    let mut new = Member::pending(target, members[0].group());
    new.begin_rebalance(target);
    assert_eq!(members[0].heartbeat(), REBALANCE_IN_PROGRESS);
    let request = HeartbeatRequest { generation_id: 2, ..members[0].beat() };
    assert_answers(target, &request, ILLEGAL_GENERATION);
}

fn a_heartbeat_of_nobody_is_refused(target: &Target) {
    let members = stable(target, 1);
    let pending = Member::pending(target, members[0].group());
    for member_id in ["nobody", "", pending.id()] {
        // Whoever is unknown has no generation either.
        for generation_id in [1, 7] {
            let member_id = member_id.into();
            let request = HeartbeatRequest { member_id, generation_id, ..members[0].beat() };
            assert_answers(target, &request, UNKNOWN_MEMBER_ID);
        }
    }
    let group_id = group(target);
    let request = HeartbeatRequest { group_id: group_id.clone(), ..members[0].beat() };
    assert_answers(target, &request, UNKNOWN_MEMBER_ID);
    assert_eq!(describe(target, &group_id, 0).group_state, "Dead");
}

fn a_heartbeat_names_a_group(target: &Target) {
    assert_answers(target, &HeartbeatRequest::default(), INVALID_GROUP_ID);
}

/// Leaves as versions 0 to 2 have it.
fn leave_alone(target: &Target, group: &str, member_id: &str, version: i16) -> i16 {
    let request = LeaveGroupRequest {
        group_id: group.into(),
        member_id: member_id.into(),
        ..LeaveGroupRequest::default()
    };
    let LeaveGroupResponse { throttle_time_ms, error_code, members } =
        target.call(&request, version);
    assert_eq!((throttle_time_ms, members), (0, vec![]), "version {version}");
    error_code
}

fn one_member_leaves_at_the_top_until_version_2(target: &Target) {
    for version in 0..=2 {
        let mut members = stable(target, 2);
        let error = leave_alone(target, members[0].group(), members[1].id(), version);
        assert_eq!(error, 0, "version {version}");
        assert_eq!(members[0].heartbeat(), REBALANCE_IN_PROGRESS);
        assert_eq!(members[1].heartbeat(), UNKNOWN_MEMBER_ID);
    }
}

fn an_unknown_member_cannot_leave_at_the_top(target: &Target) {
    let members = stable(target, 1);
    for version in 0..=2 {
        for member_id in ["nobody", ""] {
            let error = leave_alone(target, members[0].group(), member_id, version);
            assert_eq!(error, UNKNOWN_MEMBER_ID, "version {version}");
        }
        let error = leave_alone(target, &group(target), "nobody", version);
        assert_eq!(error, UNKNOWN_MEMBER_ID, "version {version}");
    }
}

fn named(member_id: &str) -> MemberIdentity {
    MemberIdentity { member_id: member_id.into(), ..MemberIdentity::default() }
}

fn answer(member_id: &str, error_code: i16) -> MemberResponse {
    MemberResponse { member_id: member_id.into(), group_instance_id: None, error_code }
}

fn several_members_leave_from_version_3_on(target: &Target) {
    for version in 3..=5 {
        let mut members = stable(target, 3);
        let mut leaving = [members[1].identity(), members[2].identity()];
        if version >= 5 {
            leaving[0].reason = Some("a reason".into());
        }
        let left = leave(target, members[0].group(), &leaving, version);
        let expected = [answer(members[1].id(), 0), answer(members[2].id(), 0)];
        assert_eq!(left, expected, "version {version}");
        assert_eq!(members[0].join().members.len(), 1, "version {version}");
    }
}

fn each_member_that_leaves_has_an_error_of_its_own(target: &Target) {
    for version in 3..=5 {
        let mut members = stable(target, 2);
        let leaving = [named("nobody"), members[1].identity(), named("")];
        let left = leave(target, members[0].group(), &leaving, version);
        let expected = [
            answer("nobody", UNKNOWN_MEMBER_ID),
            answer(members[1].id(), 0),
            answer("", UNKNOWN_MEMBER_ID),
        ];
        assert_eq!(left, expected, "version {version}");
        assert_eq!(members[0].heartbeat(), REBALANCE_IN_PROGRESS);
    }
}

fn leaving_twice_in_one_request_is_once_too_often(target: &Target) {
    let members = stable(target, 1);
    let leaving = [members[0].identity(), members[0].identity()];
    let left = leave(target, members[0].group(), &leaving, 5);
    let id = members[0].id();
    assert_eq!(left, [answer(id, 0), answer(id, UNKNOWN_MEMBER_ID)]);
}

fn nobody_may_leave(target: &Target) {
    let mut members = stable(target, 1);
    for version in 3..=5 {
        assert_eq!(leave(target, members[0].group(), &[], version), []);
        assert_eq!(leave(target, &group(target), &[], version), []);
    }
    assert_eq!(members[0].heartbeat(), 0);
}

fn a_pending_member_leaves(target: &Target) {
    let mut members = stable(target, 1);
    for version in 0..=5 {
        let pending = Member::pending(target, members[0].group());
        if version <= 2 {
            assert_eq!(leave_alone(target, members[0].group(), pending.id(), version), 0);
        } else {
            // An instance id is not looked at.
            let group_instance_id = Some("instance".into());
            let identity = MemberIdentity { group_instance_id, ..pending.identity() };
            let left = leave(target, members[0].group(), &[identity], version);
            let expected = MemberResponse {
                group_instance_id: Some("instance".into()),
                ..answer(pending.id(), 0)
            };
            assert_eq!(left, [expected], "version {version}");
        }
        let response = target.call(&pending.joining, 9);
        assert_eq!(response.error_code, UNKNOWN_MEMBER_ID);
        // Although nothing changes for those who are members, they join anew.
        assert_eq!(members[0].heartbeat(), REBALANCE_IN_PROGRESS, "version {version}");
        assert_eq!(members[0].join().members.len(), 1, "version {version}");
    }
}

fn the_last_member_leaves_an_empty_group(target: &Target) {
    for version in 3..=5 {
        let members = stable(target, 2);
        let leaving = [members[0].identity(), members[1].identity()];
        leave(target, members[0].group(), &leaving, version);
        await_state(target, members[0].group(), "Empty");
    }
}

fn leaving_a_group_that_is_not_there(target: &Target) {
    for version in 3..=5 {
        let instance = MemberIdentity { group_instance_id: Some("instance".into()), ..named("") };
        let left = leave(target, &group(target), &[named("nobody"), instance], version);
        let expected = [
            answer("nobody", UNKNOWN_MEMBER_ID),
            MemberResponse {
                group_instance_id: Some("instance".into()),
                ..answer("", UNKNOWN_MEMBER_ID)
            },
        ];
        assert_eq!(left, expected, "version {version}");
    }
}

fn leaving_names_a_group(target: &Target) {
    for version in 0..=5 {
        let members = vec![named("nobody")];
        let request = LeaveGroupRequest { members, ..LeaveGroupRequest::default() };
        let response = target.call(&request, version);
        let expected =
            LeaveGroupResponse { error_code: INVALID_GROUP_ID, ..LeaveGroupResponse::default() };
        assert_eq!(response, expected, "version {version}");
    }
}
