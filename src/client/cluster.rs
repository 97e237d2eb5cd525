//! The brokers of a cluster: any of them, the one that leads a partition, the one that coordinates a group.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::Duration;

use super::connection::CLIENT_ID;
use super::{ClientError, Connection, RETRY_BACKOFF, address, bootstrap, error_name};
use crate::wire::messages::find_coordinator::FindCoordinatorRequest;
use crate::wire::messages::list_offsets::{
    ListOffsetsPartition, ListOffsetsRequest, ListOffsetsTopic,
};
use crate::wire::messages::metadata::{
    MetadataRequest, MetadataRequestTopic, MetadataResponse, MetadataResponseTopic,
};
use crate::wire::{ErrorCode, Request};

/// A partition of a topic.
pub(crate) type TopicPartition = (String, i32);

/// Isolation level of a reader of everything.
pub(crate) const READ_UNCOMMITTED: i8 = 0;
/// Isolation level of a reader of what is committed.
pub(crate) const READ_COMMITTED: i8 = 1;
/// FindCoordinator's key type of a group.
const GROUP: i8 = 0;

/// A cluster, with a connection to each broker that was asked.
#[derive(Debug)]
pub(crate) struct Cluster {
    servers: String,
    client_id: Arc<str>,
    timeout: Duration,
    any: Connection,
    addresses: HashMap<i32, String>,
    connections: HashMap<i32, Connection>,
}

impl Cluster {
    /// Connects to the first of `servers` (`host:port,...`) that answers. No answer may take longer than `timeout`.
    pub(crate) async fn connect(servers: &str, timeout: Duration) -> Result<Self, ClientError> {
        let any = bootstrap(servers, timeout).await?;
        let (servers, client_id) = (servers.to_owned(), CLIENT_ID.into());
        let (addresses, connections) = (HashMap::new(), HashMap::new());
        Ok(Self { servers, client_id, timeout, any, addresses, connections })
    }

    /// Says from now on, on new connections too, that it is this client (`client.id`).
    pub(crate) fn named(mut self, client_id: &str) -> Self {
        self.client_id = client_id.into();
        self.any.set_client_id(self.client_id.clone());
        self
    }

    /// A connection of its own to a broker that an answer to Metadata or FindCoordinator has named.
    pub(crate) fn open(
        &self,
        node_id: i32,
    ) -> impl Future<Output = Result<Connection, ClientError>> + Send + use<> {
        let address = self.address(node_id).map(str::to_owned);
        let (client_id, timeout) = (self.client_id.clone(), self.timeout);
        async move {
            let mut connection = Connection::open(&address?, timeout).await?;
            connection.set_client_id(client_id);
            Ok(connection)
        }
    }

    /// Connects again, to any of the brokers that are known by now, and forgets all other connections: what is to be done
    /// when one was lost, or when a call was given up before its answer.
    pub(crate) async fn renew(&mut self) -> Result<(), ClientError> {
        self.connections.clear();
        let known: Vec<&str> = self.addresses.values().map(String::as_str).collect();
        let servers = format!("{},{}", known.join(","), self.servers);
        self.any = bootstrap(&servers, self.timeout).await?;
        self.any.set_client_id(self.client_id.clone());
        Ok(())
    }

    /// How long an answer may take.
    pub(crate) fn timeout(&self) -> Duration {
        self.timeout
    }

    /// The highest version of a request that both this and the broker that was reached first know.
    pub(crate) fn version<R: Request>(&self) -> Result<i16, ClientError> {
        self.any.peer().version::<R>()
    }

    /// Asks the broker that was reached first. A broker of Kafka's passes on what only the controller may answer.
    pub(crate) async fn ask<R: Request>(
        &mut self,
        request: &R,
    ) -> Result<R::Response, ClientError> {
        self.any.call(request).await
    }

    /// The connection to a broker that an answer to Metadata or FindCoordinator has named.
    pub(crate) async fn broker(&mut self, node_id: i32) -> Result<&mut Connection, ClientError> {
        if !self.connections.contains_key(&node_id) {
            let connection = self.open(node_id).await?;
            self.connections.insert(node_id, connection);
        }
        self.connections
            .get_mut(&node_id)
            .ok_or_else(|| ClientError::Argument(format!("no connection to broker {node_id}")))
    }

    /// Where a broker is.
    pub(crate) fn address(&self, node_id: i32) -> Result<&str, ClientError> {
        let unknown = || {
            let what = format!("the answer names broker {node_id}, but not its address");
            self.any.peer().wrong(what)
        };
        self.addresses.get(&node_id).map(String::as_str).ok_or_else(unknown)
    }

    /// Closes the connection to a broker; the next question opens another.
    pub(crate) fn forget(&mut self, node_id: i32) {
        self.connections.remove(&node_id);
    }

    /// Describes these topics, or all with None; no topic is created by it.
    pub(crate) async fn metadata(
        &mut self,
        topics: Option<&[String]>,
    ) -> Result<MetadataResponse, ClientError> {
        let named =
            |name: &String| MetadataRequestTopic { name: Some(name.clone()), ..Default::default() };
        let request = MetadataRequest {
            topics: topics.map(|topics| topics.iter().map(named).collect()),
            allow_auto_topic_creation: false,
            ..Default::default()
        };
        self.describe(&request).await
    }

