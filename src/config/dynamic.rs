//! What may be set while the broker runs, and in which words the rest is refused
//! (Kafka: `DynamicBrokerConfig`, `GroupConfig`, `ClientMetricsConfigs`).
//!
//! A broker's keys that Kafka lets change but whose feature does not exist here - listeners, TLS,
//! SASL, plug-ins - are refused: to say yes and go on as before would be worse. Numbers that
//! only tune such a feature are kept.

use super::group_rows::{CLIENT_METRICS_ROWS, GROUP_ROWS};
use super::row::{ConfigError, Row, Values};
use super::server_rows::OTHER_KAFKA_KEYS;
use super::topic::effective;
use super::{BrokerLayers, ConfigMap, ServerConfig, TopicConfig};
use crate::env::java_hash_bucket;

/// Keys of a group that the broker's `group.*.min.*` and `group.*.max.*` keys bound, in the order in
/// which Kafka compares them.
const BOUNDED: [&str; 13] = [
    "consumer.heartbeat.interval.ms",
    "consumer.session.timeout.ms",
    "consumer.assignment.interval.ms",
    "share.heartbeat.interval.ms",
    "share.session.timeout.ms",
    "share.record.lock.duration.ms",
    "share.delivery.count.limit",
    "share.partition.max.record.locks",
    "share.assignment.interval.ms",
    "streams.heartbeat.interval.ms",
    "streams.session.timeout.ms",
    "streams.num.standby.replicas",
    "streams.assignment.interval.ms",
];
/// Groups that have keys of their own.
const KINDS: [&str; 3] = ["consumer", "share", "streams"];
/// Broker keys that may at most double or halve at a time (Kafka: `DynamicThreadPool`).
const THREADS: [&str; 4] = [
    "background.threads",
    "num.io.threads",
    "num.recovery.threads.per.data.dir",
    "num.replica.fetchers",
];

/// What Kafka says of changing a broker key while the broker runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Change {
    /// Yes, and so does this broker. Keys that nobody knows are among them.
    Allowed,
    /// No.
    Refused,
    /// Only below `listener.name.`: what TLS needs.
    OfOneListener,
    /// Of one broker, not of all at once; here it is not supported yet.
    OfOneBroker,
    /// Of one broker, too; kept, though there is nothing here that it tunes.
    IdleOfOneBroker,
    /// Yes, but here it is not supported yet.
    NotYet,
}

fn change(name: &str) -> Change {
    if name.starts_with("listener.name.")
        || ["listeners", "listener.security.protocol.map"].contains(&name)
    {
        return Change::OfOneBroker;
    }
    if let Some(row) = ServerConfig::row(name) {
        return if row.dynamic { Change::Allowed } else { Change::Refused };
    }
    let other = OTHER_KAFKA_KEYS.lines().find_map(|line| line.strip_prefix(name));
    match other {
        Some("") => Change::Refused,
        Some(" tls") => Change::OfOneListener,
        Some(" broker") => Change::OfOneBroker,
        Some(" idle") => Change::IdleOfOneBroker,
        Some(" dynamic") => Change::NotYet,
        _ => Change::Allowed,
    }
}

