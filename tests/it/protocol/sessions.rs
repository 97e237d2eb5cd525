//! Fetch sessions: incremental answers (KIP-227).

use ottla::wire::messages::fetch::{FetchRequest, FetchResponse, FetchTopic, ForgottenTopic};
use uuid::Uuid;

use super::client::{Client, Target, Topic, creatable, soon};
use super::errors::{
    FETCH_SESSION_ID_NOT_FOUND, FETCH_SESSION_TOPIC_ID_ERROR, INCONSISTENT_TOPIC_ID,
    INVALID_FETCH_SESSION_EPOCH, UNKNOWN_TOPIC_ID, UNKNOWN_TOPIC_OR_PARTITION,
};
use super::fetch::{fetch_topics, of_topic};
use super::produce::{append, batch};

checks![
    an_incremental_answer_has_what_changed,
    unread_data_is_repeated,
    errors_are_repeated,
    partitions_are_added_and_forgotten,
    offsets_move_with_the_session,
    closing_answers_without_a_session,
    a_full_fetch_of_nothing_opens_a_session,
    a_session_that_is_not_there_is_refused,
    a_wrong_epoch_is_refused,
    a_full_fetch_replaces_the_session,
    names_and_ids_do_not_mix,
    a_waiting_session_is_woken,
    a_deleted_topic_is_told_to_its_sessions,
    a_recreated_topic_is_another_one_by_id_only,
];

/// Versions by name and by id.
const VERSIONS: [i16; 4] = [7, 12, 13, 18];

/// A client's end of a session.
struct Session {
    client: Client,
    version: i16,
    id: i32,
    epoch: i32,
}

impl Session {
    /// A full fetch that opens a session, and its answer.
    fn open(target: &Target, topics: Vec<FetchTopic>, version: i16) -> (Self, FetchResponse) {
        let mut session = Self { client: target.client(), version, id: 0, epoch: 0 };
        let response = session.fetch(topics);
        assert_ne!(response.session_id, 0, "{response:?}");
        session.id = response.session_id;
        (session, response)
    }

    fn request(&self, topics: Vec<FetchTopic>) -> FetchRequest {
        FetchRequest { session_id: self.id, session_epoch: self.epoch, ..fetch_topics(topics) }
    }

    /// The next fetch of the session.
    fn fetch(&mut self, topics: Vec<FetchTopic>) -> FetchResponse {
        let request = self.request(topics);
        self.send(&request)
    }

    fn send(&mut self, request: &FetchRequest) -> FetchResponse {
        let response = self.client.call(request, self.version);
        assert_eq!(response.error_code, 0, "{response:?}");
        if self.id != 0 {
            assert_eq!(response.session_id, self.id, "{response:?}");
        }
        self.epoch += 1;
        response
    }

    /// An incremental fetch with nothing new; what it is answered.
    fn poll(&mut self) -> Vec<(i32, i16, usize)> {
        let response = self.fetch(Vec::new());
        answers(&response)
    }
}

/// Partition, error and bytes of each answer.
fn answers(response: &FetchResponse) -> Vec<(i32, i16, usize)> {
    let partitions = response.responses.iter().flat_map(|topic| &topic.partitions);
    let mut answers: Vec<_> = partitions
        .map(|data| {
            let bytes = data.records.as_ref().map_or(0, ottla::wire::Chunk::len);
            (data.partition_index, data.error_code, bytes)
        })
        .collect();
    answers.sort_unstable();
    answers
}

fn an_incremental_answer_has_what_changed(target: &Target) {
    for version in VERSIONS {
        let topic = target.topic(2);
        let (mut session, first) =
            Session::open(target, vec![of_topic(&topic, &[(0, 0), (1, 0)])], version);
        assert_eq!(answers(&first), [(0, 0, 0), (1, 0, 0)], "version {version}");
        assert_eq!(session.poll(), [], "version {version}");
        let bytes = batch(1);
        append(target, &topic, &bytes);
        assert_eq!(session.poll(), [(0, 0, bytes.len())], "version {version}");
        let read = session.fetch(vec![of_topic(&topic, &[(0, 1)])]);
        assert_eq!(answers(&read), [], "version {version}");
        assert_eq!(session.poll(), [], "version {version}");
    }
}

