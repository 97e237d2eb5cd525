//! A node over two directories of one simulated disk, of which the second fails, is full and comes back.
//!
//! What was acknowledged is there whenever its directory is; partitions of the first directory never notice; nothing of a
//! directory that is away is made anew elsewhere.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use ottla::config::ServerConfig;
use ottla::env::{CrashMode, Env, Offload, Random, SimClock, SimDisk};
use ottla::log::Engine;
use ottla::log::local::{EngineSettings, LocalEngine};
use ottla::metadata::{self, Directory, Endpoint, Metadata, NewTopic, Parts, Settings};
use ottla::partition::{Directories, NotOpen, Registry};
use ottla::records::BatchBuilder;
use tokio::task::JoinHandle;
use uuid::Uuid;

use crate::seeds::run_seeds;

const ROOT: &str = "/first";
const OTHER: &str = "/second";
/// Where the clock of a simulation stands.
const NOW_MS: i64 = 1_000_000;
const PRODUCE_VERSION: i16 = 12;

struct Node {
    metadata: Metadata,
    registry: Arc<Registry>,
    other: Option<(Uuid, Arc<dyn Engine>)>,
}

async fn start(disk: &SimDisk) -> Node {
    let env = Env {
        clock: Arc::new(SimClock::new(NOW_MS)),
        random: Arc::new(Random::seeded(disk.operations())),
        disk: Arc::new(disk.clone()),
        offload: Offload::inline(),
    };
    let listener = Endpoint { name: "PLAINTEXT".into(), host: "localhost".into(), port: 9_092 };
    let settings = Settings::new(&ServerConfig::default(), vec![listener]);
    let open = |path: &str| LocalEngine::open(&env, Path::new(path), EngineSettings::default());
    let first: Arc<dyn Engine> = open(ROOT).unwrap();
    let directory = Directory::open(&env, Path::new(ROOT), &settings).unwrap();
    let mut data = vec![(directory.directory_id(), first.clone())];
    let mut unusable = Vec::new();
    let other = match open(OTHER) {
        Ok(engine) => {
            let id = directory.adopt(Path::new(OTHER), &settings).unwrap();
            Some((id, engine as Arc<dyn Engine>))
        }
        Err(_) => None,
    };
    match &other {
        Some(other) => data.push(other.clone()),
        None => unusable.push(OTHER.to_owned()),
    }
    let directories = Directories::new(first, data, unusable);
    let registry = Arc::new(Registry::new(env.clone(), directories, 2));
    let parts = Parts { env, registry: registry.clone(), directory: Some(directory) };
    let metadata = metadata::start(parts, settings).await.unwrap();
    Node { metadata, registry, other }
}

struct World {
    disk: SimDisk,
    random: fastrand::Rng,
    node: Node,
    /// Acknowledged records of each partition, and its directory.
    acked: BTreeMap<(String, i32), (i64, Uuid)>,
    away: bool,
    full: bool,
    /// The metadata is being told of the failure.
    telling: Option<JoinHandle<()>>,
}

impl World {
    async fn new(seed: u64) -> Self {
        let disk = SimDisk::new(seed);
        let node = start(&disk).await;
        let random = fastrand::Rng::with_seed(seed);
        Self { disk, random, node, acked: BTreeMap::new(), away: false, full: false, telling: None }
    }

    async fn step(&mut self) {
        match self.random.u8(..100) {
            0..10 => self.create().await,
            10..80 => self.produce().await,
            80..84 => self.fail().await,
            84..89 => {
                let capacity = self.disk.used_bytes() + self.random.u64(..2_000);
                self.full = !self.full;
                self.disk.set_capacity_bytes(self.full.then_some(capacity));
                self.tell_failure().await;
            }
            89..96 => self.restart(false).await,
            _ => self.restart(true).await,
        }
        self.check();
    }

    async fn create(&mut self) {
        let name = format!("t{}", self.acked.len());
        let topic = NewTopic { num_partitions: 3, ..NewTopic::with_defaults(&name) };
        let _refused = self.node.metadata.create_topics(vec![topic], false).await;
        self.tell_failure().await;
        self.learn();
    }

