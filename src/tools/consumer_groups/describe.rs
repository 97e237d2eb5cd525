//! `--describe`.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{self, Write};

use super::ask::{Admin, Group, Member};
use super::{KAFKA_EXCEPTION, MISSING, Options, Refusal, group_names, print_error, width};
use crate::client::{Committed, END, TopicPartition, by_topic};

/// A partition of a group.
struct Row<'a> {
    partition: TopicPartition,
    committed: Option<Committed>,
    end: Option<i64>,
    /// Its member, if there is one.
    member: Option<&'a Member>,
}

/// Prints what the options ask for of every group.
pub(super) async fn run(
    options: &Options,
    admin: &mut Admin,
    out: &mut dyn Write,
) -> Result<(), Refusal> {
    let mut groups = BTreeMap::new();
    for name in group_names(options, admin).await? {
        let group = admin.describe(&name).await?;
        let group = group.map_err(|exception| Refusal::executed(&exception))?;
        groups.insert(name, group);
    }
    let mut rows = BTreeMap::new();
    if !options.members && options.state.is_none() {
        for (name, group) in &groups {
            rows.insert(name, rows_of(name, group, admin).await?);
        }
    }
    for (name, group) in &groups {
        if options.members {
            print_members(name, group, options.verbose, out)?;
        } else if let Some(rows) = rows.get(name) {
            print_offsets(name, group, rows, options.verbose, out)?;
        } else {
            print_state(name, group, options.verbose, out)?;
        }
    }
    Ok(())
}

/// Says how a group is unless it is stable; whether there is more to print.
fn tell_state(
    name: &str,
    group: &Group,
    rows: usize,
    out: &mut dyn Write,
) -> Result<bool, Refusal> {
    match group.state.as_str() {
        "Dead" => print_error(out, format_args!("Consumer group '{name}' does not exist."))?,
        // Both streams are one terminal, in which the order matters.
        "Empty" => told(out, &format!("\nConsumer group '{name}' has no active members."))?,
        "PreparingRebalance" | "CompletingRebalance" | "Assigning" | "Reconciling" => {
            told(out, &format!("\nWarning: Consumer group '{name}' is rebalancing."))?;
        }
        "Stable" => {}
        other => {
            let message = format!("Expected a valid consumer group state, but found '{other}'.");
            return Err(Refusal::Failed(KAFKA_EXCEPTION.into(), message));
        }
    }
    Ok(group.state != "Dead" && rows > 0)
}

fn told(out: &mut dyn Write, message: &str) -> io::Result<()> {
    out.flush()?;
    eprintln!("{message}");
    Ok(())
}

/// The partitions of every member, of those with most first, and then those that only have an offset.
async fn rows_of<'a>(
    name: &str,
    group: &'a Group,
    admin: &mut Admin,
) -> Result<Vec<Row<'a>>, Refusal> {
    let committed = admin.committed(name).await?;
    let mut committed = committed.map_err(|exception| Refusal::nested(&exception))?;
    let mut members: Vec<&Member> =
        group.members.iter().filter(|member| !member.partitions.is_empty()).collect();
    members.sort_by_key(|member| std::cmp::Reverse(member.partitions.len()));
    let mut rows = Vec::new();
    for member in members {
        let partitions: BTreeSet<&TopicPartition> = member.partitions.iter().collect();
        for partition in partitions {
            let committed = committed.get(partition).copied();
            rows.push(Row {
                partition: partition.clone(),
                committed,
                end: None,
                member: Some(member),
            });
        }
    }
    for row in &rows {
        committed.remove(&row.partition);
    }
    rows.extend(committed.into_iter().map(|(partition, committed)| Row {
        partition,
        committed: Some(committed),
        end: None,
        member: None,
    }));
    find_ends(&mut rows, admin).await?;
    Ok(rows)
}

