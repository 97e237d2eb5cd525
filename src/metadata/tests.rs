//! Starting and stopping over an engine in memory, with the directory's files on a simulated disk.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use uuid::Uuid;

use super::*;
use crate::env::{CrashMode, Env, Offload, Random, SimClock, SimDisk};
use crate::log::local::{EngineSettings, LocalEngine};
use crate::log::{Engine, LogId, MemoryEngine};
use crate::partition::{Directories, NotOpen, PartitionToOpen, Registry};

fn env() -> Env {
    Env {
        clock: Arc::new(SimClock::new(1_000)),
        random: Arc::new(Random::seeded(3)),
        disk: Arc::new(SimDisk::new(3)),
        offload: Offload::inline(),
    }
}

fn settings() -> Settings {
    let listener = Endpoint { name: "PLAINTEXT".into(), host: "localhost".into(), port: 9_092 };
    Settings::new(&ServerConfig::default(), vec![listener])
}

const DIRECTORY: Uuid = Uuid::from_u128(77);

fn registry(env: &Env, engine: MemoryEngine) -> Arc<Registry> {
    let directories = Directories::one(DIRECTORY, Arc::new(engine));
    Arc::new(Registry::new(env.clone(), directories, 2))
}

fn first_partition() -> PartitionToOpen {
    PartitionToOpen { number: 0, leader_epoch: 0, directory: DIRECTORY }
}

struct Run {
    metadata: Metadata,
    registry: Arc<Registry>,
}

/// A start; without directory in memory only.
async fn run(env: &Env, engine: &MemoryEngine, on_disk: bool, settings: Settings) -> Run {
    let engine: Arc<dyn Engine> = Arc::new(engine.clone());
    let directory = on_disk.then(|| Directory::open(env, Path::new("/data"), &settings).unwrap());
    let id = directory.as_ref().map_or_else(|| env.random.uuid(), Directory::directory_id);
    let registry = Arc::new(Registry::new(env.clone(), Directories::one(id, engine), 2));
    let parts = Parts { env: env.clone(), registry: registry.clone(), directory };
    Run { metadata: start(parts, settings).await.unwrap(), registry }
}

impl Run {
    async fn create(&self, name: &str) -> Uuid {
        let created = self.metadata.create_topics(vec![NewTopic::with_defaults(name)], false).await;
        created[0].as_ref().unwrap().topic_id
    }

    async fn stop(self, engine: &MemoryEngine) -> MemoryEngine {
        self.registry.close_all().await.unwrap();
        let epoch = self.metadata.broker_epoch();
        self.metadata.close().await;
        engine.close(epoch).await.unwrap();
        engine.restart()
    }

    fn leader_epoch(&self, name: &str) -> i32 {
        self.metadata.image().topic(name).unwrap().partitions[0].leader_epoch
    }
}

#[tokio::test]
async fn a_topic_serves_when_its_creation_is_answered() {
    let engine = MemoryEngine::default();
    let run = run(&env(), &engine, false, settings()).await;
    let id = run.create("t").await;
    assert!(run.registry.get("t", 0).is_ok());
    assert_eq!(run.metadata.image().topic("t").unwrap().id, id);
    assert_eq!(run.metadata.delete_topics(vec![id]).await, [Ok(())]);
    assert!(run.registry.get("t", 0).is_err());
    assert!(run.metadata.image().topic("t").is_none());
    assert!(!engine.existing().unwrap().contains(&"t-0".to_owned()));
}

#[tokio::test]
async fn topics_ids_and_cluster_survive_restarts_and_epochs_tell_how_it_stopped() {
    let (env, engine) = (env(), MemoryEngine::default());
    let first = run(&env, &engine, true, settings()).await;
    let id = first.create("t").await;
    let cluster_id = first.metadata.image().cluster_id.clone();
    assert_eq!(first.metadata.next_producer_id().await, Ok(0));
    assert_eq!(first.metadata.next_producer_id().await, Ok(1));
    assert_eq!(first.metadata.image().controller_epoch, 1);
    let engine = first.stop(&engine).await;

    let second = run(&env, &engine, true, settings()).await;
    let image = second.metadata.image();
    assert_eq!((image.topic("t").unwrap().id, &image.cluster_id), (id, &cluster_id));
    assert_eq!((image.controller_epoch, second.leader_epoch("t")), (2, 0));
    assert!(second.registry.get("t", 0).is_ok(), "every topic serves");
    assert_eq!(second.metadata.next_producer_id().await, Ok(1_000));

    // No clean stop.
    let third = run(&env, &engine.restart(), true, settings()).await;
    assert_eq!((third.metadata.image().controller_epoch, third.leader_epoch("t")), (3, 1));
    assert_eq!(third.registry.get("t", 0).unwrap().leader_epoch(), 1);
}

