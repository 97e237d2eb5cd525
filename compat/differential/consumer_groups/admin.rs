//! Consumer groups: listed, described and deleted, also by requests that are older than they are.

use ottla::wire::messages::consumer_group_describe::ConsumerGroupDescribeRequest;
use ottla::wire::messages::delete_groups::DeleteGroupsRequest;
use ottla::wire::messages::describe_groups::DescribeGroupsRequest;
use ottla::wire::messages::find_coordinator::FindCoordinatorRequest;
use ottla::wire::messages::list_groups::ListGroupsRequest;

use super::Group;
use crate::groups;
use crate::script::Script;

const TOPICS: &[&str] = &["consumer-groups"];

pub(super) fn run(script: &mut Script) {
    let stable = &of_one(script, "admin-stable");
    let empty = &of_one(script, "admin-empty");
    Group::new(script, "admin-empty", 1).leave("a");
    let waiting = &of_one(script, "admin-waiting");
    Group::new(script, "admin-waiting", 1).join("b", TOPICS, 3);
    let classic = "consumer-admin-classic";
    groups::stable(script, 9, classic);
    let offsets = "consumer-admin-offsets";
    script.ask("a group of offsets", 9, |side| {
        crate::offsets::committing(side, 9, offsets, &[(TOPICS[0], &[(0, 1)])])
    });
    let lists: [&[&str]; 12] = [
        &[stable],
        &[empty],
        &[waiting],
        &[classic],
        &[offsets],
        &["consumer-admin-none"],
        &[""],
        &["  "],
        &[],
        &[stable, classic, "consumer-admin-none", empty],
        &[stable, stable],
        &[offsets, ""],
    ];
    for names in lists {
        let names: Vec<String> = names.iter().map(ToString::to_string).collect();
        for include_authorized_operations in [false, true] {
            let step = format!("{names:?}, operations {include_authorized_operations}");
            script.each(&step, |_, _| ConsumerGroupDescribeRequest {
                group_ids: names.clone(),
                include_authorized_operations,
            });
            script.each(&step, |_, _| DescribeGroupsRequest {
                groups: names.clone(),
                include_authorized_operations,
            });
        }
    }
    list(script);
    script.each("a consumer group", |_, _| FindCoordinatorRequest {
        key: stable.clone(),
        coordinator_keys: vec![stable.clone(), empty.clone()],
        ..Default::default()
    });
    for version in 0..=2 {
        delete(script, version);
    }
    script.each("after consumer groups", |_, _| ListGroupsRequest::default());
    Group::new(script, "admin-stable", 1).leave("a");
    Group::new(script, "admin-waiting", 1).leave("a");
    Group::new(script, "admin-waiting", 1).leave("b");
    script.leave("a");
}

/// A group of one member that has what it was assigned; its name.
fn of_one(script: &mut Script, name: &str) -> String {
    let mut group = Group::new(script, name, 1);
    group.join("a", TOPICS, 2);
    group.own_all("a");
    group.name
}

fn list(script: &mut Script) {
    let states: [&[&str]; 7] = [
        &[],
        &["Stable"],
        &["Empty"],
        &["reconciling"],
        &["Assigning"],
        &["Dead"],
        &["Stable", "Reconciling"],
    ];
    let types: [&[&str]; 5] =
        [&[], &["consumer"], &["CONSUMER"], &["classic"], &["classic", "consumer"]];
    for states in states {
        for types in types {
            script.ask(&format!("states {states:?}, types {types:?}"), 5, |_| ListGroupsRequest {
                states_filter: states.iter().map(ToString::to_string).collect(),
                types_filter: types.iter().map(ToString::to_string).collect(),
            });
        }
    }
    script.over("consumer groups", 0..=4, |_, _| ListGroupsRequest::default());
}

fn delete(script: &mut Script, version: i16) {
    let names = ["one", "two"].map(|what| of_one(script, &format!("delete-{what}-v{version}")));
    let [one, two] = &names;
    let delete = |script: &mut Script, step: &str, names: &[&String]| {
        script.ask(step, version, |_| DeleteGroupsRequest {
            groups_names: names.iter().map(ToString::to_string).collect(),
        });
    };
    delete(script, "a consumer group with a member", &[one]);
    Group::new(script, &format!("delete-one-v{version}"), 1).leave("a");
    delete(script, "consumer groups", &[one, two]);
    script.ask("deleted groups", 1, |_| ConsumerGroupDescribeRequest {
        group_ids: names.to_vec(),
        ..Default::default()
    });
    delete(script, "a deleted consumer group", &[one]);
    let mut group = Group::new(script, &format!("delete-one-v{version}"), 1);
    group.join("a", TOPICS, 2);
    group.describe("a new group of the name");
    group.leave("a");
    Group::new(script, &format!("delete-two-v{version}"), 1).leave("a");
    delete(script, "both groups", &[one, two]);
}
