//! Configurations of brokers, groups and subscriptions to clients' metrics, changed while the broker runs.

use ottla::wire::messages::alter_configs::{
    AlterConfigsRequest, AlterConfigsResource as WholeResource, AlterableConfig as WholeConfig,
};
use ottla::wire::messages::list_config_resources::ListConfigResourcesRequest;

use super::alter_configs::{
    APPEND, Answer, BROKER, CLIENT_METRICS, Change, DELETE, GROUP, SET, alter, refused, resource,
};
use super::client::{Target, soon};
use super::configs::described;
use super::errors::{INVALID_CONFIG, INVALID_REQUEST, MESSAGE_TOO_LARGE};
use super::produce::{answer, batch, produce};

checks![
    a_value_of_all_brokers_counts_for_topics_and_one_of_a_broker_more,
    a_whole_configuration_of_a_broker_resets_the_rest,
    fixed_keys_of_a_broker_are_refused,
    a_broker_is_this_one_or_all,
    keys_that_nobody_knows_are_kept_and_hidden,
    replicas_in_sync_are_set_for_all_brokers_only,
    groups_have_keys_of_their_own_within_the_broker_s_bounds,
    clients_metrics_are_subscribed_to,
    only_groups_and_subscriptions_with_something_set_are_listed,
];

/// Of its own broker, whose defaults may change.
pub(super) const SETTINGS: &[&str] = &["log.retention.hours=100"];

const TOPIC: i8 = 2;
/// Sources of a value.
const OF_A_BROKER: i8 = 2;
const OF_ALL_BROKERS: i8 = 3;
const FIXED: i8 = 4;
const DEFAULT: i8 = 5;
const OF_CLIENT_METRICS: i8 = 7;
const OF_A_GROUP: i8 = 8;

