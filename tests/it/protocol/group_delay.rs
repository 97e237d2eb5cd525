//! `group.initial.rebalance.delay.ms`: the first generation of a group waits for more members.

use std::time::{Duration, Instant};

use ottla::wire::messages::join_group::JoinGroupRequest;

use super::client::Target;
use super::groups::{Member, await_state, describe, group, joining, rebalance};

checks![
    the_first_member_waits_for_others,
    a_newcomer_makes_the_wait_longer,
    the_wait_ends_with_the_rebalance_timeout,
    a_later_rebalance_does_not_wait,
    a_group_that_was_left_waits_again,
    nobody_is_left_after_the_wait,
];

pub(super) const SETTINGS: &[&str] = &["group.initial.rebalance.delay.ms=1000"];

const DELAY: Duration = Duration::from_secs(1);

/// Asserts that something took its time, and not half as much again.
fn assert_took(started: Instant, time: Duration) {
    let took = started.elapsed();
    assert!((time..time + DELAY / 2).contains(&took), "{took:?} instead of {time:?}");
}

fn the_first_member_waits_for_others(target: &Target) {
    let mut member = Member::pending(target, &group(target));
    let started = Instant::now();
    member.begin_rebalance(target);
    assert_eq!(member.joined().generation_id, 1);
    assert_took(started, DELAY);
}

fn a_newcomer_makes_the_wait_longer(target: &Target) {
    let group = group(target);
    let mut first = Member::pending(target, &group);
    let mut second = Member::pending(target, &group);
    let started = Instant::now();
    first.begin_rebalance(target);
    second.send_join();
    assert_eq!(first.joined().members.len(), 2);
    // Not from when it came, but by another delay.
    assert_took(started, 2 * DELAY);
    assert_eq!(second.joined().generation_id, 1);
}

fn the_wait_ends_with_the_rebalance_timeout(target: &Target) {
    let request = JoinGroupRequest { rebalance_timeout_ms: 1_200, ..joining(&group(target)) };
    let mut first = Member::pending_with(target, request.clone());
    let mut second = Member::pending_with(target, request);
    let started = Instant::now();
    first.begin_rebalance(target);
    second.send_join();
    first.joined();
    assert_took(started, Duration::from_millis(1_200));
    second.joined();
}

fn a_later_rebalance_does_not_wait(target: &Target) {
    let mut first = Member::alone(target, &group(target));
    let started = Instant::now();
    let mut second = Member::pending(target, first.group());
    rebalance(target, &mut [&mut second, &mut first]);
    assert!(started.elapsed() < DELAY);
}

fn a_group_that_was_left_waits_again(target: &Target) {
    let first = Member::alone(target, &group(target));
    first.leave(target);
    await_state(target, first.group(), "Empty");
    let mut second = Member::pending(target, first.group());
    let started = Instant::now();
    second.begin_rebalance(target);
    assert_eq!(second.joined().generation_id, 3);
    assert_took(started, DELAY);
}

fn nobody_is_left_after_the_wait(target: &Target) {
    let mut member = Member::pending(target, &group(target));
    let started = Instant::now();
    member.begin_rebalance(target);
    member.leave(target);
    assert_eq!(describe(target, member.group(), 5).group_state, "PreparingRebalance");
    await_state(target, member.group(), "Empty");
    assert_took(started, DELAY);
    assert_eq!(Member::alone(target, member.group()).generation, 2);
}
