//! What start scripts of an image call: configure, kafka-storage, kafka-server-start, health; and the lines that are waited for.

use std::fs;
use std::path::Path;
use std::process::Output;
use std::time::Duration;

use crate::broker::{Broker, ottla};
use crate::wait::until;

const TIMEOUT: Duration = Duration::from_secs(10);
const CLUSTER_ID: &str = "4L6g3nShT-eMCtK--X86sw";

fn run(arguments: &[&str], variables: &[(&str, &str)]) -> (i32, String, String) {
    let variables = variables.iter().map(|(name, value)| (name, value));
    let Output { status, stdout, stderr } =
        ottla().args(arguments).envs(variables).output().unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    (status.code().unwrap(), text(stdout), text(stderr))
}

fn written(folder: &Path, text: &str) -> String {
    let path = folder.join("server.properties");
    fs::write(&path, text).unwrap();
    path.display().to_string()
}

#[test]
fn the_environment_becomes_a_file() {
    let work = tempfile::tempdir().unwrap();
    let mounted = written(work.path(), "num.partitions=5\nlog.retention.hours=2\n");
    let output = work.path().join("out.properties").display().to_string();
    let variables = [
        ("KAFKA_LOG_RETENTION_HOURS", "3"),
        ("KAFKA_CFG_NODE_ID", "4"),
        ("KAFKA_ADVERTISED_LISTENERS", "PLAINTEXT://broker.example:9092,"),
    ];
    let arguments = ["configure", &output, "--mounted", "/not/there", "--mounted", &mounted];
    assert_eq!(run(&arguments, &variables), (0, String::new(), String::new()));
    let text = fs::read_to_string(&output).unwrap();
    for line in [
        "num.partitions=5",
        "log.retention.hours=3",
        "node.id=4",
        "listeners=PLAINTEXT://0.0.0.0:9092",
        "gateway.advertised.host=localhost",
    ] {
        assert!(text.lines().any(|one| one == line), "{line} is not in:\n{text}");
    }
}

#[test]
fn what_cannot_be_done_stops_the_start_with_one_line() {
    let work = tempfile::tempdir().unwrap();
    let output = work.path().join("out.properties").display().to_string();
    for (name, value) in [
        ("KAFKA_SSL_KEYSTORE_LOCATION", "/etc/kafka/secrets/store"),
        ("KAFKA_CONTROLLER_QUORUM_VOTERS", "1@one:9093,2@two:9093"),
    ] {
        let (code, _, errors) = run(&["configure", &output], &[(name, value)]);
        assert_eq!((code, errors.lines().count()), (1, 1), "{errors}");
        let key = name.strip_prefix("KAFKA_").unwrap().to_lowercase().replace('_', ".");
        assert!(errors.contains(name) || errors.contains(&key), "{errors}");
    }
}

#[test]
fn storage_is_formatted_once() {
    let work = tempfile::tempdir().unwrap();
    let (one, two) = (work.path().join("a"), work.path().join("b"));
    let (one, two) = (one.display(), two.display());
    let file = written(work.path(), &format!("log.dirs={one},{two}\n"));
    let format = |more: &[&str]| {
        let fixed = ["kafka-storage", "format", "--config", &file];
        run(&[&fixed[..], more].concat(), &[])
    };
    let (code, _, errors) = format(&["-t", CLUSTER_ID]);
    assert!(code == 1 && errors.starts_with("Because controller.quorum.voters"), "{errors}");
    let (code, info, _) = run(&["kafka-storage.sh", "info", "-c", &file], &[]);
    assert_eq!(
        (code, info),
        (1, format!("Found problems:\n  {one} does not exist\n  {two} does not exist\n\n"))
    );

    let (code, said, errors) = format(&["-t", CLUSTER_ID, "--standalone"]);
    assert_eq!(code, 0, "{errors}");
    let lines: Vec<&str> = said.lines().collect();
    assert!(lines[0].starts_with("Bootstrap metadata: BootstrapMetadata(records=["), "{said}");
    let voter = "Formatting dynamic metadata voter directory";
    assert_eq!(lines[1], format!("{voter} {one} with metadata.version 4.3-IV0."));
    assert_eq!(lines[2], format!("Formatting data directory {two} with metadata.version 4.3-IV0."));

    let (code, said, errors) = format(&["--cluster-id", CLUSTER_ID, "--standalone"]);
    assert_eq!((code, &*said), (1, ""));
    assert!(errors.starts_with(&format!("Log directory {one} is already formatted.")), "{errors}");
    let (code, said, _) = format(&["-t", CLUSTER_ID, "--standalone", "-g"]);
    assert_eq!((code, &*said), (0, "All of the log directories are already formatted.\n"));
    let (code, _, errors) = format(&["-t", "another", "-s", "-g"]);
    assert!(code == 1 && errors.contains("but read 4L6g3nShT-eMCtK--X86sw"), "{errors}");
    let (code, info, _) = run(&["kafka-storage", "info", "-c", &file], &[]);
    assert!(code == 0 && info.contains("Found metadata: {cluster.id=4L6g3nShT"), "{info}");
}

