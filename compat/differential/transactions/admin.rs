//! Who coordinates transactions, and what may be learnt of them.

use ottla::wire::messages::create_topics::CreateTopicsRequest;
use ottla::wire::messages::delete_records::{
    DeleteRecordsPartition, DeleteRecordsRequest, DeleteRecordsTopic,
};
use ottla::wire::messages::describe_configs::{DescribeConfigsRequest, DescribeConfigsResource};
use ottla::wire::messages::describe_topic_partitions::{
    DescribeTopicPartitionsRequest, TopicRequest,
};
use ottla::wire::messages::find_coordinator::FindCoordinatorRequest;
use ottla::wire::messages::list_transactions::ListTransactionsRequest;
use ottla::wire::messages::metadata::{MetadataRequest, MetadataRequestTopic};

use super::states::State;
use super::{KEY_TYPE, OTHER_PRODUCER, Producer, describing};
use crate::produce::{producing, three};
use crate::requests::creatable;
use crate::script::Script;

const TOPIC: &str = "__transaction_state";
const LIST: std::ops::RangeInclusive<i16> = 0..=2;
/// From here on it is asked by how long a transaction is open, and by what its id is like.
const DURATION: i16 = 1;
const PATTERN: i16 = 2;

pub(super) fn run(script: &mut Script) {
    find(script);
    let ids = entered(script);
    describe(script, &ids);
    by_state(script);
    by_producer(script, &ids);
    by_duration(script);
    by_pattern(script);
    topic(script);
}

fn find(script: &mut Script) {
    for key in ["transactions", "", "bad name!", "\u{fc}ber"] {
        script.each(&format!("the transactional id '{key}'"), |_, _| FindCoordinatorRequest {
            key: key.into(),
            key_type: KEY_TYPE,
            coordinator_keys: vec![key.into()],
        });
    }
    for keys in [&[][..], &["one", "two", ""][..], &["one", "one"][..]] {
        script.over(&format!("transactional ids {keys:?}"), 4..=6, |_, _| FindCoordinatorRequest {
            key_type: KEY_TYPE,
            coordinator_keys: keys.iter().map(ToString::to_string).collect(),
            ..Default::default()
        });
    }
}

/// A transactional id for each state.
fn entered(script: &mut Script) -> Vec<String> {
    let states = || State::ALL.into_iter().zip(0..);
    let id = |state: State| format!("admin-{state:?}");
    for (state, partition) in states() {
        state.enter(&mut Producer::new(script, id(state)), partition);
    }
    for (state, _) in states() {
        state.await_it(&mut Producer::new(script, id(state)));
    }
    states().map(|(state, _)| id(state)).collect()
}

fn describe(script: &mut Script, ids: &[String]) {
    let ids: Vec<&str> = ids.iter().map(String::as_str).collect();
    for ids in [&ids[..], &[], &[""], &[ids[1], "", "admin-none", ids[1], ids[3]]] {
        let asking = describing(ids);
        script.ask(&format!("{} transactions", ids.len()), 0, |_| asking.clone());
    }
}

fn by_state(script: &mut Script) {
    let states: [&[&str]; 16] = [
        &[],
        &["Empty"],
        &["Ongoing"],
        &["PrepareCommit"],
        &["PrepareAbort"],
        &["CompleteCommit"],
        &["CompleteAbort"],
        &["Dead"],
        &["PrepareEpochFence"],
        &["Ongoing", "CompleteAbort", "Ongoing"],
        &["ongoing"],
        &["ONGOING", "Empty"],
        &[""],
        &["None", "Other", "None"],
        &["Ongoing", "None", "Empty"],
        &["Complete"],
    ];
    for states in states {
        script.over(&format!("states {states:?}"), LIST, |_, _| ListTransactionsRequest {
            state_filters: states.iter().map(ToString::to_string).collect(),
            ..Default::default()
        });
    }
}

fn by_producer(script: &mut Script, ids: &[String]) {
    for id in ids {
        for states in [&[][..], &["Ongoing"]] {
            script.over(&format!("the producer of {id}, {states:?}"), LIST, |side, _| {
                ListTransactionsRequest {
                    producer_id_filters: vec![side.number(&format!("{id}/producer")), -1, -1],
                    state_filters: states.iter().map(ToString::to_string).collect(),
                    ..Default::default()
                }
            });
        }
    }
    for producers in [&[-1][..], &[OTHER_PRODUCER, i64::MIN]] {
        script.over(&format!("the producers {producers:?}"), LIST, |_, _| {
            ListTransactionsRequest {
                producer_id_filters: producers.to_vec(),
                ..Default::default()
            }
        });
    }
}

