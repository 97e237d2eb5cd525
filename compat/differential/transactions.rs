//! Transactions, of clients that add partitions themselves and of those whose writes add them (KIP-890).
//!
//! The end of a transaction is answered before it is complete, and until then other requests are told to come again.
//! So after each end both brokers are asked until they say that it is complete; every answer that is compared is then
//! the only one there can be. What a producer was given is learnt under its transactional id.

mod adds;
mod admin;
mod exhaustion;
mod given;
mod lives;
mod markers;
mod offsets;
mod reads;
mod requests;
mod states;
mod writes;

use ottla::wire::messages::describe_producers::{DescribeProducersRequest, TopicRequest};
use ottla::wire::messages::describe_transactions::DescribeTransactionsRequest;
use ottla::wire::messages::end_txn::EndTxnResponse;
use ottla::wire::messages::find_coordinator::FindCoordinatorRequest;
use ottla::wire::messages::init_producer_id::{InitProducerIdRequest, InitProducerIdResponse};

use crate::groups;
use crate::script::{Both, Script};
use crate::side::Side;
use requests::{
    Offsets, adding, adding_offsets, batch, committing, describing, ending, initialising, writing,
};

pub(crate) const APIS: &[&str] = &[
    "InitProducerId",
    "AddPartitionsToTxn",
    "AddOffsetsToTxn",
    "EndTxn",
    "WriteTxnMarkers",
    "TxnOffsetCommit",
    "DescribeTransactions",
    "ListTransactions",
    "FindCoordinator",
    "Produce",
    "Fetch",
    "ListOffsets",
    "DescribeProducers",
    "OffsetFetch",
    "DescribeGroups",
    "DeleteGroups",
    "OffsetDelete",
    "ListGroups",
    "DescribeTopicPartitions",
    "DescribeConfigs",
    "CreateTopics",
    "DeleteRecords",
    "Metadata",
];

const KEY_TYPE: i8 = 1;
/// From here on a write adds its partition to the transaction.
const PRODUCE_ADDS: i16 = 12;
const COMMIT_ADDS: i16 = 5;
/// From here on the end of a transaction gives its producer the next epoch.
const END_BUMPS: i16 = 5;
/// From here on brokers ask, for several transactions.
const ADD_MANY: i16 = 4;

const NOT_FOUND: i16 = 105;

/// Topics and their partitions.
type Partitions<'a> = &'a [(&'a str, &'a [i32])];

pub(crate) fn run(script: &mut Script) {
    groups::coordinator(script);
    coordinator(script);
    states::topic(script);
    lives::run(script);
    admin::run(script);
    adds::run(script);
    writes::run(script);
    reads::run(script);
    states::run(script);
    offsets::run(script);
    markers::run(script);
    given::run(script);
    exhaustion::run(script);
}

/// Waits until transactional ids have a coordinator.
pub(crate) fn coordinator(script: &mut Script) {
    let asking = FindCoordinatorRequest {
        key: "transactions".into(),
        key_type: KEY_TYPE,
        ..Default::default()
    };
    script.until("a coordinator", 3, |_| asking.clone(), |response| response.error_code == 0);
    // So many that each partition of the transactions' topic has one.
    let keys = (0..400).map(|number| format!("key-{number}")).collect();
    let asking = DescribeTransactionsRequest { transactional_ids: keys };
    script.until(
        "the transactions",
        0,
        |_| asking.clone(),
        |response| response.transaction_states.iter().all(|one| one.error_code == NOT_FOUND),
    );
    let asking = InitProducerIdRequest { transactional_id: None, ..Default::default() };
    script.until("a producer id", 4, |_| asking.clone(), |response| response.error_code == 0);
}

/// What a request says of who asks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Claim {
    Right,
    OldEpoch,
    NewerEpoch,
    OtherProducer,
    UnknownId,
    EmptyId,
}

impl Claim {
    const WRONG: [Self; 5] =
        [Self::OldEpoch, Self::NewerEpoch, Self::OtherProducer, Self::UnknownId, Self::EmptyId];
}

/// A producer id that no broker gives in these steps.
const OTHER_PRODUCER: i64 = 1 << 40;

#[derive(Clone, Debug, PartialEq, Eq)]
struct Identity {
    transactional_id: String,
    producer_id: i64,
    epoch: i16,
}

fn identity(side: &Side, id: &str, claim: Claim) -> Identity {
    let producer_id = side.number(&format!("{id}/producer"));
    let epoch = side.number(&format!("{id}/epoch"));
    let right = Identity { transactional_id: id.into(), producer_id, epoch };
    match claim {
        Claim::Right => right,
        Claim::OldEpoch => Identity { epoch: epoch - 1, ..right },
        Claim::NewerEpoch => Identity { epoch: epoch + 1, ..right },
        Claim::OtherProducer => Identity { producer_id: OTHER_PRODUCER, ..right },
        Claim::UnknownId => Identity { transactional_id: format!("{id}-unknown"), ..right },
        Claim::EmptyId => Identity { transactional_id: String::new(), ..right },
    }
}

/// A producer with a transactional id.
struct Producer<'a> {
    script: &'a mut Script,
    id: String,
    /// Its transaction stays about to end, and nothing is to be waited for.
    stays: bool,
}

impl<'a> Producer<'a> {
    /// One that has asked for nothing yet.
    fn new(script: &'a mut Script, id: impl Into<String>) -> Self {
        Self { script, id: id.into(), stays: false }
    }

