//! From the start of the process to the first record that is acknowledged, and what a broker costs that nobody uses.

use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::Signal;

use crate::node::{Node, Product};
use crate::raw_client::{Batch, Connection, FETCH, fetch_body, frame};
use crate::{ALREADY_EXISTS, ANSWER_TIMEOUT, Row, START_TIMEOUT, mebibytes, milliseconds};

/// How much to do.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Plan {
    starts: usize,
    topics: usize,
    parked: usize,
    parked_for: Duration,
    settle: Duration,
}

impl Plan {
    pub(crate) const FULL: Self = Self {
        starts: 5,
        topics: 1_000,
        parked: 200,
        parked_for: Duration::from_secs(30),
        settle: Duration::from_secs(5),
    };
    pub(crate) const QUICK: Self = Self {
        starts: 1,
        topics: 20,
        parked: 20,
        parked_for: Duration::from_secs(2),
        settle: Duration::from_secs(1),
    };
}

/// Starts a broker and produces until it acknowledges: the running broker and the time from its spawn.
pub(crate) fn first_ack(product: Product, work: &Path, topic: &str) -> (Node, Duration) {
    let port = Node::prepare(product, work);
    let batch = Batch::of(Some(b"key"), &[b"value"]).encode();
    let started = Instant::now();
    let node = Node::spawn(product, work, port);
    while !acknowledged(port, topic, &batch).unwrap_or(false) {
        assert!(started.elapsed() < START_TIMEOUT, "{product:?} does not acknowledge");
        thread::sleep(Duration::from_micros(200));
    }
    (node, started.elapsed())
}

fn acknowledged(port: u16, topic: &str, batch: &[u8]) -> std::io::Result<bool> {
    let mut client = Connection::open(port, ANSWER_TIMEOUT)?;
    client.api_versions()?;
    let error = client.create_topics(&[topic.to_owned()], 1, &[])?;
    if error != 0 && error != ALREADY_EXISTS {
        return Ok(false);
    }
    // Kafka answers the creation before the partition serves.
    let deadline = Instant::now() + ANSWER_TIMEOUT;
    while Instant::now() < deadline {
        if client.produce(topic, 0, batch)?.error == 0 {
            return Ok(true);
        }
    }
    Ok(false)
}

/// The middle of several starts on an empty directory.
fn start_empty(product: Product, plan: &Plan) -> Duration {
    let mut times: Vec<Duration> = (0..plan.starts)
        .map(|_| {
            let work = tempfile::tempdir().unwrap();
            let (node, took) = first_ack(product, work.path(), "first");
            node.end(Signal::TERM);
            took
        })
        .collect();
    times.sort();
    times[times.len() / 2]
}

/// Starts on a directory of many topics with a record each: after a clean stop, after a kill.
fn start_full(product: Product, plan: &Plan) -> (Duration, Duration) {
    let work = tempfile::tempdir().unwrap();
    let names: Vec<String> = (0..plan.topics).map(|number| format!("topic-{number}")).collect();
    let last = names.last().unwrap();
    let (node, _) = first_ack(product, work.path(), last);
    let batch = Batch::of(Some(b"key"), &[b"value"]).encode();
    let mut client = node.connect();
    for some in names[..names.len() - 1].chunks(100) {
        assert_eq!(client.create_topics(some, 1, &[]).unwrap(), 0);
    }
    for name in &names {
        while client.produce(name, 0, &batch).unwrap().error != 0 {
            thread::sleep(Duration::from_millis(5));
        }
    }
    node.end(Signal::TERM);
    let (node, after_stop) = first_ack(product, work.path(), last);
    node.end(Signal::KILL);
    let (node, after_kill) = first_ack(product, work.path(), last);
    node.end(Signal::TERM);
    (after_stop, after_kill)
}

/// Memory some seconds after a start, and the CPU time that clients cost which wait for records.
fn idle(product: Product, plan: &Plan) -> (u64, Duration) {
    let work = tempfile::tempdir().unwrap();
    let (node, _) = first_ack(product, work.path(), "idle");
    thread::sleep(plan.settle);
    let resident = node.resident_bytes();
    let wait = frame(FETCH, 4, false, &fetch_body("idle", 1, 60_000));
    let parked: Vec<Connection> = (0..plan.parked)
        .map(|_| {
            let mut client = node.connect();
            client.send(&wait).unwrap();
            client
        })
        .collect();
    thread::sleep(plan.settle);
    let before = node.cpu_time();
    thread::sleep(plan.parked_for);
    let used = node.cpu_time().saturating_sub(before);
    drop(parked);
    node.end(Signal::TERM);
    (resident, used)
}

/// Start, memory and waiting clients.
pub(crate) fn measure(product: Product, plan: &Plan) -> Vec<Row> {
    let topics = plan.topics;
    let empty = start_empty(product, plan);
    let (after_stop, after_kill) = start_full(product, plan);
    let (resident, cpu) = idle(product, plan);
    let parked = format!("CPU for {} parked fetches in {:?} (ms)", plan.parked, plan.parked_for);
    vec![
        ("process start to first acked record, empty directory (ms)".into(), milliseconds(empty)),
        (format!("the same, {topics} topics, after a clean stop (ms)"), milliseconds(after_stop)),
        (format!("the same, {topics} topics, after SIGKILL (ms)"), milliseconds(after_kill)),
        (format!("VmRSS {:?} after start (MiB)", plan.settle), mebibytes(resident)),
        (parked, milliseconds(cpu)),
    ]
}
