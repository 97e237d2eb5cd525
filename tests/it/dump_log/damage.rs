//! Files that are damaged, cut, or not what their names say.

use std::fs;
use std::path::{Path, PathBuf};

use ottla::records::{BatchBuilder, Compression};

use super::assert_same;
use crate::{needs, reference};

const LOG: &str = "00000000000000000100.log";
const INDEX: &str = "00000000000000000100.index";
const TIME_INDEX: &str = "00000000000000000100.timeindex";

/// Three batches, of which the middle one is compressed so.
fn batches(codec: Compression) -> [Vec<u8>; 3] {
    [Compression::None, codec, Compression::None].map(|codec| {
        let mut batch = BatchBuilder::new(100, 0).compressed(codec, None).producer(9, 1, 5);
        for number in 0..3 {
            batch.push(1000 + number, Some(b"key"), Some(&[b'v'; 40]));
        }
        batch.build()
    })
}

/// The segment of [`batches`] with offsets that follow each other.
fn segment(codec: Compression) -> Vec<u8> {
    let mut batches = batches(codec);
    for (batch, offset) in batches.iter_mut().zip([100_u64, 103, 106]) {
        batch[..8].copy_from_slice(&offset.to_be_bytes());
    }
    batches.concat()
}

/// A directory of its own for each file, or set of files.
struct Folder<'a>(&'a Path, usize);

impl Folder<'_> {
    fn put(&mut self, files: &[(&str, &[u8])]) -> Vec<PathBuf> {
        self.1 += 1;
        let directory = self.0.join(self.1.to_string());
        fs::create_dir(&directory).unwrap();
        let write = |(name, bytes): &(&str, &[u8])| {
            fs::write(directory.join(name), bytes).unwrap();
            directory.join(name)
        };
        files.iter().map(write).collect()
    }
}

#[test]
fn damaged_segments_are_told_as_kafkas_tool_tells_them() {
    if !needs::java("damaged_segments_are_told_as_kafkas_tool_tells_them") {
        return;
    }
    let _one_at_a_time = reference::exclusive();
    let work = tempfile::tempdir().unwrap();
    let mut folder = Folder(work.path(), 0);
    let whole = segment(Compression::None);
    let second = whole.len() / 3;
    let changed = |at: usize, byte: u8| {
        let mut bytes = whole.clone();
        bytes[at] = byte;
        bytes
    };
    let cut = |length: usize| whole[..length].to_vec();
    // What Kafka goes on after: all in one run.
    let told = [
        changed(second + 70, 0xff),         // a value
        changed(second + 7, 50),            // an offset that runs back
        changed(second + 22, 0x68),         // append time, control and horizon
        changed(second + 16, 3),            // a magic of the future
        [&whole[..], &[0xff; 17]].concat(), // too few bytes for a batch
        [&whole[..], &[0x7f; 60]].concat(), // a batch that goes on beyond the end
        cut(whole.len() - 1),
        cut(5),
        vec![],
    ];
    let files: Vec<PathBuf> = told.iter().flat_map(|bytes| folder.put(&[(LOG, bytes)])).collect();
    let said = assert_same(&files, &[]);
    assert!(
        said.contains("isvalid: false") && said.contains(" invalid bytes at the end"),
        "{said}"
    );
    assert_same(&files, &["--max-bytes", "200"]);
    // What is not control and not damaged within.
    let files: Vec<PathBuf> =
        files.into_iter().enumerate().filter(|(at, _)| *at != 2).map(|(_, file)| file).collect();
    assert_same(&files, &["--deep-iteration"]);

    // What Kafka ends at.
    let count = second + 57;
    let ends = [
        [&whole[..], &[0; 100]].concat(), // a file that was made larger
        changed(second + 11, 30),         // a length below a header's
        changed(second + 22, 5),          // an unknown codec
        changed(count + 3, 4),            // more records than there are
        changed(count + 3, 2),            // fewer
        changed(count, 0xff),             // a negative number
        changed(second + 61, 2),          // a record that is cut
        changed(second + 22, 0x20),       // control records without a kind
    ];
    for bytes in ends {
        assert_same(&folder.put(&[(LOG, &bytes)]), &["--print-data-log"]);
    }
    for codec in [Compression::Gzip, Compression::Snappy, Compression::Lz4, Compression::Zstd] {
        let mut bytes = segment(codec);
        let at = bytes.len() - second - 9;
        bytes[at] ^= 0x55;
        bytes[at - 12] ^= 0x55;
        assert_same(&folder.put(&[(LOG, &bytes)]), &["--print-data-log"]);
    }
    for name in ["segment.log", ".log", "0.checkpoint", "+7.x.log"] {
        assert_same(&folder.put(&[(name, &whole)]), &[]);
    }
    let names = [
        "a.b",
        "none",
        "00000000000000000007.log.deleted",
        "00000000000000000007-0000000003.checkpoint",
    ];
    let files: Vec<PathBuf> = names.iter().flat_map(|name| folder.put(&[(name, &whole)])).collect();
    assert_same(&files, &["--print-data-log"]);
    assert_same(&[PathBuf::from("/no/such/00000000000000000000.log")], &[]);
}

