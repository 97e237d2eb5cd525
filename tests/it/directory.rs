//! The data directory is Apache Kafka's: its tools read it, it starts on ours, and we start on its.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Output;

use rdkafka::config::ClientConfig;
use rdkafka::message::{Message, OwnedMessage};
use rdkafka::producer::{BaseProducer, BaseRecord, Producer};
use rdkafka::topic_partition_list::Offset;

use crate::admin::{assert_changed, change_a_topic};
use crate::broker::{Broker, ottla};
use crate::clients::consume;
use crate::group_clients::{commit, committed};
use crate::protocol::{assert_resources_changed, change_resources};
use crate::raw_client::Connection;
use crate::reference::{self, Options, Quorum, Reference};
use crate::{needs, words};

mod aborted;
mod disks;
mod dump;
mod everything;
mod groups;
mod shares;

const TIMEOUT: std::time::Duration = std::time::Duration::from_mins(1);
const CODECS: [&str; 5] = ["none", "gzip", "snappy", "lz4", "zstd"];
const PARTITIONS: usize = 2;
const RECORDS: usize = 20_000;

/// Fills topics with records: several segments, every codec, an idempotent producer.
fn fill(port: u16, prefix: &str) {
    let mut client = Connection::open(port, TIMEOUT).unwrap();
    for codec in CODECS {
        let topic = format!("{prefix}-{codec}");
        let configs = [("segment.bytes", "1048576"), ("index.interval.bytes", "1024")];
        let error = client.create_topics(std::slice::from_ref(&topic), PARTITIONS as i32, &configs);
        assert_eq!(error.unwrap(), 0, "create {topic}");
        let producer: BaseProducer = ClientConfig::new()
            .set("bootstrap.servers", format!("localhost:{port}"))
            .set("enable.idempotence", "true")
            .set("compression.type", codec)
            .set("batch.num.messages", "100")
            .create()
            .unwrap();
        for (number, line) in lines(&topic).iter().enumerate() {
            let record = BaseRecord::<[u8], [u8]>::to(&topic)
                .partition((number % PARTITIONS) as i32)
                .key(&line[..line.len().min(4)])
                .payload(line);
            producer.send(record).map_err(|(error, _)| error).unwrap();
        }
        producer.flush(TIMEOUT).unwrap();
    }
}

/// The values of a topic that [`fill`] made.
fn lines(topic: &str) -> Vec<Vec<u8>> {
    let text = words::lines(RECORDS, topic.len() as u64);
    let pad = |line: &[u8]| [line, &[b'.'; 200]].concat();
    text.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()).map(pad).collect()
}

/// Every record that [`fill`] sent is served, once, in order.
fn assert_served(port: u16, prefix: &str) {
    for codec in CODECS {
        let topic = format!("{prefix}-{codec}");
        let sent = lines(&topic);
        let counts = [RECORDS / PARTITIONS; PARTITIONS];
        for (partition, records) in consume(port, &topic, &counts).iter().enumerate() {
            let expected = sent.iter().skip(partition).step_by(PARTITIONS);
            let read = records.iter().map(|record| record.payload().unwrap());
            assert!(read.eq(expected), "{topic}-{partition}");
            let offsets = records.iter().map(OwnedMessage::offset);
            assert!(offsets.eq(0..counts[partition] as i64), "{topic}-{partition}");
        }
    }
}

fn text(output: &Output) -> String {
    let (out, errors) = (&output.stdout, &output.stderr);
    format!("{}{}", String::from_utf8_lossy(out), String::from_utf8_lossy(errors))
}

/// A directory of ours with filled topics, after a clean stop or a kill.
fn our_directory(work: &Path, clean: bool) -> PathBuf {
    let data = work.join("ours");
    let mut broker = Broker::start_on(&data, &[]);
    fill(broker.port(), "ours");
    change_a_topic(broker.port());
    change_resources(broker.port());
    if clean {
        broker.terminate();
    } else {
        broker.kill9();
    }
    data
}

#[test]
fn kafkas_tools_read_our_files_without_complaint() {
    if !needs::java("kafkas_tools_read_our_files_without_complaint") {
        return;
    }
    let _one_at_a_time = reference::exclusive();
    for clean in [true, false] {
        let work = tempfile::tempdir().unwrap();
        let data = our_directory(work.path(), clean);
        if !clean {
            // What a kill leaves is for recovery to mend first.
            Broker::start_on(&data, &[]).terminate();
        }
        dump::assert_no_complaint(&data);
    }
}

