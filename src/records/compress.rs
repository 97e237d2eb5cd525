//! The codecs of record batches, framed as Kafka's `org.apache.kafka.common.compress` frames them.
//!
//! Inflating is a stream with a bound on its output, so a bomb costs the codec's window and some time. The edges are
//! the reference's: what its consumers could not read must not be accepted by a broker.

use std::io::{self, Read, Write};
use std::ops::RangeInclusive;

use flate2::bufread::GzDecoder;
use lz4_flex::frame::{BlockMode, BlockSize, FrameDecoder, FrameEncoder, FrameInfo};

mod zstd_stream;

use zstd_stream::Zstd;

/// The most bytes one batch may inflate to: what 1 MiB of gzip can reach, far beyond real data.
pub const INFLATED_BYTES_MAX: u64 = 1 << 30;

const LZ4_MAGIC: [u8; 4] = [0x04, 0x22, 0x4d, 0x18];
const LZ4_INDEPENDENT_BLOCKS: u8 = 0x20;
/// `compression.lz4.level`, of which the default means the fast encoder.
const LZ4_LEVELS: RangeInclusive<i32> = 1..=17;
const LZ4_FAST_LEVEL: i32 = 9;
/// Below it the library takes its fast encoder, and Kafka does not.
const LZ4_THOROUGH_LEVEL_MIN: u32 = 3;
const GZIP_MAGIC: [u8; 2] = [0x1f, 0x8b];
/// Header of the xerial framing, followed by two version numbers of four bytes.
const XERIAL_MAGIC: [u8; 8] = [0x82, b'S', b'N', b'A', b'P', b'P', b'Y', 0];
const XERIAL_HEADER_BYTES: usize = 16;
const XERIAL_BLOCK_BYTES: usize = 32 * 1024;
/// No element of a Snappy block yields more than 64 bytes for three: a larger claim is a lie.
const SNAPPY_RATIO_MAX: usize = 22;

/// A codec of record batches (`CompressionType`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Compression {
    /// Records as they are.
    #[default]
    None,
    /// Gzip, any number of members.
    Gzip,
    /// Snappy, in the framing of the xerial library or raw.
    Snappy,
    /// One LZ4 frame of independent blocks.
    Lz4,
    /// Zstandard frames.
    Zstd,
}

impl Compression {
    /// Every codec, in the order of their numbers.
    pub const ALL: [Self; 5] = [Self::None, Self::Gzip, Self::Snappy, Self::Lz4, Self::Zstd];

    /// The codec with this number in a batch's attributes.
    pub fn from_id(id: u8) -> Option<Self> {
        Self::ALL.get(usize::from(id)).copied()
    }

    /// The number in a batch's attributes.
    pub fn id(self) -> u8 {
        self as u8
    }

    /// Kafka's name of the codec, as in `compression.type`.
    pub fn name(self) -> &'static str {
        ["none", "gzip", "snappy", "lz4", "zstd"][self as usize]
    }
}

/// Reads what `compressed` bytes hold, up to a limit.
///
/// Beyond the limit a read fails with [`io::ErrorKind::FileTooLarge`]; any other error means a damaged stream.
pub struct Inflater<'a> {
    stream: Stream<'a>,
    left: u64,
    ended: bool,
}

