//! The workers as child processes, which end with this one: their standard input closes.

use std::fs::{self, File};
use std::io::{Read as _, Seek as _, SeekFrom};
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};
use std::{env, mem};

use fastrand::Rng;
use rustix::process::{Pid, Signal, kill_process};

use super::Client;
use super::plan::Fault;
use super::worker::WorkerOptions;
use crate::group::{COMPAT, Leavers, Member, output_of};
use crate::{Failure, name_of};

/// Of a journal, more than its last line has.
const TAIL_BYTES: i64 = 4_096;

#[derive(Debug)]
struct Process {
    member: Member,
    journal: PathBuf,
    /// It has had its transactional id.
    is_ready: bool,
}

impl Process {
    fn signal(&self, signal: Signal) -> Result<(), Failure> {
        Ok(kill_process(Pid::from_child(&self.member.child), signal)?)
    }

    /// Whether something is written in a transaction that has not ended: what the last line says.
    fn is_in_a_transaction(&self) -> Result<bool, Failure> {
        let mut file = File::open(&self.journal)?;
        let length = file.metadata()?.len() as i64;
        file.seek(SeekFrom::End(-length.min(TAIL_BYTES)))?;
        let mut tail = Vec::new();
        file.read_to_end(&mut tail)?;
        let tail = String::from_utf8_lossy(&tail);
        let last = tail.lines().last().unwrap_or_default();
        Ok(last.starts_with("placed ") || last.starts_with("asked "))
    }

    fn has(&self, line: &str) -> bool {
        let journal = fs::read_to_string(&self.journal).unwrap_or_default();
        journal.lines().any(|other| other.starts_with(line))
    }
}

/// A transactional id.
#[derive(Debug)]
struct Slot {
    /// The process that is meant to own it; without one, when it gets one.
    process: Result<Process, Instant>,
    /// A former owner that is stopped, and how long after it has a new one it goes on: the time itself once it has.
    stopped: Option<(Process, Duration, Option<Instant>)>,
}

/// The workers of one group.
#[derive(Debug)]
pub(super) struct Processes {
    clients: Vec<Client>,
    options: WorkerOptions,
    random: Rng,
    slots: Vec<Slot>,
    /// Those that were stopped, and go on.
    zombies: Vec<Process>,
    leavers: Leavers,
    started: usize,
}

impl Processes {
    /// All slots get a process with the next call of [`Self::tend`]. The options' journal is a directory, the
    /// transactional id a prefix.
    pub(super) fn new(
        clients: &[Client],
        slots: usize,
        options: WorkerOptions,
    ) -> Result<Self, Failure> {
        if clients.iter().any(|client| *client != Client::Rdkafka) {
            output_of("java/run", "install")?;
        }
        let empty = |_| Slot { process: Err(Instant::now()), stopped: None };
        Ok(Self {
            clients: clients.to_vec(),
            random: Rng::with_seed(options.seed),
            options,
            slots: (0..slots).map(empty).collect(),
            zombies: Vec::new(),
            leavers: Leavers::default(),
            started: 0,
        })
    }

    fn start(&mut self, slot: usize) -> Result<Process, Failure> {
        self.started += 1;
        let client = self.clients[slot % self.clients.len()];
        let short = format!("{slot}-{:03}", self.started);
        let name = format!("worker-{short}-{}", name_of(&client));
        let options = &self.options;
        let directory = &options.journal;
        let journal = directory.join(format!("{name}.journal"));
        let log = File::create(directory.join(format!("{name}.log")))?;
        let mut command = program(client)?;
        command
            .args(["--bootstrap", &options.bootstrap])
            .args(["--input", &options.input])
            .args(["--output", &options.output])
            .args(["--partitions", &options.partitions.to_string()])
            .args(["--group", &options.group])
            .arg("--journal")
            .arg(&journal)
            .args(["--name", &short])
            .args(["--transactional-id", &format!("{}-{slot}", options.transactional_id)])
            .args(["--transaction-timeout-ms", &options.transaction_timeout_ms.to_string()])
            .args(["--protocol", &name_of(&options.protocol)])
            .args(["--session-ms", &options.session_ms.to_string()])
            .args(["--seed", &self.random.u32(..).to_string()]);
        command.stdin(Stdio::piped()).stdout(log.try_clone()?).stderr(log);
        let member = Member { name, child: command.spawn()? };
        Ok(Process { member, journal, is_ready: false })
    }

    /// Slots to whose process something may happen.
    pub(super) fn victims(&self) -> Vec<usize> {
        let is_free = |slot: &Slot| {
            slot.stopped.is_none() && slot.process.as_ref().is_ok_and(|process| process.is_ready)
        };
        (0..self.slots.len()).filter(|slot| is_free(&self.slots[*slot])).collect()
    }

