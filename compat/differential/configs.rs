//! Configurations: described and changed.

use ottla::wire::messages::alter_configs::{
    AlterConfigsRequest, AlterConfigsResource, AlterableConfig,
};
use ottla::wire::messages::describe_configs::{DescribeConfigsRequest, DescribeConfigsResource};
use ottla::wire::messages::incremental_alter_configs as incremental;
use ottla::wire::messages::list_config_resources::ListConfigResourcesRequest;

use crate::resources;
use crate::script::Script;
use crate::topics::REFUSED_CONFIGS;

pub(crate) const APIS: &[&str] =
    &["DescribeConfigs", "AlterConfigs", "IncrementalAlterConfigs", "ListConfigResources"];

pub(crate) const TOPIC: i8 = 2;
pub(crate) const BROKER: i8 = 4;
/// Topic, broker, broker logger, client metrics, group, and numbers without a meaning.
const TYPES: [i8; 9] = [2, 4, 8, 16, 32, 0, 1, 99, -1];

pub(crate) fn run(script: &mut Script) {
    describe(script);
    list(script);
    alter(script);
    incrementally(script);
    resources::run(script);
}

pub(crate) fn resource(
    resource_type: i8,
    name: &str,
    keys: Option<&[&str]>,
) -> DescribeConfigsResource {
    DescribeConfigsResource {
        resource_type,
        resource_name: name.into(),
        configuration_keys: keys.map(|keys| keys.iter().map(ToString::to_string).collect()),
    }
}

pub(crate) fn describing(resources: Vec<DescribeConfigsResource>) -> DescribeConfigsRequest {
    DescribeConfigsRequest { resources, include_synonyms: true, include_documentation: true }
}

fn describe(script: &mut Script) {
    let name = "configs-described";
    script.topic(name, 1, &[("retention.ms", "5000"), ("cleanup.policy", "compact,delete")]);
    let key_lists: [Option<&[&str]>; 5] = [
        None,
        Some(&[]),
        Some(&["retention.ms"]),
        Some(&["segment.bytes", "no.such.key", "cleanup.policy", "segment.bytes"]),
        Some(&["no.such.key"]),
    ];
    for keys in key_lists {
        for flags in 0..4 {
            script.each(&format!("a topic: {keys:?} flags {flags}"), |_, _| {
                DescribeConfigsRequest {
                    resources: vec![resource(TOPIC, name, keys)],
                    include_synonyms: flags & 1 != 0,
                    include_documentation: flags & 2 != 0,
                }
            });
        }
        script.each(&format!("the broker: {keys:?}"), |_, _| {
            describing(vec![resource(BROKER, "1", keys)])
        });
        script.each(&format!("all brokers: {keys:?}"), |_, _| {
            describing(vec![resource(BROKER, "", keys)])
        });
    }
    for name in ["configs-none", "", "bad name", "1", "2", "abc", "-1"] {
        for resource_type in TYPES {
            let is_broker = resource_type == BROKER && ["", "1"].contains(&name);
            let keys: Option<&[&str]> = is_broker.then_some(&["log.retention.ms"]);
            script.each(&format!("type {resource_type} named '{name}'"), |_, _| {
                describing(vec![resource(resource_type, name, keys)])
            });
        }
    }
    script.each("no resources", |_, _| describing(vec![]));
    let known = resource(TOPIC, name, Some(&["retention.ms"]));
    script.each("several resources", |_, _| {
        let unknown = resource(TOPIC, "configs-none", None);
        describing(vec![unknown, known.clone(), resource(99, "x", None)])
    });
    script.each("a resource twice", |_, _| describing(vec![known.clone(), known.clone()]));
}

fn list(script: &mut Script) {
    let lists: [&[i8]; 8] = [&[], &[2], &[4], &[16], &[8, 32], &[32, 16, 8, 4, 2], &[0], &[99, 2]];
    for types in lists {
        script.over(&format!("types {types:?}"), 1..=1, |_, _| ListConfigResourcesRequest {
            resource_types: types.to_vec(),
        });
    }
    script.each("no types", |_, _| ListConfigResourcesRequest::default());
}

/// Resources of a request to change: type, name, and keys with their values.
pub(crate) type Changed<'a> = (i8, &'a str, &'a [(&'a str, Option<&'a str>)]);

pub(crate) fn altering(resources: &[Changed<'_>], validate_only: bool) -> AlterConfigsRequest {
    let config = |(name, value): &(&str, Option<&str>)| AlterableConfig {
        name: (*name).into(),
        value: value.map(Into::into),
    };
    let resource = |(resource_type, name, configs): &Changed<'_>| AlterConfigsResource {
        resource_type: *resource_type,
        resource_name: (*name).into(),
        configs: configs.iter().map(config).collect(),
    };
    AlterConfigsRequest { resources: resources.iter().map(resource).collect(), validate_only }
}

/// What a topic's configuration is after a change.
fn described(script: &mut Script, name: &str) {
    script.ask("a changed topic", 4, |_| describing(vec![resource(TOPIC, name, None)]));
}

