//! What a member may have next on its way to what it is to have
//! (Kafka: `CurrentAssignmentBuilder`).
//!
//! A partition changes hands in three steps: who has it is told to give it back, says in a later
//! heartbeat that it has, and only then is it given to the next.

use std::collections::{BTreeMap, BTreeSet};

use uuid::Uuid;

use super::assignor::Assignment;
use super::member::{Member, MemberState, Owned};
use super::{ConsumerGroup, Refusal};
use crate::wire::ErrorCode;
use crate::wire::messages::consumer_group_heartbeat::TopicPartitions;

/// A member on its way.
pub(super) struct Reconciliation<'a> {
    pub(super) group: &'a ConsumerGroup,
    pub(super) member: &'a Member,
    pub(super) target_epoch: i32,
    pub(super) target: &'a Assignment,
    /// The topics that it reads and that exist.
    pub(super) subscribed: BTreeSet<Uuid>,
    /// The member has just subscribed otherwise.
    pub(super) subscription_changed: bool,
    /// What it says it has, if it says so.
    pub(super) owned: Option<&'a [TopicPartitions]>,
}

impl Reconciliation<'_> {
    /// The member as it is next.
    pub(super) fn next(&self) -> Result<Member, Refusal> {
        let member = self.member;
        match member.state {
            MemberState::Stable if member.epoch != self.target_epoch => {
                Ok(self.towards_target(member.epoch))
            }
            MemberState::Unrevoked if !self.owns_any(&member.revoking) => {
                Ok(self.towards_target(member.epoch))
            }
            MemberState::Stable | MemberState::Unrevoked if self.subscription_changed => {
                Ok(self.without_unsubscribed())
            }
            MemberState::Stable | MemberState::Unrevoked => Ok(member.clone()),
            MemberState::Unreleased => Ok(self.towards_target(member.epoch)),
            MemberState::Unknown(_) if self.owned.is_some_and(<[_]>::is_empty) => {
                Ok(self.towards_target(self.target_epoch))
            }
            MemberState::Unknown(_) => Err(Refusal::new(
                ErrorCode::FencedMemberEpoch,
                "The consumer group member is in a unknown state. The member must abandon all \
                 its partitions and rejoin.",
            )),
        }
    }

    /// Whether the member may still have some of these; true if it does not say.
    fn owns_any(&self, partitions: &Owned) -> bool {
        let Some(owned) = self.owned else { return true };
        owned.iter().any(|topic| {
            let asked = partitions.get(&topic.topic_id);
            asked.is_some_and(|asked| topic.partitions.iter().any(|one| asked.contains_key(one)))
        })
    }

    /// Takes back what the member no longer reads, without waiting for a new target.
    fn without_unsubscribed(&self) -> Member {
        let reads = |topic_id: &Uuid| self.subscribed.contains(topic_id);
        if self.member.assigned.keys().all(reads) {
            return self.member.clone();
        }
        let mut next = self.member.clone();
        next.assigned.retain(|topic_id, _| reads(topic_id));
        let gone = self.member.assigned.iter().filter(|(topic_id, _)| !reads(topic_id));
        for (topic_id, partitions) in gone {
            next.revoking.entry(*topic_id).or_default().extend(partitions);
        }
        if self.owns_any(&next.revoking) {
            next.state = MemberState::Unrevoked;
        } else {
            next.revoking.clone_from(&self.member.revoking);
        }
        next.move_to(self.member.epoch);
        next
    }

    fn towards_target(&self, epoch: i32) -> Member {
        let mut assigned = Owned::new();
        let mut revoking = Owned::new();
        let mut free: BTreeMap<Uuid, Vec<i32>> = BTreeMap::new();
        let mut waits = false;
        let topics: BTreeSet<&Uuid> =
            self.target.keys().chain(self.member.assigned.keys()).collect();
        for topic_id in topics {
            let wanted = self.target.get(topic_id).filter(|_| self.subscribed.contains(topic_id));
            let is_wanted =
                |partition: &i32| wanted.is_some_and(|wanted| wanted.contains(partition));
            let has = self.member.assigned.get(topic_id);
            for (partition, since) in has.into_iter().flatten() {
                let place = if is_wanted(partition) { &mut assigned } else { &mut revoking };
                place.entry(*topic_id).or_default().insert(*partition, *since);
            }
            let has = |partition: &&i32| has.is_some_and(|has| has.contains_key(partition));
            for partition in wanted.into_iter().flatten().filter(|partition| !has(partition)) {
                if self.is_free(*topic_id, *partition) {
                    free.entry(*topic_id).or_default().push(*partition);
                } else {
                    waits = true;
                }
            }
        }
        let mut next = self.member.clone();
        next.assigned = assigned;
        if !revoking.is_empty() && self.owns_any(&revoking) {
            next.state = MemberState::Unrevoked;
            next.revoking = revoking;
            next.move_to(epoch);
            return next;
        }
        for (topic_id, partitions) in free {
            let since = partitions.into_iter().map(|partition| (partition, self.target_epoch));
            next.assigned.entry(topic_id).or_default().extend(since);
        }
        next.state = if waits { MemberState::Unreleased } else { MemberState::Stable };
        next.revoking.clear();
        next.move_to(self.target_epoch);
        next
    }

    /// Nobody has the partition, or only this member did, which has just given it back.
    fn is_free(&self, topic_id: Uuid, partition: i32) -> bool {
        let gives_back = self.member.revoking.get(&topic_id);
        !self.group.is_owned(topic_id, partition)
            || gives_back.is_some_and(|partitions| partitions.contains_key(&partition))
    }
}
