//! Committed offsets.

use ottla::wire::messages::offset_commit::{
    OffsetCommitRequest, OffsetCommitRequestPartition, OffsetCommitRequestTopic,
};
use ottla::wire::messages::offset_delete::{
    OffsetDeleteRequest, OffsetDeleteRequestPartition, OffsetDeleteRequestTopic,
};
use ottla::wire::messages::offset_fetch::{
    OffsetFetchRequest, OffsetFetchRequestGroup, OffsetFetchRequestTopic, OffsetFetchRequestTopics,
};
use uuid::Uuid;

use crate::groups;
use crate::script::Script;
use crate::side::Side;
use crate::topics::UNKNOWN_ID;

pub(crate) const APIS: &[&str] = &["OffsetCommit", "OffsetFetch", "OffsetDelete"];

/// From here on topics are named by their ids.
const BY_ID: i16 = 10;
/// From here on several groups may be asked for.
const GROUPS: i16 = 8;

pub(crate) fn run(script: &mut Script) {
    groups::coordinator(script);
    script.topic("offsets", 3, &[]);
    script.topic("offsets-2", 1, &[]);
    for version in 2..=10 {
        commit(script, version);
        members(script, version);
    }
    fetch(script);
    delete(script);
}

/// A topic's id, or one that no topic has, if the version takes ids.
fn topic_id(side: &Side, name: &str, version: i16) -> Uuid {
    let known = side.topic_id(name);
    if version >= BY_ID && known.is_nil() && !name.is_empty() { UNKNOWN_ID } else { known }
}

/// Commits of partitions and offsets by somebody who is no member.
pub(crate) fn committing(
    side: &Side,
    version: i16,
    group: &str,
    topics: &[(&str, &[(i32, i64)])],
) -> OffsetCommitRequest {
    let partition =
        |(partition_index, committed_offset): &(i32, i64)| OffsetCommitRequestPartition {
            partition_index: *partition_index,
            committed_offset: *committed_offset,
            committed_metadata: Some(format!("at {committed_offset}")),
            ..Default::default()
        };
    let topic = |(name, partitions): &(&str, &[(i32, i64)])| OffsetCommitRequestTopic {
        name: (*name).into(),
        topic_id: topic_id(side, name, version),
        partitions: partitions.iter().map(partition).collect(),
    };
    OffsetCommitRequest {
        group_id: group.into(),
        topics: topics.iter().map(topic).collect(),
        ..Default::default()
    }
}

pub(crate) fn fetched(script: &mut Script, group: &str) {
    script.ask("what is committed", 9, |_| OffsetFetchRequest {
        groups: vec![OffsetFetchRequestGroup {
            group_id: group.into(),
            topics: None,
            ..Default::default()
        }],
        ..Default::default()
    });
}

fn commit(script: &mut Script, version: i16) {
    let group = &format!("offsets-v{version}");
    let mut commit = |step: &str, topics: &[(&str, &[(i32, i64)])]| {
        script.ask(step, version, |side| committing(side, version, group, topics));
    };
    commit("no topics", &[]);
    commit("no partitions", &[("offsets", &[])]);
    commit("an offset", &[("offsets", &[(0, 5)])]);
    commit("odd offsets", &[("offsets", &[(0, -1), (1, i64::MAX), (2, -7)])]);
    commit("a lower offset", &[("offsets", &[(0, 1)])]);
    commit("unknown partitions", &[("offsets", &[(3, 1), (1, 2), (-1, 3)])]);
    commit("a partition twice", &[("offsets", &[(1, 1), (1, 2)])]);
    commit("a topic twice", &[("offsets", &[(2, 1)]), ("offsets", &[(2, 2)])]);
    commit("topics", &[("offsets-2", &[(0, 8)]), ("offsets", &[(0, 9)])]);
    for name in ["offsets-none", "", "bad name"] {
        let topics: [(&str, &[(i32, i64)]); 2] = [(name, &[(0, 1)]), ("offsets", &[(1, 4)])];
        commit(&format!("the topic '{name}'"), &topics);
    }
    let all = |side: &Side| committing(side, version, group, &[("offsets", &[(0, 5), (1, 6)])]);
    let mut change = |step: &str, change: &dyn Fn(&mut OffsetCommitRequest)| {
        script.ask(step, version, |side| {
            let mut request = all(side);
            change(&mut request);
            request
        });
    };
    for length in [0, 4096, 4097] {
        change(&format!("metadata of {length} bytes"), &|request| {
            let metadata = "m".repeat(length);
            request.topics[0].partitions[0].committed_metadata = Some(metadata);
        });
    }
    change("null metadata", &|request| {
        request.topics[0].partitions[0].committed_metadata = None;
    });
    for epoch in [0, 7, -2] {
        change(&format!("leader epoch {epoch}"), &|request| {
            request.topics[0].partitions[0].committed_leader_epoch = epoch;
        });
    }
    change("a retention time", &|request| request.retention_time_ms = 60_000);
    for generation in [-2, 0, 1] {
        for member in ["", "nobody"] {
            change(&format!("generation {generation} of '{member}'"), &|request| {
                request.generation_id_or_member_epoch = generation;
                request.member_id = member.into();
            });
            change(&format!("no group, generation {generation} of '{member}'"), &|request| {
                request.group_id = format!("offsets-none-v{version}-{generation}-{member}");
                request.generation_id_or_member_epoch = generation;
                request.member_id = member.into();
            });
        }
    }
    change("a member without a generation", &|request| request.member_id = "nobody".into());
    change("an instance", &|request| request.group_instance_id = Some("instance".into()));
    change("the empty group", &|request| request.group_id.clear());
    fetched(script, group);
    fetched(script, "");
}

