//! Offsets of consumer groups: members say their epoch.

use super::*;

/// Commits of one partition of `orders`.
fn commits_at(member_id: &str, epoch: i32, partition: i32, version: i16) -> Command {
    let partitions = vec![commit_partition(partition, 7)];
    let mut request = commit_request(member_id, epoch, partitions);
    request.topics[0].topic_id = topic_id("orders");
    Command::Commit(request, version)
}

fn outcome(bench: &mut Bench, command: Command) -> i16 {
    let Some(Reply::Commit(answer)) = bench.call(command).answer else { panic!() };
    answer.topics[0].partitions[0].error_code
}

#[test]
fn commits_are_checked_against_the_members_epoch() {
    let mut bench = settled();
    let cases = [
        (("a", 3, 0, 9), ErrorCode::None),
        // A partition may be committed at every epoch since it was assigned (KIP-1251).
        (("a", 2, 0, 9), ErrorCode::None),
        (("a", 2, 2, 9), ErrorCode::StaleMemberEpoch),
        (("a", 1, 0, 9), ErrorCode::StaleMemberEpoch),
        (("b", 2, 2, 9), ErrorCode::StaleMemberEpoch),
        (("b", 4, 2, 9), ErrorCode::StaleMemberEpoch),
        (("a", -1, 0, 9), ErrorCode::StaleMemberEpoch),
        (("c", 3, 0, 9), ErrorCode::UnknownMemberId),
        (("", -1, 0, 9), ErrorCode::UnknownMemberId),
        (("a", 3, 0, 8), ErrorCode::UnsupportedVersion),
        (("a", 2, 0, 2), ErrorCode::UnsupportedVersion),
    ];
    for ((member, epoch, partition, version), error) in cases {
        let command = commits_at(member, epoch, partition, version);
        assert_eq!(outcome(&mut bench, command), error.code(), "{member} at {epoch}");
    }
}

#[test]
fn what_is_to_be_given_back_can_still_be_committed() {
    let mut bench = two_members();
    bench.heartbeat(says("a", 2));
    assert_eq!(outcome(&mut bench, commits_at("a", 2, 3, 9)), 0);
}

#[test]
fn without_members_anyone_commits() {
    let mut bench = one_member();
    bench.heartbeat(says("a", -1));
    assert_eq!(outcome(&mut bench, commits_at("", -1, 0, 9)), 0);
    let error = ErrorCode::UnknownMemberId.code();
    assert_eq!(outcome(&mut bench, commits_at("a", 2, 0, 9)), error);
}

#[test]
fn questions_are_checked_against_the_members_epoch() {
    let mut bench = one_member();
    outcome(&mut bench, commits_at("a", 2, 0, 9));
    let cases = [
        (None, -1, ErrorCode::None),
        (Some("a"), 2, ErrorCode::None),
        (Some("a"), 1, ErrorCode::StaleMemberEpoch),
        (Some("a"), -1, ErrorCode::StaleMemberEpoch),
        (Some("b"), 2, ErrorCode::UnknownMemberId),
        (None, 2, ErrorCode::UnknownServerError),
    ];
    for (member_id, member_epoch, error) in cases {
        check_question(&mut bench, member_id, member_epoch, error);
    }
    bench.heartbeat(says("a", -1));
    check_question(&mut bench, None, -1, ErrorCode::None);
    check_question(&mut bench, None, 2, ErrorCode::UnknownMemberId);
}

fn check_question(bench: &mut Bench, member_id: Option<&str>, member_epoch: i32, error: ErrorCode) {
    let Command::Fetch(mut request, stable) = fetches(Some(&[0]), true) else { panic!() };
    request.member_id = member_id.map(str::to_owned);
    request.member_epoch = member_epoch;
    let step = bench.call(Command::Fetch(request, stable));
    let Some(Reply::Fetch(answer)) = step.answer else { panic!() };
    assert_eq!(answer.error_code, error.code(), "{member_id:?} at {member_epoch}");
    assert_eq!(answer.topics.is_empty(), error != ErrorCode::None);
}

#[test]
fn offsets_of_topics_that_are_read_stay() {
    let mut bench = one_member();
    outcome(&mut bench, commits_at("a", 2, 0, 9));
    let step = bench.call(deletes("orders", &[0]));
    assert_eq!(step, answered(deleted("orders", &[0], ErrorCode::GroupSubscribedToTopic)));
    let step = bench.call(deletes("payments", &[0]));
    assert_eq!(step, answered(deleted("payments", &[0], ErrorCode::None)));
    bench.heartbeat(says("a", -1));
    let step = bench.call(deletes("orders", &[0]));
    assert_eq!(step.records, [Record::Offset(key(0), None)]);
}

#[test]
fn commits_with_a_transaction_are_checked_against_the_members_epoch() {
    let mut bench = settled();
    let (none, illegal) = (ErrorCode::None, ErrorCode::IllegalGeneration);
    let cases = [
        (("a", 3, 0), none),
        (("a", 2, 0), none),
        (("a", 2, 2), illegal),
        (("a", 1, 0), illegal),
        (("b", 2, 2), illegal),
        (("b", 4, 2), illegal),
        (("a", -1, 0), illegal),
        (("c", 3, 0), ErrorCode::UnknownMemberId),
        // Old clients do not say who they are.
        (("", -1, 0), none),
        (("", -2, 0), ErrorCode::UnknownMemberId),
    ];
    for ((member, epoch, partition), error) in cases {
        let request = transactional_request(member, epoch, &[(partition, 7)]);
        let step = bench.call(Command::TransactionalCommit(request, None));
        let answer = transactional_answer(&[(partition, error)]);
        assert_eq!(step.answer, Some(answer), "{member} at {epoch}");
    }
    // Of a topic that does not exist no member has a partition.
    let mut request = transactional_request("a", 2, &[(0, 7)]);
    request.topics[0].name = "gone".into();
    let step = bench.call(Command::TransactionalCommit(request.clone(), None));
    let refused = crate::coordinator::group::transactional_commit_refused(&request, illegal);
    assert_eq!(step.answer, Some(Reply::TransactionalCommit(refused)));
}
