//! Log set-up: one line per event on standard output.

use std::io::{IsTerminal, stdout};

use tracing_subscriber::EnvFilter;
use tracing_subscriber::filter::LevelFilter;

/// Starts logging at level info, or as `RUST_LOG` says. Later calls in one process do nothing.
pub fn start_logging() {
    let filter =
        EnvFilter::builder().with_default_directive(LevelFilter::INFO.into()).from_env_lossy();
    // An error here means that the program which embeds the broker logs already.
    let _ = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_target(false)
        .with_ansi(stdout().is_terminal())
        .try_init();
}
