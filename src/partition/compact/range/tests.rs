use std::collections::BTreeMap;
use std::convert::Infallible;

use super::*;

const DAY_MS: i64 = 86_400_000;
const NOW_MS: i64 = 1_000 * DAY_MS;

/// Segments at these base offsets, of 100 bytes each, the last of them active and 50 bytes large.
fn segments(bases: &[i64]) -> Vec<SegmentFacts> {
    let ends = bases[1..].iter().copied().chain([bases[bases.len() - 1] + 5]);
    let facts = |(&base_offset, end_offset)| SegmentFacts {
        base_offset,
        end_offset,
        size_bytes: if base_offset == bases[bases.len() - 1] { 50 } else { 100 },
    };
    bases.iter().zip(ends).map(facts).collect()
}

/// Largest and first time of segments by base offset.
#[derive(Default)]
struct Times(BTreeMap<i64, (i64, i64)>);

impl SegmentTimes for Times {
    type Error = Infallible;

    fn largest_ms(&self, segment: &SegmentFacts) -> Result<Option<i64>, Infallible> {
        Ok(self.0.get(&segment.base_offset).map(|times| times.0))
    }

    fn first_ms(&self, segment: &SegmentFacts) -> Result<Option<i64>, Infallible> {
        Ok(self.0.get(&segment.base_offset).map(|times| times.1))
    }
}

fn look(
    segments: &[SegmentFacts],
    (checkpoint, stable): (Option<i64>, i64),
    config: &TopicConfig,
    times: &Times,
) -> Cleanable {
    let log = LogFacts {
        segments,
        start_offset: segments[0].base_offset,
        end_offset: segments[segments.len() - 1].end_offset,
        last_stable_offset: stable,
        checkpoint,
    };
    Cleanable::of(&log, config, NOW_MS, times).unwrap()
}

fn plain(bases: &[i64], checkpoint: Option<i64>, stable: i64) -> Cleanable {
    let config = TopicConfig::default();
    look(&segments(bases), (checkpoint, stable), &config, &Times::default())
}

#[test]
fn the_active_segment_stays_and_all_before_it_is_dirty_at_first() {
    let found = plain(&[0, 10, 20, 30], None, 35);
    assert_eq!((found.first_dirty, found.until), (0, 30));
    assert_eq!((found.clean_bytes, found.dirty_bytes), (0, 300));
    assert!(!found.may_grow && !found.resets_checkpoint);
    assert!(found.is_due(0.5) && found.is_due(0.99) && !found.is_due(1.0));
    let found = plain(&[0], None, 5);
    assert_eq!((found.until, found.dirty_bytes, found.ratio().to_string()), (0, 0, "0".into()));
    assert!(!found.is_due(0.0));
}

#[test]
fn the_checkpoint_parts_clean_from_dirty() {
    let found = plain(&[0, 10, 20, 30], Some(20), 35);
    assert_eq!((found.first_dirty, found.clean_bytes, found.dirty_bytes), (20, 200, 100));
    assert!(found.is_due(0.3) && !found.is_due(0.5));
    // In mid-segment, where the map was full, both count it, as in Kafka.
    let found = plain(&[0, 10, 20, 30], Some(15), 35);
    assert_eq!((found.clean_bytes, found.dirty_bytes), (200, 200));
    let found = plain(&[0, 10, 20, 30], Some(30), 35);
    assert_eq!((found.until, found.clean_bytes, found.dirty_bytes), (30, 300, 0));
    let found = plain(&[0, 10, 20, 30], Some(33), 35);
    assert_eq!((found.until, found.dirty_bytes, found.is_due(0.0)), (30, 0, false));
}

#[test]
fn a_checkpoint_outside_of_the_log_is_reset() {
    for checkpoint in [0, 9, 36, 1000] {
        let found = plain(&[10, 20, 30], Some(checkpoint), 35);
        assert_eq!((found.first_dirty, found.resets_checkpoint), (10, true), "{checkpoint}");
    }
    assert!(!plain(&[10, 20, 30], Some(35), 35).resets_checkpoint);
}

