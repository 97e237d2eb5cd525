//! `OffsetCommit`: which offsets a group takes, and from whom.

use ottla::wire::Message;
use ottla::wire::messages::offset_commit::{
    OffsetCommitRequest, OffsetCommitRequestPartition, OffsetCommitRequestTopic,
    OffsetCommitResponse, OffsetCommitResponsePartition, OffsetCommitResponseTopic,
};
use uuid::Uuid;

use super::client::{Target, Topic};
use super::errors::{
    FENCED_INSTANCE_ID, GROUP_ID_NOT_FOUND, ILLEGAL_GENERATION, OFFSET_METADATA_TOO_LARGE,
    REBALANCE_IN_PROGRESS, UNKNOWN_MEMBER_ID, UNKNOWN_SERVER_ERROR, UNKNOWN_TOPIC_ID,
    UNKNOWN_TOPIC_OR_PARTITION,
};
use super::groups::{Member, await_state, completing, describe, group, stable};
use super::offset_fetch::committed;

checks![
    every_version_commits,
    a_commit_without_members_makes_a_group,
    the_empty_group_commits,
    a_commit_of_nothing_is_answered_with_nothing,
    any_offset_and_any_epoch_is_taken,
    a_later_commit_replaces_the_offset,
    a_retention_time_is_taken,
    metadata_is_limited,
    what_is_not_there_has_no_offsets,
    errors_and_offsets_go_together,
    a_repeated_partition_is_answered_twice,
    a_repeated_topic_is_answered_twice,
    what_is_too_large_for_the_log_is_not_committed,
    a_generation_needs_a_group,
    members_of_a_stable_group_commit,
    a_wrong_generation_is_refused,
    an_unknown_member_is_refused,
    before_the_assignment_nothing_is_committed,
    during_a_rebalance_offsets_are_committed,
    outsiders_wait_until_a_group_is_empty,
    a_fenced_member_commits_nothing,
    topics_are_looked_for_before_members,
];

fn versions() -> impl Iterator<Item = i16> {
    OffsetCommitRequest::VERSIONS
}

pub(super) fn partition(index: i32, offset: i64) -> OffsetCommitRequestPartition {
    OffsetCommitRequestPartition {
        partition_index: index,
        committed_offset: offset,
        ..OffsetCommitRequestPartition::default()
    }
}

/// Commits as nobody in particular.
pub(super) fn commit(
    group: &str,
    topic: &Topic,
    partitions: &[OffsetCommitRequestPartition],
) -> OffsetCommitRequest {
    let topic = OffsetCommitRequestTopic {
        name: topic.name.clone(),
        topic_id: topic.id,
        partitions: partitions.to_vec(),
    };
    OffsetCommitRequest { group_id: group.into(), topics: vec![topic], ..Default::default() }
}

/// Commits as a member.
fn commit_as(member: &Member, topic: &Topic, offset: i64) -> OffsetCommitRequest {
    OffsetCommitRequest {
        generation_id_or_member_epoch: member.generation,
        member_id: member.id().clone(),
        group_instance_id: member.joining.group_instance_id.clone(),
        ..commit(member.group(), topic, &[partition(0, offset)])
    }
}

/// An answer for one topic at a version.
fn answer(topic: &Topic, errors: &[(i32, i16)], version: i16) -> OffsetCommitResponse {
    let by_id = version >= 10;
    let partitions = errors
        .iter()
        .map(|&(partition_index, error_code)| OffsetCommitResponsePartition {
            partition_index,
            error_code,
        })
        .collect();
    let topic = OffsetCommitResponseTopic {
        name: if by_id { String::new() } else { topic.name.clone() },
        topic_id: if by_id { topic.id } else { Uuid::nil() },
        partitions,
    };
    OffsetCommitResponse { throttle_time_ms: 0, topics: vec![topic] }
}

/// Asserts what becomes of a commit to the first partition.
fn assert_answered(
    target: &Target,
    request: &OffsetCommitRequest,
    topic: &Topic,
    error: i16,
    version: i16,
) {
    let response = target.call(request, version);
    assert_eq!(response, answer(topic, &[(0, error)], version), "version {version}");
}

/// Asserts what becomes of a commit to the first partition at every version.
fn assert_all(target: &Target, request: &OffsetCommitRequest, topic: &Topic, error: i16) {
    for version in versions() {
        assert_answered(target, request, topic, error, version);
    }
}

