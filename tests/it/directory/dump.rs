//! What Kafka's `DumpLogSegments` says of a directory's files.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use crate::reference;

const DUMP: &str = "org.apache.kafka.tools.DumpLogSegments";

/// What the tool prints; its complaints go to standard error, and there must be none.
fn dump(files: &[PathBuf], options: &[&str]) -> String {
    let files: Vec<String> = files.iter().map(|file| file.display().to_string()).collect();
    let list = files.join(",");
    let mut arguments = vec!["--files", &list];
    arguments.extend_from_slice(options);
    let output = reference::tool(DUMP, &arguments);
    let (text, errors) = (text(&output.stdout), text(&output.stderr));
    // In 4.3.0 it takes the first record of every segment but the first for a gap.
    let known = |line: &&str| {
        line.starts_with("Non-consecutive offsets in ") || line.starts_with("  -1 is followed by ")
    };
    let complaints = errors.lines().filter(|line| !line.is_empty() && !known(line)).count();
    assert!(output.status.success() && complaints == 0, "{options:?}: {errors}");
    assert!(!text.contains("isvalid: false"), "{options:?}: {text}");
    text
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

fn partition_directories(data: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(data).unwrap().map(|entry| entry.unwrap().path());
    let mut directories: Vec<PathBuf> = entries.filter(|path| path.is_dir()).collect();
    directories.sort();
    directories
}

fn files_ending(directories: &[PathBuf], ends: &[&str]) -> Vec<PathBuf> {
    let entries = directories.iter().flat_map(|directory| fs::read_dir(directory).unwrap());
    let paths = entries.map(|entry| entry.unwrap().path());
    let mut files: Vec<PathBuf> =
        paths.filter(|path| ends.iter().any(|end| path.to_string_lossy().ends_with(end))).collect();
    files.sort();
    files
}

/// Segments, indexes, producer snapshots and the metadata log are read and found sound.
pub(super) fn assert_no_complaint(data: &Path) {
    let all = partition_directories(data).into_iter();
    let (metadata, topics): (Vec<PathBuf>, Vec<PathBuf>) =
        all.partition(|path| path.ends_with("__cluster_metadata-0"));
    let segments = files_ending(&topics, &[".log"]);
    assert!(segments.len() > 10, "segments have rolled: {segments:?}");
    dump(&segments, &["--deep-iteration", "--print-data-log"]);
    let indexes = files_ending(&topics, &[".index", ".timeindex"]);
    let checked = dump(&indexes, &["--index-sanity-check"]);
    // A segment of one batch has no entry to check.
    let sound = [" passed sanity check.", " is empty."].map(|what| checked.matches(what).count());
    assert!(sound[0] > sound[1], "{checked}");
    assert_eq!(sound[0] + sound[1], indexes.len(), "{checked}");
    dump(&indexes, &["--verify-index-only"]);
    dump(&files_ending(&topics, &[".snapshot"]), &[]);
    let decoder = ["--cluster-metadata-decoder"];
    dump(&files_ending(&metadata, &[".log", ".checkpoint"]), &decoder);
    dump(&files_ending(&metadata, &[".index", ".timeindex"]), &[]);
}

/// Payloads and control records of a file, without offsets, times and sizes.
pub(super) fn records(file: &Path) -> Vec<String> {
    let dump = dump(&[file.to_owned()], &["--cluster-metadata-decoder"]);
    let records = dump.lines().filter(|line| line.starts_with("| offset"));
    let records: Vec<String> = records
        .map(|line| line.split("headerKeys: [] ").nth(1).unwrap_or(line))
        .map(|record| record.split("\"lastContainedLogTimestamp\"").next().unwrap().to_owned())
        .collect();
    assert!(!records.is_empty(), "{dump}");
    records
}

/// The first word of each control record.
pub(super) fn control_kinds(file: &Path) -> Vec<String> {
    let first = |record: &String| record.split([' ', ':']).next().unwrap().to_owned();
    records(file).iter().map(first).collect()
}

/// The feature levels in the metadata log.
pub(super) fn features(data: &Path) -> BTreeSet<String> {
    let log = data.join("__cluster_metadata-0/00000000000000000000.log");
    records(&log).into_iter().filter(|record| record.contains("FEATURE_LEVEL_RECORD")).collect()
}

/// The keys of `meta.properties`.
pub(super) fn keys_of_properties(data: &Path) -> BTreeSet<String> {
    let text = fs::read_to_string(data.join("meta.properties")).unwrap();
    let pairs = text.lines().filter(|line| !line.starts_with('#'));
    pairs.filter_map(|line| Some(line.split_once('=')?.0.to_owned())).collect()
}

fn quorum_state(data: &Path) -> serde_json::Value {
    let text = fs::read_to_string(data.join("__cluster_metadata-0/quorum-state")).unwrap();
    serde_json::from_str(&text).unwrap()
}

/// The fields of `quorum-state`, with its version.
pub(super) fn keys_of_quorum_state(data: &Path) -> (Vec<String>, serde_json::Value) {
    let state = quorum_state(data);
    let keys = state.as_object().unwrap().keys().cloned().collect();
    (keys, state["data_version"].clone())
}

/// What tells a static quorum from a standalone one: the version of `quorum-state` and its voters.
pub(super) fn form_of_quorum(data: &Path) -> (serde_json::Value, serde_json::Value) {
    let state = quorum_state(data);
    (state["data_version"].clone(), state["currentVoters"].clone())
}

/// Names in the root of a stopped broker's directory, but for those that say nothing: Kafka removes its lock file and
/// begins an empty checkpoint of its cleaner.
pub(super) fn root_files(data: &Path) -> BTreeSet<String> {
    let entries = fs::read_dir(data).unwrap().map(|entry| entry.unwrap().file_name());
    let names = entries.map(|name| name.to_string_lossy().into_owned());
    names.filter(|name| name != ".lock" && name != "cleaner-offset-checkpoint").collect()
}

/// The segments of a topic.
pub(super) fn segments(data: &Path, topic: &str) -> Vec<PathBuf> {
    let mut directories = partition_directories(data);
    directories.retain(|path| path.to_string_lossy().contains(&format!("/{topic}-")));
    files_ending(&directories, &[".log"])
}

/// The segments of `__consumer_offsets` that hold anything.
pub(super) fn group_segments(data: &Path) -> Vec<PathBuf> {
    let mut segments = segments(data, "__consumer_offsets");
    segments.retain(|file| fs::metadata(file).unwrap().len() > 0);
    segments
}

/// Batches and records of `__consumer_offsets` by partition, without what no two runs have in common: times, random
/// ids, and checksums over them.
pub(super) fn group_records(data: &Path) -> BTreeMap<i32, Vec<String>> {
    let dump = dump(&group_segments(data), &["--offsets-decoder"]);
    let files = dump.split("Dumping ").skip(1).map(|file| {
        let (name, lines) = file.split_once('\n').unwrap();
        let directory = Path::new(name).parent().unwrap().to_string_lossy().into_owned();
        let partition = directory.rsplit_once('-').unwrap().1.parse().unwrap();
        (partition, lines.lines().map(masked).collect())
    });
    files.collect()
}

fn masked(line: &str) -> String {
    let is_word = |c: char| c.is_ascii_alphanumeric() || c == '-';
    let is_time = |word: &str| word.len() == 13 && word.bytes().all(|byte| byte.is_ascii_digit());
    let mut masked = String::new();
    for part in line.split_inclusive(|c| !is_word(c)) {
        let word = part.trim_end_matches(|c| !is_word(c));
        let uuid = word.len().checked_sub(36).and_then(|start| word.get(start..));
        let kept = match uuid {
            Some(uuid) if uuid.split('-').map(str::len).eq([8, 4, 4, 4, 12]) => word.len() - 36,
            _ if masked.ends_with("crc: ") || is_time(word) => 0,
            _ => word.len(),
        };
        masked.push_str(&word[..kept]);
        masked.push_str(if kept < word.len() { "*" } else { "" });
        masked.push_str(&part[word.len()..]);
    }
    // A topic id may contain dashes and underscores.
    match masked.split_once("\"topicId\":\"") {
        Some((before, after)) => format!("{before}\"topicId\":\"*{}", &after[22..]),
        None => masked,
    }
}

/// Producer id, first, last and last stable offset of each aborted transaction.
pub(super) fn aborted(files: &[PathBuf]) -> Vec<[i64; 4]> {
    let dump = dump(files, &[]);
    let entry = |line: &str| {
        let words: Vec<&str> = line.split([' ', ':']).collect();
        let field = |name: &str| {
            let at = words.iter().position(|word| *word == name)?;
            words[at + 1..].iter().find(|word| !word.is_empty())?.parse().ok()
        };
        let (id, first) = (field("producerId")?, field("firstOffset")?);
        Some([id, first, field("lastOffset")?, field("lastStableOffset")?])
    };
    dump.lines().filter_map(entry).collect()
}
