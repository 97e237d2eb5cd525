//! Whole requests, from the bytes that a connection has received to those that it sends.

use std::net::SocketAddr;

use bytes::Bytes;
use divan::Bencher;
use divan::counter::BytesCount;
use ottla::Broker;
use ottla::api::{EncodedReply, Session, dispatch};
use ottla::log::MemoryEngine;
use ottla::wire::Segments;
use ottla::wire::messages::create_topics::CreateTopicsRequest;
use ottla::wire::messages::fetch::{FetchPartition, FetchRequest, FetchTopic};
use ottla::wire::messages::metadata::MetadataRequest;
use tempfile::TempDir;
use tokio::runtime::Runtime;

use crate::requests::{Request, creatable, framed_as};
use crate::{RECORDS, TOPIC, produce_frame, runtime, unprefixed};

/// The last version that names topics.
const FETCH_VERSION: i16 = 12;
const METADATA_VERSION: i16 = 12;
const CREATE_TOPICS_VERSION: i16 = 7;
/// `max.partition.fetch.bytes` of Kafka's consumer.
const FETCH_BYTES: i32 = 1 << 20;
/// Batches there are to fetch.
const FETCHED_BATCHES: usize = 64;
const TOPICS: usize = 1_000;

/// What a test pays that has a broker of its own.
#[divan::bench]
fn broker_started_and_stopped(bencher: Bencher) {
    let runtime = runtime();
    bencher.bench_local(|| {
        runtime.block_on(async {
            let broker = Broker::for_test().start().await.unwrap();
            broker.shutdown().await.unwrap();
        });
    });
}

#[derive(Clone, Copy, Debug)]
enum Logs {
    Local,
    Memory,
}

/// A broker whose connections are left out.
struct Served {
    runtime: Runtime,
    broker: Broker,
    session: Session,
    _directory: TempDir,
}

impl Served {
    fn new(logs: Logs) -> Self {
        let (runtime, directory) = (runtime(), tempfile::tempdir().unwrap());
        let builder = Broker::builder().set("listeners", "PLAINTEXT://127.0.0.1:0").unwrap();
        let builder = match logs {
            Logs::Local => builder.data_dir(directory.path()),
            Logs::Memory => builder.in_memory(MemoryEngine::default().into()),
        };
        let broker = runtime.block_on(builder.start()).unwrap();
        let address = SocketAddr::from(([127, 0, 0, 1], 9092));
        let session = Session::new("PLAINTEXT".into(), address, address);
        let served = Self { runtime, broker, session, _directory: directory };
        served.create(&[TOPIC.to_owned()]);
        served
    }

    fn create(&self, names: &[String]) {
        let topics = names.iter().map(|name| creatable(name, 1, &[])).collect();
        let request = CreateTopicsRequest { topics, ..Default::default() };
        assert!(!self.ask(framed(&request, CREATE_TOPICS_VERSION)).is_empty());
    }

    /// Serves a request and waits for its answer.
    fn ask(&self, frame: Bytes) -> Segments {
        self.runtime.block_on(async {
            match dispatch(&self.broker.shared, &self.session, frame).await.unwrap() {
                EncodedReply::Ready(segments) => segments,
                EncodedReply::Pending(pending) => pending.await,
                EncodedReply::Silent | EncodedReply::Close => panic!("no answer"),
            }
        })
    }
}

fn framed<R: Request>(request: &R, version: i16) -> Bytes {
    unprefixed(&framed_as(request, version, 1, "micro"))
}

#[divan::bench(args = [Logs::Local, Logs::Memory], consts = RECORDS)]
fn produce<const RECORDS: usize>(bencher: Bencher, logs: Logs) {
    let (served, frame) = (Served::new(logs), produce_frame(RECORDS));
    let counted = bencher.counter(BytesCount::new(frame.len()));
    counted.bench_local(|| served.ask(frame.clone()));
}

/// What it leads to is sent from the file or from memory, uncopied.
#[divan::bench(args = [Logs::Local, Logs::Memory])]
fn fetch_1_mib(bencher: Bencher, logs: Logs) {
    let (served, produced) = (Served::new(logs), produce_frame(RECORDS[0]));
    for _ in 0..FETCHED_BATCHES {
        served.ask(produced.clone());
    }
    let frame = framed(&fetch(RECORDS[0] as i64), FETCH_VERSION);
    let counted = bencher.counter(BytesCount::new(FETCH_BYTES as usize));
    counted.bench_local(|| {
        let answer = served.ask(frame.clone());
        assert!(answer.len() > FETCH_BYTES as usize / 2);
        answer
    });
}

fn fetch(fetch_offset: i64) -> FetchRequest {
    let partition =
        FetchPartition { fetch_offset, partition_max_bytes: FETCH_BYTES, ..Default::default() };
    let topic =
        FetchTopic { topic: TOPIC.into(), partitions: vec![partition], ..Default::default() };
    FetchRequest { max_wait_ms: 500, min_bytes: 1, topics: vec![topic], ..Default::default() }
}

#[divan::bench]
fn metadata_of_1000_topics(bencher: Bencher) {
    let served = Served::new(Logs::Memory);
    let names: Vec<String> = (0..TOPICS).map(|number| format!("topic-{number}")).collect();
    served.create(&names);
    let request = MetadataRequest { topics: None, ..Default::default() };
    let frame = framed(&request, METADATA_VERSION);
    bencher.bench_local(|| served.ask(frame.clone()));
}
