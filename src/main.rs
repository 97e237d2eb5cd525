//! The `ottla` command.

use std::error::Error;
use std::ffi::OsString;
use std::io::{self, BufWriter};
use std::num::NonZero;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::{Args, Parser, Subcommand};
use ottla::Broker;
use ottla::bench;
use ottla::broker::write_ready_file;
use ottla::config::{Notice, ServerConfig};
use ottla::dump_log::{self, DumpError};
use ottla::env::{OsDisk, raise_open_file_limit};
use ottla::telemetry;
use ottla::tools::{self, Tool};
use tokio::signal::unix::{SignalKind, signal};
use tracing::{error, info, warn};

/// Exit code for a configuration that cannot be used, as for a wrong command line.
const EXIT_BAD_CONFIGURATION: u8 = 2;
/// Exit code of Kafka's tools for whatever is wrong.
const EXIT_TOOL_FAILED: u8 = 1;
/// What is printed goes out in pieces of this size.
const OUTPUT_BUFFER_BYTES: usize = 64 * 1024;
/// Fewest threads that serve connections.
const WORKERS_MIN: usize = 4;

/// A broker that speaks Apache Kafka's wire protocol.
///
/// Without arguments it serves on localhost:9092 and keeps its data in ./ottla-data.
#[derive(Debug, Parser)]
#[command(version, args_conflicts_with_subcommands = true)]
struct CommandLine {
    #[command(subcommand)]
    command: Option<Command>,
    #[command(flatten)]
    server: ServerArguments,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run the broker (the default).
    Server(ServerArguments),
    /// Print segments, indexes and snapshots of a data directory, as Kafka's kafka-dump-log.sh.
    #[command(args_override_self = true)]
    DumpLog(dump_log::Options),
    /// Measure throughput and latency of any broker that speaks Kafka's protocol.
    #[command(subcommand)]
    Bench(Box<bench::Command>),
}

#[derive(Args, Debug)]
struct ServerArguments {
    /// Configuration file with Kafka's keys; docs/configuration.md lists them.
    #[arg(value_name = "server.properties")]
    properties: Option<PathBuf>,
    /// Set one key; wins over the file. Repeat for more.
    #[arg(long = "override", value_name = "key=value", value_parser = parse_override)]
    overrides: Vec<(String, String)>,
    /// Write one line of JSON with the bound addresses here once clients can connect.
    #[arg(long, value_name = "PATH")]
    ready_file: Option<PathBuf>,
}

fn main() -> ExitCode {
    let arguments: Vec<OsString> = std::env::args_os().collect();
    // `ottla kafka-topics ...`, or a link to it of that name.
    let program = arguments.iter().take(2).position(|name| Tool::named(name).is_some());
    if let Some(place) = program
        && let Some(tool) = Tool::named(&arguments[place])
        && tool != Tool::ServerStart
    {
        return tools::run(tool, &arguments[place + 1..]);
    }
    let command_line = match CommandLine::try_parse() {
        Ok(command_line) => command_line,
        Err(error) => return refuse(&error),
    };
    let arguments = match command_line.command {
        Some(Command::Server(arguments)) => arguments,
        Some(Command::DumpLog(options)) => return dump_log(&options),
        Some(Command::Bench(command)) => return bench(&command),
        None => command_line.server,
    };
    match load(arguments.properties.as_deref(), arguments.overrides) {
        Ok((config, notices)) => start(config, &notices, arguments.ready_file.as_deref()),
        Err(message) => {
            eprintln!("ottla: {message}");
            ExitCode::from(EXIT_BAD_CONFIGURATION)
        }
    }
}

/// Prints what is wrong with the command line, or the help that was asked for.
fn refuse(error: &clap::Error) -> ExitCode {
    let is_tool = std::env::args_os().nth(1).is_some_and(|command| command == "dump-log");
    // A closed output leaves nobody to tell.
    let _ = error.print();
    match error.exit_code() {
        0 => ExitCode::SUCCESS,
        _ if is_tool => ExitCode::from(EXIT_TOOL_FAILED),
        _ => ExitCode::from(EXIT_BAD_CONFIGURATION),
    }
}

fn dump_log(options: &dump_log::Options) -> ExitCode {
    let directory = std::env::current_dir().unwrap_or_default();
    let mut out = BufWriter::with_capacity(OUTPUT_BUFFER_BYTES, io::stdout().lock());
    let dumped = dump_log::run(options, &directory, &OsDisk, &mut out, &mut io::stderr());
    match dumped {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            let is_closed = matches!(&error, DumpError::Output(cause) if cause.kind() == io::ErrorKind::BrokenPipe);
            if !is_closed {
                eprintln!("ottla: {error}");
            }
            ExitCode::from(EXIT_TOOL_FAILED)
        }
    }
}

fn bench(command: &bench::Command) -> ExitCode {
    match bench::run(command, &mut io::stdout().lock()) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::from(EXIT_TOOL_FAILED),
        Err(error) => {
            eprintln!("ottla: {error}");
            ExitCode::from(EXIT_TOOL_FAILED)
        }
    }
}

fn load(
    properties: Option<&Path>,
    overrides: Vec<(String, String)>,
) -> Result<(ServerConfig, Vec<Notice>), String> {
    let text = match properties {
        Some(path) => read(path).map_err(|error| format!("{}: {error}", path.display()))?,
        None => String::new(),
    };
    ServerConfig::load(&text, overrides).map_err(|error| match properties {
        Some(path) => format!("{}: {error}", path.display()),
        None => error.to_string(),
    })
}

#[expect(
    clippy::disallowed_methods,
    reason = "the configuration is read before there is an environment"
)]
fn read(path: &Path) -> io::Result<String> {
    std::fs::read_to_string(path)
}

fn parse_override(argument: &str) -> Result<(String, String), String> {
    let (key, value) = argument.split_once('=').ok_or("it must be key=value")?;
    Ok((key.trim().to_owned(), value.trim().to_owned()))
}

fn start(config: ServerConfig, notices: &[Notice], ready_file: Option<&Path>) -> ExitCode {
    telemetry::start_logging();
    for notice in notices {
        match notice {
            Notice::NotSupported(_) => info!("{notice}"),
            Notice::Unknown(_) => warn!("{notice}"),
        }
    }
    raise_open_file_limit();
    let workers = std::thread::available_parallelism().map_or(WORKERS_MIN, NonZero::get);
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(workers.max(WORKERS_MIN))
        .enable_all()
        .build();
    let outcome = match runtime {
        Ok(runtime) => runtime.block_on(run(config, ready_file)),
        Err(error) => Err(error.into()),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            error!("{error}");
            ExitCode::FAILURE
        }
    }
}

/// Serves until SIGTERM or SIGINT.
async fn run(config: ServerConfig, ready_file: Option<&Path>) -> Result<(), Box<dyn Error>> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let node_id = config.node_id;
    let broker = Broker::builder().config(config).start().await?;
    info!("serving on {}", broker.bootstrap_servers());
    if let Some(path) = ready_file {
        write_ready_file(&OsDisk, path, &broker.ready_line())?;
    }
    // Kafka's words: container tools wait for them.
    info!("[KafkaRaftServer nodeId={node_id}] Kafka Server started");
    tokio::select! {
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
        () = broker.offline() => {
            return Err("the log directory failed, nothing more can be acknowledged; \
                        see the errors above, mend the disk and start again"
                .into());
        }
    }
    Ok(broker.shutdown().await?)
}
