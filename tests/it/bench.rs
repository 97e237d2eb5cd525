//! `ottla bench` against our broker and Apache Kafka: what it counts is what is there.

use serde_json::{Value, json};

use crate::broker::{Broker, ottla};
use crate::needs;
use crate::raw_client::Connection;
use crate::reference::{self, Options, Reference};

const TIMEOUT: std::time::Duration = std::time::Duration::from_mins(1);
const END: i64 = -1;

/// Runs a subcommand that must succeed; what it reports.
fn bench(port: u16, command: &str, arguments: &[&str]) -> Value {
    let bootstrap = format!("localhost:{port}");
    let mut tool = ottla();
    tool.args(["bench", command, "--json", "--bootstrap-server", &bootstrap]).args(arguments);
    let output = tool.output().unwrap();
    let said = [&output.stdout[..], &output.stderr].concat();
    let said = String::from_utf8_lossy(&said);
    assert!(output.status.success(), "{command} {arguments:?}: {said}");
    let report: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!((&report["errors"], &report["failed"]), (&json!({}), &json!(false)), "{report}");
    for figure in ["elapsed_s", "requests_per_s", "records_per_s", "mb_per_s"] {
        assert!(report[figure].is_number(), "{figure} in {report}");
    }
    for figure in ["p50", "p90", "p99", "p99_9", "max"] {
        assert!(report["latency_ms"][figure].is_number(), "{figure} in {report}");
    }
    report
}

/// Fills topics in every way and reads them again.
fn produces_and_consumes(port: u16) {
    for codec in ["none", "gzip", "snappy", "lz4", "zstd"] {
        let topic = format!("bench-{codec}");
        let report = bench(
            port,
            "produce",
            &[
                "--topic",
                &topic,
                "--compression",
                codec,
                "--records",
                "1000",
                "--batch-records",
                "10",
                "--record-bytes",
                "100",
                "--partitions",
                "3",
                "--connections",
                "2",
            ],
        );
        assert_eq!((&report["records"], &report["requests"]), (&json!(1000), &json!(100)));
        assert_eq!(report["settings"]["partitions"], 3);
        let sent_bytes = &report["bytes"];
        let report = bench(
            port,
            "consume",
            &["--topic", &topic, "--check", "--connections", "2", "--partition-max-bytes", "2000"],
        );
        assert_eq!((&report["records"], &report["bytes"]), (&json!(1000), sent_bytes), "{codec}");
    }
    for (topic, acks) in [("bench-leader", "1"), ("bench-nobody", "0")] {
        let arguments = ["--topic", topic, "--acks", acks, "--total-bytes", "1000000"];
        let rated = ["--batch-bytes", "16384", "--rate", "100000", "--threads", "2"];
        let report = bench(port, "produce", &[&arguments[..], &rated].concat());
        let mut client = Connection::open(port, TIMEOUT).unwrap();
        let end = client.list_offset(topic, END).unwrap();
        assert_eq!(json!(end), json!([0, report["records"]]), "acks={acks}");
        let rated = ["--topic", topic, "--rate", "5000", "--partition-max-bytes", "100000"];
        let read = bench(port, "consume", &rated);
        assert_eq!(read["records"], report["records"], "acks={acks}");
        assert!(read["elapsed_s"].as_f64().unwrap() > 0.1, "{read}");
    }
}

#[test]
fn produce_and_consume() {
    produces_and_consumes(Broker::start().port());
}

#[test]
fn produce_and_consume_against_kafka() {
    if !needs::java("produce_and_consume_against_kafka") {
        return;
    }
    let _one_at_a_time = reference::exclusive();
    let work = tempfile::tempdir().unwrap();
    let kafka = Reference::start(work.path(), &Options::default());
    produces_and_consumes(kafka.port());
}

#[test]
fn from_one_end_to_the_other() {
    let broker = Broker::start();
    let arguments = ["--rate", "200", "--seconds", "1", "--partitions", "2"];
    // What was there before is not read.
    for _ in 0..2 {
        let report = bench(broker.port(), "e2e", &arguments);
        assert_eq!(
            (&report["records"], &report["acknowledged"]["records"]),
            (&json!(200), &json!(200))
        );
    }
    let batches = ["--batch-records", "10", "--record-bytes", "8", "--in-flight", "1"];
    let report = bench(broker.port(), "e2e", &[&arguments[..], &batches].concat());
    assert_eq!(
        (&report["records"], &report["acknowledged"]["requests"]),
        (&json!(200), &json!(20))
    );
}

#[test]
fn connections_that_ask_wait_and_come_again() {
    let port = Broker::start();
    let port = port.port();
    let arguments = ["--count", "10", "--rate", "10", "--seconds", "1"];
    let run = |more: &[&str]| bench(port, "connections", &[&arguments[..], more].concat());
    assert_eq!(run(&[])["requests"], 100);
    let waiting = run(&["--request", "metadata", "--parked", "3", "--wait-ms", "10"]);
    assert_eq!(waiting["requests"], 100);
    assert!(waiting["parked"]["requests"].as_u64().is_some_and(|count| count >= 3), "{waiting}");
    assert_eq!(run(&["--reconnect"])["requests"], 100);
}

#[test]
fn groups_of_both_protocols() {
    let broker = Broker::start_with(&["group.initial.rebalance.delay.ms=50"]);
    for protocol in ["classic", "consumer"] {
        let report = bench(
            broker.port(),
            "groups",
            &[
                "--count",
                "3",
                "--members",
                "2",
                "--protocol",
                protocol,
                "--seconds",
                "1",
                "--heartbeat-interval-ms",
                "100",
            ],
        );
        assert_eq!(report["requests"], 60, "{report}");
        assert!(report["stable_s"].is_number(), "{report}");
    }
}

#[test]
fn what_fails_is_told_and_ends_with_one() {
    let broker = Broker::start();
    let bootstrap = broker.bootstrap_servers();
    // A port below those that clients and tests take.
    let cases = [
        (
            &["consume", "--topic", "none", "--bootstrap-server", &bootstrap][..],
            "UNKNOWN_TOPIC_OR_PARTITION",
        ),
        (&["consume", "--bootstrap-server", "localhost:1"], "cannot connect to localhost:1"),
        (&["e2e", "--rate", "0", "--bootstrap-server", &bootstrap], "--rate 0"),
        (&["produce", "--rate", "nan", "--bootstrap-server", &bootstrap], "--rate"),
        (
            &[
                "produce",
                "--topic",
                "t",
                "--replication-factor",
                "9",
                "--bootstrap-server",
                &bootstrap,
            ],
            "INVALID_REPLICATION_FACTOR",
        ),
    ];
    for (arguments, said) in cases {
        let output = ottla().arg("bench").args(arguments).output().unwrap();
        let errors = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(1), "{arguments:?}: {errors}");
        assert!(errors.contains(said), "{arguments:?}: {errors}");
    }
    // A batch that the broker refuses is counted by its name.
    let arguments = ["--records", "4", "--record-bytes", "2000000"];
    let output = ottla()
        .args(["bench", "produce", "--json", "--bootstrap-server", &bootstrap])
        .args(arguments)
        .output()
        .unwrap();
    let report: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(output.status.code(), Some(1), "{report}");
    assert!(report["errors"]["MESSAGE_TOO_LARGE"].as_u64().is_some(), "{report}");
}