fn alter(script: &mut Script) {
    let name = "configs-altered";
    script.topic(name, 1, &[("retention.ms", "5000")]);
    for validate_only in [true, false] {
        let how = if validate_only { "validated" } else { "done" };
        for version in 0..=2 {
            let mut change = |step: &str, resources: &[Changed<'_>]| {
                let step = format!("{step}, {how}");
                script.ask(&step, version, |_| altering(resources, validate_only));
            };
            change("nothing", &[]);
            change("no keys", &[(TOPIC, name, &[])]);
            change("a key", &[(TOPIC, name, &[("segment.bytes", Some("2000000"))])]);
            change("a null value", &[(TOPIC, name, &[("retention.ms", None)])]);
            let twice = [("retention.ms", Some("1")), ("retention.ms", Some("2"))];
            change("a key twice", &[(TOPIC, name, &twice)]);
            for (key, value) in REFUSED_CONFIGS {
                change(&format!("{key}={value}"), &[(TOPIC, name, &[(key, Some(value))])]);
            }
            change("an empty key", &[(TOPIC, name, &[("", Some("1"))])]);
            for name in ["configs-none", "", "bad name", "1"] {
                for resource_type in TYPES {
                    let step = format!("type {resource_type} named '{name}'");
                    change(&step, &[(resource_type, name, &[("retention.ms", Some("1"))])]);
                }
            }
            let good = (TOPIC, name, &[("retention.ms", Some("7000"))][..]);
            let unknown = (TOPIC, "configs-none", &[("retention.ms", Some("7000"))][..]);
            change("a known and an unknown topic", &[unknown, good]);
            described(script, name);
        }
    }
}

/// As [`Changed`], with an operation for each key.
pub(crate) type Operated<'a> = (i8, &'a str, &'a [(&'a str, i8, Option<&'a str>)]);

pub(crate) fn operating(
    resources: &[Operated<'_>],
    validate_only: bool,
) -> incremental::IncrementalAlterConfigsRequest {
    let config =
        |(name, config_operation, value): &(&str, i8, Option<&str>)| incremental::AlterableConfig {
            name: (*name).into(),
            config_operation: *config_operation,
            value: value.map(Into::into),
        };
    let resource =
        |(resource_type, name, configs): &Operated<'_>| incremental::AlterConfigsResource {
            resource_type: *resource_type,
            resource_name: (*name).into(),
            configs: configs.iter().map(config).collect(),
        };
    let resources = resources.iter().map(resource).collect();
    incremental::IncrementalAlterConfigsRequest { resources, validate_only }
}

pub(crate) const SET: i8 = 0;
pub(crate) const DELETE: i8 = 1;
pub(crate) const APPEND: i8 = 2;
pub(crate) const SUBTRACT: i8 = 3;

fn incrementally(script: &mut Script) {
    // Unknown ones are left out: the reference's controller resigns over each.
    const OPERATIONS: [i8; 4] = [SET, DELETE, APPEND, SUBTRACT];
    let name = "configs-incremental";
    script.topic(name, 1, &[("retention.ms", "5000")]);
    let values = [
        ("retention.ms", Some("6000")),
        ("retention.ms", None),
        ("cleanup.policy", Some("compact")),
        ("cleanup.policy", Some("compact,delete")),
        ("cleanup.policy", Some("")),
        ("cleanup.policy", Some("shred")),
        ("leader.replication.throttled.replicas", Some("0:1,1:1")),
        ("leader.replication.throttled.replicas", Some("x")),
        ("no.such.key", Some("1")),
        ("", Some("1")),
    ];
    for validate_only in [true, false] {
        let how = if validate_only { "validated" } else { "done" };
        for version in 0..=1 {
            let mut change = |step: &str, resources: &[Operated<'_>]| {
                let step = format!("{step}, {how}");
                script.ask(&step, version, |_| operating(resources, validate_only));
            };
            change("nothing", &[]);
            change("no keys", &[(TOPIC, name, &[])]);
            for (key, value) in values {
                for operation in OPERATIONS {
                    let step = format!("operation {operation} {key}={value:?}");
                    change(&step, &[(TOPIC, name, &[(key, operation, value)])]);
                }
            }
            for (key, value) in REFUSED_CONFIGS {
                let step = format!("{key}={value}");
                change(&step, &[(TOPIC, name, &[(key, SET, Some(value))])]);
            }
            let twice = [("retention.ms", SET, Some("1")), ("retention.ms", DELETE, None)];
            change("a key twice", &[(TOPIC, name, &twice)]);
            for name in ["configs-none", "", "bad name", "1"] {
                for resource_type in TYPES {
                    let step = format!("type {resource_type} named '{name}'");
                    change(&step, &[(resource_type, name, &[("retention.ms", SET, Some("1"))])]);
                }
            }
            let good = (TOPIC, name, &[("retention.ms", SET, Some("7000"))][..]);
            let unknown = (TOPIC, "configs-none", &[("retention.ms", SET, Some("1"))][..]);
            change("a known and an unknown topic", &[unknown, good]);
            change("a resource twice", &[good, good]);
            described(script, name);
        }
    }
}
