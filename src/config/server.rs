//! What `server.properties` and `--override` say about this broker.

use std::fmt;
use std::path::PathBuf;

use super::describe::is_kafka_key;
use super::group::{self, GroupConfig};
use super::listeners::{Listener, Sockets};
use super::properties::parse_properties;
use super::row::{ConfigError, Effect, Row, Values};
use super::server_rows::SERVER_ROWS;
use super::transaction::TransactionConfig;
use super::{BrokerLayers, ConfigMap, TopicConfig};

/// When retention is applied. Times are milliseconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RetentionTiming {
    /// `log.initial.task.delay.ms`: from the start to the first time.
    pub initial_delay_ms: u64,
    /// `log.retention.check.interval.ms`; at least 1.
    pub interval_ms: u64,
}

/// A fixed member of the metadata quorum.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Voter {
    /// Its node id.
    pub node_id: i32,
    /// Where it is reached.
    pub host: String,
    /// Its port.
    pub port: u16,
}

/// A broker's configuration, read. Sizes are bytes, times milliseconds.
#[derive(Clone, Debug)]
pub struct ServerConfig {
    /// `node.id`, 0 or more.
    pub node_id: i32,
    /// Sockets to open: `listeners` without those named in `controller.listener.names`.
    pub listeners: Vec<Listener>,
    /// `advertised.listeners` without controller listeners. None: a client is told the address
    /// it used.
    pub advertised_listeners: Option<Vec<Listener>>,
    /// `gateway.advertised.host`: what a client is told that comes from the default gateway, where nothing is advertised.
    pub gateway_advertised_host: Option<String>,
    /// The first controller listener, as advertised if it is. Never opened; the metadata's
    /// voter and controller records name it.
    pub controller_listener: Option<Listener>,
    /// `controller.quorum.voters`: if not empty, a new data directory gets the static form of
    /// the quorum, else the form of `kafka-storage format --standalone`. Only this node.
    pub quorum_voters: Vec<Voter>,
    /// `log.dirs`, else `log.dir`; at least one.
    pub log_dirs: Vec<PathBuf>,
    /// `metadata.log.dir`; None for the first of [`Self::log_dirs`].
    pub metadata_log_dir: Option<PathBuf>,
    /// `num.partitions`; at least 1.
    pub num_partitions: i32,
    /// `default.replication.factor`; at least 1.
    pub default_replication_factor: i16,
    /// `auto.create.topics.enable`.
    pub auto_create_topics_enable: bool,
    /// `delete.topic.enable`.
    pub delete_topic_enable: bool,
    /// `socket.request.max.bytes`; at least 1.
    pub socket_request_max_bytes: usize,
    /// `queued.max.request.bytes`; None lets the broker choose.
    pub queued_max_request_bytes: Option<usize>,
    /// `socket.send.buffer.bytes`; None keeps the system's.
    pub socket_send_buffer_bytes: Option<usize>,
    /// `socket.receive.buffer.bytes`; None keeps the system's.
    pub socket_receive_buffer_bytes: Option<usize>,
    /// `socket.listen.backlog.size`; at least 1.
    pub socket_listen_backlog_size: i32,
    /// `connections.max.idle.ms`; None for never.
    pub connections_max_idle_ms: Option<u64>,
    /// `fetch.max.bytes`; at least 1024.
    pub fetch_max_bytes: usize,
    /// `max.request.partition.size.limit`; at least 1.
    pub max_request_partition_size_limit: usize,
    /// `max.incremental.fetch.session.cache.slots`.
    pub fetch_session_cache_slots: usize,
    /// What groups act on.
    pub groups: GroupConfig,
    /// `offsets.topic.num.partitions`; at least 1.
    pub offsets_topic_num_partitions: i32,
    /// `offsets.topic.segment.bytes`; at least 1.
    pub offsets_topic_segment_bytes: i32,
    /// What transactions act on.
    pub transactions: TransactionConfig,
    /// `transaction.state.log.num.partitions`; at least 1.
    pub transaction_state_log_num_partitions: i32,
    /// `transaction.state.log.segment.bytes`; at least 1.
    pub transaction_state_log_segment_bytes: i32,
    /// `num.recovery.threads.per.data.dir`: partitions opened at the same time; at least 1.
    pub recovery_threads: usize,
    /// When retention is applied.
    pub retention_timing: RetentionTiming,
    /// Every key that was set, with its text: the [`BrokerLayers::fixed`] layer, from which topics
    /// inherit. `node.id` and `broker.id` stand in for each other, as in Kafka.
    pub explicit: ConfigMap,
}

