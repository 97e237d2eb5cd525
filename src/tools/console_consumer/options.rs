//! The options of `kafka-console-consumer`.

use std::path::PathBuf;
use std::time::Duration;

use clap::Parser;
use regex::Regex;

use super::formatter::Formatter;
use crate::client::{
    ConsumerConfig, Membership, READ_COMMITTED, READ_UNCOMMITTED, Reset, Subscription,
};
use crate::config::duration_seconds;
use crate::tools::reach::warn;
use crate::tools::{ClientProperties, Failure, key_values, print_line};

/// Groups that nobody named have a number below.
const GROUP_NUMBERS: u32 = 100_000;

/// Prints the records of topics.
#[derive(Debug, Parser)]
#[command(version, infer_long_args = true, arg_required_else_help = true)]
pub(crate) struct Options {
    /// Topic to read.
    #[arg(long)]
    topic: Option<String>,
    /// Read all topics whose whole name matches this regular expression.
    #[arg(long, value_name = "regex")]
    include: Option<String>,
    /// Read this partition alone, without a group.
    #[arg(long)]
    partition: Option<i32>,
    /// Where to begin in the partition: an offset, earliest or latest.
    #[arg(long, allow_hyphen_values = true)]
    offset: Option<String>,
    /// Begin with the first record where the group has no offset.
    #[arg(long)]
    from_beginning: bool,
    /// End after so many records.
    #[arg(long, value_name = "count", allow_negative_numbers = true)]
    max_messages: Option<i32>,
    /// End when nothing comes for so long.
    #[arg(long, value_name = "ms", allow_negative_numbers = true)]
    timeout_ms: Option<i64>,
    /// Group of the consumer; without one it makes one up and commits nothing.
    #[arg(long)]
    group: Option<String>,
    /// Brokers to begin with: host:port, separated by commas.
    #[arg(long, value_name = "servers")]
    pub(super) bootstrap_server: Option<String>,
    /// Class that prints records: DefaultMessageFormatter, LoggingMessageFormatter or NoOpMessageFormatter.
    #[arg(
        long,
        value_name = "class",
        default_value = "org.apache.kafka.tools.consumer.DefaultMessageFormatter"
    )]
    formatter: String,
    /// Setting of the formatter: print.timestamp, print.key, print.offset, print.partition, print.epoch, print.headers,
    /// print.value, key.separator, line.separator, headers.separator, null.literal, key.deserializer,
    /// value.deserializer, headers.deserializer.
    #[arg(long, value_name = "key=value")]
    formatter_property: Vec<String>,
    /// Old name of --formatter-property.
    #[arg(long, value_name = "key=value")]
    property: Vec<String>,
    /// File with settings of the formatter.
    #[arg(long, value_name = "file")]
    formatter_config: Option<PathBuf>,
    /// Class that reads keys: those of Kafka for strings, bytes, numbers, booleans and UUIDs.
    #[arg(long, value_name = "class")]
    key_deserializer: Option<String>,
    /// Class that reads values.
    #[arg(long, value_name = "class")]
    value_deserializer: Option<String>,
    /// Setting of the consumer.
    #[arg(long, value_name = "key=value")]
    command_property: Vec<String>,
    /// Old name of --command-property.
    #[arg(long, value_name = "key=value")]
    consumer_property: Vec<String>,
    /// File with settings of the consumer.
    #[arg(long, value_name = "file")]
    command_config: Option<PathBuf>,
    /// Old name of --command-config.
    #[arg(long = "consumer.config", value_name = "file")]
    consumer_config: Option<PathBuf>,
    /// Skip a record that cannot be printed.
    #[arg(long)]
    pub(super) skip_message_on_error: bool,
    /// Which records of transactions to read: read_committed or read_uncommitted.
    #[arg(long, value_name = "level")]
    isolation_level: Option<String>,
    /// Say on standard output when it has ended on a signal.
    #[arg(long)]
    pub(super) enable_systest_events: bool,
}

/// What the options ask for.
#[derive(Debug)]
pub(super) struct Plan {
    pub(super) client_id: String,
    pub(super) request_timeout: Duration,
    pub(super) consumer: ConsumerConfig,
    pub(super) formatter: Formatter,
    /// None for any number.
    pub(super) messages_max: Option<u64>,
    /// How long nothing may come.
    pub(super) timeout: Option<Duration>,
}

