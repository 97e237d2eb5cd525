//! `kafka-consumer-groups`: lists and describes groups, moves and deletes their offsets, deletes them.

mod ask;
mod delete;
mod describe;
mod list;
mod order;
mod plan;
mod reset;
mod time;

use std::fmt::Display;
use std::io::{self, Write};
use std::path::PathBuf;
use std::time::Duration;

use clap::Parser;

use super::reach::{Unreachable, reach};
use super::{ClientProperties, Failure};
use crate::client::{ClientError, Exception};
use crate::coordinator::group::pattern_error;
use ask::Admin;
use order::name_order;

/// What stands where there is nothing.
const MISSING: &str = "-";
const EXECUTION_EXCEPTION: &str = "java.util.concurrent.ExecutionException";
const KAFKA_EXCEPTION: &str = "org.apache.kafka.common.KafkaException";
/// Narrowest column of names.
const WIDTH_MIN: usize = 15;

/// Shows groups of consumers, moves or deletes their offsets, deletes groups.
#[derive(Debug, Default, Parser)]
#[command(version, infer_long_args = true, arg_required_else_help = true)]
#[expect(clippy::struct_excessive_bools, reason = "they are Kafka's options")]
pub(super) struct Options {
    /// Brokers to begin with: host:port, separated by commas.
    #[arg(long, value_name = "servers")]
    bootstrap_server: Option<String>,
    /// File with settings of the client.
    #[arg(long, value_name = "file")]
    command_config: Option<PathBuf>,
    /// How long answers may take, in all.
    #[arg(long, value_name = "ms", default_value_t = 30_000)]
    timeout: u64,
    /// Group; repeat for more.
    #[arg(long)]
    group: Vec<String>,
    /// All groups.
    #[arg(long)]
    all_groups: bool,
    /// Topic, or some of its partitions as topic:0,1; repeat for more.
    #[arg(long)]
    topic: Vec<String>,
    /// All topics of which the group has offsets.
    #[arg(long)]
    all_topics: bool,
    /// List groups.
    #[arg(long)]
    list: bool,
    /// Describe groups: by default their offsets.
    #[arg(long)]
    describe: bool,
    /// Delete groups without members.
    #[arg(long)]
    delete: bool,
    /// Delete offsets of topics to which no member of the group subscribes.
    #[arg(long)]
    delete_offsets: bool,
    /// Move the offsets of groups without members; only shown without --execute.
    #[arg(long)]
    reset_offsets: bool,
    /// Check a regular expression (RE2).
    #[arg(long, value_name = "regex", allow_hyphen_values = true)]
    validate_regex: Option<String>,
    /// With --describe: where the group stands in each partition.
    #[arg(long)]
    offsets: bool,
    /// With --describe: who is in the group.
    #[arg(long)]
    members: bool,
    /// With --describe: how the group is. With --list: the same, of those in one of these states.
    #[arg(long, value_name = "states", num_args = 0..=1, default_missing_value = "")]
    state: Option<String>,
    /// With --list: of what kind the group is; those of one of these kinds.
    #[arg(long = "type", value_name = "types", num_args = 0..=1, default_missing_value = "")]
    types: Option<String>,
    /// With --describe: more of it.
    #[arg(long)]
    verbose: bool,
    /// Only show what would be done.
    #[arg(long)]
    dry_run: bool,
    /// Do it.
    #[arg(long)]
    execute: bool,
    /// Print it as comma-separated values.
    #[arg(long)]
    export: bool,
    /// To this offset.
    #[arg(long, value_name = "offset", allow_negative_numbers = true)]
    to_offset: Option<i64>,
    /// By so many offsets, back if negative.
    #[arg(long, value_name = "count", allow_negative_numbers = true)]
    shift_by: Option<i64>,
    /// To the first record not older than this time, as 2026-01-31T23:59:59.000.
    #[arg(long, value_name = "time")]
    to_datetime: Option<String>,
    /// To the first record not older than so much before now, as P1DT2H3M4S.
    #[arg(long, value_name = "duration", allow_hyphen_values = true)]
    by_duration: Option<String>,
    /// To the first record.
    #[arg(long)]
    to_earliest: bool,
    /// Behind the last record.
    #[arg(long)]
    to_latest: bool,
    /// To where it is, or behind the last record.
    #[arg(long)]
    to_current: bool,
    /// To what a file of comma-separated values says.
    #[arg(long, value_name = "file")]
    from_file: Option<PathBuf>,
}

/// Why a command ends.
#[derive(Debug)]
enum Refusal {
    /// The command line asks for something that cannot be.
    Usage(String),
    /// A Java exception, by its class: told on standard output, and what of Java's trace is of use on standard error. As
    /// in Kafka the exit code stays 0.
    Failed(String, String),
    /// Nobody reads what is printed.
    Output(io::Error),
}

