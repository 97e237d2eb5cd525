//! Which leader epoch began where: `leader-epoch-checkpoint`, as Kafka's `LeaderEpochFileCache`.

use super::checkpoint;

/// Name of the file in a log's directory.
pub(super) const FILE_NAME: &str = "leader-epoch-checkpoint";

/// Epochs with their first offsets, both growing.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Epochs(Vec<(i32, i64)>);

impl Epochs {
    /// Reads the file's text; None if it is not one.
    pub(super) fn parse(text: &str) -> Option<Self> {
        let mut epochs = Self::default();
        for line in checkpoint::entries(text)? {
            let (epoch, start_offset) = line.split_once(' ')?;
            epochs.assign(epoch.parse().ok()?, start_offset.parse().ok()?);
        }
        Some(epochs)
    }

    /// The file's text.
    pub(super) fn format(&self) -> String {
        let lines = self.0.iter().map(|(epoch, start)| format!("{epoch} {start}"));
        checkpoint::format(lines)
    }

    /// The newest epoch.
    pub(super) fn latest(&self) -> Option<i32> {
        self.0.last().map(|(epoch, _)| *epoch)
    }

    /// Notes that `epoch` begins at `start_offset`; true if that is news. Entries it contradicts
    /// go: an epoch without a batch leaves no trace.
    pub(super) fn assign(&mut self, epoch: i32, start_offset: i64) -> bool {
        let known = self.latest().is_some_and(|latest| epoch <= latest);
        if epoch < 0 || start_offset < 0 || known {
            return false;
        }
        self.truncate_from_end(start_offset - 1);
        self.0.push((epoch, start_offset));
        true
    }

    /// Forgets epochs that begin above `end_offset`; true if there were any. (Kafka also drops one
    /// that begins right there, and learns it again with its next leader.)
    pub(super) fn truncate_from_end(&mut self, end_offset: i64) -> bool {
        let before = self.0.len();
        self.0.retain(|(_, start)| *start <= end_offset);
        self.0.len() < before
    }

    /// Forgets epochs that ended at or below `start_offset`; true if anything changed.
    pub(super) fn truncate_from_start(&mut self, start_offset: i64) -> bool {
        let ended = self.0.partition_point(|(_, start)| *start <= start_offset);
        let Some(holder) = ended.checked_sub(1) else {
            return false;
        };
        if holder == 0 && self.0[0].1 == start_offset {
            return false;
        }
        self.0[holder].1 = start_offset;
        self.0.drain(..holder);
        true
    }

    /// See [`crate::log::Log::epoch_end_offset`].
    pub(super) fn end_offset(&self, epoch: i32, end_offset: i64) -> Option<(i32, i64)> {
        let newer = self.0.partition_point(|(known, _)| *known <= epoch);
        if epoch == -1 || (newer == self.0.len() && self.latest() != Some(epoch)) {
            return None;
        }
        let found = newer.checked_sub(1).map_or(epoch, |at| self.0[at].0);
        Some((found, self.0.get(newer).map_or(end_offset, |next| next.1)))
    }

    /// The epoch of the batch that holds `offset`.
    pub(super) fn of(&self, offset: i64) -> Option<i32> {
        let after = self.0.partition_point(|(_, start)| *start <= offset);
        after.checked_sub(1).map(|at| self.0[at].0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn epochs(entries: &[(i32, i64)]) -> Epochs {
        Epochs(entries.to_vec())
    }

    #[test]
    fn the_text_is_kafkas() {
        let text = "0\n2\n0 0\n3 120\n";
        assert_eq!(Epochs::parse(text), Some(epochs(&[(0, 0), (3, 120)])));
        assert_eq!(epochs(&[(0, 0), (3, 120)]).format(), text);
        assert_eq!(Epochs::parse(""), Some(epochs(&[])));
        for bad in ["1\n0\n", "0\n2\n0 0\n", "0\n1\n0\n", "0\nx\n", "\0\0\0"] {
            assert_eq!(Epochs::parse(bad), None, "{bad:?}");
        }
    }

    #[test]
    fn an_epoch_without_a_batch_gives_way_to_the_next() {
        let mut known = epochs(&[(1, 0), (2, 10)]);
        assert!(known.assign(4, 10));
        assert_eq!(known, epochs(&[(1, 0), (4, 10)]));
        assert!(!known.assign(4, 20) && !known.assign(3, 20) && !known.assign(-1, 20));
    }

    #[test]
    fn truncation_keeps_what_still_holds_batches() {
        let all = epochs(&[(1, 0), (2, 10), (5, 20)]);
        let mut known = all.clone();
        assert!(known.truncate_from_end(15));
        assert_eq!(known, epochs(&[(1, 0), (2, 10)]));
        assert!(!known.truncate_from_end(10));
        let mut known = all.clone();
        assert!(!known.truncate_from_start(0));
        assert!(known.truncate_from_start(12));
        assert_eq!(known, epochs(&[(2, 12), (5, 20)]));
        assert!(known.truncate_from_start(20));
        assert_eq!(known, epochs(&[(5, 20)]));
    }

    #[test]
    fn ends_are_those_of_kafka() {
        let known = epochs(&[(2, 5), (5, 20)]);
        let ends: Vec<_> = [-1, 0, 2, 3, 5, 6].map(|epoch| known.end_offset(epoch, 40)).into();
        assert_eq!(ends, [None, Some((0, 5)), Some((2, 20)), Some((2, 20)), Some((5, 40)), None]);
        let of: Vec<_> = [4, 5, 19, 20].map(|offset| known.of(offset)).into();
        assert_eq!(of, [None, Some(2), Some(2), Some(5)]);
    }
}
