//! What the brokers say of groups, topics and offsets (Kafka: `KafkaAdminClient`); errors that pass are waited for.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use tokio::time::{Instant, sleep};

use crate::client::{
    Cluster, Committed, Committer, Connection, Exception, PROTOCOL_TYPE, TopicPartition, commit,
    committed, is_retriable,
};
use crate::coordinator::group::consumer_protocol::{ConsumerProtocolAssignment, read};
use crate::tools::java_order::{sort_as_hash_map, string_hash};
use crate::wire::messages::consumer_group_describe::{
    self, ConsumerGroupDescribeRequest, ConsumerGroupDescribeResponse,
};
use crate::wire::messages::describe_groups::{
    DescribeGroupsRequest, DescribeGroupsResponse, DescribedGroupMember,
};
use crate::wire::messages::list_groups::{ListGroupsRequest, ListedGroup};
use crate::wire::{ErrorCode, Request};

/// Kafka's `retry.backoff.ms`.
const BACKOFF: Duration = Duration::from_millis(100);

/// A cluster that is asked until a time.
#[derive(Debug)]
pub(super) struct Admin {
    cluster: Cluster,
    end: Instant,
}

/// A group, of either protocol.
#[derive(Clone, Debug, Default)]
pub(super) struct Group {
    pub(super) state: String,
    pub(super) assignor: String,
    /// Address and number.
    pub(super) coordinator: (String, i32),
    pub(super) members: Vec<Member>,
    /// None of a classic group.
    pub(super) epoch: Option<i32>,
    pub(super) target_epoch: Option<i32>,
}

/// A member of a group.
#[derive(Clone, Debug, Default)]
pub(super) struct Member {
    pub(super) id: String,
    pub(super) instance_id: Option<String>,
    pub(super) client_id: String,
    pub(super) host: String,
    pub(super) partitions: Vec<TopicPartition>,
    pub(super) target: Vec<TopicPartition>,
    pub(super) epoch: Option<i32>,
    /// Whether it is of the consumer protocol, in a group of that.
    pub(super) is_upgraded: Option<bool>,
}

impl Admin {
    pub(super) fn new(cluster: Cluster, patience: Duration) -> Self {
        Self { cluster, end: Instant::now() + patience }
    }

    /// Whether an error may pass and there is time for it; then it has waited.
    async fn passes(&self, code: i16) -> bool {
        if !is_retriable(code) || Instant::now() >= self.end {
            return false;
        }
        sleep(BACKOFF).await;
        true
    }

    /// The groups of consumers in the order in which Kafka's client has them. Brokers that do not know the filters answer
    /// all groups, without kinds or states.
    pub(super) async fn list(
        &mut self,
        types: &[String],
        states: &[String],
    ) -> Result<Vec<ListedGroup>, Exception> {
        let brokers = self.cluster.metadata(Some(&[])).await?.brokers;
        let request =
            ListGroupsRequest { states_filter: states.to_vec(), types_filter: types.to_vec() };
        let mut groups: Vec<ListedGroup> = Vec::new();
        for broker in brokers {
            let answer = loop {
                let answer = self.cluster.broker(broker.node_id).await?.call(&request).await?;
                if !self.passes(answer.error_code).await {
                    break answer;
                }
            };
            if answer.error_code != 0 {
                return Err(Exception::of(answer.error_code));
            }
            groups.extend(answer.groups);
        }
        groups.retain(|group| ["", PROTOCOL_TYPE].contains(&group.protocol_type.as_str()));
        let mut seen = BTreeSet::new();
        groups.retain(|group| seen.insert(group.group_id.clone()));
        sort_as_hash_map(&mut groups, |group| string_hash(&group.group_id));
        Ok(groups)
    }

    /// The names of all groups of consumers.
    pub(super) async fn names(&mut self) -> Result<Vec<String>, Exception> {
        let types = ["Classic", "Consumer"].map(str::to_owned);
        let groups = self.list(&types, &[]).await?;
        Ok(groups.into_iter().map(|group| group.group_id).collect())
    }

