//! Java's properties format, in which `server.properties` is written.

use super::{ConfigError, ConfigMap};

/// Reads a whole file (Java: `Properties.load`). Of two entries with one key the later one
/// counts. Trailing blanks belong to the value.
pub fn parse_properties(text: &str) -> Result<ConfigMap, ConfigError> {
    let mut entries = ConfigMap::new();
    let mut lines = text.lines().enumerate();
    while let Some((index, first)) = lines.next() {
        let mut entry = first.trim_start_matches(BLANKS).to_owned();
        if entry.is_empty() || entry.starts_with(['#', '!']) {
            continue;
        }
        while ends_with_continuation(&entry) {
            entry.pop();
            match lines.next() {
                Some((_, more)) => entry.push_str(more.trim_start_matches(BLANKS)),
                None => break,
            }
        }
        let (key, value) = split(&entry);
        let decode = |text| unescape(text).ok_or(ConfigError::Properties(index + 1));
        entries.insert(decode(key)?, decode(value)?);
    }
    Ok(entries)
}

const BLANKS: [char; 3] = [' ', '\t', '\u{c}'];

fn ends_with_continuation(line: &str) -> bool {
    line.bytes().rev().take_while(|byte| *byte == b'\\').count() % 2 == 1
}

/// The key ends at the first blank, `=` or `:` that is not escaped; one separator is dropped.
fn split(entry: &str) -> (&str, &str) {
    let mut escaped = false;
    let end = entry.find(|character: char| {
        let ends = !escaped && (BLANKS.contains(&character) || "=:".contains(character));
        escaped = character == '\\' && !escaped;
        ends
    });
    let (key, rest) = entry.split_at(end.unwrap_or(entry.len()));
    let rest = rest.trim_start_matches(BLANKS);
    let value = rest.strip_prefix(['=', ':']).unwrap_or(rest);
    (key, value.trim_start_matches(BLANKS))
}

/// Resolves escapes; None where `\u` is cut short. `\u` gives UTF-16 units, so pairs combine.
fn unescape(text: &str) -> Option<String> {
    let mut units = Vec::with_capacity(text.len());
    let mut rest = text.chars();
    while let Some(character) = rest.next() {
        let resolved = match character {
            '\\' => match rest.next() {
                None => break,
                Some('u') => {
                    let digits = rest.as_str().get(..4)?;
                    if !digits.bytes().all(|byte| byte.is_ascii_hexdigit()) {
                        return None;
                    }
                    units.push(u16::from_str_radix(digits, 16).ok()?);
                    rest = rest.as_str()[4..].chars();
                    continue;
                }
                Some('t') => '\t',
                Some('n') => '\n',
                Some('r') => '\r',
                Some('f') => '\u{c}',
                Some(other) => other,
            },
            other => other,
        };
        units.extend_from_slice(resolved.encode_utf16(&mut [0; 2]));
    }
    Some(String::from_utf16_lossy(&units))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn one(text: &str) -> (String, String) {
        let entries = parse_properties(text).unwrap();
        assert_eq!(entries.len(), 1, "{entries:?}");
        entries.into_iter().next().unwrap()
    }

    #[test]
    fn separators_blanks_and_escapes() {
        for text in ["a=b", "a:b", "a b", " a = b", "\ta\t:\tb", "a   b", "a\\\n=b", "a=\\\n   b"] {
            assert_eq!(one(text), ("a".into(), "b".into()), "{text:?}");
        }
        assert_eq!(one("a"), ("a".into(), String::new()));
        assert_eq!(one("a=b ="), ("a".into(), "b =".into()));
        assert_eq!(one("a=b \r\n"), ("a".into(), "b ".into()), "trailing blanks stay");
        assert_eq!(one("a\\ b\\=c=d"), ("a b=c".into(), "d".into()));
        assert_eq!(one(r"a=\t\n\u00e9\ud83d\ude00\q"), ("a".into(), "\t\né😀q".into()));
        assert_eq!(one("a=x\\\\"), ("a".into(), "x\\".into()), "an escaped backslash ends it");
        assert_eq!(one("a=x\\"), ("a".into(), "x".into()), "a continuation into nothing");
    }

    #[test]
    fn comments_and_repeated_keys() {
        let entries = parse_properties("# a=1\n! b=2\n\n  #c=3\\\nd=4\nd=5\n").unwrap();
        assert_eq!(entries, ConfigMap::from([("d".into(), "5".into())]));
    }

    #[test]
    fn a_cut_unicode_escape_names_its_line() {
        for text in ["ok=1\na=\\u12", "ok=1\na=\\u12g4", "ok=1\na=\\u+123", "ok=1\na=\\u€12"] {
            assert_eq!(parse_properties(text), Err(ConfigError::Properties(2)), "{text:?}");
        }
    }
}
