//! Many consumer groups: how soon they are stable, what they take of memory, and the CPU time of their heartbeats and
//! commits.
//!
//! One thread plays every member, so that the broker has the machine. A JoinGroup waits for the other members, so the
//! members of a group join over a connection each; a lane of such connections takes one group after the other. Later a
//! connection serves the members that joined over it.

use std::io;
use std::path::Path;
use std::process;
use std::thread;
use std::time::{Duration, Instant};

use rustix::buffer::spare_capacity;
use rustix::event::{Timespec, epoll};
use rustix::process::Signal;

use crate::node::{Node, Product, cpu_time};
use crate::raw_client::{Answer, Body, Connection, frame};
use crate::{
    ALREADY_EXISTS, ANSWER_TIMEOUT, Row, START_TIMEOUT, first_ack, mebibytes, milliseconds,
};

const OFFSET_COMMIT: i16 = 8;
const FIND_COORDINATOR: i16 = 10;
const JOIN_GROUP: i16 = 11;
const HEARTBEAT: i16 = 12;
const SYNC_GROUP: i16 = 14;

/// Errors after which a member joins again: its coordinator is not there yet, or the generation is over.
const JOIN_AGAIN: [i16; 5] = [14, 15, 16, 22, 27];
const UNKNOWN_MEMBER_ID: i16 = 25;
/// `MEMBER_ID_REQUIRED`
const ID_REQUIRED: i16 = 79;

const MEMBERS: usize = 5;
const TOPIC: &str = "work";
/// What is due within a tick is sent at once.
const TICK: Duration = Duration::from_millis(20);
const HEARTBEAT_TICKS: usize = 150;
const COMMIT_TICKS: usize = 250;

/// How much to do.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Plan {
    groups: usize,
    /// Groups that join at the same time.
    lanes: usize,
    load_for: Duration,
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
    /// As the fields of a request begin that only a member sends.
    fn signed(&self) -> Body {
        let no_instance = -1;
        Body::default().string(&self.group).i32(self.generation).string(&self.id).i16(no_instance)
    }

    /// What it sends on its way into the group.
    fn request(&self) -> Vec<u8> {
        match &self.step {
            Step::Join => {
                let subscription = Body::default().i16(0).i32(1).string(TOPIC).i32(-1);
                let (session_timeout_ms, rebalance_timeout_ms) = (300_000, 60_000);
                let body = Body::default().string(&self.group);
                let body = body.i32(session_timeout_ms).i32(rebalance_timeout_ms);
                let body = body.string(&self.id).i16(-1).string("consumer");
                let body = body.i32(1).string("range").bytes(&subscription.0);
                frame(JOIN_GROUP, 5, false, &body)
            }
            Step::Sync(ids) => {
                let mut body = self.signed().i32(ids.len() as i32);
                for (partition, id) in (0..).zip(ids) {
                    let assignment = Body::default().i16(0).i32(1).string(TOPIC);
                    let assignment = assignment.i32(1).i32(partition).i32(-1);
                    body = body.string(id).bytes(&assignment.0);
                }
                frame(SYNC_GROUP, 3, false, &body)
            }
            Step::Settled => unreachable!("a settled member asks for nothing"),
        }
    }

    /// Goes on by the answer to its request.
    fn take(&mut self, answer: &mut Answer) -> io::Result<()> {
        let (_throttle_ms, error) = (answer.i32()?, answer.i16()?);
        let synced = matches!(self.step, Step::Sync(_));
        self.step = match error {
            0 if synced => Step::Settled,
            0 => self.joined(answer)?,
            ID_REQUIRED => {
                let (_generation, _protocol, _leader) =
                    (answer.i32()?, answer.string()?, answer.string()?);
                self.id = answer.string()?;
                Step::Join
            }
            _ => {
                assert!(JOIN_AGAIN.contains(&error), "{self:?}: {error}");
                Step::Join
            }
        };
        Ok(())
    }

    /// A leader waits until nobody is missing, which it does by joining again.
    fn joined(&mut self, answer: &mut Answer) -> io::Result<Step> {
        self.generation = answer.i32()?;
        let (_protocol, leader, _own) = (answer.string()?, answer.string()?, answer.string()?);
        let count = answer.i32()? as usize;
        if leader != self.id {
            return Ok(Step::Sync(Vec::new()));
        }
        if count < MEMBERS {
            return Ok(Step::Join);
        }
        let mut ids = Vec::new();
        for _ in 0..count {
            let (id, _instance) = (answer.string()?, answer.string()?);
            let length = answer.i32()?;
            answer.take(length as usize)?;
            ids.push(id);
        }
        Ok(Step::Sync(ids))
    }

    fn heartbeat(&self) -> Vec<u8> {
        frame(HEARTBEAT, 3, false, &self.signed())
    }

    fn commit(&self, partition: i32) -> Vec<u8> {
        let (offset, leader_epoch) = (1_000, -1);
        let body = self.signed().i32(1).string(TOPIC).i32(1);
        let body = body.i32(partition).i64(offset).i32(leader_epoch).string("");
        frame(OFFSET_COMMIT, 7, false, &body)
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
                member.take(&mut self.connections[connection].receive(false).unwrap()).unwrap();
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
                let mut answer = self.connections[member % stride].receive(false).unwrap();
                let (_throttle_ms, error) = (answer.i32().unwrap(), answer.i16().unwrap());
                assert_eq!(error, 0, "heartbeat of {:?}", self.members[member]);
            }
            for member in due(COMMIT_TICKS) {
                let mut answer = self.connections[member % stride].receive(false).unwrap();
                assert_eq!(
                    committed(&mut answer).unwrap(),
                    0,
                    "commit of {:?}",
                    self.members[member]
                );
            }
            thread::sleep((TICK * (tick as u32 + 1)).saturating_sub(started.elapsed()));
        }
    }
}

/// The error of the one partition in an answer of OffsetCommit.
fn committed(answer: &mut Answer) -> io::Result<i16> {
    let (_throttle_ms, _topics, _topic) = (answer.i32()?, answer.i32()?, answer.string()?);
    let (_partitions, _partition) = (answer.i32()?, answer.i32()?);
    answer.i16()
}

/// A broker with the topic that the members share, and with the coordinator of every group loaded.
fn ready(product: Product, work: &Path, crowd: &[Member]) -> Node {
    let (node, _) = first_ack(product, work, "first");
    let mut client = node.connect();
    let error = client.create_topics(&[TOPIC.to_owned()], MEMBERS as i32, &[]).unwrap();
    assert!(error == 0 || error == ALREADY_EXISTS, "{TOPIC}: {error}");
    let deadline = Instant::now() + START_TIMEOUT;
    let mut ask = |request: &[u8], awaited: i16| loop {
        client.send(request).unwrap();
        let mut answer = client.receive(false).unwrap();
        let (_throttle_ms, error) = (answer.i32().unwrap(), answer.i16().unwrap());
        if error == awaited {
            break;
        }
        assert!(Instant::now() < deadline, "the coordinators do not serve: {error}");
        thread::sleep(Duration::from_millis(5));
    };
    let first = Body::default().string(&crowd[0].group).i8(0);
    ask(&frame(FIND_COORDINATOR, 1, false, &first), 0);
    for member in crowd.iter().step_by(MEMBERS) {
        ask(&member.heartbeat(), UNKNOWN_MEMBER_ID);
    }
    node
}

/// Groups from their first JoinGroup on.
pub(crate) fn measure(product: Product, plan: &Plan) -> Vec<Row> {
    let work = tempfile::tempdir().unwrap();
    let members = strangers(plan.groups);
    let node = ready(product, work.path(), &members);
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
