use std::time::Duration;

use tokio::time::Instant;

use super::*;

const FOREVER: Duration = Duration::from_hours(1);

/// Whether the wait is over; the clock is paused, so this takes no time.
async fn woken(wait: &FetchWait) -> bool {
    wait.until(Instant::now() + FOREVER).await
}

fn watching(bench: &Bench, missing_bytes: u64, isolation: Isolation) -> FetchWait {
    let mut wait = FetchWait::new(missing_bytes);
    wait.watch(&bench.partition, &bench.partition.bounds(), isolation);
    wait
}

#[tokio::test(start_paused = true)]
async fn a_fetch_is_woken_by_enough_bytes_over_all_its_partitions() {
    let (one, two) = (Bench::new().await, Bench::new().await);
    let size = plain(1).len() as u64;
    let mut wait = watching(&one, 3 * size, Isolation::ReadUncommitted);
    wait.watch(&two.partition, &two.partition.bounds(), Isolation::ReadUncommitted);
    one.append(&plain(1)).unwrap();
    two.append(&plain(1)).unwrap();
    assert!(!woken(&wait).await);
    one.append(&plain(1)).unwrap();
    assert!(woken(&wait).await);
}

#[tokio::test(start_paused = true)]
async fn bytes_count_when_they_are_committed() {
    let bench = Bench::with(Commit::Pending, TopicConfig::default()).await;
    let wait = watching(&bench, 1, Isolation::ReadUncommitted);
    bench.append(&plain(1)).unwrap();
    assert!(!woken(&wait).await);
    bench.flush().await;
    assert!(woken(&wait).await);
}

#[tokio::test(start_paused = true)]
async fn what_came_between_read_and_wait_is_not_missed() {
    let bench = Bench::new().await;
    let seen = bench.partition.bounds();
    bench.append(&plain(1)).unwrap();
    let mut wait = FetchWait::new(1_000_000);
    wait.watch(&bench.partition, &seen, Isolation::ReadUncommitted);
    assert!(woken(&wait).await);
}

#[tokio::test(start_paused = true)]
async fn a_refused_batch_wakes_nobody_and_its_bytes_do_not_count() {
    let config = TopicConfig { segment_bytes: 200, ..TopicConfig::default() };
    let bench = Bench::with(Commit::Done, config).await;
    let wait = watching(&bench, 201, Isolation::ReadUncommitted);
    bench.append(&plain(50)).unwrap_err();
    bench.append(&plain(1)).unwrap();
    assert!(!woken(&wait).await);
}

#[tokio::test(start_paused = true)]
async fn read_committed_waits_for_the_end_of_a_transaction() {
    let bench = Bench::new().await;
    bench.append_internal(|base_offset| transactional_at(base_offset, (5, 0), 0, 2));
    let wait = watching(&bench, 1_000_000, Isolation::ReadCommitted);
    bench.append(&plain(1)).unwrap();
    assert!(!woken(&wait).await);
    bench.mark(5, 0, true);
    assert!(woken(&wait).await);
}

#[tokio::test(start_paused = true)]
async fn read_committed_counts_bytes_while_no_transaction_is_open() {
    let bench = Bench::new().await;
    let wait = watching(&bench, 1 + plain(1).len() as u64, Isolation::ReadCommitted);
    bench.append(&plain(1)).unwrap();
    assert!(!woken(&wait).await);
    bench.append(&plain(1)).unwrap();
    assert!(woken(&wait).await);
}

#[tokio::test(start_paused = true)]
async fn the_end_of_a_partition_and_a_new_leader_epoch_wake() {
    let bench = Bench::new().await;
    let wait = watching(&bench, 1_000, Isolation::ReadUncommitted);
    bench.partition.raise_leader_epoch(4).unwrap();
    assert!(woken(&wait).await);
    let wait = watching(&bench, 1_000, Isolation::ReadUncommitted);
    bench.partition.stop();
    assert!(woken(&wait).await);
    let late = watching(&bench, 1_000, Isolation::ReadUncommitted);
    assert!(woken(&late).await);
}

#[tokio::test(start_paused = true)]
async fn a_dropped_fetch_leaves_nothing_behind() {
    let bench = Bench::new().await;
    let first = watching(&bench, 1, Isolation::ReadUncommitted);
    let second = watching(&bench, 1, Isolation::ReadUncommitted);
    assert_eq!(bench.partition.progress().parked(), 2);
    drop(first);
    assert_eq!(bench.partition.progress().parked(), 1);
    bench.append(&plain(1)).unwrap();
    assert!(woken(&second).await);
}

#[tokio::test(start_paused = true)]
async fn a_wait_ends_at_its_deadline() {
    let bench = Bench::new().await;
    let wait = watching(&bench, 1, Isolation::ReadUncommitted);
    let start = Instant::now();
    assert!(!wait.until(start + Duration::from_millis(500)).await);
    assert_eq!(start.elapsed(), Duration::from_millis(500));
}

#[tokio::test(start_paused = true)]
async fn an_answer_waits_for_the_commit() {
    let bench = Bench::with(Commit::Pending, TopicConfig::default()).await;
    let end_offset = bench.append(&plain(3)).unwrap().end_offset;
    let waiting = tokio::spawn(bench.partition.committed(end_offset));
    tokio::task::yield_now().await;
    assert!(!waiting.is_finished());
    bench.flush().await;
    assert_eq!(waiting.await.unwrap(), Ok(()));
    assert_eq!(bench.partition.committed(end_offset).await, Ok(()));
}

#[tokio::test(start_paused = true)]
async fn an_answer_to_what_will_not_be_committed_is_an_error() {
    let bench = Bench::with(Commit::Pending, TopicConfig::default()).await;
    let end_offset = bench.append(&plain(3)).unwrap().end_offset;
    let waiting = tokio::spawn(bench.partition.committed(end_offset));
    tokio::task::yield_now().await;
    bench.partition.progress().failed();
    assert_eq!(waiting.await.unwrap(), Err(NotCommitted::Offline));
    bench.partition.stop();
    assert_eq!(bench.partition.committed(end_offset).await, Err(NotCommitted::Stopped));
}

#[tokio::test(start_paused = true)]
async fn closing_commits_what_was_accepted() {
    let bench = Bench::with(Commit::Pending, TopicConfig::default()).await;
    let end_offset = bench.append(&plain(3)).unwrap().end_offset;
    bench.partition.close().await.unwrap();
    assert_eq!(bench.partition.committed(end_offset).await, Ok(()));
}
