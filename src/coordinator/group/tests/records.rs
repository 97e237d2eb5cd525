//! Records as bytes, and what a replay makes of them.

use proptest::prelude::*;
use uuid::Uuid;

use super::*;
use crate::coordinator::ReplayError;
use crate::coordinator::group::classic::State;
use crate::wire::messages::join_group::JoinGroupRequest;
use crate::wire::records::{GroupMetadataKey, OffsetCommitValue};
use crate::wire::{Encoder, Field, Message};

fn bytes<M: Message>(number: i16, message: &M, version: i16) -> Bytes {
    let mut encoder = Encoder::new();
    number.write(&mut encoder, M::format(version));
    message.encode(&mut encoder, version);
    encoder.finish().into_bytes().unwrap()
}

fn raw(key: Bytes, value: Option<Bytes>) -> KeyValue {
    KeyValue { key: Some(key), value }
}

fn group_key() -> Bytes {
    bytes(2, &GroupMetadataKey { group: GROUP.into() }, 0)
}

fn decode(raw: KeyValue) -> Record {
    GroupMachine::decode(raw, false).unwrap().unwrap()
}

#[test]
fn records_are_kafka_s() {
    let value = OffsetCommitValue {
        topic_id: Uuid::from_u128(1),
        leader_epoch: 5,
        metadata: "m".into(),
        ..value(7)
    };
    let KeyValue { key, value } = GroupMachine::encode(&Record::Offset(key(2), Some(value)));
    assert_eq!(&key.unwrap()[..], b"\0\x01\0\x01g\0\x06orders\0\0\0\x02");
    let mut expected = b"\0\x04\0\0\0\0\0\0\0\x07\0\0\0\x05\x02m".to_vec();
    expected.extend(NOW_MS.to_be_bytes());
    expected.extend(b"\x01\0\x10\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\x01");
    assert_eq!(value.unwrap(), expected);

    let KeyValue { key, value } = GroupMachine::encode(&group_record(3, 0, vec![]));
    assert_eq!(&key.unwrap()[..], b"\0\x02\0\x01g");
    let mut expected = b"\0\x03\0\x08consumer\0\0\0\x03\xff\xff\xff\xff".to_vec();
    expected.extend(NOW_MS.to_be_bytes());
    expected.extend([0; 4]);
    assert_eq!(value.unwrap(), expected);
}

#[test]
fn what_is_written_can_be_read() {
    let members = vec![member_record("a", "one"), static_record("i", "b", "")];
    for record in [
        group_record(3, 0, members),
        group_record(0, -1, vec![]),
        created(5),
        offset_record(0, i64::MIN),
        Record::Offset(key(0), Some(OffsetCommitValue { expire_timestamp: 9, ..value(1) })),
        Record::Offset(key(0), None),
        Record::Group(GROUP.into(), None),
    ] {
        assert_eq!(decode(GroupMachine::encode(&record)), record);
    }
}

#[test]
fn groups_of_every_version_are_read() {
    for version in 0..=4 {
        let members = vec![static_record("i", "a", "one"), member_record("b", "two")];
        let value = group_value(GENERATION, 0, members);
        let mut bench = Bench::new();
        bench.append(raw(group_key(), Some(bytes(version, &value, version))), false, None);
        let bench = bench.loaded();
        let group = bench.group();
        assert_eq!((group.state, group.generation_id), (State::Stable, GENERATION));
        let since_ms = if version < 2 { -1 } else { NOW_MS };
        assert_eq!(group.state_since_ms, since_ms, "version {version}");
        let a = &group.members["a"];
        // The first version has one time for both.
        let rebalance_ms = if version < 1 { SESSION_MS } else { REBALANCE_MS };
        assert_eq!(i64::from(a.rebalance_timeout_ms), rebalance_ms, "version {version}");
        let instance = (version >= 3).then(|| "i".to_owned());
        assert_eq!(a.group_instance_id, instance, "version {version}");
        assert_eq!(group.static_members.len(), usize::from(version >= 3));
        assert_eq!(a.assignment, "one");
        assert!(group.is_subscribed_to("orders") && !group.is_subscribed_to("payments"));
    }
}

