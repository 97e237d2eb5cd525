//! The command line of `kafka-configs`.

use std::path::PathBuf;

use clap::Parser;

use crate::config::resource;
use crate::tools::Failure;

/// Describes and changes the configurations of topics, brokers, groups and client metrics.
#[derive(Debug, Default, Parser)]
#[expect(clippy::struct_excessive_bools, reason = "each is a flag")]
pub(crate) struct Options {
    /// The brokers to begin with, several with commas between
    #[arg(long, value_name = "host:port")]
    pub(super) bootstrap_server: Option<String>,
    /// Not supported: the tool asks brokers
    #[arg(long, value_name = "host:port")]
    bootstrap_controller: Option<String>,
    /// A file with properties of the client
    #[arg(long, value_name = "file")]
    pub(super) command_config: Option<PathBuf>,
    /// Change configurations
    #[arg(long)]
    alter: bool,
    /// Print configurations
    #[arg(long)]
    describe: bool,
    /// Print static configurations and defaults too
    #[arg(long)]
    pub(super) all: bool,
    /// topics, brokers, groups or client-metrics
    #[arg(long, value_name = "type")]
    entity_type: Vec<String>,
    /// The name of the topic, group or client metrics, or the id of the broker
    #[arg(long, value_name = "name")]
    entity_name: Vec<String>,
    /// The defaults of all brokers
    #[arg(long)]
    entity_default: bool,
    /// What to set: pairs with commas between, values with commas in square brackets
    #[arg(long, value_name = "k1=v1,k2=[v1,v2]")]
    pub(super) add_config: Option<String>,
    /// A properties file of what to set
    #[arg(long, value_name = "file")]
    pub(super) add_config_file: Option<PathBuf>,
    /// What to unset, with commas between
    #[arg(long, value_name = "k1,k2")]
    pub(super) delete_config: Vec<String>,
    /// Short for --entity-type topics --entity-name
    #[arg(long, value_name = "topic")]
    topic: Option<String>,
    /// Short for --entity-type brokers --entity-name
    #[arg(long, value_name = "id")]
    broker: Option<String>,
    /// Short for --entity-type brokers --entity-default
    #[arg(long)]
    broker_defaults: bool,
    /// Short for --entity-type groups --entity-name
    #[arg(long, value_name = "group")]
    group: Option<String>,
    /// Short for --entity-type client-metrics --entity-name
    #[arg(long, value_name = "name")]
    client_metrics: Option<String>,
    /// Not supported, nor are --client, --ip and --broker-logger
    #[arg(long, aliases = ["client", "ip", "broker-logger"], value_name = "name")]
    user: Option<String>,
    /// Not supported, nor are --client-defaults and --ip-defaults
    #[arg(long, aliases = ["client-defaults", "ip-defaults"])]
    user_defaults: bool,
    /// Other words say nothing, as to Kafka's tool.
    #[arg(hide = true)]
    _others: Vec<String>,
}

/// What Kafka's tool knows, in the order in which it names them; those that this one knows with their resource type.
const TYPES: [(&str, Option<i8>); 8] = [
    ("topics", Some(resource::TOPIC)),
    ("clients", None),
    ("users", None),
    ("brokers", Some(resource::BROKER)),
    ("ips", None),
    ("client-metrics", Some(resource::CLIENT_METRICS)),
    ("groups", Some(resource::GROUP)),
    ("broker-loggers", None),
];

/// What is described or changed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Entity {
    /// As `topics`.
    pub(super) kind: &'static str,
    pub(super) resource_type: i8,
    /// Empty for the defaults of all; none for every entity of the kind.
    pub(super) name: Option<String>,
    pub(super) is_altered: bool,
}

impl Entity {
    /// The kind, of one of them, as `topic`.
    pub(super) fn one(&self) -> &'static str {
        &self.kind[..self.kind.len() - 1]
    }
}

impl Options {
    /// What to do and with what, if the options fit together. What is said of those that do not is Kafka's, in the order in
    /// which it looks at them.
    pub(super) fn entity(&self) -> Result<Entity, Failure> {
        let fail = |message: String| Err(Failure::err(message));
        self.check_action()?;
        let (flags, names) = self.flags();
        let mut kinds: Vec<&str> = self.entity_type.iter().map(String::as_str).collect();
        kinds.extend(flags.iter().copied());
        let repeated: Vec<&str> = kinds
            .iter()
            .enumerate()
            .filter_map(|(at, kind)| kinds[..at].contains(kind).then_some(*kind))
            .collect();
        if !repeated.is_empty() {
            return fail(format!("Duplicate entity type(s) specified: {}", repeated.join(",")));
        }
        if self.bootstrap_server.is_none() && self.bootstrap_controller.is_none() {
            return fail(
                "Either --bootstrap-server or --bootstrap-controller must be specified.".into(),
            );
        }
        let known = |kind: &&str| TYPES.iter().find(|(name, _)| name == kind);
        if let Some(unknown) = kinds.iter().find(|kind| known(kind).is_none()) {
            return fail(format!(
                "Invalid entity type {unknown}, the entity type must be one of {} with a --bootstrap-server or \
                 --bootstrap-controller argument",
                TYPES.map(|(name, _)| name).join(", ")
            ));
        }
        let Some(&(kind, resource_type)) = kinds.first().and_then(known) else {
            return fail("At least one entity type must be specified".into());
        };
        let may_be_together = kinds.iter().all(|kind| ["users", "clients"].contains(kind));
        if kinds.len() > 1 && !may_be_together {
            return fail(
                "Only 'users' and 'clients' entity types may be specified together".into(),
            );
        }
        let has_entity =
            !self.entity_name.is_empty() || !self.entity_type.is_empty() || self.entity_default;
        if has_entity && !flags.is_empty() {
            return fail(
                "--entity-{type,name,default} should not be used in conjunction with specific entity flags".into(),
            );
        }
        if self.bootstrap_server.is_some() && self.bootstrap_controller.is_some() {
            return fail(
                "Only one of --bootstrap-server or --bootstrap-controller can be specified".into(),
            );
        }
        self.check_names(kind, &names)?;
        if self.alter && kinds.len() != names.len() {
            return fail("An entity name must be specified for every entity type".into());
        }
        let Some(resource_type) = resource_type else {
            return fail(
                "Users, clients, IP addresses and loggers are not supported by this tool".into(),
            );
        };
        if self.bootstrap_server.is_none() {
            return fail(
                "--bootstrap-controller is not supported by this tool, use --bootstrap-server"
                    .into(),
            );
        }
        let name = names.into_iter().next();
        Ok(Entity { kind, resource_type, name, is_altered: self.alter })
    }

