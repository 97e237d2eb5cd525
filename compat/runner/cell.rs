//! One program of a client, run to its end.

use std::fmt;
use std::fs::{self, File};
use std::io::{BufRead as _, BufReader, Read};
use std::os::unix::process::CommandExt as _;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError};
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process_group};

use crate::folders::{self, Client};
use crate::{Failure, reference};

const TIME_LIMIT: Duration = Duration::from_mins(2);
const POLL: Duration = Duration::from_millis(20);
/// For what a program wrote before its end to be read.
const DRAIN_TIMEOUT: Duration = Duration::from_secs(1);
const NOT_APPLICABLE: i32 = 77;
const ERROR_LINES: usize = 20;

/// What became of a scenario.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    Passed,
    /// With what the program wrote to standard error at last.
    Failed(String),
    /// With the reason.
    NotApplicable(String),
}

impl fmt::Display for Outcome {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Passed => write!(formatter, "ok"),
            Self::NotApplicable(reason) => write!(formatter, "n/a: {reason}"),
            Self::Failed(why) => {
                write!(formatter, "FAILED")?;
                why.lines().try_for_each(|line| write!(formatter, "\n    {line}"))
            }
        }
    }
}

/// A program and all that it started, gone when this is.
struct Program {
    child: Child,
    group: Pid,
    lines: Receiver<String>,
}

impl Program {
    fn start(mut command: Command) -> Result<Self, Failure> {
        command.stdin(Stdio::null()).stdout(Stdio::piped()).process_group(0);
        let mut child = command.spawn()?;
        let group = Pid::from_child(&child);
        let output = child.stdout.take().ok_or("standard output is not piped")?;
        Ok(Self { child, group, lines: lines_of(output) })
    }

    /// Gives every line to the listener; no status when the time is over before the end.
    fn wait(
        &mut self,
        mut listener: impl FnMut(String) -> Result<(), Failure>,
    ) -> Result<Option<ExitStatus>, Failure> {
        let deadline = Instant::now() + TIME_LIMIT;
        let status = loop {
            match self.lines.recv_timeout(POLL) {
                Ok(line) => listener(line)?,
                Err(RecvTimeoutError::Disconnected) => thread::sleep(POLL),
                Err(RecvTimeoutError::Timeout) => {}
            }
            if let Some(status) = self.child.try_wait()? {
                break Some(status);
            }
            if Instant::now() > deadline {
                break None;
            }
        };
        while let Ok(line) = self.lines.recv_timeout(DRAIN_TIMEOUT) {
            listener(line)?;
        }
        Ok(status)
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        // Mostly there is nothing left to kill.
        let _ = kill_process_group(self.group, Signal::KILL);
        let _ = self.child.wait();
    }
}

fn lines_of(output: impl Read + Send + 'static) -> Receiver<String> {
    let (sender, lines) = mpsc::channel();
    thread::spawn(move || {
        // The reader may be gone when the time was over.
        for line in BufReader::new(output).lines().map_while(Result::ok) {
            let _ = sender.send(line);
        }
    });
    lines
}

/// Runs a scenario; the listener hears each line of standard output.
pub(crate) fn run(
    client: &Client,
    scenario: &str,
    bootstrap: &str,
    mut listener: impl FnMut(&str) -> Result<(), Failure>,
) -> Result<Outcome, Failure> {
    let directory = tempfile::tempdir()?;
    let errors = directory.path().join("stderr");
    let mut command = folders::program(&client.folder);
    command.args([&client.name, scenario, bootstrap]).stderr(File::create(&errors)?);
    let mut last = String::new();
    let status = Program::start(command)?.wait(|line| {
        listener(&line)?;
        last = line;
        Ok(())
    })?;
    let written = fs::read(&errors)?;
    let tail = reference::tail(&String::from_utf8_lossy(&written), ERROR_LINES);
    Ok(match status {
        None => Outcome::Failed(format!("not finished in {TIME_LIMIT:?}\n{tail}")),
        Some(status) if status.success() => Outcome::Passed,
        Some(status) if status.code() == Some(NOT_APPLICABLE) && !last.is_empty() => {
            Outcome::NotApplicable(last)
        }
        Some(status) => Outcome::Failed(format!("{status}\n{tail}")),
    })
}
