//! Ottla: a broker that speaks Apache Kafka's wire protocol from one small binary.

#[doc(hidden)]
pub mod api;
pub mod bench;
pub mod broker;
pub mod client;
pub mod config;
pub mod container;
pub mod coordinator;
pub mod dump_log;
pub mod env;
pub mod log;
pub mod metadata;
mod net;
pub mod partition;
pub mod records;
pub mod seed;
pub mod shard;
pub mod telemetry;
pub mod tools;
pub mod wire;

pub use broker::Broker;
