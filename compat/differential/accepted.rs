//! The differences that are meant, with the reason for each. One that does not occur any more fails a whole run.

/// Differences that are no failure. Everything but the reason is a pattern, in which `*` stands for any text.
#[derive(Debug)]
pub(crate) struct Accepted {
    pub(crate) api: &'static str,
    pub(crate) step: &'static str,
    pub(crate) path: &'static str,
    pub(crate) ours: &'static str,
    pub(crate) theirs: &'static str,
    pub(crate) why: &'static str,
}

const ANY: &str = "*";
const KEPT_WHILE_AWAY: &str =
    "a member that is away and comes back under another instance id has what it had at once";
const ANSWERED: &str = "every request gets an answer, also where the reference forgets one";
const LOGGERS: &str = "the log has no levels of its own for the reference's Java classes";

/// A key of the broker that the two are started with differently, or that has another default here.
const fn setting(path: &'static str) -> Accepted {
    let why = "what the two were started with, and defaults that differ on purpose";
    Accepted { api: "DescribeConfigs", step: "the broker: *", path, ours: ANY, theirs: ANY, why }
}

/// A transaction whose marker a partition refuses.
const fn stuck(api: &'static str, step: &'static str, path: &'static str) -> Accepted {
    let why = "a marker that is refused does not keep a transaction from being completed; in the reference it does";
    Accepted { api, step, path, ours: ANY, theirs: ANY, why }
}

/// A producer whose marker names a partition twice.
const fn unnamed(api: &'static str, step: &'static str, path: &'static str) -> Accepted {
    let why =
        "a producer has its name from the first answer about it, which the reference does not give";
    Accepted { api, step, path, ours: ANY, theirs: ANY, why }
}

