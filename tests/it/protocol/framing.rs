//! Frames, headers and primitive types: what is refused, and what is read leniently. And the order of answers.

use std::time::{Duration, Instant};

use ottla::wire::messages::api_versions::ApiVersionsRequest;
use ottla::wire::messages::fetch::FetchRequest;
use ottla::wire::messages::list_offsets::ListOffsetsRequest;
use ottla::wire::messages::metadata::{MetadataRequest, MetadataResponse};
use ottla::wire::messages::produce::ProduceRequest;

use super::client::{Outcome, Target, list_offsets, unframed};
use super::errors::{INVALID_RECORD, UNKNOWN_TOPIC_OR_PARTITION};
use super::fetch::fetch;
use super::produce::{batch, produce, produce_without_records};
use crate::broker::against_kafka;
use crate::raw_client::{API_VERSIONS, Body, CREATE_TOPICS, LIST_OFFSETS, METADATA, frame};

checks![
    a_frame_size_that_cannot_be_closes,
    the_largest_frame_waits_for_its_bytes,
    a_header_cut_short_closes,
    bytes_after_the_body_are_ignored,
    a_negative_client_id_length_is_null,
    invalid_utf8_is_accepted,
    a_negative_array_length_is_null,
    a_compact_length_that_overflows_is_null,
    a_boolean_of_2_is_true,
    unknown_and_repeated_tags_are_accepted,
    an_overlong_varint_closes,
    a_huge_array_closes,
    null_where_it_may_not_be_closes,
    produce_with_null_records_is_answered_by_us,
    pipelined_requests_are_answered_in_order,
    a_waiting_fetch_holds_back_what_follows,
    acks_0_is_silent_and_an_error_closes,
];

const FRAME_BYTES_MAX: i32 = 104_857_600;

fn sized(bytes: &[u8]) -> Vec<u8> {
    Body::default().i32(bytes.len() as i32).raw(bytes).0
}

fn a_frame_size_that_cannot_be_closes(target: &Target) {
    for size in [0, -1, i32::MIN, FRAME_BYTES_MAX + 1, i32::MAX] {
        let bytes = Body::default().i32(size).raw(&[0; 32]).0;
        target.assert_closes(&format!("{size} bytes"), &bytes);
    }
}

fn the_largest_frame_waits_for_its_bytes(target: &Target) {
    let mut client = target.client();
    client.send_bytes(&FRAME_BYTES_MAX.to_be_bytes());
    assert!(client.is_silent());
}

fn a_header_cut_short_closes(target: &Target) {
    let whole = frame(METADATA, 9, true, &Body::default());
    for length in 1..whole.len() - 4 {
        let bytes = sized(&whole[4..4 + length]);
        target.assert_closes(&format!("{length} bytes of a header"), &bytes);
    }
}

/// The answer to a `Metadata` body written by hand.
fn metadata(target: &Target, version: i16, body: &Body) -> MetadataResponse {
    metadata_framed(target, version, &frame(METADATA, version, version >= 9, body))
}

fn metadata_framed(target: &Target, version: i16, frame: &[u8]) -> MetadataResponse {
    let Outcome::Answer(answer) = target.outcome(frame) else {
        panic!("version {version} is not answered")
    };
    unframed::<MetadataRequest>(&answer, version).1
}

fn has_topic(response: &MetadataResponse, name: &str) -> bool {
    response.topics.iter().any(|topic| topic.name.as_deref() == Some(name))
}

fn bytes_after_the_body_are_ignored(target: &Target) {
    let body = Body::default().i32(0).raw(b"more than there should be");
    assert!(!metadata(target, 1, &body).brokers.is_empty());
    // Topics, three flags, tags.
    let body = Body::default().raw(&[1, 0, 0, 0, 0]).raw(b"more");
    assert!(!metadata(target, 9, &body).brokers.is_empty());
}

