//! A run from beginning to end: topics, producer, workers, faults, healing, and what stands there at last.

use std::io;
use std::path::Path;
use std::sync::mpsc::{self, Receiver, TryRecvError};
use std::thread;
use std::time::{Duration, Instant};

use rdkafka::config::ClientConfig;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::KafkaResult;

use super::line::{Line, View};
use super::plan::{Fault, Series};
use super::processes::Processes;
use super::reading::{Along, Topic};
use super::watermarks::Watermarks;
use super::worker::WorkerOptions;
use super::{RunOptions, verdict};
use crate::conductor::{create_topic, judged};
use crate::journal::{Entry, Writer};
use crate::workload::Workload;
use crate::{Failure, committed};

const TURN: Duration = Duration::from_millis(5);
const LOOK_INTERVAL: Duration = Duration::from_millis(100);
const ASK_TIMEOUT: Duration = Duration::from_secs(5);
/// Records ahead of what is committed.
const WINDOW: u64 = 5_000;
/// Of Kafka's `__consumer_offsets`.
const OFFSETS_PARTITIONS: i32 = 50;

/// Makes a run and judges it; whether it is clean.
pub(super) fn run(options: &RunOptions) -> Result<bool, Failure> {
    judged(options.seed, options.directory.as_deref(), |seed, directory| {
        Conductor::begin(options, seed, directory)?.conduct(directory)?;
        verdict::judge_directory(directory)
    })
}

/// Whoever has the broker in hand: does what standard output asks for, and says `done`.
struct Hand {
    answers: Receiver<String>,
    is_busy: bool,
}

impl Hand {
    fn listen() -> Self {
        let (sender, answers) = mpsc::channel();
        thread::spawn(move || {
            // An error ends the input, too; without a listener there is nobody to tell.
            io::stdin().lines().map_while(Result::ok).try_for_each(|line| sender.send(line))
        });
        Self { answers, is_busy: false }
    }

    fn ask(&mut self, what: &str) {
        println!("{what}");
        self.is_busy = true;
    }

    /// Whether what was asked for has just been done.
    fn has_done(&mut self) -> Result<bool, Failure> {
        match self.answers.try_recv() {
            Ok(line) if line == "done" => {
                self.is_busy = false;
                Ok(true)
            }
            Ok(line) => Err(format!("no answer: {line:?}").into()),
            Err(TryRecvError::Disconnected) if self.is_busy => Err("nobody is there".into()),
            Err(_) => Ok(false),
        }
    }
}

struct Conductor<'a> {
    options: &'a RunOptions,
    input: Topic,
    output: Topic,
    group: String,
    workload: Workload,
    workers: Processes,
    of_broker: Series,
    of_workers: Series,
    /// A fault that waits for a transaction to happen in.
    waiting: Option<Fault>,
    hand: Option<Hand>,
    observer: BaseConsumer,
    journal: Writer,
    committed: Vec<i64>,
    began: Instant,
}

impl<'a> Conductor<'a> {
    fn begin(options: &'a RunOptions, seed: u64, directory: &Path) -> Result<Self, Failure> {
        // Of chance, not of the seed: a plan is repeated with new topics.
        let run = format!("{:08x}", fastrand::u32(..));
        let (bootstrap, partitions) = (&options.bootstrap, options.partitions);
        let topic = |name| Topic {
            bootstrap: bootstrap.clone(),
            name: format!("eos-{run}-{name}"),
            partitions,
        };
        let (input, output, group) = (topic("input"), topic("output"), format!("eos-{run}"));
        let observer = observer(bootstrap, &group, "read_uncommitted")?;
        for topic in [&input, &output] {
            create_topic(bootstrap, &topic.name, partitions)?;
            // Kafka answers before the partitions serve.
            let mut watermarks = Watermarks::new(bootstrap);
            while watermarks.bounds(&topic.name, partitions).is_none() {
                thread::sleep(LOOK_INTERVAL);
            }
        }
        let journal = directory.join("producer.journal");
        let topic = (input.name.as_str(), partitions);
        let workload = Workload::begin(bootstrap, topic, &run, Some(options.rate), &journal)?;
        let worker = WorkerOptions {
            bootstrap: bootstrap.clone(),
            input: input.name.clone(),
            output: output.name.clone(),
            partitions,
            transactional_id: group.clone(),
            group: group.clone(),
            journal: directory.to_owned(),
            name: String::new(),
            transaction_timeout_ms: options.transaction_timeout_ms,
            protocol: options.protocol,
            session_ms: options.session_ms,
            seed,
        };
        Ok(Self {
            options,
            input,
            output,
            group,
            workload,
            workers: Processes::new(&options.client, options.workers, worker)?,
            of_broker: Series::of_broker(seed),
            of_workers: Series::of_workers(seed),
            waiting: None,
            hand: options.broker_faults.then(Hand::listen),
            observer,
            journal: Writer::create(&directory.join("conductor.journal"))?,
            committed: vec![-1; partitions as usize],
            began: Instant::now(),
        })
    }

