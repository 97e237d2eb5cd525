//! Random runs of the local engine, one for each seed.

use ottla::env::{CrashMode, Fault};
use ottla::log::LogConfig;

use crate::seeds::run_seeds;
use crate::world::{Append, Op, World, block_on, config};

fn random_config(random: &mut fastrand::Rng) -> LogConfig {
    let mut pick = |choices: &[i64]| choices[random.usize(0..choices.len())];
    LogConfig {
        segment_ms: pick(&[i64::MAX, i64::MAX, 2_000]),
        segment_index_bytes: pick(&[10 << 20, 10 << 20, 48]) as u64,
        index_interval_bytes: pick(&[1, 100, 4096]) as u64,
        flush_messages: pick(&[1, 3, i64::MAX, i64::MAX]),
        flush_ms: pick(&[i64::MAX, i64::MAX, 10]),
        ..config(pick(&[300, 1_000, 5_000]) as u64)
    }
}

fn random_append(random: &mut fastrand::Rng) -> Append {
    let usually_zero = |random: &mut fastrand::Rng, odds: u8, value: i64| match random.u8(0..odds) {
        0 => value,
        _ => 0,
    };
    let gap = random.i64(1..50);
    let payload_bytes_max = if random.u8(0..8) == 0 { 1_500 } else { 200 };
    Append {
        count: random.i32(1..10),
        payload_bytes: random.usize(0..payload_bytes_max),
        ahead_ms: random.i64(-1_000..5_000),
        gap: usually_zero(random, 12, gap),
        control: random.u8(0..10) == 0,
    }
}

fn random_crash(random: &mut fastrand::Rng) -> CrashMode {
    if random.bool() { CrashMode::ProcessKill } else { CrashMode::PowerLoss }
}

fn random_fault(random: &mut fastrand::Rng) -> Op {
    let fault = match random.u8(0..6) {
        0 => Fault::Io,
        1 => Fault::NoSpace,
        2 => Fault::ShortWrite,
        _ => Fault::Crash(random_crash(random)),
    };
    let operations_max = if random.bool() { 3 } else { 30 };
    Op::FaultAfter { operations: random.u64(0..operations_max), fault }
}

/// `faults` out of 100 steps are faults.
fn random_op(random: &mut fastrand::Rng, faults: u8) -> Op {
    if random.u8(0..100) < faults {
        return match random.u8(0..8) {
            0 => Op::Capacity { spare_bytes: random.u64(0..1_500) },
            1 => Op::FailSyncs,
            2 | 3 => Op::ClearFaults,
            _ => random_fault(random),
        };
    }
    match random.u8(0..100) {
        0..45 => Op::Append(random_append(random)),
        45..50 => Op::BeginEpoch { by: random.i32(0..3) },
        50..54 => Op::Roll,
        54..59 => Op::DeleteBefore { percent: random.i64(0..=100) },
        59..67 => Op::Read {
            from_percent: random.i64(0..=100),
            until_percent: random.i64(0..=100),
            max_bytes: random.usize(0..3_000),
        },
        67..72 => Op::Times { ahead_ms: random.i64(-1_100..5_100) },
        72..78 => Op::Flush,
        78..83 => Op::Wait { ms: random.u64(1..300) },
        83..85 => Op::Configure { segment_bytes: random.u64(200..3_000) },
        85..90 => Op::Reopen,
        90..99 => Op::Crash(random_crash(random)),
        _ => Op::Recreate(Some(random_crash(random))),
    }
}

/// One run; gives its trace.
fn run(seed: u64) -> String {
    let mut random = fastrand::Rng::with_seed(seed);
    let config = random_config(&mut random);
    let faults = [0, 5, 20][random.usize(0..3)];
    block_on(async {
        let mut world = World::new(seed, config).await;
        for _ in 0..random.u32(20..80) {
            world.step(&random_op(&mut random, faults)).await;
        }
        world.settle().await;
        world.trace().to_owned()
    })
}

#[test]
fn model() {
    run_seeds("model", |seed| {
        run(seed);
    });
}

#[test]
fn the_same_seed_gives_the_same_trace() {
    for seed in 0..20 {
        let (first, second) = (run(seed), run(seed));
        assert!(first == second, "seed {seed}: {first}\n---\n{second}");
    }
}
