//! What Kafka's clients say of an error: the exception's class and its words.

use std::fmt;

use super::{ClientError, error_name};

const PACKAGE: &str = "org.apache.kafka.common.errors.";
/// Of every error that these tools can meet its name, its class and its words (class `Errors`). A star marks those that may
/// pass (`RetriableException`).
const EXCEPTIONS: &str = "
UNKNOWN_SERVER_ERROR UnknownServerException The server experienced an unexpected error when processing the request.
OFFSET_OUT_OF_RANGE OffsetOutOfRangeException The requested offset is not within the range of offsets maintained by the server.
CORRUPT_MESSAGE CorruptRecordException* This message has failed its CRC checksum, exceeds the valid size, has a null key for a compacted topic, or is otherwise corrupt.
UNKNOWN_TOPIC_OR_PARTITION UnknownTopicOrPartitionException* This server does not host this topic-partition.
LEADER_NOT_AVAILABLE LeaderNotAvailableException* There is no leader for this topic-partition as we are in the middle of a leadership election.
NOT_LEADER_OR_FOLLOWER NotLeaderOrFollowerException* For requests intended only for the leader, this error indicates that the broker is not the current leader. For requests intended for any replica, this error indicates that the broker is not a replica of the topic partition.
REQUEST_TIMED_OUT TimeoutException* The request timed out.
REPLICA_NOT_AVAILABLE ReplicaNotAvailableException* The replica is not available for the requested topic-partition. Produce/Fetch requests and other requests intended only for the leader or follower return NOT_LEADER_OR_FOLLOWER if the broker is not a replica of the topic-partition.
MESSAGE_TOO_LARGE RecordTooLargeException The request included a message larger than the max message size the server will accept.
OFFSET_METADATA_TOO_LARGE OffsetMetadataTooLarge The metadata field of the offset request was too large.
NETWORK_EXCEPTION NetworkException* The server disconnected before a response was received.
COORDINATOR_LOAD_IN_PROGRESS CoordinatorLoadInProgressException* The coordinator is loading and hence can't process requests.
COORDINATOR_NOT_AVAILABLE CoordinatorNotAvailableException* The coordinator is not available.
NOT_COORDINATOR NotCoordinatorException* This is not the correct coordinator.
INVALID_TOPIC_EXCEPTION InvalidTopicException The request attempted to perform an operation on an invalid topic.
RECORD_LIST_TOO_LARGE RecordBatchTooLargeException The request included message batch larger than the configured segment size on the server.
NOT_ENOUGH_REPLICAS NotEnoughReplicasException* Messages are rejected since there are fewer in-sync replicas than required.
NOT_ENOUGH_REPLICAS_AFTER_APPEND NotEnoughReplicasAfterAppendException* Messages are written to the log, but to fewer in-sync replicas than required.
INVALID_REQUIRED_ACKS InvalidRequiredAcksException Produce request specified an invalid value for required acks.
ILLEGAL_GENERATION IllegalGenerationException Specified group generation id is not valid.
INCONSISTENT_GROUP_PROTOCOL InconsistentGroupProtocolException The group member's supported protocols are incompatible with those of existing members or first group member tried to join with empty protocol type or empty protocol list.
INVALID_GROUP_ID InvalidGroupIdException The group id is invalid.
UNKNOWN_MEMBER_ID UnknownMemberIdException The coordinator is not aware of this member.
INVALID_SESSION_TIMEOUT InvalidSessionTimeoutException The session timeout is not within the range allowed by the broker (as configured by group.min.session.timeout.ms and group.max.session.timeout.ms).
REBALANCE_IN_PROGRESS RebalanceInProgressException The group is rebalancing, so a rejoin is needed.
TOPIC_AUTHORIZATION_FAILED TopicAuthorizationException Topic authorization failed.
GROUP_AUTHORIZATION_FAILED GroupAuthorizationException Group authorization failed.
CLUSTER_AUTHORIZATION_FAILED ClusterAuthorizationException Cluster authorization failed.
INVALID_TIMESTAMP InvalidTimestampException The timestamp of the message is out of acceptable range.
UNSUPPORTED_VERSION UnsupportedVersionException The version of API is not supported.
TOPIC_ALREADY_EXISTS TopicExistsException Topic with this name already exists.
INVALID_PARTITIONS InvalidPartitionsException Number of partitions is below 1.
INVALID_REPLICATION_FACTOR InvalidReplicationFactorException Replication factor is below 1 or larger than the number of available brokers.
INVALID_REPLICA_ASSIGNMENT InvalidReplicaAssignmentException Replica assignment is invalid.
INVALID_CONFIG InvalidConfigurationException Configuration is invalid.
NOT_CONTROLLER NotControllerException* This is not the correct controller for this cluster.
REASSIGNMENT_IN_PROGRESS ReassignmentInProgressException A partition reassignment is in progress.
TOPIC_DELETION_DISABLED TopicDeletionDisabledException Topic deletion is disabled.
RESOURCE_NOT_FOUND ResourceNotFoundException A request illegally referred to a resource that does not exist.
INVALID_REQUEST InvalidRequestException This most likely occurs because of a request being malformed by the client library or the message was sent to an incompatible broker. See the broker logs for more details.
POLICY_VIOLATION PolicyViolationException Request parameters do not satisfy the configured policy.
OUT_OF_ORDER_SEQUENCE_NUMBER OutOfOrderSequenceException The broker received an out of order sequence number.
DUPLICATE_SEQUENCE_NUMBER DuplicateSequenceException The broker received a duplicate sequence number.
INVALID_PRODUCER_EPOCH InvalidProducerEpochException Producer attempted to produce with an old epoch.
KAFKA_STORAGE_ERROR KafkaStorageException* Disk error when trying to access log file on the disk.
UNKNOWN_PRODUCER_ID UnknownProducerIdException This exception is raised by the broker if it could not locate the producer metadata associated with the producerId in question. This could happen if, for instance, the producer's records were deleted because their retention time had elapsed. Once the last records of the producerId are removed, the producer's metadata is removed from the broker, and future appends by the producer will return this exception.
NON_EMPTY_GROUP GroupNotEmptyException The group is not empty.
GROUP_ID_NOT_FOUND GroupIdNotFoundException The group id does not exist.
FENCED_LEADER_EPOCH FencedLeaderEpochException* The leader epoch in the request is older than the epoch on the broker.
UNKNOWN_LEADER_EPOCH UnknownLeaderEpochException* The leader epoch in the request is newer than the epoch on the broker.
UNSUPPORTED_COMPRESSION_TYPE UnsupportedCompressionTypeException The requesting client does not support the compression type of given partition.
OFFSET_NOT_AVAILABLE OffsetNotAvailableException* The leader high watermark has not caught up from a recent leader election so the offsets cannot be guaranteed to be monotonically increasing.
GROUP_MAX_SIZE_REACHED GroupMaxSizeReachedException The group has reached its maximum size.
FENCED_INSTANCE_ID FencedInstanceIdException The broker rejected this static consumer since another consumer with the same group.instance.id has registered with a different member.id.
GROUP_SUBSCRIBED_TO_TOPIC GroupSubscribedToTopicException Deleting offsets of a topic is forbidden while the consumer group is actively subscribed to it.
INVALID_RECORD InvalidRecordException This record has failed the validation on broker and hence will be rejected.
UNSTABLE_OFFSET_COMMIT UnstableOffsetCommitException* There are unstable offsets that need to be cleared.
THROTTLING_QUOTA_EXCEEDED ThrottlingQuotaExceededException* The throttling quota has been exceeded.
UNKNOWN_TOPIC_ID UnknownTopicIdException* This server does not host this topic ID.
INCONSISTENT_TOPIC_ID InconsistentTopicIdException* The log's topic ID did not match the topic ID in the request.
STALE_MEMBER_EPOCH StaleMemberEpochException The member epoch is stale. The member must retry after receiving its updated member epoch via the ConsumerGroupHeartbeat API.
";

