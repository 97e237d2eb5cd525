//! The machine of one partition of `__consumer_offsets`: classic groups and everyone's offsets.

use std::collections::{BTreeSet, HashMap};
use std::convert::Infallible;
use std::sync::Arc;

use super::classic::{Group, NEVER_MS, State};
use super::expiry::Expiry;
use super::join::{self, Join};
use super::membership;
use super::offsets::Offsets;
use super::record::{Record, ReplayError};
use crate::config::GroupConfig;
use crate::env::Random;
use crate::records::BATCH_HEADER_BYTES;
use crate::shard::{Batch, KeyValue, Machine, Moment, Outcome, Position, Ticket};
use crate::wire::ErrorCode;
use crate::wire::messages::describe_groups::DescribedGroup;
use crate::wire::messages::heartbeat::HeartbeatRequest;
use crate::wire::messages::join_group::{JoinGroupRequest, JoinGroupResponse};
use crate::wire::messages::leave_group::{LeaveGroupRequest, LeaveGroupResponse};
use crate::wire::messages::list_groups::ListedGroup;
use crate::wire::messages::offset_commit::{OffsetCommitRequest, OffsetCommitResponse};
use crate::wire::messages::offset_delete::{OffsetDeleteRequest, OffsetDeleteResponse};
use crate::wire::messages::offset_fetch::{OffsetFetchRequestGroup, OffsetFetchResponseGroup};
use crate::wire::messages::sync_group::{SyncGroupRequest, SyncGroupResponse};

/// Bytes of a record beside its key and value, at most: four lengths or deltas and three bytes.
const RECORD_OVERHEAD_BYTES: usize = 4 * 5 + 3;

/// Who asks, as far as a group remembers it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Caller {
    /// Client id of the request.
    pub client_id: String,
    /// `/` and the address, as Java prints it.
    pub client_host: String,
    /// Version of the request.
    pub version: i16,
}

/// What the machine is asked. Group ids are those of this partition.
#[derive(Clone, Debug, PartialEq)]
pub enum Command {
    /// Join a group.
    Join(Caller, JoinGroupRequest),
    /// Ask for the assignment, or bring it.
    Sync(SyncGroupRequest),
    /// Stay in a group.
    Heartbeat(HeartbeatRequest),
    /// Leave a group.
    Leave(LeaveGroupRequest),
    /// Commit offsets of partitions that exist; the version of the request.
    Commit(OffsetCommitRequest, i16),
    /// Read offsets, with true also those that a transaction may change.
    Fetch(OffsetFetchRequestGroup, bool),
    /// Delete offsets of partitions that exist.
    DeleteOffsets(OffsetDeleteRequest),
    /// Describe groups.
    Describe(Vec<String>),
    /// List all groups.
    List,
    /// Delete groups.
    Delete(Vec<String>),
    /// Delete every group's offsets of topics that no longer exist, as many as one batch holds.
    ForgetTopics(Vec<String>),
}

/// What it answers.
#[derive(Clone, Debug, PartialEq)]
#[expect(missing_docs, reason = "each answers the command of its name")]
pub enum Reply {
    Join(JoinGroupResponse),
    Sync(SyncGroupResponse),
    Heartbeat(ErrorCode),
    Leave(LeaveGroupResponse),
    Commit(OffsetCommitResponse),
    Fetch(OffsetFetchResponseGroup),
    DeleteOffsets(OffsetDeleteResponse),
    Describe(Vec<DescribedGroup>),
    List(Vec<ListedGroup>),
    Delete(Vec<(String, ErrorCode)>),
    /// True if there are more.
    ForgetTopics(bool),
}

impl Reply {
    /// A refused SyncGroup.
    pub(super) fn sync_error(error: ErrorCode) -> Self {
        Self::Sync(SyncGroupResponse { error_code: error.code(), ..Default::default() })
    }
}

/// One decision in the making.
pub(super) struct Turn {
    pub(super) now_ms: i64,
    pub(super) settings: Arc<GroupConfig>,
    pub(super) random: Arc<Random>,
    /// What the log takes in one batch beside what was [added](Turn::add).
    free_bytes: usize,
    pub(super) records: Vec<Record>,
    replies: Vec<(Ticket, Reply)>,
}

