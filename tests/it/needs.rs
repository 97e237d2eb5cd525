//! What a test needs of the machine and of the environment.

use std::env;
use std::io::{self, Write};
use std::process::Command;
use std::str::FromStr;

use crate::reference;

/// Whether Apache Kafka can be run here; `false` skips the test, loudly, except under `CI=true`, where it fails.
pub(crate) fn java(test: &str) -> bool {
    met(test, reference::unavailable())
}

/// As [`java`], for a program.
pub(crate) fn program(test: &str, name: &str) -> bool {
    let missing = Command::new(name).arg("-V").output().is_err();
    met(test, missing.then(|| format!("{name} is not on the PATH")))
}

/// Runs programs of the Python client; see its header.
pub(crate) const PYTHON: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/compat/python/run");

/// As [`java`], for the Python client, which is installed at the first use.
pub(crate) fn python(test: &str) -> bool {
    client(test, "python")
}

/// As [`java`], for the clients of a folder of `compat`, which are installed at the first use.
pub(crate) fn client(test: &str, folder: &str) -> bool {
    let launcher = format!("{}/compat/{folder}/run", env!("CARGO_MANIFEST_DIR"));
    let install = Command::new(launcher).arg("install").output().expect("the launcher runs");
    let missing = !install.status.success();
    met(test, missing.then(|| String::from_utf8_lossy(&install.stderr).into_owned()))
}

fn met(test: &str, missing: Option<String>) -> bool {
    let Some(reason) = missing else { return true };
    let may_skip = env::var("CI").as_deref() != Ok("true");
    assert!(may_skip, "{test}: {reason}");
    report(&format!("SKIPPED {test}: {reason}"));
    false
}

/// A number from the environment.
pub(crate) fn setting<T: FromStr>(name: &str, default: T) -> T {
    match env::var(name) {
        Ok(text) => text.parse().unwrap_or_else(|_| panic!("{name} is not a number: {text}")),
        Err(_) => default,
    }
}

/// The seed of a randomised test: `OTTLA_SEED`, or a new one.
pub(crate) fn seed() -> u64 {
    setting("OTTLA_SEED", fastrand::u64(..))
}

/// A line that is seen although the test harness captures what passing tests print.
pub(crate) fn report(line: &str) {
    writeln!(io::stderr(), "{line}").expect("standard error is open");
}
