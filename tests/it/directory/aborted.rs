//! Aborted transactions: `.txnindex` files carried from one broker to the other, and what consumers are told of them.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use ottla::config::TopicConfig;
use ottla::env::{Env, Offload, OsClock, OsDisk, Random};
use ottla::log::local::{EngineSettings, LocalEngine};
use ottla::log::{Engine, LogId};
use ottla::partition::Partition;
use ottla::records::BatchBuilder;
use ottla::wire::messages::describe_producers::{DescribeProducersRequest, TopicRequest};
use ottla::wire::messages::fetch::{
    FetchPartition, FetchRequest, FetchResponse, FetchTopic, PartitionData,
};
use ottla::wire::messages::metadata::{MetadataRequest, MetadataRequestTopic};
use rdkafka::config::ClientConfig;
use rdkafka::consumer::BaseConsumer;
use rdkafka::message::Message;
use rdkafka::producer::{BaseRecord, DefaultProducerContext, Producer, ThreadedProducer};
use uuid::Uuid;

use super::{TIMEOUT, dump};
use crate::broker::Broker;
use crate::rdkafka_records::read_all;
use crate::reference::{self, Options, Reference};
use crate::requests::{Outcome, Request, framed_as, unframed};
use crate::wait::until;
use crate::{needs, raw_client};

const TOPIC: &str = "undecided";
const ROUNDS: usize = 45;
/// Of 600 bytes each, so that segments of 1 MiB roll.
const RECORDS_OF_A_ROUND: usize = 20;
const CONFIGS: [(&str, &str); 2] = [("segment.bytes", "1048576"), ("index.interval.bytes", "2000")];

/// Whether the transaction that a producer begins in a round commits; every third one goes on for three rounds.
fn commits(producer: usize, round: usize) -> bool {
    (round / 3 + producer).is_multiple_of(2)
}

fn ends(producer: usize, round: usize) -> bool {
    producer != 2 || round % 3 == 2
}

/// The value of a record.
fn value(producer: usize, round: usize, number: usize) -> Vec<u8> {
    let mut value = format!("{producer} {round} {number} ").into_bytes();
    value.resize(600, b'.');
    value
}

/// Values that nobody aborted, in order.
fn committed_values() -> Vec<Vec<u8>> {
    let all = (0..ROUNDS).flat_map(|round| (0..4).map(move |producer| (producer, round)));
    // The producer without transactions is the last one of each round.
    let kept = all.filter(|&(producer, round)| producer == 3 || commits(producer, round));
    kept.flat_map(|(producer, round)| {
        (0..RECORDS_OF_A_ROUND).map(move |number| value(producer, round, number))
    })
    .collect()
}

type Transactional = ThreadedProducer<DefaultProducerContext>;

fn producer(port: u16, transactional_id: Option<&str>) -> Transactional {
    let mut config = ClientConfig::new();
    config.set("bootstrap.servers", format!("localhost:{port}")).set("batch.num.messages", "7");
    let Some(id) = transactional_id else { return config.create().unwrap() };
    config.set("transactional.id", id).set("transaction.timeout.ms", "600000");
    let producer: Transactional = config.create().unwrap();
    producer.init_transactions(TIMEOUT).unwrap();
    producer
}

/// Three transactional producers and one without, whose transactions overlap; one stays open at the end.
fn fill(port: u16) {
    let mut client = raw_client::Connection::open(port, TIMEOUT).unwrap();
    assert_eq!(client.create_topics(&[TOPIC.to_owned()], 1, &CONFIGS).unwrap(), 0);
    let mut producers: Vec<_> = ["a", "b", "c"].iter().map(|id| producer(port, Some(id))).collect();
    producers.push(producer(port, None));
    let send = |producer: usize, round: usize, count: usize| {
        for number in 0..count {
            let value = value(producer, round, number);
            let record = BaseRecord::<(), [u8]>::to(TOPIC).partition(0).payload(&value);
            producers[producer].send(record).map_err(|(error, _)| error).unwrap();
        }
        producers[producer].flush(TIMEOUT).unwrap();
    };
    for round in 0..ROUNDS {
        for (index, producer) in producers[..3].iter().enumerate() {
            if index != 2 || round % 3 == 0 {
                producer.begin_transaction().unwrap();
            }
        }
        (0..4).for_each(|index| send(index, round, RECORDS_OF_A_ROUND));
        for (index, producer) in
            producers[..3].iter().enumerate().filter(|(at, _)| ends(*at, round))
        {
            if commits(index, round) {
                producer.commit_transaction(TIMEOUT).unwrap();
            } else {
                producer.abort_transaction(TIMEOUT).unwrap();
            }
        }
    }
    producers[1].begin_transaction().unwrap();
    send(1, ROUNDS, 5);
    send(3, ROUNDS + 1, 3);
    // Kafka's markers follow the answers.
    let mut client = Client::open(port);
    until("the last markers", TIMEOUT, || (client.open_transactions() == 1).then_some(()));
}

