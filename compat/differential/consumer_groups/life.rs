//! Members come and go: assignments, epochs, revocation.

use super::{Group, JOIN, joining};
use crate::script::Script;

/// The uniform assignor takes topics in the order of their ids, which are another broker's on the other side.
const ONE: &[&str] = &["consumer-groups"];
const BOTH: &[&str] = &["consumer-groups", "consumer-groups-2"];

pub(super) fn run(script: &mut Script, version: i16) {
    coming_and_going(script, version, "uniform", ONE);
    coming_and_going(script, version, "range", BOTH);
    revoking(script, version);
    subscribing(script, version);
    choosing(script, version);
}

/// Up to three members, each with what the assignor gives it.
fn coming_and_going(script: &mut Script, version: i16, assignor: &str, topics: &[&str]) {
    let mut group = Group::new(script, &format!("life-{assignor}"), version);
    let join = |group: &mut Group<'_>, member: &str, epoch: i32| {
        let step = format!("'{member}' joins for {assignor}");
        group.settle(
            &step,
            member,
            |_, beat| {
                joining(beat, topics);
                beat.server_assignor = Some(assignor.into());
            },
            |answer| answer.member_epoch == epoch,
        );
    };
    join(&mut group, "a", 2);
    group.describe("one member");
    group.beat("a short heartbeat before it has its partitions", "a", |_, _| {});
    group.own_all("a");
    group.own_all("a");
    group.beat("a short heartbeat", "a", |_, _| {});
    group.beat("a full heartbeat", "a", |side, beat| {
        let key = super::key(&beat.group_id, "a");
        let epoch = beat.member_epoch;
        joining(beat, topics);
        beat.member_epoch = epoch;
        beat.topic_partitions = side.assigned.get(&key).cloned();
    });
    join(&mut group, "b", 3);
    group.describe("the second waits for the first");
    group.beat("the second asks for its partitions", "b", |_, _| {});
    group.follow("a");
    group.follow("b");
    group.describe("two members");
    join(&mut group, "c", 4);
    group.follow("a");
    group.follow("b");
    group.follow("c");
    group.describe("three members");
    group.leave("b");
    group.follow("a");
    group.follow("c");
    group.describe("two are left");
    group.leave("a");
    group.beat("who left", "a", |_, _| {});
    group.follow("c");
    group.describe("one is left");
    group.leave("c");
    group.describe("nobody is left");
    group.beat("who left", "c", |_, beat| beat.member_epoch = 5);
    join(&mut group, "c", 8);
    group.own_all("c");
    group.describe("one came back");
    group.leave("c");
}

/// All of the topic.
const ALL: super::Partitions<'static> = &[("consumer-groups", &[0, 1, 2, 3, 4, 5])];

/// A member that does not give up what it has to.
fn revoking(script: &mut Script, version: i16) {
    let mut group = Group::new(script, "revoking", version);
    group.join("a", ONE, 2);
    group.own_all("a");
    group.join("b", ONE, 3);
    group.until_assigned("it has to revoke", "a");
    group.describe("it has to revoke");
    group.beat("it says nothing", "a", |_, _| {});
    group.beat("it still has all", "a", |side, beat| {
        beat.topic_partitions = Some(super::topic_partitions(side, ALL));
    });
    group.beat("the other waits", "b", |_, _| {});
    group.beat("the other claims all", "b", |side, beat| {
        beat.topic_partitions = Some(super::topic_partitions(side, ALL));
    });
    group.own("it gave up all", "a", &[]);
    group.describe("it gave up all");
    group.beat("it says nothing again", "a", |_, _| {});
    group.own_all("a");
    group.follow("b");
    group.describe("nobody waits");
    group.beat("the epoch before", "a", |_, beat| beat.member_epoch -= 1);
    group.own_all("a");
    group.beat("the epoch before, and what it has", "a", |side, beat| {
        beat.member_epoch -= 1;
        beat.topic_partitions = side.assigned.get(&super::key(&beat.group_id, "a")).cloned();
    });
    group.beat("it joins again", "a", |_, beat| joining(beat, ONE));
    group.describe("it joined again");
    group.beat("the epoch before", "b", |_, beat| beat.member_epoch -= 1);
    group.describe("one is fenced");
    group.beat("one that is fenced", "b", |_, _| {});
    group.leave("a");
    group.leave("b");
    group.describe("nobody is left");
}

/// Members change what they want.
fn subscribing(script: &mut Script, version: i16) {
    let mut group = Group::new(script, "subscribing", version);
    let wants = |group: &mut Group<'_>, member: &str, topics: &[&str], epoch: i32| {
        let step = format!("'{member}' wants {topics:?}");
        group.settle(
            &step,
            member,
            |_, beat| {
                beat.subscribed_topic_names =
                    Some(topics.iter().map(ToString::to_string).collect());
            },
            |answer| answer.assignment.is_some() || answer.member_epoch == epoch,
        );
        group.own_all(member);
        group.until_epoch(&step, member, epoch);
        group.describe(&step);
    };
    group.join("a", ONE, 2);
    group.own_all("a");
    wants(&mut group, "a", BOTH, 3);
    wants(&mut group, "a", BOTH, 3);
    wants(&mut group, "a", &["consumer-groups-2"], 4);
    wants(&mut group, "a", &["consumer-groups-none"], 5);
    wants(&mut group, "a", &[], 6);
    wants(&mut group, "a", &["consumer-groups-2", "consumer-groups-none"], 7);
    group.join("b", &["consumer-groups"], 8);
    group.own_all("b");
    group.describe("members with different topics");
    group.beat("a rack", "b", |_, beat| beat.rack_id = Some("rack".into()));
    group.until_epoch("after a rack", "b", 8);
    group.describe("after a rack");
    group.beat("another timeout", "b", |_, beat| beat.rebalance_timeout_ms = 45_000);
    group.beat("an instance", "b", |_, beat| beat.instance_id = Some("instance".into()));
    group.describe("after an instance");
    group.leave("a");
    group.leave("b");
}

/// Members that want different assignors.
fn choosing(script: &mut Script, version: i16) {
    let mut group = Group::new(script, "choosing", version);
    let join = |group: &mut Group<'_>, member: &str, assignor: Option<&str>, epoch: i32| {
        let step = format!("'{member}' joins for {assignor:?}");
        group.settle(
            &step,
            member,
            |_, beat| {
                joining(beat, ONE);
                beat.server_assignor = assignor.map(Into::into);
            },
            |answer| answer.member_epoch == epoch,
        );
        group.describe(&step);
    };
    join(&mut group, "a", None, 2);
    join(&mut group, "b", Some("range"), 3);
    join(&mut group, "c", Some("range"), 4);
    join(&mut group, "d", Some("uniform"), 5);
    join(&mut group, "e", Some("uniform"), 6);
    join(&mut group, "f", Some("uniform"), 7);
    group.beat("another assignor", "f", |_, beat| beat.server_assignor = Some("range".into()));
    group.describe("another assignor");
    for member in ["a", "b", "c", "d", "e", "f"] {
        group.leave(member);
    }
    group.beat("at the epoch of a join", "a", |_, beat| beat.member_epoch = JOIN);
    group.describe("nobody is left");
}
