//! `ottla health`: whether a broker serves, for health checks.

use std::io::Write;
use std::path::PathBuf;
use std::time::Duration;

use clap::Args;
use serde_json::Value;

use super::Failure;
use crate::client::Cluster;

/// Whom to ask.
#[derive(Args, Debug)]
pub struct HealthOptions {
    /// The broker.
    #[arg(long, value_name = "host:port", default_value = "localhost:9092")]
    bootstrap_server: String,
    /// Ask the broker that has written this file (`--ready-file`) instead; without the file it is not ready.
    #[arg(long, value_name = "PATH")]
    ready_file: Option<PathBuf>,
    /// Give up after so many milliseconds.
    #[arg(long, value_name = "ms", default_value_t = 3_000)]
    timeout_ms: u64,
}

/// Asks a broker for its cluster; one line says what was found. The failure is a message.
pub async fn health(options: &HealthOptions, out: &mut dyn Write) -> Result<(), String> {
    let server = match &options.ready_file {
        None => options.bootstrap_server.clone(),
        Some(path) => bound(path).map_err(|why| format!("{}: {why}", path.display()))?,
    };
    let timeout = Duration::from_millis(options.timeout_ms);
    let asked = async {
        let mut cluster = Cluster::connect(&server, timeout).await?;
        cluster.metadata(Some(&[])).await
    };
    let answer = asked.await.map_err(|error| error.to_string())?;
    let (cluster_id, brokers) = (answer.cluster_id.unwrap_or_default(), answer.brokers.len());
    writeln!(out, "healthy: {server}, cluster {cluster_id}, brokers: {brokers}")
        .map_err(|error| error.to_string())
}

/// The first address of a ready file; one that stands for every interface is reached on this machine.
#[expect(clippy::disallowed_methods, reason = "tools stand outside of the simulated world")]
fn bound(path: &std::path::Path) -> Result<String, String> {
    let text = std::fs::read_to_string(path).map_err(|error| error.to_string())?;
    let ready: Value = serde_json::from_str(&text).map_err(|error| error.to_string())?;
    let address = ready["listeners"][0]["addresses"][0].as_str();
    let address: std::net::SocketAddr =
        address.and_then(|text| text.parse().ok()).ok_or("it names no address")?;
    Ok(if address.ip().is_unspecified() {
        format!("localhost:{}", address.port())
    } else {
        address.to_string()
    })
}

impl From<String> for Failure {
    fn from(message: String) -> Self {
        Self::err(message)
    }
}
