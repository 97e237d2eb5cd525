//! AlterConfigs (key 33): gives resources a configuration, as a whole.
//!
//! Behavior:
//! - Keys that are not named are reset.
//! - A change is in effect when it is answered.
//! - A resource named twice is refused each time; the reference forgets to answer such a request.
//! - Topics, brokers, groups and clients' metrics have one; broker loggers only where it is
//!   incremental.
//!
//! Version notes: none; the answer is the same at every version.

use super::config_changes::{KeyChange, ResourceChange, alter, operation};
use super::{Api, Context, Reply};
use crate::wire::messages::alter_configs::{
    AlterConfigsRequest, AlterConfigsResource, AlterConfigsResourceResponse, AlterConfigsResponse,
};

pub(super) struct AlterConfigs;

impl Api for AlterConfigs {
    type Request = AlterConfigsRequest;

    async fn handle(
        context: Context<'_>,
        request: AlterConfigsRequest,
        _version: i16,
    ) -> Reply<AlterConfigsResponse> {
        let named = |resource: &AlterConfigsResource| AlterConfigsResourceResponse {
            resource_type: resource.resource_type,
            resource_name: resource.resource_name.clone(),
            ..Default::default()
        };
        let mut responses: Vec<_> = request.resources.iter().map(named).collect();
        let resources = request.resources.into_iter().map(change).collect();
        let answers = alter(context, resources, true, request.validate_only).await;
        for (response, answer) in responses.iter_mut().zip(answers) {
            (response.error_code, response.error_message) = answer;
        }
        Reply::Ready(AlterConfigsResponse { responses, ..Default::default() })
    }
}

fn change(resource: AlterConfigsResource) -> ResourceChange {
    let keys = resource.configs.into_iter().map(|config| KeyChange {
        name: config.name,
        operation: operation::SET,
        value: config.value,
    });
    ResourceChange {
        resource_type: resource.resource_type,
        resource_name: resource.resource_name,
        keys: keys.collect(),
    }
}
