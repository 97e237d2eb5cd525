//! `ottla bench consume`: how fast a broker gives what it has.
//!
//! Of what comes only the headers of batches are looked at; a batch that is cut at the end of an answer comes again.

use clap::Args;
use serde_json::json;
use tokio::task::JoinSet;
use tokio::time::Instant;

use super::Target;
use super::pace::{Plan, Timer};
use super::produce::{duration, rate};
use super::report::{Meter, Report};
use super::topic::{Topic, offsets, refused, shares};
use crate::client::{BEGINNING, ClientError, Connection, END};
use crate::records::{BatchHeader, Batches};
use crate::wire::messages::fetch::{FetchPartition, FetchRequest, FetchTopic};
use crate::wire::{Chunk, ErrorCode};

const WAIT_MS: i32 = 500;

/// What to read and how.
#[derive(Args, Clone, Debug)]
pub struct Options {
    #[command(flatten)]
    pub(super) target: Target,
    /// Connections to each broker that leads partitions, no more than it leads; each has one fetch under way.
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=100_000))]
    connections: u32,
    #[command(flatten)]
    size: FetchSize,
    /// Check the CRC-32C of every batch.
    #[arg(long)]
    check: bool,
    /// Read for so long, again from the beginning when the end is reached; without it up to the end that was found at the start.
    #[arg(long, value_name = "s")]
    seconds: Option<f64>,
    /// Records a second of all connections: a fetch is due when those before it have had their time; 0 is as fast as it goes.
    #[arg(long, value_name = "records/s", default_value_t = 0.0)]
    rate: f64,
}

/// Limits of a fetch.
#[derive(Args, Clone, Copy, Debug)]
pub(super) struct FetchSize {
    /// Most bytes of one answer.
    #[arg(long, value_name = "bytes", default_value_t = 52_428_800, value_parser = clap::value_parser!(i32).range(1..))]
    pub(super) fetch_max_bytes: i32,
    /// Most bytes of one partition in an answer.
    #[arg(long, value_name = "bytes", default_value_t = 1_048_576, value_parser = clap::value_parser!(i32).range(1..))]
    pub(super) partition_max_bytes: i32,
}

/// Where a reader stands in a partition.
#[derive(Clone, Copy, Debug)]
struct Position {
    partition: i32,
    begin: i64,
    next: i64,
    end: i64,
}

/// Reads some partitions of one broker.
#[derive(Debug)]
pub(super) struct Reader {
    connection: Connection,
    topic: Topic,
    size: FetchSize,
    wait_ms: i32,
    positions: Vec<Position>,
}

impl Reader {
    /// Readers of all partitions, from the beginning to the end or from the end on.
    pub(super) async fn open(
        target: &Target,
        topic: &Topic,
        connections: u32,
        size: FetchSize,
    ) -> Result<Vec<Self>, ClientError> {
        let mut readers = Vec::new();
        for (address, partitions) in &topic.leaders {
            for own in shares(partitions, partitions.len().min(connections as usize)) {
                let mut connection = Connection::open(address, target.request_timeout()).await?;
                let begins = offsets(&mut connection, &topic.name, &own, BEGINNING).await?;
                let ends = offsets(&mut connection, &topic.name, &own, END).await?;
                let position =
                    |((partition, begin), end)| Position { partition, begin, next: begin, end };
                let positions = own.into_iter().zip(begins).zip(ends).map(position).collect();
                let topic = topic.clone();
                readers.push(Self { connection, topic, size, wait_ms: WAIT_MS, positions });
            }
        }
        Ok(readers)
    }

    /// Goes to the end that was found.
    pub(super) fn seek_to_end(&mut self, wait_ms: i32) {
        self.wait_ms = wait_ms;
        for position in &mut self.positions {
            position.next = position.end;
            position.end = i64::MAX;
        }
    }

    /// Whether all is read up to the end that was found.
    fn is_done(&self) -> bool {
        self.positions.iter().all(|position| position.next >= position.end)
    }

    fn rewind(&mut self) {
        for position in &mut self.positions {
            position.next = position.begin;
        }
    }

