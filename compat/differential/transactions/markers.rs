//! WriteTxnMarkers, as coordinators send it.

use ottla::wire::messages::delete_topics::{DeleteTopicState, DeleteTopicsRequest};
use ottla::wire::messages::describe_transactions::DescribeTransactionsResponse;
use ottla::wire::messages::fetch::FetchRequest;
use ottla::wire::messages::write_txn_markers::{
    WritableTxnMarker, WritableTxnMarkerTopic, WriteTxnMarkersRequest,
};

use super::{Claim, Identity, OTHER_PRODUCER, Offsets, Partitions, Producer, describing, identity};
use crate::fetch::{fetching, partition, topic};
use crate::offsets::fetched;
use crate::script::Script;
use crate::side::Side;

const TOPIC: &str = "transactions-markers";
const OTHER: &str = "transactions-markers-2";
/// Each of the states below has a partition.
const PARTITIONS: i32 = 90;
/// From here on a marker says of which version its transaction is.
const TRANSACTION_VERSION: i16 = 2;

pub(super) fn run(script: &mut Script) {
    script.topic(TOPIC, PARTITIONS, &[]);
    script.topic(OTHER, 2, &[]);
    epochs(script);
    for version in 1..=2 {
        shapes(script, version);
        several(script, version);
        offsets(script, version);
    }
    beside_the_coordinator(script);
    deleted(script);
}

pub(super) fn marker(
    who: &Identity,
    committed: bool,
    partitions: Partitions<'_>,
) -> WritableTxnMarker {
    let topic = |(name, partitions): &(&str, &[i32])| WritableTxnMarkerTopic {
        name: (*name).into(),
        partition_indexes: partitions.to_vec(),
    };
    WritableTxnMarker {
        producer_id: who.producer_id,
        producer_epoch: who.epoch,
        transaction_result: committed,
        topics: partitions.iter().map(topic).collect(),
        coordinator_epoch: 0,
        transaction_version: 0,
    }
}

fn ask(
    script: &mut Script,
    step: &str,
    version: i16,
    make: &dyn Fn(&Side) -> Vec<WritableTxnMarker>,
) {
    script.ask(step, version, |side| WriteTxnMarkersRequest { markers: make(side) });
}

/// What is in a partition and who wrote it.
fn look(script: &mut Script, step: &str, name: &str, index: i32) {
    script.ask(step, 12, |side| FetchRequest {
        isolation_level: 1,
        ..fetching(vec![topic(side, name, vec![partition(index, 0)])])
    });
    super::producers(script, step, name, &[index]);
}

/// Epochs of producers and coordinators, before a transaction, in it and after it.
fn epochs(script: &mut Script) {
    let versions = [(1, 0), (2, 0), (2, 1), (2, 2), (2, 3), (2, -1)];
    let mut index = 0;
    for (version, transaction_version) in versions {
        for written in [false, true] {
            for offs in [[0, 0, 1], [1, 1, 0], [-1, 2, 2], [5, 0, 5]] {
                let what = format!("v{transaction_version}, written {written}, {offs:?}");
                let id = format!("markers-{index}");
                let mut producer = Producer::begun(script, &id);
                producer.init("a producer to use", 5);
                if written {
                    producer.produce("records", 12, Claim::Right, (TOPIC, &[index]), 0);
                }
                for (place, off) in (0..).zip(offs) {
                    let step = format!("{what}: {place}");
                    ask(producer.script, &step, version, &|side| {
                        let who = identity(side, &id, Claim::Right);
                        let who = Identity { epoch: who.epoch + off, ..who };
                        let marker = marker(&who, place != 1, &[(TOPIC, &[index])]);
                        vec![WritableTxnMarker { transaction_version, ..marker }]
                    });
                }
                look(producer.script, &what, TOPIC, index);
                producer.produce(&what, 12, Claim::Right, (TOPIC, &[index]), 0);
                index += 1;
            }
        }
        coordinator_epochs(script, version, transaction_version, index);
        index += 1;
    }
}

