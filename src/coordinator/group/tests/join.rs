use super::*;
use crate::coordinator::group::classic::State;
use crate::wire::messages::join_group::JoinGroupRequest;

/// A join with these protocols, all with the usual subscription.
fn supporting(member_id: &str, protocols: &[&str]) -> JoinGroupRequest {
    let protocols = protocols.iter().map(|name| protocol(name, subscribed(&["orders"])));
    JoinGroupRequest { protocols: protocols.collect(), ..join_request(member_id) }
}

fn changed(member_id: &str) -> Command {
    let protocols = vec![protocol("range", subscribed(&["payments"]))];
    joins("client", 9, JoinGroupRequest { protocols, ..join_request(member_id) })
}

#[test]
fn a_new_member_is_given_an_id_first() {
    let mut bench = Bench::new();
    let step = bench.call(joins("app", 4, join_request("")));
    let id = bench.id("app");
    let expected = answered(join_refused(ErrorCode::MemberIdRequired, &id));
    assert_eq!(step, expected.writes(created(0)).due(SESSION_MS));
    assert_eq!(bench.group().state, State::Empty);

    // The group is there now, so nothing is written; two clients get two ids.
    let step = bench.call(joins("app2", 9, join_request("")));
    let second = bench.id("app2");
    let expected = answered(join_refused(ErrorCode::MemberIdRequired, &second));
    assert_eq!(step, expected.due(SESSION_MS));

    let parked = bench.park(joins("app", 4, join_request(&id)));
    assert_eq!(bench.group().state, State::PreparingRebalance);
    assert_eq!(bench.group().members[&id].joining, Some(parked));
    assert_eq!(bench.group().pending.keys().collect::<Vec<_>>(), [&second]);
}

#[test]
fn an_old_client_joins_at_once() {
    let mut bench = Bench::new();
    let step = bench.call(join_old("app"));
    assert_eq!(step, silent().writes(created(0)).due(DELAY_MS));
    let (id, parked) = (bench.id("app"), bench.last());
    let answer = Reply::Join(leads(1, &id, &[&id]));
    let step = bench.pass_to(DELAY_MS);
    assert_eq!(step, silent().tells(parked, answer).due(DELAY_MS + SESSION_MS));
}

#[test]
fn nobody_joins_a_missing_group_with_an_id() {
    let mut bench = Bench::new();
    let step = bench.call(rejoin("stranger"));
    assert_eq!(step, answered(join_refused(ErrorCode::UnknownMemberId, "stranger")));
    assert!(bench.machine.groups.is_empty());
}

#[test]
fn strangers_are_refused_in_every_state() {
    let (preparing, _) = preparing();
    for mut bench in [empty(), stable(), preparing, completing()] {
        let due_ms = bench.due_ms();
        let step = bench.call(rejoin("stranger"));
        let refused = answered(join_refused(ErrorCode::UnknownMemberId, "stranger"));
        assert_eq!(step, Step { due_ms, ..refused });
    }
}

#[test]
fn a_first_member_must_support_something() {
    for request in [
        JoinGroupRequest { protocol_type: String::new(), ..join_request("") },
        JoinGroupRequest { protocols: vec![], ..join_request("") },
    ] {
        let mut bench = Bench::new();
        let refused = || answered(join_refused(ErrorCode::InconsistentGroupProtocol, ""));
        let step = bench.call(joins("app", 9, request.clone()));
        // As in Kafka, the group exists from the first who asks.
        assert_eq!(step, refused().writes(created(0)));
        assert_eq!(bench.call(joins("app", 9, request)), refused());
    }
}

#[test]
fn members_have_a_protocol_in_common() {
    let other_type =
        |id: &str| JoinGroupRequest { protocol_type: "connect".into(), ..join_request(id) };
    let requests =
        |id: &str| [other_type(id), supporting(id, &["roundrobin"]), supporting(id, &[])];
    let (preparing, _) = preparing();
    for mut bench in [stable(), preparing, completing()] {
        for request in requests("").into_iter().chain(requests("b")) {
            let (id, due_ms) = (request.member_id.clone(), bench.due_ms());
            let step = bench.call(joins("app", 3, request));
            let refused = answered(join_refused(ErrorCode::InconsistentGroupProtocol, &id));
            assert_eq!(step, Step { due_ms, ..refused });
        }
    }
    // Whoever was a member of an empty group before does not bind those who come.
    let mut bench = empty();
    bench.park(joins("app", 3, other_type("")));
    assert_eq!(bench.group().protocol_type.as_deref(), Some("connect"));
}

