//! The same requests to Ottla and to Apache Kafka, and their answers compared field by field.
//!
//! A step is a name and a request, sent to both brokers at the versions it has, each time to ours first; it may name
//! what each broker said before. Both answers must be read and give the same bytes when they are written again. They
//! are normalised (see `normal.rs`), and then every difference is a failure that `accepted.rs` does not explain. No
//! answer is an answer too: a closed connection, and silence.
//!
//! What the reference does later than it says it does is awaited: a topic before it is used, and the answer to a
//! question by asking the reference again. Ours is never asked again.
#![expect(
    clippy::disallowed_methods,
    clippy::print_stdout,
    clippy::type_complexity,
    reason = "this program stands outside the simulated world, talks to a person, and its steps are tables"
)]

mod accepted;
mod batches;
mod brokers;
mod compare;
mod doctor;
mod normal;
mod report;
mod script;
mod side;
mod tree;

mod configs;
mod consumer_groups;
mod fetch;
mod framing;
mod group_admin;
mod groups;
mod log;
mod offsets;
mod produce;
mod resources;
mod topics;
mod transactions;

#[expect(dead_code, reason = "the tests use the rest")]
#[path = "../raw_client.rs"]
mod raw_client;
#[expect(dead_code, reason = "the tests use the rest")]
#[path = "../reference/mod.rs"]
mod reference;
#[path = "../requests.rs"]
mod requests;

use std::error::Error;
use std::process::ExitCode;

use clap::Parser;

use brokers::Brokers;
use doctor::Doctoring;
use report::Report;
use script::Script;
use side::Address;

/// Steps that belong together, and the APIs they compare.
type Family = (&'static [&'static str], fn(&mut Script));

const FAMILIES: &[Family] = &[
    (topics::APIS, topics::run),
    (configs::APIS, configs::run),
    (produce::APIS, produce::run),
    (fetch::APIS, fetch::run),
    (log::APIS, log::run),
    (groups::APIS, groups::run),
    (offsets::APIS, offsets::run),
    (group_admin::APIS, group_admin::run),
    (consumer_groups::APIS, consumer_groups::run),
    (transactions::APIS, transactions::run),
    // Of every API.
    (&[], framing::run),
];

/// Compares the answers of Ottla with those of Apache Kafka.
#[derive(Debug, Parser)]
#[command(name = "differential")]
struct Options {
    /// A fresh Ottla, as HOST:PORT, instead of one that is started
    #[arg(long)]
    ours: Option<Address>,
    /// A fresh Apache Kafka, as HOST:PORT, instead of one that is started
    #[arg(long)]
    theirs: Option<Address>,
    /// Both are the same product: nothing has to differ, and it may have APIs that are not compared
    #[arg(long, requires_all = ["ours", "theirs"])]
    twins: bool,
    /// Judge the answers of one API only
    #[arg(long)]
    api: Option<String>,
    /// Name the APIs and end
    #[arg(long)]
    list: bool,
    /// Print a line for each step
    #[arg(long)]
    verbose: bool,
    /// Change one of our answers: the run must fail then
    #[arg(long, value_enum)]
    doctor: Option<Doctoring>,
}

/// Runs the steps; whether all is as it should be.
fn run(options: Options) -> Result<bool, Box<dyn Error>> {
    let only = options.api.clone();
    let is_wanted = |api: &str| only.as_ref().is_none_or(|only| only.eq_ignore_ascii_case(api));
    let directory = tempfile::tempdir()?;
    let brokers = Brokers::start(directory.path(), options.ours, options.theirs)?;
    let report = Report::new(options.verbose, options.api);
    let began_ms = normal::now_ms();
    let addresses = [&brokers.ours, &brokers.theirs];
    let mut script = Script::new(addresses, began_ms, report, options.doctor);
    for (apis, steps) in FAMILIES {
        if apis.is_empty() || apis.iter().any(|api| is_wanted(api)) {
            steps(&mut script);
        }
    }
    if !options.twins {
        if only.is_none() {
            framing::expect_all(&mut script);
        }
        script.report.expect_accepted();
    }
    if script.awaits_doctoring() {
        return Err("no answer has what was to be changed".into());
    }
    Ok(script.report.close())
}

fn main() -> ExitCode {
    let options = Options::parse();
    if options.list {
        for (apis, _) in FAMILIES {
            println!("{}", apis.join(" "));
        }
        return ExitCode::SUCCESS;
    }
    match run(options) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::from(1),
        Err(error) => {
            eprintln!("differential: {error}");
            ExitCode::from(2)
        }
    }
}
