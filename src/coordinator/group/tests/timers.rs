use super::*;
use crate::coordinator::group::classic::State;
use crate::wire::messages::join_group::JoinGroupRequest;
use crate::wire::records::MemberMetadata;

const NEXT: i32 = GENERATION + 1;

/// As [`stable`], with members whose sessions and rebalances take long.
fn patient() -> Bench {
    let member = |id, assignment| MemberMetadata {
        session_timeout: 1_000_000,
        rebalance_timeout: 600_000,
        ..member_record(id, assignment)
    };
    let members = vec![member("a", "one"), member("b", "two")];
    Bench::new().found(&group_record(GENERATION, 0, members)).loaded()
}

#[test]
fn a_member_that_is_silent_is_given_up() {
    let mut bench = stable();
    bench.pass_to(4_000);
    bench.call(beats("b", GENERATION));
    assert_eq!(bench.pass_to(SESSION_MS - 1), silent().due(SESSION_MS));
    assert_eq!(bench.pass_to(SESSION_MS), silent().due(4_000 + SESSION_MS));
    let group = bench.group();
    assert_eq!((group.state, group.leader.as_deref()), (State::PreparingRebalance, Some("b")));
    assert_eq!(group.join_ends_ms, NOW_MS + SESSION_MS + REBALANCE_MS);
    let step = bench.pass_to(20_000);
    assert_eq!(step, silent().writes(group_record(NEXT, 4_000 + SESSION_MS, vec![])));
}

#[test]
fn a_member_whose_session_ends_between_two_generations_is_not_awaited() {
    let (mut bench, client) = preparing();
    bench.pass_to(4_000);
    let a = bench.park(rejoin("a"));
    let step = bench.pass_to(SESSION_MS);
    let id = bench.id("client");
    let expected = silent()
        .tells(a, Reply::Join(leads(NEXT, "a", &["a", &id])))
        .tells(client, Reply::Join(joined(NEXT, "a", &id)));
    assert_eq!(step, expected.due(2 * SESSION_MS));
}

#[test]
fn who_is_parked_counts_as_alive() {
    let mut bench = patient();
    bench.park(rejoin("a"));
    assert_eq!(bench.group().members["a"].session_timeout_ms, SESSION_MS as i32);
    bench.call(beats("a", GENERATION));
    assert_eq!(bench.pass_to(5 * SESSION_MS), silent().due(600_000));
    let step = bench.call(rejoin("b"));
    assert_eq!(step.told.len() + usize::from(step.answer.is_some()), 2);
    // From the answer on a member is to be heard of again, also one that awaits its assignment.
    assert_eq!(step.due_ms, Some(6 * SESSION_MS));
    bench.park(syncs("b", NEXT));
    bench.pass_to(59_000);
    bench.call(beats("a", NEXT));
    assert_eq!(bench.pass_to(61_000), silent().due(59_000 + SESSION_MS));
    let step = bench.call(assigns("a", NEXT, &[("b", "two")]));
    assert_eq!(step.due_ms, Some(61_000 + SESSION_MS));
}

#[test]
fn a_new_member_waits_five_minutes_at_most() {
    let mut bench = patient();
    let client = bench.park(join_old("client"));
    assert_eq!(bench.pass_to(299_999), silent().due(300_000));
    let told = join_refused(ErrorCode::UnknownMemberId, "");
    assert_eq!(bench.pass_to(300_000), silent().tells(client, told).due(600_000));
    assert_eq!(bench.group().members.len(), 2);
    assert_eq!(bench.group().state, State::PreparingRebalance);
}

#[test]
fn a_new_member_that_knows_its_id_is_held_to_its_heartbeats() {
    let mut bench = patient();
    bench.call(joins("client", 9, join_request("")));
    let id = bench.id("client");
    let client = bench.park(rejoin(&id));
    bench.pass_to(20_000);
    let step = bench.call(beats(&id, GENERATION));
    assert_eq!(step, answered(beat(ErrorCode::RebalanceInProgress)).due(30_000));
    let told = join_refused(ErrorCode::UnknownMemberId, "");
    assert_eq!(bench.pass_to(30_000), silent().tells(client, told).due(600_000));
}