fn by_duration(script: &mut Script) {
    for duration_filter in [-1, -2, i64::MIN, 0, 86_400_000, 4_000_000_000_000, i64::MAX] {
        for states in [&[][..], &["Ongoing", "Empty"]] {
            let step = format!("open for {duration_filter}, states {states:?}");
            script.over(&step, DURATION..=2, |_, _| ListTransactionsRequest {
                duration_filter,
                state_filters: states.iter().map(ToString::to_string).collect(),
                ..Default::default()
            });
        }
    }
}

fn by_pattern(script: &mut Script) {
    let patterns = [
        None,
        Some(""),
        Some("admin-Empty"),
        Some("admin"),
        Some("admin-.*"),
        Some(".*Again"),
        Some("^admin-E.*$"),
        Some("admin-(Empty|Added)"),
        Some("(?i)ADMIN-empty"),
        Some("admin-[A-C]\\w+"),
        Some("admin-\\p{Lu}\\p{Ll}{4}"),
        Some("life-v\\d{1,2}"),
        Some("life-v1+"),
        Some("\\Qadmin-Empty\\E"),
        Some("a.*?y"),
        Some("admin-none"),
        Some("["),
        Some("*"),
        Some("(admin"),
        Some("admin-{2,1}"),
    ];
    for transactional_id_pattern in patterns {
        let step = format!("ids like {transactional_id_pattern:?}");
        script.over(&step, PATTERN..=PATTERN, |_, _| ListTransactionsRequest {
            transactional_id_pattern: transactional_id_pattern.map(Into::into),
            ..Default::default()
        });
    }
    script.ask("ids and states and producers", PATTERN, |side| ListTransactionsRequest {
        state_filters: vec!["Ongoing".into(), "None".into()],
        producer_id_filters: ["admin-Added", "admin-Empty", "life-v3"]
            .map(|id| side.number(&format!("{id}/producer")))
            .into(),
        duration_filter: 0,
        transactional_id_pattern: Some("admin.*".into()),
    });
    for (id, pattern) in [("admin-Added", Some("[")), ("admin-none", None)] {
        script.ask(&format!("what filters: {pattern:?}"), PATTERN, |side| {
            ListTransactionsRequest {
                producer_id_filters: vec![side.number(&format!("{id}/producer"))],
                state_filters: vec!["None".into()],
                transactional_id_pattern: pattern.map(Into::into),
                ..Default::default()
            }
        });
    }
}

/// The topic that transactions are kept in.
fn topic(script: &mut Script) {
    script.each("the transactions' topic", |_, _| MetadataRequest {
        topics: Some(vec![MetadataRequestTopic { name: Some(TOPIC.into()), ..Default::default() }]),
        include_topic_authorized_operations: true,
        ..Default::default()
    });
    script.ask("the transactions' topic", 0, |_| DescribeTopicPartitionsRequest {
        topics: vec![TopicRequest { name: TOPIC.into() }],
        response_partition_limit: 7,
        ..Default::default()
    });
    script.ask("the transactions' topic", 4, |_| DescribeConfigsRequest {
        resources: vec![DescribeConfigsResource {
            resource_type: 2,
            resource_name: TOPIC.into(),
            configuration_keys: None,
        }],
        include_synonyms: true,
        ..Default::default()
    });
    script.ask("the transactions' topic is created", 7, |_| CreateTopicsRequest {
        topics: vec![creatable(TOPIC, 1, &[])],
        timeout_ms: 30_000,
        ..Default::default()
    });
    let batch = three(script.time_ms).encode();
    for version in 3..=13 {
        script.ask("records for the transactions' topic", version, |side| {
            producing(side, TOPIC, &[(0, Some(batch.clone()))])
        });
    }
    script.ask("records of the transactions' topic deleted", 2, |_| DeleteRecordsRequest {
        topics: vec![DeleteRecordsTopic {
            name: TOPIC.into(),
            partitions: vec![DeleteRecordsPartition { partition_index: 0, offset: 0 }],
        }],
        timeout_ms: 30_000,
    });
}
