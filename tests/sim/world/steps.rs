//! The single steps of a run.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use ottla::env::{CrashMode, Fault};
use ottla::log::{AppendError, Commit};

use super::history::{append, chunk_bytes};
use super::{Deletion, MARKER, Stop, World};
use crate::test_batch::TestBatch;

/// One thing that is done to the log.
#[derive(Clone, Debug)]
pub(crate) enum Op {
    Append(Append),
    BeginEpoch {
        by: i32,
    },
    Roll,
    DeleteBefore {
        percent: i64,
    },
    Read {
        from_percent: i64,
        until_percent: i64,
        max_bytes: usize,
    },
    Times {
        ahead_ms: i64,
    },
    Flush,
    Wait {
        ms: u64,
    },
    Configure {
        segment_bytes: u64,
    },
    /// Clean stop and start.
    Reopen,
    Crash(CrashMode),
    /// Deletes the log and creates it with another topic id, perhaps with a crash between.
    Recreate(Option<CrashMode>),
    FaultAfter {
        operations: u64,
        fault: Fault,
    },
    /// Lets the disk take only this many bytes more.
    Capacity {
        spare_bytes: u64,
    },
    FailSyncs,
    ClearFaults,
}

#[derive(Clone, Debug)]
pub(crate) struct Append {
    pub(crate) count: i32,
    pub(crate) payload_bytes: usize,
    pub(crate) ahead_ms: i64,
    pub(crate) gap: i64,
    pub(crate) control: bool,
}

impl World {
    pub(super) fn is_offline(&mut self) -> bool {
        let running = self.running();
        running.offline || running.observer.failed.load(Ordering::SeqCst)
    }

    /// With `flush.messages` 1 what is committed is durable.
    pub(super) fn note_commits(&mut self) {
        let running = self.running();
        let observed = running.observer.committed.load(Ordering::SeqCst);
        let committed = observed.max(running.done_end);
        assert!(committed <= self.history.end_offset, "committed what was not accepted");
        if self.config.flush_messages == 1 && !self.tainted {
            self.history.durable_end = self.history.durable_end.max(committed);
        }
    }

    pub(super) async fn perform(&mut self, op: &Op) -> String {
        match op {
            Op::Append(append) => {
                if self.history.latest_epoch().is_none() {
                    self.begin_epoch(0);
                }
                self.append(append)
            }
            Op::BeginEpoch { by } => {
                self.begin_epoch(self.history.latest_epoch().map_or(0, |epoch| epoch + by))
            }
            Op::Roll => {
                let snapshot = self.history.snapshot_at(self.history.end_offset);
                let result = self.log().roll(&mut || snapshot.clone());
                self.answer(result)
            }
            Op::DeleteBefore { percent } => self.delete_before(*percent),
            Op::Read { from_percent, until_percent, max_bytes } => {
                self.read(*from_percent, *until_percent, *max_bytes).await
            }
            Op::Times { ahead_ms } => self.times(*ahead_ms).await,
            Op::Flush => self.flush().await,
            Op::Wait { ms } => {
                self.clock.advance(*ms as i64);
                tokio::time::sleep(Duration::from_millis(*ms)).await;
                String::new()
            }
            Op::Configure { segment_bytes } => {
                self.config.segment_bytes = *segment_bytes;
                self.log().configure(self.config);
                self.model.configure(self.config);
                String::new()
            }
            Op::Reopen => self.reopen().await,
            Op::Crash(mode) => {
                self.disk.crash(*mode);
                String::new()
            }
            Op::Recreate(crash) => self.recreate(*crash).await,
            Op::FaultAfter { operations, fault } => {
                self.fault_at(self.disk.operations() + operations, *fault);
                String::new()
            }
            Op::Capacity { spare_bytes } => {
                self.disk.set_capacity_bytes(Some(self.disk.used_bytes() + spare_bytes));
                (self.armed, self.faulted) = (true, true);
                String::new()
            }
            Op::FailSyncs => {
                self.disk.set_failing_syncs(true);
                (self.armed, self.faulted, self.may_go_offline) = (true, true, true);
                String::new()
            }
            Op::ClearFaults => {
                self.disk.clear_faults();
                self.armed = false;
                String::new()
            }
        }
    }

