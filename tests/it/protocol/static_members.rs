//! Static members (KIP-345): what an instance id changes.

use ottla::wire::messages::describe_groups::DescribedGroupMember;
use ottla::wire::messages::heartbeat::HeartbeatRequest;
use ottla::wire::messages::join_group::{JoinGroupRequest, JoinGroupResponse};
use ottla::wire::messages::leave_group::MemberIdentity;
use ottla::wire::messages::sync_group::SyncGroupRequest;

use super::client::Target;
use super::errors::{FENCED_INSTANCE_ID, REBALANCE_IN_PROGRESS, UNKNOWN_MEMBER_ID};
use super::groups::{
    HEARTBEAT, JOIN, LEAVE, METADATA, Member, PROTOCOL, SYNC, TYPE, await_state, describe, group,
    joining, leave, protocol, rebalance,
};
use super::join_group::assert_refused;

checks![
    a_static_member_joins_at_once,
    any_instance_id_will_do,
    a_leader_is_told_and_described_instance_ids,
    a_returning_follower_keeps_the_generation,
    a_returning_leader_keeps_the_generation,
    a_returning_member_may_bring_other_metadata,
    a_returning_member_that_changes_the_protocol_begins_a_rebalance,
    a_member_that_returns_before_the_assignment_begins_again,
    a_member_that_returns_while_it_waits_is_fenced,
    a_fenced_member_is_refused_everywhere,
    an_unknown_instance_is_refused_everywhere,
    a_member_may_join_with_its_own_id,
    an_instance_leaves_by_its_name,
];

/// A static leader and a static follower in Stable, named "first" and "second".
fn stable(target: &Target) -> (Member, Member) {
    let group = group(target);
    let mut leader = Member::fixed(target, &group, "first");
    leader.join();
    let mut follower = Member::fixed(target, &group, "second");
    rebalance(target, &mut [&mut follower, &mut leader]);
    let (first, second) = (leader.id().clone(), follower.id().clone());
    let _ = leader.assign(&[(&first, b"to first"), (&second, b"to second")]);
    (leader, follower)
}

/// The same instance without its member id, as after a restart.
fn restarted(target: &Target, member: &Member) -> Member {
    let instance = member.joining.group_instance_id.as_ref().unwrap();
    Member::fixed(target, member.group(), instance)
}

fn assignment(target: &Target, member: &Member) -> Vec<u8> {
    let response = target.call(&member.syncing(), SYNC);
    assert_eq!(response.error_code, 0, "{response:?}");
    response.assignment.to_vec()
}

fn a_static_member_joins_at_once(target: &Target) {
    for version in 5..=JOIN {
        let group_instance_id = Some("instance".into());
        let request = JoinGroupRequest { group_instance_id, ..joining(&group(target)) };
        let response = target.call(&request, version);
        assert_eq!((response.error_code, response.generation_id), (0, 1), "version {version}");
        let uuid = response.member_id.strip_prefix("instance-").unwrap();
        assert_eq!(uuid.len(), 36, "version {version}");
        assert_eq!(response.members[0].group_instance_id.as_deref(), Some("instance"));
        assert!(!response.skip_assignment);
    }
}

fn any_instance_id_will_do(target: &Target) {
    for instance in ["", "a b/c", "\u{1f9a6}", ".", &"i".repeat(1_000)] {
        let mut member = Member::fixed(target, &group(target), instance);
        member.join();
        assert!(member.id().starts_with(&format!("{instance}-")));
    }
}

fn a_leader_is_told_and_described_instance_ids(target: &Target) {
    let (mut leader, mut follower) = stable(target);
    let told_each = rebalance(target, &mut [&mut leader, &mut follower]);
    let mut told: Vec<_> = told_each[0]
        .members
        .iter()
        .map(|it| (&it.member_id, it.group_instance_id.as_deref()))
        .collect();
    told.sort_unstable();
    assert_eq!(told, [(leader.id(), Some("first")), (follower.id(), Some("second"))]);
    for version in 0..=6 {
        let mut members = describe(target, leader.group(), version).members;
        members.sort_by(|a, b| a.member_id.cmp(&b.member_id));
        let ids: Vec<_> = members.iter().map(|it| it.group_instance_id.as_deref()).collect();
        let expected = ["first", "second"].map(|id| (version >= 4).then_some(id));
        assert_eq!(ids, expected, "version {version}");
    }
}

