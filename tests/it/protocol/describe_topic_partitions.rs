//! `DescribeTopicPartitions`.

use ottla::wire::messages::describe_topic_partitions::{
    Cursor, DescribeTopicPartitionsRequest, DescribeTopicPartitionsResponse,
    DescribeTopicPartitionsResponsePartition, TopicRequest,
};

use super::client::Target;
use super::errors::{
    INVALID_REQUEST, INVALID_TOPIC, UNKNOWN_SERVER_ERROR, UNKNOWN_TOPIC_OR_PARTITION,
};

checks![
    a_topic_is_described_in_full,
    topics_come_sorted_and_once,
    a_page_ends_where_the_next_begins,
    a_limit_below_1_is_1,
    a_cursor_behind_the_last_partition_gives_none,
    a_cursor_must_name_a_topic_of_the_list_and_a_partition,
    topics_with_errors_do_not_count,
    an_empty_name_needs_a_cursor,
    no_list_is_all_topics,
    pages_make_up_the_whole,
];

/// Every operation on a topic, as bits.
const OPERATIONS: i32 = 3576;
const NO_OPERATIONS: i32 = i32::MIN;

/// Where a page begins; None for the beginning of all of them.
type From<'a> = Option<(&'a str, i32)>;

fn ask(
    target: &Target,
    names: &[&str],
    response_partition_limit: i32,
    from: From<'_>,
) -> DescribeTopicPartitionsResponse {
    let topics = names.iter().map(|name| TopicRequest { name: (*name).into() }).collect();
    let cursor =
        from.map(|(topic, partition_index)| Cursor { topic_name: topic.into(), partition_index });
    let request = DescribeTopicPartitionsRequest { topics, response_partition_limit, cursor };
    target.call(&request, 0)
}

fn at(topic: &str, partition: i32) -> (&str, i32) {
    (topic, partition)
}

/// Where the next page begins.
fn cursor(response: &DescribeTopicPartitionsResponse) -> From<'_> {
    let cursor = response.next_cursor.as_ref()?;
    Some((&cursor.topic_name, cursor.partition_index))
}

/// Error, name and partitions of each topic.
fn pages(response: &DescribeTopicPartitionsResponse) -> Vec<(i16, &str, Vec<i32>)> {
    let topics = response.topics.iter().map(|topic| {
        let is_refused = [INVALID_REQUEST, UNKNOWN_SERVER_ERROR].contains(&topic.error_code);
        let operations = if is_refused { NO_OPERATIONS } else { OPERATIONS };
        assert_eq!(topic.topic_authorized_operations, operations, "{topic:?}");
        assert_eq!(topic.topic_id.is_nil(), topic.error_code != 0, "{topic:?}");
        let partitions = topic.partitions.iter().map(|partition| partition.partition_index);
        (topic.error_code, topic.name.as_deref().unwrap(), partitions.collect())
    });
    topics.collect()
}

fn a_topic_is_described_in_full(target: &Target) {
    let topic = target.topic(2);
    let response = ask(target, &[&topic.name], 2000, None);
    assert_eq!(cursor(&response), None);
    let [described] = &response.topics[..] else { panic!("{response:?}") };
    assert_eq!((described.error_code, described.name.as_ref()), (0, Some(&topic.name)));
    assert_eq!((described.topic_id, described.is_internal), (topic.id, false));
    assert_eq!(described.topic_authorized_operations, OPERATIONS);
    let partition = |partition_index| DescribeTopicPartitionsResponsePartition {
        partition_index,
        leader_id: 1,
        leader_epoch: 0,
        replica_nodes: vec![1],
        isr_nodes: vec![1],
        eligible_leader_replicas: Some(Vec::new()),
        last_known_elr: Some(Vec::new()),
        ..Default::default()
    };
    assert_eq!(described.partitions, [partition(0), partition(1)]);
}

fn topics_come_sorted_and_once(target: &Target) {
    let (first, second) = (target.topic(1).name, target.topic(2).name);
    let response = ask(target, &[&second, &first, &second], 2000, None);
    let mut expected = [(0, first.as_str(), vec![0]), (0, second.as_str(), vec![0, 1])];
    expected.sort_by_key(|(_, name, _)| *name);
    assert_eq!(pages(&response), expected);
    assert_eq!(cursor(&response), None);
}

/// Two topics, of 5 and of 3 partitions, in order of their names.
fn two(target: &Target) -> (String, String) {
    let first = target.topic(5).name;
    let second = format!("{first}-more");
    let created = target.create(&super::client::creatable(&second, 3, &[]), 7);
    assert_eq!(created.error_code, 0);
    let topic = super::client::Topic { name: second.clone(), id: created.topic_id };
    target.wait_until_served(&topic, 2);
    (first, second)
}

fn a_page_ends_where_the_next_begins(target: &Target) {
    let (first, second) = two(target);
    let (first, second) = (first.as_str(), second.as_str());
    let names = [second, first];
    let all = vec![0, 1, 2, 3, 4];
    for (limit, from, expected, next) in [
        (3, None, vec![(0, first, vec![0, 1, 2])], Some(at(first, 3))),
        (5, None, vec![(0, first, all.clone())], Some(at(second, 0))),
        (6, None, vec![(0, first, all.clone()), (0, second, vec![0])], Some(at(second, 1))),
        (8, None, vec![(0, first, all), (0, second, vec![0, 1, 2])], None),
        (
            3,
            Some(at(first, 3)),
            vec![(0, first, vec![3, 4]), (0, second, vec![0])],
            Some(at(second, 1)),
        ),
        (4, Some(at(first, 4)), vec![(0, first, vec![4]), (0, second, vec![0, 1, 2])], None),
        (9, Some(at(second, 2)), vec![(0, second, vec![2])], None),
    ] {
        let response = ask(target, &names, limit, from);
        assert_eq!(pages(&response), expected, "{limit} from {from:?}");
        assert_eq!(cursor(&response), next, "{limit} from {from:?}");
    }
}

