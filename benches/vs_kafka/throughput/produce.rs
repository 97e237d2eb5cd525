//! Producing: large batches as they are and compressed, and batches of one record.

use super::{BATCH_BYTES, CONNECTIONS, LARGE_BATCH_BYTES, Measured, run};
use crate::Setup;
use crate::contender::Contender;
use crate::generator::Load;
use crate::table::{Aim, Figure, Section, Than, partitions_of};

/// Of the first round of a setting, which does not count.
const UNCOUNTED_BYTES: u64 = 300_000_000;
const PARTITIONS: [i32; 3] = [1, 16, 256];
const LATENCIES: [(&str, &str); 3] =
    [("p50", "latency_ms.p50"), ("p99", "latency_ms.p99"), ("p99.9", "latency_ms.p99_9")];
/// Bytes of a record and partitions of the topic.
const SINGLE_RECORDS: [(usize, i32); 3] = [(100, 1), (100, 10), (1024, 10)];
const PRODUCERS: usize = 10;

/// A topic, and what is sent to it.
struct Setting {
    name: String,
    partitions: i32,
    /// What the generator is told besides the topic.
    options: String,
}

impl Setting {
    /// Each turn in a topic of its own; how much is sent may depend on whether the round counts.
    fn measure<'a>(
        &self,
        setup: &Setup,
        contenders: &'a [Contender],
        amount: impl Fn(bool) -> String,
    ) -> Measured<'a> {
        let (uncounted, rounds) = setup.amount((1, 3), (0, 1));
        let Self { partitions, options, .. } = self;
        let topic = format!("produced-{}", self.name.replace([' ', ','], "-"));
        Measured::new(contenders, uncounted, rounds, |contender, round| {
            let topic = format!("{topic}-{round}");
            contender.create_topic(&topic, *partitions, &[]);
            let amount = amount(round >= uncounted);
            let load = run(contender, &format!("produce --topic {topic} {options} {amount}"));
            contender.delete_topic_and_files(&topic);
            load
        })
    }

    /// The same, by bytes.
    fn measure_bytes<'a>(&self, setup: &Setup, contenders: &'a [Contender]) -> Measured<'a> {
        let bytes = setup.amount(1_000_000_000, 20_000_000);
        self.measure(setup, contenders, |counts| {
            format!("--total-bytes {}", if counts { bytes } else { UNCOUNTED_BYTES })
        })
    }
}

fn of_batches(batch_bytes: usize, partitions: i32) -> Setting {
    let batch = if batch_bytes == BATCH_BYTES { "64 KiB" } else { "1 MB" };
    Setting {
        name: format!("{batch}, {}", partitions_of(partitions)),
        partitions,
        options: format!("--connections {CONNECTIONS} --batch-bytes {batch_bytes}"),
    }
}

/// A JVM that was just started needs more than a setting's own uncounted round.
pub(super) fn warm_up(setup: &Setup, contenders: &[Contender]) {
    let bytes = setup.amount(2_000_000_000_u64, 20_000_000);
    let Setting { partitions, options, .. } = of_batches(BATCH_BYTES, 16);
    for contender in contenders {
        contender.create_topic("warm-up", partitions, &[]);
        run(contender, &format!("produce --topic warm-up {options} --total-bytes {bytes}"));
        contender.delete_topic_and_files("warm-up");
    }
}

