//! Verification of transactions (KIP-890): the first batch of a transaction is written only by who
//! has asked the transaction's coordinator whether this partition belongs to it.
//!
//! [`Partition::begin_verification`] gives a [`Guard`] before the coordinator is asked, and the
//! append wants it back. The first batch and every marker put the guard out of force. So a batch
//! that arrives after its transaction's marker is refused, and so is one whose answer from the
//! coordinator is older than that marker: either would open a transaction that nobody ends.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::records::BatchHeader;

use super::producers::Producers;
use super::{Partition, ProducerError};

/// Says that a transaction's coordinator was asked (Kafka: `VerificationGuard`). No two are equal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Guard(u64);

impl Guard {
    fn new() -> Self {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        Self(NEXT.fetch_add(1, Ordering::Relaxed))
    }
}

/// What a batch says of its producer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ProducerBatch {
    /// The producer's id.
    pub producer_id: i64,
    /// Its epoch.
    pub producer_epoch: i16,
    /// Sequence of the first record; -1 of a coordinator's batch.
    pub base_sequence: i32,
}

/// What has been asked of a producer's transaction (Kafka: `VerificationStateEntry`).
#[derive(Debug)]
struct Verification {
    guard: Guard,
    began_ms: i64,
    epoch: i16,
    /// First sequence of the earliest batch that waits: written before it, a later one would make
    /// it out of order for good.
    lowest_sequence: i32,
    /// The client knows the transactions of KIP-890's second part, whose epoch rises with each.
    supports_epoch_bump: bool,
}

/// The verifications of one partition, by producer id.
#[derive(Debug, Default)]
pub(super) struct Verifications(BTreeMap<i64, Verification>);

impl Verifications {
    /// The guard of the verification that goes on, or of a new one.
    pub(super) fn begin(
        &mut self,
        batch: &ProducerBatch,
        supports_epoch_bump: bool,
        now_ms: i64,
    ) -> Guard {
        let verification = self.0.entry(batch.producer_id).or_insert_with(|| Verification {
            guard: Guard::new(),
            began_ms: now_ms,
            epoch: batch.producer_epoch,
            lowest_sequence: batch.base_sequence,
            supports_epoch_bump,
        });
        let same_epoch = batch.producer_epoch == verification.epoch;
        let is_earlier = same_epoch && batch.base_sequence < verification.lowest_sequence;
        if is_earlier || batch.producer_epoch > verification.epoch {
            verification.epoch = batch.producer_epoch;
            verification.lowest_sequence = batch.base_sequence;
        }
        verification.guard
    }

    /// Whether the guard is in force.
    pub(super) fn admit(&self, producer_id: i64, guard: Option<Guard>) -> bool {
        guard.is_some() && self.0.get(&producer_id).map(|it| it.guard) == guard
    }

    /// Whether a client's batch may be the next, as far as verifications say (the first two rules
    /// of Kafka's `ProducerAppendInfo.checkSequence`). `is_first` where no batch of the producer is
    /// remembered.
    pub(super) fn in_sequence(&self, header: &BatchHeader, is_first: bool) -> bool {
        self.0.get(&header.producer_id).is_none_or(|verification| {
            let must_be_zero = verification.supports_epoch_bump && is_first;
            let skips = must_be_zero && header.base_sequence != 0;
            !skips && header.base_sequence <= verification.lowest_sequence
        })
    }

    /// Notes a batch of the log. A marker of the epoch that is being verified, where epochs rise
    /// with each transaction, ends the one before: the guard stays in force.
    pub(super) fn written(&mut self, header: &BatchHeader) {
        if !header.is_transactional() {
            return;
        }
        let stays = |verification: &Verification| {
            verification.supports_epoch_bump
                && header.is_control()
                && header.producer_epoch == verification.epoch
        };
        if !self.0.get(&header.producer_id).is_some_and(stays) {
            self.0.remove(&header.producer_id);
        }
    }

    /// Forgets what began `expiration_ms` ago.
    pub(super) fn expire(&mut self, now_ms: i64, expiration_ms: i64) {
        self.0.retain(|_, it| now_ms.saturating_sub(it.began_ms) < expiration_ms);
    }
}

impl Producers {
    /// Whether the producer's transaction is open at this epoch (Kafka:
    /// `UnifiedLog.hasOngoingTransaction`).
    fn is_open(&self, producer_id: i64, epoch: i16) -> bool {
        self.by_id.get(&producer_id).is_some_and(|producer| {
            producer.transaction_first_offset.is_some() && producer.epoch == epoch
        })
    }

    /// As [`super::Partition::begin_verification`].
    pub(super) fn begin_verification(
        &mut self,
        batch: &ProducerBatch,
        supports_epoch_bump: bool,
        now_ms: i64,
    ) -> Result<Option<Guard>, ProducerError> {
        let known = self.by_id.get(&batch.producer_id);
        if known.is_some_and(|producer| batch.producer_epoch < producer.epoch) {
            return Err(ProducerError::InvalidEpoch);
        }
        let is_open = self.is_open(batch.producer_id, batch.producer_epoch);
        Ok((!is_open).then(|| self.verifications.begin(batch, supports_epoch_bump, now_ms)))
    }

    /// Whether epoch and transaction allow a client's or a coordinator's batch of a producer.
    pub(super) fn check_transaction(
        &self,
        header: &BatchHeader,
        guard: Option<Guard>,
        verifies: bool,
    ) -> Result<(), ProducerError> {
        let known = self.by_id.get(&header.producer_id);
        if known.is_some_and(|producer| header.producer_epoch < producer.epoch) {
            return Err(ProducerError::InvalidEpoch);
        }
        let is_admitted = !header.is_transactional()
            || !verifies
            || self.is_open(header.producer_id, header.producer_epoch)
            || self.verifications.admit(header.producer_id, guard);
        if is_admitted { Ok(()) } else { Err(ProducerError::OutsideTransaction) }
    }
}

impl Partition {
    /// Says that the coordinator is about to be asked whether this partition belongs to the
    /// producer's transaction; the guard has to come with the append. None where the transaction is
    /// open here already and nobody has to be asked (Kafka:
    /// `UnifiedLog.maybeStartTransactionVerification`).
    ///
    /// The only error is [`ProducerError::InvalidEpoch`].
    pub fn begin_verification(
        &self,
        batch: &ProducerBatch,
        supports_epoch_bump: bool,
    ) -> Result<Option<Guard>, ProducerError> {
        let now_ms = self.env.clock.now_ms();
        let mut producers = self.lock();
        producers.expire(now_ms, self.config().producer_id_expiration_ms);
        producers.begin_verification(batch, supports_epoch_bump, now_ms)
    }
}
