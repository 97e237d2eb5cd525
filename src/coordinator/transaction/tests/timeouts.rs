use super::*;
use crate::coordinator::group::TopicPattern;

#[test]
fn a_transaction_is_aborted_by_the_first_check_after_its_time_out() {
    let mut bench = Bench::new();
    bench.now_ms += 3;
    let producer = bench.open(0);
    bench.advance(69_996);
    assert_eq!(bench.state(), State::Ongoing);
    bench.advance(1);
    assert_eq!(bench.state(), State::PrepareAbort);
    assert_eq!(bench.markers[0].producer, raised(producer, 1));
    bench.finish();
    assert_eq!(bench.transaction().producer, raised(producer, 1));
}

#[test]
fn a_transaction_in_time_is_not_aborted() {
    let mut bench = Bench::new();
    let producer = bench.open(2);
    bench.advance(60_000);
    assert_eq!(bench.state(), State::Ongoing, "its time-out is not over, only as long as that");
    assert_eq!(bench.end(producer, true, 2), Reply::Producer(raised(producer, 1)));
    bench.finish();
    bench.advance(3_600_000);
    assert_eq!(bench.state(), State::CompleteCommit);
}

#[test]
fn before_version_2_a_time_out_raises_the_epoch_once() {
    let mut bench = Bench::of_version(1);
    let producer = bench.open(0);
    bench.advance(70_000);
    assert_eq!(bench.markers[0].producer, raised(producer, 1));
    assert_eq!(bench.markers[0].transaction_version, 0);
    bench.finish();
    assert_eq!(bench.init(None), Reply::Producer(raised(producer, 2)));
}

#[test]
fn a_time_out_waits_for_a_producer_id() {
    let mut bench = Bench::new();
    let last = bench.exhausted();
    bench.add(last, &[0], 2);
    bench.ids.left.store(0, Ordering::Relaxed);
    bench.advance(70_000);
    assert_eq!(bench.state(), State::Ongoing);
    bench.ids.left.store(1, Ordering::Relaxed);
    bench.advance(100);
    assert_eq!(bench.state(), State::PrepareAbort);
}

#[test]
fn an_id_that_is_not_used_for_long_is_forgotten() {
    const WEEK_MS: i64 = 7 * 24 * 3_600_000;
    let mut bench = Bench::new();
    let producer = bench.open(2);
    bench.end(producer, true, 2);
    bench.finish();
    bench.advance(WEEK_MS - 1);
    assert_eq!(bench.state(), State::CompleteCommit);
    bench.advance(3_600_000);
    assert!(bench.machine.entries.is_empty());
    assert_eq!(bench.machine.next_deadline(), None, "nothing is left to look at");
    bench.restart();
    assert!(bench.machine.entries.is_empty());
    assert_eq!(bench.producer(), Producer { id: producer.id + 1, epoch: 0 });
}

#[test]
fn many_ids_are_forgotten_in_few_batches() {
    let mut bench = Bench::new();
    for number in 0..2_500 {
        let init = Init { id: format!("id-{number}"), timeout_ms: 1, expected: None };
        bench.ask(Command::Init(init));
    }
    bench.now_ms += 8 * 24 * 3_600_000;
    let outcome = bench.machine.tick(bench.now());
    assert_eq!(outcome.batch.as_ref().map(|batch| batch.records.len()), Some(1_000));
    bench.settle(outcome);
    bench.tick_what_is_due();
    assert!(bench.machine.entries.is_empty());
}

#[test]
fn operators_see_what_passes_every_filter() {
    let mut bench = Bench::new();
    let producer = bench.open(2);
    bench.ask(Command::Init(Init { id: "other".into(), timeout_ms: 5, expected: None }));
    bench.now_ms += 1_000;
    let mut listed = |filters: Filters| match bench.ask(Command::List(filters)) {
        Reply::Listed(mut listed) => {
            listed.sort_by(|one, other| one.transactional_id.cmp(&other.transactional_id));
            let ids = listed.into_iter().map(|it| (it.transactional_id, it.transaction_state));
            ids.collect::<Vec<_>>()
        }
        other => panic!("{other:?}"),
    };
    let all = Filters { duration_ms: -1, ..Filters::default() };
    let own = vec![(ID.to_owned(), "Ongoing".to_owned())];
    assert_eq!(listed(all.clone()).len(), 2);
    assert_eq!(listed(Filters { states: Some(vec![State::Ongoing]), ..all.clone() }), own);
    assert_eq!(listed(Filters { states: Some(Vec::new()), ..all.clone() }), []);
    assert_eq!(listed(Filters { producer_ids: vec![producer.id, 1], ..all.clone() }), own);
    let pattern = TopicPattern::new("pay.*").ok();
    assert_eq!(listed(Filters { pattern, ..all.clone() }), own);
    // What has not begun lasts since the beginning of time.
    let long: Vec<_> = listed(Filters { duration_ms: 1_000, ..all.clone() });
    assert_eq!(long, [("other".to_owned(), "Empty".to_owned())]);
    assert_eq!(listed(Filters { duration_ms: 999, ..all }).len(), 2);

    let described = match bench.ask(Command::Describe(ID.into())) {
        Reply::Described(described) => described,
        other => panic!("{other:?}"),
    };
    assert_eq!(described.transaction_state, "Ongoing");
    assert_eq!(described.transaction_start_time_ms, NOW_MS);
    assert_eq!(described.topics[0].partitions, [0, 1]);
    let unknown = bench.ask(Command::Describe("nobody".into()));
    assert_eq!(unknown, refused(ErrorCode::TransactionalIdNotFound));
}
