//! Every request in every state that a transaction can stay in.
//!
//! A request that may change the state has a transactional id of its own. All ids of a state enter it before the first
//! of them is used, so that what a state waits for is waited for once.

use ottla::wire::messages::write_txn_markers::{WritableTxnMarker, WriteTxnMarkersRequest};

use super::markers::marker;
use super::{
    ADD_MANY, Claim, END_BUMPS, OTHER_PRODUCER, Producer, adding, committing, ending, identity,
    writing,
};
use crate::script::Script;

const TOPIC: &str = "transactions-states";
const GROUP: &str = "transactions-states";
/// Each id of a state has a partition, so that it does not matter when the transactions of others end.
const PARTITIONS: i32 = 100;
/// Where nobody writes.
const OTHER: i32 = PARTITIONS - 1;
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
    /// About to end and, unlike others, to stay there: its partition takes no markers of its coordinator.
    PrepareCommit,
    PrepareAbort,
}

impl State {
    pub(super) const ALL: [Self; 14] = [
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
        Self::PrepareCommit,
        Self::PrepareAbort,
    ];

    /// Brings a new transactional id into the state, except for what [`Self::await_it`] waits for.
    pub(super) fn enter(self, producer: &mut Producer<'_>, partition: i32) {
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
        self.follow(producer, partition);
    }

    /// What comes after the producer id.
    fn follow(self, producer: &mut Producer<'_>, partition: i32) {
        match self {
            Self::Unknown | Self::Empty => {}
            Self::Added => producer.add("a partition", 3, Claim::Right, &[(TOPIC, &[partition])]),
            Self::Written => {
                Self::Added.follow(producer, partition);
                producer.produce("records", 11, Claim::Right, (TOPIC, &[partition]), 0);
            }
            Self::OffsetsAdded => producer.add_offsets("a group", 3, Claim::Right, GROUP),
            Self::Implicit | Self::TimedOut => {
                producer.produce("records", 12, Claim::Right, (TOPIC, &[partition]), 0);
            }
            Self::Committed | Self::Aborted => {
                Self::Written.follow(producer, partition);
                producer.begin_end("the end", 4, Claim::Right, self == Self::Committed);
            }
            Self::CommittedWithBump | Self::AbortedWithBump => {
                Self::Implicit.follow(producer, partition);
                let committed = self == Self::CommittedWithBump;
                producer.begin_end("the end", END_BUMPS, Claim::Right, committed);
            }
            Self::EmptyAgain => {
                Self::CommittedWithBump.follow(producer, partition);
                producer.until_complete();
                producer.init("again", 4);
            }
            Self::PrepareCommit | Self::PrepareAbort => {
                fence(producer, partition);
                Self::Implicit.follow(producer, partition);
                let (version, committed) =
                    if self == Self::PrepareCommit { (END_BUMPS, true) } else { (4, false) };
                producer.begin_end("the end", version, Claim::Right, committed);
            }
        }
    }

    pub(super) fn await_it(self, producer: &mut Producer<'_>) {
        match self {
            Self::Unknown => {}
            Self::PrepareCommit | Self::PrepareAbort => producer.stays = true,
            Self::TimedOut => producer.until_state(&|state| state == "CompleteAbort"),
            _ => producer.until_complete(),
        }
    }
}

/// A partition is told of a later coordinator.
fn fence(producer: &mut Producer<'_>, partition: i32) {
    let id = &producer.id;
    producer.script.ask("a marker of a later coordinator", 1, |side| {
        let who = identity(side, id, Claim::Right);
        let marker = marker(&who, true, &[(TOPIC, &[partition])]);
        let markers = vec![WritableTxnMarker { coordinator_epoch: 9, ..marker }];
        WriteTxnMarkersRequest { markers }
    });
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

pub(super) fn topic(script: &mut Script) {
    script.topic(TOPIC, PARTITIONS, &[]);
}

pub(super) fn run(script: &mut Script) {
    for state in State::ALL {
        let id = |probe: &Probe| format!("states-{state:?}-{probe:?}");
        let probes = probes();
        for (partition, probe) in (0..).zip(&probes) {
            state.enter(&mut Producer::new(script, id(probe)), partition);
        }
        for (partition, probe) in (0..).zip(&probes) {
            let mut producer = Producer::new(script, id(probe));
            state.await_it(&mut producer);
            probe.ask(&mut producer, &format!("{state:?}"), partition);
            producer.describe(&format!("{state:?}: after {probe:?}"));
        }
    }
}

impl Probe {
    fn ask(self, producer: &mut Producer<'_>, state: &str, partition: i32) {
        let added: super::Partitions<'_> = &[(TOPIC, &[partition])];
        let right = Claim::Right;
        match self {
            Self::Claims => {
                producer.describe(&format!("{state}: it"));
                for claim in Claim::WRONG {
                    claims(producer, state, claim, partition);
                }
            }
            Self::Add(version) => {
                producer.add(&format!("{state}: a partition"), version, right, added);
                producer.describe(&format!("{state}: a partition"));
                producer.add(&format!("{state}: another"), version, right, &[(TOPIC, &[OTHER])]);
            }
            Self::Verify(version) => {
                let step = format!("{state}: partitions verified");
                verify(producer, &step, version, right, &[(TOPIC, &[partition, OTHER])]);
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
                    producer.produce(&step, version, right, (TOPIC, &[partition]), sequence);
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

fn claims(producer: &mut Producer<'_>, state: &str, claim: Claim, partition: i32) {
    let added: super::Partitions<'_> = &[(TOPIC, &[partition])];
    let step = &format!("{state}: {claim:?}");
    let time_ms = producer.script.time_ms;
    let id = producer.id.clone();
    for version in 0..=5 {
        producer.add(step, version, claim, added);
    }
    for version in ADD_MANY..=5 {
        verify(producer, step, version, claim, added);
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
            writing(side, &identity(side, &id, claim), time_ms, (TOPIC, &[partition]), 3)
        });
    }
    for version in 0..=5 {
        producer
            .script
            .ask(step, version, |side| committing(&identity(side, &id, claim), GROUP, OFFSETS));
    }
    producer.describe(step);
}
