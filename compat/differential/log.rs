//! Where logs begin, end and lie.

use ottla::wire::messages::delete_records::{
    DeleteRecordsPartition, DeleteRecordsRequest, DeleteRecordsTopic,
};
use ottla::wire::messages::describe_log_dirs::{DescribableLogDirTopic, DescribeLogDirsRequest};
use ottla::wire::messages::list_offsets::{
    ListOffsetsPartition, ListOffsetsRequest, ListOffsetsTopic,
};
use ottla::wire::messages::offset_for_leader_epoch::{
    OffsetForLeaderEpochRequest, OffsetForLeaderPartition, OffsetForLeaderTopic,
};

use crate::produce::{append, three};
use crate::script::Script;

pub(crate) const APIS: &[&str] =
    &["ListOffsets", "OffsetForLeaderEpoch", "DeleteRecords", "DescribeLogDirs"];

/// Between the records.
const STEP_MS: i64 = 1000;

pub(crate) fn run(script: &mut Script) {
    script.topic("log", 3, &[]);
    let time_ms = script.time_ms;
    for number in [0, 2, 1] {
        append(script, "log", &three(time_ms + number * STEP_MS).encode());
    }
    list_offsets(script);
    offsets_for_leader_epochs(script);
    delete_records(script);
    describe_log_dirs(script);
}

fn listing(topics: &[(&str, &[i32])], timestamp: i64) -> ListOffsetsRequest {
    let partition = |index: &i32| ListOffsetsPartition {
        partition_index: *index,
        timestamp,
        ..Default::default()
    };
    let topic = |(name, partitions): &(&str, &[i32])| ListOffsetsTopic {
        name: (*name).into(),
        partitions: partitions.iter().map(partition).collect(),
    };
    ListOffsetsRequest {
        replica_id: -1,
        topics: topics.iter().map(topic).collect(),
        ..Default::default()
    }
}

fn list_offsets(script: &mut Script) {
    let time_ms = script.time_ms;
    let times = [-1500, -1, 0, 1, 999, 1000, 1001, 2000, 2001].map(|after| time_ms + after);
    for timestamp in (-8..=1).chain(times).chain([i64::MIN, i64::MAX]) {
        let what = match timestamp {
            i64::MIN | -8..=1 | i64::MAX => timestamp.to_string(),
            _ => format!("{} ms after the first", timestamp - time_ms),
        };
        for isolation_level in [0, 1] {
            let step = format!("time {what}, isolation {isolation_level}");
            script.each(&step, |_, _| ListOffsetsRequest {
                isolation_level,
                ..listing(&[("log", &[0, 1])], timestamp)
            });
        }
    }
    script.over("isolation 9", 2..=11, |_, _| ListOffsetsRequest {
        isolation_level: 9,
        ..listing(&[("log", &[0])], -1)
    });
    for current_leader_epoch in [-2, 0, 1] {
        script.over(&format!("epoch {current_leader_epoch}"), 4..=11, |_, _| {
            let mut request = listing(&[("log", &[0])], -1);
            request.topics[0].partitions[0].current_leader_epoch = current_leader_epoch;
            request
        });
    }
    for replica_id in [-2, -3, 0, 1, 7] {
        script.each(&format!("replica {replica_id}"), |_, _| ListOffsetsRequest {
            replica_id,
            ..listing(&[("log", &[0])], -1)
        });
    }
    let cases: [(&str, &[(&str, &[i32])]); 8] = [
        ("no topics", &[]),
        ("no partitions", &[("log", &[])]),
        ("partitions", &[("log", &[2, 0, 1])]),
        ("unknown partitions", &[("log", &[3, 0, -1])]),
        ("a partition twice", &[("log", &[0, 1, 0])]),
        ("a topic twice", &[("log", &[0]), ("log", &[1])]),
        ("an unknown topic", &[("log-none", &[0, 1]), ("log", &[0])]),
        ("bad names", &[("", &[0]), ("bad name", &[0])]),
    ];
    for (step, topics) in cases {
        script.each(step, |_, _| listing(topics, -1));
    }
}

