//! What cannot be equal: ids, ports, times, and what a JVM adds.

use regex::Regex;

use crate::case::Same;
use crate::run::Ran;

/// What stands for the rest of a match.
const MASKS: [(&str, &str); 5] = [
    // Topic ids.
    ("TopicId: [0-9A-Za-z_-]{22}", "TopicId: ID"),
    ("Cluster ID: [0-9A-Za-z_-]{22}", "Cluster ID: ID"),
    // Members that the broker named.
    ("[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}", "UUID"),
    // Milliseconds since 1970, of these years.
    ("\\b1[6-9][0-9]{11}\\b", "TIME"),
    ("[0-9]{4}-[0-9]{2}-[0-9]{2}[T ][0-9]{2}:[0-9]{2}:[0-9]{2}[.,][0-9]{3}", "TIME"),
];

/// What of a run is compared.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Normal {
    pub(crate) status: i32,
    pub(crate) out: String,
    pub(crate) complaint: Option<String>,
}

/// Replaces what is a world's own.
pub(crate) struct Masks(Vec<(Regex, &'static str)>);

impl Masks {
    pub(crate) fn new() -> Self {
        let mask = |(pattern, text)| {
            (Regex::new(&format!("(?-u){pattern}")).expect("the patterns are constants"), text)
        };
        Self(MASKS.map(mask).into())
    }

    fn masked(&self, text: &str, port: u16, files: &str) -> String {
        let text = text.replace(&port.to_string(), "PORT");
        let text = if files.is_empty() { text } else { text.replace(files, "FILES") };
        self.0
            .iter()
            .fold(text, |text, (pattern, with)| pattern.replace_all(&text, *with).into_owned())
    }

    /// The run of a tool with the broker at `port` and files in `files`.
    pub(crate) fn normal(&self, ran: &Ran, same: Same, port: u16, files: &str) -> Normal {
        let mut out = self.masked(&ran.out, port, files);
        if same == Same::LinesInAnyOrder {
            let mut lines: Vec<&str> = out.lines().collect();
            lines.sort_unstable();
            out = lines.join("\n");
        }
        let complaint = ran.err.lines().find(|line| !line.is_empty());
        let complaint = complaint.map(|line| match same {
            Same::ButWords => "some words".to_owned(),
            _ => self.masked(line, port, files),
        });
        Normal { status: ran.status, out, complaint }
    }
}
