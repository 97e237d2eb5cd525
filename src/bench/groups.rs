//! `ottla bench groups`: how soon many consumer groups are stable, and how their heartbeats are answered then.
//!
//! Every member has a connection of its own to the group's coordinator, as a consumer has. A group has one member for
//! each partition of the topic; it is stable when every member has its partition and the broker knows.

use std::sync::Arc;
use std::time::Duration;

use bytes::{BufMut, Bytes};
use clap::{Args, ValueEnum};
use serde_json::json;
use tokio::sync::Barrier;
use tokio::task::JoinSet;
use tokio::time::Instant;

use super::client::{Connection, error_name};
use super::pace::{Dues, Plan};
use super::produce::duration;
use super::report::{Meter, Report, rounded};
use super::topic::{RETRY_BACKOFF, Topic, address, bootstrap, refused};
use super::{BenchError, Target};
use crate::env::Random;
use crate::wire::ErrorCode;
use crate::wire::messages::consumer_group_heartbeat::{
    ConsumerGroupHeartbeatRequest, TopicPartitions,
};
use crate::wire::messages::find_coordinator::{Coordinator, FindCoordinatorRequest};
use crate::wire::messages::heartbeat::HeartbeatRequest;
use crate::wire::messages::join_group::{
    JoinGroupRequest, JoinGroupRequestProtocol, JoinGroupResponse,
};
use crate::wire::messages::leave_group::{LeaveGroupRequest, MemberIdentity};
use crate::wire::messages::sync_group::{SyncGroupRequest, SyncGroupRequestAssignment};

const TIMEOUT: Duration = Duration::from_mins(1);
const SESSION_TIMEOUT_MS: i32 = 45_000;
const PROTOCOL_TYPE: &str = "consumer";
const ASSIGNOR: &str = "range";
/// An epoch with which a member leaves.
const LEAVING_EPOCH: i32 = -1;

/// How many groups, and of which kind.
#[derive(Args, Clone, Debug)]
pub struct Options {
    #[command(flatten)]
    pub(super) target: Target,
    /// Groups.
    #[arg(long, default_value_t = 100, value_parser = clap::value_parser!(u32).range(1..=100_000))]
    count: u32,
    /// Members of each group; the topic must have as many partitions, and is created so.
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u16).range(1..=1000))]
    members: u16,
    /// Who assigns partitions: a member, or the broker (KIP-848).
    #[arg(long, default_value = "classic")]
    protocol: Protocol,
    /// Send heartbeats for so long once all are stable.
    #[arg(long, value_name = "s", default_value_t = 10.0)]
    seconds: f64,
    /// Each member sends a heartbeat so often, all of them evenly spread.
    #[arg(long, value_name = "ms", default_value_t = 3000, value_parser = clap::value_parser!(u32).range(1..))]
    heartbeat_interval_ms: u32,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Protocol {
    Classic,
    Consumer,
}

/// A member of a group.
#[derive(Debug)]
struct Member {
    connection: Connection,
    protocol: Protocol,
    topic: String,
    members: usize,
    group: String,
    id: String,
    /// The generation, or the epoch.
    epoch: i32,
    owned: Vec<TopicPartitions>,
}

impl Member {
    /// Goes into the group until it has its partition.
    async fn settle(&mut self) -> Result<(), BenchError> {
        loop {
            let is_settled = match self.protocol {
                Protocol::Classic => self.join().await?,
                Protocol::Consumer => self.reconcile().await?,
            };
            if is_settled {
                return Ok(());
            }
            tokio::time::sleep(RETRY_BACKOFF).await;
        }
    }

    /// One round of the classic protocol.
    async fn join(&mut self) -> Result<bool, BenchError> {
        let protocol =
            JoinGroupRequestProtocol { name: ASSIGNOR.into(), metadata: subscription(&self.topic) };
        let request = JoinGroupRequest {
            group_id: self.group.clone(),
            session_timeout_ms: SESSION_TIMEOUT_MS,
            rebalance_timeout_ms: TIMEOUT.as_millis() as i32,
            member_id: self.id.clone(),
            protocol_type: PROTOCOL_TYPE.into(),
            protocols: vec![protocol],
            ..Default::default()
        };
        let answer = self.connection.call(&request).await?;
        if answer.error_code == ErrorCode::MemberIdRequired.code() {
            self.id = answer.member_id;
            return Ok(false);
        }
        if joins_again("joining", &self.group, answer.error_code)? {
            return Ok(false);
        }
        self.id.clone_from(&answer.member_id);
        self.epoch = answer.generation_id;
        // A leader waits until nobody is missing, which it does by joining again.
        if answer.leader == self.id && answer.members.len() < self.members {
            return Ok(false);
        }
        self.sync(answer).await
    }

