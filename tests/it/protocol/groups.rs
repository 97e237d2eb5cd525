//! Classic groups and their members, for the checks that need some.

use ottla::wire::messages::describe_groups::{DescribeGroupsRequest, DescribedGroup};
use ottla::wire::messages::find_coordinator::FindCoordinatorRequest;
use ottla::wire::messages::heartbeat::HeartbeatRequest;
use ottla::wire::messages::join_group::{
    JoinGroupRequest, JoinGroupRequestProtocol, JoinGroupResponse,
};
use ottla::wire::messages::leave_group::{LeaveGroupRequest, MemberIdentity, MemberResponse};
use ottla::wire::messages::sync_group::{
    SyncGroupRequest, SyncGroupRequestAssignment, SyncGroupResponse,
};

use super::client::{ANSWER_TIMEOUT, Client, Target, soon};
use super::errors::{
    COORDINATOR_LOAD_IN_PROGRESS, COORDINATOR_NOT_AVAILABLE, MEMBER_ID_REQUIRED, NOT_COORDINATOR,
};
use crate::wait::until;

/// The newest versions.
pub(super) const JOIN: i16 = 9;
pub(super) const SYNC: i16 = 5;
pub(super) const HEARTBEAT: i16 = 4;
pub(super) const LEAVE: i16 = 5;
/// What members join with unless a check changes it.
pub(super) const TYPE: &str = "consumer";
pub(super) const PROTOCOL: &str = "range";
/// A consumer's subscription to no topics.
pub(super) const METADATA: &[u8] = b"\0\0\0\0\0\0\xff\xff\xff\xff";

/// A group id that no other check uses, with a coordinator that serves.
pub(super) fn group(target: &Target) -> String {
    let group = target.name();
    let key = FindCoordinatorRequest { key: group.clone(), ..Default::default() };
    let unavailable = [COORDINATOR_LOAD_IN_PROGRESS, COORDINATOR_NOT_AVAILABLE, NOT_COORDINATOR];
    soon("a coordinator", || {
        // Looking it up makes the topic of the groups.
        let errors = [target.call(&key, 0).error_code, describe(target, &group, 0).error_code];
        errors.iter().all(|error| !unavailable.contains(error)).then_some(())
    });
    group
}

pub(super) fn describe(target: &Target, group: &str, version: i16) -> DescribedGroup {
    let request = DescribeGroupsRequest { groups: vec![group.into()], ..Default::default() };
    let mut response = target.call(&request, version);
    assert_eq!((response.throttle_time_ms, response.groups.len()), (0, 1), "{response:?}");
    response.groups.remove(0)
}

/// Waits for what was sent on another connection to have this effect.
pub(super) fn await_state(target: &Target, group: &str, state: &str) {
    until(state, ANSWER_TIMEOUT, || {
        (describe(target, group, 0).group_state == state).then_some(())
    });
}

pub(super) fn protocol(name: &str, metadata: &[u8]) -> JoinGroupRequestProtocol {
    JoinGroupRequestProtocol { name: name.into(), metadata: metadata.to_vec().into() }
}

/// Asks to join as a new member.
pub(super) fn joining(group: &str) -> JoinGroupRequest {
    JoinGroupRequest {
        group_id: group.into(),
        session_timeout_ms: 30_000,
        rebalance_timeout_ms: 60_000,
        protocol_type: TYPE.into(),
        protocols: vec![protocol(PROTOCOL, METADATA)],
        ..Default::default()
    }
}

pub(super) fn assignments(of: &[(&str, &[u8])]) -> Vec<SyncGroupRequestAssignment> {
    let assignment = |(member_id, assignment): &(&str, &[u8])| SyncGroupRequestAssignment {
        member_id: (*member_id).into(),
        assignment: assignment.to_vec().into(),
    };
    of.iter().map(assignment).collect()
}

/// A member of a group on a connection of its own; it speaks the newest versions.
#[derive(Debug)]
pub(super) struct Member {
    client: Client,
    /// What it joins with.
    pub(super) joining: JoinGroupRequest,
    /// Its latest generation.
    pub(super) generation: i32,
}

impl Member {
    fn of(target: &Target, joining: JoinGroupRequest) -> Self {
        Self { client: target.client(), joining, generation: -1 }
    }

    /// A member that has its id and did not join with it yet.
    pub(super) fn pending(target: &Target, group: &str) -> Self {
        Self::pending_with(target, joining(group))
    }

    pub(super) fn pending_with(target: &Target, joining: JoinGroupRequest) -> Self {
        let mut member = Self::of(target, joining);
        let response = member.client.call(&member.joining, JOIN);
        assert_eq!(response.error_code, MEMBER_ID_REQUIRED, "{response:?}");
        member.joining.member_id = response.member_id;
        member
    }

    /// The leader and only member of a group in CompletingRebalance.
    pub(super) fn alone(target: &Target, group: &str) -> Self {
        Self::alone_with(target, joining(group))
    }

    pub(super) fn alone_with(target: &Target, joining: JoinGroupRequest) -> Self {
        let mut member = Self::pending_with(target, joining);
        let response = member.join();
        assert_eq!((&response.leader, response.members.len()), (member.id(), 1), "{response:?}");
        member
    }

    /// A static member that did not join yet.
    pub(super) fn fixed(target: &Target, group: &str, instance: &str) -> Self {
        let group_instance_id = Some(instance.into());
        Self::of(target, JoinGroupRequest { group_instance_id, ..joining(group) })
    }

