//! Consumer groups under load, judged by the checker (`compat/checker`): members that join, leave and die, and members
//! that live through the death of their broker.

use std::env;
use std::io::{BufRead, BufReader};
use std::path::PathBuf;
use std::process::{Child, ChildStdin, Command, ExitStatus, Stdio};
use std::sync::{Arc, Mutex, OnceLock};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use fastrand::Rng;

use crate::broker::{Broker, against_kafka};
use crate::needs::{self, report, seed, setting};
use crate::reference;
use crate::wait::until;

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
const RUN_TIMEOUT: Duration = Duration::from_mins(15);
/// Longer than a checker needs to see that nothing moves, and to end.
const ROUND_TIMEOUT: Duration = Duration::from_mins(3);
/// Records in a second while brokers are killed.
const RATE: u64 = 2_000;

/// The checker beside this binary. `cargo test` has built it; `cargo test --test it` has not.
fn checker() -> Command {
    static CHECKER: OnceLock<PathBuf> = OnceLock::new();
    Command::new(CHECKER.get_or_init(|| {
        let tests = env::current_exe().unwrap();
        let profile = tests.ancestors().nth(2).unwrap();
        let name = profile.file_name().unwrap().to_str().unwrap();
        let mut cargo = Command::new(env!("CARGO"));
        cargo.current_dir(env!("CARGO_MANIFEST_DIR"));
        cargo.args(["build", "--quiet", "--locked", "--example", "checker", "--profile"]);
        cargo.arg(if name == "debug" { "dev" } else { name });
        cargo.arg("--target-dir").arg(profile.parent().unwrap());
        assert!(cargo.status().unwrap().success(), "the checker is built");
        profile.join("examples/checker")
    }))
}

/// A checker that runs; killed when dropped, and its members end with it.
struct Run {
    child: Child,
    lines: Arc<Mutex<Vec<String>>>,
    reader: Option<JoinHandle<()>>,
    input: Option<ChildStdin>,
}

impl Run {
    fn start(broker: &Broker, seed: u64, arguments: &[&str]) -> Self {
        let mut command = checker();
        command.args(["run", "--bootstrap", &broker.bootstrap_servers()]);
        command.args(["--session-ms", SESSION_MS, "--seed", &seed.to_string()]).args(arguments);
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        let output = BufReader::new(child.stdout.take().unwrap());
        let lines: Arc<Mutex<Vec<String>>> = Arc::default();
        let sink = Arc::clone(&lines);
        let reader = thread::spawn(move || {
            output.lines().for_each(|line| sink.lock().unwrap().push(line.unwrap()));
        });
        let input = child.stdin.take();
        Self { child, lines, reader: Some(reader), input }
    }

    /// Acked and committed records, as last told.
    fn progress(&self) -> (u64, u64) {
        let lines = self.lines.lock().unwrap();
        let progress = lines.iter().rev().find_map(|line| line.strip_prefix("progress "));
        let numbers = progress.and_then(|numbers| numbers.split_once(' '));
        numbers.map_or((0, 0), |(a, b)| (a.parse().unwrap(), b.parse().unwrap()))
    }

    /// Waits until so many more records than at `mark` are acked and committed; false when the checker gave up.
    fn goes_on(&mut self, mark: (u64, u64), records: u64) -> bool {
        until("progress of the group", ROUND_TIMEOUT, || {
            let ended = self.child.try_wait().unwrap().is_some();
            let (acked, committed) = self.progress();
            let gone_on = acked >= mark.0 + records && committed >= mark.1 + records;
            (ended || gone_on).then_some(!ended)
        })
    }

    /// The end of the run: its status and what it printed, the progress left out.
    fn finish(mut self) -> (ExitStatus, String) {
        drop(self.input.take());
        let status = until("the verdict", RUN_TIMEOUT, || self.child.try_wait().unwrap());
        self.reader.take().unwrap().join().unwrap();
        let lines = self.lines.lock().unwrap();
        let told = lines.iter().filter(|line| !line.starts_with("progress "));
        (status, told.cloned().collect::<Vec<_>>().join("\n"))
    }
}

impl Drop for Run {
    fn drop(&mut self) {
        // It may have ended already; there is nobody to tell about a failure here.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn closing_line(output: &str) -> &str {
    let mut lines = output.lines().rev();
    lines.find(|line| line.contains(" records, ")).unwrap_or("checker: no verdict")
}

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
    let kind = [&["--protocol", protocol], kind].concat();
    let arguments = [&sizes[..], &["--client", client], &kind].concat();
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

/// Ends the broker, abruptly or not, and starts it again.
fn restart(broker: &mut Broker, random: &mut Rng) {
    thread::sleep(Duration::from_millis(random.u64(10..600)));
    if random.bool() {
        broker.terminate();
    } else {
        broker.kill9();
        // A second kill while the first one's recovery may be running; starting the reference waits until it serves.
        if random.bool() && !against_kafka() {
            broker.spawn();
            thread::sleep(Duration::from_millis(random.u64(0..60)));
            broker.kill9();
        }
    }
    broker.restart();
}

#[test]
fn members_survive_broker_kills() {
    let java = needs::java("members_survive_broker_kills");
    let _one_at_a_time = (java || against_kafka()).then(reference::exclusive);
    let rounds = setting("OTTLA_GROUP_KILL_ROUNDS", 2_u64);
    let seed = seed();
    report(&format!("group kill: {rounds} rounds, the first seed is {seed}"));
    let mut broker = Broker::start_with(&SESSIONS);
    let client = if java { "mixed" } else { "rdkafka" };
    let rate = RATE.to_string();
    let flow = ["--until-stdin-closes", "--rate", &rate, "--client", client];
    let mut run = Run::start(&broker, seed, &flow);
    let mut passed = 0;
    if run.goes_on((0, 0), RATE / 2) {
        while passed < rounds {
            restart(&mut broker, &mut Rng::with_seed(seed.wrapping_add(passed)));
            let mark = run.progress();
            if !run.goes_on(mark, RATE / 2) {
                break;
            }
            passed += 1;
        }
    }
    let (status, output) = run.finish();
    report(closing_line(&output));
    // The verdict is on all rounds together: when it is bad, which one was is not known.
    let passed = if status.success() { passed } else { 0 };
    report(&format!("group kill: {passed} passed, {} failed", rounds - passed));
    assert!(status.success() && passed == rounds, "{output}\nreplay: OTTLA_SEED={seed}");
}
