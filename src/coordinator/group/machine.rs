//! The machine of one partition of `__consumer_offsets`: classic and consumer groups and everyone's
//! offsets.

use std::collections::{BTreeSet, HashMap};
use std::convert::Infallible;
use std::sync::Arc;

use super::classic::{Group, NEVER_MS, State};
use super::command::{Asked, Caller, Command, Reply};
use super::consumer::{ConsumerGroup, ConsumerRecord, Downgrades, Timers};
use super::expiry::Expiry;
use super::join::{self, Join};
use super::membership;
use super::offsets::Offsets;
use super::record::Record;
use super::turn::Turn;
use crate::config::GroupConfig;
use crate::coordinator::value::ReplayError;
use crate::env::Random;
use crate::metadata::MetadataImage;
use crate::records::BATCH_HEADER_BYTES;
use crate::shard::{KeyValue, Machine, Moment, Outcome, Position, Ticket};
use crate::wire::ErrorCode;
use crate::wire::messages::heartbeat::HeartbeatRequest;
use crate::wire::messages::join_group::JoinGroupRequest;
use crate::wire::messages::leave_group::{LeaveGroupRequest, LeaveGroupResponse};
use crate::wire::messages::sync_group::SyncGroupRequest;

/// A group of any kind: they share their names.
#[derive(Clone, Debug)]
pub(super) enum AnyGroup {
    /// Its members assign among themselves.
    Classic(Group),
    /// The coordinator assigns (KIP-848).
    Consumer(ConsumerGroup),
    /// Of a kind that is not coordinated here; it may have offsets.
    Other,
}

impl AnyGroup {
    /// True while it is not known that nobody reads the topic.
    pub(super) fn is_subscribed_to(&self, topic: &str) -> bool {
        match self {
            Self::Classic(group) => group.is_subscribed_to(topic),
            Self::Consumer(group) => group.is_subscribed_to(topic),
            Self::Other => false,
        }
    }
}

/// The machine.
pub struct GroupMachine {
    settings: Arc<GroupConfig>,
    random: Arc<Random>,
    max_batch_bytes: usize,
    pub(super) groups: HashMap<Arc<str>, AnyGroup>,
    /// What of consumer groups a restart forgets.
    pub(super) timers: HashMap<Arc<str>, Timers>,
    /// Classic groups that were consumer groups and whose members are to join them anew.
    pub(super) rebalance: BTreeSet<Arc<str>>,
    /// The same, as the log tells it.
    downgrades: Downgrades,
    pub(super) offsets: Offsets,
    pub(super) expiry: Expiry,
    /// The newest metadata known, and the version of the newest that has a topic which earlier one
    /// has not.
    image: Arc<MetadataImage>,
    topics_version: i64,
    /// Groups by the next time at which something of them is due, or earlier.
    deadlines: BTreeSet<(i64, Arc<str>)>,
    /// Where each group stands among them.
    queued: HashMap<Arc<str>, i64>,
}

impl GroupMachine {
    /// A machine without groups, for a log that takes batches of at most `max_batch_bytes`.
    pub(super) fn new(
        settings: Arc<GroupConfig>,
        random: Arc<Random>,
        max_batch_bytes: usize,
        image: Arc<MetadataImage>,
    ) -> Self {
        Self {
            settings,
            random,
            max_batch_bytes,
            groups: HashMap::new(),
            timers: HashMap::new(),
            rebalance: BTreeSet::new(),
            downgrades: Downgrades::default(),
            offsets: Offsets::default(),
            expiry: Expiry::new(),
            // Topics may have come since the groups of a replay have looked.
            topics_version: image.finalized_features_epoch,
            image,
            deadlines: BTreeSet::new(),
            queued: HashMap::new(),
        }
    }

