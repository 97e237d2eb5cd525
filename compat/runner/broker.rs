//! A broker as a child process, which can be stopped and started again on its directory and port.

use std::env;
use std::fmt;
use std::fs;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;

use crate::reference::{self, Options, Reference};
use crate::{COMPAT, Failure};

const START_TIMEOUT: Duration = Duration::from_secs(30);
const POLL: Duration = Duration::from_millis(10);
const SETTINGS: [&str; 2] = [
    // For clients that get their topics by using them: enough partitions for every scenario.
    "num.partitions=6",
    // How long after its time a transaction may stay open.
    "transaction.abort.timed.out.transaction.cleanup.interval.ms=1000",
];
const LOG_LINES: usize = 40;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Product {
    Ottla,
    Kafka,
}

impl fmt::Display for Product {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Ottla => write!(formatter, "Ottla {}", env!("CARGO_PKG_VERSION")),
            Self::Kafka => write!(formatter, "Apache Kafka {}", kafka_version()),
        }
    }
}

fn kafka_version() -> String {
    let pom = fs::read_to_string(format!("{COMPAT}/reference/pom.xml")).unwrap_or_default();
    let version = pom.split("<kafka.version>").nth(1).and_then(|rest| rest.split('<').next());
    version.unwrap_or("of unknown version").to_owned()
}

#[derive(Debug)]
enum Process {
    Ottla(Child),
    Kafka(Reference),
}

/// Killed when dropped, its directory removed.
#[derive(Debug)]
pub(crate) struct Broker {
    product: Product,
    port: u16,
    /// The port that clients are told instead of the broker's own.
    advertised: Option<u16>,
    process: Option<Process>,
    directory: TempDir,
}

impl Broker {
    /// On an empty directory and a free port.
    pub(crate) fn start(product: Product, advertised: Option<u16>) -> Result<Self, Failure> {
        let directory = tempfile::Builder::new().prefix("compat-").tempdir()?;
        // It must still be free when the broker starts again: not one that connections may take.
        let port = reference::free_port_pair();
        let mut broker = Self { product, port, advertised, process: None, directory };
        broker.start_again()?;
        Ok(broker)
    }

    pub(crate) fn port(&self) -> u16 {
        self.port
    }

    pub(crate) fn start_again(&mut self) -> Result<(), Failure> {
        self.process = Some(match self.product {
            Product::Ottla => Process::Ottla(self.start_ottla()?),
            Product::Kafka => Process::Kafka(self.start_kafka()?),
        });
        Ok(())
    }

    fn start_ottla(&self) -> Result<Child, Failure> {
        let ready = self.directory.path().join("ready.json");
        if ready.exists() {
            fs::remove_file(&ready)?;
        }
        let log = fs::OpenOptions::new().create(true).append(true).open(self.log_file())?;
        let mut command = Command::new(ottla()?);
        let data = self.directory.path().join("data");
        let mut settings = vec![
            format!("listeners=PLAINTEXT://localhost:{}", self.port),
            format!("log.dirs={}", data.display()),
            // As the reference is started.
            "group.initial.rebalance.delay.ms=0".to_owned(),
        ];
        settings.extend(SETTINGS.map(str::to_owned));
        settings.extend(self.advertised.map(advertise));
        command.arg("server").arg("--ready-file").arg(&ready);
        command.args(settings.iter().flat_map(|setting| ["--override", setting]));
        command.stdin(Stdio::null()).stdout(log.try_clone()?).stderr(log);
        let mut child = command.spawn()?;
        let deadline = Instant::now() + START_TIMEOUT;
        while !ready.exists() {
            if child.try_wait()?.is_some() || Instant::now() > deadline {
                child.kill()?;
                child.wait()?;
                return Err(format!("Ottla did not start:\n{}", self.log_tail()).into());
            }
            thread::sleep(POLL);
        }
        Ok(child)
    }

    fn start_kafka(&self) -> Result<Reference, Failure> {
        let advertised = self
            .advertised
            .map(|port| format!("{},CONTROLLER://localhost:{}", advertise(port), self.port + 1));
        let options = Options {
            data: Some(self.directory.path().join("data")),
            port: Some(self.port),
            // The last line of a key counts.
            extra: [&SETTINGS.join("\n"), advertised.as_deref().unwrap_or_default()].join("\n"),
            ..Options::default()
        };
        let node = Reference::try_start(self.directory.path(), &options);
        node.map_err(|log| {
            format!("Apache Kafka did not start:\n{}", reference::tail(&log, LOG_LINES)).into()
        })
    }

    /// SIGTERM or SIGKILL, and waits for the end.
    pub(crate) fn stop(&mut self, signal: Signal) -> Result<(), Failure> {
        match self.process.take().ok_or("the broker does not run")? {
            Process::Ottla(mut child) => {
                kill_process(Pid::from_child(&child), signal)?;
                child.wait()?;
            }
            Process::Kafka(node) if signal == Signal::KILL => node.kill(),
            Process::Kafka(node) => {
                node.stop();
            }
        }
        Ok(())
    }

    /// Whether the process is still there.
    pub(crate) fn runs(&mut self) -> bool {
        match &mut self.process {
            Some(Process::Ottla(child)) => child.try_wait().is_ok_and(|status| status.is_none()),
            Some(Process::Kafka(node)) => node.exited().is_none(),
            None => false,
        }
    }

    /// The end of what the broker wrote.
    pub(crate) fn log_tail(&self) -> String {
        let log = match &self.process {
            Some(Process::Kafka(node)) => node.log(),
            _ => fs::read_to_string(self.log_file()).unwrap_or_default(),
        };
        reference::tail(&log, LOG_LINES)
    }

    fn log_file(&self) -> PathBuf {
        self.directory.path().join("broker.log")
    }
}

impl Drop for Broker {
    fn drop(&mut self) {
        if let Some(Process::Ottla(child)) = &mut self.process {
            // It may have ended already; there is nobody to tell about a failure here.
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

fn advertise(port: u16) -> String {
    format!("advertised.listeners=PLAINTEXT://127.0.0.1:{port}")
}

/// The binary that was built with this program: TARGET/PROFILE/ottla beside TARGET/PROFILE/examples/compat.
fn ottla() -> Result<PathBuf, Failure> {
    let program = env::current_exe()?;
    let profile = program.parent().and_then(|examples| examples.parent());
    let binary = profile.ok_or("this program has no place")?.join("ottla");
    let missing = || format!("{} was not built (cargo build --bin ottla)", binary.display());
    if binary.exists() { Ok(binary) } else { Err(missing().into()) }
}
