//! What this machine can do at all: memory, checksums, the loopback device, the disk.
//!
//! No broker can be faster than these, so a figure of one means something only beside them. The fastest of several
//! rounds counts: what else the machine does can only slow a round down.

use std::fs::{self, File};
use std::hint::black_box;
use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

use rustix::fs::{FallocateFlags, fallocate};
use rustix::time::{ClockId, clock_gettime};

use crate::Row;

/// What a producer puts into a batch and a broker writes at once.
const BATCH_BYTES: usize = 64 << 10;
/// Far more than any cache holds.
const UNCACHED_BYTES: usize = 64 << 20;
/// About what a request and its answer have without records.
const SMALL_BYTES: usize = 64;
const SYNCED_BYTES: usize = 4 << 10;

/// How much to do.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Plan {
    rounds: usize,
    /// Bytes of each round.
    bytes: usize,
    round_trips: usize,
    syncs: usize,
}

impl Plan {
    pub(crate) const FULL: Self =
        Self { rounds: 5, bytes: 1 << 30, round_trips: 50_000, syncs: 500 };
    pub(crate) const QUICK: Self =
        Self { rounds: 2, bytes: 128 << 20, round_trips: 2_000, syncs: 50 };
}

/// How fast bytes went, and what they cost.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Speed {
    pub(crate) gb_per_s: f64,
    pub(crate) cpu_s_per_gb: f64,
}

impl Speed {
    fn of(bytes: usize, took: Duration, cpu: Duration) -> Self {
        let gigabytes = bytes as f64 / 1e9;
        let cpu_s_per_gb = cpu.as_secs_f64() / gigabytes;
        Self { gb_per_s: gigabytes / took.as_secs_f64(), cpu_s_per_gb }
    }

    /// The fastest of so many rounds.
    fn best(rounds: usize, mut round: impl FnMut() -> Self) -> Self {
        let all = (0..rounds).map(|_| round());
        all.max_by(|one, two| one.gb_per_s.total_cmp(&two.gb_per_s)).unwrap()
    }
}

/// The middle one and the slow one of a hundred.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Latency {
    pub(crate) p50: Duration,
    pub(crate) p99: Duration,
}

impl Latency {
    fn of(mut times: Vec<Duration>) -> Self {
        times.sort_unstable();
        let at = |share: usize| times[times.len() * share / 100];
        Self { p50: at(50), p99: at(99) }
    }
}

/// What the kernel's loopback device does between two threads.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Loopback {
    /// CPU is the sender's.
    pub(crate) sent: Speed,
    pub(crate) receiver_cpu_s_per_gb: f64,
    /// There and back.
    pub(crate) round_trip: Latency,
    /// CPU of the side that answers.
    pub(crate) cpu_s_per_100k_round_trips: f64,
}

/// Appending to a file, which the page cache takes.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Append {
    write_bytes: usize,
    /// The room was taken before, as `preallocate` does.
    preallocated: bool,
    pub(crate) speed: Speed,
}

/// All of them.
#[derive(Clone, Debug)]
pub(crate) struct Limits {
    pub(crate) copied: Speed,
    pub(crate) copied_in_cache: Speed,
    pub(crate) checked: Speed,
    pub(crate) loopback: Loopback,
    pub(crate) appends: Vec<Append>,
    pub(crate) synced: Latency,
}

/// Measures; files go to `work`.
pub(crate) fn measure(work: &Path, plan: &Plan) -> Limits {
    Limits {
        copied: copies(plan, UNCACHED_BYTES),
        copied_in_cache: copies(plan, BATCH_BYTES),
        checked: checksums(plan),
        loopback: loopback(plan),
        appends: appends(work, plan),
        synced: syncs(work, plan),
    }
}

/// Time that the calling thread has run.
fn thread_cpu() -> Duration {
    clock_gettime(ClockId::ThreadCPUTime).try_into().unwrap()
}

