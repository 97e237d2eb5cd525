//! What a group reads: its members' topics, the regular expressions among them and the hash by
//! which it notices that topics have changed (Kafka: `GroupMetadataManager.updateSubscriptionMetadata`,
//! `maybeUpdateRegularExpressions`, `TopicRegexResolver`).

use std::collections::{BTreeMap, BTreeSet};

use super::draft::Draft;
use super::member::Member;
use super::regex::TopicPattern;
use super::timers::Timers;
use super::topic_hash::{group_hash, topic_hash};
use super::{ConsumerGroup, ConsumerRecord, Refusal, epoch_record};
use crate::metadata::MetadataImage;
use crate::wire::ErrorCode;
use crate::wire::records::ConsumerGroupRegularExpressionValue;

/// How often regular expressions are resolved at most (`REGEX_BATCH_REFRESH_MIN_INTERVAL_MS`).
const RESOLVE_INTERVAL_MIN_MS: i64 = 10_000;

/// What has changed of a member's regular expression.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum RegexChange {
    /// Nothing.
    None,
    /// It has another one, whose topics are not known yet.
    Unresolved,
    /// It has another one whose topics are known, or none any more.
    Resolved,
}

impl ConsumerGroup {
    /// The topics that a member reads, whether they exist or not.
    pub(super) fn topics_of<'m>(&'m self, member: &'m Member) -> impl Iterator<Item = &'m str> {
        let found = member.regex().and_then(|regex| self.regexes.get(regex));
        let found = found.into_iter().flat_map(|found| &found.topics);
        member.subscribed.iter().chain(found).map(String::as_str)
    }

    /// The topics that these members have named and that regular expressions have found.
    pub(super) fn topics_read<'m>(
        &'m self,
        members: impl Iterator<Item = &'m Member>,
        dropped_regexes: &BTreeSet<&str>,
    ) -> BTreeSet<&'m str> {
        let regexes = self.regexes.iter();
        let kept = regexes.filter(|(regex, _)| !dropped_regexes.contains(regex.as_str()));
        let found = kept.flat_map(|(_, found)| &found.topics);
        members.flat_map(|member| &member.subscribed).chain(found).map(String::as_str).collect()
    }
}

/// The hash of those topics that exist.
pub(super) fn metadata_hash(topics: &BTreeSet<&str>, image: &MetadataImage) -> i64 {
    let hash = |name: &&str| {
        let topic = image.topic(name)?;
        let partitions = i32::try_from(topic.partitions.len()).unwrap_or(i32::MAX);
        Some(((*name).to_owned(), topic_hash(name, topic.id, partitions)))
    };
    group_hash(&topics.iter().filter_map(hash).collect::<BTreeMap<_, _>>())
}

