//! Long poll: a fetch that waits for bytes on several partitions, without polling.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use tokio::sync::Notify;
use tokio::time::Instant;

use super::bounds::Bounds;
use super::{Isolation, Partition};

/// What partitions know of a parked fetch.
pub(super) struct Signal {
    missing_bytes: AtomicU64,
    notify: Notify,
}

impl Signal {
    pub(super) fn wake(&self) {
        self.missing_bytes.store(0, Ordering::Release);
        self.notify.notify_one();
    }

    fn add(&self, bytes: u64) {
        let subtract = |missing: u64| Some(missing.saturating_sub(bytes));
        let before = self.missing_bytes.fetch_update(Ordering::AcqRel, Ordering::Acquire, subtract);
        if before.is_ok_and(|missing| missing <= bytes) {
            self.notify.notify_one();
        }
    }

    /// A partition's bounds went from `before` to `after` by `committed_bytes`.
    pub(super) fn advanced(
        &self,
        isolation: Isolation,
        before: &Bounds,
        after: &Bounds,
        committed_bytes: u64,
    ) {
        if isolation != Isolation::ReadCommitted {
            return self.add(committed_bytes);
        }
        let held_back = |bounds: &Bounds| bounds.last_stable_offset < bounds.high_watermark;
        if held_back(before) || held_back(after) {
            // How many bytes a transaction's end sets free is not known here.
            if before.last_stable_offset < after.last_stable_offset {
                self.wake();
            }
        } else {
            self.add(committed_bytes);
        }
    }
}

/// A fetch that waits until enough new bytes can be read from the partitions it watches, or until
/// something happens in one of them that the client should hear of: it was deleted, its log start
/// or its leader epoch moved, a transaction ended.
///
/// It may wake early; the fetch reads again and, if that is too little, waits again. Dropping it
/// leaves nothing behind in the partitions.
pub struct FetchWait {
    signal: Arc<Signal>,
    watched: Vec<(Arc<Partition>, u64)>,
}

impl FetchWait {
    /// A wait for `missing_bytes` more than the fetch has read already (`min_bytes` less that).
    pub fn new(missing_bytes: u64) -> Self {
        let missing_bytes = AtomicU64::new(missing_bytes.max(1));
        let signal = Arc::new(Signal { missing_bytes, notify: Notify::new() });
        Self { signal, watched: Vec::new() }
    }

    /// Waits also for `partition`, whose bounds were `seen` when the fetch read it. If they have
    /// changed since, the wait is over at once.
    pub fn watch(&mut self, partition: &Arc<Partition>, seen: &Bounds, isolation: Isolation) {
        let ticket = partition.progress().park(Arc::clone(&self.signal), isolation);
        self.watched.push((Arc::clone(partition), ticket));
        let now = partition.bounds();
        let moved = now.limit(isolation) != seen.limit(isolation)
            || now.log_start_offset != seen.log_start_offset;
        if moved || partition.check_serving().is_err() {
            self.signal.wake();
        }
    }

    /// Resolves when there is reason to read again: true. False when `deadline` has come first.
    pub async fn until(&self, deadline: Instant) -> bool {
        tokio::time::timeout_at(deadline, self.signal.notify.notified()).await.is_ok()
    }
}

impl Drop for FetchWait {
    fn drop(&mut self) {
        for (partition, ticket) in &self.watched {
            partition.progress().unpark(*ticket);
        }
    }
}
