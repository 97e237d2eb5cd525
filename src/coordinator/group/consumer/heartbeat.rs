//! ConsumerGroupHeartbeat: a member joins, stays or leaves
//! (Kafka: `GroupMetadataManager.consumerGroupHeartbeat`, `consumerGroupLeave`).

use super::super::command::Caller;
use super::super::machine::GroupMachine;
use super::super::record::Record;
use super::super::turn::Turn;
use super::draft::Draft;
use super::member::{JOIN_EPOCH, LEAVE_EPOCH, Member, STATIC_LEAVE_EPOCH};
use super::subscription::RegexChange;
use super::timers::Timers;
use super::{ConsumerGroup, ConsumerRecord, Refusal, target_record};
use crate::config::ConsumerGroupConfig;
use crate::env::Random;
use crate::metadata::base64;
use crate::wire::ErrorCode;
use crate::wire::messages::consumer_group_heartbeat::{
    ConsumerGroupHeartbeatRequest, ConsumerGroupHeartbeatResponse, TopicPartitions,
};

/// First version in which members make their ids themselves (KIP-1082).
const OWN_MEMBER_ID_VERSION: i16 = 1;

/// A refused heartbeat.
pub fn heartbeat_refused(
    error: ErrorCode,
    message: Option<String>,
) -> ConsumerGroupHeartbeatResponse {
    let error_code = error.code();
    ConsumerGroupHeartbeatResponse { error_code, error_message: message, ..Default::default() }
}

/// Checks what can be checked without the group.
fn check(
    request: &ConsumerGroupHeartbeatRequest,
    version: i16,
    settings: &ConsumerGroupConfig,
) -> Result<(), Refusal> {
    let invalid = |message: &str| Err(Refusal::new(ErrorCode::InvalidRequest, message));
    // Java's `String.trim`: blanks and control characters.
    let is_blank = |text: &str| text.chars().all(|character| character <= ' ');
    let epoch = request.member_epoch;
    let needs_id = version >= OWN_MEMBER_ID_VERSION || epoch > 0 || epoch == LEAVE_EPOCH;
    if needs_id && is_blank(&request.member_id) {
        return invalid("MemberId can't be empty.");
    }
    if is_blank(&request.group_id) {
        return invalid("GroupId can't be empty.");
    }
    if request.instance_id.as_deref().is_some_and(is_blank) {
        return invalid("InstanceId can't be empty.");
    }
    if request.rack_id.as_deref().is_some_and(is_blank) {
        return invalid("RackId can't be empty.");
    }
    if epoch == JOIN_EPOCH {
        if request.rebalance_timeout_ms == -1 {
            return invalid("RebalanceTimeoutMs must be provided in first request.");
        }
        if request.topic_partitions.as_ref().is_none_or(|owned| !owned.is_empty()) {
            return invalid("TopicPartitions must be empty when (re-)joining.");
        }
        if request.subscribed_topic_names.is_none() && request.subscribed_topic_regex.is_none() {
            return invalid(
                "Either SubscribedTopicNames or SubscribedTopicRegex must be non-null when \
                 (re-)joining.",
            );
        }
    } else if epoch == STATIC_LEAVE_EPOCH && request.instance_id.is_none() {
        return invalid("InstanceId can't be null.");
    } else if epoch < STATIC_LEAVE_EPOCH {
        return invalid("MemberEpoch is invalid.");
    }
    match request.server_assignor.as_deref() {
        Some(name) if !settings.assignors.contains(&name) => {
            let message = format!(
                "ServerAssignor {name} is not supported. Supported assignors: {}.",
                settings.assignors.join(", ")
            );
            Err(Refusal::new(ErrorCode::UnsupportedAssignor, message))
        }
        _ => Ok(()),
    }
}

impl GroupMachine {
    /// A member of a consumer group is there, or leaves.
    pub(in crate::coordinator::group) fn consumer_heartbeat(
        &mut self,
        caller: Caller,
        request: &ConsumerGroupHeartbeatRequest,
        turn: &mut Turn,
    ) -> ConsumerGroupHeartbeatResponse {
        let leaves = [LEAVE_EPOCH, STATIC_LEAVE_EPOCH].contains(&request.member_epoch);
        let answer = check(request, caller.version, &turn.settings.consumer).and_then(|()| {
            if leaves {
                self.leave_consumer(request, turn)
            } else {
                self.stay(caller, request, turn)
            }
        });
        answer.unwrap_or_else(|Refusal { error, message }| {
            if error == ErrorCode::UnknownServerError {
                // Kafka keeps to itself what went wrong within.
                tracing::warn!(group = request.group_id, reason = message, "heartbeat refused");
                return heartbeat_refused(error, None);
            }
            heartbeat_refused(error, Some(message))
        })
    }