/// Entries of numbers with their widths.
fn entries(entries: &[(i64, i32)], wide: bool) -> Vec<u8> {
    let entry = |(first, second): &(i64, i32)| {
        let first = if wide {
            first.to_be_bytes().to_vec()
        } else {
            (*first as i32).to_be_bytes().to_vec()
        };
        [first, second.to_be_bytes().to_vec()].concat()
    };
    entries.iter().flat_map(entry).collect()
}

#[test]
fn damaged_indexes_are_told_as_kafkas_tool_tells_them() {
    if !needs::java("damaged_indexes_are_told_as_kafkas_tool_tells_them") {
        return;
    }
    let _one_at_a_time = reference::exclusive();
    let work = tempfile::tempdir().unwrap();
    let mut folder = Folder(work.path(), 0);
    let log = segment(Compression::Lz4);
    let first = i32::try_from(batches(Compression::Lz4)[0].len()).unwrap();
    let end = i32::try_from(log.len()).unwrap();
    let last = end - first;
    let sound = entries(&[(5, first), (8, last)], false);
    // What Kafka goes on after.
    let indexes = [
        sound.clone(),
        entries(&[(2, first), (4, last), (6, last), (7, 0)], false),
        entries(&[(5, first), (0, 0), (0, 0)], false),
        entries(&[(0, first), (9, last), (5, last)], false),
        [&sound[..], &[0; 5]].concat(),
        vec![],
        vec![0; 7],
    ];
    let times = [
        entries(&[(1002, 2), (1003, 8)], true),
        entries(&[(1001, 2), (1002, 5), (1002, 8), (900, 8)], true),
        entries(&[(1002, 1), (1005, 4), (1009, 9), (1010, -3)], true),
        entries(&[(1002, 2), (0, 0), (1, 1)], true),
        vec![],
        vec![0; 5],
    ];
    let mut files = Vec::new();
    for index in &indexes {
        files.push(folder.put(&[(INDEX, index), (LOG, &log)]).remove(0));
    }
    for time_index in &times {
        for index in [&indexes[0], &indexes[3], &indexes[5]] {
            files.push(
                folder.put(&[(TIME_INDEX, time_index), (INDEX, index), (LOG, &log)]).remove(0),
            );
        }
    }
    let said = assert_same(&files, &[]);
    for part in ["Mismatches in :", "timestamp mismatch", "out of order", "are not found in :"] {
        assert!(said.contains(part), "{part}: {said}");
    }
    assert_same(&files, &["--verify-index-only"]);

    // What Kafka ends at.
    let beyond = entries(&[(5, end + 1)], false);
    for index in [beyond, entries(&[(5, -1)], false), entries(&[(8, end)], false)] {
        assert_same(&folder.put(&[(INDEX, &index), (LOG, &log)])[..1], &[]);
    }
    assert_same(&files[..1], &["--max-message-size", "100"]);
    assert_same(&files[..1], &["--max-message-size", "-1"]);
    for index in [&indexes[4], &entries(&[(-5, 0)], false), &indexes[5], &vec![0; 7], &indexes[0]] {
        assert_same(&folder.put(&[(INDEX, index), (LOG, &log)])[..1], &["--index-sanity-check"]);
    }
    for time_index in [&times[1], &times[2], &[&times[0][..], &[1]].concat(), &times[5], &times[0]]
    {
        let files = folder.put(&[(TIME_INDEX, time_index), (INDEX, &sound), (LOG, &log)]);
        assert_same(&files[..1], &["--index-sanity-check"]);
    }
    assert_same(&folder.put(&[(INDEX, &sound)]), &[]);
    assert_same(&folder.put(&[(TIME_INDEX, &times[0])]), &[]);
}

