//! From the moment when a record is due to the moment when a consumer has it.

use super::{Aims, Quantiles, Rounds, quantiles, relay};
use crate::Setup;
use crate::contender::{Contender, by_column, take_turns};
use crate::generator;
use crate::table::{Aim, Column, Figure, Section, Than};

const CONNECTIONS: i32 = 4;
const RECORD_BYTES: &str = "100";
const P50_US: f64 = 300.0;
const P99_US: f64 = 1_000.0;

fn rate(setup: &Setup, contenders: &[Contender], records_per_s: u32) -> [Figure; 3] {
    let (seconds, rounds) = setup.amount((4.0, 3), (0.5, 1));
    let rounds_of_all = take_turns(contenders, rounds, |contender, round| {
        let topic = format!("end-to-end-{records_per_s}-{round}");
        contender.create_topic(&topic, CONNECTIONS, &[]);
        let (rate, seconds) = (records_per_s.to_string(), seconds.to_string());
        let connections = CONNECTIONS.to_string();
        let arguments = [
            &["e2e", "--topic", &topic, "--connections", &connections, "--rate", &rate][..],
            &["--seconds", &seconds, "--record-bytes", RECORD_BYTES, "--batch-records", "1"],
        ];
        let load = generator::run(contender, &arguments.concat());
        contender.delete_topic(&topic);
        Quantiles::of_load(&load)
    });
    let mut all: Rounds<_> = by_column(contenders, rounds_of_all).collect();
    let relayed = (0..rounds).map(|_| relay::measure(records_per_s, seconds));
    all.push((Column::Floor, relayed.collect()));
    let third = Aim::AtMost(Than::Kafka(1.0 / 3.0));
    let at_most = |us| [Aim::AtMost(Than::Number(us)), third];
    let aims = Aims { p50: &at_most(P50_US), p99: &at_most(P99_US), ..Aims::default() };
    quantiles(&format!("{records_per_s} records/s"), aims, &all, |one| *one)
}

pub(super) fn measure(setup: &Setup, contenders: &[Contender]) -> Section {
    let figures = [1_000, 10_000].map(|rate_per_s| rate(setup, contenders, rate_per_s)).concat();
    let method = format!(
        "`ottla bench e2e`: {CONNECTIONS} connections that send and {CONNECTIONS} that read, {CONNECTIONS} partitions, \
         records of {RECORD_BYTES} bytes, each in a request of its own, acks=all; a consumer has a fetch under way for \
         what comes next. The brokers were warmed up at 10,000 records per second before. The floor is a thread that \
         passes on messages of that size from one connection to another.",
    );
    Section { title: "From end to end", method, figures }
}
