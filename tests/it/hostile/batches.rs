//! Hostile record batches inside well-formed produce requests.

use std::io::Write;
use std::time::Duration;

use flate2::Compression;
use flate2::write::GzEncoder;

use self::Outcome::{Any, Error, Refused};
use super::{
    ANSWER_TIMEOUT, Batch, Body, Connection, TOPIC, assert_unharmed, record, served_meanwhile,
    target,
};

const CORRUPT_MESSAGE: i16 = 2;
const INVALID_RECORD: i16 = 87;
/// Inflating a bomb takes time in a debug build.
const BOMB_TIMEOUT: Duration = Duration::from_mins(2);
const BOMB_BYTES: usize = 512 << 20;

/// What must come of a batch.
#[derive(Clone, Copy, Debug)]
enum Outcome {
    /// This error code.
    Error(i16),
    /// Some error code, or a closed connection; nothing is appended.
    Refused,
    /// Any of the above, or success: it only must not harm.
    Any,
}

fn good() -> Batch {
    Batch::of(Some(b"key"), &[b"one", b"two", b"three"])
}

fn with(change: impl FnOnce(&mut Batch)) -> Vec<u8> {
    let mut batch = good();
    change(&mut batch);
    batch.encode()
}

/// A batch of one record whose body, after its length, is `body`.
fn with_record(length: i64, body: &Body) -> Vec<u8> {
    let mut batch = Batch::of(None, &[b""]);
    batch.records = Body::default().varint(length).raw(&body.0).0;
    batch.encode()
}

/// A good batch, then bytes.
fn followed_by(tail: &[u8]) -> Vec<u8> {
    [good().encode().as_slice(), tail].concat()
}

/// A message of the format before record batches.
fn legacy_message(magic: i8) -> Vec<u8> {
    let mut body = Body::default().i8(magic).i8(0);
    if magic == 1 {
        body = body.i64(0);
    }
    let body = body.i32(-1).bytes(b"old").0;
    Body::default().i64(0).i32(body.len() as i32 + 4).i32(0).raw(&body).0
}

/// Batch headers that lie.
fn headers() -> Vec<(&'static str, Vec<u8>, Outcome)> {
    let whole = good().encode();
    let mut bad_sum = whole.clone();
    *bad_sum.last_mut().unwrap() ^= 1;
    let mut negative_length = whole.clone();
    negative_length[8..12].copy_from_slice(&(-1_i32).to_be_bytes());
    let both = |b: &mut Batch| (b.count, b.last_offset_delta) = (i32::MAX, i32::MAX - 1);
    vec![
        ("a count of 2^31-1", with(|b| b.count = i32::MAX), Error(INVALID_RECORD)),
        ("a count and an offset delta of 2^31-1", with(both), Error(INVALID_RECORD)),
        ("a negative count", with(|b| b.count = -1), Error(INVALID_RECORD)),
        ("a negative offset delta", with(|b| b.last_offset_delta = -1), Error(INVALID_RECORD)),
        (
            "an offset delta of 2^31-1",
            with(|b| b.last_offset_delta = i32::MAX),
            Error(INVALID_RECORD),
        ),
        ("a base offset", with(|b| b.base_offset = 5), Error(INVALID_RECORD)),
        ("a codec that does not exist", with(|b| b.attributes = 6), Refused),
        ("gzip that is none", with(|b| b.attributes = 1), Refused),
        ("snappy that is none", with(|b| b.attributes = 2), Refused),
        ("lz4 that is none", with(|b| b.attributes = 3), Refused),
        ("zstd that is none", with(|b| b.attributes = 4), Refused),
        ("a control batch", with(|b| b.attributes = 0x20), Refused),
        ("a wrong checksum", bad_sum, Error(CORRUPT_MESSAGE)),
        ("magic 9", with(|b| b.magic = 9), Error(CORRUPT_MESSAGE)),
        ("magic 0", legacy_message(0), Error(INVALID_RECORD)),
        ("magic 1", legacy_message(1), Error(INVALID_RECORD)),
        ("a batch of length -1", negative_length, Refused),
        ("half a batch", whole[..whole.len() / 2].to_vec(), Error(INVALID_RECORD)),
        ("11 bytes", whole[..11].to_vec(), Error(INVALID_RECORD)),
        ("nothing", Vec::new(), Error(INVALID_RECORD)),
        ("two batches", followed_by(&whole), Error(INVALID_RECORD)),
        (
            "a version 0 message after a batch",
            followed_by(&legacy_message(0)),
            Error(INVALID_RECORD),
        ),
        (
            "a version 1 message after a batch",
            followed_by(&legacy_message(1)),
            Error(INVALID_RECORD),
        ),
    ]
}

