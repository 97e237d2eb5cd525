//! Every message at every version against the bytes that Kafka's own classes write: once with
//! every field set to something else than its default, once with nulls and defaults among them.

use std::collections::BTreeSet;
use std::fs;
use std::ops::RangeInclusive;
use std::path::Path;

use bytes::Bytes;

use super::messages::{
    add_offsets_to_txn::*, add_partitions_to_txn::*, alter_configs::*, api_versions::*,
    consumer_group_describe::*, consumer_group_heartbeat::*, create_partitions::*,
    create_topics::*, delete_groups::*, delete_records::*, delete_topics::*, describe_cluster::*,
    describe_configs::*, describe_groups::*, describe_log_dirs::*, describe_producers::*,
    describe_topic_partitions::*, describe_transactions::*, end_txn::*, fetch, find_coordinator::*,
    heartbeat::*, incremental_alter_configs::*, init_producer_id::*, join_group::*, leave_group::*,
    list_config_resources::*, list_groups::*, list_offsets::*, list_transactions::*, metadata::*,
    offset_commit::*, offset_delete::*, offset_fetch::*, offset_for_leader_epoch::*, produce,
    sync_group::*, txn_offset_commit::*, write_txn_markers::*,
};
use super::records::*;
use super::{Decoder, Encoder, Keyed, Message, RequestHeader};
use fetch::{FetchRequest, FetchResponse};
use produce::{ProduceRequest, ProduceResponse};

/// Name, version and bytes of each golden message.
#[expect(clippy::disallowed_methods, reason = "a test may read the project's files")]
fn golden() -> Vec<(String, i16, Bytes)> {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/wire");
    let mut messages = Vec::new();
    for entry in fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        let text = fs::read_to_string(&path).unwrap();
        assert!(!text.is_empty(), "{} is empty", path.display());
        for line in text.lines() {
            let (name, version, bytes) = message_of(line);
            assert!(path.ends_with(file_name(&name)), "{name} in {}", path.display());
            messages.push((name, version, bytes));
        }
    }
    messages
}

fn message_of(line: &str) -> (String, i16, Bytes) {
    let words: Vec<&str> = line.split(' ').collect();
    let digits = words[2].as_bytes().chunks(2).map(|pair| str::from_utf8(pair).unwrap());
    let bytes = digits.map(|pair| u8::from_str_radix(pair, 16).unwrap()).collect();
    (words[0].into(), words[1].parse().unwrap(), bytes)
}

/// A request and its response stand in the file of their API.
fn file_name(message: &str) -> String {
    let api = message.strip_suffix("Request").or_else(|| message.strip_suffix("Response"));
    format!("{}.txt", api.unwrap_or(message))
}

/// Reads and writes, where every byte has to be read and every cut has to be an error.
fn through<M: Message + PartialEq + std::fmt::Debug>(bytes: &Bytes, version: i16) -> Bytes {
    let mut decoder = Decoder::new(bytes.clone());
    let message = M::decode(&mut decoder, version).unwrap();
    assert_eq!(decoder.remaining(), 0, "{message:?}");
    for length in 0..bytes.len() {
        assert!(M::from_bytes(bytes.slice(..length), version).is_err(), "cut after {length}");
    }
    let written = message.to_bytes(version).unwrap();
    assert_eq!(M::from_bytes(written.clone(), version).as_ref(), Ok(&message));
    written
}

fn record_through(bytes: &Bytes) -> Bytes {
    let record = VersionedRecord::decode(bytes.clone()).unwrap();
    for length in 0..bytes.len() {
        assert!(VersionedRecord::decode(bytes.slice(..length)).is_err(), "cut after {length}");
    }
    let longer = Bytes::from([bytes, &b"\0"[..]].concat());
    let name = record.record.name();
    assert_eq!(VersionedRecord::decode(longer), Err(RecordError::TrailingBytes(name, 1)));
    record.encode()
}

fn header_through(bytes: &Bytes, flexible: bool) -> Bytes {
    let header = RequestHeader::read(&mut Decoder::new(bytes.clone()), flexible).unwrap();
    let mut encoder = Encoder::new();
    header.write(&mut encoder, flexible);
    encoder.finish().into_bytes().unwrap()
}

