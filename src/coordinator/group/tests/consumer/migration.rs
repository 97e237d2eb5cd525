//! Groups that change their kind.

use super::classic_members::{assignment, has, joins_classic, metadata, placed, syncs_as};
use super::*;
use crate::config::MigrationPolicy;
use crate::wire::messages::join_group::JoinGroupRequest;
use crate::wire::records::MemberMetadata;

/// A `Stable` classic group in generation 3: `c` has `partitions` of `orders`.
fn classic_with(bench: Bench, member_assignment: Bytes) -> Bench {
    let member = MemberMetadata {
        subscription: metadata(&["orders"], &[]),
        assignment: member_assignment,
        ..member_record("c", "")
    };
    bench.found(&group_record(GENERATION, 0, vec![member])).loaded()
}

fn classic() -> Bench {
    classic_with(bench(), assignment(&[0, 1, 2, 3]))
}

fn cannot(why: &str) -> Reply {
    let message = format!("Cannot upgrade classic group g to consumer group because {why}.");
    refusal(ErrorCode::GroupIdNotFound, &message)
}

#[test]
fn a_classic_group_becomes_a_consumer_group() {
    let mut bench = classic();
    let step = bench.call(ask(joins_with("a", &["orders"])));
    assert_eq!(step.answer, Some(told("a", 4, Some(&[]))));
    assert_eq!(step.records[0], Record::remove_group(GROUP));
    let member = &bench.consumer().members["c"];
    assert_eq!((member.epoch, member.previous_epoch), (GENERATION, GENERATION));
    assert_eq!(member.classic_protocol(), Some("range"));
    // The member of before is made to join, and gives back what is the other's now.
    let again = beat(ErrorCode::RebalanceInProgress);
    assert_eq!(bench.call(beats("c", GENERATION)).answer, Some(again));
    let all = [0, 1, 2, 3];
    assert_eq!(bench.call(joins_classic("c", &all)).answer, Some(placed("c", GENERATION)));
    let kept = bench.consumer().members["c"].assigned[&topic_id("orders")].clone();
    let kept: Vec<i32> = kept.into_keys().collect();
    assert_eq!(kept.len(), 2);
    assert_eq!(bench.call(joins_classic("c", &kept)).answer, Some(placed("c", 4)));
    assert_eq!(bench.call(syncs_as("c", 4, "range")).answer, Some(has(&kept)));
    let Reply::ConsumerHeartbeat(answer) = bench.heartbeat(says("a", 4)) else { panic!() };
    assert_eq!(answer.assignment.unwrap().topic_partitions[0].partitions.len(), 2);
    assert_eq!(bench.consumer().state().name(), "Stable");
}

#[test]
fn who_waits_in_the_classic_group_is_told_to_join_again() {
    let mut bench = classic();
    let request = JoinGroupRequest {
        protocols: vec![protocol("range", metadata(&["orders"], &[]))],
        ..join_request("")
    };
    let parked = bench.park(joins("client", 3, request));
    let step = bench.call(ask(joins_with("a", &["orders"])));
    let [(ticket, Reply::Join(answer))] = &step.told[..] else { panic!("{step:?}") };
    assert_eq!((*ticket, answer.error_code), (parked, ErrorCode::RebalanceInProgress.code()));
    assert!(!answer.member_id.is_empty());
}

#[test]
fn a_classic_group_may_change_before_its_first_generation() {
    let mut bench = bench();
    let protocols = vec![protocol("range", metadata(&["orders"], &[]))];
    let step = bench.call(joins("client", 3, JoinGroupRequest { protocols, ..join_request("") }));
    assert_eq!(step.answer, None, "it waits for more members");
    let parked = bench.last();
    let step = bench.call(ask(joins_with("a", &["orders"])));
    let [(ticket, Reply::Join(answer))] = &step.told[..] else { panic!("{step:?}") };
    assert_eq!((*ticket, answer.error_code), (parked, ErrorCode::RebalanceInProgress.code()));
    assert_eq!(bench.consumer().members.len(), 2);
}

#[test]
fn an_empty_classic_group_is_replaced() {
    for record in [group_record(GENERATION, 0, vec![]), offset_record(0, 7)] {
        let mut bench = bench().found(&record).loaded();
        let refused = refusal(ErrorCode::GroupIdNotFound, "Group g is not a consumer group.");
        assert_eq!(bench.heartbeat(says("a", 1)), refused);
        let step = bench.call(ask(joins_with("a", &["orders"])));
        assert_eq!(step.answer, Some(told("a", 2, Some(&[("orders", &[0, 1, 2, 3])]))));
        assert_eq!(step.records[0], Record::remove_group(GROUP));
    }
}