fn every_version_commits(target: &Target) {
    let topic = target.topic(2);
    let group = group(target);
    for version in versions() {
        let offset = i64::from(version);
        let partitions = [
            OffsetCommitRequestPartition {
                committed_leader_epoch: 3,
                committed_metadata: Some(format!("in version {version}")),
                ..partition(0, offset)
            },
            OffsetCommitRequestPartition { committed_metadata: None, ..partition(1, offset + 1) },
        ];
        let response = target.call(&commit(&group, &topic, &partitions), version);
        assert_eq!(response, answer(&topic, &[(0, 0), (1, 0)], version), "version {version}");
        let epoch = if version >= 6 { 3 } else { -1 };
        let expected = (offset, epoch, format!("in version {version}"));
        assert_eq!(committed(target, &group, &topic, 0), expected);
        // No metadata reads as empty.
        assert_eq!(committed(target, &group, &topic, 1), (offset + 1, -1, String::new()));
    }
}

fn a_commit_without_members_makes_a_group(target: &Target) {
    let topic = target.topic(1);
    for version in versions() {
        let group = group(target);
        // Whatever it says of a member does not matter.
        let request = OffsetCommitRequest {
            member_id: "nobody".into(),
            group_instance_id: Some("instance".into()),
            generation_id_or_member_epoch: -2,
            ..commit(&group, &topic, &[partition(0, 5)])
        };
        assert_answered(target, &request, &topic, 0, version);
        let described = describe(target, &group, 5);
        assert_eq!(
            (described.group_state.as_str(), described.protocol_type.as_str()),
            ("Empty", "")
        );
    }
}

fn the_empty_group_commits(target: &Target) {
    let topic = target.topic(1);
    let _ = group(target);
    for version in versions() {
        let offset = i64::from(version);
        let request = commit("", &topic, &[partition(0, offset)]);
        assert_answered(target, &request, &topic, 0, version);
        assert_eq!(committed(target, "", &topic, 0).0, offset);
    }
}

fn a_commit_of_nothing_is_answered_with_nothing(target: &Target) {
    let (topic, group) = (target.topic(1), group(target));
    for version in versions() {
        let topicless = OffsetCommitRequest { topics: Vec::new(), ..commit(&group, &topic, &[]) };
        for request in [topicless, commit(&group, &topic, &[])] {
            let response = target.call(&request, version);
            assert_eq!(response, OffsetCommitResponse::default(), "version {version}");
        }
    }
    assert_eq!(describe(target, &group, 0).group_state, "Dead");
}

fn any_offset_and_any_epoch_is_taken(target: &Target) {
    let topic = target.topic(1);
    let group = group(target);
    for offset in [-1, -2, i64::MIN, 1, i64::MAX, 0] {
        assert_all(target, &commit(&group, &topic, &[partition(0, offset)]), &topic, 0);
        assert_eq!(committed(target, &group, &topic, 0).0, offset);
    }
    for epoch in [-2, i32::MIN, -1, 0, i32::MAX] {
        let partition =
            OffsetCommitRequestPartition { committed_leader_epoch: epoch, ..partition(0, 1) };
        assert_answered(target, &commit(&group, &topic, &[partition]), &topic, 0, 10);
        assert_eq!(committed(target, &group, &topic, 0).1, epoch);
    }
}

fn a_later_commit_replaces_the_offset(target: &Target) {
    let topic = target.topic(2);
    let group = group(target);
    let both = [partition(0, 9), partition(1, 9)];
    let response = target.call(&commit(&group, &topic, &both), 9);
    assert_eq!(response, answer(&topic, &[(0, 0), (1, 0)], 9));
    assert_answered(target, &commit(&group, &topic, &[partition(0, 3)]), &topic, 0, 9);
    assert_eq!(committed(target, &group, &topic, 0).0, 3);
    assert_eq!(committed(target, &group, &topic, 1).0, 9);
}

fn a_retention_time_is_taken(target: &Target) {
    let topic = target.topic(1);
    for version in 2..=4 {
        for retention_time_ms in [i64::MAX, 60_000, -1] {
            let group = group(target);
            let request = OffsetCommitRequest {
                retention_time_ms,
                ..commit(&group, &topic, &[partition(0, 1)])
            };
            assert_answered(target, &request, &topic, 0, version);
            assert_eq!(committed(target, &group, &topic, 0).0, 1);
        }
    }
}

fn metadata_is_limited(target: &Target) {
    let topic = target.topic(1);
    let group = group(target);
    let with = |metadata: String| {
        let committed_metadata = Some(metadata);
        let partition = OffsetCommitRequestPartition { committed_metadata, ..partition(0, 1) };
        commit(&group, &topic, &[partition])
    };
    assert_all(target, &with("m".repeat(4_097)), &topic, OFFSET_METADATA_TOO_LARGE);
    assert_eq!(committed(target, &group, &topic, 0).0, -1);
    // Counted in UTF-16.
    assert_all(target, &with("\u{1f9a6}".repeat(2_049)), &topic, OFFSET_METADATA_TOO_LARGE);
    assert_all(target, &with("\u{1f9a6}".repeat(2_048)), &topic, 0);
    assert_all(target, &with("m".repeat(4_096)), &topic, 0);
}

