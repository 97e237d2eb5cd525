//! One script, with a crash or a fault at every single operation of the disk.

use ottla::env::{CrashMode, Fault};
use ottla::log::LogConfig;

use crate::seeds::message;
use crate::world::{Append, Op, World, block_on, config};

fn append(payload_bytes: usize) -> Op {
    Op::Append(Append {
        count: 3,
        payload_bytes,
        ahead_ms: payload_bytes as i64,
        gap: 0,
        control: false,
    })
}

/// A marker that aborts something, unless its number in the run says otherwise.
fn marker() -> Op {
    let one = Append { count: 1, payload_bytes: 20, ahead_ms: 3, gap: 0, control: true };
    Op::Append(one)
}

/// Every way a log writes to the disk.
fn script() -> Vec<Op> {
    vec![
        append(100),
        marker(),
        append(50),
        Op::Flush,
        append(300),
        marker(),
        append(10),
        Op::Roll,
        append(20),
        Op::BeginEpoch { by: 1 },
        append(200),
        Op::Wait { ms: 250 },
        append(30),
        Op::DeleteBefore { percent: 60 },
        append(60),
        Op::Reopen,
        append(70),
        append(350),
        Op::BeginEpoch { by: 2 },
        Op::Flush,
        append(90),
        marker(),
        marker(),
        Op::Crash(CrashMode::ProcessKill),
        append(15),
        append(250),
        marker(),
        Op::Crash(CrashMode::PowerLoss),
        append(25),
        Op::Recreate(Some(CrashMode::ProcessKill)),
        append(35),
        Op::Reopen,
        append(45),
    ]
}

fn configs() -> [LogConfig; 2] {
    let base = LogConfig { index_interval_bytes: 100, ..config(500) };
    let synced = LogConfig { flush_messages: 1, ..base };
    [base, synced]
}

/// Runs the script with `fault` at `operation`; gives the number of operations it took.
fn run(config: LogConfig, seed: u64, planned: Option<(u64, Fault)>) -> u64 {
    block_on(async {
        let mut world = World::new(seed, config).await;
        if let Some((operation, fault)) = planned {
            world.fault_at(operation, fault);
        }
        for op in script() {
            world.step(&op).await;
        }
        let operations = world.disk().operations();
        world.settle().await;
        operations
    })
}

fn at_every_operation(fault: Fault, seeds: u64) {
    let mut failures = Vec::new();
    for config in configs() {
        let operations = run(config, 0, None);
        assert!(operations > 100, "the script is too short to mean anything");
        for operation in 0..operations {
            for seed in 0..seeds {
                let outcome =
                    std::panic::catch_unwind(|| run(config, seed, Some((operation, fault))));
                if let Err(panic) = outcome {
                    let flush_messages = config.flush_messages;
                    failures.push(format!(
                        "{fault:?} at operation {operation} of {operations}, seed {seed}, \
                         flush.messages {flush_messages}: {}",
                        message(&*panic)
                    ));
                }
            }
        }
    }
    assert!(failures.is_empty(), "{} failures:\n{}", failures.len(), failures.join("\n"));
}

#[test]
fn a_process_kill_at_every_operation() {
    at_every_operation(Fault::Crash(CrashMode::ProcessKill), 1);
}

#[test]
fn a_loss_of_power_at_every_operation() {
    at_every_operation(Fault::Crash(CrashMode::PowerLoss), 3);
}

#[test]
fn an_io_error_at_every_operation() {
    at_every_operation(Fault::Io, 1);
}

#[test]
fn no_space_at_every_operation() {
    at_every_operation(Fault::NoSpace, 1);
}

#[test]
fn a_short_write_at_every_operation() {
    at_every_operation(Fault::ShortWrite, 1);
}