impl Options {
    /// Reads all options, in Kafka's order and words.
    pub(super) fn plan(&self) -> Result<Plan, Failure> {
        self.check()?;
        let old = [
            ("--consumer-property", "--command-property", !self.consumer_property.is_empty()),
            ("--consumer.config", "--command-config", self.consumer_config.is_some()),
            ("--property", "--formatter-property", !self.property.is_empty()),
        ];
        for (old, new, _) in old[..2].iter().filter(|(.., is_given)| *is_given) {
            tell_old(old, new);
        }
        let file = self.command_config.as_deref().or(self.consumer_config.as_deref());
        let more = [&self.command_property[..], &self.consumer_property].concat();
        let group = self.group(file, &more)?;
        let properties = ClientProperties::read(file, &more)?;
        let consumer = self.consumer(&properties, group)?;
        let formatter = self.formatter()?;
        if old[2].2 {
            tell_old(old[2].0, old[2].1);
        }
        Ok(Plan {
            client_id: properties.get("client.id").unwrap_or("console-consumer").to_owned(),
            request_timeout: properties.request_timeout()?,
            consumer,
            formatter,
            messages_max: self.max_messages.and_then(|count| u64::try_from(count).ok()),
            timeout: self
                .timeout_ms
                .and_then(|ms| u64::try_from(ms).ok())
                .map(Duration::from_millis),
        })
    }

    fn check(&self) -> Result<(), Failure> {
        if self.topic.is_some() == self.include.is_some() {
            let message = "Exactly one of the following arguments is required: [topic], [include]";
            return Err(Failure::err(message));
        }
        let wrong = [
            (
                self.partition.is_some() && self.topic.is_none(),
                "The topic is required when partition is specified.",
            ),
            (
                self.partition.is_some() && self.from_beginning && self.offset.is_some(),
                "Options from-beginning and offset cannot be specified together.",
            ),
            (
                self.partition.is_none() && self.offset.is_some(),
                "The partition is required when offset is specified.",
            ),
            (self.bootstrap_server.is_none(), "Missing required argument \"[bootstrap-server]\""),
            (
                !self.consumer_property.is_empty() && !self.command_property.is_empty(),
                "Options --consumer-property and --command-property cannot be specified together.",
            ),
            (
                self.consumer_config.is_some() && self.command_config.is_some(),
                "Options --consumer.config and --command-config cannot be specified together.",
            ),
            (
                !self.property.is_empty() && !self.formatter_property.is_empty(),
                "Options --property and --formatter-property cannot be specified together.",
            ),
        ];
        let first = wrong.iter().find(|(is_wrong, _)| *is_wrong);
        first.map_or(Ok(()), |(_, message)| Err(Failure::err(*message)))
    }

    /// The group that was named in any of three places.
    fn group(
        &self,
        file: Option<&std::path::Path>,
        more: &[String],
    ) -> Result<Option<String>, Failure> {
        let mut groups: Vec<String> = self.group.iter().cloned().collect();
        for properties in [key_values(file, &[])?, key_values(None, more)?] {
            groups.extend(properties.get("group.id").cloned());
        }
        groups.sort();
        groups.dedup();
        if groups.len() > 1 {
            let names: Vec<String> = groups.iter().map(|group| format!("'{group}'")).collect();
            return Err(Failure::err(format!(
                "The group ids provided in different places (directly using '--group', via '--consumer-property', or via \
                 '--consumer.config') do not match. Detected group ids: {}",
                names.join(", ")
            )));
        }
        if !groups.is_empty() && self.partition.is_some() {
            let message = "Options group and partition cannot be specified together.";
            return Err(Failure::err(message));
        }
        Ok(groups.pop())
    }

