//! A member of a classic group of consumers (Kafka: `ConsumerCoordinator`): it joins, assigns if it leads, says that it
//! lives, commits and leaves.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use bytes::Bytes;

use super::offsets::{self, Committed, Committer};
use super::{ClientError, Cluster, Connection, TopicPartition, refused};
use crate::coordinator::group::consumer_protocol::{
    ConsumerProtocolAssignment, ConsumerProtocolSubscription, NamedPartitions, bytes, read,
};
use crate::wire::ErrorCode;
use crate::wire::messages::heartbeat::HeartbeatRequest;
use crate::wire::messages::join_group::{
    JoinGroupRequest, JoinGroupRequestProtocol, JoinGroupResponse, JoinGroupResponseMember,
};
use crate::wire::messages::leave_group::{LeaveGroupRequest, MemberIdentity};
use crate::wire::messages::sync_group::{SyncGroupRequest, SyncGroupRequestAssignment};

/// The protocol type of consumers.
pub(crate) const PROTOCOL_TYPE: &str = "consumer";
/// The one way of assigning that these members know.
pub(crate) const ASSIGNOR: &str = "range";
/// How much longer than a rebalance the answer to a join may take.
const JOIN_GRACE: Duration = Duration::from_secs(5);
/// Kafka's `retry.backoff.ms`.
const REJOIN_BACKOFF: Duration = Duration::from_millis(100);
/// The version in which a subscription is written: the first that says what a member has.
const SUBSCRIPTION_VERSION: i16 = 1;

/// What a consumer says of itself: it reads these topics and, as one of the range assignor, has nothing while it joins.
pub(crate) fn subscription(topics: &[String]) -> Bytes {
    let subscription =
        ConsumerProtocolSubscription { topics: topics.to_vec(), ..Default::default() };
    bytes(&subscription, SUBSCRIPTION_VERSION)
}

/// What a consumer is told: it has these partitions of these topics.
pub(crate) fn assignment(share: BTreeMap<String, Vec<i32>>) -> Bytes {
    let named = |(topic, partitions)| NamedPartitions { topic, partitions };
    let assigned_partitions = share.into_iter().map(named).collect();
    bytes(&ConsumerProtocolAssignment { assigned_partitions, user_data: None }, 0)
}

/// How to be a member.
#[derive(Clone, Debug)]
pub(crate) struct Membership {
    pub(crate) group: String,
    /// `group.instance.id`: the member is static, and does not leave at its end.
    pub(crate) instance_id: Option<String>,
    pub(crate) session_timeout: Duration,
    /// How long the others may be waited for; Kafka's consumers say `max.poll.interval.ms`.
    pub(crate) rebalance_timeout: Duration,
}

/// A member of a group, or one that may become it.
#[derive(Debug)]
pub(crate) struct Member {
    membership: Membership,
    coordinator: Option<Connection>,
    id: String,
    generation: i32,
    /// As the leader, the partitions of every topic that it assigned.
    assigned: BTreeMap<String, Vec<i32>>,
}

impl Member {
    pub(crate) fn new(membership: Membership) -> Self {
        let (coordinator, id) = (None, String::new());
        Self { membership, coordinator, id, generation: -1, assigned: BTreeMap::new() }
    }

    /// The topics that it assigned as the leader, with their partitions; nothing if another leads.
    pub(crate) fn assigned(&self) -> &BTreeMap<String, Vec<i32>> {
        &self.assigned
    }

    /// Looks for the coordinator again: its connection was lost, or left in the middle of a call.
    pub(crate) fn forget_coordinator(&mut self) {
        self.coordinator = None;
    }

    async fn coordinator(
        &mut self,
        cluster: &mut Cluster,
        timeout: Duration,
    ) -> Result<&mut Connection, ClientError> {
        let connection = match self.coordinator.take() {
            Some(connection) => connection,
            None => {
                let node_id = cluster.coordinator(&self.membership.group).await?;
                cluster.open(node_id).await?
            }
        };
        let connection = self.coordinator.insert(connection);
        connection.set_timeout(timeout);
        Ok(connection)
    }

