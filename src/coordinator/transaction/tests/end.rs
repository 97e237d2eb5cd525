use super::*;

/// The answer to an end in a state, by a producer with the epoch it has, or had before.
fn ended(state: State, committed: bool, retry: bool, version: i16) -> Reply {
    let mut bench = Bench::new();
    let producer = in_state(&mut bench, state, version);
    let asking = if retry { raised(producer, -1) } else { producer };
    let reply = bench.end(asking, committed, version);
    bench.finish();
    reply
}

/// Brings a transaction there; its producer as it is then.
fn in_state(bench: &mut Bench, state: State, version: i16) -> Producer {
    bench.producer();
    let producer = match state {
        State::Empty => return bench.producer(),
        _ => bench.open(version),
    };
    if state != State::Ongoing {
        bench.end(producer, state == State::CompleteCommit, version);
        bench.finish();
    }
    assert_eq!(bench.state(), state);
    bench.transaction().producer
}

#[test]
fn with_version_2_an_end_raises_the_epoch_and_is_known_again_by_the_one_before() {
    use State::{CompleteAbort, CompleteCommit, Empty, Ongoing};
    let (fenced, invalid) = (ErrorCode::ProducerFenced, ErrorCode::InvalidTxnState);
    // Epochs: 0 and 1 are given out on the way, the transaction takes 1.
    let goes_on = |epoch| Reply::Producer(Producer { id: 1_000, epoch });
    for (state, committed, retry, expected) in [
        (Empty, false, false, goes_on(2)),
        (Empty, true, false, refused(invalid)),
        (Empty, false, true, refused(fenced)),
        (Empty, true, true, refused(fenced)),
        (Ongoing, false, false, goes_on(2)),
        (Ongoing, true, false, goes_on(2)),
        (Ongoing, false, true, refused(fenced)),
        (Ongoing, true, true, refused(fenced)),
        (CompleteAbort, false, false, goes_on(3)),
        (CompleteAbort, true, false, refused(invalid)),
        (CompleteAbort, false, true, goes_on(2)),
        (CompleteAbort, true, true, refused(invalid)),
        (CompleteCommit, false, false, goes_on(3)),
        (CompleteCommit, true, false, refused(invalid)),
        (CompleteCommit, false, true, refused(invalid)),
        (CompleteCommit, true, true, goes_on(2)),
    ] {
        let reply = ended(state, committed, retry, 2);
        assert_eq!(reply, expected, "{state:?}, commit {committed}, retry {retry}");
    }
}

#[test]
fn before_version_2_an_end_may_be_repeated() {
    use State::{CompleteAbort, CompleteCommit, Empty, Ongoing};
    let same = Reply::Producer(Producer { id: -1, epoch: -1 });
    let invalid = || refused(ErrorCode::InvalidTxnState);
    for (state, committed, expected) in [
        (Empty, false, invalid()),
        (Empty, true, invalid()),
        (Ongoing, false, same.clone()),
        (Ongoing, true, same.clone()),
        (CompleteAbort, false, same.clone()),
        (CompleteAbort, true, invalid()),
        (CompleteCommit, false, invalid()),
        (CompleteCommit, true, same),
    ] {
        assert_eq!(ended(state, committed, false, 0), expected, "{state:?}, commit {committed}");
        let fenced = refused(ErrorCode::ProducerFenced);
        assert_eq!(ended(state, committed, true, 0), fenced, "{state:?}, commit {committed}");
    }
}

#[test]
fn strangers_end_nothing() {
    for version in [0, 2] {
        let mut bench = Bench::new();
        let nobody = Producer { id: 5, epoch: 0 };
        let unknown = refused(ErrorCode::InvalidProducerIdMapping);
        assert_eq!(bench.end(nobody, true, version), unknown);
        let producer = bench.open(version);
        assert_eq!(bench.end(nobody, true, version), unknown);
        let fenced = refused(ErrorCode::ProducerFenced);
        assert_eq!(bench.end(raised(producer, 1), true, version), fenced);
    }
}

#[test]
fn markers_have_the_raised_epoch_and_every_partition() {
    let mut bench = Bench::new();
    let producer = bench.open(2);
    bench.end(producer, true, 2);
    let markers = bench.markers[0].clone();
    assert_eq!(markers.producer, raised(producer, 1));
    assert_eq!((markers.committed, markers.transaction_version), (true, 2));
    assert_eq!(markers.partitions, [place(0), place(1)]);
    bench.finish();
    let transaction = bench.transaction();
    assert_eq!(transaction.state, State::CompleteCommit);
    assert_eq!(transaction.producer, raised(producer, 1));
    assert!(transaction.partitions.is_empty());

    let producer = raised(producer, 1);
    bench.add(producer, &[3], 0);
    bench.end(producer, false, 0);
    let markers = &bench.markers[0];
    assert_eq!((markers.producer, markers.committed), (producer, false));
    assert_eq!(markers.transaction_version, 0);
}

#[test]
fn late_news_of_markers_complete_nothing_else() {
    let mut bench = Bench::new();
    let producer = bench.open(0);
    bench.end(producer, true, 0);
    let first = bench.markers[0].clone();
    bench.finish();
    bench.add(producer, &[0], 0);
    bench.end(producer, false, 0);
    bench.send(Command::Ended(ID.into(), first.offset));
    assert_eq!(bench.state(), State::PrepareAbort);
    bench.finish();
    assert_eq!(bench.state(), State::CompleteAbort);
}
