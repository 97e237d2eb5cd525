//! The two clients, and what they tell of what they did.

use std::path::Path;

use super::java::Jvm;
use super::librdkafka;
use crate::reference;

/// A client as its makers ship it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Client {
    Java,
    Librdkafka,
}

impl Client {
    /// Those that this machine can run.
    pub(super) fn available() -> impl Iterator<Item = Self> {
        let missing = reference::unavailable();
        if let Some(reason) = &missing {
            println!("The Java client is not measured: {reason}");
        }
        let java = missing.is_none().then_some(Self::Java);
        java.into_iter().chain([Self::Librdkafka])
    }

    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Java => "Java",
            Self::Librdkafka => "librdkafka",
        }
    }

    /// Ready for one task after another.
    pub(super) fn start(self) -> Running {
        match self {
            Self::Java => Running::Java(Jvm::start()),
            Self::Librdkafka => Running::Librdkafka,
        }
    }
}

/// What a producer is to send, and where.
#[derive(Clone, Copy, Debug)]
pub(super) struct Producing<'a> {
    pub(super) address: &'a str,
    pub(super) topic: &'a str,
    pub(super) compression: &'a str,
    pub(super) records: u64,
    /// A value a line, taken at random.
    pub(super) values: &'a Path,
}

/// What a consumer is to read.
#[derive(Clone, Copy, Debug)]
pub(super) struct Consuming<'a> {
    pub(super) address: &'a str,
    pub(super) topic: &'a str,
    pub(super) records: u64,
    /// `fetch.queue.backoff.ms` of librdkafka; the Java client has nothing like it.
    pub(super) backoff_ms: &'a str,
}

/// What a producer tells.
#[derive(Clone, Copy, Debug)]
pub(super) struct Produced {
    pub(super) records_per_s: f64,
    /// From the call that sends a record to its acknowledgement; most of it is time in the client's buffer.
    pub(super) record_mean_ms: f64,
    pub(super) record_p99_ms: f64,
    /// From a request to its answer. None if the client did not run long enough to tell.
    pub(super) request_mean_ms: Option<f64>,
}

/// What a consumer tells.
#[derive(Clone, Copy, Debug)]
pub(super) struct Consumed {
    /// Of values, without the time it took to be assigned its partitions.
    pub(super) mb_per_s: f64,
}

/// A client that runs: a JVM that has compiled what it needs when it is asked again, or a process for each task.
pub(super) enum Running {
    Java(Jvm),
    Librdkafka,
}

impl Running {
    pub(super) fn produce(&mut self, task: &Producing<'_>) -> Produced {
        match self {
            Self::Java(jvm) => jvm.produce(task),
            Self::Librdkafka => librdkafka::produce(task),
        }
    }

    pub(super) fn consume(&mut self, task: &Consuming<'_>) -> Consumed {
        match self {
            Self::Java(jvm) => jvm.consume(task),
            Self::Librdkafka => librdkafka::consume(task),
        }
    }
}
