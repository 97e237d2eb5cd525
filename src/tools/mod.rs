//! Kafka's command-line tools under Kafka's names, with or without `.sh`, as start scripts and health checks call them.
//!
//! Flags, output and exit codes are those of Apache Kafka 4.3.0. They work against any broker that speaks Kafka's protocol, and
//! against nothing but the protocol, except kafka-storage, which writes a data directory. An error is 1, as all
//! of Kafka's tools have it, also for a wrong command line.

mod admin;
mod api_versions;
mod cluster;
mod configs;
mod console_consumer;
mod console_producer;
mod consumer_groups;
mod flags;
mod health;
mod java_order;
mod properties;
mod reach;
mod stop;
mod storage;
mod topics;

use std::ffi::{OsStr, OsString};
use std::io::{self, Write};
use std::path::Path;
use std::process::ExitCode;

use clap::error::{ContextKind, ContextValue, ErrorKind};
use clap::{ArgMatches, Command, Parser};

use crate::client::ClientError;
use crate::env::Env;
use flags::{Flags, Row};
pub use health::{HealthOptions, health};
pub(crate) use properties::{ClientProperties, key_values, read_file};

/// One of Kafka's tools.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tool {
    /// `kafka-server-start`: runs the broker.
    ServerStart,
    /// `kafka-storage`: makes data directories.
    Storage,
    /// `kafka-topics`.
    Topics,
    /// `kafka-configs`.
    Configs,
    /// `kafka-broker-api-versions`.
    BrokerApiVersions,
    /// `kafka-cluster`.
    Cluster,
    /// `kafka-console-consumer`: prints records.
    ConsoleConsumer,
    /// `kafka-console-producer`: sends lines.
    ConsoleProducer,
    /// `kafka-consumer-groups`: shows groups, moves their offsets, deletes.
    ConsumerGroups,
}

/// Every tool by its name without `.sh`.
const NAMES: [(&str, Tool); 9] = [
    ("kafka-server-start", Tool::ServerStart),
    ("kafka-storage", Tool::Storage),
    ("kafka-topics", Tool::Topics),
    ("kafka-configs", Tool::Configs),
    ("kafka-broker-api-versions", Tool::BrokerApiVersions),
    ("kafka-cluster", Tool::Cluster),
    ("kafka-console-consumer", Tool::ConsoleConsumer),
    ("kafka-console-producer", Tool::ConsoleProducer),
    ("kafka-consumer-groups", Tool::ConsumerGroups),
];
/// The version that the tools say they are.
const KAFKA_VERSION: &str = "4.3.0";

