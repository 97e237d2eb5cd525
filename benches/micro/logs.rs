//! The engines: a batch appended, a range looked up.

use std::sync::Arc;

use divan::Bencher;
use divan::counter::BytesCount;
use ottla::log::local::{EngineSettings, LocalEngine};
use ottla::log::{
    AbortedTransaction, BatchBytes, CommitObserver, Engine, Log, LogConfig, LogId, MemoryEngine,
    Replay,
};
use ottla::records::{BATCH_HEADER_BYTES, BatchHeader, set_base_offset};
use tempfile::TempDir;
use tokio::runtime::Runtime;
use uuid::Uuid;

use crate::{RECORDS, TOPIC, batch, env, runtime};

/// Kafka's defaults.
const CONFIG: LogConfig = LogConfig {
    segment_bytes: 1 << 30,
    segment_ms: 7 * 24 * 3_600_000,
    segment_jitter_ms: 0,
    segment_index_bytes: 10 << 20,
    index_interval_bytes: 4_096,
    flush_messages: i64::MAX,
    flush_ms: i64::MAX,
    preallocate: false,
    file_delete_delay_ms: 60_000,
};
/// What a read may choose from.
const READ_BATCHES: i64 = 256;
/// `max.partition.fetch.bytes` of Kafka's consumer.
const READ_BYTES: usize = 1 << 20;

#[derive(Clone, Copy, Debug)]
enum Kind {
    Local,
    Memory,
}

/// A log of an engine of its own.
struct Open {
    log: Arc<dyn Log>,
    runtime: Runtime,
    _engine: Arc<dyn Engine>,
    _directory: TempDir,
}

struct Deaf;

impl CommitObserver for Deaf {
    fn committed(&self, _end_offset: i64) {}

    fn failed(&self) {}
}

impl Replay for Deaf {
    fn snapshot(&mut self, _offset: i64, _bytes: &[u8]) -> bool {
        true
    }

    fn batch(&mut self, _: &BatchHeader, _: Option<&[u8]>) -> Option<AbortedTransaction> {
        None
    }
}

impl Open {
    fn new(kind: Kind) -> Self {
        let (runtime, directory) = (runtime(), tempfile::tempdir().unwrap());
        let id = LogId { topic: TOPIC.into(), topic_id: Uuid::from_u128(7), partition: 0 };
        let opened = runtime.block_on(async {
            let engine: Arc<dyn Engine> = match kind {
                Kind::Memory => Arc::new(MemoryEngine::default()),
                Kind::Local => {
                    let settings = EngineSettings::default();
                    LocalEngine::open(&env(), directory.path(), settings).unwrap()
                }
            };
            (engine.open(&id, CONFIG, Arc::new(Deaf), &mut Deaf).await.unwrap(), engine)
        });
        let (log, engine) = opened;
        Self { log, runtime, _engine: engine, _directory: directory }
    }

    /// As a partition does it: the offset is patched into the header, the rest goes as it came.
    fn append(&self, batch: &[u8]) {
        let mut header = *batch.first_chunk::<BATCH_HEADER_BYTES>().unwrap();
        set_base_offset(&mut header, self.log.end_offset());
        let batch = BatchBytes { header, records: &batch[BATCH_HEADER_BYTES..] };
        self.log.append(batch, None, &mut Vec::new).unwrap();
    }
}

#[divan::bench(args = [Kind::Local, Kind::Memory], consts = RECORDS)]
fn append<const RECORDS: usize>(bencher: Bencher, kind: Kind) {
    let (open, batch) = (Open::new(kind), batch(RECORDS));
    bencher.counter(BytesCount::of_slice(&batch)).bench_local(|| open.append(&batch));
}

#[divan::bench(args = [Kind::Local, Kind::Memory])]
fn read_1_mib(bencher: Bencher, kind: Kind) {
    let (open, batch) = (Open::new(kind), batch(RECORDS[0]));
    for _ in 0..READ_BATCHES {
        open.append(&batch);
    }
    let (end, mut from) = (open.log.end_offset(), 0);
    let step = RECORDS[0] as i64 * 16;
    bencher.counter(BytesCount::new(READ_BYTES)).bench_local(|| {
        from = (from + step) % (end / 2);
        open.runtime.block_on(open.log.read(from, end, READ_BYTES)).unwrap()
    });
}