#[test]
fn damaged_snapshots_are_told_as_kafkas_tool_tells_them() {
    if !needs::java("damaged_snapshots_are_told_as_kafkas_tool_tells_them") {
        return;
    }
    let _one_at_a_time = reference::exclusive();
    let work = tempfile::tempdir().unwrap();
    let mut folder = Folder(work.path(), 0);
    let producer = |last_sequence: i32, last_offset: i64, first_offset: i64| {
        let mut bytes = [7_i64.to_be_bytes().to_vec(), vec![0, 3]].concat();
        bytes.extend(last_sequence.to_be_bytes());
        bytes.extend(last_offset.to_be_bytes());
        bytes.extend(4_i32.to_be_bytes());
        bytes.extend(1234_i64.to_be_bytes());
        bytes.extend([0xff; 4]);
        bytes.extend(first_offset.to_be_bytes());
        bytes
    };
    let snapshot = |count: i32, producers: &[u8]| {
        let covered = [&count.to_be_bytes()[..], producers].concat();
        [&[0, 1], &crc32c::crc32c(&covered).to_be_bytes()[..], &covered].concat()
    };
    let producers =
        [producer(9, 100, 50), producer(1, 100, -1), producer(-1, -1, 5), producer(4, 0, 0)]
            .concat();
    let sound = snapshot(4, &producers);
    let changed = |at: usize| {
        let mut bytes = sound.clone();
        bytes[at] ^= 0x40;
        bytes
    };
    let snapshots = [
        sound.clone(),
        changed(1),
        changed(3),
        changed(30),
        snapshot(4, &[&producers[..], b"more"].concat()),
        snapshot(5, &producers),
        snapshot(500, &producers),
        snapshot(-1, &producers),
        sound[..5].to_vec(),
        vec![1],
        vec![],
    ];
    let aborted = |version: u8| [&[version, 9], &[1; 32][..]].concat();
    let aborted = [[aborted(0), aborted(0x80), vec![0; 33]].concat(), vec![], vec![0; 33]];
    let name = |at: usize, end: &str| format!("{at:020}{end}");
    let snapshots = snapshots.iter().enumerate().map(|(at, bytes)| (name(at, ".snapshot"), bytes));
    let aborted = aborted.iter().enumerate().map(|(at, bytes)| (name(at, ".txnindex"), bytes));
    let all: Vec<_> = snapshots.chain(aborted).collect();
    let mut files: Vec<PathBuf> =
        all.iter().flat_map(|(name, bytes)| folder.put(&[(name, bytes)])).collect();
    files.push(work.path().join("00000000000000000099.txnindex"));
    let said = assert_same(&files, &[]);
    assert!(said.contains("CRC is no longer valid") && said.contains("version: -128"), "{said}");
    let newer = [&[0; 34][..], &[1; 34]].concat();
    assert_same(&folder.put(&[("00000000000000000001.txnindex", &newer)]), &[]);
}