#[tokio::test]
async fn a_snapshot_prunes_the_log_and_the_next_start_uses_it() {
    let (env, engine) = (env(), MemoryEngine::default());
    let small = Settings { snapshot_bytes: 2_000, ..settings() };
    let first = run(&env, &engine, true, small.clone()).await;
    for number in 0..40 {
        first.create(&format!("t{number}")).await;
    }
    let files = env.disk.list(Path::new("/data/__cluster_metadata-0")).unwrap();
    let snapshots: Vec<_> = files.iter().filter(|name| name.ends_with(".checkpoint")).collect();
    assert_eq!(snapshots.len(), 1, "{files:?}");
    let snapshot = snapshot::SnapshotId::parse(snapshots[0]).unwrap();
    assert_eq!(first.metadata.log_start_offset(), snapshot.offset);
    let engine = first.stop(&engine).await;
    let second = run(&env, &engine, true, small).await;
    assert_eq!(second.metadata.image().topics().len(), 40);
    assert_eq!(second.leader_epoch("t39"), 0);
    let features = &second.metadata.image().finalized_features;
    assert_eq!(features.get("kraft.version"), Some(&1));

    // Without the snapshot the log says nothing of the beginning.
    env.disk.remove_file(&Path::new("/data/__cluster_metadata-0").join(snapshots[0])).unwrap();
    let engine = second.stop(&engine).await;
    let registry = registry(&env, engine);
    let directory = Some(Directory::open(&env, Path::new("/data"), &settings()).unwrap());
    let parts = Parts { env: env.clone(), registry, directory };
    let error = start(parts, settings()).await.err().unwrap().to_string();
    assert!(error.contains("restore the files of __cluster_metadata-0"), "{error}");
}

#[tokio::test]
async fn logs_of_a_deletion_that_did_not_finish_are_deleted() {
    let (env, engine) = (env(), MemoryEngine::default());
    let first = run(&env, &engine, true, settings()).await;
    let topic_id = first.create("t").await;
    first.metadata.delete_topics(vec![topic_id]).await;
    let engine = engine.restart();
    // As if the process had died between the record and the files.
    let id = LogId { topic: "t".into(), topic_id, partition: 0 };
    let leftover = registry(&env, engine.clone());
    let topic = crate::partition::TopicToOpen {
        name: id.topic.clone(),
        topic_id,
        partitions: vec![first_partition()],
        config: Arc::default(),
    };
    leftover.open_topic(&topic).await.unwrap();
    assert!(engine.existing().unwrap().contains(&"t-0".to_owned()));
    run(&env, &engine, true, settings()).await;
    assert!(!engine.existing().unwrap().contains(&"t-0".to_owned()));
}

#[tokio::test]
async fn many_topics_open_at_once() {
    let (env, engine) = (env(), MemoryEngine::default());
    let first = run(&env, &engine, true, settings()).await;
    let names: Vec<String> = (0..500).map(|number| format!("t{number}")).collect();
    let topics = names.iter().map(|name| NewTopic::with_defaults(name)).collect();
    let created = first.metadata.create_topics(topics, false).await;
    assert!(created.iter().all(Result::is_ok));
    let second = run(&env, &first.stop(&engine).await, true, settings()).await;
    assert!(names.iter().all(|name| second.registry.get(name, 0).is_ok()));
}

#[tokio::test]
async fn a_topic_that_cannot_be_opened_fails_the_start() {
    let (env, engine) = (env(), MemoryEngine::default());
    let first = run(&env, &engine, true, settings()).await;
    let topic_id = first.create("t").await;
    let engine = first.stop(&engine).await;
    // Its directory is taken by a topic that the metadata does not know.
    let id = LogId { topic: "t".into(), topic_id, partition: 0 };
    engine.delete(std::slice::from_ref(&id)).await.unwrap();
    let other = crate::partition::TopicToOpen {
        name: id.topic.clone(),
        topic_id: Uuid::from_u128(8),
        partitions: vec![first_partition()],
        config: Arc::default(),
    };
    registry(&env, engine.clone()).open_topic(&other).await.unwrap();
    let registry = registry(&env, engine.restart());
    let directory = Some(Directory::open(&env, Path::new("/data"), &settings()).unwrap());
    let error = start(Parts { env, registry, directory }, settings()).await.err().unwrap();
    assert!(error.to_string().contains("t-0 holds topic id"), "{error}");
}