    /// Joins, again and again, until it has its share of the partitions of the group's topics.
    pub(crate) async fn join(
        &mut self,
        cluster: &mut Cluster,
        topics: &[String],
    ) -> Result<Vec<TopicPartition>, ClientError> {
        loop {
            if let Some(joined) = self.enter(cluster, topics).await?
                && let Some(share) = self.sync(cluster, joined).await?
            {
                return Ok(share);
            }
            tokio::time::sleep(REJOIN_BACKOFF).await;
        }
    }

    async fn enter(
        &mut self,
        cluster: &mut Cluster,
        topics: &[String],
    ) -> Result<Option<JoinGroupResponse>, ClientError> {
        let protocol =
            JoinGroupRequestProtocol { name: ASSIGNOR.into(), metadata: subscription(topics) };
        let mut request = JoinGroupRequest {
            group_id: self.membership.group.clone(),
            session_timeout_ms: self.membership.session_timeout.as_millis() as i32,
            rebalance_timeout_ms: self.membership.rebalance_timeout.as_millis() as i32,
            group_instance_id: self.membership.instance_id.clone(),
            protocol_type: PROTOCOL_TYPE.into(),
            protocols: vec![protocol],
            ..Default::default()
        };
        loop {
            request.member_id.clone_from(&self.id);
            let patience = self.membership.rebalance_timeout + JOIN_GRACE;
            let coordinator = self.coordinator(cluster, patience.max(cluster.timeout())).await?;
            let answer = coordinator.call(&request).await?;
            if answer.error_code == ErrorCode::MemberIdRequired.code() {
                self.id = answer.member_id;
                continue;
            }
            if self.passes("joining", answer.error_code)? {
                return Ok(None);
            }
            self.id.clone_from(&answer.member_id);
            self.generation = answer.generation_id;
            return Ok(Some(answer));
        }
    }

    async fn sync(
        &mut self,
        cluster: &mut Cluster,
        joined: JoinGroupResponse,
    ) -> Result<Option<Vec<TopicPartition>>, ClientError> {
        self.assigned.clear();
        let mut shares = BTreeMap::new();
        if joined.leader == self.id {
            let members: Vec<_> = joined.members.into_iter().map(Subscriber::read).collect();
            self.assigned = partitions_of(cluster, &members).await?;
            if !joined.skip_assignment {
                shares = ranges(members, &self.assigned);
            }
        }
        let given = |(member_id, share)| SyncGroupRequestAssignment {
            member_id,
            assignment: assignment(share),
        };
        let request = SyncGroupRequest {
            group_id: self.membership.group.clone(),
            generation_id: self.generation,
            member_id: self.id.clone(),
            group_instance_id: self.membership.instance_id.clone(),
            protocol_type: Some(PROTOCOL_TYPE.into()),
            protocol_name: Some(ASSIGNOR.into()),
            assignments: shares.into_iter().map(given).collect(),
        };
        let patience = self.membership.rebalance_timeout.max(cluster.timeout());
        let coordinator = self.coordinator(cluster, patience).await?;
        let answer = coordinator.call(&request).await?;
        let peer = coordinator.peer().clone();
        if self.passes("syncing", answer.error_code)? {
            return Ok(None);
        }
        // A member without a share may be sent nothing at all.
        if answer.assignment.is_empty() {
            return Ok(Some(Vec::new()));
        }
        let share = read::<ConsumerProtocolAssignment>(&answer.assignment)
            .map_err(|error| peer.wrong(format!("unreadable assignment: {error}")))?;
        let named = |NamedPartitions { topic, partitions }| {
            partitions.into_iter().map(move |partition| (topic.clone(), partition))
        };
        Ok(Some(share.assigned_partitions.into_iter().flat_map(named).collect()))
    }

