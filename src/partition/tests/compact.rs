//! Compaction of a partition over a log in memory.

use std::collections::{BTreeMap, BTreeSet};

use tokio::sync::watch;

use super::*;
use crate::log::Replay;
use crate::partition::compact::{CleanError, Cleaned, Cleaning, Means, Throttle};
use crate::partition::producers::Producers;
use crate::records::{Compression, Records};

const RETENTION_MS: i64 = 10_000;

fn compacted(segment_bytes: u32) -> TopicConfig {
    TopicConfig {
        compact: true,
        delete: false,
        segment_bytes,
        delete_retention_ms: RETENTION_MS,
        ..TopicConfig::default()
    }
}

/// Keys of one byte, and a value or none.
fn keyed(builder: BatchBuilder, records: &[(u8, Option<u8>)]) -> Vec<u8> {
    keyed_at(NOW_MS, builder, records)
}

fn keyed_at(now_ms: i64, mut builder: BatchBuilder, records: &[(u8, Option<u8>)]) -> Vec<u8> {
    for (key, value) in records {
        builder.push(
            now_ms,
            Some(&[*key]),
            value.map(|value| [value; 20]).as_ref().map(|it| &it[..]),
        );
    }
    builder.build()
}

impl Bench {
    /// Cleans what can be cleaned, and notes how far.
    async fn clean(&self, map_bytes: u64) -> Result<Cleaned, CleanError> {
        let (_stop, stop) = watch::channel(false);
        let means = Means { map_bytes, load_factor: 0.9, read_bytes: 700 };
        let throttle = Throttle::new(|| f64::MAX);
        let partition = &self.partition;
        let cleaning = Cleaning { partition, means, throttle: &throttle, stop: &stop };
        let cleaned = cleaning.run(&partition.cleanable().unwrap()).await?;
        partition.log.set_cleaned_offset(cleaned.end_offset).unwrap();
        Ok(cleaned)
    }

    async fn all(&self) -> Vec<u8> {
        let from = self.partition.bounds().log_start_offset;
        let read = self.partition.read(from, usize::MAX, Isolation::LogEnd).await.unwrap();
        read.chunk.into_bytes().unwrap().to_vec()
    }

    /// Offsets, keys and values of all records that are no markers.
    async fn records(&self) -> BTreeMap<i64, (u8, Option<u8>)> {
        let mut found = BTreeMap::new();
        for batch in Batches::new(&self.all().await) {
            let (header, batch) = batch.unwrap();
            assert!(header.verify_crc(batch));
            let mut records = Records::new(&header, batch).unwrap();
            while let Some(record) = records.next().unwrap() {
                let offset = header.base_offset + i64::from(record.offset_delta);
                if !header.is_control() {
                    let value = record.value.map(|value| value[0]);
                    assert_eq!(found.insert(offset, (record.key.unwrap()[0], value)), None);
                }
            }
        }
        found
    }
}

#[tokio::test]
async fn old_values_go_and_the_active_segment_stays() {
    let bench = Bench::with(Commit::Done, compacted(400)).await;
    for round in 0..6 {
        let batch = keyed(BatchBuilder::new(0, -1), &[(1, Some(round)), (2 + round, Some(9))]);
        bench.append(&batch).unwrap();
    }
    let segments = bench.partition.log.segments();
    let active = segments[segments.len() - 1].base_offset;
    assert!(active >= 4, "{segments:?}");
    let before = bench.records().await;
    let cleaned = bench.clean(1 << 20).await.unwrap();
    assert_eq!(cleaned.end_offset, active);
    assert!(cleaned.written_bytes < cleaned.read_bytes);
    let last = active - 2;
    let expected: BTreeMap<_, _> = before
        .into_iter()
        .filter(|(offset, (key, _))| *offset >= active || *key != 1 || *offset == last)
        .collect();
    assert_eq!(bench.records().await, expected);
    assert_eq!(bench.partition.log.cleaned_offset(), Some(active));
    assert_eq!(bench.partition.cleanable().unwrap().dirty_bytes, 0);
}

#[tokio::test]
async fn an_open_transaction_keeps_what_follows_from_being_cleaned() {
    let bench = Bench::with(Commit::Done, compacted(400)).await;
    let at = |base_offset, producer: (i64, i16)| {
        let builder = BatchBuilder::new(base_offset, -1).producer(producer.0, producer.1, 0);
        keyed(builder.transactional(), &[(1, Some(1))])
    };
    bench.append_internal(|base_offset| at(base_offset, (7, 0)));
    for _ in 0..8 {
        bench.append(&keyed(BatchBuilder::new(0, -1), &[(1, Some(2))])).unwrap();
    }
    assert_eq!(bench.partition.cleanable().unwrap().dirty_bytes, 0);
    bench.mark(7, 0, false);
    let cleanable = bench.partition.cleanable().unwrap();
    assert!(cleanable.dirty_bytes > 0);
    bench.clean(1 << 20).await.unwrap();
    assert!(!bench.records().await.contains_key(&0));
}

