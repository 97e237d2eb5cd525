//! `ottla bench`: a load generator and a meter of latency for any broker that speaks Kafka's protocol.
//!
//! What is sent is encoded once and sent again and again, so that the generator costs little more than the copy into
//! the socket. With a rate the loop is open: a request is due at a time that does not depend on the broker, and its
//! latency counts from there. Answers are read at the highest version that both sides know, none of them makes this
//! panic, and memory follows the bytes that came, not the length that was claimed. Nothing of the broker is used here but its
//! protocol: this stands outside of the simulated world, on the runtime's clock.

mod connections;
mod consume;
mod e2e;
mod groups;
mod pace;
mod pipeline;
mod produce;
mod report;
#[cfg(test)]
mod tests;
mod topic;

use std::io::Write;
use std::time::Duration;

use clap::{Args, Subcommand};

use crate::client::ClientError;
use crate::env::raise_open_file_limit;
use report::Report;

/// What to measure.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Send batches to a topic: throughput and the time until they are acknowledged.
    Produce(produce::Options),
    /// Read a topic from its beginning to its end: throughput and the time of a fetch.
    Consume(consume::Options),
    /// Send records at a steady rate and read them: the time from one end to the other.
    E2e(e2e::Options),
    /// Open many connections that send small requests, connect again and again, or wait in fetches.
    Connections(connections::Options),
    /// Fill many consumer groups: the time until all are stable, and that of their heartbeats.
    Groups(groups::Options),
}

/// Whom to talk to, and how the result is printed.
#[derive(Args, Clone, Debug)]
pub struct Target {
    /// Brokers to ask first.
    #[arg(long, value_name = "host:port,...", default_value = "localhost:9092")]
    bootstrap_server: String,
    /// The topic; it is created if it is not there and something is sent.
    #[arg(long, default_value = "ottla-bench")]
    topic: String,
    /// Partitions of the topic if it is created; one that is there keeps its own.
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(i32).range(1..))]
    partitions: i32,
    /// Replicas of the topic if it is created.
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(i16).range(1..))]
    replication_factor: i16,
    /// Give a connection up when an answer takes longer.
    #[arg(long, value_name = "ms", default_value_t = 30_000, value_parser = clap::value_parser!(i32).range(1..))]
    request_timeout_ms: i32,
    /// Threads of the generator.
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u16).range(1..=256))]
    threads: u16,
    /// Print one JSON object with the settings and every figure instead of a table.
    #[arg(long)]
    json: bool,
}

impl Target {
    fn request_timeout(&self) -> Duration {
        Duration::from_millis(u64::from(self.request_timeout_ms.unsigned_abs()))
    }
}

/// Measures, and prints the result to `out`; false if anything failed on the way.
pub fn run(command: &Command, out: &mut dyn Write) -> Result<bool, ClientError> {
    let target = command.target();
    let runtime = match target.threads {
        1 => tokio::runtime::Builder::new_current_thread().enable_all().build()?,
        threads => tokio::runtime::Builder::new_multi_thread()
            .worker_threads(threads.into())
            .enable_all()
            .build()?,
    };
    raise_open_file_limit();
    let report = runtime.block_on(command.measure())?;
    // A name that is looked up or a connection that hangs must not hold the process.
    runtime.shutdown_background();
    report.print(target.json, out)?;
    Ok(!report.failed())
}

impl Command {
    fn target(&self) -> &Target {
        match self {
            Self::Produce(options) => &options.target,
            Self::Consume(options) => &options.target,
            Self::E2e(options) => &options.target,
            Self::Connections(options) => &options.target,
            Self::Groups(options) => &options.target,
        }
    }

    async fn measure(&self) -> Result<Report, ClientError> {
        match self {
            Self::Produce(options) => produce::measure(options).await,
            Self::Consume(options) => consume::measure(options).await,
            Self::E2e(options) => e2e::measure(options).await,
            Self::Connections(options) => connections::measure(options).await,
            Self::Groups(options) => groups::measure(options).await,
        }
    }
}
