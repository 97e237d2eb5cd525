//! The checker can fail: for each verdict, journals written by hand that deserve it, and clean ones that do not.

use crate::journals::{Journals, Judge};

const JUDGE: Judge = Judge {
    command: &["eos", "judge"],
    name: "eos",
    closing_line: |text| text.lines().last().unwrap_or_default(),
};

/// The journals of a small run without faults: two records in each of two partitions, and a worker that is killed in
/// its second transaction and replaced. Control records have offsets, too.
fn clean() -> Journals {
    let producer = "run t\nacked 0 0 0\nacked 0 1 1\nacked 1 0 0\nacked 1 1 1\n";
    let first = "ready 100 110\nbegun 1 2\nplaced 1 0 0 0\nplaced 1 1 1 0\nasked 200 1\n\
        done 1\ncommitted 200 210 0:1 1:1\nbegun 2 1\nplaced 2 0 1 2\n";
    let second = "ready 300 310\nread 311 312 0:1 1:1\nbegun 1 2\nplaced 1 0 1 4\nplaced 1 1 0 2\n\
        asked 400 1\ndone 1\ncommitted 400 410 0:2 1:2\n";
    let reader = "seen 220 0 0 t.0.0:0-001:1:0:2\nseen 221 1 0 t.1.0:0-001:1:1:2\n\
        seen 420 0 2 t.1.1:0-002:1:1:2\nseen 421 1 4 t.0.1:0-002:1:0:2\n";
    let bounds =
        "bounds 0 0 1\nbounds 1 0 1\nbounds 0 2 2\nbounds 1 2 3\nbounds 0 4 4\nbounds 1 6 6\n";
    let conductor = "fault kill worker-0-001-java\n\
        glimpse 0 -1\nglimpse 1 -1\nglimpse 0 1\nglimpse 1 1\n\
        bounds 0 4 4\nbounds 1 6 6\nread 500 510 0:2 1:2\n\
        input 0 0 t.0.0\ninput 0 1 t.0.1\ninput 1 0 t.1.0\ninput 1 1 t.1.1\n\
        written 0 0 t.0.0:0-001:1:0:2\nwritten 0 2 t.1.1:0-002:1:1:2\n\
        written 1 0 t.1.0:0-001:1:1:2\nwritten 1 2 t.0.1:0-001:2:0:1\n\
        written 1 4 t.0.1:0-002:1:0:2\n\
        output 0 0 t.0.0:0-001:1:0:2\noutput 0 2 t.1.1:0-002:1:1:2\n\
        output 1 0 t.1.0:0-001:1:1:2\noutput 1 4 t.0.1:0-002:1:0:2\n";
    let journals = [
        ("producer", producer),
        ("worker-0-001-java", first),
        ("worker-0-002-java", second),
        ("reader", reader),
        ("bounds", bounds),
        ("conductor", conductor),
    ];
    Journals::new(JUDGE, journals)
}

impl Journals {
    /// With a record that is also read committed, as all are in the order of their offsets.
    fn showing(self, place: &str, value: &str) -> Self {
        let seen = format!("seen 900 {place} {value}");
        let journals = self.and("conductor", &format!("output {place} {value}\n"));
        journals.edited("reader", |reader| {
            let mut lines: Vec<&str> = reader.lines().chain([seen.as_str()]).collect();
            lines.sort_by_key(|line| {
                line.split(' ').nth(3).map(|offset| offset.parse::<i64>().unwrap())
            });
            lines.join("\n") + "\n"
        })
    }

    /// With a record that is not read committed.
    fn hiding(self, place: &str, value: &str) -> Self {
        let journals = self.with("conductor", &format!("output {place} {value}\n"), "");
        journals.edited("reader", |reader| {
            let left = reader.lines().filter(|line| !line.ends_with(value));
            left.collect::<Vec<_>>().join("\n") + "\n"
        })
    }
}

const COUNTS: &str = "4 inputs, 2 transactions, 1 kills, 0 pauses, 0 zombies";
const ABORTED: &str = "t.0.1:0-001:2:0:1";

#[test]
fn a_run_without_faults_is_clean() {
    clean().assert_clean(COUNTS);
    clean().and("reader", "seen 999 1 7 t.0").assert_clean(COUNTS);
}

#[test]
fn a_line_that_is_no_journal_s_is_no_verdict() {
    let journals = clean().with("bounds", "bounds 0 0 1", "bonds 0 0 1");
    assert_eq!(journals.judge(), (Some(2), String::new()));
}

