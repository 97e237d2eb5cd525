//! `ottla dump-log` beside Kafka's own `DumpLogSegments`, to the byte: directories of both brokers, every kind and version
//! of record of the internal topics, and damaged files.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Output;

use rdkafka::config::ClientConfig;
use rdkafka::consumer::{BaseConsumer, CommitMode, Consumer};
use rdkafka::message::{Header, OwnedHeaders};
use rdkafka::producer::{BaseProducer, BaseRecord, Producer};
use rdkafka::topic_partition_list::Offset;

use crate::admin::change_a_topic;
use crate::broker::{Broker, ottla};
use crate::group_clients::{commit, consumer_config, create_topic, partitions, read, send};
use crate::needs;
use crate::protocol::change_resources;
use crate::reference::{self, Options, Reference};
use crate::wait::until;

mod damage;
mod records;

const TIMEOUT: std::time::Duration = std::time::Duration::from_mins(1);
const CODECS: [&str; 5] = ["none", "gzip", "snappy", "lz4", "zstd"];

/// What one of the tools said of the files.
fn ours(files: &[PathBuf], options: &[&str]) -> Output {
    ottla().arg("dump-log").arg("--files").arg(list(files)).args(options).output().unwrap()
}

fn theirs(files: &[PathBuf], options: &[&str]) -> Output {
    let list = list(files);
    let arguments = [&["--files", &list], options].concat();
    let class = "org.apache.kafka.tools.DumpLogSegments";
    let mut command = reference::tool_command(class, &arguments);
    command.env("LC_ALL", "C.UTF-8").output().unwrap()
}

fn list(files: &[PathBuf]) -> String {
    let files: Vec<&str> = files.iter().map(|file| file.to_str().unwrap()).collect();
    files.join(",")
}

/// Both say the same; what it was. Where Kafka's tool ends with an exception, we end with an error after the same output.
fn assert_same(files: &[PathBuf], options: &[&str]) -> String {
    let (ours, theirs) = (ours(files, options), theirs(files, options));
    let [said, expected] = [&ours, &theirs].map(|output| String::from_utf8_lossy(&output.stdout));
    let [errors, expected_errors] =
        [&ours, &theirs].map(|output| String::from_utf8_lossy(&output.stderr));
    let what = format!("{options:?} of {files:?}");
    let differ = said.lines().zip(expected.lines()).find(|(said, expected)| said != expected);
    assert_eq!(differ, None, "{what}\n{errors}\n{expected_errors}");
    assert!(ours.stdout == theirs.stdout, "{what}: {}, not {}", said.len(), expected.len());
    assert_eq!(ours.status.code(), theirs.status.code(), "{what}\n{errors}\n{expected_errors}");
    if theirs.status.success() {
        assert_eq!(errors, expected_errors, "{what}");
    } else {
        let lines: Vec<&str> = errors.lines().collect();
        assert!(lines.last().is_some_and(|line| line.starts_with("ottla: ")), "{what}: {errors}");
    }
    format!("{said}{errors}")
}

/// Records with and without keys, values and headers, in every codec, and producers of every kind.
fn fill(port: u16) {
    for codec in CODECS {
        create_topic(port, codec, 1);
        let mut config = ClientConfig::new();
        config.set("bootstrap.servers", format!("localhost:{port}"));
        config.set("enable.idempotence", "true").set("compression.type", codec);
        let producer: BaseProducer = config.set("linger.ms", "50").create().unwrap();
        for number in 0..200_u8 {
            let headers = OwnedHeaders::new()
                .insert(Header { key: "größe", value: Some("1") })
                .insert(Header { key: "", value: None::<&str> });
            let key = [number, 0xed, 0xa0, 0x80, b'k'];
            let value = [&[number, b'\n', 0xc3][..], &[b'v'; 300]].concat();
            let mut record = BaseRecord::<[u8], [u8]>::to(codec).partition(0);
            record = if number % 3 == 0 { record } else { record.key(&key) };
            record = if number % 5 == 0 { record } else { record.payload(&value) };
            record = if number % 7 == 0 { record.headers(headers) } else { record };
            producer.send(record).map_err(|(error, _)| error).unwrap();
        }
        producer.flush(TIMEOUT).unwrap();
    }
    let segments = [("segment.bytes", "1048576"), ("index.interval.bytes", "512")];
    let mut client = crate::raw_client::Connection::open(port, TIMEOUT).unwrap();
    assert_eq!(client.create_topics(&["segments".to_owned()], 1, &segments).unwrap(), 0);
    let producer: BaseProducer = ClientConfig::new()
        .set("bootstrap.servers", format!("localhost:{port}"))
        .set("batch.num.messages", "10")
        .create()
        .unwrap();
    for number in 0..3000 {
        let value = [b'0' + (number % 10) as u8; 600];
        let record = BaseRecord::<(), [u8]>::to("segments").payload(&value);
        producer.send(record).map_err(|(error, _)| error).unwrap();
        if number % 100 == 0 {
            producer.flush(TIMEOUT).unwrap();
        }
    }
    producer.flush(TIMEOUT).unwrap();
}

