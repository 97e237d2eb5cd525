//! DeleteGroups (key 42): groups without members, with their offsets (KIP-229).
//!
//! Behavior: a group named twice is answered once.

use std::collections::BTreeSet;

use super::{Api, Context, Reply};
use crate::coordinator::group::{self, Command};
use crate::wire::ErrorCode;
use crate::wire::messages::delete_groups::{
    DeletableGroupResult, DeleteGroupsRequest, DeleteGroupsResponse,
};

pub(super) struct DeleteGroups;

impl Api for DeleteGroups {
    type Request = DeleteGroupsRequest;

    async fn handle(
        context: Context<'_>,
        request: DeleteGroupsRequest,
        _version: i16,
    ) -> Reply<DeleteGroupsResponse> {
        let mut results = Vec::new();
        let mut seen = BTreeSet::new();
        for group_id in request.groups_names {
            if !seen.insert(group_id.clone()) {
                continue;
            }
            let command = Command::Delete(vec![group_id.clone()]);
            let error = match context.shared.groups.call(&group_id, command).await {
                Ok(group::Reply::Delete(deleted)) => {
                    deleted.first().map_or(ErrorCode::None, |(_, error)| *error)
                }
                other => super::refusal(other),
            };
            results.push(DeletableGroupResult { group_id, error_code: error.code() });
        }
        Reply::Ready(DeleteGroupsResponse { results, ..Default::default() })
    }
}
