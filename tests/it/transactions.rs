//! Transactions from outside: what other brokers have got wrong, each by its name, and what stands after a kill.
//!
//! The client is raw, so that it can send what a well-behaved one would not.

use std::time::Duration;

use ottla::wire::messages::end_txn::{EndTxnRequest, EndTxnResponse};
use ottla::wire::messages::fetch::{FetchPartition, FetchRequest, FetchTopic, PartitionData};
use ottla::wire::messages::find_coordinator::FindCoordinatorRequest;
use ottla::wire::messages::init_producer_id::{InitProducerIdRequest, InitProducerIdResponse};
use ottla::wire::messages::list_offsets::{
    ListOffsetsPartition, ListOffsetsRequest, ListOffsetsTopic,
};
use ottla::wire::messages::offset_fetch::{
    OffsetFetchRequest, OffsetFetchRequestGroup, OffsetFetchRequestTopics,
};
use ottla::wire::messages::produce::{
    PartitionProduceData, PartitionProduceResponse, ProduceRequest, TopicProduceData,
};
use ottla::wire::messages::txn_offset_commit::{
    TxnOffsetCommitRequest, TxnOffsetCommitRequestPartition, TxnOffsetCommitRequestTopic,
};

use crate::broker::Broker;
use crate::raw_client::{Batch, Connection};
use crate::requests::{Outcome, Request, framed_as, unframed};
use crate::wait::until;

const TIMEOUT: Duration = Duration::from_mins(1);
pub(crate) const TOPIC: &str = "payments";
const GROUP: &str = "readers";
/// `TRANSACTIONAL` of a batch's attributes
const TRANSACTIONAL: i16 = 1 << 4;

const COORDINATOR_LOAD_IN_PROGRESS: i16 = 14;
const COORDINATOR_NOT_AVAILABLE: i16 = 15;
const NOT_COORDINATOR: i16 = 16;
const OUT_OF_ORDER_SEQUENCE_NUMBER: i16 = 45;
const INVALID_PRODUCER_EPOCH: i16 = 47;
const INVALID_TXN_STATE: i16 = 48;
const CONCURRENT_TRANSACTIONS: i16 = 51;
pub(crate) const UNSTABLE_OFFSET_COMMIT: i16 = 88;
const PRODUCER_FENCED: i16 = 90;
const LATER: [i16; 4] = [
    COORDINATOR_LOAD_IN_PROGRESS,
    COORDINATOR_NOT_AVAILABLE,
    NOT_COORDINATOR,
    CONCURRENT_TRANSACTIONS,
];

pub(crate) struct Client(Connection);

impl Client {
    fn new(broker: &Broker) -> Self {
        Self::open(broker.port())
    }

    pub(crate) fn open(port: u16) -> Self {
        Self(Connection::open(port, TIMEOUT).unwrap())
    }

    /// A client of a broker that has the topic.
    fn with_topic(broker: &Broker) -> Self {
        let mut client = Self::new(broker);
        assert_eq!(client.0.create_topics(&[TOPIC.to_owned()], 2, &[]).unwrap(), 0);
        until("the topic", TIMEOUT, || (client.end_offset(0, 0) == 0).then_some(()));
        client
    }

    pub(crate) fn ask<R: Request>(&mut self, request: &R, version: i16) -> R::Response {
        self.0.send(&framed_as(request, version, 1, "transactions")).unwrap();
        match Outcome::next(self.0.stream(), TIMEOUT, TIMEOUT).unwrap() {
            Outcome::Answer(frame) => unframed::<R>(&frame, version).unwrap().1,
            other => panic!("{other:?}"),
        }
    }

    fn find(&mut self, key: &str, key_type: i8) {
        let find = FindCoordinatorRequest { key: key.into(), key_type, ..Default::default() };
        until("a coordinator", TIMEOUT, || (self.ask(&find, 3).error_code == 0).then_some(()));
    }

    fn init(&mut self, id: &str) -> InitProducerIdResponse {
        let init = InitProducerIdRequest {
            transactional_id: Some(id.into()),
            // The open ones are carried from broker to broker.
            transaction_timeout_ms: 600_000,
            ..Default::default()
        };
        self.ask(&init, 5)
    }

    /// Takes the transactional id over, for which an open transaction is aborted.
    pub(crate) fn producer(&mut self, id: &'static str) -> Producer {
        self.find(id, 1);
        let given = until("a producer id", TIMEOUT, || {
            Some(self.init(id)).filter(|given| !LATER.contains(&given.error_code))
        });
        assert_eq!(given.error_code, 0);
        Producer { id, number: given.producer_id, epoch: given.producer_epoch, sequence: 0 }
    }

