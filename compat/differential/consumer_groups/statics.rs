//! Members with an instance id.

use ottla::wire::messages::consumer_group_heartbeat::ConsumerGroupHeartbeatRequest;

use super::{Group, LEAVE, LEAVE_FOR_A_WHILE, joining};
use crate::script::Script;
use crate::side::Side;

const TOPICS: &[&str] = &["consumer-groups"];

pub(super) fn run(script: &mut Script, version: i16) {
    one(script, version);
    two(script, version);
}

fn joining_as(instance: &str) -> impl Fn(&Side, &mut ConsumerGroupHeartbeatRequest) {
    move |_, beat| {
        joining(beat, TOPICS);
        beat.instance_id = Some(instance.into());
    }
}

fn saying(instance: &str, epoch: i32) -> impl Fn(&Side, &mut ConsumerGroupHeartbeatRequest) {
    move |_, beat| {
        beat.instance_id = Some(instance.into());
        beat.member_epoch = epoch;
    }
}

/// A member goes for a while, and comes back under another id.
fn one(script: &mut Script, version: i16) {
    let mut group = Group::new(script, "static", version);
    group.join_as("i", "a", TOPICS, 2);
    group.own_all("a");
    group.describe("a static member");
    group.beat("without its instance", "a", |_, _| {});
    group.beat("with its instance", "a", saying("i", 2));
    group.beat("with another instance", "a", saying("x", 2));
    group.describe("with another instance");
    group.beat("its instance in another member", "b", saying("i", 2));
    group.beat("another member joins as its instance", "b", joining_as("i"));
    group.beat("another member leaves as its instance", "b", saying("i", LEAVE));
    group.beat("another member leaves for a while as its instance", "b", saying("i", -2));
    group.beat("an unknown instance leaves for a while", "a", saying("x", LEAVE_FOR_A_WHILE));
    group.beat("it joins again", "a", joining_as("i"));
    group.describe("before it goes");
    group.beat("it leaves for a while", "a", saying("i", LEAVE_FOR_A_WHILE));
    group.describe("while it is away");
    group.beat("it leaves for a while again", "a", saying("i", LEAVE_FOR_A_WHILE));
    group.beat("it asks although it left", "a", saying("i", 2));
    group.beat("it asks without its instance", "a", |_, beat| beat.member_epoch = 2);
    group.beat("it comes back under another id", "b", joining_as("i"));
    group.own_all("b");
    group.describe("it came back");
    group.beat("its former self asks", "a", saying("i", 2));
    group.beat("its former self asks without its instance", "a", |_, beat| beat.member_epoch = 2);
    group.beat("its former self leaves", "a", saying("i", LEAVE));
    group.beat("its former self leaves for a while", "a", saying("i", LEAVE_FOR_A_WHILE));
    group.beat("it leaves for a while", "b", saying("i", LEAVE_FOR_A_WHILE));
    group.join_as("i", "c", &["consumer-groups-2"], 3);
    group.describe("it came back with other topics");
    group.beat("it leaves for good", "c", saying("i", LEAVE));
    group.describe("it left for good");
    group.join_as("i", "d", TOPICS, 5);
    group.beat("it leaves for a while", "d", saying("i", LEAVE_FOR_A_WHILE));
    group.beat("it comes back as another instance", "d", joining_as("j"));
    group.describe("another instance of its id");
    group.leave("d");
    group.describe("it left without its instance");
}

/// Another member comes while one is away.
fn two(script: &mut Script, version: i16) {
    let mut group = Group::new(script, "static-two", version);
    group.join_as("i", "a", TOPICS, 2);
    group.own_all("a");
    group.join_as("j", "b", TOPICS, 3);
    group.follow("a");
    group.follow("b");
    group.beat("it leaves for a while", "a", saying("i", LEAVE_FOR_A_WHILE));
    group.beat("the other keeps its partitions", "b", |_, _| {});
    group.describe("the other keeps its partitions");
    group.join("c", TOPICS, 4);
    group.describe("a third joins");
    group.beat("it comes back under another id", "a2", joining_as("i"));
    group.until_epoch("it came back", "a2", 4);
    group.own_all("a2");
    group.describe("it came back");
    group.follow("b");
    group.follow("c");
    group.describe("all are there");
    for member in ["a2", "b", "c"] {
        group.leave(member);
    }
    group.describe("nobody is left");
}
