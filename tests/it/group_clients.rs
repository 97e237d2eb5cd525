//! Unmodified clients in consumer groups: librdkafka, kcat, confluent-kafka for Python, and Java's console tools.

use std::collections::BTreeSet;
use std::fs;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use rdkafka::config::ClientConfig;
use rdkafka::consumer::{BaseConsumer, CommitMode, Consumer, ConsumerContext};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::{Message, OwnedMessage};
use rdkafka::producer::{BaseProducer, BaseRecord, Producer};
use rdkafka::topic_partition_list::{Offset, TopicPartitionList};
use rdkafka::util::Timeout;
use rustix::process::{Pid, Signal, kill_process};

use crate::broker::Broker;
use crate::raw_client::Connection;
use crate::rdkafka_records::is_lost_connection;
use crate::wait::until;
use crate::{needs, reference};

const TIMEOUT: Duration = Duration::from_mins(1);
pub(crate) const CONSOLE_CONSUMER: &str = "org.apache.kafka.tools.consumer.ConsoleConsumer";
pub(crate) const GROUP_COMMAND: &str = "org.apache.kafka.tools.consumer.group.ConsumerGroupCommand";

pub(crate) fn create_topic(port: u16, topic: &str, partitions: i32) {
    let mut client = Connection::open(port, TIMEOUT).unwrap();
    assert_eq!(client.create_topics(&[topic.to_owned()], partitions, &[]).unwrap(), 0, "{topic}");
}

/// Sends the numbers of a range, to all partitions in turn.
pub(crate) fn send(port: u16, topic: &str, partitions: i32, numbers: Range<i32>) {
    let servers = format!("localhost:{port}");
    let producer: BaseProducer =
        ClientConfig::new().set("bootstrap.servers", servers).create().unwrap();
    for number in numbers {
        let value = number.to_string();
        let record = BaseRecord::<(), str>::to(topic).partition(number % partitions);
        producer.send(record.payload(&value)).map_err(|(error, _)| error).unwrap();
    }
    producer.flush(TIMEOUT).unwrap();
}

/// What [`send`] sent, one number a line.
pub(crate) fn lines(numbers: Range<i32>) -> String {
    numbers.map(|number| number.to_string() + "\n").collect()
}

/// The configuration of a consumer in a group that commits when it is told to.
pub(crate) fn consumer_config(port: u16, group: &str) -> ClientConfig {
    let mut config = ClientConfig::new();
    config.set("bootstrap.servers", format!("localhost:{port}")).set("group.id", group);
    config.set("auto.offset.reset", "earliest").set("enable.auto.commit", "false");
    config
}

fn consumer(broker: &Broker, group: &str) -> BaseConsumer {
    consumer_config(broker.port(), group).create().unwrap()
}

pub(crate) fn read<C: ConsumerContext>(
    consumer: &BaseConsumer<C>,
    count: usize,
) -> Vec<OwnedMessage> {
    let mut records = Vec::new();
    until(&format!("{count} records"), TIMEOUT, || {
        match consumer.poll(Duration::from_millis(10))? {
            Ok(record) => records.push(record.detach()),
            Err(error) => assert!(is_lost_connection(&error), "{error}"),
        }
        (records.len() == count).then_some(())
    });
    records
}

/// Offsets of a topic's partitions from 0 on.
pub(crate) fn partitions(topic: &str, offsets: &[Offset]) -> TopicPartitionList {
    let mut list = TopicPartitionList::new();
    for (partition, offset) in (0..).zip(offsets) {
        list.add_partition_offset(topic, partition, *offset).unwrap();
    }
    list
}

/// Commits offset and metadata of partition 0 by a consumer that is no member.
pub(crate) fn commit(port: u16, group: &str, topic: &str, offset: i64, metadata: &str) {
    let consumer: BaseConsumer = consumer_config(port, group).create().unwrap();
    let offsets = partitions(topic, &[Offset::Offset(offset)]);
    offsets.find_partition(topic, 0).unwrap().set_metadata(metadata);
    // The coordinator of a new Kafka loads for a while after its topic was created.
    until("a commit", TIMEOUT, || consumer.commit(&offsets, CommitMode::Sync).ok());
}

/// A group's committed offset of partition 0 and its metadata, as a consumer that is no member learns them.
pub(crate) fn committed(port: u16, group: &str, topic: &str) -> (Offset, String) {
    let consumer: BaseConsumer = consumer_config(port, group).create().unwrap();
    let wanted = partitions(topic, &[Offset::Invalid]);
    let offsets = consumer.committed_offsets(wanted, Timeout::After(TIMEOUT)).unwrap();
    let partition = offsets.find_partition(topic, 0).unwrap();
    partition.error().unwrap();
    (partition.offset(), partition.metadata().to_owned())
}

