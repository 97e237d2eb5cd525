//! A client of a few hundred bytes: frames and record batches written by hand.
//!
//! It shares no code with the broker's own codec, so that the two cannot agree on the same mistake, and it costs next
//! to nothing, so that a measurement sees the broker.

use std::io::{self, Read, Write};
use std::net::{TcpStream, ToSocketAddrs};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

pub(crate) const PRODUCE: i16 = 0;
pub(crate) const FETCH: i16 = 1;
pub(crate) const LIST_OFFSETS: i16 = 2;
pub(crate) const METADATA: i16 = 3;
pub(crate) const API_VERSIONS: i16 = 18;
pub(crate) const CREATE_TOPICS: i16 = 19;
pub(crate) const DELETE_TOPICS: i16 = 20;

/// Answers are read into memory; no test asks for more.
const RESPONSE_BYTES_MAX: usize = 256 << 20;

/// Bytes of a request in Kafka's encoding.
#[derive(Clone, Debug, Default)]
pub(crate) struct Body(pub(crate) Vec<u8>);

impl Body {
    pub(crate) fn raw(mut self, bytes: &[u8]) -> Self {
        self.0.extend_from_slice(bytes);
        self
    }

    pub(crate) fn i8(self, value: i8) -> Self {
        self.raw(&value.to_be_bytes())
    }

    pub(crate) fn i16(self, value: i16) -> Self {
        self.raw(&value.to_be_bytes())
    }

    pub(crate) fn i32(self, value: i32) -> Self {
        self.raw(&value.to_be_bytes())
    }

    pub(crate) fn i64(self, value: i64) -> Self {
        self.raw(&value.to_be_bytes())
    }

    pub(crate) fn string(self, value: &str) -> Self {
        self.i16(value.len() as i16).raw(value.as_bytes())
    }

    pub(crate) fn bytes(self, value: &[u8]) -> Self {
        self.i32(value.len() as i32).raw(value)
    }

    pub(crate) fn unsigned_varint(mut self, mut value: u32) -> Self {
        while value >= 0x80 {
            self.0.push(value as u8 | 0x80);
            value >>= 7;
        }
        self.0.push(value as u8);
        self
    }

    /// Zigzag, as in the fields of a record.
    pub(crate) fn varint(mut self, value: i64) -> Self {
        let mut rest = ((value << 1) ^ (value >> 63)) as u64;
        while rest >= 0x80 {
            self.0.push(rest as u8 | 0x80);
            rest >>= 7;
        }
        self.0.push(rest as u8);
        self
    }

    pub(crate) fn compact_string(self, value: &str) -> Self {
        self.unsigned_varint(value.len() as u32 + 1).raw(value.as_bytes())
    }

    pub(crate) fn compact_bytes(self, value: &[u8]) -> Self {
        self.unsigned_varint(value.len() as u32 + 1).raw(value)
    }
}

/// Reads an answer; running past its end is an error of kind `UnexpectedEof`.
#[derive(Debug)]
pub(crate) struct Answer {
    bytes: Vec<u8>,
    position: usize,
}

impl Answer {
    pub(crate) fn take(&mut self, count: usize) -> io::Result<&[u8]> {
        let end = self.position.checked_add(count).filter(|end| *end <= self.bytes.len());
        let end = end.ok_or(io::ErrorKind::UnexpectedEof)?;
        let start = std::mem::replace(&mut self.position, end);
        Ok(&self.bytes[start..end])
    }

    fn array<const N: usize>(&mut self) -> io::Result<[u8; N]> {
        let mut bytes = [0; N];
        bytes.copy_from_slice(self.take(N)?);
        Ok(bytes)
    }

    pub(crate) fn i16(&mut self) -> io::Result<i16> {
        Ok(i16::from_be_bytes(self.array()?))
    }

    pub(crate) fn i32(&mut self) -> io::Result<i32> {
        Ok(i32::from_be_bytes(self.array()?))
    }

    pub(crate) fn i64(&mut self) -> io::Result<i64> {
        Ok(i64::from_be_bytes(self.array()?))
    }

    /// A string; null reads as empty.
    pub(crate) fn string(&mut self) -> io::Result<String> {
        let length = usize::try_from(self.i16()?).unwrap_or(0);
        Ok(String::from_utf8_lossy(self.take(length)?).into_owned())
    }

    pub(crate) fn unsigned_varint(&mut self) -> io::Result<u32> {
        let mut value = 0;
        for shift in [0, 7, 14, 21, 28] {
            let byte = self.take(1)?[0];
            value |= u32::from(byte & 0x7f) << shift;
            if byte < 0x80 {
                return Ok(value);
            }
        }
        Err(io::ErrorKind::InvalidData.into())
    }

    pub(crate) fn compact_string(&mut self) -> io::Result<String> {
        let length = self.unsigned_varint()?.saturating_sub(1) as usize;
        Ok(String::from_utf8_lossy(self.take(length)?).into_owned())
    }
}

