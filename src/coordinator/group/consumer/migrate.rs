//! A classic group becomes a consumer group with the first member of the consumer protocol, and a
//! classic one again when the last of those leaves
//! (Kafka: `GroupMetadataManager.convertToConsumerGroup`, `convertToClassicGroup`).
//!
//! Members of the classic protocol stay what they are: with their generation as epoch, and with
//! their assignment.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use bytes::Bytes;

use super::super::classic::{self, CONSUMER_PROTOCOL, Group};
use super::super::command::Reply;
use super::super::join::refused;
use super::super::machine::{AnyGroup, GroupMachine};
use super::super::record::Record;
use super::super::turn::Turn;
use super::assignor::Assignment;
use super::draft::Draft;
use super::member::{Member, owned_since};
use super::protocol::{
    self, ConsumerProtocolAssignment, ConsumerProtocolSubscription, assignment_bytes,
};
use super::subscription::metadata_hash;
use super::{
    ConsumerGroup, ConsumerRecord, Refusal, epoch_record, target_epoch_record, target_record,
};
use crate::config::GroupConfig;
use crate::metadata::MetadataImage;
use crate::wire::ErrorCode;
use crate::wire::records::{ClassicMemberMetadata, ClassicProtocol};

/// Groups that their last record made classic ones, which may still have to rebalance: what the
/// consumers that left had is nobody's until then. The record does not say so, but in the log it
/// stands right behind the tombstone of the consumer group, also when that was compacted.
#[derive(Debug, Default)]
pub(in crate::coordinator::group) struct Downgrades {
    /// The last consumer group that was removed, and where that stands.
    removed: Option<(String, i64)>,
    groups: BTreeSet<String>,
}

impl Downgrades {
    pub(in crate::coordinator::group) fn consumer_group_removed(&mut self, id: &str, offset: i64) {
        self.removed = Some((id.to_owned(), offset));
    }

    /// A record of a classic group, with its members.
    pub(in crate::coordinator::group) fn classic_group(
        &mut self,
        id: &str,
        members: usize,
        offset: i64,
    ) {
        let removed = self.removed.take();
        let was_consumer = removed.is_some_and(|(of, at)| of == id && at + 1 == offset);
        if was_consumer && members > 0 {
            self.groups.insert(id.to_owned());
        } else {
            self.groups.remove(id);
        }
    }

    pub(in crate::coordinator::group) fn has(&self, id: &str) -> bool {
        self.groups.contains(id)
    }
}

impl GroupMachine {
    /// The consumer group that a heartbeat is for; one that joins makes it, also of a classic group.
    pub(super) fn draft_consumer<'g>(
        &'g self,
        id: &'g str,
        joins: bool,
        turn: &Turn,
    ) -> Result<Draft<'g>, Refusal> {
        let not_found = |message| Refusal::new(ErrorCode::GroupIdNotFound, message);
        let new = || Draft::new(id, Cow::Owned(ConsumerGroup::default()), turn);
        match self.groups.get(id) {
            Some(AnyGroup::Consumer(group)) => Ok(Draft::new(id, Cow::Borrowed(group), turn)),
            None if joins => Ok(new()),
            None => Err(not_found(format!("Consumer group {id} not found."))),
            Some(AnyGroup::Classic(group)) if joins => {
                let mut draft = new();
                draft.records.push(Record::remove_group(id));
                if group.state != classic::State::Empty {
                    check_upgrade(group, &turn.settings)?;
                    draft.upgrades = true;
                    for record in upgrade_records(group, &turn.image)? {
                        draft.change(record);
                    }
                }
                Ok(draft)
            }
            Some(_) => Err(not_found(format!("Group {id} is not a consumer group."))),
        }
    }

    /// The group is about to be a consumer group: whoever is parked in it is told to join again.
    pub(super) fn answer_classic_members(&mut self, id: &str, turn: &mut Turn) {
        let Some(AnyGroup::Classic(group)) = self.groups.get_mut(id) else { return };
        for (member_id, member) in &mut group.members {
            if let Some(ticket) = member.joining.take() {
                let answer = refused(ErrorCode::RebalanceInProgress, member_id);
                turn.reply(ticket, Reply::Join(answer));
            }
            if let Some(ticket) = member.syncing.take() {
                turn.reply(ticket, Reply::sync_error(ErrorCode::RebalanceInProgress));
            }
        }
    }

    /// The group is about to be a classic group, whose members may be to join it again: then that
    /// begins with the next tick, when it is one.
    pub(super) fn downgraded(&mut self, id: &str, rebalance: bool, turn: &Turn) {
        tracing::info!(group = id, "the consumer group is a classic group again");
        let id: Arc<str> = id.into();
        self.timers.remove(&id);
        if rebalance {
            self.rebalance.insert(id.clone());
        }
        self.requeue_by(&id, turn.now_ms);
    }
}

fn check_upgrade(group: &Group, settings: &GroupConfig) -> Result<(), Refusal> {
    let why = if !settings.consumer.migration_policy.upgrades() {
        "online upgrade is disabled"
    } else if !group.is_consumer_group() {
        "the group does not use the consumer embedded protocol"
    } else if group.members.len() > settings.consumer.max_size {
        "the group size exceeds the consumer group maximum size"
    } else {
        return Ok(());
    };
    Err(cannot_upgrade(&group.id, why))
}

fn cannot_upgrade(id: &str, why: &str) -> Refusal {
    let message = format!("Cannot upgrade classic group {id} to consumer group because {why}.");
    Refusal::new(ErrorCode::GroupIdNotFound, message)
}