#[test]
fn offsets_of_every_version_are_read() {
    let written = OffsetCommitValue {
        leader_epoch: 5,
        metadata: "m".into(),
        expire_timestamp: 6,
        topic_id: Uuid::from_u128(1),
        ..value(7)
    };
    for version in 0..=4 {
        for kind in [0, 1] {
            let raw = raw(bytes(kind, &key(2), 0), Some(bytes(version, &written, version)));
            let expected = OffsetCommitValue {
                leader_epoch: if version >= 3 { 5 } else { -1 },
                expire_timestamp: if version == 1 { 6 } else { -1 },
                topic_id: if version >= 4 { Uuid::from_u128(1) } else { Uuid::nil() },
                ..written.clone()
            };
            assert_eq!(decode(raw), Record::Offset(key(2), Some(expected)), "version {version}");
        }
    }
}

#[test]
fn the_last_record_of_a_group_counts() {
    let members = |ids: &[&str]| ids.iter().map(|id| static_record(id, id, "one")).collect();
    let bench = Bench::new()
        .found(&created(0))
        .found(&group_record(1, 0, members(&["a", "b"])))
        .found(&group_record(2, 0, members(&["b", "c"])))
        .loaded();
    let ids: Vec<_> = bench.group().static_members.keys().collect();
    assert_eq!(ids, ["b", "c"]);
    assert_eq!(bench.group().leader.as_deref(), Some("b"));
    let bench = bench.found(&group_record(2, 0, vec![])).loaded();
    assert_eq!(bench.group().state, State::Empty);
    let bench = bench.found(&Record::Group(GROUP.into(), None)).loaded();
    assert!(bench.machine.groups.is_empty());
    // Removing what is not there is nothing.
    let bench = bench.found(&Record::Group(GROUP.into(), None));
    let bench = bench.found(&Record::Offset(key(0), None)).loaded();
    assert!(bench.machine.groups.is_empty());
}

#[test]
fn members_join_a_group_without_a_leader_in_the_log() {
    for leader in [None, Some("gone".to_owned())] {
        let value = group_value(GENERATION, 0, vec![member_record("a", "one")]);
        let value = GroupMetadataValue { leader, ..value };
        let mut bench = Bench::new();
        let record = Record::Group(GROUP.into(), Some(value));
        bench.append(GroupMachine::encode(&record), false, None);
        bench.machine.loaded(NOW_MS).unwrap();
        let protocols = vec![protocol("range", subscribed(&["payments"]))];
        let request = JoinGroupRequest { protocols, ..join_request("a") };
        let step = bench.call(joins("client", 9, request));
        let Some(Reply::Join(answer)) = step.answer else { panic!("{step:?}") };
        assert_eq!((answer.error_code, answer.leader.as_str()), (0, "a"));
    }
}

#[test]
fn groups_of_another_kind_are_only_known() {
    for kind in [11, 17] {
        let mut bench = Bench::new().found(&offset_record(0, 7));
        bench.append(other_group(kind, GROUP, true), false, None);
        assert_eq!(other_groups(&bench.machine).len(), 1);
        bench.append(other_group(kind, GROUP, false), false, None);
        assert!(bench.machine.groups.is_empty());
    }
}

#[test]
fn kinds_of_a_newer_kafka_are_passed_over() {
    for kind in [-1_i16, 9, 10, 18, 99, i16::MAX] {
        let key = Bytes::copy_from_slice(&kind.to_be_bytes());
        let passed = GroupMachine::decode(raw(key, Some(Bytes::from_static(b"x"))), false);
        assert_eq!(passed.unwrap(), None);
    }
    let decide = |marker: [u8; 4]| {
        GroupMachine::decode(raw(Bytes::copy_from_slice(&marker), None), true).unwrap()
    };
    assert_eq!(decide([0, 0, 0, 0]), Some(Record::EndTransaction(false, -1)));
    assert_eq!(decide([0, 0, 0, 1]), Some(Record::EndTransaction(true, -1)));
    // A leader change.
    assert_eq!(decide([0, 0, 0, 2]), None);
}

