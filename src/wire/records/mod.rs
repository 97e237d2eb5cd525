//! The records of the cluster metadata log, of its snapshots and of `bootstrap.checkpoint`, with
//! the fields, versions and defaults of Kafka 4.3.0.
//!
//! The value of a metadata record is framed (class `MetadataRecordSerde`): frame version 1, kind
//! and version as unsigned variable-length integers, then the record to the last byte. Control
//! records ([`ControlRecord`]) say their kind in the record's key.

mod access;
mod cluster;
mod consumer_groups;
mod control;
mod groups;
mod shares;
mod topics;
mod transactions;

pub use access::*;
use bytes::Bytes;
pub use cluster::*;
pub use consumer_groups::*;
pub use control::*;
pub use groups::*;
pub use shares::*;
pub use topics::*;
pub use transactions::*;

use super::codec::{DecodeError, Decoder, Encoder};
use super::json::Json;
use super::{Keyed, Message};

/// Version of the framing; 0 was that of a preview release.
const FRAME_VERSION: u32 = 1;

/// Why the value of a metadata record, or a control record, cannot be read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RecordError {
    /// The framing is of another version.
    #[error("a metadata record has frame version {0}, only version 1 can be read")]
    FrameVersion(u32),
    /// A kind of metadata record that Kafka 4.3.0 does not have.
    #[error("metadata records of kind {0} are not supported")]
    UnknownKind(u32),
    /// A kind of control record that does not belong into the metadata log.
    #[error("control records of kind {0} are not supported")]
    UnknownControlRecord(i16),
    /// A negative version in the key of a control record.
    #[error("the key of a control record has version {0}")]
    ControlKeyVersion(i16),
    /// The bytes are not those of the kind named.
    #[error("{0} cannot be read")]
    Malformed(&'static str, #[source] DecodeError),
    /// The record of the kind named ends before the value does.
    #[error("{0} is followed by {1} bytes too many")]
    TrailingBytes(&'static str, usize),
}

/// The bytes of an encoder that was given no file range.
fn in_memory(encoder: Encoder) -> Bytes {
    encoder.finish().into_bytes().expect("only file ranges can fail, and there are none")
}

macro_rules! metadata_records {
    ($($kind:ident)*) => {
        /// A metadata record.
        #[derive(Clone, Debug, PartialEq)]
        #[expect(missing_docs, reason = "documented as the structures they hold")]
        pub enum MetadataRecord { $($kind($kind),)* }

        $(impl From<$kind> for MetadataRecord {
            fn from(record: $kind) -> Self {
                Self::$kind(record)
            }
        })*

        impl MetadataRecord {
            /// Kafka's name of the kind, as `TopicRecord`.
            pub fn name(&self) -> &'static str {
                match self { $(Self::$kind(_) => stringify!($kind),)* }
            }

            /// Kafka's number of the kind.
            pub fn kind(&self) -> i16 {
                match self { $(Self::$kind(_) => $kind::KEY,)* }
            }

            fn read(kind: u32, version: i16, decoder: &mut Decoder) -> Result<Self, RecordError> {
                match i16::try_from(kind) {
                    $(Ok($kind::KEY) => $kind::decode(decoder, version)
                        .map(Self::$kind)
                        .map_err(|error| RecordError::Malformed(stringify!($kind), error)),)*
                    _ => Err(RecordError::UnknownKind(kind)),
                }
            }

            fn write(&self, encoder: &mut Encoder, version: i16) {
                match self { $(Self::$kind(record) => record.encode(encoder, version),)* }
            }

            /// The record as Kafka's tools print it.
            pub fn to_json(&self, version: i16) -> Json {
                match self { $(Self::$kind(record) => record.to_json(version),)* }
            }

            fn newest_version(&self) -> i16 {
                match self { $(Self::$kind(_) => *$kind::VERSIONS.end(),)* }
            }
        }
    };
}

metadata_records! {
    RegisterBrokerRecord UnregisterBrokerRecord TopicRecord PartitionRecord ConfigRecord
    PartitionChangeRecord FenceBrokerRecord UnfenceBrokerRecord RemoveTopicRecord
    DelegationTokenRecord UserScramCredentialRecord FeatureLevelRecord ClientQuotaRecord
    ProducerIdsRecord BrokerRegistrationChangeRecord AccessControlEntryRecord
    RemoveAccessControlEntryRecord NoOpRecord ZkMigrationStateRecord
    RemoveUserScramCredentialRecord BeginTransactionRecord EndTransactionRecord
    AbortTransactionRecord RemoveDelegationTokenRecord RegisterControllerRecord ClearElrRecord
}

impl MetadataRecord {
    /// The version in which the reference writes the record at metadata.version 30, the newest of
    /// 4.3.0.
    pub fn current_version(&self) -> i16 {
        match self {
            Self::BrokerRegistrationChangeRecord(record) => record.version(),
            record => record.newest_version(),
        }
    }
}

/// A metadata record and the version it was, or will be, written in.
#[derive(Clone, Debug, PartialEq)]
pub struct VersionedRecord {
    /// The record.
    pub record: MetadataRecord,
    /// One of the versions of its kind.
    pub version: i16,
}

