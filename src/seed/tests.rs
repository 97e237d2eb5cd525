//! What is read, what is refused, and that a second start changes nothing.

#![expect(clippy::disallowed_methods, reason = "the files are the test's own")]

use std::fs;
use std::path::Path;
use std::sync::Arc;

use super::*;
use crate::Broker;
use crate::env::OsDisk;
use crate::log::MemoryEngine;
use crate::partition::Isolation;
use crate::records::{Batches, Records};

fn read(text: &str, files: &[(&str, &str)]) -> Result<Seed, SeedError> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("ottla.yaml");
    fs::write(&path, text).unwrap();
    for (name, text) in files {
        fs::write(folder.path().join(name), text).unwrap();
    }
    Seed::read(&OsDisk, &path)
}

async fn started(engine: &Arc<MemoryEngine>, seed: Seed) -> Broker {
    let builder = Broker::builder().set("listeners", "PLAINTEXT://localhost:0").unwrap();
    builder.in_memory(engine.clone()).seed(seed).start().await.unwrap()
}

/// `key=value` of each record of a partition, with its headers.
async fn records(broker: &Broker, topic: &str, index: i32) -> Vec<String> {
    let partition = broker.shared.registry.get(topic, index).unwrap();
    let read = partition.read(0, 1 << 20, Isolation::LogEnd).await.unwrap();
    let bytes = read.chunk.into_bytes().unwrap();
    let mut found = Vec::new();
    for batch in Batches::new(&bytes) {
        let (header, batch) = batch.unwrap();
        let mut records = Records::new(&header, batch).unwrap();
        while let Some(record) = records.next().unwrap() {
            let text = |bytes: Option<&[u8]>| {
                bytes.map_or("null".to_owned(), |bytes| String::from_utf8_lossy(bytes).into_owned())
            };
            found.push(format!("{}={}", text(record.key), text(record.value)));
        }
    }
    found
}

const YAML: &str = r"
topics:
  - name: orders
    partitions: 2
    configs: { cleanup.policy: compact, retention.ms: 1000 }
    records:
      - { key: a, value: { state: new, lines: [1, 2] }, partition: 1 }
      - { key: a, value: null, partition: 1, headers: { source: seed } }
  - name: lines
    records: lines.jsonl
  - name: table
    partitions: 1
    records: table.csv
";
const LINES: &str = "{\"value\": \"one\"}\n{\"value\": \"two\", \"timestamp\": 5}\n";
const TABLE: &str = "key,value,timestamp,header.h\nk,\"a, b\",7,x\n,,,\n";

#[tokio::test(flavor = "multi_thread")]
async fn a_seed_is_sown_once() {
    let seed = read(YAML, &[("lines.jsonl", LINES), ("table.csv", TABLE)]).unwrap();
    let engine = Arc::new(MemoryEngine::default());
    for _ in 0..2 {
        let broker = started(&engine, seed.clone()).await;
        let image = broker.shared.metadata.image();
        let orders = image.topic("orders").unwrap();
        assert_eq!(orders.partitions.len(), 2);
        assert_eq!(orders.config.retention_ms, 1000);
        let expected = ["a={\"state\":\"new\",\"lines\":[1,2]}", "a=null"];
        assert_eq!(records(&broker, "orders", 1).await, expected);
        assert_eq!(records(&broker, "lines", 0).await, ["null=one", "null=two"]);
        assert_eq!(records(&broker, "table", 0).await, ["k=a, b", "null="]);
        broker.shutdown().await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_broker_refuses_is_named() {
    let seed = Seed::topics("ok:1:1,bad:1:1:nonsense").unwrap();
    let builder = Broker::builder().set("listeners", "PLAINTEXT://localhost:0").unwrap();
    let started = builder.in_memory(Arc::default()).seed(seed).start().await;
    let error = started.map(drop).unwrap_err().to_string();
    assert!(error.contains("topic bad: INVALID_CONFIG"), "{error}");
}

#[test]
fn lists_of_topics() {
    let seed = Seed::topics("a:3:1, b:1:1:compact ,c").unwrap();
    let told: Vec<_> = seed.topics.iter().map(|one| (&*one.name, one.partitions)).collect();
    assert_eq!(told, [("a", Some(3)), ("b", Some(1)), ("c", None)]);
    assert_eq!(seed.topics[1].configs["cleanup.policy"], "compact");
    for bad in ["a:x", "a:1:1:compact:more", ":1"] {
        let error = Seed::topics(bad).unwrap_err().to_string();
        assert!(error.contains(&format!("'{bad}'")), "{error}");
    }
}

#[test]
fn mistakes_are_named_with_their_place() {
    for (yaml, files, expected) in [
        ("topics: 7", &[][..], "ottla.yaml"),
        ("topics:\n  - nam: x", &[], "nam"),
        ("topics:\n  - name: x\n    records: x.txt", &[("x.txt", "")], "x.txt"),
        ("topics:\n  - name: x\n    records: gone.csv", &[], "gone.csv"),
        ("topics:\n  - name: x\n    records: x.csv", &[("x.csv", "key,other\na,b\n")], "'other'"),
        ("topics:\n  - name: x\n    records: x.csv", &[("x.csv", "partition\nb\n")], "line 2"),
        ("topics:\n  - name: x\n    records: x.json", &[("x.json", "[{\"k\": 1}]")], "`k`"),
    ] {
        let error = read(yaml, files).unwrap_err().to_string();
        assert!(error.contains(expected), "{yaml}: {error}");
    }
    assert!(Seed::read(&OsDisk, Path::new("not-there.yaml")).is_err());
}