/// Two sections: throughput with its cost, and the latency meanwhile.
pub(super) fn plain(setup: &Setup, contenders: &[Contender]) -> Vec<Section> {
    let limits = setup.limits();
    let (mut throughputs, mut costs, mut latencies) = (Vec::new(), Vec::new(), Vec::new());
    for batch_bytes in [BATCH_BYTES, LARGE_BATCH_BYTES] {
        let limit_mb_per_s = limits.through_gb_per_s(batch_bytes) * 1e3;
        let faster =
            [Aim::AtLeast(Than::Kafka(3.0)), Aim::AtLeast(Than::Limit(0.6, limit_mb_per_s))];
        let cheaper = [Aim::AtMost(Than::Kafka(0.25)), Aim::AtMost(Than::Floor(1.5))];
        for partitions in PARTITIONS {
            let setting = of_batches(batch_bytes, partitions);
            let measured = setting.measure_bytes(setup, contenders);
            let name = |what: &str| format!("{}: {what}", setting.name);
            throughputs.push(measured.told(name("MB/s"), &faster, "mb_per_s"));
            costs.push(measured.figure(name("CPU s/GB"), &cheaper, Load::cpu_s_per_gb));
            let latency = |(quantile, told)| {
                measured.told(name(&format!("latency {quantile} (ms)")), &[], told)
            };
            latencies.extend(LATENCIES.map(latency));
        }
    }
    throughputs.extend(costs);
    let method = format!(
        "`ottla bench produce`, records of 1 KiB, batches of 64 KiB or 1,000,000 bytes, acks=all, {CONNECTIONS} connections \
         with 5 requests in flight each: of 1 to 16 connections those with which Kafka is at its best or near it. CPU is the \
         broker's. A limit in an aim is the lower of what the loopback device and appending to a file give (MB/s). \
         Each round is in a topic of its own, which is deleted after it; for that, and only for that, \
         `log.segment.delete.delay.ms` is lowered on both."
    );
    let meanwhile = "From sending to acknowledgement in the runs above: with as much in flight as keeps all busy it is \
        mostly waiting for the requests before.";
    vec![
        Section { title: "Producing", method, figures: throughputs },
        Section {
            title: "Producing: latency under full load",
            method: meanwhile.to_owned(),
            figures: latencies,
        },
    ]
}

pub(super) fn compressed(setup: &Setup, contenders: &[Contender]) -> Section {
    let mut figures: Vec<Figure> = Vec::new();
    for codec in ["lz4", "zstd"] {
        let setting = of_batches(BATCH_BYTES, 16);
        let setting = Setting {
            name: codec.to_owned(),
            options: format!("{} --compression {codec}", setting.options),
            ..setting
        };
        let measured = setting.measure_bytes(setup, contenders);
        figures.push(measured.told(format!("{codec}: MB/s"), &[], "mb_per_s"));
        let cheaper = [Aim::AtMost(Than::Kafka(0.5))];
        figures.push(measured.figure(format!("{codec}: CPU s/GB"), &cheaper, Load::cpu_s_per_gb));
    }
    let method = format!(
        "As above with batches of 64 KiB before compression, 16 partitions, {CONNECTIONS} connections. Bytes are those sent, \
         that is compressed ones. Records are random capital letters, of which lz4 saves nothing and zstd two fifths. The \
         floor looks into no record."
    );
    Section { title: "Producing, compressed", method, figures }
}

pub(super) fn single_records(setup: &Setup, contenders: &[Contender]) -> Section {
    let mut figures: Vec<Figure> = Vec::new();
    let seconds = setup.amount(2.0, 0.3);
    for (record_bytes, partitions) in SINGLE_RECORDS {
        let setting = Setting {
            name: format!("{record_bytes} bytes, {}", partitions_of(partitions)),
            partitions,
            options: format!(
                "--connections {PRODUCERS} --record-bytes {record_bytes} --batch-records 1"
            ),
        };
        let measured = setting.measure(setup, contenders, |_| format!("--seconds {seconds}"));
        let name = |what: &str| format!("{}: {what}", setting.name);
        figures.push(measured.told(name("requests/s"), &[], "requests_per_s"));
        let per_100k = Load::cpu_s_per_100k_requests;
        figures.push(measured.figure(name("CPU s per 100,000 requests"), &[], per_100k));
        let more = [Aim::AtLeast(Than::Kafka(3.0))];
        let per_cpu_s = |load: &Load| Some(1e5 / per_100k(load)?);
        figures.push(measured.figure(name("requests per CPU s"), &more, per_cpu_s));
    }
    let method = format!(
        "`ottla bench produce`, batches of one record, acks=all, {PRODUCERS} connections with 5 requests in flight each, for \
         {seconds} s. CPU is the broker's."
    );
    Section { title: "Producing, one record in a batch", method, figures }
}
