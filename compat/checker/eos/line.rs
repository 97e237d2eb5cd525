//! Lines of journals that only the exactly-once workload writes.
//!
//! ```text
//! ready BEGAN_NS ENDED_NS                   a worker's producer has become its transactional id's only one
//! begun TRANSACTION COUNT                   with so many records to come
//! placed TRANSACTION POSITION PARTITION OFFSET    a record's ack; those without an offset have no line
//! asked NS TRANSACTION                      before its commit is asked for
//! ended TRANSACTION committed|aborted       after the answer; another end is not known
//! fenced NS                                 the worker was told that its producer is not the one any more, and ends
//! seen NS PARTITION OFFSET VALUE            by the reader that reads along, after it had it
//! found VIEW PARTITION OFFSET VALUE         in the end, in the input, the output read committed, or all of it
//! glimpse PARTITION:OFFSET...               committed offsets while those of ended transactions may still be on their way
//! bounds PARTITION:LAST_STABLE_OFFSET:HIGH_WATERMARK...    the former asked for first
//! open TOPIC PARTITION PRODUCER_ID OFFSET   a transaction that is still open in the end, and where it begins
//! fault KIND TEXT                           the conductor is about to do it
//! ```

use std::fmt::{self, Display};
use std::str::FromStr;

use crate::journal::{Offsets, OneWord, offset};

/// What was read in the end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum View {
    Input,
    Committed,
    /// The output with the records of aborted transactions.
    All,
}

impl View {
    fn name(self) -> &'static str {
        match self {
            Self::Input => "input",
            Self::Committed => "committed",
            Self::All => "all",
        }
    }
}

/// A line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Line<'a> {
    Ready { began_ns: u64, ended_ns: u64 },
    Begun { transaction: u64, count: u64 },
    Placed { transaction: u64, position: u64, partition: i32, offset: i64 },
    Asked { at_ns: u64, transaction: u64 },
    Ended { transaction: u64, committed: bool },
    Fenced { at_ns: u64 },
    Seen { at_ns: u64, partition: i32, offset: i64, value: &'a str },
    Found { view: View, partition: i32, offset: i64, value: &'a str },
    Glimpse(Offsets),
    Bounds(Vec<Bounds>),
    Open { topic: &'a str, partition: i32, producer_id: i64, offset: i64 },
    Fault { kind: &'a str, text: &'a str },
}

/// Up to where a partition is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Bounds {
    pub(crate) partition: i32,
    pub(crate) last_stable_offset: i64,
    pub(crate) high_watermark: i64,
}

impl Bounds {
    fn parse(word: &str) -> Option<Self> {
        let mut numbers = word.split(':');
        Some(Self {
            partition: number(&mut numbers)?,
            last_stable_offset: number(&mut numbers)?,
            high_watermark: number(&mut numbers)?,
        })
    }
}

fn number<'a, T: FromStr>(words: &mut impl Iterator<Item = &'a str>) -> Option<T> {
    words.next()?.parse().ok()
}

impl<'a> Line<'a> {
    pub(crate) fn parse(kind: &str, rest: &'a str) -> Option<Self> {
        let words = &mut rest.split(' ');
        Some(match kind {
            "ready" => Self::Ready { began_ns: number(words)?, ended_ns: number(words)? },
            "begun" => Self::Begun { transaction: number(words)?, count: number(words)? },
            "placed" => Self::Placed {
                transaction: number(words)?,
                position: number(words)?,
                partition: number(words)?,
                offset: number(words)?,
            },
            "asked" => Self::Asked { at_ns: number(words)?, transaction: number(words)? },
            "ended" => Self::Ended {
                transaction: number(words)?,
                committed: match words.next()? {
                    "committed" => true,
                    "aborted" => false,
                    _ => return None,
                },
            },
            "fenced" => Self::Fenced { at_ns: number(words)? },
            "seen" => Self::Seen {
                at_ns: number(words)?,
                partition: number(words)?,
                offset: number(words)?,
                value: words.next()?,
            },
            "found" => {
                let name = words.next()?;
                let views = [View::Input, View::Committed, View::All];
                Self::Found {
                    view: views.into_iter().find(|view| view.name() == name)?,
                    partition: number(words)?,
                    offset: number(words)?,
                    value: words.next()?,
                }
            }
            "glimpse" => Self::Glimpse(words.map(offset).collect::<Option<_>>()?),
            "bounds" => Self::Bounds(words.map(Bounds::parse).collect::<Option<_>>()?),
            "open" => Self::Open {
                topic: words.next()?,
                partition: number(words)?,
                producer_id: number(words)?,
                offset: number(words)?,
            },
            "fault" => {
                let (kind, text) = rest.split_once(' ')?;
                Self::Fault { kind, text }
            }
            _ => return None,
        })
    }
}

impl Display for Line<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Ready { began_ns, ended_ns } => write!(f, "ready {began_ns} {ended_ns}"),
            Self::Begun { transaction, count } => write!(f, "begun {transaction} {count}"),
            Self::Placed { transaction, position, partition, offset } => {
                write!(f, "placed {transaction} {position} {partition} {offset}")
            }
            Self::Asked { at_ns, transaction } => write!(f, "asked {at_ns} {transaction}"),
            Self::Ended { transaction, committed } => {
                let end = if *committed { "committed" } else { "aborted" };
                write!(f, "ended {transaction} {end}")
            }
            Self::Fenced { at_ns } => write!(f, "fenced {at_ns}"),
            Self::Seen { at_ns, partition, offset, value } => {
                write!(f, "seen {at_ns} {partition} {offset} {}", OneWord(value))
            }
            Self::Found { view, partition, offset, value } => {
                write!(f, "found {} {partition} {offset} {}", view.name(), OneWord(value))
            }
            Self::Glimpse(offsets) => {
                f.write_str("glimpse")?;
                offsets
                    .iter()
                    .try_for_each(|(partition, offset)| write!(f, " {partition}:{offset}"))
            }
            Self::Bounds(bounds) => {
                f.write_str("bounds")?;
                bounds.iter().try_for_each(|at| {
                    let Bounds { partition, last_stable_offset, high_watermark } = at;
                    write!(f, " {partition}:{last_stable_offset}:{high_watermark}")
                })
            }
            Self::Open { topic, partition, producer_id, offset } => {
                write!(f, "open {topic} {partition} {producer_id} {offset}")
            }
            Self::Fault { kind, text } => write!(f, "fault {kind} {text}"),
        }
    }
}

/// A record of the output: the record of the input that it is made of, and its place in a transaction. Its value says
/// all of it, as `INPUT:WORKER:TRANSACTION:POSITION:COUNT`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Product<'a> {
    pub(crate) input: &'a str,
    pub(crate) worker: &'a str,
    pub(crate) transaction: u64,
    pub(crate) position: u64,
    pub(crate) count: u64,
}

impl<'a> Product<'a> {
    pub(crate) fn of_value(value: &'a str) -> Option<Self> {
        let words = &mut value.split(':');
        let product = Self {
            input: words.next()?,
            worker: words.next()?,
            transaction: number(words)?,
            position: number(words)?,
            count: number(words)?,
        };
        words.next().is_none().then_some(product)
    }
}

impl Display for Product<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { input, worker, transaction, position, count } = self;
        write!(f, "{input}:{worker}:{transaction}:{position}:{count}")
    }
}