/// A connection that sends typed requests.
struct Client(raw_client::Connection);

impl Client {
    fn open(port: u16) -> Self {
        Self(raw_client::Connection::open(port, TIMEOUT).unwrap())
    }

    fn call<R: Request>(&mut self, request: &R, version: i16) -> R::Response {
        self.0.send(&framed_as(request, version, 1, "aborted")).unwrap();
        match Outcome::next(self.0.stream(), TIMEOUT, TIMEOUT).unwrap() {
            Outcome::Answer(frame) => unframed::<R>(&frame, version).unwrap().1,
            other => panic!("{other:?}"),
        }
    }

    fn open_transactions(&mut self) -> usize {
        let topic = TopicRequest { name: TOPIC.into(), partition_indexes: vec![0] };
        let described = self.call(&DescribeProducersRequest { topics: vec![topic] }, 0);
        let producers = &described.topics[0].partitions[0].active_producers;
        producers.iter().filter(|producer| producer.current_txn_start_offset >= 0).count()
    }

    fn topic_id(&mut self) -> Uuid {
        let topic = MetadataRequestTopic { name: Some(TOPIC.into()), ..Default::default() };
        let request = MetadataRequest { topics: Some(vec![topic]), ..Default::default() };
        self.call(&request, 12).topics[0].topic_id
    }

    fn fetch(
        &mut self,
        version: i16,
        id: Uuid,
        offset: i64,
        limit: i32,
        level: i8,
    ) -> PartitionData {
        let partition = FetchPartition {
            fetch_offset: offset,
            partition_max_bytes: limit,
            ..Default::default()
        };
        let topic = FetchTopic {
            topic: if version < 13 { TOPIC.into() } else { String::new() },
            topic_id: if version < 13 { Uuid::nil() } else { id },
            partitions: vec![partition],
        };
        let request = FetchRequest {
            isolation_level: level,
            min_bytes: 0,
            topics: vec![topic],
            ..Default::default()
        };
        let FetchResponse { mut responses, .. } = self.call(&request, version);
        responses.remove(0).partitions.remove(0)
    }
}

/// What a consumer is told of an offset with a limit: last stable offset, the list, and bytes of records.
type Told = (i64, Option<Vec<(i64, i64)>>, usize);

fn told(data: PartitionData) -> Told {
    assert_eq!(data.error_code, 0, "{data:?}");
    let list = data
        .aborted_transactions
        .map(|list| list.iter().map(|one| (one.producer_id, one.first_offset)).collect());
    (data.last_stable_offset, list, data.records.map_or(0, |records| records.len()))
}

/// What a consumer is told everywhere, and the same at every version.
fn told_everywhere(port: u16) -> BTreeMap<(i64, i32), Told> {
    let mut client = Client::open(port);
    let id = client.topic_id();
    // Kafka answers before it serves.
    let first = until("the partition", TIMEOUT, || {
        Some(client.fetch(11, id, 0, 1, 1)).filter(|first| first.error_code == 0)
    });
    let (end, ..) = told(first);
    let mut all = BTreeMap::new();
    for offset in (0..=end).step_by(13).chain([end - 1, end]) {
        for limit in [1, 5_000, 40_000, 400_000] {
            let list = told(client.fetch(11, id, offset, limit, 1));
            all.insert((offset, limit), list);
        }
    }
    for version in 4..=18 {
        let list = told(client.fetch(version, id, 0, 400_000, 1));
        assert_eq!(list, all[&(0, 400_000)], "version {version}");
        assert!(!list.1.unwrap().is_empty());
        let uncommitted = told(client.fetch(version, id, 0, 400_000, 0));
        assert_eq!(uncommitted.1, None, "version {version}");
        assert_eq!(told(client.fetch(version, id, end, 1, 1)), (end, Some(vec![]), 0));
    }
    all
}

