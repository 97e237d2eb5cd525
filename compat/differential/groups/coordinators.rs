//! Who coordinates a group.

use ottla::wire::messages::describe_groups::DescribeGroupsRequest;
use ottla::wire::messages::find_coordinator::FindCoordinatorRequest;

use crate::script::Script;

/// Waits until groups have a coordinator.
pub(crate) fn coordinator(script: &mut Script) {
    let asking = FindCoordinatorRequest { key: "groups".into(), ..Default::default() };
    script.until("a coordinator", 3, |_| asking.clone(), |response| response.error_code == 0);
    script.until(
        "the groups",
        0,
        |_| DescribeGroupsRequest { groups: partition_keys(), ..Default::default() },
        |response| response.groups.iter().all(|group| group.error_code == 0),
    );
}

/// Names of groups, so many that each partition of the groups' topic has one.
fn partition_keys() -> Vec<String> {
    (0..400).map(|number| format!("key-{number}")).collect()
}

pub(super) fn find(script: &mut Script) {
    for key in ["groups", "", "bad name!", "\u{fc}ber"] {
        script.each(&format!("the group '{key}'"), |_, _| FindCoordinatorRequest {
            key: key.into(),
            coordinator_keys: vec![key.into()],
            ..Default::default()
        });
    }
    for key_type in [2, 3, -1, 99] {
        script.over(&format!("key type {key_type}"), 1..=6, |_, _| FindCoordinatorRequest {
            key: "groups".into(),
            key_type,
            coordinator_keys: vec!["groups".into()],
        });
    }
    for keys in [&[][..], &["one", "two", ""][..], &["one", "one"][..]] {
        script.over(&format!("keys {keys:?}"), 4..=6, |_, _| FindCoordinatorRequest {
            coordinator_keys: keys.iter().map(ToString::to_string).collect(),
            ..Default::default()
        });
    }
}
