//! A member of a group, of either protocol: its way in, its heartbeats, its way out.

use std::collections::BTreeMap;

use super::{Protocol, TIMEOUT};
use crate::bench::topic::refused;
use crate::client::{
    ASSIGNOR, ClientError, Connection, PROTOCOL_TYPE, RETRY_BACKOFF, assignment, subscription,
};
use crate::wire::ErrorCode;
use crate::wire::messages::consumer_group_heartbeat::{
    ConsumerGroupHeartbeatRequest, TopicPartitions,
};
use crate::wire::messages::heartbeat::HeartbeatRequest;
use crate::wire::messages::join_group::{
    JoinGroupRequest, JoinGroupRequestProtocol, JoinGroupResponse,
};
use crate::wire::messages::leave_group::{LeaveGroupRequest, MemberIdentity};
use crate::wire::messages::sync_group::{SyncGroupRequest, SyncGroupRequestAssignment};

const SESSION_TIMEOUT_MS: i32 = 45_000;
/// An epoch with which a member leaves.
const LEAVING_EPOCH: i32 = -1;

/// A member of a group.
#[derive(Debug)]
pub(super) struct Member {
    pub(super) connection: Connection,
    pub(super) protocol: Protocol,
    pub(super) topic: String,
    pub(super) members: usize,
    pub(super) group: String,
    pub(super) id: String,
    /// The generation, or the epoch.
    pub(super) epoch: i32,
    pub(super) owned: Vec<TopicPartitions>,
}

impl Member {
    /// Goes into the group until it has its partition.
    pub(super) async fn settle(&mut self) -> Result<(), ClientError> {
        loop {
            let is_settled = match self.protocol {
                Protocol::Classic => self.join().await?,
                Protocol::Consumer => self.reconcile().await?,
            };
            if is_settled {
                return Ok(());
            }
            tokio::time::sleep(RETRY_BACKOFF).await;
        }
    }

    /// One round of the classic protocol.
    async fn join(&mut self) -> Result<bool, ClientError> {
        let metadata = subscription(std::slice::from_ref(&self.topic));
        let protocol = JoinGroupRequestProtocol { name: ASSIGNOR.into(), metadata };
        let request = JoinGroupRequest {
            group_id: self.group.clone(),
            session_timeout_ms: SESSION_TIMEOUT_MS,
            rebalance_timeout_ms: TIMEOUT.as_millis() as i32,
            member_id: self.id.clone(),
            protocol_type: PROTOCOL_TYPE.into(),
            protocols: vec![protocol],
            ..Default::default()
        };
        let answer = self.connection.call(&request).await?;
        if answer.error_code == ErrorCode::MemberIdRequired.code() {
            self.id = answer.member_id;
            return Ok(false);
        }
        if joins_again("joining", &self.group, answer.error_code)? {
            return Ok(false);
        }
        self.id.clone_from(&answer.member_id);
        self.epoch = answer.generation_id;
        // A leader waits until nobody is missing, which it does by joining again.
        if answer.leader == self.id && answer.members.len() < self.members {
            return Ok(false);
        }
        self.sync(answer).await
    }

    async fn sync(&mut self, joined: JoinGroupResponse) -> Result<bool, ClientError> {
        // Only the leader is told of the members.
        let ids = joined.members.into_iter().map(|member| member.member_id);
        let assign = |(partition, member_id)| SyncGroupRequestAssignment {
            member_id,
            assignment: assignment(BTreeMap::from([(self.topic.clone(), vec![partition])])),
        };
        let request = SyncGroupRequest {
            group_id: self.group.clone(),
            generation_id: self.epoch,
            member_id: self.id.clone(),
            group_instance_id: None,
            protocol_type: Some(PROTOCOL_TYPE.into()),
            protocol_name: Some(ASSIGNOR.into()),
            assignments: (0..).zip(ids).map(assign).collect(),
        };
        let answer = self.connection.call(&request).await?;
        Ok(!joins_again("syncing", &self.group, answer.error_code)?)
    }

    /// One heartbeat of the new protocol; true if the member has its share and has said so.
    async fn reconcile(&mut self) -> Result<bool, ClientError> {
        let joins = self.epoch == 0;
        let request = ConsumerGroupHeartbeatRequest {
            rebalance_timeout_ms: if joins { TIMEOUT.as_millis() as i32 } else { -1 },
            subscribed_topic_names: joins.then(|| vec![self.topic.clone()]),
            topic_partitions: Some(self.owned.clone()),
            ..self.beat()
        };
        let answer = self.connection.call(&request).await?;
        if joins_again("a heartbeat", &self.group, answer.error_code)? {
            return Ok(false);
        }
        self.epoch = answer.member_epoch;
        let is_new = answer.assignment.is_some();
        if let Some(assignment) = answer.assignment {
            self.owned = assignment.topic_partitions;
        }
        let count: usize = self.owned.iter().map(|topic| topic.partitions.len()).sum();
        Ok(count == 1 && !is_new)
    }

    /// A heartbeat of the new protocol that says nothing new.
    fn beat(&self) -> ConsumerGroupHeartbeatRequest {
        ConsumerGroupHeartbeatRequest {
            group_id: self.group.clone(),
            member_id: self.id.clone(),
            member_epoch: self.epoch,
            ..Default::default()
        }
    }

    /// Sends a heartbeat; the error in the answer.
    pub(super) async fn heartbeat(&mut self) -> Result<i16, ClientError> {
        if self.protocol == Protocol::Consumer {
            let request = self.beat();
            return Ok(self.connection.call(&request).await?.error_code);
        }
        let request = HeartbeatRequest {
            group_id: self.group.clone(),
            generation_id: self.epoch,
            member_id: self.id.clone(),
            group_instance_id: None,
        };
        Ok(self.connection.call(&request).await?.error_code)
    }

    /// Leaves the group, so that the next run finds it empty.
    pub(super) async fn leave(&mut self) -> Result<(), ClientError> {
        if self.protocol == Protocol::Consumer {
            self.epoch = LEAVING_EPOCH;
            return self.heartbeat().await.map(drop);
        }
        let member_id = self.id.clone();
        let request = LeaveGroupRequest {
            group_id: self.group.clone(),
            member_id: member_id.clone(),
            members: vec![MemberIdentity { member_id, ..Default::default() }],
        };
        self.connection.call(&request).await.map(drop)
    }
}

/// Whether an error passes when the member joins again: its coordinator is not there yet, or the generation is over.
pub(super) fn joins_again(what: &str, group: &str, code: i16) -> Result<bool, ClientError> {
    const PASSING: [ErrorCode; 6] = [
        ErrorCode::CoordinatorLoadInProgress,
        ErrorCode::CoordinatorNotAvailable,
        ErrorCode::NotCoordinator,
        ErrorCode::IllegalGeneration,
        ErrorCode::RebalanceInProgress,
        ErrorCode::UnreleasedInstanceId,
    ];
    if code == 0 || PASSING.iter().any(|error| error.code() == code) {
        return Ok(code != 0);
    }
    Err(refused(&format!("{what} of group {group}"), code))
}