    /// The name of the process that it happened to; none when that is in no transaction just now.
    pub(super) fn suffer(&mut self, slot: usize, fault: Fault) -> Result<Option<String>, Failure> {
        let slot = &mut self.slots[slot];
        let Ok(process) = &slot.process else { return Ok(None) };
        process.signal(Signal::STOP)?;
        if !process.is_in_a_transaction()? {
            process.signal(Signal::CONT)?;
            return Ok(None);
        }
        let name = process.member.name.clone();
        let (pause, after) = match fault {
            Fault::Kill(pause) => (pause, None),
            Fault::Stop(after) => (Duration::ZERO, Some(after)),
        };
        let process = mem::replace(&mut slot.process, Err(Instant::now() + pause));
        if let Ok(process) = process {
            match after {
                None => process.member.kill()?,
                Some(after) => slot.stopped = Some((process, after, None)),
            }
        }
        Ok(Some(name))
    }

    /// To all processes but the stopped ones.
    pub(super) fn signal(&self, signal: Signal) -> Result<(), Failure> {
        let running = self.slots.iter().filter_map(|slot| slot.process.as_ref().ok());
        running.chain(&self.zombies).try_for_each(|process| process.signal(signal))
    }

    /// Every slot has a process, and nobody is stopped.
    pub(super) fn are_healed(&self) -> bool {
        self.slots.iter().all(|slot| slot.process.is_ok() && slot.stopped.is_none())
    }

    /// What is due: new processes, and stopped ones that go on. Gives what went wrong: processes that ended though
    /// nobody told them, or badly.
    pub(super) fn tend(&mut self) -> Result<Vec<String>, Failure> {
        let mut troubles = Vec::new();
        let now = Instant::now();
        for number in 0..self.slots.len() {
            if self.slots[number].process.as_ref().is_err_and(|due| now >= *due) {
                self.slots[number].process = Ok(self.start(number)?);
            }
            let slot = &mut self.slots[number];
            let Ok(process) = &mut slot.process else { continue };
            process.is_ready = process.is_ready || process.has("ready ");
            if let Some((_, after, due)) = &mut slot.stopped
                && process.is_ready
            {
                due.get_or_insert(now + *after);
            }
            if let Some((stopped, ..)) =
                slot.stopped.take_if(|(.., due)| due.is_some_and(|due| now >= due))
            {
                stopped.signal(Signal::CONT)?;
                self.zombies.push(stopped);
            }
            if let Some(status) = process.member.child.try_wait()? {
                // It is fenced also by the broker, which aborts a transaction that takes too long.
                if !(status.success() && process.has("fenced ") || process.has("hung ")) {
                    troubles.push(format!("{} ended by itself: {status}", process.member.name));
                }
                slot.process = Err(now);
            }
        }
        for mut zombie in mem::take(&mut self.zombies) {
            match zombie.member.child.try_wait()? {
                Some(status) if status.success() || zombie.has("hung ") => {}
                Some(status) => troubles.push(format!("{}: {status}", zombie.member.name)),
                None => self.zombies.push(zombie),
            }
        }
        Ok(troubles)
    }

    /// Tells all to leave; returns when all are gone.
    pub(super) fn leave(&mut self) -> Result<Vec<String>, Failure> {
        for slot in mem::take(&mut self.slots) {
            if let Some((stopped, ..)) = slot.stopped {
                stopped.signal(Signal::CONT)?;
                self.leavers.tell(stopped.member);
            }
            slot.process.into_iter().for_each(|process| self.leavers.tell(process.member));
        }
        for zombie in mem::take(&mut self.zombies) {
            self.leavers.tell(zombie.member);
        }
        self.leavers.wait()
    }
}

impl Drop for Processes {
    fn drop(&mut self) {
        // A stopped process does not see that its input closes.
        let _ = self.signal(Signal::CONT);
        for (stopped, ..) in self.slots.iter_mut().filter_map(|slot| slot.stopped.take()) {
            let _ = stopped.member.kill();
        }
    }
}

/// What runs a worker, its options left out.
fn program(client: Client) -> Result<Command, Failure> {
    let mut command = match client {
        Client::Rdkafka => Command::new(env::current_exe()?),
        Client::Java43 | Client::Java39 => Command::new(format!("{COMPAT}/java/run")),
    };
    match client {
        Client::Rdkafka => command.args(["eos", "worker"]),
        Client::Java43 | Client::Java39 => command.args([&name_of(&client), "worker"]),
    };
    Ok(command)
}
