//! A broker as a child process: the built binary, or Apache Kafka when `OTTLA_AGAINST=kafka`.
//!
//! A test that passes against both asserts what Kafka does; the second form finds the tests that do not.

use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;

use crate::reference::{self, Options, Quorum, Reference};
use crate::wait::until;

const START_TIMEOUT: Duration = Duration::from_secs(30);
const STOP_TIMEOUT: Duration = Duration::from_mins(1);

/// Whether the broker under test is the reference.
pub(crate) fn against_kafka() -> bool {
    env::var("OTTLA_AGAINST").is_ok_and(|target| target == "kafka")
}

/// A running broker; killed when dropped, its log printed when a test panics.
#[derive(Debug)]
pub(crate) struct Broker {
    process: Option<Process>,
    port: u16,
    data: PathBuf,
    overrides: Vec<String>,
    work: TempDir,
}

#[derive(Debug)]
enum Process {
    Ottla(Child),
    Kafka(Reference),
}

impl Broker {
    /// A broker on an empty directory and a free port.
    pub(crate) fn start() -> Self {
        Self::start_with(&[])
    }

    /// As [`Broker::start`], with `key=value` settings.
    pub(crate) fn start_with(overrides: &[&str]) -> Self {
        let work = tempfile::tempdir().unwrap();
        let data = work.path().join("data");
        Self::start_in(work, &data, overrides)
    }

    /// A broker on an existing data directory, which stays when the broker is dropped.
    pub(crate) fn start_on(data: &Path, overrides: &[&str]) -> Self {
        Self::start_in(tempfile::tempdir().unwrap(), data, overrides)
    }

    /// As [`Broker::start_on`], on the port of a broker that ended.
    pub(crate) fn start_at(port: u16, data: &Path) -> Self {
        Self::start_with_port(port, tempfile::tempdir().unwrap(), data, &[])
    }

    fn start_in(work: TempDir, data: &Path, overrides: &[&str]) -> Self {
        // It must still be free when the broker starts again: not one that connections may take.
        let port = if against_kafka() { 0 } else { reference::free_port_pair() };
        Self::start_with_port(port, work, data, overrides)
    }

    fn start_with_port(port: u16, work: TempDir, data: &Path, overrides: &[&str]) -> Self {
        let overrides = overrides.iter().map(ToString::to_string).collect();
        let mut broker = Self { process: None, port, data: data.to_owned(), overrides, work };
        broker.restart();
        broker
    }

    /// Starts again after [`Broker::kill9`] or [`Broker::terminate`]: same directory, same port.
    pub(crate) fn restart(&mut self) {
        self.spawn();
        self.wait_ready();
    }

    /// As [`Broker::restart`], but returns without waiting; for a kill during recovery.
    pub(crate) fn spawn(&mut self) {
        assert!(self.process.is_none(), "the broker runs");
        self.process = Some(if against_kafka() { self.spawn_kafka() } else { self.spawn_ottla() });
    }

    /// Waits until the spawned broker serves.
    pub(crate) fn wait_ready(&mut self) {
        let ready = self.ready_file();
        let Some(process) = &mut self.process else { panic!("the broker was not spawned") };
        let Process::Ottla(child) = process else {
            return;
        };
        let line = until("the ready file", START_TIMEOUT, || {
            let status = child.try_wait().unwrap();
            assert!(status.is_none(), "the broker ended with {status:?} instead of serving");
            fs::read_to_string(&ready).ok().filter(|line| line.ends_with('\n'))
        });
        let line: serde_json::Value = serde_json::from_str(&line).unwrap();
        self.port = u16::try_from(line["listeners"][0]["port"].as_u64().unwrap()).unwrap();
    }

    fn spawn_ottla(&self) -> Process {
        // A stale ready file would be taken for this start's.
        let _ = fs::remove_file(self.ready_file());
        let log = fs::OpenOptions::new().create(true).append(true).open(self.log_file()).unwrap();
        let mut command = ottla();
        command.arg("server");
        command.arg("--override").arg(format!("listeners=PLAINTEXT://localhost:{}", self.port));
        command.arg("--override").arg(format!("log.dirs={}", self.data.display()));
        for setting in &self.overrides {
            command.arg("--override").arg(setting);
        }
        command.arg("--ready-file").arg(self.ready_file()).stdin(Stdio::null());
        command.stdout(log.try_clone().unwrap()).stderr(log);
        Process::Ottla(command.spawn().unwrap())
    }

