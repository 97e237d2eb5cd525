//! How far a partition can be read, and who is told when that changes.
//!
//! ```text
//!   log_start_offset   last_stable_offset   high_watermark   end_offset
//!         |                    |                  |              |
//!   ------[ read_committed ----][ undecided ------][ accepted ---]
//! ```
//!
//! The high watermark is the committed end: the end of the last batch whose commit is known. The
//! last stable offset is what it would be if the log ended at the high watermark: the first offset
//! of the oldest transaction still open there. So it passes a transaction's marker only once the
//! marker is committed. Both only grow. Readers load two atomics; the one lock is held for a few
//! instructions by whoever accepts or commits a batch or parks a fetch.

use std::collections::{BTreeMap, VecDeque};
use std::sync::atomic::{AtomicI64, AtomicU8, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;

use crate::log::CommitObserver;

use super::Isolation;
use super::waiters::Signal;

/// No transaction is open.
const NONE_OPEN: i64 = i64::MAX;

const SERVING: u8 = 0;
const STOPPED: u8 = 1;
const OFFLINE: u8 = 2;

/// How far a partition can be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bounds {
    /// First offset that exists.
    pub log_start_offset: i64,
    /// Everything below is committed.
    pub high_watermark: i64,
    /// Everything below is committed and belongs to no open transaction.
    pub last_stable_offset: i64,
    /// The offset that the next batch gets.
    pub end_offset: i64,
}

impl Bounds {
    /// The offset that a reader of this isolation does not pass.
    pub fn limit(&self, isolation: Isolation) -> i64 {
        match isolation {
            Isolation::ReadUncommitted => self.high_watermark,
            Isolation::ReadCommitted => self.last_stable_offset,
            Isolation::LogEnd => self.end_offset,
        }
    }
}

/// Why a batch will never be known to be committed. It may be in the log nevertheless.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotCommitted {
    /// The partition was deleted or closed.
    #[error("the partition no longer lives here; refresh the metadata")]
    Stopped,
    /// The log failed.
    #[error("the partition's log directory is offline; see the broker's log")]
    Offline,
}

/// A batch that is not yet known to be committed.
struct Offered {
    end_offset: i64,
    /// Oldest open transaction after it.
    undecided: i64,
    size_bytes: u64,
}

struct Parked {
    signal: Arc<Signal>,
    isolation: Isolation,
}

#[derive(Default)]
struct Pending {
    offered: VecDeque<Offered>,
    parked: BTreeMap<u64, Parked>,
    next_ticket: u64,
}

/// The published bounds of one partition; its log's [`CommitObserver`].
pub(super) struct Progress {
    high_watermark: AtomicI64,
    /// First offset of the oldest transaction open at the high watermark. Stored before the high
    /// watermark and loaded after it, so that no reader pairs a new high watermark with an old
    /// (larger) value.
    undecided: AtomicI64,
    state: AtomicU8,
    pending: Mutex<Pending>,
    commits: Notify,
}

impl Progress {
    pub(super) fn new() -> Self {
        Self {
            high_watermark: AtomicI64::new(0),
            undecided: AtomicI64::new(NONE_OPEN),
            state: AtomicU8::new(SERVING),
            pending: Mutex::default(),
            commits: Notify::new(),
        }
    }

    /// Sets the bounds of a log just opened.
    pub(super) fn start(&self, end_offset: i64, first_open_transaction: Option<i64>) {
        let undecided = first_open_transaction.unwrap_or(NONE_OPEN);
        self.undecided.store(undecided, Ordering::Release);
        self.high_watermark.store(end_offset, Ordering::Release);
    }

    pub(super) fn bounds(&self, log_start_offset: i64, end_offset: i64) -> Bounds {
        let high_watermark = self.high_watermark.load(Ordering::Acquire);
        let undecided = self.undecided.load(Ordering::Acquire).max(log_start_offset);
        Bounds {
            log_start_offset,
            high_watermark,
            last_stable_offset: undecided.min(high_watermark),
            // The end was read first and may be older than the high watermark.
            end_offset: end_offset.max(high_watermark),
        }
    }

    /// Notes a batch, in the order of the log. Called before the log gets it, as the log may report
    /// the commit at any time from then on; followed by [`Self::refused`] if it does not take it.
    pub(super) fn offered(&self, end_offset: i64, undecided: Option<i64>, size_bytes: u64) {
        let undecided = undecided.unwrap_or(NONE_OPEN);
        self.lock().offered.push_back(Offered { end_offset, undecided, size_bytes });
    }

    /// The log did not take the batch offered last.
    pub(super) fn refused(&self) {
        self.lock().offered.pop_back();
    }

    /// Resolves when everything below `end_offset` is committed.
    pub(super) async fn wait_committed(&self, end_offset: i64) -> Result<(), NotCommitted> {
        loop {
            let commits = self.commits.notified();
            if self.is_committed(end_offset) {
                return Ok(());
            }
            self.check_serving()?;
            commits.await;
        }
    }

    pub(super) fn is_committed(&self, end_offset: i64) -> bool {
        self.high_watermark.load(Ordering::Acquire) >= end_offset
    }

    pub(super) fn check_serving(&self) -> Result<(), NotCommitted> {
        match self.state.load(Ordering::Acquire) {
            SERVING => Ok(()),
            OFFLINE => Err(NotCommitted::Offline),
            _ => Err(NotCommitted::Stopped),
        }
    }

    /// The partition is deleted or closed: everyone who waits is told.
    pub(super) fn stop(&self) {
        self.leave(STOPPED);
    }

    fn leave(&self, state: u8) {
        self.state.store(state, Ordering::Release);
        self.commits.notify_waiters();
        self.wake_all();
    }

    /// Wakes every parked fetch: something other than the end has changed.
    pub(super) fn wake_all(&self) {
        for parked in self.lock().parked.values() {
            parked.signal.wake();
        }
    }

    /// Parks a fetch; the ticket takes it away again.
    pub(super) fn park(&self, signal: Arc<Signal>, isolation: Isolation) -> u64 {
        let mut pending = self.lock();
        let ticket = pending.next_ticket;
        pending.next_ticket += 1;
        pending.parked.insert(ticket, Parked { signal, isolation });
        ticket
    }

    pub(super) fn unpark(&self, ticket: u64) {
        self.lock().parked.remove(&ticket);
    }

    #[cfg(test)]
    pub(super) fn parked(&self) -> usize {
        self.lock().parked.len()
    }

    fn lock(&self) -> MutexGuard<'_, Pending> {
        self.pending.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl CommitObserver for Progress {
    fn committed(&self, end_offset: i64) {
        let mut pending = self.lock();
        let before = self.bounds(0, 0);
        if end_offset <= before.high_watermark {
            return;
        }
        let mut committed_bytes = 0;
        while let Some(batch) = pending.offered.pop_front_if(|batch| batch.end_offset <= end_offset)
        {
            committed_bytes += batch.size_bytes;
            self.undecided.store(batch.undecided, Ordering::Release);
        }
        self.high_watermark.store(end_offset, Ordering::Release);
        let after = self.bounds(0, 0);
        for parked in pending.parked.values() {
            parked.signal.advanced(parked.isolation, &before, &after, committed_bytes);
        }
        drop(pending);
        self.commits.notify_waiters();
    }

    fn failed(&self) {
        self.leave(OFFLINE);
    }
}
