//! A zstd stream as it is inflated: the memory it may take, and decoders that are used again.
//!
//! Its header says how much memory it takes, so a small batch may claim 128 MiB, which Java's highest level really uses:
//! windows above [`SMALL_WINDOW_LOG`] are inflated one at a time.

use std::io::{self, Read};
use std::sync::{Mutex, MutexGuard, PoisonError};

use zstd::stream::raw::{DParameter, Decoder, InBuffer, Operation, OutBuffer, WriteBuf};
use zstd::stream::zio::Reader;

/// 8 MiB: what every level but the highest stays within.
const SMALL_WINDOW_LOG: u32 = 23;
/// 128 MiB, the most that decoders take without being told to.
const LARGE_WINDOW_LOG: u32 = 27;
static LARGE_WINDOW: Mutex<()> = Mutex::new(());

/// Decoders that wait for the next stream, with the window of the last one.
static IDLE: Mutex<Vec<Decoder<'static>>> = Mutex::new(Vec::new());
/// Most of them: as many streams are inflated at the same time by few cores.
const IDLE_MAX: usize = 4;

pub(super) struct Zstd<'a> {
    compressed: &'a [u8],
    reader: Reader<&'a [u8], Lent>,
    read_bytes: u64,
    turn: Option<MutexGuard<'static, ()>>,
}

impl<'a> Zstd<'a> {
    pub(super) fn new(compressed: &'a [u8]) -> io::Result<Self> {
        let reader = Reader::new(compressed, Lent::small()?);
        Ok(Self { compressed, reader, read_bytes: 0, turn: None })
    }

    pub(super) fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = match self.reader.read(buffer) {
            // The library does not tell its errors apart; a damaged stream fails again.
            Err(_) if self.turn.is_none() => {
                self.turn = Some(lock(&LARGE_WINDOW));
                let mut reader = Reader::new(self.compressed, Lent::large()?);
                let mut done = (&mut reader).take(self.read_bytes);
                io::copy(&mut done, &mut io::sink())?;
                self.reader = reader;
                self.reader.read(buffer)?
            }
            read => read?,
        };
        self.read_bytes += read as u64;
        Ok(read)
    }
}

/// A decoder that goes back to [`IDLE`]: to make one takes a tenth of what a batch of 64 KiB takes in all.
struct Lent {
    /// None once it has gone back.
    decoder: Option<Decoder<'static>>,
    goes_back: bool,
}

impl Lent {
    fn small() -> io::Result<Self> {
        // Not in the match, or the lock would be held through it.
        let idle = lock(&IDLE).pop();
        let decoder = match idle {
            Some(mut decoder) => {
                decoder.reinit()?;
                decoder
            }
            None => with_window(SMALL_WINDOW_LOG)?,
        };
        Ok(Self { decoder: Some(decoder), goes_back: true })
    }

    fn large() -> io::Result<Self> {
        Ok(Self { decoder: Some(with_window(LARGE_WINDOW_LOG)?), goes_back: false })
    }

    fn decoder(&mut self) -> io::Result<&mut Decoder<'static>> {
        self.decoder.as_mut().ok_or_else(|| io::ErrorKind::NotConnected.into())
    }
}

impl Drop for Lent {
    fn drop(&mut self) {
        let mut idle = lock(&IDLE);
        if self.goes_back && idle.len() < IDLE_MAX {
            idle.extend(self.decoder.take());
        }
    }
}

impl Operation for Lent {
    fn run<C: WriteBuf + ?Sized>(
        &mut self,
        input: &mut InBuffer<'_>,
        output: &mut OutBuffer<'_, C>,
    ) -> io::Result<usize> {
        self.decoder()?.run(input, output)
    }

    fn reinit(&mut self) -> io::Result<()> {
        self.decoder()?.reinit()
    }

    fn finish<C: WriteBuf + ?Sized>(
        &mut self,
        output: &mut OutBuffer<'_, C>,
        finished_frame: bool,
    ) -> io::Result<usize> {
        self.decoder()?.finish(output, finished_frame)
    }
}

fn with_window(window_log: u32) -> io::Result<Decoder<'static>> {
    let mut decoder = Decoder::new()?;
    decoder.set_parameter(DParameter::WindowLogMax(window_log))?;
    Ok(decoder)
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
