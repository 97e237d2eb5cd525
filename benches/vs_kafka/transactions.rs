//! Transactions of one producer, one after the other: how long one takes from its first record to the answer of its end,
//! and how many there are in a second, with 1, 10 and 100 records each.
//!
//! The brokers run side by side and take turns, block by block, of which the first ones do not count: they are as many
//! transactions as it takes until Kafka is compiled. The client is one of `transaction.version` 2: a Produce
//! that adds its partition, and an EndTxn that raises the epoch. Where the transaction before is not complete it asks
//! again at once.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use crate::contender::{Contender, take_turns};
use crate::raw_client::{Batch, Connection};
use crate::table::{Aim, Column, Figure, Section, Than};
use crate::typed::ask;
use crate::{START_TIMEOUT, Setup, milliseconds};
use ottla::wire::messages::end_txn::EndTxnRequest;
use ottla::wire::messages::find_coordinator::FindCoordinatorRequest;
use ottla::wire::messages::init_producer_id::InitProducerIdRequest;
use ottla::wire::messages::produce::{PartitionProduceData, ProduceRequest, TopicProduceData};

const TOPIC: &str = "payments";
const COLUMNS: [Column; 4] = [Column::Ottla, Column::Again, Column::Kafka, Column::Other];
const RECORDS: [usize; 3] = [1, 10, 100];
/// What is to be three times as fast as Kafka.
const AIMED_RECORDS: usize = 10;
const VALUE: [u8; 100] = [b'v'; 100];
const FIND: i16 = 3;
const INIT: i16 = 5;
const PRODUCE: i16 = 12;
const END: i16 = 5;
const TRANSACTION: i8 = 1;
/// `TRANSACTIONAL` of a batch's attributes
const TRANSACTIONAL: i16 = 1 << 4;
/// `CONCURRENT_TRANSACTIONS`
const CONCURRENT: i16 = 51;

/// How many transactions.
#[derive(Clone, Copy, Debug)]
struct Plan {
    blocks: usize,
    /// Before those.
    uncounted_blocks: usize,
    of: usize,
}

const FULL: Plan = Plan { blocks: 20, uncounted_blocks: 10, of: 100 };
const QUICK: Plan = Plan { blocks: 2, uncounted_blocks: 1, of: 10 };

struct Producer {
    connection: Connection,
    id: i64,
    epoch: i16,
}

impl Producer {
    /// To a topic that is there.
    fn new(contender: &Contender) -> Self {
        let mut connection = contender.connect();
        let find = FindCoordinatorRequest {
            key: "bench".into(),
            key_type: TRANSACTION,
            ..Default::default()
        };
        let init = InitProducerIdRequest {
            transactional_id: Some("bench".into()),
            transaction_timeout_ms: 60_000,
            ..Default::default()
        };
        let deadline = Instant::now() + START_TIMEOUT;
        loop {
            assert!(Instant::now() < deadline, "the coordinator does not serve");
            if ask(&mut connection, &find, FIND).error_code == 0 {
                let given = ask(&mut connection, &init, INIT);
                if given.error_code == 0 {
                    return Self { connection, id: given.producer_id, epoch: given.producer_epoch };
                }
            }
        }
    }

    /// One transaction; the time it took.
    fn transact(&mut self, records: usize) -> Duration {
        let values = vec![&VALUE[..]; records];
        let batch = Batch {
            attributes: TRANSACTIONAL,
            producer_id: self.id,
            producer_epoch: self.epoch,
            base_sequence: 0,
            ..Batch::of(None, &values)
        };
        let data = PartitionProduceData { index: 0, records: Some(batch.encode().into()) };
        let request = ProduceRequest {
            transactional_id: Some("bench".into()),
            acks: -1,
            timeout_ms: 30_000,
            topic_data: vec![TopicProduceData {
                name: TOPIC.into(),
                partition_data: vec![data],
                ..Default::default()
            }],
        };
        let started = Instant::now();
        loop {
            let answer = ask(&mut self.connection, &request, PRODUCE);
            match answer.responses[0].partition_responses[0].error_code {
                0 => break,
                CONCURRENT => {}
                error => panic!("Produce: {error}"),
            }
        }
        let end = EndTxnRequest {
            transactional_id: "bench".into(),
            producer_id: self.id,
            producer_epoch: self.epoch,
            committed: true,
        };
        let ended = ask(&mut self.connection, &end, END);
        assert_eq!(ended.error_code, 0, "{ended:?}");
        (self.id, self.epoch) = (ended.producer_id, ended.producer_epoch);
        started.elapsed()
    }
}

pub(crate) fn part(setup: &Setup) -> Vec<Section> {
    let plan = setup.amount(FULL, QUICK);
    let contenders = setup.contenders(&COLUMNS);
    for contender in &contenders {
        contender.create_topic(TOPIC, 1, &[]);
    }
    let producer = |contender: &Contender| (contender.column, Producer::new(contender));
    let mut producers: BTreeMap<Column, Producer> = contenders.iter().map(producer).collect();
    let measure = |records| figures(&contenders, &mut producers, plan, records);
    let figures = RECORDS.into_iter().flat_map(measure).collect();
    for contender in contenders {
        contender.delete_topic(TOPIC);
        contender.end();
    }
    let method = format!(
        "One producer, one transaction after the other, from the first byte of its Produce to the answer of its EndTxn, with \
         records of {} bytes. {} blocks of {} transactions each. What Kafka takes is mostly \
         `add.partitions.to.txn.retry.backoff.ms`, 20 ms by default: so long waits a Produce that finds the transaction \
         before it not quite completed.",
        VALUE.len(),
        plan.blocks,
        plan.of
    );
    vec![Section { title: "Transactions", method, figures }]
}

/// What transactions of so many records take.
fn figures(
    contenders: &[Contender],
    producers: &mut BTreeMap<Column, Producer>,
    plan: Plan,
    records: usize,
) -> [Figure; 3] {
    let blocks = plan.uncounted_blocks + plan.blocks;
    let taken = take_turns(contenders, blocks, |contender, _| {
        let producer = producers.get_mut(&contender.column).unwrap();
        (0..plan.of).map(|_| producer.transact(records)).collect::<Vec<Duration>>()
    });
    let what = format!("transactions of {records} records");
    let faster = [Aim::AtLeast(Than::Kafka(3.0))];
    let aims = if records == AIMED_RECORDS { &faster[..] } else { &[] };
    let mut per_second = Figure::new(format!("{what}: in a second"), aims);
    let mut p50 = Figure::new(format!("{what}: p50 (ms)"), &[]);
    let mut p99 = Figure::new(format!("{what}: p99 (ms)"), &[]);
    for (contender, blocks) in contenders.iter().zip(taken) {
        let column = contender.column;
        let mut times = blocks[plan.uncounted_blocks..].concat();
        times.sort();
        let in_all = times.iter().sum::<Duration>().as_secs_f64();
        per_second.set(column, times.len() as f64 / in_all);
        p50.set(column, milliseconds(times[times.len() / 2]));
        p99.set(column, milliseconds(times[times.len() * 99 / 100]));
    }
    [per_second, p50, p99]
}
