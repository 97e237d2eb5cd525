//! The members as child processes, which end with this one: their standard input closes.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};
use std::{env, mem};

use crate::{Client, Failure, MemberOptions, Protocol, name_of};

const LEAVE_TIMEOUT: Duration = Duration::from_mins(1);
const POLL: Duration = Duration::from_millis(10);
pub(crate) const COMPAT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/compat");

#[derive(Debug)]
struct Member {
    name: String,
    child: Child,
}

/// The members of one group, by number.
#[derive(Debug)]
pub(crate) struct Group {
    client: Client,
    /// What every member is told; the journal is its own.
    options: MemberOptions,
    directory: PathBuf,
    class_path: String,
    running: Vec<Option<Member>>,
    leaving: Vec<(Member, Instant)>,
    started: usize,
}

impl Group {
    /// A group without members yet; journals go to the directory. What its members need is installed.
    pub(crate) fn new(
        client: Client,
        members: usize,
        options: MemberOptions,
        directory: &Path,
    ) -> Result<Self, Failure> {
        let class_path = match client {
            Client::Java | Client::Mixed => output_of("reference/kafka", "classpath")?,
            _ => String::new(),
        };
        if let Some(launcher) = launcher(client) {
            output_of(launcher, "install")?;
        }
        Ok(Self {
            client,
            options,
            directory: directory.to_owned(),
            class_path,
            running: (0..members).map(|_| None).collect(),
            leaving: Vec::new(),
            started: 0,
        })
    }

    /// Starts a member, one that runs not; the group grows when it has no place of that number.
    pub(crate) fn start(&mut self, number: usize, protocol: Protocol) -> Result<(), Failure> {
        self.started += 1;
        if number >= self.running.len() {
            self.running.resize_with(number + 1, || None);
        }
        let client = match self.client {
            Client::Mixed => [Client::Rdkafka, Client::Java][number % 2],
            client => client,
        };
        let name = format!("member-{number}-{:03}-{}", self.started, name_of(&client));
        let log = File::create(self.directory.join(format!("{name}.log")))?;
        let mut command = self.program(client)?;
        let options = &self.options;
        command
            .args(["--bootstrap", &options.bootstrap])
            .args(["--topic", &options.topic])
            .args(["--group", &options.group])
            .arg("--journal")
            .arg(self.directory.join(format!("{name}.journal")))
            .args(["--protocol", &name_of(&protocol)])
            .args(["--assignor", &name_of(&options.assignor)])
            .args(["--commit", &name_of(&options.commit)])
            .args(["--session-ms", &options.session_ms.to_string()]);
        command.stdin(Stdio::piped()).stdout(log.try_clone()?).stderr(log);
        self.running[number] = Some(Member { name, child: command.spawn()? });
        Ok(())
    }

    /// What runs a member, its options left out.
    fn program(&self, client: Client) -> Result<Command, Failure> {
        let mut command = match launcher(client) {
            Some(launcher) => {
                let mut command = Command::new(format!("{COMPAT}/{launcher}"));
                command.arg(name_of(&client));
                command
            }
            None if client == Client::Java => return Ok(self.java()),
            None => Command::new(env::current_exe()?),
        };
        command.arg("member");
        Ok(command)
    }

    /// A source file that is compiled and run; no more of a JVM than that needs.
    fn java(&self) -> Command {
        let mut command = Command::new("java");
        command
            .args(["-Xmx256m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1"])
            .arg(format!("-Dlog4j2.configurationFile={COMPAT}/reference/log4j2.properties"))
            .args(["-Dreference.log.level=WARN", "-Dreference.log.target=SYSTEM_ERR"])
            .args(["-cp", &self.class_path])
            .arg(format!("{COMPAT}/checker/java/Member.java"));
        command
    }

    /// Tells a member to leave; it goes in its own time.
    pub(crate) fn leave(&mut self, number: usize) {
        if let Some(mut member) = self.running.get_mut(number).and_then(Option::take) {
            drop(member.child.stdin.take());
            self.leaving.push((member, Instant::now()));
        }
    }

    /// SIGKILL.
    pub(crate) fn kill(&mut self, number: usize) -> Result<(), Failure> {
        if let Some(mut member) = self.running[number].take() {
            member.child.kill()?;
            member.child.wait()?;
        }
        Ok(())
    }

    /// Members that ended by themselves, badly, or not in time when told to leave; each is told once.
    pub(crate) fn troubles(&mut self) -> Result<Vec<String>, Failure> {
        let mut troubles = Vec::new();
        for place in &mut self.running {
            let Some(member) = place else { continue };
            if let Some(status) = member.child.try_wait()? {
                troubles.push(format!("{} ended by itself: {status}", member.name));
                *place = None;
            }
        }
        for (mut member, since) in mem::take(&mut self.leaving) {
            match member.child.try_wait()? {
                Some(status) if status.success() => {}
                Some(status) => troubles.push(format!("{} left with {status}", member.name)),
                None if since.elapsed() < LEAVE_TIMEOUT => self.leaving.push((member, since)),
                None => {
                    troubles.push(format!("{} did not leave in {LEAVE_TIMEOUT:?}", member.name));
                    member.child.kill()?;
                    member.child.wait()?;
                }
            }
        }
        Ok(troubles)
    }

    /// All leave; returns when all are gone.
    pub(crate) fn leave_all(&mut self) -> Result<Vec<String>, Failure> {
        let mut troubles = self.troubles()?;
        (0..self.running.len()).for_each(|number| self.leave(number));
        while !self.leaving.is_empty() {
            troubles.extend(self.troubles()?);
            thread::sleep(POLL);
        }
        Ok(troubles)
    }
}

/// Of the clients whose members run from a folder of `compat`: its launcher, which ends up as the member itself.
fn launcher(client: Client) -> Option<&'static str> {
    match client {
        Client::Rdkafka | Client::Java | Client::Mixed => None,
        Client::FranzGo | Client::Sarama => Some("go/run"),
        Client::ConfluentKafka | Client::KafkaPython => Some("python/run"),
        Client::Kafkajs => Some("kafkajs/run"),
    }
}

/// What a launcher of `compat` prints, without the line break.
pub(crate) fn output_of(launcher: &str, command: &str) -> Result<String, Failure> {
    let output = Command::new(format!("{COMPAT}/{launcher}")).arg(command).output()?;
    if !output.status.success() {
        return Err(String::from_utf8_lossy(&output.stderr).into_owned().into());
    }
    Ok(String::from_utf8(output.stdout)?.trim().to_owned())
}
