//! `DeleteGroups` and `OffsetDelete`.

use ottla::wire::Message;
use ottla::wire::messages::delete_groups::{
    DeletableGroupResult, DeleteGroupsRequest, DeleteGroupsResponse,
};
use ottla::wire::messages::join_group::JoinGroupRequest;
use ottla::wire::messages::offset_delete::{
    OffsetDeleteRequest, OffsetDeleteRequestPartition, OffsetDeleteRequestTopic,
    OffsetDeleteResponse, OffsetDeleteResponsePartition, OffsetDeleteResponseTopic,
};

use super::client::{Target, Topic, soon};
use super::errors::{
    GROUP_ID_NOT_FOUND, GROUP_SUBSCRIBED_TO_TOPIC, NON_EMPTY_GROUP, UNKNOWN_MEMBER_ID,
    UNKNOWN_SERVER_ERROR, UNKNOWN_TOPIC_OR_PARTITION,
};
use super::group_admin::assert_dead;
use super::groups::{
    Member, PROTOCOL, await_state, completing, describe, group, joining, protocol, stable,
};
use super::offset_commit::{commit, partition};
use super::offset_fetch::{committed, everything};

checks![
    a_group_is_deleted_with_its_offsets,
    a_group_with_members_is_not_deleted,
    a_group_that_is_not_there_is_not_deleted,
    a_pending_member_does_not_keep_a_group,
    a_group_is_deleted_once,
    several_groups_are_deleted,
    the_group_without_a_name_is_one_of_offsets,
    offsets_are_deleted,
    a_group_of_offsets_may_lose_all_of_them,
    offsets_of_a_group_that_is_not_there,
    offsets_of_what_is_not_there,
    an_active_group_keeps_the_offsets_it_is_subscribed_to,
    a_subscription_is_read_in_every_version,
    an_active_group_of_another_type_keeps_its_offsets,
    a_subscription_that_cannot_be_read_is_to_everything,
    what_no_batch_can_delete_stays,
    a_deleted_topic_takes_more_than_one_batch_of_offsets,
];

fn delete(target: &Target, groups: &[&str], version: i16) -> Vec<(String, i16)> {
    let groups_names = groups.iter().map(ToString::to_string).collect();
    let response: DeleteGroupsResponse =
        target.call(&DeleteGroupsRequest { groups_names }, version);
    assert_eq!(response.throttle_time_ms, 0);
    let result = |it: DeletableGroupResult| (it.group_id, it.error_code);
    let mut results: Vec<_> = response.results.into_iter().map(result).collect();
    // In no order: groups of one partition of the offsets topic stand together.
    results.sort_unstable();
    results
}

fn assert_deletes(target: &Target, group: &str, error: i16) {
    let last = *DeleteGroupsRequest::VERSIONS.end();
    assert_eq!(delete(target, &[group], last), [(group.to_owned(), error)]);
}

fn commit_one(target: &Target, group: &str, topic: &Topic) {
    let response = target.call(&commit(group, topic, &[partition(0, 4)]), 10);
    assert_eq!(response.topics[0].partitions[0].error_code, 0, "{response:?}");
}

fn a_group_is_deleted_with_its_offsets(target: &Target) {
    let topic = target.topic(1);
    for version in DeleteGroupsRequest::VERSIONS {
        let group = group(target);
        commit_one(target, &group, &topic);
        assert_eq!(delete(target, &[&group], version), [(group.clone(), 0)]);
        assert_eq!(describe(target, &group, 5).group_state, "Dead");
        assert_eq!(committed(target, &group, &topic, 0).0, -1);
        // One that had members begins from the beginning.
        let members = stable(target, 1);
        members[0].leave(target);
        await_state(target, members[0].group(), "Empty");
        assert_eq!(delete(target, &[members[0].group()], version)[0].1, 0);
        let response = target.call(&members[0].joining, 9);
        assert_eq!(response.error_code, UNKNOWN_MEMBER_ID);
        assert_eq!(Member::alone(target, members[0].group()).generation, 1);
    }
}

