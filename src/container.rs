//! The environment of a container as `server.properties`: what a start script of an image calls before the broker.
//!
//! The names are those of the images apache/kafka, confluentinc/cp-kafka, confluentinc/confluent-local (`KAFKA_*`) and
//! bitnami/kafka (`KAFKA_CFG_*`). A key is the name without its prefix in small letters, `_` for a dot, `__` for an
//! underscore, `___` for a dash (Kafka: `KafkaDockerWrapper`). Other than there a variable lies over the defaults and the
//! mounted file and never drops what is not named; a name that means nothing is left to the broker, which warns.

use std::fmt::Write as _;

use crate::config::{ConfigError, ConfigMap, parse_properties};

/// Where the data is if nothing says so, and nothing is mounted at [`MOUNTS`].
const DATA: &str = "/var/lib/kafka/data";
/// Where other images keep their data, and users mount volumes; with what is below the mount.
const MOUNTS: [(&str, &str); 4] = [
    ("/bitnami/kafka/data", "/bitnami/kafka/data"),
    ("/bitnami/kafka", "/bitnami/kafka/data"),
    ("/bitnami", "/bitnami/kafka/data"),
    ("/tmp/kraft-combined-logs", "/tmp/kraft-combined-logs"),
];
/// Variables that are for the JVM, the scripts of other images or other programs.
const NOT_KEYS: [&str; 19] = [
    "KAFKA_VERSION",
    "KAFKA_HOME",
    "KAFKA_HEAP_OPTS",
    "KAFKA_OPTS",
    "KAFKA_JMX_OPTS",
    "KAFKA_JMX_PORT",
    "KAFKA_JMX_HOSTNAME",
    "KAFKA_JVM_PERFORMANCE_OPTS",
    "KAFKA_GC_LOG_OPTS",
    "KAFKA_LOG4J_OPTS",
    "KAFKA_LOG4J_ROOT_LOGLEVEL",
    "KAFKA_LOG4J_LOGGERS",
    "KAFKA_TOOLS_LOG4J_LOGLEVEL",
    "KAFKA_CREATE_TOPICS",
    "KAFKA_CREATE_TOPICS_SEPARATOR",
    "KAFKA_KRAFT_CLUSTER_ID",
    "KAFKA_ENABLE_KRAFT",
    "KAFKA_EXTRA_FLAGS",
    "KAFKA_SKIP_KRAFT_STORAGE_INIT",
];
/// Beginnings of such variables; there is no ZooKeeper, and neither metrics nor a REST proxy of Confluent's.
const NOT_KEY_PREFIXES: [&str; 3] = ["KAFKA_ZOOKEEPER_", "KAFKA_CONFLUENT_", "KAFKA_REST_"];
/// Beginnings of variables that ask for encryption or authentication, without `KAFKA_` and `KAFKA_CFG_`.
const SECURITY: [&str; 11] = [
    "SSL_",
    "SASL_",
    "TLS_",
    "CERTIFICATE_",
    "CLIENT_USERS",
    "CLIENT_PASSWORDS",
    "CLIENT_LISTENER_",
    "INTER_BROKER_USER",
    "INTER_BROKER_PASSWORD",
    "CONTROLLER_USER",
    "CONTROLLER_PASSWORD",
];

/// Why a container cannot start.
#[derive(Debug, thiserror::Error)]
pub enum ContainerError {
    /// TLS, SASL, JAAS, key stores.
    #[error(
        "{0}: encryption and authentication are not supported yet, only PLAINTEXT is; \
         unset it to go on without"
    )]
    Security(String),
    /// The mounted file cannot be read.
    #[error(transparent)]
    Mounted(#[from] ConfigError),
}