    /// One fetch of all that is not read yet; gives every whole batch to `take`. How many bytes these have.
    pub(super) async fn fetch(
        &mut self,
        mut take: impl FnMut(&BatchHeader, &[u8]),
    ) -> Result<u64, ClientError> {
        let version = self.connection.peer().topic_version::<FetchRequest>(self.topic.id)?;
        let request = self.request();
        let answer = self.connection.call_at(&request, version).await?;
        let failed = |code| refused(&format!("reading topic {}", self.topic.name), code);
        if answer.error_code != 0 {
            return Err(failed(answer.error_code));
        }
        let mut bytes = 0;
        for data in answer.responses.into_iter().flat_map(|topic| topic.partitions) {
            if data.error_code != 0 {
                return Err(failed(data.error_code));
            }
            let mine = |position: &&mut Position| position.partition == data.partition_index;
            let Some(position) = self.positions.iter_mut().find(mine) else { continue };
            let Some(Chunk::Bytes(records)) = data.records else { continue };
            for batch in Batches::new(&records) {
                let (header, batch) =
                    batch.map_err(|error| self.connection.peer().wrong(error.to_string()))?;
                let next = header.next_offset().filter(|next| *next > position.next);
                // What was read before, or an offset that would lead nowhere.
                let Some(next) = next else { continue };
                position.next = next;
                bytes += batch.len() as u64;
                take(&header, batch);
            }
        }
        Ok(bytes)
    }

    fn request(&self) -> FetchRequest {
        let unread = self.positions.iter().filter(|position| position.next < position.end);
        let partition = |position: &Position| FetchPartition {
            partition: position.partition,
            fetch_offset: position.next,
            partition_max_bytes: self.size.partition_max_bytes,
            ..Default::default()
        };
        let partitions = unread.map(partition).collect();
        let topic =
            FetchTopic { topic: self.topic.name.clone(), topic_id: self.topic.id, partitions };
        FetchRequest {
            max_wait_ms: self.wait_ms,
            min_bytes: 1,
            max_bytes: self.size.fetch_max_bytes,
            topics: vec![topic],
            ..Default::default()
        }
    }

    /// Reads all, or for so long.
    async fn run(mut self, mut pace: Pace, check: bool, meter: &Meter) -> Result<(), ClientError> {
        // A topic without records is read without a question.
        if self.is_done() {
            return Ok(());
        }
        loop {
            if self.is_done() {
                if pace.plan.duration.is_none() {
                    return Ok(());
                }
                self.rewind();
            }
            let Some(due) = pace.next().await? else { return Ok(()) };
            let mut records = 0;
            let bytes = self.fetch(|header, batch| {
                records += u64::from(header.record_count.unsigned_abs());
                if check && !header.verify_crc(batch) {
                    meter.failed(ErrorCode::CorruptMessage.name());
                }
            });
            let bytes = bytes.await?;
            meter.done(due, records, bytes);
            pace.records += records;
        }
    }
}

/// When the fetches of one reader are due.
struct Pace {
    /// In records.
    plan: Plan,
    started: Instant,
    /// Those that were read.
    records: u64,
    /// None where nothing waits for its time.
    timer: Option<Timer>,
}

impl Pace {
    fn start(plan: Plan) -> Result<Self, ClientError> {
        let timer = (plan.rate_per_s > 0.0).then(Timer::new).transpose()?;
        Ok(Self { plan, started: Instant::now(), records: 0, timer })
    }

    /// Waits until the next fetch is due; that time, or none at the end.
    async fn next(&self) -> Result<Option<Instant>, ClientError> {
        let Some(timer) = &self.timer else {
            let is_over = self.plan.duration.is_some_and(|most| self.started.elapsed() >= most);
            return Ok((!is_over).then(Instant::now));
        };
        let Some(due) = self.plan.due(self.records) else { return Ok(None) };
        let due = self.started + due;
        timer.sleep_until(due).await?;
        Ok(Some(due))
    }
}

/// Runs the command.
pub(super) async fn measure(options: &Options) -> Result<Report, ClientError> {
    let duration = options.seconds.map(duration).transpose()?;
    let rate_per_s = rate(options.rate)?;
    let topic = Topic::find(&options.target, false).await?;
    let readers = Reader::open(&options.target, &topic, options.connections, options.size).await?;
    let meter = Meter::new();
    let telling = meter.tell("consume");
    let mut work = JoinSet::new();
    let check = options.check;
    let rate_per_s = rate_per_s / readers.len() as f64;
    let plan = Plan { rate_per_s, requests_max: None, duration };
    for reader in readers {
        let meter = meter.clone();
        let pace = Pace::start(plan)?;
        work.spawn(async move { meter.ended(reader.run(pace, check, &meter).await) });
    }
    meter.all_done(work).await;
    drop(telling);
    let settings = json!({
        "bootstrap_server": options.target.bootstrap_server, "topic": options.target.topic,
        "partitions": topic.partition_count(), "connections": options.connections,
        "fetch_max_bytes": options.size.fetch_max_bytes,
        "partition_max_bytes": options.size.partition_max_bytes,
        "check": check, "seconds": options.seconds, "rate": options.rate,
        "threads": options.target.threads,
    });
    Ok(Report::new("consume", &settings).meter("", &meter))
}
