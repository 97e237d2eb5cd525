//! The order of rows which Kafka's tool prints: that of Java's hash maps.

use std::collections::HashSet;

use crate::client::TopicPartition;
use crate::tools::java_order::{sort_as_hash_map, string_hash};

/// What a `HashMap` begins with.
const CAPACITY: usize = 16;

/// Puts items into the order of a `HashMap` to which they were added one after the other.
pub(super) fn hash_order<T>(items: &mut [T], hash: impl Fn(&T) -> i32) {
    sort_as_hash_map(items, CAPACITY, hash);
}

/// `TopicPartition.hashCode`.
fn partition_hash((topic, partition): &TopicPartition) -> i32 {
    31_i32.wrapping_add(*partition).wrapping_mul(31).wrapping_add(string_hash(topic))
}

/// Partitions as the keys of a `HashMap`.
pub(super) fn partition_order(partitions: &mut Vec<TopicPartition>) {
    let mut seen = HashSet::new();
    partitions.retain(|partition| seen.insert(partition.clone()));
    hash_order(partitions, partition_hash);
}

/// Names as the keys of a `HashMap`.
pub(super) fn name_order(names: &mut Vec<String>) {
    let mut seen = HashSet::new();
    names.retain(|name| seen.insert(name.clone()));
    hash_order(names, |name| string_hash(name));
}
