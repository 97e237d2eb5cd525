//! The directories that a broker's logs stand in, one engine for each.
//!
//! A partition lives in one directory for as long as it exists; its metadata record names it. A
//! directory that has failed, or could not be opened, is gone until the next start, and nothing of
//! it is made anew elsewhere.

use std::collections::{HashMap, HashSet};
use std::io;
use std::sync::Arc;

use uuid::Uuid;

use crate::log::{Engine, LogDirectory, LogId};

/// Where a log stands that was found at the start.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place {
    /// The directory's id.
    pub directory: Uuid,
    /// The topic's id; None where it cannot be read.
    pub topic_id: Option<Uuid>,
}

/// Where logs stand, by their directories' names.
pub type Places = HashMap<String, Vec<Place>>;

/// The directories of a broker.
pub struct Directories {
    metadata: Arc<dyn Engine>,
    /// In the order of `log.dirs`, without those that could not be opened.
    data: Vec<(Uuid, Arc<dyn Engine>)>,
    unusable: Vec<String>,
}

impl Directories {
    /// The engine of the metadata log; the directories of topics' logs with their ids, at least
    /// one; the paths of those that cannot be used.
    pub fn new(
        metadata: Arc<dyn Engine>,
        data: Vec<(Uuid, Arc<dyn Engine>)>,
        unusable: Vec<String>,
    ) -> Self {
        Self { metadata, data, unusable }
    }

    /// One directory for everything.
    pub fn one(id: Uuid, engine: Arc<dyn Engine>) -> Self {
        Self::new(engine.clone(), vec![(id, engine)], Vec::new())
    }

    /// The engine of the metadata log.
    pub fn metadata(&self) -> &Arc<dyn Engine> {
        &self.metadata
    }

    /// Ids of the directories that topics' logs may stand in, as of the start.
    pub fn ids(&self) -> Vec<Uuid> {
        self.data.iter().map(|(id, _)| *id).collect()
    }

    /// Whether `log.dirs` names directories that could not be opened.
    pub fn lacks_any(&self) -> bool {
        !self.unusable.is_empty()
    }

    /// The engine of a directory that has not failed.
    pub(super) fn online(&self, id: Uuid) -> Option<&Arc<dyn Engine>> {
        let (_, engine) = self.data.iter().find(|(known, _)| *known == id)?;
        (!engine.is_offline()).then_some(engine)
    }

    /// Directories whose failure leaves others that go on, and when they fail.
    pub fn expendable(&self) -> impl Iterator<Item = (Uuid, Arc<dyn Engine>)> {
        let data = self.data.iter().filter(|(_, engine)| !Arc::ptr_eq(engine, &self.metadata));
        data.map(|(id, engine)| (*id, engine.clone()))
    }

    /// Resolves when no directory is left.
    pub async fn all_failed(&self) {
        for (_, engine) in &self.data {
            engine.failed().await;
        }
    }

    /// Where logs stand. Empty with one directory: then it is there or nowhere. Blocks.
    pub fn places(&self) -> io::Result<Places> {
        let mut places = Places::new();
        let searched = if self.data.len() > 1 { &self.data[..] } else { &[] };
        for (directory, engine) in searched {
            for name in engine.existing()? {
                let topic_id = engine.topic_id(&name)?;
                let place = Place { directory: *directory, topic_id };
                places.entry(name).or_default().push(place);
            }
        }
        Ok(places)
    }

    /// Deletes what of these logs stands in any directory, open or not; the first error, after all
    /// were tried.
    pub async fn delete(&self, ids: &[LogId]) -> io::Result<()> {
        let mut outcome = Ok(());
        for (_, engine) in self.data.iter().filter(|(_, engine)| !engine.is_offline()) {
            let existing: HashSet<String> = match engine.existing() {
                Ok(existing) => existing.into_iter().collect(),
                Err(error) => {
                    outcome = outcome.and(Err(error));
                    continue;
                }
            };
            let here = ids.iter().filter(|id| existing.contains(&id.directory_name()));
            let here: Vec<_> = here.cloned().collect();
            outcome = outcome.and(engine.delete(&here).await);
        }
        outcome
    }

    /// What can be told of each directory; the id of those that could not be opened is nil. Blocks.
    pub fn describe(&self) -> Vec<(Uuid, LogDirectory)> {
        let unusable = self.unusable.iter().map(|path| {
            let error = io::Error::other("it could not be opened at the start");
            (Uuid::nil(), LogDirectory { path: path.clone(), space: Err(error) })
        });
        self.data.iter().map(|(id, engine)| (*id, engine.directory())).chain(unusable).collect()
    }

    /// The broker epoch of the last clean stop, if all directories agree on it.
    pub fn clean_shutdown_epoch(&self) -> Option<i64> {
        let mut epochs = self.data.iter().map(|(_, engine)| engine.clean_shutdown_epoch());
        let first = epochs.next()?.filter(|_| !self.lacks_any())?;
        epochs.all(|epoch| epoch == Some(first)).then_some(first)
    }

    /// After every log is closed: closes the directories that have not failed; the first error,
    /// after all were tried.
    pub async fn close(&self, broker_epoch: i64) -> io::Result<()> {
        let is_apart = !self.data.iter().any(|(_, engine)| Arc::ptr_eq(engine, &self.metadata));
        let apart = is_apart.then_some(&self.metadata);
        let mut outcome = Ok(());
        for engine in self.data.iter().map(|(_, engine)| engine).chain(apart) {
            if Arc::ptr_eq(engine, &self.metadata) || !engine.is_offline() {
                outcome = outcome.and(engine.close(broker_epoch).await);
            }
        }
        outcome
    }
}