    fn consumer(
        &self,
        properties: &ClientProperties,
        group: Option<String>,
    ) -> Result<ConsumerConfig, Failure> {
        if properties.get("group.protocol").is_some_and(|it| !it.eq_ignore_ascii_case("classic")) {
            let message = "group.protocol=consumer is not supported by this tool, only classic is";
            return Err(Failure::err(message));
        }
        let strategy = properties.get("partition.assignment.strategy").unwrap_or("range");
        if !strategy.to_ascii_lowercase().contains("range") {
            return Err(Failure::err(format!(
                "partition.assignment.strategy={strategy} is not supported by this tool, only that of RangeAssignor is"
            )));
        }
        let level = self.isolation_level.as_deref().or(properties.get("isolation.level"));
        let isolation_level = match level.unwrap_or("read_uncommitted") {
            "read_committed" => READ_COMMITTED,
            "read_uncommitted" => READ_UNCOMMITTED,
            other => {
                return Err(invalid(
                    "isolation.level",
                    other,
                    "String must be one of: read_committed, read_uncommitted",
                ));
            }
        };
        let commits = properties.get("enable.auto.commit").unwrap_or(match group {
            Some(_) => "true",
            None => "false",
        });
        let ms = |key, default| properties.number(key, default).map(Duration::from_millis);
        let bytes = |key, default| {
            Ok::<_, Failure>(properties.number(key, default)?.min(i32::MAX as u64) as i32)
        };
        let interval = ms("auto.commit.interval.ms", 5000)?;
        let own = || format!("console-consumer-{}", fastrand::u32(..GROUP_NUMBERS));
        Ok(ConsumerConfig {
            subscription: self.subscription()?,
            membership: Membership {
                group: group.unwrap_or_else(own),
                instance_id: properties.get("group.instance.id").map(str::to_owned),
                session_timeout: ms("session.timeout.ms", 45_000)?,
                rebalance_timeout: ms("max.poll.interval.ms", 300_000)?,
            },
            heartbeat_interval: ms("heartbeat.interval.ms", 3000)?,
            reset: self.reset(properties)?,
            commit_interval: commits.eq_ignore_ascii_case("true").then_some(interval),
            isolation_level,
            max_wait_ms: bytes("fetch.max.wait.ms", 500)?,
            min_bytes: bytes("fetch.min.bytes", 1)?,
            max_bytes: bytes("fetch.max.bytes", 52_428_800)?,
            partition_max_bytes: bytes("max.partition.fetch.bytes", 1_048_576)?,
            checks_crc: properties.get("check.crcs") != Some("false"),
            metadata_max_age: ms("metadata.max.age.ms", 300_000)?,
            warn,
        })
    }

    fn subscription(&self) -> Result<Subscription, Failure> {
        let Some(topic) = self.topic.clone() else {
            let pattern = self.include.as_deref().unwrap_or_default();
            let pattern = Regex::new(&format!("^(?:{pattern})$"));
            let failed =
                |error| Failure::err(format!("Unknown error when running consumer: {error}"));
            return Ok(Subscription::Pattern(pattern.map_err(failed)?));
        };
        let Some(partition) = self.partition else { return Ok(Subscription::Topic(topic)) };
        let reset = match self.offset.as_deref().map(str::to_ascii_lowercase).as_deref() {
            None if self.from_beginning => Reset::Earliest,
            None | Some("latest") => Reset::Latest,
            Some("earliest") => Reset::Earliest,
            Some(text) => Reset::At(text.parse().ok().filter(|offset| *offset >= 0).ok_or_else(|| {
                Failure::err(format!(
                    "The provided offset value '{text}' is incorrect. Valid values are 'earliest', 'latest', or a \
                     non-negative long."
                ))
            })?),
        };
        Ok(Subscription::Partition((topic, partition), reset))
    }

    fn reset(&self, properties: &ClientProperties) -> Result<Option<Reset>, Failure> {
        let Some(text) = properties.get("auto.offset.reset") else {
            return Ok(Some(if self.from_beginning { Reset::Earliest } else { Reset::Latest }));
        };
        if self.from_beginning && text != "earliest" {
            return Err(Failure::err(format!(
                "Can't simultaneously specify --from-beginning and 'auto.offset.reset={text}', please remove one option"
            )));
        }
        let ago = || duration_seconds(text.strip_prefix("by_duration:")?).filter(|it| *it >= 0.0);
        match text {
            "earliest" => Ok(Some(Reset::Earliest)),
            "latest" => Ok(Some(Reset::Latest)),
            "none" => Ok(None),
            _ => match ago() {
                Some(seconds) => Ok(Some(Reset::ByDuration((seconds * 1000.0) as i64))),
                None => {
                    Err(invalid("auto.offset.reset", text, "Invalid value for auto.offset.reset"))
                }
            },
        }
    }

    fn formatter(&self) -> Result<Formatter, Failure> {
        let mut properties = key_values(self.formatter_config.as_deref(), &[])?;
        let classes = [
            ("key.deserializer", &self.key_deserializer),
            ("value.deserializer", &self.value_deserializer),
        ];
        for (key, class) in classes {
            if let Some(class) = class.clone().filter(|class| !class.is_empty()) {
                properties.insert(key.to_owned(), class);
            }
        }
        let more = [&self.formatter_property[..], &self.property].concat();
        properties.extend(key_values(None, &more)?);
        Formatter::new(&self.formatter, &properties)
    }
}

fn tell_old(old: &str, new: &str) {
    let future = "is deprecated and will be removed in a future version.";
    print_line(&format!("Option {old} {future} Use {new} instead."));
}

fn invalid(key: &str, value: &str, why: &str) -> Failure {
    Failure::err(format!(
        "Unknown error when running consumer: org.apache.kafka.common.config.ConfigException: Invalid value {value} for \
         configuration {key}: {why}"
    ))
}
