use super::ConfigOperation::{Append, Delete, Set, Subtract};
use super::*;
use crate::metadata::machine::tests::{Rig, configured, new_topic};
use crate::metadata::machine::{Command, Effect, Reply};

/// Topic, operations, error code and message.
type Case<'a> = (&'a str, &'a [(&'a str, ConfigOperation)], ErrorCode, &'a str);

fn change(topic: &str, operations: &[(&str, ConfigOperation)]) -> ConfigChange {
    change_of(resource::TOPIC, topic, operations)
}

fn change_of(
    resource_type: i8,
    name: &str,
    operations: &[(&str, ConfigOperation)],
) -> ConfigChange {
    let operations = operations.iter();
    let operations = operations.map(|(name, operation)| ((*name).to_owned(), operation.clone()));
    let (name, operations) = (name.to_owned(), operations.collect());
    ConfigChange { resource_type, name, operations, replace: false }
}

fn replaced(topic: &str, configs: &[(&str, &str)]) -> ConfigChange {
    let operations: Vec<_> = configs.iter().map(|(name, value)| (*name, set(value))).collect();
    ConfigChange { replace: true, ..change(topic, &operations) }
}

fn set(value: &str) -> ConfigOperation {
    Set(value.to_owned())
}

fn append(value: &str) -> ConfigOperation {
    Append(value.to_owned())
}

fn subtract(value: &str) -> ConfigOperation {
    Subtract(value.to_owned())
}

fn call(rig: &mut Rig, changes: &[ConfigChange]) -> (Vec<Entry>, Vec<Result<(), TopicError>>) {
    let command = Command::AlterConfigs { changes: changes.to_vec(), validate_only: false };
    match rig.call(command) {
        (records, Reply::Changed(outcomes)) => (records, outcomes),
        other => panic!("{other:?}"),
    }
}

/// The records of a change that must succeed.
fn changed(rig: &mut Rig, change: ConfigChange) -> Vec<Entry> {
    let (records, outcomes) = call(rig, &[change]);
    assert_eq!(outcomes, [Ok(())]);
    records
}

fn record(topic: &str, name: &str, value: Option<&str>) -> Entry {
    record_of(resource::TOPIC, topic, name, value)
}

fn record_of(resource_type: i8, of: &str, name: &str, value: Option<&str>) -> Entry {
    let (resource_name, name) = (of.to_owned(), name.to_owned());
    ConfigRecord { resource_type, resource_name, name, value: value.map(str::to_owned) }.into()
}

fn cleared(topic: &str) -> Entry {
    ClearElrRecord { topic_name: topic.to_owned() }.into()
}

/// The value that a topic has of its own.
fn own(rig: &Rig, topic: &str, name: &str) -> Option<String> {
    rig.machine.state.image.topic(topic).unwrap().overrides.get(name).cloned()
}

#[test]
fn a_change_is_its_records_and_the_topic_is_configured() {
    let mut rig = Rig::started();
    rig.create_one(configured("t", &[("retention.ms", Some("1")), ("flush.ms", Some("5"))]))
        .unwrap();
    let operations =
        [("segment.bytes", set(" 2000000 ")), ("retention.ms", Delete), ("flush.ms", set("5"))];
    let records = changed(&mut rig, change("t", &operations));
    assert_eq!(
        records,
        [record("t", "segment.bytes", Some(" 2000000 ")), record("t", "retention.ms", None)]
    );
    let image = rig.machine.state.image.clone();
    let topic = image.topic("t").unwrap().clone();
    assert_eq!((topic.config.segment_bytes, topic.config.flush_ms), (2_000_000, 5));
    assert_eq!(rig.effects, [Effect::Open(vec![topic]), Effect::Publish(image)]);
    rig.check_replay();
}

#[test]
fn what_changes_nothing_is_no_record_and_no_error() {
    let mut rig = Rig::started();
    rig.create_one(configured("t", &[("retention.ms", Some("1"))])).unwrap();
    for operations in [
        &[][..],
        &[("retention.ms", set("1"))],
        &[("flush.ms", Delete), ("no.such.key", Delete), ("", Delete)],
    ] {
        assert_eq!(changed(&mut rig, change("t", operations)), []);
    }
    assert_eq!(changed(&mut rig, replaced("t", &[("retention.ms", "1")])), []);
}

