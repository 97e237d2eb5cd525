use std::sync::Arc;

use super::*;
use crate::config::ServerConfig;
use crate::env::{Offload, Random, SimClock, SimDisk};
use crate::metadata::from_base64;
use crate::records::BATCH_HEADER_BYTES;

/// `bootstrap.checkpoint` of `kafka-storage format --standalone`, Kafka 4.3.0.
const BOOTSTRAP: &str = "\
    0000000000000000000000470000000002f1bb0c95002000000000000001a1fd8dc6a8000001a1fd8dc6a8ff\
    ffffffffffffffffffffffffff000000012a0000000800000003160000000000000000000000000000000000\
    000001000000f100000000029a1d7337000000000005000001a1fd8dc6de000001a1fd8dc6deffffffffffff\
    ffffffffffffffff000000063a000000012e010c00116d657461646174612e76657273696f6e001e00005a00\
    0002014e010c0021656c696769626c652e6c65616465722e7265706c696361732e76657273696f6e00010000\
    340000040128010c000e67726f75702e76657273696f6e00010000340000060128010c000e73686172652e76\
    657273696f6e0001000038000008012c010c001073747265616d732e76657273696f6e000100004000000a01\
    34010c00147472616e73616374696f6e2e76657273696f6e0002000000000000000000070000003f00000000\
    025ac6d572002000000000000001a1fd8dc6e0000001a1fd8dc6e0ffffffffffffffffffffffffffff000000\
    011a00000008000000040600000000\
    ";

/// The `00000000000000000000-0000000000.checkpoint` beside it.
const CHECKPOINT: &str = "\
    00000000000000000000009a000000000217d40a3a002000000002000001a1fd8dc706000001a1fd8dc706ff\
    ffffffffffffffffffffffffff000000032a0000000800000003160000000001a1fd8dc6fb00001e00000208\
    000000050a000000010000820100000408000000066e000002000000013cd0a045231840c0ba23905fe2b73e\
    28020b434f4e54524f4c4c45520a6c6f63616c686f73745a3500000000010000000000000000000000030000\
    003f0000000002ab5bace6002000000000000001a1fd8dc71b000001a1fd8dc71bffffffffffffffffffffff\
    ffffff000000011a00000008000000040600000000\
    ";

fn unhex(text: &str) -> Vec<u8> {
    let digits: Vec<u8> = text.bytes().filter(u8::is_ascii_hexdigit).collect();
    let pair = |pair: &[u8]| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap();
    digits.chunks(2).map(pair).collect()
}

fn env() -> Env {
    Env {
        clock: Arc::new(SimClock::new(1_000)),
        random: Arc::new(Random::seeded(3)),
        disk: Arc::new(SimDisk::new(3)),
        offload: Offload::inline(),
    }
}

fn settings() -> Settings {
    Settings::new(&ServerConfig::default(), Vec::new())
}

fn root() -> &'static Path {
    Path::new("/data")
}

fn text(directory: &Directory, name: &str) -> String {
    let bytes = directory.read(&directory.root.join(name)).unwrap().unwrap();
    String::from_utf8(bytes).unwrap()
}

/// The records of each batch, without what differs by time.
fn payloads(file: &[u8]) -> Vec<(i64, i32, i16, Vec<u8>)> {
    let batches = crate::records::Batches::new(file).map(Result::unwrap);
    let parts = batches.map(|(header, batch)| {
        let records = batch[BATCH_HEADER_BYTES..].to_vec();
        (header.base_offset, header.leader_epoch, header.attributes, records)
    });
    parts.collect()
}

#[test]
fn a_new_directory_has_the_files_of_format_standalone() {
    let env = env();
    let directory = Directory::open(&env, root(), &settings()).unwrap();
    let id = base64(directory.directory_id());
    let expected = format!(
        "#\nnode.id=1\ndirectory.id={id}\nversion=1\ncluster.id={}\n",
        directory.cluster_id()
    );
    assert_eq!(text(&directory, "meta.properties"), expected);
    let bootstrap = directory.read(&root().join("bootstrap.checkpoint")).unwrap().unwrap();
    assert_eq!(payloads(&bootstrap), payloads(&unhex(BOOTSTRAP)));
    let (snapshot_id, snapshot) = directory.newest_snapshot().unwrap().unwrap();
    assert_eq!(snapshot_id.file_name(), "00000000000000000000-0000000000.checkpoint");
    assert_eq!(snapshot.last_contained_timestamp_ms, 1_000);
    assert_eq!(directory.begin_epoch(1, 0).unwrap(), 1);
    assert_eq!(
        text(&directory, "__cluster_metadata-0/quorum-state"),
        r#"{"leaderId":1,"leaderEpoch":1,"votedId":-1,"votedDirectoryId":"AAAAAAAAAAAAAAAAAAAAAA","data_version":1}"#
    );
    let again = Directory::open(&env, root(), &settings()).unwrap();
    assert_eq!(again.directory_id(), directory.directory_id());
    assert_eq!(again.cluster_id(), directory.cluster_id());
    assert_eq!(again.begin_epoch(1, 0).unwrap(), 2);
    assert_eq!(again.begin_epoch(1, 7).unwrap(), 7);
}

