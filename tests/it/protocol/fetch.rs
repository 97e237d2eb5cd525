//! Fetch: what is read, how much of it, errors and waiting.

use std::time::{Duration, Instant};

use bytes::Bytes;
use ottla::wire::messages::delete_topics::{DeleteTopicState, DeleteTopicsRequest};
use ottla::wire::messages::fetch::{
    FetchPartition, FetchRequest, FetchResponse, FetchTopic, PartitionData, ReplicaState,
};
use uuid::Uuid;

use super::client::{Target, Topic};
use super::errors::{
    NOT_LEADER_OR_FOLLOWER, OFFSET_OUT_OF_RANGE, UNKNOWN_LEADER_EPOCH, UNKNOWN_TOPIC_ID,
    UNKNOWN_TOPIC_OR_PARTITION,
};
use super::produce::{append, batch, produce};

checks![
    every_version_reads_what_was_written,
    the_first_batch_is_whole_whatever_the_limits,
    later_partitions_are_cut_to_what_is_left,
    a_fetch_inside_a_batch_reads_the_whole_batch,
    aborted_transactions_are_null_unless_read_committed,
    an_unknown_isolation_level_fails_everything,
    a_replica_that_is_not_registered_is_refused,
    a_request_for_another_leader_is_told_this_one,
    a_negative_limit_is_an_error,
    a_diverging_epoch_is_no_error,
    errors_do_not_wait,
    every_partition_asked_for_is_answered,
    a_deleted_topic_is_unknown_by_its_id,
    a_wrong_leader_epoch_is_refused,
    a_fetch_waits_for_bytes_and_is_woken_by_them,
    a_fetch_of_nothing_does_not_wait,
    a_topic_of_zstd_is_read_at_every_version,
];

const LONG_WAIT_MS: i32 = 8_000;
/// Well below [`LONG_WAIT_MS`].
const PROMPT: Duration = Duration::from_secs(3);

/// Asks for partition 0 without waiting or a session, by name and by id.
pub(super) fn fetch(topic: &Topic, offset: i64) -> FetchRequest {
    fetch_topics(vec![of_topic(topic, &[(0, offset)])])
}

pub(super) fn fetch_topics(topics: Vec<FetchTopic>) -> FetchRequest {
    FetchRequest { min_bytes: 1, topics, ..Default::default() }
}

/// Partitions of a topic with the offsets to read at.
pub(super) fn of_topic(topic: &Topic, partitions: &[(i32, i64)]) -> FetchTopic {
    let partition = |&(partition, fetch_offset): &(i32, i64)| FetchPartition {
        partition,
        fetch_offset,
        partition_max_bytes: 1 << 20,
        ..Default::default()
    };
    FetchTopic {
        topic: topic.name.clone(),
        topic_id: topic.id,
        partitions: partitions.iter().map(partition).collect(),
    }
}

/// The answer for the only partition.
pub(super) fn only(response: FetchResponse) -> PartitionData {
    assert_eq!(response.error_code, 0, "{response:?}");
    let mut partitions: Vec<_> =
        response.responses.into_iter().flat_map(|topic| topic.partitions).collect();
    assert_eq!(partitions.len(), 1, "{partitions:?}");
    partitions.remove(0)
}

pub(super) fn records(data: &PartitionData) -> Bytes {
    data.records.clone().expect("records are not null").into_bytes().unwrap()
}

/// Everything in partition 0 from `offset` on, at most 1 MiB.
pub(super) fn read_all(target: &Target, topic: &Topic, offset: i64) -> Bytes {
    records(&only(target.call(&fetch(topic, offset), 12)))
}

/// The batch as it is stored: at its offset, in leader epoch 0.
fn stored(batch: &[u8], offset: i64) -> Vec<u8> {
    let mut stored = batch.to_vec();
    stored[..8].copy_from_slice(&offset.to_be_bytes());
    stored[12..16].copy_from_slice(&0_i32.to_be_bytes());
    stored
}

fn every_version_reads_what_was_written(target: &Target) {
    let topic = target.topic(1);
    let batches = [batch(2), batch(3)];
    for batch in &batches {
        append(target, &topic, batch);
    }
    let all = [stored(&batches[0], 0), stored(&batches[1], 2)].concat();
    for version in 4..=18 {
        let response = target.call(&fetch(&topic, 0), version);
        assert_eq!(response.session_id, 0, "version {version}");
        let answered = &response.responses[0];
        let (name, id) =
            if version < 13 { (topic.name.as_str(), Uuid::nil()) } else { ("", topic.id) };
        assert_eq!((answered.topic.as_str(), answered.topic_id), (name, id));
        let data = only(response);
        assert_eq!((data.partition_index, data.error_code), (0, 0), "version {version}");
        assert_eq!((data.high_watermark, data.last_stable_offset), (5, 5), "version {version}");
        assert_eq!(data.log_start_offset, if version >= 5 { 0 } else { -1 });
        assert_eq!(data.preferred_read_replica, -1, "version {version}");
        assert_eq!(records(&data), all, "version {version}");
        let end = only(target.call(&fetch(&topic, 5), version));
        assert_eq!((end.error_code, records(&end).len()), (0, 0), "version {version}");
    }
}