    /// The connection to the broker that coordinates a group.
    async fn coordinator(&mut self, group: &str) -> Result<&mut Connection, Exception> {
        let node_id = self.cluster.coordinator(group).await?;
        Ok(self.cluster.broker(node_id).await?)
    }

    /// Asks the coordinator of a group, again for as long as the `code` of its answer passes.
    pub(super) async fn ask<R: Request>(
        &mut self,
        group: &str,
        request: &R,
        code: impl Fn(&R::Response) -> i16,
    ) -> Result<R::Response, Exception> {
        loop {
            let answer = self.coordinator(group).await?.call(request).await?;
            if !self.passes(code(&answer)).await {
                return Ok(answer);
            }
        }
    }

    /// Describes a group: first as one of the consumer protocol, then as a classic one.
    pub(super) async fn describe(&mut self, group: &str) -> Result<Group, Exception> {
        let node_id = self.cluster.coordinator(group).await?;
        let coordinator = (self.cluster.address(node_id)?.to_owned(), node_id);
        let peer = self.cluster.broker(node_id).await?.peer();
        let described = match peer.version::<ConsumerGroupDescribeRequest>() {
            Ok(_) => self.describe_new(group).await?,
            Err(_) => Err(None),
        };
        let described = match described {
            Ok(described) => described,
            Err(told) => self.describe_classic(group, told).await?,
        };
        Ok(Group { coordinator, ..described })
    }

    /// A group of the consumer protocol, of a broker that knows that; of none of it what the broker says.
    async fn describe_new(
        &mut self,
        group: &str,
    ) -> Result<Result<Group, Option<String>>, Exception> {
        let request = ConsumerGroupDescribeRequest {
            group_ids: vec![group.to_owned()],
            include_authorized_operations: false,
        };
        let code = |answer: &ConsumerGroupDescribeResponse| {
            answer.groups.first().map_or(0, |group| group.error_code)
        };
        let answer = self.ask(group, &request, code).await?.groups.into_iter().next();
        let answer = answer.unwrap_or_default();
        let unknown = [ErrorCode::GroupIdNotFound, ErrorCode::UnsupportedVersion];
        if unknown.iter().any(|error| error.code() == answer.error_code) {
            return Ok(Err(answer.error_message));
        }
        if answer.error_code != 0 {
            return Err(Exception::told(answer.error_code, answer.error_message));
        }
        Ok(Ok(new_group(answer)))
    }

    /// A classic group; that there is none is said in the words that were `told`.
    async fn describe_classic(
        &mut self,
        group: &str,
        told: Option<String>,
    ) -> Result<Group, Exception> {
        let request = DescribeGroupsRequest {
            groups: vec![group.to_owned()],
            include_authorized_operations: false,
        };
        let code = |answer: &DescribeGroupsResponse| {
            answer.groups.first().map_or(0, |group| group.error_code)
        };
        let answer = self.ask(group, &request, code).await?.groups.into_iter().next();
        let answer = answer.unwrap_or_default();
        if answer.error_code == ErrorCode::GroupIdNotFound.code() {
            return Err(Exception::told(answer.error_code, told.or(answer.error_message)));
        }
        if answer.error_code != 0 {
            return Err(Exception::told(answer.error_code, answer.error_message));
        }
        if !["", PROTOCOL_TYPE].contains(&answer.protocol_type.as_str()) {
            let what =
                format!("GroupId {group} is not a consumer group ({}).", answer.protocol_type);
            return Err(Exception::new("InvalidGroupIdException", what));
        }
        Ok(Group {
            state: answer.group_state,
            assignor: answer.protocol_data,
            members: answer.members.into_iter().map(Member::from).collect(),
            ..Group::default()
        })
    }

    /// The offsets that a group has committed.
    pub(super) async fn committed(
        &mut self,
        group: &str,
    ) -> Result<BTreeMap<TopicPartition, Committed>, Exception> {
        loop {
            let connection = self.coordinator(group).await?;
            match committed(connection, group, None, false).await? {
                Ok(offsets) => return Ok(offsets),
                Err(code) if self.passes(code).await => {}
                Err(code) => return Err(Exception::of(code)),
            }
        }
    }

