//! The broker as a library: several in one process, on disk and in memory.

use std::sync::Arc;
use std::time::Duration;

use ottla::Broker;
use ottla::env::{Env, Fault, Offload, OsClock, Random, SimDisk};
use ottla::log::MemoryEngine;
use rdkafka::ClientConfig;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::producer::{FutureProducer, FutureRecord};
use rdkafka::{Message, Offset, TopicPartitionList};

use crate::raw_client::{Body, Connection};

const PATIENCE: Duration = Duration::from_secs(20);

async fn produce(broker: &Broker, value: &str) -> i64 {
    let mut config = ClientConfig::new();
    config.set("bootstrap.servers", broker.bootstrap_servers()).set("enable.idempotence", "true");
    let producer: FutureProducer = config.create().unwrap();
    let record = FutureRecord::<str, str>::to("embedded").payload(value);
    producer.send(record, PATIENCE).await.unwrap().offset
}

/// The value of the first record.
fn first(broker: &Broker) -> String {
    let mut config = ClientConfig::new();
    config.set("bootstrap.servers", broker.bootstrap_servers()).set("group.id", "none");
    // Without groups a commit at the end would wait for a coordinator.
    config.set("enable.auto.commit", "false");
    let consumer: BaseConsumer = config.create().unwrap();
    let mut assignment = TopicPartitionList::new();
    assignment.add_partition_offset("embedded", 0, Offset::Beginning).unwrap();
    consumer.assign(&assignment).unwrap();
    let record = consumer.poll(PATIENCE).expect("a record in time").unwrap();
    String::from_utf8(record.payload().unwrap().to_vec()).unwrap()
}

async fn on_disk(directory: &std::path::Path) -> Broker {
    let builder = Broker::builder().set("listeners", "PLAINTEXT://localhost:0").unwrap();
    builder.data_dir(directory).start().await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn several_brokers_live_in_one_process() {
    let (one, two) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let (first_broker, second_broker) = (on_disk(one.path()).await, on_disk(two.path()).await);
    assert_ne!(first_broker.bootstrap_servers(), second_broker.bootstrap_servers());
    assert_ne!(first_broker.cluster_id(), second_broker.cluster_id());
    assert_eq!(produce(&first_broker, "to the first").await, 0);
    assert_eq!(produce(&second_broker, "to the second").await, 0);
    assert_eq!(first(&first_broker), "to the first");
    assert_eq!(first(&second_broker), "to the second");
    first_broker.shutdown().await.unwrap();
    assert_eq!(first(&second_broker), "to the second");

    let again = on_disk(one.path()).await;
    assert_eq!(first(&again), "to the first");
    again.shutdown().await.unwrap();
    second_broker.shutdown().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_directory_serves_one_broker_at_a_time() {
    let directory = tempfile::tempdir().unwrap();
    let broker = on_disk(directory.path()).await;
    let builder = Broker::builder().set("listeners", "PLAINTEXT://localhost:0").unwrap();
    let refused = builder.data_dir(directory.path()).start().await.err().unwrap().to_string();
    assert!(refused.contains("in use by another broker"), "{refused}");
    broker.shutdown().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_broker_in_memory_finds_its_records_again() {
    let engine = Arc::new(MemoryEngine::default());
    for round in 0..2 {
        let builder = Broker::builder().set("listeners", "PLAINTEXT://localhost:0").unwrap();
        let broker = builder.in_memory(engine.clone()).start().await.unwrap();
        assert_eq!(produce(&broker, "kept").await, round);
        assert_eq!(first(&broker), "kept");
        broker.shutdown().await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_failed_sync_takes_the_broker_offline() {
    let disk = SimDisk::new(1);
    let env = Env {
        clock: Arc::new(OsClock),
        random: Arc::new(Random::seeded(1)),
        disk: Arc::new(disk.clone()),
        offload: Offload::inline(),
    };
    let builder = Broker::builder().set("listeners", "PLAINTEXT://localhost:0").unwrap();
    let broker = builder.data_dir("/data").env(env).start().await.unwrap();
    assert_eq!(produce(&broker, "safe").await, 0);
    disk.set_failing_syncs(true);
    let mut config = ClientConfig::new();
    // librdkafka tries again for as long as this.
    config.set("bootstrap.servers", broker.bootstrap_servers()).set("message.timeout.ms", "1000");
    let producer: FutureProducer = config.create().unwrap();
    let record = || FutureRecord::<str, str>::to("embedded").payload("not synced");
    // Acknowledged or not: the flush that fails may come before it.
    let _ = producer.send(record(), PATIENCE).await;
    tokio::time::timeout(PATIENCE, broker.offline()).await.expect("the failure is noticed");
    let refused = producer.send(record(), PATIENCE).await;
    assert!(refused.is_err(), "nothing is acknowledged any more");
}

/// The error of creating (key 19) or growing (37) a topic to `partitions`, and, if there is none, of asking for the end of
/// the last one.
fn change_and_ask(port: u16, key: i16, partitions: i32) -> (i16, i16) {
    let mut connection = Connection::open(port, PATIENCE).unwrap();
    let topic = Body::default().i32(1).string("topic").i32(partitions);
    let (version, body) = match key {
        19 => (2, topic.i16(1).i32(0).i32(0).i32(10_000).i8(0)),
        _ => (0, topic.i32(-1).i32(10_000).i8(0)),
    };
    let mut answer = connection.call(key, version, false, &body).unwrap();
    let (_throttle_ms, _topics, _name) =
        (answer.i32().unwrap(), answer.i32().unwrap(), answer.string().unwrap());
    let changed = answer.i16().unwrap();
    if changed != 0 {
        return (changed, 0);
    }
    let body = Body::default().i32(-1).i32(1).string("topic").i32(1).i32(partitions - 1).i64(-1);
    let mut answer = connection.call(2, 1, false, &body).unwrap();
    let (_topics, _name) = (answer.i32().unwrap(), answer.string().unwrap());
    let (_partitions, _index) = (answer.i32().unwrap(), answer.i32().unwrap());
    (changed, answer.i16().unwrap())
}

/// Has the disk refuse one operation after another while a topic is made, or one that is there grows.
async fn assert_no_promise_without_a_log(key: i16) {
    let mut refusals = 0;
    for operation in 0..24 {
        let disk = SimDisk::new(operation);
        let env = Env {
            clock: Arc::new(OsClock),
            random: Arc::new(Random::seeded(operation)),
            disk: Arc::new(disk.clone()),
            offload: Offload::inline(),
        };
        let builder = Broker::builder().set("listeners", "PLAINTEXT://127.0.0.1:0").unwrap();
        let broker = builder.data_dir("/data").env(env).start().await.unwrap();
        let servers = broker.bootstrap_servers();
        let port = servers.rsplit_once(':').unwrap().1.parse().unwrap();
        let change = move || {
            if key != 19 {
                assert_eq!(change_and_ask(port, 19, 1), (0, 0));
            }
            disk.fault_at(disk.operations() + operation, Fault::NoSpace);
            change_and_ask(port, key, 3)
        };
        let (changed, asked) = tokio::task::spawn_blocking(change).await.unwrap();
        assert_eq!(asked, 0, "operation {operation} failed and the topic does not serve");
        refusals += i32::from(changed != 0);
    }
    assert!(refusals > 3, "only {refusals} of the faults were met");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_topic_that_the_disk_refuses_is_not_said_to_be_created() {
    assert_no_promise_without_a_log(19).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_partition_that_the_disk_refuses_is_not_said_to_be_created() {
    assert_no_promise_without_a_log(37).await;
}