#[test]
fn a_whole_configuration_resets_what_it_does_not_name() {
    let mut rig = Rig::started();
    let configs =
        [("retention.ms", Some("1")), ("flush.ms", Some("5")), ("min.insync.replicas", Some("1"))];
    rig.create_one(configured("t", &configs)).unwrap();
    let records = changed(&mut rig, replaced("t", &[("segment.ms", "7"), ("flush.ms", "5")]));
    assert_eq!(
        records,
        [
            record("t", "segment.ms", Some("7")),
            record("t", "min.insync.replicas", None),
            record("t", "retention.ms", None),
            cleared("t"),
        ]
    );
    rig.check_replay();
}

#[test]
fn eligible_leaders_are_voided_after_all_other_records() {
    let mut rig = Rig::started();
    for name in ["a", "b"] {
        rig.create_one(new_topic(name, 1, 1)).unwrap();
    }
    let one = |topic| change(topic, &[("min.insync.replicas", set("1"))]);
    let (records, _) = call(&mut rig, &[one("a"), one("b")]);
    let set = |topic| record(topic, "min.insync.replicas", Some("1"));
    assert_eq!(records, [set("a"), set("b"), cleared("a"), cleared("b")]);
}

#[test]
fn lists_grow_and_shrink_as_java_splits_them() {
    let mut rig = Rig::started();
    rig.create_one(new_topic("t", 1, 1)).unwrap();
    // What is there before, the operation, what is there afterwards.
    for (before, operation, after) in [
        (None, append("compact"), "delete,compact"),
        (None, subtract("delete"), ""),
        (None, append("delete"), "delete"),
        (Some("delete"), append("compact,delete"), "delete,compact"),
        (Some("delete , compact"), append("compact , delete"), "delete , compact,compact , delete"),
        (Some("delete , compact"), subtract(" compact"), "delete "),
        (Some(""), append(""), ""),
        (Some(""), append("compact,"), "compact"),
        (Some("compact"), append(","), "compact"),
        (Some("compact"), subtract("compact,,"), ""),
        (Some("compact"), subtract("other"), "compact"),
        (Some("delete,compact,delete"), subtract("delete"), "compact,delete"),
        (Some("delete,compact,delete"), subtract("delete,delete"), "compact"),
    ] {
        changed(&mut rig, change("t", &[("cleanup.policy", before.map_or(Delete, set))]));
        changed(&mut rig, change("t", &[("cleanup.policy", operation.clone())]));
        let found = own(&rig, "t", "cleanup.policy");
        assert_eq!(found.as_deref().unwrap_or("delete"), after, "{before:?} {operation:?}");
    }
    rig.check_replay();
}

#[test]
fn refusals_have_the_references_codes_and_words() {
    use ErrorCode as Code;
    let mut rig = Rig::started();
    let big = (10_000..14_000).map(|id| format!("{id}:1")).collect::<Vec<_>>().join(",");
    let throttled = "leader.replication.throttled.replicas";
    rig.create_one(configured("t", &[(throttled, Some(&big))])).unwrap();
    let unknown_key = [("no.such.key", set("1"))];
    let not_a_list = [("no.such.key", set("1")), ("retention.ms", append("1"))];
    let too_long = [(throttled, append(&big.replace(":1", ":2")))];
    let cases: [Case<'_>; 14] = [
        ("t", &unknown_key, Code::InvalidConfig, "Unknown topic config name: no.such.key"),
        (
            "t",
            &[("retention.ms", set("x"))],
            Code::InvalidConfig,
            "Invalid value x for configuration retention.ms: Not a number of type LONG",
        ),
        (
            "t",
            &not_a_list,
            Code::InvalidConfig,
            "Can't APPEND to key retention.ms because its type is not LIST.",
        ),
        (
            "t",
            &[("nope", subtract("1"))],
            Code::InvalidConfig,
            "Can't SUBTRACT to key nope because its type is not LIST.",
        ),
        (
            "t",
            &[("cleanup.policy", append(",compact"))],
            Code::InvalidConfig,
            "Configuration 'cleanup.policy' values must not be empty.",
        ),
        (
            "t",
            &[("min.compaction.lag.ms", set("9")), ("max.compaction.lag.ms", set("5"))],
            Code::InvalidConfig,
            "conflict topic config setting min.compaction.lag.ms (9) > max.compaction.lag.ms (5)",
        ),
        (
            "t",
            &too_long,
            Code::InvalidConfig,
            "The configuration value cannot be added because it exceeds the maximum value size of 32767 bytes.",
        ),
        (
            "",
            &not_a_list,
            Code::InvalidConfig,
            "Can't APPEND to key retention.ms because its type is not LIST.",
        ),
        ("", &unknown_key, Code::InvalidRequest, "Default topic resources are not allowed."),
        (
            "a b",
            &unknown_key,
            Code::InvalidTopicException,
            "Topic name is invalid: 'a b' contains one or more characters other than ASCII alphanumerics, '.', '_' and '-'",
        ),
        ("nope", &unknown_key, Code::InvalidConfig, "Unknown topic config name: no.such.key"),
        (
            "nope",
            &[("retention.ms", set("1"))],
            Code::UnknownTopicOrPartition,
            "The topic 'nope' does not exist.",
        ),
        ("nope", &[], Code::UnknownTopicOrPartition, "The topic 'nope' does not exist."),
        (
            "__cluster_metadata",
            &[],
            Code::UnknownTopicOrPartition,
            "The topic '__cluster_metadata' does not exist.",
        ),
    ];
    for (topic, operations, code, message) in cases {
        let (records, outcomes) = call(&mut rig, &[change(topic, operations)]);
        assert_eq!(outcomes, [Err(TopicError::new(code, message))], "{topic} {operations:?}");
        assert!(records.is_empty());
    }
}