/// Commits into a group that has a member.
fn members(script: &mut Script, version: i16) {
    let group = &format!("offsets-members-v{version}");
    let make = |side: &Side, generation_off: Option<i32>, member_id: &str| {
        let beat = groups::beating(side, group, "a");
        let is_member = member_id == "a";
        OffsetCommitRequest {
            generation_id_or_member_epoch: generation_off
                .map_or(-1, |off| beat.generation_id + off),
            member_id: if is_member { beat.member_id } else { member_id.to_owned() },
            ..committing(side, version, group, &[("offsets", &[(0, 5), (9, 1)])])
        }
    };
    groups::stable(script, 9, group);
    for off in [None, Some(0), Some(-1), Some(1)] {
        for member in ["a", "", "nobody"] {
            let step = format!("in a group, generation {off:?} of '{member}'");
            script.ask(&step, version, |side| make(side, off, member));
        }
    }
    script.ask("in a group, an instance", version, |side| OffsetCommitRequest {
        group_instance_id: Some("x".into()),
        ..make(side, Some(0), "a")
    });
    script.ask("it leaves", 5, |side| groups::leaving_of(side, group, &["a"]));
    for member in ["a", "", "nobody"] {
        for off in [None, Some(0)] {
            let step = format!("in an empty group, generation {off:?} of '{member}'");
            script.ask(&step, version, |side| make(side, off, member));
        }
    }
    fetched(script, group);
    script.leave("a");
}

/// Topics and partitions to fetch the offsets of; `None` for all.
pub(crate) type Wanted<'a> = Option<&'a [(&'a str, &'a [i32])]>;

pub(crate) fn fetching(
    side: &Side,
    version: i16,
    groups: &[&str],
    wanted: Wanted<'_>,
) -> OffsetFetchRequest {
    let old = |(name, partitions): &(&str, &[i32])| OffsetFetchRequestTopic {
        name: (*name).into(),
        partition_indexes: partitions.to_vec(),
    };
    let new = |(name, partitions): &(&str, &[i32])| OffsetFetchRequestTopics {
        name: (*name).into(),
        topic_id: topic_id(side, name, version),
        partition_indexes: partitions.to_vec(),
    };
    let group = |group: &&str| OffsetFetchRequestGroup {
        group_id: (*group).into(),
        topics: wanted.map(|topics| topics.iter().map(new).collect()),
        ..Default::default()
    };
    OffsetFetchRequest {
        group_id: groups.first().map(ToString::to_string).unwrap_or_default(),
        topics: wanted.map(|topics| topics.iter().map(old).collect()),
        groups: groups.iter().map(group).collect(),
        require_stable: false,
    }
}

