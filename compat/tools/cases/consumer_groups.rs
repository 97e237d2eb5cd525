//! `kafka-consumer-groups`: groups of both protocols, with and without members.

use std::time::{Duration, Instant};

use rdkafka::config::ClientConfig;
use rdkafka::consumer::{BaseConsumer, CommitMode, Consumer};
use rdkafka::topic_partition_list::{Offset, TopicPartitionList};

use crate::case::{Case, Same, case};

const PATIENCE: Duration = Duration::from_mins(1);
const TOPIC: &str = "groups-t";

fn groups(name: &'static str, flags: &'static str) -> Case {
    case("kafka-consumer-groups", name, flags)
}

fn configured(port: u16, group: &str, settings: &[(&str, &str)]) -> BaseConsumer {
    let mut config = ClientConfig::new();
    config.set("bootstrap.servers", format!("localhost:{port}")).set("group.id", group);
    config.set("auto.offset.reset", "earliest").set("enable.auto.commit", "false");
    config.set("client.id", "mine").set("broker.address.family", "v4");
    for (key, value) in settings {
        config.set(*key, *value);
    }
    config.create().expect("a consumer")
}

/// A member that has read and committed; it stays as long as the family runs.
fn member(port: u16, group: &str, settings: &[(&str, &str)]) -> BaseConsumer {
    let member = configured(port, group, settings);
    member.subscribe(&[TOPIC]).expect("a subscription");
    let deadline = Instant::now() + PATIENCE;
    while member.poll(Duration::from_millis(50)).is_none_or(|record| record.is_err()) {
        assert!(Instant::now() < deadline, "{group} reads nothing");
    }
    let mut offsets = TopicPartitionList::new();
    for (partition, offset) in [(0, 3), (1, 2)] {
        let offset = Offset::Offset(offset);
        offsets.add_partition_offset(TOPIC, partition, offset).expect("a partition");
    }
    member.commit(&offsets, CommitMode::Sync).expect("a commit");
    member
}

/// Prepares groups in every state that does not pass.
fn members(port: u16) -> Vec<BaseConsumer> {
    drop(member(port, "groups-left", &[]));
    let consumer = [("group.protocol", "consumer")];
    drop(member(port, "groups-new-left", &consumer));
    vec![
        member(port, "groups-kept", &[]),
        member(port, "groups-fixed", &[("group.instance.id", "one")]),
        member(port, "groups-new", &consumer),
        member(port, "groups-with-a-long-name", &[("client.id", "a-client-with-a-long-name")]),
    ]
}

pub(super) fn cases() -> Vec<Case> {
    [listing(), describing(), resetting(), refused_resets(), deleting(), wrong()]
        .into_iter()
        .flatten()
        .collect()
}

fn listing() -> Vec<Case> {
    let keyed =
        "--topic groups-t --reader-property parse.key=true --reader-property key.separator==";
    let mut cases = vec![
        case("kafka-topics", "a topic", "--create --topic groups-t --partitions 2"),
        case("kafka-topics", "another", "--create --topic groups-u --partitions 1"),
        case("kafka-console-producer", "records", keyed)
            .input("a=1\nb=2\nc=3\nd=4\ne=5\nf=6\ng=7\nh=8\ni=9\nj=10\n"),
        case("kafka-console-producer", "more records", "--topic groups-u").input("1\n2\n3\n"),
        groups("groups", "--list").after(members),
    ];
    for (name, flags) in [
        ("states", "--list --state"),
        ("types", "--list --type"),
        ("states and types", "--list --state --type"),
        ("stable ones", "--list --state Stable"),
        ("some states", "--list --state empty,stable --type classic"),
        ("dead ones", "--list --state Dead"),
        ("of consumers", "--list --type consumer"),
    ] {
        cases.push(groups(name, flags));
    }
    cases
}

