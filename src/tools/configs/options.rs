//! The command line of `kafka-configs`.

use crate::config::resource;
use crate::tools::Failure;
use crate::tools::flags::{Flags, Row};

/// Its options.
#[rustfmt::skip]
pub(crate) const OPTIONS: &[Row] = &[
    ("bootstrap-server", "host:port", "The brokers to begin with, several with commas between"),
    ("bootstrap-controller", "host:port", "Not supported: the tool asks brokers"),
    ("command-config", "file", "A file with properties of the client"),
    ("alter", "", "Change configurations"),
    ("describe", "", "Print configurations"),
    ("all", "", "Print static configurations and defaults too"),
    ("entity-type", "type...", "topics, brokers, groups or client-metrics"),
    ("entity-name", "name...", "The name of the topic, group or client metrics, or the id of the broker"),
    ("entity-default", "", "The defaults of all brokers"),
    ("add-config", "k1=v1,k2=[v1,v2]", "What to set: pairs with commas between, values with commas in square brackets"),
    ("add-config-file", "file", "A properties file of what to set"),
    ("delete-config", "k1,k2...", "What to unset, with commas between"),
    ("topic", "topic", "Short for --entity-type topics --entity-name"),
    ("broker", "id", "Short for --entity-type brokers --entity-name"),
    ("broker-defaults", "", "Short for --entity-type brokers --entity-default"),
    ("group", "group", "Short for --entity-type groups --entity-name"),
    ("client-metrics", "name", "Short for --entity-type client-metrics --entity-name"),
    ("client", "id", "Not supported"),
    ("client-defaults", "", "Not supported"),
    ("user", "principal", "Not supported"),
    ("user-defaults", "", "Not supported"),
    ("broker-logger", "id", "Not supported"),
    ("ip", "address", "Not supported"),
    ("ip-defaults", "", "Not supported"),
];

/// What Kafka's tool knows, in the order in which it names them, with the resource types of those that this one knows.
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
/// Short forms, with the type that each stands for.
const SHORT: [(&str, &str); 8] = [
    ("topic", "topics"),
    ("client", "clients"),
    ("user", "users"),
    ("broker", "brokers"),
    ("broker-logger", "broker-loggers"),
    ("ip", "ips"),
    ("client-metrics", "client-metrics"),
    ("group", "groups"),
];
const SHORT_DEFAULTS: [(&str, &str); 4] = [
    ("client-defaults", "clients"),
    ("user-defaults", "users"),
    ("broker-defaults", "brokers"),
    ("ip-defaults", "ips"),
];
const WITH_DEFAULTS: [&str; 4] = ["users", "clients", "brokers", "ips"];

/// What is described or changed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Entity {
    /// As `topics`.
    pub(super) kind: &'static str,
    pub(super) resource_type: i8,
    /// Empty for the defaults of all; none for every entity of the kind.
    pub(super) name: Option<String>,
}

impl Entity {
    /// The kind, of one of them, as `topic`.
    pub(super) fn one(&self) -> &'static str {
        &self.kind[..self.kind.len() - 1]
    }
}

