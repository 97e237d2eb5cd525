//! Subscriptions by regular expressions, which are resolved after the answer.

use super::*;
use crate::wire::records::ConsumerGroupRegularExpressionValue;

fn joins_by(member_id: &str, regex: &str) -> ConsumerGroupHeartbeatRequest {
    ConsumerGroupHeartbeatRequest {
        subscribed_topic_names: None,
        subscribed_topic_regex: Some(regex.to_owned()),
        ..joins_with(member_id, &[])
    }
}

fn regex_record(regex: &str, topics: &[&str], version: i64, timestamp: i64) -> Record {
    let topics = topics.iter().map(|topic| (*topic).to_owned()).collect();
    let value = ConsumerGroupRegularExpressionValue { topics, version, timestamp };
    consumer_record(ConsumerRecord::Regex(regex.to_owned(), Some(value)))
}

/// `a` reads what matches `or.*|pay`, which is `orders`.
fn resolved() -> Bench {
    let mut bench = bench();
    assert_eq!(bench.heartbeat(joins_by("a", "or.*|pay")), told("a", 1, Some(&[])));
    let step = bench.wait_ms(0);
    let hash = bench.consumer().metadata_hash;
    let resolved = regex_record("or.*|pay", &["orders"], 10, NOW_MS);
    assert_eq!(step.records, [resolved, epoch_record(2, hash)]);
    bench
}

#[test]
fn an_expression_is_resolved_after_the_answer() {
    let mut bench = resolved();
    let all = told("a", 2, Some(&[("orders", &[0, 1, 2, 3])]));
    assert_eq!(bench.heartbeat(says("a", 1)), all);
    assert_eq!(bench.wait_ms(20_000).records, [], "nothing has changed");
}

#[test]
fn an_expression_that_cannot_be_read_is_refused() {
    let mut bench = bench();
    let message = "SubscribedTopicRegex `a[` is not a valid regular expression: missing closing ].";
    let refused = refusal(ErrorCode::InvalidRegularExpression, message);
    assert_eq!(bench.call(ask(joins_by("a", "a["))), answered(refused.clone()));
    assert!(bench.machine.groups.is_empty());
    let mut bench = resolved();
    let subscribed_topic_regex = Some("a[".to_owned());
    let request = ConsumerGroupHeartbeatRequest { subscribed_topic_regex, ..says("a", 1) };
    assert_eq!(bench.call(ask(request)), answered(refused));
}

#[test]
fn an_expression_that_is_known_is_read_at_once() {
    let mut bench = resolved();
    assert_eq!(
        bench.heartbeat(joins_by("b", "or.*|pay")),
        told("b", 3, Some(&[("orders", &[2, 3])]))
    );
    bench.heartbeat(says("a", 1));
    bench.heartbeat(says("b", -1));
    let regexes = |bench: &mut Bench| {
        let step = bench.call(Command::DeleteOffsets(match deletes("orders", &[0]) {
            Command::DeleteOffsets(request) => request,
            _ => unreachable!(),
        }));
        step.answer == Some(deleted("orders", &[0], ErrorCode::GroupSubscribedToTopic))
    };
    assert!(regexes(&mut bench), "a still has it");
    let step = bench.call(ask(says("a", -1)));
    let dropped = consumer_record(ConsumerRecord::Regex("or.*|pay".into(), None));
    assert!(step.records.contains(&dropped));
    assert!(!regexes(&mut bench));
}

#[test]
fn names_and_an_expression_add_up() {
    let mut bench = resolved();
    let subscribed_topic_names = Some(vec!["payments".to_owned()]);
    let request = ConsumerGroupHeartbeatRequest { subscribed_topic_names, ..says("a", 1) };
    let both = told("a", 3, Some(&[("orders", &[0, 1, 2, 3]), ("payments", &[0, 1])]));
    assert_eq!(bench.heartbeat(request), both);
}

#[test]
fn a_member_may_give_its_expression_up() {
    let mut bench = resolved();
    bench.heartbeat(says("a", 1));
    bench.wait_ms(INTERVAL_MS);
    let request = ConsumerGroupHeartbeatRequest {
        subscribed_topic_names: Some(vec!["payments".into()]),
        subscribed_topic_regex: Some(String::new()),
        ..says("a", 2)
    };
    let step = bench.call(ask(request));
    let dropped = consumer_record(ConsumerRecord::Regex("or.*|pay".into(), None));
    assert!(step.records.contains(&dropped));
    assert_eq!(step.answer, Some(told("a", 2, Some(&[]))));
}

#[test]
fn topics_that_come_are_found_ten_seconds_after_the_last_look() {
    let mut bench = resolved();
    bench.heartbeat(says("a", 1));
    bench.image = Arc::new(MetadataImage::of_topics(11, &[("orders", 4), ("orient", 1)]));
    bench.wait_ms(10_000);
    bench.heartbeat(says("a", 2));
    assert_eq!(bench.wait_ms(0).records, []);
    bench.wait_ms(1);
    bench.heartbeat(says("a", 2));
    let step = bench.wait_ms(0);
    let found = regex_record("or.*|pay", &["orders", "orient"], 11, bench.now_ms);
    assert_eq!(step.records[0], found);
    assert_eq!(bench.consumer().epoch, 3);
    // A topic that goes is noticed by the hash; the expression is looked at in its own time.
    bench.heartbeat(says("a", 2));
    bench.wait_ms(10_001);
    bench.image = Arc::new(MetadataImage::of_topics(12, &[("orders", 4)]));
    let Reply::ConsumerHeartbeat(answer) = bench.heartbeat(says("a", 3)) else { panic!() };
    assert_eq!(answer.error_code, 0);
    assert_eq!(bench.consumer().epoch, 4);
    assert_eq!(bench.wait_ms(0).records, []);
}
