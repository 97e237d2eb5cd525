//! The records of `__consumer_offsets` as bytes.
//!
//! Written are the versions of the reference: 3 of a group's state, 4 of an offset (1 where an old
//! client has given it its own end). Read is every version. Those of consumer groups stand beside
//! them ([`ConsumerRecord`]).

use bytes::Bytes;

use super::consumer::ConsumerRecord;
use crate::coordinator::value::{ReplayError, prefixed, value};
use crate::partition::{marker_commits, marker_record};
use crate::shard::KeyValue;
use crate::wire::records::{
    GroupMetadataKey, GroupMetadataValue, OffsetCommitKey, OffsetCommitValue,
};
use crate::wire::{Decoder, Field, Keyed, Message};

/// Version of a group's state.
const GROUP_VERSION: i16 = 3;
/// Version of an offset, and of one with its own end.
const OFFSET_VERSION: i16 = 4;
const OFFSET_WITH_END_VERSION: i16 = 1;
/// The number under which old brokers wrote the same key as [`OffsetCommitKey`].
const OLD_OFFSET_KEY: i16 = 0;
/// Keys that say that a share or streams group exists (`ShareGroupMetadataKey`,
/// `StreamsGroupMetadataKey`).
const OTHER_GROUP_KEYS: [i16; 2] = [11, 17];

/// A record of `__consumer_offsets`.
#[derive(Clone, Debug, PartialEq)]
pub enum Record {
    /// State of a classic group; None removes it.
    Group(String, Option<GroupMetadataValue>),
    /// Of a consumer group.
    Consumer(String, ConsumerRecord),
    /// A committed offset; None removes it.
    Offset(OffsetCommitKey, Option<OffsetCommitValue>),
    /// A group of a kind that is not coordinated here exists (true) or no longer does.
    OtherGroup(String, bool),
    /// A producer's transaction has ended, with a commit (true) or an abort; the epoch of the
    /// transaction's coordinator.
    EndTransaction(bool, i32),
}

impl Record {
    /// Removes the group.
    pub(super) fn remove_group(group: &str) -> Self {
        Self::Group(group.to_owned(), None)
    }

    /// Key and value.
    pub(super) fn encode(&self) -> KeyValue {
        let end = |value: &OffsetCommitValue| match value.expire_timestamp {
            -1 => OFFSET_VERSION,
            _ => OFFSET_WITH_END_VERSION,
        };
        match self {
            Self::Group(group, value) => {
                let key = GroupMetadataKey { group: group.clone() };
                let value =
                    value.as_ref().map(|value| prefixed(GROUP_VERSION, value, GROUP_VERSION));
                KeyValue { key: Some(prefixed(GroupMetadataKey::KEY, &key, 0)), value }
            }
            Self::Offset(key, value) => {
                let value = value.as_ref().map(|value| prefixed(end(value), value, end(value)));
                KeyValue { key: Some(prefixed(OffsetCommitKey::KEY, key, 0)), value }
            }
            Self::Consumer(group, record) => record.encode(group),
            Self::EndTransaction(committed, coordinator_epoch) => {
                let (key, value) = marker_record(*committed, *coordinator_epoch);
                let copied = |bytes: &[u8]| Some(Bytes::copy_from_slice(bytes));
                KeyValue { key: copied(&key), value: copied(&value) }
            }
            // Read from Kafka's directories, never decided here.
            Self::OtherGroup(..) => KeyValue::default(),
        }
    }

    /// Reads a record. None for the kinds of groups that are not coordinated here and for kinds
    /// of a newer Kafka, which passes them over, too.
    pub(super) fn decode(raw: KeyValue, control: bool) -> Result<Option<Self>, ReplayError> {
        let mut key = Decoder::new(raw.key.ok_or(ReplayError::NoKey)?);
        let mut number = || i16::read(&mut key, GroupMetadataKey::format(0));
        let kind = number().map_err(ReplayError::Key)?;
        if control {
            // The key of a control record is its version and its kind.
            let marker = number().map_err(ReplayError::Key)?;
            // What it says beside that is the partition's business.
            return Ok(marker_commits(marker).map(|commits| Self::EndTransaction(commits, -1)));
        }
        Ok(Some(match kind {
            GroupMetadataKey::KEY => {
                let key = GroupMetadataKey::decode(&mut key, 0).map_err(ReplayError::Key)?;
                Self::Group(key.group, value(kind, raw.value)?)
            }
            OLD_OFFSET_KEY | OffsetCommitKey::KEY => {
                let key = OffsetCommitKey::decode(&mut key, 0).map_err(ReplayError::Key)?;
                Self::Offset(key, value(kind, raw.value)?)
            }
            kind if OTHER_GROUP_KEYS.contains(&kind) => {
                // Its first field is the group, too.
                let key = GroupMetadataKey::decode(&mut key, 0).map_err(ReplayError::Key)?;
                Self::OtherGroup(key.group, raw.value.is_some())
            }
            kind => {
                let record = ConsumerRecord::decode(kind, &mut key, raw.value)?;
                return Ok(record.map(|(group, record)| Self::Consumer(group, record)));
            }
        }))
    }
}
