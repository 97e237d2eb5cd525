//! Offsets whose retention is over, and groups that have nothing left.

use super::*;
use crate::wire::messages::offset_commit::OffsetCommitRequest;
use crate::wire::records::{MemberMetadata, OffsetCommitKey, OffsetCommitValue};

const RETENTION_MS: i64 = 5_000;
const INTERVAL_MS: i64 = 1_000;

fn short() -> GroupConfig {
    GroupConfig {
        offsets_retention_ms: RETENTION_MS,
        offsets_retention_check_interval_ms: INTERVAL_MS,
        ..settings()
    }
}

fn bench() -> Bench {
    Bench::with(short())
}

fn gone(topic: &str, partition: i32) -> Record {
    Record::Offset(OffsetCommitKey { topic: topic.into(), ..key(partition) }, None)
}

fn group_gone() -> Record {
    Record::remove_group(GROUP)
}

/// An offset of a topic, committed at a time.
fn offset_of(topic: &str, partition: i32, committed_ms: i64) -> Record {
    let value = OffsetCommitValue { commit_timestamp: NOW_MS + committed_ms, ..value(7) };
    Record::Offset(OffsetCommitKey { topic: topic.into(), ..key(partition) }, Some(value))
}

fn with_end(partition: i32, ends_ms: i64) -> Record {
    let value = OffsetCommitValue { expire_timestamp: NOW_MS + ends_ms, ..value(7) };
    Record::Offset(key(partition), Some(value))
}

/// Members of any protocol whose sessions outlast a retention.
fn patient_group(protocol_type: &str, subscription: Bytes) -> Record {
    let member =
        MemberMetadata { session_timeout: 100_000, subscription, ..member_record("a", "one") };
    let mut value = group_value(GENERATION, 0, vec![member]);
    value.protocol_type = protocol_type.into();
    Record::Group(GROUP.into(), Some(value))
}

/// What is removed until then.
fn removed_until(bench: &mut Bench, until_ms: i64) -> Vec<Record> {
    let step = bench.pass_to(until_ms);
    assert_eq!(step.told, []);
    step.records
}

#[test]
fn offsets_without_membership_end_after_their_commit() {
    let mut bench = bench();
    bench.call(commits("", -1, 9));
    bench.pass_to(2_500);
    bench.call(Command::Commit(commit_request("", -1, vec![commit_partition(1, 9)]), 9));
    assert_eq!(removed_until(&mut bench, RETENTION_MS - 1), []);
    assert_eq!(removed_until(&mut bench, RETENTION_MS), [gone("orders", 0)]);
    assert_eq!(removed_until(&mut bench, 7_999), []);
    // At the first round after its end, and the group with the last of them.
    assert_eq!(removed_until(&mut bench, 8_000), [gone("orders", 1), group_gone()]);
    assert!(bench.machine.groups.is_empty());
}

#[test]
fn an_offset_that_is_committed_again_lives_on() {
    let mut bench = bench();
    bench.call(commits("", -1, 9));
    bench.pass_to(3_000);
    bench.call(commits("", -1, 9));
    assert_eq!(removed_until(&mut bench, 7_999), []);
    assert_eq!(removed_until(&mut bench, 8_000), [gone("orders", 0), group_gone()]);
}

#[test]
fn a_group_without_members_keeps_offsets_from_when_it_became_so() {
    let mut bench = bench().found(&group_record(GENERATION, 0, vec![member_record("a", "one")]));
    bench = bench.found(&offset_of("orders", 0, -9_000)).loaded();
    bench.pass_to(2_000);
    let step = bench.call(leaves(&[identity("a", None)]));
    assert_eq!(step.records, [group_record(GENERATION + 1, 2_000, vec![])]);
    // A later commit changes nothing.
    bench.pass_to(4_000);
    bench.call(Command::Commit(commit_request("", -1, vec![commit_partition(1, 9)]), 9));
    assert_eq!(removed_until(&mut bench, 6_999), []);
    let all = [gone("orders", 0), gone("orders", 1), group_gone()];
    assert_eq!(removed_until(&mut bench, 7_000), all);
}

#[test]
fn where_that_time_is_unknown_the_commit_counts() {
    let mut value = group_value(GENERATION, 0, vec![]);
    value.current_state_timestamp = -1;
    let bench = bench().found(&Record::Group(GROUP.into(), Some(value)));
    let bench = bench.found(&offset_of("orders", 0, -2_000));
    let mut bench = bench.found(&offset_of("orders", 1, 0)).loaded();
    assert_eq!(removed_until(&mut bench, 2_999), []);
    assert_eq!(removed_until(&mut bench, 3_000), [gone("orders", 0)]);
    assert_eq!(removed_until(&mut bench, 5_000), [gone("orders", 1), group_gone()]);
}

