//! How fast compaction may read and write, as Kafka's `Throttler`.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

/// Shortest time over which a rate is measured.
const INTERVAL: Duration = Duration::from_millis(300);
/// Longest pause; what is still too fast then pauses again.
const PAUSE_S_MAX: f64 = 86_400.0;

/// Keeps the sum of what it observes below a rate.
pub(in crate::partition) struct Throttle(Mutex<Period>);

struct Period {
    bytes_per_second: f64,
    began: Instant,
    observed_bytes: usize,
}

impl Throttle {
    pub(in crate::partition) fn new(bytes_per_second: f64) -> Self {
        let period = Period { bytes_per_second, began: Instant::now(), observed_bytes: 0 };
        Self(Mutex::new(period))
    }

    /// The rate from now on.
    pub(super) fn set_rate(&self, bytes_per_second: f64) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).bytes_per_second = bytes_per_second;
    }

    /// Notes that so much was read or written, and waits if that was too fast.
    pub(super) async fn observe(&self, bytes: usize) {
        let pause = self.0.lock().unwrap_or_else(PoisonError::into_inner).observe(bytes);
        if let Some(pause) = pause {
            tokio::time::sleep(pause).await;
        }
    }
}

impl Period {
    fn observe(&mut self, bytes: usize) -> Option<Duration> {
        self.observed_bytes += bytes;
        let elapsed = self.began.elapsed();
        if elapsed <= INTERVAL || self.observed_bytes == 0 {
            return None;
        }
        let due_s = self.observed_bytes as f64 / self.bytes_per_second.max(f64::MIN_POSITIVE);
        let pause_s = (due_s - elapsed.as_secs_f64()).clamp(0.0, PAUSE_S_MAX);
        let pause = Duration::from_secs_f64(pause_s);
        // As if the pause were over.
        (self.began, self.observed_bytes) = (Instant::now() + pause, 0);
        (!pause.is_zero()).then_some(pause)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn seconds_for(throttle: &Throttle, pieces: usize, bytes: usize) -> f64 {
        let began = Instant::now();
        for _ in 0..pieces {
            tokio::time::advance(Duration::from_millis(10)).await;
            throttle.observe(bytes).await;
        }
        began.elapsed().as_secs_f64()
    }

    #[tokio::test(start_paused = true)]
    async fn the_rate_is_kept_and_may_change() {
        let throttle = Throttle::new(1_000_000.0);
        let took = seconds_for(&throttle, 1000, 100_000).await;
        assert!((95.0..105.0).contains(&took), "{took} s for 100 MB");
        throttle.set_rate(f64::MAX);
        let took = seconds_for(&throttle, 1000, 100_000).await;
        assert!((9.0..15.0).contains(&took), "{took} s without a limit");
    }
}
