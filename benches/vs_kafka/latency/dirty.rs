//! Appends while the kernel writes back what somebody else has written.

use std::fs::File;
use std::os::unix::fs::FileExt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, sync_channel};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use tempfile::NamedTempFile;

use super::page_cache::page_counter_bytes;
use super::{Aims, Quantiles, Rounds, medians, quantiles};
use crate::Setup;
use crate::contender::{Contender, by_column, rotate};
use crate::generator;
use crate::table::{Aim, Figure, Section, Than};

const BLOCK_BYTES: usize = 1 << 20;
const PRODUCERS: i32 = 4;
const PRODUCED_PER_S: &str = "1000";
/// What most disks of servers can take for ever.
const DIRTIED_MB_PER_S: u32 = 350;
const FILE_BYTES_MAX: u64 = 8 << 30;

/// Dirties a file again and again until it is dropped, which removes it.
struct Writer {
    is_over: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Writer {
    /// Returns when there is so much to write back that the kernel does.
    fn start(file_bytes: u64) -> Self {
        let file = NamedTempFile::new().unwrap();
        // What is written first has to be allocated; that is another load.
        write_blocks(file.as_file(), file_bytes, |_| true);
        file.as_file().sync_all().unwrap();
        let is_over = Arc::new(AtomicBool::new(false));
        let (told, heavy) = sync_channel(1);
        let ended = Arc::clone(&is_over);
        let thread = thread::spawn(move || {
            fill_memory(file.as_file(), file_bytes);
            // Nobody listens if the measurement has failed.
            let _ = told.send(());
            keep_dirty(file.as_file(), file_bytes, &ended);
        });
        let writer = Self { is_over, thread: Some(thread) };
        wait(&heavy);
        writer
    }
}

fn wait(heavy: &Receiver<()>) {
    heavy.recv().expect("the writer writes");
}

impl Drop for Writer {
    fn drop(&mut self) {
        self.is_over.store(true, Ordering::Relaxed);
        // It has failed if it does not end well, and said so.
        let _ = self.thread.take().map(JoinHandle::join);
    }
}

/// Writes the file from its beginning to its end, as long as `goes_on` with the bytes so far.
fn write_blocks(file: &File, file_bytes: u64, mut goes_on: impl FnMut(u64) -> bool) {
    let mut block = vec![0; BLOCK_BYTES];
    fastrand::Rng::with_seed(1).fill(&mut block);
    for position in (0..file_bytes).step_by(BLOCK_BYTES) {
        if !goes_on(position) {
            break;
        }
        file.write_all_at(&block, position).unwrap();
    }
}

/// As fast as it goes, until the kernel writes back by itself, or all is dirty.
fn fill_memory(file: &File, file_bytes: u64) {
    let threshold_bytes = page_counter_bytes("nr_dirty_background_threshold");
    write_blocks(file, file_bytes, |_| page_counter_bytes("nr_dirty") < threshold_bytes);
}

fn keep_dirty(file: &File, file_bytes: u64, is_over: &AtomicBool) {
    let started = Instant::now();
    let mut bytes_before = 0;
    while !is_over.load(Ordering::Relaxed) {
        write_blocks(file, file_bytes, |bytes| {
            let due_s = (bytes_before + bytes) as f64 / f64::from(DIRTIED_MB_PER_S) / 1e6;
            thread::sleep(Duration::from_secs_f64(due_s).saturating_sub(started.elapsed()));
            !is_over.load(Ordering::Relaxed)
        });
        bytes_before += file_bytes;
    }
}

/// One round of one broker.
struct Turn {
    producers: Quantiles,
    dirty_gb: f64,
    written_mb_per_s: f64,
}

impl Turn {
    fn take(contender: &Contender, topic: &str, seconds: f64) -> Self {
        let (written_bytes, started) = (page_counter_bytes("nr_written"), Instant::now());
        let (seconds, connections) = (seconds.to_string(), PRODUCERS.to_string());
        let arguments = [
            &["produce", "--topic", topic, "--connections", &connections][..],
            &["--rate", PRODUCED_PER_S, "--seconds", &seconds, "--batch-records", "1"],
        ];
        let load = generator::run(contender, &arguments.concat());
        let written_bytes = page_counter_bytes("nr_written") - written_bytes;
        Self {
            producers: Quantiles::of_load(&load),
            dirty_gb: page_counter_bytes("nr_dirty") as f64 / 1e9,
            written_mb_per_s: written_bytes as f64 / 1e6 / started.elapsed().as_secs_f64(),
        }
    }
}

fn under_dirty_pages(
    setup: &Setup,
    contenders: &[Contender],
    name: &str,
    configs: &[(&str, &str)],
) -> Vec<Figure> {
    let topic = "dirty";
    for contender in contenders {
        contender.create_topic(topic, PRODUCERS, configs);
    }
    let (seconds, rounds) = setup.amount((5.0, 3), (0.5, 1));
    // Nothing is synced between the turns: the kernel is to have as much to do in each of them.
    let turns = rotate(contenders, rounds, |contender, _| Turn::take(contender, topic, seconds));
    for contender in contenders {
        contender.delete_topic(topic);
    }
    let all: Rounds<_> = by_column(contenders, turns).collect();
    let below = [Aim::AtMost(Than::Kafka(1.0))];
    let aims = Aims { p99_9: &below, ..Aims::default() };
    let mut figures = quantiles(name, aims, &all, |turn| turn.producers).to_vec();
    figures
        .push(medians(format!("{name}: dirty at the end (GB)"), &[], &all, |turn| turn.dirty_gb));
    let name = format!("{name}: written back meanwhile (MB/s)");
    figures.push(medians(name, &[], &all, |turn| turn.written_mb_per_s));
    figures
}

pub(super) fn measure(setup: &Setup, contenders: &[Contender]) -> Section {
    // A little more than what the kernel leaves dirty, or it would have all of the file dirty and nothing to do.
    let threshold_bytes = page_counter_bytes("nr_dirty_background_threshold");
    let file_bytes = setup.amount((threshold_bytes * 5 / 4).min(FILE_BYTES_MAX), 256 << 20);
    let writer = Writer::start(file_bytes);
    let mut figures = under_dirty_pages(setup, contenders, "flush off", &[]);
    let flush = [("flush.messages", "1")];
    figures.extend(under_dirty_pages(setup, contenders, "flush.messages=1", &flush));
    drop(writer);
    let method = format!(
        "`ottla bench produce`, {PRODUCED_PER_S} records of 1 KiB per second, each in a request of its own, over {PRODUCERS} \
         connections to {PRODUCERS} partitions, acks=all, while another process rewrites a file of {gb:.1} GB on the same \
         disk, {DIRTIED_MB_PER_S} MB/s after it has dirtied as much as makes the kernel write back.",
        gb = file_bytes as f64 / 1e9,
    );
    Section { title: "Appends under heavy dirty pages", method, figures }
}
