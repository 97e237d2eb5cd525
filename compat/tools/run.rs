//! The two sets of tools: Kafka's in one JVM, ours as processes.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Error, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::thread;
use std::time::{Duration, Instant};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use crate::reference;

const TOOLS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/compat/tools/Tools.java");
/// The longest that a tool may take: more than the minute for which Kafka's wait for a broker.
const PATIENCE: Duration = Duration::from_secs(90);
const POLL: Duration = Duration::from_millis(5);

/// The main class of each tool.
const CLASSES: [(&str, &str); 17] = [
    ("kafka-topics", "org.apache.kafka.tools.TopicCommand"),
    ("kafka-configs", "kafka.admin.ConfigCommand"),
    ("kafka-broker-api-versions", "org.apache.kafka.tools.BrokerApiVersionsCommand"),
    ("kafka-cluster", "org.apache.kafka.tools.ClusterTool"),
    ("kafka-consumer-groups", "org.apache.kafka.tools.consumer.group.ConsumerGroupCommand"),
    ("kafka-groups", "org.apache.kafka.tools.GroupsCommand"),
    ("kafka-console-producer", "org.apache.kafka.tools.ConsoleProducer"),
    ("kafka-console-consumer", "org.apache.kafka.tools.consumer.ConsoleConsumer"),
    ("kafka-get-offsets", "org.apache.kafka.tools.GetOffsetShell"),
    ("kafka-delete-records", "org.apache.kafka.tools.DeleteRecordsCommand"),
    ("kafka-log-dirs", "org.apache.kafka.tools.LogDirsCommand"),
    ("kafka-transactions", "org.apache.kafka.tools.TransactionsCommand"),
    ("kafka-producer-perf-test", "org.apache.kafka.tools.ProducerPerformance"),
    ("kafka-consumer-perf-test", "org.apache.kafka.tools.ConsumerPerformance"),
    ("kafka-metadata-quorum", "org.apache.kafka.tools.MetadataQuorumCommand"),
    ("kafka-features", "org.apache.kafka.tools.FeatureCommand"),
    ("kafka-storage", "kafka.tools.StorageTool"),
];

/// What a tool printed, and how it ended.
#[derive(Clone, Debug)]
pub(crate) struct Ran {
    pub(crate) status: i32,
    pub(crate) out: String,
    pub(crate) err: String,
}

/// A JVM that runs Kafka's tools; it ends with this.
pub(crate) struct Theirs {
    process: Child,
    /// Taken when it is to end.
    commands: Option<ChildStdin>,
    answers: Receiver<String>,
    log: PathBuf,
}

impl Theirs {
    /// Starts it; what it logs goes to a file.
    pub(crate) fn start(log: &Path) -> io::Result<Self> {
        let mut command = reference::tool_command(TOOLS, &[]);
        command.env("LC_ALL", "C.UTF-8").stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut process = command.stderr(File::create(log)?).spawn()?;
        let output = process.stdout.take().ok_or(io::ErrorKind::BrokenPipe)?;
        let (sender, answers) = channel();
        thread::spawn(move || {
            let lines = BufReader::new(output).lines();
            lines.map_while(Result::ok).all(|line| sender.send(line).is_ok())
        });
        Ok(Self { commands: process.stdin.take(), process, answers, log: log.to_owned() })
    }

    /// Runs a tool.
    pub(crate) fn run(&mut self, tool: &str, words: &[String], input: &str) -> io::Result<Ran> {
        let class = CLASSES.iter().find(|(name, _)| *name == tool).map(|(_, class)| *class);
        let class = class.ok_or_else(|| Error::other(format!("no main class of {tool}")))?;
        let sent = [input, class].into_iter().chain(words.iter().map(String::as_str));
        let sent: Vec<String> = sent.map(|word| STANDARD.encode(word)).collect();
        let commands = self.commands.as_mut().ok_or(io::ErrorKind::BrokenPipe)?;
        writeln!(commands, "{}", sent.join("\t"))?;
        let answer = match self.answers.recv_timeout(PATIENCE) {
            Ok(answer) => answer,
            Err(RecvTimeoutError::Timeout) => {
                return Err(Error::other(format!("{tool} does not end")));
            }
            // The parser of some tools ends the JVM with its own hands: in one of its own it may.
            Err(RecvTimeoutError::Disconnected) => {
                *self = Self::start(&self.log)?;
                let words: Vec<&str> = words.iter().map(String::as_str).collect();
                let output = reference::tool_command(class, &words).output()?;
                let [out, err] = [output.stdout, output.stderr]
                    .map(|text| String::from_utf8_lossy(&text).into_owned());
                return Ok(Ran { status: output.status.code().unwrap_or(-1), out, err });
            }
        };
        let unreadable = || Error::other(format!("the JVM says {answer}"));
        let mut fields = answer.split('\t');
        let status = fields.next().and_then(|field| field.parse().ok()).ok_or_else(unreadable)?;
        let mut text = || {
            let bytes = STANDARD.decode(fields.next()?).ok()?;
            Some(String::from_utf8_lossy(&bytes).into_owned())
        };
        let (out, err) = text().zip(text()).ok_or_else(unreadable)?;
        Ok(Ran { status, out, err })
    }
}

impl Drop for Theirs {
    fn drop(&mut self) {
        drop(self.commands.take());
        // It may hang in a tool; there is nobody to tell about a failure here.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// The binary that cargo built beside this program.
pub(crate) fn ottla() -> io::Result<PathBuf> {
    let program = std::env::current_exe()?;
    let built = program.parent().and_then(Path::parent).ok_or(io::ErrorKind::NotFound)?;
    let ottla = built.join("ottla");
    if ottla.exists() {
        Ok(ottla)
    } else {
        Err(Error::other(format!("{} is missing; build it first", ottla.display())))
    }
}

/// Runs one of our tools. `directory` is for what it prints.
pub(crate) fn ours(directory: &Path, tool: &str, words: &[String], input: &str) -> io::Result<Ran> {
    let printed = ["out", "err"].map(|name| directory.join(name));
    let mut command = Command::new(ottla()?);
    command.arg(tool).args(words).stdin(Stdio::piped());
    // Files take whatever comes; pipes would have to be read meanwhile.
    command.stdout(File::create(&printed[0])?).stderr(File::create(&printed[1])?);
    let mut child = command.spawn()?;
    let mut stdin = child.stdin.take().ok_or(io::ErrorKind::BrokenPipe)?;
    // A tool that does not read its input may have ended.
    let _ = stdin.write_all(input.as_bytes());
    drop(stdin);
    let deadline = Instant::now() + PATIENCE;
    let status = loop {
        if let Some(status) = child.try_wait()? {
            break status;
        }
        if Instant::now() > deadline {
            child.kill()?;
            return Err(Error::other(format!("{tool} does not end")));
        }
        thread::sleep(POLL);
    };
    let read = |path| Ok::<_, Error>(String::from_utf8_lossy(&std::fs::read(path)?).into_owned());
    let [out, err] = &printed;
    Ok(Ran { status: status.code().unwrap_or(-1), out: read(out)?, err: read(err)? })
}
