//! The records of a consumer group as bytes: each kind's key is the group and for most a member.

use bytes::Bytes;

use crate::coordinator::value::{ReplayError, prefixed, value};
use crate::shard::KeyValue;
use crate::wire::records::{
    ConsumerGroupCurrentMemberAssignmentKey as CurrentKey,
    ConsumerGroupCurrentMemberAssignmentValue as CurrentValue,
    ConsumerGroupMemberMetadataKey as MemberKey, ConsumerGroupMemberMetadataValue as MemberValue,
    ConsumerGroupMetadataKey as EpochKey, ConsumerGroupMetadataValue as EpochValue,
    ConsumerGroupPartitionMetadataKey as TopicsKey,
    ConsumerGroupPartitionMetadataValue as TopicsValue,
    ConsumerGroupRegularExpressionKey as RegexKey,
    ConsumerGroupRegularExpressionValue as RegexValue,
    ConsumerGroupTargetAssignmentMemberKey as TargetKey,
    ConsumerGroupTargetAssignmentMemberValue as TargetValue,
    ConsumerGroupTargetAssignmentMetadataKey as TargetEpochKey,
    ConsumerGroupTargetAssignmentMetadataValue as TargetEpochValue,
};
use crate::wire::{Decoder, Keyed, Message};

/// Every kind is written in this version, the only one.
const VERSION: i16 = 0;

/// A record of a consumer group. None removes what an earlier one of the same key has said.
#[derive(Clone, Debug, PartialEq)]
pub enum ConsumerRecord {
    /// The group's epoch; None removes the group.
    Epoch(Option<EpochValue>),
    /// The group's topics, which brokers before Kafka 4.1 wrote.
    Topics(Option<TopicsValue>),
    /// What a member has said of itself; None removes the member.
    Member(String, Option<MemberValue>),
    /// The epoch that the target assignment is for.
    TargetEpoch(Option<TargetEpochValue>),
    /// What a member is to have.
    Target(String, Option<TargetValue>),
    /// What a member has.
    Current(String, Option<CurrentValue>),
    /// The topics that match a regular expression.
    Regex(String, Option<RegexValue>),
}

impl ConsumerRecord {
    /// It says nothing but that something is gone.
    pub(in crate::coordinator::group) fn is_tombstone(&self) -> bool {
        match self {
            Self::Epoch(value) => value.is_none(),
            Self::Topics(value) => value.is_none(),
            Self::Member(_, value) => value.is_none(),
            Self::TargetEpoch(value) => value.is_none(),
            Self::Target(_, value) => value.is_none(),
            Self::Current(_, value) => value.is_none(),
            Self::Regex(_, value) => value.is_none(),
        }
    }

    /// Key and value.
    pub(in crate::coordinator::group) fn encode(&self, group: &str) -> KeyValue {
        let group_id = group.to_owned();
        match self {
            Self::Epoch(value) => written(&EpochKey { group_id }, value.as_ref()),
            Self::Topics(value) => written(&TopicsKey { group_id }, value.as_ref()),
            Self::TargetEpoch(value) => written(&TargetEpochKey { group_id }, value.as_ref()),
            Self::Member(member, value) => {
                let key = MemberKey { group_id, member_id: member.clone() };
                written(&key, value.as_ref())
            }
            Self::Target(member, value) => {
                let key = TargetKey { group_id, member_id: member.clone() };
                written(&key, value.as_ref())
            }
            Self::Current(member, value) => {
                let key = CurrentKey { group_id, member_id: member.clone() };
                written(&key, value.as_ref())
            }
            Self::Regex(regex, value) => {
                let key = RegexKey { group_id, regular_expression: regex.clone() };
                written(&key, value.as_ref())
            }
        }
    }

    /// Reads a record of this kind after the number of its key, with the group it is of. None for
    /// a kind that no consumer group has.
    pub(in crate::coordinator::group) fn decode(
        kind: i16,
        key: &mut Decoder,
        bytes: Option<Bytes>,
    ) -> Result<Option<(String, Self)>, ReplayError> {
        Ok(Some(match kind {
            EpochKey::KEY => (group(key)?, Self::Epoch(value(kind, bytes)?)),
            TopicsKey::KEY => (group(key)?, Self::Topics(value(kind, bytes)?)),
            TargetEpochKey::KEY => (group(key)?, Self::TargetEpoch(value(kind, bytes)?)),
            MemberKey::KEY => {
                let (group, member) = group_and_more(key)?;
                (group, Self::Member(member, value(kind, bytes)?))
            }
            TargetKey::KEY => {
                let (group, member) = group_and_more(key)?;
                (group, Self::Target(member, value(kind, bytes)?))
            }
            CurrentKey::KEY => {
                let (group, member) = group_and_more(key)?;
                (group, Self::Current(member, value(kind, bytes)?))
            }
            RegexKey::KEY => {
                let (group, regex) = group_and_more(key)?;
                (group, Self::Regex(regex, value(kind, bytes)?))
            }
            _ => return Ok(None),
        }))
    }
}

fn written<K: Keyed + Message, V: Message>(key: &K, value: Option<&V>) -> KeyValue {
    let value = value.map(|value| prefixed(VERSION, value, VERSION));
    KeyValue { key: Some(prefixed(K::KEY, key, VERSION)), value }
}

/// Keys of a group are alike.
fn group(key: &mut Decoder) -> Result<String, ReplayError> {
    EpochKey::decode(key, VERSION).map(|key| key.group_id).map_err(ReplayError::Key)
}

/// So are those of a member or a regular expression.
fn group_and_more(key: &mut Decoder) -> Result<(String, String), ReplayError> {
    let key = MemberKey::decode(key, VERSION).map_err(ReplayError::Key)?;
    Ok((key.group_id, key.member_id))
}
