//! `ottla bench` as a process of its own, so that its CPU time is not the broker's and its threads are not ours.

use std::process::{Child, Command, Stdio};
use std::time::Duration;

use serde_json::Value;

use crate::contender::Contender;

/// What the generator tells and what that cost the broker.
#[derive(Clone, Debug)]
pub(crate) struct Load {
    report: Value,
    /// Of the broker, from before the generator started until after it ended.
    pub(crate) cpu: Option<Duration>,
}

impl Load {
    /// A figure of the report by its name, as in `latency_ms.p99`.
    pub(crate) fn figure(&self, name: &str) -> f64 {
        let value = name.split('.').try_fold(&self.report, |inner, part| inner.get(part));
        value.and_then(Value::as_f64).unwrap_or_else(|| panic!("no {name} in {}", self.report))
    }

    /// How many requests failed.
    pub(crate) fn errors(&self) -> u64 {
        let counts = self.report.get("errors").and_then(Value::as_object);
        counts.into_iter().flatten().filter_map(|(_, count)| count.as_u64()).sum()
    }

    /// CPU seconds of the broker per 10^9 bytes.
    pub(crate) fn cpu_s_per_gb(&self) -> Option<f64> {
        Some(self.cpu?.as_secs_f64() * 1e9 / self.figure("bytes"))
    }

    /// CPU seconds of the broker per 100,000 requests.
    pub(crate) fn cpu_s_per_100k_requests(&self) -> Option<f64> {
        Some(self.cpu?.as_secs_f64() * 1e5 / self.figure("requests"))
    }
}

/// A generator that runs.
pub(crate) struct Running {
    child: Child,
    before: Option<Duration>,
}

impl Running {
    /// Starts `ottla bench ARGUMENTS...` against a broker.
    pub(crate) fn start(contender: &Contender, arguments: &[&str]) -> Self {
        let before = contender.cpu_time();
        let mut command = Command::new(env!("CARGO_BIN_EXE_ottla"));
        command.arg("bench").args(arguments).args(["--json", "--bootstrap-server"]);
        command.arg(contender.address());
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null());
        Self { child: command.spawn().unwrap(), before }
    }

    /// Whether it has not ended yet.
    pub(crate) fn is_running(&mut self) -> bool {
        self.child.try_wait().unwrap().is_none()
    }

    /// Waits for its end; nothing may have failed.
    pub(crate) fn end(self, contender: &Contender) -> Load {
        let load = self.end_with_errors(contender);
        assert_eq!(load.errors(), 0, "{}: ottla bench: {}", contender.column, load.report);
        load
    }

    /// Waits for its end; requests may have failed.
    pub(crate) fn end_with_errors(self, contender: &Contender) -> Load {
        let output = self.child.wait_with_output().unwrap();
        let cpu = contender.cpu_since(self.before);
        let report = serde_json::from_slice(&output.stdout);
        let report = report.unwrap_or_else(|error| {
            panic!("{}: ottla bench has no report: {error}, {}", contender.column, output.status)
        });
        Load { report, cpu }
    }
}

/// Runs `ottla bench ARGUMENTS...` against a broker to its end.
pub(crate) fn run(contender: &Contender, arguments: &[&str]) -> Load {
    Running::start(contender, arguments).end(contender)
}
