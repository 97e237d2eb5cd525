//! Logs that are large or many: how long a start takes, and what many partitions cost.

use std::fs;
use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::Signal;

use crate::node::{Node, Product};
use crate::raw_client::Batch;
use crate::{Row, first_ack, mebibytes, milliseconds};

const RECORD_BYTES: usize = 1_000;
const RECORDS_OF_BATCH: usize = 1_000;
const DATA: &str = "data";
const DATA_PARTITIONS: i32 = 16;
/// Partitions of each of many topics.
const PARTITIONS: i32 = 100;

/// How much to do.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Plan {
    sizes_mb: [u64; 2],
    topics: usize,
}

impl Plan {
    pub(crate) const FULL: Self = Self { sizes_mb: [1_000, 10_000], topics: 100 };
    pub(crate) const QUICK: Self = Self { sizes_mb: [20, 40], topics: 3 };
}

pub(crate) fn measure(product: Product, plan: &Plan) -> Vec<Row> {
    let mut rows: Vec<Row> =
        plan.sizes_mb.iter().flat_map(|size_mb| recovery(product, *size_mb)).collect();
    rows.extend(many_partitions(product, plan.topics));
    rows
}

/// From the start of the process to an acknowledged record, with so much data.
fn recovery(product: Product, size_mb: u64) -> [Row; 2] {
    let work = tempfile::tempdir().unwrap();
    let (node, _) = first_ack(product, work.path(), "first");
    let mut client = node.connect();
    assert_eq!(client.create_topics(&[DATA.to_owned()], DATA_PARTITIONS, &[]).unwrap(), 0);
    let value = [b'v'; RECORD_BYTES];
    let batch = Batch::of(None, &[&value[..]; RECORDS_OF_BATCH]).encode();
    for number in 0..size_mb {
        let partition = (number % DATA_PARTITIONS as u64) as i32;
        while client.produce(DATA, partition, &batch).unwrap().error != 0 {
            thread::sleep(Duration::from_millis(5));
        }
    }
    node.end(Signal::KILL);
    let (node, after_kill) = first_ack(product, work.path(), DATA);
    node.end(Signal::TERM);
    let (node, after_stop) = first_ack(product, work.path(), DATA);
    node.end(Signal::TERM);
    let row = |after: &str, time| {
        let name =
            format!("{size_mb} MB in {DATA_PARTITIONS} partitions: start after {after} (ms)");
        (name, milliseconds(time))
    };
    [row("SIGKILL", after_kill), row("a clean stop", after_stop)]
}

fn many_partitions(product: Product, topics: usize) -> Vec<Row> {
    let work = tempfile::tempdir().unwrap();
    let (node, _) = first_ack(product, work.path(), "first");
    let names: Vec<String> = (0..topics).map(|number| format!("topic-{number}")).collect();
    let began = Instant::now();
    let mut client = node.connect();
    for some in names.chunks(5) {
        assert_eq!(client.create_topics(some, PARTITIONS, &[]).unwrap(), 0);
    }
    serves_all(&node, &names);
    let created = began.elapsed();
    let (resident, files) = (node.resident_bytes(), open_files(node.pid()));
    node.end(Signal::TERM);
    let restarted = start(product, work.path(), &names);
    let name = |what: &str| format!("{} partitions: {what}", topics * PARTITIONS as usize);
    vec![
        (name("created and a record in each (ms)"), milliseconds(created)),
        (name("VmRSS (MiB)"), mebibytes(resident)),
        (name("open files"), files as f64),
        (name("start after a clean stop, a record in each (ms)"), milliseconds(restarted)),
    ]
}

fn start(product: Product, work: &Path, names: &[String]) -> Duration {
    let began = Instant::now();
    let (node, _) = first_ack(product, work, "first");
    serves_all(&node, names);
    let took = began.elapsed();
    node.end(Signal::TERM);
    took
}

/// A record in every partition is acknowledged.
fn serves_all(node: &Node, names: &[String]) {
    let batch = Batch::of(Some(b"key"), &[b"value"]).encode();
    let mut client = node.connect();
    for name in names {
        for partition in 0..PARTITIONS {
            while client.produce(name, partition, &batch).unwrap().error != 0 {
                thread::sleep(Duration::from_millis(5));
            }
        }
    }
}

fn open_files(pid: u32) -> usize {
    fs::read_dir(format!("/proc/{pid}/fd")).unwrap().count()
}
