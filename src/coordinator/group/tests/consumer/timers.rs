//! Time is up: sessions, partitions that are not given back, a restart.

use super::*;

#[test]
fn a_member_that_is_not_heard_of_is_given_up() {
    let mut bench = settled();
    bench.wait_ms(CONSUMER_SESSION_MS - 1);
    assert_eq!(bench.heartbeat(says("a", 3)), told("a", 3, None));
    let step = bench.wait_ms(1);
    assert_eq!(step.records[..3], gone_records("b"));
    assert_eq!(bench.consumer().epoch, 4);
    assert_eq!(bench.heartbeat(says("a", 3)), told("a", 4, Some(&[("orders", &[0, 1, 2, 3])])));
}

#[test]
fn partitions_must_be_given_back_in_time() {
    let mut bench = two_members();
    bench.heartbeat(says("a", 2));
    bench.wait_ms(REVOCATION_MS - 1);
    for (id, epoch) in [("a", 2), ("b", 3)] {
        bench.heartbeat(says(id, epoch));
    }
    let step = bench.wait_ms(1);
    assert_eq!(step.records[..3], gone_records("a"), "although it is heard of");
    assert_eq!(bench.heartbeat(says("b", 3)), told("b", 4, Some(&[("orders", &[0, 1, 2, 3])])));
}

#[test]
fn partitions_given_back_end_the_wait() {
    let mut bench = settled();
    bench.wait_ms(REVOCATION_MS);
    for id in ["a", "b"] {
        assert_eq!(bench.heartbeat(says(id, 3)), told(id, 3, None));
    }
    let step = bench.wait_ms(CONSUMER_SESSION_MS - 1);
    assert_eq!(step.records, []);
}

#[test]
fn members_go_on_after_a_restart_and_their_sessions_begin_anew() {
    let mut bench = two_members();
    bench.heartbeat(says("a", 2));
    bench.wait_ms(REVOCATION_MS - 1);
    bench.restart();
    assert_eq!(bench.machine.next_deadline(), Some(bench.now_ms + REVOCATION_MS));
    let step = bench.wait_ms(REVOCATION_MS - 1);
    assert_eq!(step.records, []);
    let request = ConsumerGroupHeartbeatRequest {
        topic_partitions: Some(owned(&[("orders", &[0, 1])])),
        ..says("a", 2)
    };
    assert_eq!(bench.heartbeat(request), told("a", 3, None));
    assert_eq!(bench.heartbeat(says("b", 3)), told("b", 3, Some(&[("orders", &[2, 3])])));
}

#[test]
fn a_deleted_group_leaves_nothing() {
    let mut bench = bench();
    bench.heartbeat(joins_with("a", &["orders"]));
    bench.call(commits("a", 2, 7));
    let deleted = |error| Reply::Delete(vec![(GROUP.to_owned(), error)]);
    let delete = || Command::Delete(vec![GROUP.into()]);
    let step = bench.call(delete());
    assert_eq!(step.answer, Some(deleted(ErrorCode::NonEmptyGroup)));
    bench.heartbeat(says("a", -1));
    let step = bench.call(delete());
    let expected = Step { answer: Some(deleted(ErrorCode::None)), ..Step::default() };
    let expected = expected
        .writes(Record::Offset(key(0), None))
        .writes(consumer_record(ConsumerRecord::TargetEpoch(None)))
        .writes(consumer_record(ConsumerRecord::Topics(None)))
        .writes(consumer_record(ConsumerRecord::Epoch(None)));
    assert_eq!(step, expected);
    assert!(bench.machine.groups.is_empty());
    assert_eq!(bench.call(delete()).answer, Some(deleted(ErrorCode::GroupIdNotFound)));
}

#[test]
fn a_group_without_members_and_offsets_ends() {
    let mut settings = settings();
    settings.offsets_retention_ms = 10_000;
    settings.offsets_retention_check_interval_ms = 60_000;
    let mut bench = bench_with(settings);
    bench.heartbeat(joins_with("a", &["orders"]));
    bench.call(commits("a", 2, 7));
    bench.wait_ms(30_000);
    bench.heartbeat(says("a", 2));
    let step = bench.wait_ms(30_000);
    assert_eq!(step.records, [], "it is read");
    bench.heartbeat(says("a", -1));
    let step = bench.wait_ms(60_000);
    let expected = [
        Record::Offset(key(0), None),
        consumer_record(ConsumerRecord::TargetEpoch(None)),
        consumer_record(ConsumerRecord::Topics(None)),
        consumer_record(ConsumerRecord::Epoch(None)),
    ];
    assert_eq!(step.records, expected);
    assert!(bench.machine.groups.is_empty());
}
