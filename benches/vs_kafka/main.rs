//! Ottla beside Apache Kafka, in turn, on this machine, and beside what the machine itself can do.
//!
//! `cargo bench --bench vs_kafka` measures everything and writes `docs/benchmarks.md`. With names of parts, as in
//! `-- --throughput --latency`, only these are measured, and printed; `-- --help` lists them. `--quick` runs the same with
//! small numbers, to see that it works; `--ours` leaves Apache Kafka out, `--theirs` Ottla; `--other HOST:PORT[=PID]`
//! measures one more broker. All brokers run with their default settings and are asked by the same clients. Kafka's
//! directory is formatted before the clock starts; ours is empty.
#![expect(
    clippy::disallowed_methods,
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a measurement stands outside the simulated world, and one that cannot go on has failed"
)]

use std::cell::OnceCell;
use std::env;
use std::fs;
use std::time::Duration;

use contender::{Contender, Given};
use node::Product;
use starts::first_ack;
use table::{Column, Section};

mod connections;
mod consumer_groups;
mod contender;
mod floor;
mod generator;
mod groups;
mod instructions;
mod latency;
mod limits;
mod machine;
mod node;
mod rebalance;
mod starts;
mod stock;
mod storage;
mod table;
mod throughput;
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
const DOCUMENT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/benchmarks.md");

/// A row of one product: what was measured, with its unit, and how much.
type Row = (String, f64);

/// A part of the whole: its flag, what it measures, and how.
type Part = (&'static str, &'static str, fn(&Setup) -> Vec<Section>);

const PARTS: [Part; 10] = [
    ("--limits", "what the machine and a bare loop can do", limits_part),
    ("--throughput", "bytes through the broker, and their cost", throughput::part),
    ("--stock", "what Kafka's own clients get", stock::part),
    ("--latency", "how long clients wait, also beside others and for the disk", latency::part),
    ("--connections", "clients that do little, and many of them", connections::part),
    ("--starts", "from the start to the first record", starts::part),
    ("--storage", "starts on large logs", storage::part),
    ("--transactions", "transactions, one after the other", transactions::part),
    ("--groups", "many consumer groups", groups_part),
    ("--instructions", "instructions of a request", instructions_part),
];

/// What is to be measured.
pub(crate) struct Setup {
    /// Small numbers, to see that it works.
    pub(crate) quick: bool,
    kafka: bool,
    ottla: bool,
    given: Option<Given>,
    limits: OnceCell<limits::Limits>,
}

impl Setup {
    fn from_arguments() -> Self {
        let arguments: Vec<String> = env::args().collect();
        let has = |flag: &str| arguments.iter().any(|argument| argument == flag);
        let missing = reference::unavailable();
        if let Some(reason) = missing.as_ref().filter(|_| !has("--ours")) {
            println!("Apache Kafka is not measured: {reason}");
        }
        let other = arguments.iter().position(|argument| argument == "--other");
        let given = other.map(|place| {
            let address = arguments.get(place + 1).and_then(|text| Given::parse(text));
            address.expect("--other HOST:PORT[=PID]")
        });
        Self {
            quick: has("--quick"),
            kafka: !has("--ours") && missing.is_none(),
            ottla: !has("--theirs"),
            given,
            limits: OnceCell::new(),
        }
    }

    /// One of two numbers: that of a whole run, and that of a quick one.
    pub(crate) fn amount<T>(&self, full: T, quick: T) -> T {
        if self.quick { quick } else { full }
    }

    /// Those of `columns` that this run is to measure.
    pub(crate) fn columns(&self, columns: &[Column]) -> Vec<Column> {
        let wanted = |column: &&Column| match column {
            Column::Ottla | Column::Again => self.ottla,
            Column::Kafka => self.kafka,
            Column::Floor => true,
            Column::Other => self.given.is_some(),
        };
        columns.iter().filter(wanted).copied().collect()
    }

    /// The same, running.
    pub(crate) fn contenders(&self, columns: &[Column]) -> Vec<Contender> {
        let start = |column| Contender::start(column, self.given.as_ref());
        self.columns(columns).into_iter().map(start).collect()
    }

    /// The address of another broker, if one was given.
    pub(crate) fn given(&self) -> Option<&Given> {
        self.given.as_ref()
    }

