//! What of a consumer group a restart forgets.

use std::collections::BTreeMap;

use super::super::classic::NEVER_MS;

/// Deadlines of members and what the coordinator is yet to do for the group.
#[derive(Clone, Debug, PartialEq)]
pub(in crate::coordinator::group) struct Timers {
    members: BTreeMap<String, MemberTimers>,
    /// The version of the metadata that the group's hash was last compared with.
    pub(super) seen_version: Option<i64>,
    /// When the regular expressions are to be resolved.
    pub(super) resolve_at_ms: i64,
}

impl Default for Timers {
    fn default() -> Self {
        Self { members: BTreeMap::new(), seen_version: None, resolve_at_ms: NEVER_MS }
    }
}

/// Until when a member has time.
#[derive(Clone, Debug, PartialEq)]
struct MemberTimers {
    session_ms: i64,
    /// To give back what it was to, at this epoch.
    revocation: (i64, i32),
    /// To join again and to ask for its assignment, if it uses the classic protocol.
    join_ms: i64,
    sync_ms: i64,
}

impl Default for MemberTimers {
    fn default() -> Self {
        Self {
            session_ms: NEVER_MS,
            revocation: (NEVER_MS, 0),
            join_ms: NEVER_MS,
            sync_ms: NEVER_MS,
        }
    }
}

impl MemberTimers {
    fn next(&self) -> i64 {
        let others = self.join_ms.min(self.sync_ms);
        self.session_ms.min(self.revocation.0).min(others)
    }
}

/// Why a member is given up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::coordinator::group) enum Due {
    /// It has not been heard of.
    Session,
    /// It has not given back what it was to, if it still is at this epoch.
    Revocation(i32),
    /// It uses the classic protocol and has not joined again.
    Join,
    /// It uses the classic protocol and has not asked for its assignment.
    Sync,
}

impl Due {
    /// The reason in words.
    pub(super) fn reason(self) -> &'static str {
        match self {
            Self::Session => "the member session expired",
            Self::Revocation(_) => "it failed to give its partitions back in time",
            Self::Join => "the classic member failed to join within the rebalance timeout",
            Self::Sync => "the member failed to sync within timeout",
        }
    }
}

impl Timers {
    pub(super) fn session(&mut self, member_id: &str, ends_ms: i64) {
        self.of(member_id).session_ms = ends_ms;
    }

    pub(super) fn revocation(&mut self, member_id: &str, epoch: i32, ends_ms: i64) {
        self.of(member_id).revocation = (ends_ms, epoch);
    }

    pub(super) fn revoked(&mut self, member_id: &str) {
        self.revocation(member_id, 0, NEVER_MS);
    }

    /// Unless it is to join by a time already.
    pub(super) fn join(&mut self, member_id: &str, ends_ms: i64) {
        let member = self.of(member_id);
        if member.join_ms == NEVER_MS {
            member.join_ms = ends_ms;
        }
    }

    pub(super) fn joined(&mut self, member_id: &str) {
        self.of(member_id).join_ms = NEVER_MS;
    }

    pub(super) fn sync(&mut self, member_id: &str, ends_ms: i64) {
        self.of(member_id).sync_ms = ends_ms;
    }

    fn of(&mut self, member_id: &str) -> &mut MemberTimers {
        if !self.members.contains_key(member_id) {
            self.members.insert(member_id.to_owned(), MemberTimers::default());
        }
        self.members.get_mut(member_id).expect("it was there or has just been added")
    }

    pub(super) fn forget(&mut self, member_id: &str) {
        self.members.remove(member_id);
    }

    /// When something is due next.
    pub(in crate::coordinator::group) fn next(&self) -> i64 {
        let members = self.members.values().map(MemberTimers::next);
        members.min().unwrap_or(NEVER_MS).min(self.resolve_at_ms)
    }

    /// As [`Self::next`], where only this member has a new deadline.
    pub(in crate::coordinator::group) fn next_of(&self, member_id: &str) -> i64 {
        let member = self.members.get(member_id).map_or(NEVER_MS, MemberTimers::next);
        member.min(self.resolve_at_ms)
    }

    /// The first member that something is due of, which is then no longer due.
    pub(in crate::coordinator::group) fn take_due(&mut self, now_ms: i64) -> Option<(String, Due)> {
        let mut members = self.members.iter_mut();
        let (id, member) = members.find(|(_, member)| member.next() <= now_ms)?;
        let due = if member.session_ms <= now_ms {
            member.session_ms = NEVER_MS;
            Due::Session
        } else if member.revocation.0 <= now_ms {
            let epoch = member.revocation.1;
            member.revocation = (NEVER_MS, 0);
            Due::Revocation(epoch)
        } else if member.join_ms <= now_ms {
            member.join_ms = NEVER_MS;
            Due::Join
        } else {
            member.sync_ms = NEVER_MS;
            Due::Sync
        };
        Some((id.clone(), due))
    }
}