fn the_first_batch_is_whole_whatever_the_limits(target: &Target) {
    let topic = target.topic(1);
    let first = batch(20);
    append(target, &topic, &first);
    append(target, &topic, &batch(1));
    for version in [4, 12, 18] {
        for (max_bytes, partition_max_bytes) in [(0, 0), (0, 1 << 20), (i32::MAX, 0), (1, 1)] {
            let mut request = fetch(&topic, 0);
            request.max_bytes = max_bytes;
            request.topics[0].partitions[0].partition_max_bytes = partition_max_bytes;
            let data = only(target.call(&request, version));
            assert_eq!(records(&data), stored(&first, 0), "{max_bytes} and {partition_max_bytes}");
        }
    }
}

fn later_partitions_are_cut_to_what_is_left(target: &Target) {
    let topic = target.topic(2);
    let first = batch(5);
    append(target, &topic, &first);
    let mut request = produce(&topic, &batch(5));
    request.topic_data[0].partition_data[0].index = 1;
    target.call(&request, 9);
    let mut request = fetch_topics(vec![of_topic(&topic, &[(0, 0), (1, 0)])]);
    request.max_bytes = first.len() as i32 + 10;
    let response = target.call(&request, 12);
    let sizes: Vec<_> = response.responses[0]
        .partitions
        .iter()
        .map(|data| (data.partition_index, data.error_code, records(data).len()))
        .collect();
    // Apache Kafka gives what is left, here part of a batch.
    let rest = sizes[1].2;
    assert_eq!(sizes, [(0, 0, first.len()), (1, 0, rest)]);
    assert!(rest <= 10, "{rest} bytes of the second partition");
    request.isolation_level = 1;
    for (left, expected) in [(10, None), (0, Some(Vec::new()))] {
        request.max_bytes = first.len() as i32 + left;
        let data = &target.call(&request, 12).responses[0].partitions[1];
        assert_eq!(data.aborted_transactions, expected, "{left} bytes left");
    }
}

fn a_fetch_inside_a_batch_reads_the_whole_batch(target: &Target) {
    let topic = target.topic(1);
    let (first, second) = (batch(5), batch(5));
    append(target, &topic, &first);
    append(target, &topic, &second);
    assert_eq!(read_all(target, &topic, 3), [stored(&first, 0), stored(&second, 5)].concat());
    assert_eq!(read_all(target, &topic, 5), stored(&second, 5));
    assert_eq!(read_all(target, &topic, 9), stored(&second, 5));
}

fn aborted_transactions_are_null_unless_read_committed(target: &Target) {
    let topic = target.topic(1);
    append(target, &topic, &batch(1));
    for version in 4..=18 {
        for (isolation_level, expected) in [(0, None), (1, Some(Vec::new()))] {
            for offset in [0, 1] {
                let request = FetchRequest { isolation_level, ..fetch(&topic, offset) };
                let data = only(target.call(&request, version));
                assert_eq!(data.aborted_transactions, expected, "version {version}");
            }
        }
    }
}

fn an_unknown_isolation_level_fails_everything(target: &Target) {
    let topic = target.topic(1);
    for version in 4..=18 {
        let request = FetchRequest { isolation_level: 9, ..fetch(&topic, 0) };
        let response = target.call(&request, version);
        assert_eq!(response.error_code, if version >= 7 { -1 } else { 0 }, "version {version}");
        let partitions = response.responses.iter().flat_map(|topic| &topic.partitions);
        let errors: Vec<_> = partitions.map(|partition| partition.error_code).collect();
        let expected: &[i16] = if version < 13 { &[-1] } else { &[] };
        assert_eq!(errors, expected, "version {version}");
    }
}

fn a_replica_that_is_not_registered_is_refused(target: &Target) {
    let topic = target.topic(1);
    for version in 4..=18 {
        let mut request = fetch(&topic, 0);
        request.topics[0].partitions[0].current_leader_epoch = 0;
        request.max_wait_ms = LONG_WAIT_MS;
        request.replica_id = 5;
        if version >= 15 {
            request.replica_id = -1;
            request.replica_state = ReplicaState { replica_id: 5, replica_epoch: 1 };
        }
        let started = Instant::now();
        let data = only(target.call(&request, version));
        let error = if version < 9 { NOT_LEADER_OR_FOLLOWER } else { UNKNOWN_LEADER_EPOCH };
        assert_eq!(data.error_code, error, "version {version}");
        assert!(started.elapsed() < PROMPT, "version {version}");
    }
}