/// Something to log about the configuration once logging is up.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Notice {
    /// A key of Kafka's whose feature does not exist yet. Information.
    NotSupported(String),
    /// A key that neither Kafka nor this broker has. A warning.
    Unknown(String),
}

impl Notice {
    fn new(key: String) -> Self {
        if is_kafka_key(&key) {
            return Self::NotSupported(key);
        }
        Self::Unknown(key)
    }
}

impl fmt::Display for Notice {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotSupported(key) => write!(formatter, "{key}: not supported yet, ignored"),
            Self::Unknown(key) => write!(formatter, "{key}: unknown configuration key, ignored"),
        }
    }
}

impl Default for ServerConfig {
    fn default() -> Self {
        Self::from_map(ConfigMap::new()).expect("the defaults are valid")
    }
}

impl ServerConfig {
    /// Reads a properties file's text and what was given after it, which wins.
    pub fn load(
        text: &str,
        overrides: impl IntoIterator<Item = (String, String)>,
    ) -> Result<(Self, Vec<Notice>), ConfigError> {
        let mut explicit = parse_properties(text)?;
        explicit.extend(overrides);
        let is_in_vain =
            |key: &&String| Self::row(key).is_none_or(|row| row.effect == Effect::Nothing);
        let notices = explicit.keys().filter(is_in_vain).cloned().map(Notice::new).collect();
        Ok((Self::from_map(explicit)?, notices))
    }

    /// The row of a broker key.
    pub fn row(name: &str) -> Option<&'static Row> {
        SERVER_ROWS.iter().find(|row| row.name == name)
    }

    /// All broker keys that have a row.
    pub fn rows() -> &'static [Row] {
        SERVER_ROWS
    }

    /// Reads a set of keys. Keys without a row are kept and passed over.
    pub fn from_map(mut explicit: ConfigMap) -> Result<Self, ConfigError> {
        normalize(&mut explicit);
        let values = Values::read(SERVER_ROWS, |row| {
            explicit.get(row.name).cloned().or(row.default.map(str::to_owned))
        })
        .map_err(name_what_is_allowed)?;
        check_topic_defaults(&values, &explicit)?;
        group::check(&values)?;
        let node_id = node_id(&values)?;
        let sockets = Sockets::read(&values)?;
        let count = |name| usize::try_from(values.integer(name)).unwrap_or(0);
        let unless_negative = |name| usize::try_from(values.integer(name)).ok();
        // Kafka's default for receiving would only switch off the system's own tuning. That for sending bounds how long one
        // answer keeps a thread from the others.
        let if_set = |name| explicit.get(name).and_then(|_| unless_negative(name));
        Ok(Self {
            node_id,
            listeners: sockets.broker,
            advertised_listeners: sockets.advertised,
            gateway_advertised_host: values.text("gateway.advertised.host").map(str::to_owned),
            controller_listener: sockets.controller,
            quorum_voters: voters(values.list("controller.quorum.voters"), node_id)?,
            log_dirs: values
                .list("log.dirs")
                .or(values.list("log.dir"))
                .unwrap_or_default()
                .iter()
                .map(PathBuf::from)
                .collect(),
            metadata_log_dir: values.text("metadata.log.dir").map(PathBuf::from),
            num_partitions: values.integer("num.partitions") as i32,
            default_replication_factor: i16::try_from(values.integer("default.replication.factor"))
                .unwrap_or(i16::MAX),
            auto_create_topics_enable: values.boolean("auto.create.topics.enable"),
            delete_topic_enable: values.boolean("delete.topic.enable"),
            socket_request_max_bytes: count("socket.request.max.bytes"),
            queued_max_request_bytes: unless_negative("queued.max.request.bytes"),
            socket_send_buffer_bytes: unless_negative("socket.send.buffer.bytes"),
            socket_receive_buffer_bytes: if_set("socket.receive.buffer.bytes"),
            socket_listen_backlog_size: values.integer("socket.listen.backlog.size") as i32,
            connections_max_idle_ms: u64::try_from(values.integer("connections.max.idle.ms")).ok(),
            fetch_max_bytes: count("fetch.max.bytes"),
            max_request_partition_size_limit: count("max.request.partition.size.limit"),
            fetch_session_cache_slots: count("max.incremental.fetch.session.cache.slots"),
            groups: GroupConfig::read(&values),
            offsets_topic_num_partitions: values.integer("offsets.topic.num.partitions") as i32,
            offsets_topic_segment_bytes: values.integer("offsets.topic.segment.bytes") as i32,
            transactions: TransactionConfig::read(&values),
            transaction_state_log_num_partitions: values
                .integer("transaction.state.log.num.partitions")
                as i32,
            transaction_state_log_segment_bytes: values
                .integer("transaction.state.log.segment.bytes")
                as i32,
            recovery_threads: count("num.recovery.threads.per.data.dir"),
            retention_timing: RetentionTiming {
                initial_delay_ms: count("log.initial.task.delay.ms") as u64,
                interval_ms: count("log.retention.check.interval.ms") as u64,
            },
            explicit,
        })
    }
}

