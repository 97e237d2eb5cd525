//! The Java client: Kafka's performance tools in a JVM that runs one after the other, and consumers that have nothing to
//! read.

use std::io::{BufRead, BufReader, Write};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use super::client::{Consumed, Consuming, Produced, Producing};
use super::produce::{BATCH_BYTES, LINGER_MS};
use crate::reference;

/// Runs a tool for each line of its input.
const COMMANDS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/compat/reference/Commands.java");
const IDLE_CONSUMERS: &str =
    concat!(env!("CARGO_MANIFEST_DIR"), "/benches/vs_kafka/stock/IdleConsumers.java");
const PRODUCER: &str = "org.apache.kafka.tools.ProducerPerformance";
const CONSUMER: &str = "org.apache.kafka.tools.ConsumerPerformance";
/// Comes before the exit status of a tool.
const ENDED: &str = "= ";
/// What the consumer's tool calls a MB.
const BYTES_PER_MIB: f64 = 1_048_576.0;

/// A JVM of tools; it ends with this.
pub(super) struct Jvm {
    process: Child,
    /// Taken when it is to end.
    commands: Option<ChildStdin>,
    printed: BufReader<ChildStdout>,
}

impl Jvm {
    pub(super) fn start() -> Self {
        let mut command = reference::tool_command(COMMANDS, &[]);
        // Numbers in the form of this locale can be read.
        command.env("LC_ALL", "C").stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut process = command.stderr(Stdio::null()).spawn().unwrap();
        let printed = BufReader::new(process.stdout.take().unwrap());
        Self { commands: process.stdin.take(), process, printed }
    }

    /// What a tool prints, which must succeed.
    fn run(&mut self, words: &[&str]) -> String {
        writeln!(self.commands.as_mut().unwrap(), "{}", words.join("\t")).unwrap();
        let mut text = String::new();
        loop {
            let mut line = String::new();
            assert!(self.printed.read_line(&mut line).unwrap() > 0, "the JVM ended: {text}");
            if let Some(status) = line.strip_prefix(ENDED) {
                assert_eq!(status.trim(), "0", "{words:?}: {text}");
                return text;
            }
            text.push_str(&line);
        }
    }

    pub(super) fn produce(&mut self, task: &Producing<'_>) -> Produced {
        let records = task.records.to_string();
        let settings = [
            format!("linger.ms={LINGER_MS}"),
            format!("batch.size={BATCH_BYTES}"),
            format!("compression.type={}", task.compression),
        ];
        let [linger, batch, compression] = &settings;
        let where_to = [PRODUCER, "--bootstrap-server", task.address, "--topic", task.topic];
        let values = task.values.to_str().unwrap();
        let what = ["--num-records", &records, "--throughput", "-1", "--payload-file", values];
        let how = ["--print-metrics", "--command-property", "acks=all", linger, batch, compression];
        let text = self.run(&[&where_to[..], &what, &how].concat());
        told_by_producer(&text).unwrap_or_else(|| panic!("{PRODUCER}: {text}"))
    }

    pub(super) fn consume(&mut self, task: &Consuming<'_>) -> Consumed {
        let records = task.records.to_string();
        let what = [CONSUMER, "--bootstrap-server", task.address, "--topic", task.topic];
        let text = self.run(&[&what[..], &["--num-records", &records, "--hide-header"]].concat());
        told_by_consumer(&text).unwrap_or_else(|| panic!("{CONSUMER}: {text}"))
    }
}

impl Drop for Jvm {
    fn drop(&mut self) {
        // The end of its input is its end. A measurement that failed has been told already.
        drop(self.commands.take());
        let _ = self.process.wait();
    }
}

/// Consumers that have nothing to read: says so in a line, and ends with its input.
pub(super) fn idle_command(address: &str, topic: &str, count: usize) -> Command {
    reference::tool_command(IDLE_CONSUMERS, &[address, topic, &count.to_string()])
}

/// The number in front of some words.
fn number_before(line: &str, words: &str) -> Option<f64> {
    line.split_once(words)?.0.split_whitespace().last()?.parse().ok()
}

/// From the line at the end, the only one with quantiles, and from the metrics.
fn told_by_producer(text: &str) -> Option<Produced> {
    let total =
        text.lines().find(|line| line.contains(" records sent, ") && line.contains("99th"))?;
    let metric = "producer-metrics:request-latency-avg:";
    let request = text.lines().find(|line| line.starts_with(metric));
    // There is none if all requests are older than its window.
    let request = request.and_then(|line| line.rsplit_once(": ")?.1.trim().parse::<f64>().ok());
    Some(Produced {
        records_per_s: number_before(total, " records/sec")?,
        record_mean_ms: number_before(total, " ms avg latency")?,
        record_p99_ms: number_before(total, " ms 99th")?,
        request_mean_ms: request.filter(|latency| latency.is_finite()),
    })
}

/// From a line of values with commas between: the ninth is `fetch.MB.sec`.
fn told_by_consumer(text: &str) -> Option<Consumed> {
    let mut lines = text.lines().map(|line| line.split(", ").collect::<Vec<_>>());
    let values = lines.find(|values| values.len() == 10)?;
    let mb_per_s = values[8].parse::<f64>().ok()? * BYTES_PER_MIB / 1e6;
    Some(Consumed { mb_per_s })
}
