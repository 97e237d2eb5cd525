//! Consumer groups under load, judged by the checker (`compat/checker`): members that join, leave and die, and members
//! that live through the death of their broker.

use crate::broker::{Broker, against_kafka};
use crate::needs::{self, report, seed, setting};
use crate::reference;

use run::{Run, checker, closing_line};

mod asked;
mod kills;
mod run;
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

fn join_leave_and_die(broker: &Broker, client: &str, assignor: &str, commit: &str) {
    run_members(broker, client, &["--assignor", assignor, "--commit", commit]);
}

fn run_members(broker: &Broker, client: &str, kind: &[&str]) {
    let records = setting("OTTLA_GROUP_RECORDS", 20_000_u64);
    let events = (records / 50_000).clamp(4, 20);
    let seed = seed();
    let (records, events) = (records.to_string(), events.to_string());
    let sizes = ["--records", &records, "--events", &events];
    let session = ["--session-ms", SESSION_MS];
    let arguments = [&sizes[..], &session, &["--client", client], kind].concat();
    let (status, output) = Run::start(broker, seed, &arguments).finish();
    report(&format!("{client} {}: {}", kind.join(" "), closing_line(&output)));
    assert!(status.success(), "{output}\nreplay: OTTLA_SEED={seed}");
}

#[test]
fn three_members_join_leave_and_die_while_records_flow() {
    let test = "three_members_join_leave_and_die_while_records_flow";
    let java = needs::java(test);
    let _one_at_a_time = (java || against_kafka()).then(reference::exclusive);
    let broker = Broker::start_with(&SESSIONS);
    join_leave_and_die(&broker, "rdkafka", "range", "manual");
    join_leave_and_die(&broker, "rdkafka", "cooperative-sticky", "auto");
    if java {
        join_leave_and_die(&broker, "java", "range", "manual");
        join_leave_and_die(&broker, "java", "cooperative-sticky", "auto");
        join_leave_and_die(&broker, "mixed", "cooperative-sticky", "manual");
    }
}

#[test]
fn members_of_the_consumer_protocol_join_leave_and_die_while_records_flow() {
    let java =
        needs::java("members_of_the_consumer_protocol_join_leave_and_die_while_records_flow");
    let _one_at_a_time = (java || against_kafka()).then(reference::exclusive);
    let broker = Broker::start_with(&CONSUMER_SESSIONS);
    let run = |client, members: &str, assignor, commit| {
        let consumer = ["--protocol", "consumer", "--members", members];
        run_members(
            &broker,
            client,
            &[&consumer[..], &["--assignor", assignor, "--commit", commit]].concat(),
        );
    };
    run("rdkafka", "3", "range", "manual");
    run("rdkafka", "10", "cooperative-sticky", "auto");
    if java {
        run("java", "3", "range", "manual");
        run("java", "4", "cooperative-sticky", "auto");
        run("mixed", "6", "cooperative-sticky", "manual");
    }
}
