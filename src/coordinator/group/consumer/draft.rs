//! A decision about a consumer group in the making: the group, what is written, and the steps that
//! a heartbeat of a consumer and a join of a classic member have in common.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::super::record::Record;
use super::super::turn::Turn;
use super::assignor::{Assignment, Assignor, MemberSpec};
use super::member::{Member, MemberState};
use super::reconcile::Reconciliation;
use super::timers::Timers;
use super::{
    ConsumerGroup, ConsumerRecord, Refusal, target_epoch_record, target_record, topic_ids,
};
use crate::config::{ConsumerGroupConfig, GroupConfig};
use crate::env::java_hash_bucket;
use crate::metadata::MetadataImage;
use crate::wire::ErrorCode;
use crate::wire::messages::consumer_group_heartbeat::TopicPartitions;

/// Capacity of the Java hash map in which Kafka counts the votes for few assignors.
const VOTES_CAPACITY: u32 = 16;

/// A decision in the making.
pub(super) struct Draft<'g> {
    pub(super) id: &'g str,
    /// The group before the records, but for those of [`Draft::change`].
    pub(super) group: Cow<'g, ConsumerGroup>,
    pub(super) records: Vec<Record>,
    pub(super) now_ms: i64,
    /// The broker's, and the group's own where it has some.
    pub(super) settings: GroupConfig,
    pub(super) image: Arc<MetadataImage>,
    /// Version of the newest metadata known that has a topic that earlier one has not.
    pub(super) topics_version: i64,
    /// The group's hash has been compared with the metadata.
    pub(super) looked_at_metadata: bool,
    /// The regular expressions are to be resolved.
    pub(super) resolves: bool,
    /// The group is a classic one as yet.
    pub(super) upgrades: bool,
}

/// A decision that is made: its records are on their way, deadlines are to be set.
pub(super) struct Decided {
    now_ms: i64,
    pub(super) seen_version: Option<i64>,
    resolves: bool,
    /// What the member has was written.
    reconciled: bool,
    /// Ids and session timeouts of the members of a group that was a classic one.
    pub(super) upgraded: Vec<(String, i32)>,
}

impl<'g> Draft<'g> {
    pub(super) fn new(id: &'g str, group: Cow<'g, ConsumerGroup>, turn: &Turn) -> Self {
        Self {
            id,
            group,
            records: Vec::new(),
            now_ms: turn.now_ms,
            settings: turn.settings_of(id),
            image: turn.image.clone(),
            topics_version: turn.topics_version,
            looked_at_metadata: false,
            resolves: false,
            upgrades: false,
        }
    }

    pub(super) fn write(&mut self, record: ConsumerRecord) {
        self.records.push(Record::Consumer(self.id.to_owned(), record));
    }

    /// Writes a record that the further steps rest on.
    pub(super) fn change(&mut self, record: ConsumerRecord) {
        self.group.to_mut().apply(&record);
        self.write(record);
    }