fn describing() -> Vec<Case> {
    let mut cases = Vec::new();
    for (name, flags) in [
        ("offsets", "--describe --group groups-kept"),
        ("offsets by name", "--describe --group groups-kept --offsets --verbose"),
        ("members", "--describe --group groups-kept --members"),
        ("more of members", "--describe --group groups-kept --members --verbose"),
        ("state", "--describe --group groups-kept --state"),
        ("more of state", "--describe --group groups-kept --state --verbose"),
        ("a static member", "--describe --group groups-fixed --members --verbose"),
        ("a static member without more", "--describe --group groups-fixed --members"),
        ("new offsets", "--describe --group groups-new"),
        ("more of new offsets", "--describe --group groups-new --verbose"),
        ("new members", "--describe --group groups-new --members --verbose"),
        ("new state", "--describe --group groups-new --state --verbose"),
        ("a long name", "--describe --group groups-with-a-long-name"),
        ("members of a long name", "--describe --group groups-with-a-long-name --members"),
        ("without members", "--describe --group groups-left"),
        ("no members", "--describe --group groups-left --members"),
        ("no members, verbose", "--describe --group groups-left --members --verbose"),
        ("state without members", "--describe --group groups-left --state"),
        ("new without members", "--describe --group groups-new-left"),
        ("new state without members", "--describe --group groups-new-left --state --verbose"),
        ("several", "--describe --group groups-left --group groups-kept"),
        ("nobody", "--describe --group groups-nobody"),
        ("no members of nobody", "--describe --group groups-nobody --members"),
        ("no state of nobody", "--describe --group groups-nobody --state"),
        ("somebody and nobody", "--describe --group groups-left --group groups-nobody"),
        ("all", "--describe --all-groups"),
        ("all states", "--describe --all-groups --state"),
        ("all members", "--describe --all-groups --members"),
    ] {
        cases.push(groups(name, flags));
    }
    cases
}

fn resetting() -> Vec<Case> {
    let mut cases = Vec::new();
    for (name, flags) in [
        (
            "a group with members",
            "--reset-offsets --group groups-kept --topic groups-t --to-earliest --execute",
        ),
        ("without a word", "--reset-offsets --group groups-left --topic groups-t --to-earliest"),
        ("dry", "--reset-offsets --group groups-left --topic groups-t --to-latest --dry-run"),
        (
            "exported",
            "--reset-offsets --group groups-left --topic groups-t --to-latest --dry-run --export",
        ),
        (
            "exported, all",
            "--reset-offsets --all-groups --topic groups-t --to-latest --dry-run --export",
        ),
        (
            "an offset of a partition",
            "--reset-offsets --group groups-left --topic groups-t:1 --to-offset 1 --execute",
        ),
        ("it is there", "--describe --group groups-left"),
        (
            "beyond the end",
            "--reset-offsets --group groups-left --topic groups-t --to-offset 1000 --execute",
        ),
        ("back", "--reset-offsets --group groups-left --topic groups-t --shift-by -2 --execute"),
        (
            "too far back",
            "--reset-offsets --group groups-left --topic groups-t --shift-by -1000 --dry-run",
        ),
        ("current", "--reset-offsets --group groups-left --topic groups-t --to-current --execute"),
        ("all topics", "--reset-offsets --group groups-left --all-topics --to-earliest --execute"),
        (
            "a time",
            "--reset-offsets --group groups-left --topic groups-t --to-datetime 2000-01-01T00:00:00.000 --dry-run",
        ),
        (
            "a time with a zone",
            "--reset-offsets --group groups-left --topic groups-t --to-datetime 2000-01-01T00:00:00.000+01:00 --dry-run",
        ),
        (
            "a time to come",
            "--reset-offsets --group groups-left --topic groups-t --to-datetime 2100-01-01T00:00:00.000Z --dry-run",
        ),
        (
            "a duration",
            "--reset-offsets --group groups-left --topic groups-t --by-duration PT0S --dry-run",
        ),
        (
            "a day",
            "--reset-offsets --group groups-left --topic groups-t --by-duration P1D --dry-run",
        ),
        (
            "two topics",
            "--reset-offsets --group groups-left --topic groups-t --topic groups-u:0 --to-latest --dry-run",
        ),
        (
            "a new group",
            "--reset-offsets --group groups-made --topic groups-u --to-latest --execute",
        ),
        ("the new group", "--describe --group groups-made"),
        ("the new group's state", "--describe --group groups-made --state"),
        (
            "a new-style group",
            "--reset-offsets --group groups-new-left --topic groups-t --to-earliest --execute",
        ),
    ] {
        cases.push(groups(name, flags));
    }
    let from_file = "--reset-offsets --group groups-left --from-file {files}/plan --dry-run";
    cases.push(groups("a file", from_file).file("plan", "groups-t,0,1\ngroups-t,1,2\n"));
    cases
}