#[test]
fn a_protocol_is_named_once() {
    for (mut bench, member_id) in [(empty(), ""), (stable(), ""), (stable(), "b")] {
        let due_ms = bench.due_ms();
        let step = bench.call(joins("app", 9, supporting(member_id, &["range", "range"])));
        let refused = answered(join_refused(ErrorCode::UnknownServerError, ""));
        assert_eq!(step, Step { due_ms, ..refused });
    }
}

#[test]
fn a_full_group_takes_nobody() {
    let refused = || answered(join_refused(ErrorCode::GroupMaxSizeReached, "")).due(SESSION_MS);
    let mut bench = stable_in(Bench::with(GroupConfig { max_size: 2, ..settings() }));
    assert_eq!(bench.call(join_old("app")), refused());
    assert_eq!(bench.call(rejoin("stranger")), refused());
    // Its members may join again; while they do, those who have joined are counted.
    let first = bench.park(rejoin("a"));
    bench.call(joins("app", 4, join_request("")));
    let id = bench.id("app");
    let app = bench.park(joins("app", 4, join_request(&id)));
    // `b` comes too late and is out, and may not come back as somebody new.
    assert_eq!(bench.call(rejoin("b")), refused());
    assert!(!bench.group().members.contains_key("b"));
    assert_eq!(bench.call(join_old("b")), refused());
    // Whoever has joined may do so again.
    let expected = answered(Reply::Join(leads(GENERATION + 1, "a", &["a", &id])))
        .tells(first, join_refused(ErrorCode::RebalanceInProgress, "a"))
        .tells(app, Reply::Join(joined(GENERATION + 1, "a", &id)));
    assert_eq!(bench.call(rejoin("a")), expected.due(SESSION_MS));
}

#[test]
fn a_follower_that_asks_again_is_told_the_generation() {
    let mut bench = stable();
    let step = bench.call(rejoin("b"));
    assert_eq!(step, answered(Reply::Join(joined(GENERATION, "a", "b"))).due(SESSION_MS));

    let mut bench = completing();
    let step = bench.call(rejoin("b"));
    assert_eq!(step, answered(Reply::Join(joined(GENERATION + 1, "a", "b"))).due(SESSION_MS));
    let step = bench.call(rejoin("a"));
    let answer = leads(GENERATION + 1, "a", &["a", "b"]);
    assert_eq!(step, answered(Reply::Join(answer)).due(SESSION_MS));
}

#[test]
fn a_leader_that_joins_again_wants_a_rebalance() {
    let mut bench = stable();
    let a = bench.park(rejoin("a"));
    assert_eq!(bench.group().state, State::PreparingRebalance);
    assert_eq!(bench.group().join_ends_ms, NOW_MS + REBALANCE_MS);
    let step = bench.call(rejoin("b"));
    let expected = answered(Reply::Join(joined(GENERATION + 1, "a", "b")))
        .tells(a, Reply::Join(leads(GENERATION + 1, "a", &["a", "b"])));
    assert_eq!(step, expected.due(SESSION_MS));
}

#[test]
fn changed_metadata_means_a_rebalance() {
    for (mut bench, id) in [(stable(), "b"), (completing(), "a"), (completing(), "b")] {
        let parked = bench.park(changed(id));
        let group = bench.group();
        assert_eq!(group.state, State::PreparingRebalance);
        assert_eq!(group.members[id].joining, Some(parked));
        assert_eq!(group.members[id].protocols[0].1, subscribed(&["payments"]));
    }
    // Whoever waits for an assignment is told to join again, too.
    let mut bench = completing();
    let parked = bench.park(syncs("b", GENERATION + 1));
    let step = bench.call(changed("a"));
    let told = sync_refused(ErrorCode::RebalanceInProgress);
    assert_eq!(step, silent().tells(parked, told).due(SESSION_MS));
}

