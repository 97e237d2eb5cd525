//! What Apache Kafka does on the wire where it surprises, one named check for each fact.
//!
//! Most checks share one broker, so they are the cases of one test; each has topics and groups of its own. Those that
//! need settings share one broker for each set of them. `OTTLA_CHECK` is a part of the names to run. Where this broker
//! means to differ, the check says what each of the two does.

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
mod dynamic_configs;
mod errors;
mod expiry;
mod fetch;
mod find_coordinator;
mod framing;
mod group_admin;
mod group_delay;
mod group_deletion;
mod group_size;
mod group_timeouts;
mod groups;
mod heartbeat_leave;
mod join_group;
mod list_config_resources;
mod metadata;
mod offset_commit;
mod offset_fetch;
mod offsets;
mod produce;
mod producers;
mod rebalances;
mod refused_batches;
mod sessions;
mod static_members;
mod sync_group;
mod topics;
mod versions;

pub(crate) use client::Target;
pub(crate) use dynamic_configs::{assert_resources_changed, change_resources};

/// A check with its name.
type Check = (&'static str, fn(&Target));

const MODULES: &[&[Check]] = &[
    find_coordinator::CHECKS,
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
    join_group::CHECKS,
    rebalances::CHECKS,
    static_members::CHECKS,
    sync_group::CHECKS,
    heartbeat_leave::CHECKS,
    offset_commit::CHECKS,
    offset_fetch::CHECKS,
    group_admin::CHECKS,
    group_deletion::CHECKS,
];

/// Settings, and the checks that need them.
const UNDER_SETTINGS: &[(&[&str], &[Check])] = &[
    (dynamic_configs::SETTINGS, dynamic_configs::CHECKS),
    (group_timeouts::SETTINGS, group_timeouts::CHECKS),
    (group_size::SETTINGS, group_size::CHECKS),
    (group_delay::SETTINGS, group_delay::CHECKS),
    (expiry::SETTINGS, expiry::CHECKS),
];

/// A broker that answers nothing any more makes every check wait.
const FAILURES_MAX: usize = 20;

fn reason(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<String>().cloned();
    text.or_else(|| panic.downcast_ref::<&str>().map(ToString::to_string)).unwrap_or_default()
}

/// The checks whose names contain `OTTLA_CHECK`.
fn wanted(checks: &[Check]) -> Vec<Check> {
    let part = env::var("OTTLA_CHECK").unwrap_or_default();
    let is_wanted = |(name, _): &&Check| name.contains(&part);
    checks.iter().filter(is_wanted).copied().collect()
}

/// Runs checks and reports how many failed; what they say.
fn run(what: &str, settings: &[&str], checks: &[Check]) -> Vec<String> {
    let broker = Broker::start_with(settings);
    let target = Target::new(broker.port());
    let mut failed = Vec::new();
    let mut passed = 0;
    for (name, check) in checks {
        let name = name.trim_start_matches("it::protocol::");
        match catch_unwind(AssertUnwindSafe(|| check(&target))) {
            Ok(()) => passed += 1,
            Err(panic) => failed.push(format!("{name}: {}", reason(&*panic))),
        }
        if failed.len() >= FAILURES_MAX {
            failed.push("and the rest was not tried".to_owned());
            break;
        }
    }
    report(&format!("{what}: {passed} passed, {} failed", failed.len()));
    failed
}

#[test]
fn protocol() {
    let checks = wanted(&MODULES.concat());
    let failed = run("protocol", &[], &checks);
    assert!(failed.is_empty(), "\n{}", failed.join("\n"));
}

#[test]
fn protocol_under_settings() {
    let mut failed = Vec::new();
    for (settings, checks) in UNDER_SETTINGS {
        let checks = wanted(checks);
        if !checks.is_empty() {
            failed.extend(run(&settings.join(" "), settings, &checks));
        }
    }
    assert!(failed.is_empty(), "\n{}", failed.join("\n"));
}
