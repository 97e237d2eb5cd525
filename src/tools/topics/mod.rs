//! `kafka-topics` (Kafka: `TopicCommand`).

mod describe;
mod options;

use regex::bytes::{Regex, RegexBuilder};

use super::admin::{Admin, AdminError, refusal};
use super::flags::Flags;
use super::{Failure, print};
use crate::config::{BrokerLayers, ConfigMap, TopicConfig};
use crate::metadata::is_internal_topic;
use crate::wire::ErrorCode;
use crate::wire::messages::create_partitions::{
    CreatePartitionsAssignment, CreatePartitionsRequest, CreatePartitionsTopic,
};
use crate::wire::messages::create_topics::{
    CreatableReplicaAssignment, CreatableTopic, CreatableTopicConfig, CreateTopicsRequest,
};
use crate::wire::messages::delete_topics::{DeleteTopicState, DeleteTopicsRequest};
pub(crate) use options::OPTIONS;

const METRIC_NAMES: &str = "WARNING: Due to limitations in metric names, topics with a period ('.') or underscore ('_') \
     could collide. To avoid issues it is best to use either, but not both.";

/// Runs the tool.
pub(crate) async fn run(flags: Flags) -> Result<(), Failure> {
    let action = options::action(&flags)?;
    let topics = Topics { flags };
    let done = match action {
        "create" => topics.create().await,
        "delete" => topics.delete().await,
        "alter" => topics.alter().await,
        "describe" => topics.describe().await,
        _ => topics.list().await,
    };
    done.map_err(|error| match error {
        AdminError::Addresses(_) => error.complaint(None),
        AdminError::Properties(failure) => failure,
        error => Failure::out(format!("Error while executing topic command : {error}")),
    })
}

struct Topics {
    flags: Flags,
}

impl Topics {
    /// The topics that are meant, in the order of their names.
    async fn names(&self, admin: &mut Admin) -> Result<Vec<String>, AdminError> {
        let pattern = self.flags.get("topic").map(topic_pattern).transpose()?;
        let topics = admin.topics(None).await?;
        let mut names: Vec<String> = topics.into_iter().filter_map(|topic| topic.name).collect();
        let hides_internal = self.flags.has("exclude-internal");
        names.retain(|name| {
            let is_meant = pattern.as_ref().is_none_or(|pattern| pattern.is_match(name.as_bytes()));
            is_meant && !(hides_internal && is_internal_topic(name))
        });
        names.sort();
        Ok(names)
    }

    /// As [`Topics::names`]; that there is none is an error, unless the options say otherwise.
    async fn existing(&self, admin: &mut Admin) -> Result<Vec<String>, AdminError> {
        let names = self.names(admin).await?;
        match self.flags.get("topic") {
            Some(topic)
                if !topic.is_empty() && names.is_empty() && !self.flags.has("if-exists") =>
            {
                Err(AdminError::Argument(format!("Topic '{topic}' does not exist as expected")))
            }
            _ => Ok(names),
        }
    }

    /// The number of an option, if it is given.
    fn number(&self, option: &str) -> Result<Option<i32>, AdminError> {
        let Some(text) = self.flags.get(option) else { return Ok(None) };
        let wrong = || format!("Cannot parse argument '{text}' of option {option}");
        text.parse().map(Some).map_err(|_| AdminError::Argument(wrong()))
    }

    fn assignments(&self) -> Result<Vec<Vec<i32>>, AdminError> {
        assignments(self.flags.get("replica-assignment").unwrap_or_default())
    }

    async fn list(&self) -> Result<(), AdminError> {
        let mut admin = Admin::of(&self.flags, "listTopics").await?;
        print(&self.names(&mut admin).await?.join("\n"));
        Ok(())
    }

