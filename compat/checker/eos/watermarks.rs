//! Last stable offsets, high watermarks and transactions, asked for on a connection of their own.

use std::net::TcpStream;
use std::time::Duration;

use ottla::wire::messages::describe_producers::{DescribeProducersRequest, TopicRequest};
use ottla::wire::messages::list_offsets::{
    ListOffsetsPartition, ListOffsetsRequest, ListOffsetsTopic,
};
use ottla::wire::messages::list_transactions::ListTransactionsRequest;

use super::line::Line;
use crate::requests::{Outcome, Request, framed_as, unframed};

const TIMEOUT: Duration = Duration::from_secs(2);
const LATEST: i64 = -1;
const READ_UNCOMMITTED: i8 = 0;
const READ_COMMITTED: i8 = 1;
const NONE: i16 = 0;

/// Asks a broker, which may not serve yet, or no longer.
#[derive(Debug)]
pub(super) struct Watermarks {
    bootstrap: String,
    connection: Option<TcpStream>,
}

impl Watermarks {
    pub(super) fn new(bootstrap: &str) -> Self {
        Self { bootstrap: bootstrap.to_owned(), connection: None }
    }

    /// None where there is no answer; the next question is asked on a new connection then.
    fn call<R: Request>(&mut self, request: &R, version: i16) -> Option<R::Response> {
        let connection = match self.connection.take() {
            Some(connection) => connection,
            None => TcpStream::connect(&self.bootstrap).ok()?,
        };
        let frame = framed_as(request, version, 1, "watermarks");
        std::io::Write::write_all(&mut &connection, &frame).ok()?;
        let Outcome::Answer(frame) = Outcome::next(&connection, TIMEOUT, TIMEOUT).ok()? else {
            return None;
        };
        self.connection = Some(connection);
        Some(unframed::<R>(&frame, version).ok()?.1)
    }

    fn ends(&mut self, topic: &str, partitions: i32, isolation_level: i8) -> Option<Vec<i64>> {
        let partition = |partition_index| ListOffsetsPartition {
            partition_index,
            current_leader_epoch: -1,
            timestamp: LATEST,
        };
        let partitions = (0..partitions).map(partition).collect();
        let request = ListOffsetsRequest {
            replica_id: -1,
            isolation_level,
            topics: vec![ListOffsetsTopic { name: topic.into(), partitions }],
            ..Default::default()
        };
        let mut found = self.call(&request, 7)?.topics.pop()?.partitions;
        found.sort_by_key(|partition| partition.partition_index);
        let end = |error_code, offset| (error_code == NONE).then_some(offset);
        found.iter().map(|partition| end(partition.error_code, partition.offset)).collect()
    }

    /// Of all partitions. The high watermark is asked for later, so that it is the higher one.
    pub(super) fn bounds(&mut self, topic: &str, partitions: i32) -> Option<Vec<Line<'static>>> {
        let stable = self.ends(topic, partitions, READ_COMMITTED)?;
        let high = self.ends(topic, partitions, READ_UNCOMMITTED)?;
        let bounds = (0..).zip(stable.into_iter().zip(high));
        let bounds = bounds.map(|(partition, (last_stable_offset, high_watermark))| Line::Bounds {
            partition,
            last_stable_offset,
            high_watermark,
        });
        Some(bounds.collect())
    }

    /// The transactions that are open.
    pub(super) fn open<'a>(&mut self, topic: &'a str, partitions: i32) -> Option<Vec<Line<'a>>> {
        let asked =
            TopicRequest { name: topic.into(), partition_indexes: (0..partitions).collect() };
        let request = DescribeProducersRequest { topics: vec![asked] };
        let mut open = Vec::new();
        for described in self.call(&request, 0)?.topics.pop()?.partitions {
            if described.error_code != NONE {
                return None;
            }
            let producers = described.active_producers.into_iter();
            let producers = producers.filter(|producer| producer.current_txn_start_offset >= 0);
            open.extend(producers.map(|producer| Line::Open {
                topic,
                partition: described.partition_index,
                producer_id: producer.producer_id,
                offset: producer.current_txn_start_offset,
            }));
        }
        Some(open)
    }

    /// Whether the coordinator is ending transactions.
    pub(super) fn are_ending(&mut self) -> Option<bool> {
        let states = ["PrepareCommit", "PrepareAbort", "PrepareEpochFence"];
        let state_filters = states.map(String::from).to_vec();
        let request = ListTransactionsRequest { state_filters, ..Default::default() };
        Some(!self.call(&request, 0)?.transaction_states.is_empty())
    }
}
