//! ListConfigResources (key 74): what has a configuration (KIP-714, KIP-1142).
//!
//! Behavior:
//! - Topics and this broker are there whether something is set for them or not, groups and client
//!   metrics only with something set.
//! - One type that does not exist fails the whole request.
//!
//! Version notes: version 0 lists client metrics only; an empty list of types is all of them from
//! version 1.

use super::{Api, Context, Reply};
use crate::config::resource;
use crate::wire::ErrorCode;
use crate::wire::messages::list_config_resources::{
    ConfigResource, ListConfigResourcesRequest, ListConfigResourcesResponse,
};

pub(super) struct ListConfigResources;

impl Api for ListConfigResources {
    type Request = ListConfigResourcesRequest;

    async fn handle(
        context: Context<'_>,
        request: ListConfigResourcesRequest,
        version: i16,
    ) -> Reply<ListConfigResourcesResponse> {
        let asked = match (version, request.resource_types) {
            (0, _) => vec![resource::CLIENT_METRICS],
            (_, types) if types.is_empty() => resource::TYPES.to_vec(),
            (_, types) => types,
        };
        if asked.iter().any(|asked| !resource::TYPES.contains(asked)) {
            return Reply::Ready(ListConfigResourcesResponse {
                error_code: ErrorCode::UnsupportedVersion.code(),
                ..Default::default()
            });
        }
        let mut config_resources = Vec::new();
        for resource_type in resource::TYPES.into_iter().filter(|one| asked.contains(one)) {
            let named = |resource_name| ConfigResource { resource_name, resource_type };
            config_resources.extend(names(context, resource_type).into_iter().map(named));
        }
        Reply::Ready(ListConfigResourcesResponse { config_resources, ..Default::default() })
    }
}

fn names(context: Context<'_>, resource_type: i8) -> Vec<String> {
    let image = context.shared.metadata.image();
    match resource_type {
        resource::TOPIC => image.topics().map(|topic| topic.name.to_string()).collect(),
        resource::BROKER | resource::BROKER_LOGGER => vec![image.node_id.to_string()],
        _ => {
            let configured = image.configs.keys().filter(|(kind, _)| *kind == resource_type);
            configured.map(|(_, name)| name.clone()).collect()
        }
    }
}
