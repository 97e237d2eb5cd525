//! Offsets of transactions: held back until a marker decides.

use super::*;
use crate::coordinator::group::transactional_commit_refused;
use crate::wire::messages::txn_offset_commit::TxnOffsetCommitRequest;
use crate::wire::records::{OffsetCommitKey, OffsetCommitValue};

const NONE: ErrorCode = ErrorCode::None;
const UNSTABLE: ErrorCode = ErrorCode::UnstableOffsetCommit;

impl Bench {
    /// A producer commits an offset in its transaction.
    fn holds(&mut self, producer_id: i64, partition: i32, offset: i64) {
        let request = TxnOffsetCommitRequest {
            producer_id,
            ..transactional_request("", -1, &[(partition, offset)])
        };
        let step = self.call(Command::TransactionalCommit(request, None));
        assert_eq!(step.answer, Some(transactional_answer(&[(partition, NONE)])));
    }

    fn decides(&mut self, producer_id: i64, commit: bool) {
        let step = self.call(ends(producer_id, commit));
        assert_eq!(step, answered(Reply::EndTransaction).writes(Record::EndTransaction(commit, 3)));
    }

    /// What a commit on behalf of a member is answered.
    fn commits_for(&mut self, member_id: &str, generation: i32) -> ErrorCode {
        let request = transactional_request(member_id, generation, &[(0, 9)]);
        self.commits_as(request)
    }

    fn commits_as(&mut self, request: TxnOffsetCommitRequest) -> ErrorCode {
        let step = self.call(Command::TransactionalCommit(request, None));
        let Some(Reply::TransactionalCommit(answer)) = step.answer else { panic!("{step:?}") };
        let code = answer.topics[0].partitions[0].error_code;
        assert_eq!(step.records.len(), usize::from(code == 0));
        let errors = [
            NONE,
            ErrorCode::IllegalGeneration,
            ErrorCode::UnknownMemberId,
            ErrorCode::FencedInstanceId,
            ErrorCode::UnknownServerError,
        ];
        errors.into_iter().find(|error| error.code() == code).unwrap()
    }

    /// What is told of partition 0, to those who want what is certain and to others.
    fn read(&mut self) -> [(i64, ErrorCode); 2] {
        [true, false].map(|stable| {
            let Some(Reply::Fetch(mut answer)) = self.call(fetches(Some(&[0]), stable)).answer
            else {
                panic!("no offsets");
            };
            let partition = answer.topics.remove(0).partitions.remove(0);
            let error = [NONE, UNSTABLE].into_iter().find(|it| it.code() == partition.error_code);
            (partition.committed_offset, error.unwrap())
        })
    }
}

#[test]
fn a_marker_decides() {
    for commit in [true, false] {
        let mut bench = Bench::new().found(&offset_record(0, 1));
        bench.holds(4, 0, 2);
        assert_eq!(bench.read(), [(-1, UNSTABLE), (1, NONE)]);
        // The marker of another transaction.
        bench.decides(5, true);
        assert_eq!(bench.read(), [(-1, UNSTABLE), (1, NONE)]);
        bench.decides(4, commit);
        assert_eq!(bench.read(), [(if commit { 2 } else { 1 }, NONE); 2]);
    }
}

#[test]
fn the_group_of_an_undecided_offset_exists() {
    let mut bench = Bench::new();
    bench.holds(4, 0, 2);
    assert_eq!(bench.read(), [(-1, UNSTABLE), (-1, NONE)]);
    // All offsets are those that are decided.
    assert_eq!(bench.call(fetches(None, true)), answered(fetched(&[])));
    assert_eq!(bench.call(fetches(None, false)), answered(fetched(&[])));
    bench.decides(4, false);
    assert_eq!(bench.read(), [(-1, NONE); 2]);
    assert!(bench.machine.groups.contains_key(GROUP));
}

#[test]
fn all_offsets_that_are_asked_for_may_be_undecided() {
    let mut bench = Bench::new().found(&offset_record(0, 1)).found(&offset_record(1, 1));
    bench.holds(4, 1, 2);
    let answer = fetched(&[(0, 1, NONE), (1, -1, UNSTABLE)]);
    assert_eq!(bench.call(fetches(None, true)), answered(answer));
    let answer = fetched(&[(0, 1, NONE), (1, 1, NONE)]);
    assert_eq!(bench.call(fetches(None, false)), answered(answer));
}

#[test]
fn the_offset_that_stands_later_in_the_log_counts() {
    let mut bench = Bench::new();
    bench.holds(4, 0, 2);
    bench.call(commits("", -1, 3));
    bench.decides(4, true);
    assert_eq!(bench.read(), [(3, NONE); 2], "it was committed after the transaction's");

    bench.holds(4, 0, 4);
    bench.holds(5, 0, 5);
    bench.holds(4, 0, 6);
    bench.decides(4, true);
    assert_eq!(bench.read(), [(-1, UNSTABLE), (6, NONE)]);
    bench.decides(5, true);
    assert_eq!(bench.read(), [(6, NONE); 2]);
}