/// What was appended, and what of it has to be left.
struct Model {
    /// All records by offset; with the number of their batch and transaction.
    records: BTreeMap<i64, (u8, Option<u8>, usize, Option<usize>)>,
    /// Whether they were committed, once decided.
    transactions: Vec<Option<bool>>,
    open: BTreeMap<i64, usize>,
    /// When tombstones of a batch may go.
    horizons: BTreeMap<usize, i64>,
    gone: BTreeSet<i64>,
    batches: usize,
}

impl Model {
    /// Takes away what a cleaning up to `end` at `now_ms` has to, as long as its map holds every
    /// key.
    fn clean(&mut self, end: i64, now_ms: i64) {
        let is_committed = |transaction: &Option<usize>| {
            transaction.is_none_or(|number| self.transactions[number] == Some(true))
        };
        let mut last = BTreeMap::new();
        for (offset, (key, _, _, transaction)) in self.records.range(..end) {
            if is_committed(transaction) {
                last.insert(*key, *offset);
            }
        }
        let mut horizons = self.horizons.clone();
        for (offset, (key, value, batch, transaction)) in self.records.range(..end) {
            let is_last = last.get(key) == Some(offset);
            let has_passed = self.horizons.get(batch).is_some_and(|horizon| *horizon <= now_ms);
            if !is_last || !is_committed(transaction) || value.is_none() && has_passed {
                self.gone.insert(*offset);
            } else if value.is_none() && !self.gone.contains(offset) {
                horizons.entry(*batch).or_insert(now_ms + RETENTION_MS);
            }
        }
        self.horizons = horizons;
    }

    fn left(&self) -> BTreeMap<i64, (u8, Option<u8>)> {
        let left = self.records.iter().filter(|(offset, _)| !self.gone.contains(*offset));
        left.map(|(offset, (key, value, ..))| (*offset, (*key, *value))).collect()
    }
}

struct Run {
    random: fastrand::Rng,
    bench: Bench,
    model: Model,
    now_ms: i64,
}

impl Run {
    async fn new(seed: u64) -> Self {
        let model = Model {
            records: BTreeMap::new(),
            transactions: Vec::new(),
            open: BTreeMap::new(),
            horizons: BTreeMap::new(),
            gone: BTreeSet::new(),
            batches: 0,
        };
        Self {
            random: fastrand::Rng::with_seed(seed),
            bench: Bench::with(Commit::Done, compacted(900)).await,
            model,
            now_ms: NOW_MS,
        }
    }

    /// A batch of somebody: nobody, an idempotent or a transactional producer.
    fn append(&mut self) {
        let random = &mut self.random;
        let producer_id = random.i64(-3..4);
        let transactional = producer_id >= 2;
        let records: Vec<_> = (0..random.usize(1..5))
            .map(|_| (random.u8(0..9), (random.u8(0..4) > 0).then(|| random.u8(..))))
            .collect();
        let compression = Compression::ALL[random.usize(0..5)];
        let sequence = self.bench.partition.lock().by_id.get(&producer_id).map_or(0, |producer| {
            producer.batches.back().map_or(0, |batch| batch.last_sequence + 1)
        });
        let now_ms = self.now_ms;
        let appended = self.bench.append_internal(|base_offset| {
            let mut builder = BatchBuilder::new(base_offset, -1).compressed(compression, None);
            if producer_id >= 0 {
                builder = builder.producer(producer_id, 0, sequence);
            }
            if transactional {
                builder = builder.transactional();
            }
            keyed_at(now_ms, builder, &records)
        });
        let model = &mut self.model;
        let transaction = transactional.then(|| {
            *model.open.entry(producer_id).or_insert_with(|| {
                model.transactions.push(None);
                model.transactions.len() - 1
            })
        });
        for (offset, (key, value)) in (appended.base_offset..).zip(records) {
            model.records.insert(offset, (key, value, model.batches, transaction));
        }
        model.batches += 1;
    }

    fn end_transaction(&mut self) {
        let producer_id = self.random.i64(2..4);
        let committed = self.random.bool();
        self.bench.mark(producer_id, 0, committed);
        if let Some(number) = self.model.open.remove(&producer_id) {
            self.model.transactions[number] = Some(committed);
        }
    }

