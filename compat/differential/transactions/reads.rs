//! Fetch and ListOffsets over transactions that are committed, aborted, empty and open.

use ottla::wire::messages::delete_records::{
    DeleteRecordsPartition, DeleteRecordsRequest, DeleteRecordsTopic,
};
use ottla::wire::messages::fetch::{FetchPartition, FetchRequest};
use ottla::wire::messages::list_offsets::{
    ListOffsetsPartition, ListOffsetsRequest, ListOffsetsTopic,
};
use ottla::wire::messages::produce::ProduceRequest;

use super::{Claim, Producer, identity, producers, writing};
use crate::fetch::{fetching, partition, topic};
use crate::produce::{append, producing, three};
use crate::raw_client::Batch;
use crate::script::Script;
use crate::side::Side;

const TOPIC: &str = "transactions-reads";
const EMPTY: &str = "transactions-empty";
const FETCH: std::ops::RangeInclusive<i16> = 4..=18;
const READ_COMMITTED: i8 = 1;

pub(super) fn run(script: &mut Script) {
    script.topic(TOPIC, 2, &[]);
    interleaved(script);
    deleted(script);
    large(script, "transactions-large", &[]);
    large(script, "transactions-segments", &[("segment.ms", "100")]);
    waiting(script);
}

fn write(script: &mut Script, id: &str, topic: &str, time_ms: i64, sequence: i32) {
    script.ask("records to read", 12, |side| {
        writing(side, &identity(side, id, Claim::Right), time_ms, (topic, &[0]), sequence)
    });
}

fn end(script: &mut Script, id: &str, committed: bool) {
    Producer::new(script, id).end("a transaction to read", 5, Claim::Right, committed);
}

fn begin(script: &mut Script, ids: &[&str]) {
    for id in ids {
        Producer::begun(script, *id);
    }
}

/// Transactions beside each other, and what readers see meanwhile and afterwards.
fn interleaved(script: &mut Script) {
    let time_ms = script.time_ms;
    let [one, two, open] = ["reads-one", "reads-two", "reads-open"];
    begin(script, &[one, two, open]);
    read(script, "nothing", &[0]);
    write(script, one, TOPIC, time_ms, 0);
    read(script, "the first is open", &[0, 3]);
    end(script, one, true);
    append(script, TOPIC, &three(time_ms + 10).encode());
    write(script, one, TOPIC, time_ms + 20, 0);
    write(script, one, TOPIC, time_ms + 30, 3);
    end(script, one, false);
    write(script, two, TOPIC, time_ms + 40, 0);
    write(script, one, TOPIC, time_ms + 50, 0);
    write(script, two, TOPIC, time_ms + 60, 3);
    read(script, "two are open", &[0, 7, 14, 17]);
    end(script, one, false);
    read(script, "the later one is aborted", &[0, 7, 14, 17, 23]);
    end(script, two, true);
    nothing_written(script);
    write(script, open, TOPIC, time_ms + 70, 0);
    append(script, TOPIC, &three(time_ms + 80).encode());
    write(script, two, TOPIC, time_ms + 90, 0);
    end(script, two, false);
    read(script, "one stays open", &[0, 4, 7, 8, 13, 14, 17, 20, 23, 24, 25, 30, 33, 40, 99]);
    limits(script);
    list(script, "one stays open");
    sessions(script, 7);
    sessions(script, 18);
    producers(script, "one stays open", TOPIC, &[0, 1]);
    end(script, open, false);
    read(script, "all are ended", &[0, 4, 7, 8, 13, 14, 17, 20, 23, 24, 25, 30, 33, 36]);
    limits(script);
    list(script, "all are ended");
}

/// Transactions of which only the end is in the partition.
fn nothing_written(script: &mut Script) {
    let mut producer = Producer::begun(script, "reads-nothing");
    for committed in [true, false] {
        producer.add("nothing to read", 3, Claim::Right, &[(TOPIC, &[0, 1])]);
        producer.end("nothing to read", 4, Claim::Right, committed);
    }
}

fn reading(side: &Side, name: &str, isolation_level: i8, of: FetchPartition) -> FetchRequest {
    FetchRequest { isolation_level, ..fetching(vec![topic(side, name, vec![of])]) }
}

fn read(script: &mut Script, step: &str, offsets: &[i64]) {
    for offset in offsets {
        for isolation in [0, 1] {
            script.over(&format!("{step}: {offset}, isolation {isolation}"), FETCH, |side, _| {
                reading(side, TOPIC, isolation, partition(0, *offset))
            });
        }
    }
}

fn limits(script: &mut Script) {
    for partition_max_bytes in [0, 1, 200, 400, 700] {
        for offset in [0, 7, 8, 17] {
            let step = format!("at most {partition_max_bytes} bytes from {offset}");
            for isolation in [0, 1] {
                script.over(&format!("{step}, isolation {isolation}"), [4, 12, 18], |side, _| {
                    let partition = FetchPartition { partition_max_bytes, ..partition(0, offset) };
                    reading(side, TOPIC, isolation, partition)
                });
            }
        }
    }
}