impl Tool {
    /// The names of all tools, as a list to print.
    pub fn names() -> String {
        NAMES.map(|(name, _)| name).join(", ")
    }

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
        Tool::Storage => main("kafka-storage", arguments, async |options| {
            storage::run(&options, &Env::of_this_machine(), &mut io::stdout().lock())
        }),
        Tool::Cluster => main("kafka-cluster", arguments, cluster::run),
        Tool::Topics => {
            let about = "Creates, lists, describes, changes and deletes topics";
            with_flags("kafka-topics", about, topics::OPTIONS, arguments, topics::run)
        }
        Tool::Configs => {
            let words: Vec<_> = arguments.iter().map(|word| word.to_string_lossy()).collect();
            let words = words.join(" ");
            let about = "Describes and changes configurations of topics, brokers, groups and client metrics";
            let run = async |flags| configs::run(flags, &words).await;
            with_flags("kafka-configs", about, configs::OPTIONS, arguments, run)
        }
        Tool::BrokerApiVersions => {
            let (name, about) = (
                "kafka-broker-api-versions",
                "Prints the APIs of every broker, with their versions",
            );
            with_flags(name, about, api_versions::OPTIONS, arguments, api_versions::run)
        }
        Tool::ConsoleConsumer => {
            let (name, options) = ("kafka-console-consumer", console_consumer::OPTIONS);
            let about = "Prints the records of topics";
            with_flags(name, about, options, arguments, console_consumer::run)
        }
        Tool::ConsoleProducer => {
            let (name, options) = ("kafka-console-producer", console_producer::OPTIONS);
            let about = "Sends the lines of standard input to a topic";
            with_flags(name, about, options, arguments, console_producer::run)
        }
        Tool::ConsumerGroups => {
            let (name, options) = ("kafka-consumer-groups", consumer_groups::OPTIONS);
            let about = "Shows groups of consumers, moves or deletes their offsets, deletes groups";
            with_flags(name, about, options, arguments, consumer_groups::run)
        }
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

/// Prints a line; a closed output is no error, as to Java.
fn print(line: &str) {
    let _ = writeln!(io::stdout().lock(), "{line}");
}

/// Reads the options, runs, prints what went wrong.
fn main<O: Parser>(
    name: &'static str,
    arguments: &[OsString],
    tool: impl AsyncFnOnce(O) -> Result<(), Failure>,
) -> ExitCode {
    main_of(O::command().name(name), arguments, |matches| O::from_arg_matches(&matches), tool)
}

/// As [`main`], with options in a table.
fn with_flags(
    name: &'static str,
    about: &'static str,
    options: &[Row],
    arguments: &[OsString],
    tool: impl AsyncFnOnce(Flags) -> Result<(), Failure>,
) -> ExitCode {
    let command = flags::command(name, about, options);
    main_of(command, arguments, |matches| Ok(Flags(matches)), tool)
}

/// As [`main`], with a command whose matches `read` turns into options.
#[expect(clippy::print_stdout, reason = "Kafka's tools print some errors there")]
fn main_of<O>(
    command: Command,
    arguments: &[OsString],
    read: impl FnOnce(ArgMatches) -> Result<O, clap::Error>,
    tool: impl AsyncFnOnce(O) -> Result<(), Failure>,
) -> ExitCode {
    let name = OsString::from(command.get_name());
    let line = [name].into_iter().chain(arguments.iter().cloned());
    let mut command = command.version(KAFKA_VERSION).mut_args(|argument| {
        // Kafka's parser takes what follows an option for its value, whatever it begins with.
        let is_one = argument
            .get_num_args()
            .is_none_or(|number| number.min_values() == 1 && number.max_values() == 1);
        let is_valued = argument.get_action().takes_values() && !argument.is_positional();
        if is_valued && is_one { argument.allow_hyphen_values(true) } else { argument }
    });
    if arguments.is_empty() {
        eprintln!("{}", command.render_help());
        return ExitCode::FAILURE;
    }
    let options = match command.try_get_matches_from(line).and_then(read) {
        Ok(options) => options,
        Err(error) => return refuse(&error),
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

/// Prints what is wrong with the command line, or what was asked for in its place.
#[expect(clippy::print_stdout, reason = "the version goes there")]
fn refuse(error: &clap::Error) -> ExitCode {
    if error.kind() == ErrorKind::DisplayVersion {
        println!("{KAFKA_VERSION}");
        return ExitCode::SUCCESS;
    }
    match complaint(error) {
        Some(complaint) => eprintln!("{complaint}"),
        // A closed output leaves nobody to tell.
        None => drop(error.print()),
    }
    if error.exit_code() == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// What the parser of most of Kafka's tools says (joptsimple), where it has a name for what is wrong.
fn complaint(error: &clap::Error) -> Option<String> {
    let text = |kind| match error.get(kind) {
        Some(ContextValue::String(text)) => Some(text.as_str()),
        _ => None,
    };
    // `--topic <topic>` or, of an unknown one, `--topic`.
    let option = text(ContextKind::InvalidArg)?.trim_start_matches('-');
    let option = option.split([' ', '=']).next().unwrap_or_default();
    match error.kind() {
        ErrorKind::UnknownArgument => Some(format!("{option} is not a recognized option")),
        ErrorKind::InvalidValue if text(ContextKind::InvalidValue) == Some("") => {
            Some(format!("Option {option} requires an argument"))
        }
        ErrorKind::ValueValidation => Some(format!(
            "Cannot parse argument '{}' of option {option}",
            text(ContextKind::InvalidValue)?
        )),
        ErrorKind::ArgumentConflict
            if text(ContextKind::PriorArg) == text(ContextKind::InvalidArg) =>
        {
            Some(format!(
                "Found multiple arguments for option {option}, but you asked for only one"
            ))
        }
        _ => None,
    }
}
