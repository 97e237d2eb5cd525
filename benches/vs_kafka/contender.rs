//! Who is measured: brokers and the floor, side by side, taking turns.

use std::borrow::Borrow;
use std::fs::DirEntry;
use std::path::PathBuf;
use std::thread;
use std::time::{Duration, Instant};

use ottla::wire::messages::incremental_alter_configs::{
    AlterConfigsResource, AlterableConfig, IncrementalAlterConfigsRequest,
};
use rustix::process::Signal;
use tempfile::TempDir;

use crate::floor::Floor;
use crate::node::{Node, Product, cpu_time, peak_resident_bytes, resident_bytes};
use crate::raw_client::{Batch, Connection};
use crate::table::Column;
use crate::typed::ask;
use crate::{ANSWER_TIMEOUT, START_TIMEOUT, first_ack, milliseconds};

/// `BROKER` of a config resource.
const BROKER: i8 = 4;
const ALTER_CONFIGS_VERSION: i16 = 1;
/// How long files of a deleted topic stay where nobody wants to wait a minute for it.
const DELETE_DELAY_MS: u32 = 100;
/// Kafka looks for deleted logs half a minute after its start for the first time; nobody waits for that.
const REMOVAL_TIMEOUT: Duration = Duration::from_secs(1);
const POLL: Duration = Duration::from_millis(5);

/// A broker that somebody else runs.
#[derive(Clone, Debug)]
pub(crate) struct Given {
    pub(crate) host: String,
    pub(crate) port: u16,
    /// Its process, if it is one of this machine: without it no CPU time is told.
    pub(crate) pid: Option<u32>,
}

impl Given {
    /// `HOST:PORT` or `HOST:PORT=PID`.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let (address, pid) = match text.split_once('=') {
            Some((address, pid)) => (address, Some(pid.parse().ok()?)),
            None => (text, None),
        };
        let (host, port) = address.rsplit_once(':')?;
        Some(Self { host: host.to_owned(), port: port.parse().ok()?, pid })
    }
}

enum Process {
    Broker(Node, TempDir),
    Floor(Floor),
    Given(Given),
}

/// One of those that are measured, running.
pub(crate) struct Contender {
    pub(crate) column: Column,
    process: Process,
}

impl Contender {
    /// Starts it on an empty directory; it serves when this returns.
    pub(crate) fn start(column: Column, given: Option<&Given>) -> Self {
        let broker = |product| {
            let work = tempfile::tempdir().unwrap();
            Process::Broker(first_ack(product, work.path(), "first").0, work)
        };
        let process = match column {
            Column::Ottla | Column::Again => broker(Product::Ottla),
            Column::Kafka => broker(Product::Kafka),
            Column::Floor => Process::Floor(Floor::start()),
            Column::Other => Process::Given(given.expect("its address").clone()),
        };
        Self { column, process }
    }

    fn host_and_port(&self) -> (&str, u16) {
        match &self.process {
            Process::Broker(node, _) => ("localhost", node.port()),
            Process::Floor(floor) => ("127.0.0.1", floor.port()),
            Process::Given(given) => (&given.host, given.port),
        }
    }

    /// `host:port`
    pub(crate) fn address(&self) -> String {
        let (host, port) = self.host_and_port();
        format!("{host}:{port}")
    }

    pub(crate) fn connect(&self) -> Connection {
        let (host, port) = self.host_and_port();
        Connection::open_at(host, port, ANSWER_TIMEOUT).unwrap()
    }

    /// None of a broker of which only the address is known.
    pub(crate) fn pid(&self) -> Option<u32> {
        match &self.process {
            Process::Broker(node, _) => Some(node.pid()),
            Process::Floor(floor) => Some(floor.pid()),
            Process::Given(given) => given.pid,
        }
    }

    /// As [`Node::cpu_time`].
    pub(crate) fn cpu_time(&self) -> Option<Duration> {
        self.pid().map(cpu_time)
    }

    /// What it has used since [`Contender::cpu_time`] was `before`.
    pub(crate) fn cpu_since(&self, before: Option<Duration>) -> Option<Duration> {
        Some(self.cpu_time()?.saturating_sub(before?))
    }

    pub(crate) fn resident_bytes(&self) -> Option<u64> {
        self.pid().map(resident_bytes)
    }

    /// The most that it ever had.
    pub(crate) fn peak_resident_bytes(&self) -> Option<u64> {
        self.pid().map(peak_resident_bytes)
    }

    /// Where it keeps its logs, if this program started it and it keeps any.
    pub(crate) fn data(&self) -> Option<PathBuf> {
        match &self.process {
            Process::Broker(_, work) => Some(Node::data(work.path())),
            Process::Floor(_) | Process::Given(_) => None,
        }
    }

