//! Many consumer groups: how soon they are stable, what they take of memory, and the CPU time of their heartbeats and
//! commits.
//!
//! One thread plays every member, so that the broker has the machine. A JoinGroup waits for the other members, so the
//! members of a group join over a connection each; a lane of such connections takes one group after the other. Later a
//! connection serves the members that joined over it.

use std::path::Path;
use std::process;
use std::thread;
use std::time::{Duration, Instant};

use bytes::Bytes;
use ottla::wire::messages::find_coordinator::FindCoordinatorRequest;
use ottla::wire::messages::heartbeat::HeartbeatRequest;
use ottla::wire::messages::join_group::{
    JoinGroupRequest, JoinGroupRequestProtocol, JoinGroupResponse,
};
use ottla::wire::messages::offset_commit::{
    OffsetCommitRequest, OffsetCommitRequestPartition, OffsetCommitRequestTopic,
};
use ottla::wire::messages::sync_group::{SyncGroupRequest, SyncGroupRequestAssignment};
use rustix::buffer::spare_capacity;
use rustix::event::{Timespec, epoll};
use rustix::process::Signal;

use crate::node::{Node, Product, cpu_time};
use crate::raw_client::Connection;
use crate::typed::{ask, assignment, framed, receive, subscription};
use crate::{
    ALREADY_EXISTS, ANSWER_TIMEOUT, Row, START_TIMEOUT, first_ack, mebibytes, milliseconds,
};

// The last versions that are not flexible.
const COMMIT: i16 = 7;
const FIND: i16 = 1;
const JOIN: i16 = 5;
const BEAT: i16 = 3;
const SYNC: i16 = 3;

/// Errors after which a member joins again: its coordinator is not there yet, or the generation is over.
const JOIN_AGAIN: [i16; 5] = [14, 15, 16, 22, 27];
const UNKNOWN_MEMBER_ID: i16 = 25;
/// `MEMBER_ID_REQUIRED`
const ID_REQUIRED: i16 = 79;

pub(crate) const MEMBERS: usize = 5;
pub(crate) const TOPIC: &str = "work";
/// What is due within a tick is sent at once.
const TICK: Duration = Duration::from_millis(20);
const HEARTBEAT_TICKS: usize = 150;
const COMMIT_TICKS: usize = 250;

/// How much to do.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Plan {
    pub(crate) groups: usize,
    /// Groups that join at the same time.
    pub(crate) lanes: usize,
    pub(crate) load_for: Duration,
}

impl Plan {
    pub(crate) const FULL: Self =
        Self { groups: 1_000, lanes: 100, load_for: Duration::from_secs(30) };
    pub(crate) const QUICK: Self = Self { groups: 20, lanes: 5, load_for: Duration::from_secs(5) };
}

#[derive(Debug)]
enum Step {
    Join,
    /// With the ids of all members for the leader, none for the others.
    Sync(Vec<String>),
    Settled,
}

#[derive(Debug)]
struct Member {
    group: String,
    id: String,
    generation: i32,
    step: Step,
}

impl Member {
    /// What it sends on its way into the group.
    fn request(&self) -> Bytes {
        match &self.step {
            Step::Join => {
                let protocol = JoinGroupRequestProtocol {
                    name: "range".into(),
                    metadata: subscription(TOPIC),
                };
                let request = JoinGroupRequest {
                    group_id: self.group.clone(),
                    session_timeout_ms: 300_000,
                    rebalance_timeout_ms: 60_000,
                    member_id: self.id.clone(),
                    protocol_type: "consumer".into(),
                    protocols: vec![protocol],
                    ..Default::default()
                };
                framed(&request, JOIN)
            }
            Step::Sync(ids) => {
                let assign = |(partition, id): (i32, &String)| SyncGroupRequestAssignment {
                    member_id: id.clone(),
                    assignment: assignment(TOPIC, partition),
                };
                let request = SyncGroupRequest {
                    group_id: self.group.clone(),
                    generation_id: self.generation,
                    member_id: self.id.clone(),
                    assignments: (0..).zip(ids).map(assign).collect(),
                    ..Default::default()
                };
                framed(&request, SYNC)
            }
            Step::Settled => unreachable!("a settled member asks for nothing"),
        }
    }

