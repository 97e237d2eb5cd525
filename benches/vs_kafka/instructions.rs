//! Instructions that a request takes in the broker, counted by valgrind.
//!
//! Unlike time they are the same on a busy machine, and need no performance counters, which virtual machines lack. The
//! kernel's are not among them. A broker is started twice for each load, the second time with more requests; the
//! difference of the two has neither start nor stop in it.

use std::fs;
use std::net::TcpListener;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

use crate::raw_client::{Batch, Body, Connection, FETCH, PRODUCE, frame, produce_body};
use crate::{Row, START_TIMEOUT};

const TOPIC: &str = "counted";
const RECORD_BYTES: usize = 1 << 10;
/// What fills the 64 KiB of Kafka's producers.
const RECORDS_OF_BATCH: usize = 63;
/// Kafka's `max.partition.fetch.bytes`.
const FETCH_BYTES: i32 = 1 << 20;
/// Everything is slower by a factor of fifty.
const ANSWER_TIMEOUT: Duration = Duration::from_mins(2);

/// One kind of request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Load {
    /// A batch of so many records.
    Produce(usize),
    /// Up to 1 MiB from the start of the log.
    Fetch,
}

/// Requests of the first run and of the second.
pub(crate) const FULL: [usize; 2] = [500, 2_500];
pub(crate) const QUICK: [usize; 2] = [50, 150];

/// Why nothing can be counted, if so.
pub(crate) fn unavailable() -> Option<&'static str> {
    let found = Command::new("valgrind").arg("--version").stdout(Stdio::null()).status();
    (!found.is_ok_and(|status| status.success())).then_some("valgrind is not installed")
}

pub(crate) fn measure(requests: [usize; 2]) -> Vec<Row> {
    let loads = [
        ("a produce request of 63 records in 64 KiB", Load::Produce(RECORDS_OF_BATCH)),
        ("a produce request of one record", Load::Produce(1)),
        ("a fetch request of 1 MiB", Load::Fetch),
    ];
    let row = |(name, load)| {
        let counted = requests.map(|count| instructions(load, count));
        let extra = counted[1].saturating_sub(counted[0]) as f64;
        (format!("instructions of {name}"), extra / (requests[1] - requests[0]) as f64)
    };
    loads.map(row).to_vec()
}

/// Instructions of a broker's whole life in which it serves so many requests.
fn instructions(load: Load, count: usize) -> u64 {
    let work = tempfile::tempdir().unwrap();
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let mut broker = start(work.path(), port);
    let mut client = connected(&mut broker, port);
    assert_eq!(client.create_topics(&[TOPIC.to_owned()], 1, &[]).unwrap(), 0);
    let value = [b'v'; RECORD_BYTES];
    match load {
        Load::Produce(records) => {
            let batch = Batch::of(None, &vec![&value[..]; records]).encode();
            produce(&mut client, &batch, count);
        }
        Load::Fetch => {
            let batch = Batch::of(None, &[&value[..]; RECORDS_OF_BATCH]).encode();
            produce(&mut client, &batch, (FETCH_BYTES as usize).div_ceil(batch.len()));
            fetch(&mut client, count);
        }
    }
    drop(client);
    kill_process(Pid::from_child(&broker), Signal::TERM).unwrap();
    assert!(broker.wait().unwrap().success(), "see {}", work.path().join("log").display());
    total(work.path())
}

fn start(work: &Path, port: u16) -> Child {
    let log = fs::File::create(work.join("log")).unwrap();
    let mut command = Command::new("valgrind");
    command.args(["--tool=callgrind", "--quiet"]);
    command.arg(format!("--callgrind-out-file={}", work.join("counted").display()));
    command.arg(env!("CARGO_BIN_EXE_ottla")).args(["server", "--override"]);
    command.arg(format!("listeners=PLAINTEXT://localhost:{port}")).arg("--override");
    command.arg(format!("log.dirs={}", work.join("data").display()));
    let errors = log.try_clone().unwrap();
    command.stdin(Stdio::null()).stdout(log).stderr(errors).spawn().unwrap()
}

fn connected(broker: &mut Child, port: u16) -> Connection {
    let started = Instant::now();
    loop {
        if let Ok(mut client) = Connection::open(port, ANSWER_TIMEOUT)
            && client.api_versions().is_ok()
        {
            return client;
        }
        assert_eq!(broker.try_wait().unwrap(), None, "the broker has ended");
        assert!(started.elapsed() < START_TIMEOUT, "the broker does not answer");
        thread::sleep(Duration::from_millis(20));
    }
}

fn produce(client: &mut Connection, batch: &[u8], count: usize) {
    let request = frame(PRODUCE, 9, true, &produce_body(TOPIC, 0, -1, batch));
    for _ in 0..count {
        client.send(&request).unwrap();
        let mut answer = client.receive(true).unwrap();
        let (_topics, _name) =
            (answer.unsigned_varint().unwrap(), answer.compact_string().unwrap());
        let (_partitions, _index) = (answer.unsigned_varint().unwrap(), answer.i32().unwrap());
        assert_eq!(answer.i16().unwrap(), 0);
    }
}

fn fetch(client: &mut Connection, count: usize) {
    let body = Body::default().i32(-1).i32(1_000).i32(1).i32(FETCH_BYTES).i8(0);
    let body = body.i32(1).string(TOPIC).i32(1).i32(0).i64(0).i32(FETCH_BYTES);
    let request = frame(FETCH, 4, false, &body);
    for _ in 0..count {
        client.send(&request).unwrap();
        let mut answer = client.receive(false).unwrap();
        assert!(answer.take(FETCH_BYTES as usize).is_ok(), "less than 1 MiB");
    }
}

/// What callgrind has counted in all.
fn total(work: &Path) -> u64 {
    let text = fs::read_to_string(work.join("counted")).unwrap();
    let line = text.lines().find_map(|line| line.strip_prefix("totals: ")).unwrap();
    line.trim().parse().unwrap()
}
