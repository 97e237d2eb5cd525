//! Lines of standard input, and the records in them (Kafka: `LineMessageReader`).

use std::io::{self, BufRead, IsTerminal, Write};

use regex::Regex;
use tokio::sync::mpsc::{Receiver, channel};

use crate::config::ConfigMap;
use crate::tools::Failure;

/// Lines that are read ahead.
const LINES_AHEAD: usize = 1024;

/// A record of a line; without a key or a value there is none.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Parsed {
    pub(super) key: Option<String>,
    pub(super) value: Option<String>,
    pub(super) headers: Vec<(String, Option<String>)>,
}

/// How a line becomes a record.
#[derive(Debug)]
pub(super) struct LineReader {
    key_separator: Option<String>,
    headers_delimiter: Option<String>,
    headers_separator: Regex,
    headers_key_separator: String,
    null_marker: Option<String>,
    ignores_errors: bool,
    line_number: u64,
}

impl LineReader {
    /// By the properties of `--reader-property`.
    pub(super) fn new(properties: &ConfigMap) -> Result<Self, Failure> {
        let get = |key: &str, default: &str| {
            properties.get(key).map_or_else(|| default.to_owned(), Clone::clone)
        };
        let is_set = |key: &str| get(key, "").trim().eq_ignore_ascii_case("true");
        let separators = [
            ("headers.delimiter", get("headers.delimiter", "\t")),
            ("headers.separator", get("headers.separator", ",")),
            ("headers.key.separator", get("headers.key.separator", ":")),
        ];
        for (one, other) in [(0, 1), (0, 2), (1, 2)] {
            if separators[one].1 == separators[other].1 {
                let names = (separators[one].0, separators[other].0);
                return Err(refused(&format!("{} and {} may not be equal", names.0, names.1)));
            }
        }
        let key_separator = get("key.separator", "\t");
        let null_marker = properties.get("null.marker").cloned();
        let [delimiter, separator, pair] = separators;
        let key = ("key.separator", key_separator.clone());
        for (name, text) in [&key, &separator, &delimiter, &pair] {
            if null_marker.as_ref() == Some(text) {
                return Err(refused(&format!("null.marker and {name} may not be equal")));
            }
        }
        let pattern = Regex::new(&separator.1);
        Ok(Self {
            key_separator: is_set("parse.key").then_some(key_separator),
            headers_delimiter: is_set("parse.headers").then_some(delimiter.1),
            headers_separator: pattern.map_err(|error| Failure::err(error.to_string()))?,
            headers_key_separator: pair.1,
            null_marker,
            ignores_errors: is_set("ignore.error"),
            line_number: 0,
        })
    }

    /// The record of the next line, or what is wrong with it.
    pub(super) fn read(&mut self, line: &str) -> Result<Parsed, Failure> {
        self.line_number += 1;
        let (headers, rest) =
            self.cut(line, line, self.headers_delimiter.as_ref(), "headers delimiter")?;
        let (key, value) = self.cut(line, rest, self.key_separator.as_ref(), "key separator")?;
        let headers = headers.filter(|text| Some(*text) != self.null_marker.as_deref());
        Ok(Parsed {
            key: key.and_then(|key| self.unless_null(key)),
            value: self.unless_null(value),
            headers: headers.map_or(Ok(Vec::new()), |text| self.headers(text))?,
        })
    }

    fn unless_null(&self, text: &str) -> Option<String> {
        (Some(text) != self.null_marker.as_deref()).then(|| text.to_owned())
    }

    /// What is before a separator, if there is to be one, and what is behind.
    fn cut<'a>(
        &self,
        line: &str,
        rest: &'a str,
        separator: Option<&String>,
        name: &str,
    ) -> Result<(Option<&'a str>, &'a str), Failure> {
        let Some(separator) = separator else { return Ok((None, rest)) };
        match rest.split_once(separator.as_str()) {
            Some((before, behind)) => Ok((Some(before), behind)),
            None if self.ignores_errors => Ok((None, rest)),
            None => {
                let number = self.line_number;
                Err(refused(&format!("No {name} found on line number {number}: '{line}'")))
            }
        }
    }

    fn headers(&self, text: &str) -> Result<Vec<(String, Option<String>)>, Failure> {
        let mut pairs: Vec<&str> = self.headers_separator.split(text).collect();
        // As Java's `split`, which keeps what has no separator.
        while pairs.len() > 1 && pairs.last() == Some(&"") {
            pairs.pop();
        }
        let mut headers = Vec::new();
        for pair in pairs {
            let Some((key, value)) = pair.split_once(&self.headers_key_separator) else {
                if self.ignores_errors {
                    headers.push((pair.to_owned(), None));
                    continue;
                }
                return Err(refused(&format!(
                    "No header key separator found in pair '{pair}' on line number {}",
                    self.line_number
                )));
            };
            if self.null_marker.as_deref() == Some(key) {
                return Err(refused(&format!(
                    "Header keys should not be equal to the null marker '{key}' as they can't be null"
                )));
            }
            headers.push((key.to_owned(), self.unless_null(value)));
        }
        Ok(headers)
    }
}

