//! A rebalance: members are made to join, the generation begins, the assignment is awaited
//! (Kafka: `GroupMetadataManager.prepareRebalance`, `completeClassicGroupJoin`).

use bytes::Bytes;

use super::classic::{Group, InitialDelay, Member, NEVER_MS, State};
use super::command::Reply;
use super::record::Record;
use super::turn::Turn;
use crate::wire::ErrorCode;

impl Group {
    /// The members have changed: begins a rebalance, or if one is under way sees whether that
    /// was the last to join.
    pub(super) fn prepare_or_complete(&mut self, turn: &mut Turn) {
        match self.state {
            State::PreparingRebalance => self.complete_if_joined(turn),
            State::Empty | State::CompletingRebalance | State::Stable => self.prepare(turn),
        }
    }

    /// Begins a rebalance.
    pub(super) fn prepare(&mut self, turn: &mut Turn) {
        if self.state == State::CompletingRebalance {
            self.answer_syncs(ErrorCode::RebalanceInProgress, turn);
        }
        self.forget_syncs();
        let first = self.state == State::Empty;
        self.enter(State::PreparingRebalance, turn.now_ms);
        let timeout_ms = self.rebalance_timeout_ms();
        if first {
            let delay_ms = turn.settings.initial_rebalance_delay_ms;
            let remaining_ms = (timeout_ms - delay_ms).max(0);
            self.initial_delay = Some(InitialDelay { delay_ms, remaining_ms, member_added: false });
            self.join_ends_ms = turn.now_ms + i64::from(delay_ms);
        } else if self.all_joined() {
            self.complete_join(turn);
        } else {
            self.join_ends_ms = turn.now_ms + i64::from(timeout_ms);
        }
    }

    /// Completes the join phase if nobody is missing and it does not wait for more members.
    pub(super) fn complete_if_joined(&mut self, turn: &mut Turn) {
        if self.initial_delay.is_none() {
            self.await_one_less(turn);
        }
    }

    /// Somebody's time is over. If that was the last to be awaited, the join phase is complete, as
    /// in Kafka also while it would wait for more members.
    pub(super) fn await_one_less(&mut self, turn: &mut Turn) {
        if self.state == State::PreparingRebalance && self.all_joined() {
            self.complete_join(turn);
        }
    }

    /// The time to join is over, or the first delay is.
    pub(super) fn end_joining(&mut self, turn: &mut Turn) {
        let Some(delay) = self.initial_delay.filter(|delay| delay.member_added) else {
            return self.complete_join(turn);
        };
        if delay.remaining_ms == 0 {
            return self.complete_join(turn);
        }
        // A member came: wait for the next one, as long as there is time.
        let delay_ms = turn.settings.initial_rebalance_delay_ms.min(delay.remaining_ms);
        let remaining_ms = (delay.remaining_ms - delay.delay_ms).max(0);
        self.initial_delay = Some(InitialDelay { delay_ms, remaining_ms, member_added: false });
        self.join_ends_ms = turn.now_ms + i64::from(delay_ms);
    }

    /// Begins the next generation with those who have joined, and static members that have not.
    pub(super) fn complete_join(&mut self, turn: &mut Turn) {
        self.join_ends_ms = NEVER_MS;
        let missing = |(_, member): &(&String, &Member)| {
            member.joining.is_none() && member.group_instance_id.is_none()
        };
        let missing = self.members.iter().filter(missing).map(|(id, _)| id.clone());
        for id in missing.collect::<Vec<_>>() {
            let group = &*self.id;
            tracing::info!(group, member = %id, "member has not joined the rebalance, removing it");
            self.remove(&id);
        }
        if !self.members.is_empty() && !self.elect_joined_leader() {
            // Only static members that are away: until their sessions end.
            self.join_ends_ms = turn.now_ms + i64::from(self.rebalance_timeout_ms());
            return;
        }
        self.initial_delay = None;
        self.generation_id = self.generation_id.wrapping_add(1).max(0);
        self.protocol_name = self.select_protocol().map(str::to_owned);
        self.read_subscriptions();
        self.forget_syncs();
        let group = &*self.id;
        let (generation, members) = (self.generation_id, self.members.len());
        if self.members.is_empty() {
            tracing::info!(group, generation, "group is now empty");
            self.enter(State::Empty, turn.now_ms);
            turn.records.push(self.record(|_, _| Bytes::new()));
            return;
        }
        tracing::info!(group, generation, members, "group stabilized");
        self.enter(State::CompletingRebalance, turn.now_ms);
        for id in self.members.keys().cloned().collect::<Vec<_>>() {
            let answer = self.joined(&id);
            self.answer_join(&id, answer, turn);
            self.keep_alive(&id, turn);
            if let Some(member) = self.members.get_mut(&id) {
                member.is_new = false;
                member.owes_sync = true;
            }
        }
        self.sync_ends_ms = turn.now_ms + i64::from(self.rebalance_timeout_ms());
    }

    /// The time to ask for the assignment is over: members that have not are given up.
    pub(super) fn end_syncing(&mut self, turn: &mut Turn) {
        self.sync_ends_ms = NEVER_MS;
        let owing = self.members.iter().filter(|(_, member)| member.owes_sync);
        let owing: Vec<String> = owing.map(|(id, _)| id.clone()).collect();
        if owing.is_empty() || matches!(self.state, State::Empty | State::PreparingRebalance) {
            return;
        }
        for id in owing {
            let group = &*self.id;
            tracing::info!(group, member = %id, "member has not synced, removing it");
            self.remove(&id);
        }
        self.prepare(turn);
    }

    /// Nobody owes a question for the assignment any more.
    fn forget_syncs(&mut self) {
        self.sync_ends_ms = NEVER_MS;
        for member in self.members.values_mut() {
            member.owes_sync = false;
        }
    }

    /// Takes every assignment back and tells those who await theirs why.
    pub(super) fn answer_syncs(&mut self, error: ErrorCode, turn: &mut Turn) {
        let session_ends_ms = |member: &Member| turn.now_ms + i64::from(member.session_timeout_ms);
        let mut waiting = Vec::new();
        for member in self.members.values_mut() {
            member.assignment = Bytes::new();
            if let Some(ticket) = member.syncing.take() {
                member.session_ends_ms = session_ends_ms(member);
                waiting.push(ticket);
            }
        }
        for ticket in waiting {
            turn.reply(ticket, Reply::sync_error(error));
        }
    }

    /// The group as it is, with these assignments.
    pub(super) fn record(&self, assignment: impl Fn(&str, &Member) -> Bytes) -> Record {
        Record::Group(self.id.to_string(), Some(self.to_record(assignment)))
    }
}
