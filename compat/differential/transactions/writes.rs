//! Produce inside and outside of transactions.

use ottla::wire::messages::describe_producers::{DescribeProducersRequest, TopicRequest};
use ottla::wire::messages::produce::ProduceRequest;

use super::{Claim, END_BUMPS, PRODUCE_ADDS, Producer, batch, identity, producers, writing};
use crate::produce::producing;
use crate::raw_client::Batch;
use crate::script::Script;
use crate::side::Side;

const TOPIC: &str = "transactions-writes";
const COMPACTED: &str = "transactions-compacted";
const CONTROL: i16 = 0x20;

pub(super) fn run(script: &mut Script) {
    script.topic(TOPIC, 3, &[]);
    script.topic(COMPACTED, 1, &[("cleanup.policy", "compact")]);
    for version in 3..=13 {
        one_partition(script, version);
        several(script, version);
        acks(script, version);
        odd(script, version);
    }
}

fn ending_version(produce: i16) -> i16 {
    if produce >= PRODUCE_ADDS { END_BUMPS } else { 4 }
}

/// A producer that has added its partitions, where that has to be said.
fn added<'a>(script: &'a mut Script, id: &str, version: i16, partitions: &[i32]) -> Producer<'a> {
    let mut producer = Producer::begun(script, id);
    if version < PRODUCE_ADDS {
        let partitions: [(&str, &[i32]); 2] = [(TOPIC, partitions), (COMPACTED, &[0])];
        producer.add("partitions", 3, Claim::Right, &partitions);
    }
    producer
}

/// Sequences and epochs before, in and after a transaction.
fn one_partition(script: &mut Script, version: i16) {
    let id = format!("writes-v{version}");
    let mut producer = Producer::begun(script, &id);
    let write = |producer: &mut Producer<'_>, step: &str, claim, sequence| {
        producer.produce(&format!("{step}: {sequence}"), version, claim, (TOPIC, &[0]), sequence);
    };
    for claim in Claim::WRONG {
        write(&mut producer, &format!("{claim:?} before a transaction"), claim, 0);
    }
    write(&mut producer, "before a transaction", Claim::Right, 3);
    write(&mut producer, "before a transaction", Claim::Right, 0);
    if version < PRODUCE_ADDS {
        producer.add("a partition", 3, Claim::Right, &[(TOPIC, &[0])]);
    }
    for sequence in [6, 0, 0, 9, 3, 0, 6] {
        write(&mut producer, "in a transaction", Claim::Right, sequence);
    }
    for claim in Claim::WRONG {
        for sequence in [0, 9] {
            write(&mut producer, &format!("{claim:?} in a transaction"), claim, sequence);
        }
    }
    producer.describe("written to");
    producers(producer.script, "in a transaction", TOPIC, &[0]);
    producer.end("written to", ending_version(version), Claim::Right, true);
    let claims = [Claim::OldEpoch, Claim::Right, Claim::NewerEpoch, Claim::OtherProducer];
    for claim in claims {
        for sequence in [9, 3, 0] {
            write(&mut producer, &format!("{claim:?} after its end"), claim, sequence);
        }
    }
    producer.describe("after its end");
    if version < PRODUCE_ADDS {
        producer.add("again", 3, Claim::Right, &[(TOPIC, &[0])]);
        for sequence in [0, 9, 12] {
            write(&mut producer, "in the second transaction", Claim::Right, sequence);
        }
    }
    producer.end("the second transaction", ending_version(version), Claim::Right, false);
    producers(producer.script, "after two transactions", TOPIC, &[0]);
}

/// One request for several partitions, of which some are not as they should be.
fn several(script: &mut Script, version: i16) {
    let id = format!("writes-several-v{version}");
    let time_ms = script.time_ms;
    let mut producer = added(script, &id, version, &[0, 1]);
    producer.produce("several", version, Claim::Right, (TOPIC, &[1, 0]), 0);
    producer.produce("one is not there", version, Claim::Right, (TOPIC, &[0, 9]), 3);
    producer.produce("one is not added", version, Claim::Right, (TOPIC, &[2, 0]), 6);
    producer.produce("one is out of order", version, Claim::Right, (TOPIC, &[0, 1]), 9);
    producer.describe("several");
    let mut odd = |step: &str, change: &dyn Fn(&Side, &mut Batch)| {
        producer.script.ask(step, version, |side| {
            let who = identity(side, &id, Claim::Right);
            let mut other = batch(&who, time_ms, 3);
            change(side, &mut other);
            let data = [(0, Some(batch(&who, time_ms, 12).encode())), (1, Some(other.encode()))];
            ProduceRequest { transactional_id: Some(id.clone()), ..producing(side, TOPIC, &data) }
        });
    };
    odd("two producers", &|_, batch| batch.producer_id += 1 << 40);
    odd("two epochs", &|_, batch| batch.producer_epoch += 1);
    odd("one is not transactional", &|_, batch| batch.attributes = 0);
    odd("one has no producer", &|_, batch| {
        (batch.producer_id, batch.producer_epoch, batch.base_sequence) = (-1, -1, -1);
        batch.attributes = 0;
    });
    odd("one has a wrong checksum", &|_, batch| batch.magic = 9);
    odd("the same producer", &|_, _| {});
    producers(producer.script, "several", TOPIC, &[0, 1, 2]);
    producer.end("several", ending_version(version), Claim::Right, true);
    producers(producer.script, "several were ended", TOPIC, &[0, 1, 2]);
}

