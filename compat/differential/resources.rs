//! Configurations of brokers, groups and subscriptions to clients' metrics: changed and described.

use ottla::wire::messages::describe_configs::DescribeConfigsRequest;
use ottla::wire::messages::list_config_resources::ListConfigResourcesRequest;

use crate::configs::{
    APPEND, BROKER, Changed, DELETE, Operated, SET, SUBTRACT, TOPIC, altering, describing,
    operating, resource,
};
use crate::script::Script;

const CLIENT_METRICS: i8 = 16;
const GROUP: i8 = 32;

pub(crate) fn run(script: &mut Script) {
    reset(script);
    for (resource_type, names, changes) in OTHERS {
        for name in *names {
            change_one(script, *resource_type, name, changes);
        }
    }
    as_a_whole(script);
    together(script);
    reset(script);
}

/// A key, what is done to it, and a value.
type Change = (&'static str, i8, Option<&'static str>);

/// Resources that are no topics, and what is done to each of them, a request for each line.
const OTHERS: &[(i8, &[&str], &[&[Change]])] = &[
    (BROKER, &["", "1", "2", "abc", "-1"], BROKER_CHANGES),
    (GROUP, &["configs-group", "", "bad name"], GROUP_CHANGES),
    (CLIENT_METRICS, &["configs-metrics", "", "bad name"], METRICS_CHANGES),
];

const fn set(key: &'static str, value: &'static str) -> Change {
    (key, SET, Some(value))
}

const BROKER_CHANGES: &[&[Change]] = &[
    &[],
    &[set("log.retention.ms", "7000")],
    &[set("log.retention.ms", "7000")],
    &[set("log.retention.ms", "-1")],
    &[set("log.retention.ms", "0")],
    &[set("log.retention.ms", "x")],
    &[set("log.retention.ms", "")],
    &[("log.retention.ms", SET, None)],
    &[("log.retention.ms", APPEND, Some("1"))],
    &[("log.retention.ms", SUBTRACT, Some("1"))],
    &[set("log.retention.ms", "1"), ("log.retention.ms", DELETE, None)],
    &[
        set("log.retention.ms", "9000"),
        set("log.segment.bytes", "2000000"),
        set("compression.type", "zstd"),
    ],
    &[set("log.segment.bytes", "100")],
    &[set("log.segment.bytes", "x"), set("log.roll.ms", "0")],
    &[("log.cleanup.policy", APPEND, Some("compact"))],
    &[("log.cleanup.policy", APPEND, Some("compact,delete"))],
    &[("log.cleanup.policy", SUBTRACT, Some("delete"))],
    &[("log.cleanup.policy", APPEND, Some("shred"))],
    &[set("log.cleanup.policy", "")],
    &[set("log.cleanup.policy", " delete , compact ")],
    &[("log.cleanup.policy", DELETE, None)],
    &[set("log.cleaner.min.compaction.lag.ms", "9")],
    &[set("log.cleaner.max.compaction.lag.ms", "5")],
    &[
        ("log.cleaner.min.compaction.lag.ms", DELETE, None),
        ("log.cleaner.max.compaction.lag.ms", DELETE, None),
    ],
    &[set("log.local.retention.ms", "10000")],
    &[set("log.local.retention.ms", "-1")],
    &[set("log.local.retention.bytes", "-1")],
    &[set("log.local.retention.ms", "-2")],
    &[set("min.insync.replicas", "2")],
    &[("min.insync.replicas", DELETE, None)],
    &[set("min.insync.replicas", "1")],
    &[set("min.insync.replicas", "0")],
    &[set("producer.id.expiration.ms", "60000")],
    &[set("producer.id.expiration.ms", "0")],
    &[set("unclean.leader.election.enable", "yes")],
    &[set("unclean.leader.election.enable", "TRUE")],
    &[set("message.max.bytes", " 2000000 ")],
    &[set("log.message.timestamp.type", "LogAppendTime")],
    &[set("log.message.timestamp.type", "logAppendTime")],
    &[set("log.cleaner.min.cleanable.ratio", "0.25")],
    &[set("log.cleaner.min.cleanable.ratio", "1.5")],
    &[set("num.io.threads", "12")],
    &[set("num.io.threads", "100")],
    &[set("num.io.threads", "0")],
    &[("num.io.threads", DELETE, None)],
    &[set("log.cleaner.threads", "2")],
    &[set("max.connections", "1000"), set("max.connections.per.ip", "-1")],
    &[set("log.roll.ms", "0")],
    &[set("log.roll.jitter.ms", "-1")],
    &[set("log.retention.bytes", "-5"), set("log.local.retention.bytes", "5")],
    &[set("log.retention.bytes", "5"), set("log.local.retention.bytes", "6")],
    &[set("log.segment.delete.delay.ms", "-1")],
    &[set("log.cleaner.io.max.bytes.per.second", "1.5")],
    &[set("log.cleaner.io.buffer.load.factor", "x")],
    &[set("group.consumer.assignment.interval.ms", "500")],
    &[set("group.consumer.assignment.interval.ms", "20000")],
    &[("group.consumer.assignment.interval.ms", DELETE, None)],
    &[set("group.consumer.session.timeout.ms", "50000")],
    &[set("group.coordinator.cached.buffer.max.bytes", "1")],
    &[set("leader.replication.throttled.rate", "1000000")],
    &[set("leader.replication.throttled.rate", "-1")],
    &[("leader.replication.throttled.rate", DELETE, None)],
    &[set("num.partitions", "3")],
    &[("num.partitions", DELETE, None)],
    &[("num.partitions", APPEND, Some("3"))],
    &[set("log.dirs", "/tmp"), set("node.id", "1")],
    &[set("log.retention.hours", "1")],
    &[set("ssl.keystore.location", "/tmp/none")],
    &[set("ssl.keystore.location", "/tmp/none"), set("ssl.keystore.type", "JKS")],
    &[set("no.such.key", "1")],
    &[("no.such.key", APPEND, Some("1"))],
    &[("no.such.key", SUBTRACT, Some("1"))],
    &[("no.such.key", DELETE, None)],
    &[("no.such.key", DELETE, None)],
    &[set("", "1")],
    &[("", DELETE, None)],
    &[set("retention.ms", "5")],
    &[("retention.ms", DELETE, None)],
];

