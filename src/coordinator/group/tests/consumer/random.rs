//! Random heartbeats, joins, commits and times, of members that mostly do what they are told, with
//! crashes between any two steps. What must hold after each step stands in [`invariants`] and in
//! [`Run::check_offsets`].

use std::collections::BTreeMap;

use super::classic_members::metadata;
use super::*;
use crate::wire::messages::heartbeat::HeartbeatRequest;
use crate::wire::messages::join_group::JoinGroupRequest;

const SEEDS: u64 = 200;
const STEPS: usize = 150;
const MEMBERS: [&str; 5] = ["a", "b", "c", "d", "e"];

struct Run {
    random: fastrand::Rng,
    bench: Bench,
    version: i64,
    epoch: i32,
    /// What each member was told last: its epoch and partitions.
    known: BTreeMap<String, (i32, Vec<TopicPartitions>)>,
    /// One step in so many is followed by a crash.
    steps_to_crash: u8,
    /// Commits so far: each has a higher offset than all before.
    commits: i64,
    /// By partition of `orders`, the last commit that was answered, and when it was.
    committed: BTreeMap<i32, (i64, i64)>,
}

impl Run {
    fn new(seed: u64) -> Self {
        let mut random = fastrand::Rng::with_seed(seed);
        let mut settings = settings();
        settings.consumer.assignment_interval_ms = *random.choice(&[0, 1_000]).unwrap();
        settings.consumer.max_size = *random.choice(&[3, 100]).unwrap();
        settings.offsets_retention_ms = *random.choice(&[5_000, 50_000]).unwrap();
        settings.offsets_retention_check_interval_ms = *random.choice(&[700, i64::MAX]).unwrap();
        let steps_to_crash = *random.choice(&[2, 10, 100]).unwrap();
        Self {
            random,
            bench: bench_with(settings),
            version: 10,
            epoch: 0,
            known: BTreeMap::new(),
            steps_to_crash,
            commits: 0,
            committed: BTreeMap::new(),
        }
    }

    fn chance(&mut self, of: u8) -> bool {
        self.random.u8(0..of) == 0
    }

    fn member(&mut self) -> String {
        (*self.random.choice(MEMBERS).unwrap()).to_owned()
    }

    fn instance(&mut self, id: &str) -> Option<String> {
        // Some members are always static.
        (["d", "e"].contains(&id) && !self.chance(9)).then(|| "i".to_owned())
    }

