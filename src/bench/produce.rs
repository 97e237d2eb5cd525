//! `ottla bench produce`: how many bytes a broker takes, and how long an acknowledgement takes.
//!
//! One batch is built before the clock starts and sent to every partition: no record is touched while it runs.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use clap::{Args, ValueEnum};
use serde_json::{Value, json};
use tokio::task::JoinSet;

use super::Target;
use super::pace::{Dues, Plan};
use super::pipeline::{Frame, exchange, pour};
use super::report::{Meter, Report};
use super::topic::Topic;
use crate::client::{ClientError, Connection, error_name, framed};
use crate::env::{Clock, OsClock};
use crate::records::{BatchBuilder, Compression};
use crate::wire::ErrorCode;
use crate::wire::messages::api_versions::ApiVersionsRequest;
use crate::wire::messages::produce::{
    PartitionProduceData, ProduceRequest, ProduceResponse, TopicProduceData,
};

/// Records have the same bytes in every run.
const SEED: u64 = 1;
/// No batch grows beyond it, whatever number of records was asked for.
const BATCH_BYTES_MAX: usize = 1 << 29;
const DEFAULT_SECONDS: f64 = 10.0;
const LETTERS: std::ops::RangeInclusive<u8> = b'A'..=b'Z';

/// What to send and how.
#[derive(Args, Clone, Debug)]
pub struct Options {
    #[command(flatten)]
    pub(super) target: Target,
    #[command(flatten)]
    load: Load,
    /// Bytes of the value of a record: random capital letters, as Kafka's own tool sends them.
    #[arg(long, value_name = "bytes", default_value_t = 1024, value_parser = clap::value_parser!(u32).range(..=1 << 26))]
    record_bytes: u32,
    /// Fill a batch with as many records as fit, before compression.
    #[arg(long, value_name = "bytes", default_value_t = 65_536, value_parser = clap::value_parser!(u32).range(1..=1 << 28))]
    batch_bytes: u32,
    /// Records of a batch, whatever its size.
    #[arg(long, value_name = "count", conflicts_with = "batch_bytes", value_parser = clap::value_parser!(u32).range(1..=1 << 24))]
    batch_records: Option<u32>,
    /// Codec of the batches; each is compressed once.
    #[arg(long, value_name = "codec", default_value = "none", value_parser = codec)]
    compression: Compression,
    /// Whose copies an acknowledgement waits for.
    #[arg(long, default_value = "all")]
    acks: Acks,
    /// Send so many bytes of batches, rounded up to whole batches.
    #[arg(long, value_name = "bytes", group = "amount")]
    total_bytes: Option<u64>,
    /// Send so many records, rounded up to whole batches.
    #[arg(long, value_name = "count", group = "amount")]
    records: Option<u64>,
    /// Send for so long; 10 seconds if no amount is given.
    #[arg(long, value_name = "s")]
    seconds: Option<f64>,
    /// Records a second of all connections, each batch at its time however late the answers are; 0 is as fast as it goes.
    #[arg(long, value_name = "records/s", default_value_t = 0.0)]
    rate: f64,
}

/// How many connections, and how much of each.
#[derive(Args, Clone, Copy, Debug)]
pub(super) struct Load {
    /// Connections to each broker that leads partitions of the topic.
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=100_000))]
    pub(super) connections: u32,
    /// Requests of a connection that are not answered yet.
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u32).range(1..=10_000))]
    pub(super) in_flight: u32,
}

/// `acks` of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Acks {
    /// All replicas in sync.
    #[value(alias = "-1")]
    All,
    /// The leader.
    #[value(name = "1")]
    Leader,
    /// Nobody; a request is done when the socket has it.
    #[value(name = "0")]
    None,
}

fn codec(name: &str) -> Result<Compression, String> {
    let known = Compression::ALL.into_iter().find(|codec| codec.name() == name);
    known.ok_or_else(|| format!("one of {}", Compression::ALL.map(Compression::name).join(", ")))
}

impl Options {
    /// The batch, and how many records it has.
    pub(super) fn batch(&self) -> (Bytes, u32) {
        let mut random = fastrand::Rng::with_seed(SEED);
        let now_ms = OsClock.now_ms();
        let mut builder = BatchBuilder::new(0, -1).compressed(self.compression, None);
        let mut value = vec![0; self.record_bytes as usize];
        loop {
            let before_bytes = builder.size_bytes();
            value.fill_with(|| random.u8(LETTERS));
            builder.push(now_ms, None, Some(&value));
            let count = builder.record_count().unsigned_abs();
            let size_bytes = builder.size_bytes();
            let is_full = match self.batch_records {
                Some(records) => count >= records,
                // The next one may need a byte more for its number.
                None => 2 * size_bytes - before_bytes + 1 > self.batch_bytes as usize,
            };
            if is_full || size_bytes > BATCH_BYTES_MAX {
                return (builder.build().into(), count);
            }
        }
    }

    /// The plan in requests of such batches.
    pub(super) fn plan(&self, batch_bytes: usize, batch_records: u32) -> Result<Plan, ClientError> {
        let records = self.records.map(|records| records.div_ceil(batch_records.into()));
        let bytes = self.total_bytes.map(|bytes| bytes.div_ceil(batch_bytes as u64));
        let requests_max = records.or(bytes);
        let seconds = self.seconds.or(requests_max.is_none().then_some(DEFAULT_SECONDS));
        let rate_per_s = rate(self.rate)? / f64::from(batch_records);
        let duration = seconds.map(duration).transpose()?;
        Ok(Plan { rate_per_s, requests_max, duration })
    }

