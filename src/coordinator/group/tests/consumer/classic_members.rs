//! Members of the classic protocol in a consumer group.

use super::*;
use crate::wire::messages::join_group::{JoinGroupRequest, JoinGroupResponse};
use crate::wire::messages::sync_group::{SyncGroupRequest, SyncGroupResponse};

/// Metadata of version 3: topics, and what the member owns of `orders`.
pub(super) fn metadata(topics: &[&str], owned: &[i32]) -> Bytes {
    let mut bytes = subscribed(topics).to_vec();
    bytes[1] = 3;
    bytes.extend((i32::from(!owned.is_empty())).to_be_bytes());
    if !owned.is_empty() {
        bytes.extend(6_i16.to_be_bytes());
        bytes.extend(b"orders");
        bytes.extend((owned.len() as i32).to_be_bytes());
        for partition in owned {
            bytes.extend(partition.to_be_bytes());
        }
    }
    bytes.extend((-1_i32).to_be_bytes());
    bytes.extend((-1_i16).to_be_bytes());
    bytes.into()
}

/// An assignment of `orders` in version 3.
pub(super) fn assignment(partitions: &[i32]) -> Bytes {
    let mut bytes = vec![0, 3];
    bytes.extend((i32::from(!partitions.is_empty())).to_be_bytes());
    if !partitions.is_empty() {
        bytes.extend(6_i16.to_be_bytes());
        bytes.extend(b"orders");
        bytes.extend((partitions.len() as i32).to_be_bytes());
        for partition in partitions {
            bytes.extend(partition.to_be_bytes());
        }
    }
    bytes.extend((-1_i32).to_be_bytes());
    bytes.into()
}

pub(super) fn joins_classic(member_id: &str, owned: &[i32]) -> Command {
    let protocols = vec![protocol("range", metadata(&["orders"], owned))];
    joins("client", 9, JoinGroupRequest { protocols, ..join_request(member_id) })
}

pub(super) fn placed(member_id: &str, generation_id: i32) -> Reply {
    Reply::Join(JoinGroupResponse {
        generation_id,
        protocol_type: Some("consumer".into()),
        protocol_name: Some("range".into()),
        member_id: member_id.into(),
        ..Default::default()
    })
}

pub(super) fn syncs_as(member_id: &str, generation: i32, protocol: &str) -> Command {
    let Command::Sync(request) = syncs(member_id, generation) else { unreachable!() };
    let (protocol_type, protocol_name) = (Some("consumer".into()), Some(protocol.to_owned()));
    Command::Sync(SyncGroupRequest { protocol_type, protocol_name, ..request })
}

pub(super) fn has(partitions: &[i32]) -> Reply {
    Reply::Sync(SyncGroupResponse {
        protocol_type: Some("consumer".into()),
        protocol_name: Some("range".into()),
        assignment: assignment(partitions),
        ..Default::default()
    })
}

/// `a` has all of `orders`, then `c` has joined by the classic protocol.
fn with_classic() -> Bench {
    let mut bench = one_member();
    bench.wait_ms(INTERVAL_MS);
    assert_eq!(bench.call(joins_classic("c", &[])).answer, Some(placed("c", 3)));
    bench
}

/// As [`with_classic`], and each has half.
fn half_and_half() -> Bench {
    let mut bench = with_classic();
    bench.call(syncs_as("c", 3, "range"));
    let request = ConsumerGroupHeartbeatRequest {
        topic_partitions: Some(owned(&[("orders", &[0, 1])])),
        ..says("a", 2)
    };
    bench.heartbeat(says("a", 2));
    assert_eq!(bench.heartbeat(request), told("a", 3, None));
    assert_eq!(bench.call(beats("c", 3)).answer, Some(beat(ErrorCode::RebalanceInProgress)));
    assert_eq!(bench.call(joins_classic("c", &[])).answer, Some(placed("c", 3)));
    assert_eq!(bench.call(syncs_as("c", 3, "range")).answer, Some(has(&[2, 3])));
    bench
}

#[test]
fn a_classic_member_is_assigned_by_the_coordinator() {
    let mut bench = half_and_half();
    assert_eq!(bench.consumer().state().name(), "Stable");
    assert_eq!(bench.call(beats("c", 3)), answered(beat(ErrorCode::None)));
    let describe = Command::ConsumerDescribe(GROUP.into());
    let Some(Reply::ConsumerDescribe(group)) = bench.call(describe).answer else { panic!() };
    let types: Vec<_> = group.members.iter().map(|member| member.member_type).collect();
    assert_eq!(types, [1, 0]);
}

#[test]
fn a_classic_member_gives_back_by_joining_again() {
    let mut bench = half_and_half();
    bench.wait_ms(INTERVAL_MS);
    assert_eq!(bench.heartbeat(joins_with("z", &["orders"])), told("z", 4, Some(&[])));
    let again = beat(ErrorCode::RebalanceInProgress);
    assert_eq!(bench.call(beats("c", 3)).answer, Some(again.clone()));
    let refused = sync_refused(ErrorCode::RebalanceInProgress);
    assert_eq!(bench.call(syncs_as("c", 3, "range")).answer, Some(refused));
    // It is told what it may keep, gives the rest back and joins with it.
    assert_eq!(bench.call(joins_classic("c", &[2, 3])).answer, Some(placed("c", 3)));
    let kept = bench.consumer().members["c"].assigned[&topic_id("orders")].clone();
    let kept: Vec<i32> = kept.into_keys().collect();
    assert_eq!(bench.call(syncs_as("c", 3, "range")).answer, Some(has(&kept)));
    assert_eq!(bench.call(beats("c", 3)).answer, Some(again));
    assert_eq!(bench.call(joins_classic("c", &kept)).answer, Some(placed("c", 4)));
    assert_eq!(bench.call(beats("c", 4)), answered(beat(ErrorCode::None)));
}