    fn conduct(mut self, directory: &Path) -> Result<(), Failure> {
        let along = Along::begin(&self.output, directory)?;
        let mut sound = true;
        let mut moved = (Instant::now(), (0, 0));
        let mut looked = Instant::now();
        while sound && !self.is_finished() {
            let is_over = self.began.elapsed().as_secs() >= self.options.seconds;
            let limit = if is_over { 0 } else { self.committed_records() + WINDOW };
            self.workload.send_up_to(limit)?;
            self.disturb()?;
            if looked.elapsed() >= LOOK_INTERVAL {
                self.look();
                looked = Instant::now();
                let mut troubles = self.workers.tend()?;
                let progress = (self.workload.tally().acked, self.committed_records());
                if progress != moved.1 || self.hand.as_ref().is_some_and(|hand| hand.is_busy) {
                    moved = (looked, progress);
                } else if moved.0.elapsed().as_secs() >= self.options.stall_s {
                    troubles.push(format!("nothing moved for {} s", self.options.stall_s));
                }
                sound &= !self.report(&troubles);
            }
            thread::sleep(TURN);
        }
        self.workload.give_up();
        self.settle(along)
    }

    /// What is due of the plan. One fault of the broker at a time, and one of a worker.
    fn disturb(&mut self) -> Result<(), Failure> {
        let may_begin = self.began.elapsed().as_secs() < self.options.seconds * 3 / 4;
        if let Some(hand) = &mut self.hand {
            if hand.has_done()? {
                self.of_broker.postpone();
            } else if !hand.is_busy
                && may_begin
                && let Some(fault) = self.of_broker.next()
            {
                let (kind, text) = match fault {
                    Fault::PauseBroker(pause) => {
                        ("pause", format!("broker pause {}", pause.as_millis()))
                    }
                    _ => ("kill", "broker kill".to_owned()),
                };
                self.journal.append(&Entry::Eos(Line::Fault { kind, text: &text }));
                hand.ask(&text);
            }
        }
        if !may_begin {
            self.waiting = None;
        } else if self.waiting.is_none() {
            self.waiting = self.of_workers.next();
        }
        let victims = self.workers.victims();
        let Some(fault) = self.waiting.filter(|_| !victims.is_empty()) else { return Ok(()) };
        let slot = victims[self.of_workers.choose(victims.len())];
        let (kind, done) = match fault {
            Fault::Zombie(after) => ("zombie", self.workers.make_zombie(slot, after)?),
            Fault::KillWorker(after) => ("kill", self.workers.kill(slot, after)?),
            Fault::KillBroker | Fault::PauseBroker(_) => return Ok(()),
        };
        if let Some(worker) = done {
            println!("checker: {kind} {worker}");
            self.journal.append(&Entry::Eos(Line::Fault { kind, text: &worker }));
            self.waiting = None;
            self.of_workers.postpone();
        }
        Ok(())
    }