fn unread_data_is_repeated(target: &Target) {
    for version in VERSIONS {
        let topic = target.topic(1);
        let bytes = batch(1);
        append(target, &topic, &bytes);
        let (mut session, first) =
            Session::open(target, vec![of_topic(&topic, &[(0, 0)])], version);
        assert_eq!(answers(&first), [(0, 0, bytes.len())]);
        for _ in 0..3 {
            assert_eq!(session.poll(), [(0, 0, bytes.len())], "version {version}");
        }
    }
}

fn errors_are_repeated(target: &Target) {
    for version in VERSIONS {
        let topic = target.topic(1);
        let unknown = Topic { name: target.name(), id: Uuid::from_u128(0x1234_5678) };
        let topics = vec![of_topic(&topic, &[(0, 0)]), of_topic(&unknown, &[(3, 0)])];
        let error = if version >= 13 { UNKNOWN_TOPIC_ID } else { UNKNOWN_TOPIC_OR_PARTITION };
        let (mut session, first) = Session::open(target, topics, version);
        assert_eq!(answers(&first), [(0, 0, 0), (3, error, 0)], "version {version}");
        for _ in 0..3 {
            assert_eq!(session.poll(), [(3, error, 0)], "version {version}");
        }
    }
}

fn partitions_are_added_and_forgotten(target: &Target) {
    for version in VERSIONS {
        let topic = target.topic(2);
        let (mut session, _) = Session::open(target, vec![of_topic(&topic, &[(0, 0)])], version);
        let added = session.fetch(vec![of_topic(&topic, &[(1, 0)])]);
        assert_eq!(answers(&added), [(1, 0, 0)], "version {version}");
        let mut request = session.request(Vec::new());
        request.forgotten_topics_data = vec![ForgottenTopic {
            topic: topic.name.clone(),
            topic_id: topic.id,
            partitions: vec![0],
        }];
        assert_eq!(answers(&session.send(&request)), [], "version {version}");
        append(target, &topic, &batch(1));
        assert_eq!(session.poll(), [], "a forgotten partition, version {version}");
    }
}

fn offsets_move_with_the_session(target: &Target) {
    for version in VERSIONS {
        let topic = target.topic(1);
        let bytes = batch(1);
        append(target, &topic, &bytes);
        append(target, &topic, &bytes);
        let (mut session, _) = Session::open(target, vec![of_topic(&topic, &[(0, 0)])], version);
        let moved = session.fetch(vec![of_topic(&topic, &[(0, 1)])]);
        assert_eq!(answers(&moved), [(0, 0, bytes.len())], "version {version}");
        assert_eq!(session.poll(), [(0, 0, bytes.len())], "version {version}");
    }
}

fn closing_answers_without_a_session(target: &Target) {
    for version in VERSIONS {
        let topic = target.topic(1);
        let topics = vec![of_topic(&topic, &[(0, 0)])];
        let (mut session, _) = Session::open(target, topics.clone(), version);
        let closing = FetchRequest { session_epoch: -1, ..session.request(topics) };
        let response = session.client.call(&closing, version);
        assert_eq!((response.error_code, response.session_id), (0, 0), "version {version}");
        assert_eq!(answers(&response), [(0, 0, 0)], "version {version}");
        let response = session.client.call(&session.request(Vec::new()), version);
        assert_eq!(response.error_code, FETCH_SESSION_ID_NOT_FOUND, "version {version}");
    }
}

fn a_full_fetch_of_nothing_opens_a_session(target: &Target) {
    for version in VERSIONS {
        let (mut session, first) = Session::open(target, Vec::new(), version);
        assert_eq!(answers(&first), []);
        let topic = target.topic(1);
        let added = session.fetch(vec![of_topic(&topic, &[(0, 0)])]);
        assert_eq!(answers(&added), [(0, 0, 0)], "version {version}");
    }
}

fn a_session_that_is_not_there_is_refused(target: &Target) {
    let topic = target.topic(1);
    for version in VERSIONS {
        for (session_id, session_epoch) in [(0, 1), (0, 7), (12_345, 1)] {
            let topics = vec![of_topic(&topic, &[(0, 0)])];
            let request = FetchRequest { session_id, session_epoch, ..fetch_topics(topics) };
            let response = target.call(&request, version);
            assert_eq!(response.error_code, FETCH_SESSION_ID_NOT_FOUND, "{response:?}");
            assert_eq!(response.session_id, 0, "version {version}");
            assert!(response.responses.is_empty(), "version {version}");
        }
    }
}

