//! The records with which a node starts: voters, epochs, features, its registrations.

use uuid::Uuid;

use crate::config::{ConfigMap, resource};
use crate::wire::records::{
    BeginTransactionRecord, BrokerEndpoint, BrokerFeature, ConfigRecord, ControlRecord,
    ControllerEndpoint, ControllerFeature, EndTransactionRecord, KRaftVersionFeature,
    KRaftVersionRecord, LeaderChangeMessage, LeaderChangeVoter, MetadataRecord,
    RegisterBrokerRecord, RegisterControllerRecord, Voter, VotersRecord,
};

use super::Settings;
use super::features::FEATURES;
use super::state::Entry;

/// Level of `kraft.version` with voters in the log.
const KRAFT_VERSION: i16 = 1;
/// `SecurityProtocol.PLAINTEXT`.
const PLAINTEXT: i16 = 0;

/// Where a node can be reached.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Endpoint {
    /// Name of the listener.
    pub name: String,
    /// Host name or address.
    pub host: String,
    /// Port, the one that is bound.
    pub port: u16,
}

/// Control record: `node_id` leads a new epoch.
pub(super) fn leader_change(node_id: i32) -> Entry {
    let voter = LeaderChangeVoter { voter_id: node_id, ..LeaderChangeVoter::default() };
    Entry::Control(ControlRecord::LeaderChange(LeaderChangeMessage {
        version: 0,
        leader_id: node_id,
        voters: vec![voter.clone()],
        granting_voters: vec![voter],
    }))
}

/// This node as the only voter of a new cluster.
pub(super) fn single_voter(settings: &Settings, directory_id: Uuid) -> VotersRecord {
    let Endpoint { name, host, port } = settings.controller.clone();
    let voter = Voter {
        voter_id: settings.node_id,
        voter_directory_id: directory_id,
        endpoints: vec![crate::wire::records::Endpoint { name, host, port }],
        k_raft_version_feature: KRaftVersionFeature {
            min_supported_version: 0,
            max_supported_version: KRAFT_VERSION,
        },
    };
    VotersRecord { version: 0, voters: vec![voter] }
}

/// Control records: the voters stand in the log, and are these.
pub(super) fn quorum_records(voters: VotersRecord) -> impl Iterator<Item = ControlRecord> {
    let version = KRaftVersionRecord { version: 0, k_raft_version: KRAFT_VERSION };
    [ControlRecord::KRaftVersion(version), ControlRecord::Voters(voters)].into_iter()
}

/// A new cluster's first records, as one metadata transaction
/// (Kafka: `ActivationRecordsGenerator.recordsForEmptyLog`).
pub(super) fn first_transaction(first: Vec<MetadataRecord>, settings: &Settings) -> Vec<Entry> {
    let name = Some("Bootstrap records".to_owned());
    let elr = |record: &MetadataRecord| {
        matches!(record, MetadataRecord::FeatureLevelRecord(feature)
            if feature.name == "eligible.leader.replicas.version" && feature.feature_level > 0)
    };
    let replicas = first.iter().any(elr).then(|| {
        // From now on this counts, not the file's value.
        Entry::from(ConfigRecord {
            resource_type: resource::BROKER,
            resource_name: String::new(),
            name: MIN_INSYNC_REPLICAS.to_owned(),
            value: Some(min_insync_replicas(&settings.fixed)),
        })
    });
    let mut records = vec![BeginTransactionRecord { name }.into()];
    records.extend(first.into_iter().map(Entry::Data));
    records.extend(replicas);
    records.push(EndTransactionRecord {}.into());
    records
}

const MIN_INSYNC_REPLICAS: &str = "min.insync.replicas";

fn min_insync_replicas(fixed: &ConfigMap) -> String {
    fixed.get(MIN_INSYNC_REPLICAS).cloned().unwrap_or_else(|| "1".to_owned())
}

/// This run as a controller.
pub(super) fn controller(settings: &Settings, incarnation_id: Uuid) -> RegisterControllerRecord {
    let Endpoint { name, host, port } = settings.controller.clone();
    let feature = |feature: &super::Feature| ControllerFeature {
        name: feature.name.to_owned(),
        min_supported_version: feature.min_level,
        max_supported_version: feature.max_level,
    };
    RegisterControllerRecord {
        controller_id: settings.node_id,
        incarnation_id,
        zk_migration_ready: false,
        end_points: vec![ControllerEndpoint { name, host, port, security_protocol: PLAINTEXT }],
        features: FEATURES.iter().map(feature).collect(),
    }
}

/// This run as a broker, without epoch and directories.
pub(super) fn broker(settings: &Settings, incarnation_id: Uuid) -> RegisterBrokerRecord {
    let endpoint = |endpoint: &Endpoint| BrokerEndpoint {
        name: endpoint.name.clone(),
        host: endpoint.host.clone(),
        port: endpoint.port,
        security_protocol: PLAINTEXT,
    };
    let feature = |feature: &super::Feature| BrokerFeature {
        name: feature.name.to_owned(),
        min_supported_version: feature.min_level,
        max_supported_version: feature.max_level,
    };
    RegisterBrokerRecord {
        broker_id: settings.node_id,
        incarnation_id,
        end_points: settings.listeners.iter().map(endpoint).collect(),
        features: FEATURES.iter().map(feature).collect(),
        rack: settings.rack.clone(),
        fenced: true,
        ..RegisterBrokerRecord::default()
    }
}