    /// Does one thing; true if the log was cleaned or opened anew.
    async fn step(&mut self) -> bool {
        let what = self.random.u8(0..40);
        match what {
            0..28 => self.append(),
            28..34 => self.end_transaction(),
            34 => {
                let passed_ms = self.random.i64(0..RETENTION_MS);
                self.now_ms += passed_ms;
                self.bench.clock.advance(passed_ms);
            }
            35 => self.bench.restart().await,
            36 => self.bench.crash().await,
            37 => self.bench.partition.roll().unwrap(),
            _ => {
                let cleaned = self.bench.clean(1 << 20).await.unwrap();
                self.model.clean(cleaned.end_offset, self.now_ms);
            }
        }
        what > 34
    }

    async fn check(&self, told: &str) {
        assert_eq!(self.bench.records().await, self.model.left(), "{told}");
        self.check_transactions(told).await;
        self.check_producers(told).await;
    }

    /// What is left of a transaction is followed by its marker, and a reader of committed records
    /// is told of every aborted one.
    async fn check_transactions(&self, told: &str) {
        let log = &self.bench.partition.log;
        let read = log.read_committed(0, log.end_offset(), usize::MAX).await.unwrap();
        let mut open: BTreeMap<i64, Vec<i64>> = BTreeMap::new();
        for (header, batch) in Batches::new(&read.chunk.into_bytes().unwrap()).map(Result::unwrap) {
            if !header.is_transactional() {
                continue;
            }
            if !header.is_control() {
                open.entry(header.producer_id).or_default().push(header.base_offset);
                continue;
            }
            let mut records = Records::new(&header, batch).unwrap();
            let Some(record) = records.next().unwrap() else { continue };
            let commits = record.key.unwrap() == [0, 0, 0, 1];
            let data = open.remove(&header.producer_id).unwrap_or_default();
            let is_told = read.aborted.iter().any(|it| it.last_offset == header.base_offset);
            assert!(commits || data.is_empty() || is_told, "{told}");
        }
        let still_open: Vec<_> = self.model.open.keys().collect();
        assert_eq!(open.keys().collect::<Vec<_>>(), still_open, "{told}");
    }

    /// A replay of all that is left knows of each producer's last batch, and of the open
    /// transactions.
    async fn check_producers(&self, told: &str) {
        let mut replayed = Producers::new(self.now_ms, i64::MAX);
        for (header, batch) in Batches::new(&self.bench.all().await).map(Result::unwrap) {
            replayed.batch(&header, header.is_control().then_some(batch));
        }
        let live = self.bench.partition.lock();
        assert_eq!(replayed.first_open_transaction(), live.first_open_transaction(), "{told}");
        for (id, producer) in &live.by_id {
            let last = |producers: &Producers| {
                let producer = producers.by_id.get(id)?;
                producer.batches.back().map(|it| (producer.epoch, it.last_sequence, it.last_offset))
            };
            assert_eq!(last(&replayed), last(&live), "{told}: producer {id}");
            let open = replayed.by_id.get(id).and_then(|it| it.transaction_first_offset);
            assert_eq!(open, producer.transaction_first_offset, "{told}: producer {id}");
        }
    }
}

#[tokio::test]
async fn random_logs_keep_what_a_naive_model_keeps() {
    for seed in 0..40 {
        let mut run = Run::new(seed).await;
        for step in 0..200 {
            if run.step().await || step % 20 == 0 {
                run.check(&format!("seed {seed}, step {step}")).await;
            }
        }
        assert!(run.model.gone.len() > 20, "seed {seed}: too little was cleaned");
    }
}

/// What a consumer that has read everything knows.
fn latest(records: &BTreeMap<i64, (u8, Option<u8>)>) -> BTreeMap<u8, u8> {
    let mut latest = BTreeMap::new();
    for (key, value) in records.values() {
        match value {
            Some(value) => latest.insert(*key, *value),
            None => latest.remove(key),
        };
    }
    latest
}

#[tokio::test]
async fn a_small_map_cleans_in_several_rounds_and_loses_nothing() {
    for seed in 0..20 {
        let bench = Bench::with(Commit::Done, compacted(600)).await;
        let mut random = fastrand::Rng::with_seed(seed);
        for _ in 0..60 {
            let records: Vec<_> = (0..random.usize(1..4))
                .map(|_| (random.u8(0..40), (random.u8(0..5) > 0).then(|| random.u8(..))))
                .collect();
            bench.append(&keyed(BatchBuilder::new(0, -1), &records)).unwrap();
        }
        let expected = latest(&bench.records().await);
        let mut rounds = 0;
        while bench.partition.cleanable().unwrap().dirty_bytes > 0 {
            bench.clean(24 * 9).await.unwrap();
            bench.clock.advance(RETENTION_MS / 3);
            assert_eq!(latest(&bench.records().await), expected, "seed {seed}, round {rounds}");
            rounds += 1;
        }
        assert!(rounds > 3, "{rounds} rounds");
    }
}