/// An exception of Kafka's clients; its text is that of `Throwable.toString`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Exception {
    /// The class without its package.
    pub(crate) class: String,
    /// What it says.
    pub(crate) message: String,
}

impl Exception {
    /// One of Kafka's own that no broker sends.
    pub(crate) fn new(class: &str, message: impl Into<String>) -> Self {
        Self { class: class.to_owned(), message: message.into() }
    }

    /// That of an error code.
    pub(crate) fn of(code: i16) -> Self {
        Self::named(&error_name(code))
    }

    /// That of an error code, with the broker's words if it sent some.
    pub(crate) fn told(code: i16, message: Option<String>) -> Self {
        let exception = Self::of(code);
        Self { message: message.unwrap_or(exception.message), class: exception.class }
    }

    /// The class with its package.
    pub(crate) fn class_name(&self) -> String {
        format!("{PACKAGE}{}", self.class)
    }

    fn named(name: &str) -> Self {
        match row(name) {
            Some((class, message)) => Self::new(class.trim_end_matches('*'), message),
            None => Self::new("UnknownServerException", name),
        }
    }
}

impl From<&ClientError> for Exception {
    fn from(error: &ClientError) -> Self {
        match error {
            ClientError::Refused { error, .. } => Self::named(error),
            ClientError::Protocol { .. } => {
                Self::new("UnsupportedVersionException", error.to_string())
            }
            ClientError::Connect { .. } | ClientError::Lost { .. } => {
                Self::new("DisconnectException", error.to_string())
            }
            _ => Self::new("TimeoutException", error.to_string()),
        }
    }
}

impl From<ClientError> for Exception {
    fn from(error: ClientError) -> Self {
        Self::from(&error)
    }
}

impl fmt::Display for Exception {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.class_name(), self.message)
    }
}

/// Whether an error may pass, so that Kafka's clients ask again.
pub(crate) fn is_retriable(code: i16) -> bool {
    row(&error_name(code)).is_some_and(|(class, _)| class.ends_with('*'))
}

/// The class, with its star, and the words.
fn row(name: &str) -> Option<(&'static str, &'static str)> {
    let rest = |line: &'static str| line.strip_prefix(name)?.strip_prefix(' ')?.split_once(' ');
    EXCEPTIONS.lines().find_map(rest)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::ErrorCode;

    #[test]
    fn exceptions_are_kafkas() {
        let text = Exception::of(ErrorCode::NonEmptyGroup.code()).to_string();
        assert_eq!(
            text,
            "org.apache.kafka.common.errors.GroupNotEmptyException: The group is not empty."
        );
        let told = Exception::told(ErrorCode::GroupIdNotFound.code(), Some("Group g".into()));
        assert_eq!(
            (told.class.as_str(), told.message.as_str()),
            ("GroupIdNotFoundException", "Group g")
        );
        assert!(is_retriable(ErrorCode::NotEnoughReplicas.code()));
        assert!(!is_retriable(ErrorCode::NonEmptyGroup.code()) && !is_retriable(0));
        for line in EXCEPTIONS.lines().skip(1) {
            let name = line.split(' ').next();
            assert!(ErrorCode::ALL.iter().any(|code| Some(code.name()) == name), "{line}");
        }
    }
}
