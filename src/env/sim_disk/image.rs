//! Files and directories with a volatile and a durable image.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use super::lock;

/// A device writes no less than this at once, in bytes.
const SECTOR_BYTES: usize = 512;

/// What a name stands for. Open files hold theirs also when the name is gone.
#[derive(Clone)]
pub(super) enum Node {
    File(Arc<Mutex<File>>),
    Directory(u64),
}

/// A change of a file that is not durable yet.
#[derive(Clone)]
pub(super) enum Write {
    /// These bytes at this position.
    Bytes(u64, Vec<u8>),
    /// Cut or extended to this length.
    Length(u64),
    /// Extended to this length, never cut: the size of a write reached the device, its bytes did
    /// not.
    Extent(u64),
}

impl Write {
    fn apply(&self, image: &mut Vec<u8>) {
        match self {
            Self::Bytes(position, bytes) => {
                let start = *position as usize;
                let end = start + bytes.len();
                if image.len() < end {
                    image.resize(end, 0);
                }
                image[start..end].copy_from_slice(bytes);
            }
            Self::Length(length) => image.resize(*length as usize, 0),
            Self::Extent(length) => image.resize(image.len().max(*length as usize), 0),
        }
    }

    /// What is left of a write that was under way.
    fn torn(self, random: &mut fastrand::Rng) -> Vec<Self> {
        let Self::Bytes(position, mut bytes) = self else {
            return vec![self];
        };
        let end = position + bytes.len() as u64;
        match random.u8(0..3) {
            0 => {
                bytes.truncate(random.usize(0..bytes.len()));
                vec![Self::Bytes(position, bytes)]
            }
            1 => vec![Self::Extent(end)],
            _ => {
                let mut sectors = Vec::new();
                let mut start = 0;
                while start < bytes.len() {
                    let into_sector = (position as usize + start) % SECTOR_BYTES;
                    let next = bytes.len().min(start + SECTOR_BYTES - into_sector);
                    if random.bool() {
                        let sector = bytes[start..next].to_vec();
                        sectors.push(Self::Bytes(position + start as u64, sector));
                    }
                    start = next;
                }
                sectors
            }
        }
    }
}

/// A choice of the changes that a device got to, the last of them perhaps in part.
fn surviving(mut pending: Vec<Write>, random: &mut fastrand::Rng) -> Vec<Write> {
    match random.u8(0..5) {
        0 => Vec::new(),
        1 => pending,
        2 | 3 => {
            pending.truncate(random.usize(0..=pending.len()));
            let last = pending.pop();
            pending.extend(last.into_iter().flat_map(|write| write.torn(random)));
            pending
        }
        _ => {
            let choose = |write: Write| match random.u8(0..4) {
                0 => Vec::new(),
                1 => write.torn(random),
                _ => vec![write],
            };
            pending.into_iter().flat_map(choose).collect()
        }
    }
}

#[derive(Default)]
pub(super) struct File {
    volatile: Vec<u8>,
    durable: Vec<u8>,
    pending: Vec<Write>,
}

impl File {
    pub(super) fn bytes(&self) -> &[u8] {
        &self.volatile
    }

    pub(super) fn change(&mut self, write: Write) {
        write.apply(&mut self.volatile);
        self.pending.push(write);
    }

    pub(super) fn sync(&mut self) {
        for write in self.pending.drain(..) {
            write.apply(&mut self.durable);
        }
    }

    /// As Linux does it: what could not be written counts as clean afterwards, so that the next
    /// sync succeeds without it.
    pub(super) fn sync_failing(&mut self, random: &mut fastrand::Rng) {
        self.pending = surviving(std::mem::take(&mut self.pending), random);
        self.sync();
    }

    fn lose_power(&mut self, random: &mut fastrand::Rng) {
        self.sync_failing(random);
        self.volatile.clone_from(&self.durable);
    }
}

/// A change of a directory that is not durable yet.
pub(super) enum Change {
    /// The name stands for this from now on, or for nothing.
    Link(String, Option<Node>),
    Rename(String, String),
}

/// Number of the root directory.
pub(super) const ROOT: u64 = 0;

/// What each directory and name in it stands for.
type Links = BTreeMap<(u64, String), Node>;

/// All names of a disk. What an unlinked directory held stays until the disk goes.
#[derive(Default)]
pub(super) struct Names {
    volatile: Links,
    durable: Links,
    /// Directories and their changes, oldest first.
    pending: Vec<(u64, Change)>,
    directories: u64,
}

impl Change {
    fn apply(&self, directory: u64, links: &mut Links) {
        let (name, node) = match self {
            Self::Link(name, node) => (name, node.clone()),
            Self::Rename(from, to) => (to, links.remove(&(directory, from.clone()))),
        };
        match node {
            Some(node) => links.insert((directory, name.clone()), node),
            None => links.remove(&(directory, name.clone())),
        };
    }
}

impl Names {
    pub(super) fn new_directory(&mut self) -> u64 {
        self.directories += 1;
        self.directories
    }

    pub(super) fn get(&self, directory: u64, name: &str) -> Option<Node> {
        self.volatile.get(&(directory, name.to_owned())).cloned()
    }

    pub(super) fn list(&self, directory: u64) -> Vec<String> {
        let links = self.volatile.range((directory, String::new())..);
        let names = links.map(|((holder, name), _)| (*holder, name.clone()));
        names.take_while(|(holder, _)| *holder == directory).map(|(_, name)| name).collect()
    }

    pub(super) fn change(&mut self, directory: u64, change: Change) {
        change.apply(directory, &mut self.volatile);
        self.pending.push((directory, change));
    }

    pub(super) fn sync(&mut self, directory: u64) {
        for (_, change) in self.pending.extract_if(.., |(changed, _)| *changed == directory) {
            change.apply(directory, &mut self.durable);
        }
    }

    /// Keeps, of everything unsynced, what chance lets survive: of a directory's names the changes
    /// up to some point, of a file's writes any choice.
    pub(super) fn lose_power(&mut self, random: &mut fastrand::Rng) {
        let mut kept = BTreeMap::<u64, usize>::new();
        for (directory, _) in &self.pending {
            *kept.entry(*directory).or_default() += 1;
        }
        for kept in kept.values_mut() {
            *kept = random.usize(0..=*kept);
        }
        for (directory, change) in self.pending.drain(..) {
            if let Some(left) = kept.get_mut(&directory).filter(|left| **left > 0) {
                *left -= 1;
                change.apply(directory, &mut self.durable);
            }
        }
        self.volatile = self.durable.clone();
        for file in self.files() {
            lock(file).lose_power(random);
        }
    }

    pub(super) fn used_bytes(&self) -> u64 {
        self.files().map(|file| lock(file).bytes().len() as u64).sum()
    }

    fn files(&self) -> impl Iterator<Item = &Mutex<File>> {
        self.volatile.values().filter_map(|node| match node {
            Node::File(file) => Some(&**file),
            Node::Directory(_) => None,
        })
    }
}
