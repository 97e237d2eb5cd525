//! How fast compaction may read and write, as Kafka's `Throttler`.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

/// Shortest time over which a rate is measured.
const INTERVAL: Duration = Duration::from_millis(300);
/// Longest pause; what is still too fast then pauses again.
const PAUSE_S_MAX: f64 = 86_400.0;

/// Keeps the sum of what it observes below a rate.
pub(in crate::partition) struct Throttle {
    /// In bytes per second, as of now.
    rate: Box<dyn Fn() -> f64 + Send + Sync>,
    period: Mutex<Period>,
}

struct Period {
    began: Instant,
    observed_bytes: usize,
}

impl Throttle {
    pub(in crate::partition) fn new(rate: impl Fn() -> f64 + Send + Sync + 'static) -> Self {
        let period = Mutex::new(Period { began: Instant::now(), observed_bytes: 0 });
        Self { rate: Box::new(rate), period }
    }

    /// Notes that so much was read or written, and waits if that was too fast.
    pub(super) async fn observe(&self, bytes: usize) {
        let pause = {
            let mut period = self.period.lock().unwrap_or_else(PoisonError::into_inner);
            period.observe(bytes, &self.rate)
        };
        if let Some(pause) = pause {
            tokio::time::sleep(pause).await;
        }
    }
}

impl Period {
    fn observe(&mut self, bytes: usize, rate: impl Fn() -> f64) -> Option<Duration> {
        self.observed_bytes += bytes;
        let elapsed = self.began.elapsed();
        if elapsed <= INTERVAL || self.observed_bytes == 0 {
            return None;
        }
        let due_s = self.observed_bytes as f64 / rate().max(f64::MIN_POSITIVE);
        let pause_s = (due_s - elapsed.as_secs_f64()).clamp(0.0, PAUSE_S_MAX);
        let pause = Duration::from_secs_f64(pause_s);
        // As if the pause were over.
        (self.began, self.observed_bytes) = (Instant::now() + pause, 0);
        (!pause.is_zero()).then_some(pause)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

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
        let rate = Arc::new(Mutex::new(1_000_000.0));
        let current = Arc::clone(&rate);
        let throttle = Throttle::new(move || *current.lock().unwrap());
        let took = seconds_for(&throttle, 1000, 100_000).await;
        assert!((95.0..105.0).contains(&took), "{took} s for 100 MB");
        *rate.lock().unwrap() = f64::MAX;
        let took = seconds_for(&throttle, 1000, 100_000).await;
        assert!((9.0..15.0).contains(&took), "{took} s without a limit");
    }
}