fn a_request_for_another_leader_is_told_this_one(target: &Target) {
    let topic = target.topic(1);
    for version in 12..=18 {
        let mut request = fetch(&topic, 0);
        request.replica_id = 5;
        if version >= 15 {
            request.replica_id = -1;
            request.replica_state = ReplicaState { replica_id: 5, replica_epoch: 1 };
        }
        let data = only(target.call(&request, version));
        let leader = (data.current_leader.leader_id, data.current_leader.leader_epoch);
        let told = if version >= 16 { (1, 0) } else { (-1, -1) };
        assert_eq!((data.error_code, leader), (NOT_LEADER_OR_FOLLOWER, told), "version {version}");
    }
}

fn a_negative_limit_is_an_error(target: &Target) {
    let topic = target.topic(1);
    append(target, &topic, &batch(3));
    for version in [4, 12, 18] {
        for (max_bytes, partition_max_bytes) in [(-1, 100), (100, -1)] {
            let mut request = FetchRequest { max_bytes, ..fetch(&topic, 0) };
            request.topics[0].partitions[0].partition_max_bytes = partition_max_bytes;
            let data = only(target.call(&request, version));
            assert_eq!((data.error_code, data.high_watermark), (-1, -1), "version {version}");
        }
    }
}

fn a_diverging_epoch_is_no_error(target: &Target) {
    let topic = target.topic(1);
    append(target, &topic, &batch(3));
    for version in 12..=18 {
        let mut request = fetch(&topic, 3);
        request.max_wait_ms = LONG_WAIT_MS;
        request.topics[0].partitions[0].last_fetched_epoch = 0;
        request.topics[0].partitions[0].fetch_offset = 5;
        let started = Instant::now();
        let data = only(target.call(&request, version));
        assert_eq!(data.error_code, 0, "{data:?}");
        let diverging = (data.diverging_epoch.epoch, data.diverging_epoch.end_offset);
        assert_eq!(diverging, (0, 3), "version {version}");
        assert_eq!(records(&data).len(), 0);
        assert!(started.elapsed() < PROMPT, "it does not wait");
        request.max_wait_ms = 0;
        request.topics[0].partitions[0].fetch_offset = 2;
        let data = only(target.call(&request, version));
        let diverging = (data.diverging_epoch.epoch, data.diverging_epoch.end_offset);
        assert_eq!((data.error_code, diverging), (0, (-1, -1)), "version {version}");
    }
}

fn errors_do_not_wait(target: &Target) {
    let topic = target.topic(1);
    append(target, &topic, &batch(1));
    let unknown = Topic { name: target.name(), id: Uuid::from_u128(0x1234_5678) };
    for version in [4, 12, 13, 18] {
        let by_id = version >= 13;
        let unknown_topic = if by_id { UNKNOWN_TOPIC_ID } else { UNKNOWN_TOPIC_OR_PARTITION };
        for (asked, error) in [
            (of_topic(&topic, &[(0, 2)]), OFFSET_OUT_OF_RANGE),
            (of_topic(&topic, &[(0, -1)]), OFFSET_OUT_OF_RANGE),
            (of_topic(&topic, &[(1, 0)]), UNKNOWN_TOPIC_OR_PARTITION),
            (of_topic(&unknown, &[(0, 0)]), unknown_topic),
        ] {
            let request =
                FetchRequest { max_wait_ms: LONG_WAIT_MS, ..fetch_topics(vec![asked.clone()]) };
            let started = Instant::now();
            let data = only(target.call(&request, version));
            assert_eq!(data.error_code, error, "{asked:?} in version {version}");
            assert_eq!((data.high_watermark, data.last_stable_offset), (-1, -1));
            assert!(started.elapsed() < PROMPT, "{asked:?} in version {version}");
        }
    }
}

