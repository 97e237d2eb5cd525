//! From a frame to a reply: header, row, body, handler, encoding.

use std::sync::Arc;

use bytes::Bytes;

use super::{Api, Context, ROWS, Session, Shared, api_versions};
use crate::log::BoxFuture;
use crate::wire::header::write_response_header;
use crate::wire::{DecodeError, Decoder, Encoder, Keyed, Message, RequestHeader, Segments};

/// What a handler answers.
pub(crate) enum Reply<R> {
    /// The response.
    Ready(R),
    /// The response comes later; the connection's next request is served meanwhile and the
    /// answers still leave in order.
    Pending(BoxFuture<'static, R>),
    /// No response (produce with acks=0).
    Silent,
    /// An error that no response can carry: the connection closes.
    Close,
}

/// A [`Reply`] in bytes, framed.
pub enum EncodedReply {
    /// The response.
    Ready(Segments),
    /// The response comes later.
    Pending(BoxFuture<'static, Segments>),
    /// No response.
    Silent,
    /// The connection closes.
    Close,
}

/// Why a request closes its connection, as it does with Apache Kafka.
#[derive(Debug, thiserror::Error)]
pub enum DispatchError {
    /// No API of this key.
    #[error("unknown API key {0}")]
    UnknownApi(i16),
    /// The key has no such version.
    #[error("API key {key} has no version {version}")]
    UnsupportedVersion {
        /// API key.
        key: i16,
        /// Version asked for.
        version: i16,
    },
    /// The header or the body cannot be read.
    #[error("API key {key} version {version}: {source}")]
    Undecodable {
        /// API key, -1 if it could not be read.
        key: i16,
        /// Version, -1 if it could not be read.
        version: i16,
        /// Cause.
        source: DecodeError,
    },
}

type Call =
    for<'a> fn(Context<'a>, Bytes, Form) -> BoxFuture<'a, Result<EncodedReply, DispatchError>>;

/// An API in the table.
pub(crate) struct Row {
    /// API key.
    pub(crate) key: i16,
    /// Lowest version advertised.
    pub(crate) min_version: i16,
    /// Highest version advertised.
    pub(crate) max_version: i16,
    flexible: i16,
    call: Call,
}

/// The row of an API.
pub(super) const fn row<A: Api>() -> Row {
    Row {
        key: A::Request::KEY,
        min_version: *A::ADVERTISED.start(),
        max_version: *A::ADVERTISED.end(),
        flexible: A::Request::FLEXIBLE,
        call: call::<A>,
    }
}

/// How a request is to be answered.
#[derive(Clone, Copy)]
struct Form {
    key: i16,
    version: i16,
    correlation_id: i32,
}

/// Serves the request in `frame`.
pub async fn dispatch(
    shared: &Arc<Shared>,
    session: &Session,
    frame: Bytes,
) -> Result<EncodedReply, DispatchError> {
    let undecodable =
        |key, version| move |source| DispatchError::Undecodable { key, version, source };
    let mut decoder = Decoder::new(frame);
    let (key, version) = RequestHeader::peek(&decoder).map_err(undecodable(-1, -1))?;
    let row = ROWS.iter().find(|row| row.key == key).ok_or(DispatchError::UnknownApi(key))?;
    let header = RequestHeader::read(&mut decoder, version >= row.flexible)
        .map_err(undecodable(key, version))?;
    let form = Form { key, version, correlation_id: header.correlation_id };
    let context = Context { shared, session, client_id: header.client_id.as_deref() };
    if !(row.min_version..=row.max_version).contains(&version) {
        if key == api_versions::KEY {
            // The one answer to a version we do not know (KIP-511).
            let form = Form { version: 0, ..form };
            return Ok(EncodedReply::Ready(encode(&api_versions::unsupported(), form)));
        }
        return Err(DispatchError::UnsupportedVersion { key, version });
    }
    (row.call)(context, decoder.into_rest(), form).await
}

fn call<A: Api>(
    context: Context<'_>,
    body: Bytes,
    form: Form,
) -> BoxFuture<'_, Result<EncodedReply, DispatchError>> {
    Box::pin(async move {
        let Form { key, version, .. } = form;
        let request = A::Request::from_bytes(body, version)
            .map_err(|source| DispatchError::Undecodable { key, version, source })?;
        Ok(match A::handle(context, request, version).await {
            Reply::Ready(response) => EncodedReply::Ready(encode(&response, form)),
            Reply::Pending(response) => {
                EncodedReply::Pending(Box::pin(async move { encode(&response.await, form) }))
            }
            Reply::Silent => EncodedReply::Silent,
            Reply::Close => EncodedReply::Close,
        })
    })
}

fn encode<R: Message>(response: &R, form: Form) -> Segments {
    let mut encoder = Encoder::frame();
    // ApiVersions is answered with the plain header at every version: its reader may be older.
    let flexible = form.version >= R::FLEXIBLE && form.key != api_versions::KEY;
    write_response_header(&mut encoder, form.correlation_id, flexible);
    response.encode(&mut encoder, form.version);
    encoder.finish()
}
