//! `kafka-configs` (Kafka: `ConfigCommand`), for what has configurations but no quotas.

mod options;

use std::path::Path;

use super::admin::{Admin, AdminError, refusal};
use super::flags::Flags;
use super::java_order::sort_names;
use super::properties::read_file;
use super::{Failure, print};
use crate::config::{parse_properties, resource};
use crate::metadata::validate_topic_name;
use crate::wire::messages::describe_configs::DescribeConfigsResourceResult;
use crate::wire::messages::incremental_alter_configs::{
    AlterConfigsResource, AlterableConfig, IncrementalAlterConfigsRequest,
};
use crate::wire::messages::list_config_resources::ListConfigResourcesRequest;
use crate::wire::messages::list_groups::ListGroupsRequest;
pub(crate) use options::OPTIONS;

use options::Entity;

/// Operations of IncrementalAlterConfigs.
const SET: i8 = 0;
const DELETE: i8 = 1;
/// Where a value comes from, by its number (`ConfigEntry.ConfigSource`).
const SOURCES: [&str; 9] = [
    "UNKNOWN",
    "DYNAMIC_TOPIC_CONFIG",
    "DYNAMIC_BROKER_CONFIG",
    "DYNAMIC_DEFAULT_BROKER_CONFIG",
    "STATIC_BROKER_CONFIG",
    "DEFAULT_CONFIG",
    "DYNAMIC_BROKER_LOGGER_CONFIG",
    "DYNAMIC_CLIENT_METRICS_CONFIG",
    "DYNAMIC_GROUP_CONFIG",
];

/// Runs the tool; `words` are its command line.
pub(crate) async fn run(flags: Flags, words: &str) -> Result<(), Failure> {
    let entity = options::entity(&flags)?;
    let configs = Configs { flags, entity };
    let done = match configs.flags.has("alter") {
        true => configs.alter().await,
        false => configs.describe().await,
    };
    done.map_err(|error| match error {
        AdminError::Argument(_) | AdminError::Unsupported(_) => error.complaint(None),
        error => {
            let what = format!("Error while executing config command with args '{words}'");
            error.complaint(Some(&what))
        }
    })
}

/// What Kafka's tool says of an error that it does not expect from its user.
fn unexpected(what: &dyn ToString) -> AdminError {
    AdminError::Properties(Failure::err(what.to_string()))
}

struct Configs {
    flags: Flags,
    entity: Entity,
}

impl Configs {
    /// The broker that is to be asked about an entity: a broker itself; any about all others.
    fn node_id(&self, name: &str) -> Option<i32> {
        name.parse().ok().filter(|_| self.entity.resource_type == resource::BROKER)
    }

    async fn alter(&self) -> Result<(), AdminError> {
        let name = self.entity.name.clone().unwrap_or_default();
        let added = self.added()?;
        let config = |config_operation, name: String, value: String| AlterableConfig {
            name,
            config_operation,
            value: Some(value),
        };
        let deleted = self.flags.all("delete-config").flat_map(|keys| keys.split(','));
        let deleted = deleted.filter(|key| !key.is_empty());
        let deleted = deleted.map(|key| config(DELETE, key.trim().to_owned(), String::new()));
        let added = added.into_iter().map(|(key, value)| config(SET, key, value));
        let request = IncrementalAlterConfigsRequest {
            resources: vec![AlterConfigsResource {
                resource_type: self.entity.resource_type,
                resource_name: name.clone(),
                configs: deleted.chain(added).collect(),
            }],
            validate_only: false,
        };
        let call = "incrementalAlterConfigs";
        let mut admin = Admin::of(&self.flags, call).await?;
        let answer = admin.ask_broker(self.node_id(&name), call, &request).await?;
        for one in answer.responses {
            refusal(one.error_code, one.error_message)?;
        }
        print(&match name.as_str() {
            "" => format!(
                "Completed updating default config for {} in the cluster.",
                self.entity.kind
            ),
            name => format!("Completed updating config for {} {name}.", self.entity.one()),
        });
        Ok(())
    }

    /// What is to be set.
    fn added(&self) -> Result<Vec<(String, String)>, AdminError> {
        let mut pairs = match self.flags.get("add-config-file") {
            Some(path) => from_file(Path::new(path))?,
            None => Vec::new(),
        };
        if let Some(text) = self.flags.get("add-config") {
            pairs.extend(parse_pairs(text)?);
        }
        let is_legal = |letter: char| letter.is_ascii_alphanumeric() || "$._-".contains(letter);
        match pairs.iter().find(|(key, _)| !key.chars().all(is_legal)) {
            Some((key, _)) => {
                Err(AdminError::Argument(format!("Invalid character found for config key: {key}")))
            }
            None => Ok(pairs),
        }
    }

