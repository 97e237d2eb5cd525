//! What was compared, and what came of it.

use std::collections::{BTreeMap, BTreeSet};

use crate::accepted::ACCEPTED;
use crate::compare::{Difference, is_like};

/// Differences shown of one answer.
const SHOWN_MAX: usize = 40;

/// Counts answers and prints what differs.
#[derive(Debug)]
pub(crate) struct Report {
    verbose: bool,
    /// The only API to judge.
    only: Option<String>,
    /// Passed and failed, by API.
    totals: BTreeMap<String, (usize, usize)>,
    versions: BTreeSet<(String, i16)>,
    occurred: BTreeSet<usize>,
}

impl Report {
    pub(crate) fn new(verbose: bool, only: Option<String>) -> Self {
        Self {
            verbose,
            only,
            totals: BTreeMap::new(),
            versions: BTreeSet::new(),
            occurred: BTreeSet::new(),
        }
    }

    pub(crate) fn judges(&self, api: &str) -> bool {
        self.only.as_ref().is_none_or(|only| only.eq_ignore_ascii_case(api))
    }

    /// The differences that nothing accepts.
    pub(crate) fn unexplained(
        &mut self,
        api: &str,
        step: &str,
        differences: Vec<Difference>,
    ) -> Vec<Difference> {
        let mut is_accepted = |difference: &Difference| {
            let place = ACCEPTED.iter().position(|accepted| {
                is_like(api, accepted.api)
                    && is_like(step, accepted.step)
                    && is_like(&difference.path, accepted.path)
                    && is_like(&difference.ours, accepted.ours)
                    && is_like(&difference.theirs, accepted.theirs)
            });
            self.occurred.extend(place);
            place.is_some()
        };
        differences.into_iter().filter(|difference| !is_accepted(difference)).collect()
    }

    /// Counts one answer.
    pub(crate) fn add(&mut self, api: &str, step: &str, version: i16, differences: &[Difference]) {
        if !self.judges(api) {
            return;
        }
        self.versions.insert((api.to_owned(), version));
        let total = self.totals.entry(api.to_owned()).or_default();
        if differences.is_empty() {
            total.0 += 1;
            if self.verbose {
                println!("ok   {api} v{version} {step}");
            }
            return;
        }
        total.1 += 1;
        println!("DIFF {api} v{version} {step}");
        for difference in &differences[..differences.len().min(SHOWN_MAX)] {
            println!("       {difference}");
        }
        if differences.len() > SHOWN_MAX {
            println!("       and {} more", differences.len() - SHOWN_MAX);
        }
    }

    /// Counts something else that is wrong.
    pub(crate) fn fail(&mut self, api: &str, what: &str) {
        if self.judges(api) {
            self.totals.entry(api.to_owned()).or_default().1 += 1;
            println!("FAIL {api} {what}");
        }
    }

    pub(crate) fn has(&self, api: &str, version: i16) -> bool {
        self.versions.contains(&(api.to_owned(), version))
    }

    /// Fails for every accepted difference that did not occur.
    pub(crate) fn expect_accepted(&mut self) {
        for (place, accepted) in ACCEPTED.iter().enumerate() {
            if !self.occurred.contains(&place) && !accepted.api.contains('*') {
                let what = format!("the accepted difference at {} did not occur", accepted.path);
                self.fail(accepted.api, &format!("{}: {what} ({})", accepted.step, accepted.why));
            }
        }
    }

    /// Prints a line for each API and the closing line; whether all was as it should be.
    pub(crate) fn close(&mut self) -> bool {
        let (mut passed, mut failed) = (0, 0);
        for (api, total) in &self.totals {
            println!("{api}: {} passed, {} failed", total.0, total.1);
            passed += total.0;
            failed += total.1;
        }
        println!("{passed} passed, {failed} failed");
        passed > 0 && failed == 0
    }
}
