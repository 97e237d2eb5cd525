//! `--reset-offsets`.

use std::collections::{BTreeMap, BTreeSet};
use std::io::Write;
use std::path::Path;

use super::ask::Admin;
use super::table::{self, NAMES_WIDTH, Width, names};
use super::time::datetime_ms;
use super::{Refusal, SCENARIOS, group_names, plan, print_error};
use crate::client::{BEGINNING, Committed, END, Exception, TopicPartition};
use crate::config::duration_seconds;
use crate::env::{Clock, OsClock};
use crate::tools::flags::Flags;
use crate::tools::java_order::sort_partitions;
use crate::tools::read_file;
use crate::wire::ErrorCode;

/// New offsets, in the order in which they are printed.
type Offsets = Vec<(TopicPartition, i64)>;

/// Prints the new offsets of every group without members and, with `--execute`, commits them.
pub(super) async fn run(
    flags: &Flags,
    admin: &mut Admin,
    out: &mut dyn Write,
) -> Result<(), Refusal> {
    let mut all = Vec::new();
    for name in group_names(flags, admin).await? {
        let state = match admin.describe(&name).await {
            Ok(group) => group.state,
            Err(exception) if exception.class == "GroupIdNotFoundException" => "Dead".into(),
            Err(exception) => return Err(Refusal::nested(&exception)),
        };
        let mut offsets = Vec::new();
        if ["Empty", "Dead"].contains(&state.as_str()) {
            offsets = new_offsets(flags, &name, admin, out).await?;
            if flags.has("execute") && !offsets.is_empty() {
                commit(&name, &offsets, admin).await?;
            }
        } else {
            print_error(
                out,
                format_args!(
                    "Assignments can only be reset if the group '{name}' is inactive, but the current state is {state}."
                ),
            )?;
        }
        all.push((name, offsets));
    }
    if flags.has("export") { export(flags, &all, out) } else { print(&all, out) }
}

fn print(all: &[(String, Offsets)], out: &mut dyn Write) -> Result<(), Refusal> {
    if all.is_empty() {
        return Ok(writeln!(out)?);
    }
    let rows = all.iter().flat_map(|(name, offsets)| {
        offsets.iter().map(move |((topic, partition), offset)| {
            [name.clone(), topic.clone(), partition.to_string(), offset.to_string()]
        })
    });
    // The groups without offsets count, too.
    let lengths = all.iter().map(|(name, _)| name.encode_utf16().count());
    let group = lengths.fold(NAMES_WIDTH, usize::max);
    let columns = [
        ("GROUP", Width::Fixed(group), true),
        names("TOPIC"),
        ("PARTITION", Width::Fixed(10), true),
        ("NEW-OFFSET", Width::Fixed(0), true),
    ];
    Ok(table::print(out, columns, rows.collect())?)
}

fn export(flags: &Flags, all: &[(String, Offsets)], out: &mut dyn Write) -> Result<(), Refusal> {
    let is_single = flags.all("group").count() == 1;
    for (name, offsets) in all {
        for (partition, offset) in offsets {
            let group = (!is_single).then_some(name.as_str());
            out.write_all(plan::line(group, partition, *offset).as_bytes())?;
        }
    }
    writeln!(out)?;
    Ok(())
}

async fn commit(group: &str, offsets: &Offsets, admin: &mut Admin) -> Result<(), Refusal> {
    let committed = |(partition, offset): &(TopicPartition, i64)| {
        (partition.clone(), Committed { offset: *offset, epoch: -1 })
    };
    let refused = admin.commit(group, &offsets.iter().map(committed).collect()).await?;
    let Some((_, code)) = refused.first() else { return Ok(()) };
    let mut partitions: Vec<TopicPartition> =
        refused.iter().map(|(partition, _)| partition.clone()).collect();
    sort_partitions(&mut partitions);
    let message = format!(
        "Failed altering group offsets for the following partitions: [{}]",
        joined(&partitions, ", ")
    );
    Err(Refusal::thrown(&Exception::told(*code, Some(message))))
}

fn joined(partitions: &[TopicPartition], separator: &str) -> String {
    let names = partitions.iter().map(|(topic, partition)| format!("{topic}-{partition}"));
    names.collect::<Vec<_>>().join(separator)
}

