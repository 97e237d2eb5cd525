use proptest::prelude::*;

use super::*;
use crate::config::ConfigMap;
use crate::metadata::features::bootstrap_features;
use crate::metadata::snapshot::Snapshot;
use crate::metadata::{Endpoint, base64};
use crate::wire::records::{
    AccessControlEntryRecord, ClientQuotaRecord, FeatureLevelRecord, PartitionChangeRecord,
    PartitionRecord, TopicRecord, UserScramCredentialRecord,
};

pub(in crate::metadata) const NODE_ID: i32 = 1;
pub(in crate::metadata) const DIRECTORY: Uuid = Uuid::from_u128(77);

fn endpoint(name: &str, port: u16) -> Endpoint {
    Endpoint { name: name.to_owned(), host: "localhost".to_owned(), port }
}

pub(in crate::metadata) fn settings() -> Settings {
    Settings {
        node_id: NODE_ID,
        cluster_id: None,
        num_partitions: 3,
        replication_factor: 1,
        listeners: vec![endpoint("PLAINTEXT", 9092)],
        controller: endpoint("CONTROLLER", 9093),
        rack: None,
        static_voters: false,
        snapshot_bytes: 1 << 20,
        fixed: ConfigMap::new(),
    }
}

pub(in crate::metadata) fn machine(
    settings: Settings,
    clean_shutdown_epoch: Option<i64>,
    run: u128,
) -> MetadataMachine {
    let process = Process {
        settings: Arc::new(settings),
        random: Arc::new(Random::seeded(run as u64)),
        directories: vec![DIRECTORY],
        lacks_directories: false,
        places: Arc::default(),
        incarnation_id: Uuid::from_u128(run),
        clean_shutdown_epoch,
    };
    MetadataMachine::new(process, State::new("cluster".into(), NODE_ID))
}

/// A machine and the log of what it wrote.
pub(in crate::metadata) struct Rig {
    pub(in crate::metadata) machine: MetadataMachine,
    log: Vec<(Entry, Position)>,
    epoch: i32,
    pub(in crate::metadata) effects: Vec<Effect>,
}

impl Rig {
    pub(in crate::metadata) fn new(machine: MetadataMachine) -> Self {
        Self { machine, log: Vec::new(), epoch: 1, effects: Vec::new() }
    }

    /// A broker that serves.
    pub(in crate::metadata) fn started() -> Self {
        Self::started_with(settings())
    }

    fn started_with(settings: Settings) -> Self {
        let mut rig = Self::new(machine(settings, None, 100));
        rig.machine.loaded(0).unwrap();
        rig.start();
        rig
    }

    pub(in crate::metadata) fn start(&mut self) {
        let first = bootstrap_features().map(Into::into).collect();
        for command in [Command::BeginEpoch, Command::Bootstrap(first), Command::Register] {
            self.call(command);
        }
        while self.call(Command::Elect).1 != Reply::Done(0) {}
        self.call(Command::Unfence);
    }

    pub(in crate::metadata) fn write(&mut self, entries: &[Entry]) -> Result<(), ReplayError> {
        for entry in entries {
            let at = Position {
                offset: self.log.len() as i64,
                epoch: self.epoch,
                timestamp_ms: 1_000,
                size_bytes: 100,
                producer_id: None,
            };
            self.machine.apply(entry, at)?;
            self.log.push((entry.clone(), at));
        }
        Ok(())
    }

    pub(in crate::metadata) fn call(&mut self, command: Command) -> (Vec<Entry>, Reply) {
        let next_offset = self.log.len() as i64;
        let now = Moment { now_ms: 1_000, next_offset, epoch: self.epoch };
        let outcome = self.machine.handle(Ticket(5), command, now);
        let entries = outcome.batch.map(|batch| batch.records).unwrap_or_default();
        self.write(&entries).unwrap();
        if !entries.is_empty() {
            self.effects = self.machine.effects();
        }
        let [(ticket, reply)] = <[_; 1]>::try_from(outcome.replies).unwrap();
        assert_eq!(ticket, Ticket(5));
        (entries, reply)
    }

    pub(in crate::metadata) fn create(
        &mut self,
        topics: Vec<NewTopic>,
    ) -> Vec<Result<CreatedTopic, TopicError>> {
        match self.call(Command::CreateTopics { topics, validate_only: false }).1 {
            Reply::Created(created) => created,
            other => panic!("{other:?}"),
        }
    }

    pub(in crate::metadata) fn create_one(
        &mut self,
        topic: NewTopic,
    ) -> Result<CreatedTopic, TopicError> {
        self.create(vec![topic]).remove(0)
    }

