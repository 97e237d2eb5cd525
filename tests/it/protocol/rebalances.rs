//! How several members of a group join: who waits for whom, and what they are told.

use ottla::wire::messages::join_group::{
    JoinGroupRequest, JoinGroupRequestProtocol, JoinGroupResponse,
};

use super::client::Target;
use super::errors::{REBALANCE_IN_PROGRESS, UNKNOWN_MEMBER_ID};
use super::groups::{
    JOIN, METADATA, Member, PROTOCOL, TYPE, await_state, completing, describe, group, joining,
    protocol, rebalance, stable,
};
use crate::broker::against_kafka;

checks![
    only_the_leader_learns_the_members,
    a_newcomer_waits_for_the_others,
    a_newcomer_that_leaves_ends_the_wait,
    a_pending_member_is_waited_for,
    a_pending_member_that_leaves_ends_the_wait,
    the_first_generation_does_not_wait_for_pending_members,
    joining_again_before_the_assignment_says_the_same_again,
    joining_with_other_metadata_before_the_assignment_begins_again,
    a_follower_that_joins_again_is_told_the_same,
    a_follower_with_other_metadata_begins_a_rebalance,
    a_leader_that_joins_again_begins_a_rebalance,
    a_second_join_takes_the_place_of_a_waiting_one,
    nobody_rejoins_an_empty_group,
    a_protocol_that_all_support_wins_by_votes,
    a_tie_of_votes_does_not_go_by_order,
    what_a_member_supports_may_change,
    a_new_leader_is_found_for_one_that_left,
    every_generation_has_the_next_number,
];

/// The members as the leader is told them, by id.
fn told(response: &JoinGroupResponse) -> Vec<(&str, &[u8])> {
    let mut members: Vec<_> = response
        .members
        .iter()
        .map(|member| (member.member_id.as_str(), &member.metadata[..]))
        .collect();
    members.sort_unstable();
    members
}

/// What the leader is told of members that joined with [`METADATA`].
fn with_same_metadata(members: &[Member]) -> Vec<(&str, &[u8])> {
    let mut told: Vec<_> = members.iter().map(|it| (it.id().as_str(), METADATA)).collect();
    told.sort_unstable();
    told
}

/// What a follower of `leader` is told.
fn follows(leader: &Member, member: &Member) -> JoinGroupResponse {
    JoinGroupResponse {
        generation_id: leader.generation,
        protocol_type: Some(TYPE.into()),
        protocol_name: Some(PROTOCOL.into()),
        leader: leader.id().clone(),
        member_id: member.id().clone(),
        ..JoinGroupResponse::default()
    }
}

fn with_metadata(metadata: &[u8]) -> Vec<JoinGroupRequestProtocol> {
    vec![protocol(PROTOCOL, metadata)]
}

/// Metadata for a consumer, apart from [`METADATA`].
const OTHER_METADATA: &[u8] = b"\0\0\0\0\0\0\0\0\0\x01x";

fn only_the_leader_learns_the_members(target: &Target) {
    let group = group(target);
    let mut leader = Member::alone(target, &group);
    let mut other = Member::pending(target, &group);
    other.joining.protocols = with_metadata(OTHER_METADATA);
    let told_each = rebalance(target, &mut [&mut other, &mut leader]);
    assert_eq!(told_each[0], follows(&leader, &other));
    let mut expected = [(leader.id().as_str(), METADATA), (other.id().as_str(), OTHER_METADATA)];
    expected.sort_unstable();
    assert_eq!(told(&told_each[1]), expected);
    let members = told_each[1].members.clone();
    assert_eq!(told_each[1], JoinGroupResponse { members, ..follows(&leader, &leader) });
    assert_eq!((leader.generation, other.generation), (2, 2));
}

fn a_newcomer_waits_for_the_others(target: &Target) {
    let mut members = stable(target, 2);
    let mut new = Member::pending(target, members[0].group());
    new.begin_rebalance(target);
    assert_eq!(members[0].heartbeat(), REBALANCE_IN_PROGRESS);
    members[0].send_join();
    assert!(members[0].waits() && new.waits());
    members[1].send_join();
    let told_leader = members[0].joined();
    new.joined();
    members[1].joined();
    assert_eq!(told(&told_leader).len(), 3);
}

