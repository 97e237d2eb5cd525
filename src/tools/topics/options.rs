//! The command line of `kafka-topics`.

use crate::tools::Failure;
use crate::tools::flags::{Flags, Row};

/// Its options.
#[rustfmt::skip]
pub(crate) const OPTIONS: &[Row] = &[
    ("bootstrap-server", "host:port", "The brokers to begin with, several with commas between"),
    ("command-config", "file", "A file with properties of the client"),
    ("list", "", "Print the names of topics"),
    ("create", "", "Create a topic"),
    ("delete", "", "Delete topics"),
    ("alter", "", "Add partitions to topics"),
    ("describe", "", "Print what topics are like, and their partitions"),
    ("topic", "topic", "The topic; a regular expression, except with --create"),
    ("topic-id", "id", "The id of the topic to describe"),
    ("config", "name=value...", "A setting of the new topic; repeat for more"),
    ("delete-config", "name...", "Has no effect any more"),
    ("partitions", "number", "How many partitions the topic is to have"),
    ("replication-factor", "number", "How many replicas each partition is to have"),
    ("replica-assignment", "1:2,2:3,..", "The brokers of each partition: commas between partitions, colons between replicas"),
    ("under-replicated-partitions", "", "Describe only partitions with fewer replicas in sync than they have"),
    ("unavailable-partitions", "", "Describe only partitions without a leader that lives"),
    ("under-min-isr-partitions", "", "Describe only partitions with fewer replicas in sync than min.insync.replicas"),
    ("at-min-isr-partitions", "", "Describe only partitions with exactly min.insync.replicas in sync"),
    ("topics-with-overrides", "", "Describe only topics with settings of their own"),
    ("if-exists", "", "No topic is no error"),
    ("if-not-exists", "", "A topic that is there already is no error"),
    ("exclude-internal", "", "Leave internal topics away"),
    ("partition-size-limit-per-response", "number", "How many partitions a broker may describe at once"),
];

/// What the tool does.
const ACTIONS: [&str; 5] = ["create", "alter", "describe", "list", "delete"];
/// Options with the actions to which they belong.
const BELONGS: [(&str, &[&str]); 12] = [
    ("config", &["alter", "create"]),
    ("partitions", &["alter", "create"]),
    ("replication-factor", &["create"]),
    ("replica-assignment", &["alter", "create"]),
    (REPORTS[0], &["describe"]),
    (REPORTS[1], &["describe"]),
    (REPORTS[2], &["describe"]),
    (REPORTS[3], &["describe"]),
    ("topics-with-overrides", &["describe"]),
    ("if-exists", &["alter", "delete", "describe"]),
    ("if-not-exists", &["create"]),
    ("exclude-internal", &["list", "describe"]),
];
/// What chooses partitions to describe.
pub(super) const REPORTS: [&str; 4] = [
    "under-replicated-partitions",
    "under-min-isr-partitions",
    "at-min-isr-partitions",
    "unavailable-partitions",
];

/// What to do, if the options fit together. What is said of those that do not is Kafka's.
pub(super) fn action(flags: &Flags) -> Result<&'static str, Failure> {
    let chosen: Vec<&str> = ACTIONS.into_iter().filter(|action| flags.has(action)).collect();
    let [action] = chosen[..] else {
        return Err(Failure::err(
            "Command must include exactly one action: --list, --describe, --create, --alter or --delete",
        ));
    };
    if flags.has("delete-config") {
        eprintln!(
            "delete-config option is no longer supported and deprecated since version 4.0. \
             The config will be fully removed in future releases."
        );
    }
    if !flags.has("bootstrap-server") {
        return Err(Failure::err("--bootstrap-server must be specified"));
    }
    let has_topic = flags.has("topic");
    if action == "describe" && flags.has("if-exists") && !has_topic && !flags.has("topic-id") {
        return Err(Failure::err("--topic or --topic-id is required to describe a topic"));
    }
    if !["list", "describe"].contains(&action) {
        flags.require("topic")?;
    }
    if action == "alter" {
        if flags.has("config") {
            return Err(Failure::err(
                "Option combination \"[[bootstrap-server], [config]]\" can't be used with option \"[alter]\" \
                 (To alter topic configurations, the kafka-configs tool can be used.)",
            ));
        }
        flags.require("partitions")?;
    }
    for (option, actions) in BELONGS {
        if !actions.contains(&action) {
            flags.exclude(option, &[action])?;
        }
    }
    if action == "create" {
        flags.exclude("replica-assignment", &["partitions", "replication-factor"])?;
    }
    REPORTS.iter().try_for_each(|report| flags.exclude(report, &["topics-with-overrides"]))?;
    Ok(action)
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::tools::flags::command;

    /// The options of a line.
    pub(crate) fn flags(line: &str) -> Flags {
        let words = line.split(' ').filter(|word| !word.is_empty());
        let line = ["", "--bootstrap-server", "h:1"].into_iter().chain(words);
        Flags(command("kafka-topics", "", OPTIONS).try_get_matches_from(line).unwrap())
    }

    #[test]
    fn there_is_one_action() {
        assert_eq!(action(&flags("--list --topic a some words")).unwrap(), "list");
        assert_eq!(action(&flags("--describe --if-exists --topic t")).unwrap(), "describe");
        assert_eq!(action(&flags("--alter --topic t --partitions=3")).unwrap(), "alter");
        for line in ["--list --delete", "--topic t"] {
            let said = action(&flags(line)).unwrap_err().err;
            assert!(said.starts_with("Command must include exactly one action: "), "{said}");
        }
    }

    #[test]
    fn options_that_do_not_fit_are_named() {
        let refused = |line| action(&flags(line)).unwrap_err().err;
        assert_eq!(refused("--create"), "Missing required argument \"[topic]\"");
        for (line, option, other) in [
            ("--list --partitions 3", "partitions", "list"),
            (
                "--create --topic t --replica-assignment 1 --partitions 1",
                "replica-assignment",
                "partitions",
            ),
            (
                "--describe --topics-with-overrides --unavailable-partitions",
                "unavailable-partitions",
                "topics-with-overrides",
            ),
        ] {
            let expected = format!("Option \"[{option}]\" can't be used with option \"[{other}]\"");
            assert_eq!(refused(line), expected);
        }
    }
}
