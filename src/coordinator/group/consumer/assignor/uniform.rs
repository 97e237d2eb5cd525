//! Even loads, and as few moves as they allow (Kafka: `UniformAssignor`).
//!
//! If all members want the same topics, each has a quota: it keeps what fits, and the rest fills
//! the quotas up in order (`UniformHomogeneousAssignmentBuilder`).
//!
//! Otherwise free partitions go to the topic's least loaded subscriber, and then, topic by topic,
//! partitions move from its most to its least loaded subscriber while their loads differ by more
//! than one (`UniformHeterogeneousAssignmentBuilder`). Which one of equals gives may be another one
//! than in the reference.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap};

use uuid::Uuid;

use super::draft::Draft;
use super::{AssignError, Assignment, MemberSpec, partitions_of};

/// Rounds over all topics in which partitions may move. One is enough where subscribers of a topic
/// want the same; where subscriptions overlap in long chains each round about halves the
/// differences, and time counts for more than the last of them (the reference's limit).
const ROUNDS_MAX: usize = 16;

/// Subscribers by topic, in the order of their numbers.
type Subscribers = BTreeMap<Uuid, Vec<usize>>;

/// The target of every member.
pub(super) fn assign(
    members: &BTreeMap<String, MemberSpec>,
    partitions: &BTreeMap<Uuid, i32>,
) -> Result<BTreeMap<String, Assignment>, AssignError> {
    let Some(first) = members.values().next() else {
        return Ok(BTreeMap::new());
    };
    let draft = if members.values().all(|member| member.subscribed == first.subscribed) {
        let topics = counted(&first.subscribed, partitions)?;
        same_topics(members, &topics)
    } else {
        let mut subscribers = Subscribers::new();
        for (number, member) in members.values().enumerate() {
            for topic in &member.subscribed {
                subscribers.entry(*topic).or_default().push(number);
            }
        }
        let topics = counted(subscribers.keys(), partitions)?;
        different_topics(members, &topics, &subscribers)
    };
    Ok(draft.into_targets(members))
}

fn counted<'a>(
    topics: impl IntoIterator<Item = &'a Uuid>,
    partitions: &BTreeMap<Uuid, i32>,
) -> Result<BTreeMap<Uuid, i32>, AssignError> {
    topics.into_iter().map(|topic| Ok((*topic, partitions_of(*topic, partitions)?))).collect()
}

fn same_topics(members: &BTreeMap<String, MemberSpec>, topics: &BTreeMap<Uuid, i32>) -> Draft {
    let mut draft = Draft::keeping(members, topics);
    let total = topics.values().map(|count| usize::try_from(*count).unwrap_or(0)).sum();
    let quotas = quotas(&draft.loads, total);
    let free = std::mem::take(&mut draft.free);
    let free =
        free.into_iter().flat_map(|(topic, free)| free.into_iter().map(move |it| (topic, it)));
    let mut free: Vec<(Uuid, i32)> = free.collect();
    for (member, quota) in quotas.iter().enumerate() {
        free.extend(draft.cut(member, *quota));
    }
    let mut free = free.into_iter();
    for (member, quota) in quotas.iter().enumerate() {
        let missing = quota - draft.loads[member];
        for (topic, partition) in free.by_ref().take(missing) {
            draft.give(member, topic, partition);
        }
    }
    draft
}

/// What each member may have of `total` partitions: the same, and one more where they do not
/// divide. That goes to those who have more already, so that nothing moves without need, and then,
/// as the reference has it, to the last.
fn quotas(loads: &[usize], total: usize) -> Vec<usize> {
    let least = total / loads.len();
    let larger = total % loads.len();
    let mut quotas = vec![least; loads.len()];
    let (rich, poor): (Vec<usize>, Vec<usize>) =
        (0..loads.len()).partition(|member| loads[*member] > least);
    for member in rich.into_iter().chain(poor.into_iter().rev()).take(larger) {
        quotas[member] += 1;
    }
    quotas
}

