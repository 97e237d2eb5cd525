//! From the start of the process to the first record that is acknowledged: on an empty directory, on one of many
//! topics, on one of many partitions.
//!
//! The clock starts before the process does and stops when a client has its answer, so what a broker puts off until it
//! is asked counts too. Files that a stop has left behind are still in the page cache. Every start on a directory is
//! one of the same broker that filled it.

use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::Signal;
use tempfile::TempDir;

use crate::contender::{produce_until_acknowledged, take_turns};
use crate::node::{Node, Product, open_files};
use crate::raw_client::{Batch, Connection};
use crate::table::{Aim, Column, Figure, Section, Than, median};
use crate::{ALREADY_EXISTS, ANSWER_TIMEOUT, START_TIMEOUT, Setup, megabytes, milliseconds};

const COLUMNS: [Column; 3] = [Column::Ottla, Column::Again, Column::Kafka];
/// Topics of one request that creates some: a broker may refuse to make too many partitions at once.
const CREATED_AT_ONCE: usize = 5;

/// How much to do.
#[derive(Clone, Copy, Debug)]
struct Plan {
    /// On an empty directory.
    starts: usize,
    topics: Layout,
    partitions: Layout,
    /// After a clean stop, on many partitions.
    restarts: usize,
}

const FULL: Plan = Plan {
    starts: 5,
    topics: Layout { topics: 1_000, partitions: 1 },
    partitions: Layout { topics: 100, partitions: 100 },
    restarts: 3,
};
const QUICK: Plan = Plan {
    starts: 1,
    topics: Layout { topics: 20, partitions: 1 },
    partitions: Layout { topics: 3, partitions: 100 },
    restarts: 1,
};

/// What a directory has in it.
#[derive(Clone, Copy, Debug)]
struct Layout {
    topics: usize,
    /// Of each topic.
    partitions: i32,
}

impl Layout {
    fn names(self) -> Vec<String> {
        (0..self.topics).map(|number| format!("topic-{number}")).collect()
    }

    /// Creates all of it and has a record acknowledged in every partition.
    fn create(self, node: &Node) {
        let mut client = node.connect();
        for some in self.names().chunks(CREATED_AT_ONCE) {
            assert_eq!(client.create_topics(some, self.partitions, &[]).unwrap(), 0);
        }
        self.serves_all(node);
    }

    /// A record in every partition is acknowledged, one after the other.
    fn serves_all(self, node: &Node) {
        let batch = Batch::of(Some(b"key"), &[b"value"]).encode();
        let mut client = node.connect();
        for name in self.names() {
            for partition in 0..self.partitions {
                produce_until_acknowledged(&mut client, &name, partition, &batch);
            }
        }
    }
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

/// A directory of one of those that are measured.
struct Place {
    column: Column,
    work: TempDir,
}

impl Place {
    fn new(column: Column) -> Self {
        Self { column, work: tempfile::tempdir().unwrap() }
    }

