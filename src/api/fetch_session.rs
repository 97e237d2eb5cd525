//! Incremental fetch sessions (KIP-227): the broker remembers what a consumer fetches and answers
//! only what changed.
//!
//! A full fetch (epoch 0) opens a session, epoch -1 closes it, every other epoch continues it.
//! Sessions are keyed by the partitions' names up to Fetch version 12 and by topic ids from
//! version 13 (KIP-516). Eviction follows Kafka's `FetchSessionCacheShard`: a new session may push
//! out one that was not used for two minutes, or a smaller one that has lived that long.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use uuid::Uuid;

use crate::env::Random;
use crate::wire::ErrorCode;
use crate::wire::messages::fetch::PartitionData;

/// `FetchSession.MIN_INCREMENTAL_FETCH_SESSION_EVICTION_MS`.
const EVICTION_MS: i64 = 120_000;
/// A request that opens a session.
const INITIAL_EPOCH: i32 = 0;
/// A request that closes one.
const FINAL_EPOCH: i32 = -1;

/// A partition as a request names it.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct PartitionKey {
    /// Topic name; empty where the request has ids.
    pub(super) topic: Arc<str>,
    /// Topic id; nil where the request has names.
    pub(super) topic_id: Uuid,
    /// Partition number.
    pub(super) partition: i32,
}

/// What a request asks of a partition.
#[derive(Clone, Debug)]
pub(super) struct Wanted {
    pub(super) key: PartitionKey,
    /// The name that the session once found for the topic id; tells a topic that was deleted or
    /// recreated since from one that never was.
    pub(super) known_name: Option<Arc<str>>,
    pub(super) fetch_offset: i64,
    pub(super) max_bytes: i32,
    pub(super) current_leader_epoch: i32,
    pub(super) last_fetched_epoch: i32,
}

#[derive(Debug)]
struct CachedPartition {
    wanted: Wanted,
    /// What the client was last told; -1 before that and after an error.
    high_watermark: i64,
    log_start_offset: i64,
}

impl CachedPartition {
    /// True if `answer` says something new; notes what it says if it is sent.
    fn update(&mut self, answer: &PartitionData) -> bool {
        let failed = answer.error_code != 0;
        let changed = answer.records.as_ref().is_some_and(|records| !records.is_empty())
            || self.high_watermark != answer.high_watermark
            || self.log_start_offset != answer.log_start_offset
            || answer.diverging_epoch.epoch >= 0
            || failed;
        self.log_start_offset = answer.log_start_offset;
        self.high_watermark = if failed { -1 } else { answer.high_watermark };
        changed
    }
}

#[derive(Debug)]
struct FetchSession {
    epoch: i32,
    uses_topic_ids: bool,
    created_ms: i64,
    last_used_ms: i64,
    /// In the order of answering: partitions with data move to the end, so that none starves.
    order: BTreeMap<u64, CachedPartition>,
    places: HashMap<PartitionKey, u64>,
    next_place: u64,
}

impl FetchSession {
    fn put(&mut self, wanted: Wanted) {
        if let Some(cached) =
            self.places.get(&wanted.key).and_then(|place| self.order.get_mut(place))
        {
            let known_name = cached.wanted.known_name.take();
            cached.wanted = Wanted { known_name, ..wanted };
            return;
        }
        let place = self.next_place;
        self.next_place += 1;
        self.places.insert(wanted.key.clone(), place);
        self.order
            .insert(place, CachedPartition { wanted, high_watermark: -1, log_start_offset: -1 });
    }

    fn forget(&mut self, key: &PartitionKey) {
        if let Some(place) = self.places.remove(key) {
            self.order.remove(&place);
        }
    }

    fn move_to_end(&mut self, key: &PartitionKey) {
        let Some(place) = self.places.get_mut(key) else {
            return;
        };
        if let Some(cached) = self.order.remove(place) {
            *place = self.next_place;
            self.order.insert(self.next_place, cached);
            self.next_place += 1;
        }
    }
}

/// How one request relates to the sessions.
#[derive(Debug)]
pub(super) enum FetchContext {
    /// No session: everything asked for is answered.
    Sessionless,
    /// Everything is answered, then a session is opened.
    Full,
    /// Only what changed is answered.
    Incremental(i32),
}

/// All sessions of a broker.
#[derive(Debug)]
pub(crate) struct FetchSessions {
    slots: usize,
    sessions: Mutex<HashMap<i32, FetchSession>>,
}