    /// The members, where the one of this id is replaced or added.
    pub(super) fn members_with<'m>(
        &'m self,
        id: &'m str,
        member: &'m Member,
    ) -> impl Iterator<Item = (&'m str, &'m Member)> {
        let others = self.group.members.iter().map(|(id, member)| (id.as_str(), member));
        others.filter(move |(other, _)| *other != id).chain([(id, member)])
    }

    /// What a member is to have, and as of which epoch; computed anew if the group has moved on
    /// and the last computation is long enough ago.
    pub(super) fn retarget(
        &mut self,
        id: &str,
        member: &Member,
        group_epoch: i32,
    ) -> Result<(i32, Assignment), Refusal> {
        if self.group.target_epoch >= group_epoch || !self.may_compute_target() {
            let target = self.group.target(id).cloned().unwrap_or_default();
            return Ok((self.group.target_epoch, target));
        }
        let assignor = self.preferred_assignor(id, member);
        let members: BTreeMap<String, MemberSpec> = self
            .members_with(id, member)
            .map(|(id, member)| (id.to_owned(), self.spec(id, member)))
            .collect();
        let topics: BTreeSet<_> = members.values().flat_map(|member| &member.subscribed).collect();
        let partitions = topics.into_iter().filter_map(|&topic_id| {
            let topic = self.image.topic_by_id(topic_id)?;
            Some((topic_id, i32::try_from(topic.partitions.len()).unwrap_or(i32::MAX)))
        });
        let mut targets = assignor.assign(&members, &partitions.collect()).map_err(|error| {
            let message = format!(
                "Failed to compute a new target assignment for epoch {group_epoch}: {error}"
            );
            Refusal::new(ErrorCode::UnknownServerError, message)
        })?;
        for member_id in members.keys() {
            let target = targets.entry(member_id.clone()).or_default();
            if self.group.target(member_id) != Some(target) {
                self.write(target_record(member_id, target));
            }
        }
        self.write(target_epoch_record(group_epoch, self.now_ms));
        Ok((group_epoch, targets.remove(id).unwrap_or_default()))
    }

    fn may_compute_target(&self) -> bool {
        let since_ms = self.group.target_since_ms;
        let interval_ms = i64::from(self.settings.consumer.assignment_interval_ms);
        since_ms == 0 || self.now_ms >= since_ms.saturating_add(interval_ms)
    }

    fn spec(&self, id: &str, member: &Member) -> MemberSpec {
        MemberSpec {
            instance_id: member.instance_id.clone(),
            subscribed: topic_ids(self.group.topics_of(member), &self.image),
            owned: self.group.target(id).cloned().unwrap_or_default(),
        }
    }

    /// The assignor that most members ask for; of equals, the one Kafka meets first in its hash
    /// map.
    fn preferred_assignor(&self, id: &str, member: &Member) -> Assignor {
        let asked = self.members_with(id, member);
        let asked = asked.filter_map(|(_, member)| member.server_assignor.as_deref());
        preferred_assignor(asked, &self.settings.consumer)
    }

    /// Moves a member towards what it is to have.
    pub(super) fn reconcile(
        &mut self,
        id: &str,
        member: Member,
        (target_epoch, target): (i32, &Assignment),
        subscription_changed: bool,
        owned: Option<&[TopicPartitions]>,
    ) -> Result<Member, Refusal> {
        if !subscription_changed && member.is_reconciled_to(target_epoch) {
            return Ok(member);
        }
        let step = Reconciliation {
            group: &self.group,
            member: &member,
            target_epoch,
            target,
            subscribed: topic_ids(self.group.topics_of(&member), &self.image),
            subscription_changed,
            owned,
        };
        let next = step.next()?;
        if next != member {
            self.write(next.to_current_record(id));
        }
        Ok(next)
    }

    /// Makes the decision, unless the log would not take it.
    pub(super) fn decided(self, turn: &mut Turn) -> Result<Decided, Refusal> {
        let classic = |(id, member): (&String, &Member)| {
            Some((id.clone(), member.classic.as_ref()?.session_timeout_ms))
        };
        let members = self.group.members.iter().filter(|_| self.upgrades);
        let version = self.image.finalized_features_epoch;
        let last = self.records.last();
        let decided = Decided {
            now_ms: self.now_ms,
            seen_version: self.looked_at_metadata.then_some(version),
            resolves: self.resolves,
            reconciled: matches!(
                last,
                Some(Record::Consumer(_, ConsumerRecord::Current(_, Some(_))))
            ),
            upgraded: members.filter_map(classic).collect(),
        };
        turn.write_all(self.records)?;
        Ok(decided)
    }
}

impl Decided {
    /// Sets the deadlines that follow for the group and the member it is about.
    pub(super) fn set_timers(&self, id: &str, member: &Member, timers: &mut Timers) {
        // Members of the classic protocol show by joining that they have given back.
        if self.reconciled && !member.uses_classic() {
            if member.state == MemberState::Unrevoked {
                let ends_ms = self.now_ms.saturating_add(i64::from(member.rebalance_timeout_ms));
                timers.revocation(id, member.epoch, ends_ms);
            } else {
                timers.revoked(id);
            }
        }
        for (id, session_timeout_ms) in &self.upgraded {
            timers.session(id, self.now_ms.saturating_add(i64::from(*session_timeout_ms)));
        }
        if self.seen_version.is_some() {
            timers.seen_version = self.seen_version;
        }
        if self.resolves {
            timers.resolve_at_ms = self.now_ms;
        }
    }
}

/// The assignor that most ask for, or the first that is configured.
pub(super) fn preferred_assignor<'n>(
    asked: impl Iterator<Item = &'n str>,
    settings: &ConsumerGroupConfig,
) -> Assignor {
    let mut votes: BTreeMap<&str, usize> = BTreeMap::new();
    for name in asked {
        *votes.entry(name).or_default() += 1;
    }
    let bucket = |name| std::cmp::Reverse(java_hash_bucket(name, VOTES_CAPACITY));
    let most = votes.into_iter().max_by_key(|&(name, count)| (count, bucket(name)));
    let first = || settings.assignors.first().and_then(|name| Assignor::from_name(name));
    most.and_then(|(name, _)| Assignor::from_name(name)).or_else(first).unwrap_or(Assignor::Uniform)
}