const GROUP_CHANGES: &[&[Change]] = &[
    &[],
    &[set("consumer.session.timeout.ms", "50000")],
    &[set("consumer.session.timeout.ms", "50000")],
    &[set("consumer.session.timeout.ms", "1000")],
    &[set("consumer.session.timeout.ms", "70000")],
    &[set("consumer.session.timeout.ms", "0")],
    &[set("consumer.session.timeout.ms", "x")],
    &[("consumer.session.timeout.ms", SET, None)],
    &[("consumer.session.timeout.ms", APPEND, Some("1"))],
    &[("consumer.session.timeout.ms", SUBTRACT, Some("1"))],
    &[set("consumer.heartbeat.interval.ms", "6000")],
    &[set("consumer.heartbeat.interval.ms", "4999")],
    &[set("consumer.heartbeat.interval.ms", "15001")],
    &[set("consumer.heartbeat.interval.ms", "1"), set("consumer.session.timeout.ms", "1")],
    &[set("consumer.heartbeat.interval.ms", "1"), set("share.session.timeout.ms", "x")],
    &[set("share.session.timeout.ms", "60000"), set("share.heartbeat.interval.ms", "5000")],
    &[set("share.session.timeout.ms", "1")],
    &[set("share.heartbeat.interval.ms", "1")],
    &[set("share.record.lock.duration.ms", "20000")],
    &[set("share.record.lock.duration.ms", "999")],
    &[set("share.record.lock.duration.ms", "14000")],
    &[set("share.record.lock.duration.ms", "61000")],
    &[set("share.delivery.count.limit", "3")],
    &[set("share.delivery.count.limit", "1")],
    &[set("share.delivery.count.limit", "11")],
    &[set("share.partition.max.record.locks", "200")],
    &[set("share.partition.max.record.locks", "99")],
    &[set("share.partition.max.record.locks", "10001")],
    &[set("share.auto.offset.reset", "earliest")],
    &[set("share.auto.offset.reset", "Earliest")],
    &[set("share.auto.offset.reset", "by_duration:PT1H")],
    &[set("share.auto.offset.reset", "by_duration:P3DT3H4M")],
    &[set("share.auto.offset.reset", "by_duration:-PT1H")],
    &[set("share.auto.offset.reset", "by_duration:1h")],
    &[set("share.auto.offset.reset", "by_duration")],
    &[set("share.auto.offset.reset", "none")],
    &[set("share.isolation.level", "read_committed")],
    &[set("share.isolation.level", "serializable")],
    &[set("share.renew.acknowledge.enable", "false")],
    &[set("share.renew.acknowledge.enable", "no")],
    &[set("streams.session.timeout.ms", "50000"), set("streams.heartbeat.interval.ms", "7000")],
    &[set("streams.session.timeout.ms", "1")],
    &[set("streams.heartbeat.interval.ms", "1")],
    &[set("streams.num.standby.replicas", "1")],
    &[set("streams.num.standby.replicas", "3")],
    &[set("streams.num.standby.replicas", "-1")],
    &[set("streams.initial.rebalance.delay.ms", "0")],
    &[set("streams.initial.rebalance.delay.ms", "-1")],
    &[set("no.such.key", "1")],
    &[("no.such.key", DELETE, None)],
    &[("no.such.key", APPEND, Some("1"))],
    &[set("", "1")],
    &[("consumer.session.timeout.ms", DELETE, None), ("share.auto.offset.reset", DELETE, None)],
];

