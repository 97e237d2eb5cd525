//! `kafka-console-producer`: every line of standard input is a record.

mod lines;
mod sender;

use std::path::Path;
use std::time::Duration;

use tokio::time::{Instant, sleep_until};

use super::flags::{Flags, Row};
use super::reach::{check_servers, host_and_port};
use super::stop::Stop;
use super::{ClientProperties, Failure, key_values, print_line};
use crate::client::Exception;
use crate::records::Compression;
use lines::{LineReader, lines};
use sender::{Lengths, Sender, SenderConfig};

/// The class of the only reader there is.
const READER: &str = "LineMessageReader";
/// How long without a batch to wait for.
const FOREVER: Duration = Duration::from_hours(24);

/// Its options.
#[rustfmt::skip]
pub(super) const OPTIONS: &[Row] = &[
    ("topic", "topic", "Topic to send to"),
    ("bootstrap-server", "servers", "Brokers to begin with: host:port, separated by commas"),
    ("sync", "", "Wait for the acknowledgement of each record before the next one is sent"),
    ("compression-codec", "[codec]", "Codec of the batches: none, gzip, snappy, lz4 or zstd; gzip if none is named"),
    ("line-reader", "class", "Class that makes records of lines; only that of Kafka's default is there"),
    ("reader-property", "key=value...", "Setting of the reader: parse.key, key.separator, parse.headers, headers.delimiter, \
     headers.separator, headers.key.separator, null.marker, ignore.error"),
    ("property", "key=value...", "Old name of --reader-property"),
    ("reader-config", "file", "File with settings of the reader"),
    ("command-property", "key=value...", "Setting of the producer"),
    ("producer-property", "key=value...", "Old name of --command-property"),
    ("command-config", "file", "File with settings of the producer"),
    ("producer.config", "file", "Old name of --command-config"),
    ("request-required-acks", "acks", "acks: whose copies an acknowledgement waits for; -1 or all, 1, 0"),
    ("request-timeout-ms", "ms", "request.timeout.ms: how long an answer may take"),
    ("timeout", "ms", "linger.ms: how long a batch waits for more records"),
    ("batch-size", "bytes", "batch.size: bytes at which a batch waits no longer"),
    ("max-partition-memory-bytes", "bytes", "Old name of --batch-size"),
    ("message-send-max-retries", "count", "retries: how often a batch is sent again"),
    ("retry-backoff-ms", "ms", "retry.backoff.ms: how long is waited before that"),
    ("max-block-ms", "ms", "max.block.ms: how long the topic may be waited for"),
    ("max-memory-bytes", "bytes", "buffer.memory; taken and not needed"),
    ("metadata-expiry-ms", "ms", "metadata.max.age.ms; taken and not needed"),
    ("socket-buffer-size", "bytes", "send.buffer.bytes; taken and not needed"),
];
/// Options by old names and by new ones, in the order in which Kafka's tool tells of them.
const RENAMED: [(&str, &str); 3] = [
    ("producer-property", "command-property"),
    ("producer.config", "command-config"),
    ("property", "reader-property"),
];

/// Looks for what does not go together, in Kafka's words.
fn check(flags: &Flags) -> Result<(), Failure> {
    flags.require("topic")?;
    let [property, config, reader] = RENAMED;
    for (old, new) in [config, property, reader] {
        if flags.has(old) && flags.has(new) {
            let message = format!("Options --{new} and --{old} cannot be specified together.");
            return Err(Failure::err(message));
        }
    }
    for (old, new) in RENAMED.into_iter().filter(|(old, _)| flags.has(old)) {
        let future = "is deprecated and will be removed in a future version.";
        print_line(&format!("Warning: --{old} {future} Use --{new} instead."));
    }
    if flags.has("max-partition-memory-bytes") {
        print_line(
            "Warning: --max-partition-memory-bytes is deprecated and will be removed in Apache Kafka 5.0. Use \
             --batch-size instead.",
        );
    }
    let servers = flags.get("bootstrap-server").unwrap_or_default().trim();
    if servers.is_empty() {
        return Err(Failure::err("Error while validating the bootstrap address\n"));
    }
    if !servers.split(',').all(|server| host_and_port(server).is_some()) {
        let message = "Please provide valid host:port like host1:9091,host2:9092\n";
        return Err(Failure::err(message));
    }
    match flags.get("line-reader").filter(|class| !class.ends_with(READER)) {
        None => Ok(()),
        Some(class) => Err(Failure::err(format!(
            "--line-reader {class} is not supported by this tool, only {READER} is"
        ))),
    }
}

