//! Consumer groups under load, judged by the checker (`compat/checker`): members that join, leave and die, and members
//! that live through the death of their broker.

use crate::broker::{Broker, against_kafka};
use crate::needs::{self, report, seed, setting};
use crate::reference;

use crate::checker::{Run, closing_line};

mod asked;
mod kills;
mod verdicts;

/// So that a killed member is missed soon.
const SESSIONS: [&str; 1] = ["group.min.session.timeout.ms=1000"];
const SESSION_MS: &str = "2000";
/// The same for members of the consumer protocol, whose times the broker has.
const CONSUMER_SESSIONS: [&str; 4] = [
    "group.consumer.min.session.timeout.ms=1000",
    "group.consumer.session.timeout.ms=2000",
    "group.consumer.min.heartbeat.interval.ms=100",
    "group.consumer.heartbeat.interval.ms=300",
];

/// A run: the members' client, how many there are, and what else the checker is told of them.
type Kind = (&'static str, &'static str, &'static [&'static str]);

const CLASSIC: [Kind; 2] = [
    ("rdkafka", "3", &["--assignor", "range", "--commit", "manual"]),
    ("rdkafka", "3", &["--assignor", "cooperative-sticky", "--commit", "auto"]),
];
const CLASSIC_JAVA: [Kind; 5] = [
    ("java", "3", &["--assignor", "range", "--commit", "manual"]),
    ("java", "4", &["--assignor", "roundrobin", "--commit", "auto"]),
    ("java", "4", &["--assignor", "sticky", "--commit", "manual"]),
    ("java", "3", &["--assignor", "cooperative-sticky", "--commit", "auto"]),
    ("mixed", "3", &["--assignor", "cooperative-sticky", "--commit", "manual"]),
];
const CONSUMER: [Kind; 2] = [
    ("rdkafka", "3", &["--assignor", "range", "--commit", "manual"]),
    ("rdkafka", "10", &["--assignor", "cooperative-sticky", "--commit", "auto"]),
];
const CONSUMER_JAVA: [Kind; 3] = [
    ("java", "3", &["--assignor", "range", "--commit", "manual"]),
    ("java", "4", &["--assignor", "cooperative-sticky", "--commit", "auto"]),
    ("mixed", "6", &["--assignor", "cooperative-sticky", "--commit", "manual"]),
];

fn records_setting() -> u64 {
    setting("OTTLA_GROUP_RECORDS", 20_000)
}

fn run_all(broker: &Broker, protocol: &str, kinds: &[Kind], records: u64) {
    for kind in kinds {
        run_members(broker, protocol, *kind, records);
    }
}

fn run_members(broker: &Broker, protocol: &str, (client, members, kind): Kind, records: u64) {
    let events = (records_setting() / 50_000).clamp(4, 20);
    let seed = seed();
    let (records, events) = (records.to_string(), events.to_string());
    let sizes = ["--records", &records, "--events", &events, "--members", members];
    let session = ["--session-ms", SESSION_MS];
    let kind = [&["--protocol", protocol], kind].concat();
    let arguments = [&sizes[..], &session, &["--client", client], &kind].concat();
    let (status, output) = Run::start(broker, seed, &arguments).finish();
    let members = format!("{client} --members {members} {}", kind.join(" "));
    report(&format!("{members}: {}", closing_line(&output)));
    assert!(status.success(), "{members}\n{output}\nreplay: OTTLA_SEED={seed}");
}

#[test]
fn three_members_join_leave_and_die_while_records_flow() {
    let test = "three_members_join_leave_and_die_while_records_flow";
    let java = needs::java(test);
    let _one_at_a_time = (java || against_kafka()).then(reference::exclusive);
    let broker = Broker::start_with(&SESSIONS);
    let kinds = [&CLASSIC[..], if java { &CLASSIC_JAVA } else { &[] }].concat();
    run_all(&broker, "classic", &kinds, records_setting());
}

