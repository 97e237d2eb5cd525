//! Many groups of the consumer protocol (KIP-848): how soon every member has its partition, what they take of memory, and
//! the CPU time of their heartbeats.
//!
//! One thread plays every member. Heartbeats are answered at once, so a connection serves many members, and a round is
//! sent before its answers are read.

use std::thread;
use std::time::{Duration, Instant};

use bytes::Bytes;
use ottla::wire::messages::consumer_group_heartbeat::{
    ConsumerGroupHeartbeatRequest, ConsumerGroupHeartbeatResponse, TopicPartitions,
};
use rustix::process::Signal;
use std::process;

use crate::groups::{MEMBERS, Plan, TOPIC, ready};
use crate::node::{Product, cpu_time};
use crate::raw_client::Connection;
use crate::typed::{framed, receive};
use crate::{Row, START_TIMEOUT, mebibytes, milliseconds};

const VERSION: i16 = 1;
const TICK: Duration = Duration::from_millis(20);
/// As often as the members of classic groups, for the two to be compared.
const HEARTBEAT_TICKS: usize = 150;

#[derive(Debug)]
struct Member {
    group: String,
    id: String,
    epoch: i32,
    owned: Vec<TopicPartitions>,
    /// Assigned to it and not acknowledged yet.
    is_new: bool,
}

impl Member {
    fn request(&self) -> ConsumerGroupHeartbeatRequest {
        let joins = self.epoch == 0;
        ConsumerGroupHeartbeatRequest {
            group_id: self.group.clone(),
            member_id: self.id.clone(),
            member_epoch: self.epoch,
            rebalance_timeout_ms: if joins { 60_000 } else { -1 },
            subscribed_topic_names: joins.then(|| vec![TOPIC.to_owned()]),
            topic_partitions: (joins || self.is_new).then(|| self.owned.clone()),
            ..Default::default()
        }
    }

    fn take(&mut self, answer: ConsumerGroupHeartbeatResponse) {
        assert_eq!(answer.error_code, 0, "{self:?}: {answer:?}");
        self.epoch = answer.member_epoch;
        self.is_new = answer.assignment.is_some();
        if let Some(assignment) = answer.assignment {
            self.owned = assignment.topic_partitions;
        }
    }

    /// It has the one partition that is its share, and the broker knows.
    fn is_settled(&self) -> bool {
        let count: usize = self.owned.iter().map(|topic| topic.partitions.len()).sum();
        count == 1 && !self.is_new
    }
}

/// Sends one request of each of these members, by the connection that serves it, and takes the answers.
fn exchange(
    members: &mut [Member],
    connections: &mut [Connection],
    who: impl Iterator<Item = usize> + Clone,
    request: impl Fn(usize, &Member) -> Bytes,
) {
    let stride = connections.len();
    for number in who.clone() {
        let request = request(number, &members[number]);
        connections[number % stride].send(&request).unwrap();
    }
    for number in who {
        let connection = &connections[number % stride];
        members[number].take(receive::<ConsumerGroupHeartbeatRequest>(connection, VERSION));
    }
}

/// All join, and ask until each has its share.
fn settle(members: &mut [Member], connections: &mut [Connection]) {
    let deadline = Instant::now() + START_TIMEOUT;
    loop {
        let waiting: Vec<usize> =
            (0..members.len()).filter(|number| !members[*number].is_settled()).collect();
        // A group is done with when all of it is.
        let mut groups: Vec<usize> = waiting.iter().map(|number| number / MEMBERS).collect();
        groups.dedup();
        if groups.is_empty() {
            break;
        }
        assert!(Instant::now() < deadline, "{} groups are not settled", groups.len());
        let who = groups.iter().flat_map(|group| group * MEMBERS..(group + 1) * MEMBERS);
        // No more at once than the buffers of the connections hold.
        let who: Vec<usize> = who.collect();
        for some in who.chunks(connections.len()) {
            exchange(members, connections, some.iter().copied(), |_, member| {
                framed(&member.request(), VERSION)
            });
        }
    }
}

/// Heartbeats that say nothing new, evenly over the time.
fn load(members: &mut [Member], connections: &mut [Connection], load_for: Duration) {
    let beats: Vec<Bytes> =
        members.iter().map(|member| framed(&member.request(), VERSION)).collect();
    let started = Instant::now();
    for tick in 0..(load_for.as_millis() / TICK.as_millis()) as usize {
        let due = (tick % HEARTBEAT_TICKS..members.len()).step_by(HEARTBEAT_TICKS);
        exchange(members, connections, due, |number, _| beats[number].clone());
        thread::sleep((TICK * (tick as u32 + 1)).saturating_sub(started.elapsed()));
    }
    assert!(members.iter().all(Member::is_settled), "nobody was assigned anything else");
}

/// Groups from their first heartbeat on.
pub(crate) fn measure(product: Product, plan: &Plan) -> Vec<Row> {
    let work = tempfile::tempdir().unwrap();
    let groups: Vec<String> =
        (0..plan.groups).map(|number| format!("consumer-group-{number}")).collect();
    let member = |number: usize| Member {
        group: groups[number / MEMBERS].clone(),
        id: format!("member-{number}"),
        epoch: 0,
        owned: Vec::new(),
        is_new: false,
    };
    let mut members: Vec<Member> = (0..plan.groups * MEMBERS).map(member).collect();
    let node = ready(product, work.path(), &groups);
    let mut connections: Vec<_> = (0..plan.lanes).map(|_| node.connect()).collect();
    let before = node.resident_bytes();
    let started = Instant::now();
    settle(&mut members, &mut connections);
    let settled = started.elapsed();
    let joined = node.resident_bytes();
    let own = || cpu_time(process::id());
    let (cpu, own_cpu) = (node.cpu_time(), own());
    load(&mut members, &mut connections, plan.load_for);
    let (cpu, own_cpu) = (node.cpu_time().saturating_sub(cpu), own().saturating_sub(own_cpu));
    let after = node.resident_bytes();
    node.end(Signal::TERM);
    let (groups, members, load_for) = (plan.groups, members.len(), plan.load_for);
    let what = "consumer protocol";
    vec![
        (format!("{what}: {groups} groups of {MEMBERS} until settled (ms)"), milliseconds(settled)),
        (format!("{what}: VmRSS before (MiB)"), mebibytes(before)),
        (format!("{what}: VmRSS when all are settled (MiB)"), mebibytes(joined)),
        (format!("{what}: VmRSS {load_for:?} later (MiB)"), mebibytes(after)),
        (format!("{what}: CPU, heartbeats of {members} in {load_for:?} (ms)"), milliseconds(cpu)),
        (format!("{what}: CPU of the load generator (ms)"), milliseconds(own_cpu)),
    ]
}
