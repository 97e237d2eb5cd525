//! `ottla bench groups`: how soon many consumer groups are stable, and how their heartbeats are answered then.
//!
//! Every member has a connection of its own to the group's coordinator, as a consumer has. A group has one member for
//! each partition of the topic; it is stable when every member has its partition and the broker knows.

mod member;

use std::sync::Arc;
use std::time::Duration;

use clap::{Args, ValueEnum};
use serde_json::json;
use tokio::sync::{Barrier, oneshot};
use tokio::task::JoinSet;
use tokio::time::Instant;

use super::Target;
use super::pace::{Dues, Plan};
use super::produce::duration;
use super::report::{Meter, Report, rounded};
use super::topic::{Topic, refused};
use crate::client::{ClientError, Connection, RETRY_BACKOFF, address, bootstrap, error_name};
use crate::env::Random;
use crate::wire::ErrorCode;
use crate::wire::messages::find_coordinator::{Coordinator, FindCoordinatorRequest};
use member::{Member, joins_again};

const TIMEOUT: Duration = Duration::from_mins(1);
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

/// All that a member does. Nobody goes on before all are stable, and nobody leaves before all have sent their heartbeats.
async fn take_part(mut member: Member, start: Start, meter: &Meter) -> Result<(), ClientError> {
    let settled = tokio::time::timeout(TIMEOUT, member.settle()).await;
    // Whoever failed must not keep the others waiting.
    start.all.wait().await;
    let outcome = match settled {
        Ok(Ok(())) => beat(&mut member, start.dues, meter).await,
        Ok(Err(error)) => Err(error),
        Err(_) => Err(refused(
            &format!("group {} is not stable after {TIMEOUT:?}", member.group),
            ErrorCode::RequestTimedOut.code(),
        )),
    };
    start.all.wait().await;
    outcome?;
    member.leave().await
}

async fn beat(
    member: &mut Member,
    dues: oneshot::Receiver<Dues>,
    meter: &Meter,
) -> Result<(), ClientError> {
    let mut dues = dues.await.map_err(std::io::Error::other)?;
    while let Some(due) = dues.next().await {
        match member.heartbeat().await? {
            0 => meter.done(due, 0, 0),
            code => meter.failed(&error_name(code)),
        }
    }
    Ok(())
}

/// What a member waits for.
struct Start {
    all: Arc<Barrier>,
    dues: oneshot::Receiver<Dues>,
}

/// The address of a group's coordinator.
async fn coordinator(connection: &mut Connection, group: &str) -> Result<String, ClientError> {
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
async fn members(options: &Options) -> Result<Vec<Member>, ClientError> {
    let target = &options.target;
    let mut connection = bootstrap(&target.bootstrap_server, target.request_timeout()).await?;
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

async fn check_topic(options: &Options) -> Result<(), ClientError> {
    let partitions = i32::from(options.members);
    let topic = Topic::find(&Target { partitions, ..options.target.clone() }, true).await?;
    if topic.partition_count() == usize::from(options.members) {
        return Ok(());
    }
    Err(ClientError::Argument(format!(
        "topic {} has {} partitions and a group {} members: name another --topic, which is created to fit",
        topic.name,
        topic.partition_count(),
        options.members,
    )))
}

/// Runs the command.
pub(super) async fn measure(options: &Options) -> Result<Report, ClientError> {
    let seconds = duration(options.seconds)?;
    check_topic(options).await?;
    let members = members(options).await?;
    let count = members.len();
    let all = Arc::new(Barrier::new(count + 1));
    let (meter, mut work, mut senders) = (Meter::new(), JoinSet::new(), Vec::with_capacity(count));
    let started = Instant::now();
    for member in members {
        let (sender, dues) = oneshot::channel();
        senders.push(sender);
        let (start, meter) = (Start { all: Arc::clone(&all), dues }, meter.clone());
        work.spawn(async move { meter.ended(take_part(member, start, &meter).await) });
    }
    all.wait().await;
    let stable_s = started.elapsed().as_secs_f64();
    meter.restart();
    let telling = meter.tell("groups");
    let rate_per_s = count as f64 * 1000.0 / f64::from(options.heartbeat_interval_ms);
    let plan = Plan { rate_per_s, requests_max: None, duration: Some(seconds) };
    for (sender, dues) in senders.into_iter().zip(plan.start(count)?) {
        // A member that panicked is counted when it is waited for.
        let _ = sender.send(dues);
    }
    all.wait().await;
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
