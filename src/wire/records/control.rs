//! Control records of the metadata log (class `ControlRecord` of Kafka's raft module).

use bytes::Bytes;
use uuid::Uuid;

use super::RecordError;
use crate::wire::codec::{Decoder, Encoder};
use crate::wire::{Message, message};

message! {
    /// A new epoch has begun. The reference writes and reads version 0 only.
    pub struct LeaderChangeMessage: versions 0..=1, flexible 0 {
        version: i16,
        leader_id: i32,
        voters: Vec<LeaderChangeVoter>,
        granting_voters: Vec<LeaderChangeVoter>,
    }

    pub struct LeaderChangeVoter {
        voter_id: i32,
        voter_directory_id: Uuid [1..],
    }

    /// First record of a snapshot.
    pub struct SnapshotHeaderRecord: versions 0..=0, flexible 0 {
        version: i16,
        last_contained_log_timestamp: i64,
    }

    /// Last record of a snapshot.
    pub struct SnapshotFooterRecord: versions 0..=0, flexible 0 {
        version: i16,
    }

    /// The finalized kraft.version.
    pub struct KRaftVersionRecord: versions 0..=0, flexible 0 {
        version: i16,
        k_raft_version: i16,
    }

    /// The voters, their ids, directories and endpoints (KIP-853).
    pub struct VotersRecord: versions 0..=0, flexible 0 {
        version: i16,
        voters: Vec<Voter>,
    }

    pub struct Voter {
        voter_id: i32,
        voter_directory_id: Uuid,
        endpoints: Vec<Endpoint>,
        k_raft_version_feature: KRaftVersionFeature,
    }

    pub struct Endpoint {
        name: String,
        host: String,
        port: u16,
    }

    pub struct KRaftVersionFeature {
        min_supported_version: i16,
        max_supported_version: i16,
    }
}

/// Version in which keys and all kinds of control records are written and read.
const VERSION: i16 = 0;

macro_rules! control_records {
    ($($kind:ident($record:ident) = $number:literal,)*) => {
        /// A control record of the metadata log.
        #[derive(Clone, Debug, PartialEq)]
        pub enum ControlRecord {$(
            #[doc = concat!("Kind ", $number, ".")]
            $kind($record),
        )*}

        impl ControlRecord {
            /// Reads a record's key, a version and a kind, and its value.
            pub fn decode(key: Bytes, value: Bytes) -> Result<Self, RecordError> {
                let mut key = Decoder::new(key);
                let mut number = || key.array().map(i16::from_be_bytes);
                let in_key = |error| RecordError::Malformed("key of a control record", error);
                let version = number().map_err(in_key)?;
                if version < 0 {
                    return Err(RecordError::ControlKeyVersion(version));
                }
                match number().map_err(in_key)? {
                    $($number => $record::from_bytes(value, VERSION)
                        .map(Self::$kind)
                        .map_err(|error| RecordError::Malformed(stringify!($record), error)),)*
                    kind => Err(RecordError::UnknownControlRecord(kind)),
                }
            }

            /// The record's key and value.
            pub fn encode(&self) -> (Bytes, Bytes) {
                let mut value = Encoder::new();
                let kind: i16 = match self {
                    $(Self::$kind(record) => {
                        record.encode(&mut value, VERSION);
                        $number
                    })*
                };
                let mut key = Encoder::new();
                key.raw(&VERSION.to_be_bytes());
                key.raw(&kind.to_be_bytes());
                (super::in_memory(key), super::in_memory(value))
            }
        }
    };
}

control_records! {
    LeaderChange(LeaderChangeMessage) = 2,
    SnapshotHeader(SnapshotHeaderRecord) = 3,
    SnapshotFooter(SnapshotFooterRecord) = 4,
    KRaftVersion(KRaftVersionRecord) = 5,
    Voters(VotersRecord) = 6,
}
