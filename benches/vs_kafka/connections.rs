//! Clients that do little: what a broker takes that nobody uses, fetches that wait, many connections with a request now
//! and then, and clients that connect again and again.
//!
//! Memory is what the process has in RAM (`VmRSS`). It does not shrink reliably when clients go, so whatever is told of
//! it is measured on brokers that have not served more before; sockets are the kernel's and not in it.

use std::fs;
use std::io::ErrorKind;
use std::thread;
use std::time::Duration;

use ottla::env::raise_open_file_limit;

use crate::contender::{Contender, by_column, cpu_while_idle_ms, take_turns};
use crate::generator::{Load, Running};
use crate::node::resident_bytes;
use crate::raw_client::{Connection, FETCH, fetch_body, frame};
use crate::table::{Aim, Column, Figure, Section, Than};
use crate::{Setup, megabytes};

const COLUMNS: [Column; 4] = [Column::Ottla, Column::Again, Column::Kafka, Column::Other];
const PARKED_TOPIC: &str = "parked";
/// Longer than such a fetch is watched.
const PARKED_WAIT_MS: i32 = 60_000;
/// How often memory is looked at while connections are open: finding out that all of them are takes some milliseconds.
const SAMPLE_INTERVAL: Duration = Duration::from_millis(500);

/// How much to do.
#[derive(Clone, Copy, Debug)]
struct Plan {
    settle: Duration,
    parked: usize,
    parked_for: Duration,
    connections: usize,
    load_s: u32,
    rounds: usize,
}

/// `socket.listen.backlog.size`.
const BACKLOG: usize = 50;
/// Clients that connect again and again, and how often each does in a second; 0 is as often as it goes. As many as the
/// listener lets wait, and many more than that. Above 14,000 connections a second both brokers answer sooner than the client's
/// ports come back from TIME_WAIT, and the search for a free port is measured as well: so the few are also kept below that.
const STORMS: [(usize, u32); 3] = [(BACKLOG, 160), (BACKLOG, 0), (1_000, 0)];
const FULL: Plan = Plan {
    settle: Duration::from_secs(5),
    parked: 1_000,
    parked_for: Duration::from_secs(30),
    connections: 5_000,
    load_s: 5,
    rounds: 3,
};
const QUICK: Plan = Plan {
    settle: Duration::from_secs(1),
    parked: 50,
    parked_for: Duration::from_secs(2),
    connections: 200,
    load_s: 1,
    rounds: 1,
};

fn at_most(number: f64) -> [Aim; 1] {
    [Aim::AtMost(Than::Number(number))]
}

/// Starts all of them, each with its memory a while after that, when one record was all it had to do.
fn idle(setup: &Setup, plan: &Plan) -> (Vec<Contender>, Figure) {
    let start = |column| {
        let contender = Contender::start(column, setup.given());
        thread::sleep(plan.settle);
        // Nobody knows since when another one runs.
        let is_fresh = column != Column::Other;
        let resident = contender.resident_bytes().filter(|_| is_fresh).map(megabytes);
        (contender, resident)
    };
    let columns = setup.columns(&COLUMNS).into_iter();
    let (contenders, resident): (Vec<_>, Vec<_>) = columns.map(start).unzip();
    let name = format!("{} s after the start: VmRSS (MB)", plan.settle.as_secs());
    let figure = Figure::of(name, &at_most(15.0), by_column(&contenders, resident));
    (contenders, figure)
}

/// So many connections to a broker that has a topic to wait for. Each has had an answer: a queue of them that the broker
/// has not accepted yet would overflow.
fn connect(contender: &Contender, count: usize) -> Vec<Connection> {
    contender.create_topic(PARKED_TOPIC, 1, &[]);
    let connect = |_| {
        let mut client = contender.connect();
        client.api_versions().unwrap();
        client
    };
    (0..count).map(connect).collect()
}

fn is_waiting(client: &Connection) -> bool {
    client.stream().set_nonblocking(true).unwrap();
    client.stream().peek(&mut [0]).is_err_and(|error| error.kind() == ErrorKind::WouldBlock)
}

/// All at the same time, as they only wait.
fn parked(contenders: &[Contender], plan: &Plan) -> [Figure; 2] {
    let mut clients: Vec<_> = contenders.iter().map(|one| connect(one, plan.parked)).collect();
    // At the end of the partition, which has one record.
    let wait = frame(FETCH, 4, false, &fetch_body(PARKED_TOPIC, 1, PARKED_WAIT_MS));
    clients.iter_mut().flatten().for_each(|client| client.send(&wait).unwrap());
    let cpu = cpu_while_idle_ms(contenders, plan.settle, plan.parked_for);
    let resident: Vec<_> =
        contenders.iter().map(|one| one.resident_bytes().map(megabytes)).collect();
    for (contender, clients) in contenders.iter().zip(&clients) {
        assert!(clients.iter().all(is_waiting), "{}: a fetch was answered", contender.column);
    }
    let seconds = plan.parked_for.as_secs();
    let figure = |what: &str, most, values| {
        let name = format!("{} parked fetches: {what}", plan.parked);
        Figure::of(name, &at_most(most), by_column(contenders, values))
    };
    [figure(&format!("CPU in {seconds} s (ms)"), 50.0, cpu), figure("VmRSS (MB)", 60.0, resident)]
}

/// Sockets that a process has open.
fn sockets(pid: u32) -> usize {
    let files = fs::read_dir(format!("/proc/{pid}/fd")).unwrap().flatten();
    let is_socket = |file: &fs::DirEntry| {
        fs::read_link(file.path()).is_ok_and(|name| name.to_string_lossy().starts_with("socket:"))
    };
    files.filter(is_socket).count()
}

