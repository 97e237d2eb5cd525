//! `kafka-broker-api-versions`.

use crate::case::{Case, Same, case};

fn versions(name: &'static str, flags: &'static str) -> Case {
    case("kafka-broker-api-versions", name, flags)
}

pub(super) fn cases() -> Vec<Case> {
    let own = "a broker has its own APIs";
    vec![
        versions("all", "").brokers_differ(own),
        versions("with properties", "--command-config {files}/own")
            .file("own", "client.id=me\n")
            .brokers_differ(own),
        versions("the second server", "--bootstrap-server localhost:1,{servers}")
            .brokers_differ(own),
        versions("nobody listens", "--bootstrap-server localhost:1").alone(),
        versions("server without port", "--bootstrap-server localhost").alone(),
        versions("no server", "--command-config x").alone(),
        versions("nothing", "").alone().same(Same::ButWords),
        versions("unknown option", "--all"),
        versions("version", "--version").alone(),
    ]
}
