//! Members go: they leave, or time is up for them (Kafka: `GroupMetadataManager.consumerGroupFenceMembers`).

use std::borrow::Cow;
use std::collections::BTreeSet;
use std::sync::Arc;

use super::super::classic::NEVER_MS;
use super::super::machine::{AnyGroup, GroupMachine};
use super::super::turn::Turn;
use super::draft::Draft;
use super::member::{Member, MemberState};
use super::subscription::metadata_hash;
use super::timers::{Due, Timers};
use super::{ConsumerGroup, ConsumerRecord, Refusal, epoch_record};
use crate::wire::ErrorCode;

impl GroupMachine {
    /// The consumer group of this id.
    pub(in crate::coordinator::group) fn consumer_group(
        &self,
        id: &str,
    ) -> Result<&ConsumerGroup, Refusal> {
        let message = match self.groups.get(id) {
            Some(AnyGroup::Consumer(group)) => return Ok(group),
            Some(AnyGroup::Classic(_) | AnyGroup::Other) => {
                format!("Group {id} is not a consumer group.")
            }
            None => format!("Group {id} not found."),
        };
        Err(Refusal::new(ErrorCode::GroupIdNotFound, message))
    }

    /// The deadlines of a group that exists or is about to.
    pub(super) fn timers_of(&mut self, id: &str) -> &mut Timers {
        if !self.timers.contains_key(id) {
            self.timers.insert(id.into(), Timers::default());
        }
        self.timers.get_mut(id).expect("they were there or have just been added")
    }

    /// Takes members out of a consumer group. If all that stay use the classic protocol, the group
    /// becomes a classic one.
    pub(super) fn fence(
        &mut self,
        id: &str,
        member_ids: &BTreeSet<String>,
        turn: &mut Turn,
    ) -> Result<(), Refusal> {
        let mut draft = Draft::new(id, Cow::Borrowed(self.consumer_group(id)?), turn);
        let downgrades = draft.fence(member_ids);
        draft.decided(turn)?;
        if downgrades {
            self.downgraded(id, true, turn);
        } else if let Some(timers) = self.timers.get_mut(id) {
            for member_id in member_ids {
                timers.forget(member_id);
            }
        }
        Ok(())
    }

    /// Does the first thing that is due of a consumer group.
    pub(in crate::coordinator::group) fn expire_consumer(
        &mut self,
        id: &Arc<str>,
        turn: &mut Turn,
    ) {
        let Some(timers) = self.timers.get_mut(id) else { return };
        if timers.resolve_at_ms <= turn.now_ms {
            timers.resolve_at_ms = NEVER_MS;
            return self.resolve_regexes(id, turn);
        }
        let Some((member_id, due)) = timers.take_due(turn.now_ms) else { return };
        let member = self.consumer_group(id).ok().and_then(|group| group.members.get(&member_id));
        let Some(member) = member else {
            return self.timers_of(id).forget(&member_id);
        };
        if matches!(due, Due::Revocation(epoch) if epoch != member.epoch) {
            return;
        }
        let (group, reason) = (&**id, due.reason());
        tracing::info!(group, member = %member_id, reason, "member is taken out of the group");
        if let Err(refusal) = self.fence(id, &[member_id].into(), turn) {
            tracing::warn!(group, reason = %refusal.message, "member cannot be taken out");
        }
    }

    /// Sessions begin anew after a restart, and so does the time to give partitions back.
    pub(in crate::coordinator::group) fn begin_sessions(&mut self, id: &Arc<str>, turn: &Turn) {
        let Ok(group) = self.consumer_group(id) else { return };
        let session_ms = turn.settings_of(id).consumer.session_timeout_ms;
        let after = |timeout_ms: i32| turn.now_ms.saturating_add(i64::from(timeout_ms));
        let mut timers = Timers::default();
        for (member_id, member) in &group.members {
            timers.session(member_id, after(session_ms));
            if member.state == MemberState::Unrevoked {
                timers.revocation(member_id, member.epoch, after(member.rebalance_timeout_ms));
            }
        }
        self.timers.insert(id.clone(), timers);
    }

    fn resolve_regexes(&mut self, id: &str, turn: &mut Turn) {
        let Ok(group) = self.consumer_group(id) else { return };
        let mut draft = Draft::new(id, Cow::Borrowed(group), turn);
        draft.resolve();
        match draft.decided(turn) {
            Ok(decided) => {
                let timers = self.timers_of(id);
                timers.seen_version = decided.seen_version.or(timers.seen_version);
            }
            Err(refusal) => {
                let reason = refusal.message;
                tracing::warn!(group = id, reason, "topics of regular expressions are not known");
            }
        }
    }
}

impl Draft<'_> {
    /// Writes that these members are gone. True if the group becomes a classic one.
    fn fence(&mut self, ids: &BTreeSet<String>) -> bool {
        let stays = |(id, _): &(&String, &Member)| !ids.contains(*id);
        let staying: BTreeSet<&str> =
            self.group.members.iter().filter(stays).map(|(id, _)| id.as_str()).collect();
        if self.may_downgrade(&staying)
            && let Some(records) = self.downgrade_records(&staying)
        {
            self.records.extend(records);
            return true;
        }
        for id in ids {
            self.write(ConsumerRecord::Current(id.clone(), None));
            self.write(ConsumerRecord::Target(id.clone(), None));
            self.write(ConsumerRecord::Member(id.clone(), None));
        }
        let members = || self.group.members.iter().filter(stays).map(|(_, member)| member);
        let kept: BTreeSet<&str> = members().filter_map(Member::regex).collect();
        let gone = ids.iter().filter_map(|id| self.group.members.get(id)?.regex());
        let dropped: BTreeSet<&str> = gone.filter(|regex| !kept.contains(regex)).collect();
        let topics = self.group.topics_read(members(), &dropped);
        let hash = metadata_hash(&topics, &self.image);
        let dropped: Vec<String> = dropped.into_iter().map(str::to_owned).collect();
        for regex in dropped {
            self.write(ConsumerRecord::Regex(regex, None));
        }
        self.write(epoch_record(self.group.epoch.saturating_add(1), hash));
        false
    }
}
