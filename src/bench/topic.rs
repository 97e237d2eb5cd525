//! Where the partitions of a topic are, and the brokers to ask.

use uuid::Uuid;

use super::Target;
use crate::client::{ClientError, Connection, END, RETRY_BACKOFF, address, bootstrap, error_name};
use crate::wire::ErrorCode;
use crate::wire::messages::create_topics::{CreatableTopic, CreateTopicsRequest};
use crate::wire::messages::list_offsets::{
    ListOffsetsPartition, ListOffsetsRequest, ListOffsetsTopic,
};
use crate::wire::messages::metadata::{
    MetadataRequest, MetadataRequestTopic, MetadataResponse, MetadataResponseTopic,
};

/// A topic and the brokers that lead its partitions.
#[derive(Clone, Debug, Default)]
pub(super) struct Topic {
    pub(super) name: String,
    /// Nil if the broker is too old for ids.
    pub(super) id: Uuid,
    /// Partitions, group by group, each with the address of the broker that leads it.
    pub(super) leaders: Vec<(String, Vec<i32>)>,
}

impl Topic {
    /// Finds a topic, or creates it; returns when all partitions have leaders.
    pub(super) async fn find(target: &Target, create: bool) -> Result<Self, ClientError> {
        let mut connection = bootstrap(&target.bootstrap_server, target.request_timeout()).await?;
        let peer = connection.peer().clone();
        peer.in_time(Self::found(&mut connection, target, create)).await
    }

    async fn found(
        connection: &mut Connection,
        target: &Target,
        create: bool,
    ) -> Result<Self, ClientError> {
        let mut is_created = false;
        loop {
            let answer = connection.call(&described(&target.topic)).await?;
            let error = match answer.topics.first() {
                Some(topic) if topic.error_code == 0 => match led(&answer, topic) {
                    // A new partition is told of a moment before its leader serves it.
                    Some(leaders) if !is_created || is_served(target, &leaders).await? => {
                        let (name, id) = (target.topic.clone(), topic.topic_id);
                        return Ok(Self { name, id, leaders });
                    }
                    _ => ErrorCode::LeaderNotAvailable.code(),
                },
                Some(topic) => topic.error_code,
                None => ErrorCode::UnknownTopicOrPartition.code(),
            };
            let is_unknown = error == ErrorCode::UnknownTopicOrPartition.code();
            if is_unknown && create && !is_created {
                create_topic(connection, target).await?;
                is_created = true;
            } else if !(is_unknown && create || error == ErrorCode::LeaderNotAvailable.code()) {
                return Err(refused(&format!("topic {}", target.topic), error));
            }
            tokio::time::sleep(RETRY_BACKOFF).await;
        }
    }

    /// So many connections to each leader, with the partitions that fall to each.
    pub(super) async fn connections(
        &self,
        target: &Target,
        count: u32,
    ) -> Result<Vec<(Connection, Vec<i32>)>, ClientError> {
        let mut connections = Vec::new();
        for (address, partitions) in &self.leaders {
            for own in shares(partitions, count as usize) {
                let connection = Connection::open(address, target.request_timeout()).await?;
                connections.push((connection, own));
            }
        }
        Ok(connections)
    }

    /// How many partitions it has.
    pub(super) fn partition_count(&self) -> usize {
        self.leaders.iter().map(|(_, partitions)| partitions.len()).sum()
    }
}

/// The partitions of each of so many connections; with more connections than partitions some have the same.
pub(super) fn shares(partitions: &[i32], connections: usize) -> Vec<Vec<i32>> {
    let share = |number: usize| {
        let own = partitions.iter().skip(number % partitions.len()).step_by(connections);
        own.copied().collect()
    };
    (0..connections).map(share).collect()
}

/// Asks for one topic.
pub(super) fn described(topic: &str) -> MetadataRequest {
    let topic = MetadataRequestTopic { name: Some(topic.to_owned()), ..Default::default() };
    MetadataRequest {
        topics: Some(vec![topic]),
        allow_auto_topic_creation: false,
        ..Default::default()
    }
}

