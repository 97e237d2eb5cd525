//! Keys and values as text: as they are, or as JSON for the records of the internal topics.
//!
//! A record of a coordinator that cannot be read is told in its own place, and the dump goes on.

use bytes::Bytes;

use super::text::{java_text, kafka_reason};
use crate::coordinator::group::{ConsumerProtocolAssignment, ConsumerProtocolSubscription};
use crate::wire::json::Json;
use crate::wire::records::{
    ConsumerGroupCurrentMemberAssignmentKey, ConsumerGroupCurrentMemberAssignmentValue,
    ConsumerGroupMemberMetadataKey, ConsumerGroupMemberMetadataValue, ConsumerGroupMetadataKey,
    ConsumerGroupMetadataValue, ConsumerGroupPartitionMetadataKey,
    ConsumerGroupPartitionMetadataValue, ConsumerGroupRegularExpressionKey,
    ConsumerGroupRegularExpressionValue, ConsumerGroupTargetAssignmentMemberKey,
    ConsumerGroupTargetAssignmentMemberValue, ConsumerGroupTargetAssignmentMetadataKey,
    ConsumerGroupTargetAssignmentMetadataValue, GroupMetadataKey, GroupMetadataValue,
    OffsetCommitKey, OffsetCommitValue, RecordError, ShareSnapshotKey, ShareSnapshotValue,
    ShareUpdateKey, ShareUpdateValue, TransactionLogKey, TransactionLogValue, VersionedRecord,
};
use crate::wire::{self, Field, Keyed, Message};

/// The number under which old brokers wrote offsets, with the first version of the value only.
const OLD_OFFSET_KEY: i16 = 0;
/// The only version of the frame of a metadata record.
const FRAME_VERSION: i16 = 1;

/// What keys and values are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Decoder {
    /// UTF-8.
    Text,
    /// Records of `__consumer_offsets`.
    Offsets,
    /// Records of `__transaction_state`.
    Transactions,
    /// Records of `__cluster_metadata`.
    ClusterMetadata,
    /// Records of `__share_group_state`.
    ShareState,
}

/// A key, and a value with its version unless it is a tombstone.
type Parts = (Json, Option<(i16, Json)>);
/// Reads a record of one kind.
type Read = fn(i16, wire::Decoder, Option<Bytes>) -> Result<Parts, String>;

impl Decoder {
    /// Key and value of the record at `offset` as they are printed; an error says why the tool
    /// cannot go on.
    pub(super) fn decode(
        self,
        offset: i64,
        key: Option<&[u8]>,
        value: Option<&[u8]>,
    ) -> Result<(Option<String>, Option<String>), String> {
        let kinds = match self {
            Self::Text => return Ok((key.map(java_text), value.map(java_text))),
            Self::ClusterMetadata => {
                let record = metadata_record(value.unwrap_or_default());
                let skipped = |reason| format!("Error at {offset}, skipping. {reason}");
                return Ok((None, Some(record.unwrap_or_else(skipped))));
            }
            Self::Offsets => group_record,
            Self::Transactions => transaction_record,
            Self::ShareState => share_record,
        };
        let key = key.ok_or("the record has no key, so the decoder is not the right one")?;
        Ok(match coordinator_record(kinds, key, value) {
            Ok((key, value)) => (Some(key), Some(value)),
            Err(Unread::Kind(kind)) => {
                (Some(format!("Unknown record type {kind} at offset {offset}, skipping.")), None)
            }
            Err(Unread::Error(reason)) => {
                (Some(format!("Error at offset {offset}, skipping. {reason}")), None)
            }
        })
    }
}

/// Why a coordinator's record is not printed.
enum Unread {
    /// There is no such kind.
    Kind(i16),
    Error(String),
}

fn coordinator_record(
    kinds: fn(i16) -> Option<Read>,
    key: &[u8],
    value: Option<&[u8]>,
) -> Result<(String, String), Unread> {
    let mut key = wire::Decoder::new(Bytes::copy_from_slice(key));
    let kind = number(&mut key, "key").map_err(Unread::Error)?;
    let read = kinds(kind).ok_or(Unread::Kind(kind))?;
    let (key, value) = read(kind, key, value.map(Bytes::copy_from_slice)).map_err(Unread::Error)?;
    let text = |number: i16| Json::Text(number.to_string());
    let key = Json::object([("type", text(kind)), ("data", key)]);
    let value = value.map_or("<DELETE>".to_owned(), |(version, value)| {
        Json::object([("version", text(version)), ("data", value)]).to_string()
    });
    Ok((key.to_string(), value))
}

/// Reads what keys and values begin with.
fn number(decoder: &mut wire::Decoder, of: &str) -> Result<i16, String> {
    let number = i16::read(decoder, OffsetCommitKey::format(0));
    number.map_err(|_| format!("Could not read version from {of}'s buffer."))
}

fn read<K: Message, V: Message>(
    kind: i16,
    key: wire::Decoder,
    value: Option<Bytes>,
) -> Result<Parts, String> {
    read_up_to::<K, V>(*V::VERSIONS.end(), kind, key, value)
}

/// As [`read`], of the versions up to `newest`.
fn read_up_to<K: Message, V: Message>(
    newest: i16,
    kind: i16,
    mut key: wire::Decoder,
    value: Option<Bytes>,
) -> Result<Parts, String> {
    let failed = |version: i16, of: &'static str| {
        move |error: wire::DecodeError| {
            let reason = kafka_reason(&error);
            format!(
                "Could not read record with version {version} from {of}'s buffer due to: {reason}."
            )
        }
    };
    let key = K::decode(&mut key, 0).map_err(failed(kind, "key"))?.to_json(0);
    let Some(value) = value else { return Ok((key, None)) };
    let mut value = wire::Decoder::new(value);
    let version = number(&mut value, "value")?;
    if !(*V::VERSIONS.start()..=newest).contains(&version) {
        return Err(format!("Found an unknown record version {version} for {kind} type"));
    }
    let value = V::decode(&mut value, version).map_err(failed(version, "value"))?;
    Ok((key, Some((version, value.to_json(version)))))
}

