//! The command line of `kafka-topics`.

use std::path::PathBuf;

use clap::Parser;

use crate::tools::Failure;

/// Creates, lists, describes, changes and deletes topics.
#[derive(Debug, Default, Parser)]
#[expect(clippy::struct_excessive_bools, reason = "each is a flag")]
pub(crate) struct Options {
    /// The brokers to begin with, several with commas between
    #[arg(long, value_name = "host:port")]
    pub(super) bootstrap_server: Option<String>,
    /// A file with properties of the client
    #[arg(long, value_name = "file")]
    pub(super) command_config: Option<PathBuf>,
    /// Print the names of topics
    #[arg(long)]
    list: bool,
    /// Create a topic
    #[arg(long)]
    create: bool,
    /// Delete topics
    #[arg(long)]
    delete: bool,
    /// Add partitions to topics
    #[arg(long)]
    alter: bool,
    /// Print what topics are like, and their partitions
    #[arg(long)]
    describe: bool,
    /// The topic; a regular expression, except with --create
    #[arg(long, value_name = "topic")]
    pub(super) topic: Option<String>,
    /// The id of the topic to describe
    #[arg(long, value_name = "id")]
    pub(super) topic_id: Option<String>,
    /// A setting of the new topic; repeat for more
    #[arg(long, value_name = "name=value")]
    pub(super) config: Vec<String>,
    /// Has no effect any more
    #[arg(long, value_name = "name", hide = true)]
    delete_config: Vec<String>,
    /// How many partitions the topic is to have
    #[arg(long, value_name = "number")]
    pub(super) partitions: Option<String>,
    /// How many replicas each partition is to have
    #[arg(long, value_name = "number")]
    pub(super) replication_factor: Option<String>,
    /// The brokers of each partition: commas between partitions, colons between replicas
    #[arg(long, value_name = "1:2,2:3,...")]
    pub(super) replica_assignment: Option<String>,
    /// Describe only partitions with fewer replicas in sync than they have
    #[arg(long)]
    pub(super) under_replicated_partitions: bool,
    /// Describe only partitions without a leader that lives
    #[arg(long)]
    pub(super) unavailable_partitions: bool,
    /// Describe only partitions with fewer replicas in sync than min.insync.replicas
    #[arg(long)]
    pub(super) under_min_isr_partitions: bool,
    /// Describe only partitions with exactly min.insync.replicas in sync
    #[arg(long)]
    pub(super) at_min_isr_partitions: bool,
    /// Describe only topics with settings of their own
    #[arg(long)]
    pub(super) topics_with_overrides: bool,
    /// No topic is no error
    #[arg(long)]
    pub(super) if_exists: bool,
    /// A topic that is there already is no error
    #[arg(long)]
    pub(super) if_not_exists: bool,
    /// Leave internal topics away
    #[arg(long)]
    pub(super) exclude_internal: bool,
    /// How many partitions a broker may describe at once
    #[arg(long, value_name = "number")]
    pub(super) partition_size_limit_per_response: Option<String>,
    /// Other words say nothing, as to Kafka's tool.
    #[arg(hide = true)]
    _others: Vec<String>,
}

/// What to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Action {
    List,
    Create,
    Delete,
    Alter,
    Describe,
}

use Action::{Alter, Create, Delete, Describe, List};

impl Options {
    /// What to do, if the options fit together. What is said of those that do not is Kafka's.
    pub(super) fn action(&self) -> Result<Action, Failure> {
        let flags = [
            (self.list, List),
            (self.create, Create),
            (self.delete, Delete),
            (self.alter, Alter),
            (self.describe, Describe),
        ];
        let chosen: Vec<Action> =
            flags.into_iter().filter(|(is_set, _)| *is_set).map(|(_, action)| action).collect();
        let [action] = chosen[..] else {
            return Err(Failure::err(
                "Command must include exactly one action: --list, --describe, --create, --alter or --delete",
            ));
        };
        if !self.delete_config.is_empty() {
            eprintln!(
                "delete-config option is no longer supported and deprecated since version 4.0. \
                 The config will be fully removed in future releases."
            );
        }
        self.check_required(action)?;
        self.check_combination(action)?;
        Ok(action)
    }

