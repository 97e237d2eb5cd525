//! JoinGroup (key 11): a member joins a classic group and waits for the generation to begin.
//!
//! Behavior:
//! - The answer is parked until the join phase is over; what the connection sends meanwhile waits.
//! - The first request of a dynamic member is refused with MEMBER_ID_REQUIRED and an id.
//! - The leader is told everyone's metadata, the others nothing.
//!
//! Version notes: rebalance timeouts from version 1 (before: the session timeout); an id is required
//! from 4 (KIP-394); static members from 5 (KIP-345); the protocol type is told from 7 (KIP-559);
//! reasons from 8 (KIP-800); a returning static leader may skip the assignment from 9 (KIP-814).

use std::net::IpAddr;

use super::{Api, Context, Reply};
use crate::coordinator::group::{self, Caller, Command, refused};
use crate::wire::ErrorCode;
use crate::wire::messages::join_group::{JoinGroupRequest, JoinGroupResponse};

pub(super) struct JoinGroup;

impl Api for JoinGroup {
    type Request = JoinGroupRequest;

    async fn handle(
        context: Context<'_>,
        mut request: JoinGroupRequest,
        version: i16,
    ) -> Reply<JoinGroupResponse> {
        if version == 0 {
            request.rebalance_timeout_ms = request.session_timeout_ms;
        }
        let caller = Caller {
            client_id: context.client_id.unwrap_or_default().to_owned(),
            client_host: java_host(context.session.peer().ip()),
            version,
        };
        let (group_id, member_id) = (request.group_id.clone(), request.member_id.clone());
        let joined = match check(context, &request) {
            Ok(()) => context.shared.groups.call(&group_id, Command::Join(caller, request)).await,
            Err(error) => Err(error),
        };
        Reply::Ready(match joined {
            Ok(group::Reply::Join(response)) => response,
            other => refused(super::refusal(other), &member_id),
        })
    }
}

fn check(context: Context<'_>, request: &JoinGroupRequest) -> Result<(), ErrorCode> {
    let settings = context.shared.groups.settings();
    let sessions = settings.min_session_timeout_ms..=settings.max_session_timeout_ms;
    if request.group_id.is_empty() {
        return Err(ErrorCode::InvalidGroupId);
    }
    let allowed = sessions.contains(&request.session_timeout_ms);
    if allowed { Ok(()) } else { Err(ErrorCode::InvalidSessionTimeout) }
}

/// An address as Java's `InetAddress.toString` has it without a name: groups no zeros in IPv6.
pub(super) fn java_host(address: IpAddr) -> String {
    match address.to_canonical() {
        IpAddr::V4(address) => format!("/{address}"),
        IpAddr::V6(address) => {
            let parts = address.segments().map(|segment| format!("{segment:x}"));
            format!("/{}", parts.join(":"))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hosts_are_printed_as_java_does() {
        assert_eq!(java_host("127.0.0.1".parse().unwrap()), "/127.0.0.1");
        assert_eq!(java_host("::ffff:192.0.2.1".parse().unwrap()), "/192.0.2.1");
        assert_eq!(java_host("2001:db8::a".parse().unwrap()), "/2001:db8:0:0:0:0:0:a");
    }
}
