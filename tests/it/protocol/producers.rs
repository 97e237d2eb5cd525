//! Producer ids, sequences and duplicates.

use std::collections::BTreeSet;

use ottla::wire::messages::init_producer_id::{InitProducerIdRequest, InitProducerIdResponse};
use ottla::wire::messages::produce::PartitionProduceResponse;

use super::client::{Target, Topic, soon};
use super::errors::{
    COORDINATOR_LOAD_IN_PROGRESS as LOADING, INVALID_PRODUCER_EPOCH, OUT_OF_ORDER_SEQUENCE_NUMBER,
};
use super::find_coordinator::{TRANSACTION, find};
use super::produce::{answer, batch_of, produce};

checks![
    every_version_gives_a_new_producer_id,
    what_is_given_without_a_transactional_id_is_ignored,
    a_transactional_id_needs_its_coordinator,
    a_duplicate_has_its_old_offset_and_its_time,
    the_window_of_duplicates_is_five_batches,
    a_gap_in_the_sequence_is_refused,
    an_unknown_producer_may_start_anywhere,
    a_new_epoch_begins_at_0,
    an_old_epoch_is_refused,
    sequences_wrap_around,
];

fn init(
    target: &Target,
    change: impl FnOnce(&mut InitProducerIdRequest),
    version: i16,
) -> InitProducerIdResponse {
    let mut request = InitProducerIdRequest {
        transactional_id: None,
        transaction_timeout_ms: 60_000,
        ..Default::default()
    };
    change(&mut request);
    // Kafka's first ids come from its controller.
    soon("a producer id", || {
        Some(target.call(&request, version)).filter(|given| given.error_code != LOADING)
    })
}

/// An idempotent producer's view of one partition.
struct Producer<'a> {
    target: &'a Target,
    topic: Topic,
    id: i64,
}

impl<'a> Producer<'a> {
    fn new(target: &'a Target) -> Self {
        let given = init(target, |_| {}, 5);
        assert_eq!(given.error_code, 0, "{given:?}");
        Self { target, topic: target.topic(1), id: given.producer_id }
    }

    /// Sends so many records with the first one's sequence.
    fn send(&self, epoch: i16, sequence: i32, records: usize) -> PartitionProduceResponse {
        self.send_at(epoch, sequence, records, 1_000)
    }

    fn send_at(
        &self,
        epoch: i16,
        sequence: i32,
        records: usize,
        timestamp_ms: i64,
    ) -> PartitionProduceResponse {
        let mut batch = batch_of(records);
        batch.producer_id = self.id;
        batch.producer_epoch = epoch;
        batch.base_sequence = sequence;
        batch.timestamp_ms = timestamp_ms;
        answer(&mut self.target.client(), &produce(&self.topic, &batch.encode()), 9)
    }

    fn accepted(&self, epoch: i16, sequence: i32, records: usize) -> i64 {
        let answered = self.send(epoch, sequence, records);
        assert_eq!(answered.error_code, 0, "{answered:?}");
        answered.base_offset
    }

    fn refused(&self, epoch: i16, sequence: i32) -> i16 {
        let answered = self.send(epoch, sequence, 1);
        // Refused inside the log.
        assert_eq!((answered.base_offset, answered.log_start_offset), (-1, 0), "{answered:?}");
        answered.error_code
    }

    fn end_offset(&self) -> i64 {
        self.target.end_offset(&self.topic, 0).offset
    }
}

fn every_version_gives_a_new_producer_id(target: &Target) {
    let mut ids = BTreeSet::new();
    for version in (0..=5).cycle().take(12) {
        let given = init(target, |_| {}, version);
        assert_eq!((given.error_code, given.producer_epoch), (0, 0), "version {version}");
        assert!(given.producer_id >= 0 && ids.insert(given.producer_id), "version {version}");
    }
}

fn what_is_given_without_a_transactional_id_is_ignored(target: &Target) {
    let first = init(target, |_| {}, 5).producer_id;
    for version in 0..=5 {
        for timeout_ms in [0, -1, i32::MAX] {
            let given =
                init(target, |request| request.transaction_timeout_ms = timeout_ms, version);
            assert_eq!(given.error_code, 0, "{timeout_ms} ms in version {version}");
        }
    }
    for version in 3..=5 {
        let again = |request: &mut InitProducerIdRequest| {
            (request.producer_id, request.producer_epoch) = (first, 5);
        };
        let given = init(target, again, version);
        assert_eq!((given.error_code, given.producer_epoch), (0, 0), "version {version}");
        assert_ne!(given.producer_id, first, "version {version}");
    }
}

