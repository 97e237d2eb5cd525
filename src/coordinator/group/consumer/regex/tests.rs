//! What RE2/J 1.8 makes of patterns.

use super::*;

/// The first line has names. Then each pattern stands on a line and below it what RE2/J did: the
/// description of an error behind `!`, or behind `=` a digit for each name that tells whether it
/// matches, and all characters of names that match alone.
const GOLDEN: &str =
    include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/golden/topic_patterns.txt"));
const CHARACTERS: &str = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-";

fn answer(pattern: &str, names: &str) -> String {
    let pattern = match compile(pattern) {
        Ok(regex) => TopicPattern(regex),
        Err(error) => return format!("! {error}"),
    };
    let words = names.split(' ').map(|name| if pattern.matches(name) { '1' } else { '0' });
    let alone = CHARACTERS.chars().filter(|it| pattern.matches(&it.to_string()));
    let alone = Some(alone.collect::<String>()).filter(|alone| !alone.is_empty());
    format!("= {} {}", words.collect::<String>(), alone.as_deref().unwrap_or("none"))
}

#[test]
fn patterns_mean_what_the_reference_takes_them_for() {
    let (names, patterns) = GOLDEN.split_once('\n').unwrap();
    let lines: Vec<&str> = patterns.lines().collect();
    let wrong: Vec<String> = lines
        .chunks(2)
        .map(|pair| (pair[0], pair[1], answer(pair[0], names)))
        .filter(|(_, expected, answer)| expected != answer)
        .map(|(pattern, expected, answer)| format!("{pattern}\n  {expected}\n  {answer}"))
        .collect();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn a_bad_pattern_is_answered_in_the_words_of_the_reference() {
    let message = TopicPattern::new("a[").unwrap_err();
    let expected =
        "SubscribedTopicRegex `a[` is not a valid regular expression: missing closing ].";
    assert_eq!(message, expected);
}

#[test]
fn an_empty_pattern_matches_only_nothing() {
    let pattern = TopicPattern::new("").unwrap();
    assert!(pattern.matches("") && !pattern.matches("a"));
}

#[test]
fn patterns_that_would_take_all_memory_are_refused() {
    let long = "a".repeat(PATTERN_BYTES_MAX + 1);
    let deep = format!("{}a{}", "(".repeat(20_000), ")".repeat(20_000));
    for pattern in ["(a{1000}){1000}", "((((.{50}){50}){50}){50}){50}", &long, &deep] {
        assert_eq!(compile(pattern).unwrap_err(), parser::SyntaxError::TooLarge);
    }
}

#[test]
fn long_patterns_of_every_kind_are_read_in_one_go() {
    for part in
        ["a", ".", "(", "[", "[[:", "{", "{1", "\\Q", "(?i)", "a|", "[^a]", "\\pL", "é", "a?"]
    {
        // Whether it is good or bad: nothing here may take time in proportion to a square.
        let _ = compile(&part.repeat(PATTERN_BYTES_MAX / part.len()));
    }
}

#[test]
fn a_list_of_many_topics_fits() {
    let names: Vec<String> = (0..500).map(|it| format!("department.orders.v{it:04}")).collect();
    let pattern = TopicPattern::new(&names.join("|")).unwrap();
    assert!(names.iter().all(|name| pattern.matches(name)));
    assert!(!pattern.matches("department.orders.v0500"));
}