    /// The next run on this log, before it has written anything.
    pub(in crate::metadata) fn restarted(&self, clean_shutdown_epoch: Option<i64>) -> Self {
        let run = 100 + self.epoch as u128;
        let mut rig = Self::new(machine(settings(), clean_shutdown_epoch, run));
        for (entry, at) in &self.log {
            let decoded =
                MetadataMachine::decode(MetadataMachine::encode(entry), is_control(entry));
            rig.machine.apply(&decoded.unwrap().unwrap(), *at).unwrap();
        }
        rig.log = self.log.clone();
        rig.epoch = self.epoch + 1;
        assert_eq!(rig.machine.loaded(0).unwrap(), []);
        rig
    }

    /// A replay of the whole log comes to the same state.
    pub(in crate::metadata) fn check_replay(&self) {
        let mut replayed = self.restarted(None).machine.state;
        let mut live = self.machine.state.clone();
        for state in [&mut replayed, &mut live] {
            state.settle(&ConfigMap::new());
            state.take_removed();
        }
        assert_eq!(replayed, live);
    }

    fn partition(&self, topic: &str, number: usize) -> (i32, i32, i32) {
        let partition = self.machine.state.image.topic(topic).unwrap().partitions[number];
        (partition.leader, partition.leader_epoch, partition.partition_epoch)
    }
}

fn is_control(entry: &Entry) -> bool {
    matches!(entry, Entry::Control(_))
}

fn kinds(entries: &[Entry]) -> Vec<&'static str> {
    let kind = |entry: &Entry| match entry {
        Entry::Control(ControlRecord::LeaderChange(_)) => "LeaderChange",
        Entry::Control(ControlRecord::KRaftVersion(_)) => "KRaftVersion",
        Entry::Control(_) => "Voters",
        Entry::Data(record) => record.name(),
    };
    entries.iter().map(kind).collect()
}

pub(in crate::metadata) fn new_topic(
    name: &str,
    num_partitions: i32,
    replication_factor: i16,
) -> NewTopic {
    NewTopic { num_partitions, replication_factor, ..NewTopic::with_defaults(name) }
}

pub(in crate::metadata) fn configured(name: &str, configs: &[(&str, Option<&str>)]) -> NewTopic {
    let configs = configs.iter();
    let owned = |(key, value): &(&str, Option<&str>)| ((*key).to_owned(), value.map(str::to_owned));
    NewTopic { configs: configs.map(owned).collect(), ..NewTopic::with_defaults(name) }
}

#[test]
fn a_first_start_writes_what_the_reference_writes() {
    let mut rig = Rig::new(machine(settings(), None, 100));
    rig.machine.state.voters = Some(registration::single_voter(rig.machine.settings(), DIRECTORY));
    rig.start();
    let expected = [
        "LeaderChange",
        "KRaftVersion",
        "Voters",
        "BeginTransactionRecord",
        "FeatureLevelRecord",
        "FeatureLevelRecord",
        "FeatureLevelRecord",
        "FeatureLevelRecord",
        "FeatureLevelRecord",
        "FeatureLevelRecord",
        "ConfigRecord",
        "EndTransactionRecord",
        "RegisterControllerRecord",
        "RegisterBrokerRecord",
        "BrokerRegistrationChangeRecord",
        "BrokerRegistrationChangeRecord",
    ];
    let entries: Vec<Entry> = rig.log.iter().map(|(entry, _)| entry.clone()).collect();
    assert_eq!(kinds(&entries), expected);
    let image = &rig.machine.state.image;
    assert_eq!(image.broker_epoch, 13, "the offset of the broker's registration");
    assert_eq!((image.controller_epoch, image.finalized_features_epoch), (1, 15));
    let features: Vec<_> =
        image.finalized_features.iter().map(|(name, level)| (name.as_str(), *level)).collect();
    assert_eq!(
        features,
        [
            ("eligible.leader.replicas.version", 1),
            ("group.version", 1),
            ("kraft.version", 1),
            ("metadata.version", 30),
            ("share.version", 1),
            ("streams.version", 1),
            ("transaction.version", 2),
        ]
    );
    assert_eq!(
        image.config_of(crate::config::resource::BROKER, "").unwrap()["min.insync.replicas"],
        "1"
    );
    assert_eq!(rig.effects, [Effect::Publish(image.clone())]);
    rig.check_replay();
}

