//! Offsets of transactions: held back until a marker decides.

use super::*;

const NONE: ErrorCode = ErrorCode::None;
const UNSTABLE: ErrorCode = ErrorCode::UnstableOffsetCommit;

impl Bench {
    /// A producer commits an offset in its transaction.
    fn holds(&mut self, producer_id: i64, partition: i32, offset: i64) {
        let raw = GroupMachine::encode(&offset_record(partition, offset));
        self.append(raw, false, Some(producer_id));
    }

    fn decides(&mut self, producer_id: i64, commit: bool) {
        self.append(marker(commit), true, Some(producer_id));
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
