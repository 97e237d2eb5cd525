//! Partitions change hands: given back, then given.

use super::*;

#[test]
fn a_partition_is_given_once_it_has_been_given_back() {
    let mut bench = one_member();
    bench.wait_ms(INTERVAL_MS);
    let step = bench.call(ask(joins_with("b", &["orders"])));
    let hash = bench.consumer().metadata_hash;
    let expected = answered(told("b", 3, Some(&[])))
        .writes(member_metadata("b", &["orders"]))
        .writes(epoch_record(3, hash))
        .writes(target_record("a", &[("orders", &[0, 1])]))
        .writes(target_record("b", &[("orders", &[2, 3])]))
        .writes(target_epoch(3, bench.now_ms))
        .writes(current("b", (3, 0), 2, &[], &[]));
    assert_eq!(step, expected);
    // The other is told with its next heartbeat, and stays at its epoch meanwhile.
    let step = bench.call(ask(says("a", 2)));
    let told_less = answered(told("a", 2, Some(&[("orders", &[0, 1])])));
    let halves: (&Since, &Since) = (&[(0, 2), (1, 2)], &[(2, 2), (3, 2)]);
    assert_eq!(step, told_less.writes(current("a", (2, 2), 1, halves.0, halves.1)));
    assert_eq!(bench.consumer().state().name(), "Reconciling");
    // Neither silence nor what is still owned moves anything.
    assert_eq!(bench.call(ask(says("a", 2))), answered(told("a", 2, None)));
    let owns = |partitions: &[i32]| ConsumerGroupHeartbeatRequest {
        topic_partitions: Some(owned(&[("orders", partitions)])),
        ..says("a", 2)
    };
    assert_eq!(bench.call(ask(owns(&[0, 1, 3]))), answered(told("a", 2, None)));
    assert_eq!(bench.call(ask(says("b", 3))).answer, Some(told("b", 3, None)));
    let step = bench.call(ask(owns(&[0, 1])));
    let stable = answered(told("a", 3, None));
    assert_eq!(step, stable.writes(current("a", (3, 2), 0, halves.0, &[])));
    let step = bench.call(ask(says("b", 3)));
    let gets = answered(told("b", 3, Some(&[("orders", &[2, 3])])));
    assert_eq!(step, gets.writes(current("b", (3, 3), 0, &[(2, 3), (3, 3)], &[])));
    assert_eq!(bench.consumer().state().name(), "Stable");
}

#[test]
fn targets_are_computed_an_interval_apart() {
    let mut bench = one_member();
    let step = bench.call(ask(joins_with("b", &["orders"])));
    assert_eq!(step.answer, Some(told("b", 2, Some(&[]))));
    assert_eq!(bench.consumer().state().name(), "Assigning");
    bench.wait_ms(INTERVAL_MS - 1);
    assert_eq!(bench.call(ask(says("b", 2))), answered(told("b", 2, None)));
    bench.wait_ms(1);
    // Whoever comes first brings it about, for all.
    assert_eq!(bench.heartbeat(says("b", 2)), told("b", 3, None));
    assert_eq!(bench.heartbeat(says("a", 2)), told("a", 2, Some(&[("orders", &[0, 1])])));
}

#[test]
fn what_a_member_reads_no_longer_is_taken_back_at_once() {
    let mut bench = one_member();
    let request = ConsumerGroupHeartbeatRequest {
        subscribed_topic_names: Some(vec!["payments".into()]),
        ..says("a", 2)
    };
    // Before the interval is over: no new target, but the topic is not its own any more.
    let step = bench.call(ask(request));
    assert_eq!(step.answer, Some(told("a", 2, Some(&[]))));
    let all: &Since = &[(0, 2), (1, 2), (2, 2), (3, 2)];
    assert_eq!(step.records.last(), Some(&current("a", (2, 2), 1, &[], all)));
    bench.wait_ms(INTERVAL_MS);
    let request = ConsumerGroupHeartbeatRequest { topic_partitions: Some(vec![]), ..says("a", 2) };
    assert_eq!(bench.heartbeat(request), told("a", 3, Some(&[("payments", &[0, 1])])));
}

