//! Rounds of broker kills under three groups: a classic one, a consumer group, and one whose members migrate. Each round
//! waits until a group is in the round's state, which the broker says itself, and kills it then, abruptly or not.
//!
//! The first answers of the new broker must be those of the last one's or later ones: the group is of the same kind,
//! neither epochs nor generations nor committed offsets have gone back, and no member is lost that was in the log. Then
//! every group settles with those members under their ids, and records flow. What the members read is the checker's.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::{self, Display};
use std::thread;
use std::time::Duration;

use fastrand::Rng;

use super::asked::{Asking, Kind, Member, Offsets, Seen};
use crate::broker::{Broker, against_kafka};
use crate::checker::{Run, closing_line};
use crate::needs::{self, report, seed, setting};
use crate::reference;
use crate::wait::until;

/// Longer than the longest session: who left as the broker died may be missed by its end only.
const TIMEOUT: Duration = Duration::from_mins(2);
/// Records of a group in a second.
const RATE: u64 = 1_000;
/// Records that must be acked and committed after a kill.
const PROGRESS: u64 = RATE / 4;
/// The member that comes and goes. An even number: of mixed clients it is librdkafka's, which starts at once.
const GUEST: usize = 4;

/// What the killed broker's group is in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Moment {
    StableClassic,
    /// `PreparingRebalance` or `CompletingRebalance`.
    ClassicRebalance,
    StableConsumer,
    /// `Assigning` or `Reconciling`.
    Reconciliation,
    /// From the one kind of group to the other.
    Migration,
}

const MOMENTS: [Moment; 5] = [
    Moment::StableClassic,
    Moment::ClassicRebalance,
    Moment::StableConsumer,
    Moment::Reconciliation,
    Moment::Migration,
];

impl Display for Moment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::StableClassic => "stable classic",
            Self::ClassicRebalance => "classic rebalance",
            Self::StableConsumer => "stable consumer",
            Self::Reconciliation => "reconciliation",
            Self::Migration => "migration",
        })
    }
}

impl Moment {
    /// The group that it is a moment of.
    fn group(self) -> usize {
        match self {
            Self::StableClassic | Self::ClassicRebalance => 0,
            Self::StableConsumer | Self::Reconciliation => 1,
            Self::Migration => 2,
        }
    }

    fn is_stable(self) -> bool {
        matches!(self, Self::StableClassic | Self::StableConsumer)
    }

    /// Whether a group that its guest has just joined (or left) is in it. A `short` one is hard to meet.
    fn is_now(self, seen: &Seen, guest_joins: bool, short: bool) -> bool {
        let is_in = |states: &[&str]| states.contains(&seen.state.as_str());
        match self {
            Self::StableClassic | Self::StableConsumer => is_in(&["Stable"]),
            Self::ClassicRebalance if short => is_in(&["CompletingRebalance"]),
            Self::ClassicRebalance => is_in(&["PreparingRebalance", "CompletingRebalance"]),
            Self::Reconciliation if short => is_in(&["Assigning"]),
            Self::Reconciliation => is_in(&["Assigning", "Reconciling"]),
            Self::Migration if guest_joins => seen.is_mixed() && !is_in(&["Stable"]),
            Self::Migration => seen.is_classic() && !is_in(&["Stable"]),
        }
    }
}

/// A group under load.
struct Group {
    name: &'static str,
    run: Run,
    /// How its guest is kept in it.
    guest_protocol: &'static str,
    members: usize,
    guest_is_in: bool,
    /// Ids of those who stay, as of the last time that the group was settled without its guest.
    residents: BTreeSet<String>,
    /// As it was when it was last asked, or in its last stable state.
    known: Known,
}

/// Behind what a group may not go back.
struct Known {
    kind: Kind,
    /// A group's epoch goes on as a generation when it changes its kind, and the other way round.
    epoch: i32,
    /// Those that are in the log.
    members: BTreeMap<String, Member>,
    offsets: Offsets,
}

impl Known {
    fn nothing() -> Self {
        let (members, offsets) = (BTreeMap::new(), Offsets::new());
        Self { kind: Kind::Classic, epoch: 0, members, offsets }
    }

    /// What was seen between two stable states is in the log where the coordinator assigns. The members of a classic
    /// group are as of its last generation; who has left since may come back.
    fn take(&mut self, seen: &Seen) {
        match seen.kind {
            Kind::Classic => self.members.retain(|id, _| seen.members.contains_key(id)),
            Kind::Consumer(epoch, _) => {
                self.epoch = self.epoch.max(epoch);
                self.members.clone_from(&seen.members);
            }
        }
        self.kind = seen.kind;
    }
}

