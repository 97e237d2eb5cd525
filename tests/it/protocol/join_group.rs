//! `JoinGroup`: what one request comes to.

use ottla::wire::header::RequestHeader;
use ottla::wire::messages::join_group::{JoinGroupRequest, JoinGroupResponse};
use ottla::wire::{Encoder, Keyed, Message};
use uuid::Uuid;

use super::client::{Outcome, Target, framed_as, unframed};
use super::errors::{
    INCONSISTENT_GROUP_PROTOCOL, INVALID_GROUP_ID, INVALID_SESSION_TIMEOUT, MEMBER_ID_REQUIRED,
    UNKNOWN_MEMBER_ID, UNKNOWN_SERVER_ERROR,
};
use super::groups::{
    JOIN, METADATA, Member, PROTOCOL, TYPE, await_state, describe, group, joining, protocol, stable,
};
use crate::broker::against_kafka;

checks![
    every_version_joins,
    from_version_4_on_a_new_member_gets_its_id_first,
    a_member_id_begins_with_the_client_id,
    a_group_has_a_name,
    session_timeouts_have_bounds,
    a_member_has_a_type_and_protocols,
    a_repeated_protocol_is_an_error,
    metadata_need_not_be_a_subscription,
    a_refused_newcomer_leaves_an_empty_group,
    an_unknown_member_is_refused,
    an_unknown_member_makes_no_group,
    members_of_a_group_have_one_type_and_a_common_protocol,
    a_pending_member_has_no_instance_id,
    an_empty_group_takes_any_type,
];

fn versions() -> impl Iterator<Item = i16> {
    JoinGroupRequest::VERSIONS
}

/// Asserts an error that says nothing of a group but, maybe, the member's id.
pub(super) fn assert_refused(
    response: &JoinGroupResponse,
    error: i16,
    member_id: &str,
    version: i16,
) {
    let expected = JoinGroupResponse {
        error_code: error,
        // No name: null where the version has it.
        protocol_name: if version >= 7 { None } else { Some(String::new()) },
        member_id: member_id.into(),
        ..JoinGroupResponse::default()
    };
    assert_eq!(response, &expected, "version {version}");
}

/// Joins as a new member at a version, in two steps where it has them.
fn join(target: &Target, request: &JoinGroupRequest, version: i16) -> JoinGroupResponse {
    let response = target.call(request, version);
    if response.error_code != MEMBER_ID_REQUIRED {
        return response;
    }
    target.call(&JoinGroupRequest { member_id: response.member_id, ..request.clone() }, version)
}

fn every_version_joins(target: &Target) {
    for version in versions() {
        let request = JoinGroupRequest {
            reason: (version >= 8).then(|| "a reason".into()),
            ..joining(&group(target))
        };
        let response = join(target, &request, version);
        assert_eq!((response.error_code, response.throttle_time_ms), (0, 0), "version {version}");
        assert_eq!((response.generation_id, response.skip_assignment), (1, false));
        let protocol_type = (version >= 7).then_some(TYPE);
        assert_eq!(response.protocol_type.as_deref(), protocol_type, "version {version}");
        assert_eq!(response.protocol_name.as_deref(), Some(PROTOCOL), "version {version}");
        assert_eq!(response.leader, response.member_id);
        let [member] = &response.members[..] else { panic!("version {version}: {response:?}") };
        assert_eq!(member.member_id, response.member_id);
        assert_eq!((&member.group_instance_id, &member.metadata[..]), (&None, METADATA));
    }
}

fn from_version_4_on_a_new_member_gets_its_id_first(target: &Target) {
    for version in 4..=JOIN {
        let group = group(target);
        let response = target.call(&joining(&group), version);
        assert_refused(&response, MEMBER_ID_REQUIRED, &response.member_id, version);
        assert!(!response.member_id.is_empty());
        // The group is there, and nobody is in it.
        await_state(target, &group, "Empty");
        assert_eq!(describe(target, &group, 5).members, []);
    }
}

