//! Reading committed offsets back.

use std::time::Duration;

use rdkafka::consumer::{BaseConsumer, Consumer, ConsumerContext};
use rdkafka::topic_partition_list::{Offset, TopicPartitionList};

use crate::journal::{Entry, now_ns};

const TIMEOUT: Duration = Duration::from_secs(2);

/// Asks for the committed offsets of the consumer's group; nothing when there is no answer, or one with an error.
pub(crate) fn read<C: ConsumerContext>(
    consumer: &BaseConsumer<C>,
    topic: &str,
    partitions: impl IntoIterator<Item = i32>,
) -> Option<Entry<'static>> {
    let mut list = TopicPartitionList::new();
    for partition in partitions {
        list.add_partition(topic, partition);
    }
    let began_ns = now_ns();
    let answer = consumer.committed_offsets(list, TIMEOUT).ok()?;
    let ended_ns = now_ns();
    let offsets = answer.elements().into_iter().filter(|element| element.error().is_ok());
    let offsets = offsets.map(|element| match element.offset() {
        Offset::Offset(offset) => (element.partition(), offset),
        _ => (element.partition(), -1),
    });
    Some(Entry::Read { began_ns, ended_ns, offsets: offsets.collect() })
}