    /// Whether there is an error that passes when the member joins again or finds its coordinator.
    fn passes(&mut self, what: &str, code: i16) -> Result<bool, ClientError> {
        match ErrorCode::ALL.iter().find(|error| error.code() == code) {
            Some(ErrorCode::None) => return Ok(false),
            Some(ErrorCode::NotCoordinator | ErrorCode::CoordinatorNotAvailable) => {
                self.coordinator = None;
            }
            Some(ErrorCode::CoordinatorLoadInProgress | ErrorCode::RebalanceInProgress) => {}
            Some(ErrorCode::UnknownMemberId) => {
                self.id.clear();
                self.generation = -1;
            }
            Some(ErrorCode::IllegalGeneration) => self.generation = -1,
            _ => return Err(refused(&format!("{what} of group {}", self.membership.group), code)),
        }
        Ok(true)
    }

    /// Says that it lives; whether it has to join again.
    pub(crate) async fn heartbeat(&mut self, cluster: &mut Cluster) -> Result<bool, ClientError> {
        let request = HeartbeatRequest {
            group_id: self.membership.group.clone(),
            generation_id: self.generation,
            member_id: self.id.clone(),
            group_instance_id: self.membership.instance_id.clone(),
        };
        let coordinator = self.coordinator(cluster, cluster.timeout()).await?;
        let code = coordinator.call(&request).await?.error_code;
        let has_coordinator = !super::is_passing(code);
        Ok(self.passes("a heartbeat", code)? && has_coordinator)
    }

    /// What of these partitions is committed; nothing while the coordinator is not ready to say.
    pub(crate) async fn committed(
        &mut self,
        cluster: &mut Cluster,
        partitions: &[TopicPartition],
    ) -> Result<Option<BTreeMap<TopicPartition, Committed>>, ClientError> {
        let group = self.membership.group.clone();
        let coordinator = self.coordinator(cluster, cluster.timeout()).await?;
        match offsets::committed(coordinator, &group, Some(partitions), true).await? {
            Ok(offsets) => Ok(Some(offsets)),
            Err(code) if code == ErrorCode::UnstableOffsetCommit.code() => Ok(None),
            Err(code) => self.passes("offsets", code).map(|_| None),
        }
    }

    /// Commits as a member, or as nobody if it never joined. What is refused is left to the next commit: a member that is
    /// no longer one learns it from its heartbeat.
    pub(crate) async fn commit(
        &mut self,
        cluster: &mut Cluster,
        offsets: &BTreeMap<TopicPartition, Committed>,
    ) -> Result<(), ClientError> {
        let Membership { group, instance_id, .. } = self.membership.clone();
        let (member_id, generation) = (self.id.clone(), self.generation);
        let instance_id = instance_id.as_deref().filter(|_| !member_id.is_empty());
        let committer = Committer { group: &group, member_id: &member_id, instance_id, generation };
        let coordinator = self.coordinator(cluster, cluster.timeout()).await?;
        let refused = offsets::commit(coordinator, committer, offsets).await?;
        if refused.iter().any(|(_, code)| super::is_passing(*code)) {
            self.coordinator = None;
        }
        Ok(())
    }

    /// Leaves the group, unless it is a static member or none.
    pub(crate) async fn leave(&mut self, cluster: &mut Cluster) -> Result<(), ClientError> {
        if self.id.is_empty() || self.membership.instance_id.is_some() {
            return Ok(());
        }
        let member_id = std::mem::take(&mut self.id);
        let request = LeaveGroupRequest {
            group_id: self.membership.group.clone(),
            member_id: member_id.clone(),
            members: vec![MemberIdentity { member_id, ..Default::default() }],
        };
        let coordinator = self.coordinator(cluster, cluster.timeout()).await?;
        coordinator.call(&request).await.map(drop)
    }
}

/// A member as the leader sees it.
#[derive(Debug)]
struct Subscriber {
    id: String,
    instance_id: Option<String>,
    topics: BTreeSet<String>,
}

impl Subscriber {
    /// One whose subscription cannot be read gets nothing.
    fn read(member: JoinGroupResponseMember) -> Self {
        let subscription = read::<ConsumerProtocolSubscription>(&member.metadata);
        let topics = subscription.map_or_else(|_| Vec::new(), |subscription| subscription.topics);
        let topics = topics.into_iter().collect();
        Self { id: member.member_id, instance_id: member.group_instance_id, topics }
    }
}

