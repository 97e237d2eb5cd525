use super::*;
use crate::wire::messages::describe_groups::{DescribedGroup, DescribedGroupMember};
use crate::wire::messages::list_groups::ListedGroup;
use crate::wire::records::OffsetCommitKey;

fn describes(ids: &[&str]) -> Command {
    Command::Describe(ids.iter().map(|id| (*id).to_owned()).collect())
}

fn deletes_groups(ids: &[&str]) -> Command {
    Command::Delete(ids.iter().map(|id| (*id).to_owned()).collect())
}

fn outcomes(outcomes: &[(&str, ErrorCode)]) -> Reply {
    Reply::Delete(outcomes.iter().map(|(id, error)| ((*id).to_owned(), *error)).collect())
}

fn member(id: &str, metadata: Bytes, assignment: &'static str) -> DescribedGroupMember {
    DescribedGroupMember {
        member_id: id.into(),
        client_id: "client".into(),
        client_host: "/127.0.0.1".into(),
        member_metadata: metadata,
        member_assignment: Bytes::from_static(assignment.as_bytes()),
        ..Default::default()
    }
}

fn group(state: &str, protocol: &str, members: Vec<DescribedGroupMember>) -> DescribedGroup {
    DescribedGroup {
        group_id: GROUP.into(),
        group_state: state.into(),
        protocol_type: "consumer".into(),
        protocol_data: protocol.into(),
        members,
        ..Default::default()
    }
}

fn missing(id: &str, message: &str) -> DescribedGroup {
    DescribedGroup {
        error_code: ErrorCode::GroupIdNotFound.code(),
        error_message: Some(message.into()),
        group_id: id.into(),
        group_state: "Dead".into(),
        ..Default::default()
    }
}

#[test]
fn groups_are_described_in_every_state() {
    let describe = |mut bench: Bench| match bench.call(describes(&[GROUP])).answer {
        Some(Reply::Describe(groups)) => <[DescribedGroup; 1]>::try_from(groups).unwrap(),
        other => panic!("{other:?}"),
    };
    assert_eq!(describe(empty()), [group("Empty", "", vec![])]);
    let simple = Bench::new().found(&offset_record(0, 7));
    let untyped = DescribedGroup { protocol_type: String::new(), ..group("Empty", "", vec![]) };
    assert_eq!(describe(simple), [untyped]);

    let metadata = || subscribed(&["orders"]);
    let members = vec![member("a", metadata(), "one"), member("b", metadata(), "two")];
    assert_eq!(describe(stable()), [group("Stable", "range", members)]);

    // What was assigned is known until members await what comes next; metadata is not told.
    let unnamed = |id, assignment| member(id, Bytes::new(), assignment);
    let (preparing, _) = preparing();
    let id = preparing.id("client");
    let members = vec![unnamed("a", "one"), unnamed("b", "two"), unnamed(&id, "")];
    assert_eq!(describe(preparing), [group("PreparingRebalance", "", members)]);
    let members = vec![unnamed("a", "one"), unnamed("b", "two")];
    assert_eq!(describe(completing()), [group("CompletingRebalance", "", members)]);
    let mut again = completing();
    again.park(join_old("client"));
    let id = again.id("client");
    let members = vec![unnamed("a", ""), unnamed("b", ""), unnamed(&id, "")];
    assert_eq!(describe(again), [group("PreparingRebalance", "", members)]);
}

#[test]
fn static_members_are_described_with_their_instance() {
    let record = group_record(GENERATION, 0, vec![static_record("i", "a", "one")]);
    let mut bench = Bench::new().found(&record).loaded();
    let described = DescribedGroupMember {
        group_instance_id: Some("i".into()),
        ..member("a", subscribed(&["orders"]), "one")
    };
    let answer = Reply::Describe(vec![group("Stable", "range", vec![described])]);
    assert_eq!(bench.call(describes(&[GROUP])), answered(answer).due(SESSION_MS));
}

#[test]
fn a_missing_group_is_dead() {
    let mut bench = empty();
    bench.append(other_group(11, "other", true), false, None);
    let answer = Reply::Describe(vec![
        missing("x", "Group x not found."),
        group("Empty", "", vec![]),
        missing("other", "Group other is not a classic group."),
    ]);
    assert_eq!(bench.call(describes(&["x", GROUP, "other"])), answered(answer));
}

#[test]
fn all_groups_are_listed() {
    let listed = |mut bench: Bench| match bench.call(Command::List).answer {
        Some(Reply::List(mut groups)) => {
            groups.sort_by(|one, other| one.group_id.cmp(&other.group_id));
            groups
        }
        other => panic!("{other:?}"),
    };
    let group = |id: &str, protocol_type: &str, state: &str| ListedGroup {
        group_id: id.into(),
        protocol_type: protocol_type.into(),
        group_state: state.into(),
        group_type: "classic".into(),
    };
    assert_eq!(listed(Bench::new()), []);
    let simple = OffsetCommitKey { group: "f".into(), ..key(0) };
    let bench = empty().found(&Record::Offset(simple, Some(value(1))));
    assert_eq!(listed(bench), [group("f", "", "Empty"), group("g", "consumer", "Empty")]);
    assert_eq!(listed(stable()), [group("g", "consumer", "Stable")]);
    assert_eq!(listed(preparing().0), [group("g", "consumer", "PreparingRebalance")]);
    assert_eq!(listed(completing()), [group("g", "consumer", "CompletingRebalance")]);
}

#[test]
fn groups_without_members_are_deleted_with_their_offsets() {
    let mut bench = empty().found(&offset_record(1, 8)).found(&offset_record(0, 7));
    bench.call(joins("app", 9, join_request("")));
    let id = bench.id("app");
    let step = bench.call(deletes_groups(&[GROUP]));
    let tombstone = |partition| Record::Offset(key(partition), None);
    let expected = answered(outcomes(&[(GROUP, ErrorCode::None)]))
        .writes(tombstone(0))
        .writes(tombstone(1))
        .writes(Record::Group(GROUP.into(), None));
    assert_eq!(step, expected);
    assert!(bench.machine.groups.is_empty());
    assert_eq!(bench.call(fetches(None, true)), answered(fetched(&[])));
    // Whoever had been given an id is a stranger now.
    let step = bench.call(rejoin(&id));
    assert_eq!(step, answered(join_refused(ErrorCode::UnknownMemberId, &id)));
}

#[test]
fn groups_with_members_are_not_deleted() {
    for mut bench in [stable(), preparing().0, completing()] {
        let due_ms = bench.due_ms();
        let step = bench.call(deletes_groups(&[GROUP, "x"]));
        let answer =
            outcomes(&[(GROUP, ErrorCode::NonEmptyGroup), ("x", ErrorCode::GroupIdNotFound)]);
        assert_eq!(step, Step { due_ms, ..answered(answer) });
    }
    let mut first = Bench::new();
    first.call(join_old("app"));
    let step = first.call(deletes_groups(&[GROUP]));
    assert_eq!(step, answered(outcomes(&[(GROUP, ErrorCode::NonEmptyGroup)])).due(DELAY_MS));
}