/// Asserts that an id is a prefix and random.
fn assert_made_from(prefix: &str, member_id: &str) {
    let rest = member_id.strip_prefix(prefix).and_then(|rest| rest.strip_prefix('-'));
    let uuid = rest.unwrap_or_else(|| panic!("{member_id} does not begin with {prefix}-"));
    assert_eq!(Uuid::parse_str(uuid).unwrap().get_version_num(), 4, "{uuid}");
    assert_eq!(uuid.len(), 36);
}

fn a_member_id_begins_with_the_client_id(target: &Target) {
    let group = group(target);
    let id_for = |bytes: &[u8]| {
        let mut client = target.client();
        client.send_bytes(bytes);
        let Outcome::Answer(frame) = client.outcome() else { panic!("an answer") };
        unframed::<JoinGroupRequest>(&frame, JOIN).1.member_id
    };
    let request = joining(&group);
    for client_id in ["one", "", "a b\u{1f9a6}"] {
        assert_made_from(client_id, &id_for(&framed_as(&request, JOIN, 1, client_id)));
    }
    let mut encoder = Encoder::frame();
    let header = RequestHeader {
        api_key: JoinGroupRequest::KEY,
        api_version: JOIN,
        correlation_id: 1,
        client_id: None,
    };
    header.write(&mut encoder, true);
    request.encode(&mut encoder, JOIN);
    assert_made_from("", &id_for(&encoder.finish().into_bytes().unwrap()));
    for version in 0..4 {
        assert_made_from("protocol", &target.call(&joining(&target.name()), version).member_id);
    }
}

fn a_group_has_a_name(target: &Target) {
    for version in versions() {
        let request = JoinGroupRequest { member_id: "somebody".into(), ..joining("") };
        let response = target.call(&request, version);
        assert_refused(&response, INVALID_GROUP_ID, "somebody", version);
    }
}

fn session_timeouts_have_bounds(target: &Target) {
    let group = group(target);
    let with = |session_timeout_ms| JoinGroupRequest {
        session_timeout_ms,
        member_id: "somebody".into(),
        ..joining(&group)
    };
    for version in versions() {
        for session_timeout_ms in [5_999, 1_800_001, 0, -1] {
            let response = target.call(&with(session_timeout_ms), version);
            assert_refused(&response, INVALID_SESSION_TIMEOUT, "somebody", version);
        }
        for session_timeout_ms in [6_000, 1_800_000] {
            let response = target.call(&with(session_timeout_ms), version);
            assert_refused(&response, UNKNOWN_MEMBER_ID, "somebody", version);
        }
    }
}

fn a_member_has_a_type_and_protocols(target: &Target) {
    for version in versions() {
        let group = group(target);
        let typeless = JoinGroupRequest { protocol_type: String::new(), ..joining(&group) };
        let without = JoinGroupRequest { protocols: Vec::new(), ..joining(&group) };
        for request in [typeless, without] {
            let response = target.call(&request, version);
            assert_refused(&response, INCONSISTENT_GROUP_PROTOCOL, "", version);
        }
    }
}

fn a_repeated_protocol_is_an_error(target: &Target) {
    for version in [0, JOIN] {
        let protocols = vec![protocol(PROTOCOL, METADATA); 2];
        let mut client = target.client();
        let mut request = JoinGroupRequest { protocols, ..joining(&group(target)) };
        if against_kafka() {
            // It counts two members for the protocol, finds none that all of one support, and
            // leaves the request without an answer.
            if version >= 4 {
                let given = client.call(&request, version);
                assert_eq!(given.error_code, MEMBER_ID_REQUIRED);
                request.member_id = given.member_id;
            }
            client.send(&request, version);
            assert!(client.is_silent(), "version {version}");
        } else {
            let response = client.call(&request, version);
            assert_refused(&response, UNKNOWN_SERVER_ERROR, "", version);
        }
    }
}

