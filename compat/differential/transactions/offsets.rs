//! Offsets that are committed with a transaction, and what readers of offsets see of them.

use ottla::wire::messages::delete_groups::DeleteGroupsRequest;
use ottla::wire::messages::describe_groups::DescribeGroupsRequest;
use ottla::wire::messages::list_groups::ListGroupsRequest;
use ottla::wire::messages::offset_delete::{
    OffsetDeleteRequest, OffsetDeleteRequestPartition, OffsetDeleteRequestTopic,
};
use ottla::wire::messages::offset_fetch::OffsetFetchRequest;
use ottla::wire::messages::txn_offset_commit::TxnOffsetCommitRequest;

use super::{COMMIT_ADDS, Claim, END_BUMPS, Offsets, Producer, committing, identity};
use crate::consumer_groups::{self, Group};
use crate::groups;
use crate::offsets::{self, fetched};
use crate::script::Script;
use crate::side::Side;

const TOPIC: &str = "transactions-offsets";
const OTHER: &str = "transactions-offsets-2";
const COMMIT: std::ops::RangeInclusive<i16> = 0..=5;
/// From here on who commits may say that it is a member.
const AS_MEMBER: i16 = 3;
/// From here on a reader may want offsets that no transaction is about to change.
const STABLE: i16 = 7;

pub(super) fn run(script: &mut Script) {
    script.topic(TOPIC, 3, &[]);
    script.topic(OTHER, 1, &[]);
    for version in COMMIT {
        for committed in [true, false] {
            life(script, version, committed);
        }
        shapes(script, version);
        outsiders(script, version);
        classic(script, version);
        consumer(script, version);
    }
    rivals(script);
    deletions(script);
}

/// A producer that may commit offsets of these groups.
fn begun<'a>(script: &'a mut Script, id: &str, version: i16, groups: &[&str]) -> Producer<'a> {
    let mut producer = Producer::begun(script, id);
    if version < COMMIT_ADDS {
        for group in groups {
            producer.add_offsets("a group", 3, Claim::Right, group);
        }
    }
    producer
}

fn end(producer: &mut Producer<'_>, version: i16, committed: bool) {
    let version = if version < COMMIT_ADDS { 4 } else { END_BUMPS };
    producer.end(&format!("offsets, committed {committed}"), version, Claim::Right, committed);
}

/// Everything that a reader may ask of a group's offsets, at every version.
fn read(script: &mut Script, when: &str, groups: &[&str]) {
    read_at(script, &[1, 2, 3, 4, 5, 6, 7, 8, 9, 10], when, groups);
}

/// As [`read`], in each of the forms that the question has.
fn glance(script: &mut Script, when: &str, groups: &[&str]) {
    read_at(script, &[6, 7, 9, 10], when, groups);
}

fn read_at(script: &mut Script, versions: &[i16], when: &str, groups: &[&str]) {
    let some: [(&str, &[i32]); 2] = [(TOPIC, &[0, 1, 2]), (OTHER, &[0])];
    for version in versions.iter().copied() {
        for wanted in [Some(&some[..]), None] {
            for require_stable in [false, true] {
                if (version < STABLE && require_stable) || (version == 1 && wanted.is_none()) {
                    continue;
                }
                let what = if wanted.is_some() { "some" } else { "all" };
                let step = format!("{when}: {what}, stable {require_stable}");
                script.ask(&step, version, |side| OffsetFetchRequest {
                    require_stable,
                    ..offsets::fetching(side, version, groups, wanted)
                });
            }
        }
    }
}

/// Offsets before, in and after a transaction.
fn life(script: &mut Script, version: i16, committed: bool) {
    let group = &format!("transactions-offsets-v{version}-{committed}");
    let id = format!("offsets-v{version}-{committed}");
    script.ask("an offset from before", 9, |side| {
        offsets::committing(side, 9, group, &[(TOPIC, &[(0, 3)])])
    });
    let mut producer = begun(script, &id, version, &[group]);
    read(producer.script, "nothing is committed", &[group]);
    let two: Offsets<'_> = &[(TOPIC, &[(0, 5), (1, 6)])];
    producer.commit_offsets("offsets", version, Claim::Right, group, two);
    read(producer.script, "a transaction is open", &[group]);
    producer.commit_offsets("more offsets", version, Claim::Right, group, &[(OTHER, &[(0, 7)])]);
    producer.commit_offsets("others", version, Claim::Right, group, &[(TOPIC, &[(1, 8)])]);
    read(producer.script, "more is committed", &[group, "transactions-offsets-none"]);
    producer.describe("offsets");
    end(&mut producer, version, committed);
    read(producer.script, &format!("ended, committed {committed}"), &[group]);
}