fn a_group_with_members_is_not_deleted(target: &Target) {
    let mut members = completing(target, 2);
    assert_deletes(target, members[0].group(), NON_EMPTY_GROUP);
    let _ = members[0].assign(&[]);
    for version in DeleteGroupsRequest::VERSIONS {
        let group = members[0].group();
        assert_eq!(delete(target, &[group], version), [(group.clone(), NON_EMPTY_GROUP)]);
    }
    members[0].begin_rebalance(target);
    assert_deletes(target, members[0].group(), NON_EMPTY_GROUP);
}

fn a_group_that_is_not_there_is_not_deleted(target: &Target) {
    for group in [group(target), "nobody's".into()] {
        for version in DeleteGroupsRequest::VERSIONS {
            let expected = [(group.clone(), GROUP_ID_NOT_FOUND)];
            assert_eq!(delete(target, &[&group], version), expected, "version {version}");
        }
    }
    assert_eq!(delete(target, &[], 2), []);
}

fn a_pending_member_does_not_keep_a_group(target: &Target) {
    let pending = Member::pending(target, &group(target));
    await_state(target, pending.group(), "Empty");
    assert_deletes(target, pending.group(), 0);
    let response = target.call(&pending.joining, 9);
    assert_eq!(response.error_code, UNKNOWN_MEMBER_ID);
}

fn a_group_is_deleted_once(target: &Target) {
    let topic = target.topic(1);
    for version in DeleteGroupsRequest::VERSIONS {
        let group = group(target);
        commit_one(target, &group, &topic);
        let twice = delete(target, &[&group, &group], version);
        assert_eq!(twice, [(group.clone(), 0)], "version {version}");
        assert_deletes(target, &group, GROUP_ID_NOT_FOUND);
    }
}

fn several_groups_are_deleted(target: &Target) {
    let topic = target.topic(1);
    let [one, two, missing] = [group(target), group(target), group(target)];
    commit_one(target, &one, &topic);
    commit_one(target, &two, &topic);
    let members = stable(target, 1);
    let mut expected = [
        (one.clone(), 0),
        (two.clone(), 0),
        (missing.clone(), GROUP_ID_NOT_FOUND),
        (members[0].group().clone(), NON_EMPTY_GROUP),
    ];
    expected.sort_unstable();
    let found = delete(target, &[&missing, &one, members[0].group(), &two], 2);
    assert_eq!(found, expected);
}

fn the_group_without_a_name_is_one_of_offsets(target: &Target) {
    let topic = target.topic(1);
    let _ = group(target);
    for version in DeleteGroupsRequest::VERSIONS {
        commit_one(target, "", &topic);
        assert_eq!(describe(target, "", 6).group_state, "Empty");
        assert_eq!(delete(target, &[""], version), [(String::new(), 0)]);
        assert_dead(target, "");
        assert_eq!(delete(target, &[""], version), [(String::new(), GROUP_ID_NOT_FOUND)]);
    }
}

fn deleting(group: &str, topics: &[(&str, &[i32])]) -> OffsetDeleteRequest {
    let partition = |index: &i32| OffsetDeleteRequestPartition { partition_index: *index };
    let topic = |(name, indexes): &(&str, &[i32])| OffsetDeleteRequestTopic {
        name: (*name).into(),
        partitions: indexes.iter().map(partition).collect(),
    };
    OffsetDeleteRequest { group_id: group.into(), topics: topics.iter().map(topic).collect() }
}

/// An answer for one topic.
fn answer(topic: &str, errors: &[(i32, i16)]) -> OffsetDeleteResponse {
    let partition = |&(partition_index, error_code): &(i32, i16)| OffsetDeleteResponsePartition {
        partition_index,
        error_code,
    };
    let topic = OffsetDeleteResponseTopic {
        name: topic.into(),
        partitions: errors.iter().map(partition).collect(),
    };
    OffsetDeleteResponse { error_code: 0, throttle_time_ms: 0, topics: vec![topic] }
}

