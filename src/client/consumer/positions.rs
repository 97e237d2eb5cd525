//! Where a consumer stands: what is committed, or where it is to begin.

use tokio::time::Instant;

use super::{Consumer, NEVER, SHORT_BACKOFF};
use crate::client::offsets::Committed;
use crate::client::{BEGINNING, ClientError, END, TopicPartition, is_retriable};
use crate::env::{Clock, OsClock};

/// Where to begin.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Reset {
    /// With the first record.
    Earliest,
    /// With what comes.
    Latest,
    /// With the first record that is no older than so many milliseconds.
    ByDuration(i64),
    /// With this offset.
    At(i64),
}

/// Where a consumer stands in a partition.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Position {
    /// The group may have committed something.
    Unknown,
    /// To be looked up.
    Begins(Reset),
    /// The next offset, with the epoch of the last record that was read.
    At(Committed),
}

impl From<Reset> for Position {
    fn from(reset: Reset) -> Self {
        match reset {
            Reset::At(offset) => Self::At(Committed { offset, epoch: -1 }),
            reset => Self::Begins(reset),
        }
    }
}

impl Consumer {
    /// Finds out where it is to begin, of all partitions that it does not know it of.
    pub(super) async fn find_positions(&mut self) -> Result<(), ClientError> {
        self.next_positions = Instant::now() + NEVER;
        let unknown = self.partitions(|position| matches!(position, Position::Unknown));
        if !unknown.is_empty() {
            let Some(committed) = self.member.committed(&mut self.cluster, &unknown).await? else {
                self.next_positions = Instant::now() + SHORT_BACKOFF;
                return Ok(());
            };
            for partition in unknown {
                let position = match committed.get(&partition) {
                    Some(committed) => Position::At(*committed),
                    None => self.begin(&partition)?,
                };
                self.positions.insert(partition, position);
            }
        }
        for reset in self.resets() {
            let partitions = self.partitions(|position| *position == Position::Begins(reset));
            self.look_up(reset, &partitions).await?;
        }
        Ok(())
    }

    /// Where to begin without an offset.
    pub(super) fn begin(
        &self,
        (topic, partition): &TopicPartition,
    ) -> Result<Position, ClientError> {
        let none = || {
            ClientError::Argument(format!(
                "Undefined offset with no reset policy for partitions: [{topic}-{partition}]"
            ))
        };
        self.config.reset.map(Position::from).ok_or_else(none)
    }

    fn partitions(&self, wanted: impl Fn(&Position) -> bool) -> Vec<TopicPartition> {
        let found = self.positions.iter().filter(|(_, position)| wanted(position));
        found.map(|(partition, _)| partition.clone()).collect()
    }

    /// The different ways in which partitions are to begin.
    fn resets(&self) -> Vec<Reset> {
        let mut resets = Vec::new();
        for position in self.positions.values() {
            if let Position::Begins(reset) = position
                && !resets.contains(reset)
            {
                resets.push(*reset);
            }
        }
        resets
    }

    async fn look_up(
        &mut self,
        reset: Reset,
        partitions: &[TopicPartition],
    ) -> Result<(), ClientError> {
        let timestamp = match reset {
            Reset::Earliest => BEGINNING,
            Reset::Latest | Reset::At(_) => END,
            Reset::ByDuration(ms) => OsClock.now_ms().saturating_sub(ms).max(0),
        };
        let level = self.config.isolation_level;
        let found = self.cluster.list_offsets_as(partitions, timestamp, level).await?;
        for (partition, offset) in found {
            let position = match offset {
                // Nothing is that young.
                Ok(-1) => Position::Begins(Reset::Latest),
                Ok(offset) => Position::At(Committed { offset, epoch: -1 }),
                Err(code) if is_retriable(code) => Position::Begins(reset),
                Err(code) => return Err(Self::failed(code, &partition)),
            };
            if !matches!(position, Position::At(_)) {
                self.next_positions = Instant::now() + SHORT_BACKOFF;
                self.misses_leaders();
            }
            self.positions.insert(partition, position);
        }
        Ok(())
    }
}