    fn check_required(&self, action: Action) -> Result<(), Failure> {
        let missing =
            |option| Err(Failure::err(format!("Missing required argument \"[{option}]\"")));
        if self.bootstrap_server.is_none() {
            return Err(Failure::err("--bootstrap-server must be specified"));
        }
        match action {
            Describe if self.if_exists && self.topic.is_none() && self.topic_id.is_none() => {
                Err(Failure::err("--topic or --topic-id is required to describe a topic"))
            }
            List | Describe => Ok(()),
            _ if self.topic.is_none() => missing("topic"),
            Alter if !self.config.is_empty() => Err(Failure::err(
                "Option combination \"[[bootstrap-server], [config]]\" can't be used with option \"[alter]\" \
                 (To alter topic configurations, the kafka-configs tool can be used.)",
            )),
            Alter if self.partitions.is_none() => missing("partitions"),
            _ => Ok(()),
        }
    }

    fn check_combination(&self, action: Action) -> Result<(), Failure> {
        let name = format!("{action:?}").to_lowercase();
        let (assignment, overrides) =
            (self.replica_assignment.is_some(), self.topics_with_overrides);
        let (partitions, factor) = (self.partitions.is_some(), self.replication_factor.is_some());
        let reports = [
            ("under-replicated-partitions", self.under_replicated_partitions),
            ("under-min-isr-partitions", self.under_min_isr_partitions),
            ("at-min-isr-partitions", self.at_min_isr_partitions),
            ("unavailable-partitions", self.unavailable_partitions),
        ];
        // Where each may be used, and with what it may not.
        let mut rules: Vec<(&str, bool, &[Action], &[(&str, bool)])> = vec![
            ("config", !self.config.is_empty(), &[Alter, Create], &[]),
            ("partitions", partitions, &[Alter, Create], &[]),
            ("replication-factor", factor, &[Create], &[]),
        ];
        let sizes = [("partitions", partitions), ("replication-factor", factor)];
        let sizes = if action == Create { &sizes[..] } else { &[] };
        rules.push(("replica-assignment", assignment, &[Alter, Create], sizes));
        let with_overrides = [("topics-with-overrides", overrides)];
        for (report, is_set) in reports {
            rules.push((report, is_set, &[Describe], &with_overrides));
        }
        rules.extend([
            ("topics-with-overrides", overrides, &[Describe][..], &reports[..]),
            ("if-exists", self.if_exists, &[Alter, Delete, Describe], &[]),
            ("if-not-exists", self.if_not_exists, &[Create], &[]),
            ("exclude-internal", self.exclude_internal, &[List, Describe], &[]),
        ]);
        for (option, _, actions, others) in rules.iter().filter(|(_, is_set, ..)| *is_set) {
            let action = (!actions.contains(&action)).then_some(name.as_str());
            let other = others.iter().find(|(_, is_set)| *is_set).map(|(other, _)| *other);
            if let Some(other) = action.or(other) {
                return Err(Failure::err(format!(
                    "Option \"[{option}]\" can't be used with option \"[{other}]\""
                )));
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn action(line: &str) -> Result<Action, String> {
        let words = line.split(' ').filter(|word| !word.is_empty());
        let line = ["kafka-topics", "--bootstrap-server", "h:1"].into_iter().chain(words);
        Options::try_parse_from(line).unwrap().action().map_err(|failure| failure.err)
    }

    #[test]
    fn there_is_one_action() {
        assert_eq!(action("--list"), Ok(List));
        assert_eq!(action("--describe --if-exists --topic t"), Ok(Describe));
        assert_eq!(action("--alter --topic t --partitions 3"), Ok(Alter));
        let one = "Command must include exactly one action: ";
        assert!(action("--list --delete").unwrap_err().starts_with(one));
        assert!(action("--topic t").unwrap_err().starts_with(one));
    }

    #[test]
    fn options_that_do_not_fit_are_named() {
        let refused = |line| action(line).unwrap_err();
        assert_eq!(refused("--create"), "Missing required argument \"[topic]\"");
        assert_eq!(
            refused("--list --partitions 3"),
            "Option \"[partitions]\" can't be used with option \"[list]\""
        );
        assert_eq!(
            refused("--create --topic t --replica-assignment 1 --replication-factor 1"),
            "Option \"[replica-assignment]\" can't be used with option \"[replication-factor]\""
        );
        assert_eq!(
            refused("--describe --topics-with-overrides --unavailable-partitions"),
            "Option \"[unavailable-partitions]\" can't be used with option \"[topics-with-overrides]\""
        );
    }
}
