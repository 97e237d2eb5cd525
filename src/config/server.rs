//! What `server.properties` and `--override` say about this broker.

use std::fmt;
use std::path::PathBuf;

use super::describe::is_kafka_key;
use super::listeners::{Listener, check_ports, parse_list};
use super::properties::parse_properties;
use super::row::{ConfigError, Row, Values};
use super::server_rows::SERVER_ROWS;
use super::{BrokerLayers, ConfigMap, TopicConfig};

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
    /// The first controller listener, as advertised if it is. Never opened; the metadata's
    /// voter and controller records name it.
    pub controller_listener: Option<Listener>,
    /// `controller.quorum.voters`: if not empty, a new data directory gets the static form of
    /// the quorum, else the form of `kafka-storage format --standalone`. Only this node.
    pub quorum_voters: Vec<Voter>,
    /// `log.dirs`, else `log.dir`; at least one.
    pub log_dirs: Vec<PathBuf>,
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
    /// `max.incremental.fetch.session.cache.slots`.
    pub fetch_session_cache_slots: usize,
    /// `producer.id.expiration.ms`; at least 1.
    pub producer_id_expiration_ms: i64,
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
        let without_row = explicit.keys().filter(|key| Self::row(key).is_none());
        let notice = |key: &String| {
            let notice = if is_kafka_key(key) {
                Notice::NotSupported
            } else {
                Notice::Unknown
            };
            notice(key.clone())
        };
        let notices = without_row.map(notice).collect();
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
            explicit
                .get(row.name)
                .cloned()
                .or(row.default.map(str::to_owned))
        })
        .map_err(name_what_is_allowed)?;
        check_roles(&values)?;
        check_topic_defaults(&values, &explicit)?;
        let node_id = node_id(&values)?;
        let sockets = Sockets::read(&values, &explicit)?;
        let count = |name| usize::try_from(values.integer(name)).unwrap_or(0);
        let unless_negative = |name| usize::try_from(values.integer(name)).ok();
        Ok(Self {
            node_id,
            listeners: sockets.broker,
            advertised_listeners: sockets.advertised,
            controller_listener: sockets.controller,
            quorum_voters: voters(values.list("controller.quorum.voters"), node_id)?,
            log_dirs: values
                .list("log.dirs")
                .or(values.list("log.dir"))
                .unwrap_or_default()
                .iter()
                .map(PathBuf::from)
                .collect(),
            num_partitions: values.integer("num.partitions") as i32,
            default_replication_factor: i16::try_from(values.integer("default.replication.factor"))
                .unwrap_or(i16::MAX),
            auto_create_topics_enable: values.boolean("auto.create.topics.enable"),
            delete_topic_enable: values.boolean("delete.topic.enable"),
            socket_request_max_bytes: count("socket.request.max.bytes"),
            queued_max_request_bytes: unless_negative("queued.max.request.bytes"),
            socket_send_buffer_bytes: unless_negative("socket.send.buffer.bytes"),
            socket_receive_buffer_bytes: unless_negative("socket.receive.buffer.bytes"),
            socket_listen_backlog_size: values.integer("socket.listen.backlog.size") as i32,
            connections_max_idle_ms: u64::try_from(values.integer("connections.max.idle.ms")).ok(),
            fetch_max_bytes: count("fetch.max.bytes"),
            fetch_session_cache_slots: count("max.incremental.fetch.session.cache.slots"),
            producer_id_expiration_ms: values.integer("producer.id.expiration.ms"),
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
fn name_what_is_allowed(error: ConfigError) -> ConfigError {
    let ConfigError::Invalid { key, value, reason } = error else {
        return error;
    };
    let allowed = ServerConfig::row(&key)
        .map(Row::valid_values)
        .unwrap_or_default();
    let silent = reason.starts_with("Not a number") && !allowed.is_empty();
    let reason = if silent {
        format!("{reason}, allowed: {allowed}")
    } else {
        reason
    };
    ConfigError::Invalid { key, value, reason }
}

fn node_id(values: &Values) -> Result<i32, ConfigError> {
    let node_id = values.integer("node.id");
    let broker_id = values.integer("broker.id");
    if broker_id != -1 && broker_id != node_id {
        let reason = format!("it must be the same as node.id, {node_id}");
        return Err(ConfigError::invalid("broker.id", broker_id, reason));
    }
    Ok(node_id as i32)
}

fn check_roles(values: &Values) -> Result<(), ConfigError> {
    let roles = values.list("process.roles").unwrap_or_default();
    if roles.iter().any(|role| role == "broker") {
        return Ok(());
    }
    let reason = "it must include broker: a node of this kind is always one";
    Err(ConfigError::invalid(
        "process.roles",
        roles.join(","),
        reason,
    ))
}

/// Checks what topics inherit, so that no topic fails on it later.
fn check_topic_defaults(values: &Values, explicit: &ConfigMap) -> Result<(), ConfigError> {
    for name in [
        "log.retention.ms",
        "log.retention.minutes",
        "log.retention.hours",
    ] {
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
            Some(Voter {
                node_id: id.parse().ok()?,
                host: host.to_owned(),
                port,
            })
        };
        let form = || ConfigError::invalid(key, entry, "a voter is id@host:port");
        let voter = parse()
            .filter(|voter| !voter.host.is_empty())
            .ok_or_else(form)?;
        if voter.node_id != node_id || !voters.is_empty() {
            let reason = format!("the only voter can be this node, node.id {node_id}");
            return Err(ConfigError::invalid(key, entry, reason));
        }
        voters.push(voter);
    }
    Ok(voters)
}

/// The three kinds of listeners.
struct Sockets {
    broker: Vec<Listener>,
    advertised: Option<Vec<Listener>>,
    controller: Option<Listener>,
}

impl Sockets {
    fn read(values: &Values, explicit: &ConfigMap) -> Result<Self, ConfigError> {
        let names = values.list("controller.listener.names").unwrap_or_default();
        let names: Vec<String> = names.iter().map(|name| name.to_uppercase()).collect();
        let of_controller = |listener: &Listener| names.contains(&listener.name);
        let all = parse_list("listeners", values.list("listeners").unwrap_or_default())?;
        check_ports("listeners", &all)?;
        let (controller, broker): (Vec<_>, Vec<_>) = all.iter().cloned().partition(of_controller);
        check_protocols(values, explicit, &broker)?;
        if broker.is_empty() {
            return Err(ConfigError::invalid(
                "listeners",
                values.list("listeners").unwrap_or_default().join(","),
                "at least one listener must not be named in controller.listener.names",
            ));
        }
        // An empty list says as little as no list.
        let list = values
            .list("advertised.listeners")
            .filter(|list| !list.is_empty());
        let advertised = list
            .map(|list| parse_list("advertised.listeners", list))
            .transpose()?;
        let (told_controller, advertised) = match advertised {
            Some(listeners) => {
                let (controller, broker): (Vec<_>, Vec<_>) =
                    listeners.into_iter().partition(of_controller);
                check_advertised(&broker, &all)?;
                (controller, Some(broker))
            }
            None => (Vec::new(), None),
        };
        check_inter_broker(values, advertised.as_deref().unwrap_or(&broker))?;
        let controller = told_controller.into_iter().chain(controller).next();
        Ok(Self {
            broker,
            advertised,
            controller,
        })
    }
}

/// Each listener to open needs a protocol, and it must be `PLAINTEXT` (Kafka:
/// `effectiveListenerSecurityProtocolMap`).
fn check_protocols(
    values: &Values,
    explicit: &ConfigMap,
    broker: &[Listener],
) -> Result<(), ConfigError> {
    let key = "listener.security.protocol.map";
    let text = values.text(key).unwrap_or_default();
    let mut protocols = ConfigMap::new();
    for entry in text
        .split(',')
        .map(str::trim)
        .filter(|entry| !entry.is_empty())
    {
        let Some((name, protocol)) = entry.rsplit_once(':') else {
            return Err(ConfigError::invalid(
                key,
                entry,
                "an entry is NAME:PROTOCOL",
            ));
        };
        let protocol = protocol.trim().to_uppercase();
        if !["PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL"].contains(&protocol.as_str()) {
            let reason = "the protocol must be PLAINTEXT, SSL, SASL_PLAINTEXT or SASL_SSL";
            return Err(ConfigError::invalid(key, entry, reason));
        }
        protocols.insert(name.trim().to_uppercase(), protocol);
    }
    for listener in broker {
        let reason = match protocols.get(&listener.name).map(String::as_str) {
            Some("PLAINTEXT") => continue,
            Some(protocol) => {
                format!("{protocol} is not supported yet, only PLAINTEXT is")
            }
            None => {
                let whose = if explicit.contains_key(key) {
                    ""
                } else {
                    "the default "
                };
                format!("No security protocol defined for it in {whose}{key}")
            }
        };
        return Err(ConfigError::invalid("listeners", &listener.name, reason));
    }
    Ok(())
}

/// Kafka's rules for advertised listeners of a broker.
fn check_advertised(advertised: &[Listener], all: &[Listener]) -> Result<(), ConfigError> {
    let key = "advertised.listeners";
    let known = |name: &str| all.iter().any(|listener| listener.name == name);
    let names: Vec<&str> = all.iter().map(|listener| listener.name.as_str()).collect();
    if advertised.is_empty() {
        let reason = "There must be at least one broker advertised listener";
        return Err(ConfigError::invalid(key, "", reason));
    }
    for listener in advertised {
        if !known(&listener.name) {
            let reason = format!("its name must be one of listeners: {}", names.join(","));
            return Err(ConfigError::invalid(key, &listener.name, reason));
        }
        if listener.host.as_deref() == Some("0.0.0.0") {
            let reason = "clients cannot connect to 0.0.0.0: name a host or address of this node";
            return Err(ConfigError::invalid(key, "0.0.0.0", reason));
        }
    }
    Ok(())
}

fn check_inter_broker(values: &Values, advertised: &[Listener]) -> Result<(), ConfigError> {
    let key = "inter.broker.listener.name";
    let name = values.text(key).unwrap_or_default().to_uppercase();
    let names: Vec<&str> = advertised
        .iter()
        .map(|listener| listener.name.as_str())
        .collect();
    if name.is_empty() || names.contains(&name.as_str()) {
        return Ok(());
    }
    let reason = format!(
        "it must be an advertised broker listener: {}",
        names.join(",")
    );
    Err(ConfigError::invalid(key, name, reason))
}

#[cfg(test)]
#[path = "server_tests.rs"]
mod tests;
