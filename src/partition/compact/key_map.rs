//! Which record of a key is its last: offsets by a hash of the key, in memory of a fixed size, as
//! Kafka's `SkimpyOffsetMap`.
//!
//! An entry takes 24 bytes: 128 bits of hash and the offset. Keys themselves are not kept; two with
//! one hash would be taken for one, which the seed of each map makes a matter of chance, and of no
//! chance to speak of.

use twox_hash::XxHash3_128;

/// Bytes of an entry.
pub(super) const ENTRY_BYTES: u64 = 24;

/// Half a hash, half a hash, and one more than the offset: an empty slot is all zeros, which is
/// also how memory comes from the system, so that a large map costs what is put into it.
type Slot = [u64; 3];

/// Offsets by key.
pub(super) struct KeyMap {
    slots: Vec<Slot>,
    seed: u64,
    entries: u64,
    entries_max: u64,
    latest_offset: i64,
}

impl KeyMap {
    /// A map in at most `memory_bytes`, to be filled up to the share `load_factor`, for at most
    /// `keys_max` keys. There is always room for one, so that cleaning gets on.
    pub(super) fn new(seed: u64, memory_bytes: u64, load_factor: f64, keys_max: u64) -> Self {
        let load_factor = load_factor.clamp(0.01, 1.0);
        let wanted = (keys_max as f64 / load_factor).ceil() as u64;
        let slots = (memory_bytes / ENTRY_BYTES).min(wanted.saturating_add(1)).max(2);
        Self {
            slots: vec![Slot::default(); usize::try_from(slots).unwrap_or(usize::MAX)],
            seed,
            entries: 0,
            // One slot stays empty: it ends the search for what is not there.
            entries_max: ((slots as f64 * load_factor) as u64).clamp(1, slots - 1),
            latest_offset: -1,
        }
    }

    /// Notes that a key has a record at `offset`, above those of before; false, and no change, if
    /// the map is full (also for a key that it has, as Kafka).
    pub(super) fn put(&mut self, key: &[u8], offset: i64) -> bool {
        if self.entries >= self.entries_max {
            return false;
        }
        let (high, low) = self.hash(key);
        let slot = self.find(high, low);
        self.entries += u64::from(self.slots[slot][2] == 0);
        self.slots[slot] = [high, low, offset as u64 + 1];
        self.latest_offset = offset;
        true
    }

    /// Whether the record of a key at `offset` has a later one.
    pub(super) fn is_superseded(&self, key: &[u8], offset: i64) -> bool {
        let (high, low) = self.hash(key);
        self.slots[self.find(high, low)][2] > offset as u64 + 1
    }

    /// All records up to this offset are in the map; -1 at first.
    pub(super) fn latest_offset(&self) -> i64 {
        self.latest_offset
    }

    /// Notes that there is nothing to be put up to `offset`.
    pub(super) fn advance(&mut self, offset: i64) {
        self.latest_offset = self.latest_offset.max(offset);
    }

    fn hash(&self, key: &[u8]) -> (u64, u64) {
        let hash = XxHash3_128::oneshot_with_seed(self.seed, key);
        ((hash >> 64) as u64, hash as u64)
    }

    /// The slot of a hash, or the empty one where it would be.
    fn find(&self, high: u64, low: u64) -> usize {
        let count = self.slots.len();
        let mut at = (high % count as u64) as usize;
        loop {
            let [slot_high, slot_low, offset] = self.slots[at];
            if offset == 0 || (slot_high, slot_low) == (high, low) {
                return at;
            }
            at = (at + 1) % count;
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use super::*;

    #[test]
    fn the_last_offset_of_each_key_is_known() {
        let mut map = KeyMap::new(7, 1 << 20, 0.9, 1000);
        let mut expected = HashMap::new();
        for offset in 0..5000 {
            let key = format!("key {}", offset * 7919 % 800);
            assert!(map.put(key.as_bytes(), offset));
            expected.insert(key, offset);
        }
        assert_eq!(map.latest_offset(), 4999);
        for (key, last) in expected {
            assert!(map.is_superseded(key.as_bytes(), last - 1));
            assert!(!map.is_superseded(key.as_bytes(), last));
            assert!(!map.is_superseded(key.as_bytes(), last + 1));
        }
        assert!(!map.is_superseded(b"another", 0));
    }

    #[test]
    fn a_map_takes_its_share_of_its_memory_and_no_more() {
        let mut map = KeyMap::new(1, 24 * 100 + 23, 0.5, u64::MAX);
        let put = (0..100).take_while(|offset| map.put(&[*offset as u8], *offset)).count();
        assert_eq!((put, map.latest_offset()), (50, 49));
        assert!(!map.put(&[0], 77), "also where the key is known");
        assert!(map.is_superseded(&[49], 48) && !map.is_superseded(&[77], 0));
        for (memory_bytes, load_factor) in [(0, 0.9), (24, 5.0), (48, 0.0), (48, f64::NAN)] {
            let mut map = KeyMap::new(1, memory_bytes, load_factor, 10);
            assert!(map.put(b"a", 3), "one key always fits");
        }
    }

    #[test]
    fn few_keys_take_little_memory() {
        let map = KeyMap::new(1, 128 << 20, 0.9, 90);
        assert!(map.slots.len() <= 102);
    }
}
