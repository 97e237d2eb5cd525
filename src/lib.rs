//! Ottla: a broker that speaks Apache Kafka's wire protocol from one small binary.
//!
//! # A broker for each test
//!
//! In memory and on a free port, so that tests run beside each other; it starts in about a millisecond, and nothing is left of
//! it.
//!
//! ```
//! use ottla::Broker;
//! use ottla::seed::Seed;
//!
//! # #[tokio::main]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let broker = Broker::for_test().seed(Seed::topics("orders:3:1")?).start().await?;
//! // Any Kafka client, with broker.bootstrap_servers() as its bootstrap.servers ...
//! # assert!(std::net::TcpStream::connect(broker.bootstrap_servers()).is_ok());
//! broker.shutdown().await?;
//! # Ok(())
//! # }
//! ```
//!
//! [`Broker::builder`] gives one with Kafka's defaults, on `localhost:9092` and with its data in `./ottla-data`;
//! [`broker::Builder::set`] takes Kafka's keys.

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
