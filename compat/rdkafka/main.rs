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
mod exactly_once;
mod group;
mod member;
mod offsets;
mod produce;
mod reading;
mod records;
mod restart;
mod transactions;

use std::env;
use std::process::ExitCode;

use broker::Broker;
use member::CONSUMER;
use rdkafka::util::get_rdkafka_version;

const NOT_APPLICABLE: u8 = 77;

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
        "transactions" => transactions::transactions(broker),
        "fencing" => transactions::fence(broker),
        "exactly-once" => exactly_once::exactly_once(broker, &[]),
        "exactly-once-new" => exactly_once::exactly_once(broker, CONSUMER),
        "transaction-timeout" => transactions::time_out(broker),
        "transactions-admin" => {
            println!("the client's administration knows no transactions");
            return ExitCode::from(NOT_APPLICABLE);
        }
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
