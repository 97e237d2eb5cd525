//! `kafka-topics`.

use crate::case::{Case, Same, case};

const TOOL: &str = "kafka-topics";
/// A topic that nobody creates, and an id that nobody gave.
const NOBODYS_ID: &str = "--describe --topic-id AAAAAAAAAAAAAAAAAAAAZw";

fn topics(name: &'static str, flags: &'static str) -> Case {
    case(TOOL, name, flags)
}

pub(super) fn cases() -> Vec<Case> {
    [creating(), refused_creations(), describing(), altering(), deleting(), wrong()]
        .into_iter()
        .flatten()
        .collect()
}

fn creating() -> Vec<Case> {
    vec![
        topics("nothing is there", "--list"),
        topics("nothing to describe", "--describe"),
        topics("create", "--create --topic first --partitions 3 --replication-factor 1"),
        topics("create with defaults", "--create --topic defaults"),
        topics("create with =", "--create --topic=equal --partitions=2"),
        topics(
            "create with configs",
            "--create --topic configured --config retention.ms=123456 --config cleanup.policy=compact,delete \
             --config max.message.bytes=65536 --config min.insync.replicas=1",
        ),
        topics("create by assignment", "--create --topic assigned --replica-assignment 1,1,1"),
        topics("a dot is a warning", "--create --topic with.dot"),
        topics("an underscore too", "--create --topic with_underscore_"),
        topics("create again if not there", "--create --topic first --if-not-exists"),
        topics("many", "--create --topic many --partitions 30"),
        topics("list", "--list"),
        topics("list some", "--list --topic f.*"),
        topics("list by name", "--list --topic 'first,many'"),
        topics("list by classes", "--list --topic '(?i)F\\w+[a-z&&[^q]]'"),
        topics("list none", "--list --topic none"),
        topics("list without internal ones", "--list --exclude-internal"),
        topics("an action with other words", "--list these words"),
    ]
}

fn refused_creations() -> Vec<Case> {
    vec![
        topics("exists", "--create --topic first"),
        topics("collides", "--create --topic with_dot"),
        topics("invalid name", "--create --topic 'in valid'"),
        topics("dots", "--create --topic .."),
        topics("empty name", "--create --topic ''"),
        topics("unknown config", "--create --topic refused --config no.such.key=1 --if-not-exists"),
        topics("bad value", "--create --topic refused --config retention.ms=soon"),
        topics("value out of range", "--create --topic refused --config max.message.bytes=-1"),
        topics("bad policy", "--create --topic refused --config cleanup.policy=keep"),
        topics(
            "configs that do not fit",
            "--create --topic refused --config min.compaction.lag.ms=9 --config max.compaction.lag.ms=5",
        ),
        topics("config without value", "--create --topic refused --config retention.ms"),
        topics("config with two =", "--create --topic refused --config retention.ms=1=2"),
        topics("tiered storage", "--create --topic refused --config remote.storage.enable=true"),
        topics("no partitions", "--create --topic refused --partitions 0"),
        topics("less than no partitions", "--create --topic refused --partitions -1"),
        topics("partitions in words", "--create --topic refused --partitions three"),
        topics("too many replicas", "--create --topic refused --replication-factor 2"),
        topics("no replicas", "--create --topic refused --replication-factor 0"),
        topics(
            "more replicas than a number",
            "--create --topic refused --replication-factor 40000",
        ),
        topics("duplicate replicas", "--create --topic refused --replica-assignment 1:1"),
        topics("uneven replicas", "--create --topic refused --replica-assignment 1,1:2"),
        topics("unknown replicas", "--create --topic refused --replica-assignment 7"),
        topics("replicas in words", "--create --topic refused --replica-assignment one"),
    ]
}

