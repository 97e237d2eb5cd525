//! Compaction on a disk that crashes at every single operation: the table that a log of keys and
//! values stands for is never another than that of what was appended.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use ottla::config::{BrokerLayers, CleanerConfig, ConfigMap, TopicConfig};
use ottla::env::{CrashMode, Env, Fault, Offload, Random, SimClock, SimDisk};
use ottla::log::local::{EngineSettings, LocalEngine};
use ottla::partition::{
    Cleaner, Directories, Isolation, Partition, PartitionToOpen, Registry, TopicToOpen,
};
use ottla::records::{BatchBuilder, Batches, Compression, Records};
use uuid::Uuid;

use crate::seeds::{message, run_seeds};
use crate::world::block_on;

const ROUNDS: usize = 3;
const BACKOFF_MS: u64 = 50;

/// Key and value, none of a tombstone, by offset.
type Table = BTreeMap<i64, (u8, Option<u8>)>;

struct Running {
    registry: Arc<Registry>,
    partition: Arc<Partition>,
    _cleaner: Cleaner,
}

struct World {
    disk: SimDisk,
    clock: Arc<SimClock>,
    random: fastrand::Rng,
    /// Everything accepted.
    accepted: Table,
    /// What may or may not be in the log.
    in_doubt: Table,
    durable_end: i64,
    running: Option<Running>,
    /// Most records that a look has not found any more.
    gone: usize,
}

fn end_of(table: &Table) -> i64 {
    table.last_key_value().map_or(0, |(offset, _)| offset + 1)
}

/// What somebody knows who has read everything below `end`.
fn latest(table: &Table, end: i64) -> BTreeMap<u8, u8> {
    let mut latest = BTreeMap::new();
    for (key, value) in table.range(..end).map(|(_, record)| *record) {
        match value {
            Some(value) => latest.insert(key, value),
            None => latest.remove(&key),
        };
    }
    latest
}

impl World {
    fn new(seed: u64) -> Self {
        Self {
            disk: SimDisk::new(seed),
            clock: Arc::new(SimClock::new(1_800_000_000_000)),
            random: fastrand::Rng::with_seed(seed),
            accepted: Table::new(),
            in_doubt: Table::new(),
            durable_end: 0,
            running: None,
            gone: 0,
        }
    }

    async fn try_start(&self) -> Result<Running, String> {
        let env = Env {
            clock: Arc::clone(&self.clock) as _,
            random: Arc::new(Random::seeded(self.disk.operations())),
            disk: Arc::new(self.disk.clone()),
            offload: Offload::inline(),
        };
        let settings = EngineSettings { open_files_max: 4, ..EngineSettings::default() };
        let engine = LocalEngine::open(&env, Path::new("/data"), settings);
        let engine = engine.map_err(|error| error.to_string())?;
        let directory = Uuid::from_u128(1);
        let directories = Directories::one(directory, engine);
        let registry = Arc::new(Registry::new(env.clone(), directories, 1));
        let config = TopicConfig {
            compact: true,
            delete: false,
            segment_bytes: 500,
            index_interval_bytes: 100,
            min_cleanable_dirty_ratio: 0.01,
            delete_retention_ms: 200,
            file_delete_delay_ms: 100,
            ..TopicConfig::default()
        };
        let topic = TopicToOpen {
            name: "table".into(),
            topic_id: Uuid::from_u128(7),
            partitions: vec![PartitionToOpen { number: 0, leader_epoch: 0, directory }],
            config: Arc::new(config),
        };
        registry.open_topic(&topic).await.map_err(|error| error.to_string())?;
        let partition = registry.get("table", 0).unwrap();
        let cleaner_config = CleanerConfig {
            backoff_ms: BACKOFF_MS,
            io_buffer_bytes: 1_000,
            // Room for few keys, so that it takes several rounds.
            dedupe_buffer_bytes: 24 * 12,
            ..CleanerConfig::read(&BrokerLayers::fixed(&ConfigMap::new()))
        };
        let cleaner = Cleaner::start(&env, &registry, Arc::new(move || cleaner_config));
        Ok(Running { registry, partition, _cleaner: cleaner })
    }

    /// Starts, again and again while the disk crashes, and checks what is there.
    async fn start(&mut self) {
        self.running = None;
        let mut lost_power = false;
        loop {
            if let Some(mode) = self.disk.crashed() {
                lost_power |= mode == CrashMode::PowerLoss;
                self.disk = self.disk.restart();
            }
            match self.try_start().await {
                Ok(running) => {
                    self.running = Some(running);
                    return self.recovered(lost_power).await;
                }
                Err(error) => {
                    assert!(self.disk.crashed().is_some(), "it does not start: {error}");
                }
            }
        }
    }

    async fn recovered(&mut self, lost_power: bool) {
        let end = self.running().partition.bounds().end_offset;
        let in_doubt = std::mem::take(&mut self.in_doubt);
        if end > end_of(&self.accepted) && end == end_of(&in_doubt) {
            self.accepted.extend(in_doubt);
        }
        let promised = if lost_power { self.durable_end } else { end_of(&self.accepted) };
        assert!(end >= promised && end <= end_of(&self.accepted), "{end}, {promised} promised");
        self.accepted.split_off(&end);
        if self.check().await {
            self.durable_end = if lost_power { end } else { self.durable_end };
        }
    }