/// The partitions by the address of their leader, or none if one has no leader.
fn led(
    answer: &MetadataResponse,
    topic: &MetadataResponseTopic,
) -> Option<Vec<(String, Vec<i32>)>> {
    let mut leaders: Vec<(i32, Vec<i32>)> = Vec::new();
    for partition in &topic.partitions {
        match leaders.iter_mut().find(|(id, _)| *id == partition.leader_id) {
            Some((_, partitions)) => partitions.push(partition.partition_index),
            None => leaders.push((partition.leader_id, vec![partition.partition_index])),
        }
    }
    let address = |(id, partitions)| {
        let broker = answer.brokers.iter().find(|broker| broker.node_id == id)?;
        Some((address(&broker.host, broker.port), partitions))
    };
    let leaders: Option<Vec<_>> = leaders.into_iter().map(address).collect();
    leaders.filter(|leaders| !leaders.is_empty())
}

/// Whether every leader has taken up its partitions.
async fn is_served(target: &Target, leaders: &[(String, Vec<i32>)]) -> Result<bool, ClientError> {
    for (address, partitions) in leaders {
        let mut connection = Connection::open(address, target.request_timeout()).await?;
        match offsets(&mut connection, &target.topic, partitions, END).await {
            Err(ClientError::Refused { .. }) => return Ok(false),
            answer => drop(answer?),
        }
    }
    Ok(true)
}

async fn create_topic(connection: &mut Connection, target: &Target) -> Result<(), ClientError> {
    let topic = CreatableTopic {
        name: target.topic.clone(),
        num_partitions: target.partitions,
        replication_factor: target.replication_factor,
        ..Default::default()
    };
    let timeout_ms = target.request_timeout_ms;
    let request = CreateTopicsRequest { topics: vec![topic], timeout_ms, validate_only: false };
    let answer = connection.call(&request).await?;
    match answer.topics.first().map(|topic| topic.error_code) {
        Some(code) if code != 0 && code != ErrorCode::TopicAlreadyExists.code() => {
            Err(refused(&format!("creating topic {}", target.topic), code))
        }
        _ => Ok(()),
    }
}

/// The broker's refusal, with what may help.
pub(super) fn refused(what: &str, code: i16) -> ClientError {
    let is = |error: ErrorCode| error.code() == code;
    let advice = if is(ErrorCode::UnknownTopicOrPartition) {
        "name one that exists with --topic, or fill it with `ottla bench produce`"
    } else if is(ErrorCode::NotController) {
        "name the controller with --bootstrap-server, or create the topic by hand"
    } else if is(ErrorCode::InvalidReplicationFactor) {
        "lower --replication-factor"
    } else {
        "the log of the broker may say more"
    };
    ClientError::Refused { what: what.to_owned(), error: error_name(code), advice }
}

/// The first or the last offset of each of these partitions.
pub(super) async fn offsets(
    connection: &mut Connection,
    topic: &str,
    partitions: &[i32],
    timestamp: i64,
) -> Result<Vec<i64>, ClientError> {
    let partition = |index: &i32| ListOffsetsPartition {
        partition_index: *index,
        timestamp,
        ..Default::default()
    };
    let topics = vec![ListOffsetsTopic {
        name: topic.to_owned(),
        partitions: partitions.iter().map(partition).collect(),
    }];
    let request = ListOffsetsRequest { replica_id: -1, topics, ..Default::default() };
    let answer = connection.call(&request).await?;
    let answers: Vec<_> = answer.topics.into_iter().flat_map(|topic| topic.partitions).collect();
    let offset = |index: &i32| {
        let found = answers.iter().find(|one| one.partition_index == *index);
        let error = ErrorCode::UnknownTopicOrPartition.code();
        match found.map_or((error, 0), |one| (one.error_code, one.offset)) {
            (0, offset) => Ok(offset),
            (code, _) => Err(refused(&format!("offsets of {topic}-{index}"), code)),
        }
    };
    partitions.iter().map(offset).collect()
}