/// The partitions of all topics that some member reads; topics that are not there have none.
async fn partitions_of(
    cluster: &mut Cluster,
    members: &[Subscriber],
) -> Result<BTreeMap<String, Vec<i32>>, ClientError> {
    let names: BTreeSet<String> =
        members.iter().flat_map(|member| &member.topics).cloned().collect();
    let names: Vec<String> = names.into_iter().collect();
    let mut partitions: BTreeMap<String, Vec<i32>> =
        names.iter().map(|name| (name.clone(), Vec::new())).collect();
    for topic in cluster.metadata(Some(&names)).await?.topics {
        if let Some(own) = partitions.get_mut(topic.name.as_deref().unwrap_or_default()) {
            own.extend(topic.partitions.iter().map(|partition| partition.partition_index));
            own.sort_unstable();
        }
    }
    Ok(partitions)
}

/// Kafka's `RangeAssignor`: each topic's partitions in runs, to the members that read it in the order of their ids; static
/// members come first, in the order of their own names.
fn ranges(
    mut members: Vec<Subscriber>,
    partitions: &BTreeMap<String, Vec<i32>>,
) -> BTreeMap<String, BTreeMap<String, Vec<i32>>> {
    members.sort_by(|one, other| {
        let order = |it: &Subscriber| (it.instance_id.is_none(), it.instance_id.clone());
        order(one).cmp(&order(other)).then_with(|| one.id.cmp(&other.id))
    });
    let mut shares: BTreeMap<String, BTreeMap<String, Vec<i32>>> =
        members.iter().map(|member| (member.id.clone(), BTreeMap::new())).collect();
    for (topic, partitions) in partitions {
        let readers: Vec<&Subscriber> =
            members.iter().filter(|member| member.topics.contains(topic)).collect();
        let mut rest = &partitions[..];
        for (number, reader) in readers.iter().enumerate() {
            // The first ones take what does not divide.
            let (run, after) = rest.split_at(rest.len().div_ceil(readers.len() - number));
            rest = after;
            if !run.is_empty()
                && let Some(share) = shares.get_mut(&reader.id)
            {
                share.insert(topic.clone(), run.to_vec());
            }
        }
    }
    shares
}

#[cfg(test)]
mod tests {
    use super::*;

    fn member(id: &str, instance_id: Option<&str>, topics: &[&str]) -> Subscriber {
        let topics = topics.iter().map(ToString::to_string).collect();
        Subscriber { id: id.into(), instance_id: instance_id.map(Into::into), topics }
    }

    #[test]
    fn ranges_are_kafkas() {
        let partitions = [("t", 7), ("u", 2), ("v", 0)];
        let partitions =
            partitions.map(|(topic, count)| (topic.to_owned(), (0..count).collect::<Vec<i32>>()));
        let members = vec![
            member("b", None, &["t", "u", "v"]),
            member("a", None, &["t"]),
            member("z", Some("one"), &["t", "u"]),
        ];
        let shares = ranges(members, &partitions.into_iter().collect());
        let of = |id: &str| -> Vec<(&str, &[i32])> {
            shares[id].iter().map(|(topic, run)| (topic.as_str(), &run[..])).collect()
        };
        assert_eq!(of("z"), [("t", &[0, 1, 2][..]), ("u", &[0])]);
        assert_eq!(of("a"), [("t", &[3, 4][..])]);
        assert_eq!(of("b"), [("t", &[5, 6][..]), ("u", &[1])]);
    }

    #[test]
    fn bytes_are_those_of_java() {
        let topics = ["t".to_owned()];
        assert_eq!(subscription(&topics), &b"\0\x01\0\0\0\x01\0\x01t\xff\xff\xff\xff\0\0\0\0"[..]);
        let share = BTreeMap::from([("t".to_owned(), vec![3])]);
        let bytes = b"\0\0\0\0\0\x01\0\x01t\0\0\0\x01\0\0\0\x03\xff\xff\xff\xff";
        assert_eq!(assignment(share), &bytes[..]);
    }
}
