//! The world as the broker sees it: time, chance, files and blocking work.
//!
//! Nothing outside this module asks the operating system for any of these, so a whole broker can
//! run inside a seeded simulation: give it a `SimDisk`, a [`SimClock`], a seeded [`Random`] and
//! [`Offload::inline`].

mod clock;
mod disk;
mod gateway;
mod java_hash;
mod offload;
mod os_disk;
mod random;
mod sim_disk;

use std::sync::Arc;

pub use clock::{Clock, OsClock, SimClock};
pub use disk::{
    DirLock, Disk, DiskFile, FileKind, OpenMode, Space, read_all, read_whole, write_all_at,
};
pub use gateway::default_gateway;
pub use java_hash::{java_hash, java_hash_bucket};
pub use offload::Offload;
pub use os_disk::{OsDisk, open_file_limit, raise_open_file_limit};
pub use random::Random;
pub use sim_disk::{CrashMode, Fault, SimDisk};

/// Everything a broker takes from outside, cheap to clone.
#[derive(Clone)]
pub struct Env {
    /// Wall-clock time.
    pub clock: Arc<dyn Clock>,
    /// Identifiers and jitter.
    pub random: Arc<Random>,
    /// Files.
    pub disk: Arc<dyn Disk>,
    /// Where blocking work runs.
    pub offload: Offload,
}

impl Env {
    /// The real world.
    pub fn of_this_machine() -> Self {
        Self {
            clock: Arc::new(OsClock),
            random: Arc::new(Random::from_os()),
            disk: Arc::new(OsDisk),
            offload: Offload::pool(),
        }
    }
}
