//! The floor's process: connections, a thread for each.

use std::io::{self, Read};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use bytes::Bytes;
use ottla::wire::{Chunk, Segments};
use rustix::net::SendFlags;

use super::answers::Served;

/// What a connection receives into at first; larger requests make it grow.
const RECEIVED_BYTES: usize = 1 << 20;

struct Shared {
    served: Served,
    listener: TcpListener,
    /// Threads that wait for a connection.
    idle_threads: AtomicUsize,
}

/// Tells its port in a line, then serves until the process is killed.
pub(super) fn run(directory: &Path) -> ! {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    println!("{port}");
    let idle_threads = AtomicUsize::new(1);
    accept(&Arc::new(Shared { served: Served::new(directory, port), listener, idle_threads }))
}

/// Serves one connection after the other. No thread ever ends: its CPU time would be gone with it.
fn accept(shared: &Arc<Shared>) -> ! {
    loop {
        let (stream, _) = shared.listener.accept().unwrap();
        if shared.idle_threads.fetch_sub(1, Ordering::SeqCst) == 1 {
            shared.idle_threads.fetch_add(1, Ordering::SeqCst);
            let another = shared.clone();
            thread::spawn(move || accept(&another));
        }
        // The only error is that the peer has gone.
        let _ = serve(&shared.served, &stream);
        shared.idle_threads.fetch_add(1, Ordering::SeqCst);
    }
}

fn serve(served: &Served, stream: &TcpStream) -> io::Result<()> {
    stream.set_nodelay(true)?;
    let mut received = Received::new();
    loop {
        let frame = received.next_frame(stream)?;
        if let Some(reply) = served.answer(frame) {
            send(stream, reply)?;
        }
    }
}

/// The receiving buffer, lent to one request at a time.
struct Received {
    buffer: Arc<Vec<u8>>,
    /// What is received and not yet taken.
    start: usize,
    end: usize,
}

struct Lent(Arc<Vec<u8>>);

impl AsRef<[u8]> for Lent {
    fn as_ref(&self) -> &[u8] {
        &self.0
    }
}

impl Received {
    fn new() -> Self {
        Self { buffer: Arc::new(vec![0; RECEIVED_BYTES]), start: 0, end: 0 }
    }

    /// The next frame without its length, in the memory it was received into.
    fn next_frame(&mut self, mut stream: &TcpStream) -> io::Result<Bytes> {
        loop {
            let held = &self.buffer[self.start..self.end];
            let length = held.first_chunk::<4>().map(|prefix| u32::from_be_bytes(*prefix) as usize);
            if let Some(length) = length.filter(|length| held.len() >= 4 + length) {
                let begin = self.start + 4;
                self.start = begin + length;
                let all = Bytes::from_owner(Lent(self.buffer.clone()));
                return Ok(all.slice(begin..self.start));
            }
            let free = self.room(4 + length.unwrap_or(0));
            match stream.read(free)? {
                0 => return Err(io::ErrorKind::UnexpectedEof.into()),
                read => self.end += read,
            }
        }
    }

    /// Where to read on, with room for a whole frame of this size.
    fn room(&mut self, frame_bytes: usize) -> &mut [u8] {
        let buffer = Arc::get_mut(&mut self.buffer).expect("the last request is answered");
        if self.start == self.end || self.start + frame_bytes > buffer.len() {
            buffer.copy_within(self.start..self.end, 0);
            (self.start, self.end) = (0, self.end - self.start);
            buffer.resize(buffer.len().max(frame_bytes), 0);
        }
        &mut buffer[self.end..]
    }
}

/// File ranges go from the page cache to the socket, together with what stands before them.
fn send(stream: &TcpStream, reply: Segments) -> io::Result<()> {
    let mut chunks = reply.into_chunks().into_iter().peekable();
    while let Some(chunk) = chunks.next() {
        let more = if chunks.peek().is_some() { SendFlags::MORE } else { SendFlags::empty() };
        match chunk {
            Chunk::Bytes(mut bytes) => {
                while !bytes.is_empty() {
                    let sent = rustix::net::send(stream, &bytes, more | SendFlags::NOSIGNAL)?;
                    drop(bytes.split_to(sent));
                }
            }
            Chunk::File { file, mut position, length } => {
                let from = file.os_file().expect("a file of the operating system");
                let end = position + length as u64;
                while position < end {
                    let left = (end - position) as usize;
                    rustix::fs::sendfile(stream, from, Some(&mut position), left)?;
                }
            }
        }
    }
    Ok(())
}
