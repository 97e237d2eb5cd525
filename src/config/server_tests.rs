use super::*;

fn load(text: &str) -> Result<(ServerConfig, Vec<Notice>), ConfigError> {
    ServerConfig::load(text, [])
}

fn config(text: &str) -> ServerConfig {
    load(text).unwrap().0
}

fn refusal(text: &str) -> String {
    load(text).expect_err(text).to_string()
}

fn addresses(listeners: &[Listener]) -> Vec<String> {
    let address =
        |it: &Listener| format!("{}://{}:{}", it.name, it.host.as_deref().unwrap_or(""), it.port);
    listeners.iter().map(address).collect()
}

#[test]
fn defaults_bind_loopback_only() {
    let config = ServerConfig::default();
    assert_eq!(addresses(&config.listeners), ["PLAINTEXT://localhost:9092"]);
    assert_eq!(config.advertised_listeners, None);
    assert_eq!((config.node_id, config.num_partitions), (1, 1));
    assert_eq!(config.log_dirs, [PathBuf::from("./ottla-data")]);
    assert_eq!(config.connections_max_idle_ms, Some(600_000));
    assert_eq!(config.queued_max_request_bytes, None);
    assert!(config.quorum_voters.is_empty() && config.explicit.is_empty());
}

#[test]
fn a_combined_node_of_kafka() {
    let config = config(
        "process.roles=broker,controller\nnode.id=7\n\
         controller.quorum.voters=7@localhost:9094\n\
         listeners=PLAINTEXT://:9092, BROKER://tc-0:9093 ,CONTROLLER://:9094\n\
         advertised.listeners=PLAINTEXT://localhost:19092,BROKER://localhost:9093,\n\
         listener.security.protocol.map=BROKER:PLAINTEXT,PLAINTEXT:PLAINTEXT,CONTROLLER:SSL\n\
         inter.broker.listener.name=BROKER\ncontroller.listener.names=CONTROLLER\n\
         log.dirs=/a, /b\nlog.dir=/c",
    );
    assert_eq!(addresses(&config.listeners), ["PLAINTEXT://:9092", "BROKER://tc-0:9093"]);
    let advertised = config.advertised_listeners.unwrap();
    assert_eq!(addresses(&advertised), ["PLAINTEXT://localhost:19092", "BROKER://localhost:9093"]);
    assert_eq!(config.controller_listener.unwrap().port, 9094);
    let voter = Voter { node_id: 7, host: "localhost".into(), port: 9094 };
    assert_eq!(config.quorum_voters, [voter]);
    assert_eq!(config.log_dirs, [PathBuf::from("/a"), PathBuf::from("/b")]);
    assert_eq!(config.explicit["broker.id"], "7", "the old name stands in");
}

#[test]
fn later_settings_win() {
    let overrides = [("num.partitions".to_owned(), "5".to_owned())];
    let (config, notices) =
        ServerConfig::load("num.partitions=2\nnum.partitions=3", overrides).unwrap();
    assert_eq!((config.num_partitions, notices), (5, vec![]));
    assert_eq!(config.explicit["num.partitions"], "5");
}

#[test]
fn keys_without_a_feature_are_named() {
    let (_, notices) =
        load("ssl.key.password=x\nlistener.name.a.b=x\nfoo=1\nnode.id=1\nnum.io.threads=9")
            .unwrap();
    let texts: Vec<String> = notices.iter().map(ToString::to_string).collect();
    assert_eq!(
        texts,
        [
            "foo: unknown configuration key, ignored",
            "listener.name.a.b: not supported yet, ignored",
            "num.io.threads: not supported yet, ignored",
            "ssl.key.password: not supported yet, ignored",
        ]
    );
    assert_eq!(notices[0], Notice::Unknown("foo".into()));
}

