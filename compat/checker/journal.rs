//! Journals: append-only files of text lines, one by each process, named `*.journal`.
//!
//! ```text
//! run ID                                    first line of the producer's: what values begin with
//! acked PARTITION SEQUENCE OFFSET           the offset is -1 where the broker no longer knew it
//! refused PARTITION SEQUENCE REASON         certainly not in the log
//! unknown PARTITION SEQUENCE REASON         perhaps in the log
//! assigned NS PARTITION...                  before the client asks for committed offsets
//! revoked NS PARTITION...                   also when lost
//! delivered PARTITION OFFSET VALUE
//! committed SENT_NS CONFIRMED_NS PARTITION:OFFSET...    SENT_NS is 0 where the client does not say
//! read BEGAN_NS ENDED_NS PARTITION:OFFSET...            committed offsets read back, -1 for none
//! error TEXT                                a client gave up
//! note TEXT                                 for the reader
//! ```
//! Those of the exactly-once workload stand in `eos/line.rs`.
//!
//! Times are CLOCK_MONOTONIC, in nanoseconds. A value is `ID.PARTITION.SEQUENCE`. The member is the file; the epoch of
//! an assignment is how many of its `assigned` lines came before.

use std::fmt::{self, Display, Write as _};
use std::fs::{self, File};
use std::io::{self, Write as _};
use std::path::Path;

use rustix::time::{ClockId, clock_gettime};

use crate::Failure;
use crate::eos::Line;

/// One record, by the partition it was sent to and its place in the order of sending there.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Record {
    pub(crate) partition: i32,
    pub(crate) sequence: u64,
}

impl Record {
    pub(crate) fn value(self, run: &str) -> String {
        format!("{run}.{}.{}", self.partition, self.sequence)
    }

    /// The record whose value this is, if it was this run's.
    pub(crate) fn of_value(value: &str, run: &str) -> Option<Self> {
        let (partition, sequence) = value.strip_prefix(run)?.strip_prefix('.')?.split_once('.')?;
        Some(Self { partition: partition.parse().ok()?, sequence: sequence.parse().ok()? })
    }
}

/// Partitions with an offset each.
pub(crate) type Offsets = Vec<(i32, i64)>;

/// A line of a journal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Entry<'a> {
    Run(&'a str),
    Acked { record: Record, offset: i64 },
    Refused { record: Record, reason: &'a str },
    Unknown { record: Record, reason: &'a str },
    Assigned { at_ns: u64, partitions: Vec<i32> },
    Revoked { at_ns: u64, partitions: Vec<i32> },
    Delivered { partition: i32, offset: i64, value: &'a str },
    Committed { sent_ns: u64, confirmed_ns: u64, offsets: Offsets },
    Read { began_ns: u64, ended_ns: u64, offsets: Offsets },
    Error(&'a str),
    Note(&'a str),
    Eos(Line<'a>),
}

impl<'a> Entry<'a> {
    fn parse(line: &'a str) -> Option<Self> {
        let (kind, rest) = line.split_once(' ')?;
        let mut words = rest.split(' ');
        Some(match kind {
            "run" => Self::Run(rest),
            "acked" => {
                Self::Acked { record: record(&mut words)?, offset: words.next()?.parse().ok()? }
            }
            "refused" | "unknown" => {
                let mut parts = rest.splitn(3, ' ');
                let record = record(&mut parts)?;
                let reason = parts.next().unwrap_or_default();
                match kind {
                    "refused" => Self::Refused { record, reason },
                    _ => Self::Unknown { record, reason },
                }
            }
            "assigned" | "revoked" => {
                let at_ns = words.next()?.parse().ok()?;
                let partitions = words.map(|word| word.parse().ok()).collect::<Option<_>>()?;
                match kind {
                    "assigned" => Self::Assigned { at_ns, partitions },
                    _ => Self::Revoked { at_ns, partitions },
                }
            }
            "delivered" => Self::Delivered {
                partition: words.next()?.parse().ok()?,
                offset: words.next()?.parse().ok()?,
                value: words.next()?,
            },
            "committed" | "read" => {
                let (from, to) = (words.next()?.parse().ok()?, words.next()?.parse().ok()?);
                let offsets = words.map(offset).collect::<Option<_>>()?;
                match kind {
                    "committed" => Self::Committed { sent_ns: from, confirmed_ns: to, offsets },
                    _ => Self::Read { began_ns: from, ended_ns: to, offsets },
                }
            }
            "error" => Self::Error(rest),
            "note" => Self::Note(rest),
            _ => Self::Eos(Line::parse(kind, rest)?),
        })
    }
}

fn record<'a>(words: &mut impl Iterator<Item = &'a str>) -> Option<Record> {
    Some(Record { partition: words.next()?.parse().ok()?, sequence: words.next()?.parse().ok()? })
}

pub(crate) fn offset(word: &str) -> Option<(i32, i64)> {
    let (partition, offset) = word.split_once(':')?;
    Some((partition.parse().ok()?, offset.parse().ok()?))
}

impl Display for Entry<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Run(id) => write!(f, "run {id}"),
            Self::Acked { record, offset } => {
                write!(f, "acked {} {} {offset}", record.partition, record.sequence)
            }
            Self::Refused { record, reason } => {
                write!(f, "refused {} {} {}", record.partition, record.sequence, OneLine(reason))
            }
            Self::Unknown { record, reason } => {
                write!(f, "unknown {} {} {}", record.partition, record.sequence, OneLine(reason))
            }
            Self::Assigned { at_ns, partitions } => {
                write!(f, "assigned {at_ns}")?;
                partitions.iter().try_for_each(|partition| write!(f, " {partition}"))
            }
            Self::Revoked { at_ns, partitions } => {
                write!(f, "revoked {at_ns}")?;
                partitions.iter().try_for_each(|partition| write!(f, " {partition}"))
            }
            Self::Delivered { partition, offset, value } => {
                write!(f, "delivered {partition} {offset} {}", OneWord(value))
            }
            Self::Committed { sent_ns, confirmed_ns, offsets } => {
                write!(f, "committed {sent_ns} {confirmed_ns}")?;
                offsets
                    .iter()
                    .try_for_each(|(partition, offset)| write!(f, " {partition}:{offset}"))
            }
            Self::Read { began_ns, ended_ns, offsets } => {
                write!(f, "read {began_ns} {ended_ns}")?;
                offsets
                    .iter()
                    .try_for_each(|(partition, offset)| write!(f, " {partition}:{offset}"))
            }
            Self::Error(text) => write!(f, "error {}", OneLine(text)),
            Self::Note(text) => write!(f, "note {}", OneLine(text)),
            Self::Eos(line) => line.fmt(f),
        }
    }
}

/// Text without line breaks.
struct OneLine<'a>(&'a str);

impl Display for OneLine<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.split(['\n', '\r']).try_for_each(|part| f.write_str(part))
    }
}