    fn running(&self) -> &Running {
        self.running.as_ref().expect("it runs between steps")
    }

    /// Compares what the log has with what was accepted; false if the disk crashed meanwhile.
    async fn check(&mut self) -> bool {
        let mut found = Table::new();
        let (mut next, end) = (0, end_of(&self.accepted));
        while next < end {
            let read = self.running().partition.read(next, 10_000, Isolation::LogEnd).await;
            let bytes = match read.map(|outcome| outcome.chunk.into_bytes()) {
                Ok(Ok(bytes)) => bytes,
                failed => {
                    assert!(self.disk.crashed().is_some(), "reading {next}: {failed:?}");
                    return false;
                }
            };
            if bytes.is_empty() {
                break;
            }
            for (header, batch) in Batches::new(&bytes).map(Result::unwrap) {
                assert!(header.verify_crc(batch), "a damaged batch at {}", header.base_offset);
                assert!(header.last_offset() >= next, "offsets grow");
                let mut records = Records::new(&header, batch).unwrap();
                while let Some(record) = records.next().unwrap() {
                    let offset = header.base_offset + i64::from(record.offset_delta);
                    let value = record.value.map(|value| value[0]);
                    found.insert(offset, (record.key.unwrap()[0], value));
                }
                next = header.last_offset() + 1;
            }
        }
        for (offset, record) in &found {
            assert_eq!(self.accepted.get(offset), Some(record), "offset {offset}");
        }
        assert_eq!(latest(&found, end), latest(&self.accepted, end), "of {found:?}");
        self.gone = self.gone.max(self.accepted.len() - found.len());
        true
    }

    fn append(&mut self) -> bool {
        let mut builder = BatchBuilder::new(0, -1);
        if self.random.bool() {
            builder = builder.compressed(Compression::Lz4, None);
        }
        let mut batch = Table::new();
        for offset in (end_of(&self.accepted)..).take(self.random.usize(1..4)) {
            let value = (self.random.u8(0..4) > 0).then(|| self.random.u8(..));
            let record = (self.random.u8(0..12), value);
            let value = value.map(|value| [value; 30]);
            builder.push(1_800_000_000_000, Some(&[record.0]), value.as_ref().map(|it| &it[..]));
            batch.insert(offset, record);
        }
        let appended = self.running().partition.append(&builder.build(), 12, None);
        match appended {
            Ok(_) => self.accepted.extend(batch),
            Err(_) => self.in_doubt = batch,
        }
        self.in_doubt.is_empty()
    }

    /// Appends some, makes them durable and lets the cleaner work.
    async fn round(&mut self) -> bool {
        for _ in 0..self.random.usize(8..16) {
            if !self.append() {
                return false;
            }
        }
        if self.running().partition.flush().await.is_err() {
            return false;
        }
        self.durable_end = end_of(&self.accepted);
        for _ in 0..4 {
            self.clock.advance(60);
            tokio::time::sleep(Duration::from_millis(BACKOFF_MS + 10)).await;
        }
        self.check().await && self.disk.crashed().is_none()
    }

    async fn run(&mut self) {
        self.start().await;
        for round in 0..ROUNDS {
            if !self.round().await || self.disk.crashed().is_some() {
                let crashed = self.disk.crashed();
                assert!(crashed.is_some(), "round {round} fails on a sound disk");
                self.start().await;
            }
        }
        let _ = &self.running().registry;
        self.disk.crash(CrashMode::PowerLoss);
        self.start().await;
    }
}

/// Runs with `fault` at an operation; how many operations and records that went there were.
fn run(seed: u64, planned: Option<(u64, Fault)>) -> (u64, usize) {
    block_on(async {
        let mut world = World::new(seed);
        if let Some((operation, fault)) = planned {
            world.disk.fault_at(operation, fault);
        }
        world.run().await;
        (world.disk.operations(), world.gone)
    })
}

#[test]
fn a_crash_at_every_operation_of_a_compacted_log() {
    let (operations, gone) = run(0, None);
    assert!(gone > 20, "only {gone} records went: the run is too short to mean anything");
    let mut failures = Vec::new();
    for mode in [CrashMode::ProcessKill, CrashMode::PowerLoss] {
        for operation in 0..operations {
            let fault = Fault::Crash(mode);
            let outcome = std::panic::catch_unwind(|| run(0, Some((operation, fault))));
            if let Err(panic) = outcome {
                failures.push(format!("{mode:?} at operation {operation}: {}", message(&*panic)));
            }
        }
    }
    assert!(failures.is_empty(), "{} failures:\n{}", failures.len(), failures.join("\n"));
}

#[test]
fn compacted_logs_of_every_seed() {
    run_seeds("compacted_logs_of_every_seed", |seed| {
        let (operations, _) = run(seed, None);
        let mut random = fastrand::Rng::with_seed(seed);
        for _ in 0..6 {
            let mode = [CrashMode::ProcessKill, CrashMode::PowerLoss][random.usize(0..2)];
            run(seed, Some((random.u64(0..operations), Fault::Crash(mode))));
        }
    });
}
