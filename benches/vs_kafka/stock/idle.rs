//! Many stock consumers on a topic into which nobody writes.

use std::io::{BufRead, BufReader};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::slice;
use std::thread;
use std::time::Duration;

use super::client::Client;
use super::{java, librdkafka};
use crate::contender::{Contender, take_turns};
use crate::table::{Aim, Figure, Section, Than};
use crate::{Setup, milliseconds};

/// The line of a process whose consumers have all read to the end.
pub(super) const SETTLED: &str = "settled";
const TOPIC: &str = "stock-idle";
const TITLE: &str = "Stock consumers with nothing to read";

/// How much to do.
#[derive(Clone, Copy, Debug)]
struct Plan {
    consumers: usize,
    settle: Duration,
    measured: Duration,
}

const FULL: Plan =
    Plan { consumers: 200, settle: Duration::from_secs(5), measured: Duration::from_secs(30) };
const QUICK: Plan =
    Plan { consumers: 20, settle: Duration::from_secs(1), measured: Duration::from_secs(3) };

/// A process of consumers; it ends with this.
struct Consumers {
    process: Child,
    /// Its end is theirs. Taken when they are to end.
    input: Option<ChildStdin>,
}

impl Consumers {
    /// They are settled when this returns.
    fn start(client: Client, address: &str, count: usize) -> Self {
        let mut command: Command = match client {
            Client::Java => java::idle_command(address, TOPIC, count),
            Client::Librdkafka => librdkafka::idle_command(address, TOPIC, count),
        };
        let mut process = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        let mut line = String::new();
        BufReader::new(process.stdout.take().unwrap()).read_line(&mut line).unwrap();
        assert_eq!(line.trim(), SETTLED, "consumers of {} at {address}", client.name());
        Self { input: process.stdin.take(), process }
    }
}

impl Drop for Consumers {
    fn drop(&mut self) {
        drop(self.input.take());
        // A measurement that failed has been told already.
        let _ = self.process.wait();
    }
}

/// CPU times of brokers while nobody does anything that was not begun before.
fn cpu_while_idle(contenders: &[Contender], plan: &Plan) -> Vec<Option<Duration>> {
    let now = || contenders.iter().map(Contender::cpu_time).collect::<Vec<_>>();
    thread::sleep(plan.settle);
    let before = now();
    thread::sleep(plan.measured);
    let used = now().into_iter().zip(before);
    used.map(|(now, before)| Some(now?.saturating_sub(before?))).collect()
}

fn figure(
    name: String,
    aims: &[Aim],
    contenders: &[Contender],
    cpu: impl IntoIterator<Item = Option<Duration>>,
) -> Figure {
    let mut figure = Figure::new(name, aims);
    for (contender, cpu) in contenders.iter().zip(cpu) {
        if let Some(cpu) = cpu {
            figure.set(contender.column, milliseconds(cpu));
        }
    }
    figure
}

/// Consumers of each client on each of `contenders`, one after the other.
pub(super) fn measure(setup: &Setup, clients: &[Client], contenders: &[Contender]) -> Section {
    let plan = setup.amount(FULL, QUICK);
    let (count, seconds) = (plan.consumers, plan.measured.as_secs());
    for contender in contenders {
        contender.create_topic(TOPIC, 1, &[]);
    }
    let name = format!("no client at all: CPU in {seconds} s (ms)");
    let mut figures = vec![figure(name, &[], contenders, cpu_while_idle(contenders, &plan))];
    for client in clients {
        let cpu = take_turns(contenders, 1, |contender, _| {
            let consumers = Consumers::start(*client, &contender.address(), count);
            let cpu = cpu_while_idle(slice::from_ref(contender), &plan);
            drop(consumers);
            cpu
        });
        let name = format!("{count} consumers, {}: CPU in {seconds} s (ms)", client.name());
        let aim = Aim::AtMost(Than::Kafka(0.25));
        figures.push(figure(name, &[aim], contenders, cpu.into_iter().flatten().flatten()));
    }
    for contender in contenders {
        contender.delete_topic(TOPIC);
    }
    Section { title: TITLE, method: method(&plan), figures }
}

fn method(plan: &Plan) -> String {
    format!(
        "Consumers of one process, each the only member of its own group and with its own connections, on a topic of one \
         partition which they have read to the end; all settings as they are by default, so that a fetch waits for 500 ms \
         and a heartbeat comes every 3 s. CPU is the broker's, over {} s that begin {} s after the last consumer is at the end.",
        plan.measured.as_secs(),
        plan.settle.as_secs()
    )
}