#[test]
fn a_fresh_directory_has_the_form_of_kafkas_format() {
    if !needs::java("a_fresh_directory_has_the_form_of_kafkas_format") {
        return;
    }
    let _one_at_a_time = reference::exclusive();
    let work = tempfile::tempdir().unwrap();
    let ours = work.path().join("ours");
    Broker::start_on(&ours, &[]).terminate();
    let node = work.path().join("node");
    fs::create_dir(&node).unwrap();
    let kafka = Reference::start(&node, &Options::default());
    let theirs = kafka.data().to_owned();
    kafka.stop();

    let bootstrap = "bootstrap.checkpoint";
    assert_eq!(dump::records(&ours.join(bootstrap)), dump::records(&theirs.join(bootstrap)));
    let first_snapshot = "__cluster_metadata-0/00000000000000000000-0000000000.checkpoint";
    let kinds = |data: &Path| dump::control_kinds(&data.join(first_snapshot));
    assert_eq!(kinds(&ours), kinds(&theirs));
    assert_eq!(dump::keys_of_properties(&ours), dump::keys_of_properties(&theirs));
    assert_eq!(dump::keys_of_quorum_state(&ours), dump::keys_of_quorum_state(&theirs));
    assert_eq!(dump::root_files(&ours), dump::root_files(&theirs));
    assert!(dump::features(&ours).is_superset(&dump::features(&theirs)), "features in the log");
}

fn kafka_serves_our_directory(quorum: Quorum, clean: bool) {
    let name = format!("kafka_serves_our_directory {quorum:?} clean={clean}");
    if !needs::java(&name) {
        return;
    }
    let _one_at_a_time = reference::exclusive();
    let work = tempfile::tempdir().unwrap();
    let data = our_directory(work.path(), clean);
    let options = Options { quorum, data: Some(data.clone()), ..Options::default() };
    let node = work.path().join("node");
    fs::create_dir(&node).unwrap();
    let kafka = Reference::start(&node, &options);
    let log = kafka.log();
    let unclean =
        log.contains("not found a clean shutdown file") || log.contains("no clean shutdown file");
    assert!(!(clean && unclean), "{name}: Kafka took our clean stop for a crash");
    assert_no_damage(&log, &name);
    assert_served(kafka.port(), "ours");
    assert_offsets(kafka.port(), "ours");
    assert_changed(kafka.port());
    assert_resources_changed(kafka.port());

    // And back: what Kafka wrote meanwhile is ours to serve.
    fill(kafka.port(), "theirs");
    kafka.stop();
    let broker = Broker::start_on(&data, &[]);
    assert_served(broker.port(), "ours");
    assert_served(broker.port(), "theirs");
}

/// Kafka's log of a start names nothing that it had to repair or set aside.
fn assert_no_damage(log: &str, name: &str) {
    // A coordinator that begins to load before the elections of the start are over says so, and loads again; the broker
    // may register with its controller before that is active.
    let passing = |line: &str| {
        let early = ["no longer the leader", "apiKey=CONTROLLER_REGISTRATION"];
        line.contains("ERROR") && early.iter().any(|reason| line.contains(reason))
    };
    for complaint in ["stray", "corrupt", "Corrupt", "ERROR", "FATAL", "rebuilding index"] {
        let mut lines = log.lines().filter(|line| !line.contains(" = ") && !passing(line));
        let line = lines.find(|line| line.contains(complaint));
        assert!(line.is_none(), "{name}: {}", line.unwrap_or_default());
    }
}

/// `GetOffsetShell` sees every record.
fn assert_offsets(port: u16, prefix: &str) {
    let servers = format!("localhost:{port}");
    let topics = format!("{prefix}-.*");
    let arguments = ["--bootstrap-server", &servers, "--topic", &topics];
    let output = reference::tool("org.apache.kafka.tools.GetOffsetShell", &arguments);
    let text = text(&output);
    assert!(output.status.success(), "{text}");
    let expected = format!(":{}", RECORDS / PARTITIONS);
    let partitions = text.lines().filter(|line| line.starts_with(prefix));
    let partitions: Vec<&str> = partitions.collect();
    assert_eq!(partitions.len(), CODECS.len() * PARTITIONS, "{text}");
    assert!(partitions.iter().all(|line| line.ends_with(&expected)), "{text}");
}

