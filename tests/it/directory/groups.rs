//! Groups and their offsets in `__consumer_offsets`: read by Kafka's tools, and carried from one broker to the other
//! while a member stays.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};

use rdkafka::client::ClientContext;
use rdkafka::config::ClientConfig;
use rdkafka::consumer::{BaseConsumer, CommitMode, Consumer, ConsumerContext, Rebalance};
use rdkafka::message::Message;
use rdkafka::topic_partition_list::Offset;

use super::{TIMEOUT, dump, text};
use crate::broker::Broker;
use crate::group_clients::{
    commit, committed, consumer_config, create_topic, described, partitions, read, send,
};
use crate::needs;
use crate::raw_client::{Answer, Body, Connection};
use crate::reference::{self, Options, Reference};
use crate::wait::until;

const LIST_GROUPS: i16 = 16;
const DELETE_GROUPS: i16 = 42;
const OFFSET_DELETE: i16 = 47;
const SHARE_GROUP_HEARTBEAT: i16 = 76;
const STREAMS_GROUP_HEARTBEAT: i16 = 88;

const TOPIC: &str = "t";
/// Groups with nothing but a committed offset. A name's hash counts UTF-16 units, of which the crab has two; that of the
/// last name is the least integer.
const SIMPLE: [&str; 5] = ["plain", "Größe", "グループ", "🦀", "polygenelubricants"];
/// The other groups that [`Groups::prepare`] makes; the hash of "static" is negative.
const MEMBERED: [&str; 4] = ["live", "left", "static", "gone"];

/// How often a consumer was assigned its partitions.
#[derive(Debug, Default)]
struct Assignments(AtomicUsize);

impl ClientContext for Assignments {}

impl ConsumerContext for Assignments {
    fn post_rebalance(&self, _: &BaseConsumer<Self>, rebalance: &Rebalance<'_>) {
        if matches!(rebalance, Rebalance::Assign(_)) {
            self.0.fetch_add(1, Ordering::Relaxed);
        }
    }
}

/// Groups in every state that a directory can hold, one of them with a member that lives through the change of broker.
struct Groups {
    live: BaseConsumer<Assignments>,
    live_id: Vec<String>,
    sent: i32,
}

/// As [`consumer_config`], with a session that outlasts a change of broker.
fn member_config(port: u16, group: &str) -> ClientConfig {
    let mut config = consumer_config(port, group);
    config.set("session.timeout.ms", "300000").set("reconnect.backoff.max.ms", "200");
    config.set("broker.address.family", "v4");
    config
}

impl Groups {
    fn prepare(port: u16) -> Self {
        let sent = 100;
        create_topic(port, TOPIC, 1);
        send(port, TOPIC, 1, 0..sent);
        let live: BaseConsumer<Assignments> =
            member_config(port, "live").create_with_context(Assignments::default()).unwrap();
        live.subscribe(&[TOPIC]).unwrap();
        read(&live, sent as usize);
        live.commit_consumer_state(CommitMode::Sync).unwrap();

        let left: BaseConsumer = member_config(port, "left").create().unwrap();
        left.subscribe(&[TOPIC]).unwrap();
        read(&left, 1);
        left.commit(&partitions(TOPIC, &[Offset::Offset(30)]), CommitMode::Sync).unwrap();
        drop(left);
        let mut config = member_config(port, "static");
        let stays: BaseConsumer = config.set("group.instance.id", "one").create().unwrap();
        stays.subscribe(&[TOPIC]).unwrap();
        read(&stays, 1);
        drop(stays);

        for (offset, name) in (0..).zip(SIMPLE) {
            commit(port, name, TOPIC, offset, name);
        }
        commit(port, "gone", TOPIC, 5, "");
        delete_offset(port, "gone");
        commit(port, "gone", TOPIC, 6, "");
        delete_group(port, "gone");
        let live_id = described(port, "live").2;
        Self { live, live_id, sent }
    }

