//! Where the cells run: a broker that was given, or one started for all but the scenarios that need their own.

use std::fmt;

use rustix::process::Signal;

use crate::Failure;
use crate::broker::{Broker, Product};
use crate::cell::{self, Outcome};
use crate::folders::Client;
use crate::relay::{Entrance, Relay};

/// The line by which a program says that the broker may be restarted.
const RESTART: &str = "restart";
const NOT_OURS: &str = "the runner must have started the broker";

/// What to run against.
#[derive(Debug)]
pub(crate) enum Target {
    /// HOST:PORT
    Given(String),
    Started(Product),
}

impl fmt::Display for Target {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Given(bootstrap) => formatter.write_str(bootstrap),
            Self::Started(product) => product.fmt(formatter),
        }
    }
}

/// Brokers start when a scenario needs them, and again when they have ended.
#[derive(Debug)]
pub(crate) struct Site {
    target: Target,
    common: Option<Broker>,
    restarted: Option<Broker>,
    relayed: Option<(Relay, Broker)>,
}

impl Site {
    pub(crate) fn new(target: Target) -> Self {
        Self { target, common: None, restarted: None, relayed: None }
    }

    pub(crate) fn run(&mut self, client: &Client, scenario: &str) -> Result<Outcome, Failure> {
        let product = match (&self.target, scenario) {
            (Target::Given(_), "idempotent" | "restart") => {
                return Ok(Outcome::NotApplicable(NOT_OURS.to_owned()));
            }
            (Target::Given(bootstrap), _) => {
                return cell::run(client, scenario, bootstrap, |_| Ok(()));
            }
            (Target::Started(product), _) => *product,
        };
        match scenario {
            "idempotent" => self.run_relayed(product, client, scenario),
            "restart" => self.run_restarted(product, client, scenario),
            _ => self.run_common(product, client, scenario),
        }
    }

    fn run_common(
        &mut self,
        product: Product,
        client: &Client,
        scenario: &str,
    ) -> Result<Outcome, Failure> {
        let broker = running(&mut self.common, product)?;
        let outcome = cell::run(client, scenario, &bootstrap(broker.port()), |_| Ok(()))?;
        Ok(with_broker(outcome, broker))
    }

    /// Once with a clean stop and once with SIGKILL.
    fn run_restarted(
        &mut self,
        product: Product,
        client: &Client,
        scenario: &str,
    ) -> Result<Outcome, Failure> {
        let mut outcome = Outcome::Passed;
        for signal in [Signal::TERM, Signal::KILL] {
            let broker = running(&mut self.restarted, product)?;
            let port = broker.port();
            let mut restarts = 0;
            outcome = cell::run(client, scenario, &bootstrap(port), |line| {
                if line == RESTART {
                    restarts += 1;
                    broker.stop(signal)?;
                    broker.start_again()?;
                }
                Ok(())
            })?;
            if outcome == Outcome::Passed && restarts == 0 {
                outcome = Outcome::Failed("the program never said that it may restart".to_owned());
            }
            if let Outcome::Failed(why) = outcome {
                outcome = Outcome::Failed(format!("restarted with {signal:?}: {why}"));
            }
            outcome = with_broker(outcome, broker);
            if outcome != Outcome::Passed {
                break;
            }
        }
        Ok(outcome)
    }

    fn run_relayed(
        &mut self,
        product: Product,
        client: &Client,
        scenario: &str,
    ) -> Result<Outcome, Failure> {
        if !self.relayed.as_mut().is_some_and(|(_, broker)| broker.runs()) {
            let entrance = Entrance::open()?;
            let broker = Broker::start(product, Some(entrance.port()?))?;
            self.relayed = Some((Relay::start(entrance, broker.port())?, broker));
        }
        let (relay, broker) = self.relayed.as_mut().ok_or("the broker was just started")?;
        relay.reset();
        let through = format!("127.0.0.1:{}", relay.port());
        let outcome = cell::run(client, scenario, &through, |_| Ok(()))?;
        if outcome == Outcome::Passed && relay.cuts() == 0 {
            return Ok(Outcome::Failed(
                "no connection was cut: the relay saw no Produce".to_owned(),
            ));
        }
        Ok(with_broker(outcome, broker))
    }
}

/// The broker at that place, started if none runs there.
fn running(place: &mut Option<Broker>, product: Product) -> Result<&mut Broker, Failure> {
    if !place.as_mut().is_some_and(Broker::runs) {
        // The old one, if any, is gone before the new one starts.
        *place = None;
    }
    match place {
        Some(broker) => Ok(broker),
        None => Ok(place.insert(Broker::start(product, None)?)),
    }
}

/// A broker that ended by itself fails the cell whatever the client says.
fn with_broker(outcome: Outcome, broker: &mut Broker) -> Outcome {
    if broker.runs() {
        return outcome;
    }
    Outcome::Failed(format!("{outcome}\nthe broker ended:\n{}", broker.log_tail()))
}

fn bootstrap(port: u16) -> String {
    format!("localhost:{port}")
}