    fn turn(&self, now_ms: i64) -> Turn {
        Turn {
            now_ms,
            settings: self.settings.clone(),
            random: self.random.clone(),
            image: self.image.clone(),
            topics_version: self.topics_version,
            free_bytes: self.max_batch_bytes.saturating_sub(BATCH_HEADER_BYTES),
            records: Vec::new(),
            transaction: None,
            replies: Vec::new(),
        }
    }

    /// Takes note of metadata if it is newer.
    fn look_at(&mut self, image: Arc<MetadataImage>) {
        if image.finalized_features_epoch <= self.image.finalized_features_epoch {
            return;
        }
        let is_new = |id| self.image.topic_by_id(id).is_none();
        if image.topics().any(|topic| is_new(topic.id)) {
            self.topics_version = image.finalized_features_epoch;
        }
        self.image = image;
    }

    /// The classic group of this id.
    pub(super) fn classic(&self, id: &str) -> Option<&Group> {
        match self.groups.get(id)? {
            AnyGroup::Classic(group) => Some(group),
            AnyGroup::Consumer(_) | AnyGroup::Other => None,
        }
    }

    /// As [`Self::classic`].
    pub(super) fn classic_mut(&mut self, id: &str) -> Option<&mut Group> {
        match self.groups.get_mut(id)? {
            AnyGroup::Classic(group) => Some(group),
            AnyGroup::Consumer(_) | AnyGroup::Other => None,
        }
    }

    /// The classic group of this id, made if there is none.
    fn classic_or_new(&mut self, id: &str, now_ms: i64) -> &mut Group {
        if self.classic(id).is_none() {
            let id: Arc<str> = id.into();
            self.groups.insert(id.clone(), AnyGroup::Classic(Group::new(id, now_ms)));
        }
        self.classic_mut(id).expect("it was there or has just been added")
    }

    /// When something of a group is due next.
    fn next_of(&self, id: &str) -> i64 {
        match self.groups.get(id) {
            Some(AnyGroup::Classic(group)) => group.next_deadline(),
            Some(AnyGroup::Consumer(_)) => self.timers.get(id).map_or(NEVER_MS, Timers::next),
            Some(AnyGroup::Other) | None => NEVER_MS,
        }
    }

    /// Puts the group in the queue for its next deadline, if it is not there for an earlier one.
    fn requeue(&mut self, id: &str) {
        self.requeue_by(id, self.next_of(id));
    }

    /// As [`Self::requeue`], where only this member's session has a new end: its members may be many.
    fn requeue_session(&mut self, id: &str, member_id: &str) {
        let member = self.classic(id).and_then(|group| group.members.get(member_id));
        self.requeue_by(id, member.map_or(NEVER_MS, |member| member.session_ends_ms));
    }

    /// Also of a group that is about to exist.
    pub(super) fn requeue_by(&mut self, id: &str, next_ms: i64) {
        let queued_ms = self.queued.get(id).copied().unwrap_or(NEVER_MS);
        if next_ms < queued_ms {
            let id: Arc<str> = id.into();
            self.deadlines.remove(&(queued_ms, id.clone()));
            self.deadlines.insert((next_ms, id.clone()));
            self.queued.insert(id, next_ms);
        }
    }

    fn join(&mut self, ticket: Ticket, caller: Caller, request: JoinGroupRequest, turn: &mut Turn) {
        let id = request.group_id.clone();
        let refuse = |error, member_id: &str| Reply::Join(join::refused(error, member_id));
        let mut is_new = false;
        let mut replaced = Vec::new();
        match self.groups.get(id.as_str()) {
            Some(AnyGroup::Other) => {
                return turn.reply(ticket, refuse(ErrorCode::InconsistentGroupProtocol, ""));
            }
            Some(AnyGroup::Consumer(group)) if !group.members.is_empty() => {
                return self.join_consumer(Join::new(ticket, caller, request), turn);
            }
            Some(AnyGroup::Consumer(group)) => {
                is_new = true;
                replaced = group.tombstones();
            }
            Some(AnyGroup::Classic(_)) => {}
            None => is_new = true,
        }
        if is_new && !request.member_id.is_empty() {
            return turn.reply(ticket, refuse(ErrorCode::UnknownMemberId, &request.member_id));
        }
        let replaced = replaced.into_iter().map(|record| Record::Consumer(id.clone(), record));
        turn.records.extend(replaced);
        self.timers.remove(id.as_str());
        let group = self.classic_or_new(&id, turn.now_ms);
        if is_new {
            // A group is in the log from its first member on, who may only have asked for an id.
            turn.records.push(group.record(|_, member| member.assignment.clone()));
        }
        group.join(Join::new(ticket, caller, request), turn);
        self.requeue(&id);
    }

