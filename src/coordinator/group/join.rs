//! JoinGroup: who may join, and what a join does in each state
//! (Kafka: `GroupMetadataManager.classicGroupJoinToClassicGroup`).

use bytes::Bytes;

use super::classic::{Group, Member, NEVER_MS, State};
use super::command::{Caller, Reply};
use super::turn::Turn;
use crate::shard::Ticket;
use crate::wire::ErrorCode;
use crate::wire::messages::join_group::{JoinGroupRequest, JoinGroupResponse};

/// How long a member that does not know its id yet may be away from its parked request: it cannot
/// send heartbeats, and that its connection is gone is not seen.
const NEW_MEMBER_TIMEOUT_MS: i64 = 300_000;
/// First version that asks for a second request with the id given by the first (KIP-394).
pub(super) const MEMBER_ID_REQUIRED_VERSION: i16 = 4;
/// First version that tells a returning static leader to assign nothing (KIP-814).
const SKIP_ASSIGNMENT_VERSION: i16 = 9;

/// A refused join.
pub fn refused(error: ErrorCode, member_id: &str) -> JoinGroupResponse {
    JoinGroupResponse {
        error_code: error.code(),
        protocol_name: None,
        member_id: member_id.to_owned(),
        ..Default::default()
    }
}

/// A join under consideration.
pub(super) struct Join {
    pub(super) ticket: Ticket,
    pub(super) caller: Caller,
    pub(super) request: JoinGroupRequest,
    pub(super) protocols: Vec<(String, Bytes)>,
}

impl Join {
    /// Copies what a member keeps, because the request's bytes are those of its whole frame.
    pub(super) fn new(ticket: Ticket, caller: Caller, mut request: JoinGroupRequest) -> Self {
        let protocols = std::mem::take(&mut request.protocols).into_iter();
        let kept = protocols.map(|it| (it.name, Bytes::copy_from_slice(&it.metadata)));
        Self { ticket, caller, request, protocols: kept.collect() }
    }

    fn refuse(&self, error: ErrorCode, member_id: &str, turn: &mut Turn) {
        turn.reply(self.ticket, Reply::Join(refused(error, member_id)));
    }

    fn repeats_a_protocol(&self) -> bool {
        let mut names: Vec<&str> = self.protocols.iter().map(|(name, _)| name.as_str()).collect();
        names.sort_unstable();
        names.windows(2).any(|pair| pair[0] == pair[1])
    }
}

impl Group {
    /// A member joins or joins again.
    pub(super) fn join(&mut self, join: Join, turn: &mut Turn) {
        let member_id = join.request.member_id.clone();
        if !self.has_room_for(&member_id, turn) {
            self.remove(&member_id);
            join.refuse(ErrorCode::GroupMaxSizeReached, "", turn);
        } else if join.repeats_a_protocol() {
            join.refuse(ErrorCode::UnknownServerError, "", turn);
        } else if !self.accepts(&join.request.protocol_type, &join.protocols) {
            join.refuse(ErrorCode::InconsistentGroupProtocol, &member_id, turn);
        } else if member_id.is_empty() {
            self.join_without_id(join, turn);
        } else {
            self.join_with_id(join, turn);
        }
    }

    fn has_room_for(&self, member_id: &str, turn: &Turn) -> bool {
        let member = self.members.get(member_id);
        match self.state {
            State::Empty => true,
            // Those who have joined count, so that the last of a group that is too large go.
            State::PreparingRebalance => {
                let joined = self.members.values().filter(|member| member.joining.is_some());
                member.is_some_and(|member| member.joining.is_some())
                    || joined.count() < turn.settings.max_size
            }
            State::CompletingRebalance | State::Stable => {
                member.is_some() || self.members.len() < turn.settings.max_size
            }
        }
    }