fn list(script: &mut Script, when: &str) {
    let first_ms = script.time_ms;
    let times = [-1, -2, -3, -4, -5, -6].into_iter();
    let times = times.chain([0, 10, 15, 40, 60, 70, 75, 80, 90, 95].map(|off| first_ms + off));
    for timestamp in times {
        for isolation_level in [0, 1] {
            let off = if timestamp < 0 { timestamp } else { timestamp - first_ms };
            let step = format!("{when}: time {off}, isolation {isolation_level}");
            let first = if timestamp < -3 { 8 } else { 2 };
            script.over(&step, first..=11, |_, _| ListOffsetsRequest {
                replica_id: -1,
                isolation_level,
                topics: vec![ListOffsetsTopic {
                    name: TOPIC.into(),
                    partitions: [0, 1]
                        .map(|partition_index| ListOffsetsPartition {
                            partition_index,
                            timestamp,
                            ..Default::default()
                        })
                        .into(),
                }],
                ..Default::default()
            });
        }
    }
}

/// The end of a transaction in a session.
fn sessions(script: &mut Script, version: i16) {
    let time_ms = script.time_ms;
    let id = &format!("reads-session-v{version}");
    let name = format!("transactions-session-v{version}");
    script.topic(&name, 2, &[]);
    begin(script, &[id]);
    write(script, id, &name, time_ms, 0);
    for isolation_level in [0, READ_COMMITTED] {
        let session = format!("session-{isolation_level}");
        let opened = script.ask("a session is opened", version, |side| {
            let partitions = vec![partition(0, 0), partition(1, 0)];
            let all = fetching(vec![topic(side, &name, partitions)]);
            FetchRequest { isolation_level, session_epoch: 0, ..all }
        });
        script.learn(&session, &opened, |answer| answer.session_id.to_string());
    }
    let next = |script: &mut Script, step: &str, epoch: i32| {
        for isolation_level in [0, READ_COMMITTED] {
            let step = format!("{step}, isolation {isolation_level}");
            script.ask(&step, version, |side| FetchRequest {
                isolation_level,
                session_id: side.number(&format!("session-{isolation_level}")),
                session_epoch: epoch,
                ..fetching(vec![])
            });
        }
    };
    next(script, "nothing new", 1);
    end(script, id, false);
    next(script, "after the end", 2);
    next(script, "nothing new after the end", 3);
    append(script, &name, &three(time_ms).encode());
    next(script, "more records", 4);
    next(script, "after its end", -1);
}

/// The log begins in a transaction, and after it.
fn deleted(script: &mut Script) {
    for offset in [8, 13, 18] {
        script.ask("records of transactions deleted", 2, |_| DeleteRecordsRequest {
            topics: vec![DeleteRecordsTopic {
                name: TOPIC.into(),
                partitions: vec![DeleteRecordsPartition { partition_index: 0, offset }],
            }],
            timeout_ms: 30_000,
        });
        read(script, &format!("from {offset} on"), &[0, offset, offset + 1, 25]);
        producers(script, &format!("from {offset} on"), TOPIC, &[0]);
    }
    list(script, "records were deleted");
}

/// Large records, in one segment and in many: it depends on those and on their indexes which aborted transactions a
/// reader is told of. With a limit, every transaction begins a segment: its time is later than that of the segment's
/// first record by more than a segment may hold, and the time of its end is not.
fn large(script: &mut Script, name: &str, configs: &[(&str, &str)]) {
    script.topic(name, 1, configs);
    let later_ms = script.time_ms + 5_400_000;
    let ids = ["", "-open"].map(|of| format!("reads-{name}{of}"));
    let [one, two] = [ids[0].as_str(), ids[1].as_str()];
    begin(script, &[one, two]);
    for number in 0..8 {
        let id = if number == 3 { two } else { one };
        script.ask("a large record", 12, |side| {
            let who = identity(side, id, Claim::Right);
            let Batch { records, .. } = Batch::of(Some(b"key"), &[&[b'x'; 5000]]);
            let batch = super::batch(&who, later_ms + number * 1000, 0);
            let batch = Batch { records, count: 1, last_offset_delta: 0, ..batch };
            ProduceRequest {
                transactional_id: Some(id.into()),
                ..producing(side, name, &[(0, Some(batch.encode()))])
            }
        });
        if id == one {
            end(script, one, number % 3 == 0);
        }
    }
    read_large(script, name, "one is open");
    end(script, two, false);
    read_large(script, name, "all are ended");
}

fn read_large(script: &mut Script, name: &str, when: &str) {
    for offset in 0..16 {
        for partition_max_bytes in [0, 6000, 11_000, 1 << 20] {
            for isolation in [0, 1] {
                let step = format!("{name}, {when}: {offset}, isolation {isolation}");
                let step = format!("{step}, at most {partition_max_bytes} bytes");
                script.over(&step, [4, 18], |side, _| {
                    let of = FetchPartition { partition_max_bytes, ..partition(0, offset) };
                    reading(side, name, isolation, of)
                });
            }
        }
    }
}

/// A reader waits at the last stable offset until a transaction ends.
fn waiting(script: &mut Script) {
    script.topic(EMPTY, 1, &[]);
    let time_ms = script.time_ms;
    for version in [4, 11, 12, 13, 18] {
        for committed in [true, false] {
            let id = format!("reads-waiting-v{version}-{committed}");
            begin(script, &[&id]);
            write(script, &id, EMPTY, time_ms, 0);
            let end_offset = script.sides[0].number::<i64>("reads-waiting").max(0);
            script.send("reader", version, |side| FetchRequest {
                max_wait_ms: 9000,
                ..reading(side, EMPTY, READ_COMMITTED, partition(0, end_offset))
            });
            end(script, &id, committed);
            script.receive::<FetchRequest>("reader", "the end of a transaction", version);
            let ends = [Some(end_offset + 4); 2];
            script.learn("reads-waiting", &ends, ToString::to_string);
        }
    }
    script.leave("reader");
}