/// A whole frame: length, request header (version 2 when `flexible`), body.
pub(crate) fn frame(key: i16, version: i16, flexible: bool, body: &Body) -> Vec<u8> {
    let mut header = Body::default().i16(key).i16(version).i32(1).string("raw");
    if flexible {
        header = header.unsigned_varint(0);
    }
    let length = header.0.len() + body.0.len();
    Body::default().i32(length as i32).raw(&header.0).raw(&body.0).0
}

/// What a Produce answer says of its one partition.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Produced {
    pub(crate) error: i16,
    pub(crate) base_offset: i64,
}

/// One connection, one request at a time.
#[derive(Debug)]
pub(crate) struct Connection {
    stream: TcpStream,
}

impl Connection {
    /// Connects; every later read and write fails after `timeout`.
    pub(crate) fn open(port: u16, timeout: Duration) -> io::Result<Self> {
        Self::open_at("localhost", port, timeout)
    }

    /// As [`Connection::open`], to any host.
    pub(crate) fn open_at(host: &str, port: u16, timeout: Duration) -> io::Result<Self> {
        let mut last = io::Error::from(io::ErrorKind::AddrNotAvailable);
        for address in (host, port).to_socket_addrs()? {
            match TcpStream::connect_timeout(&address, timeout) {
                Ok(stream) => {
                    stream.set_nodelay(true)?;
                    stream.set_read_timeout(Some(timeout))?;
                    stream.set_write_timeout(Some(timeout))?;
                    return Ok(Self { stream });
                }
                Err(error) => last = error,
            }
        }
        Err(last)
    }

    pub(crate) fn stream(&self) -> &TcpStream {
        &self.stream
    }

    pub(crate) fn send(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.stream.write_all(bytes)
    }

    /// The next answer with its header cut off.
    pub(crate) fn receive(&mut self, flexible: bool) -> io::Result<Answer> {
        let mut prefix = [0; 4];
        self.stream.read_exact(&mut prefix)?;
        let length = usize::try_from(i32::from_be_bytes(prefix)).unwrap_or(usize::MAX);
        if length > RESPONSE_BYTES_MAX {
            return Err(io::ErrorKind::InvalidData.into());
        }
        let mut bytes = vec![0; length];
        self.stream.read_exact(&mut bytes)?;
        let mut answer = Answer { bytes, position: 0 };
        answer.i32()?;
        if flexible {
            answer.unsigned_varint()?;
        }
        Ok(answer)
    }

    pub(crate) fn call(
        &mut self,
        key: i16,
        version: i16,
        flexible: bool,
        body: &Body,
    ) -> io::Result<Answer> {
        self.send(&frame(key, version, flexible, body))?;
        self.receive(flexible && key != API_VERSIONS)
    }

    /// API keys with their version ranges.
    pub(crate) fn api_versions(&mut self) -> io::Result<Vec<(i16, i16, i16)>> {
        let mut answer = self.call(API_VERSIONS, 0, false, &Body::default())?;
        answer.i16()?;
        let count = answer.i32()?;
        (0..count).map(|_| Ok((answer.i16()?, answer.i16()?, answer.i16()?))).collect()
    }

    /// Host and port of the first broker that Metadata names.
    pub(crate) fn advertised(&mut self) -> io::Result<(String, i32)> {
        let mut answer = self.call(METADATA, 1, false, &Body::default().i32(0))?;
        let (_count, _node_id) = (answer.i32()?, answer.i32()?);
        Ok((answer.string()?, answer.i32()?))
    }

    /// Deletes topics; the first error.
    pub(crate) fn delete_topics(&mut self, names: &[String]) -> io::Result<i16> {
        let body = Body::default().i32(names.len() as i32);
        let body = names.iter().fold(body, |body, name| body.string(name)).i32(60_000);
        let mut answer = self.call(DELETE_TOPICS, 1, false, &body)?;
        let (_throttle_ms, count) = (answer.i32()?, answer.i32()?);
        let mut first = 0;
        for _ in 0..count {
            let (_name, error) = (answer.string()?, answer.i16()?);
            if first == 0 {
                first = error;
            }
        }
        Ok(first)
    }

    /// Creates topics of `partitions` partitions each; the first error code that is not NONE, or NONE.
    pub(crate) fn create_topics(
        &mut self,
        names: &[String],
        partitions: i32,
        configs: &[(&str, &str)],
    ) -> io::Result<i16> {
        let body = create_topics_body(names, partitions, configs);
        let mut answer = self.call(CREATE_TOPICS, 2, false, &body)?;
        let (_throttle_ms, count) = (answer.i32()?, answer.i32()?);
        let mut first = 0;
        for _ in 0..count {
            let (_name, error, _message) = (answer.string()?, answer.i16()?, answer.string()?);
            if first == 0 {
                first = error;
            }
        }
        Ok(first)
    }

