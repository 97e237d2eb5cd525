//! `--describe`.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{self, Write};

use super::ask::{Admin, Group, Member};
use super::table::{self, Width, names};
use super::{KAFKA_EXCEPTION, MISSING, Refusal, group_names, print_error};
use crate::client::{Committed, END, TopicPartition, by_topic};
use crate::tools::flags::Flags;

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
    flags: &Flags,
    admin: &mut Admin,
    out: &mut dyn Write,
) -> Result<(), Refusal> {
    let mut groups = BTreeMap::new();
    for name in group_names(flags, admin).await? {
        let group = admin.describe(&name).await?;
        groups.insert(name, group);
    }
    let mut rows = BTreeMap::new();
    if !flags.has("members") && !flags.has("state") {
        for (name, group) in &groups {
            rows.insert(name, rows_of(name, group, admin).await?);
        }
    }
    for (name, group) in &groups {
        let verbose = flags.has("verbose");
        if flags.has("members") {
            print_members(name, group, verbose, out)?;
        } else if let Some(rows) = rows.get(name) {
            print_offsets(name, group, rows, verbose, out)?;
        } else {
            print_state(name, group, verbose, out)?;
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
    let committed = admin.committed(name).await;
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
    let ends = admin.offsets(&led, END).await.map_err(|exception| Refusal::nested(&exception))?;
    for row in rows {
        row.end = ends.get(&row.partition).copied();
    }
    Ok(())
}

fn or_missing(number: Option<impl ToString>) -> String {
    number.map_or_else(|| MISSING.to_owned(), |number| number.to_string())
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
    let row = |row: &Row<'_>| {
        let (offset, epoch) = row.committed.map(|it| (it.offset, it.epoch)).unzip();
        let lag = offset.and_then(|offset| row.end.map(|end| end.wrapping_sub(offset)));
        let of_member = |field: fn(&Member) -> &str| row.member.map_or(MISSING, field).to_owned();
        [
            name.to_owned(),
            row.partition.0.clone(),
            row.partition.1.to_string(),
            or_missing(epoch.filter(|epoch| *epoch >= 0)),
            or_missing(offset),
            or_missing(row.end),
            or_missing(lag),
            of_member(|member| &member.id),
            of_member(|member| &member.host),
            of_member(|member| &member.client_id),
        ]
    };
    let columns = [
        names("GROUP"),
        names("TOPIC"),
        ("PARTITION", Width::Fixed(10), true),
        ("LEADER-EPOCH", Width::Fixed(15), verbose),
        ("CURRENT-OFFSET", Width::Fixed(15), true),
        ("LOG-END-OFFSET", Width::Fixed(15), true),
        ("LAG", Width::Fixed(15), true),
        names("CONSUMER-ID"),
        names("HOST"),
        ("CLIENT-ID", Width::Fixed(0), true),
    ];
    Ok(table::print(out, columns, rows.iter().map(row).collect())?)
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
    let row = |member: &Member| {
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
            or_missing(member.is_upgraded),
        ]
    };
    let columns = [
        names("GROUP"),
        names("CONSUMER-ID"),
        ("GROUP-INSTANCE-ID", Width::AtLeast(17), is_static),
        names("HOST"),
        names("CLIENT-ID"),
        ("#PARTITIONS", Width::Fixed(15), true),
        ("CURRENT-EPOCH", Width::Fixed(15), verbose),
        ("CURRENT-ASSIGNMENT", Width::AtLeast(20), verbose),
        ("TARGET-EPOCH", Width::Fixed(15), verbose),
        ("TARGET-ASSIGNMENT", Width::AtLeast(20), verbose),
        ("UPGRADED", Width::Fixed(0), verbose && kinds.len() == 2),
    ];
    writeln!(out)?;
    for line in table::lines(columns, group.members.iter().map(row).collect()) {
        // A blank follows the last column but those of --verbose.
        writeln!(out, "{line}{}", if verbose { "" } else { " " })?;
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
    let row = [
        name.to_owned(),
        format!("{address}  ({node_id})"),
        or_missing(Some(&group.assignor).filter(|assignor| !assignor.is_empty())),
        group.state.clone(),
        or_missing(group.epoch),
        or_missing(group.target_epoch),
        group.members.len().to_string(),
    ];
    let columns = [
        names("GROUP"),
        ("COORDINATOR (ID)", Width::AtLeast(25), true),
        ("ASSIGNMENT-STRATEGY", Width::Fixed(20), true),
        ("STATE", Width::Fixed(20), true),
        ("GROUP-EPOCH", Width::Fixed(15), verbose),
        ("TARGET-ASSIGNMENT-EPOCH", Width::Fixed(25), verbose),
        ("#MEMBERS", Width::Fixed(0), true),
    ];
    Ok(table::print(out, columns, vec![row])?)
}
