//! IncrementalAlterConfigs (key 44): changes single keys of configurations (KIP-339).
//!
//! Behavior:
//! - A change is in effect when it is answered.
//! - Deleting a key that has no value, or that nobody knows, is no error; nor is appending an element
//!   that is there, or subtracting one that is not.
//! - One unknown operation on a topic, a group or clients' metrics fails every resource that is not
//!   refused before, without a message.
//! - Log levels cannot be changed yet.
//!
//! Version notes: none; the answer is the same at every version.

use super::config_changes::{KeyChange, ResourceChange, alter};
use super::{Api, Context, Reply};
use crate::wire::messages::incremental_alter_configs::{
    AlterConfigsResource, AlterConfigsResourceResponse, IncrementalAlterConfigsRequest,
    IncrementalAlterConfigsResponse,
};

pub(super) struct IncrementalAlterConfigs;

impl Api for IncrementalAlterConfigs {
    type Request = IncrementalAlterConfigsRequest;

    async fn handle(
        context: Context<'_>,
        request: IncrementalAlterConfigsRequest,
        _version: i16,
    ) -> Reply<IncrementalAlterConfigsResponse> {
        let named = |resource: &AlterConfigsResource| AlterConfigsResourceResponse {
            resource_type: resource.resource_type,
            resource_name: resource.resource_name.clone(),
            ..Default::default()
        };
        let mut responses: Vec<_> = request.resources.iter().map(named).collect();
        let resources = request.resources.into_iter().map(change).collect();
        let answers = alter(context, resources, false, request.validate_only).await;
        for (response, answer) in responses.iter_mut().zip(answers) {
            (response.error_code, response.error_message) = answer;
        }
        Reply::Ready(IncrementalAlterConfigsResponse { responses, ..Default::default() })
    }
}

fn change(resource: AlterConfigsResource) -> ResourceChange {
    let keys = resource.configs.into_iter().map(|config| KeyChange {
        name: config.name,
        operation: config.config_operation,
        value: config.value,
    });
    ResourceChange {
        resource_type: resource.resource_type,
        resource_name: resource.resource_name,
        keys: keys.collect(),
    }
}