#[test]
fn what_is_deleted_is_not_brought_back_by_a_marker() {
    let mut bench = Bench::new().found(&offset_record(0, 1));
    bench.holds(4, 0, 2);
    bench.holds(4, 1, 2);
    let step = bench.call(deletes("orders", &[0, 1]));
    let tombstone = |partition| Record::Offset(key(partition), None);
    let expected = answered(deleted("orders", &[0, 1], NONE));
    assert_eq!(step, expected.writes(tombstone(0)).writes(tombstone(1)));
    assert_eq!(bench.read(), [(-1, NONE); 2]);
    bench.decides(4, true);
    assert_eq!(bench.read(), [(-1, NONE); 2]);

    // With its group.
    let mut bench = Bench::new().found(&offset_record(0, 1));
    bench.holds(4, 0, 2);
    bench.holds(4, 1, 2);
    let step = bench.call(Command::Delete(vec![GROUP.into()]));
    let expected = answered(Reply::Delete(vec![(GROUP.into(), NONE)]))
        .writes(tombstone(0))
        .writes(tombstone(1))
        .writes(Record::Group(GROUP.into(), None));
    assert_eq!(step, expected);
    bench.decides(4, true);
    assert_eq!(bench.call(fetches(None, true)), answered(fetched(&[])));
    assert!(bench.machine.groups.is_empty());
}

#[test]
fn a_restart_forgets_no_transaction() {
    let mut bench = Bench::new().found(&offset_record(0, 1));
    bench.holds(4, 0, 2);
    bench.restart();
    assert_eq!(bench.read(), [(-1, UNSTABLE), (1, NONE)]);
    bench.decides(4, true);
    assert_eq!(bench.read(), [(2, NONE); 2]);
}

#[test]
fn one_offset_may_wait_for_several_transactions() {
    let mut bench = Bench::new().found(&offset_record(0, 1));
    bench.holds(4, 0, 2);
    bench.holds(5, 0, 3);
    bench.decides(5, false);
    assert_eq!(bench.read(), [(-1, UNSTABLE), (1, NONE)]);
    bench.holds(5, 0, 4);
    bench.decides(4, true);
    assert_eq!(bench.read(), [(-1, UNSTABLE), (2, NONE)]);
    bench.decides(5, true);
    assert_eq!(bench.read(), [(4, NONE); 2]);
}

#[test]
fn a_marker_of_a_producer_that_has_nothing_here_is_written_and_makes_no_group() {
    for commit in [true, false] {
        let mut bench = Bench::new();
        bench.decides(4, commit);
        assert!(bench.machine.groups.is_empty());
        bench.restart();
        bench.decides(4, commit);
        assert_eq!(bench.read(), [(-1, NONE); 2]);
    }
}

#[test]
fn offsets_of_a_deleted_topic_are_not_brought_back() {
    let mut bench = Bench::new().found(&offset_record(0, 1));
    bench.holds(4, 0, 2);
    bench.holds(4, 1, 2);
    let step = bench.call(Command::ForgetTopics(vec!["orders".into()]));
    let tombstone = |partition| Record::Offset(key(partition), None);
    let expected = answered(Reply::ForgetTopics(false));
    assert_eq!(step, expected.writes(tombstone(0)).writes(tombstone(1)));
    bench.decides(4, true);
    assert_eq!(bench.call(fetches(None, true)), answered(fetched(&[])));
}

#[test]
fn a_commit_makes_a_group_and_has_no_topic_id_and_no_end() {
    let mut bench = Bench::new();
    bench.image = Arc::new(MetadataImage::of_topics(10, &[("orders", 4)]));
    bench.pass_to(100);
    let mut request = transactional_request("anyone", -1, &[(2, -3), (0, 4)]);
    request.topics[0].partitions[0].committed_leader_epoch = 5;
    request.topics[0].partitions[1].committed_metadata = None;
    let mut other = request.topics[0].clone();
    other.name = "payments".into();
    other.partitions.truncate(1);
    request.topics.push(other);
    let step = bench.call(Command::TransactionalCommit(request, None));
    let value = |value| OffsetCommitValue { commit_timestamp: NOW_MS + 100, ..value };
    let third = OffsetCommitValue { leader_epoch: 5, ..value(super::value(-3)) };
    let payments = OffsetCommitKey { topic: "payments".into(), ..key(2) };
    let written = [
        Record::Offset(key(2), Some(third.clone())),
        Record::Offset(key(0), Some(value(super::value(4)))),
        Record::Offset(payments, Some(third)),
    ];
    assert_eq!(step.records, written);
    let Some(Reply::TransactionalCommit(answer)) = step.answer else { panic!() };
    let named = answer.topics.iter().map(|topic| (&*topic.name, topic.partitions.len()));
    assert_eq!(named.collect::<Vec<_>>(), [("orders", 2), ("payments", 1)]);
    assert_eq!(bench.group().protocol_type, None);
}