fn coordinator_epochs(script: &mut Script, version: i16, transaction_version: i8, index: i32) {
    let id = format!("markers-coordinators-{index}");
    let mut producer = Producer::begun(script, &id);
    for (place, coordinator_epoch) in (0..).zip([5, 4, 5, 6, -1, 0, -2]) {
        if place == 2 {
            producer.produce("records", 12, Claim::Right, (TOPIC, &[index]), 0);
        }
        let step = format!("v{transaction_version}, coordinator {coordinator_epoch}, {place}");
        ask(producer.script, &step, version, &|side| {
            let who = identity(side, &id, Claim::Right);
            let who = Identity { epoch: who.epoch + place, ..who };
            let marker = marker(&who, true, &[(TOPIC, &[index])]);
            vec![WritableTxnMarker { transaction_version, coordinator_epoch, ..marker }]
        });
    }
    look(producer.script, "coordinators", TOPIC, index);
}

/// Somebody of whom no partition has heard, each time another one.
fn stranger(number: i64, version: i16) -> Identity {
    let producer_id = OTHER_PRODUCER + 100 * i64::from(version) + number;
    Identity { transactional_id: String::new(), producer_id, epoch: 3 }
}

fn shapes(script: &mut Script, version: i16) {
    let lists: [(&str, Partitions<'_>); 12] = [
        ("no topics", &[]),
        ("no partitions", &[(OTHER, &[])]),
        ("a partition", &[(OTHER, &[0])]),
        ("partitions", &[(OTHER, &[1, 0])]),
        ("topics", &[(TOPIC, &[0]), (OTHER, &[0])]),
        ("a partition twice", &[(OTHER, &[0, 0])]),
        ("a topic twice", &[(OTHER, &[0]), (OTHER, &[1])]),
        ("an unknown partition", &[(OTHER, &[2])]),
        ("known and unknown partitions", &[(OTHER, &[-1, 0, 9])]),
        ("an unknown topic", &[("transactions-none", &[0])]),
        ("known and unknown topics", &[("transactions-none", &[0]), (OTHER, &[0]), ("", &[0])]),
        ("bad names", &[("bad name", &[0]), ("", &[1])]),
    ];
    for (number, (step, partitions)) in (0..).zip(lists) {
        let marker = marker(&stranger(number, version), true, partitions);
        // The reference has no answer for a partition that is named twice.
        ask(script.briefly(), step, version, &|_| vec![marker.clone()]);
    }
    for (number, epoch) in (20..).zip([0, -1, -2, i16::MIN, i16::MAX]) {
        let who = Identity { epoch, ..stranger(number, version) };
        for transaction_version in [0, 2] {
            let marker = marker(&who, false, &[(OTHER, &[0])]);
            let marker = WritableTxnMarker { transaction_version, ..marker };
            let step = format!("epoch {epoch}, v{transaction_version}");
            ask(script, &step, version, &|_| vec![marker.clone()]);
        }
    }
    for (number, producer_id) in (30..).zip([-1, -2, i64::MIN, 0, i64::MAX]) {
        let who = Identity { producer_id, ..stranger(number, version) };
        let marker = marker(&who, false, &[(OTHER, &[0])]);
        ask(script, &format!("producer {producer_id}"), version, &|_| vec![marker.clone()]);
    }
    for index in [0, 1] {
        look(script, "shapes", OTHER, index);
    }
}

/// Several markers in one request.
fn several(script: &mut Script, version: i16) {
    let of = |number, epoch, committed, partitions: Partitions<'_>| {
        marker(&Identity { epoch, ..stranger(number, version) }, committed, partitions)
    };
    let lists: [(&str, Vec<WritableTxnMarker>); 7] = [
        ("none", vec![]),
        (
            "of two producers",
            vec![of(50, 0, true, &[(OTHER, &[0])]), of(51, 0, false, &[(OTHER, &[0, 1])])],
        ),
        (
            "of one producer",
            vec![of(52, 0, true, &[(OTHER, &[0])]), of(52, 0, true, &[(OTHER, &[1])])],
        ),
        (
            "of one producer and partition",
            vec![of(53, 1, true, &[(OTHER, &[0])]), of(53, 0, false, &[(OTHER, &[0])])],
        ),
        (
            "of one producer, some unknown",
            vec![of(54, 0, true, &[(OTHER, &[9])]), of(54, 0, true, &[(OTHER, &[0, 8])])],
        ),
        (
            "of two producers, all unknown",
            vec![of(55, 0, true, &[(OTHER, &[9])]), of(56, 0, true, &[("none", &[0])])],
        ),
        (
            "of two producers, one with nothing",
            vec![of(57, 0, true, &[]), of(58, 0, true, &[(OTHER, &[0])])],
        ),
    ];
    for (step, markers) in lists {
        ask(script, step, version, &|_| markers.clone());
    }
    look(script, "several", OTHER, 0);
}

