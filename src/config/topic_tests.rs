use super::*;

fn map(settings: &str) -> ConfigMap {
    let pair = |text: &str| {
        let (key, value) = text.split_once('=').unwrap();
        (key.to_owned(), value.to_owned())
    };
    settings.split(';').filter(|text| !text.is_empty()).map(pair).collect()
}

fn validate(settings: &str) -> Result<TopicConfig, ConfigError> {
    TopicConfig::validate(&map(settings), &BrokerLayers::fixed(&ConfigMap::new()))
}

/// What the reference said to each of these, word for word.
#[test]
fn refusals_are_worded_as_the_reference_words_them() {
    let throttled = "leader.replication.throttled.replicas must be the literal '*' or a list of \
                     replicas in the following format: \
                     [partitionId]:[brokerId],[partitionId]:[brokerId],...";
    let codecs = "String must be one of: uncompressed, zstd, lz4, snappy, gzip, producer";
    for (key, value, shown, reason) in [
        ("segment.bytes", "abc", "abc", "Not a number of type INT"),
        ("segment.bytes", "", "", "Not a number of type INT"),
        ("segment.bytes", " 1x", " 1x", "Not a number of type INT"),
        ("segment.bytes", "99999999999", "99999999999", "Not a number of type INT"),
        ("segment.bytes", " 100 ", "100", "Value must be at least 1048576"),
        ("retention.ms", "-2", "-2", "Value must be at least -1"),
        ("retention.ms", "1.5", "1.5", "Not a number of type LONG"),
        ("preallocate", "yes", "yes", "Expected value to be either true or false"),
        ("min.cleanable.dirty.ratio", "2", "2.0", "Value must be no more than 1"),
        ("min.cleanable.dirty.ratio", "-0.1", "-0.1", "Value must be at least 0"),
        ("min.cleanable.dirty.ratio", "abc", "abc", "Not a number of type DOUBLE"),
        ("min.cleanable.dirty.ratio", "inf", "inf", "Not a number of type DOUBLE"),
        ("cleanup.policy", "delete,foo", "foo", "String must be one of: compact, delete"),
        ("cleanup.policy", "Delete", "Delete", "String must be one of: compact, delete"),
        ("compression.type", "none", "none", codecs),
        ("compression.gzip.level", "0", "0", "Value must be between 1 and 9 or equal to -1"),
        ("compression.gzip.level", "10", "10", "Value must be between 1 and 9 or equal to -1"),
        ("compression.lz4.level", "18", "18", "Value must be no more than 17"),
        ("compression.zstd.level", "23", "23", "Value must be no more than 22"),
        ("leader.replication.throttled.replicas", "x", "[x]", throttled),
        ("leader.replication.throttled.replicas", "*,1:1", "[*, 1:1]", throttled),
        ("internal.segment.bytes", "x", "x", "Not a number of type INT"),
    ] {
        assert_eq!(
            validate(&format!("{key}={value}")).unwrap_err().to_string(),
            format!("Invalid value {shown} for configuration {key}: {reason}")
        );
    }
    for (settings, text) in [
        ("foo=1;segment.bytes=abc", "Unknown topic config name: foo"),
        ("message.format.version=2.0", "Unknown topic config name: message.format.version"),
        ("cleanup.policy=delete,", "Configuration 'cleanup.policy' values must not be empty."),
        (
            "min.compaction.lag.ms=10;max.compaction.lag.ms=5",
            "conflict topic config setting min.compaction.lag.ms (10) > max.compaction.lag.ms (5)",
        ),
        (
            "remote.storage.enable=true",
            "Tiered Storage functionality is disabled in the broker. \
             Topic cannot be configured with remote log storage.",
        ),
        (
            "segment.ms=abc;segment.bytes=abc;max.message.bytes=-1",
            "Invalid value abc for configuration segment.bytes: Not a number of type INT",
        ),
    ] {
        assert_eq!(validate(settings).unwrap_err().to_string(), text);
    }
}

