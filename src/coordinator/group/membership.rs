//! What members of a generation ask: SyncGroup, Heartbeat, LeaveGroup
//! (Kafka: `GroupMetadataManager.classicGroupSync`, `classicGroupHeartbeat`, `classicGroupLeave`).

use std::collections::HashMap;

use bytes::Bytes;

use super::classic::{Group, State};
use super::command::Reply;
use super::turn::Turn;
use crate::shard::Ticket;
use crate::wire::ErrorCode;
use crate::wire::messages::heartbeat::HeartbeatRequest;
use crate::wire::messages::leave_group::{LeaveGroupRequest, MemberIdentity, MemberResponse};
use crate::wire::messages::sync_group::{
    SyncGroupRequest, SyncGroupRequestAssignment, SyncGroupResponse,
};

impl Group {
    /// A member asks for its assignment; the leader brings everyone's.
    pub(super) fn sync(&mut self, ticket: Ticket, request: &SyncGroupRequest, turn: &mut Turn) {
        let id = &request.member_id;
        if let Err(error) = self.check_sync(request) {
            return turn.reply(ticket, Reply::sync_error(error));
        }
        let leads = self.is_leader(id);
        let Some(member) = self.members.get_mut(id) else { return };
        match self.state {
            State::Empty | State::PreparingRebalance => {
                turn.reply(ticket, Reply::sync_error(ErrorCode::RebalanceInProgress));
            }
            State::CompletingRebalance => {
                if let Some(earlier) = member.syncing.replace(ticket) {
                    // The client has given up on that connection; Kafka leaves it unanswered.
                    turn.reply(earlier, Reply::sync_error(ErrorCode::RebalanceInProgress));
                }
                member.owes_sync = false;
                self.stop_waiting_for_syncs();
                if leads {
                    self.assign(&request.assignments, turn);
                }
            }
            State::Stable => {
                member.owes_sync = false;
                let assignment = member.assignment.clone();
                self.stop_waiting_for_syncs();
                turn.reply(ticket, self.assigned(assignment));
            }
        }
    }

    fn check_sync(&self, request: &SyncGroupRequest) -> Result<(), ErrorCode> {
        self.check_member(&request.member_id, request.group_instance_id.as_deref())?;
        if request.generation_id != self.generation_id {
            return Err(ErrorCode::IllegalGeneration);
        }
        let differs = |asked: &Option<String>, own: &Option<String>| {
            asked.is_some() && own.is_some() && asked != own
        };
        if differs(&request.protocol_type, &self.protocol_type)
            || differs(&request.protocol_name, &self.protocol_name)
        {
            return Err(ErrorCode::InconsistentGroupProtocol);
        }
        Ok(())
    }

    fn stop_waiting_for_syncs(&mut self) {
        if self.members.values().all(|member| !member.owes_sync) {
            self.sync_ends_ms = super::classic::NEVER_MS;
        }
    }

    /// The leader's assignment goes to the log; with it the group is stable.
    fn assign(&mut self, assignments: &[SyncGroupRequestAssignment], turn: &mut Turn) {
        let by_member: HashMap<&str, &Bytes> =
            assignments.iter().map(|it| (it.member_id.as_str(), &it.assignment)).collect();
        // A copy: the request's bytes are those of its whole frame.
        let of = |id: &str| by_member.get(id).map(|it| Bytes::copy_from_slice(it));
        let record = self.record(|id, _| of(id).unwrap_or_default());
        if !turn.fits([&record]) {
            // The log would refuse it, as Kafka's does (message.max.bytes).
            self.answer_syncs(ErrorCode::UnknownServerError, turn);
            return self.prepare(turn);
        }
        let waiting: Vec<(String, Ticket)> = self
            .members
            .iter_mut()
            .filter_map(|(id, member)| Some((id.clone(), member.syncing.take()?)))
            .collect();
        for (id, ticket) in waiting {
            let answer = self.assigned(of(&id).unwrap_or_default());
            self.keep_alive(&id, turn);
            turn.reply(ticket, answer);
        }
        turn.records.push(record);
    }

    fn assigned(&self, assignment: Bytes) -> Reply {
        Reply::Sync(SyncGroupResponse {
            protocol_type: self.protocol_type.clone(),
            protocol_name: self.protocol_name.clone(),
            assignment,
            ..Default::default()
        })
    }

    /// A member is alive.
    pub(super) fn heartbeat(&mut self, request: &HeartbeatRequest, turn: &Turn) -> ErrorCode {
        let id = &request.member_id;
        if let Err(error) = self.check_member(id, request.group_instance_id.as_deref()) {
            return error;
        }
        if request.generation_id != self.generation_id {
            return ErrorCode::IllegalGeneration;
        }
        match self.state {
            State::Empty => ErrorCode::UnknownMemberId,
            State::PreparingRebalance => {
                self.keep_alive(id, turn);
                ErrorCode::RebalanceInProgress
            }
            // A member may send heartbeats before it has asked for its assignment.
            State::CompletingRebalance | State::Stable => {
                self.keep_alive(id, turn);
                ErrorCode::None
            }
        }
    }

    /// Members leave, each for itself.
    pub(super) fn leave(
        &mut self,
        request: &LeaveGroupRequest,
        turn: &mut Turn,
    ) -> Vec<MemberResponse> {
        let members = request.members.iter();
        let answers: Vec<MemberResponse> = members
            .map(|member| {
                let error = self.leave_one(member, turn).err().unwrap_or(ErrorCode::None);
                left(member, error)
            })
            .collect();
        if answers.iter().any(|answer| answer.error_code == ErrorCode::None.code()) {
            match self.state {
                State::Stable | State::CompletingRebalance => self.prepare(turn),
                State::PreparingRebalance => self.complete_if_joined(turn),
                State::Empty => {}
            }
        }
        answers
    }

    fn leave_one(&mut self, member: &MemberIdentity, turn: &mut Turn) -> Result<(), ErrorCode> {
        let instance = member.group_instance_id.as_deref();
        let id = if member.member_id.is_empty() {
            // An administrator names the instance alone.
            let owner = instance.and_then(|instance| self.static_members.get(instance));
            owner.cloned().ok_or(ErrorCode::UnknownMemberId)?
        } else if self.pending.contains_key(&member.member_id) {
            member.member_id.clone()
        } else {
            self.check_member(&member.member_id, instance)?;
            member.member_id.clone()
        };
        let reason = member.reason.as_deref().unwrap_or("not provided");
        tracing::info!(group = &*self.id, member = %id, reason, "member has left the group");
        self.dismiss(&id, turn);
        Ok(())
    }
}

/// What became of a member that was to leave.
pub(super) fn left(member: &MemberIdentity, error: ErrorCode) -> MemberResponse {
    MemberResponse {
        member_id: member.member_id.clone(),
        group_instance_id: member.group_instance_id.clone(),
        error_code: error.code(),
    }
}
