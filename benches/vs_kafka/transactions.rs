//! Transactions of one producer, one after the other: how long one takes from its first record to the answer of its end,
//! and how many there are in a second, with 1, 10 and 100 records each.
//!
//! The brokers run side by side and take turns, block by block. The client is one of `transaction.version` 2: a Produce
//! that adds its partition, and an EndTxn that raises the epoch. Where the transaction before is not complete it asks
//! again at once.

use std::time::{Duration, Instant};

use ottla::wire::messages::end_txn::EndTxnRequest;
use ottla::wire::messages::find_coordinator::FindCoordinatorRequest;
use ottla::wire::messages::init_producer_id::InitProducerIdRequest;
use ottla::wire::messages::produce::{PartitionProduceData, ProduceRequest, TopicProduceData};
use rustix::process::Signal;

use crate::node::{Node, Product};
use crate::raw_client::{Batch, Connection};
use crate::typed::ask;
use crate::{ALREADY_EXISTS, Row, START_TIMEOUT, first_ack, milliseconds};

const TOPIC: &str = "payments";
const RECORDS: [usize; 3] = [1, 10, 100];
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
pub(crate) struct Plan {
    blocks: usize,
    of: usize,
}

impl Plan {
    pub(crate) const FULL: Self = Self { blocks: 20, of: 100 };
    pub(crate) const QUICK: Self = Self { blocks: 2, of: 10 };
}

struct Producer {
    connection: Connection,
    id: i64,
    epoch: i16,
}

impl Producer {
    fn new(node: &Node) -> Self {
        let mut connection = node.connect();
        let error = connection.create_topics(&[TOPIC.to_owned()], 1, &[]).unwrap();
        assert!(error == 0 || error == ALREADY_EXISTS, "{TOPIC}: {error}");
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

/// The rows of each product.
pub(crate) fn measure(products: &[Product], plan: Plan) -> Vec<Vec<Row>> {
    let works: Vec<_> = products.iter().map(|_| tempfile::tempdir().unwrap()).collect();
    let start = |(product, work): (&Product, &tempfile::TempDir)| {
        first_ack(*product, work.path(), "first").0
    };
    let nodes: Vec<Node> = products.iter().zip(&works).map(start).collect();
    let mut producers: Vec<Producer> = nodes.iter().map(Producer::new).collect();
    let mut rows = vec![Vec::new(); nodes.len()];
    for records in RECORDS {
        let mut times = vec![Vec::new(); nodes.len()];
        // The first block is for warming up.
        for block in 0..=plan.blocks {
            for place in 0..nodes.len() {
                let place = (place + block) % nodes.len();
                let taken = (0..plan.of).map(|_| producers[place].transact(records));
                let taken: Vec<Duration> = taken.collect();
                if block > 0 {
                    times[place].extend(taken);
                }
            }
        }
        for (rows, mut times) in rows.iter_mut().zip(times) {
            times.sort();
            let what = format!("transactions of {records} records");
            let per_second = times.len() as f64 / times.iter().sum::<Duration>().as_secs_f64();
            rows.push((format!("{what}: in a second"), per_second));
            rows.push((format!("{what}: median (ms)"), milliseconds(times[times.len() / 2])));
            rows.push((
                format!("{what}: 99th of 100 (ms)"),
                milliseconds(times[times.len() * 99 / 100]),
            ));
        }
    }
    for node in nodes {
        node.end(Signal::TERM);
    }
    rows
}
