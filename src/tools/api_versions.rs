//! `kafka-broker-api-versions` (Kafka: `BrokerApiVersionsCommand`, `NodeApiVersions`).

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::Path;

use super::flags::{Flags, Row};
use super::java_order::{sort_as_hash_map, string_hash};
use super::reach::check_servers;
use super::{ClientProperties, Failure, print};
use crate::client::{Cluster, Exception};
use crate::wire::ErrorCode;
use crate::wire::messages::api_versions::{ApiVersion, ApiVersionsRequest};
use crate::wire::messages::metadata::MetadataResponseBroker;

/// Its options.
pub(crate) const OPTIONS: &[Row] = &[
    ("bootstrap-server", "host:port", "The brokers to begin with, several with commas between"),
    ("command-config", "file", "A file with properties of the client"),
];

/// An API as a client of Kafka 4.3.0 knows it: its name, its versions, and whether brokers have it. A range without
/// versions is that of an API which is gone.
type Known = (&'static str, i16, i16, bool);

/// Every API by its key (`ApiMessageType`).
#[rustfmt::skip]
const APIS: [Known; 93] = [
    ("Produce", 3, 13, true), ("Fetch", 4, 18, true), ("ListOffsets", 1, 11, true), ("Metadata", 0, 13, true),
    ("LeaderAndIsr", 0, -1, false), ("StopReplica", 0, -1, false), ("UpdateMetadata", 0, -1, false),
    ("ControlledShutdown", 0, -1, false), ("OffsetCommit", 2, 10, true), ("OffsetFetch", 1, 10, true),
    ("FindCoordinator", 0, 6, true), ("JoinGroup", 0, 9, true), ("Heartbeat", 0, 4, true), ("LeaveGroup", 0, 5, true),
    ("SyncGroup", 0, 5, true), ("DescribeGroups", 0, 6, true), ("ListGroups", 0, 5, true), ("SaslHandshake", 0, 1, true),
    ("ApiVersions", 0, 4, true), ("CreateTopics", 2, 7, true), ("DeleteTopics", 1, 6, true), ("DeleteRecords", 0, 2, true),
    ("InitProducerId", 0, 6, true), ("OffsetForLeaderEpoch", 2, 4, true), ("AddPartitionsToTxn", 0, 5, true),
    ("AddOffsetsToTxn", 0, 4, true), ("EndTxn", 0, 5, true), ("WriteTxnMarkers", 1, 2, true),
    ("TxnOffsetCommit", 0, 5, true), ("DescribeAcls", 1, 3, true), ("CreateAcls", 1, 3, true), ("DeleteAcls", 1, 3, true),
    ("DescribeConfigs", 1, 4, true), ("AlterConfigs", 0, 2, true), ("AlterReplicaLogDirs", 1, 2, true),
    ("DescribeLogDirs", 1, 5, true), ("SaslAuthenticate", 0, 2, true), ("CreatePartitions", 0, 3, true),
    ("CreateDelegationToken", 1, 3, true), ("RenewDelegationToken", 1, 2, true), ("ExpireDelegationToken", 1, 2, true),
    ("DescribeDelegationToken", 1, 3, true), ("DeleteGroups", 0, 2, true), ("ElectLeaders", 0, 2, true),
    ("IncrementalAlterConfigs", 0, 1, true), ("AlterPartitionReassignments", 0, 1, true),
    ("ListPartitionReassignments", 0, 0, true), ("OffsetDelete", 0, 0, true), ("DescribeClientQuotas", 0, 1, true),
    ("AlterClientQuotas", 0, 1, true), ("DescribeUserScramCredentials", 0, 0, true),
    ("AlterUserScramCredentials", 0, 0, true), ("Vote", 0, 2, false), ("BeginQuorumEpoch", 0, 1, false),
    ("EndQuorumEpoch", 0, 1, false), ("DescribeQuorum", 0, 2, true), ("AlterPartition", 2, 3, false),
    ("UpdateFeatures", 0, 2, true), ("Envelope", 0, 0, false), ("FetchSnapshot", 0, 1, false),
    ("DescribeCluster", 0, 2, true), ("DescribeProducers", 0, 0, true), ("BrokerRegistration", 0, 4, false),
    ("BrokerHeartbeat", 0, 2, false), ("UnregisterBroker", 0, 0, true), ("DescribeTransactions", 0, 0, true),
    ("ListTransactions", 0, 2, true), ("AllocateProducerIds", 0, 0, false), ("ConsumerGroupHeartbeat", 0, 1, true),
    ("ConsumerGroupDescribe", 0, 1, true), ("ControllerRegistration", 0, 0, false),
    ("GetTelemetrySubscriptions", 0, 0, true), ("PushTelemetry", 0, 0, true), ("AssignReplicasToDirs", 0, 0, false),
    ("ListConfigResources", 0, 1, true), ("DescribeTopicPartitions", 0, 0, true), ("ShareGroupHeartbeat", 1, 1, true),
    ("ShareGroupDescribe", 1, 1, true), ("ShareFetch", 1, 2, true), ("ShareAcknowledge", 1, 2, true),
    ("AddRaftVoter", 0, 1, true), ("RemoveRaftVoter", 0, 0, true), ("UpdateRaftVoter", 0, 0, false),
    ("InitializeShareGroupState", 0, 0, true), ("ReadShareGroupState", 0, 0, true), ("WriteShareGroupState", 0, 1, true),
    ("DeleteShareGroupState", 0, 0, true), ("ReadShareGroupStateSummary", 0, 1, true),
    ("StreamsGroupHeartbeat", 0, 0, true), ("StreamsGroupDescribe", 0, 0, true), ("DescribeShareGroupOffsets", 0, 1, true),
    ("AlterShareGroupOffsets", 0, 0, true), ("DeleteShareGroupOffsets", 0, 0, true),
];

/// Runs the tool.
pub(crate) async fn run(flags: Flags) -> Result<(), Failure> {
    flags.require("bootstrap-server")?;
    let servers = flags.get("bootstrap-server").unwrap_or_default();
    let properties = ClientProperties::read(flags.get("command-config").map(Path::new), &[])?;
    let timeout = properties.request_timeout()?;
    check_servers(servers).await.map_err(Failure::err)?;
    // Kafka's tool waits for nobody.
    let nobody = |error| {
        let nodes =
            servers.split(',').map(|one| format!("{one} (id: -1 rack: null isFenced: false)"));
        let nodes = nodes.collect::<Vec<_>>().join(", ");
        Failure::err(format!("Request METADATA failed on brokers [{nodes}]\n{error}"))
    };
    let mut cluster = Cluster::connect(servers, timeout).await.map_err(nobody)?;
    let mut brokers = cluster.metadata(None).await?.brokers;
    sort_as_hash_map(&mut brokers, node_hash);
    for broker in brokers {
        let answer = match cluster.broker(broker.node_id).await {
            Ok(connection) => connection.call_at(&ApiVersionsRequest::default(), 0).await,
            Err(error) => Err(error),
        };
        let text = match answer {
            Ok(answer) if answer.error_code == ErrorCode::None.code() => listed(answer.api_keys),
            Ok(answer) => format!("ERROR: {}", Exception::of(answer.error_code).message),
            Err(error) => format!("ERROR: {error}"),
        };
        let MetadataResponseBroker { node_id, host, port, rack } = broker;
        let rack = rack.as_deref().unwrap_or("null");
        let node = format!("{host}:{port} (id: {node_id} rack: {rack} isFenced: false)");
        print(&format!("{node} -> {text}"));
    }
    Ok(())
}

/// `Node.hashCode`.
fn node_hash(broker: &MetadataResponseBroker) -> i32 {
    /// `Boolean.hashCode(false)`, that the broker is fenced.
    const FALSE: i32 = 1237;
    let rack = broker.rack.as_deref().map_or(0, string_hash);
    let fields = [string_hash(&broker.host), broker.node_id, broker.port, rack, FALSE];
    fields.into_iter().fold(1, |hash: i32, field| hash.wrapping_mul(31).wrapping_add(field))
}

/// What a broker has, and what it lacks of what a client of Kafka knows.
fn listed(apis: Vec<ApiVersion>) -> String {
    let mut lines = BTreeMap::new();
    for (key, (name, _, _, _)) in (0..).zip(APIS).filter(|(_, api)| api.3) {
        lines.insert(key, format!("{name}({key}): UNSUPPORTED"));
    }
    for ApiVersion { api_key, min_version: low, max_version: high } in apis {
        let known = usize::try_from(api_key).ok().and_then(|key| APIS.get(key));
        let mut line = format!("{}({api_key}): {low}", known.map_or("UNKNOWN", |api| api.0));
        if high != low {
            let _ = write!(line, " to {high}");
        }
        let _ = match known {
            None => Ok(()),
            Some((_, _, latest, _)) if *latest < low => write!(line, " [unusable: node too new]"),
            Some((_, oldest, ..)) if high < *oldest => write!(line, " [unusable: node too old]"),
            Some((_, _, latest, _)) => write!(line, " [usable: {}]", high.min(*latest)),
        };
        lines.insert(api_key, line);
    }
    let lines: Vec<String> = lines.into_values().collect();
    format!("(\n\t{}\n)", lines.join(",\n\t"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_usable_is_what_both_know() {
        let api =
            |api_key, min_version, max_version| ApiVersion { api_key, min_version, max_version };
        let text = listed(vec![
            api(0, 0, 99),
            api(3, 14, 20),
            api(8, 0, 1),
            api(6, 0, 5),
            api(46, 0, 0),
            api(300, 1, 2),
        ]);
        for line in [
            "(\n\tProduce(0): 0 to 99 [usable: 13],\n\tFetch(1): UNSUPPORTED,\n",
            "\tMetadata(3): 14 to 20 [unusable: node too new],\n",
            "\tUpdateMetadata(6): 0 to 5 [unusable: node too new],\n",
            "\tOffsetCommit(8): 0 to 1 [unusable: node too old],\n",
            "\tListPartitionReassignments(46): 0 [usable: 0],\n",
            ",\n\tUNKNOWN(300): 1 to 2\n)",
        ] {
            assert!(text.contains(line), "{line}: {text}");
        }
        assert!(!text.contains("Vote(") && !text.contains("StopReplica("), "{text}");
    }
}
