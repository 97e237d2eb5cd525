//! Topics: made, grown, described and deleted.

mod described;

use ottla::wire::messages::create_partitions::{
    CreatePartitionsAssignment, CreatePartitionsRequest, CreatePartitionsTopic,
};
use ottla::wire::messages::create_topics::{
    CreatableReplicaAssignment, CreatableTopic, CreateTopicsRequest,
};
use ottla::wire::messages::delete_topics::{DeleteTopicState, DeleteTopicsRequest};
use uuid::Uuid;

use crate::requests::creatable;
use crate::script::Script;

pub(crate) const APIS: &[&str] = &[
    "CreateTopics",
    "DeleteTopics",
    "CreatePartitions",
    "Metadata",
    "DescribeTopicPartitions",
    "DescribeCluster",
];

/// An id that no topic has.
pub(crate) const UNKNOWN_ID: Uuid = Uuid::from_u128(0x0123_4567_89ab_4cde_8123_4567_89ab_cdef);
const TIMEOUT_MS: i32 = 30_000;
/// Names that no topic may have.
const BAD_NAMES: [&str; 7] = ["", ".", "..", "two words", "a/b", "t\u{f6}pic", "a,b"];

pub(crate) fn run(script: &mut Script) {
    create_topics(script);
    described::run(script);
    create_partitions(script);
    delete_topics(script);
}

fn creating(topics: Vec<CreatableTopic>) -> CreateTopicsRequest {
    CreateTopicsRequest { topics, timeout_ms: TIMEOUT_MS, ..Default::default() }
}

pub(crate) fn creation(
    name: &str,
    partitions: i32,
    configs: &[(&str, &str)],
) -> CreateTopicsRequest {
    creating(vec![creatable(name, partitions, configs)])
}

fn assigned(name: &str, partitions: &[(i32, &[i32])]) -> CreatableTopic {
    let assignment = |(partition_index, broker_ids): &(i32, &[i32])| CreatableReplicaAssignment {
        partition_index: *partition_index,
        broker_ids: broker_ids.to_vec(),
    };
    CreatableTopic {
        replication_factor: -1,
        assignments: partitions.iter().map(assignment).collect(),
        ..creatable(name, -1, &[])
    }
}

fn create_topics(script: &mut Script) {
    let many_configs = [
        ("cleanup.policy", "compact,delete"),
        ("retention.ms", "123456"),
        ("max.message.bytes", "2000"),
        ("compression.type", "lz4"),
    ];
    for version in 2..=7 {
        let named = |what: &str| format!("create-{what}-v{version}");
        let mut create = |step: &str, topics: Vec<CreatableTopic>| {
            script.ask(step, version, |_| creating(topics.clone()));
            // Nothing is left of it, or the same.
            let validating = CreateTopicsRequest { validate_only: true, ..creating(topics) };
            script.ask(&format!("{step}, validated"), version, |_| validating.clone());
        };
        create("no topics", vec![]);
        create("a topic", vec![creatable(&named("one"), 2, &[])]);
        create("an existing topic", vec![creatable(&named("one"), 2, &[])]);
        create("default numbers", {
            let topic = creatable(&named("default"), -1, &[]);
            vec![CreatableTopic { replication_factor: -1, ..topic }]
        });
        create("configurations", vec![creatable(&named("configs"), 1, &many_configs)]);
        create(
            "good and bad",
            vec![creatable(&named("good"), 1, &[]), creatable("bad name", 1, &[])],
        );
        create(
            "twice",
            vec![creatable(&named("twice"), 1, &[]), creatable(&named("twice"), 1, &[])],
        );
        create("a dot", vec![creatable(&named("a.b"), 1, &[])]);
        create("an underscore like the dot", vec![creatable(&named("a_b"), 1, &[])]);
        for partitions in [0, -2, i32::MIN] {
            let step = format!("{partitions} partitions");
            create(&step, vec![creatable(&named("partitions"), partitions, &[])]);
        }
        for replication_factor in [0, 2, -2, i16::MAX] {
            let topic = creatable(&named("replicas"), 1, &[]);
            let step = format!("{replication_factor} replicas");
            create(&step, vec![CreatableTopic { replication_factor, ..topic }]);
        }
        for name in BAD_NAMES.into_iter().chain(["__cluster_metadata"]) {
            create(&format!("the name '{name}'"), vec![creatable(name, 1, &[])]);
        }
        create("a name of 250", vec![creatable(&"n".repeat(250), 1, &[])]);
        let long_name = format!("{version}{}", "n".repeat(248));
        create("a name of 249", vec![creatable(&long_name, 1, &[])]);
        assignments(&named("assigned"), &mut create);
        refused_configs(&named("refused"), &mut create);
        let without_time =
            CreateTopicsRequest { timeout_ms: 0, ..creation(&named("no-time"), 1, &[]) };
        script.ask("without time", version, |_| without_time.clone());
    }
}

