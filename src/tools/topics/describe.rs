//! `kafka-topics --describe`.

use std::collections::{BTreeMap, BTreeSet};

use uuid::Uuid;

use super::Topics;
use super::options::REPORTS;
use crate::config::resource;
use crate::metadata::{base64, from_base64};
use crate::tools::admin::{Admin, AdminError, refusal};
use crate::tools::flags::Flags;
use crate::tools::java_order::{sort_as_hash_map, sort_as_hash_map_of, string_hash};
use crate::tools::print;
use crate::wire::messages::describe_configs::DescribeConfigsResourceResult as Config;
use crate::wire::messages::describe_topic_partitions::{
    DescribeTopicPartitionsRequest, DescribeTopicPartitionsResponsePartition as Partition,
    DescribeTopicPartitionsResponseTopic as Topic, TopicRequest,
};
use crate::wire::messages::metadata::{MetadataResponsePartition, MetadataResponseTopic};

/// Kafka's default of `--partition-size-limit-per-response`.
const PAGE_PARTITIONS: i32 = 2000;
/// Where a key has its default (`DescribeConfigsResponse.ConfigSource`).
const DEFAULT_CONFIG: i8 = 5;
/// The text of an id may not be longer.
const ID_LENGTH_MAX: usize = 24;

/// What Metadata says of a topic; it knows nothing of eligible leader replicas.
fn from_metadata(topic: MetadataResponseTopic) -> Topic {
    let partition = |partition: MetadataResponsePartition| Partition {
        partition_index: partition.partition_index,
        leader_id: partition.leader_id,
        replica_nodes: partition.replica_nodes,
        isr_nodes: partition.isr_nodes,
        ..Default::default()
    };
    Topic {
        error_code: topic.error_code,
        name: topic.name,
        topic_id: topic.topic_id,
        partitions: topic.partitions.into_iter().map(partition).collect(),
        ..Default::default()
    }
}

/// Empty for a topic that Metadata knows by its id only.
fn name(topic: &Topic) -> &str {
    topic.name.as_deref().unwrap_or_default()
}

impl Topics {
    pub(super) async fn describe(&self) -> Result<(), AdminError> {
        let flags = &self.flags;
        let id = flags.get("topic-id").map(topic_id).transpose()?;
        let id = id.filter(|id| !id.is_nil());
        if ["if-exists", "topic", "topic-id"].iter().all(|flag| flags.has(flag)) {
            print(
                "Only topic id will be used when both --topic and --topic-id are specified and topicId is not Uuid.ZERO_UUID",
            );
        }
        let mut admin = Admin::of(flags, "listTopics").await?;
        let mut topics = if let Some(id) = id {
            self.of_id(&mut admin, id).await?
        } else {
            let names = self.existing(&mut admin).await?;
            self.of_names(&mut admin, &names).await?
        };
        topics.iter().try_for_each(|topic| refusal(topic.error_code, None))?;
        let capacity = topics.len();
        sort_as_hash_map_of(capacity, &mut topics, |topic| string_hash(name(topic)));
        let resources: Vec<(i8, &str)> =
            topics.iter().map(|topic| (resource::TOPIC, name(topic))).collect();
        let results = admin.describe_configs(None, &resources, false).await?.into_iter();
        let mut configs: BTreeMap<String, Vec<Config>> =
            results.map(|one| (one.resource_name, one.configs)).collect();
        let live = admin.brokers().await?.iter().map(|broker| broker.node_id).collect();
        for topic in &mut topics {
            let mut configs = configs.remove(name(topic)).unwrap_or_default();
            sort_as_hash_map(&mut configs, |config| string_hash(&config.name));
            topic.partitions.sort_by_key(|partition| partition.partition_index);
            for line in described(flags, topic, &configs, &live) {
                print(&line);
            }
        }
        Ok(())
    }

    async fn of_id(&self, admin: &mut Admin, id: Uuid) -> Result<Vec<Topic>, AdminError> {
        let all = admin.topics(None).await?.into_iter();
        let hides_internal = self.flags.has("exclude-internal");
        let is_meant = |topic: &MetadataResponseTopic| {
            topic.topic_id == id && !(hides_internal && topic.is_internal)
        };
        let topics: Vec<Topic> = all.filter(is_meant).map(from_metadata).collect();
        if topics.is_empty() && !self.flags.has("if-exists") {
            let id = base64(id);
            return Err(AdminError::Argument(format!("TopicId '{id}' does not exist as expected")));
        }
        Ok(topics)
    }

