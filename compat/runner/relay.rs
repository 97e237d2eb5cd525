//! A TCP relay that cuts connections after the broker has taken a Produce request, before the client learns of it.

use std::collections::HashSet;
use std::io::{self, Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;

use crate::Failure;

/// The first Produce request and then every fifth loses its answer, so that a client in a hurry meets one, too.
const CUT_EVERY: usize = 5;
const CUTS_MAX: usize = 30;
const PRODUCE: i16 = 0;
/// Api key, api version and correlation id of a request.
const REQUEST_HEADER_BYTES: usize = 8;

#[derive(Debug, Default)]
struct Counts {
    requests: AtomicUsize,
    cuts: AtomicUsize,
}

/// Runs until the process ends.
#[derive(Debug)]
pub(crate) struct Relay {
    port: u16,
    counts: Arc<Counts>,
}

/// A socket that listens already: its port must be known before the broker starts.
#[derive(Debug)]
pub(crate) struct Entrance(TcpListener);

impl Entrance {
    pub(crate) fn open() -> Result<Self, Failure> {
        Ok(Self(TcpListener::bind("127.0.0.1:0")?))
    }

    pub(crate) fn port(&self) -> Result<u16, Failure> {
        Ok(self.0.local_addr()?.port())
    }
}

impl Relay {
    /// Between the entrance and the broker on that port.
    pub(crate) fn start(entrance: Entrance, broker_port: u16) -> Result<Self, Failure> {
        let relay = Self { port: entrance.port()?, counts: Arc::default() };
        let counts = Arc::clone(&relay.counts);
        thread::spawn(move || {
            for client in entrance.0.incoming().flatten() {
                // A broker that is not there closes the client's connection, too.
                if let Ok(broker) = TcpStream::connect(("localhost", broker_port)) {
                    let _ = join(client, broker, &counts);
                }
            }
        });
        Ok(relay)
    }

    pub(crate) fn port(&self) -> u16 {
        self.port
    }

    /// Counts anew.
    pub(crate) fn reset(&self) {
        self.counts.requests.store(0, Ordering::Relaxed);
        self.counts.cuts.store(0, Ordering::Relaxed);
    }

    /// How many connections were cut since the last reset.
    pub(crate) fn cuts(&self) -> usize {
        self.counts.cuts.load(Ordering::Relaxed)
    }
}

/// One connection of a client, with its own to the broker.
struct Link {
    client: TcpStream,
    broker: TcpStream,
    counts: Arc<Counts>,
    /// Correlation ids of the requests whose answer is not passed on.
    doomed: Mutex<HashSet<[u8; 4]>>,
}

/// Carries both ways until either side ends.
fn join(client: TcpStream, broker: TcpStream, counts: &Arc<Counts>) -> io::Result<()> {
    client.set_nodelay(true)?;
    broker.set_nodelay(true)?;
    let doomed = Mutex::default();
    let there = Arc::new(Link { client, broker, counts: Arc::clone(counts), doomed });
    let back = Arc::clone(&there);
    thread::spawn(move || {
        let _ = there.carry_requests();
        there.close();
    });
    thread::spawn(move || {
        let _ = back.carry_answers();
        back.close();
    });
    Ok(())
}

impl Link {
    fn carry_requests(&self) -> io::Result<()> {
        loop {
            let frame = read_frame(&mut &self.client)?;
            if let [key_high, key_low, _, _, id @ ..] =
                &frame.get(..REQUEST_HEADER_BYTES).unwrap_or_default()
                && i16::from_be_bytes([*key_high, *key_low]) == PRODUCE
                && self.is_chosen()
            {
                let id = id.try_into().map_err(io::Error::other)?;
                self.doomed().insert(id);
            }
            write_frame(&mut &self.broker, &frame)?;
        }
    }

    /// Until the answer of a chosen request.
    fn carry_answers(&self) -> io::Result<()> {
        loop {
            let frame = read_frame(&mut &self.broker)?;
            if frame.first_chunk().is_some_and(|id| self.doomed().contains(id)) {
                self.counts.cuts.fetch_add(1, Ordering::Relaxed);
                return Ok(());
            }
            write_frame(&mut &self.client, &frame)?;
        }
    }

    fn is_chosen(&self) -> bool {
        let number = self.counts.requests.fetch_add(1, Ordering::Relaxed);
        number.is_multiple_of(CUT_EVERY) && number / CUT_EVERY < CUTS_MAX
    }

    fn doomed(&self) -> std::sync::MutexGuard<'_, HashSet<[u8; 4]>> {
        self.doomed.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn close(&self) {
        // Either may be closed already.
        let _ = self.client.shutdown(Shutdown::Both);
        let _ = self.broker.shutdown(Shutdown::Both);
    }
}

fn read_frame(stream: &mut impl Read) -> io::Result<Vec<u8>> {
    let mut size = [0; 4];
    stream.read_exact(&mut size)?;
    let size = usize::try_from(i32::from_be_bytes(size)).map_err(io::Error::other)?;
    let mut frame = vec![0; size];
    stream.read_exact(&mut frame)?;
    Ok(frame)
}

fn write_frame(stream: &mut impl Write, frame: &[u8]) -> io::Result<()> {
    stream.write_all(&[&(frame.len() as u32).to_be_bytes(), frame].concat())
}