impl Turn {
    pub(super) fn reply(&mut self, ticket: Ticket, reply: Reply) {
        self.replies.push((ticket, reply));
    }

    /// Whether the log takes a batch of these records.
    pub(super) fn fits<'r>(&self, records: impl IntoIterator<Item = &'r Record>) -> bool {
        records.into_iter().map(size_bytes).sum::<usize>() <= self.free_bytes
    }

    /// Adds a record to the batch if the log takes it with those added before.
    pub(super) fn add(&mut self, record: Record) -> bool {
        let Some(free_bytes) = self.free_bytes.checked_sub(size_bytes(&record)) else {
            return false;
        };
        self.free_bytes = free_bytes;
        self.records.push(record);
        true
    }

    fn into_outcome(self) -> Outcome<Record, Reply> {
        let Self { records, replies, .. } = self;
        let batch =
            (!records.is_empty()).then_some(Batch { records, control: false, producer: None });
        Outcome { batch, replies }
    }
}

fn size_bytes(record: &Record) -> usize {
    record.encode().size_bytes() + RECORD_OVERHEAD_BYTES
}

/// The machine.
pub struct GroupMachine {
    settings: Arc<GroupConfig>,
    random: Arc<Random>,
    max_batch_bytes: usize,
    pub(super) groups: HashMap<Arc<str>, Group>,
    /// Groups of a kind that is not coordinated here; they may have offsets.
    pub(super) other_groups: BTreeSet<String>,
    pub(super) offsets: Offsets,
    pub(super) expiry: Expiry,
    /// Groups by the next time at which something of them is due, or earlier.
    deadlines: BTreeSet<(i64, Arc<str>)>,
}

impl GroupMachine {
    /// A machine without groups, for a log that takes batches of at most `max_batch_bytes`.
    pub(super) fn new(
        settings: Arc<GroupConfig>,
        random: Arc<Random>,
        max_batch_bytes: usize,
    ) -> Self {
        Self {
            settings,
            random,
            max_batch_bytes,
            groups: HashMap::new(),
            other_groups: BTreeSet::new(),
            offsets: Offsets::default(),
            expiry: Expiry::new(),
            deadlines: BTreeSet::new(),
        }
    }

    fn turn(&self, now_ms: i64) -> Turn {
        Turn {
            now_ms,
            settings: self.settings.clone(),
            random: self.random.clone(),
            free_bytes: self.max_batch_bytes.saturating_sub(BATCH_HEADER_BYTES),
            records: Vec::new(),
            replies: Vec::new(),
        }
    }

    fn group_or_new(&mut self, id: &str, now_ms: i64) -> &mut Group {
        if !self.groups.contains_key(id) {
            let id: Arc<str> = id.into();
            self.groups.insert(id.clone(), Group::new(id, now_ms));
        }
        self.groups.get_mut(id).expect("it was there or has just been added")
    }

    /// Puts the group in the queue for its next deadline, if it is not there for an earlier one.
    fn requeue(&mut self, id: &str) {
        let next_ms = self.groups.get(id).map_or(NEVER_MS, Group::next_deadline);
        self.requeue_by(id, next_ms);
    }

    /// As [`Self::requeue`], where only this member's session has a new end: its members may be many.
    fn requeue_session(&mut self, id: &str, member_id: &str) {
        let member = self.groups.get(id).and_then(|group| group.members.get(member_id));
        self.requeue_by(id, member.map_or(NEVER_MS, |member| member.session_ends_ms));
    }

    fn requeue_by(&mut self, id: &str, next_ms: i64) {
        let Some(group) = self.groups.get_mut(id) else { return };
        if next_ms < group.queued_ms {
            self.deadlines.remove(&(group.queued_ms, group.id.clone()));
            group.queued_ms = next_ms;
            self.deadlines.insert((next_ms, group.id.clone()));
        }
    }

