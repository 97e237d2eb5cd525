//! Everything that a directory holds, carried from one broker to the other and back, as Kafka's tools print it and as
//! clients meet it that live through the change.

use std::fs;
use std::path::{Path, PathBuf};

use ottla::wire::messages::init_producer_id::InitProducerIdRequest;

use super::{TIMEOUT, assert_no_damage, text};
use crate::broker::Broker;
use crate::group_clients::{CONSOLE_CONSUMER, commit};
use crate::group_command::run;
use crate::needs;
use crate::raw_client::{Batch, Connection, Produced};
use crate::reference::{self, Options, Reference};
use crate::transactions::{Client, Producer, TOPIC, UNSTABLE_OFFSET_COMMIT, settled};
use crate::wait::until;

/// Snapshots of the metadata are made after every few records.
const SNAPSHOTS: &str = "metadata.log.max.record.bytes.between.snapshots=1000";
const CONFIGS: [(&str, &str); 2] = [("retention.ms", "-1"), ("max.message.bytes", "5000")];
const NUMBERED: &str = "numbered";
/// What both brokers are asked for, and what a line of the answer contains, its words sorted.
const COMMANDS: [(&str, &str); 7] = [
    ("org.apache.kafka.tools.TopicCommand --describe", "max.message.bytes=5000"),
    (
        "kafka.admin.ConfigCommand --describe --entity-type topics",
        "DYNAMIC_TOPIC_CONFIG:max.message.bytes=5000",
    ),
    (
        "org.apache.kafka.tools.consumer.group.ConsumerGroupCommand --describe --all-groups",
        "payments readers",
    ),
    ("org.apache.kafka.tools.GroupsCommand --list", "Classic consumer java"),
    ("org.apache.kafka.tools.TransactionsCommand list", "Ongoing kept"),
    (
        "org.apache.kafka.tools.TransactionsCommand describe-producers --topic payments --partition 0",
        " None",
    ),
    (
        "org.apache.kafka.tools.TransactionsCommand describe-producers --topic numbered --partition 0",
        " None",
    ),
];
const NOT_LEADER_OR_FOLLOWER: i16 = 6;

/// A broker on the directory.
enum Node {
    Kafka(Reference),
    Ottla(Broker),
}

impl Node {
    fn kafka(work: &Path) -> Self {
        let (data, extra) = (Some(work.join("data")), SNAPSHOTS.to_owned());
        let kafka = Reference::start(work, &Options { data, extra, ..Options::default() });
        assert_no_damage(&kafka.log(), "everything");
        Self::Kafka(kafka)
    }

    fn ottla(work: &Path) -> Self {
        Self::Ottla(Broker::start_on(&work.join("data"), &[SNAPSHOTS]))
    }

    fn port(&self) -> u16 {
        match self {
            Self::Kafka(kafka) => kafka.port(),
            Self::Ottla(broker) => broker.port(),
        }
    }

    fn stop(self) {
        match self {
            Self::Kafka(kafka) => drop(kafka.stop()),
            Self::Ottla(mut broker) => broker.terminate(),
        }
    }
}

/// What the tools print, sorted: its order is that of hash maps.
fn printed(port: u16) -> Vec<Vec<String>> {
    let servers = format!("\t--bootstrap-server\tlocalhost:{port}");
    let command = |(line, _): &(&str, &str)| {
        let (class, arguments) = line.split_once(' ').unwrap();
        format!("{class}{servers}\t{}", arguments.replace(' ', "\t"))
    };
    let commands: Vec<String> = COMMANDS.iter().map(command).collect();
    // A transaction whose markers are on their way is not settled yet.
    let is_settled =
        |printed: &[Vec<String>]| !printed[4].iter().any(|line| line.contains("Prepare"));
    let mut printed =
        until("all markers", TIMEOUT, || Some(run(&commands)).filter(|it| is_settled(it)));
    let words = |line: &String| {
        let mut words: Vec<_> = line.split(['\t', ',', ' ']).filter(|it| !it.is_empty()).collect();
        words.sort_unstable();
        words.join(" ")
    };
    for lines in &mut printed {
        *lines = lines.iter().map(words).collect();
        lines.sort();
    }
    printed
}