impl Refusal {
    /// An exception of Kafka's client that its own thread has met.
    fn thrown(exception: &Exception) -> Self {
        Self::Failed(exception.class_name(), exception.message.clone())
    }

    /// One that another thread has met.
    fn executed(exception: &Exception) -> Self {
        Self::Failed(EXECUTION_EXCEPTION.into(), exception.to_string())
    }

    /// The same when it is thrown once more.
    fn nested(exception: &Exception) -> Self {
        Self::runtime(format!("{EXECUTION_EXCEPTION}: {exception}"))
    }

    fn runtime(message: impl Into<String>) -> Self {
        Self::Failed("java.lang.RuntimeException".into(), message.into())
    }
}

impl From<io::Error> for Refusal {
    fn from(error: io::Error) -> Self {
        Self::Output(error)
    }
}

impl From<ClientError> for Refusal {
    fn from(error: ClientError) -> Self {
        Self::executed(&Exception::from(&error))
    }
}

impl Options {
    /// Looks for what does not go together, in Kafka's words.
    fn check(&self) -> Result<(), String> {
        let fail = |message: String| Err(message);
        if self.bootstrap_server.is_none() && self.validate_regex.is_none() {
            return fail("Missing required argument \"[bootstrap-server]\"".into());
        }
        let groups = "[group], [all-groups]";
        let has_groups = !self.group.is_empty() || self.all_groups;
        for (is_asked, name) in [(self.describe, "[describe]"), (self.delete, "[delete]")] {
            if is_asked && !has_groups {
                return fail(format!("Option {name} takes one of these options: {groups}"));
            }
        }
        let kinds = [self.members, self.offsets, self.state.is_some()];
        if self.describe && kinds.iter().filter(|is_asked| **is_asked).count() > 1 {
            let kinds = "[members], [offsets], [state]";
            return fail(format!("Option [describe] takes at most one of these options: {kinds}"));
        }
        if self.describe && self.state.as_deref().is_some_and(|state| !state.is_empty()) {
            return fail("Option [describe] does not take a value for [state]".into());
        }
        if self.delete && !self.topic.is_empty() {
            let message = "The consumer does not support topic-specific offset deletion from a consumer group.";
            return fail(message.into());
        }
        if self.delete_offsets && (self.group.is_empty() || self.topic.is_empty()) {
            return fail(
                "Option [delete-offsets] takes the following options: [group], [topic]".into(),
            );
        }
        if self.reset_offsets {
            self.check_reset(has_groups, groups)?;
        }
        let cannot = |one: &str, other: &str| {
            Err(format!("Option \"[{one}]\" can't be used with option \"[{other}]\""))
        };
        if !self.group.is_empty() && self.all_groups {
            return cannot("group", "all-groups");
        }
        if !self.group.is_empty() && self.list {
            return cannot("group", "list");
        }
        let others = [(self.list, "list"), (self.describe, "describe")];
        match others.iter().find(|(is_asked, _)| *is_asked && !self.topic.is_empty()) {
            Some((_, other)) => cannot("topic", other),
            None => self.check_action(),
        }
    }

    fn check_reset(&self, has_groups: bool, groups: &str) -> Result<(), String> {
        if self.dry_run && self.execute {
            return Err("Option [reset-offsets] only accepts one of [execute] and [dry-run]".into());
        }
        if !self.dry_run && !self.execute {
            eprintln!(
                "WARN: No action will be performed as the --execute option is missing. In version 5.0, this command will \
                 require either --dry-run or --execute to be specified. You should add the --dry-run option explicitly if \
                 you are scripting this command and want to keep the current default behavior without prompting."
            );
        }
        if !has_groups {
            return Err(format!("Option [reset-offsets] takes one of these options: {groups}"));
        }
        let given: Vec<&str> = self.scenarios().iter().filter(|it| it.1).map(|it| it.0).collect();
        match given[..] {
            [one, other, ..] => {
                Err(format!("Option \"[{one}]\" can't be used with option \"[{other}]\""))
            }
            _ => Ok(()),
        }
    }