#[test]
fn refusals_name_key_value_and_what_is_allowed() {
    for (text, key, value, allowed) in [
        ("num.partitions=0", "num.partitions", "0", "at least 1"),
        ("num.partitions=x", "num.partitions", "x", "INT, allowed: [1,...]"),
        ("auto.create.topics.enable=1", "auto.create.topics.enable", "1", "true or false"),
        ("process.roles=controller", "process.roles", "controller", "include broker"),
        ("process.roles=broker,zookeeper", "process.roles", "zookeeper", "broker, controller"),
        ("node.id=1\nbroker.id=2", "broker.id", "2", "same as node.id"),
        ("node.id=-1", "node.id", "-1", "at least 0"),
        ("listeners=A://:1", "listeners", "A", "No security protocol"),
        ("listeners=SSL://:1", "listeners", "SSL", "only PLAINTEXT is"),
        ("listener.security.protocol.map=A", "listener.security.protocol.map", "A", "NAME:PROTO"),
        ("listener.security.protocol.map=A:TLS", "listener.security.protocol.map", "A:TLS", "SSL"),
        ("controller.listener.names=PLAINTEXT", "listeners", "PLAINTEXT://localhost:9092", "not"),
        ("advertised.listeners=B://h:1", "advertised.listeners", "B", "PLAINTEXT"),
        ("advertised.listeners=PLAINTEXT://0.0.0.0:1", "advertised.listeners", "0.0.0.0", "host"),
        ("inter.broker.listener.name=B", "inter.broker.listener.name", "B", "PLAINTEXT"),
        ("controller.quorum.voters=1@h", "controller.quorum.voters", "1@h", "id@host:port"),
        ("controller.quorum.voters=2@h:1", "controller.quorum.voters", "2@h:1", "node.id 1"),
        ("log.retention.hours=0", "log.retention.hours", "0", "at least 1"),
        ("log.roll.ms=0", "log.roll.ms", "0", "at least 1"),
    ] {
        let message = refusal(text);
        let start = format!("Invalid value {value} for configuration {key}: ");
        assert!(message.starts_with(&start), "{text}: {message}");
        assert!(message[start.len()..].contains(allowed), "{text}: {message}");
    }
    assert!(
        refusal("log.cleaner.min.compaction.lag.ms=2\nlog.cleaner.max.compaction.lag.ms=1")
            .starts_with("conflict topic config setting")
    );
    assert!(refusal("log.dirs=").starts_with("Configuration 'log.dirs' must not be empty"));
    assert!(refusal("x=\\u1").starts_with("line 1: "));
}

#[test]
fn every_row_has_a_valid_default_and_no_key_is_listed_twice() {
    let mut names = std::collections::BTreeSet::new();
    for row in SERVER_ROWS.iter().chain(TopicConfig::rows()) {
        if let Some(default) = row.default {
            row.parse(default).unwrap();
        }
        assert!(row.documentation.ends_with('.'), "{}", row.name);
    }
    let others = crate::config::server_rows::OTHER_KAFKA_KEYS.lines();
    let others = others.filter_map(|line| line.split(' ').next());
    for name in SERVER_ROWS.iter().map(|row| row.name).chain(others) {
        assert!(names.insert(name), "{name} twice");
    }
}

#[test]
fn times_of_consumer_groups_must_fit_together() {
    let refused = |text: &str, rule: &str| assert_eq!(refusal(text), rule);
    refused(
        "group.consumer.session.timeout.ms=44000",
        "group.consumer.session.timeout.ms must be greater than or equal to \
         group.consumer.min.session.timeout.ms",
    );
    refused(
        "group.consumer.heartbeat.interval.ms=16000",
        "group.consumer.max.heartbeat.interval.ms must be greater than or equal to \
         group.consumer.heartbeat.interval.ms",
    );
    refused(
        "group.consumer.max.heartbeat.interval.ms=50000\n\
         group.consumer.heartbeat.interval.ms=45000",
        "group.consumer.heartbeat.interval.ms must be less than group.consumer.session.timeout.ms",
    );
    let config = config(
        "group.consumer.migration.policy=Upgrade\ngroup.consumer.assignors=range,uniform\n\
         group.coordinator.rebalance.protocols=classic",
    );
    let groups = config.groups;
    assert!(groups.consumer.migration_policy.upgrades());
    assert!(!groups.consumer.migration_policy.downgrades());
    assert_eq!(groups.consumer.assignors, ["range", "uniform"]);
    assert!(!groups.consumer_enabled);
}

#[test]
fn what_is_set_at_run_time_counts_within_limits() {
    let map = |key: &str, value: &str| ConfigMap::from([(key.to_owned(), value.to_owned())]);
    let groups = config("group.consumer.max.assignment.interval.ms=5000").groups;
    let broker = map("group.consumer.assignment.interval.ms", "2000");
    let interval = |group: Option<&ConfigMap>| {
        let layered = groups.with_layers(&[None, Some(&broker)], group);
        layered.consumer.assignment_interval_ms
    };
    assert_eq!(interval(None), 2_000);
    assert_eq!(interval(Some(&map("consumer.assignment.interval.ms", "3000"))), 3_000);
    assert_eq!(interval(Some(&map("consumer.assignment.interval.ms", "6000"))), 5_000);
    assert_eq!(interval(Some(&map("consumer.assignment.interval.ms", "x"))), 2_000);
}