    fn spawn_kafka(&mut self) -> Process {
        let state = fs::read_to_string(self.data.join("__cluster_metadata-0/quorum-state"));
        let is_static = state.is_ok_and(|state| state.contains("\"data_version\":0"));
        let options = Options {
            quorum: if is_static { Quorum::Voters } else { Quorum::Bootstrap },
            data: Some(self.data.clone()),
            port: Some(self.port).filter(|port| *port != 0),
            extra: self.overrides.join("\n"),
        };
        let node = Reference::start(self.work.path(), &options);
        self.port = node.port();
        Process::Kafka(node)
    }

    pub(crate) fn port(&self) -> u16 {
        self.port
    }

    pub(crate) fn bootstrap_servers(&self) -> String {
        format!("localhost:{}", self.port)
    }

    pub(crate) fn data(&self) -> &Path {
        &self.data
    }

    /// The line that the broker wrote when it was ready.
    pub(crate) fn ready(&self) -> serde_json::Value {
        serde_json::from_str(&fs::read_to_string(self.ready_file()).unwrap()).unwrap()
    }

    pub(crate) fn pid(&self) -> u32 {
        match self.process.as_ref().expect("the broker runs") {
            Process::Ottla(child) => child.id(),
            Process::Kafka(node) => node.pid(),
        }
    }

    pub(crate) fn log(&self) -> String {
        match &self.process {
            Some(Process::Kafka(node)) => node.log(),
            _ => fs::read_to_string(self.log_file()).unwrap_or_default(),
        }
    }

    /// Whether the process has not ended by itself.
    pub(crate) fn is_running(&mut self) -> bool {
        match self.process.as_mut().expect("the broker was started") {
            Process::Ottla(child) => child.try_wait().unwrap().is_none(),
            Process::Kafka(node) => node.exited().is_none(),
        }
    }

    /// Resident memory in bytes: now, and the highest so far.
    pub(crate) fn resident_bytes(&self) -> (u64, u64) {
        let status = fs::read_to_string(format!("/proc/{}/status", self.pid())).unwrap();
        let field = |name: &str| {
            let line = status.lines().find(|line| line.starts_with(name)).unwrap();
            line.split_whitespace().nth(1).unwrap().parse::<u64>().unwrap() * 1024
        };
        (field("VmRSS:"), field("VmHWM:"))
    }

    /// SIGKILL, and waits until the process is gone.
    pub(crate) fn kill9(&mut self) {
        match self.process.take().expect("the broker runs") {
            Process::Ottla(mut child) => {
                child.kill().unwrap();
                child.wait().unwrap();
            }
            Process::Kafka(node) => node.kill(),
        }
    }

    /// SIGSTOP, and SIGCONT after a while.
    pub(crate) fn pause(&self, pause: Duration) {
        let pid = Pid::from_raw(self.pid() as i32).expect("the broker runs");
        kill_process(pid, Signal::STOP).unwrap();
        thread::sleep(pause);
        kill_process(pid, Signal::CONT).unwrap();
    }

    /// SIGTERM, and waits for the end, which must be a clean one.
    pub(crate) fn terminate(&mut self) {
        // The JVM reports the signal even after a clean end.
        let clean = if against_kafka() { 143 } else { 0 };
        assert_eq!(self.signal(Signal::TERM).0.code(), Some(clean), "{}", self.log());
    }

    /// Sends a signal that stops the broker; its exit status and how long it took.
    pub(crate) fn signal(&mut self, signal: Signal) -> (ExitStatus, Duration) {
        let started = Instant::now();
        let status = match self.process.take().expect("the broker runs") {
            Process::Ottla(mut child) => {
                kill_process(Pid::from_child(&child), signal).unwrap();
                until("the broker's end", STOP_TIMEOUT, || child.try_wait().unwrap())
            }
            Process::Kafka(node) => node.stop(),
        };
        (status, started.elapsed())
    }

    fn ready_file(&self) -> PathBuf {
        self.work.path().join("ready.json")
    }

    fn log_file(&self) -> PathBuf {
        self.work.path().join("broker.log")
    }
}

impl Drop for Broker {
    fn drop(&mut self) {
        if thread::panicking() {
            eprintln!("--- the broker's last lines\n{}\n---", reference::tail(&self.log(), 40));
        }
        if let Some(Process::Ottla(child)) = &mut self.process {
            // It may have ended already; there is nobody to tell about a failure here.
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

/// The built binary.
pub(crate) fn ottla() -> Command {
    Command::new(env!("CARGO_BIN_EXE_ottla"))
}
