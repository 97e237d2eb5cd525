//! What holds of every consumer group after every step.

use std::collections::BTreeMap;

use super::super::*;
use crate::coordinator::group::consumer::{ConsumerGroup, Timers};

pub(in super::super) fn check(bench: &Bench) {
    for (id, group) in &bench.machine.groups {
        let AnyGroup::Consumer(group) = group else { continue };
        let AnyGroup::Consumer(replayed) = &bench.replayed.groups[id] else {
            panic!("{id} is a group of another kind in a replay")
        };
        assert_eq!(group, replayed, "a replay comes to the live state");
        check_partitions(group);
        check_epochs(group);
        let due_ms = bench.machine.timers.get(id).map_or(NEVER_MS, Timers::next);
        let tick_ms = bench.machine.next_deadline().unwrap_or(NEVER_MS);
        assert!(tick_ms <= due_ms, "{tick_ms} is after {due_ms}");
    }
    for id in bench.machine.timers.keys() {
        let group = bench.machine.groups.get(id);
        assert!(matches!(group, Some(AnyGroup::Consumer(_))), "timers of no group: {id}");
    }
}

/// A partition is with one member, also while that is to give it back.
fn check_partitions(group: &ConsumerGroup) {
    let mut owners = BTreeMap::new();
    for (id, member) in &group.members {
        for (topic_id, partitions) in member.assigned.iter().chain(&member.revoking) {
            for partition in partitions.keys() {
                let earlier = owners.insert((topic_id, partition), id);
                assert_eq!(earlier, None, "{topic_id}-{partition} is with {id}, too: {group:#?}");
            }
        }
    }
}

fn check_epochs(group: &ConsumerGroup) {
    assert!(group.target_epoch <= group.epoch, "{group:#?}");
    for (id, member) in &group.members {
        assert!(member.epoch <= group.target_epoch, "{id}: {group:#?}");
        let since = member.assigned.values().flat_map(|partitions| partitions.values());
        assert!(since.max().is_none_or(|since| *since <= group.target_epoch), "{id}: {group:#?}");
        if let Some(instance_id) = &member.instance_id {
            assert_eq!(group.static_members.get(instance_id), Some(id), "{group:#?}");
        }
    }
}