/// State, protocol type and member ids of a group.
pub(crate) fn described(port: u16, group: &str) -> (String, String, Vec<String>) {
    let consumer: BaseConsumer = consumer_config(port, group).create().unwrap();
    // A broker that has just started may not have loaded it yet.
    until(group, TIMEOUT, || {
        let groups = consumer.fetch_group_list(Some(group), Timeout::After(TIMEOUT)).ok()?;
        let group = groups.groups().first()?;
        let members = group.members().iter().map(|member| member.id().to_owned()).collect();
        Some((group.state().to_owned(), group.protocol_type().to_owned(), members))
    })
}

#[test]
fn a_consumer_that_commits_automatically_closes_at_once() {
    let broker = Broker::start();
    create_topic(broker.port(), "t", 1);
    send(broker.port(), "t", 1, 0..100);
    let mut config = consumer_config(broker.port(), "closes");
    config.set("enable.auto.commit", "true").set("auto.commit.interval.ms", "3600000");
    let member: BaseConsumer = config.create().unwrap();
    member.subscribe(&["t"]).unwrap();
    read(&member, 100);
    let closing = Instant::now();
    drop(member);
    let took = closing.elapsed();
    assert!(took < Duration::from_secs(5), "closing took {took:?}");
    assert_eq!(committed(broker.port(), "closes", "t").0, Offset::Offset(100));
}

#[test]
fn a_member_commits_offsets_with_metadata() {
    let broker = Broker::start();
    create_topic(broker.port(), "t", 1);
    send(broker.port(), "t", 1, 0..10);
    let member = consumer(&broker, "marks");
    member.subscribe(&["t"]).unwrap();
    read(&member, 10);
    let offsets = partitions("t", &[Offset::Offset(4)]);
    offsets.find_partition("t", 0).unwrap().set_metadata("at the fourth, große Pause");
    member.commit(&offsets, CommitMode::Sync).unwrap();
    let kept = (Offset::Offset(4), "at the fourth, große Pause".to_owned());
    assert_eq!(committed(broker.port(), "marks", "t"), kept);
    drop(member);
    assert_eq!(committed(broker.port(), "marks", "t"), kept, "leaving does not commit");
    let member = consumer(&broker, "marks");
    member.subscribe(&["t"]).unwrap();
    assert_eq!(read(&member, 1)[0].offset(), 4);
}

#[test]
fn a_consumer_without_membership_commits() {
    let broker = Broker::start();
    create_topic(broker.port(), "t", 1);
    send(broker.port(), "t", 1, 0..10);
    commit(broker.port(), "simple", "t", 6, "");
    assert_eq!(committed(broker.port(), "simple", "t").0, Offset::Offset(6));
    let simple = described(broker.port(), "simple");
    assert_eq!(simple, ("Empty".to_owned(), String::new(), Vec::new()));
    let alone = consumer(&broker, "simple");
    alone.assign(&partitions("t", &[Offset::Stored])).unwrap();
    assert_eq!(read(&alone, 1)[0].offset(), 6);

    // A group with members takes no offsets of others.
    let member = consumer(&broker, "simple");
    member.subscribe(&["t"]).unwrap();
    read(&member, 4);
    let offsets = partitions("t", &[Offset::Offset(8)]);
    let refused = alone.commit(&offsets, CommitMode::Sync).unwrap_err();
    let unknown = KafkaError::ConsumerCommit(RDKafkaErrorCode::UnknownMemberId);
    assert_eq!(refused, unknown);
}

/// A kcat that is a member of a group.
struct Kcat {
    child: Child,
    records: PathBuf,
    notes: PathBuf,
}

impl Kcat {
    fn start(broker: &Broker, work: &Path, name: &str, group: &str, topic: &str) -> Self {
        let (records, notes) = (work.join(name), work.join(format!("{name}.notes")));
        let mut command = kcat(broker, &["-u", "-f", "%p %s\\n", "-G", group]);
        command.args(["-X", "session.timeout.ms=10000", "-X", "heartbeat.interval.ms=100", topic]);
        command.stdout(fs::File::create(&records).unwrap());
        let child = command.stderr(fs::File::create(&notes).unwrap()).spawn().unwrap();
        Self { child, records, notes }
    }

    /// The partitions of the newest assignment, as kcat names them.
    fn assigned(&self) -> Vec<String> {
        let notes = fs::read_to_string(&self.notes).unwrap();
        let rebalanced = notes.lines().rev().find(|line| line.contains(" rebalanced "));
        let assigned = rebalanced.and_then(|line| line.split_once("): assigned: "));
        let names = assigned.map_or("", |(_, partitions)| partitions).split(", ");
        names.filter(|name| !name.is_empty()).map(ToOwned::to_owned).collect()
    }

