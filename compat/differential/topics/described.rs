//! The cluster and its topics, as they are described.

use ottla::wire::messages::describe_cluster::DescribeClusterRequest;
use ottla::wire::messages::describe_topic_partitions::{
    Cursor, DescribeTopicPartitionsRequest, TopicRequest,
};
use ottla::wire::messages::metadata::{MetadataRequest, MetadataRequestTopic};
use uuid::Uuid;

use super::{BAD_NAMES, UNKNOWN_ID};
use crate::script::Script;

pub(super) fn run(script: &mut Script) {
    describe_cluster(script);
    metadata(script);
    describe_topic_partitions(script);
}

fn describe_cluster(script: &mut Script) {
    for flags in 0..4 {
        for endpoint_type in [1, 2, 0, 3, -1] {
            let step = format!("endpoint type {endpoint_type}, flags {flags}");
            script.each(&step, |_, _| DescribeClusterRequest {
                include_cluster_authorized_operations: flags & 1 != 0,
                endpoint_type,
                include_fenced_brokers: flags & 2 != 0,
            });
        }
    }
}

pub(super) fn named(names: &[&str]) -> MetadataRequest {
    let topic =
        |name: &&str| MetadataRequestTopic { name: Some((*name).into()), ..Default::default() };
    MetadataRequest {
        topics: Some(names.iter().map(topic).collect()),
        allow_auto_topic_creation: false,
        ..Default::default()
    }
}

fn by_id(name: Option<&str>, topic_id: Uuid) -> MetadataRequest {
    let topic = MetadataRequestTopic { name: name.map(Into::into), topic_id };
    MetadataRequest { topics: Some(vec![topic]), ..named(&[]) }
}

fn metadata(script: &mut Script) {
    script.topic("metadata-1", 3, &[]);
    script.topic("metadata-2", 1, &[]);
    script.each("all topics", |_, version| MetadataRequest {
        topics: (version == 0).then(Vec::new),
        ..named(&[])
    });
    script.over("no topics", 1..=13, |_, _| named(&[]));
    script.each("a topic", |_, _| named(&["metadata-1"]));
    script.each("topics", |_, _| named(&["metadata-2", "metadata-1"]));
    script.each("a topic twice", |_, _| named(&["metadata-2", "metadata-2"]));
    script.over("an unknown topic", 4..=13, |_, _| named(&["metadata-none"]));
    script.over("a known and an unknown topic", 4..=13, |_, _| {
        named(&["metadata-none", "metadata-1"])
    });
    for name in BAD_NAMES {
        script.each(&format!("the name '{name}'"), |_, _| MetadataRequest {
            allow_auto_topic_creation: true,
            ..named(&[name])
        });
    }
    script.each("a name of 250", |_, _| named(&[&"n".repeat(250)]));
    for version in 0..=13 {
        let name = format!("metadata-created-v{version}");
        let creating = MetadataRequest { allow_auto_topic_creation: true, ..named(&[&name]) };
        script.ask("a topic that is made", version, |_| creating.clone());
        script.until_served(&name, 1);
        script.ask("a topic that was made", version, |_| creating.clone());
    }
    for flags in 1..4 {
        script.over(&format!("authorized operations {flags}"), 8..=13, |_, _| MetadataRequest {
            include_cluster_authorized_operations: flags & 1 != 0,
            include_topic_authorized_operations: flags & 2 != 0,
            ..named(&["metadata-1", "metadata-none"])
        });
    }
    script.over("an id", 10..=13, |side, _| by_id(None, side.topic_id("metadata-1")));
    script.over("an id with its name", 10..=13, |side, _| {
        by_id(Some("metadata-1"), side.topic_id("metadata-1"))
    });
    script.over("an id with another name", 10..=13, |side, _| {
        by_id(Some("metadata-2"), side.topic_id("metadata-1"))
    });
    script.over("an unknown id", 10..=13, |_, _| by_id(None, UNKNOWN_ID));
    script.over("an unknown id with a name", 10..=13, |_, _| by_id(Some("metadata-1"), UNKNOWN_ID));
    script.over("neither name nor id", 10..=13, |_, _| by_id(None, Uuid::nil()));
    script.over("ids and names", 10..=13, |side, _| {
        let mut request = by_id(None, side.topic_id("metadata-1"));
        request.topics.iter_mut().for_each(|topics| {
            topics.extend(named(&["metadata-2"]).topics.unwrap_or_default());
        });
        request
    });
}

fn describe_topic_partitions(script: &mut Script) {
    let describing = |names: &[&str], limit: i32, cursor: Option<(&str, i32)>| {
        let topic = |name: &&str| TopicRequest { name: (*name).into() };
        DescribeTopicPartitionsRequest {
            topics: names.iter().map(topic).collect(),
            response_partition_limit: limit,
            cursor: cursor.map(|(topic_name, partition_index)| Cursor {
                topic_name: topic_name.into(),
                partition_index,
            }),
        }
    };
    let lists: [&[&str]; 7] = [
        &["metadata-1"],
        &["metadata-2", "metadata-1"],
        &["metadata-1", "metadata-none", "metadata-2"],
        &["metadata-1", "metadata-1"],
        &["metadata-none"],
        &["bad name", ""],
        &[],
    ];
    let cursors = [
        None,
        Some(("metadata-1", 0)),
        Some(("metadata-1", 2)),
        Some(("metadata-1", 3)),
        Some(("metadata-1", -1)),
        Some(("metadata-2", 0)),
        Some(("metadata-none", 0)),
        Some(("", 0)),
    ];
    for names in lists {
        for limit in [2000, 1, 2, 3, 4, 0, -1] {
            for cursor in cursors {
                let step = format!("{names:?} limit {limit} cursor {cursor:?}");
                script.ask(&step, 0, |_| describing(names, limit, cursor));
            }
        }
    }
}
