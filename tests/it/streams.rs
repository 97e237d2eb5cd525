//! Kafka Streams with state, exactly once, while the application and its broker are stopped and killed in the middle.
//!
//! The programs are in `compat/streams`: an application and the judge that feeds it in stages, one for each blow, and
//! compares what it gives with what it should. The closing line is the same for the same seed on every broker.

use std::fs::{self, OpenOptions};
use std::path::PathBuf;
use std::process::Command;
use std::thread;

use fastrand::Rng;
use tempfile::TempDir;

use crate::broker::{Broker, against_kafka};
use crate::checker::{ROUND_TIMEOUT, Run};
use crate::needs::{self, report, seed, setting};
use crate::reference;
use crate::wait::until;

const LAUNCHER: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/compat/streams/run");
/// So that a killed application is missed soon, and its transactions are; and so that a killed node of Apache Kafka, which
/// lets nobody in before its last life's session has ended, lets clients in before their transactions time out.
const SETTINGS: [&str; 4] = [
    "group.min.session.timeout.ms=1000",
    "transaction.abort.timed.out.transaction.cleanup.interval.ms=1000",
    "broker.session.timeout.ms=3000",
    "broker.heartbeat.interval.ms=500",
];
/// What Apache Kafka says when such a node loses its leaders with that session and takes their partitions for deleted
/// ones: no marker ends the transactions there that were ending then, and no reader of committed records goes on.
const LOSES_MARKERS: &str = "these partitions are likely deleted already";
/// What the application says when it cannot open its state.
const DAMAGED: &str = "org.rocksdb.RocksDBException";
/// Runs of which one must not be void.
const RUNS_MAX: usize = 3;
/// Of the input; half of them are orders, whose progress is told.
const RECORDS_OF_STAGE: u64 = 3_000;

#[derive(Clone, Copy, Debug)]
enum Blow {
    /// It commits, and finds its state again.
    ApplicationStops,
    /// Its state is of no use without a commit, but what it is known by is: it ends its last life's transactions.
    ApplicationDies,
    /// Nobody but the broker ends its transactions.
    ApplicationDiesWithState,
    BrokerStops,
    BrokerDies,
}

const BLOWS: [Blow; 5] = [
    Blow::ApplicationStops,
    Blow::ApplicationDies,
    Blow::ApplicationDiesWithState,
    Blow::BrokerStops,
    Blow::BrokerDies,
];

/// State and logs; their last lines are printed when a test panics.
struct Work(TempDir);

impl Drop for Work {
    fn drop(&mut self) {
        for name in ["app", "judge"].into_iter().filter(|_| thread::panicking()) {
            report(&format!("--- {name}\n{}", self.last_lines(name)));
        }
    }
}

impl Work {
    /// Starts a program of `compat/streams`.
    fn start(&self, name: &str, broker: &Broker, arguments: &[&str]) -> Run {
        let mut log = OpenOptions::new();
        let log = log.create(true).append(true).open(self.0.path().join(name)).unwrap();
        let mut command = Command::new(LAUNCHER);
        command.args([name, &broker.bootstrap_servers(), "streams"]).args(arguments);
        Run::spawn(command.stderr(log))
    }

    /// Of a program's log.
    fn last_lines(&self, name: &str) -> String {
        let log = fs::read_to_string(self.0.path().join(name)).unwrap_or_default();
        reference::tail(&log, 60)
    }

    fn state(&self) -> PathBuf {
        self.0.path().join("state")
    }
}

/// The application and its judge.
struct Streams {
    broker: Broker,
    work: Work,
    judge: Run,
    application: Option<Run>,
}

impl Streams {
    fn start(seed: u64, stages: usize) -> Self {
        let (broker, work) = (Broker::start_with(&SETTINGS), Work(tempfile::tempdir().unwrap()));
        let (records, stages) = (stages as u64 * RECORDS_OF_STAGE, stages.to_string());
        let arguments = [&(seed as i64).to_string(), &records.to_string(), &stages];
        let judge = work.start("judge", &broker, &arguments.map(String::as_str));
        let mut streams = Self { broker, work, judge, application: None };
        assert!(streams.judge.tells("ready"));
        streams.start_application();
        streams
    }

