//! What of a log is to be cleaned, as Kafka's `LogCleanerManager.cleanableOffsets`, `LogToClean`
//! and `Cleaner.groupSegmentsBySize`. Pure: all that is known of the log is given.

use crate::config::TopicConfig;
use crate::log::SegmentFacts;

/// A log at a moment.
#[derive(Clone, Copy, Debug)]
pub(super) struct LogFacts<'a> {
    /// At least one; the last is active.
    pub(super) segments: &'a [SegmentFacts],
    pub(super) start_offset: i64,
    pub(super) end_offset: i64,
    pub(super) last_stable_offset: i64,
    /// Up to where it was cleaned, as was written down.
    pub(super) checkpoint: Option<i64>,
}

/// What could be cleaned of a log.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(in crate::partition) struct Cleanable {
    /// Everything below was cleaned.
    pub(in crate::partition) first_dirty: i64,
    /// Base offset of the first segment that must stay as it is.
    pub(in crate::partition) until: i64,
    /// Bytes of the segments that begin below `first_dirty`.
    pub(super) clean_bytes: u64,
    /// Bytes of the segments from there to `until`.
    pub(in crate::partition) dirty_bytes: u64,
    /// A record has been waiting for longer than `max.compaction.lag.ms`.
    pub(super) is_overdue: bool,
    /// Time, or the end of a transaction, may make more of it cleanable.
    pub(super) may_grow: bool,
    /// The checkpoint cannot be of this log.
    pub(super) resets_checkpoint: bool,
}

/// Times of segments that have to be read from the log, in milliseconds since the epoch.
pub(super) trait SegmentTimes {
    /// Why one could not be read.
    type Error;
    /// Largest time of a segment's records; None where none is known.
    fn largest_ms(&self, segment: &SegmentFacts) -> Result<Option<i64>, Self::Error>;
    /// Time of the first batch; None where none is known.
    fn first_ms(&self, segment: &SegmentFacts) -> Result<Option<i64>, Self::Error>;
}

impl Cleanable {
    /// Looks at a log.
    pub(super) fn of<T: SegmentTimes>(
        log: &LogFacts<'_>,
        config: &TopicConfig,
        now_ms: i64,
        times: &T,
    ) -> Result<Self, T::Error> {
        let checkpoint = log.checkpoint.unwrap_or(log.start_offset);
        let is_valid = (log.start_offset..=log.end_offset).contains(&checkpoint);
        let first_dirty = if is_valid { checkpoint } else { log.start_offset };

        let (active, sealed) = log.segments.split_last().expect("a log has a segment");
        let dirty = sealed_from(sealed, active, first_dirty);
        let young_from = if config.min_compaction_lag_ms > 0 {
            let latest_ms = now_ms.saturating_sub(config.min_compaction_lag_ms);
            first_younger(dirty, latest_ms, times)?
        } else {
            None
        };
        let limit = log.last_stable_offset.min(active.base_offset);
        let limit = limit.min(young_from.unwrap_or(i64::MAX)).max(first_dirty);
        let until = sealed_from(sealed, active, limit).first().unwrap_or(active).base_offset;

        let bytes = |segments: &[SegmentFacts]| -> u64 {
            segments.iter().map(|segment| segment.size_bytes).sum()
        };
        let clean = log.segments.partition_point(|segment| segment.base_offset < first_dirty);
        let below = dirty.partition_point(|segment| segment.base_offset < until);
        let waits_for_age = config.max_compaction_lag_ms < i64::MAX && below > 0;
        let is_overdue = waits_for_age && {
            let oldest_ms = now_ms.saturating_sub(config.max_compaction_lag_ms);
            is_any_older(dirty, oldest_ms, times)?
        };
        Ok(Self {
            first_dirty,
            until,
            clean_bytes: bytes(&log.segments[..clean]),
            dirty_bytes: bytes(&dirty[..below]),
            is_overdue,
            may_grow: below < dirty.len() || waits_for_age,
            resets_checkpoint: !is_valid,
        })
    }

    /// Share of the bytes that were not cleaned, 0 to 1.
    pub(super) fn ratio(&self) -> f64 {
        let total_bytes = self.clean_bytes + self.dirty_bytes;
        if total_bytes == 0 { 0.0 } else { self.dirty_bytes as f64 / total_bytes as f64 }
    }

    /// Whether it is time to.
    pub(super) fn is_due(&self, min_ratio: f64) -> bool {
        self.dirty_bytes > 0 && (self.is_overdue || self.ratio() > min_ratio)
    }
}

/// The sealed segments from the one that holds `offset`.
fn sealed_from<'a>(
    sealed: &'a [SegmentFacts],
    active: &SegmentFacts,
    offset: i64,
) -> &'a [SegmentFacts] {
    if offset >= active.base_offset {
        return &[];
    }
    let after = sealed.partition_point(|segment| segment.base_offset <= offset);
    &sealed[after.saturating_sub(1)..]
}

/// Base offset of the first segment with a record after `latest_ms`.
fn first_younger<T: SegmentTimes>(
    dirty: &[SegmentFacts],
    latest_ms: i64,
    times: &T,
) -> Result<Option<i64>, T::Error> {
    for segment in dirty {
        if times.largest_ms(segment)?.is_some_and(|time_ms| time_ms > latest_ms) {
            return Ok(Some(segment.base_offset));
        }
    }
    Ok(None)
}

/// Whether a segment begins before `oldest_ms` (`LogCleanerManager.maxCompactionDelay`).
fn is_any_older<T: SegmentTimes>(
    dirty: &[SegmentFacts],
    oldest_ms: i64,
    times: &T,
) -> Result<bool, T::Error> {
    for segment in dirty {
        if times.first_ms(segment)?.is_some_and(|time_ms| time_ms > 0 && time_ms < oldest_ms) {
            return Ok(true);
        }
    }
    Ok(false)
}

/// Segments that become one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Group {
    /// Base offset of the first.
    pub(super) from: i64,
    /// Base offset of the segment after the last.
    pub(super) until: i64,
}

/// Puts the segments that begin below `end` into groups that would not be larger than a segment,
/// even if nothing went. `indexes_bytes` gives the sizes of a segment's two indexes.
pub(super) fn group_segments<E>(
    segments: &[SegmentFacts],
    end: i64,
    segment_bytes: u64,
    index_bytes: u64,
    indexes_bytes: impl Fn(&SegmentFacts) -> Result<[u64; 2], E>,
) -> Result<Vec<Group>, E> {
    let mut groups: Vec<Group> = Vec::new();
    let mut sums = [0; 3];
    let limits = [segment_bytes, index_bytes, index_bytes];
    for segment in segments.iter().take_while(|segment| segment.base_offset < end) {
        let [offsets_bytes, times_bytes] = indexes_bytes(segment)?;
        let sizes = [segment.size_bytes, offsets_bytes, times_bytes];
        let added: [u64; 3] = std::array::from_fn(|at| sums[at] + sizes[at]);
        let fits = |group: &&mut Group| {
            // Offsets in the index count from the first segment; an empty one has none.
            let reach = segment.end_offset - 1 - group.from;
            (0..3).all(|at| added[at] <= limits[at])
                && (segment.size_bytes == 0 || reach <= i64::from(i32::MAX))
        };
        if let Some(group) = groups.last_mut().filter(fits) {
            (group.until, sums) = (segment.end_offset, added);
        } else {
            groups.push(Group { from: segment.base_offset, until: segment.end_offset });
            sums = sizes;
        }
    }
    Ok(groups)
}

#[cfg(test)]
mod tests;