    pub(crate) fn end_offset(&mut self, partition: i32, isolation_level: i8) -> i64 {
        let partition = ListOffsetsPartition {
            partition_index: partition,
            timestamp: -1,
            ..Default::default()
        };
        let topic = ListOffsetsTopic { name: TOPIC.into(), partitions: vec![partition] };
        let request = ListOffsetsRequest {
            replica_id: -1,
            isolation_level,
            topics: vec![topic],
            ..Default::default()
        };
        self.ask(&request, 7).topics.remove(0).partitions.remove(0).offset
    }

    fn fetch(&mut self, offset: i64, isolation_level: i8) -> PartitionData {
        let partition = FetchPartition {
            fetch_offset: offset,
            partition_max_bytes: 1 << 20,
            ..Default::default()
        };
        let request = FetchRequest {
            max_bytes: 1 << 20,
            isolation_level,
            topics: vec![FetchTopic {
                topic: TOPIC.into(),
                partitions: vec![partition],
                ..Default::default()
            }],
            ..Default::default()
        };
        self.ask(&request, 12).responses.remove(0).partitions.remove(0)
    }

    pub(crate) fn committed(&mut self, require_stable: bool) -> (i64, i16) {
        self.find(GROUP, 0);
        let topic = OffsetFetchRequestTopics {
            name: TOPIC.into(),
            partition_indexes: vec![0],
            ..Default::default()
        };
        let group = OffsetFetchRequestGroup {
            group_id: GROUP.into(),
            topics: Some(vec![topic]),
            ..Default::default()
        };
        let request =
            OffsetFetchRequest { groups: vec![group], require_stable, ..Default::default() };
        let group = until("the group's coordinator", TIMEOUT, || {
            let group = self.ask(&request, 8).groups.remove(0);
            Some(group).filter(|group| !LATER.contains(&group.error_code))
        });
        let partition = &group.topics[0].partitions[0];
        (partition.committed_offset, partition.error_code)
    }
}

/// A transactional producer; version 2 of transactions if `version` of Produce is 12 or more.
#[derive(Clone, Debug)]
pub(crate) struct Producer {
    id: &'static str,
    number: i64,
    epoch: i16,
    sequence: i32,
}

impl Producer {
    /// The value of the record with this sequence.
    pub(crate) fn value(&self, sequence: i32) -> String {
        format!("{} {} {sequence}", self.id, self.epoch)
    }

    pub(crate) fn batch(&self, records: usize, sequence: i32) -> Vec<u8> {
        let values: Vec<_> = (sequence..).take(records).map(|number| self.value(number)).collect();
        let values: Vec<_> = values.iter().map(String::as_bytes).collect();
        let batch = Batch {
            attributes: TRANSACTIONAL,
            producer_id: self.number,
            producer_epoch: self.epoch,
            base_sequence: sequence,
            ..Batch::of(None, &values)
        };
        batch.encode()
    }

    pub(crate) fn send(
        &self,
        client: &mut Client,
        batch: Vec<u8>,
        version: i16,
    ) -> PartitionProduceResponse {
        let data = PartitionProduceData { index: 0, records: Some(batch.into()) };
        let topic = TopicProduceData {
            name: TOPIC.into(),
            partition_data: vec![data],
            ..Default::default()
        };
        let request = ProduceRequest {
            transactional_id: Some(self.id.into()),
            acks: -1,
            timeout_ms: 30_000,
            topic_data: vec![topic],
        };
        until("the transaction before", TIMEOUT, || {
            let mut answer = client.ask(&request, version);
            let answer = answer.responses.remove(0).partition_responses.remove(0);
            Some(answer).filter(|answer| answer.error_code != CONCURRENT_TRANSACTIONS)
        })
    }

    /// Sends records in sequence, which must be taken; the offset of the first.
    pub(crate) fn produce(&mut self, client: &mut Client, records: usize) -> i64 {
        let answer = self.send(client, self.batch(records, self.sequence), 12);
        assert_eq!(answer.error_code, 0, "{answer:?}");
        self.sequence += records as i32;
        answer.base_offset
    }

    fn end(&self, client: &mut Client, committed: bool) -> EndTxnResponse {
        let request = EndTxnRequest {
            transactional_id: self.id.into(),
            producer_id: self.number,
            producer_epoch: self.epoch,
            committed,
        };
        until("the markers", TIMEOUT, || {
            Some(client.ask(&request, 5)).filter(|ended| !LATER.contains(&ended.error_code))
        })
    }

    /// Ends the transaction and goes on with the next epoch.
    pub(crate) fn ended(&mut self, client: &mut Client, committed: bool) {
        let ended = self.end(client, committed);
        assert_eq!(ended.error_code, 0, "{ended:?}");
        (self.number, self.epoch, self.sequence) = (ended.producer_id, ended.producer_epoch, 0);
    }

