//! A member of the group on librdkafka; `java/Member.java` is its twin.
//!
//! What is journalled when is the contract of the journals: an assignment before the client asks for committed
//! offsets, a delivery before its offset is stored (only stored offsets can be committed), a commit after its answer.

use std::collections::BTreeMap;
use std::io::{self, Read as _};
use std::mem;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use rdkafka::client::ClientContext;
use rdkafka::config::ClientConfig;
use rdkafka::consumer::{BaseConsumer, CommitMode, Consumer, ConsumerContext, Rebalance};
use rdkafka::error::{KafkaError, KafkaResult, RDKafkaErrorCode};
use rdkafka::message::{BorrowedMessage, Message};
use rdkafka::topic_partition_list::{Offset, TopicPartitionList};

use crate::journal::{Entry, Offsets, Writer, now_ns};
use crate::{Assignor, Commit, Failure, MemberOptions, Protocol, committed, name_of};

const COMMIT_INTERVAL: Duration = Duration::from_millis(100);
const POLL: Duration = Duration::from_millis(50);
/// A member that was told to leave and cannot is ended: nobody may be left to do it.
const LEAVE_TIMEOUT: Duration = Duration::from_mins(2);

/// What the callbacks share with the loop.
#[derive(Debug)]
struct Book {
    journal: Writer,
    /// Delivered since the last commit: the offsets to commit next.
    positions: BTreeMap<i32, i64>,
    /// Assigned, and the committed offset not read back yet.
    fresh: Vec<i32>,
}

struct Watcher {
    book: Mutex<Book>,
    commit: Commit,
}

impl Watcher {
    fn book(&self) -> MutexGuard<'_, Book> {
        self.book.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn note(&self, text: &str) {
        self.book().journal.append(&Entry::Note(text));
    }

    fn commit(&self, consumer: &BaseConsumer<Self>) {
        let offsets: Offsets = self.book().positions.iter().map(|(p, o)| (*p, *o)).collect();
        if offsets.is_empty() || self.commit == Commit::Auto {
            return;
        }
        let sent_ns = now_ns();
        // Of what is stored, not of a list: librdkafka refuses it by itself when the assignment is lost.
        let result = consumer.commit_consumer_state(CommitMode::Sync);
        let confirmed_ns = now_ns();
        let mut book = self.book();
        match result {
            Ok(()) => {
                book.positions.clear();
                book.journal.append(&Entry::Committed { sent_ns, confirmed_ns, offsets });
            }
            Err(error) => book.journal.append(&Entry::Note(&format!("commit: {error}"))),
        }
    }
}

impl ClientContext for Watcher {
    fn error(&self, error: KafkaError, reason: &str) {
        self.note(&format!("{error}: {reason}"));
    }
}

impl ConsumerContext for Watcher {
    fn pre_rebalance(&self, consumer: &BaseConsumer<Self>, rebalance: &Rebalance<'_>) {
        match rebalance {
            Rebalance::Assign(list) => {
                let partitions = partitions(list);
                let mut book = self.book();
                book.fresh.extend(&partitions);
                book.journal.append(&Entry::Assigned { at_ns: now_ns(), partitions });
            }
            Rebalance::Revoke(list) => {
                if consumer.assignment_lost() {
                    self.note("the assignment is lost");
                } else {
                    self.commit(consumer);
                }
                let partitions = partitions(list);
                let mut book = self.book();
                book.fresh.retain(|partition| !partitions.contains(partition));
                book.positions.retain(|partition, _| !partitions.contains(partition));
                book.journal.append(&Entry::Revoked { at_ns: now_ns(), partitions });
            }
            Rebalance::Error(error) => self.note(&format!("rebalance: {error}")),
        }
    }

    fn commit_callback(&self, result: KafkaResult<()>, list: &TopicPartitionList) {
        if self.commit == Commit::Manual {
            return;
        }
        if let Err(error) = result {
            return self.note(&format!("commit: {error}"));
        }
        let confirmed = list.elements().into_iter().filter(|element| element.error().is_ok());
        let offsets = confirmed.filter_map(|element| match element.offset() {
            Offset::Offset(offset) => Some((element.partition(), offset)),
            _ => None,
        });
        let offsets: Offsets = offsets.collect();
        self.book().journal.append(&Entry::Committed {
            sent_ns: 0,
            confirmed_ns: now_ns(),
            offsets,
        });
    }
}

