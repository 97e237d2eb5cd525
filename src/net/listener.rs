//! Listeners: every address a host resolves to, with one port.

use std::io;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, ToSocketAddrs};
use std::sync::Arc;
use std::time::Duration;

use socket2::{Domain, Protocol, Socket, Type};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinSet;

use super::{connection, stopped};
use crate::api::{Session, Shared};

/// How often a free port is searched that every address of the host can use.
const PORT_ATTEMPTS: usize = 50;
/// Pause after `accept` failed for want of file descriptors.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// Why a listener could not be opened.
#[derive(Debug, thiserror::Error)]
pub enum BindError {
    /// The host has no address.
    #[error("listener {name}: cannot resolve host '{host}': {source}")]
    Resolve {
        /// Listener name.
        name: String,
        /// Its host.
        host: String,
        /// Cause.
        source: io::Error,
    },
    /// The address is taken or not ours.
    #[error("listener {name}: cannot bind {address}: {source}; is another broker running?")]
    Bind {
        /// Listener name.
        name: String,
        /// Its address.
        address: SocketAddr,
        /// Cause.
        source: io::Error,
    },
}

/// What a listener's sockets are opened with.
#[derive(Clone, Copy, Debug)]
pub(crate) struct SocketOptions {
    /// `socket.listen.backlog.size`.
    pub(crate) backlog: i32,
    /// `socket.send.buffer.bytes`; None keeps the system's.
    pub(crate) send_buffer_bytes: Option<usize>,
    /// `socket.receive.buffer.bytes`; None keeps the system's.
    pub(crate) receive_buffer_bytes: Option<usize>,
}

/// The open sockets of one listener.
#[derive(Debug)]
pub(crate) struct Listener {
    name: Arc<str>,
    host: String,
    port: u16,
    sockets: Vec<TcpListener>,
}

impl Listener {
    /// Binds `host:port` on every address of the host; port 0 takes one free port for all of them.
    /// An empty host is every interface.
    pub(crate) fn bind(
        name: &str,
        host: &str,
        port: u16,
        options: SocketOptions,
    ) -> Result<Self, BindError> {
        let addresses = resolve(name, host, port)?;
        let mut attempt = 0;
        loop {
            attempt += 1;
            match bind_all(&addresses, port, options) {
                Ok((port, sockets)) => {
                    return Ok(Self { name: name.into(), host: host.into(), port, sockets });
                }
                Err((_, source))
                    if port == 0
                        && attempt < PORT_ATTEMPTS
                        && source.kind() == io::ErrorKind::AddrInUse => {}
                Err((address, source)) => {
                    return Err(BindError::Bind { name: name.into(), address, source });
                }
            }
        }
    }

    /// The listener's name, as `PLAINTEXT`.
    pub(crate) fn name(&self) -> &Arc<str> {
        &self.name
    }

    /// The host as configured.
    pub(crate) fn host(&self) -> &str {
        &self.host
    }

    /// The one port of every address.
    pub(crate) fn port(&self) -> u16 {
        self.port
    }

    /// The bound addresses.
    pub(crate) fn addresses(&self) -> Vec<SocketAddr> {
        self.sockets.iter().filter_map(|socket| socket.local_addr().ok()).collect()
    }
}

fn resolve(name: &str, host: &str, port: u16) -> Result<Vec<SocketAddr>, BindError> {
    if host.is_empty() {
        return Ok(vec![([0u16; 8], port).into()]);
    }
    let failed = |source| BindError::Resolve { name: name.into(), host: host.into(), source };
    let mut addresses: Vec<SocketAddr> = (host, port).to_socket_addrs().map_err(failed)?.collect();
    if host == "localhost" {
        // Many hosts files name only one of the two; clients try both.
        addresses.extend([
            SocketAddr::from((Ipv4Addr::LOCALHOST, port)),
            SocketAddr::from((Ipv6Addr::LOCALHOST, port)),
        ]);
    }
    addresses.sort();
    addresses.dedup();
    Ok(addresses)
}