fn assert_consumed(port: u16) {
    let expected = committed_values();
    let consumer: BaseConsumer = ClientConfig::new()
        .set("bootstrap.servers", format!("localhost:{port}"))
        .set("group.id", "assigned")
        .set("isolation.level", "read_committed")
        .set("enable.partition.eof", "true")
        .create()
        .unwrap();
    let records = read_all(&consumer, TOPIC, &[expected.len()], TIMEOUT).remove(0);
    let values = records.iter().map(|record| record.payload().unwrap());
    assert!(values.eq(expected.iter().map(Vec::as_slice)), "{} records", records.len());
}

/// The bytes of the topic's `.txnindex` files.
fn indexes(data: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let entries = fs::read_dir(data.join(format!("{TOPIC}-0"))).unwrap();
    let paths = entries.map(|entry| entry.unwrap().path());
    let paths = paths.filter(|path| path.extension().is_some_and(|end| end == "txnindex"));
    let read = |path: PathBuf| {
        let bytes = fs::read(&path).unwrap();
        (path, bytes)
    };
    paths.map(read).collect()
}

/// The next start has to look at everything.
fn forget_clean_stop(data: &Path) {
    for name in [".kafka_cleanshutdown", "recovery-point-offset-checkpoint"] {
        fs::remove_file(data.join(name)).unwrap();
    }
}

#[test]
fn we_tell_of_the_transactions_that_kafka_aborted() {
    if !needs::java("we_tell_of_the_transactions_that_kafka_aborted") {
        return;
    }
    let _one_at_a_time = reference::exclusive();
    let node = tempfile::tempdir().unwrap();
    let kafka = Reference::start(node.path(), &Options::default());
    fill(kafka.port());
    let theirs = told_everywhere(kafka.port());
    assert_consumed(kafka.port());
    let data = kafka.data().to_owned();
    kafka.stop();
    let files = indexes(&data);
    assert!(files.len() > 1, "{:?}", files.keys());

    for clean in [true, false] {
        if !clean {
            forget_clean_stop(&data);
        }
        let mut broker = Broker::start_on(&data, &[]);
        assert_eq!(told_everywhere(broker.port()), theirs, "clean: {clean}");
        assert_consumed(broker.port());
        broker.terminate();
        assert!(indexes(&data) == files, "clean: {clean}");
    }
    let options = Options { data: Some(data), ..Options::default() };
    let kafka = Reference::start(node.path(), &options);
    assert_eq!(told_everywhere(kafka.port()), theirs, "the way back");
    assert_consumed(kafka.port());
}

#[test]
fn we_tell_of_the_transactions_that_a_killed_kafka_aborted() {
    if !needs::java("we_tell_of_the_transactions_that_a_killed_kafka_aborted") {
        return;
    }
    let _one_at_a_time = reference::exclusive();
    let node = tempfile::tempdir().unwrap();
    let kafka = Reference::start(node.path(), &Options::default());
    fill(kafka.port());
    let data = kafka.data().to_owned();
    let files = indexes(&data);
    kafka.kill();
    let mut broker = Broker::start_on(&data, &[]);
    assert_consumed(broker.port());
    let ours = told_everywhere(broker.port());
    broker.terminate();
    assert!(indexes(&data) == files);
    let options = Options { data: Some(data), ..Options::default() };
    let kafka = Reference::start(node.path(), &options);
    assert_eq!(told_everywhere(kafka.port()), ours, "the way back");
}

/// A topic of ours, and transactions written to it as a coordinator would.
fn our_directory(data: &Path) {
    let mut broker = Broker::start_on(data, &[]);
    let mut client = raw_client::Connection::open(broker.port(), TIMEOUT).unwrap();
    assert_eq!(client.create_topics(&[TOPIC.to_owned()], 1, &CONFIGS).unwrap(), 0);
    let topic_id = Client::open(broker.port()).topic_id();
    broker.terminate();
    let runtime = tokio::runtime::Runtime::new().unwrap();
    runtime.block_on(write_transactions(data, topic_id));
}