    fn sync(&mut self, ticket: Ticket, request: &SyncGroupRequest, turn: &mut Turn) {
        match self.groups.get_mut(request.group_id.as_str()) {
            Some(AnyGroup::Classic(group)) if group.state != State::Empty => {
                group.sync(ticket, request, turn);
            }
            Some(AnyGroup::Consumer(_)) => {
                let response = self.sync_consumer(request, turn);
                return turn.reply(ticket, Reply::Sync(response));
            }
            _ => turn.reply(ticket, Reply::sync_error(ErrorCode::UnknownMemberId)),
        }
        self.requeue(&request.group_id);
    }

    fn heartbeat(&mut self, request: &HeartbeatRequest, turn: &Turn) -> ErrorCode {
        match self.groups.get_mut(request.group_id.as_str()) {
            Some(AnyGroup::Classic(group)) => {
                let error = group.heartbeat(request, turn);
                self.requeue_session(&request.group_id, &request.member_id);
                error
            }
            Some(AnyGroup::Consumer(_)) => self.heartbeat_consumer(request, turn),
            Some(AnyGroup::Other) | None => ErrorCode::UnknownMemberId,
        }
    }

    fn leave(&mut self, request: &LeaveGroupRequest, turn: &mut Turn) -> LeaveGroupResponse {
        let members = match self.groups.get_mut(request.group_id.as_str()) {
            Some(AnyGroup::Classic(group)) => group.leave(request, turn),
            Some(AnyGroup::Consumer(_)) => self.leave_consumers(request, turn),
            Some(AnyGroup::Other) | None => {
                let unknown = |member| membership::left(member, ErrorCode::UnknownMemberId);
                request.members.iter().map(unknown).collect()
            }
        };
        self.requeue(&request.group_id);
        LeaveGroupResponse { members, ..Default::default() }
    }

    fn apply_consumer(&mut self, id: &str, record: &ConsumerRecord) {
        let removes = matches!(record, ConsumerRecord::Epoch(None));
        match self.groups.get_mut(id) {
            Some(AnyGroup::Consumer(_)) if removes => {
                self.groups.remove(id);
                self.timers.remove(id);
            }
            Some(AnyGroup::Consumer(group)) => group.apply(record),
            // What is removed of a group that does not exist, or is one of another kind, is gone.
            _ if record.is_tombstone() => {}
            // A classic group with nothing but offsets is in the way of none.
            _ => {
                let mut group = ConsumerGroup::default();
                group.apply(record);
                self.groups.insert(id.into(), AnyGroup::Consumer(group));
            }
        }
    }