/// The partition of the groups' topic that a transaction has.
fn partition_of(answer: &DescribeTransactionsResponse) -> String {
    let topics = answer.transaction_states.iter().flat_map(|one| &one.topics);
    let index = topics.flat_map(|topic| &topic.partitions).next();
    index.copied().unwrap_or(-1).to_string()
}

/// Offsets of groups are committed by markers as well.
fn offsets(script: &mut Script, version: i16) {
    const GROUPS: &str = "__consumer_offsets";
    for committed in [true, false] {
        let group = format!("transactions-markers-v{version}-{committed}");
        let id = format!("markers-offsets-v{version}-{committed}");
        let mut producer = Producer::begun(script, &id);
        producer.init("a producer to use", 5);
        let offsets: Offsets<'_> = &[(TOPIC, &[(0, 5)])];
        producer.commit_offsets("offsets", 5, Claim::Right, &group, offsets);
        let asking = describing(&[&id]);
        let answers = producer.script.ask("the group's partition", 0, |_| asking.clone());
        producer.script.learn("markers/partition", &answers, partition_of);
        for (off, coordinator_epoch) in [(-1, 0), (0, 3), (0, 2), (0, 3), (2, 3)] {
            let step = format!("offsets, {off}, coordinator {coordinator_epoch}, {committed}");
            ask(producer.script, &step, version, &|side| {
                let who = identity(side, &id, Claim::Right);
                let who = Identity { epoch: who.epoch + off, ..who };
                let index = side.number("markers/partition");
                let topics: Partitions<'_> = &[(GROUPS, &[index]), (GROUPS, &[50]), (OTHER, &[0])];
                vec![WritableTxnMarker { coordinator_epoch, ..marker(&who, committed, topics) }]
            });
            fetched(producer.script, &group);
        }
        ask(producer.script, "offsets of transactions of version 2", version, &|side| {
            let index = side.number("markers/partition");
            let marker =
                marker(&identity(side, &id, Claim::Right), committed, &[(GROUPS, &[index])]);
            vec![WritableTxnMarker { transaction_version: 2, coordinator_epoch: 3, ..marker }]
        });
        // Its coordinator is an earlier one to the group's.
        producer.begin_end("offsets", 5, Claim::Right, committed);
        producer.describe("offsets");
        fetched(producer.script, &group);
    }
}

/// Markers that the coordinator knows nothing of.
fn beside_the_coordinator(script: &mut Script) {
    for version in 1..=TRANSACTION_VERSION {
        for (number, off) in (0..).zip([0, 1]) {
            let id = format!("markers-beside-v{version}-{number}");
            let mut producer = Producer::begun(script, &id);
            producer.produce("records", 12, Claim::Right, (OTHER, &[1]), 0);
            ask(producer.script, "beside the coordinator", version, &|side| {
                let who = identity(side, &id, Claim::Right);
                let who = Identity { epoch: who.epoch + off, ..who };
                vec![marker(&who, false, &[(OTHER, &[1])])]
            });
            producer.describe("beside the coordinator");
            producer.produce("records after a marker", 12, Claim::Right, (OTHER, &[1]), 3);
            producer.end("after a marker", 5, Claim::Right, true);
            producer.describe("after a marker");
            producer.produce("another transaction", 12, Claim::Right, (OTHER, &[1]), 0);
            producer.end("another transaction", 5, Claim::Right, true);
        }
    }
    look(script, "beside the coordinator", OTHER, 1);
}

/// The topic of a transaction is deleted before its end.
fn deleted(script: &mut Script) {
    for version in [4, 5] {
        let name = format!("transactions-deleted-v{version}");
        script.topic(&name, 2, &[]);
        let mut producer = Producer::begun(script, format!("markers-deleted-v{version}"));
        let partitions: Partitions<'_> = &[(&name, &[0, 1]), (OTHER, &[0])];
        producer.add("partitions", 3, Claim::Right, partitions);
        producer.script.ask("the topic is deleted", 6, |_| DeleteTopicsRequest {
            topics: vec![DeleteTopicState { name: Some(name.clone()), ..Default::default() }],
            timeout_ms: 30_000,
            ..Default::default()
        });
        producer.end("its topic is deleted", version, Claim::Right, true);
        producer.describe("its topic is deleted");
    }
}