/// A consumer's subscription is read for its topics; what cannot be read has none.
fn metadata_need_not_be_a_subscription(target: &Target) {
    for metadata in [&b""[..], b"\0", b"\0\0", b"\xff\xff", b"\0\0\0\0\0\x01\0\x01t", b"\0\0\0"] {
        let protocols = vec![protocol(PROTOCOL, metadata)];
        let request = JoinGroupRequest { protocols, ..joining(&group(target)) };
        let response = target.call(&request, 0);
        assert_eq!(response.error_code, 0, "{metadata:?}: {response:?}");
    }
    // Kafka's group is stuck for good where a length in it is wrong.
    for metadata in [&b"metadata"[..], b"\0\0\xff\xff\xff\xff", b"\0\0\0\0\0\x01\0\x05t"] {
        let mut client = target.client();
        let protocols = vec![protocol(PROTOCOL, metadata)];
        client.send(&JoinGroupRequest { protocols, ..joining(&group(target)) }, 0);
        if against_kafka() {
            assert!(client.is_silent(), "{metadata:?}");
        } else {
            let response = client.receive::<JoinGroupRequest>(0).1;
            assert_eq!(response.error_code, 0, "{metadata:?}: {response:?}");
        }
    }
}

fn a_refused_newcomer_leaves_an_empty_group(target: &Target) {
    let group = group(target);
    let request = JoinGroupRequest { protocols: Vec::new(), ..joining(&group) };
    let response = target.call(&request, JOIN);
    assert_refused(&response, INCONSISTENT_GROUP_PROTOCOL, "", JOIN);
    await_state(target, &group, "Empty");
    assert_eq!(describe(target, &group, 5).protocol_type, "");
}

fn an_unknown_member_is_refused(target: &Target) {
    let group = Member::alone(target, &group(target)).group().clone();
    for version in versions() {
        let request = JoinGroupRequest { member_id: "nobody".into(), ..joining(&group) };
        let response = target.call(&request, version);
        assert_refused(&response, UNKNOWN_MEMBER_ID, "nobody", version);
    }
}

fn an_unknown_member_makes_no_group(target: &Target) {
    for version in versions() {
        let group = group(target);
        let request = JoinGroupRequest { member_id: "nobody".into(), ..joining(&group) };
        let response = target.call(&request, version);
        assert_refused(&response, UNKNOWN_MEMBER_ID, "nobody", version);
        assert_eq!(describe(target, &group, 5).group_state, "Dead");
    }
}

fn members_of_a_group_have_one_type_and_a_common_protocol(target: &Target) {
    let member = Member::alone(target, &group(target));
    let other_type =
        JoinGroupRequest { protocol_type: "connect".into(), ..joining(member.group()) };
    let no_type = JoinGroupRequest { protocol_type: String::new(), ..joining(member.group()) };
    let protocols = vec![protocol("other", METADATA)];
    let other_protocol = JoinGroupRequest { protocols, ..joining(member.group()) };
    let no_protocol = JoinGroupRequest { protocols: Vec::new(), ..joining(member.group()) };
    for version in versions() {
        for request in [&other_type, &no_type, &other_protocol, &no_protocol] {
            for member_id in ["", "nobody", member.id().as_str()] {
                let request = JoinGroupRequest { member_id: member_id.into(), ..request.clone() };
                let response = target.call(&request, version);
                assert_refused(&response, INCONSISTENT_GROUP_PROTOCOL, member_id, version);
            }
        }
    }
    assert_eq!(describe(target, member.group(), 5).group_state, "CompletingRebalance");
}

fn a_pending_member_has_no_instance_id(target: &Target) {
    for version in 5..=JOIN {
        let member = Member::pending(target, &group(target));
        let group_instance_id = Some("instance".into());
        let request = JoinGroupRequest { group_instance_id, ..member.joining.clone() };
        let response = target.call(&request, version);
        assert_refused(&response, UNKNOWN_SERVER_ERROR, "", version);
    }
}

fn an_empty_group_takes_any_type(target: &Target) {
    let members = stable(target, 1);
    let group = members[0].group();
    members[0].leave(target);
    await_state(target, group, "Empty");
    assert_eq!(describe(target, group, 5).protocol_type, TYPE);
    let request = JoinGroupRequest {
        protocol_type: "connect".into(),
        protocols: vec![protocol("sessioned", METADATA)],
        ..joining(group)
    };
    let member = Member::alone_with(target, request);
    // The end of the last generation counted as one.
    assert_eq!(member.generation, 3);
    assert_eq!(describe(target, group, 5).protocol_type, "connect");
}