#[test]
fn members_keep_what_they_read() {
    let bench = bench().found(&patient_group("consumer", subscribed(&["orders"])));
    let bench = bench.found(&offset_of("orders", 0, -9_000)).found(&with_end(1, -9_000));
    let mut bench = bench.found(&offset_of("payments", 0, 0)).loaded();
    assert_eq!(removed_until(&mut bench, 4_999), []);
    assert_eq!(removed_until(&mut bench, 9_999), [gone("payments", 0)]);
    assert!(bench.machine.groups.contains_key(GROUP));
    assert_eq!(bench.call(fetches(Some(&[0]), true)).answer.unwrap(), {
        fetched(&[(0, 7, ErrorCode::None)])
    });
}

#[test]
fn between_two_generations_nothing_ends() {
    let bench = bench().found(&patient_group("consumer", subscribed(&["orders"])));
    let mut bench = bench.found(&offset_of("payments", 0, 0)).loaded();
    bench.park(joins("late", 3, join_request("")));
    assert_eq!(removed_until(&mut bench, 6_000), []);
    bench.call(rejoin("a"));
    assert_eq!(removed_until(&mut bench, 8_000), []);
    bench.call(assigns("a", GENERATION + 1, &[]));
    assert_eq!(removed_until(&mut bench, 9_000), [gone("payments", 0)]);
}

#[test]
fn whose_reading_is_unknown_keeps_everything() {
    let unread = Bytes::from_static(b"?");
    for group in
        [patient_group("consumer", unread), patient_group("connect", subscribed(&["orders"]))]
    {
        let bench = bench().found(&group).found(&offset_of("payments", 0, -9_000));
        let mut bench = bench.found(&with_end(1, -9_000)).loaded();
        assert_eq!(removed_until(&mut bench, 9_000), []);
    }
}

#[test]
fn an_end_of_its_own_counts_before_all() {
    let mut bench = bench();
    let request = OffsetCommitRequest {
        retention_time_ms: 500,
        ..commit_request("", -1, vec![commit_partition(0, 4)])
    };
    bench.call(Command::Commit(request, 2));
    bench.call(Command::Commit(
        OffsetCommitRequest {
            retention_time_ms: 8_000,
            ..commit_request("", -1, vec![commit_partition(1, 4)])
        },
        2,
    ));
    assert_eq!(removed_until(&mut bench, 999), []);
    assert_eq!(removed_until(&mut bench, 7_999), [gone("orders", 0)]);
    assert_eq!(removed_until(&mut bench, 8_000), [gone("orders", 1), group_gone()]);

    // Also in a group that has lost its members just now.
    let bench = Bench::with(short()).found(&group_record(GENERATION, 0, vec![]));
    let mut bench = bench.found(&with_end(0, 900)).found(&offset_of("orders", 1, 0)).loaded();
    assert_eq!(removed_until(&mut bench, 4_999), [gone("orders", 0)]);
    assert_eq!(removed_until(&mut bench, 5_000), [gone("orders", 1), group_gone()]);
}

#[test]
fn a_transaction_keeps_its_offsets_and_their_group() {
    let hold = |bench: &mut Bench, partition| {
        let raw = GroupMachine::encode(&offset_record(partition, 8));
        bench.append(raw, false, Some(4));
    };
    let mut bench = bench().found(&offset_record(0, 7)).found(&offset_record(1, 7));
    hold(&mut bench, 1);
    bench = bench.loaded();
    assert_eq!(removed_until(&mut bench, 9_000), [gone("orders", 0)]);
    bench.append(marker(true), true, Some(4));
    assert_eq!(removed_until(&mut bench, 10_000), [gone("orders", 1), group_gone()]);

    // One that has no other offset.
    let mut bench = Bench::with(short());
    hold(&mut bench, 0);
    bench = bench.loaded();
    assert_eq!(removed_until(&mut bench, 9_000), []);
    bench.append(marker(false), true, Some(4));
    assert_eq!(removed_until(&mut bench, 10_000), [group_gone()]);
}