#[test]
fn metadata_that_is_too_large_is_refused_for_its_partition() {
    let mut bench = Bench::new();
    let mut request = transactional_request("", -1, &[(0, 1), (1, 1)]);
    request.topics[0].partitions[0].committed_metadata = Some("x".repeat(11));
    let step = bench.call(Command::TransactionalCommit(request.clone(), None));
    let too_large = ErrorCode::OffsetMetadataTooLarge;
    assert_eq!(step.answer, Some(transactional_answer(&[(0, too_large), (1, NONE)])));
    assert_eq!(step.records.len(), 1);
    // Nothing but that: nothing is written.
    request.topics[0].partitions.truncate(1);
    let step = bench.call(Command::TransactionalCommit(request, None));
    assert_eq!(step, answered(transactional_answer(&[(0, too_large)])));
}

#[test]
fn offsets_that_no_batch_can_hold_are_refused_together() {
    let mut bench = Bench::limited(1_000);
    let offsets: Vec<_> = (0..30).map(|partition| (partition, 1)).collect();
    let request = transactional_request("", -1, &offsets);
    let step = bench.call(Command::TransactionalCommit(request.clone(), None));
    let refused = transactional_commit_refused(&request, ErrorCode::UnknownServerError);
    assert_eq!(step, answered(Reply::TransactionalCommit(refused)));
    assert!(bench.machine.groups.is_empty());
}

#[test]
fn who_says_that_it_is_a_member_must_be_one_of_the_generation() {
    let illegal = ErrorCode::IllegalGeneration;
    let unknown = ErrorCode::UnknownMemberId;
    let (preparing, _) = preparing();
    // A rebalance is no reason, and old clients say nothing.
    let benches = [(stable(), GENERATION), (preparing, GENERATION), (completing(), GENERATION + 1)];
    for (mut bench, generation) in benches {
        assert_eq!(bench.commits_for("", -1), NONE);
        assert_eq!(bench.commits_for("a", generation), NONE);
        assert_eq!(bench.commits_for("a", generation - 1), illegal);
        assert_eq!(bench.commits_for("a", -1), illegal);
        assert_eq!(bench.commits_for("c", generation), unknown);
        assert_eq!(bench.commits_for("", generation), unknown);
        assert_eq!(bench.commits_for("c", -1), unknown);
    }
    let mut bench = empty();
    assert_eq!(bench.commits_for("anyone", -1), NONE);
    assert_eq!(bench.commits_for("a", GENERATION), unknown);
    let mut missing = Bench::new();
    assert_eq!(missing.commits_for("a", 0), illegal);
    assert!(missing.machine.groups.is_empty());
}

#[test]
fn a_static_member_that_was_replaced_is_fenced() {
    let members = vec![static_record("i", "a", "one")];
    let mut bench = Bench::new().found(&group_record(GENERATION, 0, members)).loaded();
    let mut with = |instance: &str, member: &str, generation| {
        let group_instance_id = Some(instance.to_owned());
        let request = transactional_request(member, generation, &[(0, 9)]);
        bench.commits_as(TxnOffsetCommitRequest { group_instance_id, ..request })
    };
    assert_eq!(with("i", "a", GENERATION), NONE);
    assert_eq!(with("i", "b", GENERATION), ErrorCode::FencedInstanceId);
    assert_eq!(with("i", "", -1), ErrorCode::FencedInstanceId);
    assert_eq!(with("j", "a", GENERATION), ErrorCode::UnknownMemberId);
}

#[test]
fn a_commit_with_a_transaction_is_no_heartbeat() {
    let mut bench = stable();
    bench.pass_to(SESSION_MS - 1);
    assert_eq!(bench.commits_for("a", GENERATION), NONE);
    assert_eq!(bench.due_ms(), Some(SESSION_MS));
}

#[test]
fn without_a_producer_nothing_is_committed() {
    let request = transactional_request("", -1, &[(0, 9)]);
    for wrong in [
        TxnOffsetCommitRequest { producer_id: -1, ..request.clone() },
        TxnOffsetCommitRequest { producer_epoch: -1, ..request },
    ] {
        assert_eq!(Bench::new().commits_as(wrong), ErrorCode::UnknownServerError);
    }
}