    /// Notes what an answer says of the log; gives it for the trace.
    fn answer(&mut self, result: Result<(), AppendError>) -> String {
        let was_offline = self.is_offline();
        match result {
            Ok(()) => "done".to_owned(),
            Err(error) => {
                assert!(self.faulted, "{error} on a sound disk");
                if let AppendError::Offline(_) = &error {
                    let down = self.disk.crashed().is_some();
                    assert!(self.may_go_offline || down || was_offline, "{error} for want of room");
                    self.running().offline = true;
                } else {
                    assert!(self.armed || was_offline, "{error} with room again");
                }
                error.to_string()
            }
        }
    }

    fn append(&mut self, op: &Append) -> String {
        let was_offline = self.is_offline();
        self.serial = self.serial.wrapping_add(1);
        let batch = TestBatch {
            epoch: self.history.latest_epoch().unwrap_or(0),
            timestamp_ms: 1_000_000 + op.ahead_ms,
            control: op.control,
            // One marker in four is not of a producer.
            producer_id: if op.control { i64::from(self.serial % 4) - 1 } else { -1 },
            payload: vec![self.serial; op.payload_bytes],
            ..TestBatch::new(self.history.end_offset + op.gap, op.count, 0)
        };
        let snapshot = self.history.snapshot_at(self.history.end_offset);
        let result = append(&*self.log(), &batch, &snapshot);
        if let Err(AppendError::LargerThanSegment { .. }) = result {
            assert!(batch.bytes().len() as u64 > self.config.segment_bytes);
            return "larger than a segment".to_owned();
        }
        match &result {
            Ok(commit) => {
                assert!(!was_offline, "an offline log accepts a batch");
                append(&*self.model, &batch, &snapshot).expect("the model accepts it, too");
                if self.history.latest_epoch() < Some(batch.epoch) {
                    self.history.begin_epoch(batch.epoch, batch.base_offset);
                }
                self.history.push(batch);
                if *commit == Commit::Done {
                    self.running().done_end = self.history.end_offset;
                }
            }
            Err(AppendError::Offline(_)) if !was_offline => self.history.in_doubt = Some(batch),
            Err(_) => {}
        }
        self.answer(result.map(drop))
    }

    fn begin_epoch(&mut self, epoch: i32) -> String {
        let log = self.log();
        let result = log.begin_epoch(epoch);
        let newer = self.history.latest_epoch() < Some(epoch);
        match &result {
            Err(AppendError::Offline(_)) => {
                self.history.epoch_in_doubt = self.history.epoch_in_doubt.max(Some(epoch));
            }
            Err(_) if log.latest_epoch() != Some(epoch) => {}
            _ if newer => {
                self.model.begin_epoch(epoch).unwrap();
                self.history.begin_epoch(epoch, self.history.end_offset);
            }
            _ => {}
        }
        self.answer(result)
    }

    fn delete_before(&mut self, percent: i64) -> String {
        let log = self.log();
        let (start, end) = (self.history.start_offset, self.history.end_offset);
        let offset = start + (end - start) * percent / 100;
        let result = log.delete_before(offset);
        self.history.start_in_doubt = self.history.start_in_doubt.max(offset);
        let was_done = match &result {
            Ok(()) => true,
            Err(AppendError::Offline(_)) => false,
            Err(_) => log.start_offset() == offset,
        };
        if was_done {
            self.model.delete_before(offset).unwrap();
            self.history.start_offset = offset;
        }
        self.answer(result)
    }

