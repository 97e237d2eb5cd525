//! Changing what is there: the Java admin tools, librdkafka's admin client, and what a restart leaves of it.

use std::fs;
use std::time::Duration;

use rdkafka::admin::{
    AdminClient, AdminOptions, AlterConfig, ConfigResource, NewPartitions, NewTopic,
    ResourceSpecifier, TopicReplication,
};
use rdkafka::client::DefaultClientContext;
use rdkafka::config::ClientConfig;
use rdkafka::error::RDKafkaErrorCode;
use rdkafka::producer::{BaseProducer, BaseRecord, Producer};
use rdkafka::topic_partition_list::{Offset, TopicPartitionList};

use crate::broker::{Broker, against_kafka};
use crate::protocol::{assert_resources_changed, change_resources};
use crate::wait::until;
use crate::{needs, reference};

const TIMEOUT: Duration = Duration::from_mins(1);
/// The topic that [`change_a_topic`] makes.
const CHANGED: &str = "changed";

/// librdkafka's admin client for one broker.
struct Admin {
    client: AdminClient<DefaultClientContext>,
    runtime: tokio::runtime::Runtime,
    port: u16,
}

impl Admin {
    fn new(port: u16) -> Self {
        let client = config(port).create().unwrap();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
        Self { client, runtime, port }
    }

    fn create(&self, name: &str, configs: &[(&str, &str)]) {
        let topic = NewTopic::new(name, 1, TopicReplication::Fixed(1));
        let topic = configs.iter().fold(topic, |topic, (key, value)| topic.set(key, value));
        let created = self.client.create_topics([&topic], &AdminOptions::new());
        assert_eq!(self.runtime.block_on(created).unwrap(), [Ok(name.to_owned())]);
    }

    fn create_partitions(&self, name: &str, count: usize) -> Result<(), RDKafkaErrorCode> {
        let partitions = NewPartitions::new(name, count);
        let created = self.client.create_partitions([&partitions], &AdminOptions::new());
        let mut results = self.runtime.block_on(created).unwrap();
        results.remove(0).map(drop).map_err(|(_, error)| error)
    }

    /// Replaces the topic's configuration; whether that was refused the binding does not tell.
    fn alter(&self, name: &str, configs: &[(&str, &str)]) {
        let change = AlterConfig::new(ResourceSpecifier::Topic(name));
        let change = configs.iter().fold(change, |change, (key, value)| change.set(key, value));
        let altered = self.client.alter_configs([&change], &AdminOptions::new());
        assert_eq!(self.runtime.block_on(altered).unwrap().len(), 1);
    }

    /// What the topic's configuration says of a key.
    fn value(&self, name: &str, key: &str) -> Option<String> {
        let topic = ResourceSpecifier::Topic(name);
        let described = self.client.describe_configs([&topic], &AdminOptions::new());
        let described: ConfigResource = self.runtime.block_on(described).unwrap().remove(0).ok()?;
        described.get(key)?.value.clone()
    }

    /// Deletes the records of partition 0 below `offset`.
    fn delete_records(&self, name: &str, offset: i64) {
        let mut offsets = TopicPartitionList::new();
        offsets.add_partition_offset(name, 0, Offset::Offset(offset)).unwrap();
        let deleted = self.client.delete_records(&offsets, &AdminOptions::new());
        let deleted = self.runtime.block_on(deleted).unwrap();
        let deleted = deleted.find_partition(name, 0).unwrap();
        assert_eq!((deleted.error(), deleted.offset()), (Ok(()), Offset::Offset(offset)));
    }

    /// First and last offset of partition 0.
    fn watermarks(&self, name: &str) -> (i64, i64) {
        self.client.inner().fetch_watermarks(name, 0, TIMEOUT).unwrap()
    }

    fn partitions(&self, name: &str) -> usize {
        let metadata = self.client.inner().fetch_metadata(Some(name), TIMEOUT).unwrap();
        metadata.topics()[0].partitions().len()
    }

    /// Sends so many records to each of some partitions.
    fn send(&self, name: &str, partitions: i32, records: usize) {
        let producer: BaseProducer = config(self.port).create().unwrap();
        for partition in 0..partitions {
            for _ in 0..records {
                let record =
                    BaseRecord::<(), [u8]>::to(name).partition(partition).payload(b"value");
                producer.send(record).map_err(|(error, _)| error).unwrap();
            }
        }
        producer.flush(TIMEOUT).unwrap();
    }
}

fn config(port: u16) -> ClientConfig {
    let mut config = ClientConfig::new();
    config.set("bootstrap.servers", format!("localhost:{port}"));
    config
}

/// Makes a topic of 20 records and then changes what can be changed of it.
pub(crate) fn change_a_topic(port: u16) {
    let admin = Admin::new(port);
    admin.create(CHANGED, &[("flush.ms", "1000")]);
    admin.send(CHANGED, 1, 20);
    admin.delete_records(CHANGED, 7);
    admin.create_partitions(CHANGED, 3).unwrap();
    admin.alter(CHANGED, &[("max.message.bytes", "5000")]);
}

/// The topic is as [`change_a_topic`] has left it.
pub(crate) fn assert_changed(port: u16) {
    let admin = Admin::new(port);
    assert_eq!(admin.watermarks(CHANGED), (7, 20));
    assert_eq!(admin.partitions(CHANGED), 3);
    assert_eq!(admin.value(CHANGED, "max.message.bytes").as_deref(), Some("5000"));
    assert_ne!(admin.value(CHANGED, "flush.ms").as_deref(), Some("1000"));
}

