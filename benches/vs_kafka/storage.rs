//! Logs that are large: how long a start on them takes, after a clean stop and after a kill.

use rustix::process::Signal;

use crate::contender::produce_until_acknowledged;
use crate::node::{Node, Product};
use crate::raw_client::Batch;
use crate::table::Section;
use crate::{Row, Setup, first_ack, milliseconds};

const RECORD_BYTES: usize = 1_000;
const RECORDS_OF_BATCH: usize = 1_000;
const TOPIC: &str = "data";
const PARTITIONS: i32 = 16;
const FULL_MB: [u64; 2] = [1_000, 10_000];
const QUICK_MB: [u64; 2] = [20, 40];

/// So many megabytes, acknowledged, in batches of one each.
fn fill(node: &Node, size_mb: u64) {
    let mut client = node.connect();
    assert_eq!(client.create_topics(&[TOPIC.to_owned()], PARTITIONS, &[]).unwrap(), 0);
    let value = [b'v'; RECORD_BYTES];
    let batch = Batch::of(None, &[&value[..]; RECORDS_OF_BATCH]).encode();
    for number in 0..size_mb {
        let partition = (number % PARTITIONS as u64) as i32;
        produce_until_acknowledged(&mut client, TOPIC, partition, &batch);
    }
}

/// From the start of the process to an acknowledged record, with so much data.
fn recovery(product: Product, size_mb: u64) -> [Row; 2] {
    let work = tempfile::tempdir().unwrap();
    let (node, _) = first_ack(product, work.path(), "first");
    fill(&node, size_mb);
    node.end(Signal::KILL);
    let (node, after_kill) = first_ack(product, work.path(), TOPIC);
    node.end(Signal::TERM);
    let (node, after_stop) = first_ack(product, work.path(), TOPIC);
    node.end(Signal::TERM);
    let row = |after: &str, time| {
        let name = format!("{size_mb} MB in {PARTITIONS} partitions, after {after} (ms)");
        (name, milliseconds(time))
    };
    [row("SIGKILL", after_kill), row("a clean stop", after_stop)]
}

pub(crate) fn part(setup: &Setup) -> Vec<Section> {
    let sizes_mb = setup.amount(FULL_MB, QUICK_MB);
    let columns = setup
        .each(|product| sizes_mb.iter().flat_map(|size_mb| recovery(product, *size_mb)).collect());
    let method = "From before the process is there until a record is acknowledged; one start each. What a kill leaves \
        unfinished is checked against its CRC-32C first, by both. The files are still in the page cache as far as they \
        fit.";
    vec![Section::of_rows("Starting on large logs", method, columns)]
}
