//! Puts a cleaned segment in the place of older ones, as Kafka's `LocalLog.replaceSegments`.
//!
//! ```text
//!   1  0.log.cleaned  0.log  40.log            a crash: the cleaned one is dropped
//!   2  0.log.swap     0.log  40.log            from here on: the old ones are dropped
//!   3  0.log.swap     0.log.deleted  40.log.deleted
//!   4  0.log
//! ```
//!
//! The names are synced after each step, so that no loss of power mixes two of them. Between 2 and
//! 3 readers are given the new segment; who has got an old one reads on or finds its files retired
//! and looks again.

use std::io;
use std::sync::Arc;

use super::core::Core;
use super::files::{lock, sync};
use super::scan::Located;
use super::segment::{Segment, Tail};
use crate::env::{DiskFile, write_all_at};
use crate::log::{AbortedTransaction, AppendError, Rewrite, RewriteError};
use crate::records::BatchHeader;

/// Ends the names of files that are being written.
pub(super) const CLEANED_SUFFIX: &str = ".cleaned";
/// Ends the names of files that are complete.
const SWAP_SUFFIX: &str = ".swap";

/// Index entries that gather in memory before they are written.
const UNWRITTEN_ENTRIES_MAX: usize = 1024;

/// See [`Rewrite`].
pub(super) struct LocalRewrite {
    core: Arc<Core>,
    replaced: Vec<Arc<Segment>>,
    cleaned: Arc<Segment>,
    /// The handle that wrote hears of the errors that writing back meets.
    file: Arc<dyn DiskFile>,
    until: i64,
    /// The files are to be removed with this.
    is_unfinished: bool,
}

impl Core {
    pub(super) fn rewrite(
        self: &Arc<Self>,
        from: i64,
        until: i64,
    ) -> Result<LocalRewrite, RewriteError> {
        let _structure = lock(&self.structure);
        self.check_open(&lock(&self.writer))?;
        let segments = self.segments.load();
        let at = |offset| segments.binary_search_by_key(&offset, |segment| segment.base_offset);
        let (Ok(first), Ok(end)) = (at(from), at(until)) else {
            return Err(RewriteError::Changed);
        };
        if first >= end {
            return Err(RewriteError::Changed);
        }
        let failure = |error| self.failure(error);
        let cleaned = Segment::create_cleaned(&self.shared.cache, &self.directory, from);
        let cleaned = cleaned.map_err(failure)?;
        let file = cleaned.file().map_err(failure)?;
        Ok(LocalRewrite {
            core: Arc::clone(self),
            replaced: segments[first..end].to_vec(),
            cleaned: Arc::new(cleaned),
            file,
            until,
            is_unfinished: true,
        })
    }

    pub(super) fn segment_at(&self, base_offset: i64) -> Option<Arc<Segment>> {
        let segments = self.segments.load();
        let at = segments.binary_search_by_key(&base_offset, |segment| segment.base_offset);
        Some(Arc::clone(&segments[at.ok()?]))
    }

    pub(super) fn set_cleaned_offset(&self, offset: i64) -> Result<(), AppendError> {
        let _structure = lock(&self.structure);
        self.check_open(&lock(&self.writer))?;
        let shared = &self.shared;
        let noted = shared.positions.set_cleaned(shared.disk(), &shared.root, &self.name, offset);
        noted.map_err(|error| self.failure(error))
    }

    /// Gives readers `new` instead of `old`; false if these are not there any more.
    fn exchange(&self, old: &[Arc<Segment>], new: &Arc<Segment>) -> bool {
        let _appends = lock(&self.writer);
        let segments = self.segments.load();
        let Some(at) = segments.iter().position(|segment| Arc::ptr_eq(segment, &old[0])) else {
            return false;
        };
        let mut segments = Vec::clone(&segments);
        segments.splice(at..at + old.len(), [Arc::clone(new)]);
        self.segments.store(Arc::new(segments));
        true
    }

    /// Removes what an abandoned rewrite has left: beside it, a recovery would take a finished one
    /// for unfinished.
    fn remove_cleaned_but(&self, base_offset: i64) -> io::Result<()> {
        let disk = self.shared.disk();
        let own = format!("{base_offset:020}.");
        for name in disk.list(&self.directory)? {
            if name.ends_with(CLEANED_SUFFIX) && !name.starts_with(&own) {
                disk.remove_file(&self.directory.join(name))?;
            }
        }
        disk.sync_dir(&self.directory)
    }
}

