//! Java's `kafka-consumer-groups` prints the same of this broker as of Apache Kafka.

use std::io::Write;
use std::process::Stdio;
use std::thread;

use rdkafka::consumer::{BaseConsumer, CommitMode, Consumer};
use rdkafka::topic_partition_list::Offset;

use crate::broker::Broker;
use crate::group_clients::{
    GROUP_COMMAND, commit, consumer_config, create_topic, partitions, read, send,
};
use crate::needs;
use crate::reference::{self, Options, Reference};

const COMMANDS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/compat/reference/Commands.java");

/// A command a line, in the order in which they run. The groups are those of [`Groups`].
const SCRIPT: &str = "
--list
--list --state
--list --type
--list --state --type
--list --state Stable
--list --state empty,stable --type classic
--list --state Dead
--list --state nonsense
--list --type consumer
--list --type nonsense
--describe --group kept
--describe --group kept --offsets --verbose
--describe --group kept --members
--describe --group kept --members --verbose
--describe --group kept --state
--describe --group kept --state --verbose
--describe --group fixed --members --verbose
--describe --group left
--describe --group left --members --verbose
--describe --group left --state
--describe --group plain
--describe --group plain --members
--describe --group plain --state
--describe --group nobody
--describe --group nobody --members
--describe --group nobody --state
--describe --all-groups --state
--describe --all-groups
--describe --all-groups --members
--reset-offsets --group kept --topic t --to-earliest --execute
--reset-offsets --group left --topic t --to-earliest
--reset-offsets --group left --topic t --to-earliest --dry-run
--reset-offsets --group left --topic t --to-latest --dry-run --export
--reset-offsets --group left --topic t:1 --to-offset 3 --execute
--describe --group left
--reset-offsets --group left --topic t --to-offset 1000 --execute
--reset-offsets --group left --topic t --shift-by -4 --execute
--reset-offsets --group left --topic t --shift-by -1000 --dry-run
--reset-offsets --group left --topic t --to-current --execute
--reset-offsets --group left --all-topics --to-earliest --execute
--reset-offsets --group left --topic t --to-datetime 2000-01-01T00:00:00.000 --dry-run
--reset-offsets --group left --topic t --by-duration PT0S --dry-run
--reset-offsets --group left --topic u --to-latest --execute
--reset-offsets --group left --topic none --to-latest --execute
--reset-offsets --group left --topic t:7 --to-latest --execute
--reset-offsets --group new --topic t --to-latest --execute
--reset-offsets --group left --to-latest --execute
--describe --group left
--describe --group new
--describe --group new --state
--delete-offsets --group kept --topic t
--delete-offsets --group kept --topic u
--delete-offsets --group left --topic t:0
--delete-offsets --group left --topic t
--delete-offsets --group left --topic none
--delete-offsets --group left --topic t:9
--delete-offsets --group nobody --topic t
--describe --group left
--delete --group kept
--delete --group left --group nobody
--delete --group left
--delete --all-groups
--list --state
--describe
";

/// Groups in the states that a tool can meet; two have members as long as this lives.
struct Groups {
    _kept: BaseConsumer,
    _fixed: BaseConsumer,
}

impl Groups {
    fn prepare(port: u16) -> Self {
        create_topic(port, "t", 2);
        create_topic(port, "u", 1);
        send(port, "t", 2, 0..20);
        send(port, "u", 1, 0..5);
        commit(port, "plain", "u", 3, "");
        let member = |group: &str, settings: &[(&str, &str)]| {
            let mut config = consumer_config(port, group);
            config.set("client.id", "mine").set("broker.address.family", "v4");
            for (key, value) in settings {
                config.set(*key, *value);
            }
            let member: BaseConsumer = config.create().unwrap();
            member.subscribe(&["t"]).unwrap();
            read(&member, 20);
            let offsets = partitions("t", &[Offset::Offset(7), Offset::Offset(9)]);
            member.commit(&offsets, CommitMode::Sync).unwrap();
            member
        };
        drop(member("left", &[]));
        Self {
            _kept: member("kept", &[]),
            _fixed: member("fixed", &[("group.instance.id", "one")]),
        }
    }
}

