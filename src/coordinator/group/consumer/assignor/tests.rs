//! Golden targets of the reference, and what must hold of any.

use super::*;

/// What the reference's assignors answered (Apache Kafka 4.3.0), members and topics in the order
/// of their ids. A case is a line of the assignor and the topics with their partitions; a line for
/// each member with its instance id, its topics and what it owns; a line for each target.
const GOLDEN: &str =
    include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/golden/assignors.txt"));
const SEEDS: u64 = 400;

type Members = BTreeMap<String, MemberSpec>;
type Targets = BTreeMap<String, Assignment>;

fn topic(number: &str) -> Uuid {
    Uuid::from_u128(number.parse().unwrap())
}

/// `2:0,1;3:5`
fn assignment(text: &str) -> Assignment {
    let topics = text.split(';').filter_map(|topic| topic.split_once(':'));
    let set = |text: &str| text.split(',').map(|partition| partition.parse().unwrap()).collect();
    topics.map(|(id, partitions)| (topic(id), set(partitions))).collect()
}

fn some(text: &str) -> Option<&str> {
    Some(text).filter(|text| *text != "-")
}

fn check_golden(case: &str) {
    let mut lines = case.lines();
    let mut header = lines.next().unwrap().split(' ');
    let assignor = Assignor::from_name(header.next().unwrap()).unwrap();
    let counts = header.map(|topic| topic.split_once(':').unwrap());
    let counts = counts.map(|(id, count)| (topic(id), count.parse().unwrap())).collect();
    let mut members = Members::new();
    let mut expected = Targets::new();
    for line in lines {
        let fields: Vec<&str> = line.split(' ').collect();
        let [id, second, third, rest @ ..] = &*fields else { panic!("{line}") };
        if *id == "=" {
            expected.insert((*second).to_owned(), assignment(third));
            continue;
        }
        let subscribed = some(third).into_iter().flat_map(|topics| topics.split(','));
        let spec = MemberSpec {
            instance_id: some(second).map(str::to_owned),
            subscribed: subscribed.map(topic).collect(),
            owned: assignment(rest[0]),
        };
        members.insert((*id).to_owned(), spec);
    }
    assert_eq!(assignor.assign(&members, &counts).unwrap(), expected, "{case}");
}

#[test]
fn targets_are_those_of_the_reference() {
    for case in GOLDEN.trim_end().split("\n\n") {
        check_golden(case);
    }
}

struct World {
    random: fastrand::Rng,
    counts: BTreeMap<Uuid, i32>,
    members: Members,
    /// All members want the same topics.
    alike: bool,
    born: usize,
}

impl World {
    fn new(seed: u64) -> Self {
        let mut random = fastrand::Rng::with_seed(seed);
        let topics = random.u128(1..8);
        let counts = (0..topics).map(|id| (Uuid::from_u128(id), random.i32(0..20))).collect();
        let alike = random.bool();
        let mut world = Self { random, counts, members: Members::new(), alike, born: 0 };
        for _ in 0..world.random.usize(1..12) {
            world.join();
        }
        world
    }

    fn subscription(&mut self) -> BTreeSet<Uuid> {
        self.counts.keys().copied().filter(|_| self.random.u8(0..3) > 0).collect()
    }

    fn join(&mut self) {
        self.born += 1;
        let id = format!("{:04}-{}", self.random.u16(..), self.born);
        let same = self.members.values().next().filter(|_| self.alike);
        let same = same.map(|member| member.subscribed.clone());
        let subscribed = same.unwrap_or_else(|| self.subscription());
        self.members.insert(id, MemberSpec { subscribed, ..MemberSpec::default() });
    }

    fn leave(&mut self) {
        let ids: Vec<String> = self.members.keys().cloned().collect();
        if ids.len() > 1 {
            self.members.remove(self.random.choice(ids).as_ref().unwrap());
        }
    }

    fn change(&mut self) {
        match self.random.u8(0..4) {
            0 => self.join(),
            1 => self.leave(),
            2 => self.counts.values_mut().for_each(|count| *count += self.random.i32(0..3)),
            _ => {
                let subscription = self.subscription();
                for id in self.members.keys().cloned().collect::<Vec<_>>() {
                    let own = self.subscription();
                    let subscribed = if self.alike { subscription.clone() } else { own };
                    self.members.get_mut(&id).unwrap().subscribed = subscribed;
                }
            }
        }
    }

