//! The task that owns a machine.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{mpsc, oneshot, watch};

use super::journal::{self, LoadError, WriteError};
use super::{
    Answer, Batch, CallError, Host, Input, KeyValue, Loaded, Machine, Moment, Outcome, Position,
    QUEUE_LENGTH, Shard, Ticket,
};
use crate::env::Env;
use crate::partition::{FetchError, Partition, ProducerError};

/// First and longest pause between two attempts to replay a machine.
const RELOAD_PAUSE_MS: (u64, u64) = (100, 10_000);

impl<M: Machine> Shard<M> {
    /// Replays a machine from `partition`, runs the effects that are outstanding and starts the
    /// task.
    pub async fn start(
        env: Env,
        partition: Arc<Partition>,
        host: Arc<dyn Host<M>>,
    ) -> Result<Self, LoadError<M::ReplayError>> {
        let (queue, inputs) = mpsc::channel(QUEUE_LENGTH);
        let loaded = load(&env, &partition, &*host).await?;
        tokio::spawn(Runner::new(env, partition, host, loaded).run(inputs));
        let (_, loaded) = watch::channel(true);
        Ok(Self { queue, loaded })
    }

    /// As [`Shard::start`], but does not wait: callers get [`CallError::Loading`] until the machine
    /// is replayed, and a replay that fails is tried again.
    pub fn start_loading(env: Env, partition: Arc<Partition>, host: Arc<dyn Host<M>>) -> Self {
        let (queue, mut inputs) = mpsc::channel(QUEUE_LENGTH);
        let (done, loaded) = watch::channel(false);
        tokio::spawn(async move {
            let loaded = load_answering(&env, &partition, &*host, &mut inputs, 0).await;
            if let Some(loaded) = loaded {
                done.send_replace(true);
                Runner::new(env, partition, host, loaded).run(inputs).await;
            }
        });
        Self { queue, loaded }
    }
}

/// A machine in its newest state, and the end of its log.
async fn load<M: Machine>(env: &Env, partition: &Partition, host: &dyn Host<M>) -> Loaded<M> {
    let (mut machine, from) = host.load().await?;
    let end_offset = journal::replay(partition, env, &mut machine, from).await?;
    for effect in machine.loaded(env.clock.now_ms()).map_err(LoadError::Host)? {
        host.run(effect).await;
    }
    Ok((machine, end_offset))
}

/// As [`load`], after a pause; tries again, and answers callers meanwhile. None if the shard or its
/// partition ended.
async fn load_answering<M: Machine>(
    env: &Env,
    partition: &Partition,
    host: &dyn Host<M>,
    inputs: &mut mpsc::Receiver<Input<M>>,
    mut pause_ms: u64,
) -> Option<(M, i64)> {
    let (shortest_ms, longest_ms) = RELOAD_PAUSE_MS;
    loop {
        let pause = tokio::time::sleep(Duration::from_millis(pause_ms));
        let attempt = async {
            pause.await;
            load(env, partition, host).await
        };
        tokio::pin!(attempt);
        let loaded = loop {
            tokio::select! {
                biased;
                loaded = &mut attempt => break loaded,
                input = inputs.recv() => match input {
                    Some(Input::Command(_, caller)) => {
                        let _ = caller.send(Err(CallError::Loading));
                    }
                    Some(Input::Close(_)) | None => return None,
                },
            }
        };
        match loaded {
            Ok(loaded) => return Some(loaded),
            // Also of a failed directory: nothing comes back before the next start.
            Err(LoadError::Read(FetchError::NotServing(_))) => return None,
            Err(error) => {
                let log = partition.id().directory_name();
                tracing::error!(log, %error, "state cannot be replayed, trying again");
                pause_ms = (pause_ms * 2).clamp(shortest_ms, longest_ms);
            }
        }
    }
}

/// What waits for a position to be committed.
struct Parked<M: Machine> {
    end_offset: i64,
    effects: Vec<M::Effect>,
    replies: Vec<(oneshot::Sender<Answer<M>>, Answer<M>)>,
}

