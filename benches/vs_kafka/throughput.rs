//! How many bytes and requests go through, what each costs the broker, and what stays in its memory.
//!
//! In a turn a contender gets a topic of its own, the load generator runs against it, and the topic is deleted with its
//! files. These would stay for a minute by default; ten or twenty gigabytes of them would leave the next contender a page
//! cache that must first give something up, or, on a virtual machine, memory that the host must first bring back, which
//! costs ten times what writing costs. The first rounds of each setting do not count: in them Kafka compiles what this
//! setting needs. The generator has one thread and encodes a batch once, so that most of the machine is left to the broker.

use crate::Setup;
use crate::contender::{Contender, by_column, take_turns};
use crate::generator::{self, Load};
use crate::table::{Aim, Column, Figure, Section};

mod consume;
mod memory;
mod produce;

const COLUMNS: [Column; 5] =
    [Column::Ottla, Column::Again, Column::Kafka, Column::Floor, Column::Other];

/// Of 1, 2, 4, 8 and 16 connections, with 5 requests in flight each, those with which Kafka is at its best or near it in
/// every setting. With more of them requests only wait longer.
const CONNECTIONS: usize = 4;
const BATCH_BYTES: usize = 64 << 10;
/// As large as fits in the default `max.message.bytes` of 1,048,588, in round numbers.
const LARGE_BATCH_BYTES: usize = 1_000_000;

pub(crate) fn part(setup: &Setup) -> Vec<Section> {
    let contenders = started(setup);
    produce::warm_up(setup, &contenders);
    let mut sections = produce::plain(setup, &contenders);
    sections.push(produce::compressed(setup, &contenders));
    sections.push(produce::single_records(setup, &contenders));
    contenders.into_iter().for_each(Contender::end);
    let contenders = started(setup);
    sections.push(consume::hot(setup, &contenders));
    contenders.into_iter().for_each(Contender::end);
    sections.push(memory::after(setup));
    sections
}

fn started(setup: &Setup) -> Vec<Contender> {
    let contenders = setup.contenders(&COLUMNS);
    contenders.iter().for_each(Contender::remove_deleted_files_soon);
    contenders
}

/// Runs `ottla bench COMMAND`, the words of which have a blank between them.
fn run(contender: &Contender, command: &str) -> Load {
    generator::run(contender, &command.split(' ').collect::<Vec<_>>())
}

/// What the generator told of each contender in each round that counts.
struct Measured<'a> {
    contenders: &'a [Contender],
    loads: Vec<Vec<Load>>,
}

impl<'a> Measured<'a> {
    /// Takes turns; `uncounted` rounds come before those that count.
    fn new(
        contenders: &'a [Contender],
        uncounted: usize,
        rounds: usize,
        turn: impl FnMut(&Contender, usize) -> Load,
    ) -> Self {
        let mut loads = take_turns(contenders, uncounted + rounds, turn);
        for loads in &mut loads {
            loads.drain(..uncounted);
        }
        Self { contenders, loads }
    }

    /// The middle of the rounds of each contender; without a value where one has none.
    fn figure(&self, name: String, aims: &[Aim], value: impl Fn(&Load) -> Option<f64>) -> Figure {
        Figure::medians(name, aims, by_column(self.contenders, &self.loads), value)
    }

    /// The same of what the generator itself tells.
    fn told(&self, name: String, aims: &[Aim], told: &str) -> Figure {
        self.figure(name, aims, |load| Some(load.figure(told)))
    }
}
