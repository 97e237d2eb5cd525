//! Offsets of members and of those who say that they are.

use ottla::wire::messages::offset_commit::OffsetCommitRequest;
use ottla::wire::messages::offset_delete::{
    OffsetDeleteRequest, OffsetDeleteRequestPartition, OffsetDeleteRequestTopic,
};

use super::Group;
use crate::offsets::{committing, fetched, fetching};
use crate::script::Script;
use crate::side::Side;

const TOPIC: &str = "consumer-groups";
const OTHER: &str = "consumer-groups-2";
/// From here on who fetches may say that it is a member.
const FETCH_AS_MEMBER: i16 = 9;

pub(super) fn run(script: &mut Script) {
    let mut group = Group::new(script, "offsets", 1);
    let name = &group.name.clone();
    group.join("a", &[TOPIC], 2);
    group.own_all("a");
    group.join("b", &[TOPIC], 3);
    group.describe("one waits");
    // The first has still all at the epoch before, and the second nothing at the new one.
    commits(group.script, name, "while one waits");
    group.follow("a");
    group.follow("b");
    commits(group.script, name, "with two members");
    fetches(group.script, name);
    deletes(group.script, name);
    group.leave("a");
    group.leave("b");
    commits(group.script, name, "in an empty group");
    fetches(group.script, name);
    deletes(group.script, name);
}

fn commits(script: &mut Script, group: &str, when: &str) {
    let epoch = |side: &Side, member: &str| super::epoch(side, group, member);
    for version in 2..=10 {
        let mut commit = |what: &str, change: &dyn Fn(&Side, &mut OffsetCommitRequest)| {
            script.ask(&format!("{when}: {what}"), version, |side| {
                let partitions = [(0, 5), (3, 6), (9, 7)];
                let mut request = committing(side, version, group, &[(TOPIC, &partitions)]);
                change(side, &mut request);
                request
            });
        };
        for member in ["a", "b"] {
            for off in [0, -1, -2, 1, 1000] {
                commit(&format!("'{member}', {off} epochs off"), &|side, request| {
                    request.member_id = member.into();
                    request.generation_id_or_member_epoch = epoch(side, member) + off;
                });
            }
            commit(&format!("'{member}' without an epoch"), &|_, request| {
                request.member_id = member.into();
            });
        }
        for member in ["", "nobody"] {
            for epoch in [-1, 0, 2] {
                commit(&format!("'{member}' at epoch {epoch}"), &|_, request| {
                    request.member_id = member.into();
                    request.generation_id_or_member_epoch = epoch;
                });
            }
        }
        commit("'a' as an instance", &|side, request| {
            request.member_id = "a".into();
            request.generation_id_or_member_epoch = epoch(side, "a");
            request.group_instance_id = Some("instance".into());
        });
        commit("'a' in a topic it does not know", &|side, request| {
            let topics = committing(side, version, group, &[(OTHER, &[(0, 1)])]).topics;
            request.topics = topics;
            request.member_id = "a".into();
            request.generation_id_or_member_epoch = epoch(side, "a");
        });
    }
    fetched(script, group);
}

fn fetches(script: &mut Script, group: &str) {
    for version in 1..=10 {
        script.ask("offsets of a consumer group", version, |side| {
            fetching(side, version, &[group], Some(&[(TOPIC, &[0, 3, 5])]))
        });
    }
    let members = [
        (Some("a"), Some(0)),
        (Some("a"), Some(-1)),
        (Some("a"), Some(-2)),
        (Some("a"), Some(1)),
        (Some("a"), None),
        (Some("nobody"), Some(0)),
        (Some("nobody"), None),
        (Some(""), Some(0)),
        (None, Some(0)),
    ];
    for version in FETCH_AS_MEMBER..=10 {
        for (member, off) in members {
            script.ask(&format!("'{member:?}', {off:?} epochs off"), version, |side| {
                let wanted: [(&str, &[i32]); 1] = [(TOPIC, &[0, 3])];
                let mut request = fetching(side, version, &[group], Some(&wanted));
                let epoch = super::epoch(side, group, "a");
                request.groups[0].member_id = member.map(Into::into);
                request.groups[0].member_epoch = off.map_or(-1, |off| epoch + off);
                request
            });
        }
    }
}

fn deletes(script: &mut Script, group: &str) {
    let mut delete = |step: &str, topics: &[&str]| {
        script.ask(step, 0, |_| {
            let partition = |partition_index| OffsetDeleteRequestPartition { partition_index };
            let topic = |name: &&str| OffsetDeleteRequestTopic {
                name: (*name).into(),
                partitions: [0, 4, 9].map(partition).into(),
            };
            OffsetDeleteRequest {
                group_id: group.into(),
                topics: topics.iter().map(topic).collect(),
            }
        });
    };
    delete("offsets of a topic that is subscribed to", &[TOPIC]);
    delete("offsets of another topic", &[OTHER]);
    delete("offsets of both topics", &[TOPIC, OTHER, "not-there"]);
    fetched(script, group);
}