    /// Creates a topic with these configs and waits until all of its partitions take records: each then has one.
    pub(crate) fn create_topic(&self, name: &str, partitions: i32, configs: &[(&str, &str)]) {
        let mut client = self.connect();
        assert_eq!(client.create_topics(&[name.to_owned()], partitions, configs).unwrap(), 0);
        let batch = Batch::of(None, &[b"first"]).encode();
        for partition in 0..partitions {
            produce_until_acknowledged(&mut client, name, partition, &batch);
        }
    }

    pub(crate) fn delete_topic(&self, name: &str) {
        assert_eq!(self.connect().delete_topics(&[name.to_owned()]).unwrap(), 0);
    }

    /// From now on a broker of ours removes the files of a deleted topic soon, as the floor does anyway.
    pub(crate) fn remove_deleted_files_soon(&self) {
        if !matches!(self.process, Process::Broker(..)) {
            return;
        }
        let config = AlterableConfig {
            name: "log.segment.delete.delay.ms".into(),
            config_operation: 0,
            value: Some(DELETE_DELAY_MS.to_string()),
        };
        // The empty name stands for all brokers.
        let resource = AlterConfigsResource {
            resource_type: BROKER,
            resource_name: String::new(),
            configs: vec![config],
        };
        let request =
            IncrementalAlterConfigsRequest { resources: vec![resource], validate_only: false };
        let answer = ask(&mut self.connect(), &request, ALTER_CONFIGS_VERSION);
        assert_eq!(answer.responses[0].error_code, 0, "{answer:?}");
    }

    /// Deletes a topic and waits until its files are gone, so that neither what is left of them on the disk nor their
    /// removal weighs on who comes next.
    pub(crate) fn delete_topic_and_files(&self, name: &str) {
        self.delete_topic(name);
        let Some(data) = self.data() else { return };
        let is_left = || {
            let mut entries = data.read_dir().unwrap();
            // A name ends with the partition, and more when it is deleted.
            let is_of_topic = |entry: DirEntry| {
                let directory = entry.file_name();
                let partition =
                    directory.to_str().and_then(|directory| directory.strip_prefix(name));
                partition.is_some_and(|partition| partition.starts_with('-'))
            };
            entries.any(|entry| entry.is_ok_and(is_of_topic))
        };
        let deadline = Instant::now() + REMOVAL_TIMEOUT;
        while is_left() && Instant::now() < deadline {
            thread::sleep(POLL);
        }
    }

    pub(crate) fn end(self) {
        if let Process::Broker(node, _work) = self.process {
            node.end(Signal::TERM);
        }
    }
}

/// Kafka says that a topic is there before its partitions serve.
pub(crate) fn produce_until_acknowledged(
    client: &mut Connection,
    topic: &str,
    partition: i32,
    batch: &[u8],
) {
    let deadline = Instant::now() + START_TIMEOUT;
    while client.produce(topic, partition, batch).unwrap().error != 0 {
        assert!(Instant::now() < deadline, "{topic}-{partition} takes no record");
        thread::sleep(POLL);
    }
}

/// Each contender's column with something of it.
pub(crate) fn by_column<T>(
    contenders: &[impl Borrow<Contender>],
    of_each: impl IntoIterator<Item = T>,
) -> impl Iterator<Item = (Column, T)> {
    contenders.iter().map(|contender| contender.borrow().column).zip(of_each)
}

/// CPU times, in milliseconds, of brokers whose clients begin nothing meanwhile.
pub(crate) fn cpu_while_idle_ms(
    contenders: &[Contender],
    settle: Duration,
    measured: Duration,
) -> Vec<Option<f64>> {
    thread::sleep(settle);
    let before: Vec<_> = contenders.iter().map(Contender::cpu_time).collect();
    thread::sleep(measured);
    let used = contenders.iter().zip(before);
    used.map(|(contender, before)| contender.cpu_since(before).map(milliseconds)).collect()
}

/// As [`rotate`], with nothing left to write to the disk before a turn: what the one before has left does not weigh on
/// this one.
pub(crate) fn take_turns<C, T>(
    contenders: &[C],
    rounds: usize,
    mut turn: impl FnMut(&C, usize) -> T,
) -> Vec<Vec<T>> {
    rotate(contenders, rounds, |contender, round| {
        rustix::fs::sync();
        turn(contender, round)
    })
}

/// Lets each of `contenders` run `turn` in every round, each round begun by another one, so that no one always comes
/// after the same one; gives what each gave, in the order of `contenders`. They need not be running.
pub(crate) fn rotate<C, T>(
    contenders: &[C],
    rounds: usize,
    mut turn: impl FnMut(&C, usize) -> T,
) -> Vec<Vec<T>> {
    let mut all: Vec<Vec<T>> = contenders.iter().map(|_| Vec::new()).collect();
    for round in 0..rounds {
        for place in 0..contenders.len() {
            let place = (place + round) % contenders.len();
            all[place].push(turn(&contenders[place], round));
        }
    }
    all
}