    /// All is healed, and the offsets behind all of the input are committed.
    fn is_finished(&self) -> bool {
        let is_over = self.began.elapsed().as_secs() >= self.options.seconds;
        let is_busy = self.hand.as_ref().is_some_and(|hand| hand.is_busy);
        let tally = self.workload.tally();
        is_over
            && !is_busy
            && self.workers.are_healed()
            && tally.acked + tally.failed == self.workload.sent()
            && (0..).zip(&self.committed).all(|(partition, committed)| {
                let ends = self.observer.fetch_watermarks(&self.input.name, partition, ASK_TIMEOUT);
                ends.is_ok_and(|(_, end)| *committed >= end)
            })
    }

    fn look(&mut self) {
        // Connection errors wait there; the next answer says more.
        while self.observer.poll(Duration::ZERO).is_some() {}
        let partitions = 0..self.options.partitions;
        let read = committed::read(&self.observer, &self.input.name, partitions);
        let Some(Entry::Read { offsets, .. }) = read else { return };
        for (partition, offset) in &offsets {
            self.committed[*partition as usize] = *offset;
        }
        self.journal.append(&Entry::Eos(Line::Glimpse(offsets)));
    }

    fn committed_records(&self) -> u64 {
        self.committed.iter().map(|offset| (*offset).max(0) as u64).sum()
    }

    /// The workers leave; transactions that nobody goes on with end by their timeout; then everything is read.
    fn settle(mut self, along: Along) -> Result<(), Failure> {
        let (input, output) = (self.input.clone(), self.output.clone());
        let troubles = self.workers.leave()?;
        self.report(&troubles);
        let timeout_ms = u64::from(self.options.transaction_timeout_ms) * 2;
        let timeout = Duration::from_secs(self.options.stall_s) + Duration::from_millis(timeout_ms);
        let deadline = Instant::now() + timeout;
        let mut watermarks = Watermarks::new(&self.options.bootstrap);
        loop {
            let mut ask = || {
                let bounds = watermarks.bounds(&output.name, output.partitions)?;
                let mut open = watermarks.open(&output.name, output.partitions)?;
                open.extend(watermarks.open("__consumer_offsets", OFFSETS_PARTITIONS)?);
                let is_settled = open.is_empty()
                    && bounds.iter().all(|at| at.last_stable_offset == at.high_watermark);
                Some((bounds, open, is_settled))
            };
            let (answer, is_late) = (ask(), Instant::now() > deadline);
            match answer {
                Some((bounds, open, is_settled)) if is_settled || is_late => {
                    self.journal.append(&Entry::Eos(Line::Bounds(bounds)));
                    for line in open {
                        self.journal.append(&Entry::Eos(line));
                    }
                    break;
                }
                None if is_late => return Err("the broker does not tell its transactions".into()),
                _ => thread::sleep(LOOK_INTERVAL),
            }
        }
        let stable = observer(&self.options.bootstrap, &self.group, "read_committed")?;
        let read = committed::read(&stable, &input.name, 0..input.partitions);
        self.journal.append(&read.ok_or("the group's offsets are not told")?);
        input.read_to_end(View::Input, &mut self.journal)?;
        output.read_to_end(View::All, &mut self.journal)?;
        let records = output.read_to_end(View::Committed, &mut self.journal)?;
        along.end(records);
        Ok(())
    }

    /// Journals errors; whether there were any.
    fn report(&mut self, errors: &[String]) -> bool {
        for error in errors {
            println!("checker: {error}");
            self.journal.append(&Entry::Error(error));
        }
        !errors.is_empty()
    }
}

/// Reads the group's offsets; read committed, it waits for those that are on their way.
fn observer(bootstrap: &str, group: &str, isolation_level: &str) -> KafkaResult<BaseConsumer> {
    ClientConfig::new()
        .set("bootstrap.servers", bootstrap)
        .set("group.id", group)
        .set("enable.auto.commit", "false")
        .set("isolation.level", isolation_level)
        .set("reconnect.backoff.max.ms", "1000")
        .create()
}
