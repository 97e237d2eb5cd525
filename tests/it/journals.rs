//! Journals of the checker that are written by hand, and what it says of them.

use std::collections::BTreeMap;
use std::fs;

use crate::checker::checker;

/// What judges the journals of a workload.
#[derive(Clone, Copy)]
pub(crate) struct Judge {
    /// The checker's command.
    pub(crate) command: &'static [&'static str],
    /// The first word of its verdict.
    pub(crate) name: &'static str,
    /// Finds the verdict in what it prints.
    pub(crate) closing_line: fn(&str) -> &str,
}

/// The journals of a run, by name.
pub(crate) struct Journals {
    judge: Judge,
    texts: BTreeMap<&'static str, String>,
}

impl Journals {
    pub(crate) fn new<const N: usize>(judge: Judge, texts: [(&'static str, &str); N]) -> Self {
        Self { judge, texts: texts.map(|(name, text)| (name, text.to_owned())).into() }
    }

    /// With the text of one as this makes it.
    pub(crate) fn edited(mut self, name: &str, edit: impl FnOnce(&str) -> String) -> Self {
        let text = self.texts.get_mut(name).unwrap();
        *text = edit(text);
        self
    }

    /// With `from`, which must be there, replaced.
    pub(crate) fn with(self, name: &str, from: &str, to: &str) -> Self {
        self.edited(name, |text| {
            assert!(text.contains(from), "{name} has no {from:?}");
            text.replace(from, to)
        })
    }

    /// With more lines.
    pub(crate) fn and(self, name: &str, lines: &str) -> Self {
        self.edited(name, |text| text.to_owned() + lines)
    }

    /// The status and the closing line.
    pub(crate) fn judge(&self) -> (Option<i32>, String) {
        let directory = tempfile::tempdir().unwrap();
        for (name, text) in &self.texts {
            fs::write(directory.path().join(format!("{name}.journal")), text).unwrap();
        }
        let output = checker().args(self.judge.command).arg(directory.path()).output().unwrap();
        let text = String::from_utf8(output.stdout).unwrap();
        (output.status.code(), (self.judge.closing_line)(&text).to_owned())
    }

    #[track_caller]
    pub(crate) fn assert_clean(&self, counts: &str) {
        let clean = format!("{}: {counts}, 0 faults: clean", self.judge.name);
        assert_eq!(self.judge(), (Some(0), clean));
    }

    #[track_caller]
    pub(crate) fn assert_faults(&self, faults: &str) {
        let (status, line) = self.judge();
        let found = line.split_once(" faults: ").map(|(_, found)| found);
        assert_eq!((status, found), (Some(1), Some(faults)), "{line}");
    }
}
