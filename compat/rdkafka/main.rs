//! The scenarios of `compat/README.md` with librdkafka: `compat_rdkafka SCENARIO BOOTSTRAP`.
//!
//! An assertion that fails ends the program with status 101.
#![expect(
    clippy::disallowed_methods,
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a judge stands outside the simulated world, and a scenario that cannot go on has failed"
)]

mod admin;
mod broker;
mod group;
mod member;
mod offsets;
mod produce;
mod reading;
mod records;
mod restart;

use std::env;
use std::process::ExitCode;

use broker::Broker;
use member::CONSUMER;
use rdkafka::util::get_rdkafka_version;

fn main() -> ExitCode {
    let arguments: Vec<String> = env::args().skip(1).collect();
    match arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        ["versions"] => println!("rdkafka {}", get_rdkafka_version().1),
        [scenario, bootstrap] => return run(scenario, &Broker::new(bootstrap)),
        _ => return usage(),
    }
    ExitCode::SUCCESS
}

fn run(scenario: &str, broker: &Broker) -> ExitCode {
    match scenario {
        "admin" => admin::administer(broker),
        "idempotent" => produce::idempotent(broker),
        "headers" => produce::headers(broker),
        "large" => produce::large(broker),
        "group" => group::share(broker, &[]),
        "group-new" => group::share(broker, CONSUMER),
        "static" => group::come_back(broker, &[]),
        "static-new" => group::come_back(broker, CONSUMER),
        "regex" => group::match_topics(broker),
        "migrate" => group::migrate(broker),
        "cooperative" => group::cooperate(broker),
        "seek" => reading::seek(broker),
        "commit" => offsets::commit(broker),
        "delete-records" => reading::delete_records(broker),
        "long-poll" => reading::long_poll(broker),
        "restart" => restart::restart(broker),
        _ => match scenario.strip_prefix("produce-") {
            Some(codec) => produce::produce(broker, codec),
            None => return usage(),
        },
    }
    ExitCode::SUCCESS
}

fn usage() -> ExitCode {
    eprintln!("compat_rdkafka SCENARIO BOOTSTRAP | compat_rdkafka versions");
    ExitCode::from(2)
}
