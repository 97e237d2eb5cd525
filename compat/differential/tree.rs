//! Answers as trees, read from their debug text: every field of every message has its place, and none is forgotten.

use std::fmt::Debug;
use std::iter::from_fn;
use std::str::Lines;

/// A value of an answer. `Some` is what it holds.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Node {
    Atom(String),
    List(Vec<Node>),
    Structure(Vec<(String, Node)>),
}

impl Node {
    pub(crate) fn of(value: &impl Debug) -> Self {
        let text = format!("{value:#?}");
        let mut lines = text.lines();
        let first = lines.next().unwrap_or_default();
        Self::read(first, &mut lines)
    }

    /// Reads the value that begins with `first`. Text is escaped and in quotes: what ends in a bracket opens one.
    fn read(first: &str, lines: &mut Lines<'_>) -> Self {
        let first = first.strip_suffix(',').unwrap_or(first);
        match first.chars().last() {
            Some(']') if first == "[]" => Self::List(Vec::new()),
            Some('[') => {
                Self::List(from_fn(|| Some(Self::read(element(lines, "]")?, lines))).collect())
            }
            Some('{') => Self::Structure(from_fn(|| Self::field(lines)).collect()),
            Some('(') => {
                let held = Self::read(lines.next().unwrap_or_default().trim(), lines);
                lines.next();
                held
            }
            _ => Self::atom(first),
        }
    }

    fn field(lines: &mut Lines<'_>) -> Option<(String, Self)> {
        let (name, value) = element(lines, "}")?.split_once(": ")?;
        Some((name.to_owned(), Self::read(value, lines)))
    }

    pub(crate) fn atom(text: impl Into<String>) -> Self {
        Self::Atom(text.into())
    }

    /// The field of a structure.
    pub(crate) fn get(&self, field: &str) -> Option<&Self> {
        let Self::Structure(fields) = self else { return None };
        fields.iter().find(|(name, _)| name == field).map(|(_, value)| value)
    }

    /// What the value is, on one line.
    pub(crate) fn text(&self) -> String {
        let joined = |parts: Vec<String>| parts.join(", ");
        match self {
            Self::Atom(text) => text.clone(),
            Self::List(elements) => {
                format!("[{}]", joined(elements.iter().map(Self::text).collect()))
            }
            Self::Structure(fields) => {
                let field = |(name, value): &(String, Self)| format!("{name}: {}", value.text());
                format!("{{{}}}", joined(fields.iter().map(field).collect()))
            }
        }
    }
}

/// The next line, unless it closes what was opened.
fn element<'a>(lines: &mut Lines<'a>, end: &str) -> Option<&'a str> {
    lines.next().map(str::trim).filter(|line| !line.starts_with(end))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug)]
    #[expect(dead_code, reason = "its debug text is what counts")]
    struct Sample {
        text: &'static str,
        bytes: bytes::Bytes,
        list: Vec<Option<Vec<i32>>>,
        inner: Option<Option<(u8,)>>,
    }

    #[test]
    fn every_value_has_its_place() {
        let sample = Sample {
            text: "a, {\n[",
            bytes: bytes::Bytes::from_static(b"\0(,"),
            list: vec![None, Some(vec![]), Some(vec![-1, 2])],
            inner: None,
        };
        let text = r#"{text: "a, {\n[", bytes: b"\0(,", list: [None, [], [-1, 2]], inner: None}"#;
        assert_eq!(Node::of(&sample).text(), text);
    }
}
