//! The checker, or another program that takes orders and tells its progress, as a child process.

use std::env;
use std::io::{BufRead, BufReader, Write};
use std::path::PathBuf;
use std::process::{Child, ChildStdin, Command, ExitStatus, Stdio};
use std::sync::{Arc, Mutex, OnceLock};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use crate::broker::Broker;
use crate::wait::until;

const RUN_TIMEOUT: Duration = Duration::from_mins(15);
/// Longer than a program needs to see that nothing moves, and to end.
pub(crate) const ROUND_TIMEOUT: Duration = Duration::from_mins(3);

/// The checker beside this binary. `cargo test` has built it; `cargo test --test it` has not.
pub(crate) fn checker() -> Command {
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

/// A program that runs; killed when dropped, and a checker's members end with it.
pub(crate) struct Run {
    child: Child,
    lines: Arc<Mutex<Vec<String>>>,
    reader: Option<JoinHandle<()>>,
    input: Option<ChildStdin>,
}

impl Run {
    pub(crate) fn start(broker: &Broker, seed: u64, arguments: &[&str]) -> Self {
        let mut command = checker();
        command.args(["run", "--bootstrap", &broker.bootstrap_servers()]);
        command.args(["--seed", &seed.to_string()]).args(arguments);
        Self::spawn(&mut command)
    }

    /// A program of another kind.
    pub(crate) fn spawn(command: &mut Command) -> Self {
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

    /// Orders a member to start, as `start NUMBER PROTOCOL`, or to `leave NUMBER`.
    pub(crate) fn order(&mut self, order: &str) {
        writeln!(self.input.as_mut().unwrap(), "{order}").unwrap();
    }

    /// Acked and committed records, as last told.
    pub(crate) fn progress(&self) -> (u64, u64) {
        let lines = self.lines.lock().unwrap();
        let progress = lines.iter().rev().find_map(|line| line.strip_prefix("progress "));
        let numbers = progress.and_then(|numbers| numbers.split_once(' '));
        numbers.map_or((0, 0), |(a, b)| (a.parse().unwrap(), b.parse().unwrap()))
    }

    /// Waits until so many more records than at `mark` are acked and committed; false when the program gave up.
    pub(crate) fn goes_on(&mut self, mark: (u64, u64), records: u64) -> bool {
        until("progress", ROUND_TIMEOUT, || self.has_gone_on(mark, records))
    }

    /// As [`Run::goes_on`] without the wait; None while it is open.
    pub(crate) fn has_gone_on(&mut self, mark: (u64, u64), records: u64) -> Option<bool> {
        let (acked, committed) = self.progress();
        let has = acked >= mark.0 + records && committed >= mark.1 + records;
        let ended = self.has_ended();
        (ended || has).then_some(!ended)
    }

    pub(crate) fn has_ended(&mut self) -> bool {
        self.child.try_wait().unwrap().is_some()
    }

    /// Waits until it has told this; false when it gave up.
    pub(crate) fn tells(&mut self, what: &str) -> bool {
        until(what, ROUND_TIMEOUT, || self.has_told(what))
    }

    /// As [`Run::tells`] without the wait; None while it is open.
    pub(crate) fn has_told(&mut self, what: &str) -> Option<bool> {
        let has_told = self.lines.lock().unwrap().iter().any(|line| line == what);
        let ended = self.has_ended();
        (ended || has_told).then_some(!ended)
    }

    /// The end of the run: its status and what it printed, the progress left out.
    pub(crate) fn finish(mut self) -> (ExitStatus, String) {
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

pub(crate) fn closing_line(output: &str) -> &str {
    let mut lines = output.lines().rev();
    lines.find(|line| line.contains(" records, ")).unwrap_or("checker: no verdict")
}
