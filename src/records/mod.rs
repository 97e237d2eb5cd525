//! Record batches of message format 2 as opaque bytes, and the walks over them.
//!
//! A batch keeps its bytes from socket to disk to socket. This module reads its header, checks its CRC-32C, walks its
//! records (inflating in a bounded stream when they are compressed), validates what a producer sends, patches the few
//! fields a broker owns and builds the batches the broker itself writes. Nothing here knows logs, offsets of a
//! partition or requests, and no input makes it panic or allocate by a length it merely claims.
//!
//! ```text
//! base offset  length  leader epoch  magic  crc | attributes ... record count | records
//! 0            8       12            16     17  | 21                       57 | 61
//! `- assigned by the broker, outside the CRC -' `------ covered by the CRC ------------'
//! ```

mod batch;
mod build;
mod compress;
mod filter;
mod murmur2;
mod recompress;
mod record;
mod validate;

pub use batch::{
    BATCH_HEADER_BYTES, BatchError, BatchHeader, Batches, TimestampType, increment_sequence,
    set_base_offset, set_leader_epoch, set_log_append_time, set_max_timestamp,
};
pub use build::BatchBuilder;
pub use compress::{Compression, INFLATED_BYTES_MAX, Inflater, compress};
pub use filter::{Filtered, empty_batch, filter_batch};
pub use murmur2::partition_of_key;
pub use recompress::StoredCodec;
pub use record::{Headers, RECORD_BYTES_MAX, Record, RecordError, RecordFacts, Records};
pub use validate::{
    ProduceError, ProduceRecords, RECORD_REFUSALS_MAX, RecordRefusal, Validated, ValidationConfig,
};

#[cfg(test)]
mod golden;
