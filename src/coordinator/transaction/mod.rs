//! The transaction coordinator (KIP-98, KIP-360, KIP-447, KIP-664, KIP-890).
//!
//! Each partition of `__transaction_state` is a shard with a [`TransactionMachine`]; a transactional
//! id lives on the partition that Java's hash of it names, as Kafka has it. The topic is made when a
//! client first looks for a coordinator. A transaction is ended by one record; its markers follow
//! ([`markers`]), also after a restart.

mod begin;
mod command;
mod decision;
mod end;
mod list;
mod machine;
mod markers;
mod record;
mod state;
#[cfg(test)]
mod tests;

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use super::group::{Groups, TopicPattern};
use super::shards::TopicShards;
use crate::config::ServerConfig;
use crate::env::Env;
use crate::metadata::{Metadata, TopicError};
use crate::partition::{Partition, Registry};
use crate::shard::Shard;
use crate::wire::ErrorCode;
use crate::wire::messages::describe_transactions::DescribedTransaction;
use crate::wire::messages::list_transactions::{
    ListTransactionsRequest, ListTransactionsResponse, ListedTransaction,
};

pub use command::{Add, End, Init};
use command::{Command, Filters, Reply};
use machine::{ProducerIds, TransactionMachine};
use markers::TransactionHost;
pub use markers::write_marker;
use state::State;
pub use state::{Producer, TopicPartition, by_topic};

/// The topic of transactions (Kafka: `Topic.TRANSACTION_STATE_TOPIC_NAME`).
pub const STATE_TOPIC: &str = "__transaction_state";

/// The feature that says by which rules clients are to end transactions (KIP-890).
const VERSION_FEATURE: &str = "transaction.version";

/// The coordinator.
pub struct Transactions {
    config: Arc<ServerConfig>,
    metadata: Metadata,
    shards: TopicShards<TransactionMachine>,
    stopped: Arc<AtomicBool>,
}

impl Transactions {
    /// A coordinator; the shards of a topic that exists are started.
    pub fn new(
        env: &Env,
        config: &Arc<ServerConfig>,
        metadata: &Metadata,
        registry: &Arc<Registry>,
        groups: &Arc<Groups>,
    ) -> Self {
        let stopped = Arc::new(AtomicBool::new(false));
        let start = {
            let (env, settings, stopped) = (env.clone(), config.transactions, stopped.clone());
            let (metadata, registry, groups) = (metadata.clone(), registry.clone(), groups.clone());
            move |partition: Arc<Partition>| {
                let version = metadata.image().finalized_features.get(VERSION_FEATURE).copied();
                let host = TransactionHost {
                    settings,
                    version: version.unwrap_or(0),
                    ids: Arc::new(metadata.clone()),
                    groups: groups.clone(),
                    registry: registry.clone(),
                    partition: partition.clone(),
                    shard: Arc::default(),
                    ending: Arc::default(),
                    stopped: stopped.clone(),
                };
                let own = host.shard.clone();
                let shard = Shard::start_loading(env.clone(), partition, Arc::new(host));
                let _ = own.set(shard.clone());
                shard
            }
        };
        let shards = TopicShards::new(STATE_TOPIC, config, metadata, registry, Box::new(start));
        Self { config: config.clone(), metadata: metadata.clone(), shards, stopped }
    }

    /// Makes the topic where there is none; what is asked then waits for its shards.
    pub async fn ensure_topic(&self) -> Result<(), TopicError> {
        self.shards.ensure_topic().await
    }

    /// Whether the partition that a transactional id lives on is offline.
    pub fn is_offline(&self, id: &str) -> bool {
        self.shards.is_offline(self.shards.partition_of(id))
    }

    /// Gives a transactional id to a producer (Kafka: `handleInitProducerId`).
    pub async fn init_producer_id(&self, init: Init) -> Result<Producer, ErrorCode> {
        if init.id.is_empty() {
            return Err(ErrorCode::InvalidRequest);
        }
        if !(1..=self.config.transactions.max_timeout_ms).contains(&init.timeout_ms) {
            return Err(ErrorCode::InvalidTransactionTimeout);
        }
        producer(self.call(&init.id.clone(), Command::Init(init)).await)
    }

    /// Adds partitions to a transaction (Kafka: `handleAddPartitionsToTransaction`).
    pub async fn add_partitions(&self, add: Add) -> Result<(), ErrorCode> {
        self.check(&add.id, add.client_version)?;
        match self.call(&add.id.clone(), Command::Add(add)).await? {
            Reply::Done => Ok(()),
            other => Err(refusal(&other)),
        }
    }

