//! The order in which Java's hash tables give what is in them: Kafka's tools print in it.

/// `String.hashCode`.
pub(crate) fn string_hash(text: &str) -> i32 {
    let unit = |hash: i32, unit: u16| hash.wrapping_mul(31).wrapping_add(i32::from(unit));
    text.encode_utf16().fold(0, unit)
}

/// Sorts as `HashMap` or `HashSet` does with what is put into it in the present order. `capacity` is what it begins with: 16
/// unless the program said another one. (A bucket of more than 8 in a large table, which becomes a tree, is not thought of.)
pub(crate) fn sort_as_hash_map<T>(items: &mut [T], capacity: usize, hash: impl Fn(&T) -> i32) {
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
            sort_as_hash_map(&mut names, capacity, |name| string_hash(name));
            names.join(" ")
        };
        // Hashes of one letter are its code: b is 98, in bucket 2 of 16.
        assert_eq!(sorted(&["q", "a", "b", "p"], 16), "p q a b");
        assert_eq!(sorted(&["q", "a", "b", "p"], 4), "p q a b");
        assert_eq!(sorted(&["a", "d"], 2), "d a");
        assert_eq!(sorted(&[], 0), "");
    }
}