fn assert_not_empty(printed: &[Vec<String>]) {
    for (lines, (command, line)) in printed.iter().zip(COMMANDS) {
        assert!(lines.iter().any(|found| found.contains(line)), "{command}: {lines:#?}");
    }
}

/// Waits until the tools print the same: coordinators of a broker that has just started are still loading.
fn assert_printed(port: u16, expected: &[Vec<String>]) {
    until("what was printed before", TIMEOUT, || {
        let printed = printed(port);
        if printed != expected {
            let lines = expected.iter().zip(&printed).filter(|(expected, found)| expected != found);
            needs::report(&format!("differs yet: {:#?}", lines.collect::<Vec<_>>()));
        }
        (printed == expected).then_some(())
    });
}

/// An idempotent producer without transactions.
struct Idempotent {
    id: i64,
    sequence: i32,
    last: Produced,
}

impl Idempotent {
    fn new(client: &mut Client) -> Self {
        let request = InitProducerIdRequest {
            transactional_id: None,
            transaction_timeout_ms: 60_000,
            producer_id: -1,
            producer_epoch: -1,
        };
        let given = until("a producer id", TIMEOUT, || {
            Some(client.ask(&request, 5)).filter(|given| given.error_code == 0)
        });
        let last = Produced { error: 0, base_offset: -1 };
        Self { id: given.producer_id, sequence: -1, last }
    }

    fn send(&self, port: u16) -> Produced {
        let batch = Batch {
            producer_id: self.id,
            producer_epoch: 0,
            base_sequence: self.sequence,
            ..Batch::of(None, &[b"idempotent"])
        };
        let mut client = Connection::open(port, TIMEOUT).unwrap();
        // Kafka answers before a new topic has its leader.
        until("a leader", TIMEOUT, || {
            let answer = client.produce(NUMBERED, 0, &batch.encode()).unwrap();
            Some(answer).filter(|answer| answer.error != NOT_LEADER_OR_FOLLOWER)
        })
    }

    /// Its last batch is known, and the next one in sequence is taken.
    fn goes_on(&mut self, port: u16) {
        if self.sequence >= 0 {
            assert_eq!(self.send(port), self.last, "a duplicate");
        }
        self.sequence += 1;
        let next = Produced { base_offset: self.last.base_offset + 1, ..self.last };
        self.last = self.send(port);
        assert_eq!(self.last, next);
    }
}

/// What clients have under way.
struct Work {
    idempotent: Idempotent,
    /// Transactions that are open: one that will be committed with an offset, and one that will not.
    open: [Producer; 2],
    /// Where the older of them begins.
    stable: i64,
    /// Values that a reader of committed records comes to next, once these transactions have ended.
    unread: Vec<String>,
}

impl Work {
    /// Leaves two transactions open.
    fn begin(port: u16, mut idempotent: Idempotent) -> Self {
        let mut client = Client::open(port);
        idempotent.goes_on(port);
        let [mut done, mut undone] = ["done", "undone"].map(|id| client.producer(id));
        let read = [done.value(0), done.value(1)].map(|value| value + "\n");
        let first = done.produce(&mut client, 2);
        assert_eq!(done.commit_offset(&mut client, first), 0);
        done.ended(&mut client, true);
        undone.produce(&mut client, 1);
        assert_eq!(undone.commit_offset(&mut client, 1_000), 0);
        undone.ended(&mut client, false);
        settled(&mut client);
        assert_eq!(consumed(port, 2), read.concat());
        commit(port, "plain", TOPIC, first, "by no member");

        let [mut kept, mut dropped] = ["kept", "dropped"].map(|id| client.producer(id));
        let unread = vec![kept.value(0), kept.value(1), done.value(0)];
        let stable = kept.produce(&mut client, 2);
        assert_eq!(kept.commit_offset(&mut client, stable), 0);
        dropped.produce(&mut client, 3);
        done.produce(&mut client, 1);
        done.ended(&mut client, true);
        Self { idempotent, open: [kept, dropped], stable, unread }
    }