impl Group {
    fn start(broker: &Broker, name: &'static str, seed: u64, arguments: &[&str]) -> Self {
        let rate = RATE.to_string();
        let flow = ["--until-stdin-closes", "--name", name, "--rate", &rate];
        let session_ms = session_ms().to_string();
        let run = [&flow[..], &["--session-ms", &session_ms], arguments].concat();
        Self {
            name,
            run: Run::start(broker, seed, &run),
            guest_protocol: if name == "classic" { "classic" } else { "consumer" },
            members: 3,
            guest_is_in: false,
            residents: BTreeSet::new(),
            known: Known::nothing(),
        }
    }

    /// The guest joins, or leaves.
    fn disturb(&mut self) {
        self.guest_is_in = !self.guest_is_in;
        self.run.order(&match self.guest_is_in {
            true => format!("start {GUEST} {}", self.guest_protocol),
            false => format!("leave {GUEST}"),
        });
    }

    fn is_settled(&self, seen: &Seen) -> bool {
        let is_classic = self.guest_protocol == "classic" || self.name == "migrating";
        let is_classic = is_classic && !(self.guest_is_in && self.guest_protocol == "consumer");
        seen.state == "Stable"
            && seen.is_classic() == is_classic
            && seen.members.len() == self.members + usize::from(self.guest_is_in)
    }

    /// Waits until all members are in the group, and have gone on in it if they were there before.
    fn settle(&mut self, asking: &mut Asking) {
        let seen = until(&format!("{} settles", self.name), TIMEOUT, || {
            asking.describe(self.name).filter(|seen| self.is_settled(seen))
        });
        let ids: BTreeSet<&String> = seen.members.keys().collect();
        let lost = self.known.members.keys().find(|id| !ids.contains(id));
        assert_eq!(lost, None, "{}: a member has another id: {seen:?}", self.name);
        self.known.take(&seen);
        self.known.members.clone_from(&seen.members);
        if !self.guest_is_in {
            self.residents = seen.members.keys().cloned().collect();
        }
        if let Kind::Classic = seen.kind {
            let member_id = seen.members.keys().next().unwrap();
            self.known.epoch = asking.generation(self.name, member_id, self.known.epoch);
        }
    }

    /// As [`Self::settle`] where no broker has died: whoever is gone has left.
    fn settle_alive(&mut self, asking: &mut Asking) {
        self.known.members.clear();
        self.settle(asking);
    }

    /// Brings the group into the moment, as far as the last answer says.
    fn reach(&mut self, moment: Moment, asking: &mut Asking, random: &mut Rng) {
        if moment.is_stable() {
            // At some time between two commits, or in one.
            let mark = self.run.progress();
            self.run.goes_on(mark, random.u64(0..PROGRESS));
        }
        for attempt in 0.. {
            assert!(attempt < 20, "{}: {moment} is never seen", self.name);
            if !moment.is_stable() {
                self.disturb();
            }
            let short = random.bool() && attempt < 2;
            if self.is_met(moment, short, asking) {
                return;
            }
            self.settle_alive(asking);
        }
    }

    /// Asks without a pause until the moment comes, or is missed.
    fn is_met(&mut self, moment: Moment, short: bool, asking: &mut Asking) -> bool {
        until(&format!("{}: {moment}", self.name), TIMEOUT, || {
            for _ in 0..50 {
                // The state last: it is to be fresh when the broker dies.
                let offsets = asking.committed(self.name)?;
                let seen = asking.describe(self.name)?;
                if moment.is_now(&seen, self.guest_is_in, short) {
                    self.known.offsets = offsets;
                    self.known.take(&seen);
                    if !self.guest_is_in {
                        // A guest that was told to go may be seen for some time yet, in the second rebalance of a cooperative
                        // group for one, and is gone when its group is asked the next time.
                        self.known.members.retain(|id, _| self.residents.contains(id));
                    }
                    return Some(true);
                }
                if self.is_settled(&seen) {
                    return Some(false);
                }
            }
            None
        })
    }

    /// The first answers of the new broker.
    fn assert_nothing_is_lost(&mut self, asking: &mut Asking) {
        let name = self.name;
        let offsets = until("committed offsets", TIMEOUT, || asking.committed(name));
        for (partition, before) in &self.known.offsets {
            let after = offsets.get(partition).copied().unwrap_or(-1);
            assert!(after >= *before, "{name}: partition {partition}: {after} after {before}");
        }
        let seen = until(name, TIMEOUT, || asking.describe(name));
        for (id, before) in &self.known.members {
            let after = seen.members.get(id);
            let after = after.unwrap_or_else(|| panic!("{name}: {id} is lost: {seen:?}"));
            let goes_back = seen.kind != Kind::Classic && after.epoch < before.epoch;
            assert!(!goes_back, "{name}: {id}: {after:?} after {before:?}");
        }
        match (self.known.kind, seen.kind) {
            (Kind::Classic, Kind::Classic) => {
                let member_id = self.known.members.keys().next().unwrap();
                self.known.epoch = asking.generation(name, member_id, self.known.epoch);
            }
            (Kind::Consumer(epoch, target), Kind::Consumer(epoch_after, target_after)) => {
                let goes_back = epoch_after < epoch || target_after < target;
                assert!(!goes_back, "{name}: {:?} after {:?}", seen.kind, self.known.kind);
            }
            (before, after) => panic!("{name}: {after:?} after {before:?}"),
        }
    }
}

