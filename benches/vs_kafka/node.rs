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

/// A process that ends with the value, also when this program panics.
pub(crate) struct Owned(pub(crate) Child);

impl Drop for Owned {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// A running broker that this program started.
pub(crate) enum Node {
    Ottla(Owned, u16),
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
                Self::Ottla(Owned(child.unwrap()), port)
            }
            Product::Kafka => Self::Kafka(Reference::spawn(work, &Self::options(work), port)),
        }
    }

    pub(crate) fn pid(&self) -> u32 {
        match self {
            Self::Ottla(Owned(child), _) => child.id(),
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
                kill_process(Pid::from_child(&child.0), signal).unwrap();
                child.0.wait().unwrap();
            }
            Self::Kafka(node) if signal == Signal::KILL => node.kill(),
            Self::Kafka(node) => drop(node.stop()),
        }
    }

    pub(crate) fn resident_bytes(&self) -> u64 {
        resident_bytes(self.pid())
    }

    /// Time its threads have run, those included that have ended, in the scheduler's own steps of 1 ns.
    pub(crate) fn cpu_time(&self) -> Duration {
        cpu_time(self.pid())
    }
}

/// As [`Node::cpu_time`], of any process. The files of its threads would tell it too, but a thread that ends takes its
/// counters along, and `/proc/PID/stat` has steps of 10 ms.
#[expect(unsafe_code, reason = "no safe wrapper reads the clock of another process")]
pub(crate) fn cpu_time(pid: u32) -> Duration {
    let mut clock = 0;
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: both calls only write to the variable that they are given, which lives long enough.
    let is_read = unsafe {
        libc::clock_getcpuclockid(pid as i32, &raw mut clock) == 0
            && libc::clock_gettime(clock, &raw mut time) == 0
    };
    assert!(is_read, "process {pid} has ended");
    Duration::new(time.tv_sec as u64, time.tv_nsec as u32)
}

/// Memory that a process has in RAM (`VmRSS`).
pub(crate) fn resident_bytes(pid: u32) -> u64 {
    status_bytes(pid, "VmRSS:")
}

/// The most that it ever had (`VmHWM`).
pub(crate) fn peak_resident_bytes(pid: u32) -> u64 {
    status_bytes(pid, "VmHWM:")
}

fn status_bytes(pid: u32, name: &str) -> u64 {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let line = status.lines().find(|line| line.starts_with(name)).unwrap();
    line.split_whitespace().nth(1).unwrap().parse::<u64>().unwrap() * 1024
}

/// Files and sockets that a process has open.
pub(crate) fn open_files(pid: u32) -> usize {
    fs::read_dir(format!("/proc/{pid}/fd")).unwrap().count()
}
