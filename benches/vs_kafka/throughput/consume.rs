//! Consuming what is in the page cache.

use super::{BATCH_BYTES, CONNECTIONS, Measured, run};
use crate::Setup;
use crate::contender::Contender;
use crate::generator::Load;
use crate::table::{Aim, Figure, Section, Than, partitions_of};

/// Partitions of a topic and its bytes.
const TOPICS: [(i32, u64); 2] = [(1, 2_000_000_000), (16, 1_000_000_000)];
const QUICK_BYTES: u64 = 50_000_000;

pub(super) fn hot(setup: &Setup, contenders: &[Contender]) -> Section {
    let mut figures: Vec<Figure> = Vec::new();
    for (partitions, bytes) in TOPICS {
        let bytes = setup.amount(bytes, QUICK_BYTES);
        let topic = format!("consumed-{partitions}");
        for contender in contenders {
            contender.create_topic(&topic, partitions, &[]);
            let options = format!("--connections {CONNECTIONS} --batch-bytes {BATCH_BYTES}");
            run(contender, &format!("produce --topic {topic} {options} --total-bytes {bytes}"));
        }
        // The rounds that do not count also bring back whatever the page cache has dropped.
        let (uncounted, rounds) = setup.amount((4, 5), (1, 1));
        let measured = Measured::new(contenders, uncounted, rounds, |contender, _| {
            run(contender, &format!("consume --topic {topic}"))
        });
        for contender in contenders {
            contender.delete_topic_and_files(&topic);
        }
        let (gb, topic) = (bytes as f64 / 1e9, partitions_of(partitions));
        let name = |what: &str| format!("{gb} GB in {topic}: {what}");
        figures.push(measured.told(name("MB/s"), &[], "mb_per_s"));
        let cheaper = [Aim::AtMost(Than::Kafka(1.0 / 3.0)), Aim::AtMost(Than::Floor(1.3))];
        figures.push(measured.figure(name("CPU s/GB"), &cheaper, Load::cpu_s_per_gb));
    }
    let method = "`ottla bench consume` with its default settings, which are a consumer's: one connection, one request at a \
        time, at most 1 MiB of a partition and 50 MiB in all. Batches are of 64 KiB, and all is in the page cache. CPU is the \
        broker's. The floor sends with `sendfile`.";
    Section { title: "Consuming from the page cache", method: method.to_owned(), figures }
}