struct Runner<M: Machine> {
    env: Env,
    partition: Arc<Partition>,
    host: Arc<dyn Host<M>>,
    machine: M,
    end_offset: i64,
    /// Callers whose answer is not decided.
    callers: HashMap<Ticket, oneshot::Sender<Answer<M>>>,
    next_ticket: u64,
    parked: VecDeque<Parked<M>>,
}

impl<M: Machine> Runner<M> {
    fn new(
        env: Env,
        partition: Arc<Partition>,
        host: Arc<dyn Host<M>>,
        (machine, end_offset): (M, i64),
    ) -> Self {
        Self {
            env,
            partition,
            host,
            machine,
            end_offset,
            callers: HashMap::new(),
            next_ticket: 0,
            parked: VecDeque::new(),
        }
    }

    async fn run(mut self, mut inputs: mpsc::Receiver<Input<M>>) {
        loop {
            match self.serve(&mut inputs).await {
                Ok(done) => {
                    if let Some(done) = done {
                        let _ = done.send(());
                    }
                    return;
                }
                Err(error) => {
                    let log = self.partition.id().directory_name();
                    tracing::warn!(log, %error, "state is dropped and replayed");
                }
            }
            let parked = self.parked.drain(..).flat_map(|parked| parked.replies);
            let callers = self.callers.drain().map(|(_, caller)| caller);
            for caller in parked.map(|(caller, _)| caller).chain(callers) {
                let _ = caller.send(Err(CallError::Lost));
            }
            let Self { env, partition, host, .. } = &self;
            let (pause_ms, _) = RELOAD_PAUSE_MS;
            let loaded = load_answering(env, partition, &**host, &mut inputs, pause_ms).await;
            match loaded {
                Some(loaded) => (self.machine, self.end_offset) = loaded,
                None => return,
            }
        }
    }

    /// Serves until the shard ends (who waits for that, if anyone) or a write fails.
    async fn serve(
        &mut self,
        inputs: &mut mpsc::Receiver<Input<M>>,
    ) -> Result<Option<oneshot::Sender<()>>, WriteError<M::ReplayError>> {
        let mut closing = None;
        loop {
            self.tick_what_is_due()?;
            if closing.is_some() && self.parked.is_empty() {
                return Ok(closing.take());
            }
            let first = self.parked.front().map_or(self.end_offset, |parked| parked.end_offset);
            let due_in = self.machine.next_deadline().map(|due| due - self.env.clock.now_ms());
            let due_in = Duration::from_millis(due_in.unwrap_or(0).try_into().unwrap_or(0));
            tokio::select! {
                biased;
                committed = self.partition.committed(first), if !self.parked.is_empty() => {
                    committed?;
                    self.release().await;
                }
                () = tokio::time::sleep(due_in), if self.machine.next_deadline().is_some() => {
                    self.tick()?;
                }
                input = inputs.recv(), if closing.is_none() => match input {
                    Some(Input::Command(command, caller)) => {
                        self.catch_up().await?;
                        self.tick_what_is_due()?;
                        self.command(command, caller)?;
                    }
                    Some(Input::Close(done)) => closing = Some(done),
                    None => return Ok(None),
                },
            }
        }
    }

    /// Takes over what somebody else has appended: Kafka's own tools may write to internal topics.
    async fn catch_up(&mut self) -> Result<(), WriteError<M::ReplayError>> {
        if self.partition.bounds().end_offset == self.end_offset {
            return Ok(());
        }
        let Self { env, partition, machine, end_offset, .. } = self;
        *end_offset = journal::replay(partition, env, machine, *end_offset).await?;
        let effects = self.machine.loaded(self.env.clock.now_ms()).map_err(LoadError::Host)?;
        let parked = Parked { end_offset: self.end_offset, effects, replies: Vec::new() };
        self.parked.push_back(parked);
        Ok(())
    }

