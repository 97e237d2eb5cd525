//! What may differ between two brokers: what each draws, and what it reads from its surroundings.
//!
//! Such a value is replaced by a name for it, the same each time it occurs. So it is still compared which answers have
//! the same id, and that none has one where the other broker gives none.

use std::collections::BTreeMap;
use std::time::{SystemTime, UNIX_EPOCH};

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use uuid::Uuid;

use crate::tree::Node;

const UUID_LENGTH: usize = 36;

/// Lists of each API that the reference writes in the order of a hash map of what it drew or of many names.
const UNORDERED: [(&str, &str); 38] = [
    ("AddPartitionsToTxn", "results_by_transaction"),
    ("AddPartitionsToTxn", "results_by_topic_v3_and_below"),
    ("AddPartitionsToTxn", "topic_results"),
    ("AddPartitionsToTxn", "results_by_partition"),
    ("ApiVersions", "finalized_features"),
    ("ApiVersions", "supported_features"),
    ("ConsumerGroupDescribe", "groups"),
    ("ConsumerGroupDescribe", "members"),
    ("ConsumerGroupDescribe", "subscribed_topic_names"),
    ("ConsumerGroupDescribe", "topic_partitions"),
    ("ConsumerGroupHeartbeat", "topic_partitions"),
    ("ConsumerGroupHeartbeat", "partitions"),
    ("DeleteGroups", "results"),
    ("DescribeGroups", "groups"),
    ("DescribeProducers", "active_producers"),
    ("DescribeTransactions", "topics"),
    ("DescribeTransactions", "partitions"),
    ("ListTransactions", "transaction_states"),
    ("WriteTxnMarkers", "markers"),
    ("WriteTxnMarkers", "topics"),
    ("WriteTxnMarkers", "partitions"),
    ("OffsetFetch", "topics"),
    ("OffsetFetch", "partitions"),
    ("ListOffsets", "topics"),
    ("ListOffsets", "partitions"),
    ("DeleteRecords", "topics"),
    ("DeleteRecords", "partitions"),
    ("DescribeLogDirs", "topics"),
    ("DescribeLogDirs", "partitions"),
    ("DescribeGroups", "members"),
    ("Produce", "responses"),
    ("Produce", "partition_responses"),
    ("ListConfigResources", "config_resources"),
    ("CreatePartitions", "results"),
    ("DeleteTopics", "responses"),
    ("JoinGroup", "members"),
    ("ListGroups", "groups"),
    ("Metadata", "topics"),
];

fn is_unordered(api: &str, field: &str) -> bool {
    UNORDERED.contains(&(api, field))
}

/// Milliseconds since 1970.
pub(crate) fn now_ms() -> i64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    now.as_millis() as i64
}

/// The id that a text is, if it is one as the reference writes those it gives to members.
fn id_in_base64(text: &str) -> Option<Uuid> {
    let bytes = URL_SAFE_NO_PAD.decode(text.trim_matches('"')).ok()?;
    Uuid::from_slice(&bytes).ok()
}

/// The names of what one broker drew.
#[derive(Debug)]
pub(crate) struct Names {
    port: u16,
    began_ms: i64,
    given: BTreeMap<(&'static str, String), String>,
    /// How many steps there were before, and how many names are new in this one: a name says where it was given, so
    /// that one that only one broker gives changes no other.
    steps: usize,
    new: usize,
}

impl Names {
    pub(crate) fn new(port: u16, began_ms: i64) -> Self {
        Self { port, began_ms, given: BTreeMap::new(), steps: 0, new: 0 }
    }

    fn name(&mut self, kind: &'static str, value: &str) -> String {
        let key = (kind, value.to_owned());
        let name = self.given.entry(key).or_insert_with(|| {
            self.new += 1;
            format!("{kind}-{}.{}", self.steps, self.new)
        });
        name.clone()
    }

    /// The next answers are those of another step.
    pub(crate) fn step(&mut self) {
        self.steps += 1;
        self.new = 0;
    }

    /// Replaces what may differ in an answer of this API.
    pub(crate) fn normalise(&mut self, api: &str, node: &mut Node) {
        self.value(api, "", node);
    }

    fn value(&mut self, api: &str, field: &str, node: &mut Node) {
        match node {
            Node::Structure(fields) => {
                for (name, value) in fields {
                    self.value(api, name, value);
                }
            }
            Node::List(elements) => {
                // Before, so that what has no name yet gets it in the order of what is beside it.
                if is_unordered(api, field) {
                    elements.sort();
                }
                for element in &mut *elements {
                    self.value(api, field, element);
                }
                if is_unordered(api, field) {
                    elements.sort();
                }
            }
            Node::Atom(text) => *text = self.atom(field, text),
        }
    }

