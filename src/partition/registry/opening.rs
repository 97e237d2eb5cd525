//! Opening and closing many partitions: several at a time, with a line of the log that tells how far it is.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::task::JoinSet;
use uuid::Uuid;

use super::{Hosted, Topic};
use crate::env::Env;
use crate::log::OpenError;

/// Between two lines of the log that tell how many partitions are open.
const TELL_INTERVAL_MS: i64 = 5_000;

/// Partitions that open.
pub(super) struct Opening {
    /// By topic.
    pub(super) opened: BTreeMap<Uuid, Topic>,
    /// Topics of which a partition did not open; true if all that they lack is room.
    pub(super) failed: BTreeMap<Uuid, bool>,
    done: usize,
    total: usize,
    /// When progress was told last.
    told_ms: i64,
}

impl Opening {
    pub(super) fn new(env: &Env, total: usize) -> Self {
        Self {
            opened: BTreeMap::new(),
            failed: BTreeMap::new(),
            done: 0,
            total,
            told_ms: env.clock.now_ms(),
        }
    }

    pub(super) fn note(
        &mut self,
        env: &Env,
        topic_id: Uuid,
        number: i32,
        outcome: Result<Hosted, OpenError>,
    ) -> Result<(), OpenError> {
        self.done += 1;
        let now_ms = env.clock.now_ms();
        if now_ms.saturating_sub(self.told_ms) >= TELL_INTERVAL_MS {
            self.told_ms = now_ms;
            tracing::info!("opened {} of {} partitions", self.done, self.total);
        }
        match outcome {
            Ok(hosted) => {
                self.opened.entry(topic_id).or_default().insert(number, hosted);
            }
            Err(error) => {
                *self.failed.entry(topic_id).or_insert(true) &= error.is_full();
                return Err(error);
            }
        }
        Ok(())
    }
}

/// Runs `work` on every item, several at a time; the first error, after all were tried.
///
/// A task for each of the several, which takes one item after the other: a task for each item is handed from thread to
/// thread, which takes longer than to open a small partition.
pub(super) async fn each<T, E, W, F>(
    items: impl IntoIterator<Item = T, IntoIter: Send + 'static>,
    at_once: usize,
    work: F,
) -> Result<(), E>
where
    E: Send + 'static,
    W: Future<Output = Result<(), E>> + Send,
    F: Fn(T) -> W + Send + Sync + 'static,
    T: Send + 'static,
{
    let shared = Arc::new((Mutex::new(items.into_iter().fuse()), work));
    let mut running: JoinSet<Result<(), E>> = JoinSet::new();
    for _ in 0..at_once {
        let shared = Arc::clone(&shared);
        running.spawn(async move {
            let (items, work) = &*shared;
            let next = || items.lock().unwrap_or_else(PoisonError::into_inner).next();
            let mut outcome = Ok(());
            while let Some(item) = next() {
                outcome = outcome.and(work(item).await);
                // Others have their turn, too, where nothing in it has to be waited for.
                tokio::task::coop::consume_budget().await;
            }
            outcome
        });
    }
    let mut outcome = Ok(());
    while let Some(ended) = running.join_next().await {
        match ended {
            Ok(result) => outcome = outcome.and(result),
            Err(error) => std::panic::resume_unwind(error.into_panic()),
        }
    }
    outcome
}
