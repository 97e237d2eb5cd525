//! Waiting for another process, which tells nobody when it is done.

use std::thread;
use std::time::{Duration, Instant};

/// Asks every few milliseconds until there is an answer; panics naming `what` after `timeout`.
pub(crate) fn until<T>(what: &str, timeout: Duration, mut ask: impl FnMut() -> Option<T>) -> T {
    let deadline = Instant::now() + timeout;
    loop {
        if let Some(answer) = ask() {
            return answer;
        }
        assert!(Instant::now() < deadline, "{what} did not come within {timeout:?}");
        thread::sleep(Duration::from_millis(5));
    }
}
