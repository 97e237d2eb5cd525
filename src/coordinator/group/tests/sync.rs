use super::*;
use crate::coordinator::group::classic::State;
use crate::wire::messages::sync_group::SyncGroupRequest;

const NEXT: i32 = GENERATION + 1;

#[test]
fn the_leader_s_assignment_goes_to_the_log_and_to_everyone() {
    let mut bench = completing();
    let b = bench.park(syncs("b", NEXT));
    bench.pass_to(1_000);
    let step = bench.call(assigns("a", NEXT, &[("b", "two"), ("a", "one"), ("stranger", "x")]));
    let members = vec![member_record("a", "one"), member_record("b", "two")];
    let expected = answered(synced("one")).tells(b, synced("two"));
    assert_eq!(step, expected.writes(group_record(NEXT, 0, members)).due(1_000 + SESSION_MS));
    assert_eq!(bench.group().state, State::Stable);
    assert_eq!(bench.group().sync_ends_ms, NEVER_MS);
}

#[test]
fn a_follower_may_come_after_the_leader() {
    let mut bench = completing();
    let step = bench.call(assigns("a", NEXT, &[("a", "one")]));
    let members = vec![member_record("a", "one"), member_record("b", "")];
    let expected = answered(synced("one")).writes(group_record(NEXT, 0, members));
    assert_eq!(step, expected.due(SESSION_MS));
    // It is still waited for, and gets what there is for it: nothing.
    assert_eq!(bench.group().sync_ends_ms, NOW_MS + REBALANCE_MS);
    assert_eq!(bench.call(syncs("b", NEXT)), answered(synced("")).due(SESSION_MS));
    assert_eq!(bench.group().sync_ends_ms, NEVER_MS);
}

#[test]
fn the_assignment_of_a_stable_group_stays() {
    let mut bench = stable();
    let expected = || answered(synced("one")).due(SESSION_MS);
    assert_eq!(bench.call(syncs("a", GENERATION)), expected());
    assert_eq!(bench.call(assigns("a", GENERATION, &[("a", "else")])), expected());
    assert_eq!(bench.call(syncs("b", GENERATION)), answered(synced("two")).due(SESSION_MS));
}

#[test]
fn the_newer_of_two_syncs_is_answered() {
    let mut bench = completing();
    let first = bench.park(syncs("b", NEXT));
    let told = sync_refused(ErrorCode::RebalanceInProgress);
    assert_eq!(bench.call(syncs("b", NEXT)), silent().tells(first, told).due(SESSION_MS));
    let second = bench.last();
    let step = bench.call(assigns("a", NEXT, &[("b", "two")]));
    assert_eq!(step.told, [(second, synced("two"))]);
}

#[test]
fn whoever_is_not_of_the_generation_is_refused() {
    let (preparing, _) = preparing();
    let named = |protocol_type: &str, protocol_name: &str, generation| {
        Command::Sync(SyncGroupRequest {
            protocol_type: Some(protocol_type.into()),
            protocol_name: Some(protocol_name.into()),
            ..sync_request("b", generation)
        })
    };
    let instance = |generation| {
        let group_instance_id = Some("i".to_owned());
        Command::Sync(SyncGroupRequest { group_instance_id, ..sync_request("b", generation) })
    };
    for (mut bench, generation) in
        [(stable(), GENERATION), (preparing, GENERATION), (completing(), NEXT)]
    {
        let due_ms = bench.due_ms();
        for (command, error) in [
            (syncs("stranger", generation), ErrorCode::UnknownMemberId),
            (instance(generation), ErrorCode::UnknownMemberId),
            (syncs("b", generation + 1), ErrorCode::IllegalGeneration),
            (syncs("b", generation - 1), ErrorCode::IllegalGeneration),
            (named("connect", "range", generation), ErrorCode::InconsistentGroupProtocol),
            (named("consumer", "sticky", generation), ErrorCode::InconsistentGroupProtocol),
        ] {
            assert_eq!(bench.call(command), Step { due_ms, ..answered(sync_refused(error)) });
        }
    }
    let mut bench = stable();
    let step = bench.call(named("consumer", "range", GENERATION));
    assert_eq!(step, answered(synced("two")).due(SESSION_MS));
}

#[test]
fn without_members_nobody_has_an_assignment() {
    let unknown = || answered(sync_refused(ErrorCode::UnknownMemberId));
    for mut bench in [Bench::new(), empty(), Bench::new().found(&offset_record(0, 1)).loaded()] {
        assert_eq!(bench.call(syncs("a", GENERATION)), unknown());
        assert_eq!(bench.call(syncs("", -1)), unknown());
    }
}

#[test]
fn while_members_join_nobody_has_an_assignment() {
    let (mut bench, _) = preparing();
    let step = bench.call(syncs("b", GENERATION));
    assert_eq!(step, answered(sync_refused(ErrorCode::RebalanceInProgress)).due(SESSION_MS));
    // Whoever waits for one when members begin to join is told, and has a whole session to join.
    let mut bench = completing();
    let b = bench.park(syncs("b", NEXT));
    bench.pass_to(5_000);
    let step = bench.call(join_old("client"));
    assert_eq!(
        step,
        silent().tells(b, sync_refused(ErrorCode::RebalanceInProgress)).due(SESSION_MS)
    );
    assert_eq!(bench.group().members["b"].session_ends_ms, NOW_MS + 5_000 + SESSION_MS);
    assert_eq!(bench.group().sync_ends_ms, NEVER_MS);
}

#[test]
fn an_assignment_once_begun_is_void_after_a_rebalance() {
    let mut bench = completing();
    bench.park(join_old("client"));
    let step = bench.call(assigns("a", NEXT, &[("a", "one")]));
    assert_eq!(step, answered(sync_refused(ErrorCode::RebalanceInProgress)).due(SESSION_MS));
    assert!(bench.group().members.values().all(|member| member.assignment.is_empty()));
}
