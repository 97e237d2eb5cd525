//! Share groups, which Ottla does not have: what Apache Kafka keeps of them outlives a time under Ottla.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use ottla::wire::messages::incremental_alter_configs::{
    AlterConfigsResource, AlterableConfig, IncrementalAlterConfigsRequest,
};

use super::{TIMEOUT, assert_no_damage, dump, text};
use crate::broker::Broker;
use crate::compaction::CLEANING;
use crate::group_clients::{commit, create_topic, lines, send};
use crate::needs;
use crate::protocol::Target;
use crate::raw_client::Connection;
use crate::reference::{self, Options, Reference};
use crate::wait::until;

const CONSUMER: &str = "org.apache.kafka.tools.consumer.ConsoleShareConsumer";
/// A type of resource.
const GROUP: i8 = 32;
const SHARED: &str = "Aa";
/// Its hash is that of [`SHARED`], so that both are kept in [`OFFSETS`].
const BESIDE: &str = "BB";
const OFFSETS: &str = "__consumer_offsets 12";
const TOPIC: &str = "t";
const SHORT_LIVED: &str = "short-lived";
/// Records go as soon as they may.
const RETENTION: [&str; 3] =
    ["log.retention.ms=1", "log.retention.check.interval.ms=50", "log.initial.task.delay.ms=0"];
const EARLIEST: i64 = -2;

/// Share groups begin at the end of a topic unless they are told otherwise.
fn begin_at_the_start(port: u16) {
    let config = AlterableConfig {
        name: "share.auto.offset.reset".into(),
        value: Some("earliest".into()),
        ..Default::default()
    };
    let resource = AlterConfigsResource {
        resource_type: GROUP,
        resource_name: SHARED.into(),
        configs: vec![config],
    };
    let request =
        IncrementalAlterConfigsRequest { resources: vec![resource], validate_only: false };
    let answer = Target::new(port).call(&request, 1);
    assert_eq!(answer.responses[0].error_code, 0, "{answer:?}");
}

/// The values, one a line, of the next records that the share group gives, which it is told are dealt with.
fn shared(port: u16, count: usize) -> String {
    let (servers, count) = (format!("localhost:{port}"), count.to_string());
    let group = ["--bootstrap-server", &servers, "--topic", TOPIC, "--group", SHARED];
    let until = ["--max-messages", &count, "--timeout-ms", "60000"];
    let output = reference::tool(CONSUMER, &[&group[..], &until].concat());
    assert!(output.status.success(), "{}", text(&output));
    String::from_utf8(output.stdout).unwrap()
}

/// The bytes of every segment of `__share_group_state`.
fn share_state(data: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let files = dump::segments(data, "__share_group_state").into_iter();
    files.map(|file| (file.clone(), fs::read(file).unwrap())).collect()
}

/// Everything that may take records away has done so, also in the partition that the share group is kept in.
fn work(port: u16, data: &Path) {
    send(port, TOPIC, 1, 20..30);
    create_topic(port, SHORT_LIVED, 1);
    send(port, SHORT_LIVED, 1, 0..10);
    // Each rolls the segment of the one before.
    (1..4).for_each(|offset| commit(port, BESIDE, TOPIC, offset, ""));
    until("compaction", TIMEOUT, || {
        let checkpoint = fs::read_to_string(data.join("cleaner-offset-checkpoint")).ok()?;
        let cleaned = checkpoint.lines().find_map(|line| line.strip_prefix(OFFSETS))?;
        (cleaned.trim().parse::<i64>().ok()? > 0).then_some(())
    });
    let mut client = Connection::open(port, TIMEOUT).unwrap();
    until("retention", TIMEOUT, || {
        (client.list_offset(SHORT_LIVED, EARLIEST).unwrap() == (0, 10)).then_some(())
    });
}

fn kafka_goes_on_with_its_share_group(clean: bool) {
    let name = format!("kafka_goes_on_with_its_share_group clean={clean}");
    if !needs::java(&name) {
        return;
    }
    let _one_at_a_time = reference::exclusive();
    let node = tempfile::tempdir().unwrap();
    let kafka = Reference::start(node.path(), &Options::default());
    let mut client = Connection::open(kafka.port(), TIMEOUT).unwrap();
    let kept = [("retention.ms", "-1")];
    assert_eq!(client.create_topics(&[TOPIC.to_owned()], 1, &kept).unwrap(), 0);
    send(kafka.port(), TOPIC, 1, 0..20);
    begin_at_the_start(kafka.port());
    assert_eq!(shared(kafka.port(), 7), lines(0..7));
    let data = kafka.data().to_owned();
    if clean {
        kafka.stop();
    } else {
        kafka.kill();
    }
    let before = share_state(&data);
    assert_eq!(before.len(), 50);
    assert!(before.values().any(|bytes| !bytes.is_empty()));

    let settings = [&CLEANING[..], &RETENTION].concat();
    let mut broker = Broker::start_on(&data, &settings);
    work(broker.port(), &data);
    broker.terminate();
    assert!(share_state(&data) == before, "{name}: the share group's state is another");

    let options = Options { data: Some(data), ..Options::default() };
    let kafka = Reference::start(node.path(), &options);
    assert_no_damage(&kafka.log(), &name);
    assert_eq!(shared(kafka.port(), 23), lines(7..30));
}

#[test]
fn kafka_goes_on_with_its_share_group_after_a_clean_stop() {
    kafka_goes_on_with_its_share_group(true);
}

#[test]
fn kafka_goes_on_with_its_share_group_after_a_kill() {
    kafka_goes_on_with_its_share_group(false);
}
