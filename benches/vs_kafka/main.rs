//! Ottla beside Apache Kafka, in turn, on this machine: start, memory, the price of waiting clients, groups, transactions,
//! and logs that are large or many.
//!
//! `cargo bench --bench vs_kafka` measures; `-- --quick` runs the same with small numbers, to see that it works;
//! `-- --ours` leaves Apache Kafka out, `-- --theirs` Ottla; `-- --groups`, `-- --transactions`, `-- --storage` and
//! `-- --limits` leave out all else. Limits are what this machine and a bare loop can do at most.
//! `-- --instructions` counts those that a request takes in Ottla; it is slow, and done only when asked for. Both brokers run with their default settings and are asked by the same raw client. Kafka's directory is formatted before the clock starts; ours is empty.
#![expect(
    clippy::disallowed_methods,
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a measurement stands outside the simulated world, and one that cannot go on has failed"
)]

use std::env;
use std::fmt::Write as _;
use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

use node::{Node, Product};
use raw_client::{Batch, Connection, FETCH, fetch_body, frame};
use rustix::process::Signal;

mod consumer_groups;
mod floor;
mod groups;
mod instructions;
mod limits;
mod node;
mod rebalance;
mod storage;
mod transactions;
mod typed;

#[expect(dead_code, reason = "the tests use the rest")]
#[path = "../../compat/raw_client.rs"]
mod raw_client;
#[expect(dead_code, reason = "the tests use the rest")]
#[path = "../../compat/reference/mod.rs"]
mod reference;
#[expect(dead_code, reason = "the tests use the rest")]
#[path = "../../compat/requests.rs"]
mod requests;

const ANSWER_TIMEOUT: Duration = Duration::from_secs(10);
const START_TIMEOUT: Duration = Duration::from_mins(2);
/// `TOPIC_ALREADY_EXISTS`
const ALREADY_EXISTS: i16 = 36;

/// How much to do.
#[derive(Clone, Copy, Debug)]
struct Plan {
    starts: usize,
    topics: usize,
    parked: usize,
    parked_for: Duration,
    settle: Duration,
}

impl Plan {
    const FULL: Self = Self {
        starts: 5,
        topics: 1_000,
        parked: 200,
        parked_for: Duration::from_secs(30),
        settle: Duration::from_secs(5),
    };
    const QUICK: Self = Self {
        starts: 1,
        topics: 20,
        parked: 20,
        parked_for: Duration::from_secs(2),
        settle: Duration::from_secs(1),
    };
}

/// Starts a broker and produces until it acknowledges: the running broker and the time from its spawn.
fn first_ack(product: Product, work: &Path, topic: &str) -> (Node, Duration) {
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

/// A row of the table: what was measured, with its unit, and how much.
type Row = (String, f64);

fn milliseconds(time: Duration) -> f64 {
    time.as_secs_f64() * 1e3
}

fn mebibytes(bytes: u64) -> f64 {
    bytes as f64 / f64::from(1 << 20)
}

/// Start, memory and waiting clients.
fn measure(product: Product, plan: &Plan) -> Vec<Row> {
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

fn table(columns: &[(Product, Vec<Row>)]) -> String {
    let mut text = format!("{:<66}", "");
    for (product, _) in columns {
        write!(text, "{:>10}", format!("{product:?}").to_lowercase()).unwrap();
    }
    text.push_str(if columns.len() == 2 { "     ratio\n" } else { "\n" });
    for (number, (name, _)) in columns[0].1.iter().enumerate() {
        write!(text, "{name:<66}").unwrap();
        let values: Vec<f64> = columns.iter().map(|(_, rows)| rows[number].1).collect();
        for value in &values {
            write!(text, "{value:>10.2}").unwrap();
        }
        if let [ours, theirs] = values[..] {
            write!(text, "{:>10.4}", ours / theirs).unwrap();
        }
        text.push('\n');
    }
    text
}

/// What no broker can be faster than.
fn print_limits(quick: bool) {
    let work = tempfile::tempdir().unwrap();
    let plan = if quick { &limits::Plan::QUICK } else { &limits::Plan::FULL };
    let mut rows = limits::measure(work.path(), plan).rows();
    rows.extend(
        floor::measure(if quick { &floor::Plan::QUICK } else { &floor::Plan::FULL }).rows(),
    );
    print_rows(rows, 3);
}

fn print_instructions(quick: bool) {
    match instructions::unavailable() {
        None => {
            let requests = if quick { instructions::QUICK } else { instructions::FULL };
            print_rows(instructions::measure(requests), 0);
        }
        Some(reason) => println!("Instructions were not counted: {reason}"),
    }
}

fn print_rows(rows: Vec<Row>, decimals: usize) {
    for (name, value) in rows {
        println!("{name:<66}{value:>10.decimals$}");
    }
}

fn main() {
    floor::serve_if_asked();
    let given = |flag: &str| env::args().any(|argument| argument == flag);
    let quick = given("--quick");
    let parts = ["--groups", "--transactions", "--storage", "--limits", "--instructions"];
    let some = parts.into_iter().any(given);
    let with = |flag: &str| !some || given(flag);
    if with("--limits") {
        print_limits(quick);
    }
    if given("--instructions") {
        print_instructions(quick);
    }
    let (with_groups, with_transactions) = (with("--groups"), with("--transactions"));
    let run = |product| {
        let mut rows = Vec::new();
        if !some {
            rows.extend(measure(product, if quick { &Plan::QUICK } else { &Plan::FULL }));
        }
        if with_groups {
            let plan = if quick { &groups::Plan::QUICK } else { &groups::Plan::FULL };
            rows.extend(groups::measure(product, plan));
            rows.extend(consumer_groups::measure(product, plan));
        }
        if with("--storage") {
            let plan = if quick { &storage::Plan::QUICK } else { &storage::Plan::FULL };
            rows.extend(storage::measure(product, plan));
        }
        (product, rows)
    };
    let missing = reference::unavailable();
    let mut products = vec![Product::Ottla, Product::Kafka];
    products.retain(|product| match product {
        Product::Ottla => !given("--theirs"),
        Product::Kafka => missing.is_none() && !given("--ours"),
    });
    let mut columns: Vec<_> = products.iter().copied().map(run).collect();
    let mut add = |together: Vec<Vec<Row>>| {
        for ((_, rows), more) in columns.iter_mut().zip(together) {
            rows.extend(more);
        }
    };
    if with_groups {
        add(rebalance::measure(&products, if quick { 3 } else { 50 }));
    }
    if with_transactions {
        let plan = if quick { transactions::Plan::QUICK } else { transactions::Plan::FULL };
        add(transactions::measure(&products, plan));
    }
    if columns.iter().any(|(_, rows)| !rows.is_empty()) {
        println!("{}", table(&columns));
    }
    if let Some(reason) = missing {
        println!("Apache Kafka was not measured: {reason}");
    }
}