    /// The broker that took over knows every group, and the member goes on without noticing.
    fn assert_go_on(&mut self, port: u16) {
        let stable =
            |members: &[String]| ("Stable".to_owned(), "consumer".to_owned(), members.to_vec());
        assert_eq!(described(port, "live"), stable(&self.live_id));
        let before = self.sent;
        self.sent += 50;
        send(port, TOPIC, 1, before..self.sent);
        let records = read(&self.live, 50);
        assert!(records.iter().map(Message::offset).eq(i64::from(before)..i64::from(self.sent)));
        until("a commit", TIMEOUT, || self.live.commit_consumer_state(CommitMode::Sync).ok());
        assert_eq!(committed(port, "live", TOPIC).0, Offset::Offset(i64::from(self.sent)));
        assert_eq!(self.live.context().0.load(Ordering::Relaxed), 1, "nothing was assigned anew");

        let left: BaseConsumer = member_config(port, "left").create().unwrap();
        left.subscribe(&[TOPIC]).unwrap();
        assert_eq!(read(&left, 1)[0].offset(), 30);
        let (state, _, members) = described(port, "static");
        assert_eq!((state.as_str(), members.len()), ("Stable", 1));
        assert!(members[0].starts_with("one-"), "{members:?}");
        for (offset, name) in (0..).zip(SIMPLE) {
            assert_eq!(committed(port, name, TOPIC), (Offset::Offset(offset), name.to_owned()));
        }
        assert_eq!(committed(port, "gone", TOPIC).0, Offset::Invalid);
    }
}

fn delete_group(port: u16, group: &str) {
    let mut client = Connection::open(port, TIMEOUT).unwrap();
    let body = Body::default().i32(1).string(group);
    let mut answer = client.call(DELETE_GROUPS, 1, false, &body).unwrap();
    let (_throttle_ms, _count) = (answer.i32().unwrap(), answer.i32().unwrap());
    assert_eq!((answer.string().unwrap().as_str(), answer.i16().unwrap()), (group, 0));
}

fn delete_offset(port: u16, group: &str) {
    let mut client = Connection::open(port, TIMEOUT).unwrap();
    let body = Body::default().string(group).i32(1).string(TOPIC).i32(1).i32(0);
    let mut answer = client.call(OFFSET_DELETE, 0, false, &body).unwrap();
    let (error, _throttle_ms, _count) = (answer.i16(), answer.i32(), answer.i32());
    let (_topic, _count, _partition) = (answer.string(), answer.i32(), answer.i32());
    assert_eq!((error.unwrap(), answer.i16().unwrap()), (0, 0));
}

/// The absolute value of Java's `String.hashCode`, modulo Kafka's 50 partitions. The least integer has none and counts
/// as 0 (`Utils.abs`).
fn partition_of(group: &str) -> i32 {
    let append = |hash: i32, unit| hash.wrapping_mul(31).wrapping_add(i32::from(unit));
    group.encode_utf16().fold(0, append).checked_abs().unwrap_or(0) % 50
}

/// What `TopicCommand` says of the topic as a whole, but for its id.
fn described_topic(port: u16) -> BTreeSet<String> {
    let servers = format!("localhost:{port}");
    let arguments = ["--bootstrap-server", &servers, "--describe", "--topic", "__consumer_offsets"];
    let output = reference::tool("org.apache.kafka.tools.TopicCommand", &arguments);
    assert!(output.status.success(), "{}", text(&output));
    let described = String::from_utf8(output.stdout).unwrap();
    // The order of configurations is that of a hash map.
    let facts = described.lines().next().unwrap().split(['\t', ',']);
    facts.filter(|fact| !fact.starts_with("TopicId: ")).map(ToOwned::to_owned).collect()
}

/// A started node in a directory of its own under `work`.
fn kafka(work: &Path, data: Option<&Path>, port: Option<u16>) -> Reference {
    let node = work.join("node");
    fs::create_dir_all(&node).unwrap();
    let data = data.map(ToOwned::to_owned);
    Reference::start(&node, &Options { data, port, ..Options::default() })
}

