//! Options by their names, in tables, as those of Kafka's tools are declared and checked.

use std::str::FromStr;

use clap::parser::ValueSource;
use clap::{Arg, ArgAction, ArgMatches, Command};

/// An option: its name; what its value is, with `...` for several, in brackets if it may be left out, empty for none; what it
/// is for.
pub(crate) type Row = (&'static str, &'static str, &'static str);

/// What stands beside options and says nothing.
const OTHERS: &str = "others";

/// The command line of a tool with these options.
pub(crate) fn command(name: &'static str, about: &'static str, rows: &[Row]) -> Command {
    let option = |&(name, value, help): &Row| {
        let option = Arg::new(name).long(name).help(help);
        match value.strip_suffix("...") {
            _ if value.is_empty() => option.action(ArgAction::SetTrue),
            _ if value.starts_with('[') => {
                let name = value.trim_matches(['[', ']']);
                option.value_name(name).num_args(0..=1).default_missing_value("")
            }
            Some(value) => option.value_name(value).action(ArgAction::Append),
            None => option.value_name(value),
        }
    };
    let others = Arg::new(OTHERS).action(ArgAction::Append).hide(true);
    Command::new(name).about(about).args(rows.iter().map(option)).arg(others)
}

/// The options that are given.
#[derive(Clone, Debug)]
pub(crate) struct Flags(pub(super) ArgMatches);

impl Flags {
    /// Whether an option is given.
    pub(crate) fn has(&self, option: &str) -> bool {
        self.0.value_source(option) == Some(ValueSource::CommandLine)
    }

    /// The value of an option; none of one that has none.
    pub(crate) fn get(&self, option: &str) -> Option<&str> {
        self.0.try_get_one::<String>(option).ok().flatten().map(String::as_str)
    }

    /// The number of an option, if it is given; what Kafka says of one that cannot be read.
    pub(crate) fn number<N: FromStr>(&self, option: &str) -> Result<Option<N>, String> {
        let wrong = |text| format!("Cannot parse argument '{text}' of option {option}");
        self.get(option).map(|text| text.parse().map_err(|_| wrong(text))).transpose()
    }

    /// The values of an option that may have several.
    pub(crate) fn all(&self, option: &str) -> impl Iterator<Item = &str> {
        self.0.get_many::<String>(option).into_iter().flatten().map(String::as_str)
    }

    /// The values of an option under its old name and its new one, those of the new one first.
    pub(crate) fn either(&self, (old, new): (&str, &str)) -> Vec<String> {
        self.all(new).chain(self.all(old)).map(str::to_owned).collect()
    }

    /// What Kafka says of an option that is needed.
    pub(crate) fn require(&self, option: &str) -> Result<(), super::Failure> {
        let missing = || super::Failure::err(format!("Missing required argument \"[{option}]\""));
        if self.has(option) { Ok(()) } else { Err(missing()) }
    }

    /// What Kafka says of an option beside another one.
    pub(crate) fn exclude(&self, option: &str, others: &[&str]) -> Result<(), super::Failure> {
        match others.iter().find(|other| self.has(option) && self.has(other)) {
            None => Ok(()),
            Some(other) => Err(super::Failure::err(format!(
                "Option \"[{option}]\" can't be used with option \"[{other}]\""
            ))),
        }
    }
}
