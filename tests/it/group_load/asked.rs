//! What a broker says of a group, asked on a connection of its own.

use std::collections::BTreeMap;
use std::io;
use std::time::Duration;

use ottla::wire::messages::consumer_group_describe::ConsumerGroupDescribeRequest;
use ottla::wire::messages::describe_groups::DescribeGroupsRequest;
use ottla::wire::messages::heartbeat::HeartbeatRequest;
use ottla::wire::messages::offset_fetch::OffsetFetchRequest;

use crate::raw_client::Connection;
use crate::requests::{Outcome, Request, framed_as, unframed};
use crate::wait::until;

const TIMEOUT: Duration = Duration::from_mins(1);
const NONE: i16 = 0;
/// The coordinator is not there yet.
const LOADING: [i16; 3] = [14, 15, 16];
const ILLEGAL_GENERATION: i16 = 22;
const REBALANCE_IN_PROGRESS: i16 = 27;
const GROUP_ID_NOT_FOUND: i16 = 69;
/// Much more than a group has generations between two questions.
const GENERATIONS_MAX: i32 = 100;

/// Committed offsets by partition.
pub(super) type Offsets = BTreeMap<i32, i64>;

/// How a group is kept together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Classic,
    /// With the epochs of the group and of its assignment.
    Consumer(i32, i32),
}

/// A member as it is described.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Member {
    /// 0 where it is not told: in a classic group.
    pub(super) epoch: i32,
    pub(super) uses_classic: bool,
}

/// A group as it is described.
#[derive(Clone, Debug)]
pub(super) struct Seen {
    pub(super) kind: Kind,
    pub(super) state: String,
    pub(super) members: BTreeMap<String, Member>,
}

impl Seen {
    pub(super) fn is_classic(&self) -> bool {
        self.kind == Kind::Classic
    }

    /// Both kinds of members are in it.
    pub(super) fn is_mixed(&self) -> bool {
        let mut members = self.members.values();
        members.clone().any(|member| member.uses_classic)
            && members.any(|member| !member.uses_classic)
    }
}

/// Asks a broker, which may not serve yet, or no longer.
#[derive(Debug)]
pub(super) struct Asking {
    port: u16,
    connection: Option<Connection>,
}

impl Asking {
    pub(super) fn new(port: u16) -> Self {
        Self { port, connection: None }
    }

    /// None where there is no answer; the next question is asked on a new connection then.
    fn call<R: Request>(&mut self, request: &R, version: i16) -> Option<R::Response> {
        let answer = self.try_call(request, version);
        if answer.is_err() {
            self.connection = None;
        }
        answer.ok()
    }

    fn try_call<R: Request>(&mut self, request: &R, version: i16) -> io::Result<R::Response> {
        let connection = match &mut self.connection {
            Some(connection) => connection,
            none => none.insert(Connection::open(self.port, TIMEOUT)?),
        };
        connection.send(&framed_as(request, version, 1, "kills"))?;
        match Outcome::next(connection.stream(), TIMEOUT, TIMEOUT)? {
            Outcome::Answer(frame) => {
                Ok(unframed::<R>(&frame, version).map_err(io::Error::other)?.1)
            }
            Outcome::Closed | Outcome::Silent => Err(io::ErrorKind::ConnectionAborted.into()),
        }
    }

    /// None while the group's coordinator is not there, or there is no such group.
    pub(super) fn describe(&mut self, group: &str) -> Option<Seen> {
        let request =
            ConsumerGroupDescribeRequest { group_ids: vec![group.into()], ..Default::default() };
        let described = self.call(&request, 1)?.groups.remove(0);
        if described.error_code == GROUP_ID_NOT_FOUND {
            return self.describe_classic(group);
        }
        let members = described.members.into_iter().map(|member| {
            let told = Member { epoch: member.member_epoch, uses_classic: member.member_type == 0 };
            (member.member_id, told)
        });
        (described.error_code == NONE).then(|| Seen {
            kind: Kind::Consumer(described.group_epoch, described.assignment_epoch),
            state: described.group_state,
            members: members.collect(),
        })
    }

    fn describe_classic(&mut self, group: &str) -> Option<Seen> {
        let request = DescribeGroupsRequest { groups: vec![group.into()], ..Default::default() };
        let described = self.call(&request, 6)?.groups.remove(0);
        let members = described.members.into_iter();
        let members =
            members.map(|member| (member.member_id, Member { epoch: 0, uses_classic: true }));
        (described.error_code == NONE).then(|| Seen {
            kind: Kind::Classic,
            state: described.group_state,
            members: members.collect(),
        })
    }

    /// None while the group's coordinator is not there.
    pub(super) fn committed(&mut self, group: &str) -> Option<Offsets> {
        let request =
            OffsetFetchRequest { group_id: group.into(), topics: None, ..Default::default() };
        let answer = self.call(&request, 5)?;
        let partitions = answer.topics.into_iter().flat_map(|topic| topic.partitions);
        let offsets = partitions.map(|found| (found.partition_index, found.committed_offset));
        (answer.error_code == NONE).then(|| offsets.collect())
    }

    /// The generation of a classic group, which no description tells: that in which a heartbeat of the member's is
    /// welcome. From `from` upwards; panics when it is lower.
    pub(super) fn generation(&mut self, group: &str, member_id: &str, from: i32) -> i32 {
        let generations = from..from + GENERATIONS_MAX;
        let found = generations.clone().find(|&generation_id| {
            let request = HeartbeatRequest {
                group_id: group.into(),
                generation_id,
                member_id: member_id.into(),
                group_instance_id: None,
            };
            let error = until("an answer to a heartbeat", TIMEOUT, || {
                let error = self.call(&request, 4)?.error_code;
                (!LOADING.contains(&error)).then_some(error)
            });
            assert!(
                [NONE, REBALANCE_IN_PROGRESS, ILLEGAL_GENERATION].contains(&error),
                "{group}: {member_id} in generation {generation_id} is refused with {error}"
            );
            error != ILLEGAL_GENERATION
        });
        found.unwrap_or_else(|| panic!("{group}: the generation is none of {generations:?}"))
    }
}
