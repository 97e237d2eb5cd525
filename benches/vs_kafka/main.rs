//! Ottla beside Apache Kafka, in turn, on this machine: start, memory, and the price of waiting clients.
//!
//! `cargo bench --bench vs_kafka` measures; `-- --quick` runs the same with small numbers, to see that it works;
//! `-- --ours` leaves Apache Kafka out. Both brokers run with their default settings and are asked by the same raw
//! client. Kafka's directory is formatted before the clock starts; ours is empty.
#![expect(
    clippy::disallowed_methods,
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a measurement stands outside the simulated world, and one that cannot go on has failed"
)]

use std::env;
use std::fmt::Write as _;
use std::fs;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use raw_client::{Batch, Connection, FETCH, fetch_body, frame};
use reference::{Options, Reference};
use rustix::process::{Pid, Signal, kill_process};

#[expect(dead_code, reason = "the tests use the rest")]
#[path = "../../compat/raw_client.rs"]
mod raw_client;
#[expect(dead_code, reason = "the tests use the rest")]
#[path = "../../compat/reference/mod.rs"]
mod reference;

const ANSWER_TIMEOUT: Duration = Duration::from_secs(10);
const START_TIMEOUT: Duration = Duration::from_mins(2);
/// `TOPIC_ALREADY_EXISTS`
const ALREADY_EXISTS: i16 = 36;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Product {
    Ottla,
    Kafka,
}

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

/// A running broker that this program started.
enum Node {
    Ottla(Child, u16),
    Kafka(Reference),
}

impl Node {
    /// Everything that precedes the start itself: an empty or formatted directory and a free port.
    fn prepare(product: Product, work: &Path) -> u16 {
        match product {
            Product::Ottla => {
                let listener = TcpListener::bind("127.0.0.1:0").unwrap();
                listener.local_addr().unwrap().port()
            }
            Product::Kafka => Reference::prepare(work, &Self::options(work)),
        }
    }

    fn options(work: &Path) -> Options {
        Options { data: Some(Self::data(work)), ..Options::default() }
    }

    fn data(work: &Path) -> PathBuf {
        work.join("data")
    }

    fn spawn(product: Product, work: &Path, port: u16) -> Self {
        match product {
            Product::Ottla => {
                let log = fs::File::create(work.join("broker.log")).unwrap();
                let mut command = Command::new(env!("CARGO_BIN_EXE_ottla"));
                let listener = format!("listeners=PLAINTEXT://localhost:{port}");
                command.args(["server", "--override", &listener, "--override"]);
                command.arg(format!("log.dirs={}", Self::data(work).display()));
                let errors = log.try_clone().unwrap();
                let child = command.stdin(Stdio::null()).stdout(log).stderr(errors).spawn();
                Self::Ottla(child.unwrap(), port)
            }
            Product::Kafka => Self::Kafka(Reference::spawn(work, &Self::options(work), port)),
        }
    }

    fn pid(&self) -> u32 {
        match self {
            Self::Ottla(child, _) => child.id(),
            Self::Kafka(node) => node.pid(),
        }
    }

    fn port(&self) -> u16 {
        match self {
            Self::Ottla(_, port) => *port,
            Self::Kafka(node) => node.port(),
        }
    }

    fn connect(&self) -> Connection {
        Connection::open(self.port(), ANSWER_TIMEOUT).unwrap()
    }

    fn end(self, signal: Signal) {
        match self {
            Self::Ottla(mut child, _) => {
                kill_process(Pid::from_child(&child), signal).unwrap();
                child.wait().unwrap();
            }
            Self::Kafka(node) if signal == Signal::KILL => node.kill(),
            Self::Kafka(node) => drop(node.stop()),
        }
    }

    fn resident_bytes(&self) -> u64 {
        let status = fs::read_to_string(format!("/proc/{}/status", self.pid())).unwrap();
        let line = status.lines().find(|line| line.starts_with("VmRSS:")).unwrap();
        line.split_whitespace().nth(1).unwrap().parse::<u64>().unwrap() * 1024
    }

    /// Time its threads have run, from the scheduler's own counters: `utime` has steps of 10 ms, these of 1 ns.
    fn cpu_time(&self) -> Duration {
        let tasks = fs::read_dir(format!("/proc/{}/task", self.pid())).unwrap();
        let ran = tasks.filter_map(|task| {
            // A thread that ends between the two reads has no counters any more.
            let counters = fs::read_to_string(task.ok()?.path().join("schedstat")).ok()?;
            counters.split_whitespace().next()?.parse::<u64>().ok()
        });
        Duration::from_nanos(ran.sum())
    }
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

/// One number per row, in the unit that the row's name gives.
fn measure(product: Product, plan: &Plan) -> Vec<f64> {
    let milliseconds = |time: Duration| time.as_secs_f64() * 1e3;
    let empty = start_empty(product, plan);
    let (after_stop, after_kill) = start_full(product, plan);
    let (resident, cpu) = idle(product, plan);
    let mebibytes = resident as f64 / f64::from(1 << 20);
    let starts = [empty, after_stop, after_kill].map(milliseconds);
    [starts.as_slice(), &[mebibytes, milliseconds(cpu)]].concat()
}

fn table(plan: &Plan, ours: &[f64], theirs: Option<&[f64]>) -> String {
    let topics = plan.topics;
    let rows = [
        "process start to first acked record, empty directory (ms)".to_owned(),
        format!("the same, {topics} topics, after a clean stop (ms)"),
        format!("the same, {topics} topics, after SIGKILL (ms)"),
        format!("VmRSS {:?} after start (MiB)", plan.settle),
        format!("CPU for {} parked fetches in {:?} (ms)", plan.parked, plan.parked_for),
    ];
    let mut text = format!("{:<58}{:>10}{:>10}{:>10}\n", "", "ottla", "kafka", "ratio");
    for (number, row) in rows.iter().enumerate() {
        let value = ours[number];
        write!(text, "{row:<58}{value:>10.2}").unwrap();
        if let Some(theirs) = theirs {
            write!(text, "{:>10.2}{:>10.4}", theirs[number], value / theirs[number]).unwrap();
        }
        text.push('\n');
    }
    text
}

fn main() {
    let given = |flag: &str| env::args().any(|argument| argument == flag);
    let plan = if given("--quick") { Plan::QUICK } else { Plan::FULL };
    let ours = measure(Product::Ottla, &plan);
    let missing = reference::unavailable();
    let theirs = match &missing {
        None if !given("--ours") => Some(measure(Product::Kafka, &plan)),
        _ => None,
    };
    println!("{}", table(&plan, &ours, theirs.as_deref()));
    if let Some(reason) = missing {
        println!("Apache Kafka was not measured: {reason}");
    }
}
