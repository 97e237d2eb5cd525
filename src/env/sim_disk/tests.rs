use std::sync::Arc;

use super::*;
use crate::env::{read_all, write_all_at};

fn path(path: &str) -> &Path {
    Path::new(path)
}

fn create(disk: &SimDisk, name: &str) -> Arc<dyn DiskFile> {
    disk.open(path(name), OpenMode::Create).unwrap()
}

fn content(disk: &SimDisk, name: &str) -> Option<Vec<u8>> {
    let file = disk.open(path(name), OpenMode::Read).ok()?;
    let mut bytes = vec![0; file.len().unwrap() as usize];
    read_all(&*file, &mut bytes, 0).unwrap();
    Some(bytes)
}

#[test]
fn open_modes_and_kinds() {
    let disk = SimDisk::new(1);
    assert!(disk.open(path("/d/a"), OpenMode::Create).is_err());
    disk.create_dir_all(path("/d/e")).unwrap();
    disk.create_dir_all(path("/d/e")).unwrap();
    assert!(disk.open(path("/d/a"), OpenMode::Write).is_err());
    create(&disk, "/d/a").write_at(b"abc", 2).unwrap();
    assert_eq!(disk.kind(path("/d/a")).unwrap(), Some(FileKind::File(5)));
    assert_eq!(disk.kind(path("/d/e")).unwrap(), Some(FileKind::Directory));
    assert_eq!(disk.kind(path("/d/x")).unwrap(), None);
    assert_eq!(content(&disk, "/d/a").unwrap(), b"\0\0abc");
    let reader = disk.open(path("/d/a"), OpenMode::Read).unwrap();
    assert!(reader.write_at(b"x", 0).is_err());
    assert_eq!(reader.read_at(&mut [0; 4], 9).unwrap(), 0);
    disk.open(path("/d/a"), OpenMode::Truncate).unwrap();
    assert_eq!(reader.len().unwrap(), 0);
    let mut names = disk.list(path("/d")).unwrap();
    names.sort();
    assert_eq!(names, ["a", "e"]);
    assert!(disk.list(path("/d/a")).is_err());
}

#[test]
fn open_files_survive_unlink_and_rename() {
    let disk = SimDisk::new(1);
    let file = create(&disk, "/a");
    file.write_parts_at(b"12", b"34", 0).unwrap();
    create(&disk, "/b").write_at(b"other", 0).unwrap();
    let other = create(&disk, "/b");
    disk.rename(path("/a"), path("/b")).unwrap();
    assert_eq!(content(&disk, "/b").unwrap(), b"1234");
    assert_eq!(other.len().unwrap(), 5);
    disk.remove_file(path("/b")).unwrap();
    file.write_at(b"5", 4).unwrap();
    assert_eq!(file.len().unwrap(), 5);
    assert!(disk.remove_file(path("/b")).is_err());
}

#[test]
fn a_process_kill_keeps_what_was_written_and_kills_handles_and_locks() {
    let disk = SimDisk::new(1);
    let file = create(&disk, "/a");
    let held = disk.lock(path("/lock")).unwrap();
    assert!(disk.lock(path("/lock")).is_err());
    file.write_at(b"x", 0).unwrap();
    disk.crash(CrashMode::ProcessKill);
    assert!(disk.crashed().is_some() && disk.list(path("/")).is_err());
    let after = disk.restart();
    let _again = after.lock(path("/lock")).unwrap();
    drop(held);
    assert!(after.lock(path("/lock")).is_err());
    assert!(file.write_at(b"y", 0).is_err() && disk.list(path("/")).is_err());
    assert_eq!(content(&after, "/a").unwrap(), b"x");
}

#[test]
fn a_loss_of_power_keeps_what_was_synced_and_any_of_the_rest() {
    let (mut lost, mut kept, mut torn, mut nameless) = (0, 0, 0, 0);
    for seed in 0..200 {
        let disk = SimDisk::new(seed);
        let file = create(&disk, "/a");
        disk.sync_dir(path("/")).unwrap();
        write_all_at(&*file, &[1; 1000], 0).unwrap();
        file.sync().unwrap();
        write_all_at(&*file, &[2; 1000], 1000).unwrap();
        create(&disk, "/b").sync().unwrap();
        disk.rename(path("/a"), path("/c")).unwrap();
        disk.crash(CrashMode::PowerLoss);
        let disk = disk.restart();
        let bytes = match (content(&disk, "/a"), content(&disk, "/c")) {
            (Some(bytes), None) => bytes,
            (None, Some(bytes)) => {
                // Changes of one directory survive in order.
                assert!(content(&disk, "/b").is_some());
                bytes
            }
            other => panic!("rename was not atomic: {other:?}"),
        };
        nameless += usize::from(content(&disk, "/b").is_none());
        assert_eq!(bytes[..1000], [1; 1000]);
        match bytes.len() {
            1000 => lost += 1,
            2000 if bytes[1000..] == [2; 1000] => kept += 1,
            _ => torn += 1,
        }
    }
    assert!(lost > 20 && kept > 20 && torn > 20 && nameless > 20);
}

