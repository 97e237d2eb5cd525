//! A run from beginning to end: topic, producer, members, the plan, and the wait for the last commit.
//!
//! The producer keeps at most a window of records ahead of what is committed, so that records flow during every event.
//! An observer outside the group reads the committed offsets all the time: what the run waits for and, in its journal,
//! evidence that they only rise.

use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

use rdkafka::admin::{AdminClient, AdminOptions, NewTopic, TopicReplication};
use rdkafka::client::DefaultClientContext;
use rdkafka::config::ClientConfig;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::KafkaResult;

use crate::group::Group;
use crate::journal::{Entry, Writer};
use crate::orders::{Order, Orders};
use crate::plan::{self, Action, Event};
use crate::workload::{Tally, Workload};
use crate::{Failure, MemberOptions, RunOptions, Trial, committed, verdict};

const TURN: Duration = Duration::from_millis(2);
const LOOK_INTERVAL: Duration = Duration::from_millis(50);
const BEGIN_TIMEOUT: Duration = Duration::from_secs(30);
/// Records ahead of what is committed: a tenth of the run, but no more than a client queues by default.
const WINDOW: std::ops::RangeInclusive<u64> = 2_000..=100_000;

/// Makes a run and judges it; whether it is clean.
pub(crate) fn run(options: &RunOptions) -> Result<bool, Failure> {
    judged(&options.trial, |seed, directory| {
        Conductor::begin(options, seed, directory)?.conduct()?;
        verdict::judge_directory(directory)
    })
}

/// Something that is seeded and leaves journals in a directory; they stay when it is not clean, or was given one.
pub(crate) fn judged(
    trial: &Trial,
    run: impl FnOnce(u64, &Path) -> Result<bool, Failure>,
) -> Result<bool, Failure> {
    let seed = trial.seed.unwrap_or_else(|| fastrand::u64(..));
    println!("checker: seed {seed}");
    let temporary = tempfile::Builder::new().prefix("checker-").disable_cleanup(true).tempdir()?;
    let directory = trial.directory.as_deref().unwrap_or(temporary.path());
    std::fs::create_dir_all(directory)?;
    let clean = run(seed, directory)?;
    if clean || trial.directory.is_some() {
        std::fs::remove_dir_all(temporary.path())?;
    }
    if !clean {
        println!("checker: journals in {}; --seed {seed} repeats the plan", directory.display());
    }
    Ok(clean)
}

struct Conductor<'a> {
    options: &'a RunOptions,
    topic: String,
    workload: Workload,
    group: Group,
    events: std::vec::IntoIter<Event>,
    next: Option<Event>,
    /// When the next event happens, once its records are sent.
    due: Option<Instant>,
    observer: BaseConsumer,
    journal: Writer,
    committed: Vec<i64>,
    /// Of a run until standard input closes.
    orders: Option<Orders>,
}

impl<'a> Conductor<'a> {
    fn begin(options: &'a RunOptions, seed: u64, directory: &Path) -> Result<Self, Failure> {
        // Of chance, not of the seed: a plan is repeated with a new topic.
        let run = format!("{:08x}", fastrand::u32(..));
        let name = options.name.clone().unwrap_or_else(|| format!("checker-{run}"));
        let partitions = options.partitions;
        let bootstrap = &options.bootstrap;
        let observer = observer(bootstrap, &name, "read_committed")?;
        create_topic(bootstrap, &name, partitions)?;
        wait_until_served(&observer, &name, partitions)?;
        let journal = directory.join("producer.journal");
        let workload =
            Workload::begin(bootstrap, (&name, partitions), &run, options.rate, &journal)?;
        let member = MemberOptions {
            bootstrap: bootstrap.clone(),
            topic: name.clone(),
            group: name.clone(),
            journal: directory.to_owned(),
            protocol: options.protocol,
            assignor: options.assignor,
            commit: options.commit,
            session_ms: options.session_ms,
        };
        let group = Group::new(options.client, options.members, member, directory)?;
        let events = if options.until_stdin_closes { 0 } else { options.events };
        let mut events = plan::make(seed, options.records, options.members, events).into_iter();
        Ok(Self {
            options,
            topic: name,
            workload,
            group,
            next: events.next(),
            due: None,
            events,
            observer,
            journal: Writer::create(&directory.join("conductor.journal"))?,
            committed: vec![-1; partitions as usize],
            orders: None,
        })
    }

    fn conduct(mut self) -> Result<(), Failure> {
        for member in 0..self.options.members {
            self.group.start(member, self.options.protocol)?;
        }
        if self.options.until_stdin_closes {
            self.orders = Some(Orders::listen());
        }
        let mut sound = true;
        let mut moved = (Instant::now(), (0, 0));
        let mut looked = Instant::now();
        while sound && !self.is_finished() {
            if let Err(error) = self.send() {
                sound = !self.report(&[format!("the producer gave up: {error}")]);
            }
            self.act()?;
            self.obey()?;
            if looked.elapsed() >= LOOK_INTERVAL {
                self.look();
                looked = Instant::now();
                let progress = (self.workload.tally().acked, self.committed_records());
                let mut troubles = self.group.troubles()?;
                if progress != moved.1 {
                    moved = (looked, progress);
                    self.print_progress(progress);
                } else if moved.0.elapsed().as_secs() >= self.options.trial.stall_s {
                    troubles.push(format!("nothing moved for {} s", self.options.trial.stall_s));
                }
                sound &= !self.report(&troubles);
            }
            thread::sleep(TURN);
        }
        self.workload.give_up();
        let troubles = self.group.leave_all()?;
        self.report(&troubles);
        // The last members have committed while they left.
        self.look();
        Ok(())
    }

