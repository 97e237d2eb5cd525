//! What holds of a machine after every step.

use std::collections::BTreeSet;

use super::{Bench, classic_groups, other_groups};
use crate::coordinator::group::classic::{Group, Member, NEVER_MS, State};
use crate::shard::{Machine, Ticket};
use crate::wire::records::GroupMetadataValue;

pub(super) fn check(bench: &Bench) {
    let mut parked = BTreeSet::new();
    for group in classic_groups(&bench.machine) {
        check_members(group, &mut parked);
        check_phase(group);
        for member in group.members.values() {
            check_member(group, member);
        }
    }
    assert_eq!(parked, bench.waiting, "who waits is parked in a member, and the other way round");
    let due_ms = classic_groups(&bench.machine).map(Group::next_deadline).min();
    let due_ms = due_ms.filter(|due| *due != NEVER_MS);
    let tick_ms = bench.machine.next_deadline();
    if let Some(due_ms) = due_ms {
        assert!(tick_ms.is_some_and(|tick| tick <= due_ms), "{tick_ms:?} is after {due_ms}");
    }
    check_replay(bench);
    super::consumer::check(bench);
}

/// Whoever is known under two names is the same; whoever waits does so once.
fn check_members(group: &Group, parked: &mut BTreeSet<Ticket>) {
    let instances = group.members.iter();
    let instances =
        instances.filter_map(|(id, it)| Some((it.group_instance_id.clone()?, id.clone())));
    assert_eq!(group.static_members, instances.collect(), "{group:#?}");
    assert!(group.pending.keys().all(|id| !group.members.contains_key(id)), "{group:#?}");
    let leads = group.leader.as_ref().map(|leader| group.members.contains_key(leader));
    assert_eq!(leads, (!group.members.is_empty()).then_some(true), "leader: {group:#?}");
    for member in group.members.values() {
        for ticket in member.joining.iter().chain(&member.syncing) {
            assert!(parked.insert(*ticket), "{ticket:?} is parked twice: {group:#?}");
        }
    }
}

/// What a group waits for is what its state is named for.
fn check_phase(group: &Group) {
    let joins = group.join_ends_ms != NEVER_MS;
    assert_eq!(joins, group.state == State::PreparingRebalance, "join phase: {group:#?}");
    assert!(joins || group.initial_delay.is_none(), "{group:#?}");
    let owes = group.members.values().any(|member| member.owes_sync);
    assert_eq!(group.sync_ends_ms != NEVER_MS, owes, "sync phase: {group:#?}");
    assert!(joins || group.members.is_empty() == group.protocol_name.is_none(), "{group:#?}");
    match group.state {
        State::Empty => assert!(group.members.is_empty(), "{group:#?}"),
        State::PreparingRebalance => assert!(!owes, "{group:#?}"),
        State::CompletingRebalance => {
            let leader = group.leader.as_ref().map(|leader| &group.members[leader]);
            assert!(leader.is_some_and(|leader| leader.owes_sync), "{group:#?}");
        }
        State::Stable => assert!(!group.members.is_empty(), "{group:#?}"),
    }
    assert!(group.generation_id >= 0, "{group:#?}");
}

fn check_member(group: &Group, member: &Member) {
    let (joins, syncs) = (member.joining.is_some(), member.syncing.is_some());
    let names: BTreeSet<&str> = member.protocols.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(names.len(), member.protocols.len(), "a protocol is repeated: {group:#?}");
    match group.state {
        State::Empty => unreachable!("it has no members"),
        State::PreparingRebalance => assert!(!syncs && !member.owes_sync, "{group:#?}"),
        State::CompletingRebalance => assert!(!joins && syncs != member.owes_sync, "{group:#?}"),
        State::Stable => assert!(!joins && !syncs, "{group:#?}"),
    }
    if group.state != State::PreparingRebalance {
        let protocol = group.protocol_name.as_deref().unwrap();
        assert!(names.contains(protocol), "{protocol} is not supported by all: {group:#?}");
    }
    // Only the first answer ends being new; whoever does not wait can be expected to be heard of.
    assert!(!member.is_new || joins, "{group:#?}");
    assert!(member.session_ends_ms != NEVER_MS || joins || syncs, "{group:#?}");
}

/// What a replay comes to is the live state, or while the live one is between two generations the
/// state last written.
fn check_replay(bench: &Bench) {
    let (live, replayed) = (&bench.machine, &bench.replayed);
    let ids = |groups: &std::collections::HashMap<_, _>| -> BTreeSet<_> {
        groups.keys().cloned().collect()
    };
    assert_eq!(ids(&live.groups), ids(&replayed.groups));
    assert_eq!(other_groups(live), other_groups(replayed));
    assert_eq!(live.offsets, replayed.offsets);
    for replayed in classic_groups(replayed) {
        let id = &replayed.id;
        let live = live.classic(id).expect("a group of the same kind");
        if let Some(written) = bench.written.get(&**id) {
            assert_eq!(&value(replayed), written);
        }
        if matches!(live.state, State::Stable | State::Empty) {
            assert_eq!(value(live), value(replayed));
            assert_eq!(live.state, replayed.state, "{live:#?}");
            assert_eq!(live.protocol_type, replayed.protocol_type);
            assert_eq!(live.static_members, replayed.static_members);
            assert_eq!(live.subscribed_topics, replayed.subscribed_topics);
        }
    }
}

fn value(group: &Group) -> GroupMetadataValue {
    group.to_record(|_, member| member.assignment.clone())
}