impl LocalRewrite {
    fn is_current(&self) -> bool {
        let segments = self.core.segments.load();
        let mut windows = segments.windows(self.replaced.len());
        windows.any(|window| window.iter().zip(&self.replaced).all(|(a, b)| Arc::ptr_eq(a, b)))
    }

    /// Makes the new segment complete and durable.
    fn complete(&self) -> io::Result<()> {
        self.cleaned.finish_indexes()?;
        sync(self.file.as_ref())?;
        self.cleaned.sync()?;
        // Retention counts by it where records have no time (as Kafka).
        let newest = &self.replaced[self.replaced.len() - 1];
        if let Some(modified_ms) = newest.file()?.modified_ms()? {
            self.file.set_modified_ms(modified_ms)?;
        }
        Ok(())
    }

    fn swap(&self) -> io::Result<()> {
        let (core, cleaned) = (&self.core, &self.cleaned);
        let disk = core.shared.disk();
        let sync_names = || disk.sync_dir(&core.directory);
        core.remove_cleaned_but(cleaned.base_offset)?;
        cleaned.rename(SWAP_SUFFIX)?;
        sync_names()?;
        if !core.exchange(&self.replaced, cleaned) {
            return Err(io::Error::other("segments went while they were replaced"));
        }
        let mut aside = Vec::new();
        for segment in &self.replaced {
            aside.extend(segment.set_aside()?);
        }
        sync_names()?;
        cleaned.rename("")?;
        let segments = core.segments.load();
        let is_base = |offset| segments.iter().any(|segment| segment.base_offset == offset);
        lock(&core.writer).snapshots.retain_useful(disk, &core.directory, is_base)?;
        sync_names()?;
        cleaned.release();
        core.shared.doom(aside, core.config().file_delete_delay_ms);
        Ok(())
    }
}

impl Rewrite for LocalRewrite {
    fn append(
        &mut self,
        batch: &[u8],
        aborts: Option<AbortedTransaction>,
    ) -> Result<(), RewriteError> {
        let header =
            BatchHeader::parse(batch).map_err(|error| AppendError::Offline(error.to_string()))?;
        let tail = self.cleaned.tail();
        let position = tail.size_bytes;
        assert!(header.base_offset >= tail.end_offset, "offsets grow");
        assert!(header.last_offset() < self.until, "the batch lies in the range");
        // Positions in the index have 31 bits.
        let is_near = self.cleaned.relative(header.last_offset()).is_some();
        if !is_near || position + batch.len() as u64 > i32::MAX as u64 {
            return Err(RewriteError::TooLarge);
        }
        let interval_bytes = self.core.config().index_interval_bytes;
        let write = || {
            write_all_at(self.file.as_ref(), batch, position)?;
            self.cleaned.publish(Located { position, header }, interval_bytes)?;
            if let Some(aborted) = aborts {
                self.cleaned.create_aborted()?;
                self.cleaned.push_aborted(aborted);
            }
            self.cleaned.write_indexes(UNWRITTEN_ENTRIES_MAX)
        };
        write().map_err(|error| self.core.failure(error).into())
    }

    fn finish(mut self: Box<Self>) -> Result<(), RewriteError> {
        self.complete().map_err(|error| self.core.failure(error))?;
        let core = Arc::clone(&self.core);
        let _structure = lock(&core.structure);
        core.check_open(&lock(&core.writer))?;
        if !self.is_current() {
            return Err(RewriteError::Changed);
        }
        self.cleaned.set_tail(Tail { end_offset: self.until, ..self.cleaned.tail() });
        self.is_unfinished = false;
        // Only a start can tell what is there after a failure.
        self.swap().map_err(|error| core.shared.poison(&core.name, &error).into())
    }
}

impl Drop for LocalRewrite {
    fn drop(&mut self) {
        // After the end of the log the name of its directory may stand for another one.
        if self.is_unfinished
            && lock(&self.core.writer).closed.is_none()
            && let Err(error) = self.cleaned.remove()
        {
            tracing::warn!(log = self.core.name, %error, "an unfinished cleaning remains");
        }
    }
}