/// The consumer group that a classic group becomes.
fn upgrade_records(group: &Group, image: &MetadataImage) -> Result<Vec<ConsumerRecord>, Refusal> {
    // Before the first generation there is no protocol yet, but a member that could lead it.
    let protocol = group.protocol_name.as_deref().or_else(|| group.select_protocol());
    let malformed = || cannot_upgrade(&group.id, "the embedded consumer protocol is malformed");
    let mut members = BTreeMap::new();
    for (id, member) in &group.members {
        let subscription: ConsumerProtocolSubscription =
            protocol::read(&member.metadata(protocol)).map_err(|_| malformed())?;
        let target = if member.assignment.is_empty() {
            Assignment::new()
        } else {
            let assignment: ConsumerProtocolAssignment =
                protocol::read(&member.assignment).map_err(|_| malformed())?;
            if assignment.user_data.as_ref().is_some_and(|data| !data.is_empty()) {
                return Err(cannot_upgrade(
                    &group.id,
                    "an unsupported custom assignor is in use. Please refer to the documentation \
                     or switch to a default assignor before re-attempting the upgrade",
                ));
            }
            protocol::by_id(&assignment, image)
        };
        let upgraded = upgraded(member, subscription, &target, group.generation_id);
        members.insert(id, (upgraded, target));
    }
    let topics: BTreeSet<&str> = members
        .values()
        .flat_map(|(member, _)| member.subscribed.iter().map(String::as_str))
        .collect();
    let generation = group.generation_id;
    let mut records: Vec<_> =
        members.iter().map(|(id, (member, _))| member.to_record(id)).collect();
    records.push(epoch_record(generation, metadata_hash(&topics, image)));
    records.extend(members.iter().map(|(id, (_, target))| target_record(id, target)));
    records.push(target_epoch_record(generation, 0));
    records.extend(members.iter().map(|(id, (member, _))| member.to_current_record(id)));
    Ok(records)
}

fn upgraded(
    member: &classic::Member,
    subscription: ConsumerProtocolSubscription,
    target: &Assignment,
    generation: i32,
) -> Member {
    Member {
        instance_id: member.group_instance_id.clone(),
        rack_id: subscription.rack_id.filter(|rack_id| !rack_id.is_empty()),
        client_id: member.client_id.clone(),
        client_host: member.client_host.clone(),
        subscribed: subscription.topics.into_iter().collect(),
        rebalance_timeout_ms: member.rebalance_timeout_ms,
        classic: Some(classic_metadata(member.session_timeout_ms, &member.protocols)),
        epoch: generation,
        previous_epoch: generation,
        assigned: owned_since(target, generation),
        ..Default::default()
    }
}

pub(super) fn classic_metadata(
    session_timeout_ms: i32,
    protocols: &[(String, Bytes)],
) -> ClassicMemberMetadata {
    let protocols = protocols.iter();
    let supported_protocols = protocols
        .map(|(name, metadata)| ClassicProtocol { name: name.clone(), metadata: metadata.clone() })
        .collect();
    ClassicMemberMetadata { session_timeout_ms, supported_protocols }
}

impl Draft<'_> {
    /// Whether the group becomes a classic one when only these members stay.
    pub(super) fn may_downgrade(&self, staying: &BTreeSet<&str>) -> bool {
        let classic = |id: &&str| self.group.members.get(*id).is_some_and(Member::uses_classic);
        !staying.is_empty()
            && staying.iter().all(classic)
            && self.settings.consumer.migration_policy.downgrades()
            && staying.len() <= self.settings.max_size
    }

    /// What makes the group a classic one of these members, each with what it was to have. None if
    /// their subscriptions cannot be read.
    pub(super) fn downgrade_records(&self, staying: &BTreeSet<&str>) -> Option<Vec<Record>> {
        let mut group = Group::new(self.id.into(), self.now_ms);
        group.generation_id = self.group.epoch;
        for id in staying {
            let member = downgraded(self.group.members.get(*id)?)?;
            group.add((*id).to_owned(), CONSUMER_PROTOCOL, member);
        }
        group.protocol_name = group.select_protocol().map(str::to_owned);
        let protocol = group.protocol_name.clone();
        let none = Assignment::new();
        for (id, member) in &mut group.members {
            let version = protocol::version(&member.metadata(protocol.as_deref())).ok()?;
            let target = self.group.target(id).unwrap_or(&none);
            member.assignment = assignment_bytes(target, &self.image, version);
        }
        let tombstones = self.group.tombstones().into_iter();
        let tombstones = tombstones.map(|record| Record::Consumer(self.id.to_owned(), record));
        let group = group.record(|_, member| member.assignment.clone());
        Some(tombstones.chain([group]).collect())
    }
}

fn downgraded(member: &Member) -> Option<classic::Member> {
    let metadata = member.classic.as_ref()?;
    let protocols = metadata.supported_protocols.iter();
    Some(classic::Member {
        group_instance_id: member.instance_id.clone(),
        client_id: member.client_id.clone(),
        client_host: member.client_host.clone(),
        rebalance_timeout_ms: member.rebalance_timeout_ms,
        session_timeout_ms: metadata.session_timeout_ms,
        protocols: protocols.map(|one| (one.name.clone(), one.metadata.clone())).collect(),
        assignment: Bytes::new(),
        joining: None,
        syncing: None,
        owes_sync: false,
        is_new: false,
        session_ends_ms: classic::NEVER_MS,
    })
}