fn describing() -> Vec<Case> {
    vec![
        topics("describe", "--describe --topic first"),
        topics("describe configs", "--describe --topic configured"),
        topics("describe all", "--describe"),
        topics("describe some", "--describe --topic 'with.*'"),
        topics("describe in pages", "--describe --partition-size-limit-per-response 4"),
        topics("describe without internal ones", "--describe --exclude-internal"),
        topics("overrides", "--describe --topics-with-overrides"),
        topics("under-replicated", "--describe --under-replicated-partitions"),
        topics("unavailable", "--describe --unavailable-partitions"),
        topics("under min isr", "--describe --under-min-isr-partitions"),
        topics("at min isr", "--describe --at-min-isr-partitions --topic first"),
        topics("describe none", "--describe --topic none"),
        topics("describe none if there", "--describe --topic none --if-exists"),
        topics("describe if there without topic", "--describe --if-exists"),
        topics("describe nobody's id", NOBODYS_ID),
        topics("describe no id", "--describe --topic-id short"),
        topics("describe a long id", "--describe --topic-id muchlongerthananyidcouldbe"),
        topics("describe the zero id", "--describe --topic-id AAAAAAAAAAAAAAAAAAAAAA --topic many"),
        topics("an invalid pattern", "--describe --topic 'a['"),
    ]
}

fn altering() -> Vec<Case> {
    vec![
        topics("more partitions", "--alter --topic first --partitions 5"),
        topics("described with more", "--describe --topic first"),
        topics(
            "more by assignment",
            "--alter --topic equal --partitions 3 --replica-assignment 1,1,1",
        ),
        topics("the same number", "--alter --topic first --partitions 5"),
        topics("fewer partitions", "--alter --topic first --partitions 4"),
        topics("no partitions at all", "--alter --topic first --partitions 0"),
        topics("of several", "--alter --topic 'with.*' --partitions 3"),
        topics("described of several", "--describe --topic 'with.*'"),
        topics("of none", "--alter --topic none --partitions 3"),
        topics("of none if there", "--alter --topic none --partitions 3 --if-exists"),
        topics("without partitions", "--alter --topic first"),
        topics("configs are for another tool", "--alter --topic first --config retention.ms=1")
            // The option that is named comes from a set without order.
            .same(Same::ButWords),
    ]
}

fn deleting() -> Vec<Case> {
    vec![
        topics("delete", "--delete --topic first"),
        topics("delete again", "--delete --topic first"),
        topics("delete again if there", "--delete --topic first --if-exists"),
        topics("delete some", "--delete --topic 'with.*'"),
        topics("list what is left", "--list"),
        topics("delete without topic", "--delete"),
        topics("delete all", "--delete --topic '.*'"),
        topics("list nothing", "--list"),
    ]
}

fn wrong() -> Vec<Case> {
    vec![
        topics("no server", "--list").alone(),
        topics("nothing", "").alone().same(Same::ButWords),
        topics("version", "--version").alone(),
        topics("no action", "--topic first"),
        topics("two actions", "--list --describe"),
        topics("create without topic", "--create"),
        topics("unknown option", "--list --all"),
        topics("no prefixes", "--list --exclude"),
        topics("zookeeper", "--list --zookeeper localhost:2181").alone(),
        topics("option without value", "--list --bootstrap-server {servers} --topic"),
        topics("two servers", "--list --bootstrap-server {servers} --bootstrap-server {servers}"),
        topics("server without port", "--list --bootstrap-server localhost").alone(),
        topics("server of no name", "--list --bootstrap-server no-such-host.invalid:9092").alone(),
        topics("partitions when listing", "--list --partitions 3"),
        topics(
            "factor when altering",
            "--alter --topic first --partitions 3 --replication-factor 2",
        ),
        topics(
            "assignment and partitions",
            "--create --topic x --replica-assignment 1 --partitions 1",
        ),
        topics(
            "assignment and factor",
            "--create --topic x --replica-assignment 1 --replication-factor 1",
        ),
        topics("configs when describing", "--describe --config a=b"),
        topics("if-exists when creating", "--create --topic x --if-exists"),
        topics("if-not-exists when deleting", "--delete --topic x --if-not-exists"),
        topics("exclude-internal when deleting", "--delete --topic x --exclude-internal"),
        topics("reports when listing", "--list --under-replicated-partitions"),
        topics(
            "overrides and reports",
            "--describe --topics-with-overrides --unavailable-partitions",
        ),
        topics("delete-config is gone", "--list --delete-config retention.ms"),
        topics("no properties", "--list --command-config {files}/none"),
        topics("properties", "--list --command-config {files}/own")
            .file("own", "client.id=me\nrequest.timeout.ms=10000\ndefault.api.timeout.ms=20000\n"),
        topics(
            "nobody listens",
            "--list --bootstrap-server localhost:1 --command-config {files}/impatient",
        )
        .alone()
        .file("impatient", "default.api.timeout.ms=1000\nrequest.timeout.ms=1000\n"),
    ]
}
