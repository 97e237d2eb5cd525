//! What cannot be equal: ids, ports, times, and what a JVM adds.

use regex::Regex;

use crate::case::Same;
use crate::run::Ran;
use crate::world::World;

/// What stands for the rest of a match.
const MASKS: [(&str, &str); 6] = [
    // Topic ids.
    ("TopicId: [0-9A-Za-z_-]{22}", "TopicId: ID"),
    ("Cluster ID: [0-9A-Za-z_-]{22}", "Cluster ID: ID"),
    // Members that the broker named.
    ("[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}", "UUID"),
    // And those that librdkafka gives itself.
    (" [0-9A-Za-z+/]{22} ", " ID "),
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

    fn masked(&self, text: &str, world: &World) -> String {
        let port = world.port();
        let text = text.replace(&port.to_string(), "PORT");
        // Its controller's.
        let text = text.replace(&(port + 1).to_string(), "PORT1");
        let text = text.replace(&world.directory.display().to_string(), "DIRECTORY");
        self.0
            .iter()
            .fold(text, |text, (pattern, with)| pattern.replace_all(&text, *with).into_owned())
    }

    /// What of a tool's run in a world is compared.
    pub(crate) fn normal(&self, ran: &Ran, same: Same, world: &World) -> Normal {
        let mut out = self.masked(&ran.out, world);
        if same == Same::LinesInAnyOrder {
            let mut lines: Vec<&str> = out.lines().collect();
            lines.sort_unstable();
            out = lines.join("\n");
        }
        // Lines of a log begin with their time; ours of a tool with their level.
        let says = |line: &&str| !["[20", "WARN "].iter().any(|of_log| line.starts_with(of_log));
        let complaint = ran.err.lines().filter(|line| !line.is_empty()).find(says);
        let complaint = complaint.map(|line| match same {
            Same::ButWords => "some words".to_owned(),
            _ => self.masked(line, world),
        });
        Normal { status: ran.status, out, complaint }
    }
}
