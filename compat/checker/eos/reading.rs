//! Reading topics: all the time, and in the end.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use rdkafka::config::ClientConfig;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::{KafkaError, KafkaResult, RDKafkaErrorCode};
use rdkafka::message::Message;
use rdkafka::topic_partition_list::{Offset, TopicPartitionList};

use super::line::{Line, View};
use super::watermarks::Watermarks;
use crate::Failure;
use crate::journal::{Entry, Writer, now_ns};

const POLL: Duration = Duration::from_millis(50);
const BOUNDS_INTERVAL: Duration = Duration::from_millis(50);
const TIMEOUT: Duration = Duration::from_mins(2);

/// A topic of a broker.
#[derive(Clone, Debug)]
pub(super) struct Topic {
    pub(super) bootstrap: String,
    pub(super) name: String,
    pub(super) partitions: i32,
}

impl Topic {
    /// Reads from the beginning; never starts again by itself.
    fn read(&self, isolation_level: &str) -> KafkaResult<BaseConsumer> {
        let consumer: BaseConsumer = ClientConfig::new()
            .set("bootstrap.servers", &self.bootstrap)
            .set("group.id", "unused")
            .set("enable.auto.commit", "false")
            .set("auto.offset.reset", "error")
            .set("enable.partition.eof", "true")
            .set("isolation.level", isolation_level)
            .set("check.crcs", "true")
            .set("fetch.wait.max.ms", "100")
            .set("socket.timeout.ms", "5000")
            .set("reconnect.backoff.max.ms", "1000")
            .create()?;
        let mut list = TopicPartitionList::new();
        for partition in 0..self.partitions {
            list.add_partition_offset(&self.name, partition, Offset::Offset(0))?;
        }
        consumer.assign(&list)?;
        Ok(consumer)
    }

    /// Journals the whole topic; how many records it has. Nobody writes to it any more.
    pub(super) fn read_to_end(&self, view: View, journal: &mut Writer) -> Result<u64, Failure> {
        let isolation_level = if view == View::All { "read_uncommitted" } else { "read_committed" };
        let consumer = self.read(isolation_level)?;
        let mut ended = vec![false; self.partitions as usize];
        let (mut count, deadline) = (0, Instant::now() + TIMEOUT);
        while ended.contains(&false) {
            match consumer.poll(POLL) {
                Some(Ok(message)) => {
                    let value = String::from_utf8_lossy(message.payload().unwrap_or_default());
                    let (partition, offset) = (message.partition(), message.offset());
                    let line = Line::Found { view, partition, offset, value: &value };
                    journal.append(&Entry::Eos(line));
                    count += 1;
                }
                Some(Err(KafkaError::PartitionEOF(partition))) => ended[partition as usize] = true,
                // A connection lost is the client's to mend.
                Some(Err(_)) | None => {}
            }
            if Instant::now() > deadline {
                return Err(format!("{} is not read in {TIMEOUT:?}: {ended:?}", self.name).into());
            }
        }
        Ok(count)
    }
}

/// Reads a topic along, read committed, and asks up to where it is read.
pub(super) struct Along {
    seen: Arc<AtomicU64>,
    ended: Arc<AtomicBool>,
    threads: Vec<JoinHandle<()>>,
}

impl Along {
    pub(super) fn begin(topic: &Topic, directory: &Path) -> Result<Self, Failure> {
        let (seen, ended) = (Arc::new(AtomicU64::new(0)), Arc::new(AtomicBool::new(false)));
        let mut journal = Writer::create(&directory.join("reader.journal"))?;
        let consumer = topic.read("read_committed")?;
        let (counter, flag) = (Arc::clone(&seen), Arc::clone(&ended));
        let reader = thread::spawn(move || {
            while !flag.load(Ordering::Relaxed) {
                if see(&consumer, &mut journal) {
                    counter.fetch_add(1, Ordering::Relaxed);
                }
            }
        });
        let mut journal = Writer::create(&directory.join("bounds.journal"))?;
        let (topic, flag) = (topic.clone(), Arc::clone(&ended));
        let watcher = thread::spawn(move || {
            let mut watermarks = Watermarks::new(&topic.bootstrap);
            while !flag.load(Ordering::Relaxed) {
                if let Some(bounds) = watermarks.bounds(&topic.name, topic.partitions) {
                    journal.append(&Entry::Eos(Line::Bounds(bounds)));
                }
                thread::sleep(BOUNDS_INTERVAL);
            }
        });
        Ok(Self { seen, ended, threads: vec![reader, watcher] })
    }

    /// Ends when it has seen so many records, or when nothing has come for a while.
    pub(super) fn end(self, records: u64) {
        let mut last = (self.seen.load(Ordering::Relaxed), Instant::now());
        while last.0 < records && last.1.elapsed() < TIMEOUT / 4 {
            thread::sleep(POLL);
            let seen = self.seen.load(Ordering::Relaxed);
            if seen > last.0 {
                last = (seen, Instant::now());
            }
        }
        self.ended.store(true, Ordering::Relaxed);
        for thread in self.threads {
            // A thread that panicked has left a journal that says too little.
            let _ = thread.join();
        }
    }
}

/// Whether there was a record.
fn see(consumer: &BaseConsumer, journal: &mut Writer) -> bool {
    match consumer.poll(POLL) {
        Some(Ok(message)) => {
            let at_ns = now_ns();
            let value = String::from_utf8_lossy(message.payload().unwrap_or_default());
            let (partition, offset) = (message.partition(), message.offset());
            journal.append(&Entry::Eos(Line::Seen { at_ns, partition, offset, value: &value }));
            return true;
        }
        // It was told to start again, which it must not.
        Some(Err(error @ KafkaError::MessageConsumption(RDKafkaErrorCode::AutoOffsetReset))) => {
            journal.append(&Entry::Error(&error.to_string()));
        }
        // The end, or a connection lost, which is the client's to mend.
        Some(Err(_)) | None => {}
    }
    false
}
