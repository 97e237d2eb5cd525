//! The two brokers of a run, started unless they are named.

use std::io::{self, Error};
use std::net::TcpStream;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use crate::reference::{self, Options, Reference};
use crate::side::Address;

/// Transactions that took too long are looked for so often, instead of every 10 s.
const CLEANUP_INTERVAL: &str = "transaction.abort.timed.out.transaction.cleanup.interval.ms=200";
const START_TIMEOUT: Duration = Duration::from_secs(30);
const POLL: Duration = Duration::from_millis(20);

/// Brokers that end with this value.
#[derive(Debug)]
pub(crate) struct Brokers {
    pub(crate) ours: Address,
    pub(crate) theirs: Address,
    child: Option<Child>,
    node: Option<Reference>,
}

impl Brokers {
    /// Starts what has no address, with its files in `directory`.
    pub(crate) fn start(
        directory: &Path,
        ours: Option<Address>,
        theirs: Option<Address>,
    ) -> io::Result<Self> {
        let at = |port| Address { host: "localhost".to_owned(), port };
        let mut brokers = Self { ours: at(0), theirs: at(0), child: None, node: None };
        brokers.ours = match ours {
            Some(address) => address,
            None => at(brokers.start_ours(&directory.join("ours"))?),
        };
        brokers.theirs = if let Some(address) = theirs {
            address
        } else {
            let options = Options { extra: CLEANUP_INTERVAL.to_owned(), ..Options::default() };
            let node = Reference::start(&directory.join("theirs"), &options);
            let port = node.port();
            brokers.node = Some(node);
            at(port)
        };
        Ok(brokers)
    }

    /// The binary that cargo built beside this program.
    fn start_ours(&mut self, data: &Path) -> io::Result<u16> {
        let program = std::env::current_exe()?;
        let built = program.parent().and_then(Path::parent).ok_or(io::ErrorKind::NotFound)?;
        let port = reference::free_port_pair();
        let mut command = Command::new(built.join("ottla"));
        command.arg("server").arg("--override").arg(format!("log.dirs={}", data.display()));
        command.arg("--override").arg(format!("listeners=PLAINTEXT://localhost:{port}"));
        command.arg("--override").arg(CLEANUP_INTERVAL);
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        self.child = Some(command.spawn().map_err(|error| {
            Error::other(format!("{}: {error}; build it first", built.join("ottla").display()))
        })?);
        let deadline = Instant::now() + START_TIMEOUT;
        while TcpStream::connect(("localhost", port)).is_err() {
            if Instant::now() > deadline {
                return Err(Error::other("the broker did not start"));
            }
            thread::sleep(POLL);
        }
        Ok(port)
    }
}

impl Drop for Brokers {
    fn drop(&mut self) {
        if let Some(child) = &mut self.child {
            // It may have ended already; there is nobody to tell about a failure here.
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}