    /// One that has its producer id.
    fn begun(script: &'a mut Script, id: impl Into<String>) -> Self {
        let mut producer = Self::new(script, id);
        producer.init("a producer to use", 5);
        producer
    }

    fn init(&mut self, step: &str, version: i16) {
        self.init_with(step, version, |_, _| {});
    }

    /// Asks for a producer id; what is given is learnt.
    fn init_with(
        &mut self,
        step: &str,
        version: i16,
        change: impl Fn(&Side, &mut InitProducerIdRequest),
    ) {
        let id = self.id.clone();
        let answers = self.script.ask(step, version, |side| {
            let mut request = initialising(&id);
            change(side, &mut request);
            request
        });
        self.learn_given(&answers);
    }

    fn learn_given(&mut self, answers: &Both<InitProducerIdResponse>) {
        for (side, answer) in self.script.sides.iter_mut().zip(answers) {
            if let Some(answer) = answer.as_ref().filter(|answer| answer.error_code == 0) {
                side.learn(&format!("{}/producer", self.id), &answer.producer_id.to_string());
                side.learn(&format!("{}/epoch", self.id), &answer.producer_epoch.to_string());
            }
        }
    }

    fn add(&mut self, step: &str, version: i16, claim: Claim, partitions: Partitions<'_>) {
        let id = &self.id;
        self.script.ask(step, version, |side| adding(&identity(side, id, claim), partitions));
    }

    fn add_offsets(&mut self, step: &str, version: i16, claim: Claim, group: &str) {
        let id = &self.id;
        self.script.ask(step, version, |side| adding_offsets(&identity(side, id, claim), group));
    }

    /// Writes three records at this sequence to each partition of a topic.
    fn produce(
        &mut self,
        step: &str,
        version: i16,
        claim: Claim,
        (topic, partitions): (&str, &[i32]),
        sequence: i32,
    ) {
        let (id, time_ms) = (&self.id, self.script.time_ms);
        self.script.ask(step, version, |side| {
            writing(side, &identity(side, id, claim), time_ms, (topic, partitions), sequence)
        });
    }

    fn commit_offsets(
        &mut self,
        step: &str,
        version: i16,
        claim: Claim,
        group: &str,
        of: Offsets<'_>,
    ) {
        let id = &self.id;
        self.script.ask(step, version, |side| committing(&identity(side, id, claim), group, of));
    }

    /// Ends the transaction; both brokers are done with that when the next request comes.
    fn end(&mut self, step: &str, version: i16, claim: Claim, committed: bool) {
        self.begin_end(step, version, claim, committed);
        self.until_complete();
    }

    /// Ends the transaction; the brokers may still be about to.
    fn begin_end(&mut self, step: &str, version: i16, claim: Claim, committed: bool) {
        let id = self.id.clone();
        let answers =
            self.script.ask(step, version, |side| ending(&identity(side, &id, claim), committed));
        self.learn_ended(&answers);
    }

    fn learn_ended(&mut self, answers: &Both<EndTxnResponse>) {
        for (side, answer) in self.script.sides.iter_mut().zip(answers) {
            let is_given = |answer: &&EndTxnResponse| answer.producer_id >= 0;
            if let Some(answer) = answer.as_ref().filter(is_given) {
                side.learn(&format!("{}/producer", self.id), &answer.producer_id.to_string());
                side.learn(&format!("{}/epoch", self.id), &answer.producer_epoch.to_string());
            }
        }
    }

    /// Waits until no transaction of the id is about to end.
    fn until_complete(&mut self) {
        if !self.stays {
            self.until_state(&|state: &str| !state.starts_with("Prepare"));
        }
    }

    fn until_state(&mut self, is_so: &dyn Fn(&str) -> bool) {
        let asking = describing(&[&self.id]);
        self.script.until(
            &format!("the end of {}", self.id),
            0,
            |_| asking.clone(),
            |response| response.transaction_states.iter().all(|one| is_so(&one.transaction_state)),
        );
    }

    fn describe(&mut self, step: &str) {
        let asking = describing(&[&self.id]);
        self.script.ask(step, 0, |_| asking.clone());
    }

    /// Learns when the transaction began, or sees that this is still so: times themselves are not compared.
    fn began(&mut self, step: &str, is_new: bool) {
        let asking = describing(&[&self.id]);
        let key = format!("{}/began", self.id);
        let answers = [0, 1].map(|of| self.script.ask_one(of, 0, &|_: &Side| asking.clone()));
        for (side, answer) in self.script.sides.iter_mut().zip(&answers) {
            let transactions = answer.iter().flat_map(|answer| &answer.transaction_states);
            let began_ms: Vec<i64> =
                transactions.map(|one| one.transaction_start_time_ms).collect();
            let began_ms = format!("{began_ms:?}");
            if is_new {
                side.learn(&key, &began_ms);
            } else if side.text(&key) != began_ms {
                let what = format!("{step}: began {began_ms}, not {}", side.text(&key));
                self.script.report.fail("DescribeTransactions", &what);
            }
        }
    }
}

/// The producers of a topic's partitions.
fn producers(script: &mut Script, step: &str, topic: &str, partitions: &[i32]) {
    script.ask(step, 0, |_| DescribeProducersRequest {
        topics: vec![TopicRequest { name: topic.into(), partition_indexes: partitions.to_vec() }],
    });
}
