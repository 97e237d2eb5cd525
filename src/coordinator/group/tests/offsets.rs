use super::*;
use crate::coordinator::group::classic::State;
use crate::wire::messages::offset_commit::{OffsetCommitRequest, OffsetCommitRequestPartition};
use crate::wire::messages::offset_fetch::{OffsetFetchRequestGroup, OffsetFetchResponseGroup};
use crate::wire::records::{MemberMetadata, OffsetCommitValue};

const NEXT: i32 = GENERATION + 1;

/// A group that has only an offset.
fn simple() -> Bench {
    Bench::new().found(&offset_record(0, 7)).loaded()
}

#[test]
fn offsets_without_members_make_a_group() {
    let mut bench = Bench::new();
    let partition = OffsetCommitRequestPartition {
        committed_leader_epoch: 5,
        committed_metadata: None,
        ..commit_partition(2, -3)
    };
    // Whoever says that it is outside of a generation may have any member id.
    let request = commit_request("anyone", -1, vec![partition, commit_partition(0, 4)]);
    bench.pass_to(100);
    let step = bench.call(Command::Commit(request, 9));
    let value = |value| OffsetCommitValue { commit_timestamp: NOW_MS + 100, ..value };
    let third = OffsetCommitValue { leader_epoch: 5, ..value(super::value(-3)) };
    let none = ErrorCode::None;
    let expected = answered(commit_answer(&[(2, none), (0, none)]))
        .writes(Record::Offset(key(2), Some(third)))
        .writes(Record::Offset(key(0), Some(value(super::value(4)))));
    assert_eq!(step, expected);
    let group = bench.group();
    assert_eq!((group.state, &group.protocol_type), (State::Empty, &None));
}

#[test]
fn a_retention_of_its_own_is_written_in_the_version_that_has_it() {
    let mut bench = Bench::new();
    let request = OffsetCommitRequest {
        retention_time_ms: 500,
        ..commit_request("", -1, vec![commit_partition(0, 4)])
    };
    let step = bench.call(Command::Commit(request, 2));
    let value = OffsetCommitValue { expire_timestamp: NOW_MS + 500, ..value(4) };
    let record = Record::Offset(key(0), Some(value));
    assert_eq!(GroupMachine::encode(&record).value.unwrap()[..2], [0, 1]);
    assert_eq!(step, answered(committed(ErrorCode::None)).writes(record));
}

#[test]
fn a_member_of_a_missing_group_is_told_so_as_its_version_can() {
    for version in 2..=10 {
        let request = commit_request("a", 0, vec![commit_partition(0, 4)]);
        let step = Bench::new().call(Command::Commit(request, version));
        let illegal = version < 9;
        let error = if illegal { ErrorCode::IllegalGeneration } else { ErrorCode::GroupIdNotFound };
        assert_eq!(step, answered(committed(error)), "version {version}");
    }
}

#[test]
fn members_of_the_generation_commit() {
    let (preparing, _) = preparing();
    for mut bench in [stable(), preparing] {
        bench.pass_to(4_000);
        bench.call(beats("b", GENERATION));
        let step = bench.call(commits("a", GENERATION, 9));
        let value = OffsetCommitValue { commit_timestamp: NOW_MS + 4_000, ..value(9) };
        let expected = answered(committed(ErrorCode::None));
        // A commit counts as a heartbeat.
        let expected = expected.writes(Record::Offset(key(0), Some(value)));
        assert_eq!(step, expected.due(4_000 + SESSION_MS));
    }
}