enum Stream<'a> {
    Plain(&'a [u8]),
    Gzip(Box<GzDecoder<&'a [u8]>>),
    Snappy(Snappy<'a>),
    Lz4(Box<FrameDecoder<Input<'a>>>),
    Zstd(Zstd<'a>),
}

impl<'a> Inflater<'a> {
    /// Starts reading; at most `limit_bytes` come out.
    pub fn new(codec: Compression, compressed: &'a [u8], limit_bytes: u64) -> io::Result<Self> {
        let stream = match codec {
            Compression::None => Stream::Plain(compressed),
            // As Java's: an empty zstd stream has no frame to be missing, only records.
            Compression::Zstd if compressed.is_empty() => Stream::Plain(compressed),
            Compression::Gzip => Stream::Gzip(Box::new(GzDecoder::new(compressed))),
            Compression::Snappy => Stream::Snappy(Snappy::new(compressed)?),
            Compression::Lz4 => Stream::Lz4(Box::new(lz4_decoder(compressed)?)),
            Compression::Zstd => Stream::Zstd(Zstd::new(compressed)?),
        };
        Ok(Self { stream, left: limit_bytes, ended: false })
    }
}

impl Read for Inflater<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.ended || buffer.is_empty() {
            return Ok(0);
        }
        let read = match &mut self.stream {
            Stream::Plain(bytes) => bytes.read(buffer)?,
            Stream::Gzip(decoder) => read_gzip(decoder, buffer)?,
            Stream::Snappy(decoder) => decoder.read(buffer)?,
            Stream::Lz4(decoder) => read_lz4(decoder, buffer)?,
            Stream::Zstd(decoder) => decoder.read(buffer)?,
        };
        self.ended = read == 0;
        self.left = self
            .left
            .checked_sub(read as u64)
            .ok_or_else(|| io::Error::from(io::ErrorKind::FileTooLarge))?;
        Ok(read)
    }
}

/// Goes on with the next member; like Java's `GZIPInputStream`, takes anything else after a member as the end.
fn read_gzip(decoder: &mut GzDecoder<&[u8]>, buffer: &mut [u8]) -> io::Result<usize> {
    loop {
        let read = decoder.read(buffer)?;
        if read > 0 || !decoder.get_ref().starts_with(&GZIP_MAGIC) {
            return Ok(read);
        }
        let rest: &[u8] = decoder.get_ref();
        *decoder = GzDecoder::new(rest);
    }
}

/// Kafka reads one frame of independent blocks and nothing older; the decoder would take more.
fn lz4_decoder(compressed: &[u8]) -> io::Result<FrameDecoder<Input<'_>>> {
    let independent = compressed.get(4).is_some_and(|flags| flags & LZ4_INDEPENDENT_BLOCKS != 0);
    if !compressed.starts_with(&LZ4_MAGIC) || !independent {
        return Err(invalid("not an LZ4 frame of independent blocks"));
    }
    Ok(FrameDecoder::new(Input { rest: compressed, exhausted: false }))
}

/// The decoder takes a missing end mark as the end; Kafka's consumers do not.
fn read_lz4(decoder: &mut FrameDecoder<Input<'_>>, buffer: &mut [u8]) -> io::Result<usize> {
    let read = decoder.read(buffer)?;
    if read == 0 && decoder.get_ref().exhausted {
        return Err(io::ErrorKind::UnexpectedEof.into());
    }
    Ok(read)
}

/// Compressed bytes that remember whether more was asked for than there is.
struct Input<'a> {
    rest: &'a [u8],
    exhausted: bool,
}

impl Read for Input<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.exhausted |= self.rest.len() < buffer.len();
        self.rest.read(buffer)
    }
}

/// Snappy blocks, one inflated at a time.
struct Snappy<'a> {
    rest: &'a [u8],
    xerial: bool,
    block: Vec<u8>,
    consumed: usize,
}

impl<'a> Snappy<'a> {
    fn new(compressed: &'a [u8]) -> io::Result<Self> {
        if compressed.is_empty() {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        let xerial = compressed.starts_with(&XERIAL_MAGIC);
        Ok(Self { rest: compressed, xerial, block: Vec::new(), consumed: 0 })
    }

    /// Takes the next block's bytes off the input; streams may be joined, each with its own header.
    fn next_block(&mut self) -> io::Result<Option<&'a [u8]>> {
        if !self.xerial {
            let block = std::mem::take(&mut self.rest);
            return Ok((!block.is_empty()).then_some(block));
        }
        while self.rest.starts_with(&XERIAL_MAGIC) {
            self.rest = self.rest.get(XERIAL_HEADER_BYTES..).ok_or(io::ErrorKind::UnexpectedEof)?;
        }
        if self.rest.is_empty() {
            return Ok(None);
        }
        let (length, rest) = self.rest.split_first_chunk().ok_or(io::ErrorKind::UnexpectedEof)?;
        let length = u32::from_be_bytes(*length) as usize;
        let (block, rest) = rest.split_at_checked(length).ok_or(io::ErrorKind::UnexpectedEof)?;
        self.rest = rest;
        Ok(Some(block))
    }
}

