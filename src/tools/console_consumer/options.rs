//! The options of `kafka-console-consumer`.

use std::path::Path;
use std::time::Duration;

use regex::Regex;

use super::formatter::Formatter;
use crate::client::{
    ConsumerConfig, Membership, READ_COMMITTED, READ_UNCOMMITTED, Reset, Subscription,
};
use crate::config::duration_seconds;
use crate::tools::flags::{Flags, Row};
use crate::tools::reach::warn;
use crate::tools::{ClientProperties, Failure, key_values, print_line};

/// Groups that nobody named have a number below.
const GROUP_NUMBERS: u32 = 100_000;
const FORMATTER: &str = "org.apache.kafka.tools.consumer.DefaultMessageFormatter";

/// Its options.
#[rustfmt::skip]
pub(crate) const OPTIONS: &[Row] = &[
    ("topic", "topic", "Topic to read"),
    ("include", "regex", "Read all topics whose whole name matches this regular expression"),
    ("partition", "partition", "Read this partition alone, without a group"),
    ("offset", "offset", "Where to begin in the partition: an offset, earliest or latest"),
    ("from-beginning", "", "Begin with the first record where the group has no offset"),
    ("max-messages", "count", "End after so many records"),
    ("timeout-ms", "ms", "End when nothing comes for so long"),
    ("group", "group", "Group of the consumer; without one it makes one up and commits nothing"),
    ("bootstrap-server", "servers", "Brokers to begin with: host:port, separated by commas"),
    ("formatter", "class", "Class that prints records: DefaultMessageFormatter (unless named), LoggingMessageFormatter, NoOpMessageFormatter"),
    ("formatter-property", "key=value...", "Setting of the formatter: print.timestamp, print.key, print.offset, print.partition, print.epoch, \
     print.headers, print.value, key.separator, line.separator, headers.separator, null.literal, key.deserializer, \
     value.deserializer, headers.deserializer"),
    ("property", "key=value...", "Old name of --formatter-property"),
    ("formatter-config", "file", "File with settings of the formatter"),
    ("key-deserializer", "class", "Class that reads keys: those of Kafka for strings, bytes, numbers, booleans and UUIDs"),
    ("value-deserializer", "class", "Class that reads values"),
    ("command-property", "key=value...", "Setting of the consumer"),
    ("consumer-property", "key=value...", "Old name of --command-property"),
    ("command-config", "file", "File with settings of the consumer"),
    ("consumer.config", "file", "Old name of --command-config"),
    ("skip-message-on-error", "", "Skip a record that cannot be printed"),
    ("isolation-level", "level", "Which records of transactions to read: read_committed or read_uncommitted"),
    ("enable-systest-events", "", "Say on standard output when it has ended on a signal"),
];
/// Options by old names and by new ones, in the order in which Kafka's tool looks at them.
const RENAMED: [(&str, &str); 3] = [
    ("consumer-property", "command-property"),
    ("consumer.config", "command-config"),
    ("property", "formatter-property"),
];

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

/// Reads all options, in Kafka's order and words.
pub(super) fn plan(flags: &Flags) -> Result<Plan, Failure> {
    check(flags)?;
    let [property, config, formatter_property] = RENAMED;
    tell_old(flags, property);
    tell_old(flags, config);
    let file = flags.get(config.1).or(flags.get(config.0)).map(Path::new);
    let more = flags.either(property);
    let group = group(flags, file, &more)?;
    let properties = ClientProperties::read(file, &more)?;
    let consumer = consumer(flags, &properties, group)?;
    let formatter = formatter(flags)?;
    tell_old(flags, formatter_property);
    let count = flags.number::<i32>("max-messages")?;
    let timeout_ms = flags.number::<i64>("timeout-ms")?.and_then(|ms| u64::try_from(ms).ok());
    Ok(Plan {
        client_id: properties.get("client.id").unwrap_or("console-consumer").to_owned(),
        request_timeout: properties.request_timeout()?,
        consumer,
        formatter,
        messages_max: count.and_then(|count| u64::try_from(count).ok()),
        timeout: timeout_ms.map(Duration::from_millis),
    })
}