#[test]
fn others_do_not_commit_while_there_are_members() {
    let instance = |request: OffsetCommitRequest| OffsetCommitRequest {
        group_instance_id: Some("i".into()),
        ..request
    };
    let request = |id: &str, generation| {
        commit_request(id, generation, vec![commit_partition(0, 9), commit_partition(1, 9)])
    };
    let (preparing, _) = preparing();
    let cases = [(stable(), GENERATION), (preparing, GENERATION), (completing(), NEXT)];
    for (mut bench, generation) in cases {
        let due_ms = bench.due_ms();
        for (request, error) in [
            (request("", -1), ErrorCode::UnknownMemberId),
            (request("stranger", -1), ErrorCode::UnknownMemberId),
            (request("a", -1), ErrorCode::IllegalGeneration),
            (request("a", generation + 1), ErrorCode::IllegalGeneration),
            (request("stranger", generation), ErrorCode::UnknownMemberId),
            (request("", generation), ErrorCode::UnknownMemberId),
            (instance(request("a", generation)), ErrorCode::UnknownMemberId),
            (instance(request("", -1)), ErrorCode::UnknownMemberId),
        ] {
            let step = bench.call(Command::Commit(request, 9));
            let refused = answered(commit_answer(&[(0, error), (1, error)]));
            assert_eq!(step, Step { due_ms, ..refused });
        }
    }
    let mut bench = completing();
    let refused = answered(committed(ErrorCode::RebalanceInProgress)).due(SESSION_MS);
    assert_eq!(bench.call(commits("a", NEXT, 9)), refused);
}

#[test]
fn a_static_member_commits_under_its_own_id() {
    let record = group_record(GENERATION, 0, vec![static_record("i", "a", "one")]);
    let mut bench = Bench::new().found(&record).loaded();
    for (id, error) in [("a", ErrorCode::None), ("b", ErrorCode::FencedInstanceId)] {
        let request = OffsetCommitRequest {
            group_instance_id: Some("i".into()),
            ..commit_request(id, GENERATION, vec![commit_partition(0, 9)])
        };
        let step = bench.call(Command::Commit(request, 9));
        assert_eq!(step.answer, Some(committed(error)));
    }
}

#[test]
fn an_empty_group_takes_offsets_of_no_generation() {
    for mut bench in [empty(), simple()] {
        let step = bench.call(commits("a", -1, 9));
        assert_eq!(step, answered(committed(ErrorCode::None)).writes(offset_record(0, 9)));
        let step = bench.call(commits("a", GENERATION, 9));
        assert_eq!(step, answered(committed(ErrorCode::UnknownMemberId)));
        assert_eq!(bench.call(fetches(None, true)), answered(fetched(&[(0, 9, ErrorCode::None)])));
    }
}

#[test]
fn groups_of_another_kind_keep_their_offsets() {
    let mut bench = Bench::new().found(&offset_record(0, 7));
    bench.append(other_group(11, GROUP, true), false, None);
    let step = bench.call(commits("", -1, 9));
    assert_eq!(step, answered(committed(ErrorCode::None)).writes(offset_record(0, 9)));
    let step = bench.call(commits("a", 1, 9));
    assert_eq!(step, answered(committed(ErrorCode::UnknownMemberId)));
    let answer = fetched(&[(0, 9, ErrorCode::None)]);
    assert_eq!(bench.call(fetches(Some(&[0]), true)), answered(answer));
    assert_eq!(classic_groups(&bench.machine).count(), 0);
}

#[test]
fn metadata_is_measured_as_java_does() {
    let partition = |index, metadata: &str| OffsetCommitRequestPartition {
        committed_metadata: Some(metadata.into()),
        ..commit_partition(index, 1)
    };
    let mut bench = Bench::new();
    let partitions = vec![
        partition(0, "0123456789"),
        partition(1, "0123456789a"),
        // Three bytes each, one unit each; four bytes each, two units each.
        partition(2, &"\u{20ac}".repeat(10)),
        partition(3, &"\u{1F600}".repeat(6)),
    ];
    let step = bench.call(Command::Commit(commit_request("", -1, partitions), 9));
    let (none, large) = (ErrorCode::None, ErrorCode::OffsetMetadataTooLarge);
    let answer = commit_answer(&[(0, none), (1, large), (2, none), (3, large)]);
    assert_eq!((step.answer, step.records.len()), (Some(answer), 2));
}

#[test]
fn offsets_are_read_as_they_were_committed() {
    let mut bench = simple();
    let partition = OffsetCommitRequestPartition {
        committed_leader_epoch: 5,
        committed_metadata: Some("note".into()),
        ..commit_partition(1, 8)
    };
    bench.call(Command::Commit(commit_request("", -1, vec![partition]), 9));
    let none = ErrorCode::None;
    let Reply::Fetch(mut all) = fetched(&[(0, 7, none), (1, 8, none)]) else { unreachable!() };
    all.topics[0].partitions[1].committed_leader_epoch = 5;
    all.topics[0].partitions[1].metadata = Some("note".into());
    assert_eq!(bench.call(fetches(None, false)), answered(Reply::Fetch(all)));
    // Asked for one by one, in the order of the question.
    let answer = fetched(&[(9, -1, none), (0, 7, none), (0, 7, none), (-1, -1, none)]);
    assert_eq!(bench.call(fetches(Some(&[9, 0, 0, -1]), false)), answered(answer));
}

