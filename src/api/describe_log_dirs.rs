//! DescribeLogDirs (key 35): where logs lie, how large they are, how much room is left (KIP-113,
//! KIP-827).
//!
//! Behavior:
//! - Null topics are all; those that are not there are left out. The metadata log is never listed.
//! - A broker in memory has one directory of that name, whose size nobody knows (-1).
//!
//! Version notes: an error for the whole request from version 3, sizes of the volume from 4,
//! cordoned directories (never) from 5.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::{Api, Context, Reply};
use crate::partition::Partition;
use crate::wire::ErrorCode;
use crate::wire::messages::describe_log_dirs::{
    DescribableLogDirTopic, DescribeLogDirsPartition, DescribeLogDirsRequest,
    DescribeLogDirsResponse, DescribeLogDirsResult, DescribeLogDirsTopic,
};

pub(super) struct DescribeLogDirs;

impl Api for DescribeLogDirs {
    type Request = DescribeLogDirsRequest;
    type Response = DescribeLogDirsResponse;

    async fn handle(
        context: Context<'_>,
        request: DescribeLogDirsRequest,
        _version: i16,
    ) -> Reply<DescribeLogDirsResponse> {
        let engine = Arc::clone(context.shared.registry.engine());
        let directory = context.shared.env.offload.run(move || engine.directory()).await;
        let mut result = DescribeLogDirsResult { log_dir: directory.path, ..Default::default() };
        match directory.space {
            Ok(space) => {
                if let Some(space) = space {
                    let bytes = |bytes| i64::try_from(bytes).unwrap_or(i64::MAX);
                    result.total_bytes = bytes(space.total_bytes);
                    result.usable_bytes = bytes(space.usable_bytes);
                }
                result.topics = topics(context, request.topics);
            }
            Err(error) => {
                tracing::warn!(%error, directory = result.log_dir, "no size of the log directory");
                result.error_code = ErrorCode::KafkaStorageError.code();
            }
        }
        Reply::Ready(DescribeLogDirsResponse { results: vec![result], ..Default::default() })
    }
}

fn topics(
    context: Context<'_>,
    asked: Option<Vec<DescribableLogDirTopic>>,
) -> Vec<DescribeLogDirsTopic> {
    let registry = &context.shared.registry;
    let mut found: BTreeMap<String, Vec<Arc<Partition>>> = BTreeMap::new();
    match asked {
        None => {
            let image = context.shared.metadata.image();
            for topic in image.topics() {
                found.insert(topic.name.to_string(), registry.partitions(&topic.name));
            }
        }
        Some(asked) => {
            let mut wanted: BTreeMap<String, BTreeSet<i32>> = BTreeMap::new();
            for topic in asked {
                wanted.entry(topic.topic).or_default().extend(topic.partitions);
            }
            for (name, numbers) in wanted {
                let partitions = numbers.iter().filter_map(|number| registry.get(&name, *number));
                let partitions = partitions.collect();
                found.insert(name, partitions);
            }
        }
    }
    let found = found.into_iter().filter(|(_, partitions)| !partitions.is_empty());
    let described = found.map(|(name, partitions)| DescribeLogDirsTopic {
        name,
        partitions: partitions.iter().map(|partition| described(partition)).collect(),
    });
    described.collect()
}

fn described(partition: &Partition) -> DescribeLogDirsPartition {
    DescribeLogDirsPartition {
        partition_index: partition.id().partition,
        partition_size: i64::try_from(partition.size_bytes()).unwrap_or(i64::MAX),
        offset_lag: 0,
        is_future_key: false,
    }
}