    /// Goes on by the answer to its request.
    fn take(&mut self, connection: &Connection) {
        let again = |member: &Self, error: i16| {
            assert!(JOIN_AGAIN.contains(&error), "{member:?}: {error}");
            Step::Join
        };
        self.step = if let Step::Sync(_) = self.step {
            match receive::<SyncGroupRequest>(connection, SYNC).error_code {
                0 => Step::Settled,
                error => again(self, error),
            }
        } else {
            let answer = receive::<JoinGroupRequest>(connection, JOIN);
            match answer.error_code {
                0 => self.joined(answer),
                ID_REQUIRED => {
                    self.id = answer.member_id;
                    Step::Join
                }
                error => again(self, error),
            }
        };
    }

    /// A leader waits until nobody is missing, which it does by joining again.
    fn joined(&mut self, answer: JoinGroupResponse) -> Step {
        self.generation = answer.generation_id;
        if answer.leader != self.id {
            return Step::Sync(Vec::new());
        }
        if answer.members.len() < MEMBERS {
            return Step::Join;
        }
        Step::Sync(answer.members.into_iter().map(|member| member.member_id).collect())
    }

    fn heartbeat(&self) -> Bytes {
        let request = HeartbeatRequest {
            group_id: self.group.clone(),
            generation_id: self.generation,
            member_id: self.id.clone(),
            group_instance_id: None,
        };
        framed(&request, BEAT)
    }

    fn commit(&self, partition: i32) -> Bytes {
        let partition = OffsetCommitRequestPartition {
            partition_index: partition,
            committed_offset: 1_000,
            committed_metadata: Some(String::new()),
            ..Default::default()
        };
        let request = OffsetCommitRequest {
            group_id: self.group.clone(),
            generation_id_or_member_epoch: self.generation,
            member_id: self.id.clone(),
            topics: vec![OffsetCommitRequestTopic {
                name: TOPIC.into(),
                partitions: vec![partition],
                ..Default::default()
            }],
            ..Default::default()
        };
        framed(&request, COMMIT)
    }
}

/// The members before they join, group after group.
fn strangers(groups: usize) -> Vec<Member> {
    let member = |number: usize| Member {
        group: format!("group-{}", number / MEMBERS),
        id: String::new(),
        generation: -1,
        step: Step::Join,
    };
    (0..groups * MEMBERS).map(member).collect()
}

/// The members, group after group, and the connections; member `n` has number `n` modulo their count.
struct Crowd {
    members: Vec<Member>,
    connections: Vec<Connection>,
}

impl Crowd {
    /// Joins every member to its group; returns when all groups are stable.
    fn join(&mut self) {
        let epoll = epoll::create(epoll::CreateFlags::CLOEXEC).unwrap();
        for (number, connection) in (0..).zip(&self.connections) {
            let data = epoll::EventData::new_u64(number);
            epoll::add(&epoll, connection.stream(), data, epoll::EventFlags::IN).unwrap();
        }
        let stride = self.connections.len();
        let mut current: Vec<usize> = (0..stride).collect();
        for (connection, member) in self.connections.iter_mut().zip(&self.members) {
            connection.send(&member.request()).unwrap();
        }
        let mut settled = vec![0; stride / MEMBERS];
        let mut missing = self.members.len() / MEMBERS;
        let patience = Timespec::try_from(ANSWER_TIMEOUT).unwrap();
        let mut events = Vec::with_capacity(stride);
        while missing > 0 {
            let came = epoll::wait(&epoll, spare_capacity(&mut events), Some(&patience)).unwrap();
            assert!(came > 0, "{missing} groups are not stable, and nothing is answered");
            for event in events.drain(..) {
                let connection = event.data.u64() as usize;
                let member = &mut self.members[current[connection]];
                member.take(&self.connections[connection]);
                if !matches!(member.step, Step::Settled) {
                    self.connections[connection].send(&member.request()).unwrap();
                    continue;
                }
                let lane = connection / MEMBERS;
                settled[lane] += 1;
                if settled[lane] == MEMBERS {
                    settled[lane] = 0;
                    missing -= 1;
                    self.begin_next(lane, &mut current);
                }
            }
        }
        let same = |group: &[Member]| group.iter().all(|m| m.generation == group[0].generation);
        assert!(self.members.chunks(MEMBERS).all(same), "the members of a group have a generation");
    }

    /// The next group of a lane, if there is one.
    fn begin_next(&mut self, lane: usize, current: &mut [usize]) {
        let stride = self.connections.len();
        let own = lane * MEMBERS..(lane + 1) * MEMBERS;
        for (connection, current) in self.connections[own.clone()].iter_mut().zip(&mut current[own])
        {
            *current += stride;
            if let Some(member) = self.members.get(*current) {
                connection.send(&member.request()).unwrap();
            }
        }
    }

