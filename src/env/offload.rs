//! Blocking work: a thread pool in production, in line inside a simulation.

/// Runs work that may block on the disk without holding up the network.
#[derive(Clone, Copy, Debug)]
pub struct Offload {
    inline: bool,
}

impl Offload {
    /// Work goes to tokio's blocking pool.
    pub fn pool() -> Self {
        Self { inline: false }
    }

    /// Work runs at once on the calling task, so a simulation stays deterministic.
    pub fn inline() -> Self {
        Self { inline: true }
    }

    /// Runs `work` and gives its result. A panic in `work` goes on in the caller.
    pub async fn run<T: Send + 'static>(&self, work: impl FnOnce() -> T + Send + 'static) -> T {
        if self.inline {
            return work();
        }
        match tokio::task::spawn_blocking(work).await {
            Ok(value) => value,
            Err(error) => match error.try_into_panic() {
                Ok(panic) => std::panic::resume_unwind(panic),
                // Only a runtime that shuts down cancels blocking work: nobody waits any more.
                Err(_) => std::future::pending().await,
            },
        }
    }
}
