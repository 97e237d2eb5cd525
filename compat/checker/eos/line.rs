//! Lines of journals that only the exactly-once workload writes, and the values of its output.

use std::fmt::{self, Display};
use std::str::FromStr;

use crate::journal::OneWord;

/// A word of a line.
trait Word<'a>: Sized {
    fn read(word: &'a str) -> Option<Self>;
}

impl<'a> Word<'a> for &'a str {
    fn read(word: &'a str) -> Option<Self> {
        Some(word)
    }
}

macro_rules! numbers {
    ($($number:ty)*) => {$(
        impl Word<'_> for $number {
            fn read(word: &str) -> Option<Self> {
                Self::from_str(word).ok()
            }
        }
    )*};
}
numbers! { u64 i64 i32 }

/// Declares the lines: the first word of each, and what follows, a word each.
macro_rules! lines {
    ($($(#[$doc:meta])* $kind:literal $name:ident { $($field:ident: $type:ty),* })*) => {
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub(crate) enum Line<'a> {
            $($(#[$doc])* $name { $($field: $type),* },)*
        }

        impl<'a> Line<'a> {
            pub(crate) fn parse(kind: &str, rest: &'a str) -> Option<Self> {
                let words = &mut rest.split(' ');
                match kind {
                    $($kind => Some(Self::$name { $($field: Word::read(words.next()?)?),* }),)*
                    _ => None,
                }
            }
        }

        impl Display for Line<'_> {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                match self {
                    $(Self::$name { $($field),* } => {
                        f.write_str($kind)?;
                        $(write!(f, " {}", OneWord(&$field.to_string()))?;)*
                        Ok(())
                    })*
                }
            }
        }
    };
}

lines! {
    /// A worker's producer has become its transactional id's only one.
    "ready" Ready { began_ns: u64, ended_ns: u64 }
    /// A transaction that is to have so many records.
    "begun" Begun { transaction: u64, count: u64 }
    /// A record's ack; one without an offset has no line.
    "placed" Placed { transaction: u64, position: u64, partition: i32, offset: i64 }
    /// Before the commit is asked for.
    "asked" Asked { at_ns: u64, transaction: u64 }
    /// The commit is confirmed.
    "done" Done { transaction: u64 }
    /// The abort is confirmed. A transaction with neither line may have either end, if its commit was asked for.
    "aborted" Aborted { transaction: u64 }
    /// The worker was told that its producer is not the one any more, and ends.
    "fenced" Fenced { at_ns: u64 }
    /// The worker's client has not come back from a call, although it had a timeout, and the worker ends.
    "hung" Hung { at_ns: u64 }
    /// A record of the output, by the reader that reads along, after it had it.
    "seen" Seen { at_ns: u64, partition: i32, offset: i64, value: &'a str }
    /// Committed offsets, while those of transactions that are done may still be on their way.
    "glimpse" Glimpse { partition: i32, offset: i64 }
    /// Up to where the output is read; the last stable offset was asked for first.
    "bounds" Bounds { partition: i32, last_stable_offset: i64, high_watermark: i64 }
    /// In the end, a transaction that is still open, and where it begins.
    "open" Open { topic: &'a str, partition: i32, producer_id: i64, offset: i64 }
    /// In the end, a record of the input.
    "input" Input { partition: i32, offset: i64, value: &'a str }
    /// In the end, a record of the output.
    "output" Output { partition: i32, offset: i64, value: &'a str }
    /// In the end, a record of the output, perhaps of an aborted transaction.
    "written" Written { partition: i32, offset: i64, value: &'a str }
    /// Something that was done, and to whom.
    "fault" Fault { kind: &'a str, victim: &'a str }
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
        Some(Self {
            input: words.next()?,
            worker: words.next()?,
            transaction: Word::read(words.next()?)?,
            position: Word::read(words.next()?)?,
            count: Word::read(words.next()?)?,
        })
    }
}

impl Display for Product<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { input, worker, transaction, position, count } = self;
        write!(f, "{input}:{worker}:{transaction}:{position}:{count}")
    }
}
