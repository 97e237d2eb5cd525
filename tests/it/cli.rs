//! The command line: settings, sockets, signals.

use std::collections::BTreeSet;
use std::fs;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener, TcpStream};
use std::process::{Output, Stdio};
use std::time::Duration;

use rustix::process::Signal;
use serde_json::{Value, json};

use crate::broker::{Broker, ottla};
use crate::raw_client::{Connection, FETCH, fetch_body, frame};
use crate::wait::until;

const TIMEOUT: Duration = Duration::from_secs(10);

/// Runs `ottla server` with settings that must keep it from serving; what it said.
fn refused(settings: &[&str]) -> Output {
    let work = tempfile::tempdir().unwrap();
    let mut command = ottla();
    command.arg("server").arg("--override").arg("listeners=PLAINTEXT://localhost:0");
    command.arg("--override").arg(format!("log.dirs={}", work.path().join("data").display()));
    for setting in settings {
        command.arg("--override").arg(setting);
    }
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    let started = std::time::Instant::now();
    // A broker that serves after all must not outlive the test.
    while child.try_wait().unwrap().is_none() {
        std::thread::sleep(Duration::from_millis(10));
        if started.elapsed() > TIMEOUT {
            child.kill().unwrap();
        }
    }
    child.wait_with_output().unwrap()
}

fn assert_refused(settings: &[&str], said: &[&str]) {
    let output = refused(settings);
    let errors = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(2), "{settings:?}: {errors}");
    for part in said {
        assert!(errors.contains(part), "{settings:?}: '{part}' is not in: {errors}");
    }
}

#[test]
fn a_bad_value_ends_with_key_value_and_what_is_allowed() {
    let key = "auto.create.topics.enable";
    assert_refused(&["auto.create.topics.enable=maybe"], &[key, "maybe", "true", "false"]);
    assert_refused(&["num.partitions=0"], &["num.partitions", "0", "1"]);
    assert_refused(&["num.partitions=many"], &["num.partitions", "many"]);
    assert_refused(&["listeners=PLAINTEXT:9092"], &["listeners", "PLAINTEXT:9092"]);
}

#[test]
fn a_node_that_is_no_broker_is_an_error() {
    assert_refused(&["process.roles=controller"], &["process.roles", "controller", "broker"]);
}

#[test]
fn an_unknown_key_is_a_warning() {
    let broker = Broker::start_with(&["no.such.key=1"]);
    let log = broker.log();
    let line = log.lines().find(|line| line.contains("no.such.key"));
    assert!(line.is_some_and(|line| line.contains("WARN")), "{log}");
}

#[test]
fn a_properties_file_is_read_and_overridden() {
    let work = tempfile::tempdir().unwrap();
    let (file, ready) = (work.path().join("server.properties"), work.path().join("ready.json"));
    let data = work.path().join("data");
    let text = format!("# comment\nnode.id = 7\nlisteners=nonsense\nlog.dirs={}\n", data.display());
    fs::write(&file, text).unwrap();
    let mut command = ottla();
    command.arg("server").arg(&file).arg("--override").arg("listeners=PLAINTEXT://localhost:0");
    command.arg("--ready-file").arg(&ready).stdin(Stdio::null());
    let mut child = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    let properties = until("the ready file", TIMEOUT, || {
        if child.try_wait().unwrap().is_some() {
            return Some(String::from("the broker ended"));
        }
        ready.exists().then(|| fs::read_to_string(data.join("meta.properties")).unwrap())
    });
    // It may have ended already; the assertion below tells.
    let _ = child.kill();
    child.wait().unwrap();
    assert!(properties.contains("node.id=7"), "{properties}");
}

#[test]
fn every_loopback_address_of_localhost_is_bound_to_one_port() {
    let broker = Broker::start();
    let ready = broker.ready();
    let listener = &ready["listeners"][0];
    assert_eq!((&listener["name"], &listener["host"]), (&json!("PLAINTEXT"), &json!("localhost")));
    let addresses = listener["addresses"].as_array().unwrap().iter();
    let parse = |address: &Value| address.as_str().unwrap().parse().unwrap();
    let bound: BTreeSet<SocketAddr> = addresses.map(parse).collect();
    // A machine without IPv6 has no second one.
    let loopbacks = [IpAddr::from(Ipv4Addr::LOCALHOST), IpAddr::from(Ipv6Addr::LOCALHOST)];
    let exists = |address: &IpAddr| TcpListener::bind((*address, 0)).is_ok();
    let expected = loopbacks.into_iter().filter(exists);
    let expected: BTreeSet<SocketAddr> =
        expected.map(|address| SocketAddr::new(address, broker.port())).collect();
    assert_eq!(bound, expected);
    for address in bound {
        TcpStream::connect_timeout(&address, TIMEOUT).unwrap();
    }
}

#[test]
fn a_controller_listener_is_not_opened() {
    let broker = Broker::start_with(&[
        "listeners=PLAINTEXT://localhost:0,CONTROLLER://localhost:0",
        "controller.listener.names=CONTROLLER",
        "listener.security.protocol.map=PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT",
    ]);
    let ready = broker.ready();
    let listeners = ready["listeners"].as_array().unwrap();
    assert_eq!(listeners.len(), 1, "{ready}");
    assert_eq!(listeners[0]["name"], "PLAINTEXT");
}

#[test]
fn a_second_process_on_the_same_directory_is_refused() {
    let mut broker = Broker::start();
    let data = broker.data().display().to_string();
    let output = refused(&[&format!("log.dirs={data}")]);
    let said = [output.stdout, output.stderr].concat();
    let said = String::from_utf8_lossy(&said);
    assert!(output.status.code().is_some_and(|code| code != 0), "{said}");
    assert!(said.contains(&data) && said.contains("in use"), "{said}");
    assert!(broker.is_running());
}

fn stops_cleanly_on(signal: Signal) {
    let mut broker = Broker::start();
    let idle = Connection::open(broker.port(), TIMEOUT).unwrap();
    let mut waiting = Connection::open(broker.port(), TIMEOUT).unwrap();
    assert_eq!(waiting.create_topics(&["idle".to_owned()], 1, &[]).unwrap(), 0);
    waiting.send(&frame(FETCH, 4, false, &fetch_body("idle", 0, 60_000))).unwrap();
    let (status, took) = broker.signal(signal);
    assert_eq!(status.code(), Some(0));
    assert!(took < Duration::from_secs(1), "the stop took {took:?}");
    let marker = fs::read_to_string(broker.data().join(".kafka_cleanshutdown")).unwrap();
    let marker: serde_json::Value = serde_json::from_str(&marker).unwrap();
    assert_eq!(marker["version"], 0);
    assert!(marker["brokerEpoch"].as_i64().is_some_and(|epoch| epoch >= 0), "{marker}");
    drop((idle, waiting));
}

#[test]
fn sigterm_stops_within_a_second_with_idle_clients() {
    stops_cleanly_on(Signal::TERM);
}

#[test]
fn sigint_stops_within_a_second_with_idle_clients() {
    stops_cleanly_on(Signal::INT);
}

#[test]
fn the_log_says_when_the_broker_serves() {
    let broker = Broker::start();
    until("the line in the log", TIMEOUT, || {
        broker.log().contains("Kafka Server started").then_some(())
    });
}