#[test]
fn a_group_without_members_and_offsets_goes_at_the_next_round() {
    let mut bench = bench().found(&group_record(GENERATION, 0, vec![])).loaded();
    assert_eq!(removed_until(&mut bench, INTERVAL_MS - 1), []);
    assert_eq!(removed_until(&mut bench, INTERVAL_MS), [group_gone()]);

    // A member that has only asked for its id does not keep it.
    let mut bench = Bench::with(short());
    bench.call(joins("late", 9, join_request("")));
    let id = bench.id("late");
    assert_eq!(removed_until(&mut bench, INTERVAL_MS), [group_gone()]);
    let refused = join_refused(ErrorCode::UnknownMemberId, &id);
    assert_eq!(bench.call(rejoin(&id)), answered(refused));
    assert_eq!(removed_until(&mut bench, 20_000), []);

    let bench = Bench::with(short()).found(&group_record(GENERATION, 0, vec![]));
    let mut bench = bench.found(&offset_record(0, 7)).loaded();
    bench.call(deletes("orders", &[0]));
    assert_eq!(removed_until(&mut bench, INTERVAL_MS), [group_gone()]);
}

#[test]
fn groups_of_another_kind_keep_their_offsets() {
    let mut bench = bench().found(&offset_record(0, 7));
    bench.append(other_group(11, GROUP, true), false, None);
    let mut bench = bench.loaded();
    assert_eq!(removed_until(&mut bench, 9_000), []);
}

#[test]
fn without_groups_nothing_is_ever_due() {
    let mut bench = bench().loaded();
    bench.call(fetches(None, true));
    bench.call(deletes("orders", &[0]));
    assert_eq!(bench.machine.next_deadline(), None);
    bench.call(commits("", -1, 9));
    assert_eq!(bench.machine.next_deadline(), Some(NOW_MS + INTERVAL_MS));
    bench.pass_to(RETENTION_MS + INTERVAL_MS);
    assert!(bench.machine.groups.is_empty());
    assert_eq!(bench.machine.next_deadline(), None);
    bench.call(commits("", -1, 9));
    assert_eq!(bench.machine.next_deadline(), Some(bench.now_ms + INTERVAL_MS));
    // A restart begins the interval anew.
    bench.pass_to(6_500);
    bench.restart();
    assert_eq!(bench.machine.next_deadline(), Some(bench.now_ms + INTERVAL_MS));
}

#[test]
fn what_is_removed_is_cut_into_batches() {
    const LIMIT: usize = 400;
    const OFFSETS: i32 = 40;
    let machine = machine(short(), LIMIT, 1);
    let mut bench = Bench { machine, max_batch_bytes: LIMIT, ..bench() };
    for group in ["f", GROUP] {
        for partition in 0..OFFSETS {
            let key = OffsetCommitKey { group: group.into(), ..key(partition) };
            bench = bench.found(&Record::Offset(key, Some(value(7))));
        }
    }
    let mut bench = bench.loaded();
    bench.pass_to(RETENTION_MS - 1);
    bench.now_ms = NOW_MS + RETENTION_MS;
    let mut batches = Vec::new();
    while bench.machine.next_deadline().is_some_and(|due_ms| due_ms <= bench.now_ms) {
        let mut step = Step::default();
        let outcome = bench.machine.tick(bench.moment());
        bench.settle(outcome, &mut step);
        batches.push(step.records.len());
        // Commands come in between.
        bench.now_ms += 1;
    }
    assert_eq!(batches.iter().sum::<usize>(), 2 * (OFFSETS as usize + 1), "{batches:?}");
    assert!(batches.len() > 10 && batches.iter().all(|count| *count > 0), "{batches:?}");
    assert!(bench.machine.groups.is_empty());
}

#[test]
fn a_member_that_joins_meanwhile_keeps_the_group() {
    const LIMIT: usize = 400;
    let machine = machine(short(), LIMIT, 1);
    let mut bench = Bench { machine, max_batch_bytes: LIMIT, ..bench() };
    for partition in 0..20 {
        bench = bench.found(&offset_record(partition, 7));
    }
    let mut bench = bench.loaded();
    bench.pass_to(RETENTION_MS - 1);
    let first = removed_until(&mut bench, RETENTION_MS);
    assert!(!first.is_empty() && first.len() < 20, "{first:?}");
    bench.park(join_old("app"));
    let rest = removed_until(&mut bench, RETENTION_MS + 2_000);
    assert_eq!(rest, [], "the subscription is not known yet");
    assert!(bench.machine.groups.contains_key(GROUP));
}

#[test]
fn what_no_batch_can_hold_stays() {
    let machine = machine(short(), 70, 1);
    let bench = Bench { machine, max_batch_bytes: 70, ..bench() };
    let mut bench = bench.found(&offset_record(0, 7)).loaded();
    assert_eq!(removed_until(&mut bench, 9_000), []);
}