/// Looks up the ends of partitions that have a leader.
async fn find_ends(rows: &mut [Row<'_>], admin: &mut Admin) -> Result<(), Refusal> {
    let names: Vec<String> =
        by_topic(rows.iter().map(|row| &row.partition)).into_keys().map(str::to_owned).collect();
    let topics = admin.topics(&names).await?;
    let mut led = Vec::new();
    for Row { partition: (topic, index), .. } in rows.iter() {
        match topics.get(topic) {
            Some(Err(exception)) => return Err(Refusal::nested(exception)),
            Some(Ok(partitions)) if partitions.contains(&(*index, -1)) => {}
            _ => led.push((topic.clone(), *index)),
        }
    }
    let ends = admin.offsets(&led, END).await?.map_err(|exception| Refusal::nested(&exception))?;
    for row in rows {
        row.end = ends.get(&row.partition).copied();
    }
    Ok(())
}

/// The columns of a row that are shown.
fn line(row: &[impl AsRef<str>], widths: &[usize], is_shown: impl Fn(usize) -> bool) -> String {
    let shown = row.iter().zip(widths).enumerate().filter(|(column, _)| is_shown(*column));
    let cells = shown.map(|(_, (cell, width))| format!("{:width$}", cell.as_ref()));
    cells.collect::<Vec<_>>().join(" ")
}

fn print_offsets(
    name: &str,
    group: &Group,
    rows: &[Row<'_>],
    verbose: bool,
    out: &mut dyn Write,
) -> Result<(), Refusal> {
    if !tell_state(name, group, rows.len(), out)? {
        return Ok(());
    }
    let or_missing = |number: Option<i64>| number.map_or(MISSING.into(), |it| it.to_string());
    let cells = rows.iter().map(|row| {
        let offset = row.committed.map(|committed| committed.offset);
        let epoch = row.committed.map(|it| i64::from(it.epoch)).filter(|epoch| *epoch >= 0);
        let lag = offset.and_then(|offset| row.end.map(|end| end.wrapping_sub(offset)));
        let of_member = |field: fn(&Member) -> &str| row.member.map_or(MISSING, field).to_owned();
        [
            name.to_owned(),
            row.partition.0.clone(),
            row.partition.1.to_string(),
            or_missing(epoch),
            or_missing(offset),
            or_missing(row.end),
            or_missing(lag),
            of_member(|member| &member.id),
            of_member(|member| &member.host),
            of_member(|member| &member.client_id),
        ]
    });
    let titles = [
        "GROUP",
        "TOPIC",
        "PARTITION",
        "LEADER-EPOCH",
        "CURRENT-OFFSET",
        "LOG-END-OFFSET",
        "LAG",
        "CONSUMER-ID",
        "HOST",
        "CLIENT-ID",
    ];
    let table: Vec<[String; 10]> = cells.collect();
    let wide = |column: usize| width(table.iter().map(|row| row[column].as_str()));
    let widths = [wide(0), wide(1), 10, 15, 15, 15, 15, wide(7), wide(8), 0];
    let epoch_at = 3;
    for row in [titles.map(str::to_owned)].iter().chain(&table) {
        write!(out, "\n{}", line(row, &widths, |column| verbose || column != epoch_at))?;
    }
    writeln!(out)?;
    Ok(())
}

fn print_members(
    name: &str,
    group: &Group,
    verbose: bool,
    out: &mut dyn Write,
) -> Result<(), Refusal> {
    // As in Kafka the titles stand there also without members.
    tell_state(name, group, group.members.len(), out)?;
    let is_static =
        group.members.iter().any(|it| it.instance_id.as_ref().is_some_and(|id| !id.is_empty()));
    let kinds: BTreeSet<bool> = group.members.iter().filter_map(|it| it.is_upgraded).collect();
    let titles = [
        "GROUP",
        "CONSUMER-ID",
        "GROUP-INSTANCE-ID",
        "HOST",
        "CLIENT-ID",
        "#PARTITIONS",
        "CURRENT-EPOCH",
        "CURRENT-ASSIGNMENT",
        "TARGET-EPOCH",
        "TARGET-ASSIGNMENT",
        "UPGRADED",
    ];
    let or_missing = |number: Option<i32>| number.map_or(MISSING.into(), |it| it.to_string());
    let cells = group.members.iter().map(|member| {
        [
            name.to_owned(),
            member.id.clone(),
            member.instance_id.clone().unwrap_or_default(),
            member.host.clone(),
            member.client_id.clone(),
            member.partitions.len().to_string(),
            or_missing(member.epoch),
            assignment(&member.partitions),
            or_missing(group.target_epoch),
            assignment(&member.target),
            member.is_upgraded.map_or(MISSING.into(), |it| it.to_string()),
        ]
    });
    let table: Vec<[String; 11]> = cells.collect();
    let wide = |column: usize| width(table.iter().map(|row| row[column].as_str()));
    let widths = [
        wide(0),
        wide(1),
        wide(2).max(17),
        wide(3),
        wide(4),
        15,
        15,
        wide(7).max(20),
        15,
        wide(9).max(20),
        0,
    ];
    let is_shown = |column: usize| match column {
        2 => is_static,
        6..10 => verbose,
        10 => verbose && kinds.len() == 2,
        _ => true,
    };
    writeln!(out)?;
    for row in [titles.map(str::to_owned)].iter().chain(&table) {
        // A blank follows the last column but those of --verbose.
        writeln!(out, "{}{}", line(row, &widths, is_shown), if verbose { "" } else { " " })?;
    }
    Ok(())
}

/// `topic:0,1;other:2`.
fn assignment(partitions: &[TopicPartition]) -> String {
    if partitions.is_empty() {
        return MISSING.into();
    }
    let topics = by_topic(partitions).into_iter().map(|(topic, mut partitions)| {
        partitions.sort_unstable();
        let numbers: Vec<String> = partitions.iter().map(ToString::to_string).collect();
        format!("{topic}:{}", numbers.join(","))
    });
    let mut topics: Vec<String> = topics.collect();
    topics.sort();
    topics.join(";")
}

fn print_state(
    name: &str,
    group: &Group,
    verbose: bool,
    out: &mut dyn Write,
) -> Result<(), Refusal> {
    if !tell_state(name, group, 1, out)? {
        return Ok(());
    }
    let (address, node_id) = &group.coordinator;
    let coordinator = format!("{address}  ({node_id})");
    let assignor = if group.assignor.is_empty() { MISSING } else { &group.assignor };
    let or_missing = |number: Option<i32>| number.map_or(MISSING.into(), |it| it.to_string());
    let (epoch, target) = (or_missing(group.epoch), or_missing(group.target_epoch));
    let members = group.members.len().to_string();
    let titles = [
        "GROUP",
        "COORDINATOR (ID)",
        "ASSIGNMENT-STRATEGY",
        "STATE",
        "GROUP-EPOCH",
        "TARGET-ASSIGNMENT-EPOCH",
        "#MEMBERS",
    ];
    let row = [name, &coordinator, assignor, &group.state, &epoch, &target, &members];
    let widths = [width([name]), coordinator.len().max(25), 20, 20, 15, 25, 0];
    for row in [titles, row] {
        write!(out, "\n{}", line(&row, &widths, |column| verbose || !(4..6).contains(&column)))?;
    }
    writeln!(out)?;
    Ok(())
}