fn bind_all(
    addresses: &[SocketAddr],
    port: u16,
    options: SocketOptions,
) -> Result<(u16, Vec<TcpListener>), (SocketAddr, io::Error)> {
    let mut port = port;
    let mut sockets = Vec::new();
    for &address in addresses {
        let address = SocketAddr::new(address.ip(), port);
        match bind_one(address, options) {
            Ok(socket) => {
                port = socket.local_addr().map_err(|error| (address, error))?.port();
                sockets.push(socket);
            }
            // A machine without IPv6 still has `localhost`.
            Err(error) if address.is_ipv6() && addresses.len() > 1 && !is_taken(&error) => {
                tracing::debug!(%address, %error, "address of the listener is not available");
            }
            Err(error) => return Err((address, error)),
        }
    }
    match (sockets.is_empty(), addresses.first()) {
        (true, Some(&address)) => Err((address, io::ErrorKind::AddrNotAvailable.into())),
        _ => Ok((port, sockets)),
    }
}

fn is_taken(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::AddrInUse | io::ErrorKind::PermissionDenied)
}

fn bind_one(address: SocketAddr, options: SocketOptions) -> io::Result<TcpListener> {
    let bind = |address: SocketAddr| {
        let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
        socket.set_reuse_address(true)?;
        if let SocketAddr::V6(v6) = address {
            // All interfaces means IPv4 too; one address means that one.
            socket.set_only_v6(!v6.ip().is_unspecified())?;
        }
        // Accepted sockets inherit the buffers.
        if let Some(bytes) = options.send_buffer_bytes {
            socket.set_send_buffer_size(bytes)?;
        }
        if let Some(bytes) = options.receive_buffer_bytes {
            socket.set_recv_buffer_size(bytes)?;
        }
        socket.bind(&address.into())?;
        socket.listen(options.backlog)?;
        socket.set_nonblocking(true)?;
        TcpListener::from_std(socket.into())
    };
    bind(address).or_else(|error| match address {
        SocketAddr::V6(v6) if v6.ip().is_unspecified() && !is_taken(&error) => {
            bind(([0, 0, 0, 0], address.port()).into())
        }
        _ => Err(error),
    })
}

/// Accepts connections on every socket of `listener` until `stop` turns true, then waits for the
/// connections to end.
pub(crate) async fn serve(listener: Listener, shared: Arc<Shared>, stop: watch::Receiver<bool>) {
    let mut acceptors = JoinSet::new();
    for socket in listener.sockets {
        let (name, shared, stop) = (listener.name.clone(), shared.clone(), stop.clone());
        acceptors.spawn(accept(socket, name, shared, stop));
    }
    while acceptors.join_next().await.is_some() {}
}

async fn accept(
    socket: TcpListener,
    name: Arc<str>,
    shared: Arc<Shared>,
    stop: watch::Receiver<bool>,
) {
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            () = stopped(stop.clone()) => break,
            Some(_) = connections.join_next() => {}
            accepted = socket.accept() => match accepted {
                Ok((stream, peer)) => {
                    if let Some(session) = session(&stream, peer, &name) {
                        let (shared, stop) = (shared.clone(), stop.clone());
                        connections.spawn(connection::run(stream, session, shared, stop));
                    }
                }
                Err(error) => {
                    tracing::warn!(%error, "accepting a connection failed");
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                }
            }
        }
    }
    while connections.join_next().await.is_some() {}
}

/// None where the peer is gone already.
fn session(stream: &TcpStream, peer: SocketAddr, listener: &Arc<str>) -> Option<Session> {
    // Answers are written whole; waiting to fill packets only delays them.
    stream.set_nodelay(true).ok()?;
    let local = stream.local_addr().ok()?;
    Some(Session::new(listener.clone(), local, peer))
}

#[cfg(test)]
mod tests {
    use super::*;

    const OPTIONS: SocketOptions =
        SocketOptions { backlog: 50, send_buffer_bytes: Some(65_536), receive_buffer_bytes: None };

    #[tokio::test]
    async fn localhost_binds_both_families_with_one_port() {
        let listener = Listener::bind("PLAINTEXT", "localhost", 0, OPTIONS).unwrap();
        let addresses = listener.addresses();
        assert!(addresses.iter().all(|address| address.port() == listener.port()));
        assert!(addresses.iter().all(|address| address.ip().is_loopback()));
        assert!(addresses.iter().any(SocketAddr::is_ipv4));
    }

    #[tokio::test]
    async fn a_taken_port_is_named() {
        let first = Listener::bind("PLAINTEXT", "127.0.0.1", 0, OPTIONS).unwrap();
        let error = Listener::bind("OTHER", "127.0.0.1", first.port(), OPTIONS).unwrap_err();
        let text = error.to_string();
        assert!(text.contains("OTHER") && text.contains(&first.port().to_string()), "{text}");
    }
}
