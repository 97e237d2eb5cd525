//! `meta.properties`: whose data directory this is (Kafka: `MetaProperties`, version 1).

use std::fmt::Write as _;

use uuid::Uuid;

use crate::config::parse_properties;

use super::directory::FileError;
use super::ids::{base64, from_base64};

/// The content of the file.
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(clippy::struct_field_names, reason = "the names are Kafka's")]
pub(super) struct MetaProperties {
    /// Any text; Kafka makes it of a random id in base64.
    pub cluster_id: String,
    /// The node that owns the directory.
    pub node_id: i32,
    /// Identifies the directory in partition and broker records; directories written before
    /// Kafka 3.7 have none.
    pub directory_id: Option<Uuid>,
}

impl MetaProperties {
    /// Reads the file of the node `node_id`.
    pub(super) fn parse(text: &str, node_id: i32) -> Result<Self, FileError> {
        let entries =
            parse_properties(text).map_err(|_| FileError::Damaged("an escape".to_owned()))?;
        let wrong = |key: &'static str, expected: &str| FileError::Refused {
            field: key,
            found: entries.get(key).cloned().unwrap_or_else(|| "missing".to_owned()),
            expected: expected.to_owned(),
        };
        let value = |key: &str| entries.get(key).map(|value| value.trim());
        if value("version") != Some("1") {
            return Err(wrong("version", "1 (the form of KRaft)"));
        }
        let owner = format!("{node_id}, this broker's node.id");
        if value("node.id").and_then(|id| id.parse().ok()) != Some(node_id) {
            return Err(wrong("node.id", &owner));
        }
        let cluster_id = value("cluster.id").filter(|id| !id.is_empty());
        let cluster_id = cluster_id.ok_or_else(|| wrong("cluster.id", "a cluster id"))?;
        let directory_id = match value("directory.id") {
            None => None,
            Some(text) => {
                let id = from_base64(text);
                Some(id.ok_or_else(|| wrong("directory.id", "22 characters of base64"))?)
            }
        };
        Ok(Self { cluster_id: cluster_id.to_owned(), node_id, directory_id })
    }

    /// The file, with Kafka's order of keys and without its comment that holds the date.
    pub(super) fn to_text(&self) -> String {
        let mut text = format!("#\nnode.id={}\n", self.node_id);
        if let Some(id) = self.directory_id {
            let _ = writeln!(text, "directory.id={}", base64(id));
        }
        let cluster_id = self.cluster_id.replace('\\', "\\\\");
        let _ = writeln!(text, "version=1\ncluster.id={cluster_id}");
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FILE: &str = "#\n#Fri Nov 20 14:37:07 UTC 2026\nnode.id=1\n\
        directory.id=nXlPsrd3vYKFOQdfjC-z5w\nversion=1\ncluster.id=MkU3OEVBNTcwNTJENDM2Qg\n";

    #[test]
    fn kafkas_file_is_read_and_written_but_for_the_date() {
        let read = MetaProperties::parse(FILE, 1).unwrap();
        assert_eq!(read.cluster_id, "MkU3OEVBNTcwNTJENDM2Qg");
        assert_eq!(base64(read.directory_id.unwrap()), "nXlPsrd3vYKFOQdfjC-z5w");
        assert_eq!(read.to_text(), FILE.replace("#Fri Nov 20 14:37:07 UTC 2026\n", ""));
    }

    #[test]
    fn another_node_or_version_is_refused_with_what_is_expected() {
        let error = MetaProperties::parse(FILE, 2).unwrap_err();
        assert_eq!(error.to_string(), "node.id is 1, not 2, this broker's node.id");
        let zookeeper = FILE.replace("version=1", "version=0");
        assert!(MetaProperties::parse(&zookeeper, 1).is_err());
        let without = FILE.replace("cluster.id=MkU3OEVBNTcwNTJENDM2Qg\n", "");
        let error = MetaProperties::parse(&without, 1).unwrap_err();
        assert!(error.to_string().contains("cluster.id is missing"), "{error}");
        let cut = FILE.replace("nXlPsrd3vYKFOQdfjC-z5w", "nXlP");
        assert!(MetaProperties::parse(&cut, 1).is_err());
        let old = FILE.replace("directory.id=nXlPsrd3vYKFOQdfjC-z5w\n", "");
        assert_eq!(MetaProperties::parse(&old, 1).unwrap().directory_id, None);
    }
}