    /// Starts its broker; as [`first_ack`].
    fn start(&self, topic: &str) -> (Node, Duration) {
        let product = if self.column == Column::Kafka { Product::Kafka } else { Product::Ottla };
        first_ack(product, self.work.path(), topic)
    }
}

/// A figure of one value of each column.
fn figure(
    name: impl Into<String>,
    aims: &[Aim],
    values: impl IntoIterator<Item = (Column, f64)>,
) -> Figure {
    Figure::of(name, aims, values.into_iter().map(|(column, value)| (column, Some(value))))
}

/// The middle of several starts on a directory that has nothing in it.
fn empty(columns: &[Column], starts: usize) -> Figure {
    let times = take_turns(columns, starts, |column, _| {
        let place = Place::new(*column);
        let (node, took) = place.start("first");
        node.end(Signal::TERM);
        milliseconds(took)
    });
    let middle = columns.iter().copied().zip(times.into_iter().map(median));
    figure("empty directory: first ack (ms)", &[Aim::AtMost(Than::Number(20.0))], middle)
}

/// A start on many topics after a clean stop, and one after a kill.
fn many_topics(columns: &[Column], layout: Layout) -> [Figure; 2] {
    let last = layout.names().pop().unwrap();
    let times = take_turns(columns, 1, |column, _| {
        let place = Place::new(*column);
        let (node, _) = place.start("first");
        layout.create(&node);
        node.end(Signal::TERM);
        let (node, after_stop) = place.start(&last);
        node.end(Signal::KILL);
        let (node, after_kill) = place.start(&last);
        node.end(Signal::TERM);
        (milliseconds(after_stop), milliseconds(after_kill))
    });
    let of = |after: &str, value: fn(&(f64, f64)) -> f64| {
        let values = columns.iter().copied().zip(times.iter().map(|times| value(&times[0])));
        let name = format!("{} topics, after {after}: first ack (ms)", layout.topics);
        figure(name, &[], values)
    };
    [of("a clean stop", |times| times.0), of("SIGKILL", |times| times.1)]
}

/// What a broker is like that has just created many partitions.
struct Created {
    took: Duration,
    resident_bytes: u64,
    open_files: usize,
}

fn create(place: &Place, layout: Layout) -> Created {
    let (node, _) = place.start("first");
    let began = Instant::now();
    layout.create(&node);
    let took = began.elapsed();
    let (resident_bytes, open_files) = (node.resident_bytes(), open_files(node.pid()));
    node.end(Signal::TERM);
    Created { took, resident_bytes, open_files }
}

/// Many partitions: what they cost, and the middle of several starts after a clean stop.
fn many_partitions(columns: &[Column], layout: Layout, restarts: usize) -> Vec<Figure> {
    let places: Vec<Place> = columns.iter().copied().map(Place::new).collect();
    let created: Vec<Created> = places.iter().map(|place| create(place, layout)).collect();
    let names = layout.names();
    let times = take_turns(&places, restarts, |place, round| {
        let began = Instant::now();
        let (node, first) = place.start(&names[round % names.len()]);
        layout.serves_all(&node);
        let all = began.elapsed();
        node.end(Signal::TERM);
        (first, all)
    });
    let count = layout.topics * layout.partitions as usize;
    let name = |what: &str| format!("{count} partitions{what}");
    let of = |what: &str, value: fn(&Created) -> f64| {
        let values = columns.iter().copied().zip(created.iter().map(value));
        figure(name(what), &[], values)
    };
    let restarted = |what: &str, aims: &[Aim], value: fn(&(Duration, Duration)) -> Duration| {
        let middle = |times: &Vec<(Duration, Duration)>| {
            median(times.iter().map(|times| milliseconds(value(times))).collect())
        };
        let values = columns.iter().copied().zip(times.iter().map(middle));
        figure(name(&format!(", after a clean stop: {what}")), aims, values)
    };
    vec![
        of(", created: a record in each (ms)", |created| milliseconds(created.took)),
        of(": VmRSS (MB)", |created| megabytes(created.resident_bytes)),
        of(": open files", |created| created.open_files as f64),
        restarted("first ack (ms)", &[Aim::AtMost(Than::Number(300.0))], |times| times.0),
        restarted("a record in each (ms)", &[], |times| times.1),
    ]
}

pub(crate) fn part(setup: &Setup) -> Vec<Section> {
    let plan = setup.amount(FULL, QUICK);
    let columns = setup.columns(&COLUMNS);
    let mut figures = vec![empty(&columns, plan.starts)];
    figures.extend(many_topics(&columns, plan.topics));
    figures.extend(many_partitions(&columns, plan.partitions, plan.restarts));
    let method = format!(
        "From before the process is there until a record is acknowledged that a client has sent, which tries to connect \
         every 200 µs: creating its topic is part of it where the directory is empty, and Kafka's directory is formatted \
         before. The middle of {} starts on an empty directory and of {} on many partitions; on many topics there is one \
         of each kind. A record in each partition is {} requests, one after the other.",
        plan.starts,
        plan.restarts,
        plan.partitions.topics * plan.partitions.partitions as usize,
    );
    vec![Section { title: "From the start to the first record", method, figures }]
}