/// `node.id` and `broker.id` stand in for each other; a listener list may end with a comma, as
/// container set-ups write it.
fn normalize(explicit: &mut ConfigMap) {
    for (from, to) in [("node.id", "broker.id"), ("broker.id", "node.id")] {
        if let (Some(id), None) = (explicit.get(from), explicit.get(to)) {
            explicit.insert(to.to_owned(), id.clone());
        }
    }
    for key in ["listeners", "advertised.listeners"] {
        if let Some(list) = explicit.get_mut(key) {
            *list = list.trim_end_matches([',', ' ']).to_owned();
        }
    }
}

/// Adds what is allowed where the reason does not say so by itself.
fn name_what_is_allowed(mut error: ConfigError) -> ConfigError {
    if let ConfigError::Invalid { key, reason, .. } = &mut error
        && reason.starts_with("Not a number")
        && let Some(allowed) = ServerConfig::row(key).map(Row::valid_values)
        && !allowed.is_empty()
    {
        *reason = format!("{reason}, allowed: {allowed}");
    }
    error
}

fn node_id(values: &Values) -> Result<i32, ConfigError> {
    let roles = values.list("process.roles").unwrap_or_default();
    if !roles.iter().any(|role| role == "broker") {
        let reason = "it must include broker: a node of this kind is always one";
        return Err(ConfigError::invalid("process.roles", roles.join(","), reason));
    }
    let node_id = values.integer("node.id");
    let broker_id = values.integer("broker.id");
    if broker_id != -1 && broker_id != node_id {
        let reason = format!("it must be the same as node.id, {node_id}");
        return Err(ConfigError::invalid("broker.id", broker_id, reason));
    }
    Ok(node_id as i32)
}

/// Checks what topics inherit, so that no topic fails on it later.
fn check_topic_defaults(values: &Values, explicit: &ConfigMap) -> Result<(), ConfigError> {
    for name in ["log.retention.ms", "log.retention.minutes", "log.retention.hours"] {
        if values.optional_integer(name) == Some(0) {
            let reason = "Value must be unlimited (-1) or at least 1";
            return Err(ConfigError::invalid(name, 0, reason));
        }
    }
    TopicConfig::validate(&ConfigMap::new(), &BrokerLayers::fixed(explicit)).map(|_| ())
}

/// `controller.quorum.voters`: `id@host:port`. This node keeps the metadata alone, so it is the
/// only voter there can be.
fn voters(entries: Option<&[String]>, node_id: i32) -> Result<Vec<Voter>, ConfigError> {
    let key = "controller.quorum.voters";
    let mut voters = Vec::new();
    for entry in entries.unwrap_or_default() {
        let parse = || {
            let (id, address) = entry.split_once('@')?;
            let (host, port) = address.rsplit_once(':')?;
            let host = host.trim_start_matches('[').trim_end_matches(']');
            let port = port.parse().ok()?;
            Some(Voter { node_id: id.parse().ok()?, host: host.to_owned(), port })
        };
        let form = || ConfigError::invalid(key, entry, "a voter is id@host:port");
        let voter = parse().filter(|voter| !voter.host.is_empty()).ok_or_else(form)?;
        if voter.node_id != node_id || !voters.is_empty() {
            let reason = format!(
                "a quorum of several nodes is not supported; the only voter can be this node, node.id {node_id}"
            );
            return Err(ConfigError::invalid(key, entry, reason));
        }
        voters.push(voter);
    }
    Ok(voters)
}

#[cfg(test)]
#[path = "server_tests.rs"]
mod tests;
