//! The order in which Java's hash tables give what is in them: Kafka's tools print in it.

use std::collections::HashSet;
use std::hash::Hash;

use crate::client::TopicPartition;
use crate::env::java_hash;

/// `String.hashCode`, signed as in Java.
pub(crate) fn string_hash(text: &str) -> i32 {
    java_hash(text) as i32
}

/// What a `HashMap` begins with unless the program says so.
const CAPACITY: usize = 16;

/// `TopicPartition.hashCode`.
fn partition_hash((topic, partition): &TopicPartition) -> i32 {
    31_i32.wrapping_add(*partition).wrapping_mul(31).wrapping_add(string_hash(topic))
}

/// Sorts as `HashMap` or `HashSet` does with what is put into it in the present order.
pub(crate) fn sort_as_hash_map<T>(items: &mut [T], hash: impl Fn(&T) -> i32) {
    sort_as_hash_map_of(CAPACITY, items, hash);
}

/// Keys of a `HashMap`: each once.
fn sort_keys<T: Clone + Eq + Hash>(keys: &mut Vec<T>, hash: impl Fn(&T) -> i32) {
    let mut seen = HashSet::new();
    keys.retain(|key| seen.insert(key.clone()));
    sort_as_hash_map(keys, hash);
}

/// Names as the keys of a `HashMap`.
pub(crate) fn sort_names(names: &mut Vec<String>) {
    sort_keys(names, |name| string_hash(name));
}

/// Partitions as the keys of a `HashMap`.
pub(crate) fn sort_partitions(partitions: &mut Vec<TopicPartition>) {
    sort_keys(partitions, partition_hash);
}

/// As [`sort_as_hash_map`] of one that begins with this capacity. (A bucket of more than 8 in a large table, which becomes a
/// tree, is not thought of.)
pub(crate) fn sort_as_hash_map_of<T>(capacity: usize, items: &mut [T], hash: impl Fn(&T) -> i32) {
    let mut buckets = capacity.next_power_of_two();
    while items.len() > buckets * 3 / 4 {
        buckets *= 2;
    }
    items.sort_by_key(|item| {
        let hash = hash(item) as u32;
        (hash ^ (hash >> 16)) as usize & (buckets - 1)
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hashes_are_javas() {
        assert_eq!(string_hash(""), 0);
        assert_eq!(string_hash("retention.ms"), -1_339_220_362);
        assert_eq!(string_hash("ü\u{10000}"), (0xfc * 31 + 0xd800) * 31 + 0xdc00);
    }

    #[test]
    fn names_come_in_the_order_of_their_buckets() {
        let sorted = |names: &[&str], capacity| {
            let mut names: Vec<String> = names.iter().map(|&name| name.to_owned()).collect();
            sort_as_hash_map_of(capacity, &mut names, |name| string_hash(name));
            names.join(" ")
        };
        // Hashes of one letter are its code: b is 98, in bucket 2 of 16.
        assert_eq!(sorted(&["q", "a", "b", "p"], 16), "p q a b");
        assert_eq!(sorted(&["q", "a", "b", "p"], 4), "p q a b");
        assert_eq!(sorted(&["a", "d"], 2), "d a");
        assert_eq!(sorted(&[], 0), "");
        // What a `HashMap` of Java 17 prints.
        let mut partitions: Vec<_> = (0..4).map(|partition| ("t".to_owned(), partition)).collect();
        sort_partitions(&mut partitions);
        assert!(partitions.into_iter().map(|(_, partition)| partition).eq([3, 2, 1, 0]));
    }
}