/// What commands printed, each with its exit status. A command is a tool's main class and its arguments, with tabs
/// between them.
pub(crate) fn run(commands: &[String]) -> Vec<Vec<String>> {
    let mut command = reference::tool_command(COMMANDS, &[]);
    let mut tool = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    let mut input = tool.stdin.take().unwrap();
    let lines: String = commands.iter().flat_map(|command| [command, "\n"]).collect();
    // Both ends at once: neither pipe holds everything.
    let feeding = thread::spawn(move || input.write_all(lines.as_bytes()));
    let output = tool.wait_with_output().unwrap();
    feeding.join().unwrap().unwrap();
    assert!(output.status.success());
    let mut outputs = vec![Vec::new()];
    for line in String::from_utf8(output.stdout).unwrap().lines() {
        outputs.last_mut().unwrap().push(line.to_owned());
        if line.starts_with("= ") {
            outputs.push(Vec::new());
        }
    }
    outputs.pop();
    outputs
}

/// What the script's commands printed, in lines that do not depend on the broker.
fn outputs(ports: &[u16]) -> Vec<Vec<String>> {
    let commands: Vec<String> = ports.iter().flat_map(|port| script(*port)).collect();
    let known = |line: &String| {
        let line = line.split_whitespace().collect::<Vec<_>>().join(" ");
        without_ids(&line, ports)
    };
    let mut outputs = run(&commands);
    for output in &mut outputs {
        *output = output.iter().map(known).collect();
        // The order of rows is that of hash maps.
        output.sort();
    }
    outputs
}

fn script(port: u16) -> impl Iterator<Item = String> {
    let servers = format!("{GROUP_COMMAND}\t--bootstrap-server\tlocalhost:{port}");
    let command = move |line: &str| format!("{servers}\t{}", line.replace(' ', "\t"));
    SCRIPT.lines().filter(|line| !line.is_empty()).map(command)
}

/// The line without the broker's port, what it made up of member ids, and the time of a log line.
fn without_ids(line: &str, ports: &[u16]) -> String {
    let line = line.split_once("] ").filter(|_| line.starts_with('[')).map_or(line, |(_, it)| it);
    let is_id = |word: &str| word.len() == 36 && word.split('-').map(str::len).eq([8, 4, 4, 4, 12]);
    let known =
        |word: &str| match word.len().checked_sub(36).and_then(|at| word.split_at_checked(at)) {
            Some((client, id)) if is_id(id) => format!("{client}ID"),
            _ => word.to_owned(),
        };
    let words: Vec<String> = line.split(' ').map(known).collect();
    let line = words.join(" ");
    ports.iter().fold(line, |line, port| line.replace(&format!(":{port}"), ":PORT"))
}

#[test]
fn javas_group_command_prints_the_same_of_both_brokers() {
    if !needs::java("javas_group_command_prints_the_same_of_both_brokers") {
        return;
    }
    let _one_at_a_time = reference::exclusive();
    let work = tempfile::tempdir().unwrap();
    // What Ottla does by default.
    let extra = "group.initial.rebalance.delay.ms=0".to_owned();
    let kafka = Reference::start(work.path(), &Options { extra, ..Options::default() });
    let broker = Broker::start();
    let ports = [broker.port(), kafka.port()];
    let _groups = ports.map(Groups::prepare);
    let outputs = outputs(&ports);
    let commands: Vec<&str> = SCRIPT.lines().filter(|line| !line.is_empty()).collect();
    assert_eq!(outputs.len(), 2 * commands.len());
    let (ours, theirs) = outputs.split_at(commands.len());
    let differing: Vec<String> = commands
        .iter()
        .zip(ours.iter().zip(theirs))
        .filter(|(_, (ours, theirs))| ours != theirs)
        .map(|(command, (ours, theirs))| {
            format!("{command}\n  {}\nand Kafka\n  {}", ours.join("\n  "), theirs.join("\n  "))
        })
        .collect();
    assert!(differing.is_empty(), "{}", differing.join("\n"));
}