#[test]
fn later_starts_begin_an_epoch_without_voters_or_features() {
    let mut rig = Rig::started().restarted(Some(10));
    assert_eq!(kinds(&rig.call(Command::BeginEpoch).0), ["LeaderChange"]);
    let first = bootstrap_features().map(Into::into).collect();
    assert_eq!(rig.call(Command::Bootstrap(first)).0, []);
}

#[test]
fn an_epoch_that_the_log_has_already_is_not_begun_again() {
    let mut rig = Rig::started().restarted(None);
    rig.epoch = 1;
    assert_eq!(rig.call(Command::BeginEpoch), (Vec::new(), Reply::EpochTaken(1)));
}

#[test]
fn a_transaction_that_a_crash_left_open_is_aborted() {
    let mut rig = Rig::new(machine(settings(), None, 100));
    rig.call(Command::BeginEpoch);
    let first: Vec<MetadataRecord> = bootstrap_features().map(Into::into).collect();
    let begun = registration::first_transaction(first.clone(), &settings());
    rig.write(&begun[..4]).unwrap();
    assert!(rig.machine.state.image.finalized_features.is_empty(), "held back");
    let mut rig = rig.restarted(None);
    rig.call(Command::BeginEpoch);
    let (records, _) = rig.call(Command::Bootstrap(first));
    assert_eq!(kinds(&records[..2]), ["AbortTransactionRecord", "BeginTransactionRecord"]);
    assert_eq!(rig.machine.state.image.finalized_features.len(), 6);
    rig.check_replay();
}

#[test]
fn a_deleted_topic_is_gone_and_comes_back_with_another_id() {
    let mut rig = Rig::started();
    let first = rig.create_one(new_topic("t", 1, 1)).unwrap();
    let topic = rig.machine.state.image.topic("t").unwrap().clone();
    let unknown = Uuid::from_u128(9);
    let (records, reply) = rig.call(Command::DeleteTopics(vec![unknown, first.topic_id]));
    assert_eq!(records, [RemoveTopicRecord { topic_id: first.topic_id }.into()]);
    assert_eq!(reply, Reply::Changed(vec![Err(TopicError::unknown_topic_id()), Ok(())]));
    let image = rig.machine.state.image.clone();
    assert!(image.topic("t").is_none() && image.topic_by_id(first.topic_id).is_none());
    assert_eq!(rig.effects, [Effect::Publish(image), Effect::Delete(vec![topic])]);
    let second = rig.create_one(new_topic("t", 1, 1)).unwrap();
    assert_ne!(first.topic_id, second.topic_id);
    rig.check_replay();
}

#[test]
fn a_deletion_that_a_crash_interrupted_is_done_at_the_next_start() {
    let mut rig = Rig::started();
    let created = rig.create_one(new_topic("t", 1, 1)).unwrap();
    rig.call(Command::DeleteTopics(vec![created.topic_id]));
    let mut next = rig.restarted(None);
    next.start();
    let deleted = next.effects.iter().find_map(|effect| match effect {
        Effect::Delete(topics) => Some(topics.iter().map(|topic| topic.id).collect::<Vec<_>>()),
        _ => None,
    });
    assert_eq!(deleted, Some(vec![created.topic_id]));
}

#[test]
fn producer_ids_come_in_blocks_that_never_repeat() {
    let mut rig = Rig::started();
    let epoch = rig.machine.state.image.broker_epoch;
    for block in [0, 1_000] {
        let (records, reply) = rig.call(Command::AllocateProducerIds);
        let record = ProducerIdsRecord {
            broker_id: NODE_ID,
            broker_epoch: epoch,
            next_producer_id: block + 1_000,
        };
        assert_eq!((records, reply), (vec![record.into()], Reply::ProducerIds(Ok(block))));
    }
    let mut next = rig.restarted(None);
    assert_eq!(next.call(Command::AllocateProducerIds).1, Reply::ProducerIds(Ok(2_000)));
    next.machine.state.next_producer_id = i64::MAX - 10;
    let (records, reply) = next.call(Command::AllocateProducerIds);
    assert!(records.is_empty() && matches!(reply, Reply::ProducerIds(Err(_))));
}

#[test]
fn leader_epochs_stay_after_a_clean_stop_and_rise_after_an_unclean_one() {
    let mut rig = Rig::started();
    rig.create_one(new_topic("t", 2, 1)).unwrap();
    let epoch = rig.machine.state.image.broker_epoch;
    let mut clean = rig.restarted(Some(epoch));
    clean.start();
    assert_eq!(clean.partition("t", 1), (NODE_ID, 0, 0));
    for marker in [None, Some(epoch - 1)] {
        let mut unclean = rig.restarted(marker);
        unclean.start();
        assert_eq!(unclean.partition("t", 0), (NODE_ID, 1, 1));
        assert_eq!(unclean.partition("t", 1), (NODE_ID, 1, 1));
        unclean.check_replay();
    }
}

