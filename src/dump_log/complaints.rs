//! What is wrong with files that can be read: printed at the end, by kind and file.

use std::cmp::Reverse;
use std::io::{self, Write};

use crate::env::java_hash_bucket;

/// What is wrong, in the order in which it is printed. Each has two numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Complaint {
    /// An entry of an index, and the last offset of the batch it points to.
    IndexMismatch,
    /// The time in an entry of a time index, and that of its batch.
    TimestampMismatch,
    /// The time in an entry of a time index, and that of the entry before.
    OutOfOrder,
    /// The offset in an entry of a time index, and that of the batch where it should be, or -1.
    NotFound,
    /// The offset of a record, and of the next one.
    Gap,
}

use Complaint::{Gap, IndexMismatch, NotFound, OutOfOrder, TimestampMismatch};

/// Capacity of Java's `HashMap` before it grows.
const JAVA_MAP_CAPACITY_MIN: u32 = 16;

/// All that was found, in the order of finding.
#[derive(Debug, Default)]
pub(super) struct Complaints(Vec<Found>);

/// What was found of one kind in one file.
#[derive(Debug)]
struct Found {
    complaint: Complaint,
    file: String,
    pairs: Vec<(i64, i64)>,
}

impl Complaints {
    pub(super) fn add(&mut self, complaint: Complaint, file: &str, first: i64, second: i64) {
        let known = self.0.iter_mut().find(|it| it.complaint == complaint && it.file == file);
        let Some(Found { pairs, .. }) = known else {
            let (file, pairs) = (file.to_owned(), vec![(first, second)]);
            return self.0.push(Found { complaint, file, pairs });
        };
        if matches!(complaint, IndexMismatch | Gap) {
            pairs.retain(|(known, _)| *known != first);
        }
        pairs.push((first, second));
    }

    /// Files stand in the order of the `HashMap` that Kafka keeps them in.
    pub(super) fn print(&self, out: &mut dyn Write) -> io::Result<()> {
        for complaint in [IndexMismatch, TimestampMismatch, OutOfOrder, NotFound, Gap] {
            // A file that Java puts in last comes first in its bucket.
            let found = self.0.iter().rev().filter(|it| it.complaint == complaint);
            let mut found: Vec<&Found> = found.collect();
            let mut capacity = JAVA_MAP_CAPACITY_MIN;
            while found.len() as u64 > u64::from(capacity) * 3 / 4 {
                capacity *= 2;
            }
            found.sort_by_key(|it| java_hash_bucket(&it.file, capacity));
            for Found { file, pairs, .. } in found {
                let mut pairs = pairs.clone();
                match complaint {
                    IndexMismatch => pairs.sort_by_key(|(offset, _)| Reverse(*offset)),
                    Gap => pairs.sort_unstable(),
                    _ => {}
                }
                let (title, [before, between]) = complaint.words();
                writeln!(out, "{title}{file}")?;
                for (first, second) in pairs {
                    writeln!(out, "{before}{first}{between}{second}")?;
                }
            }
        }
        Ok(())
    }
}

impl Complaint {
    /// What stands before the file, and around the numbers.
    fn words(self) -> (&'static str, [&'static str; 2]) {
        match self {
            IndexMismatch => ("Mismatches in :", ["  Index offset: ", ", log offset: "]),
            TimestampMismatch => {
                ("Found timestamp mismatch in :", ["  Index timestamp: ", ", log timestamp: "])
            }
            OutOfOrder => (
                "Found out of order timestamp in :",
                ["  Index timestamp: ", ", Previously indexed timestamp: "],
            ),
            NotFound => (
                "The following indexed offsets are not found in :",
                ["Indexed offset: ", ", found log offset: "],
            ),
            Gap => ("Non-consecutive offsets in ", ["  ", " is followed by "]),
        }
    }
}