fn what_is_not_there_has_no_offsets(target: &Target) {
    let topic = target.topic(1);
    let group = group(target);
    let missing = Topic { name: target.name(), id: Uuid::from_u128(7) };
    for version in versions() {
        for index in [1, -1] {
            let response = target.call(&commit(&group, &topic, &[partition(index, 1)]), version);
            let expected = answer(&topic, &[(index, UNKNOWN_TOPIC_OR_PARTITION)], version);
            assert_eq!(response, expected, "version {version}");
        }
        let error = if version >= 10 { UNKNOWN_TOPIC_ID } else { UNKNOWN_TOPIC_OR_PARTITION };
        let request = commit(&group, &missing, &[partition(0, 1)]);
        assert_answered(target, &request, &missing, error, version);
    }
    let nameless = Topic { name: String::new(), id: Uuid::nil() };
    let request = commit(&group, &nameless, &[partition(0, 1)]);
    assert_answered(target, &request, &nameless, UNKNOWN_TOPIC_OR_PARTITION, 9);
    assert_answered(target, &request, &nameless, UNKNOWN_TOPIC_ID, 10);
    // Nothing was left to ask the group for.
    assert_eq!(describe(target, &group, 0).group_state, "Dead");
}

fn errors_and_offsets_go_together(target: &Target) {
    let (topic, group) = (target.topic(3), group(target));
    let committed_metadata = Some("m".repeat(5_000));
    let large = OffsetCommitRequestPartition { committed_metadata, ..partition(1, 5) };
    for version in versions() {
        let partitions = [partition(2, 4), partition(7, 4), large.clone(), partition(0, 4)];
        let mut response = target.call(&commit(&group, &topic, &partitions), version);
        response.topics[0].partitions.sort_by_key(|it| it.partition_index);
        let errors =
            [(0, 0), (1, OFFSET_METADATA_TOO_LARGE), (2, 0), (7, UNKNOWN_TOPIC_OR_PARTITION)];
        assert_eq!(response, answer(&topic, &errors, version), "version {version}");
    }
    assert_eq!(committed(target, &group, &topic, 0).0, 4);
    assert_eq!(committed(target, &group, &topic, 1).0, -1);
}

fn a_repeated_partition_is_answered_twice(target: &Target) {
    let (topic, group) = (target.topic(1), group(target));
    for version in versions() {
        let request = commit(&group, &topic, &[partition(0, 8), partition(0, 6)]);
        let response = target.call(&request, version);
        assert_eq!(response, answer(&topic, &[(0, 0), (0, 0)], version), "version {version}");
        assert_eq!(committed(target, &group, &topic, 0).0, 6);
    }
}

fn a_repeated_topic_is_answered_twice(target: &Target) {
    let (topic, group) = (target.topic(1), group(target));
    for version in versions() {
        let mut request = commit(&group, &topic, &[partition(0, 8)]);
        request.topics.extend(request.topics.clone());
        assert_eq!(target.call(&request, version).topics.len(), 2, "version {version}");
    }
}

fn what_is_too_large_for_the_log_is_not_committed(target: &Target) {
    let (topic, group) = (target.topic(1), group(target));
    let committed_metadata = Some("m".repeat(4_096));
    let partitions =
        vec![OffsetCommitRequestPartition { committed_metadata, ..partition(0, 1) }; 300];
    for version in versions() {
        let response = target.call(&commit(&group, &topic, &partitions), version);
        let errors = [(0, UNKNOWN_SERVER_ERROR); 300];
        assert_eq!(response, answer(&topic, &errors, version), "version {version}");
    }
    assert_eq!(committed(target, &group, &topic, 0).0, -1);
}

fn a_generation_needs_a_group(target: &Target) {
    let topic = target.topic(1);
    let group = group(target);
    for version in versions() {
        for generation_id_or_member_epoch in [0, 1] {
            let request = OffsetCommitRequest {
                generation_id_or_member_epoch,
                ..commit(&group, &topic, &[partition(0, 1)])
            };
            let error = if version >= 9 { GROUP_ID_NOT_FOUND } else { ILLEGAL_GENERATION };
            assert_answered(target, &request, &topic, error, version);
        }
    }
    assert_eq!(describe(target, &group, 0).group_state, "Dead");
}

fn members_of_a_stable_group_commit(target: &Target) {
    let topic = target.topic(1);
    let members = stable(target, 2);
    for (offset, member) in members.iter().enumerate() {
        let offset = offset as i64;
        assert_all(target, &commit_as(member, &topic, offset), &topic, 0);
        assert_eq!(committed(target, member.group(), &topic, 0).0, offset);
    }
}

