use super::*;
use crate::coordinator::group::classic::State;
use crate::wire::messages::heartbeat::HeartbeatRequest;

const NEXT: i32 = GENERATION + 1;

#[test]
fn a_heartbeat_lets_the_session_begin_anew() {
    let (preparing, _) = preparing();
    for (mut bench, generation, error) in [
        (stable(), GENERATION, ErrorCode::None),
        (completing(), NEXT, ErrorCode::None),
        (preparing, GENERATION, ErrorCode::RebalanceInProgress),
    ] {
        bench.pass_to(4_000);
        assert_eq!(bench.call(beats("a", generation)), answered(beat(error)).due(SESSION_MS));
        let step = bench.call(beats("b", generation));
        assert_eq!(step, answered(beat(error)).due(4_000 + SESSION_MS));
    }
}

#[test]
fn a_heartbeat_must_be_of_the_generation() {
    let (preparing, _) = preparing();
    for (mut bench, generation) in
        [(stable(), GENERATION), (preparing, GENERATION), (completing(), NEXT)]
    {
        bench.pass_to(4_000);
        let instance = Command::Heartbeat(HeartbeatRequest {
            group_instance_id: Some("i".into()),
            ..heartbeat_request("a", generation)
        });
        for (command, error) in [
            (beats("stranger", generation), ErrorCode::UnknownMemberId),
            (instance, ErrorCode::UnknownMemberId),
            (beats("a", generation + 1), ErrorCode::IllegalGeneration),
            (beats("a", -1), ErrorCode::IllegalGeneration),
        ] {
            assert_eq!(bench.call(command), answered(beat(error)).due(SESSION_MS));
        }
    }
}

#[test]
fn without_members_nobody_is_known() {
    let gone = left(&[
        ("a", None, ErrorCode::UnknownMemberId),
        ("", Some("i"), ErrorCode::UnknownMemberId),
    ]);
    let pending = {
        let mut bench = empty();
        bench.call(joins("app", 9, join_request("")));
        bench
    };
    for mut bench in [Bench::new(), empty(), pending] {
        let due_ms = bench.due_ms();
        let unknown = answered(beat(ErrorCode::UnknownMemberId));
        assert_eq!(bench.call(beats("a", GENERATION)), Step { due_ms, ..unknown });
        let step = bench.call(leaves(&[identity("a", None), identity("", Some("i"))]));
        assert_eq!(step, Step { due_ms, ..answered(gone.clone()) });
    }
}

#[test]
fn the_others_join_again_when_a_member_leaves() {
    for mut bench in [stable(), completing()] {
        let step = bench.call(leaves(&[identity("a", None)]));
        assert_eq!(step, answered(left(&[("a", None, ErrorCode::None)])).due(SESSION_MS));
        let group = bench.group();
        assert_eq!(group.state, State::PreparingRebalance);
        assert_eq!(group.leader.as_deref(), Some("b"));
        assert_eq!(group.join_ends_ms, NOW_MS + REBALANCE_MS);
        let generation = group.generation_id + 1;
        let step = bench.call(rejoin("b"));
        let answer = Reply::Join(leads(generation, "b", &["b"]));
        assert_eq!(step, answered(answer).due(SESSION_MS));
    }
}

#[test]
fn a_group_that_all_have_left_is_empty() {
    for (mut bench, generation) in [(stable(), NEXT), (completing(), NEXT + 1)] {
        bench.pass_to(1_000);
        let step = bench.call(leaves(&[identity("a", None), identity("b", None)]));
        let none = ErrorCode::None;
        let expected = answered(left(&[("a", None, none), ("b", None, none)]));
        assert_eq!(step, expected.writes(group_record(generation, 1_000, vec![])));
        assert_eq!(bench.group().state, State::Empty);
    }
}

