//! What is done to the broker and to the workers, and when: two series that a seed decides.

use std::time::{Duration, Instant};

use fastrand::Rng;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fault {
    /// Of the broker, a SIGKILL and a start on the same directory and port; of a worker, a SIGKILL in a transaction, and
    /// a new process with the same transactional id so much later.
    Kill(Duration),
    /// Of the broker, a SIGSTOP and SIGCONT so much later; of a worker, a SIGSTOP in a transaction, a new process with
    /// the same transactional id, and SIGCONT so long after it has it.
    Stop(Duration),
}

/// Faults of one kind of victim, one after the other.
#[derive(Debug)]
pub(super) struct Series {
    random: Rng,
    /// How often a round of three kills.
    kills: usize,
    later_ms: std::ops::RangeInclusive<u64>,
    gap_ms: std::ops::Range<u64>,
    /// What is left of the round, so that every kind comes soon.
    round: Vec<bool>,
    due: Instant,
}

impl Series {
    pub(super) fn of_broker(seed: u64) -> Self {
        Self::new(seed, 1, 1_000..=15_000, 3_000..8_000)
    }

    pub(super) fn of_workers(seed: u64) -> Self {
        Self::new(!seed, 2, 0..=2_000, 1_000..5_000)
    }

    fn new(
        seed: u64,
        kills: usize,
        later_ms: std::ops::RangeInclusive<u64>,
        gap_ms: std::ops::Range<u64>,
    ) -> Self {
        let (random, round) = (Rng::with_seed(seed), Vec::new());
        let mut series = Self { random, kills, later_ms, gap_ms, round, due: Instant::now() };
        series.postpone();
        series
    }

    /// The gap to the next one begins now: the last one is over.
    pub(super) fn postpone(&mut self) {
        self.due = Instant::now() + Duration::from_millis(self.random.u64(self.gap_ms.clone()));
    }

    /// The next one, when it is due.
    pub(super) fn next(&mut self) -> Option<Fault> {
        if Instant::now() < self.due {
            return None;
        }
        if self.round.is_empty() {
            self.round = (0..3).map(|number| number < self.kills).collect();
            self.random.shuffle(&mut self.round);
        }
        let later = Duration::from_millis(self.random.u64(self.later_ms.clone()));
        let kills = self.round.pop()?;
        Some(if kills { Fault::Kill(later) } else { Fault::Stop(later) })
    }

    /// One of them.
    pub(super) fn choose<T: Copy>(&mut self, victims: &[T]) -> Option<T> {
        self.random.choice(victims).copied()
    }
}
