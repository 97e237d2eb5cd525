//! Every record of the internal topics at every version, with the bytes that Kafka's own classes write.

use std::fs;
use std::path::{Path, PathBuf};

use bytes::Bytes;
use ottla::records::BatchBuilder;
use ottla::wire::Message;
use ottla::wire::records::{
    ShareSnapshotKey, ShareSnapshotValue, ShareUpdateKey, ShareUpdateValue, StateBatch,
};
use uuid::Uuid;

use super::assert_same;
use crate::{needs, reference};

/// The kinds of `__consumer_offsets`, by the beginning of their names.
const GROUP_KINDS: [(u8, &str); 9] = [
    (1, "OffsetCommit"),
    (2, "GroupMetadata"),
    (3, "ConsumerGroupMetadata"),
    (4, "ConsumerGroupPartitionMetadata"),
    (5, "ConsumerGroupMemberMetadata"),
    (6, "ConsumerGroupTargetAssignmentMetadata"),
    (7, "ConsumerGroupTargetAssignmentMember"),
    (8, "ConsumerGroupCurrentMemberAssignment"),
    (16, "ConsumerGroupRegularExpression"),
];

/// Version and bytes of the golden messages of this name.
fn golden(name: &str) -> Vec<(u8, Vec<u8>)> {
    let file = format!("{}/tests/golden/wire/{name}.txt", env!("CARGO_MANIFEST_DIR"));
    let text = fs::read_to_string(file).unwrap();
    let lines = text.lines().map(|line| line.split(' ').collect::<Vec<_>>());
    lines.map(|words| (words[1].parse().unwrap(), unhex(words[2]))).collect()
}

fn unhex(digits: &str) -> Vec<u8> {
    let pairs = (0..digits.len()).step_by(2).map(|at| &digits[at..at + 2]);
    pairs.map(|pair| u8::from_str_radix(pair, 16).unwrap()).collect()
}

/// The two numbers of 16 bits, or one, that come first, and the rest.
fn prefixed(number: u8, bytes: &[u8]) -> Vec<u8> {
    [&[0, number], bytes].concat()
}

type KeyValue = (Option<Vec<u8>>, Option<Vec<u8>>);

/// Every key with every value, and with none.
fn coordinator_records(kind: u8, name: &str) -> Vec<KeyValue> {
    let mut values: Vec<_> = golden(&format!("{name}Value"))
        .iter()
        .map(|(version, bytes)| Some(prefixed(*version, bytes)))
        .collect();
    values.push(None);
    let keys: Vec<_> =
        golden(&format!("{name}Key")).iter().map(|(_, key)| prefixed(kind, key)).collect();
    let pairs = values.iter().zip(keys.iter().cycle());
    pairs.map(|(value, key)| (Some(key.clone()), value.clone())).collect()
}

/// A segment of one batch.
fn segment(directory: &Path, name: &str, records: &[KeyValue], control: bool) -> PathBuf {
    let mut batch = BatchBuilder::new(0, 3);
    if control {
        batch = batch.control();
    }
    for (key, value) in records {
        batch.push(1_700_000_000_000, key.as_deref(), value.as_deref());
    }
    let directory = directory.join(name);
    fs::create_dir(&directory).unwrap();
    let file = directory.join("00000000000000000000.log");
    fs::write(&file, batch.build()).unwrap();
    file
}

/// A classic group of consumers, whose members' bytes are read: with each version of what they say, and with what cannot
/// be read.
fn consumers() -> Vec<KeyValue> {
    let member = |bytes: &[u8]| {
        let string =
            |text: &str| [&(text.len() as u16).to_be_bytes()[..], text.as_bytes()].concat();
        let bytes = [&(bytes.len() as u32).to_be_bytes()[..], bytes].concat();
        let timeouts = [0, 0, 1, 0, 0, 0, 0, 9];
        [string("m"), string("c"), string("/h"), timeouts.to_vec(), bytes.clone(), bytes].concat()
    };
    // Topic "t", user data, owned partitions 1 and 2 of "t", a generation and a rack.
    let full = "00000001000174000000020a0b00000001000174000000020000000100000002000000050001720000";
    let mut said: Vec<Vec<u8>> = ["0000", "0001", "0002", "0003", "0004", "7fff", "ffff", "8000"]
        .map(|version| unhex(&format!("{version}{full}")))
        .into();
    said.extend([
        vec![],
        vec![0],
        vec![0, 1],
        unhex("0001000000010001740000"),
        unhex("0000000000010001740000"),
    ]);
    let members: Vec<u8> = said.iter().flat_map(|bytes| member(bytes)).collect();
    let value = |protocol: &str| {
        // Version 1, generation 7, no protocol, no leader.
        let head = [&[0, 1, 0, protocol.len() as u8], protocol.as_bytes()].concat();
        let middle = [0, 0, 0, 7, 0xff, 0xff, 0xff, 0xff, 0, 0, 0, said.len() as u8];
        [&head, &middle[..], &members].concat()
    };
    let key = [0, 2, 0, 1, b'g'].to_vec();
    ["consumer", "connect"].map(|protocol| (Some(key.clone()), Some(value(protocol)))).into()
}