macro_rules! kinds {
    ($kind:ident: $($key:ident $value:ident,)*) => {
        match $kind {
            $($key::KEY => Some(read::<$key, $value>),)*
            _ => None,
        }
    };
}

fn group_record(kind: i16) -> Option<Read> {
    match kind {
        OLD_OFFSET_KEY => return Some(read_old_offset),
        GroupMetadataKey::KEY => return Some(read_group),
        _ => {}
    }
    kinds! { kind:
        OffsetCommitKey OffsetCommitValue,
        ConsumerGroupMetadataKey ConsumerGroupMetadataValue,
        ConsumerGroupPartitionMetadataKey ConsumerGroupPartitionMetadataValue,
        ConsumerGroupMemberMetadataKey ConsumerGroupMemberMetadataValue,
        ConsumerGroupTargetAssignmentMetadataKey ConsumerGroupTargetAssignmentMetadataValue,
        ConsumerGroupTargetAssignmentMemberKey ConsumerGroupTargetAssignmentMemberValue,
        ConsumerGroupCurrentMemberAssignmentKey ConsumerGroupCurrentMemberAssignmentValue,
        ConsumerGroupRegularExpressionKey ConsumerGroupRegularExpressionValue,
    }
}

fn transaction_record(kind: i16) -> Option<Read> {
    kinds! { kind: TransactionLogKey TransactionLogValue, }
}

fn share_record(kind: i16) -> Option<Read> {
    kinds! { kind: ShareSnapshotKey ShareSnapshotValue, ShareUpdateKey ShareUpdateValue, }
}

fn read_old_offset(kind: i16, key: wire::Decoder, value: Option<Bytes>) -> Result<Parts, String> {
    read_up_to::<OffsetCommitKey, OffsetCommitValue>(0, kind, key, value)
}

/// The members of a group of consumers have their subscription and assignment printed, where those
/// can be read.
fn read_group(kind: i16, key: wire::Decoder, value: Option<Bytes>) -> Result<Parts, String> {
    let (key, mut value) = read::<GroupMetadataKey, GroupMetadataValue>(kind, key, value)?;
    let Some((_, group)) = &mut value else { return Ok((key, value)) };
    let is_of_consumers =
        matches!(group.field("protocolType"), Some(Json::Text(kind)) if kind == "consumer");
    if let (true, Some(Json::Array(members))) = (is_of_consumers, group.field("members")) {
        for member in members {
            replace::<ConsumerProtocolSubscription>(member.field("subscription"));
            replace::<ConsumerProtocolAssignment>(member.field("assignment"));
        }
    }
    Ok((key, value))
}

/// A version below the first is read as that; one that is not known leaves the bytes.
fn replace<M: Message>(field: Option<&mut Json>) {
    let Some(field) = field else { return };
    let Json::Bytes(bytes) = field else { return };
    let mut decoder = wire::Decoder::new(bytes.clone());
    let Ok(version) = number(&mut decoder, "field") else { return };
    if let Ok(message) = M::decode(&mut decoder, version.max(*M::VERSIONS.start())) {
        *field = message.to_json(version);
    }
}

/// The JSON of a metadata record, or what is wrong with it.
fn metadata_record(value: &[u8]) -> Result<String, String> {
    let value = Bytes::copy_from_slice(value);
    let mut frame = wire::Decoder::new(value.clone());
    let mut number = |of| {
        let number = frame.unsigned_varint().map_err(|_| format!("Error while reading {of}"))?;
        let small = i16::try_from(number as i32);
        // Kafka cuts negative ones, which no record has.
        small.map_err(|_| format!("Value for {of} was too large."))
    };
    match number("frame version")? {
        FRAME_VERSION => {}
        0 => {
            let reason = "Could not deserialize metadata record with frame version 0. Note that \
                          upgrades from the preview release of KRaft in 2.8 to newer versions are \
                          not supported.";
            return Err(reason.to_owned());
        }
        other => {
            return Err(format!(
                "Could not deserialize metadata record due to unknown frame version {other}(only \
                 frame version {FRAME_VERSION} is supported)"
            ));
        }
    }
    let (kind, version) = (number("type")?, number("version")?);
    let record = VersionedRecord::decode(value).map_err(|error| match error {
        RecordError::UnknownKind(kind) => {
            let class = "org.apache.kafka.common.errors.UnsupportedVersionException";
            format!("{class}: Unknown metadata id {kind}")
        }
        RecordError::TrailingBytes(_, count) => {
            format!("Found {count} byte(s) of garbage after {kind}")
        }
        _ => format!("Failed to deserialize record with type {kind}"),
    })?;
    let json = Json::object([
        ("type", Json::Text(constant_case(record.record.name()))),
        ("version", Json::Integer(version.into())),
        ("data", record.record.to_json(version)),
    ]);
    Ok(json.to_string())
}

/// `TopicRecord` is `TOPIC_RECORD`.
fn constant_case(name: &str) -> String {
    let mut constant = String::new();
    for char in name.chars() {
        if char.is_ascii_uppercase() && !constant.is_empty() {
            constant.push('_');
        }
        constant.push(char.to_ascii_uppercase());
    }
    constant
}
