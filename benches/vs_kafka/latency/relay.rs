//! The floor of the time from end to end: a thread that passes on what it receives, and nothing else.
//!
//! As with a broker, a message has a moment when it is due, and two connections to go through.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::os::fd::OwnedFd;
use std::thread;
use std::time::{Duration, Instant};

use rustix::time::{
    Itimerspec, TimerfdClockId, TimerfdFlags, TimerfdTimerFlags, Timespec, timerfd_create,
    timerfd_settime,
};

use super::Quantiles;
use crate::limits::connected;

/// About what Produce and the answer to Fetch have with one record of 100 bytes.
const MESSAGE_BYTES: usize = 250;

/// Sends messages for so long, each at its time.
pub(super) fn measure(rate_per_s: u32, seconds: f64) -> Quantiles {
    let (output, from) = connected();
    let (to, mut input) = connected();
    let relay = thread::spawn(move || pass_on(from, to));
    let started = Instant::now();
    let due = move |number: u32| started + Duration::from_secs(1) * number / rate_per_s;
    let messages = (f64::from(rate_per_s) * seconds) as u32;
    let sender = thread::spawn(move || send(output, messages, due));
    let mut message = [0; MESSAGE_BYTES];
    let receive = |number| {
        input.read_exact(&mut message).unwrap();
        due(number).elapsed()
    };
    let times = (0..messages).map(receive).collect();
    sender.join().unwrap();
    relay.join().unwrap();
    Quantiles::of_times(times)
}

fn send(mut output: TcpStream, messages: u32, due: impl Fn(u32) -> Instant) {
    let timer = Timer::new();
    for number in 0..messages {
        timer.sleep_until(due(number));
        output.write_all(&[7; MESSAGE_BYTES]).unwrap();
    }
}

fn pass_on(mut from: TcpStream, mut to: TcpStream) {
    let mut message = [0; MESSAGE_BYTES];
    while from.read_exact(&mut message).is_ok() {
        to.write_all(&message).unwrap();
    }
}

/// The kernel's own: what a sleeping thread waits is rounded up by its timer slack.
struct Timer(OwnedFd);

impl Timer {
    fn new() -> Self {
        Self(timerfd_create(TimerfdClockId::Monotonic, TimerfdFlags::CLOEXEC).unwrap())
    }

    fn sleep_until(&self, due: Instant) {
        let left = due.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return;
        }
        let value = Timespec::try_from(left).unwrap();
        let once = Itimerspec { it_interval: Timespec::default(), it_value: value };
        timerfd_settime(&self.0, TimerfdTimerFlags::empty(), &once).unwrap();
        rustix::io::read(&self.0, &mut [0; 8]).unwrap();
    }
}