    /// Notes the partitions there are; records of a topic stay true although its logs found no room.
    fn learn(&mut self) {
        let image = self.node.metadata.image();
        for topic in image.topics() {
            for (number, partition) in (0..).zip(&topic.partitions) {
                let key = (topic.name.to_string(), number);
                let known = self.acked.entry(key).or_insert((0, partition.directory));
                assert_eq!(known.1, partition.directory, "{} moved", topic.name);
            }
        }
    }

    async fn produce(&mut self) {
        let Some(chosen) = self.random.choice(self.acked.keys().cloned().collect::<Vec<_>>())
        else {
            return;
        };
        let Ok(partition) = self.node.registry.get(&chosen.0, chosen.1) else {
            return;
        };
        let mut batch = BatchBuilder::new(0, -1);
        batch.push(NOW_MS, None, Some(&[7; 200]));
        match partition.append(&batch.build(), PRODUCE_VERSION, None) {
            Ok(appended) if partition.committed(appended.end_offset).await.is_ok() => {
                self.acked.get_mut(&chosen).unwrap().0 = appended.end_offset;
            }
            Ok(_) => {}
            Err(error) => assert!(self.full || self.away, "{chosen:?}: {error}"),
        }
        self.tell_failure().await;
    }

    async fn fail(&mut self) {
        self.away = true;
        self.disk.set_failing_under(Some(Path::new(OTHER)));
        self.tell_failure().await;
    }

    /// What the broker does when a directory fails, once something has met the failure.
    async fn tell_failure(&mut self) {
        if let Some((id, engine)) = self.node.other.take_if(|(_, engine)| engine.is_offline()) {
            engine.failed().await;
            self.node.registry.take_offline(id);
            let metadata = self.node.metadata.clone();
            self.telling = Some(tokio::spawn(async move { metadata.directory_failed(id).await }));
        }
        if !self.full
            && let Some(telling) = self.telling.take()
        {
            telling.await.unwrap();
        }
    }

    async fn restart(&mut self, mended: bool) {
        self.full = false;
        self.telling = None;
        self.disk.clear_faults();
        self.away &= !mended;
        self.disk.crash(CrashMode::ProcessKill);
        self.disk = self.disk.restart();
        self.disk.set_failing_under(self.away.then_some(Path::new(OTHER)));
        self.node = start(&self.disk).await;
        self.learn();
    }

    fn check(&self) {
        let image = self.node.metadata.image();
        let online = self.node.registry.directories().ids();
        for ((topic, number), (acked, directory)) in &self.acked {
            match self.node.registry.get(topic, *number) {
                Ok(partition) => {
                    assert!(partition.bounds().high_watermark >= *acked, "{topic}-{number}");
                }
                Err(NotOpen::Offline) => {
                    assert!(*directory != online[0] && self.away, "{topic}-{number} is offline");
                    let led = image.topic(topic).unwrap().partitions[*number as usize].is_led();
                    assert!(!led || self.telling.is_some(), "{topic}-{number} has a leader");
                }
                // Its log found no room when the topic was made.
                Err(NotOpen::Unknown) => assert_eq!(*acked, 0, "{topic}-{number} is gone"),
            }
        }
    }
}

async fn run(seed: u64) {
    let mut world = World::new(seed).await;
    for _ in 0..100 {
        world.step().await;
    }
    world.restart(true).await;
    world.check();
    for (topic, number) in world.acked.keys() {
        assert!(world.node.registry.get(topic, *number).is_ok(), "{topic}-{number}");
    }
}

#[test]
fn a_directory_that_fails_takes_nothing_of_the_other_along() {
    run_seeds("a_directory_that_fails_takes_nothing_of_the_other_along", |seed| {
        let mut runtime = tokio::runtime::Builder::new_current_thread();
        runtime.enable_time().start_paused(true).build().unwrap().block_on(run(seed));
    });
}