#[test]
fn kafkas_decoder_reads_our_groups_as_its_own() {
    if !needs::java("kafkas_decoder_reads_our_groups_as_its_own") {
        return;
    }
    let _one_at_a_time = reference::exclusive();
    let work = tempfile::tempdir().unwrap();
    let data = work.path().join("ours");
    let mut broker = Broker::start_on(&data, &[]);
    drop(Groups::prepare(broker.port()));
    let our_topic = described_topic(broker.port());
    broker.terminate();
    let ours = dump::group_records(&data);

    let kafka = kafka(work.path(), None, None);
    drop(Groups::prepare(kafka.port()));
    let topic = described_topic(kafka.port());
    assert!(topic.contains("PartitionCount: 50"), "{topic:?}");
    assert_eq!(our_topic, topic);
    let data = kafka.data().to_owned();
    kafka.stop();
    let theirs = dump::group_records(&data);
    assert_eq!(ours.keys().collect::<Vec<_>>(), theirs.keys().collect::<Vec<_>>());
    for (partition, records) in &ours {
        assert_eq!(records, &theirs[partition], "partition {partition}");
    }
    let all = || MEMBERED.iter().chain(&SIMPLE);
    let expected: BTreeSet<i32> = all().map(|group| partition_of(group)).collect();
    assert!(ours.keys().eq(&expected), "{:?}, not {expected:?}", ours.keys());
    for group in all() {
        let records = &ours[&partition_of(group)];
        let named = format!("\"group\":\"{group}\"");
        assert!(records.iter().any(|record| record.contains(&named)), "{group}");
    }
}

fn kafka_goes_on_with_our_groups(clean: bool) {
    let name = format!("kafka_goes_on_with_our_groups clean={clean}");
    if !needs::java(&name) {
        return;
    }
    let _one_at_a_time = reference::exclusive();
    let work = tempfile::tempdir().unwrap();
    let data = work.path().join("ours");
    let mut broker = Broker::start_on(&data, &[]);
    let port = broker.port();
    let mut groups = Groups::prepare(port);
    end(&mut broker, clean);

    let kafka = kafka(work.path(), Some(&data), Some(port));
    super::assert_no_damage(&kafka.log(), &name);
    groups.assert_go_on(port);
    kafka.stop();
    let broker = Broker::start_at(port, &data);
    groups.assert_go_on(broker.port());
}

fn end(broker: &mut Broker, clean: bool) {
    if clean {
        broker.terminate();
    } else {
        broker.kill9();
    }
}

#[test]
fn kafka_goes_on_with_our_groups_after_a_clean_stop() {
    kafka_goes_on_with_our_groups(true);
}

#[test]
fn kafka_goes_on_with_our_groups_after_a_kill() {
    kafka_goes_on_with_our_groups(false);
}

/// Groups of kinds that have protocols of their own; only the first commits offsets.
fn prepare_newer_kinds(port: u16, data: &Path) {
    let mut config = consumer_config(port, "newer");
    let member: BaseConsumer = config.set("group.protocol", "consumer").create().unwrap();
    member.subscribe(&[TOPIC]).unwrap();
    read(&member, 1);
    let offsets = partitions(TOPIC, &[Offset::Offset(42)]);
    offsets.find_partition(TOPIC, 0).unwrap().set_metadata("newer");
    member.commit(&offsets, CommitMode::Sync).unwrap();

    let share = Body::default().compact_string("shared").compact_string("AAAAAAAAAAAAAAAAAAAAAA");
    let share = share.i32(0).unsigned_varint(0).unsigned_varint(2).compact_string(TOPIC);
    heartbeat(port, SHARE_GROUP_HEARTBEAT, 1, &share.unsigned_varint(0));
    // After a kill Kafka takes a partition whose topic id it had not written yet for a stray.
    let written = |partition: i32| {
        data.join(format!("__share_group_state-{partition}/partition.metadata")).exists()
    };
    until("the share state's topic", TIMEOUT, || (0..50).all(written).then_some(()));

    // A subtopology that reads the topic and has no state.
    let topology = Body::default().i32(0).unsigned_varint(2).compact_string("0");
    let topology = topology.unsigned_varint(2).compact_string(TOPIC);
    let topology = topology.raw(&[1; 5]).unsigned_varint(0).unsigned_varint(0);
    let streams =
        Body::default().compact_string("streamed").compact_string("AAAAAAAAAAAAAAAAAAAAAA");
    let streams = streams.i32(0).i32(0).raw(&[0, 0]).i32(60_000).i8(1).raw(&topology.0);
    // No tasks, a process, and neither endpoint nor offsets.
    let streams = streams.raw(&[1; 3]).compact_string("process").i8(-1).raw(&[1, 0, 0, 0]);
    heartbeat(port, STREAMS_GROUP_HEARTBEAT, 0, &streams.unsigned_varint(0));
}

