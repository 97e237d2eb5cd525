//! Rewriting segments in memory.

use std::sync::{Arc, Mutex};

use bytes::Bytes;

use super::{Content, lock};
use crate::log::{AbortedTransaction, AppendError, Rewrite, RewriteError};
use crate::records::BatchHeader;

/// See [`Rewrite`].
pub(super) struct MemoryRewrite {
    content: Arc<Mutex<Content>>,
    opening: u64,
    bases: Vec<i64>,
    until: i64,
    batches: Vec<(BatchHeader, Bytes)>,
    aborted: Vec<AbortedTransaction>,
}

impl MemoryRewrite {
    pub(super) fn begin(
        content: &Arc<Mutex<Content>>,
        opening: u64,
        from: i64,
        until: i64,
    ) -> Result<Self, RewriteError> {
        let held = lock(content);
        let bases = held.bases_in(from, until);
        let is_sealed = held.segments.iter().any(|mark| mark.base_offset == until);
        if bases.first() != Some(&from) || !is_sealed || held.openings != opening {
            return Err(RewriteError::Changed);
        }
        let (batches, aborted) = (Vec::new(), Vec::new());
        Ok(Self { content: Arc::clone(content), opening, bases, until, batches, aborted })
    }
}

impl Rewrite for MemoryRewrite {
    fn append(
        &mut self,
        batch: &[u8],
        aborts: Option<AbortedTransaction>,
    ) -> Result<(), RewriteError> {
        let header =
            BatchHeader::parse(batch).map_err(|error| AppendError::Offline(error.to_string()))?;
        let end = self.batches.last().map_or(self.bases[0], |(last, _)| last.last_offset() + 1);
        assert!(header.base_offset >= end, "offsets grow");
        assert!(header.last_offset() < self.until, "the batch lies in the range");
        if header.last_offset() - self.bases[0] > i64::from(i32::MAX) {
            return Err(RewriteError::TooLarge);
        }
        self.batches.push((header, Bytes::copy_from_slice(batch)));
        self.aborted.extend(aborts);
        Ok(())
    }

    fn finish(self: Box<Self>) -> Result<(), RewriteError> {
        let mut content = lock(&self.content);
        if content.openings != self.opening {
            return Err(AppendError::Offline("the log was closed".into()).into());
        }
        if content.bases_in(self.bases[0], self.until) != self.bases {
            return Err(RewriteError::Changed);
        }
        content.replace(&self.bases, self.until, self.batches, self.aborted);
        Ok(())
    }
}

impl Content {
    /// Base offsets of the segments that begin in a range.
    fn bases_in(&self, from: i64, until: i64) -> Vec<i64> {
        let bases = self.segments.iter().map(|mark| mark.base_offset);
        bases.filter(|base| (from..until).contains(base)).collect()
    }

    fn replace(
        &mut self,
        bases: &[i64],
        until: i64,
        batches: Vec<(BatchHeader, Bytes)>,
        aborted: Vec<AbortedTransaction>,
    ) {
        let from = bases[0];
        let sizes = batches.iter().map(|(_, bytes)| bytes.len() as u64);
        let size_bytes = sizes.sum();
        let range = self.index_of(from)..self.index_of(until);
        self.batches.drain(range.clone());
        for (index, batch) in batches.into_iter().enumerate() {
            self.batches.insert(range.start + index, batch);
        }
        self.size_bytes = self.batches.iter().map(|(_, bytes)| bytes.len() as u64).sum();
        self.segments.retain(|mark| !bases[1..].contains(&mark.base_offset));
        for mark in self.segments.iter_mut().filter(|mark| mark.base_offset == from) {
            mark.size_bytes = size_bytes;
        }
        self.aborted.retain(|aborted| !(from..until).contains(&aborted.last_offset));
        self.aborted.extend(aborted);
        self.aborted.make_contiguous().sort_by_key(|aborted| aborted.last_offset);
        let newest = self.snapshots.keys().next_back().copied();
        let is_kept = |offset| !bases[1..].contains(&offset) || newest == Some(offset);
        self.snapshots.retain(|offset, _| is_kept(*offset));
    }
}