fn check(flags: &Flags) -> Result<(), Failure> {
    let [topic, partition, offset] = ["topic", "partition", "offset"].map(|flag| flags.has(flag));
    let wrong = [
        (
            topic == flags.has("include"),
            "Exactly one of the following arguments is required: [topic], [include]",
        ),
        (partition && !topic, "The topic is required when partition is specified."),
        (
            partition && offset && flags.has("from-beginning"),
            "Options from-beginning and offset cannot be specified together.",
        ),
        (offset && !partition, "The partition is required when offset is specified."),
    ];
    if let Some((_, message)) = wrong.iter().find(|(is_wrong, _)| *is_wrong) {
        return Err(Failure::err(*message));
    }
    flags.require("bootstrap-server")?;
    match RENAMED.iter().find(|(old, new)| flags.has(old) && flags.has(new)) {
        None => Ok(()),
        Some((old, new)) => {
            Err(Failure::err(format!("Options --{old} and --{new} cannot be specified together.")))
        }
    }
}

/// The group that was named in any of three places.
fn group(flags: &Flags, file: Option<&Path>, more: &[String]) -> Result<Option<String>, Failure> {
    let mut groups: Vec<String> = flags.get("group").map(str::to_owned).into_iter().collect();
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
    if !groups.is_empty() && flags.has("partition") {
        let message = "Options group and partition cannot be specified together.";
        return Err(Failure::err(message));
    }
    Ok(groups.pop())
}

fn consumer(
    flags: &Flags,
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
    let level = flags.get("isolation-level").or(properties.get("isolation.level"));
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
        subscription: subscription(flags)?,
        membership: Membership {
            group: group.unwrap_or_else(own),
            instance_id: properties.get("group.instance.id").map(str::to_owned),
            session_timeout: ms("session.timeout.ms", 45_000)?,
            rebalance_timeout: ms("max.poll.interval.ms", 300_000)?,
        },
        heartbeat_interval: ms("heartbeat.interval.ms", 3000)?,
        reset: reset(flags, properties)?,
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

fn subscription(flags: &Flags) -> Result<Subscription, Failure> {
    let Some(topic) = flags.get("topic").map(str::to_owned) else {
        let pattern = flags.get("include").unwrap_or_default();
        let pattern = Regex::new(&format!("^(?:{pattern})$"));
        let failed = |error| Failure::err(format!("Unknown error when running consumer: {error}"));
        return Ok(Subscription::Pattern(pattern.map_err(failed)?));
    };
    let Some(partition) = flags.number("partition")? else {
        return Ok(Subscription::Topic(topic));
    };
    let reset = match flags.get("offset").map(str::to_ascii_lowercase).as_deref() {
        None if flags.has("from-beginning") => Reset::Earliest,
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

fn reset(flags: &Flags, properties: &ClientProperties) -> Result<Option<Reset>, Failure> {
    let from_beginning = flags.has("from-beginning");
    let Some(text) = properties.get("auto.offset.reset") else {
        return Ok(Some(if from_beginning { Reset::Earliest } else { Reset::Latest }));
    };
    if from_beginning && text != "earliest" {
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
            None => Err(invalid("auto.offset.reset", text, "Invalid value for auto.offset.reset")),
        },
    }
}

fn formatter(flags: &Flags) -> Result<Formatter, Failure> {
    let mut properties = key_values(flags.get("formatter-config").map(Path::new), &[])?;
    for (option, key) in
        [("key-deserializer", "key.deserializer"), ("value-deserializer", "value.deserializer")]
    {
        if let Some(class) = flags.get(option).filter(|class| !class.is_empty()) {
            properties.insert(key.to_owned(), class.to_owned());
        }
    }
    properties.extend(key_values(None, &flags.either(RENAMED[2]))?);
    Formatter::new(flags.get("formatter").unwrap_or(FORMATTER), &properties)
}

fn tell_old(flags: &Flags, (old, new): (&str, &str)) {
    if flags.has(old) {
        let future = "is deprecated and will be removed in a future version.";
        print_line(&format!("Option --{old} {future} Use --{new} instead."));
    }
}

fn invalid(key: &str, value: &str, why: &str) -> Failure {
    Failure::err(format!(
        "Unknown error when running consumer: org.apache.kafka.common.config.ConfigException: Invalid value {value} for \
         configuration {key}: {why}"
    ))
}