fn a_returning_follower_keeps_the_generation(target: &Target) {
    for version in 5..=JOIN {
        let (mut leader, follower) = stable(target);
        let again = target.call(&restarted(target, &follower).joining, version);
        assert_ne!(again.member_id, *follower.id());
        let expected = JoinGroupResponse {
            generation_id: 2,
            protocol_type: (version >= 7).then(|| TYPE.into()),
            protocol_name: Some(PROTOCOL.into()),
            leader: leader.id().clone(),
            member_id: again.member_id.clone(),
            ..JoinGroupResponse::default()
        };
        assert_eq!(again, expected, "version {version}");
        assert_eq!(leader.heartbeat(), 0);
        let mut returned = restarted(target, &follower);
        (returned.joining.member_id, returned.generation) = (again.member_id, 2);
        assert_eq!(assignment(target, &returned), b"to second");
    }
}

fn a_returning_leader_keeps_the_generation(target: &Target) {
    for version in 5..=JOIN {
        let (leader, mut follower) = stable(target);
        let again = target.call(&restarted(target, &leader).joining, version);
        assert_eq!((again.error_code, again.generation_id), (0, 2), "version {version}");
        // Old versions keep it from assigning by calling it a follower of its former self.
        let skips = version >= 9;
        assert_eq!(again.skip_assignment, skips);
        assert_eq!(again.leader, if skips { &again.member_id } else { leader.id() }.as_str());
        let mut told: Vec<_> = again.members.iter().map(|it| &it.member_id).collect();
        told.sort_unstable();
        let members = if skips { vec![&again.member_id, follower.id()] } else { vec![] };
        assert_eq!(told, members, "version {version}");
        assert_eq!(follower.heartbeat(), 0);
        let mut returned = restarted(target, &leader);
        (returned.joining.member_id, returned.generation) = (again.member_id, 2);
        assert_eq!(assignment(target, &returned), b"to first");
    }
}

fn a_returning_member_may_bring_other_metadata(target: &Target) {
    const OTHER: &[u8] = b"\0\0\0\0\0\0\0\0\0\x01x";
    let (mut leader, follower) = stable(target);
    let mut returned = restarted(target, &follower);
    returned.joining.protocols = vec![protocol("new", METADATA), protocol(PROTOCOL, OTHER)];
    assert_eq!(returned.join().generation_id, 2);
    assert_eq!(leader.heartbeat(), 0);
    let described = describe(target, leader.group(), 5).members;
    let metadata = |member: &DescribedGroupMember| member.member_metadata.clone();
    let of = |id: &String| described.iter().find(|it| it.member_id == *id).map(metadata);
    assert_eq!(of(returned.id()).as_deref(), Some(OTHER));
    assert_eq!(of(leader.id()).as_deref(), Some(METADATA));
}

fn a_returning_member_that_changes_the_protocol_begins_a_rebalance(target: &Target) {
    let group = group(target);
    let protocols = vec![protocol("a", METADATA), protocol("b", METADATA)];
    let mut leader = Member::fixed(target, &group, "first");
    leader.joining.protocols.clone_from(&protocols);
    assert_eq!(leader.join().protocol_name.as_deref(), Some("a"));
    let _ = leader.assign(&[]);
    let mut returned = restarted(target, &leader);
    returned.joining.protocols = vec![protocol("b", METADATA)];
    let response = returned.join();
    assert_eq!((response.generation_id, response.skip_assignment), (2, false));
    assert_eq!(response.protocol_name.as_deref(), Some("b"));
    assert_eq!((&response.leader, response.members.len()), (returned.id(), 1));
}

fn a_member_that_returns_before_the_assignment_begins_again(target: &Target) {
    let group = group(target);
    let mut leader = Member::fixed(target, &group, "first");
    leader.join();
    let mut follower = Member::fixed(target, &group, "second");
    rebalance(target, &mut [&mut follower, &mut leader]);
    follower.send_sync();
    assert!(follower.waits());
    let mut returned = restarted(target, &follower);
    returned.begin_rebalance(target);
    let fenced = follower.synced();
    assert_eq!((fenced.error_code, fenced.protocol_type), (FENCED_INSTANCE_ID, None));
    assert_eq!(leader.heartbeat(), REBALANCE_IN_PROGRESS);
    assert_eq!(leader.join().members.len(), 2);
    assert_eq!(returned.joined().generation_id, 3);
}

