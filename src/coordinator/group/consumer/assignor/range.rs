//! Ranges: each topic is cut into as many runs as it has subscribers (Kafka: `RangeAssignor`).
//!
//! Runs are handed out in one order of members. So where all members want the same topics and
//! those have as many partitions, a member has the same partitions of each of them. Static members
//! come first, by instance id: one that restarts has a new member id and gets its old runs.
//!
//! Stickiness comes from that order alone; what members own does not count.

use std::cmp::Ordering;
use std::collections::BTreeMap;

use uuid::Uuid;

use super::{AssignError, Assignment, MemberSpec, partitions_of};

/// What is left of a topic to hand out.
struct Rest {
    next_partition: i32,
    partitions: i32,
    subscribers: i32,
}

impl Rest {
    /// The next subscriber's run. The first runs are longer by one where they cannot be equal.
    fn take(&mut self) -> std::ops::Range<i32> {
        let left = self.partitions - self.next_partition;
        // Rounded up: what the division leaves over goes to the first.
        let share = left / self.subscribers + i32::from(left % self.subscribers > 0);
        let first = self.next_partition;
        self.next_partition += share;
        self.subscribers -= 1;
        first..self.next_partition
    }
}

/// The target of every member.
pub(super) fn assign(
    members: &BTreeMap<String, MemberSpec>,
    partitions: &BTreeMap<Uuid, i32>,
) -> Result<BTreeMap<String, Assignment>, AssignError> {
    let mut topics: BTreeMap<Uuid, Rest> = BTreeMap::new();
    for topic in members.values().flat_map(|member| &member.subscribed) {
        if let Some(rest) = topics.get_mut(topic) {
            rest.subscribers += 1;
        } else {
            let partitions = partitions_of(*topic, partitions)?;
            topics.insert(*topic, Rest { next_partition: 0, partitions, subscribers: 1 });
        }
    }
    let mut in_order: Vec<_> = members.iter().collect();
    in_order.sort_by(|one, other| by_identity(*one, *other));
    let mut targets = BTreeMap::new();
    for (id, member) in in_order {
        let mut target = Assignment::new();
        for topic in &member.subscribed {
            let run = topics.get_mut(topic).map(Rest::take).unwrap_or_default();
            if !run.is_empty() {
                target.insert(*topic, run.collect());
            }
        }
        targets.insert(id.clone(), target);
    }
    Ok(targets)
}

/// Static members by instance id, then the others by member id; as Java compares strings.
fn by_identity(one: (&String, &MemberSpec), other: (&String, &MemberSpec)) -> Ordering {
    let java = |one: &str, other: &str| one.encode_utf16().cmp(other.encode_utf16());
    match (&one.1.instance_id, &other.1.instance_id) {
        (Some(one), Some(other)) => java(one, other),
        (Some(_), None) => Ordering::Less,
        (None, Some(_)) => Ordering::Greater,
        (None, None) => java(one.0, other.0),
    }
}
