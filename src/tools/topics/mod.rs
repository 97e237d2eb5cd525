//! `kafka-topics` (Kafka: `TopicCommand`).

mod describe;
mod options;

use std::io::{self, Write};

use regex::Regex;

use super::admin::{Admin, AdminError, refusal};
use super::java_order::{sort_as_hash_map, string_hash};
use super::{ClientProperties, Failure};
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
pub(crate) use options::Options;

use options::Action;

const METRIC_NAMES: &str = "WARNING: Due to limitations in metric names, topics with a period ('.') or underscore ('_') \
     could collide. To avoid issues it is best to use either, but not both.";

/// Runs the tool.
pub(crate) async fn run(options: Options) -> Result<(), Failure> {
    let action = options.action()?;
    let properties = ClientProperties::read(options.command_config.as_deref(), &[])?;
    let topics = Topics { options, properties };
    let done = match action {
        Action::List => topics.list().await,
        Action::Create => topics.create().await,
        Action::Delete => topics.delete().await,
        Action::Alter => topics.alter().await,
        Action::Describe => topics.describe().await,
    };
    done.map_err(|error| match error {
        AdminError::Addresses(_) | AdminError::Output(_) => error.complaint(None),
        AdminError::Properties(failure) => failure,
        error => Failure::out(format!("Error while executing topic command : {error}")),
    })
}

/// Prints a line.
fn print(line: &str) -> io::Result<()> {
    writeln!(io::stdout().lock(), "{line}")
}

struct Topics {
    options: Options,
    properties: ClientProperties,
}

impl Topics {
    async fn admin(&self, call: &'static str) -> Result<Admin, AdminError> {
        let servers = self.options.bootstrap_server.as_deref().unwrap_or_default();
        Admin::connect(servers, &self.properties, call).await
    }

    /// What a request may take of the broker's time, in milliseconds.
    fn timeout_ms(&self) -> Result<i32, AdminError> {
        Ok(i32::try_from(self.properties.request_timeout()?.as_millis()).unwrap_or(i32::MAX))
    }

    /// The topics that are meant, in the order of their names.
    async fn names(&self, admin: &mut Admin) -> Result<Vec<String>, AdminError> {
        let pattern = self.options.topic.as_deref().map(topic_pattern).transpose()?;
        let topics = admin.topics(None).await?;
        let mut names: Vec<String> = topics.into_iter().filter_map(|topic| topic.name).collect();
        names.retain(|name| {
            let is_meant = pattern.as_ref().is_none_or(|pattern| pattern.is_match(name));
            is_meant && !(self.options.exclude_internal && is_internal_topic(name))
        });
        names.sort();
        Ok(names)
    }

    /// As [`Topics::names`]; that there is none is an error, unless the options say otherwise.
    async fn existing(&self, admin: &mut Admin) -> Result<Vec<String>, AdminError> {
        let names = self.names(admin).await?;
        match self.options.topic.as_deref() {
            Some(topic) if !topic.is_empty() && names.is_empty() && !self.options.if_exists => {
                Err(AdminError::Argument(format!("Topic '{topic}' does not exist as expected")))
            }
            _ => Ok(names),
        }
    }

    async fn list(&self) -> Result<(), AdminError> {
        let mut admin = self.admin("listTopics").await?;
        print(&self.names(&mut admin).await?.join("\n"))?;
        Ok(())
    }