/// Sends a group's heartbeat until the coordinator has taken it.
fn heartbeat(port: u16, key: i16, version: i16, body: &Body) {
    let mut client = Connection::open(port, TIMEOUT).unwrap();
    until("a heartbeat", TIMEOUT, || {
        let mut answer = client.call(key, version, true, body).unwrap();
        let (_throttle_ms, error) = (answer.i32().unwrap(), answer.i16().unwrap());
        // COORDINATOR_LOAD_IN_PROGRESS, COORDINATOR_NOT_AVAILABLE, NOT_COORDINATOR
        assert!(matches!(error, 0 | 14 | 15 | 16), "API {key}: {error}");
        (error == 0).then_some(())
    });
}

/// The type of each group.
fn listed(port: u16) -> BTreeMap<String, String> {
    let mut client = Connection::open(port, TIMEOUT).unwrap();
    let body = Body::default().raw(&[1, 1, 0]);
    let mut answer = client.call(LIST_GROUPS, 5, true, &body).unwrap();
    assert_eq!((answer.i32().unwrap(), answer.i16().unwrap()), (0, 0));
    let count = answer.unsigned_varint().unwrap() - 1;
    let string = |answer: &mut Answer| answer.compact_string().unwrap();
    let groups = (0..count).map(|_| {
        let (group, _protocol, _state) =
            (string(&mut answer), string(&mut answer), string(&mut answer));
        let kind = string(&mut answer);
        answer.unsigned_varint().unwrap();
        (group, kind)
    });
    groups.collect()
}

/// The bytes of every segment of `__consumer_offsets`.
fn segments(data: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    dump::group_segments(data)
        .into_iter()
        .map(|file| (file.clone(), fs::read(file).unwrap()))
        .collect()
}

fn we_go_on_with_kafkas_groups(clean: bool) {
    let name = format!("we_go_on_with_kafkas_groups clean={clean}");
    if !needs::java(&name) {
        return;
    }
    let _one_at_a_time = reference::exclusive();
    let work = tempfile::tempdir().unwrap();
    let node = kafka(work.path(), None, None);
    let (port, data) = (node.port(), node.data().to_owned());
    let mut groups = Groups::prepare(port);
    prepare_newer_kinds(port, &data);
    let kinds = listed(port);
    let newer = ["newer", "shared", "streamed"].map(|group| kinds[group].clone());
    assert_eq!(newer, ["consumer", "share", "streams"]);
    if clean {
        node.stop();
    } else {
        node.kill();
    }
    let before = segments(&data);

    let mut broker = Broker::start_at(port, &data);
    groups.assert_go_on(port);
    assert_eq!(committed(port, "newer", TOPIC), (Offset::Offset(42), "newer".to_owned()));
    broker.terminate();
    let after = segments(&data);
    for (file, bytes) in before {
        assert!(after[&file].starts_with(&bytes), "{}", file.display());
    }

    let node = kafka(work.path(), Some(&data), Some(port));
    super::assert_no_damage(&node.log(), &name);
    groups.assert_go_on(port);
    assert_eq!(committed(port, "newer", TOPIC), (Offset::Offset(42), "newer".to_owned()));
    assert_eq!(listed(port), kinds);
}

#[test]
fn we_go_on_with_kafkas_groups_after_a_clean_stop() {
    we_go_on_with_kafkas_groups(true);
}

#[test]
fn we_go_on_with_kafkas_groups_after_a_kill() {
    we_go_on_with_kafkas_groups(false);
}
