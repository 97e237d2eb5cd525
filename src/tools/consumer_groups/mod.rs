//! `kafka-consumer-groups`: lists and describes groups, moves and deletes their offsets, deletes them.

mod ask;
mod delete;
mod describe;
mod list;
mod plan;
mod reset;
mod table;
mod time;

use std::fmt::Display;
use std::io::{self, Write};
use std::path::Path;
use std::time::Duration;

use super::flags::{Flags, Row};
use super::java_order::sort_names;
use super::reach::{Unreachable, reach};
use super::{ClientProperties, Failure};
use crate::client::{ClientError, Exception};
use crate::coordinator::group::pattern_error;
use ask::Admin;

/// What stands where there is nothing.
const MISSING: &str = "-";
const EXECUTION_EXCEPTION: &str = "java.util.concurrent.ExecutionException";
const KAFKA_EXCEPTION: &str = "org.apache.kafka.common.KafkaException";
/// How long answers may take, in all, in milliseconds, without `--timeout`.
const PATIENCE_MS: u64 = 30_000;

/// Its options.
#[rustfmt::skip]
pub(super) const OPTIONS: &[Row] = &[
    ("bootstrap-server", "servers", "Brokers to begin with: host:port, separated by commas"),
    ("command-config", "file", "File with settings of the client"),
    ("timeout", "ms", "How long answers may take, in all; 30000 by default"),
    ("group", "group...", "Group; repeat for more"),
    ("all-groups", "", "All groups"),
    ("topic", "topic...", "Topic, or some of its partitions as topic:0,1; repeat for more"),
    ("all-topics", "", "All topics of which the group has offsets"),
    ("list", "", "List groups"),
    ("describe", "", "Describe groups: by default their offsets"),
    ("delete", "", "Delete groups without members"),
    ("delete-offsets", "", "Delete offsets of topics to which no member of the group subscribes"),
    ("reset-offsets", "", "Move the offsets of groups without members; only shown without --execute"),
    ("validate-regex", "regex", "Check a regular expression (RE2)"),
    ("offsets", "", "With --describe: where the group stands in each partition"),
    ("members", "", "With --describe: who is in the group"),
    ("state", "[states]", "With --describe: how the group is. With --list: the same, of those in one of these states"),
    ("type", "[types]", "With --list: of what kind the group is; those of one of these kinds"),
    ("verbose", "", "With --describe: more of it"),
    ("dry-run", "", "Only show what would be done"),
    ("execute", "", "Do it"),
    ("export", "", "Print it as comma-separated values"),
    ("to-offset", "offset", "To this offset"),
    ("shift-by", "count", "By so many offsets, back if negative"),
    ("to-datetime", "time", "To the first record not older than this time, as 2026-01-31T23:59:59.000"),
    ("by-duration", "duration", "To the first record not older than so much before now, as P1DT2H3M4S"),
    ("to-earliest", "", "To the first record"),
    ("to-latest", "", "Behind the last record"),
    ("to-current", "", "To where it is, or behind the last record"),
    ("from-file", "file", "To what a file of comma-separated values says"),
];
/// What the tool does.
const ACTIONS: [&str; 6] =
    ["list", "describe", "delete", "reset-offsets", "delete-offsets", "validate-regex"];
/// The ways of moving offsets.
const SCENARIOS: [&str; 8] = [
    "to-offset",
    "to-datetime",
    "by-duration",
    "to-earliest",
    "to-latest",
    "to-current",
    "shift-by",
    "from-file",
];

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

impl From<Exception> for Refusal {
    fn from(exception: Exception) -> Self {
        Self::executed(&exception)
    }
}

impl From<ClientError> for Refusal {
    fn from(error: ClientError) -> Self {
        Self::from(Exception::from(&error))
    }
}

