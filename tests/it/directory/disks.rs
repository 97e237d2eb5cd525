//! A node over two directories: carried from one broker to the other, and with one of them gone.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use ottla::wire::messages::describe_log_dirs::DescribeLogDirsRequest;
use ottla::wire::messages::describe_topic_partitions::{
    DescribeTopicPartitionsRequest, TopicRequest,
};
use ottla::wire::messages::list_offsets::{
    ListOffsetsPartition, ListOffsetsRequest, ListOffsetsTopic,
};
use ottla::wire::messages::metadata::{MetadataRequest, MetadataRequestTopic};
use rdkafka::message::Message;
use tempfile::TempDir;

use super::{TIMEOUT, assert_no_damage};
use crate::broker::{Broker, ottla};
use crate::clients::consume;
use crate::group_clients::{create_topic, send};
use crate::needs;
use crate::protocol::Target;
use crate::reference::{self, Options, Reference};
use crate::wait::until;

const STORAGE_ERROR: i16 = 56;
const NOT_LEADER: i16 = 6;
const PARTITIONS: i32 = 4;
const RECORDS: i32 = 400;

/// Two directories, and where Kafka keeps its log.
struct Disks {
    work: TempDir,
    first: PathBuf,
    second: PathBuf,
}

impl Disks {
    fn new() -> Self {
        let work = tempfile::tempdir().unwrap();
        fs::create_dir(work.path().join("node")).unwrap();
        let (first, second) = (work.path().join("first"), work.path().join("second"));
        Self { work, first, second }
    }

    fn setting(&self) -> String {
        format!("log.dirs={},{}", self.first.display(), self.second.display())
    }

    fn ours(&self) -> Broker {
        Broker::start_on(&self.first, &[&self.setting()])
    }

    fn kafka(&self) -> Reference {
        let (data, extra) = (Some(self.first.clone()), self.setting());
        let options = Options { data, extra, ..Options::default() };
        Reference::start(&self.work.path().join("node"), &options)
    }

    fn aside(&self) -> PathBuf {
        self.work.path().join("aside")
    }

    /// Something that is no directory stands in its place.
    fn break_second(&self) {
        fs::rename(&self.second, self.aside()).unwrap();
        fs::write(&self.second, "").unwrap();
    }

    fn mend_second(&self) {
        fs::remove_file(&self.second).unwrap();
        fs::rename(self.aside(), &self.second).unwrap();
    }
}

fn fill(port: u16, topic: &str) {
    create_topic(port, topic, PARTITIONS);
    send(port, topic, PARTITIONS, 0..RECORDS);
}

fn assert_served(port: u16, topic: &str) {
    let counts = [(RECORDS / PARTITIONS) as usize; PARTITIONS as usize];
    for (partition, records) in (0..).zip(consume(port, topic, &counts)) {
        let sent =
            (partition..RECORDS).step_by(PARTITIONS as usize).map(|number| number.to_string());
        let read = records.iter().map(|record| record.payload().unwrap().to_vec());
        assert!(read.eq(sent.map(String::into_bytes)), "{topic}-{partition}");
    }
}

/// Error and the partitions of topics of each directory.
type LogDirs = BTreeMap<String, (i16, Vec<(String, Vec<i32>)>)>;

fn log_dirs(port: u16) -> LogDirs {
    let response = Target::new(port).call(&DescribeLogDirsRequest { topics: None }, 4);
    let directory =
        |directory: &ottla::wire::messages::describe_log_dirs::DescribeLogDirsResult| {
            let topics = directory.topics.iter().map(|topic| {
                let mut numbers: Vec<_> =
                    topic.partitions.iter().map(|it| it.partition_index).collect();
                numbers.sort_unstable();
                (topic.name.clone(), numbers)
            });
            let mut topics: Vec<_> = topics.collect();
            topics.sort();
            (directory.log_dir.clone(), (directory.error_code, topics))
        };
    response.results.iter().map(directory).collect()
}

/// What both ways of asking say of a topic's partitions, without epochs.
fn described(port: u16, topic: &str) -> Vec<String> {
    let target = Target::new(port);
    let name = topic.to_owned();
    let asked = vec![MetadataRequestTopic { name: Some(name.clone()), ..Default::default() }];
    let request = MetadataRequest { topics: Some(asked), ..Default::default() };
    let mut metadata = target.call(&request, 12).topics.remove(0).partitions;
    metadata.sort_by_key(|partition| partition.partition_index);
    let request = DescribeTopicPartitionsRequest {
        topics: vec![TopicRequest { name }],
        ..Default::default()
    };
    let described = target.call(&request, 0).topics.remove(0).partitions;
    let line = |(metadata, described)| format!("{metadata:?} {described:?}");
    let clear = metadata.into_iter().map(|mut it| {
        it.leader_epoch = 0;
        it
    });
    let described = described.into_iter().map(|mut it| {
        it.leader_epoch = 0;
        // A start without one of the directories is an unclean one to Kafka, which voids them.
        it.eligible_leader_replicas = None;
        it.last_known_elr = None;
        it
    });
    clear.zip(described).map(line).collect()
}

