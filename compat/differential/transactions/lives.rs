//! Whole transactions at every version of what a producer sends.

use super::{Claim, END_BUMPS, PRODUCE_ADDS, Producer, producers};
use crate::script::Script;
use crate::transactions::COMMIT_ADDS;

const TOPIC: &str = "transactions";

pub(super) fn run(script: &mut Script) {
    script.topic(TOPIC, 3, &[]);
    for produce in 3..=13 {
        life(script, produce);
    }
}

/// The versions that belong to one of Produce.
struct Versions {
    produce: i16,
    init: i16,
    add: i16,
    add_offsets: i16,
    commit: i16,
    end: i16,
}

impl Versions {
    fn of(produce: i16) -> Self {
        let of = |count: i16| (produce - 3) % count;
        let is_new = produce >= PRODUCE_ADDS;
        Self {
            produce,
            init: of(6),
            add: of(4),
            add_offsets: of(5),
            commit: if is_new { COMMIT_ADDS } else { of(COMMIT_ADDS) },
            end: if is_new { END_BUMPS } else { of(END_BUMPS) },
        }
    }
}

/// A committed transaction, an aborted one, and one of offsets only.
fn life(script: &mut Script, produce: i16) {
    let versions = Versions::of(produce);
    let is_new = produce >= PRODUCE_ADDS;
    let group = format!("transactions-life-v{produce}");
    let mut producer = Producer::new(script, format!("life-v{produce}"));
    producer.describe("before it is there");
    producer.init("a new producer", versions.init);
    producer.describe("it is new");
    for (round, committed) in [true, false, true].into_iter().enumerate() {
        let first = if is_new { 0 } else { round as i32 * 6 };
        if !is_new {
            let partitions: [(&str, &[i32]); 1] = [(TOPIC, &[0, 1])];
            producer.add("partitions", versions.add, Claim::Right, &partitions);
            producer.describe("with partitions");
        }
        producer.produce("records", versions.produce, Claim::Right, (TOPIC, &[0, 1]), first);
        producer.began("records", true);
        producer.produce("more records", versions.produce, Claim::Right, (TOPIC, &[0]), first + 3);
        producer.describe("with records");
        if !is_new {
            producer.add_offsets("a group", versions.add_offsets, Claim::Right, &group);
            producer.describe("with a group");
        }
        let offsets: [(&str, &[(i32, i64)]); 1] = [(TOPIC, &[(0, 7), (1, 8)])];
        producer.commit_offsets("offsets", versions.commit, Claim::Right, &group, &offsets);
        producer.describe("with offsets");
        producer.began("offsets", false);
        producers(producer.script, "in a transaction", TOPIC, &[0, 1, 2]);
        producer.end(&format!("committed {committed}"), versions.end, Claim::Right, committed);
        producer.describe("after its end");
        producer.began("after its end", false);
        producers(producer.script, "after a transaction", TOPIC, &[0, 1, 2]);
        crate::offsets::fetched(producer.script, &group);
    }
}
