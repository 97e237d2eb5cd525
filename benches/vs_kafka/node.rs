//! A broker that this program started, and what the kernel says of it.

use std::fs;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};

use crate::ANSWER_TIMEOUT;
use crate::raw_client::Connection;
use crate::reference::{Options, Reference};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Product {
    Ottla,
    Kafka,
}

/// A running broker that this program started.
pub(crate) enum Node {
    Ottla(Child, u16),
    Kafka(Reference),
}

impl Node {
    /// Everything that precedes the start itself: an empty or formatted directory and a free port.
    pub(crate) fn prepare(product: Product, work: &Path) -> u16 {
        match product {
            Product::Ottla => {
                let listener = TcpListener::bind("127.0.0.1:0").unwrap();
                listener.local_addr().unwrap().port()
            }
            Product::Kafka => Reference::prepare(work, &Self::options(work)),
        }
    }

    fn options(work: &Path) -> Options {
        Options { data: Some(Self::data(work)), ..Options::default() }
    }

    /// Where it keeps its logs.
    pub(crate) fn data(work: &Path) -> PathBuf {
        work.join("data")
    }

    pub(crate) fn spawn(product: Product, work: &Path, port: u16) -> Self {
        match product {
            Product::Ottla => {
                let log = fs::File::create(work.join("broker.log")).unwrap();
                let mut command = Command::new(env!("CARGO_BIN_EXE_ottla"));
                let listener = format!("listeners=PLAINTEXT://localhost:{port}");
                command.args(["server", "--override", &listener, "--override"]);
                command.arg(format!("log.dirs={}", Self::data(work).display()));
                let errors = log.try_clone().unwrap();
                let child = command.stdin(Stdio::null()).stdout(log).stderr(errors).spawn();
                Self::Ottla(child.unwrap(), port)
            }
            Product::Kafka => Self::Kafka(Reference::spawn(work, &Self::options(work), port)),
        }
    }

    pub(crate) fn pid(&self) -> u32 {
        match self {
            Self::Ottla(child, _) => child.id(),
            Self::Kafka(node) => node.pid(),
        }
    }

    pub(crate) fn port(&self) -> u16 {
        match self {
            Self::Ottla(_, port) => *port,
            Self::Kafka(node) => node.port(),
        }
    }

    pub(crate) fn connect(&self) -> Connection {
        Connection::open(self.port(), ANSWER_TIMEOUT).unwrap()
    }

    pub(crate) fn end(self, signal: Signal) {
        match self {
            Self::Ottla(mut child, _) => {
                kill_process(Pid::from_child(&child), signal).unwrap();
                child.wait().unwrap();
            }
            Self::Kafka(node) if signal == Signal::KILL => node.kill(),
            Self::Kafka(node) => drop(node.stop()),
        }
    }

    pub(crate) fn resident_bytes(&self) -> u64 {
        resident_bytes(self.pid())
    }

    /// Time its threads have run, from the scheduler's own counters: `utime` has steps of 10 ms, these of 1 ns.
    pub(crate) fn cpu_time(&self) -> Duration {
        cpu_time(self.pid())
    }
}

/// As [`Node::cpu_time`], of any process.
pub(crate) fn cpu_time(pid: u32) -> Duration {
    let tasks = fs::read_dir(format!("/proc/{pid}/task")).unwrap();
    let ran = tasks.filter_map(|task| {
        // A thread that ends between the two reads has no counters any more.
        let counters = fs::read_to_string(task.ok()?.path().join("schedstat")).ok()?;
        counters.split_whitespace().next()?.parse::<u64>().ok()
    });
    Duration::from_nanos(ran.sum())
}

/// Memory that a process has in RAM (`VmRSS`).
pub(crate) fn resident_bytes(pid: u32) -> u64 {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let line = status.lines().find(|line| line.starts_with("VmRSS:")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse::<u64>().unwrap() * 1024
}