async fn new_offsets(
    flags: &Flags,
    group: &str,
    admin: &mut Admin,
    out: &mut dyn Write,
) -> Result<Offsets, Refusal> {
    let mut partitions = scope(flags, group, admin).await?;
    check(&partitions, admin).await?;
    sort_partitions(&mut partitions);
    let number = |option| flags.number::<i64>(option).map_err(Refusal::Usage);
    let value = |option| flags.get(option).unwrap_or_default();
    match SCENARIOS.into_iter().find(|scenario| flags.has(scenario)) {
        Some("to-offset") => {
            let offset = number("to-offset")?.unwrap_or_default();
            in_range(partitions.into_iter().map(|one| (one, offset)).collect(), admin).await
        }
        Some("to-earliest") => at(BEGINNING, &partitions, admin).await,
        Some("to-latest") => at(END, &partitions, admin).await,
        Some("to-current") => {
            let committed = committed(group, admin).await?;
            let missing: Vec<TopicPartition> =
                partitions.iter().filter(|one| !committed.contains_key(one)).cloned().collect();
            let mut offsets = at(END, &missing, admin).await?;
            let current = |one: &TopicPartition| Some((one.clone(), committed.get(one)?.offset));
            offsets.extend(partitions.iter().filter_map(current));
            Ok(ordered(offsets))
        }
        Some("shift-by") => {
            let shift = number("shift-by")?.unwrap_or_default();
            in_range(shifted(group, partitions, shift, admin).await?, admin).await
        }
        Some("to-datetime") => {
            let time = datetime_ms(value("to-datetime")).map_err(Refusal::runtime)?;
            at_time(time, &partitions, admin, out).await
        }
        Some("by-duration") => {
            let unread = || {
                let class = "java.time.format.DateTimeParseException";
                Refusal::Failed(class.into(), "Text cannot be parsed to a Duration".into())
            };
            let seconds = duration_seconds(value("by-duration")).ok_or_else(unread)?;
            let ago_ms = (seconds * 1000.0) as i64;
            at_time(OsClock.now_ms().saturating_sub(ago_ms), &partitions, admin, out).await
        }
        Some("from-file") => {
            let text = read_file(Path::new(value("from-file")));
            let text = text.map_err(|error| Refusal::runtime(error.to_string()))?;
            let single = (flags.all("group").count() == 1).then_some(group);
            let mut plan = plan::read(&text, single).map_err(Refusal::runtime)?;
            let Some(wanted) = plan.remove(group) else {
                print_error(out, format_args!("No reset plan for group {group} found"))?;
                return Ok(Vec::new());
            };
            in_range(ordered(wanted), admin).await
        }
        _ => {
            let names = SCENARIOS.map(|name| format!("[{name}]")).join(", ");
            Err(Refusal::Usage(format!(
                "Option '[reset-offsets]' requires one of the following scenarios: [{names}]"
            )))
        }
    }
}

/// The committed offsets moved by so many.
async fn shifted(
    group: &str,
    partitions: Vec<TopicPartition>,
    shift: i64,
    admin: &mut Admin,
) -> Result<Offsets, Refusal> {
    let committed = committed(group, admin).await?;
    let moved = |partition: TopicPartition| match committed.get(&partition) {
        Some(current) => Ok((partition, current.offset.saturating_add(shift))),
        None => Err(Refusal::Usage(format!(
            "Cannot shift offset for partition {} since there is no current committed offset",
            joined(&[partition], "")
        ))),
    };
    partitions.into_iter().map(moved).collect()
}

/// The offsets as a `HashMap` has them; of one partition the last.
fn ordered(offsets: Offsets) -> Offsets {
    let mut partitions: Vec<TopicPartition> = offsets.iter().map(|it| it.0.clone()).collect();
    let offsets: BTreeMap<TopicPartition, i64> = offsets.into_iter().collect();
    sort_partitions(&mut partitions);
    let offset = |partition: TopicPartition| Some((partition.clone(), *offsets.get(&partition)?));
    partitions.into_iter().filter_map(offset).collect()
}

async fn committed(
    group: &str,
    admin: &mut Admin,
) -> Result<BTreeMap<TopicPartition, Committed>, Refusal> {
    admin.committed(group).await.map_err(|exception| Refusal::nested(&exception))
}

/// The partitions that are to be moved.
async fn scope(
    flags: &Flags,
    group: &str,
    admin: &mut Admin,
) -> Result<Vec<TopicPartition>, Refusal> {
    if flags.has("all-topics") {
        return Ok(committed(group, admin).await?.into_keys().collect());
    }
    if !flags.has("topic") && !flags.has("from-file") {
        let message = "One of the reset scopes should be defined: --all-topics, --topic.";
        return Err(Refusal::Usage(message.into()));
    }
    let (some, whole) = named_partitions(flags)?;
    let mut partitions = some;
    for (topic, known) in admin.topics(&whole).await? {
        let known = known.map_err(|exception| Refusal::thrown(&exception))?;
        partitions.extend(known.into_iter().map(|(partition, _)| (topic.clone(), partition)));
    }
    Ok(partitions)
}