#[test]
fn an_id_that_nobody_joins_with_ends_with_its_session() {
    let mut bench = stable();
    bench.call(joins("late", 9, join_request("")));
    bench.pass_to(1_000);
    let a = bench.park(rejoin("a"));
    let b = bench.park(rejoin("b"));
    let step = bench.pass_to(SESSION_MS);
    let expected = silent()
        .tells(a, Reply::Join(leads(NEXT, "a", &["a", "b"])))
        .tells(b, Reply::Join(joined(NEXT, "a", "b")));
    assert_eq!(step, expected.due(2 * SESSION_MS));

    let mut bench = empty();
    bench.call(joins("app", 9, join_request("")));
    assert_eq!(bench.pass_to(SESSION_MS), silent());
    assert!(bench.group().pending.is_empty());
}

#[test]
fn a_first_rebalance_ends_early_with_the_last_pending_id() {
    let mut bench = Bench::new();
    bench.call(joins("late", 9, join_request("")));
    bench.pass_to(8_000);
    let app = bench.park(join_old("app"));
    let id = bench.id("app");
    let step = bench.pass_to(SESSION_MS);
    let expected = silent().tells(app, Reply::Join(leads(1, &id, &[&id])));
    assert_eq!(step, expected.due(2 * SESSION_MS));
}

#[test]
fn the_first_rebalance_waits_as_long_as_members_come() {
    let mut bench = Bench::new();
    let request = JoinGroupRequest { rebalance_timeout_ms: 10_000, ..join_request("") };
    let mut parked = Vec::new();
    for (at_ms, app) in [(0, "a"), (2_000, "b"), (5_000, "c"), (8_000, "d"), (9_500, "e")] {
        assert_eq!(bench.pass_to(at_ms).told, []);
        bench.call(joins(app, 3, request.clone()));
        parked.push((bench.last(), bench.id(app)));
    }
    assert_eq!(bench.pass_to(9_999), silent().due(10_000));
    let ids: Vec<&str> = parked.iter().map(|(_, id)| id.as_str()).collect();
    let mut expected = silent().due(20_000);
    for (ticket, id) in &parked {
        let answer = if id == ids[0] { leads(1, ids[0], &ids) } else { joined(1, ids[0], id) };
        expected = expected.tells(*ticket, Reply::Join(answer));
    }
    assert_eq!(bench.pass_to(10_000), expected);
}

#[test]
fn the_first_rebalance_waits_no_longer_if_nobody_comes() {
    for (delay_ms, rebalance_timeout_ms, second_at_ms, ends_ms) in [
        (3_000, 60_000, None, 3_000),
        (3_000, 60_000, Some(1_000), 6_000),
        // At least the delay, whatever the members allow; at most what they do.
        (3_000, 1_000, Some(1_000), 3_000),
        (3_000, 4_000, Some(1_000), 4_000),
        (0, 60_000, None, 0),
    ] {
        let config = GroupConfig { initial_rebalance_delay_ms: delay_ms, ..settings() };
        let mut bench = Bench::with(config);
        let request = JoinGroupRequest { rebalance_timeout_ms, ..join_request("") };
        bench.call(joins("a", 3, request.clone()));
        if let Some(at_ms) = second_at_ms {
            bench.pass_to(at_ms);
            bench.call(joins("b", 3, request));
        }
        assert_eq!(bench.pass_to(ends_ms - 1).told, []);
        let told = bench.pass_to(ends_ms).told.len();
        assert_eq!(told, 1 + usize::from(second_at_ms.is_some()));
    }
}

#[test]
fn a_later_first_rebalance_is_one_again() {
    let mut bench = empty();
    let app = bench.park(join_old("app"));
    let id = bench.id("app");
    let step = bench.pass_to(DELAY_MS);
    let expected = silent().tells(app, Reply::Join(leads(NEXT, &id, &[&id])));
    assert_eq!(step, expected.due(DELAY_MS + SESSION_MS));
}