    async fn read(&mut self, from_percent: i64, until_percent: i64, max_bytes: usize) -> String {
        if self.is_offline() {
            return "offline".to_owned();
        }
        let (log, model) = (self.log(), Arc::clone(&self.model));
        let (start, end) = (log.start_offset(), log.end_offset());
        let from = start + (end - start) * from_percent / 100;
        let batches = &self.history.batches;
        let until = batches.get(batches.len() * until_percent as usize / 100);
        let until = until.map_or(end, |batch| batch.base_offset);
        let found = chunk_bytes(&log.read(from, until, max_bytes).await.unwrap().chunk);
        let first = chunk_bytes(&model.read(from, until, 0).await.unwrap().chunk).len();
        let expected = chunk_bytes(&model.read(from, until, usize::MAX).await.unwrap().chunk);
        assert!(expected.starts_with(&found), "read {from}..{until}");
        assert!((first..=max_bytes.max(first)).contains(&found.len()), "length of a read");
        format!("{from}..{until}: {} bytes", found.len())
    }

    async fn times(&mut self, ahead_ms: i64) -> String {
        if self.is_offline() {
            return "offline".to_owned();
        }
        let (log, model) = (self.log(), Arc::clone(&self.model));
        let time = 1_000_000 + ahead_ms;
        let found = log.first_batch_at_time(time).await.unwrap();
        assert_eq!(found, model.first_batch_at_time(time).await.unwrap(), "first at {time}");
        let largest = log.batch_of_max_timestamp().await.unwrap();
        assert_eq!(largest, model.batch_of_max_timestamp().await.unwrap(), "largest timestamp");
        format!("{:?}", found.map(|header| header.base_offset))
    }

    async fn flush(&mut self) -> String {
        let was_offline = self.is_offline();
        let result = self.log().flush().await;
        if result.is_ok() {
            assert!(!was_offline, "an offline log flushes");
            if !self.tainted {
                self.history.durable_end = self.history.end_offset;
            }
            let running = self.running();
            let observed = running.observer.committed.load(Ordering::SeqCst);
            let committed = observed.max(running.done_end);
            // What was there at the start needs no commit.
            let accepted = self.history.batches.last().filter(|_| committed > 0);
            let accepted = accepted.map_or(0, TestBatch::end_offset);
            assert!(committed >= accepted, "a flush commits {committed} of {accepted}");
        }
        self.answer(result)
    }

    async fn reopen(&mut self) -> String {
        let was_offline = self.is_offline();
        let snapshot = self.history.snapshot_at(self.history.end_offset);
        let closed = self.log().close(snapshot).await;
        assert!(closed.is_err() || !was_offline, "an offline log closes cleanly");
        let marked = self.running().engine.close(MARKER).await;
        let outcome = format!("{closed:?} {marked:?}");
        assert!(self.faulted || closed.is_ok() && marked.is_ok(), "{outcome} on a sound disk");
        let mut stop = Stop::crash(CrashMode::ProcessKill);
        if closed.is_ok() {
            stop.marker = marked.is_ok().then_some(true);
            if !self.tainted {
                self.history.durable_end = self.history.end_offset;
            }
            if marked.is_ok() && !self.tainted {
                stop.crash = None;
                self.history.durable_start = self.history.start_offset;
            }
        }
        if marked.is_err() || closed.is_err() {
            self.disk.crash(CrashMode::ProcessKill);
        }
        if self.disk.crashed() == Some(CrashMode::PowerLoss) {
            stop.crash = Some(CrashMode::PowerLoss);
        }
        self.start(stop).await;
        outcome
    }

    async fn recreate(&mut self, crash: Option<CrashMode>) -> String {
        let id = self.id();
        let deleted = self.running().engine.delete(std::slice::from_ref(&id)).await;
        let outcome = format!("{deleted:?}");
        assert!(self.faulted || deleted.is_ok(), "{outcome} on a sound disk");
        self.deletion = match deleted {
            Ok(()) => Deletion::Done,
            Err(_) => Deletion::Asked,
        };
        self.disk.crash(crash.unwrap_or(CrashMode::ProcessKill));
        outcome
    }
}
