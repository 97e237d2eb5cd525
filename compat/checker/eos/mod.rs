//! Exactly once: workers of one group read a topic, write what they read to another one, and commit what they wrote and
//! how far they read in one transaction, while they and the broker are killed, stopped and replaced.
//!
//! # What may be concluded
//!
//! - **The input.** One idempotent producer writes it; in the end it is read back. Whatever stands there must come out
//!   exactly once, read committed; what was acked must stand there.
//! - **A transaction** is one process's `begun` line, and what it wrote names it, with its place and how many there are:
//!   torn ones are seen in the output alone. A commit that was not asked for, or after whose failure the abort was
//!   confirmed, did not happen: nothing of it may be read committed. After a confirmed commit all of it must be. Otherwise
//!   the outcome is unknown, and all or nothing of it is there.
//! - **A torn pair** of records and offsets is seen as a duplicate (records without offsets) or a loss (offsets without
//!   records) of what it read.
//! - **Order.** The records of an input partition have one reader at a time, which begins where the last transaction
//!   ended: in each output partition they stand in the input's order. For the same reason no two transactions can each
//!   have read behind the other one (G1c). The order of *writes* of different transactions is nobody's promise (G0).
//! - **Owners of a transactional id.** `ready` says when an id was asked for and given. A producer whose id was asked for
//!   again after it had it, and given, before it asked for its commit, must not commit.
//! - **Read committed, all the time.** A record that is read before its transaction's commit is asked for is as wrong as
//!   one of an aborted one. What was read once stays, at its offset.
//! - **Committed offsets** rise as those of all groups (`../floors.rs`), and end where the input ends.
//! - **The last stable offset** and the high watermark never go back, and are equal when all transactions have ended.
//!
//! What a client of the first transaction protocol may suffer at any broker - an EndTxn that is late hits the next
//! transaction of the same producer - is not told apart: the verdict names the worker, and a worker's name its client.

mod conductor;
mod line;
mod plan;
mod processes;
mod reading;
mod verdict;
mod watermarks;
mod worker;

use std::path::PathBuf;

use clap::{Args, Subcommand, ValueEnum};

pub(crate) use line::Line;

use crate::{Failure, Protocol, Trial};
use worker::WorkerOptions;

/// Exactly-once processing
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Run workers against a broker and judge what they did: status 0 when clean, 1 with faults, 2 when it could not run
    Run(RunOptions),
    /// One worker on librdkafka; leaves when its standard input closes
    Worker(WorkerOptions),
    /// Judge the journals in a directory
    Judge { directory: PathBuf },
}

/// How a run is made.
#[derive(Debug, Args)]
pub(crate) struct RunOptions {
    /// The broker, as HOST:PORT
    #[arg(long)]
    bootstrap: String,
    /// How long records are sent; faults happen in the first three quarters
    #[arg(long, default_value_t = 60)]
    seconds: u64,
    /// Also ask for faults of the broker, one at a time: with `broker kill`, after which it must be started again, and
    /// `broker pause MS`, as lines of standard output; each is answered with the line `done` when the broker serves again
    #[arg(long)]
    broker_faults: bool,
    /// Kill the broker only while no transaction is ending. Apache Kafka 4.3 needs that: when it starts after a SIGKILL,
    /// all partitions are without a leader for a while, and it takes such for deleted ones: the markers of transactions
    /// that were ending are not written, and what had been committed is lost, or what was aborted is not
    #[arg(long)]
    spare_ends: bool,
    /// Records in a second
    #[arg(long, default_value_t = 1_000)]
    rate: u64,
    #[arg(long, default_value_t = 10)]
    partitions: i32,
    #[arg(long, default_value_t = 4)]
    workers: usize,
    /// Whose clients the workers have, in turn
    #[arg(long, value_enum, value_delimiter = ',', default_value = "rdkafka")]
    client: Vec<Client>,
    #[arg(long, value_enum, default_value_t = Protocol::Classic)]
    protocol: Protocol,
    /// As `checker run` has it
    #[arg(long, default_value_t = 3_000)]
    session_ms: u32,
    #[arg(long, default_value_t = 8_000)]
    transaction_timeout_ms: u32,
    #[command(flatten)]
    trial: Trial,
}

/// Whose clients a worker has.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Client {
    /// librdkafka, with the first transaction protocol
    Rdkafka,
    /// Apache Kafka's own, with the second one
    #[value(name = "java-4.3")]
    Java43,
    /// Apache Kafka's own, with the first one
    #[value(name = "java-3.9")]
    Java39,
}

/// Runs a command; whether what it judged is clean.
pub(crate) fn run(command: &Command) -> Result<bool, Failure> {
    match command {
        Command::Run(options) => conductor::run(options),
        Command::Worker(options) => worker::run(options).map(|()| true),
        Command::Judge { directory } => verdict::judge_directory(directory),
    }
}
