//! `kafka-cluster` (Kafka: `ClusterTool`).

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};

use super::admin::{Admin, AdminError, refusal};
use super::java_order::sort_as_hash_map;
use super::{Failure, print};
use crate::wire::messages::describe_cluster::{DescribeClusterBroker, DescribeClusterRequest};

/// Widths without a host, and without a rack.
const HOST_WIDTH: usize = 100;
const RACK_WIDTH: usize = 10;

/// Tells what a cluster is.
#[derive(Debug, Parser)]
#[command(infer_long_args = true)]
pub(crate) struct Options {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Print the id of the cluster
    ClusterId(Target),
    /// Print where the brokers listen
    ListEndpoints {
        #[command(flatten)]
        target: Target,
        /// Print brokers that are fenced too
        #[arg(long)]
        include_fenced_brokers: bool,
    },
    /// Not supported: make the cluster forget a broker
    Unregister {
        #[command(flatten)]
        target: Target,
        /// The broker
        #[arg(long, short, value_name = "id")]
        id: i32,
    },
}

#[derive(Args, Debug)]
struct Target {
    /// The brokers to begin with, several with commas between
    #[arg(
        long,
        short = 'b',
        value_name = "host:port",
        required_unless_present = "bootstrap_controller"
    )]
    bootstrap_server: Option<String>,
    /// Not supported: the tool asks brokers
    #[arg(long, short = 'C', value_name = "host:port", conflicts_with = "bootstrap_server")]
    bootstrap_controller: Option<String>,
    /// A file with properties of the client
    #[arg(long, short = 'c', value_name = "file")]
    command_config: Option<PathBuf>,
    /// Former name of --command-config
    #[arg(long, value_name = "file", conflicts_with = "command_config")]
    config: Option<PathBuf>,
}

impl Target {
    async fn connect(&self) -> Result<Admin, AdminError> {
        if self.config.is_some() {
            print(
                "Option --config has been deprecated and will be removed in a future version. Use --command-config instead.",
            );
        }
        let Some(servers) = &self.bootstrap_server else {
            let text =
                "--bootstrap-controller is not supported by this tool, use --bootstrap-server";
            return Err(AdminError::Argument(text.into()));
        };
        let file = self.config.as_deref().or(self.command_config.as_deref());
        Admin::connect(servers, file, "listNodes").await
    }
}

/// Runs the tool.
pub(crate) async fn run(options: Options) -> Result<(), Failure> {
    tell(options.command).await.map_err(|error| match error {
        // The cause of another exception is told with its class.
        error @ AdminError::NoBroker { .. } => {
            Failure::err(format!("org.apache.kafka.common.errors.TimeoutException: {error}"))
        }
        AdminError::Properties(failure) => failure,
        error => error.complaint(None),
    })
}

async fn tell(command: Command) -> Result<(), AdminError> {
    let text = match command {
        Command::ClusterId(target) => target.connect().await?.cluster_id().await?.map_or_else(
            || "No cluster ID found. The Kafka version is probably too old.\n".to_owned(),
            |id| format!("Cluster ID: {id}\n"),
        ),
        Command::ListEndpoints { target, include_fenced_brokers } => {
            let mut admin = target.connect().await?;
            match brokers(&mut admin, include_fenced_brokers).await {
                // An answer too, to Kafka's tool.
                Err(AdminError::Unsupported(text)) => format!("{text}\n"),
                brokers => endpoints(&brokers?),
            }
        }
        Command::Unregister { target, id } => {
            target.connect().await?;
            let text = format!("This tool cannot make a cluster forget broker {id}");
            return Err(AdminError::Argument(text));
        }
    };
    print(text.trim_end_matches('\n'));
    Ok(())
}

async fn brokers(
    admin: &mut Admin,
    include_fenced_brokers: bool,
) -> Result<Vec<DescribeClusterBroker>, AdminError> {
    if admin.version::<DescribeClusterRequest>()? < 2 && include_fenced_brokers {
        let text = "Attempted to write a non-default includeFencedBrokers at version 1";
        return Err(AdminError::Unsupported(text.into()));
    }
    let request = DescribeClusterRequest { include_fenced_brokers, ..Default::default() };
    let mut answer = admin.ask(&request).await?;
    refusal(answer.error_code, answer.error_message)?;
    sort_as_hash_map(&mut answer.brokers, |broker| broker.broker_id);
    Ok(answer.brokers)
}

/// A table of brokers.
fn endpoints(brokers: &[DescribeClusterBroker]) -> String {
    let length = |text: &str| text.encode_utf16().count();
    let host = brokers.iter().map(|broker| length(&broker.host)).max().unwrap_or(HOST_WIDTH);
    let racks = brokers.iter().filter_map(|broker| broker.rack.as_deref()).map(length);
    let rack = racks.max().unwrap_or(RACK_WIDTH);
    let row = |[id, name, port, place, state, kind]: [&str; 6]| {
        format!("{id:10} {name:host$} {port:10} {place:rack$} {state:10} {kind:15}\n")
    };
    let mut text = row(["ID", "HOST", "PORT", "RACK", "STATE", "ENDPOINT_TYPE"]);
    for broker in brokers {
        let (id, port) = (broker.broker_id.to_string(), broker.port.to_string());
        let state = if broker.is_fenced { "fenced" } else { "unfenced" };
        let place = broker.rack.as_deref().unwrap_or("null");
        text += &row([&id, &broker.host, &port, place, state, "broker"]);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn endpoints_are_columns_as_wide_as_what_is_in_them() {
        let broker = |broker_id, rack: Option<&str>| DescribeClusterBroker {
            broker_id,
            host: "host.example".into(),
            port: 9092,
            rack: rack.map(str::to_owned),
            is_fenced: rack.is_some(),
        };
        assert_eq!(
            endpoints(&[broker(1, Some("r1")), broker(2, None)]),
            "ID         HOST         PORT       RACK STATE      ENDPOINT_TYPE  \n\
             1          host.example 9092       r1 fenced     broker         \n\
             2          host.example 9092       null unfenced   broker         \n"
        );
    }

    #[test]
    fn a_server_is_named_once() {
        let parse = |line: &str| Options::try_parse_from(line.split(' '));
        assert!(parse("kafka-cluster cluster-id --bootstrap-s h:1").is_ok());
        assert!(parse("kafka-cluster cluster-id -b h:1 -c f").is_ok());
        for wrong in
            ["", "cluster-id", "cluster-id -b h:1 -C h:2", "cluster-id -b h:1 -c f --config g"]
        {
            assert!(parse(&format!("kafka-cluster {wrong}")).is_err(), "{wrong}");
        }
    }
}