/// Wall clock and this thread's CPU time of `work`.
fn timed(work: impl FnOnce()) -> (Duration, Duration) {
    let (started, cpu) = (Instant::now(), thread_cpu());
    work();
    (started.elapsed(), thread_cpu().saturating_sub(cpu))
}

fn copies(plan: &Plan, block_bytes: usize) -> Speed {
    let (from, mut to) = (vec![1_u8; block_bytes], vec![0_u8; block_bytes]);
    let copies = plan.bytes / block_bytes;
    Speed::best(plan.rounds, || {
        let (took, cpu) = timed(|| {
            for _ in 0..copies {
                black_box(&mut to).copy_from_slice(black_box(&from));
            }
        });
        Speed::of(copies * block_bytes, took, cpu)
    })
}

fn checksums(plan: &Plan) -> Speed {
    let block = vec![7_u8; BATCH_BYTES];
    let blocks = plan.bytes / BATCH_BYTES;
    Speed::best(plan.rounds, || {
        let (took, cpu) = timed(|| {
            for _ in 0..blocks {
                black_box(crc32c::crc32c(black_box(&block)));
            }
        });
        Speed::of(blocks * BATCH_BYTES, took, cpu)
    })
}

/// Two ends of a connection over the loopback device.
pub(crate) fn connected() -> (TcpStream, TcpStream) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let one = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    let (other, _) = listener.accept().unwrap();
    one.set_nodelay(true).unwrap();
    other.set_nodelay(true).unwrap();
    (one, other)
}

fn loopback(plan: &Plan) -> Loopback {
    let mut receiver_cpu_s_per_gb = f64::MAX;
    let sent = Speed::best(plan.rounds, || {
        let (sent, receiver_cpu) = transfer(plan.bytes / BATCH_BYTES);
        receiver_cpu_s_per_gb = receiver_cpu_s_per_gb.min(receiver_cpu);
        sent
    });
    let (round_trip, cpu) = round_trips(plan.round_trips);
    let cpu_s_per_100k_round_trips = cpu.as_secs_f64() * 1e5 / plan.round_trips as f64;
    Loopback { sent, receiver_cpu_s_per_gb, round_trip, cpu_s_per_100k_round_trips }
}

/// Blocks from one thread to another: the sender's figures, and the receiver's CPU seconds per gigabyte.
fn transfer(blocks: usize) -> (Speed, f64) {
    let (mut one, mut other) = connected();
    let bytes = blocks * BATCH_BYTES;
    let receiver = thread::spawn(move || {
        let mut buffer = vec![0; BATCH_BYTES];
        let (_, cpu) = timed(|| while other.read(&mut buffer).unwrap() > 0 {});
        cpu
    });
    let block = vec![7; BATCH_BYTES];
    let started = Instant::now();
    let (_, sender_cpu) = timed(|| {
        for _ in 0..blocks {
            one.write_all(&block).unwrap();
        }
        one.shutdown(Shutdown::Write).unwrap();
    });
    let receiver_cpu = receiver.join().unwrap();
    let sent = Speed::of(bytes, started.elapsed(), sender_cpu);
    (sent, receiver_cpu.as_secs_f64() * 1e9 / bytes as f64)
}

/// One thread asks, the other answers: how long that takes, and the CPU time of the latter.
fn round_trips(count: usize) -> (Latency, Duration) {
    let (mut one, mut other) = connected();
    let answering = thread::spawn(move || {
        let mut message = [0; SMALL_BYTES];
        let answer_all = || {
            for _ in 0..count {
                other.read_exact(&mut message).unwrap();
                other.write_all(&message).unwrap();
            }
        };
        timed(answer_all).1
    });
    let mut message = [7; SMALL_BYTES];
    let mut times = Vec::with_capacity(count);
    for _ in 0..count {
        let asked = Instant::now();
        one.write_all(&message).unwrap();
        one.read_exact(&mut message).unwrap();
        times.push(asked.elapsed());
    }
    (Latency::of(times), answering.join().unwrap())
}

