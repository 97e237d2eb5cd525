//! Offsets of transactions in a shard: the partition decides whether they may be written.

use std::convert::Infallible;
use std::time::Duration;

use uuid::Uuid;

use super::*;
use crate::config::TopicConfig;
use crate::coordinator::group::Groups;
use crate::env::{Env, Offload, SimClock, SimDisk};
use crate::log::local::{EngineSettings, LocalEngine};
use crate::log::{BoxFuture, Engine, LogId, MemoryEngine};
use crate::metadata::{self, Endpoint, Parts, Settings};
use crate::partition::{
    Directories, Guard, Isolation, Partition, ProducerBatch, Registry, TransactionMarker,
};
use crate::records::{BatchHeader, Batches};
use crate::shard::{CallError, Host, Loaded, Shard};

struct Fresh;

impl Host<GroupMachine> for Fresh {
    fn load(&self) -> BoxFuture<'_, Loaded<GroupMachine>> {
        Box::pin(async { Ok((machine(settings(), 1_048_588, 1), 0)) })
    }

    fn run(&self, effect: Infallible) -> BoxFuture<'_, ()> {
        match effect {}
    }
}

fn env() -> Env {
    Env {
        clock: Arc::new(SimClock::new(NOW_MS)),
        random: Arc::new(Random::seeded(1)),
        disk: Arc::new(SimDisk::new(1)),
        offload: Offload::inline(),
    }
}

struct Rig {
    partition: Arc<Partition>,
    shard: Shard<GroupMachine>,
}

impl Rig {
    async fn new(engine: &MemoryEngine) -> Self {
        Self::with(env(), engine).await
    }

    async fn with(env: Env, engine: &dyn Engine) -> Self {
        let (topic, topic_id) = ("__consumer_offsets".into(), Uuid::from_u128(3));
        let id = LogId { topic, topic_id, partition: 0 };
        let config = Arc::new(TopicConfig::default());
        let partition = Partition::open(&env, engine, id, 0, config).await.unwrap();
        let shard = Shard::start(env, partition.clone(), Arc::new(Fresh)).await.unwrap();
        Self { partition, shard }
    }

    async fn call(&self, command: Command) -> Result<Reply, ErrorCode> {
        let image = Arc::new(MetadataImage::empty("cluster".into(), 1));
        let answer = self.shard.call(Asked { command, image }).await;
        answer.map_err(|error| match error {
            CallError::Refused(error) => error,
            other => panic!("{other}"),
        })
    }

    /// The coordinator of producer 4 is asked.
    fn asks(&self, producer_epoch: i16) -> Option<Guard> {
        let batch = ProducerBatch { producer_id: 4, producer_epoch, base_sequence: -1 };
        self.partition.begin_verification(&batch, true).unwrap()
    }

    /// Producer 4 commits an offset of partition 0.
    async fn commits(&self, epoch: i16, guard: Option<Guard>, offset: i64) -> ErrorCode {
        let mut request = transactional_request("", -1, &[(0, offset)]);
        request.producer_epoch = epoch;
        match self.call(Command::TransactionalCommit(request, guard)).await {
            Ok(reply) => {
                assert_eq!(reply, transactional_answer(&[(0, ErrorCode::None)]));
                ErrorCode::None
            }
            Err(error) => error,
        }
    }

    async fn ends(&self, producer_epoch: i16, coordinator_epoch: i32) -> ErrorCode {
        let marker = TransactionMarker {
            producer_id: 4,
            producer_epoch,
            coordinator_epoch,
            committed: true,
            transaction_version: 2,
        };
        let ended = self.call(Command::EndTransaction(marker)).await;
        ended.map_or_else(|error| error, |_| ErrorCode::None)
    }

    /// The offset of partition 0; None while a transaction is to decide on it.
    async fn offset(&self) -> Option<i64> {
        let Ok(Reply::Fetch(answer)) = self.call(fetches(Some(&[0]), true)).await else { panic!() };
        let partition = &answer.topics[0].partitions[0];
        (partition.error_code == 0).then_some(partition.committed_offset)
    }

