//! Topics, their configuration, and the cluster.

use rdkafka::admin::{
    AdminClient, AlterConfig, ConfigEntry, ConfigSource, NewPartitions, NewTopic,
    ResourceSpecifier, TopicReplication,
};
use rdkafka::client::DefaultClientContext;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::RDKafkaErrorCode;
use rdkafka::metadata::MetadataPartition;

use crate::broker::{Broker, TIMEOUT, new_name, options, until, wait};

type Admin = AdminClient<DefaultClientContext>;

const RETENTION: &str = "retention.ms";

pub(crate) fn administer(broker: &Broker) {
    let admin = broker.admin();
    // A consumer's metadata requests do not create topics.
    let consumer = broker.consumer("unused", &[]);
    let topic = broker.create_topic(3, &[(RETENTION, "123456")]);
    check_listed(&consumer, &topic);
    check_cluster(&consumer);
    check_refusals(&admin, &topic);
    check_configuration(&admin, &topic);

    let grown = NewPartitions::new(&topic, 5);
    let grown = wait(admin.create_partitions([&grown], &options())).unwrap();
    assert_eq!(grown, [Ok(topic.clone())]);
    until("the new partitions", || {
        (partitions(&consumer, &topic)? == [0, 1, 2, 3, 4]).then_some(())
    });

    let deleted = wait(admin.delete_topics(&[&topic], &options())).unwrap();
    assert_eq!(deleted, [Ok(topic.clone())]);
    until("the end of the topic", || partitions(&consumer, &topic).is_none().then_some(()));
    let again = wait(admin.delete_topics(&[&topic], &options())).unwrap();
    assert_eq!(again, [Err((topic, RDKafkaErrorCode::UnknownTopicOrPartition))]);
}

/// The topic's partitions, each of which must be led by its only replica; None when the topic is unknown.
fn partitions(consumer: &BaseConsumer, topic: &str) -> Option<Vec<i32>> {
    let metadata = consumer.fetch_metadata(Some(topic), TIMEOUT).unwrap();
    let [described] = metadata.topics() else { panic!("not one topic") };
    assert_eq!(described.name(), topic);
    if let Some(error) = described.error() {
        assert_eq!(RDKafkaErrorCode::from(error), RDKafkaErrorCode::UnknownTopicOrPartition);
        return None;
    }
    let leader = metadata.brokers()[0].id();
    for partition in described.partitions() {
        assert!(partition.error().is_none());
        assert_eq!(partition.leader(), leader);
        assert_eq!((partition.replicas(), partition.isr()), (&[leader][..], &[leader][..]));
    }
    let mut ids: Vec<i32> = described.partitions().iter().map(MetadataPartition::id).collect();
    ids.sort_unstable();
    Some(ids)
}

fn check_listed(consumer: &BaseConsumer, topic: &str) {
    let all = consumer.fetch_metadata(None, TIMEOUT).unwrap();
    assert!(all.topics().iter().any(|listed| listed.name() == topic), "{topic} is not listed");
    assert_eq!(partitions(consumer, topic).unwrap(), [0, 1, 2]);
}

fn check_cluster(consumer: &BaseConsumer) {
    let metadata = consumer.fetch_metadata(None, TIMEOUT).unwrap();
    let [broker] = metadata.brokers() else { panic!("not one broker") };
    assert!(!broker.host().is_empty() && broker.port() > 0);
    let id = consumer.client().fetch_cluster_id(TIMEOUT).unwrap();
    // 16 bytes in base64.
    assert_eq!(id.len(), 22, "{id}");
}

fn check_refusals(admin: &Admin, topic: &str) {
    let again = NewTopic::new(topic, 3, TopicReplication::Fixed(1));
    let refused = wait(admin.create_topics([&again], &options())).unwrap();
    assert_eq!(refused, [Err((topic.to_owned(), RDKafkaErrorCode::TopicAlreadyExists))]);
    let name = new_name();
    let replicated = NewTopic::new(&name, 1, TopicReplication::Fixed(3));
    let refused = wait(admin.create_topics([&replicated], &options())).unwrap();
    assert_eq!(refused, [Err((name, RDKafkaErrorCode::InvalidReplicationFactor))]);
}

fn check_configuration(admin: &Admin, topic: &str) {
    let resource = ResourceSpecifier::Topic(topic);
    assert_eq!(retention(admin, topic), set("123456"));

    let changed = AlterConfig::new(resource).set(RETENTION, "654321");
    let altered = wait(admin.alter_configs([&changed], &options())).unwrap();
    assert!(altered[0].is_ok(), "{altered:?}");
    until("the changed value", || (retention(admin, topic) == set("654321")).then_some(()));

    let altered = wait(admin.alter_configs([&AlterConfig::new(resource)], &options())).unwrap();
    assert!(altered[0].is_ok(), "{altered:?}");
    let default = ("604800000".to_owned(), ConfigSource::Default, true);
    until("the default", || (retention(admin, topic) == default).then_some(()));
}

fn set(value: &str) -> (String, ConfigSource, bool) {
    (value.to_owned(), ConfigSource::DynamicTopic, false)
}

/// Value, source, and whether it is the default.
fn retention(admin: &Admin, topic: &str) -> (String, ConfigSource, bool) {
    let resource = ResourceSpecifier::Topic(topic);
    let mut described = wait(admin.describe_configs([&resource], &options())).unwrap();
    let resource = described.remove(0).unwrap();
    let entry = resource.entries.into_iter().find(|entry| entry.name == RETENTION).unwrap();
    let ConfigEntry { value, source, is_default, is_read_only, is_sensitive, .. } = entry;
    assert!(!is_read_only && !is_sensitive);
    (value.unwrap(), source, is_default)
}
