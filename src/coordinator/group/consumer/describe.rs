//! ConsumerGroupDescribe (Kafka: `ConsumerGroup.asDescribedGroup`).

use std::collections::BTreeMap;

use uuid::Uuid;

use super::super::machine::GroupMachine;
use super::super::turn::Turn;
use super::assignor::Assignment;
use super::draft::preferred_assignor;
use super::member::{Member, Owned};
use super::{ConsumerGroup, Refusal};
use crate::metadata::MetadataImage;
use crate::wire::messages::consumer_group_describe as wire;

/// Kinds of members (`ConsumerGroupDescribeResponse.Member.MemberType`).
const CLASSIC_MEMBER: i8 = 0;
const CONSUMER_MEMBER: i8 = 1;

impl GroupMachine {
    /// Describes a group; one that is not a consumer group is GROUP_ID_NOT_FOUND.
    pub(in crate::coordinator::group) fn describe_consumer(
        &self,
        id: String,
        turn: &Turn,
    ) -> wire::DescribedGroup {
        match self.consumer_group(&id) {
            Ok(group) => described(group, id, turn),
            Err(Refusal { error, message }) => wire::DescribedGroup {
                error_code: error.code(),
                error_message: Some(message),
                group_id: id,
                ..Default::default()
            },
        }
    }
}

fn described(group: &ConsumerGroup, group_id: String, turn: &Turn) -> wire::DescribedGroup {
    let asked = group.members.values().filter_map(|member| member.server_assignor.as_deref());
    let assignor = preferred_assignor(asked, &turn.settings.consumer);
    let none = Assignment::new();
    let describe = |(id, member): (&String, &Member)| {
        described_member(id, member, group.target(id).unwrap_or(&none), &turn.image)
    };
    wire::DescribedGroup {
        group_id,
        group_state: group.state().name().to_owned(),
        group_epoch: group.epoch,
        assignment_epoch: group.target_epoch,
        assignor_name: assignor.name().to_owned(),
        members: group.members.iter().map(describe).collect(),
        ..Default::default()
    }
}

fn described_member(
    id: &str,
    member: &Member,
    target: &Assignment,
    image: &MetadataImage,
) -> wire::Member {
    // What is to be given back is the member's until it has been.
    let mut owned: BTreeMap<Uuid, Vec<i32>> = BTreeMap::new();
    let both: [&Owned; 2] = [&member.assigned, &member.revoking];
    for (topic_id, partitions) in both.into_iter().flatten() {
        owned.entry(*topic_id).or_default().extend(partitions.keys());
    }
    let target = target.iter();
    let target =
        target.map(|(topic_id, partitions)| (*topic_id, partitions.iter().copied().collect()));
    wire::Member {
        member_id: id.to_owned(),
        instance_id: member.instance_id.clone(),
        rack_id: member.rack_id.clone(),
        member_epoch: member.epoch,
        client_id: member.client_id.clone(),
        client_host: member.client_host.clone(),
        subscribed_topic_names: member.subscribed.iter().cloned().collect(),
        subscribed_topic_regex: member.regex.clone(),
        assignment: named(owned, image),
        target_assignment: named(target, image),
        member_type: if member.uses_classic() { CLASSIC_MEMBER } else { CONSUMER_MEMBER },
    }
}

/// Those partitions whose topics exist.
fn named(
    partitions: impl IntoIterator<Item = (Uuid, Vec<i32>)>,
    image: &MetadataImage,
) -> wire::Assignment {
    let named = partitions.into_iter().filter_map(|(topic_id, partitions)| {
        let topic_name = image.topic_by_id(topic_id)?.name.to_string();
        Some(wire::TopicPartitions { topic_id, topic_name, partitions })
    });
    wire::Assignment { topic_partitions: named.collect() }
}
