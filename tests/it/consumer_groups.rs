//! Unmodified clients in groups of the consumer protocol (KIP-848), across a kill of the broker.

use std::collections::BTreeMap;
use std::time::Duration;

use rdkafka::config::ClientConfig;
use rdkafka::consumer::{BaseConsumer, CommitMode, Consumer};
use rdkafka::message::Message;

use crate::broker::Broker;
use crate::group_clients::{consumer_config, create_topic, send};
use crate::rdkafka_records::is_lost_connection;
use crate::wait::until;

const TIMEOUT: Duration = Duration::from_mins(1);
const TOPIC: &str = "shared";
const PARTITIONS: i32 = 4;

/// A consumer of the new protocol, and the partitions it has.
fn join(config: &ClientConfig) -> BaseConsumer {
    let consumer: BaseConsumer = config.create().unwrap();
    consumer.subscribe(&[TOPIC]).unwrap();
    consumer
}

fn new_protocol(port: u16, group: &str) -> ClientConfig {
    let mut config = consumer_config(port, group);
    config.set("group.protocol", "consumer");
    config
}

/// Offsets that were read, with the times each was.
type Seen = BTreeMap<(i32, i64), usize>;

fn poll(consumers: &[&BaseConsumer], seen: &mut Seen) {
    for consumer in consumers {
        match consumer.poll(Duration::from_millis(10)) {
            None => {}
            Some(Ok(record)) => {
                *seen.entry((record.partition(), record.offset())).or_default() += 1;
            }
            Some(Err(error)) => assert!(is_lost_connection(&error), "{error}"),
        }
    }
}

/// Reads until so many records were seen and each consumer has as many partitions as it should.
fn read(consumers: &[(&BaseConsumer, usize)], count: usize, seen: &mut Seen) {
    let all: Vec<&BaseConsumer> = consumers.iter().map(|(consumer, _)| *consumer).collect();
    until(&format!("{count} records, and {PARTITIONS} partitions shared"), TIMEOUT, || {
        poll(&all, seen);
        let has = |(consumer, share): &(&BaseConsumer, usize)| {
            consumer.assignment().is_ok_and(|assigned| assigned.count() == *share)
        };
        (seen.len() == count && consumers.iter().all(has)).then_some(())
    });
}

fn commit(consumers: &[&BaseConsumer]) {
    for consumer in consumers {
        consumer.commit_consumer_state(CommitMode::Sync).unwrap();
    }
}

#[test]
fn members_of_the_new_protocol_go_on_after_a_kill() {
    let mut broker = Broker::start();
    create_topic(broker.port(), TOPIC, PARTITIONS);
    send(broker.port(), TOPIC, PARTITIONS, 0..100);
    let config = new_protocol(broker.port(), "survivors");
    let mut seen = Seen::new();
    let one = join(&config);
    read(&[(&one, 4)], 100, &mut seen);
    commit(&[&one]);
    let two = join(&config);
    read(&[(&one, 2), (&two, 2)], 100, &mut seen);
    send(broker.port(), TOPIC, PARTITIONS, 100..200);
    read(&[(&one, 2), (&two, 2)], 200, &mut seen);
    commit(&[&one, &two]);
    broker.kill9();
    broker.restart();
    send(broker.port(), TOPIC, PARTITIONS, 200..300);
    read(&[(&one, 2), (&two, 2)], 300, &mut seen);
    commit(&[&one, &two]);
    drop(two);
    read(&[(&one, 4)], 300, &mut seen);
    assert!(seen.values().all(|times| *times == 1), "read twice: {seen:?}");
}

#[test]
fn old_and_new_members_share_a_group() {
    let broker = Broker::start();
    create_topic(broker.port(), TOPIC, PARTITIONS);
    send(broker.port(), TOPIC, PARTITIONS, 0..100);
    let mut seen = Seen::new();
    // The group is a classic one, then a consumer group, then a classic one again.
    let mut old = consumer_config(broker.port(), "mixed");
    old.set("partition.assignment.strategy", "cooperative-sticky");
    old.set("session.timeout.ms", "6000").set("heartbeat.interval.ms", "200");
    let classic = join(&old);
    read(&[(&classic, 4)], 100, &mut seen);
    commit(&[&classic]);
    let consumer = join(&new_protocol(broker.port(), "mixed"));
    read(&[(&classic, 2), (&consumer, 2)], 100, &mut seen);
    send(broker.port(), TOPIC, PARTITIONS, 100..200);
    read(&[(&classic, 2), (&consumer, 2)], 200, &mut seen);
    commit(&[&classic, &consumer]);
    drop(consumer);
    read(&[(&classic, 4)], 200, &mut seen);
    assert!(seen.values().all(|times| *times == 1), "read twice: {seen:?}");
}
