//! `OffsetFetch`: what a group has committed.

use ottla::wire::Message;
use ottla::wire::messages::offset_fetch::{
    OffsetFetchRequest, OffsetFetchRequestGroup, OffsetFetchRequestTopic, OffsetFetchRequestTopics,
    OffsetFetchResponseGroup, OffsetFetchResponsePartitions, OffsetFetchResponseTopics,
};
use uuid::Uuid;

use super::client::{Target, Topic, soon};
use super::errors::UNKNOWN_TOPIC_ID;
use super::groups::{describe, group, stable};
use super::offset_commit::{commit, partition};

checks![
    every_version_fetches,
    everything_is_fetched_from_version_2_on,
    an_empty_list_fetches_nothing,
    a_group_that_is_not_there_has_no_offsets,
    the_empty_group_has_offsets,
    a_topic_need_not_exist_but_its_id,
    a_partition_is_answered_as_often_as_asked_for,
    several_groups_are_answered_from_version_8_on,
    stable_offsets_are_the_same_without_transactions,
    a_classic_group_does_not_ask_who_fetches,
    a_deleted_topic_loses_its_offsets,
];

/// What a request asks of one group.
type Asked<'a> = Option<&'a [(&'a Topic, &'a [i32])]>;

/// Asks one group in the form of the version.
fn fetching(group: &str, asked: Asked, version: i16) -> OffsetFetchRequest {
    if version >= 8 {
        let groups = vec![asking(group, asked)];
        return OffsetFetchRequest { groups, ..OffsetFetchRequest::default() };
    }
    let topic = |(topic, indexes): &(&Topic, &[i32])| OffsetFetchRequestTopic {
        name: topic.name.clone(),
        partition_indexes: indexes.to_vec(),
    };
    OffsetFetchRequest {
        group_id: group.into(),
        topics: asked.map(|topics| topics.iter().map(topic).collect()),
        ..OffsetFetchRequest::default()
    }
}

fn asking(group: &str, asked: Asked) -> OffsetFetchRequestGroup {
    let topic = |(topic, indexes): &(&Topic, &[i32])| OffsetFetchRequestTopics {
        name: topic.name.clone(),
        topic_id: topic.id,
        partition_indexes: indexes.to_vec(),
    };
    OffsetFetchRequestGroup {
        group_id: group.into(),
        topics: asked.map(|topics| topics.iter().map(topic).collect()),
        ..OffsetFetchRequestGroup::default()
    }
}

/// Sends a request for one group; the answer in the form of the newest versions.
fn fetch(target: &Target, request: &OffsetFetchRequest, version: i16) -> OffsetFetchResponseGroup {
    let mut response = target.call(request, version);
    assert_eq!(response.throttle_time_ms, 0, "version {version}");
    if version >= 8 {
        assert_eq!(response.groups.len(), 1, "version {version}: {response:?}");
        return response.groups.remove(0);
    }
    let topics = response.topics.into_iter().map(|topic| OffsetFetchResponseTopics {
        name: topic.name,
        topic_id: Uuid::nil(),
        partitions: topic
            .partitions
            .into_iter()
            .map(|it| OffsetFetchResponsePartitions {
                partition_index: it.partition_index,
                committed_offset: it.committed_offset,
                committed_leader_epoch: it.committed_leader_epoch,
                metadata: it.metadata,
                error_code: it.error_code,
            })
            .collect(),
    });
    OffsetFetchResponseGroup {
        group_id: request.group_id.clone(),
        topics: topics.collect(),
        error_code: response.error_code,
    }
}

/// A committed offset, its leader epoch and its metadata; -1 where there is none.
pub(super) fn committed(
    target: &Target,
    group: &str,
    topic: &Topic,
    index: i32,
) -> (i64, i32, String) {
    let fetched = fetch(target, &fetching(group, Some(&[(topic, &[index])]), 10), 10);
    assert_eq!((fetched.group_id.as_str(), fetched.error_code), (group, 0), "{fetched:?}");
    let found = &fetched.topics[0].partitions[0];
    assert_eq!((found.partition_index, found.error_code), (index, 0), "{fetched:?}");
    let metadata = found.metadata.clone().unwrap();
    (found.committed_offset, found.committed_leader_epoch, metadata)
}

/// All offsets of a group.
pub(super) fn everything(target: &Target, group: &str) -> Vec<OffsetFetchResponseTopics> {
    fetch(target, &fetching(group, None, 9), 9).topics
}

fn found(index: i32, offset: i64, epoch: i32, metadata: &str) -> OffsetFetchResponsePartitions {
    OffsetFetchResponsePartitions {
        partition_index: index,
        committed_offset: offset,
        committed_leader_epoch: epoch,
        metadata: Some(metadata.into()),
        error_code: 0,
    }
}