fn a_member_that_returns_while_it_waits_is_fenced(target: &Target) {
    let (mut leader, mut follower) = stable(target);
    leader.begin_rebalance(target);
    let mut returned = restarted(target, &leader);
    returned.send_join();
    let old = leader.id().clone();
    assert_refused(&leader.join_outcome(), FENCED_INSTANCE_ID, &old, JOIN);
    follower.join();
    let told = returned.joined();
    assert_eq!((&told.leader, told.members.len()), (returned.id(), 2));
    assert_eq!(told.generation_id, 3);
}

/// The errors that a member gets, whatever it asks.
fn errors(target: &Target, member: &Member) -> [i16; 4] {
    let join = target.call(&member.joining, JOIN);
    assert_refused(&join, join.error_code, member.id(), JOIN);
    let sync: SyncGroupRequest = member.syncing();
    let heartbeat: HeartbeatRequest = member.beat();
    let left = leave(target, member.group(), &[member.identity()], LEAVE);
    assert_eq!(left[0].member_id, *member.id());
    assert_eq!(left[0].group_instance_id, member.joining.group_instance_id);
    [
        join.error_code,
        target.call(&sync, SYNC).error_code,
        target.call(&heartbeat, HEARTBEAT).error_code,
        left[0].error_code,
    ]
}

fn a_fenced_member_is_refused_everywhere(target: &Target) {
    let (_, mut follower) = stable(target);
    restarted(target, &follower).join();
    assert_eq!(errors(target, &follower), [FENCED_INSTANCE_ID; 4]);
    // Its generation does not matter, nor that it never was a member.
    follower.joining.member_id = "nobody".into();
    follower.generation = 17;
    assert_eq!(errors(target, &follower), [FENCED_INSTANCE_ID; 4]);
    // Without the instance id it is somebody unknown.
    follower.joining.group_instance_id = None;
    assert_eq!(errors(target, &follower), [UNKNOWN_MEMBER_ID; 4]);
}

fn an_unknown_instance_is_refused_everywhere(target: &Target) {
    let (_, mut follower) = stable(target);
    follower.joining.group_instance_id = Some("other".into());
    assert_eq!(errors(target, &follower), [UNKNOWN_MEMBER_ID; 4]);
}

fn a_member_may_join_with_its_own_id(target: &Target) {
    let (mut leader, mut follower) = stable(target);
    let told = follower.join();
    assert_eq!((told.generation_id, &told.leader, told.members.len()), (2, leader.id(), 0));
    assert!(!told.skip_assignment);
    // Even a static leader that knows its id begins a rebalance.
    leader.begin_rebalance(target);
    follower.join();
    assert_eq!(leader.joined().generation_id, 3);
    // Without its instance id, a static member is one by its id.
    follower.joining.group_instance_id = None;
    assert_eq!(follower.join().generation_id, 3);
    assert_eq!(follower.heartbeat(), 0);
}

fn an_instance_leaves_by_its_name(target: &Target) {
    for version in 3..=LEAVE {
        let (mut leader, follower) = stable(target);
        let by_name = |name: &str| MemberIdentity {
            group_instance_id: Some(name.into()),
            ..MemberIdentity::default()
        };
        let left = leave(target, leader.group(), &[by_name("second"), by_name("other")], version);
        let found: Vec<_> = left
            .iter()
            .map(|it| (it.member_id.as_str(), it.group_instance_id.as_deref(), it.error_code))
            .collect();
        let expected = [("", Some("second"), 0), ("", Some("other"), UNKNOWN_MEMBER_ID)];
        assert_eq!(found, expected, "version {version}");
        assert_eq!(leader.heartbeat(), REBALANCE_IN_PROGRESS);
        assert_eq!(leader.join().members.len(), 1, "version {version}");
        assert_eq!(errors(target, &follower)[2], UNKNOWN_MEMBER_ID);
        await_state(target, leader.group(), "CompletingRebalance");
    }
}