impl Read for Snappy<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        while self.consumed == self.block.len() {
            let Some(block) = self.next_block()? else {
                return Ok(0);
            };
            let inflated = snap::raw::decompress_len(block)?;
            if inflated > block.len().saturating_mul(SNAPPY_RATIO_MAX) {
                return Err(invalid("a Snappy block claims more than it can hold"));
            }
            self.block.resize(inflated, 0);
            snap::raw::Decoder::new().decompress(block, &mut self.block)?;
            self.consumed = 0;
        }
        let read = (&self.block[self.consumed..]).read(buffer)?;
        self.consumed += read;
        Ok(read)
    }
}

fn invalid(reason: &'static str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, reason)
}

/// Compresses `plain` as Kafka's clients and broker frame it. Without a `level`, and with one outside a codec's range,
/// Kafka's default is used; Snappy has one level.
pub fn compress(codec: Compression, level: Option<i32>, plain: &[u8]) -> Vec<u8> {
    compress_from(codec, level, plain).expect("compressing from memory to memory does not fail")
}

/// As [`compress`], of what is read; fails only where reading does.
pub(super) fn compress_from(
    codec: Compression,
    level: Option<i32>,
    mut plain: impl Read,
) -> io::Result<Vec<u8>> {
    match codec {
        Compression::None => copy(&mut plain, Vec::new()),
        Compression::Gzip => {
            let level = level.filter(|level| (0..=9).contains(level)).unwrap_or(6);
            let level = flate2::Compression::new(level.unsigned_abs());
            copy(&mut plain, flate2::write::GzEncoder::new(Vec::new(), level))?.finish()
        }
        Compression::Snappy => compress_snappy(plain),
        Compression::Lz4 => match level.filter(|level| LZ4_LEVELS.contains(level)) {
            None | Some(LZ4_FAST_LEVEL) => compress_lz4_fast(&mut plain),
            Some(level) => compress_lz4(level.unsigned_abs(), &mut plain),
        },
        Compression::Zstd => zstd::encode_all(plain, level.unwrap_or(3)),
    }
}

fn copy<W: Write>(plain: &mut impl Read, mut to: W) -> io::Result<W> {
    io::copy(plain, &mut to)?;
    Ok(to)
}

fn compress_lz4_fast(plain: &mut impl Read) -> io::Result<Vec<u8>> {
    let frame = FrameInfo::new().block_size(BlockSize::Max64KB).block_mode(BlockMode::Independent);
    Ok(copy(plain, FrameEncoder::with_frame_info(frame, Vec::new()))?.finish()?)
}

/// With the encoder that takes its time (`Lz4BlockOutputStream`: `highCompressor`).
fn compress_lz4(level: u32, plain: &mut impl Read) -> io::Result<Vec<u8>> {
    let encoder = lz4::EncoderBuilder::new()
        .level(level.max(LZ4_THOROUGH_LEVEL_MIN))
        .block_size(lz4::BlockSize::Max64KB)
        .block_mode(lz4::BlockMode::Independent)
        .checksum(lz4::ContentChecksum::NoChecksum)
        .block_checksum(lz4::liblz4::BlockChecksum::NoBlockChecksum)
        .build(Vec::new())?;
    let (compressed, outcome) = copy(plain, encoder)?.finish();
    outcome.map(|()| compressed)
}

fn compress_snappy(mut plain: impl Read) -> io::Result<Vec<u8>> {
    let mut out = XERIAL_MAGIC.to_vec();
    out.extend_from_slice(&[0, 0, 0, 1, 0, 0, 0, 1]);
    let mut block = Vec::with_capacity(XERIAL_BLOCK_BYTES);
    while (&mut plain).take(XERIAL_BLOCK_BYTES as u64).read_to_end(&mut block)? > 0 {
        let compressed = snap::raw::Encoder::new().compress_vec(&block)?;
        out.extend_from_slice(&(compressed.len() as u32).to_be_bytes());
        out.extend_from_slice(&compressed);
        block.clear();
    }
    Ok(out)
}

#[cfg(test)]
mod tests;