/// The text of `server.properties`: defaults, over them `mounted` (the text of a file), over that `variables`. `is_mount`
/// tells of a path whether a volume is mounted there.
pub fn server_properties(
    mounted: &str,
    variables: impl IntoIterator<Item = (String, String)>,
    is_mount: impl Fn(&str) -> bool,
) -> Result<String, ContainerError> {
    let mut keys = parse_properties(mounted)?;
    let mut overlay = ConfigMap::new();
    for (name, value) in variables {
        check_security(&name, &value)?;
        if let Some(key) = key(&name) {
            overlay.insert(key, value);
        }
    }
    // One address that is told and none that is listened on: the latter follows from the former, as in Kafka's images.
    if let (Some(advertised), None) =
        (overlay.get("advertised.listeners"), overlay.get("listeners"))
    {
        let listeners = everywhere(advertised);
        overlay.insert("listeners".to_owned(), listeners);
    }
    keys.extend(overlay);
    let data = MOUNTS.iter().find(|(mount, _)| is_mount(mount)).map_or(DATA, |(_, data)| data);
    for (key, value) in [
        ("listeners", "PLAINTEXT://:9092"),
        ("gateway.advertised.host", "localhost"),
        ("log.dirs", data),
    ] {
        keys.entry(key.to_owned()).or_insert_with(|| value.to_owned());
    }
    if !keys.contains_key("listener.security.protocol.map") {
        let map = plaintext(&keys["listeners"]);
        keys.insert("listener.security.protocol.map".to_owned(), map);
    }
    let mut text = String::new();
    for (key, value) in &keys {
        let _ = writeln!(text, "{}={}", escaped(key, true), escaped(value, false));
    }
    Ok(text)
}

/// The key that a variable sets.
fn key(name: &str) -> Option<String> {
    let rest = name.strip_prefix("KAFKA_")?;
    let is_other =
        NOT_KEYS.contains(&name) || NOT_KEY_PREFIXES.iter().any(|prefix| name.starts_with(prefix));
    if is_other || rest.is_empty() {
        return None;
    }
    let rest = rest.strip_prefix("CFG_").unwrap_or(rest).to_lowercase();
    Some(rest.replace("___", "-").replace("__", "\0").replace('_', ".").replace('\0', "_"))
}

/// Refuses what would otherwise be open to everyone in silence.
fn check_security(name: &str, value: &str) -> Result<(), ContainerError> {
    if value.trim().is_empty() {
        return Ok(());
    }
    let refuse = || Err(ContainerError::Security(name.to_owned()));
    if name == "KAFKA_OPTS" && value.contains("java.security.auth.login.config") {
        return refuse();
    }
    let Some(rest) = name.strip_prefix("KAFKA_") else { return Ok(()) };
    let rest = rest.strip_prefix("CFG_").unwrap_or(rest);
    let is_of_listener =
        rest.starts_with("LISTENER_NAME_") && (rest.contains("_SSL_") || rest.contains("_SASL_"));
    if is_of_listener || SECURITY.iter().any(|prefix| rest.starts_with(prefix)) {
        return refuse();
    }
    Ok(())
}

/// The listeners with their hosts replaced by every interface.
fn everywhere(listeners: &str) -> String {
    let anywhere = |listener: &str| match (listener.split_once("://"), listener.rsplit_once(':')) {
        (Some((name, _)), Some((_, port))) => format!("{name}://0.0.0.0:{port}"),
        _ => listener.to_owned(),
    };
    let listeners = listeners.split(',').map(str::trim).filter(|one| !one.is_empty());
    listeners.map(anywhere).collect::<Vec<_>>().join(",")
}

/// What says of each listener that it is without encryption.
fn plaintext(listeners: &str) -> String {
    let names = listeners.split(',').filter_map(|listener| Some(listener.split_once("://")?.0));
    names.map(|name| format!("{}:PLAINTEXT", name.trim())).collect::<Vec<_>>().join(",")
}