#[test]
fn one_bad_topic_does_not_stop_the_others() {
    let mut rig = Rig::started();
    for name in ["a", "b"] {
        rig.create_one(new_topic(name, 1, 1)).unwrap();
    }
    let (good, bad) = ([("flush.ms", set("5"))], [("flush.ms", set("x"))]);
    let changes = [change("a", &bad), change("b", &good), change("c", &good)];
    let command =
        |validate_only| Command::AlterConfigs { changes: changes.to_vec(), validate_only };
    let (records, _) = rig.call(command(true));
    assert!(records.is_empty(), "validate-only writes nothing");
    let (records, reply) = rig.call(command(false));
    let Reply::Changed(outcomes) = reply else { panic!() };
    assert_eq!(outcomes.iter().map(Result::is_ok).collect::<Vec<_>>(), [false, true, false]);
    assert_eq!(records, [record("b", "flush.ms", Some("5"))]);
}

#[test]
fn a_change_that_no_batch_can_hold_is_refused_as_a_whole() {
    let mut rig = Rig::started();
    let names: Vec<_> = (0..5_001).map(|number| format!("t{number}")).collect();
    for names in names.chunks(1_000) {
        rig.create(names.iter().map(|name| new_topic(name, 1, 1)).collect());
    }
    let operations = [("flush.ms", set("5")), ("segment.ms", set("5"))];
    let changes: Vec<_> = names.iter().map(|name| change(name, &operations)).collect();
    let (records, outcomes) = call(&mut rig, &changes);
    assert!(records.is_empty());
    assert!(outcomes.iter().all(|outcome| *outcome == Err(TopicError::batch_too_large())));
}

#[test]
fn a_broker_s_values_count_for_topics_and_the_nearest_wins() {
    let mut rig = Rig::started();
    rig.create_one(new_topic("t", 1, 1)).unwrap();
    rig.create_one(configured("own", &[("segment.bytes", Some("4000000"))])).unwrap();
    let sizes = |rig: &Rig| {
        let image = &rig.machine.state.image;
        ["t", "own"].map(|name| image.topic(name).unwrap().config.segment_bytes)
    };
    let broker = |name, operations: &[_]| change_of(resource::BROKER, name, operations);
    let of = |name, value| record_of(resource::BROKER, name, "log.segment.bytes", value);
    let all = broker("", &[("log.segment.bytes", set("2000000"))]);
    assert_eq!(changed(&mut rig, all.clone()), [of("", Some("2000000"))]);
    assert_eq!(sizes(&rig), [2_000_000, 4_000_000]);
    assert!(
        matches!(&rig.effects[..], [Effect::Open(topics), Effect::Publish(_)] if topics.len() == 2)
    );
    let one = broker("1", &[("log.segment.bytes", set("3000000"))]);
    assert_eq!(changed(&mut rig, one), [of("1", Some("3000000"))]);
    assert_eq!(sizes(&rig), [3_000_000, 4_000_000]);
    // As the reference does, also what stays as it is is written.
    assert_eq!(changed(&mut rig, all), [of("", Some("2000000"))]);
    let delete = broker("1", &[("log.segment.bytes", Delete), ("log.roll.ms", Delete)]);
    let gone = record_of(resource::BROKER, "1", "log.roll.ms", None);
    assert_eq!(changed(&mut rig, delete), [of("1", None), gone]);
    assert_eq!(sizes(&rig), [2_000_000, 4_000_000]);
    let expiration = broker("1", &[("producer.id.expiration.ms", set("77"))]);
    changed(&mut rig, expiration);
    let image = rig.machine.state.image.clone();
    let config = &image.topic("own").unwrap().config;
    assert_eq!(config.producer_id_expiration_ms, 77);
    assert!(config.transaction_partition_verification);
    let verification = ("transaction.partition.verification.enable", set("false"));
    changed(&mut rig, broker("1", &[verification]));
    let image = rig.machine.state.image.clone();
    assert!(!image.topic("own").unwrap().config.transaction_partition_verification);
    rig.check_replay();
}