    fn settings(&self, topic: &Topic, batch_bytes: usize, batch_records: u32) -> Value {
        json!({
            "bootstrap_server": self.target.bootstrap_server, "topic": self.target.topic,
            "partitions": topic.partition_count(), "record_bytes": self.record_bytes,
            "batch_bytes": batch_bytes, "batch_records": batch_records,
            "compression": self.compression.name(), "connections": self.load.connections,
            "in_flight": self.load.in_flight, "acks": self.acks.code(),
            "total_bytes": self.total_bytes, "total_records": self.records,
            "seconds": self.seconds, "rate": self.rate, "threads": self.target.threads,
        })
    }
}

impl Acks {
    fn code(self) -> i16 {
        match self {
            Self::All => -1,
            Self::Leader => 1,
            Self::None => 0,
        }
    }
}

/// A rate from the command line.
pub(super) fn rate(per_s: f64) -> Result<f64, ClientError> {
    let is_rate = per_s.is_finite() && per_s >= 0.0;
    is_rate.then_some(per_s).ok_or_else(|| {
        ClientError::Argument(format!("--rate {per_s}: give a number a second, or 0 for no limit"))
    })
}

/// A duration from the command line.
pub(super) fn duration(seconds: f64) -> Result<Duration, ClientError> {
    Duration::try_from_secs_f64(seconds).map_err(|error| {
        ClientError::Argument(format!("--seconds {seconds}: {error}; give a number above 0"))
    })
}

/// A Produce request for one partition.
pub(super) fn frame(
    topic: &Topic,
    partition: i32,
    acks: i16,
    target: &Target,
    version: i16,
    batch: Bytes,
) -> io::Result<Frame> {
    let partition = PartitionProduceData { index: partition, records: Some(batch) };
    let topic_data = TopicProduceData {
        name: topic.name.clone(),
        topic_id: topic.id,
        partition_data: vec![partition],
    };
    let request = ProduceRequest {
        transactional_id: None,
        acks,
        timeout_ms: target.request_timeout_ms,
        topic_data: vec![topic_data],
    };
    framed(&request, version).map(Arc::from)
}

/// What one connection does.
struct Lane {
    connection: Connection,
    version: i16,
    /// A request for each of its partitions.
    frames: Vec<Frame>,
}

/// What is the same for all connections.
#[derive(Clone)]
struct Job {
    meter: Meter,
    acks: Acks,
    in_flight: usize,
    batch_records: u64,
    batch_bytes: u64,
}

impl Lane {
    async fn run(self, dues: Dues, job: Job) -> Result<(), ClientError> {
        let peer = self.connection.peer().clone();
        let mut frames = self.frames.iter().cycle();
        let next = |_| frames.next().cloned().unwrap_or_default();
        let done = |due| job.meter.done(due, job.batch_records, job.batch_bytes);
        if job.acks == Acks::None {
            // An answer to what comes last says that all before it was read.
            let mut connection = pour(self.connection, dues, next, done).await?;
            connection.call(&ApiVersionsRequest::default()).await?;
            return Ok(());
        }
        let version = self.version;
        exchange(self.connection, dues, job.in_flight, next, |due, answer| {
            let answer = peer.read::<ProduceRequest>(answer, version)?;
            match refusal(&answer) {
                None => done(due),
                Some(error) => job.meter.failed(&error_name(error)),
            }
            Ok(())
        })
        .await
    }
}

/// The error in the answer to a request for one partition.
pub(super) fn refusal(answer: &ProduceResponse) -> Option<i16> {
    let partition = answer.responses.first().and_then(|topic| topic.partition_responses.first());
    let error = partition.map_or(ErrorCode::UnknownServerError.code(), |one| one.error_code);
    (error != 0).then_some(error)
}

/// Connects, and deals out the partitions of each broker to its connections.
async fn lanes(topic: &Topic, options: &Options, batch: &Bytes) -> Result<Vec<Lane>, ClientError> {
    let mut lanes = Vec::new();
    for (connection, own) in topic.connections(&options.target, options.load.connections).await? {
        let version = connection.peer().topic_version::<ProduceRequest>(topic.id)?;
        let acks = options.acks.code();
        let frames = own.into_iter().map(|partition| {
            frame(topic, partition, acks, &options.target, version, batch.clone())
        });
        let frames = frames.collect::<io::Result<_>>()?;
        lanes.push(Lane { connection, version, frames });
    }
    Ok(lanes)
}

/// Runs the command.
pub(super) async fn measure(options: &Options) -> Result<Report, ClientError> {
    // What is wrong with the options shows before anything is created.
    let (batch, batch_records) = options.batch();
    let plan = options.plan(batch.len(), batch_records)?;
    let topic = Topic::find(&options.target, true).await?;
    let lanes = lanes(&topic, options, &batch).await?;
    let job = Job {
        meter: Meter::new(),
        acks: options.acks,
        in_flight: options.load.in_flight as usize,
        batch_records: batch_records.into(),
        batch_bytes: batch.len() as u64,
    };
    let telling = job.meter.tell("produce");
    let all_dues = plan.start(lanes.len())?;
    let mut work = JoinSet::new();
    for (lane, dues) in lanes.into_iter().zip(all_dues) {
        let job = job.clone();
        work.spawn(async move { job.meter.clone().ended(lane.run(dues, job).await) });
    }
    job.meter.all_done(work).await;
    drop(telling);
    let settings = options.settings(&topic, batch.len(), batch_records);
    Ok(Report::new("produce", &settings).meter("", &job.meter))
}
