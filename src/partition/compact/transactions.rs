//! What the cleaner knows of transactions while it goes through a log, as Kafka's
//! `CleanedTransactionMetadata`.
//!
//! Records of aborted transactions go like superseded ones. A marker has to stay until nothing of
//! its transaction is left: so it may go when no batch of the producer was met since the marker
//! before it.

use std::collections::{BTreeMap, HashMap, HashSet};

use crate::log::AbortedTransaction;
use crate::partition::marker_commits;
use crate::records::{BatchHeader, Record};

/// Transactions that are open where the cleaner is.
#[derive(Debug, Default)]
pub(super) struct CleanedTransactions {
    /// Those that end in an abort, ahead, by first offset and producer.
    ahead: BTreeMap<(i64, i64), AbortedTransaction>,
    /// By producer: the transaction, and whether a batch of it was met.
    aborted: HashMap<i64, (AbortedTransaction, bool)>,
    /// Producers that are going to commit and of whom a batch was met.
    committed: HashSet<i64>,
}

/// What a control batch is to the cleaner.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct MarkerFate {
    /// Nothing of its transaction is left.
    pub(super) is_idle: bool,
    /// The transaction that it aborts, of which something was left before this cleaning: readers of
    /// this log have to hear of it.
    pub(super) aborts: Option<AbortedTransaction>,
}

impl CleanedTransactions {
    /// Notes transactions that end at or above where the cleaner is; some may be known.
    pub(super) fn note_aborted(&mut self, transactions: &[AbortedTransaction]) {
        let by_start = |it: &AbortedTransaction| ((it.first_offset, it.producer_id), *it);
        self.ahead.extend(transactions.iter().map(by_start));
    }

    /// A batch of records is met; true if its transaction was aborted.
    pub(super) fn on_batch(&mut self, header: &BatchHeader) -> bool {
        self.begin_up_to(header.last_offset());
        if !header.is_transactional() {
            return false;
        }
        let aborted = self.aborted.get_mut(&header.producer_id);
        let is_aborted = aborted.map(|(_, was_met)| *was_met = true).is_some();
        if !is_aborted {
            self.committed.insert(header.producer_id);
        }
        is_aborted
    }

    /// A control batch is met, of which this is the first record.
    pub(super) fn on_control(
        &mut self,
        header: &BatchHeader,
        record: Option<&Record<'_>>,
    ) -> MarkerFate {
        self.begin_up_to(header.last_offset());
        let stays = MarkerFate { is_idle: false, aborts: None };
        let goes = MarkerFate { is_idle: true, aborts: None };
        // One without a record was cleaned before.
        let Some(record) = record else { return goes };
        let kind = record.key.and_then(|key| key.get(2..)?.first_chunk().copied());
        match kind.and_then(|kind| marker_commits(i16::from_be_bytes(kind))) {
            Some(true) if self.committed.remove(&header.producer_id) => stays,
            Some(true) => goes,
            Some(false) => match self.aborted.remove(&header.producer_id) {
                Some((transaction, true)) => MarkerFate { aborts: Some(transaction), ..stays },
                _ => goes,
            },
            None => stays,
        }
    }

    fn begin_up_to(&mut self, offset: i64) {
        while let Some(first) = self.ahead.first_entry().filter(|it| it.key().0 <= offset) {
            let transaction = first.remove();
            self.aborted.entry(transaction.producer_id).or_insert((transaction, false));
        }
    }
}
