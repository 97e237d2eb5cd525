//! How long a group waits for its members. Kafka's shortest session is 6 s; these are shorter.

use std::time::{Duration, Instant};

use ottla::wire::messages::join_group::JoinGroupRequest;
use ottla::wire::messages::offset_commit::OffsetCommitRequest;

use super::client::{ANSWER_TIMEOUT, Target};
use super::errors::{REBALANCE_IN_PROGRESS, UNKNOWN_MEMBER_ID};
use super::groups::{Member, await_state, describe, group, joining, rebalance};
use super::offset_commit::{commit, partition};
use crate::wait::until;

checks![
    a_silent_member_is_given_up,
    heartbeats_keep_a_member,
    commits_keep_a_member,
    a_pending_member_is_given_up,
    a_silent_member_is_not_waited_for,
    who_does_not_rejoin_in_time_is_removed,
    the_longest_rebalance_timeout_counts,
    version_0_has_its_session_timeout_to_rejoin,
    a_leader_that_does_not_rejoin_is_replaced,
    a_static_member_need_not_rejoin,
    static_members_alone_are_waited_for_until_their_sessions_end,
    a_static_member_is_given_up_with_its_session,
    who_does_not_sync_in_time_is_removed,
    without_the_leaders_assignment_there_is_a_rebalance,
    who_waits_for_an_assignment_is_alive,
    who_waits_for_a_rebalance_is_alive,
];

pub(super) const SETTINGS: &[&str] = &["group.min.session.timeout.ms=100"];

/// A time that ends in a check.
const SHORT_MS: i32 = 1_000;
/// A time that does not.
const LONG_MS: i32 = 60_000;
const SHORT: Duration = Duration::from_secs(1);

fn with(group: &str, session_timeout_ms: i32, rebalance_timeout_ms: i32) -> JoinGroupRequest {
    JoinGroupRequest { session_timeout_ms, rebalance_timeout_ms, ..joining(group) }
}

/// The leader of a group in CompletingRebalance that is its only member.
fn alone(target: &Target, session_ms: i32, rebalance_ms: i32) -> Member {
    Member::alone_with(target, with(&group(target), session_ms, rebalance_ms))
}

/// A member that has its id and did not join with it yet.
fn pending(target: &Target, group: &str, session_ms: i32, rebalance_ms: i32) -> Member {
    Member::pending_with(target, with(group, session_ms, rebalance_ms))
}

/// Does something until a time is over.
fn repeat_for(time: Duration, mut what: impl FnMut()) {
    let end = Instant::now() + time;
    while Instant::now() < end {
        what();
    }
}

/// Asserts that something took its time, but not for ever.
fn assert_took(started: Instant, time: Duration) {
    // The broker's clock counts whole milliseconds: a time may end up to one early.
    let took = started.elapsed() + Duration::from_millis(1);
    assert!((time..time * 5).contains(&took), "{took:?} instead of {time:?}");
}

fn a_silent_member_is_given_up(target: &Target) {
    let mut member = alone(target, SHORT_MS, LONG_MS);
    let started = Instant::now();
    let _ = member.assign(&[]);
    await_state(target, member.group(), "Empty");
    assert_took(started, SHORT);
    assert_eq!(member.heartbeat(), UNKNOWN_MEMBER_ID);
    // The session begins with the answer to the join.
    let mut member = alone(target, SHORT_MS, LONG_MS);
    await_state(target, member.group(), "Empty");
    assert_eq!(member.heartbeat(), UNKNOWN_MEMBER_ID);
}

fn heartbeats_keep_a_member(target: &Target) {
    let mut member = alone(target, SHORT_MS, LONG_MS);
    repeat_for(SHORT * 2, || assert_eq!(member.heartbeat(), 0));
    let _ = member.assign(&[]);
    repeat_for(SHORT * 2, || assert_eq!(member.heartbeat(), 0));
}

fn commits_keep_a_member(target: &Target) {
    let topic = target.topic(1);
    let mut member = alone(target, SHORT_MS, LONG_MS);
    let _ = member.assign(&[]);
    let request = OffsetCommitRequest {
        generation_id_or_member_epoch: member.generation,
        member_id: member.id().clone(),
        ..commit(member.group(), &topic, &[partition(0, 1)])
    };
    repeat_for(SHORT * 2, || {
        let response = target.call(&request, 10);
        assert_eq!(response.topics[0].partitions[0].error_code, 0);
    });
    assert_eq!(member.heartbeat(), 0);
}