    /// Heartbeats and commits, evenly over the time.
    fn load(&mut self, load_for: Duration) {
        let stride = self.connections.len();
        let heartbeats: Vec<_> = self.members.iter().map(Member::heartbeat).collect();
        let partitions = (0..MEMBERS as i32).cycle();
        let commits: Vec<_> =
            self.members.iter().zip(partitions).map(|(m, p)| m.commit(p)).collect();
        let started = Instant::now();
        for tick in 0..(load_for.as_millis() / TICK.as_millis()) as usize {
            let due = |every: usize| (tick % every..self.members.len()).step_by(every);
            for member in due(HEARTBEAT_TICKS) {
                self.connections[member % stride].send(&heartbeats[member]).unwrap();
            }
            for member in due(COMMIT_TICKS) {
                self.connections[member % stride].send(&commits[member]).unwrap();
            }
            for member in due(HEARTBEAT_TICKS) {
                let answer = receive::<HeartbeatRequest>(&self.connections[member % stride], BEAT);
                assert_eq!(answer.error_code, 0, "heartbeat of {:?}", self.members[member]);
            }
            for member in due(COMMIT_TICKS) {
                let connection = &self.connections[member % stride];
                let answer = receive::<OffsetCommitRequest>(connection, COMMIT);
                let error = answer.topics[0].partitions[0].error_code;
                assert_eq!(error, 0, "commit of {:?}", self.members[member]);
            }
            thread::sleep((TICK * (tick as u32 + 1)).saturating_sub(started.elapsed()));
        }
    }
}

/// A broker with the topic that the members share, and with the coordinator of every group loaded.
pub(crate) fn ready(product: Product, work: &Path, groups: &[String]) -> Node {
    let (node, _) = first_ack(product, work, "first");
    let mut client = node.connect();
    let error = client.create_topics(&[TOPIC.to_owned()], MEMBERS as i32, &[]).unwrap();
    assert!(error == 0 || error == ALREADY_EXISTS, "{TOPIC}: {error}");
    let deadline = Instant::now() + START_TIMEOUT;
    let until = |ask: &mut dyn FnMut() -> i16, awaited: i16| loop {
        let error = ask();
        if error == awaited {
            break;
        }
        assert!(Instant::now() < deadline, "the coordinators do not serve: {error}");
        thread::sleep(Duration::from_millis(5));
    };
    let find = FindCoordinatorRequest { key: groups[0].clone(), ..Default::default() };
    until(&mut || ask(&mut client, &find, FIND).error_code, 0);
    for group in groups {
        let beat = HeartbeatRequest { group_id: group.clone(), ..Default::default() };
        until(&mut || ask(&mut client, &beat, BEAT).error_code, UNKNOWN_MEMBER_ID);
    }
    node
}

/// Groups from their first JoinGroup on.
pub(crate) fn measure(product: Product, plan: &Plan) -> Vec<Row> {
    let work = tempfile::tempdir().unwrap();
    let members = strangers(plan.groups);
    let groups: Vec<_> =
        members.iter().step_by(MEMBERS).map(|member| member.group.clone()).collect();
    let node = ready(product, work.path(), &groups);
    let connections = (0..plan.lanes * MEMBERS).map(|_| node.connect()).collect();
    let mut crowd = Crowd { members, connections };
    let before = node.resident_bytes();
    let started = Instant::now();
    crowd.join();
    let stable = started.elapsed();
    let joined = node.resident_bytes();
    let own = || cpu_time(process::id());
    let (cpu, own_cpu) = (node.cpu_time(), own());
    crowd.load(plan.load_for);
    let (cpu, own_cpu) = (node.cpu_time().saturating_sub(cpu), own().saturating_sub(own_cpu));
    let after = node.resident_bytes();
    node.end(Signal::TERM);
    let (groups, members, load_for) = (plan.groups, crowd.members.len(), plan.load_for);
    vec![
        (
            format!("{groups} groups of {MEMBERS}: first join to all stable (ms)"),
            milliseconds(stable),
        ),
        ("VmRSS before (MiB)".into(), mebibytes(before)),
        ("VmRSS when all are stable (MiB)".into(), mebibytes(joined)),
        (format!("VmRSS {load_for:?} later (MiB)"), mebibytes(after)),
        (
            format!("CPU for heartbeats and commits of {members} in {load_for:?} (ms)"),
            milliseconds(cpu),
        ),
        ("CPU of the load generator meanwhile (ms)".into(), milliseconds(own_cpu)),
    ]
}
