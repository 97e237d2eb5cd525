//! Files and directories that no log has any more. They go after `file.delete.delay.ms`, as Kafka's
//! `LocalLog.deleteSegmentFiles` and `LogManager.deleteLogs` do it; what is left at the end of the
//! process is swept when its log, or the engine, opens.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::time::Instant;

use super::engine::Shared;
use super::files::{lock, remove_if_exists};
use super::flush::DELAY_MAX_MS;
use crate::env::{Disk, FileKind};

/// Ends the names of files that are to go.
pub(super) const DELETED_SUFFIX: &str = ".deleted";

/// What is to go, and when.
#[derive(Default)]
pub(super) struct Doomed(Mutex<Vec<(Instant, PathBuf)>>);

impl Doomed {
    /// When there is something to do next.
    pub(super) fn next_deadline(&self) -> Option<Instant> {
        lock(&self.0).iter().map(|(deadline, _)| *deadline).min()
    }

    fn take_due(&self) -> Vec<PathBuf> {
        let now = Instant::now();
        let mut doomed = lock(&self.0);
        doomed.extract_if(.., |(deadline, _)| *deadline <= now).map(|(_, path)| path).collect()
    }
}

impl Shared {
    /// Removes these after `delay_ms`; a negative delay is none.
    pub(super) fn doom(&self, paths: Vec<PathBuf>, delay_ms: i64) {
        if paths.is_empty() {
            return;
        }
        let delay_ms = u64::try_from(delay_ms).unwrap_or(0).min(DELAY_MAX_MS);
        let deadline = Instant::now() + Duration::from_millis(delay_ms);
        lock(&self.doomed.0).extend(paths.into_iter().map(|path| (deadline, path)));
        self.flusher.wake();
    }

    /// Removes what is due.
    pub(super) async fn remove_doomed(self: &Arc<Self>) {
        let due = self.doomed.take_due();
        if due.is_empty() {
            return;
        }
        let shared = Arc::clone(self);
        let remove = move || {
            for path in due {
                if let Err(error) = remove(shared.disk(), &path) {
                    tracing::warn!(path = %path.display(), %error, "removed with the next start");
                }
            }
        };
        self.env.offload.run(remove).await;
    }
}

fn remove(disk: &dyn Disk, path: &Path) -> io::Result<()> {
    match disk.kind(path)? {
        Some(FileKind::Directory) => disk.remove_dir_all(path),
        _ => remove_if_exists(disk, path),
    }
}
