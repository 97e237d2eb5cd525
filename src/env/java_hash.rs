//! Java's hash of a string: where Kafka's answers and partitions depend on it.

/// `String.hashCode`, over the UTF-16 units.
pub fn java_hash(text: &str) -> u32 {
    text.encode_utf16()
        .fold(0_u32, |hash, unit| hash.wrapping_mul(31).wrapping_add(u32::from(unit)))
}

/// Where a `HashMap` of this capacity, a power of two, keeps a key.
pub fn java_hash_bucket(key: &str, capacity: u32) -> u32 {
    let hash = java_hash(key);
    (hash ^ (hash >> 16)) & (capacity - 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hashes_are_java_s() {
        // Printed by Java itself.
        assert_eq!(java_hash(""), 0);
        assert_eq!(java_hash("group"), 98_629_247);
        assert_eq!(java_hash("gr\u{fc}\u{df}e-\u{1F600}"), 347_391_577);
    }
}