    fn atom(&mut self, field: &str, text: &str) -> String {
        let number = text.parse::<i64>().ok();
        match (field, number) {
            ("port", Some(port)) if port == i64::from(self.port) => "its own port".to_owned(),
            ("session_id", Some(1..)) => self.name("session", text),
            ("producer_id", Some(0..)) => self.name("producer", text),
            ("total_bytes" | "usable_bytes", Some(1..))
            | ("finalized_features_epoch", Some(0..)) => "some".to_owned(),
            ("documentation", None) if text.len() > 2 && text != "None" => "a text".to_owned(),
            ("cluster_id", None) if text != "None" => self.name("cluster", text),
            ("log_dir", None) => self.name("directory", text),
            ("member_id", None) if id_in_base64(text).is_some() => {
                let id = id_in_base64(text).map(|id| id.to_string()).unwrap_or_default();
                format!("\"{}\"", self.name("id", &id))
            }
            (_, Some(time_ms)) if (self.began_ms..=now_ms() + 1000).contains(&time_ms) => {
                "now".to_owned()
            }
            _ => self.ids(text),
        }
    }

    /// Names the ids in a text: those of topics and of members, and those of topics in messages, in Base64.
    fn ids(&mut self, text: &str) -> String {
        // What follows are times around now.
        if let Some((before, _)) = text.split_once("The timestamp should be within [") {
            return before.to_owned();
        }
        let mut named = String::new();
        let mut rest = text;
        while let Some(next) = rest.chars().next() {
            let id = rest.get(..UUID_LENGTH).and_then(|id| Uuid::try_parse(id).ok());
            if let Some(id) = id.filter(|id| !id.is_nil()) {
                named.push_str(&self.name("id", &id.to_string()));
                rest = &rest[UUID_LENGTH..];
            } else {
                named.push(next);
                rest = &rest[next.len_utf8()..];
            }
        }
        if text.starts_with('"') {
            for ((kind, value), name) in &self.given {
                if let Some(id) = Uuid::try_parse(value).ok().filter(|_| *kind == "id") {
                    named = named.replace(&URL_SAFE_NO_PAD.encode(id), name);
                }
            }
        }
        named
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn normal(names: &mut Names, field: &str, text: &str) -> String {
        let mut node = Node::Structure(vec![(field.to_owned(), Node::atom(text))]);
        names.normalise("Metadata", &mut node);
        names.step();
        node.get(field).map(Node::text).unwrap_or_default()
    }

    #[test]
    fn an_id_has_one_name() {
        let mut names = Names::new(9092, now_ms());
        let [one, two] = [Uuid::from_u128(1), Uuid::from_u128(2)];
        assert_eq!(normal(&mut names, "topic_id", &one.to_string()), "id-0.1");
        assert_eq!(normal(&mut names, "member_id", &format!("\"me-{two}\"")), "\"me-id-1.1\"");
        assert_eq!(normal(&mut names, "leader", &format!("\"me-{one}\"")), "\"me-id-0.1\"");
        let message = format!("\"no topic {}\"", URL_SAFE_NO_PAD.encode(two));
        assert_eq!(normal(&mut names, "error_message", &message), "\"no topic id-1.1\"");
        let member = format!("\"{}\"", URL_SAFE_NO_PAD.encode(one));
        assert_eq!(normal(&mut names, "member_id", &member), "\"id-0.1\"");
        assert_eq!(normal(&mut names, "member_id", "\"a\""), "\"a\"");
    }

    #[test]
    fn only_what_a_broker_draws_has_a_name() {
        let mut names = Names::new(9092, now_ms());
        assert_eq!(normal(&mut names, "producer_id", "-1"), "-1");
        assert_eq!(normal(&mut names, "producer_id", "7"), "producer-1.1");
        assert_eq!(normal(&mut names, "port", "9092"), "its own port");
        assert_eq!(normal(&mut names, "port", "9093"), "9093");
        assert_eq!(
            normal(&mut names, "topic_id", &Uuid::nil().to_string()),
            Uuid::nil().to_string()
        );
        assert_eq!(normal(&mut names, "timestamp", &now_ms().to_string()), "now");
        assert_eq!(normal(&mut names, "timestamp", "12"), "12");
    }
}
