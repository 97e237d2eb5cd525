//! `FindCoordinator`, and the topic that a first look-up makes.

use ottla::wire::messages::find_coordinator::{
    Coordinator, FindCoordinatorRequest, FindCoordinatorResponse,
};
use ottla::wire::messages::metadata::{
    MetadataRequest, MetadataRequestTopic, MetadataResponseTopic,
};
use ottla::wire::messages::produce::ProduceRequest;
use uuid::Uuid;

use super::client::{ANSWER_TIMEOUT, Outcome, Target, Topic, framed_as, soon, unframed};
use super::configs::own_configs;
use super::errors::{
    COORDINATOR_LOAD_IN_PROGRESS, COORDINATOR_NOT_AVAILABLE, INVALID_REQUEST, NOT_COORDINATOR,
    UNKNOWN_TOPIC_OR_PARTITION,
};
use super::groups::{describe, group};
use super::offset_commit::{commit, partition};
use super::offset_fetch::committed;
use super::produce::{batch, produce};
use crate::broker::against_kafka;
use crate::wait::until;

checks![
    the_first_look_up_makes_the_offsets_topic,
    every_version_names_the_broker,
    any_key_has_a_coordinator,
    keys_are_answered_one_by_one,
    an_unknown_key_type_is_refused,
    share_state_has_a_coordinator_from_version_6_on,
    transactional_ids_have_a_coordinator,
    a_coordinator_goes_on_after_a_foreign_record,
];

const GROUP: i8 = 0;
pub(super) const TRANSACTION: i8 = 1;
const SHARE: i8 = 2;
/// What Kafka says of a request that it cannot make sense of.
const MALFORMED: &str = "This most likely occurs because of a request being malformed by the \
    client library or the message was sent to an incompatible broker. See the broker logs for more \
    details.";
const OFFSETS_TOPIC: &str = "__consumer_offsets";

/// Looks one key up, in the form of the version; the answer as from version 4 on.
pub(super) fn find(target: &Target, key: &str, key_type: i8, version: i16) -> Coordinator {
    let mut coordinators = find_all(target, &[key], key_type, version);
    assert_eq!(coordinators.len(), 1, "version {version}");
    coordinators.remove(0)
}

fn find_all(target: &Target, keys: &[&str], key_type: i8, version: i16) -> Vec<Coordinator> {
    let request = FindCoordinatorRequest {
        key: keys.first().copied().unwrap_or_default().into(),
        key_type,
        coordinator_keys: keys.iter().map(ToString::to_string).collect(),
    };
    let response: FindCoordinatorResponse = target.call(&request, version);
    assert_eq!(response.throttle_time_ms, 0);
    if version >= 4 {
        return response.coordinators;
    }
    vec![Coordinator {
        key: request.key,
        node_id: response.node_id,
        host: response.host,
        port: response.port,
        error_code: response.error_code,
        error_message: response.error_message,
    }]
}

fn described(target: &Target, topic: &str) -> MetadataResponseTopic {
    let topic = MetadataRequestTopic { name: Some(topic.into()), ..Default::default() };
    let request = MetadataRequest {
        topics: Some(vec![topic]),
        allow_auto_topic_creation: false,
        ..Default::default()
    };
    target.call(&request, 4).topics.remove(0)
}

/// Runs before whatever makes the topic.
fn the_first_look_up_makes_the_offsets_topic(target: &Target) {
    assert_eq!(described(target, OFFSETS_TOPIC).error_code, UNKNOWN_TOPIC_OR_PARTITION);
    let first = find(target, "first", GROUP, 3);
    if against_kafka() {
        assert_nobody(&first, COORDINATOR_NOT_AVAILABLE, 3);
    } else {
        assert_eq!(first.error_code, 0, "{first:?}");
    }
    soon("the topic", || (described(target, OFFSETS_TOPIC).error_code == 0).then_some(()));
    let topic = described(target, OFFSETS_TOPIC);
    assert_eq!((topic.is_internal, topic.partitions.len()), (true, 50));
    let configs = own_configs(target, OFFSETS_TOPIC);
    let configs: Vec<_> = configs.iter().map(|(name, value)| (&name[..], &value[..])).collect();
    let expected = [
        ("cleanup.policy", "compact"),
        ("compression.type", "producer"),
        ("segment.bytes", "104857600"),
    ];
    assert_eq!(configs, expected);
}

/// Nobody coordinates, for a reason that versions from 4 on do not put into words.
fn assert_nobody(found: &Coordinator, error: i16, version: i16) {
    let Coordinator { node_id, host, port, .. } = found;
    assert_eq!(found.error_code, error, "version {version}: {found:?}");
    assert_eq!((*node_id, host.as_str(), *port), (-1, "", -1), "version {version}: {found:?}");
    let message = match (version, error) {
        (0 | 4.., _) => "",
        (_, COORDINATOR_NOT_AVAILABLE) => "The coordinator is not available.",
        _ => MALFORMED,
    };
    assert_eq!(found.error_message.as_deref(), Some(message), "version {version}");
}

/// What the version says where there is nothing to say.
fn no_message(version: i16) -> &'static str {
    if (1..=3).contains(&version) { "NONE" } else { "" }
}

