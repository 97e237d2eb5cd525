//! `--delete` and `--delete-offsets`.

use std::io::Write;

use super::ask::Admin;
use super::reset::named_partitions;
use super::table::{self, Width, names};
use super::{MISSING, Refusal, group_names, print_error};
use crate::client::{Exception, TopicPartition, by_topic, error_name};
use crate::tools::flags::Flags;
use crate::tools::java_order::sort_partitions;
use crate::wire::ErrorCode;
use crate::wire::messages::delete_groups::{DeleteGroupsRequest, DeleteGroupsResponse};
use crate::wire::messages::offset_delete::{
    OffsetDeleteRequest, OffsetDeleteRequestPartition, OffsetDeleteRequestTopic,
    OffsetDeleteResponse,
};

/// Deletes groups.
pub(super) async fn groups(
    flags: &Flags,
    admin: &mut Admin,
    out: &mut dyn Write,
) -> Result<(), Refusal> {
    let (mut deleted, mut failed) = (Vec::new(), Vec::new());
    for name in group_names(flags, admin).await? {
        match delete_group(&name, admin).await? {
            0 => deleted.push(format!("'{name}'")),
            code => failed.push((name, Exception::of(code))),
        }
    }
    let deleted = deleted.join(", ");
    if failed.is_empty() {
        writeln!(out, "Deletion of requested consumer groups ({deleted}) was successful.")?;
        return Ok(());
    }
    print_error(out, "Deletion of some consumer groups failed:")?;
    for (name, exception) in failed {
        writeln!(out, "* Group '{name}' could not be deleted due to: {exception}")?;
    }
    if !deleted.is_empty() {
        writeln!(out, "\nThese consumer groups were deleted successfully: {deleted}")?;
    }
    Ok(())
}

async fn delete_group(name: &str, admin: &mut Admin) -> Result<i16, Refusal> {
    let request = DeleteGroupsRequest { groups_names: vec![name.to_owned()] };
    let code = |answer: &DeleteGroupsResponse| {
        answer.results.first().map_or(0, |result| result.error_code)
    };
    Ok(code(&admin.ask(name, &request, code).await?))
}

/// Deletes offsets of a group.
pub(super) async fn offsets(
    flags: &Flags,
    admin: &mut Admin,
    out: &mut dyn Write,
) -> Result<(), Refusal> {
    let groups: Vec<&str> = flags.all("group").collect();
    let [group] = groups[..] else {
        let found = groups.join(", ");
        return Err(Refusal::Usage(format!(
            "Found multiple arguments for option group, but you asked for only one: [{found}]"
        )));
    };
    let (mut partitions, whole) = named_partitions(flags)?;
    let mut results: Vec<(TopicPartition, Option<Exception>)> = Vec::new();
    for (topic, known) in admin.topics(&whole).await? {
        match known {
            Ok(known) => partitions.extend(known.into_iter().map(|it| (topic.clone(), it.0))),
            Err(exception) => results.push(((topic, -1), Some(exception))),
        }
    }
    sort_partitions(&mut partitions);
    let (top, codes) = match delete_offsets(group, &partitions, admin).await? {
        Ok(codes) => (codes.iter().copied().find(|code| *code != 0).unwrap_or(0), codes),
        Err(code) => (code, vec![code; partitions.len()]),
    };
    tell(group, top, out)?;
    for (partition, code) in partitions.into_iter().zip(codes) {
        results.push((partition, (code != 0).then(|| Exception::of(code))));
    }
    results.sort_by_key(|((topic, partition), _)| format!("{topic}{partition}"));
    let row = |((topic, partition), exception): (TopicPartition, Option<Exception>)| {
        let partition = if partition < 0 { MISSING.into() } else { partition.to_string() };
        let status =
            exception.map_or("Successful".into(), |exception| format!("Error: {exception}"));
        [topic, partition, status]
    };
    let columns =
        [names("TOPIC"), ("PARTITION", Width::Fixed(10), true), ("STATUS", Width::Fixed(15), true)];
    Ok(table::print(out, columns, results.into_iter().map(row).collect())?)
}

/// What became of it as a whole.
fn tell(group: &str, code: i16, out: &mut dyn Write) -> Result<(), Refusal> {
    let is = |errors: &[ErrorCode]| errors.iter().any(|error| error.code() == code);
    let of_group = [
        ErrorCode::InvalidGroupId,
        ErrorCode::GroupIdNotFound,
        ErrorCode::GroupAuthorizationFailed,
        ErrorCode::NonEmptyGroup,
    ];
    let of_partitions = [
        ErrorCode::GroupSubscribedToTopic,
        ErrorCode::TopicAuthorizationFailed,
        ErrorCode::UnknownTopicOrPartition,
    ];
    if code == 0 {
        writeln!(out, "Request succeeded for deleting offsets from group {group}.")?;
    } else if is(&of_group) {
        print_error(out, Exception::of(code).message)?;
    } else if is(&of_partitions) {
        print_error(out, "Encountered some partition-level error, see the follow-up details.")?;
    } else {
        print_error(out, format_args!("Encountered some unknown error: {}", error_name(code)))?;
    }
    Ok(())
}

/// The code of each partition, or that of the group.
async fn delete_offsets(
    group: &str,
    partitions: &[TopicPartition],
    admin: &mut Admin,
) -> Result<Result<Vec<i16>, i16>, Refusal> {
    let topic = |(name, partitions): (&str, Vec<i32>)| OffsetDeleteRequestTopic {
        name: name.to_owned(),
        partitions: partitions
            .into_iter()
            .map(|partition_index| OffsetDeleteRequestPartition { partition_index })
            .collect(),
    };
    let topics = by_topic(partitions).into_iter().map(topic).collect();
    let request = OffsetDeleteRequest { group_id: group.to_owned(), topics };
    let code = |answer: &OffsetDeleteResponse| answer.error_code;
    let answer = admin.ask(group, &request, code).await?;
    if answer.error_code != 0 {
        return Ok(Err(answer.error_code));
    }
    let code = |(topic, partition): &TopicPartition| {
        let topic = answer.topics.iter().find(|one| one.name == *topic)?;
        let found = topic.partitions.iter().find(|one| one.partition_index == *partition)?;
        Some(found.error_code)
    };
    let missing = ErrorCode::UnknownServerError.code();
    Ok(Ok(partitions.iter().map(|partition| code(partition).unwrap_or(missing)).collect()))
}