#[test]
fn a_topic_that_grows_or_goes_is_noticed_by_the_next_heartbeat() {
    let mut bench = one_member();
    bench.wait_ms(INTERVAL_MS);
    bench.image = Arc::new(MetadataImage::of_topics(11, &[("orders", 4), ("payments", 3)]));
    assert_eq!(bench.call(ask(says("a", 2))), answered(told("a", 2, None)), "not its own");
    bench.image = Arc::new(MetadataImage::of_topics(12, &[("orders", 5)]));
    let step = bench.call(ask(says("a", 2)));
    assert_eq!(step.answer, Some(told("a", 3, Some(&[("orders", &[0, 1, 2, 3, 4])]))));
    bench.wait_ms(INTERVAL_MS);
    bench.image = Arc::new(MetadataImage::of_topics(13, &[]));
    assert_eq!(bench.heartbeat(says("a", 3)), told("a", 3, Some(&[])));
    let request = ConsumerGroupHeartbeatRequest { topic_partitions: Some(vec![]), ..says("a", 3) };
    assert_eq!(bench.heartbeat(request), told("a", 4, None));
    assert_eq!(bench.consumer().metadata_hash, 0);
    // Created again it has another id, so nothing of it is owned.
    bench.wait_ms(INTERVAL_MS);
    bench.image = Arc::new(MetadataImage::of_topics(14, &[("orders", 1)]));
    assert_eq!(bench.heartbeat(says("a", 4)), told("a", 5, Some(&[("orders", &[0])])));
}

#[test]
fn most_votes_choose_the_assignor() {
    let mut bench = bench();
    let asks = |id: &str, assignor: Option<&str>| ConsumerGroupHeartbeatRequest {
        server_assignor: assignor.map(str::to_owned),
        ..joins_with(id, &["orders", "payments"])
    };
    let name = |bench: &mut Bench| {
        let describe = Command::ConsumerDescribe(GROUP.into());
        let Some(Reply::ConsumerDescribe(group)) = bench.call(describe).answer else { panic!() };
        group.assignor_name
    };
    bench.heartbeat(asks("a", None));
    assert_eq!(name(&mut bench), "uniform");
    bench.heartbeat(asks("b", Some("range")));
    assert_eq!(name(&mut bench), "range");
    bench.heartbeat(asks("c", Some("uniform")));
    bench.heartbeat(asks("d", Some("uniform")));
    assert_eq!(name(&mut bench), "uniform");
}

#[test]
fn a_state_of_a_newer_kafka_is_left_by_beginning_anew() {
    let all: &Since = &[(0, 2), (1, 2), (2, 2), (3, 2)];
    let mut bench = one_member().found(&current("a", (2, 2), 9, all, &[]));
    let answer = bench.heartbeat(says("a", 2));
    let message = "The consumer group member is in a unknown state. The member must abandon all \
                   its partitions and rejoin.";
    assert_eq!(answer, refusal(ErrorCode::FencedMemberEpoch, message));
    let answer = bench.heartbeat(joins_with("a", &["orders"]));
    assert_eq!(answer, told("a", 2, Some(&[("orders", &[0, 1, 2, 3])])));
}

#[test]
fn records_of_kafka_4_2_have_no_epochs_of_partitions() {
    let mut value = current_value((2, 2), 0, &[(0, 1), (1, 2)], &[]);
    value.assigned_partitions[0].assignment_epochs = Some(vec![]);
    let record = consumer_record(ConsumerRecord::Current("a".into(), Some(value)));
    let bench = one_member().found(&record);
    let partitions = &bench.consumer().members["a"].assigned[&topic_id("orders")];
    assert_eq!(partitions, &[(0, 2), (1, 2)].into());
}
