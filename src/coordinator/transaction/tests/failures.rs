//! Failures that other brokers have shipped, each by its name.

use super::*;

#[test]
fn a_doubled_end_is_answered_as_the_first() {
    for version in [0, 2] {
        let mut bench = Bench::new();
        let producer = bench.open(version);
        let first = bench.end(producer, true, version);
        let second = bench.send(end(producer, true, version));
        assert_eq!(bench.answer(second), None, "it waits for the markers");
        bench.finish();
        assert_eq!(bench.answer(second), Some(first.clone()));
        assert_eq!(bench.end(producer, true, version), first);
        let states = [State::Empty, State::Ongoing, State::PrepareCommit, State::CompleteCommit];
        assert_eq!(bench.log.len(), states.len(), "one end is in the log");
    }
}

#[test]
fn an_end_delayed_past_the_next_begin_does_not_end_it() {
    let mut bench = Bench::new();
    let producer = bench.open(2);
    let next = raised(producer, 1);
    assert_eq!(bench.end(producer, false, 2), Reply::Producer(next));
    bench.finish();
    assert_eq!(bench.add(next, &[0], 2), Reply::Done);
    for committed in [true, false] {
        assert_eq!(bench.end(producer, committed, 2), refused(ErrorCode::ProducerFenced));
    }
    assert_eq!(bench.state(), State::Ongoing);
}

#[test]
fn a_prepared_commit_is_finished_after_a_restart() {
    for (committed, state) in [(true, State::CompleteCommit), (false, State::CompleteAbort)] {
        let mut bench = Bench::new();
        let producer = bench.open(2);
        bench.end(producer, committed, 2);
        let before = bench.markers.clone();
        bench.restart();
        assert_eq!(bench.markers, before);
        bench.finish();
        assert_eq!(bench.state(), state);
        assert_eq!(bench.add(raised(producer, 1), &[0], 2), Reply::Done);
    }
}

#[test]
fn a_retry_of_init_producer_id_after_a_restart_gets_the_same_epoch() {
    let mut bench = Bench::new();
    let first = bench.producer();
    let second = raised(first, 1);
    assert_eq!(bench.init(Some(first)), Reply::Producer(second));
    bench.restart();
    assert_eq!(bench.init(Some(first)), Reply::Producer(second));

    // Not so if somebody else has taken over.
    let mut bench = Bench::new();
    let first = bench.producer();
    bench.producer();
    bench.restart();
    assert_eq!(bench.init(Some(first)), refused(ErrorCode::ProducerFenced));
}

#[test]
fn a_retry_at_the_last_epoch_survives_a_restart_too() {
    let mut bench = Bench::new();
    let last = bench.exhausted();
    let next = Producer { id: last.id + 1, epoch: 0 };
    assert_eq!(bench.init(Some(last)), Reply::Producer(next));
    bench.restart();
    assert_eq!(bench.init(Some(last)), Reply::Producer(next));
}

#[test]
fn an_end_at_the_last_epoch_goes_on_with_the_new_producer_id() {
    let mut bench = Bench::new();
    let last = bench.exhausted();
    bench.add(last, &[0], 2);
    let next = Producer { id: last.id + 1, epoch: 0 };
    assert_eq!(bench.end(last, true, 2), Reply::Producer(next));
    // The marker still is of the old id, with the epoch that no client gets.
    assert_eq!(bench.markers[0].producer, Producer { id: last.id, epoch: i16::MAX });
    bench.restart();
    bench.finish();
    assert_eq!(bench.end(last, true, 2), Reply::Producer(next), "its answer was lost");
    assert_eq!(bench.end(last, false, 2), refused(ErrorCode::InvalidTxnState));
    assert_eq!(bench.add(next, &[1], 2), Reply::Done);
    assert_eq!(bench.end(next, false, 2), Reply::Producer(raised(next, 1)));
}

#[test]
fn a_time_out_at_the_last_epoch_goes_on_with_a_new_producer_id() {
    let mut bench = Bench::new();
    let last = bench.exhausted();
    bench.add(last, &[0], 2);
    bench.advance(70_000);
    assert_eq!(bench.state(), State::PrepareAbort);
    bench.finish();
    assert_eq!(bench.transaction().producer, Producer { id: last.id + 1, epoch: 0 });
    assert_eq!(bench.init(Some(last)), Reply::Producer(Producer { id: last.id + 1, epoch: 0 }));
}

#[test]
fn a_commit_that_races_the_time_out_is_fenced() {
    let mut bench = Bench::new();
    let producer = bench.open(2);
    bench.advance(70_000);
    let late = bench.send(end(producer, true, 2));
    bench.finish();
    assert_eq!(bench.answer(late), Some(refused(ErrorCode::ProducerFenced)));
    bench.restart();
    assert_eq!(bench.end(producer, true, 2), refused(ErrorCode::ProducerFenced));
    // It may go on with a new epoch.
    assert_eq!(bench.init(Some(producer)), Reply::Producer(raised(producer, 1)));

    let mut bench = Bench::new();
    let producer = bench.open(0);
    bench.advance(70_000);
    bench.finish();
    assert_eq!(bench.end(producer, true, 0), refused(ErrorCode::ProducerFenced));
}

#[test]
fn a_marker_in_the_coordinators_own_topic_is_passed_over() {
    let marker = KeyValue {
        key: Some(bytes::Bytes::from_static(&[0, 0, 0, 1])),
        value: Some(bytes::Bytes::from_static(&[0, 0, 0, 0, 0, 7])),
    };
    assert!(TransactionMachine::decode(marker, true).unwrap().is_none());
}