    fn send(&mut self) -> Result<(), Failure> {
        let records = match (self.options.until_stdin_closes, self.input_is_closed()) {
            (true, false) => u64::MAX,
            (true, true) => self.workload.sent(),
            (false, _) => self.options.records,
        };
        let window = (self.options.records / 10).clamp(*WINDOW.start(), *WINDOW.end());
        self.workload.send_up_to(records.min(self.committed_records() + window))
    }

    /// All is sent, and what was acked is committed.
    fn is_finished(&self) -> bool {
        let all_sent = match self.options.until_stdin_closes {
            true => self.input_is_closed(),
            false => self.workload.sent() >= self.options.records,
        };
        let Tally { acked, failed, ends } = self.workload.tally();
        let committed = self.committed.iter().zip(&ends).all(|(committed, end)| committed >= end);
        all_sent && acked + failed == self.workload.sent() && committed
    }

    fn look(&mut self) {
        // Connection errors wait there; the next answer says more.
        while self.observer.poll(Duration::ZERO).is_some() {}
        let partitions = 0..self.options.partitions;
        let Some(entry) = committed::read(&self.observer, &self.topic, partitions) else { return };
        self.journal.append(&entry);
        if let Entry::Read { offsets, .. } = entry {
            for (partition, offset) in offsets {
                self.committed[partition as usize] = offset;
            }
        }
    }

    fn committed_records(&self) -> u64 {
        self.committed.iter().map(|offset| (*offset).max(0) as u64).sum()
    }

    /// The next event, when it is due.
    fn act(&mut self) -> Result<(), Failure> {
        let sent = self.workload.sent();
        let Some(event) = self.next.filter(|event| sent >= event.after) else { return Ok(()) };
        if Instant::now() < *self.due.get_or_insert_with(|| Instant::now() + event.delay) {
            return Ok(());
        }
        println!("checker: {event}");
        self.journal.append(&Entry::Note(&event.to_string()));
        match event.action {
            Action::Start => self.group.start(event.member, self.options.protocol)?,
            Action::Leave => self.group.leave(event.member),
            Action::Kill => self.group.kill(event.member)?,
            Action::Restart => {
                self.group.kill(event.member)?;
                self.group.start(event.member, self.options.protocol)?;
            }
        }
        self.due = None;
        self.next = self.events.next();
        Ok(())
    }

    /// What has been ordered from outside.
    fn obey(&mut self) -> Result<(), Failure> {
        let Some(orders) = &mut self.orders else { return Ok(()) };
        while let Some(order) = orders.next()? {
            self.journal.append(&Entry::Note(&format!("ordered: {order:?}")));
            match order {
                Order::Start(member, protocol) => self.group.start(member, protocol)?,
                Order::Leave(member) => self.group.leave(member),
                Order::Done => {}
            }
        }
        Ok(())
    }

    /// Journals errors; whether there were any.
    fn report(&mut self, errors: &[String]) -> bool {
        for error in errors {
            self.journal.append(&Entry::Error(error));
        }
        !errors.is_empty()
    }

    fn print_progress(&self, (acked, committed): (u64, u64)) {
        if self.options.until_stdin_closes {
            println!("progress {acked} {committed}");
        }
    }

    fn input_is_closed(&self) -> bool {
        self.orders.as_ref().is_some_and(Orders::are_closed)
    }
}

/// Reads the group's offsets; read committed, it waits for those of transactions that are done.
pub(crate) fn observer(
    bootstrap: &str,
    group: &str,
    isolation_level: &str,
) -> KafkaResult<BaseConsumer> {
    ClientConfig::new()
        .set("bootstrap.servers", bootstrap)
        .set("group.id", group)
        .set("enable.auto.commit", "false")
        .set("isolation.level", isolation_level)
        .set("reconnect.backoff.max.ms", "1000")
        .create()
}

pub(crate) fn create_topic(bootstrap: &str, topic: &str, partitions: i32) -> Result<(), Failure> {
    let admin: AdminClient<DefaultClientContext> =
        ClientConfig::new().set("bootstrap.servers", bootstrap).create()?;
    let topics = [NewTopic::new(topic, partitions, TopicReplication::Fixed(1))];
    let options = AdminOptions::new().request_timeout(Some(BEGIN_TIMEOUT));
    let runtime = tokio::runtime::Builder::new_current_thread().build()?;
    for result in runtime.block_on(admin.create_topics(&topics, &options))? {
        result.map_err(|(topic, error)| format!("create {topic}: {error}"))?;
    }
    Ok(())
}

/// Kafka answers the creation of a topic before its partitions serve; records sent in between may end out of order.
pub(crate) fn wait_until_served(
    consumer: &BaseConsumer,
    topic: &str,
    partitions: i32,
) -> Result<(), Failure> {
    let deadline = Instant::now() + BEGIN_TIMEOUT;
    for partition in 0..partitions {
        while let Err(error) = consumer.fetch_watermarks(topic, partition, BEGIN_TIMEOUT) {
            if Instant::now() > deadline {
                return Err(error.into());
            }
            // librdkafka keeps what it heard of the topic while the topic was being made.
            let _ = consumer.fetch_metadata(Some(topic), BEGIN_TIMEOUT);
            thread::sleep(LOOK_INTERVAL);
        }
    }
    Ok(())
}
