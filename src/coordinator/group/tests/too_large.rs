//! Records that the log would refuse.

use super::*;
use crate::coordinator::group::classic::State;
use crate::coordinator::group::commit_refused;
use crate::records::BatchBuilder;
use crate::wire::messages::join_group::{JoinGroupRequest, JoinGroupResponse};
use crate::wire::messages::offset_commit::{OffsetCommitRequest, OffsetCommitRequestPartition};

const NEXT: i32 = GENERATION + 1;

#[test]
fn an_assignment_that_is_too_large_means_another_rebalance() {
    let mut bench = stable_in(Bench::limited(500));
    let a = bench.park(rejoin("a"));
    bench.call(rejoin("b"));
    assert!(!bench.waiting.contains(&a));
    let b = bench.park(syncs("b", NEXT));
    let large: &'static str = Box::leak("x".repeat(400).into_boxed_str());
    let step = bench.call(assigns("a", NEXT, &[("a", large)]));
    let refused = sync_refused(ErrorCode::UnknownServerError);
    assert_eq!(step, answered(refused.clone()).tells(b, refused).due(SESSION_MS));
    let group = bench.group();
    assert_eq!(group.state, State::PreparingRebalance);
    assert!(group.members.values().all(|member| member.assignment.is_empty()));
    // With less it works.
    bench.park(rejoin("a"));
    bench.call(rejoin("b"));
    let step = bench.call(assigns("a", NEXT + 1, &[("a", "one")]));
    assert_eq!(step.answer, Some(synced("one")));
}

#[test]
fn a_static_member_that_is_too_large_is_not_taken_back() {
    let members = vec![static_record("i", "a", "one"), static_record("j", "b", "two")];
    let record = group_record(GENERATION, 0, members);
    for (version, instance) in [(9, "i"), (9, "j"), (5, "i"), (5, "j")] {
        let mut bench = Bench::limited(500).found(&record).loaded();
        bench.pass_to(1_000);
        let protocols = vec![protocol("range", "x".repeat(400).into())];
        let request = JoinGroupRequest { protocols, ..static_join(instance, "") };
        let step = bench.call(joins("client", version, request));
        let answer = JoinGroupResponse {
            error_code: ErrorCode::UnknownServerError.code(),
            ..joined(GENERATION, "a", "")
        };
        // The other one goes on, with the session it had.
        assert_eq!(step, answered(Reply::Join(answer)).due(SESSION_MS));
        for id in ["a", "b"] {
            let step = bench.call(beats(id, GENERATION));
            assert_eq!(step.answer, Some(beat(ErrorCode::None)));
        }
    }
}

fn commit(count: i32, metadata_bytes: usize) -> OffsetCommitRequest {
    let partition = |partition_index| OffsetCommitRequestPartition {
        committed_metadata: Some("x".repeat(metadata_bytes)),
        ..commit_partition(partition_index, 1)
    };
    commit_request("", -1, (0..count).map(partition).collect())
}

#[test]
fn offsets_that_are_too_large_together_are_refused_together() {
    let mut bench = Bench::limited(1_000);
    let step = bench.call(Command::Commit(commit(20, 10), 9));
    let refused = commit_refused(&commit(20, 10), ErrorCode::UnknownServerError);
    assert_eq!(step, answered(Reply::Commit(refused)));
    assert!(bench.machine.groups.is_empty());
    let step = bench.call(Command::Commit(commit(5, 10), 9));
    assert_eq!(step.records.len(), 5);
}

#[test]
fn no_batch_is_larger_than_the_log_allows() {
    for (count, metadata_bytes) in [(1, 0), (1, 10), (7, 10), (60, 3)] {
        let written = |limit: usize| {
            let command = Command::Commit(commit(count, metadata_bytes), 9);
            Bench::limited(limit).call(command).records
        };
        let limits: Vec<usize> = (0..10_000).collect();
        let limit = limits.partition_point(|limit| written(*limit).is_empty());
        let mut builder = BatchBuilder::new(1 << 40, 1);
        for record in written(limit) {
            let KeyValue { key, value } = GroupMachine::encode(&record);
            builder.push(NOW_MS, key.as_deref(), value.as_deref());
        }
        let size = builder.build().len();
        let spare = 20 * count as usize;
        assert!((size..=size + spare).contains(&limit), "{count}: {limit} for {size} bytes");
    }
}

/// A group with more offsets than one batch can delete.
fn with_many_offsets() -> Bench {
    (0..30).fold(Bench::limited(1_000), |bench, index| bench.found(&offset_record(index, 7)))
}

#[test]
fn what_cannot_be_deleted_at_once_is_not_deleted() {
    let mut bench = with_many_offsets().loaded();
    let step = bench.call(Command::Delete(vec![GROUP.into()]));
    let refused = Reply::Delete(vec![(GROUP.into(), ErrorCode::UnknownServerError)]);
    assert_eq!(step, answered(refused));
    let all: Vec<i32> = (0..30).collect();
    let step = bench.call(deletes("orders", &all));
    assert_eq!(step, answered(delete_refused(ErrorCode::UnknownServerError)));
    // In parts it works.
    for part in [&all[..15], &all[15..]] {
        assert_eq!(bench.call(deletes("orders", part)).records.len(), 15);
    }
    let deleted = Reply::Delete(vec![(GROUP.into(), ErrorCode::None)]);
    assert_eq!(bench.call(Command::Delete(vec![GROUP.into()])).answer, Some(deleted));
}

#[test]
fn offsets_of_a_deleted_topic_go_in_several_batches() {
    let mut bench = with_many_offsets().loaded();
    let forget = || Command::ForgetTopics(vec!["payments".into(), "orders".into()]);
    let mut forgotten = 0;
    loop {
        let step = bench.call(forget());
        forgotten += step.records.len();
        if step.answer == Some(Reply::ForgetTopics(false)) {
            break;
        }
        assert_eq!(step.answer, Some(Reply::ForgetTopics(true)));
        assert!(!step.records.is_empty());
    }
    assert_eq!(forgotten, 30);
    assert_eq!(bench.call(forget()), answered(Reply::ForgetTopics(false)));
    assert!(bench.machine.groups.contains_key(GROUP));
}