pub(crate) const ACCEPTED: &[Accepted] = &[
    Accepted {
        api: "IncrementalAlterConfigs",
        step: "type 8 named '*', *",
        path: "responses[*].error_code",
        ours: "42",
        theirs: "40",
        why: LOGGERS,
    },
    Accepted {
        api: "IncrementalAlterConfigs",
        step: "type 8 named '*', *",
        path: "responses[*].error_message",
        ours: "\"Dynamic configuration of broker loggers is not supported yet.\"",
        theirs: ANY,
        why: LOGGERS,
    },
    Accepted {
        api: "IncrementalAlterConfigs",
        step: "a pattern that is none",
        path: "responses[*].*",
        ours: ANY,
        theirs: ANY,
        why: "regular expressions for clients are read once their metrics are collected",
    },
    Accepted {
        api: "DescribeConfigs",
        step: "type 8 named '1'",
        path: "results[*].error_code",
        ours: "42",
        theirs: "0",
        why: LOGGERS,
    },
    Accepted {
        api: "DescribeConfigs",
        step: "type 8 named '1'",
        path: "results[*].error_message",
        ours: "\"Unexpected resource type * for resource *\"",
        theirs: "\"\"",
        why: LOGGERS,
    },
    Accepted {
        api: "DescribeConfigs",
        step: "type 8 named '1'",
        path: "results[*].configs[*]",
        ours: "nothing",
        theirs: ANY,
        why: LOGGERS,
    },
    Accepted {
        api: "DescribeConfigs",
        step: "the broker: *",
        path: "results[*].configs[*]",
        ours: "nothing",
        theirs: "{name: *config_source: *",
        why: "of the broker's keys those are described that it serves",
    },
    Accepted {
        api: "Produce",
        step: "null records",
        path: "",
        ours: "{responses: *error_code: 87, *",
        theirs: "silence",
        why: ANSWERED,
    },
    Accepted {
        api: "Produce",
        step: "a record with a wrong delta",
        path: "responses[*].partition_responses[0].*",
        ours: ANY,
        theirs: ANY,
        why: "records whose offset deltas are wrong are refused, and stored by the reference",
    },
    Accepted {
        api: "AddPartitionsToTxn",
        step: "*",
        path: "",
        ours: "{throttle_time_ms: 0, error_code: 0, results_by_transaction: [], *",
        theirs: "silence",
        why: ANSWERED,
    },
    Accepted {
        api: "WriteTxnMarkers",
        step: "a partition twice",
        path: "",
        ours: "{markers: *",
        theirs: "silence",
        why: ANSWERED,
    },
    Accepted {
        api: "JoinGroup",
        step: "a protocol twice",
        path: "",
        ours: "{*error_code: -1, *",
        theirs: "silence",
        why: ANSWERED,
    },
    Accepted {
        api: "ListOffsets",
        step: "time -3 after it",
        path: "topics[*].partitions[*].*",
        ours: "-1",
        theirs: ANY,
        why: "the largest time is no longer that of a record that was deleted",
    },
    Accepted {
        api: "DescribeLogDirs",
        step: "everything",
        path: "results[0].topics[\"produce-delta\"].partitions[0].partition_size",
        ours: "0",
        theirs: ANY,
        why: "what was refused has no size",
    },
    Accepted {
        api: "DescribeLogDirs",
        step: "everything",
        path: "results[0].topics[\"produce-compression.type-gzip\"].partitions[0].partition_size",
        ours: ANY,
        theirs: ANY,
        why: "gzip of two libraries differs in length",
    },
    Accepted {
        api: "ApiVersions",
        step: "*",
        path: "api_keys[*]",
        ours: "nothing",
        theirs: ANY,
        why: "the APIs that are not served yet",
    },
    Accepted {
        api: "ConsumerGroupHeartbeat",
        step: "it comes back as another instance",
        path: "assignment.topic_partitions[*]",
        ours: ANY,
        theirs: "nothing",
        why: KEPT_WHILE_AWAY,
    },
    Accepted {
        api: "ConsumerGroupDescribe",
        step: "another instance of its id",
        path: "groups[*].members[*].assignment.topic_partitions[*]",
        ours: ANY,
        theirs: "nothing",
        why: KEPT_WHILE_AWAY,
    },
    Accepted {
        api: "ListGroups",
        step: "*",
        path: "groups[\"refused-v*-twice\"]*",
        ours: ANY,
        theirs: ANY,
        why: "the member that was not answered (\"a protocol twice\") is in the reference's group",
    },
    setting("results[\"1\"].configs[\"advertised.listeners\"].*"),
    setting("results[\"1\"].configs[\"broker.id\"].*"),
    setting("results[\"1\"].configs[\"controller.listener.names\"].*"),
    setting("results[\"1\"].configs[\"controller.quorum.bootstrap.servers\"].*"),
    setting("results[\"1\"].configs[\"group.initial.rebalance.delay.ms\"].*"),
    setting("results[\"1\"].configs[\"inter.broker.listener.name\"].*"),
    setting("results[\"1\"].configs[\"listener.security.protocol.map\"].*"),
    setting("results[\"1\"].configs[\"listeners\"].*"),
    setting("results[\"1\"].configs[\"log.dir\"].*"),
    setting("results[\"1\"].configs[\"log.dirs\"].*"),
    setting("results[\"1\"].configs[\"node.id\"].*"),
    setting("results[\"1\"].configs[\"process.roles\"].*"),
    Accepted {
        api: "EndTxn",
        step: "TimedOut: *, committed true",
        path: "error_code",
        ours: "90",
        theirs: "48",
        why: "a commit after the coordinator's own abort is fenced, as Kafka's later versions do (KAFKA-20785)",
    },
    Accepted {
        api: "EndTxn",
        step: "the end with what it had and 0, committed true",
        path: "error_code",
        ours: "90",
        theirs: "48",
        why: "the same, where another producer has had the transaction aborted",
    },
    Accepted {
        api: "WriteTxnMarkers",
        step: "v-1, *",
        path: "markers[*].error_code",
        ours: "-1",
        theirs: "47",
        why: "a marker without a version is refused before its epoch is looked at",
    },
    unnamed("Fetch", "shapes", "responses[*].partitions[*].records[*].producer_id"),
    unnamed("Fetch", "several", "responses[*].partitions[*].records[*].producer_id"),
    unnamed("DescribeProd*", "shapes", "topics[*].partitions[*].active_producers[*]"),
    unnamed("DescribeProd*", "several", "topics[*].partitions[*].active_producers[*]"),
    stuck(ANY, "Prepare*", ANY),
    stuck(ANY, ANY, "transaction_states[\"*-Prepare*\"]*"),
    stuck(ANY, ANY, "transaction_states[\"markers-offsets*\"]*"),
    stuck("Prod*", "records", "responses[*].partition_responses[3*].base_offset"),
    Accepted {
        api: "Fetch",
        step: "transactions-large, *: 0, isolation 1, at most 0 bytes",
        path: "responses[*].partitions[*].aborted_transactions[*]",
        ours: "nothing",
        theirs: ANY,
        why: "the reference takes the next entry of the index for the end of what it has read",
    },
    Accepted {
        api: "Produce",
        step: "one has a wrong checksum",
        path: "responses[*].partition_responses[1].error_message",
        ours: "\"Invalid magic found in record: 9\"",
        theirs: "None",
        why: "the reference fails on that batch before it has its words",
    },
];