    async fn headers(&self) -> Vec<BatchHeader> {
        let read = self.partition.read(0, usize::MAX, Isolation::LogEnd).await.unwrap();
        let bytes = read.chunk.into_bytes().unwrap();
        Batches::new(&bytes).map(|batch| batch.unwrap().0).collect()
    }

    fn last_stable_offset(&self) -> i64 {
        self.partition.bounds().last_stable_offset
    }
}

#[tokio::test]
async fn offsets_of_a_transaction_are_written_only_by_who_has_asked() {
    let engine = MemoryEngine::default();
    let rig = Rig::new(&engine).await;
    assert_eq!(rig.commits(0, None, 7).await, ErrorCode::InvalidTxnState);
    assert_eq!(rig.partition.bounds().end_offset, 0);
    assert_eq!(rig.commits(0, rig.asks(0), 7).await, ErrorCode::None);
    assert_eq!(rig.commits(0, rig.asks(0), 8).await, ErrorCode::None);
    assert_eq!((rig.offset().await, rig.last_stable_offset()), (None, 0));
    let header = rig.headers().await[1];
    assert!(header.is_transactional() && !header.is_control());
    assert_eq!((header.producer_id, header.producer_epoch, header.base_sequence), (4, 0, 0));

    let again = Rig::new(&engine.restart()).await;
    assert_eq!((again.offset().await, again.last_stable_offset()), (None, 0));
    assert_eq!(again.ends(1, 3).await, ErrorCode::None);
    assert_eq!((again.offset().await, again.last_stable_offset()), (Some(8), 3));
    let header = again.headers().await[2];
    assert!(header.is_transactional() && header.is_control());
    assert_eq!((header.producer_id, header.producer_epoch, header.base_sequence), (4, 1, -1));
}

#[tokio::test]
async fn hanging_transaction_by_a_late_commit_of_offsets() {
    let rig = Rig::new(&MemoryEngine::default()).await;
    let guard = rig.asks(0);
    assert_eq!(rig.commits(0, guard, 7).await, ErrorCode::None);
    assert_eq!(rig.ends(1, 3).await, ErrorCode::None);
    for late in [None, guard] {
        assert_eq!(rig.commits(0, late, 8).await, ErrorCode::InvalidProducerEpoch);
        assert_eq!(rig.commits(1, late, 8).await, ErrorCode::InvalidTxnState);
    }
    assert_eq!((rig.offset().await, rig.last_stable_offset()), (Some(7), 2));
}

#[tokio::test]
async fn markers_of_zombies_are_refused_and_one_sent_again_is_not() {
    let rig = Rig::new(&MemoryEngine::default()).await;
    // The producer has nothing here.
    assert_eq!(rig.ends(1, 3).await, ErrorCode::None);
    assert_eq!(rig.ends(1, 3).await, ErrorCode::None);
    assert_eq!(rig.ends(0, 3).await, ErrorCode::InvalidProducerEpoch);
    assert_eq!(rig.ends(2, 2).await, ErrorCode::TransactionCoordinatorFenced);
    assert_eq!(rig.commits(1, rig.asks(1), 7).await, ErrorCode::None);
    // It would end the transaction after the one that it belongs to.
    assert_eq!(rig.ends(1, 3).await, ErrorCode::InvalidProducerEpoch);
    assert_eq!(rig.offset().await, None);
    assert_eq!(rig.ends(2, 3).await, ErrorCode::None);
    assert_eq!(rig.offset().await, Some(7));
}

/// A coordinator whose topic is to have three partitions.
async fn groups() -> Groups {
    let (env, engine) = (env(), Arc::new(MemoryEngine::default()));
    let config = ServerConfig { offsets_topic_num_partitions: 3, ..ServerConfig::default() };
    let listener = Endpoint { name: "PLAINTEXT".into(), host: "localhost".into(), port: 9_092 };
    let settings = Settings::new(&config, vec![listener]);
    let directories = Directories::one(env.random.uuid(), engine);
    let registry = Arc::new(Registry::new(env.clone(), directories, 2));
    let parts = Parts { env: env.clone(), registry: registry.clone(), directory: None };
    let metadata = metadata::start(parts, settings).await.unwrap();
    Groups::new(&env, &Arc::new(config), &metadata, &registry)
}

