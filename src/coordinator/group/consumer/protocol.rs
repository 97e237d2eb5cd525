//! What classic consumers say in bytes that the coordinator does not read otherwise: their
//! subscription and their assignment (Kafka: `ConsumerProtocol`).

use std::collections::BTreeSet;

use bytes::Bytes;

use super::assignor::Assignment;
use crate::metadata::MetadataImage;
use crate::wire::messages::consumer_group_heartbeat::TopicPartitions;
use crate::wire::{DecodeError, Decoder, Encoder, Field, Message, message};

message! {
    /// What a member reads.
    pub(crate) struct ConsumerProtocolSubscription: versions 0..=3, flexible 32767 {
        topics: Vec<String>,
        user_data: Option<Bytes>,
        owned_partitions: Vec<NamedPartitions> [1..],
        generation_id: i32 [2..] = -1,
        rack_id: Option<String> [3..],
    }

    /// What a member is to have.
    pub(crate) struct ConsumerProtocolAssignment: versions 0..=3, flexible 32767 {
        assigned_partitions: Vec<NamedPartitions>,
        user_data: Option<Bytes>,
    }

    pub(crate) struct NamedPartitions {
        topic: String,
        partitions: Vec<i32>,
    }
}

/// Reads the version and the message; a newer version is read as the newest known.
pub(crate) fn read<M: Message>(bytes: &Bytes) -> Result<M, DecodeError> {
    let mut decoder = Decoder::new(bytes.clone());
    let version = i16::read(&mut decoder, M::format(0))?;
    M::decode(&mut decoder, version.min(*M::VERSIONS.end()))
}

/// The version in which a member's subscription is.
pub(super) fn version(bytes: &Bytes) -> Result<i16, DecodeError> {
    let form = ConsumerProtocolSubscription::format(0);
    i16::read(&mut Decoder::new(bytes.clone()), form)
}

impl ConsumerProtocolSubscription {
    /// What the member says it has of topics that exist.
    pub(super) fn owned(&self, image: &MetadataImage) -> Vec<TopicPartitions> {
        let owned = self.owned_partitions.iter().filter_map(|owned| {
            let topic_id = image.topic(&owned.topic)?.id;
            Some(TopicPartitions { topic_id, partitions: owned.partitions.clone() })
        });
        owned.collect()
    }
}

/// The partitions of topics that exist.
pub(super) fn by_id(assignment: &ConsumerProtocolAssignment, image: &MetadataImage) -> Assignment {
    let topics = assignment.assigned_partitions.iter().filter_map(|topic| {
        let partitions: BTreeSet<i32> = topic.partitions.iter().copied().collect();
        Some((image.topic(&topic.topic)?.id, partitions))
    });
    topics.filter(|(_, partitions)| !partitions.is_empty()).collect()
}

/// The bytes of an assignment, in the version of its member's subscription or the newest.
pub(super) fn assignment_bytes(
    assignment: &Assignment,
    image: &MetadataImage,
    version: i16,
) -> Bytes {
    let topics = assignment.iter().filter_map(|(topic_id, partitions)| {
        let topic = image.topic_by_id(*topic_id)?.name.to_string();
        Some(NamedPartitions { topic, partitions: partitions.iter().copied().collect() })
    });
    let message =
        ConsumerProtocolAssignment { assigned_partitions: topics.collect(), user_data: None };
    bytes(&message, version.clamp(0, *ConsumerProtocolAssignment::VERSIONS.end()))
}

/// The version and the message in it: what [`read`] reads.
pub(crate) fn bytes<M: Message>(message: &M, version: i16) -> Bytes {
    let mut encoder = Encoder::new();
    version.write(&mut encoder, M::format(version));
    message.encode(&mut encoder, version);
    encoder.finish().into_bytes().expect("only file ranges can fail, and there are none")
}