/// Two directories of files on one simulated disk.
async fn run_on_files(env: &Env, settings: Settings) -> Run {
    let root = Path::new("/data");
    let engine = |root: &Path| -> Arc<dyn Engine> {
        LocalEngine::open(env, root, EngineSettings::default()).unwrap()
    };
    let (first, second) = (engine(root), engine(Path::new("/more")));
    let directory = Directory::open(env, root, &settings).unwrap();
    let id = directory.adopt(Path::new("/more"), &settings).unwrap();
    let data = vec![(directory.directory_id(), first.clone()), (id, second)];
    let directories = Directories::new(first, data, Vec::new());
    let registry = Arc::new(Registry::new(env.clone(), directories, 2));
    let parts = Parts { env: env.clone(), registry: registry.clone(), directory: Some(directory) };
    Run { metadata: start(parts, settings).await.unwrap(), registry }
}

#[tokio::test(start_paused = true)]
async fn a_full_disk_refuses_topics_until_there_is_room() {
    let disk = SimDisk::new(3);
    let env = Env { disk: Arc::new(disk.clone()), ..env() };
    let run = run_on_files(&env, settings()).await;
    for spare_bytes in (0..600).step_by(37) {
        disk.set_capacity_bytes(Some(disk.used_bytes() + spare_bytes));
        let topic = |number| NewTopic::with_defaults(&format!("full-{spare_bytes}-{number}"));
        let mut refused = false;
        for number in 0..9 {
            let created = run.metadata.create_topics(vec![topic(number)], false).await;
            refused |= created[0].is_err();
        }
        assert!(refused);
        disk.set_capacity_bytes(None);
        let topic = NewTopic::with_defaults(&format!("room-{spare_bytes}"));
        while run.metadata.create_topics(vec![topic.clone()], false).await[0].is_err() {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    }
    for (_, engine) in run.registry.directories().expendable() {
        assert!(!engine.is_offline());
    }
    let image = run.metadata.image();
    disk.crash(CrashMode::ProcessKill);
    let env = Env { disk: Arc::new(disk.restart()), ..env };
    let again = run_on_files(&env, settings()).await;
    let names = |image: &MetadataImage| {
        image.topics().map(|topic| topic.name.to_string()).collect::<Vec<_>>()
    };
    assert_eq!(names(&again.metadata.image()), names(&image));
    assert!(image.topics().all(|topic| again.registry.get(&topic.name, 0).is_ok()));
}

#[tokio::test(start_paused = true)]
async fn a_directory_that_fails_leaves_the_others_and_comes_back_with_its_epoch_raised() {
    let disk = SimDisk::new(3);
    let env = Env { disk: Arc::new(disk.clone()), ..env() };
    let run = run_on_files(&env, settings()).await;
    run.create("first").await;
    run.create("second").await;
    disk.set_failing_under(Some(Path::new("/more")));
    let (id, engine) = run.registry.directories().expendable().next().unwrap();
    run.create("third").await;
    // Its turn, and the first that meets the failure.
    run.create("fourth").await;
    engine.failed().await;
    run.registry.take_offline(id);
    run.metadata.directory_failed(id).await;
    let leader = |run: &Run, name: &str| run.metadata.image().topic(name).unwrap().partitions[0];
    for (name, led) in [("first", true), ("second", false), ("third", true), ("fourth", false)] {
        assert_eq!(leader(&run, name).is_led(), led, "{name}");
        let found = run.registry.get(name, 0);
        assert_eq!(found.err(), (!led).then_some(NotOpen::Offline), "{name}");
    }
    run.create("fifth").await;
    assert!(run.registry.get("fifth", 0).is_ok());
    let third = run.metadata.image().topic("second").unwrap().id;
    assert_eq!(run.metadata.delete_topics(vec![third]).await, [Ok(())]);
    disk.clear_faults();
    disk.crash(CrashMode::ProcessKill);
    let env = Env { disk: Arc::new(disk.restart()), ..env };
    let again = run_on_files(&env, settings()).await;
    assert_eq!((leader(&again, "fourth").is_led(), again.leader_epoch("fourth")), (true, 2));
    let places = again.registry.directories().places().unwrap();
    assert!(!places.contains_key("second-0"), "deleted when its directory is back");
}
