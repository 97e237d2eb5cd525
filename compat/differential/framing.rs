//! Every API at every version: the request without anything in it, cut short, and followed by more; versions that there
//! are not; and who may ask which.

use std::ops::RangeInclusive;

use ottla::wire::messages::{
    add_offsets_to_txn::AddOffsetsToTxnRequest, add_partitions_to_txn::AddPartitionsToTxnRequest,
    alter_configs::AlterConfigsRequest, api_versions::ApiVersionsRequest,
    consumer_group_describe::ConsumerGroupDescribeRequest,
    consumer_group_heartbeat::ConsumerGroupHeartbeatRequest,
    create_partitions::CreatePartitionsRequest, create_topics::CreateTopicsRequest,
    delete_groups::DeleteGroupsRequest, delete_records::DeleteRecordsRequest,
    delete_topics::DeleteTopicsRequest, describe_cluster::DescribeClusterRequest,
    describe_configs::DescribeConfigsRequest, describe_groups::DescribeGroupsRequest,
    describe_log_dirs::DescribeLogDirsRequest, describe_producers::DescribeProducersRequest,
    describe_topic_partitions::DescribeTopicPartitionsRequest,
    describe_transactions::DescribeTransactionsRequest, end_txn::EndTxnRequest,
    fetch::FetchRequest, find_coordinator::FindCoordinatorRequest, heartbeat::HeartbeatRequest,
    incremental_alter_configs::IncrementalAlterConfigsRequest,
    init_producer_id::InitProducerIdRequest, join_group::JoinGroupRequest,
    leave_group::LeaveGroupRequest, list_config_resources::ListConfigResourcesRequest,
    list_groups::ListGroupsRequest, list_offsets::ListOffsetsRequest,
    list_transactions::ListTransactionsRequest, metadata::MetadataRequest,
    offset_commit::OffsetCommitRequest, offset_delete::OffsetDeleteRequest,
    offset_fetch::OffsetFetchRequest, offset_for_leader_epoch::OffsetForLeaderEpochRequest,
    produce::ProduceRequest, sync_group::SyncGroupRequest,
    txn_offset_commit::TxnOffsetCommitRequest, write_txn_markers::WriteTxnMarkersRequest,
};

use crate::groups;
use crate::raw_client::{Body, frame};
use crate::requests::{Request, framed_as};
use crate::script::{Script, api};
use crate::transactions;
use ottla::wire::Keyed;

impl Script {
    /// Produce asks for no answer when nothing is in it, and the reference has none for no transactions.
    fn patient<R: Request>(&mut self) -> &mut Self {
        let silent = [ProduceRequest::KEY, AddPartitionsToTxnRequest::KEY];
        if silent.contains(&R::KEY) { self.briefly() } else { self }
    }
}

/// What is done with each API.
trait Each {
    fn visit<R: Request>(&mut self);
}

macro_rules! every_api {
    ($($request:ty),* $(,)?) => {
        fn visit_every(visitor: &mut impl Each) {
            $(visitor.visit::<$request>();)*
        }
    };
}

every_api![
    ProduceRequest,
    FetchRequest,
    ListOffsetsRequest,
    MetadataRequest,
    OffsetCommitRequest,
    OffsetFetchRequest,
    FindCoordinatorRequest,
    JoinGroupRequest,
    HeartbeatRequest,
    LeaveGroupRequest,
    SyncGroupRequest,
    DescribeGroupsRequest,
    ListGroupsRequest,
    ApiVersionsRequest,
    CreateTopicsRequest,
    DeleteTopicsRequest,
    DeleteRecordsRequest,
    InitProducerIdRequest,
    OffsetForLeaderEpochRequest,
    AddPartitionsToTxnRequest,
    AddOffsetsToTxnRequest,
    EndTxnRequest,
    WriteTxnMarkersRequest,
    TxnOffsetCommitRequest,
    DescribeConfigsRequest,
    AlterConfigsRequest,
    DescribeLogDirsRequest,
    CreatePartitionsRequest,
    DeleteGroupsRequest,
    IncrementalAlterConfigsRequest,
    OffsetDeleteRequest,
    DescribeClusterRequest,
    DescribeProducersRequest,
    DescribeTransactionsRequest,
    ListTransactionsRequest,
    ConsumerGroupHeartbeatRequest,
    ConsumerGroupDescribeRequest,
    ListConfigResourcesRequest,
    DescribeTopicPartitionsRequest,
];

impl Each for Script {
    fn visit<R: Request>(&mut self) {
        for version in R::VERSIONS {
            self.patient::<R>().ask("a request with nothing in it", version, |_| R::default());
            let whole = framed_as(&R::default(), version, 1, "differential");
            let resized = |body: &[u8]| Body::default().i32(body.len() as i32).raw(body).0;
            self.ask_bytes::<R>("cut short", version, &resized(&whole[4..whole.len() - 1]));
            let and_more = resized(&[&whole[4..], &[1, 2, 3]].concat());
            self.patient::<R>().ask_bytes::<R>("followed by more", version, &and_more);
            if version >= R::FLEXIBLE {
                // The number of tags is the last byte: one tag that nobody knows.
                let body = [&whole[4..whole.len() - 1], &[1, 99, 2, 0, 0]].concat();
                self.patient::<R>().ask_bytes::<R>("an unknown tag", version, &resized(&body));
            }
        }
        let (first, last) = (*R::VERSIONS.start(), *R::VERSIONS.end());
        for version in (-1..first).chain([last + 1, last + 2, i16::MAX]) {
            let body = Body::default().raw(&[0; 64]);
            let request = frame(R::KEY, version, version >= R::FLEXIBLE, &body);
            self.ask_bytes::<R>("a version that there is not", version, &request);
        }
    }
}

/// The names of the APIs by their keys.
#[derive(Default)]
struct Keys(Vec<(i16, &'static str)>);

impl Each for Keys {
    fn visit<R: Request>(&mut self) {
        self.0.push((R::KEY, api::<R>()));
    }
}

pub(crate) fn run(script: &mut Script) {
    groups::coordinator(script);
    transactions::coordinator(script);
    api_versions(script);
    visit_every(script);
}

fn api_versions(script: &mut Script) {
    let spellings =
        ["a", "0", "a.b-c--d", "", "two words", "name!", "-name", "name-", ".name", "n\u{e4}me"];
    let named = |name: &str, version: &str| ApiVersionsRequest {
        client_software_name: name.into(),
        client_software_version: version.into(),
    };
    for name in spellings {
        script.each(&format!("client '{name}'"), |_, _| named(name, "1.0"));
        script.each(&format!("client version '{name}'"), |_, _| named("name", name));
    }
}

/// Whether every advertised version of every API was compared.
pub(crate) fn expect_all(script: &mut Script) {
    let mut keys = Keys::default();
    visit_every(&mut keys);
    let request = ApiVersionsRequest {
        client_software_name: "differential".into(),
        client_software_version: "1".into(),
    };
    let [ours, _] = script.ask("what has to be compared", 4, |_| request.clone());
    for row in ours.iter().flat_map(|answer| &answer.api_keys) {
        let Some((_, name)) = keys.0.iter().find(|(key, _)| *key == row.api_key) else {
            script.report.fail(&row.api_key.to_string(), "is advertised and has no steps");
            continue;
        };
        let versions: RangeInclusive<i16> = row.min_version..=row.max_version;
        for version in versions {
            if !script.report.has(name, version) {
                script.report.fail(name, &format!("v{version} is advertised and was not compared"));
            }
        }
    }
}