fn nothing(index: i32) -> OffsetFetchResponsePartitions {
    found(index, -1, -1, "")
}

fn answer(
    topic: &Topic,
    partitions: &[OffsetFetchResponsePartitions],
    version: i16,
) -> OffsetFetchResponseTopics {
    let by_id = version >= 10;
    OffsetFetchResponseTopics {
        name: if by_id { String::new() } else { topic.name.clone() },
        topic_id: if by_id { topic.id } else { Uuid::nil() },
        partitions: partitions.to_vec(),
    }
}

/// Commits offset 4 of epoch 2 with metadata, for the first partition.
fn commit_one(target: &Target, group: &str, topic: &Topic) {
    let mut partition = partition(0, 4);
    partition.committed_leader_epoch = 2;
    partition.committed_metadata = Some("metadata".into());
    let response = target.call(&commit(group, topic, &[partition]), 10);
    assert_eq!(response.topics[0].partitions[0].error_code, 0, "{response:?}");
}

/// What [`commit_one`] left, as a version says it.
fn found_one(version: i16) -> OffsetFetchResponsePartitions {
    found(0, 4, if version >= 5 { 2 } else { -1 }, "metadata")
}

fn versions() -> impl Iterator<Item = i16> {
    OffsetFetchRequest::VERSIONS
}

fn every_version_fetches(target: &Target) {
    let (topic, other, group) = (target.topic(2), target.topic(1), group(target));
    commit_one(target, &group, &topic);
    for version in versions() {
        let asked = [(&topic, &[1, 0, 9, -1][..]), (&other, &[0])];
        let fetched = fetch(target, &fetching(&group, Some(&asked), version), version);
        assert_eq!((&fetched.group_id, fetched.error_code), (&group, 0), "version {version}");
        let partitions = [nothing(1), found_one(version), nothing(9), nothing(-1)];
        let expected =
            [answer(&topic, &partitions, version), answer(&other, &[nothing(0)], version)];
        assert_eq!(fetched.topics, expected, "version {version}");
    }
}

fn everything_is_fetched_from_version_2_on(target: &Target) {
    let (topic, other, group) = (target.topic(2), target.topic(1), group(target));
    commit_one(target, &group, &topic);
    commit_one(target, &group, &other);
    for version in 2..=10 {
        let mut fetched = fetch(target, &fetching(&group, None, version), version);
        assert_eq!(fetched.error_code, 0, "version {version}");
        let mut expected =
            [&topic, &other].map(|topic| answer(topic, &[found_one(version)], version));
        for topics in [&mut fetched.topics[..], &mut expected] {
            topics.sort_by(|a, b| (&a.name, a.topic_id).cmp(&(&b.name, b.topic_id)));
        }
        assert_eq!(fetched.topics, expected, "version {version}");
    }
}

fn an_empty_list_fetches_nothing(target: &Target) {
    let (topic, group) = (target.topic(1), group(target));
    commit_one(target, &group, &topic);
    for version in versions() {
        let fetched = fetch(target, &fetching(&group, Some(&[]), version), version);
        assert_eq!((fetched.error_code, fetched.topics), (0, vec![]), "version {version}");
        let asked = [(&topic, &[][..])];
        let fetched = fetch(target, &fetching(&group, Some(&asked), version), version);
        assert_eq!(fetched.topics, [answer(&topic, &[], version)], "version {version}");
    }
}

fn a_group_that_is_not_there_has_no_offsets(target: &Target) {
    let (topic, group) = (target.topic(1), group(target));
    for version in versions() {
        let asked = [(&topic, &[0][..])];
        let fetched = fetch(target, &fetching(&group, Some(&asked), version), version);
        assert_eq!((&fetched.group_id, fetched.error_code), (&group, 0), "version {version}");
        assert_eq!(fetched.topics, [answer(&topic, &[nothing(0)], version)]);
        if version >= 2 {
            let fetched = fetch(target, &fetching(&group, None, version), version);
            assert_eq!((fetched.error_code, fetched.topics), (0, vec![]), "version {version}");
        }
    }
    assert_eq!(describe(target, &group, 0).group_state, "Dead");
}

fn the_empty_group_has_offsets(target: &Target) {
    let topic = target.topic(1);
    let _ = group(target);
    commit_one(target, "", &topic);
    for version in versions() {
        let asked = [(&topic, &[0][..])];
        let fetched = fetch(target, &fetching("", Some(&asked), version), version);
        assert_eq!((fetched.group_id.as_str(), fetched.error_code), ("", 0));
        assert_eq!(fetched.topics, [answer(&topic, &[found_one(version)], version)]);
    }
}

