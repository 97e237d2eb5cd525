//! `kafka-configs`.

use crate::case::{Case, Same, case};

fn configs(name: &'static str, flags: &'static str) -> Case {
    case("kafka-configs", name, flags)
}

pub(super) fn cases() -> Vec<Case> {
    [of_topics(), of_brokers(), of_groups(), refused(), wrong()].into_iter().flatten().collect()
}

const OF_BROKERS: &str = "the brokers have different defaults";

fn of_topics() -> Vec<Case> {
    let create = "--create --topic configs-1 --partitions 1 --config segment.bytes=1048576";
    vec![
        case("kafka-topics", "a topic", create),
        configs("describe", "--describe --entity-type topics --entity-name configs-1"),
        configs("describe in short", "--describe --topic configs-1"),
        configs("describe all of it", "--describe --topic configs-1 --all"),
        configs("describe every topic", "--describe --entity-type topics"),
        configs(
            "add",
            "--alter --entity-type topics --entity-name configs-1 --add-config retention.ms=1000,retention.bytes=5",
        ),
        configs("added", "--describe --topic configs-1"),
        configs(
            "add with commas",
            "--alter --topic configs-1 --add-config 'cleanup.policy=[compact,delete],flush.ms=7'",
        ),
        configs("added with commas", "--describe --topic configs-1"),
        configs(
            "add and delete",
            "--alter --topic configs-1 --add-config flush.ms=8 --delete-config retention.ms",
        ),
        configs(
            "delete some",
            "--alter --topic configs-1 --delete-config flush.ms,retention.bytes",
        ),
        configs("what is left", "--describe --topic configs-1"),
        configs(
            "delete what is not set",
            "--alter --topic configs-1 --delete-config flush.messages",
        ),
        configs("add a file", "--alter --topic configs-1 --add-config-file {files}/more")
            .file("more", "# more\nretention.ms = 5000\nmax.message.bytes=70000\n"),
        configs("added from a file", "--describe --topic configs-1"),
        configs("described by topics", "--bootstrap-server {servers} --describe --topic configs-1"),
        configs("no topic", "--describe --topic configs-none"),
        configs("no topic, all", "--describe --topic configs-none --all"),
        configs("invalid topic", "--describe --topic 'con figs'"),
        case("kafka-topics", "the overrides in its description", "--describe --topic configs-1"),
    ]
}

fn of_brokers() -> Vec<Case> {
    vec![
        configs("broker", "--describe --broker 1"),
        configs("broker by type", "--describe --entity-type brokers --entity-name 1"),
        configs("brokers", "--describe --entity-type brokers"),
        configs("broker defaults", "--describe --entity-type brokers --entity-default"),
        configs("all of a broker", "--describe --broker 1 --all").brokers_differ(OF_BROKERS),
        configs("change a broker", "--alter --broker 1 --add-config log.cleaner.threads=2"),
        configs(
            "change the defaults",
            "--alter --broker-defaults --add-config log.retention.ms=777777",
        ),
        configs(
            "change by default",
            "--alter --entity-type brokers --entity-default --add-config message.max.bytes=900000",
        ),
        configs("changed broker", "--describe --broker 1"),
        configs("changed defaults", "--describe --broker-defaults"),
        configs("all brokers", "--describe --entity-type brokers"),
        configs("in a topic", "--describe --topic configs-1 --all"),
        configs("undo the broker", "--alter --broker 1 --delete-config log.cleaner.threads"),
        configs(
            "undo the defaults",
            "--alter --broker-defaults --delete-config log.retention.ms,message.max.bytes",
        ),
        configs("undone", "--describe --entity-type brokers"),
        configs("unknown broker", "--describe --broker 9"),
        configs("broker by a word", "--describe --broker one"),
        configs(
            "change a broker by a word",
            "--alter --broker one --add-config log.cleaner.threads=2",
        ),
        configs("read-only", "--alter --broker 1 --add-config broker.id=2"),
    ]
}