/// Text without white space; `?` stands for what would break a word, and for nothing at all.
pub(crate) struct OneWord<'a>(pub(crate) &'a str);

impl Display for OneWord<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0.is_empty() {
            return f.write_char('?');
        }
        self.0.chars().try_for_each(|c| f.write_char(if c.is_whitespace() { '?' } else { c }))
    }
}

/// CLOCK_MONOTONIC.
pub(crate) fn now_ns() -> u64 {
    let now = clock_gettime(ClockId::Monotonic);
    now.tv_sec as u64 * 1_000_000_000 + now.tv_nsec as u64
}

/// A journal being written.
#[derive(Debug)]
pub(crate) struct Writer {
    file: File,
    line: String,
}

impl Writer {
    pub(crate) fn create(path: &Path) -> io::Result<Self> {
        Ok(Self {
            file: File::options().create_new(true).append(true).open(path)?,
            line: String::new(),
        })
    }

    /// Written when this returns, also if the process is killed right after. A journal that cannot be written ends the
    /// process: what it would do from now on could not be judged.
    pub(crate) fn append(&mut self, entry: &Entry<'_>) {
        self.line.clear();
        writeln!(self.line, "{entry}").expect("formatting into memory succeeds");
        self.file.write_all(self.line.as_bytes()).expect("the journal can be written");
    }
}

/// A journal being read.
#[derive(Debug)]
pub(crate) struct Journal {
    pub(crate) name: String,
    text: String,
}

impl Journal {
    /// The journals of a directory, in the order of their names.
    pub(crate) fn read_all(directory: &Path) -> Result<Vec<Self>, Failure> {
        let mut journals = Vec::new();
        for entry in fs::read_dir(directory)? {
            let path = entry?.path();
            if path.extension().is_some_and(|extension| extension == "journal") {
                let name = path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
                // A torn line may end in the middle of a character.
                let text = String::from_utf8_lossy(&fs::read(&path)?).into_owned();
                journals.push(Self { name, text });
            }
        }
        journals.sort_by(|a, b| a.name.cmp(&b.name));
        Ok(journals)
    }

    /// The whole lines; what stands behind the last line break is torn.
    pub(crate) fn entries(&self) -> impl Iterator<Item = Result<Entry<'_>, String>> {
        let whole = self.text.rfind('\n').map_or("", |end| &self.text[..end]);
        whole.lines().map(|line| {
            Entry::parse(line)
                .ok_or_else(|| format!("{}: not a line of a journal: {line}", self.name))
        })
    }
}