fn different_topics(
    members: &BTreeMap<String, MemberSpec>,
    topics: &BTreeMap<Uuid, i32>,
    subscribers: &Subscribers,
) -> Draft {
    let mut draft = Draft::keeping(members, topics);
    let in_order = in_order(topics, subscribers);
    for (topic, subscribers) in &in_order {
        fill(&mut draft, *topic, subscribers);
    }
    for _ in 0..ROUNDS_MAX {
        let moves =
            in_order.iter().map(|(topic, subscribers)| level(&mut draft, *topic, subscribers));
        if moves.sum::<usize>() == 0 {
            break;
        }
    }
    draft
}

/// Topics with most partitions for each subscriber first, because the others can even out what
/// these cannot; then those with few subscribers.
fn in_order<'a>(
    topics: &BTreeMap<Uuid, i32>,
    subscribers: &'a Subscribers,
) -> Vec<(Uuid, &'a [usize])> {
    let share = |topic: &Uuid, count: usize| {
        f64::from(topics.get(topic).copied().unwrap_or(0)) / count as f64
    };
    let mut in_order: Vec<_> =
        subscribers.iter().map(|(topic, members)| (*topic, members.as_slice())).collect();
    // The sort is stable: ties stay in the order of the ids.
    in_order.sort_by(|(one, ones), (other, others)| {
        let by_share = share(other, others.len()).total_cmp(&share(one, ones.len()));
        by_share.then(ones.len().cmp(&others.len()))
    });
    in_order
}

/// A topic's subscribers by load, the least first; of equals the first.
fn by_load(draft: &Draft, subscribers: &[usize]) -> Vec<usize> {
    let mut by_load = subscribers.to_vec();
    by_load.sort_by_key(|member| (draft.loads[*member], *member));
    by_load
}

/// Gives the topic's free partitions to its least loaded subscribers.
fn fill(draft: &mut Draft, topic: Uuid, subscribers: &[usize]) {
    let Some(free) = draft.free.remove(&topic) else {
        return;
    };
    let by_load = by_load(draft, subscribers);
    let places = by_load.iter().enumerate();
    let mut least: BinaryHeap<_> =
        places.map(|(place, member)| Reverse((draft.loads[*member], place))).collect();
    for partition in free {
        if let Some(mut top) = least.peek_mut() {
            draft.give(by_load[top.0.1], topic, partition);
            top.0.0 += 1;
        }
    }
}

/// Moves partitions of the topic from its most to its least loaded subscribers while that makes
/// their loads more even. Returns how many.
fn level(draft: &mut Draft, topic: Uuid, subscribers: &[usize]) -> usize {
    let by_load = by_load(draft, subscribers);
    let ends = by_load.first().zip(by_load.last());
    if ends.is_none_or(|(least, most)| draft.loads[*most] - draft.loads[*least] <= 1) {
        return 0;
    }
    let places = || by_load.iter().enumerate().map(|(place, member)| (draft.loads[*member], place));
    let mut least: BinaryHeap<_> = places().map(Reverse).collect();
    let mut most: BinaryHeap<_> =
        places().filter(|(_, place)| draft.has(by_load[*place], topic)).collect();
    let mut moves = 0;
    // Who gives stays above all who receive, and the other way round, as long as there are two
    // between them: so a load is kept up to date only in the heap it was taken from.
    while let (Some(mut giver), Some(mut receiver)) = (most.peek_mut(), least.peek_mut()) {
        if giver.0 <= receiver.0.0 + 1 {
            break;
        }
        let from = by_load[giver.1];
        let Some(partition) = draft.take_last(from, topic) else {
            std::collections::binary_heap::PeekMut::pop(giver);
            continue;
        };
        draft.give(by_load[receiver.0.1], topic, partition);
        giver.0 -= 1;
        receiver.0.0 += 1;
        moves += 1;
    }
    moves
}
