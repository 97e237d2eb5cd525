//! What an administrator sees of groups: `DescribeGroups` and `ListGroups`.

use ottla::wire::Message;
use ottla::wire::messages::describe_groups::{
    DescribeGroupsRequest, DescribedGroup, DescribedGroupMember,
};
use ottla::wire::messages::list_groups::{ListGroupsRequest, ListedGroup};

use super::client::Target;
use super::errors::GROUP_ID_NOT_FOUND;
use super::groups::{
    METADATA, Member, PROTOCOL, TYPE, await_state, completing, describe, group, leave, stable,
};
use super::offset_commit::{commit, partition};

checks![
    a_stable_group_is_described_with_assignments,
    a_group_in_a_rebalance_is_described_without_metadata,
    an_empty_group_keeps_its_type,
    a_group_of_offsets_has_no_type,
    a_pending_member_is_not_described,
    a_group_that_is_not_there_is_dead,
    groups_are_described_as_often_as_asked_for,
    nothing_is_described_without_names,
    authorized_operations_are_told_when_asked_for,
    every_version_lists,
    groups_are_listed_by_state,
    groups_are_listed_by_type,
    states_and_types_that_do_not_exist_list_nothing,
];

/// Asserts what a group looks like at every version, given the newest.
fn assert_described(target: &Target, newest: &DescribedGroup) {
    for version in DescribeGroupsRequest::VERSIONS {
        let mut described = describe(target, &newest.group_id, version);
        described.members.sort_by(|a, b| a.member_id.cmp(&b.member_id));
        assert_eq!(&described, newest, "version {version}");
    }
}

fn described_group(group: &str, state: &str) -> DescribedGroup {
    DescribedGroup {
        group_id: group.into(),
        group_state: state.into(),
        protocol_type: TYPE.into(),
        ..DescribedGroup::default()
    }
}

