//! What Apache Kafka does on the wire where it surprises, one named check for each fact.
//!
//! All checks share one broker, so they are the cases of one test; each has topics of its own. `OTTLA_CHECK` is a part
//! of the names to run. Where this broker means to differ, the check says what each of the two does.

use std::any::Any;
use std::env;
use std::panic::{AssertUnwindSafe, catch_unwind};

use crate::broker::Broker;
use crate::needs::report;

/// The checks of a module, by the names of their functions.
macro_rules! checks {
    ($($name:ident),* $(,)?) => {
        pub(super) const CHECKS: &[crate::protocol::Check] = &[
            $((concat!(module_path!(), "::", stringify!($name)), $name),)*
        ];
    };
}

mod alter_configs;
mod client;
mod configs;
mod create_partitions;
mod delete_records;
mod describe_log_dirs;
mod describe_producers;
mod describe_topic_partitions;
mod errors;
mod fetch;
mod framing;
mod list_config_resources;
mod metadata;
mod offsets;
mod produce;
mod producers;
mod refused_batches;
mod sessions;
mod topics;
mod versions;

use client::Target;

/// A check with its name.
type Check = (&'static str, fn(&Target));

const MODULES: &[&[Check]] = &[
    versions::CHECKS,
    framing::CHECKS,
    metadata::CHECKS,
    topics::CHECKS,
    configs::CHECKS,
    create_partitions::CHECKS,
    alter_configs::CHECKS,
    describe_topic_partitions::CHECKS,
    list_config_resources::CHECKS,
    produce::CHECKS,
    refused_batches::CHECKS,
    producers::CHECKS,
    fetch::CHECKS,
    sessions::CHECKS,
    offsets::CHECKS,
    delete_records::CHECKS,
    describe_log_dirs::CHECKS,
    describe_producers::CHECKS,
];

/// A broker that answers nothing any more makes every check wait.
const FAILURES_MAX: usize = 20;

fn reason(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<String>().cloned();
    text.or_else(|| panic.downcast_ref::<&str>().map(ToString::to_string)).unwrap_or_default()
}

#[test]
fn protocol() {
    let wanted = env::var("OTTLA_CHECK").unwrap_or_default();
    let broker = Broker::start();
    let target = Target::new(broker.port());
    let mut failed = Vec::new();
    let mut passed = 0;
    for (name, check) in MODULES.iter().copied().flatten() {
        let name = name.trim_start_matches("it::protocol::");
        if !name.contains(&wanted) {
            continue;
        }
        match catch_unwind(AssertUnwindSafe(|| check(&target))) {
            Ok(()) => passed += 1,
            Err(panic) => failed.push(format!("{name}: {}", reason(&*panic))),
        }
        if failed.len() >= FAILURES_MAX {
            failed.push("and the rest was not tried".to_owned());
            break;
        }
    }
    report(&format!("protocol: {passed} passed, {} failed", failed.len()));
    assert!(failed.is_empty(), "\n{}", failed.join("\n"));
}
