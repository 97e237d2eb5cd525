//! What is done to the broker and to the workers, and when: two series that a seed decides.

use std::time::{Duration, Instant};

use fastrand::Rng;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fault {
    /// SIGKILL, and a start on the same directory and port.
    KillBroker,
    /// SIGSTOP, and SIGCONT so much later.
    PauseBroker(Duration),
    /// SIGKILL in a transaction, and a new process with the same transactional id so much later.
    KillWorker(Duration),
    /// SIGSTOP in a transaction, a new process with the same transactional id, and SIGCONT so long after it has it.
    Zombie(Duration),
}

/// Faults of one kind of victim, one after the other.
#[derive(Debug)]
pub(super) struct Series {
    random: Rng,
    draw: fn(&mut Rng, u8) -> Fault,
    /// What is left of a round of three, so that every kind comes soon.
    round: Vec<u8>,
    gap_ms: std::ops::Range<u64>,
    due: Instant,
}

impl Series {
    pub(super) fn of_broker(seed: u64) -> Self {
        Self::new(seed, 3_000..8_000, |random, kind| match kind {
            0 => Fault::KillBroker,
            _ => Fault::PauseBroker(Duration::from_millis(random.u64(1_000..=15_000))),
        })
    }

    pub(super) fn of_workers(seed: u64) -> Self {
        Self::new(!seed, 1_000..5_000, |random, kind| match kind {
            0 => Fault::Zombie(Duration::from_millis(random.u64(..2_000))),
            _ => Fault::KillWorker(Duration::from_millis(random.u64(..2_000))),
        })
    }

    fn new(seed: u64, gap_ms: std::ops::Range<u64>, draw: fn(&mut Rng, u8) -> Fault) -> Self {
        let random = Rng::with_seed(seed);
        let mut series = Self { random, draw, round: Vec::new(), gap_ms, due: Instant::now() };
        series.postpone();
        series
    }

    /// The next one counts from now on.
    pub(super) fn postpone(&mut self) {
        self.due = Instant::now() + Duration::from_millis(self.random.u64(self.gap_ms.clone()));
    }

    /// The next one, when it is due; whether all is well again is the caller's to see, and to [`Self::postpone`] then.
    pub(super) fn next(&mut self) -> Option<Fault> {
        if Instant::now() < self.due {
            return None;
        }
        if self.round.is_empty() {
            self.round = vec![0, 1, 2];
            self.random.shuffle(&mut self.round);
        }
        self.postpone();
        self.round.pop().map(|kind| (self.draw)(&mut self.random, kind))
    }

    /// One of so many.
    pub(super) fn choose(&mut self, count: usize) -> usize {
        self.random.usize(..count)
    }
}