    async fn describe(&self) -> Result<(), AdminError> {
        let entity = &self.entity;
        if let (Some(name), resource::TOPIC) = (&entity.name, entity.resource_type) {
            validate_topic_name(name).map_err(AdminError::Argument)?;
        }
        let mut admin = Admin::of(&self.flags, "listTopics").await?;
        let names = match &entity.name {
            Some(name) if self.flags.has("all") || self.exists(&mut admin, name).await? => {
                vec![name.clone()]
            }
            Some(name) => {
                let one = entity.one();
                print(&format!(
                    "The {one} '{name}' doesn't exist and doesn't have dynamic config."
                ));
                Vec::new()
            }
            None => self.names(&mut admin).await?,
        };
        for name in names {
            let which = if self.flags.has("all") { "All" } else { "Dynamic" };
            print(&match name.as_str() {
                "" => format!("Default configs for {} in the cluster are:", entity.kind),
                name => format!("{which} configs for {} {name} are:", entity.one()),
            });
            let resources = [(entity.resource_type, name.as_str())];
            let results = admin.describe_configs(self.node_id(&name), &resources, true).await?;
            let mut configs: Vec<_> = results.into_iter().flat_map(|one| one.configs).collect();
            let source = self.dynamic_source(&name);
            configs.retain(|config| self.flags.has("all") || config.config_source == source);
            configs.sort_by(|one, other| one.name.encode_utf16().cmp(other.name.encode_utf16()));
            for config in &configs {
                print(&described(config));
            }
        }
        Ok(())
    }

    /// The source of what is set for an entity itself, a place in [`SOURCES`].
    fn dynamic_source(&self, name: &str) -> i8 {
        match self.entity.resource_type {
            resource::TOPIC => 1,
            resource::BROKER if name.is_empty() => 3,
            resource::BROKER => 2,
            resource::CLIENT_METRICS => 7,
            _ => 8,
        }
    }

    async fn exists(&self, admin: &mut Admin, name: &str) -> Result<bool, AdminError> {
        Ok(match self.entity.resource_type {
            resource::GROUP => {
                let listed = list_groups(admin).await?.iter().any(|group| group == name);
                let with_configs = list_resources(admin, resource::GROUP).await;
                // Kafka takes the group for one that is there where it cannot ask.
                listed || with_configs.map_or(true, |all| all.iter().any(|group| group == name))
            }
            _ => self.names(admin).await?.iter().any(|one| one == name),
        })
    }

    /// Every entity of the kind, in Kafka's order.
    async fn names(&self, admin: &mut Admin) -> Result<Vec<String>, AdminError> {
        match self.entity.resource_type {
            resource::TOPIC => {
                let topics = admin.topics(None).await?.into_iter();
                let mut names: Vec<String> = topics.filter_map(|topic| topic.name).collect();
                sort_names(&mut names);
                Ok(names)
            }
            resource::BROKER => {
                let brokers = admin.brokers().await?;
                let ids = brokers.iter().map(|broker| broker.node_id.to_string());
                Ok(ids.chain([String::new()]).collect())
            }
            resource::GROUP => {
                let mut names = list_groups(admin).await?;
                for name in list_resources(admin, resource::GROUP).await.unwrap_or_default() {
                    if !names.contains(&name) {
                        names.push(name);
                    }
                }
                Ok(names)
            }
            other => list_resources(admin, other).await,
        }
    }
}

/// The groups of all brokers.
async fn list_groups(admin: &mut Admin) -> Result<Vec<String>, AdminError> {
    let mut names: Vec<String> = Vec::new();
    for broker in admin.brokers().await? {
        let call = "listGroups";
        let request = ListGroupsRequest::default();
        let answer = admin.ask_broker(Some(broker.node_id), call, &request).await?;
        refusal(answer.error_code, None)?;
        names.extend(answer.groups.into_iter().map(|group| group.group_id));
    }
    sort_names(&mut names);
    Ok(names)
}

/// What of a type has configurations.
async fn list_resources(admin: &mut Admin, resource_type: i8) -> Result<Vec<String>, AdminError> {
    if admin.version::<ListConfigResourcesRequest>()? == 0
        && resource_type != resource::CLIENT_METRICS
    {
        let text = "The v0 ListConfigResources only supports CLIENT_METRICS";
        return Err(AdminError::Unsupported(text.into()));
    }
    let request = ListConfigResourcesRequest { resource_types: vec![resource_type] };
    let answer = admin.ask(&request).await?;
    refusal(answer.error_code, None)?;
    let all = answer.config_resources.into_iter();
    Ok(all.filter(|one| one.resource_type == resource_type).map(|one| one.resource_name).collect())
}

