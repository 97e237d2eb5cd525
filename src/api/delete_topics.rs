//! DeleteTopics (key 20).
//!
//! Behavior:
//! - A topic is gone from every answer, and its files and its committed offsets with it, when its
//!   deletion is answered.
//! - Names or ids repeated in one request are refused once, with INVALID_REQUEST; so is a topic
//!   with both or neither.
//! - With `delete.topic.enable=false` every topic is refused.
//!
//! Version notes: ids from version 6 (KIP-516); TOPIC_DELETION_DISABLED from 3.

use std::collections::{BTreeMap, BTreeSet};

use uuid::Uuid;

use super::{Api, Context, Reply};
use crate::metadata::TopicError;
use crate::wire::ErrorCode;
use crate::wire::messages::delete_topics::{
    DeletableTopicResult, DeleteTopicsRequest, DeleteTopicsResponse,
};

pub(super) struct DeleteTopics;

impl Api for DeleteTopics {
    type Request = DeleteTopicsRequest;

    async fn handle(
        context: Context<'_>,
        request: DeleteTopicsRequest,
        version: i16,
    ) -> Reply<DeleteTopicsResponse> {
        let disabled = "Topic deletion is disabled.";
        let refused = match (context.shared.config.delete_topic_enable, version) {
            (false, ..3) => Some(TopicError::new(ErrorCode::InvalidRequest, disabled)),
            (false, _) => Some(TopicError::new(ErrorCode::TopicDeletionDisabled, disabled)),
            (true, _) => (request.timeout_ms <= 0).then(TopicError::timed_out),
        };
        if let Some(error) = refused {
            return Reply::Ready(all_failed(request, &error));
        }
        let mut selection = Selection::default();
        selection.collect(request);
        let chosen = selection.resolve(context);
        let ids: Vec<Uuid> = chosen.keys().copied().collect();
        let outcomes = context.shared.metadata.delete_topics(ids.clone()).await;
        let gone = ids.iter().zip(&outcomes).filter(|(_, outcome)| outcome.is_ok());
        let gone: Vec<String> = gone.filter_map(|(id, _)| chosen.get(id).cloned()).collect();
        if !gone.is_empty() {
            context.shared.groups.forget_topics(gone).await;
        }
        let mut responses = selection.refused;
        for (id, outcome) in ids.iter().zip(outcomes) {
            responses.push(result(chosen.get(id).cloned(), *id, outcome.err().as_ref()));
        }
        Reply::Ready(DeleteTopicsResponse { responses, ..Default::default() })
    }
}

/// What the request names, as `ControllerApis.deleteTopics` sorts it.
#[derive(Default)]
struct Selection {
    names: BTreeSet<String>,
    ids: BTreeSet<Uuid>,
    repeated_ids: BTreeSet<Uuid>,
    refused: Vec<DeletableTopicResult>,
}

impl Selection {
    fn collect(&mut self, request: DeleteTopicsRequest) {
        let invalid = |text: &str| TopicError::new(ErrorCode::InvalidRequest, text);
        let mut repeated_names = BTreeSet::new();
        let mut add_name = |names: &mut BTreeSet<String>, name: String| {
            if repeated_names.contains(&name) || !names.insert(name.clone()) {
                names.remove(&name);
                repeated_names.insert(name);
            }
        };
        for name in request.topic_names {
            add_name(&mut self.names, name);
        }
        for topic in request.topics {
            match (topic.name, topic.topic_id) {
                (None, id) if id.is_nil() => self.refused.push(result(
                    None,
                    id,
                    Some(&invalid("Neither topic name nor id were specified.")),
                )),
                (None, id) => {
                    if self.repeated_ids.contains(&id) || !self.ids.insert(id) {
                        self.ids.remove(&id);
                        self.repeated_ids.insert(id);
                    }
                }
                (Some(name), id) if id.is_nil() => add_name(&mut self.names, name),
                (name, id) => self.refused.push(result(
                    name,
                    id,
                    Some(&invalid("You may not specify both topic name and topic id.")),
                )),
            }
        }
        for name in repeated_names {
            let error = invalid("Duplicate topic name.");
            self.refused.push(result(Some(name), Uuid::nil(), Some(&error)));
        }
        for &id in &self.repeated_ids {
            self.refused.push(result(None, id, Some(&invalid("Duplicate topic id."))));
        }
    }

    /// The topics to delete, with their names.
    fn resolve(&mut self, context: Context<'_>) -> BTreeMap<Uuid, String> {
        let image = context.shared.metadata.image();
        let mut chosen = BTreeMap::new();
        for &id in &self.ids {
            match image.topic_by_id(id) {
                Some(topic) => {
                    chosen.insert(id, topic.name.to_string());
                }
                None => self.refused.push(result(None, id, Some(&TopicError::unknown_topic_id()))),
            }
        }
        for name in &self.names {
            let Some(topic) = image.topic(name) else {
                let error = TopicError::unknown_topic();
                self.refused.push(result(Some(name.clone()), Uuid::nil(), Some(&error)));
                continue;
            };
            if self.repeated_ids.contains(&topic.id)
                || chosen.insert(topic.id, name.clone()).is_some()
            {
                chosen.remove(&topic.id);
                self.repeated_ids.insert(topic.id);
                let error = TopicError::new(
                    ErrorCode::InvalidRequest,
                    "The provided topic name maps to an ID that was already supplied.",
                );
                self.refused.push(result(Some(name.clone()), topic.id, Some(&error)));
            }
        }
        chosen
    }
}

fn result(
    name: Option<String>,
    topic_id: Uuid,
    error: Option<&TopicError>,
) -> DeletableTopicResult {
    DeletableTopicResult {
        name,
        topic_id,
        error_code: error.map_or(ErrorCode::None, |error| error.code).code(),
        error_message: error.and_then(|error| error.message.clone()),
    }
}

/// What `DeleteTopicsRequest.getErrorResponse` gives.
fn all_failed(request: DeleteTopicsRequest, error: &TopicError) -> DeleteTopicsResponse {
    let names = request.topic_names.into_iter().map(|name| (Some(name), Uuid::nil()));
    let topics = request.topics.into_iter().map(|topic| (topic.name, topic.topic_id));
    let failed = |(name, id): (Option<String>, Uuid)| DeletableTopicResult {
        error_message: None,
        ..result(name, id, Some(error))
    };
    DeleteTopicsResponse {
        responses: names.chain(topics).map(failed).collect(),
        ..Default::default()
    }
}
