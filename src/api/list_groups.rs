//! ListGroups (key 16): all groups of this broker.
//!
//! Behavior: filters ignore case; an unknown state or type finds nothing.
//!
//! Version notes: states, and a filter by them, from version 4 (KIP-518); types from 5 (KIP-848).

use super::{Api, Context, Reply};
use crate::coordinator::group::{self, Command};
use crate::wire::messages::list_groups::{ListGroupsRequest, ListGroupsResponse, ListedGroup};

pub(super) struct ListGroups;

impl Api for ListGroups {
    type Request = ListGroupsRequest;

    async fn handle(
        context: Context<'_>,
        request: ListGroupsRequest,
        _version: i16,
    ) -> Reply<ListGroupsResponse> {
        let replies = match context.shared.groups.call_all(&Command::List).await {
            Ok(replies) => replies,
            Err(error) => {
                let error_code = error.code();
                return Reply::Ready(ListGroupsResponse { error_code, ..Default::default() });
            }
        };
        let listed = replies.into_iter().filter_map(|reply| match reply {
            group::Reply::List(groups) => Some(groups),
            _ => None,
        });
        let passes = |filter: &[String], value: &str| {
            filter.is_empty() || filter.iter().any(|one| one.trim().eq_ignore_ascii_case(value))
        };
        let wanted = |group: &ListedGroup| {
            passes(&request.states_filter, &group.group_state)
                && passes(&request.types_filter, &group.group_type)
        };
        let groups = listed.flatten().filter(wanted).collect();
        Reply::Ready(ListGroupsResponse { groups, ..Default::default() })
    }
}
