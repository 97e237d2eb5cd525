//! Every command in every state: the error that its caller gets, or None if it is parked.

use super::*;
use crate::wire::messages::join_group::JoinGroupRequest;

const STATES: [&str; 9] = [
    "missing",
    "only offsets",
    "empty",
    "empty with a pending id",
    "first rebalance",
    "preparing",
    "completing",
    "stable",
    "of another kind",
];

struct Case {
    bench: Bench,
    leader: String,
    follower: String,
    pending: String,
    generation: i32,
}

fn case(state: &str) -> Case {
    let bench = match state {
        "missing" => Bench::new(),
        "only offsets" => Bench::new().found(&offset_record(0, 7)).loaded(),
        "empty" => empty(),
        "empty with a pending id" => {
            let mut bench = empty();
            bench.call(joins("late", 9, join_request("")));
            bench
        }
        "first rebalance" => {
            let mut bench = Bench::new();
            bench.call(join_old("app"));
            bench
        }
        "preparing" => preparing().0,
        "completing" => completing(),
        "stable" => stable(),
        "of another kind" => {
            let mut bench = Bench::new();
            bench.append(other_group(11, GROUP, true), false, None);
            bench
        }
        other => panic!("{other}"),
    };
    let group = bench.machine.classic(GROUP);
    let named = |id: Option<&String>, otherwise: &str| {
        id.map_or_else(|| otherwise.to_owned(), Clone::clone)
    };
    let pending = named(group.and_then(|group| group.pending.keys().next()), "nobody");
    let first = group.and_then(|group| group.leader.as_ref());
    let (leader, follower) = match state {
        "first rebalance" => (named(first, ""), named(first, "")),
        _ => ("a".to_owned(), "b".to_owned()),
    };
    let generation = group.map_or(GENERATION, |group| group.generation_id);
    Case { bench, leader, follower, pending, generation }
}

/// The first error in an answer.
fn error(reply: Reply) -> i16 {
    match reply {
        Reply::Join(answer) => answer.error_code,
        Reply::Sync(answer) => answer.error_code,
        Reply::Heartbeat(error) => error.code(),
        Reply::Leave(answer) => answer.members[0].error_code,
        Reply::ConsumerHeartbeat(answer) => answer.error_code,
        Reply::ConsumerDescribe(answer) => answer.error_code,
        Reply::Commit(answer) => answer.topics[0].partitions[0].error_code,
        Reply::Fetch(answer) => answer.topics[0].partitions[0].error_code,
        Reply::DeleteOffsets(answer) if answer.topics.is_empty() => answer.error_code,
        Reply::DeleteOffsets(answer) => answer.topics[0].partitions[0].error_code,
        Reply::Describe(groups) => groups[0].error_code,
        Reply::TransactionalCommit(answer) => answer.topics[0].partitions[0].error_code,
        Reply::List(_) | Reply::ForgetTopics(_) | Reply::EndTransaction => 0,
        Reply::Delete(outcomes) => outcomes[0].1.code(),
    }
}

/// Asks in each state for itself; the outcomes in the order of [`STATES`].
fn in_each(command: impl Fn(&Case) -> Command) -> [Option<i16>; 9] {
    STATES.map(|state| {
        let mut case = case(state);
        let command = command(&case);
        case.bench.call(command).answer.map(error)
    })
}

/// The same outcome in all states with a group, and one where there is none to be asked.
fn but_other(outcome: Option<i16>, other: i16) -> [Option<i16>; 9] {
    let mut outcomes = [outcome; 9];
    outcomes[8] = Some(other);
    outcomes
}

const P: Option<i16> = None;

fn codes(codes: [i16; 9]) -> [Option<i16>; 9] {
    codes.map(Some)
}

#[test]
fn joins_in_every_state() {
    assert_eq!(in_each(|_| join_old("app2")), but_other(P, 23));
    assert_eq!(in_each(|_| joins("app2", 4, join_request(""))), but_other(Some(79), 23));
    assert_eq!(in_each(|_| joins("app2", 9, static_join("i", ""))), but_other(P, 23));

    let [unknown, same, refused] = [25, 0, 23].map(Some);
    let pending = in_each(|case| rejoin(&case.pending));
    let expected = [unknown, unknown, unknown, P, unknown, unknown, unknown, unknown, refused];
    assert_eq!(pending, expected);
    let follower = in_each(|case| rejoin(&case.follower));
    assert_eq!(follower, [unknown, unknown, unknown, unknown, P, P, same, same, refused]);
    let leader = in_each(|case| rejoin(&case.leader));
    assert_eq!(leader, [unknown, unknown, unknown, unknown, P, P, same, P, refused]);
    let instance = in_each(|case| joins("app2", 9, static_join("i", &case.follower)));
    assert_eq!(instance, but_other(unknown, 23));
    let other_type = in_each(|_| {
        let protocol_type = "connect".to_owned();
        joins("app2", 3, JoinGroupRequest { protocol_type, ..join_request("") })
    });
    assert_eq!(other_type, [P, P, P, P, refused, refused, refused, refused, refused]);
}

