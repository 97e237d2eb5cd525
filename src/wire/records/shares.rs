//! The records of `__share_group_state`, which Ottla does not write: for `dump-log`.

use uuid::Uuid;

use crate::wire::message;

message! {
    /// Names the state of a share group on a partition, for all of it.
    pub struct ShareSnapshotKey: key 0, versions 0..=0, flexible 32767 {
        group_id: String,
        topic_id: Uuid,
        partition: i32,
    }

    /// All of the state.
    pub struct ShareSnapshotValue: key 0, versions 0..=0, flexible 0 {
        snapshot_epoch: i32,
        state_epoch: i32,
        leader_epoch: i32,
        start_offset: i64,
        delivery_complete_count: i32 [0.., tag 0] = -1,
        create_timestamp: i64,
        write_timestamp: i64,
        state_batches: Vec<StateBatch>,
    }

    /// Names the same, for what changed.
    pub struct ShareUpdateKey: key 1, versions 0..=0, flexible 32767 {
        group_id: String,
        topic_id: Uuid,
        partition: i32,
    }

    /// What changed since the snapshot.
    pub struct ShareUpdateValue: key 1, versions 0..=0, flexible 0 {
        snapshot_epoch: i32,
        leader_epoch: i32,
        start_offset: i64,
        delivery_complete_count: i32 [0.., tag 0] = -1,
        state_batches: Vec<StateBatch>,
    }

    pub struct StateBatch {
        first_offset: i64,
        last_offset: i64,
        delivery_state: i8,
        delivery_count: i16,
    }
}
