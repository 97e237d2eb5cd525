//! A classic group: its members, what they support, and who leads them (Kafka: `ClassicGroup`).
//!
//! ```text
//!            a member joins              all have joined            the leader's assignment
//!   Empty ------------------> Preparing ----------------> Completing ----------------> Stable
//!     ^                        Rebalance   or time is up   Rebalance                      |
//!     |  none has joined        |  ^ ^                       |                            |
//!     +-------------------------+  | +-----------------------+ members join, leave, die   |
//!                                  +------------------------------------------------------+
//! ```
//!
//! What a record says of the group is taken over by [`Group::settle`] alone, live and in a replay.
//! A record is written when a group becomes `Stable` or `Empty`; what happens in between
//! (who has joined or synced, when sessions end) is forgotten with the process.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use bytes::Bytes;

use crate::env::java_hash_bucket;
use crate::shard::Ticket;
use crate::wire::messages::join_group::JoinGroupResponseMember;
use crate::wire::records::{GroupMetadataValue, MemberMetadata};
use crate::wire::{Decoder, ErrorCode, Field, Message};

/// The protocol type of consumers (Kafka: `ConsumerProtocol.PROTOCOL_TYPE`).
pub(super) const CONSUMER_PROTOCOL: &str = "consumer";
/// Stands for a deadline that never comes.
pub(super) const NEVER_MS: i64 = i64::MAX;
/// Capacity of the Java hash map in which Kafka counts the votes for few protocols.
const VOTES_CAPACITY: u32 = 16;

/// Where a group stands between two assignments.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum State {
    /// No members; it may have offsets.
    Empty,
    /// Waits for its members to join.
    PreparingRebalance,
    /// Waits for the leader's assignment.
    CompletingRebalance,
    /// Every member has its assignment.
    Stable,
}

impl State {
    /// Kafka's name.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Empty => "Empty",
            Self::PreparingRebalance => "PreparingRebalance",
            Self::CompletingRebalance => "CompletingRebalance",
            Self::Stable => "Stable",
        }
    }
}

/// A member. The first fields are kept in records.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Member {
    pub(super) group_instance_id: Option<String>,
    pub(super) client_id: String,
    /// `/` and the address, as Java prints it.
    pub(super) client_host: String,
    pub(super) rebalance_timeout_ms: i32,
    pub(super) session_timeout_ms: i32,
    /// Names and metadata, in the member's order of preference.
    pub(super) protocols: Vec<(String, Bytes)>,
    pub(super) assignment: Bytes,
    /// Awaits the answer to JoinGroup, or to SyncGroup.
    pub(super) joining: Option<Ticket>,
    pub(super) syncing: Option<Ticket>,
    /// Has joined the generation and is still to ask for its assignment.
    pub(super) owes_sync: bool,
    /// Has never had an answer with its member id, so it cannot send heartbeats.
    pub(super) is_new: bool,
    /// When it is given up.
    pub(super) session_ends_ms: i64,
}

impl Member {
    /// Metadata for a protocol; empty if it does not support it.
    pub(super) fn metadata(&self, protocol: Option<&str>) -> Bytes {
        let found = self.protocols.iter().find(|(name, _)| Some(name.as_str()) == protocol);
        found.map(|(_, metadata)| metadata.clone()).unwrap_or_default()
    }

    fn supports(&self, protocol: &str) -> bool {
        self.protocols.iter().any(|(name, _)| name == protocol)
    }

    /// Takes over from the same member what no record has: what it waits for, and its other
    /// protocols if they belong to the metadata in the record.
    fn go_on_from(&mut self, known: Self) {
        if self.protocols.iter().all(|protocol| known.protocols.contains(protocol)) {
            self.protocols = known.protocols;
        }
        self.joining = known.joining;
        self.syncing = known.syncing;
        self.owes_sync = known.owes_sync;
        self.is_new = known.is_new;
        self.session_ends_ms = known.session_ends_ms;
    }
}

/// The first rebalance of a group waits a little for more members (KIP-134).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct InitialDelay {
    pub(super) delay_ms: i32,
    pub(super) remaining_ms: i32,
    pub(super) member_added: bool,
}

/// A classic group.
#[derive(Clone, Debug)]
pub(super) struct Group {
    pub(super) id: Arc<str>,
    pub(super) state: State,
    /// When it came into the state; -1 in records of old brokers.
    pub(super) state_since_ms: i64,
    /// None for a group that has only offsets.
    pub(super) protocol_type: Option<String>,
    pub(super) protocol_name: Option<String>,
    pub(super) generation_id: i32,
    pub(super) leader: Option<String>,
    pub(super) members: BTreeMap<String, Member>,
    /// Static members: instance ids and member ids (KIP-345).
    pub(super) static_members: BTreeMap<String, String>,
    /// Ids given out with MEMBER_ID_REQUIRED that have not joined (KIP-394), and when they end.
    pub(super) pending: BTreeMap<String, i64>,
    /// What the members of a consumer group are subscribed to, if that can be read.
    pub(super) subscribed_topics: Option<BTreeSet<String>>,
    /// When the group no longer waits for members to join; and to ask for their assignment.
    pub(super) join_ends_ms: i64,
    pub(super) sync_ends_ms: i64,
    /// Set while the first rebalance waits for more members.
    pub(super) initial_delay: Option<InitialDelay>,
}