fn assignments(name: &str, create: &mut impl FnMut(&str, Vec<CreatableTopic>)) {
    let cases: [(&str, &[(i32, &[i32])]); 8] = [
        ("an unknown broker", &[(0, &[9])]),
        ("a broker twice", &[(0, &[1, 1])]),
        ("no broker", &[(0, &[])]),
        ("a gap in the partitions", &[(0, &[1]), (2, &[1])]),
        ("a partition twice", &[(0, &[1]), (0, &[1])]),
        ("a negative partition", &[(-1, &[1])]),
        ("different numbers of replicas", &[(0, &[1]), (1, &[1, 2])]),
        ("assigned", &[(1, &[1]), (0, &[1])]),
    ];
    for (step, partitions) in cases {
        create(&format!("assignment: {step}"), vec![assigned(name, partitions)]);
    }
    let both = CreatableTopic { num_partitions: 1, ..assigned(name, &[(0, &[1])]) };
    create("assignment and number", vec![both]);
    let both = CreatableTopic { replication_factor: 1, ..assigned(name, &[(0, &[1])]) };
    create("assignment and replicas", vec![both]);
}

/// Values that no topic may have.
pub(crate) const REFUSED_CONFIGS: [(&str, &str); 16] = [
    ("no.such.key", "1"),
    ("retention.ms", "soon"),
    ("retention.ms", "-2"),
    ("retention.ms", ""),
    ("retention.ms", "9223372036854775808"),
    ("cleanup.policy", "shred"),
    ("cleanup.policy", "compact,"),
    ("compression.type", "zip"),
    ("min.insync.replicas", "0"),
    ("max.message.bytes", "-1"),
    ("segment.bytes", "1"),
    ("segment.ms", "0"),
    ("preallocate", "perhaps"),
    ("message.timestamp.type", "Never"),
    ("min.cleanable.dirty.ratio", "1.5"),
    ("leader.replication.throttled.replicas", "1-2"),
];

fn refused_configs(name: &str, create: &mut impl FnMut(&str, Vec<CreatableTopic>)) {
    for (key, value) in REFUSED_CONFIGS {
        create(&format!("{key}={value}"), vec![creatable(name, 1, &[(key, value)])]);
    }
    let mut without_value = creatable(name, 1, &[("retention.ms", "")]);
    without_value.configs[0].value = None;
    create("a null value", vec![without_value]);
    let twice = [("retention.ms", "1000"), ("retention.ms", "2000")];
    create("a key twice", vec![creatable(&format!("{name}-twice"), 1, &twice)]);
}

fn growing(names: &[&str], count: i32, assignments: Option<&[&[i32]]>) -> CreatePartitionsRequest {
    let assignment =
        |broker_ids: &&[i32]| CreatePartitionsAssignment { broker_ids: broker_ids.to_vec() };
    let topic = |name: &&str| CreatePartitionsTopic {
        name: (*name).into(),
        count,
        assignments: assignments.map(|of| of.iter().map(assignment).collect()),
    };
    CreatePartitionsRequest {
        topics: names.iter().map(topic).collect(),
        timeout_ms: TIMEOUT_MS,
        validate_only: false,
    }
}

