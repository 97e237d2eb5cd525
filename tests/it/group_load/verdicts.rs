//! The checker can fail: for each verdict, journals written by hand that deserve it, and clean ones that do not.

use crate::checker::closing_line;
use crate::journals::{Journals, Judge};

const JUDGE: Judge = Judge { command: &["judge"], name: "checker", closing_line };

/// The journals of a small run without faults: two members, one partition, three records.
fn clean() -> Journals {
    let producer = "run t\nacked 0 0 0\nacked 0 1 1\nacked 0 2 2\n";
    // Killed: it has delivered offset 1 and not committed it.
    let first = "assigned 100 0\nread 110 120 0:-1\ndelivered 0 0 t.0.0\n\
        committed 200 210 0:1\ndelivered 0 1 t.0.1\n";
    let second = "assigned 300 0\nread 310 320 0:1\ndelivered 0 1 t.0.1\ndelivered 0 2 t.0.2\n\
        committed 400 410 0:3\nrevoked 500 0\n";
    let conductor = "note a run\nread 215 220 0:1\nread 600 610 0:3\n";
    let journals =
        [("producer", producer), ("first", first), ("second", second), ("conductor", conductor)];
    Journals::new(JUDGE, journals)
}

#[test]
fn a_run_without_faults_is_clean() {
    clean().assert_clean("3 records, 4 deliveries, 1 redelivered");
}

#[test]
fn a_torn_last_line_says_nothing() {
    let torn = clean().with("first", "t.0.1\n", "t.0.1\ndelivered 0 2 t.0");
    torn.assert_clean("3 records, 4 deliveries, 1 redelivered");
}

#[test]
fn a_line_that_is_no_journal_s_is_no_verdict() {
    let (status, line) = clean().with("first", "read 110", "red 110").judge();
    assert_eq!((status, line.as_str()), (Some(2), "checker: no verdict"));
}

#[test]
fn what_was_acked_and_passed_over_is_lost() {
    let journals = clean()
        .with("first", "delivered 0 1 t.0.1\n", "")
        .with("second", "delivered 0 1 t.0.1\n", "")
        // Without the reading and the floor, nothing else shows that it is missing.
        .with("second", "read 310 320 0:1\n", "");
    journals.assert_faults("lost 1");
}

#[test]
fn what_was_acked_and_never_came_is_unseen() {
    let journals = clean().with("second", "delivered 0 2 t.0.2\n", "");
    journals.assert_faults("unseen 1");
}

#[test]
fn what_is_committed_and_comes_again_is_duplicated() {
    let journals = clean().with("second", "read 310 320 0:1\n", "").with(
        "second",
        "delivered 0 1",
        "delivered 0 0 t.0.0\ndelivered 0 1",
    );
    journals.assert_faults("duplicated 1");
}

#[test]
fn what_is_committed_while_the_next_assignment_begins_may_come_again() {
    let journals = clean()
        .with("first", "committed 200 210 0:1", "committed 200 300 0:1")
        .with("conductor", "read 215 220 0:1\n", "")
        .with("second", "read 310 320 0:1\n", "")
        .with("second", "delivered 0 1", "delivered 0 0 t.0.0\ndelivered 0 1");
    journals.assert_clean("3 records, 5 deliveries, 2 redelivered");
}

#[test]
fn one_record_at_two_offsets_is_duplicated() {
    let twice = "delivered 0 2 t.0.2\ndelivered 0 3 t.0.2\n";
    let journals = clean()
        .with("second", "delivered 0 2 t.0.2\n", twice)
        .with("second", "0:3", "0:4")
        .with("conductor", "600 610 0:3", "600 610 0:4");
    // Its sequence does not rise either.
    journals.assert_faults("duplicated 1, reordered 1");
}

#[test]
fn offsets_that_go_back_or_skip_are_reordered() {
    let back = clean().with(
        "second",
        "delivered 0 2 t.0.2\n",
        "delivered 0 2 t.0.2\ndelivered 0 1 t.0.1\n",
    );
    back.assert_faults("reordered 1");
    let skip = clean().with("second", "delivered 0 1 t.0.1\n", "");
    skip.assert_faults("reordered 1");
    let skip = clean().with("first", "delivered 0 0 t.0.0\n", "");
    skip.assert_faults("lost 1, reordered 1");
}

