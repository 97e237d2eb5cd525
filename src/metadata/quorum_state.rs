//! `quorum-state`: who leads the metadata log, in Kafka's JSON (Kafka: `FileQuorumStateStore`,
//! `QuorumStateData`). Version 0 names static voters, version 1 (`--standalone`) does not.

use serde_json::Value;

use super::directory::FileError;

/// The content of the file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct QuorumState {
    /// Newest known epoch, 0 or more.
    pub leader_epoch: i32,
    /// True for version 0: the voters are configured, not recorded in the log.
    pub static_voters: bool,
}

impl QuorumState {
    /// Reads the file of the single voter `node_id`.
    pub(super) fn parse(text: &str, node_id: i32) -> Result<Self, FileError> {
        let damaged = |what: &str| FileError::Damaged(what.to_owned());
        let refused = |field, found: String, expected: &str| {
            Err(FileError::Refused { field, found, expected: expected.to_owned() })
        };
        let line = text.lines().next().unwrap_or_default();
        let state: Value = serde_json::from_str(line).map_err(|_| damaged("its JSON"))?;
        let version = state["data_version"].as_i64().ok_or_else(|| damaged("data_version"))?;
        if !(0..=1).contains(&version) {
            return refused("data_version", version.to_string(), "0 or 1");
        }
        let epoch = state["leaderEpoch"].as_i64().and_then(|epoch| i32::try_from(epoch).ok());
        let epoch = epoch.filter(|epoch| *epoch >= 0);
        // An attempt to start on static voters without configuring them leaves an empty list.
        let voters = state["currentVoters"].as_array().into_iter().flatten();
        let voters: Vec<_> = voters.map(|voter| voter["voterId"].as_i64()).collect();
        if voters.iter().any(|voter| *voter != Some(node_id.into())) {
            let found = state["currentVoters"].to_string();
            return refused("currentVoters", found, "only this node: Ottla is a quorum of one");
        }
        let leader_epoch = epoch.ok_or_else(|| damaged("leaderEpoch"))?;
        Ok(Self { leader_epoch, static_voters: version == 0 })
    }

    /// The file in which `node_id` leads `leader_epoch`.
    pub(super) fn to_text(self, node_id: i32) -> String {
        let epoch = self.leader_epoch;
        if self.static_voters {
            format!(
                r#"{{"clusterId":"","leaderId":{node_id},"leaderEpoch":{epoch},"votedId":-1,"appliedOffset":0,"currentVoters":[{{"voterId":{node_id}}}],"data_version":0}}"#
            )
        } else {
            format!(
                r#"{{"leaderId":{node_id},"leaderEpoch":{epoch},"votedId":-1,"votedDirectoryId":"AAAAAAAAAAAAAAAAAAAAAA","data_version":1}}"#
            )
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const STATIC: &str = r#"{"clusterId":"","leaderId":1,"leaderEpoch":1,"votedId":-1,"appliedOffset":0,"currentVoters":[{"voterId":1}],"data_version":0}"#;
    const STANDALONE: &str = r#"{"leaderId":1,"leaderEpoch":1,"votedId":-1,"votedDirectoryId":"AAAAAAAAAAAAAAAAAAAAAA","data_version":1}"#;

    #[test]
    fn both_versions_are_read_and_written_as_kafka_does() {
        for (text, static_voters) in [(STATIC, true), (STANDALONE, false)] {
            let state = QuorumState::parse(text, 1).unwrap();
            assert_eq!(state, QuorumState { leader_epoch: 1, static_voters });
            assert_eq!(state.to_text(1), text);
        }
    }

    #[test]
    fn empty_voters_of_a_failed_start_are_accepted() {
        let text = STATIC.replace(r#"[{"voterId":1}]"#, "[]");
        assert!(QuorumState::parse(&text, 1).unwrap().static_voters);
    }

    #[test]
    fn other_voters_versions_and_damage_are_refused() {
        let refused =
            |text: &str, node_id| QuorumState::parse(text, node_id).unwrap_err().to_string();
        let two = STATIC.replace(r#"[{"voterId":1}]"#, r#"[{"voterId":1},{"voterId":2}]"#);
        assert!(refused(&two, 1).contains(r#"currentVoters is [{"voterId":1},{"voterId":2}]"#));
        assert!(refused(STATIC, 7).contains("currentVoters"));
        let newer = STANDALONE.replace("\"data_version\":1", "\"data_version\":2");
        assert_eq!(refused(&newer, 1), "data_version is 2, not 0 or 1");
        assert!(refused("", 1).contains("damaged at its JSON"));
        assert!(refused("{}", 1).contains("damaged at data_version"));
        let negative = STANDALONE.replace("\"leaderEpoch\":1", "\"leaderEpoch\":-2");
        assert!(refused(&negative, 1).contains("damaged at leaderEpoch"));
    }
}
