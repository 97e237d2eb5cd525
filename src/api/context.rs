//! What a handler sees: the broker's parts and the connection it serves.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use tokio::sync::{Semaphore, watch};

use super::FetchSessions;
use crate::config::{self, BrokerLayers, ConfigMap, Described, Listener, ServerConfig, resource};
use crate::coordinator::group::Groups;
use crate::coordinator::transaction::Transactions;
use crate::env::Env;
use crate::metadata::Metadata;
use crate::partition::Registry;

/// The parts of a running broker that serve requests.
pub struct Shared {
    /// Time, chance, files.
    pub env: Env,
    /// Settings.
    pub config: Arc<ServerConfig>,
    /// Topics, configurations, producer ids.
    pub metadata: Metadata,
    /// Open partitions.
    pub registry: Arc<Registry>,
    /// Coordinator of groups and offsets.
    pub groups: Arc<Groups>,
    /// Coordinator of transactions.
    pub transactions: Transactions,
    /// Incremental fetch sessions (KIP-227).
    pub(crate) fetch_sessions: FetchSessions,
    /// The default gateway, and the host that clients who come through it are told.
    pub(crate) gateway: Option<(IpAddr, String)>,
    /// Memory for large requests, in units of a kibibyte.
    pub request_memory: Arc<Semaphore>,
}

/// One connection, as far as requests care.
#[derive(Debug)]
pub struct Session {
    listener: Arc<str>,
    local: SocketAddr,
    peer: SocketAddr,
    closed: watch::Sender<bool>,
}

impl Session {
    /// A connection accepted on `listener`.
    pub fn new(listener: Arc<str>, local: SocketAddr, peer: SocketAddr) -> Self {
        Self { listener, local, peer, closed: watch::Sender::new(false) }
    }

    /// The peer's address.
    pub(crate) fn peer(&self) -> SocketAddr {
        self.peer
    }

    /// Turns true when the peer has closed: a parked fetch or join need not wait any more.
    pub(crate) fn peer_closed(&self) -> watch::Sender<bool> {
        self.closed.clone()
    }
}

/// Where clients of a listener are told to connect.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Advertised {
    /// Host name or address.
    pub host: String,
    /// Port.
    pub port: i32,
}

/// What a handler is given beside its request.
#[derive(Clone, Copy)]
pub(crate) struct Context<'a> {
    /// The broker.
    pub(crate) shared: &'a Arc<Shared>,
    /// The connection.
    pub(crate) session: &'a Session,
    /// The client id of the request's header.
    pub(crate) client_id: Option<&'a str>,
}

impl Context<'_> {
    /// The address this client is told: the configured one of its listener, or else one that
    /// reaches the socket it has reached.
    pub(crate) fn advertised(&self) -> Advertised {
        let configured = self.shared.config.advertised_listeners.as_deref();
        let Session { listener, local, peer, .. } = self.session;
        let gateway = self.shared.gateway.as_ref();
        advertised(configured.unwrap_or_default(), listener, *local, *peer, gateway)
    }

    /// A topic's configuration as clients see it.
    pub(crate) fn describe_topic(&self, overrides: &ConfigMap) -> Vec<Described> {
        self.with_layers(|layers| config::describe(resource::TOPIC, overrides, layers))
    }

    /// Hands over the layers that this broker's values come from.
    pub(crate) fn with_layers<T>(&self, describe: impl FnOnce(&BrokerLayers<'_>) -> T) -> T {
        let image = self.shared.metadata.image();
        describe(&image.broker_layers(&self.shared.config.explicit))
    }

    /// Waits until the peer closes its connection.
    pub(crate) async fn peer_closed(&self) {
        let mut closed = self.session.closed.subscribe();
        // The sender lives in the session, so this ends only when the peer closes.
        let _ = closed.wait_for(|&closed| closed).await;
    }
}

/// Where a client at `peer` that has connected to `local` is told to connect.
fn advertised(
    configured: &[Listener],
    listener: &str,
    local: SocketAddr,
    peer: SocketAddr,
    gateway: Option<&(IpAddr, String)>,
) -> Advertised {
    let told = configured.iter().find(|one| one.name == listener);
    let peer = peer.ip().to_canonical();
    let reached = || match gateway {
        _ if peer.is_loopback() => "localhost".to_owned(),
        Some((gateway, host)) if *gateway == peer => host.clone(),
        _ => local.ip().to_canonical().to_string(),
    };
    let host = told.and_then(|one| one.host.clone()).unwrap_or_else(reached);
    let port = told.map(|one| one.port).filter(|&port| port != 0).unwrap_or(local.port());
    Advertised { host, port: i32::from(port) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(configured: &[Listener], local: &str, peer: &str) -> String {
        let (local, peer) = (local.parse().unwrap(), peer.parse().unwrap());
        let gateway = ("192.0.2.254".parse().unwrap(), "outside.example".to_owned());
        let Advertised { host, port } =
            advertised(configured, "PLAINTEXT", local, peer, Some(&gateway));
        format!("{host}:{port}")
    }

    #[test]
    fn without_a_setting_a_client_is_told_what_it_has_reached() {
        assert_eq!(told(&[], "127.0.0.1:9092", "127.0.0.1:5"), "localhost:9092");
        assert_eq!(told(&[], "[::1]:9092", "[::1]:5"), "localhost:9092");
        assert_eq!(told(&[], "192.0.2.1:9093", "192.0.2.7:5"), "192.0.2.1:9093");
        assert_eq!(told(&[], "[::ffff:192.0.2.1]:9092", "[::ffff:192.0.2.7]:5"), "192.0.2.1:9092");
        assert_eq!(told(&[], "[2001:db8::1]:9092", "[2001:db8::7]:5"), "2001:db8::1:9092");
    }

    #[test]
    fn who_comes_through_the_gateway_is_told_its_host() {
        assert_eq!(told(&[], "192.0.2.1:9092", "192.0.2.254:5"), "outside.example:9092");
        assert_eq!(
            told(&[], "[::ffff:192.0.2.1]:9092", "[::ffff:192.0.2.254]:5"),
            "outside.example:9092"
        );
        let told_all = Listener { name: "PLAINTEXT".into(), host: Some("broker".into()), port: 0 };
        assert_eq!(told(&[told_all], "192.0.2.1:9092", "192.0.2.254:5"), "broker:9092");
    }

    #[test]
    fn a_setting_wins_as_far_as_it_goes() {
        let listener = |name: &str, host: Option<&str>, port| Listener {
            name: name.to_owned(),
            host: host.map(str::to_owned),
            port,
        };
        let configured = [
            listener("OTHER", Some("other.example"), 1),
            listener("PLAINTEXT", Some("broker.example"), 19_092),
        ];
        assert_eq!(told(&configured, "127.0.0.1:9092", "127.0.0.1:5"), "broker.example:19092");
        let configured = [listener("PLAINTEXT", Some("broker.example"), 0)];
        assert_eq!(told(&configured, "127.0.0.1:9092", "127.0.0.1:5"), "broker.example:9092");
        let configured = [listener("PLAINTEXT", None, 7)];
        assert_eq!(told(&configured, "192.0.2.1:9092", "192.0.2.7:5"), "192.0.2.1:7");
    }
}