#[test]
fn the_voters_have_kafkas_bytes() {
    let directory_id = from_base64("PNCgRSMYQMC6I5Bf4rc-KA").unwrap();
    let mut settings = settings();
    settings.controller.port = 23_093;
    let voters = registration::single_voter(&settings, directory_id);
    let entries = registration::quorum_records(voters).map(Entry::Control).collect();
    let golden = unhex(CHECKPOINT);
    let decoded = Snapshot::decode(&golden).unwrap();
    let last_contained_timestamp_ms = decoded.last_contained_timestamp_ms;
    let ours = Snapshot { last_contained_timestamp_ms, entries };
    assert_eq!(payloads(&ours.encode(0, 5_000)), payloads(&golden));
    assert_eq!(decoded.entries, ours.entries);
}

#[test]
fn static_voters_are_configured_and_kept() {
    let env = env();
    let settings = Settings { static_voters: true, ..settings() };
    let directory = Directory::open(&env, root(), &settings).unwrap();
    assert!(directory.newest_snapshot().unwrap().is_none());
    directory.begin_epoch(1, 0).unwrap();
    let again = Directory::open(&env, root(), &self::settings()).unwrap();
    assert_eq!(again.begin_epoch(1, 0).unwrap(), 2);
    assert_eq!(
        text(&again, "__cluster_metadata-0/quorum-state"),
        r#"{"clusterId":"","leaderId":1,"leaderEpoch":2,"votedId":-1,"appliedOffset":0,"currentVoters":[{"voterId":1}],"data_version":0}"#
    );
}

#[test]
fn a_format_that_a_crash_interrupted_is_done_again() {
    let env = env();
    let directory = Directory::open(&env, root(), &settings()).unwrap();
    env.disk.remove_file(&root().join("meta.properties")).unwrap();
    let again = Directory::open(&env, root(), &settings()).unwrap();
    assert_ne!(again.directory_id(), directory.directory_id());
}

#[test]
fn data_without_meta_properties_is_not_overwritten() {
    for file in ["orders-0", "__cluster_metadata-0"] {
        let env = env();
        let directory = Directory::open(&env, root(), &settings()).unwrap();
        directory.begin_epoch(1, 0).unwrap();
        env.disk.create_dir_all(&root().join("orders-0")).unwrap();
        if file != "orders-0" {
            env.disk.remove_dir_all(&root().join("orders-0")).unwrap();
        }
        env.disk.remove_file(&root().join("meta.properties")).unwrap();
        let error = Directory::open(&env, root(), &settings()).err().unwrap().to_string();
        assert!(error.contains("/data holds ") && error.contains(file), "{error}");
    }
}

#[test]
fn another_nodes_directory_is_refused() {
    let env = env();
    Directory::open(&env, root(), &settings()).unwrap();
    let other = Settings { node_id: 2, ..settings() };
    let error = Directory::open(&env, root(), &other).err().unwrap().to_string();
    assert!(error.contains("node.id is 1, not 2"), "{error}");
}

#[test]
fn the_newest_readable_snapshot_counts_and_older_ones_go() {
    let env = env();
    let directory = Directory::open(&env, root(), &settings()).unwrap();
    let newest = || directory.newest_snapshot().unwrap().unwrap().0;
    let [first, second] = [5, 9].map(|offset| SnapshotId { offset, epoch: 2 });
    let empty = Snapshot { last_contained_timestamp_ms: 0, entries: Vec::new() };
    directory.write_snapshot(first, &empty).unwrap();
    directory.replace(&directory.log.join(second.file_name()), b"damaged").unwrap();
    directory
        .replace(&directory.log.join("00000000000000000011-0000000002.checkpoint.part"), b"")
        .unwrap();
    assert_eq!(newest(), first);
    directory.write_snapshot(second, &empty).unwrap();
    assert_eq!(newest(), second);
    directory.remove_snapshots_before(second).unwrap();
    assert_eq!(directory.snapshots().unwrap(), [second]);
}

#[test]
fn a_directory_of_kafka_without_directory_id_gets_one() {
    let env = env();
    env.disk.create_dir_all(root()).unwrap();
    let text = "node.id=1\nversion=1\ncluster.id=MkU3OEVBNTcwNTJENDM2Qg\n";
    let file = env.disk.open(&root().join("meta.properties"), OpenMode::Create).unwrap();
    write_all_at(&*file, text.as_bytes(), 0).unwrap();
    let directory = Directory::open(&env, root(), &settings()).unwrap();
    let again = Directory::open(&env, root(), &settings()).unwrap();
    assert!(!directory.directory_id().is_nil());
    assert_eq!(directory.directory_id(), again.directory_id());
}