fn partitions(list: &TopicPartitionList) -> Vec<i32> {
    list.elements()
        .iter()
        .map(rdkafka::topic_partition_list::TopicPartitionListElem::partition)
        .collect()
}

/// A member until standard input closes.
pub(crate) fn run(options: &MemberOptions) -> Result<(), Failure> {
    let journal = Writer::create(&options.journal)?;
    let book = Mutex::new(Book { journal, positions: BTreeMap::new(), fresh: Vec::new() });
    let consumer = connect(options, Watcher { book, commit: options.commit })?;
    consumer.subscribe(&[&options.topic])?;
    let leaving = leave_when_input_closes();
    let mut last_commit = Instant::now();
    while !leaving.load(Ordering::Relaxed) {
        let polled = consumer.poll(POLL);
        read_back(&consumer, &options.topic);
        match polled {
            Some(Ok(message)) => deliver(&consumer, &message)?,
            Some(Err(error)) => {
                consumer.context().note(&format!("poll: {error}"));
                if let Some((code, reason)) = consumer.client().fatal_error() {
                    let text = format!("{code}: {reason}");
                    consumer.context().book().journal.append(&Entry::Error(&text));
                    return Err(text.into());
                }
            }
            None => {}
        }
        if last_commit.elapsed() >= COMMIT_INTERVAL {
            consumer.context().commit(&consumer);
            last_commit = Instant::now();
        }
    }
    // Leaves the group; revoking commits what is left.
    drop(consumer);
    Ok(())
}

fn connect(options: &MemberOptions, watcher: Watcher) -> KafkaResult<BaseConsumer<Watcher>> {
    let auto = options.commit == Commit::Auto;
    let mut config = ClientConfig::new();
    match options.protocol {
        Protocol::Classic => config
            .set("partition.assignment.strategy", name_of(&options.assignor))
            .set("session.timeout.ms", options.session_ms.to_string())
            .set("heartbeat.interval.ms", (options.session_ms / 6).min(1_000).to_string()),
        Protocol::Consumer => config.set("group.protocol", "consumer").set(
            "group.remote.assignor",
            if options.assignor == Assignor::Range { "range" } else { "uniform" },
        ),
    };
    config
        .set("bootstrap.servers", &options.bootstrap)
        .set("group.id", &options.group)
        .set("auto.offset.reset", "earliest")
        .set("enable.auto.commit", auto.to_string())
        .set("auto.commit.interval.ms", COMMIT_INTERVAL.as_millis().to_string())
        .set("enable.auto.offset.store", "false")
        .set("reconnect.backoff.max.ms", "1000")
        .set("fetch.wait.max.ms", "100")
        .create_with_context(watcher)
}

/// The committed offsets of what was assigned since the last call.
fn read_back(consumer: &BaseConsumer<Watcher>, topic: &str) {
    let fresh = mem::take(&mut consumer.context().book().fresh);
    if fresh.is_empty() {
        return;
    }
    if let Some(entry) = committed::read(consumer, topic, fresh) {
        consumer.context().book().journal.append(&entry);
    }
}

fn deliver(consumer: &BaseConsumer<Watcher>, message: &BorrowedMessage<'_>) -> KafkaResult<()> {
    let (partition, offset) = (message.partition(), message.offset());
    let value = String::from_utf8_lossy(message.payload().unwrap_or_default());
    let mut book = consumer.context().book();
    book.journal.append(&Entry::Delivered { partition, offset, value: &value });
    match consumer.store_offset_from_message(message) {
        Ok(()) => {
            book.positions.insert(partition, offset + 1);
            Ok(())
        }
        // The partition is being taken away; the delivery stays uncommitted.
        Err(KafkaError::StoreOffset(RDKafkaErrorCode::State)) => Ok(()),
        Err(error) => Err(error),
    }
}

/// True once standard input has closed: the sign to leave, also when whoever started this process is gone.
pub(crate) fn leave_when_input_closes() -> Arc<AtomicBool> {
    let leaving = Arc::new(AtomicBool::new(false));
    let flag = Arc::clone(&leaving);
    thread::spawn(move || {
        // An error ends the input, too.
        let _ = io::stdin().read_to_end(&mut Vec::new());
        flag.store(true, Ordering::Relaxed);
        thread::sleep(LEAVE_TIMEOUT);
        std::process::abort();
    });
    leaving
}