    fn check_action(&self) -> Result<(), Failure> {
        if self.alter == self.describe {
            return Err(Failure::err(
                "Command must include exactly one action: --describe, --alter",
            ));
        }
        let added = self.add_config.is_some().then_some("add-config");
        let deleted = (!self.delete_config.is_empty()).then_some("delete-config");
        match added.or(deleted) {
            Some(option) if self.describe => Err(Failure::err(format!(
                "Option \"[describe]\" can't be used with option \"[{option}]\""
            ))),
            _ => Ok(()),
        }
    }

    /// The kinds of entities that short forms name, and the names of all; a default's is empty.
    fn flags(&self) -> (Vec<&'static str>, Vec<String>) {
        let named = [
            ("topics", &self.topic),
            ("users", &self.user),
            ("brokers", &self.broker),
            ("client-metrics", &self.client_metrics),
            ("groups", &self.group),
        ];
        let defaults = [("users", self.user_defaults), ("brokers", self.broker_defaults)];
        let mut names = self.entity_name.clone();
        names.extend(self.entity_default.then(String::new));
        let mut kinds = Vec::new();
        for (kind, name) in named {
            if let Some(name) = name {
                kinds.push(kind);
                names.push(name.clone());
            }
        }
        for (kind, _) in defaults.into_iter().filter(|(_, is_set)| *is_set) {
            kinds.push(kind);
            names.push(String::new());
        }
        (kinds, names)
    }

    fn check_names(&self, kind: &str, names: &[String]) -> Result<(), Failure> {
        let fail = |message: String| Err(Failure::err(message));
        let has_name = names.iter().any(|name| !name.is_empty());
        let has_default = names.iter().any(String::is_empty);
        if has_name && ["brokers", "broker-loggers"].contains(&kind) {
            let named = names.iter().filter(|name| !name.is_empty());
            if let Some(name) = named.into_iter().find(|name| name.parse::<i32>().is_err()) {
                return fail(format!(
                    "The entity name for {kind} must be a valid integer broker id, but it is: {name}"
                ));
            }
        }
        let with_defaults = ["users", "clients", "brokers", "ips"].contains(&kind);
        if self.describe {
            if !with_defaults && self.entity_default {
                return fail(format!(
                    "--entity-default must not be specified with --describe of {kind}"
                ));
            }
            return Ok(());
        }
        if with_defaults && !has_name && !has_default {
            return fail("An entity-name or default entity must be specified with --alter of users, clients, brokers or ips".into());
        }
        if !with_defaults && !has_name {
            return fail(format!("An entity name must be specified with --alter of {kind}"));
        }
        if self.add_config.is_some() && self.add_config_file.is_some() {
            return fail("Only one of --add-config or --add-config-file must be specified".into());
        }
        let adds = self.add_config.is_some() || self.add_config_file.is_some();
        if !adds && self.delete_config.is_empty() {
            return fail("At least one of --add-config, --add-config-file, or --delete-config must be specified with --alter".into());
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entity(line: &str) -> Result<Entity, String> {
        let line =
            ["kafka-configs", "--bootstrap-server", "h:1"].into_iter().chain(line.split(' '));
        Options::try_parse_from(line).unwrap().entity().map_err(|failure| failure.err)
    }

    #[test]
    fn both_forms_name_the_same_entity() {
        let long = entity("--describe --entity-type topics --entity-name t").unwrap();
        assert_eq!(long, entity("--describe --topic t").unwrap());
        assert_eq!((long.one(), long.name), ("topic", Some("t".into())));
        let defaults = entity("--alter --broker-defaults --add-config a=b").unwrap();
        assert_eq!(defaults.name, Some(String::new()));
        assert_eq!(entity("--describe --entity-type groups").unwrap().name, None);
    }

    #[test]
    fn what_is_not_supported_is_said_in_a_line() {
        let refused = |line| entity(line).unwrap_err();
        for of in [
            "--user a",
            "--client-defaults",
            "--ip i",
            "--entity-type broker-loggers --entity-name 1",
        ] {
            assert!(
                refused(&format!("--describe {of}")).ends_with("not supported by this tool"),
                "{of}"
            );
        }
        assert!(refused("--describe --entity-type ip").starts_with("Invalid entity type ip, "));
        assert!(refused("--describe --broker one").ends_with("but it is: one"));
        assert!(refused("--alter --topic t").starts_with("At least one of --add-config"));
    }
}
