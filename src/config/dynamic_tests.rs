use super::*;

fn map(settings: &str) -> ConfigMap {
    let pair = |text: &str| {
        let (key, value) = text.split_once('=').unwrap();
        (key.to_owned(), value.to_owned())
    };
    settings.split(';').filter(|text| !text.is_empty()).map(pair).collect()
}

fn text(checked: Result<(), ConfigError>) -> String {
    checked.map_or_else(|error| error.to_string(), |()| String::new())
}

/// What the reference said to each of these, word for word, unless a comment says otherwise.
#[test]
fn brokers_keys_are_refused_as_the_reference_refuses_them() {
    let fixed = map("log.retention.hours=2");
    let before = BrokerLayers::fixed(&fixed);
    let security = "These security configs can be dynamically updated only per-listener using the \
                    listener prefix: [ssl.key.password, ssl.keystore.key]";
    for (own, refusal) in [
        ("", ""),
        ("foo=1;=2", ""),
        ("log.retention.ms=9000", ""),
        (
            "log.dirs=/a;num.partitions=3;log.segment.bytes=x",
            "Cannot update these configs dynamically: [num.partitions, log.dirs]",
        ),
        ("ssl.key.password=a;ssl.keystore.key=b;log.segment.bytes=x", security),
        (
            "log.segment.bytes=x",
            "Invalid value x for configuration log.segment.bytes: Not a number of type INT",
        ),
        ("num.io.threads=16;background.threads=5", ""),
        ("log.cleaner.threads=2;log.cleaner.backoff.ms=1", ""),
        ("log.local.retention.ms=7200000", ""),
        ("log.local.retention.ms=-1;log.retention.ms=-1", ""),
        ("log.local.retention.bytes=-1", ""),
    ] {
        for of_all in [true, false] {
            assert_eq!(text(validate_broker(&map(own), of_all, &before)), refusal, "{own}");
        }
    }
    let exception = "Invalid value org.apache.kafka.common.config.ConfigException: ";
    for (own, refusal) in [
        (
            "num.io.threads=17",
            "Dynamic thread count update validation failed for num.io.threads=17, value should not be greater than double the current value 8",
        ),
        (
            "num.replica.fetchers=3",
            "Dynamic thread count update validation failed for num.replica.fetchers=3, value should not be greater than double the current value 1",
        ),
        (
            "log.local.retention.ms=7200001",
            "Invalid value 7200001 for configuration log.local.retention.ms: Value must not be more than log.retention.ms property value: 7200000",
        ),
        (
            "log.local.retention.ms=-1",
            "Invalid value -1 for configuration log.local.retention.ms: Value must not be -1 as log.retention.ms value is set as 7200000.",
        ),
        (
            "log.local.retention.bytes=2;log.retention.bytes=1",
            "Invalid value 2 for configuration log.local.retention.bytes: Value must not be more than log.retention.bytes property value: 1",
        ),
        // Of `LogCleaner.validateReconfiguration`, read and not observed.
        ("log.cleaner.threads=0", "Log cleaner threads should be at least 1"),
        (
            "log.cleaner.threads=3",
            "Log cleaner threads cannot be increased to more than double the current value 1",
        ),
        (
            "background.threads=4",
            "Dynamic thread count update validation failed for background.threads=4, value should be at least half the current value 10",
        ),
    ] {
        let refusal =
            format!("{exception}{refusal} for configuration Invalid dynamic configuration");
        assert_eq!(text(validate_broker(&map(own), true, &before)), refusal, "{own}");
    }
    // The reference changes these of one broker; of all brokers it refuses them like this.
    for own in
        ["listeners=PLAINTEXT://:1", "listener.name.a.ssl.key.password=x", "sasl.jaas.config=x"]
    {
        let (key, _) = own.split_once('=').unwrap();
        let at_default =
            "Cannot update these configs at default cluster level, broker id must be specified";
        let refusal = text(validate_broker(&map(own), true, &before));
        assert_eq!(refusal, format!("{at_default}: [{key}]"));
        let refusal = text(validate_broker(&map(own), false, &before));
        assert_eq!(
            refusal,
            format!("Updating these configs dynamically is not supported yet: [{key}]")
        );
    }
}