    fn start_application(&mut self) {
        let state = self.work.state();
        self.application = Some(self.work.start("app", &self.broker, &[state.to_str().unwrap()]));
    }

    /// An orderly end.
    fn stop_application(&mut self) {
        let (status, output) = self.application.take().unwrap().finish();
        assert!(status.success(), "{status}: {output}");
    }

    /// Asks the judge, while the application that its own death keeps from starting is helped.
    fn until(&mut self, what: &str, ask: impl Fn(&mut Run) -> Option<bool>) -> bool {
        until(what, ROUND_TIMEOUT, || {
            self.help();
            ask(&mut self.judge)
        })
    }

    /// Killed while it deletes the store of a window that has expired, Kafka Streams finds half of that store again, and
    /// ends instead of starting; its operator deletes the state, which the changelogs have.
    fn help(&mut self) {
        let has_ended = self.application.as_mut().is_some_and(Run::has_ended);
        if has_ended && self.work.last_lines("app").contains(DAMAGED) {
            report("streams: the application had damaged its state, which is deleted");
            fs::remove_dir_all(self.work.state()).unwrap();
            self.start_application();
        }
    }

    fn suffer(&mut self, blow: Blow) {
        match blow {
            Blow::ApplicationStops => self.stop_application(),
            Blow::ApplicationDies => drop(self.application.take()),
            Blow::ApplicationDiesWithState => {
                drop(self.application.take());
                fs::remove_dir_all(self.work.state()).unwrap();
            }
            Blow::BrokerStops => self.broker.terminate(),
            Blow::BrokerDies => self.broker.kill9(),
        }
        match blow {
            Blow::BrokerStops | Blow::BrokerDies => self.broker.restart(),
            _ => self.start_application(),
        }
    }

    /// Whether the run says nothing of the application, because Apache Kafka lost markers.
    fn is_void(&self) -> bool {
        let is_void = against_kafka() && self.broker.log().contains(LOSES_MARKERS);
        if is_void {
            report(&format!("streams: void, for Apache Kafka says: {LOSES_MARKERS}"));
        }
        is_void
    }
}

#[test]
fn a_streams_application_gives_its_results_exactly_once() {
    if !needs::client("a_streams_application_gives_its_results_exactly_once", "streams") {
        return;
    }
    let _one_at_a_time = reference::exclusive();
    let seed = seed();
    let mut blows = BLOWS.repeat(setting("OTTLA_STREAMS_ROUNDS", 1));
    Rng::with_seed(seed).shuffle(&mut blows);
    report(&format!("streams: {blows:?}, OTTLA_SEED={seed}"));
    let mut runs = (0..RUNS_MAX).map(|_| run(seed, &blows));
    assert!(runs.any(|says_something| says_something), "{RUNS_MAX} void runs");
}

/// False when the run is void.
fn run(seed: u64, blows: &[Blow]) -> bool {
    let mut streams = Streams::start(seed, blows.len() + 1);
    for blow in blows {
        // In the middle: a quarter of a stage is half of its orders.
        let mark = streams.judge.progress();
        let quarter = RECORDS_OF_STAGE / 4;
        let goes_on = streams.until("progress", |judge| judge.has_gone_on(mark, quarter));
        if streams.is_void() {
            return false;
        }
        assert!(goes_on, "before {blow:?}");
        streams.suffer(*blow);
        streams.judge.order("on");
    }
    let completes = streams.until("complete", |judge| judge.has_told("complete"));
    if streams.is_void() {
        return false;
    }
    assert!(completes, "the results are never as expected");
    streams.stop_application();
    let (status, output) = streams.judge.finish();
    report(output.lines().last().unwrap_or_default());
    assert!(status.success(), "{output}");
    true
}