    /// The ways of moving offsets, and whether they were asked for.
    fn scenarios(&self) -> [(&'static str, bool); 8] {
        [
            ("to-offset", self.to_offset.is_some()),
            ("to-datetime", self.to_datetime.is_some()),
            ("by-duration", self.by_duration.is_some()),
            ("to-earliest", self.to_earliest),
            ("to-latest", self.to_latest),
            ("to-current", self.to_current),
            ("shift-by", self.shift_by.is_some()),
            ("from-file", self.from_file.is_some()),
        ]
    }

    fn check_action(&self) -> Result<(), String> {
        let actions = [
            ("--list", self.list),
            ("--describe", self.describe),
            ("--delete", self.delete),
            ("--reset-offsets", self.reset_offsets),
            ("--delete-offsets", self.delete_offsets),
            ("--validate-regex", self.validate_regex.is_some()),
        ];
        if actions.iter().filter(|(_, is_asked)| *is_asked).count() == 1 {
            return Ok(());
        }
        let names = actions.map(|(name, _)| name).join(", ");
        Err(format!("Command must include exactly one action: {names}"))
    }
}

/// Runs the tool.
pub(super) async fn run(options: Options) -> Result<(), Failure> {
    options.check().map_err(Failure::err)?;
    let mut out = io::stdout().lock();
    let outcome = match &options.validate_regex {
        Some(pattern) => validate(pattern, &mut out).map_err(Refusal::from),
        None => act(&options, &mut out).await,
    };
    match outcome {
        Ok(()) => Ok(()),
        Err(Refusal::Usage(message)) => Err(Failure::err(message)),
        Err(Refusal::Output(error)) => Err(error.into()),
        Err(Refusal::Failed(class, message)) => {
            let what = format!("Executing consumer group command failed due to {message}");
            print_error(&mut out, what)?;
            eprintln!("{class}: {message}");
            Ok(())
        }
    }
}

fn validate(pattern: &str, out: &mut dyn Write) -> io::Result<()> {
    match pattern_error(pattern) {
        None => writeln!(out, "The regular expression `{pattern}` is valid."),
        Some(error) => writeln!(out, "The regular expression `{pattern}` is invalid: {error}."),
    }
}

fn print_error(out: &mut dyn Write, message: impl Display) -> io::Result<()> {
    writeln!(out, "\nError: {message}")
}

async fn act(options: &Options, out: &mut dyn Write) -> Result<(), Refusal> {
    let failed = |failure: Failure| Refusal::Usage(failure.err);
    let properties =
        ClientProperties::read(options.command_config.as_deref(), &[]).map_err(failed)?;
    let patience = Duration::from_millis(options.timeout);
    let timeout = properties.request_timeout().map_err(failed)?.min(patience);
    let servers = options.bootstrap_server.as_deref().unwrap_or_default();
    let client_id = properties.get("client.id").unwrap_or("adminclient-1");
    let reached = reach(client_id, servers, timeout, Some(patience)).await;
    let cluster = reached.map_err(|error| {
        if let Unreachable::Config(_) = error {
            let message = "Failed to create new KafkaAdminClient";
            return Refusal::Failed(KAFKA_EXCEPTION.into(), message.into());
        }
        let call = match (options.delete, options.delete_offsets) {
            _ if options.list || options.all_groups => {
                let message = "Failed to find brokers to send ListGroups";
                return Refusal::runtime(format!(
                    "{EXECUTION_EXCEPTION}: {KAFKA_EXCEPTION}: {message}"
                ));
            }
            (true, _) => "deleteConsumerGroups(api=FIND_COORDINATOR)",
            (_, true) => "deleteConsumerGroupOffsets(api=FIND_COORDINATOR)",
            _ => "describeConsumerGroups(api=FIND_COORDINATOR)",
        };
        let message = format!("Timed out waiting for a node assignment. Call: {call}");
        Refusal::executed(&Exception::new("TimeoutException", message))
    })?;
    let mut admin = Admin::new(cluster, patience);
    if options.list {
        list::run(options, &mut admin, out).await
    } else if options.describe {
        describe::run(options, &mut admin, out).await
    } else if options.delete {
        delete::groups(options, &mut admin, out).await
    } else if options.delete_offsets {
        delete::offsets(options, &mut admin, out).await
    } else {
        reset::run(options, &mut admin, out).await
    }
}

/// The groups that are asked for, in the order in which Kafka's tool goes through them.
async fn group_names(options: &Options, admin: &mut Admin) -> Result<Vec<String>, Refusal> {
    let mut names = match options.all_groups {
        true => admin.names().await?.map_err(|exception| Refusal::nested(&exception))?,
        false => options.group.clone(),
    };
    name_order(&mut names);
    Ok(names)
}

/// The width of a column: that of its longest text, and no less than 15.
fn width<'a>(texts: impl IntoIterator<Item = &'a str>) -> usize {
    // Java counts the units of UTF-16.
    let lengths = texts.into_iter().map(|text| text.encode_utf16().count());
    lengths.max().unwrap_or_default().max(WIDTH_MIN)
}

#[cfg(test)]
mod tests;