    /// In pages; of a broker before Kafka 3.8 all at once.
    async fn of_names(
        &self,
        admin: &mut Admin,
        names: &[String],
    ) -> Result<Vec<Topic>, AdminError> {
        let limit = self.number("partition-size-limit-per-response")?;
        if !admin.speaks::<DescribeTopicPartitionsRequest>() {
            let topics = admin.topics(Some(names)).await?.into_iter();
            return Ok(topics.map(from_metadata).collect());
        }
        let mut request = DescribeTopicPartitionsRequest {
            topics: names.iter().map(|name| TopicRequest { name: name.clone() }).collect(),
            response_partition_limit: limit.unwrap_or(PAGE_PARTITIONS),
            cursor: None,
        };
        let mut topics: Vec<Topic> = Vec::new();
        // Without names it would be about all topics.
        while !request.topics.is_empty() {
            let answer = admin.ask(&request).await?;
            for page in answer.topics {
                match topics.last_mut().filter(|last| last.name == page.name) {
                    Some(topic) => topic.partitions.extend(page.partitions),
                    None => topics.push(page),
                }
            }
            // A broker that gives the same page again is asked no more.
            let next = answer.next_cursor.filter(|next| request.cursor.as_ref() != Some(next));
            let Some(next) = next else { break };
            request.topics.retain(|topic| topic.name >= next.topic_name);
            request.cursor = Some(next);
        }
        Ok(topics)
    }
}

/// Reads an id (Java: `Uuid.fromString`).
fn topic_id(text: &str) -> Result<Uuid, AdminError> {
    let digits = text.trim_end_matches('=');
    let wrong = |message| Err(AdminError::Argument(message));
    match from_base64(digits) {
        Some(id) => Ok(id),
        None if text.len() > ID_LENGTH_MAX => {
            let prefix: String = text.chars().take(ID_LENGTH_MAX).collect();
            wrong(format!(
                "Input string with prefix `{prefix}` is too long to be decoded as a base64 UUID"
            ))
        }
        None if digits.len() % 4 == 1 => wrong("Last unit does not have enough valid bits".into()),
        None => wrong(format!(
            "Input string `{text}` decoded as {} bytes, which is not equal to the expected 16 bytes of a \
             base64-encoded UUID",
            digits.len() * 3 / 4
        )),
    }
}

/// The lines of a topic, those that the options ask for.
fn described(
    flags: &Flags,
    topic: &Topic,
    configs: &[Config],
    live: &BTreeSet<i32>,
) -> Vec<String> {
    let only_some = REPORTS.iter().any(|report| flags.has(report));
    let only_overrides = flags.has("topics-with-overrides");
    let own = configs.iter().filter(|config| config.config_source != DEFAULT_CONFIG);
    let text = |config: &Config| config.value.clone().unwrap_or_else(|| "null".to_owned());
    let own: Vec<String> = own.map(|one| format!("{}={}", one.name, text(one))).collect();
    let mut lines = Vec::new();
    let is_told = !(only_some || only_overrides && own.is_empty());
    if let Some(first) = topic.partitions.first().filter(|_| is_told) {
        let id = match topic.topic_id {
            id if id.is_nil() => String::new(),
            id => format!("\tTopicId: {}", base64(id)),
        };
        lines.push(format!(
            "Topic: {}{id}\tPartitionCount: {}\tReplicationFactor: {}\tConfigs: {}",
            name(topic),
            topic.partitions.len(),
            first.replica_nodes.len(),
            own.join(",")
        ));
    }
    let least = configs.iter().find(|config| config.name == "min.insync.replicas");
    let least = least.and_then(|config| config.value.as_deref()?.parse().ok()).unwrap_or(1);
    let partitions = topic.partitions.iter().filter(|_| !only_overrides);
    let told = partitions.filter(|one| !only_some || is_reported(flags, one, least, live));
    lines.extend(told.map(|partition| line(name(topic), partition, live)));
    lines
}