    fn settle(&mut self, targets: Targets) {
        for (id, target) in targets {
            self.members.get_mut(&id).unwrap().owned = target;
        }
    }
}

fn load(target: &Assignment) -> usize {
    target.values().map(BTreeSet::len).sum()
}

/// Every partition that somebody wants has exactly one owner, who wants it.
fn assert_complete(world: &World, targets: &Targets) {
    assert!(targets.keys().eq(world.members.keys()));
    let mut owners: BTreeMap<(Uuid, i32), usize> = BTreeMap::new();
    for (id, target) in targets {
        for (topic, partitions) in target {
            assert!(world.members[id].subscribed.contains(topic) && !partitions.is_empty());
            for partition in partitions {
                *owners.entry((*topic, *partition)).or_default() += 1;
            }
        }
    }
    assert!(owners.values().all(|count| *count == 1));
    let wanted: BTreeSet<Uuid> =
        world.members.values().flat_map(|member| member.subscribed.iter().copied()).collect();
    let pairs = wanted.iter().flat_map(|topic| (0..world.counts[topic]).map(|it| (*topic, it)));
    assert!(owners.keys().copied().eq(pairs));
}

/// No partition could move to a subscriber with two or more less than its owner.
fn assert_even(world: &World, targets: &Targets) {
    for (topic, (from, to)) in targets.iter().flat_map(|from| {
        let pairs = targets.iter().map(move |to| (from, to));
        pairs.flat_map(|(from, to)| from.1.keys().map(move |topic| (topic, (from, to))))
    }) {
        if world.members[to.0].subscribed.contains(topic) {
            assert!(load(from.1) <= load(to.1) + 1, "{topic} from {} to {}", from.0, to.0);
        }
    }
}

/// Most that could stay where it is while loads are even.
fn assert_least_moves(world: &World, targets: &Targets) {
    let stayed = |id: &String| {
        let pairs = |set: &Assignment| {
            set.iter().flat_map(|(id, set)| set.iter().map(|it| (*id, *it))).collect()
        };
        let before: BTreeSet<(Uuid, i32)> = pairs(&world.members[id].owned);
        let after: BTreeSet<(Uuid, i32)> = pairs(&targets[id]);
        before.intersection(&after).count()
    };
    let could_stay: Vec<usize> = world
        .members
        .values()
        .map(|member| {
            let owned = member.owned.iter().filter(|(topic, _)| member.subscribed.contains(topic));
            owned.map(|(_, partitions)| partitions.len()).sum()
        })
        .collect();
    let total: usize = targets.values().map(load).sum();
    let (least, larger) = (total / targets.len(), total % targets.len());
    let rich = could_stay.iter().filter(|load| **load > least).count();
    let most = could_stay.iter().map(|load| least.min(*load)).sum::<usize>() + rich.min(larger);
    assert_eq!(targets.keys().map(stayed).sum::<usize>(), most);
}

#[test]
fn uniform_is_complete_even_and_moves_the_least() {
    for seed in 0..SEEDS {
        let mut world = World::new(seed);
        for _ in 0..8 {
            let targets = Assignor::Uniform.assign(&world.members, &world.counts).unwrap();
            assert_complete(&world, &targets);
            assert_even(&world, &targets);
            if world.alike {
                let loads = targets.values().map(load);
                assert!(loads.clone().max().unwrap() - loads.min().unwrap() <= 1);
                assert_least_moves(&world, &targets);
            }
            world.settle(targets.clone());
            let again = Assignor::Uniform.assign(&world.members, &world.counts).unwrap();
            assert_eq!(again, targets, "seed {seed}: nothing changed and something moved");
            world.change();
        }
    }
}

