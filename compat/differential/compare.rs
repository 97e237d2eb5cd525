//! Two answers, field by field.

use std::collections::BTreeSet;
use std::fmt;

use crate::tree::Node;

/// What an element of a list is told from the others by.
const KEYS: [&str; 15] = [
    "name",
    "topic",
    "resource_name",
    "group_id",
    "member_id",
    "key",
    "api_key",
    "partition_index",
    "index",
    "partition",
    "node_id",
    "broker_id",
    "topic_id",
    "transactional_id",
    "producer_id",
];
const SHOWN_CHARACTERS: usize = 160;

/// A place where two answers are not the same.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Difference {
    /// Fields and elements, e.g. `topics[orders].partitions[0].error_code`; empty for the whole answer.
    pub(crate) path: String,
    pub(crate) ours: String,
    pub(crate) theirs: String,
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let short = |text: &str| text.chars().take(SHOWN_CHARACTERS).collect::<String>();
        write!(f, "{}: ours {} theirs {}", self.path, short(&self.ours), short(&self.theirs))
    }
}

/// Where `ours` and `theirs` differ.
pub(crate) fn compare(ours: &Node, theirs: &Node) -> Vec<Difference> {
    let mut differences = Vec::new();
    values("", ours, theirs, &mut differences);
    differences
}

fn values(path: &str, ours: &Node, theirs: &Node, differences: &mut Vec<Difference>) {
    match (ours, theirs) {
        (Node::Structure(fields), Node::Structure(_)) => {
            for (name, value) in fields {
                // Both are of the same type, unless one is a structure and the other a word about it.
                let other = theirs.get(name).unwrap_or(theirs);
                let separator = if path.is_empty() { "" } else { "." };
                values(&format!("{path}{separator}{name}"), value, other, differences);
            }
        }
        (Node::List(ours), Node::List(theirs)) => lists(path, ours, theirs, differences),
        (ours, theirs) if ours != theirs => {
            differences.push(different(path, ours.text(), theirs.text()));
        }
        _ => {}
    }
}

fn different(path: &str, ours: impl Into<String>, theirs: impl Into<String>) -> Difference {
    Difference { path: path.to_owned(), ours: ours.into(), theirs: theirs.into() }
}

fn lists(path: &str, ours: &[Node], theirs: &[Node], differences: &mut Vec<Difference>) {
    let (own_keys, their_keys) = keys(ours, theirs);
    for (key, element) in own_keys.iter().zip(ours) {
        let path = format!("{path}[{key}]");
        match their_keys.iter().position(|other| other == key) {
            Some(place) => values(&path, element, &theirs[place], differences),
            None => differences.push(different(&path, element.text(), "nothing")),
        }
    }
    for (key, element) in their_keys.iter().zip(theirs).filter(|(key, _)| !own_keys.contains(key)) {
        differences.push(different(&format!("{path}[{key}]"), "nothing", element.text()));
    }
    let common = |keys: &[String], others: &[String]| {
        keys.iter().filter(|key| others.contains(key)).cloned().collect::<Vec<_>>().join(" ")
    };
    let orders = [common(&own_keys, &their_keys), common(&their_keys, &own_keys)];
    if orders[0] != orders[1] {
        let [ours, theirs] = orders;
        differences.push(different(&format!("{path}.order"), ours, theirs));
    }
}

/// What the elements of two lists are called by: the first field that tells those of each apart, else their places.
fn keys(ours: &[Node], theirs: &[Node]) -> (Vec<String>, Vec<String>) {
    let by = |field: &str, list: &[Node]| {
        let keys: Option<Vec<String>> =
            list.iter().map(|element| element.get(field).map(Node::text)).collect();
        keys.filter(|keys| keys.iter().collect::<BTreeSet<_>>().len() == keys.len())
    };
    let both = KEYS.iter().find_map(|field| by(field, ours).zip(by(field, theirs)));
    let places = |list: &[Node]| (0..list.len()).map(|place| place.to_string()).collect();
    both.unwrap_or_else(|| (places(ours), places(theirs)))
}

/// Whether a text has the form of a pattern, in which `*` stands for any text.
pub(crate) fn is_like(text: &str, pattern: &str) -> bool {
    match pattern.split_once('*') {
        None => text == pattern,
        Some((head, tail)) => text.strip_prefix(head).is_some_and(|rest| {
            rest.char_indices()
                .map(|(place, _)| place)
                .chain([rest.len()])
                .any(|place| is_like(&rest[place..], tail))
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn paths(ours: &[(&str, i32)], theirs: &[(&str, i32)]) -> Vec<String> {
        let list = |of: &[(&str, i32)]| {
            let element = |(name, count): &(&str, i32)| {
                let field = |name: &str, value: String| (name.to_owned(), Node::atom(value));
                Node::Structure(vec![
                    field("name", (*name).to_owned()),
                    field("count", count.to_string()),
                ])
            };
            Node::List(of.iter().map(element).collect())
        };
        compare(&list(ours), &list(theirs)).into_iter().map(|difference| difference.path).collect()
    }

    #[test]
    fn elements_are_found_by_their_names() {
        assert_eq!(paths(&[("a", 1), ("b", 2)], &[("b", 2)]), ["[a]"]);
        assert_eq!(paths(&[("b", 3)], &[("a", 1), ("b", 2)]), ["[b].count", "[a]"]);
        assert_eq!(paths(&[("a", 1), ("b", 2)], &[("b", 2), ("a", 1)]), [".order"]);
        assert_eq!(paths(&[("a", 1), ("a", 2)], &[("a", 1), ("a", 3)]), ["[1].count"]);
    }

    #[test]
    fn a_star_is_any_text() {
        assert!(is_like("api_keys[24]", "api_keys[*]") && is_like("abc", "*") && is_like("", "*"));
        assert!(is_like("aXbYb", "a*b") && !is_like("aXbY", "a*b") && !is_like("b", ""));
    }
}