/// Checks what this broker, or with `of_all` every broker, is to have set instead of what it has in
/// `before`.
pub fn validate_broker(
    own: &ConfigMap,
    of_all: bool,
    before: &BrokerLayers,
) -> Result<(), ConfigError> {
    let refuse = |text: &str, refused: &[Change]| {
        let names = own.keys().map(String::as_str);
        let mut names: Vec<_> = names.filter(|name| refused.contains(&change(name))).collect();
        names.sort_by_key(|name| java_hash_bucket(name, 16));
        match names[..] {
            [] => Ok(()),
            _ => Err(ConfigError::Rule(format!("{text}: [{}]", names.join(", ")))),
        }
    };
    refuse("Cannot update these configs dynamically", &[Change::Refused])?;
    let text = "These security configs can be dynamically updated only per-listener using the \
                listener prefix";
    refuse(text, &[Change::OfOneListener])?;
    let read = |row: &&Row| own.get(row.name).map_or(Ok(()), |raw| row.parse(raw).map(drop));
    let is_late = |row: &&Row| row.name.starts_with("log.roll.");
    let (late, rows): (Vec<_>, Vec<_>) = ServerConfig::rows().iter().partition(is_late);
    rows.iter().try_for_each(read)?;
    check_requirements(own)?;
    late.iter().try_for_each(read)?;
    if of_all {
        let text = "Cannot update these configs at default cluster level, broker id must be \
                    specified";
        refuse(text, &[Change::OfOneBroker, Change::IdleOfOneBroker])?;
    }
    for not_yet in [Change::OfOneBroker, Change::NotYet] {
        refuse("Updating these configs dynamically is not supported yet", &[not_yet])?;
    }
    let after = match of_all {
        true => BrokerLayers { dynamic_default: own, ..*before },
        false => BrokerLayers { dynamic: own, ..*before },
    };
    check_threads(before, &after)?;
    check_cleaner_threads(before, &after)?;
    check_local_retention(&after)?;
    for kind in KINDS {
        let name = format!("group.{kind}.assignment.interval.ms");
        if own.contains_key(&name) {
            let bounds =
                ["min", "max"].map(|end| format!("group.{kind}.{end}.assignment.interval.ms"));
            check_bounds(&name, after.integer(&name), &bounds, &after)?;
        }
    }
    Ok(())
}

/// What the reference compares beside the types of values, in its own words.
fn check_requirements(own: &ConfigMap) -> Result<(), ConfigError> {
    let number = |key: &str| own.get(key)?.trim().parse::<i64>().ok();
    let be = match () {
        () if number("log.roll.ms").is_some_and(|ms| ms < 1) => {
            "log.roll.ms must be greater than or equal to 1"
        }
        () if number("log.roll.jitter.ms").is_some_and(|ms| ms < 0) => {
            "log.roll.jitter.ms must be greater than or equal to 0"
        }
        () if number("log.retention.ms") == Some(0) => {
            "log.retention.ms must be unlimited (-1) or, greater than or equal to 1"
        }
        () => return Ok(()),
    };
    Err(ConfigError::Rule(format!("requirement failed: {be}")))
}

/// Compares a key's value with those of the broker keys that bound it; a key that there is not
/// bounds nothing.
fn check_bounds(
    name: &str,
    value: i64,
    [least, most]: &[String; 2],
    layers: &BrokerLayers,
) -> Result<(), ConfigError> {
    if ServerConfig::row(least).is_some() && value < layers.integer(least) {
        return must(name, "greater than or equal to", least);
    }
    if value > layers.integer(most) {
        return must(name, "less than or equal to", most);
    }
    Ok(())
}

fn must(name: &str, be: &str, other: &str) -> Result<(), ConfigError> {
    Err(ConfigError::Rule(format!("{name} must be {be} {other}")))
}

/// A refusal of the reference that names an exception as the value of a key.
fn in_vain(text: impl std::fmt::Display) -> ConfigError {
    ConfigError::Rule(format!(
        "Invalid value org.apache.kafka.common.config.ConfigException: {text} for configuration \
         Invalid dynamic configuration"
    ))
}

fn check_threads(before: &BrokerLayers, after: &BrokerLayers) -> Result<(), ConfigError> {
    for key in THREADS {
        let (old, new) = (before.integer(key), after.integer(key));
        let wrong = match new {
            new if new < old / 2 => "at least half",
            new if new > old * 2 => "not be greater than double",
            _ => continue,
        };
        let be = if wrong.starts_with("not") { "" } else { "be " };
        return Err(in_vain(format!(
            "Dynamic thread count update validation failed for {key}={new}, value should {be}{wrong} \
             the current value {old}"
        )));
    }
    Ok(())
}