#[test]
fn a_partition_without_leader_is_elected() {
    let mut rig = Rig::started();
    let topic_id = rig.create_one(new_topic("t", 1, 1)).unwrap().topic_id;
    let leaderless = PartitionChangeRecord {
        partition_id: 0,
        topic_id,
        isr: Some(Vec::new()),
        leader: -1,
        eligible_leader_replicas: Some(vec![NODE_ID]),
        last_known_elr: Some(vec![NODE_ID]),
        ..PartitionChangeRecord::default()
    };
    rig.write(&[leaderless.clone().into()]).unwrap();
    assert_eq!(rig.partition("t", 0), (-1, 1, 1));
    let mut next = rig.restarted(Some(rig.machine.state.image.broker_epoch));
    next.call(Command::Register);
    let (records, reply) = next.call(Command::Elect);
    let elected = PartitionChangeRecord {
        isr: Some(vec![NODE_ID]),
        leader: NODE_ID,
        eligible_leader_replicas: Some(Vec::new()),
        last_known_elr: Some(Vec::new()),
        ..leaderless
    };
    assert_eq!((records, reply), (vec![elected.into()], Reply::Done(1)));
    assert_eq!(next.call(Command::Elect).1, Reply::Done(0));
    assert_eq!(next.partition("t", 0), (NODE_ID, 2, 2));
}

#[test]
fn a_fenced_broker_has_no_effects_and_the_next_run_opens_every_topic() {
    let mut rig = Rig::started();
    rig.create_one(new_topic("t", 1, 1)).unwrap();
    let (records, _) = rig.call(Command::Fence);
    assert_eq!(kinds(&records), ["BrokerRegistrationChangeRecord"]);
    assert_eq!(rig.effects, []);
    let mut next = rig.restarted(Some(rig.machine.state.image.broker_epoch));
    next.start();
    let topic = next.machine.state.image.topic("t").unwrap().clone();
    assert_eq!(next.effects[0], Effect::Open(vec![topic]));
}

#[test]
fn a_replay_in_the_same_run_serves_at_once() {
    let mut rig = Rig::started();
    rig.create_one(new_topic("t", 1, 1)).unwrap();
    let mut again = machine(settings(), None, 100);
    for (entry, at) in &rig.log {
        again.apply(entry, *at).unwrap();
    }
    let effects = again.loaded(0).unwrap();
    assert!(matches!(effects[..], [Effect::Open(_), Effect::Publish(_)]), "{effects:?}");
    assert!(!again.unclean);
}

#[test]
fn what_cannot_be_served_is_refused_by_name() {
    let refused = |entries: Vec<Entry>| {
        let mut rig = Rig::started();
        rig.write(&entries).unwrap_err().to_string()
    };
    let topic_id = Uuid::from_u128(5);
    let topic = || Entry::from(TopicRecord { name: "t".to_owned(), topic_id });
    let partition = |partition_id, replicas: &[i32]| {
        let replicas = replicas.to_vec();
        Entry::from(PartitionRecord { partition_id, topic_id, replicas, ..Default::default() })
    };
    let feature = |name: &str, feature_level| {
        Entry::from(FeatureLevelRecord { name: name.to_owned(), feature_level })
    };
    assert_eq!(
        refused(vec![topic(), partition(0, &[1, 2, 3])]),
        "topic t partition 0 has replicas [1, 2, 3]: Ottla serves single-node directories"
    );
    let hostile = refused(vec![topic(), partition(i32::MAX, &[1])]);
    assert!(hostile.contains("partition number 2147483647"), "{hostile}");
    let acl = refused(vec![AccessControlEntryRecord::default().into()]);
    assert!(acl.contains("AccessControlEntryRecord") && acl.contains("ACLs"), "{acl}");
    let newer = refused(vec![feature("metadata.version", 31)]);
    assert!(
        newer.contains("metadata.version is at level 31, this broker serves 30 to 30"),
        "{newer}"
    );
    let unknown = refused(vec![feature("cats.version", 1)]);
    assert!(unknown.contains("cats.version"), "{unknown}");
    assert!(refused(vec![partition(0, &[1])]).contains(&base64(topic_id)));
    let raw = KeyValue { key: None, value: Some(vec![1, 99, 0].into()) };
    let error = MetadataMachine::decode(raw, false).unwrap_err().to_string();
    assert!(error.contains("kind 99"), "{error}");
}

