//! `--list`.

use std::io::Write;

use super::ask::Admin;
use super::{Options, Refusal, width};

/// What groups of consumers can be (`GroupState.groupStatesForType`).
const STATES: [&str; 7] = [
    "PreparingRebalance",
    "CompletingRebalance",
    "Stable",
    "Dead",
    "Empty",
    "Assigning",
    "Reconciling",
];
const TYPES: [&str; 2] = ["Classic", "Consumer"];
/// How much wider than the longest name the column of groups is.
const GAP: usize = 10;

/// Prints the groups of consumers.
pub(super) async fn run(
    options: &Options,
    admin: &mut Admin,
    out: &mut dyn Write,
) -> Result<(), Refusal> {
    let (with_type, with_state) = (options.types.is_some(), options.state.is_some());
    if !with_type && !with_state {
        let names = admin.names().await?.map_err(|exception| Refusal::nested(&exception))?;
        for name in names {
            writeln!(out, "{name}")?;
        }
        return Ok(());
    }
    let types = filter(options.types.as_deref(), &TYPES, "types")?;
    let states = filter(options.state.as_deref(), &STATES, "state")?;
    let groups = admin.list(&types, &states).await?;
    let groups = groups.map_err(|exception| Refusal::executed(&exception))?;
    let width = width(groups.iter().map(|group| group.group_id.as_str())) + GAP;
    let mut row = |group: &str, kind: &str, state: &str| {
        write!(out, "{group:width$}")?;
        for (_, text) in
            [(with_type, kind), (with_state, state)].iter().filter(|(is_asked, _)| *is_asked)
        {
            write!(out, " {text:20}")?;
        }
        writeln!(out)
    };
    row("GROUP", "TYPE", "STATE")?;
    for group in &groups {
        let known = |text: &str| if text.is_empty() { "Unknown".to_owned() } else { capital(text) };
        row(&group.group_id, &known(&group.group_type), &known(&group.group_state))?;
    }
    Ok(())
}

/// Kinds are written with a capital, however a broker has them.
fn capital(text: &str) -> String {
    let known = STATES.iter().chain(&TYPES).find(|known| known.eq_ignore_ascii_case(text));
    known.map_or_else(|| text.to_owned(), ToString::to_string)
}

/// What an option asks for, in any case of letters.
fn filter(asked: Option<&str>, valid: &[&str], what: &str) -> Result<Vec<String>, Refusal> {
    let asked = asked.filter(|text| !text.is_empty());
    let known = |name: &str| valid.iter().find(|one| one.eq_ignore_ascii_case(name.trim()));
    let names = asked.into_iter().flat_map(|text| text.split(',').map(known));
    let names: Option<Vec<String>> = names.map(|name| name.map(ToString::to_string)).collect();
    names.ok_or_else(|| {
        let (asked, valid) = (asked.unwrap_or_default(), valid.join(", "));
        let all = what.trim_end_matches('s');
        Refusal::Usage(format!("Invalid {what} list '{asked}'. Valid {all}s are: {valid}"))
    })
}