/// What the tool is about, if the options fit together. What is said of those that do not is Kafka's, in the order in which
/// it looks at them.
pub(super) fn entity(flags: &Flags) -> Result<Entity, Failure> {
    let fail = |message: &str| Err(Failure::err(message));
    if flags.has("alter") == flags.has("describe") {
        return fail("Command must include exactly one action: --describe, --alter");
    }
    flags.exclude("describe", &["alter", "add-config", "delete-config"])?;
    let is_given = |(flag, kind): (&'static str, _)| flags.has(flag).then_some((flag, kind));
    let short = SHORT.into_iter().chain(SHORT_DEFAULTS).filter_map(is_given);
    let (short, short_types): (Vec<_>, Vec<_>) = short.unzip();
    let types: Vec<&str> = flags.all("entity-type").chain(short_types).collect();
    if let Some(at) = (1..types.len()).find(|at| types[..*at].contains(&types[*at])) {
        return fail(&format!("Duplicate entity type(s) specified: {}", types[at]));
    }
    if !flags.has("bootstrap-server") && !flags.has("bootstrap-controller") {
        return fail("Either --bootstrap-server or --bootstrap-controller must be specified.");
    }
    let known = |kind: &&str| TYPES.iter().find(|(name, _)| name == kind);
    if let Some(unknown) = types.iter().find(|kind| known(kind).is_none()) {
        return fail(&format!(
            "Invalid entity type {unknown}, the entity type must be one of {} with a --bootstrap-server or \
             --bootstrap-controller argument",
            TYPES.map(|(name, _)| name).join(", ")
        ));
    }
    let Some(&(kind, resource_type)) = types.first().and_then(known) else {
        return fail("At least one entity type must be specified");
    };
    if types.len() > 1 && !types.iter().all(|kind| ["users", "clients"].contains(kind)) {
        return fail("Only 'users' and 'clients' entity types may be specified together");
    }
    let long = ["entity-name", "entity-type", "entity-default"];
    if long.iter().any(|flag| flags.has(flag)) && !short.is_empty() {
        return fail(
            "--entity-{type,name,default} should not be used in conjunction with specific entity flags",
        );
    }
    let default = flags.has("entity-default").then_some("");
    let names = short.iter().map(|flag| flags.get(flag).unwrap_or_default());
    let names: Vec<&str> = flags.all("entity-name").chain(default).chain(names).collect();
    if flags.has("bootstrap-server") && flags.has("bootstrap-controller") {
        return fail("Only one of --bootstrap-server or --bootstrap-controller can be specified");
    }
    check_names(flags, kind, &names)?;
    if flags.has("alter") && types.len() != names.len() {
        return fail("An entity name must be specified for every entity type");
    }
    let Some(resource_type) = resource_type else {
        return fail("Users, clients, IP addresses and loggers are not supported by this tool");
    };
    if flags.has("bootstrap-controller") {
        return fail(
            "--bootstrap-controller is not supported by this tool, use --bootstrap-server",
        );
    }
    Ok(Entity { kind, resource_type, name: names.first().map(|&name| name.to_owned()) })
}

fn check_names(flags: &Flags, kind: &str, names: &[&str]) -> Result<(), Failure> {
    let fail = |message: &str| Err(Failure::err(message));
    let mut given = names.iter().filter(|name| !name.is_empty());
    let has_name = given.clone().next().is_some();
    if ["brokers", "broker-loggers"].contains(&kind)
        && let Some(name) = given.find(|name| name.parse::<i32>().is_err())
    {
        let rule = "must be a valid integer broker id, but it is";
        return fail(&format!("The entity name for {kind} {rule}: {name}"));
    }
    let with_defaults = WITH_DEFAULTS.contains(&kind);
    if flags.has("describe") {
        if flags.has("entity-default") && !with_defaults {
            let rule = "--entity-default must not be specified with --describe of";
            return fail(&format!("{rule} {kind}"));
        }
        return Ok(());
    }
    if with_defaults && names.is_empty() {
        return fail(
            "An entity-name or default entity must be specified with --alter of users, clients, brokers or ips",
        );
    }
    if !with_defaults && !has_name {
        return fail(&format!("An entity name must be specified with --alter of {kind}"));
    }
    let [pairs, file] = ["add-config", "add-config-file"].map(|flag| flags.has(flag));
    if pairs && file {
        return fail("Only one of --add-config or --add-config-file must be specified");
    }
    if !pairs && !file && !flags.has("delete-config") {
        return fail(
            "At least one of --add-config, --add-config-file, or --delete-config must be specified with --alter",
        );
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tools::flags::command;

    fn of(line: &str) -> Result<Entity, String> {
        let line = ["", "--bootstrap-server", "h:1"].into_iter().chain(line.split(' '));
        let flags = Flags(command("", "", OPTIONS).try_get_matches_from(line).unwrap());
        entity(&flags).map_err(|failure| failure.err)
    }

    #[test]
    fn both_forms_name_the_same_entity() {
        let long = of("--describe --entity-type topics --entity-name t").unwrap();
        assert_eq!(long, of("--describe --topic t").unwrap());
        assert_eq!((long.one(), long.name), ("topic", Some("t".into())));
        let defaults = of("--alter --broker-defaults --add-config a=b").unwrap();
        assert_eq!(defaults.name, Some(String::new()));
        assert_eq!(of("--describe --entity-type groups").unwrap().name, None);
    }

    #[test]
    fn what_is_not_supported_is_said_in_a_line() {
        let refused = |line: &str| of(line).unwrap_err();
        for flags in ["--user a", "--client-defaults", "--ip i", "--broker-logger 1"] {
            let said = refused(&format!("--describe {flags}"));
            assert!(said.ends_with("not supported by this tool"), "{said}");
        }
        assert!(refused("--describe --entity-type ip").starts_with("Invalid entity type ip, "));
        assert!(refused("--describe --broker one").ends_with("but it is: one"));
        assert!(refused("--alter --topic t").starts_with("At least one of --add-config"));
    }
}