fn a_topic_need_not_exist_but_its_id(target: &Target) {
    let (topic, group) = (target.topic(1), group(target));
    let missing = Topic { name: target.name(), id: Uuid::from_u128(7) };
    let nameless = Topic { name: String::new(), id: Uuid::nil() };
    commit_one(target, &group, &topic);
    for unknown in [&missing, &nameless] {
        for version in versions() {
            let asked = [(unknown, &[0, 1][..]), (&topic, &[0])];
            let fetched = fetch(target, &fetching(&group, Some(&asked), version), version);
            assert_eq!(fetched.error_code, 0, "version {version}");
            let mut partitions = [nothing(0), nothing(1)];
            if version >= 10 {
                for partition in &mut partitions {
                    partition.error_code = UNKNOWN_TOPIC_ID;
                }
            }
            let mut expected = [
                answer(unknown, &partitions, version),
                answer(&topic, &[found_one(version)], version),
            ];
            let mut topics = fetched.topics;
            topics.sort_by_key(|it| it.partitions.len());
            expected.sort_by_key(|it| it.partitions.len());
            assert_eq!(topics, expected, "version {version}");
        }
    }
}

fn a_partition_is_answered_as_often_as_asked_for(target: &Target) {
    let (topic, group) = (target.topic(1), group(target));
    commit_one(target, &group, &topic);
    for version in versions() {
        let asked = [(&topic, &[0, 0][..])];
        let fetched = fetch(target, &fetching(&group, Some(&asked), version), version);
        let expected = answer(&topic, &[found_one(version), found_one(version)], version);
        assert_eq!(fetched.topics, [expected], "version {version}");
    }
}

fn several_groups_are_answered_from_version_8_on(target: &Target) {
    let topic = target.topic(1);
    let [one, two, missing] = [group(target), group(target), group(target)];
    commit_one(target, &one, &topic);
    commit_one(target, &two, &topic);
    for version in 8..=10 {
        let asked = [(&topic, &[0][..])];
        let groups = vec![
            asking(&two, Some(&asked)),
            asking(&missing, None),
            asking(&one, None),
            asking(&two, Some(&[])),
        ];
        let request = OffsetFetchRequest { groups, ..OffsetFetchRequest::default() };
        let response = target.call(&request, version);
        let all = vec![answer(&topic, &[found_one(version)], version)];
        let group = |group_id: &String, topics| OffsetFetchResponseGroup {
            group_id: group_id.clone(),
            topics,
            error_code: 0,
        };
        let expected = [
            group(&two, all.clone()),
            group(&missing, vec![]),
            group(&one, all),
            group(&two, vec![]),
        ];
        assert_eq!(response.groups, expected, "version {version}");
        let none = target.call(&OffsetFetchRequest::default(), version);
        assert_eq!(none.groups, [], "version {version}");
    }
}

fn stable_offsets_are_the_same_without_transactions(target: &Target) {
    let (topic, group) = (target.topic(1), group(target));
    commit_one(target, &group, &topic);
    for version in 7..=10 {
        let asked = [(&topic, &[0][..])];
        for asked in [Some(&asked[..]), None] {
            let request =
                OffsetFetchRequest { require_stable: true, ..fetching(&group, asked, version) };
            let fetched = fetch(target, &request, version);
            assert_eq!(fetched.topics, [answer(&topic, &[found_one(version)], version)]);
        }
    }
}

fn a_classic_group_does_not_ask_who_fetches(target: &Target) {
    let topic = target.topic(1);
    let members = stable(target, 1);
    for version in 9..=10 {
        for member_id in [Some("nobody".to_owned()), Some(members[0].id().clone()), None] {
            for member_epoch in [-1, 0, 17] {
                let group = OffsetFetchRequestGroup {
                    member_id: member_id.clone(),
                    member_epoch,
                    ..asking(members[0].group(), Some(&[(&topic, &[0])]))
                };
                let request =
                    OffsetFetchRequest { groups: vec![group], ..OffsetFetchRequest::default() };
                let fetched = fetch(target, &request, version);
                assert_eq!(fetched.topics, [answer(&topic, &[nothing(0)], version)]);
            }
        }
    }
}

fn a_deleted_topic_loses_its_offsets(target: &Target) {
    let (topic, group) = (target.topic(1), group(target));
    commit_one(target, &group, &topic);
    target.delete(&topic);
    soon("the offsets' end", || {
        let fetched = fetch(target, &fetching(&group, None, 9), 9);
        (fetched.topics.is_empty() && fetched.error_code == 0).then_some(())
    });
    // The group stays.
    assert_eq!(describe(target, &group, 0).group_state, "Empty");
}
