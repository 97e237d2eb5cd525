//! The reading half of a connection: bytes to frames to replies, one request at a time.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use tokio::net::TcpStream;
use tokio::net::tcp::OwnedReadHalf;
use tokio::sync::{OwnedSemaphorePermit, mpsc, watch};

use super::frame::{Frame, take_frame};
use super::{stopped, writer};
use crate::api::{self, EncodedReply, Session, Shared};

/// Most replies that wait in order on one connection before reading stops.
const UNANSWERED_MAX: usize = 64;
/// Least free room for a read; also what is read ahead of a parked request.
const READ_BYTES: usize = 16 * 1024;
/// Frames up to this size need no permit from the request memory.
const FREE_FRAME_BYTES: usize = 64 * 1024;
/// The unit of a request-memory permit.
pub(crate) const PERMIT_BYTES: usize = 1024;
/// Stands for no limit of idleness.
const NEVER_MS: u64 = 365 * 24 * 3_600_000;
/// How long a large frame waits for request memory before its connection is closed.
const MEMORY_WAIT: Duration = Duration::from_secs(30);

/// Serves one connection until the peer or the broker ends it.
pub(super) async fn run(
    stream: TcpStream,
    session: Session,
    shared: Arc<Shared>,
    stop: watch::Receiver<bool>,
) {
    let (read, write) = stream.into_split();
    let (replies, queue) = mpsc::channel(UNANSWERED_MAX);
    let peer_closed = session.peer_closed();
    let writer = tokio::spawn(writer::run(write, queue));
    let mut reader = Reader { socket: read, received: BytesMut::new(), permit: None, ended: false };
    tokio::select! {
        () = stopped(stop.clone()) => {}
        () = replies.closed() => {}
        result = serve(&mut reader, &session, &shared, &replies) => {
            if let Err(reason) = result {
                tracing::debug!(peer = %session.peer(), %reason, "connection closed");
            }
        }
    }
    peer_closed.send_replace(true);
    drop(replies);
    // What was answered still leaves, unless the broker stops and the peer does not read.
    let drained = tokio::time::timeout(Duration::from_millis(500), writer);
    if *stop.borrow() {
        let _ = drained.await;
    }
}

/// Why the broker closes a connection.
#[derive(Debug, thiserror::Error)]
enum Closed {
    #[error(transparent)]
    Frame(#[from] super::frame::FrameError),
    #[error(transparent)]
    Dispatch(#[from] api::DispatchError),
    #[error("reading: {0}")]
    Io(#[from] io::Error),
    #[error("idle for connections.max.idle.ms")]
    Idle,
    #[error("no request memory (queued.max.request.bytes) for a large frame")]
    Memory,
    #[error("the request failed and carries no answer")]
    Unanswerable,
}

async fn serve(
    reader: &mut Reader,
    session: &Session,
    shared: &Arc<Shared>,
    replies: &mpsc::Sender<EncodedReply>,
) -> Result<(), Closed> {
    while let Some(frame) = reader.next_frame(shared, replies).await? {
        let request = api::dispatch(shared, session, frame);
        tokio::pin!(request);
        let reply = loop {
            tokio::select! {
                biased;
                reply = &mut request => break reply?,
                () = reader.read_ahead() => {
                    if reader.ended {
                        session.peer_closed().send_replace(true);
                    }
                }
            }
        };
        if let EncodedReply::Close = reply {
            return Err(Closed::Unanswerable);
        }
        if replies.send(reply).await.is_err() {
            return Ok(());
        }
    }
    Ok(())
}

/// A frame and its share of the request memory.
struct Permitted {
    frame: Bytes,
    _permit: OwnedSemaphorePermit,
}

impl AsRef<[u8]> for Permitted {
    fn as_ref(&self) -> &[u8] {
        &self.frame
    }
}

struct Reader {
    socket: OwnedReadHalf,
    received: BytesMut,
    permit: Option<OwnedSemaphorePermit>,
    ended: bool,
}

impl Reader {
    /// The next frame; None at the end of the stream. A large one holds its permit as long as any
    /// slice of it lives, so not while its request is parked.
    async fn next_frame(
        &mut self,
        shared: &Shared,
        replies: &mpsc::Sender<EncodedReply>,
    ) -> Result<Option<Bytes>, Closed> {
        loop {
            let max_bytes = shared.config.socket_request_max_bytes;
            match take_frame(&mut self.received, max_bytes)? {
                Frame::Whole(frame) => {
                    return Ok(Some(match self.permit.take() {
                        None => frame,
                        Some(permit) => Bytes::from_owner(Permitted { frame, _permit: permit }),
                    }));
                }
                Frame::Missing(_) if self.ended => return Ok(None),
                Frame::Missing(bytes) => self.make_room(bytes, shared).await?,
            }
            let readable = self.socket.readable();
            let idle = shared.config.connections_max_idle_ms.unwrap_or(NEVER_MS);
            match tokio::time::timeout(Duration::from_millis(idle), readable).await {
                Ok(ready) => ready?,
                // Kafka, too, spares a connection with a request under way.
                Err(_) if replies.capacity() < UNANSWERED_MAX => continue,
                Err(_) => return Err(Closed::Idle),
            }
            self.read()?;
        }
    }

    /// Room for the next read: doubles with what has arrived, and above [`FREE_FRAME_BYTES`] only with a
    /// permit from the request memory.
    async fn make_room(&mut self, missing: usize, shared: &Shared) -> Result<(), Closed> {
        let held = self.received.len();
        if held == 0 {
            return Ok(());
        }
        let room = missing.min(held.max(READ_BYTES));
        if held + room > FREE_FRAME_BYTES && self.received.capacity() < held + room {
            let owned = self.permit.as_ref().map_or(0, OwnedSemaphorePermit::num_permits);
            let wanted = (held + room).div_ceil(PERMIT_BYTES).saturating_sub(owned);
            let memory = shared.request_memory.clone().acquire_many_owned(wanted as u32);
            let Ok(Ok(permit)) = tokio::time::timeout(MEMORY_WAIT, memory).await else {
                return Err(Closed::Memory);
            };
            match &mut self.permit {
                Some(held) => held.merge(permit),
                None => self.permit = Some(permit),
            }
        }
        self.received.reserve(room);
        Ok(())
    }

    /// Reads what is there. An idle connection holds no buffer: it is taken once bytes wait.
    fn read(&mut self) -> io::Result<()> {
        if self.received.capacity() - self.received.len() < READ_BYTES / 4 {
            self.received.reserve(READ_BYTES);
        }
        match self.socket.try_read_buf(&mut self.received) {
            Ok(0) => self.ended = true,
            Ok(_) => {}
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            Err(error) if error.kind() == io::ErrorKind::ConnectionReset => self.ended = true,
            Err(error) => return Err(error),
        }
        Ok(())
    }

    /// While a request is parked: reads a little further, so that the peer's close is seen.
    /// Waits for ever once it has.
    async fn read_ahead(&mut self) {
        if self.ended || self.received.len() >= READ_BYTES {
            return std::future::pending().await;
        }
        if self.socket.readable().await.is_err() || self.read().is_err() {
            self.ended = true;
        }
    }
}
