//! `kafka-cluster`.

use crate::case::{Case, Same, case};

fn cluster(name: &'static str, flags: &'static str) -> Case {
    case("kafka-cluster", name, flags)
}

pub(super) fn cases() -> Vec<Case> {
    vec![
        cluster("id", "cluster-id"),
        cluster("id in short", "cluster-id -b {servers}"),
        cluster("id with =", "cluster-id --bootstrap-server={servers}"),
        cluster("id with properties", "cluster-id -c {files}/own").file("own", "client.id=me\n"),
        cluster("id with old properties", "cluster-id --config {files}/own")
            .file("own", "client.id=me\n"),
        cluster("endpoints", "list-endpoints"),
        cluster("fenced endpoints", "list-endpoints --include-fenced-brokers"),
        cluster("both properties", "cluster-id --config a --command-config b").same(Same::ButWords),
        cluster("no server", "cluster-id").alone().same(Same::ButWords),
        cluster("nothing", "").alone().same(Same::ButWords),
        cluster("no command", "").same(Same::ButWords),
        cluster("unknown command", "id").same(Same::ButWords),
        cluster("unknown option", "cluster-id --all").same(Same::ButWords),
        cluster("nobody to unregister", "unregister").same(Same::ButWords),
        cluster(
            "nobody listens",
            "cluster-id --bootstrap-server localhost:1 --command-config {files}/impatient",
        )
        .alone()
        .file("impatient", "default.api.timeout.ms=1000\nrequest.timeout.ms=1000\n"),
    ]
}
