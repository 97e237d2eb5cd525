//! One stock consumer that reads a topic from its beginning, which the page cache still has.

use super::client::{Client, Consumed, Consuming};
use super::{RECORD_BYTES, Turn, warm_turns};
use crate::Setup;
use crate::contender::{Contender, by_column, take_turns};
use crate::generator;
use crate::table::{Aim, Figure, Than, partitions_of};

/// How long librdkafka does not fetch when it holds `queued.min.messages` records, 100,000, for which a fetch of ten
/// partitions is enough: then it waits, and no broker can make it faster.
const DEFAULT_BACKOFF_MS: &str = "1000";
const SHORT_BACKOFF_MS: &str = "10";

/// A consumer, and how much it reads.
#[derive(Clone, Copy, Debug)]
struct Reader {
    client: Client,
    backoff_ms: &'static str,
    records: u64,
}

impl Reader {
    fn name(self) -> String {
        match (self.client, self.backoff_ms) {
            (Client::Librdkafka, DEFAULT_BACKOFF_MS) => "librdkafka that backs off".to_owned(),
            _ => self.client.name().to_owned(),
        }
    }
}

pub(super) fn method() -> String {
    format!(
        "One consumer, the only member of a new group, reads a topic of records of {RECORD_BYTES} bytes in uncompressed \
         batches of 64 KiB, as `ottla bench produce` has just written them: the Java client with Kafka's \
         `ConsumerPerformance`, librdkafka with a loop of this program. Settings are as they are by default, but for \
         librdkafka's `fetch.queue.backoff.ms={SHORT_BACKOFF_MS}`. By default it does not fetch for a second once it holds \
         100,000 records, which is one response, so it reads about as many records as it gets in one response each second, \
         from any broker: \"librdkafka that backs off\". All leave out the time until partitions are assigned. A MB is that \
         of values. CPU is the broker's, and has the group's requests in it."
    )
}

/// The figures of all clients and one topic, which they read one after the other.
pub(super) fn measure(
    setup: &Setup,
    clients: &[Client],
    contenders: &[Contender],
    partitions: i32,
) -> Vec<Figure> {
    let records = setup.amount(10_000_000, 500_000);
    let topic = format!("stock-read-{partitions}");
    for contender in contenders {
        fill(contender, &topic, partitions, records);
    }
    let each = clients.iter();
    let each = each.map(|&client| Reader { client, backoff_ms: SHORT_BACKOFF_MS, records });
    let mut readers: Vec<Reader> = each.collect();
    if partitions > 1 {
        let client = Client::Librdkafka;
        let records = setup.amount(2_000_000, records);
        readers.push(Reader { client, backoff_ms: DEFAULT_BACKOFF_MS, records });
    }
    let measured = readers.into_iter().flat_map(|reader| {
        let turns = read(setup, contenders, reader, &topic);
        figures(contenders, &turns, &reader.name(), partitions)
    });
    let measured = measured.collect();
    for contender in contenders {
        contender.delete_topic(&topic);
    }
    measured
}

fn read(
    setup: &Setup,
    contenders: &[Contender],
    reader: Reader,
    topic: &str,
) -> Vec<Vec<Turn<Consumed>>> {
    let Reader { client, backoff_ms, records } = reader;
    let mut running = client.start();
    let turn = |contender: &Contender, _| {
        let address = contender.address();
        let task = Consuming { address: &address, topic, records, backoff_ms };
        Turn::take(contender, records, || running.consume(&task))
    };
    let rounds = setup.amount(3, 1);
    if backoff_ms == DEFAULT_BACKOFF_MS {
        // It waits most of the time, and those before it have warmed the broker up.
        return take_turns(contenders, rounds, turn);
    }
    warm_turns(contenders, rounds, turn)
}

fn fill(contender: &Contender, topic: &str, partitions: i32, records: u64) {
    contender.create_topic(topic, partitions, &[]);
    let (record_bytes, records) = (RECORD_BYTES.to_string(), records.to_string());
    let what = ["produce", "--topic", topic, "--record-bytes", &record_bytes];
    generator::run(contender, &[&what[..], &["--records", &records]].concat());
}

fn figures(
    contenders: &[Contender],
    turns: &[Vec<Turn<Consumed>>],
    reader: &str,
    partitions: i32,
) -> Vec<Figure> {
    let name = |what: &str| format!("{reader}, {}: {what}", partitions_of(partitions));
    let turns = || by_column(contenders, turns);
    let (not_slower, cheaper) =
        (Aim::AtLeast(Than::Kafka(1.0)), Aim::AtMost(Than::Kafka(1.0 / 3.0)));
    vec![
        Figure::medians(name("MB/s"), &[not_slower], turns(), |turn| Some(turn.told.mb_per_s)),
        Figure::medians(name("CPU s/GB"), &[cheaper], turns(), Turn::cpu_s_per_gb),
    ]
}
