//! What AlterConfigs and IncrementalAlterConfigs have in common (Kafka: `ConfigAdminManager`).
//!
//! Resources are checked one by one; those that are left go to the metadata in one command. Log
//! levels cannot be changed yet.

use std::collections::{BTreeSet, HashMap};

use super::Context;
use crate::config::resource;
use crate::metadata::{ConfigChange, ConfigOperation, TopicError};
use crate::wire::ErrorCode;

/// `AlterConfigOp.OpType` on the wire.
pub(super) mod operation {
    pub(crate) const SET: i8 = 0;
    pub(super) const DELETE: i8 = 1;
    pub(super) const APPEND: i8 = 2;
    pub(super) const SUBTRACT: i8 = 3;
}

/// A resource of a request.
pub(super) struct ResourceChange {
    pub(super) resource_type: i8,
    pub(super) resource_name: String,
    pub(super) keys: Vec<KeyChange>,
}

/// A key of a resource, and what is to be done to it.
pub(super) struct KeyChange {
    pub(super) name: String,
    pub(super) operation: i8,
    pub(super) value: Option<String>,
}

/// Error code and message for a resource.
pub(super) type Answer = (i16, Option<String>);

/// Changes the resources; an answer for each, in order. With `replace` the keys that are not named
/// are reset.
pub(super) async fn alter(
    context: Context<'_>,
    resources: Vec<ResourceChange>,
    replace: bool,
    validate_only: bool,
) -> Vec<Answer> {
    let mut times: HashMap<(i8, &str), usize> = HashMap::new();
    for one in &resources {
        *times.entry((one.resource_type, &one.resource_name)).or_default() += 1;
    }
    let node_id = context.shared.config.node_id;
    let refusal = |one: &ResourceChange| match times[&(one.resource_type, &*one.resource_name)] {
        1 => refused(one, replace, node_id),
        _ => Some("Each resource must appear at most once.".to_owned()),
    };
    let refusals: Vec<_> = resources.iter().map(refusal).collect();
    let left = resources.into_iter().zip(&refusals).filter(|(_, refused)| refused.is_none());
    // As the reference does, one unknown operation fails every resource that is left.
    let changes: Option<Vec<_>> = left.map(|(one, _)| change(one, replace)).collect();
    let mut altered = match changes {
        Some(changes) => context.shared.metadata.alter_configs(changes, validate_only).await,
        None => Vec::new(),
    }
    .into_iter();
    let failed = Err(TopicError { code: ErrorCode::UnknownServerError, message: None });
    let answer = |refused: Option<String>| match refused {
        Some(text) => (ErrorCode::InvalidRequest.code(), Some(text)),
        None => match altered.next().unwrap_or_else(|| failed.clone()) {
            Ok(()) => (ErrorCode::None.code(), None),
            Err(error) => (error.code.code(), error.message),
        },
    };
    refusals.into_iter().map(answer).collect()
}

/// Why a resource is refused before anyone looks at its configuration.
fn refused(change: &ResourceChange, replace: bool, node_id: i32) -> Option<String> {
    let mut names = BTreeSet::new();
    if !change.keys.iter().all(|key| names.insert(&key.name)) {
        return Some("Error due to duplicate config keys".to_owned());
    }
    let is_null = |key: &&KeyChange| key.value.is_none() && key.operation != operation::DELETE;
    let nulls: Vec<_> = change.keys.iter().filter(is_null).map(|key| key.name.as_str()).collect();
    if !nulls.is_empty() {
        return Some(format!("Null value not supported for : {}", nulls.join(", ")));
    }
    match change.resource_type {
        resource::TOPIC | resource::CLIENT_METRICS | resource::GROUP => None,
        resource::BROKER => refused_broker(change, node_id),
        resource::BROKER_LOGGER if !replace => {
            Some("Dynamic configuration of broker loggers is not supported yet.".to_owned())
        }
        unknown => Some(format!("Unknown resource type {unknown}")),
    }
}

/// A broker is asked for itself, or with an empty name for all.
fn refused_broker(change: &ResourceChange, node_id: i32) -> Option<String> {
    let name = &change.resource_name;
    match name.parse::<i32>() {
        _ if name.is_empty() => {}
        Err(_) => return Some(format!("Node id must be an integer, but it is: {name}")),
        Ok(id) if id != node_id => {
            return Some(format!("Unexpected broker id, expected {node_id}, but received {name}"));
        }
        Ok(_) => {}
    }
    let is_unknown =
        |key: &&KeyChange| !(operation::SET..=operation::SUBTRACT).contains(&key.operation);
    let unknown = change.keys.iter().find(is_unknown)?;
    Some(format!("Unknown operations type {}", unknown.operation))
}

/// None for an unknown operation.
fn change(resource: ResourceChange, replace: bool) -> Option<ConfigChange> {
    let operation = |KeyChange { name, operation, value }| {
        let value = value.unwrap_or_default();
        let operation = match operation {
            operation::SET => ConfigOperation::Set(value),
            operation::DELETE => ConfigOperation::Delete,
            operation::APPEND => ConfigOperation::Append(value),
            operation::SUBTRACT => ConfigOperation::Subtract(value),
            _ => return None,
        };
        Some((name, operation))
    };
    let operations = resource.keys.into_iter().map(operation).collect::<Option<_>>()?;
    let ResourceChange { resource_type, resource_name: name, .. } = resource;
    Some(ConfigChange { resource_type, name, operations, replace })
}
