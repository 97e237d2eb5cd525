//! Kafka's command-line tools and ours, each with Apache Kafka and with Ottla: the same commands have to print the same.
//!
//! `case.rs` says what a case is and what may be different. A run ends with the line `tools: N passed, M failed`.
#![expect(
    clippy::disallowed_methods,
    clippy::print_stdout,
    reason = "this program stands outside the simulated world and talks to a person"
)]

mod case;
mod cases;
mod normal;
#[expect(dead_code, reason = "the tests use the rest")]
#[path = "../reference/mod.rs"]
mod reference;
mod run;
mod world;

use std::any::Any;
use std::error::Error;
use std::process::ExitCode;

use clap::Parser;

use case::Case;
use cases::FAMILIES;
use normal::{Masks, Normal};
use run::Theirs;
use world::{Tools, World};

/// Compares our command-line tools with Kafka's.
#[derive(Debug, Parser)]
#[command(name = "compat_tools")]
struct Options {
    /// Run the cases of this family only; repeat for more
    #[arg(long)]
    family: Vec<String>,
    /// Name the families and their cases, and end
    #[arg(long)]
    list: bool,
    /// Print what each case printed
    #[arg(long)]
    verbose: bool,
    /// Change what our tool printed in the case of this name: the run must fail then
    #[arg(long)]
    doctor: Option<String>,
}

/// Runs a case in every world; what it printed there.
fn run_case(
    case: &Case,
    worlds: &[World],
    jvm: &mut Theirs,
    held: &mut Vec<Box<dyn Any>>,
    masks: &Masks,
) -> Result<Vec<Normal>, Box<dyn Error>> {
    let mut all = Vec::new();
    for world in worlds {
        world.write(&case.files)?;
        if let Some(prepare) = &case.preparation {
            held.push(prepare(world.port()));
            world.settle();
        }
        let files = world.files().display().to_string();
        let ran = world.run(jvm, case.tool, &case.words(world.port(), &files), case.input)?;
        if case.may_change() {
            world.settle();
        }
        all.push(masks.normal(&ran, case.same, world));
    }
    Ok(all)
}

/// The first two worlds that had to print the same and did not.
fn difference(case: &Case, all: &[Normal]) -> Option<(usize, usize)> {
    let brokers = (case.brokers_differ.is_none()).then_some((0, 2));
    let pairs = [(0, 1), (2, 3)].into_iter().chain(brokers);
    pairs.into_iter().find(|(one, other)| all[*one] != all[*other])
}

/// Prints what a tool printed, without the lines of `other`.
fn tell(world: &World, normal: &Normal, other: &str) {
    println!("  --- {}: exit code {}", world.name, normal.status);
    let lines = normal.out.lines().filter(|line| !other.lines().any(|known| known == *line));
    lines.for_each(|line| println!("  {line}"));
    normal.complaint.iter().for_each(|line| println!("  stderr: {line}"));
}

/// Runs the families; whether all is as it should be.
fn run(options: &Options) -> Result<bool, Box<dyn Error>> {
    let work = tempfile::tempdir()?;
    let worlds = World::all(work.path())?;
    let mut jvm = Theirs::start(&work.path().join("tools.log"))?;
    let masks = Masks::new();
    let (mut passed, mut failed) = (0, 0);
    for (family, cases) in FAMILIES {
        if !options.family.is_empty() && !options.family.iter().any(|wanted| wanted == family) {
            continue;
        }
        let mut held = Vec::new();
        for case in cases() {
            let mut all = run_case(&case, &worlds, &mut jvm, &mut held, &masks)?;
            if options.doctor.as_deref() == Some(case.name) {
                let ours = |world: &&World| world.tools == Tools::Ours;
                let changed = worlds.iter().position(|world| ours(&world)).unwrap_or(0);
                all[changed].out.push('!');
            }
            let differ = difference(&case, &all);
            let verdict = if differ.is_none() { "ok" } else { "FAILED" };
            println!("{verdict} {family}: {}: {} {}", case.name, case.tool, case.flags);
            *if differ.is_none() { &mut passed } else { &mut failed } += 1;
            if let Some((one, other)) = differ {
                tell(&worlds[one], &all[one], &all[other].out);
                tell(&worlds[other], &all[other], &all[one].out);
            } else if options.verbose {
                tell(&worlds[3], &all[3], "");
            }
        }
    }
    println!("tools: {passed} passed, {failed} failed");
    Ok(failed == 0 && passed > 0)
}

fn main() -> ExitCode {
    let options = Options::parse();
    if options.list {
        for (family, cases) in FAMILIES {
            for case in cases() {
                println!("{family}: {}", case.name);
            }
        }
        return ExitCode::SUCCESS;
    }
    match run(&options) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::from(1),
        Err(error) => {
            eprintln!("compat_tools: {error}");
            ExitCode::from(2)
        }
    }
}