#[test]
fn the_newer_of_two_joins_is_answered() {
    let (mut bench, client) = preparing();
    let first = bench.park(rejoin("b"));
    let second = bench.call(rejoin("b"));
    let told = join_refused(ErrorCode::RebalanceInProgress, "b");
    assert_eq!(second, silent().tells(first, told).due(SESSION_MS));
    let second = bench.last();
    let step = bench.call(rejoin("a"));
    let id = bench.id("client");
    let expected = answered(Reply::Join(leads(GENERATION + 1, "a", &["a", "b", &id])))
        .tells(second, Reply::Join(joined(GENERATION + 1, "a", "b")))
        .tells(client, Reply::Join(joined(GENERATION + 1, "a", &id)))
        .due(SESSION_MS);
    assert_eq!(step, expected);
}

#[test]
fn a_member_joins_with_what_it_says_now() {
    let mut bench = stable();
    let request = JoinGroupRequest {
        session_timeout_ms: 20_000,
        rebalance_timeout_ms: 90_000,
        ..supporting("a", &["range", "sticky"])
    };
    bench.park(joins("other", 9, request));
    let member = &bench.group().members["a"];
    assert_eq!((member.session_timeout_ms, member.rebalance_timeout_ms), (20_000, 90_000));
    assert_eq!(member.protocols.len(), 2);
    // Only a new member says who it is.
    assert_eq!(member.client_id, "client");
    assert_eq!(bench.group().join_ends_ms, NOW_MS + 90_000);
}

/// The protocol that members with these lists come to.
fn elected(lists: &[&[&str]]) -> Option<String> {
    let mut bench = Bench::new();
    for (number, list) in lists.iter().enumerate() {
        bench.call(joins(&format!("app{number}"), 3, supporting("", list)));
        assert_eq!(bench.group().members.len(), number + 1);
    }
    bench.pass_to(2 * DELAY_MS);
    let group = bench.group();
    assert_eq!(group.generation_id, 1);
    group.protocol_name.clone()
}

#[test]
fn the_protocol_most_members_prefer_wins() {
    let elected = |lists: &[&[&str]]| elected(lists).unwrap();
    assert_eq!(elected(&[&["range", "sticky"]]), "range");
    assert_eq!(elected(&[&["range", "sticky"], &["sticky"]]), "sticky");
    assert_eq!(
        elected(&[&["range", "sticky"], &["sticky", "range"], &["sticky", "range"]]),
        "sticky"
    );
    // A preference for what others lack is a vote for the next in the list.
    assert_eq!(
        elected(&[&["x", "range", "sticky"], &["y", "range", "sticky"], &["sticky", "range"]]),
        "range"
    );
}

#[test]
fn of_protocols_with_equal_votes_the_first_in_java_s_hash_map_wins() {
    let tie = |one: &str, other: &str| {
        let winner = elected(&[&[one, other], &[other, one]]);
        assert_eq!(winner, elected(&[&[other, one], &[one, other]]), "order does not count");
        winner.unwrap()
    };
    // The winners are those of Java itself.
    for (winner, other) in [
        ("sticky", "range"),
        ("range", "roundrobin"),
        ("sticky", "roundrobin"),
        ("range", "cooperative-sticky"),
        ("default", "sessioned"),
        ("compatible", "eager"),
    ] {
        assert_eq!(tie(winner, other), winner);
    }
}

#[test]
fn groups_of_another_kind_are_refused() {
    let mut bench = Bench::new();
    bench.append(other_group(11, GROUP, true), false, None);
    let step = bench.call(join_old("app"));
    assert_eq!(step, answered(join_refused(ErrorCode::InconsistentGroupProtocol, "")));
    let step = bench.call(rejoin("a"));
    assert_eq!(step, answered(join_refused(ErrorCode::InconsistentGroupProtocol, "")));
}

#[test]
fn a_pending_id_belongs_to_no_static_member() {
    let mut bench = Bench::new();
    bench.call(joins("app", 9, join_request("")));
    let id = bench.id("app");
    let step = bench.call(joins("app", 9, static_join("i", &id)));
    let refused = join_refused(ErrorCode::UnknownServerError, "");
    assert_eq!(step, answered(refused).due(SESSION_MS));
}