    /// Commits for a group without members; the partitions that were refused.
    pub(super) async fn commit(
        &mut self,
        group: &str,
        offsets: &BTreeMap<TopicPartition, Committed>,
    ) -> Result<Vec<(TopicPartition, i16)>, Exception> {
        let committer = Committer { group, member_id: "", instance_id: None, generation: -1 };
        loop {
            let connection = self.coordinator(group).await?;
            let refused = commit(connection, committer, offsets).await?;
            let group_wide = refused.first().map_or(0, |(_, code)| *code);
            let is_passing = crate::client::is_passing(group_wide);
            if !(is_passing && self.passes(group_wide).await) {
                return Ok(refused);
            }
        }
    }

    /// The partitions of topics, each with its leader, -1 without one; of one that is not there the exception.
    pub(super) async fn topics(
        &mut self,
        names: &[String],
    ) -> Result<BTreeMap<String, Result<Vec<(i32, i32)>, Exception>>, Exception> {
        let mut topics = BTreeMap::new();
        if names.is_empty() {
            return Ok(topics);
        }
        for topic in self.cluster.metadata(Some(names)).await?.topics {
            let partitions =
                topic.partitions.iter().map(|one| (one.partition_index, one.leader_id));
            let mut partitions: Vec<(i32, i32)> = partitions.collect();
            partitions.sort_unstable();
            let known = match topic.error_code {
                0 => Ok(partitions),
                code => Err(Exception::of(code)),
            };
            topics.insert(topic.name.unwrap_or_default(), known);
        }
        Ok(topics)
    }

    /// The offsets at a timestamp; -1 where there is none.
    pub(super) async fn offsets(
        &mut self,
        partitions: &[TopicPartition],
        timestamp: i64,
    ) -> Result<BTreeMap<TopicPartition, i64>, Exception> {
        loop {
            let found = self.cluster.list_offsets(partitions, timestamp).await?;
            let offsets: Result<BTreeMap<_, _>, i16> =
                found.into_iter().map(|(partition, offset)| Ok((partition, offset?))).collect();
            match offsets {
                Ok(offsets) => return Ok(offsets),
                Err(code) if self.passes(code).await => {}
                Err(code) => return Err(Exception::of(code)),
            }
        }
    }
}

fn new_group(group: consumer_group_describe::DescribedGroup) -> Group {
    let partitions = |assignment: consumer_group_describe::Assignment| {
        let named = |topic: consumer_group_describe::TopicPartitions| {
            let name = topic.topic_name;
            topic.partitions.into_iter().map(move |partition| (name.clone(), partition))
        };
        assignment.topic_partitions.into_iter().flat_map(named).collect()
    };
    let member = |member: consumer_group_describe::Member| Member {
        id: member.member_id,
        instance_id: member.instance_id,
        client_id: member.client_id,
        host: member.client_host,
        partitions: partitions(member.assignment),
        target: partitions(member.target_assignment),
        epoch: Some(member.member_epoch),
        is_upgraded: (member.member_type != -1).then_some(member.member_type == 1),
    };
    Group {
        state: group.group_state,
        assignor: group.assignor_name,
        members: group.members.into_iter().map(member).collect(),
        epoch: Some(group.group_epoch),
        target_epoch: Some(group.assignment_epoch),
        ..Group::default()
    }
}

impl From<DescribedGroupMember> for Member {
    fn from(member: DescribedGroupMember) -> Self {
        // A member that has not been told yet has no bytes.
        let share = read::<ConsumerProtocolAssignment>(&member.member_assignment);
        let share = share.map_or_else(|_| Vec::new(), |share| share.assigned_partitions);
        let named = share.into_iter().flat_map(|topic| {
            topic.partitions.into_iter().map(move |partition| (topic.topic.clone(), partition))
        });
        Self {
            id: member.member_id,
            instance_id: member.group_instance_id,
            client_id: member.client_id,
            host: member.client_host,
            partitions: named.collect(),
            ..Self::default()
        }
    }
}
