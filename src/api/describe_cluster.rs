//! DescribeCluster (key 60): the brokers (KIP-700).
//!
//! Behavior: only brokers can be asked for; controllers are not served on a broker's listener
//! (KIP-919): MISMATCHED_ENDPOINT_TYPE, and UNSUPPORTED_ENDPOINT_TYPE for any other type.

use super::metadata::CLUSTER_OPERATIONS;
use super::{Api, Context, Reply};
use crate::wire::ErrorCode;
use crate::wire::messages::describe_cluster::{
    DescribeClusterBroker, DescribeClusterRequest, DescribeClusterResponse,
};

/// Brokers, in `endpoint_type`.
const BROKERS: i8 = 1;
/// Controllers, in `endpoint_type`.
const CONTROLLERS: i8 = 2;

pub(super) struct DescribeCluster;

impl Api for DescribeCluster {
    type Request = DescribeClusterRequest;

    async fn handle(
        context: Context<'_>,
        request: DescribeClusterRequest,
        _version: i16,
    ) -> Reply<DescribeClusterResponse> {
        let refused = match request.endpoint_type {
            BROKERS => None,
            CONTROLLERS => Some((
                ErrorCode::MismatchedEndpointType,
                "The request was sent to an endpoint of type BROKER, but we wanted an endpoint \
                 of type CONTROLLER"
                    .to_owned(),
            )),
            other => Some((
                ErrorCode::UnsupportedEndpointType,
                format!("Unsupported endpoint type {other}"),
            )),
        };
        if let Some((error, message)) = refused {
            return Reply::Ready(DescribeClusterResponse {
                error_code: error.code(),
                error_message: Some(message),
                ..Default::default()
            });
        }
        let image = context.shared.metadata.image();
        let advertised = context.advertised();
        let operations = request.include_cluster_authorized_operations;
        Reply::Ready(DescribeClusterResponse {
            cluster_id: image.cluster_id.to_string(),
            controller_id: image.node_id,
            brokers: vec![DescribeClusterBroker {
                broker_id: image.node_id,
                host: advertised.host,
                port: advertised.port,
                rack: None,
                is_fenced: false,
            }],
            cluster_authorized_operations: if operations { CLUSTER_OPERATIONS } else { i32::MIN },
            ..Default::default()
        })
    }
}