    async fn create(&self) -> Result<(), AdminError> {
        let topic = self.new_topic()?;
        let name = topic.name.clone();
        if name.contains(['.', '_']) {
            print(METRIC_NAMES)?;
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
        let mut admin = self.admin("createTopics").await?;
        let timeout_ms = self.timeout_ms()?;
        let request = CreateTopicsRequest { topics: vec![topic], timeout_ms, validate_only: false };
        let answer = admin.ask(&request).await?;
        for result in answer.topics {
            match refusal(result.error_code, result.error_message) {
                Ok(()) => print(&format!("Created topic {name}."))?,
                Err(error)
                    if error.is(ErrorCode::TopicAlreadyExists) && self.options.if_not_exists => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    fn new_topic(&self) -> Result<CreatableTopic, AdminError> {
        let options = &self.options;
        let assignment = |(index, brokers): (usize, Vec<i32>)| CreatableReplicaAssignment {
            partition_index: index as i32,
            broker_ids: brokers,
        };
        let config = |(name, value)| CreatableTopicConfig { name, value: Some(value) };
        let partitions = number("partitions", options.partitions.as_deref())?;
        let factor = number("replication-factor", options.replication_factor.as_deref())?;
        let assignments = assignments(options.replica_assignment.as_deref().unwrap_or_default())?;
        Ok(CreatableTopic {
            name: options.topic.clone().unwrap_or_default(),
            // What is given as -1 is as wrong as 0.
            num_partitions: partitions.map_or(NOT_GIVEN, |number| number.max(0)),
            replication_factor: factor
                .map_or(-1, |factor| i16::try_from(factor).unwrap_or(0).max(0)),
            assignments: assignments.into_iter().enumerate().map(assignment).collect(),
            configs: configs(&options.config)?.into_iter().map(config).collect(),
        })
    }

    async fn delete(&self) -> Result<(), AdminError> {
        let mut admin = self.admin("listTopics").await?;
        let names = self.existing(&mut admin).await?;
        if names.is_empty() {
            return Ok(());
        }
        let state =
            |name: &String| DeleteTopicState { name: Some(name.clone()), ..Default::default() };
        let request = DeleteTopicsRequest {
            topics: names.iter().map(state).collect(),
            topic_names: names,
            timeout_ms: self.timeout_ms()?,
        };
        let answer = admin.ask(&request).await?;
        let results = answer.responses.into_iter();
        first_refusal(
            results.map(|one| (one.name.unwrap_or_default(), one.error_code, one.error_message)),
        )
    }

    async fn alter(&self) -> Result<(), AdminError> {
        let options = &self.options;
        let count = number("partitions", options.partitions.as_deref())?.unwrap_or_default();
        let all = assignments(options.replica_assignment.as_deref().unwrap_or_default())?;
        let mut admin = self.admin("listTopics").await?;
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
        let timeout_ms = self.timeout_ms()?;
        let request = CreatePartitionsRequest { topics, timeout_ms, validate_only: false };
        let answer = admin.ask(&request).await?;
        let results = answer.results.into_iter();
        first_refusal(results.map(|one| (one.name, one.error_code, one.error_message)))
    }
}

/// In place of a number of partitions; the broker's default is meant.
const NOT_GIVEN: i32 = -1;

/// The refusal that Kafka's client reports, that of the first topic in its own order.
fn first_refusal(
    results: impl Iterator<Item = (String, i16, Option<String>)>,
) -> Result<(), AdminError> {
    let mut results: Vec<_> = results.collect();
    let capacity = results.len();
    sort_as_hash_map(&mut results, capacity, |(name, ..)| string_hash(name));
    results.into_iter().try_for_each(|(_, code, message)| refusal(code, message))
}

/// The regular expression of `--topic`, in which commas are alternatives (Kafka: `IncludeList`).
fn topic_pattern(text: &str) -> Result<Regex, AdminError> {
    let quotes = ['"', '\''];
    let text = text.trim().replace(',', "|").replace(' ', "");
    let text = text.trim_start_matches(quotes).trim_end_matches(quotes);
    Regex::new(&format!("^(?:{text})$"))
        .map_err(|_| AdminError::Argument(format!("{text} is an invalid regex.")))
}

/// The number of an option, if it is given.
fn number(option: &str, text: Option<&str>) -> Result<Option<i32>, AdminError> {
    let wrong = |text| format!("Cannot parse argument '{text}' of option {option}");
    text.map(|text| text.parse().map_err(|_| AdminError::Argument(wrong(text)))).transpose()
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
fn configs(pairs: &[String]) -> Result<ConfigMap, AdminError> {
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
    checked.retain(|name, value| {
        name != "remote.storage.enable" || !value.eq_ignore_ascii_case("true")
    });
    TopicConfig::validate(&checked, &BrokerLayers::fixed(&ConfigMap::new()))
        .map_err(|error| AdminError::Argument(error.to_string()))?;
    Ok(configs)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_match_whole_and_by_alternatives() {
        let matches = |pattern: &str, name: &str| topic_pattern(pattern).unwrap().is_match(name);
        assert!(matches("a,b", "b") && matches("'a.*'", "abc") && matches(" a | b ", "a"));
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
        let checked = |pair: &str| configs(&[pair.to_owned()]).map_err(|error| error.to_string());
        assert!(
            checked("retention.ms = 5").is_ok() && checked("remote.storage.enable=TRUE").is_ok()
        );
        assert_eq!(checked("no.such=1"), Err("Unknown topic config name: no.such".into()));
        for pair in ["retention.ms", "retention.ms=", "retention.ms=1=2"] {
            assert!(checked(pair).unwrap_err().starts_with("requirement failed: "), "{pair}");
        }
    }
}
