//! Sockets: listeners, framing and the two halves of a connection.
//!
//! ```text
//!  socket -> reader: frame -> permit -> dispatch (serial, one at a time) -> queue of replies
//!                                                                              |
//!  socket <- writer: strictly in request order: ready | pending | silent  <----+
//! ```
//!
//! Invariants: replies leave in the order of their requests; memory grows with the bytes that
//! arrived, never with the length a peer announces; nothing a peer sends ends the process.

mod connection;
mod frame;
mod listener;
mod writer;

pub(crate) use connection::PERMIT_BYTES;
pub(crate) use listener::{BindError, Listener, SocketOptions, serve};

use tokio::sync::watch;

/// Resolves when the broker stops.
async fn stopped(mut stop: watch::Receiver<bool>) {
    drop(stop.wait_for(|&stop| stop).await);
}
