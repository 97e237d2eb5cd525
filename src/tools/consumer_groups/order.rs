//! The order in which Java's hash maps have their keys: that of the rows which Kafka's tool prints.

use crate::client::TopicPartition;
use crate::env::java_hash;

/// The smallest table of a `HashMap`; it doubles when it is full to three quarters.
const CAPACITY_MIN: usize = 16;

/// Puts items into the order of a `HashMap` to which they were added one after the other.
pub(super) fn hash_order<T>(items: &mut [T], hash: impl Fn(&T) -> u32) {
    let mut capacity = CAPACITY_MIN;
    while 4 * items.len() > 3 * capacity {
        capacity *= 2;
    }
    items.sort_by_key(|item| {
        let hash = hash(item);
        (hash ^ hash >> 16) as usize & (capacity - 1)
    });
}

/// `TopicPartition.hashCode`.
pub(super) fn partition_hash((topic, partition): &TopicPartition) -> u32 {
    31_u32.wrapping_add(*partition as u32).wrapping_mul(31).wrapping_add(java_hash(topic))
}

/// Partitions as the keys of a `HashMap`.
pub(super) fn partition_order(partitions: &mut Vec<TopicPartition>) {
    let mut seen = std::collections::HashSet::new();
    partitions.retain(|partition| seen.insert(partition.clone()));
    hash_order(partitions, partition_hash);
}

/// Names as the keys of a `HashMap`.
pub(super) fn name_order(names: &mut Vec<String>) {
    let mut seen = std::collections::HashSet::new();
    names.retain(|name| seen.insert(name.clone()));
    hash_order(names, |name| java_hash(name));
}
