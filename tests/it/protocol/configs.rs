//! `DescribeConfigs`.

use ottla::wire::messages::create_topics::CreatableTopicConfig;
use ottla::wire::messages::describe_configs::{
    DescribeConfigsRequest, DescribeConfigsResource, DescribeConfigsResourceResult,
    DescribeConfigsResult,
};

use super::client::{Target, creatable, soon};
use super::errors::{INVALID_REQUEST, INVALID_TOPIC, UNKNOWN_TOPIC_OR_PARTITION};

checks![
    an_empty_list_of_keys_is_all_of_them,
    named_keys_are_described_and_unknown_ones_left_out,
    success_has_an_empty_message,
    sources_and_synonyms_say_where_a_value_is_from,
    types_and_documentation_come_from_version_3,
    what_is_described_can_be_set,
    what_is_not_there_is_refused,
    an_unknown_type_fails_every_resource,
    the_broker_is_described,
];

const TOPIC: i8 = 2;
const BROKER: i8 = 4;
/// Sources of a value.
const OF_THE_TOPIC: i8 = 1;
const DEFAULT_OF_BROKERS: i8 = 3;
const DEFAULT: i8 = 5;

fn request(resource_type: i8, name: &str, keys: Option<&[&str]>) -> DescribeConfigsRequest {
    let keys = keys.map(|keys| keys.iter().map(ToString::to_string).collect());
    let resource = DescribeConfigsResource {
        resource_type,
        resource_name: name.into(),
        configuration_keys: keys,
    };
    DescribeConfigsRequest {
        resources: vec![resource],
        include_synonyms: true,
        include_documentation: true,
    }
}

fn describe(
    target: &Target,
    request: &DescribeConfigsRequest,
    version: i16,
) -> DescribeConfigsResult {
    let mut results = target.call(request, version).results;
    assert_eq!(results.len(), 1, "{results:?}");
    results.remove(0)
}

fn names(result: &DescribeConfigsResult) -> Vec<&str> {
    let mut names: Vec<_> = result.configs.iter().map(|config| config.name.as_str()).collect();
    names.sort_unstable();
    names
}

fn find<'a>(result: &'a DescribeConfigsResult, name: &str) -> &'a DescribeConfigsResourceResult {
    let found = result.configs.iter().find(|config| config.name == name);
    found.unwrap_or_else(|| panic!("{name} is not described"))
}

/// All keys of a resource.
pub(super) fn described(
    target: &Target,
    resource_type: i8,
    name: &str,
) -> Vec<DescribeConfigsResourceResult> {
    let result = describe(target, &request(resource_type, name, None), 4);
    assert_eq!(result.error_code, 0, "{result:?}");
    result.configs
}

/// What a topic has of its own, in order.
pub(super) fn own_configs(target: &Target, topic: &str) -> Vec<(String, String)> {
    let result = describe(target, &request(TOPIC, topic, None), 4);
    let configs = result.configs.into_iter();
    let mut own: Vec<_> = configs
        .filter(|config| config.config_source == OF_THE_TOPIC)
        .map(|config| (config.name, config.value.unwrap_or_default()))
        .collect();
    own.sort_unstable();
    own
}

fn an_empty_list_of_keys_is_all_of_them(target: &Target) {
    let topic = target.topic(1).name;
    for version in 1..=4 {
        let all = describe(target, &request(TOPIC, &topic, None), version);
        let empty = describe(target, &request(TOPIC, &topic, Some(&[])), version);
        assert_eq!(names(&all), names(&empty), "version {version}");
        for name in ["cleanup.policy", "retention.ms", "min.insync.replicas", "segment.bytes"] {
            find(&all, name);
        }
        assert!(all.configs.len() >= 30, "{:?}", names(&all));
    }
}

fn named_keys_are_described_and_unknown_ones_left_out(target: &Target) {
    let topic = target.topic(1).name;
    let keys = ["segment.bytes", "no.such.key", "retention.ms"];
    for version in 1..=4 {
        let result = describe(target, &request(TOPIC, &topic, Some(&keys)), version);
        assert_eq!(result.error_code, 0);
        assert_eq!(names(&result), ["retention.ms", "segment.bytes"], "version {version}");
    }
}

fn success_has_an_empty_message(target: &Target) {
    let topic = target.topic(1).name;
    for version in 1..=4 {
        for (resource_type, name) in [(TOPIC, topic.as_str()), (BROKER, "1"), (BROKER, "")] {
            let result = describe(target, &request(resource_type, name, None), version);
            assert_eq!((result.error_code, result.error_message.as_deref()), (0, Some("")));
            assert_eq!(
                (result.resource_type, result.resource_name.as_str()),
                (resource_type, name)
            );
        }
    }
}

