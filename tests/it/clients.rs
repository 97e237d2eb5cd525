//! Unmodified clients: librdkafka, kcat, and the Java console tools.

use std::fs;
use std::process::{Command, Stdio};
use std::time::Duration;

use rdkafka::config::ClientConfig;
use rdkafka::consumer::BaseConsumer;
use rdkafka::message::{Header, Message, OwnedHeaders, OwnedMessage};
use rdkafka::producer::{
    BaseProducer, BaseRecord, DefaultProducerContext, Producer, ThreadedProducer,
};

use crate::broker::Broker;
use crate::raw_client::Connection;
use crate::rdkafka_records::{Fields, fields, fields_of, read_all};
use crate::{needs, reference, words};

const LINES: usize = 120_000;
const TIMEOUT: Duration = Duration::from_mins(2);

/// Reads a topic's partitions from their beginning, each until it has given as many records as `counts` says for it and
/// then its end.
pub(crate) fn consume(port: u16, topic: &str, counts: &[usize]) -> Vec<Vec<OwnedMessage>> {
    let consumer: BaseConsumer = ClientConfig::new()
        .set("bootstrap.servers", format!("localhost:{port}"))
        .set("group.id", "assigned")
        .set("enable.auto.commit", "false")
        .set("enable.partition.eof", "true")
        .set("queued.max.messages.kbytes", "16384")
        .set("fetch.wait.max.ms", "10")
        .create()
        .unwrap();
    read_all(&consumer, topic, counts, TIMEOUT)
}

/// As [`consume`], for a topic of one partition.
fn consume_one(broker: &Broker, topic: &str, count: usize) -> Vec<OwnedMessage> {
    consume(broker.port(), topic, &[count]).remove(0)
}

fn producer(
    broker: &Broker,
    settings: &[(&str, &str)],
) -> ThreadedProducer<DefaultProducerContext> {
    let mut config = ClientConfig::new();
    config.set("bootstrap.servers", broker.bootstrap_servers());
    config.set("queue.buffering.max.messages", "200000");
    for (key, value) in settings {
        config.set(*key, *value);
    }
    config.create().unwrap()
}

fn words_round_trip(codec: &str) {
    let broker = Broker::start();
    let topic = format!("words-{codec}");
    let text = words::lines(LINES, 1);
    let producer = producer(&broker, &[("compression.type", codec), ("linger.ms", "5")]);
    for line in text.split_inclusive(|byte| *byte == b'\n') {
        producer
            .send(BaseRecord::<(), [u8]>::to(&topic).payload(line))
            .map_err(|(e, _)| e)
            .unwrap();
    }
    producer.flush(TIMEOUT).unwrap();
    let records = consume_one(&broker, &topic, LINES);
    let read: Vec<u8> =
        records.iter().flat_map(|record| record.payload().unwrap().to_vec()).collect();
    assert_eq!(records.len(), LINES);
    assert!(read == text, "the lines read are not the lines written");
    assert!(records.iter().map(OwnedMessage::offset).eq(0..LINES as i64));
}

#[test]
fn words_survive_uncompressed() {
    words_round_trip("none");
}

#[test]
fn words_survive_gzip() {
    words_round_trip("gzip");
}

#[test]
fn words_survive_snappy() {
    words_round_trip("snappy");
}

#[test]
fn words_survive_lz4() {
    words_round_trip("lz4");
}

#[test]
fn words_survive_zstd() {
    words_round_trip("zstd");
}

