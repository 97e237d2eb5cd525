//! What a member must not say.

use ottla::wire::messages::consumer_group_heartbeat::ConsumerGroupHeartbeatRequest;
use uuid::Uuid;

use super::{Group, JOIN, LEAVE, LEAVE_FOR_A_WHILE, joining, topic_partitions};
use crate::script::Script;
use crate::side::Side;

const TOPIC: &str = "consumer-groups";

/// A step, and what is changed of a good heartbeat.
type Change<'a> = (&'a str, &'a dyn Fn(&mut ConsumerGroupHeartbeatRequest));

/// Of joins and of other heartbeats.
const CHANGES: [Change<'static>; 13] = [
    ("no group", &|beat| beat.group_id.clear()),
    ("a group of spaces", &|beat| beat.group_id = "  ".into()),
    ("no member id", &|beat| beat.member_id.clear()),
    ("a member id of spaces", &|beat| beat.member_id = "  ".into()),
    ("an empty instance id", &|beat| beat.instance_id = Some(String::new())),
    ("an instance id of spaces", &|beat| beat.instance_id = Some(" ".into())),
    ("an empty rack id", &|beat| beat.rack_id = Some(String::new())),
    ("an unknown assignor", &|beat| beat.server_assignor = Some("no-such".into())),
    ("an empty assignor", &|beat| beat.server_assignor = Some(String::new())),
    ("an assignor in capitals", &|beat| beat.server_assignor = Some("RANGE".into())),
    ("an epoch below all", &|beat| beat.member_epoch = -3),
    ("the smallest epoch", &|beat| beat.member_epoch = i32::MIN),
    ("an epoch of somebody unknown", &|beat| beat.member_epoch = 1),
];

/// Of joins only: other heartbeats may say such things.
const JOINS: [Change<'static>; 9] = [
    ("no rebalance timeout", &|beat| beat.rebalance_timeout_ms = -1),
    ("a rebalance timeout of 0", &|beat| beat.rebalance_timeout_ms = 0),
    ("a negative rebalance timeout", &|beat| beat.rebalance_timeout_ms = -7),
    ("no topics", &|beat| beat.subscribed_topic_names = None),
    ("an empty list of topics", &|beat| beat.subscribed_topic_names = Some(Vec::new())),
    ("topics that there are not", &|beat| {
        beat.subscribed_topic_names = Some(vec!["not-there".into(), String::new(), "a b".into()]);
    }),
    ("a topic twice", &|beat| beat.subscribed_topic_names = Some(vec![TOPIC.into(); 2])),
    ("no owned partitions", &|beat| beat.topic_partitions = None),
    ("somebody unknown leaves", &|beat| beat.member_epoch = LEAVE),
];

pub(super) fn run(script: &mut Script, version: i16) {
    joins(script, version);
    given_ids(script, version);
    beats(script, version);
}

/// Joins with one thing changed; each to a group of its own, as some are taken.
fn joins(script: &mut Script, version: i16) {
    for (place, (step, change)) in CHANGES.iter().chain(&JOINS).enumerate() {
        let mut group = Group::new(script, &format!("refused-{place}"), version);
        group.beat(&format!("a join: {step}"), "a", |_, beat| {
            joining(beat, &[TOPIC]);
            change(beat);
        });
        group.describe(step);
    }
    let mut group = Group::new(script, "refused-owner", version);
    group.beat("a join: it owns partitions already", "a", |side, beat| {
        joining(beat, &[TOPIC]);
        beat.topic_partitions = Some(topic_partitions(side, &[(TOPIC, &[0, 1])]));
    });
    group.beat("somebody static whom nobody knows leaves", "b", |_, beat| {
        beat.member_epoch = LEAVE_FOR_A_WHILE;
        beat.instance_id = Some("instance".into());
    });
    group.beat("somebody without an instance leaves for a while", "a", |_, beat| {
        beat.member_epoch = LEAVE_FOR_A_WHILE;
    });
    for epoch in [JOIN, 1, LEAVE, LEAVE_FOR_A_WHILE, -3] {
        for id in ["", "nobody"] {
            let step = format!("epoch {epoch} of '{id}' with nothing else");
            let mut none = Group::new(script, "refused-none", version);
            none.beat(&step, id, |_, beat| beat.member_epoch = epoch);
        }
    }
}

