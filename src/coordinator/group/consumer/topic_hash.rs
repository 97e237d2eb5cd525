//! Hashes by which a group notices that its topics have changed (Kafka: `Utils.computeTopicHash`,
//! `Utils.computeGroupHash`).
//!
//! The group's hash stands in its metadata record, so both equal the reference's: XXH3 of 64 bits,
//! with numbers in little endian and strings in UTF-16 with their length behind them, as the
//! library hash4j feeds them in.

use std::collections::BTreeMap;
use std::hash::Hasher;

use twox_hash::XxHash3_64;
use uuid::Uuid;

/// The first byte of what is hashed of a topic; another one would mean another form.
const TOPIC_HASH_MAGIC: u8 = 0;

/// Hash of a topic whose replicas stand on a broker without a rack.
pub(in crate::coordinator::group) fn topic_hash(name: &str, id: Uuid, partitions: i32) -> i64 {
    let mut hash = Stream::default();
    let (most, least) = id.as_u64_pair();
    hash.put(&[TOPIC_HASH_MAGIC]);
    hash.put(&most.to_le_bytes());
    hash.put(&least.to_le_bytes());
    hash.put_string(name);
    hash.put(&partitions.to_le_bytes());
    for partition in 0..partitions {
        hash.put(&partition.to_le_bytes());
    }
    hash.finish()
}

/// Hash of a group's topics, whose hashes are given by name: of these in the order of the names. 0
/// if there are none.
pub(in crate::coordinator::group) fn group_hash(topics: &BTreeMap<String, i64>) -> i64 {
    if topics.is_empty() {
        return 0;
    }
    let mut hash = Stream::default();
    for topic_hash in topics.values() {
        hash.put(&topic_hash.to_le_bytes());
    }
    hash.finish()
}

/// hash4j's `HashStream64`.
#[derive(Default)]
struct Stream(XxHash3_64);

impl Stream {
    fn put(&mut self, bytes: &[u8]) {
        // Only `write` takes bytes as they are: `write_i32` and its like go by the machine's order.
        self.0.write(bytes);
    }

    fn put_string(&mut self, text: &str) {
        let mut length: i32 = 0;
        for unit in text.encode_utf16() {
            self.put(&unit.to_le_bytes());
            length = length.wrapping_add(1);
        }
        self.put(&length.to_le_bytes());
    }

    fn finish(self) -> i64 {
        self.0.finish().cast_signed()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Answers of the reference (Apache Kafka 4.3.0) for one broker without a rack.
    #[test]
    fn hashes_of_topics_are_those_of_the_reference() {
        let (most, least) = (0x0123_4567_89AB_CDEF, 0xFEDC_BA98_7654_3210);
        let long = "x".repeat(249);
        for (name, most, least, partitions, expected) in [
            ("a", 0, 2, 1, -8_129_838_088_102_252_381),
            ("a", 0, 2, 2, -1_081_540_120_080_081_849),
            ("orders", most, least, 0, 79_534_000_592_966_516),
            ("orders", most, least, 3, 9_017_009_200_229_395_283),
            (&long, u64::MAX, u64::MAX - 1, 50, 8_761_500_351_395_134_805),
            ("big.topic_1-x", 7, 8, 10_000, 5_417_266_571_600_909_637),
        ] {
            let hash = topic_hash(name, Uuid::from_u64_pair(most, least), partitions);
            assert_eq!(hash, expected, "{name} with {partitions} partitions");
        }
    }

    #[test]
    fn hashes_of_groups_are_those_of_the_reference() {
        let hash = |topics: &[(&str, i64)]| {
            group_hash(&topics.iter().map(|(name, hash)| ((*name).to_owned(), *hash)).collect())
        };
        assert_eq!(hash(&[]), 0);
        assert_eq!(hash(&[("a", 1)]), 3_439_722_301_264_460_078);
        let topics = [("b", -1), ("a", i64::MIN), ("ab", 0), ("é😀", 3)];
        assert_eq!(hash(&topics), 2_836_224_635_629_786_842);
        let long = "x".repeat(249);
        let topics = [
            ("a", -1_081_540_120_080_081_849),
            ("orders", 9_017_009_200_229_395_283),
            (&long, 8_761_500_351_395_134_805),
            ("big.topic_1-x", 5_417_266_571_600_909_637),
        ];
        assert_eq!(hash(&topics), 907_894_025_459_091_130);
    }
}