fn appends(work: &Path, plan: &Plan) -> Vec<Append> {
    let forms = [(BATCH_BYTES, false), (1 << 20, false), (BATCH_BYTES, true), (1 << 20, true)];
    let measured = forms.map(|(write_bytes, preallocated)| Append {
        write_bytes,
        preallocated,
        speed: Speed::best(plan.rounds, || append(work, plan.bytes, write_bytes, preallocated)),
    });
    measured.to_vec()
}

fn append(work: &Path, bytes: usize, write_bytes: usize, preallocated: bool) -> Speed {
    let path = work.join("appended");
    let mut file = File::create(&path).unwrap();
    if preallocated {
        fallocate(&file, FallocateFlags::KEEP_SIZE, 0, bytes as u64).unwrap();
    }
    let block = vec![7; write_bytes];
    let (took, cpu) = timed(|| {
        for _ in 0..bytes / write_bytes {
            file.write_all(&block).unwrap();
        }
    });
    // Before the kernel has begun to write it back, so that the next round finds the device idle.
    fs::remove_file(&path).unwrap();
    Speed::of(bytes, took, cpu)
}

fn syncs(work: &Path, plan: &Plan) -> Latency {
    let path = work.join("synced");
    let mut file = File::create(&path).unwrap();
    let block = [7; SYNCED_BYTES];
    let one = || {
        let started = Instant::now();
        file.write_all(&block).unwrap();
        file.sync_data().unwrap();
        started.elapsed()
    };
    let times = std::iter::repeat_with(one).take(plan.syncs).collect();
    fs::remove_file(&path).unwrap();
    Latency::of(times)
}

impl Limits {
    /// Bytes that can arrive and be appended in writes of about this size: the lower of the two.
    pub(crate) fn through_gb_per_s(&self, write_bytes: usize) -> f64 {
        let fresh = self.appends.iter().filter(|append| !append.preallocated);
        let nearest = fresh.min_by_key(|append| append.write_bytes.abs_diff(write_bytes));
        nearest.unwrap().speed.gb_per_s.min(self.loopback.sent.gb_per_s)
    }

    pub(crate) fn rows(&self) -> Vec<Row> {
        let microseconds = |time: Duration| time.as_secs_f64() * 1e6;
        let Self { copied, copied_in_cache, checked, loopback, appends, synced } = self;
        let mut rows: Vec<Row> = vec![
            ("memcpy, 64 MiB (GB/s)".into(), copied.gb_per_s),
            ("memcpy, 64 KiB in cache (GB/s)".into(), copied_in_cache.gb_per_s),
            ("CRC-32C, 64 KiB in cache (GB/s)".into(), checked.gb_per_s),
            ("loopback, writes of 64 KiB (GB/s)".into(), loopback.sent.gb_per_s),
            ("loopback, CPU of the sender (s/GB)".into(), loopback.sent.cpu_s_per_gb),
            ("loopback, CPU of the receiver (s/GB)".into(), loopback.receiver_cpu_s_per_gb),
            ("loopback, round trip p50 (us)".into(), microseconds(loopback.round_trip.p50)),
            ("loopback, round trip p99 (us)".into(), microseconds(loopback.round_trip.p99)),
            (
                "loopback, CPU of the answering side per 100,000 (s)".into(),
                loopback.cpu_s_per_100k_round_trips,
            ),
        ];
        for Append { write_bytes, preallocated, speed } in appends {
            let into = if *preallocated { "preallocated" } else { "fresh" };
            let name = format!("append of {} KiB, {into} file", write_bytes >> 10);
            rows.push((format!("{name} (GB/s)"), speed.gb_per_s));
            rows.push((format!("{name}, CPU (s/GB)"), speed.cpu_s_per_gb));
        }
        rows.push(("append of 4 KiB and fdatasync, p50 (us)".into(), microseconds(synced.p50)));
        rows.push(("append of 4 KiB and fdatasync, p99 (us)".into(), microseconds(synced.p99)));
        rows
    }
}
