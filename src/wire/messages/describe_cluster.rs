//! The brokers of the cluster (KIP-700).

use crate::wire::message;

message! {
    /// Asks for the brokers.
    pub struct DescribeClusterRequest: key 60, versions 0..=2, flexible 0, answer DescribeClusterResponse {
        include_cluster_authorized_operations: bool,
        /// 1 for brokers, 2 for controllers.
        endpoint_type: i8 [1..] = 1,
        include_fenced_brokers: bool [2..],
    }

    /// The brokers.
    pub struct DescribeClusterResponse: key 60, versions 0..=2, flexible 0 {
        throttle_time_ms: i32,
        error_code: i16,
        error_message: Option<String>,
        endpoint_type: i8 [1..] = 1,
        cluster_id: String,
        controller_id: i32 = -1,
        brokers: Vec<DescribeClusterBroker>,
        cluster_authorized_operations: i32 = i32::MIN,
    }

    pub struct DescribeClusterBroker {
        broker_id: i32,
        host: String,
        port: i32,
        rack: Option<String>,
        is_fenced: bool [2..],
    }
}