#[test]
fn a_classic_group_stays_what_it_is_for_a_reason() {
    let mut off = settings();
    off.consumer.migration_policy = MigrationPolicy::Downgrade;
    let mut bench = classic_with(bench_with(off), assignment(&[]));
    assert_eq!(bench.heartbeat(joins_with("a", &["orders"])), cannot("online upgrade is disabled"));
    let mut small = settings();
    small.consumer.max_size = 1;
    let members = ["c", "d"].map(|id| member_record(id, ""));
    let mut bench =
        bench_with(small).found(&group_record(GENERATION, 0, members.to_vec())).loaded();
    let why = "the group size exceeds the consumer group maximum size";
    assert_eq!(bench.heartbeat(joins_with("a", &["orders"])), cannot(why));
    let mut custom = assignment(&[0]).to_vec();
    let end = custom.len() - 4;
    custom.truncate(end);
    custom.extend([0, 0, 0, 1, b'x']);
    let mut bench = classic_with(self::bench(), custom.into());
    let why = "an unsupported custom assignor is in use. Please refer to the documentation or \
               switch to a default assignor before re-attempting the upgrade";
    assert_eq!(bench.heartbeat(joins_with("a", &["orders"])), cannot(why));
    let mut bench = classic_with(self::bench(), b"?"[..].into());
    let why = "the embedded consumer protocol is malformed";
    assert_eq!(bench.heartbeat(joins_with("a", &["orders"])), cannot(why));
    let mut value = group_value(GENERATION, 0, vec![member_record("c", "")]);
    value.protocol_type = "connect".into();
    let record = Record::Group(GROUP.into(), Some(value));
    let mut bench = self::bench().found(&record).loaded();
    let why = "the group does not use the consumer embedded protocol";
    assert_eq!(bench.heartbeat(joins_with("a", &["orders"])), cannot(why));
}

#[test]
fn a_group_is_classic_again_when_its_last_consumer_leaves() {
    let mut bench = one_member();
    bench.wait_ms(INTERVAL_MS);
    bench.call(joins_classic("c", &[]));
    let step = bench.call(ask(says("a", -1)));
    assert_eq!(step.answer, Some(gone("a", -1)));
    let Some(Record::Group(_, Some(value))) = step.records.last() else { panic!("{step:?}") };
    assert_eq!((value.generation, value.members.len()), (3, 1));
    assert_eq!(value.members[0].assignment, assignment(&[2, 3]));
    let ends_ms = bench.group().members["c"].session_ends_ms;
    assert_eq!(ends_ms, bench.now_ms + SESSION_MS);
    // The next tick begins a rebalance.
    bench.wait_ms(0);
    assert_eq!(bench.call(beats("c", 3)).answer, Some(beat(ErrorCode::RebalanceInProgress)));
    let Some(Reply::Join(answer)) = bench.call(joins_classic("c", &[])).answer else { panic!() };
    assert_eq!((answer.error_code, answer.generation_id, &*answer.leader), (0, 4, "c"));
}

#[test]
fn a_restart_does_not_forget_that_a_group_that_became_classic_is_to_rebalance() {
    let mut bench = one_member();
    bench.wait_ms(INTERVAL_MS);
    bench.call(joins_classic("c", &[]));
    bench.heartbeat(says("a", -1));
    // Before the tick, and while it waits for its members.
    for _ in 0..2 {
        bench.restart();
        assert_eq!(bench.call(beats("c", 3)).answer, Some(beat(ErrorCode::RebalanceInProgress)));
    }
    bench.call(joins_classic("c", &[]));
    bench.call(assigns("c", 4, &[("c", "all")]));
    assert_eq!(bench.call(beats("c", 4)).answer, Some(beat(ErrorCode::None)));
    bench.restart();
    assert_eq!(bench.call(beats("c", 4)).answer, Some(beat(ErrorCode::None)));
}

#[test]
fn a_group_stays_a_consumer_group_where_the_policy_says_so() {
    let mut settings = settings();
    settings.consumer.migration_policy = MigrationPolicy::Upgrade;
    let mut bench = bench_with(settings);
    bench.heartbeat(joins_with("a", &["orders"]));
    bench.call(joins_classic("c", &[]));
    bench.heartbeat(says("a", -1));
    assert_eq!(bench.consumer().members.len(), 1);
}

#[test]
fn the_last_consumer_may_be_replaced_by_a_classic_member() {
    let mut bench = bench();
    let instance_id = Some("i".to_owned());
    let request = ConsumerGroupHeartbeatRequest { instance_id, ..joins_with("a", &["orders"]) };
    bench.heartbeat(request);
    let Command::Join(caller, request) = joins_classic("", &[]) else { unreachable!() };
    let group_instance_id = Some("i".to_owned());
    let step = bench.call(Command::Join(caller, JoinGroupRequest { group_instance_id, ..request }));
    let Some(Reply::Join(answer)) = step.answer else { panic!("{step:?}") };
    assert_eq!((answer.error_code, answer.generation_id), (0, 2));
    let id = answer.member_id;
    bench.wait_ms(0);
    assert_eq!(bench.group().state, super::super::super::classic::State::Stable);
    let Some(Reply::Sync(answer)) = bench.call(syncs_as(&id, 2, "range")).answer else { panic!() };
    assert_eq!(answer.assignment, assignment(&[0, 1, 2, 3]));
}

#[test]
fn an_empty_consumer_group_is_replaced_by_a_classic_one() {
    let mut bench = one_member();
    bench.call(commits("a", 2, 7));
    bench.heartbeat(says("a", -1));
    let refused = join_refused(ErrorCode::UnknownMemberId, "c");
    assert_eq!(bench.call(joins_classic("c", &[])), answered(refused));
    let step = bench.call(join_old("client"));
    assert_eq!(step.answer, None);
    assert!(step.records.contains(&consumer_record(ConsumerRecord::Epoch(None))));
    assert_eq!(bench.group().members.len(), 1);
    let answer = fetched(&[(0, 7, ErrorCode::None)]);
    assert_eq!(bench.call(fetches(Some(&[0]), true)), answered(answer).due(DELAY_MS));
}
