//! Typed requests, each with the response that answers it, and what else may become of one.

use std::io::{self, ErrorKind, Read};
use std::net::TcpStream;
use std::time::Duration;

use bytes::Bytes;
pub(crate) use ottla::wire::Request;
use ottla::wire::header::RequestHeader;
use ottla::wire::messages::api_versions::ApiVersionsRequest;
use ottla::wire::messages::create_topics::{CreatableTopic, CreatableTopicConfig};
use ottla::wire::{Decoder, Encoder, Keyed, Message};

/// What became of a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// A frame without its length.
    Answer(Bytes),
    /// The broker closed the connection.
    Closed,
    /// Nothing, and the connection is open.
    Silent,
}

impl Outcome {
    /// What comes next; the first byte may take as long as `patience`, all others as long as `timeout`.
    pub(crate) fn next(
        mut stream: &TcpStream,
        patience: Duration,
        timeout: Duration,
    ) -> io::Result<Self> {
        stream.set_read_timeout(Some(patience))?;
        let mut length = [0; 4];
        let read = match stream.read(&mut length) {
            Ok(0) => return Ok(Self::Closed),
            Ok(read) => read,
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {
                return Ok(Self::Silent);
            }
            Err(_) => return Ok(Self::Closed),
        };
        stream.set_read_timeout(Some(timeout))?;
        stream.read_exact(&mut length[read..])?;
        let length = usize::try_from(i32::from_be_bytes(length));
        let mut frame = vec![0; length.map_err(|_| ErrorKind::InvalidData)?];
        stream.read_exact(&mut frame)?;
        Ok(Self::Answer(frame.into()))
    }
}

/// A request in a frame, as a client sends it.
pub(crate) fn framed_as<R: Request>(
    request: &R,
    version: i16,
    correlation_id: i32,
    client_id: &str,
) -> Bytes {
    let mut encoder = Encoder::frame();
    let header = RequestHeader {
        api_key: R::KEY,
        api_version: version,
        correlation_id,
        client_id: Some(client_id.into()),
    };
    header.write(&mut encoder, version >= R::FLEXIBLE);
    request.encode(&mut encoder, version);
    encoder.finish().into_bytes().expect("a request is in memory")
}

/// Reads the answer to `R` in a frame; its correlation id, and what it says. What does not give the same bytes when it
/// is written again was not read in full.
pub(crate) fn unframed<R: Request>(
    frame: &Bytes,
    version: i16,
) -> Result<(i32, R::Response), String> {
    let unreadable = |error| format!("key {} version {version}: {error}", R::KEY);
    let mut decoder = Decoder::new(frame.clone());
    let correlation_id = decoder.array().map(i32::from_be_bytes).map_err(unreadable)?;
    if version >= R::FLEXIBLE
        && R::KEY != ApiVersionsRequest::KEY
        && decoder.unsigned_varint() != Ok(0)
    {
        return Err(format!("tags in the header of {frame:?}"));
    }
    let body = frame.slice(frame.len() - decoder.remaining()..);
    let response = R::Response::decode(&mut decoder, version).map_err(unreadable)?;
    if response.to_bytes(version).ok() != Some(body) {
        return Err(format!("other bytes than what they say: {frame:?} {response:?}"));
    }
    Ok((correlation_id, response))
}

/// A topic to create, of one replica.
pub(crate) fn creatable(name: &str, partitions: i32, configs: &[(&str, &str)]) -> CreatableTopic {
    let config = |(name, value): &(&str, &str)| CreatableTopicConfig {
        name: (*name).into(),
        value: Some((*value).into()),
    };
    CreatableTopic {
        name: name.into(),
        num_partitions: partitions,
        replication_factor: 1,
        configs: configs.iter().map(config).collect(),
        ..Default::default()
    }
}
