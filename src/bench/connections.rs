//! `ottla bench connections`: what many clients cost that do little.
//!
//! A connection has one request under way; those that are due meanwhile wait, and their latency counts from when they
//! were due.

use std::time::Duration;

use bytes::Bytes;
use clap::{Args, ValueEnum};
use serde_json::json;
use tokio::task::JoinSet;
use tokio::time::Instant;

use super::Target;
use super::consume::{FetchSize, Reader};
use super::pace::{Dues, Plan};
use super::pipeline::{Frame, exchange};
use super::produce::{duration, rate};
use super::report::{Meter, Report, rounded};
use super::topic::{Topic, described};
use crate::client::{ClientError, Connection, bootstrap, error_name, framed};
use crate::wire::Request;
use crate::wire::messages::api_versions::ApiVersionsRequest;
use crate::wire::messages::metadata::MetadataRequest;

/// Connections that are opened at the same time, so that the broker's queue of them does not overflow
/// (`socket.listen.backlog.size` is 50 unless it is set).
const OPENING_MAX: usize = 50;
const PARKED_SIZE: FetchSize = FetchSize { fetch_max_bytes: 1 << 20, partition_max_bytes: 1 << 20 };

/// How many connections, and what they do.
#[derive(Args, Clone, Debug)]
pub struct Options {
    #[command(flatten)]
    pub(super) target: Target,
    /// Connections that send requests.
    #[arg(long, default_value_t = 100, value_parser = clap::value_parser!(u32).range(..=1_000_000))]
    count: u32,
    /// Requests a second of each connection, or with --reconnect connections; 0 is as fast as it goes.
    #[arg(long, value_name = "requests/s", default_value_t = 1.0)]
    rate: f64,
    /// What is asked.
    #[arg(long, default_value = "api-versions")]
    request: Question,
    /// Instead of keeping its connection each of them connects, asks for ApiVersions and closes, again and again.
    #[arg(long, conflicts_with = "request")]
    reconnect: bool,
    /// Other connections, which wait in fetches at the end of the topic; their latency is reported apart.
    #[arg(long, default_value_t = 0, value_parser = clap::value_parser!(u32).range(..=1_000_000))]
    parked: u32,
    /// How long such a fetch waits for records.
    #[arg(long, value_name = "ms", default_value_t = 500, value_parser = clap::value_parser!(i32).range(0..))]
    wait_ms: i32,
    /// Ask for so long.
    #[arg(long, value_name = "s", default_value_t = 10.0)]
    seconds: f64,
}

/// A small request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Question {
    /// What the broker speaks.
    ApiVersions,
    /// Where the topic is.
    Metadata,
}

impl Question {
    fn name(self) -> &'static str {
        match self {
            Self::ApiVersions => "ApiVersions",
            Self::Metadata => "Metadata",
        }
    }
}

/// Asks the same thing as often as it is due.
async fn ask<R: Request>(
    connection: Connection,
    request: &R,
    dues: Dues,
    meter: &Meter,
    error: impl Fn(&R::Response) -> i16,
) -> Result<(), ClientError> {
    let peer = connection.peer().clone();
    let version = peer.version::<R>()?;
    let frame: Frame = framed(request, version)?.into();
    exchange(
        connection,
        dues,
        1,
        |_| frame.clone(),
        |due, answer: &Bytes| {
            match error(&peer.read::<R>(answer, version)?) {
                0 => meter.done(due, 0, answer.len() as u64),
                code => meter.failed(&error_name(code)),
            }
            Ok(())
        },
    )
    .await
}

/// Connects anew as often as it is due. A refused connection does not end it.
async fn reconnect(address: String, timeout: Duration, mut dues: Dues, meter: Meter) {
    while let Some(due) = dues.next().await {
        match Connection::open(&address, timeout).await {
            Ok(_) => meter.done(due, 0, 0),
            Err(error) => meter.failed(error.name()),
        }
    }
}

/// Waits in one fetch after the other.
async fn park(mut reader: Reader, meter: &Meter, until: Instant) -> Result<(), ClientError> {
    loop {
        let asked = Instant::now();
        let mut records = 0;
        let fetch =
            reader.fetch(|header, _| records += u64::from(header.record_count.unsigned_abs()));
        match tokio::time::timeout_at(until, fetch).await {
            // The one that is under way at the end has no answer to count.
            Err(_) => return Ok(()),
            Ok(bytes) => meter.done(asked, records, bytes?),
        }
    }
}