    fn stay(
        &mut self,
        caller: Caller,
        request: &ConsumerGroupHeartbeatRequest,
        turn: &mut Turn,
    ) -> Result<ConsumerGroupHeartbeatResponse, Refusal> {
        let id = request.group_id.as_str();
        let joins = request.member_epoch == JOIN_EPOCH;
        let mut draft = self.draft_consumer(id, joins, turn)?;
        let none = Timers::default();
        let timers = self.timers.get(id).unwrap_or(&none);
        let stayed = Stay { request, caller }.decide(&mut draft, timers, &turn.random)?;
        let (member_id, member, response) = stayed;
        let session_ms = i64::from(draft.settings.consumer.session_timeout_ms);
        let decided = draft.decided(turn)?;
        self.answer_classic_members(id, turn);
        let timers = self.timers_of(id);
        decided.set_timers(&member_id, &member, timers);
        timers.session(&member_id, turn.now_ms.saturating_add(session_ms));
        let next_ms = match decided.upgraded.is_empty() {
            true => timers.next_of(&member_id),
            false => timers.next(),
        };
        self.requeue_by(id, next_ms);
        Ok(response)
    }

    fn leave_consumer(
        &mut self,
        request: &ConsumerGroupHeartbeatRequest,
        turn: &mut Turn,
    ) -> Result<ConsumerGroupHeartbeatResponse, Refusal> {
        let (id, member_id) = (request.group_id.as_str(), request.member_id.as_str());
        let group = self.consumer_group(id)?;
        let response = ConsumerGroupHeartbeatResponse {
            member_id: Some(member_id.to_owned()),
            member_epoch: request.member_epoch,
            ..Default::default()
        };
        let Some(instance_id) = request.instance_id.as_deref() else {
            group.member(member_id, id)?;
            tracing::info!(group = id, member = member_id, "member left the consumer group");
            self.fence(id, &[member_id.to_owned()].into(), turn)?;
            return Ok(response);
        };
        let (owner, member) = static_owner(group, instance_id)?;
        check_owner(owner, member_id, instance_id)?;
        if request.member_epoch != STATIC_LEAVE_EPOCH {
            tracing::info!(group = id, member = member_id, "static member left the consumer group");
            self.fence(id, &[member_id.to_owned()].into(), turn)?;
            return Ok(response);
        }
        tracing::info!(group = id, member = member_id, "static member left for a while");
        let mut away = member.clone();
        away.epoch = STATIC_LEAVE_EPOCH;
        away.revoking.clear();
        for since in away.assigned.values_mut().flat_map(|partitions| partitions.values_mut()) {
            *since = 0;
        }
        let record = Record::Consumer(id.to_owned(), away.to_current_record(member_id));
        turn.write_all(vec![record])?;
        Ok(response)
    }
}

/// The member that owns the instance id, and its id.
pub(super) fn static_owner<'g>(
    group: &'g ConsumerGroup,
    instance_id: &str,
) -> Result<(&'g str, &'g Member), Refusal> {
    group.static_member(instance_id).ok_or_else(|| {
        Refusal::new(ErrorCode::UnknownMemberId, format!("Instance id {instance_id} is unknown."))
    })
}

pub(super) fn check_owner(owner: &str, member_id: &str, instance_id: &str) -> Result<(), Refusal> {
    if owner == member_id {
        return Ok(());
    }
    let message = format!(
        "Static member {member_id} with instance id {instance_id} was fenced by member {owner}."
    );
    Err(Refusal::new(ErrorCode::FencedInstanceId, message))
}

/// A heartbeat of a member that stays, or joins.
struct Stay<'a> {
    request: &'a ConsumerGroupHeartbeatRequest,
    caller: Caller,
}