#[test]
fn librdkafka_grows_configures_and_describes_a_topic() {
    let broker = Broker::start();
    let admin = Admin::new(broker.port());
    admin.create("topic", &[("retention.ms", "1000000")]);
    assert_eq!(admin.create_partitions("topic", 4), Ok(()));
    until("partitions", TIMEOUT, || (admin.partitions("topic") == 4).then_some(()));
    admin.send("topic", 4, 5);
    assert_eq!(admin.create_partitions("topic", 4), Err(RDKafkaErrorCode::InvalidPartitions));

    assert_eq!(admin.value("topic", "retention.ms").as_deref(), Some("1000000"));
    admin.alter("topic", &[("flush.ms", "77")]);
    let value = |key, expected: &str| (admin.value("topic", key)? == expected).then_some(());
    until("the new value", TIMEOUT, || value("flush.ms", "77"));
    until("the default", TIMEOUT, || value("retention.ms", "604800000"));
    admin.alter("topic", &[("flush.ms", "soon")]);
    assert_eq!(admin.value("topic", "flush.ms").as_deref(), Some("77"));
}

#[test]
fn changes_survive_a_stop_and_a_kill() {
    let mut broker = Broker::start();
    change_a_topic(broker.port());
    change_resources(broker.port());
    broker.terminate();
    broker.restart();
    assert_changed(broker.port());
    assert_resources_changed(broker.port());

    let admin = Admin::new(broker.port());
    admin.delete_records(CHANGED, 15);
    admin.create_partitions(CHANGED, 5).unwrap();
    admin.alter(CHANGED, &[("max.message.bytes", "6000")]);
    broker.kill9();
    broker.restart();
    let admin = Admin::new(broker.port());
    // Kafka writes its checkpoint of log starts down once a minute.
    let start = if against_kafka() { 7 } else { 15 };
    assert_eq!(admin.watermarks(CHANGED), (start, 20));
    assert_eq!(admin.partitions(CHANGED), 5);
    assert_resources_changed(broker.port());
    assert_eq!(admin.value(CHANGED, "max.message.bytes").as_deref(), Some("6000"));
}

/// Runs one of Kafka's tools on the broker; what it prints.
fn tool(class: &str, broker: &Broker, arguments: &[&str]) -> String {
    let servers = broker.bootstrap_servers();
    let arguments = [&["--bootstrap-server", &servers], arguments].concat();
    let output = reference::tool(class, &arguments);
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success(), "{text}{}", String::from_utf8_lossy(&output.stderr));
    text
}

#[test]
fn java_admin_tools_change_a_topic() {
    if !needs::java("java_admin_tools_change_a_topic") {
        return;
    }
    let _one_at_a_time = reference::exclusive();
    let broker = Broker::start();
    let topics = |arguments: &[&str]| {
        let arguments = [arguments, &["--topic", "topic"]].concat();
        tool("org.apache.kafka.tools.TopicCommand", &broker, &arguments)
    };
    topics(&["--create", "--partitions", "2"]);
    topics(&["--alter", "--partitions", "5"]);
    let described = topics(&["--describe"]);
    assert!(described.contains("PartitionCount: 5"), "{described}");
    assert_eq!(described.matches("Leader: 1").count(), 5, "{described}");

    let configs = |arguments: &[&str]| {
        let topic = ["--entity-type", "topics", "--entity-name", "topic"];
        tool("kafka.admin.ConfigCommand", &broker, &[&topic[..], arguments].concat())
    };
    let added = "max.message.bytes=5000,cleanup.policy=[compact,delete]";
    configs(&["--alter", "--add-config", added]);
    let described = configs(&["--describe"]);
    for expected in ["max.message.bytes=5000 ", "cleanup.policy=compact,delete "] {
        assert!(described.contains(expected), "{described}");
    }
    configs(&["--alter", "--delete-config", "max.message.bytes"]);
    let described = configs(&["--describe"]);
    assert!(!described.contains("max.message.bytes"), "{described}");
    configs(&["--alter", "--delete-config", "cleanup.policy"]);

    Admin::new(broker.port()).send("topic", 2, 10);
    let work = tempfile::tempdir().unwrap();
    let file = work.path().join("offsets.json");
    let partition = |number, offset| serde_json::json!({ "topic": "topic", "partition": number, "offset": offset });
    let offsets = serde_json::json!({ "partitions": [partition(0, 4), partition(1, -1)] });
    fs::write(&file, offsets.to_string()).unwrap();
    let class = "org.apache.kafka.tools.DeleteRecordsCommand";
    let deleted = tool(class, &broker, &["--offset-json-file", file.to_str().unwrap()]);
    for expected in
        ["partition: topic-0\tlow_watermark: 4", "partition: topic-1\tlow_watermark: 10"]
    {
        assert!(deleted.contains(expected), "{deleted}");
    }

    let class = "org.apache.kafka.tools.LogDirsCommand";
    let described = tool(class, &broker, &["--describe", "--topic-list", "topic"]);
    let json = described.lines().find(|line| line.starts_with('{')).unwrap();
    let json: serde_json::Value = serde_json::from_str(json).unwrap();
    let directory = &json["brokers"][0]["logDirs"][0];
    let sizes = directory["partitions"].as_array().unwrap().iter();
    let mut sizes: Vec<_> = sizes
        .map(|one| (one["partition"].as_str().unwrap(), one["size"].as_u64().unwrap() > 0))
        .collect();
    sizes.sort_unstable();
    let expected = [true, true, false, false, false].into_iter().enumerate();
    let expected: Vec<_> = expected.map(|(number, has)| (format!("topic-{number}"), has)).collect();
    assert!(sizes.iter().copied().eq(expected.iter().map(|(name, has)| (&**name, *has))), "{json}");
    assert!(directory["error"].is_null(), "{json}");
}