/// A key, its value, and where it comes from.
fn described(config: &DescribeConfigsResourceResult) -> String {
    let text = |value: &Option<String>| value.clone().unwrap_or_else(|| "null".to_owned());
    let source = |number: i8| usize::try_from(number).ok().and_then(|at| SOURCES.get(at));
    let synonyms = config.synonyms.iter().map(|synonym| {
        let source = source(synonym.source).unwrap_or(&SOURCES[0]);
        format!("{source}:{}={}", synonym.name, text(&synonym.value))
    });
    let synonyms: Vec<String> = synonyms.collect();
    format!(
        "  {}={} sensitive={} synonyms={{{}}}",
        config.name,
        text(&config.value),
        config.is_sensitive,
        synonyms.join(", ")
    )
}

fn from_file(path: &Path) -> Result<Vec<(String, String)>, AdminError> {
    let text =
        read_file(path).map_err(|error| unexpected(&format!("{}\n{error}", path.display())))?;
    Ok(parse_properties(&text).map_err(|error| unexpected(&error))?.into_iter().collect())
}

/// Pairs with commas between them; commas and equals signs in square brackets belong to a value.
fn parse_pairs(text: &str) -> Result<Vec<(String, String)>, AdminError> {
    let mut pieces = split_outside(text, ',');
    // Java drops what is empty at the end.
    while pieces.len() > 1 && pieces.pop_if(|last| last.is_empty()).is_some() {}
    let mut pairs: Vec<(String, String)> = Vec::new();
    for piece in pieces {
        let [key, value] = split_outside(piece, '=')[..] else {
            return Err(AdminError::Argument(
                "requirement failed: Invalid entity config: all configs to be added must be in the format \"key=val\" \
                 or  \"key=[val1,val2]\" to group values which contain commas."
                    .into(),
            ));
        };
        pairs.retain(|(other, _)| other != key.trim());
        pairs.push((key.trim().to_owned(), value.replace(['[', ']'], "").trim().to_owned()));
    }
    Ok(pairs)
}

/// Splits where no bracket is open: where what follows has no closing bracket, or an opening one before it.
fn split_outside(text: &str, separator: char) -> Vec<&str> {
    let mut pieces = Vec::new();
    let mut begin = 0;
    for (at, _) in text.match_indices(separator) {
        let next = text[at..].find(['[', ']']);
        if next.is_none_or(|next| text[at + next..].starts_with('[')) {
            pieces.push(&text[begin..at]);
            begin = at + 1;
        }
    }
    pieces.push(&text[begin..]);
    pieces
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::messages::describe_configs::DescribeConfigsSynonym;

    #[test]
    fn pairs_may_have_values_with_commas() {
        let pairs = |text| {
            let pairs = parse_pairs(text).map_err(|error| error.to_string())?;
            Ok::<_, String>(
                pairs.iter().map(|(k, v)| format!("{k}:{v}")).collect::<Vec<_>>().join(" "),
            )
        };
        assert_eq!(pairs("a=1, b = 2").unwrap(), "a:1 b:2");
        assert_eq!(pairs("a=[x,y=z],b=[q]").unwrap(), "a:x,y=z b:q");
        assert_eq!(pairs("a=,b=1,").unwrap(), "a: b:1");
        assert_eq!(pairs("a=1,a=2").unwrap(), "a:2");
        for wrong in ["a", "a=1=2", "", "a=1,b"] {
            assert!(pairs(wrong).unwrap_err().starts_with("requirement failed: "), "{wrong}");
        }
    }

    #[test]
    fn a_key_is_described_with_where_it_comes_from() {
        let synonym = |name: &str, value: Option<&str>, source| DescribeConfigsSynonym {
            name: name.into(),
            value: value.map(str::to_owned),
            source,
        };
        let config = DescribeConfigsResourceResult {
            name: "flush.ms".into(),
            value: Some("5".into()),
            synonyms: vec![synonym("flush.ms", Some("5"), 1), synonym("log.flush.ms", None, 99)],
            ..Default::default()
        };
        assert_eq!(
            described(&config),
            "  flush.ms=5 sensitive=false synonyms={DYNAMIC_TOPIC_CONFIG:flush.ms=5, UNKNOWN:log.flush.ms=null}"
        );
    }
}