fn acks(script: &mut Script, version: i16) {
    let id = format!("writes-acks-v{version}");
    let time_ms = script.time_ms;
    let mut producer = added(script, &id, version, &[0, 1]);
    let write = |side: &Side, acks, partition, sequence| {
        let who = identity(side, &id, Claim::Right);
        let request = writing(side, &who, time_ms, (TOPIC, &[partition]), sequence);
        ProduceRequest { acks, ..request }
    };
    producer.script.ask("acks 1", version, |side| write(side, 1, 0, 0));
    producer.script.ask("acks 1, a gap", version, |side| write(side, 1, 0, 9));
    // Silence is seen by what comes next on the connection.
    producer.script.send("acks", version, |side| write(side, 0, 0, 3));
    producer.script.at("acks").ask("after acks 0", 0, |_| DescribeProducersRequest {
        topics: vec![TopicRequest { name: TOPIC.into(), partition_indexes: vec![0, 1] }],
    });
    for partition in [0, 2] {
        if partition == 0 || version < PRODUCE_ADDS {
            let step = format!("acks 0, an error in {partition}");
            producer.script.at("acks").ask(&step, version, |side| write(side, 0, partition, 20));
        }
    }
    producer.end("acks", ending_version(version), Claim::Right, true);
    producers(producer.script, "acks", TOPIC, &[0, 1, 2]);
}

/// Batches and transactional ids that do not belong together.
fn odd(script: &mut Script, version: i16) {
    let id = format!("writes-odd-v{version}");
    let time_ms = script.time_ms;
    let mut producer = added(script, &id, version, &[0]);
    for (place, when) in ["before it is written to", "open"].into_iter().enumerate() {
        let sequence = place as i32 * 3;
        let mut odd = |step: &str, named: bool, change: &dyn Fn(&mut Batch)| {
            let step = format!("{when}: {step}");
            one(producer.script, &step, version, (&id, named), sequence, change);
        };
        odd("no transactional id", false, &|_| {});
        odd("a control batch", true, &|batch| batch.attributes |= CONTROL);
        odd("no producer", true, &|batch| batch.producer_id = -1);
        odd("no epoch", true, &|batch| batch.producer_epoch = -1);
        odd("another producer, not transactional", true, &|batch| {
            (batch.producer_id, batch.attributes) = (batch.producer_id + (1 << 41), 0);
        });
        if place == 1 {
            odd("no sequence", true, &|batch| batch.base_sequence = -1);
            odd("not transactional", true, &|batch| batch.attributes = 0);
            odd("neither", false, &|batch| batch.attributes = 0);
        }
        odd("as it should be", true, &|_| {});
    }
    producer.script.ask("a record without a key", version, |side| {
        let who = identity(side, &id, Claim::Right);
        let keyless = Batch::of(None, &[b"one"]);
        let batch = Batch { records: keyless.records, ..batch(&who, time_ms, 0) };
        let batch = Batch { count: 1, last_offset_delta: 0, ..batch };
        ProduceRequest {
            transactional_id: Some(id.clone()),
            ..producing(side, COMPACTED, &[(0, Some(batch.encode()))])
        }
    });
    for topic in ["__consumer_offsets", "__transaction_state"] {
        producer.produce(&format!("records for {topic}"), version, Claim::Right, (topic, &[0]), 0);
    }
    producer.describe("odd");
    producer.end("odd", ending_version(version), Claim::Right, false);
    producers(producer.script, "odd", TOPIC, &[0]);
    // What was refused is not forgotten: nothing later than it is taken.
    let id = format!("writes-odder-v{version}");
    let producer = added(script, &id, version, &[0]);
    let named = (id.as_str(), true);
    one(producer.script, "no sequence", version, named, 0, &|batch| batch.base_sequence = -1);
    one(producer.script, "after no sequence", version, named, 0, &|_| {});
}

/// A batch for one partition, with something changed.
fn one(
    script: &mut Script,
    step: &str,
    version: i16,
    (id, is_named): (&str, bool),
    sequence: i32,
    change: &dyn Fn(&mut Batch),
) {
    let time_ms = script.time_ms;
    script.ask(step, version, |side| {
        let mut batch = batch(&identity(side, id, Claim::Right), time_ms, sequence);
        change(&mut batch);
        ProduceRequest {
            transactional_id: is_named.then(|| id.to_owned()),
            ..producing(side, TOPIC, &[(0, Some(batch.encode()))])
        }
    });
}