fn a_negative_client_id_length_is_null(target: &Target) {
    for length in [-1, -2, i16::MIN] {
        let header = Body::default().i16(METADATA).i16(1).i32(1).i16(length);
        let request = sized(&header.i32(0).0);
        assert!(!metadata_framed(target, 1, &request).brokers.is_empty(), "{length}");
    }
}

fn invalid_utf8_is_accepted(target: &Target) {
    let header = Body::default().i16(METADATA).i16(1).i32(1);
    let client_id = header.i16(3).raw(&[0xff, 0xfe, 0xfd]);
    let request = sized(&client_id.i32(0).0);
    assert!(!metadata_framed(target, 1, &request).brokers.is_empty());
    let name = Body::default().i32(1).i16(3).raw(&[b'a', 0xff, b'b']);
    let response = metadata(target, 1, &name);
    assert_eq!(response.topics[0].error_code, 17, "{response:?}");
    assert_eq!(response.topics[0].name.as_deref(), Some("a\u{fffd}b"));
}

fn a_negative_array_length_is_null(target: &Target) {
    let topic = target.topic(1);
    for length in [-1, -2, i32::MIN] {
        let response = metadata(target, 1, &Body::default().i32(length));
        assert!(has_topic(&response, &topic.name), "{length}");
    }
}

fn a_compact_length_that_overflows_is_null(target: &Target) {
    let topic = target.topic(1);
    for length in [0, u32::MAX] {
        let body = Body::default().unsigned_varint(length).raw(&[0, 0, 0, 0]);
        let response = metadata(target, 9, &body);
        assert!(has_topic(&response, &topic.name), "{length}");
    }
}

fn a_boolean_of_2_is_true(target: &Target) {
    let name = target.name();
    // validate_only is the last byte.
    let topics = Body::default().i32(1).string(&name).i32(1).i16(1).i32(0).i32(0);
    let request = frame(CREATE_TOPICS, 2, false, &topics.i32(60_000).i8(2));
    assert!(matches!(target.outcome(&request), Outcome::Answer(_)));
    let all = target.call(&MetadataRequest { topics: None, ..Default::default() }, 4);
    assert!(!has_topic(&all, &name));
}

fn unknown_and_repeated_tags_are_accepted(target: &Target) {
    let tags = [2, 99, 1, 0, 99, 1, 0];
    let header = Body::default().i16(METADATA).i16(9).i32(1).string("raw").raw(&tags);
    let body = header.raw(&[1, 0, 0, 0]).raw(&tags);
    assert!(!metadata_framed(target, 9, &sized(&body.0)).brokers.is_empty());
    // Tags out of order.
    let body = Body::default().raw(&[1, 0, 0, 0, 2, 99, 0, 98, 0]);
    assert!(!metadata(target, 9, &body).brokers.is_empty());
}

fn an_overlong_varint_closes(target: &Target) {
    for varint in [&[0x80, 0x80, 0x80, 0x80, 0x80, 0][..], &[0xff; 6]] {
        let body = Body::default().raw(varint).raw(&[0; 8]);
        target.assert_closes(&format!("{varint:?}"), &frame(METADATA, 9, true, &body));
    }
}

fn a_huge_array_closes(target: &Target) {
    let long = Body::default().i32(i32::MAX);
    target.assert_closes("2^31-1 topics", &frame(METADATA, 1, false, &long));
    let more_than_there_is = Body::default().i32(100).string("a");
    target.assert_closes("100 topics", &frame(METADATA, 1, false, &more_than_there_is));
    let compact = Body::default().unsigned_varint(i32::MAX as u32).raw(&[0; 4]);
    target.assert_closes("2^31-2 topics", &frame(METADATA, 9, true, &compact));
}