fn change(target: &Target, resource_type: i8, name: &str, changes: &[Change<'_>]) {
    let answers = alter(target, &[resource(resource_type, name, changes)], 1);
    assert_eq!(answers, [(0, None)], "{changes:?}");
}

fn change_error(target: &Target, resource_type: i8, name: &str, changes: &[Change<'_>]) -> Answer {
    alter(target, &[resource(resource_type, name, changes)], 1).remove(0)
}

/// A key's value, and the places where it has one.
type Found = (Option<String>, Vec<(String, Option<String>, i8)>);

fn find(target: &Target, resource_type: i8, name: &str, key: &str) -> Option<Found> {
    let one = described(target, resource_type, name).into_iter().find(|one| one.name == key)?;
    let places = one.synonyms.into_iter().map(|place| (place.name, place.value, place.source));
    let places: Vec<_> = places.collect();
    assert_eq!(one.config_source, places.first().map_or(DEFAULT, |first| first.2), "{key}");
    Some((one.value, places))
}

/// Waits until a key has exactly these values, the first of which counts.
fn wait_for(target: &Target, of: (i8, &str), key: &str, places: &[(&str, &str, i8)]) {
    let owned = |(name, value, source): &(&str, &str, i8)| {
        ((*name).to_owned(), Some((*value).to_owned()), *source)
    };
    let expected: Vec<_> = places.iter().map(owned).collect();
    let value = expected.first().and_then(|first| first.1.clone());
    soon(&format!("{key} = {places:?} of {of:?}"), || {
        let found = find(target, of.0, of.1, key)?;
        (found == (value.clone(), expected.clone())).then_some(())
    });
}

fn a_value_of_all_brokers_counts_for_topics_and_one_of_a_broker_more(target: &Target) {
    let topic = target.topic(1);
    let answered = || answer(&mut target.client(), &produce(&topic, &batch(10)), 9).error_code;
    let key = "message.max.bytes";
    let default = (key, "1048588", DEFAULT);
    wait_for(target, (TOPIC, &topic.name), "max.message.bytes", &[default]);
    change(target, BROKER, "", &[(key, SET, Some("100"))]);
    let all = (key, "100", OF_ALL_BROKERS);
    for of in [(BROKER, "1"), (TOPIC, &*topic.name)] {
        let name = if of.0 == TOPIC { "max.message.bytes" } else { key };
        wait_for(target, of, name, &[all, default]);
    }
    wait_for(target, (BROKER, ""), key, &[all]);
    soon("the limit of all", || (answered() == MESSAGE_TOO_LARGE).then_some(()));
    change(target, BROKER, "1", &[(key, SET, Some("2000000"))]);
    let one = (key, "2000000", OF_A_BROKER);
    wait_for(target, (TOPIC, &topic.name), "max.message.bytes", &[one, all, default]);
    soon("the limit of one", || (answered() == 0).then_some(()));
    change(target, BROKER, "1", &[(key, DELETE, None)]);
    soon("the limit of all", || (answered() == MESSAGE_TOO_LARGE).then_some(()));
    change(target, BROKER, "", &[(key, DELETE, None)]);
    soon("no limit", || (answered() == 0).then_some(()));
    wait_for(target, (BROKER, "1"), key, &[default]);
}

fn a_whole_configuration_of_a_broker_resets_the_rest(target: &Target) {
    let whole = |configs: &[(&str, &str)]| {
        let config = |(name, value): &(&str, &str)| WholeConfig {
            name: (*name).into(),
            value: Some((*value).into()),
        };
        let resource = WholeResource {
            resource_type: BROKER,
            resource_name: "1".into(),
            configs: configs.iter().map(config).collect(),
        };
        let request = AlterConfigsRequest { resources: vec![resource], validate_only: false };
        let mut responses = target.call(&request, 2).responses;
        (responses[0].error_code, responses.remove(0).error_message)
    };
    let (key, fixed) = ("log.retention.ms", ("log.retention.hours", "100", FIXED));
    let default = ("log.retention.hours", "168", DEFAULT);
    assert_eq!(whole(&[(key, "5000"), ("log.cleanup.policy", "compact")]), (0, None));
    wait_for(target, (BROKER, "1"), key, &[(key, "5000", OF_A_BROKER), fixed, default]);
    change(target, BROKER, "1", &[("log.cleanup.policy", APPEND, Some("delete"))]);
    let policy = "log.cleanup.policy";
    let policies = [(policy, "compact,delete", OF_A_BROKER), (policy, "delete", DEFAULT)];
    wait_for(target, (BROKER, "1"), policy, &policies);
    assert_eq!(whole(&[(key, "6000")]), (0, None));
    wait_for(target, (BROKER, "1"), policy, &policies[1..]);
    assert_eq!(whole(&[]), (0, None));
    // As the reference, nothing before the key that was asked for.
    soon("no value", || (find(target, BROKER, "1", key)? == (None, Vec::new())).then_some(()));
}

fn fixed_keys_of_a_broker_are_refused(target: &Target) {
    let fixed = "Cannot update these configs dynamically: [num.partitions]";
    let tls = "These security configs can be dynamically updated only per-listener using the \
               listener prefix: [ssl.keystore.type]";
    let threads = "Invalid value org.apache.kafka.common.config.ConfigException: Dynamic thread \
                   count update validation failed for num.io.threads=17, value should not be \
                   greater than double the current value 8 for configuration Invalid dynamic \
                   configuration";
    let number = "Invalid value x for configuration log.segment.bytes: Not a number of type INT";
    for (changes, message) in [
        (&[("num.partitions", SET, Some("3")), ("log.segment.bytes", SET, Some("x"))][..], fixed),
        (&[("ssl.keystore.type", SET, Some("JKS"))], tls),
        (&[("log.segment.bytes", SET, Some("x"))], number),
        (&[("num.io.threads", SET, Some("17"))], threads),
    ] {
        for name in ["", "1"] {
            let answer = change_error(target, BROKER, name, changes);
            assert_eq!(answer, refused(INVALID_REQUEST, message));
        }
    }
    let listeners = [("listeners", SET, Some("PLAINTEXT://localhost:1"))];
    let message = "Cannot update these configs at default cluster level, broker id must be specified: [listeners]";
    assert_eq!(change_error(target, BROKER, "", &listeners), refused(INVALID_REQUEST, message));
    // Taking away what is not there is no error.
    change(target, BROKER, "1", &[("num.partitions", DELETE, None)]);
    for (key, message) in [
        ("num.partitions", "Config value append is not allowed for config key: num.partitions"),
        ("no.such.key", "Unknown config name: no.such.key"),
    ] {
        let answer = change_error(target, BROKER, "1", &[(key, APPEND, Some("3"))]);
        assert_eq!(answer, refused(INVALID_CONFIG, message));
    }
}

fn a_broker_is_this_one_or_all(target: &Target) {
    for (name, message) in [
        ("2", "Unexpected broker id, expected 1, but received 2"),
        ("-1", "Unexpected broker id, expected 1, but received -1"),
        ("one", "Node id must be an integer, but it is: one"),
    ] {
        let answer = change_error(target, BROKER, name, &[("num.partitions", SET, Some("3"))]);
        assert_eq!(answer, refused(INVALID_REQUEST, message));
    }
    let unknown = change_error(target, BROKER, "1", &[("num.partitions", 9, Some("3"))]);
    assert_eq!(unknown, refused(INVALID_REQUEST, "Unknown operations type 9"));
}

fn keys_that_nobody_knows_are_kept_and_hidden(target: &Target) {
    change(target, BROKER, "", &[("my.plugin.key", SET, Some("secret"))]);
    for name in ["", "1"] {
        soon("a foreign key", || {
            let all = described(target, BROKER, name);
            let one = all.into_iter().find(|one| one.name == "my.plugin.key")?;
            assert!(one.is_sensitive && one.read_only && one.value.is_none(), "{one:?}");
            assert_eq!((one.config_source, one.config_type), (OF_ALL_BROKERS, 0));
            Some(())
        });
    }
    change(target, BROKER, "", &[("my.plugin.key", DELETE, None)]);
}

fn replicas_in_sync_are_set_for_all_brokers_only(target: &Target) {
    let key = "min.insync.replicas";
    let removed = "Cluster-level min.insync.replicas cannot be removed while ELR is enabled.";
    let altered = "Broker-level min.insync.replicas cannot be altered while ELR is enabled.";
    for (name, operation, message) in
        [("", DELETE, removed), ("1", SET, altered), ("1", DELETE, altered)]
    {
        let answer = change_error(target, BROKER, name, &[(key, operation, Some("1"))]);
        assert_eq!(answer, refused(INVALID_CONFIG, message));
    }
    change(target, BROKER, "", &[(key, SET, Some("1"))]);
}

fn groups_have_keys_of_their_own_within_the_broker_s_bounds(target: &Target) {
    let (key, group) = ("consumer.session.timeout.ms", target.name());
    let default = ("group.consumer.session.timeout.ms", "45000", DEFAULT);
    wait_for(target, (GROUP, &group), key, &[default]);
    change(target, GROUP, &group, &[(key, SET, Some("50000"))]);
    wait_for(target, (GROUP, &group), key, &[(key, "50000", OF_A_GROUP), default]);
    let least =
        format!("{key} must be greater than or equal to group.consumer.min.session.timeout.ms");
    let most = format!("{key} must be less than or equal to group.consumer.max.session.timeout.ms");
    let not_a_list = format!("Can't APPEND to key {key} because its type is not LIST.");
    let zero = format!("Invalid value 0 for configuration {key}: Value must be at least 1");
    for (changes, message) in [
        ([(key, SET, Some("44999"))], &*least),
        ([(key, SET, Some("60001"))], &*most),
        ([(key, SET, Some("0"))], &*zero),
        ([(key, APPEND, Some("1"))], &*not_a_list),
        ([("session.timeout.ms", SET, Some("1"))], "Unknown group config name: session.timeout.ms"),
    ] {
        let answer = change_error(target, GROUP, &group, &changes);
        assert_eq!(answer, refused(INVALID_CONFIG, message));
    }
    let answer = change_error(target, GROUP, "", &[]);
    assert_eq!(answer, refused(INVALID_REQUEST, "Default group resources are not allowed."));
    change(target, GROUP, &group, &[(key, DELETE, None)]);
    wait_for(target, (GROUP, &group), key, &[default]);
}

fn clients_metrics_are_subscribed_to(target: &Target) {
    let name = target.name();
    let own = |key, value| [(key, value, OF_CLIENT_METRICS)];
    let of = (CLIENT_METRICS, &*name);
    let interval = find(target, CLIENT_METRICS, &name, "interval.ms").unwrap();
    assert_eq!(interval, (Some("300000".to_owned()), Vec::new()));
    let changes = [("metrics", SET, Some("a.,b.")), ("interval.ms", SET, Some("100"))];
    change(target, CLIENT_METRICS, &name, &changes);
    wait_for(target, of, "metrics", &own("metrics", "a.,b."));
    wait_for(target, of, "interval.ms", &own("interval.ms", "100"));
    let interval =
        "Invalid value 99 for interval.ms, interval must be between 100 and 3600000 (1 hour)";
    for (changes, error, message) in [
        ([("interval.ms", SET, Some("99"))], INVALID_REQUEST, interval),
        ([("foo", SET, Some("1"))], INVALID_REQUEST, "Unknown client metrics configuration: foo"),
        // Although they are lists: the reference's controller does not know that.
        (
            [("metrics", APPEND, Some("a"))],
            INVALID_CONFIG,
            "Can't APPEND to key metrics because its type is not LIST.",
        ),
        ([("match", SET, Some("foo=1"))], INVALID_CONFIG, "Illegal client matching pattern: foo=1"),
    ] {
        let answer = change_error(target, CLIENT_METRICS, &name, &changes);
        assert_eq!(answer, refused(error, message));
    }
    let answer = change_error(target, CLIENT_METRICS, "", &[]);
    assert_eq!(answer, refused(INVALID_REQUEST, "Subscription name can't be empty"));
}

fn only_groups_and_subscriptions_with_something_set_are_listed(target: &Target) {
    let name = target.name();
    let listed = || {
        let request = ListConfigResourcesRequest { resource_types: vec![GROUP, CLIENT_METRICS] };
        let all = target.call(&request, 1).config_resources.into_iter();
        let mut own: Vec<_> =
            all.filter(|one| one.resource_name == name).map(|one| one.resource_type).collect();
        own.sort_unstable();
        own
    };
    assert!(listed().is_empty());
    change(target, CLIENT_METRICS, &name, &[("interval.ms", SET, Some("500"))]);
    change(target, GROUP, &name, &[("share.auto.offset.reset", SET, Some("earliest"))]);
    soon("both", || (listed() == [CLIENT_METRICS, GROUP]).then_some(()));
    let metrics = ListConfigResourcesRequest::default();
    let metrics = target.call(&metrics, 0).config_resources;
    assert!(metrics.iter().any(|one| one.resource_name == name), "{metrics:?}");
    change(target, CLIENT_METRICS, &name, &[("interval.ms", DELETE, None)]);
    soon("the group", || (listed() == [GROUP]).then_some(()));
    change(target, GROUP, &name, &[("share.auto.offset.reset", DELETE, None)]);
    soon("none", || listed().is_empty().then_some(()));
}

/// What [`change_resources`] sets: type, name, key, value.
const CHANGED: [(i8, &str, &str, &str); 4] = [
    (BROKER, "", "log.retention.ms", "1000000"),
    (BROKER, "1", "log.segment.bytes", "2000000"),
    (GROUP, "changed", "consumer.session.timeout.ms", "50000"),
    (CLIENT_METRICS, "changed", "interval.ms", "1000"),
];

/// Sets something for a resource of each type.
pub(crate) fn change_resources(port: u16) {
    for (resource_type, name, key, value) in CHANGED {
        change(&Target::new(port), resource_type, name, &[(key, SET, Some(value))]);
    }
}

/// What [`change_resources`] has set is there.
pub(crate) fn assert_resources_changed(port: u16) {
    for (resource_type, name, key, value) in CHANGED {
        let found = find(&Target::new(port), resource_type, name, key);
        assert_eq!(found.and_then(|found| found.0).as_deref(), Some(value), "{key}");
    }
}