/// A member without an id is given one, or is not, by version.
fn given_ids(script: &mut Script, version: i16) {
    let mut group = Group::new(script, "given", version);
    let answers = {
        let name = group.name.clone();
        let make = super::beating(&name, "", |_, beat| joining(beat, &[TOPIC]));
        group.script.ask("somebody without an id joins", version, make)
    };
    for (side, answer) in group.script.sides.iter_mut().zip(&answers) {
        let given = answer.as_ref().and_then(|answer| answer.member_id.clone());
        side.learn("given", &given.unwrap_or_default());
    }
    group.learn("given", &answers);
    let given = |side: &Side, beat: &mut ConsumerGroupHeartbeatRequest| {
        beat.member_id = side.text("given");
    };
    group.describe("who was given an id");
    group.beat("who was given an id", "given", given);
    group.beat("who was given an id, at another epoch", "given", |side, beat| {
        given(side, beat);
        beat.member_epoch += 7;
    });
    group.beat("who was given an id leaves", "given", |side, beat| {
        given(side, beat);
        beat.member_epoch = LEAVE;
    });
    group.describe("who was given an id is gone");
}

/// Heartbeats of a member, with one thing changed.
fn beats(script: &mut Script, version: i16) {
    let mut group = Group::new(script, "beats", version);
    group.join("a", &[TOPIC], 2);
    for (step, change) in CHANGES {
        group.beat(&format!("a heartbeat: {step}"), "a", |_, beat| change(beat));
    }
    for off in [-2, -1, 1, 2, 1000] {
        group.beat(&format!("{off} epochs off"), "a", |_, beat| beat.member_epoch += off);
    }
    group.beat("one epoch off, with what it owns", "a", |side, beat| {
        beat.member_epoch -= 1;
        beat.topic_partitions = Some(topic_partitions(side, &[(TOPIC, &[0, 1, 2, 3, 4, 5])]));
    });
    group.beat("one epoch off, with a part of it", "a", |side, beat| {
        beat.member_epoch -= 1;
        beat.topic_partitions = Some(topic_partitions(side, &[(TOPIC, &[0, 5])]));
    });
    group.beat("one epoch off, with more than it", "a", |side, beat| {
        beat.member_epoch -= 1;
        beat.topic_partitions = Some(topic_partitions(side, &[(TOPIC, &[0, 9])]));
    });
    for id in ["b", "A", "a "] {
        group.beat(&format!("a member '{id}'"), id, |_, beat| beat.member_epoch = 2);
        group.beat(&format!("a member '{id}' leaves"), id, |_, beat| beat.member_epoch = LEAVE);
    }
    let owned: [(&str, super::Partitions<'_>); 6] = [
        ("nothing", &[]),
        ("a topic without partitions", &[(TOPIC, &[])]),
        ("partitions that there are not", &[(TOPIC, &[0, 17, -1])]),
        ("a partition twice", &[(TOPIC, &[0, 0])]),
        ("a topic twice", &[(TOPIC, &[0]), (TOPIC, &[1])]),
        ("partitions of another topic", &[("consumer-groups-2", &[0])]),
    ];
    for (step, partitions) in owned {
        group.own(&format!("it owns {step}"), "a", partitions);
        group.describe(&format!("it owns {step}"));
    }
    group.beat("it owns a topic that there is not", "a", |side, beat| {
        let mut owned = topic_partitions(side, &[("not-there", &[0])]);
        owned[0].topic_id = Uuid::from_u128(7);
        beat.topic_partitions = Some(owned);
    });
    group.leave("a");
    group.beat("who left", "a", |_, beat| beat.member_epoch = 2);
    group.leave("a");
}
