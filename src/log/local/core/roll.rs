//! Beginning a new segment, and letting go of the oldest ones.

use std::io;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use super::reserve::reserve_whole;
use super::{Core, Writer};
use crate::env::Random;
use crate::log::local::files::{lock, sync};
use crate::log::local::flush::Urgency;
use crate::log::local::segment::Segment;
use crate::log::{AppendError, LogConfig};
use crate::records::BatchHeader;

impl Core {
    /// Rolls at the end of the log unless the active segment is empty.
    pub(in crate::log::local) fn roll_now(
        self: &Arc<Self>,
        snapshot: &mut dyn FnMut() -> Vec<u8>,
    ) -> Result<(), AppendError> {
        let mut writer = lock(&self.writer);
        self.check_open(&writer)?;
        if self.active().tail().size_bytes == 0 {
            return Ok(());
        }
        self.roll_at(&mut writer, self.end_offset(), snapshot)?;
        self.queue_flush(&mut writer, &self.config(), Urgency::Later);
        Ok(())
    }

    pub(super) fn roll(
        &self,
        writer: &mut Writer,
        header: &BatchHeader,
        snapshot: &mut dyn FnMut() -> Vec<u8>,
    ) -> Result<(), AppendError> {
        let end_offset = self.end_offset();
        let is_near = i32::try_from(header.last_offset() - end_offset).is_ok();
        let base_offset = if is_near { end_offset } else { header.base_offset };
        self.roll_at(writer, base_offset, snapshot)
    }

    /// Seals the active segment and starts one at `base_offset`.
    ///
    /// The sealed one is synced first. After a loss of power the new one could otherwise be there
    /// with batches that follow on ones that are lost, and nothing in the files would tell; and its
    /// indexes are trusted once the recovery point is at the end of it.
    fn roll_at(
        &self,
        writer: &mut Writer,
        base_offset: i64,
        snapshot: &mut dyn FnMut() -> Vec<u8>,
    ) -> Result<(), AppendError> {
        let (sealed, config) = (self.active(), self.config());
        sealed
            .finish_indexes()
            .and_then(|()| Self::give_back(writer, &sealed))
            .and_then(|()| self.sync_active(writer))
            .and_then(|()| sealed.sync())
            .map_err(|error| self.failure(error))?;
        let shared = &self.shared;
        // Also where it is not needed: who appends learns by it of the roll.
        let snapshot = snapshot();
        if writer.snapshots.newest().is_none_or(|newest| newest < base_offset) {
            writer
                .snapshots
                .write(shared.disk(), &self.directory, base_offset, &snapshot)
                .map_err(|error| self.failure(error))?;
        }
        writer.has_new_names = true;
        let next = Segment::create(&shared.cache, &self.directory, base_offset)
            .and_then(|next| reserve_whole(&next, &config).map(|reserved| (next, reserved)));
        let (next, reserved_bytes) = next.map_err(|error| self.abandon(base_offset, error))?;
        let mut segments = Vec::clone(&self.segments.load());
        segments.push(Arc::new(next));
        self.segments.store(Arc::new(segments));
        sealed.release();
        writer.created_ms = shared.env.clock.now_ms();
        writer.first_timestamp_ms = None;
        writer.reserved_bytes = reserved_bytes;
        writer.jitter_ms = jitter_ms(&shared.env.random, &config);
        Ok(())
    }

    /// Takes back a segment that could not be made: were its files found later, in the middle of a
    /// longer one before it, the log would end there.
    fn abandon(&self, base_offset: i64, error: io::Error) -> AppendError {
        let (cache, directory) = (&self.shared.cache, &self.directory);
        let tail = self.active().tail();
        let removed = Segment::existing(cache, directory, base_offset, tail)
            .remove()
            .and_then(|()| self.shared.disk().sync_dir(directory));
        match removed {
            Ok(()) => self.failure(error),
            Err(error) => self.shared.poison(&self.name, &error),
        }
    }