    /// The partitions that are not in the transaction (Kafka: `handleVerifyPartitionsInTransaction`).
    pub async fn verify(&self, add: Add) -> Result<BTreeSet<TopicPartition>, ErrorCode> {
        self.check(&add.id, add.client_version)?;
        match self.call(&add.id.clone(), Command::Verify(add)).await? {
            Reply::Missing(missing) => Ok(missing),
            other => Err(refusal(&other)),
        }
    }

    /// Commits or aborts a transaction (Kafka: `handleEndTransaction`); what its producer goes on
    /// with, where it is a client of version 2.
    pub async fn end(&self, end: End) -> Result<Producer, ErrorCode> {
        self.check(&end.id, end.client_version)?;
        producer(self.call(&end.id.clone(), Command::End(end)).await)
    }

    /// Describes a transactional id (Kafka: `handleDescribeTransactions`).
    pub async fn describe(&self, id: &str) -> Result<DescribedTransaction, ErrorCode> {
        if id.is_empty() {
            return Err(ErrorCode::InvalidRequest);
        }
        match self.call(id, Command::Describe(id.to_owned())).await? {
            Reply::Described(described) => Ok(described),
            other => Err(refusal(&other)),
        }
    }

    /// Lists transactional ids (Kafka: `listTransactionStates`).
    pub async fn list(&self, request: &ListTransactionsRequest) -> ListTransactionsResponse {
        match self.listed(request).await {
            Ok(transaction_states) => ListTransactionsResponse {
                unknown_state_filters: unknown_states(request),
                transaction_states,
                ..Default::default()
            },
            Err(error) => {
                ListTransactionsResponse { error_code: error.code(), ..Default::default() }
            }
        }
    }

    async fn listed(
        &self,
        request: &ListTransactionsRequest,
    ) -> Result<Vec<ListedTransaction>, ErrorCode> {
        let pattern = request.transactional_id_pattern.as_deref().filter(|it| !it.is_empty());
        let compile =
            |pattern| TopicPattern::new(pattern).map_err(|_| ErrorCode::InvalidRegularExpression);
        let filters = Filters {
            states: (!request.state_filters.is_empty()).then(|| {
                request.state_filters.iter().filter_map(|name| State::from_name(name)).collect()
            }),
            producer_ids: request.producer_id_filters.clone(),
            duration_ms: request.duration_filter,
            pattern: pattern.map(compile).transpose()?,
        };
        let mut all = Vec::new();
        for reply in self.shards.call_all(|| Command::List(filters.clone())).await? {
            match reply {
                Reply::Listed(listed) => all.extend(listed),
                other => return Err(refusal(&other)),
            }
        }
        Ok(all)
    }

    /// Ends every shard after what it has been asked.
    pub async fn close(&self) {
        self.stopped.store(true, Ordering::Release);
        self.shards.close().await;
    }

    /// Whether a client of this `transaction.version` is served.
    fn check(&self, id: &str, client_version: i16) -> Result<(), ErrorCode> {
        let version_min = self.config.transactions.version_min;
        if id.is_empty() {
            return Err(ErrorCode::InvalidRequest);
        }
        if client_version < version_min {
            tracing::warn!(
                transactional_id = id,
                version_min,
                "transaction refused: its client is older than ottla.transaction.version.min"
            );
            return Err(ErrorCode::UnsupportedVersion);
        }
        Ok(())
    }

    async fn call(&self, id: &str, command: Command) -> Result<Reply, ErrorCode> {
        loop {
            match self.shards.call(self.shards.partition_of(id), command.clone()).await? {
                Reply::NoProducerId => {
                    let fetched = self.metadata.fetch_producer_ids().await;
                    fetched.map_err(|_| ErrorCode::CoordinatorNotAvailable)?;
                }
                reply => return Ok(reply),
            }
        }
    }
}

impl ProducerIds for Metadata {
    fn take(&self) -> Option<i64> {
        self.try_next_producer_id()
    }
}

fn producer(reply: Result<Reply, ErrorCode>) -> Result<Producer, ErrorCode> {
    match reply? {
        Reply::Producer(producer) => Ok(producer),
        other => Err(refusal(&other)),
    }
}

/// The error in a reply that is not the one expected.
fn refusal(reply: &Reply) -> ErrorCode {
    match reply {
        Reply::Refused(error) => *error,
        _ => ErrorCode::UnknownServerError,
    }
}

/// The names of states that Kafka does not have, each once.
fn unknown_states(request: &ListTransactionsRequest) -> Vec<String> {
    let mut unknown: Vec<String> = Vec::new();
    for name in request.state_filters.iter().filter(|name| !State::is_name(name)) {
        if !unknown.contains(name) {
            unknown.push(name.clone());
        }
    }
    unknown
}