#[test]
fn keys_nulls_headers_and_timestamps_survive_at_every_acks() {
    const COUNT: usize = 300;
    // The timestamps lie in the past: retention must not take the records before they are read.
    let broker = Broker::start_with(&["log.retention.ms=-1"]);
    for acks in ["0", "1", "all"] {
        let topic = format!("fields-{acks}");
        let config = [("acks", acks), ("linger.ms", "2"), ("compression.type", "lz4")];
        let producer = producer(&broker, &config);
        for number in 0..COUNT {
            let (key, value, headers, timestamp) = fields(number);
            let mut record = BaseRecord::<[u8], [u8]>::to(&topic).timestamp(timestamp);
            record.key = key.as_deref();
            record.payload = value.as_deref();
            let headers = headers.iter().fold(OwnedHeaders::new(), |all, (key, value)| {
                all.insert(Header { key, value: value.as_ref() })
            });
            producer.send(record.headers(headers)).map_err(|(e, _)| e).unwrap();
        }
        producer.flush(TIMEOUT).unwrap();
        let records = consume_one(&broker, &topic, COUNT);
        let read: Vec<Fields> = records.iter().map(fields_of).collect();
        let written: Vec<Fields> = (0..COUNT).map(fields).collect();
        assert_eq!(read, written, "acks={acks}");
    }
}

#[test]
fn records_survive_a_clean_restart() {
    let mut broker = Broker::start();
    let text = words::lines(1_000, 2);
    let producer: BaseProducer = ClientConfig::new()
        .set("bootstrap.servers", broker.bootstrap_servers())
        .set("enable.idempotence", "true")
        .create()
        .unwrap();
    for line in text.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()) {
        producer
            .send(BaseRecord::<(), [u8]>::to("kept").payload(line))
            .map_err(|(e, _)| e)
            .unwrap();
    }
    producer.flush(TIMEOUT).unwrap();
    broker.terminate();
    broker.restart();
    let records = consume_one(&broker, "kept", 1_000);
    let lines = text.split(|byte| *byte == b'\n').filter(|line| !line.is_empty());
    assert!(records.iter().map(|record| record.payload().unwrap()).eq(lines));
}

#[test]
fn a_local_client_is_told_localhost_and_the_port_it_used() {
    let broker = Broker::start();
    let mut client = Connection::open(broker.port(), TIMEOUT).unwrap();
    let told = client.advertised().unwrap();
    assert_eq!(told, ("localhost".to_owned(), i32::from(broker.port())));
}

#[test]
fn kcat_sends_and_reads_the_words_file() {
    if !needs::program("kcat_sends_and_reads_the_words_file", "kcat") {
        return;
    }
    let broker = Broker::start();
    let work = tempfile::tempdir().unwrap();
    fs::write(work.path().join("words.txt"), words::lines(LINES, 3)).unwrap();
    let script = "set -euo pipefail
        for codec in none gzip snappy lz4 zstd; do
            kcat -q -b \"$1\" -t lines-$codec -z $codec -P < words.txt
            kcat -q -b \"$1\" -t lines-$codec -C -e | cmp - words.txt
        done";
    let mut shell = Command::new("bash");
    shell.args(["-c", script, "bash", &broker.bootstrap_servers()]).current_dir(work.path());
    // Cargo's would have kcat load the librdkafka that this repository builds, not its own.
    let output = shell.env_remove("LD_LIBRARY_PATH").output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

#[test]
fn java_console_tools_send_and_read_the_words_file() {
    if !needs::java("java_console_tools_send_and_read_the_words_file") {
        return;
    }
    let _one_at_a_time = reference::exclusive();
    let broker = Broker::start();
    let work = tempfile::tempdir().unwrap();
    let text = words::lines(LINES, 4);
    let file = work.path().join("words.txt");
    fs::write(&file, &text).unwrap();
    let servers = broker.bootstrap_servers();

    for codec in ["none", "gzip", "snappy", "lz4", "zstd"] {
        let topic = format!("lines-{codec}");
        let client = ["--bootstrap-server", &servers, "--topic", &topic];
        let arguments = [&client[..], &["--compression-codec", codec]].concat();
        let mut send =
            reference::tool_command("org.apache.kafka.tools.ConsoleProducer", &arguments);
        let output = send.stdin(Stdio::from(fs::File::open(&file).unwrap())).output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));

        let count = LINES.to_string();
        let from = ["--partition", "0", "--offset", "earliest", "--max-messages", &count];
        let arguments = [&client[..], &from, &["--timeout-ms", "60000"]].concat();
        let output = reference::tool("org.apache.kafka.tools.consumer.ConsoleConsumer", &arguments);
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        assert!(output.stdout == text, "{codec}: the lines read are not the lines written");
    }
}
