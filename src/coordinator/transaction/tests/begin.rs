use super::*;

#[test]
fn a_new_id_begins_with_epoch_0_also_for_a_producer_that_names_itself() {
    let mut bench = Bench::new();
    assert_eq!(bench.producer(), Producer { id: 1_000, epoch: 0 });
    let mut bench = Bench::new();
    let given = Producer { id: 7, epoch: 3 };
    assert_eq!(bench.init(Some(given)), Reply::Producer(Producer { id: 1_000, epoch: 0 }));
}

#[test]
fn every_producer_raises_the_epoch() {
    let mut bench = Bench::new();
    let first = bench.producer();
    assert_eq!(bench.producer(), raised(first, 1));
    assert_eq!(bench.add(first, &[0], 0), refused(ErrorCode::ProducerFenced));
}

#[test]
fn a_producer_that_goes_on_names_the_epoch_it_has_or_had() {
    let mut bench = Bench::new();
    let first = bench.producer();
    let second = raised(first, 1);
    assert_eq!(bench.init(Some(first)), Reply::Producer(second));
    // Its answer was lost.
    assert_eq!(bench.init(Some(first)), Reply::Producer(second));
    assert_eq!(bench.init(Some(second)), Reply::Producer(raised(first, 2)));
    assert_eq!(bench.init(Some(first)), refused(ErrorCode::ProducerFenced));
    assert_eq!(bench.init(Some(raised(first, 9))), refused(ErrorCode::ProducerFenced));
    let stranger = Producer { id: 77, epoch: 2 };
    assert_eq!(bench.init(Some(stranger)), refused(ErrorCode::ProducerFenced));
}

#[test]
fn a_producer_that_was_taken_over_is_fenced_whatever_it_had() {
    let mut bench = Bench::new();
    let first = bench.producer();
    bench.producer();
    assert_eq!(bench.init(Some(first)), refused(ErrorCode::ProducerFenced));
}

#[test]
fn an_open_transaction_is_aborted_before_its_id_is_given_away() {
    let mut bench = Bench::new();
    let producer = bench.open(0);
    assert_eq!(bench.init(None), refused(ErrorCode::ConcurrentTransactions));
    assert_eq!(bench.state(), State::PrepareAbort);
    assert_eq!(bench.markers[0].producer, raised(producer, 1));
    assert_eq!(bench.markers[0].transaction_version, 2);
    let waits =
        bench.send(Command::Init(Init { id: ID.into(), timeout_ms: TIMEOUT_MS, expected: None }));
    assert_eq!(bench.answer(waits), None);
    bench.finish();
    assert_eq!(bench.answer(waits), Some(Reply::Producer(raised(producer, 2))));
    assert_eq!(bench.end(producer, true, 0), refused(ErrorCode::ProducerFenced));
}

#[test]
fn a_wrong_epoch_of_the_right_producer_aborts_an_open_transaction() {
    let mut bench = Bench::new();
    let producer = bench.open(2);
    let wrong = raised(producer, 5);
    assert_eq!(bench.init(Some(wrong)), refused(ErrorCode::ConcurrentTransactions));
    bench.finish();
    assert_eq!(bench.state(), State::CompleteAbort);
    assert_eq!(bench.init(Some(wrong)), refused(ErrorCode::ProducerFenced));
}

#[test]
fn the_last_epoch_is_followed_by_a_new_producer_id() {
    let mut bench = Bench::new();
    let producer = bench.exhausted();
    let next = Producer { id: producer.id + 1, epoch: 0 };
    assert_eq!(bench.init(Some(producer)), Reply::Producer(next));
    // Its answer was lost.
    assert_eq!(bench.init(Some(producer)), Reply::Producer(next));
    let earlier = raised(producer, -1);
    assert_eq!(bench.init(Some(earlier)), refused(ErrorCode::ProducerFenced));
}

#[test]
fn partitions_are_added_by_the_producer_of_the_transaction_alone() {
    let mut bench = Bench::new();
    let producer = Producer { id: 1_000, epoch: 0 };
    assert_eq!(bench.add(producer, &[0], 0), refused(ErrorCode::InvalidProducerIdMapping));
    assert_eq!(bench.verify(producer, &[0]), refused(ErrorCode::InvalidProducerIdMapping));
    assert_eq!(bench.producer(), producer);
    let stranger = Producer { id: 2, ..producer };
    assert_eq!(bench.add(stranger, &[0], 0), refused(ErrorCode::InvalidProducerIdMapping));
    assert_eq!(bench.add(raised(producer, 1), &[0], 0), refused(ErrorCode::ProducerFenced));
    assert_eq!(bench.verify(producer, &[0]), Reply::Missing(places(&[0])));

    assert_eq!(bench.add(producer, &[0, 1], 0), Reply::Done);
    let written = bench.log.len();
    assert_eq!(bench.add(producer, &[1], 0), Reply::Done);
    assert_eq!(bench.log.len(), written, "nothing new is written");
    bench.now_ms += 5;
    assert_eq!(bench.add(producer, &[2], 0), Reply::Done);
    assert_eq!(bench.transaction().start_ms, NOW_MS);
    assert_eq!(bench.transaction().partitions, places(&[0, 1, 2]));
    assert_eq!(bench.verify(producer, &[1, 3]), Reply::Missing(places(&[3])));
    assert_eq!(bench.verify(stranger, &[1]), refused(ErrorCode::InvalidProducerIdMapping));
    assert_eq!(bench.verify(raised(producer, 1), &[1]), refused(ErrorCode::ProducerFenced));
}

#[test]
fn partitions_wait_for_the_markers_of_the_transaction_before() {
    let mut bench = Bench::new();
    let producer = bench.open(2);
    assert_eq!(bench.end(producer, true, 2), Reply::Producer(raised(producer, 1)));
    let next = raised(producer, 1);
    assert_eq!(bench.verify(next, &[0]), refused(ErrorCode::ConcurrentTransactions));
    let add = |partition| Add {
        id: ID.into(),
        producer: next,
        partitions: places(&[partition]),
        client_version: 2,
    };
    let waiting: Vec<_> = [5, 6].map(|it| bench.send(Command::Add(add(it)))).into();
    bench.finish();
    for ticket in waiting {
        assert_eq!(bench.answer(ticket), Some(Reply::Done));
    }
    assert_eq!(bench.transaction().partitions, places(&[5, 6]));

    bench.end(next, false, 2);
    let patience = bench.send(Command::Add(Add { producer: raised(next, 1), ..add(1) }));
    bench.advance(999);
    assert_eq!(bench.answer(patience), None);
    bench.advance(1);
    assert_eq!(bench.answer(patience), Some(refused(ErrorCode::ConcurrentTransactions)));
}

#[test]
fn without_a_producer_id_at_hand_nothing_happens() {
    let mut bench = Bench::new();
    bench.ids.left.store(0, Ordering::Relaxed);
    assert_eq!(bench.init(None), Reply::NoProducerId);
    assert_eq!((bench.log.len(), bench.machine.entries.len()), (0, 0));
    bench.ids.left.store(1, Ordering::Relaxed);
    assert_eq!(bench.producer(), Producer { id: 1_000, epoch: 0 });
}
