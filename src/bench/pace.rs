//! When requests are due: by a schedule that no answer delays (an open loop), or as fast as it goes.
//!
//! One timer serves all connections that send, and it is the kernel's: the runtime's own has ticks of a millisecond, which
//! would be part of every latency.

use std::io;
use std::os::fd::OwnedFd;
use std::time::Duration;

use rustix::time::{
    Itimerspec, TimerfdClockId, TimerfdFlags, TimerfdTimerFlags, Timespec, timerfd_create,
    timerfd_settime,
};
use tokio::io::unix::AsyncFd;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::time::Instant;

const NANOS_PER_S: f64 = 1e9;

/// How many requests, how fast and for how long.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Plan {
    /// Requests a second, of all connections together; 0 is as fast as it goes.
    pub(super) rate_per_s: f64,
    /// No more requests than these.
    pub(super) requests_max: Option<u64>,
    /// No request is due later.
    pub(super) duration: Option<Duration>,
}

impl Plan {
    /// When a request is due, from the start on; none behind the end of the plan.
    pub(super) fn due(&self, number: u64) -> Option<Duration> {
        if self.requests_max.is_some_and(|max| number >= max) {
            return None;
        }
        // Counted from the start each time, so that no error adds up.
        let due = Duration::from_nanos((number as f64 * NANOS_PER_S / self.rate_per_s) as u64);
        self.duration.is_none_or(|duration| due < duration).then_some(due)
    }

    /// Requests of one of so many connections when none waits for its time.
    pub(super) fn share(&self, connection: u64, connections: u64) -> u64 {
        let Some(max) = self.requests_max else { return u64::MAX };
        max / connections + u64::from(connection < max % connections)
    }

    /// Starts the clock: what each of so many connections has to do, request `n` falling to connection `n` modulo these.
    pub(super) fn start(self, connections: usize) -> io::Result<Vec<Dues>> {
        let started = Instant::now();
        if self.rate_per_s <= 0.0 {
            let count = connections as u64;
            let until = self.duration.map(|duration| started + duration);
            let dues =
                (0..count).map(|number| Dues::Free { left: self.share(number, count), until });
            return Ok(dues.collect());
        }
        let timer = Timer::new()?;
        let (senders, dues): (Vec<_>, Vec<_>) = (0..connections)
            .map(|_| {
                let (sender, receiver) = unbounded_channel();
                (sender, Dues::Paced(receiver))
            })
            .unzip();
        tokio::spawn(async move { self.deal(started, &senders, &timer).await });
        Ok(dues)
    }

    async fn deal(&self, started: Instant, senders: &[UnboundedSender<Instant>], timer: &Timer) {
        for number in 0.. {
            let Some(due) = self.due(number).map(|due| started + due) else { return };
            if timer.sleep_until(due).await.is_err() {
                return;
            }
            let sender = &senders[(number % senders.len() as u64) as usize];
            if sender.send(due).is_err() && senders.iter().all(UnboundedSender::is_closed) {
                return;
            }
            // Where all are late nothing else would let the connections run.
            tokio::task::consume_budget().await;
        }
    }
}

/// The requests of one connection.
#[derive(Debug)]
pub(super) enum Dues {
    /// The next one is due now.
    Free {
        /// How many.
        left: u64,
        /// None is due from then on.
        until: Option<Instant>,
    },
    /// Each at its time.
    Paced(UnboundedReceiver<Instant>),
}

impl Dues {
    /// Waits until the next request is due; that time, or none at the end.
    pub(super) async fn next(&mut self) -> Option<Instant> {
        match self {
            Self::Free { left, until } => {
                *left = left.checked_sub(1)?;
                let now = Instant::now();
                until.is_none_or(|until| now < until).then_some(now)
            }
            Self::Paced(dues) => dues.recv().await,
        }
    }
}

/// A timer of the kernel.
#[derive(Debug)]
pub(super) struct Timer(AsyncFd<OwnedFd>);

impl Timer {
    #[expect(deprecated, reason = "its successor is unsafe; an OwnedFd keeps the descriptor valid")]
    pub(super) fn new() -> io::Result<Self> {
        let flags = TimerfdFlags::NONBLOCK | TimerfdFlags::CLOEXEC;
        Ok(Self(AsyncFd::new(timerfd_create(TimerfdClockId::Monotonic, flags)?)?))
    }

    pub(super) async fn sleep_until(&self, due: Instant) -> io::Result<()> {
        loop {
            let left = due.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Ok(());
            }
            let value = Timespec::try_from(left).map_err(io::Error::other)?;
            let once = Itimerspec { it_interval: Timespec::default(), it_value: value };
            timerfd_settime(self.0.get_ref(), TimerfdTimerFlags::empty(), &once)?;
            let mut ready = self.0.readable().await?;
            // How often it went off does not matter; nothing to read means that it was set anew.
            let _ = rustix::io::read(self.0.get_ref(), &mut [0; 8]);
            ready.clear_ready();
        }
    }
}
