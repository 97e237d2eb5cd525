//! Joining, staying and leaving.

use super::*;
use crate::wire::records::ConsumerGroupPartitionMetadataValue;

fn invalid(message: &str) -> Reply {
    refusal(ErrorCode::InvalidRequest, message)
}

#[test]
fn what_a_request_lacks_is_said() {
    type Spoil = fn(&mut ConsumerGroupHeartbeatRequest);
    let cases: [(&str, i16, Spoil); 14] = [
        ("MemberId can't be empty.", 1, |it| it.member_id.clear()),
        ("MemberId can't be empty.", 0, |it| {
            it.member_id.clear();
            it.member_epoch = 1;
        }),
        ("MemberId can't be empty.", 0, |it| {
            it.member_id = " \t".into();
            it.member_epoch = -1;
        }),
        ("GroupId can't be empty.", 1, |it| it.group_id.clear()),
        ("GroupId can't be empty.", 1, |it| it.group_id = "  ".into()),
        ("InstanceId can't be empty.", 1, |it| it.instance_id = Some(String::new())),
        ("RackId can't be empty.", 1, |it| it.rack_id = Some(" ".into())),
        ("RebalanceTimeoutMs must be provided in first request.", 1, |it| {
            it.rebalance_timeout_ms = -1;
        }),
        ("TopicPartitions must be empty when (re-)joining.", 1, |it| it.topic_partitions = None),
        ("TopicPartitions must be empty when (re-)joining.", 1, |it| {
            it.topic_partitions = Some(owned(&[("orders", &[0])]));
        }),
        (
            "Either SubscribedTopicNames or SubscribedTopicRegex must be non-null when \
             (re-)joining.",
            1,
            |it| it.subscribed_topic_names = None,
        ),
        ("InstanceId can't be null.", 1, |it| it.member_epoch = -2),
        ("MemberEpoch is invalid.", 1, |it| it.member_epoch = -3),
        ("MemberEpoch is invalid.", 0, |it| it.member_epoch = i32::MIN),
    ];
    for (message, version, spoil) in cases {
        let mut bench = bench();
        let mut request = joins_with("a", &["orders"]);
        spoil(&mut request);
        let step = bench.call(Command::ConsumerHeartbeat(caller(version), request));
        assert_eq!(step, answered(invalid(message)));
    }
}

#[test]
fn only_assignors_that_are_configured_can_be_asked_for() {
    let mut bench = bench();
    let server_assignor = Some("sticky".to_owned());
    let request = ConsumerGroupHeartbeatRequest { server_assignor, ..joins_with("a", &["orders"]) };
    let message = "ServerAssignor sticky is not supported. Supported assignors: uniform, range.";
    assert_eq!(bench.heartbeat(request), refusal(ErrorCode::UnsupportedAssignor, message));
}

#[test]
fn the_first_member_makes_the_group_and_gets_everything() {
    let mut bench = bench();
    let step = bench.call(ask(joins_with("a", &["orders"])));
    let hash = bench.consumer().metadata_hash;
    assert_ne!(hash, 0);
    let all = [(0, 2), (1, 2), (2, 2), (3, 2)];
    let expected = answered(told("a", 2, Some(&[("orders", &[0, 1, 2, 3])])))
        .writes(member_metadata("a", &["orders"]))
        .writes(epoch_record(2, hash))
        .writes(target_record("a", &[("orders", &[0, 1, 2, 3])]))
        .writes(target_epoch(2, NOW_MS))
        .writes(current("a", (2, 0), 0, &all, &[]));
    assert_eq!(step, expected);
}

#[test]
fn version_0_gives_out_member_ids() {
    let mut bench = bench();
    let command = Command::ConsumerHeartbeat(caller(0), joins_with("", &["orders"]));
    let Some(Reply::ConsumerHeartbeat(answer)) = bench.call(command).answer else { panic!() };
    assert_eq!(answer.member_id.as_deref().map(str::len), Some(22));
    assert_eq!(bench.consumer().members.keys().next(), answer.member_id.as_ref());
}

