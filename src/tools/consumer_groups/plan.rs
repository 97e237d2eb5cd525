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
    let mut reader = csv::ReaderBuilder::new();
    reader.has_headers(false).flexible(true).trim(csv::Trim::Fields);
    let rows = reader.from_reader(text.as_bytes()).into_records();
    let rows = rows.collect::<Result<Vec<_>, _>>().map_err(|error| error.to_string())?;
    let single = single.filter(|_| rows.first().is_some_and(|row| row.len() == 3));
    for row in rows {
        let line = row.position().map_or(0, csv::Position::line);
        let wrong = |_| format!("line {line} is not [group,]topic,partition,offset");
        let (group, topic, partition, offset) = match single {
            Some(group) => row
                .deserialize(None)
                .map(|(topic, partition, offset)| (group.to_owned(), topic, partition, offset)),
            None => row.deserialize(None),
        }
        .map_err(wrong)?;
        groups.entry(group).or_default().push(((topic, partition), offset));
    }
    Ok(groups)
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