async fn write_transactions(data: &Path, topic_id: Uuid) {
    let env = Env {
        clock: Arc::new(OsClock),
        random: Arc::new(Random::from_os()),
        disk: Arc::new(OsDisk),
        offload: Offload::pool(),
    };
    let engine = LocalEngine::open(&env, data, EngineSettings::default()).unwrap();
    let epoch = engine.clean_shutdown_epoch().unwrap();
    let id = LogId { topic: TOPIC.into(), topic_id, partition: 0 };
    let config = TopicConfig {
        segment_bytes: 1 << 20,
        index_interval_bytes: 2_000,
        ..TopicConfig::default()
    };
    let partition = Partition::open(&env, &*engine, id, 0, Arc::new(config)).await.unwrap();
    let append = |build: &dyn Fn(i64) -> Vec<u8>| partition.append_internal(None, build).unwrap();
    let now_ms = env.clock.now_ms();
    for round in 0..ROUNDS {
        for producer in 0..4 {
            for first in (0..RECORDS_OF_A_ROUND).step_by(5) {
                let sequence = round * RECORDS_OF_A_ROUND + first;
                append(&|base| {
                    let mut batch = BatchBuilder::new(base, 0);
                    if producer < 3 {
                        let id = 4_000 + producer as i64;
                        batch = batch.producer(id, 0, sequence as i32).transactional();
                    }
                    for number in first..first + 5 {
                        batch.push(now_ms, None, Some(&value(producer, round, number)));
                    }
                    batch.build()
                });
            }
        }
        for producer in (0..3).filter(|producer| ends(*producer, round)) {
            append(&|base| {
                let id = 4_000 + producer as i64;
                let mut marker = BatchBuilder::new(base, 0).producer(id, 0, -1);
                let key = [0, 0, 0, u8::from(commits(producer, round))];
                marker = marker.transactional().control();
                marker.push(now_ms, Some(&key), Some(&[0; 6]));
                marker.build()
            });
        }
    }
    partition.close().await.unwrap();
    engine.close(epoch).await.unwrap();
}

#[test]
fn kafka_tells_of_the_transactions_that_we_aborted() {
    if !needs::java("kafka_tells_of_the_transactions_that_we_aborted") {
        return;
    }
    let _one_at_a_time = reference::exclusive();
    let work = tempfile::tempdir().unwrap();
    let data = work.path().join("ours");
    our_directory(&data);
    let files = indexes(&data);
    assert!(files.len() > 1, "{:?}", files.keys());
    let printed = dump::aborted(&files.keys().cloned().collect::<Vec<_>>());
    assert_eq!(printed, files.values().flat_map(|bytes| entries(bytes)).collect::<Vec<_>>());

    let mut broker = Broker::start_on(&data, &[]);
    let ours = told_everywhere(broker.port());
    assert_consumed(broker.port());
    broker.terminate();
    let node = work.path().join("node");
    fs::create_dir(&node).unwrap();
    for clean in [true, false] {
        if !clean {
            forget_clean_stop(&data);
        }
        let options = Options { data: Some(data.clone()), ..Options::default() };
        let kafka = Reference::start(&node, &options);
        super::assert_no_damage(&kafka.log(), "our directory");
        assert_eq!(told_everywhere(kafka.port()), ours, "clean: {clean}");
        assert_consumed(kafka.port());
        kafka.stop();
        // Without a clean stop Kafka has made them anew.
        assert!(indexes(&data) == files, "clean: {clean}");
    }
}

/// Producer id, first, last and last stable offset of each entry.
fn entries(bytes: &[u8]) -> Vec<[i64; 4]> {
    assert_eq!(bytes.len() % 34, 0);
    let entry = |bytes: &[u8]| {
        let field = |at: usize| i64::from_be_bytes(bytes[at..at + 8].try_into().unwrap());
        [2, 10, 18, 26].map(field)
    };
    bytes.chunks(34).map(entry).collect()
}