#[test]
fn a_group_must_be_there_unless_its_first_member_joins() {
    let mut bench = bench();
    let not_found = |message| refusal(ErrorCode::GroupIdNotFound, message);
    let answer = bench.heartbeat(says("a", 1));
    assert_eq!(answer, not_found("Consumer group g not found."));
    assert_eq!(bench.heartbeat(says("a", -1)), not_found("Group g not found."));
    bench.append(other_group(11, GROUP, true), false, None);
    for epoch in [0, 1, -1] {
        let request =
            ConsumerGroupHeartbeatRequest { member_epoch: epoch, ..joins_with("a", &["orders"]) };
        assert_eq!(bench.heartbeat(request), not_found("Group g is not a consumer group."));
    }
}

#[test]
fn a_member_that_says_all_is_told_all() {
    let mut bench = one_member();
    assert_eq!(bench.call(ask(says("a", 2))), answered(told("a", 2, None)));
    let request = ConsumerGroupHeartbeatRequest {
        member_epoch: 2,
        topic_partitions: Some(owned(&[("orders", &[0, 1, 2, 3])])),
        ..joins_with("a", &["orders"])
    };
    let all = told("a", 2, Some(&[("orders", &[0, 1, 2, 3])]));
    assert_eq!(bench.call(ask(request)), answered(all.clone()));
    // So is one that begins anew.
    assert_eq!(bench.call(ask(joins_with("a", &["orders"]))), answered(all));
}

#[test]
fn members_of_other_epochs_are_fenced() {
    let mut bench = one_member();
    let fenced = |differs: &str, epoch: i32, known: i32| {
        let message = format!(
            "The consumer group member has a {differs} member epoch ({epoch}) than the one known \
             by the group coordinator ({known}). The member must abandon all its partitions and \
             rejoin."
        );
        refusal(ErrorCode::FencedMemberEpoch, &message)
    };
    assert_eq!(bench.heartbeat(says("a", 3)), fenced("greater", 3, 2));
    assert_eq!(bench.heartbeat(says("a", 1)), fenced("smaller", 1, 2));
    let mut bench = settled();
    // It may have missed the answer that raised its epoch, if it has nothing beyond.
    let with = |partitions: &[i32]| ConsumerGroupHeartbeatRequest {
        topic_partitions: Some(owned(&[("orders", partitions)])),
        ..says("a", 2)
    };
    assert_eq!(bench.heartbeat(with(&[0])), told("a", 3, None));
    assert_eq!(bench.heartbeat(with(&[0, 2])), fenced("smaller", 2, 3));
    assert_eq!(bench.heartbeat(says("a", 2)), fenced("smaller", 2, 3));
    let unknown = refusal(ErrorCode::UnknownMemberId, "Member c is not a member of group g.");
    assert_eq!(bench.heartbeat(says("c", 2)), unknown);
    assert_eq!(bench.heartbeat(says("c", -1)), unknown);
}

#[test]
fn a_full_group_takes_nobody_in() {
    let mut settings = settings();
    settings.consumer.max_size = 1;
    let mut bench = bench_with(settings);
    bench.heartbeat(joins_with("a", &["orders"]));
    let full = "The consumer group has reached its maximum capacity of 1 members.";
    let full = refusal(ErrorCode::GroupMaxSizeReached, full);
    assert_eq!(bench.heartbeat(joins_with("b", &["orders"])), full);
    assert_eq!(bench.heartbeat(says("a", 2)), told("a", 2, None));
    assert_eq!(bench.heartbeat(says("b", 2)), full);
}

