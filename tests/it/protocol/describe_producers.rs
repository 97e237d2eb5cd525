//! `DescribeProducers`.

use ottla::wire::messages::describe_producers::{
    DescribeProducersRequest, PartitionResponse, ProducerState, TopicRequest, TopicResponse,
};

use super::client::{Target, Topic};
use super::delete_records::delete_before;
use super::errors::{INVALID_REQUEST, INVALID_TOPIC, UNKNOWN_TOPIC_OR_PARTITION};
use super::produce::{append, batch, batch_of, now_ms};
use crate::broker::against_kafka;

checks![
    producers_are_told_with_their_last_batch,
    producers_without_an_id_are_not_told,
    a_partition_is_answered_as_often_as_it_is_asked_for,
    an_answer_does_not_grow_by_repetition,
    what_is_not_there_has_no_producers,
    producers_stay_when_their_records_go,
];

fn ask(target: &Target, topics: &[(&str, &[i32])]) -> Vec<TopicResponse> {
    let topic = |(name, partitions): &(&str, &[i32])| TopicRequest {
        name: (*name).into(),
        partition_indexes: partitions.to_vec(),
    };
    let request = DescribeProducersRequest { topics: topics.iter().map(topic).collect() };
    target.call(&request, 0).topics
}

/// The producers of partition 0, by their ids.
fn producers(target: &Target, topic: &Topic) -> Vec<ProducerState> {
    let mut topics = ask(target, &[(&topic.name, &[0])]);
    let mut answered = topics.remove(0).partitions.remove(0);
    assert_eq!((answered.error_code, &answered.error_message), (0, &None));
    answered.active_producers.sort_by_key(|producer| producer.producer_id);
    answered.active_producers
}

/// Appends records of an idempotent producer.
fn send(target: &Target, topic: &Topic, id: i64, epoch: i16, sequence: i32, time_ms: i64) {
    let mut batch = batch_of(3);
    (batch.producer_id, batch.producer_epoch, batch.base_sequence) = (id, epoch, sequence);
    batch.timestamp_ms = time_ms;
    append(target, topic, &batch.encode());
}

fn state(producer_id: i64, producer_epoch: i32, last_sequence: i32, time_ms: i64) -> ProducerState {
    ProducerState {
        producer_id,
        producer_epoch,
        last_sequence,
        last_timestamp: time_ms,
        coordinator_epoch: -1,
        current_txn_start_offset: -1,
    }
}

fn producers_are_told_with_their_last_batch(target: &Target) {
    let topic = target.topic(1);
    let now_ms = now_ms();
    send(target, &topic, 2_000_001, 0, 0, now_ms);
    assert_eq!(producers(target, &topic), [state(2_000_001, 0, 2, now_ms)]);
    send(target, &topic, 2_000_001, 0, 3, now_ms + 5);
    send(target, &topic, 2_000_000, 7, 40, now_ms);
    let expected = [state(2_000_000, 7, 42, now_ms), state(2_000_001, 0, 5, now_ms + 5)];
    assert_eq!(producers(target, &topic), expected);
    send(target, &topic, 2_000_001, 1, 0, now_ms);
    let expected = [state(2_000_000, 7, 42, now_ms), state(2_000_001, 1, 2, now_ms)];
    assert_eq!(producers(target, &topic), expected);
}

fn producers_without_an_id_are_not_told(target: &Target) {
    let topic = target.topic(1);
    assert_eq!(producers(target, &topic), []);
    append(target, &topic, &batch(2));
    assert_eq!(producers(target, &topic), []);
}

fn a_partition_is_answered_as_often_as_it_is_asked_for(target: &Target) {
    let name = target.topic(2).name;
    let topics = ask(target, &[(&name, &[1, 0, 1]), (&name, &[]), (&name, &[0])]);
    let indexes: Vec<Vec<i32>> = topics
        .iter()
        .map(|topic| topic.partitions.iter().map(|one| one.partition_index).collect())
        .collect();
    assert_eq!(indexes, [vec![1, 0, 1], vec![], vec![0]]);
    assert_eq!(ask(target, &[]), []);
}

fn an_answer_does_not_grow_by_repetition(target: &Target) {
    let topic = target.topic(1);
    send(target, &topic, 2_000_000, 0, 0, now_ms());
    let partitions = ask(target, &[(&topic.name, &vec![0; 100_001])]).remove(0).partitions;
    assert_eq!(partitions.len(), 100_001);
    assert!(partitions[..100_000].iter().all(|one| one.active_producers.len() == 1));
    // Kafka's does.
    let expected = if against_kafka() { 0 } else { INVALID_REQUEST };
    assert_eq!(partitions[100_000].error_code, expected);
}

fn what_is_not_there_has_no_producers(target: &Target) {
    let (name, unknown) = (target.topic(1).name, target.name());
    let invalid = "Topic name is invalid: 'a b' contains one or more characters other than ASCII \
                   alphanumerics, '.', '_' and '-'";
    let empty = "Topic name is invalid: the empty string is not allowed";
    let not_here = "This server does not host this topic-partition.";
    for (topic, partition, error_code, message) in [
        (name.as_str(), 1, UNKNOWN_TOPIC_OR_PARTITION, None),
        (&name, -1, UNKNOWN_TOPIC_OR_PARTITION, None),
        (&unknown, 0, UNKNOWN_TOPIC_OR_PARTITION, Some(not_here)),
        ("__cluster_metadata", 0, UNKNOWN_TOPIC_OR_PARTITION, Some(not_here)),
        ("a b", 0, INVALID_TOPIC, Some(invalid)),
        ("", 0, INVALID_TOPIC, Some(empty)),
    ] {
        let expected = PartitionResponse {
            partition_index: partition,
            error_code,
            error_message: message.map(str::to_owned),
            active_producers: Vec::new(),
        };
        let topics = ask(target, &[(topic, &[partition])]);
        assert_eq!((topics.len(), topics[0].name.as_str()), (1, topic));
        assert_eq!(topics[0].partitions, [expected], "{topic}");
    }
}

fn producers_stay_when_their_records_go(target: &Target) {
    let topic = target.topic(1);
    let now_ms = now_ms();
    send(target, &topic, 2_000_000, 0, 0, now_ms);
    delete_before(target, &topic, 3);
    assert_eq!(producers(target, &topic), [state(2_000_000, 0, 2, now_ms)]);
}
