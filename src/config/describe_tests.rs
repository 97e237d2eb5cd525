use super::*;

/// Runs `describe` for each case of a golden file and compares entry by entry.
fn compare(golden: &str, describe: impl Fn(&ConfigMap, &BrokerLayers) -> Vec<Described>) {
    let cases = golden.split("case\n").skip(1);
    for case in cases {
        let (mut server, mut topic, mut expected) = (ConfigMap::new(), ConfigMap::new(), vec![]);
        for line in case.lines() {
            let pair = |text: &str| {
                let (key, value) = text.split_once('=').unwrap();
                (key.to_owned(), value.to_owned())
            };
            if let Some(entry) = line.strip_prefix("entry\t") {
                expected.push(entry.to_owned());
            } else if let Some(text) = line.strip_prefix("server ") {
                server.extend([pair(text)]);
            } else if let Some(text) = line.strip_prefix("topic ") {
                topic.extend([pair(text)]);
            }
        }
        let defaults = ConfigMap::from([("min.insync.replicas".into(), "1".into())]);
        let layers = BrokerLayers { dynamic_default: &defaults, ..BrokerLayers::fixed(&server) };
        let found: Vec<String> = describe(&topic, &layers).iter().map(line).collect();
        for (found, expected) in found.iter().zip(&expected) {
            assert_eq!(found, expected, "server {server:?} topic {topic:?}");
        }
        assert_eq!(found.len(), expected.len());
    }
}

fn line(entry: &Described) -> String {
    let null = || "null".to_owned();
    let synonym = |it: &DescribedSynonym| {
        let value = it.value.clone().unwrap_or_else(null);
        format!("{}={value}@{}", it.name, it.source as i8)
    };
    [
        entry.name.clone(),
        entry.config_type.map_or(0, |it| it as i8).to_string(),
        entry.value.clone().unwrap_or_else(null),
        (entry.source as i8).to_string(),
        if entry.read_only { "ro" } else { "rw" }.into(),
        if entry.sensitive { "sensitive" } else { "plain" }.into(),
        entry.synonyms.iter().map(synonym).collect::<Vec<_>>().join(" "),
    ]
    .join("\t")
}

#[test]
fn topics_are_described_as_the_reference_does() {
    let golden = include_str!("../../tests/golden/describe_configs_topic.txt");
    compare(golden, |own, layers| describe(resource::TOPIC, own, layers));
}

#[test]
fn brokers_are_described_as_the_reference_does() {
    let golden = include_str!("../../tests/golden/describe_configs_broker.txt");
    let ours = [
        "node.id",
        "broker.id",
        "process.roles",
        "listeners",
        "advertised.listeners",
        "listener.security.protocol.map",
        "inter.broker.listener.name",
        "controller.listener.names",
        "controller.quorum.voters",
        "controller.quorum.bootstrap.servers",
        "log.dir",
        "log.dirs",
        "metadata.log.dir",
        "group.initial.rebalance.delay.ms",
    ];
    compare(golden, |_, layers| {
        let mut entries = describe_broker(layers);
        entries.retain(|entry| !ours.contains(&entry.name.as_str()));
        entries
    });
}

#[test]
fn run_time_settings_win_and_are_listed_first() {
    let map = |value: &str| ConfigMap::from([("log.segment.bytes".into(), value.into())]);
    let (dynamic, dynamic_default, fixed) = (map("1048577"), map("1048578"), map("1048579"));
    let layers =
        BrokerLayers { dynamic: &dynamic, dynamic_default: &dynamic_default, fixed: &fixed };
    let topic = describe(resource::TOPIC, &ConfigMap::new(), &layers);
    let entry = topic.iter().find(|entry| entry.name == "segment.bytes").unwrap();
    assert_eq!(
        line(entry),
        "segment.bytes\t3\t1048577\t2\trw\tplain\tlog.segment.bytes=1048577@2 \
         log.segment.bytes=1048578@3 log.segment.bytes=1048579@4 log.segment.bytes=1073741824@5"
    );
    let defaults: Vec<String> = describe_broker_defaults(&layers).iter().map(line).collect();
    assert_eq!(
        defaults,
        ["log.segment.bytes\t3\t1048578\t3\trw\tplain\tlog.segment.bytes=1048578@3"]
    );
}

#[test]
fn keys_without_a_row_are_hidden_unless_nobody_knows_them() {
    let keys = ["ssl.keystore.password", "listener.name.x.ssl.key.password", "foo"];
    let fixed = keys.into_iter().map(|key| (key.to_owned(), "x".to_owned())).collect();
    let entries = describe_broker(&BrokerLayers::fixed(&fixed));
    let shown: Vec<_> = entries.iter().filter(|it| keys.contains(&it.name.as_str())).collect();
    assert_eq!(shown.len(), 1);
    assert_eq!(line(shown[0]), "foo\t0\tnull\t4\tro\tsensitive\tfoo=null@4");
}