fn a_pending_member_is_given_up(target: &Target) {
    let mut member = alone(target, LONG_MS, LONG_MS);
    let _ = member.assign(&[]);
    let started = Instant::now();
    let mut late = pending(target, member.group(), SHORT_MS, LONG_MS);
    member.begin_rebalance(target);
    assert_eq!(member.joined().members.len(), 1);
    assert_took(started, SHORT);
    late.send_join();
    assert_eq!(late.join_outcome().error_code, UNKNOWN_MEMBER_ID);
}

fn a_silent_member_is_not_waited_for(target: &Target) {
    let mut silent = alone(target, SHORT_MS, LONG_MS);
    let _ = silent.assign(&[]);
    let mut new = pending(target, silent.group(), LONG_MS, LONG_MS);
    new.begin_rebalance(target);
    assert_eq!(new.joined().members.len(), 1);
    assert_eq!(silent.heartbeat(), UNKNOWN_MEMBER_ID);
}

fn who_does_not_rejoin_in_time_is_removed(target: &Target) {
    let mut first = alone(target, LONG_MS, SHORT_MS);
    let mut late = pending(target, first.group(), LONG_MS, SHORT_MS);
    rebalance(target, &mut [&mut late, &mut first]);
    let mut new = pending(target, first.group(), LONG_MS, SHORT_MS);
    let started = Instant::now();
    new.begin_rebalance(target);
    first.send_join();
    // Heartbeats do not help.
    assert_eq!(late.heartbeat(), REBALANCE_IN_PROGRESS);
    assert_eq!(first.joined().members.len(), 2);
    assert_took(started, SHORT);
    new.joined();
    assert_eq!(late.heartbeat(), UNKNOWN_MEMBER_ID);
    late.send_join();
    assert_eq!(late.join_outcome().error_code, UNKNOWN_MEMBER_ID);
}

fn the_longest_rebalance_timeout_counts(target: &Target) {
    let late = alone(target, LONG_MS, SHORT_MS);
    let mut new = pending(target, late.group(), LONG_MS, 10);
    let started = Instant::now();
    new.begin_rebalance(target);
    assert_eq!(new.joined().members.len(), 1);
    assert_took(started, SHORT);
}

fn version_0_has_its_session_timeout_to_rejoin(target: &Target) {
    let group = group(target);
    let joined = target.call(&with(&group, SHORT_MS, 10), 0);
    let mut old = pending(target, &group, LONG_MS, 10);
    (old.joining.member_id, old.generation) = (joined.member_id, 1);
    let mut new = pending(target, &group, LONG_MS, 10);
    let started = Instant::now();
    new.send_join();
    // Its session does not end, only its time to rejoin.
    until("its end", ANSWER_TIMEOUT, || (old.heartbeat() == UNKNOWN_MEMBER_ID).then_some(()));
    assert_took(started, SHORT);
    new.joined();
}

fn a_leader_that_does_not_rejoin_is_replaced(target: &Target) {
    let mut leader = alone(target, LONG_MS, SHORT_MS);
    let mut other = pending(target, leader.group(), LONG_MS, SHORT_MS);
    rebalance(target, &mut [&mut other, &mut leader]);
    let _ = leader.assign(&[]);
    other.joining.protocols[0].metadata = b"\0\0\0\0\0\0\0\0\0\x01x".to_vec().into();
    other.begin_rebalance(target);
    let told = other.joined();
    assert_eq!((&told.leader, told.members.len()), (other.id(), 1));
    assert_eq!(leader.heartbeat(), UNKNOWN_MEMBER_ID);
}

/// A static member alone in a group.
fn fixed(target: &Target, session_timeout_ms: i32) -> Member {
    let mut member = Member::fixed(target, &group(target), "instance");
    member.joining.session_timeout_ms = session_timeout_ms;
    member.joining.rebalance_timeout_ms = SHORT_MS;
    member.join();
    member
}