impl Group {
    /// A group without members and protocol type.
    pub(super) fn new(id: Arc<str>, now_ms: i64) -> Self {
        Self {
            id,
            state: State::Empty,
            state_since_ms: now_ms,
            protocol_type: None,
            protocol_name: None,
            generation_id: 0,
            leader: None,
            members: BTreeMap::new(),
            static_members: BTreeMap::new(),
            pending: BTreeMap::new(),
            subscribed_topics: None,
            join_ends_ms: NEVER_MS,
            sync_ends_ms: NEVER_MS,
            initial_delay: None,
        }
    }

    pub(super) fn enter(&mut self, state: State, now_ms: i64) {
        self.state = state;
        self.state_since_ms = now_ms;
    }

    pub(super) fn is_leader(&self, member_id: &str) -> bool {
        self.leader.as_deref() == Some(member_id)
    }

    pub(super) fn is_consumer_group(&self) -> bool {
        self.protocol_type.as_deref() == Some(CONSUMER_PROTOCOL)
    }

    /// True while it is not known that nobody reads the topic.
    pub(super) fn is_subscribed_to(&self, topic: &str) -> bool {
        match &self.subscribed_topics {
            Some(topics) => topics.contains(topic),
            None => self.is_consumer_group(),
        }
    }

    /// Whether a member with these protocols can be in the group with the members it has.
    pub(super) fn accepts(&self, protocol_type: &str, protocols: &[(String, Bytes)]) -> bool {
        if self.state == State::Empty {
            return !protocol_type.is_empty() && !protocols.is_empty();
        }
        let by_all = |name: &str| self.members.values().all(|member| member.supports(name));
        self.protocol_type.as_deref() == Some(protocol_type)
            && protocols.iter().any(|(name, _)| by_all(name))
    }

    /// Adds a member whose protocols are acceptable.
    pub(super) fn add(&mut self, id: String, protocol_type: &str, member: Member) {
        if self.members.is_empty() {
            self.protocol_type = Some(protocol_type.to_owned());
        }
        if let Some(instance) = &member.group_instance_id {
            self.static_members.insert(instance.clone(), id.clone());
        }
        self.pending.remove(&id);
        self.leader.get_or_insert_with(|| id.clone());
        self.members.insert(id, member);
    }

    /// Takes out a member or a pending id. Somebody else leads if it was the leader.
    pub(super) fn remove(&mut self, id: &str) -> Option<Member> {
        let removed = self.members.remove(id);
        if let Some(instance) = removed.as_ref().and_then(|it| it.group_instance_id.as_ref()) {
            self.static_members.remove(instance);
        }
        if self.is_leader(id) {
            self.leader = self.members.keys().next().cloned();
        }
        self.pending.remove(id);
        removed
    }

    /// Checks that a request comes from a member, and from the one that owns the instance id.
    pub(super) fn check_member(&self, id: &str, instance: Option<&str>) -> Result<(), ErrorCode> {
        if let Some(instance) = instance {
            match self.static_members.get(instance) {
                None => return Err(ErrorCode::UnknownMemberId),
                Some(owner) if owner != id => return Err(ErrorCode::FencedInstanceId),
                Some(_) => {}
            }
        }
        let known = self.members.contains_key(id);
        if known { Ok(()) } else { Err(ErrorCode::UnknownMemberId) }
    }

    pub(super) fn all_joined(&self) -> bool {
        self.pending.is_empty() && self.members.values().all(|member| member.joining.is_some())
    }

    /// The longest that any member allows for a rebalance.
    pub(super) fn rebalance_timeout_ms(&self) -> i32 {
        self.members.values().map(|member| member.rebalance_timeout_ms).max().unwrap_or(0).max(0)
    }

    /// Makes sure that the leader is one who has joined; false if nobody has.
    pub(super) fn elect_joined_leader(&mut self) -> bool {
        let joined = |id: &&String| self.members.get(*id).is_some_and(|it| it.joining.is_some());
        let Some(leader) = self.leader.iter().chain(self.members.keys()).find(joined) else {
            return false;
        };
        self.leader = Some(leader.clone());
        true
    }

    /// The protocol that all support and most prefer; None without members. Of equals, the one
    /// Kafka meets first in its hash map.
    pub(super) fn select_protocol(&self) -> Option<&str> {
        let mut votes: BTreeMap<&str, usize> = BTreeMap::new();
        let by_all = |name: &str| self.members.values().all(|member| member.supports(name));
        for member in self.members.values() {
            let names = member.protocols.iter().map(|(name, _)| name.as_str());
            if let Some(name) = names.into_iter().find(|name| by_all(name)) {
                *votes.entry(name).or_default() += 1;
            }
        }
        let bucket = |name| std::cmp::Reverse(java_hash_bucket(name, VOTES_CAPACITY));
        votes.into_iter().max_by_key(|&(name, count)| (count, bucket(name))).map(|(name, _)| name)
    }

