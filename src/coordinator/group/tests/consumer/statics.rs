//! Static members (KIP-345): they leave for a while and come back under another id.

use std::collections::BTreeMap;

use super::*;

fn joins_static(member_id: &str) -> ConsumerGroupHeartbeatRequest {
    let instance_id = Some("i".to_owned());
    ConsumerGroupHeartbeatRequest { instance_id, ..joins_with(member_id, &["orders"]) }
}

fn says_static(member_id: &str, epoch: i32) -> ConsumerGroupHeartbeatRequest {
    ConsumerGroupHeartbeatRequest { instance_id: Some("i".into()), ..says(member_id, epoch) }
}

/// `a` is the instance `i`, at epoch 2.
fn one_static() -> Bench {
    let mut bench = bench();
    let answer = bench.heartbeat(joins_static("a"));
    assert_eq!(answer, told("a", 2, Some(&[("orders", &[0, 1, 2, 3])])));
    bench
}

#[test]
fn an_instance_id_is_owned_until_its_member_leaves() {
    let mut bench = one_static();
    let message = "Static member b with instance id i cannot join the group because the instance \
                   id is owned by a member.";
    let unreleased = refusal(ErrorCode::UnreleasedInstanceId, message);
    assert_eq!(bench.heartbeat(joins_static("b")), unreleased);
    let fenced = "Static member b with instance id i was fenced by member a.";
    let fenced = refusal(ErrorCode::FencedInstanceId, fenced);
    for epoch in [2, -1, -2] {
        assert_eq!(bench.heartbeat(says_static("b", epoch)), fenced);
    }
    let unknown = refusal(ErrorCode::UnknownMemberId, "Instance id j is unknown.");
    for epoch in [2, -1, -2] {
        let instance_id = Some("j".to_owned());
        let request = ConsumerGroupHeartbeatRequest { instance_id, ..says("a", epoch) };
        assert_eq!(bench.heartbeat(request), unknown);
    }
    assert_eq!(bench.heartbeat(says_static("a", 2)), told("a", 2, None));
}

#[test]
fn who_comes_back_takes_over() {
    let mut bench = one_static();
    let step = bench.call(ask(says_static("a", -2)));
    let kept: &Since = &[(0, 0), (1, 0), (2, 0), (3, 0)];
    let expected = answered(gone("a", -2)).writes(current("a", (-2, 0), 0, kept, &[]));
    assert_eq!(step, expected);
    assert_eq!(bench.consumer().state().name(), "Reconciling");
    // Nobody else gets its partitions meanwhile.
    bench.wait_ms(INTERVAL_MS);
    let answer = bench.heartbeat(joins_with("z", &["orders"]));
    assert_eq!(answer, told("z", 3, Some(&[])));
    let step = bench.call(ask(joins_static("b")));
    let [one, two, three] = gone_records("a");
    assert_eq!(step.records[..3], [one, two, three]);
    let Some(Reply::ConsumerHeartbeat(answer)) = step.answer else { panic!() };
    assert_eq!((answer.error_code, answer.member_epoch), (0, 3), "it comes without partitions");
    assert_eq!(bench.consumer().static_members, [("i".to_owned(), "b".to_owned())].into());
    let answer = bench.heartbeat(says_static("a", 2));
    let fenced = "Static member a with instance id i was fenced by member b.";
    assert_eq!(answer, refusal(ErrorCode::FencedInstanceId, fenced));
}

#[test]
fn who_comes_back_alone_changes_nothing_for_the_group() {
    let mut bench = one_static();
    bench.heartbeat(says_static("a", -2));
    let answer = bench.heartbeat(joins_static("a"));
    assert_eq!(answer, told("a", 2, Some(&[("orders", &[0, 1, 2, 3])])));
    assert_eq!((bench.consumer().epoch, bench.consumer().state().name()), (2, "Stable"));
}

#[test]
fn who_does_not_come_back_is_given_up_when_the_session_ends() {
    let mut bench = one_static();
    bench.heartbeat(says_static("a", -2));
    let step = bench.wait_ms(CONSUMER_SESSION_MS - 1);
    assert_eq!(step.records, []);
    let step = bench.wait_ms(1);
    assert_eq!(step.records[..3], gone_records("a"));
    assert_eq!(bench.consumer().state().name(), "Empty");
}

#[test]
fn who_leaves_for_good_is_gone() {
    let mut bench = one_static();
    let step = bench.call(ask(says_static("a", -1)));
    assert_eq!(step.answer, Some(gone("a", -1)));
    assert_eq!(bench.consumer().static_members, BTreeMap::new());
}