#[tokio::test(start_paused = true)]
async fn a_full_disk_refuses_commits_until_there_is_room() {
    let disk = SimDisk::new(1);
    let env = Env { disk: Arc::new(disk.clone()), ..env() };
    let engine = LocalEngine::open(&env, "/data".as_ref(), EngineSettings::default()).unwrap();
    let rig = Rig::with(env, &*engine).await;
    let asked = async |command: Command| loop {
        let image = Arc::new(MetadataImage::empty("cluster".into(), 1));
        match rig.shard.call(Asked { command: command.clone(), image }).await {
            Err(CallError::Loading) => tokio::time::sleep(Duration::from_millis(1)).await,
            answer => return answer,
        }
    };
    let mut offset = 0;
    for spare_bytes in (0..400).step_by(19) {
        disk.set_capacity_bytes(Some(disk.used_bytes() + spare_bytes));
        let refused = loop {
            match asked(commits("", -1, offset + 1)).await {
                Ok(reply) => assert_eq!(reply, committed(ErrorCode::None)),
                Err(error) => break error,
            }
            offset += 1;
        };
        assert_eq!(refused, CallError::Lost, "which is NOT_COORDINATOR to a client");
        assert_eq!(asked(commits("", -1, offset + 1)).await, Err(CallError::Lost));
        disk.set_capacity_bytes(None);
        let found = asked(fetches(Some(&[0]), true)).await;
        let Ok(Reply::Fetch(found)) = found else { panic!("{found:?}") };
        let found = found.topics[0].partitions[0].committed_offset;
        assert_eq!(found, if offset > 0 { offset } else { -1 }, "what was refused is not there");
        offset += 1;
        assert_eq!(asked(commits("", -1, offset)).await, Ok(committed(ErrorCode::None)));
        assert_eq!(rig.offset().await, Some(offset));
    }
}

#[tokio::test]
async fn transactions_end_in_the_partition_of_their_group() {
    let groups = groups().await;
    let Command::EndTransaction(marker) = ends(4, true) else { unreachable!() };
    // "g" is 103 to Java.
    assert_eq!(groups.partition_of(GROUP), 1);
    assert!(groups.offsets_partition(1).is_none());
    assert_eq!(groups.end_transaction(1, marker).await, Err(ErrorCode::NotCoordinator));
    groups.ensure_topic().await.unwrap();
    assert_eq!(groups.partition_of(GROUP), 1);

    let partition = groups.offsets_partition(1).unwrap();
    let commit = |guard| {
        let request = transactional_request("", -1, &[(0, 7)]);
        groups.call(GROUP, Command::TransactionalCommit(request, guard))
    };
    assert_eq!(commit(None).await, Err(ErrorCode::InvalidTxnState));
    let batch = ProducerBatch { producer_id: 4, producer_epoch: 0, base_sequence: -1 };
    let guard = partition.begin_verification(&batch, true).unwrap();
    assert_eq!(commit(guard).await, Ok(transactional_answer(&[(0, ErrorCode::None)])));
    assert_eq!(groups.end_transaction(1, marker).await, Ok(()));
    assert_eq!(partition.bounds().last_stable_offset, 2);
    let fetched = fetched(&[(0, 7, ErrorCode::None)]);
    assert_eq!(groups.call(GROUP, fetches(Some(&[0]), true)).await, Ok(fetched));

    // One that has nothing there is written, too.
    assert_eq!(groups.end_transaction(2, marker).await, Ok(()));
    assert_eq!(groups.offsets_partition(2).unwrap().bounds().end_offset, 1);
    for absent in [-1, 3] {
        assert_eq!(groups.end_transaction(absent, marker).await, Err(ErrorCode::NotCoordinator));
    }
    let nobody = TransactionMarker { producer_id: -1, ..marker };
    assert_eq!(groups.end_transaction(1, nobody).await, Err(ErrorCode::UnknownServerError));
    let old = TransactionMarker { coordinator_epoch: 2, ..marker };
    let fenced = Err(ErrorCode::TransactionCoordinatorFenced);
    assert_eq!(groups.end_transaction(1, old).await, fenced);
}
