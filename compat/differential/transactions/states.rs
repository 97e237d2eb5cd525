//! Every request in every state that a transaction can stay in.
//!
//! A request that may change the state has a transactional id of its own. All ids of a state enter it before the first
//! of them is used, so that what a state waits for is waited for once.

use super::{
    ADD_MANY, Claim, END_BUMPS, OTHER_PRODUCER, Producer, adding, committing, ending, identity,
    writing,
};
use crate::script::Script;

const TOPIC: &str = "transactions-states";
const GROUP: &str = "transactions-states";
const ADDED: super::Partitions<'static> = &[(TOPIC, &[0])];
const OTHER: super::Partitions<'static> = &[(TOPIC, &[1])];
const OFFSETS: super::Offsets<'static> = &[(TOPIC, &[(0, 5)])];

/// How a transactional id came to be where it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum State {
    /// Nobody has asked for it.
    Unknown,
    Empty,
    /// Partitions are added, and nothing is written.
    Added,
    /// As before, and written.
    Written,
    OffsetsAdded,
    /// A write added its partition.
    Implicit,
    /// Ended without and with an epoch of its own for the next transaction.
    Committed,
    CommittedWithBump,
    Aborted,
    AbortedWithBump,
    /// Aborted by the coordinator, and its producer does not know.
    TimedOut,
    /// Its producer asked for a producer id again.
    EmptyAgain,
}

impl State {
    pub(super) const ALL: [Self; 12] = [
        Self::Unknown,
        Self::Empty,
        Self::Added,
        Self::Written,
        Self::OffsetsAdded,
        Self::Implicit,
        Self::Committed,
        Self::CommittedWithBump,
        Self::Aborted,
        Self::AbortedWithBump,
        Self::TimedOut,
        Self::EmptyAgain,
    ];

    /// Brings a new transactional id into the state, except for what [`Self::await_it`] waits for.
    pub(super) fn enter(self, producer: &mut Producer<'_>) {
        if self == Self::Unknown {
            for (what, value) in [("producer", OTHER_PRODUCER), ("epoch", 0)] {
                let key = format!("{}/{what}", producer.id);
                producer.script.learn(&key, &[Some(value); 2], ToString::to_string);
            }
            return;
        }
        producer.init_with("a producer to use", 5, |_, request| {
            if self == Self::TimedOut {
                request.transaction_timeout_ms = 100;
            }
        });
        match self {
            Self::Unknown | Self::Empty => {}
            Self::Added => producer.add("a partition", 3, Claim::Right, ADDED),
            Self::Written => {
                producer.add("a partition", 3, Claim::Right, ADDED);
                producer.produce("records", 11, Claim::Right, (TOPIC, &[0]), 0);
            }
            Self::OffsetsAdded => producer.add_offsets("a group", 3, Claim::Right, GROUP),
            Self::Implicit | Self::TimedOut => {
                producer.produce("records", 12, Claim::Right, (TOPIC, &[0]), 0);
            }
            Self::Committed | Self::Aborted => {
                Self::Written.enter(producer);
                self.end(producer, 4);
            }
            Self::CommittedWithBump | Self::AbortedWithBump => {
                producer.produce("records", 12, Claim::Right, (TOPIC, &[0]), 0);
                self.end(producer, END_BUMPS);
            }
            Self::EmptyAgain => {
                Self::CommittedWithBump.enter(producer);
                producer.until_complete();
                producer.init("again", 4);
            }
        }
    }

    /// Ends it without waiting for that to be complete.
    fn end(self, producer: &mut Producer<'_>, version: i16) {
        let committed = [Self::Committed, Self::CommittedWithBump].contains(&self);
        producer.begin_end("the end", version, Claim::Right, committed);
    }

    pub(super) fn await_it(self, producer: &mut Producer<'_>) {
        match self {
            Self::Unknown => {}
            Self::TimedOut => producer.until_state(&|state| state == "CompleteAbort"),
            _ => producer.until_complete(),
        }
    }
}

/// What is asked of a transactional id.
#[derive(Clone, Copy, Debug)]
enum Probe {
    /// Everything by somebody who is not who he says.
    Claims,
    Add(i16),
    AddOffsets(i16),
    Verify(i16),
    End(i16, bool),
    Init(i16),
    Produce(i16),
    Commit(i16),
}

fn probes() -> Vec<Probe> {
    let mut probes = vec![Probe::Claims];
    probes.extend((0..=5).map(Probe::Add));
    probes.extend((0..=4).map(Probe::AddOffsets));
    probes.extend((ADD_MANY..=5).map(Probe::Verify));
    probes.extend((0..=5).flat_map(|version| [true, false].map(|to| Probe::End(version, to))));
    probes.extend((0..=5).map(Probe::Init));
    probes.extend([3, 9, 10, 11, 12, 13].map(Probe::Produce));
    probes.extend((0..=5).map(Probe::Commit));
    probes
}