fn a_newcomer_that_leaves_ends_the_wait(target: &Target) {
    let mut members = stable(target, 1);
    let mut new = Member::pending(target, members[0].group());
    new.begin_rebalance(target);
    new.leave(target);
    let refused = new.join_outcome();
    assert_eq!((refused.error_code, refused.member_id.as_str()), (UNKNOWN_MEMBER_ID, ""));
    assert_eq!((refused.generation_id, refused.protocol_name), (-1, None));
    // The rebalance goes on with who is left.
    assert_eq!(members[0].heartbeat(), REBALANCE_IN_PROGRESS);
    assert_eq!(members[0].join().generation_id, 2);
}

fn a_pending_member_is_waited_for(target: &Target) {
    let mut members = stable(target, 1);
    let mut pending = Member::pending(target, members[0].group());
    assert_eq!(members[0].heartbeat(), 0);
    members[0].begin_rebalance(target);
    pending.send_join();
    let told_leader = members[0].joined();
    pending.joined();
    assert_eq!(told(&told_leader).len(), 2);
}

fn a_pending_member_that_leaves_ends_the_wait(target: &Target) {
    let mut members = stable(target, 1);
    let pending = Member::pending(target, members[0].group());
    members[0].begin_rebalance(target);
    pending.leave(target);
    assert_eq!(told(&members[0].joined()).len(), 1);
}

fn the_first_generation_does_not_wait_for_pending_members(target: &Target) {
    let group = group(target);
    let pending = [Member::pending(target, &group), Member::pending(target, &group)];
    let member = Member::alone(target, &group);
    assert_eq!(member.generation, 1);
    let members = describe(target, &group, 5).members;
    assert_eq!(members.len(), 1, "{pending:?} {members:?}");
}

fn joining_again_before_the_assignment_says_the_same_again(target: &Target) {
    let mut members = completing(target, 2);
    let generation = members[0].generation;
    let again = members[0].join();
    assert_eq!(told(&again).len(), 2);
    assert_eq!(again.leader, *members[0].id());
    let again = members[1].join();
    assert_eq!(again, follows(&members[0], &members[1]));
    assert_eq!((members[0].generation, members[1].generation), (generation, generation));
    assert_eq!(describe(target, members[0].group(), 5).group_state, "CompletingRebalance");
}

fn joining_with_other_metadata_before_the_assignment_begins_again(target: &Target) {
    let mut members = completing(target, 3);
    members[2].send_sync();
    assert!(members[2].waits());
    members[1].joining.protocols = with_metadata(OTHER_METADATA);
    members[1].send_join();
    assert_eq!(members[2].synced().error_code, REBALANCE_IN_PROGRESS);
    assert!(members[1].waits());
    members[0].send_join();
    members[2].send_join();
    let told_leader = members[0].joined();
    assert!(told(&told_leader).contains(&(members[1].id().as_str(), OTHER_METADATA)));
    assert_eq!(members[1].joined().generation_id, 3);
    assert_eq!(members[2].joined().generation_id, 3);
}

fn a_follower_that_joins_again_is_told_the_same(target: &Target) {
    let mut members = stable(target, 2);
    assert_eq!(members[1].join(), follows(&members[0], &members[1]));
    assert_eq!(describe(target, members[0].group(), 5).group_state, "Stable");
}

fn a_follower_with_other_metadata_begins_a_rebalance(target: &Target) {
    let mut members = stable(target, 2);
    members[1].joining.protocols = with_metadata(OTHER_METADATA);
    members[1].begin_rebalance(target);
    assert_eq!(members[0].heartbeat(), REBALANCE_IN_PROGRESS);
    assert_eq!(told(&members[0].join()).len(), 2);
    assert_eq!(members[1].joined().generation_id, 3);
    // The times are no part of what is compared.
    let mut members = stable(target, 2);
    members[1].joining.session_timeout_ms = 20_000;
    members[1].joining.rebalance_timeout_ms = 20_000;
    assert_eq!(members[1].join(), follows(&members[0], &members[1]));
}

fn a_leader_that_joins_again_begins_a_rebalance(target: &Target) {
    let mut members = stable(target, 2);
    members[0].begin_rebalance(target);
    assert_eq!(members[1].heartbeat(), REBALANCE_IN_PROGRESS);
    members[1].join();
    assert_eq!(told(&members[0].joined()), with_same_metadata(&members));
    // Alone it need not wait.
    let mut members = stable(target, 1);
    assert_eq!(members[0].join().generation_id, 2);
}

fn a_second_join_takes_the_place_of_a_waiting_one(target: &Target) {
    let mut members = stable(target, 2);
    members[0].begin_rebalance(target);
    let mut again = target.client();
    again.send(&members[0].joining, JOIN);
    if against_kafka() {
        // It forgets the first.
        assert!(members[0].waits());
    } else {
        assert_eq!(members[0].join_outcome().error_code, REBALANCE_IN_PROGRESS);
    }
    members[1].join();
    let told_leader = again.receive::<JoinGroupRequest>(JOIN).1;
    assert_eq!(told(&told_leader), with_same_metadata(&members));
}

