//! Orders from outside, a line of standard input each, until it closes.

use std::io;
use std::sync::mpsc::{self, Receiver, TryRecvError};
use std::thread;

use clap::ValueEnum;

use crate::{Failure, Protocol};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Order {
    /// A member that runs not, and how it is kept in the group.
    Start(usize, Protocol),
    /// A member is told to leave.
    Leave(usize),
    /// What the checker asked for is done.
    Done,
}

impl Order {
    fn parse(line: &str) -> Option<Self> {
        let words: Vec<&str> = line.split(' ').collect();
        match words[..] {
            ["start", number, protocol] => {
                Some(Self::Start(number.parse().ok()?, Protocol::from_str(protocol, false).ok()?))
            }
            ["leave", number] => Some(Self::Leave(number.parse().ok()?)),
            ["done"] => Some(Self::Done),
            _ => None,
        }
    }
}

/// Standard input, once somebody listens to it.
#[derive(Debug)]
pub(crate) struct Orders {
    lines: Receiver<String>,
    is_closed: bool,
}

impl Orders {
    pub(crate) fn listen() -> Self {
        let (sender, lines) = mpsc::channel();
        thread::spawn(move || {
            // An error ends the input, too; without a listener there is nobody to tell.
            io::stdin().lines().map_while(Result::ok).try_for_each(|line| sender.send(line))
        });
        Self { lines, is_closed: false }
    }

    /// The next one that has come.
    pub(crate) fn next(&mut self) -> Result<Option<Order>, Failure> {
        match self.lines.try_recv() {
            Ok(line) => match Order::parse(&line) {
                None => Err(format!("no order: {line:?}").into()),
                order => Ok(order),
            },
            Err(TryRecvError::Empty) => Ok(None),
            Err(TryRecvError::Disconnected) => {
                self.is_closed = true;
                Ok(None)
            }
        }
    }

    pub(crate) fn are_closed(&self) -> bool {
        self.is_closed
    }
}