type Change = fn(&mut JoinGroupRequest);

#[test]
fn who_may_not_join_is_told_why() {
    let mut bench = one_member();
    let step = bench.call(joins_classic("", &[]));
    let Some(Reply::Join(answer)) = step.answer else { panic!() };
    assert_eq!(answer.error_code, ErrorCode::MemberIdRequired.code());
    assert_eq!((answer.member_id.len(), step.records.len()), (22, 0));
    let join = |change: fn(&mut JoinGroupRequest)| {
        let Command::Join(caller, mut request) = joins_classic("c", &[]) else { unreachable!() };
        change(&mut request);
        Command::Join(caller, request)
    };
    let cases: [(Change, ErrorCode); 5] = [
        (|it| it.protocol_type = "connect".into(), ErrorCode::InconsistentGroupProtocol),
        (|it| it.protocols.clear(), ErrorCode::InconsistentGroupProtocol),
        (|it| it.protocols[0].metadata = Bytes::new(), ErrorCode::UnknownServerError),
        (|it| it.protocols[0].metadata = b"\xff\xff"[..].into(), ErrorCode::UnknownServerError),
        (|it| it.group_instance_id = Some("i".into()), ErrorCode::UnknownMemberId),
    ];
    for (change, error) in cases {
        assert_eq!(bench.call(join(change)), answered(join_refused(error, "")));
    }
    bench.call(joins_classic("c", &[]));
    let other = vec![protocol("sticky", metadata(&["orders"], &[]))];
    let request = JoinGroupRequest { protocols: other, ..join_request("d") };
    let refused = join_refused(ErrorCode::InconsistentGroupProtocol, "");
    assert_eq!(bench.call(joins("client", 9, request)), answered(refused));
}

#[test]
fn questions_of_others_are_refused() {
    let mut bench = with_classic();
    let cases = [
        (syncs_as("z", 3, "range"), ErrorCode::UnknownMemberId),
        (syncs_as("a", 2, "range"), ErrorCode::UnknownMemberId),
        (syncs_as("c", 2, "range"), ErrorCode::IllegalGeneration),
        (syncs_as("c", 3, "sticky"), ErrorCode::InconsistentGroupProtocol),
    ];
    for (command, error) in cases {
        assert_eq!(bench.call(command), answered(sync_refused(error)));
    }
    let cases = [
        (beats("z", 3), ErrorCode::UnknownMemberId),
        (beats("a", 2), ErrorCode::UnknownMemberId),
        (beats("c", 2), ErrorCode::IllegalGeneration),
        (beats("c", 3), ErrorCode::None),
    ];
    for (command, error) in cases {
        assert_eq!(bench.call(command), answered(beat(error)));
    }
    // Its commits are refused with the classic protocol's error, in every version.
    let refused = committed(ErrorCode::IllegalGeneration);
    assert_eq!(bench.call(commits("c", 4, 1)), answered(refused));
    assert_eq!(bench.call(commits("c", 3, 1)).answer, Some(committed(ErrorCode::None)));
}

#[test]
fn classic_members_leave_and_are_given_up() {
    let mut bench = half_and_half();
    let step = bench.call(leaves(&[identity("z", None), identity("c", None)]));
    let left_one = left(&[("z", None, ErrorCode::UnknownMemberId), ("c", None, ErrorCode::None)]);
    assert_eq!(step.answer, Some(left_one));
    assert_eq!(step.records[..3], gone_records("c"));
    // Its own session timeout counts.
    let mut bench = half_and_half();
    let step = bench.wait_ms(SESSION_MS);
    assert_eq!(step.records[..3], gone_records("c"));
}

/// Lets time pass in which `a` and `c` are heard of; what happens meanwhile.
fn pass_alive(bench: &mut Bench, for_ms: i64) -> Vec<Record> {
    let (mut records, step_ms) = (Vec::new(), SESSION_MS - 1_000);
    for _ in 0..for_ms / step_ms {
        records.extend(bench.wait_ms(step_ms).records);
        bench.call(beats("c", 3));
        let epoch = bench.consumer().members["a"].epoch;
        bench.heartbeat(says("a", epoch));
    }
    records
}

#[test]
fn a_classic_member_must_ask_for_its_assignment_in_time() {
    let mut bench = with_classic();
    bench.heartbeat(says("a", 2));
    let request = ConsumerGroupHeartbeatRequest {
        topic_partitions: Some(owned(&[("orders", &[0, 1])])),
        ..says("a", 2)
    };
    bench.heartbeat(request);
    assert_eq!(pass_alive(&mut bench, REBALANCE_MS - SESSION_MS), []);
    assert_eq!(pass_alive(&mut bench, 2 * SESSION_MS)[..3], gone_records("c"));
}

#[test]
fn a_classic_member_must_join_again_in_time() {
    let mut bench = half_and_half();
    bench.wait_ms(INTERVAL_MS);
    let mut request = joins_with("z", &["orders"]);
    request.rebalance_timeout_ms = i32::MAX;
    bench.heartbeat(request);
    bench.call(beats("c", 3));
    bench.heartbeat(says("z", -1));
    assert_eq!(pass_alive(&mut bench, REBALANCE_MS - SESSION_MS), []);
    assert_eq!(pass_alive(&mut bench, 2 * SESSION_MS)[..3], gone_records("c"));
}
