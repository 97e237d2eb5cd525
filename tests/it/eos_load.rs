//! Exactly-once processing under load, judged by the checker (`compat/checker/eos`), which also asks for the faults of
//! the broker that are made here.

use std::env;
use std::io::{BufRead, BufReader, Write};
use std::process::{Child, Stdio};
use std::time::Duration;

use crate::broker::{Broker, against_kafka};
use crate::checker::checker;
use crate::needs::{self, report, seed, setting};
use crate::reference;

mod verdicts;

/// So that dead members are missed soon.
const SESSIONS: [&str; 5] = [
    "group.min.session.timeout.ms=1000",
    "group.consumer.min.session.timeout.ms=1000",
    "group.consumer.session.timeout.ms=3000",
    "group.consumer.min.heartbeat.interval.ms=100",
    "group.consumer.heartbeat.interval.ms=500",
];

/// How often the broker looks for transactions that take too long. Apache Kafka must not while it starts after a
/// SIGKILL: it would end them without markers, as `checker eos run --help` says of `--spare-ends`.
fn abort_interval() -> String {
    let interval_ms = if against_kafka() { 20_000 } else { 500 };
    format!("transaction.abort.timed.out.transaction.cleanup.interval.ms={interval_ms}")
}

/// Killed when dropped, and its workers end with it.
struct Checker(Child);

impl Drop for Checker {
    fn drop(&mut self) {
        // It may have ended already; there is nobody to tell about a failure here.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn run(clients: &str, protocol: &str, seed: u64) {
    let mut broker = Broker::start_with(&[&SESSIONS[..], &[&abort_interval()]].concat());
    let seconds = setting("OTTLA_EOS_SECONDS", 20_u64).to_string();
    let mut command = checker();
    command.args(["eos", "run", "--bootstrap", &broker.bootstrap_servers(), "--broker-faults"]);
    command.args(["--seed", &seed.to_string(), "--seconds", &seconds]);
    command.args(["--client", clients, "--protocol", protocol]);
    command.args(against_kafka().then_some("--spare-ends"));
    let child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    let mut child = Checker(child);
    let mut input = child.0.stdin.take().unwrap();
    let mut output = Vec::new();
    for line in BufReader::new(child.0.stdout.take().unwrap()).lines().map(Result::unwrap) {
        match line.split(' ').collect::<Vec<_>>()[..] {
            ["broker", "kill"] => {
                broker.kill9();
                broker.restart();
            }
            ["broker", "pause", ms] => broker.pause(Duration::from_millis(ms.parse().unwrap())),
            _ => {
                output.push(line);
                continue;
            }
        }
        // The checker may have ended by now; it has said why then.
        let _ = writeln!(input, "done");
        output.push(line);
    }
    let status = child.0.wait().unwrap();
    let closing = output.iter().rfind(|line| line.contains(" inputs, "));
    let closing = closing.map_or("no verdict", String::as_str);
    report(&format!("{clients} {protocol}: {closing}"));
    let output = output.join("\n");
    assert!(broker.is_running(), "the broker ended by itself\n{output}");
    assert!(status.success(), "{output}\nreplay: OTTLA_SEED={seed}");
}

#[test]
fn workers_process_exactly_once_while_they_and_the_broker_are_killed_and_stopped() {
    let test = "workers_process_exactly_once_while_they_and_the_broker_are_killed_and_stopped";
    let java = needs::java(test);
    let _one_at_a_time = (java || against_kafka()).then(reference::exclusive);
    let seed = seed();
    let clients = env::var("OTTLA_EOS_CLIENTS");
    let clients = clients.as_deref().unwrap_or(if java { "java-4.3,rdkafka" } else { "rdkafka" });
    for (number, clients) in (0..).zip(clients.split(' ')) {
        // librdkafka 2.12 was seen to keep partitions that the broker wanted back, in the consumer protocol.
        let consumer = (seed + number) % 2 == 1 && !clients.contains("rdkafka");
        run(clients, if consumer { "consumer" } else { "classic" }, seed);
    }
}
