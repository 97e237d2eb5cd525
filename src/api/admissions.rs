//! Which partitions may take the transactional batches of a Produce request (KIP-890; Kafka:
//! `ReplicaManager.handleProduceAppend`).
//!
//! Before anything of the request is written, its partitions in which the producer has no transaction
//! open yet are named to the transaction's coordinator, all at once.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use super::Context;
use super::produce::find;
use super::transactions::{Support, admit};
use crate::coordinator::transaction::{Producer, TopicPartition};
use crate::partition::{Guard, Partition, ProducerBatch, Refusal};
use crate::records::BatchHeader;
use crate::wire::ErrorCode;
use crate::wire::messages::produce::ProduceRequest;

/// First version that knows TRANSACTION_ABORTABLE.
const ABORTABLE_VERSION: i16 = 11;
/// First version whose batches add their partitions to the transaction.
const IMPLICIT_VERSION: i16 = 12;

/// The request holds batches of several transactional producers.
pub(super) struct SeveralProducers;

/// What was found out of a request's partitions.
#[derive(Default)]
pub(super) struct Admissions {
    /// By name and number; what is missing needs no guard.
    asked: HashMap<(Arc<str>, i32), Result<Guard, Refusal>>,
}

impl Admissions {
    /// Asks for everything of the request that has to be asked for.
    pub(super) async fn ask(
        context: Context<'_>,
        request: &ProduceRequest,
        version: i16,
    ) -> Result<Self, SeveralProducers> {
        let Some(id) = &request.transactional_id else { return Ok(Self::default()) };
        let support = Support::of(version, ABORTABLE_VERSION, IMPLICIT_VERSION);
        let mut producer = None;
        let mut found = Vec::new();
        for topic in &request.topic_data {
            for data in &topic.partition_data {
                let header = data.records.as_deref().map(BatchHeader::parse);
                let Some(Ok(header)) = header else { continue };
                if !header.is_transactional() || !header.has_producer_id() {
                    continue;
                }
                let own = Producer { id: header.producer_id, epoch: header.producer_epoch };
                if *producer.get_or_insert(own) != own {
                    return Err(SeveralProducers);
                }
                if let Ok(partition) = find(context, topic, data.index, version) {
                    found.push((partition, header));
                }
            }
        }
        let mut admissions = Self::default();
        if let Some(producer) = producer {
            let begun = admissions.begin(found, support);
            if !begun.is_empty() {
                let unknown = admit(context, id, producer, begun, support).await;
                admissions.refuse(unknown, support);
            }
        }
        Ok(admissions)
    }

    /// Whether the batch for a partition may be written, and by which guard.
    pub(super) fn of(&self, partition: &Partition) -> Result<Option<Guard>, Refusal> {
        if self.asked.is_empty() {
            return Ok(None);
        }
        let id = partition.id();
        self.asked.get(&(id.topic.clone(), id.partition)).cloned().transpose()
    }

    /// Gets the guards; the partitions to ask about.
    fn begin(
        &mut self,
        found: Vec<(Arc<Partition>, BatchHeader)>,
        support: Support,
    ) -> BTreeSet<TopicPartition> {
        let mut begun = BTreeSet::new();
        for (partition, header) in found {
            if support != Support::Implicit
                && !partition.config().transaction_partition_verification
            {
                continue;
            }
            let batch = ProducerBatch {
                producer_id: header.producer_id,
                producer_epoch: header.producer_epoch,
                base_sequence: header.base_sequence,
            };
            let (topic, number) = (partition.id().topic.clone(), partition.id().partition);
            let guard = match partition.begin_verification(&batch, support == Support::Implicit) {
                Ok(None) => continue,
                Ok(Some(guard)) => {
                    begun.insert(TopicPartition { topic: topic.clone(), partition: number });
                    Ok(guard)
                }
                Err(error) => Err(error.error_code().into()),
            };
            self.asked.insert((topic, number), guard);
        }
        begun
    }

    fn refuse(&mut self, unknown: BTreeMap<TopicPartition, ErrorCode>, support: Support) {
        for (TopicPartition { topic, partition }, error) in unknown {
            self.asked.insert((topic, partition), Err(told(error, support)));
        }
    }
}

/// What cannot be found out for the moment is told as an error that every client tries again.
fn told(error: ErrorCode, support: Support) -> Refusal {
    let (error, message) = match error {
        ErrorCode::InvalidTxnState => {
            (error, Some("Partition was not added to the transaction".to_owned()))
        }
        ErrorCode::ConcurrentTransactions if support == Support::Implicit => (error, None),
        ErrorCode::CoordinatorLoadInProgress
        | ErrorCode::CoordinatorNotAvailable
        | ErrorCode::NotCoordinator
        | ErrorCode::ConcurrentTransactions => {
            let message = format!(
                "Unable to verify the partition has been added to the transaction. Underlying \
                 error: {}",
                error.name()
            );
            (ErrorCode::NotEnoughReplicas, Some(message))
        }
        error => (error, None),
    };
    Refusal { message, ..error.into() }
}