#[test]
fn whoever_leaves_is_gone_at_once() {
    let mut bench = settled();
    let step = bench.call(ask(says("b", -1)));
    let hash = bench.consumer().metadata_hash;
    let [one, two, three] = gone_records("b");
    let expected = answered(gone("b", -1)).writes(one).writes(two).writes(three);
    assert_eq!(step, expected.writes(epoch_record(4, hash)));
    assert_eq!(bench.consumer().state().name(), "Assigning");
    bench.wait_ms(INTERVAL_MS);
    assert_eq!(bench.heartbeat(says("a", 3)), told("a", 4, Some(&[("orders", &[0, 1, 2, 3])])));
    bench.heartbeat(says("a", -1));
    assert_eq!(bench.consumer().state().name(), "Empty");
    assert_eq!(bench.consumer().metadata_hash, 0, "nothing is read");
}

#[test]
fn a_record_of_the_old_topics_is_removed() {
    let mut bench = one_member();
    let topics = Record::Consumer(
        GROUP.into(),
        ConsumerRecord::Topics(Some(ConsumerGroupPartitionMetadataValue::default())),
    );
    bench = bench.found(&topics);
    let request = ConsumerGroupHeartbeatRequest {
        subscribed_topic_names: Some(vec!["payments".into()]),
        ..says("a", 2)
    };
    let removed = consumer_record(ConsumerRecord::Topics(None));
    assert!(bench.call(ask(request)).records.contains(&removed));
}

#[test]
fn a_batch_that_the_log_does_not_take_changes_nothing() {
    let mut bench = Bench::limited(300);
    bench.image = topics();
    let step = bench.call(ask(joins_with("a", &["orders"])));
    let refused = heartbeat_refused(ErrorCode::UnknownServerError, None);
    assert_eq!(step, answered(Reply::ConsumerHeartbeat(refused)));
    assert!(bench.machine.groups.is_empty());
}

#[test]
fn the_interval_and_the_timeouts_of_a_group_can_be_its_own() {
    let mut bench = bench();
    let mut image = MetadataImage::clone(&topics());
    let own = [("consumer.heartbeat.interval.ms", "6000"), ("consumer.session.timeout.ms", "9")];
    let own = own.map(|(key, value)| (key.to_owned(), value.to_owned())).into();
    image.configs.insert((32, GROUP.to_owned()), own);
    bench.image = Arc::new(image);
    let Reply::ConsumerHeartbeat(answer) = bench.heartbeat(joins_with("a", &["orders"])) else {
        panic!()
    };
    assert_eq!(answer.heartbeat_interval_ms, 6_000);
    // 9 is less than the broker allows.
    assert_eq!(bench.machine.next_deadline(), Some(NOW_MS + CONSUMER_SESSION_MS));
}

#[test]
fn groups_are_listed_and_described() {
    let mut bench = two_members();
    let Some(Reply::List(groups)) = bench.call(Command::List).answer else { panic!() };
    let listed = &groups[0];
    assert_eq!(listed.protocol_type, "consumer");
    assert_eq!((listed.group_state.as_str(), &*listed.group_type), ("Reconciling", "consumer"));
    bench.heartbeat(says("a", 2));
    let describe = Command::ConsumerDescribe(GROUP.into());
    let Some(Reply::ConsumerDescribe(group)) = bench.call(describe).answer else { panic!() };
    assert_eq!((group.group_epoch, group.assignment_epoch), (3, 3));
    assert_eq!(group.assignor_name, "uniform");
    let a = &group.members[0];
    assert_eq!((a.member_epoch, a.member_type), (2, 1));
    assert_eq!(
        a.assignment.topic_partitions[0].partitions,
        [0, 1, 2, 3],
        "with what it gives back"
    );
    assert_eq!(a.target_assignment.topic_partitions[0].partitions, [0, 1]);
    assert_eq!(a.target_assignment.topic_partitions[0].topic_name, "orders");
    let classic = bench.call(Command::Describe(vec![GROUP.into()])).answer;
    let Some(Reply::Describe(groups)) = classic else { panic!() };
    assert_eq!(groups[0].error_message.as_deref(), Some("Group g is not a classic group."));
    let describe = Command::ConsumerDescribe("h".into());
    let Some(Reply::ConsumerDescribe(group)) = bench.call(describe).answer else { panic!() };
    assert_eq!(group.error_message.as_deref(), Some("Group h not found."));
}