/// Kafka: `LogCleaner.validateReconfiguration`.
fn check_cleaner_threads(before: &BrokerLayers, after: &BrokerLayers) -> Result<(), ConfigError> {
    let [old, new] = [before, after].map(|layers| layers.integer("log.cleaner.threads"));
    let text = match new {
        new if new == old => return Ok(()),
        ..1 => "should be at least 1".to_owned(),
        new if new < old / 2 => {
            format!("cannot be reduced to less than half the current value {old}")
        }
        new if new > old * 2 => {
            format!("cannot be increased to more than double the current value {old}")
        }
        _ => return Ok(()),
    };
    Err(in_vain(format!("Log cleaner threads {text}")))
}

/// What stays on the local disk is a part of the whole (tiered storage).
fn check_local_retention(after: &BrokerLayers) -> Result<(), ConfigError> {
    let retention_ms = TopicConfig::resolve(&ConfigMap::new(), after)?.retention_ms;
    for (of_all, whole, of_local) in [
        ("log.retention.ms", retention_ms, "log.local.retention.ms"),
        ("log.retention.bytes", after.integer("log.retention.bytes"), "log.local.retention.bytes"),
    ] {
        let local = after.integer(of_local);
        let reason = match local {
            _ if whole < 0 => continue,
            -1 => format!("Value must not be -1 as {of_all} value is set as {whole}."),
            local if local > whole => {
                format!("Value must not be more than {of_all} property value: {whole}")
            }
            _ => continue,
        };
        return Err(in_vain(ConfigError::invalid(of_local, local, reason)));
    }
    Ok(())
}

/// Checks what a group is to have set.
pub fn validate_group(own: &ConfigMap, layers: &BrokerLayers) -> Result<(), ConfigError> {
    if let Some(unknown) = own.keys().find(|name| !GROUP_ROWS.iter().any(|row| row.name == **name))
    {
        return Err(ConfigError::UnknownGroupKey(unknown.clone()));
    }
    let values = Values::read(GROUP_ROWS, |row| effective(row, own, layers))?;
    let counts =
        |name: &&str| !name.ends_with(".assignment.interval.ms") || own.contains_key(*name);
    for name in BOUNDED.into_iter().filter(|name| counts(name)) {
        let (kind, rest) = name.split_once('.').unwrap_or_default();
        let rest = rest.trim_start_matches("num.");
        let bounds = ["min", "max"].map(|end| format!("group.{kind}.{end}.{rest}"));
        check_bounds(name, values.integer(name), &bounds, layers)?;
    }
    for kind in KINDS {
        let [session, heartbeat] =
            ["session.timeout.ms", "heartbeat.interval.ms"].map(|name| format!("{kind}.{name}"));
        if values.integer(&session) <= values.integer(&heartbeat) {
            return must(&session, "greater than", &heartbeat);
        }
    }
    Ok(())
}

/// Checks what a subscription to clients' metrics is to have set.
pub fn validate_client_metrics(own: &ConfigMap) -> Result<(), ConfigError> {
    const MATCHED: [&str; 6] = [
        "client_instance_id",
        "client_id",
        "client_software_name",
        "client_software_version",
        "client_source_address",
        "client_source_port",
    ];
    let is_known = |name: &&String| CLIENT_METRICS_ROWS.iter().any(|row| row.name == **name);
    if let Some(unknown) = own.keys().find(|name| !is_known(name)) {
        return Err(ConfigError::Request(format!(
            "Unknown client metrics configuration: {unknown}"
        )));
    }
    let values = Values::read(CLIENT_METRICS_ROWS, |row| own.get(row.name).cloned())?;
    if let Some(interval_ms) = values.optional_integer("interval.ms")
        && !(100..=3_600_000).contains(&interval_ms)
    {
        return Err(ConfigError::Request(format!(
            "Invalid value {interval_ms} for interval.ms, interval must be between 100 and 3600000 \
             (1 hour)"
        )));
    }
    for pattern in values.list("match").unwrap_or_default() {
        let parts: Vec<&str> = pattern.trim_end_matches('=').split('=').collect();
        let is_legal = matches!(parts[..], [name, _] if MATCHED.contains(&name.trim()));
        if !is_legal {
            return Err(ConfigError::Rule(format!("Illegal client matching pattern: {pattern}")));
        }
    }
    Ok(())
}

#[cfg(test)]
#[path = "dynamic_tests.rs"]
mod tests;