/// Transactions that commit, abort and stay open, one with an offset.
fn fill_transactions(port: u16) {
    create_topic(port, "transactions", 2);
    for (id, count) in [("a", 5), ("ß", 3)] {
        let producer: BaseProducer = ClientConfig::new()
            .set("bootstrap.servers", format!("localhost:{port}"))
            .set("transactional.id", id)
            .create()
            .unwrap();
        until("a producer id", TIMEOUT, || producer.init_transactions(TIMEOUT).ok());
        for round in 0..count {
            producer.begin_transaction().unwrap();
            for partition in 0..2 {
                let record = BaseRecord::<str, str>::to("transactions").partition(partition);
                let sent = producer.send(record.key(id).payload("value"));
                sent.map_err(|(error, _)| error).unwrap();
            }
            producer.flush(TIMEOUT).unwrap();
            match round {
                0 | 3 => producer.abort_transaction(TIMEOUT).unwrap(),
                4 => {}
                _ => producer.commit_transaction(TIMEOUT).unwrap(),
            }
        }
    }
}

/// Groups of both protocols, one of them with a subscription by pattern, and offsets of nobody's.
fn fill_groups(port: u16) {
    create_topic(port, "read", 2);
    send(port, "read", 2, 0..20);
    commit(port, "Größe", "read", 3, "\"quoted\"\u{1}");
    for (group, protocol, topic) in [
        ("classic", "classic", "read"),
        ("newer", "consumer", "read"),
        ("pattern", "consumer", "^rea.*"),
    ] {
        let mut config = consumer_config(port, group);
        config.set("group.protocol", protocol);
        let consumer: BaseConsumer = config.create().unwrap();
        consumer.subscribe(&[topic]).unwrap();
        read(&consumer, 20);
        let offsets = partitions("read", &[Offset::Offset(10), Offset::Offset(7)]);
        consumer.commit(&offsets, CommitMode::Sync).unwrap();
    }
}

fn fill_everything(port: u16) {
    fill(port);
    fill_transactions(port);
    fill_groups(port);
    change_a_topic(port);
    change_resources(port);
}

/// The files below `data` with one of the endings, of topics whose names begin so; empty ones only of other topics than
/// the internal ones.
fn files(data: &Path, topic: &str, endings: &[&str]) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for directory in fs::read_dir(data).unwrap().map(|entry| entry.unwrap().path()) {
        let name = directory.file_name().unwrap().to_string_lossy().into_owned();
        if !directory.is_dir()
            || !name.starts_with(topic)
            || (topic.is_empty() && name.starts_with("__"))
        {
            continue;
        }
        files.extend(fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().path()).filter(
            |path| {
                let matches = endings.iter().any(|end| path.to_string_lossy().ends_with(end));
                let is_empty = || fs::metadata(path).unwrap().len() == 0;
                matches && (topic.is_empty() || !is_empty())
            },
        ));
    }
    files.sort();
    assert!(!files.is_empty(), "{topic} {endings:?}");
    files
}

