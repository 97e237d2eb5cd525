//! Groups: described, listed and deleted.

use ottla::wire::messages::delete_groups::DeleteGroupsRequest;
use ottla::wire::messages::describe_groups::DescribeGroupsRequest;
use ottla::wire::messages::list_groups::ListGroupsRequest;
use ottla::wire::messages::offset_commit::{
    OffsetCommitRequest, OffsetCommitRequestPartition, OffsetCommitRequestTopic,
};
use ottla::wire::messages::offset_delete::{
    OffsetDeleteRequest, OffsetDeleteRequestPartition, OffsetDeleteRequestTopic,
};

use crate::groups;
use crate::script::Script;

pub(crate) const APIS: &[&str] = &["DescribeGroups", "ListGroups", "DeleteGroups"];

/// Makes a group of offsets only.
fn commit(script: &mut Script, group: &str) {
    script.ask("a group of offsets", 9, |_| OffsetCommitRequest {
        group_id: group.into(),
        topics: vec![OffsetCommitRequestTopic {
            name: "group-admin".into(),
            partitions: vec![OffsetCommitRequestPartition::default()],
            ..Default::default()
        }],
        ..Default::default()
    });
}

pub(crate) fn run(script: &mut Script) {
    groups::coordinator(script);
    script.topic("group-admin", 1, &[]);
    groups::stable(script, 9, "admin-stable");
    groups::stable(script, 9, "admin-empty");
    script.ask("it is left", 5, |side| groups::leaving_of(side, "admin-empty", &["a"]));
    commit(script, "admin-offsets");
    let lists: [&[&str]; 9] = [
        &["admin-stable"],
        &["admin-empty"],
        &["admin-offsets"],
        &["admin-none"],
        &[""],
        &["bad name!"],
        &[],
        &["admin-stable", "admin-none", "admin-empty"],
        &["admin-stable", "admin-stable"],
    ];
    for names in lists {
        for include_authorized_operations in [false, true] {
            let step = format!("{names:?}, operations {include_authorized_operations}");
            script.each(&step, |_, _| DescribeGroupsRequest {
                groups: names.iter().map(ToString::to_string).collect(),
                include_authorized_operations,
            });
        }
    }
    list(script);
    for version in 0..=2 {
        delete(script, version);
    }
    delete_large(script);
    script.each("after all", |_, _| ListGroupsRequest::default());
    script.leave("a");
}

/// Deletes more than one batch of the log can delete: a group with a very long name and offsets in many partitions.
fn delete_large(script: &mut Script) {
    const TOPIC: &str = "group-admin-large";
    script.topic(TOPIC, 40, &[]);
    let group = "large-".to_owned() + &"x".repeat(30_000);
    for partitions in [0..20, 20..40] {
        script.ask("many offsets", 9, |_| OffsetCommitRequest {
            group_id: group.clone(),
            topics: vec![OffsetCommitRequestTopic {
                name: TOPIC.into(),
                partitions: partitions
                    .clone()
                    .map(|partition_index| OffsetCommitRequestPartition {
                        partition_index,
                        ..Default::default()
                    })
                    .collect(),
                ..Default::default()
            }],
            ..Default::default()
        });
    }
    let delete_group = || DeleteGroupsRequest { groups_names: vec![group.clone()] };
    let delete_offsets = |partitions: std::ops::Range<i32>| OffsetDeleteRequest {
        group_id: group.clone(),
        topics: vec![OffsetDeleteRequestTopic {
            name: TOPIC.into(),
            partitions: partitions
                .map(|partition_index| OffsetDeleteRequestPartition { partition_index })
                .collect(),
        }],
    };
    script.ask("more than a batch", 2, |_| delete_group());
    script.ask("more than a batch", 0, |_| delete_offsets(0..40));
    script.ask("half of it", 0, |_| delete_offsets(0..20));
    script.ask("the rest", 2, |_| delete_group());
    script.ask("the rest again", 2, |_| delete_group());
}

fn list(script: &mut Script) {
    let states: [&[&str]; 8] = [
        &[],
        &["Stable"],
        &["EMPTY"],
        &["dead"],
        &["PreparingRebalance", "CompletingRebalance"],
        &["Stable", "Empty"],
        &["No such state"],
        &["Stable", ""],
    ];
    let types: [&[&str]; 6] =
        [&[], &["classic"], &["Consumer"], &["share"], &["x"], &["x", "Classic"]];
    for states in states {
        for types in types {
            let from = if types.is_empty() { if states.is_empty() { 0 } else { 4 } } else { 5 };
            script.over(&format!("states {states:?}, types {types:?}"), from..=5, |_, _| {
                ListGroupsRequest {
                    states_filter: states.iter().map(ToString::to_string).collect(),
                    types_filter: types.iter().map(ToString::to_string).collect(),
                }
            });
        }
    }
}

fn delete(script: &mut Script, version: i16) {
    let [one, two, empty] = ["one", "two", "empty"].map(|name| format!("delete-{name}-v{version}"));
    commit(script, &one);
    commit(script, &two);
    groups::stable(script, 9, &empty);
    let mut delete = |step: &str, names: &[&str]| {
        script.ask(step, version, |_| DeleteGroupsRequest {
            groups_names: names.iter().map(ToString::to_string).collect(),
        });
    };
    delete("no groups", &[]);
    delete("unknown groups", &["delete-none", "", "bad name!"]);
    delete("a group with members", &[&empty]);
    delete("a group", &[&one]);
    delete("a deleted group", &[&one]);
    delete("several groups", &["delete-none", &two, &empty]);
    script.ask("it is left", 5, |side| groups::leaving_of(side, &empty, &["a"]));
    script.ask("an empty group", version, |_| DeleteGroupsRequest {
        groups_names: vec![empty.clone()],
    });
    script.ask("deleted groups", 6, |_| DescribeGroupsRequest {
        groups: vec![one.clone(), two.clone(), empty.clone()],
        ..Default::default()
    });
}
