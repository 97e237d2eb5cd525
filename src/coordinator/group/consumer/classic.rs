//! Members of a consumer group that use the classic protocol: JoinGroup, SyncGroup, Heartbeat and
//! LeaveGroup (Kafka: `GroupMetadataManager.classicGroupJoinToConsumerGroup` and the like).
//!
//! The coordinator assigns for them as for the others. REBALANCE_IN_PROGRESS makes them say by a
//! join what they have, and by the next one that they have given back what they were to.

use std::borrow::Cow;
use std::collections::BTreeSet;

use super::super::classic::{CONSUMER_PROTOCOL, NEVER_MS};
use super::super::command::Reply;
use super::super::join::{Join, MEMBER_ID_REQUIRED_VERSION, refused};
use super::super::machine::GroupMachine;
use super::super::membership::left;
use super::super::turn::Turn;
use super::draft::Draft;
use super::heartbeat::{check_owner, static_owner};
use super::member::{Member, MemberState};
use super::migrate::classic_metadata;
use super::protocol::{self, ConsumerProtocolSubscription, assignment_bytes};
use super::subscription::RegexChange;
use super::timers::Timers;
use super::{ConsumerGroup, Refusal};
use crate::metadata::base64;
use crate::wire::ErrorCode;
use crate::wire::messages::heartbeat::HeartbeatRequest;
use crate::wire::messages::join_group::JoinGroupResponse;
use crate::wire::messages::leave_group::{LeaveGroupRequest, MemberIdentity, MemberResponse};
use crate::wire::messages::sync_group::{SyncGroupRequest, SyncGroupResponse};

/// What became of a join.
struct Joined {
    id: String,
    member: Member,
    /// The group becomes a classic one, which has to rebalance (true) or not.
    downgrades: Option<bool>,
}

impl GroupMachine {
    /// A member joins a consumer group that has members.
    pub(in crate::coordinator::group) fn join_consumer(&mut self, mut join: Join, turn: &mut Turn) {
        let ticket = join.ticket;
        let answer = self.try_join_consumer(&mut join, turn);
        let answer = answer.unwrap_or_else(|refusal| {
            tracing::debug!(reason = refusal.message, "join refused");
            refused(refusal.error, "")
        });
        turn.reply(ticket, Reply::Join(answer));
    }

    fn try_join_consumer(
        &mut self,
        join: &mut Join,
        turn: &mut Turn,
    ) -> Result<JoinGroupResponse, Refusal> {
        let id = join.request.group_id.clone();
        let is_new = join.request.member_id.is_empty();
        if is_new {
            join.request.member_id = base64(turn.random.uuid());
        }
        let group = self.consumer_group(&id)?;
        let mut draft = Draft::new(&id, Cow::Borrowed(group), turn);
        draft.check_room(&join.request.member_id)?;
        check_protocols(group, join)?;
        if is_new
            && join.request.group_instance_id.is_none()
            && join.caller.version >= MEMBER_ID_REQUIRED_VERSION
        {
            return Ok(refused(ErrorCode::MemberIdRequired, &join.request.member_id));
        }
        let none = Timers::default();
        let timers = self.timers.get(id.as_str()).unwrap_or(&none);
        let joined = draft.join_classic(join, is_new, timers)?;
        let decided = draft.decided(turn)?;
        let answer = JoinGroupResponse {
            generation_id: joined.member.epoch,
            protocol_type: Some(CONSUMER_PROTOCOL.to_owned()),
            protocol_name: joined.member.classic_protocol().map(str::to_owned),
            member_id: joined.id.clone(),
            ..Default::default()
        };
        if let Some(rebalance) = joined.downgrades {
            self.downgraded(&id, rebalance, turn);
            return Ok(answer);
        }
        let timers = self.timers_of(&id);
        decided.set_timers(&joined.id, &joined.member, timers);
        let after = |timeout_ms: i32| turn.now_ms.saturating_add(i64::from(timeout_ms));
        timers.joined(&joined.id);
        timers.session(&joined.id, after(join.request.session_timeout_ms));
        timers.sync(&joined.id, after(join.request.rebalance_timeout_ms));
        let next_ms = timers.next_of(&joined.id);
        self.requeue_by(&id, next_ms);
        Ok(answer)
    }

