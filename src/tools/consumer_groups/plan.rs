//! The offsets that `--reset-offsets --export` writes and `--from-file` reads, as comma-separated values.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use crate::client::TopicPartition;

/// Longer texts are always quoted by Java's library.
const UNQUOTED_MAX: usize = 24;

/// A line for an offset; the group only stands there if there are several.
pub(super) fn line(
    group: Option<&str>,
    (topic, partition): &TopicPartition,
    offset: i64,
) -> String {
    let mut line = String::new();
    for text in group.into_iter().chain([topic.as_str()]) {
        let needs_quotes = text.len() > UNQUOTED_MAX || text.chars().any(|one| one < '-');
        let text = if needs_quotes {
            format!("\"{}\"", text.replace('"', "\"\""))
        } else {
            text.to_owned()
        };
        line += &text;
        line.push(',');
    }
    // Writing to a string cannot fail.
    let _ = writeln!(line, "{partition},{offset}");
    line
}

/// The offsets by their group, which is `single` where the lines name none.
pub(super) fn read(
    text: &str,
    single: Option<&str>,
) -> Result<BTreeMap<String, Vec<(TopicPartition, i64)>>, String> {
    let mut groups: BTreeMap<String, Vec<_>> = BTreeMap::new();
    let lines: Vec<Vec<String>> = text.lines().map(fields).collect();
    let single = single.filter(|_| lines.first().is_some_and(|fields| fields.len() == 3));
    for (number, fields) in lines.iter().enumerate() {
        let entry = match (&fields[..], single) {
            ([topic, partition, offset], Some(group)) => Some((group, topic, partition, offset)),
            ([group, topic, partition, offset], None) => {
                Some((group.as_str(), topic, partition, offset))
            }
            _ => None,
        };
        let entry = entry.and_then(|(group, topic, partition, offset)| {
            let partition = partition.trim().parse().ok()?;
            Some((group.to_owned(), (topic.clone(), partition), offset.trim().parse().ok()?))
        });
        let wrong = || format!("line {} is not [group,]topic,partition,offset", number + 1);
        let (group, partition, offset) = entry.ok_or_else(wrong)?;
        groups.entry(group).or_default().push((partition, offset));
    }
    Ok(groups)
}

fn fields(line: &str) -> Vec<String> {
    let mut fields = vec![String::new()];
    let mut is_quoted = false;
    let mut rest = line.chars().peekable();
    while let Some(one) = rest.next() {
        match one {
            '"' if is_quoted && rest.peek() == Some(&'"') => {
                rest.next();
                fields.last_mut().into_iter().for_each(|field| field.push('"'));
            }
            '"' => is_quoted = !is_quoted,
            ',' if !is_quoted => fields.push(String::new()),
            _ => fields.last_mut().into_iter().for_each(|field| field.push(one)),
        }
    }
    fields
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read() {
        let partition = ("t".to_owned(), 1);
        assert_eq!(line(None, &partition, 7), "t,1,7\n");
        let groups = ["g", "with \"quotes\", and more", "a-name-longer-than-anybody-would-like"];
        let text: String = groups.iter().map(|group| line(Some(group), &partition, 7)).collect();
        assert!(
            text.starts_with("g,t,1,7\n\"with \"\"quotes\"\", and more\",t,1,7\n\"a-name"),
            "{text}"
        );
        let read_again = read(&text, None).unwrap();
        assert_eq!(read_again.len(), groups.len());
        assert!(groups.iter().all(|group| read_again[*group] == [(partition.clone(), 7)]));
        assert_eq!(read("t,1,7\n", Some("g")).unwrap()["g"], [(partition.clone(), 7)]);
        assert_eq!(read("g,t,1,7\n", Some("g")).unwrap()["g"], [(partition, 7)]);
        for wrong in ["t,1", "t,x,1", "g,t,1,7\nt,1,7"] {
            assert!(read(wrong, Some("g")).is_err(), "{wrong}");
        }
    }
}
