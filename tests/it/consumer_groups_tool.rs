//! `kafka-consumer-groups` against an Ottla; compat/tools compares it with Kafka's own.

use std::fs;

use rdkafka::consumer::{BaseConsumer, CommitMode, Consumer};
use rdkafka::topic_partition_list::Offset;

use crate::broker::Broker;
use crate::console_tools::tool;
use crate::group_clients::{commit, consumer_config, create_topic, partitions, read, send};

/// Both streams of a command, and its exit code.
fn run(broker: &Broker, arguments: &str) -> (String, String, i32) {
    let output = tool(broker, "kafka-consumer-groups", arguments).output().unwrap();
    let [out, err] = [output.stdout, output.stderr].map(|it| String::from_utf8(it).unwrap());
    (out, err, output.status.code().unwrap())
}

/// What a command that succeeds prints.
fn printed(broker: &Broker, arguments: &str) -> String {
    let (out, err, code) = run(broker, arguments);
    assert_eq!(code, 0, "{arguments}: {out}{err}");
    out
}

/// A member that has read everything of two partitions with 10 records and committed.
fn member(broker: &Broker, group: &str, protocol: &str) -> BaseConsumer {
    let mut config = consumer_config(broker.port(), group);
    config.set("client.id", "mine").set("broker.address.family", "v4");
    let member: BaseConsumer = config.set("group.protocol", protocol).create().unwrap();
    member.subscribe(&["t"]).unwrap();
    read(&member, 10);
    let offsets = partitions("t", &[Offset::Offset(2), Offset::Offset(5)]);
    member.commit(&offsets, CommitMode::Sync).unwrap();
    member
}

#[test]
fn groups_are_listed_and_described() {
    let broker = Broker::start();
    create_topic(broker.port(), "t", 2);
    send(broker.port(), "t", 2, 0..10);
    commit(broker.port(), "plain", "t", 3, "");
    let members = [member(&broker, "old", "classic"), member(&broker, "new", "consumer")];
    assert_eq!(
        printed(&broker, "--list --state --type"),
        "GROUP                     TYPE                 STATE               \n\
         new                       Consumer             Stable              \n\
         plain                     Classic              Empty               \n\
         old                       Classic              Stable              \n"
    );
    assert_eq!(printed(&broker, "--list --state=stable --type consumer").lines().count(), 2);
    let (out, err, code) = run(&broker, "--describe --group plain");
    assert_eq!((err.as_str(), code), ("\nConsumer group 'plain' has no active members.\n", 0));
    assert_eq!(
        out,
        "\n\
         GROUP           TOPIC           PARTITION  CURRENT-OFFSET  LOG-END-OFFSET  LAG             CONSUMER-ID     \
         HOST            CLIENT-ID\n\
         plain           t               0          3               5               2               -               \
         -               -\n"
    );
    for group in ["old", "new"] {
        let out = printed(&broker, &format!("--describe --group {group} --verbose"));
        let rows: Vec<Vec<&str>> =
            out.lines().skip(2).map(|row| row.split_whitespace().collect()).collect();
        assert_eq!(rows.len(), 2, "{out}");
        assert_eq!(rows[0][..7], [group, "t", "0", "-", "2", "5", "3"], "{out}");
        assert_eq!(rows[1][..7], [group, "t", "1", "-", "5", "5", "0"], "{out}");
        assert_eq!(rows[0][8..], ["/127.0.0.1", "mine"], "{out}");
        let out = printed(&broker, &format!("--describe --group {group} --members --verbose"));
        assert!(out.contains(" t:0,1 "), "{out}");
        let out = printed(&broker, &format!("--describe --group {group} --state"));
        let coordinator = format!("localhost:{}  (1)", broker.port());
        assert!(out.contains(&coordinator) && out.ends_with(" Stable               1\n"), "{out}");
    }
    drop(members);
}

#[test]
fn offsets_are_moved_and_deleted() {
    let broker = Broker::start();
    create_topic(broker.port(), "t", 2);
    send(broker.port(), "t", 2, 0..10);
    let at = |arguments: &str| {
        let out = printed(&broker, &format!("--reset-offsets --group g --topic t {arguments}"));
        let rows = out.lines().filter(|row| row.starts_with('g'));
        let mut rows: Vec<String> =
            rows.map(|row| row.split_whitespace().skip(2).collect::<Vec<_>>().join(":")).collect();
        rows.sort();
        rows.join(" ")
    };
    assert_eq!(at("--to-latest --dry-run"), "0:5 1:5");
    assert_eq!(at("--to-current --execute"), "0:5 1:5");
    assert_eq!(at("--shift-by -2 --execute"), "0:3 1:3");
    assert_eq!(at("--shift-by 100 --dry-run"), "0:5 1:5");
    assert_eq!(at("--to-offset 4 --dry-run"), "0:4 1:4");
    assert_eq!(at("--to-earliest --dry-run"), "0:0 1:0");
    assert_eq!(at("--to-datetime 2000-01-01T00:00:00.000 --dry-run"), "0:0 1:0");
    assert_eq!(at("--by-duration PT1H --dry-run"), "0:0 1:0");
    let exported =
        printed(&broker, "--reset-offsets --group g --all-topics --to-current --export --dry-run");
    let mut lines: Vec<&str> = exported.lines().collect();
    lines.sort_unstable();
    assert_eq!(lines, ["", "t,0,3", "t,1,3"]);
    let plan = broker.data().join("../plan");
    fs::write(&plan, "t,0,1\n").unwrap();
    let from_file = format!("--reset-offsets --group g --from-file {} --execute", plan.display());
    assert!(
        printed(&broker, &from_file).ends_with("g               t               0          1\n")
    );
    assert_eq!(
        printed(&broker, "--delete-offsets --group g --topic t:1"),
        "Request succeeded for deleting offsets from group g.\n\
         \n\
         TOPIC           PARTITION  STATUS         \n\
         t               1          Successful     \n"
    );
    let row = printed(&broker, "--describe --group g");
    assert!(
        row.contains(
            "\ng               t               0          1               5               4 "
        ),
        "{row}"
    );
    assert_eq!(
        printed(&broker, "--delete --group g --group nobody"),
        "\n\
         Error: Deletion of some consumer groups failed:\n\
         * Group 'nobody' could not be deleted due to: org.apache.kafka.common.errors.GroupIdNotFoundException: The group \
         id does not exist.\n\
         \n\
         These consumer groups were deleted successfully: 'g'\n"
    );
}

#[test]
fn what_fails_is_told_with_the_exit_codes_of_kafka() {
    let broker = Broker::start();
    let message =
        "org.apache.kafka.common.errors.GroupIdNotFoundException: Group nobody not found.";
    let (out, err, code) = run(&broker, "--describe --group nobody");
    assert_eq!(out, format!("\nError: Executing consumer group command failed due to {message}\n"));
    assert_eq!(err, format!("java.util.concurrent.ExecutionException: {message}\n"));
    assert_eq!(code, 0);
    let (out, err, code) = run(&broker, "--describe");
    assert_eq!((out.as_str(), code), ("", 1));
    assert!(err.starts_with("Option [describe] takes one of these options: "), "{err}");
    let (out, _, code) = run(&broker, "--validate-regex a(b");
    let expected = "The regular expression `a(b` is invalid: missing closing ).\n";
    assert_eq!((out.as_str(), code), (expected, 0));
}
