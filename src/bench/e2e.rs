//! `ottla bench e2e`: the time from the moment when a record is due to the moment when a consumer has it.
//!
//! The due time stands in the record, as nanoseconds of this process' own clock. Nothing is fetched ahead: a consumer
//! has a fetch under way for all partitions of a connection, which the broker answers when there is a record.

use std::sync::Arc;
use std::time::Duration;

use clap::Args;
use serde_json::json;
use tokio::task::JoinSet;
use tokio::time::Instant;

use super::Target;
use super::consume::{FetchSize, Reader};
use super::pace::{Dues, Plan};
use super::pipeline::{Frame, exchange};
use super::produce::{Load, duration, frame, rate, refusal};
use super::report::{Meter, Report};
use super::topic::Topic;
use crate::client::{ClientError, Connection, RETRY_BACKOFF, error_name};
use crate::env::{Clock, OsClock};
use crate::records::{BatchBuilder, BatchHeader, Records};
use crate::wire::messages::produce::ProduceRequest;

const ACKS_ALL: i16 = -1;
const WAIT_MS: i32 = 500;
const STAMP_BYTES: u32 = 8;

/// What to send and to read.
#[derive(Args, Clone, Debug)]
pub struct Options {
    #[command(flatten)]
    pub(super) target: Target,
    #[command(flatten)]
    load: Load,
    #[command(flatten)]
    size: FetchSize,
    /// Records a second of all connections, each due at its time however late the answers are.
    #[arg(long, value_name = "records/s", default_value_t = 1000.0)]
    rate: f64,
    /// Records of a batch; they are due together.
    #[arg(long, value_name = "count", default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=1 << 16))]
    batch_records: u32,
    /// Bytes of the value of a record, its due time among them.
    #[arg(long, value_name = "bytes", default_value_t = 100, value_parser = clap::value_parser!(u32).range(i64::from(STAMP_BYTES)..=1 << 24))]
    record_bytes: u32,
    /// Send for so long.
    #[arg(long, value_name = "s", default_value_t = 10.0)]
    seconds: f64,
}

/// What the tasks share.
struct Run {
    options: Options,
    topic: Topic,
    started: Instant,
    acknowledged: Meter,
    arrived: Meter,
}

impl Run {
    /// A batch of records that are due now.
    fn batch(&self, due: Instant) -> Vec<u8> {
        let due_ns = due.saturating_duration_since(self.started).as_nanos() as u64;
        let mut value = vec![b'.'; self.options.record_bytes as usize];
        value[..STAMP_BYTES as usize].copy_from_slice(&due_ns.to_be_bytes());
        let mut builder = BatchBuilder::new(0, -1);
        for _ in 0..self.options.batch_records {
            builder.push(OsClock.now_ms(), None, Some(&value));
        }
        builder.build()
    }

    async fn send(
        &self,
        connection: Connection,
        partitions: Vec<i32>,
        dues: Dues,
    ) -> Result<(), ClientError> {
        let peer = connection.peer().clone();
        let version = peer.topic_version::<ProduceRequest>(self.topic.id)?;
        let mut partitions = partitions.iter().copied().cycle();
        let next = |due| -> Frame {
            let partition = partitions.next().unwrap_or_default();
            let batch = self.batch(due).into();
            let target = &self.options.target;
            // Nothing here is in a file, which alone could fail.
            frame(&self.topic, partition, ACKS_ALL, target, version, batch).unwrap_or_default()
        };
        let batch_records = self.options.batch_records;
        let bytes = u64::from(batch_records) * u64::from(self.options.record_bytes);
        let in_flight = self.options.load.in_flight as usize;
        exchange(connection, dues, in_flight, next, |due, answer| {
            match refusal(&peer.read::<ProduceRequest>(answer, version)?) {
                None => self.acknowledged.done(due, batch_records.into(), bytes),
                Some(error) => self.acknowledged.failed(&error_name(error)),
            }
            Ok(())
        })
        .await
    }

    /// Reads until it is aborted.
    async fn read(&self, mut reader: Reader) -> Result<(), ClientError> {
        loop {
            reader.fetch(|header, batch| self.arrival(header, batch)).await?;
        }
    }

    fn arrival(&self, header: &BatchHeader, batch: &[u8]) {
        let Ok(mut records) = Records::new(header, batch) else {
            return self.arrived.failed("CORRUPT_MESSAGE");
        };
        while let Ok(Some(record)) = records.next() {
            let value = record.value.unwrap_or_default();
            if let Some(stamp) = value.first_chunk() {
                let due = Duration::from_nanos(u64::from_be_bytes(*stamp));
                let due = self.started.checked_add(due).unwrap_or(self.started);
                self.arrived.done(due, 1, value.len() as u64);
            }
        }
    }

    /// Waits until all that was acknowledged has arrived; false if it does not come.
    async fn all_arrived(&self) -> bool {
        let all = async {
            while self.arrived.records() < self.acknowledged.records() {
                tokio::time::sleep(RETRY_BACKOFF).await;
            }
        };
        tokio::time::timeout(self.options.target.request_timeout(), all).await.is_ok()
    }
}

/// Runs the command.
pub(super) async fn measure(options: &Options) -> Result<Report, ClientError> {
    let rate_per_s = rate(options.rate)? / f64::from(options.batch_records);
    if rate_per_s <= 0.0 {
        let what =
            "--rate 0: the time from end to end needs a rate, `produce` goes as fast as it can";
        return Err(ClientError::Argument(what.into()));
    }
    let plan = Plan { rate_per_s, requests_max: None, duration: Some(duration(options.seconds)?) };
    let target = &options.target;
    let topic = Topic::find(target, true).await?;
    let connections = options.load.connections;
    let readers = Reader::open(target, &topic, connections, options.size).await?;
    let lanes = topic.connections(target, connections).await?;
    // Nothing is due before the clocks start.
    let started = Instant::now();
    let (acknowledged, arrived) = (Meter::new(), Meter::new());
    let all_dues = plan.start(lanes.len())?;
    let run = Arc::new(Run { options: options.clone(), topic, started, acknowledged, arrived });
    let telling = run.arrived.tell("e2e");
    let (mut reading, mut sending) = (JoinSet::new(), JoinSet::new());
    for mut reader in readers {
        reader.seek_to_end(WAIT_MS);
        let run = Arc::clone(&run);
        reading.spawn(async move { run.arrived.ended(run.read(reader).await) });
    }
    for ((connection, partitions), dues) in lanes.into_iter().zip(all_dues) {
        let run = Arc::clone(&run);
        sending.spawn(async move {
            run.acknowledged.ended(run.send(connection, partitions, dues).await);
        });
    }
    run.acknowledged.all_done(sending).await;
    if !run.all_arrived().await {
        run.arrived.failed("REQUEST_TIMED_OUT");
    }
    drop((telling, reading));
    let settings = json!({
        "bootstrap_server": target.bootstrap_server, "topic": target.topic,
        "partitions": run.topic.partition_count(), "rate": options.rate,
        "record_bytes": options.record_bytes, "batch_records": options.batch_records,
        "connections": connections, "in_flight": options.load.in_flight,
        "seconds": options.seconds, "acks": ACKS_ALL, "threads": target.threads,
    });
    let report = Report::new("e2e", &settings);
    Ok(report.meter("", &run.arrived).meter("acknowledged", &run.acknowledged))
}
