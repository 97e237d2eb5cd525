//! `kafka-console-producer`: every line of standard input is a record.

mod lines;
mod sender;

use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Parser};
use tokio::time::{Instant, sleep_until};

use super::reach::{check_servers, host_and_port};
use super::stop::Stop;
use super::{ClientProperties, Failure, key_values, warn_deprecated};
use crate::client::Exception;
use crate::records::Compression;
use lines::{LineReader, lines};
use sender::{Lengths, Sender, SenderConfig};

/// The class of the only reader there is.
const READER: &str = "LineMessageReader";
/// How long without a batch to wait for.
const FOREVER: Duration = Duration::from_hours(24);

/// Sends the lines of standard input to a topic.
#[derive(Debug, Parser)]
#[command(version, infer_long_args = true, arg_required_else_help = true)]
pub(super) struct Options {
    /// Topic to send to.
    #[arg(long)]
    topic: Option<String>,
    /// Brokers to begin with: host:port, separated by commas.
    #[arg(long, value_name = "servers")]
    bootstrap_server: Option<String>,
    /// Wait for the acknowledgement of each record before the next one is sent.
    #[arg(long)]
    sync: bool,
    /// Codec of the batches: none, gzip, snappy, lz4 or zstd; gzip if none is named.
    #[arg(long, value_name = "codec", num_args = 0..=1, default_missing_value = "gzip")]
    compression_codec: Option<String>,
    /// Class that makes records of lines; only that of Kafka's default is there.
    #[arg(long, value_name = "class", default_value = READER)]
    line_reader: String,
    /// Setting of the reader: parse.key, key.separator, parse.headers, headers.delimiter, headers.separator,
    /// headers.key.separator, null.marker, ignore.error.
    #[arg(long, value_name = "key=value")]
    reader_property: Vec<String>,
    /// Old name of --reader-property.
    #[arg(long, value_name = "key=value")]
    property: Vec<String>,
    /// File with settings of the reader.
    #[arg(long, value_name = "file")]
    reader_config: Option<PathBuf>,
    /// Setting of the producer.
    #[arg(long, value_name = "key=value")]
    command_property: Vec<String>,
    /// Old name of --command-property.
    #[arg(long, value_name = "key=value")]
    producer_property: Vec<String>,
    /// File with settings of the producer.
    #[arg(long, value_name = "file")]
    command_config: Option<PathBuf>,
    /// Old name of --command-config.
    #[arg(long = "producer.config", value_name = "file")]
    producer_config: Option<PathBuf>,
    #[command(flatten)]
    settings: Settings,
}

/// Options that are settings of the producer under other names.
#[derive(Args, Debug)]
#[command(next_help_heading = "Settings of the producer")]
struct Settings {
    /// acks: whose copies an acknowledgement waits for; -1 or all, 1, 0.
    #[arg(long, value_name = "acks", allow_hyphen_values = true)]
    request_required_acks: Option<String>,
    /// request.timeout.ms: how long an answer may take.
    #[arg(long, value_name = "ms")]
    request_timeout_ms: Option<u64>,
    /// linger.ms: how long a batch waits for more records.
    #[arg(long, value_name = "ms")]
    timeout: Option<u64>,
    /// batch.size: bytes at which a batch waits no longer.
    #[arg(long, value_name = "bytes")]
    batch_size: Option<u64>,
    /// Old name of --batch-size.
    #[arg(long, value_name = "bytes")]
    max_partition_memory_bytes: Option<u64>,
    /// retries: how often a batch is sent again.
    #[arg(long, value_name = "count")]
    message_send_max_retries: Option<u64>,
    /// retry.backoff.ms: how long is waited before that.
    #[arg(long, value_name = "ms")]
    retry_backoff_ms: Option<u64>,
    /// max.block.ms: how long the topic may be waited for.
    #[arg(long, value_name = "ms")]
    max_block_ms: Option<u64>,
    /// buffer.memory; taken and not needed.
    #[arg(long, value_name = "bytes")]
    max_memory_bytes: Option<u64>,
    /// metadata.max.age.ms; taken and not needed.
    #[arg(long, value_name = "ms")]
    metadata_expiry_ms: Option<u64>,
    /// send.buffer.bytes; taken and not needed.
    #[arg(long, value_name = "bytes")]
    socket_buffer_size: Option<u64>,
}

