//! The plan of a run: which member does what, and when.

use std::fmt::{self, Display};
use std::time::Duration;

use fastrand::Rng;

/// Somewhat longer than the time between two commits of a member.
const DELAY_MAX_MS: u64 = 150;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Action {
    Start,
    /// Told to leave.
    Leave,
    /// SIGKILL.
    Kill,
    /// SIGKILL, and started again at once, while the group still knows the dead one.
    Restart,
}

#[derive(Clone, Copy, Debug)]
pub(crate) struct Event {
    /// How many records are sent before.
    pub(crate) after: u64,
    /// How much later it happens: before, in or after the delivery of those records, or their commit.
    pub(crate) delay: Duration,
    pub(crate) member: usize,
    pub(crate) action: Action,
}

impl Display for Event {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "after {} records and {:?}: {:?} member {}",
            self.after, self.delay, self.action, self.member
        )
    }
}

/// The events in their order, always the same for a seed. All members run at first, at least one at any time. The
/// times are as irregular as chance is, so that some fall into the rebalance of the one before.
pub(crate) fn make(seed: u64, records: u64, members: usize, events: usize) -> Vec<Event> {
    let mut random = Rng::with_seed(seed);
    let mut times: Vec<u64> = (0..events).map(|_| random.u64(..records.max(1))).collect();
    times.sort_unstable();
    let mut runs = vec![true; members];
    let mut decide = |after| {
        let member = random.usize(..members);
        let action = match (runs[member], runs.iter().filter(|runs| **runs).count()) {
            (false, _) => Action::Start,
            (true, 1) => Action::Restart,
            (true, _) => [Action::Leave, Action::Kill, Action::Restart][random.usize(..3)],
        };
        runs[member] = matches!(action, Action::Start | Action::Restart);
        Event { after, delay: Duration::from_millis(random.u64(..DELAY_MAX_MS)), member, action }
    };
    times.into_iter().map(&mut decide).collect()
}
