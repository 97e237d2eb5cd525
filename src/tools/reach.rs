//! How Kafka's clients begin: addresses are looked at, then a broker is waited for.

use std::sync::Mutex;
use std::time::Duration;

use tokio::net::lookup_host;
use tokio::time::{Instant, sleep};

use crate::client::{ClientError, Cluster};

/// Kafka's `reconnect.backoff.ms` and `reconnect.backoff.max.ms`.
const BACKOFF: Duration = Duration::from_millis(50);
const BACKOFF_MAX: Duration = Duration::from_secs(1);

/// Why nothing begins.
#[derive(Debug)]
pub(super) enum Unreachable {
    /// The addresses are of no use; Kafka's words.
    Config(String),
    /// Nobody answered in time; it was told of.
    Nobody,
}

/// The host and the port of an address, which may have a protocol in front (`Utils.getHost`, `Utils.getPort`).
pub(super) fn host_and_port(address: &str) -> Option<(&str, u16)> {
    let address = address.split_once("://").map_or(address, |(_, address)| address);
    let (host, port) = address.rsplit_once(':')?;
    let is_host = |byte: u8| byte.is_ascii_alphanumeric() || b"-%._:[]".contains(&byte);
    Some((host, port.parse().ok()?)).filter(|_| host.bytes().all(is_host))
}

/// Whether addresses can be used at all; Kafka's words if not.
pub(super) async fn check_servers(servers: &str) -> Result<(), String> {
    let mut is_known = false;
    for server in servers.split(',').map(str::trim).filter(|server| !server.is_empty()) {
        let address = host_and_port(server).filter(|(host, _)| !host.is_empty());
        let Some((host, port)) = address else {
            return Err(format!("Invalid url in bootstrap.servers: {server}"));
        };
        let host = host.trim_start_matches('[').trim_end_matches(']');
        is_known |= lookup_host((host, port)).await.is_ok();
    }
    let none = "No resolvable bootstrap urls given in bootstrap.servers";
    if is_known { Ok(()) } else { Err(none.into()) }
}

/// Connects to one of `servers`; for as long as none is there, or none answers, it tries again until `patience` is over.
pub(super) async fn reach(
    client_id: &str,
    servers: &str,
    timeout: Duration,
    patience: Option<Duration>,
) -> Result<Cluster, Unreachable> {
    check_servers(servers).await.map_err(Unreachable::Config)?;
    wait_for(client_id, servers, timeout, patience).await.ok_or(Unreachable::Nobody)
}

/// As [`reach`] of addresses that were looked at before; None if nobody answered in time, which was told of.
pub(super) async fn wait_for(
    client_id: &str,
    servers: &str,
    timeout: Duration,
    patience: Option<Duration>,
) -> Option<Cluster> {
    let end = patience.map(|patience| Instant::now() + patience);
    let mut backoff = BACKOFF;
    loop {
        let error = match Cluster::connect(servers, timeout).await {
            Ok(cluster) => return Some(cluster.named(client_id)),
            Err(error) => error,
        };
        warn(&error);
        if !error.is_passing() || end.is_some_and(|end| Instant::now() + backoff >= end) {
            return None;
        }
        sleep(backoff).await;
        backoff = (2 * backoff).min(BACKOFF_MAX);
    }
}

/// Tells of a failure after which something is tried again; of the same one once.
pub(super) fn warn(error: &ClientError) {
    static LAST: Mutex<String> = Mutex::new(String::new());
    let text = error.to_string();
    if let Ok(mut last) = LAST.lock()
        && *last != text
    {
        eprintln!("WARN {text}");
        *last = text;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_read_as_java_does() {
        assert_eq!(host_and_port("localhost:9092"), Some(("localhost", 9092)));
        assert_eq!(host_and_port("PLAINTEXT://[::1]:1"), Some(("[::1]", 1)));
        for wrong in ["localhost", "localhost:", "local host:1", "localhost:x", ""] {
            assert_eq!(host_and_port(wrong), None, "{wrong}");
        }
    }
}
