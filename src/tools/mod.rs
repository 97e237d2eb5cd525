//! Kafka's command-line tools under Kafka's names, with or without `.sh`, as start scripts and health checks call them.
//!
//! Flags, output and exit codes are those of Apache Kafka 4.3.0. They work against any broker that speaks Kafka's protocol, and
//! against nothing but the protocol, except kafka-storage, which writes a data directory. An error is 1, as all
//! of Kafka's tools have it, also for a wrong command line.

mod console_consumer;
mod console_producer;
mod consumer_groups;
mod properties;
mod reach;
mod stop;

use std::ffi::{OsStr, OsString};
use std::io;
use std::path::Path;
use std::process::ExitCode;

use clap::Parser;

use crate::client::ClientError;
pub(crate) use properties::{ClientProperties, key_values, read_file};

/// One of Kafka's tools.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tool {
    /// `kafka-server-start`: runs the broker.
    ServerStart,
    /// `kafka-console-consumer`: prints records.
    ConsoleConsumer,
    /// `kafka-console-producer`: sends lines.
    ConsoleProducer,
    /// `kafka-consumer-groups`: shows groups, moves their offsets, deletes.
    ConsumerGroups,
}

/// Every tool by its name without `.sh`.
const NAMES: [(&str, Tool); 4] = [
    ("kafka-server-start", Tool::ServerStart),
    ("kafka-console-consumer", Tool::ConsoleConsumer),
    ("kafka-console-producer", Tool::ConsoleProducer),
    ("kafka-consumer-groups", Tool::ConsumerGroups),
];

impl Tool {
    /// The tool that a program of this name or path is.
    pub fn named(program: &OsStr) -> Option<Self> {
        let name = Path::new(program).file_name()?.to_str()?;
        let name = name.strip_suffix(".sh").unwrap_or(name);
        NAMES.iter().find(|(tool, _)| *tool == name).map(|(_, tool)| *tool)
    }
}

/// Runs a tool but [`Tool::ServerStart`]; `arguments` are those behind its name.
pub fn run(tool: Tool, arguments: &[OsString]) -> ExitCode {
    match tool {
        Tool::ServerStart => ExitCode::FAILURE,
        Tool::ConsoleConsumer => main("kafka-console-consumer", arguments, console_consumer::run),
        Tool::ConsoleProducer => main("kafka-console-producer", arguments, console_producer::run),
        Tool::ConsumerGroups => main("kafka-consumer-groups", arguments, consumer_groups::run),
    }
}

/// What a tool prints last when it fails.
#[derive(Debug, Default)]
pub(crate) struct Failure {
    /// On standard output; a line break is added unless it is empty.
    pub(crate) out: String,
    /// On standard error, likewise.
    pub(crate) err: String,
    /// The exit code, if it is not 1.
    pub(crate) code: Option<u8>,
}

impl Failure {
    /// Fails with a message on standard output.
    pub(crate) fn out(message: impl Into<String>) -> Self {
        Self { out: message.into(), ..Self::default() }
    }

    /// Fails with a message on standard error.
    pub(crate) fn err(message: impl Into<String>) -> Self {
        Self { err: message.into(), ..Self::default() }
    }
}

impl From<ClientError> for Failure {
    fn from(error: ClientError) -> Self {
        Self::err(error.to_string())
    }
}

impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Self {
        Self::err(error.to_string())
    }
}

/// Reads the options, runs, prints what went wrong.
#[expect(clippy::print_stdout, reason = "Kafka's tools print some errors there")]
fn main<O: Parser>(
    name: &str,
    arguments: &[OsString],
    tool: impl AsyncFnOnce(O) -> Result<(), Failure>,
) -> ExitCode {
    let line = [OsString::from(name)].into_iter().chain(arguments.iter().cloned());
    let options = match O::try_parse_from(line) {
        Ok(options) => options,
        Err(error) => {
            // A closed output leaves nobody to tell.
            let _ = error.print();
            return if error.exit_code() == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE };
        }
    };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let outcome = match runtime {
        Ok(runtime) => {
            let outcome = runtime.block_on(tool(options));
            // A name that is looked up or a read of standard input must not hold the process.
            runtime.shutdown_background();
            outcome
        }
        Err(error) => Err(error.into()),
    };
    let Err(Failure { out, err, code }) = outcome else { return ExitCode::SUCCESS };
    if !out.is_empty() {
        println!("{out}");
    }
    if !err.is_empty() {
        eprintln!("{err}");
    }
    code.map_or(ExitCode::FAILURE, ExitCode::from)
}

/// Says something on standard output, as that an option is old: Kafka's tools say it there.
#[expect(clippy::print_stdout, reason = "it is meant for there")]
fn print_line(message: &str) {
    println!("{message}");
}
