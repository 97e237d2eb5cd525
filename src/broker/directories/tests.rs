use super::*;
use crate::config::ConfigMap;
use crate::env::{
    CrashMode, Disk, Offload, OpenMode, Random, SimClock, SimDisk, read_all, write_all_at,
};
use crate::metadata::Endpoint;

fn env(disk: &SimDisk) -> Env {
    Env {
        clock: Arc::new(SimClock::new(1_000)),
        random: Arc::new(Random::seeded(disk.operations())),
        disk: Arc::new(disk.clone()),
        offload: Offload::inline(),
    }
}

fn config(pairs: &[(&str, &str)]) -> ServerConfig {
    let pairs = pairs.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned()));
    ServerConfig::from_map(pairs.collect::<ConfigMap>()).unwrap()
}

/// Opens and lets go; ids of the directories in use and paths of the others.
fn open(disk: &SimDisk, pairs: &[(&str, &str)]) -> Result<(Vec<uuid::Uuid>, Vec<String>), String> {
    let (config, env) = (config(pairs), env(disk));
    let listener = Endpoint { name: "PLAINTEXT".into(), host: "localhost".into(), port: 9_092 };
    let settings = Settings::new(&config, vec![listener]);
    let opened = DataDirectories::open(&env, &config);
    let opened = opened.and_then(|opened| opened.identify(&env, &settings));
    let (_, directories) = opened.map_err(|error| error.to_string())?;
    let offline = directories.describe().into_iter().filter(|(_, it)| it.space.is_err());
    let offline = offline.map(|(_, directory)| directory.path).collect();
    Ok((directories.ids(), offline))
}

fn both(disk: &SimDisk) -> Result<(Vec<uuid::Uuid>, Vec<String>), String> {
    open(disk, &[("log.dirs", "/a,/b")])
}

#[tokio::test]
async fn new_directories_are_formatted_and_known_again() {
    let disk = SimDisk::new(1);
    let (first, _) = open(&disk, &[("log.dirs", "/a")]).unwrap();
    let (ids, offline) = both(&disk).unwrap();
    assert_eq!((ids.len(), ids[0], offline.len()), (2, first[0], 0));
    assert_eq!(both(&disk).unwrap().0, ids);
    let turned = [("log.dirs", "/b,/a"), ("metadata.log.dir", "/a")];
    assert_eq!(open(&disk, &turned).unwrap().0, [ids[1], ids[0]]);
    // That of the metadata need not be one for topics.
    let apart = open(&disk, &[("log.dirs", "/b"), ("metadata.log.dir", "/a")]);
    assert_eq!(apart.unwrap().0, [ids[1]]);
}

#[tokio::test]
async fn the_metadata_log_is_not_begun_anew_elsewhere() {
    let disk = SimDisk::new(1);
    both(&disk).unwrap();
    let turned = open(&disk, &[("log.dirs", "/b,/a")]).unwrap_err();
    let expected = "/b has no cluster metadata, but /a is of a node that has some; set \
                    metadata.log.dir to the directory with __cluster_metadata-0";
    assert_eq!(turned, expected);
    let lost = open(&disk, &[("log.dirs", "/c,/b")]).unwrap_err();
    assert!(lost.starts_with("/c has no cluster metadata, but /b is of a node"), "{lost}");
}

#[tokio::test]
async fn a_directory_of_somebody_else_is_refused_by_name() {
    let disk = SimDisk::new(1);
    both(&disk).unwrap();
    let (of_b, of_c) = (Path::new("/b/meta.properties"), Path::new("/c/meta.properties"));
    let read = |path: &Path| {
        let file = Disk::open(&disk, path, OpenMode::Read).unwrap();
        let mut bytes = vec![0; 1_000];
        let length = read_all(&*file, &mut bytes, 0).unwrap();
        String::from_utf8(bytes[..length].to_vec()).unwrap()
    };
    let own = read(of_b);
    open(&disk, &[("log.dirs", "/c")]).unwrap();
    let write = |text: &str| {
        let file = Disk::open(&disk, of_b, OpenMode::Truncate).unwrap();
        write_all_at(&*file, text.as_bytes(), 0).unwrap();
    };
    for (text, expected) in [
        (read(of_c), "/b/meta.properties: cluster.id is"),
        (own.replace("node.id=1", "node.id=9"), "/b/meta.properties: node.id is 9, not 1"),
        (read(Path::new("/a/meta.properties")), "/b has the directory.id of another directory"),
    ] {
        write(&text);
        let error = both(&disk).unwrap_err();
        assert!(error.starts_with(expected), "{error}");
    }
    write(&own);
    both(&disk).unwrap();
}

#[tokio::test]
async fn what_cannot_be_used_is_offline_unless_it_has_the_metadata() {
    let disk = SimDisk::new(1);
    let (ids, _) = both(&disk).unwrap();
    disk.set_failing_under(Some(Path::new("/b")));
    assert_eq!(both(&disk).unwrap(), (vec![ids[0]], vec!["/b".to_owned()]));
    let all = open(&disk, &[("log.dirs", "/b"), ("metadata.log.dir", "/a")]);
    assert_eq!(all.unwrap_err(), StartError::NoLogDir.to_string());
    disk.set_failing_under(Some(Path::new("/a")));
    let error = both(&disk).unwrap_err();
    assert!(error.starts_with("log directory /a:"), "{error}");
    disk.clear_faults();
    assert_eq!(both(&disk).unwrap().0, ids);
    disk.crash(CrashMode::PowerLoss);
    assert_eq!(both(&disk.restart()).unwrap().0, ids, "formatted durably");
}
