//! DescribeTransactions (key 65): where transactional ids stand (KIP-664).

use super::{Api, Context, Reply};
use crate::wire::messages::describe_transactions::{
    DescribeTransactionsRequest, DescribeTransactionsResponse, DescribedTransaction,
};

pub(super) struct DescribeTransactions;

impl Api for DescribeTransactions {
    type Request = DescribeTransactionsRequest;

    async fn handle(
        context: Context<'_>,
        request: DescribeTransactionsRequest,
        _version: i16,
    ) -> Reply<DescribeTransactionsResponse> {
        let mut transaction_states = Vec::new();
        for transactional_id in request.transactional_ids {
            let described = context.shared.transactions.describe(&transactional_id).await;
            transaction_states.push(described.unwrap_or_else(|error| DescribedTransaction {
                error_code: error.code(),
                transactional_id,
                ..Default::default()
            }));
        }
        Reply::Ready(DescribeTransactionsResponse { transaction_states, ..Default::default() })
    }
}
