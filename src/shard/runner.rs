//! The task that owns a machine.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{mpsc, oneshot};

use super::journal::{self, LoadError, WriteError};
use super::{
    Answer, Batch, CallError, Host, Input, KeyValue, Loaded, Machine, Moment, Outcome, Position,
    QUEUE_LENGTH, Shard, Ticket,
};
use crate::env::Env;
use crate::partition::Partition;

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
        let (machine, end_offset) = load(&env, &partition, &*host).await?;
        let runner = Runner {
            env,
            partition,
            host,
            machine,
            end_offset,
            callers: HashMap::new(),
            next_ticket: 0,
            parked: VecDeque::new(),
        };
        tokio::spawn(runner.run(inputs));
        Ok(Self { queue })
    }
}

/// A machine in its newest state, and the end of its log.
async fn load<M: Machine>(env: &Env, partition: &Partition, host: &dyn Host<M>) -> Loaded<M> {
    let (mut machine, from) = host.load().await?;
    let end_offset = journal::replay(partition, env, &mut machine, from).await?;
    for effect in machine.loaded().map_err(LoadError::Host)? {
        host.run(effect).await;
    }
    Ok((machine, end_offset))
}

/// What waits for a position to be committed.
struct Parked<M: Machine> {
    end_offset: i64,
    effects: Vec<M::Effect>,
    replies: Vec<(oneshot::Sender<Answer<M>>, M::Reply)>,
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
            if !self.reload(&mut inputs).await {
                return;
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
                    let now = self.now();
                    let outcome = self.machine.tick(now);
                    self.settle(outcome, now)?;
                }
                input = inputs.recv(), if closing.is_none() => match input {
                    Some(Input::Command(command, caller)) => self.command(command, caller)?,
                    Some(Input::Close(done)) => closing = Some(done),
                    None => return Ok(None),
                },
            }
        }
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

    /// Applies and writes what was decided, and parks its answers.
    fn settle(
        &mut self,
        outcome: Outcome<M::Record, M::Reply>,
        now: Moment,
    ) -> Result<(), WriteError<M::ReplayError>> {
        let effects = match &outcome.batch {
            Some(batch) => {
                self.write(batch, now)?;
                self.machine.effects()
            }
            None => Vec::new(),
        };
        let answered = outcome.replies.into_iter();
        let caller = |(ticket, reply)| Some((self.callers.remove(&ticket)?, reply));
        let replies: Vec<_> = answered.filter_map(caller).collect();
        if !(replies.is_empty() && effects.is_empty()) {
            self.parked.push_back(Parked { end_offset: self.end_offset, effects, replies });
        }
        Ok(())
    }

    fn write(
        &mut self,
        batch: &Batch<M::Record>,
        now: Moment,
    ) -> Result<(), WriteError<M::ReplayError>> {
        let encoded: Vec<KeyValue> = batch.records.iter().map(M::encode).collect();
        for (offset, (record, raw)) in (now.next_offset..).zip(batch.records.iter().zip(&encoded)) {
            let at = Position {
                offset,
                epoch: now.epoch,
                timestamp_ms: now.now_ms,
                size_bytes: raw.size_bytes(),
            };
            self.machine.apply(record, at).map_err(WriteError::Apply)?;
        }
        self.end_offset = journal::append(&self.partition, batch, &encoded, now)?;
        Ok(())
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
                let _ = caller.send(Ok(reply));
            }
        }
    }

    /// Replays the machine; false if the shard ended meanwhile.
    async fn reload(&mut self, inputs: &mut mpsc::Receiver<Input<M>>) -> bool {
        let (mut pause_ms, longest_ms) = RELOAD_PAUSE_MS;
        loop {
            let pause = tokio::time::sleep(Duration::from_millis(pause_ms));
            let attempt = async {
                pause.await;
                load(&self.env, &self.partition, &*self.host).await
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
                        Some(Input::Close(_)) | None => return false,
                    },
                }
            };
            match loaded {
                Ok((machine, end_offset)) => {
                    (self.machine, self.end_offset) = (machine, end_offset);
                    return true;
                }
                Err(error) => {
                    let log = self.partition.id().directory_name();
                    tracing::error!(log, %error, "state cannot be replayed, trying again");
                    pause_ms = (pause_ms * 2).min(longest_ms);
                }
            }
        }
    }
}

#[cfg(test)]
mod tests;