fn a_static_member_need_not_rejoin(target: &Target) {
    let mut absent = fixed(target, LONG_MS);
    let mut new = pending(target, absent.group(), LONG_MS, 10);
    new.begin_rebalance(target);
    let told = new.joined();
    assert_eq!((&told.leader, told.members.len()), (new.id(), 2));
    // It is a member of the new generation that it has not heard of.
    absent.generation += 1;
    assert_eq!(absent.heartbeat(), 0);
}

fn static_members_alone_are_waited_for_until_their_sessions_end(target: &Target) {
    let mut absent = fixed(target, 3 * SHORT_MS);
    let mut new = pending(target, absent.group(), LONG_MS, 10);
    new.begin_rebalance(target);
    let started = Instant::now();
    assert_eq!(absent.heartbeat(), REBALANCE_IN_PROGRESS);
    new.leave(target);
    assert_eq!(new.join_outcome().error_code, UNKNOWN_MEMBER_ID);
    await_state(target, absent.group(), "Empty");
    assert_took(started, 3 * SHORT);
}

fn a_static_member_is_given_up_with_its_session(target: &Target) {
    let mut member = fixed(target, SHORT_MS);
    let _ = member.assign(&[]);
    await_state(target, member.group(), "Empty");
    assert_eq!(member.heartbeat(), UNKNOWN_MEMBER_ID);
    // Its instance is free for another one.
    let old = member.id().clone();
    member.joining.member_id.clear();
    assert_eq!(member.join().generation_id, 3);
    assert_ne!(*member.id(), old);
}

fn who_does_not_sync_in_time_is_removed(target: &Target) {
    let mut leader = alone(target, LONG_MS, SHORT_MS);
    let mut late = pending(target, leader.group(), LONG_MS, SHORT_MS);
    let started = Instant::now();
    rebalance(target, &mut [&mut late, &mut leader]);
    let _ = leader.assign(&[]);
    assert_eq!((leader.heartbeat(), late.heartbeat()), (0, 0));
    await_state(target, leader.group(), "PreparingRebalance");
    assert_took(started, SHORT);
    assert_eq!((leader.heartbeat(), late.heartbeat()), (REBALANCE_IN_PROGRESS, UNKNOWN_MEMBER_ID));
    assert_eq!(leader.join().members.len(), 1);
}

fn without_the_leaders_assignment_there_is_a_rebalance(target: &Target) {
    let mut late = alone(target, LONG_MS, SHORT_MS);
    let mut follower = pending(target, late.group(), LONG_MS, SHORT_MS);
    let started = Instant::now();
    rebalance(target, &mut [&mut follower, &mut late]);
    follower.send_sync();
    let refused = follower.synced();
    assert_eq!((refused.error_code, refused.protocol_type), (REBALANCE_IN_PROGRESS, None));
    assert_took(started, SHORT);
    assert_eq!(late.heartbeat(), UNKNOWN_MEMBER_ID);
    let told = follower.join();
    assert_eq!((&told.leader, told.members.len()), (follower.id(), 1));
}

fn who_waits_for_an_assignment_is_alive(target: &Target) {
    let mut leader = alone(target, SHORT_MS, LONG_MS);
    let mut follower = pending(target, leader.group(), SHORT_MS, LONG_MS);
    rebalance(target, &mut [&mut follower, &mut leader]);
    follower.send_sync();
    repeat_for(SHORT * 2, || assert_eq!(leader.heartbeat(), 0));
    let _ = leader.assign(&[]);
    assert_eq!(follower.synced().error_code, 0);
    assert_eq!(follower.heartbeat(), 0);
}

fn who_waits_for_a_rebalance_is_alive(target: &Target) {
    let mut leader = alone(target, SHORT_MS, LONG_MS);
    let mut other = pending(target, leader.group(), SHORT_MS, LONG_MS);
    rebalance(target, &mut [&mut other, &mut leader]);
    let _ = leader.assign(&[]);
    leader.begin_rebalance(target);
    let mut new = pending(target, leader.group(), SHORT_MS, LONG_MS);
    new.send_join();
    repeat_for(SHORT * 2, || assert_eq!(other.heartbeat(), REBALANCE_IN_PROGRESS));
    other.join();
    assert_eq!(leader.joined().members.len(), 3);
    new.joined();
    assert_eq!(describe(target, leader.group(), 5).members.len(), 3);
}
