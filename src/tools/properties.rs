//! The properties of a client, from a file and from the command line.

use std::path::Path;
use std::time::Duration;

use super::Failure;
use crate::config::{ConfigMap, parse_properties};

/// Kafka's `request.timeout.ms` of an admin client.
const REQUEST_TIMEOUT_MS: u64 = 30_000;

/// What a file like that of `--command-config` says, and options like `--consumer-property` after it.
#[derive(Clone, Debug, Default)]
pub(crate) struct ClientProperties(ConfigMap);

impl ClientProperties {
    /// Reads the file, if there is one; `more` are `key=value` and win. A setting that asks for encryption or
    /// authentication is refused: it would be in vain.
    pub(crate) fn read(file: Option<&Path>, more: &[String]) -> Result<Self, Failure> {
        let properties = Self(key_values(file, more)?);
        match properties.get("security.protocol") {
            None | Some("PLAINTEXT") => Ok(properties),
            Some(protocol) => Err(Failure::err(format!(
                "security.protocol={protocol} is not supported by this tool, only PLAINTEXT is"
            ))),
        }
    }

    /// The value of a key, without the blanks around it.
    pub(crate) fn get(&self, key: &str) -> Option<&str> {
        self.0.get(key).map(|value| value.trim())
    }

    /// The number that a key has, or `default`.
    pub(crate) fn number(&self, key: &str, default: u64) -> Result<u64, Failure> {
        self.get(key).map_or(Ok(default), |text| {
            text.parse().map_err(|_| {
                Failure::err(format!(
                    "Invalid value {text} for configuration {key}: it must be a number"
                ))
            })
        })
    }

    /// `request.timeout.ms`: how long an answer may take.
    pub(crate) fn request_timeout(&self) -> Result<Duration, Failure> {
        self.number("request.timeout.ms", REQUEST_TIMEOUT_MS).map(Duration::from_millis)
    }
}

/// What a file says, and `key=value` after it, which win; values keep their blanks.
pub(crate) fn key_values(file: Option<&Path>, more: &[String]) -> Result<ConfigMap, Failure> {
    let text = match file {
        Some(path) => {
            let failed = |error| Failure::err(format!("{}\n{error}", path.display()));
            read_file(path).map_err(failed)?
        }
        None => String::new(),
    };
    let mut properties =
        parse_properties(&text).map_err(|error| Failure::err(error.to_string()))?;
    for pair in more {
        // As in Kafka a key alone has an empty value (`CommandLineUtils.parseKeyValueArgs`).
        let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
        properties.insert(key.to_owned(), value.to_owned());
    }
    Ok(properties)
}

/// The text of a file.
#[expect(clippy::disallowed_methods, reason = "tools stand outside of the simulated world")]
pub(crate) fn read_file(path: &Path) -> std::io::Result<String> {
    std::fs::read_to_string(path)
}
