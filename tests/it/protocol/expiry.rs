//! `offsets.retention.check.interval.ms`: offsets whose time is over, and groups that have nothing left.

use ottla::wire::messages::join_group::JoinGroupRequest;
use ottla::wire::messages::offset_commit::OffsetCommitRequest;

use super::client::{ANSWER_TIMEOUT, Target, Topic};
use super::errors::UNKNOWN_MEMBER_ID;
use super::group_deletion::subscription;
use super::groups::{Member, PROTOCOL, await_state, describe, group, protocol};
use super::offset_commit::{commit, partition};
use super::offset_fetch::committed;
use crate::wait::until;

checks![
    offsets_go_at_their_own_end,
    a_group_without_members_and_offsets_goes,
    a_pending_member_does_not_keep_a_group,
    members_keep_what_they_read,
    members_of_another_type_keep_everything,
];

pub(super) const SETTINGS: &[&str] = &["offsets.retention.check.interval.ms=50"];

/// The last version that gives offsets an end of their own.
const WITH_END: i16 = 4;

/// Commits offset 4 of a topic's first partition, which ends at once.
fn ending(group: &str, topic: &Topic) -> OffsetCommitRequest {
    OffsetCommitRequest { retention_time_ms: 1, ..commit(group, topic, &[partition(0, 4)]) }
}

/// As [`ending`], by a member. Its version knows no instances.
fn ending_as(member: &Member, topic: &Topic) -> OffsetCommitRequest {
    OffsetCommitRequest {
        generation_id_or_member_epoch: member.generation,
        member_id: member.id().clone(),
        ..ending(member.group(), topic)
    }
}

/// The only member of a stable group. It is a static one: what others are given before they join
/// may be gone when they do.
fn alone(target: &Target, group: &str, change: impl Fn(&mut JoinGroupRequest)) -> Member {
    let mut member = Member::fixed(target, group, "alone");
    change(&mut member.joining);
    member.join();
    let _ = member.assign(&[]);
    member
}

fn assert_commits(target: &Target, request: &OffsetCommitRequest, version: i16) {
    let response = target.call(request, version);
    assert_eq!(response.topics[0].partitions[0].error_code, 0, "{response:?}");
}

fn await_end(target: &Target, group: &str, topic: &Topic) {
    until("the end of an offset", ANSWER_TIMEOUT, || {
        (committed(target, group, topic, 0).0 == -1).then_some(())
    });
}

/// Waits for rounds of other partitions of the groups' topic: by then each has had one.
fn await_rounds(target: &Target, topic: &Topic) {
    for _ in 0..2 {
        let other = group(target);
        assert_commits(target, &ending(&other, topic), WITH_END);
        await_state(target, &other, "Dead");
    }
}

fn offsets_go_at_their_own_end(target: &Target) {
    let (topic, group) = (target.topic(2), group(target));
    assert_commits(target, &commit(&group, &topic, &[partition(1, 5)]), 9);
    for version in 2..=WITH_END {
        assert_commits(target, &ending(&group, &topic), version);
        await_end(target, &group, &topic);
    }
    assert_eq!(committed(target, &group, &topic, 1).0, 5);
    assert_eq!(describe(target, &group, 5).group_state, "Empty");
    // With its last offset the group goes, too.
    let last =
        OffsetCommitRequest { retention_time_ms: 1, ..commit(&group, &topic, &[partition(1, 6)]) };
    assert_commits(target, &last, WITH_END);
    await_state(target, &group, "Dead");
    assert_eq!(committed(target, &group, &topic, 1).0, -1);
}

fn a_group_without_members_and_offsets_goes(target: &Target) {
    let group = group(target);
    for _ in 0..2 {
        let member = alone(target, &group, |_| {});
        assert_eq!(member.generation, 1, "it begins from the beginning");
        member.leave(target);
        await_state(target, &group, "Dead");
    }
}

fn a_pending_member_does_not_keep_a_group(target: &Target) {
    let pending = Member::pending(target, &group(target));
    // Kafka gives the id before the group can be described.
    await_rounds(target, &target.topic(1));
    await_state(target, pending.group(), "Dead");
    let response = target.call(&pending.joining, 9);
    assert_eq!(response.error_code, UNKNOWN_MEMBER_ID);
}

fn members_keep_what_they_read(target: &Target) {
    let (kept, other) = (target.topic(1), target.topic(1));
    let member = alone(target, &group(target), |joining| {
        joining.protocols = vec![protocol(PROTOCOL, &subscription(1, &[&kept]))];
    });
    assert_commits(target, &ending_as(&member, &kept), WITH_END);
    for _ in 0..2 {
        assert_commits(target, &ending_as(&member, &other), WITH_END);
        await_end(target, member.group(), &other);
    }
    assert_eq!(committed(target, member.group(), &kept, 0).0, 4);
    // Nobody reads it any more.
    member.leave(target);
    await_end(target, member.group(), &kept);
    await_state(target, member.group(), "Dead");
}

fn members_of_another_type_keep_everything(target: &Target) {
    let topic = target.topic(1);
    let member = alone(target, &group(target), |joining| joining.protocol_type = "connect".into());
    assert_commits(target, &ending_as(&member, &topic), WITH_END);
    await_rounds(target, &topic);
    assert_eq!(committed(target, member.group(), &topic, 0).0, 4);
}
