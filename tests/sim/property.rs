//! The local engine against the model with sequences that shrink to the shortest that fails.

use std::panic::{AssertUnwindSafe, catch_unwind};

use ottla::env::{CrashMode, Fault};
use proptest::prelude::*;
use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};

use crate::seeds::{from_env, message};
use crate::world::{Append, Op, World, block_on, config};

fn crash() -> impl Strategy<Value = CrashMode> {
    prop_oneof![Just(CrashMode::ProcessKill), Just(CrashMode::PowerLoss)]
}

fn fault() -> impl Strategy<Value = Fault> {
    prop_oneof![
        crash().prop_map(Fault::Crash),
        Just(Fault::Io),
        Just(Fault::NoSpace),
        Just(Fault::ShortWrite),
    ]
}

fn append() -> impl Strategy<Value = Op> {
    let parts = (1..10, 0usize..400, -100i64..1_000, prop_oneof![9 => Just(0), 1 => 1i64..50]);
    (parts, any::<bool>()).prop_map(|((count, payload_bytes, ahead_ms, gap), control)| {
        Op::Append(Append { count, payload_bytes, ahead_ms, gap, control })
    })
}

fn op() -> impl Strategy<Value = Op> {
    let read = (0i64..=100, 0i64..=100, 0usize..2_000);
    prop_oneof![
        10 => append(),
        1 => (0..3).prop_map(|by| Op::BeginEpoch { by }),
        1 => Just(Op::Roll),
        1 => (0i64..=100).prop_map(|percent| Op::DeleteBefore { percent }),
        1 => read.prop_map(|(from_percent, until_percent, max_bytes)| Op::Read {
            from_percent,
            until_percent,
            max_bytes,
        }),
        1 => (-200i64..1_100).prop_map(|ahead_ms| Op::Times { ahead_ms }),
        1 => Just(Op::Flush),
        1 => (1u64..300).prop_map(|ms| Op::Wait { ms }),
        1 => Just(Op::Reopen),
        2 => crash().prop_map(Op::Crash),
        1 => (0u64..20, fault()).prop_map(|(operations, fault)| Op::FaultAfter {
            operations,
            fault,
        }),
    ]
}

#[test]
fn property() {
    let seed = from_env("OTTLA_SEED", 0);
    let mut bytes = [0; 32];
    bytes[..8].copy_from_slice(&seed.to_le_bytes());
    let config_of_runs = Config { cases: 64, failure_persistence: None, ..Config::default() };
    let random = TestRng::from_seed(RngAlgorithm::ChaCha, &bytes);
    let mut runner = TestRunner::new_with_rng(config_of_runs, random);
    let ops = proptest::collection::vec(op(), 1..40);
    let outcome = runner.run(&(any::<u64>(), ops), |(disk_seed, ops)| {
        let run = AssertUnwindSafe(|| {
            block_on(async {
                let mut world = World::new(disk_seed, config(700)).await;
                for op in &ops {
                    world.step(op).await;
                }
                world.settle().await;
            });
        });
        catch_unwind(run).map_err(|panic| TestCaseError::fail(message(&*panic)))
    });
    if let Err(error) = outcome {
        panic!("{error}\nreplay: OTTLA_SEED={seed} cargo test --test sim property");
    }
}