    pub(crate) fn commit_offset(&self, client: &mut Client, offset: i64) -> i16 {
        client.find(GROUP, 0);
        let partition =
            TxnOffsetCommitRequestPartition { committed_offset: offset, ..Default::default() };
        let topic = TxnOffsetCommitRequestTopic { name: TOPIC.into(), partitions: vec![partition] };
        let request = TxnOffsetCommitRequest {
            transactional_id: self.id.into(),
            group_id: GROUP.into(),
            producer_id: self.number,
            producer_epoch: self.epoch,
            topics: vec![topic],
            ..Default::default()
        };
        until("the coordinators", TIMEOUT, || {
            let answer = client.ask(&request, 5);
            Some(answer.topics[0].partitions[0].error_code).filter(|error| !LATER.contains(error))
        })
    }
}

/// Waits for the markers, which follow the answer.
pub(crate) fn settled(client: &mut Client) -> i64 {
    until("every transaction to end", TIMEOUT, || {
        let stable = client.end_offset(0, 1);
        (client.end_offset(0, 0) == stable).then_some(stable)
    })
}

#[test]
fn a_late_produce_leaves_no_hanging_transaction() {
    let broker = Broker::start();
    let mut client = Client::with_topic(&broker);
    let mut producer = client.producer("late");
    producer.produce(&mut client, 2);
    let late = producer.clone();
    producer.ended(&mut client, false);
    let end = settled(&mut client);
    for (version, error) in [(12, INVALID_PRODUCER_EPOCH), (10, INVALID_PRODUCER_EPOCH)] {
        let answer = late.send(&mut client, late.batch(1, 2), version);
        assert_eq!(answer.error_code, error, "version {version}");
    }
    // Of an old client, whose epoch is that of the ended transaction still.
    let answer = producer.send(&mut client, producer.batch(1, 0), 10);
    assert_eq!(answer.error_code, INVALID_TXN_STATE);
    assert_eq!((client.end_offset(0, 0), client.end_offset(0, 1)), (end, end));
}

#[test]
fn the_last_stable_offset_is_the_first_one_of_the_oldest_open_transaction() {
    let broker = Broker::start();
    let mut client = Client::with_topic(&broker);
    let (mut first, mut second) = (client.producer("first"), client.producer("second"));
    first.produce(&mut client, 3);
    first.ended(&mut client, true);
    assert_eq!(settled(&mut client), 4);
    second.produce(&mut client, 1);
    first.produce(&mut client, 2);
    assert_eq!((client.end_offset(0, 0), client.end_offset(0, 1)), (7, 4));
    let fetched = client.fetch(4, 1);
    assert_eq!((fetched.last_stable_offset, fetched.high_watermark), (4, 7));
    assert!(fetched.records.is_none_or(|records| records.is_empty()));
    first.ended(&mut client, true);
    let end =
        until("the marker", TIMEOUT, || Some(client.end_offset(0, 0)).filter(|end| *end == 8));
    assert_eq!((end, client.end_offset(0, 1)), (8, 4));
    second.ended(&mut client, false);
    assert_eq!(settled(&mut client), 9);
    let fetched = client.fetch(4, 1);
    let aborted = fetched.aborted_transactions.unwrap();
    assert_eq!(aborted.iter().map(|it| it.first_offset).collect::<Vec<_>>(), [4]);
    // A reader that sees everything is not told.
    assert_eq!(client.fetch(4, 0).aborted_transactions, None);
}

#[test]
fn a_duplicate_from_before_the_window_is_not_written_again() {
    let broker = Broker::start();
    let mut client = Client::with_topic(&broker);
    let mut producer = client.producer("repeats");
    let batches: Vec<_> = (0..7).map(|number| (number, producer.produce(&mut client, 1))).collect();
    let end = client.end_offset(0, 0);
    for (number, offset) in &batches[2..] {
        let again = producer.send(&mut client, producer.batch(1, *number), 12);
        assert_eq!((again.error_code, again.base_offset), (0, *offset));
    }
    let again = producer.send(&mut client, producer.batch(1, 0), 12);
    assert_eq!(again.error_code, OUT_OF_ORDER_SEQUENCE_NUMBER);
    let old = producer.clone();
    producer.ended(&mut client, true);
    settled(&mut client);
    let again = old.send(&mut client, old.batch(1, 6), 12);
    assert_eq!(again.error_code, INVALID_PRODUCER_EPOCH);
    assert_eq!(client.end_offset(0, 0), end + 1);
}

