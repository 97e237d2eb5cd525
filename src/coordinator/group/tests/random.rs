//! Random commands and times. What must hold after each step stands in [`invariants`].

use super::*;
use crate::wire::messages::heartbeat::HeartbeatRequest;
use crate::wire::messages::join_group::{JoinGroupRequest, JoinGroupRequestProtocol};
use crate::wire::messages::leave_group::LeaveGroupRequest;
use crate::wire::messages::offset_commit::OffsetCommitRequest;
use crate::wire::messages::offset_delete::OffsetDeleteRequest;
use crate::wire::messages::sync_group::{SyncGroupRequest, SyncGroupRequestAssignment};
use crate::wire::messages::txn_offset_commit::TxnOffsetCommitRequest;

const SEEDS: u64 = 300;
const STEPS: usize = 120;
/// The last one becomes one of another kind.
const GROUPS: [&str; 3] = ["g", "h", "other"];
const INSTANCES: [&str; 2] = ["i", "j"];
const PROTOCOLS: [&str; 4] = ["range", "sticky", "roundrobin", "x"];

struct Run {
    random: fastrand::Rng,
    bench: Bench,
    /// Member ids that were given out; some are of no use any more.
    ids: Vec<String>,
}

impl Run {
    fn new(seed: u64) -> Self {
        let mut random = fastrand::Rng::with_seed(seed);
        let settings = GroupConfig {
            max_size: *random.choice(&[2, 3, 100]).unwrap(),
            initial_rebalance_delay_ms: *random.choice(&[0, 3_000]).unwrap(),
            offsets_retention_ms: *random.choice(&[5_000, 50_000]).unwrap(),
            offsets_retention_check_interval_ms: *random.choice(&[700, i64::MAX]).unwrap(),
            ..settings()
        };
        let max_batch_bytes = *random.choice(&[700, 1_048_588]).unwrap();
        let bench = Bench { max_batch_bytes, ..Bench::with(settings) };
        let machine = machine(settings, max_batch_bytes, seed);
        Self { random, bench: Bench { machine, ..bench }, ids: Vec::new() }
    }

    fn chance(&mut self, of: u8) -> bool {
        self.random.u8(0..of) == 0
    }

    fn group(&mut self) -> String {
        let index = *self.random.choice(&[0, 0, 0, 0, 0, 1, 1, 2]).unwrap();
        GROUPS[index].to_owned()
    }

    /// Mostly a member of the group.
    fn member(&mut self, group: &str) -> String {
        let members = self.bench.machine.classic(group);
        let members =
            members.into_iter().flat_map(|group| group.members.keys().chain(group.pending.keys()));
        let members: Vec<&String> = members.collect();
        let ids = if self.random.u8(0..8) == 0 { self.ids.iter().collect() } else { members };
        self.random.choice(ids).cloned().unwrap_or_default()
    }

    fn generation(&mut self, group: &str) -> i32 {
        let generation = self.bench.machine.classic(group).map_or(0, |it| it.generation_id);
        if self.chance(10) { self.random.i32(-1..5) } else { generation }
    }

    /// Mostly what the member has.
    fn instance(&mut self, group: &str, member_id: &str) -> Option<String> {
        if self.chance(8) {
            return self.random.choice(INSTANCES).map(str::to_owned);
        }
        let member = self.bench.machine.classic(group)?.members.get(member_id)?;
        member.group_instance_id.clone()
    }

    fn protocols(&mut self) -> Vec<JoinGroupRequestProtocol> {
        let mut names = if self.chance(6) { PROTOCOLS.to_vec() } else { PROTOCOLS[..3].to_vec() };
        self.random.shuffle(&mut names);
        let count = if self.chance(9) { 0..2 } else { 2..4 };
        names.truncate(self.random.usize(count));
        let topic = *self.random.choice(&["orders", "orders", "payments"]).unwrap();
        let metadata = |random: &mut fastrand::Rng| match random.u8(0..30) {
            0 => Bytes::from_static(b"?"),
            1 => vec![0; 600].into(),
            _ => subscribed(&[topic]),
        };
        names.iter().map(|name| protocol(name, metadata(&mut self.random))).collect()
    }

    fn join(&mut self, group_id: String) -> Command {
        let member_id = if self.chance(2) { self.member(&group_id) } else { String::new() };
        let group_instance_id = match member_id.as_str() {
            "" if self.chance(3) => self.random.choice(INSTANCES).map(str::to_owned),
            id => self.instance(&group_id, id),
        };
        // A member that joins again mostly says the same.
        let known = self.bench.machine.classic(&group_id);
        let known = known.and_then(|group| group.members.get(&member_id));
        let same = known.map(|member| {
            let protocols = member.protocols.iter();
            protocols.map(|(name, metadata)| protocol(name, metadata.clone())).collect()
        });
        let protocols = same.filter(|_| !self.chance(4)).unwrap_or_else(|| self.protocols());
        let request = JoinGroupRequest {
            group_id,
            session_timeout_ms: self.random.i32(6_000..20_000),
            rebalance_timeout_ms: self.random.i32(0..30_000),
            member_id,
            group_instance_id,
            protocol_type: if self.chance(20) { "connect" } else { "consumer" }.into(),
            protocols,
            reason: None,
        };
        joins("client", *self.random.choice(&[0, 3, 4, 5, 8, 9]).unwrap(), request)
    }