#[test]
fn nobody_may_be_left_when_the_first_rebalance_ends() {
    let mut bench = Bench::new();
    bench.call(join_old("app"));
    let (app, id) = (bench.last(), bench.id("app"));
    let step = bench.call(leaves(&[identity(&id, None)]));
    let expected = answered(left(&[(&id, None, ErrorCode::None)]))
        .tells(app, join_refused(ErrorCode::UnknownMemberId, ""));
    assert_eq!(step, expected.due(DELAY_MS));
    let step = bench.pass_to(DELAY_MS);
    assert_eq!(step, silent().writes(group_record(1, DELAY_MS, vec![])));
}

#[test]
fn members_that_do_not_join_are_dropped_and_somebody_else_leads() {
    let mut bench = patient();
    let client = bench.park(join_old("client"));
    let changed = JoinGroupRequest { rebalance_timeout_ms: 600_000, ..join_request("b") };
    let b = bench.park(joins("client", 9, changed));
    bench.pass_to(299_000);
    bench.call(beats("a", GENERATION));
    // The new member is gone after five minutes; `a` led and is away.
    let told = join_refused(ErrorCode::UnknownMemberId, "");
    assert_eq!(bench.pass_to(599_999), silent().tells(client, told).due(600_000));
    let step = bench.pass_to(600_000);
    let expected = silent().tells(b, Reply::Join(leads(NEXT, "b", &["b"])));
    assert_eq!(step, expected.due(600_000 + SESSION_MS));
}

#[test]
fn static_members_that_are_away_stay_in_the_generation() {
    let members = vec![static_record("i", "a", "one"), static_record("j", "b", "two")];
    let members = members.into_iter().map(|it| MemberMetadata { session_timeout: 100_000, ..it });
    let record = group_record(GENERATION, 0, members.collect());
    let mut bench = Bench::new().found(&record).loaded();
    let client = bench.park(join_old("client"));
    let id = bench.id("client");
    let step = bench.pass_to(REBALANCE_MS);
    // `a` is away, so it cannot lead.
    let [(ticket, Reply::Join(answer))] = &step.told[..] else { panic!("{step:?}") };
    let ids: Vec<_> = answer.members.iter().map(|it| it.member_id.as_str()).collect();
    assert_eq!((*ticket, answer.leader.as_str(), ids), (client, &*id, vec!["a", "b", &id]));
    assert_eq!(step.due_ms, Some(REBALANCE_MS + SESSION_MS));
    // They are expected to ask for their assignment, too.
    bench.call(assigns(&id, NEXT, &[]));
    for at_ms in [69_000, 78_000, 87_000, 96_000, 105_000, 114_000] {
        bench.pass_to(at_ms);
        bench.call(beats(&id, NEXT));
    }
    bench.pass_to(2 * REBALANCE_MS);
    assert_eq!(bench.group().state, State::PreparingRebalance);
    assert_eq!(bench.group().members.keys().collect::<Vec<_>>(), [&id]);
}

#[test]
fn static_members_that_all_stay_away_are_awaited_to_the_end_of_their_sessions() {
    let member = |instance, id| MemberMetadata {
        session_timeout: 100_000,
        ..static_record(instance, id, "one")
    };
    let record = group_record(GENERATION, 0, vec![member("i", "a"), member("j", "b")]);
    let mut bench = Bench::new().found(&record).loaded();
    let client = bench.park(join_old("client"));
    let id = bench.id("client");
    bench.call(leaves(&[identity(&id, None)]));
    assert!(!bench.waiting.contains(&client));
    // Nobody has joined when the time is up: once more.
    assert_eq!(bench.pass_to(REBALANCE_MS), silent().due(100_000));
    assert_eq!(bench.group().state, State::PreparingRebalance);
    assert_eq!(bench.group().join_ends_ms, NOW_MS + 2 * REBALANCE_MS);
    let step = bench.pass_to(100_000);
    assert_eq!(step, silent().writes(group_record(NEXT, 100_000, vec![])));
}

