//! The end of what nobody needs any more: committed offsets after their retention, and groups
//! that have neither members nor offsets (Kafka: `GroupCoordinatorShard.cleanupGroupMetadata`,
//! `OffsetMetadataManager.cleanupExpiredOffsets`).
//!
//! While there are groups, a round begins every `offsets.retention.check.interval.ms` and looks at
//! each of them. What it removes is cut into batches that the log takes. Commands come between
//! those, so a group is judged when its turn has come.

use std::sync::Arc;

use super::classic::{Group, NEVER_MS, State};
use super::machine::{AnyGroup, GroupMachine};
use super::record::Record;
use super::turn::Turn;
use crate::wire::records::OffsetCommitKey;

/// Stands for an unknown time in records of old brokers.
const UNKNOWN_MS: i64 = -1;

/// Where the round stands.
pub(super) struct Expiry {
    /// When it begins or goes on; [`NEVER_MS`] while there are no groups.
    pub(super) due_ms: i64,
    /// Groups that it has still to look at, the last one first.
    left: Vec<Arc<str>>,
}

impl Expiry {
    /// No round is planned.
    pub(super) fn new() -> Self {
        Self { due_ms: NEVER_MS, left: Vec::new() }
    }
}

impl Group {
    /// Whether any of its offsets may go now. Between two generations it is not known what its
    /// members read, and of protocols other than the consumers' never.
    fn lets_offsets_expire(&self) -> bool {
        match self.state {
            State::Empty => true,
            State::Stable => self.protocol_type.is_none() || self.subscribed_topics.is_some(),
            State::PreparingRebalance | State::CompletingRebalance => self.protocol_type.is_none(),
        }
    }

    /// When it lost its last member. None if it has some, never had any or it is not known: then
    /// an offset's retention counts from its commit.
    fn empty_since_ms(&self) -> Option<i64> {
        let had_members = self.protocol_type.is_some() && self.state == State::Empty;
        (had_members && self.state_since_ms != UNKNOWN_MS).then_some(self.state_since_ms)
    }
}

impl GroupMachine {
    /// A round begins an interval from now if none is planned and there are or will be groups.
    pub(super) fn plan_expiry(&mut self, turn: &Turn) {
        let has_groups = !self.groups.is_empty() || !turn.records.is_empty();
        if has_groups && self.expiry.due_ms == NEVER_MS {
            self.expiry.due_ms = next_round_ms(turn);
        }
    }

    /// Begins the round or goes on with it, as far as one batch reaches.
    pub(super) fn expire_offsets(&mut self, turn: &mut Turn) {
        if self.expiry.left.is_empty() {
            self.expiry.left = self.groups.keys().cloned().collect();
            // One order for all runs: that of the map is random.
            self.expiry.left.sort_unstable_by(|one, other| other.cmp(one));
        }
        while let Some(id) = self.expiry.left.pop() {
            let is_done = self.expire_group(&id, turn);
            // What does not fit into an empty batch can never be written.
            if !is_done && !turn.records.is_empty() {
                self.expiry.left.push(id);
                self.expiry.due_ms = turn.now_ms + 1;
                return;
            }
        }
        self.expiry.due_ms = if self.groups.is_empty() { NEVER_MS } else { next_round_ms(turn) };
    }

    /// Removes what has ended of a group, and the group if nothing is left; false if the batch is
    /// full before that.
    fn expire_group(&self, id: &str, turn: &mut Turn) -> bool {
        let Some(group) = self.groups.get(id) else { return true };
        let (since_ms, removal) = match group {
            AnyGroup::Classic(group) if group.lets_offsets_expire() => {
                let is_empty = group.state == State::Empty;
                (group.empty_since_ms(), is_empty.then(|| vec![Record::remove_group(id)]))
            }
            // Of a consumer group it is not known since when it is empty.
            AnyGroup::Consumer(group) => {
                let record = |record| Record::Consumer(id.to_owned(), record);
                let tombstones = || group.tombstones().into_iter().map(record).collect();
                (None, group.members.is_empty().then(tombstones))
            }
            AnyGroup::Classic(_) | AnyGroup::Other => return true,
        };
        let retention_ms = turn.settings.offsets_retention_ms;
        // A transaction may still decide on an offset, and would leave it without a group.
        let is_open = self.offsets.has_undecided(id);
        let mut is_used = is_open;
        let mut removed = 0;
        for (topic, partition, committed) in self.offsets.of(id) {
            let key = || OffsetCommitKey { group: id.into(), topic: topic.into(), partition };
            let is_kept = committed.ends_ms(since_ms, retention_ms) > turn.now_ms
                || group.is_subscribed_to(topic)
                || (is_open && self.offsets.is_undecided(id, topic, partition));
            if is_kept {
                is_used = true;
            } else if !turn.add(Record::Offset(key(), None)) {
                return false;
            } else {
                removed += 1;
            }
        }
        if removed > 0 {
            tracing::info!(group = id, offsets = removed, "removing offsets after their retention");
        }
        let Some(removal) = removal.filter(|_| !is_used) else { return true };
        tracing::info!(group = id, "removing a group without members and offsets");
        removal.into_iter().all(|record| turn.add(record))
    }
}

fn next_round_ms(turn: &Turn) -> i64 {
    turn.now_ms.saturating_add(turn.settings.offsets_retention_check_interval_ms)
}
