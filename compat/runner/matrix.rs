//! `docs/compatibility.md`: what came of a run over everything.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;
use std::process::Command;

use crate::cell::Outcome;
use crate::folders::Found;
use crate::{Failure, SCENARIOS, Verdict};

const DOCUMENT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/compatibility.md");
/// What stands below this line is kept.
const KEPT: &str = "<!-- Written by hand from here on -->";

/// Cells that are not applicable on one broker and something else on the other: that is the client's property.
pub(crate) fn differences(one: &Verdict, other: &Verdict) -> Vec<String> {
    let is_absent = |outcome: &Outcome| matches!(outcome, Outcome::NotApplicable(_));
    let pairs = one.cells.iter().zip(&other.cells);
    pairs
        .filter(|(a, b)| is_absent(&a.outcome) || is_absent(&b.outcome))
        .filter(|(a, b)| a.outcome != b.outcome)
        .map(|(a, b)| {
            let (client, scenario) = (&a.client, a.scenario);
            format!("{client} {scenario}: {} here, {} there", a.outcome, b.outcome)
        })
        .collect()
}

pub(crate) fn write(found: &Found, verdicts: &[Verdict]) -> Result<(), Failure> {
    let before = fs::read_to_string(DOCUMENT).unwrap_or_default();
    let kept = before.split_once(KEPT).map_or("\n", |(_, kept)| kept);
    fs::write(DOCUMENT, format!("{}\n{KEPT}{kept}", text(found, verdicts)?))?;
    Ok(())
}

fn text(found: &Found, verdicts: &[Verdict]) -> Result<String, Failure> {
    let mut text = format!(
        "# Compatibility\n\nWritten by `compat/run --both` on {}; `compat/README.md` says what the scenarios do. \
         `n/a`: the client cannot do it, on either broker; the reasons stand below.\n\n## Clients\n\n\
         | client | version |\n|---|---|\n",
        today()?
    );
    for client in &found.clients {
        writeln!(text, "| {} | {} |", client.name, client.version)?;
    }
    for folder in &found.excused {
        writeln!(text, "\nNot installed: {folder}")?;
    }
    for verdict in verdicts {
        write_table(&mut text, found, verdict)?;
    }
    write_reasons(&mut text, verdicts)?;
    Ok(text)
}

fn write_table(text: &mut String, found: &Found, verdict: &Verdict) -> Result<(), Failure> {
    write!(text, "\n## {}\n\n| |", verdict.broker)?;
    for client in &found.clients {
        write!(text, " {} |", client.name)?;
    }
    writeln!(text, "\n|---|{}", "---|".repeat(found.clients.len()))?;
    for scenario in SCENARIOS {
        write!(text, "| `{scenario}` |")?;
        for cell in verdict.cells.iter().filter(|cell| cell.scenario == scenario) {
            let word = match cell.outcome {
                Outcome::Passed => "ok",
                Outcome::Failed(_) => "**FAILED**",
                Outcome::NotApplicable(_) => "n/a",
            };
            write!(text, " {word} |")?;
        }
        writeln!(text)?;
    }
    Ok(())
}

/// Each once, with its client and the scenarios it stands for.
fn write_reasons(text: &mut String, verdicts: &[Verdict]) -> Result<(), Failure> {
    let mut reasons: BTreeMap<(&str, &str), Vec<&str>> = BTreeMap::new();
    for cell in verdicts.iter().flat_map(|verdict| &verdict.cells) {
        if let Outcome::NotApplicable(reason) = &cell.outcome {
            let scenarios = reasons.entry((&cell.client, reason)).or_default();
            if !scenarios.contains(&cell.scenario) {
                scenarios.push(cell.scenario);
            }
        }
    }
    if !reasons.is_empty() {
        writeln!(text, "\n## Not applicable\n")?;
    }
    for ((client, reason), scenarios) in reasons {
        writeln!(text, "- {client}, `{}`: {reason}", scenarios.join("`, `"))?;
    }
    Ok(())
}

fn today() -> Result<String, Failure> {
    let output = Command::new("date").args(["-u", "+%F"]).output()?;
    Ok(String::from_utf8(output.stdout)?.trim().to_owned())
}