#[test]
fn who_does_not_ask_for_its_assignment_in_time_is_out() {
    // The leader.
    let mut bench = completing();
    let b = bench.park(syncs("b", NEXT));
    for at_ms in [9_000, 18_000, 27_000, 36_000, 45_000, 54_000] {
        assert_eq!(bench.pass_to(at_ms).told, []);
        bench.call(beats("a", NEXT));
    }
    let step = bench.pass_to(REBALANCE_MS);
    let told = sync_refused(ErrorCode::RebalanceInProgress);
    assert_eq!(step, silent().tells(b, told).due(REBALANCE_MS + SESSION_MS));
    assert_eq!(bench.group().leader.as_deref(), Some("b"));
    assert_eq!(bench.group().state, State::PreparingRebalance);

    // A follower, although the group is stable.
    let mut bench = completing();
    bench.call(assigns("a", NEXT, &[]));
    for at_ms in [9_000, 18_000, 27_000, 36_000, 45_000, 54_000] {
        assert_eq!(bench.pass_to(at_ms).told, []);
        bench.call(beats("a", NEXT));
        bench.call(beats("b", NEXT));
    }
    assert_eq!(bench.pass_to(REBALANCE_MS), silent().due(54_000 + SESSION_MS));
    assert_eq!(bench.group().members.keys().collect::<Vec<_>>(), ["a"]);
    assert_eq!(bench.group().state, State::PreparingRebalance);
}

#[test]
fn sessions_begin_anew_with_the_broker() {
    let mut bench = stable();
    bench.now_ms = NOW_MS + 500_000;
    bench.restart();
    assert_eq!(bench.due_ms(), Some(500_000 + SESSION_MS));
    let step = bench.call(beats("a", GENERATION));
    assert_eq!(step, answered(beat(ErrorCode::None)).due(500_000 + SESSION_MS));
}

#[test]
fn a_group_that_is_too_large_for_a_new_limit_joins_again() {
    let mut bench = stable();
    bench.settings.max_size = 1;
    bench.restart();
    assert_eq!(bench.group().state, State::PreparingRebalance);
    assert_eq!(bench.due_ms(), Some(SESSION_MS));
    let b = bench.park(rejoin("b"));
    let refused = join_refused(ErrorCode::GroupMaxSizeReached, "");
    assert_eq!(bench.call(rejoin("a")), answered(refused).due(SESSION_MS));
    let answer = Reply::Join(leads(NEXT, "b", &["b"]));
    let step = bench.pass_to(REBALANCE_MS);
    assert_eq!(step, silent().tells(b, answer).due(REBALANCE_MS + SESSION_MS));
}

#[test]
fn nothing_is_due_of_a_group_that_is_gone() {
    let mut bench = empty();
    bench.call(joins("app", 9, join_request("")));
    bench.call(Command::Delete(vec![GROUP.into()]));
    assert_eq!(bench.pass_to(SESSION_MS), silent());
    assert_eq!(bench.machine.next_deadline(), None);
    // A group of the same name is another one.
    bench.call(joins("app", 9, join_request("")));
    bench.call(Command::Delete(vec![GROUP.into()]));
    bench.pass_to(SESSION_MS + 1_000);
    bench.call(joins("app", 9, join_request("")));
    assert_eq!(bench.pass_to(2 * SESSION_MS), silent().due(2 * SESSION_MS + 1_000));
}

#[test]
fn a_rebalance_that_is_under_way_is_not_prolonged() {
    let mut bench = stable();
    bench.park(rejoin("a"));
    bench.pass_to(5_000);
    let request = JoinGroupRequest { rebalance_timeout_ms: 600_000, ..join_request("") };
    bench.park(joins("client", 3, request));
    assert_eq!(bench.group().join_ends_ms, NOW_MS + REBALANCE_MS);
}
