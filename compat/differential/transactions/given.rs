//! InitProducerId: timeouts, and producers that say which id and epoch they have (KIP-360).

use ottla::wire::messages::init_producer_id::InitProducerIdRequest;

use super::states::State;
use super::{Claim, OTHER_PRODUCER, Producer};
use crate::script::Script;
use crate::side::Side;

/// From here on a producer may say what it has.
const GIVEN: i16 = 3;
const FORMS: [(Id, Epoch); 13] = [
    (Id::Right, Epoch::Off(0)),
    (Id::Right, Epoch::Off(-1)),
    (Id::Right, Epoch::Off(-2)),
    (Id::Right, Epoch::Off(1)),
    (Id::Right, Epoch::Of(-1)),
    (Id::Right, Epoch::Of(-2)),
    (Id::Right, Epoch::Of(i16::MAX)),
    (Id::Right, Epoch::Of(i16::MAX - 1)),
    (Id::Other, Epoch::Off(0)),
    (Id::Other, Epoch::Of(i16::MAX - 1)),
    (Id::Other, Epoch::Of(-1)),
    (Id::None, Epoch::Off(0)),
    (Id::Negative, Epoch::Off(0)),
];

#[derive(Clone, Copy, Debug)]
enum Id {
    Right,
    Other,
    None,
    Negative,
}

#[derive(Clone, Copy, Debug)]
enum Epoch {
    /// That of the producer and this.
    Off(i16),
    Of(i16),
}

pub(super) fn run(script: &mut Script) {
    timeouts(script);
    new_ids(script);
    for state in State::ALL {
        in_state(script, state);
    }
    retries(script);
}

/// Says what a producer has.
fn give(side: &Side, request: &mut InitProducerIdRequest, id: Id, epoch: Epoch) {
    let transactional_id = request.transactional_id.clone().unwrap_or_default();
    let who = super::identity(side, &transactional_id, Claim::Right);
    request.producer_id = match id {
        Id::Right => who.producer_id,
        Id::Other => OTHER_PRODUCER,
        Id::None => -1,
        Id::Negative => -7,
    };
    request.producer_epoch = match epoch {
        Epoch::Off(off) => who.epoch + off,
        Epoch::Of(epoch) => epoch,
    };
}

fn timeouts(script: &mut Script) {
    const TIMEOUT_MAX_MS: i32 = 900_000;
    for version in 0..=5 {
        let id = format!("timeouts-v{version}");
        let timeouts = [0, -1, i32::MIN, TIMEOUT_MAX_MS + 1, i32::MAX, 1, TIMEOUT_MAX_MS];
        for timeout_ms in timeouts {
            let mut producer = Producer::new(script, &id);
            let step = format!("timeout {timeout_ms}");
            producer.init_with(&step, version, |_, request| {
                request.transaction_timeout_ms = timeout_ms;
            });
            producer.describe(&step);
        }
        for timeout_ms in [0, TIMEOUT_MAX_MS + 1] {
            let mut producer = Producer::new(script, format!("timeouts-v{version}-{timeout_ms}"));
            let step = format!("a new id, timeout {timeout_ms}");
            producer.init_with(&step, version, |_, request| {
                request.transaction_timeout_ms = timeout_ms;
            });
            producer.describe(&step);
        }
        for timeout_ms in [0, 60_000] {
            let mut producer = Producer::new(script, "");
            producer.init_with(
                &format!("the empty id, timeout {timeout_ms}"),
                version,
                |_, request| {
                    request.transaction_timeout_ms = timeout_ms;
                },
            );
        }
    }
}

/// Ids that nobody has asked for, by producers that say that they have something.
fn new_ids(script: &mut Script) {
    for version in GIVEN..=5 {
        for (number, (id, epoch)) in FORMS.into_iter().enumerate() {
            let mut producer = Producer::new(script, format!("given-new-v{version}-{number}"));
            State::Unknown.enter(&mut producer, 0);
            for time in ["first", "second"] {
                let step = format!("a new id, {id:?} {epoch:?}, the {time} time");
                producer.init_with(&step, version, |side, request| {
                    give(side, request, id, epoch);
                });
                producer.describe(&step);
            }
        }
    }
}

fn in_state(script: &mut Script, state: State) {
    let cases = || {
        let of = |version| FORMS.into_iter().map(move |(id, epoch)| (version, id, epoch));
        // The versions differ in one error code.
        of(4).chain(of(GIVEN).take(3)).chain(of(5).take(3)).enumerate()
    };
    let id = |number: usize| format!("given-{state:?}-{number}");
    for (number, _) in cases() {
        state.enter(&mut Producer::new(script, id(number)), number as i32);
    }
    for (number, (version, given, epoch)) in cases() {
        let mut producer = Producer::new(script, id(number));
        state.await_it(&mut producer);
        // What it has is that of before, also when it is told something new.
        let had = [0, 1].map(|of| {
            let mut request = super::initialising(&producer.id);
            give(&producer.script.sides[of], &mut request, given, epoch);
            Some((request.producer_id, request.producer_epoch))
        });
        producer.script.learn("given/producer", &had, |had| had.0.to_string());
        producer.script.learn("given/epoch", &had, |had| had.1.to_string());
        for time in ["first", "second", "third"] {
            let step = format!("{state:?}: given {given:?} {epoch:?}, the {time} time");
            producer.init_with(&step, version, |side, request| {
                request.producer_id = side.number("given/producer");
                request.producer_epoch = side.number("given/epoch");
            });
            producer.until_complete();
            producer.describe(&step);
        }
        producer.init(&format!("{state:?}: after {given:?} {epoch:?}"), version);
    }
}

/// What an epoch that was given once is worth later.
fn retries(script: &mut Script) {
    for version in GIVEN..=5 {
        let mut producer = Producer::begun(script, format!("given-retries-v{version}"));
        let mut given = |step: &str, epoch: Option<i16>| {
            producer.init_with(step, version, |side, request| {
                if let Some(epoch) = epoch {
                    give(side, request, Id::Right, Epoch::Of(epoch));
                }
            });
            producer.describe(step);
        };
        given("the epoch it has", Some(0));
        given("a retry", Some(0));
        given("the epoch it was told", Some(1));
        given("a retry that is too late", Some(0));
        given("a retry in time", Some(1));
        given("nothing", None);
        given("the epoch before nothing", Some(2));
        given("the epoch after nothing", Some(3));
        producer.produce("a transaction", 12, Claim::Right, ("transactions-states", &[0]), 0);
        producer.end("a transaction", 5, Claim::Right, true);
        let mut given = |step: &str, epoch: i16| {
            producer.init_with(step, version, |side, request| {
                give(side, request, Id::Right, Epoch::Of(epoch));
            });
            producer.describe(step);
        };
        given("the epoch before the end", 4);
        given("the epoch after the end", 5);
        given("the epoch before the end, again", 4);
    }
}
