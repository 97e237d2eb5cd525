//! Apache Kafka as a child process, through the launcher beside this file.
//!
//! A node belongs to the [`Reference`] that started it and is killed when that value is dropped, also when a test
//! panics. Nodes are heavy: a test holds [`exclusive`] while it uses any, so that one test at a time does.

use std::fs;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Output, Stdio};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

const LAUNCHER: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/compat/reference/kafka");
const START_TIMEOUT: Duration = Duration::from_mins(2);
const POLL: Duration = Duration::from_millis(20);

/// How the node finds its controller quorum.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Quorum {
    /// `controller.quorum.bootstrap.servers`; a fresh directory is formatted with `--standalone`.
    #[default]
    Bootstrap,
    /// `controller.quorum.voters`: static voters.
    Voters,
}

/// What a node is started with.
#[derive(Clone, Debug, Default)]
pub(crate) struct Options {
    pub(crate) quorum: Quorum,
    /// The data directory; one without `meta.properties` is formatted first. Without it the node gets a fresh one.
    pub(crate) data: Option<PathBuf>,
    /// The port to listen on; a free one without it.
    pub(crate) port: Option<u16>,
    /// More lines of `server.properties`.
    pub(crate) extra: String,
}

/// A running Apache Kafka node.
#[derive(Debug)]
pub(crate) struct Reference {
    child: Child,
    port: u16,
    data: PathBuf,
    log: PathBuf,
}

/// Why the reference cannot run on this machine, if it cannot.
pub(crate) fn unavailable() -> Option<String> {
    ["java", "mvn"].into_iter().find_map(|program| {
        let found = Command::new(program).arg("-version").output();
        found.is_err().then(|| format!("{program} is not on the PATH"))
    })
}

/// Held by a test while it runs reference nodes or tools.
pub(crate) fn exclusive() -> MutexGuard<'static, ()> {
    static NODES: Mutex<()> = Mutex::new(());
    NODES.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Reference {
    /// Starts a node that keeps its configuration, log and (fresh) data under `directory`.
    pub(crate) fn start(directory: &Path, options: &Options) -> Self {
        Self::try_start(directory, options)
            .unwrap_or_else(|log| panic!("Kafka did not start:\n{}", tail(&log, 60)))
    }

    /// As [`Reference::start`]; a node that ends instead of serving gives its whole log.
    pub(crate) fn try_start(directory: &Path, options: &Options) -> Result<Self, String> {
        let port = Self::prepare(directory, options);
        let mut node = Self::spawn(directory, options, port);
        let deadline = Instant::now() + START_TIMEOUT;
        while !node.log().contains("Kafka Server started") {
            if node.exited().is_some() || Instant::now() > deadline {
                return Err(node.log());
            }
            thread::sleep(POLL);
        }
        Ok(node)
    }

    /// Writes the configuration and formats a fresh data directory; gives the port the node will use.
    pub(crate) fn prepare(directory: &Path, options: &Options) -> u16 {
        let port = options.port.unwrap_or_else(free_port_pair);
        let output = launcher(directory, options).args(["format", &port.to_string()]).output();
        let output = output.expect("the launcher runs");
        assert!(output.status.success(), "format: {}", String::from_utf8_lossy(&output.stderr));
        port
    }

    /// Starts a prepared node and returns at once.
    pub(crate) fn spawn(directory: &Path, options: &Options, port: u16) -> Self {
        let log = directory.join("server.log");
        let out = fs::File::create(&log).expect("the log file can be created");
        let errors = out.try_clone().expect("the log file can be shared");
        let mut command = launcher(directory, options);
        command.args(["serve", &port.to_string()]);
        let child = command.stdin(Stdio::null()).stdout(out).stderr(errors).spawn();
        let data = options.data.clone().unwrap_or_else(|| directory.join("data"));
        Self { child: child.expect("the launcher runs"), port, data, log }
    }

    pub(crate) fn port(&self) -> u16 {
        self.port
    }

    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    pub(crate) fn data(&self) -> &Path {
        &self.data
    }

    pub(crate) fn log(&self) -> String {
        fs::read_to_string(&self.log).unwrap_or_default()
    }

    pub(crate) fn exited(&mut self) -> Option<ExitStatus> {
        self.child.try_wait().expect("the node is our child")
    }

    /// SIGTERM, then waits: a clean stop.
    pub(crate) fn stop(mut self) -> ExitStatus {
        let pid = Pid::from_child(&self.child);
        kill_process(pid, Signal::TERM).expect("the node runs");
        self.child.wait().expect("the node is our child")
    }

    /// SIGKILL, then waits.
    pub(crate) fn kill(mut self) {
        self.child.kill().expect("the node runs");
        self.child.wait().expect("the node is our child");
    }
}

impl Drop for Reference {
    fn drop(&mut self) {
        // The child may have been stopped already; there is nobody to tell about a failure here.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Runs a tool's main class to its end.
pub(crate) fn tool(class: &str, arguments: &[&str]) -> Output {
    tool_command(class, arguments).output().expect("the launcher runs")
}

/// A tool's main class, for a caller that feeds its input.
pub(crate) fn tool_command(class: &str, arguments: &[&str]) -> Command {
    let mut command = Command::new(LAUNCHER);
    command.args(["tool", class]).args(arguments).stdin(Stdio::null());
    command
}

/// The last lines of a log.
pub(crate) fn tail(log: &str, lines: usize) -> String {
    let all: Vec<&str> = log.lines().collect();
    all[all.len().saturating_sub(lines)..].join("\n")
}

fn launcher(directory: &Path, options: &Options) -> Command {
    let mut command = Command::new(LAUNCHER);
    command.env("NODE", directory).env("EXTRA", &options.extra);
    command.env(
        "QUORUM",
        match options.quorum {
            Quorum::Bootstrap => "bootstrap",
            Quorum::Voters => "voters",
        },
    );
    match &options.data {
        Some(data) => command.env("DATA", data),
        None => command.env_remove("DATA"),
    };
    command
}

/// A free port whose successor is free too: the launcher puts the controller there. Below the range
/// that outgoing connections take theirs from, or one of them could be faster than the JVM.
pub(crate) fn free_port_pair() -> u16 {
    loop {
        let port = fastrand::u16(10_000..32_000);
        let free = |port: u16| TcpListener::bind(("0.0.0.0", port)).is_ok();
        if free(port) && free(port + 1) {
            return port;
        }
    }
}
