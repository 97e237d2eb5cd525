//! DescribeConfigs (key 32): configuration of topics, brokers, groups and clients' metrics.
//!
//! Behavior:
//! - An empty list of keys asks for all of them, as null does.
//! - Success carries an empty message for topics the reference finds, an error its text.
//! - Every topic configuration of the reference is described; of the broker's keys those that are
//!   served.
//! - Every name of a group or of a subscription to clients' metrics has a configuration, be it the
//!   defaults; loggers are not served.
//!
//! Version notes: types and documentation from version 3 (KIP-569).

use super::{Api, Context, MALFORMED_REQUEST, Reply};
use crate::config::{
    self, ConfigMap, Described, describe_broker, describe_broker_defaults, resource,
};
use crate::metadata::validate_topic_name;
use crate::wire::ErrorCode;
use crate::wire::messages::describe_configs::{
    DescribeConfigsRequest, DescribeConfigsResource, DescribeConfigsResourceResult,
    DescribeConfigsResponse, DescribeConfigsResult, DescribeConfigsSynonym,
};

pub(super) struct DescribeConfigs;

impl Api for DescribeConfigs {
    type Request = DescribeConfigsRequest;

    async fn handle(
        context: Context<'_>,
        request: DescribeConfigsRequest,
        _version: i16,
    ) -> Reply<DescribeConfigsResponse> {
        // One type that nobody knows fails them all.
        let is_unknown =
            |one: &DescribeConfigsResource| !resource::TYPES.contains(&one.resource_type);
        let malformed = request.resources.iter().any(is_unknown);
        let results = request.resources.iter().map(|resource| {
            let described = if malformed {
                Err((ErrorCode::InvalidRequest, MALFORMED_REQUEST.to_owned()))
            } else {
                describe(context, resource)
            };
            let (error, message, configs) = match described {
                Ok(described) => (ErrorCode::None, String::new(), described),
                Err((error, message)) => (error, message, Vec::new()),
            };
            let keys = resource.configuration_keys.as_deref().unwrap_or_default();
            let wanted = |described: &Described| keys.is_empty() || keys.contains(&described.name);
            let configs = configs.into_iter().filter(wanted);
            DescribeConfigsResult {
                error_code: error.code(),
                error_message: Some(message),
                resource_type: resource.resource_type,
                resource_name: resource.resource_name.clone(),
                configs: configs.map(|described| entry(described, &request)).collect(),
            }
        });
        let results = results.collect();
        Reply::Ready(DescribeConfigsResponse { results, ..Default::default() })
    }
}

fn describe(
    context: Context<'_>,
    asked: &DescribeConfigsResource,
) -> Result<Vec<Described>, (ErrorCode, String)> {
    let invalid = |message: String| (ErrorCode::InvalidRequest, message);
    let name = asked.resource_name.as_str();
    let node_id = context.shared.config.node_id;
    match asked.resource_type {
        resource::TOPIC => {
            validate_topic_name(name).map_err(|text| (ErrorCode::InvalidTopicException, text))?;
            let image = context.shared.metadata.image();
            let unknown = (ErrorCode::UnknownTopicOrPartition, String::new());
            let topic = image.topic(name).ok_or(unknown)?;
            Ok(context.describe_topic(&topic.overrides))
        }
        resource::BROKER if name.is_empty() => Ok(context.with_layers(describe_broker_defaults)),
        resource::BROKER => match name.parse::<i32>() {
            Err(_) => Err(invalid(format!("Broker id must be an integer, but it is: {name}"))),
            Ok(id) if id == node_id => Ok(context.with_layers(describe_broker)),
            Ok(id) => Err(invalid(format!(
                "Unexpected broker id, expected {node_id} or empty string, but received {id}"
            ))),
        },
        of @ (resource::CLIENT_METRICS | resource::GROUP) if !name.is_empty() => {
            let image = context.shared.metadata.image();
            let none = ConfigMap::new();
            let own = image.config_of(of, name).unwrap_or(&none);
            Ok(context.with_layers(|layers| config::describe(of, own, layers)))
        }
        other => Err(invalid(refusal(other, name, node_id))),
    }
}

/// Why there is nothing to describe: the name is wrong, or the type has no configuration here.
fn refusal(resource_type: i8, name: &str, node_id: i32) -> String {
    match (resource_type, name.parse::<i32>()) {
        (resource::BROKER_LOGGER, _) if name.is_empty() => "Broker id must not be empty".to_owned(),
        (resource::BROKER_LOGGER, Err(_)) => {
            format!("Broker id must be an integer, but it is: {name}")
        }
        (resource::BROKER_LOGGER, Ok(id)) if id != node_id => {
            format!("Unexpected broker id, expected {node_id} but received {id}")
        }
        (resource::CLIENT_METRICS, _) if name.is_empty() => {
            "Client metrics subscription name must not be empty".to_owned()
        }
        (resource::GROUP, _) if name.is_empty() => "Group name must not be empty".to_owned(),
        _ => format!("Unexpected resource type {resource_type} for resource {name}"),
    }
}

fn entry(described: Described, request: &DescribeConfigsRequest) -> DescribeConfigsResourceResult {
    let synonyms = described.synonyms.into_iter().filter(|_| request.include_synonyms);
    DescribeConfigsResourceResult {
        name: described.name,
        value: described.value,
        read_only: described.read_only,
        config_source: described.source as i8,
        is_sensitive: described.sensitive,
        synonyms: synonyms
            .map(|synonym| DescribeConfigsSynonym {
                name: synonym.name,
                value: synonym.value,
                source: synonym.source as i8,
            })
            .collect(),
        config_type: described.config_type.map_or(0, |config_type| config_type as i8),
        documentation: described
            .documentation
            .filter(|_| request.include_documentation)
            .map(str::to_owned),
    }
}