    /// Asks for topics, and keeps where the brokers are.
    pub(crate) async fn describe(
        &mut self,
        request: &MetadataRequest,
    ) -> Result<MetadataResponse, ClientError> {
        let answer = self.any.call(request).await?;
        for broker in &answer.brokers {
            self.addresses.insert(broker.node_id, address(&broker.host, broker.port));
        }
        Ok(answer)
    }

    /// The broker that coordinates a group; asked again for as long as there is none yet.
    pub(crate) async fn coordinator(&mut self, group: &str) -> Result<i32, ClientError> {
        let request = FindCoordinatorRequest {
            key: group.to_owned(),
            key_type: GROUP,
            coordinator_keys: vec![group.to_owned()],
        };
        let peer = self.any.peer().clone();
        let found = peer.in_time(async {
            loop {
                let answer = self.any.call(&request).await?;
                // Before version 4 the answer is for one key and not in a list.
                let (code, node_id, host, port) = match answer.coordinators.into_iter().next() {
                    Some(one) => (one.error_code, one.node_id, one.host, one.port),
                    None => (answer.error_code, answer.node_id, answer.host, answer.port),
                };
                match code {
                    0 => return Ok((node_id, address(&host, port))),
                    code if is_passing(code) => tokio::time::sleep(RETRY_BACKOFF).await,
                    code => return Err(refused("finding the coordinator", code)),
                }
            }
        });
        let (node_id, address) = found.await?;
        self.addresses.insert(node_id, address);
        Ok(node_id)
    }

    /// The offsets at `timestamp` ([`super::BEGINNING`], [`super::END`] or milliseconds) of partitions; of each the
    /// offset, -1 if there is none, or the code of an error.
    pub(crate) async fn list_offsets(
        &mut self,
        partitions: &[TopicPartition],
        timestamp: i64,
    ) -> Result<BTreeMap<TopicPartition, Result<i64, i16>>, ClientError> {
        self.list_offsets_as(partitions, timestamp, READ_UNCOMMITTED).await
    }

    /// As [`Cluster::list_offsets`] for a reader of this isolation level: the end of [`READ_COMMITTED`] lies before open
    /// transactions.
    pub(crate) async fn list_offsets_as(
        &mut self,
        partitions: &[TopicPartition],
        timestamp: i64,
        isolation_level: i8,
    ) -> Result<BTreeMap<TopicPartition, Result<i64, i16>>, ClientError> {
        let mut names: Vec<String> = partitions.iter().map(|(topic, _)| topic.clone()).collect();
        names.sort();
        names.dedup();
        let metadata = self.metadata(Some(&names)).await?;
        let mut offsets = BTreeMap::new();
        let mut by_leader: BTreeMap<i32, Vec<&TopicPartition>> = BTreeMap::new();
        for partition in partitions {
            match leader(&metadata.topics, partition) {
                Ok(leader) => by_leader.entry(leader).or_default().push(partition),
                Err(code) => drop(offsets.insert(partition.clone(), Err(code))),
            }
        }
        for (leader, partitions) in by_leader {
            let request = ListOffsetsRequest { isolation_level, ..listing(&partitions, timestamp) };
            let answer = self.broker(leader).await?.call(&request).await?;
            for topic in answer.topics {
                for one in topic.partitions {
                    let offset =
                        if one.error_code == 0 { Ok(one.offset) } else { Err(one.error_code) };
                    offsets.insert((topic.name.clone(), one.partition_index), offset);
                }
            }
        }
        Ok(offsets)
    }
}

/// The broker that leads a partition, or why there is none.
fn leader(topics: &[MetadataResponseTopic], (topic, index): &TopicPartition) -> Result<i32, i16> {
    let unknown = ErrorCode::UnknownTopicOrPartition.code();
    let topic = topics.iter().find(|one| one.name.as_ref() == Some(topic)).ok_or(unknown)?;
    if topic.error_code != 0 {
        return Err(topic.error_code);
    }
    let partition = topic.partitions.iter().find(|one| one.partition_index == *index);
    match partition.ok_or(unknown)?.leader_id {
        -1 => Err(ErrorCode::LeaderNotAvailable.code()),
        leader => Ok(leader),
    }
}

fn listing(partitions: &[&TopicPartition], timestamp: i64) -> ListOffsetsRequest {
    let mut topics: BTreeMap<&str, Vec<ListOffsetsPartition>> = BTreeMap::new();
    for (topic, index) in partitions {
        let partition =
            ListOffsetsPartition { partition_index: *index, timestamp, ..Default::default() };
        topics.entry(topic).or_default().push(partition);
    }
    let topic =
        |(name, partitions): (&str, _)| ListOffsetsTopic { name: name.to_owned(), partitions };
    let topics = topics.into_iter().map(topic).collect();
    ListOffsetsRequest { replica_id: -1, topics, ..Default::default() }
}

/// Whether a coordinator is only not there yet.
pub(crate) fn is_passing(code: i16) -> bool {
    let passing = [
        ErrorCode::CoordinatorLoadInProgress,
        ErrorCode::CoordinatorNotAvailable,
        ErrorCode::NotCoordinator,
    ];
    passing.iter().any(|error| error.code() == code)
}

/// A broker's refusal.
pub(crate) fn refused(what: &str, code: i16) -> ClientError {
    ClientError::Refused {
        what: what.to_owned(),
        error: error_name(code),
        advice: "the log of the broker may say more",
    }
}