fn assert_found(target: &Target, coordinator: &Coordinator, version: i16) {
    assert_eq!(coordinator.error_code, 0, "version {version}: {coordinator:?}");
    let address = (coordinator.host.as_str(), coordinator.port);
    assert_eq!(address, ("localhost", i32::from(target.port())), "version {version}");
    assert_eq!(coordinator.node_id, 1, "version {version}");
    let message = coordinator.error_message.as_deref();
    assert_eq!(message, Some(no_message(version)), "version {version}");
}

fn every_version_names_the_broker(target: &Target) {
    for version in 0..=6 {
        let group = target.name();
        let found = soon("a coordinator", || {
            let found = find(target, &group, GROUP, version);
            (found.error_code != COORDINATOR_NOT_AVAILABLE).then_some(found)
        });
        assert_found(target, &found, version);
        assert_eq!(found.key, group);
    }
}

fn any_key_has_a_coordinator(target: &Target) {
    for version in 0..=6 {
        for key in ["", "a b", "\u{1f9a6}", &"k".repeat(1_000)] {
            let found = find(target, key, GROUP, version);
            assert_found(target, &found, version);
            assert_eq!(found.key, key);
        }
    }
}

fn keys_are_answered_one_by_one(target: &Target) {
    for version in 4..=6 {
        let keys = ["one", "two", "one", ""];
        let found = find_all(target, &keys, GROUP, version);
        assert_eq!(found.iter().map(|found| &found.key).collect::<Vec<_>>(), keys);
        for found in &found {
            assert_found(target, found, version);
        }
        assert_eq!(find_all(target, &[], GROUP, version), [], "version {version}");
    }
}

fn an_unknown_key_type_is_refused(target: &Target) {
    // Version 0 knows only groups and does not send the type.
    assert_found(target, &find(target, "key", 9, 0), 0);
    for version in 1..=6 {
        for key_type in [3, -1] {
            let found = find_all(target, &["one", "two"], key_type, version);
            assert_eq!(found.len(), if version >= 4 { 2 } else { 1 });
            for found in found {
                // Unlike other errors this one has a message in every version.
                assert_eq!(found.error_message.as_deref(), Some(MALFORMED), "version {version}");
                let error_message = Some(String::new());
                let found = Coordinator { error_message, ..found };
                assert_nobody(&found, INVALID_REQUEST, 4);
            }
        }
    }
}

fn share_state_has_a_coordinator_from_version_6_on(target: &Target) {
    for version in 1..=5 {
        let found = find(target, "group:AAAAAAAAAAAAAAAAAAAAAQ:0", SHARE, version);
        assert_nobody(&found, INVALID_REQUEST, version);
    }
    for key in ["", "group", "group:AAAAAAAAAAAAAAAAAAAAAQ", "group:id:0", "::0"] {
        assert_nobody(&find(target, key, SHARE, 6), INVALID_REQUEST, 6);
    }
    for key in ["group:AAAAAAAAAAAAAAAAAAAAAQ:0", "group:AAAAAAAAAAAAAAAAAAAAAQ:-1"] {
        assert_coordinated_by_kafka(target, key, SHARE, 6);
    }
}

fn transactional_ids_have_a_coordinator(target: &Target) {
    for version in 1..=6 {
        let found = soon("a coordinator", || {
            let found = find(target, "transactional", TRANSACTION, version);
            (found.error_code != COORDINATOR_NOT_AVAILABLE).then_some(found)
        });
        assert_found(target, &found, version);
    }
}

/// Kafka serves what this broker has no coordinator for yet.
fn assert_coordinated_by_kafka(target: &Target, key: &str, key_type: i8, version: i16) {
    if against_kafka() {
        let found = soon("a coordinator", || {
            let found = find(target, key, key_type, version);
            (found.error_code != COORDINATOR_NOT_AVAILABLE).then_some(found)
        });
        assert_found(target, &found, version);
    } else {
        let found = find(target, key, key_type, version);
        assert_nobody(&found, COORDINATOR_NOT_AVAILABLE, version);
    }
}

/// What a tool of Kafka itself writes into the partition of a coordinator: only they may.
fn write_as_a_tool(target: &Target) {
    let offsets = Topic { name: OFFSETS_TOPIC.into(), id: Uuid::nil() };
    let mut client = target.client();
    client.send_bytes(&framed_as(&produce(&offsets, &batch(1)), 9, 1, "__admin_client"));
    let Outcome::Answer(frame) = client.outcome() else { panic!("no answer") };
    let response = unframed::<ProduceRequest>(&frame, 9).1;
    assert_eq!(response.responses[0].partition_responses[0].error_code, 0, "{response:?}");
}

fn a_coordinator_goes_on_after_a_foreign_record(target: &Target) {
    // The group without a name is in the first partition.
    let topic = target.topic(1);
    let _ = group(target);
    let commit_at = |offset| {
        let response = target.call(&commit("", &topic, &[partition(0, offset)]), 9);
        response.topics[0].partitions[0].error_code
    };
    assert_eq!(commit_at(4), 0);
    write_as_a_tool(target);
    // Kafka refuses what it has written all the same, and loads again; we take the record over.
    assert_eq!(commit_at(5), if against_kafka() { NOT_COORDINATOR } else { 0 });
    until("the coordinator", ANSWER_TIMEOUT, || {
        (describe(target, "", 0).error_code != COORDINATOR_LOAD_IN_PROGRESS).then_some(())
    });
    assert_eq!(committed(target, "", &topic, 0).0, 5);
    assert_eq!(commit_at(6), 0);
    assert_eq!(committed(target, "", &topic, 0).0, 6);
}