    /// Complete lines: partition and value.
    fn records(&self) -> Vec<(i32, i32)> {
        let text = fs::read_to_string(&self.records).unwrap();
        let lines = text.split_inclusive('\n').filter_map(|line| line.strip_suffix('\n'));
        let number = |text: &str| text.parse().unwrap();
        lines
            .map(|line| line.split_once(' ').unwrap())
            .map(|(p, v)| (number(p), number(v)))
            .collect()
    }

    /// Ends it as Ctrl-C does: it leaves the group and commits.
    fn stop(&mut self) {
        kill_process(Pid::from_child(&self.child), Signal::INT).unwrap();
        assert!(
            self.child.wait().unwrap().success(),
            "{}",
            fs::read_to_string(&self.notes).unwrap()
        );
    }
}

impl Drop for Kcat {
    fn drop(&mut self) {
        // It may have ended already; there is nobody to tell about a failure here.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn kcat(broker: &Broker, arguments: &[&str]) -> Command {
    let mut command = Command::new("kcat");
    // Cargo's would have it load the librdkafka that this repository builds, not its own.
    command.env_remove("LD_LIBRARY_PATH");
    let servers = broker.bootstrap_servers();
    command.args(["-b", &servers, "-X", "auto.offset.reset=earliest"]).args(arguments);
    command.stdin(Stdio::null());
    command
}

#[test]
fn kcat_goes_on_at_the_committed_offset() {
    if !needs::program("kcat_goes_on_at_the_committed_offset", "kcat") {
        return;
    }
    let broker = Broker::start();
    create_topic(broker.port(), "t", 1);
    for numbers in [0..3_000, 3_000..5_000, 5_000..5_000] {
        send(broker.port(), "t", 1, numbers.clone());
        let output = kcat(&broker, &["-e", "-G", "reads", "t"]).output().unwrap();
        let errors = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{errors}");
        assert!(output.stdout == lines(numbers.clone()).as_bytes(), "{numbers:?}: {errors}");
    }
}

#[test]
fn kcats_share_partitions_and_take_over_from_one_that_leaves() {
    if !needs::program("kcats_share_partitions_and_take_over_from_one_that_leaves", "kcat") {
        return;
    }
    let broker = Broker::start();
    create_topic(broker.port(), "t", 4);
    let work = tempfile::tempdir().unwrap();
    let mut one = Kcat::start(&broker, work.path(), "one", "shares", "t");
    let two = Kcat::start(&broker, work.path(), "two", "shares", "t");
    until("shares", TIMEOUT, || {
        let shares = [one.assigned(), two.assigned()];
        let all: BTreeSet<&String> = shares.iter().flatten().collect();
        (shares.iter().all(|share| share.len() == 2) && all.len() == 4).then_some(())
    });
    send(broker.port(), "t", 4, 0..1_000);
    let both = |one: &Kcat| one.records().len() + two.records().len();
    until("all records", TIMEOUT, || (both(&one) == 1_000).then_some(()));
    for kcat in [&one, &two] {
        let read: BTreeSet<String> =
            kcat.records().iter().map(|(partition, _)| format!("t [{partition}]")).collect();
        assert!(read.iter().eq(&kcat.assigned()), "{read:?} of {:?}", kcat.assigned());
    }

    one.stop();
    until("all partitions", TIMEOUT, || (two.assigned().len() == 4).then_some(()));
    send(broker.port(), "t", 4, 1_000..2_000);
    until("the rest", TIMEOUT, || (both(&one) == 2_000).then_some(()));
    let mut values: Vec<i32> =
        [one.records(), two.records()].concat().into_iter().map(|(_, value)| value).collect();
    values.sort_unstable();
    assert!(values.into_iter().eq(0..2_000), "each record is read once");
}

/// Runs a Java tool against the broker; what it printed.
fn tool(broker: &Broker, class: &str, arguments: &[&str]) -> String {
    let servers = broker.bootstrap_servers();
    let arguments = [&["--bootstrap-server", &servers], arguments].concat();
    let output = reference::tool(class, &arguments);
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{arguments:?}: {errors}");
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// The words of the rows that a tool printed below its head, sorted: its order is that of a hash map.
fn rows(text: &str) -> Vec<Vec<&str>> {
    let lines = text.lines().map(|line| line.split_whitespace().collect::<Vec<_>>());
    let is_row = |words: &Vec<&str>| !words.is_empty() && words[0] != "GROUP";
    let mut rows: Vec<_> = lines.filter(is_row).collect();
    rows.sort();
    rows
}

#[test]
fn java_console_consumers_go_on_in_their_group() {
    if !needs::java("java_console_consumers_go_on_in_their_group") {
        return;
    }
    let _one_at_a_time = reference::exclusive();
    let broker = Broker::start();
    create_topic(broker.port(), "t", 1);
    send(broker.port(), "t", 1, 0..1_000);
    for numbers in [0..300, 300..1_000] {
        let count = numbers.len().to_string();
        let group = ["--topic", "t", "--group", "console", "--from-beginning"];
        let until = ["--max-messages", &count, "--timeout-ms", "60000"];
        let text = tool(&broker, CONSOLE_CONSUMER, &[group.as_slice(), &until].concat());
        assert!(text == lines(numbers.clone()), "{numbers:?}: {} bytes", text.len());
    }
    assert_eq!(committed(broker.port(), "console", "t").0, Offset::Offset(1_000));
}

#[test]
fn javas_group_command_describes_and_changes_groups() {
    if !needs::java("javas_group_command_describes_and_changes_groups") {
        return;
    }
    let _one_at_a_time = reference::exclusive();
    let broker = Broker::start();
    create_topic(broker.port(), "t", 2);
    send(broker.port(), "t", 2, 0..20);
    let command = |arguments: &[&str]| tool(&broker, GROUP_COMMAND, arguments);
    let mut config = consumer_config(broker.port(), "kept");
    let member: BaseConsumer = config.set("client.id", "mine").create().unwrap();
    member.subscribe(&["t"]).unwrap();
    read(&member, 20);
    member
        .commit(&partitions("t", &[Offset::Offset(7), Offset::Offset(9)]), CommitMode::Sync)
        .unwrap();

    assert_eq!(command(&["--list"]), "kept\n");
    assert_eq!(rows(&command(&["--list", "--state", "--type"])), [["kept", "Classic", "Stable"]]);
    let described = command(&["--describe", "--group", "kept", "--offsets"]);
    let offsets = rows(&described);
    assert_eq!(offsets.len(), 2, "{described}");
    for (row, expected) in offsets.iter().zip([["0", "7", "10", "3"], ["1", "9", "10", "1"]]) {
        assert_eq!(row[..2], ["kept", "t"], "{described}");
        assert_eq!(row[2..6], expected, "{described}");
        assert!(row[6].starts_with("mine-") && row[8] == "mine", "{described}");
    }
    let described = command(&["--describe", "--group", "kept", "--members", "--verbose"]);
    let [row] = &rows(&described)[..] else { panic!("{described}") };
    assert!(row[1].starts_with("mine-") && row[2].contains("127.0.0.1"), "{described}");
    assert_eq!(row[3..], ["mine", "2", "-", "t:0,1", "-", "-"], "{described}");
    let described = command(&["--describe", "--group", "kept", "--state"]);
    let [row] = &rows(&described)[..] else { panic!("{described}") };
    assert_eq!(row[1], broker.bootstrap_servers(), "{described}");
    assert_eq!(row[3..], ["range", "Stable", "1"], "{described}");

    drop(member);
    let described = command(&["--describe", "--group", "kept", "--state"]);
    assert_eq!(rows(&described).pop().unwrap()[3..], ["-", "Empty", "0"], "{described}");
    let reset =
        ["--reset-offsets", "--group", "kept", "--topic", "t", "--to-earliest", "--execute"];
    assert_eq!(rows(&command(&reset)), [["kept", "t", "0", "0"], ["kept", "t", "1", "0"]]);
    assert_eq!(committed(broker.port(), "kept", "t").0, Offset::Offset(0));
    let text = command(&["--delete-offsets", "--group", "kept", "--topic", "t:0"]);
    assert!(text.contains("Request succeeded") && text.contains("Successful"), "{text}");
    assert_eq!(committed(broker.port(), "kept", "t").0, Offset::Invalid);
    let text = command(&["--delete", "--group", "kept"]);
    assert!(
        text.contains("Deletion of requested consumer groups ('kept') was successful"),
        "{text}"
    );
    assert_eq!(command(&["--list"]).trim(), "");
}

#[test]
fn confluent_kafka_for_python_works_in_groups() {
    if !needs::python("confluent_kafka_for_python_works_in_groups") {
        return;
    }
    let broker = Broker::start();
    let mut command = Command::new(needs::PYTHON);
    let output = command.args(["groups.py", &broker.bootstrap_servers()]).output().unwrap();
    let (text, errors) = (output.stdout, output.stderr);
    assert!(
        output.status.success(),
        "{}{}",
        String::from_utf8_lossy(&text),
        String::from_utf8_lossy(&errors)
    );
}
