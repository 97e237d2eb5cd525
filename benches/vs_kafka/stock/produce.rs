//! Records of 100 bytes from one stock producer, as fast as it can.

use std::path::Path;

use super::client::{Client, Produced, Producing};
use super::{Turn, warm_turns};
use crate::Setup;
use crate::contender::{Contender, by_column};
use crate::table::{Aim, Figure, Than, partitions_of};

/// `linger.ms`
pub(super) const LINGER_MS: &str = "5";
/// `batch.size`
pub(super) const BATCH_BYTES: &str = "65536";

/// What is varied.
pub(super) struct Setting<'a> {
    pub(super) compression: &'a str,
    pub(super) partitions: i32,
    pub(super) values: &'a Path,
}

pub(super) fn method(client: Client) -> String {
    let driver = match client {
        Client::Java => {
            "Kafka's `ProducerPerformance`, all rounds of a setting in one JVM, which is warm when the first counts"
        }
        Client::Librdkafka => "a loop of this program around librdkafka, in a process of its own",
    };
    format!(
        "One producer with no limit of its rate: {driver}. `acks=all`, `linger.ms={LINGER_MS}`, \
         `batch.size={BATCH_BYTES}`, everything else as the client has it by default; values of 100 bytes of JSON, no \
         keys. A GB is that of values before compression, and CPU is the broker's. A record's latency counts from the call \
         that sends it, so it is mostly the time in the client's full buffer; a request's is what the client measures \
         between sending it and its answer. Producer and broker share the cores: records/s differ by several percent from \
         round to round, as the column of the same binary shows."
    )
}

/// The figures of one client and one setting.
pub(super) fn measure(
    setup: &Setup,
    client: Client,
    contenders: &[Contender],
    setting: &Setting<'_>,
) -> Vec<Figure> {
    let &Setting { compression, partitions, values } = setting;
    let records = setup.amount(2_500_000, 200_000);
    let mut running = client.start();
    let turns = warm_turns(contenders, setup.amount(3, 1), |contender, round| {
        let topic = format!("stock-{}-{compression}-{partitions}-{round}", client.name());
        contender.create_topic(&topic, partitions, &[]);
        let address = contender.address();
        let task = Producing { address: &address, topic: &topic, compression, records, values };
        let turn = Turn::take(contender, records, || running.produce(&task));
        contender.delete_topic(&topic);
        turn
    });
    figures(contenders, &turns, setting)
}

fn figures(
    contenders: &[Contender],
    turns: &[Vec<Turn<Produced>>],
    setting: &Setting<'_>,
) -> Vec<Figure> {
    let Setting { compression, partitions, .. } = setting;
    let figure = |what: &str, aims: &[Aim], value: &dyn Fn(&Turn<Produced>) -> Option<f64>| {
        let name = format!("{compression}, {}: {what}", partitions_of(*partitions));
        Figure::medians(name, aims, by_column(contenders, turns), value)
    };
    let share = if *compression == "none" { 0.25 } else { 0.5 };
    let (not_slower, cheaper) = (Aim::AtLeast(Than::Kafka(1.0)), Aim::AtMost(Than::Kafka(share)));
    vec![
        figure("records/s", &[not_slower], &|turn| Some(turn.told.records_per_s)),
        figure("CPU s/GB", &[cheaper], &Turn::cpu_s_per_gb),
        figure("latency of a record, mean (ms)", &[], &|turn| Some(turn.told.record_mean_ms)),
        figure("latency of a record, p99 (ms)", &[], &|turn| Some(turn.told.record_p99_ms)),
        figure("latency of a request, mean (ms)", &[], &|turn| turn.told.request_mean_ms),
    ]
}