#[test]
fn a_topic_that_lacks_a_partition_is_refused() {
    let mut rig = Rig::started();
    let topic_id = Uuid::from_u128(5);
    let partition =
        PartitionRecord { partition_id: 1, topic_id, replicas: vec![1], ..Default::default() };
    rig.write(&[TopicRecord { name: "t".into(), topic_id }.into(), partition.into()]).unwrap();
    assert!(rig.machine.loaded(0).is_err());
}

#[test]
fn a_snapshot_holds_the_whole_state() {
    let mut rig = Rig::started();
    rig.machine.state.voters = Some(registration::single_voter(rig.machine.settings(), DIRECTORY));
    let quota =
        ClientQuotaRecord { key: "producer_byte_rate".into(), value: 5.5, ..Default::default() };
    let user = UserScramCredentialRecord { name: "u".into(), mechanism: 1, ..Default::default() };
    rig.write(&[quota.clone().into(), user.into()]).unwrap();
    rig.create_one(configured("t", &[("segment.bytes", Some("1048576"))])).unwrap();
    rig.create_one(new_topic("u", 40, 1)).unwrap();
    rig.call(Command::AllocateProducerIds);
    let removed = ClientQuotaRecord { remove: true, key: "gone".into(), ..quota };
    rig.write(&[removed.into()]).unwrap();
    rig.machine.state.settle(&ConfigMap::new());

    let (id, snapshot) = rig.machine.state.snapshot();
    assert_eq!((id.offset, id.epoch), (rig.log.len() as i64, 1));
    let file = snapshot.encode(id.epoch, 5_000);
    let decoded = Snapshot::decode(&file).unwrap();
    let mut restored = State::new("cluster".into(), NODE_ID).restore(&decoded, id).unwrap();
    restored.settle(&ConfigMap::new());
    let mut live = rig.machine.state.clone();
    // Only the snapshot says kraft.version here: the test gave the voters without a record.
    let image = Arc::make_mut(&mut live.image);
    image.finalized_features.insert("kraft.version".into(), 1);
    assert_eq!(restored, live);
    for cut in [1, 60, 61, file.len() - 1] {
        assert!(Snapshot::decode(&file[..file.len() - cut]).is_err(), "cut by {cut}");
    }
    let mut flipped = file.clone();
    flipped[100] ^= 1;
    assert!(Snapshot::decode(&flipped).is_err());
}

#[test]
fn a_snapshot_is_due_after_so_many_bytes() {
    let mut rig = Rig::started_with(Settings { snapshot_bytes: 2_500, ..settings() });
    let snapshots = |rig: &Rig| {
        rig.effects.iter().filter(|effect| matches!(effect, Effect::Snapshot(_))).count()
    };
    assert_eq!(snapshots(&rig), 0, "13 records of 100 bytes");
    rig.create_one(new_topic("t", 12, 1)).unwrap();
    assert_eq!(snapshots(&rig), 1);
    rig.create_one(new_topic("u", 1, 1)).unwrap();
    assert_eq!(snapshots(&rig), 0);
}

#[derive(Clone, Debug)]
enum Step {
    Create(u8, i32, bool),
    Delete(u8),
    Ids,
    Restart(bool),
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        4 => (0..6u8, -1..5i32, any::<bool>()).prop_map(|(n, p, c)| Step::Create(n, p, c)),
        2 => (0..6u8).prop_map(Step::Delete),
        1 => Just(Step::Ids),
        1 => any::<bool>().prop_map(Step::Restart),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn a_replay_equals_the_live_state_after_every_step(
        steps in proptest::collection::vec(step(), 1..30),
    ) {
        let mut rig = Rig::started();
        for step in steps {
            match step {
                Step::Create(name, partitions, with_config) => {
                    let value = with_config.then_some("1048576");
                    let topic = configured(&format!("t{name}"), &[("segment.bytes", value)]);
                    let _ = rig.create_one(NewTopic { num_partitions: partitions, ..topic });
                }
                Step::Delete(name) => {
                    let image = rig.machine.state.image.clone();
                    let id = image.topic(&format!("t{name}")).map(|topic| topic.id);
                    rig.call(Command::DeleteTopics(vec![id.unwrap_or(Uuid::nil())]));
                }
                Step::Ids => {
                    rig.call(Command::AllocateProducerIds);
                }
                Step::Restart(clean) => {
                    let epoch = clean.then_some(rig.machine.state.image.broker_epoch);
                    rig = rig.restarted(epoch);
                    rig.start();
                }
            }
            rig.check_replay();
        }
    }
}