#[test]
fn nothing_is_cleaned_from_the_segment_with_the_last_stable_offset_on() {
    for (stable, until, dirty_bytes) in
        [(35, 30, 300), (30, 30, 300), (29, 20, 200), (20, 20, 200), (19, 10, 100), (5, 0, 0)]
    {
        let found = plain(&[0, 10, 20, 30], None, stable);
        assert_eq!((found.until, found.dirty_bytes), (until, dirty_bytes), "stable {stable}");
        assert_eq!(found.may_grow, stable < 30, "stable {stable}");
    }
}

#[test]
fn records_younger_than_min_compaction_lag_ms_stay() {
    let config = TopicConfig { min_compaction_lag_ms: DAY_MS, ..TopicConfig::default() };
    let times = |ages: &[(i64, i64)]| {
        Times(ages.iter().map(|(base, age_ms)| (*base, (NOW_MS - age_ms, 1))).collect())
    };
    let all = segments(&[0, 10, 20, 30]);
    let until = |ages| look(&all, (None, 35), &config, &times(ages)).until;
    assert_eq!(until(&[(0, 2 * DAY_MS), (10, DAY_MS), (20, DAY_MS)]), 30);
    assert_eq!(until(&[(0, 2 * DAY_MS), (10, DAY_MS - 1), (20, 3 * DAY_MS)]), 10);
    let young = look(&all, (None, 35), &config, &times(&[(20, 0)]));
    assert!(young.may_grow && young.until == 20);
    // What was cleaned already does not count.
    assert_eq!(look(&all, (Some(20), 35), &config, &times(&[(0, 0)])).until, 30);
}

#[test]
fn a_record_older_than_max_compaction_lag_ms_makes_a_log_due() {
    let config = TopicConfig { max_compaction_lag_ms: DAY_MS, ..TopicConfig::default() };
    let all = segments(&[0, 10, 20, 30]);
    let times = |age_ms| Times(BTreeMap::from([(20, (NOW_MS, NOW_MS - age_ms))]));
    let due = look(&all, (Some(20), 35), &config, &times(DAY_MS + 1));
    assert!(due.is_overdue && due.is_due(1.0));
    let early = look(&all, (Some(20), 35), &config, &times(DAY_MS));
    assert!(!early.is_overdue && !early.is_due(0.5) && early.may_grow);
    // Its segment was cleaned, or there is nothing that may be cleaned.
    assert!(!look(&all, (Some(30), 35), &config, &times(DAY_MS * 9)).is_overdue);
    assert!(!look(&all, (Some(20), 25), &config, &times(DAY_MS * 9)).is_overdue);
}

#[test]
fn groups_are_not_larger_than_a_segment() {
    let groups = |segments: &[SegmentFacts], end, segment_bytes, index_bytes| -> Vec<_> {
        let indexes_bytes = |_: &SegmentFacts| Ok::<_, Infallible>([8, 12]);
        let groups = group_segments(segments, end, segment_bytes, index_bytes, indexes_bytes);
        let groups = groups.unwrap();
        groups.iter().map(|group| (group.from, group.until)).collect()
    };
    let all = segments(&[0, 10, 20, 30, 40, 50]);
    assert_eq!(groups(&all, 50, 100, 1000), [(0, 10), (10, 20), (20, 30), (30, 40), (40, 50)]);
    assert_eq!(groups(&all, 50, 299, 1000), [(0, 20), (20, 40), (40, 50)]);
    assert_eq!(groups(&all, 50, 500, 1000), [(0, 50)]);
    assert_eq!(groups(&all, 21, 500, 1000), [(0, 30)], "a segment in part is cleaned whole");
    assert_eq!(groups(&all, 0, 500, 1000), []);
    // Indexes of 12 bytes each.
    assert_eq!(groups(&all, 50, 500, 24), [(0, 20), (20, 40), (40, 50)]);
    // Relative offsets have 31 bits.
    let far = segments(&[0, 10, 1 << 31, (1 << 31) + 10, 1 << 32]);
    let reached = [(0, 1 << 31), (1 << 31, 1 << 32)];
    assert_eq!(groups(&far, 1 << 32, 1000, 1000), reached);
}
