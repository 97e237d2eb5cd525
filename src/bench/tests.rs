//! The parts that need no broker: schedules, reports, options, and answers from a hostile peer.

use std::time::Duration;

use bytes::{Bytes, BytesMut};
use clap::{CommandFactory, Parser};
use serde_json::{Value, json};
use tokio::time::Instant;

use super::pace::{Dues, Plan};
use super::produce::{duration, rate};
use super::report::{Meter, Report};
use super::topic::shares;
use super::{Command, produce};
use crate::client::{Answers, ClientError, Peer, error_name, framed};
use crate::records::{Batches, Compression};
use crate::wire::Request;
use crate::wire::messages::metadata::MetadataRequest;
use crate::wire::{Decoder, RequestHeader};

#[derive(Debug, Parser)]
struct CommandLine {
    #[command(subcommand)]
    command: Command,
}

fn produce_options(arguments: &[&str]) -> produce::Options {
    let arguments = ["bench", "produce"].iter().chain(arguments);
    match CommandLine::try_parse_from(arguments).unwrap().command {
        Command::Produce(options) => options,
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_schedule_does_not_drift_and_ends() {
    let duration = Some(Duration::from_secs(10));
    let plan = Plan { rate_per_s: 3.0, requests_max: None, duration };
    assert_eq!(plan.due(0), Some(Duration::ZERO));
    assert_eq!(plan.due(3), Some(Duration::from_secs(1)));
    assert_eq!(plan.due(29), Some(Duration::from_nanos(9_666_666_666)));
    assert_eq!(plan.due(30), None);
    let plan = Plan { rate_per_s: 1e6, requests_max: Some(5), duration };
    assert_eq!(plan.due(4), Some(Duration::from_micros(4)));
    assert_eq!(plan.due(5), None);
}

#[test]
fn connections_share_all_requests() {
    let plan = Plan { requests_max: Some(10), ..Plan::default() };
    let shares: Vec<u64> = (0..4).map(|number| plan.share(number, 4)).collect();
    assert_eq!(shares, [3, 3, 2, 2]);
    assert_eq!(Plan::default().share(0, 4), u64::MAX);
}

#[tokio::test]
async fn what_is_paced_is_dealt_to_the_connections_in_turn() {
    let plan = Plan { rate_per_s: 1e6, requests_max: Some(5), duration: None };
    let mut counts = Vec::new();
    for mut dues in plan.start(2).unwrap() {
        let mut times = Vec::new();
        while let Some(due) = dues.next().await {
            times.push(due);
        }
        assert!(times.is_sorted_by(|one, next| *next - *one == Duration::from_micros(2)));
        counts.push(times.len());
    }
    assert_eq!(counts, [3, 2]);
}

#[tokio::test]
async fn without_a_rate_requests_are_due_until_the_end() {
    let mut dues = Dues::Free { left: 2, until: None };
    assert!(dues.next().await.is_some() && dues.next().await.is_some());
    assert!(dues.next().await.is_none() && dues.next().await.is_none());
    let mut dues = Dues::Free { left: 2, until: Some(Instant::now()) };
    assert!(dues.next().await.is_none());
}

#[test]
fn every_connection_gets_partitions() {
    assert_eq!(shares(&[0, 1, 2, 3, 4], 2), [vec![0, 2, 4], vec![1, 3]]);
    assert_eq!(shares(&[7, 8], 3), [vec![7], vec![8], vec![7]]);
}

#[test]
fn options_are_consistent() {
    CommandLine::command().debug_assert();
    let refused = [
        &["--acks", "2"][..],
        &["--compression", "lzma"],
        &["--records", "1", "--total-bytes", "1"],
        &["--batch-bytes", "1", "--batch-records", "1"],
        &["--partitions", "0"],
        &["--in-flight", "0"],
    ];
    for arguments in refused {
        let all = ["bench", "produce"].iter().chain(arguments);
        assert!(CommandLine::try_parse_from(all).is_err(), "{arguments:?}");
    }
    assert!(rate(-1.0).is_err() && rate(f64::NAN).is_err() && rate(f64::INFINITY).is_err());
    assert!(duration(-1.0).is_err() && duration(f64::NAN).is_err() && duration(1e300).is_err());
}

#[test]
fn a_batch_is_as_large_as_it_may_be() {
    for bytes in ["100", "1000", "65536"] {
        let options = produce_options(&["--record-bytes", "100", "--batch-bytes", bytes]);
        let (batch, count) = options.batch();
        let limit: usize = bytes.parse().unwrap();
        assert!(batch.len() <= limit || count == 1, "{} bytes", batch.len());
        assert!(batch.len() + 120 > limit, "{} bytes", batch.len());
        let batches: Vec<_> = Batches::new(&batch).collect::<Result<_, _>>().unwrap();
        let (header, whole) = batches[0];
        assert!(batches.len() == 1 && header.verify_crc(whole));
        assert_eq!(header.record_count, count as i32);
    }
    for codec in Compression::ALL {
        let options = produce_options(&["--batch-records", "50", "--compression", codec.name()]);
        let (batch, count) = options.batch();
        let (header, whole) = Batches::new(&batch).next().unwrap().unwrap();
        assert_eq!((count, header.compression()), (50, Some(codec)));
        assert!(header.verify_crc(whole));
    }
}

#[test]
fn amounts_are_rounded_up_to_whole_batches() {
    let plan = |arguments: &[&str]| produce_options(arguments).plan(1000, 10).unwrap();
    assert_eq!(plan(&["--records", "11"]).requests_max, Some(2));
    assert_eq!(plan(&["--total-bytes", "3000"]).requests_max, Some(3));
    let rated = plan(&["--rate", "50", "--seconds", "2"]);
    assert_eq!((rated.rate_per_s, rated.duration), (5.0, Some(Duration::from_secs(2))));
    let unbounded = plan(&[]);
    assert!(unbounded.requests_max.is_none() && unbounded.duration.is_some());
}

#[test]
fn a_report_has_every_figure_in_both_forms() {
    let (meter, other) = (Meter::new(), Meter::new());
    let due = Instant::now();
    (0..10).for_each(|_| meter.done(due, 3, 1000));
    meter.failed(&error_name(6));
    other.failed(&error_name(6));
    let report = Report::new("produce", &json!({"rate": 1.5, "none": null})).meter("", &meter);
    let report = report.figure("stable_s", 2.5).meter("other", &other);
    assert!(report.failed());
    let (mut text, mut table) = (Vec::new(), Vec::new());
    report.print(true, &mut text).unwrap();
    report.print(false, &mut table).unwrap();
    let value: Value = serde_json::from_slice(&text).unwrap();
    assert_eq!((&value["requests"], &value["records"]), (&json!(10), &json!(30)));
    assert_eq!((&value["bytes"], &value["stable_s"]), (&json!(10_000), &json!(2.5)));
    assert_eq!((&value["command"], &value["failed"]), (&json!("produce"), &json!(true)));
    assert_eq!(value["settings"], json!({"rate": 1.5, "none": null}));
    assert_eq!(value["errors"], json!({"NOT_LEADER_OR_FOLLOWER": 2}));
    assert_eq!(value["other"]["requests"], 0);
    for quantile in ["p50", "p90", "p99", "p99_9", "max"] {
        assert!(value["latency_ms"][quantile].is_number(), "{value}");
    }
    let table = String::from_utf8(table).unwrap();
    assert!(table.contains("errors.NOT_LEADER_OR_FOLLOWER    2\n"), "{table}");

    let clean = Report::new("consume", &json!({})).meter("", &Meter::new());
    assert!(!clean.failed());
}

#[test]
fn a_latency_beyond_every_bound_is_the_longest() {
    let meter = Meter::new();
    let long_ago = Instant::now().checked_sub(Duration::from_hours(2));
    // A machine that was just started has no such past.
    if let Some(due) = long_ago {
        meter.done(due, 1, 1);
        let max = meter.figures().into_iter().find(|row| row.0 == "latency_ms.max").unwrap().1;
        assert!(max.as_f64().unwrap() >= 3_600_000.0, "{max}");
    }
}

async fn answer(bytes: &[u8]) -> (Result<Bytes, ClientError>, usize) {
    let mut answers = Answers { stream: bytes, input: BytesMut::new() };
    let answer = answers.next(&Peer::default()).await;
    (answer, answers.input.capacity())
}

#[tokio::test]
async fn a_peer_that_claims_much_gets_no_memory_for_it() {
    for (claim, expected) in [(-1, "TLS"), (i32::MAX, "TLS"), (1 << 29, "lost")] {
        let bytes = [&i32::to_be_bytes(claim)[..], b"http"].concat();
        let (answer, capacity) = answer(&bytes).await;
        let error = answer.unwrap_err().to_string();
        assert!(error.contains(expected), "{error}");
        assert!(capacity < 4 << 20, "{capacity} bytes for {claim}");
    }
    let (whole, _) = answer(b"\0\0\0\x02ab").await;
    assert_eq!(whole.unwrap(), &b"ab"[..]);
}

#[test]
fn unreadable_answers_are_errors() {
    let peer = Peer::default();
    let version = 9;
    let request = MetadataRequest::default();
    let good = <MetadataRequest as Request>::Response::default();
    let body = crate::wire::Message::to_bytes(&good, version).unwrap();
    let frame = |id: i32| Bytes::from([&id.to_be_bytes()[..], &[0], &body].concat());
    assert_eq!(peer.read::<MetadataRequest>(&frame(0), version).unwrap(), good);
    assert!(peer.read::<MetadataRequest>(&frame(1), version).is_err());
    for length in 0..frame(0).len() {
        assert!(peer.read::<MetadataRequest>(&frame(0).slice(..length), version).is_err());
    }
    assert!(peer.version::<MetadataRequest>().unwrap_err().to_string().contains("Metadata"));

    let sent = framed(&request, version).unwrap().concat();
    let length = u32::from_be_bytes(*sent.first_chunk().unwrap()) as usize;
    assert_eq!(length, sent.len() - 4);
    let mut decoder = Decoder::new(Bytes::from(sent).slice(4..));
    let header = RequestHeader::read(&mut decoder, true).unwrap();
    assert_eq!((header.api_key, header.api_version), (3, version));
}
