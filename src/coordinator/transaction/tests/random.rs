//! Random commands, time, markers and crashes: after every step the state equals its replay
//! ([`Bench::settle`]), and no transaction is ended twice or left unfinished.

use super::*;
use crate::env::Random;

fn step(bench: &mut Bench, random: &Random, producers: &mut Vec<Producer>) {
    let below = |limit: u64| random.below(limit);
    let known = producers.get(below(producers.len().max(1) as u64) as usize).copied();
    let producer = known.unwrap_or(Producer { id: 1_000, epoch: 0 });
    let version = if below(2) == 0 { 0 } else { 2 };
    let ticket = match below(10) {
        0 => bench.send(Command::Init(Init { id: ID.into(), timeout_ms: 20_000, expected: None })),
        1 => {
            let expected = Some(producer);
            bench.send(Command::Init(Init { id: ID.into(), timeout_ms: 20_000, expected }))
        }
        2..5 => {
            let partitions = places(&[below(4) as i32]);
            let add = Add { id: ID.into(), producer, partitions, client_version: version };
            bench.send(Command::Add(add))
        }
        5..7 => bench.send(end(producer, below(2) == 0, version)),
        7 => {
            bench.finish();
            return;
        }
        8 => {
            bench.advance(below(15_000) as i64);
            return;
        }
        _ => {
            bench.restart();
            return;
        }
    };
    if let Some(Reply::Producer(producer)) = bench.answer(ticket)
        && producer.id >= 0
    {
        producers.push(producer);
    }
}

#[test]
fn the_state_is_always_that_of_the_log() {
    for seed in 0..200 {
        let random = Random::seeded(seed);
        let mut bench = Bench::new();
        let mut producers = Vec::new();
        for _ in 0..200 {
            step(&mut bench, &random, &mut producers);
            let ending =
                bench.machine.entries.values().filter(|it| it.transaction.state.is_ending());
            assert!(ending.count() <= bench.markers.len(), "seed {seed}: markers are forgotten");
        }
        bench.finish();
        bench.advance(3_600_000);
        bench.finish();
        let open =
            bench.machine.entries.values().find(|it| {
                it.transaction.state == State::Ongoing || it.transaction.state.is_ending()
            });
        assert!(open.is_none(), "seed {seed}: {open:?} hangs");
    }
}