impl Draft<'_> {
    /// Writes what a member says of itself, if it is new. True if it names other topics.
    pub(super) fn update_member(&mut self, id: &str, old: &Member, new: &Member) -> bool {
        if old == new {
            return false;
        }
        self.write(new.to_record(id));
        old.subscribed != new.subscribed
    }

    /// Follows a change of a member's regular expression, and sees whether all of the group's are
    /// to be resolved.
    pub(super) fn update_regex(
        &mut self,
        id: &str,
        old: &Member,
        new: &Member,
        timers: &Timers,
    ) -> Result<RegexChange, Refusal> {
        let mut change = RegexChange::None;
        let mut resolves = false;
        if old.regex != new.regex {
            change = RegexChange::Unresolved;
            if let Some(regex) = old.regex().filter(|regex| self.group.subscribers_of(regex) == 1) {
                self.write(ConsumerRecord::Regex(regex.to_owned(), None));
            }
            if let Some(regex) = new.regex() {
                if self.group.subscribers_of(regex) == 0 {
                    check_regex(regex)?;
                    resolves = true;
                } else if self.group.regexes.contains_key(regex) {
                    change = RegexChange::Resolved;
                }
            } else if old.regex().is_some() {
                change = RegexChange::Resolved;
            }
        }
        if (resolves || !self.group.regex_subscribers.is_empty())
            && timers.resolve_at_ms > self.now_ms
        {
            self.resolves = self.is_resolution_due(id, new, resolves);
        }
        Ok(change)
    }

    fn is_resolution_due(&self, id: &str, member: &Member, is_new: bool) -> bool {
        let last = self.group.regexes.values().next();
        let ago_ms = last.map(|last| self.now_ms.saturating_sub(last.timestamp));
        if ago_ms.is_some_and(|ago_ms| ago_ms <= RESOLVE_INTERVAL_MIN_MS) {
            return false;
        }
        let members = self.members_with(id, member);
        let regexes: BTreeSet<&str> = members.filter_map(|(_, member)| member.regex()).collect();
        let interval_ms = i64::from(self.settings.consumer.regex_refresh_interval_ms);
        let due = is_new
            || regexes.len() != self.group.regexes.len()
            || last.map_or(0, |last| last.version) < self.topics_version
            || ago_ms.is_none_or(|ago_ms| ago_ms > interval_ms);
        due && !regexes.is_empty()
    }

    /// Compares the group's topics with the metadata if that is new, or if the member's have
    /// changed (`bump`), and returns the group's epoch, raised if anything has.
    pub(super) fn refresh_metadata(
        &mut self,
        id: &str,
        old: &Member,
        new: &Member,
        bump: bool,
        timers: &Timers,
    ) -> i32 {
        let version = Some(self.image.finalized_features_epoch);
        if !bump && timers.seen_version == version {
            return self.group.epoch;
        }
        let given_up = old
            .regex()
            .filter(|regex| new.regex() != Some(regex) && self.group.subscribers_of(regex) == 1);
        let members = self.members_with(id, new).map(|(_, member)| member);
        let topics = self.group.topics_read(members, &given_up.into_iter().collect());
        let hash = metadata_hash(&topics, &self.image);
        let mut epoch = self.group.epoch;
        if bump || hash != self.group.metadata_hash {
            epoch = epoch.saturating_add(1);
            self.write(epoch_record(epoch, hash));
        }
        self.looked_at_metadata = true;
        if self.group.has_old_topics {
            self.write(ConsumerRecord::Topics(None));
        }
        epoch
    }

    /// Finds the topics that the group's regular expressions match.
    pub(super) fn resolve(&mut self) {
        let mut bump = false;
        let mut found = BTreeMap::new();
        for regex in self.group.regex_subscribers.keys() {
            let topics = matching_topics(regex, &self.image);
            let known = self.group.regexes.get(regex).map(|known| &known.topics);
            bump |= known.map_or(!topics.is_empty(), |known| *known != topics);
            let value = ConsumerGroupRegularExpressionValue {
                topics,
                version: self.image.finalized_features_epoch,
                timestamp: self.now_ms,
            };
            found.insert(regex.clone(), value);
        }
        let named = self.group.members.values().flat_map(|member| &member.subscribed);
        let matched = found.values().flat_map(|value| &value.topics);
        let topics = named.chain(matched).map(String::as_str).collect();
        let hash = metadata_hash(&topics, &self.image);
        for (regex, value) in found {
            self.write(ConsumerRecord::Regex(regex, Some(value)));
        }
        if bump || hash != self.group.metadata_hash {
            let epoch = self.group.epoch.saturating_add(1);
            self.write(epoch_record(epoch, hash));
            self.looked_at_metadata = true;
        }
    }
}

fn check_regex(regex: &str) -> Result<(), Refusal> {
    let refused = |message| Refusal { error: ErrorCode::InvalidRegularExpression, message };
    TopicPattern::new(regex).map(drop).map_err(refused)
}

/// Sorted by name; none for an expression that cannot be read, which a record may hold.
fn matching_topics(regex: &str, image: &MetadataImage) -> Vec<String> {
    let Ok(pattern) = TopicPattern::new(regex) else { return Vec::new() };
    let topics = image.topics().filter(|topic| pattern.matches(&topic.name));
    topics.map(|topic| topic.name.to_string()).collect()
}
