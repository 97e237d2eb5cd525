//! The safety checker of consumer groups, and of exactly-once processing (`eos`).
//!
//! `checker run` sends records with unique values to a new topic while the members of one group read it and are
//! started, told to leave, killed and restarted by a seeded plan. Every process writes what it saw to a journal of its
//! own; at the end the journals are judged together. `checker judge DIRECTORY` judges journals again. It asserts only
//! what Apache Kafka also does, and runs against any broker.
//!
//! # What may be concluded from the journals
//!
//! - **A record's outcome.** The producer is idempotent, never retries above the client and journals one outcome for
//!   every record: acked (where), refused (certainly not in the log) or unknown. A value without an outcome was never
//!   sent. Sequences rise by partition, and only this producer writes to the topic, so the offsets of a partition have
//!   no gaps.
//! - **Order within a process** is the order of the lines of its journal. A line is one `write` to the file: a killed
//!   process loses nothing but a torn last line, which is not read. A delivery is written before its offset can be
//!   committed, so a committed record that is in no journal was never delivered.
//! - **Order between processes** comes from CLOCK_MONOTONIC, which is one clock for all processes of a machine (Java's
//!   `System.nanoTime` reads it too). An event that causes another in a second process has the smaller time, if the first
//!   process reads the clock before it acts and the second one after it has learned. So every fact carries the time that
//!   makes it weaker: a commit counts as there from when its answer was *read*, a question asks for what was there when
//!   it was *begun*, and equal times conclude nothing.
//! - **A committed offset never goes back**: a member commits in order, one request at a time, what it has read since
//!   its assignment, which began at the committed offset; the commits of a former owner are refused by generation. So
//!   what is read back must be at least what a commit confirmed, or a reading found, before the question began; and a
//!   commit that is accepted although it was sent lower than that breaks the same rule. Commits whose answer was lost
//!   are no evidence, and can only raise the offset: they die with the connection they were sent on. That does not hold
//!   where the client itself repeats commits out of order, as librdkafka may do with automatic commits when its
//!   connection breaks: a run whose broker is killed commits manually.
//! - **Where an owner may begin.** A member writes its assignment before its client asks for the committed offsets. So
//!   whatever a commit confirmed before that time lies below its first record; what is at or behind the last confirmed
//!   commit may be delivered again, and nothing else may. A member reads the committed offsets back before its first
//!   delivery: no other member can move them any more, so its first record lies exactly there.
//! - **An end.** The run ends when the committed offset of every partition is behind its last acked record, or when
//!   nothing has moved for a while; only then something that was never delivered is missing.
#![expect(
    clippy::disallowed_methods,
    clippy::print_stdout,
    reason = "a checker stands outside the simulated world and talks to a person"
)]

mod committed;
mod conductor;
mod eos;
mod floors;
mod group;
mod journal;
mod member;
mod orders;
mod plan;
#[expect(dead_code, reason = "the others use the rest")]
#[path = "../requests.rs"]
mod requests;
mod verdict;
mod workload;

use std::error::Error;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, Parser, ValueEnum};

/// Why the checker could not do its work; not a fault of the broker.
type Failure = Box<dyn Error>;

#[derive(Debug, Parser)]
#[command(name = "checker", about = "The safety checker of consumer groups")]
enum Command {
    /// Run a group against a broker and judge what it saw: status 0 when clean, 1 with faults, 2 when it could not run
    Run(RunOptions),
    /// One member of the group; leaves when its standard input closes
    Member(MemberOptions),
    /// Judge the journals in a directory
    Judge { directory: PathBuf },
    /// Exactly-once processing instead of a group
    #[command(subcommand)]
    Eos(eos::Command),
}