#[test]
fn an_outcome_that_nobody_was_told_may_be_either() {
    let second = "done 1\ncommitted 400 410 0:2 1:2\n";
    let unknown = clean().with("worker-0-002-java", second, "");
    unknown.assert_clean("4 inputs, 1 transactions, 1 kills, 0 pauses, 0 zombies");
    let asked = clean().and("worker-0-001-java", "asked 250 2\n");
    asked.assert_clean(COUNTS);
    let unknown = clean().with("producer", "acked 1 1 1", "unknown 1 1 timed out");
    unknown.assert_clean("3 inputs, 2 transactions, 1 kills, 0 pauses, 0 zombies");
    let unknown = clean().and("producer", "unknown 1 2 timed out\n");
    unknown.assert_clean(COUNTS);
}

#[test]
fn what_was_read_and_not_written_is_lost() {
    let journals = clean()
        .hiding("0 2", "t.1.1:0-002:1:1:2")
        .with("worker-0-002-java", "begun 1 2", "begun 1 1")
        .with("worker-0-002-java", "placed 1 1 0 2\n", "");
    journals.assert_faults("lost 1");
    let input = clean().and("producer", "acked 1 2 2\n").with(
        "conductor",
        "500 510 0:2 1:2",
        "500 510 0:2 1:3",
    );
    input.assert_faults("lost 1, unfinished 1");
    let placed = clean().with("conductor", &format!("written 1 2 {ABORTED}\n"), "");
    placed.assert_faults("lost 1");
}

#[test]
fn what_was_written_twice_is_duplicated() {
    let again = "t.0.0:0-002:2:0:1";
    let journals = clean()
        .and("worker-0-002-java", "begun 2 1\nplaced 2 0 0 4\nasked 450 2\ndone 2\n")
        .and("conductor", &format!("written 0 4 {again}\n"))
        .showing("0 4", again);
    journals.assert_faults("duplicated 1, reordered 1");
    let input = clean().and("conductor", "input 0 2 t.0.0\n").with(
        "conductor",
        "500 510 0:2",
        "500 510 0:3",
    );
    input.assert_faults("duplicated 1, wrong offset 1");
}

#[test]
fn what_stands_before_what_was_read_before_it_is_reordered() {
    let more = |first: &str, second: &str| {
        let mut journals = clean()
            .and("producer", "acked 0 2 2\nacked 0 3 3\nacked 0 4 4\n")
            .with("conductor", "500 510 0:2", "500 510 0:5")
            .and("worker-0-002-java", "begun 2 3\nasked 450 2\ndone 2\n");
        for (number, (place, input)) in
            [("0 4", first), ("0 5", second), ("1 6", "t.0.3")].iter().enumerate()
        {
            let value = format!("{input}:0-002:2:{number}:3");
            let found = format!("input 0 {} {input}\nwritten {place} {value}\n", &input[4..]);
            journals = journals.and("conductor", &found).showing(place, &value);
        }
        journals
    };
    let counts = "7 inputs, 3 transactions, 1 kills, 0 pauses, 0 zombies";
    more("t.0.2", "t.0.4").assert_clean(counts);
    more("t.0.4", "t.0.2").assert_faults("reordered 1");
}

#[test]
fn a_record_of_an_aborted_transaction_is_an_aborted_read() {
    // The transaction, and the reader; what it read was read again.
    let journals = clean().showing("1 2", ABORTED);
    journals.assert_faults("duplicated 1, reordered 1, aborted read 2");
    // Nobody reads it as committed in the end.
    let journals = clean().with("reader", "seen 421", "seen 421 1 2 t.0.1:0-001:2:0:1\nseen 421");
    journals.assert_faults("aborted read 1");
}

#[test]
fn a_record_that_is_read_before_its_commit_is_asked_for_is_an_aborted_read() {
    let journals = clean().with("reader", "seen 420 0 2", "seen 399 0 2");
    journals.assert_faults("aborted read 1");
}

#[test]
fn a_commit_that_failed_and_took_effect_is_an_aborted_read() {
    let journals =
        clean().with("worker-0-002-java", "done 1\ncommitted 400 410 0:2 1:2", "aborted 1");
    journals.assert_faults("aborted read 1");
}

#[test]
fn half_a_transaction_is_torn() {
    let journals = clean().hiding("0 2", "t.1.1:0-002:1:1:2");
    journals.assert_faults("lost 1, torn transaction 1");
}

#[test]
fn a_commit_without_an_effect_is_a_lost_transaction() {
    let journals = clean().hiding("0 2", "t.1.1:0-002:1:1:2").hiding("1 4", "t.0.1:0-002:1:0:2");
    journals.assert_faults("lost 2, lost transaction 1");
}

#[test]
fn a_producer_that_commits_after_its_successor_has_the_id_is_a_zombie() {
    let zombie = "asked 350 2\ndone 2\n";
    let journals = clean().and("worker-0-001-java", zombie);
    journals.assert_faults("zombie 1");
    // Without an answer it may still show.
    let journals = clean().and("worker-0-001-java", "asked 350 2\n");
    journals.assert_clean(COUNTS);
    journals.showing("1 2", ABORTED).assert_faults("duplicated 1, reordered 1, aborted read 1");
    // The successor has asked for the id, and not got it yet.
    let early = clean().and("worker-0-001-java", &zombie.replace("350", "305"));
    early.assert_faults("lost transaction 1");
}