/// Records that lie, in batches that do not.
fn records() -> Vec<(&'static str, Vec<u8>, Outcome)> {
    let largest = i64::from(i32::MAX);
    let head = || Body::default().i8(0).varint(0).varint(0);
    let headers = |count: i64| head().varint(-1).varint(-1).varint(count);
    vec![
        ("2^31-1 headers", with_record(10, &headers(largest)), Error(INVALID_RECORD)),
        ("-1 headers", with_record(6, &headers(-1)), Error(INVALID_RECORD)),
        ("a record of 2^31-1 bytes", with_record(largest, &head()), Error(INVALID_RECORD)),
        ("a record of -5 bytes", with_record(-5, &head()), Error(INVALID_RECORD)),
        (
            "a key of 2^31-1 bytes",
            with_record(9, &head().varint(largest).varint(-1)),
            Error(INVALID_RECORD),
        ),
        ("a value of -2 bytes", with_record(6, &head().varint(-1).varint(-2).varint(0)), Any),
        ("a length that does not end", with(|b| b.records = vec![0xff; 64]), Refused),
        ("no records but a count", with(|b| b.records.clear()), Error(INVALID_RECORD)),
    ]
}

#[test]
fn malformed_batches_are_refused_and_append_nothing() {
    let mut broker = target();
    let mut end = 0;
    for (name, batch, outcome) in headers().into_iter().chain(records()) {
        let mut client = Connection::open(broker.port(), ANSWER_TIMEOUT).unwrap();
        let answer = client.produce(TOPIC, 0, &batch).ok();
        let error = answer.map(|answer| answer.error);
        match outcome {
            Error(code) => assert_eq!(error, Some(code), "{name}"),
            Refused => assert_ne!(error, Some(0), "{name}"),
            Any => end += i64::from(error == Some(0)),
        }
        assert_unharmed(&mut broker, name);
    }
    let mut client = Connection::open(broker.port(), ANSWER_TIMEOUT).unwrap();
    assert_eq!(client.list_offset(TOPIC, -1).unwrap(), (0, end));
    assert_eq!(client.produce(TOPIC, 0, &good().encode()).unwrap().error, 0);
}

/// Feeds `encoder` one record with a value of zeros, or many copies of a small one.
fn inflating(sink: &mut dyn Write, one_large_value: bool) -> i32 {
    let zeros = vec![0; 1 << 20];
    if one_large_value {
        let head = Body::default().i8(0).varint(0).varint(0).varint(-1).varint(BOMB_BYTES as i64);
        let length = head.0.len() + BOMB_BYTES + 1;
        sink.write_all(&Body::default().varint(length as i64).raw(&head.0).0).unwrap();
        for _ in 0..BOMB_BYTES / zeros.len() {
            sink.write_all(&zeros).unwrap();
        }
        sink.write_all(&[0]).unwrap();
        return 1;
    }
    let small = record(0, None, &[0; 1000]);
    let copies = zeros.len() * 64 / small.len();
    for _ in 0..copies {
        sink.write_all(&small).unwrap();
    }
    copies as i32
}

fn bomb(codec: i16, one_large_value: bool) -> Vec<u8> {
    let mut batch = Batch::of(None, &[b""]);
    batch.attributes = codec;
    batch.records.clear();
    if codec == 1 {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
        batch.count = inflating(&mut encoder, one_large_value);
        batch.records = encoder.finish().unwrap();
    } else {
        let mut encoder = zstd::Encoder::new(Vec::new(), 3).unwrap();
        batch.count = inflating(&mut encoder, one_large_value);
        batch.records = encoder.finish().unwrap();
    }
    batch.last_offset_delta = batch.count - 1;
    batch.encode()
}

#[test]
fn batches_that_inflate_to_gigabytes_do_not_harm() {
    let mut broker = target();
    let mut client = Connection::open(broker.port(), ANSWER_TIMEOUT).unwrap();
    let topics =
        [("compacted", "cleanup.policy", "compact"), ("recompressed", "compression.type", "lz4")];
    for (topic, key, value) in topics {
        assert_eq!(client.create_topics(&[topic.to_owned()], 1, &[(key, value)]).unwrap(), 0);
    }
    let port = broker.port();
    for (codec, one_large_value) in [(1, true), (1, false), (4, true), (4, false)] {
        let batch = bomb(codec, one_large_value);
        for topic in [TOPIC, "compacted", "recompressed"] {
            served_meanwhile(port, || {
                let mut client = Connection::open(port, BOMB_TIMEOUT).unwrap();
                // Success, an error code and a closed connection are all fair.
                let _ = client.produce(topic, 0, &batch);
            });
            assert_unharmed(&mut broker, &format!("codec {codec} inflating in {topic}"));
        }
    }
}
