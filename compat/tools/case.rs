//! What is compared: commands, in the order in which they run.
//!
//! A family of cases is a file in `cases/` with a function that gives them:
//!
//! ```
//! pub(super) fn cases() -> Vec<Case> {
//!     vec![
//!         case("kafka-topics", "a topic is created", "--create --topic t --partitions 3"),
//!         case("kafka-topics", "it exists then", "--create --topic t"),
//!         case("kafka-console-producer", "records are sent", "--topic t").input("a\nb\n"),
//!         case("kafka-topics", "a server is needed", "--list").alone(),
//!     ]
//! }
//! ```
//!
//! Every case runs in four worlds: Kafka's tools with a broker of Apache Kafka, ours with another one, Kafka's tools with
//! an Ottla, ours with another one. Nothing else talks to these brokers, and all four see the same cases in the same
//! order: they are in the same state, and nothing has to be undone. `--family` leaves whole families away, so that a
//! family must not need what another one has left, and its topics and groups have names that no other family has.

use std::any::Any;

/// Something that a case needs before it, done with the broker at a port of localhost; what it gives is dropped after
/// the family's last case.
pub(crate) type Preparation = Box<dyn Fn(u16) -> Box<dyn Any>>;

/// What has to be equal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Same {
    /// Standard output, exit code and the first line of standard error.
    Everything,
    /// Standard output, exit code, and whether there is something on standard error: its words are the parser's.
    ButWords,
    /// As `Everything`, and the lines of standard output may come in another order: it is that of a hash map of futures.
    LinesInAnyOrder,
}

/// A command whose output is compared.
pub(crate) struct Case {
    pub(crate) tool: &'static str,
    pub(crate) name: &'static str,
    /// Words with blanks between them; one with blanks of its own is in single quotes. `{servers}` stands for the
    /// broker, `{port}` for its port, `{files}` for a directory with the files of [`Case::file`].
    pub(crate) flags: &'static str,
    pub(crate) input: &'static str,
    pub(crate) files: Vec<(&'static str, &'static str)>,
    pub(crate) preparation: Option<Preparation>,
    pub(crate) same: Same,
    /// `--bootstrap-server` is added unless the flags have `{servers}`.
    pub(crate) alone: bool,
    /// Why the two brokers make even one tool say different things; the tools still have to agree on each.
    pub(crate) brokers_differ: Option<&'static str>,
}

/// A case, in which everything has to be the same.
pub(crate) fn case(tool: &'static str, name: &'static str, flags: &'static str) -> Case {
    Case {
        tool,
        name,
        flags,
        input: "",
        files: Vec::new(),
        preparation: None,
        same: Same::Everything,
        alone: false,
        brokers_differ: None,
    }
}

#[allow(dead_code, reason = "each family uses what it needs")]
impl Case {
    /// What the tool reads from standard input.
    pub(crate) fn input(self, input: &'static str) -> Self {
        Self { input, ..self }
    }

    /// A file in `{files}`.
    pub(crate) fn file(mut self, name: &'static str, text: &'static str) -> Self {
        self.files.push((name, text));
        self
    }

    /// Plain requests before the command.
    pub(crate) fn after<T: 'static>(self, prepare: impl Fn(u16) -> T + 'static) -> Self {
        let prepare = move |port| -> Box<dyn Any> { Box::new(prepare(port)) };
        Self { preparation: Some(Box::new(prepare)), ..self }
    }

    /// No server is named.
    pub(crate) fn alone(self) -> Self {
        Self { alone: true, ..self }
    }

    /// Less than everything has to be the same.
    pub(crate) fn same(self, same: Same) -> Self {
        Self { same, ..self }
    }

    /// The two brokers may make the tools say different things.
    pub(crate) fn brokers_differ(self, why: &'static str) -> Self {
        Self { brokers_differ: Some(why), ..self }
    }

    /// The words for the tool.
    pub(crate) fn words(&self, port: u16, files: &str) -> Vec<String> {
        let servers = format!("localhost:{port}");
        let filled = |word: String| {
            let word = word.replace("{servers}", &servers).replace("{files}", files);
            word.replace("{port}", &port.to_string())
        };
        let mut words: Vec<String> = split(self.flags).into_iter().map(filled).collect();
        if !self.alone && !self.flags.contains("{servers}") {
            words.extend(["--bootstrap-server".to_owned(), servers]);
        }
        words
    }

    /// Whether it may change something, which Apache Kafka's broker learns only a moment after its controller.
    pub(crate) fn may_change(&self) -> bool {
        let reads = ["--list", "--describe", "--help", "--version", "cluster-id", "list-endpoints"];
        !split(self.flags).iter().any(|word| reads.contains(&word.as_str()))
    }
}

/// Splits at blanks outside of single quotes.
fn split(flags: &str) -> Vec<String> {
    let mut words = Vec::new();
    let mut word: Option<String> = None;
    let mut quoted = false;
    for character in flags.chars() {
        match character {
            '\'' => {
                quoted = !quoted;
                word.get_or_insert_default();
            }
            ' ' if !quoted => words.extend(word.take()),
            _ => word.get_or_insert_default().push(character),
        }
    }
    words.extend(word);
    words
}