#[test]
fn a_zombie_that_was_fenced_is_counted() {
    let journals = clean()
        .with("conductor", "fault kill", "fault zombie")
        .and("worker-0-001-java", "fenced 360\n");
    journals.assert_clean("4 inputs, 2 transactions, 0 kills, 0 pauses, 1 zombies");
}

#[test]
fn a_record_elsewhere_than_acked_has_a_wrong_offset() {
    let journals = clean().with("worker-0-002-java", "placed 1 0 1 4", "placed 1 0 1 2");
    journals.assert_faults("wrong offset 1");
    let journals = clean().with("producer", "acked 0 1 1", "acked 0 1 0");
    journals.assert_faults("wrong offset 1");
}

#[test]
fn what_nobody_wrote_is_a_phantom() {
    for value in ["t.0.1:0-009:1:0:1", "t.0.1:0-002:9:0:1", "t.0.9:0-002:1:0:2", "t.0.1"] {
        let journals = clean().with("conductor", "t.0.1:0-002:1:0:2", value).hiding("1 4", value);
        let journals = journals.and("conductor", &format!("output 1 4 {value}\n"));
        let (status, line) = journals.judge();
        assert!(status == Some(1) && line.contains("phantom 1"), "{value}: {line}");
    }
    let input = clean().and("conductor", "input 0 2 t.0.2\n");
    input.assert_faults("lost 1, phantom 1, unfinished 1");
}

#[test]
fn what_was_read_and_is_gone_has_disappeared() {
    let journals = clean().with("reader", "0 2 t.1.1", "0 3 t.1.1");
    journals.assert_faults("unseen 1, disappeared 1");
}

#[test]
fn what_the_reader_never_saw_is_unseen() {
    let journals = clean().with("reader", "seen 421 1 4 t.0.1:0-002:1:0:2\n", "");
    journals.assert_faults("unseen 1");
}

#[test]
fn a_reader_that_goes_back_is_reordered() {
    let journals = clean().and("reader", "seen 430 0 0 t.0.0:0-001:1:0:2\n");
    journals.assert_faults("reordered 1");
}

#[test]
fn committed_offsets_that_go_back_are_told() {
    let journals = clean().and("conductor", "glimpse 0 0\n");
    journals.assert_faults("group offset gone back 1");
    let journals = clean().with("worker-0-002-java", "read 311 312 0:1", "read 311 312 0:0");
    journals.assert_faults("group offset gone back 1");
}

#[test]
fn offsets_that_do_not_end_with_the_input_are_unfinished() {
    for end in ["500 510 0:1", "500 510 0:3"] {
        let journals = clean().with("conductor", "500 510 0:2", end).with(
            "worker-0-002-java",
            "committed 400 410 0:2",
            "committed 400 410 0:1",
        );
        journals.assert_faults("unfinished 1");
    }
}

#[test]
fn transactions_that_read_behind_each_other_are_circular() {
    let (first, second) = ("0 1 t.1.1:0-001:1:1:2", "1 3 t.1.0:0-002:1:1:2");
    let journals = clean()
        .with("reader", "seen 221 1 0 t.1.0:0-001:1:1:2", &format!("seen 410 {second}"))
        .with("reader", "seen 420 0 2 t.1.1:0-002:1:1:2", &format!("seen 410 {first}"))
        .with("conductor", "0 2 t.1.1:0-002:1:1:2", first)
        .with("conductor", "1 0 t.1.0:0-001:1:1:2", second)
        .with("worker-0-001-java", "placed 1 1 1 0", "placed 1 1 0 1")
        .with("worker-0-002-java", "placed 1 1 0 2", "placed 1 1 1 3");
    journals.assert_faults("circular flow 1");
}

#[test]
fn bounds_that_go_back_or_cross_are_told() {
    for (from, to) in [("bounds 0 4 4", "bounds 0 1 4"), ("1 6 6", "1 2 2"), ("0 0 1", "0 2 1")] {
        clean().with("bounds", from, to).assert_faults("bounds 1");
    }
}

#[test]
fn what_does_not_end_is_hanging() {
    let journals = clean().with("conductor", "bounds 1 6 6", "bounds 1 4 6");
    journals.assert_faults("hanging 1");
    let journals = clean().and("conductor", "open __consumer_offsets 3 4000 17\n");
    journals.assert_faults("hanging 1");
}

#[test]
fn a_process_that_gave_up_and_an_end_that_is_not_read_are_errors() {
    let journals = clean().and("conductor", "error worker-0-002-java ended by itself\n");
    journals.assert_faults("errors 1");
    let journals = clean().with("conductor", "bounds", "note bounds");
    journals.assert_faults("errors 1");
}