impl Stay<'_> {
    fn decide(
        self,
        draft: &mut Draft,
        timers: &Timers,
        random: &Random,
    ) -> Result<(String, Member, ConsumerGroupHeartbeatResponse), Refusal> {
        let request = self.request;
        draft.check_room(&request.member_id)?;
        let id = match request.member_id.as_str() {
            "" => base64(random.uuid()),
            id => id.to_owned(),
        };
        let old = self.find_member(draft, &id)?;
        let new = self.updated(&old);
        let names_changed = draft.update_member(&id, &old, &new);
        let regex = draft.update_regex(&id, &old, &new, timers)?;
        let bump = names_changed || regex == RegexChange::Resolved;
        let epoch = draft.refresh_metadata(&id, &old, &new, bump, timers);
        let (target_epoch, target) = draft.retarget(&id, &new, epoch)?;
        let changed = names_changed || regex != RegexChange::None;
        let owned = request.topic_partitions.as_deref();
        let new = draft.reconcile(&id, new, (target_epoch, &target), changed, owned)?;
        let says_all = request.rebalance_timeout_ms != -1
            && (request.subscribed_topic_names.is_some()
                || request.subscribed_topic_regex.is_some())
            && owned.is_some();
        let is_told =
            request.member_epoch == JOIN_EPOCH || says_all || old.assigned != new.assigned;
        let response = ConsumerGroupHeartbeatResponse {
            member_id: Some(id.clone()),
            member_epoch: new.epoch,
            heartbeat_interval_ms: draft.settings.consumer.heartbeat_interval_ms,
            assignment: is_told.then(|| new.told_assignment()),
            ..Default::default()
        };
        Ok((id, new, response))
    }

    /// The member as it is, or as it begins.
    fn find_member(&self, draft: &mut Draft, id: &str) -> Result<Member, Refusal> {
        let joins = self.request.member_epoch == JOIN_EPOCH;
        match self.request.instance_id.as_deref() {
            None if joins => Ok(draft.group.members.get(id).cloned().unwrap_or_default()),
            None => {
                let member = draft.group.member(id, draft.id)?;
                self.check_epoch(member)?;
                Ok(member.clone())
            }
            Some(instance_id) if joins => draft.join_static(id, instance_id, false),
            Some(instance_id) => {
                let (owner, member) = static_owner(&draft.group, instance_id)?;
                check_owner(owner, id, instance_id)?;
                self.check_epoch(member)?;
                Ok(member.clone())
            }
        }
    }

    /// A member that comes with the epoch before may have missed the answer that raised it.
    fn check_epoch(&self, member: &Member) -> Result<(), Refusal> {
        let (epoch, known) = (self.request.member_epoch, member.epoch);
        let missed_answer = epoch == member.previous_epoch
            && has_only_assigned(self.request.topic_partitions.as_deref(), member);
        let differs = match epoch.cmp(&known) {
            std::cmp::Ordering::Equal => return Ok(()),
            std::cmp::Ordering::Less if missed_answer => return Ok(()),
            std::cmp::Ordering::Less => "smaller",
            std::cmp::Ordering::Greater => "greater",
        };
        let message = format!(
            "The consumer group member has a {differs} member epoch ({epoch}) than the one known \
             by the group coordinator ({known}). The member must abandon all its partitions and \
             rejoin."
        );
        Err(Refusal::new(ErrorCode::FencedMemberEpoch, message))
    }

    fn updated(&self, member: &Member) -> Member {
        let request = self.request;
        let mut member = member.clone();
        let keep = |new: &Option<String>, old: &mut Option<String>| {
            if new.is_some() {
                old.clone_from(new);
            }
        };
        keep(&request.instance_id, &mut member.instance_id);
        keep(&request.rack_id, &mut member.rack_id);
        keep(&request.server_assignor, &mut member.server_assignor);
        keep(&request.subscribed_topic_regex, &mut member.regex);
        if request.rebalance_timeout_ms != -1 {
            member.rebalance_timeout_ms = request.rebalance_timeout_ms;
        }
        if let Some(names) = &request.subscribed_topic_names {
            member.subscribed = names.iter().cloned().collect();
        }
        member.client_id.clone_from(&self.caller.client_id);
        member.client_host.clone_from(&self.caller.client_host);
        member.classic = None;
        member
    }
}

fn has_only_assigned(owned: Option<&[TopicPartitions]>, member: &Member) -> bool {
    owned.is_some_and(|owned| {
        owned.iter().all(|topic| {
            let assigned = member.assigned.get(&topic.topic_id);
            assigned.is_some_and(|assigned| {
                topic.partitions.iter().all(|partition| assigned.contains_key(partition))
            })
        })
    })
}

impl Draft<'_> {
    /// Whether somebody may come who is not a member yet.
    pub(super) fn check_room(&self, member_id: &str) -> Result<(), Refusal> {
        let most = self.settings.consumer.max_size;
        if self.group.members.len() < most || self.group.members.contains_key(member_id) {
            return Ok(());
        }
        let message =
            format!("The consumer group has reached its maximum capacity of {most} members.");
        Err(Refusal::new(ErrorCode::GroupMaxSizeReached, message))
    }

    /// A static member joins. It takes the place of the one that had its instance id, if that has
    /// left for a while or one of the two uses the classic protocol.
    pub(super) fn join_static(
        &mut self,
        id: &str,
        instance_id: &str,
        uses_classic: bool,
    ) -> Result<Member, Refusal> {
        let Some((owner, known)) = self.group.static_member(instance_id) else {
            return Ok(self.group.members.get(id).cloned().unwrap_or_default());
        };
        if !uses_classic && !known.uses_classic() && known.epoch != STATIC_LEAVE_EPOCH {
            let message = format!(
                "Static member {id} with instance id {instance_id} cannot join the group because \
                 the instance id is owned by {owner} member."
            );
            return Err(Refusal::new(ErrorCode::UnreleasedInstanceId, message));
        }
        let mut member = known.clone();
        member.epoch = JOIN_EPOCH;
        member.previous_epoch = JOIN_EPOCH;
        let target = self.group.target(owner).cloned().unwrap_or_default();
        let owner = owner.to_owned();
        self.change(ConsumerRecord::Current(owner.clone(), None));
        self.change(ConsumerRecord::Target(owner.clone(), None));
        self.change(ConsumerRecord::Member(owner, None));
        self.change(member.to_record(id));
        self.change(target_record(id, &target));
        self.change(member.to_current_record(id));
        Ok(member)
    }
}
