//! Compaction beside Apache Kafka's, from a copy of the same directory: the same records survive.
//!
//! Apache Kafka fills the topics without cleaning: plain, idempotent and transactional batches in every codec, some of the
//! transactions aborted, tombstones among the records. Then each broker cleans its copy up to the active segment, and again
//! after every record that rolls the log, until a pass removes nothing else: tombstones and markers go in later passes.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use fastrand::Rng;
use rdkafka::config::ClientConfig;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::KafkaError;
use rdkafka::message::Message;
use rdkafka::producer::{BaseProducer, BaseRecord, Producer};
use rdkafka::topic_partition_list::{Offset, TopicPartitionList};

use ottla::records::{Batches, Compression};

use crate::broker::Broker;
use crate::needs::{self, report, seed, setting};
use crate::raw_client::Connection;
use crate::reference::{self, Options, Reference};
use crate::wait::until;

const TIMEOUT: Duration = Duration::from_mins(2);
/// With what `delete.retention.ms`.
const TOPICS: [(&str, &str); 2] = [("forgets", "0"), ("remembers", "1000000000000")];
const CODECS: [&str; 5] = ["none", "gzip", "snappy", "lz4", "zstd"];
const KEYS: usize = 10_000;
const ROUNDS: usize = 5;
const TRANSACTION_RECORDS: usize = 200;
/// Of the record that begins a pass.
const PASS: &[u8] = b"pass";
const PASSES_MAX: usize = 10;
/// Nothing is cleaned.
const FILLING: &str = "log.cleaner.backoff.ms=86400000";
/// A record rolls the log, and what can be cleaned is.
pub(crate) const CLEANING: [&str; 3] =
    ["log.roll.ms=1", "log.cleaner.backoff.ms=50", "log.segment.delete.delay.ms=0"];

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Plain,
    Idempotent,
    Committed,
    Aborted,
}

const KINDS: [Kind; 4] = [Kind::Plain, Kind::Idempotent, Kind::Committed, Kind::Aborted];

/// Key and value by offset.
pub(crate) type Survivors = BTreeMap<i64, (Vec<u8>, Option<Vec<u8>>)>;

#[test]
fn the_same_records_survive_as_with_apache_kafka() {
    if !needs::java("the_same_records_survive_as_with_apache_kafka") {
        return;
    }
    let _one_at_a_time = reference::exclusive();
    let (records, seed) = (setting("OTTLA_COMPACTION_RECORDS", 100_000), seed());
    let work = tempfile::tempdir().unwrap();
    let (theirs, ours) = (work.path().join("theirs"), work.path().join("ours"));
    fs::create_dir(&theirs).unwrap();
    let options = Options { extra: FILLING.into(), ..Options::default() };
    let kafka = Reference::start(&theirs, &options);
    let filled = kafka.data().to_owned();
    for (topic, delete_retention_ms) in TOPICS {
        fill(kafka.port(), topic, delete_retention_ms, records, seed);
    }
    kafka.stop();
    let copied = Command::new("cp").arg("-a").arg(&filled).arg(&ours).status();
    assert!(copied.unwrap().success());

    let extra = CLEANING.join("\n");
    let kafka = Reference::start(&theirs, &Options { data: Some(filled), extra, ..options });
    let expected = TOPICS.map(|(topic, _)| clean(kafka.port(), kafka.data(), topic));
    kafka.stop();
    let mut broker = Broker::start_on(&ours, &CLEANING);
    let mut left = Vec::new();
    for ((topic, _), (expected, their_batches)) in TOPICS.into_iter().zip(expected) {
        let (found, batches) = clean(broker.port(), &ours, topic);
        assert_same(topic, seed, &expected, &found);
        let differ = their_batches.iter().zip(&batches).find(|(theirs, ours)| theirs != ours);
        assert_eq!(differ, None, "{topic}, OTTLA_SEED={seed}: Kafka's batch and ours");
        assert_eq!(their_batches.len(), batches.len(), "{topic}, OTTLA_SEED={seed}");
        left.push(found.clone());
        report(&format!("compaction: {topic}: {} of {records} records survive", found.len()));
    }
    broker.terminate();
    let options = Options { data: Some(ours), extra: FILLING.into(), ..Options::default() };
    let kafka = Reference::start(&theirs, &options);
    for ((topic, _), left) in TOPICS.into_iter().zip(left) {
        let mut read = survivors(kafka.port(), topic);
        read.retain(|_, (key, _)| key != PASS);
        assert!(read == left, "{topic}, OTTLA_SEED={seed}: Kafka reads otherwise what we cleaned");
    }
    kafka.stop();
}

