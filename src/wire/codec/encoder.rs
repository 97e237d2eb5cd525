//! Writing: one buffer, and beside it the large ranges that go out uncopied.

use std::fmt;
use std::io;
use std::sync::Arc;

use bytes::{BufMut, Bytes, BytesMut};

use crate::env::{DiskFile, read_all};

/// Byte sequences shorter than this are copied into the buffer.
const COPIED_BYTES_MAX: usize = 512;

/// Bytes in memory or in a file.
#[derive(Clone)]
pub enum Chunk {
    /// Bytes in memory.
    Bytes(Bytes),
    /// A range of a file.
    File {
        /// The file; the handle keeps the range readable after the file is unlinked.
        file: Arc<dyn DiskFile>,
        /// Where the range begins, in bytes.
        position: u64,
        /// Length of the range in bytes.
        length: usize,
    },
}

impl Chunk {
    /// Length in bytes.
    pub fn len(&self) -> usize {
        match self {
            Self::Bytes(bytes) => bytes.len(),
            Self::File { length, .. } => *length,
        }
    }

    /// True without a byte.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The bytes, read from the file if they are not in memory. Blocks.
    pub fn into_bytes(self) -> io::Result<Bytes> {
        match self {
            Self::Bytes(bytes) => Ok(bytes),
            Self::File { file, position, length } => {
                let mut buffer = vec![0; length];
                if read_all(&*file, &mut buffer, position)? < length {
                    return Err(io::ErrorKind::UnexpectedEof.into());
                }
                Ok(buffer.into())
            }
        }
    }
}

impl From<Bytes> for Chunk {
    fn from(bytes: Bytes) -> Self {
        Self::Bytes(bytes)
    }
}

/// Bytes are equal by content, file ranges if they are the same range of the same open file.
impl PartialEq for Chunk {
    fn eq(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Bytes(one), Self::Bytes(two)) => one == two,
            (
                Self::File { file, position, length },
                Self::File { file: file2, position: position2, length: length2 },
            ) => Arc::ptr_eq(file, file2) && position == position2 && length == length2,
            _ => false,
        }
    }
}

impl fmt::Debug for Chunk {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Bytes(bytes) => write!(f, "Bytes({} bytes)", bytes.len()),
            Self::File { position, length, .. } => write!(f, "File({length} bytes at {position})"),
        }
    }
}

/// An encoded message: chunks to be sent one after the other.
#[derive(Clone, Debug, Default)]
pub struct Segments {
    chunks: Vec<Chunk>,
    len: usize,
}

impl Segments {
    /// Length of all chunks in bytes.
    pub fn len(&self) -> usize {
        self.len
    }

    /// True without a byte.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// The chunks in order, none of them empty.
    pub fn into_chunks(self) -> Vec<Chunk> {
        self.chunks
    }

    /// All bytes in one piece; copies unless there is only one chunk in memory. Blocks if there
    /// are file ranges.
    pub fn into_bytes(mut self) -> io::Result<Bytes> {
        if self.chunks.len() == 1 {
            return self.chunks.remove(0).into_bytes();
        }
        let mut all = BytesMut::with_capacity(self.len);
        for chunk in self.chunks {
            all.extend_from_slice(&chunk.into_bytes()?);
        }
        Ok(all.freeze())
    }
}

/// Collects what is written.
#[derive(Debug, Default)]
pub struct Encoder {
    buffer: BytesMut,
    /// Chunks that go out uncopied, each with the position in `buffer` it goes before.
    chunks: Vec<(usize, Chunk)>,
    chunks_bytes: usize,
    framed: bool,
}

impl Encoder {
    /// An empty encoder.
    pub fn new() -> Self {
        Self::default()
    }

    /// An encoder of a frame: [`Encoder::finish`] puts the 32-bit length of all that follows first.
    pub fn frame() -> Self {
        let mut encoder = Self { framed: true, ..Self::default() };
        encoder.raw(&[0; 4]);
        encoder
    }

    /// Bytes written so far, chunks included.
    pub fn len(&self) -> usize {
        self.buffer.len() + self.chunks_bytes
    }

    /// True before anything is written.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Writes bytes as they are, by copying them.
    pub fn raw(&mut self, bytes: &[u8]) {
        self.buffer.put_slice(bytes);
    }

    /// Writes bytes as they are, uncopied if they are large or in a file.
    pub fn chunk(&mut self, chunk: Chunk) {
        match chunk {
            Chunk::Bytes(bytes) if bytes.len() < COPIED_BYTES_MAX => self.raw(&bytes),
            chunk => {
                self.chunks_bytes += chunk.len();
                self.chunks.push((self.buffer.len(), chunk));
            }
        }
    }

    /// Writes an unsigned variable-length integer of 32 bits.
    pub fn unsigned_varint(&mut self, value: u32) {
        self.unsigned_varlong(u64::from(value));
    }

    /// Writes an unsigned variable-length integer of 64 bits.
    pub fn unsigned_varlong(&mut self, mut value: u64) {
        while value >= 0x80 {
            self.buffer.put_u8(value as u8 | 0x80);
            value >>= 7;
        }
        self.buffer.put_u8(value as u8);
    }

    /// Writes a zigzag-encoded integer of 32 bits.
    pub fn varint(&mut self, value: i32) {
        self.unsigned_varint(((value << 1) ^ (value >> 31)) as u32);
    }

    /// Writes a zigzag-encoded integer of 64 bits.
    pub fn varlong(&mut self, value: i64) {
        self.unsigned_varlong(((value << 1) ^ (value >> 63)) as u64);
    }

    /// Writes the length of a byte sequence or array: 32 bits or compact; None is null.
    pub(super) fn length(&mut self, length: Option<usize>, compact: bool) {
        if compact {
            self.unsigned_varint(length.map_or(0, |length| length as u32 + 1));
        } else {
            self.raw(&length.map_or(-1, |length| length as i32).to_be_bytes());
        }
    }

    /// Writes a nullable string with a 16-bit or compact length, cut after 32,767 bytes.
    pub fn string(&mut self, string: Option<&str>, compact: bool) {
        let string = string.map(|string| &string[..string.floor_char_boundary(i16::MAX as usize)]);
        if compact {
            self.length(string.map(str::len), true);
        } else {
            self.raw(&string.map_or(-1, |string| string.len() as i16).to_be_bytes());
        }
        self.raw(string.unwrap_or_default().as_bytes());
    }

    /// Writes all that another encoder was given.
    pub(super) fn append(&mut self, other: Self) {
        for chunk in other.finish().into_chunks() {
            self.chunk(chunk);
        }
    }

    /// What was written.
    pub fn finish(mut self) -> Segments {
        let len = self.len();
        if self.framed {
            self.buffer[..4].copy_from_slice(&(len as i32 - 4).to_be_bytes());
        }
        let mut buffer = self.buffer.freeze();
        let mut chunks = Vec::with_capacity(self.chunks.len() * 2 + 1);
        let mut copied = 0;
        for (position, chunk) in self.chunks {
            if position > copied {
                chunks.push(Chunk::Bytes(buffer.split_to(position - copied)));
                copied = position;
            }
            if !chunk.is_empty() {
                chunks.push(chunk);
            }
        }
        if !buffer.is_empty() {
            chunks.push(Chunk::Bytes(buffer));
        }
        Segments { chunks, len }
    }
}
