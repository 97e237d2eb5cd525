//! What Kafka's admin client is to its tools: it waits for a broker, asks the one that is to be asked, and says what is
//! wrong in Kafka's words.

use std::path::Path;
use std::time::Duration;

use super::flags::Flags;
use super::java_order::sort_as_hash_map;
use super::{ClientProperties, Failure};
use crate::client::{ClientError, Cluster, error_name};
use crate::wire::messages::describe_configs::{
    DescribeConfigsRequest, DescribeConfigsResource, DescribeConfigsResult,
};
use crate::wire::messages::metadata::{MetadataResponseBroker, MetadataResponseTopic};
use crate::wire::{ErrorCode, Request};

/// Kafka's `default.api.timeout.ms`: for so long a broker is waited for.
const API_TIMEOUT_MS: u64 = 60_000;
/// Before a broker that did not answer is asked again.
const RECONNECT_BACKOFF: Duration = Duration::from_millis(200);

/// Why a tool does not do what it was asked for; as text, what Kafka's exception says.
#[derive(Debug, thiserror::Error)]
pub(crate) enum AdminError {
    /// The addresses of the brokers cannot be used.
    #[error("Failed to create new KafkaAdminClient")]
    Addresses(String),
    /// No broker to ask within the time.
    #[error("Timed out waiting for a node assignment. Call: {call}")]
    NoBroker { call: &'static str },
    /// The broker answers with an error.
    #[error("{message}")]
    Refused { code: i16, message: String },
    /// The broker is too old (Kafka: `UnsupportedVersionException`).
    #[error("{0}")]
    Unsupported(String),
    /// What was asked for is wrong by itself (Kafka: `IllegalArgumentException` and others).
    #[error("{0}")]
    Argument(String),
    /// A broker does not answer as it should.
    #[error(transparent)]
    Client(#[from] ClientError),
    /// Properties cannot be read; what is to be printed.
    #[error("{}{}", .0.out, .0.err)]
    Properties(Failure),
}

impl From<Failure> for AdminError {
    fn from(failure: Failure) -> Self {
        Self::Properties(failure)
    }
}

impl AdminError {
    /// Whether a broker has answered with this error.
    pub(crate) fn is(&self, error: ErrorCode) -> bool {
        matches!(self, Self::Refused { code, .. } if *code == error.code())
    }

    /// What to print on standard error of it, in front of it `what` was to be done, if Kafka says so.
    pub(crate) fn complaint(&self, what: Option<&str>) -> Failure {
        let cause = match self {
            Self::Addresses(cause) => format!("\n{cause}"),
            _ => String::new(),
        };
        Failure::err(match what {
            Some(what) => format!("{what}\n{self}{cause}"),
            None => format!("{self}{cause}"),
        })
    }
}

/// What an error code in an answer means, with the broker's own words where it has some.
pub(crate) fn refusal(code: i16, message: Option<String>) -> Result<(), AdminError> {
    if code == ErrorCode::None.code() {
        return Ok(());
    }
    let message = message.unwrap_or_else(|| error_text(code));
    Err(AdminError::Refused { code, message })
}

/// What Kafka says of an error of which the broker does not say more (`Errors`), of those that a tool can meet; of others
/// their name.
pub(crate) fn error_text(code: i16) -> String {
    #[rustfmt::skip]
    const TEXTS: &[(ErrorCode, &str)] = &[
        (ErrorCode::UnknownServerError, "The server experienced an unexpected error when processing the request."),
        (ErrorCode::UnknownTopicOrPartition, "This server does not host this topic-partition."),
        (ErrorCode::LeaderNotAvailable, "There is no leader for this topic-partition as we are in the middle of a leadership election."),
        (ErrorCode::RequestTimedOut, "The request timed out."),
        (ErrorCode::CoordinatorNotAvailable, "The coordinator is not available."),
        (ErrorCode::InvalidTopicException, "The request attempted to perform an operation on an invalid topic."),
        (ErrorCode::TopicAuthorizationFailed, "Topic authorization failed."),
        (ErrorCode::GroupAuthorizationFailed, "Group authorization failed."),
        (ErrorCode::ClusterAuthorizationFailed, "Cluster authorization failed."),
        (ErrorCode::UnsupportedVersion, "The version of API is not supported."),
        (ErrorCode::TopicAlreadyExists, "Topic with this name already exists."),
        (ErrorCode::InvalidPartitions, "Number of partitions is below 1."),
        (ErrorCode::InvalidReplicationFactor, "Replication factor is below 1 or larger than the number of available brokers."),
        (ErrorCode::InvalidReplicaAssignment, "Replica assignment is invalid."),
        (ErrorCode::InvalidConfig, "Configuration is invalid."),
        (ErrorCode::NotController, "This is not the correct controller for this cluster."),
        (ErrorCode::PolicyViolation, "Request parameters do not satisfy the configured policy."),
        (ErrorCode::ReassignmentInProgress, "A partition reassignment is in progress."),
        (ErrorCode::TopicDeletionDisabled, "Topic deletion is disabled."),
        (ErrorCode::ThrottlingQuotaExceeded, "The throttling quota has been exceeded."),
        (ErrorCode::ResourceNotFound, "A request illegally referred to a resource that does not exist."),
        (ErrorCode::UnknownTopicId, "This server does not host this topic ID."),
    ];
    let known = TEXTS.iter().find(|(error, _)| error.code() == code);
    known.map_or_else(|| error_name(code), |(_, text)| (*text).to_owned())
}

/// A cluster, through a broker that answers.
#[derive(Debug)]
pub(crate) struct Admin {
    cluster: Cluster,
}

impl Admin {
    /// As [`Admin::connect`], with the options of most tools.
    pub(crate) async fn of(flags: &Flags, call: &'static str) -> Result<Self, AdminError> {
        let servers = flags.get("bootstrap-server").unwrap_or_default();
        Self::connect(servers, flags.get("command-config").map(Path::new), call).await
    }

    /// Waits for one of `servers` (`host:port,...`) as long as Kafka's admin client does: `default.api.timeout.ms` in the
    /// `properties`. `call` is Kafka's name of what is to be asked.
    pub(crate) async fn connect(
        servers: &str,
        properties: Option<&Path>,
        call: &'static str,
    ) -> Result<Self, AdminError> {
        let properties = ClientProperties::read(properties, &[])?;
        let timeout = properties.request_timeout()?;
        let patience = properties.number("default.api.timeout.ms", API_TIMEOUT_MS)?;
        let patience = Duration::from_millis(patience);
        let servers = usable(servers).await.map_err(AdminError::Addresses)?;
        let mut is_told = false;
        let attempts = async {
            loop {
                match Cluster::connect(&servers, timeout).await {
                    Err(error @ (ClientError::Connect { .. } | ClientError::Lost { .. })) => {
                        if !std::mem::replace(&mut is_told, true) {
                            eprintln!("WARN {error}; trying again for {patience:?}");
                        }
                    }
                    done => return done,
                }
                tokio::time::sleep(RECONNECT_BACKOFF).await;
            }
        };
        let cluster = tokio::time::timeout(patience, attempts).await;
        Ok(Self { cluster: cluster.map_err(|_| AdminError::NoBroker { call })?? })
    }

    /// How long an answer may take, for the broker, in milliseconds.
    pub(crate) fn timeout_ms(&self) -> i32 {
        i32::try_from(self.cluster.timeout().as_millis()).unwrap_or(i32::MAX)
    }

    /// Whether there is a version of a request that both sides know.
    pub(crate) fn speaks<R: Request>(&self) -> bool {
        self.cluster.version::<R>().is_ok()
    }

    /// The highest version of a request that both sides know.
    pub(crate) fn version<R: Request>(&self) -> Result<i16, AdminError> {
        let unsupported =
            |_| AdminError::Unsupported(format!("The node does not support {}", R::NAME));
        self.cluster.version::<R>().map_err(unsupported)
    }

    /// Asks any broker.
    pub(crate) async fn ask<R: Request>(&mut self, request: &R) -> Result<R::Response, AdminError> {
        self.version::<R>()?;
        Ok(self.cluster.ask(request).await?)
    }

    /// Asks this broker, or any without an id. Where Kafka's client waits for a broker that nobody knows, `call` fails at
    /// once.
    pub(crate) async fn ask_broker<R: Request>(
        &mut self,
        node_id: Option<i32>,
        call: &'static str,
        request: &R,
    ) -> Result<R::Response, AdminError> {
        let Some(node_id) = node_id else { return self.ask(request).await };
        if !self.brokers().await?.iter().any(|broker| broker.node_id == node_id) {
            return Err(AdminError::NoBroker { call });
        }
        Ok(self.cluster.broker(node_id).await?.call(request).await?)
    }

    /// The brokers, in the order of Kafka's client.
    pub(crate) async fn brokers(&mut self) -> Result<Vec<MetadataResponseBroker>, AdminError> {
        let mut brokers = self.cluster.metadata(Some(&[])).await?.brokers;
        sort_as_hash_map(&mut brokers, 16, |broker| broker.node_id);
        Ok(brokers)
    }

    /// The cluster's id.
    pub(crate) async fn cluster_id(&mut self) -> Result<Option<String>, AdminError> {
        Ok(self.cluster.metadata(Some(&[])).await?.cluster_id)
    }

    /// These topics, or all, as the broker has them.
    pub(crate) async fn topics(
        &mut self,
        names: Option<&[String]>,
    ) -> Result<Vec<MetadataResponseTopic>, AdminError> {
        Ok(self.cluster.metadata(names).await?.topics)
    }

    /// What is configured for each of `resources` (types and names), which broker `node_id` is to know. The first that is
    /// refused fails all.
    pub(crate) async fn describe_configs(
        &mut self,
        node_id: Option<i32>,
        resources: &[(i8, &str)],
        include_synonyms: bool,
    ) -> Result<Vec<DescribeConfigsResult>, AdminError> {
        if resources.is_empty() {
            return Ok(Vec::new());
        }
        let resource = |&(resource_type, name): &(i8, &str)| DescribeConfigsResource {
            resource_type,
            resource_name: name.to_owned(),
            configuration_keys: None,
        };
        let request = DescribeConfigsRequest {
            resources: resources.iter().map(resource).collect(),
            include_synonyms,
            include_documentation: false,
        };
        let answer = self.ask_broker(node_id, "describeConfigs", &request).await?;
        for result in &answer.results {
            refusal(result.error_code, result.error_message.clone())?;
        }
        Ok(answer.results)
    }
}

/// The addresses without a protocol in front, if each has a port and one of them leads somewhere; else what is wrong.
pub(crate) async fn usable(servers: &str) -> Result<String, String> {
    let mut addresses = Vec::new();
    let mut leads_somewhere = false;
    for server in servers.split(',').map(str::trim).filter(|server| !server.is_empty()) {
        let address = server.split_once("://").map_or(server, |(_, address)| address);
        let parts = address.rsplit_once(':').filter(|(host, _)| !host.is_empty());
        if parts.and_then(|(_, port)| port.parse::<u16>().ok()).is_none() {
            return Err(format!("Invalid url in bootstrap.servers: {server}"));
        }
        let found = tokio::net::lookup_host(address).await;
        leads_somewhere |= found.is_ok_and(|mut found| found.next().is_some());
        addresses.push(address);
    }
    match leads_somewhere {
        true => Ok(addresses.join(",")),
        false => Err("No resolvable bootstrap urls given in bootstrap.servers".into()),
    }
}