/// The settings of the producer: an option wins over a property, and that over the default of this tool.
fn config(flags: &Flags) -> Result<SenderConfig, Failure> {
    let [property, file, _] = RENAMED;
    let file = flags.get(file.1).or(flags.get(file.0)).map(Path::new);
    let properties = ClientProperties::read(file, &flags.either(property))?;
    for class in ["partitioner.class", "interceptor.classes", "transactional.id"] {
        if properties.get(class).is_some() {
            return Err(Failure::err(format!("{class} is not supported by this tool")));
        }
    }
    let number = |option: &str, key: &str, default| match flags.number(option)? {
        Some(number) => Ok::<u64, Failure>(number),
        None => properties.number(key, default),
    };
    let ms = |option, key, default| number(option, key, default).map(Duration::from_millis);
    let acks = flags.get("request-required-acks").or(properties.get("acks"));
    let acks = match acks.unwrap_or("all") {
        "all" | "-1" => -1,
        "1" => 1,
        "0" => 0,
        other => return Err(invalid("acks", other, "String must be one of: all, -1, 0, 1")),
    };
    let codec = match flags.get("compression-codec") {
        None => Compression::None.name(),
        Some("") => Compression::Gzip.name(),
        Some(codec) => codec,
    };
    let compression = Compression::ALL.into_iter().find(|one| one.name() == codec);
    let codecs = "String must be one of: none, gzip, snappy, lz4, zstd";
    let old_batch = "max-partition-memory-bytes";
    let batch = if flags.has(old_batch) { old_batch } else { "batch-size" };
    let request_timeout = ms("request-timeout-ms", "request.timeout.ms", 1500)?;
    let linger = ms("timeout", "linger.ms", 1000)?;
    let delivery_timeout_ms = properties.number("delivery.timeout.ms", 120_000)?;
    let delivery_timeout = Duration::from_millis(delivery_timeout_ms);
    let is_too_short = delivery_timeout < linger + request_timeout;
    if is_too_short && properties.get("delivery.timeout.ms").is_some() {
        return Err(config_error(
            "delivery.timeout.ms should be equal to or larger than linger.ms + request.timeout.ms",
        ));
    }
    let retry_backoff_max_ms = properties.number("retry.backoff.max.ms", 1000)?;
    Ok(SenderConfig {
        servers: flags.get("bootstrap-server").unwrap_or_default().to_owned(),
        client_id: properties.get("client.id").unwrap_or("console-producer").to_owned(),
        topic: flags.get("topic").unwrap_or_default().to_owned(),
        acks,
        idempotence: acks == -1 && properties.get("enable.idempotence") != Some("false"),
        compression: compression.ok_or_else(|| invalid("compression.type", codec, codecs))?,
        batch_bytes: number(batch, "batch.size", 16_384)? as usize,
        request_bytes_max: properties.number("max.request.size", 1_048_576)? as usize,
        retries: number("message-send-max-retries", "retries", 3)?,
        linger,
        max_block: ms("max-block-ms", "max.block.ms", 60_000)?,
        request_timeout,
        delivery_timeout: delivery_timeout.max(linger + request_timeout),
        retry_backoff: ms("retry-backoff-ms", "retry.backoff.ms", 100)?,
        retry_backoff_max: Duration::from_millis(retry_backoff_max_ms),
    })
}

fn invalid(key: &str, value: &str, why: &str) -> Failure {
    config_error(&format!("Invalid value {value} for configuration {key}: {why}"))
}

fn config_error(message: &str) -> Failure {
    Failure::err(format!("org.apache.kafka.common.config.ConfigException: {message}"))
}

/// Tells of a record that is given up (`ErrorLoggingCallback`).
fn failed(topic: &str, (key, value): Lengths, exception: &Exception) {
    let told = |bytes: Option<usize>| bytes.map_or("null".into(), |bytes| format!("{bytes} bytes"));
    eprintln!(
        "ERROR Error when sending message to topic {topic} with key: {}, value: {} with error: {exception}",
        told(key),
        told(value)
    );
}

/// Runs the tool.
pub(super) async fn run(flags: Flags) -> Result<(), Failure> {
    check(&flags)?;
    let config = config(&flags)?;
    let file = flags.get("reader-config").map(Path::new);
    let mut reader = LineReader::new(&key_values(file, &flags.either(RENAMED[2]))?)?;
    check_servers(&config.servers).await.map_err(|message| config_error(&message))?;
    let mut stop = Stop::catch()?;
    let report: fn(&str, Lengths, &Exception) =
        if flags.has("sync") { |_, _, _| {} } else { failed };
    let mut sender = Sender::new(config, report);
    let outcome = tokio::select! {
        code = stop.asked() => Err(Failure { code: Some(code), ..Failure::default() }),
        outcome = pass_on(&mut reader, &mut sender, flags.has("sync")) => outcome,
    };
    if outcome.is_err() {
        // As Kafka's: what was read before is sent. A second signal ends that, too.
        tokio::select! {
            _ = stop.asked() => {}
            () = sender.close() => {}
        }
    }
    outcome
}

async fn pass_on(reader: &mut LineReader, sender: &mut Sender, sync: bool) -> Result<(), Failure> {
    let mut lines = lines();
    loop {
        let due = sender.next_due().unwrap_or_else(|| Instant::now() + FOREVER);
        let line = tokio::select! {
            line = lines.recv() => line,
            () = sleep_until(due) => {
                sender.flush_due().await;
                continue;
            }
        };
        let Some(line) = line else { break };
        sender.send(&reader.read(&line?)?).await;
        if sync && let Some(exception) = sender.flush_all().await {
            let message = format!("java.util.concurrent.ExecutionException: {exception}");
            return Err(Failure::err(message));
        }
    }
    sender.flush_all().await;
    Ok(())
}