#[test]
fn a_missing_group_has_no_offsets() {
    for stable in [true, false] {
        let mut bench = Bench::new();
        let answer = fetched(&[(3, -1, ErrorCode::None)]);
        assert_eq!(bench.call(fetches(Some(&[3]), stable)), answered(answer));
        assert_eq!(bench.call(fetches(None, stable)), answered(fetched(&[])));
        // Another group's are not its own.
        let mut bench = simple();
        let request = OffsetFetchRequestGroup {
            group_id: "other".into(),
            topics: None,
            ..Default::default()
        };
        let step = bench.call(Command::Fetch(request, stable));
        let answer = OffsetFetchResponseGroup { group_id: "other".into(), ..Default::default() };
        assert_eq!(step, answered(Reply::Fetch(answer)));
    }
}

#[test]
fn offsets_are_deleted_of_topics_that_nobody_reads() {
    let with_offsets = |bench: Bench| bench.found(&offset_record(0, 7)).found(&offset_record(1, 8));
    let tombstone = |partition| Record::Offset(key(partition), None);
    for mut bench in [with_offsets(Bench::new()), with_offsets(empty())] {
        let step = bench.call(deletes("orders", &[1, 5, 0]));
        let answer = deleted("orders", &[1, 5, 0], ErrorCode::None);
        assert_eq!(step, answered(answer).writes(tombstone(1)).writes(tombstone(0)));
        assert_eq!(bench.call(fetches(None, true)), answered(fetched(&[])));
        assert!(bench.machine.groups.contains_key(GROUP), "the group stays");
    }
    let mut bench = with_offsets(stable());
    let step = bench.call(deletes("orders", &[0, 5]));
    let answer = deleted("orders", &[0, 5], ErrorCode::GroupSubscribedToTopic);
    assert_eq!(step, answered(answer).due(SESSION_MS));
    let step = bench.call(deletes("payments", &[0]));
    let answer = deleted("payments", &[0], ErrorCode::None);
    assert_eq!(step, answered(answer).due(SESSION_MS));
}

#[test]
fn what_a_group_reads_may_be_unknown() {
    let refused = deleted("payments", &[0], ErrorCode::GroupSubscribedToTopic);
    // Metadata that cannot be read: cut short, a list without end, null.
    for subscription in
        [&b"\0"[..], b"\0\0\x7f\xff\xff\xff", b"\0\0\xff\xff\xff\xff", b"\0\0\0\0\0\x01\0\x05a"]
    {
        let subscription = Bytes::from_static(subscription);
        let member = MemberMetadata { subscription, ..member_record("a", "one") };
        let mut bench = Bench::new().found(&group_record(GENERATION, 0, vec![member])).loaded();
        let step = bench.call(deletes("payments", &[0]));
        assert_eq!(step, answered(refused.clone()).due(SESSION_MS));
    }
    // Before the first generation.
    let mut bench = Bench::new();
    bench.call(join_old("app"));
    assert_eq!(bench.call(deletes("payments", &[0])), answered(refused).due(DELAY_MS));
}

#[test]
fn members_of_other_protocols_keep_offsets_from_being_deleted() {
    let mut value = group_value(GENERATION, 0, vec![member_record("a", "one")]);
    value.protocol_type = "connect".into();
    let record = Record::Group(GROUP.into(), Some(value));
    let mut bench = Bench::new().found(&record).loaded();
    let step = bench.call(deletes("orders", &[0]));
    assert_eq!(step, answered(delete_refused(ErrorCode::NonEmptyGroup)).due(SESSION_MS));
    let step = Bench::new().call(deletes("orders", &[0]));
    assert_eq!(step, answered(delete_refused(ErrorCode::GroupIdNotFound)));
}