fn sources_and_synonyms_say_where_a_value_is_from(target: &Target) {
    let topic = target.topic_with(1, &[("retention.ms", "60000")]).name;
    for version in 1..=4 {
        let result = describe(target, &request(TOPIC, &topic, None), version);
        let own = find(&result, "retention.ms");
        assert_eq!((own.value.as_deref(), own.config_source), (Some("60000"), OF_THE_TOPIC));
        assert!(!own.read_only && !own.is_sensitive);
        let synonyms: Vec<_> = own
            .synonyms
            .iter()
            .map(|one| (one.name.as_str(), one.value.as_deref(), one.source))
            .collect();
        assert_eq!(synonyms, [("retention.ms", Some("60000"), OF_THE_TOPIC)]);
        let default = find(&result, "segment.bytes");
        assert_eq!(
            (default.value.as_deref(), default.config_source),
            (Some("1073741824"), DEFAULT)
        );
        let synonyms: Vec<_> = default
            .synonyms
            .iter()
            .map(|one| (one.name.as_str(), one.value.as_deref(), one.source))
            .collect();
        assert_eq!(synonyms, [("log.segment.bytes", Some("1073741824"), DEFAULT)]);
        let mut without = request(TOPIC, &topic, None);
        without.include_synonyms = false;
        let result = describe(target, &without, version);
        assert!(result.configs.iter().all(|config| config.synonyms.is_empty()));
    }
}

fn types_and_documentation_come_from_version_3(target: &Target) {
    let topic = target.topic(1).name;
    for version in [3, 4] {
        let result = describe(target, &request(TOPIC, &topic, None), version);
        // As `DescribeConfigsResponse.ConfigType` numbers them.
        let types = [
            ("preallocate", 1),
            ("compression.type", 2),
            ("segment.bytes", 3),
            ("retention.ms", 5),
            ("min.cleanable.dirty.ratio", 6),
            ("cleanup.policy", 7),
        ];
        for (name, number) in types {
            assert_eq!(find(&result, name).config_type, number, "{name}");
        }
        let documented = |config: &DescribeConfigsResourceResult| {
            config.documentation.as_ref().is_some_and(|text| !text.is_empty())
        };
        assert!(result.configs.iter().all(documented), "version {version}");
        let mut without = request(TOPIC, &topic, None);
        without.include_documentation = false;
        let result = describe(target, &without, version);
        assert!(result.configs.iter().all(|config| config.documentation.is_none()));
    }
}

fn what_is_described_can_be_set(target: &Target) {
    let topic = target.topic(1).name;
    let described = describe(target, &request(TOPIC, &topic, None), 4);
    assert!(described.configs.iter().all(|config| !config.read_only));
    let mut copy = creatable(&target.name(), 1, &[]);
    let configs = described.configs.iter().map(|config| CreatableTopicConfig {
        name: config.name.clone(),
        value: config.value.clone(),
    });
    copy.configs = configs.collect();
    let created = target.create(&copy, 7);
    assert_eq!(created.error_code, 0, "{created:?}");
    let copied = soon("the copy", || {
        let described = describe(target, &request(TOPIC, &copy.name, None), 4);
        Some(described).filter(|described| described.error_code == 0)
    });
    for config in &described.configs {
        let other = find(&copied, &config.name);
        assert_eq!((&other.value, other.config_source), (&config.value, OF_THE_TOPIC));
    }
}

fn what_is_not_there_is_refused(target: &Target) {
    let unknown = target.name();
    for version in 1..=4 {
        for (resource_type, name, error) in [
            (TOPIC, unknown.as_str(), UNKNOWN_TOPIC_OR_PARTITION),
            (TOPIC, "a b", INVALID_TOPIC),
            (BROKER, "2", INVALID_REQUEST),
            (BROKER, "one", INVALID_REQUEST),
            (0, "a", INVALID_REQUEST),
            (99, "a", INVALID_REQUEST),
        ] {
            let result = describe(target, &request(resource_type, name, None), version);
            assert_eq!(result.error_code, error, "{result:?}");
            assert_eq!(result.configs, [], "{name}");
            assert_eq!(
                (result.resource_type, result.resource_name.as_str()),
                (resource_type, name)
            );
        }
    }
}

fn an_unknown_type_fails_every_resource(target: &Target) {
    let topic = target.topic(1);
    for version in 1..=4 {
        let mut both = request(TOPIC, &topic.name, None);
        both.resources.extend(request(99, "a", None).resources);
        for result in target.call(&both, version).results {
            assert_eq!(result.error_code, INVALID_REQUEST, "{result:?}");
            let message = result.error_message.unwrap();
            assert!(message.starts_with("This most likely occurs because"), "{message}");
        }
    }
}

fn the_broker_is_described(target: &Target) {
    for version in 1..=4 {
        let result = describe(target, &request(BROKER, "1", None), version);
        let node = find(&result, "node.id");
        assert_eq!((node.value.as_deref(), node.read_only), (Some("1"), true));
        let partitions = find(&result, "num.partitions");
        assert_eq!(partitions.value.as_deref(), Some("1"));
        // The default for all brokers: only what was set dynamically, here by the broker's first start.
        let defaults = describe(target, &request(BROKER, "", None), version);
        let defaults: Vec<_> = defaults
            .configs
            .iter()
            .map(|one| (one.name.as_str(), one.value.as_deref(), one.config_source))
            .collect();
        assert_eq!(defaults, [("min.insync.replicas", Some("1"), DEFAULT_OF_BROKERS)]);
    }
}
