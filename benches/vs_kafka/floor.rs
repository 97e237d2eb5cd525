//! The floor: what any broker must do for a Produce or Fetch request, and nothing else.
//!
//! A process of its own, this program started again, so that its CPU time and memory are read as those of a broker.
//! It receives, checks the CRC-32C, writes to a file and answers; it sends ranges of the files. Nothing it has
//! acknowledged survives anything, and one thread serves each connection. What a broker costs more than this is its own.

use std::env;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use tempfile::TempDir;

use crate::node::{Owned, cpu_time};
use crate::raw_client::{Answer, Batch, Body, Connection, FETCH, PRODUCE, frame, produce_body};
use crate::{ANSWER_TIMEOUT, Row};

mod answers;
mod files;
mod serve;
mod topics;

/// What this program is told when it is to be the floor, before the directory.
const ASKED: &str = "--be-the-floor";

const TOPIC: &str = "floor";
/// What fills a batch of Kafka's clients: 63 records in 64 KiB.
const RECORD_BYTES: usize = 1 << 10;
const RECORDS_OF_BATCH: usize = 63;
/// Requests that wait for an answer, as in Kafka's producer.
const IN_FLIGHT: usize = 5;
/// `max.partition.fetch.bytes` of Kafka's consumer.
const FETCH_BYTES: i32 = 1 << 20;
const FETCH_VERSION: i16 = 4;
const PRODUCE_VERSION: i16 = 9;

/// How much to do.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Plan {
    bytes: usize,
    small_requests: usize,
}

impl Plan {
    pub(crate) const FULL: Self = Self { bytes: 2_000_000_000, small_requests: 200_000 };
    pub(crate) const QUICK: Self = Self { bytes: 200_000_000, small_requests: 5_000 };
}

/// The process, which ends with this.
pub(crate) struct Floor {
    process: Owned,
    port: u16,
    files: TempDir,
}

/// Serves for ever if this process was started to be the floor.
pub(crate) fn serve_if_asked() {
    let mut arguments = env::args().skip(1);
    if arguments.next().as_deref() == Some(ASKED) {
        serve::run(Path::new(&arguments.next().expect("a directory")));
    }
}

impl Floor {
    pub(crate) fn start() -> Self {
        let files = tempfile::tempdir().unwrap();
        let mut command = Command::new(env::current_exe().unwrap());
        command.arg(ASKED).arg(files.path()).stdin(Stdio::null()).stdout(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let mut told = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut told).unwrap();
        Self { process: Owned(child), port: told.trim().parse().unwrap(), files }
    }

    pub(crate) fn pid(&self) -> u32 {
        self.process.0.id()
    }

    pub(crate) fn port(&self) -> u16 {
        self.port
    }
}

/// What a load took, and what it cost the process that served it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Load {
    pub(crate) bytes: usize,
    pub(crate) requests: usize,
    pub(crate) took: Duration,
    pub(crate) cpu: Duration,
}

impl Load {
    fn rows(&self, name: &str) -> [Row; 3] {
        let (gigabytes, cpu_s) = (self.bytes as f64 / 1e9, self.cpu.as_secs_f64());
        let per_100k = cpu_s * 1e5 / self.requests as f64;
        [
            (format!("floor, {name} (GB/s)"), gigabytes / self.took.as_secs_f64()),
            (format!("floor, {name}, CPU (s/GB)"), cpu_s / gigabytes),
            (format!("floor, {name}, CPU per 100,000 requests (s)"), per_100k),
        ]
    }
}

/// What the floor needs for the three loads.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Figures {
    /// Batches of 64 KiB.
    pub(crate) produced: Load,
    /// The same, read by requests of 1 MiB.
    pub(crate) consumed: Load,
    /// Batches of one record.
    pub(crate) produced_small: Load,
}

impl Figures {
    pub(crate) fn rows(&self) -> Vec<Row> {
        let produced = self.produced.rows("produce, batches of 64 KiB");
        let consumed = self.consumed.rows("consume, requests of 1 MiB");
        let small = self.produced_small.rows("produce, one record of 1 KiB each");
        [produced, consumed, small].concat()
    }
}