/// What is no record, or one of a kind or version that Kafka does not know.
fn unknown_group_records() -> Vec<KeyValue> {
    let offset = golden("OffsetCommitKey").remove(0).1;
    let (key, old_key) = (prefixed(1, &offset), prefixed(0, &offset));
    let value = golden("OffsetCommitValue").remove(0).1;
    vec![
        (Some(vec![]), Some(vec![])),
        (Some(vec![1]), None),
        (Some(prefixed(99, &[])), Some(vec![])),
        (Some(vec![0xff, 0xff]), None),
        (Some(key.clone()), Some(prefixed(9, &value))),
        (Some(key.clone()), Some(vec![0xff, 0xff, 0])),
        (Some(key), Some(vec![0])),
        (Some(old_key.clone()), Some(prefixed(0, &value))),
        (Some(old_key.clone()), Some(prefixed(1, &value))),
        (Some(old_key), None),
    ]
}

fn share_records() -> Vec<KeyValue> {
    let bytes = |message: Bytes| message.to_vec();
    let batch =
        StateBatch { first_offset: 1, last_offset: 9, delivery_state: 2, delivery_count: 3 };
    let snapshot = ShareSnapshotValue {
        snapshot_epoch: 1,
        delivery_complete_count: 4,
        state_batches: vec![batch.clone(), StateBatch::default()],
        ..Default::default()
    };
    let update = ShareUpdateValue { state_batches: vec![batch], ..Default::default() };
    let (group_id, topic_id) = ("g".to_owned(), Uuid::from_u128(77));
    let key = ShareSnapshotKey { group_id: group_id.clone(), topic_id, partition: 5 };
    let update_key = ShareUpdateKey { group_id, topic_id, partition: 6 };
    let key = prefixed(0, &bytes(key.to_bytes(0).unwrap()));
    let update_key = prefixed(1, &bytes(update_key.to_bytes(0).unwrap()));
    vec![
        (Some(key.clone()), Some(prefixed(0, &bytes(snapshot.to_bytes(0).unwrap())))),
        (Some(update_key), Some(prefixed(0, &bytes(update.to_bytes(0).unwrap())))),
        (Some(key), None),
        (Some(prefixed(2, &[])), None),
    ]
}

fn metadata_records() -> Vec<KeyValue> {
    let directory = format!("{}/tests/golden/wire", env!("CARGO_MANIFEST_DIR"));
    let names = fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().file_name());
    let mut names: Vec<String> = names.map(|name| name.into_string().unwrap()).collect();
    names.sort();
    let control =
        ["KRaftVersionRecord", "SnapshotFooterRecord", "SnapshotHeaderRecord", "VotersRecord"];
    let mut records = Vec::new();
    for name in names.iter().filter_map(|name| name.strip_suffix("Record.txt")) {
        let name = format!("{name}Record");
        if !control.contains(&name.as_str()) {
            records.extend(golden(&name).into_iter().map(|(_, bytes)| (None, Some(bytes))));
        }
    }
    assert!(records.len() > 60, "{}", records.len());
    for unreadable in [
        "",
        "00",
        "02",
        "010600",
        "016300",
        "018080040000",
        "01",
        "0114",
        "011400",
        "01140001",
        "010200",
        "01140000ff",
    ] {
        records.push((None, Some(unhex(unreadable))));
    }
    records.push((Some(b"key".to_vec()), None));
    records
}

/// Control records with every field set; one says that it is of a version that has more fields than were written.
fn control_records() -> Vec<KeyValue> {
    let kinds = [
        (2, "LeaderChangeMessage"),
        (3, "SnapshotHeaderRecord"),
        (4, "SnapshotFooterRecord"),
        (5, "KRaftVersionRecord"),
        (6, "VotersRecord"),
    ];
    let mut records = Vec::new();
    for (kind, name) in kinds {
        for (version, bytes) in golden(name) {
            if version == 0 {
                records.push((Some(vec![0, 0, 0, kind]), Some(bytes)));
            }
        }
    }
    records.push((Some(vec![0, 0, 0, 0]), Some(vec![0, 0, 0, 0, 0, 5])));
    records.push((Some(vec![0, 9, 0, 1]), Some(vec![0, 9, 0xff, 0xff, 0xff, 0xff, 1])));
    records.push((Some(vec![0, 0, 0xff, 0xff, 7]), Some(vec![])));
    records.push((Some(vec![0, 0, 0, 7]), None));
    records
}

#[test]
fn every_record_of_the_internal_topics_is_told_as_kafkas_tool_tells_it() {
    if !needs::java("every_record_of_the_internal_topics_is_told_as_kafkas_tool_tells_it") {
        return;
    }
    let _one_at_a_time = reference::exclusive();
    let work = tempfile::tempdir().unwrap();
    let work = work.path();
    let mut groups: Vec<KeyValue> =
        GROUP_KINDS.iter().flat_map(|(kind, name)| coordinator_records(*kind, name)).collect();
    groups.extend(consumers());
    groups.extend(unknown_group_records());
    let groups = segment(work, "groups", &groups, false);
    let transactions =
        segment(work, "transactions", &coordinator_records(0, "TransactionLog"), false);
    let shares = segment(work, "shares", &share_records(), false);
    let metadata = segment(work, "metadata", &metadata_records(), false);
    let control = segment(work, "control", &control_records(), true);
    for (decoder, file) in [
        ("--offsets-decoder", &groups),
        ("--transaction-log-decoder", &transactions),
        ("--share-group-state-decoder", &shares),
        ("--cluster-metadata-decoder", &metadata),
        ("--deep-iteration", &control),
        // Not what they are.
        ("--transaction-log-decoder", &groups),
        ("--cluster-metadata-decoder", &transactions),
        ("--offsets-decoder", &metadata),
    ] {
        let said = assert_same(std::slice::from_ref(file), &[decoder]);
        assert!(said.contains("isvalid: true"), "{said}");
    }
}
