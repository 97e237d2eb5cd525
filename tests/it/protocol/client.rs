//! A client that asks with typed messages, and sees silence and a closed connection as answers too.

use std::cell::Cell;
use std::time::Duration;

use bytes::Bytes;
use ottla::wire::messages::api_versions::ApiVersionsRequest;
use ottla::wire::messages::create_topics::{
    CreatableTopic, CreatableTopicResult, CreateTopicsRequest,
};
use ottla::wire::messages::delete_topics::DeleteTopicsRequest;
use ottla::wire::messages::list_offsets::{
    ListOffsetsPartition, ListOffsetsPartitionResponse, ListOffsetsRequest, ListOffsetsTopic,
};
use uuid::Uuid;

use crate::broker::against_kafka;
use crate::raw_client::Connection;
pub(super) use crate::requests::{Outcome, Request, creatable, framed_as};
use crate::wait::until;

/// How long an answer may take.
pub(super) const ANSWER_TIMEOUT: Duration = Duration::from_secs(10);
/// How long no answer has to come for a request to count as unanswered.
const SILENCE: Duration = Duration::from_millis(300);

/// The broker that all checks share.
#[derive(Debug)]
pub(crate) struct Target {
    port: u16,
    topics: Cell<u32>,
}

/// A topic that serves.
#[derive(Clone, Debug)]
pub(super) struct Topic {
    pub(super) name: String,
    pub(super) id: Uuid,
}

impl Target {
    pub(crate) fn new(port: u16) -> Self {
        Self { port, topics: Cell::new(0) }
    }

    pub(super) fn port(&self) -> u16 {
        self.port
    }

    pub(super) fn client(&self) -> Client {
        Client {
            connection: Connection::open(self.port, ANSWER_TIMEOUT).unwrap(),
            correlation_id: 0,
        }
    }

    /// Sends one request on a connection of its own.
    pub(crate) fn call<R: Request>(&self, request: &R, version: i16) -> R::Response {
        self.client().call(request, version)
    }

    /// What becomes of bytes sent on a connection of their own.
    pub(super) fn outcome(&self, bytes: &[u8]) -> Outcome {
        let mut client = self.client();
        client.send_bytes(bytes);
        client.outcome()
    }

    /// Asserts that bytes close the connection without an answer.
    pub(super) fn assert_closes(&self, what: &str, bytes: &[u8]) {
        assert_eq!(self.outcome(bytes), Outcome::Closed, "{what}");
    }

    /// A name that no other check uses.
    pub(super) fn name(&self) -> String {
        let number = self.topics.get();
        self.topics.set(number + 1);
        // The process id keeps names apart on a broker that outlives a run.
        format!("protocol-{}-{number}", std::process::id())
    }

    pub(super) fn topic(&self, partitions: i32) -> Topic {
        self.topic_with(partitions, &[])
    }

    pub(super) fn topic_with(&self, partitions: i32, configs: &[(&str, &str)]) -> Topic {
        let name = self.name();
        let created = self.create(&creatable(&name, partitions, configs), 7);
        assert_eq!(created.error_code, 0, "{created:?}");
        let topic = Topic { name, id: created.topic_id };
        for partition in 0..partitions {
            self.wait_until_served(&topic, partition);
        }
        topic
    }

    /// Kafka answers a creation before the topic serves.
    pub(super) fn wait_until_served(&self, topic: &Topic, partition: i32) {
        soon("a leader", || (self.end_offset(topic, partition).error_code == 0).then_some(()));
    }

    pub(super) fn create(&self, topic: &CreatableTopic, version: i16) -> CreatableTopicResult {
        let request = CreateTopicsRequest { topics: vec![topic.clone()], ..Default::default() };
        let mut response = self.call(&request, version);
        assert_eq!(response.topics.len(), 1, "{response:?}");
        response.topics.remove(0)
    }