fn assert_same(topic: &str, seed: u64, expected: &Survivors, found: &Survivors) {
    let differs = |(offset, record): &(&i64, &(Vec<u8>, Option<Vec<u8>>)), other: &Survivors| {
        other.get(offset) != Some(record)
    };
    let lost: Vec<_> = expected.iter().filter(|it| differs(it, found)).take(5).collect();
    let kept: Vec<_> = found.iter().filter(|it| differs(it, expected)).take(5).collect();
    assert!(
        lost.is_empty() && kept.is_empty(),
        "{topic}, OTTLA_SEED={seed}: Kafka has {lost:?}, we have {kept:?}"
    );
    assert!(!found.is_empty());
}

/// Writes so many records, in turns of every codec and kind.
fn fill(port: u16, topic: &str, delete_retention_ms: &str, records: usize, seed: u64) {
    let configs = [
        ("cleanup.policy", "compact"),
        ("segment.bytes", "1048576"),
        ("min.cleanable.dirty.ratio", "0"),
        ("delete.retention.ms", delete_retention_ms),
    ];
    let mut client = Connection::open(port, TIMEOUT).unwrap();
    assert_eq!(client.create_topics(&[topic.to_owned()], 1, &configs).unwrap(), 0);
    let mut random = Rng::with_seed(seed);
    let by_turn = records / ROUNDS / CODECS.len() / KINDS.len();
    let turns = CODECS.iter().flat_map(|codec| KINDS.map(|kind| (*codec, kind)));
    let producers: Vec<_> =
        turns.map(|(codec, kind)| (kind, producer(port, topic, codec, kind))).collect();
    for _ in 0..ROUNDS {
        for (kind, producer) in &producers {
            match kind {
                Kind::Plain | Kind::Idempotent => send(producer, topic, by_turn, &mut random),
                Kind::Committed | Kind::Aborted => {
                    for _ in 0..by_turn / TRANSACTION_RECORDS {
                        producer.begin_transaction().unwrap();
                        send(producer, topic, TRANSACTION_RECORDS, &mut random);
                        if *kind == Kind::Committed {
                            producer.commit_transaction(TIMEOUT).unwrap();
                        } else {
                            producer.abort_transaction(TIMEOUT).unwrap();
                        }
                    }
                }
            }
        }
    }
}

fn producer(port: u16, topic: &str, codec: &str, kind: Kind) -> BaseProducer {
    let mut config = ClientConfig::new();
    config
        .set("bootstrap.servers", format!("localhost:{port}"))
        .set("compression.type", codec)
        .set("linger.ms", "5")
        .set("batch.num.messages", "50");
    match kind {
        Kind::Plain => {}
        Kind::Idempotent => {
            config.set("enable.idempotence", "true");
        }
        Kind::Committed | Kind::Aborted => {
            config.set("transactional.id", format!("{topic}-{codec}-{kind:?}"));
        }
    }
    let producer: BaseProducer = config.create().unwrap();
    if config.get("transactional.id").is_some() {
        producer.init_transactions(TIMEOUT).unwrap();
    }
    producer
}

/// Records of random keys, one in ten without a value, each acknowledged.
fn send(producer: &BaseProducer, topic: &str, count: usize, random: &mut Rng) {
    for _ in 0..count {
        let key = format!("key-{}", random.usize(..KEYS));
        let value = format!("{:016x}{}", random.u64(..), "compressible ".repeat(random.usize(..8)));
        let mut record = BaseRecord::to(topic).partition(0).key(&key);
        if random.u8(..10) > 0 {
            record = record.payload(&value);
        }
        producer.send(record).map_err(|(error, _)| error).unwrap();
        producer.poll(Duration::ZERO);
    }
    producer.flush(TIMEOUT).unwrap();
}