fn offsets_for_leader_epochs(script: &mut Script) {
    let asking = |replica_id, topic: &str, partitions: &[(i32, i32, i32)]| {
        let partition = |(partition, current_leader_epoch, leader_epoch): &(i32, i32, i32)| {
            OffsetForLeaderPartition {
                partition: *partition,
                current_leader_epoch: *current_leader_epoch,
                leader_epoch: *leader_epoch,
            }
        };
        OffsetForLeaderEpochRequest {
            replica_id,
            topics: vec![OffsetForLeaderTopic {
                topic: topic.into(),
                partitions: partitions.iter().map(partition).collect(),
            }],
        }
    };
    for current in [-1, 0, 1, -2] {
        for epoch in [0, 1, -1, -2, i32::MAX] {
            script.each(&format!("current {current}, epoch {epoch}"), |_, _| {
                asking(-1, "log", &[(0, current, epoch), (1, current, epoch)])
            });
        }
    }
    for replica_id in [-2, 0, 1, 7] {
        script.each(&format!("replica {replica_id}"), |_, _| {
            asking(replica_id, "log", &[(0, -1, 0)])
        });
    }
    script.each("unknown partitions", |_, _| {
        asking(-1, "log", &[(3, -1, 0), (-1, -1, 0), (0, -1, 0)])
    });
    script.each("a partition twice", |_, _| asking(-1, "log", &[(0, -1, 0), (0, -1, 1)]));
    for name in ["log-none", "", "bad name"] {
        script.each(&format!("the topic '{name}'"), |_, _| asking(-1, name, &[(0, -1, 0)]));
    }
    script.each("no partitions", |_, _| asking(-1, "log", &[]));
}

fn deleting(topics: &[(&str, &[(i32, i64)])]) -> DeleteRecordsRequest {
    let partition = |(partition_index, offset): &(i32, i64)| DeleteRecordsPartition {
        partition_index: *partition_index,
        offset: *offset,
    };
    let topic = |(name, partitions): &(&str, &[(i32, i64)])| DeleteRecordsTopic {
        name: (*name).into(),
        partitions: partitions.iter().map(partition).collect(),
    };
    DeleteRecordsRequest { topics: topics.iter().map(topic).collect(), timeout_ms: 30_000 }
}

fn delete_records(script: &mut Script) {
    let time_ms = script.time_ms;
    let compacted = "log-compacted";
    script.topic(compacted, 1, &[("cleanup.policy", "compact")]);
    for version in 0..=2 {
        let name = format!("log-deleted-v{version}");
        script.topic(&name, 2, &[]);
        for _ in 0..3 {
            append(script, &name, &three(time_ms).encode());
        }
        let mut delete = |step: &str, topics: &[(&str, &[(i32, i64)])]| {
            script.ask(step, version, |_| deleting(topics));
        };
        delete("no topics", &[]);
        delete("no partitions", &[(&name, &[])]);
        for offset in [0, 4, 2, 10, -2, i64::MIN, i64::MAX] {
            delete(&format!("up to {offset}"), &[(&name, &[(0, offset)])]);
        }
        delete("unknown partitions", &[(&name, &[(2, 0), (-1, 0), (0, 5)])]);
        delete("a partition twice", &[(&name, &[(0, 6), (0, 5)])]);
        for bad in ["log-none", "", "bad name", compacted, "__cluster_metadata"] {
            delete(&format!("the topic '{bad}'"), &[(bad, &[(0, 0)]), (&name, &[(0, 6)])]);
        }
        delete("an empty partition", &[(&name, &[(1, 0)])]);
        delete("all records", &[(&name, &[(0, -1)])]);
        delete("all records again", &[(&name, &[(0, -1), (1, -1)])]);
        script.ask("up to the end, without time", version, |_| DeleteRecordsRequest {
            timeout_ms: 0,
            ..deleting(&[(&name, &[(0, 9)])])
        });
        for timestamp in [-1, -2, -3, -4, time_ms] {
            script.ask(
                &format!("time {timestamp} after it")
                    .replace(&time_ms.to_string(), "of the records"),
                11,
                |_| listing(&[(&name, &[0, 1])], timestamp),
            );
        }
        append(script, &name, &three(time_ms).encode());
        script.ask("sizes after it", 5, |_| describing(Some(&[(&name, &[0, 1])])));
    }
}

fn describing(topics: Option<&[(&str, &[i32])]>) -> DescribeLogDirsRequest {
    let topic = |(topic, partitions): &(&str, &[i32])| DescribableLogDirTopic {
        topic: (*topic).into(),
        partitions: partitions.to_vec(),
    };
    DescribeLogDirsRequest { topics: topics.map(|topics| topics.iter().map(topic).collect()) }
}

fn describe_log_dirs(script: &mut Script) {
    let cases: [(&str, &[(&str, &[i32])]); 8] = [
        ("a partition", &[("log", &[0])]),
        ("partitions", &[("log", &[1, 0, 2])]),
        ("a partition twice", &[("log", &[0, 0])]),
        ("unknown partitions", &[("log", &[0, 3, -1])]),
        ("an unknown topic", &[("log-none", &[0])]),
        ("two topics", &[("log-deleted-v0", &[0]), ("log", &[0])]),
        ("no partitions", &[("log", &[])]),
        ("no topics", &[]),
    ];
    for (step, topics) in cases {
        script.each(step, |_, _| describing(Some(topics)));
    }
    script.each("everything", |_, _| describing(None));
}
