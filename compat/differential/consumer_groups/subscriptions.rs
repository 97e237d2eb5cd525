//! Topics that come, grow and go while somebody is subscribed to them, by name or by a pattern.

use ottla::wire::messages::create_partitions::{CreatePartitionsRequest, CreatePartitionsTopic};
use ottla::wire::messages::delete_topics::{DeleteTopicState, DeleteTopicsRequest};

use super::{Group, joining};
use crate::script::Script;

const TIMEOUT_MS: i32 = 30_000;
/// From here on a member may subscribe to a pattern.
const PATTERNS: i16 = 1;
/// Has every feature that pattern languages disagree about least.
const BAD_PATTERNS: [&str; 6] = ["[", "(", "*", "a{2,1}", "(?=a)", "\\"];

pub(super) fn run(script: &mut Script, version: i16) {
    names(script, version);
    if version >= PATTERNS {
        patterns(script, version);
        refused_patterns(script, version);
    }
}

fn delete(script: &mut Script, topic: &str) {
    script.ask("a topic that somebody is subscribed to", 6, |_| DeleteTopicsRequest {
        topics: vec![DeleteTopicState { name: Some(topic.into()), ..Default::default() }],
        timeout_ms: TIMEOUT_MS,
        ..Default::default()
    });
}

fn names(script: &mut Script, version: i16) {
    let topic = &format!("consumer-later-v{version}");
    let mut group = Group::new(script, "names", version);
    group.join("a", &[topic], 2);
    group.describe("a topic that is not there yet");
    group.script.topic(topic, 2, &[]);
    group.follow("a");
    group.describe("the topic came");
    group.script.ask("a topic that somebody is subscribed to", 3, |_| CreatePartitionsRequest {
        topics: vec![CreatePartitionsTopic { name: topic.clone(), count: 4, assignments: None }],
        timeout_ms: TIMEOUT_MS,
        ..Default::default()
    });
    group.follow("a");
    group.describe("the topic grew");
    delete(group.script, topic);
    group.until_assigned("the topic went", "a");
    group.describe("the topic went");
    group.own_all("a");
    group.describe("it has no topic");
    group.script.topic(topic, 1, &[]);
    group.follow("a");
    group.describe("another topic of the name");
    group.leave("a");
    delete(group.script, topic);
    group.describe("nobody is left");
}

fn patterns(script: &mut Script, version: i16) {
    let topic = |what: &str| format!("consumer-pattern-{what}-v{version}");
    let pattern = &format!("consumer-pattern-.*-v{version}");
    script.topic(&topic("one"), 2, &[]);
    let mut group = Group::new(script, "patterns", version);
    let subscribe = |group: &mut Group<'_>, pattern: &str, names: Option<&[&str]>, epoch: i32| {
        let step = format!("a pattern '{pattern}' and names {names:?}");
        group.reconcile(&step, "a", epoch, |beat| {
            beat.subscribed_topic_regex = Some(pattern.into());
            beat.subscribed_topic_names =
                names.map(|names| names.iter().map(ToString::to_string).collect());
        });
        group.describe(&step);
    };
    group.beat("a pattern", "a", |_, beat| {
        joining(beat, &[]);
        beat.subscribed_topic_names = None;
        beat.subscribed_topic_regex = Some(pattern.clone());
    });
    group.settle(
        "what the pattern matches",
        "a",
        |_, _| {},
        |answer| answer.assignment.iter().any(|some| !some.topic_partitions.is_empty()),
    );
    group.own_all("a");
    group.describe("a pattern");
    group.beat("the pattern again", "a", |_, beat| {
        beat.subscribed_topic_regex = Some(pattern.clone());
    });
    group.script.topic(&topic("two"), 1, &[]);
    group.follow("a");
    group.describe("a second topic that matches");
    subscribe(&mut group, "consumer-pattern-nothing", None, 4);
    subscribe(&mut group, pattern, Some(&["consumer-groups-2"]), 6);
    subscribe(&mut group, "", None, 7);
    subscribe(&mut group, "", Some(&[]), 8);
    group.leave("a");
    group.settle(
        "an empty pattern joins",
        "b",
        |_, beat| {
            joining(beat, &[]);
            beat.subscribed_topic_names = None;
            beat.subscribed_topic_regex = Some(String::new());
        },
        |answer| answer.member_epoch == 9,
    );
    group.describe("an empty pattern");
    group.leave("b");
    for what in ["one", "two"] {
        delete(group.script, &topic(what));
    }
}

fn refused_patterns(script: &mut Script, version: i16) {
    let mut group = Group::new(script, "bad-patterns", version);
    group.join("b", &["consumer-groups"], 2);
    for pattern in BAD_PATTERNS {
        group.beat(&format!("somebody joins with the pattern '{pattern}'"), "a", |_, beat| {
            joining(beat, &[]);
            beat.subscribed_topic_regex = Some(pattern.into());
        });
        group.beat(&format!("a member with the pattern '{pattern}'"), "b", |_, beat| {
            beat.subscribed_topic_regex = Some(pattern.into());
        });
    }
    group.describe("no pattern was good");
    group.leave("b");
}
