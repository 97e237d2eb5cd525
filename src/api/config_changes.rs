//! What AlterConfigs and IncrementalAlterConfigs have in common (Kafka: `ConfigAdminManager`).
//!
//! Resources are checked one by one; the topics among those that are left go to the metadata in one
//! command. Dynamic configuration of other resources does not exist yet.

use std::collections::{BTreeSet, HashMap};

use super::Context;
use crate::metadata::{ConfigChange, ConfigOperation, TopicError};
use crate::wire::ErrorCode;

/// `ConfigResource.Type` on the wire.
pub(super) mod resource {
    pub(crate) const TOPIC: i8 = 2;
    pub(crate) const BROKER: i8 = 4;
    pub(crate) const BROKER_LOGGER: i8 = 8;
    pub(crate) const CLIENT_METRICS: i8 = 16;
    pub(crate) const GROUP: i8 = 32;

    /// Every type, in the order in which ListConfigResources answers them.
    pub(crate) const TYPES: [i8; 5] = [GROUP, CLIENT_METRICS, BROKER_LOGGER, BROKER, TOPIC];
}

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
    let refusal = |one: &ResourceChange| match times[&(one.resource_type, &*one.resource_name)] {
        1 => refused(one, replace),
        _ => Some("Each resource must appear at most once.".to_owned()),
    };
    let refusals: Vec<_> = resources.iter().map(refusal).collect();
    let left = resources.into_iter().zip(&refusals).filter(|(_, refused)| refused.is_none());
    // As the reference does, one unknown operation fails every topic of the request.
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
fn refused(change: &ResourceChange, replace: bool) -> Option<String> {
    let mut names = BTreeSet::new();
    if !change.keys.iter().all(|key| names.insert(&key.name)) {
        return Some("Error due to duplicate config keys".to_owned());
    }
    let is_null = |key: &&KeyChange| key.value.is_none() && key.operation != operation::DELETE;
    let nulls: Vec<_> = change.keys.iter().filter(is_null).map(|key| key.name.as_str()).collect();
    if !nulls.is_empty() {
        return Some(format!("Null value not supported for : {}", nulls.join(", ")));
    }
    let not_yet = |kind| Some(format!("Dynamic configuration of {kind} is not supported yet."));
    match change.resource_type {
        resource::TOPIC => None,
        resource::BROKER => not_yet("brokers"),
        resource::BROKER_LOGGER if !replace => not_yet("broker loggers"),
        resource::CLIENT_METRICS => not_yet("client metrics"),
        resource::GROUP => not_yet("groups"),
        unknown => Some(format!("Unknown resource type {unknown}")),
    }
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
    Some(ConfigChange { topic: resource.resource_name, operations, replace })
}