    fn join(&mut self, ticket: Ticket, caller: Caller, request: JoinGroupRequest, turn: &mut Turn) {
        let id = request.group_id.clone();
        let refuse = |error, member_id: &str| Reply::Join(join::refused(error, member_id));
        if self.other_groups.contains(&id) {
            return turn.reply(ticket, refuse(ErrorCode::InconsistentGroupProtocol, ""));
        }
        let is_new = !self.groups.contains_key(id.as_str());
        if is_new && !request.member_id.is_empty() {
            return turn.reply(ticket, refuse(ErrorCode::UnknownMemberId, &request.member_id));
        }
        let group = self.group_or_new(&id, turn.now_ms);
        if is_new {
            // A group is in the log from its first member on, who may only have asked for an id.
            turn.records.push(group.record(|_, member| member.assignment.clone()));
        }
        group.join(Join::new(ticket, caller, request), turn);
        self.requeue(&id);
    }

    fn sync(&mut self, ticket: Ticket, request: &SyncGroupRequest, turn: &mut Turn) {
        match self.groups.get_mut(request.group_id.as_str()) {
            Some(group) if group.state != State::Empty => group.sync(ticket, request, turn),
            _ => turn.reply(ticket, Reply::sync_error(ErrorCode::UnknownMemberId)),
        }
        self.requeue(&request.group_id);
    }

    fn heartbeat(&mut self, request: &HeartbeatRequest, turn: &Turn) -> ErrorCode {
        let group = self.groups.get_mut(request.group_id.as_str());
        let error = group.map(|group| group.heartbeat(request, turn));
        self.requeue_session(&request.group_id, &request.member_id);
        error.unwrap_or(ErrorCode::UnknownMemberId)
    }

    fn leave(&mut self, request: &LeaveGroupRequest, turn: &mut Turn) -> LeaveGroupResponse {
        let members = if let Some(group) = self.groups.get_mut(request.group_id.as_str()) {
            group.leave(request, turn)
        } else {
            let unknown = |member| membership::left(member, ErrorCode::UnknownMemberId);
            request.members.iter().map(unknown).collect()
        };
        self.requeue(&request.group_id);
        LeaveGroupResponse { members, ..Default::default() }
    }

    fn decide(&mut self, ticket: Ticket, command: Command, turn: &mut Turn) {
        let reply = match command {
            Command::Join(caller, request) => return self.join(ticket, caller, request, turn),
            Command::Sync(request) => return self.sync(ticket, &request, turn),
            Command::Heartbeat(request) => Reply::Heartbeat(self.heartbeat(&request, turn)),
            Command::Leave(request) => Reply::Leave(self.leave(&request, turn)),
            Command::Commit(request, version) => {
                let response = self.commit(&request, version, turn);
                self.requeue_session(&request.group_id, &request.member_id);
                Reply::Commit(response)
            }
            Command::Fetch(request, require_stable) => {
                let id = request.group_id.as_str();
                let known = self.groups.contains_key(id) || self.other_groups.contains(id);
                Reply::Fetch(self.offsets.fetch(&request, known, require_stable))
            }
            Command::DeleteOffsets(request) => {
                Reply::DeleteOffsets(self.delete_offsets(request, turn))
            }
            Command::Describe(ids) => Reply::Describe(self.describe(ids)),
            Command::List => Reply::List(self.list()),
            Command::Delete(ids) => Reply::Delete(self.delete(ids, turn)),
            Command::ForgetTopics(topics) => {
                let keys = self.offsets.keys(|_, topic| topics.iter().any(|gone| gone == topic));
                let all = keys.into_iter().all(|key| turn.add(Record::Offset(key, None)));
                // What does not fit into an empty batch can never be written.
                Reply::ForgetTopics(!all && !turn.records.is_empty())
            }
        };
        turn.reply(ticket, reply);
    }
}

impl Machine for GroupMachine {
    type Command = Command;
    type Reply = Reply;
    type Record = Record;
    type Effect = Infallible;
    type ReplayError = ReplayError;

    const BASE_SEQUENCE: i32 = 0;

