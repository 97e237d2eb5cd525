//! What Kafka's own clients get from a broker, and what they cost it.
//!
//! Two clients: the Java client, driven by Kafka's performance tools, and librdkafka, driven by this program. Each is a
//! process of its own, so that its CPU time is not the broker's. It tells throughput and latencies itself; the broker's
//! CPU time is taken around it. The same amount was sent or read once, uncounted, before the rounds that count.

use std::path::Path;
use std::time::Duration;

use crate::Setup;
use crate::contender::{Contender, take_turns};
use crate::table::{Column, Section};
use client::Client;
pub(crate) use librdkafka::act_if_asked;

mod client;
mod consume;
mod idle;
mod java;
mod librdkafka;
mod produce;
mod values;

/// Of the value; there is no key.
const RECORD_BYTES: usize = 100;

const COLUMNS: [Column; 4] = [Column::Ottla, Column::Again, Column::Kafka, Column::Other];

/// What a client tells, and what that cost the broker.
#[derive(Clone, Copy, Debug)]
struct Turn<T> {
    told: T,
    /// None of a broker of which only the address is known.
    cpu: Option<Duration>,
    records: u64,
}

impl<T> Turn<T> {
    /// Runs `work`, which carries so many records.
    fn take(contender: &Contender, records: u64, work: impl FnOnce() -> T) -> Self {
        let before = contender.cpu_time();
        let told = work();
        Self { told, cpu: contender.cpu_since(before), records }
    }

    /// CPU seconds of the broker per 10^9 bytes of values, as they are without compression.
    fn cpu_s_per_gb(&self) -> Option<f64> {
        Some(self.cpu?.as_secs_f64() * 1e9 / (self.records as f64 * RECORD_BYTES as f64))
    }
}

/// Turns of all contenders; those of the first round, in which they only warm up, are left out.
fn warm_turns<T>(
    contenders: &[Contender],
    rounds: usize,
    turn: impl FnMut(&Contender, usize) -> T,
) -> Vec<Vec<T>> {
    let mut turns = take_turns(contenders, rounds + 1, turn);
    for of_one in &mut turns {
        of_one.remove(0);
    }
    turns
}

pub(crate) fn part(setup: &Setup) -> Vec<Section> {
    let files = tempfile::tempdir().unwrap();
    let values = values::write(files.path());
    let clients: Vec<Client> = Client::available().collect();
    let contenders = setup.contenders(&COLUMNS);
    let mut sections = Vec::new();
    for client in &clients {
        sections.push(produced(setup, *client, &contenders, &values));
    }
    sections.push(consumed(setup, &clients, &contenders));
    sections.push(idle::measure(setup, &clients, &contenders));
    contenders.into_iter().for_each(Contender::end);
    sections
}

fn produced(setup: &Setup, client: Client, contenders: &[Contender], values: &Path) -> Section {
    let mut figures = Vec::new();
    let settings: &[(&str, i32)] = setup.amount(
        &[("none", 1), ("none", 16), ("lz4", 1), ("zstd", 16)],
        &[("none", 1), ("zstd", 1)],
    );
    for &(compression, partitions) in settings {
        let setting = produce::Setting { compression, partitions, values };
        figures.extend(produce::measure(setup, client, contenders, &setting));
    }
    let title = match client {
        Client::Java => "Producing with the stock Java client",
        Client::Librdkafka => "Producing with stock librdkafka",
    };
    Section { title, method: produce::method(client), figures }
}

fn consumed(setup: &Setup, clients: &[Client], contenders: &[Contender]) -> Section {
    let mut figures = Vec::new();
    for &partitions in setup.amount(&[1, 16][..], &[16]) {
        figures.extend(consume::measure(setup, clients, contenders, partitions));
    }
    let title = "Consuming with stock clients";
    Section { title, method: consume::method(), figures }
}
