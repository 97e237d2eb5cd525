//! Connections and versions.
//!
//! A connection asks ApiVersions first (version 0, which every broker answers) and then speaks the highest version that
//! both sides know. Answers come in the order of the requests.

use std::collections::HashMap;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use bytes::{Buf, Bytes, BytesMut};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use uuid::Uuid;

use super::ClientError;
use crate::wire::header::RequestHeader;
use crate::wire::messages::api_versions::ApiVersionsRequest;
use crate::wire::{Chunk, DecodeError, Decoder, Encoder, ErrorCode, Keyed, Message, Request};

/// A longer answer is taken for something else than Kafka's protocol.
const FRAME_BYTES_MAX: usize = 1 << 30;
/// Memory for an answer grows by no more than so much ahead of the bytes that came.
const READ_BYTES: usize = 1 << 20;
const SMALL_READ_BYTES: usize = 16 << 10;
/// What brokers are told of who asks, unless there is something better.
pub(super) const CLIENT_ID: &str = "ottla";
/// The last version of Produce and Fetch with topics by name.
const NAMED_TOPICS_VERSION: i16 = 12;

/// Kafka's name of an error code.
pub(crate) fn error_name(code: i16) -> String {
    let known = ErrorCode::ALL.iter().find(|error| error.code() == code);
    known.map_or_else(|| format!("error {code}"), |error| error.name().to_owned())
}

/// Who is at the other end, what it speaks, and how long it may take.
#[derive(Clone, Debug, Default)]
pub(crate) struct Peer {
    address: Arc<str>,
    client_id: Arc<str>,
    timeout: Duration,
    versions: Arc<HashMap<i16, (i16, i16)>>,
}

impl Peer {
    pub(crate) fn lost(&self, cause: io::Error) -> ClientError {
        ClientError::Lost { address: self.address.to_string(), cause }
    }

    pub(crate) fn wrong(&self, what: impl Into<String>) -> ClientError {
        ClientError::Protocol { address: self.address.to_string(), what: what.into() }
    }

    /// What `answer` gives, unless it takes too long.
    pub(crate) async fn in_time<T>(
        &self,
        answer: impl Future<Output = Result<T, ClientError>>,
    ) -> Result<T, ClientError> {
        let silent =
            |_| ClientError::Silent { address: self.address.to_string(), timeout: self.timeout };
        tokio::time::timeout(self.timeout, answer).await.map_err(silent)?
    }

    /// The highest version that both sides know.
    pub(crate) fn version<R: Request>(&self) -> Result<i16, ClientError> {
        let (first, last) = (*R::VERSIONS.start(), *R::VERSIONS.end());
        let theirs = self.versions.get(&R::KEY).copied();
        let common = theirs.and_then(|(low, high)| {
            let version = high.min(last);
            (version >= low.max(first)).then_some(version)
        });
        common.ok_or_else(|| {
            let name = R::NAME;
            let theirs = theirs.map_or("none".into(), |(low, high)| format!("{low} to {high}"));
            self.wrong(format!(
                "no common version of {name}: this tool speaks {first} to {last}, the broker {theirs}"
            ))
        })
    }

    /// As [`Peer::version`] for Produce and Fetch, which name a topic by its id unless that is nil.
    pub(crate) fn topic_version<R: Request>(&self, topic_id: Uuid) -> Result<i16, ClientError> {
        let version = self.version::<R>()?;
        Ok(if topic_id.is_nil() { version.min(NAMED_TOPICS_VERSION) } else { version })
    }

    /// What an answer to `R` says.
    pub(crate) fn read<R: Request>(
        &self,
        frame: &Bytes,
        version: i16,
    ) -> Result<R::Response, ClientError> {
        let mut decoder = Decoder::new(frame.clone());
        let read = |decoder: &mut Decoder| {
            let correlation_id = i32::from_be_bytes(decoder.array()?);
            if version >= R::FLEXIBLE && R::KEY != ApiVersionsRequest::KEY {
                decoder.tagged_fields(|_, _| Ok(false))?;
            }
            Ok((correlation_id, R::Response::decode(decoder, version)?))
        };
        match read(&mut decoder) {
            Ok((0, response)) => Ok(response),
            Ok((other, _)) => Err(self.wrong(format!("an answer to request {other}, not to 0"))),
            Err::<_, DecodeError>(error) => {
                Err(self.wrong(format!("unreadable answer to {} {version}: {error}", R::NAME)))
            }
        }
    }
}

/// A request in its frame, in pieces; large ones are those of the request.
pub(crate) fn framed<R: Request>(request: &R, version: i16) -> io::Result<Vec<Bytes>> {
    framed_of(CLIENT_ID, request, version)
}

fn framed_of<R: Request>(client_id: &str, request: &R, version: i16) -> io::Result<Vec<Bytes>> {
    let mut encoder = Encoder::frame();
    let client_id = Some(client_id.to_owned());
    let header =
        RequestHeader { api_key: R::KEY, api_version: version, correlation_id: 0, client_id };
    header.write(&mut encoder, version >= R::FLEXIBLE);
    request.encode(&mut encoder, version);
    encoder.finish().into_chunks().into_iter().map(Chunk::into_bytes).collect()
}