#[test]
fn groups_keys_are_bounded_by_the_broker_s() {
    let fixed =
        map("group.consumer.max.session.timeout.ms=90000;group.share.heartbeat.interval.ms=6000");
    let layers = BrokerLayers::fixed(&fixed);
    for (own, refusal) in [
        ("", ""),
        ("consumer.session.timeout.ms=90000;share.session.timeout.ms=60000", ""),
        ("foo=1;consumer.session.timeout.ms=x", "Unknown group config name: foo"),
        (
            "consumer.session.timeout.ms=90001",
            "consumer.session.timeout.ms must be less than or equal to group.consumer.max.session.timeout.ms",
        ),
        (
            "share.heartbeat.interval.ms=1;streams.session.timeout.ms=1",
            "share.heartbeat.interval.ms must be greater than or equal to group.share.min.heartbeat.interval.ms",
        ),
        (
            "streams.num.standby.replicas=3",
            "streams.num.standby.replicas must be less than or equal to group.streams.max.standby.replicas",
        ),
        (
            "streams.num.standby.replicas=-1",
            "Invalid value -1 for configuration streams.num.standby.replicas: Value must be at least 0",
        ),
        (
            "share.assignment.interval.ms=15001",
            "share.assignment.interval.ms must be less than or equal to group.share.max.assignment.interval.ms",
        ),
    ] {
        assert_eq!(text(validate_group(&map(own), &layers)), refusal, "{own}");
    }
    let close = map(
        "group.share.min.session.timeout.ms=1;group.share.session.timeout.ms=6000;group.share.heartbeat.interval.ms=6000",
    );
    assert_eq!(
        text(validate_group(&ConfigMap::new(), &BrokerLayers::fixed(&close))),
        "share.session.timeout.ms must be greater than share.heartbeat.interval.ms"
    );
}

#[test]
fn a_share_group_begins_where_java_can_read_it() {
    let check = |value: &str| {
        let own = map(&format!("share.auto.offset.reset={value}"));
        text(validate_group(&own, &BrokerLayers::fixed(&ConfigMap::new()))).is_empty()
    };
    for value in [
        "earliest",
        " latest ",
        "by_duration:PT1H",
        "by_duration:p3dt3h4m0.5s",
        "by_duration:PT0S",
        "by_duration:-PT-1S",
        "by_duration:P1DT-1H",
        "by_duration:+PT1,5S",
        "by_duration:PT1.S",
    ] {
        assert!(check(value), "{value}");
    }
    for value in [
        "none",
        "Latest",
        "",
        "by_duration",
        "by_duration:",
        "by_duration:1h",
        "by_duration:P",
        "by_duration:PT",
        "by_duration:-PT1H",
        "by_duration:P1H",
        "by_duration:PT1D",
        "by_duration:PT1.5H",
        "by_duration:PT1M1H",
        "by_duration:PT1H1",
        "by_duration:PTinfS",
        "by_duration:PT.5S",
        "by_duration:PT1E3S",
        "by_duration:P1DT",
    ] {
        assert!(!check(value), "{value}");
    }
}

#[test]
fn subscriptions_name_what_clients_are_told_by() {
    let illegal = |pattern: &str| format!("Illegal client matching pattern: {pattern}");
    let interval = |value: &str| {
        format!(
            "Invalid value {value} for interval.ms, interval must be between 100 and 3600000 (1 hour)"
        )
    };
    for (own, refusal) in [
        ("", String::new()),
        ("metrics=*;interval.ms=100;match= client_id = a.* ,client_source_port=1", String::new()),
        ("metrics=;match=", String::new()),
        ("a=1", "Unknown client metrics configuration: a".to_owned()),
        ("interval.ms=99", interval("99")),
        ("interval.ms=3600001", interval("3600001")),
        ("match=client_id", illegal("client_id")),
        ("match=client_id=", illegal("client_id=")),
        ("match=client_id=a=b", illegal("client_id=a=b")),
        ("match=client=a", illegal("client=a")),
    ] {
        assert_eq!(text(validate_client_metrics(&map(own))), refusal, "{own}");
    }
}