pub(super) fn run(script: &mut Script) {
    script.topic(TOPIC, 2, &[]);
    for state in State::ALL {
        let id = |probe: &Probe| format!("states-{state:?}-{probe:?}");
        let probes = probes();
        for probe in &probes {
            state.enter(&mut Producer::new(script, id(probe)));
        }
        for probe in &probes {
            let mut producer = Producer::new(script, id(probe));
            state.await_it(&mut producer);
            probe.ask(&mut producer, &format!("{state:?}"));
            producer.describe(&format!("{state:?}: after {probe:?}"));
        }
    }
}

impl Probe {
    fn ask(self, producer: &mut Producer<'_>, state: &str) {
        let right = Claim::Right;
        match self {
            Self::Claims => {
                producer.describe(&format!("{state}: it"));
                Claim::WRONG.into_iter().for_each(|claim| claims(producer, state, claim));
            }
            Self::Add(version) => {
                producer.add(&format!("{state}: a partition"), version, right, ADDED);
                producer.describe(&format!("{state}: a partition"));
                producer.add(&format!("{state}: another"), version, right, OTHER);
            }
            Self::Verify(version) => {
                let step = format!("{state}: partitions verified");
                verify(producer, &step, version, right, &[(TOPIC, &[0, 1])]);
            }
            Self::AddOffsets(version) => {
                producer.add_offsets(&format!("{state}: a group"), version, right, GROUP);
            }
            Self::End(version, committed) => ends(producer, state, version, committed),
            Self::Init(version) => {
                for time in ["first", "second", "third"] {
                    producer.init(&format!("{state}: for the {time} time"), version);
                    producer.until_complete();
                    producer.describe(&format!("{state}: for the {time} time"));
                }
            }
            Self::Produce(version) => {
                for sequence in [0, 3] {
                    let step = format!("{state}: records at {sequence}");
                    producer.produce(&step, version, right, (TOPIC, &[0]), sequence);
                }
            }
            Self::Commit(version) => {
                let step = format!("{state}: offsets");
                producer.commit_offsets(&step, version, right, GROUP, OFFSETS);
                producer.commit_offsets(&step, version, right, GROUP, OFFSETS);
            }
        }
    }
}

/// Ends a transaction, and what is said to who asks for that once more.
fn ends(producer: &mut Producer<'_>, state: &str, version: i16, committed: bool) {
    let mut end = |what: &str, claim, committed| {
        let step = format!("{state}: {what}, committed {committed}");
        producer.end(&step, version, claim, committed);
        producer.describe(&step);
    };
    end("the end", Claim::Right, committed);
    end("the end again", Claim::OldEpoch, committed);
    end("another end again", Claim::OldEpoch, !committed);
    end("an end after the end", Claim::Right, committed);
    end("another end after the end", Claim::Right, !committed);
}

/// Asks whether partitions are in a transaction, as a broker does.
fn verify(
    producer: &mut Producer<'_>,
    step: &str,
    version: i16,
    claim: Claim,
    partitions: super::Partitions<'_>,
) {
    let id = &producer.id;
    producer.script.ask(step, version, |side| {
        let mut request = adding(&identity(side, id, claim), partitions);
        request.transactions[0].verify_only = true;
        request
    });
}

fn claims(producer: &mut Producer<'_>, state: &str, claim: Claim) {
    let step = &format!("{state}: {claim:?}");
    let time_ms = producer.script.time_ms;
    let id = producer.id.clone();
    for version in 0..=5 {
        producer.add(step, version, claim, ADDED);
    }
    for version in ADD_MANY..=5 {
        verify(producer, step, version, claim, ADDED);
    }
    for version in 0..=4 {
        producer.add_offsets(step, version, claim, GROUP);
    }
    for version in 0..=5 {
        for committed in [true, false] {
            let step = format!("{step}, committed {committed}");
            producer
                .script
                .ask(&step, version, |side| ending(&identity(side, &id, claim), committed));
            producer.until_complete();
        }
    }
    for version in [3, 9, 10, 11, 12, 13] {
        producer.script.ask(step, version, |side| {
            writing(side, &identity(side, &id, claim), time_ms, (TOPIC, &[0]), 3)
        });
    }
    for version in 0..=5 {
        producer
            .script
            .ask(step, version, |side| committing(&identity(side, &id, claim), GROUP, OFFSETS));
    }
    producer.describe(step);
}