    /// A member asks for its assignment.
    pub(in crate::coordinator::group) fn sync_consumer(
        &mut self,
        request: &SyncGroupRequest,
        turn: &Turn,
    ) -> SyncGroupResponse {
        let instance_id = request.group_instance_id.as_deref();
        let synced = self.classic_member(&request.group_id, &request.member_id, instance_id);
        let assignment = synced.and_then(|(group, member)| {
            check_generation(member, request.generation_id)?;
            check_protocol(member, request)?;
            let catches_up = member.state == MemberState::Unrevoked;
            let timeout_ms = member.rebalance_timeout_ms;
            if group.target_epoch > member.epoch && !catches_up {
                return Err((ErrorCode::RebalanceInProgress, Some(timeout_ms)));
            }
            let classic = member.classic.as_ref();
            let metadata = classic.and_then(|it| Some(&it.supported_protocols.first()?.metadata));
            let version = metadata.and_then(|metadata| protocol::version(metadata).ok());
            let version = version.ok_or((ErrorCode::UnknownServerError, None))?;
            let assigned = member
                .assigned
                .iter()
                .map(|(topic_id, partitions)| (*topic_id, partitions.keys().copied().collect()));
            let bytes = assignment_bytes(&assigned.collect(), &turn.image, version);
            Ok((bytes, classic.map_or(0, |classic| classic.session_timeout_ms)))
        });
        let (id, member_id) = (request.group_id.as_str(), request.member_id.as_str());
        match assignment {
            Ok((assignment, session_timeout_ms)) => {
                self.timers_of(id).sync(member_id, NEVER_MS);
                self.set_session(id, member_id, session_timeout_ms, turn);
                SyncGroupResponse {
                    protocol_type: request.protocol_type.clone(),
                    protocol_name: request.protocol_name.clone(),
                    assignment,
                    ..Default::default()
                }
            }
            Err((error, join_timeout_ms)) => {
                self.expect_join(id, member_id, join_timeout_ms, turn);
                SyncGroupResponse { error_code: error.code(), ..Default::default() }
            }
        }
    }

    /// A member is alive.
    pub(in crate::coordinator::group) fn heartbeat_consumer(
        &mut self,
        request: &HeartbeatRequest,
        turn: &Turn,
    ) -> ErrorCode {
        let (id, member_id) = (request.group_id.as_str(), request.member_id.as_str());
        let instance_id = request.group_instance_id.as_deref();
        let checked =
            self.classic_member(id, member_id, instance_id).and_then(|(group, member)| {
                check_generation(member, request.generation_id)?;
                let must_join = member.epoch < group.target_epoch
                    || member.state == MemberState::Unrevoked
                    || (member.state == MemberState::Unreleased
                        && !group.awaits_partitions(member_id, member));
                let session_timeout_ms =
                    member.classic.as_ref().map_or(0, |it| it.session_timeout_ms);
                Ok((session_timeout_ms, must_join.then_some(member.rebalance_timeout_ms)))
            });
        match checked {
            Ok((session_timeout_ms, join_timeout_ms)) => {
                self.set_session(id, member_id, session_timeout_ms, turn);
                self.expect_join(id, member_id, join_timeout_ms, turn);
                match join_timeout_ms {
                    Some(_) => ErrorCode::RebalanceInProgress,
                    None => ErrorCode::None,
                }
            }
            Err((error, _)) => error,
        }
    }

    /// Members leave, each for itself; those of the consumer protocol may be made to.
    pub(in crate::coordinator::group) fn leave_consumers(
        &mut self,
        request: &LeaveGroupRequest,
        turn: &mut Turn,
    ) -> Vec<MemberResponse> {
        let id = request.group_id.as_str();
        let mut leaving = BTreeSet::new();
        let mut answers = Vec::new();
        for member in &request.members {
            let found = self.consumer_group(id).and_then(|group| leaving_member(group, id, member));
            let error = found.as_ref().err().map_or(ErrorCode::None, |refusal| refusal.error);
            answers.push(left(member, error));
            leaving.extend(found);
        }
        if !leaving.is_empty()
            && let Err(refusal) = self.fence(id, &leaving, turn)
        {
            let members = request.members.iter();
            return members.map(|member| left(member, refusal.error)).collect();
        }
        answers
    }