fn null_where_it_may_not_be_closes(target: &Target) {
    let no_topics = Body::default().i32(-1).i32(60_000).i8(0);
    target.assert_closes("no topics to create", &frame(CREATE_TOPICS, 2, false, &no_topics));
    let no_name = Body::default().i32(-1).i32(1).i16(-1).i32(0);
    target.assert_closes("a topic of no name", &frame(LIST_OFFSETS, 1, false, &no_name));
    let no_name = Body::default().i32(1).i16(-1);
    target.assert_closes("metadata of no name", &frame(METADATA, 1, false, &no_name));
    // Client software name and version in compact form.
    let no_name = Body::default().raw(&[0, 4]).raw(b"1.0").raw(&[0]);
    target.assert_closes("a client of no name", &frame(API_VERSIONS, 3, true, &no_name));
}

fn produce_with_null_records_is_answered_by_us(target: &Target) {
    let topic = target.topic(1);
    for version in [3, 8, 9, 13] {
        let mut client = target.client();
        let request = produce_without_records(&topic);
        client.send(&request, version);
        if against_kafka() {
            assert!(client.is_silent(), "version {version}");
            continue;
        }
        let (_, response) = client.receive::<ProduceRequest>(version);
        let answer = &response.responses[0].partition_responses[0];
        assert_eq!(answer.error_code, INVALID_RECORD, "version {version}");
        assert!(client.is_usable(), "version {version}");
    }
}

fn pipelined_requests_are_answered_in_order(target: &Target) {
    let topic = target.topic(1);
    let mut client = target.client();
    for round in 0..20 {
        let ids = [
            client.send(&produce(&topic, &batch(1)), 9),
            client.send(&list_offsets(&topic.name, 0, -1), 7),
            client.send(&ApiVersionsRequest::default(), 0),
            client.send(&fetch(&topic, i64::from(round)), 12),
        ];
        let (produced_id, produced) = client.receive::<ProduceRequest>(9);
        let (listed_id, listed) = client.receive::<ListOffsetsRequest>(7);
        let versions_id = client.receive::<ApiVersionsRequest>(0).0;
        let (fetched_id, fetched) = client.receive::<FetchRequest>(12);
        assert_eq!([produced_id, listed_id, versions_id, fetched_id], ids);
        let produced = &produced.responses[0].partition_responses[0];
        assert_eq!((produced.error_code, produced.base_offset), (0, i64::from(round)));
        // Each sees what the one before it has done.
        assert_eq!(listed.topics[0].partitions[0].offset, i64::from(round) + 1);
        let fetched = &fetched.responses[0].partitions[0];
        assert_eq!(fetched.high_watermark, i64::from(round) + 1);
        assert!(fetched.records.as_ref().is_some_and(|records| !records.is_empty()));
    }
}

fn a_waiting_fetch_holds_back_what_follows(target: &Target) {
    const WAIT: Duration = Duration::from_millis(300);
    let topic = target.topic(1);
    let mut client = target.client();
    let started = Instant::now();
    let waiting = FetchRequest { max_wait_ms: WAIT.as_millis() as i32, ..fetch(&topic, 0) };
    let first = client.send(&waiting, 12);
    let second = client.send(&ApiVersionsRequest::default(), 0);
    assert_eq!(client.receive::<FetchRequest>(12).0, first);
    assert!(started.elapsed() >= WAIT);
    assert_eq!(client.receive::<ApiVersionsRequest>(0).0, second);
}

fn acks_0_is_silent_and_an_error_closes(target: &Target) {
    let topic = target.topic(1);
    let mut client = target.client();
    let mut request = produce(&topic, &batch(1));
    request.acks = 0;
    client.send(&request, 9);
    assert!(client.is_usable(), "the only answer is the next request's");
    assert_eq!(target.end_offset(&topic, 0).offset, 1);
    request.topic_data[0].partition_data[0].index = 7;
    client.send(&request, 9);
    assert_eq!(client.outcome(), Outcome::Closed);
    request.acks = 1;
    let answer = target.call(&request, 9).responses[0].partition_responses[0].error_code;
    assert_eq!(answer, UNKNOWN_TOPIC_OR_PARTITION);
}
