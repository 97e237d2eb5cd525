//! DescribeLogDirs (key 35): where logs lie, how large they are, how much room is left (KIP-113,
//! KIP-827).
//!
//! Behavior:
//! - Null topics are all; those that are not there are left out. The metadata log is never listed.
//! - A directory that is offline has an error and no topics.
//! - A broker in memory has one directory of that name, whose size nobody knows (-1).
//!
//! Version notes: an error for the whole request from version 3, sizes of the volume from 4,
//! cordoned directories (never) from 5.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use uuid::Uuid;

use super::{Api, Context, Reply};
use crate::log::{LogDirectory, LogId};
use crate::partition::Partition;
use crate::wire::ErrorCode;
use crate::wire::messages::describe_log_dirs::{
    DescribableLogDirTopic, DescribeLogDirsPartition, DescribeLogDirsRequest,
    DescribeLogDirsResponse, DescribeLogDirsResult, DescribeLogDirsTopic,
};

pub(super) struct DescribeLogDirs;

impl Api for DescribeLogDirs {
    type Request = DescribeLogDirsRequest;

    async fn handle(
        context: Context<'_>,
        request: DescribeLogDirsRequest,
        _version: i16,
    ) -> Reply<DescribeLogDirsResponse> {
        let registry = context.shared.registry.clone();
        let directories =
            context.shared.env.offload.run(move || registry.directories().describe()).await;
        let wanted = Wanted::new(request.topics);
        let result = |(id, directory)| described(context, id, directory, &wanted);
        let results = directories.into_iter().map(result).collect();
        Reply::Ready(DescribeLogDirsResponse { results, ..Default::default() })
    }
}

/// The partitions that are asked for, by topic; None for all.
struct Wanted(Option<BTreeMap<String, BTreeSet<i32>>>);

impl Wanted {
    fn new(asked: Option<Vec<DescribableLogDirTopic>>) -> Self {
        Self(asked.map(|asked| {
            let mut wanted: BTreeMap<String, BTreeSet<i32>> = BTreeMap::new();
            for topic in asked {
                wanted.entry(topic.topic).or_default().extend(topic.partitions);
            }
            wanted
        }))
    }

    fn contains(&self, LogId { topic, partition, .. }: &LogId) -> bool {
        self.0.as_ref().is_none_or(|wanted| {
            wanted.get(&**topic).is_some_and(|numbers| numbers.contains(partition))
        })
    }
}

fn described(
    context: Context<'_>,
    id: Uuid,
    directory: LogDirectory,
    wanted: &Wanted,
) -> DescribeLogDirsResult {
    let mut result = DescribeLogDirsResult { log_dir: directory.path, ..Default::default() };
    match directory.space {
        Ok(space) => {
            if let Some(space) = space {
                let bytes = |bytes| i64::try_from(bytes).unwrap_or(i64::MAX);
                result.total_bytes = bytes(space.total_bytes);
                result.usable_bytes = bytes(space.usable_bytes);
            }
            let mut topics: BTreeMap<Arc<str>, Vec<DescribeLogDirsPartition>> = BTreeMap::new();
            let partitions = context.shared.registry.in_directory(id);
            for partition in partitions.iter().filter(|partition| wanted.contains(partition.id())) {
                topics.entry(partition.id().topic.clone()).or_default().push(size(partition));
            }
            let topic = |(name, partitions): (Arc<str>, _)| DescribeLogDirsTopic {
                name: name.to_string(),
                partitions,
            };
            result.topics = topics.into_iter().map(topic).collect();
        }
        Err(error) => {
            tracing::warn!(%error, directory = result.log_dir, "no size of the log directory");
            result.error_code = ErrorCode::KafkaStorageError.code();
        }
    }
    result
}

fn size(partition: &Partition) -> DescribeLogDirsPartition {
    DescribeLogDirsPartition {
        partition_index: partition.id().partition,
        partition_size: i64::try_from(partition.size_bytes()).unwrap_or(i64::MAX),
        offset_lag: 0,
        is_future_key: false,
    }
}
