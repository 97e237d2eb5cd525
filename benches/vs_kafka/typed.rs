//! Typed requests over a connection.

use bytes::Bytes;

use crate::ANSWER_TIMEOUT;
use crate::raw_client::{Body, Connection};
use crate::requests::{Outcome, Request, framed_as, unframed};

/// A request as it is sent, to be sent more than once.
pub(crate) fn framed<R: Request>(request: &R, version: i16) -> Bytes {
    framed_as(request, version, 0, "vs_kafka")
}

pub(crate) fn send<R: Request>(connection: &mut Connection, request: &R, version: i16) {
    connection.send(&framed(request, version)).unwrap();
}

/// The next answer, which must be one to such a request.
pub(crate) fn receive<R: Request>(connection: &Connection, version: i16) -> R::Response {
    match Outcome::next(connection.stream(), ANSWER_TIMEOUT, ANSWER_TIMEOUT).unwrap() {
        Outcome::Answer(frame) => unframed::<R>(&frame, version).unwrap().1,
        other => panic!("{}: {other:?}", R::NAME),
    }
}

pub(crate) fn ask<R: Request>(
    connection: &mut Connection,
    request: &R,
    version: i16,
) -> R::Response {
    send(connection, request, version);
    receive::<R>(connection, version)
}

/// What a classic consumer says of itself: it reads one topic.
pub(crate) fn subscription(topic: &str) -> Bytes {
    Body::default().i16(0).i32(1).string(topic).i32(-1).0.into()
}

/// What a classic consumer is told: it has one partition.
pub(crate) fn assignment(topic: &str, partition: i32) -> Bytes {
    Body::default().i16(0).i32(1).string(topic).i32(1).i32(partition).i32(-1).0.into()
}