/// Error of each partition for who asks for its end.
fn errors(port: u16, topic: &str) -> Vec<i16> {
    let partition = |partition_index| ListOffsetsPartition {
        partition_index,
        current_leader_epoch: -1,
        timestamp: -1,
    };
    let partitions = (0..PARTITIONS).map(partition).collect();
    let topics = vec![ListOffsetsTopic { name: topic.into(), partitions }];
    let request = ListOffsetsRequest { replica_id: -1, topics, ..Default::default() };
    let mut partitions = Target::new(port).call(&request, 7).topics.remove(0).partitions;
    partitions.sort_by_key(|partition| partition.partition_index);
    partitions.iter().map(|partition| partition.error_code).collect()
}

fn path(directory: &Path) -> String {
    directory.display().to_string()
}

#[test]
fn a_node_over_two_directories_is_carried_to_kafka_and_back() {
    if !needs::java("a_node_over_two_directories_is_carried_to_kafka_and_back") {
        return;
    }
    let _one_at_a_time = reference::exclusive();
    let disks = Disks::new();
    let mut broker = disks.ours();
    fill(broker.port(), "ours");
    let ours = log_dirs(broker.port());
    let spread = |numbers: &[i32]| (0, vec![("ours".to_owned(), numbers.to_vec())]);
    let expected = [(&disks.first, spread(&[0, 2])), (&disks.second, spread(&[1, 3]))];
    assert_eq!(ours, expected.map(|(directory, it)| (path(directory), it)).into());
    broker.terminate();

    let kafka = disks.kafka();
    assert_no_damage(&kafka.log(), "two directories");
    assert!(!kafka.log().contains("no clean shutdown file"));
    assert_eq!(log_dirs(kafka.port()), ours);
    assert_served(kafka.port(), "ours");
    fill(kafka.port(), "theirs");
    let theirs = log_dirs(kafka.port());
    kafka.stop();

    let mut broker = disks.ours();
    assert_eq!(log_dirs(broker.port()), theirs);
    assert_served(broker.port(), "ours");
    assert_served(broker.port(), "theirs");
    broker.terminate();

    // One of them gone: both say the same of it, but for what an offline partition answers after a start.
    disks.break_second();
    let mut broker = disks.ours();
    let port = broker.port();
    let without = (log_dirs(port), described(port, "ours"), described(port, "theirs"));
    assert_eq!(without.0[&path(&disks.second)], (STORAGE_ERROR, vec![]));
    assert_eq!(errors(port, "ours"), [0, STORAGE_ERROR, 0, STORAGE_ERROR]);
    broker.terminate();
    let kafka = disks.kafka();
    let port = kafka.port();
    until("the leaders", TIMEOUT, || (described(port, "ours") == without.1).then_some(()));
    // Which of the two depends on what that node of Apache Kafka heard first.
    let is_offline = |error| [NOT_LEADER, STORAGE_ERROR].contains(&error);
    until("the two that are left", TIMEOUT, || {
        let found = errors(port, "ours");
        let [0, second, 0, fourth] = found[..] else { return None };
        (is_offline(second) && is_offline(fourth)).then_some(())
    });
    until("the others", TIMEOUT, || errors(port, "theirs").contains(&0).then_some(()));
    assert_eq!(without, (log_dirs(port), described(port, "ours"), described(port, "theirs")));
    kafka.stop();

    disks.mend_second();
    let broker = disks.ours();
    assert_served(broker.port(), "ours");
    assert_served(broker.port(), "theirs");
    assert_eq!(log_dirs(broker.port()), theirs);
}

#[test]
fn a_directory_that_fails_while_the_broker_runs_leaves_the_other() {
    let disks = Disks::new();
    let mut broker = disks.ours();
    let port = broker.port();
    fill(port, "before");
    disks.break_second();
    // The first log that is to be made there meets it.
    create_topic(port, "meets", PARTITIONS);
    let gone = [0, STORAGE_ERROR, 0, STORAGE_ERROR];
    until("the failure is told", TIMEOUT, || (errors(port, "before") == gone).then_some(()));
    let led =
        |topic| described(port, topic).iter().filter(|it| it.contains("leader_id: 1")).count();
    until("the leaders are gone", TIMEOUT, || (led("before") == 2).then_some(()));
    create_topic(port, "after", PARTITIONS);
    assert_eq!(errors(port, "after"), [0; 4]);
    let found = log_dirs(port);
    assert_eq!(found[&path(&disks.second)], (STORAGE_ERROR, vec![]));
    assert_eq!(found[&path(&disks.first)].1[0], ("after".to_owned(), vec![0, 1, 2, 3]));
    let told = broker.log();
    assert_eq!(told.matches("log directory failed and is offline").count(), 1, "{told}");
    assert!(!told.contains("panicked"), "{told}");
    broker.terminate();

    disks.mend_second();
    let broker = disks.ours();
    assert_served(broker.port(), "before");
    assert_eq!(errors(broker.port(), "meets"), [0; 4]);
}

#[test]
fn a_log_that_stands_in_two_directories_refuses_the_start() {
    let disks = Disks::new();
    let mut broker = disks.ours();
    fill(broker.port(), "t");
    broker.terminate();
    fs::create_dir(disks.second.join("t-0")).unwrap();
    for file in fs::read_dir(disks.first.join("t-0")).unwrap() {
        let file = file.unwrap();
        fs::copy(file.path(), disks.second.join("t-0").join(file.file_name())).unwrap();
    }
    let mut command = ottla();
    command.args(["server", "--override", "listeners=PLAINTEXT://localhost:0"]);
    let output = command.args(["--override", &disks.setting()]).output().unwrap();
    let said = super::text(&output);
    assert!(!output.status.success());
    assert!(said.contains("log t-0 stands in two directories of log.dirs"), "{said}");
}