/// Cleans until nothing changes; the records that are left then, and the batches.
fn clean(port: u16, data: &Path, topic: &str) -> (Survivors, Vec<String>) {
    let producer = producer(port, topic, "none", Kind::Plain);
    let mut before = None;
    // Before anything is appended, or the range of the first pass would depend on when it begins.
    wait_cleaned(data, topic);
    for _ in 0..PASSES_MAX {
        // The second record rolls the first one's segment.
        for _ in 0..2 {
            // Later by more than `log.roll.ms` than the record before.
            let record = BaseRecord::<[u8], [u8]>::to(topic).partition(0).key(PASS).payload(PASS);
            producer.send(record).map_err(|(error, _)| error).unwrap();
            producer.flush(TIMEOUT).unwrap();
        }
        wait_cleaned(data, topic);
        let mut survivors = survivors(port, topic);
        survivors.retain(|_, (key, _)| key != PASS);
        let end = survivors.last_key_value().map_or(0, |(offset, _)| *offset);
        // A pass may find only that a marker has lost its last record: the next one removes it.
        let after = (survivors, batches(&data.join(format!("{topic}-0")), end));
        if before.as_ref() == Some(&after) {
            return after;
        }
        before = Some(after);
    }
    panic!("{PASSES_MAX} passes were not enough");
}

/// The headers of the batches in a log's files up to `end`, but for what depends on when they were
/// cleaned and, where they are compressed, by which library.
fn batches(log: &Path, end: i64) -> Vec<String> {
    let files = fs::read_dir(log).unwrap().map(|file| file.unwrap().path());
    let mut files: Vec<_> =
        files.filter(|file| file.extension().is_some_and(|suffix| suffix == "log")).collect();
    files.sort();
    let mut headers = Vec::new();
    for file in files {
        for batch in Batches::new(&fs::read(file).unwrap()) {
            let (mut header, batch) = batch.unwrap();
            assert!(header.verify_crc(batch));
            let is_plain = header.compression() == Some(Compression::None);
            let size_bytes = is_plain.then_some(header.batch_length);
            (header.crc, header.batch_length) = (0, 0);
            if header.has_delete_horizon() {
                header.base_timestamp = 0;
            }
            if header.last_offset() <= end {
                headers.push(format!("{size_bytes:?} bytes, {header:?}"));
            }
        }
    }
    headers
}

/// Until the checkpoint of the cleaner stands at the active segment.
fn wait_cleaned(data: &Path, topic: &str) {
    let name = format!("{topic}-0");
    until(&format!("a clean log of {name} in {}", data.display()), TIMEOUT, || {
        let files = fs::read_dir(data.join(&name)).unwrap();
        let names = files.map(|file| file.unwrap().file_name().into_string().unwrap());
        let active = names.filter_map(|file| file.strip_suffix(".log")?.parse::<i64>().ok()).max();
        let checkpoint = fs::read_to_string(data.join("cleaner-offset-checkpoint")).ok()?;
        let prefix = format!("{name} ").replace("-0 ", " 0 ");
        let line = checkpoint.lines().find_map(|line| line.strip_prefix(&prefix));
        (line?.parse().ok() == active).then_some(())
    });
}

/// Everything that a reader of uncommitted records sees.
pub(crate) fn survivors(port: u16, topic: &str) -> Survivors {
    let consumer: BaseConsumer = ClientConfig::new()
        .set("bootstrap.servers", format!("localhost:{port}"))
        .set("group.id", "compaction")
        .set("isolation.level", "read_uncommitted")
        .set("check.crcs", "true")
        .set("enable.auto.commit", "false")
        .set("enable.partition.eof", "true")
        .create()
        .unwrap();
    let mut assignment = TopicPartitionList::new();
    assignment.add_partition_offset(topic, 0, Offset::Beginning).unwrap();
    consumer.assign(&assignment).unwrap();
    let mut survivors = Survivors::new();
    loop {
        match consumer.poll(TIMEOUT).expect("a record or the end") {
            Err(KafkaError::PartitionEOF(_)) => return survivors,
            read => {
                let record = read.unwrap();
                let key = record.key().unwrap().to_vec();
                survivors.insert(record.offset(), (key, record.payload().map(<[u8]>::to_vec)));
            }
        }
    }
}