    pub(super) fn id(&self) -> &String {
        &self.joining.member_id
    }

    pub(super) fn group(&self) -> &String {
        &self.joining.group_id
    }

    pub(super) fn send_join(&mut self) {
        self.client.send(&self.joining, JOIN);
    }

    /// Begins a rebalance that waits for others.
    pub(super) fn begin_rebalance(&mut self, target: &Target) {
        self.send_join();
        await_state(target, self.group(), "PreparingRebalance");
        assert!(self.waits());
    }

    /// What a sent join came to; without an error the member has its place.
    pub(super) fn join_outcome(&mut self) -> JoinGroupResponse {
        let response = self.client.receive::<JoinGroupRequest>(JOIN).1;
        if response.error_code == 0 {
            self.generation = response.generation_id;
            self.joining.member_id.clone_from(&response.member_id);
        }
        response
    }

    pub(super) fn joined(&mut self) -> JoinGroupResponse {
        let response = self.join_outcome();
        assert_eq!(response.error_code, 0, "{response:?}");
        response
    }

    pub(super) fn join(&mut self) -> JoinGroupResponse {
        self.send_join();
        self.joined()
    }

    /// Asks to sync without an assignment.
    pub(super) fn syncing(&self) -> SyncGroupRequest {
        SyncGroupRequest {
            group_id: self.group().clone(),
            generation_id: self.generation,
            member_id: self.id().clone(),
            group_instance_id: self.joining.group_instance_id.clone(),
            protocol_type: Some(self.joining.protocol_type.clone()),
            protocol_name: Some(self.joining.protocols[0].name.clone()),
            assignments: Vec::new(),
        }
    }

    pub(super) fn send_sync(&mut self) {
        self.client.send(&self.syncing(), SYNC);
    }

    pub(super) fn synced(&mut self) -> SyncGroupResponse {
        self.client.receive::<SyncGroupRequest>(SYNC).1
    }

    /// Syncs as the leader.
    pub(super) fn assign(&mut self, of: &[(&str, &[u8])]) -> SyncGroupResponse {
        let request = SyncGroupRequest { assignments: assignments(of), ..self.syncing() };
        let response = self.client.call(&request, SYNC);
        assert_eq!(response.error_code, 0, "{response:?}");
        response
    }

    pub(super) fn beat(&self) -> HeartbeatRequest {
        HeartbeatRequest {
            group_id: self.group().clone(),
            generation_id: self.generation,
            member_id: self.id().clone(),
            group_instance_id: self.joining.group_instance_id.clone(),
        }
    }

    /// The error of a heartbeat.
    pub(super) fn heartbeat(&mut self) -> i16 {
        self.client.call(&self.beat(), HEARTBEAT).error_code
    }

    pub(super) fn identity(&self) -> MemberIdentity {
        MemberIdentity {
            member_id: self.id().clone(),
            group_instance_id: self.joining.group_instance_id.clone(),
            reason: None,
        }
    }

    /// Leaves on a connection of its own: the member's may be waiting.
    pub(super) fn leave(&self, target: &Target) {
        let left = leave(target, self.group(), &[self.identity()], LEAVE);
        assert_eq!(left[0].error_code, 0, "{left:?}");
    }

    /// Whether the broker keeps what was sent waiting.
    pub(super) fn waits(&mut self) -> bool {
        self.client.is_silent()
    }
}

/// Takes members out of a group at a version with errors for each; those answers.
pub(super) fn leave(
    target: &Target,
    group: &str,
    members: &[MemberIdentity],
    version: i16,
) -> Vec<MemberResponse> {
    let request = LeaveGroupRequest {
        group_id: group.into(),
        members: members.to_vec(),
        ..Default::default()
    };
    let response = target.call(&request, version);
    assert_eq!((response.error_code, response.throttle_time_ms), (0, 0), "{response:?}");
    response.members
}

/// Joins with all of `members`, of which the first begins the rebalance.
pub(super) fn rebalance(target: &Target, members: &mut [&mut Member]) -> Vec<JoinGroupResponse> {
    let (first, others) = members.split_first_mut().unwrap();
    first.send_join();
    if !others.is_empty() {
        await_state(target, first.group(), "PreparingRebalance");
    }
    for member in others {
        member.send_join();
    }
    members.iter_mut().map(|member| member.joined()).collect()
}

/// The members of a group in CompletingRebalance; the first is the leader.
pub(super) fn completing(target: &Target, count: usize) -> Vec<Member> {
    let group = group(target);
    let mut members = vec![Member::alone(target, &group)];
    members.extend((1..count).map(|_| Member::pending(target, &group)));
    if count > 1 {
        // The new ones begin the rebalance: an old member joins for nothing without one.
        let _ = rebalance(target, &mut members.iter_mut().rev().collect::<Vec<_>>());
    }
    members
}

/// As [`completing`], with an assignment for each: the state is Stable.
pub(super) fn stable(target: &Target, count: usize) -> Vec<Member> {
    let mut members = completing(target, count);
    let ids: Vec<String> = members.iter().map(|member| member.id().clone()).collect();
    let of: Vec<(&str, &[u8])> = ids.iter().map(|id| (id.as_str(), id.as_bytes())).collect();
    for follower in &mut members[1..] {
        follower.send_sync();
    }
    assert_eq!(members[0].assign(&of).assignment, ids[0].as_bytes());
    for (follower, id) in members[1..].iter_mut().zip(&ids[1..]) {
        assert_eq!(follower.synced().assignment, id.as_bytes());
    }
    members
}