fn a_limit_below_1_is_1(target: &Target) {
    let name = target.topic(2).name;
    for limit in [1, 0, -1, i32::MIN] {
        let response = ask(target, &[&name], limit, None);
        assert_eq!(pages(&response), [(0, name.as_str(), vec![0])], "{limit}");
        assert_eq!(cursor(&response), Some(at(&name, 1)), "{limit}");
    }
    let response = ask(target, &[&name], i32::MAX, None);
    assert_eq!(pages(&response), [(0, name.as_str(), vec![0, 1])]);
}

fn a_cursor_behind_the_last_partition_gives_none(target: &Target) {
    let name = target.topic(2).name;
    for partition in [2, 99, i32::MAX - 1] {
        let response = ask(target, &[&name], 1, Some(at(&name, partition)));
        assert_eq!(pages(&response), [(0, name.as_str(), vec![])], "{partition}");
        assert_eq!(cursor(&response), None);
    }
}

fn a_cursor_must_name_a_topic_of_the_list_and_a_partition(target: &Target) {
    let (name, other) = (target.topic(1).name, target.name());
    let topics = [name.as_str(), "a b", &name];
    let refused = |name| (INVALID_REQUEST, name, vec![]);
    for bad in [at(&other, 0), at("", 0), at("z", 0), at(&name, -1)] {
        let response = ask(target, &topics, 2000, Some(bad));
        assert_eq!(pages(&response), topics.map(refused), "{bad:?}");
        assert_eq!(cursor(&response), None);
    }
    // The topic need not exist.
    let response = ask(target, &[&name, &other], 2000, Some(at(&other, 3)));
    assert_eq!(pages(&response), [(UNKNOWN_TOPIC_OR_PARTITION, other.as_str(), vec![])]);
}

fn topics_with_errors_do_not_count(target: &Target) {
    let name = target.topic(2).name;
    let before = ["a b", "n1", "n2"];
    let names = [before[0], before[1], before[2], &name];
    let response = ask(target, &names, 1, None);
    let unknown = |name| (UNKNOWN_TOPIC_OR_PARTITION, name, vec![]);
    let expected = [
        (INVALID_TOPIC, before[0], vec![]),
        unknown(before[1]),
        unknown(before[2]),
        (0, name.as_str(), vec![0]),
    ];
    assert_eq!(pages(&response), expected);
    assert_eq!(cursor(&response), Some(at(&name, 1)));
    // A full page names the next topic, whether it exists or not, and nothing behind it.
    let response = ask(target, &[&name, "z1", "z2"], 2, None);
    assert_eq!(pages(&response), [(0, name.as_str(), vec![0, 1])]);
    assert_eq!(cursor(&response), Some(at("z1", 0)));
    // Internal by its name, whether it exists or not.
    let response = ask(target, &["__share_group_state", "__cluster_metadata"], 2000, None);
    let internal: Vec<_> = response.topics.iter().map(|topic| topic.is_internal).collect();
    assert_eq!(internal, [false, true]);
}

fn an_empty_name_needs_a_cursor(target: &Target) {
    let name = target.topic(1).name;
    let response = ask(target, &[&name, ""], 2000, None);
    let failed = |name| (UNKNOWN_SERVER_ERROR, name, vec![]);
    assert_eq!(pages(&response), [failed(name.as_str()), failed("")]);
    let response = ask(target, &[&name, ""], 2000, Some(at("", 0)));
    assert_eq!(pages(&response), [(INVALID_TOPIC, "", vec![]), (0, name.as_str(), vec![0])]);
    let response = ask(target, &[&name, ""], 2000, Some(at(&name, 0)));
    assert_eq!(pages(&response), [(0, name.as_str(), vec![0])]);
}

fn no_list_is_all_topics(target: &Target) {
    let (first, second) = two(target);
    let response = ask(target, &[], 6, Some(at(&first, 0)));
    let expected = [(0, first.as_str(), vec![0, 1, 2, 3, 4]), (0, second.as_str(), vec![0])];
    assert_eq!(pages(&response), expected);
    assert_eq!(cursor(&response), Some(at(&second, 1)));
    // Here the cursor's topic may be gone: the next one begins at its first partition.
    let response = ask(target, &[], 2, Some(at(&format!("{first}-gone"), 3)));
    assert_eq!(pages(&response), [(0, second.as_str(), vec![0, 1])]);
    let response = ask(target, &[], 2, Some(at("~", 3)));
    assert_eq!((pages(&response), cursor(&response)), (vec![], None));
    let response = ask(target, &[], 2, Some(at(&first, -1)));
    assert_eq!((pages(&response), cursor(&response)), (vec![], None));
}

fn pages_make_up_the_whole(target: &Target) {
    let whole = ask(target, &[], 2000, None);
    assert_eq!(cursor(&whole), None, "more topics than a page holds");
    let flat = |response: &DescribeTopicPartitionsResponse| -> Vec<(String, i32)> {
        let flat = pages(response).into_iter().flat_map(|(error, name, partitions)| {
            assert_eq!(error, 0, "{name}");
            partitions.into_iter().map(move |partition| (name.to_owned(), partition))
        });
        flat.collect()
    };
    let mut found = Vec::new();
    let mut page = ask(target, &[], 7, None);
    loop {
        found.extend(flat(&page));
        let Some(from) = cursor(&page) else { break };
        page = ask(target, &[], 7, Some(from));
    }
    assert_eq!(found, flat(&whole));
}
