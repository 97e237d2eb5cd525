//! `IncrementalAlterConfigs` and `AlterConfigs`.

use ottla::wire::messages::alter_configs::{
    AlterConfigsRequest, AlterConfigsResource as WholeResource, AlterableConfig as WholeConfig,
};
use ottla::wire::messages::incremental_alter_configs::{
    AlterConfigsResource, AlterableConfig, IncrementalAlterConfigsRequest,
};

use super::client::{Target, soon};
use super::configs::own_configs;
use super::errors::{
    INVALID_CONFIG, INVALID_REQUEST, INVALID_TOPIC, MESSAGE_TOO_LARGE, UNKNOWN_SERVER_ERROR,
    UNKNOWN_TOPIC_OR_PARTITION,
};
use super::produce::{answer, batch, produce};
use crate::broker::against_kafka;

checks![
    keys_are_set_and_deleted_at_every_version,
    a_whole_configuration_replaces_the_one_before_at_every_version,
    elements_are_appended_and_subtracted,
    a_list_begins_with_its_default,
    what_changes_nothing_is_no_error,
    a_change_counts_for_the_next_batch,
    validating_changes_nothing,
    values_are_checked_as_for_a_new_topic,
    only_lists_grow,
    a_value_that_is_too_long_is_refused,
    null_is_no_value,
    a_key_named_twice_is_refused,
    a_resource_named_twice_is_refused_each_time,
    an_unknown_operation_fails_every_topic,
    topics_that_are_not_there,
    each_topic_is_decided_by_itself,
    unknown_types_are_refused,
    loggers_are_not_configured_yet,
];

const TOPIC: i8 = 2;
pub(super) const BROKER: i8 = 4;
const BROKER_LOGGER: i8 = 8;
pub(super) const CLIENT_METRICS: i8 = 16;
pub(super) const GROUP: i8 = 32;

pub(super) const SET: i8 = 0;
pub(super) const DELETE: i8 = 1;
pub(super) const APPEND: i8 = 2;
const SUBTRACT: i8 = 3;

/// Key, operation, value.
pub(super) type Change<'a> = (&'a str, i8, Option<&'a str>);
/// Error code and message.
pub(super) type Answer = (i16, Option<String>);

pub(super) fn resource(
    resource_type: i8,
    name: &str,
    changes: &[Change<'_>],
) -> AlterConfigsResource {
    let config = |&(name, config_operation, value): &Change<'_>| AlterableConfig {
        name: name.into(),
        config_operation,
        value: value.map(Into::into),
    };
    let configs = changes.iter().map(config).collect();
    AlterConfigsResource { resource_type, resource_name: name.into(), configs }
}

fn whole(resource: &AlterConfigsResource) -> WholeResource {
    let configs = resource.configs.iter();
    WholeResource {
        resource_type: resource.resource_type,
        resource_name: resource.resource_name.clone(),
        configs: configs
            .map(|config| WholeConfig { name: config.name.clone(), value: config.value.clone() })
            .collect(),
    }
}

fn incremental(resources: &[AlterConfigsResource]) -> IncrementalAlterConfigsRequest {
    IncrementalAlterConfigsRequest { resources: resources.to_vec(), validate_only: false }
}

/// Changes single keys; an answer for each resource, in order.
pub(super) fn alter(
    target: &Target,
    resources: &[AlterConfigsResource],
    version: i16,
) -> Vec<Answer> {
    let responses = target.call(&incremental(resources), version).responses;
    let named = responses.iter().map(|one| (one.resource_type, one.resource_name.as_str()));
    assert!(named.eq(resources.iter().map(|one| (one.resource_type, one.resource_name.as_str()))));
    responses.into_iter().map(|one| (one.error_code, one.error_message)).collect()
}

/// Replaces configurations with what `resources` sets; an answer for each, in order.
fn replace(target: &Target, resources: &[AlterConfigsResource], version: i16) -> Vec<Answer> {
    let request = AlterConfigsRequest {
        resources: resources.iter().map(whole).collect(),
        validate_only: false,
    };
    let responses = target.call(&request, version).responses;
    let named = responses.iter().map(|one| (one.resource_type, one.resource_name.as_str()));
    assert!(named.eq(resources.iter().map(|one| (one.resource_type, one.resource_name.as_str()))));
    responses.into_iter().map(|one| (one.error_code, one.error_message)).collect()
}

