//! ListTransactions (key 66): the transactional ids that pass every filter (KIP-664).
//!
//! Version notes: by duration from version 1 (KIP-994), by a pattern from 2 (KIP-1152).

use super::{Api, Context, Reply};
use crate::wire::messages::list_transactions::{ListTransactionsRequest, ListTransactionsResponse};

pub(super) struct ListTransactions;

impl Api for ListTransactions {
    type Request = ListTransactionsRequest;

    async fn handle(
        context: Context<'_>,
        request: ListTransactionsRequest,
        _version: i16,
    ) -> Reply<ListTransactionsResponse> {
        Reply::Ready(context.shared.transactions.list(&request).await)
    }
}
