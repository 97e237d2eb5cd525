//! Which of the oldest segments a partition gives up, as Kafka's `UnifiedLog.deleteOldSegments`.
//!
//! Only whole segments go, and only below the high watermark. With `delete` in `cleanup.policy`
//! the oldest go while the log would still hold `retention.bytes` without them, and while their
//! newest record is older than `retention.ms`. The active segment is rolled first if all have to go.

use std::sync::{Arc, Weak};
use std::time::Duration;

use crate::config::RetentionTiming;
use crate::env::Env;
use crate::log::{AppendError, ReadError, SegmentFacts};

use super::{Partition, Registry};

/// Why segments go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Reason {
    Size,
    Time,
}

/// Why a partition could not give up its oldest segments.
#[derive(Debug, thiserror::Error)]
pub enum RetentionError {
    /// A segment's time could not be read.
    #[error(transparent)]
    Read(#[from] ReadError),
    /// The log did not do it.
    #[error(transparent)]
    Log(#[from] AppendError),
}

impl Partition {
    /// Gives up what `retention.ms` and `retention.bytes` do not keep at `now_ms`; the number of
    /// segments. Blocks.
    pub fn apply_retention(&self, now_ms: i64) -> Result<usize, RetentionError> {
        let config = self.config();
        let Ok(()) = self.check_serving() else {
            return Ok(0);
        };
        if !config.delete {
            return Ok(0);
        }
        let by_size = self.give_up(Reason::Size, |segments| {
            Ok(beyond_size(segments, config.retention_bytes, self.size_bytes()))
        })?;
        let by_time = self.give_up(Reason::Time, |segments| {
            older_than(segments, now_ms, config.retention_ms, |segment| {
                self.log.segment_time_ms(segment.base_offset)
            })
        })?;
        Ok(by_size + by_time)
    }

    /// Gives up as many of the oldest segments as `count` says of those that may go.
    fn give_up(
        &self,
        reason: Reason,
        count: impl FnOnce(&[SegmentFacts]) -> Result<usize, ReadError>,
    ) -> Result<usize, RetentionError> {
        let segments = self.log.segments();
        let high_watermark = self.bounds().high_watermark;
        let below = segments.partition_point(|segment| segment.end_offset <= high_watermark);
        // An empty active segment stays.
        let empty = segments.last().is_some_and(|active| active.size_bytes == 0);
        let candidates = &segments[..below.min(segments.len() - usize::from(empty))];
        let count = count(candidates)?;
        let Some(last) = count.checked_sub(1).and_then(|last| candidates.get(last)) else {
            return Ok(0);
        };
        if count == segments.len() {
            self.roll()?;
        }
        self.delete_before(last.end_offset)?;
        tracing::info!(
            partition = %self.id.directory_name(), ?reason, segments = count,
            log_start_offset = last.end_offset, "deleted the oldest segments"
        );
        Ok(count)
    }
}

/// How many of the oldest segments go because the log holds more than `limit_bytes`; a negative
/// limit is none.
fn beyond_size(segments: &[SegmentFacts], limit_bytes: i64, size_bytes: u64) -> usize {
    let Some(mut excess_bytes) =
        u64::try_from(limit_bytes).ok().and_then(|limit| size_bytes.checked_sub(limit))
    else {
        return 0;
    };
    let fits = |segment: &&SegmentFacts| match excess_bytes.checked_sub(segment.size_bytes) {
        Some(rest) => {
            excess_bytes = rest;
            true
        }
        None => false,
    };
    segments.iter().take_while(fits).count()
}

/// How many of the oldest segments go because their time is more than `limit_ms` before `now_ms`; a
/// negative limit is none.
fn older_than(
    segments: &[SegmentFacts],
    now_ms: i64,
    limit_ms: i64,
    time_ms: impl Fn(&SegmentFacts) -> Result<Option<i64>, ReadError>,
) -> Result<usize, ReadError> {
    if limit_ms < 0 {
        return Ok(0);
    }
    for (count, segment) in segments.iter().enumerate() {
        if time_ms(segment)?.is_none_or(|time_ms| now_ms.saturating_sub(time_ms) <= limit_ms) {
            return Ok(count);
        }
    }
    Ok(segments.len())
}

/// Applies retention to every open partition from time to time, for as long as there is a registry
/// (Kafka: `LogManager.cleanupLogs`).
pub async fn keep_retention(env: Env, registry: Weak<Registry>, timing: RetentionTiming) {
    let mut delay_ms = timing.initial_delay_ms;
    loop {
        tokio::time::sleep(Duration::from_millis(delay_ms)).await;
        let Some(partitions) = registry.upgrade().map(|registry| registry.all()) else {
            return;
        };
        for partition in partitions {
            // One that is being compacted has its turn next time, as in Kafka.
            let Ok(_turn) = partition.upkeep.try_lock() else {
                continue;
            };
            let now_ms = env.clock.now_ms();
            let checked = Arc::clone(&partition);
            let applied = env.offload.run(move || checked.apply_retention(now_ms)).await;
            if let Err(error) = applied {
                let partition = partition.id.directory_name();
                tracing::error!(partition, %error, "the oldest segments were not deleted");
            }
        }
        delay_ms = timing.interval_ms;
    }
}
