use super::*;
use crate::partition::marker_record;
use crate::records::{BatchBuilder, Compression};

const NOW_MS: i64 = 1_800_000_000_000;
const RETENTION_MS: i64 = 1_000;

/// Keys and values; a value of zero is a tombstone, a key of zero is none.
fn push_all(mut builder: BatchBuilder, records: &[(u8, u8)]) -> Vec<u8> {
    for (key, value) in records {
        let (key, value) = ([*key], [*value]);
        let key = (key != [0]).then_some(&key[..]);
        builder.push(NOW_MS - 5, key, (value != [0]).then_some(&value[..]));
    }
    builder.build()
}

fn batch(base_offset: i64, records: &[(u8, u8)]) -> Vec<u8> {
    push_all(BatchBuilder::new(base_offset, 0), records)
}

fn of_producer(base_offset: i64, producer_id: i64, records: &[(u8, u8)]) -> Vec<u8> {
    let builder = BatchBuilder::new(base_offset, 0).compressed(Compression::Lz4, None);
    push_all(builder.producer(producer_id, 3, 7), records)
}

fn transactional(base_offset: i64, producer_id: i64, records: &[(u8, u8)]) -> Vec<u8> {
    let builder = BatchBuilder::new(base_offset, 0).producer(producer_id, 3, 7).transactional();
    push_all(builder, records)
}

fn marker(offset: i64, producer_id: i64, commits: bool) -> Vec<u8> {
    let (key, value) = marker_record(commits, 9);
    let mut builder = BatchBuilder::new(offset, 0).producer(producer_id, 3, -1);
    builder = builder.transactional().control();
    builder.push(NOW_MS - 5, Some(&key), Some(&value)).build()
}

fn aborted(producer_id: i64, first_offset: i64, last_offset: i64) -> AbortedTransaction {
    let last_stable_offset = last_offset + 1;
    AbortedTransaction { producer_id, first_offset, last_offset, last_stable_offset }
}

/// A log of batches, cleaned as a whole.
#[derive(Default)]
struct Log {
    batches: Vec<Vec<u8>>,
    aborted: Vec<AbortedTransaction>,
    last_records: BTreeMap<i64, LastRecord>,
    now_ms: i64,
    /// Where the round ends, if not behind the last batch.
    until: Option<i64>,
    first_dirty: i64,
    /// Keys that the map has room for.
    keys_max: Option<u64>,
}

impl Log {
    fn new(batches: Vec<Vec<u8>>) -> Self {
        let (now_ms, until) = (NOW_MS, Some(i64::MAX));
        Self { batches, now_ms, until, ..Self::default() }
    }

    fn parsed(&self) -> Vec<(BatchHeader, Vec<u8>)> {
        let parse = |batch: &Vec<u8>| (BatchHeader::parse(batch).unwrap(), batch.clone());
        self.batches.iter().map(parse).collect()
    }

    fn clean(&mut self) {
        let all = self.parsed();
        let memory_bytes = self.keys_max.map_or(1 << 20, |keys| (keys + 1) * 24);
        let mut map = KeyMap::new(3, memory_bytes, 0.99, u64::MAX);
        let mut transactions = CleanedTransactions::default();
        transactions.note_aborted(&self.aborted);
        let is_mapped = all.iter().all(|(header, batch)| {
            map_batch(&mut map, &mut transactions, self.first_dirty, header, batch).unwrap()
        });
        assert_eq!(is_mapped, self.keys_max.is_none());
        let mut transactions = CleanedTransactions::default();
        transactions.note_aborted(&self.aborted);
        let mut survivors = Survivors {
            map,
            transactions,
            last_records: self.last_records.clone(),
            now_ms: self.now_ms,
            delete_retention_ms: RETENTION_MS,
            until: self.until.unwrap_or(i64::MAX),
        };
        (self.batches, self.aborted) = (Vec::new(), Vec::new());
        for (header, batch) in all {
            let Some(survivor) = survivors.of(&header, &batch).unwrap() else { continue };
            self.batches.push(survivor.rewritten.unwrap_or(batch));
            self.aborted.extend(survivor.aborts);
        }
    }

    /// Offsets, keys and values, and of batches without records their last offsets.
    fn content(&self) -> (Vec<(i64, u8, u8)>, Vec<i64>) {
        let (mut records, mut empty) = (Vec::new(), Vec::new());
        for (header, batch) in self.parsed() {
            assert!(header.verify_crc(&batch));
            let mut all = Records::new(&header, &batch).unwrap();
            if header.record_count == 0 {
                empty.push(header.last_offset());
            }
            while let Some(record) = all.next().unwrap() {
                let offset = header.base_offset + i64::from(record.offset_delta);
                let byte = |bytes: Option<&[u8]>| bytes.map_or(0, |bytes| bytes[bytes.len() - 1]);
                records.push((offset, byte(record.key), byte(record.value)));
            }
        }
        (records, empty)
    }