/// The members, whose metadata and assignment a function gives.
fn described_members(
    members: &[Member],
    parts: impl Fn(&Member) -> (&'static [u8], Vec<u8>),
) -> Vec<DescribedGroupMember> {
    let described = |member: &Member| {
        let (metadata, assignment) = parts(member);
        DescribedGroupMember {
            member_id: member.id().clone(),
            client_id: "protocol".into(),
            client_host: "/127.0.0.1".into(),
            member_metadata: metadata.into(),
            member_assignment: assignment.into(),
            ..DescribedGroupMember::default()
        }
    };
    let mut described: Vec<_> = members.iter().map(described).collect();
    described.sort_by(|a, b| a.member_id.cmp(&b.member_id));
    described
}

fn a_stable_group_is_described_with_assignments(target: &Target) {
    let members = stable(target, 2);
    let parts = |member: &Member| (METADATA, member.id().as_bytes().to_vec());
    let expected = DescribedGroup {
        protocol_data: PROTOCOL.into(),
        members: described_members(&members, parts),
        ..described_group(members[0].group(), "Stable")
    };
    assert_described(target, &expected);
}

fn a_group_in_a_rebalance_is_described_without_metadata(target: &Target) {
    let members = completing(target, 2);
    let expected = DescribedGroup {
        members: described_members(&members, |_| (b"", Vec::new())),
        ..described_group(members[0].group(), "CompletingRebalance")
    };
    assert_described(target, &expected);
    let mut members = stable(target, 2);
    members[0].begin_rebalance(target);
    // Their assignment is still the last one.
    let expected = DescribedGroup {
        members: described_members(&members, |member| (b"", member.id().as_bytes().to_vec())),
        ..described_group(members[0].group(), "PreparingRebalance")
    };
    assert_described(target, &expected);
}

fn an_empty_group_keeps_its_type(target: &Target) {
    let members = stable(target, 1);
    members[0].leave(target);
    await_state(target, members[0].group(), "Empty");
    assert_described(target, &described_group(members[0].group(), "Empty"));
}

fn a_group_of_offsets_has_no_type(target: &Target) {
    let group = group(target);
    commit_one(target, &group);
    let expected =
        DescribedGroup { protocol_type: String::new(), ..described_group(&group, "Empty") };
    assert_described(target, &expected);
}

fn commit_one(target: &Target, group: &str) {
    let response = target.call(&commit(group, &target.topic(1), &[partition(0, 1)]), 10);
    assert_eq!(response.topics[0].partitions[0].error_code, 0, "{response:?}");
}

fn a_pending_member_is_not_described(target: &Target) {
    let pending = Member::pending(target, &group(target));
    await_state(target, pending.group(), "Empty");
    let expected = DescribedGroup {
        protocol_type: String::new(),
        ..described_group(pending.group(), "Empty")
    };
    assert_described(target, &expected);
    // Nor one that begins to be one.
    let members = stable(target, 1);
    let mut new = Member::pending(target, members[0].group());
    assert_eq!(describe(target, new.group(), 6).members.len(), 1);
    new.begin_rebalance(target);
    assert_eq!(describe(target, new.group(), 6).members.len(), 2);
}

/// Asserts that a group is dead, which is an error from version 6 on.
pub(super) fn assert_dead(target: &Target, group: &str) {
    for version in DescribeGroupsRequest::VERSIONS {
        let mut expected =
            DescribedGroup { protocol_type: String::new(), ..described_group(group, "Dead") };
        if version >= 6 {
            expected.error_code = GROUP_ID_NOT_FOUND;
            expected.error_message = Some(format!("Group {group} not found."));
        }
        assert_eq!(describe(target, group, version), expected, "version {version}");
    }
}

fn a_group_that_is_not_there_is_dead(target: &Target) {
    assert_dead(target, &group(target));
}

fn groups_are_described_as_often_as_asked_for(target: &Target) {
    let members = stable(target, 1);
    let (one, missing) = (members[0].group(), group(target));
    for version in DescribeGroupsRequest::VERSIONS {
        let groups = vec![one.clone(), missing.clone(), one.clone()];
        let request = DescribeGroupsRequest { groups, ..Default::default() };
        let mut found: Vec<_> =
            target.call(&request, version).groups.into_iter().map(|it| it.group_id).collect();
        // In no order: groups of one partition of the offsets topic stand together.
        found.sort_unstable();
        let mut expected = [one.clone(), one.clone(), missing.clone()];
        expected.sort_unstable();
        assert_eq!(found, expected, "version {version}");
    }
}

fn nothing_is_described_without_names(target: &Target) {
    for version in DescribeGroupsRequest::VERSIONS {
        let response = target.call(&DescribeGroupsRequest::default(), version);
        assert_eq!(response.groups, [], "version {version}");
    }
}

fn authorized_operations_are_told_when_asked_for(target: &Target) {
    let members = stable(target, 1);
    let missing = group(target);
    for version in 0..=6 {
        let operations = |group: &String| {
            let request = DescribeGroupsRequest {
                groups: vec![group.clone()],
                include_authorized_operations: true,
            };
            target.call(&request, version).groups[0].authorized_operations
        };
        let unknown = i32::MIN;
        let all = if version >= 3 { ALL_OPERATIONS } else { unknown };
        assert_eq!(operations(members[0].group()), all, "version {version}");
        // A dead group is one as well, until it is an error.
        let of_missing = if version >= 6 { unknown } else { all };
        assert_eq!(operations(&missing), of_missing, "version {version}");
    }
}

/// To read, delete and describe the group, to describe and alter its configuration.
const ALL_OPERATIONS: i32 = 1 << 3 | 1 << 6 | 1 << 8 | 1 << 10 | 1 << 11;

fn listed(target: &Target, request: &ListGroupsRequest, version: i16) -> Vec<ListedGroup> {
    let response = target.call(request, version);
    assert_eq!((response.throttle_time_ms, response.error_code), (0, 0), "version {version}");
    response.groups
}

fn every_version_lists(target: &Target) {
    let members = stable(target, 1);
    let of_offsets = group(target);
    commit_one(target, &of_offsets);
    for version in ListGroupsRequest::VERSIONS {
        let listed = listed(target, &ListGroupsRequest::default(), version);
        let find =
            |group: &str| listed.iter().filter(|it| it.group_id == group).collect::<Vec<_>>();
        let expected = |group: &str, protocol_type: &str, state: &str| ListedGroup {
            group_id: group.into(),
            protocol_type: protocol_type.into(),
            group_state: if version >= 4 { state.into() } else { String::new() },
            group_type: if version >= 5 { "classic".into() } else { String::new() },
        };
        let group = members[0].group();
        assert_eq!(find(group), [&expected(group, TYPE, "Stable")], "version {version}");
        let expected = expected(&of_offsets, "", "Empty");
        assert_eq!(find(&of_offsets), [&expected], "version {version}");
    }
}

/// Which of `groups` are listed.
fn listed_of<'a>(
    target: &Target,
    groups: &'a [String],
    request: &ListGroupsRequest,
) -> Vec<&'a str> {
    let listed = listed(target, request, 5);
    let is_listed = |group: &&String| listed.iter().any(|it| it.group_id == **group);
    groups.iter().filter(is_listed).map(String::as_str).collect()
}