/// How a run is made.
#[derive(Debug, Args)]
struct RunOptions {
    /// The broker, as HOST:PORT
    #[arg(long)]
    bootstrap: String,
    /// How many records to send
    #[arg(long, default_value_t = 100_000)]
    records: u64,
    /// Send until standard input closes instead, and print the progress; there are no events then, but lines of the
    /// input are orders: `start NUMBER PROTOCOL` and `leave NUMBER`
    #[arg(long)]
    until_stdin_closes: bool,
    /// Of the topic, which must be new, and of the group; a name that nobody has without it
    #[arg(long)]
    name: Option<String>,
    /// At most so many records in a second
    #[arg(long)]
    rate: Option<u64>,
    #[arg(long, default_value_t = 12)]
    partitions: i32,
    #[arg(long, default_value_t = 3)]
    members: usize,
    #[arg(long, value_enum, default_value_t = Client::Rdkafka)]
    client: Client,
    #[arg(long, value_enum, default_value_t = Protocol::Classic)]
    protocol: Protocol,
    /// How often a member leaves, is killed, restarted or started
    #[arg(long, default_value_t = 8)]
    events: usize,
    #[arg(long, value_enum, default_value_t = Assignor::Range)]
    assignor: Assignor,
    #[arg(long, value_enum, default_value_t = Commit::Manual)]
    commit: Commit,
    /// Session timeout of the members, in milliseconds; the broker must allow it, or have it itself with the consumer
    /// protocol
    #[arg(long, default_value_t = 6_000)]
    session_ms: u32,
    #[command(flatten)]
    trial: Trial,
}

/// What every run can be told.
#[derive(Debug, Args)]
struct Trial {
    /// Give up when nothing has moved for so many seconds
    #[arg(long, default_value_t = 60)]
    stall_s: u64,
    /// Of the plan of what happens; a new one without it
    #[arg(long)]
    seed: Option<u64>,
    /// Where the journals go and stay; without it, they stay in a temporary directory when there are faults
    #[arg(long)]
    directory: Option<PathBuf>,
}

/// What a member needs to know; the members of all clients take the same.
#[derive(Clone, Debug, Args)]
struct MemberOptions {
    #[arg(long)]
    bootstrap: String,
    #[arg(long)]
    topic: String,
    #[arg(long)]
    group: String,
    #[arg(long)]
    journal: PathBuf,
    #[arg(long, value_enum)]
    protocol: Protocol,
    #[arg(long, value_enum)]
    assignor: Assignor,
    #[arg(long, value_enum)]
    commit: Commit,
    #[arg(long)]
    session_ms: u32,
}

/// Whose consumers the members are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Client {
    /// librdkafka
    Rdkafka,
    /// Apache Kafka's own
    Java,
    /// librdkafka and Apache Kafka's own in turn
    Mixed,
    FranzGo,
    Sarama,
    Kafkajs,
    ConfluentKafka,
    KafkaPython,
}

/// How the members are kept together.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Protocol {
    /// One of them assigns
    Classic,
    /// The broker assigns (KIP-848)
    Consumer,
}

/// Kafka's names of the assignors; a member whose client lacks one ends with an error. Of the broker's two, range is
/// that of its name, the uniform one all others.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Assignor {
    Range,
    #[value(name = "roundrobin")]
    RoundRobin,
    Sticky,
    CooperativeSticky,
}

/// Who commits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Commit {
    /// The member, about ten times in a second, waiting for the answer
    Manual,
    /// The client
    Auto,
}

/// The name of a choice on the command line.
fn name_of(choice: &impl ValueEnum) -> String {
    let value = choice.to_possible_value();
    value.map(|value| value.get_name().to_owned()).unwrap_or_default()
}

fn main() -> ExitCode {
    let result = match Command::parse() {
        Command::Run(options) => conductor::run(&options),
        Command::Member(options) => member::run(&options).map(|()| true),
        Command::Judge { directory } => verdict::judge_directory(&directory),
        Command::Eos(command) => eos::run(&command),
    };
    match result {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::from(1),
        Err(failure) => {
            eprintln!("checker: {failure}");
            ExitCode::from(2)
        }
    }
}