    fn records(&self) -> Vec<(i64, u8, u8)> {
        self.content().0
    }
}

#[test]
fn of_each_key_the_last_record_stays() {
    let mut log = Log::new(vec![
        batch(0, &[(1, 10), (2, 20), (1, 11)]),
        batch(3, &[(3, 30)]),
        batch(4, &[(2, 21), (4, 40)]),
        batch(9, &[(3, 31)]),
    ]);
    log.clean();
    assert_eq!(log.records(), [(2, 1, 11), (4, 2, 21), (5, 4, 40), (9, 3, 31)]);
    assert_eq!(log.batches.len(), 3);
    assert_eq!(log.batches[1], batch(4, &[(2, 21), (4, 40)]), "what keeps all keeps its bytes");
}

#[test]
fn a_record_without_a_key_goes() {
    let mut log = Log::new(vec![batch(0, &[(0, 1), (1, 2)])]);
    log.clean();
    assert_eq!(log.records(), [(1, 1, 2)]);
}

#[test]
fn a_tombstone_goes_when_readers_had_the_time_to_see_it() {
    let mut log = Log::new(vec![batch(0, &[(1, 10), (2, 20)]), batch(2, &[(1, 0)])]);
    log.clean();
    assert_eq!(log.records(), [(1, 2, 20), (2, 1, 0)]);
    assert_eq!(log.parsed()[1].0.base_timestamp, NOW_MS + RETENTION_MS);
    log.now_ms += RETENTION_MS - 1;
    let before = log.batches.clone();
    log.clean();
    assert_eq!(log.batches, before);
    log.now_ms += 1;
    log.clean();
    assert_eq!(log.records(), [(1, 2, 20)]);
}

#[test]
fn what_the_map_had_no_room_for_stays() {
    let mut log = Log::new(vec![
        batch(0, &[(1, 10), (2, 20)]),
        batch(2, &[(1, 11), (2, 21), (3, 30)]),
        batch(5, &[(3, 31), (1, 12), (2, 0), (0, 9)]),
    ]);
    log.keys_max = Some(2);
    log.clean();
    // Both keys of the first batch were known when the map was full.
    let all = [(0, 1, 10), (1, 2, 20)];
    let stays = [(2, 1, 11), (3, 2, 21), (4, 3, 30), (5, 3, 31), (6, 1, 12), (7, 2, 0), (8, 0, 9)];
    assert_eq!(log.records(), [&all[..], &stays].concat());
}

#[test]
fn clean_records_are_superseded_by_dirty_ones_only() {
    let mut log = Log::new(vec![batch(0, &[(1, 10), (2, 20)]), batch(2, &[(1, 11), (3, 30)])]);
    // In mid-batch, where the map was full.
    log.first_dirty = 3;
    log.clean();
    assert_eq!(log.records(), [(0, 1, 10), (1, 2, 20), (2, 1, 11), (3, 3, 30)]);
}

#[test]
fn the_end_of_the_round_is_never_lost() {
    let mut log = Log::new(vec![batch(0, &[(0, 1)]), batch(1, &[(0, 2), (0, 3)])]);
    log.until = Some(3);
    log.clean();
    assert_eq!(log.content(), (vec![], vec![2]));
}

#[test]
fn the_last_batch_of_an_active_producer_stays_without_its_records() {
    let mut log = Log::new(vec![
        of_producer(0, 7, &[(1, 1), (2, 2)]),
        of_producer(2, 7, &[(1, 3)]),
        of_producer(3, 8, &[(1, 4)]),
        batch(4, &[(1, 5), (2, 6)]),
    ]);
    log.last_records = BTreeMap::from([(7, LastRecord { data_offset: Some(2), epoch: 3 })]);
    log.clean();
    assert_eq!(log.content(), (vec![(4, 1, 5), (5, 2, 6)], vec![2]));
    let (header, _) = &log.parsed()[0];
    assert_eq!((header.producer_id, header.producer_epoch, header.last_sequence()), (7, 3, 7));
    // It is forgotten with the producer.
    log.last_records.clear();
    log.clean();
    assert_eq!(log.content(), (vec![(4, 1, 5), (5, 2, 6)], vec![]));
}

