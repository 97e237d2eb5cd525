//! Partitions in several directories of files: one that fails, one that is full.

use std::path::Path;
use std::time::Duration;

use super::registry::to_open;
use super::*;
use crate::env::CrashMode;
use crate::log::local::{EngineSettings, LocalEngine};

const A: Uuid = Uuid::from_u128(1_000);
const B: Uuid = Uuid::from_u128(2_000);

struct Node {
    disk: SimDisk,
    registry: Arc<Registry>,
}

fn engine(env: &Env, directory: &str) -> Arc<dyn Engine> {
    LocalEngine::open(env, Path::new(directory), EngineSettings::default()).unwrap()
}

fn start(disk: &SimDisk) -> Node {
    let env = Env { disk: Arc::new(disk.clone()), ..env().1 };
    let data = vec![(A, engine(&env, "/a")), (B, engine(&env, "/b"))];
    let directories = Directories::new(data[0].1.clone(), data, Vec::new());
    Node { disk: disk.clone(), registry: Arc::new(Registry::new(env, directories, 2)) }
}

fn topic(config: TopicConfig) -> TopicToOpen {
    TopicToOpen {
        name: "orders".into(),
        topic_id: Uuid::from_u128(7),
        partitions: vec![to_open(0, A), to_open(1, B), to_open(2, B)],
        config: Arc::new(config),
    }
}

impl Node {
    fn get(&self, number: i32) -> Arc<Partition> {
        self.registry.get("orders", number).unwrap()
    }

    fn append(&self, number: i32) -> Result<i64, ErrorCode> {
        let appended = self.get(number).append(&plain(1), VERSION, None);
        appended.map(|it| it.base_offset).map_err(|error| error.refusal().error)
    }

    async fn failed(&self) {
        let (_, b) = self.registry.directories().expendable().next().unwrap();
        tokio::time::timeout(Duration::from_secs(1), b.failed()).await.unwrap();
    }
}

#[tokio::test(start_paused = true)]
async fn a_failed_directory_takes_its_own_partitions_along() {
    let node = start(&SimDisk::new(1));
    node.registry.open_topic(&topic(TopicConfig::default())).await.unwrap();
    assert_eq!([0, 1, 2].map(|number| node.append(number)), [Ok(0), Ok(0), Ok(0)]);
    assert_eq!(node.registry.in_directory(B).len(), 2);
    let parked = tokio::spawn(node.get(2).committed(5));

    node.disk.set_failing_under(Some(Path::new("/b")));
    assert_eq!(node.append(1), Err(ErrorCode::KafkaStorageError));
    node.failed().await;
    assert_eq!(node.append(2), Err(ErrorCode::KafkaStorageError), "of the same directory");
    assert_eq!(parked.await.unwrap(), Err(NotCommitted::Offline));
    assert_eq!(node.append(0), Ok(1));
    node.registry.take_offline(B);
    for number in [1, 2] {
        assert_eq!(node.registry.get("orders", number).err(), Some(NotOpen::Offline));
    }
    assert_eq!(node.registry.all().len(), 1);
    // Nothing of it is opened again, whatever becomes of the topic.
    node.registry.open_topic(&topic(TopicConfig::default())).await.unwrap();
    assert_eq!(node.registry.get("orders", 1).err(), Some(NotOpen::Offline));
    let described = node.registry.directories().describe();
    assert!(described[0].1.space.is_ok() && described[1].1.space.is_err());
    node.registry.close_all().await.unwrap();
    node.registry.directories().close(5).await.unwrap();

    node.disk.clear_faults();
    let Node { disk, registry } = node;
    drop(registry);
    let node = start(&disk);
    assert_eq!(node.registry.directories().clean_shutdown_epoch(), None, "b knows of no stop");
    node.registry.open_topic(&topic(TopicConfig::default())).await.unwrap();
    assert_eq!([0, 1, 2].map(|number| node.append(number)), [Ok(2), Ok(1), Ok(1)]);
}

#[tokio::test(start_paused = true)]
async fn a_directory_that_fails_while_its_logs_open_is_no_error_of_the_topic() {
    let node = start(&SimDisk::new(1));
    node.registry.open_topic(&topic(TopicConfig::default())).await.unwrap();
    node.registry.close_all().await.unwrap();
    node.disk.set_failing_under(Some(Path::new("/b")));
    node.registry.open_topic(&topic(TopicConfig::default())).await.unwrap();
    assert_eq!(node.append(0), Ok(0));
    assert_eq!(node.registry.get("orders", 1).err(), Some(NotOpen::Offline));
    node.failed().await;
}

