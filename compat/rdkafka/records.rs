//! What was written, read back whole. Also part of the tests.

use std::time::{Duration, Instant};

use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::{Header, Headers, Message, OwnedMessage, Timestamp};
use rdkafka::topic_partition_list::{Offset, TopicPartitionList};

const POLL: Duration = Duration::from_millis(20);

/// All records of the partitions from the beginning, at least as many as `counts` says: each is read until its end
/// (`enable.partition.eof`) has come after them.
pub(crate) fn read_all(
    consumer: &BaseConsumer,
    topic: &str,
    counts: &[usize],
    timeout: Duration,
) -> Vec<Vec<OwnedMessage>> {
    let mut list = TopicPartitionList::new();
    for partition in (0..).take(counts.len()) {
        list.add_partition_offset(topic, partition, Offset::Beginning).unwrap();
    }
    consumer.assign(&list).unwrap();
    let mut records = vec![Vec::new(); counts.len()];
    let mut ended = vec![false; counts.len()];
    let deadline = Instant::now() + timeout;
    while ended.contains(&false) {
        match consumer.poll(POLL) {
            Some(Ok(message)) => records[message.partition() as usize].push(message.detach()),
            Some(Err(KafkaError::PartitionEOF(partition))) => {
                let partition = partition as usize;
                ended[partition] = records[partition].len() >= counts[partition];
            }
            Some(Err(error)) => assert!(is_lost_connection(&error), "{topic}: {error}"),
            None => {}
        }
        let read = || records.iter().map(Vec::len).collect::<Vec<_>>();
        assert!(Instant::now() < deadline, "{topic}: {:?} of {counts:?} records", read());
    }
    records
}

/// A connection lost to a restart is librdkafka's to mend.
pub(crate) fn is_lost_connection(error: &KafkaError) -> bool {
    let code = error.rdkafka_error_code();
    code.is_some_and(|code| {
        matches!(code, RDKafkaErrorCode::BrokerTransportFailure | RDKafkaErrorCode::AllBrokersDown)
    })
}

/// Key, value, headers and timestamp of a record.
pub(crate) type Fields = (Option<Vec<u8>>, Option<Vec<u8>>, Vec<(String, Option<Vec<u8>>)>, i64);

/// Those of the numbered record: every combination of absent, empty and present, none to three headers of two names.
pub(crate) fn fields(number: usize) -> Fields {
    let bytes = |choice: usize| match choice % 3 {
        0 => None,
        1 => Some(Vec::new()),
        _ => Some(format!("bytes {number} \u{0} \u{7ff}").into_bytes()),
    };
    let header = |place: usize| (format!("h{}", place % 2), bytes(number / 9 + place));
    let headers = (0..number % 4).map(header).collect();
    (bytes(number), bytes(number / 3), headers, 1_700_000_000_123 + number as i64 * 7)
}

/// Those of a record that was read.
pub(crate) fn fields_of(message: &OwnedMessage) -> Fields {
    let owned =
        |header: Header<'_, &[u8]>| (header.key.to_owned(), header.value.map(<[u8]>::to_vec));
    let headers = message.headers().map(|headers| headers.iter().map(owned).collect());
    let Timestamp::CreateTime(timestamp) = message.timestamp() else { panic!("no create time") };
    let bytes = |bytes: Option<&[u8]>| bytes.map(<[u8]>::to_vec);
    (bytes(message.key()), bytes(message.payload()), headers.unwrap_or_default(), timestamp)
}
