//! The writing half of a connection: replies in order, file ranges by `sendfile`.

use std::future::poll_fn;
use std::io;
use std::task::{Context, Poll};

use bytes::BytesMut;
use tokio::io::{AsyncWriteExt, Interest};
use tokio::net::tcp::OwnedWriteHalf;
use tokio::sync::mpsc;

use crate::api::EncodedReply;
use crate::env::{DiskFile, read_all};
use crate::log::BoxFuture;
use crate::wire::{Chunk, Segments};

/// Ranges below this are read and written together with what stands around them.
const SENDFILE_MIN_BYTES: usize = 32 * 1024;
/// Small replies are gathered up to this size before they are written.
const GATHER_BYTES: usize = 64 * 1024;

/// Writes replies as they become ready, in order, until the queue ends or the peer is gone.
pub(super) async fn run(mut socket: OwnedWriteHalf, mut queue: mpsc::Receiver<EncodedReply>) {
    let mut gathered = BytesMut::new();
    while let Some(reply) = queue.recv().await {
        if let Err(error) = write_batch(&mut socket, &mut queue, reply, &mut gathered).await {
            tracing::debug!(%error, "writing to the peer failed");
            return;
        }
        // An idle connection holds no buffer.
        gathered = BytesMut::new();
    }
    let _ = socket.shutdown().await;
}

/// Writes `reply` and whatever else is ready behind it.
async fn write_batch(
    socket: &mut OwnedWriteHalf,
    queue: &mut mpsc::Receiver<EncodedReply>,
    reply: EncodedReply,
    gathered: &mut BytesMut,
) -> io::Result<()> {
    let mut next = Some(reply);
    while let Some(reply) = next.take() {
        let segments = match reply {
            EncodedReply::Ready(segments) => Some(segments),
            EncodedReply::Pending(mut pending) => {
                let mut ready = poll_once(&mut pending).await;
                if ready.is_none() {
                    // What stands before it does not wait for it.
                    flush(socket, gathered).await?;
                    ready = Some(pending.await);
                }
                ready
            }
            EncodedReply::Silent | EncodedReply::Close => None,
        };
        if let Some(segments) = segments {
            write_segments(socket, segments, gathered).await?;
        }
        next = queue.try_recv().ok();
    }
    flush(socket, gathered).await
}

/// The value of a future that has it already.
async fn poll_once<T>(future: &mut BoxFuture<'static, T>) -> Option<T> {
    let look = |context: &mut Context<'_>| match future.as_mut().poll(context) {
        Poll::Ready(value) => Poll::Ready(Some(value)),
        Poll::Pending => Poll::Ready(None),
    };
    poll_fn(look).await
}

async fn flush(socket: &mut OwnedWriteHalf, gathered: &mut BytesMut) -> io::Result<()> {
    if !gathered.is_empty() {
        socket.write_all(gathered).await?;
        gathered.clear();
    }
    Ok(())
}

async fn write_segments(
    socket: &mut OwnedWriteHalf,
    segments: Segments,
    gathered: &mut BytesMut,
) -> io::Result<()> {
    for chunk in segments.into_chunks() {
        match chunk {
            Chunk::Bytes(bytes) if bytes.len() >= GATHER_BYTES => {
                flush(socket, gathered).await?;
                socket.write_all(&bytes).await?;
            }
            Chunk::Bytes(bytes) => gathered.extend_from_slice(&bytes),
            Chunk::File { file, position, length } => {
                if length >= SENDFILE_MIN_BYTES
                    && let Some(from) = file.os_file()
                {
                    flush(socket, gathered).await?;
                    send_file(socket, from, position, length).await?;
                } else {
                    read_range(&*file, position, length, gathered)?;
                }
            }
        }
        if gathered.len() >= GATHER_BYTES {
            flush(socket, gathered).await?;
        }
    }
    Ok(())
}

/// The range was warmed when it was looked up, so this does not wait for the device.
fn read_range(
    file: &dyn DiskFile,
    position: u64,
    length: usize,
    gathered: &mut BytesMut,
) -> io::Result<()> {
    let start = gathered.len();
    gathered.resize(start + length, 0);
    if read_all(file, &mut gathered[start..], position)? < length {
        return Err(io::ErrorKind::UnexpectedEof.into());
    }
    Ok(())
}

async fn send_file(
    socket: &OwnedWriteHalf,
    from: &std::fs::File,
    mut position: u64,
    length: usize,
) -> io::Result<()> {
    let stream = socket.as_ref();
    let mut left = length;
    while left > 0 {
        stream.writable().await?;
        let sent = stream.try_io(Interest::WRITABLE, || {
            Ok(rustix::fs::sendfile(stream, from, Some(&mut position), left)?)
        });
        match sent {
            // A published range never shrinks; a file cut from outside must not spin.
            Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
            Ok(sent) => left -= sent,
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}