/// Every kind of file with every option that does something to it.
fn assert_directory_is_told_alike(data: &Path) {
    let logs = files(data, "", &[".log"]);
    for options in [
        &[][..],
        &["--deep-iteration"],
        &["--print-data-log"],
        &["--print-data-log", "--skip-record-metadata"],
        &["--deep-iteration", "--skip-record-metadata", "--max-bytes", "9000"],
    ] {
        assert_same(&logs, options);
    }
    let indexes = files(data, "", &[".index", ".timeindex", ".snapshot", ".txnindex"]);
    for options in [&[][..], &["--verify-index-only"], &["--index-sanity-check"]] {
        let said = assert_same(&indexes, options);
        assert!(said.contains("lastStableOffset: ") && said.contains("firstSequence: "), "{said}");
    }
    let offsets = files(data, "__consumer_offsets", &[".log", ".timeindex", ".snapshot"]);
    let said = assert_same(&offsets, &["--offsets-decoder"]);
    for kind in [1, 2, 3, 5, 6, 7, 8, 16] {
        assert!(said.contains(&format!("{{\"type\":\"{kind}\"")), "kind {kind}: {said}");
    }
    assert_same(&offsets, &["--offsets-decoder", "--skip-record-metadata"]);
    let transactions = files(data, "__transaction_state", &[".log", ".snapshot"]);
    assert_same(&transactions, &["--transaction-log-decoder"]);
    let mut metadata = files(data, "__cluster_metadata", &[".log", ".checkpoint", ".timeindex"]);
    metadata.push(data.join("bootstrap.checkpoint"));
    metadata.push(data.join("meta.properties"));
    metadata.push(data.join("recovery-point-offset-checkpoint"));
    let said = assert_same(&metadata, &["--cluster-metadata-decoder"]);
    for part in ["LeaderChange: {", "SnapshotHeader {", "\"TOPIC_RECORD\"", "Ignoring unknown file"]
    {
        assert!(said.contains(part), "{part}: {said}");
    }
    assert_same(&metadata, &["--cluster-metadata-decoder", "--skip-record-metadata"]);
}

#[test]
fn our_directory_is_told_as_kafkas_tool_tells_it() {
    if !needs::java("our_directory_is_told_as_kafkas_tool_tells_it") {
        return;
    }
    let _one_at_a_time = reference::exclusive();
    let work = tempfile::tempdir().unwrap();
    let data = work.path().join("data");
    let mut broker = Broker::start_on(&data, &[]);
    fill_everything(broker.port());
    broker.terminate();
    assert_directory_is_told_alike(&data);
}

#[test]
fn kafkas_directory_is_told_as_its_own_tool_tells_it() {
    if !needs::java("kafkas_directory_is_told_as_its_own_tool_tells_it") {
        return;
    }
    let _one_at_a_time = reference::exclusive();
    let work = tempfile::tempdir().unwrap();
    let extra = "metadata.log.max.record.bytes.between.snapshots=2000".to_owned();
    let kafka = Reference::start(work.path(), &Options { extra, ..Options::default() });
    fill_everything(kafka.port());
    let data = kafka.data().to_owned();
    kafka.stop();
    assert_directory_is_told_alike(&data);
}

#[test]
fn what_is_asked_for_wrongly_ends_with_kafkas_exit_code() {
    let code = |arguments: &[&str]| {
        let output = ottla().arg("dump-log").args(arguments).output().unwrap();
        (output.status.code(), String::from_utf8(output.stderr).unwrap())
    };
    for arguments in [&[][..], &["--files"], &["--files", "x.log", "--no-such-option"]] {
        assert_eq!(code(arguments).0, Some(1), "{arguments:?}");
    }
    let (exit, said) = code(&["--files", "x.log", "--value-decoder-class", "my.Decoder"]);
    assert!(exit == Some(1) && said.contains("my.Decoder"), "{said}");
    let (exit, said) = code(&["--files", "x.log", "--remote-log-metadata-decoder"]);
    assert!(exit == Some(1) && said.contains("tiered storage"), "{said}");
    let (exit, said) = code(&["--files", "no/00000000000000000000.log"]);
    assert!(exit == Some(1) && said.contains("no/00000000000000000000.log: "), "{said}");
}
