//! How many bytes go through, and what each costs the broker.

use crate::Setup;
use crate::contender::{Contender, take_turns};
use crate::generator::{self, Load};
use crate::table::{Aim, Column, Figure, Section, Than, median};

const COLUMNS: [Column; 5] =
    [Column::Ottla, Column::Again, Column::Kafka, Column::Floor, Column::Other];

/// Sets a figure of each contender to the middle of its rounds; without a value where one has none.
fn set_medians(
    figure: &mut Figure,
    contenders: &[Contender],
    loads: &[Vec<Load>],
    value: impl Fn(&Load) -> Option<f64>,
) {
    for (contender, loads) in contenders.iter().zip(loads) {
        let values: Option<Vec<f64>> = loads.iter().map(&value).collect();
        if let Some(values) = values {
            figure.set(contender.column, median(values));
        }
    }
}

fn produce(
    setup: &Setup,
    contenders: &[Contender],
    batch_kib: usize,
    partitions: i32,
) -> Vec<Figure> {
    let bytes = setup.amount(1_000_000_000_u64, 50_000_000).to_string();
    let batch_bytes = (batch_kib << 10).to_string();
    let loads = take_turns(contenders, setup.amount(3, 1), |contender, round| {
        let topic = format!("produce-{batch_kib}-{partitions}-{round}");
        contender.create_topic(&topic, partitions, &[]);
        let arguments = [
            &["produce", "--topic", &topic, "--batch-bytes", &batch_bytes][..],
            &["--total-bytes", &bytes],
        ];
        let load = generator::run(contender, &arguments.concat());
        contender.delete_topic(&topic);
        load
    });
    let name = |what: &str| format!("{batch_kib} KiB, {partitions} partitions: {what}");
    let limit = setup.limits().loopback.sent.gb_per_s * 1e3;
    let faster = [Aim::AtLeast(Than::Kafka(3.0)), Aim::AtLeast(Than::Limit(0.6, limit))];
    let mut throughput = Figure::new(name("MB/s"), &faster);
    set_medians(&mut throughput, contenders, &loads, |load| Some(load.figure("mb_per_s")));
    let cheaper = [Aim::AtMost(Than::Kafka(0.25)), Aim::AtMost(Than::Floor(1.5))];
    let mut cpu = Figure::new(name("CPU s/GB"), &cheaper);
    set_medians(&mut cpu, contenders, &loads, Load::cpu_s_per_gb);
    vec![throughput, cpu]
}

pub(crate) fn part(setup: &Setup) -> Vec<Section> {
    let contenders = setup.contenders(&COLUMNS);
    let figures = produce(setup, &contenders, 64, 1);
    contenders.into_iter().for_each(Contender::end);
    let method =
        "`ottla bench produce`, records of 1 KiB, acks=all, 5 requests in flight.".to_owned();
    vec![Section { title: "Producing", method, figures }]
}
