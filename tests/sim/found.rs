//! The shortest runs that showed a fault once.

use ottla::env::{CrashMode, Fault};

use crate::world::{Append, Op, World, block_on, config};

const KILL: Op = Op::Crash(CrashMode::ProcessKill);
const POWER_LOSS: Op = Op::Crash(CrashMode::PowerLoss);

fn append_at(ahead_ms: i64) -> Op {
    Op::Append(Append { count: 3, payload_bytes: 50, ahead_ms, gap: 0, control: false })
}

fn append(payload_bytes: usize) -> Op {
    Op::Append(Append { count: 3, payload_bytes, ahead_ms: 0, gap: 0, control: false })
}

fn fault_after(operations: u64, fault: Fault) -> Op {
    Op::FaultAfter { operations, fault }
}

/// Runs the steps for as many seeds as chance needs to lose what may be lost.
fn run(seeds: u64, ops: &[Op]) {
    for seed in 0..seeds {
        block_on(async {
            let mut world = World::new(seed, config(500)).await;
            for op in ops {
                world.step(op).await;
            }
            world.settle().await;
        });
    }
}

#[test]
fn a_new_log_directory_outlives_a_loss_of_power() {
    run(100, &[append(50), Op::Flush, POWER_LOSS]);
}

/// The file of epochs was written without a sync before the kill, and later only its name was
/// synced: a recovery that trusts the first segment knows no epoch of it.
#[test]
fn epochs_written_before_a_kill_are_synced_by_a_clean_stop() {
    let stop = [append(50), KILL, append(50), Op::Reopen];
    run(100, &[&stop[..], &[Op::Roll, append(50), POWER_LOSS]].concat());
}

#[test]
fn epochs_written_before_a_kill_are_synced_by_a_flush() {
    let flush = [append(50), KILL, append(50), Op::Flush, Op::Roll];
    run(100, &[&flush[..], &[append(20), Op::Wait { ms: 900 }, append(20), POWER_LOSS]].concat());
}

/// A roll syncs the names of the directory, and with them that of a file of epochs whose bytes
/// are not synced.
#[test]
fn a_roll_syncs_no_name_before_its_bytes() {
    let begin = [append(50), Op::Roll, append(50), Op::Reopen, KILL];
    let epoch = [Op::BeginEpoch { by: 1 }, append(50), Op::Roll, append(50), POWER_LOSS];
    run(100, &[begin, epoch].concat());
}

/// An epoch whose batches are lost began where other batches stand now.
#[test]
fn an_epoch_lost_with_its_batches_does_not_come_back() {
    let lose = [append(50), append(50), Op::BeginEpoch { by: 1 }, append(50), POWER_LOSS];
    run(100, &[&lose[..], &[append(50), append(50), append(50), append(50), KILL]].concat());
    run(100, &[&lose[..], &[append(50), append(50), Op::Flush, append(50), POWER_LOSS]].concat());
}

/// The rename that begins a deletion was done but not synced; asked again there was nothing left
/// to do, and nothing was synced.
#[test]
fn a_deletion_asked_for_twice_is_durable() {
    for operations in 0..20 {
        let fault = fault_after(operations, Fault::Io);
        let delete = Op::Recreate(Some(CrashMode::ProcessKill));
        run(8, &[append(50), Op::Flush, fault, delete, POWER_LOSS]);
    }
}

/// The marker was removed but the removal not synced when the first start was killed; the second
/// start saw no marker.
#[test]
fn a_clean_shutdown_marker_does_not_come_back() {
    for operations in 0..30 {
        let kill = fault_after(operations, Fault::Crash(CrashMode::ProcessKill));
        run(8, &[append(50), kill, Op::Reopen, append(50), POWER_LOSS]);
    }
}

/// A sync that fails for want of room has lost bytes as well as any other.
#[test]
fn a_sync_without_room_is_a_failed_sync() {
    for operations in 0..12 {
        let fault = fault_after(operations, Fault::NoSpace);
        let steps = [append(200), append(200), append(200), fault, Op::Reopen, append(20)];
        run(8, &[&steps[..], &[Op::ClearFaults, POWER_LOSS]].concat());
    }
}

/// The directory's sync failed for want of room and was not made up for by the next flush.
#[test]
fn names_are_synced_after_a_sync_that_found_no_room() {
    for operations in 0..8 {
        let fault = fault_after(operations, Fault::NoSpace);
        let steps = [append(400), append(200), fault, append(400), Op::ClearFaults];
        run(20, &[&steps[..], &[Op::Flush, POWER_LOSS]].concat());
    }
}

/// Sectors of a torn batch are zero, the one with its magic byte, too: no old message format.
#[test]
fn a_torn_batch_is_not_of_an_old_format() {
    let one_file = Op::Configure { segment_bytes: 5_000 };
    // A sector ends between length and magic of the second batch.
    run(400, &[one_file, append(437), Op::Flush, append(100), append(100), POWER_LOSS]);
}

/// The recovery point was the end of the active segment; the roll right there gave its time index
/// the last entry, unsynced, and the segment counted as one before the recovery point.
#[test]
fn a_segment_sealed_at_the_recovery_point_is_not_trusted() {
    let checkpoint = [append_at(10), Op::Reopen, append_at(500), Op::Flush];
    let roll = [Op::Wait { ms: 900 }, Op::Roll, append_at(20), POWER_LOSS];
    run(100, &[&checkpoint[..], &roll, &[Op::Times { ahead_ms: 400 }]].concat());
}

/// Epochs were cut at a start of the log whose own file was not durable.
#[test]
fn epochs_are_not_cut_at_a_start_that_may_be_lost() {
    for operations in 0..8 {
        let fault = fault_after(operations, Fault::Io);
        let steps = [append(50), Op::Reopen, append(50), append(50), fault];
        let delete = [Op::DeleteBefore { percent: 90 }, KILL, POWER_LOSS];
        run(50, &[&steps[..], &delete].concat());
    }
}
