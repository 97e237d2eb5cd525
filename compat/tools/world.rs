//! A broker of its own for each set of tools.

use std::io::{self, Error};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use crate::reference::{self, Options, Reference};
use crate::run::{self, Ran, Theirs};

/// What both brokers are started with, where their defaults differ or take time.
const SETTINGS: [&str; 2] = ["group.initial.rebalance.delay.ms=0", "num.partitions=2"];
const START_TIMEOUT: Duration = Duration::from_secs(30);
const POLL: Duration = Duration::from_millis(20);
/// By then a broker of Apache Kafka has learnt what its controller has done.
const SETTLED: Duration = Duration::from_millis(300);

/// A broker, which ends with this.
enum Broker {
    Kafka(Reference),
    Ottla(Child, u16),
}

impl Broker {
    fn start_kafka(directory: &Path) -> Self {
        let options = Options { extra: SETTINGS.join("\n"), ..Options::default() };
        Self::Kafka(Reference::start(directory, &options))
    }

    fn start_ottla(directory: &Path) -> io::Result<Self> {
        let port = reference::free_port_pair();
        let mut command = Command::new(run::ottla()?);
        command.arg("server");
        let own = [
            format!("log.dirs={}", directory.join("data").display()),
            format!("listeners=PLAINTEXT://localhost:{port}"),
            "node.id=1".to_owned(),
        ];
        for setting in SETTINGS.map(str::to_owned).iter().chain(&own) {
            command.args(["--override", setting]);
        }
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        // From here on the value ends the process.
        let broker = Self::Ottla(command.spawn()?, port);
        let deadline = Instant::now() + START_TIMEOUT;
        while TcpStream::connect(("localhost", port)).is_err() {
            if Instant::now() > deadline {
                return Err(Error::other("Ottla did not start"));
            }
            thread::sleep(POLL);
        }
        Ok(broker)
    }
}

impl Drop for Broker {
    fn drop(&mut self) {
        if let Self::Ottla(child, _) = self {
            // It may have ended already; there is nobody to tell about a failure here.
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

/// Whose tools a world has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Tools {
    Theirs,
    Ours,
}

/// A broker that only one set of tools talks to.
pub(crate) struct World {
    pub(crate) tools: Tools,
    pub(crate) name: &'static str,
    broker: Broker,
    pub(crate) directory: PathBuf,
}

impl World {
    /// The four worlds, with their files in `work`: of each broker the one with Kafka's tools first.
    pub(crate) fn all(work: &Path) -> io::Result<Vec<Self>> {
        let kinds = [
            (Tools::Theirs, true, "Kafka's tool, Apache Kafka"),
            (Tools::Ours, true, "our tool, Apache Kafka"),
            (Tools::Theirs, false, "Kafka's tool, Ottla"),
            (Tools::Ours, false, "our tool, Ottla"),
        ];
        let start = |(number, (tools, is_kafka, name)): (usize, _)| {
            let directory = work.join(format!("world{number}"));
            std::fs::create_dir_all(&directory)?;
            let broker = match is_kafka {
                true => Broker::start_kafka(&directory),
                false => Broker::start_ottla(&directory)?,
            };
            Ok(Self { tools, name, broker, directory })
        };
        kinds.into_iter().enumerate().map(start).collect()
    }

    pub(crate) fn port(&self) -> u16 {
        match &self.broker {
            Broker::Kafka(node) => node.port(),
            Broker::Ottla(_, port) => *port,
        }
    }

    /// A directory for a case's files.
    pub(crate) fn files(&self) -> PathBuf {
        self.directory.join("files")
    }

    /// Writes a case's files.
    pub(crate) fn write(&self, files: &[(&str, &str)]) -> io::Result<()> {
        std::fs::create_dir_all(self.files())?;
        files.iter().try_for_each(|(name, text)| std::fs::write(self.files().join(name), text))
    }

    /// Runs a tool; `jvm` has Kafka's.
    pub(crate) fn run(
        &self,
        jvm: &mut Theirs,
        tool: &str,
        words: &[String],
        input: &str,
    ) -> io::Result<Ran> {
        match self.tools {
            Tools::Theirs => jvm.run(tool, words, input),
            Tools::Ours => run::ours(&self.directory, tool, words, input),
        }
    }

    /// Waits until the broker knows what a command has changed.
    pub(crate) fn settle(&self) {
        if matches!(self.broker, Broker::Kafka(_)) {
            thread::sleep(SETTLED);
        }
    }
}
