//! Which bytes of files the kernel has in memory, and what it has to write back.

use std::fs::{self, File};
use std::path::{Path, PathBuf};

use ottla::env::{Disk, OpenMode, OsDisk};
use rustix::fs::{Advice, fadvise};

/// The kernel tells of pages of 4 KiB on all machines that this was made for.
const PAGE_BYTES: u64 = 4 << 10;
const PROBES_PER_FILE: u64 = 256;

/// The segments' log files of a partition.
pub(super) fn log_files(data: &Path, partition: &str) -> Vec<PathBuf> {
    let entries = fs::read_dir(data.join(partition)).unwrap();
    let paths = entries.map(|entry| entry.unwrap().path());
    paths.filter(|path| path.extension().is_some_and(|extension| extension == "log")).collect()
}

/// Makes these files cold.
pub(super) fn evict(paths: &[PathBuf]) {
    for path in paths {
        let file = File::open(path).unwrap();
        // A page that is not on disk yet would stay.
        file.sync_all().unwrap();
        fadvise(&file, 0, None, Advice::DontNeed).unwrap();
    }
}

/// The share of these files that is in memory, from probes all over them.
pub(super) fn cached_share(paths: &[PathBuf]) -> f64 {
    let (mut cached, mut probed) = (0, 0);
    for path in paths {
        let file = OsDisk.open(path, OpenMode::Read).unwrap();
        // Without it the probe itself would have the kernel read ahead.
        fadvise(file.os_file().unwrap(), 0, None, Advice::Random).unwrap();
        let pages = file.len().unwrap().div_ceil(PAGE_BYTES);
        let stride = (pages / PROBES_PER_FILE).max(1);
        for page in (0..pages).step_by(stride as usize) {
            probed += 1;
            cached += u32::from(file.is_cached(page * PAGE_BYTES, 1));
        }
    }
    f64::from(cached) / f64::from(probed)
}

/// Bytes that a process has had read from a device.
pub(super) fn device_bytes_read(pid: u32) -> u64 {
    let counters = fs::read_to_string(format!("/proc/{pid}/io")).unwrap();
    let line = counters.lines().find_map(|line| line.strip_prefix("read_bytes: "));
    line.unwrap().parse().unwrap()
}

/// A counter of the kernel's pages, in bytes.
pub(super) fn page_counter_bytes(name: &str) -> u64 {
    let counters = fs::read_to_string("/proc/vmstat").unwrap();
    let mut pairs = counters.lines().filter_map(|line| line.split_once(' '));
    let pages = pairs.find(|(counter, _)| *counter == name).unwrap().1;
    pages.parse::<u64>().unwrap() * PAGE_BYTES
}