    fn sync(&mut self, group_id: String) -> Command {
        let group = self.bench.machine.classic(&group_id);
        let leader = group.and_then(|group| group.leader.clone());
        let member_id = match leader {
            Some(leader) if self.chance(2) => leader,
            _ => self.member(&group_id),
        };
        let mut assignments = Vec::new();
        for _ in 0..self.random.usize(0..4) {
            let bytes = if self.chance(20) { 700 } else { self.random.usize(0..9) };
            let (member_id, assignment) = (self.member(&group_id), vec![b'x'; bytes].into());
            assignments.push(SyncGroupRequestAssignment { member_id, assignment });
        }
        Command::Sync(SyncGroupRequest {
            generation_id: self.generation(&group_id),
            group_instance_id: self.instance(&group_id, &member_id),
            protocol_type: self.chance(9).then(|| "consumer".into()),
            protocol_name: self.chance(9).then(|| "range".into()),
            assignments,
            group_id,
            member_id,
        })
    }

    fn heartbeat(&mut self, group_id: String) -> Command {
        let member_id = self.member(&group_id);
        Command::Heartbeat(HeartbeatRequest {
            generation_id: self.generation(&group_id),
            group_instance_id: self.instance(&group_id, &member_id),
            group_id,
            member_id,
        })
    }

    fn leave(&mut self, group_id: String) -> Command {
        let mut members = Vec::new();
        for _ in 0..self.random.usize(1..3) {
            let member_id = if self.chance(4) { String::new() } else { self.member(&group_id) };
            let instance = self.instance(&group_id, &member_id);
            members.push(identity(&member_id, instance.as_deref()));
        }
        Command::Leave(LeaveGroupRequest { group_id, members, ..Default::default() })
    }

    fn commit(&mut self, group_id: String) -> Command {
        let member_id = if self.chance(2) { self.member(&group_id) } else { String::new() };
        let outside = member_id.is_empty();
        let mut partitions = Vec::new();
        for _ in 0..self.random.usize(1..4) {
            partitions.push(commit_partition(self.random.i32(0..3), self.random.i64(-1..99)));
        }
        let generation = if outside { -1 } else { self.generation(&group_id) };
        let request = OffsetCommitRequest {
            group_instance_id: self.instance(&group_id, &member_id),
            retention_time_ms: if self.chance(9) { 1_000 } else { -1 },
            ..commit_request(&member_id, generation, partitions)
        };
        Command::Commit(OffsetCommitRequest { group_id, ..request }, self.random.i16(2..11))
    }

    fn delete_offsets(&mut self, group_id: String) -> Command {
        let topic = *self.random.choice(&["orders", "orders", "payments"]).unwrap();
        let Command::DeleteOffsets(request) = deletes(topic, &[self.random.i32(0..3)]) else {
            unreachable!()
        };
        Command::DeleteOffsets(OffsetDeleteRequest { group_id, ..request })
    }

    /// Commits with a transaction, or ends one.
    fn transact(&mut self, group_id: String) -> Command {
        let producer_id = self.random.i64(0..3);
        if self.random.bool() {
            return ends(producer_id, self.random.bool());
        }
        let Command::Commit(commit, _) = self.commit(group_id) else { unreachable!() };
        let offset = (self.random.i32(0..3), self.random.i64(-1..99));
        let generation = commit.generation_id_or_member_epoch;
        let request = TxnOffsetCommitRequest {
            group_id: commit.group_id,
            producer_id,
            group_instance_id: commit.group_instance_id,
            ..transactional_request(&commit.member_id, generation, &[offset])
        };
        Command::TransactionalCommit(request, None)
    }

    /// A broker of another kind has left something in the log.
    fn foreign(&mut self) {
        let exists = self.random.bool();
        self.bench.append(other_group(11, GROUPS[2], exists), false, None);
        // The group's members would wait for ever.
        self.bench.restart();
    }

    fn step(&mut self) {
        let group = self.group();
        let command = match self.random.u8(0..100) {
            0..30 => self.join(group),
            30..50 => self.sync(group),
            50..60 => self.heartbeat(group),
            60..66 => self.leave(group),
            66..72 => self.commit(group),
            72..74 => self.delete_offsets(group),
            74..76 => Command::Delete(vec![group]),
            76 => Command::List,
            77 => Command::Describe(vec![group]),
            78 => return self.bench.restart(),
            79 if self.chance(2) => return self.foreign(),
            79..83 => self.transact(group),
            _ => {
                let now_ms = self.bench.now_ms - NOW_MS;
                let next_ms = self.bench.due_ms().filter(|_| self.random.bool());
                let to_ms = next_ms.unwrap_or_else(|| now_ms + self.random.i64(0..8_000));
                return drop(self.bench.pass_to(to_ms.max(now_ms)));
            }
        };
        let step = self.bench.call(command);
        if let Some(Reply::Join(answer)) = step.answer {
            self.ids.push(answer.member_id);
        }
    }
}

#[test]
fn a_replay_comes_to_the_live_state_after_every_step() {
    for seed in 0..SEEDS {
        let mut run = Run::new(seed);
        println!("seed {seed}");
        for _ in 0..STEPS {
            run.step();
        }
    }
}
