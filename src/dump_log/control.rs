//! Control records: the ends of transactions, and those of the metadata log and its snapshots.

use bytes::{Buf, Bytes};

use crate::wire::Message;
use crate::wire::records::{
    KRaftVersionRecord, LeaderChangeMessage, SnapshotFooterRecord, SnapshotHeaderRecord,
    VotersRecord,
};

/// What Kafka prints of a control record; an error says what is wrong with it.
pub(super) fn control_text(key: Option<&[u8]>, value: Option<&[u8]>) -> Result<String, String> {
    let mut key = key.unwrap_or_default();
    let value = Bytes::copy_from_slice(value.unwrap_or_default());
    let short = "the key of a control record has fewer than 4 bytes";
    let version = key.try_get_i16().map_err(|_| short)?;
    let kind = key.try_get_i16().map_err(|_| short)?;
    if version < 0 {
        return Err(format!("the key of a control record has version {version}"));
    }
    match kind {
        0 | 1 => marker_text(if kind == 0 { "ABORT" } else { "COMMIT" }, value),
        2 => json("LeaderChange:", value, |record: &LeaderChangeMessage| record.version),
        3 => json("SnapshotHeader", value, |record: &SnapshotHeaderRecord| record.version),
        4 => json("SnapshotFooter", value, |record: &SnapshotFooterRecord| record.version),
        5 => json("KRaftVersion", value, |record: &KRaftVersionRecord| record.version),
        6 => json("KRaftVoters", value, |record: &VotersRecord| record.version),
        _ => Ok(format!("controlType: UNKNOWN({kind})")),
    }
}

fn marker_text(kind: &str, mut value: Bytes) -> Result<String, String> {
    let short = "the value of a transaction's marker has fewer than 6 bytes";
    let version = value.try_get_i16().map_err(|_| short)?;
    if version < 0 {
        return Err(format!("a transaction's marker has version {version}"));
    }
    let coordinator_epoch = value.try_get_i32().map_err(|_| short)?;
    Ok(format!("endTxnMarker: {kind} coordinatorEpoch: {coordinator_epoch}"))
}

/// Every kind is read in version 0 and printed in the version that it says it has.
fn json<M: Message>(
    name: &str,
    value: Bytes,
    version: impl Fn(&M) -> i16,
) -> Result<String, String> {
    let record = M::from_bytes(value, 0).map_err(|error| error.to_string())?;
    Ok(format!("{name} {}", record.to_json(version(&record))))
}
