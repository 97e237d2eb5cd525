//! Many stock consumers on a topic into which nobody writes.

use std::io::{BufRead, BufReader};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::slice;
use std::time::Duration;

use super::client::Client;
use super::{java, librdkafka};
use crate::Setup;
use crate::contender::{Contender, by_column, cpu_while_idle_ms, take_turns};
use crate::table::{Aim, Figure, Section, Than};

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

/// Consumers of each client on each of `contenders`, one after the other.
pub(super) fn measure(setup: &Setup, clients: &[Client], contenders: &[Contender]) -> Section {
    let plan = setup.amount(FULL, QUICK);
    let (count, seconds) = (plan.consumers, plan.measured.as_secs());
    for contender in contenders {
        contender.create_topic(TOPIC, 1, &[]);
    }
    let name = format!("no client at all: CPU in {seconds} s (ms)");
    let idle = |contenders: &[Contender]| cpu_while_idle_ms(contenders, plan.settle, plan.measured);
    let mut figures = vec![Figure::of(name, &[], by_column(contenders, idle(contenders)))];
    for client in clients {
        let cpu = take_turns(contenders, 1, |contender, _| {
            let consumers = Consumers::start(*client, &contender.address(), count);
            let cpu = idle(slice::from_ref(contender));
            drop(consumers);
            cpu[0]
        });
        let name = format!("{count} consumers, {}: CPU in {seconds} s (ms)", client.name());
        let aim = Aim::AtMost(Than::Kafka(0.25));
        figures.push(Figure::of(name, &[aim], by_column(contenders, cpu.concat())));
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