#[test]
fn sequences_that_go_back_are_reordered() {
    let journals = clean()
        .with("producer", "acked 0 1 1\nacked 0 2 2", "acked 0 1 2\nacked 0 2 1")
        .with("first", "0 1 t.0.1", "0 1 t.0.2")
        .with("second", "0 1 t.0.1\ndelivered 0 2 t.0.2", "0 1 t.0.2\ndelivered 0 2 t.0.1");
    journals.assert_faults("reordered 1");
}

#[test]
fn what_comes_below_the_committed_offset_read_back_is_stale() {
    // The commit of 2 was applied, its answer lost.
    let journals = clean().with("second", "read 310 320 0:1", "read 310 320 0:2");
    journals.assert_faults("stale 1");
}

#[test]
fn what_comes_without_an_assignment_is_stale() {
    let journals =
        clean().with("second", "revoked 500 0\n", "revoked 500 0\ndelivered 0 2 t.0.2\n");
    journals.assert_faults("stale 1");
}

#[test]
fn what_was_never_sent_is_a_phantom() {
    for value in ["t.0.9", "t.1.2", "other.0.2", "?"] {
        let last = format!("delivered 0 2 t.0.2\ndelivered 0 3 {value}\n");
        let journals = clean().with("second", "delivered 0 2 t.0.2\n", &last);
        journals.assert_faults("phantom 1");
    }
}

#[test]
fn what_was_refused_and_came_is_a_phantom() {
    let journals = clean().with("producer", "acked 0 2 2", "refused 0 2 too large");
    journals.assert_faults("phantom 1, errors 1");
}

#[test]
fn what_had_no_answer_and_came_is_an_error_of_the_producer_only() {
    let journals = clean().with("producer", "acked 0 2 2", "unknown 0 2 timed out");
    journals.assert_faults("errors 1");
}

#[test]
fn a_record_that_is_not_where_it_was_acked_has_a_wrong_offset() {
    let journals = clean().with("producer", "acked 0 1 1", "acked 0 1 0");
    journals.assert_faults("wrong offset 1");
    // The broker no longer knew the offset.
    let journals = clean().with("producer", "acked 0 1 1", "acked 0 1 -1");
    journals.assert_clean("3 records, 4 deliveries, 1 redelivered");
}

#[test]
fn two_records_at_one_offset_have_a_wrong_offset() {
    let journals = clean().with("producer", "acked 0 2 2", "acked 0 2 1").with(
        "second",
        "0 1 t.0.1\ndelivered 0 2 t.0.2",
        "0 1 t.0.2",
    );
    journals.assert_faults("wrong offset 1");
}

#[test]
fn a_committed_offset_below_a_confirmed_commit_has_gone_back() {
    // Seen by everyone who looks, counted once.
    let lower = "read 500 510 0:2\nread 520 530 0:-1\nread 600 610 0:3";
    let journals = clean().with("conductor", "read 600 610 0:3", lower);
    journals.assert_faults("group offset gone back 1");
    // Below what was read before, without a commit that was confirmed.
    let journals = clean()
        .with("first", "committed 200 210 0:1\n", "")
        .with("second", "read 310 320 0:1", "read 310 320 0:0")
        .with("second", "delivered 0 1", "delivered 0 0 t.0.0\ndelivered 0 1");
    journals.assert_faults("duplicated 1, group offset gone back 1");
}

#[test]
fn a_reading_that_began_before_the_commit_was_confirmed_may_be_lower() {
    let early = "read 410 420 0:1\nread 600 610 0:3";
    let journals = clean().with("conductor", "read 600 610 0:3", early);
    journals.assert_clean("3 records, 4 deliveries, 1 redelivered");
}

#[test]
fn a_lower_commit_that_is_accepted_takes_the_offset_back() {
    // The first member still commits, although the second one owns the partition and has committed more.
    let journals = clean().with("first", "t.0.1\n", "t.0.1\ncommitted 450 460 0:2\n").with(
        "conductor",
        "read 600 610 0:3",
        "read 600 610 0:2",
    );
    journals.assert_faults("group offset gone back 1, unfinished 1");
}

#[test]
fn what_is_not_committed_in_the_end_is_unfinished() {
    let journals = clean().with("second", "committed 400 410 0:3", "committed 400 410 0:2").with(
        "conductor",
        "600 610 0:3",
        "600 610 0:2",
    );
    journals.assert_faults("unfinished 1");
}

#[test]
fn a_client_that_gave_up_is_an_error() {
    let journals = clean().with("second", "revoked 500 0\n", "error fenced\n");
    journals.assert_faults("errors 1");
}