/// The answers of a connection.
#[derive(Debug)]
pub(crate) struct Answers<S = OwnedReadHalf> {
    pub(crate) stream: S,
    pub(crate) input: BytesMut,
}

impl<S: AsyncRead + Unpin> Answers<S> {
    /// The next answer without its length.
    pub(crate) async fn next(&mut self, peer: &Peer) -> Result<Bytes, ClientError> {
        loop {
            let mut missing = SMALL_READ_BYTES;
            if let Some(length) = self.input.first_chunk::<4>() {
                let length = usize::try_from(i32::from_be_bytes(*length)).unwrap_or(usize::MAX);
                if length > FRAME_BYTES_MAX {
                    return Err(peer.wrong("this is not Kafka's protocol without TLS"));
                }
                if self.input.len() >= 4 + length {
                    let mut frame = self.input.split_to(4 + length).freeze();
                    frame.advance(4);
                    return Ok(frame);
                }
                missing = (4 + length - self.input.len()).clamp(SMALL_READ_BYTES, READ_BYTES);
            }
            self.input.reserve(missing);
            match self.stream.read_buf(&mut self.input).await {
                Ok(0) => return Err(peer.lost(io::ErrorKind::UnexpectedEof.into())),
                Ok(_) => {}
                Err(cause) => return Err(peer.lost(cause)),
            }
        }
    }
}

/// A connection to a broker.
#[derive(Debug)]
pub(crate) struct Connection {
    answers: Answers<TcpStream>,
    peer: Peer,
}

impl Connection {
    /// Connects and asks what the broker speaks.
    pub(crate) async fn open(address: &str, timeout: Duration) -> Result<Self, ClientError> {
        let client_id = CLIENT_ID.into();
        let peer = Peer { address: address.into(), client_id, timeout, versions: Arc::default() };
        let connect = |cause| ClientError::Connect { address: address.to_owned(), cause };
        let stream = peer.in_time(async { TcpStream::connect(address).await.map_err(connect) });
        let stream = stream.await?;
        stream.set_nodelay(true).map_err(|cause| peer.lost(cause))?;
        let mut connection = Self { answers: Answers { stream, input: BytesMut::new() }, peer };
        let answer = connection.call_at(&ApiVersionsRequest::default(), 0).await?;
        let ranges =
            answer.api_keys.iter().map(|api| (api.api_key, (api.min_version, api.max_version)));
        connection.peer.versions = Arc::new(ranges.collect());
        Ok(connection)
    }

    /// Who is at the other end.
    pub(crate) fn peer(&self) -> &Peer {
        &self.peer
    }

    /// Where its name has led.
    pub(crate) fn number(&self) -> Result<SocketAddr, ClientError> {
        self.answers.stream.peer_addr().map_err(|cause| self.peer.lost(cause))
    }

    /// Asks at the highest common version.
    pub(crate) async fn call<R: Request>(
        &mut self,
        request: &R,
    ) -> Result<R::Response, ClientError> {
        let version = self.peer.version::<R>()?;
        self.call_at(request, version).await
    }

    /// Asks at this version.
    pub(crate) async fn call_at<R: Request>(
        &mut self,
        request: &R,
        version: i16,
    ) -> Result<R::Response, ClientError> {
        self.send(request, version).await?;
        let Self { answers, peer } = self;
        let frame = peer.in_time(answers.next(peer)).await?;
        peer.read::<R>(&frame, version)
    }

    /// Sends what nobody answers, as Produce without acknowledgements.
    pub(crate) async fn send<R: Request>(
        &mut self,
        request: &R,
        version: i16,
    ) -> Result<(), ClientError> {
        let Self { answers, peer } = self;
        let sent = peer.in_time(async {
            for piece in framed_of(&peer.client_id, request, version)? {
                answers.stream.write_all(&piece).await.map_err(|cause| peer.lost(cause))?;
            }
            Ok(())
        });
        sent.await
    }

    /// Says from now on that it is this client (`client.id`).
    pub(crate) fn set_client_id(&mut self, client_id: Arc<str>) {
        self.peer.client_id = client_id;
    }

    /// Lets answers from now on take so long.
    pub(crate) fn set_timeout(&mut self, timeout: Duration) {
        self.peer.timeout = timeout;
    }

    /// The two directions apart.
    pub(crate) fn split(self) -> (Answers, OwnedWriteHalf, Peer) {
        let (input, output) = self.answers.stream.into_split();
        (Answers { stream: input, input: self.answers.input }, output, self.peer)
    }

    /// The two directions of one connection together again.
    pub(crate) fn join(
        answers: Answers,
        output: OwnedWriteHalf,
        peer: Peer,
    ) -> Result<Self, ClientError> {
        let stream =
            answers.stream.reunite(output).map_err(|error| peer.wrong(error.to_string()))?;
        Ok(Self { answers: Answers { stream, input: answers.input }, peer })
    }
}
