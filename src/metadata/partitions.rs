//! Adding partitions to topics (Kafka: `ReplicationControlManager.createPartitions`).

use crate::wire::ErrorCode;

use super::image::PartitionImage;
use super::machine::MetadataMachine;
use super::places::NewPlaces;
use super::snapshot::partition_record;
use super::state::{Entry, PARTITIONS_MAX};
use super::topics::{RECORDS_MAX, TopicError};

/// Partitions to be added to a topic.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct NewPartitions {
    /// The topic's name.
    pub topic: String,
    /// How many partitions it is to have.
    pub count: i32,
    /// The nodes that each new partition is to live on; None lets the broker choose.
    pub assignments: Option<Vec<Vec<i32>>>,
}

impl MetadataMachine {
    /// Decides on each topic by itself; the records of those that can grow. Names do not repeat:
    /// that is the handler's to check.
    pub(super) fn create_partitions(
        &self,
        topics: &[NewPartitions],
    ) -> (Vec<Entry>, Vec<Result<(), TopicError>>) {
        let mut records = Vec::new();
        let mut places = self.new_places();
        let decide = |topic: &NewPartitions| {
            let room = RECORDS_MAX - records.len();
            records.extend(self.new_partitions(topic, room, &mut places)?);
            Ok(())
        };
        let outcomes = topics.iter().map(decide).collect();
        (records, outcomes)
    }

    /// The records of one topic's new partitions, at most `room`.
    fn new_partitions(
        &self,
        new: &NewPartitions,
        room: usize,
        places: &mut NewPlaces,
    ) -> Result<Vec<Entry>, TopicError> {
        let NewPartitions { topic: name, count, assignments } = new;
        let unknown = TopicError { code: ErrorCode::UnknownTopicOrPartition, message: None };
        let topic = self.state.image.topic(name).ok_or(unknown)?;
        let invalid = |text| Err(TopicError::new(ErrorCode::InvalidPartitions, text));
        let existing = topic.partitions.len() as i32;
        if *count == existing {
            return invalid(format!("Topic already has {existing} partition(s)."));
        }
        if *count < existing {
            return invalid(format!(
                "The topic {name} currently has {existing} partition(s); {count} would not be an \
                 increase."
            ));
        }
        let additional = (count - existing) as usize;
        if let Some(assignments) = assignments {
            self.check_additional(additional, assignments)?;
        }
        // Here the reference answers UNKNOWN_SERVER_ERROR and adds as many as fit.
        if additional > room || *count as usize > PARTITIONS_MAX {
            return Err(TopicError::batch_too_large());
        }
        let node_id = self.settings().node_id;
        let record = |number| {
            let new = PartitionImage::new(node_id, places.take());
            partition_record(topic.id, number, new, node_id).into()
        };
        Ok((existing..*count).map(record).collect())
    }

    fn check_additional(
        &self,
        additional: usize,
        assignments: &[Vec<i32>],
    ) -> Result<(), TopicError> {
        let refuse = |text| Err(TopicError::new(ErrorCode::InvalidReplicaAssignment, text));
        if assignments.len() != additional {
            return refuse(format!(
                "Attempted to add {additional} additional partition(s), but only {} assignment(s) \
                 were specified.",
                assignments.len()
            ));
        }
        match assignments.iter().find_map(|nodes| self.unplaceable(nodes)) {
            Some(text) => refuse(format!("The manual partition assignment includes {text}")),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests;
