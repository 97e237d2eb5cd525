use std::sync::Arc;

use uuid::Uuid;

use super::*;
use crate::metadata::machine::tests::{NODE_ID, Rig, machine, new_topic, settings};
use crate::metadata::machine::{Command, Reply};
use crate::metadata::partitions::NewPartitions;
use crate::partition::Places;
use crate::shard::Machine as _;
use crate::wire::records::{BrokerRegistrationChangeRecord, MetadataRecord};

const A: Uuid = Uuid::from_u128(1_000);
const B: Uuid = Uuid::from_u128(2_000);
const GONE: Uuid = Uuid::from_u128(3_000);

/// What the next start finds.
#[derive(Clone, Default)]
struct Found {
    directories: Vec<Uuid>,
    lacks: bool,
    /// Log, directory and whether it has the id of the topic.
    logs: Vec<(&'static str, Uuid, Option<Uuid>)>,
}

fn found(directories: &[Uuid]) -> Found {
    Found { directories: directories.to_vec(), ..Found::default() }
}

fn equip(rig: &mut Rig, found: &Found) {
    let mut places = Places::new();
    for (log, directory, topic_id) in &found.logs {
        let place = Place { directory: *directory, topic_id: *topic_id };
        places.entry((*log).to_owned()).or_default().push(place);
    }
    let process = &mut rig.machine.process;
    process.directories.clone_from(&found.directories);
    process.lacks_directories = found.lacks;
    process.places = Arc::new(places);
}

fn started(directories: &[Uuid]) -> Rig {
    let mut rig = Rig::new(machine(settings(), None, 100));
    equip(&mut rig, &found(directories));
    rig.start();
    rig
}

/// The start after a clean stop.
fn next(rig: &Rig, found: &Found) -> Rig {
    let mut next = rig.restarted(Some(rig.machine.state.image.broker_epoch));
    equip(&mut next, found);
    next.machine.check_places().unwrap();
    next.start();
    next.check_replay();
    next
}

/// Leader, epoch and directory of each partition.
fn partitions(rig: &Rig, topic: &str) -> Vec<(i32, i32, Uuid)> {
    let topic = rig.machine.state.image.topic(topic).unwrap();
    let partition = |it: &PartitionImage| (it.leader, it.leader_epoch, it.directory);
    topic.partitions.iter().map(partition).collect()
}

fn fail(rig: &mut Rig, directory: Uuid) -> Vec<Entry> {
    let (mut records, _) = rig.call(Command::Fail(directory));
    loop {
        let (elected, reply) = rig.call(Command::Elect);
        if reply == Reply::Done(0) {
            return records;
        }
        records.extend(elected);
    }
}

fn led(epoch: i32, directory: Uuid) -> (i32, i32, Uuid) {
    (NODE_ID, epoch, directory)
}

#[test]
fn new_partitions_go_where_the_fewest_are() {
    let mut rig = started(&[A, B]);
    rig.create_one(new_topic("t", 3, 1)).unwrap();
    assert_eq!(partitions(&rig, "t"), [led(0, A), led(0, B), led(0, A)]);
    rig.create(vec![new_topic("u", 1, 1), new_topic("v", 2, 1)]);
    assert_eq!(partitions(&rig, "u"), [led(0, B)]);
    let topics = vec![NewPartitions { topic: "u".to_owned(), count: 3, assignments: None }];
    rig.call(Command::CreatePartitions { topics, validate_only: false });
    let all = ["t", "u", "v"].into_iter().flat_map(|topic| partitions(&rig, topic));
    assert_eq!(all.filter(|(.., directory)| *directory == A).count(), 4);
    // The snapshot keeps each partition's own directory.
    let (_, snapshot) = rig.machine.state.snapshot();
    let directories = snapshot.entries.iter().filter_map(|entry| match entry {
        Entry::Data(MetadataRecord::PartitionRecord(record)) => Some(record.directories.clone()),
        _ => None,
    });
    assert_eq!(directories.take(3).collect::<Vec<_>>(), [[A], [B], [A]]);
    let broker = &rig.machine.state.brokers[&NODE_ID];
    assert_eq!(broker.log_dirs, [A, B]);
    rig.check_replay();
}

#[test]
fn partitions_of_a_failed_directory_have_no_leader_until_it_is_back() {
    let mut rig = started(&[A, B]);
    rig.create_one(new_topic("t", 2, 1)).unwrap();
    let records = fail(&mut rig, B);
    let broker = &rig.machine.state.brokers[&NODE_ID];
    let (broker_id, broker_epoch) = (NODE_ID, broker.broker_epoch);
    let change = BrokerRegistrationChangeRecord {
        broker_id,
        broker_epoch,
        log_dirs: vec![A],
        ..Default::default()
    };
    let leaderless = PartitionChangeRecord {
        partition_id: 1,
        topic_id: rig.machine.state.image.topic("t").unwrap().id,
        isr: Some(Vec::new()),
        leader: -1,
        eligible_leader_replicas: Some(vec![NODE_ID]),
        last_known_elr: Some(vec![NODE_ID]),
        ..PartitionChangeRecord::default()
    };
    assert_eq!(records, [change.into(), leaderless.into()], "as the reference, but for the order");
    assert_eq!(partitions(&rig, "t"), [led(0, A), (-1, 1, B)]);
    assert_eq!(fail(&mut rig, B), [], "told once");
    rig.create_one(new_topic("u", 2, 1)).unwrap();
    assert_eq!(partitions(&rig, "u"), [led(0, A), led(0, A)]);
    rig.check_replay();

    // Not there at the start either: nothing of it is made anew.
    let without = next(&rig, &Found { lacks: true, ..found(&[A]) });
    assert_eq!(partitions(&without, "t"), [led(0, A), (-1, 1, B)]);
    let back = next(&without, &found(&[A, B]));
    assert_eq!(partitions(&back, "t"), [led(0, A), led(2, B)]);
}

#[test]
fn a_directory_that_is_missing_at_the_start_takes_its_leaders_along() {
    let mut rig = started(&[A, B]);
    rig.create_one(new_topic("t", 2, 1)).unwrap();
    let without = next(&rig, &Found { lacks: true, ..found(&[A]) });
    assert_eq!(partitions(&without, "t"), [led(0, A), (-1, 1, B)]);
    // As in Kafka: who takes it out of log.dirs gives up what was there.
    let removed = next(&without, &found(&[A]));
    assert_eq!(partitions(&removed, "t"), [led(0, A), led(2, A)]);
}

#[test]
fn a_log_stays_where_it_stands_whatever_its_record_says() {
    let mut rig = started(&[A]);
    rig.create_one(new_topic("t", 3, 1)).unwrap();
    let topic_id = rig.machine.state.image.topic("t").unwrap().id;
    for (partition_id, directory) in [(1, Uuid::from_u128(1)), (2, GONE)] {
        let change = PartitionChangeRecord {
            partition_id,
            topic_id,
            directories: Some(vec![directory]),
            ..PartitionChangeRecord::default()
        };
        rig.write(&[change.into()]).unwrap();
    }
    // The log in B is of a topic of the same name that is gone.
    let other = ("t-0", B, Some(GONE));
    let logs =
        vec![other, ("t-0", A, Some(topic_id)), ("t-1", B, None), ("t-2", B, Some(topic_id))];
    let found = Found { logs, ..found(&[A, B]) };
    let moved = next(&rig, &found);
    assert_eq!(partitions(&moved, "t"), [led(0, A), led(0, B), led(0, B)]);

    let logs = vec![("t-0", A, Some(topic_id)), ("t-0", B, Some(topic_id))];
    let mut twice = rig.restarted(None);
    equip(&mut twice, &Found { logs, ..found });
    let error = twice.machine.loaded(0).unwrap_err().to_string();
    assert!(error.contains("log t-0 stands in two directories of log.dirs"), "{error}");
}