/// Runs the raw client against the floor, which must serve it rightly.
pub(crate) fn measure(plan: &Plan) -> Figures {
    let floor = Floor::start();
    let mut client = Connection::open(floor.port(), ANSWER_TIMEOUT).unwrap();
    assert!(client.api_versions().unwrap().iter().any(|(key, ..)| *key == FETCH));
    assert_eq!(client.advertised().unwrap(), ("127.0.0.1".to_owned(), i32::from(floor.port())));
    assert_eq!(client.create_topics(&[TOPIC.to_owned()], 2, &[]).unwrap(), 0);
    let value = [b'v'; RECORD_BYTES];
    let batch = Batch::of(None, &[&value[..]; RECORDS_OF_BATCH]).encode();
    let count = plan.bytes / batch.len();
    let produced = timed(&floor, count, count * batch.len(), || {
        produce(&mut client, 0, &batch, count);
    });
    let mut fetches = 0;
    let mut consumed = timed(&floor, count, count * batch.len(), || {
        fetches = consume(&mut client, (count * RECORDS_OF_BATCH) as i64);
    });
    consumed.requests = fetches;
    let small = Batch::of(None, &[&value[..]]).encode();
    let requests = plan.small_requests;
    let produced_small = timed(&floor, requests, requests * small.len(), || {
        produce(&mut client, 1, &small, requests);
    });
    assert!(refused_if_damaged(&mut client, small), "a wrong CRC is accepted");
    assert_eq!(client.delete_topics(&[TOPIC.to_owned()]).unwrap(), 0);
    assert!(floor.files.path().read_dir().unwrap().next().is_none(), "files of no topic");
    Figures { produced, consumed, produced_small }
}

fn timed(floor: &Floor, requests: usize, bytes: usize, work: impl FnOnce()) -> Load {
    let (cpu, started) = (cpu_time(floor.pid()), Instant::now());
    work();
    let took = started.elapsed();
    Load { bytes, requests, took, cpu: cpu_time(floor.pid()).saturating_sub(cpu) }
}

/// The same batch again and again, a few requests ahead of their answers.
fn produce(client: &mut Connection, partition: i32, batch: &[u8], count: usize) {
    let body = produce_body(TOPIC, partition, -1, batch);
    let request = frame(PRODUCE, PRODUCE_VERSION, true, &body);
    let records = i64::from(i32::from_be_bytes(batch[57..61].try_into().unwrap()));
    let mut answered = 0;
    for sent in 0..count + IN_FLIGHT {
        if sent < count {
            client.send(&request).unwrap();
        }
        if sent >= IN_FLIGHT.min(count) && answered < count as i64 {
            let (error, base_offset) = produced(client.receive(true).unwrap());
            assert_eq!((error, base_offset), (0, answered * records));
            answered += 1;
        }
    }
    assert_eq!(answered, count as i64);
}

/// Error and base offset of the one partition of an answer.
fn produced(mut answer: Answer) -> (i16, i64) {
    let (_topics, _name) = (answer.unsigned_varint().unwrap(), answer.compact_string().unwrap());
    let (_partitions, _index) = (answer.unsigned_varint().unwrap(), answer.i32().unwrap());
    (answer.i16().unwrap(), answer.i64().unwrap())
}

/// Reads up to `end_offset`; the number of requests.
fn consume(client: &mut Connection, end_offset: i64) -> usize {
    let (mut next, mut requests) = (0, 0);
    while next < end_offset {
        let body = Body::default().i32(-1).i32(1_000).i32(1).i32(FETCH_BYTES).i8(0);
        let body = body.i32(1).string(TOPIC).i32(1).i32(0).i64(next).i32(FETCH_BYTES);
        let answer = client.call(FETCH, FETCH_VERSION, false, &body).unwrap();
        next = checked(answer, next, end_offset);
        requests += 1;
    }
    requests
}

/// Looks at the heads of all batches in an answer to Fetch; the offset after the last whole one.
fn checked(mut answer: Answer, mut next: i64, end_offset: i64) -> i64 {
    let (_throttle_ms, _topics) = (answer.i32().unwrap(), answer.i32().unwrap());
    let (_topic, _partitions) = (answer.string().unwrap(), answer.i32().unwrap());
    let (_partition, error) = (answer.i32().unwrap(), answer.i16().unwrap());
    let (high_watermark, _stable) = (answer.i64().unwrap(), answer.i64().unwrap());
    let (_aborted, length) = (answer.i32().unwrap(), answer.i32().unwrap());
    assert_eq!((error, high_watermark), (0, end_offset));
    let mut rest = answer.take(length as usize).unwrap();
    let first = next;
    while let Some(head) = rest.first_chunk::<61>() {
        let size_bytes = 12 + i32::from_be_bytes(head[8..12].try_into().unwrap()) as usize;
        let Some((batch, after)) = rest.split_at_checked(size_bytes) else {
            break;
        };
        assert_eq!(i64::from_be_bytes(head[..8].try_into().unwrap()), next, "base offset");
        // Once in an answer, so that the checking side keeps up.
        let crc = u32::from_be_bytes(head[17..21].try_into().unwrap());
        assert!(next > first || crc32c::crc32c(&batch[21..]) == crc, "CRC at {next}");
        next += i64::from(i32::from_be_bytes(head[57..61].try_into().unwrap()));
        rest = after;
    }
    assert!(next > first, "no whole batch at {first}");
    next
}

fn refused_if_damaged(client: &mut Connection, mut batch: Vec<u8>) -> bool {
    *batch.last_mut().unwrap() ^= 1;
    client.produce(TOPIC, 1, &batch).unwrap().error == ottla::wire::ErrorCode::CorruptMessage.code()
}