#[test]
fn faults_meet_their_operation() {
    let disk = SimDisk::new(1);
    disk.record();
    disk.fault_at(1, Fault::Io);
    disk.fault_at(2, Fault::NoSpace);
    disk.fault_at(3, Fault::ShortWrite);
    disk.fault_at(5, Fault::Crash(CrashMode::ProcessKill));
    let file = create(&disk, "/a");
    let code = |result: io::Result<usize>| result.unwrap_err().raw_os_error();
    assert_eq!(code(file.write_at(b"abc", 0)), Some(libc::EIO));
    assert_eq!(code(file.write_at(b"abc", 0)), Some(libc::ENOSPC));
    assert_eq!(file.len().unwrap(), 0);
    assert!((1..3).contains(&file.write_at(b"abc", 0).unwrap()));
    disk.rename(path("/a"), path("/b")).unwrap();
    assert!(disk.sync_dir(path("/")).is_err() && disk.crashed().is_some());
    assert_eq!(disk.operations(), 6);
    assert_eq!(disk.journal()[4], "4 rename /b None");
    assert!(content(&disk.restart(), "/b").is_some());
}

#[test]
fn a_full_disk_takes_what_fits() {
    let disk = SimDisk::new(1);
    let file = create(&disk, "/a");
    disk.set_capacity_bytes(Some(4));
    assert_eq!(file.write_at(b"abcdef", 0).unwrap(), 4);
    assert!(file.write_at(b"ef", 4).is_err() && file.set_len(5).is_err());
    assert_eq!(file.write_at(b"xy", 1).unwrap(), 2);
    assert_eq!(disk.used_bytes(), 4);
    disk.clear_faults();
    assert_eq!(file.write_at(b"ef", 4).unwrap(), 2);
}

#[test]
fn a_failed_sync_is_never_made_up_for() {
    let survived = (0..50).filter(|&seed| {
        let disk = SimDisk::new(seed);
        let file = create(&disk, "/a");
        disk.sync_dir(path("/")).unwrap();
        file.write_at(b"x", 0).unwrap();
        disk.set_failing_syncs(true);
        assert!(file.sync().is_err());
        disk.set_failing_syncs(false);
        file.sync().unwrap();
        assert_eq!(content(&disk, "/a").unwrap(), b"x");
        disk.crash(CrashMode::PowerLoss);
        content(&disk.restart(), "/a").unwrap() == b"x"
    });
    assert!((1..50).contains(&survived.count()));
}

#[test]
fn removing_a_tree_takes_an_operation_for_each_name() {
    let disk = SimDisk::new(1);
    disk.create_dir_all(path("/d/e")).unwrap();
    create(&disk, "/d/e/a");
    create(&disk, "/d/b");
    let before = disk.operations();
    disk.fault_at(before + 3, Fault::Crash(CrashMode::ProcessKill));
    assert!(disk.remove_dir_all(path("/d")).is_err());
    let disk = disk.restart();
    assert_eq!(disk.list(path("/d")).unwrap(), Vec::<String>::new());
    disk.remove_dir_all(path("/d")).unwrap();
    assert_eq!(disk.kind(path("/d")).unwrap(), None);
}

#[test]
fn the_same_seed_gives_the_same_disk() {
    let run = |seed| {
        let disk = SimDisk::new(seed);
        let file = create(&disk, "/a");
        disk.sync_dir(path("/")).unwrap();
        for number in 0..20 {
            write_all_at(&*file, &[number; 700], u64::from(number) * 700).unwrap();
        }
        disk.crash(CrashMode::PowerLoss);
        content(&disk.restart(), "/a")
    };
    assert_eq!(run(5), run(5));
    assert!((0..5).any(|seed| run(seed) != run(5)));
}

#[test]
fn a_device_that_is_gone_fails_for_everything_under_its_directory() {
    let disk = SimDisk::new(1);
    for directory in ["/a", "/b"] {
        disk.create_dir_all(Path::new(directory)).unwrap();
        let file = disk.open(&Path::new(directory).join("f"), OpenMode::Create).unwrap();
        file.write_at(b"x", 0).unwrap();
    }
    let (of_a, of_b) = (Path::new("/a/f"), Path::new("/b/f"));
    let open = |path: &Path| disk.open(path, OpenMode::Create).unwrap();
    let (a, b) = (open(of_a), open(of_b));
    disk.set_failing_under(Some(Path::new("/b")));
    let mut byte = [0];
    assert!(a.read_at(&mut byte, 0).is_ok() && a.sync().is_ok() && disk.kind(of_a).is_ok());
    let failed = [
        b.read_at(&mut byte, 0).map(drop),
        b.write_at(b"y", 0).map(drop),
        b.sync(),
        disk.kind(of_b).map(drop),
        disk.list(Path::new("/b")).map(drop),
        disk.space(Path::new("/b")).map(drop),
        disk.remove_file(of_b),
    ];
    let is_io = |it: &io::Result<()>| it.as_ref().unwrap_err().raw_os_error() == Some(libc::EIO);
    assert!(failed.iter().all(is_io), "{failed:?}");
    disk.clear_faults();
    assert_eq!(b.read_at(&mut byte, 0).unwrap(), 1);
    assert_eq!(byte, *b"x");
}
