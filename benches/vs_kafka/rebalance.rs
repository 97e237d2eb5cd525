//! How long a group of the classic protocol needs to take in a tenth member.
//!
//! The brokers run side by side and take turns, round by round, so that what else the machine does meets both. Members
//! ask for their heartbeat until they are told of the rebalance: what is measured is the broker, not an interval.

use std::time::{Duration, Instant};

use ottla::wire::messages::heartbeat::HeartbeatRequest;
use ottla::wire::messages::join_group::{JoinGroupRequest, JoinGroupRequestProtocol};
use ottla::wire::messages::leave_group::{LeaveGroupRequest, MemberIdentity};
use ottla::wire::messages::sync_group::{SyncGroupRequest, SyncGroupRequestAssignment};
use rustix::process::Signal;

use crate::groups::{TOPIC, ready};
use crate::node::{Node, Product};
use crate::raw_client::Connection;
use crate::typed::{ask, assignment, receive, send, subscription};
use crate::{Row, milliseconds};

const MEMBERS: usize = 10;
const JOIN: i16 = 5;
const SYNC: i16 = 3;
const BEAT: i16 = 3;
const LEAVE: i16 = 3;
const REBALANCE_IN_PROGRESS: i16 = 27;
/// `MEMBER_ID_REQUIRED`
const ID_REQUIRED: i16 = 79;

struct Member {
    connection: Connection,
    id: String,
    generation: i32,
}

impl Member {
    fn joining(&self, group: &str) -> JoinGroupRequest {
        JoinGroupRequest {
            group_id: group.into(),
            session_timeout_ms: 30_000,
            rebalance_timeout_ms: 60_000,
            member_id: self.id.clone(),
            protocol_type: "consumer".into(),
            protocols: vec![JoinGroupRequestProtocol {
                name: "range".into(),
                metadata: subscription(TOPIC),
            }],
            ..Default::default()
        }
    }

    fn is_told_of_rebalance(&mut self, group: &str) -> bool {
        let beat = HeartbeatRequest {
            group_id: group.into(),
            generation_id: self.generation,
            member_id: self.id.clone(),
            group_instance_id: None,
        };
        ask(&mut self.connection, &beat, BEAT).error_code == REBALANCE_IN_PROGRESS
    }
}

/// Takes in one more member; how long it took from its join until all are stable.
fn admit(members: &mut Vec<Member>, group: &str, connection: Connection) -> Duration {
    let mut newcomer = Member { connection, id: String::new(), generation: -1 };
    let started = Instant::now();
    let request = newcomer.joining(group);
    let answer = ask(&mut newcomer.connection, &request, JOIN);
    assert_eq!(answer.error_code, ID_REQUIRED, "{answer:?}");
    newcomer.id = answer.member_id;
    let request = newcomer.joining(group);
    send(&mut newcomer.connection, &request, JOIN);
    for member in &mut *members {
        while !member.is_told_of_rebalance(group) {}
    }
    for member in &mut *members {
        let request = member.joining(group);
        send(&mut member.connection, &request, JOIN);
    }
    members.push(newcomer);
    let mut assignments = Vec::new();
    let mut leader = String::new();
    for member in &mut *members {
        let answer = receive::<JoinGroupRequest>(&member.connection, JOIN);
        assert_eq!(answer.error_code, 0, "{answer:?}");
        member.generation = answer.generation_id;
        if !answer.members.is_empty() {
            leader = answer.leader;
            let assign = |(partition, member_id)| SyncGroupRequestAssignment {
                member_id,
                assignment: assignment(TOPIC, partition),
            };
            let ids = answer.members.into_iter().map(|member| member.member_id);
            assignments = (0..).zip(ids).map(assign).collect();
        }
    }
    assert_eq!(assignments.len(), members.len(), "all are in one generation");
    for member in &mut *members {
        let assignments =
            if member.id == leader { std::mem::take(&mut assignments) } else { Vec::new() };
        let request = SyncGroupRequest {
            group_id: group.into(),
            generation_id: member.generation,
            member_id: member.id.clone(),
            assignments,
            ..Default::default()
        };
        send(&mut member.connection, &request, SYNC);
    }
    for member in &*members {
        assert_eq!(receive::<SyncGroupRequest>(&member.connection, SYNC).error_code, 0);
    }
    started.elapsed()
}

/// A group comes into being; the time its last member took.
fn round(node: &Node, group: &str) -> Duration {
    let mut members = Vec::new();
    let times = (0..MEMBERS).map(|_| admit(&mut members, group, node.connect()));
    let last = times.last().unwrap();
    let identity =
        |member: &Member| MemberIdentity { member_id: member.id.clone(), ..Default::default() };
    let leaving = LeaveGroupRequest {
        group_id: group.into(),
        members: members.iter().map(identity).collect(),
        ..Default::default()
    };
    assert_eq!(ask(&mut members[0].connection, &leaving, LEAVE).error_code, 0);
    last
}

/// The rows of each product.
pub(crate) fn measure(products: &[Product], rounds: usize) -> Vec<Vec<Row>> {
    let works: Vec<_> = products.iter().map(|_| tempfile::tempdir().unwrap()).collect();
    let groups: Vec<String> = (0..rounds).map(|number| format!("team-{number}")).collect();
    let start =
        |(product, work): (&Product, &tempfile::TempDir)| ready(*product, work.path(), &groups);
    let nodes: Vec<Node> = products.iter().zip(&works).map(start).collect();
    let mut times = vec![Vec::new(); nodes.len()];
    for (number, group) in groups.iter().enumerate() {
        // Who is first in a round changes.
        for place in 0..nodes.len() {
            let place = (place + number) % nodes.len();
            times[place].push(round(&nodes[place], group));
        }
    }
    for node in nodes {
        node.end(Signal::TERM);
    }
    let rows = |mut times: Vec<Duration>| {
        times.sort();
        let what = format!("the tenth member of a group, {rounds} rounds");
        vec![
            (format!("{what}: median (ms)"), milliseconds(times[times.len() / 2])),
            (format!("{what}: minimum (ms)"), milliseconds(times[0])),
        ]
    };
    times.into_iter().map(rows).collect()
}
