//! `flush.messages=1`: an acknowledgement says that the record is on the disk.

use std::io::Write;
use std::time::{Duration, Instant};

use tempfile::NamedTempFile;

use super::{Aims, Quantiles, Rounds, medians, quantiles};
use crate::Setup;
use crate::contender::{Contender, by_column, take_turns};
use crate::generator::{self, Load};
use crate::raw_client::Batch;
use crate::table::{Aim, Column, Figure, Section, Than};

const FLUSH: [(&str, &str); 1] = [("flush.messages", "1")];
const RECORD_BYTES: usize = 1 << 10;
const CONNECTIONS: [u32; 4] = [1, 4, 16, 64];
const PARTITIONS: [i32; 2] = [1, 16];
/// Of what so many connections would do if each did what one does alone.
const SCALED_SHARE: f64 = 0.25;

/// Closed loop: every connection has one request under way.
fn produce(contender: &Contender, topic: &str, connections: u32, seconds: f64) -> Load {
    let (connections, seconds) = (connections.to_string(), seconds.to_string());
    let record_bytes = RECORD_BYTES.to_string();
    let arguments = [
        &["produce", "--topic", topic, "--connections", &connections, "--in-flight", "1"][..],
        &["--seconds", &seconds, "--batch-records", "1", "--record-bytes", &record_bytes],
    ];
    generator::run(contender, &arguments.concat())
}

/// What the disk needs for the same: one batch appended to a file, and synced.
fn bare(duration: Duration) -> Quantiles {
    let batch = Batch::of(None, &[&[b'v'; RECORD_BYTES]]).encode();
    let mut file = NamedTempFile::new().unwrap();
    let (mut times, started) = (Vec::new(), Instant::now());
    while times.is_empty() || started.elapsed() < duration {
        let asked = Instant::now();
        file.write_all(&batch).unwrap();
        file.as_file().sync_data().unwrap();
        times.push(asked.elapsed());
    }
    Quantiles::of_times(times)
}

/// One round of one broker, and of the disk just before.
struct Turn {
    bare: Quantiles,
    synced: Quantiles,
}

pub(super) fn latency(setup: &Setup, contenders: &[Contender]) -> Section {
    let (seconds, rounds) = setup.amount((3.0, 3), (0.5, 1));
    let topic = "synced";
    for contender in contenders {
        contender.create_topic(topic, 1, &FLUSH);
    }
    let turns = take_turns(contenders, rounds, |contender, _| Turn {
        bare: bare(Duration::from_secs_f64(seconds)),
        synced: Quantiles::of_load(&produce(contender, topic, 1, seconds)),
    });
    for contender in contenders {
        contender.delete_topic(topic);
    }
    let all: Rounds<_> = by_column(contenders, turns).collect();
    let within = [Aim::AtMost(Than::Number(1.5))];
    let ratio = |turn: &Turn| turn.synced.p50 / turn.bare.p50;
    let synced = |turns: &Vec<Turn>| turns.iter().map(|turn| turn.synced).collect();
    let mut times: Rounds<Quantiles> =
        all.iter().map(|(column, turns)| (*column, synced(turns))).collect();
    let bare = all.iter().flat_map(|(_, turns)| turns).map(|turn| turn.bare);
    times.push((Column::Floor, bare.collect()));
    let mut figures = quantiles("one request", Aims::default(), &times, |one| *one).to_vec();
    figures.push(medians("p50 / p50 of the floor just before", &within, &all, ratio));
    let method = "`ottla bench produce`, one record of 1 KiB, acks=all, in a topic with flush.messages=1; one connection \
        has one request under way. The floor is a loop that appends the same batch to a file and calls `fdatasync`; \
        before each turn of a broker it has one.";
    Section { title: "Time of a synced append", method: method.into(), figures }
}

pub(super) fn throughput(setup: &Setup, contenders: &[Contender]) -> Section {
    let figures = PARTITIONS.map(|partitions| scale(setup, contenders, partitions)).concat();
    let method = "The same with more connections, each with one request under way. The aim for the many over the one is a \
        quarter of how many they are.";
    Section { title: "Synced appends per second", method: method.into(), figures }
}

fn scale(setup: &Setup, contenders: &[Contender], partitions: i32) -> Vec<Figure> {
    let (seconds, rounds) = setup.amount((1.5, 3), (0.2, 1));
    let topic = format!("synced-{partitions}");
    for contender in contenders {
        contender.create_topic(&topic, partitions, &FLUSH);
    }
    let turns = take_turns(contenders, rounds, |contender, _| {
        CONNECTIONS.map(|connections| {
            produce(contender, &topic, connections, seconds).figure("requests_per_s")
        })
    });
    for contender in contenders {
        contender.delete_topic(&topic);
    }
    let all: Rounds<_> = by_column(contenders, turns).collect();
    let name = |what: &str| format!("{partitions} partitions, {what}");
    let mut figures = Vec::new();
    for (place, connections) in CONNECTIONS.into_iter().enumerate() {
        let name = name(&format!("{connections} connections (requests/s)"));
        figures.push(medians(name, &[Aim::AtLeast(Than::Kafka(1.0))], &all, |turn| turn[place]));
    }
    let (first, last) = (0, CONNECTIONS.len() - 1);
    let times = f64::from(CONNECTIONS[last]) / f64::from(CONNECTIONS[first]);
    let scaled = [Aim::AtLeast(Than::Number(SCALED_SHARE * times))];
    let what = format!("{} connections / {}", CONNECTIONS[last], CONNECTIONS[first]);
    figures.push(medians(name(&what), &scaled, &all, |turn| turn[last] / turn[first]));
    figures
}