/// A key or a value as the properties format has it.
fn escaped(text: &str, is_key: bool) -> String {
    let mut escaped = String::with_capacity(text.len());
    for (index, character) in text.chars().enumerate() {
        match character {
            '\n' => escaped.push_str("\\n"),
            '\r' => escaped.push_str("\\r"),
            '\\' => escaped.push_str("\\\\"),
            ' ' | '\t' | '=' | ':' | '#' | '!' if is_key || index == 0 => {
                escaped.push('\\');
                escaped.push(character);
            }
            _ => escaped.push(character),
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::ServerConfig;

    fn keys(mounted: &str, variables: &[(&str, &str)]) -> ConfigMap {
        let owned = variables.iter().map(|(name, value)| ((*name).into(), (*value).into()));
        let text = server_properties(mounted, owned, |_| false).unwrap();
        ServerConfig::load(&text, []).unwrap();
        parse_properties(&text).unwrap()
    }

    #[test]
    fn one_variable_drops_no_default() {
        let keys = keys("", &[("KAFKA_NUM_PARTITIONS", "3"), ("KAFKA_HEAP_OPTS", "-Xmx1G")]);
        assert_eq!(keys["num.partitions"], "3");
        assert_eq!(keys["listeners"], "PLAINTEXT://:9092");
        assert_eq!(keys["log.dirs"], DATA);
        assert!(!keys.contains_key("heap.opts"));
    }

    #[test]
    fn names_become_keys() {
        let key = |name| key(name).unwrap_or_default();
        assert_eq!(key("KAFKA_LOG_DIRS"), "log.dirs");
        assert_eq!(key("KAFKA_CFG_LOG_DIRS"), "log.dirs");
        assert_eq!(key("KAFKA_A__B_C___D"), "a_b.c-d");
        assert_eq!(key("KAFKA_"), "");
        assert_eq!(key("PATH"), "");
        assert_eq!(key("KAFKA_ZOOKEEPER_CONNECT"), "");
    }

    #[test]
    fn what_is_listened_on_follows_from_what_is_told() {
        let told = "PLAINTEXT://broker:29092,PLAINTEXT_HOST://localhost:9092,";
        let keys = keys("", &[("KAFKA_ADVERTISED_LISTENERS", told)]);
        assert_eq!(keys["listeners"], "PLAINTEXT://0.0.0.0:29092,PLAINTEXT_HOST://0.0.0.0:9092");
        assert_eq!(
            keys["listener.security.protocol.map"],
            "PLAINTEXT:PLAINTEXT,PLAINTEXT_HOST:PLAINTEXT"
        );
    }

    #[test]
    fn a_variable_wins_over_the_file_and_the_file_over_the_defaults() {
        let file = "listeners=PLAINTEXT://:1\nnum.partitions=2\n";
        let keys = keys(file, &[("KAFKA_NUM_PARTITIONS", "4")]);
        assert_eq!((&*keys["listeners"], &*keys["num.partitions"]), ("PLAINTEXT://:1", "4"));
    }

    #[test]
    fn values_survive_the_file() {
        let odd = " a\\b\nc=d:#e ";
        assert_eq!(keys("", &[("KAFKA_X", odd)])["x"], odd);
    }

    #[test]
    fn the_volume_of_another_image_is_found() {
        let data = |mounted: &'static str| {
            let text = server_properties("", [], |path| path == mounted).unwrap();
            parse_properties(&text).unwrap()["log.dirs"].clone()
        };
        assert_eq!(data("/bitnami"), "/bitnami/kafka/data");
        assert_eq!(data("/tmp/kraft-combined-logs"), "/tmp/kraft-combined-logs");
        assert_eq!(data("/var/lib/kafka/data"), DATA);
    }

    #[test]
    fn security_is_refused_by_name() {
        for (name, value) in [
            ("KAFKA_SSL_KEYSTORE_FILENAME", "x"),
            ("KAFKA_CFG_SASL_ENABLED_MECHANISMS", "PLAIN"),
            ("KAFKA_LISTENER_NAME_SECURE_SCRAM-SHA-512_SASL_JAAS_CONFIG", "x"),
            ("KAFKA_OPTS", "-Djava.security.auth.login.config=/x"),
            ("KAFKA_CLIENT_USERS", "user"),
        ] {
            let error = server_properties("", [(name.into(), value.into())], |_| false);
            let text = error.unwrap_err().to_string();
            assert!(text.starts_with(&format!("{name}: ")) && !text.contains('\n'), "{text}");
        }
    }
}