fn a_wrong_epoch_is_refused(target: &Target) {
    for version in VERSIONS {
        let topic = target.topic(1);
        let (mut session, _) = Session::open(target, vec![of_topic(&topic, &[(0, 0)])], version);
        for epoch in [2, 9] {
            let request = FetchRequest { session_epoch: epoch, ..session.request(Vec::new()) };
            let response = session.client.call(&request, version);
            assert_eq!(response.error_code, INVALID_FETCH_SESSION_EPOCH, "{response:?}");
            assert_eq!(response.session_id, 0, "version {version}");
            assert!(response.responses.is_empty(), "version {version}");
        }
        // The session itself is as it was.
        assert_eq!(session.poll(), [], "version {version}");
    }
}

fn a_full_fetch_replaces_the_session(target: &Target) {
    for version in VERSIONS {
        let topic = target.topic(1);
        let topics = vec![of_topic(&topic, &[(0, 0)])];
        let (mut session, _) = Session::open(target, topics.clone(), version);
        let again = FetchRequest { session_epoch: 0, ..session.request(topics) };
        let response = session.client.call(&again, version);
        assert_eq!(response.error_code, 0);
        assert!(![0, session.id].contains(&response.session_id), "version {version}");
        let response = session.client.call(&session.request(Vec::new()), version);
        assert_eq!(response.error_code, FETCH_SESSION_ID_NOT_FOUND, "version {version}");
    }
}

fn names_and_ids_do_not_mix(target: &Target) {
    for (opened, continued) in [(12, 13), (13, 12)] {
        let topic = target.topic(1);
        let (mut session, _) = Session::open(target, vec![of_topic(&topic, &[(0, 0)])], opened);
        let request = session.request(vec![of_topic(&topic, &[(0, 0)])]);
        let response = session.client.call(&request, continued);
        assert_eq!(response.error_code, FETCH_SESSION_TOPIC_ID_ERROR, "{response:?}");
    }
}

fn a_waiting_session_is_woken(target: &Target) {
    for version in VERSIONS {
        let topic = target.topic(1);
        let (mut session, _) = Session::open(target, vec![of_topic(&topic, &[(0, 0)])], version);
        let waiting = FetchRequest { max_wait_ms: 8_000, ..session.request(Vec::new()) };
        session.client.send(&waiting, version);
        assert!(session.client.is_silent(), "version {version}");
        let bytes = batch(1);
        append(target, &topic, &bytes);
        let (_, response) = session.client.receive::<FetchRequest>(version);
        assert_eq!(answers(&response), [(0, 0, bytes.len())], "version {version}");
    }
}

fn a_deleted_topic_is_told_to_its_sessions(target: &Target) {
    for version in VERSIONS {
        let topic = target.topic(1);
        let (mut session, _) = Session::open(target, vec![of_topic(&topic, &[(0, 0)])], version);
        target.delete(&topic);
        // The session knows the name of an id that it has once found.
        let told = [(0, UNKNOWN_TOPIC_OR_PARTITION, 0)];
        soon("the error", || (session.poll() == told).then_some(()));
        assert_eq!(session.poll(), told, "version {version}");
    }
}

fn a_recreated_topic_is_another_one_by_id_only(target: &Target) {
    for version in VERSIONS {
        let topic = target.topic(1);
        append(target, &topic, &batch(1));
        let (mut session, _) = Session::open(target, vec![of_topic(&topic, &[(0, 1)])], version);
        target.delete(&topic);
        let created = target.create(&creatable(&topic.name, 1, &[]), 7);
        let recreated = Topic { id: created.topic_id, ..topic };
        target.wait_until_served(&recreated, 0);
        let bytes = batch(1);
        append(target, &recreated, &bytes);
        append(target, &recreated, &bytes);
        let expected =
            if version >= 13 { (0, INCONSISTENT_TOPIC_ID, 0) } else { (0, 0, bytes.len()) };
        assert_eq!(session.poll(), [expected], "version {version}");
    }
}
