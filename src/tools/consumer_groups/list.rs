//! `--list`.

use std::io::Write;

use super::Refusal;
use super::ask::Admin;
use super::table::{NAMES_WIDTH, Width, lines};
use crate::tools::flags::Flags;
use crate::wire::messages::list_groups::ListedGroup;

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
/// How much wider than the longest name, or than 15, the column of groups is.
const GAP: &str = "          ";

/// Prints the groups of consumers.
pub(super) async fn run(
    flags: &Flags,
    admin: &mut Admin,
    out: &mut dyn Write,
) -> Result<(), Refusal> {
    let (with_type, with_state) = (flags.has("type"), flags.has("state"));
    if !with_type && !with_state {
        for name in admin.names().await.map_err(|exception| Refusal::nested(&exception))? {
            writeln!(out, "{name}")?;
        }
        return Ok(());
    }
    let types = filter(flags.get("type"), &TYPES, "types")?;
    let states = filter(flags.get("state"), &STATES, "state")?;
    let groups = admin.list(&types, &states).await?.into_iter();
    let known = |text: &str| if text.is_empty() { "Unknown".to_owned() } else { capital(text) };
    let row = |group: ListedGroup| {
        [group.group_id + GAP, known(&group.group_type), known(&group.group_state)]
    };
    let columns = [
        ("GROUP", Width::AtLeast(NAMES_WIDTH + GAP.len()), true),
        ("TYPE", Width::Fixed(20), with_type),
        ("STATE", Width::Fixed(20), with_state),
    ];
    for line in lines(columns, groups.map(row).collect()) {
        writeln!(out, "{line}")?;
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
