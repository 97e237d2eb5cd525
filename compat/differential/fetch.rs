//! Fetch, without and with sessions.

use ottla::wire::messages::fetch::{
    FetchPartition, FetchRequest, FetchTopic, ForgottenTopic, ReplicaState,
};
use uuid::Uuid;

use crate::produce::{append, three};
use crate::raw_client::Batch;
use crate::script::Script;
use crate::side::Side;
use crate::topics::UNKNOWN_ID;

pub(crate) const APIS: &[&str] = &["Fetch"];

const VERSIONS: std::ops::RangeInclusive<i16> = 4..=18;
const BY_ID: i16 = 13;

pub(crate) fn run(script: &mut Script) {
    script.topic("fetch", 3, &[]);
    script.topic("fetch-2", 1, &[]);
    let time_ms = script.time_ms;
    // Three batches of three records, then one of a large record, then an empty partition 1.
    for _ in 0..3 {
        append(script, "fetch", &three(time_ms).encode());
    }
    let large = Batch { timestamp_ms: time_ms, ..Batch::of(None, &[&[b'x'; 5000]]) };
    append(script, "fetch", &large.encode());
    append(script, "fetch-2", &three(time_ms).encode());
    positions(script);
    limits(script);
    addresses(script);
    readers(script);
    for version in 7..=18 {
        sessions(script, version);
    }
}

pub(crate) fn partition(partition: i32, fetch_offset: i64) -> FetchPartition {
    FetchPartition { partition, fetch_offset, partition_max_bytes: 1 << 20, ..Default::default() }
}

pub(crate) fn topic(side: &Side, name: &str, partitions: Vec<FetchPartition>) -> FetchTopic {
    FetchTopic { topic: name.into(), topic_id: side.topic_id(name), partitions }
}

pub(crate) fn fetching(topics: Vec<FetchTopic>) -> FetchRequest {
    FetchRequest { max_wait_ms: 0, min_bytes: 1, max_bytes: 1 << 20, topics, ..Default::default() }
}

fn one(side: &Side, partition: FetchPartition) -> FetchRequest {
    fetching(vec![topic(side, "fetch", vec![partition])])
}

fn positions(script: &mut Script) {
    for offset in [0, 1, 3, 8, 9, 10, 11, -1, i64::MAX] {
        for isolation_level in [0, 1] {
            let step = format!("offset {offset}, isolation {isolation_level}");
            script.over(&step, VERSIONS, |side, _| FetchRequest {
                isolation_level,
                ..one(side, partition(0, offset))
            });
        }
    }
    script.over("isolation 9", VERSIONS, |side, _| FetchRequest {
        isolation_level: 9,
        ..one(side, partition(0, 0))
    });
    for current_leader_epoch in [0, 1, -2] {
        for last_fetched_epoch in [-1, 0, 1] {
            let step = format!("epoch {current_leader_epoch}, last {last_fetched_epoch}");
            script.over(&step, 9..=18, |side, _| {
                let partition = partition(0, 3);
                let epochs =
                    FetchPartition { current_leader_epoch, last_fetched_epoch, ..partition };
                one(side, epochs)
            });
        }
    }
}

fn limits(script: &mut Script) {
    for max_bytes in [0, 1, 100, 250, 10_000, -1] {
        for partition_max_bytes in [0, 1, 100, 250, 10_000, -1] {
            let step = format!("at most {max_bytes} bytes, {partition_max_bytes} of a partition");
            script.over(&step, [4, 11, 12, 13, 18], |side, _| FetchRequest {
                max_bytes,
                ..one(side, FetchPartition { partition_max_bytes, ..partition(0, 0) })
            });
        }
    }
    for max_bytes in [0, 200, 400] {
        script.over(&format!("two topics, at most {max_bytes} bytes"), VERSIONS, |side, _| {
            let topics = ["fetch-2", "fetch"].map(|name| topic(side, name, vec![partition(0, 0)]));
            FetchRequest { max_bytes, ..fetching(topics.into()) }
        });
    }
    for (min_bytes, max_wait_ms) in [(0, 0), (0, 50), (1 << 20, 10), (1, 10), (-1, -1)] {
        let step = format!("at least {min_bytes} bytes in {max_wait_ms} ms");
        script.over(&step, VERSIONS, |side, _| FetchRequest {
            min_bytes,
            max_wait_ms,
            ..one(side, partition(1, 0))
        });
    }
}