fn fetch(script: &mut Script) {
    let group = "offsets-fetched";
    script.ask("offsets to fetch", 9, |side| {
        committing(side, 9, group, &[("offsets", &[(0, 5), (2, 7)]), ("offsets-2", &[(0, 1)])])
    });
    let lists: [(&str, &[(&str, &[i32])]); 9] = [
        ("no topics", &[]),
        ("no partitions", &[("offsets", &[])]),
        ("an offset", &[("offsets", &[0])]),
        ("partitions without one", &[("offsets", &[1, 2, 0])]),
        ("unknown partitions", &[("offsets", &[3, -1])]),
        ("a partition twice", &[("offsets", &[0, 0])]),
        ("a topic twice", &[("offsets", &[0]), ("offsets", &[2])]),
        ("two topics", &[("offsets-2", &[0]), ("offsets", &[0])]),
        ("unknown topics", &[("offsets-none", &[0]), ("", &[1]), ("bad name", &[0])]),
    ];
    for (step, topics) in lists {
        for require_stable in [false, true] {
            let step = format!("{step}, stable {require_stable}");
            script.each(&step, |side, version| OffsetFetchRequest {
                require_stable,
                ..fetching(side, version, &[group], Some(topics))
            });
        }
        for other in ["offsets-no-group", ""] {
            script.each(&format!("{step} of the group '{other}'"), |side, version| {
                fetching(side, version, &[other], Some(topics))
            });
        }
    }
    for groups in [&[group][..], &["offsets-no-group"][..], &[""][..]] {
        script.over(&format!("all of {groups:?}"), 2..=10, |side, version| {
            fetching(side, version, groups, None)
        });
    }
    let lists: [&[&str]; 3] = [&[], &[group, "offsets-no-group", ""], &[group, group]];
    for groups in lists {
        script.over(&format!("groups {groups:?}"), GROUPS..=10, |side, version| {
            fetching(side, version, groups, Some(&[("offsets", &[0, 1])]))
        });
    }
    for (member_id, member_epoch) in [(None, 0), (Some("nobody"), -1), (Some("nobody"), 1)] {
        script.over(&format!("member {member_id:?} {member_epoch}"), 9..=10, |side, version| {
            let mut request = fetching(side, version, &[group], None);
            request.groups[0].member_id = member_id.map(Into::into);
            request.groups[0].member_epoch = member_epoch;
            request
        });
    }
}

fn delete(script: &mut Script) {
    let group = "offsets-deleted";
    script.ask("offsets to delete", 9, |side| {
        committing(side, 9, group, &[("offsets", &[(0, 5), (1, 6), (2, 7)])])
    });
    let deleting = |group: &str, topics: &[(&str, &[i32])]| {
        let partition = |partition_index: &i32| OffsetDeleteRequestPartition {
            partition_index: *partition_index,
        };
        let topic = |(name, partitions): &(&str, &[i32])| OffsetDeleteRequestTopic {
            name: (*name).into(),
            partitions: partitions.iter().map(partition).collect(),
        };
        OffsetDeleteRequest { group_id: group.into(), topics: topics.iter().map(topic).collect() }
    };
    let cases: [(&str, &[(&str, &[i32])]); 8] = [
        ("no topics", &[]),
        ("no partitions", &[("offsets", &[])]),
        ("an offset", &[("offsets", &[0])]),
        ("an offset that is gone", &[("offsets", &[0])]),
        ("unknown partitions", &[("offsets", &[9, -1])]),
        ("a partition twice", &[("offsets", &[1, 1])]),
        ("unknown topics", &[("offsets-none", &[0]), ("", &[0]), ("bad name", &[0])]),
        ("the last one", &[("offsets", &[2])]),
    ];
    for group in ["offsets-no-group", "", group] {
        for (step, topics) in cases {
            script.ask(&format!("{step} of '{group}'"), 0, |_| deleting(group, topics));
        }
        fetched(script, group);
    }
    let active = "offsets-active";
    groups::stable(script, 9, active);
    script.ask("offsets of an active group", 9, |side| OffsetCommitRequest {
        generation_id_or_member_epoch: groups::beating(side, active, "a").generation_id,
        member_id: groups::beating(side, active, "a").member_id,
        ..committing(side, 9, active, &[("offsets", &[(0, 5), (1, 6)])])
    });
    script.ask("an active group", 0, |_| deleting(active, &[("offsets", &[0, 9])]));
    fetched(script, active);
    script.leave("a");
}
