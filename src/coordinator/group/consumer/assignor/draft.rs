//! A uniform assignment in the making.

use std::collections::{BTreeMap, BTreeSet};

use uuid::Uuid;

use super::{Assignment, MemberSpec};

/// Targets that change. Members are numbered in the order of their ids.
///
/// A partition is in one target or free, never both.
pub(super) struct Draft {
    pub targets: Vec<Assignment>,
    /// Partitions in each target.
    pub loads: Vec<usize>,
    /// Partitions in no target, by topic. No list is empty.
    pub free: BTreeMap<Uuid, Vec<i32>>,
}

impl Draft {
    /// Members keep what they own of the topics they are subscribed to, all of which are in
    /// `topics` with their partitions; everything else is free.
    ///
    /// A target that names a partition which does not exist, or is another member's, would be
    /// somebody's mistake: the first member keeps it.
    pub(super) fn keeping(
        members: &BTreeMap<String, MemberSpec>,
        topics: &BTreeMap<Uuid, i32>,
    ) -> Self {
        let untaken = |count: &i32| vec![false; usize::try_from(*count).unwrap_or(0)];
        let mut taken: BTreeMap<Uuid, Vec<bool>> =
            topics.iter().map(|(topic, count)| (*topic, untaken(count))).collect();
        let targets: Vec<Assignment> =
            members.values().map(|member| kept(member, &mut taken)).collect();
        let loads = targets.iter().map(|target| target.values().map(BTreeSet::len).sum()).collect();
        let free = taken.into_iter().map(|(topic, taken)| (topic, untaken_of(&taken)));
        Self { targets, loads, free: free.filter(|(_, free)| !free.is_empty()).collect() }
    }

    /// Puts a partition into a member's target.
    pub(super) fn give(&mut self, member: usize, topic: Uuid, partition: i32) {
        self.targets[member].entry(topic).or_default().insert(partition);
        self.loads[member] += 1;
    }

    /// Whether the member has partitions of the topic.
    pub(super) fn has(&self, member: usize, topic: Uuid) -> bool {
        self.targets[member].contains_key(&topic)
    }

    /// Takes the last partition of the topic out of a member's target.
    pub(super) fn take_last(&mut self, member: usize, topic: Uuid) -> Option<i32> {
        let partitions = self.targets[member].get_mut(&topic)?;
        let last = partitions.pop_last()?;
        if partitions.is_empty() {
            self.targets[member].remove(&topic);
        }
        self.loads[member] -= 1;
        Some(last)
    }

    /// Cuts a member's target to its first `quota` partitions and returns the others.
    pub(super) fn cut(&mut self, member: usize, quota: usize) -> Vec<(Uuid, i32)> {
        let target = &mut self.targets[member];
        let pairs = target.iter().flat_map(|(topic, set)| set.iter().map(|it| (*topic, *it)));
        let surplus: Vec<(Uuid, i32)> = pairs.skip(quota).collect();
        for (topic, _) in &surplus {
            self.take_last(member, *topic);
        }
        surplus
    }

    /// The targets by member id.
    pub(super) fn into_targets(
        self,
        members: &BTreeMap<String, MemberSpec>,
    ) -> BTreeMap<String, Assignment> {
        members.keys().cloned().zip(self.targets).collect()
    }
}

/// What a member keeps; marks it as taken.
fn kept(member: &MemberSpec, taken: &mut BTreeMap<Uuid, Vec<bool>>) -> Assignment {
    let mut kept = Assignment::new();
    for (topic, owned) in &member.owned {
        let Some(taken) = taken.get_mut(topic).filter(|_| member.subscribed.contains(topic)) else {
            continue;
        };
        let mut claim = |partition: &i32| {
            let taken = usize::try_from(*partition).ok().and_then(|index| taken.get_mut(index));
            taken.is_some_and(|taken| !std::mem::replace(taken, true))
        };
        let partitions: BTreeSet<i32> = owned.iter().copied().filter(|it| claim(it)).collect();
        if !partitions.is_empty() {
            kept.insert(*topic, partitions);
        }
    }
    kept
}

fn untaken_of(taken: &[bool]) -> Vec<i32> {
    (0..).zip(taken).filter(|(_, taken)| !**taken).map(|(partition, _)| partition).collect()
}