#[test]
fn range_is_complete_and_gives_runs() {
    for seed in 0..SEEDS {
        let mut world = World::new(seed);
        for _ in 0..4 {
            let targets = Assignor::Range.assign(&world.members, &world.counts).unwrap();
            assert_complete(&world, &targets);
            for partitions in targets.values().flat_map(BTreeMap::values) {
                let (first, last) = (partitions.first().unwrap(), partitions.last().unwrap());
                assert_eq!(usize::try_from(last - first + 1).unwrap(), partitions.len());
            }
            world.change();
        }
    }
}

#[test]
fn static_members_get_their_ranges_back_under_new_ids() {
    let counts = BTreeMap::from([(topic("2"), 5), (topic("3"), 5)]);
    let spec = |instance: &str| MemberSpec {
        instance_id: Some(instance.into()),
        subscribed: counts.keys().copied().collect(),
        ..MemberSpec::default()
    };
    let before = Members::from([("a".into(), spec("i1")), ("b".into(), spec("i2"))]);
    let after = Members::from([("y".into(), spec("i2")), ("z".into(), spec("i1"))]);
    let before = Assignor::Range.assign(&before, &counts).unwrap();
    let after = Assignor::Range.assign(&after, &counts).unwrap();
    assert_eq!((&before["a"], &before["b"]), (&after["z"], &after["y"]));
    assert_eq!(before["a"][&topic("2")], before["a"][&topic("3")]);
}

#[test]
fn a_topic_that_does_not_exist_is_an_error() {
    let spec = MemberSpec { subscribed: [topic("2")].into(), ..MemberSpec::default() };
    for members in [
        Members::from([("a".into(), spec.clone())]),
        Members::from([("a".into(), spec), ("b".into(), MemberSpec::default())]),
    ] {
        for assignor in [Assignor::Uniform, Assignor::Range] {
            let error = assignor.assign(&members, &BTreeMap::new()).unwrap_err();
            assert_eq!(error, AssignError { topic: topic("2") });
        }
    }
}

#[test]
fn nobody_and_nothing_are_no_errors() {
    for assignor in [Assignor::Uniform, Assignor::Range] {
        assert_eq!(assignor.assign(&Members::new(), &BTreeMap::new()), Ok(Targets::new()));
        let members = Members::from([("a".into(), MemberSpec::default())]);
        let targets = assignor.assign(&members, &BTreeMap::new()).unwrap();
        assert_eq!(targets, Targets::from([("a".into(), Assignment::new())]));
    }
}

#[test]
fn a_wrong_target_is_put_right() {
    let counts = BTreeMap::from([(topic("2"), 3)]);
    let spec = |owned: &str| MemberSpec {
        subscribed: [topic("2")].into(),
        owned: assignment(owned),
        ..MemberSpec::default()
    };
    let other = MemberSpec::default();
    let mut members = Members::from([("a".into(), spec("2:0,7")), ("b".into(), spec("2:0,1,-1"))]);
    for _ in 0..2 {
        let targets = Assignor::Uniform.assign(&members, &counts).unwrap();
        assert_eq!(targets.values().map(load).sum::<usize>(), 3);
        assert!(targets["a"][&topic("2")].contains(&0));
        members.insert("c".into(), other.clone());
    }
}

#[test]
fn a_large_group_is_assigned() {
    const MEMBERS: usize = 1_000;
    let counts: BTreeMap<Uuid, i32> = (0..100).map(|id| (Uuid::from_u128(id), 100)).collect();
    for alike in [true, false] {
        let spec = |number: usize| MemberSpec {
            subscribed: counts.keys().copied().skip(if alike { 0 } else { number % 50 }).collect(),
            ..MemberSpec::default()
        };
        let members = (0..MEMBERS).map(|number| (format!("{number:04}"), spec(number))).collect();
        for assignor in [Assignor::Uniform, Assignor::Range] {
            let targets = assignor.assign(&members, &counts).unwrap();
            assert_eq!(targets.values().map(load).sum::<usize>(), 10_000);
        }
    }
}

#[test]
fn names_are_those_of_the_reference() {
    assert_eq!(Assignor::from_name("uniform"), Some(Assignor::Uniform));
    assert_eq!(Assignor::from_name("range"), Some(Assignor::Range));
    assert_eq!(Assignor::from_name("Range"), None);
}
