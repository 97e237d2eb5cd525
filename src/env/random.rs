//! Seeded randomness: identifiers, session ids, jitter. Nothing here is a secret.

use std::sync::{Mutex, PoisonError};

use uuid::Uuid;

/// A seeded generator, shared by the whole broker.
#[derive(Debug)]
pub struct Random(Mutex<fastrand::Rng>);

impl Random {
    /// A generator with an unpredictable seed.
    pub fn from_os() -> Self {
        Self(Mutex::new(fastrand::Rng::new()))
    }

    /// A generator that gives the same numbers for the same seed.
    pub fn seeded(seed: u64) -> Self {
        Self(Mutex::new(fastrand::Rng::with_seed(seed)))
    }

    /// A number in `0..bound`; `bound` is at least 1.
    pub fn below(&self, bound: u64) -> u64 {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).u64(0..bound.max(1))
    }

    /// A random (version 4) UUID that neither is one of Kafka's two reserved ids nor begins with a
    /// dash when printed in base64, as Kafka's `Uuid.randomUuid`.
    pub fn uuid(&self) -> Uuid {
        let mut rng = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        loop {
            let bits = rng.u128(..);
            let id = uuid::Builder::from_u128(bits).with_version(uuid::Version::Random).into_uuid();
            // In URL-safe base64 a leading '-' is the six bits 62.
            if id.as_bytes()[0] >> 2 != 62 {
                return id;
            }
        }
    }
}