const METRICS_CHANGES: &[&[Change]] = &[
    &[],
    &[set("metrics", "org.apache.kafka.producer.")],
    &[("metrics", APPEND, Some("org.apache.kafka.consumer.,org.apache.kafka.producer."))],
    &[("metrics", SUBTRACT, Some("org.apache.kafka.producer."))],
    &[set("metrics", "*")],
    &[set("metrics", "")],
    &[set("metrics", " a , b ")],
    &[set("metrics", "a,,b")],
    &[("metrics", SET, None)],
    &[set("interval.ms", "1000")],
    &[set("interval.ms", "99")],
    &[set("interval.ms", "3600001")],
    &[set("interval.ms", "x")],
    &[("interval.ms", APPEND, Some("1"))],
    &[set("match", "client_software_name=Java,client_software_version=11.1.*")],
    &[("match", APPEND, Some("client_id=a"))],
    &[set("match", "client_id")],
    &[set("match", "client_id=")],
    &[set("match", "nothing=1")],
    &[set("match", "client_id=a=b")],
    &[set("match", " client_id = a ")],
    &[set("match", "")],
    &[set("no.such.key", "1")],
    &[("no.such.key", DELETE, None)],
    &[set("interval.ms", "99"), set("match", "x"), set("metrics", "a")],
    &[("metrics", DELETE, None), ("interval.ms", DELETE, None)],
];

/// Changes one resource again and again, and describes it after each.
fn change_one(script: &mut Script, resource_type: i8, name: &str, changes: &[&[Change]]) {
    for (place, change) in changes.iter().enumerate() {
        let what = format!("type {resource_type} named '{name}': {change:?}");
        for (validate_only, version) in [(true, 1), (false, place as i16 % 2)] {
            let how = if validate_only { "validated" } else { "done" };
            script.ask(&format!("{what}, {how}"), version, |_| {
                operating(&[(resource_type, name, change)], validate_only)
            });
            after(script, resource_type, name, &what);
        }
    }
}

/// What is described and listed after a change.
fn after(script: &mut Script, resource_type: i8, name: &str, what: &str) {
    // Of the broker those keys that may have changed, so that what it was started with is left out.
    let is_fixed = |key: &&str| ["node.id", "log.dirs"].contains(key) || key.starts_with("ssl.");
    let names = BROKER_CHANGES.iter().copied().flatten().map(|(key, ..)| *key);
    let names: Vec<&str> = names.filter(|key| !is_fixed(key)).collect();
    let keys = (resource_type == BROKER && name == "1").then_some(&names[..]);
    script.ask(&format!("{what}, described"), 4, |_| {
        describing(vec![resource(resource_type, name, keys)])
    });
    if resource_type == BROKER {
        // Both places count for the broker and for a topic.
        script.ask(&format!("{what}, the broker"), 4, |_| {
            describing(vec![resource(BROKER, "1", Some(&names))])
        });
        script.ask(&format!("{what}, a topic"), 4, |_| {
            describing(vec![resource(TOPIC, "configs-described", None)])
        });
    }
    script.ask(&format!("{what}, listed"), 1, |_| ListConfigResourcesRequest {
        resource_types: vec![GROUP, CLIENT_METRICS],
    });
}