    async fn create(&self) -> Result<(), AdminError> {
        let topic = self.new_topic()?;
        let name = topic.name.clone();
        if name.contains(['.', '_']) {
            print(METRIC_NAMES);
        }
        if !matches!(topic.replication_factor, -1 | 1..) {
            let range = format!("must be between 1 and {} inclusive", i16::MAX);
            return Err(AdminError::Argument(format!("The replication factor {range}")));
        }
        if topic.num_partitions < 1 && topic.num_partitions != NOT_GIVEN {
            return Err(AdminError::Argument("The partitions must be greater than 0".into()));
        }
        if name.is_empty() {
            let text = "The given topic name '' cannot be represented in a request.";
            return Err(AdminError::Argument(text.into()));
        }
        let mut admin = Admin::of(&self.flags, "createTopics").await?;
        let timeout_ms = admin.timeout_ms();
        let request = CreateTopicsRequest { topics: vec![topic], timeout_ms, validate_only: false };
        let answer = admin.ask(&request).await?;
        for result in answer.topics {
            match refusal(result.error_code, result.error_message) {
                Ok(()) => print(&format!("Created topic {name}.")),
                Err(error)
                    if error.is(ErrorCode::TopicAlreadyExists)
                        && self.flags.has("if-not-exists") => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    fn new_topic(&self) -> Result<CreatableTopic, AdminError> {
        let assignment = |(index, brokers): (usize, Vec<i32>)| CreatableReplicaAssignment {
            partition_index: index as i32,
            broker_ids: brokers,
        };
        let config = |(name, value)| CreatableTopicConfig { name, value: Some(value) };
        let partitions = self.number("partitions")?;
        let factor = self.number("replication-factor")?;
        Ok(CreatableTopic {
            name: self.flags.get("topic").unwrap_or_default().to_owned(),
            // What is given as -1 is as wrong as 0.
            num_partitions: partitions.map_or(NOT_GIVEN, |number| number.max(0)),
            replication_factor: factor
                .map_or(-1, |factor| i16::try_from(factor).unwrap_or(0).max(0)),
            assignments: self.assignments()?.into_iter().enumerate().map(assignment).collect(),
            configs: configs(self.flags.all("config"))?.into_iter().map(config).collect(),
        })
    }

    async fn delete(&self) -> Result<(), AdminError> {
        let mut admin = Admin::of(&self.flags, "listTopics").await?;
        let names = self.existing(&mut admin).await?;
        if names.is_empty() {
            return Ok(());
        }
        let state =
            |name: &String| DeleteTopicState { name: Some(name.clone()), ..Default::default() };
        let request = DeleteTopicsRequest {
            topics: names.iter().map(state).collect(),
            topic_names: names,
            timeout_ms: admin.timeout_ms(),
        };
        let answer = admin.ask(&request).await?;
        answer.responses.into_iter().try_for_each(|one| refusal(one.error_code, one.error_message))
    }

    async fn alter(&self) -> Result<(), AdminError> {
        let count = self.number("partitions")?.unwrap_or_default();
        let all = self.assignments()?;
        let mut admin = Admin::of(&self.flags, "listTopics").await?;
        let names = self.existing(&mut admin).await?;
        if names.is_empty() {
            return Ok(());
        }
        let mut topics: Vec<CreatePartitionsTopic> = Vec::new();
        for topic in admin.topics(Some(&names)).await? {
            refusal(topic.error_code, None)?;
            // What is there already is among what is assigned.
            let brokers = all.iter().skip(topic.partitions.len()).cloned();
            let new = brokers.map(|broker_ids| CreatePartitionsAssignment { broker_ids });
            let assignments = (!all.is_empty()).then(|| new.collect());
            let name = topic.name.unwrap_or_default();
            topics.push(CreatePartitionsTopic { name, count, assignments });
        }
        let timeout_ms = admin.timeout_ms();
        let request = CreatePartitionsRequest { topics, timeout_ms, validate_only: false };
        let answer = admin.ask(&request).await?;
        answer.results.into_iter().try_for_each(|one| refusal(one.error_code, one.error_message))
    }
}

/// In place of a number of partitions; the broker's default is meant.
const NOT_GIVEN: i32 = -1;

/// The regular expression of `--topic`, in which commas are alternatives (Kafka: `IncludeList`).
fn topic_pattern(text: &str) -> Result<Regex, AdminError> {
    let quotes = ['"', '\''];
    let text = text.trim().replace(',', "|").replace(' ', "");
    let text = text.trim_start_matches(quotes).trim_end_matches(quotes);
    // As in Java a class like \d is of ASCII.
    let mut pattern = RegexBuilder::new(&format!("^(?:{text})$"));
    pattern
        .unicode(false)
        .build()
        .map_err(|_| AdminError::Argument(format!("{text} is an invalid regex.")))
}

/// The brokers of each partition in `--replica-assignment`.
fn assignments(text: &str) -> Result<Vec<Vec<i32>>, AdminError> {
    let wrong = |text| Err(AdminError::Argument(text));
    let mut all: Vec<Vec<i32>> = Vec::new();
    let partitions = text.trim_end_matches(',');
    for (index, partition) in partitions.split(',').enumerate().filter(|_| !text.is_empty()) {
        let mut brokers: Vec<i32> = Vec::new();
        let mut duplicates: Vec<String> = Vec::new();
        for broker in partition.trim_end_matches(':').split(':').map(str::trim) {
            match broker.parse() {
                Ok(broker) if brokers.contains(&broker) => duplicates.push(broker.to_string()),
                Ok(broker) => brokers.push(broker),
                Err(_) => return wrong(format!("For input string: \"{broker}\"")),
            }
        }
        if !duplicates.is_empty() {
            let text = "Partition replica lists may not contain duplicate entries: ";
            return wrong(format!("{text}{}", duplicates.join(",")));
        }
        if all.first().is_some_and(|first| first.len() != brokers.len()) {
            let text = format!("Partition {index} has different replication factor: ");
            return wrong(format!("{text}{brokers:?}"));
        }
        all.push(brokers);
    }
    Ok(all)
}

/// The settings of `--config`, checked as Kafka's tool does before it asks a broker.
fn configs<'a>(pairs: impl Iterator<Item = &'a str>) -> Result<ConfigMap, AdminError> {
    let mut configs = ConfigMap::new();
    for pair in pairs {
        let mut pair = pair.split('=').map(str::trim).collect::<Vec<_>>();
        // Java drops what is empty at the end.
        while pair.pop_if(|last| last.is_empty()).is_some() {}
        match pair[..] {
            [name, value] => configs.insert(name.into(), value.into()),
            _ => {
                return Err(AdminError::Argument(
                    "requirement failed: Invalid topic config: all configs to be added must be in the format \"key=val\"."
                        .into(),
                ));
            }
        };
    }
    let mut checked = configs.clone();
    // Whether it can be had is for the broker to say.
    let tiered = "remote.storage.enable";
    checked.retain(|name, value| name != tiered || !value.eq_ignore_ascii_case("true"));
    TopicConfig::validate(&checked, &BrokerLayers::fixed(&ConfigMap::new()))
        .map_err(|error| AdminError::Argument(error.to_string()))?;
    Ok(configs)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_match_whole_and_by_alternatives() {
        let matches =
            |pattern: &str, name: &str| topic_pattern(pattern).unwrap().is_match(name.as_bytes());
        assert!(matches("a,b", "b") && matches("'a.*'", "abc") && matches(" a | b ", "a"));
        assert!(matches(r"t-\d+", "t-17") && matches("(?i)Ab", "aB"));
        assert!(!matches("a", "ab") && !matches("a,b", "ab"));
        assert_eq!(topic_pattern("a[").unwrap_err().to_string(), "a[ is an invalid regex.");
    }

    #[test]
    fn assignments_are_read_as_kafka_does() {
        assert_eq!(assignments("1:2, 3:1 ,").unwrap_or_default(), [[1, 2], [3, 1]]);
        assert!(assignments("").unwrap().is_empty());
        let wrong = |text| assignments(text).unwrap_err().to_string();
        assert_eq!(wrong("one"), "For input string: \"one\"");
        assert!(wrong("1:1").ends_with("duplicate entries: 1"));
        assert!(wrong("1,1:2").ends_with("Partition 1 has different replication factor: [1, 2]"));
    }

    #[test]
    fn configs_are_checked_before_a_broker_is_asked() {
        let checked = |pair: &str| configs([pair].into_iter()).map_err(|error| error.to_string());
        assert!(
            checked("retention.ms = 5").is_ok() && checked("remote.storage.enable=TRUE").is_ok()
        );
        assert_eq!(checked("no.such=1"), Err("Unknown topic config name: no.such".into()));
        for pair in ["retention.ms", "retention.ms=", "retention.ms=1=2"] {
            assert!(checked(pair).unwrap_err().starts_with("requirement failed: "), "{pair}");
        }
    }
}