fn of_groups() -> Vec<Case> {
    vec![
        configs("no groups", "--describe --entity-type groups"),
        configs("no group", "--describe --group configs-group"),
        configs(
            "change a group",
            "--alter --group configs-group --add-config consumer.session.timeout.ms=50000",
        ),
        configs("changed group", "--describe --group configs-group"),
        configs("all of a group", "--describe --group configs-group --all"),
        configs("g2", "--alter --group g2 --add-config consumer.session.timeout.ms=50001"),
        configs("g3", "--alter --group g3 --add-config consumer.session.timeout.ms=50002"),
        configs("g4", "--alter --group g4 --add-config consumer.session.timeout.ms=50002"),
        configs("four groups", "--describe --entity-type groups")
            .brokers_differ("the order is that in which a broker lists up to four"),
        configs("g5", "--alter --group g5 --add-config consumer.session.timeout.ms=50002"),
        configs("g-six", "--alter --group g-six --add-config consumer.session.timeout.ms=50002"),
        // Kafka's tool has more than four in the order of a Scala set.
        configs("six groups", "--describe --entity-type groups").same(Same::LinesInAnyOrder),
        configs(
            "group out of range",
            "--alter --group configs-group --add-config consumer.session.timeout.ms=1",
        ),
        configs(
            "unknown key of a group",
            "--alter --group configs-group --add-config retention.ms=1",
        ),
        configs("no client metrics", "--describe --entity-type client-metrics"),
        configs("no such client metrics", "--describe --client-metrics configs-metrics"),
        configs(
            "change client metrics",
            "--alter --client-metrics configs-metrics --add-config interval.ms=60000,metrics=[a.b,c]",
        ),
        configs("changed client metrics", "--describe --client-metrics configs-metrics"),
        configs("all client metrics", "--describe --entity-type client-metrics"),
        configs(
            "delete client metrics",
            "--alter --entity-type client-metrics --entity-name configs-metrics --delete-config interval.ms,metrics",
        ),
    ]
}

fn refused() -> Vec<Case> {
    vec![
        configs("unknown key", "--alter --topic configs-1 --add-config no.such.key=1"),
        configs("bad value", "--alter --topic configs-1 --add-config retention.ms=soon"),
        configs(
            "configs that do not fit",
            "--alter --topic configs-1 --add-config min.compaction.lag.ms=9,max.compaction.lag.ms=5",
        ),
        configs("of no topic", "--alter --topic configs-none --add-config retention.ms=1"),
        configs(
            "added and deleted",
            "--alter --topic configs-1 --add-config flush.ms=1 --delete-config flush.ms",
        ),
        configs("no pair", "--alter --topic configs-1 --add-config retention.ms"),
        configs("two =", "--alter --topic configs-1 --add-config retention.ms=1=2"),
        configs("bad key", "--alter --topic configs-1 --add-config 'ret ention=1'"),
        configs("empty value", "--alter --topic configs-1 --add-config cleanup.policy="),
        configs("what is left of the empty value", "--describe --topic configs-1"),
        configs("no file", "--alter --topic configs-1 --add-config-file {files}/none"),
        configs("unknown key to delete", "--alter --topic configs-1 --delete-config no.such.key"),
    ]
}

fn wrong() -> Vec<Case> {
    vec![
        configs("no server", "--describe --topic x").alone(),
        configs("nothing", "").alone().same(Same::ButWords),
        configs("no action", "--topic x"),
        configs("two actions", "--alter --describe --topic x"),
        configs("nothing to alter", "--alter --topic x"),
        configs("no entity", "--describe"),
        configs("no name", "--alter --entity-type topics --add-config a=b"),
        configs("no broker", "--alter --entity-type brokers --add-config a=b"),
        configs("unknown type", "--describe --entity-type topic --entity-name x"),
        configs("two types", "--describe --entity-type topics --entity-type brokers"),
        configs("the same type twice", "--describe --entity-type topics --entity-type topics"),
        configs("type and flag", "--describe --entity-type topics --topic x"),
        configs("default topic", "--describe --entity-type topics --entity-default"),
        configs("add when describing", "--describe --topic x --add-config a=b"),
        configs("delete when describing", "--describe --topic x --delete-config a"),
        configs("pairs and file", "--alter --topic x --add-config a=b --add-config-file f"),
        configs("unknown option", "--describe --topics x"),
        configs("option without value", "--describe --bootstrap-server {servers} --topic"),
        configs("server without port", "--describe --topic x --bootstrap-server localhost").alone(),
        configs("version", "--version").alone(),
    ]
}
