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
    Directory(Arc<Mutex<Directory>>),
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
    Link(String, Node),
    Unlink(String),
    Rename(String, String),
}

#[derive(Default)]
pub(super) struct Directory {
    volatile: BTreeMap<String, Node>,
    durable: BTreeMap<String, Node>,
    pending: Vec<Change>,
}

impl Change {
    fn apply(&self, names: &mut BTreeMap<String, Node>) {
        match self {
            Self::Link(name, node) => {
                names.insert(name.clone(), node.clone());
            }
            Self::Unlink(name) => {
                names.remove(name);
            }
            Self::Rename(from, to) => {
                if let Some(node) = names.remove(from) {
                    names.insert(to.clone(), node);
                }
            }
        }
    }
}

impl Directory {
    pub(super) fn get(&self, name: &str) -> Option<Node> {
        self.volatile.get(name).cloned()
    }

    pub(super) fn names(&self) -> Vec<String> {
        self.volatile.keys().cloned().collect()
    }

    pub(super) fn change(&mut self, change: Change) {
        change.apply(&mut self.volatile);
        self.pending.push(change);
    }

    pub(super) fn sync(&mut self) {
        for change in self.pending.drain(..) {
            change.apply(&mut self.durable);
        }
    }

    fn children(&self) -> Vec<Node> {
        self.volatile.values().cloned().collect()
    }
}

/// Keeps, of everything unsynced under `directory`, what chance lets survive: of a directory's
/// names the changes up to some point, of a file's writes any choice.
pub(super) fn lose_power(directory: &Mutex<Directory>, random: &mut fastrand::Rng) {
    let children = {
        let mut directory = lock(directory);
        let kept = random.usize(0..=directory.pending.len());
        directory.pending.truncate(kept);
        directory.sync();
        directory.volatile = directory.durable.clone();
        directory.children()
    };
    for node in children {
        match node {
            Node::File(file) => lock(&file).lose_power(random),
            Node::Directory(directory) => lose_power(&directory, random),
        }
    }
}

/// Bytes of all files below `directory`.
pub(super) fn used_bytes(directory: &Mutex<Directory>) -> u64 {
    let children = lock(directory).children();
    let bytes = |node: &Node| match node {
        Node::File(file) => lock(file).bytes().len() as u64,
        Node::Directory(directory) => used_bytes(directory),
    };
    children.iter().map(bytes).sum()
}