    /// Produce version 9 with acks=all.
    pub(crate) fn produce(
        &mut self,
        topic: &str,
        partition: i32,
        batch: &[u8],
    ) -> io::Result<Produced> {
        let body = produce_body(topic, partition, -1, batch);
        let mut answer = self.call(PRODUCE, 9, true, &body)?;
        let (_topics, _name) = (answer.unsigned_varint()?, answer.compact_string()?);
        let (_partitions, _index) = (answer.unsigned_varint()?, answer.i32()?);
        Ok(Produced { error: answer.i16()?, base_offset: answer.i64()? })
    }

    /// `ListOffsets` version 1 for partition 0; error and offset.
    pub(crate) fn list_offset(&mut self, topic: &str, timestamp: i64) -> io::Result<(i16, i64)> {
        let body = Body::default().i32(-1).i32(1).string(topic).i32(1).i32(0).i64(timestamp);
        let mut answer = self.call(LIST_OFFSETS, 1, false, &body)?;
        let (_topics, _name) = (answer.i32()?, answer.string()?);
        let (_partitions, _index) = (answer.i32()?, answer.i32()?);
        let (error, _timestamp) = (answer.i16()?, answer.i64()?);
        Ok((error, answer.i64()?))
    }
}

pub(crate) fn create_topics_body(
    names: &[String],
    partitions: i32,
    configs: &[(&str, &str)],
) -> Body {
    let mut body = Body::default().i32(names.len() as i32);
    for name in names {
        body = body.string(name).i32(partitions).i16(1).i32(0).i32(configs.len() as i32);
        for (key, value) in configs {
            body = body.string(key).string(value);
        }
    }
    body.i32(60_000).i8(0)
}

/// Body of Produce versions 9 to 12.
pub(crate) fn produce_body(topic: &str, partition: i32, acks: i16, batch: &[u8]) -> Body {
    let body = Body::default().unsigned_varint(0).i16(acks).i32(30_000);
    let body = body.unsigned_varint(2).compact_string(topic).unsigned_varint(2).i32(partition);
    body.compact_bytes(batch).unsigned_varint(0).unsigned_varint(0).unsigned_varint(0)
}

/// Body of Fetch version 4 for partition 0, at least one byte.
pub(crate) fn fetch_body(topic: &str, offset: i64, wait_ms: i32) -> Body {
    let body = Body::default().i32(-1).i32(wait_ms).i32(1).i32(64 << 20).i8(0);
    body.i32(1).string(topic).i32(1).i32(0).i64(offset).i32(64 << 20)
}

/// A record batch of which every field can be set to what no producer would send.
#[derive(Clone, Debug)]
pub(crate) struct Batch {
    pub(crate) base_offset: i64,
    pub(crate) magic: i8,
    pub(crate) attributes: i16,
    pub(crate) last_offset_delta: i32,
    pub(crate) timestamp_ms: i64,
    pub(crate) producer_id: i64,
    pub(crate) producer_epoch: i16,
    pub(crate) base_sequence: i32,
    pub(crate) count: i32,
    /// The records section, compressed if `attributes` say so.
    pub(crate) records: Vec<u8>,
}

impl Batch {
    /// A well-formed batch of records with this key and these values.
    pub(crate) fn of(key: Option<&[u8]>, values: &[&[u8]]) -> Self {
        let mut records = Vec::new();
        for (delta, value) in values.iter().enumerate() {
            records.extend(record(delta as i64, key, value));
        }
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Self {
            base_offset: 0,
            magic: 2,
            attributes: 0,
            last_offset_delta: values.len() as i32 - 1,
            timestamp_ms: now.as_millis() as i64,
            producer_id: -1,
            producer_epoch: -1,
            base_sequence: -1,
            count: values.len() as i32,
            records,
        }
    }

    /// The bytes, with the length and the CRC-32C that belong to them.
    pub(crate) fn encode(&self) -> Vec<u8> {
        let checked = Body::default().i16(self.attributes).i32(self.last_offset_delta);
        let checked = checked.i64(self.timestamp_ms).i64(self.timestamp_ms);
        let checked = checked.i64(self.producer_id).i16(self.producer_epoch);
        let checked = checked.i32(self.base_sequence).i32(self.count).raw(&self.records).0;
        let length = checked.len() as i32 + 9;
        let head = Body::default().i64(self.base_offset).i32(length).i32(-1).i8(self.magic);
        head.raw(&crc32c::crc32c(&checked).to_be_bytes()).raw(&checked).0
    }
}

/// One record without headers.
pub(crate) fn record(offset_delta: i64, key: Option<&[u8]>, value: &[u8]) -> Vec<u8> {
    let mut body = Body::default().i8(0).varint(0).varint(offset_delta);
    body = match key {
        Some(key) => body.varint(key.len() as i64).raw(key),
        None => body.varint(-1),
    };
    let body = body.varint(value.len() as i64).raw(value).varint(0).0;
    Body::default().varint(body.len() as i64).raw(&body).0
}
