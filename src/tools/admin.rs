//! What Kafka's admin client is to its tools: it waits for a broker, asks the one that is to be asked, and says what is
//! wrong in Kafka's words.

use std::path::Path;
use std::time::Duration;

use super::flags::Flags;
use super::java_order::sort_as_hash_map;
use super::reach::{Unreachable, reach};
use super::{ClientProperties, Failure};
use crate::client::{ClientError, Cluster, Exception};
use crate::wire::messages::describe_configs::{
    DescribeConfigsRequest, DescribeConfigsResource, DescribeConfigsResult,
};
use crate::wire::messages::metadata::{MetadataResponseBroker, MetadataResponseTopic};
use crate::wire::{ErrorCode, Request};

/// Kafka's `default.api.timeout.ms`: for so long a broker is waited for.
const API_TIMEOUT_MS: u64 = 60_000;

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
    let message = message.unwrap_or_else(|| Exception::of(code).message);
    Err(AdminError::Refused { code, message })
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
        match reach("adminclient-1", servers, timeout, Some(patience)).await {
            Ok(cluster) => Ok(Self { cluster }),
            Err(Unreachable::Config(cause)) => Err(AdminError::Addresses(cause)),
            Err(Unreachable::Nobody) => Err(AdminError::NoBroker { call }),
        }
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
        sort_as_hash_map(&mut brokers, |broker| broker.node_id);
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