macro_rules! golden_messages {
    (messages: $($message:ident)*; records: $($record:ident)*;) => {
        #[test]
        fn every_message_is_written_as_kafka_writes_it() {
            for (name, version, bytes) in golden() {
                let written = match name.as_str() {
                    $(stringify!($message) => through::<$message>(&bytes, version),)*
                    $(stringify!($record) => {
                        assert_eq!(i16::from(bytes[1]), $record::KEY);
                        record_through(&bytes)
                    })*
                    "RequestHeader" => header_through(&bytes, version >= 2),
                    _ => panic!("{name} is not tested"),
                };
                assert_eq!(written, bytes, "{name} version {version}");
            }
        }

        #[test]
        fn every_version_of_every_message_is_tested() {
            let golden = golden().into_iter();
            let tested: BTreeSet<_> = golden.map(|(name, version, _)| (name, version)).collect();
            let assert_tested = |name: &str, versions: RangeInclusive<i16>| {
                for version in versions {
                    assert!(tested.contains(&(name.into(), version)), "{name} version {version}");
                }
            };
            $(assert_tested(stringify!($message), $message::VERSIONS);)*
            $(assert_tested(stringify!($record), $record::VERSIONS);)*
        }

        #[test]
        fn a_version_beyond_the_last_is_refused() {
            $(assert!($message::from_bytes(Bytes::new(), $message::VERSIONS.end() + 1).is_err());)*
            $(assert!($record::from_bytes(Bytes::new(), $record::VERSIONS.end() + 1).is_err());)*
        }
    };
}

golden_messages! {
    messages:
        ProduceRequest ProduceResponse FetchRequest FetchResponse ListOffsetsRequest
        ListOffsetsResponse MetadataRequest MetadataResponse ApiVersionsRequest ApiVersionsResponse
        CreateTopicsRequest CreateTopicsResponse DeleteTopicsRequest DeleteTopicsResponse
        InitProducerIdRequest InitProducerIdResponse OffsetForLeaderEpochRequest
        OffsetForLeaderEpochResponse DescribeConfigsRequest DescribeConfigsResponse
        DescribeClusterRequest DescribeClusterResponse FindCoordinatorRequest
        FindCoordinatorResponse JoinGroupRequest JoinGroupResponse HeartbeatRequest
        HeartbeatResponse LeaveGroupRequest LeaveGroupResponse SyncGroupRequest SyncGroupResponse
        DescribeGroupsRequest DescribeGroupsResponse ListGroupsRequest ListGroupsResponse
        OffsetCommitRequest OffsetCommitResponse OffsetFetchRequest OffsetFetchResponse
        DeleteGroupsRequest DeleteGroupsResponse OffsetDeleteRequest OffsetDeleteResponse
        DeleteRecordsRequest DeleteRecordsResponse AlterConfigsRequest AlterConfigsResponse
        DescribeLogDirsRequest DescribeLogDirsResponse CreatePartitionsRequest
        CreatePartitionsResponse IncrementalAlterConfigsRequest IncrementalAlterConfigsResponse
        DescribeProducersRequest DescribeProducersResponse ListConfigResourcesRequest
        ListConfigResourcesResponse DescribeTopicPartitionsRequest DescribeTopicPartitionsResponse
        ConsumerGroupHeartbeatRequest ConsumerGroupHeartbeatResponse ConsumerGroupDescribeRequest
        ConsumerGroupDescribeResponse AddPartitionsToTxnRequest AddPartitionsToTxnResponse
        AddOffsetsToTxnRequest AddOffsetsToTxnResponse EndTxnRequest EndTxnResponse
        WriteTxnMarkersRequest WriteTxnMarkersResponse TxnOffsetCommitRequest
        TxnOffsetCommitResponse DescribeTransactionsRequest DescribeTransactionsResponse
        ListTransactionsRequest ListTransactionsResponse
        OffsetCommitKey OffsetCommitValue GroupMetadataKey GroupMetadataValue
        ConsumerGroupMetadataKey ConsumerGroupMetadataValue ConsumerGroupPartitionMetadataKey
        ConsumerGroupPartitionMetadataValue ConsumerGroupMemberMetadataKey
        ConsumerGroupMemberMetadataValue ConsumerGroupTargetAssignmentMetadataKey
        ConsumerGroupTargetAssignmentMetadataValue ConsumerGroupTargetAssignmentMemberKey
        ConsumerGroupTargetAssignmentMemberValue ConsumerGroupCurrentMemberAssignmentKey
        ConsumerGroupCurrentMemberAssignmentValue ConsumerGroupRegularExpressionKey
        ConsumerGroupRegularExpressionValue TransactionLogKey TransactionLogValue LeaderChangeMessage
        SnapshotHeaderRecord SnapshotFooterRecord KRaftVersionRecord VotersRecord;
    records:
        RegisterBrokerRecord UnregisterBrokerRecord TopicRecord PartitionRecord ConfigRecord
        PartitionChangeRecord FenceBrokerRecord UnfenceBrokerRecord RemoveTopicRecord
        DelegationTokenRecord UserScramCredentialRecord FeatureLevelRecord ClientQuotaRecord
        ProducerIdsRecord BrokerRegistrationChangeRecord AccessControlEntryRecord
        RemoveAccessControlEntryRecord NoOpRecord RemoveUserScramCredentialRecord
        ZkMigrationStateRecord BeginTransactionRecord EndTransactionRecord AbortTransactionRecord
        RemoveDelegationTokenRecord RegisterControllerRecord ClearElrRecord;
}