#[test]
fn damaged_records_are_errors() {
    let error = |raw: KeyValue, control| GroupMachine::decode(raw, control).unwrap_err();
    assert!(matches!(error(KeyValue::default(), false), ReplayError::NoKey));
    assert!(matches!(error(KeyValue::default(), true), ReplayError::NoKey));
    let key_of = |key: &'static [u8]| raw(Bytes::from_static(key), None);
    for key in [&b""[..], b"\0", b"\0\x01\0\x05g", b"\0\x02\xff\xff", b"\0\x02\0\x02g", b"\0\x03"] {
        assert!(matches!(error(key_of(key), false), ReplayError::Key(_)), "{key:?}");
    }
    assert!(matches!(error(key_of(b"\0\0\0"), true), ReplayError::Key(_)));
    let value_of = |value: &'static [u8]| raw(group_key(), Some(Bytes::from_static(value)));
    for value in [&b""[..], b"\0", b"\0\x05", b"\xff\xff", b"\0\x03\0\x01g\0\0\0\x03"] {
        assert!(matches!(error(value_of(value), false), ReplayError::Value(2, _)), "{value:?}");
    }
    let offset = raw(bytes(1, &key(0), 0), Some(Bytes::from_static(b"\0\x05")));
    assert!(matches!(error(offset, false), ReplayError::Value(1, _)));
}

/// Bytes that mostly begin as a record does.
fn arbitrary() -> impl Strategy<Value = KeyValue> {
    let member = member_record("a", "one");
    let group = group_value(GENERATION, 0, vec![member, static_record("i", "b", "two")]);
    let values = (0..=4).map(|version| bytes(version, &group, version));
    let offsets = (0..=4).map(|version| bytes(version, &value(7), version));
    let values: Vec<Bytes> = values.chain(offsets).collect();
    let keys = vec![group_key(), bytes(1, &key(0), 0), bytes(0, &key(0), 0)];
    let damaged = |whole: Vec<Bytes>| {
        let other = proptest::collection::vec(any::<u8>(), 0..40);
        (proptest::sample::select(whole), other, any::<prop::sample::Index>(), 0..4_u8).prop_map(
            |(whole, other, index, how)| {
                let mut bytes = whole.to_vec();
                let at = index.index(bytes.len());
                match how {
                    0 => bytes = other,
                    1 => bytes.truncate(at),
                    2 => drop(bytes.splice(at..(at + other.len()).min(whole.len()), other)),
                    _ => {}
                }
                Bytes::from(bytes)
            },
        )
    };
    let value = proptest::option::weighted(0.9, damaged(values));
    (proptest::option::weighted(0.95, damaged(keys)), value)
        .prop_map(|(key, value)| KeyValue { key, value })
}

proptest! {
    #[test]
    fn no_bytes_are_the_end_of_a_machine(
        raws in proptest::collection::vec((arbitrary(), any::<bool>()), 1..6),
        producer in proptest::option::of(0..2_i64),
    ) {
        let mut bench = Bench::new();
        for (raw, control) in raws {
            let at = bench.position(&raw, producer);
            if let Ok(Some(record)) = GroupMachine::decode(raw, control && producer.is_some()) {
                bench.machine.apply(&record, at).unwrap();
            }
        }
        bench.machine.loaded(NOW_MS).unwrap();
        // Whatever it holds, it answers and comes to an end.
        let now = bench.moment();
        for command in [
            rejoin("a"),
            join_old("client"),
            joins("client", 9, static_join("i", "")),
            syncs("b", GENERATION),
            commits("a", GENERATION, 1),
            leaves(&[identity("a", None)]),
            fetches(None, true),
            Command::Describe(vec![GROUP.into()]),
        ] {
            let ticket = Ticket(bench.next_ticket);
            bench.next_ticket += 1;
            let asked = Asked { command, image: bench.image.clone() };
            let outcome = bench.machine.handle(ticket, asked, now);
            for record in outcome.batch.into_iter().flat_map(|batch| batch.records) {
                let at = bench.position(&KeyValue::default(), None);
                bench.machine.apply(&record, at).unwrap();
            }
        }
        for _ in 0..50 {
            let Some(due_ms) = bench.machine.next_deadline() else { break };
            let outcome = bench.machine.tick(Moment { now_ms: due_ms.max(NOW_MS), ..now });
            for record in outcome.batch.into_iter().flat_map(|batch| batch.records) {
                let at = bench.position(&KeyValue::default(), None);
                bench.machine.apply(&record, at).unwrap();
            }
        }
    }
}