fn refused(what: &str) -> Failure {
    Failure::err(format!("org.apache.kafka.common.KafkaException: {what}"))
}

/// Reads standard input in a thread of its own, with Kafka's prompt on a terminal.
pub(super) fn lines() -> Receiver<io::Result<String>> {
    let (sender, receiver) = channel(LINES_AHEAD);
    tokio::task::spawn_blocking(move || {
        // `System.console()` of Java 17: both ends are a terminal.
        let prompts = io::stdin().is_terminal() && io::stdout().is_terminal();
        let mut input = io::stdin().lock();
        loop {
            if prompts {
                // A prompt that nobody sees is not missed.
                let mut out = io::stdout().lock();
                let _ = out.write_all(b">").and_then(|()| out.flush());
            }
            let mut bytes = Vec::new();
            match input.read_until(b'\n', &mut bytes) {
                Ok(0) => break,
                Ok(_) => {
                    for line in split(&bytes) {
                        if sender.blocking_send(Ok(line)).is_err() {
                            return;
                        }
                    }
                }
                Err(error) => {
                    let _ = sender.blocking_send(Err(error));
                    return;
                }
            }
        }
    });
    receiver
}

/// The lines in what ends with a line feed or at the end: a carriage return ends one too (`BufferedReader.readLine`).
fn split(bytes: &[u8]) -> Vec<String> {
    let text = String::from_utf8_lossy(bytes);
    let text = text.strip_suffix('\n').unwrap_or(&text);
    let text = text.strip_suffix('\r').unwrap_or(text);
    text.split('\r').map(str::to_owned).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reader(properties: &[(&str, &str)]) -> Result<LineReader, Failure> {
        let owned = properties.iter().map(|(key, value)| (key.to_string(), value.to_string()));
        LineReader::new(&owned.collect())
    }

    fn said(failure: Failure) -> String {
        failure.err.trim_start_matches("org.apache.kafka.common.KafkaException: ").to_owned()
    }

    #[test]
    fn lines_end_as_in_java() {
        assert_eq!(split(b"a\n"), ["a"]);
        assert_eq!(split(b"a\r\n"), ["a"]);
        assert_eq!(split(b"a\rb"), ["a", "b"]);
        assert_eq!(split(b"\n"), [""]);
        assert_eq!(split(b"a\r\r\n"), ["a", ""]);
        assert_eq!(split(b"\xff\n"), ["\u{fffd}"]);
    }

    #[test]
    fn records_have_keys_and_headers() {
        let mut reader =
            reader(&[("parse.key", "TRUE "), ("parse.headers", "true"), ("null.marker", "NULL")])
                .unwrap();
        let parsed = reader.read("a:1,b:NULL,c:\tk\tv\tw").unwrap();
        assert_eq!((parsed.key.as_deref(), parsed.value.as_deref()), (Some("k"), Some("v\tw")));
        let headers = [("a", Some("1")), ("b", None), ("c", Some(""))];
        let headers =
            headers.map(|(key, value)| (key.to_owned(), value.map(str::to_owned))).to_vec();
        assert_eq!(parsed.headers, headers);
        let parsed = reader.read("NULL\tNULL\tNULL").unwrap();
        assert_eq!(parsed, Parsed::default());
        let error = said(reader.read("a:1\tk").unwrap_err());
        assert_eq!(error, "No key separator found on line number 3: 'a:1\tk'");
        let error = said(reader.read("a\tk\tv").unwrap_err());
        assert_eq!(error, "No header key separator found in pair 'a' on line number 4");
        let error = said(reader.read("NULL:1\tk\tv").unwrap_err());
        assert!(error.starts_with("Header keys should not be equal"), "{error}");
    }

    #[test]
    fn errors_are_ignored_if_asked() {
        let mut reader = reader(&[
            ("parse.key", "true"),
            ("parse.headers", "true"),
            ("key.separator", "="),
            ("ignore.error", "true"),
        ])
        .unwrap();
        assert_eq!(reader.read("plain").unwrap().value.as_deref(), Some("plain"));
        let parsed = reader.read("h\tk=v").unwrap();
        assert_eq!(parsed.headers, [("h".to_owned(), None)]);
        assert_eq!(parsed.key.as_deref(), Some("k"));
    }

    #[test]
    fn separators_differ() {
        let error = said(reader(&[("headers.separator", "\t")]).unwrap_err());
        assert_eq!(error, "headers.delimiter and headers.separator may not be equal");
        let error = said(reader(&[("null.marker", ":")]).unwrap_err());
        assert_eq!(error, "null.marker and headers.key.separator may not be equal");
    }
}
