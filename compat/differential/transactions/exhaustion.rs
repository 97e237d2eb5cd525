//! Producer ids of which every epoch was used.

use ottla::wire::messages::init_producer_id::{InitProducerIdRequest, InitProducerIdResponse};

use super::{Claim, END_BUMPS, Producer, adding, ending, identity, initialising, writing};
use crate::requests::{Outcome, unframed};
use crate::script::Script;
use crate::side::ANSWER_TIMEOUT;

const TOPIC: &str = "transactions-exhaustion";
/// The last epoch that a producer is given.
const EPOCH_MAX: i16 = i16::MAX - 1;
/// So many requests are on their way.
const WINDOW: i16 = 256;
const VERSION: i16 = 4;

pub(super) fn run(script: &mut Script) {
    script.topic(TOPIC, 3, &[]);
    let ids = ["exhausted-end", "exhausted-given", "exhausted-fenced"];
    for id in ids {
        Producer::begun(script, id);
    }
    exhaust(script, &ids);
    ended(script, ids[0]);
    given(script, ids[1]);
    fenced(script, ids[2]);
}

/// Asks for every epoch up to the last but one, all ids at both brokers at once; the last one is compared.
fn exhaust(script: &mut Script, ids: &[&str]) {
    let mut epoch = 0;
    while epoch < EPOCH_MAX - 1 {
        let count = WINDOW.min(EPOCH_MAX - 1 - epoch);
        for side in &mut script.sides {
            for _ in 0..count {
                for id in ids {
                    side.send(id, &initialising(id), VERSION);
                }
            }
        }
        epoch += count;
        for of in [0, 1] {
            for id in ids {
                let last = (0..count).map(|_| script.sides[of].next(id, ANSWER_TIMEOUT)).last();
                let answer = last.as_ref().and_then(answer);
                if answer.as_ref().map(|answer| answer.producer_epoch) != Some(epoch) {
                    script.report.fail("InitProducerId", &format!("epoch {epoch}: {answer:?}"));
                    return;
                }
            }
        }
    }
    for id in ids {
        Producer::new(script, *id).init("the last epoch", VERSION);
        script.leave(id);
    }
}

fn answer(outcome: &Outcome) -> Option<InitProducerIdResponse> {
    let Outcome::Answer(frame) = outcome else { return None };
    unframed::<InitProducerIdRequest>(frame, VERSION).ok().map(|(_, answer)| answer)
}

/// Keeps what a producer has as what it had.
fn keep(producer: &mut Producer<'_>) {
    let id = producer.id.clone();
    let had = [0, 1].map(|of| Some(identity(&producer.script.sides[of], &id, Claim::Right)));
    producer.script.learn("had/producer", &had, |had| had.producer_id.to_string());
    producer.script.learn("had/epoch", &had, |had| had.epoch.to_string());
}

/// What it had, with another epoch.
fn had(side: &crate::side::Side, id: &str, off: i16) -> super::Identity {
    let who = identity(side, "had", Claim::Right);
    super::Identity { transactional_id: id.into(), epoch: who.epoch.saturating_add(off), ..who }
}

fn give(producer: &mut Producer<'_>, step: &str, off: i16) {
    producer.init_with(step, VERSION, |side, request| {
        let had = had(side, "", off);
        (request.producer_id, request.producer_epoch) = (had.producer_id, had.epoch);
    });
    producer.until_complete();
    producer.describe(step);
}

/// Everything that a producer may still ask with what it had.
fn with_what_it_had(producer: &mut Producer<'_>) {
    let (id, time_ms) = (producer.id.clone(), producer.script.time_ms);
    for off in [0, -1, 1] {
        for committed in [true, false] {
            for version in [4, END_BUMPS] {
                let step = format!("the end with what it had and {off}, committed {committed}");
                producer.script.ask(&step, version, |side| ending(&had(side, &id, off), committed));
                producer.until_complete();
            }
        }
        let step = format!("with what it had and {off}");
        for version in [3, 5] {
            producer
                .script
                .ask(&step, version, |side| adding(&had(side, &id, off), &[(TOPIC, &[0])]));
        }
        for version in [10, 12] {
            for partition in [0, 2] {
                producer.script.ask(&step, version, |side| {
                    writing(side, &had(side, &id, off), time_ms, (TOPIC, &[partition]), 0)
                });
            }
        }
    }
    producer.describe("after what it had");
}

/// The end of a transaction gives another id.
fn ended(script: &mut Script, id: &str) {
    let mut producer = Producer::new(script, id);
    producer.produce("the last epoch", 12, Claim::Right, (TOPIC, &[0]), 0);
    producer.describe("the last epoch is written");
    keep(&mut producer);
    producer.end("the last epoch ends", END_BUMPS, Claim::Right, true);
    producer.describe("the last epoch ended");
    with_what_it_had(&mut producer);
    super::producers(producer.script, "the last epoch ended", TOPIC, &[0, 1, 2]);
    for off in [0, -1, 1, 0] {
        give(&mut producer, &format!("given what it had and {off}"), off);
    }
    producer.produce("another id", 12, Claim::Right, (TOPIC, &[0]), 0);
    producer.end("another id", END_BUMPS, Claim::Right, false);
    producer.describe("another id ended");
}

/// A producer that says that it has the last epoch.
fn given(script: &mut Script, id: &str) {
    let mut producer = Producer::new(script, id);
    keep(&mut producer);
    for off in [-1, 1, 0, 0, -1, 1] {
        give(&mut producer, &format!("given the last epoch and {off}"), off);
    }
    with_what_it_had(&mut producer);
    producer.init("given nothing", VERSION);
    give(&mut producer, "given the last epoch after nothing", 0);
}

/// Somebody else takes the id while its last epoch is in a transaction.
fn fenced(script: &mut Script, id: &str) {
    let mut producer = Producer::new(script, id);
    producer.add("the last epoch", 3, Claim::Right, &[(TOPIC, &[0, 1])]);
    producer.produce("the last epoch", 11, Claim::Right, (TOPIC, &[0]), 0);
    keep(&mut producer);
    producer.init("fencing", VERSION);
    producer.until_complete();
    producer.describe("fenced");
    super::producers(producer.script, "fenced", TOPIC, &[0, 1, 2]);
    with_what_it_had(&mut producer);
    producer.init("after fencing", VERSION);
    give(&mut producer, "given what it had", 0);
    give(&mut producer, "given what it had and 1", 1);
    producer.produce("after fencing", 12, Claim::Right, (TOPIC, &[0]), 0);
    producer.end("after fencing", END_BUMPS, Claim::Right, true);
}