fn refused_resets() -> Vec<Case> {
    let mut cases = Vec::new();
    for (name, flags) in [
        (
            "no such topic",
            "--reset-offsets --group groups-left --topic groups-none --to-latest --execute",
        ),
        (
            "no such partition",
            "--reset-offsets --group groups-left --topic groups-t:7 --to-latest --execute",
        ),
        (
            "no number",
            "--reset-offsets --group groups-left --topic groups-t:x --to-latest --dry-run",
        ),
        (
            "no partitions",
            "--reset-offsets --group groups-left --topic groups-t: --to-latest --dry-run",
        ),
        ("no scope", "--reset-offsets --group groups-left --to-latest --dry-run"),
        (
            "nothing to shift",
            "--reset-offsets --group groups-left --topic groups-u --shift-by 1 --dry-run",
        ),
        (
            "no time",
            "--reset-offsets --group groups-left --topic groups-t --to-datetime soon --dry-run",
        ),
        (
            "no date",
            "--reset-offsets --group groups-left --topic groups-t --to-datetime soonT12 --dry-run",
        ),
        (
            "no duration",
            "--reset-offsets --group groups-left --topic groups-t --by-duration soon --dry-run",
        ),
        (
            "two scenarios",
            "--reset-offsets --group groups-left --topic groups-t --to-latest --to-offset 3 --dry-run",
        ),
        (
            "two ways",
            "--reset-offsets --group groups-left --topic groups-t --to-latest --dry-run --execute",
        ),
    ] {
        cases.push(groups(name, flags));
    }
    let no_scenario = "--reset-offsets --group groups-left --topic groups-t --dry-run";
    cases.push(groups("no scenario", no_scenario).same(Same::ButWords));
    cases
}

fn deleting() -> Vec<Case> {
    let mut cases = Vec::new();
    for (name, flags) in [
        ("offsets that are read", "--delete-offsets --group groups-kept --topic groups-t"),
        ("offsets that are not there", "--delete-offsets --group groups-kept --topic groups-u"),
        ("offsets of a partition", "--delete-offsets --group groups-left --topic groups-t:0"),
        ("offsets of a topic", "--delete-offsets --group groups-left --topic groups-t"),
        ("offsets of no topic", "--delete-offsets --group groups-left --topic groups-none"),
        ("offsets of no partition", "--delete-offsets --group groups-left --topic groups-t:9"),
        ("offsets of nobody", "--delete-offsets --group groups-nobody --topic groups-t"),
        ("a group with members", "--delete --group groups-kept"),
        ("a group and nobody", "--delete --group groups-left --group groups-nobody"),
        ("a new-style group", "--delete --group groups-new-left"),
        ("one group", "--delete --group groups-made"),
        ("all of them", "--delete --all-groups"),
        ("what is left", "--list --state"),
    ] {
        cases.push(groups(name, flags));
    }
    cases
}

fn wrong() -> Vec<Case> {
    vec![
        groups("a pattern", "--validate-regex a.*b").alone(),
        groups("no pattern", "--validate-regex 'a(b'").alone(),
        groups("nothing to repeat", "--validate-regex '*'").alone(),
        groups("no action", "--timeout 1000"),
        groups("two actions", "--list --describe --all-groups"),
        groups("no group", "--describe").same(Same::ButWords),
        groups("no group to delete", "--delete").same(Same::ButWords),
        groups("no server", "--list").alone(),
        groups("no port", "--list --bootstrap-server localhost").alone(),
        groups("nothing at all", "").alone().same(Same::ButWords),
        groups("a group to list", "--list --group g"),
        groups("state with value", "--describe --group groups-kept --state Stable"),
        groups("two views", "--describe --group groups-kept --state --members"),
        groups("no such state", "--list --state nonsense").same(Same::ButWords),
        groups("no such type", "--list --type nonsense").same(Same::ButWords),
        groups("unknown option", "--list --no-such-option").same(Same::ButWords),
        groups("nobody listens", "--list --timeout 1000 --bootstrap-server localhost:1")
            .alone()
            .same(Same::ButWords),
        groups(
            "nobody listens to descriptions",
            "--describe --group g --timeout 1000 --bootstrap-server localhost:1",
        )
        .alone()
        .same(Same::ButWords),
    ]
}
