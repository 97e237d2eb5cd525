//! What operators are shown of transactions (KIP-664, KIP-994, KIP-1152).

use super::command::Filters;
use super::state::{Transaction, by_topic};
use crate::wire::messages::describe_transactions::{DescribedTransaction, TransactionTopic};
use crate::wire::messages::list_transactions::ListedTransaction;

pub(super) fn describe(id: &str, transaction: &Transaction) -> DescribedTransaction {
    let topics = by_topic(transaction.partitions.iter().map(|it| (it, it.partition)));
    DescribedTransaction {
        error_code: 0,
        transactional_id: id.to_owned(),
        transaction_state: transaction.state.name().to_owned(),
        transaction_timeout_ms: transaction.timeout_ms,
        transaction_start_time_ms: transaction.start_ms,
        producer_id: transaction.producer.id,
        producer_epoch: transaction.producer.epoch,
        topics: topics.map(|(topic, partitions)| TransactionTopic { topic, partitions }).collect(),
    }
}

pub(super) fn listed(id: &str, transaction: &Transaction) -> ListedTransaction {
    ListedTransaction {
        transactional_id: id.to_owned(),
        producer_id: transaction.producer.id,
        transaction_state: transaction.state.name().to_owned(),
    }
}

/// Kafka's `TransactionStateManager.listTransactionStates`.
pub(super) fn is_listed(
    id: &str,
    transaction: &Transaction,
    filters: &Filters,
    now_ms: i64,
) -> bool {
    let Filters { states, producer_ids, duration_ms, pattern } = filters;
    let lasts_ms = now_ms.saturating_sub(transaction.start_ms);
    (producer_ids.is_empty() || producer_ids.contains(&transaction.producer.id))
        && states.as_ref().is_none_or(|states| states.contains(&transaction.state))
        && (*duration_ms < 0 || lasts_ms > *duration_ms)
        && pattern.as_ref().is_none_or(|pattern| pattern.matches(id))
}