    /// What the machine can do; measured once.
    pub(crate) fn limits(&self) -> &limits::Limits {
        self.limits.get_or_init(|| {
            let work = tempfile::tempdir().unwrap();
            limits::measure(work.path(), &self.amount(limits::Plan::FULL, limits::Plan::QUICK))
        })
    }

    fn products(&self) -> Vec<(Column, Product)> {
        let all = [(Column::Ottla, Product::Ottla), (Column::Kafka, Product::Kafka)];
        let columns = self.columns(&[Column::Ottla, Column::Kafka]);
        all.into_iter().filter(|(column, _)| columns.contains(column)).collect()
    }

    /// The rows of each product, measured one after the other.
    fn each(&self, measure: impl Fn(Product) -> Vec<Row>) -> Vec<(Column, Vec<Row>)> {
        self.products().into_iter().map(|(column, product)| (column, measure(product))).collect()
    }

    /// The rows of all products, measured in turns.
    fn together(&self, measure: impl Fn(&[Product]) -> Vec<Vec<Row>>) -> Vec<(Column, Vec<Row>)> {
        let (columns, products): (Vec<Column>, Vec<Product>) = self.products().into_iter().unzip();
        columns.into_iter().zip(measure(&products)).collect()
    }
}

fn milliseconds(time: Duration) -> f64 {
    time.as_secs_f64() * 1e3
}

fn megabytes(bytes: u64) -> f64 {
    bytes as f64 / 1e6
}

fn mebibytes(bytes: u64) -> f64 {
    bytes as f64 / f64::from(1 << 20)
}

fn limits_part(setup: &Setup) -> Vec<Section> {
    let mut rows = setup.limits().rows();
    rows.extend(floor::measure(&setup.amount(floor::Plan::FULL, floor::Plan::QUICK)).rows());
    let method = "The fastest of several rounds. The floor is a bare loop that receives the same requests, checks the \
        CRC-32C, writes the same files and answers, and one that sends them with `sendfile`.";
    vec![Section::of_rows("What the machine can do", method, vec![(Column::Floor, rows)])]
}

fn groups_part(setup: &Setup) -> Vec<Section> {
    let plan = setup.amount(groups::Plan::FULL, groups::Plan::QUICK);
    let many = setup.each(|product| {
        let mut rows = groups::measure(product, &plan);
        rows.extend(consumer_groups::measure(product, &plan));
        rows
    });
    let rounds = setup.amount(50, 3);
    let joins = setup.together(|products| rebalance::measure(products, rounds));
    let of_many = "One thread plays every member of every group, so that the broker has the machine: first groups of the \
        classic protocol, then on a new broker those of the consumer protocol (KIP-848). One run of each broker, one after \
        the other.";
    let of_joins = "A group of the classic protocol of nine takes in a tenth. The brokers take turns, and members ask for \
        their heartbeat until they are told, so that no interval is measured.";
    vec![
        Section::of_rows("Many consumer groups", of_many, many),
        Section::of_rows("A member joins a group", of_joins, joins),
    ]
}

fn instructions_part(setup: &Setup) -> Vec<Section> {
    if let Some(reason) = instructions::unavailable() {
        println!("Instructions are not counted: {reason}");
        return Vec::new();
    }
    let requests = setup.amount(instructions::FULL, instructions::QUICK);
    let rows = instructions::measure(requests);
    let method = "Counted by valgrind in the broker, without the kernel's: the same on a busy machine. Of two runs with \
        different numbers of requests, the difference.";
    vec![Section::of_rows("Instructions of a request", method, vec![(Column::Ottla, rows)])]
}

fn help() {
    for (flag, what, _) in PARTS {
        println!("{flag:<20}{what}");
    }
}

fn main() {
    floor::serve_if_asked();
    if stock::act_if_asked() {
        return;
    }
    let given = |flag: &str| env::args().any(|argument| argument == flag);
    if given("--help") {
        return help();
    }
    let setup = Setup::from_arguments();
    let is_whole = !PARTS.iter().any(|(flag, ..)| given(flag));
    let mut text = String::new();
    for (flag, _, measure) in PARTS {
        if is_whole || given(flag) {
            for section in measure(&setup) {
                println!("{}", section.markdown());
                text.push_str(&section.markdown());
                text.push('\n');
            }
        }
    }
    if is_whole && !setup.quick && setup.kafka && setup.ottla {
        let document = format!("{}\n{}", machine::preface(), text.trim_end());
        fs::write(DOCUMENT, document + "\n").unwrap();
    }
}