    fn join_without_id(&mut self, join: Join, turn: &mut Turn) {
        let uuid = turn.random.uuid();
        if let Some(instance) = join.request.group_instance_id.as_deref() {
            let id = format!("{instance}-{uuid}");
            match self.static_members.get(instance).cloned() {
                Some(owner) => self.replace_static(&owner, &id, &join, turn),
                None => self.add_member(id, join, turn),
            }
            return;
        }
        let id = format!("{}-{uuid}", join.caller.client_id);
        if join.caller.version < MEMBER_ID_REQUIRED_VERSION {
            return self.add_member(id, join, turn);
        }
        join.refuse(ErrorCode::MemberIdRequired, &id, turn);
        let ends_ms = turn.now_ms + i64::from(join.request.session_timeout_ms);
        self.pending.insert(id, ends_ms);
    }

    fn join_with_id(&mut self, join: Join, turn: &mut Turn) {
        let id = join.request.member_id.clone();
        let instance = join.request.group_instance_id.as_deref();
        if self.pending.contains_key(&id) {
            if instance.is_some() {
                // A pending id belongs to no static member.
                return join.refuse(ErrorCode::UnknownServerError, "", turn);
            }
            return self.add_member(id, join, turn);
        }
        if let Err(error) = self.check_member(&id, instance) {
            return join.refuse(error, &id, turn);
        }
        let same = self.members.get(&id).is_some_and(|member| member.protocols == join.protocols);
        let leads = self.is_leader(&id);
        match self.state {
            // A follower may have missed the answer, or asks without need.
            State::CompletingRebalance if same => {
                let answer = self.joined(&id);
                turn.reply(join.ticket, Reply::Join(answer));
            }
            State::Stable if same && !leads => {
                let answer = self.joined(&id);
                turn.reply(join.ticket, Reply::Join(answer));
            }
            // A leader that joins again wants an assignment anew.
            State::PreparingRebalance | State::CompletingRebalance | State::Stable => {
                self.update(&id, &join, turn);
                self.prepare_or_complete(turn);
            }
            State::Empty => join.refuse(ErrorCode::UnknownMemberId, &id, turn),
        }
    }

    fn add_member(&mut self, id: String, join: Join, turn: &mut Turn) {
        let Join { ticket, caller, request, protocols } = join;
        if let Some(delay) = &mut self.initial_delay {
            delay.member_added = true;
        }
        let member = Member {
            group_instance_id: request.group_instance_id,
            client_id: caller.client_id,
            client_host: caller.client_host,
            rebalance_timeout_ms: request.rebalance_timeout_ms,
            session_timeout_ms: request.session_timeout_ms,
            protocols,
            assignment: Bytes::new(),
            joining: Some(ticket),
            syncing: None,
            owes_sync: false,
            is_new: true,
            session_ends_ms: turn.now_ms + NEW_MEMBER_TIMEOUT_MS,
        };
        self.add(id, &request.protocol_type, member);
        self.prepare_or_complete(turn);
    }

    /// A member that is known joins with what it supports now; it waits for the answer.
    fn update(&mut self, id: &str, join: &Join, turn: &mut Turn) {
        let Some(member) = self.members.get_mut(id) else { return };
        member.protocols.clone_from(&join.protocols);
        member.rebalance_timeout_ms = join.request.rebalance_timeout_ms;
        member.session_timeout_ms = join.request.session_timeout_ms;
        if let Some(earlier) = member.joining.replace(join.ticket) {
            // The client has given up on that connection; Kafka leaves it without an answer.
            let answer = refused(ErrorCode::RebalanceInProgress, id);
            turn.reply(earlier, Reply::Join(answer));
        }
    }

