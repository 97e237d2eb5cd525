//! A client of any broker that speaks Kafka's protocol: what the tools and `ottla bench` stand on.
//!
//! Answers are read at the highest version that both sides know, none of them makes this panic, and memory follows the
//! bytes that came, not the length that was claimed. It stands outside of the simulated world, on the runtime's clock.

mod cluster;
mod connection;
mod consumer;
mod exception;
mod member;
mod offsets;

use std::io;
use std::time::Duration;

pub(crate) use cluster::{
    Cluster, READ_COMMITTED, READ_UNCOMMITTED, TopicPartition, is_passing, refused,
};
#[cfg(test)]
pub(crate) use connection::{Answers, Peer};
pub(crate) use connection::{Connection, error_name, framed};
pub(crate) use consumer::{Consumer, ConsumerConfig, Reset, Subscription, Taken};
pub(crate) use exception::{Exception, is_retriable};
pub(crate) use member::{ASSIGNOR, Membership, PROTOCOL_TYPE, assignment, subscription};
pub(crate) use offsets::{Committed, Committer, by_topic, commit, committed};

/// Before a question that was asked too early is asked again.
pub(crate) const RETRY_BACKOFF: Duration = Duration::from_millis(20);
/// Asks ListOffsets for the first offset.
pub(crate) const BEGINNING: i64 = -2;
/// Asks ListOffsets for the offset after the last record.
pub(crate) const END: i64 = -1;

/// Why a broker gave no answer that can be used.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// The options do not fit together.
    #[error("{0}")]
    Argument(String),
    /// No connection.
    #[error(
        "cannot connect to {address}: {cause}; is the broker running, and is {address} what it advertises?"
    )]
    Connect {
        /// The broker.
        address: String,
        /// Why.
        cause: io::Error,
    },
    /// A connection ended.
    #[error("the connection to {address} is lost: {cause}; the log of the broker may say why")]
    Lost {
        /// The broker.
        address: String,
        /// Why.
        cause: io::Error,
    },
    /// No answer in time.
    #[error(
        "no answer from {address} within {timeout:?}; see its log, or raise the time (request.timeout.ms)"
    )]
    Silent {
        /// The broker.
        address: String,
        /// How long it was waited for.
        timeout: Duration,
    },
    /// An answer cannot be read, or no version is known to both sides.
    #[error("{address}: {what}")]
    Protocol {
        /// The broker.
        address: String,
        /// What is wrong.
        what: String,
    },
    /// The broker says no.
    #[error("{what}: {error}; {advice}")]
    Refused {
        /// What was asked for.
        what: String,
        /// Kafka's name of the error.
        error: String,
        /// What may help.
        advice: &'static str,
    },
    /// The runtime does not start, or a file or the output cannot be read or written.
    #[error("cannot run: {0}")]
    System(#[from] io::Error),
}

impl ClientError {
    /// Whether a broker was not there, so that another, or the same one later, may answer.
    pub(crate) fn is_passing(&self) -> bool {
        matches!(self, Self::Connect { .. } | Self::Lost { .. } | Self::Silent { .. })
    }

    /// The name under which it is counted: Kafka's, where Kafka has one.
    pub(crate) fn name(&self) -> &str {
        match self {
            Self::Connect { .. } | Self::Lost { .. } => "NETWORK_EXCEPTION",
            Self::Silent { .. } => "REQUEST_TIMED_OUT",
            Self::Refused { error, .. } => error,
            Self::Protocol { .. } | Self::Argument(_) | Self::System(_) => "UNKNOWN_SERVER_ERROR",
        }
    }
}

/// Host and port in one, as a socket takes them.
pub(crate) fn address(host: &str, port: i32) -> String {
    if host.contains(':') { format!("[{host}]:{port}") } else { format!("{host}:{port}") }
}

/// A connection to the first of the brokers that answers.
pub(crate) async fn bootstrap(servers: &str, timeout: Duration) -> Result<Connection, ClientError> {
    let mut last = ClientError::Argument("--bootstrap-server names no broker".into());
    for address in servers.split(',').map(str::trim).filter(|one| !one.is_empty()) {
        // Kafka's clients pass over a protocol in front.
        let address = address.split_once("://").map_or(address, |(_, address)| address);
        match Connection::open(address, timeout).await {
            Ok(connection) => return Ok(connection),
            Err(error) => last = error,
        }
    }
    Err(last)
}