/// Opens so many connections, some at a time.
async fn open(
    address: &str,
    timeout: Duration,
    count: u32,
) -> Result<Vec<Connection>, ClientError> {
    let mut opening = JoinSet::new();
    let mut open = Vec::with_capacity(count as usize);
    for _ in 0..count {
        if opening.len() >= OPENING_MAX {
            open.extend(opened(&mut opening).await?);
        }
        let address = address.to_owned();
        opening.spawn(async move { Connection::open(&address, timeout).await });
    }
    while let Some(connection) = opened(&mut opening).await? {
        open.push(connection);
    }
    Ok(open)
}

async fn opened(
    opening: &mut JoinSet<Result<Connection, ClientError>>,
) -> Result<Option<Connection>, ClientError> {
    match opening.join_next().await {
        None => Ok(None),
        Some(connection) => connection.map_err(std::io::Error::other)?.map(Some),
    }
}

/// Readers that each wait at the end of all partitions of one broker.
async fn parked(options: &Options) -> Result<Vec<Reader>, ClientError> {
    let mut readers = Vec::new();
    if options.parked == 0 {
        return Ok(readers);
    }
    let topic = Topic::find(&options.target, true).await?;
    while readers.len() < options.parked as usize {
        readers.extend(Reader::open(&options.target, &topic, 1, PARKED_SIZE).await?);
    }
    readers.truncate(options.parked as usize);
    for reader in &mut readers {
        reader.seek_to_end(options.wait_ms);
    }
    Ok(readers)
}

/// Runs the command.
pub(super) async fn measure(options: &Options) -> Result<Report, ClientError> {
    let rate_per_s = rate(options.rate)? * f64::from(options.count);
    let seconds = duration(options.seconds)?;
    let target = &options.target;
    let timeout = target.request_timeout();
    if options.request == Question::Metadata {
        Topic::find(target, true).await?;
    }
    // A number: looking a name up for each of them would cost more than the connection.
    let address =
        bootstrap(&target.bootstrap_server, target.request_timeout()).await?.number()?.to_string();
    let readers = parked(options).await?;
    let count = options.count;
    let started = Instant::now();
    let connections =
        if options.reconnect { Vec::new() } else { open(&address, timeout, count).await? };
    let connect_s = started.elapsed().as_secs_f64();

    let (meter, waits, mut work) = (Meter::new(), Meter::new(), JoinSet::new());
    let telling = meter.tell("connections");
    let plan = Plan { rate_per_s, requests_max: None, duration: Some(seconds) };
    let until = Instant::now() + seconds;
    let mut all_dues = plan.start(count as usize)?;
    for reader in readers {
        let waits = waits.clone();
        work.spawn(async move { waits.ended(park(reader, &waits, until).await) });
    }
    if options.reconnect {
        for dues in all_dues.drain(..) {
            work.spawn(reconnect(address.clone(), timeout, dues, meter.clone()));
        }
    }
    let (request, topic) = (options.request, target.topic.clone());
    for (connection, dues) in connections.into_iter().zip(all_dues) {
        let (meter, topic) = (meter.clone(), topic.clone());
        work.spawn(async move {
            meter.ended(question(request, &topic, connection, dues, &meter).await);
        });
    }
    meter.all_done(work).await;
    drop(telling);
    let settings = json!({
        "bootstrap_server": target.bootstrap_server, "topic": target.topic, "count": count,
        "rate": options.rate, "request": request.name(), "reconnect": options.reconnect,
        "parked": options.parked, "wait_ms": options.wait_ms, "seconds": options.seconds,
        "threads": target.threads,
    });
    let mut report = Report::new("connections", &settings).meter("", &meter);
    if !options.reconnect {
        report = report.figure("connect_s", rounded(connect_s));
    }
    Ok(if options.parked > 0 { report.meter("parked", &waits) } else { report })
}

async fn question(
    question: Question,
    topic: &str,
    connection: Connection,
    dues: Dues,
    meter: &Meter,
) -> Result<(), ClientError> {
    match question {
        Question::ApiVersions => {
            let request = ApiVersionsRequest {
                client_software_name: "ottla-bench".into(),
                client_software_version: env!("CARGO_PKG_VERSION").into(),
            };
            ask(connection, &request, dues, meter, |answer| answer.error_code).await
        }
        Question::Metadata => {
            let error = |answer: &<MetadataRequest as Request>::Response| {
                answer.topics.first().map_or(0, |topic| topic.error_code)
            };
            ask(connection, &described(topic), dues, meter, error).await
        }
    }
}