fn change(
    producer: &mut Producer<'_>,
    step: &str,
    version: i16,
    group: &str,
    change: &dyn Fn(&Side, &mut TxnOffsetCommitRequest),
) {
    let id = &producer.id;
    producer.script.ask(step, version, |side| {
        let offsets: Offsets<'_> = &[(TOPIC, &[(0, 5), (9, 1)])];
        let mut request = committing(&identity(side, id, Claim::Right), group, offsets);
        change(side, &mut request);
        request
    });
}

/// Topics, partitions, offsets and metadata.
fn shapes(script: &mut Script, version: i16) {
    let group = &format!("transactions-shapes-v{version}");
    let mut producer = begun(script, &format!("offsets-shapes-v{version}"), version, &[group, ""]);
    let lists: [(&str, Offsets<'_>); 10] = [
        ("no topics", &[]),
        ("no partitions", &[(TOPIC, &[])]),
        ("unknown partitions", &[(TOPIC, &[(3, 1), (-1, 2)])]),
        ("known and unknown partitions", &[(TOPIC, &[(3, 1), (1, 2), (-1, 3)])]),
        ("a partition twice", &[(TOPIC, &[(1, 1), (1, 2)])]),
        ("a topic twice", &[(TOPIC, &[(2, 1)]), (TOPIC, &[(2, 2)])]),
        ("topics", &[(OTHER, &[(0, 8)]), (TOPIC, &[(0, 9)])]),
        ("an unknown topic", &[("transactions-none", &[(0, 1)]), (TOPIC, &[(1, 4)])]),
        ("bad names", &[("", &[(0, 1)]), (TOPIC, &[(1, 5)]), ("bad name", &[(0, 1)])]),
        ("odd offsets", &[(TOPIC, &[(0, -1), (1, i64::MAX), (2, -7)])]),
    ];
    for (step, offsets) in lists {
        producer.commit_offsets(step, version, Claim::Right, group, offsets);
    }
    for length in [0, 4096, 4097] {
        change(
            &mut producer,
            &format!("metadata of {length} bytes"),
            version,
            group,
            &|_, request| {
                request.topics[0].partitions[0].committed_metadata = Some("m".repeat(length));
            },
        );
    }
    change(&mut producer, "null metadata", version, group, &|_, request| {
        request.topics[0].partitions[0].committed_metadata = None;
    });
    for epoch in [0, 7, -2] {
        change(&mut producer, &format!("leader epoch {epoch}"), version, group, &|_, request| {
            request.topics[0].partitions[0].committed_leader_epoch = epoch;
        });
    }
    change(&mut producer, "the empty group", version, "", &|_, _| {});
    change(&mut producer, "a group that was not added", version, "transactions-other", &|_, _| {});
    producer.describe("shapes");
    end(&mut producer, version, true);
    glance(producer.script, "shapes", &[group]);
    fetched(producer.script, "");
}

/// Members that there are not, in groups that there are not.
fn outsiders(script: &mut Script, version: i16) {
    let cases = [
        (0, "", None),
        (1, "", None),
        (-1, "nobody", None),
        (1, "nobody", None),
        (-2, "", None),
        (-1, "", Some("instance")),
        (-1, "", None),
    ];
    let groups = [0, 1, 2, 3, 4, 5, 6].map(|of| format!("transactions-outsiders-v{version}-{of}"));
    let id = format!("offsets-outsiders-v{version}");
    let mut producer = begun(script, &id, version, &groups.each_ref().map(String::as_str));
    for ((generation, member, instance), group) in cases.into_iter().zip(&groups) {
        if version < AS_MEMBER && (generation, member, instance) != (-1, "", None) {
            continue;
        }
        for when in ["no group", "the same again"] {
            let step = format!("{when}, generation {generation} of '{member}' {instance:?}");
            change(&mut producer, &step, version, group, &|_, request| {
                request.generation_id = generation;
                request.member_id = member.into();
                request.group_instance_id = instance.map(Into::into);
            });
        }
        fetched(producer.script, group);
    }
    end(&mut producer, version, true);
    describe(producer.script, "outsiders", &groups);
}

/// Commits into a group by members and by those who say that they are.
fn members(
    producer: &mut Producer<'_>,
    when: &str,
    version: i16,
    group: &str,
    member: impl Fn(&Side) -> (String, i32),
) {
    for off in [None, Some(0), Some(-1), Some(1)] {
        for (name, is_known) in [("the member", true), ("", false), ("nobody", false)] {
            for instance in [None, Some("instance")] {
                if version < AS_MEMBER && (off, name, instance) != (None, "", None) {
                    continue;
                }
                let step = format!("{when}: {off:?} of '{name}' {instance:?}");
                change(producer, &step, version, group, &|side, request| {
                    let (id, generation) = member(side);
                    request.member_id = if is_known { id } else { name.into() };
                    request.generation_id = off.map_or(-1, |off| generation + off);
                    request.group_instance_id = instance.map(Into::into);
                });
            }
        }
    }
}

fn classic(script: &mut Script, version: i16) {
    let group = &format!("transactions-classic-v{version}");
    groups::stable(script, 9, group);
    let mut producer = begun(script, &format!("offsets-classic-v{version}"), version, &[group]);
    let member = |side: &Side| {
        let beat = groups::beating(side, group, "a");
        (beat.member_id, beat.generation_id)
    };
    members(&mut producer, "in a group", version, group, member);
    glance(producer.script, "in a group", &[group]);
    producer.script.ask("it leaves", 5, |side| groups::leaving_of(side, group, &["a"]));
    members(&mut producer, "in an empty group", version, group, member);
    end(&mut producer, version, true);
    glance(producer.script, "in an empty group", &[group]);
    producer.script.leave("a");
}

fn consumer(script: &mut Script, version: i16) {
    let mut group = Group::new(script, &format!("transactions-{version}"), 1);
    group.join("a", &[TOPIC], 2);
    group.own_all("a");
    let name = group.name.clone();
    let id = format!("offsets-consumer-v{version}");
    let mut producer = begun(group.script, &id, version, &[&name]);
    let member = |side: &Side| ("a".to_owned(), consumer_groups::epoch(side, &name, "a"));
    members(&mut producer, "in a consumer group", version, &name, member);
    glance(producer.script, "in a consumer group", &[&name]);
    group.leave("a");
    let mut producer = Producer::new(script, id);
    members(&mut producer, "in an empty consumer group", version, &name, member);
    end(&mut producer, version, true);
    glance(producer.script, "in an empty consumer group", &[&name]);
}

/// Several who commit offsets of the same partition: what is later in the log counts.
fn rivals(script: &mut Script) {
    let orders = [[0, 1, 2], [0, 2, 1], [2, 0, 1], [1, 0, 2], [1, 0, 2]];
    for (number, order) in orders.into_iter().enumerate() {
        let group = &format!("transactions-rivals-{number}");
        let ids = [0, 1].map(|of| format!("offsets-rivals-{number}-{of}"));
        for (id, offset) in ids.iter().zip([10, 20]) {
            let mut producer = Producer::begun(script, id);
            let both: Offsets<'_> = &[(TOPIC, &[(0, offset), (1, offset)])];
            producer.commit_offsets("rivals", 5, Claim::Right, group, both);
        }
        for what in order {
            match what {
                2 => {
                    script.ask("an offset without a transaction", 9, |side| {
                        offsets::committing(side, 9, group, &[(TOPIC, &[(0, 30), (2, 30)])])
                    });
                }
                of => end(&mut Producer::new(script, &ids[of]), 5, number != 3 || of == 0),
            }
            glance(script, &format!("rivals {number}, after {what}"), &[group]);
        }
    }
}

/// Groups and offsets are deleted while a transaction is open.
fn deletions(script: &mut Script) {
    for committed in [true, false] {
        let groups = ["offsets", "group"].map(|what| format!("transactions-no-{what}-{committed}"));
        let mut producer = Producer::begun(script, format!("offsets-deleted-{committed}"));
        for group in &groups {
            let before = |side: &Side| offsets::committing(side, 9, group, &[(TOPIC, &[(0, 3)])]);
            producer.script.ask("an offset to delete", 9, before);
            let two: Offsets<'_> = &[(TOPIC, &[(0, 5), (1, 6)])];
            producer.commit_offsets("offsets to delete", 5, Claim::Right, group, two);
        }
        describe(producer.script, "pending", &groups);
        producer.script.ask("pending offsets deleted", 0, |_| deleting(&groups[0]));
        producer.script.ask("pending groups deleted", 2, |_| DeleteGroupsRequest {
            groups_names: vec![groups[1].clone()],
        });
        describe(producer.script, "deleted", &groups);
        for group in &groups {
            glance(producer.script, "deleted", &[group]);
        }
        end(&mut producer, 5, committed);
        describe(producer.script, "deleted and ended", &groups);
        for group in &groups {
            glance(producer.script, "deleted and ended", &[group]);
        }
    }
}

fn deleting(group: &str) -> OffsetDeleteRequest {
    let partition = |partition_index| OffsetDeleteRequestPartition { partition_index };
    OffsetDeleteRequest {
        group_id: group.into(),
        topics: vec![OffsetDeleteRequestTopic {
            name: TOPIC.into(),
            partitions: [0, 1, 2].map(partition).into(),
        }],
    }
}

fn describe(script: &mut Script, step: &str, groups: &[String]) {
    script.ask(step, 6, |_| DescribeGroupsRequest {
        groups: groups.to_vec(),
        include_authorized_operations: false,
    });
    script.ask(step, 5, |_| ListGroupsRequest::default());
}