    /// The members as the leader is told them.
    pub(super) fn members_for_leader(&self) -> Vec<JoinGroupResponseMember> {
        let told = |(id, member): (&String, &Member)| JoinGroupResponseMember {
            member_id: id.clone(),
            group_instance_id: member.group_instance_id.clone(),
            metadata: member.metadata(self.protocol_name.as_deref()),
        };
        self.members.iter().map(told).collect()
    }

    /// What is written of the group when its members have these assignments.
    pub(super) fn to_record(
        &self,
        assignment: impl Fn(&str, &Member) -> Bytes,
    ) -> GroupMetadataValue {
        let member = |(id, member): (&String, &Member)| MemberMetadata {
            member_id: id.clone(),
            group_instance_id: member.group_instance_id.clone(),
            client_id: member.client_id.clone(),
            client_host: member.client_host.clone(),
            rebalance_timeout: member.rebalance_timeout_ms,
            session_timeout: member.session_timeout_ms,
            subscription: member.metadata(self.protocol_name.as_deref()),
            assignment: assignment(id, member),
        };
        GroupMetadataValue {
            protocol_type: self.protocol_type.clone().unwrap_or_default(),
            generation: self.generation_id,
            protocol: self.protocol_name.clone(),
            leader: self.leader.clone(),
            current_state_timestamp: self.state_since_ms,
            members: self.members.iter().map(member).collect(),
        }
    }

    /// Takes over what a record of this time says: the group is then `Stable`, or without members
    /// `Empty`. Of members that are known already, what they wait for is kept; the sessions of the
    /// others (the group was a consumer group) begin.
    pub(super) fn settle(&mut self, value: &GroupMetadataValue, now_ms: i64) {
        if value.members.is_empty() && self.state == State::PreparingRebalance {
            // The record of a group's creation says nothing of who has begun to join it.
            return;
        }
        let protocol = value.protocol.clone().unwrap_or_default();
        let mut known = std::mem::take(&mut self.members);
        self.static_members.clear();
        for member in &value.members {
            let id = &member.member_id;
            let mut member = loaded_member(member, &protocol);
            member.session_ends_ms = now_ms.saturating_add(i64::from(member.session_timeout_ms));
            if let Some(known) = known.remove(id) {
                member.go_on_from(known);
            }
            if let Some(instance) = &member.group_instance_id {
                self.static_members.insert(instance.clone(), id.clone());
            }
            self.members.insert(id.clone(), member);
        }
        self.state = if self.members.is_empty() { State::Empty } else { State::Stable };
        self.state_since_ms = value.current_state_timestamp;
        self.protocol_type = Some(value.protocol_type.clone()).filter(|name| !name.is_empty());
        self.protocol_name.clone_from(&value.protocol);
        self.generation_id = value.generation;
        self.leader.clone_from(&value.leader);
        self.read_subscriptions();
    }

    /// Reads what the members are subscribed to.
    pub(super) fn read_subscriptions(&mut self) {
        self.subscribed_topics = None;
        if !self.is_consumer_group() {
            return;
        }
        let protocol = self.protocol_name.as_deref();
        if protocol.is_none() && !self.members.is_empty() {
            return;
        }
        let mut topics = BTreeSet::new();
        for member in self.members.values() {
            let Some(subscribed) = subscription(member.metadata(protocol)) else {
                return;
            };
            topics.extend(subscribed);
        }
        self.subscribed_topics = Some(topics);
    }

    /// The next time at which something of the group is due.
    pub(super) fn next_deadline(&self) -> i64 {
        let sessions = self.members.values().map(|member| member.session_ends_ms);
        let all = sessions.chain(self.pending.values().copied());
        all.chain([self.join_ends_ms, self.sync_ends_ms]).min().unwrap_or(NEVER_MS)
    }
}

fn loaded_member(member: &MemberMetadata, protocol: &str) -> Member {
    let session_timeout_ms = member.session_timeout;
    Member {
        group_instance_id: member.group_instance_id.clone(),
        client_id: member.client_id.clone(),
        client_host: member.client_host.clone(),
        // Records of version 0 have none.
        rebalance_timeout_ms: match member.rebalance_timeout {
            -1 => session_timeout_ms,
            timeout_ms => timeout_ms,
        },
        session_timeout_ms,
        protocols: vec![(protocol.to_owned(), member.subscription.clone())],
        assignment: member.assignment.clone(),
        joining: None,
        syncing: None,
        owes_sync: false,
        is_new: false,
        session_ends_ms: NEVER_MS,
    }
}

/// The topics of a consumer's subscription (schema `ConsumerProtocolSubscription`, whose version 0
/// stands first in every later one); None if it is no subscription.
fn subscription(metadata: Bytes) -> Option<Vec<String>> {
    let mut decoder = Decoder::new(metadata);
    let form = GroupMetadataValue::format(0).nullable(true);
    let version = i16::read(&mut decoder, form).ok()?;
    let topics = Vec::read(&mut decoder, form).ok()?;
    let _user_data = Option::<Bytes>::read(&mut decoder, form).ok()?;
    (version >= 0).then_some(topics)
}