#[test]
fn a_uuid_is_22_characters_of_base64() {
    let (code, id, _) = run(&["kafka-storage", "random-uuid"], &[]);
    assert_eq!((code, id.trim_end().len()), (0, 22), "{id}");
}

#[test]
fn kafka_server_start_wants_a_file() {
    let (code, _, errors) = run(&["kafka-server-start.sh"], &[]);
    assert!(code == 1 && errors.starts_with("USAGE: "), "{errors}");
}

#[test]
fn a_formatted_directory_is_served_with_its_id_and_the_lines_come_in_order() {
    let work = tempfile::tempdir().unwrap();
    let data = work.path().join("data").display().to_string();
    let file = written(work.path(), &format!("log.dirs={data}\nlisteners=PLAINTEXT://:0\n"));
    let (code, _, errors) = run(&["kafka-storage", "format", "-st", CLUSTER_ID, "-c", &file], &[]);
    assert_eq!(code, 0, "{errors}");
    let ready = work.path().join("ready").display().to_string();
    let (code, _, errors) = run(&["health", "--ready-file", &ready], &[]);
    assert!(code == 1 && errors.contains(&ready), "{errors}");

    let log = work.path().join("log");
    let mut command = ottla();
    command.args(["kafka-server-start", &file, "--ready-file", &ready]);
    command.args(["--create-topics", "orders:2:1"]).stdout(fs::File::create(&log).unwrap());
    let mut child = command.spawn().unwrap();
    let healthy = until("health", TIMEOUT, || {
        let (code, said, _) = run(&["health", "--ready-file", &ready], &[]);
        (code == 0).then_some(said)
    });
    let expected = [
        "[BrokerLifecycleManager id=1] The broker has been unfenced. Transitioning from RECOVERY to RUNNING.",
        "[KafkaRaftServer nodeId=1] Kafka Server started",
        "[KafkaServer id=1] started",
        "Kafka broker started",
    ];
    let log = until("the last line", TIMEOUT, || {
        let text = fs::read_to_string(&log).unwrap();
        text.contains(expected[3]).then_some(text)
    });
    child.kill().unwrap();
    child.wait().unwrap();
    assert!(healthy.contains(CLUSTER_ID), "{healthy}");
    let places = expected.map(|line| log.find(line).unwrap_or_else(|| panic!("{line}: {log}")));
    assert!(places.is_sorted(), "{log}");
    assert!(Path::new(&data).join("orders-1").is_dir());
}

#[test]
fn a_seed_that_cannot_be_read_ends_the_start() {
    let work = tempfile::tempdir().unwrap();
    let seed = work.path().join("ottla.yaml");
    fs::write(&seed, "topics: [{ nme: x }]\n").unwrap();
    let seed = seed.display().to_string();
    let (code, _, errors) = run(&["server", "--seed", &seed], &[]);
    assert!(code == 2 && errors.contains(&seed) && errors.contains("nme"), "{errors}");
}

#[test]
fn health_names_what_does_not_answer() {
    let broker = Broker::start();
    let address = format!("localhost:{}", broker.port());
    let (code, said, _) = run(&["health", "--bootstrap-server", &address], &[]);
    assert!(code == 0 && said.starts_with("healthy: "), "{said}");
    drop(broker);
    let (code, _, errors) = run(&["health", "--bootstrap-server", &address], &[]);
    assert!(code == 1 && errors.contains(&address), "{errors}");
}
