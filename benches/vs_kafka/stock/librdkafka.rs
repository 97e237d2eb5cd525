//! librdkafka: this program started once more, for one task, which its arguments tell.
//!
//! Settings are librdkafka's own but for those that [`super::produce`] names. What the process has to say is a line of
//! JSON; if it cannot go on it panics, and then the asking process fails too.

use std::env;
use std::process::{Command, Stdio};

use rdkafka::config::ClientConfig;
use serde_json::Value;

use super::client::{Consumed, Consuming, Produced, Producing};

mod consumer;
mod idle;
mod producer;

/// The first argument of such a process; the task follows.
const ASKED: &str = "--be-a-stock-client";
const PRODUCE: &str = "produce";
const CONSUME: &str = "consume";
const IDLE: &str = "idle";

/// Does the task and is true if this process was started for one.
pub(crate) fn act_if_asked() -> bool {
    let arguments: Vec<String> = env::args().skip(1).collect();
    match arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        [ASKED, PRODUCE, address, topic, compression, records, values] => {
            let (records, values) = (records.parse().unwrap(), values.as_ref());
            let task = Producing { address, topic, compression, records, values };
            println!("{}", producer::run(&task));
        }
        [ASKED, CONSUME, address, topic, records, backoff_ms] => {
            let records = records.parse().unwrap();
            let task = Consuming { address, topic, records, backoff_ms };
            println!("{}", consumer::run(&task));
        }
        [ASKED, IDLE, address, topic, count] => idle::run(address, topic, count.parse().unwrap()),
        [ASKED, ..] => panic!("{arguments:?}"),
        _ => return false,
    }
    true
}

fn config(address: &str) -> ClientConfig {
    let mut config = ClientConfig::new();
    config.set("bootstrap.servers", address);
    config
}

/// That of a consumer that is the only member of a group nobody else has used, and reads from the beginning.
fn consumer_config(address: &str) -> ClientConfig {
    let mut config = config(address);
    let group = format!("stock-{:016x}", fastrand::u64(..));
    config.set("group.id", group).set("auto.offset.reset", "earliest");
    config
}

/// A process that does a task.
fn command(task: &[&str]) -> Command {
    let mut command = Command::new(env::current_exe().unwrap());
    command.arg(ASKED).args(task).stdin(Stdio::null()).stdout(Stdio::piped());
    command
}

/// Consumers that have nothing to read: says so in a line, and ends with its input.
pub(super) fn idle_command(address: &str, topic: &str, count: usize) -> Command {
    command(&[IDLE, address, topic, &count.to_string()])
}

/// What the process of a task says at its end.
fn said(task: &[&str]) -> Value {
    let output = command(task).output().unwrap();
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{task:?}: {errors}");
    serde_json::from_slice(&output.stdout).unwrap()
}

pub(super) fn produce(task: &Producing<'_>) -> Produced {
    let Producing { address, topic, compression, records, values } = task;
    let (records, values) = (records.to_string(), values.to_str().unwrap());
    let said = said(&[PRODUCE, address, topic, compression, &records, values]);
    let number = |name: &str| said[name].as_f64();
    Produced {
        records_per_s: number(producer::RECORDS_PER_S).unwrap(),
        record_mean_ms: number(producer::RECORD_MEAN_MS).unwrap(),
        record_p99_ms: number(producer::RECORD_P99_MS).unwrap(),
        request_mean_ms: number(producer::REQUEST_MEAN_MS),
    }
}

pub(super) fn consume(task: &Consuming<'_>) -> Consumed {
    let Consuming { address, topic, records, backoff_ms } = task;
    let said = said(&[CONSUME, address, topic, &records.to_string(), backoff_ms]);
    Consumed { mb_per_s: said[consumer::MB_PER_S].as_f64().unwrap() }
}