/// Asserts what becomes of the offset of a topic's first partition.
fn assert_offset(target: &Target, group: &str, topic: &Topic, error: i16) {
    let response = target.call(&deleting(group, &[(&topic.name, &[0])]), 0);
    assert_eq!(response, answer(&topic.name, &[(0, error)]));
}

fn offsets_are_deleted(target: &Target) {
    let (topic, group) = (target.topic(3), group(target));
    let response = target.call(&commit(&group, &topic, &[partition(0, 4), partition(1, 5)]), 10);
    assert_eq!(response.topics[0].partitions.len(), 2);
    // That there is none is no error.
    let response = target.call(&deleting(&group, &[(&topic.name, &[1, 2])]), 0);
    assert_eq!(response, answer(&topic.name, &[(1, 0), (2, 0)]));
    assert_eq!(committed(target, &group, &topic, 1).0, -1);
    assert_eq!(committed(target, &group, &topic, 0).0, 4);
}

fn a_group_of_offsets_may_lose_all_of_them(target: &Target) {
    let (topic, group) = (target.topic(1), group(target));
    commit_one(target, &group, &topic);
    assert_offset(target, &group, &topic, 0);
    assert_eq!(committed(target, &group, &topic, 0).0, -1);
    assert_eq!(describe(target, &group, 5).group_state, "Empty");
    let response = target.call(&deleting(&group, &[]), 0);
    assert_eq!(response, OffsetDeleteResponse::default());
}

fn offsets_of_a_group_that_is_not_there(target: &Target) {
    let topic = target.topic(1);
    let missing = target.name();
    for group in [group(target), "nobody's".into()] {
        for topics in [&[][..], &[(topic.name.as_str(), &[0][..])], &[(missing.as_str(), &[0])]] {
            let response = target.call(&deleting(&group, topics), 0);
            let expected =
                OffsetDeleteResponse { error_code: GROUP_ID_NOT_FOUND, ..Default::default() };
            assert_eq!(response, expected, "{topics:?}");
        }
    }
}

fn offsets_of_what_is_not_there(target: &Target) {
    let (topic, group) = (target.topic(1), group(target));
    commit_one(target, &group, &topic);
    let missing = target.name();
    let response = target.call(&deleting(&group, &[(&missing, &[0, 1])]), 0);
    let unknown = UNKNOWN_TOPIC_OR_PARTITION;
    assert_eq!(response, answer(&missing, &[(0, unknown), (1, unknown)]));
    let mut response = target.call(&deleting(&group, &[(&topic.name, &[0, 7, -1])]), 0);
    response.topics[0].partitions.sort_by_key(|it| it.partition_index);
    let expected = [(-1, unknown), (0, 0), (7, unknown)];
    assert_eq!(response, answer(&topic.name, &expected));
}

/// A consumer's subscription at a version of its own.
pub(super) fn subscription(version: i16, topics: &[&Topic]) -> Vec<u8> {
    let mut bytes = version.to_be_bytes().to_vec();
    bytes.extend((topics.len() as i32).to_be_bytes());
    for topic in topics {
        bytes.extend((topic.name.len() as i16).to_be_bytes());
        bytes.extend(topic.name.as_bytes());
    }
    // No user data; what newer versions have behind it is not looked at.
    bytes.extend((-1_i32).to_be_bytes());
    bytes
}

fn subscribed(group: &str, metadata: &[u8]) -> JoinGroupRequest {
    JoinGroupRequest { protocols: vec![protocol(PROTOCOL, metadata)], ..joining(group) }
}

fn an_active_group_keeps_the_offsets_it_is_subscribed_to(target: &Target) {
    let (kept, other, group) = (target.topic(1), target.topic(1), group(target));
    commit_one(target, &group, &kept);
    commit_one(target, &group, &other);
    let request = subscribed(&group, &subscription(1, &[&kept]));
    let mut member = Member::alone_with(target, request);
    // In every state that has members.
    assert_offset(target, &group, &kept, GROUP_SUBSCRIBED_TO_TOPIC);
    assert_offset(target, &group, &other, 0);
    let _ = member.assign(&[]);
    assert_offset(target, &group, &kept, GROUP_SUBSCRIBED_TO_TOPIC);
    let new = Member::pending(target, &group);
    member.begin_rebalance(target);
    assert_offset(target, &group, &kept, GROUP_SUBSCRIBED_TO_TOPIC);
    assert_offset(target, &group, &other, 0);
    assert_eq!(committed(target, &group, &kept, 0).0, 4);
    assert_eq!(committed(target, &group, &other, 0).0, -1);
    new.leave(target);
    member.joined();
    member.leave(target);
    await_state(target, &group, "Empty");
    assert_offset(target, &group, &kept, 0);
    assert_eq!(committed(target, &group, &kept, 0).0, -1);
}

