use super::*;
use crate::coordinator::group::classic::State;
use crate::wire::messages::heartbeat::HeartbeatRequest;
use crate::wire::messages::join_group::{
    JoinGroupRequest, JoinGroupResponse, JoinGroupResponseMember,
};
use crate::wire::messages::sync_group::SyncGroupRequest;
use crate::wire::records::MemberMetadata;

const NEXT: i32 = GENERATION + 1;

fn members() -> Vec<MemberMetadata> {
    vec![static_record("i", "a", "one"), static_record("j", "b", "two")]
}

/// The group is `Stable` with the static members `a` of instance `i`, who leads, and `b` of `j`.
fn static_group() -> Bench {
    Bench::new().found(&group_record(GENERATION, 0, members())).loaded()
}

fn told(member_id: &str, instance: &str) -> JoinGroupResponseMember {
    JoinGroupResponseMember {
        member_id: member_id.into(),
        group_instance_id: Some(instance.into()),
        metadata: subscribed(&["orders"]),
    }
}

/// The instance comes back without an id.
fn returns(instance: &str, version: i16) -> Command {
    joins("newer-client", version, static_join(instance, ""))
}

#[test]
fn a_static_member_needs_no_second_request() {
    let mut bench = empty();
    let parked = bench.park(returns("i", 9));
    let id = bench.id("i");
    let step = bench.pass_to(DELAY_MS);
    let answer = JoinGroupResponse { members: vec![told(&id, "i")], ..leads(NEXT, &id, &[]) };
    assert_eq!(step, silent().tells(parked, Reply::Join(answer)).due(DELAY_MS + SESSION_MS));
    assert_eq!(bench.group().members[&id].client_id, "newer-client");
}

#[test]
fn a_follower_that_returns_takes_its_place_over() {
    for version in [5, 8, 9] {
        let mut bench = static_group();
        bench.pass_to(4_000);
        let step = bench.call(returns("j", version));
        let id = bench.id("j");
        let expected = answered(Reply::Join(joined(GENERATION, "a", &id)));
        let members = vec![static_record("i", "a", "one"), static_record("j", &id, "two")];
        assert_eq!(step, expected.writes(group_record(GENERATION, 0, members)).due(SESSION_MS));
        assert_eq!(bench.group().members[&id].session_ends_ms, NOW_MS + 4_000 + SESSION_MS);
        // It asks for what it had.
        assert_eq!(bench.call(syncs(&id, GENERATION)), answered(synced("two")).due(SESSION_MS));
    }
}

#[test]
fn a_leader_that_returns_does_not_assign_anew() {
    for version in [5, 8, 9] {
        let mut bench = static_group();
        let step = bench.call(returns("i", version));
        let id = bench.id("i");
        let answer = if version == 9 {
            JoinGroupResponse {
                skip_assignment: true,
                members: vec![told("b", "j"), told(&id, "i")],
                ..joined(GENERATION, &id, &id)
            }
        } else {
            // It could not be told to skip, so it is not told that it leads.
            joined(GENERATION, "a", &id)
        };
        let members = vec![static_record("j", "b", "two"), static_record("i", &id, "one")];
        let value = group_value(GENERATION, 0, members);
        let value = GroupMetadataValue { leader: Some(id.clone()), ..value };
        let record = Record::Group(GROUP.into(), Some(value));
        assert_eq!(step, answered(Reply::Join(answer)).writes(record).due(SESSION_MS));
    }
}

#[test]
fn the_member_whose_place_was_taken_is_fenced() {
    let mut bench = static_group();
    bench.call(returns("j", 9));
    let instance = || Some("j".to_owned());
    let due_ms = bench.due_ms();
    let beats_as = |group_instance_id| {
        let request = heartbeat_request("b", GENERATION);
        Command::Heartbeat(HeartbeatRequest { group_instance_id, ..request })
    };
    let syncs_as = |group_instance_id| {
        Command::Sync(SyncGroupRequest { group_instance_id, ..sync_request("b", GENERATION) })
    };
    let (unknown, fenced_by) = (ErrorCode::UnknownMemberId, ErrorCode::FencedInstanceId);
    for (command, reply) in [
        (beats_as(instance()), beat(fenced_by)),
        (beats_as(None), beat(unknown)),
        (syncs_as(instance()), sync_refused(fenced_by)),
        (syncs_as(None), sync_refused(unknown)),
        (joins("client", 9, static_join("j", "b")), join_refused(fenced_by, "b")),
        (joins("client", 9, join_request("b")), join_refused(unknown, "b")),
        (joins("client", 9, static_join("unknown", "a")), join_refused(unknown, "a")),
        (leaves(&[identity("b", Some("j"))]), left(&[("b", Some("j"), fenced_by)])),
    ] {
        assert_eq!(bench.call(command), Step { due_ms, ..answered(reply) });
    }
}

#[test]
fn a_static_member_that_knows_its_id_joins_as_any_other() {
    let mut bench = static_group();
    let step = bench.call(joins("client", 9, static_join("j", "b")));
    assert_eq!(step, answered(Reply::Join(joined(GENERATION, "a", "b"))).due(SESSION_MS));
    bench.park(joins("client", 9, static_join("i", "a")));
    assert_eq!(bench.group().state, State::PreparingRebalance);
}