    fn decide(&mut self, ticket: Ticket, command: Command, turn: &mut Turn) {
        let reply = match command {
            Command::Join(caller, request) => return self.join(ticket, caller, request, turn),
            Command::Sync(request) => return self.sync(ticket, &request, turn),
            Command::Heartbeat(request) => Reply::Heartbeat(self.heartbeat(&request, turn)),
            Command::Leave(request) => Reply::Leave(self.leave(&request, turn)),
            Command::ConsumerHeartbeat(caller, request) => {
                Reply::ConsumerHeartbeat(self.consumer_heartbeat(caller, &request, turn))
            }
            Command::ConsumerDescribe(id) => {
                Reply::ConsumerDescribe(self.describe_consumer(id, turn))
            }
            Command::Commit(request, version) => {
                let response = self.commit(&request, version, turn);
                self.requeue_session(&request.group_id, &request.member_id);
                Reply::Commit(response)
            }
            Command::TransactionalCommit(request, guard) => {
                Reply::TransactionalCommit(self.commit_transactional(&request, guard, turn))
            }
            Command::EndTransaction(marker) => {
                turn.end_transaction(marker);
                Reply::EndTransaction
            }
            Command::Fetch(request, require_stable) => {
                Reply::Fetch(self.fetch(&request, require_stable))
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
    type Command = Asked;
    type Reply = Reply;
    type Record = Record;
    type Effect = Infallible;
    type ReplayError = ReplayError;

    const BASE_SEQUENCE: i32 = 0;

    fn handle(&mut self, ticket: Ticket, asked: Asked, now: Moment) -> Outcome<Record, Reply> {
        self.look_at(asked.image);
        let mut turn = self.turn(now.now_ms);
        self.decide(ticket, asked.command, &mut turn);
        self.plan_expiry(&turn);
        turn.into_outcome()
    }

    fn tick(&mut self, now: Moment) -> Outcome<Record, Reply> {
        let mut turn = self.turn(now.now_ms);
        if Some(self.expiry.due_ms) == self.next_deadline() {
            self.expire_offsets(&mut turn);
        } else if let Some((_, id)) = self.deadlines.pop_first() {
            self.queued.remove(&id);
            let rebalance = self.rebalance.remove(&id);
            match self.groups.get_mut(&id) {
                Some(AnyGroup::Classic(group)) if rebalance => group.prepare_or_complete(&mut turn),
                Some(AnyGroup::Classic(group)) => expire(group, &mut turn),
                Some(AnyGroup::Consumer(_)) => self.expire_consumer(&id, &mut turn),
                Some(AnyGroup::Other) | None => {}
            }
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
            Record::Group(id, value) => {
                let members = value.as_ref().map_or(0, |value| value.members.len());
                self.downgrades.classic_group(id, members, at.offset);
            }
            Record::Consumer(id, ConsumerRecord::Epoch(None)) => {
                self.downgrades.consumer_group_removed(id, at.offset);
            }
            _ => {}
        }
        match record {
            Record::Group(id, Some(value)) => {
                let group = self.classic_or_new(id, value.current_state_timestamp);
                group.settle(value, at.timestamp_ms);
            }
            Record::Group(id, None) => {
                if self.classic(id).is_some() {
                    self.groups.remove(id.as_str());
                }
            }
            Record::Consumer(id, record) => self.apply_consumer(id, record),
            Record::Offset(key, value) => {
                if let Some(value) = value
                    && !self.groups.contains_key(key.group.as_str())
                {
                    // Offsets without members make a group, too.
                    self.classic_or_new(&key.group, value.commit_timestamp);
                }
                self.offsets.apply(key, value.as_ref(), at.offset, at.producer_id);
            }
            Record::OtherGroup(id, true) => {
                self.groups.insert(id.as_str().into(), AnyGroup::Other);
            }
            Record::OtherGroup(id, false) => {
                if matches!(self.groups.get(id.as_str()), Some(AnyGroup::Other)) {
                    self.groups.remove(id.as_str());
                }
            }
            Record::EndTransaction(committed, _) => {
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
            match self.groups.get_mut(&id) {
                Some(AnyGroup::Classic(group)) => {
                    for member in group.members.values_mut() {
                        member.session_ends_ms = now_ms + i64::from(member.session_timeout_ms);
                    }
                    // The limit is lower than it was: whoever joins first stays.
                    let is_too_large = group.members.len() > turn.settings.max_size;
                    if is_too_large || self.downgrades.has(&id) {
                        group.prepare(&mut turn);
                    }
                }
                Some(AnyGroup::Consumer(_)) => self.begin_sessions(&id, &turn),
                Some(AnyGroup::Other) | None => {}
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
