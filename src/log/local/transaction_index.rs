//! `.txnindex`: the aborted transactions whose markers stand in a segment, as Kafka's
//! `TransactionIndex`.
//!
//! ```text
//!   entry:  version 0  producer id  first offset  last offset  last stable offset
//!           2 bytes    8 bytes each
//! ```
//!
//! Entries are sorted by last offset. A segment gets the file with its first entry; most have none.
//! As the other indexes it is complete when its segment is sealed, and before that recovery makes
//! it anew: what it says follows from the batches and from the producers' state before them.

use std::io;
use std::ops::ControlFlow;

use bytes::{Buf, BufMut};

use super::checkpoint::replace;
use super::files::lock;
use super::index::{Entry, Index, OffsetEntry, read_entries};
use super::segment::{Segment, TXN_INDEX_SUFFIX, is_damage};
use crate::log::AbortedTransaction;

const VERSION: i16 = 0;

impl Entry for AbortedTransaction {
    const SIZE: usize = 34;

    fn key(self) -> i64 {
        self.last_offset
    }

    fn encode(self, out: &mut Vec<u8>) {
        out.put_i16(VERSION);
        out.put_i64(self.producer_id);
        out.put_i64(self.first_offset);
        out.put_i64(self.last_offset);
        out.put_i64(self.last_stable_offset);
    }

    fn decode(mut bytes: &[u8]) -> Option<Self> {
        bytes.try_get_i16().ok().filter(|version| *version == VERSION)?;
        Some(Self {
            producer_id: bytes.try_get_i64().ok()?,
            first_offset: bytes.try_get_i64().ok()?,
            last_offset: bytes.try_get_i64().ok()?,
            last_stable_offset: bytes.try_get_i64().ok()?,
        })
    }
}

impl Segment {
    /// Sees to it that there is a file for an entry; true if it is new.
    pub(super) fn create_aborted(&self) -> io::Result<bool> {
        if self.aborted.get().is_some() {
            return Ok(false);
        }
        self.set_aborted(Index::create(self.index_file(TXN_INDEX_SUFFIX))?);
        Ok(true)
    }

    fn set_aborted(&self, index: Index<AbortedTransaction>) {
        let is_first = self.aborted.set(Box::new(index.into())).is_ok();
        debug_assert!(is_first, "one writer makes the index once");
    }

    /// Adds the transaction that the newest batch aborts, after [`Segment::create_aborted`].
    pub(super) fn push_aborted(&self, transaction: AbortedTransaction) {
        if let Some(index) = self.aborted.get() {
            lock(index).push(transaction);
        }
    }

    /// Takes over the existing file if it can be that of this segment; false if it cannot.
    pub(super) fn load_aborted(&self) -> io::Result<bool> {
        let file = self.index_file(TXN_INDEX_SUFFIX);
        let (handle, end_offset) = (file.get()?, self.tail().end_offset);
        let (length, size) = (handle.len()?, AbortedTransaction::SIZE as u64);
        if length % size != 0 {
            return Ok(false);
        }
        let mut after_last = self.base_offset;
        let count = usize::try_from(length / size).unwrap_or(usize::MAX);
        for entry in read_entries::<AbortedTransaction>(handle.as_ref(), 0..count) {
            let entry = match entry {
                Err(error) if is_damage(&error) => return Ok(false),
                entry => entry?,
            };
            let is_sound = (after_last..end_offset).contains(&entry.last_offset)
                && (0..=entry.last_offset).contains(&entry.first_offset)
                && (0..=entry.last_offset + 1).contains(&entry.last_stable_offset);
            if !is_sound {
                return Ok(false);
            }
            after_last = entry.last_offset + 1;
        }
        self.set_aborted(Index::open(file)?);
        Ok(true)
    }

    /// Puts a file with these entries in the place of what there is, durably and as a whole: a
    /// crash leaves what will again be found not to fit.
    pub(super) fn replace_aborted(&self, transactions: &[AbortedTransaction]) -> io::Result<()> {
        let file = self.index_file(TXN_INDEX_SUFFIX);
        let (disk, directory) = (self.cache.disk.as_ref(), &self.directory);
        if transactions.is_empty() {
            file.remove()?;
            return disk.sync_dir(directory);
        }
        let mut bytes = Vec::with_capacity(transactions.len() * AbortedTransaction::SIZE);
        for transaction in transactions {
            transaction.encode(&mut bytes);
        }
        let name = format!("{:020}{TXN_INDEX_SUFFIX}", self.base_offset);
        replace(disk, directory, &name, &bytes)?;
        self.set_aborted(Index::open(file)?);
        Ok(())
    }

    /// Whether a look for transactions that end at or above `from` needs no file.
    pub(super) fn has_recent_aborted(&self, from: i64) -> bool {
        let Some(index) = self.aborted.get() else { return true };
        lock(index).is_recent(|entry| entry.last_offset < from)
    }

    /// Adds the transactions that end at or above `from` and begin below `until`; breaks off where
    /// later segments have none of those (Kafka: `TransactionIndex.collectAbortedTxns`).
    pub(super) fn collect_aborted(
        &self,
        from: i64,
        until: i64,
        transactions: &mut Vec<AbortedTransaction>,
    ) -> io::Result<ControlFlow<()>> {
        let Some(index) = self.aborted.get() else {
            return Ok(ControlFlow::Continue(()));
        };
        let below = |entry: &AbortedTransaction| entry.last_offset < from;
        let entries = lock(index).since(below)?;
        entries.visit(below, |entry| {
            if entry.first_offset < until {
                transactions.push(entry);
            }
            if entry.last_stable_offset >= until {
                return ControlFlow::Break(());
            }
            ControlFlow::Continue(())
        })
    }

    /// An offset at or above the end of a read that ends at `position`, where the offset index has
    /// one (Kafka: `LogSegment.fetchUpperBoundOffset`).
    pub(super) fn offset_after(&self, position: u64) -> io::Result<Option<i64>> {
        let below = |entry: &OffsetEntry| u64::from(entry.position) < position;
        let entries = self.with_offset_index(|index| index.since(below))?;
        let found = entries.visit(below, ControlFlow::Break)?.break_value();
        Ok(found.map(|entry| self.base_offset + i64::from(entry.relative_offset)))
    }
}