    /// A member of the classic protocol, and its group.
    fn classic_member(
        &self,
        id: &str,
        member_id: &str,
        instance_id: Option<&str>,
    ) -> Result<(&ConsumerGroup, &Member), (ErrorCode, Option<i32>)> {
        let find = || {
            let group = self.consumer_group(id)?;
            let Some(instance_id) = instance_id else {
                return Ok((group, group.member(member_id, id)?));
            };
            let (owner, member) = static_owner(group, instance_id)?;
            check_owner(owner, member_id, instance_id)?;
            Ok((group, member))
        };
        let (group, member) = find().map_err(|refusal: Refusal| (refusal.error, None))?;
        if !member.uses_classic() {
            return Err((ErrorCode::UnknownMemberId, None));
        }
        Ok((group, member))
    }

    fn set_session(&mut self, id: &str, member_id: &str, timeout_ms: i32, turn: &Turn) {
        let ends_ms = turn.now_ms.saturating_add(i64::from(timeout_ms));
        self.timers_of(id).session(member_id, ends_ms);
        self.requeue_by(id, ends_ms);
    }

    /// The member has been told to join again.
    fn expect_join(&mut self, id: &str, member_id: &str, timeout_ms: Option<i32>, turn: &Turn) {
        if let Some(timeout_ms) = timeout_ms {
            let ends_ms = turn.now_ms.saturating_add(i64::from(timeout_ms));
            self.timers_of(id).join(member_id, ends_ms);
            self.requeue_by(id, ends_ms);
        }
    }
}

fn leaving_member(
    group: &ConsumerGroup,
    id: &str,
    leaving: &MemberIdentity,
) -> Result<String, Refusal> {
    let Some(instance_id) = leaving.group_instance_id.as_deref() else {
        group.member(&leaving.member_id, id)?;
        return Ok(leaving.member_id.clone());
    };
    let (owner, _) = static_owner(group, instance_id)?;
    // An administrator names the instance alone.
    if !leaving.member_id.is_empty() {
        check_owner(owner, &leaving.member_id, instance_id)?;
    }
    Ok(owner.to_owned())
}

fn check_generation(member: &Member, generation_id: i32) -> Result<(), (ErrorCode, Option<i32>)> {
    match generation_id == member.epoch {
        true => Ok(()),
        false => Err((ErrorCode::IllegalGeneration, None)),
    }
}

fn check_protocol(
    member: &Member,
    request: &SyncGroupRequest,
) -> Result<(), (ErrorCode, Option<i32>)> {
    let differs = |asked: &Option<String>, own: Option<&str>| {
        asked.as_deref().is_some_and(|asked| Some(asked) != own)
    };
    if differs(&request.protocol_type, Some(CONSUMER_PROTOCOL))
        || differs(&request.protocol_name, member.classic_protocol())
    {
        return Err((ErrorCode::InconsistentGroupProtocol, None));
    }
    Ok(())
}

/// One of the protocols must be supported by every member that uses the classic protocol.
fn check_protocols(group: &ConsumerGroup, join: &Join) -> Result<(), Refusal> {
    let classic = || group.members.values().filter_map(|member| member.classic.as_ref());
    let by_all = |name: &str| {
        classic().all(|member| member.supported_protocols.iter().any(|one| one.name == name))
    };
    if join.request.protocol_type == CONSUMER_PROTOCOL
        && join.protocols.iter().any(|(name, _)| by_all(name))
    {
        return Ok(());
    }
    let message = format!("Member {}'s protocols are not supported.", join.request.member_id);
    Err(Refusal::new(ErrorCode::InconsistentGroupProtocol, message))
}

impl ConsumerGroup {
    /// Whether others still have what the member is to have.
    fn awaits_partitions(&self, member_id: &str, member: &Member) -> bool {
        self.target(member_id).into_iter().flatten().any(|(topic_id, partitions)| {
            let assigned = member.assigned.get(topic_id);
            let has = |partition: &i32| assigned.is_some_and(|it| it.contains_key(partition));
            partitions
                .iter()
                .any(|partition| !has(partition) && self.is_owned(*topic_id, *partition))
        })
    }
}

