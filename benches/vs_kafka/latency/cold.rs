//! What producers feel of a consumer whose records have to come from the disk.
//!
//! The same consumer reads the same topic twice, at the same rate: first from the disk, then from memory. So the cost of
//! its coldness is told apart from that of its presence, which takes CPU time that all share.

use super::page_cache::{cached_share, device_bytes_read, evict, log_files};
use super::{Aims, Quantiles, Rounds, medians, quantiles};
use crate::Setup;
use crate::contender::{Contender, by_column, take_turns};
use crate::generator::{self, Load, Running};
use crate::table::{Aim, Column, Figure, Section, Than};

const READ: &str = "cold";
const WRITTEN: &str = "live";
const PRODUCERS: i32 = 4;
const PRODUCED_PER_S: u32 = 2_000;
/// About 200 MB/s, which leaves processors idle.
const READ_PER_S: u32 = 200_000;
/// Of a record of 1 KiB in a batch.
const STORED_BYTES: f64 = 1_034.0;

/// The latency of producers, and what the consumer did meanwhile.
struct Beside {
    producers: Quantiles,
    reader: Load,
    device_gb: f64,
}

/// One round of one broker.
struct Turn {
    alone: Quantiles,
    cached_percent: f64,
    cold: Beside,
    hot: Beside,
}

impl Turn {
    fn take(contender: &Contender, seconds: f64) -> Self {
        let alone = Quantiles::of_load(&produce(contender, seconds));
        let data = contender.data().expect("a broker of ours");
        let segments = log_files(&data, &format!("{READ}-0"));
        evict(&segments);
        let cached_percent = 1e2 * cached_share(&segments);
        let cold = Beside::measure(contender, seconds);
        let hot = Beside::measure(contender, seconds);
        Self { alone, cached_percent, cold, hot }
    }
}

impl Beside {
    fn measure(contender: &Contender, seconds: f64) -> Self {
        let pid = contender.pid().expect("a broker of ours");
        let read_before = device_bytes_read(pid);
        let rate = READ_PER_S.to_string();
        let reader = Running::start(contender, &["consume", "--topic", READ, "--rate", &rate]);
        let producers = Quantiles::of_load(&produce(contender, seconds));
        let reader = reader.end(contender);
        let device_gb = (device_bytes_read(pid) - read_before) as f64 / 1e9;
        Self { producers, reader, device_gb }
    }
}

fn produce(contender: &Contender, seconds: f64) -> Load {
    let (seconds, rate) = (seconds.to_string(), PRODUCED_PER_S.to_string());
    let connections = PRODUCERS.to_string();
    let arguments = [
        &["produce", "--topic", WRITTEN, "--connections", &connections, "--rate", &rate][..],
        &["--seconds", &seconds, "--batch-records", "1"],
    ];
    generator::run(contender, &arguments.concat())
}

/// A second more than the producers run.
fn to_read(seconds: f64) -> u64 {
    (f64::from(READ_PER_S) * (seconds + 1.0)) as u64
}

fn fill(contender: &Contender, seconds: f64) {
    contender.create_topic(WRITTEN, PRODUCERS, &[]);
    contender.create_topic(READ, 1, &[]);
    let records = to_read(seconds).to_string();
    generator::run(contender, &["produce", "--topic", READ, "--records", &records]);
}

/// The slowest of what should be equal over the fastest.
fn noise(all: &Rounds<Turn>) -> f64 {
    let ours = all.iter().filter(|(column, _)| matches!(column, Column::Ottla | Column::Again));
    let p99s = ours.flat_map(|(_, turns)| turns).map(|turn| turn.alone.p99);
    let (least, most) =
        p99s.fold((f64::MAX, 0.0_f64), |(least, most), one| (least.min(one), most.max(one)));
    (most / least).max(1.0)
}

fn figures(all: &Rounds<Turn>) -> Vec<Figure> {
    let load = |name, of: fn(&Turn) -> Quantiles| quantiles(name, Aims::default(), all, of);
    let mut figures = load("producers alone", |turn| turn.alone).to_vec();
    figures.extend(load("beside a cold reader", |turn| turn.cold.producers));
    figures.extend(load("beside the same reader, hot", |turn| turn.hot.producers));
    let unchanged = [Aim::AtMost(Than::Limit(1.0, noise(all)))];
    let ratio = |name: &str, value: fn(&Turn) -> f64| medians(name, &unchanged, all, value);
    figures.push(ratio("p99 beside the cold reader / alone", |turn| {
        turn.cold.producers.p99 / turn.alone.p99
    }));
    figures.push(ratio("p99 beside the cold reader / beside the hot one", |turn| {
        turn.cold.producers.p99 / turn.hot.producers.p99
    }));
    let fact = |name: &str, value: fn(&Turn) -> f64| medians(name, &[], all, value);
    figures.extend([
        fact("cold reader (MB/s)", |turn| turn.cold.reader.figure("mb_per_s")),
        fact("hot reader (MB/s)", |turn| turn.hot.reader.figure("mb_per_s")),
        fact("in memory before the cold reader (%)", |turn| turn.cached_percent),
        fact("read from the device for the cold reader (GB)", |turn| turn.cold.device_gb),
        fact("read from the device for the hot reader (GB)", |turn| turn.hot.device_gb),
    ]);
    figures
}

pub(super) fn measure(setup: &Setup, contenders: &[Contender]) -> Section {
    let (seconds, rounds) = setup.amount((5.0, 3), (0.5, 1));
    // Whose files cannot be reached cannot be made cold.
    let is_ours = |contender: &&Contender| contender.data().is_some();
    let ours: Vec<&Contender> = contenders.iter().filter(is_ours).collect();
    for contender in &ours {
        fill(contender, seconds);
    }
    let turns = take_turns(&ours, rounds, |contender, _| Turn::take(contender, seconds));
    for contender in &ours {
        contender.delete_topic(READ);
        contender.delete_topic(WRITTEN);
    }
    let figures = figures(&by_column(&ours, turns).collect());
    let method = format!(
        "Producers (`ottla bench produce`, {PRODUCED_PER_S} records of 1 KiB per second, each in a request of its own, over \
         {PRODUCERS} connections to {PRODUCERS} partitions, acks=all) alone, while a consumer reads another topic of {gb:.1} \
         GB whose segments were dropped from memory (`posix_fadvise`), and while it reads the same from memory. The consumer \
         takes {READ_PER_S} records per second. The aim for the ratios is what runs of Ottla alone, which should be equal, \
         differ by: the largest p99 over the smallest.",
        gb = to_read(seconds) as f64 * STORED_BYTES / 1e9,
    );
    Section { title: "Producers beside a cold reader", method, figures }
}
