//! The broker from outside: real processes, real sockets, unmodified clients.
//!
//! Every test starts its own broker on a free port and a temporary directory. Counts come from the environment, so that
//! one set of tests serves a quick `cargo test`, the short tier and the long one.
#![expect(
    clippy::disallowed_methods,
    clippy::unwrap_used,
    reason = "these tests stand outside the simulated world, and a test that cannot go on has failed"
)]

mod admin;
mod admin_tools;
mod bench;
mod broker;
mod checker;
mod cli;
mod clients;
mod compaction;
mod console_tools;
mod consumer_groups;
mod consumer_groups_tool;
mod container;
mod crash;
mod directory;
mod dump_log;
mod embedded;
mod eos_load;
mod group_clients;
mod group_command;
mod group_load;
mod hostile;
mod journals;
mod needs;
mod protocol;
mod streams;
mod structure;
mod transactions;
mod upkeep;
mod wait;
mod words;

#[path = "../../compat/raw_client.rs"]
mod raw_client;
#[path = "../../compat/rdkafka/records.rs"]
mod rdkafka_records;
#[path = "../../compat/reference/mod.rs"]
mod reference;
#[path = "../../compat/requests.rs"]
mod requests;
