//! The writing half of a connection: replies in order, file ranges by `sendfile`.

use std::future::poll_fn;
use std::io;
use std::task::{Context, Poll};

use bytes::BytesMut;
use rustix::net::SendFlags;
use tokio::io::{AsyncWriteExt, Interest};
use tokio::net::TcpStream;
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
        if let Err(error) = write_batch(&socket, &mut queue, reply, &mut gathered).await {
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
    socket: &OwnedWriteHalf,
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
                    flush(socket, gathered, SendFlags::empty()).await?;
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
    flush(socket, gathered, SendFlags::empty()).await
}

/// The value of a future that has it already.
async fn poll_once<T>(future: &mut BoxFuture<'static, T>) -> Option<T> {
    let look = |context: &mut Context<'_>| match future.as_mut().poll(context) {
        Poll::Ready(value) => Poll::Ready(Some(value)),
        Poll::Pending => Poll::Ready(None),
    };
    poll_fn(look).await
}

/// Sends what is gathered; with [`SendFlags::MORE`] the kernel keeps it for the packet of what follows at once.
async fn flush(
    socket: &OwnedWriteHalf,
    gathered: &mut BytesMut,
    flags: SendFlags,
) -> io::Result<()> {
    send(socket, gathered, flags).await?;
    gathered.clear();
    Ok(())
}

async fn send(socket: &OwnedWriteHalf, mut bytes: &[u8], flags: SendFlags) -> io::Result<()> {
    let stream = socket.as_ref();
    while !bytes.is_empty() {
        let flags = flags | SendFlags::NOSIGNAL;
        let sent = when_writable(stream, || rustix::net::send(stream, bytes, flags)).await?;
        bytes = &bytes[sent..];
    }
    Ok(())
}

/// Does `write` once the socket has room.
async fn when_writable(
    stream: &TcpStream,
    mut write: impl FnMut() -> rustix::io::Result<usize>,
) -> io::Result<usize> {
    loop {
        stream.writable().await?;
        match stream.try_io(Interest::WRITABLE, || Ok(write()?)) {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            written => return written,
        }
    }
}

async fn write_segments(
    socket: &OwnedWriteHalf,
    segments: Segments,
    gathered: &mut BytesMut,
) -> io::Result<()> {
    for chunk in segments.into_chunks() {
        match chunk {
            Chunk::Bytes(bytes) if bytes.len() >= GATHER_BYTES => {
                flush(socket, gathered, SendFlags::MORE).await?;
                send(socket, &bytes, SendFlags::empty()).await?;
            }
            Chunk::Bytes(bytes) => gathered.extend_from_slice(&bytes),
            Chunk::File { file, position, length } => {
                if length >= SENDFILE_MIN_BYTES
                    && let Some(from) = file.os_file()
                {
                    flush(socket, gathered, SendFlags::MORE).await?;
                    send_file(socket, from, position, length).await?;
                } else {
                    read_range(&*file, position, length, gathered)?;
                }
            }
        }
        if gathered.len() >= GATHER_BYTES {
            flush(socket, gathered, SendFlags::empty()).await?;
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
    let mut left = length;
    while left > 0 {
        let sendfile = || rustix::fs::sendfile(socket.as_ref(), from, Some(&mut position), left);
        match when_writable(socket.as_ref(), sendfile).await? {
            // A published range never shrinks; a file cut from outside must not spin.
            0 => return Err(io::ErrorKind::UnexpectedEof.into()),
            sent => left -= sent,
        }
    }
    Ok(())
}