fn groups_are_listed_by_state(target: &Target) {
    let stable_members = stable(target, 1);
    let completing_members = completing(target, 1);
    let mut preparing_members = stable(target, 2);
    preparing_members[0].begin_rebalance(target);
    let empty = stable(target, 1);
    leave(target, empty[0].group(), &[empty[0].identity()], 5);
    await_state(target, empty[0].group(), "Empty");
    let groups = [&stable_members, &completing_members, &preparing_members, &empty]
        .map(|members| members[0].group().clone());
    let states = ["Stable", "CompletingRebalance", "PreparingRebalance", "Empty"];
    let by_states = |states: &[&str]| {
        let states_filter = states.iter().map(ToString::to_string).collect();
        let request = ListGroupsRequest { states_filter, ..ListGroupsRequest::default() };
        listed_of(target, &groups, &request)
    };
    for (state, group) in states.iter().zip(&groups) {
        assert_eq!(by_states(&[state]), [group], "{state}");
        assert_eq!(by_states(&[&state.to_lowercase()]), [group], "{state}");
        assert_eq!(by_states(&[&state.to_uppercase()]), [group], "{state}");
        assert_eq!(by_states(&[&format!(" {state}\t")]), [group], "{state}");
    }
    assert_eq!(by_states(&states), groups);
    assert_eq!(by_states(&["Stable", "Dead", "nonsense"]), [&groups[0]]);
    assert_eq!(by_states(&[]), groups);
}

fn groups_are_listed_by_type(target: &Target) {
    let groups = [stable(target, 1)[0].group().clone()];
    let by_types = |types: &[&str]| {
        let types_filter = types.iter().map(ToString::to_string).collect();
        let request = ListGroupsRequest { types_filter, ..ListGroupsRequest::default() };
        listed_of(target, &groups, &request)
    };
    for types in [&["classic"][..], &["Classic"], &["CLASSIC"], &["consumer", "classic"], &[]] {
        assert_eq!(by_types(types), groups, "{types:?}");
    }
    for types in [&["consumer"][..], &["share"], &["streams"], &["unknown"]] {
        assert_eq!(by_types(types), [""; 0], "{types:?}");
    }
}

fn states_and_types_that_do_not_exist_list_nothing(target: &Target) {
    let _members = stable(target, 1);
    let words = |words: &[&str]| words.iter().map(ToString::to_string).collect();
    for states in [&["nonsense"][..], &["Dead"], &[""]] {
        for version in 4..=5 {
            let request = ListGroupsRequest { states_filter: words(states), ..Default::default() };
            assert_eq!(listed(target, &request, version), [], "{states:?}");
        }
    }
    for types in [&["nonsense"][..], &[""]] {
        let request = ListGroupsRequest { types_filter: words(types), ..Default::default() };
        assert_eq!(listed(target, &request, 5), [], "{types:?}");
    }
}