#[test]
fn who_leaves_while_parked_is_answered() {
    let (mut bench, parked) = preparing();
    let id = bench.id("client");
    let step = bench.call(leaves(&[identity(&id, None)]));
    let expected = answered(left(&[(&id, None, ErrorCode::None)]))
        .tells(parked, join_refused(ErrorCode::UnknownMemberId, ""));
    assert_eq!(step, expected.due(SESSION_MS));

    let mut bench = completing();
    let parked = bench.park(syncs("b", NEXT));
    let step = bench.call(leaves(&[identity("b", None)]));
    let told = sync_refused(ErrorCode::UnknownMemberId);
    let expected = answered(left(&[("b", None, ErrorCode::None)]));
    assert_eq!(step, expected.tells(parked, told).due(SESSION_MS));
}

#[test]
fn the_last_to_be_awaited_may_leave() {
    let (mut bench, client) = preparing();
    let a = bench.park(rejoin("a"));
    let step = bench.call(leaves(&[identity("b", None)]));
    let id = bench.id("client");
    let expected = answered(left(&[("b", None, ErrorCode::None)]))
        .tells(a, Reply::Join(leads(NEXT, "a", &["a", &id])))
        .tells(client, Reply::Join(joined(NEXT, "a", &id)));
    assert_eq!(step, expected.due(SESSION_MS));
}

#[test]
fn nobody_is_missed_whose_pending_id_leaves() {
    let (mut bench, client) = preparing();
    bench.call(joins("late", 9, join_request("")));
    let late = bench.id("late");
    let a = bench.park(rejoin("a"));
    let b = bench.park(rejoin("b"));
    // A pending id may leave under any instance id.
    let step = bench.call(leaves(&[identity(&late, Some("i"))]));
    let id = bench.id("client");
    let expected = answered(left(&[(&late, Some("i"), ErrorCode::None)]))
        .tells(a, Reply::Join(leads(NEXT, "a", &["a", "b", &id])))
        .tells(b, Reply::Join(joined(NEXT, "a", "b")))
        .tells(client, Reply::Join(joined(NEXT, "a", &id)));
    assert_eq!(step, expected.due(SESSION_MS));

    let mut bench = empty();
    bench.call(joins("app", 9, join_request("")));
    let id = bench.id("app");
    let step = bench.call(leaves(&[identity(&id, None)]));
    assert_eq!(step, answered(left(&[(&id, None, ErrorCode::None)])));
}

#[test]
fn each_of_several_leaves_for_itself() {
    let members = vec![
        member_record("a", "one"),
        static_record("i", "b", "two"),
        static_record("j", "c", "three"),
    ];
    let mut bench = Bench::new().found(&group_record(GENERATION, 0, members)).loaded();
    let none = ErrorCode::None;
    let step = bench.call(leaves(&[
        identity("stranger", None),
        identity("b", Some("j")),
        identity("b", Some("k")),
        identity("", Some("k")),
        identity("", None),
        identity("", Some("j")),
        identity("", Some("j")),
        identity("b", Some("i")),
    ]));
    let expected = left(&[
        ("stranger", None, ErrorCode::UnknownMemberId),
        ("b", Some("j"), ErrorCode::FencedInstanceId),
        ("b", Some("k"), ErrorCode::UnknownMemberId),
        ("", Some("k"), ErrorCode::UnknownMemberId),
        ("", None, ErrorCode::UnknownMemberId),
        ("", Some("j"), none),
        ("", Some("j"), ErrorCode::UnknownMemberId),
        ("b", Some("i"), none),
    ]);
    assert_eq!(step, answered(expected).due(SESSION_MS));
    assert_eq!(bench.group().members.keys().collect::<Vec<_>>(), ["a"]);
    assert_eq!(bench.group().state, State::PreparingRebalance);
}

#[test]
fn nothing_happens_if_nobody_could_leave() {
    let mut bench = stable();
    let step = bench.call(leaves(&[identity("stranger", None)]));
    let expected = left(&[("stranger", None, ErrorCode::UnknownMemberId)]);
    assert_eq!(step, answered(expected).due(SESSION_MS));
    assert_eq!(bench.group().state, State::Stable);
    let step = bench.call(leaves(&[]));
    assert_eq!(step, answered(left(&[])).due(SESSION_MS));
}