/// The partitions of arguments like `topic:0,1`, and the topics of those without.
pub(super) fn named_partitions(
    flags: &Flags,
) -> Result<(Vec<TopicPartition>, Vec<String>), Refusal> {
    let mut partitions = Vec::new();
    let mut whole = Vec::new();
    for argument in flags.all("topic") {
        let Some((topic, numbers)) = argument.split_once(':') else {
            whole.push(argument.to_owned());
            continue;
        };
        if numbers.is_empty() || numbers.contains(':') {
            return Err(Refusal::Usage(format!(
                "Invalid topic arg '{argument}', expected topic name and partitions"
            )));
        }
        for number in numbers.split(',') {
            let number = number.parse().map_err(|_| {
                Refusal::Usage(format!(
                    "Invalid partition '{number}' specified in topic arg '{argument}''"
                ))
            })?;
            partitions.push((topic.to_owned(), number));
        }
    }
    Ok((partitions, whole))
}

/// All partitions exist and have leaders.
async fn check(partitions: &[TopicPartition], admin: &mut Admin) -> Result<(), Refusal> {
    let names: BTreeSet<&String> = partitions.iter().map(|(topic, _)| topic).collect();
    let names: Vec<String> = names.into_iter().cloned().collect();
    let mut known = BTreeMap::new();
    for (topic, partitions) in admin.topics(&names).await? {
        for (partition, leader) in partitions.map_err(|exception| Refusal::nested(&exception))? {
            known.insert((topic.clone(), partition), leader);
        }
    }
    let of = |wanted: Option<i32>| {
        let found = partitions.iter().filter(|one| known.get(one).copied() == wanted);
        joined(&found.cloned().collect::<Vec<_>>(), ",")
    };
    let (missing, leaderless) = (of(None), of(Some(-1)));
    let refused = |class, what| Err(Refusal::thrown(&Exception::new(class, what)));
    if !missing.is_empty() {
        let what = format!("The partitions \"{missing}\" do not exist");
        return refused("UnknownTopicOrPartitionException", what);
    }
    if !leaderless.is_empty() {
        let what = format!("The partitions \"{leaderless}\" have no leader");
        return refused("LeaderNotAvailableException", what);
    }
    Ok(())
}

/// The offsets at a timestamp, -1 where there is none.
async fn at(
    timestamp: i64,
    partitions: &[TopicPartition],
    admin: &mut Admin,
) -> Result<Offsets, Refusal> {
    let offsets = admin.offsets(partitions, timestamp).await;
    let offsets = offsets.map_err(|exception| Refusal::nested(&exception))?;
    let unknown = Exception::of(ErrorCode::UnknownTopicOrPartition.code());
    let offset = |partition: &TopicPartition| {
        let offset = offsets.get(partition).ok_or_else(|| Refusal::nested(&unknown))?;
        Ok((partition.clone(), *offset))
    };
    partitions.iter().map(offset).collect()
}

/// The offsets at a time, or the ends where nothing is that young.
async fn at_time(
    time_ms: i64,
    partitions: &[TopicPartition],
    admin: &mut Admin,
    out: &mut dyn Write,
) -> Result<Offsets, Refusal> {
    let mut offsets = at(time_ms, partitions, admin).await?;
    let late = offsets.iter().filter(|(_, offset)| *offset == -1).map(|it| it.0.clone());
    let late: Vec<TopicPartition> = late.collect();
    for (topic, partition) in &late {
        writeln!(
            out,
            "\nWarn: Partition {partition} from topic {topic} is empty. Falling back to latest known offset."
        )?;
    }
    offsets.retain(|(_, offset)| *offset != -1);
    offsets.extend(at(END, &late, admin).await?);
    Ok(ordered(offsets))
}

/// The offsets, or the ends of their partitions where they lie beyond.
async fn in_range(wanted: Offsets, admin: &mut Admin) -> Result<Offsets, Refusal> {
    let partitions: Vec<TopicPartition> = wanted.iter().map(|it| it.0.clone()).collect();
    let starts = at(BEGINNING, &partitions, admin).await?;
    let ends = at(END, &partitions, admin).await?;
    let mut offsets = Vec::new();
    for (((partition, offset), (_, start)), (_, end)) in wanted.into_iter().zip(starts).zip(ends) {
        let (bound, word, side) = match offset {
            offset if offset > end => (end, "higher", "latest"),
            offset if offset < start => (start, "lower", "earliest"),
            offset => (offset, "", ""),
        };
        if bound != offset {
            let name = joined(std::slice::from_ref(&partition), "");
            eprintln!(
                "WARN New offset ({offset}) is {word} than {side} offset for topic partition {name}. Value will be set to \
                 {bound}"
            );
        }
        offsets.push((partition, bound));
    }
    Ok(offsets)
}
