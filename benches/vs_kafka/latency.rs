//! How long clients wait: for a record from end to end, beside a reader of cold segments, under dirty pages, for a sync.
//!
//! Every load is an open loop unless its text says otherwise: a late answer delays no later request, and counts in full.

use std::time::Duration;

use crate::Setup;
use crate::contender::Contender;
use crate::generator::{self, Load};
use crate::table::{Aim, Column, Figure, Section};

mod cold;
mod dirty;
mod end_to_end;
mod page_cache;
mod relay;
mod synced;

const COLUMNS: [Column; 4] = [Column::Ottla, Column::Again, Column::Kafka, Column::Other];

/// The middle, the slow one of a hundred and that of a thousand, in microseconds.
#[derive(Clone, Copy, Debug)]
struct Quantiles {
    p50: f64,
    p99: f64,
    p99_9: f64,
}

impl Quantiles {
    /// Of the latencies that a generator tells.
    fn of_load(load: &Load) -> Self {
        let us = |name: &str| load.figure(&format!("latency_ms.{name}")) * 1e3;
        Self { p50: us("p50"), p99: us("p99"), p99_9: us("p99_9") }
    }

    fn of_times(mut times: Vec<Duration>) -> Self {
        times.sort_unstable();
        let us = |per_mille: usize| times[times.len() * per_mille / 1000].as_secs_f64() * 1e6;
        Self { p50: us(500), p99: us(990), p99_9: us(999) }
    }
}

/// What each quantile should be.
#[derive(Clone, Copy, Debug, Default)]
struct Aims<'a> {
    p50: &'a [Aim],
    p99: &'a [Aim],
    p99_9: &'a [Aim],
}

/// What each of those that were measured gave, round by round.
type Rounds<T> = Vec<(Column, Vec<T>)>;

/// A figure of the middle of the rounds.
fn medians<T>(
    name: impl Into<String>,
    aims: &[Aim],
    rounds: &Rounds<T>,
    value: impl Fn(&T) -> f64,
) -> Figure {
    let rounds = rounds.iter().map(|(column, rounds)| (*column, rounds));
    Figure::medians(name, aims, rounds, |one| Some(value(one)))
}

/// Three figures.
fn quantiles<T>(
    load: &str,
    aims: Aims<'_>,
    rounds: &Rounds<T>,
    of: impl Fn(&T) -> Quantiles,
) -> [Figure; 3] {
    let name = |what: &str| format!("{load}: {what} (us)");
    [
        medians(name("p50"), aims.p50, rounds, |one| of(one).p50),
        medians(name("p99"), aims.p99, rounds, |one| of(one).p99),
        medians(name("p99.9"), aims.p99_9, rounds, |one| of(one).p99_9),
    ]
}

/// A virtual machine that has compiled nothing yet is no measure.
fn warm_up(setup: &Setup, contenders: &[Contender]) {
    for contender in contenders {
        let topic = "warm-up";
        contender.create_topic(topic, 4, &[]);
        let seconds = setup.amount("12", "1");
        let arguments = [
            &["e2e", "--topic", topic, "--connections", "4"][..],
            &["--rate", "10000", "--seconds", seconds],
        ];
        generator::run(contender, &arguments.concat());
        contender.delete_topic(topic);
    }
}

pub(crate) fn part(setup: &Setup) -> Vec<Section> {
    let contenders = setup.contenders(&COLUMNS);
    warm_up(setup, &contenders);
    let sections = vec![
        end_to_end::measure(setup, &contenders),
        cold::measure(setup, &contenders),
        dirty::measure(setup, &contenders),
        synced::latency(setup, &contenders),
        synced::throughput(setup, &contenders),
    ];
    contenders.into_iter().for_each(Contender::end);
    sections
}
