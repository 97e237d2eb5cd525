//! What the machine of transactions is asked, and what it answers.

use std::collections::BTreeSet;

use super::state::{Producer, State, TopicPartition};
use crate::coordinator::group::TopicPattern;
use crate::wire::ErrorCode;
use crate::wire::messages::describe_transactions::DescribedTransaction;
use crate::wire::messages::list_transactions::ListedTransaction;

/// What the machine is asked. Transactional ids are those of this partition.
#[derive(Clone, Debug)]
pub(super) enum Command {
    /// Give a transactional id to a producer.
    Init(Init),
    /// Add partitions to a producer's transaction, which begins with the first ones.
    Add(Add),
    /// Say whether partitions are in a producer's transaction.
    Verify(Add),
    /// Commit or abort a producer's transaction.
    End(End),
    /// The markers of the transaction that was ended by the record at this offset are written.
    Ended(String, i64),
    /// Describe a transactional id.
    Describe(String),
    /// List the transactional ids that pass the filters.
    List(Filters),
}

/// InitProducerId with a transactional id and a time-out that is allowed.
#[derive(Clone, Debug)]
pub struct Init {
    /// The transactional id.
    pub id: String,
    /// Milliseconds until its transactions are aborted.
    pub timeout_ms: i32,
    /// The producer that wants to go on (KIP-360).
    pub expected: Option<Producer>,
}

/// Partitions of a transaction.
#[derive(Clone, Debug)]
pub struct Add {
    /// The transactional id.
    pub id: String,
    /// Who asks.
    pub producer: Producer,
    /// The partitions.
    pub partitions: BTreeSet<TopicPartition>,
    /// The `transaction.version` of who asks.
    pub client_version: i16,
}

/// The end of a transaction.
#[derive(Clone, Debug)]
pub struct End {
    /// The transactional id.
    pub id: String,
    /// Who asks.
    pub producer: Producer,
    /// Commit or abort.
    pub committed: bool,
    /// The `transaction.version` of who asks.
    pub client_version: i16,
}

/// What a transactional id must be like to be listed.
#[derive(Clone, Debug, Default)]
pub(super) struct Filters {
    /// In one of these states; None for any.
    pub states: Option<Vec<State>>,
    /// Of one of these producer ids; empty for any.
    pub producer_ids: Vec<i64>,
    /// Begun before more than these milliseconds; negative for any.
    pub duration_ms: i64,
    /// Of this form.
    pub pattern: Option<TopicPattern>,
}

/// An answer.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Reply {
    /// To [`Command::Init`] and [`Command::End`]: what the producer goes on with.
    Producer(Producer),
    /// It is so.
    Done,
    /// To [`Command::Verify`]: the partitions that are not in the transaction.
    Missing(BTreeSet<TopicPartition>),
    /// To [`Command::Describe`].
    Described(DescribedTransaction),
    /// To [`Command::List`].
    Listed(Vec<ListedTransaction>),
    /// It may not be done.
    Refused(ErrorCode),
    /// Nothing was done: there is no producer id at hand. Ask again when there is.
    NoProducerId,
}
