//! `DescribeLogDirs`.

use std::path::Path;

use ottla::wire::messages::describe_log_dirs::{
    DescribableLogDirTopic, DescribeLogDirsPartition, DescribeLogDirsRequest, DescribeLogDirsResult,
};

use super::client::Target;
use super::delete_records::delete_before;
use super::produce::{append, batch};

checks![
    sizes_are_told_at_every_version,
    the_volume_is_told_from_version_4,
    what_is_not_there_is_left_out,
    a_partition_named_twice_is_told_once,
    null_is_every_topic_but_the_metadata_log,
    deleted_records_keep_their_segment,
];

fn request(topics: &[(&str, &[i32])]) -> DescribeLogDirsRequest {
    let topic = |(topic, partitions): &(&str, &[i32])| DescribableLogDirTopic {
        topic: (*topic).into(),
        partitions: partitions.to_vec(),
    };
    DescribeLogDirsRequest { topics: Some(topics.iter().map(topic).collect()) }
}

/// The one directory.
fn ask(target: &Target, request: &DescribeLogDirsRequest, version: i16) -> DescribeLogDirsResult {
    let mut response = target.call(request, version);
    assert_eq!((response.error_code, response.results.len()), (0, 1), "{response:?}");
    let directory = response.results.remove(0);
    assert_eq!(directory.error_code, 0);
    assert!(Path::new(&directory.log_dir).is_absolute(), "{}", directory.log_dir);
    directory
}

/// Topic, partition and size, sorted.
fn sizes(directory: &DescribeLogDirsResult) -> Vec<(&str, i32, i64)> {
    let all = directory.topics.iter().flat_map(|topic| {
        let size = |one: &DescribeLogDirsPartition| {
            assert!(one.offset_lag == 0 && !one.is_future_key, "{one:?}");
            (topic.name.as_str(), one.partition_index, one.partition_size)
        };
        topic.partitions.iter().map(size)
    });
    let mut all: Vec<_> = all.collect();
    all.sort_unstable();
    all
}

fn sizes_are_told_at_every_version(target: &Target) {
    let topic = target.topic(2);
    let name = topic.name.as_str();
    let mut size = 0;
    for version in 1..=5 {
        append(target, &topic, &batch(7));
        size += batch(7).len() as i64;
        let directory = ask(target, &request(&[(name, &[0, 1])]), version);
        assert_eq!(sizes(&directory), [(name, 0, size), (name, 1, 0)], "version {version}");
    }
}

fn the_volume_is_told_from_version_4(target: &Target) {
    for version in 1..=5 {
        let directory = ask(target, &request(&[]), version);
        let (total, usable) = (directory.total_bytes, directory.usable_bytes);
        if version < 4 {
            assert_eq!((total, usable), (-1, -1), "version {version}");
        } else {
            assert!(0 < usable && usable <= total, "{usable} of {total} in version {version}");
        }
        assert!(!directory.is_cordoned);
        assert_eq!(directory.topics, []);
    }
}

fn what_is_not_there_is_left_out(target: &Target) {
    let (name, unknown) = (target.topic(1).name, target.name());
    let some = request(&[(&unknown, &[0]), (&name, &[0, 1, -1]), ("__cluster_metadata", &[0])]);
    assert_eq!(sizes(&ask(target, &some, 5)), [(name.as_str(), 0, 0)]);
    for none in
        [&[(unknown.as_str(), &[0][..])][..], &[(&name, &[])], &[(&name, &[9])], &[("", &[0])]]
    {
        assert_eq!(ask(target, &request(none), 5).topics, [], "{none:?}");
    }
}

fn a_partition_named_twice_is_told_once(target: &Target) {
    let name = target.topic(2).name;
    let directory = ask(target, &request(&[(&name, &[1, 1]), (&name, &[0, 1])]), 5);
    assert_eq!(sizes(&directory), [(name.as_str(), 0, 0), (name.as_str(), 1, 0)]);
    assert_eq!(directory.topics.len(), 1);
}

fn null_is_every_topic_but_the_metadata_log(target: &Target) {
    let name = target.topic(2).name;
    let directory = ask(target, &DescribeLogDirsRequest { topics: None }, 5);
    let all = sizes(&directory);
    assert!(all.contains(&(&name, 0, 0)) && all.contains(&(&name, 1, 0)), "{all:?}");
    assert!(directory.topics.iter().all(|topic| topic.name != "__cluster_metadata"));
}

fn deleted_records_keep_their_segment(target: &Target) {
    let topic = target.topic(1);
    append(target, &topic, &batch(9));
    delete_before(target, &topic, 9);
    let directory = ask(target, &request(&[(&topic.name, &[0])]), 5);
    assert_eq!(sizes(&directory), [(topic.name.as_str(), 0, batch(9).len() as i64)]);
}
