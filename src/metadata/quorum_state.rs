//! `quorum-state`: who leads the metadata log, in Kafka's JSON (Kafka: `FileQuorumStateStore`,
//! `QuorumStateData`). Version 0 names static voters, version 1 (`--standalone`) does not.

use serde_json::Value;

/// Why the file cannot be used.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum QuorumStateError {
    /// Not the JSON that is expected.
    #[error("quorum-state is damaged at {0}; restore it from a backup")]
    Damaged(&'static str),
    /// Written by something newer.
    #[error("quorum-state has data_version {0}; versions 0 and 1 are known")]
    Version(i64),
    /// The log belongs to a quorum of other nodes.
    #[error("quorum-state names the voters {0:?}; only a single-node quorum is served")]
    Voters(Vec<i64>),
}

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
    pub(super) fn parse(text: &str, node_id: i32) -> Result<Self, QuorumStateError> {
        let damaged = |_| QuorumStateError::Damaged("its JSON");
        let line = text.lines().next().unwrap_or_default();
        let state: Value = serde_json::from_str(line).map_err(damaged)?;
        let version = state["data_version"].as_i64();
        let version = version.ok_or(QuorumStateError::Damaged("data_version"))?;
        if !(0..=1).contains(&version) {
            return Err(QuorumStateError::Version(version));
        }
        let epoch = state["leaderEpoch"].as_i64().and_then(|epoch| i32::try_from(epoch).ok());
        let leader_epoch = epoch.filter(|epoch| *epoch >= 0);
        let leader_epoch = leader_epoch.ok_or(QuorumStateError::Damaged("leaderEpoch"))?;
        // An attempt to start on static voters without configuring them leaves an empty list.
        let voters = state["currentVoters"].as_array().into_iter().flatten();
        let voters: Vec<i64> =
            voters.map(|voter| voter["voterId"].as_i64().unwrap_or(-1)).collect();
        if voters.iter().any(|voter| *voter != i64::from(node_id)) {
            return Err(QuorumStateError::Voters(voters));
        }
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
        let two = STATIC.replace(r#"[{"voterId":1}]"#, r#"[{"voterId":1},{"voterId":2}]"#);
        assert_eq!(QuorumState::parse(&two, 1), Err(QuorumStateError::Voters(vec![1, 2])));
        assert_eq!(QuorumState::parse(STATIC, 7), Err(QuorumStateError::Voters(vec![1])));
        let newer = STANDALONE.replace("\"data_version\":1", "\"data_version\":2");
        assert_eq!(QuorumState::parse(&newer, 1), Err(QuorumStateError::Version(2)));
        assert_eq!(QuorumState::parse("", 1), Err(QuorumStateError::Damaged("its JSON")));
        assert_eq!(QuorumState::parse("{}", 1), Err(QuorumStateError::Damaged("data_version")));
        let negative = STANDALONE.replace("\"leaderEpoch\":1", "\"leaderEpoch\":-2");
        assert_eq!(QuorumState::parse(&negative, 1), Err(QuorumStateError::Damaged("leaderEpoch")));
    }
}