    async fn sync(&mut self, joined: JoinGroupResponse) -> Result<bool, BenchError> {
        // Only the leader is told of the members.
        let ids = joined.members.into_iter().map(|member| member.member_id);
        let assign = |(partition, member_id)| SyncGroupRequestAssignment {
            member_id,
            assignment: assignment(&self.topic, partition),
        };
        let request = SyncGroupRequest {
            group_id: self.group.clone(),
            generation_id: self.epoch,
            member_id: self.id.clone(),
            group_instance_id: None,
            protocol_type: Some(PROTOCOL_TYPE.into()),
            protocol_name: Some(ASSIGNOR.into()),
            assignments: (0..).zip(ids).map(assign).collect(),
        };
        let answer = self.connection.call(&request).await?;
        Ok(!joins_again("syncing", &self.group, answer.error_code)?)
    }

    /// One heartbeat of the new protocol; true if the member has its share and has said so.
    async fn reconcile(&mut self) -> Result<bool, BenchError> {
        let joins = self.epoch == 0;
        let request = ConsumerGroupHeartbeatRequest {
            rebalance_timeout_ms: if joins { TIMEOUT.as_millis() as i32 } else { -1 },
            subscribed_topic_names: joins.then(|| vec![self.topic.clone()]),
            topic_partitions: Some(self.owned.clone()),
            ..self.beat()
        };
        let answer = self.connection.call(&request).await?;
        if joins_again("a heartbeat", &self.group, answer.error_code)? {
            return Ok(false);
        }
        self.epoch = answer.member_epoch;
        let is_new = answer.assignment.is_some();
        if let Some(assignment) = answer.assignment {
            self.owned = assignment.topic_partitions;
        }
        let count: usize = self.owned.iter().map(|topic| topic.partitions.len()).sum();
        Ok(count == 1 && !is_new)
    }

    /// A heartbeat of the new protocol that says nothing new.
    fn beat(&self) -> ConsumerGroupHeartbeatRequest {
        ConsumerGroupHeartbeatRequest {
            group_id: self.group.clone(),
            member_id: self.id.clone(),
            member_epoch: self.epoch,
            ..Default::default()
        }
    }

    /// Sends a heartbeat; the error in the answer.
    async fn heartbeat(&mut self) -> Result<i16, BenchError> {
        if self.protocol == Protocol::Consumer {
            let request = self.beat();
            return Ok(self.connection.call(&request).await?.error_code);
        }
        let request = HeartbeatRequest {
            group_id: self.group.clone(),
            generation_id: self.epoch,
            member_id: self.id.clone(),
            group_instance_id: None,
        };
        Ok(self.connection.call(&request).await?.error_code)
    }

    /// Leaves the group, so that the next run finds it empty.
    async fn leave(&mut self) -> Result<(), BenchError> {
        if self.protocol == Protocol::Consumer {
            self.epoch = LEAVING_EPOCH;
            return self.heartbeat().await.map(drop);
        }
        let member_id = self.id.clone();
        let request = LeaveGroupRequest {
            group_id: self.group.clone(),
            member_id: member_id.clone(),
            members: vec![MemberIdentity { member_id, ..Default::default() }],
        };
        self.connection.call(&request).await.map(drop)
    }

    /// All that a member does; `all_stable` is passed when every member of every group has come so far.
    async fn run(mut self, start: Start, meter: &Meter) -> Result<(), BenchError> {
        let settled = tokio::time::timeout(TIMEOUT, self.settle()).await;
        // Whoever failed must not keep the others waiting.
        start.all_stable.wait().await;
        let mut dues = start.dues.await.map_err(std::io::Error::other)?;
        let late = |_| refused(&format!("group {}: not stable after {TIMEOUT:?}", self.group), 7);
        settled.map_err(late)??;
        while let Some(due) = dues.next().await {
            match self.heartbeat().await? {
                0 => meter.done(due, 0, 0),
                code => meter.failed(&error_name(code)),
            }
        }
        self.leave().await
    }
}

/// What a member waits for before its heartbeats.
struct Start {
    all_stable: Arc<Barrier>,
    dues: tokio::sync::oneshot::Receiver<Dues>,
}

/// Whether an error passes when the member joins again: its coordinator is not there yet, or the generation is over.
fn joins_again(what: &str, group: &str, code: i16) -> Result<bool, BenchError> {
    const PASSING: [ErrorCode; 6] = [
        ErrorCode::CoordinatorLoadInProgress,
        ErrorCode::CoordinatorNotAvailable,
        ErrorCode::NotCoordinator,
        ErrorCode::IllegalGeneration,
        ErrorCode::RebalanceInProgress,
        ErrorCode::UnreleasedInstanceId,
    ];
    if code == 0 || PASSING.iter().any(|error| error.code() == code) {
        return Ok(code != 0);
    }
    Err(refused(&format!("{what} of group {group}"), code))
}

/// What a classic consumer says of itself: it reads one topic.
fn subscription(topic: &str) -> Bytes {
    consumer_protocol(topic, None)
}