#[test]
fn members_of_the_consumer_protocol_join_leave_and_die_while_records_flow() {
    let java =
        needs::java("members_of_the_consumer_protocol_join_leave_and_die_while_records_flow");
    let _one_at_a_time = (java || against_kafka()).then(reference::exclusive);
    let broker = Broker::start_with(&CONSUMER_SESSIONS);
    let kinds = [&CONSUMER[..], if java { &CONSUMER_JAVA } else { &[] }].concat();
    run_all(&broker, "consumer", &kinds, records_setting());
}

/// Members of the clients of one folder of `compat`, of both protocols where the clients have both.
fn of_folder(test: &str, folder: &str, classic: &[Kind], consumer: &[Kind]) {
    if !needs::client(test, folder) {
        return;
    }
    let _one_at_a_time = against_kafka().then(reference::exclusive);
    let broker = Broker::start_with(&[&SESSIONS[..], &CONSUMER_SESSIONS].concat());
    // A tenth of a long run, with all its events: the slowest of these clients read 10,000 records in a second.
    let records = (records_setting() / 10).max(records_setting().min(20_000));
    run_all(&broker, "classic", classic, records);
    run_all(&broker, "consumer", consumer, records);
}

#[test]
fn members_on_franz_go_and_sarama_join_leave_and_die_while_records_flow() {
    let classic: [Kind; 8] = [
        ("franz-go", "3", &["--assignor", "range", "--commit", "manual"]),
        ("franz-go", "4", &["--assignor", "roundrobin", "--commit", "auto"]),
        ("franz-go", "4", &["--assignor", "sticky", "--commit", "manual"]),
        ("franz-go", "10", &["--assignor", "cooperative-sticky", "--commit", "auto"]),
        ("sarama", "3", &["--assignor", "range", "--commit", "manual"]),
        ("sarama", "4", &["--assignor", "roundrobin", "--commit", "auto"]),
        ("sarama", "4", &["--assignor", "sticky", "--commit", "manual"]),
        ("sarama", "10", &["--assignor", "cooperative-sticky", "--commit", "manual"]),
    ];
    let consumer: [Kind; 2] = [
        ("franz-go", "3", &["--assignor", "range", "--commit", "manual"]),
        ("franz-go", "10", &["--assignor", "cooperative-sticky", "--commit", "auto"]),
    ];
    let test = "members_on_franz_go_and_sarama_join_leave_and_die_while_records_flow";
    of_folder(test, "go", &classic, &consumer);
}

#[test]
fn members_on_the_python_clients_join_leave_and_die_while_records_flow() {
    let classic: [Kind; 6] = [
        ("confluent-kafka", "3", &["--assignor", "range", "--commit", "manual"]),
        ("confluent-kafka", "6", &["--assignor", "cooperative-sticky", "--commit", "auto"]),
        ("kafka-python", "3", &["--assignor", "range", "--commit", "manual"]),
        ("kafka-python", "4", &["--assignor", "roundrobin", "--commit", "auto"]),
        ("kafka-python", "4", &["--assignor", "sticky", "--commit", "manual"]),
        ("kafka-python", "6", &["--assignor", "cooperative-sticky", "--commit", "manual"]),
    ];
    let consumer: [Kind; 2] = [
        ("confluent-kafka", "3", &["--assignor", "range", "--commit", "manual"]),
        ("confluent-kafka", "6", &["--assignor", "cooperative-sticky", "--commit", "auto"]),
    ];
    let test = "members_on_the_python_clients_join_leave_and_die_while_records_flow";
    of_folder(test, "python", &classic, &consumer);
}

#[test]
fn members_on_kafkajs_join_leave_and_die_while_records_flow() {
    let classic: [Kind; 2] = [
        ("kafkajs", "3", &["--assignor", "roundrobin", "--commit", "manual"]),
        ("kafkajs", "6", &["--assignor", "roundrobin", "--commit", "auto"]),
    ];
    let test = "members_on_kafkajs_join_leave_and_die_while_records_flow";
    of_folder(test, "kafkajs", &classic, &[]);
}
