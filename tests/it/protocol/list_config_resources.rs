//! `ListConfigResources`.

use ottla::wire::messages::list_config_resources::{
    ListConfigResourcesRequest, ListConfigResourcesResponse,
};

use super::client::Target;
use super::errors::UNSUPPORTED_VERSION;

checks![
    version_0_lists_client_metrics_only,
    no_types_are_all_types,
    types_are_listed_in_their_own_order,
    an_unknown_type_fails_everything,
];

const TOPIC: i8 = 2;
const BROKER: i8 = 4;
const BROKER_LOGGER: i8 = 8;
const CLIENT_METRICS: i8 = 16;
const GROUP: i8 = 32;

fn ask(target: &Target, types: &[i8], version: i16) -> ListConfigResourcesResponse {
    target.call(&ListConfigResourcesRequest { resource_types: types.to_vec() }, version)
}

/// Types and names, topics sorted: their order is that of a hash map.
fn listed(response: &ListConfigResourcesResponse) -> Vec<(i8, &str)> {
    assert_eq!(response.error_code, 0);
    let resources = response.config_resources.iter();
    let mut all: Vec<_> =
        resources.map(|one| (one.resource_type, one.resource_name.as_str())).collect();
    let topics = all.iter().position(|(kind, _)| *kind == TOPIC).unwrap_or(all.len());
    all[topics..].sort_unstable();
    all
}

fn version_0_lists_client_metrics_only(target: &Target) {
    assert_eq!(listed(&ask(target, &[], 0)), []);
}

fn no_types_are_all_types(target: &Target) {
    let (first, second) = (target.topic(1).name, target.topic(1).name);
    let response = ask(target, &[], 1);
    let all = listed(&response);
    assert_eq!(all[..2], [(BROKER_LOGGER, "1"), (BROKER, "1")]);
    assert!(all[2..].iter().all(|(kind, _)| *kind == TOPIC), "{all:?}");
    for name in [&first, &second] {
        assert!(all.contains(&(TOPIC, name)), "{all:?}");
    }
}

fn types_are_listed_in_their_own_order(target: &Target) {
    let name = target.topic(1).name;
    assert_eq!(listed(&ask(target, &[BROKER, BROKER], 1)), [(BROKER, "1")]);
    assert_eq!(listed(&ask(target, &[BROKER_LOGGER], 1)), [(BROKER_LOGGER, "1")]);
    let both = [(BROKER_LOGGER, "1"), (BROKER, "1")];
    assert_eq!(listed(&ask(target, &[BROKER, BROKER_LOGGER], 1)), both);
    assert_eq!(listed(&ask(target, &[CLIENT_METRICS, GROUP], 1)), []);
    let response = ask(target, &[TOPIC, GROUP, BROKER], 1);
    let all = listed(&response);
    assert_eq!(all[0], (BROKER, "1"));
    assert!(all[1..].iter().all(|(kind, _)| *kind == TOPIC) && all.contains(&(TOPIC, &name)));
}

fn an_unknown_type_fails_everything(target: &Target) {
    for types in [&[0][..], &[1], &[99], &[-1], &[TOPIC, 99]] {
        let response = ask(target, types, 1);
        assert_eq!(response.error_code, UNSUPPORTED_VERSION, "{types:?}");
        assert_eq!(response.config_resources, [], "{types:?}");
    }
}