#[test]
fn syncs_and_heartbeats_in_every_state() {
    let [unknown, rebalance, done] = [25, 27, 0].map(Some);
    let follower = in_each(|case| syncs(&case.follower, case.generation));
    let nobody = [unknown; 4];
    assert_eq!(follower[..4], nobody);
    assert_eq!(follower[4..], [rebalance, rebalance, P, done, unknown]);
    let leader = in_each(|case| syncs(&case.leader, case.generation));
    assert_eq!(leader[..4], nobody);
    assert_eq!(leader[4..], [rebalance, rebalance, done, done, unknown]);
    assert_eq!(in_each(|case| syncs("stranger", case.generation)), codes([25; 9]));
    let early = in_each(|case| syncs(&case.follower, case.generation + 1));
    assert_eq!(early, codes([25, 25, 25, 25, 22, 22, 22, 22, 25]));

    let beat = in_each(|case| beats(&case.follower, case.generation));
    assert_eq!(beat, codes([25, 25, 25, 25, 27, 27, 0, 0, 25]));
    assert_eq!(in_each(|case| beats("stranger", case.generation)), codes([25; 9]));
    let early = in_each(|case| beats(&case.follower, case.generation + 1));
    assert_eq!(early, codes([25, 25, 25, 25, 22, 22, 22, 22, 25]));
    assert_eq!(in_each(|case| beats(&case.pending, case.generation)), codes([25; 9]));
}

#[test]
fn leaves_in_every_state() {
    let member = in_each(|case| leaves(&[identity(&case.follower, None)]));
    assert_eq!(member, codes([25, 25, 25, 25, 0, 0, 0, 0, 25]));
    let pending = in_each(|case| leaves(&[identity(&case.pending, None)]));
    assert_eq!(pending, codes([25, 25, 25, 0, 25, 25, 25, 25, 25]));
    assert_eq!(in_each(|_| leaves(&[identity("", Some("i"))])), codes([25; 9]));
    assert_eq!(in_each(|_| leaves(&[identity("stranger", None)])), codes([25; 9]));
}

#[test]
fn offsets_in_every_state() {
    assert_eq!(in_each(|_| commits("", -1, 9)), codes([0, 0, 0, 0, 25, 25, 25, 25, 0]));
    let member = in_each(|case| commits(&case.follower, case.generation, 9));
    assert_eq!(member, codes([69, 25, 25, 25, 0, 0, 27, 0, 25]));
    let early = in_each(|case| commits(&case.follower, case.generation + 1, 9));
    assert_eq!(early, codes([69, 25, 25, 25, 22, 22, 22, 22, 25]));
    let outside = in_each(|case| commits(&case.follower, -1, 9));
    assert_eq!(outside, codes([0, 0, 0, 0, 22, 22, 22, 22, 0]));
    assert_eq!(in_each(|_| fetches(Some(&[0]), true)), codes([0; 9]));
    let read = in_each(|_| deletes("orders", &[0]));
    assert_eq!(read, codes([69, 0, 0, 0, 86, 86, 86, 86, 69]));
    // What a group reads is not known before its first generation.
    let unread = in_each(|_| deletes("payments", &[0]));
    assert_eq!(unread, codes([69, 0, 0, 0, 86, 0, 0, 0, 69]));
}

#[test]
fn offsets_of_transactions_in_every_state() {
    let commits = |member: &str, generation| {
        let request = transactional_request(member, generation, &[(0, 9)]);
        Command::TransactionalCommit(request, None)
    };
    assert_eq!(in_each(|_| commits("", -1)), codes([0; 9]));
    let member = in_each(|case| commits(&case.follower, case.generation));
    assert_eq!(member, codes([22, 25, 25, 25, 0, 0, 0, 0, 25]));
    let early = in_each(|case| commits(&case.follower, case.generation + 1));
    assert_eq!(early, codes([22, 25, 25, 25, 22, 22, 22, 22, 25]));
    let outside = in_each(|case| commits(&case.follower, -1));
    assert_eq!(outside, codes([0, 0, 0, 0, 22, 22, 22, 22, 0]));
    assert_eq!(in_each(|_| ends(4, true)), codes([0; 9]));
}

#[test]
fn administration_in_every_state() {
    let described = in_each(|_| Command::Describe(vec![GROUP.into()]));
    assert_eq!(described, codes([69, 0, 0, 0, 0, 0, 0, 0, 69]));
    let deleted = in_each(|_| Command::Delete(vec![GROUP.into()]));
    assert_eq!(deleted, codes([69, 0, 0, 0, 68, 68, 68, 68, 69]));
    for (index, state) in STATES.into_iter().enumerate() {
        let step = case(state).bench.call(Command::List);
        let Some(Reply::List(groups)) = step.answer else { panic!("{step:?}") };
        assert_eq!(groups.len(), usize::from((1..8).contains(&index)), "{state}");
    }
}
