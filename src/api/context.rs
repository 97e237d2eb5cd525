//! What a handler sees: the broker's parts and the connection it serves.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use tokio::sync::{Semaphore, watch};

use super::FetchSessions;
use crate::config::ServerConfig;
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
    /// Incremental fetch sessions (KIP-227).
    pub fetch_sessions: FetchSessions,
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
    pub fn peer(&self) -> SocketAddr {
        self.peer
    }

    /// Turns true when the peer has closed: a parked fetch or join need not wait any more.
    pub fn peer_closed(&self) -> watch::Sender<bool> {
        self.closed.clone()
    }
}

/// Where clients of a listener are told to connect.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Advertised {
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
        if let Some(configured) = self.shared.config.advertised(&self.session.listener) {
            return configured;
        }
        let local = self.session.local;
        let host = match local.ip().to_canonical() {
            _ if self.session.peer.ip().to_canonical().is_loopback() => "localhost".to_owned(),
            IpAddr::V4(ip) => ip.to_string(),
            IpAddr::V6(ip) => ip.to_string(),
        };
        Advertised { host, port: i32::from(local.port()) }
    }

    /// Waits until the peer closes its connection.
    pub(crate) async fn peer_closed(&self) {
        let mut closed = self.session.closed.subscribe();
        // The sender lives in the session, so this ends only when the peer closes.
        let _ = closed.wait_for(|&closed| closed).await;
    }
}