#[test]
fn values_are_read_and_shown_as_the_reference_does() {
    for (key, value, shown) in [
        ("segment.bytes", " 2000000 ", "2000000"),
        ("segment.bytes", "+2000000", "2000000"),
        ("preallocate", "TRUE", "true"),
        ("min.cleanable.dirty.ratio", "0.5f", "0.5"),
        ("min.cleanable.dirty.ratio", " 0.50 ", "0.5"),
        ("min.cleanable.dirty.ratio", "NaN", "NaN"),
        ("min.cleanable.dirty.ratio", "1", "1.0"),
        ("min.cleanable.dirty.ratio", "1e-4", "1.0E-4"),
        ("min.cleanable.dirty.ratio", "0.00001", "1.0E-5"),
        ("min.cleanable.dirty.ratio", "0.000125", "1.25E-4"),
        ("cleanup.policy", "", ""),
        ("cleanup.policy", "delete , compact", "delete,compact"),
        ("cleanup.policy", "delete,delete", "delete"),
        ("leader.replication.throttled.replicas", "1:1, 2:2", "1:1,2:2"),
        ("leader.replication.throttled.replicas", "*", "*"),
        ("local.retention.bytes", "-1", "-1"),
        ("retention.bytes", "-100", "-100"),
        ("internal.segment.bytes", "1000", "1000"),
    ] {
        assert!(validate(&format!("{key}={value}")).is_ok(), "{key}={value}");
        assert_eq!(TopicConfig::row(key).unwrap().canonical(value), shown);
    }
}

#[test]
fn typed_values() {
    let config = TopicConfig::default();
    assert_eq!((config.segment_bytes, config.segment_ms), (1 << 30, 7 * 24 * HOUR_MS));
    assert_eq!((config.flush_messages, config.retention_bytes), (i64::MAX, -1));
    assert_eq!((config.compact, config.delete), (false, true));
    assert_eq!(config.message_timestamp_type, TimestampType::CreateTime);

    let set = "cleanup.policy=compact;internal.segment.bytes=1000;flush.messages=1;\
               message.timestamp.type=LogAppendTime;max.message.bytes=7;preallocate=true";
    let config = validate(set).unwrap();
    assert_eq!((config.compact, config.delete), (true, false));
    assert_eq!((config.segment_bytes, config.flush_messages), (1000, 1));
    assert_eq!(config.message_timestamp_type, TimestampType::LogAppendTime);
    assert_eq!((config.max_message_bytes, config.preallocate), (7, true));
}

#[test]
fn broker_keys_give_defaults_with_their_units() {
    let resolve = |broker: &str, own: &str| {
        let broker = map(broker);
        TopicConfig::resolve(&map(own), &BrokerLayers::fixed(&broker)).unwrap()
    };
    assert_eq!(resolve("log.roll.hours=2", "").segment_ms, 2 * HOUR_MS);
    assert_eq!(resolve("log.roll.hours=2;log.roll.ms=5", "").segment_ms, 5);
    assert_eq!(resolve("log.roll.ms=5", "segment.ms=9").segment_ms, 9);
    assert_eq!(resolve("log.retention.minutes=3;log.retention.hours=1", "").retention_ms, 180_000);
    assert_eq!(resolve("log.retention.hours=-1", "").retention_ms, -1);
    assert_eq!(resolve("log.retention.ms=-5", "").retention_ms, -1);
    assert_eq!(resolve("log.flush.scheduler.interval.ms=8", "").flush_ms, 8);
    assert_eq!(resolve("message.max.bytes=9", "unknown=kept").max_message_bytes, 9);
}

#[test]
fn every_synonym_has_a_row_that_agrees() {
    for row in TOPIC_ROWS {
        for (name, factor) in row.synonyms {
            let broker = crate::config::ServerConfig::row(name).expect(name);
            if *factor == 1 && broker.default.is_some() {
                assert_eq!(broker.default, row.default, "{name}");
                assert_eq!(broker.config_type, row.config_type, "{name}");
                assert_eq!(broker.valid, row.valid, "{name}");
            }
            assert_eq!(broker.effect, row.effect, "{name}");
        }
    }
}

const HOUR_MS: i64 = 3_600_000;