    /// A static member is back without its id: it takes the place of `owner`, which is fenced.
    fn replace_static(&mut self, owner: &str, id: &str, join: &Join, turn: &mut Turn) {
        self.answer_join(owner, refused(ErrorCode::FencedInstanceId, owner), turn);
        let Some(member) = self.members.get_mut(owner) else { return };
        if let Some(ticket) = member.syncing.take() {
            turn.reply(ticket, Reply::sync_error(ErrorCode::FencedInstanceId));
        }
        member.is_new = false;
        let replaced = member.clone();
        let old_leader = self.leader.clone();
        self.rename(owner, id);
        self.keep_alive(id, turn);
        self.update(id, join, turn);
        match self.state {
            State::Stable if self.select_protocol() == self.protocol_name.as_deref() => {
                // Nothing changes for the others: the generation stays.
                let record = self.record(|_, member| member.assignment.clone());
                let mut answer = self.joined(id);
                if turn.fits([&record]) {
                    turn.records.push(record);
                } else {
                    self.rename(id, owner);
                    self.members.insert(owner.to_owned(), replaced);
                    let error_code = ErrorCode::UnknownServerError.code();
                    answer = JoinGroupResponse { error_code, ..self.joined("") };
                }
                if join.caller.version >= SKIP_ASSIGNMENT_VERSION {
                    answer.skip_assignment = self.is_leader(id);
                } else {
                    // The old leader's id keeps this member from assigning anew.
                    answer.leader = old_leader.unwrap_or_default();
                    answer.members.clear();
                }
                if let Some(member) = self.members.get_mut(id) {
                    member.joining = None;
                }
                turn.reply(join.ticket, Reply::Join(answer));
            }
            // The leader may have been told the old id, so its assignment would miss this member.
            State::Stable | State::CompletingRebalance => self.prepare(turn),
            State::PreparingRebalance | State::Empty => self.complete_if_joined(turn),
        }
    }

    fn rename(&mut self, from: &str, to: &str) {
        let Some(member) = self.members.remove(from) else { return };
        if let Some(instance) = &member.group_instance_id {
            self.static_members.insert(instance.clone(), to.to_owned());
        }
        if self.is_leader(from) {
            self.leader = Some(to.to_owned());
        }
        self.members.insert(to.to_owned(), member);
    }

    /// What a member is told of the current generation.
    pub(super) fn joined(&self, id: &str) -> JoinGroupResponse {
        JoinGroupResponse {
            generation_id: self.generation_id,
            protocol_type: self.protocol_type.clone(),
            protocol_name: self.protocol_name.clone(),
            leader: self.leader.clone().unwrap_or_default(),
            member_id: id.to_owned(),
            members: if self.is_leader(id) { self.members_for_leader() } else { Vec::new() },
            ..Default::default()
        }
    }

    /// Answers a member's parked join, if it has one.
    pub(super) fn answer_join(&mut self, id: &str, answer: JoinGroupResponse, turn: &mut Turn) {
        let ticket = self.members.get_mut(id).and_then(|member| member.joining.take());
        if let Some(ticket) = ticket {
            turn.reply(ticket, Reply::Join(answer));
        }
    }

    /// The member has shown that it is alive.
    pub(super) fn keep_alive(&mut self, id: &str, turn: &Turn) {
        if let Some(member) = self.members.get_mut(id) {
            member.session_ends_ms = turn.now_ms + i64::from(member.session_timeout_ms);
        }
    }

    /// Gives up a member whose session has ended: whoever is parked counts as alive.
    pub(super) fn end_session(&mut self, id: &str, turn: &mut Turn) {
        let Some(member) = self.members.get_mut(id) else { return };
        if !member.is_new && (member.joining.is_some() || member.syncing.is_some()) {
            member.session_ends_ms = NEVER_MS;
            return;
        }
        let group = &*self.id;
        tracing::info!(group, member = id, "member failed, removing it from the group");
        self.dismiss(id, turn);
        match self.state {
            State::Stable | State::CompletingRebalance => self.prepare(turn),
            State::PreparingRebalance | State::Empty => self.await_one_less(turn),
        }
    }

    /// Takes a member out; one that is parked is told to join as a new one.
    pub(super) fn dismiss(&mut self, id: &str, turn: &mut Turn) {
        self.answer_join(id, refused(ErrorCode::UnknownMemberId, ""), turn);
        if let Some(ticket) = self.remove(id).and_then(|member| member.syncing) {
            turn.reply(ticket, Reply::sync_error(ErrorCode::UnknownMemberId));
        }
    }
}
