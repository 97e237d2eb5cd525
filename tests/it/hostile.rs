//! Input that no client sends: the broker lives, stays small, and serves everybody else meanwhile.

use std::io::{ErrorKind, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use fastrand::Rng;
use rustix::process::{Resource, getrlimit, setrlimit};

use crate::broker::{Broker, against_kafka};
use crate::needs::{report, seed, setting};
use crate::raw_client::{
    API_VERSIONS, Batch, Body, CREATE_TOPICS, Connection, FETCH, LIST_OFFSETS, METADATA, PRODUCE,
    create_topics_body, fetch_body, frame, produce_body, record,
};
use crate::wait::until;

mod batches;

const RESIDENT_BYTES_MAX: u64 = 200 << 20;
/// How long a well-behaved client may wait for an answer while others misbehave.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(5);
const TOPIC: &str = "target";

/// A broker that creates no topic by accident, with one topic to aim at.
fn target() -> Broker {
    let broker = Broker::start_with(&["auto.create.topics.enable=false"]);
    let mut client = Connection::open(broker.port(), ANSWER_TIMEOUT).unwrap();
    assert_eq!(client.create_topics(&[TOPIC.to_owned()], 1, &[]).unwrap(), 0);
    if against_kafka() {
        // It answers a creation before the topic serves.
        let mut serves = || client.list_offset(TOPIC, -1).is_ok_and(|(error, _)| error == 0);
        until("a leader", ANSWER_TIMEOUT, || serves().then_some(()));
    }
    broker
}

/// The broker still runs, answers a new connection, and never was larger than allowed.
fn assert_unharmed(broker: &mut Broker, after: &str) {
    assert!(broker.is_running(), "the broker died of {after}");
    let mut client = Connection::open(broker.port(), ANSWER_TIMEOUT).unwrap();
    assert!(!client.api_versions().expect(after).is_empty(), "{after}");
    let (now, peak) = broker.resident_bytes();
    let limit = if against_kafka() { u64::MAX } else { RESIDENT_BYTES_MAX };
    assert!(peak < limit, "{after}: {now} bytes resident, {peak} at the peak");
}

/// Runs `attack` while one well-behaved connection asks all the time; the longest it waited.
fn served_meanwhile(port: u16, attack: impl FnOnce() + Send) -> Duration {
    let done = AtomicBool::new(false);
    thread::scope(|scope| {
        let asking = scope.spawn(|| {
            let mut client = Connection::open(port, ANSWER_TIMEOUT).unwrap();
            let mut worst = Duration::ZERO;
            while !done.load(Ordering::Relaxed) {
                let asked = Instant::now();
                client.api_versions().expect("ApiVersions is answered meanwhile");
                client.advertised().expect("Metadata is answered meanwhile");
                worst = worst.max(asked.elapsed());
                thread::sleep(Duration::from_millis(10));
            }
            worst
        });
        // The flag must fall also when the attack panics, or the scope never ends.
        let end = scope.spawn(attack).join();
        done.store(true, Ordering::Relaxed);
        let worst = asking.join().unwrap();
        end.unwrap();
        worst
    })
}

/// Sends bytes, ends the sending side, reads until the broker closes; whether it did in time.
fn send_and_drain(port: u16, bytes: &[u8]) -> bool {
    let client = Connection::open(port, 2 * ANSWER_TIMEOUT).unwrap();
    let mut stream = client.stream();
    // A broker that closes at the first bad byte makes the rest of the write fail: that is an answer too.
    let _ = stream.write_all(bytes);
    let _ = stream.shutdown(Shutdown::Write);
    let mut sink = [0; 8 << 10];
    loop {
        match stream.read(&mut sink) {
            Ok(0) => return true,
            Ok(_) => {}
            Err(error) => {
                return !matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut);
            }
        }
    }
}

fn framed(bytes: &[u8]) -> Vec<u8> {
    Body::default().i32(bytes.len() as i32).raw(bytes).0
}

