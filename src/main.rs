//! The `ottla` command.

use std::error::Error;
use std::ffi::OsString;
use std::io::{self, BufWriter};
use std::num::NonZero;
use std::path::{Path, PathBuf};
use std::process::{ExitCode, Stdio};

use clap::{Args, Parser, Subcommand};
use ottla::Broker;
use ottla::bench;
use ottla::broker::write_ready_file;
use ottla::config::{Notice, ServerConfig};
use ottla::container;
use ottla::dump_log::{self, DumpError};
use ottla::env::{OsDisk, raise_open_file_limit};
use ottla::seed::Seed;
use ottla::telemetry;
use ottla::tools::{self, HealthOptions, Tool};
use tokio::signal::unix::{SignalKind, signal};
use tracing::{error, info, warn};

/// Exit code for a configuration that cannot be used, as for a wrong command line.
const EXIT_BAD_CONFIGURATION: u8 = 2;
/// What Kafka's script says without arguments.
const START_USAGE: &str =
    "USAGE: kafka-server-start [-daemon] server.properties [--override property=value]*";
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
#[command(
    version,
    args_conflicts_with_subcommands = true,
    after_help = format!("Kafka's tools are commands, too, and what a link by such a name does: {}.", Tool::names())
)]
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
    /// Ask a broker whether it serves; the exit code is 1 if it does not.
    Health(HealthOptions),
    /// Write the server.properties that a container's environment asks for.
    Configure(ConfigureArguments),
}

#[derive(Args, Debug)]
struct ConfigureArguments {
    /// The file to write.
    #[arg(value_name = "server.properties")]
    output: PathBuf,
    /// A file to lay the environment over; of several the first that is there.
    #[arg(long, value_name = "PATH")]
    mounted: Vec<PathBuf>,
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
    /// Topics and records to begin with; docs/image.md describes the file.
    #[arg(long, value_name = "ottla.yaml")]
    seed: Option<PathBuf>,
    /// Topics to begin with.
    #[arg(long, value_name = "name:partitions:replicas,...")]
    create_topics: Option<String>,
}

fn main() -> ExitCode {
    let mut line: Vec<OsString> = std::env::args_os().collect();
    // A link by the name of one of Kafka's tools, or `ottla kafka-topics ...`.
    let tool = (0..line.len().min(2)).find_map(|place| Some((place, Tool::named(&line[place])?)));
    match tool {
        Some((place, Tool::ServerStart)) => {
            if line.len() == place + 1 {
                eprintln!("{START_USAGE}");
                return ExitCode::from(EXIT_TOOL_FAILED);
            }
            if line.get(place + 1).is_some_and(|argument| argument == "-daemon") {
                line.remove(place + 1);
                return in_background(&line);
            }
            line.splice(..=place, ["ottla".into(), "server".into()]);
        }
        Some((place, tool)) => return tools::run(tool, &line[place + 1..]),
        None => {}
    }
    let command_line = match CommandLine::try_parse_from(&line) {
        Ok(command_line) => command_line,
        Err(error) => return refuse(&error),
    };
    match command_line.command {
        Some(Command::Server(arguments)) => server(arguments),
        Some(Command::DumpLog(options)) => dump_log(&options),
        Some(Command::Bench(command)) => bench(&command),
        Some(Command::Health(options)) => health(&options),
        Some(Command::Configure(arguments)) => configure(&arguments),
        None => server(command_line.server),
    }
}

/// Starts this program again without a terminal, as `kafka-server-start -daemon`.
fn in_background(line: &[OsString]) -> ExitCode {
    let started = std::process::Command::new("/proc/self/exe")
        .arg("kafka-server-start")
        .args(line.iter().skip_while(|name| Tool::named(name).is_none()).skip(1))
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn();
    done(started.map(drop))
}

/// Says why something failed.
fn done<E: std::fmt::Display>(outcome: Result<(), E>) -> ExitCode {
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("ottla: {error}");
            ExitCode::from(EXIT_TOOL_FAILED)
        }
    }
}

fn health(options: &HealthOptions) -> ExitCode {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let asked = runtime
        .map_err(|error| error.to_string())
        .and_then(|runtime| runtime.block_on(tools::health(options, &mut io::stdout().lock())));
    done(asked)
}

#[expect(
    clippy::disallowed_methods,
    reason = "a start script's step, before there is an environment"
)]
fn configure(arguments: &ConfigureArguments) -> ExitCode {
    let mounts = std::fs::read_to_string("/proc/self/mountinfo").unwrap_or_default();
    let is_mount = |path: &str| mounts.lines().any(|line| line.split(' ').nth(4) == Some(path));
    let mounted = arguments.mounted.iter().find(|path| path.exists());
    let written = mounted
        .map_or(Ok(String::new()), |path| {
            read(path).map_err(|error| format!("{}: {error}", path.display()))
        })
        .and_then(|text| {
            let variables = std::env::vars_os().filter_map(|(name, value)| {
                Some((name.into_string().ok()?, value.into_string().ok()?))
            });
            let written = container::server_properties(&text, variables, is_mount);
            written.map_err(|error| error.to_string())
        })
        .and_then(|text| {
            ServerConfig::load(&text, []).map_err(|error| error.to_string())?;
            let output = &arguments.output;
            std::fs::write(output, text).map_err(|error| format!("{}: {error}", output.display()))
        });
    done(written)
}

fn server(arguments: ServerArguments) -> ExitCode {
    let loaded = load(arguments.properties.as_deref(), arguments.overrides).and_then(|loaded| {
        let seed = seed(arguments.seed.as_deref(), arguments.create_topics.as_deref());
        Ok((loaded, seed.map_err(|error| error.to_string())?))
    });
    match loaded {
        Ok(((config, notices), seed)) => {
            start(config, seed, &notices, arguments.ready_file.as_deref())
        }
        Err(message) => {
            eprintln!("ottla: {message}");
            ExitCode::from(EXIT_BAD_CONFIGURATION)
        }
    }
}

fn seed(file: Option<&Path>, topics: Option<&str>) -> Result<Seed, ottla::seed::SeedError> {
    let topics = topics.map_or(Ok(Seed::default()), Seed::topics)?;
    Ok(match file {
        Some(path) => topics.and(Seed::read(&OsDisk, path)?),
        None => topics,
    })
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
        Err(error) => done(Err(error)),
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

fn start(
    config: ServerConfig,
    seed: Seed,
    notices: &[Notice],
    ready_file: Option<&Path>,
) -> ExitCode {
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
        Ok(runtime) => runtime.block_on(run(config, seed, ready_file)),
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
async fn run(
    config: ServerConfig,
    seed: Seed,
    ready_file: Option<&Path>,
) -> Result<(), Box<dyn Error>> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let node_id = config.node_id;
    let broker = Broker::builder().config(config).seed(seed).start().await?;
    info!("serving on {}", broker.bootstrap_servers());
    if let Some(path) = ready_file {
        write_ready_file(&OsDisk, path, &broker.ready_line())?;
    }
    // The words that container tools wait for: of Kafka's images in this order, of older ones, and of another native one.
    info!(
        "[BrokerLifecycleManager id={node_id}] The broker has been unfenced. Transitioning from \
         RECOVERY to RUNNING. (kafka.server.BrokerLifecycleManager)"
    );
    info!("[KafkaRaftServer nodeId={node_id}] Kafka Server started (kafka.server.KafkaRaftServer)");
    info!("[KafkaServer id={node_id}] started (kafka.server.KafkaServer)");
    info!("Kafka broker started");
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