impl VersionedRecord {
    /// Reads the value of a record of the metadata log.
    pub fn decode(value: Bytes) -> Result<Self, RecordError> {
        let mut decoder = Decoder::new(value);
        let mut number = || {
            decoder
                .unsigned_varint()
                .map_err(|error| RecordError::Malformed("frame of a metadata record", error))
        };
        let frame_version = number()?;
        if frame_version != FRAME_VERSION {
            return Err(RecordError::FrameVersion(frame_version));
        }
        let kind = number()?;
        let version = i16::try_from(number()?).unwrap_or(i16::MAX);
        let record = MetadataRecord::read(kind, version, &mut decoder)?;
        if decoder.remaining() > 0 {
            return Err(RecordError::TrailingBytes(record.name(), decoder.remaining()));
        }
        Ok(Self { record, version })
    }

    /// The value of a record of the metadata log.
    pub fn encode(&self) -> Bytes {
        let mut encoder = Encoder::new();
        encoder.unsigned_varint(FRAME_VERSION);
        encoder.unsigned_varint(self.record.kind() as u32);
        encoder.unsigned_varint(self.version as u32);
        self.record.write(&mut encoder, self.version);
        in_memory(encoder)
    }
}

/// Takes the version the reference writes.
impl<T: Into<MetadataRecord>> From<T> for VersionedRecord {
    fn from(record: T) -> Self {
        let record = record.into();
        Self { version: record.current_version(), record }
    }
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;

    fn decode(value: &'static [u8]) -> Result<VersionedRecord, RecordError> {
        VersionedRecord::decode(Bytes::from_static(value))
    }

    #[test]
    fn what_is_not_of_this_kafka_is_refused_by_name() {
        assert_eq!(decode(b"\0\x14\0\0"), Err(RecordError::FrameVersion(0)));
        assert_eq!(decode(b"\x02\x14\0\0"), Err(RecordError::FrameVersion(2)));
        assert_eq!(decode(b"\x01\x06\0\0"), Err(RecordError::UnknownKind(6)));
        assert_eq!(decode(b"\x01\x63\0\0"), Err(RecordError::UnknownKind(99)));
        assert_eq!(decode(b"\x01\x94\x80\x04\0\0"), Err(RecordError::UnknownKind(65556)));
        let error = decode(b"\x01\x14\x01\0").unwrap_err();
        assert_eq!(error.to_string(), "NoOpRecord cannot be read");
        assert!(decode(b"\x01\x14\x80\x80\x04\0").is_err(), "version 65536 is not version 0");
    }

    #[test]
    fn records_are_written_in_the_versions_of_the_reference() {
        let version = |record: MetadataRecord| VersionedRecord::from(record).version;
        assert_eq!(version(RegisterBrokerRecord::default().into()), 4);
        assert_eq!(version(PartitionRecord::default().into()), 2);
        assert_eq!(version(PartitionChangeRecord::default().into()), 2);
        assert_eq!(version(TopicRecord::default().into()), 0);
        let change = BrokerRegistrationChangeRecord { fenced: -1, ..Default::default() };
        assert_eq!(change.version(), 0);
        let change = BrokerRegistrationChangeRecord { in_controlled_shutdown: 1, ..change };
        assert_eq!(change.version(), 1);
        let change = BrokerRegistrationChangeRecord { log_dirs: vec![Uuid::nil()], ..change };
        assert_eq!(change.version(), 2);
        let change = BrokerRegistrationChangeRecord { cordoned_log_dirs: Some(vec![]), ..change };
        assert_eq!(change.version(), 3);
    }

    #[test]
    fn a_record_keeps_the_version_it_was_read_with() {
        let record = MetadataRecord::from(PartitionRecord::default());
        let old = VersionedRecord { record, version: 1 };
        assert_eq!(VersionedRecord::decode(old.encode()), Ok(old));
    }

    #[test]
    fn control_records_name_their_kind_in_the_key() {
        let record = ControlRecord::SnapshotHeader(SnapshotHeaderRecord {
            last_contained_log_timestamp: 5,
            ..Default::default()
        });
        let (key, value) = record.encode();
        assert_eq!(key, &b"\0\0\0\x03"[..]);
        assert_eq!(value, &b"\0\0\0\0\0\0\0\0\0\x05\0"[..]);
        assert_eq!(ControlRecord::decode(key, value.clone()), Ok(record));
        let decode = |key: &'static [u8]| {
            ControlRecord::decode(Bytes::from_static(key), value.clone()).unwrap_err()
        };
        assert_eq!(decode(b"\0\0\0\x01"), RecordError::UnknownControlRecord(1));
        assert_eq!(decode(b"\xff\xff\0\x03"), RecordError::ControlKeyVersion(-1));
        assert!(matches!(decode(b"\0\0\0"), RecordError::Malformed(..)));
        assert!(matches!(decode(b"\0\0\0\x06"), RecordError::Malformed("VotersRecord", _)));
    }
}
