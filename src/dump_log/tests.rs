//! Kafka's own output for the files in `tests/golden`, and files that are damaged in every place.

use clap::Parser;

use super::complaints::Complaint;
use super::*;
use crate::env::{OpenMode, OsDisk, SimDisk, write_all_at};

#[derive(Parser)]
struct CommandLine {
    #[command(flatten)]
    options: Options,
}

/// Standard output, standard error, and the error that ended the run.
type Told = (String, String, Option<String>);

fn told(disk: &dyn Disk, arguments: &[&str]) -> Told {
    let line = ["dump-log"].iter().chain(arguments);
    let options = CommandLine::try_parse_from(line).unwrap().options;
    let (mut out, mut errors) = (Vec::new(), Vec::new());
    let ended = run(&options, Path::new("/work"), disk, &mut out, &mut errors);
    let text = |bytes| String::from_utf8(bytes).unwrap();
    (text(out), text(errors), ended.err().map(|error| error.to_string()))
}

/// What Kafka's tool printed.
fn golden(name: &str) -> String {
    let path = format!("tests/golden/dump_log/{name}.txt");
    String::from_utf8(read_whole(&OsDisk, &path).unwrap()).unwrap()
}

fn assert_golden(name: &str, arguments: &[&str]) -> String {
    let (out, errors, ended) = told(&OsDisk, arguments);
    let golden = golden(name);
    for (line, expected) in out.lines().zip(golden.lines()) {
        assert_eq!(line, expected, "{name}");
    }
    assert!(out == golden && ended.is_none(), "{name}: {ended:?}");
    errors
}

#[test]
fn kafkas_files_are_told_as_kafkas_tool_tells_them() {
    let golden = golden("local");
    let files = golden.lines().filter_map(|line| line.strip_prefix("Dumping "));
    let files = files.collect::<Vec<_>>().join(",");
    let errors = assert_golden("local", &["--files", &files, "--print-data-log"]);
    let gap =
        "/work/tests/golden/local/golden-0/00000000000000000013.log\n  -1 is followed by 13\n";
    assert_eq!(errors, format!("Non-consecutive offsets in {gap}"));
}

#[test]
fn records_of_the_internal_topics_are_told_as_kafkas_tool_tells_them() {
    for (name, option) in [
        ("groups", "--offsets-decoder"),
        ("transactions", "--transaction-log-decoder"),
        ("shares", "--share-group-state-decoder"),
        ("control", "--deep-iteration"),
    ] {
        let file = format!("tests/golden/dump_log/{name}/00000000000000000000.log");
        assert_golden(name, &["--files", &file, option]);
    }
    let file = "tests/golden/dump_log/metadata/00000000000000000000.log";
    let arguments = ["--files", file, "--cluster-metadata-decoder", "--skip-record-metadata"];
    assert_golden("metadata", &arguments);
}

fn write(disk: &SimDisk, path: &str, bytes: &[u8]) {
    let file = disk.open(Path::new(path), OpenMode::Truncate).unwrap();
    write_all_at(file.as_ref(), bytes, 0).unwrap();
}

/// A disk with the files of a segment of Kafka's in `/p`.
fn disk() -> (SimDisk, Vec<(String, Vec<u8>)>) {
    let disk = SimDisk::new(1);
    disk.create_dir_all(Path::new("/p")).unwrap();
    let golden = "tests/golden";
    let sources = [
        format!("{golden}/local/golden-0/00000000000000000013.log"),
        format!("{golden}/local/golden-0/00000000000000000013.index"),
        format!("{golden}/local/golden-0/00000000000000000013.timeindex"),
        format!("{golden}/local/aborted-0/00000000000000000000.txnindex"),
        format!("{golden}/local/aborted-0/00000000000000000017.snapshot"),
        format!("{golden}/dump_log/groups/00000000000000000000.log"),
        format!("{golden}/dump_log/control/00000000000000000000.log"),
    ];
    let files = sources.into_iter().enumerate().map(|(number, source)| {
        let bytes = read_whole(&OsDisk, &source).unwrap();
        let (_, ending) = source.rsplit_once('.').unwrap();
        let offset = if number < 3 { 13 } else { number };
        let path = format!("/p/{offset:020}.{ending}");
        write(&disk, &path, &bytes);
        (path, bytes)
    });
    let files = files.collect();
    (disk, files)
}

#[test]
fn no_byte_makes_it_panic() {
    let (disk, files) = disk();
    let mut random = fastrand::Rng::with_seed(7);
    let log = &files[0];
    for (path, sound) in &files {
        for round in 0..150 {
            let mut bytes = sound.clone();
            match round % 3 {
                0 => bytes.truncate(random.usize(..=sound.len())),
                1 => bytes[random.usize(..sound.len())] = random.u8(..),
                _ => (0..4).for_each(|_| bytes[random.usize(..sound.len())] ^= 1 << random.u8(..8)),
            }
            write(&disk, path, &bytes);
            let files = format!("{path},{}", log.0);
            for option in
                ["--offsets-decoder", "--index-sanity-check", "--cluster-metadata-decoder"]
            {
                let (out, _, ended) = told(&disk, &["--files", &files, option]);
                assert!(out.starts_with(&format!("Dumping {path}\n")), "{out}");
                assert!(ended.is_none_or(|error| error.contains("/p/0")));
            }
        }
        write(&disk, path, sound);
    }
}

#[test]
fn paths_are_java_s() {
    let (disk, _) = disk();
    let (out, errors, ended) = told(&disk, &["--files", "/p//x,a//b.log/../c,,/p/y.z,,"]);
    assert_eq!(out, "Dumping /p/x\nDumping a/b.log/../c\nDumping \nDumping /p/y.z\n");
    let unknown = ["/p/x", "a/b.log/../c", "", "/p/y.z"];
    assert_eq!(errors, unknown.map(|file| format!("Ignoring unknown file {file}\n")).concat());
    assert_eq!(ended, None);
    assert_eq!(told(&disk, &["--files", ","]), (String::new(), String::new(), None));
    assert_eq!(told(&disk, &["--files", ""]).0, "Dumping \n");
}

#[test]
fn complaints_stand_in_the_order_of_javas_map() {
    let mut complaints = Complaints::default();
    for file in ["/b", "/a", "/q"] {
        complaints.add(Complaint::Gap, file, 9, 11);
        complaints.add(Complaint::Gap, file, -1, 5);
        complaints.add(Complaint::Gap, file, 9, 12);
        complaints.add(Complaint::IndexMismatch, file, 1, 2);
        complaints.add(Complaint::IndexMismatch, file, 3, 4);
    }
    let mut out = Vec::new();
    complaints.print(&mut out).unwrap();
    // Of sixteen buckets, "/a" and "/q" have the third and "/b" the fourth.
    let files = ["/q", "/a", "/b"];
    let mismatches = files.map(|file| {
        format!(
            "Mismatches in :{file}\n  Index offset: 3, log offset: 4\n  \
             Index offset: 1, log offset: 2\n"
        )
    });
    let gaps = files.map(|file| {
        format!("Non-consecutive offsets in {file}\n  -1 is followed by 5\n  9 is followed by 12\n")
    });
    let expected = [mismatches.concat(), gaps.concat()].concat();
    assert_eq!(String::from_utf8(out).unwrap(), expected);
}