fn a_wrong_generation_is_refused(target: &Target) {
    let topic = target.topic(1);
    let members = stable(target, 1);
    for generation_id_or_member_epoch in [0, 2, -1] {
        let request = OffsetCommitRequest {
            generation_id_or_member_epoch,
            ..commit_as(&members[0], &topic, 1)
        };
        assert_all(target, &request, &topic, ILLEGAL_GENERATION);
    }
}

fn an_unknown_member_is_refused(target: &Target) {
    let topic = target.topic(1);
    let members = stable(target, 1);
    let pending = Member::pending(target, members[0].group());
    for member_id in ["nobody", "", pending.id()] {
        for generation_id_or_member_epoch in [0, 1] {
            let request = OffsetCommitRequest {
                member_id: member_id.into(),
                generation_id_or_member_epoch,
                ..commit_as(&members[0], &topic, 1)
            };
            assert_all(target, &request, &topic, UNKNOWN_MEMBER_ID);
        }
    }
    // Once nobody is left, whoever names a generation is unknown, too.
    pending.leave(target);
    members[0].leave(target);
    await_state(target, members[0].group(), "Empty");
    assert_all(target, &commit_as(&members[0], &topic, 1), &topic, UNKNOWN_MEMBER_ID);
}

fn before_the_assignment_nothing_is_committed(target: &Target) {
    let topic = target.topic(1);
    let members = completing(target, 2);
    for member in &members {
        assert_all(target, &commit_as(member, &topic, 1), &topic, REBALANCE_IN_PROGRESS);
    }
    let stale = OffsetCommitRequest {
        generation_id_or_member_epoch: 1,
        ..commit_as(&members[0], &topic, 1)
    };
    assert_all(target, &stale, &topic, ILLEGAL_GENERATION);
}

fn during_a_rebalance_offsets_are_committed(target: &Target) {
    let topic = target.topic(1);
    let mut members = stable(target, 2);
    members[0].begin_rebalance(target);
    for member in &members {
        assert_all(target, &commit_as(member, &topic, 7), &topic, 0);
    }
    assert_eq!(committed(target, members[0].group(), &topic, 0).0, 7);
}

fn outsiders_wait_until_a_group_is_empty(target: &Target) {
    let topic = target.topic(1);
    let mut members = completing(target, 2);
    let request = commit(members[0].group(), &topic, &[partition(0, 1)]);
    assert_all(target, &request, &topic, UNKNOWN_MEMBER_ID);
    let _ = members[0].assign(&[]);
    assert_all(target, &request, &topic, UNKNOWN_MEMBER_ID);
    members[0].begin_rebalance(target);
    assert_all(target, &request, &topic, UNKNOWN_MEMBER_ID);
    for member in &members {
        member.leave(target);
    }
    await_state(target, members[0].group(), "Empty");
    assert_all(target, &request, &topic, 0);
}

fn a_fenced_member_commits_nothing(target: &Target) {
    let topic = target.topic(1);
    let group = group(target);
    let mut old = Member::fixed(target, &group, "instance");
    old.join();
    let _ = old.assign(&[]);
    let mut new = Member::fixed(target, &group, "instance");
    new.join();
    for version in 7..=10 {
        let request = commit_as(&old, &topic, 1);
        assert_answered(target, &request, &topic, FENCED_INSTANCE_ID, version);
        let group_instance_id = Some("other".into());
        let request = OffsetCommitRequest { group_instance_id, ..commit_as(&new, &topic, 1) };
        assert_answered(target, &request, &topic, UNKNOWN_MEMBER_ID, version);
        assert_answered(target, &commit_as(&new, &topic, 1), &topic, 0, version);
    }
    for version in 2..7 {
        // These versions do not send the instance.
        assert_answered(target, &commit_as(&old, &topic, 1), &topic, UNKNOWN_MEMBER_ID, version);
        assert_answered(target, &commit_as(&new, &topic, 1), &topic, 0, version);
    }
}

fn topics_are_looked_for_before_members(target: &Target) {
    let members = stable(target, 1);
    let topic = target.topic(1);
    for version in versions() {
        let request = OffsetCommitRequest {
            generation_id_or_member_epoch: 17,
            ..commit(members[0].group(), &topic, &[partition(0, 1), partition(5, 1)])
        };
        let mut response = target.call(&request, version);
        response.topics[0].partitions.sort_by_key(|it| it.partition_index);
        let errors = [(0, UNKNOWN_MEMBER_ID), (5, UNKNOWN_TOPIC_OR_PARTITION)];
        assert_eq!(response, answer(&topic, &errors, version), "version {version}");
    }
}