fn a_subscription_is_read_in_every_version(target: &Target) {
    let (kept, other) = (target.topic(1), target.topic(1));
    for version in [0, 1, 2, 3, 99] {
        let request = subscribed(&group(target), &subscription(version, &[&kept]));
        let member = Member::alone_with(target, request);
        assert_offset(target, member.group(), &kept, GROUP_SUBSCRIBED_TO_TOPIC);
        assert_offset(target, member.group(), &other, 0);
    }
}

fn an_active_group_of_another_type_keeps_its_offsets(target: &Target) {
    let (topic, group) = (target.topic(1), group(target));
    commit_one(target, &group, &topic);
    let request = JoinGroupRequest { protocol_type: "connect".into(), ..joining(&group) };
    let mut member = Member::alone_with(target, request);
    let expected = OffsetDeleteResponse { error_code: NON_EMPTY_GROUP, ..Default::default() };
    assert_eq!(target.call(&deleting(&group, &[(&topic.name, &[0])]), 0), expected);
    let _ = member.assign(&[]);
    assert_eq!(target.call(&deleting(&group, &[(&topic.name, &[0])]), 0), expected);
    member.leave(target);
    await_state(target, &group, "Empty");
    assert_offset(target, &group, &topic, 0);
}

fn a_subscription_that_cannot_be_read_is_to_everything(target: &Target) {
    let topic = target.topic(1);
    for metadata in [&b""[..], b"\0", b"\xff\xff", b"\0\0\0\0\0\x01\0\x01t"] {
        let member = Member::alone_with(target, subscribed(&group(target), metadata));
        assert_offset(target, member.group(), &topic, GROUP_SUBSCRIBED_TO_TOPIC);
    }
}

/// A group with so long a name that no batch holds all that deletes its offsets, one in each partition of the topic.
fn with_large_offsets(target: &Target, topic: &Topic) -> String {
    let group = format!("{}{}", group(target), "x".repeat(30_000));
    for indexes in [0..20, 20..40] {
        let partitions: Vec<_> = indexes.map(|index| partition(index, 4)).collect();
        soon("a commit", || {
            let response = target.call(&commit(&group, topic, &partitions), 10);
            (response.topics[0].partitions[0].error_code == 0).then_some(())
        });
    }
    group
}

fn what_no_batch_can_delete_stays(target: &Target) {
    let topic = target.topic(40);
    let group = with_large_offsets(target, &topic);
    assert_deletes(target, &group, UNKNOWN_SERVER_ERROR);
    let all: Vec<i32> = (0..40).collect();
    let response = target.call(&deleting(&group, &[(&topic.name, &all)]), 0);
    let refused = OffsetDeleteResponse { error_code: UNKNOWN_SERVER_ERROR, ..Default::default() };
    assert_eq!(response, refused);
    assert_eq!(committed(target, &group, &topic, 39).0, 4);
    // In two parts it works.
    let response = target.call(&deleting(&group, &[(&topic.name, &all[..20])]), 0);
    assert_eq!(response.error_code, 0);
    assert_deletes(target, &group, 0);
    assert_dead(target, &group);
}

fn a_deleted_topic_takes_more_than_one_batch_of_offsets(target: &Target) {
    let topic = target.topic(40);
    let group = with_large_offsets(target, &topic);
    target.delete(&topic);
    soon("the end of the offsets", || everything(target, &group).is_empty().then_some(()));
    assert_deletes(target, &group, 0);
}