/// What a classic consumer is told: it has one partition.
fn assignment(topic: &str, partition: i32) -> Bytes {
    consumer_protocol(topic, Some(partition))
}

/// `ConsumerProtocolSubscription` or `ConsumerProtocolAssignment` of version 0, with null as the user's data.
fn consumer_protocol(topic: &str, partition: Option<i32>) -> Bytes {
    let mut bytes = Vec::new();
    bytes.put_i16(0);
    bytes.put_i32(1);
    bytes.put_i16(topic.len() as i16);
    bytes.put_slice(topic.as_bytes());
    if let Some(partition) = partition {
        bytes.put_i32(1);
        bytes.put_i32(partition);
    }
    bytes.put_i32(-1);
    bytes.into()
}

/// The address of a group's coordinator.
async fn coordinator(connection: &mut Connection, group: &str) -> Result<String, BenchError> {
    let request = FindCoordinatorRequest {
        key: group.to_owned(),
        key_type: 0,
        coordinator_keys: vec![group.to_owned()],
    };
    loop {
        let answer = connection.call(&request).await?;
        let single = Coordinator {
            host: answer.host,
            port: answer.port,
            error_code: answer.error_code,
            ..Default::default()
        };
        let found = answer.coordinators.into_iter().next().unwrap_or(single);
        if !joins_again("the coordinator", group, found.error_code)? {
            return Ok(address(&found.host, found.port));
        }
        tokio::time::sleep(RETRY_BACKOFF).await;
    }
}

/// Members that are connected to their coordinators.
async fn members(options: &Options) -> Result<Vec<Member>, BenchError> {
    let target = &options.target;
    let mut connection = bootstrap(target).await?;
    let peer = connection.peer().clone();
    // Members that an earlier run left behind are in other groups.
    let tag = Random::from_os().uuid().simple().to_string();
    let mut members = Vec::new();
    for number in 0..options.count {
        let group = format!("ottla-bench-{}-{number}", &tag[..8]);
        let coordinator = peer.in_time(coordinator(&mut connection, &group)).await?;
        for member in 0..options.members {
            let id = match options.protocol {
                Protocol::Classic => String::new(),
                Protocol::Consumer => format!("member-{member}"),
            };
            members.push(Member {
                connection: Connection::open(&coordinator, target.request_timeout()).await?,
                protocol: options.protocol,
                topic: target.topic.clone(),
                members: options.members.into(),
                group: group.clone(),
                id,
                epoch: 0,
                owned: Vec::new(),
            });
        }
    }
    Ok(members)
}

async fn check_topic(options: &Options) -> Result<(), BenchError> {
    let partitions = i32::from(options.members);
    let topic = Topic::find(&Target { partitions, ..options.target.clone() }, true).await?;
    if topic.partition_count() == usize::from(options.members) {
        return Ok(());
    }
    Err(BenchError::Argument(format!(
        "topic {} has {} partitions and a group {} members: name another --topic, which is created to fit",
        topic.name,
        topic.partition_count(),
        options.members,
    )))
}

/// Runs the command.
pub(super) async fn measure(options: &Options) -> Result<Report, BenchError> {
    let seconds = duration(options.seconds)?;
    check_topic(options).await?;
    let members = members(options).await?;
    let count = members.len();
    let all_stable = Arc::new(Barrier::new(count + 1));
    let (meter, mut work, mut senders) = (Meter::new(), JoinSet::new(), Vec::with_capacity(count));
    let started = Instant::now();
    for member in members {
        let (sender, dues) = tokio::sync::oneshot::channel();
        senders.push(sender);
        let (start, meter) = (Start { all_stable: Arc::clone(&all_stable), dues }, meter.clone());
        work.spawn(async move { meter.ended(member.run(start, &meter).await) });
    }
    all_stable.wait().await;
    let stable_s = started.elapsed().as_secs_f64();
    meter.restart();
    let telling = meter.tell("groups");
    let rate_per_s = count as f64 * 1000.0 / f64::from(options.heartbeat_interval_ms);
    let plan = Plan { rate_per_s, requests_max: None, duration: Some(seconds) };
    for (sender, dues) in senders.into_iter().zip(plan.start(count)?) {
        // A member that panicked is counted when it is waited for.
        let _ = sender.send(dues);
    }
    meter.all_done(work).await;
    drop(telling);
    let settings = json!({
        "bootstrap_server": options.target.bootstrap_server, "topic": options.target.topic,
        "count": options.count, "members": options.members,
        "protocol": format!("{:?}", options.protocol).to_lowercase(), "seconds": options.seconds,
        "heartbeat_interval_ms": options.heartbeat_interval_ms, "threads": options.target.threads,
    });
    let report = Report::new("groups", &settings).figure("stable_s", rounded(stable_s));
    Ok(report.meter("", &meter))
}