/// Longer than the reference is down, or librdkafka gives its member id up by itself.
fn session_ms() -> u32 {
    if against_kafka() { 45_000 } else { 6_000 }
}

fn settings() -> [String; 4] {
    [
        "group.consumer.min.session.timeout.ms=1000".into(),
        format!("group.consumer.session.timeout.ms={}", session_ms()),
        "group.consumer.min.heartbeat.interval.ms=100".into(),
        "group.consumer.heartbeat.interval.ms=300".into(),
    ]
}

/// Ends the broker, abruptly or not, and starts it again.
fn restart(broker: &mut Broker, abruptly: bool, random: &mut Rng) {
    if abruptly {
        broker.kill9();
        // A second kill while the first one's recovery may be running; starting the reference waits until it serves.
        if random.bool() && !against_kafka() {
            broker.spawn();
            thread::sleep(Duration::from_millis(random.u64(0..60)));
            broker.kill9();
        }
    } else {
        broker.terminate();
    }
    broker.restart();
}

/// Of a round.
fn moment(number: u64) -> Moment {
    MOMENTS[number as usize % MOMENTS.len()]
}

/// One kill. False when a checker gave up.
fn round(broker: &mut Broker, groups: &mut [Group; 3], seed: u64, number: u64) -> bool {
    let moment = moment(number);
    let mut random = Rng::with_seed(seed.wrapping_add(number));
    let mut asking = Asking::new(broker.port());
    for group in &mut *groups {
        group.known.offsets = until("committed offsets", TIMEOUT, || asking.committed(group.name));
    }
    groups[moment.group()].reach(moment, &mut asking, &mut random);
    // An odd number of moments: each comes to both.
    restart(broker, number.is_multiple_of(2), &mut random);
    let mut asking = Asking::new(broker.port());
    for group in &mut *groups {
        group.assert_nothing_is_lost(&mut asking);
    }
    for group in &mut *groups {
        group.settle(&mut asking);
    }
    if against_kafka() && moment == Moment::Migration && !groups[2].guest_is_in {
        // Kafka forgets that a group that became a classic one is to rebalance: somebody has to come and go.
        for _ in 0..2 {
            groups[2].disturb();
            groups[2].settle_alive(&mut asking);
        }
    }
    groups.iter_mut().all(|group| {
        let mark = group.run.progress();
        group.run.goes_on(mark, PROGRESS)
    })
}

#[test]
fn members_survive_broker_kills() {
    let java = needs::java("members_survive_broker_kills");
    let _one_at_a_time = (java || against_kafka()).then(reference::exclusive);
    let rounds = setting("OTTLA_GROUP_KILL_ROUNDS", 5_u64);
    let seed = seed();
    report(&format!("group kill: {rounds} rounds, the first seed is {seed}"));
    let settings = settings();
    let mut broker = Broker::start_with(&settings.each_ref().map(String::as_str));
    let client = if java { "mixed" } else { "rdkafka" };
    let assignor = *Rng::with_seed(seed).choice(&["range", "cooperative-sticky"]).unwrap();
    let start = |name, client, protocol, assignor| {
        let kind = ["--client", client, "--protocol", protocol, "--assignor", assignor];
        Group::start(&broker, name, seed, &kind)
    };
    let mut groups = [
        start("classic", client, "classic", assignor),
        start("consumer", client, "consumer", assignor),
        // After its first generation a sticky group of librdkafka's cannot migrate: it writes user data into assignments,
        // by which brokers tell custom assignors.
        start("migrating", "rdkafka", "classic", "range"),
    ];
    let mut asking = Asking::new(broker.port());
    for group in &mut groups {
        group.settle(&mut asking);
    }
    let mut counts = BTreeMap::<Moment, u64>::new();
    for number in 0..rounds {
        if !round(&mut broker, &mut groups, seed, number) {
            break;
        }
        *counts.entry(moment(number)).or_default() += 1;
    }
    let ends = groups.map(|group| group.run.finish());
    let outputs: Vec<&str> = ends.iter().map(|(_, output)| output.as_str()).collect();
    for output in &outputs {
        report(closing_line(output));
    }
    let counted: Vec<String> = counts.iter().map(|(moment, of)| format!("{moment} {of}")).collect();
    report(&format!("group kill: {}", counted.join(", ")));
    // The verdict is on all rounds together: when it is bad, which one was is not known.
    let clean = ends.iter().all(|(status, _)| status.success());
    let passed = if clean { counts.values().sum() } else { 0 };
    report(&format!("group kill: {passed} passed, {} failed", rounds - passed));
    let output = outputs.join("\n");
    assert!(clean && passed == rounds, "{output}\nreplay: OTTLA_SEED={seed}");
}
