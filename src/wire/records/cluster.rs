//! Metadata records of brokers, controllers and features.

use uuid::Uuid;

use crate::wire::message;

message! {
    /// The level of a feature, finalized for the cluster.
    pub struct FeatureLevelRecord: key 12, versions 0..=0, flexible 0 {
        name: String,
        feature_level: i16,
    }

    /// A controller has started.
    pub struct RegisterControllerRecord: key 27, versions 0..=0, flexible 0 {
        controller_id: i32,
        incarnation_id: Uuid,
        zk_migration_ready: bool,
        end_points: Vec<ControllerEndpoint>,
        features: Vec<ControllerFeature>,
    }

    pub struct ControllerEndpoint {
        name: String,
        host: String,
        port: u16,
        security_protocol: i16,
    }

    pub struct ControllerFeature {
        name: String,
        min_supported_version: i16,
        max_supported_version: i16,
    }

    /// A broker has started.
    pub struct RegisterBrokerRecord: key 0, versions 0..=4, flexible 0 {
        broker_id: i32,
        is_migrating_zk_broker: bool [2..],
        incarnation_id: Uuid,
        broker_epoch: i64,
        end_points: Vec<BrokerEndpoint>,
        features: Vec<BrokerFeature>,
        rack: Option<String> = Some(String::new()),
        fenced: bool = true,
        in_controlled_shutdown: bool [1..],
        log_dirs: Vec<Uuid> [3.., tag 0],
        cordoned_log_dirs: Option<Vec<Uuid>> [4.., tag 1],
    }

    pub struct BrokerEndpoint {
        name: String,
        host: String,
        port: u16,
        security_protocol: i16,
    }

    pub struct BrokerFeature {
        name: String,
        min_supported_version: i16,
        max_supported_version: i16,
    }

    /// What changed of a registered broker; every field has a value for "no change".
    pub struct BrokerRegistrationChangeRecord: key 17, versions 0..=3, flexible 0 {
        broker_id: i32,
        broker_epoch: i64,
        /// -1 if now unfenced, 1 if now fenced.
        fenced: i8 [.., tag 0],
        /// 1 if now in controlled shutdown.
        in_controlled_shutdown: i8 [1.., tag 1],
        /// Empty for no change.
        log_dirs: Vec<Uuid> [2.., tag 2],
        cordoned_log_dirs: Option<Vec<Uuid>> [3.., tag 3],
    }

    /// A broker is fenced (now a `BrokerRegistrationChangeRecord` says so).
    pub struct FenceBrokerRecord: key 7, versions 0..=0, flexible 0 {
        id: i32,
        epoch: i64,
    }

    /// A broker is unfenced (now a `BrokerRegistrationChangeRecord` says so).
    pub struct UnfenceBrokerRecord: key 8, versions 0..=0, flexible 0 {
        id: i32,
        epoch: i64,
    }

    /// A broker is forgotten.
    pub struct UnregisterBrokerRecord: key 1, versions 0..=0, flexible 0 {
        broker_id: i32,
        broker_epoch: i64,
    }

    /// A block of producer ids is given to a broker.
    pub struct ProducerIdsRecord: key 15, versions 0..=0, flexible 0 {
        broker_id: i32,
        broker_epoch: i64 = -1,
        next_producer_id: i64,
    }

    /// State of a migration from `ZooKeeper`, long over.
    pub struct ZkMigrationStateRecord: key 21, versions 0..=0, flexible 0 {
        zk_migration_state: i8,
    }

    /// Nothing; written by an idle controller.
    pub struct NoOpRecord: key 20, versions 0..=0, flexible 0 {}

    /// Records up to the matching end or abort take effect together.
    pub struct BeginTransactionRecord: key 23, versions 0..=0, flexible 0 {
        name: Option<String> [.., tag 0],
    }

    /// The records since the matching begin take effect.
    pub struct EndTransactionRecord: key 24, versions 0..=0, flexible 0 {}

    /// The records since the matching begin are void.
    pub struct AbortTransactionRecord: key 25, versions 0..=0, flexible 0 {
        reason: Option<String> [.., tag 0],
    }
}

impl BrokerRegistrationChangeRecord {
    /// The version the reference writes: the lowest that holds what changed.
    pub fn version(&self) -> i16 {
        if self.cordoned_log_dirs.is_some() {
            3
        } else if !self.log_dirs.is_empty() {
            2
        } else {
            i16::from(self.in_controlled_shutdown != 0)
        }
    }
}
