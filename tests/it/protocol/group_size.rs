//! `group.max.size`: a group that is full.

use ottla::wire::Message;
use ottla::wire::messages::join_group::JoinGroupRequest;

use super::client::Target;
use super::errors::GROUP_MAX_SIZE_REACHED;
use super::groups::{JOIN, Member, completing, group, joining, rebalance, stable};
use super::join_group::assert_refused;

checks![
    a_full_group_takes_nobody,
    a_full_group_knows_its_members,
    pending_members_do_not_count,
    the_last_to_join_a_rebalance_is_one_too_many,
    a_returning_instance_finds_a_full_group,
];

pub(super) const SETTINGS: &[&str] = &["group.max.size=2"];

fn a_full_group_takes_nobody(target: &Target) {
    for members in [completing(target, 2), stable(target, 2)] {
        for version in JoinGroupRequest::VERSIONS {
            for member_id in ["", "nobody"] {
                let member_id = member_id.into();
                let request = JoinGroupRequest { member_id, ..joining(members[0].group()) };
                let response = target.call(&request, version);
                assert_refused(&response, GROUP_MAX_SIZE_REACHED, "", version);
            }
        }
    }
}

fn a_full_group_knows_its_members(target: &Target) {
    let mut members = stable(target, 2);
    assert_eq!(members[1].join().generation_id, 2);
    members[0].begin_rebalance(target);
    members[1].join();
    assert_eq!(members[0].joined().generation_id, 3);
}

fn pending_members_do_not_count(target: &Target) {
    let group = group(target);
    let pending: Vec<_> = (0..3).map(|_| Member::pending(target, &group)).collect();
    for member in pending {
        member.leave(target);
    }
}

fn the_last_to_join_a_rebalance_is_one_too_many(target: &Target) {
    let mut member = Member::alone(target, &group(target));
    let mut second = Member::pending(target, member.group());
    let mut third = Member::pending(target, member.group());
    second.begin_rebalance(target);
    third.send_join();
    assert!(third.waits());
    // The member is the last to join, and there were others before it.
    member.send_join();
    assert_refused(&member.join_outcome(), GROUP_MAX_SIZE_REACHED, "", JOIN);
    third.leave(target);
    assert_eq!(second.joined().members.len(), 1);
}

fn a_returning_instance_finds_a_full_group(target: &Target) {
    let group = group(target);
    let mut first = Member::fixed(target, &group, "first");
    first.join();
    let mut second = Member::fixed(target, &group, "second");
    rebalance(target, &mut [&mut second, &mut first]);
    let _ = first.assign(&[]);
    let mut returned = Member::fixed(target, &group, "second");
    returned.send_join();
    assert_refused(&returned.join_outcome(), GROUP_MAX_SIZE_REACHED, "", JOIN);
}
