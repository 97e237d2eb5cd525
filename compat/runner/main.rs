//! Runs scenarios of everyday clients against a broker: `compat/run`, and `compat/README.md` says what it expects.
//!
//! Ottla is started from the binary beside this program, Apache Kafka through `compat/reference`. A line for each cell
//! of client and scenario, a closing line, and status 1 when anything failed.
#![expect(
    clippy::disallowed_methods,
    clippy::print_stdout,
    reason = "a judge stands outside the simulated world and talks to a person"
)]

mod broker;
mod cell;
mod folders;
mod matrix;
mod relay;
mod site;

#[expect(dead_code, reason = "the tests use the rest")]
#[path = "../reference/mod.rs"]
mod reference;

use std::error::Error;
use std::process::ExitCode;
use std::time::Instant;

use broker::Product;
use cell::Outcome;
use clap::Parser;
use folders::Client;
use site::{Site, Target};

/// Why the runner could not do its work.
type Failure = Box<dyn Error>;

const COMPAT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/compat");

/// In the order of `compat/README.md`.
const SCENARIOS: [&str; 27] = [
    "admin",
    "produce-none",
    "produce-gzip",
    "produce-snappy",
    "produce-lz4",
    "produce-zstd",
    "idempotent",
    "headers",
    "large",
    "group",
    "group-new",
    "static",
    "static-new",
    "cooperative",
    "regex",
    "migrate",
    "seek",
    "commit",
    "delete-records",
    "long-poll",
    "restart",
    "transactions",
    "fencing",
    "exactly-once",
    "exactly-once-new",
    "transaction-timeout",
    "transactions-admin",
];

/// Scenarios of everyday clients against Ottla, or another broker
#[derive(Debug, Parser)]
#[command(name = "compat/run")]
struct Options {
    /// Only this client; may be repeated
    #[arg(long = "client", value_name = "NAME")]
    clients: Vec<String>,
    /// Only this scenario; may be repeated
    #[arg(long = "scenario", value_name = "NAME")]
    scenarios: Vec<String>,
    /// Against a broker that runs already
    #[arg(long, value_name = "HOST:PORT", conflicts_with_all = ["reference", "both"])]
    bootstrap: Option<String>,
    /// Against Apache Kafka
    #[arg(long, conflicts_with = "both")]
    reference: bool,
    /// Against Ottla and Apache Kafka; over everything, this writes docs/compatibility.md
    #[arg(long)]
    both: bool,
}

/// What became of a scenario of a client.
#[derive(Debug)]
struct Cell {
    client: String,
    scenario: &'static str,
    outcome: Outcome,
}

/// The cells of one broker.
#[derive(Debug)]
struct Verdict {
    broker: String,
    cells: Vec<Cell>,
}

fn main() -> ExitCode {
    match run(&Options::parse()) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::from(1),
        Err(error) => {
            eprintln!("compat: {error}");
            ExitCode::from(2)
        }
    }
}

/// Whether nothing failed.
fn run(options: &Options) -> Result<bool, Failure> {
    let scenarios = chosen_scenarios(&options.scenarios)?;
    let found = folders::install(&options.clients)?;
    for trouble in &found.troubles {
        println!("FAILED {trouble}");
    }
    let verdicts: Vec<Verdict> = targets(options)
        .into_iter()
        .map(|target| judge(target, &found.clients, &scenarios))
        .collect();
    let differences = match &verdicts[..] {
        [one, other] => matrix::differences(one, other),
        _ => Vec::new(),
    };
    for difference in &differences {
        println!("FAILED {difference}");
    }
    if options.both && options.clients.is_empty() && options.scenarios.is_empty() {
        matrix::write(&found, &verdicts)?;
    }
    let cells = || verdicts.iter().flat_map(|verdict| &verdict.cells).map(|cell| &cell.outcome);
    let passed = cells().filter(|outcome| matches!(outcome, Outcome::Passed)).count();
    let absent = cells().filter(|outcome| matches!(outcome, Outcome::NotApplicable(_))).count();
    let failed = cells().count() - passed - absent + found.troubles.len() + differences.len();
    println!("compat: {passed} passed, {failed} failed, {absent} n/a");
    Ok(failed == 0)
}

fn chosen_scenarios(names: &[String]) -> Result<Vec<&'static str>, Failure> {
    if let Some(unknown) = names.iter().find(|name| !SCENARIOS.contains(&name.as_str())) {
        return Err(format!("there is no scenario {unknown}, only {}", SCENARIOS.join(", ")).into());
    }
    let is_chosen = |name: &&str| names.is_empty() || names.iter().any(|chosen| chosen == name);
    Ok(SCENARIOS.into_iter().filter(is_chosen).collect())
}

fn targets(options: &Options) -> Vec<Target> {
    match &options.bootstrap {
        Some(bootstrap) => vec![Target::Given(bootstrap.clone())],
        None if options.both => {
            vec![Target::Started(Product::Ottla), Target::Started(Product::Kafka)]
        }
        None if options.reference => vec![Target::Started(Product::Kafka)],
        None => vec![Target::Started(Product::Ottla)],
    }
}

fn judge(target: Target, clients: &[Client], scenarios: &[&'static str]) -> Verdict {
    let broker = target.to_string();
    let mut site = Site::new(target);
    let mut cells = Vec::new();
    for client in clients {
        for scenario in scenarios {
            let started = Instant::now();
            // A broker that does not start fails the cell, and the next one tries again.
            let outcome = site.run(client, scenario);
            let outcome = outcome.unwrap_or_else(|error| Outcome::Failed(error.to_string()));
            let seconds = started.elapsed().as_secs_f64();
            println!("{broker}  {:16} {scenario:19} {seconds:5.1} s  {outcome}", client.name);
            cells.push(Cell { client: client.name.clone(), scenario, outcome });
        }
    }
    Verdict { broker, cells }
}