/// Byte strings that killed or starved other decoders.
fn corpus() -> Vec<(&'static str, Vec<u8>)> {
    let body = |bytes: &[u8]| Body::default().raw(bytes);
    let produce = body(&[0, 0xff, 0xff, 0, 0, 0x75, 0x30]).raw(&[0xff, 0xff, 0xff, 0xff, 0x0f]);
    vec![
        (
            "Metadata v0, array of 2^31-1",
            frame(METADATA, 0, false, &body(&[0x7f, 0xff, 0xff, 0xff])),
        ),
        (
            "Metadata v9, array of 2^32-2",
            frame(METADATA, 9, true, &body(&[0xff, 0xff, 0xff, 0xff, 0x0f])),
        ),
        ("Produce v9, topics of 2^32-2", frame(PRODUCE, 9, true, &produce)),
        (
            "Metadata v0, array of 54 million",
            frame(METADATA, 0, false, &body(&[3, 0x3c, 0x0c, 0, 0xb6])),
        ),
        ("a header of 1 byte", framed(&[0])),
        ("a header of 3 bytes", framed(&[0, 3, 0])),
        ("a header without its client id", framed(&[0, 3, 0, 9, 0, 0, 0, 1])),
        ("a client id longer than the frame", framed(&[0, 3, 0, 1, 0, 0, 0, 1, 0x7f, 0xff])),
        ("an empty frame", framed(&[])),
        ("a frame of -1 bytes", (-1_i32).to_be_bytes().to_vec()),
        ("a frame of -2^31 bytes", i32::MIN.to_be_bytes().to_vec()),
        ("a frame of 2^31-1 bytes", i32::MAX.to_be_bytes().to_vec()),
        ("a frame one byte too large", 104_857_601_i32.to_be_bytes().to_vec()),
        ("tagged fields without end", frame(API_VERSIONS, 3, true, &body(&[0xff; 32]))),
        ("HTTP", b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n".to_vec()),
        ("a TLS hello", vec![0x16, 3, 1, 2, 0, 1, 0, 1, 0xfc, 3, 3]),
    ]
}

#[test]
fn known_killers_do_not_harm() {
    let mut broker = target();
    for (name, bytes) in corpus() {
        let port = broker.port();
        served_meanwhile(port, || {
            assert!(send_and_drain(port, &bytes), "{name}: left open");
        });
        assert_unharmed(&mut broker, name);
    }
}

/// Well-formed requests to mutate. Creation names what no topic may be called, so that a mutant creates nothing.
fn seeds() -> Vec<(i16, i16, bool, Body)> {
    let body = Body::default;
    let batch = Batch::of(Some(b"key"), &[b"one", b"two", b"three"]).encode();
    let topic_13 = body().unsigned_varint(2).raw(&[7; 16]).compact_string(TOPIC).unsigned_varint(0);
    let old_produce =
        body().i16(-1).i16(1).i32(1_000).i32(1).string(TOPIC).i32(1).i32(0).bytes(&batch);
    let describe_configs = body().i32(1).i8(2).string(TOPIC).i32(1).string("retention.ms").i8(1);
    let epochs = body().i32(1).string(TOPIC).i32(1).i32(0).i32(0).i32(0);
    let offsets = body().i32(-1).i8(0).i32(1).string(TOPIC).i32(1).i32(0).i32(0).i64(-1);
    // What changes topics names none.
    let unnamed = || body().i32(1).string("not a name!");
    let offset = unnamed().i32(1).i32(0).i64(1).i32(1_000);
    let count = unnamed().i32(5).i32(-1).i32(1_000).i8(0);
    let config = body().i32(1).i8(2).string("not a name!").i32(1).string("cleanup.policy");
    let topics = || body().unsigned_varint(2).compact_string(TOPIC);
    let page = topics().unsigned_varint(0).i32(5).i8(-1).unsigned_varint(0);
    let producers = topics().unsigned_varint(2).i32(0).unsigned_varint(0).unsigned_varint(0);
    let strings = body().compact_string("raw").compact_string("1.0").unsigned_varint(0);
    vec![
        (API_VERSIONS, 0, false, body()),
        (API_VERSIONS, 3, true, strings),
        (METADATA, 0, false, body().i32(1).string(TOPIC)),
        (METADATA, 1, false, body().i32(-1)),
        (METADATA, 12, true, topic_13.i8(0).i8(0).unsigned_varint(0)),
        (PRODUCE, 3, false, old_produce),
        (PRODUCE, 9, true, produce_body(TOPIC, 0, -1, &batch)),
        (PRODUCE, 9, true, produce_body(TOPIC, 0, 0, &batch)),
        (FETCH, 4, false, fetch_body(TOPIC, 0, 0)),
        (LIST_OFFSETS, 1, false, body().i32(-1).i32(1).string(TOPIC).i32(1).i32(0).i64(-2)),
        (LIST_OFFSETS, 4, false, offsets),
        (
            CREATE_TOPICS,
            2,
            false,
            create_topics_body(&["not a name!".to_owned()], 1, &[("a", "b")]),
        ),
        (20, 1, false, body().i32(1).string("not a name!").i32(1_000)),
        (21, 0, false, offset),
        (22, 0, false, body().i16(-1).i32(60_000)),
        (23, 2, false, epochs),
        (32, 1, false, describe_configs),
        (33, 0, false, config.clone().string("compact").i8(0)),
        (35, 1, false, body().i32(1).string(TOPIC).i32(1).i32(0)),
        (37, 0, false, count),
        (44, 0, false, config.i8(2).string("compact").i8(0)),
        (60, 0, true, body().i8(0).unsigned_varint(0)),
        (61, 0, true, producers),
        (74, 1, true, body().unsigned_varint(2).i8(2).unsigned_varint(0)),
        (75, 0, true, page),
    ]
}

fn mutant(random: &mut Rng, seeds: &[(i16, i16, bool, Body)]) -> Vec<u8> {
    const EDGES: [i32; 8] = [i32::MAX, i32::MIN, -1, -2, 0, 1, 0x7fff, 104_857_600];
    if random.u8(..) < 16 {
        let length = random.usize(0..200);
        let noise: Vec<u8> = std::iter::repeat_with(|| random.u8(..)).take(length).collect();
        return if random.bool() { framed(&noise) } else { noise };
    }
    let (key, version, flexible, body) = &seeds[random.usize(0..seeds.len())];
    let (mut key, mut version) = (*key, *version);
    match random.u8(0..16) {
        0 => key = random.i16(-1..100),
        1 => version = random.i16(-1..20),
        _ => {}
    }
    let mut bytes = frame(key, version, *flexible, body);
    for _ in 0..random.usize(0..4) {
        let place = random.usize(4..bytes.len());
        match random.u8(0..6) {
            0 => bytes[place] ^= 1 << random.u8(0..8),
            1 => bytes[place] = random.u8(..),
            2 if place + 4 <= bytes.len() => {
                let edge = EDGES[random.usize(0..EDGES.len())];
                bytes[place..place + 4].copy_from_slice(&edge.to_be_bytes());
            }
            3 if place > 5 => bytes.truncate(place),
            4 => bytes.extend_from_within(place..),
            _ => bytes.insert(place, 0xff),
        }
    }
    if random.u8(..) > 4 {
        let length = bytes.len() as i32 - 4;
        bytes[..4].copy_from_slice(&length.to_be_bytes());
    }
    bytes
}

#[test]
fn random_and_mutated_frames_do_not_harm() {
    const CLIENTS: u64 = 4;
    let frames = setting("OTTLA_HOSTILE_FRAMES", 2_000_u64);
    let seed = seed();
    let replay =
        format!("OTTLA_SEED={seed} OTTLA_HOSTILE_FRAMES={frames} cargo test --test it random_and");
    report(&format!("hostile: {frames} frames, replay: {replay}"));
    let mut broker = target();
    let (sent, stalled) = (AtomicU64::new(0), AtomicU64::new(0));
    let port = broker.port();
    let worst = served_meanwhile(port, || {
        thread::scope(|scope| {
            for client in 0..CLIENTS {
                let (sent, stalled) = (&sent, &stalled);
                scope.spawn(move || {
                    let mut random = Rng::with_seed(seed.wrapping_add(client));
                    let seeds = seeds();
                    while sent.load(Ordering::Relaxed) < frames {
                        let count = random.u64(1..6);
                        let burst: Vec<u8> =
                            (0..count).flat_map(|_| mutant(&mut random, &seeds)).collect();
                        if !send_and_drain(port, &burst) {
                            stalled.fetch_add(1, Ordering::Relaxed);
                        }
                        sent.fetch_add(count, Ordering::Relaxed);
                    }
                });
            }
        });
    });
    let (_, peak) = broker.resident_bytes();
    let (sent, stalled) = (sent.into_inner(), stalled.into_inner());
    report(&format!(
        "hostile: {sent} frames, peak {} MiB, slowest answer to others {worst:?}",
        peak >> 20,
    ));
    assert_unharmed(&mut broker, &format!("mutated frames, {replay}"));
    // Kafka sees that its peer is gone only between two requests, so a mutated wait holds it.
    assert!(stalled == 0 || against_kafka(), "{stalled} connections stayed open, {replay}");
}

/// Lets this process hold `count` sockets.
fn raise_open_files(count: u64) {
    let mut limit = getrlimit(Resource::Nofile);
    if limit.current.is_some_and(|current| current < count) {
        limit.current = Some(limit.maximum.map_or(count, |maximum| maximum.min(count)));
        setrlimit(Resource::Nofile, limit).expect("a soft limit may rise to the hard one");
    }
}

#[test]
fn requests_that_never_end_share_a_bounded_memory() {
    const CONNECTIONS: usize = 400;
    if against_kafka() {
        return;
    }
    raise_open_files(CONNECTIONS as u64 + 512);
    let mut broker = target();
    let port = broker.port();
    let announced = 104_857_600_i32.to_be_bytes();
    let zeros = vec![0; 256 * 1024];
    let mut held = Vec::new();
    served_meanwhile(port, || {
        for _ in 0..CONNECTIONS {
            let stream = TcpStream::connect(("127.0.0.1", port)).unwrap();
            stream.set_nonblocking(true).unwrap();
            // The broker takes what it has room for; the rest waits in the socket.
            (&stream).write_all(&announced).unwrap();
            for _ in 0..4 {
                let _ = (&stream).write(&zeros);
            }
            held.push(stream);
        }
        assert_unharmed(&mut broker, "400 requests that never end");
    });
    drop(held);
    assert_unharmed(&mut broker, "400 requests given up");
}

#[test]
fn announced_bytes_are_not_reserved() {
    const CONNECTIONS: usize = 1_000;
    raise_open_files(CONNECTIONS as u64 + 512);
    let mut broker = target();
    let port = broker.port();
    let announced = 104_857_600_i32.to_be_bytes();
    let produce_head = frame(PRODUCE, 9, true, &Body::default().unsigned_varint(0).i16(-1).i32(1));
    // Kafka reserves what is announced, and stops answering under far fewer.
    let connections = if against_kafka() { 4 } else { CONNECTIONS };
    let mut held = Vec::new();
    served_meanwhile(port, || {
        for number in 0..connections {
            let mut client = Connection::open(port, ANSWER_TIMEOUT).unwrap();
            client.send(&announced).unwrap();
            if number % 2 == 1 {
                client.send(&produce_head[4..]).unwrap();
            }
            held.push(client);
        }
        assert_unharmed(&mut broker, "1,000 announcements of 100 MiB");
    });
    drop(held);
    assert_unharmed(&mut broker, "1,000 announcements taken back");
}