    /// The broker that took over lets everyone go on.
    fn resume(self, port: u16) -> Idempotent {
        let Self { mut idempotent, open: [mut kept, mut dropped], stable, mut unread } = self;
        let mut client = Client::open(port);
        idempotent.goes_on(port);
        assert_eq!(client.end_offset(0, 1), stable);
        assert_eq!(client.committed(true).1, UNSTABLE_OFFSET_COMMIT);
        let again = kept.send(&mut client, kept.batch(2, 0), 12);
        assert_eq!((again.error_code, again.base_offset), (0, stable), "a duplicate");
        unread.push(kept.value(2));
        kept.produce(&mut client, 1);
        kept.ended(&mut client, true);
        dropped.ended(&mut client, false);
        settled(&mut client);
        until("the offset", TIMEOUT, || (client.committed(true) == (stable, 0)).then_some(()));
        let lines: String = unread.iter().flat_map(|value| [value, "\n"]).collect();
        assert_eq!(consumed(port, unread.len()), lines);
        idempotent
    }
}

/// The next values, one a line, that Java's consumer reads of committed records in its group.
fn consumed(port: u16, count: usize) -> String {
    let (servers, count) = (format!("localhost:{port}"), count.to_string());
    let group = ["--bootstrap-server", &servers, "--topic", TOPIC, "--group", "java"];
    let which = ["--isolation-level", "read_committed", "--from-beginning"];
    let until = ["--max-messages", &count, "--timeout-ms", "60000"];
    let output = reference::tool(CONSOLE_CONSUMER, &[&group[..], &which, &until].concat());
    assert!(output.status.success(), "{}", text(&output));
    String::from_utf8(output.stdout).unwrap()
}

/// Waits for a snapshot of the metadata that has the topic.
fn snapshot(work: &Path) {
    let log = work.join("data/__cluster_metadata-0");
    let has_topic = |path: &PathBuf| {
        // It may have been replaced meanwhile.
        let bytes = fs::read(path).unwrap_or_default();
        path.extension().is_some_and(|end| end == "checkpoint")
            && bytes.windows(TOPIC.len()).any(|name| name == TOPIC.as_bytes())
    };
    until("a snapshot", TIMEOUT, || {
        let files = fs::read_dir(&log).unwrap().map(|file| file.unwrap().path());
        files.filter(has_topic).last()
    });
}

fn everything_is_carried_there_and_back(name: &str, brokers: [fn(&Path) -> Node; 2]) {
    if !needs::java(name) {
        return;
    }
    let _one_at_a_time = reference::exclusive();
    let directory = tempfile::tempdir().unwrap();
    let work = directory.path();
    let mut node = brokers[0](work);
    let mut client = Connection::open(node.port(), TIMEOUT).unwrap();
    let topics = [TOPIC, NUMBERED].map(ToOwned::to_owned);
    assert_eq!(client.create_topics(&topics, 1, &CONFIGS).unwrap(), 0);
    let mut idempotent = Idempotent::new(&mut Client::open(node.port()));
    for next in [brokers[1], brokers[0]] {
        let carried = Work::begin(node.port(), idempotent);
        let before = printed(node.port());
        assert_not_empty(&before);
        snapshot(work);
        node.stop();
        node = next(work);
        assert_printed(node.port(), &before);
        idempotent = carried.resume(node.port());
    }
    node.stop();
}

#[test]
fn kafka_gives_us_everything_and_takes_it_back() {
    let name = "kafka_gives_us_everything_and_takes_it_back";
    everything_is_carried_there_and_back(name, [Node::kafka, Node::ottla]);
}

#[test]
fn we_give_kafka_everything_and_take_it_back() {
    let name = "we_give_kafka_everything_and_take_it_back";
    everything_is_carried_there_and_back(name, [Node::ottla, Node::kafka]);
}
