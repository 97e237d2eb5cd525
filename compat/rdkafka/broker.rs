//! The broker under test, and what every scenario asks of it.

use std::collections::BTreeMap;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use rdkafka::admin::{AdminClient, AdminOptions, NewTopic, TopicReplication};
use rdkafka::client::{ClientContext, DefaultClientContext};
use rdkafka::config::ClientConfig;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::{Message, OwnedMessage};
use rdkafka::producer::{BaseRecord, DeliveryResult, Producer, ProducerContext, ThreadedProducer};

use crate::records::{is_lost_connection, read_all};

/// How long to wait for what must come.
pub(crate) const TIMEOUT: Duration = Duration::from_mins(1);
pub(crate) const POLL: Duration = Duration::from_millis(20);

/// Asks until there is an answer.
pub(crate) fn until<T>(what: &str, mut ask: impl FnMut() -> Option<T>) -> T {
    let deadline = Instant::now() + TIMEOUT;
    loop {
        if let Some(answer) = ask() {
            return answer;
        }
        assert!(Instant::now() < deadline, "{what} did not come within {TIMEOUT:?}");
        thread::sleep(Duration::from_millis(5));
    }
}

/// A name that no topic and no group has had.
pub(crate) fn new_name() -> String {
    format!("compat-rdkafka-{:016x}", fastrand::u64(..))
}

/// Partition and offset of a record, or why it has none.
type Report = Result<(i32, i64), KafkaError>;

/// What became of the records of a producer, by the number they were sent with.
#[derive(Debug, Default)]
pub(crate) struct Deliveries {
    reports: Mutex<BTreeMap<usize, Report>>,
    has_lost_connection: AtomicBool,
}

impl Deliveries {
    pub(crate) fn count(&self) -> usize {
        self.reports.lock().unwrap().len()
    }

    /// What became of the record with that number, which must be known.
    pub(crate) fn report(&self, number: usize) -> Report {
        self.reports.lock().unwrap()[&number].clone()
    }

    pub(crate) fn has_lost_connection(&self) -> bool {
        self.has_lost_connection.load(Ordering::Relaxed)
    }
}

impl ClientContext for Deliveries {
    fn error(&self, error: KafkaError, reason: &str) {
        eprintln!("{error}: {reason}");
        if is_lost_connection(&error) {
            self.has_lost_connection.store(true, Ordering::Relaxed);
        }
    }
}

impl ProducerContext for Deliveries {
    type DeliveryOpaque = usize;

    fn delivery(&self, result: &DeliveryResult<'_>, number: usize) {
        let result = match result {
            Ok(message) => Ok((message.partition(), message.offset())),
            Err((error, _)) => Err(error.clone()),
        };
        let earlier = self.reports.lock().unwrap().insert(number, result);
        assert!(earlier.is_none(), "record {number} was reported twice");
    }
}

pub(crate) type Records = ThreadedProducer<Deliveries>;

/// Partition and offset of each record, all of which must have been delivered.
pub(crate) fn delivered(producer: &Records, count: usize) -> Vec<(i32, i64)> {
    producer.flush(TIMEOUT).unwrap();
    let reports = producer.context().reports.lock().unwrap();
    assert_eq!(reports.len(), count, "delivery reports");
    reports
        .iter()
        .map(|(number, report)| report.clone().unwrap_or_else(|e| panic!("record {number}: {e}")))
        .collect()
}

/// What became of the only record that was sent.
pub(crate) fn outcome(producer: &Records) -> Report {
    producer.flush(TIMEOUT).unwrap();
    assert_eq!(producer.context().count(), 1, "delivery reports");
    producer.context().report(0)
}

/// Sends, waiting while the client's own queue is full.
pub(crate) fn send(producer: &Records, record: BaseRecord<'_, [u8], [u8], usize>) {
    let mut record = Some(record);
    until("room in the queue", || match producer.send(record.take()?) {
        Ok(()) => Some(()),
        Err((KafkaError::MessageProduction(RDKafkaErrorCode::QueueFull), refused)) => {
            record = Some(refused);
            None
        }
        Err((error, _)) => panic!("{error}"),
    });
}

#[derive(Debug)]
pub(crate) struct Broker {
    bootstrap: String,
}

impl Broker {
    pub(crate) fn new(bootstrap: &str) -> Self {
        Self { bootstrap: bootstrap.to_owned() }
    }

    pub(crate) fn config(&self, settings: &[(&str, &str)]) -> ClientConfig {
        let mut config = ClientConfig::new();
        config.set("bootstrap.servers", &self.bootstrap).set("reconnect.backoff.max.ms", "500");
        for (key, value) in settings {
            config.set(*key, *value);
        }
        config
    }

    pub(crate) fn admin(&self) -> AdminClient<DefaultClientContext> {
        self.config(&[]).create().unwrap()
    }

    pub(crate) fn producer(&self, settings: &[(&str, &str)]) -> Records {
        self.config(settings).create_with_context(Deliveries::default()).unwrap()
    }

    /// A consumer without membership; the group is for its commits only.
    pub(crate) fn consumer(&self, group: &str, settings: &[(&str, &str)]) -> BaseConsumer {
        let common = [
            ("group.id", group),
            ("enable.auto.commit", "false"),
            ("enable.partition.eof", "true"),
        ];
        self.config(&[&common, settings].concat()).create().unwrap()
    }

    /// A new topic, each partition of which serves.
    pub(crate) fn create_topic(&self, partitions: i32, settings: &[(&str, &str)]) -> String {
        let name = new_name();
        self.create_named_topic(&name, partitions, settings);
        name
    }

    pub(crate) fn create_named_topic(
        &self,
        name: &str,
        partitions: i32,
        settings: &[(&str, &str)],
    ) {
        let mut topic = NewTopic::new(name, partitions, TopicReplication::Fixed(1));
        for (key, value) in settings {
            topic = topic.set(key, value);
        }
        let created = wait(self.admin().create_topics([&topic], &options())).unwrap();
        assert_eq!(created, [Ok(name.to_owned())]);
        // Apache Kafka answers the creation before that.
        let consumer = self.consumer("unused", &[]);
        for partition in 0..partitions {
            until("the new partition", || consumer.fetch_watermarks(name, partition, TIMEOUT).ok());
        }
    }

    /// Values to a partition; each is acknowledged when this returns.
    pub(crate) fn write(&self, topic: &str, partition: i32, values: &[String]) {
        let producer = self.producer(&[("linger.ms", "0")]);
        for (number, value) in values.iter().enumerate() {
            let record = BaseRecord::with_opaque_to(topic, number).partition(partition);
            send(&producer, record.payload(value.as_bytes()));
        }
        delivered(&producer, values.len());
    }

    /// All records of the partitions from the beginning, at least as many as `counts` says: each is read until its end
    /// has come after them.
    pub(crate) fn read(&self, topic: &str, counts: &[usize]) -> Vec<Vec<OwnedMessage>> {
        let consumer =
            self.consumer("unused", &[("fetch.wait.max.ms", "50"), ("check.crcs", "true")]);
        read_all(&consumer, topic, counts, TIMEOUT)
    }
}

pub(crate) fn options() -> AdminOptions {
    AdminOptions::new().request_timeout(Some(TIMEOUT))
}

pub(crate) fn wait<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(future)
}
