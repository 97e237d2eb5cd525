//! Ottla: a broker that speaks Apache Kafka's wire protocol from one small binary.

pub mod config;
pub mod env;
pub mod log;
pub mod metadata;
pub mod partition;
pub mod records;
pub mod shard;
pub mod telemetry;
pub mod wire;