/// Memory that the broker takes for each connection of a generator that keeps `count` of them open; None where the
/// broker's process is not known.
fn bytes_per_connection(
    contender: &Contender,
    count: usize,
    start: impl FnOnce() -> Running,
) -> (Running, Option<f64>) {
    let before = contender.pid().map(|pid| (pid, sockets(pid), resident_bytes(pid)));
    let mut running = start();
    let mut taken = None;
    while running.is_running() {
        if let Some((pid, sockets_before, resident_before)) = before {
            // That all are open is seen after memory is: they do not close before the generator ends.
            let resident = resident_bytes(pid);
            if sockets(pid) >= sockets_before + count {
                taken = Some(resident.saturating_sub(resident_before) as f64 / count as f64);
            }
        }
        thread::sleep(SAMPLE_INTERVAL);
    }
    (running, taken)
}

/// Connections that stay, with a request a second each.
fn many(contenders: &[Contender], plan: &Plan) -> Vec<Figure> {
    let (count, seconds) = (plan.connections.to_string(), plan.load_s.to_string());
    let arguments = ["connections", "--count", &count, "--rate", "1", "--seconds", &seconds];
    let measured = take_turns(contenders, plan.rounds, |contender, _| {
        let start = || Running::start(contender, &arguments);
        let (running, taken) = bytes_per_connection(contender, plan.connections, start);
        (running.end_with_errors(contender), taken)
    });
    let (loads, taken): (Vec<Vec<Load>>, Vec<Vec<Option<f64>>>) =
        measured.into_iter().map(|rounds| rounds.into_iter().unzip()).unzip();
    let name = |what: &str| format!("{count} connections, 1 request/s each: {what}");
    let latency = |quantile: &str, aims: &[Aim]| {
        let of = format!("latency_ms.{quantile}");
        let (name, loads) = (name(&format!("{quantile} (ms)")), by_column(contenders, &loads));
        Figure::medians(name, aims, loads, |load| Some(load.figure(&of)))
    };
    // Later rounds find memory that the connections of the first one have left.
    let first = taken.iter().map(|rounds| rounds[0]);
    vec![
        latency("p50", &[]),
        latency("p99", &at_most(10.0)),
        errors(name("errors"), &at_most(0.0), contenders, &loads),
        Figure::of(name("bytes of VmRSS each"), &at_most(20_000.0), by_column(contenders, first)),
    ]
}

/// Connections that are closed as soon as the broker has told its versions.
fn storm(contenders: &[Contender], clients: usize, rate: u32, plan: &Plan) -> Vec<Figure> {
    let (count, seconds) = (clients.to_string(), plan.load_s.to_string());
    let each = rate.to_string();
    let often = ["--reconnect", "--rate", &each];
    let arguments = [&["connections", "--count", &count, "--seconds", &seconds], &often[..]];
    let loads = take_turns(contenders, plan.rounds, |contender, _| {
        Running::start(contender, &arguments.concat()).end_with_errors(contender)
    });
    let pace = match clients * rate as usize {
        0 => "as fast as it goes".to_owned(),
        all => format!("{all}/s in all"),
    };
    let name = |what: &str| format!("{clients} clients connect again and again, {pace}: {what}");
    let of = |what: &str, aims: &[Aim], value: fn(&Load) -> Option<f64>| {
        Figure::medians(name(what), aims, by_column(contenders, &loads), value)
    };
    vec![
        of("connections/s", &[], |load| Some(load.figure("requests_per_s"))),
        of("p99 (ms)", &at_most(10.0), |load| Some(load.figure("latency_ms.p99"))),
        of("CPU s per 100,000 connections", &[], Load::cpu_s_per_100k_requests),
        errors(name("errors"), &[], contenders, &loads),
    ]
}

/// Of all rounds together.
fn errors(name: String, aims: &[Aim], contenders: &[Contender], loads: &[Vec<Load>]) -> Figure {
    let sum = |rounds: &Vec<Load>| Some(rounds.iter().map(Load::errors).sum::<u64>() as f64);
    Figure::of(name, aims, by_column(contenders, loads.iter().map(sum)))
}

pub(crate) fn part(setup: &Setup) -> Vec<Section> {
    // What is started from here on inherits it; the JVM and Ottla raise their own too.
    raise_open_file_limit();
    let plan = setup.amount(FULL, QUICK);
    let (contenders, resident) = idle(setup, &plan);
    let mut figures = vec![resident];
    figures.extend(parked(&contenders, &plan));
    contenders.into_iter().for_each(Contender::end);
    let contenders = setup.contenders(&COLUMNS);
    figures.extend(many(&contenders, &plan));
    for (clients, rate) in STORMS {
        figures.extend(storm(&contenders, clients, rate, &plan));
    }
    contenders.into_iter().for_each(Contender::end);
    let method = format!(
        "Fetches of up to {} s wait at the end of a partition, at all brokers at the same time. `ottla bench connections` \
         opens the others, {} s a round: those with a request/s each in an open loop, where a request's time counts from \
         when it was due; those that connect again and again, each asking for ApiVersions once. Above some 14,000 \
         connections/s the client runs out of ports, which are bound for up to 2 s after a connection. Memory \
         of a connection is VmRSS while all are open minus VmRSS before, in the first round on a new process; in a JVM \
         that is how far the heap has grown meanwhile. A listener lets {} connections wait in both products; the kernel \
         drops those above, and their clients ask again after 1 s.",
        PARKED_WAIT_MS / 1_000,
        plan.load_s,
        BACKLOG,
    );
    vec![Section { title: "Connections", method, figures }]
}