#[test]
fn offsets_come_with_the_records_or_not_at_all() {
    let broker = Broker::start();
    let mut client = Client::with_topic(&broker);
    let mut producer = client.producer("worker");
    for (offset, committed, expected) in [(5, true, 5), (9, false, 5), (7, true, 7)] {
        producer.produce(&mut client, 1);
        assert_eq!(producer.commit_offset(&mut client, offset), 0);
        assert_eq!(client.committed(true).1, UNSTABLE_OFFSET_COMMIT);
        producer.ended(&mut client, committed);
        let seen = until("the marker of the offsets", TIMEOUT, || {
            Some(client.committed(true)).filter(|(_, error)| *error != UNSTABLE_OFFSET_COMMIT)
        });
        assert_eq!(seen, (expected, 0));
        settled(&mut client);
    }
    // One whose transaction was ended under it commits none.
    let zombie = producer.clone();
    producer.produce(&mut client, 1);
    let mut other = client.producer("worker");
    assert_eq!(zombie.commit_offset(&mut client, 100), INVALID_PRODUCER_EPOCH);
    assert_eq!(zombie.end(&mut client, true).error_code, PRODUCER_FENCED);
    assert_eq!(client.committed(true), (7, 0));
    other.produce(&mut client, 1);
    other.ended(&mut client, true);
}

#[test]
fn a_kill_right_after_the_answer_finishes_the_commit() {
    let mut broker = Broker::start();
    Client::with_topic(&broker);
    let mut end = 0;
    for round in 0..10 {
        let mut client = Client::new(&broker);
        let mut producer = client.producer("killed");
        let first = producer.produce(&mut client, 3);
        let committed = round % 2 == 0;
        assert_eq!(producer.commit_offset(&mut client, first), 0);
        let old = producer.clone();
        producer.ended(&mut client, committed);
        broker.kill9();
        broker.restart();
        let mut client = Client::new(&broker);
        // Its answer was lost, for all it knows.
        client.find(old.id, 1);
        assert_eq!(old.end(&mut client, committed).producer_epoch, producer.epoch);
        end = settled(&mut client).max(end);
        assert!(end > first + 3, "the marker stands behind the records");
        let offset = until("the marker of the offsets", TIMEOUT, || {
            Some(client.committed(true)).filter(|(_, error)| *error != UNSTABLE_OFFSET_COMMIT)
        });
        assert_eq!(offset.0 == first, committed, "round {round}: {offset:?}");
        let aborted = client.fetch(first, 1).aborted_transactions.unwrap();
        assert_eq!(aborted.iter().any(|it| it.first_offset == first), !committed);
    }
}

#[test]
fn a_kill_during_a_transaction_leaves_it_to_the_next_producer() {
    let mut broker = Broker::start();
    let mut client = Client::with_topic(&broker);
    let mut producer = client.producer("survivor");
    let first = producer.produce(&mut client, 3);
    assert_eq!(producer.commit_offset(&mut client, 3), 0);
    broker.kill9();
    broker.restart();
    let mut client = Client::new(&broker);
    // It may go on where it was,
    client.find(producer.id, 1);
    let more = until("the coordinator", TIMEOUT, || {
        let answer = producer.send(&mut client, producer.batch(2, 3), 12);
        (answer.error_code == 0).then_some(answer.base_offset)
    });
    assert_eq!(more, first + 3);
    assert_eq!(client.end_offset(0, 1), first);
    broker.kill9();
    broker.restart();
    // or be taken over.
    let mut client = Client::new(&broker);
    let mut next = client.producer("survivor");
    assert_eq!(settled(&mut client), first + 6);
    assert_eq!(client.committed(true), (-1, 0));
    assert_eq!(producer.end(&mut client, true).error_code, PRODUCER_FENCED);
    next.produce(&mut client, 1);
    next.ended(&mut client, true);
    settled(&mut client);
}

#[test]
fn a_strict_broker_refuses_clients_whose_epoch_does_not_rise() {
    const UNSUPPORTED_VERSION: i16 = 35;
    if crate::broker::against_kafka() {
        return;
    }
    let broker = Broker::start_with(&["ottla.transaction.version.min=2"]);
    let mut client = Client::with_topic(&broker);
    let mut producer = client.producer("strict");
    let answer = producer.send(&mut client, producer.batch(1, 0), 11);
    assert_eq!(answer.error_code, UNSUPPORTED_VERSION);
    producer.produce(&mut client, 1);
    let old = EndTxnRequest {
        transactional_id: producer.id.into(),
        producer_id: producer.number,
        producer_epoch: producer.epoch,
        committed: true,
    };
    assert_eq!(client.ask(&old, 4).error_code, UNSUPPORTED_VERSION);
    producer.ended(&mut client, true);
}