/// Whether one of the reports asked for has this partition; `least` is its `min.insync.replicas`.
fn is_reported(flags: &Flags, partition: &Partition, least: usize, live: &BTreeSet<i32>) -> bool {
    let has_leader = live.contains(&partition.leader_id);
    let in_sync = partition.isr_nodes.len();
    flags.has("under-replicated-partitions") && in_sync < partition.replica_nodes.len()
        || flags.has("unavailable-partitions") && !has_leader
        || flags.has("under-min-isr-partitions") && (!has_leader || in_sync < least)
        || flags.has("at-min-isr-partitions") && in_sync == least
}

fn line(topic: &str, partition: &Partition, live: &BTreeSet<i32>) -> String {
    let list = |ids: &[i32]| ids.iter().map(i32::to_string).collect::<Vec<_>>().join(",");
    let maybe = |ids: &Option<Vec<i32>>| ids.as_deref().map_or("N/A".to_owned(), list);
    let leader = Some(partition.leader_id).filter(|leader| live.contains(leader));
    format!(
        "\tTopic: {topic}\tPartition: {}\tLeader: {}\tReplicas: {}\tIsr: {}\tElr: {}\tLastKnownElr: {}",
        partition.partition_index,
        leader.map_or("none".to_owned(), |leader| leader.to_string()),
        list(&partition.replica_nodes),
        list(&partition.isr_nodes),
        maybe(&partition.eligible_leader_replicas),
        maybe(&partition.last_known_elr)
    )
}

#[cfg(test)]
mod tests {
    use super::super::options::tests::flags;
    use super::*;

    fn topic() -> Topic {
        let whole = Partition {
            leader_id: 1,
            replica_nodes: vec![1, 2],
            isr_nodes: vec![1, 2],
            eligible_leader_replicas: Some(vec![]),
            last_known_elr: Some(vec![2]),
            ..Default::default()
        };
        let lost = Partition {
            partition_index: 1,
            leader_id: -1,
            isr_nodes: vec![],
            eligible_leader_replicas: None,
            ..whole.clone()
        };
        Topic {
            name: Some("t".into()),
            topic_id: Uuid::from_u128(1),
            partitions: vec![whole, lost],
            ..Default::default()
        }
    }

    fn lines(options: &str) -> Vec<String> {
        let config = |name: &str, config_source| Config {
            name: name.into(),
            value: Some("2".into()),
            config_source,
            ..Default::default()
        };
        let configs = [config("flush.ms", 1), config("min.insync.replicas", DEFAULT_CONFIG)];
        described(&flags(options), &topic(), &configs, &BTreeSet::from([1, 2]))
    }

    #[test]
    fn a_topic_and_its_partitions_have_a_line_each() {
        assert_eq!(
            lines("--describe"),
            [
                "Topic: t\tTopicId: AAAAAAAAAAAAAAAAAAAAAQ\tPartitionCount: 2\tReplicationFactor: 2\tConfigs: flush.ms=2",
                "\tTopic: t\tPartition: 0\tLeader: 1\tReplicas: 1,2\tIsr: 1,2\tElr: \tLastKnownElr: 2",
                "\tTopic: t\tPartition: 1\tLeader: none\tReplicas: 1,2\tIsr: \tElr: N/A\tLastKnownElr: 2",
            ]
        );
    }

    #[test]
    fn reports_have_the_partitions_that_they_are_about() {
        for (report, expected) in REPORTS.into_iter().zip([1, 1, 0, 1]) {
            let lines = lines(&format!("--{report}"));
            let start = format!("\tTopic: t\tPartition: {expected}\t");
            assert!(lines.len() == 1 && lines[0].starts_with(&start), "{report}: {lines:?}");
        }
        assert_eq!(lines("--topics-with-overrides").len(), 1);
    }

    #[test]
    fn ids_are_read_as_java_does() {
        assert_eq!(topic_id("AAAAAAAAAAAAAAAAAAAAAQ").unwrap(), Uuid::from_u128(1));
        let wrong = |text: &str| topic_id(text).unwrap_err().to_string();
        assert!(wrong("c2hvcnQ").starts_with("Input string `c2hvcnQ` decoded as 5 bytes"));
        assert!(wrong(&"x".repeat(25)).contains("is too long"));
    }
}
