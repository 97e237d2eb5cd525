//! Which directory a partition lives in, and that it has a leader where that is online.
//!
//! A log stays where it stands, whatever its record says. One that stands nowhere is made in the
//! directory of its record; in another one only if no directory is out of sight, because it may
//! stand there (Kafka: `LogManager.getOrCreateLog`, `ReplicationControlManager`).

use std::sync::Arc;

use uuid::Uuid;

use crate::partition::Place;
use crate::wire::records::PartitionChangeRecord;

use super::image::{PartitionImage, TopicImage};
use super::machine::MetadataMachine;
use super::state::{Entry, ReplayError};

/// Where new partitions go: always to the directory with the fewest.
pub(super) struct NewPlaces(Vec<(usize, Uuid)>);

impl NewPlaces {
    /// The directory of the next partition, which counts from now on.
    pub(super) fn take(&mut self) -> Uuid {
        let fewest = self.0.iter_mut().min_by_key(|(partitions, _)| *partitions);
        fewest.map_or(Uuid::nil(), |(partitions, directory)| {
            *partitions += 1;
            *directory
        })
    }
}

impl MetadataMachine {
    /// The directories that have not failed.
    fn online(&self) -> &[Uuid] {
        self.registration().map_or(&[], |own| &own.log_dirs)
    }

    pub(super) fn new_places(&self) -> NewPlaces {
        let mut places = NewPlaces(self.online().iter().map(|directory| (0, *directory)).collect());
        if places.0.len() > 1 {
            for partition in self.state.image.topics().flat_map(|topic| &topic.partitions) {
                let known = places.0.iter_mut().find(|(_, known)| *known == partition.directory);
                if let Some((partitions, _)) = known {
                    *partitions += 1;
                }
            }
        }
        places
    }

    /// Where a partition's log stood at the start.
    fn found<'a>(
        &'a self,
        topic: &TopicImage,
        number: i32,
    ) -> impl Iterator<Item = Uuid> + use<'a> {
        let name = format!("{}-{number}", topic.name);
        let places = self.process.places.get(&name).into_iter().flatten();
        let topic_id = topic.id;
        let own = move |place: &&Place| place.topic_id.is_none_or(|found| found == topic_id);
        places.filter(own).map(|place| place.directory)
    }

    /// Refuses logs that stand in two directories.
    pub(super) fn check_places(&self) -> Result<(), ReplayError> {
        if self.process.places.values().all(|places| places.len() < 2) {
            return Ok(());
        }
        for topic in self.state.image.topics() {
            for number in (0..).take(topic.partitions.len()) {
                if self.found(topic, number).count() > 1 {
                    return Err(ReplayError::Refused(format!(
                        "log {}-{number} stands in two directories of log.dirs; move the one away \
                         that is older, or whose disk has failed",
                        topic.name
                    )));
                }
            }
        }
        Ok(())
    }

    /// The changes that give every partition its directory and leader, none where there is no
    /// directory; with `all` every leader is elected anew.
    pub(super) fn elections(&self, all: bool) -> Vec<Entry> {
        let mut places = self.new_places();
        let is_complete =
            !self.process.lacks_directories && self.online() == self.process.directories;
        let topics = self.state.image.topics();
        let partitions = topics.flat_map(|topic| {
            (0..).zip(&topic.partitions).map(move |(number, partition)| (topic, number, partition))
        });
        let change = |(topic, number, partition): (&Arc<TopicImage>, i32, &PartitionImage)| {
            let known = self.directory_of(topic, number, partition);
            let directory = known.or_else(|| is_complete.then(|| places.take()));
            self.change(topic.id, number, partition, directory, all)
        };
        partitions.filter_map(change).map(Entry::from).collect()
    }

    fn directory_of(
        &self,
        topic: &TopicImage,
        number: i32,
        partition: &PartitionImage,
    ) -> Option<Uuid> {
        let known = self.found(topic, number).next().unwrap_or(partition.directory);
        self.online().contains(&known).then_some(known)
    }

    fn change(
        &self,
        topic_id: Uuid,
        partition_id: i32,
        partition: &PartitionImage,
        directory: Option<Uuid>,
        elect: bool,
    ) -> Option<PartitionChangeRecord> {
        let node_id = self.settings().node_id;
        let mut change =
            PartitionChangeRecord { partition_id, topic_id, ..PartitionChangeRecord::default() };
        let nothing = change.clone();
        change.directories =
            directory.filter(|directory| *directory != partition.directory).map(|it| vec![it]);
        if directory.is_some() && (elect || partition.leader != node_id) {
            change.leader = node_id;
            change.isr = Some(vec![node_id]);
            change.eligible_leader_replicas = Some(Vec::new());
            change.last_known_elr = Some(Vec::new());
        } else if directory.is_none() && partition.is_led() {
            change.leader = -1;
            change.isr = Some(Vec::new());
            change.eligible_leader_replicas = Some(vec![node_id]);
            change.last_known_elr = Some(vec![node_id]);
        }
        (change != nothing).then_some(change)
    }
}

#[cfg(test)]
mod tests;