fn nobody_rejoins_an_empty_group(target: &Target) {
    let members = stable(target, 1);
    members[0].leave(target);
    for version in 0..=JOIN {
        let response = target.call(&members[0].joining, version);
        assert_eq!(response.error_code, UNKNOWN_MEMBER_ID, "version {version}");
        assert_eq!(response.member_id, *members[0].id());
    }
}

fn a_protocol_that_all_support_wins_by_votes(target: &Target) {
    let group = group(target);
    let with = |names: &[&str]| JoinGroupRequest {
        protocols: names.iter().map(|name| protocol(name, name.as_bytes())).collect(),
        protocol_type: "connect".into(),
        ..joining(&group)
    };
    let mut first = Member::alone_with(target, with(&["lonely", "a", "b"]));
    assert_eq!(first.join().protocol_name.as_deref(), Some("lonely"));
    let mut second = Member::pending_with(target, with(&["other", "b", "a"]));
    let mut third = Member::pending_with(target, with(&["b", "a"]));
    let told_each = rebalance(target, &mut [&mut second, &mut third, &mut first]);
    for told_one in &told_each {
        assert_eq!(told_one.protocol_name.as_deref(), Some("b"));
        assert_eq!(told_one.protocol_type.as_deref(), Some("connect"));
    }
    // The metadata is that for the protocol.
    assert_eq!(told(&told_each[2]).len(), 3);
    assert!(told(&told_each[2]).iter().all(|(_, metadata)| *metadata == b"b"));
}

/// The winner is the first in Java's hash map.
fn a_tie_of_votes_does_not_go_by_order(target: &Target) {
    let ties = [("range", "roundrobin"), ("sticky", "range"), ("range", "cooperative-sticky")];
    for (winner, loser) in ties {
        for names in [[winner, loser], [loser, winner]] {
            let group = group(target);
            let with = |names: [&str; 2]| JoinGroupRequest {
                protocols: names.iter().map(|name| protocol(name, METADATA)).collect(),
                ..joining(&group)
            };
            let mut first = Member::alone_with(target, with(names));
            let mut second = Member::pending_with(target, with([names[1], names[0]]));
            let told = rebalance(target, &mut [&mut second, &mut first]);
            assert_eq!(told[0].protocol_name.as_deref(), Some(winner), "{names:?}");
        }
    }
}

fn what_a_member_supports_may_change(target: &Target) {
    let mut members = stable(target, 2);
    let both = vec![protocol("new", METADATA), protocol(PROTOCOL, METADATA)];
    for member in &mut members {
        member.joining.protocols.clone_from(&both);
    }
    let [leader, other] = &mut members[..] else { unreachable!("there are two") };
    for told_one in rebalance(target, &mut [leader, other]) {
        assert_eq!(told_one.protocol_name.as_deref(), Some("new"));
    }
    // A protocol that another member lacks does not count any more.
    leader.joining.protocols = vec![protocol("new", METADATA)];
    for told_one in rebalance(target, &mut [leader, other]) {
        assert_eq!(told_one.protocol_name.as_deref(), Some("new"));
    }
}

fn a_new_leader_is_found_for_one_that_left(target: &Target) {
    let mut members = stable(target, 3);
    let old = members.remove(0);
    old.leave(target);
    assert_eq!(members[0].heartbeat(), REBALANCE_IN_PROGRESS);
    for member in &mut members {
        member.send_join();
    }
    let told_each: Vec<_> = members.iter_mut().map(Member::joined).collect();
    let leader = &told_each[0].leader;
    assert_ne!(leader, old.id());
    assert_eq!(*leader, told_each[1].leader);
    for told_one in &told_each {
        let expected = if told_one.member_id == *leader { 2 } else { 0 };
        assert_eq!(told_one.members.len(), expected);
    }
}

fn every_generation_has_the_next_number(target: &Target) {
    let mut member = Member::alone(target, &group(target));
    assert_eq!(member.generation, 1);
    for generation in 2..5 {
        let _ = member.assign(&[]);
        assert_eq!(member.join().generation_id, generation);
    }
    member.leave(target);
    // That nobody is left is a generation, too.
    await_state(target, member.group(), "Empty");
    assert_eq!(Member::alone(target, member.group()).generation, 6);
}