fn addresses(script: &mut Script) {
    script.over("no topics", VERSIONS, |_, _| fetching(vec![]));
    script.over("no partitions", VERSIONS, |side, _| fetching(vec![topic(side, "fetch", vec![])]));
    script.over("three partitions", VERSIONS, |side, _| {
        let partitions = [2, 0, 1].map(|number| partition(number, 0));
        fetching(vec![topic(side, "fetch", partitions.into())])
    });
    script.over("a partition twice", VERSIONS, |side, _| {
        fetching(vec![topic(side, "fetch", vec![partition(0, 0), partition(0, 3)])])
    });
    for number in [3, -1, i32::MAX] {
        script.over(&format!("partition {number}"), VERSIONS, |side, _| {
            fetching(vec![topic(side, "fetch", vec![partition(number, 0), partition(0, 9)])])
        });
    }
    for name in ["fetch-none", "", "bad name"] {
        script.over(&format!("the topic '{name}'"), VERSIONS, |side, version| {
            let mut unknown = topic(side, name, vec![partition(0, 0)]);
            unknown.topic_id = if version < BY_ID { Uuid::nil() } else { UNKNOWN_ID };
            fetching(vec![unknown, topic(side, "fetch-2", vec![partition(0, 0)])])
        });
    }
    script.over("the zero id", BY_ID..=18, |side, _| {
        fetching(vec![topic(side, "fetch-none", vec![partition(0, 0)])])
    });
}

fn readers(script: &mut Script) {
    for replica_id in [-1, -2, 0, 1, 7] {
        script.over(&format!("replica {replica_id}"), VERSIONS, |side, _| FetchRequest {
            replica_id,
            replica_state: ReplicaState { replica_id, replica_epoch: -1 },
            ..one(side, partition(0, 9))
        });
    }
    script.over("a rack", 11..=18, |side, _| FetchRequest {
        rack_id: "a".into(),
        ..one(side, partition(0, 9))
    });
    script.over("a cluster", 12..=18, |side, _| FetchRequest {
        cluster_id: Some("another".into()),
        ..one(side, partition(0, 9))
    });
    script.over("the start of a replica's log", 5..=18, |side, _| {
        one(side, FetchPartition { log_start_offset: 5, ..partition(0, 9) })
    });
}

/// A request in the session that was learnt.
fn in_session(side: &Side, epoch: i32, topics: Vec<FetchTopic>) -> FetchRequest {
    FetchRequest { session_id: side.number("session"), session_epoch: epoch, ..fetching(topics) }
}

fn sessions(script: &mut Script, version: i16) {
    let name = format!("fetch-session-v{version}");
    script.topic(&name, 2, &[]);
    let time_ms = script.time_ms;
    let batch = three(time_ms).encode();
    append(script, &name, &batch);
    let both =
        |side: &Side, offset| vec![topic(side, &name, vec![partition(0, offset), partition(1, 0)])];
    let opened = script.ask("session: opened", version, |side| FetchRequest {
        session_epoch: 0,
        ..fetching(both(side, 0))
    });
    script.learn("session", &opened, |answer| answer.session_id.to_string());
    let mut next = |step: &str, epoch, topics: &dyn Fn(&Side) -> Vec<FetchTopic>| {
        let step = format!("session: {step}");
        script.ask(&step, version, |side| in_session(side, epoch, topics(side)));
    };
    next("unread data", 1, &|_| vec![]);
    next("moved to the end", 2, &|side| vec![topic(side, &name, vec![partition(0, 3)])]);
    next("nothing new", 3, &|_| vec![]);
    next("a wrong epoch", 3, &|_| vec![]);
    next("out of range", 4, &|side| vec![topic(side, &name, vec![partition(1, 5)])]);
    next("still out of range", 5, &|_| vec![]);
    next("an unknown partition", 6, &|side| vec![topic(side, &name, vec![partition(7, 0)])]);
    next("an unknown topic", 7, &|side| {
        let mut unknown = topic(side, "fetch-none", vec![partition(0, 0)]);
        unknown.topic_id = UNKNOWN_ID;
        vec![unknown]
    });
    next("still unknown", 8, &|_| vec![]);
    let forgetting = |side: &Side| {
        let forgotten = ForgottenTopic {
            topic: name.clone(),
            topic_id: side.topic_id(&name),
            partitions: vec![1, 7, 9],
        };
        FetchRequest { forgotten_topics_data: vec![forgotten], ..in_session(side, 9, vec![]) }
    };
    script.ask("session: partitions forgotten", version, forgetting);
    append(script, &name, &batch);
    script.ask("session: new data", version, |side| in_session(side, 10, vec![]));
    script.ask("session: closed", version, |side| in_session(side, -1, both(side, 3)));
    script.ask("session: after its end", version, |side| in_session(side, 11, vec![]));
    for (id, epoch) in [(0, 1), (0, -1), (77, 0), (77, 1), (77, -1), (-1, 0), (0, -5)] {
        script.ask(&format!("session: {id} epoch {epoch}"), version, |side| FetchRequest {
            session_id: id,
            session_epoch: epoch,
            ..fetching(both(side, 3))
        });
    }
    script.ask("session: of nothing", version, |_| FetchRequest {
        session_epoch: 0,
        ..fetching(vec![])
    });
}