/// Whole configurations, which reset what they do not name.
fn as_a_whole(script: &mut Script) {
    let resources: [(i8, &str, &[&[(&str, Option<&str>)]]); 4] = [
        (
            BROKER,
            "",
            &[
                &[("log.retention.ms", Some("8000"))],
                &[("log.retention.ms", Some("8000")), ("min.insync.replicas", Some("1"))],
                &[("num.partitions", Some("3")), ("min.insync.replicas", Some("1"))],
                &[("min.insync.replicas", Some("1"))],
                &[],
            ],
        ),
        (
            BROKER,
            "1",
            &[
                &[("log.retention.ms", Some("6000")), ("no.such.key", Some("1"))],
                &[("log.retention.ms", Some("x"))],
                &[("log.retention.ms", None)],
                &[("min.insync.replicas", Some("1"))],
                &[],
            ],
        ),
        (
            GROUP,
            "configs-group",
            &[
                &[("consumer.session.timeout.ms", Some("48000"))],
                &[("consumer.session.timeout.ms", Some("1"))],
                &[("streams.num.standby.replicas", Some("2"))],
                &[],
            ],
        ),
        (
            CLIENT_METRICS,
            "configs-metrics",
            &[
                &[("interval.ms", Some("500"))],
                &[("interval.ms", Some("1"))],
                &[("metrics", Some("a"))],
                &[],
            ],
        ),
    ];
    for (resource_type, name, configs) in resources {
        for configs in configs {
            let what = format!("all of type {resource_type} named '{name}': {configs:?}");
            for (validate_only, version) in [(true, 2), (false, 0), (false, 1)] {
                let how = if validate_only { "validated" } else { "done" };
                script.ask(&format!("{what}, {how}"), version, |_| {
                    altering(&[(resource_type, name, configs)], validate_only)
                });
            }
            after(script, resource_type, name, &what);
        }
    }
}

/// Resources of several types in one request.
fn together(script: &mut Script) {
    let keys = [("interval.ms", Some("700"))];
    script.ask("several types", 2, |_| {
        let group = [("consumer.session.timeout.ms", Some("47000"))];
        let broker = [("num.partitions", Some("5"))];
        let resources: [Changed<'_>; 4] = [
            (CLIENT_METRICS, "configs-metrics", &keys),
            (BROKER, "1", &broker),
            (GROUP, "configs-group", &group),
            (TOPIC, "configs-none", &keys),
        ];
        altering(&resources, false)
    });
    script.ask("several types twice", 1, |_| {
        let one: Operated<'_> =
            (GROUP, "configs-group", &[("share.delivery.count.limit", SET, Some("4"))]);
        let other: Operated<'_> =
            (CLIENT_METRICS, "configs-group", &[("interval.ms", DELETE, None)]);
        operating(&[one, other, one], false)
    });
    for (resource_type, name) in [(GROUP, "configs-group"), (CLIENT_METRICS, "configs-metrics")] {
        for version in 1..=4 {
            script.ask("several types, described", version, |_| {
                describing(vec![resource(resource_type, name, None)])
            });
            script.ask("several types, without more", version, |_| DescribeConfigsRequest {
                resources: vec![resource(
                    resource_type,
                    name,
                    Some(&["interval.ms", "no.such.key"]),
                )],
                ..Default::default()
            });
        }
    }
    let pattern: Operated<'_> =
        (CLIENT_METRICS, "configs-metrics", &[("match", SET, Some("client_id=("))]);
    let listeners = ("listeners", SET, Some("PLAINTEXT://localhost:1"));
    let of_one: Operated<'_> = (BROKER, "", &[listeners, ("sasl.jaas.config", SET, Some("x"))]);
    script.ask("keys of one broker, for all", 1, |_| operating(&[of_one], false));
    script.ask("a pattern that is none", 1, |_| operating(&[pattern], true));
    for version in 0..=1 {
        script.ask("resources with something set", version, |_| {
            ListConfigResourcesRequest::default()
        });
    }
}

/// Leaves the brokers as they were, for the steps of other families.
fn reset(script: &mut Script) {
    script.ask("what was set is taken back", 2, |_| {
        let min_in_sync = [("min.insync.replicas", Some("1"))];
        altering(&[(BROKER, "", &min_in_sync), (BROKER, "1", &[])], false)
    });
    after(script, BROKER, "", "what was set is taken back");
}
