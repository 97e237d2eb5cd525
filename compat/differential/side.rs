//! One of the two brokers: the connections to it, and what was learnt from its answers.

use std::collections::BTreeMap;
use std::io::{self, Write};
use std::net::TcpStream;
use std::time::Duration;

use ottla::wire::messages::consumer_group_heartbeat::TopicPartitions;
use uuid::Uuid;

use crate::normal::Names;
use crate::requests::{Outcome, Request, framed_as};
use crate::tree::Node;

/// How long an answer may take.
pub(crate) const ANSWER_TIMEOUT: Duration = Duration::from_secs(10);

/// Where a broker listens.
#[derive(Clone, Debug)]
pub(crate) struct Address {
    pub(crate) host: String,
    pub(crate) port: u16,
}

impl std::str::FromStr for Address {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let address = text.rsplit_once(':').and_then(|(host, port)| {
            Some(Self { host: host.to_owned(), port: port.parse().ok()? })
        });
        address.ok_or_else(|| format!("not HOST:PORT: {text}"))
    }
}

/// A broker, and what its answers said.
#[derive(Debug)]
pub(crate) struct Side {
    address: Address,
    connections: BTreeMap<String, TcpStream>,
    correlation_id: i32,
    pub(crate) names: Names,
    /// The ids of topics, by name.
    pub(crate) topic_ids: BTreeMap<String, Uuid>,
    /// What members of consumer groups were assigned last, by names that the steps give them.
    pub(crate) assigned: BTreeMap<String, Vec<TopicPartitions>>,
    /// Whatever else later requests need, by names that the steps give it.
    learnt: BTreeMap<String, String>,
}

impl Side {
    pub(crate) fn new(address: &Address, began_ms: i64) -> Self {
        Self {
            address: address.clone(),
            connections: BTreeMap::new(),
            correlation_id: 0,
            names: Names::new(address.port, began_ms),
            topic_ids: BTreeMap::new(),
            assigned: BTreeMap::new(),
            learnt: BTreeMap::new(),
        }
    }

    /// The id of a topic; the zero id while it is not known.
    pub(crate) fn topic_id(&self, name: &str) -> Uuid {
        self.topic_ids.get(name).copied().unwrap_or_default()
    }

    pub(crate) fn learn(&mut self, what: &str, value: &str) {
        self.learnt.insert(what.to_owned(), value.to_owned());
    }

    /// Keeps the ids that an answer gives to topics.
    pub(crate) fn learn_topics(&mut self, node: &Node) {
        match node {
            Node::Atom(_) => {}
            Node::List(elements) => {
                for element in elements {
                    self.learn_topics(element);
                }
            }
            Node::Structure(fields) => {
                let text = |field| node.get(field).map(Node::text);
                let id = text("topic_id").and_then(|id| Uuid::try_parse(&id).ok());
                let name = text("name").map(|name| name.trim_matches('"').to_owned());
                let name = name.filter(|name| !name.is_empty() && name != "None");
                if let (Some(name), Some(id)) = (name, id.filter(|id| !id.is_nil())) {
                    self.topic_ids.insert(name, id);
                }
                for (_, value) in fields {
                    self.learn_topics(value);
                }
            }
        }
    }

    /// What was learnt under a name; empty without.
    pub(crate) fn text(&self, what: &str) -> String {
        self.learnt.get(what).cloned().unwrap_or_default()
    }

    /// As [`Side::text`], as a number; -1 without.
    pub(crate) fn number<T: std::str::FromStr + From<i8>>(&self, what: &str) -> T {
        self.text(what).parse().unwrap_or_else(|_| T::from(-1))
    }

    fn connection(&mut self, name: &str) -> io::Result<&mut TcpStream> {
        if !self.connections.contains_key(name) {
            let stream = TcpStream::connect((self.address.host.as_str(), self.address.port))?;
            stream.set_nodelay(true)?;
            stream.set_write_timeout(Some(ANSWER_TIMEOUT))?;
            self.connections.insert(name.to_owned(), stream);
        }
        self.connections.get_mut(name).ok_or_else(|| io::ErrorKind::NotConnected.into())
    }

    /// Sends a request; what is wrong with the connection shows in what comes next.
    pub(crate) fn send<R: Request>(&mut self, at: &str, request: &R, version: i16) {
        self.correlation_id += 1;
        let frame = framed_as(request, version, self.correlation_id, "differential");
        self.send_bytes(at, &frame);
    }

    pub(crate) fn send_bytes(&mut self, at: &str, bytes: &[u8]) {
        let sent = self.connection(at).and_then(|stream| stream.write_all(bytes));
        if sent.is_err() {
            self.connections.remove(at);
        }
    }

    /// What comes next on a connection.
    pub(crate) fn next(&mut self, at: &str, patience: Duration) -> Outcome {
        let Some(stream) = self.connections.get(at) else { return Outcome::Closed };
        let outcome = Outcome::next(stream, patience, ANSWER_TIMEOUT).unwrap_or(Outcome::Closed);
        if outcome == Outcome::Closed {
            self.connections.remove(at);
        }
        outcome
    }

    /// Leaves a connection; the next request under its name opens another one.
    pub(crate) fn leave(&mut self, at: &str) {
        self.connections.remove(at);
    }
}