fn every_partition_asked_for_is_answered(target: &Target) {
    let (first, second) = (target.topic(3), target.topic(1));
    append(target, &first, &batch(1));
    let unknown = Topic { name: target.name(), id: Uuid::from_u128(0x1234_5678) };
    for version in 4..=18 {
        let request = fetch_topics(vec![
            of_topic(&first, &[(0, 0), (1, 0), (2, 0), (9, 0)]),
            of_topic(&second, &[(0, 0)]),
            of_topic(&unknown, &[(0, 0), (1, 0)]),
        ]);
        let response = target.call(&request, version);
        let mut answered: Vec<_> = response
            .responses
            .iter()
            .flat_map(|topic| {
                let names = [&first, &second, &unknown].into_iter();
                let place = names
                    .into_iter()
                    .position(|one| topic.topic == one.name || topic.topic_id == one.id);
                topic
                    .partitions
                    .iter()
                    .map(move |data| (place, data.partition_index, data.error_code))
            })
            .collect();
        answered.sort_unstable();
        let missing = if version >= 13 { UNKNOWN_TOPIC_ID } else { UNKNOWN_TOPIC_OR_PARTITION };
        let expected = [
            (Some(0), 0, 0),
            (Some(0), 1, 0),
            (Some(0), 2, 0),
            (Some(0), 9, UNKNOWN_TOPIC_OR_PARTITION),
            (Some(1), 0, 0),
            (Some(2), 0, missing),
            (Some(2), 1, missing),
        ];
        assert_eq!(answered, expected, "version {version}");
    }
}

fn a_deleted_topic_is_unknown_by_its_id(target: &Target) {
    let topic = target.topic(1);
    append(target, &topic, &batch(1));
    let state = DeleteTopicState { name: None, topic_id: topic.id };
    let request =
        DeleteTopicsRequest { topics: vec![state], timeout_ms: 60_000, ..Default::default() };
    assert_eq!(target.call(&request, 6).responses[0].error_code, 0);
    let recreated = target.create(&super::client::creatable(&topic.name, 1, &[]), 7);
    let recreated = Topic { id: recreated.topic_id, ..topic.clone() };
    target.wait_until_served(&recreated, 0);
    for version in 13..=18 {
        let data = only(target.call(&fetch(&topic, 0), version));
        assert_eq!(data.error_code, UNKNOWN_TOPIC_ID, "version {version}");
        let data = only(target.call(&fetch(&recreated, 0), version));
        assert_eq!((data.error_code, data.high_watermark), (0, 0), "version {version}");
    }
}

fn a_wrong_leader_epoch_is_refused(target: &Target) {
    let topic = target.topic(1);
    for version in 9..=18 {
        for (epoch, error) in [(0, 0), (1, UNKNOWN_LEADER_EPOCH), (-1, 0)] {
            let mut request = fetch(&topic, 0);
            request.topics[0].partitions[0].current_leader_epoch = epoch;
            let data = only(target.call(&request, version));
            assert_eq!(data.error_code, error, "epoch {epoch} in version {version}");
        }
    }
}

fn a_fetch_waits_for_bytes_and_is_woken_by_them(target: &Target) {
    let topic = target.topic(2);
    for version in [4, 12, 18] {
        let end = target.end_offset(&topic, 0).offset;
        let small = batch(1);
        let asked = of_topic(&topic, &[(0, end), (1, 0)]);
        let request = FetchRequest {
            max_wait_ms: LONG_WAIT_MS,
            min_bytes: small.len() as i32 + 1,
            ..fetch_topics(vec![asked])
        };
        let mut waiting = target.client();
        waiting.send(&request, version);
        append(target, &topic, &small);
        assert!(waiting.is_silent(), "less than min_bytes");
        let appended = Instant::now();
        append(target, &topic, &small);
        let (_, response) = waiting.receive::<FetchRequest>(version);
        assert!(appended.elapsed() < PROMPT, "version {version}");
        let answered = response.responses[0].partitions.iter();
        let sizes: Vec<_> = answered.map(|data| records(data).len()).collect();
        assert_eq!(sizes, [2 * small.len(), 0], "version {version}");
    }
}

fn a_fetch_of_nothing_does_not_wait(target: &Target) {
    let started = Instant::now();
    let request = FetchRequest { max_wait_ms: LONG_WAIT_MS, ..fetch_topics(Vec::new()) };
    assert!(target.call(&request, 12).responses.is_empty());
    let topic = target.topic(1);
    let request = FetchRequest { max_wait_ms: LONG_WAIT_MS, min_bytes: 0, ..fetch(&topic, 0) };
    assert_eq!(records(&only(target.call(&request, 12))).len(), 0);
    assert!(started.elapsed() < PROMPT);
}

fn a_topic_of_zstd_is_read_at_every_version(target: &Target) {
    let topic = target.topic_with(1, &[("compression.type", "zstd")]);
    append(target, &topic, &batch(1));
    for version in 4..=18 {
        let data = only(target.call(&fetch(&topic, 0), version));
        assert_eq!(data.error_code, 0, "version {version}");
        assert!(!records(&data).is_empty(), "version {version}");
    }
}