#[test]
fn a_marker_stays_until_the_data_is_gone_and_the_horizon_has_passed() {
    let mut log =
        Log::new(vec![transactional(0, 7, &[(1, 1)]), marker(1, 7, true), batch(2, &[(1, 2)])]);
    // The data goes now, the marker may go next time.
    log.clean();
    assert_eq!(log.records(), [(1, 1, 9), (2, 1, 2)]);
    assert!(!log.parsed()[0].0.has_delete_horizon());
    log.clean();
    assert_eq!(log.parsed()[0].0.base_timestamp, NOW_MS + RETENTION_MS);
    log.now_ms += RETENTION_MS;
    log.clean();
    assert_eq!(log.records(), [(2, 1, 2)]);
}

#[test]
fn a_marker_stays_for_as_long_as_one_of_its_records() {
    let mut log = Log::new(vec![
        transactional(0, 7, &[(1, 1), (2, 1)]),
        marker(2, 7, true),
        batch(3, &[(1, 2)]),
    ]);
    for _ in 0..4 {
        log.clean();
        log.now_ms += RETENTION_MS * 2;
        assert_eq!(log.records(), [(1, 2, 1), (2, 1, 9), (3, 1, 2)]);
    }
}

#[test]
fn records_of_aborted_transactions_go_and_supersede_nothing() {
    let mut log = Log::new(vec![
        batch(0, &[(1, 1), (2, 1)]),
        transactional(2, 7, &[(1, 2)]),
        transactional(3, 8, &[(2, 2)]),
        transactional(4, 7, &[(3, 3)]),
        marker(5, 7, false),
        marker(6, 8, true),
    ]);
    log.aborted = vec![aborted(7, 2, 5)];
    log.clean();
    assert_eq!(log.records(), [(0, 1, 1), (3, 2, 2), (5, 0, 9), (6, 1, 9)]);
    assert_eq!(log.aborted, [aborted(7, 2, 5)], "a reader may still have the old segments");
    log.clean();
    assert_eq!(log.aborted, []);
    log.now_ms += RETENTION_MS;
    log.clean();
    assert_eq!(log.records(), [(0, 1, 1), (3, 2, 2), (6, 1, 9)]);
}

#[test]
fn a_producer_that_aborts_and_then_commits_keeps_what_it_committed() {
    let mut log = Log::new(vec![
        transactional(0, 7, &[(1, 1)]),
        marker(1, 7, false),
        transactional(2, 7, &[(2, 2)]),
        marker(3, 7, true),
        transactional(4, 7, &[(2, 3)]),
        marker(5, 7, false),
    ]);
    log.aborted = vec![aborted(7, 0, 1), aborted(7, 4, 5)];
    log.clean();
    assert_eq!(log.records(), [(1, 0, 9), (2, 2, 2), (3, 1, 9), (5, 0, 9)]);
    assert_eq!(log.aborted, [aborted(7, 0, 1), aborted(7, 4, 5)]);
}

#[test]
fn the_marker_of_a_producer_that_wrote_nothing_else_stays_for_its_epoch() {
    let mut log = Log::new(vec![marker(0, 7, true), batch(1, &[(1, 1)])]);
    log.last_records = BTreeMap::from([(7, LastRecord { data_offset: None, epoch: 3 })]);
    for _ in 0..3 {
        log.clean();
        log.now_ms += RETENTION_MS;
        assert_eq!(log.batches.len(), 2);
    }
    // As Kafka: what stays is a control batch without a record.
    assert_eq!(log.content(), (vec![(1, 1, 1)], vec![0]));
    let (header, _) = &log.parsed()[0];
    assert!(header.is_control() && header.is_transactional() && header.producer_epoch == 3);
    log.last_records.clear();
    log.clean();
    assert_eq!(log.content(), (vec![(1, 1, 1)], vec![]));
}

#[test]
fn a_damaged_batch_is_never_copied_on() {
    let good = of_producer(0, 7, &[(1, 1), (2, 2)]);
    for at in 17..good.len() {
        let mut bad = good.clone();
        bad[at] ^= 4;
        let Ok(header) = BatchHeader::parse(&bad) else { continue };
        let mut map = KeyMap::new(1, 1000, 0.9, 10);
        let mut transactions = CleanedTransactions::default();
        let mapped = map_batch(&mut map, &mut transactions, 0, &header, &bad);
        assert!(matches!(mapped, Err(DamagedBatch::Checksum(0))), "byte {at}");
        let mut survivors = Survivors {
            map,
            transactions,
            last_records: BTreeMap::new(),
            now_ms: 0,
            delete_retention_ms: 0,
            until: 10,
        };
        survivors.of(&header, &bad).unwrap_err();
    }
}