impl FetchSessions {
    /// Room for `max.incremental.fetch.session.cache.slots` sessions.
    pub(crate) fn new(slots: usize) -> Self {
        Self { slots, sessions: Mutex::default() }
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<i32, FetchSession>> {
        self.sessions.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes a request's session fields in; gives what is to be fetched, in order.
    pub(super) fn begin(
        &self,
        session: (i32, i32),
        uses_topic_ids: bool,
        wanted: Vec<Wanted>,
        forgotten: &[PartitionKey],
        now_ms: i64,
    ) -> Result<(FetchContext, Vec<Wanted>), ErrorCode> {
        let (id, epoch) = session;
        let mut sessions = self.lock();
        if epoch == INITIAL_EPOCH || epoch == FINAL_EPOCH {
            sessions.remove(&id);
            let full = epoch == INITIAL_EPOCH;
            let context = if full { FetchContext::Full } else { FetchContext::Sessionless };
            return Ok((context, wanted));
        }
        let session = sessions.get_mut(&id).ok_or(ErrorCode::FetchSessionIdNotFound)?;
        if session.epoch != epoch {
            return Err(ErrorCode::InvalidFetchSessionEpoch);
        }
        if session.uses_topic_ids != uses_topic_ids {
            return Err(ErrorCode::FetchSessionTopicIdError);
        }
        for wanted in &wanted {
            session.put(wanted.clone());
        }
        for key in forgotten {
            session.forget(key);
        }
        if session.order.is_empty() {
            sessions.remove(&id);
            return Ok((FetchContext::Sessionless, wanted));
        }
        session.last_used_ms = now_ms;
        session.epoch = if epoch == i32::MAX { 1 } else { epoch + 1 };
        let all = session.order.values().map(|cached| cached.wanted.clone()).collect();
        Ok((FetchContext::Incremental(id), all))
    }

    /// Leaves in `answers` what is to be sent and gives the answer's session id.
    pub(super) fn finish(
        &self,
        context: &FetchContext,
        uses_topic_ids: bool,
        answers: &mut Vec<(Wanted, PartitionData)>,
        random: &Random,
        now_ms: i64,
    ) -> i32 {
        match *context {
            FetchContext::Sessionless => 0,
            FetchContext::Full => self.create(uses_topic_ids, answers, random, now_ms),
            FetchContext::Incremental(id) => {
                if let Some(session) = self.lock().get_mut(&id) {
                    answers.retain(|(wanted, answer)| {
                        let place = session.places.get(&wanted.key);
                        place.and_then(|place| session.order.get_mut(place)).is_none_or(|cached| {
                            cached.wanted.known_name.clone_from(&wanted.known_name);
                            cached.update(answer)
                        })
                    });
                    for (wanted, answer) in &*answers {
                        if answer.records.as_ref().is_some_and(|records| !records.is_empty()) {
                            session.move_to_end(&wanted.key);
                        }
                    }
                }
                id
            }
        }
    }

    /// The new session's id, 0 where there is no room.
    fn create(
        &self,
        uses_topic_ids: bool,
        answers: &[(Wanted, PartitionData)],
        random: &Random,
        now_ms: i64,
    ) -> i32 {
        let mut sessions = self.lock();
        if sessions.len() >= self.slots && !evict(&mut sessions, answers.len(), now_ms) {
            return 0;
        }
        let mut session = FetchSession {
            epoch: INITIAL_EPOCH + 1,
            uses_topic_ids,
            created_ms: now_ms,
            last_used_ms: now_ms,
            order: BTreeMap::new(),
            places: HashMap::new(),
            next_place: 0,
        };
        for (wanted, answer) in answers {
            session.put(wanted.clone());
            if let Some(mut last) = session.order.last_entry() {
                last.get_mut().update(answer);
            }
        }
        loop {
            let id = 1 + random.below(i32::MAX as u64 - 1) as i32;
            if let std::collections::hash_map::Entry::Vacant(vacant) = sessions.entry(id) {
                vacant.insert(session);
                return id;
            }
        }
    }
}

/// Makes room for a session of `size` partitions; false if none may go.
fn evict(sessions: &mut HashMap<i32, FetchSession>, size: usize, now_ms: i64) -> bool {
    let oldest = sessions.iter().min_by_key(|(id, session)| (session.last_used_ms, **id));
    let victim = match oldest {
        Some((&id, session)) if now_ms - session.last_used_ms > EVICTION_MS => Some(id),
        _ => sessions
            .iter()
            .filter(|(_, session)| now_ms - session.created_ms > EVICTION_MS)
            .map(|(&id, session)| (session.order.len(), id))
            .min()
            .filter(|&(smallest, _)| size >= smallest)
            .map(|(_, id)| id),
    };
    victim.is_some_and(|id| sessions.remove(&id).is_some())
}
