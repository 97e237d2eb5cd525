//! The engine over the traits; what is Kafka's alone is tested in the modules.

use std::path::Path;
use std::sync::Arc;

use super::*;
use crate::env::{Env, Offload, OsDisk, Random, SimClock};
use crate::log::Engine;
use crate::log::conformance::{Storage, conformance_suite};

fn os_env() -> Env {
    Env {
        clock: Arc::new(SimClock::new(1_000_000)),
        random: Arc::new(Random::seeded(1)),
        disk: Arc::new(OsDisk),
        offload: Offload::pool(),
    }
}

fn start(directory: &Path) -> Arc<LocalEngine> {
    LocalEngine::open(&os_env(), directory, EngineSettings::default()).unwrap()
}

struct TemporaryDirectory(tempfile::TempDir);

impl Storage for TemporaryDirectory {
    fn start(&self) -> BoxFuture<'_, Arc<dyn Engine>> {
        Box::pin(async { start(self.0.path()) as Arc<dyn Engine> })
    }
}

mod conformance {
    use super::*;
    conformance_suite!(TemporaryDirectory(tempfile::tempdir().unwrap()));
}
