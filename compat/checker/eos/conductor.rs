//! A run from beginning to end: topics, producer, workers, faults, healing, and what stands there at last.

use std::net::TcpStream;
use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

use rdkafka::consumer::{BaseConsumer, Consumer};
use rustix::process::Signal;

use super::line::Line;
use super::plan::{Fault, Series};
use super::processes::Processes;
use super::reading::{Along, Topic};
use super::watermarks::Watermarks;
use super::worker::WorkerOptions;
use super::{RunOptions, verdict};
use crate::conductor::{create_topic, judged, observer, wait_until_served};
use crate::journal::{Entry, Writer};
use crate::orders::{Order, Orders};
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
    judged(&options.trial, |seed, directory| {
        Conductor::begin(options, seed, directory)?.conduct(directory)?;
        verdict::judge_directory(directory)
    })
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
    /// Of whoever has the broker in hand, and whether there is something to do just now.
    hand: Option<(Orders, bool)>,
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
        let group = format!("eos-{run}");
        let observer = observer(bootstrap, &group, "read_uncommitted")?;
        let topic = |name| -> Result<Topic, Failure> {
            let (bootstrap, name) = (bootstrap.clone(), format!("eos-{run}-{name}"));
            create_topic(&bootstrap, &name, partitions)?;
            wait_until_served(&observer, &name, partitions)?;
            Ok(Topic { bootstrap, name, partitions })
        };
        let (input, output) = (topic("input")?, topic("output")?);
        let producer = directory.join("producer.journal");
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
            workload: Workload::begin(
                bootstrap,
                (&input.name, partitions),
                &run,
                Some(options.rate),
                &producer,
            )?,
            workers: Processes::new(&options.client, options.workers, worker)?,
            of_broker: Series::of_broker(seed),
            of_workers: Series::of_workers(seed),
            waiting: None,
            hand: options.broker_faults.then(|| (Orders::listen(), false)),
            observer,
            journal: Writer::create(&directory.join("conductor.journal"))?,
            committed: vec![-1; partitions as usize],
            began: Instant::now(),
            input,
            output,
            group,
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
            self.disturb_broker()?;
            self.disturb_workers()?;
            if looked.elapsed() >= LOOK_INTERVAL {
                self.look();
                looked = Instant::now();
                let mut troubles = self.workers.tend()?;
                let progress = (self.workload.tally().acked, self.committed_records());
                if progress != moved.1 || self.is_broker_disturbed() {
                    moved = (looked, progress);
                } else if moved.0.elapsed().as_secs() >= self.options.trial.stall_s {
                    troubles.push(format!("nothing moved for {} s", self.options.trial.stall_s));
                }
                sound = troubles.is_empty();
                self.report(&troubles);
            }
            thread::sleep(TURN);
        }
        self.workload.give_up();
        self.settle(along)
    }

    fn may_disturb(&self) -> bool {
        self.began.elapsed().as_secs() < self.options.seconds * 3 / 4
    }

    fn is_broker_disturbed(&self) -> bool {
        self.hand.as_ref().is_some_and(|(_, is_busy)| *is_busy)
    }

    /// One fault at a time.
    fn disturb_broker(&mut self) -> Result<(), Failure> {
        let may_disturb = self.may_disturb();
        let Some((orders, is_busy)) = &mut self.hand else { return Ok(()) };
        if *is_busy {
            if orders.next()? == Some(Order::Done) {
                *is_busy = false;
                self.of_broker.postpone();
            } else if orders.are_closed() {
                return Err("nobody has the broker in hand".into());
            }
        } else if let Some(fault) = self.of_broker.next().filter(|_| may_disturb) {
            *is_busy = true;
            let kind = if matches!(fault, Fault::Kill(_)) { "kill" } else { "pause" };
            self.journal.append(&Entry::Eos(Line::Fault { kind, victim: "broker" }));
            match fault {
                Fault::Stop(pause) => println!("broker pause {}", pause.as_millis()),
                Fault::Kill(_) if self.options.spare_ends => self.kill_broker_between_ends()?,
                Fault::Kill(_) => println!("broker kill"),
            }
        }
        Ok(())
    }

    fn kill_broker_between_ends(&self) -> Result<(), Failure> {
        self.workers.signal(Signal::STOP)?;
        // What they have asked for may still be on its way.
        let mut watermarks = Watermarks::new(&self.options.bootstrap);
        let mut quiet = 0;
        while quiet < 5 {
            quiet = if watermarks.are_ending() == Some(false) { quiet + 1 } else { 0 };
            thread::sleep(LOOK_INTERVAL);
        }
        println!("broker kill");
        while TcpStream::connect(&self.options.bootstrap).is_ok() {
            thread::sleep(TURN);
        }
        self.workers.signal(Signal::CONT)
    }

    fn disturb_workers(&mut self) -> Result<(), Failure> {
        if !self.may_disturb() {
            return Ok(());
        }
        self.waiting = self.waiting.or_else(|| self.of_workers.next());
        let Some(fault) = self.waiting else { return Ok(()) };
        let slot = self.of_workers.choose(&self.workers.victims());
        let Some(slot) = slot else { return Ok(()) };
        if let Some(worker) = self.workers.suffer(slot, fault)? {
            let kind = if matches!(fault, Fault::Kill(_)) { "kill" } else { "zombie" };
            self.journal.append(&Entry::Eos(Line::Fault { kind, victim: &worker }));
            println!("checker: {kind} {worker}");
            self.waiting = None;
            self.of_workers.postpone();
        }
        Ok(())
    }

    /// All is healed, and the offsets behind all of the input are committed.
    fn is_finished(&self) -> bool {
        let tally = self.workload.tally();
        self.began.elapsed().as_secs() >= self.options.seconds
            && !self.is_broker_disturbed()
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
        for (partition, offset) in offsets {
            self.committed[partition as usize] = offset;
            self.journal.append(&Entry::Eos(Line::Glimpse { partition, offset }));
        }
    }

    fn committed_records(&self) -> u64 {
        self.committed.iter().map(|offset| (*offset).max(0) as u64).sum()
    }

    /// The workers leave; transactions that nobody goes on with end by their timeout; then everything is read.
    fn settle(mut self, along: Along) -> Result<(), Failure> {
        let troubles = self.workers.leave()?;
        self.report(&troubles);
        let patience =
            self.options.trial.stall_s + u64::from(self.options.transaction_timeout_ms) / 500;
        let deadline = Instant::now() + Duration::from_secs(patience);
        let (input, output) = (&self.input, &self.output);
        let mut watermarks = Watermarks::new(&self.options.bootstrap);
        let mut ask = || {
            let mut end = watermarks.open(&output.name, output.partitions)?;
            end.extend(watermarks.open("__consumer_offsets", OFFSETS_PARTITIONS)?);
            let is_settled = end.is_empty();
            end.extend(watermarks.bounds(&output.name, output.partitions)?);
            (is_settled || Instant::now() > deadline).then_some(end)
        };
        let end = loop {
            if let Some(end) = ask() {
                break end;
            }
            if Instant::now() > deadline + ASK_TIMEOUT {
                return Err("the broker does not tell its transactions".into());
            }
            thread::sleep(LOOK_INTERVAL);
        };
        let journal = &mut self.journal;
        for line in end {
            journal.append(&Entry::Eos(line));
        }
        let stable = observer(&self.options.bootstrap, &self.group, "read_committed")?;
        let read = committed::read(&stable, &input.name, 0..input.partitions);
        journal.append(&read.unwrap_or(Entry::Error("the group's offsets are not told")));
        input.read_to_end("read_committed", journal, |partition, offset, value| Line::Input {
            partition,
            offset,
            value,
        })?;
        output.read_to_end("read_uncommitted", journal, |partition, offset, value| {
            Line::Written { partition, offset, value }
        })?;
        let committed =
            output.read_to_end("read_committed", journal, |partition, offset, value| {
                Line::Output { partition, offset, value }
            })?;
        along.end(committed);
        Ok(())
    }

    fn report(&mut self, errors: &[String]) {
        for error in errors {
            println!("checker: {error}");
            self.journal.append(&Entry::Error(error));
        }
    }
}
