//! Reads record batches from partitions, alone or as part of a fetch session (KIP-227).

use uuid::Uuid;

use crate::wire::Chunk;
use crate::wire::message;

message! {
    /// Reads record batches.
    pub struct FetchRequest: key 1, versions 4..=18, flexible 12, answer FetchResponse {
        /// -1 for a consumer; in `replica_state` from version 15 on.
        replica_id: i32 [..=14] = -1,
        max_wait_ms: i32,
        min_bytes: i32,
        max_bytes: i32 = i32::MAX,
        /// 1 is read committed.
        isolation_level: i8,
        session_id: i32 [7..],
        /// -1 without a session, 0 to begin one.
        session_epoch: i32 [7..] = -1,
        topics: Vec<FetchTopic>,
        /// Partitions that leave the session.
        forgotten_topics_data: Vec<ForgottenTopic> [7..],
        rack_id: String [11..],
        cluster_id: Option<String> [12.., tag 0],
        replica_state: ReplicaState [15.., tag 1],
    }

    pub struct FetchTopic {
        topic: String [..=12],
        topic_id: Uuid [13..],
        partitions: Vec<FetchPartition>,
    }

    pub struct ForgottenTopic {
        topic: String [..=12],
        topic_id: Uuid [13..],
        partitions: Vec<i32>,
    }

    pub struct ReplicaState {
        replica_id: i32 = -1,
        replica_epoch: i64 = -1,
    }

    pub struct FetchPartition {
        partition: i32,
        current_leader_epoch: i32 [9..] = -1,
        fetch_offset: i64,
        last_fetched_epoch: i32 [12..] = -1,
        log_start_offset: i64 [5..] = -1,
        partition_max_bytes: i32,
        replica_directory_id: Uuid [17.., tag 0],
        /// What a follower knows, or `i64::MAX` if it does not say.
        high_watermark: i64 [18.., tag 1] = i64::MAX,
    }

    /// The batches read.
    pub struct FetchResponse: key 1, versions 4..=18, flexible 12 {
        throttle_time_ms: i32,
        error_code: i16 [7..],
        session_id: i32 [7..],
        responses: Vec<FetchableTopicResponse>,
        node_endpoints: Vec<NodeEndpoint> [16.., tag 0],
    }

    pub struct FetchableTopicResponse {
        topic: String [..=12],
        topic_id: Uuid [13..],
        partitions: Vec<PartitionData>,
    }

    pub struct NodeEndpoint {
        node_id: i32,
        host: String,
        port: i32,
        rack: Option<String>,
    }

    pub struct PartitionData {
        partition_index: i32,
        error_code: i16,
        high_watermark: i64,
        last_stable_offset: i64 = -1,
        log_start_offset: i64 [5..] = -1,
        /// Null unless read committed.
        aborted_transactions: Option<Vec<AbortedTransaction>> = Some(Vec::new()),
        preferred_read_replica: i32 [11..] = -1,
        records: Option<Chunk>,
        /// Where the log of the client diverges from that of the leader.
        diverging_epoch: EpochEndOffset [12.., tag 0],
        current_leader: LeaderIdAndEpoch [12.., tag 1],
        /// A snapshot to fetch instead (metadata log only).
        snapshot_id: SnapshotId [12.., tag 2],
    }

    pub struct AbortedTransaction {
        producer_id: i64,
        first_offset: i64,
    }

    pub struct EpochEndOffset {
        epoch: i32 = -1,
        end_offset: i64 = -1,
    }

    pub struct LeaderIdAndEpoch {
        leader_id: i32 = -1,
        leader_epoch: i32 = -1,
    }

    pub struct SnapshotId {
        end_offset: i64 = -1,
        epoch: i32 = -1,
    }
}