fn create_partitions(script: &mut Script) {
    for version in 0..=3 {
        let (one, two) = (format!("grow-1-v{version}"), format!("grow-2-v{version}"));
        script.topic(&one, 2, &[]);
        script.topic(&two, 2, &[]);
        let mut grow = |step: &str, request: CreatePartitionsRequest| {
            let validating = CreatePartitionsRequest { validate_only: true, ..request.clone() };
            script.ask(&format!("{step}, validated"), version, |_| validating.clone());
            script.ask(step, version, |_| request.clone());
        };
        grow("no topics", growing(&[], 3, None));
        for count in [2, 1, 0, -1, i32::MIN] {
            grow(&format!("2 partitions to {count}"), growing(&[&one], count, None));
        }
        grow("an unknown topic", growing(&["grow-none"], 3, None));
        grow("a known and an unknown topic", growing(&["grow-none", &two], 2, None));
        for name in BAD_NAMES {
            grow(&format!("the name '{name}'"), growing(&[name], 3, None));
        }
        grow("a topic twice", growing(&[&one, &one], 3, None));
        let assignments: [&[&[i32]]; 6] =
            [&[], &[&[1], &[1]], &[&[9]], &[&[1, 1]], &[&[1, 2]], &[&[]]];
        for assignment in assignments {
            let step = format!("assigned {assignment:?}");
            grow(&step, growing(&[&one], 3, Some(assignment)));
        }
        let without_time = CreatePartitionsRequest { timeout_ms: 0, ..growing(&[&one], 3, None) };
        grow("without time", without_time);
        grow("two topics", growing(&[&one, &two], 3, None));
        grow("assigned", growing(&[&one], 5, Some(&[&[1], &[1]])));
        script.until_served(&one, 5);
        script.ask("a topic that grew", 12, |_| described::named(&[&one, &two]));
    }
}

fn deleting(names: &[&str], timeout_ms: i32) -> DeleteTopicsRequest {
    let topic = |name: &&str| DeleteTopicState { name: Some((*name).into()), ..Default::default() };
    DeleteTopicsRequest {
        topics: names.iter().map(topic).collect(),
        topic_names: names.iter().map(ToString::to_string).collect(),
        timeout_ms,
    }
}

fn delete_topics(script: &mut Script) {
    for version in 1..=6 {
        let names = [1, 2, 3, 4].map(|number| format!("delete-{number}-v{version}"));
        for name in &names {
            script.topic(name, 1, &[]);
        }
        let [one, two, three, four] = names.each_ref().map(String::as_str);
        let mut delete = |step: &str, names: &[&str], timeout_ms| {
            script.ask(step, version, |_| deleting(names, timeout_ms));
        };
        delete("no topics", &[], TIMEOUT_MS);
        delete("an unknown topic", &["delete-none"], TIMEOUT_MS);
        for name in BAD_NAMES.into_iter().chain(["__cluster_metadata"]) {
            delete(&format!("the name '{name}'"), &[name], TIMEOUT_MS);
        }
        delete("a topic twice", &[one, one], TIMEOUT_MS);
        delete("without time", &[one], 0);
        delete("a topic", &[two], TIMEOUT_MS);
        delete("a deleted topic", &[two], TIMEOUT_MS);
        delete("a known and an unknown topic", &["delete-none", three], TIMEOUT_MS);
        if version == 6 {
            delete_by_id(script, four);
        }
        script.ask("what is left", 12, |_| described::named(&[one, two, three, four]));
    }
}

fn delete_by_id(script: &mut Script, name: &str) {
    let by = |topics: &[(Option<&str>, Uuid)]| {
        let topic = |(name, topic_id): &(Option<&str>, Uuid)| DeleteTopicState {
            name: name.map(Into::into),
            topic_id: *topic_id,
        };
        DeleteTopicsRequest {
            topics: topics.iter().map(topic).collect(),
            timeout_ms: TIMEOUT_MS,
            ..Default::default()
        }
    };
    let nil = Uuid::nil();
    script.ask("an unknown id", 6, |_| by(&[(None, UNKNOWN_ID)]));
    script.ask("neither name nor id", 6, |_| by(&[(None, nil)]));
    script.ask("name and id", 6, |side| by(&[(Some(name), side.topic_id(name))]));
    script.ask("an id twice", 6, |side| by(&[(None, side.topic_id(name)); 2]));
    script.ask("once by name, once by id", 6, |side| {
        by(&[(Some(name), nil), (None, side.topic_id(name))])
    });
    script.ask("an id", 6, |side| by(&[(None, side.topic_id(name))]));
    script.ask("a deleted id", 6, |side| by(&[(None, side.topic_id(name))]));
}
