//! Who may commit and read offsets of a consumer group: its members, by their epoch
//! (Kafka: `ConsumerGroup.validateOffsetCommit`, `validateOffsetFetch`).

use uuid::Uuid;

use super::member::Member;
use super::{ConsumerGroup, Refusal};
use crate::wire::ErrorCode;
use crate::wire::messages::offset_commit::OffsetCommitRequest;
use crate::wire::messages::offset_fetch::OffsetFetchRequestGroup;

/// First version that says a member's epoch, which one of the consumer protocol must.
const MEMBER_EPOCH_VERSION: i16 = 9;

impl ConsumerGroup {
    /// Checks that a commit comes from a member at its epoch. One at an older epoch may commit for
    /// partitions that it has had since (KIP-1251). Without a version it is that of a transaction,
    /// which need not say who commits.
    pub(in crate::coordinator::group) fn check_commit(
        &self,
        request: &OffsetCommitRequest,
        version: Option<i16>,
    ) -> Result<(), Refusal> {
        let epoch = request.generation_id_or_member_epoch;
        let is_anonymous =
            epoch == -1 && request.member_id.is_empty() && request.group_instance_id.is_none();
        if epoch < 0 && self.members.is_empty() || version.is_none() && is_anonymous {
            return Ok(());
        }
        let member = self.member(&request.member_id, &request.group_id)?;
        if !member.uses_classic() && version.is_some_and(|version| version < MEMBER_EPOCH_VERSION) {
            let message = "OffsetCommit version 9 or above must be used by members using the \
                           consumer group protocol";
            return Err(Refusal::new(ErrorCode::UnsupportedVersion, message));
        }
        if epoch == member.epoch {
            return Ok(());
        }
        if epoch > member.epoch {
            return Err(stale(member, "it is newer than the member's"));
        }
        for topic in &request.topics {
            let numbers = topic.partitions.iter().map(|partition| partition.partition_index);
            for partition in numbers {
                check_partition(member, epoch, topic.topic_id, partition)?;
            }
        }
        Ok(())
    }

    /// Checks that a question comes from a member at its epoch, or from none.
    pub(in crate::coordinator::group) fn check_fetch(
        &self,
        request: &OffsetFetchRequestGroup,
    ) -> Result<(), ErrorCode> {
        if request.member_id.is_none() && request.member_epoch < 0 {
            return Ok(());
        }
        let Some(id) = &request.member_id else {
            // Kafka looks for the member without a name, which fails where there are any.
            return Err(match self.members.is_empty() {
                true => ErrorCode::UnknownMemberId,
                false => ErrorCode::UnknownServerError,
            });
        };
        let member = self.members.get(id).ok_or(ErrorCode::UnknownMemberId)?;
        match request.member_epoch == member.epoch {
            true => Ok(()),
            false => Err(stale(member, "it is not the member's").error),
        }
    }
}

fn check_partition(
    member: &Member,
    epoch: i32,
    topic_id: Uuid,
    partition: i32,
) -> Result<(), Refusal> {
    match member.assignment_epoch(topic_id, partition) {
        None => Err(stale(member, "the member does not have the partition")),
        Some(since) if epoch < since => Err(stale(member, "the partition came with a newer one")),
        Some(_) => Ok(()),
    }
}

fn stale(member: &Member, why: &str) -> Refusal {
    let error = match member.uses_classic() {
        true => ErrorCode::IllegalGeneration,
        false => ErrorCode::StaleMemberEpoch,
    };
    Refusal::new(error, format!("The epoch is stale: {why}."))
}