    /// A timer ends up to two milliseconds late, and a command must not meet what had ended when it came.
    fn tick_what_is_due(&mut self) -> Result<(), WriteError<M::ReplayError>> {
        while self.machine.next_deadline().is_some_and(|due| due <= self.env.clock.now_ms()) {
            self.tick()?;
        }
        Ok(())
    }

    fn tick(&mut self) -> Result<(), WriteError<M::ReplayError>> {
        let now = self.now();
        let outcome = self.machine.tick(now);
        self.settle(outcome, now)
    }

    fn now(&self) -> Moment {
        Moment {
            now_ms: self.env.clock.now_ms(),
            next_offset: self.end_offset,
            epoch: self.partition.leader_epoch(),
        }
    }

    fn command(
        &mut self,
        command: M::Command,
        caller: oneshot::Sender<Answer<M>>,
    ) -> Result<(), WriteError<M::ReplayError>> {
        let ticket = Ticket(self.next_ticket);
        self.next_ticket += 1;
        self.callers.insert(ticket, caller);
        let now = self.now();
        let outcome = self.machine.handle(ticket, command, now);
        self.settle(outcome, now)
    }

    /// Applies and writes what was decided, if the partition admits it, and parks the answers.
    fn settle(
        &mut self,
        outcome: Outcome<M::Record, M::Reply>,
        now: Moment,
    ) -> Result<(), WriteError<M::ReplayError>> {
        let written = outcome.batch.as_ref().map(|batch| self.write(batch, now)).transpose()?;
        let (effects, refused) = match written {
            Some(Ok(())) => (self.machine.effects(), None),
            Some(Err(refusal)) => (Vec::new(), Some(refusal)),
            None => (Vec::new(), None),
        };
        let answered = outcome.replies.into_iter();
        let caller = |(ticket, reply)| {
            let reply = refused.map_or(Ok(reply), |it| Err(CallError::Refused(it.error_code())));
            Some((self.callers.remove(&ticket)?, reply))
        };
        let replies: Vec<_> = answered.filter_map(caller).collect();
        if !(replies.is_empty() && effects.is_empty()) {
            self.parked.push_back(Parked { end_offset: self.end_offset, effects, replies });
        }
        Ok(())
    }

    /// Nothing has happened where the partition refuses.
    fn write(
        &mut self,
        batch: &Batch<M::Record>,
        now: Moment,
    ) -> Result<Result<(), ProducerError>, WriteError<M::ReplayError>> {
        let encoded: Vec<KeyValue> = batch.records.iter().map(M::encode).collect();
        let bytes = journal::build::<M>(batch, &encoded, now);
        if let Some(transaction) = batch.transaction
            && let Err(refusal) = self.partition.admits(&bytes, transaction.admission)
        {
            return Ok(Err(refusal));
        }
        for (offset, (record, raw)) in (now.next_offset..).zip(batch.records.iter().zip(&encoded)) {
            let at = Position {
                offset,
                epoch: now.epoch,
                timestamp_ms: now.now_ms,
                size_bytes: raw.size_bytes(),
                producer_id: batch.transaction.map(|transaction| transaction.producer_id),
            };
            self.machine.apply(record, at).map_err(WriteError::Apply)?;
        }
        // What was admitted is written there and nowhere else.
        let appended = self.partition.append_internal(Some(now.next_offset), |_| bytes)?;
        self.end_offset = appended.end_offset;
        Ok(Ok(()))
    }

    /// Runs the effects and sends the replies of everything that is committed.
    async fn release(&mut self) {
        while let Some(parked) = self.parked.front() {
            if !self.partition.is_committed(parked.end_offset) {
                return;
            }
            let Some(parked) = self.parked.pop_front() else {
                return;
            };
            for effect in parked.effects {
                self.host.run(effect).await;
            }
            for (caller, reply) in parked.replies {
                let _ = caller.send(reply);
            }
        }
    }
}

#[cfg(test)]
mod tests;