#[test]
fn other_metadata_is_written_and_other_protocols_mean_a_rebalance() {
    let mut bench = static_group();
    let request = |protocols| JoinGroupRequest { protocols, ..static_join("j", "") };
    let payments = subscribed(&["payments"]);
    let step = bench.call(joins("client", 9, request(vec![protocol("range", payments.clone())])));
    let id = bench.id("j");
    let returned = MemberMetadata { subscription: payments, ..static_record("j", &id, "two") };
    let record = group_record(GENERATION, 0, vec![static_record("i", "a", "one"), returned]);
    let answer = Reply::Join(joined(GENERATION, "a", &id));
    assert_eq!(step, answered(answer).writes(record).due(SESSION_MS));
    assert!(bench.group().is_subscribed_to("payments") && bench.group().is_subscribed_to("orders"));

    // Two votes of one instance would select another protocol.
    let alone = group_record(GENERATION, 0, vec![static_record("j", "b", "two")]);
    let mut bench = Bench::new().found(&alone).loaded();
    let both = vec![protocol("sticky", subscribed(&[])), protocol("range", subscribed(&[]))];
    let step = bench.call(joins("client", 9, request(both)));
    let id = bench.id("j");
    let member = JoinGroupResponseMember { metadata: subscribed(&[]), ..told(&id, "j") };
    let answer = JoinGroupResponse {
        protocol_name: Some("sticky".into()),
        members: vec![member],
        ..joined(NEXT, &id, &id)
    };
    assert_eq!(step, answered(Reply::Join(answer)).due(SESSION_MS));
    assert_eq!(bench.group().state, State::CompletingRebalance);
}

#[test]
fn an_assignment_for_the_old_id_is_not_awaited() {
    let mut bench = static_group();
    let a = bench.park(joins("client", 9, static_join("i", "a")));
    bench.call(joins("client", 9, static_join("j", "b")));
    assert!(!bench.waiting.contains(&a));
    let sync = bench.park(Command::Sync(sync_request("b", NEXT)));
    let step = bench.call(returns("j", 9));
    let fenced = sync_refused(ErrorCode::FencedInstanceId);
    assert_eq!(step, silent().tells(sync, fenced).due(SESSION_MS));
    assert_eq!(bench.group().state, State::PreparingRebalance);
    let id = bench.id("j");
    assert_eq!(bench.group().members[&id].joining, Some(bench.last()));
}

#[test]
fn while_members_join_the_one_that_returns_joins_too() {
    let mut bench = static_group();
    let client = bench.park(join_old("client"));
    let b = bench.park(joins("client", 9, static_join("j", "b")));
    let step = bench.call(returns("j", 9));
    let second = bench.last();
    assert_eq!(
        step,
        silent().tells(b, join_refused(ErrorCode::FencedInstanceId, "b")).due(SESSION_MS)
    );
    let (id, client_id) = (bench.id("j"), bench.id("client"));
    // The leader returns as well: all have joined.
    let step = bench.call(returns("i", 9));
    let leader = bench.id("i");
    let follower = |id: &str| Reply::Join(joined(NEXT, &leader, id));
    let new = JoinGroupResponseMember { group_instance_id: None, ..told(&client_id, "") };
    let answer = JoinGroupResponse {
        members: vec![new, told(&leader, "i"), told(&id, "j")],
        ..joined(NEXT, &leader, &leader)
    };
    let expected = answered(Reply::Join(answer))
        .tells(client, follower(&client_id))
        .tells(second, follower(&id));
    assert_eq!(step, expected.due(SESSION_MS));
}

#[test]
fn a_member_that_returned_is_not_a_new_one() {
    let mut bench = static_group();
    let patient = JoinGroupRequest { session_timeout_ms: 500_000, ..static_join("i", "a") };
    bench.park(joins("client", 9, patient));
    let other = JoinGroupRequest { rebalance_timeout_ms: 400_000, ..static_join("k", "") };
    let first = bench.park(joins("client", 9, other.clone()));
    let step = bench.call(joins("client", 9, other));
    assert_eq!(step.told.len(), 1);
    assert!(!bench.waiting.contains(&first));
    // It is parked, so it is alive; only `b` goes, and that completes the generation.
    let step = bench.pass_to(SESSION_MS);
    assert_eq!(step.told.len(), 2, "{step:#?}");
    assert_eq!(bench.group().state, State::CompletingRebalance);
    assert_eq!(bench.group().static_members.keys().collect::<Vec<_>>(), ["i", "k"]);
}

#[test]
fn an_instance_that_has_left_comes_as_a_new_member() {
    let mut bench = static_group();
    bench.call(leaves(&[identity("", Some("j"))]));
    bench.park(returns("j", 9));
    let group = bench.group();
    let id = &group.static_members["j"];
    assert!(group.members[id].is_new);
    assert_eq!(group.members.len(), 2);
}

#[test]
fn a_full_group_does_not_take_an_instance_back() {
    let settings = GroupConfig { max_size: 2, ..settings() };
    let mut bench = Bench::with(settings).found(&group_record(GENERATION, 0, members())).loaded();
    let refused = join_refused(ErrorCode::GroupMaxSizeReached, "");
    assert_eq!(bench.call(returns("j", 9)), answered(refused).due(SESSION_MS));
}