    fn topics(&mut self) -> Vec<&'static str> {
        let all = [&["orders"][..], &["payments"], &["orders", "payments"], &[]];
        all[self.random.usize(0..all.len())].to_vec()
    }

    fn join(&mut self, id: &str) -> Command {
        let topics = self.topics();
        let instance_id = self.instance(id);
        let mut request = ConsumerGroupHeartbeatRequest { instance_id, ..joins_with(id, &topics) };
        if self.chance(5) {
            let regex = *self.random.choice(&["ord.*", "pay.*", "", "["]).unwrap();
            request.subscribed_topic_regex = Some(regex.to_owned());
        }
        if self.chance(5) {
            request.server_assignor = Some("range".to_owned());
        }
        request.rebalance_timeout_ms = self.random.i32(0..20_000);
        ask(request)
    }

    /// A member that gives back at once, or is slow to.
    fn stay(&mut self, id: &str) -> Command {
        let (epoch, owned) = self.known.get(id).cloned().unwrap_or_default();
        let epoch = if self.chance(20) { self.random.i32(-3..6) } else { epoch };
        let instance_id = self.instance(id);
        let topic_partitions = (!self.chance(3)).then_some(owned);
        let subscribed_topic_names = self.chance(8).then(|| self.topics());
        ask(ConsumerGroupHeartbeatRequest {
            instance_id,
            topic_partitions,
            subscribed_topic_names: subscribed_topic_names
                .map(|topics| topics.into_iter().map(str::to_owned).collect()),
            ..says(id, epoch)
        })
    }

    fn join_classic(&mut self, id: &str) -> Command {
        let owned = match self.known.get(id) {
            Some((_, owned)) => owned.iter().flat_map(|topic| topic.partitions.clone()).collect(),
            None => vec![],
        };
        let topics = self.topics();
        let protocols = vec![protocol("range", metadata(&topics, &owned))];
        let group_instance_id = self.instance(id);
        let id = if self.chance(4) { "" } else { id };
        let request = JoinGroupRequest { group_instance_id, protocols, ..join_request(id) };
        joins("client", *self.random.choice(&[3, 9]).unwrap(), request)
    }

    /// A member commits, or somebody who is none.
    fn commit(&mut self, id: &str, epoch: i32) {
        let (id, epoch) = if self.chance(8) { ("", -1) } else { (id, epoch) };
        self.commits += 1;
        let partition = self.random.i32(0..4);
        let partitions = vec![commit_partition(partition, self.commits)];
        let mut request = commit_request(id, epoch, partitions);
        request.topics[0].topic_id = topic_id("orders");
        let step = self.bench.call(Command::Commit(request, 9));
        let Some(Reply::Commit(answer)) = step.answer else { panic!("{step:?}") };
        if answer.topics[0].partitions[0].error_code == 0 {
            self.committed.insert(partition, (self.commits, self.bench.now_ms));
        }
    }

    /// Time goes by, and what nobody reads may end.
    fn wait(&mut self) {
        let for_ms = *self.random.choice(&[0, 500, 1_500, 10_000, 50_000]).unwrap();
        let was_consumer = matches!(self.group(), Some(AnyGroup::Consumer(_)));
        let step = self.bench.wait_ms(for_ms);
        let stayed = !step.records.iter().any(|record| matches!(record, Record::Group(..)));
        let ended = self.note_removals(&step);
        let Some(AnyGroup::Consumer(group)) = self.group() else { return };
        // Members only go meanwhile.
        let is_read = group.members.values().any(|member| member.subscribed.contains("orders"));
        assert!(ended.is_empty() || !is_read, "{ended:?} ended, which is read: {group:#?}");
        let retention_ms = self.bench.settings.offsets_retention_ms;
        if was_consumer && stayed {
            let early = ended.iter().find(|since_ms| **since_ms + retention_ms > self.bench.now_ms);
            assert_eq!(early, None, "ended before its retention");
        }
    }

    /// Offsets that were removed on purpose: when they had been committed.
    fn note_removals(&mut self, step: &Step) -> Vec<i64> {
        let removed = step.records.iter().filter_map(|record| match record {
            Record::Offset(key, None) => self.committed.remove(&key.partition),
            _ => None,
        });
        removed.map(|(_, since_ms)| since_ms).collect()
    }

    fn group(&self) -> Option<&AnyGroup> {
        self.bench.machine.groups.get(GROUP)
    }

    /// What was answered is there, until it is removed.
    fn check_offsets(&self) {
        let offsets = self.bench.machine.offsets.of(GROUP);
        let found: BTreeMap<_, _> = offsets.map(|(_, number, it)| (number, it.offset)).collect();
        let committed = self.committed.iter();
        let committed: BTreeMap<_, _> = committed.map(|(number, it)| (*number, it.0)).collect();
        assert_eq!(found, committed);
    }

    fn change_topics(&mut self) {
        self.version += 1;
        let mut topics = Vec::new();
        for name in ["orders", "payments", "others"] {
            if !self.chance(4) {
                topics.push((name, self.random.usize(1..6)));
            }
        }
        self.bench.image = Arc::new(MetadataImage::of_topics(self.version, &topics));
    }

    fn step(&mut self) {
        let id = self.member();
        let epoch = self.known.get(&id).map_or(0, |(epoch, _)| *epoch);
        let command = match self.random.u8(0..100) {
            0..20 => self.join(&id),
            20..60 => self.stay(&id),
            60..64 => {
                let leave = if self.chance(2) { -1 } else { -2 };
                let instance_id = self.instance(&id);
                ask(ConsumerGroupHeartbeatRequest { instance_id, ..says(&id, leave) })
            }
            64..72 => self.join_classic(&id),
            72..75 => syncs_as_range(&id, epoch),
            75..78 => {
                let (group_id, member_id) = (GROUP.to_owned(), id.clone());
                let generation_id = epoch;
                Command::Heartbeat(HeartbeatRequest {
                    group_id,
                    generation_id,
                    member_id,
                    group_instance_id: None,
                })
            }
            78..80 => leaves(&[identity(&id, None)]),
            80..84 => return self.commit(&id, epoch),
            84 => Command::Delete(vec![GROUP.into()]),
            85..88 => return self.change_topics(),
            _ => return self.wait(),
        };
        let step = self.bench.call(command);
        self.note_removals(&step);
        if let Some(Reply::ConsumerHeartbeat(answer)) = step.answer {
            self.learn(id, answer);
        }
    }

    fn learn(&mut self, id: String, answer: ConsumerGroupHeartbeatResponse) {
        if answer.error_code != 0 || answer.member_epoch < 0 {
            self.known.remove(&id);
            return;
        }
        let known = self.known.entry(id).or_default();
        known.0 = answer.member_epoch;
        if let Some(assignment) = answer.assignment {
            known.1 = assignment.topic_partitions;
        }
    }

    fn may_crash(&mut self) {
        if self.chance(self.steps_to_crash) {
            match self.random.bool() {
                true => self.bench.restart(),
                false => self.bench.restart_compacted(),
            }
            self.check_epoch();
            self.check_offsets();
        }
    }

    /// The epoch of a group is never lower than it was, unless it is another group.
    fn check_epoch(&mut self) {
        let epoch = match self.group() {
            Some(AnyGroup::Consumer(group)) => group.epoch,
            Some(AnyGroup::Classic(group)) if !group.members.is_empty() => group.generation_id,
            _ => 0,
        };
        assert!(epoch == 0 || epoch >= self.epoch || epoch <= 2, "{epoch} after {}", self.epoch);
        self.epoch = epoch;
    }
}

fn syncs_as_range(id: &str, epoch: i32) -> Command {
    super::classic_members::syncs_as(id, epoch, "range")
}

#[test]
fn a_replay_comes_to_the_live_state_after_every_step() {
    for seed in 0..SEEDS {
        let mut run = Run::new(seed);
        println!("seed {seed}");
        for _ in 0..STEPS {
            run.step();
            run.check_epoch();
            run.check_offsets();
            run.may_crash();
        }
    }
}
