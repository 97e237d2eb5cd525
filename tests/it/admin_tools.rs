//! `kafka-topics`, `kafka-configs`, `kafka-broker-api-versions` and `kafka-cluster` as a shell calls them. That they print
//! what Kafka's print is compared by `compat/tools`.

use std::os::unix::fs::symlink;
use std::process::{Command, Stdio};

use crate::broker::Broker;

/// Runs a tool; its exit code, and what it printed.
fn run(tool: &str, words: &[&str]) -> (i32, String, String) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_ottla"));
    let output = command.arg(tool).args(words).stdin(Stdio::null()).output().unwrap();
    let [out, err] = [output.stdout, output.stderr].map(|text| String::from_utf8(text).unwrap());
    (output.status.code().unwrap(), out, err)
}

/// Runs a tool with the broker, which must succeed and say nothing on standard error.
fn printed(broker: &Broker, tool: &str, flags: &str) -> String {
    let servers = broker.bootstrap_servers();
    let mut words: Vec<&str> = flags.split(' ').collect();
    words.extend(["--bootstrap-server", &servers]);
    let (status, out, err) = run(tool, &words);
    assert_eq!((status, err.as_str()), (0, ""), "{tool} {flags}: {out}");
    out
}

#[test]
fn topics_come_and_go() {
    let broker = Broker::start();
    let topics = |flags: &str| printed(&broker, "kafka-topics.sh", flags);
    assert_eq!(
        topics("--create --topic a --partitions 2 --config flush.ms=7"),
        "Created topic a.\n"
    );
    assert_eq!(topics("--create --topic=b --if-not-exists"), "Created topic b.\n");
    assert_eq!(topics("--create --topic b --if-not-exists"), "");
    assert_eq!(topics("--list"), "a\nb\n");
    assert_eq!(topics("--alter --topic a --partitions 3"), "");
    let described = topics("--describe --topic a --partition-size-limit-per-response 1");
    let lines: Vec<&str> = described.lines().collect();
    assert!(
        lines[0].ends_with("\tReplicationFactor: 1\tConfigs: min.insync.replicas=1,flush.ms=7")
    );
    assert!(lines[0].contains("\tPartitionCount: 3\t"), "{described}");
    assert!(lines[3].starts_with("\tTopic: a\tPartition: 2\tLeader: "), "{described}");
    let id = lines[0].split("TopicId: ").nth(1).unwrap().split('\t').next().unwrap();
    assert!(topics(&format!("--describe --topic-id {id}")).contains("\tElr: N/A\t"));
    assert_eq!(topics("--delete --topic a|b"), "");
    assert_eq!(topics("--list"), "\n");
}

#[test]
fn configs_are_set_and_described() {
    let broker = Broker::start();
    printed(&broker, "kafka-topics", "--create --topic t");
    let configs = |flags: &str| printed(&broker, "kafka-configs", flags);
    let add = "--alter --topic t --add-config cleanup.policy=[compact,delete],flush.ms=7";
    assert_eq!(configs(add), "Completed updating config for topic t.\n");
    assert_eq!(
        configs("--alter --topic t --delete-config flush.ms"),
        "Completed updating config for topic t.\n"
    );
    assert_eq!(
        configs("--describe --topic t"),
        "Dynamic configs for topic t are:\n  cleanup.policy=compact,delete sensitive=false \
         synonyms={DYNAMIC_TOPIC_CONFIG:cleanup.policy=compact,delete, DEFAULT_CONFIG:log.cleanup.policy=delete}\n"
    );
    let group = "--alter --entity-type groups --entity-name g --add-config consumer.session.timeout.ms=50000";
    assert_eq!(configs(group), "Completed updating config for group g.\n");
    assert!(
        configs("--describe --entity-type groups")
            .starts_with("Dynamic configs for group g are:\n")
    );
}

#[test]
fn a_cluster_says_what_it_is_and_speaks() {
    let broker = Broker::start();
    let id = printed(&broker, "kafka-cluster", "cluster-id");
    assert_eq!((id.find("Cluster ID: "), id.len()), (Some(0), 12 + 22 + 1), "{id}");
    let endpoints = printed(&broker, "kafka-cluster", "list-endpoints --include-fenced-brokers");
    assert_eq!(endpoints.lines().count(), 2, "{endpoints}");
    let versions = printed(&broker, "kafka-broker-api-versions", "--command-config /dev/null");
    let first = format!("localhost:{} (id: ", broker.port());
    assert!(versions.starts_with(&first) && versions.ends_with("\n)\n"), "{versions}");
    assert!(versions.contains(" -> (\n\tProduce(0): 0 to "), "{versions}");
}

#[test]
fn what_is_wrong_is_said_with_exit_code_1() {
    let broker = Broker::start();
    let servers = broker.bootstrap_servers();
    let failed = |tool: &str, words: &[&str]| {
        let (status, out, err) = run(tool, words);
        assert_eq!(status, 1, "{tool} {words:?}: {out}{err}");
        (out, err)
    };
    let topics = |flags: &str| {
        let words: Vec<&str> = flags.split(' ').chain(["--bootstrap-server", &servers]).collect();
        failed("kafka-topics", &words)
    };
    let during = "Error while executing topic command : ";
    let none = format!("{during}Topic 'none' does not exist as expected\n");
    assert_eq!(topics("--delete --topic none"), (none, String::new()));
    assert!(topics("--create --topic x --replication-factor 9").0.starts_with(during));
    assert_eq!(topics("--list --all").1, "all is not a recognized option\n");
    let missing = failed("kafka-topics", &["--list", "--bootstrap-server", &servers, "--topic"]);
    assert_eq!(missing.1, "Option topic requires an argument\n");
    let nobody = ["--list", "--bootstrap-server", "localhost"];
    assert!(
        failed("kafka-topics", &nobody).1.contains("Invalid url in bootstrap.servers: localhost")
    );
    let line = format!("--alter --topic none --add-config flush.ms=1 --bootstrap-server {servers}");
    let words: Vec<&str> = line.split(' ').collect();
    let expected = format!("Error while executing config command with args '{line}'\n");
    assert!(failed("kafka-configs", &words).1.starts_with(&expected));
    assert!(failed("kafka-configs", &[]).1.contains("--add-config"));
}

#[test]
fn a_link_with_a_tools_name_is_that_tool() {
    let work = tempfile::tempdir().unwrap();
    let link = work.path().join("kafka-topics.sh");
    symlink(env!("CARGO_BIN_EXE_ottla"), &link).unwrap();
    let output = Command::new(link).arg("--version").output().unwrap();
    assert_eq!(String::from_utf8(output.stdout).unwrap(), "4.3.0\n");
}