/// Looks for what does not go together, in Kafka's words.
fn check(flags: &Flags) -> Result<(), Failure> {
    let fail = |message: String| Err(Failure::err(message));
    if !flags.has("validate-regex") {
        flags.require("bootstrap-server")?;
    }
    let groups = "takes one of these options: [group], [all-groups]";
    let has_groups = flags.has("group") || flags.has("all-groups");
    for action in ["describe", "delete"] {
        if flags.has(action) && !has_groups {
            return fail(format!("Option [{action}] {groups}"));
        }
    }
    if flags.has("describe") {
        let kinds = ["members", "offsets", "state"];
        if kinds.iter().filter(|kind| flags.has(kind)).count() > 1 {
            let kinds = kinds.map(|kind| format!("[{kind}]")).join(", ");
            return fail(format!("Option [describe] takes at most one of these options: {kinds}"));
        }
        if flags.get("state").is_some_and(|state| !state.is_empty()) {
            return fail("Option [describe] does not take a value for [state]".into());
        }
    }
    if flags.has("delete") && flags.has("topic") {
        let message =
            "The consumer does not support topic-specific offset deletion from a consumer group.";
        return fail(message.into());
    }
    if flags.has("delete-offsets") && !(flags.has("group") && flags.has("topic")) {
        let message = "Option [delete-offsets] takes the following options: [group], [topic]";
        return fail(message.into());
    }
    if flags.has("reset-offsets") {
        if flags.has("dry-run") && flags.has("execute") {
            let message = "Option [reset-offsets] only accepts one of [execute] and [dry-run]";
            return fail(message.into());
        }
        if !flags.has("dry-run") && !flags.has("execute") {
            eprintln!(
                "WARN: No action will be performed as the --execute option is missing. In version 5.0, this command will \
                 require either --dry-run or --execute to be specified. You should add the --dry-run option explicitly if \
                 you are scripting this command and want to keep the current default behavior without prompting."
            );
        }
        if !has_groups {
            return fail(format!("Option [reset-offsets] {groups}"));
        }
        for (place, scenario) in SCENARIOS.iter().enumerate() {
            flags.exclude(scenario, &SCENARIOS[place + 1..])?;
        }
    }
    flags.exclude("group", &["all-groups", "list"])?;
    flags.exclude("topic", &["list", "describe"])?;
    if ACTIONS.iter().filter(|action| flags.has(action)).count() == 1 {
        return Ok(());
    }
    let actions = ACTIONS.map(|action| format!("--{action}")).join(", ");
    fail(format!("Command must include exactly one action: {actions}"))
}

/// Runs the tool.
pub(super) async fn run(flags: Flags) -> Result<(), Failure> {
    check(&flags)?;
    let mut out = io::stdout().lock();
    let outcome = match flags.get("validate-regex") {
        Some(pattern) => validate(pattern, &mut out).map_err(Refusal::from),
        None => act(&flags, &mut out).await,
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

async fn act(flags: &Flags, out: &mut dyn Write) -> Result<(), Refusal> {
    let failed = |failure: Failure| Refusal::Usage(failure.err);
    let file = flags.get("command-config").map(Path::new);
    let properties = ClientProperties::read(file, &[]).map_err(failed)?;
    let patience = flags.number("timeout").map_err(Refusal::Usage)?.unwrap_or(PATIENCE_MS);
    let patience = Duration::from_millis(patience);
    let timeout = properties.request_timeout().map_err(failed)?.min(patience);
    let servers = flags.get("bootstrap-server").unwrap_or_default();
    let client_id = properties.get("client.id").unwrap_or("adminclient-1");
    let reached = reach(client_id, servers, timeout, Some(patience)).await;
    let cluster = reached.map_err(|error| {
        if let Unreachable::Config(_) = error {
            let message = "Failed to create new KafkaAdminClient";
            return Refusal::Failed(KAFKA_EXCEPTION.into(), message.into());
        }
        let call = match (flags.has("delete"), flags.has("delete-offsets")) {
            _ if flags.has("list") || flags.has("all-groups") => {
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
    match ACTIONS.into_iter().find(|action| flags.has(action)) {
        Some("list") => list::run(flags, &mut admin, out).await,
        Some("describe") => describe::run(flags, &mut admin, out).await,
        Some("delete") => delete::groups(flags, &mut admin, out).await,
        Some("delete-offsets") => delete::offsets(flags, &mut admin, out).await,
        _ => reset::run(flags, &mut admin, out).await,
    }
}

/// The groups that are asked for, in the order in which Kafka's tool goes through them.
async fn group_names(flags: &Flags, admin: &mut Admin) -> Result<Vec<String>, Refusal> {
    let mut names = match flags.has("all-groups") {
        true => admin.names().await.map_err(|exception| Refusal::nested(&exception))?,
        false => flags.all("group").map(str::to_owned).collect(),
    };
    sort_names(&mut names);
    Ok(names)
}

#[cfg(test)]
mod tests;