    /// Kafka's `LogSegment.shouldRoll`.
    pub(super) fn should_roll(
        &self,
        writer: &mut Writer,
        config: &LogConfig,
        header: &BatchHeader,
        size_bytes: u64,
    ) -> io::Result<bool> {
        let segment = self.active();
        let tail = segment.tail();
        if segment.relative(header.last_offset()).is_none()
            || segment.index_is_full(config.segment_index_bytes)?
            // Positions in the index have 31 bits.
            || tail.size_bytes + size_bytes > config.segment_bytes.min(i32::MAX as u64)
        {
            return Ok(tail.size_bytes > 0 || segment.relative(header.last_offset()).is_none());
        }
        if tail.size_bytes == 0 {
            return Ok(false);
        }
        if writer.first_timestamp_ms.is_none() {
            writer.first_timestamp_ms = segment.first_timestamp()?;
        }
        let waited_ms = match writer.first_timestamp_ms {
            Some(first) if first >= 0 => header.max_timestamp.saturating_sub(first),
            _ => self.shared.env.clock.now_ms().saturating_sub(writer.created_ms),
        };
        Ok(waited_ms > config.segment_ms - writer.jitter_ms)
    }

    pub(in crate::log::local) fn delete_before(
        self: &Arc<Self>,
        offset: i64,
    ) -> Result<(), AppendError> {
        let _structure = lock(&self.structure);
        let mut writer = lock(&self.writer);
        self.check_open(&writer)?;
        let offset = offset.min(self.end_offset());
        if offset <= self.start_offset() {
            return Ok(());
        }
        if offset > writer.synced_end {
            // Or a crash could leave a log that ends below its start.
            self.sync_active(&mut writer)
                .map_err(|error| self.shared.poison(&self.name, &error))?;
        }
        // First, durably: files may vanish in any order.
        self.shared
            .positions
            .raise_start(&self.shared, &self.name, offset)
            .map_err(|error| self.failure(error))?;
        self.start_offset.store(offset, Ordering::Release);
        writer.has_new_epochs |= lock(&self.epochs).truncate_from_start(offset);

        let segments = self.segments.load_full();
        let held = segments.partition_point(|segment| segment.base_offset <= offset);
        let (gone, kept) = segments.split_at(held.saturating_sub(1));
        self.segments.store(Arc::new(kept.to_vec()));
        let first = kept[0].base_offset;
        self.free(&mut writer, gone, first)
            .map_err(|error| self.shared.poison(&self.name, &error))?;
        if first == offset {
            self.shared.positions.start_is_first_segment(&self.name);
        }
        if writer.has_new_epochs {
            self.queue_flush(&mut writer, &self.config(), Urgency::Later);
        }
        Ok(())
    }

    fn free(&self, writer: &mut Writer, gone: &[Arc<Segment>], first: i64) -> io::Result<()> {
        if gone.is_empty() {
            return Ok(());
        }
        let mut aside = Vec::new();
        for segment in gone {
            aside.extend(segment.set_aside()?);
        }
        let disk = self.shared.disk();
        let snapshots = &mut writer.snapshots;
        snapshots.retain_useful(disk, &self.directory, |offset| offset >= first)?;
        disk.sync_dir(&self.directory)?;
        self.shared.doom(aside, self.config().file_delete_delay_ms);
        Ok(())
    }

    /// Makes all batches survive a crash.
    fn sync_active(&self, writer: &mut Writer) -> io::Result<()> {
        if let Some(file) = writer.unsynced.take() {
            sync(file.get().as_ref())?;
        }
        self.sync_names(writer)
    }
}

/// Below `segment.jitter.ms` and `segment.ms` (`LogConfig.randomSegmentJitter`).
pub(super) fn jitter_ms(random: &Random, config: &LogConfig) -> i64 {
    let bound = u64::try_from(config.segment_jitter_ms.min(config.segment_ms)).unwrap_or(0);
    i64::try_from(random.below(bound)).unwrap_or(0)
}