    fn handle(&mut self, ticket: Ticket, command: Command, now: Moment) -> Outcome<Record, Reply> {
        let mut turn = self.turn(now.now_ms);
        self.decide(ticket, command, &mut turn);
        self.plan_expiry(&turn);
        turn.into_outcome()
    }

    fn tick(&mut self, now: Moment) -> Outcome<Record, Reply> {
        let mut turn = self.turn(now.now_ms);
        if Some(self.expiry.due_ms) == self.next_deadline() {
            self.expire_offsets(&mut turn);
        } else if let Some((_, id)) = self.deadlines.pop_first()
            && let Some(group) = self.groups.get_mut(&id)
        {
            group.queued_ms = NEVER_MS;
            expire(group, &mut turn);
            self.requeue(&id);
        }
        turn.into_outcome()
    }

    fn next_deadline(&self) -> Option<i64> {
        let first_ms = self.deadlines.first().map_or(NEVER_MS, |(deadline_ms, _)| *deadline_ms);
        Some(first_ms.min(self.expiry.due_ms)).filter(|deadline_ms| *deadline_ms != NEVER_MS)
    }

    fn apply(&mut self, record: &Record, at: Position) -> Result<(), ReplayError> {
        match record {
            Record::Group(id, Some(value)) => {
                self.group_or_new(id, value.current_state_timestamp).settle(value);
            }
            Record::Group(id, None) => {
                self.groups.remove(id.as_str());
            }
            Record::Offset(key, value) => {
                if let Some(value) = value
                    && !self.other_groups.contains(&key.group)
                {
                    // Offsets without members make a group, too.
                    self.group_or_new(&key.group, value.commit_timestamp);
                }
                self.offsets.apply(key, value.as_ref(), at.offset, at.producer_id);
            }
            Record::OtherGroup(id, exists) => {
                self.other_groups.remove(id);
                if *exists {
                    self.groups.remove(id.as_str());
                    self.other_groups.insert(id.clone());
                }
            }
            Record::EndTransaction(committed) => {
                if let Some(producer_id) = at.producer_id {
                    self.offsets.end_transaction(producer_id, *committed);
                }
            }
        }
        Ok(())
    }

    fn effects(&mut self) -> Vec<Infallible> {
        Vec::new()
    }

    /// Sessions begin anew: nobody could send heartbeats meanwhile.
    fn loaded(&mut self, now_ms: i64) -> Result<Vec<Infallible>, ReplayError> {
        let mut turn = self.turn(now_ms);
        let ids: Vec<Arc<str>> = self.groups.keys().cloned().collect();
        for id in ids {
            let Some(group) = self.groups.get_mut(&id) else { continue };
            for member in group.members.values_mut() {
                member.session_ends_ms = now_ms + i64::from(member.session_timeout_ms);
            }
            if group.members.len() > turn.settings.max_size {
                // The limit is lower than it was: whoever joins first stays.
                group.prepare(&mut turn);
            }
            self.requeue(&id);
        }
        self.plan_expiry(&turn);
        Ok(Vec::new())
    }

    fn encode(record: &Record) -> KeyValue {
        record.encode()
    }

    fn decode(raw: KeyValue, control: bool) -> Result<Option<Record>, ReplayError> {
        Record::decode(raw, control)
    }
}

/// Does the first thing that is due of a group.
fn expire(group: &mut Group, turn: &mut Turn) {
    let now_ms = turn.now_ms;
    if group.join_ends_ms <= now_ms {
        return group.end_joining(turn);
    }
    if group.sync_ends_ms <= now_ms {
        return group.end_syncing(turn);
    }
    let pending = group.pending.iter().find(|(_, ends_ms)| **ends_ms <= now_ms);
    if let Some(id) = pending.map(|(id, _)| id.clone()) {
        group.remove(&id);
        return group.await_one_less(turn);
    }
    let ended = group.members.iter().find(|(_, member)| member.session_ends_ms <= now_ms);
    if let Some(id) = ended.map(|(id, _)| id.clone()) {
        group.end_session(&id, turn);
    }
}