#[test]
fn the_number_of_replicas_in_sync_has_one_place() {
    let mut rig = Rig::started();
    let name = "min.insync.replicas";
    let broker = |name, operations: &[_]| change_of(resource::BROKER, name, operations);
    let records = changed(&mut rig, broker("", &[(name, set("2"))]));
    assert_eq!(records, [record_of(resource::BROKER, "", name, Some("2")), cleared("")]);
    let removed = "Cluster-level min.insync.replicas cannot be removed while ELR is enabled.";
    let altered = "Broker-level min.insync.replicas cannot be altered while ELR is enabled.";
    let empty = ConfigChange { replace: true, ..broker("", &[]) };
    for (change, message) in [
        (broker("", &[(name, Delete)]), removed),
        (empty, removed),
        (broker("1", &[(name, set("1"))]), altered),
        (broker("1", &[(name, Delete)]), altered),
    ] {
        let (records, outcomes) = call(&mut rig, &[change]);
        assert_eq!(outcomes, [Err(TopicError::new(ErrorCode::InvalidConfig, message))]);
        assert!(records.is_empty());
    }
}

#[test]
fn groups_and_clients_metrics_have_configurations_that_a_snapshot_keeps() {
    let mut rig = Rig::started();
    let (group, metrics) = (resource::GROUP, resource::CLIENT_METRICS);
    let session = "consumer.session.timeout.ms";
    let records = changed(&mut rig, change_of(group, "g", &[(session, set("50000"))]));
    assert_eq!(records, [record_of(group, "g", session, Some("50000"))]);
    assert_eq!(changed(&mut rig, change_of(group, "g", &[(session, set("50000"))])), []);
    let operations = [("metrics", set("a.")), ("interval.ms", set("1000"))];
    let records = changed(&mut rig, change_of(metrics, "m", &operations));
    assert_eq!(records.len(), 2);
    let image = rig.machine.state.image.clone();
    assert_eq!(image.group_config("g").unwrap()[session], "50000");
    assert_eq!(image.group_config("other"), None);
    assert_eq!(image.config_of(metrics, "m").unwrap()["metrics"], "a.");
    let (_, snapshot) = rig.machine.state.snapshot();
    for record in records {
        assert!(snapshot.entries.contains(&record), "{record:?}");
    }
    changed(&mut rig, ConfigChange { replace: true, ..change_of(group, "g", &[]) });
    assert_eq!(rig.machine.state.image.group_config("g"), None);
    rig.check_replay();
}

#[test]
fn each_type_refuses_in_its_own_words() {
    use ErrorCode::{InvalidConfig, InvalidRequest};
    let mut rig = Rig::started();
    for (resource_type, name, key, value, code, message) in [
        (
            resource::BROKER,
            "1",
            "num.partitions",
            "3",
            InvalidRequest,
            "Cannot update these configs dynamically: [num.partitions]",
        ),
        (resource::GROUP, "", "x", "1", InvalidRequest, "Default group resources are not allowed."),
        (resource::GROUP, "g", "x", "1", InvalidConfig, "Unknown group config name: x"),
        (
            resource::CLIENT_METRICS,
            "",
            "x",
            "1",
            InvalidRequest,
            "Subscription name can't be empty",
        ),
        (
            resource::CLIENT_METRICS,
            "m",
            "x",
            "1",
            InvalidRequest,
            "Unknown client metrics configuration: x",
        ),
        (
            resource::CLIENT_METRICS,
            "m",
            "match",
            "x",
            InvalidConfig,
            "Illegal client matching pattern: x",
        ),
    ] {
        let change = change_of(resource_type, name, &[(key, set(value))]);
        let (records, outcomes) = call(&mut rig, &[change]);
        assert_eq!(outcomes, [Err(TopicError::new(code, message))]);
        assert!(records.is_empty());
    }
}