impl Options {
    /// Looks for what does not go together, in Kafka's words.
    fn check(&self) -> Result<(), Failure> {
        if self.topic.is_none() {
            return Err(Failure::err("Missing required argument \"[topic]\""));
        }
        let both = [
            (
                "--command-config",
                "--producer.config",
                self.command_config.is_some(),
                self.producer_config.is_some(),
            ),
            (
                "--command-property",
                "--producer-property",
                !self.command_property.is_empty(),
                !self.producer_property.is_empty(),
            ),
            (
                "--reader-property",
                "--property",
                !self.reader_property.is_empty(),
                !self.property.is_empty(),
            ),
        ];
        if let Some((new, old, ..)) = both.iter().find(|(_, _, new, old)| *new && *old) {
            let message = format!("Options {new} and {old} cannot be specified together.");
            return Err(Failure::err(message));
        }
        for (new, old, _, is_old) in [both[1], both[0], both[2]] {
            if is_old {
                let future = "is deprecated and will be removed in a future version.";
                warn_deprecated(&format!("Warning: {old} {future} Use {new} instead."));
            }
        }
        if self.settings.max_partition_memory_bytes.is_some() {
            warn_deprecated(
                "Warning: --max-partition-memory-bytes is deprecated and will be removed in Apache Kafka 5.0. Use \
                 --batch-size instead.",
            );
        }
        let servers = self.bootstrap_server.as_deref().unwrap_or_default().trim();
        if servers.is_empty() {
            return Err(Failure::err("Error while validating the bootstrap address\n"));
        }
        if !servers.split(',').all(|server| host_and_port(server).is_some()) {
            let message = "Please provide valid host:port like host1:9091,host2:9092\n";
            return Err(Failure::err(message));
        }
        if !self.line_reader.ends_with(READER) {
            return Err(Failure::err(format!(
                "--line-reader {} is not supported by this tool, only {READER} is",
                self.line_reader
            )));
        }
        Ok(())
    }

    /// The settings of the producer: an option wins over a property, and that over the default of this tool.
    fn config(&self) -> Result<SenderConfig, Failure> {
        let file = self.command_config.as_deref().or(self.producer_config.as_deref());
        let more = [&self.command_property[..], &self.producer_property].concat();
        let properties = ClientProperties::read(file, &more)?;
        for class in ["partitioner.class", "interceptor.classes", "transactional.id"] {
            if properties.get(class).is_some() {
                return Err(Failure::err(format!("{class} is not supported by this tool")));
            }
        }
        let own = &self.settings;
        let number = |option: Option<u64>, key: &str, default| match option {
            Some(number) => Ok(number),
            None => properties.number(key, default),
        };
        let ms = |option, key, default| number(option, key, default).map(Duration::from_millis);
        let acks = own.request_required_acks.as_deref().or(properties.get("acks"));
        let acks = match acks.unwrap_or("all") {
            "all" | "-1" => -1,
            "1" => 1,
            "0" => 0,
            other => return Err(invalid("acks", other, "String must be one of: all, -1, 0, 1")),
        };
        let codec = match self.compression_codec.as_deref() {
            None => Compression::None.name(),
            Some("") => Compression::Gzip.name(),
            Some(codec) => codec,
        };
        let compression = Compression::ALL.into_iter().find(|one| one.name() == codec);
        let codecs = "String must be one of: none, gzip, snappy, lz4, zstd";
        let batch = own.max_partition_memory_bytes.or(own.batch_size);
        let request_timeout = ms(own.request_timeout_ms, "request.timeout.ms", 1500)?;
        let linger = ms(own.timeout, "linger.ms", 1000)?;
        let delivery_timeout = ms(None, "delivery.timeout.ms", 120_000)?;
        let is_too_short = delivery_timeout < linger + request_timeout;
        if is_too_short && properties.get("delivery.timeout.ms").is_some() {
            return Err(config_error(
                "delivery.timeout.ms should be equal to or larger than linger.ms + request.timeout.ms",
            ));
        }
        Ok(SenderConfig {
            servers: self.bootstrap_server.clone().unwrap_or_default(),
            client_id: properties.get("client.id").unwrap_or("console-producer").to_owned(),
            topic: self.topic.clone().unwrap_or_default(),
            acks,
            idempotence: acks == -1 && properties.get("enable.idempotence") != Some("false"),
            compression: compression.ok_or_else(|| invalid("compression.type", codec, codecs))?,
            batch_bytes: number(batch, "batch.size", 16_384)? as usize,
            request_bytes_max: number(None, "max.request.size", 1_048_576)? as usize,
            retries: number(own.message_send_max_retries, "retries", 3)?,
            linger,
            max_block: ms(own.max_block_ms, "max.block.ms", 60_000)?,
            request_timeout,
            delivery_timeout: delivery_timeout.max(linger + request_timeout),
            retry_backoff: ms(own.retry_backoff_ms, "retry.backoff.ms", 100)?,
            retry_backoff_max: ms(None, "retry.backoff.max.ms", 1000)?,
        })
    }
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
pub(super) async fn run(options: Options) -> Result<(), Failure> {
    options.check()?;
    let config = options.config()?;
    let more = [&options.reader_property[..], &options.property].concat();
    let mut reader = LineReader::new(&key_values(options.reader_config.as_deref(), &more)?)?;
    check_servers(&config.servers).await.map_err(|message| config_error(&message))?;
    let mut stop = Stop::catch()?;
    let report: fn(&str, Lengths, &Exception) = if options.sync { |_, _, _| {} } else { failed };
    let mut sender = Sender::new(config, report);
    let outcome = tokio::select! {
        code = stop.asked() => Err(Failure { code: Some(code), ..Failure::default() }),
        outcome = pass_on(&mut reader, &mut sender, options.sync) => outcome,
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