#[tokio::test(start_paused = true)]
async fn directories_agree_on_a_clean_stop_or_there_was_none() {
    let node = start(&SimDisk::new(1));
    node.registry.open_topic(&topic(TopicConfig::default())).await.unwrap();
    let places = node.registry.directories().places().unwrap();
    let topic_id = Some(Uuid::from_u128(7));
    assert_eq!(places["orders-1"], [Place { directory: B, topic_id }]);
    node.registry.close_all().await.unwrap();
    node.registry.directories().close(5).await.unwrap();
    let Node { disk, registry } = node;
    drop(registry);
    let node = start(&disk);
    assert_eq!(node.registry.directories().clean_shutdown_epoch(), Some(5));
    let (_, b) = node.registry.directories().expendable().next().unwrap();
    node.registry.directories().metadata().close(6).await.unwrap();
    b.close(7).await.unwrap();
    drop((node, b));
    let registry = start(&disk).registry;
    assert_eq!(registry.directories().clean_shutdown_epoch(), None);
}

/// Every state in which a roll, a snapshot or a batch may find no room.
#[tokio::test(start_paused = true)]
async fn a_full_disk_is_an_error_to_the_producer_until_there_is_room() {
    let config = TopicConfig { segment_bytes: 300, ..TopicConfig::default() };
    for spare_bytes in (0..600).step_by(13) {
        let node = start(&SimDisk::new(1));
        node.registry.open_topic(&topic(config.clone())).await.unwrap();
        let (mut sequence, mut refused) = (0, 0);
        let mut limited = false;
        while sequence < 20 {
            let batch = sequenced(7, 0, sequence, 1);
            match node.get(1).append(&batch, VERSION, None) {
                Ok(appended) => assert_eq!(appended.base_offset, i64::from(sequence)),
                Err(error) => {
                    assert_eq!(error.refusal().error, ErrorCode::KafkaStorageError);
                    refused += 1;
                    node.disk.set_capacity_bytes(None);
                    continue;
                }
            }
            sequence += 1;
            if !limited && sequence == 3 {
                node.disk.set_capacity_bytes(Some(node.disk.used_bytes() + spare_bytes));
                limited = true;
            }
            // The flush pass, which finds no room either.
            tokio::time::sleep(Duration::from_millis(150)).await;
        }
        assert_eq!(refused, 1, "{spare_bytes}");
        node.disk.crash(CrashMode::PowerLoss);
        let Node { disk, registry } = node;
        drop(registry);
        let node = start(&disk.restart());
        node.registry.open_topic(&topic(config.clone())).await.unwrap();
        let partition = node.get(1);
        assert_eq!(partition.bounds().end_offset, 20, "{spare_bytes}");
        let again = partition.append(&sequenced(7, 0, 19, 1), VERSION, None).unwrap();
        assert_eq!(again.base_offset, 19, "known as a duplicate");
    }
}

#[tokio::test(start_paused = true)]
async fn a_topic_made_on_a_full_disk_is_served_when_there_is_room() {
    for spare_bytes in (0..400).step_by(7) {
        let node = start(&SimDisk::new(1));
        let deleted = TopicToOpen {
            name: "gone".into(),
            topic_id: Uuid::from_u128(8),
            ..topic(TopicConfig::default())
        };
        node.disk.set_capacity_bytes(Some(node.disk.used_bytes() + spare_bytes));
        let topics = vec![topic(TopicConfig::default()), deleted.clone()];
        let opened = node.registry.open_topics(topics).await;
        if opened.is_ok() {
            continue;
        }
        tokio::time::sleep(Duration::from_secs(10)).await;
        node.registry.delete_topics(&[deleted.topic_id]).await.unwrap();
        node.disk.set_capacity_bytes(None);
        tokio::time::sleep(Duration::from_secs(2)).await;
        assert_eq!([0, 1, 2].map(|number| node.append(number)), [Ok(0); 3], "{spare_bytes}");
        assert_eq!(node.registry.get("gone", 0).err(), Some(NotOpen::Unknown), "{spare_bytes}");
    }
}
