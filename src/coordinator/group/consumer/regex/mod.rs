//! Patterns of topics to subscribe to (KIP-848: `SubscribedTopicRegex`), and of transactional ids to
//! list.
//!
//! The reference compiles them with RE2/J. Here [`translate`](parser::translate) reads a pattern by
//! the rules of RE2/J, whose errors are part of the answer, and writes it anew for the `regex`
//! crate, which accepts another language (`a**` and `a++` without complaint, nested classes,
//! `[a&&b]`, `(?x)`; no `\Q..\E`, octal escapes or `{,2}` as a literal). Names of topics are ASCII
//! without line breaks, so only ASCII is left after that: no tables of Unicode are needed, and of
//! the flags only `i` makes a difference.
//!
//! Where it differs from RE2/J on purpose:
//! - Scripts other than Latin and Common are unknown: `\p{Greek}` is refused. No topic's name has
//!   such a character.
//! - A pattern longer than [`PATTERN_BYTES_MAX`], nested deeper than [`DEPTH_MAX`] or compiled to
//!   more than [`PROGRAM_BYTES_MAX`] (`(a{1000}){1000}`) is refused; RE2/J goes on until memory or
//!   stack are used up.
//! - Two slips of RE2/J are not made: `(?i)\p{Ll}` matches capitals too (there only K and S), and
//!   `A(?i)b|a` matches `a` and not only `A`.
//!
//! A match takes time in proportion to the length of the name times the size of the program, so the
//! bound of the size bounds what a pattern costs for each topic.

mod ascii;
mod parser;
#[cfg(test)]
mod tests;

use regex::bytes::{Regex, RegexBuilder};

/// Longest pattern.
const PATTERN_BYTES_MAX: usize = 64 << 10;
/// Largest compiled pattern.
const PROGRAM_BYTES_MAX: usize = 1 << 20;
/// Deepest nesting of groups and repetitions.
const DEPTH_MAX: u32 = 250;

/// A pattern that is matched against names of topics.
#[derive(Clone, Debug)]
pub(in crate::coordinator) struct TopicPattern(Regex);

impl TopicPattern {
    /// Compiles a pattern. The error is the message that the reference answers with
    /// INVALID_REGULAR_EXPRESSION (Kafka: `GroupMetadataManager.throwIfRegularExpressionIsInvalid`).
    pub(in crate::coordinator) fn new(pattern: &str) -> Result<Self, String> {
        compile(pattern).map(Self).map_err(|reason| {
            format!("SubscribedTopicRegex `{pattern}` is not a valid regular expression: {reason}.")
        })
    }

    /// Whether the whole name matches.
    pub(in crate::coordinator) fn matches(&self, topic: &str) -> bool {
        self.0.is_match(topic.as_bytes())
    }
}

/// What is wrong with a pattern, in the words of RE2/J.
pub(crate) fn pattern_error(pattern: &str) -> Option<String> {
    compile(pattern).err().map(|error| error.to_string())
}

fn compile(pattern: &str) -> Result<Regex, parser::SyntaxError> {
    if pattern.len() > PATTERN_BYTES_MAX {
        return Err(parser::SyntaxError::TooLarge);
    }
    let translated = parser::translate(pattern)?;
    RegexBuilder::new(&format!(r"\A(?:{translated})\z"))
        .unicode(false)
        .size_limit(PROGRAM_BYTES_MAX)
        .nest_limit(DEPTH_MAX)
        .build()
        // The parser has refused everything else that the crate could.
        .map_err(|_| parser::SyntaxError::TooLarge)
}