impl Draft<'_> {
    fn join_classic(
        &mut self,
        join: &Join,
        is_new: bool,
        timers: &Timers,
    ) -> Result<Joined, Refusal> {
        let id = join.request.member_id.clone();
        let downgrades = self.last_consumer_is_replaced(join);
        let old = match join.request.group_instance_id.as_deref() {
            None => self.group.members.get(&id).cloned().unwrap_or_default(),
            Some(instance_id) if is_new => self.join_static(&id, instance_id, true)?,
            Some(instance_id) => {
                let (owner, member) = static_owner(&self.group, instance_id)?;
                check_owner(owner, &id, instance_id)?;
                member.clone()
            }
        };
        let subscription = join.protocols.first().map(|(_, metadata)| protocol::read(metadata));
        let Some(Ok(subscription)) = subscription else {
            let message = "Malformed embedded consumer protocol in subscription deserialization.";
            return Err(Refusal::new(ErrorCode::UnknownServerError, message));
        };
        let new = updated(&old, join, &subscription);
        let names_changed = self.update_member(&id, &old, &new);
        let regex = self.update_regex(&id, &old, &new, timers)?;
        let changed = names_changed || regex != RegexChange::None;
        let epoch = self.refresh_metadata(&id, &old, &new, changed, timers);
        let owned = subscription.owned(&self.image);
        if downgrades {
            return self.join_downgraded(id, new, epoch, changed, &owned);
        }
        let (target_epoch, target) = self.retarget(&id, &new, epoch)?;
        let member = self.reconcile(&id, new, (target_epoch, &target), changed, Some(&owned))?;
        Ok(Joined { id, member, downgrades: None })
    }

    /// With this join no member of the consumer protocol is left.
    fn last_consumer_is_replaced(&self, join: &Join) -> bool {
        let instance_id = join.request.group_instance_id.as_deref();
        let owner = instance_id.and_then(|instance_id| self.group.static_member(instance_id));
        let Some((owner, member)) = owner else { return false };
        let mut others = self.group.members.iter().filter(|(id, _)| *id != owner);
        !member.uses_classic()
            && others.all(|(_, member)| member.uses_classic())
            && self.settings.consumer.migration_policy.downgrades()
            && self.group.members.len() <= self.settings.max_size
    }

    fn join_downgraded(
        &mut self,
        id: String,
        member: Member,
        epoch: i32,
        changed: bool,
        owned: &[crate::wire::messages::consumer_group_heartbeat::TopicPartitions],
    ) -> Result<Joined, Refusal> {
        let rebalance = self.group.target_epoch < epoch;
        let mut joined = member;
        if !rebalance {
            let target = self.group.target(&id).cloned().unwrap_or_default();
            let target = (self.group.target_epoch, &target);
            joined = self.reconcile(&id, joined, target, changed, Some(owned))?;
        }
        // The group that becomes a classic one is the one with this member in it.
        let group = self.group.to_mut();
        group.epoch = epoch;
        group.members.insert(id.clone(), joined.clone());
        let members = self.group.members.keys();
        let staying: BTreeSet<&str> = members.map(String::as_str).collect();
        let Some(records) = self.downgrade_records(&staying) else {
            let message = format!("Cannot downgrade the classic group {}.", self.id);
            return Err(Refusal::new(ErrorCode::GroupIdNotFound, message));
        };
        self.records.extend(records);
        Ok(Joined { id, member: joined, downgrades: Some(rebalance) })
    }
}

fn updated(member: &Member, join: &Join, subscription: &ConsumerProtocolSubscription) -> Member {
    let request = &join.request;
    let mut member = member.clone();
    if request.group_instance_id.is_some() {
        member.instance_id.clone_from(&request.group_instance_id);
    }
    if let Some(rack_id) = subscription.rack_id.as_ref().filter(|rack_id| !rack_id.is_empty()) {
        member.rack_id = Some(rack_id.clone());
    }
    if request.rebalance_timeout_ms != -1 {
        member.rebalance_timeout_ms = request.rebalance_timeout_ms;
    }
    member.subscribed = subscription.topics.iter().cloned().collect();
    member.regex = Some(String::new());
    member.client_id.clone_from(&join.caller.client_id);
    member.client_host.clone_from(&join.caller.client_host);
    member.classic = Some(classic_metadata(request.session_timeout_ms, &join.protocols));
    member
}