pub(super) fn refused(error: i16, message: &str) -> Answer {
    (error, Some(message.to_owned()))
}

/// Both requests, at their newest versions, refuse the resource in the same way.
fn assert_refused(target: &Target, resource: &AlterConfigsResource, error: i16, message: &str) {
    let resources = std::slice::from_ref(resource);
    let expected = [refused(error, message)];
    assert_eq!(alter(target, resources, 1), expected, "{resource:?}");
    assert_eq!(replace(target, resources, 2), expected, "{resource:?}");
}

/// Changes a topic, which must succeed.
fn change(target: &Target, topic: &str, changes: &[Change<'_>]) {
    assert_eq!(alter(target, &[resource(TOPIC, topic, changes)], 1), [(0, None)], "{changes:?}");
}

/// Waits until the topic has exactly this of its own.
fn wait_for(target: &Target, topic: &str, expected: &[(&str, &str)]) {
    let owned = |(name, value): &(&str, &str)| ((*name).to_owned(), (*value).to_owned());
    let expected: Vec<_> = expected.iter().map(owned).collect();
    soon(&format!("{expected:?} on {topic}"), || {
        (own_configs(target, topic) == expected).then_some(())
    });
}

fn keys_are_set_and_deleted_at_every_version(target: &Target) {
    let name = target.topic_with(1, &[("flush.ms", "9")]).name;
    for version in 0..=1 {
        let set = [("retention.ms", SET, Some("77")), ("segment.ms", SET, Some(" 5 "))];
        assert_eq!(alter(target, &[resource(TOPIC, &name, &set)], version), [(0, None)]);
        let expected = [("flush.ms", "9"), ("retention.ms", "77"), ("segment.ms", "5")];
        wait_for(target, &name, &expected);
        // A value beside a deletion means nothing.
        let delete = [("retention.ms", DELETE, None), ("segment.ms", DELETE, Some("x"))];
        assert_eq!(alter(target, &[resource(TOPIC, &name, &delete)], version), [(0, None)]);
        wait_for(target, &name, &[("flush.ms", "9")]);
    }
}

fn a_whole_configuration_replaces_the_one_before_at_every_version(target: &Target) {
    for version in 0..=2 {
        let name = target.topic_with(1, &[("flush.ms", "9"), ("retention.ms", "5")]).name;
        let some = [("segment.ms", SET, Some("7")), ("retention.ms", SET, Some("5"))];
        assert_eq!(replace(target, &[resource(TOPIC, &name, &some)], version), [(0, None)]);
        wait_for(target, &name, &[("retention.ms", "5"), ("segment.ms", "7")]);
        assert_eq!(replace(target, &[resource(TOPIC, &name, &[])], version), [(0, None)]);
        wait_for(target, &name, &[]);
    }
}

fn elements_are_appended_and_subtracted(target: &Target) {
    let name = target.topic_with(1, &[("cleanup.policy", "delete")]).name;
    for (operation, value, expected) in [
        (APPEND, "compact", "delete,compact"),
        (APPEND, "compact", "delete,compact"),
        (APPEND, "delete,compact", "delete,compact"),
        (SUBTRACT, "delete", "compact"),
        (SUBTRACT, "delete", "compact"),
        (SUBTRACT, "other", "compact"),
        (SUBTRACT, "compact,", ""),
        (APPEND, "", ""),
        (APPEND, " compact , delete", "compact,delete"),
        (SUBTRACT, "compact", "compact,delete"),
        (APPEND, ",", "compact,delete"),
    ] {
        change(target, &name, &[("cleanup.policy", operation, Some(value))]);
        wait_for(target, &name, &[("cleanup.policy", expected)]);
    }
}

fn a_list_begins_with_its_default(target: &Target) {
    let name = target.topic(1).name;
    change(target, &name, &[("cleanup.policy", APPEND, Some("compact"))]);
    wait_for(target, &name, &[("cleanup.policy", "delete,compact")]);
    let other = target.topic(1).name;
    let replicas = "leader.replication.throttled.replicas";
    let changes =
        [("cleanup.policy", SUBTRACT, Some("delete")), (replicas, APPEND, Some("0:1,1:1"))];
    change(target, &other, &changes);
    wait_for(target, &other, &[("cleanup.policy", ""), (replicas, "0:1,1:1")]);
}

fn what_changes_nothing_is_no_error(target: &Target) {
    let name = target.topic_with(1, &[("flush.ms", "9")]).name;
    change(target, &name, &[]);
    change(target, &name, &[("no.such.key", DELETE, None), ("", DELETE, None)]);
    change(target, &name, &[("retention.ms", DELETE, None), ("flush.ms", SET, Some("9"))]);
    wait_for(target, &name, &[("flush.ms", "9")]);
    assert_eq!(alter(target, &[], 1), []);
    assert_eq!(replace(target, &[], 2), []);
}

fn a_change_counts_for_the_next_batch(target: &Target) {
    let topic = target.topic(1);
    let answered = || answer(&mut target.client(), &produce(&topic, &batch(10)), 9).error_code;
    assert_eq!(answered(), 0);
    change(target, &topic.name, &[("max.message.bytes", SET, Some("100"))]);
    soon("a limit", || (answered() == MESSAGE_TOO_LARGE).then_some(()));
    change(target, &topic.name, &[("max.message.bytes", DELETE, None)]);
    soon("no limit", || (answered() == 0).then_some(()));
    // Kafka replaces what it has not been told, too.
    let whole = [resource(TOPIC, &topic.name, &[("max.message.bytes", SET, Some("100"))])];
    assert_eq!(replace(target, &whole, 2), [(0, None)]);
    soon("a limit", || (answered() == MESSAGE_TOO_LARGE).then_some(()));
}

fn validating_changes_nothing(target: &Target) {
    let name = target.topic_with(1, &[("flush.ms", "9")]).name;
    for (value, error) in [("7", 0), ("x", INVALID_CONFIG)] {
        let resources = [resource(TOPIC, &name, &[("flush.ms", SET, Some(value))])];
        let request =
            IncrementalAlterConfigsRequest { validate_only: true, ..incremental(&resources) };
        assert_eq!(target.call(&request, 1).responses[0].error_code, error);
        let resources = resources.iter().map(whole).collect();
        let request = AlterConfigsRequest { resources, validate_only: true };
        assert_eq!(target.call(&request, 2).responses[0].error_code, error);
    }
    // Whatever was to come is there by now: changes are applied in order.
    change(target, &name, &[("segment.ms", SET, Some("5"))]);
    wait_for(target, &name, &[("flush.ms", "9"), ("segment.ms", "5")]);
}

fn values_are_checked_as_for_a_new_topic(target: &Target) {
    let name = target.topic(1).name;
    let tiered = "Tiered Storage functionality is disabled in the broker. Topic cannot be \
                  configured with remote log storage.";
    let lags =
        [("min.compaction.lag.ms", SET, Some("100")), ("max.compaction.lag.ms", SET, Some("50"))];
    for (changes, message) in [
        (&[("no.such.key", SET, Some("1"))][..], "Unknown topic config name: no.such.key"),
        (&[("", SET, Some(""))], "Unknown topic config name: "),
        (
            &[("retention.ms", SET, Some("x"))],
            "Invalid value x for configuration retention.ms: Not a number of type LONG",
        ),
        (
            &[("cleanup.policy", SET, Some("forget"))],
            "Invalid value forget for configuration cleanup.policy: String must be one of: \
             compact, delete",
        ),
        (
            &lags,
            "conflict topic config setting min.compaction.lag.ms (100) > max.compaction.lag.ms (50)",
        ),
        (&[("remote.storage.enable", SET, Some("true"))], tiered),
    ] {
        assert_refused(target, &resource(TOPIC, &name, changes), INVALID_CONFIG, message);
    }
    wait_for(target, &name, &[]);
    // What was there before counts with what is new.
    change(target, &name, &lags[..1]);
    let answers = alter(target, &[resource(TOPIC, &name, &lags[1..])], 1);
    assert_eq!(answers[0].0, INVALID_CONFIG);
    assert_eq!(replace(target, &[resource(TOPIC, &name, &lags[1..])], 2), [(0, None)]);
}

fn only_lists_grow(target: &Target) {
    let name = target.topic(1).name;
    for key in ["retention.ms", "no.such.key"] {
        for (operation, word) in [(APPEND, "APPEND"), (SUBTRACT, "SUBTRACT")] {
            let message = format!("Can't {word} to key {key} because its type is not LIST.");
            // Before the topic's name, and before other keys, are looked at.
            for topic in [name.as_str(), "a b", ""] {
                let changes = [("other.key", SET, Some("1")), (key, operation, Some("1"))];
                let answers = alter(target, &[resource(TOPIC, topic, &changes)], 1);
                assert_eq!(answers, [refused(INVALID_CONFIG, &message)], "{topic}");
            }
        }
    }
    let empty = [("cleanup.policy", APPEND, Some(",compact"))];
    let answers = alter(target, &[resource(TOPIC, &name, &empty)], 1);
    let message = "Configuration 'cleanup.policy' values must not be empty.";
    assert_eq!(answers, [refused(INVALID_CONFIG, message)]);
}

fn a_value_that_is_too_long_is_refused(target: &Target) {
    let name = target.topic(1).name;
    let list = |broker: u8| {
        (10_000..14_000).map(|id| format!("{id}:{broker}")).collect::<Vec<_>>().join(",")
    };
    let replicas = "leader.replication.throttled.replicas";
    change(target, &name, &[(replicas, SET, Some(&list(1)))]);
    let too_long = [(replicas, APPEND, Some(&*list(2))), ("no.such.key", SET, Some("1"))];
    let answers = alter(target, &[resource(TOPIC, &name, &too_long)], 1);
    let message = "The configuration value cannot be added because it exceeds the maximum value \
                   size of 32767 bytes.";
    assert_eq!(answers, [refused(INVALID_CONFIG, message)]);
}

fn null_is_no_value(target: &Target) {
    let name = target.topic(1).name;
    let nulls = [("retention.ms", SET, None), ("no.such.key", SET, None)];
    let message = "Null value not supported for : retention.ms, no.such.key";
    for resource_type in [TOPIC, BROKER, 99] {
        let nulls = resource(resource_type, &name, &nulls);
        assert_refused(target, &nulls, INVALID_REQUEST, message);
    }
    let others = [("cleanup.policy", APPEND, None), ("a", SUBTRACT, None), ("b", 9, None)];
    let answers = alter(target, &[resource(TOPIC, &name, &others)], 1);
    let message = "Null value not supported for : cleanup.policy, a, b";
    assert_eq!(answers, [refused(INVALID_REQUEST, message)]);
}

fn a_key_named_twice_is_refused(target: &Target) {
    let name = target.topic(1).name;
    let twice = [("retention.ms", SET, Some("1")), ("retention.ms", SET, None)];
    let message = "Error due to duplicate config keys";
    for resource_type in [TOPIC, BROKER, 99] {
        let twice = resource(resource_type, &name, &twice);
        assert_refused(target, &twice, INVALID_REQUEST, message);
    }
}

fn a_resource_named_twice_is_refused_each_time(target: &Target) {
    let (name, other) = (target.topic(1).name, target.topic(1).name);
    let set = [("retention.ms", SET, Some("7"))];
    let resources = [
        resource(TOPIC, &name, &set),
        resource(TOPIC, &other, &set),
        resource(TOPIC, &name, &[]),
        resource(99, &name, &[]),
    ];
    let once = refused(INVALID_REQUEST, "Each resource must appear at most once.");
    let unknown = refused(INVALID_REQUEST, "Unknown resource type 99");
    let expected = [once.clone(), (0, None), once, unknown];
    assert_eq!(alter(target, &resources, 1), expected);
    wait_for(target, &other, &[("retention.ms", "7")]);
    assert_eq!(own_configs(target, &name), []);
    // Kafka never answers this one.
    if !against_kafka() {
        assert_eq!(replace(target, &resources, 2), expected);
    }
}

fn an_unknown_operation_fails_every_topic(target: &Target) {
    let (name, other) = (target.topic(1).name, target.topic(1).name);
    for operation in [9, 4, -1] {
        let resources = [
            resource(TOPIC, &name, &[("retention.ms", operation, Some("1"))]),
            resource(TOPIC, &other, &[("retention.ms", SET, Some("1"))]),
            resource(99, &name, &[("retention.ms", operation, Some("1"))]),
        ];
        let unknown = refused(INVALID_REQUEST, "Unknown resource type 99");
        let failed = (UNKNOWN_SERVER_ERROR, None);
        assert_eq!(alter(target, &resources, 1), [failed.clone(), failed, unknown]);
    }
    assert_eq!(own_configs(target, &other), []);
}

fn topics_that_are_not_there(target: &Target) {
    let unknown = target.name();
    let missing = |name: &str| format!("The topic '{name}' does not exist.");
    let invalid = "Topic name is invalid: 'a b' contains one or more characters other than ASCII \
                   alphanumerics, '.', '_' and '-'";
    for changes in [&[("retention.ms", SET, Some("1"))][..], &[]] {
        for name in [unknown.as_str(), "__cluster_metadata"] {
            let resource = resource(TOPIC, name, changes);
            assert_refused(target, &resource, UNKNOWN_TOPIC_OR_PARTITION, &missing(name));
        }
        assert_refused(target, &resource(TOPIC, "a b", changes), INVALID_TOPIC, invalid);
        let default = "Default topic resources are not allowed.";
        assert_refused(target, &resource(TOPIC, "", changes), INVALID_REQUEST, default);
    }
    // The configuration is looked at first.
    let bad = resource(TOPIC, &unknown, &[("no.such.key", SET, Some("1"))]);
    assert_refused(target, &bad, INVALID_CONFIG, "Unknown topic config name: no.such.key");
}

fn each_topic_is_decided_by_itself(target: &Target) {
    let (bad, good) = (target.topic(1).name, target.topic(1).name);
    let unknown = target.name();
    let resources = [
        resource(TOPIC, &bad, &[("retention.ms", SET, Some("x"))]),
        resource(TOPIC, &good, &[("retention.ms", SET, Some("5"))]),
        resource(TOPIC, &unknown, &[]),
    ];
    let codes = |answers: Vec<Answer>| answers.into_iter().map(|one| one.0).collect::<Vec<_>>();
    let expected = [INVALID_CONFIG, 0, UNKNOWN_TOPIC_OR_PARTITION];
    assert_eq!(codes(alter(target, &resources, 1)), expected);
    wait_for(target, &good, &[("retention.ms", "5")]);
    assert_eq!(codes(replace(target, &resources, 2)), expected);
}

fn unknown_types_are_refused(target: &Target) {
    for resource_type in [0, 1, 3, 5, 99, -1] {
        let message = format!("Unknown resource type {resource_type}");
        for changes in [&[("retention.ms", SET, Some("1"))][..], &[]] {
            let resource = resource(resource_type, "name", changes);
            assert_refused(target, &resource, INVALID_REQUEST, &message);
        }
    }
    let logger = [resource(BROKER_LOGGER, "1", &[])];
    let expected = [refused(INVALID_REQUEST, "Unknown resource type 8")];
    assert_eq!(replace(target, &logger, 2), expected);
}

fn loggers_are_not_configured_yet(target: &Target) {
    let answer = alter(target, &[resource(BROKER_LOGGER, "1", &[])], 1);
    let message = "Dynamic configuration of broker loggers is not supported yet.";
    // Kafka has these.
    let expected = if against_kafka() { (0, None) } else { refused(INVALID_REQUEST, message) };
    assert_eq!(answer, [expected]);
}
