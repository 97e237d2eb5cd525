//! The workers as child processes, which end with this one: their standard input closes.

use std::fs::{self, File};
use std::io::{Read as _, Seek as _, SeekFrom};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};
use std::{env, mem};

use fastrand::Rng;
use rustix::process::{Pid, Signal, kill_process};

use super::Client;
use super::worker::WorkerOptions;
use crate::group::{COMPAT, output_of};
use crate::{Failure, name_of};

const LEAVE_TIMEOUT: Duration = Duration::from_mins(1);
/// Of a journal, more than its last line has.
const TAIL_BYTES: i64 = 4_096;

#[derive(Debug)]
struct Process {
    name: String,
    child: Child,
    journal: PathBuf,
    /// It has had its transactional id.
    is_ready: bool,
}

impl Process {
    fn signal(&self, signal: Signal) -> Result<(), Failure> {
        Ok(kill_process(Pid::from_child(&self.child), signal)?)
    }

    fn kill(mut self) -> Result<(), Failure> {
        self.child.kill()?;
        self.child.wait()?;
        Ok(())
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

/// A stopped one, until it goes on.
#[derive(Debug)]
struct Stopped {
    process: Process,
    slot: usize,
    /// How long after its replacement has the id.
    after: Duration,
    due: Option<Instant>,
}

/// A slot without a process, until it gets one.
#[derive(Debug)]
struct Vacancy {
    slot: usize,
    due: Instant,
}

/// The workers of one group. A slot has a transactional id and at most one process that is meant to own it.
#[derive(Debug)]
pub(super) struct Processes {
    clients: Vec<Client>,
    options: WorkerOptions,
    random: Rng,
    running: Vec<Option<Process>>,
    vacancies: Vec<Vacancy>,
    stopped: Vec<Stopped>,
    /// Those that have gone on.
    zombies: Vec<Process>,
    leaving: Vec<(Process, Instant)>,
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
        let vacancies = (0..slots).map(|slot| Vacancy { slot, due: Instant::now() }).collect();
        Ok(Self {
            clients: clients.to_vec(),
            random: Rng::with_seed(options.seed),
            options,
            running: (0..slots).map(|_| None).collect(),
            vacancies,
            stopped: Vec::new(),
            zombies: Vec::new(),
            leaving: Vec::new(),
            started: 0,
        })
    }

    fn start(&mut self, slot: usize) -> Result<(), Failure> {
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
        self.running[slot] =
            Some(Process { name, child: command.spawn()?, journal, is_ready: false });
        Ok(())
    }

    /// Stops the slot's process in a transaction of which something is written. None when it is in none just now.
    fn stop_in_a_transaction(&mut self, slot: usize) -> Result<Option<Process>, Failure> {
        let Some(process) = &self.running[slot] else { return Ok(None) };
        if !process.is_ready {
            return Ok(None);
        }
        process.signal(Signal::STOP)?;
        if process.is_in_a_transaction()? {
            return Ok(self.running[slot].take());
        }
        process.signal(Signal::CONT)?;
        Ok(None)
    }

    /// SIGKILL in a transaction, and a new process after a while. The name of the killed one; none when it is in none.
    pub(super) fn kill(&mut self, slot: usize, after: Duration) -> Result<Option<String>, Failure> {
        let Some(process) = self.stop_in_a_transaction(slot)? else { return Ok(None) };
        self.vacancies.push(Vacancy { slot, due: Instant::now() + after });
        let name = process.name.clone();
        process.kill()?;
        Ok(Some(name))
    }

    /// SIGSTOP in a transaction and a new process at once; SIGCONT when that has the transactional id, or later.
    pub(super) fn make_zombie(
        &mut self,
        slot: usize,
        after: Duration,
    ) -> Result<Option<String>, Failure> {
        let Some(process) = self.stop_in_a_transaction(slot)? else { return Ok(None) };
        let name = process.name.clone();
        self.stopped.push(Stopped { process, slot, after, due: None });
        self.vacancies.push(Vacancy { slot, due: Instant::now() });
        Ok(Some(name))
    }

    /// Slots whose process has its transactional id, so that something may happen to it.
    pub(super) fn victims(&self) -> Vec<usize> {
        let is_stopped = |slot| self.stopped.iter().any(|stopped| stopped.slot == slot);
        (0..self.running.len())
            .filter(|slot| !is_stopped(*slot))
            .filter(|slot| self.running[*slot].as_ref().is_some_and(|process| process.is_ready))
            .collect()
    }

    /// No process is dead, stopped, or a zombie that has not been told yet.
    pub(super) fn are_healed(&self) -> bool {
        self.vacancies.is_empty() && self.stopped.is_empty()
    }

    /// What is due: new processes, and stopped ones that go on. Gives what went wrong: processes that ended though
    /// nobody told them, or badly, or not in time.
    pub(super) fn tend(&mut self) -> Result<Vec<String>, Failure> {
        let mut troubles = Vec::new();
        let now = Instant::now();
        for process in self.running.iter_mut().flatten() {
            process.is_ready = process.is_ready || process.has("ready ");
        }
        for vacancy in mem::take(&mut self.vacancies) {
            if now >= vacancy.due {
                self.start(vacancy.slot)?;
            } else {
                self.vacancies.push(vacancy);
            }
        }
        for mut stopped in mem::take(&mut self.stopped) {
            let replacement = &self.running[stopped.slot];
            let is_replaced = replacement.as_ref().is_some_and(|process| process.is_ready);
            if stopped.due.is_none() && is_replaced {
                stopped.due = Some(now + stopped.after);
            }
            if stopped.due.is_some_and(|due| now >= due) {
                stopped.process.signal(Signal::CONT)?;
                self.zombies.push(stopped.process);
            } else {
                self.stopped.push(stopped);
            }
        }
        for slot in 0..self.running.len() {
            let Some(process) = &mut self.running[slot] else { continue };
            let Some(status) = process.child.try_wait()? else { continue };
            // Fenced by the broker, which aborted a transaction that took too long.
            if !(status.success() && process.has("fenced ")) {
                troubles.push(format!("{} ended by itself: {status}", process.name));
            }
            self.running[slot] = None;
            self.vacancies.push(Vacancy { slot, due: now });
        }
        for mut process in mem::take(&mut self.zombies) {
            match process.child.try_wait()? {
                Some(status) if status.success() => {}
                Some(status) => troubles.push(format!("{} ended with {status}", process.name)),
                None => self.zombies.push(process),
            }
        }
        troubles.extend(self.wait_for_leavers()?);
        Ok(troubles)
    }

    fn wait_for_leavers(&mut self) -> Result<Vec<String>, Failure> {
        let mut troubles = Vec::new();
        for (mut process, since) in mem::take(&mut self.leaving) {
            match process.child.try_wait()? {
                Some(status) if status.success() => {}
                Some(status) => troubles.push(format!("{} left with {status}", process.name)),
                None if since.elapsed() < LEAVE_TIMEOUT => self.leaving.push((process, since)),
                None => {
                    troubles.push(format!("{} did not leave in {LEAVE_TIMEOUT:?}", process.name));
                    process.kill()?;
                }
            }
        }
        Ok(troubles)
    }

    /// Tells all to leave; returns when all are gone.
    pub(super) fn leave(&mut self) -> Result<Vec<String>, Failure> {
        let mut troubles = Vec::new();
        for stopped in mem::take(&mut self.stopped) {
            stopped.process.signal(Signal::CONT)?;
            self.zombies.push(stopped.process);
        }
        let running = mem::take(&mut self.running).into_iter().flatten();
        for mut process in running.chain(mem::take(&mut self.zombies)) {
            drop(process.child.stdin.take());
            self.leaving.push((process, Instant::now()));
        }
        while !self.leaving.is_empty() {
            troubles.extend(self.wait_for_leavers()?);
            std::thread::sleep(Duration::from_millis(10));
        }
        Ok(troubles)
    }
}

impl Drop for Processes {
    fn drop(&mut self) {
        // A stopped process does not see that its input closes.
        for stopped in self.stopped.drain(..) {
            let _ = stopped.process.kill();
        }
    }
}

/// What runs a worker, its options left out.
fn program(client: Client) -> Result<Command, Failure> {
    Ok(match client {
        Client::Rdkafka => {
            let mut command = Command::new(env::current_exe()?);
            command.args(["eos", "worker"]);
            command
        }
        Client::Java43 | Client::Java39 => {
            let mut command = Command::new(format!("{COMPAT}/java/run"));
            command.args([&name_of(&client), "worker"]);
            command
        }
    })
}