    pub(super) fn delete(&self, topic: &Topic) {
        let request = DeleteTopicsRequest {
            topic_names: vec![topic.name.clone()],
            timeout_ms: 60_000,
            ..Default::default()
        };
        let response = self.call(&request, 5);
        assert_eq!(response.responses[0].error_code, 0, "{response:?}");
    }

    pub(super) fn end_offset(&self, topic: &Topic, partition: i32) -> ListOffsetsPartitionResponse {
        self.list_offset(topic, partition, -1, 7)
    }

    pub(super) fn list_offset(
        &self,
        topic: &Topic,
        partition: i32,
        timestamp: i64,
        version: i16,
    ) -> ListOffsetsPartitionResponse {
        let request = list_offsets(&topic.name, partition, timestamp);
        let mut response = self.call(&request, version);
        response.topics.remove(0).partitions.remove(0)
    }
}

/// What must be there at once with us, and after a while with Kafka, which answers before its work is done.
pub(super) fn soon<T>(what: &str, mut ask: impl FnMut() -> Option<T>) -> T {
    if against_kafka() {
        return until(what, ANSWER_TIMEOUT, ask);
    }
    ask().unwrap_or_else(|| panic!("{what} is not there at once"))
}

/// Asks for one offset as a consumer.
pub(super) fn list_offsets(topic: &str, partition: i32, timestamp: i64) -> ListOffsetsRequest {
    let partition =
        ListOffsetsPartition { partition_index: partition, timestamp, ..Default::default() };
    ListOffsetsRequest {
        replica_id: -1,
        topics: vec![ListOffsetsTopic { name: topic.into(), partitions: vec![partition] }],
        ..Default::default()
    }
}

/// A request in a frame, as a client sends it.
pub(super) fn framed<R: Request>(request: &R, version: i16, correlation_id: i32) -> Bytes {
    framed_as(request, version, correlation_id, "protocol")
}

/// Reads the answer to `R` in a frame; its correlation id, and what it says.
pub(super) fn unframed<R: Request>(frame: &Bytes, version: i16) -> (i32, R::Response) {
    crate::requests::unframed::<R>(frame, version).unwrap()
}

/// One connection.
#[derive(Debug)]
pub(super) struct Client {
    connection: Connection,
    correlation_id: i32,
}

impl Client {
    /// Sends a request and reads its answer.
    pub(super) fn call<R: Request>(&mut self, request: &R, version: i16) -> R::Response {
        let sent = self.send(request, version);
        let (correlation_id, response) = self.receive::<R>(version);
        assert_eq!(correlation_id, sent);
        response
    }

    /// Sends a request; its correlation id.
    pub(super) fn send<R: Request>(&mut self, request: &R, version: i16) -> i32 {
        self.correlation_id += 1;
        self.send_bytes(&framed(request, version, self.correlation_id));
        self.correlation_id
    }

    pub(super) fn send_bytes(&mut self, bytes: &[u8]) {
        self.connection.send(bytes).unwrap();
    }

    /// The next answer, which must come.
    pub(super) fn receive<R: Request>(&mut self, version: i16) -> (i32, R::Response) {
        let context = || format!("key {} version {version}", R::KEY);
        match self.outcome() {
            Outcome::Answer(frame) => unframed::<R>(&frame, version),
            other => panic!("{}: {other:?}", context()),
        }
    }

    /// What comes next.
    pub(super) fn outcome(&mut self) -> Outcome {
        self.outcome_within(ANSWER_TIMEOUT)
    }

    /// Whether nothing comes for a while and the connection stays open.
    pub(super) fn is_silent(&mut self) -> bool {
        self.outcome_within(SILENCE) == Outcome::Silent
    }

    fn outcome_within(&mut self, timeout: Duration) -> Outcome {
        Outcome::next(self.connection.stream(), timeout, ANSWER_TIMEOUT).unwrap()
    }

    /// Whether the connection still answers.
    pub(super) fn is_usable(&mut self) -> bool {
        self.send(&ApiVersionsRequest::default(), 0);
        matches!(self.outcome(), Outcome::Answer(_))
    }
}
