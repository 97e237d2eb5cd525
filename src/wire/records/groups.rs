//! The records of `__consumer_offsets` that classic groups and committed offsets need.
//!
//! A key begins with the number of its kind, a value with its version, both 16 bits. Kinds of
//! groups that have no coordinator here yet are not declared: their records stay as they are.

use bytes::Bytes;
use uuid::Uuid;

use crate::wire::message;

message! {
    /// Names a committed offset; also with the number 0, of old brokers.
    pub struct OffsetCommitKey: key 1, versions 0..=0, flexible 32767 {
        group: String,
        topic: String,
        partition: i32,
    }

    /// A committed offset.
    pub struct OffsetCommitValue: key 1, versions 0..=4, flexible 4 {
        offset: i64,
        leader_epoch: i32 [3..] = -1,
        metadata: String,
        commit_timestamp: i64,
        /// Old brokers gave every offset its own end.
        expire_timestamp: i64 [1..=1] = -1,
        /// Nil if unknown.
        topic_id: Uuid [4.., tag 0],
    }

    /// Names a classic group.
    pub struct GroupMetadataKey: key 2, versions 0..=0, flexible 32767 {
        group: String,
    }

    /// A classic group's generation, its members and their assignment.
    pub struct GroupMetadataValue: key 2, versions 0..=4, flexible 4 {
        protocol_type: String,
        generation: i32,
        protocol: Option<String> = Some(String::new()),
        leader: Option<String> = Some(String::new()),
        current_state_timestamp: i64 [2..] = -1,
        members: Vec<MemberMetadata>,
    }

    /// A member of a classic group.
    pub struct MemberMetadata {
        member_id: String,
        group_instance_id: Option<String> [3..],
        client_id: String,
        client_host: String,
        rebalance_timeout: i32 [1..] = -1,
        session_timeout: i32,
        subscription: Bytes,
        assignment: Bytes,
    }
}
