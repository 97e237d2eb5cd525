//! The markers that end a transaction in its partitions, after the end is in the log.
//!
//! For each end that is not complete one task writes them and then tells the machine. Once begun it
//! goes on until it has, also while the machine is replayed: two tasks for one end could mark the
//! transaction after it. A marker that stands already is written again after a restart, which
//! changes nothing: the next transaction begins when the end is complete.

use std::collections::HashSet;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::SetOnce;

use super::command::Command;
use super::machine::{ProducerIds, TransactionMachine};
use super::state::{Producer, TopicPartition};
use crate::config::TransactionConfig;
use crate::coordinator::group::{Groups, OFFSETS_TOPIC};
use crate::log::BoxFuture;
use crate::partition::{NotCommitted, NotOpen, Partition, Registry, TransactionMarker};
use crate::shard::{CallError, Host, Loaded, Shard};
use crate::wire::ErrorCode;

/// First and longest pause before a marker that was not written is tried again.
const PAUSE_MS: (u64, u64) = (10, 1_000);

/// The markers of one end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Markers {
    /// The transactional id.
    pub(super) transactional_id: Arc<str>,
    /// Where the record of the end stands.
    pub(super) offset: i64,
    /// The producer, with the epoch that the markers have.
    pub(super) producer: Producer,
    /// Commit or abort.
    pub(super) committed: bool,
    /// The `transaction.version` by whose rules it ends.
    pub(super) transaction_version: i16,
    /// Where to write them.
    pub(super) partitions: Vec<TopicPartition>,
}

/// Ends by their transactional ids and the places of their records.
type Ending = HashSet<(Arc<str>, i64)>;

/// What a machine of transactions needs of the broker.
#[derive(Clone)]
pub(super) struct TransactionHost {
    pub(super) settings: TransactionConfig,
    /// Level of `transaction.version`.
    pub(super) version: i16,
    pub(super) ids: Arc<dyn ProducerIds>,
    pub(super) groups: Arc<Groups>,
    pub(super) registry: Arc<Registry>,
    pub(super) partition: Arc<Partition>,
    /// The shard that this is the host of.
    pub(super) shard: Arc<SetOnce<Shard<TransactionMachine>>>,
    /// Ends whose markers are being written.
    pub(super) ending: Arc<Mutex<Ending>>,
    /// The coordinator has stopped: what is not written is after the next start.
    pub(super) stopped: Arc<AtomicBool>,
}

impl Host<TransactionMachine> for TransactionHost {
    fn load(&self) -> BoxFuture<'_, Loaded<TransactionMachine>> {
        Box::pin(async {
            let max_batch_bytes = self.partition.config().max_message_bytes as usize;
            let Self { settings, version, ids, .. } = self;
            let machine =
                TransactionMachine::new(*settings, *version, ids.clone(), max_batch_bytes);
            Ok((machine, self.partition.bounds().log_start_offset))
        })
    }

    fn run(&self, markers: Markers) -> BoxFuture<'_, ()> {
        Box::pin(async {
            let key = (markers.transactional_id.clone(), markers.offset);
            let is_new = self.lock().insert(key);
            if is_new {
                tokio::spawn(self.clone().end(markers));
            }
        })
    }
}

impl TransactionHost {
    async fn end(self, markers: Markers) {
        for place in &markers.partitions {
            self.write(&markers, place).await;
        }
        let Markers { transactional_id, offset, .. } = markers;
        let shard = self.shard.wait().await;
        let mut pause = Pause::default();
        loop {
            let command = Command::Ended(transactional_id.to_string(), offset);
            match shard.call(command).await {
                Err(CallError::Loading | CallError::Lost) => pause.wait().await,
                _ => break,
            }
        }
        self.lock().remove(&(transactional_id, offset));
    }

    /// Writes one marker, for as long as that takes: without it, the partition's readers stand still.
    async fn write(&self, markers: &Markers, place: &TopicPartition) {
        let marker = TransactionMarker {
            producer_id: markers.producer.id,
            producer_epoch: markers.producer.epoch,
            coordinator_epoch: self.partition.leader_epoch(),
            committed: markers.committed,
            transaction_version: markers.transaction_version,
        };
        let TopicPartition { topic, partition } = place;
        let mut pause = Pause::default();
        loop {
            match write_marker(&self.registry, &self.groups, place, &marker).await {
                // The topic may have been deleted.
                Ok(()) | Err(ErrorCode::UnknownTopicOrPartition) => return,
                // Another end of this producer stands there: this one is of the past.
                Err(
                    error @ (ErrorCode::InvalidProducerEpoch
                    | ErrorCode::TransactionCoordinatorFenced),
                ) => {
                    let (topic, error) = (&**topic, error.name());
                    let id = &*markers.transactional_id;
                    tracing::warn!(
                        transactional_id = id,
                        topic,
                        partition,
                        error,
                        "marker refused"
                    );
                    return;
                }
                Err(_) if self.stopped.load(Ordering::Acquire) => return,
                Err(_) => pause.wait().await,
            }
        }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Ending> {
        self.ending.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Writes a marker into a partition, that of a coordinator through it, and waits until it is
/// committed.
pub async fn write_marker(
    registry: &Registry,
    groups: &Groups,
    place: &TopicPartition,
    marker: &TransactionMarker,
) -> Result<(), ErrorCode> {
    let partition = registry.get(&place.topic, place.partition);
    let partition = partition.map_err(NotOpen::error_code)?;
    if *place.topic == *OFFSETS_TOPIC {
        return groups.end_transaction(place.partition, *marker).await;
    }
    let appended = partition.append_marker(marker).map_err(|error| error.error_code())?;
    let committed = partition.committed(appended.end_offset).await;
    committed.map_err(NotCommitted::error_code)
}

/// Grows from wait to wait.
#[derive(Default)]
struct Pause(u64);

impl Pause {
    async fn wait(&mut self) {
        let (shortest_ms, longest_ms) = PAUSE_MS;
        self.0 = (self.0 * 2).clamp(shortest_ms, longest_ms);
        tokio::time::sleep(Duration::from_millis(self.0)).await;
    }
}