fn a_transactional_id_needs_its_coordinator(target: &Target) {
    let id = target.name();
    let init =
        |version| init(target, |request| request.transactional_id = Some(id.clone()), version);
    soon("the coordinator", || (find(target, &id, TRANSACTION, 6).error_code == 0).then_some(()));
    for version in 0..=5 {
        let given =
            soon("a producer id", || Some(init(version)).filter(|given| given.error_code == 0));
        assert!(given.producer_id >= 0, "version {version}");
        assert_eq!(given.producer_epoch, version, "every producer fences the one before");
    }
}

fn a_duplicate_has_its_old_offset_and_its_time(target: &Target) {
    let producer = Producer::new(target);
    let first = producer.send_at(0, 0, 3, 5_000);
    assert_eq!((first.error_code, first.base_offset, first.log_append_time_ms), (0, 0, -1));
    assert_eq!(producer.accepted(0, 3, 1), 3);
    let again = producer.send_at(0, 0, 3, 5_000);
    assert_eq!((again.error_code, again.base_offset), (0, 0), "{again:?}");
    assert_eq!((again.log_append_time_ms, again.log_start_offset), (5_000, 0), "{again:?}");
    assert_eq!(producer.end_offset(), 4);
}

fn the_window_of_duplicates_is_five_batches(target: &Target) {
    let producer = Producer::new(target);
    for sequence in 0..6 {
        assert_eq!(producer.accepted(0, sequence, 1), i64::from(sequence));
    }
    for sequence in 1..6 {
        assert_eq!(producer.accepted(0, sequence, 1), i64::from(sequence), "a duplicate");
    }
    assert_eq!(producer.refused(0, 0), OUT_OF_ORDER_SEQUENCE_NUMBER);
    assert_eq!(producer.end_offset(), 6);
}

fn a_gap_in_the_sequence_is_refused(target: &Target) {
    let producer = Producer::new(target);
    producer.accepted(0, 0, 2);
    assert_eq!(producer.refused(0, 3), OUT_OF_ORDER_SEQUENCE_NUMBER);
    // Part of a batch is no duplicate of it.
    assert_eq!(producer.refused(0, 1), OUT_OF_ORDER_SEQUENCE_NUMBER);
    assert_eq!(producer.accepted(0, 2, 1), 2);
}

fn an_unknown_producer_may_start_anywhere(target: &Target) {
    let producer = Producer::new(target);
    assert_eq!(producer.accepted(0, 17, 1), 0);
    assert_eq!(producer.accepted(0, 18, 1), 1);
    assert_eq!(producer.refused(0, 20), OUT_OF_ORDER_SEQUENCE_NUMBER);
    // Also at an epoch above 0.
    let producer = Producer::new(target);
    assert_eq!(producer.accepted(3, 5, 1), 0);
}

fn a_new_epoch_begins_at_0(target: &Target) {
    let producer = Producer::new(target);
    producer.accepted(0, 0, 1);
    assert_eq!(producer.refused(1, 1), OUT_OF_ORDER_SEQUENCE_NUMBER);
    assert_eq!(producer.accepted(1, 0, 1), 1);
}

fn an_old_epoch_is_refused(target: &Target) {
    let producer = Producer::new(target);
    producer.accepted(1, 0, 1);
    assert_eq!(producer.refused(0, 1), INVALID_PRODUCER_EPOCH);
    assert_eq!(producer.accepted(1, 1, 1), 1);
}

fn sequences_wrap_around(target: &Target) {
    let producer = Producer::new(target);
    assert_eq!(producer.accepted(0, i32::MAX - 1, 2), 0);
    assert_eq!(producer.accepted(0, 0, 1), 2);
    // A batch that spans the end.
    let producer = Producer::new(target);
    assert_eq!(producer.accepted(0, i32::MAX, 3), 0);
    assert_eq!(producer.accepted(0, 2, 1), 3);
}