#[test]
fn kafka_with_bootstrap_servers_serves_our_directory_after_a_clean_stop() {
    kafka_serves_our_directory(Quorum::Bootstrap, true);
}

#[test]
fn kafka_with_bootstrap_servers_serves_our_directory_after_a_kill() {
    kafka_serves_our_directory(Quorum::Bootstrap, false);
}

#[test]
fn kafka_with_static_voters_serves_our_directory_after_a_clean_stop() {
    kafka_serves_our_directory(Quorum::Voters, true);
}

#[test]
fn kafka_with_static_voters_serves_our_directory_after_a_kill() {
    kafka_serves_our_directory(Quorum::Voters, false);
}

fn we_serve_kafkas_directory(quorum: Quorum, clean: bool) {
    if !needs::java(&format!("we_serve_kafkas_directory {quorum:?} clean={clean}")) {
        return;
    }
    let _one_at_a_time = reference::exclusive();
    let work = tempfile::tempdir().unwrap();
    let node = work.path().join("node");
    fs::create_dir(&node).unwrap();
    let kafka = Reference::start(&node, &Options { quorum, ..Options::default() });
    fill(kafka.port(), "theirs");
    change_a_topic(kafka.port());
    change_resources(kafka.port());
    commit(kafka.port(), "kept", "theirs-lz4", 17, "");
    let data = kafka.data().to_owned();
    if clean {
        kafka.stop();
    } else {
        kafka.kill();
    }
    let before = dump::form_of_quorum(&data);

    let mut broker = Broker::start_on(&data, &[]);
    assert_served(broker.port(), "theirs");
    assert_resources_changed(broker.port());
    if clean {
        // A kill takes the log start with it: Kafka writes it down once a minute.
        assert_changed(broker.port());
    }
    fill(broker.port(), "ours");
    broker.terminate();
    assert_eq!(dump::form_of_quorum(&data), before, "the quorum's form is kept");

    let options = Options { quorum, data: Some(data), ..Options::default() };
    let kafka = Reference::start(&node, &options);
    assert_no_damage(&kafka.log(), "the way back");
    assert_served(kafka.port(), "theirs");
    assert_served(kafka.port(), "ours");
    assert_eq!(committed(kafka.port(), "kept", "theirs-lz4").0, Offset::Offset(17));
}

#[test]
fn we_serve_a_standalone_kafkas_directory_after_a_clean_stop() {
    we_serve_kafkas_directory(Quorum::Bootstrap, true);
}

#[test]
fn we_serve_a_standalone_kafkas_directory_after_a_kill() {
    we_serve_kafkas_directory(Quorum::Bootstrap, false);
}

#[test]
fn we_serve_a_static_voter_kafkas_directory_after_a_clean_stop() {
    we_serve_kafkas_directory(Quorum::Voters, true);
}

#[test]
fn we_serve_a_static_voter_kafkas_directory_after_a_kill() {
    we_serve_kafkas_directory(Quorum::Voters, false);
}

#[test]
fn kafka_and_we_refuse_each_others_running_directory() {
    if !needs::java("kafka_and_we_refuse_each_others_running_directory") {
        return;
    }
    let _one_at_a_time = reference::exclusive();
    let work = tempfile::tempdir().unwrap();
    let data = work.path().join("ours");
    let broker = Broker::start_on(&data, &[]);
    let node = work.path().join("node");
    fs::create_dir(&node).unwrap();
    let options = Options { data: Some(data), ..Options::default() };
    let log =
        Reference::try_start(&node, &options).expect_err("Kafka starts on our running directory");
    assert!(log.contains("Failed to acquire lock"), "{log}");
    drop(broker);

    let kafka = Reference::start(&node, &Options::default());
    let mut command = ottla();
    command.args(["server", "--override", "listeners=PLAINTEXT://localhost:0", "--override"]);
    command.arg(format!("log.dirs={}", kafka.data().display()));
    let output = command.output().unwrap();
    assert!(!output.status.success());
    let said = text(&output);
    assert!(said.contains("in use"), "{said}");
}
